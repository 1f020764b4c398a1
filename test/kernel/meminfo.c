/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SO_MEMINFO: size of the send buffer and what is queued in it, in one call */
#include "kernel.h"

#include <linux/sock_diag.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

int main(void)
{
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(mem);
	static char block[65536];
	int fd[2], size;
	ssize_t sent = 0, n;

	tcp_pair(fd);
	do {
		n = send(fd[0], block, sizeof(block), MSG_DONTWAIT);
		sent += n > 0 ? n : 0;
	} while (n > 0);
	if (getsockopt(fd[0], SOL_SOCKET, SO_MEMINFO, mem, &len))
		no("no SO_MEMINFO: %s", strerror(errno));
	len = sizeof(size);
	must(!getsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, &len));
	if ((int)mem[SK_MEMINFO_SNDBUF] != size ||
	    mem[SK_MEMINFO_WMEM_QUEUED] < mem[SK_MEMINFO_SNDBUF] / 2)
		no("full, but %u of %u bytes queued, SO_SNDBUF %d",
		   mem[SK_MEMINFO_WMEM_QUEUED], mem[SK_MEMINFO_SNDBUF], size);
	yes("full after %zd bytes: %u of %u are in use", sent,
	    mem[SK_MEMINFO_WMEM_QUEUED], mem[SK_MEMINFO_SNDBUF]);
}
