/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCPv4 server (RFC 2131, RFC 2132) for the one guest; stateless */
#ifndef DHCP_H
#define DHCP_H

#include <stdbool.h>
#include <stdint.h>

#include "ether.h"

struct guest;
struct tap;

/* Filled by conf */
struct dhcp_opts {
	bool no_dns;    /* do not hand out nameservers */
	bool no_search; /* do not hand out the search list */
};

/* Collaborators, filled by the caller */
struct dhcp {
	struct tap *tap;
	const struct guest *guest;
	const struct dhcp_opts *opts;
	uint64_t bad, answered, nak;
};

/**
 * dhcp_tap_input() - Datagrams to port 67 (row of the L4 table)
 * @ctx:	struct dhcp
 * @g:		Datagrams
 */
void dhcp_tap_input(void *ctx, const struct packet_group *g);

#endif /* DHCP_H */
