/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Internet checksum (RFC 1071), by the widest vectors the CPU has
 *
 * A one's complement sum of 16-bit words can be made of wider words: a carry
 * out of 16 bits is worth one, and so is 2^32 or 2^64 (modulo 2^16 - 1). We
 * add 32-bit words in memory order into 64-bit accumulators, which no packet
 * can overflow, and fold at the end.
 */

#include "lib/csum.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "lib/iov.h"

#if defined(__x86_64__) || defined(__i386__)
#define CSUM_AVX2 1
#include <cpuid.h>
#include <immintrin.h>

/* XCR0, bits of registers the system saves: XMM and YMM (Intel SDM 1, 13.3) */
#define XCR0_YMM 0x6u
#endif

/* Below this, setting up vectors costs more than they save */
#define CSUM_VECTOR_MIN 128

/* Bring a wide sum down to 32 bits, carries around */
static uint32_t csum_fold64(uint64_t sum)
{
	sum = (sum >> 32) + (sum & UINT32_MAX);
	sum += sum >> 32;
	return (uint32_t)sum;
}

/* Any length, any alignment; four loads a round for the pipeline */
static uint64_t csum_words(const uint8_t *p, size_t len, uint64_t sum)
{
	uint64_t a = 0, b = 0, w[4];
	uint16_t h = 0;
	uint32_t d;
	int i;

	for (; len >= sizeof(w); p += sizeof(w), len -= sizeof(w)) {
		memcpy(w, p, sizeof(w));
		for (i = 0; i < 4; i++) {
			a += (uint32_t)w[i];
			b += w[i] >> 32;
		}
	}
	for (; len >= sizeof(d); p += sizeof(d), len -= sizeof(d)) {
		memcpy(&d, p, sizeof(d));
		sum += d;
	}
	if (len >= sizeof(h)) {
		memcpy(&h, p, sizeof(h));
		sum += h;
		p += sizeof(h);
		len -= sizeof(h);
	}
	if (len) {
		/* The last odd byte comes first in its word, a zero follows */
		h = 0;
		memcpy(&h, p, 1);
		sum += h;
	}

	return sum + a + b;
}

#ifdef CSUM_AVX2
/* Do the CPU and the system have AVX2 (Intel SDM 1, 14.7.1)? Asked by ourselves:
 * __builtin_cpu_supports() knows all features of all CPUs, and asks for them at
 * every start, in virtual machines at the price of an exit each.
 */
static bool csum_ask_avx2(void)
{
	unsigned a, b, c, d, low, high;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return false;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	if ((low & XCR0_YMM) != XCR0_YMM)
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}

/* The answer, asked for once */
static bool csum_have_avx2(void)
{
	static enum { UNKNOWN, NO, YES } have;

	if (have == UNKNOWN)
		have = csum_ask_avx2() ? YES : NO;
	return have == YES;
}

/* Sum of the whole blocks of 128 bytes; the rest is csum_words()' */
__attribute__((target("avx2"))) static uint64_t csum_avx2(const uint8_t *p,
							  size_t blocks)
{
	const __m256i low = _mm256_set1_epi64x(UINT32_MAX);
	__m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
	uint64_t lane[4];

	for (; blocks; blocks--, p += 128) {
		const __m256i *v = (const __m256i *)(const void *)p;
		__m256i v0 = _mm256_loadu_si256(v);
		__m256i v1 = _mm256_loadu_si256(v + 1);
		__m256i v2 = _mm256_loadu_si256(v + 2);
		__m256i v3 = _mm256_loadu_si256(v + 3);

		a = _mm256_add_epi64(a, _mm256_and_si256(v0, low));
		b = _mm256_add_epi64(b, _mm256_srli_epi64(v0, 32));
		c = _mm256_add_epi64(c, _mm256_and_si256(v1, low));
		d = _mm256_add_epi64(d, _mm256_srli_epi64(v1, 32));
		a = _mm256_add_epi64(a, _mm256_and_si256(v2, low));
		b = _mm256_add_epi64(b, _mm256_srli_epi64(v2, 32));
		c = _mm256_add_epi64(c, _mm256_and_si256(v3, low));
		d = _mm256_add_epi64(d, _mm256_srli_epi64(v3, 32));
	}

	a = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
	_mm256_storeu_si256((__m256i *)(void *)lane, a);
	return lane[0] + lane[1] + lane[2] + lane[3];
}
#endif

uint32_t csum_partial(const void *buf, size_t len, uint32_t sum)
{
	const uint8_t *p = buf;
	uint64_t wide = sum;

#ifdef CSUM_AVX2
	if (len >= CSUM_VECTOR_MIN && csum_have_avx2()) {
		size_t blocks = len / 128;

		wide += csum_avx2(p, blocks);
		p += blocks * 128;
		len -= blocks * 128;
	}
#endif
	return csum_fold64(csum_words(p, len, wide));
}

/* A piece after an odd number of bytes has its bytes in the other half of
 * each word: swapping its sum does the same (RFC 1071, section 2 (B))
 */
static uint32_t csum_swap(uint32_t sum)
{
	uint16_t h = csum_fold(sum);

	return (uint16_t)(h << 8 | h >> 8);
}

uint32_t csum_tail(const struct iov_tail *tail, uint32_t sum)
{
	size_t left = tail->len, off = tail->off, i;
	bool odd = false;

	for (i = 0; left && i < tail->cnt; i++, off = 0) {
		size_t chunk = tail->iov[i].iov_len - off;
		const uint8_t *p = tail->iov[i].iov_base;
		uint32_t part;

		if (!chunk)
			continue;
		if (chunk > left)
			chunk = left;
		if (odd) {
			part = csum_swap(csum_partial(p + off, chunk, 0));
			sum = csum_fold64((uint64_t)sum + part);
		} else {
			sum = csum_partial(p + off, chunk, sum);
		}
		odd ^= chunk & 1;
		left -= chunk;
	}

	return sum;
}

uint32_t csum_pseudo4(struct in_addr src, struct in_addr dst, uint8_t proto,
		      size_t l4len)
{
	uint64_t sum = (uint64_t)src.s_addr + dst.s_addr;

	sum += htons(proto);
	sum += htons((uint16_t)l4len);
	return csum_fold64(sum);
}

uint32_t csum_pseudo6(const struct in6_addr *src, const struct in6_addr *dst,
		      uint8_t proto, size_t l4len)
{
	uint64_t sum = 0;

	sum = csum_words(src->s6_addr, sizeof(*src), sum);
	sum = csum_words(dst->s6_addr, sizeof(*dst), sum);
	sum += htonl((uint32_t)l4len);
	sum += htonl(proto);
	return csum_fold64(sum);
}
