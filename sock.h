/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Native L4 sockets: make, bind, probe what the kernel can */
#ifndef SOCK_H
#define SOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/inany.h"

/* A socket to make, see sock_open() */
struct sock_spec {
	sa_family_t af;               /* AF_INET, AF_INET6 */
	int type;                     /* SOCK_STREAM, SOCK_DGRAM */
	int proto;                    /* IPPROTO_TCP, _UDP, _ICMP, _ICMPV6 */
	const union inany_addr *bind; /* NULL: not bound; may be unspecified */
	in_port_t port;               /* host order, 0: the kernel's choice */
	uint32_t scope;               /* of a link-local @bind */
	const char *ifname;           /* SO_BINDTODEVICE, NULL or "": none */
	bool reuse;                   /* SO_REUSEADDR */
	bool alone;                   /* not so, ping sockets are by default */
	bool dual;                    /* IPv6 socket that takes IPv4 too */
	bool freebind;                /* IP_FREEBIND, IPV6_FREEBIND */
	bool pktinfo; /* destination address with each datagram */
	bool recverr; /* ICMP errors into the error queue */
	bool recvttl; /* TTL or hop limit with each datagram */
};

/* What the running kernel can, probed once at start */
struct sock_features {
	bool ipv6;              /* AF_INET6 sockets */
	bool peek_off;          /* SO_PEEK_OFF on TCP, both families (6.9) */
	bool meminfo;           /* SO_MEMINFO (4.12) */
	bool udp_gso;           /* UDP_SEGMENT (4.18) */
	int rmem_max, wmem_max; /* net.core sysctls, bytes */
};

/**
 * sock_without() - Is a kernel feature not to be used, for a test?
 * @name:	Feature, as listed in the environment, PASST_KERNEL_WITHOUT
 */
bool sock_without(const char *name);

/**
 * sock_probe() - Find out what the kernel can
 * @f:		Filled. Environment PASST_KERNEL_WITHOUT, a comma-separated list
 *		of the member names above, switches features off so that the
 *		fallbacks can be tested.
 */
void sock_probe(struct sock_features *f);

/**
 * sock_open() - Socket, options, bind; non-blocking and close-on-exec
 * @s:		Specification
 *
 * Return: descriptor, or -errno of the step that failed
 */
int sock_open(const struct sock_spec *s);

/**
 * sock_connect() - Start connecting
 * @fd:		Socket
 * @addr:	Destination
 * @port:	Host order
 * @scope:	For link-local destinations
 *
 * Return: 0 if connected at once, -EINPROGRESS, or another -errno
 */
int sock_connect(int fd, const union inany_addr *addr, in_port_t port,
		 uint32_t scope);

/**
 * sock_error() - Pending error of a socket, cleared (SO_ERROR)
 * @fd:		Socket
 *
 * Return: positive errno value, 0 if there is none
 */
int sock_error(int fd);

/**
 * sock_set_int() - setsockopt() of an int
 * @fd:		Socket
 * @level, @opt: Option
 * @val:	Value
 *
 * Return: 0, or -errno
 */
int sock_set_int(int fd, int level, int opt, int val);

/**
 * sock_close_rst() - Close a TCP socket so that the peer sees a reset
 * @fd:		Socket
 */
void sock_close_rst(int fd);

#endif /* SOCK_H */
