/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether we are busy for one flow, with the CPU to ourselves: arithmetic, no I/O */
#ifndef LIB_BUSY_H
#define LIB_BUSY_H

#include <stdbool.h>
#include <stdint.h>

/* Judged by what happened in so long, us, */
#define BUSY_SPAN_US 100000

/* which turns further apart than this, us, may have no more of than one part of
 * so many: whether there was nothing to do, or we had to wait for a CPU
 */
#define BUSY_AWAY_US   1000
#define BUSY_AWAY_PART 8

/* Times it may have been another flow's turn, in that span: somebody who calls
 * now and then does not count
 */
#define BUSY_OTHERS 2

/**
 * struct busy - State, zeroed at first
 * @since:	Begin of the span, us
 * @last:	The turn before, us
 * @away:	Sum of the times too long between turns in this span, us
 * @others:	Counted until its begin
 * @company:	There was company in it
 */
struct busy {
	uint64_t since, last, away, others;
	bool company;
};

/**
 * busy() - Account for a turn
 * @b:		State
 * @now:	When it began, us
 * @others:	Times so far that an event was not of the flow that had the last
 * @company:	Several flows share the link
 * @on:		Set at the end of a span: we are
 *
 * Return: whether it is the end of one
 */
bool busy(struct busy *b, uint64_t now, uint64_t others, bool company,
	  bool *on);

#endif /* LIB_BUSY_H */
