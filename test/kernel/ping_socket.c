/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ping sockets: echo for users in net.ipv4.ping_group_range, identifier chosen */
#include "kernel.h"

#include <fcntl.h>
#include <netinet/ip_icmp.h>

int main(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct icmphdr h = { .type = ICMP_ECHO }, reply;
	int fd, other,
		off = 0,
		range = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY);

	must(range >= 0 && write(range, "0 2147483647", 12) == 12);
	be_user();
	fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	if (fd < 0)
		no("refused: %s", strerror(errno));
	sin.sin_port = htons(4711);
	must(!bind(fd, (struct sockaddr *)&sin, sizeof(sin)));
	/* Shared by default, which nobody asks for */
	other = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	must(other >= 0 &&
	     !setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &off, sizeof(off)));
	if (!bind(other, (struct sockaddr *)&sin, sizeof(sin)) ||
	    errno != EADDRINUSE)
		no("an identifier is shared against the will of one");
	sin.sin_port = 0;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(sendto(fd, &h, sizeof(h), 0, (void *)&sin, sizeof(sin)) ==
	     sizeof(h));
	must(recv(fd, &reply, sizeof(reply), 0) == sizeof(reply));
	if (reply.type || ntohs(reply.un.echo.id) != 4711)
		no("type %u, id %u", reply.type, ntohs(reply.un.echo.id));
	yes("a user pings, the port bound to is the identifier");
}
