/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hierarchical timer wheel: arm and cancel in constant time, no system call */
#ifndef LIB_WHEEL_H
#define LIB_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

/* Four levels of 64 slots, 4 ms to 4 ms * 64^4 (18 h): later deadlines are
 * clamped and looked at again when they come up.
 */
#define WHEEL_LEVELS    4
#define WHEEL_SLOT_BITS 6
#define WHEEL_SLOTS     (1 << WHEEL_SLOT_BITS)
#define WHEEL_TICK_MS   4

/**
 * struct wtimer - A deadline inside the object that waits for it
 * @next:	Next in the slot
 * @pprev:	What points to this one; NULL: not armed
 * @at:		Deadline, ms on the loop's clock
 *
 * Zeroed is a valid idle timer. The object must not move while armed.
 */
struct wtimer {
	struct wtimer *next;
	struct wtimer **pprev;
	uint64_t at;
};

struct wheel {
	struct wtimer *slot[WHEEL_LEVELS][WHEEL_SLOTS];
	uint64_t used[WHEEL_LEVELS]; /* a bit for each slot not empty */
	uint64_t tick;               /* ticks run so far */
};

/**
 * wheel_init() - Empty wheel
 * @w:		Wheel
 * @now:	Present time, ms
 */
void wheel_init(struct wheel *w, uint64_t now);

/**
 * wheel_arm() - Set or move a deadline
 * @w:		Wheel
 * @t:		Timer, armed or not
 * @at:		Deadline, ms; fires at or up to one tick after it, never before
 */
void wheel_arm(struct wheel *w, struct wtimer *t, uint64_t at);

/**
 * wheel_cancel() - Forget a deadline; no-op if not armed
 * @w:		Wheel
 * @t:		Timer
 */
void wheel_cancel(struct wheel *w, struct wtimer *t);

/**
 * wheel_next() - How long until something may be due
 * @w:		Wheel
 * @now:	Present time, ms
 *
 * Return: ms for epoll_wait(), 0 if overdue, -1 if nothing is armed. May be
 *	   earlier than the next deadline (a level to be spread), never later.
 */
int wheel_next(const struct wheel *w, uint64_t now);

/**
 * wheel_pop() - Take one timer that is due
 * @w:		Wheel
 * @now:	Present time, ms
 *
 * Call until it returns NULL. The timer is no longer armed; its owner may arm
 * it, or any other, at once.
 *
 * Return: timer with @at <= @now, NULL if there is none
 */
struct wtimer *wheel_pop(struct wheel *w, uint64_t now);

/**
 * wtimer_armed() - Is a deadline set?
 * @t:		Timer
 */
static inline bool wtimer_armed(const struct wtimer *t)
{
	return t->pprev;
}

#endif /* LIB_WHEEL_H */
