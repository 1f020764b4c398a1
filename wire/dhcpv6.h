/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCPv6 on the wire (RFC 8415 and the RFCs named at options) */
#ifndef WIRE_DHCPV6_H
#define WIRE_DHCPV6_H

#include <assert.h>
#include <netinet/in.h>
#include <stdint.h>

#define DHCPV6_CLIENT_PORT 546
#define DHCPV6_SERVER_PORT 547

#define DHCPV6_DUID_MAX       130        /* with its type, RFC 8415 11.1 */
#define DHCPV6_HW_ETHER       1          /* as in ARP */
#define DHCPV6_INFINITY       UINT32_MAX /* times, RFC 8415 7.7 */
#define DHCPV6_PREFERENCE_MAX 255        /* take it at once, RFC 8415 18.2.1 */

/* RFC 8415 7.3 */
enum dhcpv6_type {
	DHCPV6_SOLICIT = 1,
	DHCPV6_ADVERTISE,
	DHCPV6_REQUEST,
	DHCPV6_CONFIRM,
	DHCPV6_RENEW,
	DHCPV6_REBIND,
	DHCPV6_REPLY,
	DHCPV6_RELEASE,
	DHCPV6_DECLINE,
	DHCPV6_RECONFIGURE,
	DHCPV6_INFORMATION_REQUEST,
};

/* RFC 8415 21 where nothing else is said */
enum dhcpv6_option {
	DHCPV6_OPT_CLIENT_ID = 1,
	DHCPV6_OPT_SERVER_ID = 2,
	DHCPV6_OPT_IA_NA = 3,
	DHCPV6_OPT_IA_TA = 4,
	DHCPV6_OPT_IA_ADDR = 5,
	DHCPV6_OPT_PREFERENCE = 7,
	DHCPV6_OPT_STATUS = 13,
	DHCPV6_OPT_RAPID_COMMIT = 14,
	DHCPV6_OPT_DNS = 23,    /* RFC 3646 3 */
	DHCPV6_OPT_SEARCH = 24, /* RFC 3646 4 */
	DHCPV6_OPT_IA_PD = 25,
	DHCPV6_OPT_FQDN = 39, /* RFC 4704 4 */
};

/* RFC 8415 21.13 */
enum dhcpv6_status {
	DHCPV6_SUCCESS = 0,
	DHCPV6_NO_ADDRS_AVAIL = 2,
	DHCPV6_NO_BINDING = 3,
	DHCPV6_NOT_ON_LINK = 4,
	DHCPV6_USE_MULTICAST = 5,
	DHCPV6_NO_PREFIX_AVAIL = 6,
};

/* RFC 8415 8 */
struct dhcpv6_msg {
	uint8_t type;
	uint8_t xid[3];
};

static_assert(sizeof(struct dhcpv6_msg) == 4, "RFC 8415 8");

struct dhcpv6_opt_head {
	uint16_t code;
	uint16_t len;
};

static_assert(sizeof(struct dhcpv6_opt_head) == 4, "RFC 8415 21.1");

/* Link-layer address alone, RFC 8415 11.4 */
#define DHCPV6_DUID_LL 3
struct dhcpv6_duid_ll {
	uint16_t type;
	uint16_t hw;
	uint8_t mac[6];
};

static_assert(sizeof(struct dhcpv6_duid_ll) == 10, "RFC 8415 11.4");

/* Data of IA_NA and IA_PD, before their options; RFC 8415 21.4, 21.21 */
struct dhcpv6_ia {
	uint32_t iaid;
	uint32_t t1;
	uint32_t t2;
};

static_assert(sizeof(struct dhcpv6_ia) == 12, "RFC 8415 21.4");

/* Data of IA_TA, before its options; RFC 8415 21.5 */
struct dhcpv6_ia_ta {
	uint32_t iaid;
};

static_assert(sizeof(struct dhcpv6_ia_ta) == 4, "RFC 8415 21.5");

/* Data of an IA address, before its options; RFC 8415 21.6 */
struct dhcpv6_ia_addr {
	struct in6_addr addr;
	uint32_t preferred;
	uint32_t valid;
};

static_assert(sizeof(struct dhcpv6_ia_addr) == 24, "RFC 8415 21.6");

#endif /* WIRE_DHCPV6_H */
