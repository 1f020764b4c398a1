/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP of many connections: what one of them may have in flight, or do in a turn */
#include <setjmp.h>
#include <stdarg.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/fake/tcp_env.h"

/* Those that send much are counted, once in a span of time */
static void bulk_count(uint64_t start)
{
	const uint32_t span = TCP_BULK_SPAN_MS;
	struct loop loop = { .now = start };
	struct tcp tcp = { .loop = &loop };
	struct tcp_conn c[3] = { { .base = (uint32_t)start - span },
				 { .base = (uint32_t)start - span + 1 },
				 { .base = (uint32_t)start - span - 1 } };
	unsigned i, k;

	for (k = 0; k < 3; k++) {
		for (i = 0; i < 3; i++) {
			tcp_note_bulk(&tcp, &c[i], TCP_BULK_BYTES);
			c[i].base = (uint32_t)loop.now;
			tcp_note_bulk(&tcp, &c[i], TCP_BULK_BYTES);
			assert_int_equal(tcp.bulk_now, i + 1);
		}
		assert_int_equal(tcp.bulk, k ? 3 : 0);
		loop.now += span;
	}
	/* little does not count; who is silent for a span is gone */
	tcp_note_bulk(&tcp, &c[0], TCP_BULK_BYTES - 1);
	assert_int_equal(tcp.bulk_now, 3);
	loop.now += span;
	tcp_note_bulk(&tcp, &c[0], TCP_BULK_BYTES);
	assert_int_equal(tcp.bulk_now, 1);
	assert_int_equal(tcp.bulk, 0);
}

static void test_bulk_count(void **state)
{
	const uint64_t round = UINT64_C(1)
			       << 32; /* of what a connection keeps */
	uint64_t back;

	(void)state;
	bulk_count(1000 * TCP_BULK_SPAN_MS);
	for (back = 0; back < 5; back++)
		bulk_count(round - back * TCP_BULK_SPAN_MS);
}

/* Have the peer send bytes, and wait until all are in the socket's queue */
static void burst(const struct env_conn *c, size_t len)
{
	int before, queued, i;

	assert_int_equal(ioctl(env_flow()->fd, SIOCINQ, &before), 0);
	queued = before;
	assert_int_equal(send(c->fd, env_pattern, len, MSG_DONTWAIT), len);
	for (i = 0; i < 1000 && queued < before + (int)len; i++) {
		usleep(1000);
		assert_int_equal(ioctl(env_flow()->fd, SIOCINQ, &queued), 0);
	}
	assert_int_equal(queued, before + (int)len);
}

/* A connection of a guest that gets 64 kB at once */
static void open_wide(void **state, struct env_conn *c, const char *peer)
{
	tcp_env_reset(state);
	env.tap.facts.batch = 64;
	env_open(c, peer, 1460, 7, UINT16_MAX);
	env_turns();
}

/* An option of the socket */
static unsigned sock_option(int name)
{
	socklen_t len = sizeof(int);
	int value;

	assert_int_equal(
		getsockopt(env_flow()->fd, SOL_SOCKET, name, &value, &len), 0);
	return (unsigned)value;
}

/* Who sends on and on while the guest acknowledges nothing is one, too */
static void test_bulk_once(void **state)
{
	struct env_conn c;
	unsigned i, k;

	env_run("echo 4096 1048576 6291456 >/proc/sys/net/ipv4/tcp_rmem");
	for (i = 0; i < 2; i++) {
		open_wide(state, &c, i ? PEER6 : PEER4);
		env_sleep(TCP_BULK_SPAN_MS);
		burst(&c, TCP_BULK_BYTES);
		env_turns();
		assert_int_equal(env.tcp.bulk_now, 1);
		env_sleep(TCP_BULK_SPAN_MS);
		for (k = 0; k < 3; k++) {
			env_ack(&c, env_flow()->snd_una + 1);
			assert_int_equal(env.tcp.bulk_now, 1);
		}
		env_sleep(TCP_BULK_SPAN_MS);
		for (k = 0; k < 3; k++) {
			burst(&c, TCP_BULK_BYTES);
			env_turns();
			assert_true(env.tcp.bulk_now <= 1);
		}
		assert_true(tcp_inflight(env_flow()) > 3 * TCP_BULK_BYTES);
		close(c.fd);
		env_drop();
	}
	env_run("echo 4096 131072 6291456 >/proc/sys/net/ipv4/tcp_rmem");
}

/* What comes at once makes room for more, even though Linux does not count it
 */
static void test_burst(void **state)
{
	const size_t len = 60000; /* less than the first window */
	unsigned i, k, size;
	struct env_conn c;

	env_run("echo 4096 131072 6291456 >/proc/sys/net/ipv4/tcp_rmem");
	for (i = 0; i < 2; i++) {
		open_wide(state, &c, i ? PEER6 : PEER4);
		/* less is no burst */
		env_sleep(TCP_BURST_GAP);
		burst(&c, TCP_BURST_BYTES);
		env_turns();
		assert_int_equal(tcp_inflight(env_flow()), TCP_BURST_BYTES);
		assert_int_equal(env_flow()->wide, 0);
		env_ack(&c, env_flow()->snd_nxt);
		/* nor is what comes soon */
		env_sleep(TCP_BURST_GAP - 1);
		burst(&c, len);
		env_turns();
		assert_int_equal(env_flow()->wide, 0);
		env_ack(&c, env_flow()->snd_nxt);
		env_turns();
		for (k = 0; k < 3; k++) {
			env_sleep(TCP_BURST_GAP);
			burst(&c, len);
			env_turns();
			size = sock_option(SO_RCVBUF);
			assert_in_range(size, 4 * len, 6291456);
			assert_int_equal(sock_option(SO_RCVLOWAT), 1);
			assert_int_equal(env_flow()->wide, 1);
			env_ack(&c, env_flow()->snd_nxt);
			env_turns();
		}
		/* it goes on growing */
		env_sleep(TCP_BURST_GAP);
		burst(&c, 3 * len);
		env_turns();
		assert_in_range(sock_option(SO_RCVBUF), 12 * len, 6291456);
		assert_int_equal(env_flow()->wide, 3);
		close(c.fd);
		env_drop();
	}
}

/* What the guest had no window for came some time ago, and is not counted */
static void test_burst_waits(void **state)
{
	struct env_conn c;
	unsigned i;

	for (i = 0; i < 2; i++) {
		open_wide(state, &c, i ? PEER6 : PEER4);
		c.wnd = 0;
		env_data(&c, TH_ACK, "x", 1);
		assert_int_equal(env_flow()->snd_wnd, 0);
		env_sleep(TCP_BURST_GAP);
		burst(&c, 60000);
		env_turns();
		assert_int_equal(tcp_inflight(env_flow()), 0);
		c.wnd = UINT16_MAX;
		env_data(&c, TH_ACK, "x", 1);
		env_turns();
		assert_int_equal(tcp_inflight(env_flow()), 60000);
		assert_int_equal(env_flow()->wide, 0);
		close(c.fd);
		env_drop();
	}
}

/* With many others one has no more in flight than its share */
static void test_share(void **state)
{
	const size_t len = 400000;
	uint32_t most[2] = { 0 };
	size_t sent = 0;
	unsigned others;

	for (others = 0; others < 2; others++) {
		struct env_conn c;
		unsigned i;

		tcp_env_reset(state);
		env_open(&c, others ? PEER6 : PEER4, 1460, 7, UINT16_MAX);
		for (sent = i = 0; sent < len && i < 10000; i++) {
			ssize_t n = send(c.fd, env_pattern, len - sent,
					 MSG_DONTWAIT);
			uint32_t inflight;

			sent += n > 0 ? (size_t)n : 0;
			env.tcp.bulk = env.tcp.bulk_now = others ? 1000 : 0;
			env.tcp.bulk_span = env.loop.now / TCP_BULK_SPAN_MS;
			env_turn();
			inflight = tcp_inflight(env_flow());
			if (inflight > most[others])
				most[others] = inflight;
			/* the guest has them all, every now and then */
			if (i % 10 == 9)
				env_ack(&c, env_flow()->snd_nxt);
			env_drop();
		}
		assert_int_equal(sent, len);
		close(c.fd);
	}
	assert_in_range(most[1], TCP_SHARE_MIN - 1460, TCP_SHARE_MIN);
	assert_true(most[0] > TCP_SHARE_MIN);
}

/* A connection, with the link to itself or (@company) not */
static void open_beside(void **state, struct env_conn *c, const char *peer,
			bool company)
{
	tcp_env_reset(state);
	env.tap.company = company ? TAP_COMPANY : 0;
	env_open(c, peer, 1460, 7, UINT16_MAX);
}

/* Beside others the guest may send no more than 1 MiB, whatever the socket takes */
static void test_company_window(void **state)
{
	struct env_conn c;
	struct env_rx rx;
	uint32_t window;
	unsigned i;

	env_run("echo 4096 4194304 8388608 >/proc/sys/net/ipv4/tcp_wmem");
	for (i = 0; i < 4; i++) {
		open_beside(state, &c, i & 1 ? PEER6 : PEER4, i & 2);
		/* a probe has it looked up anew */
		c.snd--;
		env_data(&c, TH_ACK, NULL, 0);
		c.snd++;
		env_want_bare(&c, TH_ACK, c.rcv, c.snd, &rx);
		window = env_window(&c, &rx);
		if (i & 2)
			assert_int_equal(window, TCP_WINDOW_SHARED);
		else
			assert_in_range(window, 2 * TCP_WINDOW_SHARED,
					TCP_WINDOW_MAX);
		close(c.fd);
	}
}

/* Beside others it receives once in a turn, for one batch of frames */
static void test_company_rounds(void **state)
{
	static uint8_t bytes[60000];
	const unsigned batch = 2;
	struct env_conn c;
	unsigned i;

	for (i = 0; i < 4; i++) {
		open_beside(state, &c, i & 1 ? PEER6 : PEER4, i & 2);
		env.tap.facts.batch = batch;
		assert_int_equal(send(c.fd, bytes, sizeof(bytes), 0),
				 sizeof(bytes));
		/* The first turn has the event, and goes on as the next do */
		env_wait();
		env_drop();
		env_turn();
		if (i & 2)
			assert_int_equal(tap_mem.n, batch);
		else
			assert_in_range(tap_mem.n, 2 * batch, 8 * batch);
		close(c.fd);
	}
}

#define T(f) cmocka_unit_test_setup(f, tcp_env_reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_bulk_count),     T(test_bulk_once),
		T(test_burst),          T(test_burst_waits),
		T(test_share),          T(test_company_window),
		T(test_company_rounds),
	};

	return cmocka_run_group_tests(tests, tcp_env_start, NULL);
}
