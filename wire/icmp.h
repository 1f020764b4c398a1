/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ICMP echo on the wire, the same header in both families
 *
 * netinet/ip_icmp.h has names that collide with ours.
 */
#ifndef WIRE_ICMP_H
#define WIRE_ICMP_H

#include <assert.h>
#include <stdint.h>

/* RFC 792 */
#define ICMP4_ECHO_REPLY   0
#define ICMP4_ECHO_REQUEST 8

/* RFC 792, RFC 4443 4.1; network order, payload follows */
struct icmp_echo {
	uint8_t type;
	uint8_t code; /* 0 */
	uint16_t csum;
	uint16_t id;
	uint16_t seq;
};

static_assert(sizeof(struct icmp_echo) == 8, "RFC 792, RFC 4443 4.1");

#endif /* WIRE_ICMP_H */
