/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is forwarded where: rules, listeners, address translation */
#ifndef FWD_H
#define FWD_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "lib/inany.h"
#include "loop.h"
#include "sock.h"

struct fwd_scan;
struct guest;
struct netns;

/**
 * struct fwd_rule - Ports to be forwarded
 * @proto:	IPPROTO_TCP, IPPROTO_UDP
 * @pif:	Where we listen: PIF_HOST (-t, -u), PIF_SPLICE (-T, -U)
 * @dual:	No address given: both families, one socket if possible
 * @weak:	Best effort: all, exclusions only
 * @scan:	Listen only while the other side does (auto)
 * @addr:	Listening address; unspecified with @dual
 * @ifname:	SO_BINDTODEVICE, empty: none
 * @first, @last: Ports listened on
 * @to:		Port @first is mapped to, the others follow
 * @taddr:	Target address, unspecified (::) if none was given
 */
struct fwd_rule {
	uint8_t proto;
	uint8_t pif;
	bool dual, weak, scan;
	union inany_addr addr;
	char ifname[IFNAMSIZ];
	in_port_t first, last, to;
	union inany_addr taddr;
};

#define FWD_RULES_MAX 256 /* of each pif */

struct fwd_rules {
	unsigned n;
	struct fwd_rule rule[FWD_RULES_MAX];
};

/* Translation of one family: filled by conf, unspecified: none */
struct fwd_map {
	union inany_addr host_loopback; /* --map-host-loopback */
	union inany_addr guest_addr;    /* --map-guest-addr */
	union inany_addr dns_match;     /* --dns-forward */
	union inany_addr dns_host;      /* --dns-host */
	union inany_addr outbound;      /* --outbound */
	char outbound_if[IFNAMSIZ];     /* --outbound-if4, --outbound-if6 */
	unsigned scope;                 /* template interface on the host */
};

struct fwd_opts {
	struct fwd_map v4, v6;
	struct fwd_rules host, splice; /* by pif we listen on */
	bool no_splice;                /* --no-splice */
	bool splice_only;              /* --splice-only */
	bool host_lo_to_ns_lo;         /* --host-lo-to-ns-lo */
	bool freebind;                 /* --freebind */
	bool pasta;                    /* there is a namespace to splice to */
};

/**
 * struct fwd_listener - A bound socket of a rule
 * @fd:		Descriptor, -1: none
 * @rule:	Its rule
 * @port:	Port it is bound to
 */
struct fwd_listener {
	int fd;
	const struct fwd_rule *rule;
	in_port_t port;
};

/* Listening sockets of all rules: `all` twice over for TCP and UDP */
#define FWD_LISTENERS_MAX (4 * 65536)

/**
 * struct fwd - Forwarding
 * @opts:	Options, borrowed
 * @guest:	Addresses of the guest
 * @netns:	Target namespace, NULL in passt mode
 * @loop:	Where listeners are watched
 * @listener:	Array of FWD_LISTENERS_MAX, touched as used
 * @nlisteners:	Slots used so far
 * @nfree:	Slots below @nlisteners that are free again
 * @scan:	What automatic rules need, NULL: there are none
 */
struct fwd {
	const struct fwd_opts *opts;
	const struct guest *guest;
	struct netns *netns;
	struct loop *loop;
	struct fwd_listener *listener;
	unsigned nlisteners, nfree;
	struct fwd_scan *scan;
};

/**
 * fwd_init() - Set up
 * @fwd:	Filled
 * @opts:	Borrowed for ever
 * @guest:	Borrowed for ever
 * @netns:	Target namespace or NULL
 * @loop:	Event loop
 *
 * Return: 0, or -errno
 */
int fwd_init(struct fwd *fwd, const struct fwd_opts *opts,
	     const struct guest *guest, struct netns *netns, struct loop *loop);

/**
 * fwd_listen() - Bind all ports of the rules of one pif, watch them
 * @fwd:	Forwarding
 * @pif:	PIF_HOST, or PIF_SPLICE: in the target namespace
 *
 * TCP listeners get epoll type EPOLL_TCP_LISTEN, UDP EPOLL_UDP_LISTEN, id is
 * the index into @fwd->listener. Failures are printed: which port, why, and
 * what to do.
 *
 * Return: 0, or -errno of the first port of a rule that is not best effort
 */
int fwd_listen(struct fwd *fwd, enum pif pif);

/**
 * fwd_rule_text() - "TCP [addr]%if:1-2  =>  [addr]:3-4 (best effort)"
 * @r:		Rule
 * @buf:	Filled
 * @len:	Its size, FWD_RULE_TEXT is enough
 *
 * Return: @buf
 */
const char *fwd_rule_text(const struct fwd_rule *r, char *buf, size_t len);
#define FWD_RULE_TEXT 192

/**
 * fwd_bound() - How many sockets listen for each of some rules
 * @fwd:	Forwarding
 * @rule:	First of @n rules in a row
 * @n:		Rules
 * @count:	Filled, @n of them
 */
void fwd_bound(const struct fwd *fwd, const struct fwd_rule *rule, unsigned n,
	       unsigned *count);

/**
 * fwd_close() - Close all listeners
 * @fwd:	Forwarding
 */
void fwd_close(struct fwd *fwd);

/**
 * fwd_scan_init() - Prepare to look at who listens in both namespaces
 * @fwd:	Forwarding
 *
 * Where no rule is automatic (@scan), does nothing and has the others below do
 * nothing. After pasta_open(), while there is still a /proc. There is one
 * scanner in a process.
 *
 * Return: 0, or -errno after a warning: such rules never listen then
 */
int fwd_scan_init(struct fwd *fwd);

/**
 * fwd_scan_start() - Look for the first time; from then on, by timer
 * @fwd:	Forwarding
 *
 * With the privileges we go on with, so that a port opened once can be opened
 * again; after netns_start().
 */
void fwd_scan_start(struct fwd *fwd);

/**
 * fwd_scan_timer() - A timer of the wheel is due
 * @fwd:	Forwarding
 * @t:		Timer
 *
 * Return: true if it was ours
 */
bool fwd_scan_timer(struct fwd *fwd, const struct wtimer *t);

/**
 * fwd_scan_turn() - End of a turn of the loop: look soon if there were events
 * @fwd:	Forwarding
 */
void fwd_scan_turn(struct fwd *fwd);

/**
 * fwd_from_tap() - Translate what the guest begins
 * @fwd:	Forwarding
 * @proto:	IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP(V6)
 * @tap:	The guest's side: eaddr the guest, oaddr where it wants to go
 * @host:	Filled for PIF_HOST: eaddr and eport the real destination, oaddr
 *		what to bind to (unspecified: the kernel chooses), oport the
 *		guest's source port (the protocol decides whether to keep it)
 *
 * Return: false if the destination is none a guest may ask for
 */
bool fwd_from_tap(const struct fwd *fwd, uint8_t proto,
		  const struct flowside *tap, struct flowside *host);

/**
 * fwd_from_listener() - Translate what came in through a listener
 * @fwd:	Forwarding
 * @rule:	Rule of the listener
 * @ini:	Initiating side: eaddr the peer, oaddr the address it asked for
 * @tgt:	Filled: on PIF_TAP, eaddr the guest, oaddr who it is to see as
 *		its peer; on PIF_SPLICE and PIF_HOST eaddr where to connect, oaddr
 *		unspecified
 *
 * Return: pif of the target side, PIF_NONE: drop
 */
enum pif fwd_from_listener(const struct fwd *fwd, const struct fwd_rule *rule,
			   const struct flowside *ini, struct flowside *tgt);

/**
 * fwd_other_target() - Where else a connection between sockets may go
 * @fwd:	Forwarding
 * @pif:	Target, PIF_SPLICE or PIF_HOST
 * @ini:	Initiating side
 * @tgt:	Target side from fwd_from_listener(), where nobody listens. Changed
 *		from IPv6 to IPv4
 *
 * Return: false if there is nowhere else, @tgt is as before
 */
bool fwd_other_target(const struct fwd *fwd, enum pif pif,
		      const struct flowside *ini, struct flowside *tgt);

/**
 * fwd_map_of() - Translation of the family of an address
 * @fwd:	Forwarding
 * @a:		Address
 */
static inline const struct fwd_map *fwd_map_of(const struct fwd *fwd,
					       const union inany_addr *a)
{
	return inany_v4(a) ? &fwd->opts->v4 : &fwd->opts->v6;
}

/**
 * fwd_socket() - Socket of the host for a flow that the guest began
 * @fwd:	Forwarding: outbound address and interface
 * @proto:	IPPROTO_TCP, IPPROTO_UDP
 * @host:	Host side from fwd_from_tap()
 * @port:	Source port to keep, 0: any
 *
 * Return: descriptor, bound if it has to be, or -errno
 */
int fwd_socket(const struct fwd *fwd, uint8_t proto,
	       const struct flowside *host, in_port_t port);

#endif /* FWD_H */
