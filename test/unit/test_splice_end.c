/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ends of spliced connections: behind what came before, told to both, none forgotten */
#include "test/unit/with_splice.h"

/* The reader begins only after the writer has ended: the end comes last */
static void test_eof_behind_bytes(void **state)
{
	static const uint64_t len[] = { 1, 4096, 70000, 200000, 900000 };
	unsigned i, s, held = 0;
	struct path p;

	(void)state;
	for (i = 0; i < sizeof(len) / sizeof(*len) * 2; i++) {
		s = i % 2;
		path_open(&p, &inany_loopback4, PIF_HOST, 16384);
		fill(&p, s, len[i / 2]);
		end_fin(&p.end[s]);
		relay();
		/* Little by little, to see the end wait behind the pipe */
		while (!p.end[!s].eof) {
			assert_int_equal(p.end[!s].error, 0);
			if (!end_recv(&p.end[!s], 1000))
				assert_true(loop_turn(&loop, WAIT_MS) > 0);
			if (p.c->dir[s].eof && p.c->dir[s].queued)
				held++;
		}
		assert_int_equal(p.end[!s].got, p.end[s].sent);

		/* The other way lives on */
		p.end[!s].to_send = 100000;
		while (p.end[!s].sent < 100000) {
			end_send(&p.end[!s], CHUNK);
			end_recv(&p.end[s], CHUNK);
			loop_turn(&loop, 0);
		}
		end_fin(&p.end[!s]);
		end_drain(&p.end[s]);
		assert_true(p.end[s].eof);
		assert_int_equal(p.end[s].got, 100000);
		path_close(&p);
	}
	assert_true(held);
}

/* A reset comes out on the other side, behind what came before it */
static void test_reset(void **state)
{
	static const uint64_t len[] = { 0, 1, 1000, 30000 };
	unsigned i, s, late;
	struct path p;

	(void)state;
	for (i = 0; i < sizeof(len) / sizeof(*len); i++) {
		for (s = 0; s < 2; s++) {
			for (late = 0; late < 2; late++) {
				path_open(&p, &inany_loopback6, PIF_HOST, 0);
				relay();
				p.end[s].to_send = len[i];
				end_send(&p.end[s], CHUNK);
				assert_int_equal(p.end[s].sent, len[i]);
				if (late)
					relay();
				sock_close_rst(p.end[s].fd);
				p.end[s].fd = -1;
				end_drain(&p.end[!s]);
				assert_int_equal(p.end[!s].got, len[i]);
				assert_int_equal(p.end[!s].error, ECONNRESET);
				path_close(&p);
			}
		}
	}
}

/* The same with a slow reader: what our sockets hold still arrives */
static void test_reset_slow_reader(void **state)
{
	uint64_t held;
	struct path p;

	(void)state;
	path_open(&p, &inany_loopback4, PIF_HOST, 32768);
	fill(&p, 0, 10000000);
	held = p.end[0].sent;
	assert_true(p.c->dir[0].blocked && p.c->dir[0].queued > 32768);
	held = p.c->dir[0].queued;
	sock_close_rst(p.end[0].fd);
	p.end[0].fd = -1;
	relay();
	/* It may take longer than what is granted to a socket's own bytes */
	p.c->tries = UNSENT_RETRIES;
	relay();
	assert_int_equal(flows.used, 1);
	assert_true(p.c->dir[0].queued);
	p.c->tries = 0;
	end_drain(&p.end[1]);
	assert_int_equal(p.end[1].error, ECONNRESET);
	/* Only what had not left the client's own socket may be missing */
	assert_true(p.end[1].got > held && p.end[1].got <= p.end[0].sent);
	path_close(&p);
}

/* The reader is gone instead, or all of it: nothing is kept, nothing mixed up */
static void test_reset_with_bytes(void **state)
{
	struct path p;
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++) {
		drop_pool();
		path_open(&p, &inany_loopback4, PIF_HOST, 16384);
		fill(&p, 0, 10000000);
		assert_true(p.c->dir[0].queued);
		if (i < 2) {
			close(p.end[1 - i].fd);
			p.end[1 - i].fd = -1;
		} else {
			flows_close(&flows, give_up);
		}
		relay();
		path_close(&p);
	}
}

/* An answer, then a reset for a request still being sent (RFC 1122 4.2.2.13):
 * the client can read the answer
 */
static void test_answer_then_reset(void **state)
{
	struct path p;

	(void)state;
	path_open(&p, &inany_loopback4, PIF_HOST, 0);
	p.end[0].to_send = 300000;
	end_send(&p.end[0], CHUNK);
	relay();
	p.end[1].to_send = 500;
	assert_true(end_send(&p.end[1], 500));
	close(p.end[1].fd); /* with bytes unread: reset */
	p.end[1].fd = -1;
	end_send(&p.end[0], CHUNK);
	end_drain(&p.end[0]);
	assert_int_equal(p.end[0].got, 500);
	assert_int_equal(p.end[0].error, ECONNRESET);
	path_close(&p);
}

/* One side ended properly, then the other is reset */
static void test_fin_then_reset(void **state)
{
	unsigned s;
	struct path p;

	(void)state;
	for (s = 0; s < 2; s++) {
		path_open(&p, &inany_loopback4, PIF_HOST, 0);
		end_fin(&p.end[s]);
		end_drain(&p.end[!s]);
		sock_close_rst(p.end[s].fd);
		p.end[s].fd = -1;
		relay();
		/* The end was told before, the error is found by sending */
		assert_int_equal(sock_error(p.end[!s].fd), EPIPE);
		path_close(&p);
	}
}

static void test_connect_refused(void **state)
{
	const struct flowside ini = { .oport = PORT };
	struct flowside tgt = { .eport = PORT + 1 };
	const union inany_addr *a;
	struct end e;
	unsigned i;
	int l, fd;

	(void)state;
	for (i = 0; i < 2; i++) {
		a = i ? &inany_loopback6 : &inany_loopback4;
		tgt.eaddr = *a;
		tgt.oaddr = i ? inany_any6 : inany_any4;
		l = listener(a, PORT);
		e = (struct end){ .fd = client(a, PORT),
				  .stream = 1,
				  .to_send = 10 };
		fd = accept_soon(l);
		end_send(&e, 10);
		tcp_splice_new(&tcp, fd, PIF_HOST, PIF_HOST, &ini, &tgt);
		end_drain(&e);
		assert_int_equal(e.error, ECONNRESET);
		assert_int_equal(flows.used, 0);
		close(e.fd);
		close(l);
	}
}

/* A client gone before the target answers takes the connection with it */
static void test_reset_while_connecting(void **state)
{
	const union inany_addr *a = &inany_loopback4;
	const struct flowside ini = { .oport = PORT };
	const struct flowside tgt = { .eaddr = *a,
				      .oaddr = inany_any4,
				      .eport = PORT + 1 };
	int l = listener(a, PORT), t = listener(a, PORT + 1);
	int c = client(a, PORT), fd = accept_soon(l);
	struct end e = { 0 };

	(void)state;
	assert_true(tcp_splice_new(&tcp, fd, PIF_HOST, PIF_HOST, &ini, &tgt));
	sock_close_rst(c);
	relay();
	assert_int_equal(flows.used, 0);
	e.fd = accept_soon(t);
	end_drain(&e);
	assert_int_equal(e.error, ECONNRESET);
	close(e.fd);
	close(l);
	close(t);
}

/* Late events of a slot's earlier connection say nothing about this one */
static void test_stale_event(void **state)
{
	union epoll_ref ref = { .type = EPOLL_TCP_SPLICE };
	struct path p;

	(void)state;
	path_open(&p, &inany_loopback4, PIF_HOST, 0);
	ref.id = flow_idx(&flows, &p.c->f);
	ref.pad = (uint16_t)(p.c->gen - 1);
	tcp_splice_event(&tcp, ref, EPOLLERR | EPOLLHUP);
	assert_int_equal(flows.used, 1);
	ref.pad = p.c->gen;
	ref.id++;
	tcp_splice_event(&tcp, ref, EPOLLERR | EPOLLHUP);
	assert_int_equal(flows.used, 1);
	path_close(&p);
}

/* Given up: both sides see a reset */
static void test_close(void **state)
{
	struct path p;
	unsigned s;

	(void)state;
	path_open(&p, &inany_loopback4, PIF_HOST, 0);
	relay();
	flows_close(&flows, give_up);
	assert_int_equal(flows.used, 0);
	for (s = 0; s < 2; s++) {
		end_drain(&p.end[s]);
		assert_int_equal(p.end[s].error, ECONNRESET);
	}
	path_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eof_behind_bytes),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_reset_slow_reader),
		cmocka_unit_test(test_reset_with_bytes),
		cmocka_unit_test(test_answer_then_reset),
		cmocka_unit_test(test_fin_then_reset),
		cmocka_unit_test(test_connect_refused),
		cmocka_unit_test(test_reset_while_connecting),
		cmocka_unit_test(test_stale_event),
		cmocka_unit_test(test_close),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
