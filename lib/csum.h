/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Internet checksum (RFC 1071), by the widest vectors the CPU has */
#ifndef LIB_CSUM_H
#define LIB_CSUM_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

struct iov_tail;

/* Sums are in memory order: add 16-bit words as they lie, fold, complement,
 * store: no byte swapping on any machine (RFC 1071, section 2 (B)).
 */

/**
 * csum_partial() - Add bytes to a running sum
 * @buf:	Bytes, any alignment
 * @len:	Number of bytes; odd only for the last piece of a packet
 * @sum:	Sum so far, folded or not
 *
 * Dispatches at run time to the best version for the CPU.
 *
 * Return: 32-bit partial sum, not folded, not complemented
 */
uint32_t csum_partial(const void *buf, size_t len, uint32_t sum);

/**
 * csum_tail() - csum_partial() of all that is left at a cursor
 * @tail:	Cursor, not moved; pieces may have odd lengths
 * @sum:	Sum so far
 */
uint32_t csum_tail(const struct iov_tail *tail, uint32_t sum);

/**
 * csum_fold() - 16-bit one's complement sum, not complemented
 * @sum:	Partial sum
 */
static inline uint16_t csum_fold(uint32_t sum)
{
	sum = (sum >> 16) + (sum & 0xffff);
	sum += sum >> 16;
	return (uint16_t)sum;
}

/**
 * csum() - Final checksum of a buffer, ready to store
 * @buf:	Bytes
 * @len:	Number of bytes
 * @sum:	Sum of what goes before (pseudo-header), 0 if nothing
 */
static inline uint16_t csum(const void *buf, size_t len, uint32_t sum)
{
	return (uint16_t)~csum_fold(csum_partial(buf, len, sum));
}

/**
 * csum_pseudo4() - Sum of the IPv4 pseudo-header (RFC 793 3.1, RFC 768)
 * @src, @dst:	Addresses
 * @proto:	IP protocol number
 * @l4len:	L4 header and payload, bytes
 */
uint32_t csum_pseudo4(struct in_addr src, struct in_addr dst, uint8_t proto,
		      size_t l4len);

/**
 * csum_pseudo6() - Sum of the IPv6 pseudo-header (RFC 8200 8.1)
 * See csum_pseudo4().
 */
uint32_t csum_pseudo6(const struct in6_addr *src, const struct in6_addr *dst,
		      uint8_t proto, size_t l4len);

#endif /* LIB_CSUM_H */
