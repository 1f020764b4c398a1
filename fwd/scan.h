/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which ports automatic rules listen on, and when to look: arithmetic, no I/O */
#ifndef FWD_SCAN_H
#define FWD_SCAN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/bitmap.h"
#include "lib/inany.h"

struct fwd_rule;
struct fwd_rules;

/* Protocols, as an index */
enum scan_proto { SCAN_TCP, SCAN_UDP, SCAN_PROTOS };

/**
 * scan_is_auto() - Is it an automatic rule for a protocol?
 * @r:		Rule
 * @proto:	IPPROTO_TCP, IPPROTO_UDP
 */
bool scan_is_auto(const struct fwd_rule *r, uint8_t proto);

/**
 * scan_reached() - Would a connection that we forward get to such a socket?
 * @pif:	Where the socket is: PIF_HOST or PIF_SPLICE
 * @to_lo:	What comes from the host's loopback arrives at the namespace's
 * @addr:	What it is bound to
 *
 * What comes from the namespace arrives at the host's loopback addresses; what
 * comes from the host, at the namespace's other ones, but for @to_lo.
 */
bool scan_reached(uint8_t pif, bool to_lo, const union inany_addr *addr);

/**
 * scan_range() - Ports that automatic rules are about
 * @rules:	Rules of one pif
 * @proto:	IPPROTO_TCP, IPPROTO_UDP
 * @target:	Those led to on the other side, not those listened on
 * @first, @last: Lowest and highest; untouched if there is no such rule
 *
 * Return: false if there is none
 */
bool scan_range(const struct fwd_rules *rules, uint8_t proto, bool target,
		in_port_t *first, in_port_t *last);

/**
 * scan_wanted() - Ports to listen on for what is bound on the other side
 * @rules:	Rules of one pif
 * @proto:	IPPROTO_TCP, IPPROTO_UDP
 * @bound:	Ports bound on the other side
 * @wanted:	Filled
 */
void scan_wanted(const struct fwd_rules *rules, uint8_t proto,
		 const struct port_set *bound, struct port_set *wanted);

/**
 * scan_inuse() - Number of sockets, from the text of /proc/net/sockstat{,6}
 * @text:	Text, ended by NUL
 * @key:	What the line begins with, up to the number: "TCP: inuse ", ...
 *
 * Return: number, 0 if it is not there
 */
unsigned scan_inuse(const char *text, const char *key);

/* Wait until the next scan, ms: the shortest; the longest while it is not long
 * ago that something happened, and how long that is; the longest. That one is a
 * multiple of the span of the timer wheel's first level: deadlines on such a
 * multiple cost one wake-up, others two.
 */
#define SCAN_FAST_MS  40
#define SCAN_QUIET_MS 88
#define SCAN_SLOW_MS  (5 * 256)
#define SCAN_IDLE_MS  30000

/* All there is is looked at that often, ms, whether the number of sockets has
 * changed or not: while changes are likely, while it is not long ago that
 * something happened, and later
 */
#define SCAN_FULL_HOT_MS  100
#define SCAN_FULL_MS      2000
#define SCAN_FULL_IDLE_MS 10000

/* The share of scans: of so many parts of the time one */
#define SCAN_COST_FACTOR 100

/**
 * scan_deadline() - When to scan next
 * @now:	Present time, ms
 * @last:	When something happened last, ms, may be to come
 * @cost:	Time scans took beyond their share, us
 */
uint64_t scan_deadline(uint64_t now, uint64_t last, uint64_t cost);

/**
 * scan_full() - How long after it all was looked at to do so again
 * @now:	Present time, ms
 * @last:	As for scan_deadline()
 * @cheap:	It is done by sock_diag
 *
 * Return: time, ms
 */
uint64_t scan_full(uint64_t now, uint64_t last, bool cheap);

#endif /* FWD_SCAN_H */
