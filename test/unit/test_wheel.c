/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The timer wheel against a list searched by brute force */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "lib/wheel.h"

#define NTIMERS 200
#define HOUR    (3600 * UINT64_C(1000))

static struct wtimer timer[NTIMERS];
static struct wheel wheel;

static uint64_t rnd_state;

static uint64_t rnd(uint64_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state % below;
}

/* Deadlines near, far and beyond the wheel */
static uint64_t rnd_delay(void)
{
	switch (rnd(6)) {
	case 0:
		return rnd(10);
	case 1:
		return rnd(300);
	case 2:
		return rnd(20000);
	case 3:
		return rnd(HOUR);
	case 4:
		return rnd(18 * HOUR);
	default:
		return rnd(100 * HOUR);
	}
}

/* Pop all that is due: each must be armed in the model and really due; what
 * stays armed must be less than a tick overdue
 */
static unsigned run(bool *armed, const uint64_t *at, uint64_t now)
{
	struct wtimer *t;
	unsigned n = 0, i;

	while ((t = wheel_pop(&wheel, now))) {
		i = (unsigned)(t - timer);
		assert_in_range(i, 0, NTIMERS - 1);
		assert_true(armed[i]);
		assert_false(wtimer_armed(t));
		assert_true(at[i] <= now);
		armed[i] = false;
		n++;
	}
	for (i = 0; i < NTIMERS; i++) {
		assert_int_equal(wtimer_armed(&timer[i]), armed[i]);
		if (armed[i])
			assert_true(at[i] + WHEEL_TICK_MS > now);
	}
	return n;
}

/* wheel_next() must not be later than the earliest deadline plus a tick */
static void check_next(const bool *armed, const uint64_t *at, uint64_t now)
{
	int ms = wheel_next(&wheel, now);
	uint64_t first = UINT64_MAX;
	unsigned i;

	for (i = 0; i < NTIMERS; i++) {
		if (armed[i] && at[i] < first)
			first = at[i];
	}
	if (first == UINT64_MAX) {
		assert_int_equal(ms, -1);
		return;
	}
	assert_true(ms >= 0);
	assert_true(now + (uint64_t)ms <=
		    (first > now ? first : now) + WHEEL_TICK_MS - 1);
}

static void model(uint64_t seed, uint64_t now, bool sleep_by_next)
{
	uint64_t at[NTIMERS] = { 0 };
	bool armed[NTIMERS] = { 0 };
	unsigned fired = 0, step, i;
	int ms;

	rnd_state = seed;
	memset(timer, 0, sizeof(timer));
	wheel_init(&wheel, now);

	for (step = 0; step < 4000; step++) {
		i = (unsigned)rnd(NTIMERS);
		if (rnd(5)) {
			/* now and then in the past */
			at[i] = rnd(8) ? now + rnd_delay() : now - rnd(10);
			armed[i] = true;
			wheel_arm(&wheel, &timer[i], at[i]);
		} else {
			armed[i] = false;
			wheel_cancel(&wheel, &timer[i]);
		}
		assert_int_equal(wtimer_armed(&timer[i]), armed[i]);
		check_next(armed, at, now);

		ms = wheel_next(&wheel, now);
		if (sleep_by_next && ms >= 0)
			now += (uint64_t)ms;
		else if (!sleep_by_next)
			now += rnd(3) ? rnd(50) : rnd_delay();
		if (rnd(4))
			fired += run(armed, at, now);
	}
	run(armed, at, now + 200 * HOUR);
	assert_int_equal(wheel_next(&wheel, now + 200 * HOUR), -1);
	for (i = 0; i < WHEEL_LEVELS; i++)
		assert_true(wheel.used[i] == 0);
	assert_true(fired > 100);
}

static void test_model(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 20; seed++) {
		model(seed, rnd_state % 1000000 + 1000, false);
		model(seed, UINT64_C(1) << 40, true);
	}
}

/* Just before, at and just after each border of the levels */
static void test_borders(void **state)
{
	unsigned level, i;

	(void)state;
	for (level = 0; level <= WHEEL_LEVELS; level++) {
		uint64_t edge = (UINT64_C(1) << level * WHEEL_SLOT_BITS) *
				WHEEL_TICK_MS;

		for (i = 0; i < 9 * 64; i++) {
			uint64_t start = edge * 200 - 8 * (i / 9);
			uint64_t at = start + edge + i % 9 - 4, now = start;
			unsigned wakeups = 0;

			memset(timer, 0, sizeof(timer[0]));
			wheel_init(&wheel, start);
			wheel_arm(&wheel, &timer[0], at);
			for (;;) {
				int ms = wheel_next(&wheel, now);

				assert_true(ms >= 0);
				now += (uint64_t)ms;
				if (wheel_pop(&wheel, now))
					break;
				assert_in_range(++wakeups, 1, WHEEL_LEVELS);
			}
			assert_true(now >= at && now >= start);
			assert_true(now <
				    (at > start ? at : start) + WHEEL_TICK_MS);
			assert_int_equal(wheel_next(&wheel, now), -1);
		}
	}
}

static void test_rearm_while_popping(void **state)
{
	unsigned n = 0;
	struct wtimer *t;

	(void)state;
	memset(timer, 0, sizeof(timer));
	wheel_init(&wheel, 1000);
	wheel_arm(&wheel, &timer[0], 1000);
	wheel_arm(&wheel, &timer[1], 1000);
	while ((t = wheel_pop(&wheel, 1001))) {
		n++;
		if (t == &timer[0])
			wheel_arm(&wheel, t, 1005);
		else
			wheel_cancel(&wheel, &timer[0]);
	}
	assert_in_range(n, 1, 2);
	assert_int_equal(wtimer_armed(&timer[0]),
			 n == 2 && wheel_next(&wheel, 1001) >= 0);
}

static void test_limits(void **state)
{
	(void)state;
	memset(timer, 0, sizeof(timer));
	wheel_init(&wheel, 0);
	wheel_cancel(&wheel, &timer[0]);
	assert_int_equal(wheel_next(&wheel, 0), -1);
	assert_null(wheel_pop(&wheel, 0));

	wheel_arm(&wheel, &timer[0], UINT64_MAX);
	assert_in_range(wheel_next(&wheel, 0), 1, INT_MAX);
	assert_null(wheel_pop(&wheel, 1000 * HOUR));
	assert_true(wtimer_armed(&timer[0]));
	wheel_cancel(&wheel, &timer[0]);
	assert_int_equal(wheel_next(&wheel, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_borders),
		cmocka_unit_test(test_rearm_while_popping),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
