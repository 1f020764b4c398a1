/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SipHash-2-4: keyed hash for tables and initial sequence numbers
 *
 * After Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012, section
 * 2: two rounds for each 64-bit word of input, four to finish.
 */

#include "lib/siphash.h"

/* The four words of state */
struct sip {
	uint64_t a, b, c, d;
};

static uint64_t rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

/* One SipRound (section 2.3, figure 2.1) */
static inline void sip_round(struct sip *v)
{
	v->a += v->b;
	v->c += v->d;
	v->b = rotl(v->b, 13) ^ v->a;
	v->d = rotl(v->d, 16) ^ v->c;
	v->a = rotl(v->a, 32);
	v->c += v->b;
	v->a += v->d;
	v->b = rotl(v->b, 17) ^ v->c;
	v->d = rotl(v->d, 21) ^ v->a;
	v->c = rotl(v->c, 32);
}

/* Compression of one word of input */
static inline void sip_word(struct sip *v, uint64_t m)
{
	v->d ^= m;
	sip_round(v);
	sip_round(v);
	v->a ^= m;
}

/* Up to eight bytes as a little-endian number */
static inline uint64_t sip_load(const uint8_t *p, size_t len)
{
	uint64_t m = 0;
	size_t i;

	for (i = 0; i < len; i++)
		m |= (uint64_t)p[i] << (8 * i);
	return m;
}

uint64_t siphash(const struct siphash_key *key, const void *buf, size_t len)
{
	/* "somepseudorandomlygeneratedbytes" (section 2.1) */
	struct sip v = {
		key->k[0] ^ UINT64_C(0x736f6d6570736575),
		key->k[1] ^ UINT64_C(0x646f72616e646f6d),
		key->k[0] ^ UINT64_C(0x6c7967656e657261),
		key->k[1] ^ UINT64_C(0x7465646279746573),
	};
	const uint8_t *p = buf;
	size_t left = len;
	int i;

	for (; left >= 8; p += 8, left -= 8)
		sip_word(&v, sip_load(p, 8));
	sip_word(&v, sip_load(p, left) | (uint64_t)len << 56);

	v.c ^= 0xff;
	for (i = 0; i < 4; i++)
		sip_round(&v);
	return v.a ^ v.b ^ v.c ^ v.d;
}
