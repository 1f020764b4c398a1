/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SO_PEEK_OFF on TCP: the next peek goes on where the last one ended, and what
 * is taken from the queue moves the offset back
 */
#include "kernel.h"

int main(void)
{
	int fd[2], off = 0;
	char b[4] = "";
	socklen_t len = sizeof(off);

	tcp_pair(fd);
	if (setsockopt(fd[1], SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)))
		no("TCP knows no SO_PEEK_OFF: %s", strerror(errno));
	must(write(fd[0], "abcdef", 6) == 6);
	must(recv(fd[1], b, 2, MSG_PEEK) == 2 && !memcmp(b, "ab", 2));
	must(recv(fd[1], b, 2, MSG_PEEK) == 2);
	if (memcmp(b, "cd", 2))
		no("the second peek saw the same bytes again");
	must(recv(fd[1], NULL, 3, MSG_TRUNC) == 3);
	must(!getsockopt(fd[1], SOL_SOCKET, SO_PEEK_OFF, &off, &len));
	if (off != 1 || recv(fd[1], b, 2, MSG_PEEK) != 2 || memcmp(b, "ef", 2))
		no("offset %d after 4 bytes peeked and 3 taken", off);
	yes("peeks go on, taking 3 of 4 bytes peeked leaves offset 1");
}
