/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the backends of the tap share */
#ifndef TAP_BACKEND_H
#define TAP_BACKEND_H

#include "tap.h"

/* Where payload begins, for it to be copied there fast: a line of the cache */
#define TAP_ALIGN ((size_t)64)

/* Distance of two frames lent: prefix, headers, payload, room for padding */
static inline size_t tap_stride(size_t prefix, size_t hdrlen, size_t len)
{
	size_t bytes = hdrlen + len < ETH_MIN_LEN ? ETH_MIN_LEN : hdrlen + len;

	return (prefix + bytes + TAP_ALIGN - 1) & ~(TAP_ALIGN - 1);
}

/**
 * tap_lay_out() - Fill a batch with frames that lie one behind the other
 * @b:		Batch filled
 * @base:	First byte; @n times tap_stride() bytes from there, and less than
 *		TAP_ALIGN before them, for payload to be aligned
 * @prefix:	Bytes left free before each frame: length or virtio-net header
 * @n:		Frames
 * @hdrlen:	Header bytes of each
 * @len:	Payload room of each
 */
void tap_lay_out(struct batch *b, uint8_t *base, size_t prefix, unsigned n,
		 size_t hdrlen, size_t len);

/**
 * tap_input() - Hand received frames up, count and capture them
 * @tap:	Tap
 * @rx:		Frames
 * @n:		How many
 */
void tap_input(struct tap *tap, const struct tap_rx *rx, unsigned n);

/**
 * tap_trace() - A line of --trace for a frame
 * @way:	"From guest", "To guest"
 * @iov:	Its bytes, perhaps more
 * @iovcnt:	Buffers
 * @len:	Length, bytes
 */
void tap_trace(const char *way, const struct iovec *iov, size_t iovcnt,
	       size_t len);

#endif /* TAP_BACKEND_H */
