/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SipHash-2-4 against vectors of its authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/siphash.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Key 00 01 .. 0f, input 00 01 .. len - 1: the paper's appendix A (15 bytes)
 * and the first of the authors' test vectors
 */
static const struct {
	size_t len;
	uint64_t hash;
} vector[] = {
	{ 0, UINT64_C(0x726fdb47dd0e0e31) },
	{ 1, UINT64_C(0x74f839c593dc67fd) },
	{ 2, UINT64_C(0x0d6c8009d9a94f5a) },
	{ 3, UINT64_C(0x85676696d7fb7e2d) },
	{ 7, UINT64_C(0xab0200f58b01d137) },
	{ 8, UINT64_C(0x93f5f5799a932462) },
	{ 15, UINT64_C(0xa129ca6149be45e5) },
};

static const struct siphash_key key = { { UINT64_C(0x0706050403020100),
					  UINT64_C(0x0f0e0d0c0b0a0908) } };

static void test_vectors(void **state)
{
	uint8_t in[65];
	size_t i, off;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(vector); i++) {
		/* at any alignment */
		for (off = 0; off < 8; off++) {
			size_t j;

			for (j = 0; j < vector[i].len; j++)
				in[off + j] = (uint8_t)j;
			assert_true(siphash(&key, in + off, vector[i].len) ==
				    vector[i].hash);
		}
	}
}

static void test_key_matters(void **state)
{
	struct siphash_key other = key;

	(void)state;
	other.k[1] ^= 1;
	assert_true(siphash(&key, "x", 1) != siphash(&other, "x", 1));
	assert_true(siphash(&key, "x", 1) != siphash(&key, "y", 1));
	assert_true(siphash(&key, "\0", 1) != siphash(&key, "\0\0", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_key_matters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
