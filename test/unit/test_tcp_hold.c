/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is held of a guest's bytes: against a map of bytes, and a full pool */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tcp/conn.h"
#include "wire/tcp_opt.h"

#define WINDOW 20000
#define RUNS   60
#define STEPS  400
#define IOVS   64

static uint64_t state;

/* xorshift64 (Marsaglia 2003) */
static uint32_t below(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state % n);
}

/* The byte at a sequence number */
static uint8_t byte_at(uint32_t seq)
{
	return (uint8_t)(seq * 2654435761U >> 24);
}

/* Bytes of the last piece that were not taken */
static size_t untaken;

/* Hold [seq, seq + len), from buffers of different lengths */
static bool hold(struct tcp_conn *c, uint32_t seq, uint32_t len)
{
	static uint8_t buf[WINDOW];
	struct iovec iov[3];
	struct iov_tail t;
	uint32_t i, a = len / 3, b = len / 2;
	bool all;

	for (i = 0; i < len; i++)
		buf[i] = byte_at(seq + i);
	iov[0] = (struct iovec){ buf, a };
	iov[1] = (struct iovec){ buf + a, b - a };
	iov[2] = (struct iovec){ buf + b, len - b };
	t = iov_tail_init(iov, 3, 0);
	all = tcp_hold(c, seq, &t);
	untaken = t.len;
	return all;
}

/* What the SACK option of an ACK says is there; the rest need not be told */
static void check_sack(const struct tcp_conn *c, const bool *map, unsigned nth)
{
	struct tcp_sack_block b[TCP_SACK_BLOCKS];
	uint8_t opt[TCP_OPTS_MAX];
	size_t len = tcp_held_sack(c, nth, opt), i;
	uint32_t s;

	if (!len)
		return;
	assert_int_equal(len % 4, 0);
	assert_int_equal(opt[2], TCP_OPT_SACK);
	assert_int_equal(opt[3], len - 2);
	memcpy(b, opt + 4, len - 4);
	for (i = 0; i < (len - 4) / sizeof(*b); i++) {
		uint32_t left = ntohl(b[i].left), right = ntohl(b[i].right);

		assert_true(SEQ_GT(left, c->rcv_nxt));
		assert_true(SEQ_LT(left, right));
		assert_true(SEQ_LE(right, c->rcv_adv));
		for (s = left; s != right; s++)
			assert_true(map[s - c->rcv_nxt]);
		assert_false(map[left - c->rcv_nxt - 1]);
		assert_false(right != c->rcv_adv && map[right - c->rcv_nxt]);
	}
}

/* Bytes that follow without a gap: those of the map, or as many buffers as may be
 * filled. Return: how many
 */
static uint32_t check_next(const struct tcp_conn *c, const bool *map)
{
	struct iovec iov[IOVS];
	uint32_t seq = c->rcv_nxt, next = seq, i;
	size_t n = tcp_held_iov(c, &seq, iov, IOVS), k, j;

	for (k = 0; k < n; k++) {
		for (j = 0; j < iov[k].iov_len; j++, next++)
			assert_int_equal(((uint8_t *)iov[k].iov_base)[j],
					 byte_at(next));
	}
	assert_int_equal(next, seq);
	for (i = 0; i < seq - c->rcv_nxt; i++)
		assert_true(map[i]);
	assert_true(n == IOVS || c->rcv_nxt + i == c->rcv_adv || !map[i]);
	assert_int_equal(tcp_held_ready(c, c->rcv_nxt), map[0]);
	return i;
}

/* Random pieces, taken at random: nothing is lost, doubled, or in the wrong place */
static void test_random(void **unused)
{
	static bool map[WINDOW + 1];
	unsigned run, step;

	(void)unused;
	for (run = 1; run <= RUNS; run++) {
		struct tcp_conn c = { .rcv_nxt = run * 0x01234567U };

		state = run * 0x9e3779b97f4a7c15ULL;
		memset(map, 0, sizeof(map));
		c.rcv_adv = c.rcv_nxt + WINDOW;
		for (step = 0; step < STEPS; step++) {
			uint32_t at = below(WINDOW), next, take;
			uint32_t len = below(below(4) ? 200 : 5000);
			uint32_t i;

			/* beyond the window they are not held */
			assert_true(hold(&c, c.rcv_nxt + at, len));
			assert_int_equal(untaken, at + len > WINDOW
							  ? at + len - WINDOW
							  : 0);
			for (i = at; i < at + len && i < WINDOW; i++)
				map[i] = true;
			check_sack(&c, map, 0);
			check_sack(&c, map, 1 + below(3));
			next = check_next(&c, map);
			if (!next || below(3))
				continue;
			take = below(next + 1);
			c.rcv_nxt += take;
			c.rcv_adv += take;
			memmove(map, map + take, WINDOW - take);
			memset(map + WINDOW - take, 0, take);
			tcp_held_drop(&c);
			check_next(&c, map);
		}
		tcp_held_free(&c);
		assert_int_equal(c.held, 0);
	}
}

/* How many segments of 1000 bytes, each behind a hole, are held for one more */
static unsigned fill(struct tcp_conn *c)
{
	unsigned n = 0;

	*c = (struct tcp_conn){ .rcv_adv = UINT32_MAX / 4 };
	while (hold(c, 1000 + n * 2000, 1000))
		n++;
	return n;
}

/* One may have half of the pool, two a third each; all comes back */
static void test_full(void **unused)
{
	struct tcp_conn c[3];
	unsigned i, n[3];

	(void)unused;
	for (i = 0; i < 3; i++) {
		struct tcp_conn again;
		unsigned n0 = fill(&c[0]);

		assert_true(n0 >= 1000);
		n[1] = fill(&c[1]);
		assert_in_range(n[1], n0 / 2 - 1, n0 / 2 + 1);
		n[2] = fill(&c[2]);
		assert_in_range(n[2], n0 / 4 - 1, n0 / 4 + 1);
		/* what fits a slab needs no other */
		assert_true(hold(&c[1], 2000, 10));
		tcp_held_free(&c[0]);
		tcp_held_free(&c[2]);
		tcp_held_free(&c[1]);
		assert_int_equal(fill(&again), n0);
		tcp_held_free(&again);
	}
}

/* A FIN is kept in the window only, and goes with the rest */
static void test_fin(void **unused)
{
	struct tcp_conn c = { .rcv_nxt = 100, .rcv_adv = 200 };

	(void)unused;
	tcp_hold_fin(&c, 201);
	assert_false(c.fin_held);
	tcp_hold_fin(&c, 150);
	assert_true(c.fin_held);
	assert_false(tcp_held_ready(&c, 100));
	assert_true(tcp_held_ready(&c, 150));
	tcp_held_free(&c);
	assert_false(tcp_held_ready(&c, 150));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_fin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
