/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pidfd_open(2): a descriptor that can be read from when a process has ended */
#include "kernel.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

int main(void)
{
	struct pollfd p = { .events = POLLIN };
	pid_t child;
	int go[2];
	char x;

	must(!pipe(go));
	child = fork();
	if (!child) {
		close(go[1]);
		_exit(read(go[0], &x, 1) == 1);
	}
	p.fd = (int)syscall(SYS_pidfd_open, child, 0);
	if (p.fd < 0)
		no("no pidfd_open: %s", strerror(errno));
	if (poll(&p, 1, 0))
		no("can be read from while the process is alive");
	close(go[1]);
	if (poll(&p, 1, 5000) != 1)
		no("nothing told of the end");
	must(waitpid(child, NULL, 0) == child);
	yes("told of the end, and of nothing before");
}
