/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UDP begun by others: listeners, splicing, fragments, errors, life of flows */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/csum.h"
#include "test/fake/flows.h"
#include "test/unit/with_udp.h"

/* Bind what rules there are */
static void listen_all(void)
{
	assert_int_equal(fwd_listen(&udp_env.fwd, PIF_HOST), 0);
	assert_int_equal(fwd_listen(&udp_env.fwd, PIF_SPLICE), 0);
}

static void fill(void)
{
	unsigned i;

	for (i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 13 + i / 256);
}

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
	int a = udp_env_socket(peer, 7000), b = udp_env_socket(peer, 7001), top,
	    rest;
	struct rlimit old, lim;
	union inany_addr from;
	struct udp_env_dgram d;
	in_port_t port;
	unsigned i;

	udp_env_rule(PIF_HOST, rule, 6000, 6000);
	listen_all();
	top = dup(0);
	close(top);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	lim = old;
	lim.rlim_cur = (rlim_t)top;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
	rest = dup(0);
	assert_int_equal(rest, -1);

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
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
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

/* The guest's MTU is small: fragments, reassembled by the test */
static void fragments(const char *peer)
{
	static const struct {
		unsigned mtu;
		size_t len;
	} c[] = { { 1500, 1452 }, { 1500, 1453 }, { 1500, 1472 },
		  { 1500, 1473 }, { 1500, 8000 }, { 1280, 65000 },
		  { 576, 5000 },  { 9000, 9001 }, { 65520, 65507 } };
	int fd = udp_env_socket(peer, 4000);
	unsigned i;

	fill();
	udp_env_guest_sends(&(struct udp_env_send){ .dst = peer,
						    .sport = 5000,
						    .dport = 4000 },
			    "a", 1);
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		size_t room = c[i].mtu - (strchr(peer, ':') ? 40 : 20) - 8;
		struct udp_env_dgram d;

		udp_env.guest.offer.mtu = c[i].mtu;
		udp_env_send_to(fd, peer, 5000, "before", 6);
		udp_env_send_to(fd, peer, 5000, big, c[i].len);
		udp_env_send_to(fd, peer, 5000, big, 30);
		assert_true(udp_env_guest_gets(&d));
		assert_int_equal(d.len, 6);
		assert_true(udp_env_guest_gets(&d));
		assert_int_equal(d.len, c[i].len);
		assert_memory_equal(d.payload, big, c[i].len);
		assert_true(c[i].len <= room ? d.frames == 1 : d.frames > 1);
		assert_true(udp_env_guest_gets(&d));
		assert_int_equal(d.len, 30);
		assert_memory_equal(d.payload, big, 30);
	}
	udp_env_close(fd);
}

static void test_fragments4(void **state)
{
	(void)state;
	fragments(PEER4);
}

static void test_fragments6(void **state)
{
	(void)state;
	fragments(PEER6);
}

/* The guest is left to cut: frames are few, and what they hold is right, also
 * when sizes change, when others' datagrams are between, and at the end
 */
static void uso(const char *peer)
{
	static const struct {
		unsigned n;
		size_t len, last;
		unsigned frames; /* at most */
	} c[] = { { 300, 1000, 1000, 26 }, { 300, 1000, 1, 26 },
		  { 64, 300, 300, 64 },    { 300, 300, 299, 16 },
		  { 40, 9000, 9000, 40 },  { 10, 0, 0, 10 },
		  { 200, 1, 1, 40 },       { 100, 40000, 40000, 100 } };
	struct udp_env_send s = { .dst = peer, .sport = 5000, .dport = 4000 };
	int fd = udp_env_socket(peer, 4000);
	unsigned i;

	fill();
	tap_mem.offload = true;
	udp_env.tap.facts.gso_udp = 65000;
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		unsigned j, frames = 0;
		struct udp_env_dgram d;

		udp_env_guest_sends(&s, "a", 1);
		tap_mem.blocked = true; /* so that they all wait */
		for (j = 0; j < c[i].n; j++) {
			big[0] = (uint8_t)j;
			udp_env_send_to(fd, peer, 5000, big,
					j + 1 < c[i].n ? c[i].len : c[i].last);
		}
		udp_env_turns();
		tap_mem.blocked = false;
		udp_tap_ready(&udp_env.udp);
		udp_env.loop.busy = true;
		for (j = 0; j < c[i].n; frames++) {
			size_t pos = 0;

			assert_true(udp_env_guest_gets(&d));
			do {
				size_t len = j + 1 < c[i].n ? c[i].len
							    : c[i].last;

				assert_true(d.len - pos >= len);
				if (!len)
					break;
				assert_int_equal(d.payload[pos], (uint8_t)j);
				assert_memory_equal(d.payload + pos + 1,
						    big + 1, len - 1);
				assert_true(!d.gso_size || len == d.gso_size ||
					    pos + len == d.len);
				pos += len;
			} while (++j < c[i].n && pos < d.len && d.gso_size);
			j += !c[i].len;
			assert_int_equal(pos, d.len);
		}
		assert_true(udp_env_guest_gets_nothing());
		if (frames > c[i].frames)
			fail_msg("row %u: %u frames", i, frames);
		udp_env_forget();
	}
	udp_env_close(fd);
}

static void test_uso4(void **state)
{
	(void)state;
	uso(PEER4);
}

static void test_uso6(void **state)
{
	(void)state;
	uso(PEER6);
}

/* Sizes that change all the time are never cut wrongly */
static void test_uso_mixed(void **state)
{
	struct udp_env_send s = { .dst = PEER4, .sport = 5000, .dport = 4000 };
	int fd = udp_env_socket(PEER4, 4000);
	uint32_t rnd = 1, lens[400];
	struct udp_env_dgram d;
	unsigned i, j;

	(void)state;
	fill();
	tap_mem.offload = true;
	udp_env.tap.facts.gso_udp = 65000;
	udp_env_guest_sends(&s, "a", 1);
	for (i = 0; i < 400; i++) {
		rnd = rnd * 1103515245 + 12345;
		lens[i] = i && rnd >> 28 ? lens[i - 1] : rnd >> 16 & 0x7ff;
		udp_env_send_to(fd, PEER4, 5000, big + i, lens[i]);
	}
	for (j = 0; j < 400;) {
		size_t pos = 0;

		assert_true(udp_env_guest_gets(&d));
		do {
			assert_memory_equal(d.payload + pos, big + j, lens[j]);
			pos += lens[j];
			if (d.gso_size && pos < d.len)
				assert_int_equal(lens[j], d.gso_size);
			j++;
		} while (pos < d.len);
		assert_int_equal(pos, d.len);
	}
	assert_true(udp_env_guest_gets_nothing());
	udp_env_close(fd);
}

/* The tap takes nothing for a while: nothing is lost, nothing spins */
static void test_blocked(void **state)
{
	int fd = udp_env_socket(PEER4, 4000);
	struct udp_env_dgram d;
	unsigned i;

	(void)state;
	udp_env_guest_sends(&(struct udp_env_send){ .dst = PEER4,
						    .sport = 5000,
						    .dport = 4000 },
			    "a", 1);
	udp_env_turns();
	tap_mem.blocked = true;
	for (i = 0; i < 300; i++) {
		big[0] = (uint8_t)i;
		udp_env_send_to(fd, PEER4, 5000, big, 200);
	}
	udp_env_turns();
	assert_true(udp_env.udp.stats.tap_blocked > 0);
	assert_int_equal(loop_turn(&udp_env.loop, 0), 0);
	assert_false(udp_env.loop.busy);

	tap_mem.blocked = false;
	udp_tap_ready(&udp_env.udp);
	udp_env.loop.busy = true;
	for (i = 0; i < 300; i++) {
		assert_true(udp_env_guest_gets(&d));
		assert_int_equal(d.payload[0], (uint8_t)i);
	}
	assert_true(udp_env_guest_gets_nothing());

	/* A flow may be closed while it waits */
	tap_mem.blocked = true;
	udp_env_send_to(fd, PEER4, 5000, "x", 1);
	udp_env_turns();
	flows_close(&udp_env.flows, udp_flow_close);
	udp_tap_ready(&udp_env.udp);
	assert_int_equal(udp_env.flows.used, 0);
	udp_env_close(fd);
}

/* An error for the guest: type, code, offender, second word, quoted ports */
static void expect_error(const char *from, uint8_t type, uint8_t code,
			 uint32_t rest, const char *dst)
{
	struct udp_env_dgram d;
	struct udphdr uh;
	uint32_t word;

	assert_true(udp_env_guest_gets(&d));
	assert_addr(&d.src, from);
	assert_true(d.len >= 8 + 20 + 8);
	assert_int_equal(d.payload[0], type);
	assert_int_equal(d.payload[1], code);
	memcpy(&word, d.payload + 4, sizeof(word));
	assert_int_equal(ntohl(word), rest);
	if (d.proto == IPPROTO_ICMP) {
		struct iphdr ih;
		union inany_addr a;

		memcpy(&ih, d.payload + 8, sizeof(ih));
		a = inany_from_v4((struct in_addr){ ih.saddr });
		assert_addr(&a, GUEST4);
		a = inany_from_v4((struct in_addr){ ih.daddr });
		assert_addr(&a, dst);
		memcpy(&uh, d.payload + 8 + 20, sizeof(uh));
	} else {
		assert_int_equal(d.proto, IPPROTO_ICMPV6);
		memcpy(&uh, d.payload + 8 + 40, sizeof(uh));
	}
	assert_int_equal(ntohs(uh.source), 5000);
	assert_int_equal(ntohs(uh.dest), 4000);
}

static void test_port_unreachable(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++) {
		udp_env_guest_sends(&(struct udp_env_send){ .dst = PEER4,
							    .sport = 5000,
							    .dport = 4000 },
				    "abc", 3);
		expect_error(PEER4, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0,
			     PEER4);
		udp_env_guest_sends(&(struct udp_env_send){ .dst = PEER6,
							    .sport = 5000,
							    .dport = 4000 },
				    "abc", 3);
		expect_error(PEER6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOPORT,
			     0, PEER6);
	}
	assert_int_equal(udp_env.udp.stats.icmp_sent, 6);
	/* The gateway stands for loopback: the error is the gateway's, too */
	udp_env_guest_sends(&(struct udp_env_send){ .dst = GW4,
						    .sport = 5000,
						    .dport = 4000 },
			    "abc", 3);
	expect_error(GW4, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0, GW4);
}

/* Reports in the queue are in the way of the next datagram, but only once */
static void test_error_then_data(void **state)
{
	struct udp_env_send s = { .dst = PEER4, .sport = 5000, .dport = 4000 };
	int fd;

	(void)state;
	udp_env_guest_sends(&s, "abc", 3);
	fd = udp_env_socket(PEER4, 4000);
	s.n = 3;
	udp_env_guest_sends(&s, "abc", 3);
	assert_int_equal(udp_env_recv(fd, got, sizeof(got), NULL, NULL), 3);
	assert_int_equal(udp_env_recv(fd, got, sizeof(got), NULL, NULL), 3);
	assert_int_equal(udp_env_recv(fd, got, sizeof(got), NULL, NULL), 3);
	assert_int_equal(udp_env.udp.stats.send_failed, 0);
	udp_env_close(fd);
}

/* No route: the kernel says so at once, and we do to the guest */
static void test_no_route(void **state)
{
	(void)state;
	udp_env_guest_sends(&(struct udp_env_send){ .dst = "203.0.113.99",
						    .sport = 5000,
						    .dport = 4000 },
			    "abc", 3);
	expect_error("203.0.113.99", ICMP_DEST_UNREACH, ICMP_NET_UNREACH, 0,
		     "203.0.113.99");
	assert_int_equal(udp_env.flows.used, 0);
}

/* A router's ICMP error about a datagram from 192.0.2.1:5000 to PEER4:4000 */
static void router_says(const char *router, uint8_t type, uint8_t code,
			uint32_t rest)
{
	const union inany_addr r = udp_env_addr(router),
			       h = udp_env_addr(HOST4);
	const union inany_addr p = udp_env_addr(PEER4);
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	struct {
		uint8_t type, code;
		uint16_t sum;
		uint32_t rest;
		struct iphdr ih;
		struct udphdr uh;
	} m = { .type = type,
		.code = code,
		.rest = htonl(rest),
		.ih = { .version = 4,
			.ihl = 5,
			.tot_len = htons(28 + 3),
			.frag_off = htons(IP_DF),
			.ttl = 1,
			.protocol = IPPROTO_UDP,
			.saddr = h.v4.a4.s_addr,
			.daddr = p.v4.a4.s_addr },
		.uh = { .source = htons(5000),
			.dest = htons(4000),
			.len = htons(11) } };
	union sockaddr_any sa;
	socklen_t len;

	_Static_assert(sizeof(m) == 36, "no padding on the wire");
	m.ih.check = csum(&m.ih, sizeof(m.ih), 0);
	m.sum = csum(&m, sizeof(m), 0);
	len = sockaddr_from_inany(&sa, &r, 0, 0);
	assert_int_equal(bind(fd, &sa.sa, len), 0);
	len = sockaddr_from_inany(&sa, &h, 0, 0);
	assert_int_equal(sendto(fd, &m, sizeof(m), 0, &sa.sa, len), sizeof(m));
	close(fd);
}

static void test_router(void **state)
{
	int fd = udp_env_socket(PEER4, 4000);

	(void)state;
	udp_env.opts.v4.outbound = udp_env_addr(HOST4);
	udp_env_guest_sends(&(struct udp_env_send){ .dst = PEER4,
						    .sport = 5000,
						    .dport = 4000 },
			    "abc", 3);
	router_says(PEER4B, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0);
	expect_error(PEER4B, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0, PEER4);
	router_says(PEER4B, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, 1300);
	expect_error(PEER4B, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, 1300, PEER4);
	/* Loopback has no business on the tap: the gateway takes its place */
	router_says("127.0.0.1", ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0);
	expect_error(GW4, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, PEER4);
	udp_env_close(fd);
}

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
	int fd = udp_env_socket(PEER4, 4000), top;
	struct udp_env_send s = { .dst = PEER4, .dport = 4000 };
	struct rlimit old, lim;
	unsigned i;

	(void)state;
	top = dup(0);
	close(top);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	lim = old;
	lim.rlim_cur = (rlim_t)top + 4;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
	for (i = 0; i < 20; i++) {
		s.sport = (in_port_t)(5000 + i);
		udp_env_guest_sends(&s, "a", 1);
		assert_int_equal(udp_env_recv(fd, got, sizeof(got), NULL, NULL),
				 1);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_in_range(udp_env.flows.used, 1, 4);
	assert_int_equal(udp_env.udp.stats.evicted, 20 - udp_env.flows.used);
	udp_env_close(fd);
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
		T(test_fragments4),
		T(test_fragments6),
		T(test_uso4),
		T(test_uso6),
		T(test_uso_mixed),
		T(test_blocked),
		T(test_port_unreachable),
		T(test_error_then_data),
		T(test_no_route),
		T(test_router),
		T(test_timeouts),
		T(test_evict),
		T(test_evict_fd),
		T(test_twins),
		T(test_listener_and_guest),
	};

	return cmocka_run_group_tests(tests, udp_env_start, NULL);
}
