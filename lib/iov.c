/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Read cursor over bytes split across iovecs */

#include "lib/iov.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* Leave buffers that are used up, so that the next byte is in iov[0] */
static void iov_tail_settle(struct iov_tail *tail)
{
	while (tail->cnt && tail->off >= tail->iov[0].iov_len) {
		tail->off -= tail->iov[0].iov_len;
		tail->iov++;
		tail->cnt--;
	}
}

struct iov_tail iov_tail_init(const struct iovec *iov, size_t cnt, size_t off)
{
	size_t size = iov_size(iov, cnt);
	struct iov_tail tail = { .iov = iov, .cnt = cnt };

	if (off > size)
		off = size;
	tail.off = off;
	tail.len = size - off;
	iov_tail_settle(&tail);
	return tail;
}

const void *iov_tail_peek(const struct iov_tail *tail, size_t len, size_t align,
			  void *store)
{
	const char *p;

	if (tail->len < len)
		return NULL;
	if (!len)
		return store;

	p = (const char *)tail->iov[0].iov_base + tail->off;
	if (tail->iov[0].iov_len - tail->off >= len && !((uintptr_t)p % align))
		return p;

	iov_tail_copy(tail, store, len);
	return store;
}

bool iov_tail_drop(struct iov_tail *tail, size_t len)
{
	if (tail->len < len)
		return false;

	tail->off += len;
	tail->len -= len;
	iov_tail_settle(tail);
	return true;
}

bool iov_tail_trim(struct iov_tail *tail, size_t len)
{
	if (tail->len < len)
		return false;

	tail->len = len;
	return true;
}

const void *iov_tail_pull(struct iov_tail *tail, size_t len, size_t align,
			  void *store)
{
	const void *p = iov_tail_peek(tail, len, align, store);

	if (p)
		iov_tail_drop(tail, len);
	return p;
}

int iov_tail_iov(const struct iov_tail *tail, struct iovec *dst, size_t max)
{
	size_t left = tail->len, off = tail->off, i, n = 0;

	for (i = 0; left && i < tail->cnt; i++, off = 0) {
		size_t chunk = tail->iov[i].iov_len - off;

		if (!chunk)
			continue;
		if (chunk > left)
			chunk = left;
		if (n == max)
			return -EMSGSIZE;

		dst[n].iov_base = (char *)tail->iov[i].iov_base + off;
		dst[n++].iov_len = chunk;
		left -= chunk;
	}

	return (int)n;
}

size_t iov_tail_copy(const struct iov_tail *tail, void *dst, size_t len)
{
	size_t left, off = tail->off, i;
	char *p = dst;

	left = len = len < tail->len ? len : tail->len;
	for (i = 0; left && i < tail->cnt; i++, off = 0) {
		size_t chunk = tail->iov[i].iov_len - off;

		if (!chunk)
			continue;
		if (chunk > left)
			chunk = left;
		memcpy(p, (const char *)tail->iov[i].iov_base + off, chunk);
		p += chunk;
		left -= chunk;
	}

	return len;
}

size_t iov_size(const struct iovec *iov, size_t cnt)
{
	size_t size = 0, i;

	for (i = 0; i < cnt; i++)
		size += iov[i].iov_len;
	return size;
}
