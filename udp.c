/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UDP: datagrams of the guest to sockets of the host and back
 *
 * Each flow has a socket of its own, connected to the peer, wherever one can be
 * had:
 *
 *   begun by the guest	     socket bound to the guest's port, if that is free,
 *			     connected to where it wants to go. Groups (multicast
 *			     and broadcast) cannot be connected to: whoever
 *			     answers is let in, and shown as who it is.
 *   begun at a listener     the listener is asked who was asked (PKTINFO); a
 *			     socket bound to that address and connected to the
 *			     peer gets all that follows. Without one (no more
 *			     descriptors), the listener goes on receiving, and
 *			     sends with that address as its source.
 *   spliced		     the same, and a second socket towards the target
 *			     (udp/splice.c), in the other namespace
 *
 * Datagrams that were in the listener's queue when the flow's socket came to be
 * are older than any in that: the listener is emptied before the first read.
 *
 * From the guest to sockets, a group of packets becomes as few messages as the
 * kernel allows (udp/send.c). From sockets, datagrams are read straight into
 * frames (udp/totap.c). ICMP errors become ICMP errors (udp/err.c). Flows end
 * when unused (udp/flow.c).
 *
 * RFC 768 (UDP), RFC 4787 (NAT behaviour for UDP): mappings keep ports where
 * possible (REQ-3), live on by outbound and inbound refresh (REQ-5, REQ-6), and
 * filter by address and port of the peer (REQ-8, but for groups).
 *
 * #syscalls setsockopt(1=SOL_IP,2=IP_TTL/IP_TOS/IP_MULTICAST_TTL)
 * #syscalls setsockopt(1=SOL_IPV6,2=IPV6_UNICAST_HOPS/IPV6_MULTICAST_HOPS)
 * #syscalls setsockopt(1=SOL_IPV6,2=IPV6_TCLASS)
 */
#include "udp.h"

#include <errno.h>
#include <sys/epoll.h>

#include "lib/csum.h"
#include "lib/fdio.h"
#include "lib/iov.h"
#include "lib/log.h"
#include "udp/internal.h"

#define TIMEOUT_PATH        "/proc/sys/net/netfilter/nf_conntrack_udp_timeout"
#define TIMEOUT_STREAM_PATH TIMEOUT_PATH "_stream"

/* Built-in defaults of the same, seconds */
#define TIMEOUT_DEFAULT        30
#define TIMEOUT_STREAM_DEFAULT 120

/* Longest sensible, seconds: an idle flow has to end some day */
#define TIMEOUT_MAX (7 * 24 * 3600)

/* Batches read from a listener so that flows it began are up to date */
#define CATCH_UP_ROUNDS 16

static struct udp_dgram dgrams[UDP_BATCH];

/* A timeout, ms, from a sysctl in seconds */
static uint64_t timeout_ms(const char *path, unsigned long def)
{
	unsigned long s = read_file_uint(path, 0, def);

	if (!s || s > TIMEOUT_MAX)
		s = def;
	return (uint64_t)s * 1000;
}

int udp_init(struct udp *u)
{
	const struct udp_list none = { FLOW_NONE, FLOW_NONE };

	u->lru[0] = u->lru[1] = u->waiting = none;
	u->reading = NULL;
	if (!u->timeout)
		u->timeout = timeout_ms(TIMEOUT_PATH, TIMEOUT_DEFAULT);
	if (!u->timeout_stream)
		u->timeout_stream = timeout_ms(TIMEOUT_STREAM_PATH,
					       TIMEOUT_STREAM_DEFAULT);
	return 0;
}

/* Is the checksum right, or none of our business? RFC 768; RFC 8200 8.1: IPv6
 * does not go without
 */
static bool csum_good(const struct packet_group *g, const struct packet *p,
		      const struct iov_tail *dgram, uint16_t field)
{
	const struct in_addr *s4 = inany_v4(&g->src), *d4 = inany_v4(&g->dst);
	uint32_t sum;

	if (p->csum_ok || p->gso_size)
		return true;
	if (!field)
		return s4;
	sum = s4 ? csum_pseudo4(*s4, *d4, IPPROTO_UDP, dgram->len)
		 : csum_pseudo6(&g->src.a6, &g->dst.a6, IPPROTO_UDP,
				dgram->len);
	return csum_fold(csum_tail(dgram, csum_fold(sum))) == 0xffff;
}

/* Validate a datagram. Return: false if it is malformed; else its payload */
static bool payload_of(const struct packet_group *g, const struct packet *p,
		       struct iov_tail *payload)
{
	struct iov_tail dgram = p->l4;
	const struct udphdr *uh;
	struct udphdr store;
	size_t len;

	uh = IOV_PEEK(&dgram, &store);
	if (!uh)
		return false;
	/* A packet still to be cut may have the length of a piece, or of all */
	len = p->gso_size ? dgram.len : ntohs(uh->len);
	if (len < sizeof(*uh) || !iov_tail_trim(&dgram, len) ||
	    !csum_good(g, p, &dgram, uh->check))
		return false;
	*payload = dgram;
	return iov_tail_drop(payload, sizeof(*uh));
}

/* Hand over a packet's payload: one datagram, or several still to be cut */
static void send_packet(const struct packet *p, struct iov_tail *payload)
{
	while (p->gso_size && payload->len > p->gso_size) {
		struct iov_tail piece = *payload;

		iov_tail_trim(&piece, p->gso_size);
		udp_send_add(&piece);
		iov_tail_drop(payload, p->gso_size);
	}
	udp_send_add(payload);
}

/* Give the socket the TTL and TOS of the guest's packets */
static void set_ttl_tos(struct udp_flow *f, int fd,
			const struct packet_group *g)
{
	bool v4 = inany_v4(&f->f.side[TGTSIDE].eaddr);

	if (fd < 0 || f->f.pif[INISIDE] != PIF_TAP)
		v4 = inany_v4(&f->f.side[INISIDE].eaddr);
	if (fd < 0)
		return;
	if (f->ttl != g->ttl) {
		f->ttl = g->ttl;
		if (v4) {
			sock_set_int(fd, SOL_IP, IP_TTL, g->ttl);
			if (f->unconnected)
				sock_set_int(fd, SOL_IP, IP_MULTICAST_TTL,
					     g->ttl);
		} else {
			sock_set_int(fd, SOL_IPV6, IPV6_UNICAST_HOPS, g->ttl);
			if (f->unconnected)
				sock_set_int(fd, SOL_IPV6, IPV6_MULTICAST_HOPS,
					     g->ttl);
		}
	}
	if (f->tos != g->tos) {
		f->tos = g->tos;
		if (v4)
			sock_set_int(fd, SOL_IP, IP_TOS, g->tos);
		else
			sock_set_int(fd, SOL_IPV6, IPV6_TCLASS, g->tos);
	}
}

/* Find or begin the flow of a group. @payload: of its first datagram */
static struct udp_flow *flow_of(struct udp *u, const struct packet_group *g,
				const struct iov_tail *payload, unsigned *side)
{
	const struct flowside tap = { .oaddr = g->dst,
				      .eaddr = g->src,
				      .oport = g->dport,
				      .eport = g->sport };
	struct udp_flow *f;
	int err;

	f = (struct udp_flow *)flow_lookup(u->flows, IPPROTO_UDP, PIF_TAP, &tap,
					   side);
	if (f)
		return f;
	*side = INISIDE;
	f = udp_flow_from_tap(u, &tap, &err);
	if (!f && err)
		udp_err_local(u, &tap, err, payload);
	return f;
}

void udp_tap_input(void *ctx, const struct packet_group *g)
{
	struct udp_flow *f = NULL;
	const struct packet *p;
	struct udp *u = ctx;
	unsigned side = 0, n = 0;

	/* RFC 1122 3.2.1.7: such a packet must not have come */
	if (!g->ttl) {
		u->stats.bad_datagram += g->n;
		return;
	}
	for (p = g->first; p; p = p->next) {
		struct iov_tail payload;

		if (!payload_of(g, p, &payload)) {
			u->stats.bad_datagram++;
			continue;
		}
		if (!f) {
			f = flow_of(u, g, &payload, &side);
			for (; !f && p; p = p->next)
				u->stats.no_flow++;
			if (!f)
				return;
			set_ttl_tos(f, f->fd[!side], g);
			udp_send_begin(u, f, !side);
		}
		send_packet(p, &payload);
		n++;
	}
	if (!f)
		return;
	udp_flow_touch(u, f, side, n);
	udp_send_flush();
}

bool udp_shown(const struct udp *u, const struct flowside *tap,
	       const union inany_addr *src, in_port_t sport,
	       union inany_addr *shown)
{
	/* As if it had come by a listener that is for this guest only */
	const struct fwd_rule rule = { .proto = IPPROTO_UDP,
				       .pif = PIF_HOST,
				       .last = UINT16_MAX,
				       .taddr = tap->eaddr };
	const struct flowside ini = { .eaddr = *src,
				      .eport = sport,
				      .oaddr = inany_v4(src) ? inany_any4
							     : inany_any6 };
	struct flowside tgt;

	if (fwd_from_listener(u->fwd, &rule, &ini, &tgt) != PIF_TAP)
		return false;
	*shown = tgt.oaddr;
	return true;
}

void udp_from_listener(struct udp *u, uint32_t id, const struct udp_dgram *d)
{
	const struct fwd_listener *l = &u->fwd->listener[id];
	struct flowside ini = { .oaddr = d->dst,
				.eaddr = d->src,
				.eport = d->sport };
	struct udp_flow *f;
	unsigned side;

	/* Closed, since a flow that began there got its socket */
	if (id >= u->fwd->nlisteners || l->fd < 0) {
		u->stats.stray++;
		return;
	}
	ini.oport = l->port;
	f = (struct udp_flow *)flow_lookup(u->flows, IPPROTO_UDP, l->rule->pif,
					   &ini, &side);
	if (!f) {
		f = udp_flow_from_listener(u, id, &ini, d);
		if (!f)
			return;
		/* Or the guest has begun the same before */
		side = f->f.pif[INISIDE] == PIF_TAP ? TGTSIDE : INISIDE;
	}
	udp_flow_touch(u, f, side, 1);
	if (f->f.pif[!side] == PIF_TAP)
		udp_tap_datagram(u, &f->f.side[!side], NULL, 0, d->buf, d->len);
	else
		udp_splice_datagram(u, f, !side, d);
}

void udp_listen_read(struct udp *u, uint32_t id, unsigned rounds)
{
	const struct fwd_listener *l;
	int i, n;

	while (rounds--) {
		if (id >= u->fwd->nlisteners)
			return;
		l = &u->fwd->listener[id];
		if (l->fd < 0)
			return;
		n = udp_recv(l->fd, dgrams);
		if (n == -EAGAIN)
			return;
		if (n < 0 && !udp_err_listener(u, id))
			return;
		for (i = 0; i < n; i++)
			udp_from_listener(u, id, &dgrams[i]);
		if (n >= 0 && n < UDP_BATCH)
			return;
	}
}

void udp_listen_event(void *ctx, union epoll_ref ref, uint32_t events)
{
	struct udp *u = ctx;

	if (events & EPOLLERR)
		udp_err_listener(u, ref.id);
	udp_listen_read(u, ref.id, UDP_ROUNDS);
}

void udp_catch_up(struct udp *u, struct udp_flow *f)
{
	if (!f->young)
		return;
	f->young = false;
	u->reading = &f->f;
	udp_listen_read(u, f->listener, CATCH_UP_ROUNDS);
	u->reading = NULL;
}

void udp_sock_event(void *ctx, union epoll_ref ref, uint32_t events)
{
	struct udp *u = ctx;
	struct udp_flow *f;
	unsigned side;

	f = (struct udp_flow *)flow_at(u->flows, ref.id, FLOW_UDP);
	if (!f)
		return;
	side = f->f.pif[INISIDE] == PIF_TAP ? TGTSIDE : INISIDE;
	if (f->fd[side] < 0)
		return;
	if (events & EPOLLERR)
		udp_err_drain(u, f, side);
	udp_catch_up(u, f);
	udp_tap_read(u, f, events & EPOLLERR);
}

void udp_flow_resume(void *ctx, struct flow *flow)
{
	struct udp_flow *f = (struct udp_flow *)flow;
	struct udp *u = ctx;
	unsigned pending = f->pending, side;

	if (flow->pif[INISIDE] == PIF_TAP || flow->pif[TGTSIDE] == PIF_TAP) {
		udp_catch_up(u, f);
		udp_tap_read(u, f, true);
		return;
	}
	f->pending = 0;
	for (side = 0; side < 2; side++)
		if (pending & (1U << side))
			udp_splice_read(u, f, side);
}
