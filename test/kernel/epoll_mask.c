/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A socket watched for other things than input: data is no event, its end is */
#include "kernel.h"

#include <sys/epoll.h>

int main(void)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLRDHUP | EPOLLET },
			   got;
	int fd[2], ep = epoll_create1(0);

	tcp_pair(fd);
	must(!epoll_ctl(ep, EPOLL_CTL_ADD, fd[1], &ev));
	must(epoll_wait(ep, &got, 1, 1000) == 1 && got.events == EPOLLOUT);
	must(write(fd[0], "x", 1) == 1);
	if (epoll_wait(ep, &got, 1, 100))
		no("data was an event, %#x", got.events);
	ev.events |= EPOLLIN;
	must(!epoll_ctl(ep, EPOLL_CTL_MOD, fd[1], &ev));
	if (epoll_wait(ep, &got, 1, 1000) != 1 || !(got.events & EPOLLIN))
		no("what had come is not told when input is watched for again");

	ev.events &= ~(unsigned)EPOLLIN;
	must(!epoll_ctl(ep, EPOLL_CTL_MOD, fd[1], &ev));
	must(epoll_wait(ep, &got, 1, 1000) == 1 && got.events == EPOLLOUT);
	must(!shutdown(fd[0], SHUT_WR));
	if (epoll_wait(ep, &got, 1, 1000) != 1 || !(got.events & EPOLLRDHUP))
		no("the end of data was no event");
	yes("data was no event, its end was");
}
