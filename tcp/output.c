/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP towards the guest: from the socket's queue to segments
 *
 * Payload is received with MSG_PEEK straight into frames lent by the tap and
 * stays in the socket's queue until the guest acknowledges it: the kernel's
 * buffer is our retransmission queue. SO_PEEK_OFF makes the kernel remember how
 * far was peeked; without it the bytes in flight are received again each time,
 * into a buffer nobody reads.
 *
 * That buffer grows by itself with what is taken from it in a round trip, but Linux
 * (seen with 6.18) looks when data is peeked at, and leaves out what is in the
 * queue then: of what comes at once, as behind a long wire, that is all of it. The
 * window would stay as small as it was, for ever. So we ask for more when we see
 * that, by setting SO_RCVLOWAT, and back: no buffer is smaller than what a reader
 * waits for, and other than with SO_RCVBUF it still grows by itself.
 *
 * Sockets are edge-triggered: whoever stops before the queue is empty must
 * leave TCP_MORE behind, and somebody to come back: the guest's ACK (window),
 * the tap (blocked), or the next turn (budget).
 *
 * #syscalls recvmsg setsockopt(1=SOL_SOCKET,2=SO_PEEK_OFF/SO_RCVLOWAT)
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "guest.h"
#include "lib/log.h"
#include "tap.h"
#include "tcp/conn.h"

/* Receives for one connection before others have their turn, if there are none now,
 * and if there are
 */
#define OUTPUT_ROUNDS        4
#define OUTPUT_ROUNDS_SHARED 1

/* Where bytes already sent go when the kernel has no SO_PEEK_OFF */
static uint8_t discard[TCP_INFLIGHT_NO_PEEK_OFF];

/* Headers above TCP's */
static struct l3_spec tcp_l3(const struct tcp *tcp, const struct tcp_conn *c)
{
	const struct flowside *s = tcp_tapside(c);

	return (struct l3_spec){ .src = &s->oaddr,
				 .dst = &s->eaddr,
				 .proto = IPPROTO_TCP,
				 .flow_label = flow_idx(tcp->flows, &c->f) +
					       1 };
}

/* Write a TCP header; the checksum field holds the pseudo-header sum */
static void tcp_push_hdr(void *p, const struct l3_spec *l3,
			 const struct tcp_hdr_spec *h, size_t paylen)
{
	size_t hlen = sizeof(struct tcphdr) + h->optlen;
	struct tcphdr th = { .source = htons(h->sport),
			     .dest = htons(h->dport),
			     .seq = htonl(h->seq),
			     .ack_seq = htonl(h->ack),
			     .window = htons(h->wnd),
			     .check = frame_pseudo(l3, hlen + paylen) };

	th.doff = (hlen / 4) & 0xf;
	th.th_flags = h->flags;
	memcpy(p, &th, sizeof(th));
	if (h->optlen)
		memcpy((uint8_t *)p + sizeof(th), h->opts, h->optlen);
}

/* Fill all headers of one frame */
static void tcp_push(struct tcp *tcp, struct frame *f, const struct l3_spec *l3,
		     const struct tcp_hdr_spec *h, size_t paylen)
{
	size_t hlen = sizeof(struct tcphdr) + h->optlen;
	uint8_t *p = tap_push_l3(tcp->tap, f, l3, hlen + paylen);

	tcp_push_hdr(p, l3, h, paylen);
	f->csum_start = (uint16_t)(p - f->hdr);
	f->csum_off = offsetof(struct tcphdr, check);
	f->len = f->hdrlen + paylen;
}

/* One frame without payload */
static int tcp_send_bare(struct tcp *tcp, const struct l3_spec *l3,
			 const struct tcp_hdr_spec *h)
{
	struct batch *b;

	b = tap_reserve(tcp->tap, 1,
			frame_l3_len(inany_v4(l3->src)) +
				sizeof(struct tcphdr) + h->optlen,
			0);
	if (!b)
		return -EAGAIN;
	tcp_push(tcp, &b->frame[0], l3, h, 0);
	tap_submit(tcp->tap, b, 1);
	return 0;
}

/* Most payload of a segment we would like to get: what the link carries */
static uint16_t tcp_our_mss(const struct tcp *tcp, const struct tcp_conn *c)
{
	bool v4 = inany_v4(&tcp_tapside(c)->eaddr);
	unsigned mtu = tcp->mtu ? tcp->mtu : TAP_MTU_MAX;

	return (uint16_t)(mtu - sizeof(struct tcphdr) -
			  (v4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr)));
}

/* tcp_send_flag(), the @nth in a row */
static int tcp_send_nth(struct tcp *tcp, struct tcp_conn *c, uint8_t flags,
			uint32_t seq, unsigned nth)
{
	const struct flowside *s = tcp_tapside(c);
	struct tcp_syn_opts so = { .mss = tcp_our_mss(tcp, c), .wscale = -1 };
	bool syn = flags & TH_SYN;
	struct l3_spec l3 = tcp_l3(tcp, c);
	uint8_t opts[TCP_OPTS_MAX];
	struct tcp_hdr_spec h = { .sport = s->oport,
				  .dport = s->eport,
				  .seq = seq,
				  .ack = flags & TH_ACK
						 ? c->rcv_nxt - c->ack_lag
						 : 0,
				  .flags = flags,
				  .wnd = tcp_window_field(c, syn),
				  .opts = opts };
	int rc;

	if (syn) {
		/* Scaling is offered with our SYN, confirmed with a SYN-ACK
		 * only if it was offered (RFC 7323 2.2)
		 */
		if (!(flags & TH_ACK) || c->flags & TCP_WS_OK)
			so.wscale = TCP_OUR_WSCALE;
		so.sack_ok = !(flags & TH_ACK) || c->sack_ok;
		h.optlen = tcp_opt_build(opts, &so);
	} else if (c->held && c->sack_ok && flags == TH_ACK) {
		h.optlen = tcp_held_sack(c, nth, opts);
	}
	rc = tcp_send_bare(tcp, &l3, &h);
	if (!rc && flags & TH_ACK)
		c->flags &= (uint16_t)~TCP_ACK_DUE;
	return rc;
}

int tcp_send_flag(struct tcp *tcp, struct tcp_conn *c, uint8_t flags,
		  uint32_t seq)
{
	return tcp_send_nth(tcp, c, flags, seq, 0);
}

void tcp_send_dup_ack(struct tcp *tcp, struct tcp_conn *c, unsigned nth)
{
	tcp_send_nth(tcp, c, TH_ACK, c->snd_nxt, nth);
}

int tcp_send_ack(struct tcp *tcp, struct tcp_conn *c)
{
	int rc = tcp_send_flag(tcp, c, TH_ACK, c->snd_nxt);

	if (rc)
		tcp_block(tcp, c);
	return rc;
}

void tcp_send_rst(struct tcp *tcp, const struct packet_group *g,
		  const struct tcp_seg *seg)
{
	struct l3_spec l3 = { .src = &g->dst,
			      .dst = &g->src,
			      .proto = IPPROTO_TCP };
	struct tcp_hdr_spec h = { .sport = g->dport,
				  .dport = g->sport,
				  .flags = TH_RST };

	if (seg->flags & TH_ACK) {
		h.seq = seg->ack;
	} else {
		h.flags |= TH_ACK;
		h.ack = seg->seq + seg->len + !!(seg->flags & TH_SYN) +
			!!(seg->flags & TH_FIN);
	}
	tcp_send_bare(tcp, &l3, &h);
	tcp->stats.reset_out++;
}

void tcp_block(struct tcp *tcp, struct tcp_conn *c)
{
	if (c->flags & TCP_TAP_BLOCKED)
		return;
	tcp_opened(tcp, c); /* a flow is in one list at most */
	c->flags |= TCP_TAP_BLOCKED;
	flow_list_add(tcp->flows, &tcp->blocked, &c->f);
}

void tcp_unblock(struct tcp *tcp, struct tcp_conn *c)
{
	if (!(c->flags & TCP_TAP_BLOCKED))
		return;
	c->flags &= (uint16_t)~TCP_TAP_BLOCKED;
	flow_list_del(tcp->flows, &tcp->blocked, &c->f);
}

/* Most payload of one frame, and how it is to be cut */
static size_t tcp_frame_payload(const struct tcp *tcp, const struct tcp_conn *c)
{
	size_t gso = tcp->tap->facts.gso_tcp;

	return gso > c->mss ? gso / c->mss * c->mss : c->mss;
}

/* Cut a payload run to @bytes. Return: entries of it in use */
static size_t tcp_trim_iov(struct batch *b, size_t bytes)
{
	struct iovec *iov = BATCH_IOV(b);
	size_t i;

	for (i = 0; i < b->iovcnt && bytes; i++) {
		if (iov[i].iov_len > bytes)
			iov[i].iov_len = bytes;
		bytes -= iov[i].iov_len;
	}
	return i;
}

/**
 * tcp_peek() - Receive into frames without taking from the queue
 * @tcp:	TCP
 * @c:		Connection
 * @b:		Frames
 * @off:	Bytes of the queue to pass: what is in flight before them
 * @max:	Bytes wanted at most
 *
 * Return: bytes, 0 at the end of data, -errno
 */
static ssize_t tcp_peek(struct tcp *tcp, struct tcp_conn *c, struct batch *b,
			uint32_t off, size_t max)
{
	struct msghdr mh = { .msg_iov = BATCH_IOV(b) };
	ssize_t len;

	mh.msg_iovlen = tcp_trim_iov(b, max);
	if (tcp->features->peek_off) {
		int rc = c->peek_off == off
				 ? 0
				 : sock_set_int(c->fd, SOL_SOCKET, SO_PEEK_OFF,
						(int)off);

		if (rc)
			return rc;
		c->peek_off = off;
	} else if (off) {
		mh.msg_iov--;
		mh.msg_iovlen++;
		mh.msg_iov[0].iov_base = discard;
		mh.msg_iov[0].iov_len = off;
	}
	do {
		len = recvmsg(c->fd, &mh, MSG_PEEK | MSG_DONTWAIT);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	if (tcp->features->peek_off) {
		c->peek_off += (uint32_t)len;
		return len;
	}
	if ((size_t)len < off)
		return -EIO; /* the queue shrank under us */
	if ((size_t)len == off && off)
		return (c->flags & (TCP_RDHUP | TCP_URGENT)) == TCP_RDHUP
			       ? 0
			       : -EAGAIN;
	return len - (ssize_t)off;
}

/* Headers of frames that hold @len bytes from @seq on. Return: frames */
static unsigned tcp_push_data(struct tcp *tcp, struct tcp_conn *c,
			      struct batch *b, uint32_t seq, size_t len,
			      size_t payload)
{
	const struct flowside *s = tcp_tapside(c);
	struct l3_spec l3 = tcp_l3(tcp, c);
	bool v4 = inany_v4(&s->eaddr);
	struct tcp_hdr_spec h = { .sport = s->oport,
				  .dport = s->eport,
				  .seq = seq,
				  .ack = c->rcv_nxt - c->ack_lag,
				  .flags = TH_ACK,
				  .wnd = tcp_window_field(c, false) };
	unsigned n;

	for (n = 0; len; n++) {
		struct frame *f = &b->frame[n];
		size_t part = len < payload ? len : payload;

		len -= part;
		if (!len)
			h.flags |= TH_PUSH;
		tcp_push(tcp, f, &l3, &h, part);
		if (part > c->mss) {
			f->gso = v4 ? FRAME_GSO_TCP4 : FRAME_GSO_TCP6;
			f->gso_size = c->mss;
		}
		h.seq += (uint32_t)part;
	}
	c->flags &= (uint16_t)~TCP_ACK_DUE;
	return n;
}

/**
 * tcp_send_data() - One batch of segments
 * @tcp:	TCP
 * @c:		Connection
 * @seq:	First byte, at least snd_una
 * @maxp:	Bytes at most, not 0; filled with what was really asked for
 *
 * Return: bytes sent, 0 at the end of data, -EAGAIN if there are none now,
 *	   -EBUSY if the tap is blocked (the flow waits for it), -ENOMEM if the
 *	   kernel has no memory now (a timer comes back), other -errno
 */
static ssize_t tcp_send_data(struct tcp *tcp, struct tcp_conn *c, uint32_t seq,
			     size_t *maxp)
{
	size_t hdrlen = frame_l3_len(inany_v4(&tcp_tapside(c)->eaddr)) +
			sizeof(struct tcphdr);
	size_t payload = tcp_frame_payload(tcp, c), max = *maxp;
	size_t want = (max + payload - 1) / payload;
	struct batch *b;
	ssize_t len;

	if (want > tcp->tap->facts.batch)
		want = tcp->tap->facts.batch;
	if (want == 1 && max < payload)
		payload = max;
	b = tap_reserve(tcp->tap, (unsigned)want, hdrlen, payload);
	if (!b) {
		tcp_block(tcp, c);
		return -EBUSY;
	}
	if (max > b->n * payload)
		max = b->n * payload;
	*maxp = max;
	len = tcp_peek(tcp, c, b, seq - c->snd_una, max);
	tap_submit(tcp->tap, b,
		   len > 0 ? tcp_push_data(tcp, c, b, seq, (size_t)len, payload)
			   : 0);
	if (len != -ENOBUFS && len != -ENOMEM)
		return len;
	c->starved = true;
	return -ENOMEM;
}

/* Bytes that came at once: have the kernel take several times as much */
static void tcp_widen(struct tcp_conn *c, uint32_t bytes)
{
	unsigned wide = c->wide;

	while (bytes >> wide > TCP_BURST_BYTES)
		wide++;
	if (wide == c->wide)
		return;
	c->wide = wide & 0xf;
	sock_set_int(c->fd, SOL_SOCKET, SO_RCVLOWAT,
		     (4 * TCP_BURST_BYTES) << wide);
	sock_set_int(c->fd, SOL_SOCKET, SO_RCVLOWAT, 1);
}

/* Nothing was in flight, now @bytes will be, or a FIN: from here on the guest's ACK
 * is waited for. Sending again what a timeout took back is no progress, though.
 */
static void tcp_flight_begins(struct tcp *tcp, struct tcp_conn *c,
			      uint32_t bytes)
{
	tcp_note_bulk(tcp, c, bytes);
	if (c->snd_nxt == c->snd_max)
		c->retries = 0;
	c->base = tcp_now(tcp);
}

/* Send FIN once all data is out */
static void tcp_output_fin(struct tcp *tcp, struct tcp_conn *c)
{
	tcp_event(c, TCP_EV_EOF);
	if (c->st.fin & TCP_FIN_SENT)
		return;
	if (tcp_send_flag(tcp, c, TH_FIN | TH_ACK, c->snd_nxt)) {
		tcp_block(tcp, c);
		return;
	}
	if (!tcp_inflight(c))
		tcp_flight_begins(tcp, c, 0);
	tcp_event(c, TCP_EV_FIN_SENT);
	c->flags |= TCP_FIN_ONCE;
	c->snd_nxt++;
	if (SEQ_GT(c->snd_nxt, c->snd_max))
		c->snd_max = c->snd_nxt;
	c->flags &= (uint16_t)~TCP_MORE;
}

void tcp_note_bulk(struct tcp *tcp, const struct tcp_conn *c, uint32_t bytes)
{
	uint64_t span = tcp->loop->now / TCP_BULK_SPAN_MS;

	if (bytes < TCP_BULK_BYTES ||
	    c->base / TCP_BULK_SPAN_MS == tcp_now(tcp) / TCP_BULK_SPAN_MS)
		return;
	if (span != tcp->bulk_span) {
		tcp->bulk = span == tcp->bulk_span + 1 ? tcp->bulk_now : 0;
		tcp->bulk_now = 0;
		tcp->bulk_span = span;
	}
	tcp->bulk_now++;
}

/* What one of several connections may have in flight */
static uint32_t tcp_share(const struct tcp *tcp)
{
	unsigned n = tcp->bulk_now > tcp->bulk ? tcp->bulk_now : tcp->bulk;
	uint32_t share = TCP_SHARE_ALL / (n ? n : 1);

	return share > TCP_SHARE_MIN ? share : TCP_SHARE_MIN;
}

/* Bytes the guest's window, and losses, leave room for */
static uint32_t tcp_send_room(const struct tcp *tcp, const struct tcp_conn *c)
{
	uint32_t wnd = c->snd_wnd, inflight = tcp_inflight(c);
	uint32_t max = tcp->features->peek_off ? TCP_INFLIGHT_MAX
					       : TCP_INFLIGHT_NO_PEEK_OFF;
	uint32_t share = tcp_share(tcp);

	if (max > share)
		max = share;
	if (wnd > max)
		wnd = max;
	if (c->cwnd < wnd) {
		/* It grows by slivers, which are no segments */
		wnd = c->cwnd > inflight ? c->cwnd - inflight : 0;
		return wnd - wnd % c->mss;
	}
	return wnd > inflight ? wnd - inflight : 0;
}

void tcp_output(struct tcp *tcp, struct tcp_conn *c)
{
	unsigned rounds = tcp->tap->company ? OUTPUT_ROUNDS_SHARED
					    : OUTPUT_ROUNDS;
	/* Has what comes not waited for the guest, and come at once? */
	const bool burst = !tcp_inflight(c) &&
			   tcp_since(tcp, c->base) >= TCP_BURST_GAP;

	for (; rounds; rounds--) {
		size_t room = tcp_send_room(tcp, c);
		ssize_t len;

		if (c->st.phase != PHASE_ESTABLISHED ||
		    c->st.fin & TCP_FIN_SENT)
			return;
		c->flags |= TCP_MORE;
		if (!room)
			return;
		len = tcp_send_data(tcp, c, c->snd_nxt, &room);
		if (len == -EBUSY || len == -ENOMEM)
			return;
		if (len == -EAGAIN) {
			/* Without SO_PEEK_OFF there is no way to look behind
			 * an urgent mark before the guest's ACK
			 */
			if (!(c->flags & TCP_URGENT) || !tcp_inflight(c) ||
			    tcp->features->peek_off)
				c->flags &= (uint16_t)~TCP_MORE;
			if (c->flags & TCP_SOCK_ERR)
				tcp_reset(tcp, c);
			return;
		}
		if (len < 0) {
			tcp_reset(tcp, c);
			return;
		}
		if (!len && c->flags & TCP_SOCK_ERR) {
			tcp_reset(tcp, c);
			return;
		}
		if (!len) {
			tcp_output_fin(tcp, c);
			return;
		}
		if (!tcp_inflight(c))
			tcp_flight_begins(tcp, c, (uint32_t)len);
		if (tcp_since(tcp, c->heard) < TCP_ACK_DELAY)
			c->flags |= TCP_DIALOGUE;
		c->snd_nxt += (uint32_t)len;
		if (SEQ_GT(c->snd_nxt, c->snd_max))
			c->snd_max = c->snd_nxt;
		if (burst)
			tcp_widen(c, tcp_inflight(c));
		/* A short read empties the queue, but for urgent marks; news
		 * come with an event
		 */
		if ((size_t)len < room &&
		    !(c->flags & (TCP_RDHUP | TCP_SOCK_ERR | TCP_URGENT))) {
			c->flags &= (uint16_t)~TCP_MORE;
			return;
		}
	}
	flow_defer(tcp->flows, &c->f);
}

void tcp_rewind(struct tcp_conn *c)
{
	c->flags &= (uint16_t)~TCP_REPEAT;
	tcp_event(c, TCP_EV_REWIND);
	c->snd_nxt = c->snd_una;
	c->flags |= TCP_MORE;
}

void tcp_retransmit(struct tcp *tcp, struct tcp_conn *c)
{
	size_t data = tcp_inflight(c) - !!(c->st.fin & TCP_FIN_SENT);
	size_t max = tcp_frame_payload(tcp, c);
	ssize_t len;

	c->flags &= (uint16_t)~TCP_REPEAT;
	tcp->stats.retransmit++;
	if (!data) {
		if (tcp_send_flag(tcp, c, TH_FIN | TH_ACK, c->snd_una)) {
			c->flags |= TCP_REPEAT;
			tcp_block(tcp, c);
		}
		return;
	}
	if (max > data)
		max = data;
	len = tcp_send_data(tcp, c, c->snd_una, &max);
	if (len == -EBUSY || len == -ENOMEM)
		c->flags |= TCP_REPEAT;
	else if (len < 0 && len != -EAGAIN)
		tcp_reset(tcp, c);
}
