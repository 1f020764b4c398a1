/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links, addresses, routes (rtnetlink(7)), sockets (sock_diag(7)) of a network
 * namespace
 */
#ifndef NL_H
#define NL_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/inany.h"

#define NL_MAC_LEN 6 /* Ethernet; longer or shorter ones count as none */

/**
 * struct nl_sock - Netlink socket, bound for ever to the namespace it was
 *		    opened in
 * @fd:		Socket
 * @seq:	Sequence number of the last request
 */
struct nl_sock {
	int fd;
	uint32_t seq;
};

/* What we want to know about an interface */
struct nl_link {
	int ifi;
	unsigned flags; /* IFF_UP, IFF_LOOPBACK, ... */
	unsigned mtu;
	unsigned short type; /* ARPHRD_ETHER, ARPHRD_NONE, ... */
	bool has_mac;        /* false for tun, WireGuard, ... */
	uint8_t mac[NL_MAC_LEN];
	char name[IF_NAMESIZE];
};

/* One address of an interface */
struct nl_addr {
	union inany_addr addr;
	union inany_addr peer; /* far end of a point-to-point link, or @addr */
	uint32_t flags;        /* IFA_F_... */
	uint8_t prefix_len;    /* bits, 0..32 or 0..128 */
	uint8_t scope;         /* RT_SCOPE_... */
};

/* A route that was not copied */
struct nl_left {
	union inany_addr dst; /* unspecified for a default route */
	unsigned prefix_len;  /* bits */
	int ifi;              /* it goes through, 0: several */
	bool refused;         /* by the kernel, though it is of ours */
};

/* Routes not copied that are told of one by one */
#define NL_LEFT_MAX 4

/* What came of copying a set of addresses or routes */
struct nl_copy {
	unsigned copied; /* now in the target, new or there before */
	unsigned failed; /* refused by the kernel */
	unsigned others; /* routes: left out, through other interfaces */
	int err;         /* -errno of the last failure, 0 if none failed */
	struct nl_left left[NL_LEFT_MAX]; /* the first routes of both sorts */
};

/**
 * nl_open() - Netlink socket for the network namespace we are in now
 * @nl:		Filled; close with nl_close()
 *
 * No request waits longer than a few seconds for the kernel.
 *
 * Return: 0, or -errno
 */
int nl_open(struct nl_sock *nl);

/**
 * nl_close() - Close, the file descriptor only
 * @nl:		Socket
 */
void nl_close(struct nl_sock *nl);

/*
 * Links
 */

/**
 * nl_link_index() - Interface index of a name
 * @nl:		Socket
 * @name:	Interface name or alternative name
 *
 * Return: index, -ENODEV if there is none, -EINVAL for an impossible name,
 *	   or another -errno
 */
int nl_link_index(struct nl_sock *nl, const char *name);

/**
 * nl_link_get() - Properties of an interface
 * @nl:		Socket
 * @ifi:	Interface index
 * @link:	Filled
 *
 * Return: 0, -ENODEV, or another -errno
 */
int nl_link_get(struct nl_sock *nl, int ifi, struct nl_link *link);

/**
 * nl_link_set_mac() - Set the MAC address
 * nl_link_set_mtu() - Set the MTU, bytes
 * nl_link_set_txqlen() - Set the length of the queue towards the device
 * nl_link_set_flags() - Set and clear flags
 * nl_link_set_addrgen() - How the kernel makes the IPv6 link-local address
 * @nl:		Socket
 * @ifi:	Interface index
 * @flags:	IFF_UP, IFF_NOARP, ...: new values
 * @mask:	Flags to change, others stay
 * @mode:	IN6_ADDR_GEN_MODE_NONE: not at all
 *
 * Return: 0, or -errno
 */
int nl_link_set_mac(struct nl_sock *nl, int ifi, const uint8_t *mac);
int nl_link_set_mtu(struct nl_sock *nl, int ifi, unsigned mtu);
int nl_link_set_txqlen(struct nl_sock *nl, int ifi, unsigned len);
int nl_link_set_flags(struct nl_sock *nl, int ifi, unsigned flags,
		      unsigned mask);
int nl_link_set_addrgen(struct nl_sock *nl, int ifi, uint8_t mode);

/*
 * Addresses
 */

/**
 * nl_addr_best() - The address others would know an interface by
 * @nl:		Socket
 * @ifi:	Interface index
 * @af:		AF_INET or AF_INET6
 * @best:	Filled
 *
 * Not deprecated, tentative, or of host scope; wider scope before link scope
 * (which counts for IPv4 only), longer prefix before shorter, then in the
 * kernel's order.
 *
 * Return: 0, -EADDRNOTAVAIL if there is none, or another -errno
 */
int nl_addr_best(struct nl_sock *nl, int ifi, sa_family_t af,
		 struct nl_addr *best);

/**
 * nl_addr_add() - Give an address to an interface, usable at once
 * @nl:		Socket
 * @ifi:	Interface index
 * @addr:	Address
 * @prefix_len:	Bits
 *
 * No duplicate address detection, unlimited lifetime. Packets for it are taken
 * when this returns, unless the kernel needs more than a second or two. An address
 * already there is fine. 127.0.0.0/8 and link-local get the scope they must have.
 *
 * Return: 0, or -errno
 */
int nl_addr_add(struct nl_sock *nl, int ifi, const union inany_addr *addr,
		unsigned prefix_len);

/**
 * nl_addr_copy() - Give an interface the addresses of another one
 * @src:	Socket in the namespace to copy from
 * @src_ifi:	Interface there
 * @dst:	Socket in the namespace to copy to
 * @dst_ifi:	Interface there
 * @af:		AF_INET or AF_INET6
 * @res:	Filled
 *
 * All but link and host scope, deprecated, tentative ones. Without labels and
 * lifetimes, without duplicate address detection.
 *
 * Return: 0, even if some failed (see @res); -errno if the source cannot be
 *	   read
 */
int nl_addr_copy(struct nl_sock *src, int src_ifi, struct nl_sock *dst,
		 int dst_ifi, sa_family_t af, struct nl_copy *res);

/*
 * Routes: of the main table, if not said otherwise
 */

/**
 * nl_route_template() - Interface that connects a family to the outside
 * @nl:		Socket
 * @af:		AF_INET or AF_INET6
 *
 * The one the kernel itself would choose for a packet to the outside, policy
 * rules included, if it has carrier. Else that of the best usable default route
 * (has carrier, lowest metric), else the first with any route not link-local. Of
 * several next hops, the one with the highest weight. Never a loopback
 * interface; one without a MAC address is fine.
 *
 * Return: interface index, -ENODEV if there is none, or another -errno
 */
int nl_route_template(struct nl_sock *nl, sa_family_t af);

/**
 * nl_route_source() - Source address the kernel would choose on an interface
 * @nl:		Socket
 * @ifi:	Interface index
 * @af:		AF_INET or AF_INET6
 * @src:	Filled
 *
 * For packets to the outside. It may be an address of another interface, where
 * links have none of their own (unnumbered).
 *
 * Return: 0, or -EADDRNOTAVAIL
 */
int nl_route_source(struct nl_sock *nl, int ifi, sa_family_t af,
		    union inany_addr *src);

/**
 * nl_route_gateway() - Gateway of the default route through an interface
 * @nl:		Socket
 * @ifi:	Interface index
 * @af:		AF_INET or AF_INET6: of the route
 * @gw:		Filled if there is one; may be IPv6 for an IPv4 route (RFC 8950)
 *
 * Of any table policy rules lead to.
 *
 * Return: 1 if @gw is filled, 0 if there is a default route, but without
 *	   gateway, -ENOENT without a default route, or another -errno
 */
int nl_route_gateway(struct nl_sock *nl, int ifi, sa_family_t af,
		     union inany_addr *gw);

/**
 * nl_route_add() - Add a route through an interface
 * @nl:		Socket
 * @ifi:	Interface index, up
 * @af:		AF_INET or AF_INET6: of the route
 * @dst:	Prefix, NULL for a default route
 * @prefix_len:	Bits of @dst, 0 for a default route
 * @gw:		Gateway, may be IPv6 for an IPv4 route; NULL: on link
 *
 * A gateway out of all prefixes of the link gets an on-link route of its own
 * first. A route already there is fine.
 *
 * Return: 0, or -errno
 */
int nl_route_add(struct nl_sock *nl, int ifi, sa_family_t af,
		 const union inany_addr *dst, unsigned prefix_len,
		 const union inany_addr *gw);

/**
 * nl_route_copy() - Give an interface the routes of another one
 * @src:	Socket in the namespace to copy from
 * @src_ifi:	Interface there
 * @dst:	Socket in the namespace to copy to
 * @dst_ifi:	Interface there, up and with its addresses
 * @af:		AF_INET or AF_INET6
 * @res:	Filled
 *
 * Any number, in any order. Of several next hops, plain or by nexthop
 * objects, the best one through @src_ifi stays. Preferred sources the target
 * has not are left out. Routes to link-local addresses through other interfaces
 * do not count: the target has its own.
 *
 * Return: 0, even if some failed (see @res); -errno if the source cannot be
 *	   read
 */
int nl_route_copy(struct nl_sock *src, int src_ifi, struct nl_sock *dst,
		  int dst_ifi, sa_family_t af, struct nl_copy *res);

/*
 * Sockets: sock_diag(7)
 */

/* A socket that waits for whoever sends to its port */
struct nl_bound {
	union inany_addr addr; /* bound to; unspecified: any */
	in_port_t port;
};

/* Told of each bound socket; @arg as given with it */
typedef void nl_bound_fn(void *arg, const struct nl_bound *bound);

/**
 * nl_diag_open() - Socket to ask for the sockets of the namespace we are in now
 * @nl:		Filled; close with nl_close()
 *
 * Return: 0, or -errno
 */
int nl_diag_open(struct nl_sock *nl);

/**
 * nl_diag_bound() - Tell of TCP listeners, or of UDP sockets not connected
 * @nl:		From nl_diag_open()
 * @proto:	IPPROTO_TCP, IPPROTO_UDP
 * @first, @last: Only of these ports
 * @fn:		Called for each, both families, in no order; one that comes or
 *		goes meanwhile may be missed, or be told of twice
 * @arg:	For @fn
 *
 * Needs no privilege, and no memory. Some 10 us for a table without sockets of
 * the kind, then well below 1 us for each.
 *
 * Return: 0, -ENOENT or -EINVAL where the kernel has no such table, or another
 *	   -errno
 */
int nl_diag_bound(struct nl_sock *nl, uint8_t proto, in_port_t first,
		  in_port_t last, nl_bound_fn *fn, void *arg);

#endif /* NL_H */
