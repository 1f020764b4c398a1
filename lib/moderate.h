/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When to let frames gather before looking again: arithmetic, no I/O */
#ifndef LIB_MODERATE_H
#define LIB_MODERATE_H

#include <stdbool.h>
#include <stdint.h>

/* A pause at most, us: what network cards wait for before they interrupt. Less if
 * more bytes than that would come meanwhile, or buffers ran over; and none at all
 * below some length, ending it takes time as well
 */
#define MODERATE_PAUSE_US     100
#define MODERATE_PAUSE_MIN_US 25
#define MODERATE_BYTES        (64 * 1024)

/* How much longer it may take, ns: see PR_SET_TIMERSLACK */
#define MODERATE_SLACK_NS 1000UL

/* Frames are a stream if they are not further apart than that, us, on average
 * over so many turns of nothing but frames one way. Those that are cut, or were
 * joined, count once
 */
#define MODERATE_GAP_US 25
#define MODERATE_TURNS  16

/* So many frames in a turn need no pause to become more */
#define MODERATE_ENOUGH 32

/**
 * struct moderate_count - What was carried so far
 * @in, @out:	Frames from, to the guest
 * @bytes:	In both
 * @other:	Events of what has no frames: who waits there is not seen in them
 */
struct moderate_count {
	uint64_t in, out, bytes, other;
};

/**
 * struct moderate - State
 * @last:	Counted until the last turn
 * @since:	Begin of a row of turns, all in one direction, us
 * @paused:	Pauses since then, us
 * @frames, @bytes: Carried since then
 * @turns:	Length of the row
 * @pause:	Between two turns of it, us
 * @inward:	The direction is from the guest
 */
struct moderate {
	struct moderate_count last;
	uint64_t since, paused, frames, bytes;
	unsigned turns, pause;
	bool inward;
};

/**
 * moderate() - Account for a turn
 * @m:		State, zeroed at first
 * @now:	When it began, us
 * @c:		Counters after it
 *
 * Return: how long to do nothing before the next turn, us
 */
unsigned moderate(struct moderate *m, uint64_t now,
		  const struct moderate_count *c);

#endif /* LIB_MODERATE_H */
