/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets of UDP flows: one for each peer, connected wherever that is possible
 *
 * A connected socket takes only its peer's datagrams, in preference to one that
 * is not connected, and learns of ICMP errors. Between bind() and connect() it
 * takes anybody's: readers compare each source with the peer.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns.h"
#include "sock.h"
#include "udp/internal.h"

/* linux/in.h, linux/in6.h: the C library's headers may be older */
#ifndef IP_MULTICAST_ALL
#define IP_MULTICAST_ALL 49
#endif
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

/* #syscalls setsockopt(1=SOL_SOCKET,2=SO_RCVBUF/SO_SNDBUF/SO_BROADCAST)
 * #syscalls setsockopt(1=SOL_IP,2=IP_PKTINFO/IP_MULTICAST_ALL/IP_MULTICAST_IF)
 * #syscalls setsockopt(1=SOL_IPV6,2=IPV6_RECVPKTINFO/IPV6_MULTICAST_ALL)
 * #syscalls setsockopt(1=SOL_IPV6,2=IPV6_MULTICAST_IF)
 * #syscalls close
 */

uint32_t udp_scope(const struct udp *u, const union inany_addr *a)
{
	if (inany_is_multicast(a) || inany_is_linklocal6(a))
		return fwd_map_of(u->fwd, a)->scope;
	return 0;
}

/* Buffers as large as allowed: a burst waits there while others have a turn */
static void set_buffers(const struct udp *u, int fd)
{
	if (u->features->rmem_max)
		sock_set_int(fd, SOL_SOCKET, SO_RCVBUF, u->features->rmem_max);
	if (u->features->wmem_max)
		sock_set_int(fd, SOL_SOCKET, SO_SNDBUF, u->features->wmem_max);
}

/* Groups: sent by the template interface, answered by anybody, but to us.
 * What others send to groups does not come in by this socket.
 */
static void set_group(const struct udp *u, int fd, const union inany_addr *dst)
{
	struct ip_mreqn m = { .imr_ifindex = (int)udp_scope(u, dst) };

	if (inany_v4(dst)) {
		sock_set_int(fd, SOL_SOCKET, SO_BROADCAST, 1);
		sock_set_int(fd, SOL_IP, IP_PKTINFO, 1);
		sock_set_int(fd, SOL_IP, IP_MULTICAST_ALL, 0);
		if (m.imr_ifindex)
			setsockopt(fd, SOL_IP, IP_MULTICAST_IF, &m, sizeof(m));
		return;
	}
	sock_set_int(fd, SOL_IPV6, IPV6_RECVPKTINFO, 1);
	sock_set_int(fd, SOL_IPV6, IPV6_MULTICAST_ALL, 0);
	if (m.imr_ifindex)
		sock_set_int(fd, SOL_IPV6, IPV6_MULTICAST_IF, m.imr_ifindex);
}

int udp_open_host(struct udp *u, struct udp_flow *f)
{
	const struct flowside *s = &f->f.side[TGTSIDE];
	bool v4 = inany_v4(&s->eaddr);
	int fd, rc = 0;

	fd = fwd_socket(u->fwd, IPPROTO_UDP, s, s->oport);
	/* Somebody else's, or privileged: better another than none */
	if (s->oport && (fd == -EACCES || fd == -EADDRINUSE || fd == -EPERM)) {
		fd = fwd_socket(u->fwd, IPPROTO_UDP, s, 0);
		u->stats.ephemeral++;
	}
	if (fd < 0)
		return fd;
	set_buffers(u, fd);
	f->scope = udp_scope(u, &s->eaddr);

	f->unconnected = !inany_is_unicast(&s->eaddr);
	if (!f->unconnected) {
		rc = sock_connect(fd, &s->eaddr, s->eport, f->scope);
		/* A network's broadcast address: only its route tells */
		if (rc == -EACCES && v4) {
			f->unconnected = true;
			rc = 0;
		}
	}
	if (f->unconnected)
		set_group(u, fd, &s->eaddr);
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

/* Open, in the target namespace if it is there, and connect */
struct open_arg {
	struct sock_spec spec;
};

/* Runs in the thread of the namespace */
static int open_there(void *arg)
{
	const struct open_arg *a = arg;

	return sock_open(&a->spec);
}

static int open_connected(struct udp *u, uint8_t pif, struct open_arg *a,
			  const struct flowside *s)
{
	int fd, rc;

	if (pif == PIF_SPLICE && !u->netns)
		return -ENONET;
	fd = pif == PIF_SPLICE ? netns_call(u->netns, open_there, a)
			       : open_there(a);
	if (fd < 0)
		return fd;
	set_buffers(u, fd);
	rc = sock_connect(fd, &s->eaddr, s->eport, a->spec.scope);
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

int udp_open_peer(struct udp *u, const struct udp_flow *f,
		  const union inany_addr *local)
{
	const struct fwd_rule *rule = u->fwd->listener[f->listener].rule;
	const struct flowside *s = &f->f.side[INISIDE];
	struct open_arg a = { { .af = inany_af(&s->eaddr),
				.type = SOCK_DGRAM,
				.proto = IPPROTO_UDP,
				.bind = local,
				.port = s->oport,
				.scope = f->scope,
				.ifname = rule->ifname,
				.reuse = true,
				.freebind = u->fwd->opts->freebind,
				.recverr = true } };

	if (inany_is_unspecified(local) || !inany_is_unicast(local) ||
	    inany_af(local) != a.spec.af)
		return -EADDRNOTAVAIL;
	return open_connected(u, f->f.pif[INISIDE], &a, s);
}

int udp_open_target(struct udp *u, const struct udp_flow *f)
{
	const struct flowside *s = &f->f.side[TGTSIDE];
	struct open_arg a = { { .af = inany_af(&s->eaddr),
				.type = SOCK_DGRAM,
				.proto = IPPROTO_UDP,
				.recverr = true } };

	return open_connected(u, f->f.pif[TGTSIDE], &a, s);
}

bool udp_is_ours(const union inany_addr *a, uint32_t scope)
{
	const struct sock_spec spec = { .af = inany_af(a),
					.type = SOCK_DGRAM,
					.proto = IPPROTO_UDP,
					.bind = a,
					.scope = scope };
	int fd = sock_open(&spec);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}
