/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a loop calls for a tap that has it to itself: context is the tap */
#ifndef FAKE_TAP_LOOP_H
#define FAKE_TAP_LOOP_H

#include "loop.h"
#include "tap.h"

/* Handler of EPOLL_TAP */
static inline void tap_loop_event(void *ctx, union epoll_ref ref,
				  uint32_t events)
{
	struct tap *tap = ctx;

	(void)ref;
	tap->ops->event(tap, events);
}

/* Hook for timers: there are none */
static inline void tap_loop_timer(void *ctx, struct wtimer *t)
{
	(void)ctx;
	(void)t;
}

/* Hook for the end of a turn */
static inline void tap_loop_turn(void *ctx)
{
	tap_flush(ctx);
}

#endif /* FAKE_TAP_LOOP_H */
