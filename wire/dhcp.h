/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCPv4 on the wire (RFC 2131, RFC 2132 and the RFCs named at options) */
#ifndef WIRE_DHCP_H
#define WIRE_DHCP_H

#include <assert.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68

#define DHCP_MAGIC     0x63825363 /* RFC 2131 3 */
#define DHCP_BROADCAST 0x8000     /* in flags, RFC 2131 2 */
#define DHCP_HW_ETHER  1          /* as in ARP */
#define DHCP_INFINITY  UINT32_MAX /* lease time, RFC 2131 3.3 */

#define BOOTP_LEN_MIN 300 /* message at least, RFC 1542 2.1 */
#define DHCP_SIZE_MIN 576 /* IP packet every client takes, RFC 2132 9.10 */

enum dhcp_op { BOOTREQUEST = 1, BOOTREPLY = 2 };

/* Option 53, RFC 2132 9.6 */
enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER,
	DHCP_REQUEST,
	DHCP_DECLINE,
	DHCP_ACK,
	DHCP_NAK,
	DHCP_RELEASE,
	DHCP_INFORM,
};

/* RFC 2132 where nothing else is said */
enum dhcp_option {
	DHCP_OPT_PAD = 0,
	DHCP_OPT_MASK = 1,
	DHCP_OPT_ROUTER = 3,
	DHCP_OPT_DNS = 6,
	DHCP_OPT_HOSTNAME = 12,
	DHCP_OPT_MTU = 26,
	DHCP_OPT_REQUESTED_IP = 50,
	DHCP_OPT_LEASE_TIME = 51,
	DHCP_OPT_TYPE = 53,
	DHCP_OPT_SERVER_ID = 54,
	DHCP_OPT_PARAM_LIST = 55,
	DHCP_OPT_MESSAGE = 56,
	DHCP_OPT_MAX_SIZE = 57,
	DHCP_OPT_CLIENT_ID = 61,      /* in replies: RFC 6842 */
	DHCP_OPT_RAPID_COMMIT = 80,   /* RFC 4039 */
	DHCP_OPT_FQDN = 81,           /* RFC 4702 */
	DHCP_OPT_RELAY_INFO = 82,     /* RFC 3046 */
	DHCP_OPT_SEARCH = 119,        /* RFC 3397 */
	DHCP_OPT_STATIC_ROUTES = 121, /* RFC 3442 */
	DHCP_OPT_END = 255,
};

#define DHCP_FQDN_ENCODED 0x04 /* E flag, RFC 4702 2.1 */
#define DHCP_FQDN_RCODE   255  /* both of them, RFC 4702 2.2 */

/* Fixed part; options follow. RFC 2131 2 */
struct dhcp_msg {
	uint8_t op;
	uint8_t htype;
	uint8_t hlen;
	uint8_t hops;
	uint32_t xid;
	uint16_t secs;
	uint16_t flags;
	struct in_addr ciaddr;
	struct in_addr yiaddr;
	struct in_addr siaddr;
	struct in_addr giaddr;
	uint8_t chaddr[16];
	uint8_t sname[64];
	uint8_t file[128];
	uint32_t magic;
};

static_assert(sizeof(struct dhcp_msg) == 240, "RFC 2131 2");
static_assert(offsetof(struct dhcp_msg, magic) == 236, "RFC 2131 2");

/* Head of each option but pad and end */
struct dhcp_opt_head {
	uint8_t code;
	uint8_t len;
};

#endif /* WIRE_DHCP_H */
