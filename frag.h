/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IP fragments from the guest, put together again */
#ifndef FRAG_H
#define FRAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/inany.h"
#include "lib/iov.h"

/* Datagrams in progress or waiting to be handled: the oldest makes room */
#define FRAG_DATAGRAMS 16

/* Longest wait for the last fragment. RFC 1122 3.3.2 and RFC 8200 4.5 have 60 s
 * for the width of the Internet; between the guest and us there is a wire.
 */
#define FRAG_TIMEOUT_MS 15000

/**
 * struct frag - What a fragment says of itself
 * @src, @dst:	Addresses
 * @id:		Identification
 * @proto:	IPv4: protocol. IPv6: next header, that of the first fragment
 *		counts (RFC 8200 4.5)
 * @off:	Where it belongs, bytes, a multiple of 8
 * @more:	Others follow behind it
 */
struct frag {
	union inany_addr src, dst;
	uint32_t id;
	uint8_t proto;
	uint16_t off;
	bool more;
};

enum frag_verdict {
	FRAG_KEPT,  /* waits for the others, or is there already */
	FRAG_WHOLE, /* was the last one missing */
	FRAG_BAD,   /* cannot be used */
};

/* Fragments taken, and what became of datagrams */
struct frag_stats {
	uint64_t fragments;
	uint64_t whole;   /* put together */
	uint64_t late;    /* not complete in time */
	uint64_t evicted; /* made room for newer ones */
	uint64_t broken;  /* fragments overlap or contradict one another */
};

/**
 * frag_reset() - Forget everything
 */
void frag_reset(void);

/**
 * frag_input() - Take a fragment
 * @f:		Description
 * @hdr:	IP header as received, checked: IPv4 with its options, the first
 *		40 bytes of IPv6
 * @hlen:	Its length
 * @data:	Bytes of the fragment
 * @now:	Time, ms, monotonic
 * @whole:	With FRAG_WHOLE: filled with the datagram, from an IP header
 *		without any trace of fragments on
 *
 * Overlapping fragments are the end of their datagram, in both families
 * (RFC 5722, RFC 8200 4.5); copies of one are not. IPv6 extension headers
 * before the fragment header are left out of @whole.
 *
 * @whole is valid until frag_release().
 *
 * Return: what became of it
 */
enum frag_verdict frag_input(const struct frag *f, const void *hdr, size_t hlen,
			     const struct iov_tail *data, uint64_t now,
			     struct iov_tail *whole);

/**
 * frag_crowded() - Is it time to handle whole datagrams and frag_release()?
 *
 * Return: true if they take room that newer fragments will need
 */
bool frag_crowded(void);

/**
 * frag_release() - All whole datagrams were handled
 */
void frag_release(void);

/**
 * frag_stats() - Counters since the last reset
 */
const struct frag_stats *frag_stats(void);

#endif /* FRAG_H */
