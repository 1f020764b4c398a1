/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ICMP and ICMPv6 errors for the guest, from the error queues of sockets */
#ifndef ICMP_ERROR_H
#define ICMP_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow.h"
#include "lib/inany.h"

struct sock_extended_err;
struct tap;

/**
 * struct icmp_quote - The packet of the guest that an error is about
 * @src, @dst:	Its addresses, as the guest wrote them; one family
 * @proto:	Its L4 protocol number
 * @l4:		Its L4 header and payload, as far as they are known
 * @l4len:	Bytes at @l4; more than an error can carry is cut
 * @l4len_orig:	Bytes of L4 header and payload that the guest sent
 */
struct icmp_quote {
	const union inany_addr *src, *dst;
	uint8_t proto;
	const void *l4;
	size_t l4len;
	size_t l4len_orig;
};

/**
 * icmp_error_of() - Which ICMP error stands for an errno of our own kernel?
 * @error:	errno, positive
 * @v4:		ICMP, else ICMPv6
 * @type, @code: Filled
 *
 * Return: false if none does
 */
bool icmp_error_of(int error, bool v4, uint8_t *type, uint8_t *code);

/**
 * icmp_error_send() - Send an error about a packet to the guest
 * @tap:	Tap
 * @offender:	Who reports, as the guest is to see it: source of the error;
 *		family as the quoted packet
 * @type, @code: ICMP or ICMPv6 numbers, by that family
 * @rest:	Second word of the header, host order: next-hop MTU, pointer in
 *		the place where @type has it, else 0
 * @q:		Packet it is about
 *
 * As much of the packet is quoted as fits 576 bytes (RFC 1812 4.3.2.3), 1280
 * bytes (RFC 4443 2.4 (c)).
 *
 * Return: 0, -EAGAIN if the tap is blocked
 */
int icmp_error_send(struct tap *tap, const union inany_addr *offender,
		    uint8_t type, uint8_t code, uint32_t rest,
		    const struct icmp_quote *q);

/**
 * icmp_error_from_sock() - Tell the guest what an error queue told us
 * @tap:	Tap
 * @tap_side:	Side of the flow on the tap: the packet went from its eaddr to
 *		its oaddr
 * @proto:	L4 protocol of the flow
 * @ee:		Error, see ip(7), IP_RECVERR; of an origin in the network, or
 *		local ones that have an equivalent (EMSGSIZE, E*UNREACH, EACCES)
 * @offender:	Who reported it (SO_EE_OFFENDER), translated for the guest.
 *		Instead of NULL, loopback, unspecified and other-family
 *		addresses the destination oaddr itself is named.
 * @l4_head:	L4 header with the guest's ports, and what is known behind it
 * @l4_headlen:	Bytes at @l4_head
 * @l4_len_orig: Bytes of L4 header and payload that were sent; if not known,
 *		the same as @l4_headlen
 *
 * Return: 0, -EAGAIN if the tap is blocked, -ENOMSG if the error has no
 *	   equivalent of the family of the tap side
 */
int icmp_error_from_sock(struct tap *tap, const struct flowside *tap_side,
			 uint8_t proto, const struct sock_extended_err *ee,
			 const union inany_addr *offender, const void *l4_head,
			 size_t l4_headlen, size_t l4_len_orig);

/**
 * icmp_error_udp() - icmp_error_from_sock() for a UDP payload
 * @tap, @tap_side, @ee, @offender: As above
 * @payload:	UDP payload, as far as it is known: what recvmsg() with
 *		MSG_ERRQUEUE gives
 * @len:	Bytes at @payload
 * @len_orig:	Bytes of payload that were sent; if not known, @len
 *
 * The UDP header is made from the ports of @tap_side, with a checksum if all
 * of the payload is there.
 *
 * Return: as above
 */
int icmp_error_udp(struct tap *tap, const struct flowside *tap_side,
		   const struct sock_extended_err *ee,
		   const union inany_addr *offender, const void *payload,
		   size_t len, size_t len_orig);

#endif /* ICMP_ERROR_H */
