/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --stats and SIGUSR1: counters, events, flows and rules, as text or as JSON */
#ifndef STATS_H
#define STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "loop.h"

struct arp;
struct dhcp;
struct dhcpv6;
struct ether;
struct flow_table;
struct fwd;
struct icmp;
struct ndp;
struct tap;
struct tcp;
struct udp;

/**
 * struct stats - What is printed, and how often
 * @interval:	Least time between two prints, ms; 0: none at all
 * @json:	As JSON, not as text
 * @name:	Of the program
 * @start:	When it was started, ms
 * @loop ... @dhcpv6: Modules that count, borrowed
 * @last:	Private. When it was last printed, ms; 0: not yet
 * @lines:	Private. Lines of events so far
 * @busy:	Private. Standard error has not taken all of the last print yet
 */
struct stats {
	uint64_t interval;
	bool json;
	const char *name;
	uint64_t start;
	struct loop *loop;
	const struct fwd *fwd;
	const struct tap *tap;
	const struct ether *ether;
	const struct flow_table *flows;
	const struct tcp *tcp;
	const struct udp *udp;
	const struct icmp *icmp;
	const struct arp *arp;
	const struct ndp *ndp;
	const struct dhcp *dhcp;
	const struct dhcpv6 *dhcpv6;
	uint64_t last, lines;
	bool busy;
};

/**
 * stats_turn() - At the end of a turn of the loop: print if it is time to
 * @s:		Statistics
 *
 * As text, prints a line of event counts by type, tabs between them, below a header
 * that is repeated each 20 lines. Then a line "counters:", with name=value for each
 * counter that changed since the last such line, if any did. As JSON, the object of
 * stats_dump() without flows and rules. When the loop is about to end, it is
 * printed whatever the time is.
 */
void stats_turn(struct stats *s);

/**
 * stats_dump() - Print all there is, once: to the log, or to standard error
 * @s:		Statistics
 *
 * Does nothing while the last print is not written yet.
 */
void stats_dump(struct stats *s);

/* Handler of the loop: EPOLL_STATS, @ctx is struct stats */
void stats_event(void *ctx, union epoll_ref ref, uint32_t events);

#endif /* STATS_H */
