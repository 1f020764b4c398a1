/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP's receive buffer: SO_RCVLOWAT, set and set back, makes it larger, and it goes
 * on growing by itself. Also tells whether that is needed: whether it grows for
 * somebody who peeks at what came at once, and takes it a little later.
 */
#include "kernel.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#define BURST 60000 /* less than the first window */

static int fd[2];

/* Size of the receive buffer */
static int size(void)
{
	socklen_t len = sizeof(int);
	int value;

	must(!getsockopt(fd[1], SOL_SOCKET, SO_RCVBUF, &value, &len));
	return value;
}

/* Some bursts, peeked at once they are complete, or not at all. Return: size of the
 * buffer then
 */
static int bursts(int peek)
{
	static char bytes[BURST];
	int i, k, queued;

	for (i = 0; i < 50; i++) {
		must(write(fd[0], bytes, BURST) == BURST);
		/* longer than a round trip, and until all is there */
		for (k = 0, queued = 0; queued < BURST && k < 1000; k++) {
			usleep(4000);
			must(!ioctl(fd[1], SIOCINQ, &queued));
		}
		must(queued == BURST);
		must(!peek || recv(fd[1], bytes, BURST, MSG_PEEK) == BURST);
		must(recv(fd[1], bytes, BURST, MSG_WAITALL) == BURST);
	}
	return size();
}

int main(void)
{
	int low = 4 * BURST, one = 1, first, peeked, more, read;

	tcp_pair(fd);
	first = size();
	peeked = bursts(1);
	must(!setsockopt(fd[1], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)));
	must(!setsockopt(fd[1], SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one)));
	more = size();
	if (more < low)
		no("%d bytes, with SO_RCVLOWAT %d", more, low);
	read = bursts(0);
	if (read <= more)
		no("%d bytes by SO_RCVLOWAT, which do not become more", more);
	yes("%d bytes, peeked at bursts %d, SO_RCVLOWAT %d, read bursts %d",
	    first, peeked, more, read);
}
