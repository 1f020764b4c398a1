/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Busy for one flow, with the CPU to ourselves: what is, and what is not */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include "lib/busy.h"

#define GAP 300 /* us from turn to turn of bulk */

static struct busy b;
static uint64_t now, others;
static bool company;

static int reset(void **state)
{
	(void)state;
	b = (struct busy){ 0 };
	now = 123456789;
	others = 7;
	company = false;
	return 0;
}

/* A turn @after so many us. Return: what is said, -1 for nothing */
static int turn(uint64_t after)
{
	bool on = false;

	now += after;
	return busy(&b, now, others, company, &on) ? on : -1;
}

/* Turns @gap apart, to the end of a span. Return: what is said */
static int span(uint64_t gap)
{
	uint64_t since = b.since;
	int said = -1;

	while (said < 0 && now < since + 2 * BUSY_SPAN_US)
		said = turn(gap);
	/* neither sooner nor later than it has to be */
	assert_in_range(now - since, BUSY_SPAN_US, BUSY_SPAN_US + gap - 1);
	return said;
}

/* Not after a rest, but after the first span without */
static void test_bulk(void **state)
{
	(void)state;
	assert_int_equal(turn(0), 0);
	assert_int_equal(span(GAP), 1);
	assert_int_equal(span(10), 1);
	assert_int_equal(turn(3600U * 1000000), 0);
	assert_int_equal(span(BUSY_AWAY_US), 1);
}

/* As long as nothing happens there is no turn: one that comes later tells */
static void test_end(void **state)
{
	(void)state;
	turn(0);
	assert_int_equal(span(GAP), 1);
	turn(GAP);
	assert_int_equal(turn(BUSY_SPAN_US), 0);
}

/* Little to do, however regularly */
static void test_little(void **state)
{
	(void)state;
	turn(0);
	assert_int_equal(span(BUSY_AWAY_US + 1), 0);
	assert_int_equal(span(20000), 0);
}

/* Somebody has the CPU now and then: for an eighth of the time, and for more */
static void test_away(void **state)
{
	const uint64_t part = BUSY_SPAN_US / BUSY_AWAY_PART;

	(void)state;
	turn(0);
	assert_int_equal(turn(part), -1);
	assert_int_equal(span(GAP), 1);
	assert_int_equal(turn(part + 200), -1);
	assert_int_equal(span(GAP), 0);
	/* in pieces */
	assert_int_equal(turn(4000), -1);
	assert_int_equal(turn(4000), -1);
	assert_int_equal(turn(4000), -1);
	assert_int_equal(span(GAP), 1);
	turn(4000);
	turn(4000);
	turn(4000);
	turn(4000);
	assert_int_equal(span(GAP), 0);
	assert_int_equal(span(GAP), 1);
}

/* Other flows have events, too: a few of them in a span do not count */
static void test_others(void **state)
{
	(void)state;
	turn(0);
	others += BUSY_OTHERS;
	assert_int_equal(span(GAP), 1);
	others += BUSY_OTHERS + 1;
	assert_int_equal(span(GAP), 0);
	assert_int_equal(span(GAP), 1);
}

/* Several flows on the link, if only for one turn */
static void test_company(void **state)
{
	(void)state;
	turn(0);
	company = true;
	turn(GAP);
	company = false;
	assert_int_equal(span(GAP), 0);
	assert_int_equal(span(GAP), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_bulk, reset),
		cmocka_unit_test_setup(test_end, reset),
		cmocka_unit_test_setup(test_little, reset),
		cmocka_unit_test_setup(test_away, reset),
		cmocka_unit_test_setup(test_others, reset),
		cmocka_unit_test_setup(test_company, reset),
	};

	return cmocka_run_group_tests_name("busy", tests, NULL, NULL);
}
