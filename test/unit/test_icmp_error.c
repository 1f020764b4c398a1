/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ICMP errors from error queues */

#include <errno.h>
#include <time.h>

#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "icmp_error.h"
#include "test/golden/icmp_error.h"
#include "test/unit/resp.h"

static struct flowside side4, side6;

static int setup(void **state)
{
	(void)state;
	resp_setup(NULL);
	side4 = (struct flowside){ .eaddr = addr("192.0.2.15"),
				   .oaddr = addr("198.51.100.9"),
				   .eport = 40000,
				   .oport = 53 };
	side6 = (struct flowside){ .eaddr = addr("2001:db8::15"),
				   .oaddr = addr("2001:db8:9::9"),
				   .eport = 40000,
				   .oport = 53 };
	return 0;
}

static void test_golden(void **state)
{
	const struct sock_extended_err port4 = {
		.ee_errno = ECONNREFUSED,
		.ee_origin = SO_EE_ORIGIN_ICMP,
		.ee_type = ICMP_UNREACH,
		.ee_code = ICMP_UNREACH_PORT,
	};
	const struct sock_extended_err mtu6 = {
		.ee_errno = EMSGSIZE,
		.ee_origin = SO_EE_ORIGIN_ICMP6,
		.ee_type = ICMP6_PACKET_TOO_BIG,
		.ee_info = 1400,
	};
	union inany_addr router = addr("2001:db8:1::1");
	(void)state;

	assert_int_equal(
		icmp_error_udp(&tap, &side4, &port4, NULL, "ask", 3, 3), 0);
	resp_expect(icmp_error_port4, sizeof(icmp_error_port4));
	assert_int_equal(
		icmp_error_udp(&tap, &side6, &mtu6, &router, "ask", 3, 3), 0);
	resp_expect(icmp_error_mtu6, sizeof(icmp_error_mtu6));
}

/* Type, code, second word of what is sent for an error; true: it is sent */
static bool sent(const struct sock_extended_err *ee,
		 const struct flowside *side, const char *offender,
		 uint32_t word[2])
{
	union inany_addr a;
	const uint8_t *p;
	size_t len;
	int rc;

	if (offender)
		a = addr(offender);
	tap_mem_reset();
	rc = icmp_error_udp(&tap, side, ee, offender ? &a : NULL, "", 0, 0);
	if (rc == -ENOMSG)
		return false;
	assert_int_equal(rc, 0);
	p = resp_l4(&len);
	word[0] = (uint32_t)(p[0] << 8 | p[1]);
	memcpy(&word[1], p + 4, 4);
	word[1] = ntohl(word[1]);
	return true;
}

#define V4    SO_EE_ORIGIN_ICMP
#define V6    SO_EE_ORIGIN_ICMP6
#define LOCAL SO_EE_ORIGIN_LOCAL
#define OTHER SO_EE_ORIGIN_TXSTATUS
#define NO    0xffff

static void test_kinds(void **state)
{
	static const struct {
		uint8_t origin, type, code;
		uint32_t error, info;
		uint32_t type4, rest4, type6, rest6; /* type << 8 | code */
	} rows[] = {
		{ V4, 3, 1, EHOSTUNREACH, 0, 0x301, 0, NO, 0 },
		{ V4, 3, 4, EMSGSIZE, 1400, 0x304, 1400, NO, 0 },
		{ V4, 3, 13, EACCES, 7, 0x30d, 0, NO, 0 },
		{ V4, 11, 0, EHOSTUNREACH, 0, 0xb00, 0, NO, 0 },
		{ V4, 12, 0, EPROTO, 20, 0xc00, 20U << 24, NO, 0 },
		{ V6, 1, 4, ECONNREFUSED, 0, NO, 0, 0x104, 0 },
		{ V6, 2, 0, EMSGSIZE, 1280, NO, 0, 0x200, 1280 },
		{ V6, 3, 0, EHOSTUNREACH, 9, NO, 0, 0x300, 0 },
		{ V6, 4, 1, EPROTO, 40, NO, 0, 0x401, 40 },
		{ LOCAL, 0, 0, EMSGSIZE, 1300, 0x304, 1300, 0x200, 1300 },
		{ LOCAL, 0, 0, ENETUNREACH, 0, 0x300, 0, 0x100, 0 },
		{ LOCAL, 0, 0, EHOSTUNREACH, 0, 0x301, 0, 0x103, 0 },
		{ LOCAL, 0, 0, ECONNREFUSED, 0, 0x303, 0, 0x104, 0 },
		{ LOCAL, 0, 0, EACCES, 0, 0x30d, 0, 0x101, 0 },
		{ LOCAL, 0, 0, EIO, 0, NO, 0, NO, 0 },
		{ OTHER, 3, 1, EHOSTUNREACH, 0, NO, 0, NO, 0 },
	};
	uint32_t word[2];
	size_t i;
	(void)state;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct sock_extended_err ee = {
			.ee_errno = rows[i].error,
			.ee_origin = rows[i].origin,
			.ee_type = rows[i].type,
			.ee_code = rows[i].code,
			.ee_info = rows[i].info,
		};

		if (sent(&ee, &side4, NULL, word)) {
			assert_int_equal(word[0], rows[i].type4);
			assert_int_equal(word[1], rows[i].rest4);
		} else {
			assert_int_equal(rows[i].type4, NO);
		}
		if (sent(&ee, &side6, NULL, word)) {
			assert_int_equal(word[0], rows[i].type6);
			assert_int_equal(word[1], rows[i].rest6);
		} else {
			assert_int_equal(rows[i].type6, NO);
		}
	}
}

static void test_offender(void **state)
{
	static const struct {
		const char *offender, *src4, *src6;
	} rows[] = {
		{ NULL, "198.51.100.9", "2001:db8:9::9" },
		{ "203.0.113.7", "203.0.113.7", "2001:db8:9::9" },
		{ "127.0.0.1", "198.51.100.9", "2001:db8:9::9" },
		{ "0.0.0.0", "198.51.100.9", "2001:db8:9::9" },
		{ "::", "198.51.100.9", "2001:db8:9::9" },
		{ "2001:db8:7::7", "198.51.100.9", "2001:db8:7::7" },
		{ "fe80::7", "198.51.100.9", "fe80::7" },
	};
	const struct sock_extended_err ee = { .ee_origin = LOCAL,
					      .ee_errno = EHOSTUNREACH };
	union inany_addr src;
	uint32_t word[2];
	size_t i;
	(void)state;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sent(&ee, &side4, rows[i].offender, word);
		inany_from_af(&src, AF_INET, tap_mem.frame[0] + L3_OFF + 12);
		assert_addr(src, rows[i].src4);
		sent(&ee, &side6, rows[i].offender, word);
		inany_from_af(&src, AF_INET6, tap_mem.frame[0] + L3_OFF + 8);
		assert_addr(src, rows[i].src6);
	}
}

/* Quotes of all lengths: whole, cut to 576 and 1280 bytes, cut by the network */
static void test_quote(void **state)
{
	const struct sock_extended_err ee = { .ee_origin = LOCAL,
					      .ee_errno = EHOSTUNREACH };
	static uint8_t payload[65507];
	const uint8_t *p;
	size_t n, i, len;
	(void)state;

	for (i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 5);
	for (n = 0; n <= sizeof(payload); n += n < 1300 ? 1 : 5821) {
		size_t fit4 = n < 576 - 56 ? n : 576 - 56;
		size_t fit6 = n < 1280 - 96 ? n : 1280 - 96;

		icmp_error_udp(&tap, &side4, &ee, NULL, payload, n, n);
		p = resp_l4(&len);
		assert_int_equal(len, 8 + 20 + 8 + fit4);
		assert_int_equal(p[8 + 2] << 8 | p[8 + 3], 28 + n);
		assert_int_equal(p[28 + 4] << 8 | p[28 + 5], 8 + n);
		assert_memory_equal(p + 36, payload, fit4);
		tap_mem_reset();

		icmp_error_udp(&tap, &side6, &ee, NULL, payload, n, n);
		p = resp_l4(&len);
		assert_int_equal(len, 8 + 40 + 8 + fit6);
		assert_int_equal(p[8 + 4] << 8 | p[8 + 5], 8 + n);
		assert_memory_equal(p + 56, payload, fit6);
		tap_mem_reset();
	}

	/* Only some bytes known of many: lengths of the original, no checksum */
	icmp_error_udp(&tap, &side4, &ee, NULL, payload, 10, 1000);
	p = resp_l4(&len);
	assert_int_equal(len, 8 + 20 + 8 + 10);
	assert_int_equal(p[8 + 2] << 8 | p[8 + 3], 1028);
	assert_int_equal(p[28 + 4] << 8 | p[28 + 5], 1008);
	assert_int_equal(p[28 + 6] << 8 | p[28 + 7], 0);
}

static void test_blocked(void **state)
{
	const struct sock_extended_err ee = { .ee_origin = LOCAL,
					      .ee_errno = EHOSTUNREACH };
	(void)state;

	tap_mem.blocked = true;
	assert_int_equal(icmp_error_udp(&tap, &side4, &ee, NULL, "", 0, 0),
			 -EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_golden, setup),
		cmocka_unit_test_setup(test_kinds, setup),
		cmocka_unit_test_setup(test_offender, setup),
		cmocka_unit_test_setup(test_quote, setup),
		cmocka_unit_test_setup(test_blocked, setup),
	};

	return cmocka_run_group_tests_name("icmp_error", tests, NULL, NULL);
}
