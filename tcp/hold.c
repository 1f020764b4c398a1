/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP from the guest: bytes that cannot go to the socket yet
 *
 * Two sorts: what came early, before something that is missing, and what the
 * socket refused though it was inside the window. Neither is acknowledged, so
 * the guest has them as well and this is no buffering: they may be dropped at any
 * time (RFC 2018 8), and are where there is no room. But without them, one
 * frame lost would cost all that follow it in the window, one at a time.
 *
 * All connections share one pool of slabs, which takes no memory before it is
 * used. One gets a slab as long as it has fewer than there are left: half of
 * the pool if it is the only one, a third each for two. Slabs of a connection are
 * in a list in order of sequence numbers, without overlap: what is there already
 * is not copied again. Number 0 means none.
 */
#include <string.h>

#include "tcp/conn.h"
#include "wire/tcp_opt.h"

#define SLABS    2049 /* one more than there are */
#define SLAB_LEN 2048 /* a segment of an Ethernet frame, or most of one */

/* Runs of bytes held which are told of, by several ACKs */
#define RUNS_MAX 10

static struct slab {
	uint32_t seq;
	uint16_t len;
	uint16_t next;
} slab[SLABS];

static uint8_t slab_bytes[SLABS][SLAB_LEN];

/**
 * @free:	List of slabs given back
 * @fresh:	Highest number ever in use: those above are free as well
 * @used:	Slabs in use
 * @recent_of:	Who held something last,
 * @recent:	and where
 */
static struct {
	uint16_t free, fresh, used;
	const struct tcp_conn *recent_of;
	uint32_t recent;
} pool;

static uint32_t slab_end(uint16_t i)
{
	return slab[i].seq + slab[i].len;
}

/* Return: number of an empty slab, 0 if there is none for @c */
static uint16_t slab_get(struct tcp_conn *c)
{
	uint16_t i = pool.free;

	if (c->held >= SLABS - 1 - pool.used)
		return 0;
	if (i)
		pool.free = slab[i].next;
	else
		i = ++pool.fresh;
	pool.used++;
	c->held++;
	slab[i].len = 0;
	return i;
}

/* Give back the first slab */
static void slab_put_first(struct tcp_conn *c)
{
	uint16_t i = c->held_first;

	c->held_first = slab[i].next;
	if (!c->held_first)
		c->held_last = 0;
	slab[i].next = pool.free;
	pool.free = i;
	pool.used--;
	c->held--;
}

/* The last slab that begins at @seq or before, 0 if there is none */
static uint16_t slab_before(const struct tcp_conn *c, uint32_t seq)
{
	uint16_t i, prev = 0;

	if (c->held_last && SEQ_LE(slab[c->held_last].seq, seq))
		return c->held_last;
	for (i = c->held_first; i && SEQ_LE(slab[i].seq, seq); i = slab[i].next)
		prev = i;
	return prev;
}

/* A slab for bytes from @seq on, behind @prev. Return: its number, or 0 */
static uint16_t slab_insert(struct tcp_conn *c, uint16_t prev, uint32_t seq)
{
	uint16_t i = slab_get(c);

	if (!i)
		return 0;
	slab[i].seq = seq;
	slab[i].next = prev ? slab[prev].next : c->held_first;
	if (prev)
		slab[prev].next = i;
	else
		c->held_first = i;
	if (!slab[i].next)
		c->held_last = i;
	return i;
}

bool tcp_hold(struct tcp_conn *c, uint32_t seq, struct iov_tail *t)
{
	uint32_t end = seq + (uint32_t)t->len;
	uint16_t prev = slab_before(c, seq);

	if (SEQ_GT(end, c->rcv_adv))
		end = c->rcv_adv;
	while (SEQ_LT(seq, end)) {
		uint16_t next = prev ? slab[prev].next : c->held_first;
		uint32_t n = end - seq;

		if (prev && SEQ_GT(slab_end(prev), seq)) {
			uint32_t have = slab_end(prev) - seq;

			n = have < n ? have : n;
			iov_tail_drop(t, n);
			seq += n;
			continue;
		}
		if (next && slab[next].seq - seq < n)
			n = slab[next].seq - seq;
		if (!n) {
			prev = next;
			continue;
		}
		if (!prev || slab_end(prev) != seq ||
		    slab[prev].len == SLAB_LEN)
			prev = slab_insert(c, prev, seq);
		if (!prev)
			return false;
		if (n > SLAB_LEN - (uint32_t)slab[prev].len)
			n = SLAB_LEN - (uint32_t)slab[prev].len;
		iov_tail_copy(t, slab_bytes[prev] + slab[prev].len, n);
		iov_tail_drop(t, n);
		pool.recent_of = c;
		pool.recent = seq;
		slab[prev].len = (uint16_t)(slab[prev].len + n);
		seq += n;
	}
	return true;
}

void tcp_hold_fin(struct tcp_conn *c, uint32_t seq)
{
	if (SEQ_GT(seq, c->rcv_adv))
		return;
	c->fin_held = true;
	c->fin_seq = seq;
}

bool tcp_held_ready(const struct tcp_conn *c, uint32_t seq)
{
	return (c->held_first && SEQ_LE(slab[c->held_first].seq, seq)) ||
	       (c->fin_held && c->fin_seq == seq);
}

size_t tcp_held_iov(const struct tcp_conn *c, uint32_t *seq, struct iovec *iov,
		    size_t max)
{
	size_t n = 0;
	uint16_t i;

	for (i = c->held_first; i && n < max; i = slab[i].next) {
		uint32_t skip = *seq - slab[i].seq;

		if (SEQ_GT(slab[i].seq, *seq))
			break;
		if (skip >= slab[i].len)
			continue;
		iov[n].iov_base = slab_bytes[i] + skip;
		iov[n++].iov_len = slab[i].len - skip;
		*seq = slab_end(i);
	}
	return n;
}

void tcp_held_drop(struct tcp_conn *c)
{
	uint32_t skip;
	uint16_t i;

	while ((i = c->held_first) && SEQ_LE(slab_end(i), c->rcv_nxt))
		slab_put_first(c);
	if (!i || !SEQ_LT(slab[i].seq, c->rcv_nxt))
		return;
	skip = c->rcv_nxt - slab[i].seq;
	slab[i].len = (uint16_t)(slab[i].len - skip);
	slab[i].seq = c->rcv_nxt;
	memmove(slab_bytes[i], slab_bytes[i] + skip, slab[i].len);
}

void tcp_held_free(struct tcp_conn *c)
{
	while (c->held_first)
		slab_put_first(c);
	c->fin_held = false;
}

/**
 * struct run - Bytes held without a gap
 * @left:	The first
 * @right:	Behind the last
 */
struct run {
	uint32_t left, right;
};

/**
 * held_runs() - What a guest could be told it need not send again
 * @c:		Connection
 * @run:	The one that changed last, then others from the highest down
 *
 * What the socket refused, from rcv_nxt on, is none: an ACK says just that it is
 * missing.
 *
 * Return: number of them
 */
static size_t held_runs(const struct tcp_conn *c, struct run run[RUNS_MAX])
{
	struct run r = { 0, 0 }, recent = { 0, 0 };
	size_t n = 0;
	uint16_t i;

	for (i = c->held_first; i; i = slab[i].next) {
		uint16_t next = slab[i].next;

		if (r.right != slab[i].seq || r.left == r.right)
			r.left = slab[i].seq;
		r.right = slab_end(i);
		if (next && slab[next].seq == r.right)
			continue;
		if (SEQ_LE(r.left, c->rcv_nxt))
			continue;
		if (pool.recent_of == c && SEQ_GE(pool.recent, r.left) &&
		    SEQ_LT(pool.recent, r.right)) {
			recent = r;
			continue;
		}
		/* The lowest makes room */
		memmove(run + 1, run, (RUNS_MAX - 1) * sizeof(*run));
		run[0] = r;
		n += n < RUNS_MAX;
	}
	if (recent.left == recent.right)
		return n;
	memmove(run + 1, run, (RUNS_MAX - 1) * sizeof(*run));
	run[0] = recent;
	return n + (n < RUNS_MAX);
}

size_t tcp_held_sack(const struct tcp_conn *c, unsigned nth, uint8_t *p)
{
	struct run run[RUNS_MAX] = { { 0, 0 } };
	size_t n = held_runs(c, run), i;
	struct tcp_sack_block block[TCP_SACK_BLOCKS];
	size_t first = 1 + nth * (TCP_SACK_BLOCKS - 1), cnt = 0;

	if (!n)
		return 0;
	if (first >= n)
		first = 1;
	for (i = 0; i < n && cnt < TCP_SACK_BLOCKS; i = i ? i + 1 : first) {
		block[cnt].left = htonl(run[i].left);
		block[cnt++].right = htonl(run[i].right);
	}
	p[0] = p[1] = TCP_OPT_NOP;
	p[2] = TCP_OPT_SACK;
	p[3] = (uint8_t)(2 + cnt * sizeof(*block));
	memcpy(p + 4, block, cnt * sizeof(*block));
	return 4 + cnt * sizeof(*block);
}
