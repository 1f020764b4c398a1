/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses: text, classes, prefixes, socket addresses */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "lib/inany.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static union inany_addr addr(const char *text)
{
	union inany_addr a;

	assert_int_equal(inany_pton(text, &a), 0);
	return a;
}

enum { UNSPEC = 1, LOOP = 2, MCAST = 4, LL6 = 8, UNI = 16 };

static const struct {
	const char *in, *out;
	int af;
	int is;
} class[] = {
	{ "0.0.0.0", "0.0.0.0", AF_INET, UNSPEC },
	{ "127.0.0.1", "127.0.0.1", AF_INET, LOOP | UNI },
	{ "127.255.1.2", "127.255.1.2", AF_INET, LOOP | UNI },
	{ "126.0.0.1", "126.0.0.1", AF_INET, UNI },
	{ "192.0.2.1", "192.0.2.1", AF_INET, UNI },
	{ "169.254.2.1", "169.254.2.1", AF_INET, UNI },
	{ "223.255.255.255", "223.255.255.255", AF_INET, UNI },
	{ "224.0.0.1", "224.0.0.1", AF_INET, MCAST },
	{ "239.255.255.250", "239.255.255.250", AF_INET, MCAST },
	{ "255.255.255.255", "255.255.255.255", AF_INET, 0 },
	{ "::ffff:192.0.2.1", "192.0.2.1", AF_INET, UNI },
	{ "::", "::", AF_INET6, UNSPEC },
	{ "::1", "::1", AF_INET6, LOOP | UNI },
	{ "::2", "::2", AF_INET6, UNI },
	{ "2001:DB8:0::1", "2001:db8::1", AF_INET6, UNI },
	{ "fe80::1", "fe80::1", AF_INET6, LL6 | UNI },
	{ "febf::1", "febf::1", AF_INET6, LL6 | UNI },
	{ "fec0::1", "fec0::1", AF_INET6, UNI },
	{ "ff02::1", "ff02::1", AF_INET6, MCAST },
};

static void test_classes(void **state)
{
	char buf[INANY_STRLEN];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(class); i++) {
		union inany_addr a = addr(class[i].in);

		assert_string_equal(inany_ntop(&a, buf), class[i].out);
		assert_int_equal(inany_af(&a), class[i].af);
		assert_int_equal((inany_is_unspecified(&a) ? UNSPEC : 0) |
					 (inany_is_loopback(&a) ? LOOP : 0) |
					 (inany_is_multicast(&a) ? MCAST : 0) |
					 (inany_is_linklocal6(&a) ? LL6 : 0) |
					 (inany_is_unicast(&a) ? UNI : 0),
				 class[i].is);
	}
}

static void test_not_addresses(void **state)
{
	static const char *const bad[] = {
		"",       "1.2.3",        "1.2.3.4.5", "256.1.1.1", "[::1]",
		"::1%lo", "192.0.2.1/24", " ::1",      ":::"
	};
	union inany_addr a;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(inany_pton(bad[i], &a), -EINVAL);
}

static const struct {
	const char *a, *b;
	unsigned len;
	bool same;
} prefix[] = {
	{ "192.0.2.1", "192.0.2.254", 24, true },
	{ "192.0.2.1", "192.0.2.254", 25, false },
	{ "192.0.2.1", "192.0.2.1", 32, true },
	{ "192.0.2.1", "192.0.2.0", 32, false },
	{ "192.0.2.1", "192.0.2.0", 31, true },
	{ "192.0.2.1", "203.0.113.9", 0, true },
	{ "192.0.2.1", "203.0.113.9", 4, true },
	{ "192.0.2.1", "203.0.113.9", 5, false },
	{ "192.0.2.1", "192.0.2.1", 99, true },
	{ "2001:db8::1", "2001:db8::2", 64, true },
	{ "2001:db8::1", "2001:db8::2", 126, true },
	{ "2001:db8::1", "2001:db8::2", 127, false },
	{ "2001:db8::1", "2001:db8::1", 128, true },
	{ "::", "2001:db8::1", 0, true },
	{ "0.0.0.0", "::", 0, false },
};

static void test_prefixes(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(prefix); i++) {
		union inany_addr a = addr(prefix[i].a), b = addr(prefix[i].b);

		assert_int_equal(inany_prefix_equals(&a, &b, prefix[i].len),
				 prefix[i].same);
		assert_int_equal(inany_prefix_equals(&b, &a, prefix[i].len),
				 prefix[i].same);
	}
}

static const struct {
	const char *addr;
	in_port_t port;
	uint32_t scope;
	uint32_t scope_kept;
	size_t len;
} sa_case[] = {
	{ "192.0.2.1", 80, 0, 0, sizeof(struct sockaddr_in) },
	{ "192.0.2.1", 0, 7, 0, sizeof(struct sockaddr_in) },
	{ "::1", 65535, 7, 0, sizeof(struct sockaddr_in6) },
	{ "fe80::1", 5, 7, 7, sizeof(struct sockaddr_in6) },
	{ "fe80::1", 5, 0, 0, sizeof(struct sockaddr_in6) },
};

static void test_sockaddr(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sa_case); i++) {
		union inany_addr a = addr(sa_case[i].addr), back;
		union sockaddr_any sa;
		in_port_t port;

		assert_int_equal(sockaddr_from_inany(&sa, &a, sa_case[i].port,
						     sa_case[i].scope),
				 sa_case[i].len);
		if (sa.sa.sa_family == AF_INET6)
			assert_int_equal(sa.sa6.sin6_scope_id,
					 sa_case[i].scope_kept);
		assert_int_equal(inany_from_sockaddr(&back, &port, &sa), 0);
		assert_true(inany_equals(&a, &back));
		assert_int_equal(port, sa_case[i].port);
	}
}

static void test_sockaddr_odd(void **state)
{
	union sockaddr_any sa = { .sa.sa_family = AF_UNIX };
	union inany_addr a, mapped = addr("192.0.2.1");
	in_port_t port;

	(void)state;
	assert_int_equal(inany_from_sockaddr(&a, &port, &sa), -EAFNOSUPPORT);

	/* a dual-stack socket's peer */
	sa.sa6.sin6_family = AF_INET6;
	sa.sa6.sin6_addr = mapped.a6;
	sa.sa6.sin6_port = htons(7);
	assert_int_equal(inany_from_sockaddr(&a, &port, &sa), 0);
	assert_int_equal(inany_af(&a), AF_INET);
}

static void test_wrap(void **state)
{
	static const uint8_t raw[] = { 0, 192, 0, 2, 1 };
	struct in_addr other = { htonl(0xc0000202) };
	union inany_addr a = addr("2001:db8::9");

	(void)state;
	inany_from_af(&a, AF_INET, raw + 1);
	assert_int_equal(inany_af(&a), AF_INET);
	assert_int_equal(ntohl(inany_v4(&a)->s_addr), 0xc0000201);
	assert_true(inany_equals4(&a, inany_v4(&a)));
	assert_false(inany_equals4(&a, &other));
	assert_false(inany_equals4(&inany_any6, &inany_v4(&inany_any4)[0]));
	assert_true(inany_is_loopback(&inany_loopback4));
	assert_true(inany_is_loopback(&inany_loopback6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_not_addresses),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_sockaddr),
		cmocka_unit_test(test_sockaddr_odd),
		cmocka_unit_test(test_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
