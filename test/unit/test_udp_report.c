/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports in the error queue of a UDP socket, those that a kernel hardly makes */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "pcap.h"
#include "test/fake/udp_report.h"
#include "test/fuzz/seed.h"
#include "udp/internal.h"

#define SPORT 1000

void pcap_write(struct pcap *p, const struct iovec *iov, size_t cnt, size_t len)
{
	(void)p, (void)iov, (void)cnt, (void)len;
}

int netns_call(struct netns *ns, int (*fn)(void *arg), void *arg)
{
	return udp_env_netns_call(ns, fn, arg);
}

/* A report under construction */
static uint8_t report[1024];
static size_t len;

static void put(const void *p, size_t n)
{
	assert_true(len + n <= sizeof(report));
	memcpy(report + len, p, n);
	len += n;
}

/* From the peer, so many control messages, quoting the guest's "x" */
static void begin(bool v6, uint8_t ncmsg)
{
	const struct report_recipe r = { .name = v6,
					 .quote = 1,
					 .ncmsg = ncmsg };

	len = 0;
	put(&r, sizeof(r));
	put("x\0\0\0\0\0\0", 8);
}

/* Control message of a kind, @n of its bytes */
static void cmsg(uint8_t kind, const void *data, uint8_t n)
{
	const struct report_cmsg c = { kind, n };

	put(&c, sizeof(c));
	put(data, n);
}

/* Error and offender */
static void cmsg_error(bool v6, const char *by, uint8_t n)
{
	struct {
		struct sock_extended_err ee;
		union sockaddr_any sa;
	} e = {
		.ee = { .ee_errno = ECONNREFUSED,
			.ee_origin = v6 ? SO_EE_ORIGIN_ICMP6
					: SO_EE_ORIGIN_ICMP,
			.ee_type = v6 ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH,
			.ee_code = v6 ? ICMP6_DST_UNREACH_NOPORT
				      : ICMP_PORT_UNREACH },
	};
	union inany_addr a = env_addr(by);

	sockaddr_from_inany(&e.sa, &a, 0, 0);
	cmsg(v6, &e, n < sizeof(e) ? n : sizeof(e));
}

/* Have a flow of the guest read it. Return: frames for the guest */
static unsigned feed(bool v6)
{
	const struct udp_env_send s = { .src = v6 ? GUEST6 : GUEST4,
					.dst = v6 ? PEER6 : PEER4,
					.sport = SPORT,
					.dport = REPORT_DPORT };
	const struct flowside side = { .eaddr = env_addr(s.src),
				       .oaddr = env_addr(s.dst),
				       .eport = SPORT,
				       .oport = REPORT_DPORT };
	const uint8_t where = v6;
	struct flow *f;

	udp_env_guest_sends(&s, "x", 1);
	f = flow_lookup(&udp_env.flows, IPPROTO_UDP, PIF_TAP, &side, NULL);
	assert_non_null(f);
	fuzz_seed("udp_err", &where, sizeof(where), report, len);
	report_in = report;
	report_left = len;
	udp_env_forget();
	assert_int_equal(
		udp_err_drain(&udp_env.udp, (struct udp_flow *)f, TGTSIDE), 1);
	return tap_mem.n;
}

static void test_whole(void **state)
{
	(void)state;
	begin(false, 1);
	cmsg_error(false, PEER4B, UINT8_MAX);
	assert_int_equal(feed(false), 1);
	begin(true, 1);
	cmsg_error(true, PEER6B, UINT8_MAX);
	assert_int_equal(feed(true), 1);
}

/* Nobody is named, or not all of him: the error counts */
static void test_cut_offender(void **state)
{
	uint8_t n;

	(void)state;
	for (n = sizeof(struct sock_extended_err); n < 40; n++) {
		begin(false, 1);
		cmsg_error(false, PEER4B, n);
		assert_int_equal(feed(false), 1);
	}
}

/* An error that is cut is none */
static void test_cut_error(void **state)
{
	uint8_t n;

	(void)state;
	for (n = 0; n < sizeof(struct sock_extended_err); n++) {
		begin(false, 1);
		cmsg_error(false, PEER4B, n);
		assert_int_equal(feed(false), 0);
	}
	begin(false, 0);
	assert_int_equal(feed(false), 0);
}

/* Nothing is read behind a PKTINFO that is cut: something else before it leaves
 * less and less room. Found by fuzzing.
 */
static void test_cut_pktinfo(void **state)
{
	static const uint8_t fill[UINT8_MAX];
	struct in6_pktinfo p6 = { 0 };
	struct in_pktinfo p4 = { 0 };
	uint8_t n;

	(void)state;
	for (n = 0; n < UINT8_MAX; n++) {
		begin(false, 3);
		cmsg_error(false, PEER4B, UINT8_MAX);
		cmsg(4, fill, n);
		cmsg(2, &p4, sizeof(p4));
		assert_int_equal(feed(false), 1);

		begin(true, 3);
		cmsg_error(true, PEER6B, UINT8_MAX);
		cmsg(4, fill, n);
		cmsg(3, &p6, sizeof(p6));
		assert_int_equal(feed(true), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_whole, udp_env_reset),
		cmocka_unit_test_setup(test_cut_offender, udp_env_reset),
		cmocka_unit_test_setup(test_cut_error, udp_env_reset),
		cmocka_unit_test_setup(test_cut_pktinfo, udp_env_reset),
	};

	return cmocka_run_group_tests(tests, udp_env_start, NULL);
}
