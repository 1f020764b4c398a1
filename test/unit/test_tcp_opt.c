/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP options of a SYN: whole, cut off, malformed, and ours byte by byte */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tcp/opt.h"

#define OPTS_MAX 40 /* doff is four bits: 15 words less 5 */

/* Parse a copy that ends where it ends, so that a sanitizer sees more */
static struct tcp_syn_opts parse(const uint8_t *p, size_t len)
{
	struct tcp_syn_opts o = { 0xdead, 99, true };
	uint8_t *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, p, len);
	tcp_opt_parse(copy, len, &o);
	free(copy);
	return o;
}

static void test_table(void **state)
{
	static const struct {
		const char *name;
		uint8_t len, bytes[OPTS_MAX];
		uint16_t mss;
		int8_t wscale;
	} rows
		[] = {
			{ "none", 0, { 0 }, 0, -1 },
			{ "END first", 4, { 0, 2, 4, 5 }, 0, -1 },
			{ "MSS", 4, { 2, 4, 0x05, 0xb4 }, 1460, -1 },
			{ "MSS 0", 4, { 2, 4, 0, 0 }, 0, -1 },
			{ "MSS 65535", 4, { 2, 4, 0xff, 0xff }, 65535, -1 },
			{ "wscale", 4, { 1, 3, 3, 7 }, 0, 7 },
			{ "wscale 0", 4, { 3, 3, 0, 1 }, 0, 0 },
			{ "wscale 14", 4, { 3, 3, 14, 0 }, 0, 14 },
			{ "wscale 15 counts as 14", 4, { 3, 3, 15, 0 }, 0, 14 },
			{ "wscale 255 counts as 14",
			  4,
			  { 3, 3, 255, 0 },
			  0,
			  14 },
			{ "as Linux sends them",
			  20,
			  { 2, 4,  0x05, 0xb4, /* MSS */
			    4, 2,              /* SACK permitted */
			    8, 10, 1,    2,    3,
			    4, 0,  0,    0,    0, /* timestamps */
			    1, 3,  3,    10 },    /* NOP, wscale */
			  1460,
			  10 },
			{ "as Windows sends them",
			  12,
			  { 2, 4, 0x05, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2 },
			  1460,
			  8 },
			{ "the last one counts",
			  8,
			  { 2, 4, 0, 1, 2, 4, 0, 2 },
			  2,
			  -1 },
			{ "MSS of length 3: passed over",
			  8,
			  { 2, 3, 9, 3, 3, 5, 0, 0 },
			  0,
			  5 },
			{ "MSS of length 5: passed over",
			  8,
			  { 2, 5, 9, 9, 9, 3, 3, 5 },
			  0,
			  5 },
			{ "wscale of length 4: passed over",
			  8,
			  { 3, 4, 9, 9, 2, 4, 2, 0 },
			  512,
			  -1 },
			{ "wscale of length 2: passed over",
			  6,
			  { 3, 2, 2, 4, 2, 0 },
			  512,
			  -1 },
			{ "unknown of length 2",
			  6,
			  { 200, 2, 2, 4, 2, 0 },
			  512,
			  -1 },
			{ "unknown, all of it",
			  40,
			  { 200, 40, 2, 4, 2, 0 },
			  0,
			  -1 },
			{ "length 0 ends it",
			  8,
			  { 2, 4, 2, 0, 200, 0, 3, 3 },
			  512,
			  -1 },
			{ "length 1 ends it",
			  8,
			  { 2, 4, 2, 0, 200, 1, 3, 3 },
			  512,
			  -1 },
			{ "length beyond the end",
			  8,
			  { 2, 4, 2, 0, 3, 5, 7, 0 },
			  512,
			  -1 },
			{ "MSS cut off", 7, { 3, 3, 6, 1, 2, 4, 9 }, 0, 6 },
			{ "kind without length", 5, { 1, 1, 1, 1, 2 }, 0, -1 },
			{ "NOPs only",
			  40,
			  { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
			    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
			    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 },
			  0,
			  -1 },
		};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tcp_syn_opts o = parse(rows[i].bytes, rows[i].len);

		if (o.mss != rows[i].mss || o.wscale != rows[i].wscale)
			fail_msg("%s: mss %u wscale %d", rows[i].name, o.mss,
				 o.wscale);
	}
}

/* Every kind with every length byte, in buffers of every length */
static void test_all_lengths(void **state)
{
	unsigned kind, optlen, len;

	(void)state;
	for (kind = 0; kind < 256; kind++)
		for (optlen = 0; optlen < 256; optlen++)
			for (len = 0; len <= OPTS_MAX; len++) {
				uint8_t b[OPTS_MAX] = { (uint8_t)kind,
							(uint8_t)optlen, 1, 2 };
				struct tcp_syn_opts o = parse(b, len);
				bool mss = kind == 2 && optlen == 4 && len >= 4;
				bool ws = kind == 3 && optlen == 3 && len >= 3;

				/* a NOP, and what follows is an option, too */
				if (kind == 1)
					continue;
				/* behind one of 2 bytes comes NOP, 2, 0 */
				assert_int_equal(o.mss, mss ? 0x102 : 0);
				assert_int_equal(o.wscale, ws ? 1 : -1);
			}
}

/* Cut after each byte: what was complete counts, nothing else */
static void test_cut(void **state)
{
	static const uint8_t b[] = { 2, 4, 5, 0xb4, 1, 3, 3, 9, 8, 10, 0, 0 };
	size_t len;

	(void)state;
	for (len = 0; len <= sizeof(b); len++) {
		struct tcp_syn_opts o = parse(b, len);

		assert_int_equal(o.mss, len >= 4 ? 1460 : 0);
		assert_int_equal(o.wscale, len >= 8 ? 9 : -1);
	}
}

static void test_build(void **state)
{
	static const uint8_t both[] = { 2, 4, 0xff, 0xc8, 1, 3, 3, 9 };
	static const uint8_t all[] = {
		2, 4, 0xff, 0xc8, 1, 3, 3, 9, 1, 1, 4, 2
	};
	static const uint8_t mss[] = { 2, 4, 0x05, 0xb4 };
	uint8_t b[TCP_SYN_OPTS_MAX];
	struct tcp_syn_opts o = { 65480, 9, false };
	unsigned i;

	(void)state;
	assert_int_equal(tcp_opt_build(b, &o), sizeof(both));
	assert_memory_equal(b, both, sizeof(both));
	o.sack_ok = true;
	assert_int_equal(tcp_opt_build(b, &o), sizeof(all));
	assert_memory_equal(b, all, sizeof(all));
	o = (struct tcp_syn_opts){ 1460, -1, false };
	assert_int_equal(tcp_opt_build(b, &o), sizeof(mss));
	assert_memory_equal(b, mss, sizeof(mss));

	for (i = 0; i < 65536 * 32; i++) {
		struct tcp_syn_opts in = { (uint16_t)(i / 32),
					   (int8_t)(i % 16 - 1), i / 16 % 2 };
		struct tcp_syn_opts out;
		size_t len = tcp_opt_build(b, &in);

		assert_int_equal(len % 4, 0);
		tcp_opt_parse(b, len, &out);
		assert_int_equal(out.mss, in.mss);
		assert_int_equal(out.wscale, in.wscale);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_all_lengths),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
