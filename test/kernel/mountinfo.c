/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/self/mountinfo: tells by an event that the mount table has changed */
#include "kernel.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>

int main(void)
{
	struct pollfd p = { .events = POLLPRI };

	must(!unshare(CLONE_NEWNS));
	must(!mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	p.fd = open("/proc/self/mountinfo", O_RDONLY);
	must(p.fd >= 0);
	poll(&p, 1, 0);
	if (poll(&p, 1, 0))
		no("an event though nothing changed");
	must(!mount("none", "/tmp", "tmpfs", 0, NULL));
	if (poll(&p, 1, 2000) != 1)
		no("no event when something was mounted");
	yes("an event when something was mounted, none before");
}
