/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IP_RECVERR: an ICMP error for a datagram waits in the queue of its socket */
#include "kernel.h"

#include <linux/errqueue.h>
#include <netinet/ip_icmp.h>
#include <poll.h>

int main(void)
{
	struct pollfd p = { .events = 0 };
	struct sockaddr_in sin;
	char data[64], ctl[256];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = ctl,
			    .msg_controllen = sizeof(ctl) };
	struct sock_extended_err ee;
	int closed = bound(SOCK_DGRAM, &sin), on = 1;
	struct cmsghdr *c;

	close(closed);
	p.fd = socket(AF_INET, SOCK_DGRAM, 0);
	must(!setsockopt(p.fd, SOL_IP, IP_RECVERR, &on, sizeof(on)));
	must(!connect(p.fd, (struct sockaddr *)&sin, sizeof(sin)));
	must(send(p.fd, "hello", 5, 0) == 5);
	must(poll(&p, 1, 2000) == 1);
	if (recvmsg(p.fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) != 5 ||
	    memcmp(data, "hello", 5))
		no("the queue does not quote the datagram");
	c = CMSG_FIRSTHDR(&m);
	must(c && c->cmsg_type == IP_RECVERR);
	memcpy(&ee, CMSG_DATA(c), sizeof(ee));
	if (ee.ee_origin != SO_EE_ORIGIN_ICMP ||
	    ee.ee_type != ICMP_DEST_UNREACH)
		no("type %u of origin %u", ee.ee_type, ee.ee_origin);
	yes("type %u, code %u, and the payload it is about", ee.ee_type,
	    ee.ee_code);
}
