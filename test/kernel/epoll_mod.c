/* SPDX-License-Identifier: GPL-2.0-or-later */
/* EPOLL_CTL_MOD: makes an edge-triggered descriptor tell its state once more */
#include "kernel.h"

#include <sys/epoll.h>

int main(void)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET }, got;
	int fd[2], ep = epoll_create1(0);

	tcp_pair(fd);
	must(!epoll_ctl(ep, EPOLL_CTL_ADD, fd[1], &ev));
	must(write(fd[0], "x", 1) == 1);
	must(epoll_wait(ep, &got, 1, 1000) == 1);
	if (epoll_wait(ep, &got, 1, 0))
		no("told twice, though edge-triggered");
	must(!epoll_ctl(ep, EPOLL_CTL_MOD, fd[1], &ev));
	if (epoll_wait(ep, &got, 1, 0) != 1)
		no("EPOLL_CTL_MOD did not make it tell again");
	yes("told once, and once more after EPOLL_CTL_MOD");
}
