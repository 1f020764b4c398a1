/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP from the guest: segments to the socket
 *
 * All segments of one connection in a batch are looked at together: the last
 * ACK counts, payload in order goes to the socket with one sendmsg(), segments
 * out of order within the batch are put in order first. What is then still out
 * of order, or refused by the socket, is held if there is room (tcp/hold.c), and
 * not acknowledged.
 *
 * A byte is acknowledged once the socket of the host has taken it, not when the
 * far end has it (doc/architecture.md tells what that means). The acknowledged
 * edge, rcv_nxt, is thus exactly what was handed to the kernel.
 *
 * Acceptance follows RFC 9293 3.10.7 and RFC 5961 (challenge ACKs). Segments
 * that are not acceptable are answered with an ACK, which answers keep-alives
 * (RFC 9293 3.8.4) and zero-window probes as well.
 *
 * #syscalls recvfrom sendmsg shutdown(1=SHUT_WR)
 * #syscalls setsockopt(1=SOL_SOCKET,2=SO_KEEPALIVE)
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/csum.h"
#include "lib/log.h"
#include "tcp/conn.h"

/* Duplicate ACKs that tell a loss (RFC 5681 3.2) */
#define DUP_ACK_THRESHOLD 3

/* Least time between two challenge ACKs of a connection, ms (RFC 5961 10) */
#define CHALLENGE_INTERVAL 500

/* Payload buffers of a batch handed to the socket at once */
#define INPUT_IOVS 256

/**
 * struct tcp_rx - What is collected from the segments of a batch
 * @expect:	Next sequence number, behind what was collected
 * @iov, @niov:	Payload in order
 * @nbytes:	Its size
 * @acked:	Data bytes newly acknowledged, to be discarded
 * @late:	Segments beyond @expect, kept for another look
 * @nlate:	How many
 * @fin:	FIN at @expect
 * @fin_acked:	Our FIN was acknowledged
 * @retransmit:	The guest misses the segment at snd_una
 * @dup_acks:	ACKs owed to segments out of order
 * @request:	All there is is one small segment with new data
 */
struct tcp_rx {
	uint32_t expect;
	struct iovec iov[INPUT_IOVS];
	size_t niov;
	size_t nbytes;
	uint32_t acked;
	struct tcp_seg late[TAP_RX_MAX];
	unsigned nlate;
	bool fin, fin_acked, retransmit;
	unsigned dup_acks;
	bool request;
};

bool tcp_seg_parse(struct tcp *tcp, const struct packet *p,
		   const struct packet_group *g, struct tcp_seg *seg)
{
	struct iov_tail tail = p->l4;
	struct tcphdr store;
	const struct tcphdr *th = IOV_PULL(&tail, &store);
	uint32_t sum;

	if (!th || th->doff < sizeof(*th) / 4)
		goto bad;
	seg->optlen = (uint8_t)(th->doff * 4 - sizeof(*th));
	if (iov_tail_copy(&tail, seg->opts, seg->optlen) != seg->optlen ||
	    !iov_tail_drop(&tail, seg->optlen))
		goto bad;
	if (!p->csum_ok) {
		sum = inany_v4(&g->src)
			      ? csum_pseudo4(g->src.v4.a4, g->dst.v4.a4,
					     IPPROTO_TCP, p->l4.len)
			      : csum_pseudo6(&g->src.a6, &g->dst.a6,
					     IPPROTO_TCP, p->l4.len);
		if (csum_fold(csum_tail(&p->l4, sum)) != 0xffff) {
			tcp->stats.bad_csum++;
			return false;
		}
	}
	seg->seq = ntohl(th->seq);
	seg->ack = ntohl(th->ack_seq);
	seg->wnd = ntohs(th->window);
	seg->flags = th->th_flags;
	seg->payload = tail;
	seg->len = (uint32_t)tail.len;
	return true;
bad:
	tcp->stats.bad_segment++;
	debug_limited("Malformed TCP segment from guest dropped");
	return false;
}

/* A challenge ACK is due, if the last one is some time ago */
static void tcp_challenge(struct tcp *tcp, struct tcp_conn *c)
{
	if (c->challenged && tcp_since(tcp, c->challenged) < CHALLENGE_INTERVAL)
		return;
	c->challenged = tcp_now(tcp);
	c->flags |= TCP_ACK_DUE;
	tcp->stats.challenge++;
}

/* RST: valid only at the very next sequence number (RFC 5961 3.2) */
static void tcp_input_rst(struct tcp *tcp, struct tcp_conn *c,
			  const struct tcp_seg *seg, uint32_t expect)
{
	if (seg->seq == expect || seg->seq == c->rcv_nxt) {
		tcp->stats.reset_in++;
		sock_close_rst(c->fd);
		c->fd = -1;
		tcp_event(c, TCP_EV_ABORT);
	} else if (SEQ_GT(seg->seq, c->rcv_nxt) &&
		   SEQ_LT(seg->seq, c->rcv_adv)) {
		tcp_challenge(tcp, c);
	} else {
		tcp->stats.out_of_window++;
		trace("Reset of guest dropped: out of window");
	}
}

/* SYN on a connection: the first one again, the answer to ours if both crossed
 * (RFC 9293 3.5, figure 8), or somebody guessing
 *
 * Return: true if the rest of the segment counts, as if SYN were not there
 */
static bool tcp_input_syn(struct tcp *tcp, struct tcp_conn *c,
			  struct tcp_seg *seg)
{
	if (c->st.phase != PHASE_SYN_RCVD || seg->seq != c->rcv_nxt - 1) {
		tcp_challenge(tcp, c); /* RFC 5961 4.2 */
		return false;
	}
	if (!(seg->flags & TH_ACK)) {
		tcp_send_flag(tcp, c, TH_SYN | TH_ACK, c->snd_una);
		return false;
	}
	seg->flags &= (uint8_t)~TH_SYN;
	seg->seq++;
	return true;
}

/* The guest asks: for the window if it is closed, else whether we are there;
 * then have the host probe its peer, too
 */
static void tcp_asked(struct tcp *tcp, struct tcp_conn *c)
{
	c->flags |= TCP_ACK_DUE;
	if (c->rcv_adv == c->rcv_nxt) {
		tcp_window_update(tcp, c, true);
		return;
	}
	tcp->stats.keepalives++;
	if (c->flags & TCP_KEEPALIVE)
		return;
	c->flags |= TCP_KEEPALIVE;
	sock_set_int(c->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

/**
 * tcp_in_window() - Is a segment of this connection, as far as numbers tell?
 * @c:		Connection
 * @seg:	Segment without SYN and RST
 * @expect:	Next sequence number in this batch
 *
 * More is let in than RFC 9293 3.10.7.4 asks for. On the right, a segment that
 * begins at the edge: it is what follows if all before it is lost. On the left,
 * duplicates as old as the largest window: they cannot bring payload, but what
 * they acknowledge may be news, as in a repetition by time-out.
 */
static bool tcp_in_window(const struct tcp_conn *c, const struct tcp_seg *seg,
			  uint32_t expect)
{
	uint32_t oldest = c->rcv_nxt - ((uint32_t)UINT16_MAX << tcp_our_ws(c));

	if (SEQ_GT(seg->seq, c->rcv_adv) && SEQ_GT(seg->seq, expect))
		return false;
	return SEQ_GE(seg->seq + seg->len, oldest);
}

/* The ACK that ends opening. Return: false if it does not (RST, 3.10.7.4) */
static bool tcp_input_opened(struct tcp *tcp, struct tcp_conn *c,
			     const struct packet_group *g,
			     const struct tcp_seg *seg)
{
	if (seg->ack != c->snd_una + 1) {
		tcp->stats.bad_ack++;
		tcp_send_rst(tcp, g, seg);
		return false;
	}
	c->snd_una = c->snd_nxt = c->snd_max = seg->ack;
	c->flags |= TCP_MORE;
	tcp_event(c, TCP_EV_SYN_ACKED);
	tcp_timer_restart(tcp, c);
	return true;
}

/* Neither of bytes never sent, nor older than any segment can be that is still
 * on its way (RFC 5961 5.2)
 */
static bool tcp_ack_ok(const struct tcp_conn *c, uint32_t ack)
{
	return SEQ_LE(ack, c->snd_max) &&
	       SEQ_GE(ack, c->snd_una - c->snd_wnd_max);
}

/**
 * tcp_acceptable() - Flags and sequence numbers of a segment
 * @tcp:	TCP
 * @c:		Connection
 * @g:		Group it is of
 * @seg:	Segment; a SYN that was expected is taken out
 * @expect:	Next sequence number in this batch
 *
 * Return: true if its ACK and payload are to be looked at
 */
static bool tcp_acceptable(struct tcp *tcp, struct tcp_conn *c,
			   const struct packet_group *g, struct tcp_seg *seg,
			   uint32_t expect)
{
	if (seg->flags & TH_RST) {
		tcp_input_rst(tcp, c, seg, expect);
		return false;
	}
	if (seg->flags & TH_SYN && !tcp_input_syn(tcp, c, seg))
		return false;
	/* Nothing was received yet that could be repeated but the SYN */
	if (!tcp_in_window(c, seg, expect) ||
	    (c->st.phase == PHASE_SYN_RCVD && SEQ_LT(seg->seq, c->rcv_nxt))) {
		tcp->stats.out_of_window++;
		trace("Segment of guest dropped: out of window, it is %u + %u",
		      c->rcv_nxt, c->rcv_adv - c->rcv_nxt);
		tcp_challenge(tcp, c);
		return false;
	}
	if (!(seg->flags & TH_ACK)) {
		tcp->stats.bad_segment++;
		return false;
	}
	if (c->st.phase == PHASE_SYN_RCVD && !tcp_input_opened(tcp, c, g, seg))
		return false;
	if (!tcp_ack_ok(c, seg->ack)) {
		tcp->stats.bad_ack++;
		trace("Segment of guest dropped: it acknowledges what is not "
		      "in %u + %u",
		      c->snd_una, c->snd_max - c->snd_una);
		tcp_challenge(tcp, c);
		return false;
	}
	return true;
}

/* Segments in flight, to know how many duplicate ACKs can be hoped for */
static bool tcp_dup_ack_enough(const struct tcp_conn *c)
{
	uint32_t segs = (tcp_inflight(c) + c->mss - 1) / c->mss;

	if (segs > DUP_ACK_THRESHOLD)
		return c->dup_acks == DUP_ACK_THRESHOLD;
	return c->dup_acks == (segs > 2 ? segs - 1 : 1); /* RFC 5827 3.1 */
}

/* An ACK that repeats the last one: is something missing? */
static void tcp_dup_ack(struct tcp *tcp, struct tcp_conn *c, struct tcp_rx *rx)
{
	if (c->dup_acks < UINT8_MAX)
		c->dup_acks++;
	if (c->flags & TCP_RECOVERY || !tcp_dup_ack_enough(c))
		return;
	/* Answers to what a timeout, or the last recovery, sent in vain */
	if (SEQ_LT(c->snd_una, c->recover))
		return;
	c->flags |= TCP_RECOVERY;
	c->recover = c->snd_nxt;
	tcp_lost(c);
	tcp->stats.fast_retransmit++;
	rx->retransmit = true;
}

/* Send more: twice as much each round trip up to where half of it was lost,
 * then a segment more (RFC 5681 3.1); without losses there is no limit
 */
static void tcp_grow(struct tcp_conn *c, uint32_t acked)
{
	if (c->cwnd >= UINT32_MAX / 2)
		return;
	if (c->cwnd < c->ssthresh)
		c->cwnd += acked < c->cwnd ? acked : c->cwnd;
	else
		c->cwnd += (uint32_t)((uint64_t)acked * c->mss / c->cwnd) + 1;
}

/* New data acknowledged */
static void tcp_new_ack(struct tcp *tcp, struct tcp_conn *c, struct tcp_rx *rx,
			uint32_t ack)
{
	uint32_t acked = ack - c->snd_una;

	/* The FIN is the last thing we ever send */
	if (c->flags & TCP_FIN_ONCE && ack == c->snd_max) {
		rx->fin_acked = true;
		acked--;
	}
	tcp_note_bulk(tcp, c, tcp_inflight(c));
	rx->acked += acked;
	c->snd_una = ack;
	if (SEQ_GT(ack, c->snd_nxt))
		c->snd_nxt =
			ack; /* more arrived than we knew before going back */
	tcp_grow(c, acked);
	c->dup_acks = 0;
	tcp_timer_restart(tcp, c);
	if (!(c->flags & TCP_RECOVERY)) {
		if (SEQ_LT(c->recover, ack))
			c->recover = ack; /* or it would wrap around */
		return;
	}
	if (SEQ_GE(ack, c->recover))
		c->flags &= (uint16_t)~TCP_RECOVERY;
	else
		rx->retransmit = true; /* the next hole (RFC 6582 3.2) */
}

/* ACK and window of an acceptable segment */
static void tcp_input_ack(struct tcp *tcp, struct tcp_conn *c,
			  struct tcp_rx *rx, const struct tcp_seg *seg)
{
	uint32_t wnd = (uint32_t)seg->wnd << c->guest_ws;

	if (SEQ_LT(seg->ack, c->snd_una))
		return;
	/* Overtaken by newer ones: its window is not news (RFC 9293 3.10.7.4) */
	if (seg->ack == c->snd_una && SEQ_LT(seg->seq, c->snd_wl1))
		return;
	c->snd_wl1 = seg->seq;
	if (SEQ_GT(seg->ack, c->snd_una))
		tcp_new_ack(tcp, c, rx, seg->ack);
	else if (!seg->len && wnd == c->snd_wnd && tcp_inflight(c) &&
		 !(seg->flags & TH_FIN))
		tcp_dup_ack(tcp, c, rx);
	if (wnd && !c->snd_wnd)
		tcp_timer_restart(tcp, c);
	c->snd_wnd = wnd;
	if (wnd > c->snd_wnd_max)
		c->snd_wnd_max = wnd;
}

/**
 * tcp_collect() - Take payload and FIN of a segment if they are next
 * @tcp:	TCP: counters
 * @c:		Connection
 * @rx:		Collected
 * @seg:	Segment, trimmed by what was there already
 *
 * Return: false if bytes before it are missing, or no more buffers can be taken
 */
static bool tcp_collect(struct tcp *tcp, struct tcp_conn *c, struct tcp_rx *rx,
			struct tcp_seg *seg)
{
	uint32_t skip = rx->expect - seg->seq;
	int n;

	if (SEQ_GT(seg->seq, rx->expect))
		return false;
	if (rx->fin || c->st.fin & TCP_GUEST_FIN || skip > seg->len) {
		c->flags |= TCP_ACK_DUE; /* old, or behind the end */
		tcp->stats.seen_before++;
		return true;
	}
	if (skip && skip == seg->len && !(seg->flags & TH_FIN)) {
		c->flags |= TCP_ACK_DUE;
		tcp->stats.seen_before++;
		return true;
	}
	if (skip)
		rx->request = false; /* our ACK may be lost */
	iov_tail_drop(&seg->payload, skip);
	seg->seq += skip;
	seg->len -= skip;
	if (seg->payload.len) {
		n = iov_tail_iov(&seg->payload, rx->iov + rx->niov,
				 INPUT_IOVS - rx->niov);
		if (n < 0)
			return false; /* with the next call */
		rx->niov += (size_t)n;
		rx->nbytes += seg->payload.len;
		rx->expect += (uint32_t)seg->payload.len;
		c->flags |= TCP_ACK_DUE;
	}
	if (seg->flags & TH_FIN)
		rx->fin = true;
	return true;
}

/* What is held and follows. Return: is there any? */
static bool tcp_collect_held(struct tcp_conn *c, struct tcp_rx *rx)
{
	uint32_t from = rx->expect;

	if (rx->fin || c->st.fin & TCP_GUEST_FIN || !tcp_held_ready(c, from))
		return false;
	rx->niov += tcp_held_iov(c, &rx->expect, rx->iov + rx->niov,
				 INPUT_IOVS - rx->niov);
	rx->nbytes += rx->expect - from;
	rx->fin = c->fin_held && rx->expect == c->fin_seq;
	return rx->expect != from;
}

/* Segments that came early: another look until nothing fits any more; the rest
 * is held
 */
static void tcp_collect_late(struct tcp *tcp, struct tcp_conn *c,
			     struct tcp_rx *rx)
{
	bool progress = tcp_collect_held(c, rx) || rx->nlate;
	unsigned i, left = rx->nlate;

	while (progress && left) {
		progress = false;
		for (i = 0, left = 0; i < rx->nlate; i++) {
			if (tcp_collect(tcp, c, rx, &rx->late[i]))
				progress = true;
			else
				rx->late[left++] = rx->late[i];
		}
		rx->nlate = left;
		progress |= tcp_collect_held(c, rx);
	}
	tcp->stats.out_of_order += left;
	if (left)
		trace("%u segments of guest came early: %u is missing", left,
		      rx->expect);
	/* Nothing follows a FIN */
	for (i = 0; i < left && !rx->fin && !(c->st.fin & TCP_GUEST_FIN); i++) {
		struct tcp_seg *seg = &rx->late[i];

		if (seg->flags & TH_FIN)
			tcp_hold_fin(c, seg->seq + (uint32_t)seg->payload.len);
		if (!tcp_hold(c, seg->seq, &seg->payload))
			tcp->stats.not_held++;
	}
	/* One duplicate ACK for each (RFC 5681 3.2), more than three say no more */
	rx->dup_acks = left > DUP_ACK_THRESHOLD ? DUP_ACK_THRESHOLD : left;
}

/* Bytes acknowledged by the guest need not be kept in the queue any more */
static void tcp_discard(struct tcp *tcp, struct tcp_conn *c, uint32_t n)
{
	while (n && c->fd >= 0) {
		ssize_t rc = recv(c->fd, NULL, n, MSG_TRUNC | MSG_DONTWAIT);

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0) {
			/* they were there when we peeked */
			debug_limited("TCP: %u bytes missing in queue", n);
			tcp_reset(tcp, c);
			return;
		}
		n -= (uint32_t)rc;
		c->peek_off -= c->peek_off < (uint32_t)rc ? c->peek_off
							  : (uint32_t)rc;
	}
}

/* The socket did not take all of it, which is rare by the choice of the window.
 * The rest is held until there is room: tcp_writable(). Asked for even if the
 * buffer looks free: others may be short of memory, or tcp_notsent_lowat the
 * limit. What cannot be held the guest is told to send again.
 */
static void tcp_refused(struct tcp *tcp, struct tcp_conn *c, struct tcp_rx *rx,
			size_t sent)
{
	struct iov_tail rest = iov_tail_init(rx->iov, rx->niov, sent);

	tcp->stats.partial_send++;
	c->flags |= TCP_PARTIAL;
	c->careful = true;
	if (!tcp_hold(c, c->rcv_nxt, &rest) || rest.len)
		c->dropped = true;
	else if (rx->fin)
		tcp_hold_fin(c, rx->expect);
	rx->fin = false;
	tcp_want_out(tcp, c);
	if (!(c->flags & TCP_WAIT_OUT))
		c->starved = true;
}

/* Hand collected payload to the socket */
static void tcp_deliver(struct tcp *tcp, struct tcp_conn *c, struct tcp_rx *rx)
{
	struct msghdr mh = { .msg_iov = rx->iov, .msg_iovlen = rx->niov };
	ssize_t sent;

	if (!rx->nbytes)
		return;
	do {
		sent = sendmsg(c->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN && errno != ENOBUFS &&
	    errno != ENOMEM) {
		/* The peer is gone; what it had sent is still for the guest,
		 * and tcp_output() resets behind that
		 */
		c->flags |= TCP_SOCK_ERR | TCP_MORE;
		rx->fin = false;
		tcp_held_free(c);
		if (c->st.fin & TCP_FIN_SENT)
			tcp_reset(tcp, c);
		return;
	}
	if (sent < 0)
		sent = 0;
	c->rcv_nxt += (uint32_t)sent;
	if (SEQ_GT(c->rcv_nxt, c->rcv_adv))
		c->rcv_adv = c->rcv_nxt;
	if ((size_t)sent < rx->nbytes)
		tcp_refused(tcp, c, rx, (size_t)sent);
	else
		c->flags &= (uint16_t)~TCP_PARTIAL;
	tcp_held_drop(c);
	tcp_window_update(tcp, c, c->flags & TCP_PARTIAL);
}

/* FIN of the guest, all data before it taken by the socket */
static void tcp_input_fin(struct tcp_conn *c)
{
	if (!tcp_event(c, TCP_EV_GUEST_FIN))
		return;
	c->rcv_nxt++;
	if (SEQ_GT(c->rcv_nxt, c->rcv_adv))
		c->rcv_adv = c->rcv_nxt;
	c->flags |= TCP_ACK_DUE;
	tcp_held_free(c); /* nothing follows a FIN */
	shutdown(c->fd, SHUT_WR);
}

/* Nothing collected yet */
static void tcp_rx_init(const struct tcp_conn *c, struct tcp_rx *rx)
{
	rx->expect = c->rcv_nxt;
	rx->niov = rx->nbytes = 0;
	rx->acked = 0;
	rx->nlate = rx->dup_acks = 0;
	rx->fin = rx->fin_acked = rx->retransmit = rx->request = false;
}

void tcp_input_held(struct tcp *tcp, struct tcp_conn *c)
{
	static struct tcp_rx rx;

	while (c->st.phase == PHASE_ESTABLISHED) {
		tcp_rx_init(c, &rx);
		if (!tcp_collect_held(c, &rx) && !rx.fin)
			return;
		tcp_deliver(tcp, c, &rx);
		if (rx.expect == c->rcv_nxt)
			c->flags |= TCP_ACK_DUE;
		if (rx.fin && c->st.phase == PHASE_ESTABLISHED)
			tcp_input_fin(c);
		if (c->flags & (TCP_PARTIAL | TCP_SOCK_ERR))
			return;
	}
}

/* Look at all segments. Return: false if the connection is over */
static bool tcp_input_segs(struct tcp *tcp, struct tcp_conn *c,
			   const struct packet_group *g, struct tcp_rx *rx)
{
	const struct packet *p;
	struct tcp_seg seg;

	for (p = g->first; p; p = p->next) {
		if (!tcp_seg_parse(tcp, p, g, &seg))
			continue;
		if (!tcp_acceptable(tcp, c, g, &seg, rx->expect)) {
			if (c->st.phase == PHASE_CLOSED)
				return false;
			continue;
		}
		if (seg.seq == c->rcv_nxt - 1 && seg.len <= 1 &&
		    !(seg.flags & TH_FIN) && rx->expect == c->rcv_nxt)
			tcp_asked(tcp, c);
		else if (!seg.len && SEQ_LT(seg.seq, c->rcv_nxt))
			tcp_challenge(tcp, c); /* old: not acceptable */
		tcp_input_ack(tcp, c, rx, &seg);
		if (!(seg.len || seg.flags & TH_FIN))
			continue;
		if (!tcp_collect(tcp, c, rx, &seg) && rx->nlate < TAP_RX_MAX)
			rx->late[rx->nlate++] = seg;
	}
	return true;
}

/* What the acknowledgements of a batch have as consequences */
static void tcp_input_acked(struct tcp *tcp, struct tcp_conn *c,
			    struct tcp_rx *rx)
{
	tcp_discard(tcp, c, rx->acked);
	if (rx->fin_acked && c->st.phase == PHASE_ESTABLISHED) {
		tcp_event(c, TCP_EV_FIN_SENT); /* if it had been taken back */
		tcp_event(c, TCP_EV_FIN_ACKED);
		c->flags &= (uint16_t)~TCP_MORE;
	}
	if (rx->retransmit && c->st.phase == PHASE_ESTABLISHED &&
	    tcp_inflight(c))
		tcp_retransmit(tcp, c);
}

/* May the ACK wait for a reply to carry it? Not if the guest waits for more than
 * one (RFC 9293 3.8.6.3), if no reply came last time, or if none can come.
 */
static bool tcp_ack_can_wait(const struct tcp *tcp, const struct tcp_conn *c,
			     const struct tcp_rx *rx)
{
	return c->flags & TCP_DIALOGUE && rx->request && !rx->fin &&
	       c->st.phase == PHASE_ESTABLISHED &&
	       !(c->st.fin & TCP_FIN_SENT) && !c->held &&
	       !(c->flags & (TCP_PARTIAL | TCP_WAIT_OUT)) && !tcp->ack_far;
}

void tcp_input(struct tcp *tcp, struct tcp_conn *c,
	       const struct packet_group *g)
{
	static struct tcp_rx rx;
	unsigned i;
	bool due;

	tcp_rx_init(c, &rx);
	rx.request = !g->first->next && !(c->flags & TCP_ACK_DUE);

	c->heard = tcp_now(tcp);
	if (!tcp_input_segs(tcp, c, g, &rx))
		return;
	tcp_collect_late(tcp, c, &rx);
	tcp_input_acked(tcp, c, &rx);
	if (c->st.phase == PHASE_SYN_RCVD && c->flags & TCP_ACK_DUE)
		tcp_send_flag(tcp, c, TH_ACK, c->snd_nxt);
	if (c->st.phase != PHASE_ESTABLISHED)
		return;
	rx.request &= rx.nbytes && rx.nbytes < c->mss;
	tcp_deliver(tcp, c, &rx);
	tcp_lag(tcp, c);
	if (rx.fin && c->st.phase == PHASE_ESTABLISHED)
		tcp_input_fin(c);
	else if (!(c->flags & TCP_PARTIAL))
		tcp_input_held(tcp, c); /* more than one call took */
	if (c->flags & TCP_MORE)
		tcp_output(tcp, c);
	/* Closed by the last FIN: the guest still has to know it arrived */
	if (c->fd < 0)
		return;
	if (tcp_ack_can_wait(tcp, c, &rx)) {
		c->flags |= TCP_ACK_LATER;
		return;
	}
	c->flags &= (uint16_t)~TCP_ACK_LATER;
	due = c->flags & TCP_ACK_DUE;
	if (due && tcp_send_ack(tcp, c) && c->st.phase == PHASE_CLOSED)
		c->flags |= TCP_LAST;
	/* Without payload, or they do not count as duplicates */
	for (i = 0; i < rx.dup_acks; i++)
		tcp_send_dup_ack(tcp, c, i + due);
}
