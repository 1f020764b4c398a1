/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One IPv6 socket takes connections of both families; with IPV6_V6ONLY it
 * leaves IPv4 to another one
 */
#include "kernel.h"

int main(void)
{
	struct sockaddr_in6 s6 = { .sin6_family = AF_INET6 }, peer;
	struct sockaddr_in s4 = { .sin_family = AF_INET };
	int fd = socket(AF_INET6, SOCK_STREAM, 0), off = 0, on = 1, c, a;
	socklen_t len = sizeof(s6);

	if (fd < 0)
		no("no IPv6: %s", strerror(errno));
	must(!setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &off, sizeof(off)));
	must(!bind(fd, (struct sockaddr *)&s6, len) && !listen(fd, 1));
	must(!getsockname(fd, (struct sockaddr *)&s6, &len));
	s4.sin_port = s6.sin6_port;
	s4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(c, (struct sockaddr *)&s4, sizeof(s4)))
		no("IPv4 is refused: %s", strerror(errno));
	a = accept(fd, (struct sockaddr *)&peer, &len);
	must(a >= 0 && IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr));
	close(a);
	close(fd);
	close(c);

	fd = socket(AF_INET6, SOCK_STREAM, 0);
	must(!setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	s6.sin6_port = 0;
	must(!bind(fd, (struct sockaddr *)&s6, len));
	must(!getsockname(fd, (struct sockaddr *)&s6, &len));
	s4.sin_port = s6.sin6_port;
	c = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(c, (struct sockaddr *)&s4, sizeof(s4)))
		no("IPV6_V6ONLY takes the port of IPv4, too");
	yes("an IPv4 peer is ::ffff:127.0.0.1; IPV6_V6ONLY leaves it alone");
}
