/* SPDX-License-Identifier: GPL-2.0-or-later */
/* EPOLLOUT of TCP: comes when a third of the send buffer is free, not before */
#include "kernel.h"

#include <linux/sock_diag.h>
#include <sys/epoll.h>

int main(void)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLET }, got;
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(mem);
	static char block[65536];
	int fd[2], ep = epoll_create1(0), i, before = 0;

	tcp_pair(fd);
	while (send(fd[0], block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	must(!epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &ev));
	if (epoll_wait(ep, &got, 1, 0))
		no("an event though the buffer is full");
	for (i = 0; i < 100000; i++) {
		if (recv(fd[1], block, 4096, MSG_DONTWAIT) > 0)
			before += 4096;
		if (epoll_wait(ep, &got, 1, 1) == 1)
			break;
	}
	must(i < 100000);
	if (getsockopt(fd[0], SOL_SOCKET, 55 /* SO_MEMINFO */, mem, &len))
		yes("an event after %d bytes were read", before);
	yes("an event at %u of %u bytes queued, after %d were read",
	    mem[SK_MEMINFO_WMEM_QUEUED], mem[SK_MEMINFO_SNDBUF], before);
}
