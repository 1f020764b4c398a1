/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ends of TCP connections: FIN, RST, errors, from either side and both */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/fake/tcp_env.h"
#include "test/fake/flows.h"

static void peer_sends(const struct env_conn *c, size_t off, size_t len)
{
	assert_int_equal(send(c->fd, env_pattern + off, len, 0), (ssize_t)len);
}

/* Reset from the peer */
static void peer_resets(struct env_conn *c)
{
	sock_close_rst(c->fd);
	c->fd = -1;
}

static void guest_rst(const struct env_conn *c, uint32_t seq)
{
	const struct env_tx rst = { .seq = seq, .flags = TH_RST };

	env_send(c, &rst, 1);
}

/* The guest closes first; data still goes the other way */
static void test_guest_first(void **state)
{
	struct env_conn c;
	struct env_rx rx;
	char buf[8];

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	env_data(&c, TH_ACK | TH_FIN, "bye", 3);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	assert_int_equal(recv(c.fd, buf, sizeof(buf), 0), 3);
	env_peer_eof(c.fd);
	peer_sends(&c, 0, 500);
	env_want(&c, &rx);
	assert_int_equal(rx.len, 500);
	assert_int_equal(rx.ack, c.snd);
	env_ack(&c, c.rcv + 500);
	close(c.fd);
	env_want_bare(&c, TH_FIN | TH_ACK, c.rcv, c.snd, NULL);
	assert_non_null(env_flow());
	env_ack(&c, c.rcv + 1);
	assert_null(env_flow());
	env_want_none();
}

/* The peer closes first; data still goes the other way */
static void test_peer_first(void **state)
{
	struct env_conn c;
	struct env_rx rx;

	(void)state;
	env_open(&c, PEER6, 1000, 7, 1000);
	peer_sends(&c, 0, 2500);
	shutdown(c.fd, SHUT_WR);
	env_want(&c, &rx);
	env_want(&c, &rx);
	env_want(&c, &rx);
	assert_int_equal(rx.len, 500);
	env_want_bare(&c, TH_FIN | TH_ACK, c.rcv + 2500, c.snd, NULL);
	env_ack(&c, c.rcv + 2501);
	env_want_none();
	env_data(&c, TH_ACK, "more", 4);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	env_peer_reads(c.fd, "more", 4);
	env_data(&c, TH_ACK | TH_FIN, NULL, 0);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	assert_null(env_flow());
	env_peer_eof(c.fd);
	close(c.fd);
}

/* Both at once, in each order of the last two steps */
static void test_simultaneous(void **state)
{
	struct env_conn c;
	char buf[8];

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	shutdown(c.fd, SHUT_WR);
	env_want_bare(&c, TH_FIN | TH_ACK, c.rcv, c.snd, NULL);
	/* crossing: acknowledges nothing yet */
	env_data(&c, TH_FIN | TH_ACK, NULL, 0);
	env_want_bare(&c, TH_ACK, c.rcv + 1, c.snd, NULL);
	assert_non_null(env_flow());
	env_ack(&c, c.rcv + 1);
	assert_null(env_flow());
	env_want_none();
	env_peer_eof(c.fd);
	close(c.fd);

	/* FIN that acknowledges ours */
	env_open(&c, PEER4, 1000, 7, 1000);
	shutdown(c.fd, SHUT_WR);
	env_want_bare(&c, TH_FIN | TH_ACK, c.rcv, c.snd, NULL);
	c.rcv++;
	env_data(&c, TH_FIN | TH_ACK, "last", 4);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	assert_null(env_flow());
	assert_int_equal(recv(c.fd, buf, sizeof(buf), 0), 4);
	env_peer_eof(c.fd);
	close(c.fd);
}

/* FIN lost: again, at the same place, until it is acknowledged */
static void test_fin_lost(void **state)
{
	struct env_conn c;
	unsigned i;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	shutdown(c.fd, SHUT_WR);
	env_want_bare(&c, TH_FIN | TH_ACK, c.rcv, c.snd, NULL);
	for (i = 0; i < 4; i++) {
		env_sleep((400U << i) + 10);
		env_want_bare(&c, TH_FIN | TH_ACK, c.rcv, c.snd, NULL);
		env_want_none();
	}
	env_data(&c, TH_ACK, "x", 1);
	env_want_bare(&c, TH_ACK, c.rcv + 1, c.snd, NULL);
	env_ack(&c, c.rcv + 1);
	env_sleep(60000);
	env_want_none();
	close(c.fd);
}

/* Next frame, however long it takes on our clock */
static void want_later(const struct env_conn *c, struct env_rx *rx)
{
	unsigned i;

	for (i = 0; i < 1000 && env.late == tap_mem.n; i++)
		env_sleep(100);
	env_want(c, rx);
}

/* Data and FIN lost, or only some of it, or only the ACKs: by timeout or by
 * duplicates, the FIN stands where it stood
 */
static void fin_after(unsigned acked, bool rto, unsigned acked2, bool peek_off)
{
	struct env_conn c;
	struct env_rx rx;
	uint32_t base, at;

	env.features.peek_off = peek_off;
	env_open(&c, PEER4, 1000, 7, 1000);
	base = c.rcv;
	peer_sends(&c, 0, 3000);
	shutdown(c.fd, SHUT_WR);
	do
		env_want(&c, &rx);
	while (!(rx.flags & TH_FIN));
	assert_int_equal(rx.seq, base + 3000);
	env_ack(&c, base + acked);
	if (acked == 3001)
		goto done;
	if (rto) {
		env_sleep(450);
	} else {
		unsigned i;

		for (i = 0; i < 4; i++)
			env_ack(&c, base + acked);
	}
	/* What is repeated begins there, and is the very same */
	env_want(&c, &rx);
	assert_int_equal(rx.seq, base + acked);
	assert_memory_equal(rx.data, env_pattern + acked, rx.len);
	at = rx.seq + (uint32_t)rx.len;
	assert_int_equal(!!(rx.flags & TH_FIN), acked == 3000);
	env_ack(&c, base + (acked2 > acked ? acked2 : acked));
	/* Whatever comes now: never beyond the FIN, and FIN only there */
	while (c.rcv != base + 3001) {
		want_later(&c, &rx);
		assert_true(rx.seq - base <= 3000);
		assert_true(rx.seq - base + rx.len <= 3000);
		if (rx.flags & TH_FIN)
			assert_int_equal(rx.seq + rx.len, base + 3000);
		assert_memory_equal(rx.data, env_pattern + (rx.seq - base),
				    rx.len);
		at = rx.seq + (uint32_t)rx.len + !!(rx.flags & TH_FIN);
		if ((int32_t)(at - c.rcv) > 0 && rx.seq == c.rcv)
			env_ack(&c, at);
	}
done:
	assert_int_equal(env_flow()->st.fin,
			 TCP_SOCK_EOF | TCP_FIN_SENT | TCP_FIN_ACKED);
	env_sleep(2000);
	env_drop();
	env_data(&c, TH_FIN | TH_ACK, NULL, 0);
	env_want_bare(&c, TH_ACK, base + 3001, c.snd, NULL);
	assert_null(env_flow());
	close(c.fd);
}

static void test_fin_after(void **state)
{
	static const unsigned at[] = { 0, 1, 1000, 2000, 2999, 3000, 3001 };
	unsigned i, j, k;

	for (i = 0; i < 7; i++)
		for (j = 0; j < 7; j++)
			for (k = 0; k < 4; k++) {
				tcp_env_reset(state);
				fin_after(at[i], k & 1, at[j], k & 2);
			}
}

/* The guest's FIN waits for what is missing before it */
static void test_guest_fin_order(void **state)
{
	struct env_conn c;
	struct env_tx tx[2];

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	tx[0] = (struct env_tx){ .seq = c.snd + 3,
				 .ack = c.rcv,
				 .wnd = 9,
				 .flags = TH_ACK | TH_FIN,
				 .data = "def",
				 .len = 3 };
	tx[1] = (struct env_tx){ .seq = c.snd,
				 .ack = c.rcv,
				 .wnd = 9,
				 .flags = TH_ACK,
				 .data = "abc",
				 .len = 3 };
	env_send(&c, tx, 1); /* only the later */
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	assert_int_equal(env_flow()->st.fin, 0);
	env_send(&c, tx, 2); /* in the wrong order */
	env_want_bare(&c, TH_ACK, c.rcv, c.snd + 7, NULL);
	env_want_none();
	assert_int_equal(env_flow()->st.fin, TCP_GUEST_FIN);
	/* again, and something behind the end */
	env_send(&c, tx, 1);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd + 7, NULL);
	tx[1].seq = c.snd + 7;
	env_send(&c, tx + 1, 1);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd + 7, NULL);
	close(c.fd);
}

/* RST of the guest: exact ones end it, blind ones are answered, old ignored */
static void test_guest_rst(void **state)
{
	struct env_conn c;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	guest_rst(&c, c.snd - 1);
	guest_rst(&c, c.snd + 100000000);
	env_want_none();
	guest_rst(&c, c.snd + 1);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL); /* challenge */
	guest_rst(&c, c.snd + 100);
	env_want_none(); /* not too many of them */
	env_sleep(600);
	guest_rst(&c, c.snd + 100);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	assert_non_null(env_flow());
	assert_int_equal(env.tcp.stats.reset_in, 0);
	guest_rst(&c, c.snd);
	assert_null(env_flow());
	assert_int_equal(env_peer_error(c.fd), ECONNRESET);
	env_want_none();
	assert_int_equal(env.tcp.stats.reset_in, 1);
	close(c.fd);
}

/* SYN within a connection: challenged, harmless */
static void test_blind_syn(void **state)
{
	struct env_conn c;
	struct env_tx syn = { .flags = TH_SYN };

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	syn.seq = c.snd;
	env_send(&c, &syn, 1);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	env_sleep(600);
	syn.seq = 12345;
	syn.flags = TH_SYN | TH_ACK;
	env_send(&c, &syn, 1);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	assert_int_equal(env.tcp.stats.challenge, 2);
	env_data(&c, TH_ACK, "ok", 2);
	env_peer_reads(c.fd, "ok", 2);
	close(c.fd);
}

/* RST of the peer, with nothing left: the guest learns it at once */
static void test_peer_rst(void **state)
{
	struct env_conn c;
	struct env_rx rx;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	peer_resets(&c);
	env_want(&c, &rx);
	assert_true(rx.flags & TH_RST);
	assert_int_equal(rx.seq, c.rcv);
	env_turns();
	assert_null(env_flow());
	env_want_none();
}

/* RST of the peer behind data that the guest has no window for: data first */
static void rst_behind_data(bool guest_sends, bool peek_off)
{
	struct env_conn c;
	struct env_rx rx;
	uint32_t base;

	env.features.peek_off = peek_off;
	env_open(&c, PEER4, 1000, 0, 1000);
	base = c.rcv;
	peer_sends(&c, 0, 3000);
	env_want(&c, &rx);
	assert_int_equal(rx.len, 1000);
	env_want_none();
	peer_resets(&c);
	env_want_none();
	if (guest_sends) {
		env_data(&c, TH_ACK, "nobody reads this", 17);
		env_turns();
	}
	for (c.rcv = base + 1000; c.rcv != base + 3000;) {
		env_ack(&c, c.rcv);
		do
			env_want(&c, &rx);
		while (!rx.len && !(rx.flags & TH_RST));
		assert_false(rx.flags & TH_RST);
		assert_int_equal(rx.seq, c.rcv);
		assert_int_equal(rx.len, 1000);
		assert_memory_equal(rx.data, env_pattern + (rx.seq - base),
				    1000);
		c.rcv += 1000;
	}
	env_ack(&c, c.rcv);
	do
		env_want(&c, &rx);
	while (!(rx.flags & (TH_RST | TH_FIN)));
	assert_true(rx.flags & TH_RST);
	assert_int_equal(rx.seq, base + 3000);
	env_turns();
	assert_null(env_flow());
}

static void test_rst_behind_data(void **state)
{
	unsigned i;

	for (i = 0; i < 4; i++) {
		tcp_env_reset(state);
		rst_behind_data(i & 1, i & 2);
	}
}

/* The peer is gone after its FIN: what the guest sends then is refused */
static void test_rst_after_fin(void **state)
{
	struct env_conn c;
	struct env_rx rx;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	close(c.fd);
	env_want_bare(&c, TH_FIN | TH_ACK, c.rcv, c.snd, NULL);
	env_ack(&c, c.rcv + 1);
	env_data(&c, TH_ACK, "anybody?", 8);
	do
		env_want(&c, &rx);
	while (!(rx.flags & TH_RST));
	assert_int_equal(rx.seq, c.rcv);
	env_turns();
	assert_null(env_flow());
}

/* Peer gone while our SYN-ACK, or SYN, is not answered yet */
static void test_rst_while_opening(void **state)
{
	const struct env_tx syn = { .flags = TH_SYN, .seq = 5 };
	struct env_conn c = {
		.guest = GUEST4, .peer = PEER4, .gport = 1, .pport = 6200
	};
	int l = env_listen(PEER4, 6200), fd;
	struct env_rx rx;

	(void)state;
	env_send(&c, &syn, 1);
	env_want(&c, &rx);
	c.fd = env_accept(l);
	peer_resets(&c);
	env_want_bare(&c, TH_RST | TH_ACK, rx.seq + 1, 6, NULL);
	env_turns();
	assert_null(env_flow());
	close(l);

	env_rule(HOST4, 6201, 80);
	env_forwards();
	fd = env_connect(HOST4, 6201);
	env_wait();
	assert_true(env_get(&rx));
	sock_close_rst(fd);
	env_turns();
	assert_true(env_get(&rx));
	assert_true(rx.flags & TH_RST);
	assert_null(env_flow());
}

/* What ends a connection is told even if the tap is blocked just then */
static void test_end_blocked(void **state)
{
	struct env_conn c;
	struct env_rx rx;

	(void)state;
	/* RST */
	env_open(&c, PEER4, 1000, 7, 1000);
	tap_mem.blocked = true;
	peer_resets(&c);
	env_wait();
	env_turns();
	env_want_none();
	env_sleep(1000);
	tap_mem.blocked = false;
	tcp_tap_ready(&env.tcp);
	env_want(&c, &rx);
	assert_true(rx.flags & TH_RST);
	assert_int_equal(rx.seq, c.rcv);
	env_turns();
	assert_null(env_flow());

	/* our FIN */
	env_open(&c, PEER4, 1000, 7, 1000);
	tap_mem.blocked = true;
	shutdown(c.fd, SHUT_WR);
	env_wait();
	env_turns();
	tap_mem.blocked = false;
	tcp_tap_ready(&env.tcp);
	env_want_bare(&c, TH_FIN | TH_ACK, c.rcv, c.snd, NULL);
	c.rcv++;

	/* the ACK of the guest's, the last segment */
	tap_mem.blocked = true;
	env_data(&c, TH_FIN | TH_ACK, NULL, 0);
	env_turns();
	env_want_none();
	env_peer_eof(c.fd);
	/* the guest repeats its FIN meanwhile, and segments of others come */
	c.snd--;
	env_data(&c, TH_FIN | TH_ACK, NULL, 0);
	tap_mem.blocked = false;
	tcp_tap_ready(&env.tcp);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	env_want_none();
	assert_null(env_flow());
	close(c.fd);
}

/* Given up while something is still owed */
static void test_close_blocked(void **state)
{
	struct env_conn c;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	tap_mem.blocked = true;
	peer_resets(&c);
	env_wait();
	env_turns();
	flows_close(&env.flows, tcp_flow_close);
	assert_int_equal(env.flows.used, 0);
	assert_int_equal(env.tcp.blocked.head, 0);
}

/* The last ACK lost: the guest's FIN comes again, and is told it is over */
static void test_last_ack_lost(void **state)
{
	struct env_conn c;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	shutdown(c.fd, SHUT_WR);
	env_want_bare(&c, TH_FIN | TH_ACK, c.rcv, c.snd, NULL);
	c.rcv++;
	env_data(&c, TH_FIN | TH_ACK, NULL, 0);
	env_turns();
	env_drop();
	c.snd--;
	env_data(&c, TH_FIN | TH_ACK, NULL, 0);
	env_want_bare(&c, TH_RST, c.rcv, 0, NULL);
	close(c.fd);
}

/* Given up: both ends see a reset */
static void test_flow_close(void **state)
{
	struct env_conn c;
	struct env_rx rx;

	(void)state;
	env_open(&c, PEER4, 1000, 7, 1000);
	flows_close(&env.flows, tcp_flow_close);
	assert_int_equal(env.flows.used, 0);
	assert_true(env_get(&rx));
	assert_true(rx.flags & TH_RST);
	assert_int_equal(env_peer_error(c.fd), ECONNRESET);
	close(c.fd);
}

#define T(name) cmocka_unit_test_setup(name, tcp_env_reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_guest_first),   T(test_peer_first),
		T(test_simultaneous),  T(test_fin_lost),
		T(test_fin_after),     T(test_guest_fin_order),
		T(test_guest_rst),     T(test_blind_syn),
		T(test_peer_rst),      T(test_rst_behind_data),
		T(test_rst_after_fin), T(test_rst_while_opening),
		T(test_end_blocked),   T(test_close_blocked),
		T(test_last_ack_lost), T(test_flow_close),
	};

	return cmocka_run_group_tests(tests, tcp_env_start, NULL);
}
