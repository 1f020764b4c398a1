/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UDP_SEGMENT: the kernel cuts one message into datagrams of one size */
#include "kernel.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

int main(void)
{
	int fd[2], size = 100, i, n;
	static char text[250];

	udp_pair(fd);
	if (setsockopt(fd[0], IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)))
		no("no UDP_SEGMENT: %s", strerror(errno));
	must(send(fd[0], text, sizeof(text), 0) == sizeof(text));
	for (i = 0; i < 3; i++) {
		n = (int)recv(fd[1], text, sizeof(text), MSG_DONTWAIT);
		if (n != (i < 2 ? 100 : 50))
			no("datagram %d has %d bytes", i, n);
	}
	yes("250 bytes came as 100, 100, 50");
}
