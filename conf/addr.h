/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses of the guest, from those of the host */
#ifndef CONF_ADDR_H
#define CONF_ADDR_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/inany.h"

struct conf;
struct nl_sock;

/**
 * struct host_net - How the host is connected, in one family
 * @ifi:	Template interface, 0: none
 * @name:	Its name
 * @addr:	Its address, unspecified: none
 * @prefix_len:	Of @addr, bits; all if it is an address of another interface
 * @gw:		Gateway of its default route, unspecified: none
 * @routed:	It has a default route
 * @borrowed:	@addr is of another interface
 */
struct host_net {
	unsigned ifi;
	char name[IFNAMSIZ];
	union inany_addr addr;
	uint8_t prefix_len;
	union inany_addr gw;
	bool routed, borrowed;
};

/**
 * host_net_read() - Look at the host
 * @h:		Filled; zeroed if there is no such network
 * @nl:		Netlink socket of the host's namespace
 * @ifname:	Interface wanted, NULL: the one of the default route
 * @af:		AF_INET, AF_INET6
 *
 * Return: 0, -ENODEV if there is no interface @ifname, or another -errno
 */
int host_net_read(struct host_net *h, struct nl_sock *nl, const char *ifname,
		  sa_family_t af);

/**
 * conf_addr4() - Settle IPv4: address, prefix, gateway, ours
 * conf_addr6() - The same for IPv6
 * @c:		Configuration, parsed
 * @h:		What the host has
 */
void conf_addr4(struct conf *c, const struct host_net *h);
void conf_addr6(struct conf *c, const struct host_net *h);

#endif /* CONF_ADDR_H */
