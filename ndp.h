/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IPv6 neighbour discovery: NA, and RA with prefix, MTU, RDNSS, DNSSL */
#ifndef NDP_H
#define NDP_H

#include <stdbool.h>
#include <stdint.h>

#include "ether.h"
#include "lib/wheel.h"

struct guest;
struct loop;
struct tap;

/* Filled by conf */
struct ndp_opts {
	bool no_ndp; /* --no-ndp: nothing at all */
	bool no_ra;  /* --no-ra: no router advertisements */
	bool no_dns; /* RDNSS and DNSSL not announced */
	bool no_search;
	bool no_dhcpv6;   /* --no-dhcpv6: do not send the guest there */
	bool no_periodic; /* --config-net: nobody needs them */
};

/**
 * struct ndp - Neighbour discovery of one instance
 * @timer:	Next unsolicited router advertisement; the owner of the loop's
 *		timers calls ndp_timer() for it
 * @initial:	How many are still to follow soon, RFC 4861 6.2.4
 */
struct ndp {
	struct tap *tap;
	struct loop *loop;
	const struct guest *guest;
	const struct ndp_opts *opts;
	struct wtimer timer;
	unsigned initial;
	uint64_t bad, answered;
};

/**
 * ndp_tap_input() - NDP messages, types 133..137 (row of the L4 table)
 * @ctx:	struct ndp
 * @g:		Messages
 */
void ndp_tap_input(void *ctx, const struct packet_group *g);

/**
 * ndp_link_up() - Link came up: solicit the guest, advertise, arm the timer
 * @ndp:	NDP
 */
void ndp_link_up(struct ndp *ndp);

/**
 * ndp_timer() - Send an unsolicited RA (RFC 4861 6.2.4), arm the next
 * @ndp:	NDP
 */
void ndp_timer(struct ndp *ndp);

#endif /* NDP_H */
