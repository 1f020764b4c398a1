/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connected UDP socket gets what its peer sends, others of the port the rest */
#include "kernel.h"

int main(void)
{
	int any, one, peer[2], on = 1, i;
	struct sockaddr_in sin, from[2];
	char b[8] = "";

	any = socket(AF_INET, SOCK_DGRAM, 0);
	one = socket(AF_INET, SOCK_DGRAM, 0);
	close(bound(SOCK_DGRAM, &sin));
	for (i = 0; i < 2; i++) {
		int fd = i ? one : any;

		must(!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
				 sizeof(on)));
		must(!bind(fd, (struct sockaddr *)&sin, sizeof(sin)));
		peer[i] = bound(SOCK_DGRAM, &from[i]);
	}
	must(!connect(one, (struct sockaddr *)&from[1], sizeof(from[1])));
	for (i = 0; i < 2; i++)
		must(sendto(peer[i], i ? "one" : "any", 4, 0, (void *)&sin,
			    sizeof(sin)) == 4);
	if (recv(one, b, sizeof(b), MSG_DONTWAIT) != 4 || strcmp(b, "one") ||
	    recv(any, b, sizeof(b), MSG_DONTWAIT) != 4 || strcmp(b, "any"))
		no("a datagram came to the wrong socket");
	yes("the connected socket goes first");
}
