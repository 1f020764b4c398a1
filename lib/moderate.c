/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When to let frames gather before looking again: arithmetic, no I/O
 *
 * A turn that finds one datagram costs nearly what one with ten does. With a
 * sender that makes them at some microseconds each, and us being faster, turns
 * find one: we wake up, carry it and sleep, a hundred thousand times a second,
 * and take the CPU from those who send and receive. So did network cards, until
 * they learnt to wait before they interrupt; and so do we: a pause, and the next
 * turn finds many, which one system call takes and one frame may carry.
 *
 * Who waits for an answer must not have to wait longer. But then frames go to and
 * fro: TCP has its ACKs, requests have their replies. What is left are turns with
 * frames in one direction only, the same as in the turn before. A number of such
 * turns in a row, with frames that follow each other closely enough for a pause
 * to gather some, is a stream. It ends with the first turn that is not of it, or
 * when as many turns had too few. What ends it, a frame the other way or an event of a
 * spliced flow, may come in the middle of a pause and wait for the rest of it, but
 * only once.
 */

#include "lib/moderate.h"

/* Begin to count anew */
static void moderate_reset(struct moderate *m, uint64_t now)
{
	m->since = now;
	m->paused = m->frames = m->bytes = 0;
	m->turns = 0;
}

/* A row is complete: what pause would pay in the next? */
static void moderate_judge(struct moderate *m, uint64_t now)
{
	uint64_t time = now - m->since;

	m->pause = 0;
	if (time > m->paused + m->frames * MODERATE_GAP_US)
		return;
	time = time * MODERATE_BYTES / m->bytes;
	if (time >= MODERATE_PAUSE_MIN_US)
		m->pause = time < MODERATE_PAUSE_US ? (unsigned)time
						    : MODERATE_PAUSE_US;
}

unsigned moderate(struct moderate *m, uint64_t now,
		  const struct moderate_count *c)
{
	struct moderate_count n = { c->in - m->last.in, c->out - m->last.out,
				    c->bytes - m->last.bytes,
				    c->other - m->last.other };
	bool inward = n.in;

	m->last = *c;
	if (!n.in == !n.out || n.other || inward != m->inward) {
		m->inward = inward;
		m->pause = 0;
		moderate_reset(m, now);
		return 0;
	}

	m->frames += n.in + n.out;
	m->bytes += n.bytes;
	if (++m->turns == MODERATE_TURNS) {
		moderate_judge(m, now);
		moderate_reset(m, now);
	}
	if (n.in + n.out >= MODERATE_ENOUGH)
		return 0;
	m->paused += m->pause;
	return m->pause;
}
