/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How UDP flows end: by time, or as others need their place */
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/unit/fds.h"
#include "test/unit/with_udp.h"

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Run the loop until @used flows are left. Return: ms it took */
static uint64_t until_used(uint32_t used)
{
	uint64_t start = now_ms();

	while (udp_env.flows.used != used) {
		assert_true(now_ms() - start < 5000);
		loop_turn(&udp_env.loop, 100);
	}
	return now_ms() - start;
}

/* Flows end when unused: sooner if they never went both ways */
static void test_timeouts(void **state)
{
	int fd = udp_env_socket(PEER4, 4000);
	struct udp_env_dgram d;
	unsigned i;

	(void)state;
	assert_int_equal(udp_env.udp.timeout, 30000);
	assert_int_equal(udp_env.udp.timeout_stream, 120000);
	udp_env.udp.timeout = 60;
	udp_env.udp.timeout_stream = 300;

	loop_turn(&udp_env.loop, 0);
	udp_env_guest_sends(&(struct udp_env_send){ .dst = PEER4,
						    .sport = 5000,
						    .dport = 4000 },
			    "a", 1);
	udp_env_guest_sends(&(struct udp_env_send){ .dst = PEER4,
						    .sport = 5001,
						    .dport = 4000 },
			    "a", 1);
	for (i = 0; i < 2; i++) {
		udp_env_guest_sends(&(struct udp_env_send){ .dst = PEER4,
							    .sport = 5000,
							    .dport = 4000 },
				    "a", 1);
		udp_env_send_to(fd, PEER4, 5000, "b", 1);
		assert_true(udp_env_guest_gets(&d));
	}
	assert_int_equal(udp_env.flows.used, 2);
	assert_in_range(until_used(1), 40, 250);
	assert_in_range(until_used(0), 150, 1000);
	udp_env_close(fd);
}

/* A full table costs the flow unused for longest, not the new one */
static void test_evict(void **state)
{
	int fd = udp_env_socket(PEER4, 4000);
	struct udp_env_send s = { .dst = PEER4, .dport = 4000 };
	struct udp_env_dgram d;
	unsigned i;

	(void)state;
	for (i = 0; i < ENV_FLOWS; i++) {
		s.sport = (in_port_t)(5000 + i);
		udp_env_guest_sends(&s, "a", 1);
	}
	assert_int_equal(udp_env.flows.used, ENV_FLOWS);
	s.sport = 5000; /* used again: the next is the oldest */
	udp_env_guest_sends(&s, "a", 1);
	for (i = 0; i < 10; i++) {
		s.sport = (in_port_t)(6000 + i);
		udp_env_guest_sends(&s, "b", 1);
	}
	assert_int_equal(udp_env.udp.stats.evicted, 10);
	assert_int_equal(udp_env.udp.stats.table_full, 0);
	assert_int_equal(udp_env.flows.used, ENV_FLOWS);
	for (i = 0; i < 10; i++) {
		udp_env_send_to(fd, PEER4, (in_port_t)(i ? 6000 + i : 5000),
				"c", 1);
		assert_true(udp_env_guest_gets(&d));
		assert_int_equal(d.dport, i ? 6000 + i : 5000);
	}
	udp_env_send_to(fd, PEER4, 5001, "c", 1);
	assert_true(udp_env_guest_gets_nothing());
	udp_env_close(fd);
}

/* Descriptors run out: likewise */
static void test_evict_fd(void **state)
{
	struct udp_env_send s = { .dst = PEER4, .dport = 4000 };
	int fd = udp_env_socket(PEER4, 4000);
	unsigned i;

	(void)state;
	fds_leave(4);
	for (i = 0; i < 20; i++) {
		s.sport = (in_port_t)(5000 + i);
		udp_env_guest_sends(&s, "a", 1);
		assert_int_equal(udp_env_recv(fd, got, sizeof(got), NULL, NULL),
				 1);
	}
	fds_back();
	assert_in_range(udp_env.flows.used, 1, 4);
	assert_int_equal(udp_env.udp.stats.evicted, 20 - udp_env.flows.used);
	udp_env_close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, udp_env_reset)
	const struct CMUnitTest tests[] = {
		T(test_timeouts),
		T(test_evict),
		T(test_evict_fd),
	};

	return cmocka_run_group_tests(tests, udp_env_start, NULL);
}
