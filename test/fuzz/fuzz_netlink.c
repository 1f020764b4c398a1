/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzing of answers of rtnetlink, by a kernel of our own making
 *
 * The first byte chooses a question, the second one the family; the rest are
 * datagrams, the length before each, 16 bits, least significant byte first. The
 * program's recvmsg() and sendmsg() are these here: no system call is made, and
 * what is in a buffer behind a datagram is poisoned. Requests are numbered from
 * 1 on; a message with number 0 is given that of the last request.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "nl.h"
#include "nl/msg.h"

#define LEN_SIZE 2
#define IFI      3
#define MAC_OTHER                \
	{                        \
		2, 0, 0, 0, 0, 1 \
	}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left to be received, number of the last request, what is poisoned */
static const uint8_t *rx;
static size_t rx_len;
static uint32_t seq;
static struct iovec poisoned;

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	const void *buf = m->msg_iov->iov_base;
	const struct nlmsghdr *h = buf;
	size_t off, len = m->msg_iov->iov_len;

	(void)fd;
	(void)flags;
	/* What we say has to make sense in any case */
	for (off = 0; off < len; off += NLMSG_ALIGN(h->nlmsg_len)) {
		h = (const void *)((const char *)buf + off);
		if (len - off < sizeof(*h) || h->nlmsg_len < sizeof(*h) ||
		    h->nlmsg_len > len - off)
			abort();
		seq = h->nlmsg_seq;
	}
	return (ssize_t)len;
}

static void unpoison(void)
{
	ASAN_UNPOISON_MEMORY_REGION(poisoned.iov_base, poisoned.iov_len);
	poisoned.iov_len = 0;
}

/* Give messages that have none the number that is waited for */
static void number(char *buf, size_t len)
{
	struct nlmsghdr *h;
	size_t off = 0;

	while (nl_walk(buf, len, &off, &h) > 0)
		if (!h->nlmsg_seq)
			h->nlmsg_seq = seq;
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	size_t len, room = m->msg_iov->iov_len;
	char *buf = m->msg_iov->iov_base;

	(void)fd;
	(void)flags;
	unpoison();
	if (rx_len < LEN_SIZE) {
		errno = EAGAIN;
		return -1;
	}
	len = rx[0] + rx[1] * 256u;
	rx += LEN_SIZE;
	rx_len -= LEN_SIZE;
	if (len > rx_len)
		len = rx_len;
	m->msg_flags = len > room ? MSG_TRUNC : 0;
	m->msg_namelen = 0;
	if (len > room)
		len = room;
	memcpy(buf, rx, len);
	rx += len;
	rx_len -= len;
	number(buf, len);
	/* The last one of several poisonings counts: granules are 8 bytes */
	poisoned = (struct iovec){ buf + len, room - len };
	ASAN_POISON_MEMORY_REGION(poisoned.iov_base, poisoned.iov_len);
	return (ssize_t)len;
}

static void addr_best(struct nl_sock *nl, sa_family_t af)
{
	struct nl_addr a;

	if (!nl_addr_best(nl, IFI, af, &a) &&
	    a.prefix_len > (inany_v4(&a.addr) ? 32 : 128))
		abort();
}

static void addr_copy(struct nl_sock *nl, sa_family_t af)
{
	struct nl_copy res;

	nl_addr_copy(nl, IFI, nl, IFI + 1, af, &res);
}

static void route_template(struct nl_sock *nl, sa_family_t af)
{
	nl_route_template(nl, af);
}

static void route_gateway(struct nl_sock *nl, sa_family_t af)
{
	union inany_addr gw;

	nl_route_gateway(nl, IFI, af, &gw);
}

static void route_copy(struct nl_sock *nl, sa_family_t af)
{
	struct nl_copy res;

	nl_route_copy(nl, IFI, nl, IFI + 1, af, &res);
}

static void link_get(struct nl_sock *nl, sa_family_t af)
{
	struct nl_link link;

	(void)af;
	if (!nl_link_get(nl, IFI, &link) &&
	    !memchr(link.name, 0, sizeof(link.name)))
		abort();
}

static void link_index(struct nl_sock *nl, sa_family_t af)
{
	(void)af;
	nl_link_index(nl, "eth0");
}

static void link_set(struct nl_sock *nl, sa_family_t af)
{
	static const uint8_t mac[NL_MAC_LEN] = MAC_OTHER;

	(void)af;
	nl_link_set_mac(nl, IFI, mac);
}

static void (*const questions[])(struct nl_sock *nl, sa_family_t af) = {
	addr_best, addr_copy,  link_get,      link_index,
	link_set,  route_copy, route_gateway, route_template,
};
#define NQUESTIONS (sizeof(questions) / sizeof(questions[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nl_sock nl = { .fd = -1 };

	if (size < 2)
		return 0;
	rx = data + 2;
	rx_len = size - 2;
	seq = 0;
	questions[data[0] % NQUESTIONS](&nl, data[1] & 1 ? AF_INET6 : AF_INET);
	unpoison();
	return 0;
}
