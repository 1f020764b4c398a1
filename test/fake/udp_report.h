/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports in the error queue of a UDP socket, made of bytes
 *
 * For a program that is to read such reports without a kernel that has them:
 * recvmsg() with MSG_ERRQUEUE is this one here, and takes struct recipe, what it
 * announces, and so on, from report_in. It goes by the rules of the kernel: a
 * control message that has too little room is cut. Included once.
 */
#ifndef FAKE_UDP_REPORT_H
#define FAKE_UDP_REPORT_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/errqueue.h>

#include "test/fake/udp_env.h"

#define REPORT_DPORT 53 /* of the peer, PEER4 or PEER6 */

/* What is left of the reports */
static const uint8_t *report_in;
static size_t report_left;

/* One report; the quoted datagram and control messages follow */
struct report_recipe {
	uint8_t name;  /* 0: the peer, 1: that of IPv6, 2: none, 3: bytes */
	uint8_t quote; /* length, times 8 */
	uint8_t ncmsg;
};

struct report_cmsg {
	uint8_t kind; /* index to report_kinds[] */
	uint8_t len;
};

static const struct {
	int level, type;
} report_kinds[] = {
	{ SOL_IP, IP_RECVERR },       { SOL_IPV6, IPV6_RECVERR },
	{ SOL_IP, IP_PKTINFO },       { SOL_IPV6, IPV6_PKTINFO },
	{ SOL_SOCKET, SO_TIMESTAMP },
};
#define REPORT_KINDS (sizeof(report_kinds) / sizeof(report_kinds[0]))

/* The next bytes of the input, as far as there are any. Return: how many */
static size_t report_take(void *dst, size_t n)
{
	if (n > report_left)
		n = report_left;
	memcpy(dst, report_in, n);
	report_in += n;
	report_left -= n;
	return n;
}

/* The name of a message. Return: its length */
static socklen_t report_name(uint8_t kind, union sockaddr_any *sa)
{
	union inany_addr a = env_addr(kind ? PEER6 : PEER4);

	switch (kind & 3) {
	case 0:
	case 1:
		return sockaddr_from_inany(sa, &a, REPORT_DPORT, 0);
	case 2:
		return 0;
	}
	return (socklen_t)report_take(sa, sizeof(*sa));
}

/* As put_cmsg() of the kernel. Return: bytes of control data used */
static size_t report_put_cmsg(uint8_t *ctl, size_t room)
{
	struct report_cmsg r = { 0 };
	struct cmsghdr c;
	uint8_t data[UINT8_MAX];
	size_t len, used;

	report_take(&r, sizeof(r));
	len = report_take(data, r.len);
	if (room < sizeof(c))
		return 0;
	if (CMSG_LEN(len) > room)
		len = room - CMSG_LEN(0);
	c.cmsg_len = CMSG_LEN(len);
	c.cmsg_level = report_kinds[r.kind % REPORT_KINDS].level;
	c.cmsg_type = report_kinds[r.kind % REPORT_KINDS].type;
	memcpy(ctl, &c, sizeof(c));
	memcpy(ctl + CMSG_LEN(0), data, len);
	used = CMSG_SPACE(len);
	return used < room ? used : room;
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	size_t room = m->msg_controllen, used = 0, n;
	struct report_recipe r = { 0 };

	if (!(flags & MSG_ERRQUEUE))
		return syscall(SYS_recvmsg, fd, m, flags);
	if (!report_take(&r, sizeof(r))) {
		errno = EAGAIN;
		return -1;
	}
	m->msg_namelen = report_name(r.name, m->msg_name);
	n = r.quote * 8u < m->msg_iov->iov_len ? r.quote * 8u
					       : m->msg_iov->iov_len;
	n = report_take(m->msg_iov->iov_base, n);
	while (r.ncmsg--)
		used += report_put_cmsg((uint8_t *)m->msg_control + used,
					room - used);
	m->msg_controllen = used;
	m->msg_flags = MSG_ERRQUEUE;
	return (ssize_t)n;
}

#endif /* FAKE_UDP_REPORT_H */
