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

/* Ports @first to @last, none if @last is lower */
void port_set_add_range(struct port_set *s, unsigned first, unsigned last);

static inline void port_set_del(struct port_set *s, uint16_t port)
{
	s->word[port / 64] &= ~(UINT64_C(1) << (port % 64));
}

static inline bool port_set_has(const struct port_set *s, uint16_t port)
{
	return s->word[port / 64] >> (port % 64) & 1;
}

/* All ports of another set, too */
static inline void port_set_merge(struct port_set *s, const struct port_set *o)
{
	unsigned i;

	for (i = 0; i < NUM_PORTS / 64; i++)
		s->word[i] |= o->word[i];
}

/* Without those of another set */
static inline void port_set_remove(struct port_set *s, const struct port_set *o)
{
	unsigned i;

	for (i = 0; i < NUM_PORTS / 64; i++)
		s->word[i] &= ~o->word[i];
}

/* Only those that are in another set, too */
static inline void port_set_keep(struct port_set *s, const struct port_set *o)
{
	unsigned i;

	for (i = 0; i < NUM_PORTS / 64; i++)
		s->word[i] &= o->word[i];
}

/**
 * port_set_next() - Walk through a set
 * @s:		Set, may be changed meanwhile
 * @from:	First port to look at, NUM_PORTS and more: none is left
 *
 * Return: lowest port from @from on, NUM_PORTS if there is none
 */
unsigned port_set_next(const struct port_set *s, unsigned from);

/**
 * port_set_next_absent() - Walk through all that is not in a set
 * @s:		Set
 * @from:	First port to look at, NUM_PORTS and more: none is left
 *
 * Return: lowest port from @from on, NUM_PORTS if there is none
 */
unsigned port_set_next_absent(const struct port_set *s, unsigned from);

#endif /* LIB_BITMAP_H */
