/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Headers of outgoing frames against golden bytes, and their checksums */

#include "frame.h"
#include "test/unit/packet.h"

static const uint8_t dst_mac[] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
static const uint8_t src_mac[] = { 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 };

static void test_eth(void **state)
{
	static const uint8_t golden[] = {
		0x52, 0x54, 0x00, 0x12, 0x34, 0x56, /* destination */
		0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55, /* source */
		0x86, 0xdd,                         /* IPv6 */
	};
	uint8_t buf[16] = { 0 };

	(void)state;
	assert_ptr_equal(frame_push_eth(buf, dst_mac, src_mac, ETHERTYPE_IPV6),
			 buf + 14);
	assert_memory_equal(buf, golden, sizeof(golden));
	/* wherever it stands */
	frame_push_eth(buf + 1, dst_mac, src_mac, ETHERTYPE_IPV6);
	assert_memory_equal(buf + 1, golden, sizeof(golden));
}

static void test_ip4(void **state)
{
	static const uint8_t golden[] = {
		0x45, 0xb8, 0x00, 0x73, /* version, IHL, TOS, length 115 */
		0x00, 0x00, 0x40, 0x00, /* identification 0, DF */
		0x40, 0x11, 0x4d, 0x7e, /* TTL 64, UDP, checksum */
		0xc6, 0x33, 0x64, 0x01, /* 198.51.100.1 */
		0xc0, 0x00, 0x02, 0x0f, /* 192.0.2.15 */
	};
	union inany_addr src = addr(DST4), dst = addr(SRC4);
	struct l3_spec l3 = { .src = &src,
			      .dst = &dst,
			      .tos = 0xb8,
			      .ttl = 64,
			      .proto = IPPROTO_UDP };
	uint8_t buf[21] = { 0 };

	(void)state;
	assert_ptr_equal(frame_push_ip4(buf + 1, &l3, 95), buf + 21);
	assert_memory_equal(buf + 1, golden, sizeof(golden));

	l3.ttl = 0;
	frame_push_ip4(buf, &l3, 65515);
	assert_int_equal(buf[8], TTL_DEFAULT);
	assert_int_equal(buf[2] << 8 | buf[3], 65535);
	assert_int_equal(csum(buf, 20, 0), 0);
}

static void test_ip6(void **state)
{
	static const uint8_t golden[] = {
		0x6b, 0x8a, 0xbc, 0xde,       /* version, class, label */
		0x00, 0x5f, 0x06, 0xff,       /* length 95, TCP, hops */
		0x20, 0x01, 0x0d, 0xb8, 0, 1, /* 2001:db8:1::1 */
		0,    0,    0,    0,    0, 0, 0, 0, 0, 1,
		0x20, 0x01, 0x0d, 0xb8, 0, 0, /* 2001:db8::15 */
		0,    0,    0,    0,    0, 0, 0, 0, 0, 0x15,
	};
	union inany_addr src = addr(DST6), dst = addr(SRC6);
	struct l3_spec l3 = { .src = &src,
			      .dst = &dst,
			      .tos = 0xb8,
			      .proto = IPPROTO_TCP,
			      .flow_label = 0xfffabcde };
	uint8_t buf[41] = { 0 };

	(void)state;
	assert_ptr_equal(frame_push_ip6(buf + 1, &l3, 95), buf + 41);
	assert_memory_equal(buf + 1, golden, sizeof(golden));
	l3.ttl = 3;
	frame_push_ip6(buf, &l3, 65535);
	assert_int_equal(buf[7], 3);
	assert_int_equal(buf[4] << 8 | buf[5], 65535);
}

/* RFC 768: with the pseudo-header, added by hand */
static void test_pseudo(void **state)
{
	/* c633 + 6401 + c000 + 020f + 0011 + 0010 = 1ec64 */
	static const uint8_t golden4[] = { 0xec, 0x65 };
	/* 2 * (2001 + 0db8) + 1 + 1 + 15 + 10 + 11 = 5baa */
	static const uint8_t golden6[] = { 0x5b, 0xaa };
	union inany_addr s4 = addr(DST4), d4 = addr(SRC4);
	union inany_addr s6 = addr(DST6), d6 = addr(SRC6);
	struct l3_spec l3 = { .src = &s4, .dst = &d4, .proto = IPPROTO_UDP };
	uint16_t sum;

	(void)state;
	sum = frame_pseudo(&l3, 16);
	assert_memory_equal(&sum, golden4, 2);
	l3.src = &s6;
	l3.dst = &d6;
	sum = frame_pseudo(&l3, 16);
	assert_memory_equal(&sum, golden6, 2);
}

static void test_udp(void **state)
{
	static const uint8_t golden[] = {
		0x00, 0x35, 0x9c, 0x40, /* ports 53, 40000 */
		0x00, 0x10, 0xec, 0x65, /* length 16, pseudo-header */
	};
	union inany_addr src = addr(DST4), dst = addr(SRC4);
	struct l3_spec l3 = { .src = &src, .dst = &dst, .proto = IPPROTO_UDP };
	uint8_t buf[9];

	(void)state;
	assert_ptr_equal(frame_push_udp(buf + 1, &l3, 53, 40000, 8), buf + 9);
	assert_memory_equal(buf + 1, golden, sizeof(golden));
}

/* Sum of words as a person would add them. Source: RFC 1071 1 */
static uint16_t by_hand(const uint8_t *p, size_t len, uint32_t sum)
{
	size_t i;

	for (i = 0; i < len; i++) {
		sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

/* Payloads of any length, in one or two buffers, both families, UDP and TCP */
static void test_finish(void **state)
{
	static uint8_t payload[70000];
	unsigned round;

	(void)state;
	for (round = 0; round < 2000; round++) {
		bool v4 = round & 1, tcp = round & 2;
		size_t l4h = tcp ? 20 + 4 * pkt_rnd(11) : 8;
		size_t off = frame_l3_len(v4), hdrlen = off + l4h;
		size_t n = pkt_rnd(round % 50 ? 3000 : 65000), i;
		size_t cut = pkt_rnd((uint32_t)n + 1);
		union inany_addr src = addr(v4 ? DST4 : DST6);
		union inany_addr dst = addr(v4 ? SRC4 : SRC6);
		struct l3_spec l3 = { .src = &src,
				      .dst = &dst,
				      .proto = tcp ? 6 : 17 };
		uint8_t hdr[FRAME_HDR_MAX], *field;
		/* more room than payload: what lies behind does not count */
		struct iovec iov[] = { { payload, cut },
				       { payload + cut, n - cut + 100 } };
		struct frame f = { .hdr = hdr,
				   .hdrlen = hdrlen,
				   .iov = iov,
				   .iovcnt = 2,
				   .len = hdrlen + n,
				   .csum_start = (uint16_t)off,
				   .csum_off = tcp ? 16 : 6 };
		uint16_t pseudo = frame_pseudo(&l3, l4h + n), sum;
		uint32_t want;

		for (i = 0; i < n + 100; i++)
			payload[i] = (uint8_t)pkt_rnd(256);
		for (i = 0; i < sizeof(hdr); i++)
			hdr[i] = (uint8_t)pkt_rnd(256);
		field = hdr + off + f.csum_off;
		memcpy(field, &pseudo, 2);
		frame_finish_csum(&f);
		assert_int_equal(f.csum_start, 0);

		/* what a receiver adds up */
		memcpy(&sum, field, 2);
		want = by_hand((uint8_t *)&pseudo, 2, 0);
		want = by_hand(hdr + off, l4h, want);
		want = by_hand(payload, n, want);
		assert_int_equal(want, 0xffff);
		assert_true(tcp || sum);

		/* nothing to do: nothing done */
		frame_finish_csum(&f);
		assert_memory_equal(&sum, field, 2);
	}
}

/* A sum of zero is "none" in UDP, but a number like any other in TCP */
static void test_zero(void **state)
{
	unsigned tcp;

	(void)state;
	for (tcp = 0; tcp < 2; tcp++) {
		uint8_t hdr[42] = { 0 };
		struct frame f = { .hdr = hdr,
				   .hdrlen = 42,
				   .len = 42,
				   .csum_start = 14,
				   .csum_off = tcp ? 16 : 6 };

		hdr[14] = hdr[15] = 0xff;
		frame_finish_csum(&f);
		assert_int_equal(hdr[14 + (tcp ? 16 : 6)], tcp ? 0 : 0xff);
		assert_int_equal(hdr[15 + (tcp ? 16 : 6)], tcp ? 0 : 0xff);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eth),  cmocka_unit_test(test_ip4),
		cmocka_unit_test(test_ip6),  cmocka_unit_test(test_pseudo),
		cmocka_unit_test(test_udp),  cmocka_unit_test(test_finish),
		cmocka_unit_test(test_zero),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
