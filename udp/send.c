/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Datagrams to sockets: many by one system call, many by one message
 *
 * What one flow has to send is gathered here. Datagrams of one size that follow
 * each other (the last may be shorter) become one message that the kernel cuts
 * (UDP_SEGMENT, Linux 4.18): they go through its stack once. Messages go out by
 * one sendmmsg(2). Where a path refuses segmentation, the flow does without.
 *
 * Whoever fills it must flush it before another flow uses it: one at a time.
 */
#include <errno.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/log.h"
#include "udp/internal.h"

#ifndef UDP_SEGMENT /* linux/udp.h */
#define UDP_SEGMENT 103
#endif

/* #syscalls sendmmsg sendmsg */

/* linux/udp.h, UDP_MAX_SEGMENTS, as it was at first */
#define SEGS_MAX 64

/* Payload of one message to be cut: it has to fit IP while it is whole */
#define GSO_MAX4 (65535 - 20 - 8)
#define GSO_MAX6 (65535 - 40 - 8)

#define SEND_IOVS 256

/* Attempts for one message while errors of earlier ones are reported */
#define TRIES_MAX 4

/* Control data: size of segments, source address */
#define SEND_CTL \
	(CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(struct in6_pktinfo)))

/* A message and how it is to be cut */
struct run {
	size_t len;
	uint16_t size;
	unsigned segs;
	bool closed;
};

/* The one being filled */
static struct sender {
	struct udp *u;
	struct udp_flow *f;
	unsigned side;
	int fd;
	bool gso;
	size_t max;
	union sockaddr_any to;
	socklen_t tolen; /* 0: connected */
	const union inany_addr *src;
	unsigned nmsgs, niovs;
	struct run run[UDP_BATCH];
	struct mmsghdr msg[UDP_BATCH];
	struct iovec iov[SEND_IOVS];
	uint8_t ctl[UDP_BATCH][SEND_CTL]
		__attribute__((aligned(sizeof(size_t))));
} tx;

/* Socket address as a socket of IPv6 takes it, for either family */
static socklen_t sockaddr_for6(union sockaddr_any *sa, const struct flowside *s,
			       uint32_t scope)
{
	*sa = (union sockaddr_any){ .sa6 = { .sin6_family = AF_INET6,
					     .sin6_port = htons(s->eport),
					     .sin6_addr = s->eaddr.a6 } };
	if (inany_is_linklocal6(&s->eaddr))
		sa->sa6.sin6_scope_id = scope;
	return sizeof(sa->sa6);
}

void udp_send_begin(struct udp *u, struct udp_flow *f, unsigned side)
{
	const struct flowside *s = &f->f.side[side];
	bool v4 = inany_v4(&s->eaddr);

	tx.u = u;
	tx.f = f;
	tx.side = side;
	tx.fd = f->fd[side];
	tx.nmsgs = tx.niovs = 0;
	tx.gso = u->features->udp_gso && !f->no_gso;
	tx.max = v4 ? GSO_MAX4 : GSO_MAX6;
	tx.tolen = 0;
	tx.src = NULL;
	if (tx.fd >= 0) {
		if (f->unconnected)
			tx.tolen = sockaddr_from_inany(&tx.to, &s->eaddr,
						       s->eport, f->scope);
		return;
	}

	/* By the listener, if it is still there, as who was asked */
	if (f->listener < u->fwd->nlisteners &&
	    u->fwd->listener[f->listener].port == s->oport)
		tx.fd = u->fwd->listener[f->listener].fd;
	if (f->listen6)
		tx.tolen = sockaddr_for6(&tx.to, s, f->scope);
	else
		tx.tolen = sockaddr_from_inany(&tx.to, &s->eaddr, s->eport,
					       f->scope);
	if (inany_is_unicast(&s->oaddr))
		tx.src = &s->oaddr;
}

/* Append one control message */
static void put_ctl(struct msghdr *m, int level, int type, const void *data,
		    size_t len)
{
	struct cmsghdr *c = (void *)((uint8_t *)m->msg_control +
				     m->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	m->msg_controllen += CMSG_SPACE(len);
}

/* Source address, where the socket has none */
static void put_src(struct msghdr *m)
{
	struct in6_pktinfo p6 = { .ipi6_addr = tx.src->a6 };
	struct in_pktinfo p4 = { .ipi_spec_dst = tx.src->v4.a4 };

	if (tx.to.sa.sa_family == AF_INET) {
		put_ctl(m, SOL_IP, IP_PKTINFO, &p4, sizeof(p4));
		return;
	}
	if (inany_is_linklocal6(tx.src))
		p6.ipi6_ifindex = tx.f->scope;
	put_ctl(m, SOL_IPV6, IPV6_PKTINFO, &p6, sizeof(p6));
}

/* Name and control data of a message about to go */
static void finish(struct msghdr *m, unsigned i, bool cut)
{
	m->msg_name = tx.tolen ? &tx.to : NULL;
	m->msg_namelen = tx.tolen;
	m->msg_control = tx.ctl[i];
	m->msg_controllen = 0;
	memset(tx.ctl[i], 0, sizeof(tx.ctl[i]));
	if (tx.src)
		put_src(m);
	if (cut)
		put_ctl(m, IPPROTO_UDP, UDP_SEGMENT, &tx.run[i].size,
			sizeof(tx.run[i].size));
	if (!m->msg_controllen)
		m->msg_control = NULL;
}

/* Tell the sender, if it is the guest, why a datagram did not go */
static void refused(const struct msghdr *m, int err)
{
	struct iov_tail t = iov_tail_init(m->msg_iov, m->msg_iovlen, 0);
	const struct flow *f = &tx.f->f;

	tx.u->stats.send_failed++;
	if (f->pif[!tx.side] == PIF_TAP)
		udp_err_local(tx.u, &f->side[!tx.side], err, &t);
}

/* Is it for lack of buffers that a datagram did not go? */
static bool is_full(int err)
{
	return err == EAGAIN || err == ENOBUFS || err == ENOMEM;
}

/* Errors of earlier datagrams are reported instead of sending the next: read
 * them. Return: false if there were none, so it is about this one
 */
static bool earlier(int err)
{
	if (is_full(err))
		return false;
	if (tx.f->fd[tx.side] >= 0)
		return udp_err_drain(tx.u, tx.f, tx.side);
	return udp_err_listener(tx.u, tx.f->listener);
}

/* One datagram of a message that cannot be cut by the kernel.
 *
 * Return: false if there is no room for more
 */
static bool send_one(struct msghdr *m)
{
	unsigned i;
	int e = 0;

	for (i = 0; i < TRIES_MAX; i++) {
		if (sendmsg(tx.fd, m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return true;
		e = errno;
		if (e != EINTR && !earlier(e))
			break;
	}
	if (is_full(e)) {
		tx.u->stats.send_failed++;
		return false;
	}
	refused(m, e);
	return true;
}

/* Cut a message here and send the pieces one by one */
static void send_cut(unsigned i)
{
	const struct run *r = &tx.run[i];
	struct msghdr *m = &tx.msg[i].msg_hdr;
	struct iov_tail t = iov_tail_init(m->msg_iov, m->msg_iovlen, 0);
	struct iovec iov[SEND_IOVS];
	struct msghdr one;

	finish(m, i, false);
	one = *m;
	one.msg_iov = iov;
	while (t.len) {
		struct iov_tail piece = t;
		size_t n = t.len < r->size ? t.len : r->size;
		int cnt;

		iov_tail_trim(&piece, n);
		cnt = iov_tail_iov(&piece, iov, SEND_IOVS);
		if (cnt < 0)
			return;
		one.msg_iovlen = (size_t)cnt;
		if (!send_one(&one))
			return;
		iov_tail_drop(&t, n);
	}
}

/* The first message left was refused with @err.
 *
 * Return: true if it is dealt with, false to try it again
 */
static bool failed(unsigned i, int err, unsigned *tries)
{
	if (err == EINTR || (++*tries < TRIES_MAX && earlier(err)))
		return false;
	*tries = 0;
	if (tx.run[i].segs > 1 && (err == EIO || err == EINVAL ||
				   err == EMSGSIZE || err == EOPNOTSUPP)) {
		tx.f->no_gso = true;
		tx.gso = false;
		send_cut(i);
		return true;
	}
	refused(&tx.msg[i].msg_hdr, err);
	return true;
}

void udp_send_flush(void)
{
	unsigned pos = 0, tries = 0, i;

	if (tx.fd < 0) {
		tx.u->stats.send_failed += tx.nmsgs;
		pos = tx.nmsgs;
	}
	for (i = pos; i < tx.nmsgs; i++)
		finish(&tx.msg[i].msg_hdr, i, tx.run[i].segs > 1);

	while (pos < tx.nmsgs) {
		int n = sendmmsg(tx.fd, tx.msg + pos, tx.nmsgs - pos,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			pos += (unsigned)n;
			tries = 0;
			continue;
		}
		n = errno;
		if (is_full(n)) {
			/* As a full queue of a device: what is left is lost */
			for (; pos < tx.nmsgs; pos++)
				tx.u->stats.send_failed += tx.run[pos].segs;
			break;
		}
		if (failed(pos, n, &tries))
			pos++;
	}
	tx.nmsgs = tx.niovs = 0;
}

/* Add buffers to the last message; contiguous ones become one.
 *
 * Return: false if they do not fit
 */
static bool append(const struct iov_tail *t)
{
	struct msghdr *m = &tx.msg[tx.nmsgs - 1].msg_hdr;
	struct iovec *end = tx.iov + tx.niovs, *last = end - 1;
	int n = iov_tail_iov(t, end, SEND_IOVS - tx.niovs);

	if (n < 0)
		return false;
	if (n && m->msg_iovlen &&
	    (uint8_t *)last->iov_base + last->iov_len == end->iov_base) {
		last->iov_len += end->iov_len;
		n--;
		memmove(end, end + 1, (size_t)n * sizeof(*end));
	}
	tx.niovs += (unsigned)n;
	m->msg_iovlen += (size_t)n;
	return true;
}

/* Does a datagram continue the last message? There is one. */
static bool continues(size_t len)
{
	const struct run *r = &tx.run[tx.nmsgs - 1];

	return tx.gso && !r->closed && len && len <= r->size &&
	       r->segs < SEGS_MAX && r->len + len <= tx.max;
}

void udp_send_add(const struct iov_tail *payload)
{
	size_t len = payload->len;
	struct msghdr *m;
	struct run *r;

	if (tx.nmsgs && continues(len) && append(payload)) {
		r = &tx.run[tx.nmsgs - 1];
		r->len += len;
		r->segs++;
		r->closed = len < r->size;
		return;
	}
	if (tx.nmsgs == UDP_BATCH)
		udp_send_flush();

	for (;;) {
		r = &tx.run[tx.nmsgs];
		m = &tx.msg[tx.nmsgs++].msg_hdr;
		*m = (struct msghdr){ .msg_iov = tx.iov + tx.niovs };
		*r = (struct run){ .len = len,
				   .size = (uint16_t)len,
				   .segs = 1 };
		if (append(payload))
			return;
		tx.nmsgs--;
		if (!tx.nmsgs)
			break;
		udp_send_flush();
	}
	/* In more pieces than any frame comes in */
	tx.u->stats.send_failed++;
}
