/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bound sockets of a namespace: sock_diag(7), linux/inet_diag.h
 *
 * The kernel walks its tables of listening sockets and of UDP sockets, leaves
 * out what is of other namespaces, states and ports, and sends the rest in
 * datagrams of some hundred sockets. /proc/net/tcp has the same, but comes with
 * a walk through the table of all connections: some milliseconds.
 *
 * TCP sockets of both families come by one request, of the older kind (v1, "of
 * any family"); UDP has never had that, and is asked for one after the other.
 */

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "nl/diag.h"
#include "nl/msg.h"

/* #syscalls:pasta sendmsg recvmsg */

/* Datagrams of one answer: more are no list of sockets */
#define DIAG_PARTS_MAX 65536

static _Alignas(NLMSG_ALIGNTO) char rx[NL_RX_MAX];

int nl_diag_open(struct nl_sock *nl)
{
	return nl_open_family(nl, NETLINK_SOCK_DIAG);
}

/* One socket, if that is what it is */
static void diag_one(const struct nlmsghdr *h, nl_bound_fn *fn, void *arg)
{
	const struct inet_diag_msg *d = nl_body(h, sizeof(*d));
	struct nl_bound b;

	if (!d || (d->idiag_family != AF_INET && d->idiag_family != AF_INET6))
		return;
	b.port = ntohs(d->id.idiag_sport);
	if (!b.port)
		return;
	inany_from_af(&b.addr, d->idiag_family, d->id.idiag_src);
	fn(arg, &b);
}

int nl_diag_take(void *buf, size_t len, uint32_t seq, nl_bound_fn *fn,
		 void *arg)
{
	struct nlmsghdr *h;
	size_t off = 0;
	int rc;

	while ((rc = nl_walk(buf, len, &off, &h)) > 0) {
		if (h->nlmsg_seq != seq)
			continue;
		if (h->nlmsg_type == NLMSG_DONE ||
		    h->nlmsg_type == NLMSG_ERROR) {
			rc = nl_result(h);
			return rc ? rc : 1;
		}
		if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY ||
		    h->nlmsg_type == TCPDIAG_GETSOCK)
			diag_one(h, fn, arg);
	}
	return rc;
}

/* A program for the kernel's filter: first <= port <= last. To jump 4 bytes
 * past the end is to leave out the socket.
 */
static void put_range(struct nl_msg *msg, in_port_t first, in_port_t last)
{
	enum { STEP = 2 * sizeof(struct inet_diag_bc_op) };
	const struct inet_diag_bc_op prog[] = {
		{ INET_DIAG_BC_S_GE, STEP, 2 * STEP + 4 },
		{ 0, 0, first },
		{ INET_DIAG_BC_S_LE, STEP, STEP + 4 },
		{ 0, 0, last },
	};

	nl_msg_put(msg, INET_DIAG_REQ_BYTECODE, prog, sizeof(prog));
}

/* Send a request and take all of the answer */
static int diag_dump(struct nl_sock *nl, struct nl_msg *msg, nl_bound_fn *fn,
		     void *arg)
{
	unsigned i;
	ssize_t n;
	int rc;

	rc = nl_send_msg(nl, msg);
	if (rc)
		return rc;
	for (i = 0; i < DIAG_PARTS_MAX; i++) {
		n = nl_recv(nl, rx, sizeof(rx));
		if (n < 0)
			return (int)n;
		rc = nl_diag_take(rx, (size_t)n, nl->seq, fn, arg);
		if (rc)
			return rc > 0 ? 0 : rc;
	}
	return -E2BIG;
}

int nl_diag_bound(struct nl_sock *nl, uint8_t proto, in_port_t first,
		  in_port_t last, nl_bound_fn *fn, void *arg)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct nl_msg msg;
	size_t i;
	int rc;

	if (proto == IPPROTO_TCP) {
		const struct inet_diag_req v1 = {
			.idiag_states = 1U << TCP_LISTEN,
		};

		nl_msg_init(&msg, TCPDIAG_GETSOCK, NLM_F_DUMP, &v1, sizeof(v1));
		put_range(&msg, first, last);
		return diag_dump(nl, &msg, fn, arg);
	}

	for (i = 0; i < sizeof(families); i++) {
		const struct inet_diag_req_v2 v2 = {
			.sdiag_family = families[i],
			.sdiag_protocol = proto,
			.idiag_states = 1U << TCP_CLOSE,
		};

		nl_msg_init(&msg, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &v2,
			    sizeof(v2));
		put_range(&msg, first, last);
		rc = diag_dump(nl, &msg, fn, arg);
		if (rc)
			return rc;
	}
	return 0;
}
