/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --stats and SIGUSR1: counters, events, flows and rules, as text or as JSON
 *
 * Modules count for themselves, in plain integers of their own. This is the
 * list of where to look: what was dropped or refused, and why.
 *
 * One walk over all of it writes into one buffer, by a few functions that know
 * both formats. Of flows and rules only the first are shown, so that neither the
 * time it takes nor the room depend on how many there are: what is behind it is
 * the number of all, which is kept as they come and go.
 *
 * Whoever reads standard error may be slow, and guests do not wait for them: what
 * goes there is watched by the loop, and written in pieces as it takes some. Until
 * the last piece is out nothing else is begun. Regular files cannot be watched,
 * and never keep us waiting.
 */
#include "stats.h"

#include <ctype.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "arp.h"
#include "dhcp.h"
#include "dhcpv6.h"
#include "ether.h"
#include "flow.h"
#include "frag.h"
#include "fwd.h"
#include "icmp.h"
#include "lib/log.h"
#include "loop.h"
#include "ndp.h"
#include "tap.h"
#include "tcp.h"
#include "udp.h"

/* Lines of events between two headers */
#define STATS_HEADER 20

/* Flows and rules of each kind that are shown; slots looked at to find flows */
#define STATS_FLOWS 32
#define STATS_RULES 16
#define STATS_SLOTS 4096

/* Bytes written at once to what may be a pipe or a terminal: less than what is
 * free if they take anything
 */
#define STATS_PIECE 1024

enum module { TAP, ETHER, FRAG, FLOW, TCP, UDP, ICMP, ARP, NDP, DHCP, DHCPV6 };

/* Where a counter is: module and offset in its object. Names are in the rows, as
 * pointers would need as much room again, and a relocation each
 */
struct row {
	char name[20];
	uint8_t module;
	uint16_t off;
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
	TAP_ROW(rx_bytes),
	TAP_ROW(rx_short),
	TAP_ROW(rx_bad_len),
	TAP_ROW(tx_frames),
	TAP_ROW(tx_bytes),
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
	TCP_ROW(splice_rx_bytes),
	TCP_ROW(splice_tx_bytes),
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
	TCP_ROW(early),
	TCP_ROW(out_of_order),
	TCP_ROW(not_held),
	TCP_ROW(seen_before),
	TCP_ROW(unserved),
	UDP_ROW(flows),
	UDP_ROW(spliced),
	UDP_ROW(splice_rx_bytes),
	UDP_ROW(splice_tx_bytes),
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
	UDP_ROW(no_flow),
	ICMP_ROW(flows),
	ICMP_ROW(bad_echo),
	ICMP_ROW(no_fd),
	ICMP_ROW(denied),
	ICMP_ROW(table_full),
	ICMP_ROW(evicted),
	ICMP_ROW(dropped),
	{ "arp.answered", ARP, offsetof(struct arp, answered) },
	{ "arp.bad", ARP, offsetof(struct arp, bad) },
	{ "ndp.answered", NDP, offsetof(struct ndp, answered) },
	{ "ndp.bad", NDP, offsetof(struct ndp, bad) },
	{ "dhcp.answered", DHCP, offsetof(struct dhcp, answered) },
	{ "dhcp.nak", DHCP, offsetof(struct dhcp, nak) },
	{ "dhcp.bad", DHCP, offsetof(struct dhcp, bad) },
	{ "dhcpv6.answered", DHCPV6, offsetof(struct dhcpv6, answered) },
	{ "dhcpv6.bad", DHCPV6, offsetof(struct dhcpv6, bad) },
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
	case ARP:
		return s->arp;
	case NDP:
		return s->ndp;
	case DHCP:
		return s->dhcp;
	case DHCPV6:
		return s->dhcpv6;
	}
	return NULL;
}

/* Value of a counter */
static uint64_t counter(const struct stats *s, const struct row *r)
{
	const uint8_t *o = object(s, r->module);

	return *(const uint64_t *)(const void *)(o + r->off);
}

/*
 * Both formats. JSON is made of objects and lists; in text, these are tables
 * with a title, and a list inside of a list is a line
 */

/* All that is printed at once */
static struct out {
	bool json;
	unsigned depth;
	size_t len;
	char text[32768];
} out;

/* Add text; what does not fit is left out */
__attribute__((format(printf, 1, 2))) static void put(const char *fmt, ...)
{
	size_t room = sizeof(out.text) - out.len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out.text + out.len, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		out.len += (size_t)n < room ? (size_t)n : room - 1;
}

static void put_char(char c)
{
	if (out.len < sizeof(out.text) - 1)
		out.text[out.len++] = c;
}

/* What stands before a value in JSON: comma, and its name as a key if it has one,
 * "TCP splice" as "tcp_splice"
 */
static void put_key(const char *name)
{
	char last = out.len ? out.text[out.len - 1] : '{';

	if (last != '{' && last != '[')
		put_char(',');
	if (!name)
		return;
	put_char('"');
	for (; *name; name++)
		put_char(*name == ' ' ? '_'
				      : (char)tolower((unsigned char)*name));
	put("\":");
}

/* Begin an object ('{') or a list ('[') */
static void open_part(const char *name, char bracket)
{
	if (out.json && out.depth)
		put_key(name);
	if (out.json)
		put_char(bracket);
	else if (name)
		put("%s:\n", name);
	out.depth++;
}

/* End it */
static void close_part(char bracket)
{
	out.depth--;
	if (out.json)
		put_char(bracket);
	if (out.json ? !out.depth : out.depth == 2)
		put_char('\n');
}

/* A number. In text, lines of zero say nothing and are left out */
static void put_num(const char *name, uint64_t n)
{
	unsigned long long v = n;

	if (out.json) {
		put_key(name);
		put("%llu", v);
	} else if (out.depth > 2) {
		put("  %s %llu", name, v);
	} else if (n) {
		put("  %-24s %llu\n", name, v);
	}
}

/* A word, or more. What would need an escape in JSON is not worth one */
static void put_str(const char *name, const char *s)
{
	if (!out.json) {
		put("  %s", s);
		return;
	}
	put_key(name);
	put_char('"');
	for (; *s; s++)
		put_char(isprint((unsigned char)*s) && *s != '"' && *s != '\\'
				 ? *s
				 : '?');
	put_char('"');
}

/* How many of a list were not shown */
static void put_more(const char *name, uint32_t n)
{
	if (out.json)
		put_num(name, n);
	else if (n)
		put("  and %u more\n", n);
}

/*
 * What is there
 */

/* One side of a flow */
static void put_side(const char *name, const struct flow *f, unsigned side)
{
	const struct flowside *s = &f->side[side];
	char text[FLOWSIDE_STRLEN];

	if (!out.json) {
		put("  %s %s", pif_name(f->pif[side]),
		    flowside_text(s, text, sizeof(text)));
		return;
	}
	open_part(name, '{');
	put_str("pif", pif_name(f->pif[side]));
	put_str("addr", inany_ntop(&s->eaddr, text));
	put_num("port", s->eport);
	put_str("our_addr", inany_ntop(&s->oaddr, text));
	put_num("our_port", s->oport);
	close_part('}');
}

/* The first flows */
static void put_flows(const struct flow_table *t)
{
	const struct flow *f;
	uint32_t idx = 0, n;

	open_part("flows", '[');
	for (n = 0; n < STATS_FLOWS && (f = flow_next(t, &idx, STATS_SLOTS));
	     n++) {
		open_part(NULL, '{');
		put_str("type", t->ops[f->type].name);
		put_str("state", f->type == FLOW_TCP ? tcp_flow_state(f) : "-");
		put_side("initiator", f, INISIDE);
		put_side("target", f, TGTSIDE);
		close_part('}');
	}
	close_part(']');
	put_more("flows_more", t->used - n);
}

/* How full the table is, and of what */
static void put_table(const struct flow_table *t)
{
	unsigned i;

	open_part("table", '{');
	put_num("max", t->max);
	put_num("used", t->used);
	for (i = FLOW_FREE + 1; i < FLOW_TYPES; i++)
		put_num(t->ops[i].name, t->count[i]);
	close_part('}');
}

/* The first rules of a pif, with the number of sockets that listen */
static void put_rules(const struct fwd *fwd, const struct fwd_rules *rules,
		      const char *name, const char *more)
{
	unsigned n = rules->n < STATS_RULES ? rules->n : STATS_RULES, i;
	unsigned listening[STATS_RULES];
	char text[FWD_RULE_TEXT];

	fwd_bound(fwd, rules->rule, n, listening);
	open_part(name, '[');
	for (i = 0; i < n; i++) {
		open_part(NULL, '{');
		put_str("rule",
			fwd_rule_text(&rules->rule[i], text, sizeof(text)));
		put_num("listening", listening[i]);
		close_part('}');
	}
	close_part(']');
	put_more(more, rules->n - n);
}

/* All of it, or, as --stats does in time, without what is a list */
static void put_all(const struct stats *s, bool lists)
{
	const struct loop *l = s->loop;
	size_t i;

	out.len = 0;
	open_part(NULL, '{');
	if (out.json) {
		put_str("program", s->name);
		put_num("uptime_ms", l->now - s->start);
	} else {
		put("%s, %llu.%03llu s after start:\n", s->name,
		    (unsigned long long)(l->now - s->start) / 1000,
		    (unsigned long long)(l->now - s->start) % 1000);
	}
	put_table(s->flows);
	if (lists) {
		put_flows(s->flows);
		put_rules(s->fwd, &s->fwd->opts->host, "rules_host",
			  "rules_host_more");
		put_rules(s->fwd, &s->fwd->opts->splice, "rules_splice",
			  "rules_splice_more");
	}
	open_part("counters", '{');
	for (i = 0; i < ROWS; i++)
		put_num(rows[i].name, counter(s, &rows[i]));
	close_part('}');
	open_part("events", '{');
	for (i = EPOLL_NONE + 1; i < EPOLL_TYPES; i++)
		put_num(l->handler[i].name, l->count[i]);
	close_part('}');
	close_part('}');
}

/* One line with what changed since the last one */
static void put_changed(const struct stats *s)
{
	static uint64_t said[ROWS];
	bool any = false;
	size_t i;

	for (i = 0; i < ROWS; i++) {
		uint64_t now = counter(s, &rows[i]);

		if (now == said[i])
			continue;
		put("%s\t%s=%llu", any ? "" : "counters:", rows[i].name,
		    (unsigned long long)now);
		said[i] = now;
		any = true;
	}
	if (any)
		put_char('\n');
}

/* Events by type, at times with a header */
static void put_events(struct stats *s)
{
	const struct loop *l = s->loop;
	bool header = !(s->lines++ % STATS_HEADER);
	unsigned i;

	out.len = 0;
	for (i = EPOLL_NONE + 1; header && i < EPOLL_TYPES; i++)
		put("%s%s", i > EPOLL_NONE + 1 ? "\t" : "",
		    l->handler[i].name ? l->handler[i].name : "-");
	if (header)
		put_char('\n');
	for (i = EPOLL_NONE + 1; i < EPOLL_TYPES; i++)
		put("%s%llu", i > EPOLL_NONE + 1 ? "\t" : "",
		    (unsigned long long)l->count[i]);
	put_char('\n');
}

/*
 * Where it goes
 */

/* Hand the buffer to the log, have the loop tell when the rest can be written */
static void send_out(struct stats *s, bool log)
{
	const union epoll_ref ref = { .type = EPOLL_STATS };

	s->busy = log_text(out.text, out.len, log);
	if (!s->busy || !loop_add(s->loop, log_left_fd(), EPOLLOUT, ref))
		return;
	log_drain(0);
	s->busy = false;
}

void stats_event(void *ctx, union epoll_ref ref, uint32_t events)
{
	struct stats *s = ctx;

	(void)ref;
	(void)events;
	if (log_drain(STATS_PIECE))
		return;
	loop_del(s->loop, log_left_fd());
	s->busy = false;
}

void stats_dump(struct stats *s)
{
	if (s->busy)
		return;
	out.json = s->json;
	put_all(s, true);
	send_out(s, true);
}

void stats_turn(struct stats *s)
{
	bool quit = s->loop->quit;

	if (!s->interval ||
	    (s->last && s->loop->now - s->last < s->interval && !quit))
		return;
	if (quit)
		log_drain(0);
	else if (s->busy)
		return;
	s->last = s->loop->now;
	out.json = s->json;
	if (out.json) {
		put_all(s, false);
	} else {
		put_events(s);
		put_changed(s);
	}
	send_out(s, false);
	if (quit)
		log_drain(0);
}
