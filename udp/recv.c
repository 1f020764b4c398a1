/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Datagrams from sockets to buffers of our own, with their addresses */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "udp/internal.h"

/* #syscalls recvmmsg */

/* Touched only as far as datagrams reach: most of it never is */
static uint8_t bufs[UDP_BATCH][UDP_PAYLOAD_MAX + 1];
static uint8_t ctl[UDP_BATCH][UDP_CTL_LEN]
	__attribute__((aligned(sizeof(size_t))));
static union sockaddr_any names[UDP_BATCH];
static struct mmsghdr msgs[UDP_BATCH];
static struct iovec iovs[UDP_BATCH];

uint8_t *udp_buf(unsigned i)
{
	return bufs[i];
}

void udp_parse(struct msghdr *m, struct udp_dgram *d)
{
	const union sockaddr_any *sa = m->msg_name;
	struct in6_pktinfo p6;
	struct in_pktinfo p4;
	struct cmsghdr *c;

	d->dst = d->local = inany_any6;
	d->scope = 0;
	if (m->msg_namelen < sizeof(sa->sa4) ||
	    inany_from_sockaddr(&d->src, &d->sport, sa)) {
		d->src = inany_any6;
		d->sport = 0;
		return;
	}
	d->v6 = sa->sa.sa_family == AF_INET6;
	if (d->v6)
		d->scope = sa->sa6.sin6_scope_id;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO &&
		    c->cmsg_len >= CMSG_LEN(sizeof(p4))) {
			memcpy(&p4, CMSG_DATA(c), sizeof(p4));
			d->dst = inany_from_v4(p4.ipi_addr);
			d->local = inany_from_v4(p4.ipi_spec_dst);
		} else if (c->cmsg_level == SOL_IPV6 &&
			   c->cmsg_type == IPV6_PKTINFO &&
			   c->cmsg_len >= CMSG_LEN(sizeof(p6))) {
			memcpy(&p6, CMSG_DATA(c), sizeof(p6));
			inany_from_af(&d->dst, AF_INET6, &p6.ipi6_addr);
			d->local = d->dst;
		}
	}
}

int udp_recv(int fd, struct udp_dgram *d)
{
	int i, n;

	for (i = 0; i < UDP_BATCH; i++) {
		iovs[i] = (struct iovec){ bufs[i], sizeof(bufs[i]) };
		msgs[i].msg_hdr =
			(struct msghdr){ .msg_name = &names[i],
					 .msg_namelen = sizeof(names[i]),
					 .msg_iov = &iovs[i],
					 .msg_iovlen = 1,
					 .msg_control = ctl[i],
					 .msg_controllen = sizeof(ctl[i]) };
	}
	n = recvmmsg(fd, msgs, UDP_BATCH, MSG_DONTWAIT, NULL);
	if (n < 0)
		return -errno;
	for (i = 0; i < n; i++) {
		d[i].buf = bufs[i];
		d[i].len = msgs[i].msg_len;
		udp_parse(&msgs[i].msg_hdr, &d[i]);
	}
	return n;
}
