/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fixed-size sets of small numbers: ports; ranges and walks, a word at a time */

#include "lib/bitmap.h"

void port_set_add_range(struct port_set *s, unsigned first, unsigned last)
{
	const uint64_t ones = ~UINT64_C(0);
	unsigned i;

	for (i = first / 64; first <= last && i <= last / 64; i++)
		s->word[i] |= (i == first / 64 ? ones << first % 64 : ones) &
			      (i == last / 64 ? ones >> (63 - last % 64)
					      : ones);
}

/* Of a set, or with @flip all ones of what is not in it */
static unsigned port_set_walk(const struct port_set *s, uint64_t flip,
			      unsigned from)
{
	unsigned i = from / 64;
	uint64_t w;

	if (from >= NUM_PORTS)
		return NUM_PORTS;
	w = (s->word[i] ^ flip) & ~UINT64_C(0) << from % 64;
	while (!w) {
		if (++i == NUM_PORTS / 64)
			return NUM_PORTS;
		w = s->word[i] ^ flip;
	}
	return i * 64 + (unsigned)__builtin_ctzll(w);
}

unsigned port_set_next(const struct port_set *s, unsigned from)
{
	return port_set_walk(s, 0, from);
}

unsigned port_set_next_absent(const struct port_set *s, unsigned from)
{
	return port_set_walk(s, ~UINT64_C(0), from);
}
