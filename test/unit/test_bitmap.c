/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of lib/bitmap.h: ranges and walks, against one port after the other */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bitmap.h"

static const struct {
	unsigned first, last;
} ranges[] = {
	{ 0, 0 },         { 0, 63 },        { 0, 65535 }, { 63, 64 },
	{ 64, 127 },      { 1, 62 },        { 62, 129 },  { 32768, 60999 },
	{ 65535, 65535 }, { 65472, 65535 }, { 5, 4 },     { 64, 63 },
};

#define RANGES (sizeof(ranges) / sizeof(ranges[0]))

/* A range is its ports, and adds to what is there */
static void test_add_range(void **state)
{
	struct port_set set, want;
	unsigned port;
	size_t i;

	(void)state;
	for (i = 0; i < RANGES; i++) {
		memset(&set, 0, sizeof(set));
		port_set_add(&set, 100);
		want = set;
		port_set_add_range(&set, ranges[i].first, ranges[i].last);
		for (port = ranges[i].first; port <= ranges[i].last; port++)
			port_set_add(&want, (uint16_t)port);
		assert_memory_equal(&set, &want, sizeof(set));
	}
}

/* Both walks, from everywhere, find the next port that is there, or is not */
static void test_walk(void **state)
{
	unsigned from, in, out;
	struct port_set set;
	size_t i;

	(void)state;
	for (i = 0; i < RANGES; i++) {
		memset(&set, 0, sizeof(set));
		port_set_add_range(&set, ranges[i].first, ranges[i].last);
		in = out = NUM_PORTS;
		assert_int_equal(port_set_next(&set, NUM_PORTS), NUM_PORTS);
		assert_int_equal(port_set_next_absent(&set, NUM_PORTS),
				 NUM_PORTS);
		for (from = NUM_PORTS; from-- > 0;) {
			if (port_set_has(&set, (uint16_t)from))
				in = from;
			else
				out = from;
			assert_int_equal(port_set_next(&set, from), in);
			assert_int_equal(port_set_next_absent(&set, from), out);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_range),
		cmocka_unit_test(test_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
