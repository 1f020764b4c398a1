/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bound sockets of a namespace, from the text of /proc/net
 *
 * For kernels without sock_diag(7) for TCP or UDP (CONFIG_INET_TCP_DIAG,
 * CONFIG_INET_UDP_DIAG), see fwd/scan.c. Listeners come first in
 * /proc/net/tcp: we stop reading where connections begin. The kernel has to look
 * for the first of those all the same, through a table with room for the
 * connections of all namespaces: milliseconds, so scans are less often.
 *
 * Source: proc(5), Documentation/networking/proc_net_tcp.rst.
 */

#include "fwd/procnet.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/lineread.h"

/* #syscalls:pasta read lseek */

int procnet_open(struct procnet *p)
{
	static const char *const name[] = { "tcp", "tcp6", "udp", "udp6" };
	int *const fd[] = { &p->tcp[0], &p->tcp[1], &p->udp[0], &p->udp[1] };
	char path[sizeof("/proc/thread-self/net/tcp6")];
	int rc = 0;
	unsigned i;

	for (i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
		snprintf(path, sizeof(path), "/proc/thread-self/net/%s",
			 name[i]);
		*fd[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (*fd[i] < 0 && !(i % 2))
			rc = -errno;
	}
	if (rc)
		procnet_close(p);
	return rc;
}

void procnet_close(struct procnet *p)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		if (p->tcp[i] >= 0)
			close(p->tcp[i]);
		if (p->udp[i] >= 0)
			close(p->udp[i]);
		p->tcp[i] = p->udp[i] = -1;
	}
}

/* Addresses are words in the order of this machine, as they are in memory */
static bool get_addr(const char *hex, size_t len, union inany_addr *a)
{
	uint32_t word[4];
	unsigned i;

	for (i = 0; i < len / 8; i++)
		if (sscanf(hex + i * 8, "%8" SCNx32, &word[i]) != 1)
			return false;
	inany_from_af(a, len == 8 ? AF_INET : AF_INET6, word);
	return true;
}

bool procnet_line(const char *line, unsigned *state, struct nl_bound *b)
{
	char addr[33];
	unsigned port;
	size_t len;

	/* "  0: 0100007F:1F90 00000000:0000 0A ..." */
	if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%4x %*[0-9A-Fa-f]:%*x %2x", addr,
		   &port, state) != 3)
		return false;
	len = strlen(addr);
	if ((len != 8 && len != 32) || port > UINT16_MAX)
		return false;
	b->port = (in_port_t)port;
	return get_addr(addr, len, &b->addr);
}

/* One file, from its beginning */
static int read_file(int fd, unsigned wanted, in_port_t first, in_port_t last,
		     nl_bound_fn *fn, void *arg)
{
	struct lineread lr;
	struct nl_bound b;
	unsigned state;
	char *line;
	ssize_t n;

	if (fd < 0)
		return 0;
	if (lseek(fd, 0, SEEK_SET))
		return -errno;
	lineread_init(&lr, fd);
	while ((n = lineread_next(&lr, &line)) >= 0) {
		if (!procnet_line(line, &state, &b))
			continue;
		if (state == wanted && b.port >= first && b.port <= last)
			fn(arg, &b);
		else if (state != wanted && wanted == TCP_LISTEN)
			return 0;
	}
	return n == -ENODATA ? 0 : (int)n;
}

int procnet_bound(const struct procnet *p, uint8_t proto, in_port_t first,
		  in_port_t last, nl_bound_fn *fn, void *arg)
{
	const int *fd = proto == IPPROTO_TCP ? p->tcp : p->udp;
	unsigned state = proto == IPPROTO_TCP ? TCP_LISTEN : TCP_CLOSE;
	int rc = read_file(fd[0], state, first, last, fn, arg);

	return rc ? rc : read_file(fd[1], state, first, last, fn, arg);
}
