/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flow table: pseudo-connections of all protocols, one hash, one life cycle
 *
 * Slots lie in one mapping that is touched only as flows come to be. Free
 * slots are a list, so taking and giving back is constant time and the lowest
 * memory is used again first. A flow has two sides; each side that frames or
 * datagrams can arrive for is in a hash of chains keyed with SipHash, so that a
 * guest cannot choose ports that collide. Links are indices, half the size of
 * pointers: slot * 2 + side in the hash, slot elsewhere.
 *
 * Each flow has one timer, and may be deferred: its protocol has more to do but
 * leaves the turn to others first.
 *
 * When the table is full, or descriptors are used up, protocols are asked to
 * give up what is worth least: a connection that nobody completed yet, a UDP
 * flow, a ping, the one unused for longest. So neither the guest nor somebody
 * outside can keep others away with what costs nothing to begin.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "flow.h"
#include "lib/log.h"

/* Flows evicted at most for the sake of one */
#define EVICT_MAX 4

_Static_assert(sizeof(struct flow) <= FLOW_SLOT / 2 + 32,
	       "common head leaves room for the protocol");
_Static_assert(!(FLOW_SLOT % 32), "slots in four cache lines, and aligned");

/* What is hashed, without holes */
struct flow_key {
	union inany_addr oaddr, eaddr;
	in_port_t oport, eport;
	uint8_t proto, pif;
	uint16_t zero;
};
_Static_assert(sizeof(struct flow_key) == 40, "no padding to hash");

/* Anonymous memory, zero, taken from the system only when touched */
static void *map_lazily(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int flow_init(struct flow_table *t, uint32_t max, const struct siphash_key *key,
	      const struct flow_ops *ops, struct wheel *wheel)
{
	uint32_t nbuckets = 1;

	while (nbuckets < max * 2)
		nbuckets *= 2;
	*t = (struct flow_table){ .max = max,
				  .free = FLOW_NONE,
				  .key = *key,
				  .deferred = FLOW_NONE,
				  .ops = ops,
				  .wheel = wheel,
				  .mask = nbuckets - 1 };
	t->slots = map_lazily((size_t)max * FLOW_SLOT);
	/* An empty bucket is 0: links in it are stored plus one */
	t->bucket = map_lazily(nbuckets * sizeof(t->bucket[0]));
	return t->slots && t->bucket ? 0 : -ENOMEM;
}

/* Flow in a slot */
static struct flow *flow_slot(const struct flow_table *t, uint32_t idx)
{
	return (struct flow *)(void *)(t->slots + (size_t)idx * FLOW_SLOT);
}

/* Ask the flows of one type */
static bool flow_evict_type(struct flow_table *t, unsigned type, bool fd)
{
	const struct flow_ops *o = &t->ops[type];

	if (!o->evict || !o->evict(o->ctx, fd))
		return false;
	t->evicted++;
	return true;
}

bool flow_evict(struct flow_table *t, enum flow_type type, bool fd)
{
	unsigned i;

	if (flow_evict_type(t, type, fd))
		return true;
	for (i = 0; i < FLOW_TYPES; i++)
		if (i != type && flow_evict_type(t, i, fd))
			return true;
	return false;
}

struct flow *flow_new(struct flow_table *t, enum flow_type type)
{
	struct flow *f;
	unsigned i;

	/* A flow that is deferred gives its slot back later: try others, too */
	for (i = 0; i < EVICT_MAX; i++)
		if (t->free != FLOW_NONE || t->fresh < t->max ||
		    !flow_evict(t, type, false))
			break;
	if (t->free != FLOW_NONE) {
		f = flow_slot(t, t->free);
		t->free = f->dnext;
	} else if (t->fresh < t->max) {
		f = flow_slot(t, t->fresh++);
	} else {
		t->full++;
		warn_limited("Flow table full (%u flows): new ones are refused",
			     t->max);
		return NULL;
	}
	memset(f, 0, FLOW_SLOT);
	f->type = (uint8_t)type;
	t->used++;
	t->count[type]++;
	return f;
}

void flow_begin(const struct flow_table *t, const struct flow *f)
{
	char a[FLOWSIDE_STRLEN], b[FLOWSIDE_STRLEN];

	if (log_enabled(LOG_TRACE))
		trace("Flow %u begins, %s: %s %s to %s %s", flow_idx(t, f),
		      t->ops[f->type].name, pif_name(f->pif[INISIDE]),
		      flowside_text(&f->side[INISIDE], a, sizeof(a)),
		      pif_name(f->pif[TGTSIDE]),
		      flowside_text(&f->side[TGTSIDE], b, sizeof(b)));
}

/* Bucket of a side */
static uint32_t *flow_bucket(const struct flow_table *t, uint8_t proto,
			     uint8_t pif, const struct flowside *s)
{
	struct flow_key key = { .oaddr = s->oaddr,
				.eaddr = s->eaddr,
				.oport = s->oport,
				.eport = s->eport,
				.proto = proto,
				.pif = pif };

	return &t->bucket[siphash(&t->key, &key, sizeof(key)) & t->mask];
}

/* Next link of a hashed side */
static uint32_t *flow_hnext(const struct flow_table *t, uint32_t link)
{
	return &flow_slot(t, (link - 1) / 2)->hnext[(link - 1) % 2];
}

/* Link of a side: never 0 */
static uint32_t flow_link(const struct flow_table *t, const struct flow *f,
			  unsigned side)
{
	return flow_idx(t, f) * 2 + side + 1;
}

void flow_hash_side(struct flow_table *t, struct flow *f, unsigned side)
{
	uint32_t *head = flow_bucket(t, f->proto, f->pif[side], &f->side[side]);

	f->hnext[side] = *head;
	*head = flow_link(t, f, side);
	f->hashed |= (uint8_t)(1U << side);
}

/* Take a side out of its chain */
static void flow_unhash_side(struct flow_table *t, struct flow *f,
			     unsigned side)
{
	uint32_t link = flow_link(t, f, side);
	uint32_t *p = flow_bucket(t, f->proto, f->pif[side], &f->side[side]);

	while (*p && *p != link)
		p = flow_hnext(t, *p);
	if (*p)
		*p = f->hnext[side];
	f->hashed &= (uint8_t) ~(1U << side);
}

struct flow *flow_lookup(const struct flow_table *t, uint8_t proto,
			 enum pif pif, const struct flowside *s, unsigned *side)
{
	uint32_t link = *flow_bucket(t, proto, (uint8_t)pif, s);

	for (; link; link = *flow_hnext(t, link)) {
		struct flow *f = flow_slot(t, (link - 1) / 2);
		unsigned i = (link - 1) % 2;
		const struct flowside *o = &f->side[i];

		if (f->proto == proto && f->pif[i] == pif &&
		    o->eport == s->eport && o->oport == s->oport &&
		    inany_equals(&o->eaddr, &s->eaddr) &&
		    inany_equals(&o->oaddr, &s->oaddr)) {
			if (side)
				*side = i;
			return f;
		}
	}
	return NULL;
}

struct flow *flow_at(const struct flow_table *t, uint32_t idx,
		     enum flow_type type)
{
	struct flow *f;

	if (idx >= t->fresh)
		return NULL;
	f = flow_slot(t, idx);
	return f->type == type ? f : NULL;
}

const struct flow *flow_next(const struct flow_table *t, uint32_t *idx,
			     uint32_t end)
{
	const struct flow *f;

	while (*idx < end && *idx < t->fresh) {
		f = flow_slot(t, (*idx)++);
		if (f->type != FLOW_FREE)
			return f;
	}
	return NULL;
}

void flow_list_add(struct flow_table *t, struct flow_list *l, struct flow *f)
{
	uint32_t link = flow_idx(t, f) + 1;

	f->link = (struct flow_link){ .prev = l->tail };
	if (l->tail)
		flow_slot(t, l->tail - 1)->link.next = link;
	else
		l->head = link;
	l->tail = link;
}

void flow_list_del(struct flow_table *t, struct flow_list *l, struct flow *f)
{
	struct flow_link *k = &f->link;

	if (k->prev)
		flow_slot(t, k->prev - 1)->link.next = k->next;
	else
		l->head = k->next;
	if (k->next)
		flow_slot(t, k->next - 1)->link.prev = k->prev;
	else
		l->tail = k->prev;
}

struct flow *flow_list_first(const struct flow_table *t,
			     const struct flow_list *l)
{
	return l->head ? flow_slot(t, l->head - 1) : NULL;
}

void flow_defer(struct flow_table *t, struct flow *f)
{
	if (f->deferred)
		return;
	f->deferred = true;
	f->dnext = t->deferred;
	t->deferred = flow_idx(t, f);
}

bool flow_run_deferred(struct flow_table *t)
{
	uint32_t idx, list = FLOW_NONE;

	/* Reverse: first come, first served */
	while ((idx = t->deferred) != FLOW_NONE) {
		struct flow *f = flow_slot(t, idx);

		t->deferred = f->dnext;
		f->dnext = list;
		list = idx;
	}
	/* A flow that a resumed one frees while it waits in this list is of
	 * type FLOW_FREE by then, or somebody else's and not deferred: so free
	 * only marks, and the slot is given back here.
	 */
	while (list != FLOW_NONE) {
		struct flow *f = flow_slot(t, list);
		const struct flow_ops *o = &t->ops[f->type];

		list = f->dnext;
		f->deferred = false;
		if (f->type == FLOW_FREE) {
			f->dnext = t->free;
			t->free = flow_idx(t, f);
		} else if (o->resume) {
			o->resume(o->ctx, f);
		}
	}
	return t->deferred != FLOW_NONE;
}

void flow_free(struct flow_table *t, struct flow *f)
{
	unsigned side;

	for (side = 0; side < 2; side++)
		if (f->hashed & (1U << side))
			flow_unhash_side(t, f, side);
	wheel_cancel(t->wheel, &f->timer);
	trace("Flow %u ends, %s", flow_idx(t, f), t->ops[f->type].name);
	t->count[f->type]--;
	f->type = FLOW_FREE;
	t->used--;
	/* Still in a list of deferred ones: flow_run_deferred() reclaims it */
	if (f->deferred)
		return;
	f->dnext = t->free;
	t->free = flow_idx(t, f);
}

void flow_timer(struct flow_table *t, struct wtimer *w)
{
	struct flow *f = (struct flow *)(void *)((uint8_t *)w -
						 offsetof(struct flow, timer));
	const struct flow_ops *o = &t->ops[f->type];

	if (o->timer)
		o->timer(o->ctx, f);
}

const char *pif_name(unsigned pif)
{
	static const char *const name[] = { "none", "host", "guest",
					    "namespace" };

	return name[pif];
}

const char *flowside_text(const struct flowside *s, char *buf, size_t len)
{
	char e[INANY_STRLEN], o[INANY_STRLEN];

	snprintf(buf, len, "[%s]:%hu <-> [%s]:%hu", inany_ntop(&s->eaddr, e),
		 s->eport, inany_ntop(&s->oaddr, o), s->oport);
	return buf;
}
