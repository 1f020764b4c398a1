/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --stats: events and counters of all modules, as lines on stderr */
#ifndef STATS_H
#define STATS_H

#include <stdbool.h>
#include <stdint.h>

struct ether;
struct flow_table;
struct icmp;
struct loop;
struct tap;
struct tcp;
struct udp;

/**
 * struct stats - What is printed, and how often
 * @interval:	Least time between two prints, ms; 0: none at all
 * @loop ... @icmp: Modules that count, borrowed
 * @last:	Private. When it was last printed, ms; 0: not yet
 * @lines:	Private. Lines of events so far
 */
struct stats {
	uint64_t interval;
	const struct loop *loop;
	const struct tap *tap;
	const struct ether *ether;
	const struct flow_table *flows;
	const struct tcp *tcp;
	const struct udp *udp;
	const struct icmp *icmp;
	uint64_t last, lines;
};

/**
 * stats_turn() - At the end of a turn of the loop: print if it is time to
 * @s:		Statistics
 *
 * Prints a line of event counts by type, tabs between them, below a header that
 * is repeated each 20 lines. Then a line "counters:", with name=value for each
 * counter that changed since the last such line, if any did. When the loop is
 * about to end, both are printed whatever the time is.
 */
void stats_turn(struct stats *s);

#endif /* STATS_H */
