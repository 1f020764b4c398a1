/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UDP: what looks like something else, or lacks all descriptors */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/unit/fds.h"
#include "test/unit/with_udp.h"
#include "udp/internal.h"

/* No descriptor at all, and no flow whose it could be: what needs a socket of its
 * own is dropped, and goes on as soon as there is one
 */
static void none(const char *peer, const char *lo)
{
	int fd = udp_env_socket(peer, 4000), srv = udp_env_ns_socket(lo, 6001),
	    c = udp_env_socket(lo, 0);
	struct udp_env_send s = { .dst = peer, .sport = 5000, .dport = 4000 };

	udp_env.opts.host_lo_to_ns_lo = true;
	udp_env_rule(PIF_HOST, lo, 6000, 6001);
	listen_all();
	fds_leave(0);
	udp_env_guest_sends(&s, "a", 1);
	udp_env_send_to(c, lo, 6000, "bb", 2);
	udp_env_turns();
	fds_back();
	assert_int_equal(udp_env.udp.stats.no_fd, 2);
	assert_int_equal(udp_env.flows.used, 0);

	udp_env_guest_sends(&s, "ccc", 3);
	assert_int_equal(udp_env_recv(fd, got, sizeof(got), NULL, NULL), 3);
	udp_env_send_to(c, lo, 6000, "dddd", 4);
	assert_int_equal(udp_env_recv(srv, got, sizeof(got), NULL, NULL), 4);
	assert_int_equal(udp_env.udp.stats.no_fd, 2);
}

static void test_none4(void **state)
{
	(void)state;
	none(PEER4, "127.0.0.1");
}

static void test_none6(void **state)
{
	(void)state;
	none(PEER6, "::1");
}

/* The one flow there is */
static struct udp_flow *the_flow(void)
{
	struct udp_flow *f = NULL;
	uint32_t i;

	for (i = 0; i < ENV_FLOWS && !f; i++)
		f = (struct udp_flow *)flow_at(&udp_env.flows, i, FLOW_UDP);
	assert_non_null(f);
	return f;
}

/* A datagram of somebody else into a socket of a flow, as may happen before it is
 * connected; connected again before it is read
 */
static void stray(int from, int to, const union inany_addr *a, in_port_t port,
		  const void *buf, size_t len)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	union sockaddr_any sa, peer;
	socklen_t salen, peerlen = sizeof(peer);

	assert_int_equal(getpeername(to, &peer.sa, &peerlen), 0);
	assert_int_equal(connect(to, &none, sizeof(none)), 0);
	salen = sockaddr_from_inany(&sa, a, port, 0);
	assert_int_equal(bind(to, &sa.sa, salen) && errno != EINVAL, 0);
	assert_int_equal(sendto(from, buf, len, 0, &sa.sa, salen),
			 (ssize_t)len);
	assert_int_equal(connect(to, &peer.sa, peerlen), 0);
}

/* Spliced: one of somebody else at the client's side begins a flow of its own, one
 * at the server's is an answer to nothing
 */
static void splice_stray(const char *lo)
{
	int srv = udp_env_ns_socket(lo, 6001), other = udp_env_ns_socket(lo, 0);
	int a = udp_env_socket(lo, 7000), b = udp_env_socket(lo, 7001);
	const struct flowside *s;
	struct udp_flow *f;
	in_port_t pa, pb;

	udp_env.opts.host_lo_to_ns_lo = true;
	udp_env_rule(PIF_HOST, lo, 6000, 6001);
	listen_all();
	udp_env_send_to(a, lo, 6000, "a", 1);
	assert_int_equal(udp_env_recv(srv, got, sizeof(got), NULL, &pa), 1);
	f = the_flow();
	assert_true(f->fd[INISIDE] >= 0 && f->fd[TGTSIDE] >= 0);

	s = &f->f.side[TGTSIDE];
	stray(other, f->fd[TGTSIDE], &s->eaddr, pa, "forged", 6);
	udp_env_turns();
	assert_int_equal(udp_env.udp.stats.stray, 1);
	assert_int_equal(recv(a, got, sizeof(got), MSG_DONTWAIT), -1);

	s = &f->f.side[INISIDE];
	stray(b, f->fd[INISIDE], &s->oaddr, 6000, "bb", 2);
	assert_int_equal(udp_env_recv(srv, got, sizeof(got), NULL, &pb), 2);
	assert_int_not_equal(pa, pb);
	assert_int_equal(udp_env.udp.stats.flows, 2);
	udp_env_send_to(srv, lo, pb, "to b", 4);
	assert_int_equal(udp_env_recv(b, got, sizeof(got), NULL, NULL), 4);
	assert_int_equal(recv(a, got, sizeof(got), MSG_DONTWAIT), -1);
}

static void test_splice_stray4(void **state)
{
	(void)state;
	splice_stray("127.0.0.1");
}

static void test_splice_stray6(void **state)
{
	(void)state;
	splice_stray("::1");
}

/* One socket asks at two of our addresses or ports, which are one for the guest:
 * the answers come from where was asked
 */
static void asked_twice(const char *peer, const char *const host[2],
			const in_port_t port[2])
{
	int fd = udp_env_socket(peer, 7000);
	struct udp_env_dgram d;
	union inany_addr from;
	in_port_t from_port;
	char text[INANY_STRLEN];
	unsigned i;

	udp_env_rule(PIF_HOST, NULL, 6000, 6002);
	udp_env_rule(PIF_HOST, NULL, 6001, 6002);
	listen_all();
	for (i = 0; i < 6; i++) {
		udp_env_send_to(fd, host[i % 2], port[i % 2], "what?", 5);
		assert_true(udp_env_guest_gets(&d));
		assert_int_equal(d.dport, 6002);
		udp_env_guest_sends(&(struct udp_env_send){ .dst = peer,
							    .sport = 6002,
							    .dport = d.sport },
				    "that", 4);
		assert_int_equal(
			udp_env_recv(fd, got, sizeof(got), &from, &from_port),
			4);
		assert_string_equal(inany_ntop(&from, text), host[i % 2]);
		assert_int_equal(from_port, port[i % 2]);
	}
	assert_int_equal(udp_env.udp.stats.flows, 2);
}

static void test_two_ports(void **state)
{
	static const char *const host4[2] = { HOST4, HOST4 };
	static const char *const host6[2] = { HOST6, HOST6 };
	static const in_port_t port[2] = { 6000, 6001 };

	asked_twice(PEER4, host4, port);
	udp_env_reset(state);
	asked_twice(PEER6, host6, port);
}

static void test_two_addresses(void **state)
{
	static const char *const host4[2] = { HOST4, PEER4B };
	static const char *const host6[2] = { HOST6, PEER6B };
	static const in_port_t port[2] = { 6000, 6000 };

	asked_twice(PEER4, host4, port);
	udp_env_reset(state);
	asked_twice(PEER6, host6, port);
}

/* More of them than ports are tried: those in excess are dropped, and counted */
static void test_twins_many(void **state)
{
	struct udp_env_dgram d;
	unsigned i;
	char from[16];

	(void)state;
	udp_env.opts.no_splice = true;
	udp_env_rule(PIF_HOST, "127.0.0.1", 6000, 6000);
	listen_all();
	for (i = 0; i < 20; i++) {
		snprintf(from, sizeof(from), "127.0.1.%u", i + 1);
		udp_env_send_to(udp_env_socket(from, 7000), "127.0.0.1", 6000,
				"a", 1);
		if (i < 16)
			assert_true(udp_env_guest_gets(&d));
		else
			assert_true(udp_env_guest_gets_nothing());
	}
	assert_int_equal(udp_env.udp.stats.stray, 4);
	assert_int_equal(udp_env.flows.used, 16);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, udp_env_reset)
	const struct CMUnitTest tests[] = {
		T(test_none4),         T(test_none6),     T(test_splice_stray4),
		T(test_splice_stray6), T(test_two_ports), T(test_two_addresses),
		T(test_twins_many),
	};

	return cmocka_run_group_tests(tests, udp_env_start, NULL);
}
