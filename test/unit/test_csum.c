/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checksums against a naive sum, over lengths, offsets and splits */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "lib/csum.h"
#include "lib/iov.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static uint8_t data[70000];

/* RFC 1071, section 4.1: 16-bit big-endian words, the last one padded */
static uint16_t naive(const uint8_t *p, size_t len, uint32_t sum16)
{
	uint64_t sum = sum16;
	size_t i;

	for (i = 0; i < len; i++)
		sum += (uint64_t)p[i] << (i & 1 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* 0 and 0xffff are the same number */
static void assert_sum(uint16_t got, uint16_t want)
{
	assert_int_equal(got % 0xffff, want % 0xffff);
	/* but a sum of anything not zero is never 0 */
	if (want)
		assert_int_not_equal(got, 0);
}

static void fill(int how)
{
	uint32_t x = 12345;
	size_t i;

	for (i = 0; i < sizeof(data); i++) {
		x = x * 1664525 + 1013904223;
		data[i] = how == 0 ? 0 : how == 1 ? 0xff : (uint8_t)(x >> 24);
	}
}

/* Known sums: those of RFC 1071 and of the RFC's own properties */
static const struct {
	const char *bytes;
	size_t len;
	uint16_t sum;
} known[] = {
	/* RFC 1071, section 3 */
	{ "\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 8, 0xddf2 },
	{ "", 0, 0x0000 },
	{ "\x01", 1, 0x0100 },
	{ "\x00\x01\x02", 3, 0x0201 },
	{ "\xff\xff\xff\xff", 4, 0xffff },
	{ "\xff\xff\x00\x01", 4, 0x0001 },
};

static void test_known(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		uint32_t part = csum_partial(known[i].bytes, known[i].len, 0);

		assert_int_equal(ntohs(csum_fold(part)), known[i].sum);
		assert_int_equal(ntohs(csum(known[i].bytes, known[i].len, 0)),
				 (uint16_t)~known[i].sum);
	}
}

static void test_lengths_offsets(void **state)
{
	static const size_t extra[] = { 1499, 1500, 9000, 32768, 65535, 65536 };
	size_t len, off, i;
	int how;

	(void)state;
	for (how = 0; how < 3; how++) {
		fill(how);
		for (off = 0; off < 33; off++) {
			for (len = 0; len < 600; len++)
				assert_sum(ntohs(csum_fold(csum_partial(
						   data + off, len, 0))),
					   naive(data + off, len, 0));
			for (i = 0; i < ARRAY_SIZE(extra); i++)
				assert_sum(ntohs(csum_fold(csum_partial(
						   data + off, extra[i], 0))),
					   naive(data + off, extra[i], 0));
		}
	}
}

static void test_running_sum(void **state)
{
	static const uint32_t start[] = { 0, 1, 0xffff, 0x10000, 0xffffffff };
	size_t i, len;

	(void)state;
	fill(2);
	for (i = 0; i < ARRAY_SIZE(start); i++) {
		for (len = 0; len < 2048; len += 2) {
			uint32_t part = csum_partial(data, len, start[i]);
			uint16_t first = ntohs(csum_fold(start[i]));

			part = csum_partial(data + len, 100, part);
			assert_sum(ntohs(csum_fold(part)),
				   naive(data, len + 100, first));
		}
	}
}

static void test_tail_splits(void **state)
{
	size_t a, b, off;

	(void)state;
	fill(2);
	for (a = 0; a < 40; a++) {
		for (b = 0; b < 300; b += 7) {
			struct iovec iov[4] = {
				{ data, a },
				{ data + a, b },
				{ NULL, 0 },
				{ data + a + b, 301 },
			};

			for (off = 0; off < 30; off++) {
				size_t len = a + b + 301 - off;
				struct iov_tail t;

				t = iov_tail_init(iov, 4, off);
				assert_sum(ntohs(csum_fold(csum_tail(&t, 0))),
					   naive(data + off, len, 0));
				assert_true(iov_tail_trim(&t, len - 5));
				assert_sum(ntohs(csum_fold(csum_tail(&t, 0))),
					   naive(data + off, len - 5, 0));
			}
		}
	}
}

static void test_pseudo(void **state)
{
	/* RFC 768: source, destination, zero, protocol, length */
	static const uint8_t v4[] = { 192, 0, 2, 1, 198,  51,
				      100, 2, 0, 6, 0xff, 0xeb };
	/* RFC 8200 8.1: source, destination, 32-bit length, zero, next */
	uint8_t v6[40] = {
		0x20, 0x01,        0x0d,     0xb8,        [15] = 1, [16] = 0xff,
		0x02, [31] = 0xfb, [33] = 1, [34] = 0x86, 0xa0,     [39] = 17
	};
	struct in6_addr src, dst;
	struct in_addr s4, d4;

	(void)state;
	memcpy(&s4, v4, 4);
	memcpy(&d4, v4 + 4, 4);
	assert_sum(ntohs(csum_fold(csum_pseudo4(s4, d4, 6, 0xffeb))),
		   naive(v4, sizeof(v4), 0));

	memcpy(&src, v6, 16);
	memcpy(&dst, v6 + 16, 16);
	assert_sum(ntohs(csum_fold(csum_pseudo6(&src, &dst, 17, 0x186a0))),
		   naive(v6, sizeof(v6), 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_lengths_offsets),
		cmocka_unit_test(test_running_sum),
		cmocka_unit_test(test_tail_splits),
		cmocka_unit_test(test_pseudo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
