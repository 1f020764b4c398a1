/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IP fragments from the guest, put together again
 *
 * Sockets take whole datagrams, so fragments have to meet before they go on
 * (RFC 791 3.2, RFC 8200 4.5). Each datagram in progress has a buffer as large
 * as any can be, into which fragments are copied where they belong, and a map
 * with a bit for each 8 bytes that have arrived: unlike the list of holes of
 * RFC 815, it does not get slower the more the sender scatters. What is known
 * of the whole, its header and its length, comes with the first and the last
 * fragment, in any order:
 *
 *	room  [IP header] [ 8 ][ 8 ][ 8 ] ...            [ 1 to 8 ]
 *	      of offset 0  |<----------- total ------------------>|
 *
 * There are FRAG_DATAGRAMS of them in static memory that is touched only when
 * it is used. A guest that never completes what it begins makes its own next
 * datagrams push out its oldest. Age is looked at when fragments arrive: there
 * is nothing to give back earlier.
 *
 * Fragments that overlap, or that disagree about the length, spoil their
 * datagram and all that is yet to come of it (RFC 5722 4): a spoilt one keeps
 * its place until its time is over. Copies of what is there already may happen
 * on a network and are passed over.
 */
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>

#include "frag.h"
#include "lib/csum.h"
#include "lib/log.h"

#define FRAG_UNIT 8     /* offsets count these: RFC 791 3.1, RFC 8200 4.5 */
#define FRAG_MAX  65535 /* of lengths in IP headers */
#define FRAG_ROOM 64    /* for the IP header: at most 60, aligned */

/* Whole datagrams that wait for the end of the batch, at most */
#define FRAG_WAITING (FRAG_DATAGRAMS / 4)

#define FRAG_UNITS ((FRAG_MAX + FRAG_UNIT) / FRAG_UNIT)
#define FRAG_WORDS (FRAG_UNITS / 64)
_Static_assert(FRAG_UNITS % 64 == 0, "map without a rest");

enum frag_state {
	FRAG_FREE,
	FRAG_OPEN,   /* fragments are missing */
	FRAG_SPOILT, /* fragments contradicted one another */
	FRAG_WAITS,  /* whole, until frag_release() */
};

/**
 * struct datagram - One in progress
 * @state:	enum frag_state
 * @since:	Arrival of its first fragment, ms
 * @key:	What fragments have in common; @key.proto of the fragment at 0
 * @hlen:	IP header bytes, 0: the fragment at 0 is missing
 * @total:	Bytes behind the header, 0: the last fragment is missing
 * @end:	End of what arrived so far
 * @have:	Bytes that arrived
 * @iov:	The whole
 * @map:	Bit for each unit that arrived
 */
struct datagram {
	enum frag_state state;
	uint64_t since;
	struct frag key;
	size_t hlen, total, end, have;
	struct iovec iov;
	uint64_t map[FRAG_WORDS];
};

static struct datagram dgrams[FRAG_DATAGRAMS];
static uint8_t frag_buf[FRAG_DATAGRAMS][FRAG_ROOM + FRAG_MAX + 1]
	__attribute__((aligned(64)));
static unsigned nwaiting; /* of them FRAG_WAITS */
static struct frag_stats stats;

void frag_reset(void)
{
	unsigned i;

	for (i = 0; i < FRAG_DATAGRAMS; i++)
		dgrams[i].state = FRAG_FREE;
	nwaiting = 0;
	memset(&stats, 0, sizeof(stats));
}

/* First byte behind the IP header */
static uint8_t *frag_data(const struct datagram *d)
{
	return frag_buf[d - dgrams] + FRAG_ROOM;
}

/* Is it one of this datagram? RFC 791 3.2; RFC 8200 4.5: without protocol */
static bool frag_fits(const struct datagram *d, const struct frag *f)
{
	return (d->state == FRAG_OPEN || d->state == FRAG_SPOILT) &&
	       d->key.id == f->id && inany_equals(&d->key.src, &f->src) &&
	       inany_equals(&d->key.dst, &f->dst) &&
	       (!inany_v4(&f->src) || d->key.proto == f->proto);
}

/* Give up a datagram that is not whole */
static void frag_forget(struct datagram *d, uint64_t *counter)
{
	if (d->state == FRAG_OPEN) {
		++*counter;
		debug_limited("Fragments from guest dropped: %zu bytes arrived",
			      d->have);
	}
	d->state = FRAG_FREE;
}

/* Place for a new datagram: free, or that of the oldest; NULL: all wait */
static struct datagram *frag_new(const struct frag *f, uint64_t now)
{
	struct datagram *d, *best = NULL;

	for (d = dgrams; d < dgrams + FRAG_DATAGRAMS; d++) {
		if (d->state == FRAG_FREE) {
			best = d;
			break;
		}
		if (d->state != FRAG_WAITS && (!best || d->since < best->since))
			best = d;
	}
	if (!best)
		return NULL;
	frag_forget(best, &stats.evicted);
	*best = (struct datagram){ .state = FRAG_OPEN,
				   .since = now,
				   .key = *f };
	return best;
}

/* Datagram of a fragment; those whose time is over are forgotten on the way */
static struct datagram *frag_find(const struct frag *f, uint64_t now)
{
	struct datagram *d, *found = NULL;

	for (d = dgrams; d < dgrams + FRAG_DATAGRAMS; d++) {
		if (d->state != FRAG_WAITS && now - d->since > FRAG_TIMEOUT_MS)
			frag_forget(d, &stats.late);
		if (frag_fits(d, f))
			found = d;
	}
	return found ? found : frag_new(f, now);
}

/* Bits of units from @first up to, not including, @last in word @w */
static uint64_t frag_mask(unsigned w, unsigned first, unsigned last)
{
	uint64_t mask = UINT64_MAX;

	if (w == first / 64)
		mask &= UINT64_MAX << first % 64;
	if (w == (last - 1) / 64)
		mask &= UINT64_MAX >> (63 - (last - 1) % 64);
	return mask;
}

/* How many bytes of this range are there: none, some, all? */
static void frag_seen(const struct datagram *d, unsigned first, unsigned last,
		      bool *any, bool *all)
{
	unsigned w;

	*any = false;
	*all = true;
	for (w = first / 64; w <= (last - 1) / 64; w++) {
		uint64_t mask = frag_mask(w, first, last);

		*any |= (d->map[w] & mask) != 0;
		*all &= (d->map[w] & mask) == mask;
	}
}

/* All places are taken: by the same bytes, saying the same of the end? */
static bool frag_is_copy(const struct datagram *d, const struct frag *f,
			 const struct iov_tail *data)
{
	const uint8_t *there = frag_data(d) + f->off;
	struct iov_tail rest = *data;
	uint8_t part[256];

	if (f->off + data->len > d->end || (!f->more && !d->total))
		return false;
	while (rest.len) {
		size_t n = iov_tail_copy(&rest, part, sizeof(part));

		if (memcmp(there, part, n))
			return false;
		there += n;
		iov_tail_drop(&rest, n);
	}
	return true;
}

/* Does it contradict what is known of where the datagram ends? */
static bool frag_end_ok(const struct datagram *d, const struct frag *f,
			size_t end)
{
	if (f->more)
		return !d->total || end < d->total;
	return d->total ? end == d->total : end >= d->end;
}

/* Put the bytes of a fragment in their place. Return: FRAG_KEPT or FRAG_BAD */
static enum frag_verdict frag_store(struct datagram *d, const struct frag *f,
				    const struct iov_tail *data)
{
	unsigned first = f->off / FRAG_UNIT, last, w;
	size_t end = f->off + data->len;
	bool any, all;

	last = (unsigned)(end + FRAG_UNIT - 1) / FRAG_UNIT;
	frag_seen(d, first, last, &any, &all);
	if (!frag_end_ok(d, f, end) ||
	    (any && !(all && frag_is_copy(d, f, data)))) {
		d->state = FRAG_SPOILT;
		stats.broken++;
		return FRAG_BAD;
	}
	if (any)
		return FRAG_KEPT;
	if (!f->more)
		d->total = end;
	for (w = first / 64; w <= (last - 1) / 64; w++)
		d->map[w] |= frag_mask(w, first, last);
	iov_tail_copy(data, frag_data(d) + f->off, data->len);
	d->have += data->len;
	if (end > d->end)
		d->end = end;
	return FRAG_KEPT;
}

/* Keep the header of the fragment at 0: it becomes that of the whole */
static void frag_keep_header(struct datagram *d, const struct frag *f,
			     const void *hdr, size_t hlen)
{
	if (d->hlen)
		return;
	memcpy(frag_data(d) - hlen, hdr, hlen);
	d->hlen = hlen;
	d->key.proto = f->proto;
}

/* Make the header that of a datagram that never was in pieces. Return: false
 * if there is no such datagram
 */
static bool frag_finish_header(struct datagram *d)
{
	uint8_t *hdr = frag_data(d) - d->hlen;

	if (inany_v4(&d->key.src)) {
		struct iphdr *ih = (struct iphdr *)(void *)hdr;

		if (d->hlen + d->total > FRAG_MAX)
			return false;
		ih->tot_len = htons((uint16_t)(d->hlen + d->total));
		ih->frag_off = 0;
		ih->check = 0;
		ih->check = csum(hdr, d->hlen, 0);
	} else {
		struct ip6_hdr *ih = (struct ip6_hdr *)(void *)hdr;

		ih->ip6_plen = htons((uint16_t)d->total);
		ih->ip6_nxt = d->key.proto;
	}
	return true;
}

/* All there? Then it is handed on. Return: FRAG_KEPT, FRAG_WHOLE, FRAG_BAD */
static enum frag_verdict frag_complete(struct datagram *d,
				       struct iov_tail *whole)
{
	if (!d->total || d->have < d->total)
		return FRAG_KEPT;
	if (!frag_finish_header(d)) {
		d->state = FRAG_SPOILT;
		stats.broken++;
		return FRAG_BAD;
	}
	d->state = FRAG_WAITS;
	nwaiting++;
	d->iov.iov_base = frag_data(d) - d->hlen;
	d->iov.iov_len = d->hlen + d->total;
	*whole = iov_tail_init(&d->iov, 1, 0);
	stats.whole++;
	return FRAG_WHOLE;
}

enum frag_verdict frag_input(const struct frag *f, const void *hdr, size_t hlen,
			     const struct iov_tail *data, uint64_t now,
			     struct iov_tail *whole)
{
	enum frag_verdict v;
	struct datagram *d;

	stats.fragments++;
	/* RFC 8200 4.5: both go alone, their datagram stays */
	if (!data->len || hlen > FRAG_ROOM || f->off % FRAG_UNIT ||
	    (f->more && data->len % FRAG_UNIT) || f->off + data->len > FRAG_MAX)
		return FRAG_BAD;
	d = frag_find(f, now);
	if (!d || d->state == FRAG_SPOILT)
		return FRAG_BAD;
	v = frag_store(d, f, data);
	if (v != FRAG_KEPT)
		return v;
	if (!f->off)
		frag_keep_header(d, f, hdr, hlen);
	return frag_complete(d, whole);
}

bool frag_crowded(void)
{
	return nwaiting >= FRAG_WAITING;
}

void frag_release(void)
{
	unsigned i;

	for (i = 0; nwaiting && i < FRAG_DATAGRAMS; i++) {
		if (dgrams[i].state != FRAG_WAITS)
			continue;
		dgrams[i].state = FRAG_FREE;
		nwaiting--;
	}
}

const struct frag_stats *frag_stats(void)
{
	return &stats;
}
