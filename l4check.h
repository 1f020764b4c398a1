/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is an L4 packet of the guest whole? Checks shared by all that answer it */
#ifndef L4CHECK_H
#define L4CHECK_H

#include <stdbool.h>

#include "ether.h"

/**
 * l4check_csum() - Is the checksum of a packet right?
 * @g:		Its group: addresses and protocol
 * @p:		Packet
 *
 * With a pseudo-header for all but ICMPv4. True unseen if the sender left the
 * checksum to be completed on the way.
 */
bool l4check_csum(const struct packet_group *g, const struct packet *p);

/**
 * l4check_udp() - Payload of a UDP datagram
 * @g:		Its group
 * @p:		Packet
 * @payload:	Filled: what lies behind the UDP header, by the length in it
 *
 * Checksum zero is "none" in IPv4 (RFC 768), wrong in IPv6 (RFC 8200 8.1).
 *
 * Return: false if lengths or checksum are wrong
 */
bool l4check_udp(const struct packet_group *g, const struct packet *p,
		 struct iov_tail *payload);

#endif /* L4CHECK_H */
