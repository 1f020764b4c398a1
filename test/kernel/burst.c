/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP's receive buffer: SO_RCVLOWAT, set and set back, makes it larger, and it goes
 * on growing by itself. Also tells whether that is needed: whether it grows for
 * somebody who peeks at what came at once, and takes it a little later.
 */
#include "kernel.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#define BURST 60000 /* less than the first window */
#define MOST  (1 << 20)

static int fd[2];

/* Size of the receive buffer */
static int size(void)
{
	socklen_t len = sizeof(int);
	int value;

	must(!getsockopt(fd[1], SOL_SOCKET, SO_RCVBUF, &value, &len));
	return value;
}

/* Some bursts of so many bytes, peeked at once they are complete, or not at all.
 *
 * Return: size of the buffer then
 */
static int bursts(int len, int peek)
{
	static char bytes[MOST];
	int i, k, queued;

	for (i = 0; i < 50; i++) {
		must(write(fd[0], bytes, (size_t)len) == len);
		/* longer than a round trip, and until all is there */
		for (k = 0, queued = 0; queued < len && k < 1000; k++) {
			usleep(4000);
			must(!ioctl(fd[1], SIOCINQ, &queued));
		}
		must(queued == len);
		must(!peek || recv(fd[1], bytes, (size_t)len, MSG_PEEK) == len);
		must(recv(fd[1], bytes, (size_t)len, MSG_WAITALL) == len);
	}
	return size();
}

int main(void)
{
	int low = 4 * BURST, one = 1, first, peeked, more, read;

	tcp_pair(fd);
	first = size();
	peeked = bursts(BURST, 1);

	/* another one, which nobody has read from */
	tcp_pair(fd);
	must(!setsockopt(fd[1], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)));
	must(!setsockopt(fd[1], SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one)));
	more = size();
	if (more < low)
		no("%d bytes, with SO_RCVLOWAT %d", more, low);
	/* less than the window is now */
	read = bursts(more / 3 < MOST ? more / 3 : MOST, 0);
	if (read <= more)
		no("%d bytes by SO_RCVLOWAT, which do not become more", more);
	yes("%d bytes, peeked at bursts %d, SO_RCVLOWAT %d, read bursts %d",
	    first, peeked, more, read);
}
