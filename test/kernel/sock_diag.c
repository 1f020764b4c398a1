/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sock_diag(7): an ordinary user may list listening sockets of the namespace */
#include "kernel.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>

int main(void)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} req = { .h = { .nlmsg_len = sizeof(req),
			 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		  .r = { .sdiag_family = AF_INET,
			 .sdiag_protocol = IPPROTO_TCP,
			 .idiag_states = 1 << TCP_LISTEN } };
	_Alignas(struct nlmsghdr) char buf[8192];
	const struct inet_diag_msg *m;
	const struct nlmsghdr *h = (void *)buf;
	struct sockaddr_in sin;
	int nl;

	must(!listen(bound(SOCK_STREAM, &sin), 1));
	be_user();
	nl = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
	if (nl < 0 || send(nl, &req, sizeof(req), 0) < 0)
		no("no sock_diag: %s", strerror(errno));
	must(recv(nl, buf, sizeof(buf), 0) > 0);
	m = NLMSG_DATA(h);
	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		no("refused, type %u", h->nlmsg_type);
	if (m->id.idiag_sport != sin.sin_port)
		no("another port: %u", ntohs(m->id.idiag_sport));
	yes("a user sees the port somebody else listens on");
}
