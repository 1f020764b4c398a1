/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SipHash-2-4 (Aumasson, Bernstein 2012): keyed hash for tables and ISNs */
#ifndef LIB_SIPHASH_H
#define LIB_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k[2];
};

/**
 * siphash() - Hash bytes under a key
 * @key:	Key from getrandom(2), secret
 * @buf:	Bytes
 * @len:	Number of bytes
 */
uint64_t siphash(const struct siphash_key *key, const void *buf, size_t len);

#endif /* LIB_SIPHASH_H */
