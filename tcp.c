/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP: segments of the guest to sockets of the host and back
 *
 * Theory of operation
 *
 * Each connection of the guest is two: one between the guest and us, whose peer
 * we play on the tap, and one of the kernel between the host and the far end.
 * We keep sequence numbers and windows of the first, and no data at all:
 *
 *   guest -> host	payload goes from the frame into the socket; what the
 *			socket took is acknowledged; the window offered is what
 *			it will take next (tcp/input.c, tcp/window.c)
 *   host -> guest	payload is peeked at in the socket's queue, sent, and
 *			discarded once the guest acknowledges it; the guest's
 *			window limits what is sent, and so, by the queue that
 *			fills, the far end (tcp/output.c)
 *
 * Opening: a SYN of the guest makes us connect(), and is answered only once
 * that succeeded: with SYN-ACK, or RST, or an ICMP error that says why not. A
 * connection accepted from the host makes us send a SYN; if the guest refuses,
 * the peer is reset.
 *
 * Closing: tcp/state.c. Deadlines: tcp/timer.c. Connections over loopback,
 * between host and namespace, never see the tap: tcp/splice.c.
 *
 * Sockets are watched once, edge-triggered, for all events; nothing is changed
 * there but to have EPOLLOUT looked at anew (tcp/window.c).
 *
 * Limits: options understood are MSS and window scale. Urgent data is passed on
 * as ordinary data. Segments out of order between batches are dropped, and
 * asked for by duplicate ACKs.
 *
 * RFCs: 9293 (TCP), 7323 (window scale), 5681 and 6582 (fast retransmit), 6298
 * (timers), 5961 (blind attacks), 6528 (initial sequence numbers).
 *
 * #syscalls accept4 getsockname close
 * #syscalls socket(0=AF_INET,1&0xf=SOCK_DGRAM,2=IPPROTO_UDP)
 * #syscalls setsockopt(1=SOL_SOCKET,2=SO_OOBINLINE/SO_PEEK_OFF)
 * #syscalls setsockopt(1=IPPROTO_TCP,2=TCP_NODELAY)
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/icmpv6.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fwd.h"
#include "guest.h"
#include "icmp_error.h"
#include "lib/fdio.h"
#include "lib/log.h"
#include "tap.h"
#include "tcp/conn.h"
#include "tcp/splice.h"
#include "wire/tcp_opt.h"

/* Connections accepted from one listener in one turn */
#define ACCEPT_MAX 64

/* SYNs repeated towards the guest at most, whatever the sysctl says */
#define SYN_RETRIES_MAX 7

/* A guest asking for less gets this (Linux, TCP_MIN_MSS) */
#define MSS_MIN 88

/* Ports tried to tell apart two peers that look the same to the guest */
#define PORT_TRIES 16

int tcp_init(struct tcp *tcp)
{
	unsigned long n = read_file_uint("/proc/sys/net/ipv4/tcp_syn_retries",
					 0, 6);
	const char *ack = getenv("PASST_TCP_ACK");

	tcp->syn_retries = n < SYN_RETRIES_MAX ? (unsigned)n : SYN_RETRIES_MAX;
	tcp->ack_far = ack && !strcmp(ack, "far");
	tcp_splice_init();
	tcp->opening = tcp->blocked = (struct flow_list){ 0, 0 };
	tcp->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (getrandom(&tcp->isn_key, sizeof(tcp->isn_key), 0) !=
	    (ssize_t)sizeof(tcp->isn_key))
		return -errno;
	return 0;
}

/* Connection of a flow of type FLOW_TCP */
static struct tcp_conn *tcp_conn(struct flow *f)
{
	return (struct tcp_conn *)(void *)f;
}

/* Initial sequence number: hash of the addresses plus a 4 us clock (RFC 6528) */
static uint32_t tcp_isn(const struct tcp *tcp, const struct flowside *s)
{
	struct {
		union inany_addr a, b;
		in_port_t ap, bp;
	} key = { s->oaddr, s->eaddr, s->oport, s->eport };

	return (uint32_t)(siphash(&tcp->isn_key, &key, sizeof(key)) +
			  tcp->loop->now * 250);
}

bool tcp_event(struct tcp_conn *c, enum tcp_event ev)
{
	char side[FLOWSIDE_STRLEN];
	struct tcp_state next;
	bool ok = tcp_next(c->st, ev, &next);

	if (ok && log_enabled(LOG_TRACE))
		trace("TCP of guest %s: %s, %s to %s",
		      flowside_text(tcp_tapside(c), side, sizeof(side)),
		      tcp_event_name(ev), tcp_phase_name(c->st.phase),
		      tcp_phase_name(next.phase));
	c->st = next;
	return ok;
}

void tcp_opened(struct tcp *tcp, struct tcp_conn *c)
{
	if (!c->opening)
		return;
	c->opening = false;
	flow_list_del(tcp->flows, &tcp->opening, &c->f);
}

bool tcp_settle(struct tcp *tcp, struct tcp_conn *c)
{
	if (c->opening &&
	    (c->st.phase == PHASE_ESTABLISHED || c->st.phase == PHASE_CLOSED))
		tcp_opened(tcp, c);
	if (c->st.phase != PHASE_CLOSED) {
		tcp_timer_arm(tcp, c);
		return true;
	}
	if (c->flags & TCP_LAST) {
		wheel_cancel(&tcp->loop->wheel, &c->f.timer);
		return true;
	}
	tcp_unblock(tcp, c);
	tcp_held_free(c);
	if (c->fd >= 0)
		close(c->fd);
	flow_free(tcp->flows, &c->f);
	return false;
}

/* The last segment of a closed connection: RST, or ACK if it ended well */
static void tcp_send_last(struct tcp *tcp, struct tcp_conn *c)
{
	uint8_t flags = c->fd < 0 ? TH_RST | TH_ACK : TH_ACK;

	if (!c->mss) /* no SYN came: there is nothing to acknowledge */
		flags = TH_RST;

	c->flags &= (uint16_t)~TCP_LAST;
	if (tcp_send_flag(tcp, c, flags, c->snd_nxt)) {
		c->flags |= TCP_LAST;
		tcp_block(tcp, c);
	}
}

void tcp_reset(struct tcp *tcp, struct tcp_conn *c)
{
	if (c->st.phase == PHASE_CLOSED)
		return;
	if (c->st.phase == PHASE_CONNECTING)
		c->snd_nxt = 0; /* nothing was sent, whatever was prepared */
	tcp->stats.reset_out++;
	if (c->fd >= 0)
		sock_close_rst(c->fd);
	c->fd = -1;
	tcp_event(c, TCP_EV_ABORT);
	tcp_send_last(tcp, c);
}

/* MSS, window scale and SACK of the guest's SYN or SYN-ACK */
static void tcp_take_syn(struct tcp *tcp, struct tcp_conn *c,
			 const struct tcp_seg *seg)
{
	bool v4 = inany_v4(&tcp_tapside(c)->eaddr);
	unsigned mtu = tcp->mtu ? tcp->mtu : TAP_MTU_MAX;
	unsigned max = mtu - (unsigned)frame_l3_len(v4) -
		       (unsigned)sizeof(struct tcphdr) +
		       (unsigned)sizeof(struct ether_header);
	struct tcp_syn_opts o;

	tcp_opt_parse(seg->opts, seg->optlen, &o);
	if (!o.mss)
		o.mss = v4 ? TCP_MSS_DEFAULT4 : TCP_MSS_DEFAULT6;
	if (o.mss < MSS_MIN)
		o.mss = MSS_MIN;
	c->mss = o.mss < max ? o.mss : (uint16_t)max;
	c->rcv_nxt = c->rcv_adv = seg->seq + 1;
	c->snd_wnd = c->snd_wnd_max = seg->wnd;
	c->snd_wl1 = seg->seq;
	if (o.wscale >= 0) {
		c->flags |= TCP_WS_OK;
		c->guest_ws = (uint8_t)o.wscale;
	}
	c->sack_ok = o.sack_ok;
}

/* What is the same for connections from both sides. Return: 0, or -errno */
static int tcp_setup(struct tcp *tcp, struct tcp_conn *c)
{
	union epoll_ref ref = { .type = EPOLL_TCP,
				.id = flow_idx(tcp->flows, &c->f) };
	int rc;

	c->f.proto = IPPROTO_TCP;
	c->cwnd = c->ssthresh = UINT32_MAX / 2;
	c->base = c->heard = tcp_now(tcp);
	c->snd_una = c->recover = tcp_isn(tcp, tcp_tapside(c));
	c->snd_nxt = c->snd_max = c->snd_una + 1;
	flow_hash_side(tcp->flows, &c->f, tcp_tapside_nr(c));

	/* Urgent data stays where it stands in the stream */
	sock_set_int(c->fd, SOL_SOCKET, SO_OOBINLINE, 1);
	/* The guest's TCP decides when to send what, not Nagle's algorithm */
	sock_set_int(c->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (tcp->features->peek_off) {
		rc = sock_set_int(c->fd, SOL_SOCKET, SO_PEEK_OFF, 0);
		if (rc)
			return rc;
	}
	rc = loop_add(tcp->loop, c->fd, TCP_EVENTS_MASK, ref);
	if (rc)
		return rc;
	c->opening = true;
	flow_list_add(tcp->flows, &tcp->opening, &c->f);
	flow_begin(tcp->flows, &c->f);
	return 0;
}

/* connect() succeeded: now the guest may know */
static void tcp_connected(struct tcp *tcp, struct tcp_conn *c)
{
	tcp_event(c, TCP_EV_CONNECTED);
	tcp_window_update(tcp, c, true);
	tcp_timer_restart(tcp, c);
	tcp_send_flag(tcp, c, TH_SYN | TH_ACK, c->snd_una);
}

/* Tell by ICMP why connect() failed, quoting the guest's SYN. Return: false if RST
 * is the answer
 */
static bool tcp_refuse_icmp(struct tcp *tcp, const struct tcp_conn *c,
			    int error)
{
	const struct flowside *s = tcp_tapside(c);
	const struct guest_if *gif = guest_if_of(tcp->tap->guest, &s->eaddr);
	bool v4 = inany_v4(&s->eaddr);
	struct tcphdr th = { .source = htons(s->eport),
			     .dest = htons(s->oport),
			     .seq = htonl(c->rcv_nxt - 1) };
	struct icmp_quote q = { .src = &s->eaddr,
				.dst = &s->oaddr,
				.proto = IPPROTO_TCP,
				.l4 = &th,
				.l4len = sizeof(th),
				.l4len_orig = sizeof(th) };
	uint8_t type, code;

	th.doff = sizeof(th) / 4;
	th.th_flags = TH_SYN;
	return error != ECONNREFUSED && error != EMSGSIZE &&
	       icmp_error_of(error, v4, &type, &code) &&
	       !icmp_error_send(tcp->tap, &gif->our, type, code, 0, &q);
}

/* connect() failed */
static void tcp_refuse(struct tcp *tcp, struct tcp_conn *c, int error)
{
	tcp->stats.refused++;
	debug_limited("TCP: connection of guest failed: %s", errstr(error));
	if (tcp_refuse_icmp(tcp, c, error))
		tcp_event(c, TCP_EV_ABORT);
	else
		tcp_reset(tcp, c);
}

/* Start connecting for a SYN of the guest. Return: 0, or -errno for RST */
static int tcp_open_from_tap(struct tcp *tcp, const struct flowside *tap,
			     const struct flowside *host,
			     const struct tcp_seg *seg)
{
	const struct fwd_map *map = fwd_map_of(tcp->fwd, &host->eaddr);
	struct tcp_conn *c = tcp_conn(flow_new(tcp->flows, FLOW_TCP));
	int rc;

	if (!c) {
		tcp->stats.table_full++;
		return -ENFILE;
	}
	c->fd = fwd_socket(tcp->fwd, IPPROTO_TCP, host, 0);
	if ((c->fd == -EMFILE || c->fd == -ENFILE) &&
	    flow_evict(tcp->flows, FLOW_TCP, true))
		c->fd = fwd_socket(tcp->fwd, IPPROTO_TCP, host, 0);
	if (c->fd < 0) {
		rc = c->fd;
		tcp->stats.no_fd++;
		warn_limited("No socket for TCP connection of guest: %s",
			     errstr(rc));
		flow_free(tcp->flows, &c->f);
		return rc;
	}
	c->f.pif[INISIDE] = PIF_TAP;
	c->f.pif[TGTSIDE] = PIF_HOST;
	c->f.side[INISIDE] = *tap;
	c->f.side[TGTSIDE] = *host;
	tcp_event(c, TCP_EV_SYN);
	tcp_take_syn(tcp, c, seg);
	tcp->stats.opened_tap++;

	rc = sock_connect(c->fd, &host->eaddr, host->eport, map->scope);
	if (!rc || rc == -EINPROGRESS) {
		int setup = tcp_setup(tcp, c);

		if (setup)
			rc = setup;
	}
	if (!rc)
		tcp_connected(tcp, c);
	else if (rc != -EINPROGRESS)
		tcp_refuse(tcp, c, -rc);
	tcp_settle(tcp, c);
	return 0;
}

/* First segment of a connection we do not know */
static void tcp_input_new(struct tcp *tcp, const struct packet_group *g,
			  const struct flowside *tap)
{
	struct flowside host;
	struct tcp_seg seg;

	if (!tcp_seg_parse(tcp, g->first, g, &seg))
		return;
	if ((seg.flags & (TH_SYN | TH_ACK | TH_RST | TH_FIN)) != TH_SYN) {
		tcp->stats.no_flow++;
		if (!(seg.flags & TH_RST))
			tcp_send_rst(tcp, g, &seg);
		return;
	}
	if (!fwd_from_tap(tcp->fwd, IPPROTO_TCP, tap, &host)) {
		tcp->stats.bad_segment++;
		return;
	}
	if (tcp_open_from_tap(tcp, tap, &host, &seg))
		tcp_send_rst(tcp, g, &seg);
}

/* Segments while we wait for connect(): only giving up matters */
static void tcp_input_connecting(struct tcp *tcp, struct tcp_conn *c,
				 const struct packet_group *g)
{
	const struct packet *p;
	struct tcp_seg seg;

	for (p = g->first; p; p = p->next) {
		if (!tcp_seg_parse(tcp, p, g, &seg))
			continue;
		if (seg.flags & TH_RST && seg.seq == c->rcv_nxt)
			tcp_event(c, TCP_EV_ABORT);
		else
			tcp->stats.early++;
	}
}

/* The guest's SYN crossed ours: both are to be acknowledged (RFC 9293 3.5) */
static void tcp_input_crossed(struct tcp *tcp, struct tcp_conn *c,
			      const struct tcp_seg *seg)
{
	tcp_take_syn(tcp, c, seg);
	c->heard = tcp_now(tcp);
	tcp_event(c, TCP_EV_CROSSED);
	tcp_timer_restart(tcp, c);
	tcp_window_update(tcp, c, true);
	tcp_send_flag(tcp, c, TH_SYN | TH_ACK, c->snd_una);
}

/* Answer to our SYN (RFC 9293 3.10.7.3) */
static void tcp_input_syn_sent(struct tcp *tcp, struct tcp_conn *c,
			       const struct packet_group *g)
{
	struct tcp_seg seg;

	if (!tcp_seg_parse(tcp, g->first, g, &seg))
		return;
	if ((seg.flags & (TH_SYN | TH_ACK | TH_RST | TH_FIN)) == TH_SYN)
		tcp_input_crossed(tcp, c, &seg);
	if (!(seg.flags & TH_ACK)) {
		tcp->stats.bad_segment += !(seg.flags & TH_SYN);
		return;
	}
	if (seg.ack != c->snd_una + 1) {
		tcp->stats.bad_ack++;
		if (!(seg.flags & TH_RST))
			tcp_send_rst(tcp, g, &seg);
		return;
	}
	if (seg.flags & TH_RST) {
		tcp->stats.refused++;
		sock_close_rst(c->fd);
		c->fd = -1;
		tcp_event(c, TCP_EV_ABORT);
		return;
	}
	if (!(seg.flags & TH_SYN)) {
		tcp->stats.bad_segment++;
		return;
	}
	tcp_take_syn(tcp, c, &seg);
	c->snd_una++;
	c->heard = tcp_now(tcp);
	tcp_event(c, TCP_EV_SYN_ACKED);
	tcp_timer_restart(tcp, c);
	tcp_window_update(tcp, c, true);
	c->flags |= TCP_ACK_DUE;
	tcp_output(tcp, c);
	if (c->flags & TCP_ACK_DUE && c->st.phase == PHASE_ESTABLISHED)
		tcp_send_ack(tcp, c);
}

/* As many segments as the state of the connection is one. Return: how many */
static unsigned tcp_input_some(struct tcp *tcp, const struct packet_group *g,
			       const struct flowside *tap)
{
	struct tcp_conn *c = tcp_conn(
		flow_lookup(tcp->flows, IPPROTO_TCP, PIF_TAP, tap, NULL));
	unsigned n = g->n;

	if (!c) {
		tcp_input_new(tcp, g, tap);
		return 1;
	}
	switch (c->st.phase) {
	case PHASE_CONNECTING:
		tcp_input_connecting(tcp, c, g);
		break;
	case PHASE_SYN_SENT:
		tcp_input_syn_sent(tcp, c, g);
		n = 1;
		break;
	case PHASE_CLOSED: /* about to be told so */
		tcp->stats.no_flow += n;
		break;
	default:
		tcp_input(tcp, c, g);
	}
	tcp_settle(tcp, c);
	return n;
}

void tcp_tap_input(void *ctx, const struct packet_group *g)
{
	const struct flowside tap = { .oaddr = g->dst,
				      .eaddr = g->src,
				      .oport = g->dport,
				      .eport = g->sport };
	struct packet_group rest = *g;
	struct tcp *tcp = ctx;
	unsigned n;

	if (!tap.oport || !tap.eport) {
		tcp->stats.bad_segment++;
		return;
	}
	while (rest.n) {
		for (n = tcp_input_some(tcp, &rest, &tap); n; n--) {
			rest.first = rest.first->next;
			rest.n--;
		}
	}
}

/* The send buffer has room again: open the window, ask for what was refused */
static void tcp_writable(struct tcp *tcp, struct tcp_conn *c)
{
	uint32_t edge = c->rcv_adv, next = c->rcv_nxt;
	unsigned i;

	tcp_window_reopen(tcp, c);
	if (c->flags & TCP_WAIT_OUT)
		return;
	tcp_input_held(tcp, c);
	if (c->fd < 0)
		return;
	/* Without news it would be a duplicate that nobody asked for */
	if (c->rcv_adv != edge || c->rcv_nxt != next || c->dropped)
		tcp_send_ack(tcp, c);
	if (c->flags & TCP_PARTIAL)
		return;
	/* The update may change the window: it is no duplicate. Three that are
	 * make the guest send at once what could not be held (RFC 5681 3.2).
	 */
	for (i = 1; c->dropped && i <= 3; i++)
		tcp_send_dup_ack(tcp, c, i);
	c->dropped = false;
}

/* Socket of a connection past opening */
static void tcp_sock_open_event(struct tcp *tcp, struct tcp_conn *c,
				uint32_t events)
{
	if (events & (EPOLLRDHUP | EPOLLHUP))
		c->flags |= TCP_RDHUP;
	if (events & EPOLLERR)
		c->flags |= TCP_SOCK_ERR;
	if (events & EPOLLPRI)
		c->flags |= TCP_URGENT;
	if (events & ~(uint32_t)EPOLLOUT)
		c->flags |= TCP_MORE;
	if (c->st.phase != PHASE_ESTABLISHED) {
		if (events & EPOLLERR)
			tcp_reset(tcp, c);
		return;
	}
	if (events & EPOLLOUT && c->flags & TCP_WAIT_OUT)
		tcp_writable(tcp, c);
	if (events & ~(uint32_t)EPOLLOUT)
		tcp_output(tcp, c);
	/* Nothing more can be read after our FIN: then an error is the end */
	if (events & EPOLLERR && c->st.fin & TCP_FIN_SENT)
		tcp_reset(tcp, c);
}

void tcp_sock_event(void *ctx, union epoll_ref ref, uint32_t events)
{
	struct tcp *tcp = ctx;
	struct tcp_conn *c;
	int error;

	c = tcp_conn(flow_at(tcp->flows, ref.id, FLOW_TCP));
	if (!c || c->fd < 0)
		return;
	if (c->st.phase == PHASE_CONNECTING) {
		if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
			return;
		error = sock_error(c->fd);
		if (error)
			tcp_refuse(tcp, c, error);
		else
			tcp_connected(tcp, c);
	}
	if (c->st.phase != PHASE_CONNECTING && c->st.phase != PHASE_CLOSED)
		tcp_sock_open_event(tcp, c, events);
	tcp_settle(tcp, c);
}

/* Make the guest's view of a peer unique. Return: false if no port is left */
static bool tcp_unique_side(const struct tcp *tcp, struct flowside *tap)
{
	unsigned i;

	for (i = 0; i < PORT_TRIES; i++) {
		if (!flow_lookup(tcp->flows, IPPROTO_TCP, PIF_TAP, tap, NULL))
			return true;
		tap->oport = (in_port_t)(tap->oport + 1021);
		if (tap->oport < 1024)
			tap->oport += 1024;
	}
	return false;
}

/* A connection accepted for the guest. Return: false if it was not taken */
static bool tcp_open_from_host(struct tcp *tcp, int fd,
			       const struct flowside *host,
			       struct flowside *tap)
{
	struct tcp_conn *c;

	if (!tcp_unique_side(tcp, tap))
		return false;
	c = tcp_conn(flow_new(tcp->flows, FLOW_TCP));
	if (!c) {
		tcp->stats.table_full++;
		return false;
	}
	c->fd = fd;
	c->f.pif[INISIDE] = PIF_HOST;
	c->f.pif[TGTSIDE] = PIF_TAP;
	c->f.side[INISIDE] = *host;
	c->f.side[TGTSIDE] = *tap;
	tcp_event(c, TCP_EV_ACCEPT);
	if (tcp_setup(tcp, c)) {
		flow_free(tcp->flows, &c->f);
		return false;
	}
	tcp->stats.opened_host++;
	tcp_window_update(tcp, c, true);
	tcp_send_flag(tcp, c, TH_SYN, c->snd_una);
	tcp_settle(tcp, c);
	return true;
}

/* One accepted connection: where does it go? */
static void tcp_accepted(struct tcp *tcp, const struct fwd_listener *l, int fd,
			 const union sockaddr_any *peer)
{
	struct flowside ini = { 0 }, tgt = { 0 };
	union sockaddr_any local = { 0 };
	socklen_t len = sizeof(local);
	enum pif pif = PIF_NONE;
	bool taken = false;

	getsockname(fd, &local.sa, &len);
	if (!inany_from_sockaddr(&ini.eaddr, &ini.eport, peer) &&
	    !inany_from_sockaddr(&ini.oaddr, &ini.oport, &local))
		pif = fwd_from_listener(tcp->fwd, l->rule, &ini, &tgt);
	if (pif == PIF_SPLICE || pif == PIF_HOST) {
		taken = tcp_splice_new(tcp, fd, l->rule->pif, pif, &ini, &tgt);
	} else {
		if (pif == PIF_TAP)
			taken = tcp_open_from_host(tcp, fd, &ini, &tgt);
		if (!taken)
			sock_close_rst(fd);
	}
	tcp->stats.unserved += !taken;
}

/* No descriptor left: take the connection with the spare one and refuse it, or
 * it would be reported for ever
 */
static void tcp_refuse_accept(struct tcp *tcp, int listener)
{
	int fd;

	tcp->stats.no_fd++;
	warn_limited("Connection to forwarded port refused: no file descriptor "
		     "left (raise the limit, ulimit -n)");
	close(tcp->spare_fd);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		sock_close_rst(fd);
	/* Opening and copying something is nothing else we ever do: a socket */
	tcp->spare_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
}

void tcp_listen_event(void *ctx, union epoll_ref ref, uint32_t events)
{
	const struct fwd_listener *l;
	struct tcp *tcp = ctx;
	unsigned i;

	(void)events;
	if (ref.id >= tcp->fwd->nlisteners)
		return;
	l = &tcp->fwd->listener[ref.id];
	for (i = 0; i < ACCEPT_MAX; i++) {
		union sockaddr_any peer = { 0 };
		socklen_t len = sizeof(peer);
		int fd = accept4(l->fd, &peer.sa, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && errno != EMFILE && errno != ENFILE)
			return;
		if (fd < 0) {
			if (flow_evict(tcp->flows, FLOW_TCP, true))
				continue;
			tcp_refuse_accept(tcp, l->fd);
			return;
		}
		tcp_accepted(tcp, l, fd, &peer);
	}
}

void tcp_tap_ready(struct tcp *tcp)
{
	struct flow *f;

	while ((f = flow_list_first(tcp->flows, &tcp->blocked))) {
		tcp_unblock(tcp, tcp_conn(f));
		flow_defer(tcp->flows, f);
	}
	tcp->loop->busy = true;
}

void tcp_flow_resume(void *ctx, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);
	struct tcp *tcp = ctx;

	if (c->st.phase == PHASE_CLOSED && c->flags & TCP_LAST)
		tcp_send_last(tcp, c);
	if (c->st.phase == PHASE_ESTABLISHED) {
		tcp_input_held(tcp, c);
		tcp_lag(tcp, c);
		if (c->flags & TCP_REPEAT && tcp_inflight(c))
			tcp_retransmit(tcp, c);
		if (c->flags & TCP_MORE)
			tcp_output(tcp, c);
		if (c->flags & TCP_ACK_DUE && c->st.phase != PHASE_CLOSED)
			tcp_send_ack(tcp, c);
	}
	tcp_settle(tcp, c);
}

const char *tcp_flow_state(const struct flow *f)
{
	const struct tcp_conn *c = (const struct tcp_conn *)(const void *)f;

	return c->st.fin ? "CLOSING" : tcp_phase_name(c->st.phase);
}

bool tcp_flow_evict(void *ctx, bool fd)
{
	struct tcp *tcp = ctx;
	struct flow *f = flow_list_first(tcp->flows, &tcp->opening);

	(void)fd; /* all of them have one */
	if (!f)
		return false;
	tcp->stats.evicted++;
	debug_limited("TCP: giving up the oldest connection not yet open");
	tcp_flow_close(tcp, f);
	return true;
}

void tcp_flow_close(void *ctx, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);
	struct tcp *tcp = ctx;

	tcp_reset(tcp, c);
	c->flags &= (uint16_t)~TCP_LAST; /* now or never */
	tcp_settle(tcp, c);
}
