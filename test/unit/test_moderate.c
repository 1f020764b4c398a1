/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When to let frames gather: streams of all sorts, and what is none */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include "lib/moderate.h"

static struct moderate m;
static struct moderate_count count;
static uint64_t now;

static int reset(void **state)
{
	(void)state;
	m = (struct moderate){ 0 };
	count = (struct moderate_count){ 0 };
	now = 12345678;
	return 0;
}

/* A turn @after so many us with that in it. Return: pause asked for */
static unsigned turn(uint64_t after, unsigned in, unsigned out, unsigned bytes)
{
	now += after;
	count.in += in;
	count.out += out;
	count.bytes += bytes;
	return moderate(&m, now, &count);
}

/* Turns of one frame of @size, @gap us apart, until one asks for a pause.
 *
 * Return: turns, 0 if there was none in 1000
 */
static unsigned turns_to_pause(bool inward, unsigned gap, unsigned size)
{
	unsigned i;

	for (i = 1; i <= 1000; i++)
		if (turn(gap, inward, !inward, size))
			return i;
	return 0;
}

static void test_stream(void **state)
{
	unsigned way;

	(void)state;
	for (way = 0; way < 2; way++) {
		/* the first turns only tell since when */
		assert_in_range(turns_to_pause(way, 5, 100), MODERATE_TURNS,
				2 * MODERATE_TURNS);
		/* and in the middle of a pause it goes on, with more in each */
		assert_int_equal(turn(105, way * 20, !way * 20, 2000),
				 MODERATE_PAUSE_US);
	}
}

static void test_slow(void **state)
{
	(void)state;
	assert_int_equal(turns_to_pause(true, MODERATE_GAP_US + 1, 100), 0);
	assert_int_equal(turns_to_pause(false, MODERATE_GAP_US + 1, 100), 0);
	assert_int_equal(turns_to_pause(false, 1000000, 100), 0);
	assert_int_not_equal(turns_to_pause(false, MODERATE_GAP_US, 100), 0);
}

/* A few after each other, then nothing for long, as of voice or video */
static void test_bursts(void **state)
{
	unsigned i, k;

	(void)state;
	for (i = 0; i < 100; i++) {
		for (k = 0; k < 10; k++)
			assert_int_equal(turn(5, 1, 0, 100), 0);
		assert_int_equal(turn(20000, 1, 0, 100), 0);
	}
}

/* Whoever waits for an answer does not wait longer */
static void test_dialogue(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		assert_int_equal(turn(5, 1, 0, 100), 0);
		assert_int_equal(turn(5, 0, 1, 100), 0);
	}
	for (i = 0; i < 1000; i++)
		assert_int_equal(turn(5, 2, 1, 100), 0);
	/* nor when a stream goes on beside it: its turns have both at times */
	assert_int_not_equal(turns_to_pause(true, 5, 100), 0);
	assert_int_equal(turn(105, 20, 1, 2000), 0);
	assert_int_equal(turn(5, 1, 0, 100), 0);
}

/* Turns with nothing of the tap: other sockets have something to do */
static void test_others(void **state)
{
	(void)state;
	assert_int_not_equal(turns_to_pause(true, 5, 100), 0);
	assert_int_equal(turn(105, 0, 0, 0), 0);
	assert_int_equal(turn(5, 1, 0, 100), 0);
}

/* Turns of a stream with something of spliced flows, too: who waits there is not
 * seen in frames
 */
static void test_spliced(void **state)
{
	unsigned i;

	(void)state;
	assert_int_not_equal(turns_to_pause(true, 5, 100), 0);
	count.other++;
	assert_int_equal(turn(105, 20, 0, 2000), 0);
	assert_int_equal(turn(5, 1, 0, 100), 0);
	for (i = 0; i < 1000; i++) {
		count.other += !(i % (MODERATE_TURNS - 1));
		assert_int_equal(turn(5, 1, 0, 100), 0);
	}
	/* until there is no more */
	assert_int_not_equal(turns_to_pause(true, 5, 100), 0);
}

/* It becomes slow, it becomes fast again */
static void test_change(void **state)
{
	unsigned i, paused = 0, pause = 0;

	(void)state;
	assert_int_not_equal(turns_to_pause(true, 5, 100), 0);
	for (i = 0; i < 3 * MODERATE_TURNS; i++) {
		pause = turn(1000, 1, 0, 100);
		paused += !!pause;
	}
	assert_int_equal(pause, 0);
	assert_in_range(paused, 0, 2 * MODERATE_TURNS);
	assert_int_not_equal(turns_to_pause(true, 5, 100), 0);
}

/* No more than so many bytes are to come in a pause, or buffers run over */
static void test_bytes(void **state)
{
	unsigned size;

	(void)state;
	for (size = 64; size < 65536; size += 61) {
		unsigned gap = 3, pause, i;

		reset(NULL);
		for (i = 0; i < 4 * MODERATE_TURNS; i++) {
			pause = turn(gap, 1, 0, size);
			if (!pause)
				continue;
			assert_in_range(pause, MODERATE_PAUSE_MIN_US,
					MODERATE_PAUSE_US);
			assert_true(pause * size / gap <=
				    MODERATE_BYTES + size);
			turn(pause, pause / gap, 0, pause / gap * size);
		}
	}
	/* far too many for any */
	reset(NULL);
	assert_int_equal(turns_to_pause(false, 5, 65000), 0);
}

/* Plenty there: on with it */
static void test_enough(void **state)
{
	(void)state;
	assert_int_not_equal(turns_to_pause(true, 5, 100), 0);
	assert_int_equal(turn(105, MODERATE_ENOUGH, 0, 3200), 0);
	assert_int_not_equal(turn(5, 1, 0, 100), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_stream, reset),
		cmocka_unit_test_setup(test_slow, reset),
		cmocka_unit_test_setup(test_bursts, reset),
		cmocka_unit_test_setup(test_dialogue, reset),
		cmocka_unit_test_setup(test_others, reset),
		cmocka_unit_test_setup(test_spliced, reset),
		cmocka_unit_test_setup(test_change, reset),
		cmocka_unit_test_setup(test_bytes, reset),
		cmocka_unit_test_setup(test_enough, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
