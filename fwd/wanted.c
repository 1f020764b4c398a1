/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which ports automatic rules listen on, and when to look: arithmetic, no I/O
 *
 * fwd/scan.c tells why it is done this way.
 */

#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "fwd.h"
#include "fwd/scan.h"
#include "lib/wheel.h"

/* The interval is this part of the time without events */
#define SCAN_QUIET_SHARE 8

#define SCAN_COST_MAX_MS 2000

bool scan_is_auto(const struct fwd_rule *r, uint8_t proto)
{
	return r->scan && r->proto == proto;
}

bool scan_reached(uint8_t pif, bool to_lo, const union inany_addr *addr)
{
	if (inany_is_unspecified(addr))
		return true;
	if (pif == PIF_HOST)
		return inany_is_loopback(addr);
	return to_lo || !inany_is_loopback(addr);
}

bool scan_range(const struct fwd_rules *rules, uint8_t proto, bool target,
		in_port_t *first, in_port_t *last)
{
	bool found = false;
	unsigned i;

	for (i = 0; i < rules->n; i++) {
		const struct fwd_rule *r = &rules->rule[i];
		in_port_t lo = target ? r->to : r->first;
		in_port_t hi = (in_port_t)(lo + (r->last - r->first));

		if (!scan_is_auto(r, proto))
			continue;
		*first = found && *first < lo ? *first : lo;
		*last = found && *last > hi ? *last : hi;
		found = true;
	}
	return found;
}

void scan_wanted(const struct fwd_rules *rules, uint8_t proto,
		 const struct port_set *bound, struct port_set *wanted)
{
	unsigned i, port, end;

	memset(wanted, 0, sizeof(*wanted));
	for (i = 0; i < rules->n; i++) {
		const struct fwd_rule *r = &rules->rule[i];

		if (!scan_is_auto(r, proto))
			continue;
		end = r->to + (unsigned)(r->last - r->first);
		for (port = port_set_next(bound, r->to); port <= end;
		     port = port_set_next(bound, port + 1))
			port_set_add(wanted,
				     (uint16_t)(r->first + (port - r->to)));
	}
}

unsigned scan_inuse(const char *text, const char *key)
{
	const char *s = strstr(text, key);
	unsigned long n;

	/* "TCP:" is not to be found in the middle of a word */
	while (s && s != text && s[-1] != '\n')
		s = strstr(s + 1, key);
	if (!s)
		return 0;
	n = strtoul(s + strlen(key), NULL, 10);
	return n > UINT32_MAX ? UINT32_MAX : (unsigned)n;
}

uint64_t scan_deadline(uint64_t now, uint64_t last, uint64_t cost)
{
	const uint64_t span = (uint64_t)WHEEL_SLOTS * WHEEL_TICK_MS;
	uint64_t quiet = now > last ? now - last : 0;
	uint64_t max = quiet < SCAN_IDLE_MS ? SCAN_QUIET_MS : SCAN_SLOW_MS;
	uint64_t min = cost * SCAN_COST_FACTOR / 1000;
	uint64_t ms = quiet / SCAN_QUIET_SHARE;

	if (ms < SCAN_FAST_MS)
		ms = SCAN_FAST_MS;
	if (ms > max)
		ms = max;
	if (min > SCAN_COST_MAX_MS)
		min = SCAN_COST_MAX_MS;
	if (ms < min)
		ms = min;
	/* One wake-up instead of two, and together with all others like us */
	if (ms >= span)
		ms -= (now + ms) % span;
	return now + (ms < SCAN_FAST_MS ? SCAN_FAST_MS : ms);
}

uint64_t scan_full(uint64_t now, uint64_t last, bool cheap)
{
	if (now < last)
		return cheap ? SCAN_FULL_HOT_MS : SCAN_FULL_MS;
	return now - last < SCAN_IDLE_MS ? SCAN_FULL_MS : SCAN_FULL_IDLE_MS;
}

_Static_assert(SCAN_SLOW_MS % (WHEEL_SLOTS * WHEEL_TICK_MS) == 0,
	       "deadlines fall on spans of the first level");
