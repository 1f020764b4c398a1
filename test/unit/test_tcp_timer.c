/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Deadlines and losses of TCP: what is repeated, when, and when no more */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/fake/tcp_env.h"

static void peer_sends(const struct env_conn *c, size_t off, size_t len)
{
	assert_int_equal(send(c->fd, env_pattern + off, len, 0), (ssize_t)len);
	env_wait();
	env_turns();
}

/* Frames that come out while time passes, with their times. Return: how many */
static unsigned watch(uint64_t ms, uint64_t *at, struct env_rx *rx,
		      unsigned max)
{
	uint64_t end = env.loop.now + ms, from = env.loop.now;
	unsigned n = 0;

	while (env.loop.now < end) {
		env_sleep(10);
		while (env_get(&rx[n < max ? n : max - 1]))
			if (n < max)
				at[n++] = env.loop.now - from;
	}
	return n;
}

/* Times are right within a tick of the wheel, and of watch() */
static void assert_times(const uint64_t *at, const unsigned *want, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (at[i] < want[i] || at[i] > want[i] + 20 + want[i] / 1000)
			fail_msg("frame %u after %u ms, not %u", i,
				 (unsigned)at[i], want[i]);
}

/* SYNs repeated as the sysctl says, then the peer learns that nobody is there */
static void test_syn_retries(void **state)
{
	static const unsigned want[] = { 1000, 3000, 7000, 15000 };
	struct env_rx rx[10];
	uint64_t at[10];
	uint32_t isn;
	unsigned n;
	int fd;

	(void)state;
	env.tcp.syn_retries = 3;
	env_rule(HOST4, 6100, 80);
	env_forwards();
	fd = env_connect(HOST4, 6100);
	env_wait();
	assert_true(env_get(&rx[0]));
	isn = rx[0].seq;
	n = watch(60000, at, rx, 10);
	assert_int_equal(n, 4); /* three times, and RST */
	assert_times(at, want, 4);
	assert_int_equal(rx[0].flags, TH_SYN);
	assert_int_equal(rx[0].seq, isn);
	assert_int_equal(rx[2].flags, TH_SYN);
	assert_true(rx[3].flags & TH_RST);
	assert_null(env_flow());
	assert_int_equal(env_peer_error(fd), ECONNRESET);
	close(fd);
}

/* SYN-ACK likewise */
static void test_syn_ack_retries(void **state)
{
	static const uint8_t opts[] = { 2, 4, 5, 0xb4 };
	static const unsigned want[] = { 1000, 3000, 7000 };
	const struct env_tx syn = {
		.flags = TH_SYN, .seq = 5, .opts = opts, .optlen = 4
	};
	struct env_conn c = {
		.guest = GUEST4, .peer = PEER4, .gport = 1, .pport = 6101
	};
	int l = env_listen(PEER4, 6101), fd;
	struct env_rx rx[10];
	uint64_t at[10];
	uint32_t isn;
	unsigned n;

	(void)state;
	env.tcp.syn_retries = 2;
	env_send(&c, &syn, 1);
	env_want(&c, &rx[0]);
	isn = rx[0].seq;
	fd = env_accept(l);
	n = watch(30000, at, rx, 10);
	assert_int_equal(n, 3);
	assert_times(at, want, 3);
	assert_int_equal(rx[1].flags, TH_SYN | TH_ACK);
	assert_int_equal(rx[1].seq, isn);
	assert_int_equal(rx[1].ack, 6);
	assert_int_equal(rx[2].flags, TH_RST | TH_ACK);
	assert_int_equal(rx[2].seq, isn + 1);
	assert_int_equal(env_peer_error(fd), ECONNRESET);
	close(fd);
	close(l);
}

/* Data is repeated with back-off, one segment at a time, and in the end the
 * connection is reset
 */
static void test_data_retries(void **state)
{
	static const unsigned want[] = { 400, 1200, 2800, 6000, 12400, 25200 };
	struct env_rx rx[40];
	struct env_conn c;
	uint64_t at[40];
	unsigned n, i;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	peer_sends(&c, 0, 3000);
	env_drop();
	n = watch(1000000, at, rx, 40);
	assert_true(n >= 12 && n < 25);
	assert_times(at, want, sizeof(want) / sizeof(want[0]));
	for (i = 0; i < n - 1; i++) {
		assert_int_equal(rx[i].seq, c.rcv);
		assert_int_equal(rx[i].len, 1000);
	}
	/* never more often than each minute, never rarer */
	assert_true(at[n - 1] - at[n - 2] > 59000);
	assert_true(at[n - 1] - at[n - 2] < 61000);
	assert_true(rx[n - 1].flags & TH_RST);
	assert_null(env_flow());
	assert_int_equal(env_peer_error(c.fd), ECONNRESET);
	close(c.fd);
}

/* After a timeout all that was lost is sent again, faster with each ACK */
static void rto_recovers(const char *peer)
{
	struct env_conn c;
	struct env_rx rx;
	uint32_t end, first;
	unsigned step = 0;

	env_open(&c, peer, 1000, 7, 1000);
	first = c.rcv;
	end = c.rcv + 20000;
	peer_sends(&c, 0, 20000);
	env_drop();
	env_sleep(450);
	while ((int32_t)(end - c.rcv) > 0) {
		uint32_t before = c.rcv;

		env_turns();
		while (env_get(&rx)) {
			assert_int_equal(rx.seq, c.rcv);
			assert_memory_equal(
				rx.data, env_pattern + rx.seq - first, rx.len);
			c.rcv += (uint32_t)rx.len;
		}
		assert_int_not_equal(before, c.rcv);
		if (!step)
			assert_int_equal(c.rcv, first + 1000);
		env_ack(&c, c.rcv);
		step++;
	}
	assert_true(step > 2 && step < 12);
	env_want_none();
	env_sleep(3000);
	env_want_none();
	assert_int_equal(env.tcp.stats.fast_retransmit, 0);
	close(c.fd);
}

static void test_rto_recovers(void **state)
{
	rto_recovers(PEER4);
	tcp_env_reset(state);
	env.features.peek_off = false;
	rto_recovers(PEER6);
}

/* All had arrived, only the ACKs were lost: the timeout's ACK settles it */
static void test_rto_spurious(void **state)
{
	struct env_conn c;
	struct env_rx rx;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	peer_sends(&c, 0, 5000);
	env_drop();
	env_sleep(450);
	env_want(&c, &rx);
	assert_int_equal(rx.seq, c.rcv);
	env_ack(&c, c.rcv + 5000);
	env_want_none();
	peer_sends(&c, 0, 10);
	env_want(&c, &rx);
	assert_int_equal(rx.seq, c.rcv);
	assert_int_equal(rx.len, 10);
	assert_memory_equal(rx.data, env_pattern, 10);
	env_sleep(300);
	env_want_none();
	close(c.fd);
}

/* Any ACK that brings something starts the wait anew */
static void test_rto_restart(void **state)
{
	struct env_conn c;
	struct env_rx rx;
	unsigned i;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	peer_sends(&c, 0, 10000);
	env_drop();
	for (i = 0; i < 9; i++) {
		env_sleep(390);
		env_want_none();
		env_ack(&c, c.rcv + 1000);
	}
	env_sleep(380);
	env_want_none();
	env_sleep(30);
	env_want(&c, &rx);
	assert_int_equal(rx.seq, c.rcv);
	close(c.fd);
}

/* Three duplicate ACKs: the first segment again, at once and only it */
static void test_fast_retransmit(void **state)
{
	struct env_conn c;
	struct env_rx rx;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	peer_sends(&c, 0, 10000);
	env_drop();
	env_ack(&c, c.rcv);
	env_ack(&c, c.rcv);
	env_want_none();
	env_ack(&c, c.rcv);
	env_want(&c, &rx);
	assert_int_equal(rx.seq, c.rcv);
	assert_int_equal(rx.len, 1000);
	assert_memory_equal(rx.data, env_pattern, 1000);
	env_want_none();
	env_ack(&c, c.rcv);
	env_ack(&c, c.rcv);
	env_want_none();
	env_ack(&c, c.rcv + 10000);
	env_want_none();
	assert_int_equal(env.tcp.stats.fast_retransmit, 1);
	peer_sends(&c, 0, 1);
	env_want(&c, &rx);
	assert_int_equal(rx.seq, c.rcv);
	close(c.fd);
}

/* Neither payload, nor a window that moved, nor an old ACK is a duplicate */
static void test_no_duplicates(void **state)
{
	struct env_conn c;
	unsigned i;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	env_ack(&c, c.rcv);
	peer_sends(&c, 0, 10000);
	env_ack(&c, c.rcv + 1000);
	env_drop();
	for (i = 0; i < 5; i++) {
		env_data(&c, TH_ACK, "x", 1);
		c.wnd++;
		env_ack(&c, c.rcv);
		env_ack(&c, c.rcv - 500);
		c.rcv += 500;
		/* its own question */
		c.snd--;
		env_data(&c, TH_ACK, NULL, 0);
		c.snd++;
	}
	assert_int_equal(env.tcp.stats.fast_retransmit, 0);
	assert_int_equal(env.tcp.stats.retransmit, 0);
	close(c.fd);
}

/* Few in flight: fewer duplicates must do (RFC 5827) */
static void test_early_retransmit(void **state)
{
	static const struct {
		unsigned segs, dups;
	} rows[] = { { 2, 1 }, { 3, 2 }, { 4, 3 }, { 5, 3 } };
	struct env_conn c;
	struct env_rx rx;
	unsigned i, j;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tcp_env_reset(state);
		env_open(&c, PEER6, 1000, 7, 1000);
		peer_sends(&c, 0, rows[i].segs * 1000);
		env_drop();
		for (j = 1; j < rows[i].dups; j++)
			env_ack(&c, c.rcv);
		env_want_none();
		env_ack(&c, c.rcv);
		env_want(&c, &rx);
		assert_int_equal(rx.seq, c.rcv);
		assert_int_equal(rx.len, 1000);
		close(c.fd);
	}
}

/* Many holes: each partial ACK brings the next, no timeout is needed */
static void holes(const char *peer, uint32_t lost)
{
	struct env_conn c;
	bool have[32] = { false };
	unsigned i, next = 0, n = 20, guard = 0;
	struct env_rx rx;
	uint32_t base;

	env_open(&c, peer, 1000, 7, 1000);
	base = c.rcv;
	peer_sends(&c, 0, n * 1000);
	for (i = 0; i < n; i++) {
		env_want(&c, &rx);
		assert_int_equal(rx.seq, base + i * 1000);
		if (lost & 1U << i)
			continue;
		have[i] = true;
		while (have[next])
			next++;
		c.rcv = base + next * 1000;
	}
	/* one ACK for each that arrived */
	for (i = 0, next = 0; i < n; i++) {
		if (lost & 1U << i)
			continue;
		if (i == next)
			while (next < n && !(lost & 1U << next))
				next++;
		env_ack(&c, base + next * 1000);
	}
	while (next < n) {
		assert_true(guard++ < 40);
		env_want(&c, &rx);
		if (!rx.len)
			continue;
		i = (rx.seq - base) / 1000;
		assert_true(i < n);
		assert_int_equal((rx.seq - base) % 1000, 0);
		assert_memory_equal(rx.data, env_pattern + i * 1000, rx.len);
		have[i] = true;
		while (next < n && have[next])
			next++;
		env_ack(&c, base + next * 1000);
	}
	env_want_none();
	assert_int_equal(env.tcp.stats.fast_retransmit, 1);
	assert_true(guard < 20);
	close(c.fd);
}

static void test_holes(void **state)
{
	static const uint32_t lost[] = { 0x1, 0x249, 0x11, 0x7, 0x4924 };
	unsigned i;

	for (i = 0; i < 2 * sizeof(lost) / sizeof(lost[0]); i++) {
		tcp_env_reset(state);
		env.features.peek_off = i % 2;
		holes(i % 2 ? PEER4 : PEER6, lost[i / 2]);
	}
}

/* After a loss less is sent, in whole segments, and more with each round trip */
static void test_loss_slows(void **state)
{
	unsigned i, trip, sent, last = 0;
	struct env_conn c;
	struct env_rx rx;
	uint32_t nxt;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 313); /* 40064 bytes */
	/* all of it is there before it is looked at */
	sock_set_int(env_flow()->fd, SOL_SOCKET, SO_RCVBUF, 1 << 20);
	for (i = 0; i < 10; i++)
		peer_sends(&c, 0, 10000);
	/* all but the first arrive */
	for (nxt = c.rcv; env_get(&rx); nxt = rx.seq + (uint32_t)rx.len)
		;
	assert_int_equal(nxt - c.rcv, 40064);
	for (i = 0; i < 3; i++)
		env_ack(&c, c.rcv);
	env_want(&c, &rx);
	assert_int_equal(rx.seq, c.rcv);
	last = (nxt - c.rcv) / 2;
	for (trip = 0; trip < 10; trip++) {
		/* there is always more than may be sent */
		peer_sends(&c, 0, 30000);
		env_ack(&c, nxt);
		env_turns();
		for (sent = 0; env_get(&rx); sent += (unsigned)rx.len) {
			assert_int_equal(rx.seq, nxt);
			assert_int_equal(rx.len, 1000);
			nxt += 1000;
		}
		if (sent < last - 1000 || sent > last + 3000)
			fail_msg("trip %u: %u after %u", trip, sent, last);
		last = sent;
	}
	close(c.fd);
}

/* The tap is blocked when something has to be repeated: it is not forgotten */
static void test_retransmit_blocked(void **state)
{
	struct env_conn c;
	struct env_rx rx;
	unsigned i;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	peer_sends(&c, 0, 10000);
	env_drop();
	tap_mem.blocked = true;
	for (i = 0; i < 4; i++)
		env_ack(&c, c.rcv);
	env_want_none();
	tap_mem.blocked = false;
	tcp_tap_ready(&env.tcp);
	env_want(&c, &rx);
	assert_int_equal(rx.seq, c.rcv);
	assert_int_equal(rx.len, 1000);
	/* and the timeout */
	env_drop();
	tap_mem.blocked = true;
	env_sleep(500);
	env_want_none();
	tap_mem.blocked = false;
	tcp_tap_ready(&env.tcp);
	env_want(&c, &rx);
	assert_int_equal(rx.seq, c.rcv);
	close(c.fd);
}

/* The guest asks whether we are there: yes; and the peer is asked, too */
static void test_keepalive_mirrored(void **state)
{
	socklen_t len = sizeof(int);
	struct env_conn c;
	int on = 0;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	getsockopt(env_flow()->fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len);
	assert_false(on);
	c.snd--;
	env_data(&c, TH_ACK, NULL, 0);
	c.snd++;
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	getsockopt(env_flow()->fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len);
	assert_true(on);
	/* the kind that brings a byte of garbage */
	c.snd--;
	env_data(&c, TH_ACK, "g", 1);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	env_want_none();
	assert_int_equal(env.tcp.stats.keepalives, 2);
	assert_int_equal(recv(c.fd, env_pattern, 1, MSG_DONTWAIT), -1);
	close(c.fd);
}

/* A closed window that is asked for is no keepalive */
static void test_window_probe_not_mirrored(void **state)
{
	struct env_conn c;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	env_flow()->rcv_adv = env_flow()->rcv_nxt;
	c.snd--;
	env_data(&c, TH_ACK, NULL, 0);
	assert_int_equal(env.tcp.stats.keepalives, 0);
	close(c.fd);
}

/* A guest that is silent for hours is asked; one that answers may stay */
static void test_silence(void **state)
{
	const uint64_t hours2 = 2 * 3600 * 1000;
	struct env_rx rx[20];
	struct env_conn c;
	uint64_t at[20];
	unsigned n, i;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	env_sleep(hours2 - 1000);
	env_want_none();
	for (i = 0; i < 3; i++) {
		env_sleep(2000);
		env_want_bare(&c, TH_ACK, c.rcv - 1, c.snd, NULL);
		env_ack(&c, c.rcv);
		env_sleep(hours2 - 1000);
		env_want_none();
	}
	env_sleep(2000);
	env_drop();
	n = watch(3600000, at, rx, 20);
	assert_int_equal(n, 9); /* eight more questions, and RST */
	for (i = 0; i < n; i++)
		assert_true(at[i] > 75000 * i && at[i] < 75100 * (i + 1));
	assert_true(rx[8].flags & TH_RST);
	assert_null(env_flow());
	assert_int_equal(env_peer_error(c.fd), ECONNRESET);
	close(c.fd);
}

/* Data sent now and lost comes again when it should, and no sooner */
static void lose_once(struct env_conn *c)
{
	struct env_rx rx;

	peer_sends(c, 0, 1000);
	env_drop();
	env_sleep(380);
	env_want_none();
	env_sleep(40);
	env_want(c, &rx);
	assert_int_equal(rx.seq, c->rcv);
	env_ack(c, c->rcv + 1000);
}

/* Nobody has anything to say for longer than times are kept, or than those before
 * and after can be told by half of that
 */
static void test_silence_long(void **state)
{
	const uint64_t day = 24 * 3600 * 1000, since[] = { 25 * day, 51 * day };
	struct env_conn c;
	uint64_t from;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(since) / sizeof(since[0]); i++) {
		env_open(&c, PEER4, 1000, 7, 1000);
		for (from = env.loop.now; env.loop.now < from + since[i];) {
			env_sleep(2 * 3600 * 1000 + 1000);
			env_want_bare(&c, TH_ACK, c.rcv - 1, c.snd, NULL);
			env_ack(&c, c.rcv);
			env_want_none();
		}
		lose_once(&c);
		close(c.fd);
		tcp_env_reset(state);
	}
}

/* We did not run for that long: what is due is done at once, but after a whole
 * round of the clock, when it is once more
 */
static void test_stopped_long(void **state)
{
	const uint64_t day = 24 * 3600 * 1000, round = UINT64_C(1) << 32;
	const struct {
		uint64_t stopped, late;
	} rows[] = { { day, 0 },         { 25 * day, 0 },
		     { 49 * day, 0 },    { round - 200, 0 },
		     { round, 400 },     { round + 200, 200 },
		     { round + 400, 0 }, { 2 * round + 300, 100 } };
	struct env_conn c;
	struct env_rx rx;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tcp_env_reset(state);
		env_open(&c, PEER4, 1000, 7, 1000);
		peer_sends(&c, 0, 1000);
		env_want(&c, &rx);
		env.loop.now += rows[i].stopped;
		if (rows[i].late > 20) {
			env_sleep(rows[i].late - 20);
			env_want_none();
		}
		env_sleep(40);
		env_want(&c, &rx);
		assert_int_equal(rx.seq, c.rcv);
		close(c.fd);
	}
}

/* One deadline gives way to another in either direction */
static void test_deadlines_change(void **state)
{
	struct env_conn c;
	unsigned i;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	for (i = 0; i < 5; i++) {
		/* idle for an hour, then data that gets lost */
		env_sleep(3600000);
		env_want_none();
		lose_once(&c);
	}
	close(c.fd);
}

/* Times that a connection keeps are of 32 bits: so soon, ms, they begin at 0 again,
 * with the first repetitions, or between a question and the answer in test_silence()
 */
static uint64_t soon = 2000, later = 2 * 3600 * 1000 + 500;

static int before_round(void **state)
{
	const uint64_t *ms = *state;
	int rc = tcp_env_reset(state);

	env.loop.now = (env.loop.now | UINT32_MAX) - *ms;
	return rc;
}

#define T(name) cmocka_unit_test_setup(name, tcp_env_reset)
#define R(name, ms)                                                            \
	{                                                                      \
#name ", " #ms " a new round", name, before_round, NULL, &(ms) \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_syn_retries),
		T(test_syn_ack_retries),
		T(test_data_retries),
		T(test_rto_recovers),
		T(test_rto_spurious),
		T(test_rto_restart),
		T(test_fast_retransmit),
		T(test_no_duplicates),
		T(test_early_retransmit),
		T(test_holes),
		T(test_loss_slows),
		T(test_retransmit_blocked),
		T(test_keepalive_mirrored),
		T(test_window_probe_not_mirrored),
		T(test_silence),
		T(test_silence_long),
		T(test_stopped_long),
		T(test_deadlines_change),
		R(test_syn_retries, soon),
		R(test_syn_ack_retries, soon),
		R(test_data_retries, soon),
		R(test_rto_recovers, soon),
		R(test_rto_spurious, soon),
		R(test_rto_restart, soon),
		R(test_silence, soon),
		R(test_silence, later),
		R(test_deadlines_change, soon),
	};

	return cmocka_run_group_tests(tests, tcp_env_start, NULL);
}
