/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Send back datagrams in the guest, where busybox has nothing that does:
 * udpecho PORT
 */

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
	int s = socket(AF_INET6, SOCK_DGRAM, 0);
	static char buf[1 << 16];

	if (argc != 2)
		return EXIT_FAILURE;
	a.sin6_port = htons((uint16_t)atoi(argv[1]));
	if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)))
		return EXIT_FAILURE;
	for (;;) {
		socklen_t len = sizeof(a);
		ssize_t n = recvfrom(s, buf, sizeof(buf), 0,
				     (struct sockaddr *)&a, &len);

		if (n < 0 || sendto(s, buf, (size_t)n, 0, (struct sockaddr *)&a,
				    len) < 0)
			return EXIT_FAILURE;
	}
}
