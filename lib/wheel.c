/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hierarchical timer wheel: arm and cancel in constant time
 *
 * Time is counted in ticks. A slot of level 0 holds what is due in one tick
 * of the next 64, a slot of level n what is due in one span of 64^n ticks.
 * When the present tick enters such a span, its slot is spread over the lower
 * levels, so that each timer is moved at most three times. One bit a slot
 * tells which are in use: idle time is jumped over, not counted through.
 *
 * wheel->tick is the tick being run: its slot in level 0 may still hold
 * timers, those of earlier ticks hold none. In the upper levels the slot of
 * the present span has been spread already: a timer in it belongs to the same
 * slot one turn later.
 *
 * See Varghese, Lauck: "Hashed and Hierarchical Timing Wheels", 1987.
 */

#include "lib/wheel.h"

#include <limits.h>
#include <stddef.h>

#define SLOT_MASK (WHEEL_SLOTS - 1)

_Static_assert(WHEEL_SLOTS == 64, "a bit for each slot in 64 bits");

void wheel_init(struct wheel *w, uint64_t now)
{
	*w = (struct wheel){ .tick = now / WHEEL_TICK_MS };
}

/* First tick that begins at or after the deadline */
static uint64_t wheel_due(uint64_t at)
{
	return at / WHEEL_TICK_MS + !!(at % WHEEL_TICK_MS);
}

/* Link a timer into the slot its deadline belongs to, seen from now */
static void wheel_place(struct wheel *w, struct wtimer *t)
{
	const uint64_t most = (UINT64_C(1) << WHEEL_LEVELS * WHEEL_SLOT_BITS) -
			      1;
	uint64_t due = wheel_due(t->at), delta;
	unsigned level = 0, idx;
	struct wtimer **head;

	if (due < w->tick)
		due = w->tick;
	delta = due - w->tick;
	if (delta > most) {
		delta = most;
		due = w->tick + most;
	}

	while (delta >> (level + 1) * WHEEL_SLOT_BITS)
		level++;

	idx = due >> level * WHEEL_SLOT_BITS & SLOT_MASK;
	head = &w->slot[level][idx];
	t->next = *head;
	if (t->next)
		t->next->pprev = &t->next;
	t->pprev = head;
	*head = t;
	w->used[level] |= UINT64_C(1) << idx;
}

void wheel_arm(struct wheel *w, struct wtimer *t, uint64_t at)
{
	wheel_cancel(w, t);
	t->at = at;
	wheel_place(w, t);
}

void wheel_cancel(struct wheel *w, struct wtimer *t)
{
	uintptr_t first = (uintptr_t)&w->slot[0][0], p = (uintptr_t)t->pprev;
	size_t idx;

	if (!t->pprev)
		return;

	*t->pprev = t->next;
	if (t->next)
		t->next->pprev = t->pprev;
	else if (p >= first && p < first + sizeof(w->slot)) {
		/* It was alone: pprev is the slot itself */
		idx = (p - first) / sizeof(w->slot[0][0]);
		w->used[idx / WHEEL_SLOTS] &= ~(UINT64_C(1)
						<< idx % WHEEL_SLOTS);
	}
	t->next = NULL;
	t->pprev = NULL;
}

/* Steps from slot @from to the first in use, going round; @used not 0 */
static unsigned slots_ahead(uint64_t used, unsigned from)
{
	from &= SLOT_MASK;
	if (from)
		used = used >> from | used << (WHEEL_SLOTS - from);
	return (unsigned)__builtin_ctzll(used);
}

/* First tick at which a timer may be due or a slot is to be spread */
static bool wheel_next_tick(const struct wheel *w, uint64_t *tick)
{
	unsigned level, shift;
	bool found = false;

	for (level = 0; level < WHEEL_LEVELS; level++) {
		uint64_t span, at;

		if (!w->used[level])
			continue;

		/* Level 0 has its present slot still to run, the others not */
		shift = level * WHEEL_SLOT_BITS;
		span = (w->tick >> shift) + (level ? 1 : 0);
		at = (span + slots_ahead(w->used[level], span & SLOT_MASK))
		     << shift;
		if (!found || at < *tick)
			*tick = at;
		found = true;
	}

	return found;
}

int wheel_next(const struct wheel *w, uint64_t now)
{
	uint64_t tick, ms;

	if (!wheel_next_tick(w, &tick))
		return -1;

	ms = tick * WHEEL_TICK_MS;
	if (ms <= now)
		return 0;
	return ms - now > INT_MAX ? INT_MAX : (int)(ms - now);
}

/* Spread the slots whose span begins at the present tick */
static void wheel_spread(struct wheel *w)
{
	unsigned level, shift, idx;
	struct wtimer *t, *next;

	for (level = 1; level < WHEEL_LEVELS; level++) {
		shift = level * WHEEL_SLOT_BITS;
		if (w->tick & ((UINT64_C(1) << shift) - 1))
			return;

		idx = w->tick >> shift & SLOT_MASK;
		t = w->slot[level][idx];
		w->slot[level][idx] = NULL;
		w->used[level] &= ~(UINT64_C(1) << idx);
		for (; t; t = next) {
			next = t->next;
			wheel_place(w, t);
		}
	}
}

struct wtimer *wheel_pop(struct wheel *w, uint64_t now)
{
	uint64_t last = now / WHEEL_TICK_MS, tick;
	struct wtimer *t;

	for (;;) {
		t = w->slot[0][w->tick & SLOT_MASK];
		if (t) {
			wheel_cancel(w, t);
			return t;
		}
		if (w->tick >= last)
			return NULL;

		if (!wheel_next_tick(w, &tick) || tick > last) {
			w->tick = last;
			return NULL;
		}
		w->tick = tick;
		wheel_spread(w);
	}
}
