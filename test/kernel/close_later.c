/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A descriptor on its way to a socket that nobody can receive from: the kernel
 * closes it once we are gone
 */
#include "kernel.h"

#include <poll.h>
#include <sys/wait.h>

/* Send two descriptors to the other end of a pair, which goes away unread */
static void send_away(int fd)
{
	int pair[2], fds[2];
	char ctl[CMSG_SPACE(sizeof(fds))], x = 0;
	struct iovec iov = { &x, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = ctl,
			    .msg_controllen = sizeof(ctl) };
	struct cmsghdr *c;

	memset(ctl, 0, sizeof(ctl));
	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	fds[0] = fd;
	fds[1] = pair[1];
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	must(sendmsg(pair[0], &m, 0) == 1);
}

int main(void)
{
	struct pollfd p = { .events = 0 };
	int end[2];
	pid_t child;

	must(!pipe(end));
	child = fork();
	if (!child) {
		send_away(end[1]);
		_exit(0);
	}
	close(end[1]);
	must(waitpid(child, NULL, 0) == child);
	p.fd = end[0];
	if (poll(&p, 1, 5000) != 1 || !(p.revents & POLLHUP))
		no("not closed within 5 s");
	yes("closed when the process had gone");
}
