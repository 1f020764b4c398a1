/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --stats: events and counters of all modules, as lines on stderr
 *
 * Modules count for themselves, in plain integers of their own. This is the
 * list of where to look: what was dropped or refused, and why.
 */
#include "stats.h"

#include <stddef.h>
#include <stdio.h>

#include "ether.h"
#include "flow.h"
#include "frag.h"
#include "icmp.h"
#include "loop.h"
#include "tap.h"
#include "tcp.h"
#include "udp.h"

/* Lines of events between two headers */
#define STATS_HEADER 20

enum module { TAP, ETHER, FRAG, FLOW, TCP, UDP, ICMP };

/* Where a counter is: module and offset in its object */
struct row {
	const char *name;
	enum module module;
	size_t off;
};

#define ETHER_ROW(why, n)                                      \
	{                                                      \
		"ether." why, ETHER,                           \
			offsetof(struct ether, dropped) +      \
				sizeof(uint64_t) * (size_t)(n) \
	}
#define TAP_ROW(n)                                            \
	{                                                     \
		"tap." #n, TAP, offsetof(struct tap, stats.n) \
	}
#define FRAG_ROW(n)                                              \
	{                                                        \
		"frag." #n, FRAG, offsetof(struct frag_stats, n) \
	}
#define TCP_ROW(n)                                            \
	{                                                     \
		"tcp." #n, TCP, offsetof(struct tcp, stats.n) \
	}
#define UDP_ROW(n)                                            \
	{                                                     \
		"udp." #n, UDP, offsetof(struct udp, stats.n) \
	}
#define ICMP_ROW(n)                                              \
	{                                                        \
		"icmp." #n, ICMP, offsetof(struct icmp, stats.n) \
	}

static const struct row rows[] = {
	TAP_ROW(rx_frames),
	TAP_ROW(rx_short),
	TAP_ROW(rx_bad_len),
	TAP_ROW(tx_frames),
	TAP_ROW(tx_dropped),
	TAP_ROW(tx_blocked),
	ETHER_ROW("short", ETHER_SHORT),
	ETHER_ROW("type", ETHER_TYPE),
	ETHER_ROW("own_mac", ETHER_OWN_MAC),
	ETHER_ROW("ip_hdr", ETHER_IP_HDR),
	ETHER_ROW("fragment", ETHER_FRAGMENT),
	ETHER_ROW("ext_hdr", ETHER_EXT_HDR),
	ETHER_ROW("bad_src", ETHER_BAD_SRC),
	ETHER_ROW("bad_dst", ETHER_BAD_DST),
	ETHER_ROW("proto", ETHER_PROTO),
	FRAG_ROW(fragments),
	FRAG_ROW(whole),
	FRAG_ROW(late),
	FRAG_ROW(evicted),
	FRAG_ROW(broken),
	{ "flow.full", FLOW, offsetof(struct flow_table, full) },
	{ "flow.evicted", FLOW, offsetof(struct flow_table, evicted) },
	TCP_ROW(opened_tap),
	TCP_ROW(opened_host),
	TCP_ROW(spliced),
	TCP_ROW(refused),
	TCP_ROW(reset_in),
	TCP_ROW(reset_out),
	TCP_ROW(bad_segment),
	TCP_ROW(bad_ack),
	TCP_ROW(bad_csum),
	TCP_ROW(out_of_window),
	TCP_ROW(challenge),
	TCP_ROW(retransmit),
	TCP_ROW(fast_retransmit),
	TCP_ROW(probes),
	TCP_ROW(keepalives),
	TCP_ROW(partial_send),
	TCP_ROW(no_flow),
	TCP_ROW(no_fd),
	TCP_ROW(table_full),
	TCP_ROW(evicted),
	UDP_ROW(flows),
	UDP_ROW(spliced),
	UDP_ROW(bad_datagram),
	UDP_ROW(no_fd),
	UDP_ROW(table_full),
	UDP_ROW(ephemeral),
	UDP_ROW(send_failed),
	UDP_ROW(tap_blocked),
	UDP_ROW(tap_dropped),
	UDP_ROW(stray),
	UDP_ROW(evicted),
	UDP_ROW(errors),
	UDP_ROW(icmp_sent),
	UDP_ROW(fragmented),
	ICMP_ROW(flows),
	ICMP_ROW(bad_echo),
	ICMP_ROW(no_fd),
	ICMP_ROW(denied),
	ICMP_ROW(table_full),
	ICMP_ROW(evicted),
	ICMP_ROW(dropped),
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Object of a module that has its counters */
static const void *object(const struct stats *s, enum module m)
{
	switch (m) {
	case TAP:
		return s->tap;
	case ETHER:
		return s->ether;
	case FRAG:
		return frag_stats();
	case FLOW:
		return s->flows;
	case TCP:
		return s->tcp;
	case UDP:
		return s->udp;
	case ICMP:
		return s->icmp;
	}
	return NULL;
}

/* One line with what changed since the last one */
static void print_counters(const struct stats *s)
{
	static uint64_t said[ROWS];
	bool any = false;
	size_t i;

	for (i = 0; i < ROWS; i++) {
		const uint8_t *o = object(s, rows[i].module);
		uint64_t now = *(const uint64_t *)(const void *)(o +
								 rows[i].off);

		if (now == said[i])
			continue;
		fprintf(stderr, "%s\t%s=%llu",
			any ? "" : "counters:", rows[i].name,
			(unsigned long long)now);
		said[i] = now;
		any = true;
	}
	if (any)
		fputc('\n', stderr);
}

/* Events by type, at times with a header */
static void print_events(struct stats *s)
{
	const struct loop *l = s->loop;
	bool header = !(s->lines++ % STATS_HEADER);
	unsigned i;

	for (i = EPOLL_NONE + 1; header && i < EPOLL_TYPES; i++)
		fprintf(stderr, "%s%s", i > EPOLL_NONE + 1 ? "\t" : "",
			l->handler[i].name ? l->handler[i].name : "-");
	if (header)
		fputc('\n', stderr);
	for (i = EPOLL_NONE + 1; i < EPOLL_TYPES; i++)
		fprintf(stderr, "%s%llu", i > EPOLL_NONE + 1 ? "\t" : "",
			(unsigned long long)l->count[i]);
	fputc('\n', stderr);
}

void stats_turn(struct stats *s)
{
	if (!s->interval ||
	    (s->last && s->loop->now - s->last < s->interval && !s->loop->quit))
		return;
	s->last = s->loop->now;
	print_events(s);
	print_counters(s);
}
