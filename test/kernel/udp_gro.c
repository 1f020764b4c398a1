/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UDP_GRO: datagrams of one size are received as one, with that size */
#include "kernel.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

int main(void)
{
	char text[1000], ctl[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { text, sizeof(text) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = ctl,
			    .msg_controllen = sizeof(ctl) };
	int fd[2], size = 100, on = 1, n;
	struct cmsghdr *c;

	memset(text, 0, sizeof(text));
	udp_pair(fd);
	must(!setsockopt(fd[0], IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)));
	if (setsockopt(fd[1], IPPROTO_UDP, UDP_GRO, &on, sizeof(on)))
		no("no UDP_GRO: %s", strerror(errno));
	must(send(fd[0], text, 250, 0) == 250);
	n = (int)recvmsg(fd[1], &m, 0);
	c = CMSG_FIRSTHDR(&m);
	if (n != 250 || !c || c->cmsg_type != UDP_GRO)
		no("%d bytes, %s size", n, c ? "another" : "no");
	memcpy(&size, CMSG_DATA(c), sizeof(size));
	yes("three datagrams came as %d bytes, size %d", n, size);
}
