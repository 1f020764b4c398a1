/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UDP towards the guest: fragments, cuts, ICMP errors, a tap that takes nothing */
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/csum.h"
#include "test/fake/flows.h"
#include "test/unit/with_udp.h"

static uint8_t big[65536];

static void fill(void)
{
	unsigned i;

	for (i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 13 + i / 256);
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
	const union inany_addr r = env_addr(router), h = env_addr(HOST4);
	const union inany_addr p = env_addr(PEER4);
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
	udp_env.opts.v4.outbound = env_addr(HOST4);
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

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, udp_env_reset)
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, udp_env_start, NULL);
}
