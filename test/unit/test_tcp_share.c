/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP to the guest: what one of many connections may have in flight */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/fake/tcp_env.h"

/* Those that send much are counted, once in a span of time */
static void test_bulk_count(void **state)
{
	const uint64_t span = TCP_BULK_SPAN_MS;
	struct loop loop = { .now = 1000 * span };
	struct tcp tcp = { .loop = &loop };
	struct tcp_conn c[3] = { { .base = 999 * span },
				 { .base = 999 * span + 1 },
				 { .base = 999 * span - 1 } };
	unsigned i, k;

	(void)state;
	for (k = 0; k < 3; k++) {
		for (i = 0; i < 3; i++) {
			tcp_note_bulk(&tcp, &c[i], TCP_BULK_BYTES);
			c[i].base = loop.now;
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

#define T(f) cmocka_unit_test_setup(f, tcp_env_reset)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_bulk_count), T(test_share) };

	return cmocka_run_group_tests(tests, tcp_env_start, NULL);
}
