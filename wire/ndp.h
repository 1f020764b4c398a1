/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Neighbour discovery on the wire: what netinet/icmp6.h lacks */
#ifndef WIRE_NDP_H
#define WIRE_NDP_H

#include <assert.h>
#include <netinet/icmp6.h>
#include <stdint.h>

#define NDP_HOP_LIMIT 255 /* of all messages, RFC 4861 11.2 */
#define NDP_OPT_UNIT  8   /* option lengths count these, RFC 4861 4.6 */

#define NDP_OPT_RDNSS 25 /* RFC 8106 5.1 */
#define NDP_OPT_DNSSL 31 /* RFC 8106 5.2 */

#define NDP_INFINITY UINT32_MAX /* lifetimes, RFC 4861 4.6.2, RFC 8106 5.1 */

/* Source or target link-layer address, RFC 4861 4.6.1, RFC 2464 6 */
struct ndp_opt_lladdr {
	uint8_t type;
	uint8_t len; /* 1 */
	uint8_t mac[6];
};

static_assert(sizeof(struct ndp_opt_lladdr) == 8, "RFC 2464 6");

/* Head of RDNSS and DNSSL; addresses or names follow */
struct ndp_opt_dns {
	uint8_t type;
	uint8_t len;
	uint16_t reserved;
	uint32_t lifetime;
};

static_assert(sizeof(struct ndp_opt_dns) == 8, "RFC 8106 5.1, 5.2");

/* Sizes of what we take from the system's header */
static_assert(sizeof(struct nd_neighbor_solicit) == 24, "RFC 4861 4.3");
static_assert(sizeof(struct nd_neighbor_advert) == 24, "RFC 4861 4.4");
static_assert(sizeof(struct nd_router_solicit) == 8, "RFC 4861 4.1");
static_assert(sizeof(struct nd_router_advert) == 16, "RFC 4861 4.2");
static_assert(sizeof(struct nd_opt_prefix_info) == 32, "RFC 4861 4.6.2");
static_assert(sizeof(struct nd_opt_mtu) == 8, "RFC 4861 4.6.4");

#endif /* WIRE_NDP_H */
