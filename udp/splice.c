/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Spliced flows: datagrams between sockets of the host and of the namespace
 *
 * What goes over loopback on both sides needs no frames: it is read from one
 * socket and written to the other. Errors cannot be raised on a socket of ours
 * for its peer to see, so they are read, counted, and end there.
 */
#include <errno.h>
#include <sys/epoll.h>

#include "udp/internal.h"

#define ERRORS_MAX 3

static struct udp_dgram dgrams[UDP_BATCH];

/* Was it sent by the peer of this side? */
static bool from_peer(const struct flowside *s, const struct udp_dgram *d)
{
	return d->sport == s->eport && inany_equals(&d->src, &s->eaddr);
}

/* A datagram as bytes to be sent, while @v lives */
static struct iov_tail tail_of(const struct udp_dgram *d, struct iovec *v)
{
	*v = (struct iovec){ d->buf, d->len };
	return iov_tail_init(v, 1, 0);
}

/* Counter of bytes sent to this side */
static uint64_t *bytes_to(struct udp *u, const struct udp_flow *f,
			  unsigned side)
{
	return f->f.pif[side] == PIF_SPLICE ? &u->stats.splice_tx_bytes
					    : &u->stats.splice_rx_bytes;
}

void udp_splice_datagram(struct udp *u, struct udp_flow *f, unsigned side,
			 const struct udp_dgram *d)
{
	struct iovec v;
	struct iov_tail t = tail_of(d, &v);

	*bytes_to(u, f, side) += d->len;
	udp_send_begin(u, f, side);
	udp_send_add(&t);
	udp_send_flush();
}

/* Move one batch. Return: datagrams read, or -errno */
static int move_batch(struct udp *u, struct udp_flow *f, unsigned side)
{
	const struct flowside *s = &f->f.side[side];
	uint64_t *bytes = bytes_to(u, f, !side);
	int i, n = udp_recv(f->fd[side], dgrams);
	static struct iovec v[UDP_BATCH];
	bool strays = false;

	if (n < 0)
		return n;
	udp_send_begin(u, f, !side);
	for (i = 0; i < n; i++) {
		struct iov_tail t = tail_of(&dgrams[i], &v[i]);

		if (from_peer(s, &dgrams[i])) {
			*bytes += t.len;
			udp_send_add(&t);
		} else {
			strays = true;
		}
	}
	udp_send_flush();

	for (i = 0; strays && i < n && u->reading; i++) {
		struct udp_dgram *d = &dgrams[i];

		if (from_peer(s, d))
			continue;
		if (side != INISIDE) {
			u->stats.stray++;
			continue;
		}
		d->dst = d->local = s->oaddr;
		udp_from_listener(u, f->listener, d);
	}
	return n;
}

void udp_splice_read(struct udp *u, struct udp_flow *f, unsigned side)
{
	unsigned i, errors = 0;
	int n = 0;

	if (f->fd[side] < 0)
		return;
	u->reading = &f->f;
	for (i = 0; i < UDP_ROUNDS; i++) {
		n = move_batch(u, f, side);
		if (!u->reading)
			return;
		if (n == -EAGAIN)
			break;
		if (n < 0) {
			if (!udp_err_drain(u, f, side) &&
			    ++errors == ERRORS_MAX)
				break;
			continue;
		}
		udp_flow_touch(u, f, side, (unsigned)n);
	}
	if (i == UDP_ROUNDS) {
		f->pending |= (uint8_t)(1U << side);
		flow_defer(u->flows, &f->f);
	}
	u->reading = NULL;
}

void udp_splice_event(void *ctx, union epoll_ref ref, uint32_t events)
{
	struct udp *u = ctx;
	struct udp_flow *f;

	f = (struct udp_flow *)flow_at(u->flows, ref.id, FLOW_UDP);
	if (!f)
		return;
	if (events & EPOLLERR)
		udp_err_drain(u, f, ref.side & 1);
	udp_catch_up(u, f);
	udp_splice_read(u, f, ref.side & 1);
}
