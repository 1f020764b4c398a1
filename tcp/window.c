/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The window offered to the guest: what the socket will really take
 *
 * A byte inside the window announced but refused by the socket is dropped, and
 * the guest finds out late. So the window is three quarters of the free send
 * buffer: the kernel accounts for memory, which is somewhat more than payload,
 * and a quarter covers that for all but tiny writes. SO_MEMINFO tells both the
 * (autotuned) size and what is queued.
 *
 * Where the kernel holds the queue in small pieces, as for a far end with a tiny
 * window, the quarter is not enough. Then bytes are refused, once: from then on
 * that connection's window is half of the free buffer.
 *
 * The right edge never moves left (RFC 9293 3.8.6). When less than a third of
 * the buffer is free, EPOLLOUT is asked for: its condition is just that third
 * (sk_stream_is_writeable() in Linux), and its event opens the window again.
 * Changing nothing with EPOLL_CTL_MOD makes the kernel look at the socket and
 * remember that we want to know: an edge-triggered EPOLLOUT alone need not come
 * after a complete send that filled the buffer.
 *
 * While several flows share the link, a window is 1 MiB at most, whatever is free:
 * what is inside it waits in the tap's queue, before the frames of others.
 *
 * A guest that uses little of its window, as in request and response, does not
 * make us ask each time: while more than half of the last window is left, the
 * edge stays where it is.
 *
 * #syscalls getsockopt(1=SOL_SOCKET,2=SO_MEMINFO/SO_SNDBUF)
 * #syscalls ioctl(1=SIOCOUTQ) ppoll
 */
#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tcp/conn.h"

#ifndef SO_MEMINFO /* Linux 4.12 */
#define SO_MEMINFO 55
#endif

/* Free and total bytes of the send buffer. Return: false if unknown */
static bool tcp_sndbuf(const struct tcp *tcp, int fd, uint32_t *free,
		       uint32_t *size)
{
	uint32_t mem[SK_MEMINFO_VARS];
	socklen_t len = sizeof(mem);
	int sndbuf, queued;

	if (tcp->features->meminfo &&
	    !getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len) &&
	    len > SK_MEMINFO_WMEM_QUEUED * sizeof(mem[0])) {
		uint32_t used = mem[SK_MEMINFO_WMEM_QUEUED];

		*size = mem[SK_MEMINFO_SNDBUF];
		*free = used < *size ? *size - used : 0;
		return true;
	}
	len = sizeof(sndbuf);
	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, &len) ||
	    ioctl(fd, SIOCOUTQ, &queued))
		return false;
	/* Payload only, and memory is up to twice that */
	*size = (uint32_t)sndbuf;
	*free = queued * 2 < sndbuf ? (uint32_t)(sndbuf - queued * 2) : 0;
	return true;
}

void tcp_want_out(struct tcp *tcp, struct tcp_conn *c)
{
	union epoll_ref ref = { .type = EPOLL_TCP,
				.id = flow_idx(tcp->flows, &c->f) };

	if (c->flags & TCP_WAIT_OUT)
		return;
	/* Asked in vain is not asked: the next one who wants it tries again */
	if (!loop_mod(tcp->loop, c->fd, TCP_EVENTS_MASK, ref))
		c->flags |= TCP_WAIT_OUT;
}

/* Move the right edge for a send buffer of @size of which @free is free */
static void tcp_window_set(const struct tcp *tcp, struct tcp_conn *c,
			   uint32_t free, uint32_t size)
{
	uint32_t max = tcp->tap->company ? TCP_WINDOW_SHARED : TCP_WINDOW_MAX;
	uint32_t wnd = free / 4 * (c->careful ? 2 : 3);

	if (wnd > max)
		wnd = max;
	/* A sliver is not worth a segment (RFC 9293 3.8.6.2.2) */
	if (wnd < c->mss && free < size / 3)
		wnd = 0;
	c->rcv_wnd = wnd;
	if (wnd > c->rcv_adv - c->rcv_nxt)
		c->rcv_adv = c->rcv_nxt + wnd;
}

void tcp_window_update(struct tcp *tcp, struct tcp_conn *c, bool force)
{
	uint32_t free, size;

	if (!force && c->rcv_adv - c->rcv_nxt > c->rcv_wnd / 2)
		return;
	if (!tcp_sndbuf(tcp, c->fd, &free, &size))
		return;
	if (free < size / 3)
		tcp_want_out(tcp, c);
	tcp_window_set(tcp, c, free, size);
}

void tcp_window_reopen(struct tcp *tcp, struct tcp_conn *c)
{
	uint32_t free, size;

	if (!tcp_sndbuf(tcp, c->fd, &free, &size)) {
		c->flags &= (uint16_t)~TCP_WAIT_OUT;
		tcp_want_out(tcp, c); /* with the next turn */
		return;
	}
	if (free < size / 3) {
		static const struct timespec now = { 0, 0 };
		struct pollfd p = { c->fd, POLLOUT, 0 };

		if (ppoll(&p, 1, &now, NULL) != 1 || !(p.revents & POLLOUT))
			return; /* the event is old, there will be another */
		free = size / 3;
	}
	c->flags &= (uint16_t)~TCP_WAIT_OUT;
	tcp_window_set(tcp, c, free, size);
}

uint16_t tcp_window_field(const struct tcp_conn *c, bool syn)
{
	uint32_t wnd = c->rcv_adv - c->rcv_nxt + c->ack_lag;
	uint8_t shift = syn ? 0 : tcp_our_ws(c);

	/* Round up: rounding down would move the edge left */
	wnd = (wnd + (1U << shift) - 1) >> shift;
	return wnd > UINT16_MAX ? UINT16_MAX : (uint16_t)wnd;
}

void tcp_lag(struct tcp *tcp, struct tcp_conn *c)
{
	uint32_t ack;
	int queued;

	if (!tcp->ack_far || c->fd < 0)
		return;
	/* Not acknowledged by the far end; behind our FIN nothing follows */
	if (c->st.fin & TCP_GUEST_FIN || ioctl(c->fd, SIOCOUTQ, &queued))
		queued = 0;
	c->ack_lag = (uint32_t)queued;
	ack = c->rcv_nxt - c->ack_lag;
	if (ack != c->ack_last)
		c->flags |= TCP_ACK_DUE;
	else if (c->ack_lag) /* the same again would be taken for a loss */
		c->flags &= (uint16_t)~TCP_ACK_DUE;
	c->ack_last = ack;
	if (c->ack_lag)
		flow_defer(tcp->flows, &c->f);
}
