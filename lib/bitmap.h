/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fixed-size sets of small numbers: ports */
#ifndef LIB_BITMAP_H
#define LIB_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

#define NUM_PORTS 65536

struct port_set {
	uint64_t word[NUM_PORTS / 64];
};

static inline void port_set_add(struct port_set *s, uint16_t port)
{
	s->word[port / 64] |= UINT64_C(1) << (port % 64);
}

static inline void port_set_del(struct port_set *s, uint16_t port)
{
	s->word[port / 64] &= ~(UINT64_C(1) << (port % 64));
}

static inline bool port_set_has(const struct port_set *s, uint16_t port)
{
	return s->word[port / 64] >> (port % 64) & 1;
}

#endif /* LIB_BITMAP_H */
