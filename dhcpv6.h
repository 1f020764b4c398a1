/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCPv6 server (RFC 8415) for the one guest; stateless */
#ifndef DHCPV6_H
#define DHCPV6_H

#include <stdbool.h>
#include <stdint.h>

#include "dhcp.h"
#include "ether.h"

/* Collaborators, filled by the caller */
struct dhcpv6 {
	struct tap *tap;
	struct guest *guest;
	const struct dhcp_opts *opts;
	uint8_t duid[10]; /* DUID-LL, RFC 8415 11.4 */
	uint64_t bad, answered;
};

/**
 * dhcpv6_init() - Fix the server's DUID
 * @d:		DHCPv6
 */
void dhcpv6_init(struct dhcpv6 *d);

/**
 * dhcpv6_tap_input() - Datagrams to port 547 (row of the L4 table)
 * @ctx:	struct dhcpv6
 * @g:		Datagrams
 */
void dhcpv6_tap_input(void *ctx, const struct packet_group *g);

#endif /* DHCPV6_H */
