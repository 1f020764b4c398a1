/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ARP for IPv4 over Ethernet as it lies on the wire (RFC 826) */
#ifndef WIRE_ARP_H
#define WIRE_ARP_H

#include <assert.h>
#include <stdint.h>

#define ARP_HW_ETHER   1      /* ar$hrd: Ethernet */
#define ARP_PROTO_IPV4 0x0800 /* ar$pro: an Ethertype */
#define ARP_HLEN_ETHER 6
#define ARP_PLEN_IPV4  4
#define ARP_OP_REQUEST 1
#define ARP_OP_REPLY   2

/* All numbers in network order */
struct arp_packet {
	uint16_t hw;                 /* ar$hrd */
	uint16_t proto;              /* ar$pro */
	uint8_t hlen;                /* ar$hln */
	uint8_t plen;                /* ar$pln */
	uint16_t op;                 /* ar$op */
	uint8_t sha[ARP_HLEN_ETHER]; /* sender */
	uint8_t spa[ARP_PLEN_IPV4];
	uint8_t tha[ARP_HLEN_ETHER]; /* target */
	uint8_t tpa[ARP_PLEN_IPV4];
};

static_assert(sizeof(struct arp_packet) == 28, "RFC 826 packet format");

#endif /* WIRE_ARP_H */
