/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether we are busy for one flow, with the CPU to ourselves: arithmetic, no I/O
 *
 * The kernel lets who wakes up take the CPU from who runs, so that he who was asleep
 * and is asked something answers soon. With bulk that is a waste: a sender
 * fills its socket, we are woken by the first bytes, take its CPU, find little,
 * and sleep again, while the sender could have gone on. A thread of policy
 * SCHED_BATCH takes no CPU from anybody, sched(7): it waits until there is one free.
 * Spliced bulk gains a tenth or more by that, frames to QEMU as much.
 *
 * What others pay decides when that is good. A program that computes would keep
 * its CPU until its slice is over, and we would wait for milliseconds, then the
 * flow does, too: half of its rate would be lost. And small requests beside
 * the bulk would wait longer than they need. So it is done only
 *
 * - while turns follow each other without a break worth the name, which they do not
 *   beside such a program whatever our policy is: so what is seen does not depend
 *   on what was decided. Nor do they with little to do;
 *
 * - while all events are of one flow.
 *
 * Whoever asks must see to it that a turn comes soon after all has come to rest: in
 * sleep, the policy should be the usual one.
 */

#include "lib/busy.h"

bool busy(struct busy *b, uint64_t now, uint64_t others, bool company, bool *on)
{
	uint64_t gap = now - b->last, span = now - b->since;

	b->last = now;
	if (gap > BUSY_AWAY_US)
		b->away += gap;
	b->company |= company;
	if (span < BUSY_SPAN_US)
		return false;

	*on = b->away <= span / BUSY_AWAY_PART && !b->company &&
	      others - b->others <= BUSY_OTHERS;
	*b = (struct busy){ .since = now, .last = now, .others = others };
	return true;
}
