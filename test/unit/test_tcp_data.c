/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Data of TCP both ways: segments, acknowledgements, windows */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/fake/tcp_env.h"

static uint8_t got[ENV_PATTERN_LEN];

/* Bytes in the queue of our socket: not yet acknowledged by the guest */
static int queued(void)
{
	int n = -1;

	assert_int_equal(ioctl(env_flow()->fd, FIONREAD, &n), 0);
	return n;
}

static void peer_sends(const struct env_conn *c, const void *data, size_t len)
{
	assert_int_equal(send(c->fd, data, len, 0), (ssize_t)len);
}

/* The guest reads and acknowledges all that comes, until @len bytes came */
static void guest_reads(struct env_conn *c, size_t len)
{
	size_t n = 0;

	while (n < len) {
		struct env_rx rx;

		env_want(c, &rx);
		if (!rx.len)
			continue;
		assert_int_equal(rx.seq, c->rcv);
		assert_true(n + rx.len <= len);
		memcpy(got + n, rx.data, rx.len);
		n += rx.len;
		env_ack(c, rx.seq + (uint32_t)rx.len);
	}
	assert_memory_equal(got, env_pattern, len);
}

/* Segments, what is acknowledged leaves the queue, and nothing else */
static void to_guest(const char *peer)
{
	struct env_conn c;
	struct env_rx rx;
	uint32_t una;
	unsigned i;

	env_open(&c, peer, 1000, 7, 1000);
	una = c.rcv;
	peer_sends(&c, env_pattern, 2500);
	for (i = 0; i < 3; i++) {
		env_want(&c, &rx);
		assert_int_equal(rx.seq, una + i * 1000);
		assert_int_equal(rx.ack, c.snd);
		assert_int_equal(rx.len, i < 2 ? 1000 : 500);
		assert_int_equal(rx.flags, TH_ACK | (i < 2 ? 0 : TH_PUSH));
		assert_memory_equal(rx.data, env_pattern + i * 1000, rx.len);
	}
	env_want_none();
	assert_int_equal(queued(), 2500);
	env_ack(&c, una + 1);
	assert_int_equal(queued(), 2499);
	env_ack(&c, una + 1700);
	assert_int_equal(queued(), 800);
	env_ack(&c, una + 1000); /* old */
	assert_int_equal(queued(), 800);
	env_ack(&c, una + 2501); /* of what was never sent */
	assert_int_equal(queued(), 800);
	env_want_bare(&c, TH_ACK, una + 2500, c.snd, NULL);
	peer_sends(&c, env_pattern, 10);
	env_want(&c, &rx);
	assert_int_equal(rx.seq, una + 2500);
	assert_int_equal(rx.len, 10);
	env_ack(&c, una + 2510);
	assert_int_equal(queued(), 0);
	env_want_none();
	close(c.fd);
}

static void test_to_guest(void **state)
{
	to_guest(PEER4);
	tcp_env_reset(state);
	to_guest(PEER6);
	tcp_env_reset(state);
	env.features.peek_off = false;
	to_guest(PEER4);
	tcp_env_reset(state);
	env.features.peek_off = false;
	to_guest(PEER6);
}

/* Much of it, in all sizes of frames */
static void test_bulk_to_guest(void **state)
{
	static const struct {
		unsigned mtu;
		uint16_t mss;
		size_t gso;
		bool peek_off;
	} rows[] = {
		{ 1500, 1460, 0, true },       { 1500, 1460, 0, false },
		{ 65520, 65480, 0, true },     { 65520, 65480, 0, false },
		{ 1500, 1460, 65160, true },   { 1500, 1460, 65160, false },
		{ 1500, 88, 65160, true },     { 1280, 1240, 0, true },
		{ 65520, 65480, 65480, true },
	};
	const size_t len = sizeof(env_pattern) / 2;
	unsigned i;

	for (i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		const unsigned j = i / 2;
		size_t sent = 0, taken = 0;
		struct env_conn c;
		uint32_t first;

		tcp_env_reset(state);
		env.tcp.mtu = rows[j].mtu;
		env.features.peek_off = rows[j].peek_off;
		env.tap.facts.gso_tcp = rows[j].gso;
		tap_mem.offload = rows[j].gso;
		env_open(&c, i % 2 ? PEER6 : PEER4, rows[j].mss, 7, 2000);
		first = c.rcv;
		while (taken < len) {
			struct env_rx rx;
			ssize_t n;

			n = send(c.fd, env_pattern + sent, len - sent, 0);
			sent += n > 0 ? (size_t)n : 0;
			if (!env_get(&rx)) {
				env_wait();
				continue;
			}
			if (!rx.len)
				continue;
			assert_int_equal(rx.seq, c.rcv);
			taken = rx.seq - first;
			assert_true(taken + rx.len <= sent);
			assert_memory_equal(rx.data, env_pattern + taken,
					    rx.len);
			taken += rx.len;
			c.rcv += (uint32_t)rx.len;
			if (!rx.gso_size) {
				assert_true(rx.len <= env_flow()->mss);
			} else {
				assert_int_equal(rx.gso_size, env_flow()->mss);
				assert_true(rx.len <= rows[j].gso);
			}
			/* every second one, as delayed ACKs do */
			if (env.late % 2 || env.late == tap_mem.n)
				env_ack(&c, c.rcv);
		}
		env_want_none();
		assert_int_equal(queued(), 0);
		assert_int_equal(env.tcp.stats.retransmit, 0);
		close(c.fd);
	}
}

/* Payload and its acknowledgement */
static void from_guest(const char *peer)
{
	struct env_conn c;
	struct env_rx rx;

	env_open(&c, peer, 1460, 7, 1000);
	env_data(&c, TH_ACK | TH_PUSH, "hello", 5);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, &rx);
	assert_true(env_window(&c, &rx) > 10000);
	env_peer_reads(c.fd, "hello", 5);
	/* With data under way to the guest, the ACK goes with it */
	peer_sends(&c, "world", 5);
	env_turns();
	assert_true(env_get(&rx));
	assert_int_equal(rx.len, 5);
	assert_int_equal(rx.ack, c.snd);
	env_want_none();
	close(c.fd);
}

static void test_from_guest(void **state)
{
	from_guest(PEER4);
	tcp_env_reset(state);
	from_guest(PEER6);
	tcp_env_reset(state);
	env.features.meminfo = false;
	from_guest(PEER4);
}

/* Batches in any order: what arrives, what is acknowledged, duplicate ACKs */
static void test_order(void **state)
{
	static const struct {
		const char *name;
		unsigned n;
		struct {
			unsigned off, len;
		} seg[6];
		unsigned taken, acks;
	} rows[] = {
		{ "in order", 3, { { 0, 10 }, { 10, 10 }, { 20, 5 } }, 25, 1 },
		{ "backwards", 3, { { 20, 5 }, { 10, 10 }, { 0, 10 } }, 25, 1 },
		{ "twice",
		  4,
		  { { 0, 10 }, { 0, 10 }, { 10, 10 }, { 10, 10 } },
		  20,
		  1 },
		{ "overlap", 3, { { 0, 10 }, { 5, 10 }, { 8, 20 } }, 28, 1 },
		{ "within", 3, { { 0, 20 }, { 5, 10 }, { 19, 2 } }, 21, 1 },
		{ "late overlap",
		  3,
		  { { 15, 10 }, { 10, 8 }, { 0, 12 } },
		  25,
		  1 },
		{ "hole at the start", 1, { { 1, 10 } }, 0, 1 },
		{ "two beyond a hole", 2, { { 10, 10 }, { 20, 10 } }, 0, 2 },
		{ "four beyond a hole",
		  4,
		  { { 10, 10 }, { 20, 10 }, { 30, 1 }, { 40, 1 } },
		  0,
		  3 },
		{ "one, a hole, three",
		  4,
		  { { 0, 10 }, { 20, 10 }, { 30, 10 }, { 40, 10 } },
		  10,
		  4 },
		{ "old", 1, { { -10U, 10 } }, 0, 1 },
		{ "old and new", 1, { { -10U, 15 } }, 5, 1 },
		{ "much too old", 1, { { -1000000U, 10 } }, 0, 1 },
		{ "beyond the window", 1, { { 0x7000000, 10 } }, 0, 1 },
	};
	unsigned i, j;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct env_tx tx[6];
		struct env_conn c;
		struct env_rx rx;
		uint32_t base;

		tcp_env_reset(state);
		env_open(&c, i % 2 ? PEER6 : PEER4, 1460, 7, 1000);
		/* something for the old ones to be */
		env_data(&c, TH_ACK, env_pattern, 100);
		base = c.snd;
		env_peer_reads(c.fd, env_pattern, 100);
		env_turns();
		env_drop();
		for (j = 0; j < rows[i].n; j++)
			tx[j] = (struct env_tx){
				.seq = base + rows[i].seg[j].off,
				.ack = c.rcv,
				.wnd = 1000,
				.flags = TH_ACK,
				.data = env_pattern + 100 +
					(int)rows[i].seg[j].off % 100000,
				.len = rows[i].seg[j].len
			};
		if (rows[i].seg[0].off > 100000)
			tx[0].data = env_pattern +
				     (rows[i].seg[0].off == -10U ? 90 : 0);
		env_send(&c, tx, rows[i].n);
		c.snd = base + rows[i].taken;
		for (j = 0; env_get(&rx); j++) {
			if (rx.ack != c.snd)
				fail_msg("%s: ack %d", rows[i].name,
					 (int)(rx.ack - base));
			assert_int_equal(rx.len, 0);
		}
		if (j != rows[i].acks)
			fail_msg("%s: %u ACKs", rows[i].name, j);
		env_peer_reads(c.fd, env_pattern + 100, rows[i].taken);
		close(c.fd);
	}
}

/* Up to the right edge of the guest's window, and not a byte more */
static void test_window_edge(void **state)
{
	struct env_conn c;
	struct env_rx rx;
	size_t sum = 0;

	(void)state;
	env_open(&c, PEER4, 1460, 0, 3000);
	peer_sends(&c, env_pattern, 10000);
	for (env_wait(); env_get(&rx); sum += rx.len)
		assert_int_equal(rx.seq, c.rcv + sum);
	assert_int_equal(sum, 3000);
	/* the edge moves by what was taken */
	c.wnd = 2000;
	env_ack(&c, c.rcv + 1500);
	env_want(&c, &rx);
	assert_int_equal(rx.seq, c.rcv + 1500);
	assert_int_equal(rx.len, 500);
	env_want_none();
	/* taken back by the guest: nothing */
	c.wnd = 100;
	env_ack(&c, c.rcv + 1000);
	env_want_none();
	c.wnd = 0;
	env_ack(&c, c.rcv + 1000);
	env_want_none();
	close(c.fd);
}

/* Closed window: asked again and again, open: at once */
static void test_zero_window(void **state)
{
	struct env_conn c;
	struct env_rx rx;
	unsigned i, probes;

	(void)state;
	env_open(&c, PEER4, 1460, 0, 1000);
	peer_sends(&c, env_pattern, 3000);
	env_want(&c, &rx);
	assert_int_equal(rx.len, 1000);
	c.wnd = 0;
	env_ack(&c, c.rcv + 1000);
	env_want_none();
	for (i = probes = 0; i < 600; i++) { /* 10 minutes */
		env_sleep(1000);
		while (env_get(&rx)) {
			assert_int_equal(rx.flags, TH_ACK);
			assert_int_equal(rx.seq, c.rcv - 1);
			assert_int_equal(rx.len, 0);
			probes++;
			env_ack(&c, c.rcv); /* alive */
		}
	}
	assert_true(probes >= 14 && probes < 40);
	assert_non_null(env_flow());
	c.wnd = 5000;
	env_ack(&c, c.rcv);
	env_want(&c, &rx);
	assert_int_equal(rx.seq, c.rcv);
	assert_memory_equal(rx.data, env_pattern + 1000, rx.len);
	assert_int_equal(env.tcp.stats.retransmit, 0);
	close(c.fd);
}

/* Nobody answers to the question: the connection is given up */
static void test_zero_window_dead(void **state)
{
	struct env_conn c;
	struct env_rx rx;

	(void)state;
	env_open(&c, PEER4, 1460, 0, 1000);
	peer_sends(&c, env_pattern, 3000);
	env_want(&c, &rx);
	c.wnd = 0;
	env_ack(&c, c.rcv + 1000);
	env_sleep(20 * 60 * 1000);
	assert_null(env_flow());
	close(c.fd);
}

/* Room that the guest may use, as it was told last */
static size_t usable(const struct env_conn *c, uint32_t edge)
{
	return edge - c->snd;
}

/* A reader that stalls closes the window, nothing is refused inside it; one
 * that goes on opens it again without a question of the guest's
 */
static void stalled_reader(const char *peer, unsigned mss)
{
	size_t sent = 0, len = sizeof(env_pattern), read = 0;
	union epoll_ref ref = { .type = EPOLL_TCP };
	struct env_conn c;
	struct env_rx rx;
	uint32_t edge;
	ssize_t n;

	env_open(&c, peer, mss, 7, 1000);
	edge = c.snd + 10000;
	while (usable(&c, edge) && sent < len) {
		size_t part = usable(&c, edge) < mss ? usable(&c, edge) : mss;

		if (part > len - sent)
			part = len - sent;
		env_data(&c, TH_ACK, env_pattern + sent, part);
		sent += part;
		env_turns();
		while (env_get(&rx)) {
			uint32_t e = rx.ack + env_window(&c, &rx);

			assert_int_equal(rx.ack, c.snd);
			/* never moves left (but for rounding up: a unit) */
			assert_true((int32_t)(e - edge) > -512);
			edge = e;
		}
	}
	assert_int_equal(env.tcp.stats.partial_send, 0);
	assert_true(sent < len);
	/* an event from before it was full opens nothing */
	ref.id = flow_idx(&env.flows, &env_flow()->f);
	tcp_sock_event(&env.tcp, ref, EPOLLOUT);
	env_want_none();
	while (read < sent) {
		n = recv(c.fd, got + read, sizeof(got) - read, 0);
		if (n < 0) {
			env_wait();
			continue;
		}
		read += (size_t)n;
	}
	assert_int_equal(read, sent);
	assert_memory_equal(got, env_pattern, sent);
	for (edge = c.snd; (int32_t)(edge - c.snd) < 10000;) {
		env_want(&c, &rx);
		edge = rx.ack + env_window(&c, &rx);
	}
	close(c.fd);
}

static void test_stalled_reader(void **state)
{
	static const unsigned mss[] = { 1460, 536, 16000, 65480 };
	unsigned i;

	for (i = 0; i < 16; i++) {
		tcp_env_reset(state);
		env.tcp.mtu = mss[i / 4] > 1460 ? 65520 : 1500;
		env.features.meminfo = i % 2;
		stalled_reader(i & 2 ? PEER6 : PEER4, mss[i / 4]);
	}
}

/* The guest asks for our window while it is closed: it is looked up anew */
static void test_window_asked(void **state)
{
	struct env_conn c;
	struct env_rx rx;

	(void)state;
	env_open(&c, PEER4, 1460, 7, 1000);
	env_flow()->rcv_adv =
		env_flow()->rcv_nxt; /* as if it had been closed */
	env_flow()->rcv_wnd = 0;
	c.snd--;
	env_data(&c, TH_ACK, NULL, 0);
	c.snd++;
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, &rx);
	assert_true(env_window(&c, &rx) > 10000);
	close(c.fd);
}

/* More than the socket takes: what can be held goes there once there is room, the
 * rest is asked for
 */
static void test_partial_send(void **state)
{
	static struct env_tx tx[TAP_RX_MAX];
	unsigned i, batch, dups = 0;
	struct env_conn c;
	struct env_rx rx;
	uint32_t base, last = 0;
	size_t taken, n = 0;
	uint16_t wnd = 0;

	(void)state;
	env.tcp.mtu = 65520;
	env_open(&c, PEER4, 65480, 7, 1000);
	base = c.snd;
	/* One that does not care about the window */
	for (batch = 0; !env.tcp.stats.partial_send; batch++) {
		assert_true(batch < 100);
		for (i = 0; i < TAP_RX_MAX; i++) {
			size_t off = (i + batch * TAP_RX_MAX) * 60000UL;

			tx[i] = (struct env_tx){ .seq = base + (uint32_t)off,
						 .ack = c.rcv,
						 .wnd = 1000,
						 .flags = TH_ACK,
						 .data = env_pattern +
							 off % 4000000,
						 .len = 60000 };
		}
		env_flow()->rcv_adv = env_flow()->rcv_nxt + 100000000;
		env_send(&c, tx, TAP_RX_MAX);
	}
	env_turns();
	taken = env_flow()->rcv_nxt - base;
	assert_true(env_flow()->held && env_flow()->dropped);
	env_flow()->rcv_adv = env_flow()->rcv_nxt;
	env_drop();
	env_want_none();
	while (n < taken || env_flow()->held || dups < 4) {
		ssize_t rc = recv(c.fd, got, sizeof(got), MSG_TRUNC);

		if (rc > 0)
			n += (size_t)rc;
		else
			env_wait();
		while (env_get(&rx)) {
			assert_int_equal(rx.flags, TH_ACK);
			dups = rx.ack == last && rx.wnd == wnd ? dups + 1 : 1;
			last = rx.ack;
			wnd = rx.wnd;
		}
	}
	assert_int_equal(dups, 4);
	while (n < last - base) {
		ssize_t rc = recv(c.fd, got, sizeof(got), MSG_TRUNC);

		n += rc > 0 ? (size_t)rc : 0;
	}
	assert_true(n > taken); /* what was held as well */
	assert_int_equal(last, env_flow()->rcv_nxt);
	env_want_none();
	close(c.fd);
}

/* Room in the send buffer is no news if the guest has plenty of window left */
static void test_no_idle_update(void **state)
{
	struct env_conn c;
	struct env_rx rx;

	(void)state;
	env_open(&c, PEER4, 1460, 7, 1000);
	env_data(&c, TH_ACK, "x", 1);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, &rx);
	tcp_want_out(&env.tcp, env_flow());
	env_flow()->rcv_adv += 1000000;
	env_wait();
	assert_false(env_flow()->flags & TCP_WAIT_OUT);
	env_want_none();
	close(c.fd);
}

/* Request and reply: the reply carries the ACK; without one it goes by itself,
 * and at once from then on; of two requests in a row the second is answered
 */
static void test_dialogue(void **state)
{
	struct env_conn c;
	struct env_rx rx;
	unsigned i;

	(void)state;
	env_open(&c, PEER6, 1460, 7, 1000);
	env_data(&c, TH_ACK | TH_PUSH, "a", 1); /* who knows what follows? */
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	peer_sends(&c, env_pattern, 10);
	guest_reads(&c, 10);
	for (i = 0; i < 3; i++) {
		env_data(&c, TH_ACK | TH_PUSH, "b", 1);
		env_want_none();
		peer_sends(&c, env_pattern, 10);
		env_want(&c, &rx);
		assert_int_equal(rx.ack, c.snd);
		assert_int_equal(rx.len, 10);
		env_ack(&c, rx.seq + 10);
	}
	env_sleep(100);
	env_want_none();

	env_data(&c, TH_ACK | TH_PUSH, "c", 1);
	env_want_none();
	env_data(&c, TH_ACK | TH_PUSH, "d", 1);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);

	env_data(&c, TH_ACK | TH_PUSH, "e", 1);
	env_sleep(TCP_ACK_DELAY - 1);
	env_want_none();
	env_sleep(1 + WHEEL_TICK_MS);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	env_data(&c, TH_ACK | TH_PUSH, "f", 1);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	env_sleep(100);
	env_want_none();
	close(c.fd);
}

/* The same request again means that the ACK was lost: it does not wait */
static void test_dialogue_lost(void **state)
{
	struct env_conn c;
	struct env_tx again;

	(void)state;
	env_open(&c, PEER4, 1460, 7, 1000);
	env_data(&c, TH_ACK | TH_PUSH, "a", 1);
	env_drop();
	peer_sends(&c, env_pattern, 10);
	guest_reads(&c, 10);
	again = (struct env_tx){ .seq = c.snd,
				 .ack = c.rcv,
				 .flags = TH_ACK,
				 .wnd = c.wnd,
				 .data = "bcd",
				 .len = 2 };
	env_data(&c, TH_ACK | TH_PUSH, "bc", 2);
	env_want_none();
	env_send(&c, &again, 1);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	again.len = 3; /* with something new behind */
	env_send(&c, &again, 1);
	c.snd++;
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	close(c.fd);
}

/* The tap takes nothing: all goes on where it stopped once it does */
static void test_blocked(void **state)
{
	struct env_conn c;
	struct env_rx rx;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	tap_mem.blocked = true;
	peer_sends(&c, env_pattern, 5000);
	env_turns();
	env_data(&c, TH_ACK, "hello", 5);
	env_turns();
	env_want_none();
	env_peer_reads(c.fd, "hello", 5);
	tap_mem.blocked = false;
	tcp_tap_ready(&env.tcp);
	guest_reads(&c, 5000);
	assert_int_equal(env.tcp.stats.retransmit, 0);

	/* an ACK alone */
	tap_mem.blocked = true;
	env_data(&c, TH_ACK, "world", 5);
	env_sleep(TCP_ACK_DELAY + WHEEL_TICK_MS);
	tap_mem.blocked = false;
	tcp_tap_ready(&env.tcp);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	env_want_none();
	env_peer_reads(c.fd, "world", 5);

	/* blocked again when called: waits again */
	tap_mem.blocked = true;
	peer_sends(&c, env_pattern, 2000);
	env_turns();
	tcp_tap_ready(&env.tcp);
	env_turns();
	env_want_none();
	tap_mem.blocked = false;
	tcp_tap_ready(&env.tcp);
	env_turns();
	assert_true(env_get(&rx));
	assert_int_equal(rx.len, 1000);
	close(c.fd);
}

/* Many wait for the tap. Some end meanwhile: in the middle, the last, the first */
static void test_blocked_many(void **state)
{
	static const bool ends[6] = { true, false, true, false, true, true };
	bool served[6] = { false };
	struct env_conn c[6];
	unsigned i, from = 0, left = 2;
	struct env_rx rx;

	(void)state;
	for (i = 0; i < 6; i++)
		env_open(&c[i], i % 2 ? PEER6 : PEER4, 1000, 7, 1000);
	tap_mem.blocked = true;
	for (i = 0; i < 6; i++) {
		peer_sends(&c[i], env_pattern + i, 500);
		env_turns();
	}
	for (i = 0; i < 6; i++) {
		if (ends[i])
			env_data(&c[i], TH_RST, NULL, 0);
	}
	env_turns();
	assert_int_equal(env.flows.used, left);
	tap_mem.blocked = false;
	tcp_tap_ready(&env.tcp);
	env_turns();
	for (; left; left--) {
		assert_true(env_get(&rx));
		for (i = 0; i < 6 && c[i].pport != rx.sport; i++)
			;
		assert_true(i < 6 && !ends[i] && !served[i]);
		assert_true(i >= from); /* first come, first served */
		from = i;
		served[i] = true;
		assert_int_equal(rx.seq, c[i].rcv);
		assert_int_equal(rx.len, 500);
		assert_memory_equal(rx.data, env_pattern + i, 500);
	}
	env_want_none();
	assert_int_equal(env.tcp.blocked.head, 0);
	for (i = 0; i < 6; i++)
		close(c[i].fd);
}

/* Urgent data is data like any other, and what stands behind it arrives */
static void urgent(const char *peer)
{
	struct env_conn c;
	unsigned i;

	env_open(&c, peer, 1000, 7, 1000);
	peer_sends(&c, env_pattern, 100);
	assert_int_equal(send(c.fd, env_pattern + 100, 1, MSG_OOB), 1);
	peer_sends(&c, env_pattern + 101, 199);
	guest_reads(&c, 300);
	assert_int_equal(queued(), 0);
	for (i = 0; i < 20; i++)
		assert_int_equal(
			send(c.fd, env_pattern + i, 1, i % 3 ? 0 : MSG_OOB), 1);
	shutdown(c.fd, SHUT_WR);
	guest_reads(&c, 20);
	env_want_bare(&c, TH_FIN | TH_ACK, c.rcv, c.snd, NULL);
	close(c.fd);
}

static void test_urgent(void **state)
{
	urgent(PEER4);
	tcp_env_reset(state);
	env.features.peek_off = false;
	urgent(PEER6);
}

/* Window updates that were overtaken say nothing new (RFC 9293 3.10.7.4) */
static void test_old_window(void **state)
{
	struct env_conn c;
	struct env_tx tx = { .flags = TH_ACK, .wnd = 0 };

	(void)state;
	env_open(&c, PEER4, 1460, 0, 5000);
	env_data(&c, TH_ACK, "hello", 5);
	assert_int_equal(env_flow()->snd_wnd, 5000);
	tx.seq = c.snd - 6;
	tx.ack = c.rcv;
	env_send(&c, &tx, 1);
	assert_int_equal(env_flow()->snd_wnd, 5000);
	tx.seq = c.snd;
	env_send(&c, &tx, 1);
	assert_int_equal(env_flow()->snd_wnd, 0);
	close(c.fd);
}

#define T(name) cmocka_unit_test_setup(name, tcp_env_reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_to_guest),         T(test_bulk_to_guest),
		T(test_from_guest),       T(test_order),
		T(test_window_edge),      T(test_zero_window),
		T(test_zero_window_dead), T(test_stalled_reader),
		T(test_window_asked),     T(test_partial_send),
		T(test_no_idle_update),   T(test_dialogue),
		T(test_dialogue_lost),    T(test_blocked),
		T(test_blocked_many),     T(test_urgent),
		T(test_old_window),
	};

	return cmocka_run_group_tests(tests, tcp_env_start, NULL);
}
