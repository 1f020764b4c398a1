/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Native L4 sockets: make, bind, probe what the kernel can */

#include "sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fdio.h"

/* linux/udp.h, linux/in6.h: the C library's headers may be older */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

/* Words of SO_MEMINFO (SK_MEMINFO_VARS, linux/sock_diag.h) */
#define MEMINFO_WORDS 9

#define RMEM_MAX_PATH    "/proc/sys/net/core/rmem_max"
#define WMEM_MAX_PATH    "/proc/sys/net/core/wmem_max"
#define MEM_MAX_FALLBACK 212992 /* the kernel's built-in default, bytes */

/* Of socket(2), the middle argument is the type and flags
 *
 * #syscalls socket(0=AF_INET/AF_INET6,1&0xf=SOCK_STREAM,2=IPPROTO_TCP)
 * #syscalls socket(0=AF_INET/AF_INET6,1&0xf=SOCK_DGRAM,2=IPPROTO_UDP)
 * #syscalls bind connect close
 * #syscalls setsockopt(1=SOL_SOCKET,2=SO_REUSEADDR/SO_BINDTODEVICE/SO_LINGER)
 * #syscalls setsockopt(1=SOL_IP,2=IP_FREEBIND/IP_PKTINFO/IP_RECVERR/IP_RECVTTL)
 * #syscalls setsockopt(1=SOL_IP,2=IP_BIND_ADDRESS_NO_PORT)
 * #syscalls setsockopt(1=SOL_IPV6,2=IPV6_V6ONLY/IPV6_FREEBIND/IPV6_RECVPKTINFO)
 * #syscalls setsockopt(1=SOL_IPV6,2=IPV6_RECVERR/IPV6_RECVHOPLIMIT)
 * #syscalls getsockopt(1=SOL_SOCKET,2=SO_ERROR)
 */

bool sock_without(const char *name)
{
	const char *list = getenv("PASST_KERNEL_WITHOUT");
	size_t len = strlen(name), n;

	for (; list && *list; list += n + !!list[n]) {
		n = strcspn(list, ",");
		if (n == len && !memcmp(list, name, len))
			return true;
	}
	return false;
}

/* Does a socket of this family take SO_PEEK_OFF? */
static bool probe_peek_off(sa_family_t af)
{
	int fd = socket(af, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	bool yes;

	if (fd < 0)
		return false;
	yes = !sock_set_int(fd, SOL_SOCKET, SO_PEEK_OFF, 0);
	close(fd);
	return yes;
}

void sock_probe(struct sock_features *f)
{
	uint32_t mem[MEMINFO_WORDS];
	socklen_t len = sizeof(mem);
	int fd;

	memset(f, 0, sizeof(*f));

	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
	f->ipv6 = fd >= 0 && !sock_without("ipv6");
	if (fd >= 0)
		close(fd);

	f->peek_off = !sock_without("peek_off") && probe_peek_off(AF_INET) &&
		      (!f->ipv6 || probe_peek_off(AF_INET6));

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
	if (fd >= 0) {
		f->meminfo = !getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len);
		f->udp_gso = !sock_set_int(fd, IPPROTO_UDP, UDP_SEGMENT, 0);
		close(fd);
	}
	f->meminfo = f->meminfo && !sock_without("meminfo");
	f->udp_gso = f->udp_gso && !sock_without("udp_gso");

	f->rmem_max = (int)read_file_uint(RMEM_MAX_PATH, 0, MEM_MAX_FALLBACK);
	f->wmem_max = (int)read_file_uint(WMEM_MAX_PATH, 0, MEM_MAX_FALLBACK);
}

/* Bind to addresses that are not there (yet): IPV6_FREEBIND is of 4.15 */
static int set_freebind(int fd, sa_family_t af)
{
	if (af == AF_INET6 && !sock_set_int(fd, SOL_IPV6, IPV6_FREEBIND, 1))
		return 0;
	return sock_set_int(fd, SOL_IP, IP_FREEBIND, 1);
}

/* One option wanted on every datagram: a dual socket takes both families, and
 * what comes in by IPv4 follows the IPv4 option.
 */
static int set_both(int fd, const struct sock_spec *s, int opt4, int opt6)
{
	int rc = 0;

	if (s->af == AF_INET6)
		rc = sock_set_int(fd, SOL_IPV6, opt6, 1);
	if (!rc && (s->af == AF_INET || s->dual))
		rc = sock_set_int(fd, SOL_IP, opt4, 1);
	return rc;
}

/* All options, before bind() */
static int set_options(int fd, const struct sock_spec *s)
{
	int rc = 0;

	if (s->af == AF_INET6 && s->bind)
		rc = sock_set_int(fd, SOL_IPV6, IPV6_V6ONLY, !s->dual);
	if (!rc && (s->reuse || s->alone))
		rc = sock_set_int(fd, SOL_SOCKET, SO_REUSEADDR, s->reuse);
	if (!rc && s->ifname && *s->ifname &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, s->ifname,
		       (socklen_t)strlen(s->ifname) + 1))
		rc = -errno;
	if (!rc && s->freebind)
		rc = set_freebind(fd, s->af);
	/* IPV6_RECVPKTINFO reports IPv4 destinations as well, mapped */
	if (!rc && s->pktinfo && s->af == AF_INET6)
		rc = sock_set_int(fd, SOL_IPV6, IPV6_RECVPKTINFO, 1);
	else if (!rc && s->pktinfo)
		rc = sock_set_int(fd, SOL_IP, IP_PKTINFO, 1);
	if (!rc && s->recverr)
		rc = set_both(fd, s, IP_RECVERR, IPV6_RECVERR);
	if (!rc && s->recvttl)
		rc = set_both(fd, s, IP_RECVTTL, IPV6_RECVHOPLIMIT);
	return rc;
}

static int do_bind(int fd, const struct sock_spec *s)
{
	const union inany_addr *addr = s->bind;
	union sockaddr_any sa;
	socklen_t len;

	if (inany_is_unspecified(addr))
		addr = s->af == AF_INET6 ? &inany_any6 : &inany_any4;
	else if (s->type == SOCK_STREAM && !s->port)
		/* Leave the port to connect(), which may share it between
		 * destinations; best effort (4.2)
		 */
		sock_set_int(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);

	len = sockaddr_from_inany(&sa, addr, s->port, s->scope);
	return bind(fd, &sa.sa, len) ? -errno : 0;
}

int sock_open(const struct sock_spec *s)
{
	int fd, rc;

	fd = socket(s->af, s->type | SOCK_NONBLOCK | SOCK_CLOEXEC, s->proto);
	if (fd < 0)
		return -errno;

	rc = set_options(fd, s);
	if (!rc && s->bind)
		rc = do_bind(fd, s);
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

int sock_connect(int fd, const union inany_addr *addr, in_port_t port,
		 uint32_t scope)
{
	union sockaddr_any sa;
	socklen_t len;

	len = sockaddr_from_inany(&sa, addr, port, scope);
	return connect(fd, &sa.sa, len) ? -errno : 0;
}

int sock_error(int fd)
{
	socklen_t len = sizeof(int);
	int e = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len))
		return errno;
	return e;
}

int sock_set_int(int fd, int level, int opt, int val)
{
	return setsockopt(fd, level, opt, &val, sizeof(val)) ? -errno : 0;
}

void sock_close_rst(int fd)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}
