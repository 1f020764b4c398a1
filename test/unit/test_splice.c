/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Spliced connections over loopback: nothing lost, doubled, refused without a word */
#include "test/unit/fds.h"
#include "test/unit/with_splice.h"

/* From now on pipes have one page */
static void small_pool(void)
{
	struct pipe p[4];
	unsigned i;

	drop_pool();
	for (i = 0; i < 4; i++) {
		p[i].slots = 0;
		assert_int_equal(pipe_get(&p[i]), 0);
		assert_int_equal(fcntl(p[i].wr, F_SETPIPE_SZ, 4096), 4096);
		p[i].slots = 1;
	}
	for (i = 0; i < 4; i++)
		pipe_put(&p[i]);
}

#define V4  &inany_loopback4
#define V6  &inany_loopback6
#define H   PIF_HOST
#define N   PIF_SPLICE
#define MAX CHUNK
#define BUF 32768

static void test_random(void **state)
{
	static const struct {
		const union inany_addr *a;
		enum pif to;
		int buf;
		bool small;
		uint32_t chunk;
		uint64_t len[2];
	} c[] = {
		{ V4, H, 0, false, MAX, { 8e6, 8e6 } },
		{ V6, H, 0, false, MAX, { 8e6, 5e6 } },
		{ V4, N, 0, true, MAX, { 3e6, 2e6 } },
		{ V6, N, BUF, false, MAX, { 2e6, 1e6 } },
		{ V4, H, BUF, true, MAX, { 4e5, 6e5 } },
		{ V4, H, 0, false, 3, { 20000, 30000 } },
		{ V4, H, 0, true, 3, { 20000, 10000 } },
		{ V6, H, BUF, true, 700, { 2e5, 1e5 } },
		{ V4, H, 0, false, 9000, { 0, 2e6 } },
		{ V4, H, 0, false, 9000, { 2e6, 0 } },
		{ V4, H, 0, false, 1, { 0, 0 } },
		{ V4, H, 0, false, 1, { 1, 1 } },
	};
	struct path p;
	unsigned i, run;

	(void)state;
	for (run = 0; run < 3; run++) {
		for (i = 0; i < sizeof(c) / sizeof(*c); i++) {
			seed = 1 + i + 100 * run;
			if (c[i].small)
				small_pool();
			else
				drop_pool();
			path_open(&p, c[i].a, c[i].to, c[i].buf);
			p.end[0].to_send = c[i].len[0];
			p.end[1].to_send = c[i].len[1];
			play(&p, c[i].chunk);
			path_close(&p);
		}
	}
	drop_pool();
	assert_int_equal(nlarge, 0);
}

/* A request, its answer, many times: no pipe is held in between, none lost */
static void test_ping_pong(void **state)
{
	struct path p;
	unsigned i;

	(void)state;
	drop_pool();
	path_open(&p, &inany_loopback4, PIF_HOST, 0);
	for (i = 1; i <= 1000; i++) {
		p.end[0].to_send = p.end[1].to_send = i;
		assert_true(end_send(&p.end[0], 1));
		while (!end_recv(&p.end[1], 1))
			assert_true(loop_turn(&loop, WAIT_MS) > 0);
		assert_true(end_send(&p.end[1], 1));
		while (!end_recv(&p.end[0], 1))
			assert_true(loop_turn(&loop, WAIT_MS) > 0);
		assert_int_equal(p.c->dir[0].pipe.slots, 0);
		assert_int_equal(p.c->dir[1].pipe.slots, 0);
	}
	assert_int_equal(npool, 1);
	path_close(&p);
}

/* localhost, by IPv6 first: who listens by IPv4 only is found all the same */
static void test_other_target(void **state)
{
	const union inany_addr *a = &inany_loopback6;
	struct flowside ini = { .eaddr = *a, .oaddr = *a, .oport = PORT };
	const struct flowside tgt = { .eaddr = *a,
				      .oaddr = inany_any6,
				      .eport = PORT + 1 };
	struct end e, srv;
	int l, fd, t;
	unsigned i;

	(void)state;
	/* localhost; another address; localhost, where nobody listens at all */
	for (i = 0; i < 3; i++) {
		l = listener(a, PORT);
		t = listener(&inany_loopback4, PORT + (i < 2 ? 1 : 2));
		ini.oaddr = i == 1 ? inany_any6 : *a;
		e = (struct end){ .fd = client(a, PORT),
				  .stream = 1,
				  .to_send = 10 };
		fd = accept_soon(l);
		end_send(&e, 10);
		tcp_splice_new(&tcp, fd, PIF_HOST, PIF_HOST, &ini, &tgt);
		if (!i) {
			srv = (struct end){ .fd = accept_soon(t),
					    .stream = 2,
					    .to_send = 20 };
			end_send(&srv, 20); /* an answer */
			end_fin(&srv);
			end_fin(&e);
			relay();
			end_drain(&srv);
			assert_int_equal(srv.got, 10);
			assert_true(srv.eof);
			end_drain(&e);
			assert_int_equal(e.got, 20);
			close(srv.fd);
			relay();
		} else {
			end_drain(&e);
			assert_int_equal(e.error, ECONNRESET);
		}
		assert_int_equal(flows.used, 0);
		close(e.fd);
		close(l);
		close(t);
	}
}

/* The client is told */
static void test_no_descriptor(void **state)
{
	const union inany_addr *a = &inany_loopback4;
	const struct flowside ini = { .oport = PORT };
	const struct flowside tgt = { .eaddr = *a,
				      .oaddr = inany_any4,
				      .eport = PORT };
	int l = listener(a, PORT), fd;
	struct end e = { .fd = client(a, PORT) };

	(void)state;
	fd = accept_soon(l);
	log_level(LOG_ERR);
	fds_leave(0);
	assert_false(tcp_splice_new(&tcp, fd, PIF_HOST, PIF_HOST, &ini, &tgt));
	fds_back();
	log_level(LOG_WARNING);
	assert_int_equal(tcp.stats.no_fd, 1);
	assert_int_equal(flows.used, 0);
	end_drain(&e);
	assert_int_equal(e.error, ECONNRESET);
	close(e.fd);
	close(l);
}

/* No pipe to be had for a while: bytes wait, nothing is lost */
static void test_no_pipe(void **state)
{
	struct path p;

	(void)state;
	path_open(&p, &inany_loopback4, PIF_HOST, 0);
	drop_pool();
	log_level(LOG_ERR);
	fds_leave(0);
	p.end[0].to_send = 5000;
	assert_true(end_send(&p.end[0], 5000));
	end_fin(&p.end[0]);
	relay();
	assert_false(end_recv(&p.end[1], CHUNK));
	fds_back();
	log_level(LOG_WARNING);
	end_drain(&p.end[1]);
	assert_true(p.end[1].eof);
	assert_int_equal(p.end[1].got, 5000);
	path_close(&p);
}

/* splice(2) stops at urgent data; the stream must not, nor lose the byte */
static void test_urgent(void **state)
{
	unsigned round;
	struct path p;
	uint8_t b;

	(void)state;
	path_open(&p, &inany_loopback4, PIF_HOST, 0);
	for (round = 0; round < 4; round++) {
		p.end[0].to_send += 100;
		assert_true(end_send(&p.end[0], 100));
		if (round & 1)
			relay();
		b = byte_at(p.end[0].sent, 1);
		assert_int_equal(send(p.end[0].fd, &b, 1, MSG_OOB), 1);
		p.end[0].sent++;
		p.end[0].to_send += 101;
		if (round & 2)
			relay();
		assert_true(end_send(&p.end[0], 100));
		relay();
		while (end_recv(&p.end[1], CHUNK))
			;
		assert_int_equal(p.end[1].got, p.end[0].sent);
	}
	path_close(&p);
}

static void test_table_full(void **state)
{
	const union inany_addr *a = &inany_loopback4;
	const struct flowside ini = { .oport = PORT };
	const struct flowside tgt = { .eaddr = *a,
				      .oaddr = inany_any4,
				      .eport = PORT };
	int l = listener(a, PORT), fd;
	struct end e = { .fd = client(a, PORT) };
	struct flow *f[FLOWS];
	unsigned i;

	(void)state;
	for (i = 0; i < FLOWS; i++)
		assert_non_null(f[i] = flow_new(&flows, FLOW_PING));
	fd = accept_soon(l);
	log_level(LOG_ERR);
	assert_false(tcp_splice_new(&tcp, fd, PIF_HOST, PIF_HOST, &ini, &tgt));
	log_level(LOG_WARNING);
	end_drain(&e);
	assert_int_equal(e.error, ECONNRESET);
	assert_int_equal(tcp.stats.table_full, 1);
	for (i = 0; i < FLOWS; i++)
		flow_free(&flows, f[i]);
	close(e.fd);
	close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ping_pong),
		cmocka_unit_test(test_other_target),
		cmocka_unit_test(test_no_descriptor),
		cmocka_unit_test(test_no_pipe),
		cmocka_unit_test(test_urgent),
		cmocka_unit_test(test_table_full),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
