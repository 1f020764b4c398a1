/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Read cursor over bytes split across iovecs: bounds-checked, alignment-safe */
#ifndef LIB_IOV_H
#define LIB_IOV_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/**
 * struct iov_tail - What is left of a packet from some offset on
 * @iov:	First buffer that still has bytes
 * @cnt:	Buffers from @iov on
 * @off:	Bytes of @iov[0] already passed
 * @len:	Bytes left, at most what the buffers hold (a trimmed packet
 *		has fewer)
 */
struct iov_tail {
	const struct iovec *iov;
	size_t cnt;
	size_t off;
	size_t len;
};

/**
 * iov_tail_init() - Cursor at an offset of an iovec array
 * @iov:	Buffers, borrowed while the tail is in use
 * @cnt:	Number of buffers
 * @off:	Bytes to pass at once
 *
 * Return: cursor; empty if @off is beyond the end
 */
struct iov_tail iov_tail_init(const struct iovec *iov, size_t cnt, size_t off);

/**
 * iov_tail_peek() - Look at the next bytes without moving
 * @tail:	Cursor
 * @len:	Bytes wanted
 * @align:	Alignment the caller needs
 * @store:	@len bytes, used if the bytes are split or not aligned
 *
 * Return: pointer to @len contiguous bytes in the packet or in @store, NULL
 *	   if there are fewer left
 */
const void *iov_tail_peek(const struct iov_tail *tail, size_t len, size_t align,
			  void *store);

/**
 * iov_tail_drop() - Pass @len bytes
 * @tail:	Cursor
 * @len:	Bytes to pass
 *
 * Return: false, and nothing passed, if there are fewer left
 */
bool iov_tail_drop(struct iov_tail *tail, size_t len);

/**
 * iov_tail_trim() - Forget all but the first @len bytes
 * @tail:	Cursor
 * @len:	Bytes to keep
 *
 * Return: false, and nothing changed, if there are fewer left
 */
bool iov_tail_trim(struct iov_tail *tail, size_t len);

/**
 * iov_tail_pull() - iov_tail_peek() and pass what was looked at
 * See iov_tail_peek().
 */
const void *iov_tail_pull(struct iov_tail *tail, size_t len, size_t align,
			  void *store);

/**
 * iov_tail_iov() - The rest as iovecs of its own, for sendmsg()
 * @tail:	Cursor
 * @dst:	Array filled
 * @max:	Room in @dst
 *
 * Return: entries filled, 0 for an empty tail, -EMSGSIZE if @max is too few
 */
int iov_tail_iov(const struct iov_tail *tail, struct iovec *dst, size_t max);

/**
 * iov_tail_copy() - Copy the next bytes without moving
 * @tail:	Cursor
 * @dst:	Destination
 * @len:	Most to copy
 *
 * Return: bytes copied, fewer than @len at the end
 */
size_t iov_tail_copy(const struct iov_tail *tail, void *dst, size_t len);

/* Typed: a header of the type *(storep), kept in *(storep) if it must be */
#define IOV_PEEK(tail, storep)                                              \
	((const __typeof__(*(storep)) *)iov_tail_peek(                      \
		(tail), sizeof(*(storep)), _Alignof(__typeof__(*(storep))), \
		(storep)))
#define IOV_PULL(tail, storep)                                              \
	((const __typeof__(*(storep)) *)iov_tail_pull(                      \
		(tail), sizeof(*(storep)), _Alignof(__typeof__(*(storep))), \
		(storep)))

/**
 * iov_size() - Bytes in an iovec array
 * @iov:	Buffers
 * @cnt:	Number of buffers
 */
size_t iov_size(const struct iovec *iov, size_t cnt);

#endif /* LIB_IOV_H */
