/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MSG_TRUNC on TCP: take bytes from the queue without copying them */
#include "kernel.h"

int main(void)
{
	char b[4] = "";
	int fd[2];

	tcp_pair(fd);
	must(write(fd[0], "abcdef", 6) == 6);
	if (recv(fd[1], NULL, 4, MSG_TRUNC | MSG_DONTWAIT) != 4)
		no("recv(NULL, 4): %s", strerror(errno));
	must(recv(fd[1], b, sizeof(b), 0) == 2);
	if (memcmp(b, "ef", 2))
		no("other bytes are left than expected");
	yes("recv(NULL, 4) took 4 bytes, the fifth is next");
}
