/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UDP begun by the guest: addresses, ports, sizes, batches, segmentation */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fwd/listen.h"
#include "test/unit/with_udp.h"

static uint8_t big[65536];

/* There and back, ports kept, addresses as the guest wrote them */
static void there_and_back(const char *peer, const char *guest)
{
	int fd = udp_env_socket(peer, 4000);
	union inany_addr from;
	struct udp_env_dgram d;
	in_port_t port;

	udp_env_guest_sends(&(struct udp_env_send){ .dst = peer,
						    .sport = 5000,
						    .dport = 4000 },
			    "ping", 4);
	assert_int_equal(udp_env_recv(fd, got, sizeof(got), &from, &port), 4);
	assert_memory_equal(got, "ping", 4);
	assert_int_equal(port, 5000);
	assert_int_equal(udp_env.udp.stats.flows, 1);

	udp_env_send_to(fd, peer, 5000, "pong!", 5);
	assert_true(udp_env_guest_gets(&d));
	assert_addr(&d.src, peer);
	assert_addr(&d.dst, guest);
	assert_int_equal(d.sport, 4000);
	assert_int_equal(d.dport, 5000);
	assert_int_equal(d.len, 5);
	assert_memory_equal(d.payload, "pong!", 5);

	/* The same flow again, not another */
	udp_env_guest_sends(&(struct udp_env_send){ .dst = peer,
						    .sport = 5000,
						    .dport = 4000 },
			    "ping", 4);
	assert_int_equal(udp_env_recv(fd, got, sizeof(got), NULL, NULL), 4);
	assert_int_equal(udp_env.udp.stats.flows, 1);
	udp_env_close(fd);
}

static void test_there_and_back4(void **state)
{
	(void)state;
	there_and_back(PEER4, GUEST4);
}

static void test_there_and_back6(void **state)
{
	(void)state;
	there_and_back(PEER6, GUEST6);
}

/* The gateway stands for the host's loopback, also in what comes back */
static void test_host_loopback(void **state)
{
	int fd = udp_env_socket("127.0.0.1", 4000);
	union inany_addr from;
	struct udp_env_dgram d;
	in_port_t port;

	(void)state;
	udp_env_guest_sends(&(struct udp_env_send){ .dst = GW4,
						    .sport = 5000,
						    .dport = 4000 },
			    "a", 1);
	assert_int_equal(udp_env_recv(fd, got, sizeof(got), &from, &port), 1);
	assert_addr(&from, "127.0.0.1");
	udp_env_send_to(fd, "127.0.0.1", port, "b", 1);
	assert_true(udp_env_guest_gets(&d));
	assert_addr(&d.src, GW4);
	udp_env_close(fd);
}

/* Nobody but the peer is let in */
static void test_filter(void **state)
{
	int fd = udp_env_socket(PEER4, 4000),
	    other = udp_env_socket(PEER4B, 4000);
	struct udp_env_dgram d;

	(void)state;
	udp_env_guest_sends(&(struct udp_env_send){ .dst = PEER4,
						    .sport = 5000,
						    .dport = 4000 },
			    "a", 1);
	assert_int_equal(udp_env_recv(fd, got, sizeof(got), NULL, NULL), 1);
	udp_env_send_to(other, PEER4, 5000, "evil", 4);
	assert_true(udp_env_guest_gets_nothing());
	udp_env_send_to(fd, PEER4, 5000, "good", 4);
	assert_true(udp_env_guest_gets(&d));
	assert_memory_equal(d.payload, "good", 4);
	assert_true(udp_env_guest_gets_nothing());
	udp_env_close(fd);
	udp_env_close(other);
}

/* Descriptor of the flow's socket, by the port it is bound to */
static int flow_fd(in_port_t port)
{
	union sockaddr_any sa;
	union inany_addr a;
	in_port_t p;
	int fd;

	for (fd = 3; fd < 64; fd++) {
		socklen_t len = sizeof(sa);

		if (!getsockname(fd, &sa.sa, &len) &&
		    !inany_from_sockaddr(&a, &p, &sa) && p == port)
			return fd;
	}
	fail_msg("no socket on port %u", port);
	return -1;
}

/* What came in before the socket was connected is looked at as well */
static void not_connected_yet(const char *peer, const char *evil)
{
	int fd = udp_env_socket(peer, 4000), other = udp_env_socket(evil, 4000),
	    sock;
	const union inany_addr a = env_addr(peer), e = env_addr(evil);
	struct udp_env_dgram d;

	udp_env_guest_sends(&(struct udp_env_send){ .dst = peer,
						    .sport = 5000,
						    .dport = 4000 },
			    "a", 1);
	assert_int_equal(udp_env_recv(fd, got, sizeof(got), NULL, NULL), 1);
	sock = flow_fd(5000);
	udp_env_send_to(fd, peer, 5000, "good", 4);
	assert_int_equal(sock_connect(sock, &e, 4000, 0), 0);
	udp_env_send_to(other, peer, 5000, "evil", 4);
	assert_int_equal(sock_connect(sock, &a, 4000, 0), 0);
	udp_env_send_to(fd, peer, 5000, "fine", 4);
	assert_true(udp_env_guest_gets(&d));
	assert_memory_equal(d.payload, "good", 4);
	assert_true(udp_env_guest_gets(&d));
	assert_memory_equal(d.payload, "fine", 4);
	assert_true(udp_env_guest_gets_nothing());
	assert_int_equal(udp_env.udp.stats.stray, 1);
	udp_env_close(fd);
	udp_env_close(other);
}

static void test_not_connected_yet(void **state)
{
	(void)state;
	not_connected_yet(PEER4, PEER4B);
	assert_int_equal(udp_env_reset(NULL), 0);
	not_connected_yet(PEER6, PEER6B);
}

/* Source port of somebody else on the host: another one does */
static void test_port_taken(void **state)
{
	int fd = udp_env_socket(PEER4, 4000),
	    taken = udp_env_socket("0.0.0.0", 5000);
	struct udp_env_dgram d;
	in_port_t port;

	(void)state;
	udp_env_guest_sends(&(struct udp_env_send){ .dst = PEER4,
						    .sport = 5000,
						    .dport = 4000 },
			    "a", 1);
	assert_int_equal(udp_env_recv(fd, got, sizeof(got), NULL, &port), 1);
	assert_int_not_equal(port, 5000);
	assert_int_equal(udp_env.udp.stats.ephemeral, 1);
	udp_env_send_to(fd, PEER4, port, "b", 1);
	assert_true(udp_env_guest_gets(&d));
	assert_int_equal(d.dport, 5000);
	udp_env_close(fd);
	udp_env_close(taken);
}

/* Sizes from nothing to all that fits, both ways, both families */
static void test_sizes(void **state)
{
	static const size_t sizes[] = { 0,    1,    17,   18,    1472,  1473,
					2048, 2049, 9000, 65400, 65487, 65507 };
	const char *peers[] = { PEER4, PEER6 };
	unsigned i, j;

	(void)state;
	for (i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7 + i / 256);
	for (j = 0; j < 2; j++) {
		int fd = udp_env_socket(peers[j], 4000);

		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct udp_env_dgram d;
			size_t n = sizes[i];

			udp_env_guest_sends(
				&(struct udp_env_send){ .dst = peers[j],
							.sport = 5000,
							.dport = 4000 },
				big, n);
			assert_int_equal(
				udp_env_recv(fd, got, sizeof(got), NULL, NULL),
				n);
			assert_memory_equal(got, big, n);
			udp_env_send_to(fd, peers[j], 5000, big, n);
			assert_true(udp_env_guest_gets(&d));
			assert_int_equal(d.len, n);
			assert_memory_equal(d.payload, big, n);
		}
		udp_env_close(fd);
	}
}

/* TTL, or hop limit, and TOS go out with the datagram */
static void ttl_and_tos(const char *peer, int level, int ttl_opt, int ttl_type,
			int tos_opt, int tos_type)
{
	int fd = udp_env_socket(peer, 4000);
	unsigned i;

	sock_set_int(fd, level, ttl_opt, 1);
	sock_set_int(fd, level, tos_opt, 1);
	for (i = 1; i < 4; i++) {
		uint8_t ctl[128] __attribute__((aligned(8)));
		struct iovec iov = { got, sizeof(got) };
		struct msghdr m = { .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = ctl,
				    .msg_controllen = sizeof(ctl) };
		struct cmsghdr *c;
		int ttl = 0, tos = 0;

		udp_env_guest_sends(
			&(struct udp_env_send){ .dst = peer,
						.sport = 5000,
						.dport = 4000,
						.ttl = (uint8_t)i,
						.tos = (uint8_t)(i * 4) },
			"a", 1);
		assert_int_equal(recvmsg(fd, &m, 0), 1);
		for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
			if (c->cmsg_type == ttl_type)
				memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
			if (c->cmsg_type == tos_type)
				memcpy(&tos, CMSG_DATA(c), 1);
		}
		assert_int_equal(ttl, i);
		assert_int_equal(tos, i * 4);
	}
	udp_env_close(fd);
}

static void test_ttl_tos4(void **state)
{
	(void)state;
	ttl_and_tos(PEER4, SOL_IP, IP_RECVTTL, IP_TTL, IP_RECVTOS, IP_TOS);
}

static void test_ttl_tos6(void **state)
{
	(void)state;
	ttl_and_tos(PEER6, SOL_IPV6, IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT,
		    IPV6_RECVTCLASS, IPV6_TCLASS);
}

/* @n datagrams of @len, the last of @last, arrive as they are and in order */
static void expect_run(int fd, unsigned n, size_t len, size_t last)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		size_t l = last && i + 1 == n ? last : len;

		assert_int_equal(udp_env_recv(fd, got, sizeof(got), NULL, NULL),
				 l);
		assert_int_equal(got[0], (uint8_t)(big[0] + i));
		assert_memory_equal(got + 1, big + 1, l - 1);
	}
	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), -1);
}

/* Aggregated or not, all datagrams of a batch arrive one by one */
static void batches(const char *peer)
{
	static const struct {
		unsigned n;
		size_t len, last;
	} runs[] = { { 1, 100, 0 },     { 2, 100, 0 },   { 64, 100, 1 },
		     { 64, 1400, 700 }, { 200, 64, 0 },  { 300, 1200, 1199 },
		     { 3, 30000, 0 },   { 50, 1400, 1 }, { 40, 1, 0 },
		     { 10, 100, 101 } };
	int fd = udp_env_socket(peer, 4000);
	unsigned i;

	for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		udp_env_guest_sends(
			&(struct udp_env_send){ .dst = peer,
						.sport = 5000,
						.dport = 4000,
						.n = runs[i].n,
						.last = runs[i].last },
			big, runs[i].len);
		expect_run(fd, runs[i].n, runs[i].len, runs[i].last);
	}
	assert_int_equal(udp_env.udp.stats.send_failed, 0);
	udp_env_close(fd);
}

static void test_batches4(void **state)
{
	(void)state;
	batches(PEER4);
}

static void test_batches6(void **state)
{
	(void)state;
	batches(PEER6);
}

static void test_batches_no_gso(void **state)
{
	(void)state;
	udp_env.features.udp_gso = false;
	batches(PEER4);
}

/* A path whose MTU is smaller than the datagrams refuses UDP_SEGMENT */
static void test_gso_refused(void **state)
{
	int fd = udp_env_socket(PEER4, 4000);

	(void)state;
	env_run("ip link set lo mtu 1500");
	udp_env_guest_sends(&(struct udp_env_send){ .dst = PEER4,
						    .sport = 5000,
						    .dport = 4000,
						    .n = 20,
						    .last = 5 },
			    big, 2000);
	expect_run(fd, 20, 2000, 5);
	assert_int_equal(udp_env.udp.stats.send_failed, 0);
	env_run("ip link set lo mtu 65536");
	udp_env_close(fd);
}

/* What the guest left to be cut, is cut: by the kernel or by us */
static void uso(const char *peer)
{
	static const struct {
		uint16_t size;
		size_t len;
	} runs[] = { { 1000, 1000 },  { 1000, 999 },  { 1000, 1001 },
		     { 1400, 60000 }, { 100, 20050 }, { 1, 300 } };
	int fd = udp_env_socket(peer, 4000);
	unsigned i;

	for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		size_t pos, size = runs[i].size, len = runs[i].len;

		udp_env_guest_sends(
			&(struct udp_env_send){ .dst = peer,
						.sport = 5000,
						.dport = 4000,
						.gso_size = runs[i].size },
			big, len);
		for (pos = 0; pos < len; pos += size) {
			size_t l = len - pos < size ? len - pos : size;

			assert_int_equal(
				udp_env_recv(fd, got, sizeof(got), NULL, NULL),
				l);
			assert_memory_equal(got, big + pos, l);
		}
		assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), -1);
	}
	udp_env_close(fd);
}

static void test_uso(void **state)
{
	(void)state;
	uso(PEER4);
	uso(PEER6);
}

static void test_uso_no_gso(void **state)
{
	(void)state;
	udp_env.features.udp_gso = false;
	uso(PEER4);
}

/* Groups: whoever answers is heard, and shown as who it is */
static void test_multicast(void **state)
{
	struct ip_mreqn m = { .imr_ifindex = 1 };
	int fd = udp_env_socket("0.0.0.0", 4000),
	    peer = udp_env_socket(PEER4B, 4001);
	struct udp_env_dgram d;
	in_port_t port;

	(void)state;
	inet_pton(AF_INET, "233.252.0.1", &m.imr_multiaddr);
	assert_int_equal(
		setsockopt(fd, SOL_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), 0);
	udp_env_guest_sends(&(struct udp_env_send){ .dst = "233.252.0.1",
						    .sport = 5000,
						    .dport = 4000,
						    .ttl = 1 },
			    "who?", 4);
	assert_int_equal(udp_env_recv(fd, got, sizeof(got), NULL, &port), 4);
	assert_int_equal(port, 5000);
	udp_env_send_to(peer, HOST4, port, "me", 2);
	assert_true(udp_env_guest_gets(&d));
	assert_addr(&d.src, PEER4B);
	assert_int_equal(d.sport, 4001);
	assert_int_equal(d.dport, 5000);
	assert_memory_equal(d.payload, "me", 2);

	/* On our loopback it is not shown as that */
	udp_env_send_to(udp_env_socket("127.0.0.1", 4002), "127.0.0.1", port,
			"lo", 2);
	assert_true(udp_env_guest_gets(&d));
	assert_addr(&d.src, GW4);
	udp_env_close(fd);
	udp_env_close(peer);
}

static void test_multicast6(void **state)
{
	int fd = udp_env_socket("::", 4000),
	    peer = udp_env_socket(PEER6B, 4001);
	struct ipv6_mreq m;
	struct udp_env_dgram d;
	in_port_t port;

	(void)state;
	env_run("ip link add m0 type veth peer m1 && "
		"ip addr add 2001:db8:3::1/64 dev m0 nodad && "
		"ip link set m1 up && ip link set m0 up");
	/* The kernel takes its time to see that a link is up */
	env_until("ip -6 route show table local | grep -q '^multicast.* m0 '");
	m.ipv6mr_interface = udp_env.opts.v6.scope = if_nametoindex("m0");
	inet_pton(AF_INET6, "ff02::db8:0:1", &m.ipv6mr_multiaddr);
	assert_int_equal(
		setsockopt(fd, SOL_IPV6, IPV6_ADD_MEMBERSHIP, &m, sizeof(m)),
		0);
	udp_env_guest_sends(&(struct udp_env_send){ .dst = "ff02::db8:0:1",
						    .sport = 5000,
						    .dport = 4000,
						    .ttl = 1 },
			    "who?", 4);
	assert_int_equal(udp_env_recv(fd, got, sizeof(got), NULL, &port), 4);
	udp_env_send_to(peer, HOST6, port, "me", 2);
	assert_true(udp_env_guest_gets(&d));
	assert_addr(&d.src, PEER6B);
	assert_int_equal(d.dport, 5000);
	udp_env_close(fd);
	udp_env_close(peer);
	env_run("ip link del m0");
}

/* Broadcast: allowed, and our own does not come back to the guest */
static void broadcast(const char *dst)
{
	int fd = udp_env_socket("0.0.0.0", 4000),
	    peer = udp_env_socket(PEER4B, 4001);
	struct udp_env_dgram d;
	in_port_t port;

	/* Likewise with a listener on the port, which hears others */
	sock_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	udp_env_rule(PIF_HOST, NULL, 4000, 4000);
	udp_env.opts.host.rule[0].scan = true; /* so that it shares the port */
	assert_int_equal(fwd_listener_open(&udp_env.fwd,
					   &udp_env.opts.host.rule[0], 4000),
			 1);
	udp_env_guest_sends(&(struct udp_env_send){ .dst = dst,
						    .sport = 4000,
						    .dport = 4000 },
			    "who?", 4);
	assert_int_equal(udp_env_recv(fd, got, sizeof(got), NULL, &port), 4);
	assert_int_equal(port, 4000);
	assert_true(udp_env_guest_gets_nothing());
	udp_env_close(fd);
	sock_set_int(peer, SOL_SOCKET, SO_BROADCAST, 1);
	udp_env_send_to(peer, dst, 4000, "all", 3);
	assert_true(udp_env_guest_gets(&d));
	assert_addr(&d.src, PEER4B);
	assert_int_equal(d.len, 3);
	udp_env_send_to(peer, HOST4, port, "me", 2);
	assert_true(udp_env_guest_gets(&d));
	assert_addr(&d.src, PEER4B);
	udp_env_close(peer);
}

static void test_broadcast(void **state)
{
	(void)state;
	env_run("ip link add v0 type veth peer v1 && "
		"ip addr add 192.0.2.65/27 broadcast + dev v0 && "
		"ip link set v1 up && ip link set v0 up && "
		"ip route add default dev v0");
	broadcast("192.0.2.95");
	assert_int_equal(udp_env_reset(NULL), 0);
	broadcast("255.255.255.255");
	env_run("ip link del v0");
}

/* Malformed: counted, dropped, no flow begun */
static void test_malformed(void **state)
{
	const struct udp_env_send s4 = { .dst = PEER4,
					 .sport = 5000,
					 .dport = 4000 };
	const struct udp_env_send s6 = { .dst = PEER6,
					 .sport = 5000,
					 .dport = 4000 };
	/* source port 5000, destination port 4000, length, checksum */
	static const uint8_t too_short[] = {
		0x13, 0x88, 0x0f, 0xa0, 0, 7, 0, 0
	};
	static const uint8_t too_long[] = {
		0x13, 0x88, 0x0f, 0xa0, 0, 9, 0, 0
	};
	static const uint8_t bad_sum[] = { 0x13, 0x88, 0x0f, 0xa0,
					   0,    8,    0x12, 0x34 };
	static const uint8_t no_sum[] = { 0x13, 0x88, 0x0f, 0xa0, 0, 8, 0, 0 };
	struct udp_env_send port0 = s4, lo = s4;
	int fd = udp_env_socket(PEER4, 4000);

	(void)state;
	udp_env_guest_raw(&s4, no_sum, 0);
	udp_env_guest_raw(&s4, no_sum, 7);
	udp_env_guest_raw(&s4, too_short, 8);
	udp_env_guest_raw(&s4, too_long, 8);
	udp_env_guest_raw(&s4, bad_sum, 8);
	udp_env_guest_raw(&s6, no_sum, 8);
	port0.dport = 0;
	udp_env_guest_raw(&port0, no_sum, 8);
	lo.dst = "127.0.0.1";
	udp_env_guest_raw(&lo, no_sum, 8);
	assert_int_equal(udp_env.udp.stats.bad_datagram, 8);
	assert_int_equal(udp_env.udp.stats.no_flow, 2); /* port 0, loopback */
	assert_int_equal(udp_env.udp.stats.flows, 0);
	assert_int_equal(udp_env.flows.used, 0);

	/* IPv4 may go without checksum */
	udp_env_guest_raw(&s4, no_sum, 8);
	assert_int_equal(udp_env_recv(fd, got, sizeof(got), NULL, NULL), 0);
	udp_env_close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, udp_env_reset)
	const struct CMUnitTest tests[] = {
		T(test_there_and_back4),
		T(test_there_and_back6),
		T(test_host_loopback),
		T(test_filter),
		T(test_not_connected_yet),
		T(test_port_taken),
		T(test_sizes),
		T(test_ttl_tos4),
		T(test_ttl_tos6),
		T(test_batches4),
		T(test_batches6),
		T(test_batches_no_gso),
		T(test_gso_refused),
		T(test_uso),
		T(test_uso_no_gso),
		T(test_multicast),
		T(test_multicast6),
		T(test_broadcast),
		T(test_malformed),
	};

	return cmocka_run_group_tests(tests, udp_env_start, NULL);
}
