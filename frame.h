/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Outgoing Ethernet frames, batches of them, and the pushers of headers */
#ifndef FRAME_H
#define FRAME_H

#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/inany.h"

#define IPV4_MAX_LEN 65535 /* RFC 791, total length */
#define ETH_MIN_LEN  60    /* shortest frame without FCS, IEEE 802.3 */
#define TTL_DEFAULT  255   /* of frames that are ours */

/* Room for all headers of any frame we build: Ethernet, IPv6, TCP with options */
#define FRAME_HDR_MAX \
	(sizeof(struct ether_header) + sizeof(struct ip6_hdr) + 60)

/* How the receiver, or the tap for it, is to cut a frame (virtio 1.2, 5.1.6) */
enum frame_gso {
	FRAME_GSO_NONE,
	FRAME_GSO_TCP4,
	FRAME_GSO_TCP6,
	FRAME_GSO_UDP, /* USO: cut UDP payload to datagrams of gso_size */
};

/**
 * struct frame - One outgoing frame in buffers lent by a tap
 * @hdr:	All headers, contiguous, from the Ethernet header on
 * @hdrlen:	Bytes of @hdr in use, as asked for at reserve
 * @iov:	Payload buffers, one after the other, behind the headers
 * @iovcnt:	Number of payload buffers
 * @len:	Ethernet header to last payload byte: set before submit
 * @csum_start:	Offset, from @hdr, of the L4 header whose checksum field holds
 *		only the folded pseudo-header sum; 0: checksum is complete.
 *		The tap completes it, or tells the receiver to.
 * @csum_off:	Offset of the checksum field from @csum_start
 * @gso:	How to cut the frame, only if the tap's facts allow it
 * @gso_size:	L4 payload bytes in each cut piece
 */
struct frame {
	uint8_t *hdr;
	size_t hdrlen;
	struct iovec *iov;
	unsigned iovcnt;
	size_t len;
	uint16_t csum_start;
	uint16_t csum_off;
	enum frame_gso gso;
	uint16_t gso_size;
};

/* Most frames lent at once, and payload buffers behind them */
#define BATCH_FRAMES 64
#define BATCH_IOVS   (BATCH_FRAMES * 2)

/**
 * struct batch - Frames lent by one reserve, and their payload as one run
 * @n:		Frames lent
 * @frame:	The frames
 * @iovcnt:	Payload buffers of all frames
 * @iov:	Payload buffers, ready for recvmsg(): frame after frame. The first
 *		entry is left free for the caller, see BATCH_IOV.
 */
struct batch {
	unsigned n;
	unsigned iovcnt;
	struct frame frame[BATCH_FRAMES];
	struct iovec iov_[BATCH_IOVS + 1];
};

/* Payload run; the entry before it may be used for bytes to be passed over */
#define BATCH_IOV(b) ((b)->iov_ + 1)

/**
 * struct l3_spec - What the Ethernet and IP headers of a frame say
 * @src, @dst:	Addresses, both of one family
 * @src_mac:	Source MAC, NULL: ours
 * @proto:	IP protocol number
 * @ttl:	TTL or hop limit, 0: TTL_DEFAULT
 * @tos:	TOS byte or traffic class
 * @flow_label:	IPv6 flow label, host order, 20 bits
 */
struct l3_spec {
	const union inany_addr *src, *dst;
	const uint8_t *src_mac;
	uint8_t proto, ttl, tos;
	uint32_t flow_label;
};

/**
 * frame_l3_len() - Bytes of Ethernet and IP header
 * @v4:		IPv4, else IPv6
 */
static inline size_t frame_l3_len(bool v4)
{
	return sizeof(struct ether_header) +
	       (v4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr));
}

/**
 * frame_push_eth() - Write an Ethernet header
 * @p:		Destination, 14 bytes
 * @dst, @src:	MAC addresses
 * @type:	Ethertype, host order
 *
 * Return: first byte behind the header
 */
void *frame_push_eth(void *p, const uint8_t *dst, const uint8_t *src,
		     uint16_t type);

/**
 * frame_push_ip4() - Write an IPv4 header without options, checksum complete
 * @p:		Destination, 20 bytes
 * @l3:		Specification, IPv4 addresses
 * @l4len:	L4 header and payload, bytes, at most 65515
 *
 * Identification 0 and DF (RFC 6864: atomic datagram). Source: RFC 791.
 *
 * Return: first byte behind the header
 */
void *frame_push_ip4(void *p, const struct l3_spec *l3, size_t l4len);

/**
 * frame_push_ip6() - Write an IPv6 header (RFC 8200)
 * See frame_push_ip4(); @l4len at most 65535.
 *
 * Return: first byte behind the header
 */
void *frame_push_ip6(void *p, const struct l3_spec *l3, size_t l4len);

/**
 * frame_pseudo() - Folded pseudo-header sum to put in an L4 checksum field
 * @l3:		Specification
 * @l4len:	L4 header and payload, bytes
 */
uint16_t frame_pseudo(const struct l3_spec *l3, size_t l4len);

/**
 * frame_push_udp() - Write a UDP header holding only the pseudo-header sum
 * @p:		Destination, 8 bytes
 * @l3:		Specification
 * @sport:	Source port, host order
 * @dport:	Destination port, host order
 * @paylen:	Payload bytes
 *
 * Return: first byte behind the header. Source: RFC 768.
 */
void *frame_push_udp(void *p, const struct l3_spec *l3, in_port_t sport,
		     in_port_t dport, size_t paylen);

/**
 * frame_finish_csum() - Complete the checksum a producer left to the tap
 * @f:		Frame with csum_start set; cleared
 *
 * UDP sums of zero are stored as all ones (RFC 768).
 */
void frame_finish_csum(struct frame *f);

#endif /* FRAME_H */
