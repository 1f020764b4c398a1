/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames from the guest: validate L2 and L3 once, group by flow, hand over */
#ifndef ETHER_H
#define ETHER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/inany.h"
#include "lib/iov.h"
#include "tap.h"

struct guest;

/**
 * struct packet - One validated IP packet, valid during the input call
 * @l4:		L4 header and payload, trimmed to what the IP header says
 * @l3:		The same from the IP header on, for quoting in ICMP errors
 * @gso_size:	Not 0: payload bytes per segment or datagram of a packet that
 *		the guest left to be cut
 * @csum_ok:	L4 checksum need not be looked at
 * @joined:	Put together from fragments
 * @next:	Next packet of the group in order of arrival
 */
struct packet {
	struct iov_tail l4;
	struct iov_tail l3;
	uint16_t gso_size;
	bool csum_ok;
	bool joined;
	struct packet *next;
};

/**
 * struct packet_group - Packets of one batch with the same 5-tuple, TTL, TOS
 * @src, @dst:	Addresses; source is never loopback, multicast, unspecified
 *		(but for DHCP and NDP, see ether.c) or IPv4-mapped in IPv6
 * @smac:	Source MAC of the first packet
 * @dmac:	Destination MAC of the first packet
 * @sport, @dport: Ports, host order; ICMP echo: identifier in both; else 0
 * @proto:	L4 protocol number
 * @ttl, @tos:	TTL or hop limit, TOS or traffic class; TCP: 0, segments of a
 *		connection are one group whatever theirs are
 * @icmp_type:	ICMP(v6) type, else 0
 * @n:		Number of packets
 * @first, @last: Packets
 */
struct packet_group {
	union inany_addr src, dst;
	in_port_t sport, dport;
	uint8_t proto, ttl, tos, icmp_type;
	uint8_t smac[6], dmac[6];
	unsigned n;
	struct packet *first, *last;
};

/* Who takes a group: rows are tried in order, the first that matches wins */
struct ether_l4 {
	const char *name;
	sa_family_t af;             /* AF_UNSPEC: both */
	uint8_t proto;              /* IPPROTO_... */
	in_port_t dport;            /* 0: any */
	uint8_t type_min, type_max; /* ICMP types, 0, 0: any */
	bool any_src;               /* unspecified source allowed: DHCP, DAD */
	void (*input)(void *ctx, const struct packet_group *g);
	void *ctx;
};

/* Who takes frames that are not IP */
struct ether_l2 {
	const char *name;
	uint16_t type; /* Ethertype */
	void (*input)(void *ctx, const uint8_t *smac, struct iov_tail payload);
	void *ctx;
};

/* Why a frame was dropped: one counter each */
enum ether_drop {
	ETHER_SHORT,    /* shorter than its headers */
	ETHER_TYPE,     /* Ethertype nobody takes */
	ETHER_OWN_MAC,  /* from our own MAC address, or a group MAC as source */
	ETHER_IP_HDR,   /* version, lengths */
	ETHER_FRAGMENT, /* of nothing that can be put together: frag.h */
	ETHER_EXT_HDR,  /* IPv6 extension headers broken or unknown */
	ETHER_BAD_SRC,  /* source address without business on a link */
	ETHER_BAD_DST,  /* destination likewise */
	ETHER_PROTO,    /* L4 protocol nobody takes */
	ETHER_DROPS
};

struct ether {
	struct guest *guest;
	const struct ether_l2 *l2; /* ended by a row without name */
	const struct ether_l4 *l4; /* ended by a row without name */
	bool v4, v6;               /* families in use */
	uint64_t dropped[ETHER_DROPS];
};

/**
 * ether_init() - Set up; fragments kept so far are forgotten
 * @e:		Filled
 * @guest:	Learns source addresses
 * @l2, @l4:	Tables, borrowed for ever
 * @v4, @v6:	Families in use: packets of others are dropped
 */
void ether_init(struct ether *e, struct guest *guest, const struct ether_l2 *l2,
		const struct ether_l4 *l4, bool v4, bool v6);

/**
 * ether_input() - Take a batch of frames from the tap
 * @ctx:	struct ether
 * @rx:		Frames
 * @n:		How many, at most TAP_RX_MAX
 *
 * Return: groups of packets they made
 */
unsigned ether_input(void *ctx, const struct tap_rx *rx, unsigned n);

#endif /* ETHER_H */
