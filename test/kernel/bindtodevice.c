/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SO_BINDTODEVICE: for an ordinary user, on a socket not bound before */
#include "kernel.h"

int main(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	be_user();
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3))
		no("refused to a user: %s", strerror(errno));
	if (!setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "", 0))
		no("a user may undo it, too");
	yes("a user may bind a socket to lo, but not undo it");
}
