/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a guest can do to the flow table, and a stranger to sequence numbers
 *
 * A full table of 131072 flows whose ports and addresses the guest chose by
 * patterns: how long are the chains, and how many links does a look-up follow? For
 * a random hash of n sides in m buckets chains are as long as balls in bins are,
 * and that is what has to be seen whatever the pattern. Then, with a key that is
 * known, the longest chain a guest could make on purpose, and that the same choice
 * is harmless under another key: so it is the key that protects. All figures are
 * printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "flow.h"
#include "test/fake/tcp_env.h"

#define MAX     131072
#define FLOOD   16 /* sides made to collide on purpose */
#define LONGEST 9  /* no chain of a random hash is longer, see expected() */
#define LOOKUPS 400000

static struct flow_table t;
static struct wheel wheel;
static const struct flow_ops ops[FLOW_TYPES];

/* How a guest chooses side number i */
static struct flowside ports_in_a_row(uint32_t i)
{
	struct flowside s = { .oaddr = env_addr(PEER4),
			      .eaddr = env_addr(GUEST4) };

	s.eport = (in_port_t)(1 + i % 65535);
	s.oport = (in_port_t)(1 + i / 65535);
	return s;
}

static struct flowside addresses_in_a_row(uint32_t i)
{
	struct flowside s = { .oaddr = env_addr(PEER6),
			      .eaddr = env_addr(GUEST6),
			      .oport = 80,
			      .eport = 40000 };

	memcpy(&s.oaddr.a6.s6_addr[12], &i, sizeof(i));
	return s;
}

/* Bits that a weak hash would add or XOR to nothing */
static struct flowside cancelling(uint32_t i)
{
	struct flowside s = { .oaddr = env_addr(PEER6),
			      .eaddr = env_addr(GUEST6) };

	s.oport = s.eport = (in_port_t)(1 + i % 65535);
	memcpy(&s.oaddr.a6.s6_addr[8], &i, sizeof(i));
	memcpy(&s.eaddr.a6.s6_addr[8], &i, sizeof(i));
	return s;
}

/* Only low bits of few bytes: as many addresses as ports */
static struct flowside grid(uint32_t i)
{
	struct flowside s = { .oaddr = env_addr(PEER4),
			      .eaddr = env_addr(GUEST4) };

	s.oaddr.a6.s6_addr[15] = (uint8_t)(i & 15);
	s.eaddr.a6.s6_addr[15] = (uint8_t)(i >> 4 & 15);
	s.oport = (in_port_t)((i >> 8 & 15) << 12 | 1);
	s.eport = (in_port_t)((i >> 12 & 63) << 10 | 1);
	return s;
}

static void table_open(uint64_t key)
{
	const struct siphash_key k = { { key, ~key } };

	wheel_init(&wheel, 1);
	assert_int_equal(flow_init(&t, MAX, &k, ops, &wheel), 0);
}

static void table_close(void)
{
	munmap(t.slots, (size_t)t.max * FLOW_SLOT);
	munmap(t.bucket, (t.mask + 1) * sizeof(t.bucket[0]));
}

static void insert(const struct flowside *s)
{
	struct flow *f = flow_new(&t, FLOW_TCP);

	assert_non_null(f);
	f->proto = IPPROTO_TCP;
	f->pif[INISIDE] = PIF_TAP;
	f->side[INISIDE] = *s;
	flow_hash_side(&t, f, INISIDE);
}

/* Links in a chain: all are of the initiating side here */
static unsigned chain(uint32_t bucket)
{
	uint32_t link = t.bucket[bucket];
	unsigned n;

	for (n = 0; link; n++)
		link = ((struct flow *)(void *)(t.slots + (size_t)(link - 1) /
								  2 *
								  FLOW_SLOT))
			       ->hnext[0];
	return n;
}

struct lengths {
	unsigned longest;
	uint32_t count[64]; /* buckets, by length */
	double probes;      /* links followed by a look-up that finds */
};

static struct lengths measure(void)
{
	struct lengths l = { 0 };
	uint32_t b;

	for (b = 0; b <= t.mask; b++) {
		unsigned n = chain(b);

		l.longest = n > l.longest ? n : l.longest;
		l.count[n < 63 ? n : 63]++;
		l.probes += n * (n + 1) / 2.0;
	}
	l.probes /= t.used;
	return l;
}

static double look_up_ns(struct flowside (*side)(uint32_t))
{
	struct timespec a, b;
	uint32_t i;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (i = 0; i < LOOKUPS; i++) {
		struct flowside s = side(i * 7919 % MAX);

		assert_non_null(
			flow_lookup(&t, IPPROTO_TCP, PIF_TAP, &s, NULL));
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 +
		(double)(b.tv_nsec - a.tv_nsec)) /
	       LOOKUPS;
}

/* Buckets of length k when n sides fall into m buckets at random: Poisson */
static double expected(unsigned k, double n, double m)
{
	double p = m, e = 0, term = 1;
	unsigned i;

	for (i = 1; i < 30;
	     i++) { /* e^(-n/m), without the mathematical library */
		e += term;
		term *= -n / m / i;
	}
	for (i = 1; i <= k; i++)
		p *= n / m / i;
	return p * e;
}

/* A full table of each pattern: as good as random */
static void test_patterns(void **state)
{
	static const struct {
		const char *name;
		struct flowside (*side)(uint32_t);
	} rows[] = { { "ports in a row", ports_in_a_row },
		     { "addresses in a row", addresses_in_a_row },
		     { "bits that cancel", cancelling },
		     { "low bits only", grid } };
	size_t r;

	(void)state;
	for (r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		double m, far = 0;
		struct lengths l;
		unsigned k;
		uint32_t i;

		table_open(0x0123456789abcdef + r);
		for (i = 0; i < MAX; i++) {
			struct flowside s = rows[r].side(i);

			insert(&s);
		}
		assert_null(flow_new(&t, FLOW_TCP));
		l = measure();
		m = (double)t.mask + 1;
		for (k = 0; k < 5; k++) {
			double want = expected(k, MAX, m);
			double off = (double)l.count[k] - want;

			far = off * off / want > far ? off * off / want : far;
		}
		print_message("%-20s %u flows, %.0f buckets: longest chain %u, "
			      "%.3f links a look-up (random: %.3f), %.0f ns; "
			      "chi-square at most %.1f\n",
			      rows[r].name, t.used, m, l.longest, l.probes,
			      1 + MAX / m / 2, look_up_ns(rows[r].side), far);
		assert_true(l.longest <= LONGEST);
		assert_true(l.probes < 1 + MAX / m / 2 + 0.02);
		assert_true(far < 36); /* six sigma */
		table_close();
	}
}

/* Sides that share a bucket under a known key, under another one */
static void test_key_protects(void **state)
{
	static struct flowside evil[FLOOD];
	struct lengths known, other;
	uint32_t i, n = 0, first = 0;

	(void)state;
	table_open(1);
	for (i = 0; n < FLOOD; i++) {
		struct flowside s = addresses_in_a_row(i);
		uint32_t b;

		assert_true(i < 200 * MAX);
		insert(&s);
		for (b = 0; !n && b <= t.mask && !t.bucket[b]; b++)
			first = b + 1;
		if (t.bucket[first])
			evil[n++] = s;
		flow_free(&t, (struct flow *)(void *)t.slots);
	}
	for (i = 0; i < FLOOD; i++)
		insert(&evil[i]);
	known = measure();
	table_close();

	table_open(2);
	for (i = 0; i < FLOOD; i++)
		insert(&evil[i]);
	other = measure();
	table_close();
	print_message("%u sides chosen for one key: longest chain %u under it, "
		      "%u under another\n",
		      FLOOD, known.longest, other.longest);
	assert_int_equal(known.longest, FLOOD);
	assert_true(other.longest <= 3);
}

/* --- Initial sequence numbers ---------------------------------------------- */

/* SYN from a port of the guest, to a listening one. Return: our ISN */
static uint32_t isn_of(in_port_t gport, in_port_t pport)
{
	struct env_conn c = {
		.guest = GUEST4, .peer = PEER4, .gport = gport, .pport = pport
	};
	const struct env_tx syn = { .seq = 1, .flags = TH_SYN, .wnd = 1000 };
	const struct env_tx rst = { .seq = 2, .flags = TH_RST };
	struct env_rx rx;

	env_send(&c, &syn, 1);
	env_want(&c, &rx);
	assert_int_equal(rx.flags, TH_SYN | TH_ACK);
	env_send(&c, &rst, 1);
	env_turns();
	env_drop();
	assert_int_equal(env.flows.used, 0);
	return rx.seq;
}

#define ISNS 512

/* Every connection its own offset, all on one clock of 4 us (RFC 6528 3) */
static void test_isn(void **state)
{
	static uint32_t isn[ISNS];
	unsigned i, j, bit, ones[32] = { 0 };
	struct siphash_key key;
	int l = env_listen(PEER4, 25000);
	uint32_t again;

	(void)state;
	key = env.tcp.isn_key;
	assert_true(key.k[0] || key.k[1]);
	for (i = 0; i < ISNS; i++) {
		isn[i] = isn_of((in_port_t)(1024 + i), 25000);
		close(env_accept(l));
		for (bit = 0; bit < 32; bit++)
			ones[bit] += isn[i] >> bit & 1;
	}
	/* the same connection: as the clock goes, so old segments do not fit */
	again = isn_of(1024, 25000);
	assert_int_equal(again, isn[0]);
	env.loop.now += 10;
	again = isn_of(1024, 25000);
	assert_int_equal(again - isn[0], 10 * 250);
	env.loop.now -= 10;
	/* neighbours tell nothing of each other: no distance comes twice often,
	 * each bit is set half of the time
	 */
	for (i = 2; i < ISNS; i++)
		for (j = 1; j < 3; j++)
			assert_true(isn[i] - isn[i - 1] !=
				    isn[i - 1] - isn[i - j - (j == 1)]);
	for (bit = 0; bit < 32; bit++)
		assert_true(ones[bit] > ISNS / 2 - 80 &&
			    ones[bit] < ISNS / 2 + 80);
	/* another start, another key: nothing remains */
	tcp_env_reset(NULL);
	assert_memory_not_equal(&key, &env.tcp.isn_key, sizeof(key));
	assert_int_not_equal(isn_of(1024, 25000), isn[0]);
	close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_key_protects),
		cmocka_unit_test_setup(test_isn, tcp_env_reset),
	};

	return cmocka_run_group_tests(tests, tcp_env_start, NULL);
}
