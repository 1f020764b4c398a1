/* SPDX-License-Identifier: GPL-2.0-or-later */
/* splice(2): bytes of one connection to another through a pipe, uncopied */
#include "kernel.h"

#include <fcntl.h>

int main(void)
{
	int a[2], b[2], p[2], flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
	char text[8] = "";

	tcp_pair(a);
	tcp_pair(b);
	must(!fcntl(a[1], F_SETFL, O_NONBLOCK) && !pipe(p));
	must(write(a[0], "hello", 5) == 5);
	if (splice(a[1], NULL, p[1], NULL, 4096, (unsigned)flags) != 5)
		no("from a socket: %s", strerror(errno));
	if (splice(p[0], NULL, b[0], NULL, 4096, (unsigned)flags) != 5)
		no("to a socket: %s", strerror(errno));
	must(recv(b[1], text, sizeof(text), 0) == 5 && !strcmp(text, "hello"));
	if (splice(a[1], NULL, p[1], NULL, 4096, (unsigned)flags) != -1 ||
	    errno != EAGAIN)
		no("an empty socket does not say EAGAIN");
	shutdown(a[0], SHUT_WR);
	if (splice(a[1], NULL, p[1], NULL, 4096, (unsigned)flags))
		no("no 0 at the end");
	yes("socket to socket, EAGAIN when empty, 0 at the end");
}
