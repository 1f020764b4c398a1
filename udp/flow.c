/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Life of UDP flows: begun by the guest or at a listener, ended by time or need
 *
 * UDP has no connections, so a flow is what a NAT makes of it: two sides, found
 * by hash, kept while datagrams pass. It is unused for nf_conntrack_udp_timeout
 * at most, or nf_conntrack_udp_timeout_stream once it went both ways more than
 * once. The timer is not moved for each datagram: when it is due, it looks at
 * the time of the last one.
 *
 * Flows are also kept in two lists in the order of use, those that own sockets
 * and those that do not, so that a table or a descriptor limit found full costs
 * the one unused for longest, in constant time.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "udp/internal.h"

/* Ports tried if peers that differ would look the same to the guest */
#define PORT_TRIES 16
#define PORT_FIRST 49152 /* RFC 6335 section 6, dynamic ports */
#define PORT_STEP  4099

static struct udp_flow *at(const struct udp *u, uint32_t idx)
{
	return (struct udp_flow *)(void *)(u->flows->slots +
					   (size_t)idx * FLOW_SLOT);
}

/* Which of its links a list uses */
static struct udp_link *link_of(struct udp *u, const struct udp_list *l,
				uint32_t idx)
{
	return l == &u->waiting ? &at(u, idx)->wait : &at(u, idx)->lru;
}

static void list_add(struct udp *u, struct udp_list *l, uint32_t idx)
{
	struct udp_link *k = link_of(u, l, idx);

	k->prev = l->tail;
	k->next = FLOW_NONE;
	if (l->tail != FLOW_NONE)
		link_of(u, l, l->tail)->next = idx;
	else
		l->head = idx;
	l->tail = idx;
}

static void list_del(struct udp *u, struct udp_list *l, uint32_t idx)
{
	struct udp_link *k = link_of(u, l, idx);

	if (k->prev != FLOW_NONE)
		link_of(u, l, k->prev)->next = k->next;
	else
		l->head = k->next;
	if (k->next != FLOW_NONE)
		link_of(u, l, k->next)->prev = k->prev;
	else
		l->tail = k->prev;
}

/* List of those in use that a flow belongs to */
static struct udp_list *lru_of(struct udp *u, const struct udp_flow *f)
{
	return &u->lru[f->fd[INISIDE] >= 0 || f->fd[TGTSIDE] >= 0];
}

void udp_lru_add(struct udp *u, struct udp_flow *f)
{
	list_add(u, lru_of(u, f), flow_idx(u->flows, &f->f));
}

void udp_flow_touch(struct udp *u, struct udp_flow *f, unsigned side,
		    unsigned n)
{
	unsigned seen = f->seen[side] + n;
	struct udp_list *l = lru_of(u, f);
	uint32_t idx = flow_idx(u->flows, &f->f);

	f->seen[side] = seen > UDP_SEEN_STREAM ? UDP_SEEN_STREAM
					       : (uint8_t)seen;
	f->last = u->loop->now;
	if (l->tail == idx)
		return;
	list_del(u, l, idx);
	list_add(u, l, idx);
}

void udp_flow_wait(struct udp *u, struct udp_flow *f)
{
	u->stats.tap_blocked++;
	if (f->waiting)
		return;
	f->waiting = true;
	list_add(u, &u->waiting, flow_idx(u->flows, &f->f));
}

void udp_tap_ready(struct udp *u)
{
	while (u->waiting.head != FLOW_NONE) {
		struct udp_flow *f = at(u, u->waiting.head);

		list_del(u, &u->waiting, u->waiting.head);
		f->waiting = false;
		flow_defer(u->flows, &f->f);
	}
}

bool udp_flow_evict(void *ctx, bool fd)
{
	struct udp *u = ctx;
	uint32_t i = u->lru[1].head;

	if (!fd &&
	    (i == FLOW_NONE || (u->lru[0].head != FLOW_NONE &&
				at(u, u->lru[0].head)->last < at(u, i)->last)))
		i = u->lru[0].head;
	if (i == FLOW_NONE || &at(u, i)->f == u->reading)
		return false;
	u->stats.evicted++;
	debug_limited(
		"UDP: closing the flow unused for longest, %s are used up",
		fd ? "descriptors" : "flows");
	udp_flow_close(u, &at(u, i)->f);
	return true;
}

void udp_flow_close(void *ctx, struct flow *flow)
{
	struct udp_flow *f = (struct udp_flow *)flow;
	uint32_t idx;
	struct udp *u = ctx;
	unsigned side;

	idx = flow_idx(u->flows, flow);
	if (f->waiting)
		list_del(u, &u->waiting, idx);
	list_del(u, lru_of(u, f), idx);
	for (side = 0; side < 2; side++)
		if (f->fd[side] >= 0)
			close(f->fd[side]);
	if (u->reading == flow)
		u->reading = NULL;
	flow_free(u->flows, flow);
}

void udp_flow_timer(void *ctx, struct flow *flow)
{
	struct udp_flow *f = (struct udp_flow *)flow;
	struct udp *u = ctx;
	uint64_t idle, life = u->timeout;

	if (f->seen[INISIDE] >= UDP_SEEN_STREAM &&
	    f->seen[TGTSIDE] >= UDP_SEEN_STREAM)
		life = u->timeout_stream;
	idle = u->loop->now - f->last;
	if (idle >= life)
		udp_flow_close(u, flow);
	else
		loop_arm(u->loop, &flow->timer, life - idle);
}

/* Take a slot, from another flow if need be; not in any list yet */
static struct udp_flow *flow_alloc(struct udp *u)
{
	struct udp_flow *f;

	f = (struct udp_flow *)flow_new(u->flows, FLOW_UDP);
	if (!f) {
		u->stats.table_full++;
		return NULL;
	}
	f->f.proto = IPPROTO_UDP;
	f->fd[INISIDE] = f->fd[TGTSIDE] = -1;
	f->listener = FLOW_NONE;
	f->room = UDP_ROOM_MIN;
	f->want = UDP_WANT_MIN;
	return f;
}

/* Watch a socket. Edge-triggered: what the tap cannot take stays in the socket
 * without waking us again.
 */
static int watch(struct udp *u, struct udp_flow *f, unsigned side)
{
	bool tap = f->f.pif[!side] == PIF_TAP;
	union epoll_ref ref = { { .type = tap ? EPOLL_UDP : EPOLL_UDP_SPLICE,
				  .side = (uint8_t)side,
				  .id = flow_idx(u->flows, &f->f) } };

	return loop_add(u->loop, f->fd[side], EPOLLIN | EPOLLET, ref);
}

/* A flow is complete: have it found, timed, watched. On failure it is gone. */
static struct udp_flow *flow_start(struct udp *u, struct udp_flow *f)
{
	unsigned side;

	udp_lru_add(u, f);
	f->last = u->loop->now;
	for (side = 0; side < 2; side++) {
		if (f->fd[side] >= 0 && watch(u, f, side)) {
			u->stats.no_fd++;
			udp_flow_close(u, &f->f);
			return NULL;
		}
		/* Sides that frames, or datagrams of a listener, come from;
		 * and what we send to groups, see is_echo()
		 */
		if (f->f.pif[side] == PIF_TAP || side == INISIDE ||
		    f->unconnected)
			flow_hash_side(u->flows, &f->f, side);
	}
	loop_arm(u->loop, &f->f.timer, u->timeout);
	u->stats.flows++;
	flow_begin(u->flows, &f->f);
	return f;
}

/* Give back a flow that flow_start() has not seen */
static void flow_drop(struct udp *u, struct udp_flow *f)
{
	unsigned side;

	for (side = 0; side < 2; side++)
		if (f->fd[side] >= 0)
			close(f->fd[side]);
	flow_free(u->flows, &f->f);
}

/* No socket to be had: said seldom, counted always */
static void no_socket(struct udp *u, int rc)
{
	u->stats.no_fd++;
	if (rc == -EMFILE || rc == -ENFILE)
		warn_limited("UDP: no descriptor for a new flow, datagrams are "
			     "dropped: raise the limit of open files");
	else
		debug_limited("UDP: no socket for a new flow: %s", errstr(rc));
}

struct udp_flow *udp_flow_from_tap(struct udp *u, const struct flowside *tap,
				   int *err)
{
	struct flowside host;
	struct udp_flow *f;
	int fd;

	*err = 0;
	if (!fwd_from_tap(u->fwd, IPPROTO_UDP, tap, &host)) {
		u->stats.bad_datagram++;
		return NULL;
	}
	f = flow_alloc(u);
	if (!f)
		return NULL;
	f->f.pif[INISIDE] = PIF_TAP;
	f->f.side[INISIDE] = *tap;
	f->f.pif[TGTSIDE] = PIF_HOST;
	f->f.side[TGTSIDE] = host;

	fd = udp_open_host(u, f);
	if ((fd == -EMFILE || fd == -ENFILE) &&
	    flow_evict(u->flows, FLOW_UDP, true))
		fd = udp_open_host(u, f);
	if (fd < 0) {
		no_socket(u, fd);
		flow_drop(u, f);
		*err = -fd;
		return NULL;
	}
	f->fd[TGTSIDE] = fd;
	return flow_start(u, f);
}

/* May what was sent to @local belong to a flow, by our address? Of one begun by a
 * broadcast, the socket knows it; to the guest, who may have begun it, all are one.
 *
 * #syscalls getsockname
 */
static bool is_local(const struct udp_flow *f, unsigned side,
		     const union inany_addr *local)
{
	union inany_addr a = f->f.side[side].oaddr;
	union sockaddr_any sa;
	socklen_t len = sizeof(sa);
	in_port_t port;

	if (f->f.pif[INISIDE] == PIF_TAP)
		return true;
	if (f->fd[side] >= 0 && (getsockname(f->fd[side], &sa.sa, &len) ||
				 inany_from_sockaddr(&a, &port, &sa)))
		return true;
	return inany_is_unspecified(&a) || inany_equals(&a, local);
}

/* Is a flow of this peer known on the tap? Another peer, or the same one that asked
 * at another port or address, must not look like it: choose another port for one of
 * them, for the answer has to come from where was asked.
 *
 * Return: flow, NULL if @tgt is free for a new one, or if not (@full)
 */
static struct udp_flow *tap_twin(struct udp *u, const struct flowside *ini,
				 const union inany_addr *local,
				 struct flowside *tgt, bool *full)
{
	unsigned i, side;

	*full = false;
	for (i = 0; i < PORT_TRIES; i++) {
		struct flow *o = flow_lookup(u->flows, IPPROTO_UDP, PIF_TAP,
					     tgt, &side);
		const struct flowside *s;

		if (!o)
			return NULL;
		s = &o->side[!side];
		if (inany_equals(&s->eaddr, &ini->eaddr) &&
		    s->eport == ini->eport && s->oport == ini->oport &&
		    is_local((struct udp_flow *)o, !side, local))
			return (struct udp_flow *)o;
		tgt->oport = (in_port_t)(PORT_FIRST | (tgt->oport + PORT_STEP));
	}
	*full = true;
	return NULL;
}

/* Sockets of a flow begun at a listener, which stands in for one we lack.
 *
 * Return: 0, or -errno if the flow cannot be without
 */
static int open_both(struct udp *u, struct udp_flow *f,
		     const union inany_addr *local)
{
	int fd;

	if (f->f.pif[TGTSIDE] != PIF_TAP) {
		fd = udp_open_target(u, f);
		if ((fd == -EMFILE || fd == -ENFILE) &&
		    flow_evict(u->flows, FLOW_UDP, true))
			fd = udp_open_target(u, f);
		if (fd < 0)
			return fd;
		f->fd[TGTSIDE] = fd;
	}
	fd = udp_open_peer(u, f, local);
	if (fd < 0) {
		u->stats.no_fd++;
		debug_limited("UDP: %s, sending by the listening socket",
			      errstr(fd));
		return 0;
	}
	f->fd[INISIDE] = fd;
	f->young = true;
	return 0;
}

/* Is it what the guest itself sent to a group, and a listener got as well? */
static bool is_echo(const struct udp *u, const struct flowside *ini,
		    const struct udp_dgram *d)
{
	const struct flowside sent = {
		.oaddr = inany_v4(&d->dst) ? inany_any4 : inany_any6,
		.oport = d->sport,
		.eaddr = d->dst,
		.eport = ini->oport,
	};

	return flow_lookup(u->flows, IPPROTO_UDP, PIF_HOST, &sent, NULL) &&
	       udp_is_ours(&d->src, d->scope);
}

struct udp_flow *udp_flow_from_listener(struct udp *u, uint32_t id,
					const struct flowside *ini,
					const struct udp_dgram *d)
{
	const struct fwd_rule *rule = u->fwd->listener[id].rule;
	struct flowside tgt = { 0 };
	struct udp_flow *f;
	enum pif pif;
	bool full;
	int rc;

	if (rule->pif == PIF_HOST && is_echo(u, ini, d)) {
		u->stats.stray++;
		return NULL;
	}
	pif = fwd_from_listener(u->fwd, rule, ini, &tgt);
	if (pif == PIF_NONE || (pif != PIF_TAP && !ini->eport)) {
		u->stats.bad_datagram++;
		return NULL;
	}
	/* Nobody can answer for a group, or to port 0: nothing to remember */
	if (pif == PIF_TAP && (inany_is_multicast(&tgt.eaddr) || !ini->eport)) {
		udp_tap_datagram(u, &tgt, NULL, 0, d->buf, d->len);
		return NULL;
	}
	if (pif == PIF_TAP) {
		f = tap_twin(u, ini, &d->local, &tgt, &full);
		if (f || full) {
			u->stats.stray += full;
			return f;
		}
	}

	f = flow_alloc(u);
	if (!f)
		return NULL;
	f->f.pif[INISIDE] = rule->pif;
	f->f.side[INISIDE] = *ini;
	f->f.pif[TGTSIDE] = (uint8_t)pif;
	f->f.side[TGTSIDE] = tgt;
	f->listener = id;
	f->listen6 = d->v6;
	f->scope = d->scope;
	rc = open_both(u, f, &d->local);
	if (rc) {
		no_socket(u, rc);
		flow_drop(u, f);
		return NULL;
	}
	u->stats.spliced += pif != PIF_TAP;
	return flow_start(u, f);
}
