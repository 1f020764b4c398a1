/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A socket stays in the namespace it was made in, whoever uses it from where */
#include "kernel.h"

#include <sched.h>

int main(void)
{
	struct sockaddr_in sin;
	int server = bound(SOCK_STREAM, &sin), inside, outside;

	must(!listen(server, 2));
	inside = socket(AF_INET, SOCK_STREAM, 0);
	must(!unshare(CLONE_NEWNET));
	outside = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(inside, (struct sockaddr *)&sin, sizeof(sin)))
		no("the socket moved with us: %s", strerror(errno));
	if (!connect(outside, (struct sockaddr *)&sin, sizeof(sin)))
		no("a socket made later is in the old namespace");
	yes("connects in the namespace it comes from");
}
