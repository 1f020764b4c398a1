/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An ordinary user may make a user namespace, and a network namespace in it */
#include "kernel.h"

#include <linux/nsfs.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

int main(void)
{
	struct stat ours, owner;
	int fd;

	be_user();
	if (unshare(CLONE_NEWUSER))
		no("refused: %s", strerror(errno));
	if (unshare(CLONE_NEWNET))
		no("no network namespace in it: %s", strerror(errno));
	fd = open("/proc/thread-self/ns/net", O_RDONLY);
	must(fd >= 0);
	fd = ioctl(fd, NS_GET_USERNS);
	if (fd < 0)
		no("no NS_GET_USERNS: %s", strerror(errno));
	must(!fstat(fd, &owner) && !stat("/proc/thread-self/ns/user", &ours));
	if (owner.st_ino != ours.st_ino)
		no("the network namespace belongs to another one");
	yes("both were made, and the one tells that it belongs to the other");
}
