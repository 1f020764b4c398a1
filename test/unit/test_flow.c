/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The flow table against a list searched by brute force */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "flow.h"

#define MAX 64

static struct flow_table t;
static struct wheel wheel;
static int token;

/* What was called, in order */
static struct {
	char what; /* r: resume, t: timer */
	struct flow *f;
} hist[500];
static unsigned nhist;

/* What resume does, besides recording: once */
static struct flow *free_first, *defer_again;
static bool new_first;

static void record(void *ctx, char what, struct flow *f)
{
	assert_ptr_equal(ctx, &token);
	assert_true(nhist < 500);
	hist[nhist].what = what;
	hist[nhist++].f = f;
}

static void on_timer(void *ctx, struct flow *f)
{
	record(ctx, 't', f);
}

static void on_resume(void *ctx, struct flow *f)
{
	struct flow *other = free_first, *again = defer_again;

	record(ctx, 'r', f);
	free_first = defer_again = NULL;
	if (other)
		flow_free(&t, other);
	if (new_first)
		assert_ptr_not_equal(flow_new(&t, FLOW_PING), other);
	new_first = false;
	if (again)
		flow_defer(&t, again);
}

/* Flows of FLOW_PING that may be evicted, the first goes first */
static struct flow_list spare;
static bool evict_fd;

static bool on_evict(void *ctx, bool fd)
{
	struct flow *f = flow_list_first(&t, &spare);

	assert_ptr_equal(ctx, &token);
	evict_fd = fd;
	if (!f)
		return false;
	flow_list_del(&t, &spare, f);
	flow_free(&t, f);
	return true;
}

#define OPS                                              \
	{                                                \
		"ops", on_timer, on_resume, NULL, &token \
	}
static const struct flow_ops ops[FLOW_TYPES] = {
	[FLOW_TCP] = OPS,
	[FLOW_TCP_SPLICE] = OPS,
	[FLOW_UDP] = OPS,
	[FLOW_PING] = { "ping", NULL, NULL, on_evict, &token },
};

static int setup_max(uint32_t max)
{
	static const struct siphash_key key = { { 1, 2 } };

	nhist = 0;
	free_first = defer_again = NULL;
	new_first = false;
	spare = (struct flow_list){ 0, 0 };
	wheel_init(&wheel, 1000);
	return flow_init(&t, max, &key, ops, &wheel);
}

static int setup(void **state)
{
	(void)state;
	return setup_max(MAX);
}

static int teardown(void **state)
{
	(void)state;
	munmap(t.bucket, (t.mask + 1) * sizeof(t.bucket[0]));
	return munmap(t.slots, (size_t)t.max * FLOW_SLOT);
}

static uint64_t rnd_state = 88172645463325252ULL;

static uint32_t rnd(uint32_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (uint32_t)(rnd_state >> 16) % below;
}

/* One of few addresses, so that sides differ in as little as they can */
static union inany_addr few(void)
{
	union inany_addr a = rnd(2) ? inany_any4 : inany_any6;

	a.a6.s6_addr[rnd(2) ? 12 : 15] = (uint8_t)(1 + rnd(2));
	return a;
}

static struct flowside side(void)
{
	return (struct flowside){ .oaddr = few(),
				  .eaddr = few(),
				  .oport = (in_port_t)rnd(2),
				  .eport = (in_port_t)rnd(2) };
}

static bool same(const struct flowside *a, const struct flowside *b)
{
	return inany_equals(&a->oaddr, &b->oaddr) && a->oport == b->oport &&
	       inany_equals(&a->eaddr, &b->eaddr) && a->eport == b->eport;
}

/* All slots, each once, and then none */
static void test_full(void **state)
{
	struct flow *f[MAX];
	unsigned i, j;

	(void)state;
	for (i = 0; i < MAX; i++) {
		f[i] = flow_new(&t, FLOW_TCP);
		assert_non_null(f[i]);
		assert_int_equal(t.used, i + 1);
		for (j = 0; j < i; j++)
			assert_ptr_not_equal(f[i], f[j]);
		assert_ptr_equal(flow_at(&t, flow_idx(&t, f[i]), FLOW_TCP),
				 f[i]);
	}
	assert_null(flow_new(&t, FLOW_TCP));
	assert_null(flow_new(&t, FLOW_UDP));
	assert_int_equal(t.full, 2);
	assert_int_equal(t.used, MAX);

	flow_free(&t, f[10]);
	assert_null(flow_at(&t, flow_idx(&t, f[10]), FLOW_TCP));
	assert_ptr_equal(flow_new(&t, FLOW_UDP), f[10]);
	assert_null(flow_new(&t, FLOW_TCP));
}

/* A slot that is used again is zero, whatever a protocol left there */
/* Lists keep their order, whatever is taken out of them */
static void test_list(void **state)
{
	struct flow_list l = { 0, 0 };
	struct flow *f[4];
	unsigned i;

	(void)state;
	for (i = 0; i < 4; i++) {
		f[i] = flow_new(&t, FLOW_TCP);
		flow_list_add(&t, &l, f[i]);
	}
	flow_list_del(&t, &l, f[0]);
	assert_ptr_equal(flow_list_first(&t, &l), f[1]);
	flow_list_del(&t, &l, f[2]);
	flow_list_del(&t, &l, f[1]);
	assert_ptr_equal(flow_list_first(&t, &l), f[3]);
	flow_list_add(&t, &l, f[0]);
	flow_list_del(&t, &l, f[3]);
	assert_ptr_equal(flow_list_first(&t, &l), f[0]);
	flow_list_del(&t, &l, f[0]);
	assert_null(flow_list_first(&t, &l));
	assert_int_equal(l.tail, 0);
}

/* A full table: a flow of any type takes the place of one that is spare */
static void test_evict(void **state)
{
	struct flow *f[MAX];
	unsigned i;

	(void)state;
	for (i = 0; i < MAX; i++) {
		f[i] = flow_new(&t, i < 3 ? FLOW_PING : FLOW_TCP);
		if (i < 3)
			flow_list_add(&t, &spare, f[i]);
	}
	assert_ptr_equal(flow_new(&t, FLOW_TCP), f[0]);
	assert_false(evict_fd);
	assert_ptr_equal(flow_new(&t, FLOW_PING), f[1]);
	/* Its slot comes back later, and there is no other */
	flow_defer(&t, f[2]);
	assert_null(flow_new(&t, FLOW_TCP));
	assert_false(flow_run_deferred(&t));
	assert_ptr_equal(flow_new(&t, FLOW_TCP), f[2]);
	assert_false(flow_evict(&t, FLOW_TCP, true));
	assert_true(evict_fd);
	assert_int_equal(t.evicted, 3);
	assert_int_equal(t.full, 1);
}

static void test_clean(void **state)
{
	static const uint8_t zero[FLOW_SLOT];
	struct flow *f = flow_new(&t, FLOW_TCP);

	(void)state;
	memset((uint8_t *)f + sizeof(*f), 0xff, FLOW_SLOT - sizeof(*f));
	f->proto = IPPROTO_TCP;
	f->pif[0] = PIF_TAP;
	flow_hash_side(&t, f, INISIDE);
	wheel_arm(&wheel, &f->timer, 2000);
	flow_free(&t, f);
	assert_int_equal(wheel_next(&wheel, 1000), -1);
	assert_ptr_equal(flow_new(&t, FLOW_UDP), f);
	assert_int_equal(f->type, FLOW_UDP);
	assert_memory_equal((uint8_t *)f + 1, zero, FLOW_SLOT - 1);
}

static void test_at(void **state)
{
	struct flow *f = flow_new(&t, FLOW_TCP);
	uint32_t i = flow_idx(&t, f);

	(void)state;
	assert_ptr_equal(flow_at(&t, i, FLOW_TCP), f);
	assert_null(flow_at(&t, i, FLOW_UDP));
	assert_null(flow_at(&t, i + 1, FLOW_TCP)); /* never used */
	assert_null(flow_at(&t, MAX, FLOW_TCP));
	assert_null(flow_at(&t, FLOW_NONE, FLOW_TCP));
}

/* Anything that differs is another side */
static void test_lookup(void **state)
{
	struct flow *f = flow_new(&t, FLOW_TCP);
	struct flowside s;
	unsigned i, got;

	(void)state;
	f->proto = IPPROTO_TCP;
	f->pif[INISIDE] = PIF_TAP;
	f->pif[TGTSIDE] = PIF_HOST;
	inany_pton("192.0.2.15", &f->side[0].eaddr);
	inany_pton("198.51.100.1", &f->side[0].oaddr);
	inany_pton("2001:db8::15", &f->side[1].oaddr);
	inany_pton("2001:db8::99", &f->side[1].eaddr);
	f->side[0].eport = 40000;
	f->side[0].oport = 80;
	f->side[1].oport = 40001;
	f->side[1].eport = 443;

	assert_null(flow_lookup(&t, IPPROTO_TCP, PIF_TAP, &f->side[0], &got));
	flow_hash_side(&t, f, INISIDE);
	assert_null(flow_lookup(&t, IPPROTO_TCP, PIF_HOST, &f->side[1], &got));
	flow_hash_side(&t, f, TGTSIDE);
	for (i = 0; i < 2; i++) {
		got = 2;
		assert_ptr_equal(flow_lookup(&t, IPPROTO_TCP, f->pif[i],
					     &f->side[i], &got),
				 f);
		assert_int_equal(got, i);
		assert_ptr_equal(flow_lookup(&t, IPPROTO_TCP, f->pif[i],
					     &f->side[i], NULL),
				 f);
		assert_null(flow_lookup(&t, IPPROTO_UDP, f->pif[i], &f->side[i],
					NULL));
		assert_null(flow_lookup(&t, IPPROTO_TCP, f->pif[!i],
					&f->side[i], NULL));
		s = f->side[i];
		s.oport++;
		assert_null(flow_lookup(&t, IPPROTO_TCP, f->pif[i], &s, NULL));
		s = f->side[i];
		s.eport++;
		assert_null(flow_lookup(&t, IPPROTO_TCP, f->pif[i], &s, NULL));
		s = f->side[i];
		s.oaddr.a6.s6_addr[15]++;
		assert_null(flow_lookup(&t, IPPROTO_TCP, f->pif[i], &s, NULL));
		s = f->side[i];
		s.eaddr.a6.s6_addr[0]++;
		assert_null(flow_lookup(&t, IPPROTO_TCP, f->pif[i], &s, NULL));
	}
	flow_free(&t, f);
	for (i = 0; i < 2; i++)
		assert_null(flow_lookup(&t, IPPROTO_TCP, f->pif[i], &f->side[i],
					NULL));
}

/* Both sides in one chain: the same addresses in both */
static void test_same_sides(void **state)
{
	struct flow *f = flow_new(&t, FLOW_UDP);
	unsigned got;

	(void)state;
	f->proto = IPPROTO_UDP;
	f->pif[0] = f->pif[1] = PIF_SPLICE;
	f->side[0] = f->side[1] = side();
	flow_hash_side(&t, f, INISIDE);
	flow_hash_side(&t, f, TGTSIDE);
	assert_ptr_equal(
		flow_lookup(&t, IPPROTO_UDP, PIF_SPLICE, &f->side[0], &got), f);
	flow_free(&t, f);
	assert_null(
		flow_lookup(&t, IPPROTO_UDP, PIF_SPLICE, &f->side[0], &got));
}

/* A table of @max flows through random operations, compared after each */
static void model(uint32_t max, unsigned steps)
{
	static struct flow *live[4096];
	uint32_t n = 0;

	assert_true(max <= 4096);
	while (steps--) {
		const struct flow *got = NULL;
		struct flow *f;
		struct flowside s = side();
		uint8_t proto = rnd(2) ? IPPROTO_TCP : IPPROTO_UDP;
		enum pif pif = rnd(2) ? PIF_TAP : PIF_HOST;
		unsigned i, k, where = 2;
		bool there = false;

		if (n == max || (n && !rnd(3))) {
			i = rnd(n);
			flow_free(&t, live[i]);
			live[i] = live[--n];
		} else {
			f = flow_new(&t, FLOW_TCP);
			assert_non_null(f);
			f->proto = proto;
			for (k = 0; k < 2; k++) {
				f->pif[k] = (uint8_t)(rnd(2) ? PIF_TAP
							     : PIF_HOST);
				f->side[k] = side();
				if (rnd(4))
					flow_hash_side(&t, f, k);
			}
			live[n++] = f;
		}
		assert_int_equal(t.used, n);
		got = flow_lookup(&t, proto, pif, &s, &where);
		for (i = 0; i < n; i++) {
			for (k = 0; k < 2; k++) {
				if (live[i]->proto != proto ||
				    live[i]->pif[k] != pif ||
				    !(live[i]->hashed & 1U << k) ||
				    !same(&live[i]->side[k], &s))
					continue;
				there = true;
			}
		}
		assert_int_equal(there, got != NULL);
		if (got) {
			assert_in_range(where, 0, 1);
			assert_int_equal(got->type, FLOW_TCP);
			assert_int_equal(got->proto, proto);
			assert_int_equal(got->pif[where], pif);
			assert_true(got->hashed & 1U << where);
			assert_true(same(&got->side[where], &s));
		}
	}
	while (n)
		flow_free(&t, live[--n]);
	assert_int_equal(t.used, 0);
	for (n = 0; n <= t.mask; n++)
		assert_int_equal(t.bucket[n], 0);
}

static void test_model(void **state)
{
	(void)state;
	model(MAX, 40000);
}

/* Large: all of them found again, each by its own side */
static void test_large(void **state)
{
	const uint32_t max = 100000;
	struct flowside s = { .eport = 1 };
	uint32_t i, round;
	unsigned where;

	(void)state;
	teardown(state);
	assert_int_equal(setup_max(max), 0);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < max; i++) {
			struct flow *f = flow_new(&t, FLOW_UDP);

			assert_non_null(f);
			f->proto = IPPROTO_UDP;
			f->pif[TGTSIDE] = PIF_HOST;
			s.oaddr.u32[3] = htonl(i);
			f->side[TGTSIDE] = s;
			flow_hash_side(&t, f, TGTSIDE);
		}
		assert_null(flow_new(&t, FLOW_UDP));
		for (i = 0; i < max; i++) {
			struct flow *f;

			s.oaddr.u32[3] = htonl(i);
			f = flow_lookup(&t, IPPROTO_UDP, PIF_HOST, &s, &where);
			assert_non_null(f);
			assert_int_equal(where, TGTSIDE);
			assert_int_equal(f->side[1].oaddr.u32[3], htonl(i));
		}
		for (i = 0; i < max; i++)
			flow_free(&t, flow_at(&t, i, FLOW_UDP));
		assert_int_equal(t.used, 0);
	}
	model(4000, 5000);
}

/* First come, first served; each once; those deferred meanwhile come later */
static void test_defer(void **state)
{
	struct flow *f[4];
	unsigned i;

	(void)state;
	assert_false(flow_run_deferred(&t));
	for (i = 0; i < 4; i++) {
		f[i] = flow_new(&t, FLOW_TCP);
		flow_defer(&t, f[i]);
		flow_defer(&t, f[0]);
	}
	defer_again = f[0];
	assert_true(flow_run_deferred(&t));
	assert_int_equal(nhist, 4);
	for (i = 0; i < 4; i++)
		assert_ptr_equal(hist[i].f, f[i]);
	assert_false(flow_run_deferred(&t));
	assert_int_equal(nhist, 5);
	assert_ptr_equal(hist[4].f, f[0]);

	/* one without resume is passed over */
	flow_defer(&t, flow_new(&t, FLOW_PING));
	assert_false(flow_run_deferred(&t));
	assert_int_equal(nhist, 5);
}

/* Deferred ones are freed: before, by one that is resumed, by themselves */
static void test_free_deferred(void **state)
{
	struct flow *f[3], *g;
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++) {
		f[i] = flow_new(&t, FLOW_TCP);
		flow_defer(&t, f[i]);
	}
	flow_free(&t, f[1]);
	assert_int_equal(t.used, 2);
	/* not to be used again before the list is through */
	g = flow_new(&t, FLOW_UDP);
	assert_ptr_not_equal(g, f[1]);
	free_first = f[2];
	new_first = true;
	assert_false(flow_run_deferred(&t));
	assert_int_equal(nhist, 1);
	assert_ptr_equal(hist[0].f, f[0]);

	/* itself */
	free_first = f[0];
	flow_defer(&t, f[0]);
	assert_false(flow_run_deferred(&t));
	assert_int_equal(t.used, 2);

	/* all three slots are there again */
	for (i = 0; i < MAX - 2; i++)
		assert_non_null(flow_new(&t, FLOW_TCP));
	assert_null(flow_new(&t, FLOW_TCP));
}

/* Random defer, free and new: whatever is deferred is resumed exactly once */
static void test_defer_model(void **state)
{
	unsigned round, i;

	(void)state;
	for (round = 0; round < 500; round++) {
		bool want[MAX] = { false };
		unsigned n = 0, ops_ = rnd(60);

		for (i = 0; i < ops_; i++) {
			uint32_t k = rnd(MAX);
			struct flow *f = flow_at(&t, k, FLOW_TCP);

			if (!f && !rnd(2)) {
				flow_new(&t, FLOW_TCP);
			} else if (f && !rnd(3)) {
				flow_free(&t, f);
				want[k] = false;
			} else if (f) {
				flow_defer(&t, f);
				want[k] = true;
			}
		}
		nhist = 0;
		assert_false(flow_run_deferred(&t));
		for (i = 0; i < MAX; i++)
			n += want[i];
		assert_int_equal(nhist, n);
		for (i = 0; i < nhist; i++) {
			assert_true(want[flow_idx(&t, hist[i].f)]);
			want[flow_idx(&t, hist[i].f)] = false;
		}
	}
	while (t.used < MAX)
		assert_non_null(flow_new(&t, FLOW_TCP));
	assert_null(flow_new(&t, FLOW_TCP));
}

static void test_timer(void **state)
{
	struct flow *f = flow_new(&t, FLOW_TCP), *p = flow_new(&t, FLOW_PING);
	struct wtimer *w;

	(void)state;
	wheel_arm(&wheel, &f->timer, 1100);
	wheel_arm(&wheel, &p->timer, 1100);
	while ((w = wheel_pop(&wheel, 1104)))
		flow_timer(&t, w);
	assert_int_equal(nhist, 1);
	assert_int_equal(hist[0].what, 't');
	assert_ptr_equal(hist[0].f, f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_full),
		TEST(test_list),
		TEST(test_evict),
		TEST(test_clean),
		TEST(test_at),
		TEST(test_lookup),
		TEST(test_same_sides),
		TEST(test_model),
		TEST(test_large),
		TEST(test_defer),
		TEST(test_free_deferred),
		TEST(test_defer_model),
		TEST(test_timer),
	};

	return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
