/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flow table: pseudo-connections of all protocols, one hash, one life cycle */
#ifndef FLOW_H
#define FLOW_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/inany.h"
#include "lib/siphash.h"
#include "lib/wheel.h"

/* Where a side of a flow lives */
enum pif {
	PIF_NONE,
	PIF_HOST,   /* sockets of the host */
	PIF_TAP,    /* frames of the guest */
	PIF_SPLICE, /* sockets of the target namespace, over its loopback */
};

enum flow_type {
	FLOW_FREE,
	FLOW_TCP,
	FLOW_TCP_SPLICE,
	FLOW_UDP, /* both over the tap and spliced */
	FLOW_PING,
	FLOW_TYPES
};

/* Sides */
#define INISIDE 0 /* who began */
#define TGTSIDE 1 /* who was asked */

/**
 * struct flowside - Addresses of one side, as seen from us
 * @oaddr:	Our address there
 * @eaddr:	The endpoint's address
 * @oport:	Our port, host order; ping: the identifier in both ports
 * @eport:	The endpoint's port
 *
 * On the tap, a frame from the guest has source @eaddr and destination @oaddr.
 */
struct flowside {
	union inany_addr oaddr;
	union inany_addr eaddr;
	in_port_t oport;
	in_port_t eport;
};

#define FLOW_NONE UINT32_MAX

/* Neighbours in a list: slots plus one, 0 at the ends */
struct flow_link {
	uint32_t next, prev;
};

/* A list of flows, zeroed at first; a flow is in one at most */
struct flow_list {
	uint32_t head, tail;
};

/**
 * struct flow - Common head of each slot
 * @type:	enum flow_type
 * @pif:	enum pif of each side
 * @hashed:	Bit for each side that is in the hash
 * @proto:	IP protocol number, part of the hash
 * @hnext:	Next in the bucket, for each side: slot * 2 + side + 1, 0 at the end
 * @deferred:	In the list of flows to be looked at in the next turn
 * @dnext:	Next in that list
 * @link:	Neighbours in a list of its protocol
 * @timer:	The one deadline of a flow
 * @side:	Addresses
 */
struct flow {
	uint8_t type;
	uint8_t pif[2];
	uint8_t proto;
	uint8_t hashed;
	bool deferred;
	uint32_t hnext[2];
	uint32_t dnext;
	struct flow_link link;
	struct wtimer timer;
	struct flowside side[2];
};

/* Each protocol's flow begins with struct flow and fits this: what a connection of
 * TCP over the tap takes, which are most. A multiple of 32, so that none touches
 * more cache lines than it fills: four of 64 bytes.
 */
#define FLOW_SLOT 224

/* What the table asks of a protocol; table flow_ops[] in passt.c */
struct flow_ops {
	const char *name;
	/* The flow's timer is due */
	void (*timer)(void *ctx, struct flow *f);
	/* The flow was deferred with flow_defer(): go on with it */
	void (*resume)(void *ctx, struct flow *f);
	/* Close the flow of this type that is worth least, because the table
	 * is full, or (@fd) because descriptors are used up and it has one.
	 * Return: false if there is none to be spared; NULL: there never is
	 */
	bool (*evict)(void *ctx, bool fd);
	void *ctx;
};

/**
 * struct flow_table - All flows
 * @slots:	@max slots of FLOW_SLOT bytes, touched as they are used
 * @max:	Number of slots
 * @used:	Slots in use, and
 * @count:	by type
 * @fresh:	Slots never used so far begin here
 * @free:	List of slots given back (linked by dnext), FLOW_NONE at its end
 * @bucket:	Hash heads: slot * 2 + side + 1, 0 if empty
 * @mask:	Number of buckets - 1
 * @key:	Secret of the hash
 * @deferred:	List of flows to resume
 * @ops:	FLOW_TYPES rows
 * @wheel:	Where timers are armed
 * @full:	Times the table was found full, and nothing could be spared
 * @evicted:	Flows closed for the sake of others
 */
struct flow_table {
	uint8_t *slots;
	uint32_t max, used, fresh, free;
	uint32_t count[FLOW_TYPES];
	uint32_t *bucket;
	uint32_t mask;
	struct siphash_key key;
	uint32_t deferred;
	const struct flow_ops *ops;
	struct wheel *wheel;
	uint64_t full, evicted;
};

/**
 * flow_init() - Map the table
 * @t:		Filled
 * @max:	Flows at most
 * @key:	Hash secret
 * @ops:	FLOW_TYPES rows, borrowed for ever
 * @wheel:	Where flow timers are armed
 *
 * Return: 0, or -errno
 */
int flow_init(struct flow_table *t, uint32_t max, const struct siphash_key *key,
	      const struct flow_ops *ops, struct wheel *wheel);

/**
 * flow_new() - Take a slot, another flow's if need be: see flow_evict()
 * @t:		Table
 * @type:	Type; the rest of the slot is zero
 *
 * Return: flow, owned by the protocol until flow_free(); NULL if full (counted)
 */
struct flow *flow_new(struct flow_table *t, enum flow_type type);

/**
 * flow_begin() - Say, with --trace, that a flow is complete: who, where to
 * @t:		Table
 * @f:		Flow, both sides filled
 */
void flow_begin(const struct flow_table *t, const struct flow *f);

/**
 * flow_free() - Give a slot back: unhash, cancel timer, forget deferral
 * @t:		Table
 * @f:		Flow
 */
void flow_free(struct flow_table *t, struct flow *f);

/**
 * flow_evict() - Close a flow that is worth less than a new one
 * @t:		Table
 * @type:	Of the new one: its own kind is asked first
 * @fd:		Only one that has a descriptor
 *
 * Return: false if every flow is worth keeping
 */
bool flow_evict(struct flow_table *t, enum flow_type type, bool fd);

/**
 * flow_list_add() - Append a flow to a list
 * @t:		Table
 * @l:		List
 * @f:		Flow, in no list
 */
void flow_list_add(struct flow_table *t, struct flow_list *l, struct flow *f);

/**
 * flow_list_del() - Take a flow out of a list
 * @t:		Table
 * @l:		List it is in
 * @f:		Flow
 */
void flow_list_del(struct flow_table *t, struct flow_list *l, struct flow *f);

/**
 * flow_list_first() - Flow that was appended before all others
 * @t:		Table
 * @l:		List
 *
 * Return: flow, NULL if the list is empty
 */
struct flow *flow_list_first(const struct flow_table *t,
			     const struct flow_list *l);

/**
 * flow_hash_side() - Make a side findable by flow_lookup()
 * @t:		Table
 * @f:		Flow with proto, pif and side set
 * @side:	INISIDE or TGTSIDE
 */
void flow_hash_side(struct flow_table *t, struct flow *f, unsigned side);

/**
 * flow_lookup() - Find a flow by one of its hashed sides
 * @t:		Table
 * @proto:	IP protocol number
 * @pif:	Where the side lives
 * @s:		Addresses and ports, all compared
 * @side:	Filled with the side that matched, may be NULL
 *
 * Return: flow, NULL if there is none
 */
struct flow *flow_lookup(const struct flow_table *t, uint8_t proto,
			 enum pif pif, const struct flowside *s,
			 unsigned *side);

/**
 * flow_at() - Flow of an epoll reference
 * @t:		Table
 * @idx:	Index
 * @type:	Type expected
 *
 * Return: flow, NULL if that slot holds no flow of this type (any more)
 */
struct flow *flow_at(const struct flow_table *t, uint32_t idx,
		     enum flow_type type);

/**
 * flow_next() - Walk over the flows there are, in no order of use
 * @t:		Table
 * @idx:	Slot to begin at; then the one behind the flow
 * @end:	Look no further than this slot
 *
 * Return: flow, NULL if there is none between both
 */
const struct flow *flow_next(const struct flow_table *t, uint32_t *idx,
			     uint32_t end);

/**
 * flow_idx() - Index of a flow, for epoll references
 * @t:		Table
 * @f:		Flow
 */
static inline uint32_t flow_idx(const struct flow_table *t,
				const struct flow *f)
{
	return (uint32_t)(((const uint8_t *)f - t->slots) / FLOW_SLOT);
}

/**
 * flow_defer() - Have resume called in the next turn of the loop
 * @t:		Table
 * @f:		Flow; no-op if deferred already
 */
void flow_defer(struct flow_table *t, struct flow *f);

/**
 * flow_run_deferred() - Resume what was deferred before this call
 * @t:		Table
 *
 * Return: true if flows are deferred again
 */
bool flow_run_deferred(struct flow_table *t);

/**
 * flow_timer() - Hand a due timer to the flow it belongs to
 * @t:		Table
 * @w:		Timer, the one of a flow
 */
void flow_timer(struct flow_table *t, struct wtimer *w);

/**
 * flowside_text() - "eaddr:eport <-> oaddr:oport" for messages
 * @s:		Side
 * @buf:	Filled
 * @len:	Its size
 *
 * Return: @buf
 */
#define FLOWSIDE_STRLEN (2 * INANY_STRLEN + 32)
const char *flowside_text(const struct flowside *s, char *buf, size_t len);

/**
 * pif_name() - "guest", "host", "namespace" for messages
 * @pif:	enum pif
 */
const char *pif_name(unsigned pif);

#endif /* FLOW_H */
