/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UDP begun by others: listeners, splicing */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/unit/fds.h"
#include "test/unit/with_udp.h"

static uint8_t big[65536];

/* Somebody asks at @asked, the guest answers, the answer comes from there */
static void inbound(const char *rule, const char *peer, const char *asked,
		    const char *guest)
{
	int fd = udp_env_socket(peer, 7000);
	union inany_addr from;
	struct udp_env_dgram d;
	in_port_t port;
	unsigned i;

	udp_env_rule(PIF_HOST, rule, 6000, 6001);
	listen_all();
	for (i = 0; i < 3; i++) {
		udp_env_send_to(fd, asked, 6000, "hi", 2);
		assert_true(udp_env_guest_gets(&d));
		assert_addr(&d.src, peer);
		assert_addr(&d.dst, guest);
		assert_int_equal(d.sport, 7000);
		assert_int_equal(d.dport, 6001);
		assert_int_equal(d.len, 2);

		udp_env_guest_sends(&(struct udp_env_send){ .dst = peer,
							    .sport = 6001,
							    .dport = 7000 },
				    "hello", 5);
		assert_int_equal(
			udp_env_recv(fd, got, sizeof(got), &from, &port), 5);
		assert_addr(&from, asked);
		assert_int_equal(port, 6000);
	}
	assert_int_equal(udp_env.udp.stats.flows, 1);
	udp_env_close(fd);
}

static void test_inbound4(void **state)
{
	(void)state;
	inbound(HOST4, PEER4, HOST4, GUEST4);
}

static void test_inbound6(void **state)
{
	(void)state;
	inbound(HOST6, PEER6, HOST6, GUEST6);
}

/* One socket for all addresses and families */
static void test_inbound_any4(void **state)
{
	(void)state;
	inbound(NULL, PEER4, PEER4B, GUEST4);
	/* It was a connected socket that answered */
	assert_int_equal(udp_env.udp.stats.no_fd, 0);
}

static void test_inbound_any6(void **state)
{
	(void)state;
	inbound(NULL, PEER6, PEER6B, GUEST6);
	assert_int_equal(udp_env.udp.stats.no_fd, 0);
}

/* Several at once, each in the order it sent, also those that were in the
 * listener's queue when their flow began
 */
static void test_order(void **state)
{
	unsigned next[8] = { 0 }, i;
	struct udp_env_dgram d;
	int fd[8];

	(void)state;
	udp_env_rule(PIF_HOST, NULL, 6000, 6000);
	listen_all();
	for (i = 0; i < 8; i++)
		fd[i] = udp_env_socket(PEER4, (in_port_t)(7000 + i));
	for (i = 0; i < 400; i++) {
		big[0] = (uint8_t)(i / 8);
		udp_env_send_to(fd[i % 8], HOST4, 6000, big, 1 + i);
		if (i == 200) /* half of them find sockets of flows */
			loop_turn(&udp_env.loop, 0);
	}
	for (i = 0; i < 400; i++) {
		unsigned k;

		assert_true(udp_env_guest_gets(&d));
		k = d.sport - 7000U;
		assert_true(k < 8);
		assert_int_equal(d.payload[0], next[k]);
		assert_int_equal(d.len, 1 + next[k] * 8 + k);
		next[k]++;
	}
	assert_true(udp_env_guest_gets_nothing());
	assert_int_equal(udp_env.udp.stats.flows, 8);
	for (i = 0; i < 8; i++)
		udp_env_close(fd[i]);
}

/* The flow's socket has something while older datagrams are in the listener */
static void test_catch_up(void **state)
{
	int fd = udp_env_socket(PEER4, 7000);
	struct udp_env_dgram d;
	unsigned i;

	(void)state;
	udp_env_rule(PIF_HOST, NULL, 6000, 6000);
	listen_all();
	sock_set_int(udp_env.fwd.listener[0].fd, SOL_SOCKET, SO_RCVBUFFORCE,
		     4 << 20);
	for (i = 0; i < 268; i++) { /* more than are read in one turn */
		big[0] = (uint8_t)i;
		udp_env_send_to(fd, HOST4, 6000, big, 1);
	}
	loop_turn(&udp_env.loop, 0);
	assert_in_range(tap_mem.n, 1, 267);
	for (; i < 300; i++) {
		big[0] = (uint8_t)i;
		udp_env_send_to(fd, HOST4, 6000, big, 1);
	}
	/* In whatever order events come */
	udp_sock_event(&udp_env.udp, (union epoll_ref){ { .id = 0 } }, EPOLLIN);
	for (i = 0; i < 300; i++) {
		assert_true(udp_env_guest_gets(&d));
		assert_int_equal(d.payload[0], (uint8_t)i);
	}
	udp_env_close(fd);
}

/* No descriptors left: the listener serves all */
static void no_fds(const char *rule, const char *peer, const char *asked)
{
	int a = udp_env_socket(peer, 7000), b = udp_env_socket(peer, 7001);
	union inany_addr from;
	struct udp_env_dgram d;
	in_port_t port;
	unsigned i;

	udp_env_rule(PIF_HOST, rule, 6000, 6000);
	listen_all();
	fds_leave(0);
	assert_int_equal(dup(0), -1);

	for (i = 0; i < 3; i++) {
		udp_env_send_to(a, asked, 6000, "a", 1);
		udp_env_send_to(b, asked, 6000, "bb", 2);
		assert_true(udp_env_guest_gets(&d));
		assert_int_equal(d.sport, 7000);
		assert_true(udp_env_guest_gets(&d));
		assert_int_equal(d.sport, 7001);
		udp_env_guest_sends(&(struct udp_env_send){ .dst = peer,
							    .sport = 6000,
							    .dport = 7001,
							    .n = 2 },
				    "cc", 2);
		assert_int_equal(
			udp_env_recv(b, got, sizeof(got), &from, &port), 2);
		assert_addr(&from, asked);
		assert_int_equal(port, 6000);
		assert_int_equal(
			udp_env_recv(b, got, sizeof(got), &from, &port), 2);
	}
	fds_back();
	assert_int_equal(udp_env.udp.stats.flows, 2);
	assert_int_equal(udp_env.udp.stats.no_fd, 2);

	/* Nobody listens there any more: told by the listener's queue */
	udp_env_close(b);
	udp_env_guest_sends(&(struct udp_env_send){ .dst = peer,
						    .sport = 6000,
						    .dport = 7001 },
			    "cc", 2);
	assert_true(udp_env_guest_gets(&d));
	assert_int_equal(d.proto,
			 strchr(peer, ':') ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	udp_env_close(a);
}

static void test_no_fds4(void **state)
{
	(void)state;
	no_fds(NULL, PEER4, PEER4B);
}

static void test_no_fds6(void **state)
{
	(void)state;
	no_fds(NULL, PEER6, PEER6B);
}

/* The same where the listener is of one family and address */
static void test_no_fds_one4(void **state)
{
	(void)state;
	no_fds(PEER4B, PEER4, PEER4B);
}

static void test_no_fds_one6(void **state)
{
	(void)state;
	no_fds(PEER6B, PEER6, PEER6B);
}

/* The host's loopback is spliced to the namespace, either way */
static void splice(enum pif pif, const char *server, const char *lo)
{
	int fd, srv, i;
	in_port_t port, first = 0;

	if (pif == PIF_HOST) {
		srv = udp_env_ns_socket(server, 6001);
		fd = udp_env_socket(lo, 0);
	} else {
		srv = udp_env_socket(server, 6001);
		fd = udp_env_ns_socket(lo, 0);
	}
	udp_env_rule(pif, lo, 6000, 6001);
	listen_all();
	for (i = 0; i < 3; i++) {
		ssize_t n = i * 30000;

		udp_env_send_to(fd, lo, 6000, big, (size_t)n);
		assert_int_equal(
			udp_env_recv(srv, got, sizeof(got), NULL, &port), n);
		assert_memory_equal(got, big, n);
		if (!i)
			first = port;
		assert_int_equal(port, first);

		udp_env_send_to(srv, strchr(lo, ':') ? "::1" : "127.0.0.1",
				port, "re", 2);
		assert_int_equal(
			udp_env_recv(fd, got, sizeof(got), NULL, &port), 2);
		assert_int_equal(port, 6000);
	}
	assert_int_equal(udp_env.udp.stats.spliced, 1);
	assert_true(udp_env_guest_gets_nothing());
	udp_env_close(fd);
	udp_env_close(srv);
}

static void test_splice_in4(void **state)
{
	(void)state;
	udp_env.opts.host_lo_to_ns_lo = true;
	splice(PIF_HOST, "127.0.0.1", "127.0.0.1");
}

static void test_splice_in6(void **state)
{
	(void)state;
	udp_env.opts.host_lo_to_ns_lo = true;
	splice(PIF_HOST, "::1", "::1");
}

static void test_splice_out4(void **state)
{
	(void)state;
	splice(PIF_SPLICE, "127.0.0.1", "127.0.0.1");
}

static void test_splice_out6(void **state)
{
	(void)state;
	splice(PIF_SPLICE, "::1", "::1");
}

/* Many at once, and the service in the namespace is not there at first */
static void test_splice_burst(void **state)
{
	int srv, fd = udp_env_socket("127.0.0.1", 0);
	unsigned i;

	(void)state;
	udp_env.opts.host_lo_to_ns_lo = true;
	udp_env_rule(PIF_HOST, "127.0.0.1", 6000, 6001);
	listen_all();
	udp_env_send_to(fd, "127.0.0.1", 6000, "?", 1);
	udp_env_turns();
	udp_env_turns();
	assert_int_equal(udp_env.udp.stats.errors, 1);

	srv = udp_env_ns_socket("127.0.0.1", 6001);
	for (i = 0; i < 700; i++) {
		big[0] = (uint8_t)i;
		udp_env_send_to(fd, "127.0.0.1", 6000, big, 100);
	}
	for (i = 0; i < 700; i++) {
		assert_int_equal(
			udp_env_recv(srv, got, sizeof(got), NULL, NULL), 100);
		assert_int_equal(got[0], (uint8_t)i);
	}
	assert_int_equal(udp_env.udp.stats.flows, 1);
	udp_env_close(fd);
	udp_env_close(srv);
}

/* Peers that differ must not look the same to the guest */
static void test_twins(void **state)
{
	int a = udp_env_socket("127.0.0.2", 7000),
	    b = udp_env_socket("127.0.0.3", 7000);
	struct udp_env_dgram d, e;

	(void)state;
	udp_env.opts.no_splice = true;
	udp_env_rule(PIF_HOST, "127.0.0.1", 6000, 6000);
	listen_all();
	udp_env_send_to(a, "127.0.0.1", 6000, "a", 1);
	assert_true(udp_env_guest_gets(&d));
	udp_env_send_to(b, "127.0.0.1", 6000, "b", 1);
	assert_true(udp_env_guest_gets(&e));
	assert_addr(&d.src, GW4);
	assert_addr(&e.src, GW4);
	assert_int_not_equal(d.sport, e.sport);
	udp_env_guest_sends(&(struct udp_env_send){ .dst = GW4,
						    .sport = 6000,
						    .dport = e.sport },
			    "to b", 4);
	assert_int_equal(udp_env_recv(b, got, sizeof(got), NULL, NULL), 4);
	assert_int_equal(recv(a, got, sizeof(got), MSG_DONTWAIT), -1);
	udp_env_close(a);
	udp_env_close(b);
}

/* What was begun by the guest goes on, though it comes by the listener */
static void test_listener_and_guest(void **state)
{
	int fd = udp_env_socket(PEER4, 4000);
	struct udp_env_dgram d;

	(void)state;
	udp_env_rule(PIF_HOST, NULL, 5000, 5000);
	listen_all();
	udp_env_send_to(fd, HOST4, 5000, "early", 5);
	udp_env_guest_sends(&(struct udp_env_send){ .dst = PEER4,
						    .sport = 5000,
						    .dport = 4000 },
			    "a", 1);
	assert_true(udp_env_guest_gets(&d));
	assert_int_equal(d.len, 5);
	assert_addr(&d.src, PEER4);
	assert_int_equal(udp_env.udp.stats.flows, 1);
	udp_env_send_to(fd, PEER4, 5000, "late", 4);
	assert_true(udp_env_guest_gets(&d));
	assert_int_equal(d.len, 4);
	assert_int_equal(udp_env.udp.stats.flows, 1);
	udp_env_close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, udp_env_reset)
	const struct CMUnitTest tests[] = {
		T(test_inbound4),
		T(test_inbound6),
		T(test_inbound_any4),
		T(test_inbound_any6),
		T(test_order),
		T(test_catch_up),
		T(test_no_fds4),
		T(test_no_fds6),
		T(test_no_fds_one4),
		T(test_no_fds_one6),
		T(test_splice_in4),
		T(test_splice_in6),
		T(test_splice_out4),
		T(test_splice_out6),
		T(test_splice_burst),
		T(test_twins),
		T(test_listener_and_guest),
	};

	return cmocka_run_group_tests(tests, udp_env_start, NULL);
}
