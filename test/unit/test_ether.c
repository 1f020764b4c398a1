/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What passes the first look at a frame, and what does not */

#include "test/unit/with_ether.h"

/* What a protocol is given of the plainest packet */
static void test_fields(void **state)
{
	unsigned v4;

	(void)state;
	for (v4 = 0; v4 < 2; v4++) {
		const struct packet_group *g = &got[0].g;

		ngot = 0;
		udp(v4);
		pkt.buf[L3_OFF] |= v4 ? 0 : 0x0a;       /* traffic class */
		pkt.buf[L3_OFF + 1] = v4 ? 0xa5 : 0x51; /* TOS; flow label */
		if (v4)
			pkt_sum4(&pkt);
		expect(PASS, "UDP");
		assert_int_equal(got[0].row, UDP);
		assert_int_equal(got[0].n, 1);
		assert_addr(g->src, v4 ? SRC4 : SRC6);
		assert_addr(g->dst, v4 ? DST4 : DST6);
		assert_int_equal(g->sport, 1000);
		assert_int_equal(g->dport, 2000);
		assert_int_equal(g->proto, IPPROTO_UDP);
		assert_int_equal(g->ttl, 64);
		assert_int_equal(g->tos, 0xa5);
		assert_int_equal(g->icmp_type, 0);
		assert_memory_equal(g->smac, guest_mac, 6);
		assert_memory_equal(g->dmac, pkt_our_mac, 6);
		assert_int_equal(got[0].p[0].l4len, 40);
		assert_int_equal(got[0].p[0].l3len, v4 ? 60 : 80);
		assert_false(got[0].p[0].joined);

		pkt_ip(&pkt, v4 ? SRC4 : SRC6, v4 ? DST4 : DST6,
		       v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
		pkt_icmp(&pkt, v4 ? 8 : 128, 4711, 1);
		expect(PASS, "ICMP");
		assert_int_equal(got[1].g.icmp_type, v4 ? 8 : 128);
		assert_int_equal(got[1].g.sport, 4711);
		assert_int_equal(got[1].g.dport, 4711);
	}
}

/* One byte of a good frame changed */
static void test_bytes(void **state)
{
	static const struct {
		bool v4;
		size_t off;
		uint8_t val;
		int why;
	} rows[] = {
		{ true, 0, 0xff, PASS },          /* wherever it goes */
		{ true, 6, 0x53, ETHER_OWN_MAC }, /* from a group */
		{ true, 12, 0x86, ETHER_TYPE },
		{ true, 13, 0x01, ETHER_TYPE },
		{ true, 14, 0x65, ETHER_IP_HDR }, /* version */
		{ true, 14, 0x55, ETHER_IP_HDR },
		{ true, 14, 0x44, ETHER_IP_HDR }, /* header length */
		{ true, 14, 0x40, ETHER_IP_HDR },
		{ true, 14, 0x46, ETHER_IP_HDR }, /* checksum is wrong then */
		{ true, 16, 0x01, ETHER_IP_HDR }, /* longer than the frame */
		{ true, 17, 0x13, ETHER_IP_HDR }, /* shorter than its header */
		{ true, 17, 61, ETHER_IP_HDR },
		{ true, 22, 63, ETHER_IP_HDR }, /* TTL: checksum */
		{ false, 14, 0x45, ETHER_IP_HDR },
		{ false, 14, 0x70, ETHER_IP_HDR },
		{ false, 18, 0x01, ETHER_IP_HDR }, /* longer than the frame */
		{ false, 19, 41, ETHER_IP_HDR },
		{ false, 19, 40, PASS },
		{ false, 19, 8, PASS }, /* the rest is padding */
		{ false, 19, 7, ETHER_SHORT },
		{ false, 20, 59, ETHER_PROTO }, /* no next header */
		{ false, 20, 50, ETHER_PROTO }, /* ESP */
		{ false, 20, 132, ETHER_PROTO },
		{ false, 20, 1, ETHER_PROTO }, /* ICMP in IPv6 */
		{ false, 20, 6, PASS },
		{ false, 20, 58, PASS },
		{ false, 21, 0, PASS }, /* hop limit: not ours to judge */
	};
	char what[32];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		udp(rows[i].v4);
		pkt.buf[rows[i].off] = rows[i].val;
		snprintf(what, sizeof(what), "row %zu", i);
		expect(rows[i].why, what);
	}
}

/* The same in IPv4, with the header's checksum right */
static void test_bytes4(void **state)
{
	static const struct {
		size_t off;
		uint8_t val;
		int why;
	} rows[] = {
		{ 17, 0x13, ETHER_IP_HDR }, { 17, 0x14, ETHER_SHORT },
		{ 17, 27, ETHER_SHORT },    { 17, 28, PASS },
		{ 17, 61, ETHER_IP_HDR },   { 22, 0, PASS },
		{ 20, 0x00, PASS },         { 20, 0x40, PASS }, /* DF */
		{ 20, 0x80, PASS }, /* reserved, RFC 791 3.1 */
		{ 23, 132, ETHER_PROTO },   { 23, 2, ETHER_PROTO },
		{ 23, 58, ETHER_PROTO },    { 23, 1, PASS },
	};
	char what[32];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		udp(true);
		pkt.buf[rows[i].off] = rows[i].val;
		pkt_sum4(&pkt);
		snprintf(what, sizeof(what), "row %zu", i);
		expect(rows[i].why, what);
	}
}

static void test_own_mac(void **state)
{
	(void)state;
	udp(true);
	memcpy(pkt.buf + 6, pkt_our_mac, 6);
	expect(ETHER_OWN_MAC, "our MAC");
}

/* Who may stand in which place */
static void test_addresses(void **state)
{
	static const struct {
		const char *src, *dst;
		int udp, any_src; /* row without, and with, any_src */
	} rows[] = {
		{ SRC4, DST4, PASS, PASS },
		{ "169.254.1.1", DST4, PASS, PASS },
		{ SRC4, "224.0.0.251", PASS, PASS },
		{ SRC4, "255.255.255.255", PASS, PASS },
		{ SRC4, "192.0.2.1", PASS, PASS },
		{ SRC4, SRC4, PASS, PASS },
		{ "0.0.0.0", "255.255.255.255", ETHER_BAD_SRC, PASS },
		{ "192.0.2.1", DST4, ETHER_BAD_SRC, ETHER_BAD_SRC }, /* ours */
		{ "127.0.0.1", DST4, ETHER_BAD_SRC, ETHER_BAD_SRC },
		{ "127.255.255.255", DST4, ETHER_BAD_SRC, ETHER_BAD_SRC },
		{ "224.0.0.1", DST4, ETHER_BAD_SRC, ETHER_BAD_SRC },
		{ "239.255.255.255", DST4, ETHER_BAD_SRC, ETHER_BAD_SRC },
		{ "255.255.255.255", DST4, ETHER_BAD_SRC, ETHER_BAD_SRC },
		{ SRC4, "127.0.0.1", ETHER_BAD_DST, ETHER_BAD_DST },
		{ SRC4, "127.0.0.53", ETHER_BAD_DST, ETHER_BAD_DST },
		{ SRC4, "0.0.0.0", ETHER_BAD_DST, ETHER_BAD_DST },
		{ "0.0.0.0", "0.0.0.0", ETHER_BAD_DST, ETHER_BAD_DST },
		{ SRC6, DST6, PASS, PASS },
		{ "fe80::2", DST6, PASS, PASS },
		{ "fe80::2", "fe80::1", PASS, PASS },
		{ SRC6, "ff02::2", PASS, PASS },
		{ "fd00::1", "64:ff9b::c000:201", PASS, PASS },
		{ "::", "ff02::1:ff00:15", ETHER_BAD_SRC, PASS },
		{ "fe80::1", DST6, ETHER_BAD_SRC, ETHER_BAD_SRC }, /* ours */
		{ "::1", DST6, ETHER_BAD_SRC, ETHER_BAD_SRC },
		{ "ff02::1", DST6, ETHER_BAD_SRC, ETHER_BAD_SRC },
		{ SRC6, "::1", ETHER_BAD_DST, ETHER_BAD_DST },
		{ SRC6, "::", ETHER_BAD_DST, ETHER_BAD_DST },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool v4 = !strchr(rows[i].src, ':');

		pkt_ip(&pkt, rows[i].src, rows[i].dst, IPPROTO_UDP);
		pkt_udp(&pkt, 68, 68, 0);
		expect(rows[i].udp, rows[i].src);

		pkt_ip(&pkt, rows[i].src, rows[i].dst,
		       v4 ? IPPROTO_UDP : IPPROTO_ICMPV6);
		if (v4)
			pkt_udp(&pkt, 68, 67, 0);
		else
			pkt_icmp(&pkt, 135, 0, 16);
		expect(rows[i].any_src, rows[i].dst);
	}
}

/* IPv4-mapped addresses in IPv6 headers */
static void test_mapped(void **state)
{
	union inany_addr mapped = addr("192.0.2.99");

	(void)state;
	udp(false);
	memcpy(pkt.buf + L3_OFF + 8, &mapped, 16);
	expect(ETHER_BAD_SRC, "mapped source");
	udp(false);
	memcpy(pkt.buf + L3_OFF + 24, &mapped, 16);
	expect(ETHER_BAD_DST, "mapped destination");
	assert_addr(guest.v4.seen, "192.0.2.15");
}

/* Only what passes, from addresses that are one, is learnt */
static void test_observed(void **state)
{
	static const uint8_t other[6] = { 2, 0, 0, 0, 0, 9 };

	(void)state;
	pkt_ip(&pkt, "192.0.2.44", "127.0.0.1", IPPROTO_UDP);
	pkt_udp(&pkt, 1, 2, 0);
	expect(ETHER_BAD_DST, "loopback");
	pkt_ip(&pkt, "192.0.2.44", DST4, IPPROTO_SCTP);
	pkt_udp(&pkt, 1, 2, 0);
	expect(ETHER_PROTO, "SCTP");
	assert_addr(guest.v4.seen, "192.0.2.15");

	pkt_ip(&pkt, "192.0.2.44", DST4, IPPROTO_UDP);
	pkt_udp(&pkt, 1, 2, 0);
	memcpy(pkt.buf + 6, other, 6);
	expect(PASS, "other address");
	assert_addr(guest.v4.seen, "192.0.2.44");
	assert_memory_equal(guest.mac, other, 6);
}

static void test_families_off(void **state)
{
	(void)state;
	ether.v4 = false;
	udp(true);
	expect(ETHER_TYPE, "IPv4 off");
	udp(false);
	expect(PASS, "IPv6 on");
	ether.v4 = true;
	ether.v6 = false;
	udp(true);
	expect(PASS, "IPv4 on");
	udp(false);
	expect(ETHER_TYPE, "IPv6 off");
}

static void test_l2(void **state)
{
	(void)state;
	udp(true);
	pkt.buf[13] = 0x06;
	expect(PASS, "ARP");
	assert_int_equal(l2_frames, 1);
	assert_memory_equal(l2_smac, guest_mac, 6);
	assert_int_equal(l2_len, pkt.len - L3_OFF);
	pkt.len = L3_OFF;
	expect(PASS, "ARP without payload");
	assert_int_equal(l2_len, 0);
}

/* Rows are tried in order */
static void test_rows(void **state)
{
	static const struct {
		const char *src, *dst;
		uint8_t proto, type;
		uint16_t dport;
		enum row row;
	} rows[] = {
		{ SRC4, DST4, IPPROTO_UDP, 0, 67, DHCP },
		{ SRC4, DST4, IPPROTO_UDP, 0, 68, UDP },
		{ SRC6, DST6, IPPROTO_UDP, 0, 67, UDP }, /* IPv4 only */
		{ SRC4, DST4, IPPROTO_TCP, 0, 67, TCP },
		{ SRC6, DST6, IPPROTO_TCP, 0, 67, TCP },
		{ SRC4, DST4, IPPROTO_ICMP, 135, 0, ICMP },
		{ SRC6, DST6, IPPROTO_ICMPV6, 132, 0, ICMP6 },
		{ SRC6, DST6, IPPROTO_ICMPV6, 133, 0, NDP },
		{ SRC6, DST6, IPPROTO_ICMPV6, 137, 0, NDP },
		{ SRC6, DST6, IPPROTO_ICMPV6, 138, 0, ICMP6 },
		{ SRC6, DST6, IPPROTO_ICMPV6, 0, 0, ICMP6 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ngot = 0;
		pkt_ip(&pkt, rows[i].src, rows[i].dst, rows[i].proto);
		if (rows[i].proto == IPPROTO_UDP)
			pkt_udp(&pkt, 9, rows[i].dport, 0);
		else if (rows[i].proto == IPPROTO_TCP)
			pkt_tcp(&pkt, 9, rows[i].dport, 0);
		else
			pkt_icmp(&pkt, rows[i].type, 1, 0);
		expect(PASS, "row");
		if (got[0].row != rows[i].row)
			fail_msg("row %zu", i);
	}
}

/* Extension headers, each with its next header byte set, and UDP behind */
static void extensions(const uint8_t *proto, size_t n, uint8_t last)
{
	size_t i;

	pkt_ip(&pkt, SRC6, DST6, n ? proto[0] : last);
	for (i = 0; i < n; i++) {
		uint8_t ext[16] = { i + 1 < n ? proto[i + 1] : last };
		size_t len = proto[i] == IPPROTO_FRAGMENT ? 8 : 16;

		ext[1] = proto[i] == IPPROTO_FRAGMENT ? 0 : 1;
		pkt_put(&pkt, ext, len);
	}
	pkt_udp(&pkt, 1000, 2000, 16);
}

static void test_extensions(void **state)
{
	static const struct {
		uint8_t proto[10];
		size_t n;
		uint8_t last;
		int why;
	} rows[] = {
		{ { 0 }, 0, 17, PASS },
		{ { 0 }, 1, 17, PASS },  /* hop-by-hop */
		{ { 43 }, 1, 17, PASS }, /* routing */
		{ { 60 }, 1, 17, PASS }, /* destination */
		{ { 44 }, 1, 17, PASS }, /* atomic fragment, RFC 6946 */
		{ { 0, 60, 43, 44, 60 }, 5, 17, PASS },
		{ { 60, 60, 60, 60, 60, 60, 60 }, 7, 17, PASS },
		{ { 60, 60, 60, 60, 60, 60, 60, 60 }, 8, 17, ETHER_EXT_HDR },
		{ { 51 }, 1, 17, ETHER_PROTO }, /* authentication */
		{ { 0 }, 1, 59, ETHER_PROTO },
		{ { 60, 44 }, 2, 132, ETHER_PROTO },
	};
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char what[16];

		ngot = 0;
		snprintf(what, sizeof(what), "row %zu", i);
		extensions(rows[i].proto, rows[i].n, rows[i].last);
		expect(rows[i].why, what);
		if (rows[i].why != PASS)
			continue;
		assert_int_equal(got[0].g.dport, 2000);
		assert_int_equal(got[0].p[0].l4len, 24);
		assert_int_equal(got[0].p[0].l3len, pkt.len - L3_OFF);
	}
	/* Lengths that reach behind the packet; any value in any place */
	for (i = 0; i < 40; i++) {
		extensions(rows[5].proto, rows[5].n, 17);
		pkt.len = L4_OFF6 + i;
		pkt_end(&pkt);
		expect(ETHER_EXT_HDR, "cut");
	}
	for (i = 0; i < 72; i++) {
		for (j = 0; j < 256; j++) {
			extensions(rows[5].proto, rows[5].n, 17);
			pkt.buf[L4_OFF6 + i] = (uint8_t)j;
			tap_mem_inject(&tap, pkt.buf, pkt.len);
			ngot = 0;
		}
	}
}

/* The plain frames of the next tests */
static bool sample(unsigned i)
{
	static const uint8_t proto[] = { 0, 43, 60, 44 };
	bool v4 = !(i & 1);

	switch (i / 2) {
	case 0:
		udp(v4);
		return true;
	case 1:
		pkt_ip(&pkt, v4 ? SRC4 : SRC6, v4 ? DST4 : DST6, IPPROTO_TCP);
		pkt_tcp(&pkt, 1000, 2000, 32);
		return true;
	case 2:
		pkt_ip(&pkt, v4 ? SRC4 : SRC6, v4 ? DST4 : DST6,
		       v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
		pkt_icmp(&pkt, v4 ? 8 : 128, 1, 40);
		return true;
	case 3:
		if (v4) {
			udp(true);
			pkt.buf[13] = 0x06;
		} else {
			extensions(proto, sizeof(proto), IPPROTO_UDP);
		}
		return true;
	}
	return false;
}

/* Frames that end too early: never more than their bytes are looked at (the
 * fake gives no byte more), and none passes that lost any but padding
 */
static void test_truncated(void **state)
{
	unsigned i, n;

	(void)state;
	for (i = 0; sample(i); i++) {
		size_t full = pkt.len, len;

		for (len = 0; len < full; len++) {
			bool arp = i == 6 && len >= L3_OFF;

			sample(i);
			pkt.len = len;
			expect(arp            ? PASS
			       : len < L3_OFF ? ETHER_SHORT
			       : len < (i & 1 ? L4_OFF6 : L4_OFF4)
				       ? ETHER_SHORT
				       : ETHER_IP_HDR,
			       "cut");
		}
		for (n = 0; n < 50; n++) {
			sample(i);
			pkt_fill(&pkt, n);
			ngot = 0;
			expect(PASS, "padded");
			assert_true(!ngot ||
				    got[0].p[0].l3len == full - L3_OFF);
		}
	}
}

/* Cut with the length in the IP header following: enough for ports, or not */
static void test_short_l4(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 6; i++) {
		size_t off = i & 1 ? L4_OFF6 : L4_OFF4, n;

		for (n = 0; n < 20; n++) {
			sample(i);
			pkt.len = off + n;
			pkt_end(&pkt);
			expect(n < 8 ? ETHER_SHORT : PASS, "short");
		}
	}
}

/* Headers anywhere across two buffers are the same */
static void test_split(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; sample(i); i++) {
		struct got plain;
		size_t n;

		ngot = 0;
		tap_mem_inject(&tap, pkt.buf, pkt.len);
		plain = got[0];
		for (n = 0; n <= pkt.len; n++) {
			uint8_t *a = malloc(n + 1),
				*b = malloc(pkt.len - n + 1);
			struct iovec iov[] = { { a, n }, { b, pkt.len - n } };
			struct tap_rx rx = { .iov = iov,
					     .iovcnt = 2,
					     .len = pkt.len };

			memcpy(a, pkt.buf, n);
			memcpy(b, pkt.buf + n, pkt.len - n);
			ngot = 0;
			ether_input(&ether, &rx, 1);
			free(a);
			free(b);
			if (i == 6)
				continue;
			assert_int_equal(ngot, 1);
			assert_memory_equal(&got[0].g, &plain.g,
					    offsetof(struct packet_group, n));
			assert_int_equal(got[0].p[0].l4len, plain.p[0].l4len);
			assert_int_equal(got[0].p[0].sum, plain.p[0].sum);
		}
	}
	assert_int_equal(drops(), 0);
}

/* Any byte anywhere: nothing but counting happens */
static void test_noise(void **state)
{
	unsigned round, i;

	(void)state;
	for (round = 0; round < 20000; round++) {
		sample(round % 8);
		for (i = pkt_rnd(6); i; i--)
			pkt.buf[pkt_rnd((uint32_t)pkt.len)] = (uint8_t)pkt_rnd(
				256);
		if (!(round & 1) && round & 2)
			pkt_sum4(&pkt);
		tap_mem_inject(&tap, pkt.buf, pkt.len);
		ngot = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_fields, setup),
		cmocka_unit_test_setup(test_bytes, setup),
		cmocka_unit_test_setup(test_bytes4, setup),
		cmocka_unit_test_setup(test_own_mac, setup),
		cmocka_unit_test_setup(test_addresses, setup),
		cmocka_unit_test_setup(test_mapped, setup),
		cmocka_unit_test_setup(test_observed, setup),
		cmocka_unit_test_setup(test_families_off, setup),
		cmocka_unit_test_setup(test_l2, setup),
		cmocka_unit_test_setup(test_rows, setup),
		cmocka_unit_test_setup(test_extensions, setup),
		cmocka_unit_test_setup(test_truncated, setup),
		cmocka_unit_test_setup(test_short_l4, setup),
		cmocka_unit_test_setup(test_split, setup),
		cmocka_unit_test_setup(test_noise, setup),
	};

	return cmocka_run_group_tests_name("ether", tests, NULL, NULL);
}
