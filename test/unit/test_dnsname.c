/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domain names on the wire */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dnsname.h"

#define L63 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define N253                                                               \
	L63 "." L63 "." L63 ".yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" \
	    "yyyyyyyyyyyyyyyyyy"

static void test_names(void **state)
{
	static const struct {
		const char *name;
		size_t len; /* 0: refused */
		const char *wire;
	} rows[] = {
		{ "example.com", 13, "\7example\3com" },
		{ "example.com.", 13, "\7example\3com" },
		{ "a", 3, "\1a" },
		{ L63, 65, NULL },
		{ L63 "x", 0, NULL },
		{ N253, 255, NULL },
		{ N253 ".", 255, NULL },
		{ N253 "y", 0, NULL },
		{ "", 0, NULL },
		{ ".", 0, NULL },
		{ "..", 0, NULL },
		{ ".com", 0, NULL },
		{ "a..b", 0, NULL },
		{ "a.b..", 0, NULL },
	};
	struct dnsname_writer w;
	uint8_t buf[300];
	size_t i, room;
	(void)state;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		dnsname_init(&w, buf, sizeof(buf), true);
		if (dnsname_add(&w, rows[i].name) != !!rows[i].len)
			fail_msg("%s", rows[i].name);
		assert_int_equal(w.len, rows[i].len);
		if (rows[i].wire)
			assert_memory_equal(buf, rows[i].wire, w.len);

		/* With less room, nothing is written, and nothing beyond it */
		for (room = 0; room < rows[i].len; room++) {
			memset(buf, 0xee, sizeof(buf));
			dnsname_init(&w, buf, room, true);
			assert_false(dnsname_add(&w, rows[i].name));
			assert_int_equal(w.len, 0);
			assert_int_equal(w.n, 0);
			assert_int_equal(buf[room], 0xee);
		}
	}
}

static void test_compression(void **state)
{
	static const uint8_t wire[] = {
		7,    'e', 'x',  'a', 'm',  'p', 'l', 'e', /* 0 */
		3,    'c', 'o',  'm', 0,                   /* 8 */
		3,    'l', 'a',  'b', 0xc0, 0,             /* 13: example.com */
		3,    'o', 'r',  'g', 0,                   /* 19 */
		1,    'x', 0xc0, 13,                       /* 24: lab... */
		0xc0, 8,                                   /* 28: com */
	};
	static const char *const names[] = { "example.com", "lab.Example.COM",
					     "org", "x.lab.example.com.",
					     "com" };
	struct dnsname_writer w;
	uint8_t buf[300];
	size_t i;
	(void)state;

	dnsname_init(&w, buf, sizeof(buf), true);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_true(dnsname_add(&w, names[i]));
	assert_int_equal(w.len, sizeof(wire));
	assert_memory_equal(buf, wire, sizeof(wire));

	/* A name refused leaves no suffix behind for the next to point to */
	dnsname_init(&w, buf, sizeof(buf), true);
	assert_false(dnsname_add(&w, "lab..org"));
	assert_true(dnsname_add(&w, "x.lab.example.com"));
	assert_int_equal(w.len, 19);

	dnsname_init(&w, buf, sizeof(buf), false);
	assert_true(dnsname_add(&w, "example.com"));
	assert_true(dnsname_add(&w, "example.com"));
	assert_int_equal(w.len, 26);
}

/* More suffixes than are remembered, then offsets beyond a pointer's reach */
static void test_limits(void **state)
{
	static uint8_t buf[70000];
	static char names[2000][16];
	struct dnsname_writer w;
	size_t i;
	(void)state;

	dnsname_init(&w, buf, sizeof(buf), true);
	for (i = 0; i < 2000; i++) {
		snprintf(names[i], sizeof(names[i]), "n%zu.a%zu", i, i);
		assert_true(dnsname_add(&w, names[i]));
	}
	assert_int_equal(w.n, DNSNAME_SUFFIXES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_compression),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests_name("dnsname", tests, NULL, NULL);
}
