/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cursor over split packets, at every split of a small packet */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "lib/iov.h"

static char bytes[32];

/* All ways to cut 16 bytes at two places, an empty buffer between */
static void for_splits(void (*fn)(const struct iovec *iov, size_t cnt))
{
	size_t a, b, i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	for (a = 0; a <= 16; a++) {
		for (b = a; b <= 16; b++) {
			struct iovec iov[4] = {
				{ bytes, a },
				{ NULL, 0 },
				{ bytes + a, b - a },
				{ bytes + b, 16 - b },
			};

			assert_int_equal(iov_size(iov, 4), 16);
			fn(iov, 4);
		}
	}
}

static void peek_all(const struct iovec *iov, size_t cnt)
{
	size_t off, len, align;
	char store[16];

	for (off = 0; off <= 17; off++) {
		for (len = 1; len <= 16; len++) {
			for (align = 1; align <= 8; align *= 2) {
				struct iov_tail t;
				const char *p;

				t = iov_tail_init(iov, cnt, off);
				p = iov_tail_peek(&t, len, align, store);
				if (off + len > 16) {
					assert_null(p);
					continue;
				}
				assert_memory_equal(p, bytes + off, len);
				if (p != store)
					assert_int_equal((uintptr_t)p % align,
							 0);
			}
		}
	}
}

static void walk(const struct iovec *iov, size_t cnt)
{
	size_t off, step;

	for (off = 0; off <= 16; off++) {
		for (step = 1; step <= 5; step++) {
			struct iov_tail t = iov_tail_init(iov, cnt, off);
			size_t at = off;
			char store[5];
			const char *p;

			while ((p = iov_tail_pull(&t, step, 1, store))) {
				assert_memory_equal(p, bytes + at, step);
				at += step;
			}
			assert_true(t.len < step);
			assert_int_equal(t.len, 16 - at);
			assert_false(iov_tail_drop(&t, t.len + 1));
			assert_int_equal(t.len, 16 - at);
			assert_true(iov_tail_drop(&t, t.len));
			assert_int_equal(t.len, 0);
			assert_true(iov_tail_drop(&t, 0));
			assert_null(iov_tail_peek(&t, 1, 1, store));
		}
	}
}

static void trim_export(const struct iovec *iov, size_t cnt)
{
	size_t off, len;

	for (off = 0; off <= 16; off++) {
		for (len = 0; len <= 16 - off; len++) {
			struct iov_tail t = iov_tail_init(iov, cnt, off), all;
			struct iovec out[4];
			char copy[16];
			int n;

			assert_false(iov_tail_trim(&t, 17 - off));
			assert_true(iov_tail_trim(&t, len));
			assert_null(iov_tail_peek(&t, len + 1, 1, copy));
			assert_int_equal(iov_tail_copy(&t, copy, 16), len);
			assert_memory_equal(copy, bytes + off, len);

			n = iov_tail_iov(&t, out, 4);
			assert_in_range(n, 0, 3);
			assert_int_equal(iov_size(out, (size_t)n), len);
			if (!len)
				continue;
			all = iov_tail_init(out, (size_t)n, 0);
			memset(copy, 0, sizeof(copy));
			assert_int_equal(iov_tail_copy(&all, copy, 16), len);
			assert_memory_equal(copy, bytes + off, len);
			assert_int_equal(iov_tail_iov(&t, out, (size_t)n - 1),
					 -EMSGSIZE);
		}
	}
}

static void test_peek(void **state)
{
	(void)state;
	for_splits(peek_all);
}

static void test_walk(void **state)
{
	(void)state;
	for_splits(walk);
}

static void test_trim_export(void **state)
{
	(void)state;
	for_splits(trim_export);
}

static void test_typed(void **state)
{
	struct iovec iov[2] = { { bytes, 3 }, { bytes + 3, 13 } };
	struct iov_tail t = iov_tail_init(iov, 2, 0);
	const uint32_t *p, *q;
	uint32_t store, want;

	(void)state;
	memcpy(&want, bytes, sizeof(want));
	p = IOV_PEEK(&t, &store);
	assert_int_equal(*p, want);
	q = IOV_PULL(&t, &store);
	assert_int_equal(*q, want);
	memcpy(&want, bytes + 4, sizeof(want));
	assert_int_equal(*IOV_PULL(&t, &store), want);
}

static void test_empty(void **state)
{
	struct iov_tail t = iov_tail_init(NULL, 0, 0);
	struct iovec out;
	char c;

	(void)state;
	assert_int_equal(t.len, 0);
	assert_null(iov_tail_peek(&t, 1, 1, &c));
	assert_false(iov_tail_drop(&t, 1));
	assert_int_equal(iov_tail_iov(&t, &out, 1), 0);
	t = iov_tail_init(NULL, 0, 100);
	assert_int_equal(t.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peek),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_trim_export),
		cmocka_unit_test(test_typed),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
