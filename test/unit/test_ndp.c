/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Neighbour discovery */

#include "loop.h"
#include "ndp.h"
#include "test/golden/ndp.h"
#include "test/unit/resp.h"
#include "wire/ndp.h"

static struct ndp_opts opts;
static struct ndp ndp;
static const struct ether_l2 l2[] = { { 0 } };
static const struct ether_l4 l4[] = {
	{ "ndp", AF_INET6, IPPROTO_ICMPV6, 0, ND_ROUTER_SOLICIT, ND_REDIRECT,
	  true, ndp_tap_input, &ndp },
	{ 0 },
};
static struct ether ether;

#define GUEST_LL "fe80::5054:ff:fe12:3456"

static int setup(void **state)
{
	(void)state;
	ether_init(&ether, &guest, l2, l4, true, true);
	resp_setup(&ether);
	loop = (struct loop){ .epfd = -1, .now = 1000 };
	wheel_init(&loop.wheel, loop.now);
	opts = (struct ndp_opts){ .no_ndp = false };
	ndp = (struct ndp){
		.tap = &tap, .loop = &loop, .guest = &guest, .opts = &opts
	};
	return 0;
}

static void test_golden(void **state)
{
	(void)state;

	tap_mem_inject(&tap, ndp_rs, sizeof(ndp_rs));
	resp_expect(ndp_ra, sizeof(ndp_ra));
	tap_mem_inject(&tap, ndp_ns, sizeof(ndp_ns));
	resp_expect(ndp_na, sizeof(ndp_na));
	assert_int_equal(ndp.answered, 2);

	/* Nothing to do for what we send ourselves */
	ether.guest->our_mac[0] = 0x02;
	tap_mem_inject(&tap, ndp_ra, sizeof(ndp_ra));
	tap_mem_inject(&tap, ndp_na, sizeof(ndp_na));
	assert_int_equal(tap_mem.n, 0);
	assert_int_equal(ndp.bad, 0);
}

/* Feed the L4 part of a golden frame with other addresses */
static void feed(const uint8_t *frame, size_t len, const char *src,
		 const char *dst)
{
	resp_feed(ndp_tap_input, &ndp, IPPROTO_ICMPV6, src, dst,
		  frame + L4_OFF6, len - L4_OFF6, 0);
}

static void test_who_is_answered(void **state)
{
	static const struct {
		const char *src, *target;
		const char *dst; /* of the answer, NULL: none */
	} rows[] = {
		{ GUEST_LL, "fe80::1", GUEST_LL },
		{ GUEST_LL, "2001:db8::77", GUEST_LL },
		{ "2001:db8::15", "2001:db8::77", "2001:db8::15" },
		{ GUEST_LL, "2001:db8::15", NULL },  /* assigned */
		{ GUEST_LL, "2001:db8::abc", NULL }, /* observed */
		{ "2001:db8::15", GUEST_LL, NULL },  /* observed */
		{ GUEST_LL, "::", NULL },
		{ GUEST_LL, "::1", NULL },
		{ "::", "2001:db8::15", NULL }, /* duplicate detection */
		{ "::", "2001:db8::77", NULL },
		{ "::", "fe80::77", NULL },
		{ "::", "fe80::1", "ff02::1" }, /* that one is ours */
	};
	uint8_t frame[sizeof(ndp_ns)];
	union inany_addr a;
	size_t i, len;
	(void)state;

	guest.v6.seen = addr("2001:db8::abc");
	guest.v6.ll_seen = addr(GUEST_LL);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memcpy(frame, ndp_ns, sizeof(frame));
		a = addr(rows[i].target);
		memcpy(frame + L4_OFF6 + 8, &a, sizeof(a));
		/* Without source no option with its MAC address */
		len = sizeof(frame);
		if (!strcmp(rows[i].src, "::"))
			len -= sizeof(struct ndp_opt_lladdr);
		feed(frame, len, rows[i].src, "ff02::1:ff00:1");
		if (tap_mem.n != !!rows[i].dst)
			fail_msg("%s for %s", rows[i].src, rows[i].target);
		if (rows[i].dst) {
			const uint8_t *na = resp_l4(&len);
			bool solicited = strcmp(rows[i].dst, "ff02::1");

			assert_addr(resp_dst(), rows[i].dst);
			assert_int_equal(na[4], solicited ? 0xe0 : 0xa0);
			assert_memory_equal(na + 8, &a, sizeof(a));
		}
		tap_mem_reset();
	}
	assert_int_equal(ndp.bad, 0);
}

static void test_rs_unspecified(void **state)
{
	(void)state;

	feed(ndp_rs, sizeof(ndp_rs) - 8, "::", "ff02::2");
	assert_addr(resp_dst(), "ff02::1");
	tap_mem_reset();
	feed(ndp_rs, sizeof(ndp_rs) - 8, GUEST_LL, "ff02::2");
	assert_addr(resp_dst(), GUEST_LL);
}

static void test_bad(void **state)
{
	uint8_t frame[sizeof(ndp_ns)];
	struct resp_packet rp;
	uint64_t bad = 0;
	(void)state;

	/* Source MAC address without source address */
	feed(ndp_rs, sizeof(ndp_rs), "::", "ff02::2");
	assert_int_equal(ndp.bad, ++bad);
	feed(ndp_ns, sizeof(ndp_ns), "::", "ff02::1:ff00:1");
	assert_int_equal(ndp.bad, ++bad);
	/* Duplicate detection goes to the solicited-node address */
	feed(ndp_ns, sizeof(ndp_ns) - 8, "::", "fe80::1");
	assert_int_equal(ndp.bad, ++bad);
	/* Code */
	memcpy(frame, ndp_ns, sizeof(frame));
	frame[L4_OFF6 + 1] = 1;
	feed(frame, sizeof(frame), GUEST_LL, "fe80::1");
	assert_int_equal(ndp.bad, ++bad);
	/* Multicast target */
	memcpy(frame, ndp_ns, sizeof(frame));
	frame[L4_OFF6 + 8] = 0xff;
	feed(frame, sizeof(frame), GUEST_LL, "fe80::1");
	assert_int_equal(ndp.bad, ++bad);
	/* Options: length zero, beyond the end, half a unit */
	memcpy(frame, ndp_ns, sizeof(frame));
	frame[L4_OFF6 + 25] = 0;
	feed(frame, sizeof(frame), GUEST_LL, "fe80::1");
	frame[L4_OFF6 + 25] = 2;
	feed(frame, sizeof(frame), GUEST_LL, "fe80::1");
	feed(ndp_ns, sizeof(ndp_ns) - 1, GUEST_LL, "fe80::1");
	assert_int_equal(ndp.bad, bad += 3);
	/* Through a router */
	resp_packet(&rp, IPPROTO_ICMPV6, GUEST_LL, "fe80::1", ndp_ns + L4_OFF6,
		    sizeof(ndp_ns) - L4_OFF6, 0);
	rp.g.ttl = 254;
	ndp_tap_input(&ndp, &rp.g);
	resp_packet_free(&rp);
	assert_int_equal(ndp.bad, ++bad);
	/* Checksum */
	memcpy(frame, ndp_ns, sizeof(frame));
	frame[L4_OFF6 + 3] ^= 1;
	tap_mem_inject(&tap, frame, sizeof(frame));
	assert_int_equal(ndp.bad, ++bad);

	assert_int_equal(tap_mem.n, 0);
}

static void test_torture(void **state)
{
	(void)state;

	resp_torture(ndp_tap_input, &ndp, IPPROTO_ICMPV6, GUEST_LL, "ff02::2",
		     ndp_rs + L4_OFF6, sizeof(ndp_rs) - L4_OFF6);
	resp_torture(ndp_tap_input, &ndp, IPPROTO_ICMPV6, GUEST_LL, "fe80::1",
		     ndp_ns + L4_OFF6, sizeof(ndp_ns) - L4_OFF6);
}

static void test_off(void **state)
{
	(void)state;

	opts.no_ra = true;
	tap_mem_inject(&tap, ndp_rs, sizeof(ndp_rs));
	assert_int_equal(tap_mem.n, 0);
	tap_mem_inject(&tap, ndp_ns, sizeof(ndp_ns));
	resp_expect(ndp_na, sizeof(ndp_na));
	opts.no_ndp = true;
	tap_mem_inject(&tap, ndp_ns, sizeof(ndp_ns));
	ndp_link_up(&ndp);
	assert_int_equal(tap_mem.n, 0);
	assert_false(wtimer_armed(&ndp.timer));
}

/* Option of a router advertisement, NULL if it is not there */
static const uint8_t *ra_opt(uint8_t type)
{
	const uint8_t *ra, *end, *p;
	size_t len;

	ra = resp_l4(&len);
	assert_int_equal(ra[0], ND_ROUTER_ADVERT);
	for (p = ra + 16, end = ra + len; p < end; p += p[1] * 8) {
		assert_int_not_equal(p[1], 0);
		if (*p == type)
			return p;
	}
	assert_ptr_equal(p, end);
	return NULL;
}

static void test_ra_without(void **state)
{
	size_t len;
	(void)state;

	opts.no_dns = opts.no_search = opts.no_dhcpv6 = true;
	guest.offer.mtu = 0;
	guest.v6.addr = inany_any6;
	tap_mem_inject(&tap, ndp_rs, sizeof(ndp_rs));
	assert_int_equal(resp_l4(&len)[5], 0); /* flags */
	assert_null(ra_opt(NDP_OPT_RDNSS));
	assert_null(ra_opt(NDP_OPT_DNSSL));
	assert_null(ra_opt(ND_OPT_MTU));
	assert_null(ra_opt(ND_OPT_PREFIX_INFORMATION));
	assert_non_null(ra_opt(ND_OPT_SOURCE_LINKADDR));
	tap_mem_reset();

	/* A search list needs no name servers of this family */
	opts.no_search = false;
	guest.offer.mtu = 1279; /* no IPv6 link has that */
	tap_mem_inject(&tap, ndp_rs, sizeof(ndp_rs));
	assert_non_null(ra_opt(NDP_OPT_DNSSL));
	assert_null(ra_opt(ND_OPT_MTU));
}

/* The longest lists still fit one packet of the least MTU */
static void test_ra_full(void **state)
{
	char name[DOMAIN_MAX];
	unsigned i;
	(void)state;

	for (i = 0; i < 253; i++)
		name[i] = i % 50 == 49 ? '.' : 'x';
	name[253] = 0;
	guest.offer.nsearch = GUEST_SEARCH_MAX;
	for (i = 0; i < GUEST_SEARCH_MAX; i++)
		memcpy(guest.offer.search[i], name, 254);
	guest.offer.ndns6 = GUEST_DNS_MAX;
	tap_mem_inject(&tap, ndp_rs, sizeof(ndp_rs));
	assert_int_equal(ra_opt(NDP_OPT_RDNSS)[1], 7);
	assert_true(ra_opt(NDP_OPT_DNSSL)[1] >= 4 * 255 / 8);
	assert_true(tap_mem.len[0] <= L3_OFF + 1280);
}

/* Three advertisements soon, then every 200 to 600 s */
static void test_periodic(void **state)
{
	uint64_t wait;
	int i;
	(void)state;

	ndp_link_up(&ndp);
	assert_int_equal(tap_mem.n, 2);
	assert_memory_equal(tap_mem.frame[0], ndp_our_ns, sizeof(ndp_our_ns));
	for (i = 0; i < 50; i++) {
		assert_true(wtimer_armed(&ndp.timer));
		wait = ndp.timer.at - loop.now;
		if (i < 2) {
			assert_int_equal(wait, 16000);
		} else {
			assert_true(wait >= 200000);
			assert_true(wait <= 600000);
		}
		tap_mem_reset();
		loop.now = ndp.timer.at;
		wheel_cancel(&loop.wheel, &ndp.timer);
		ndp_timer(&ndp);
		assert_addr(resp_dst(), "ff02::1");
	}
	wheel_cancel(&loop.wheel, &ndp.timer);
}

/* Configured by us: no advertisements unasked */
static void test_no_periodic(void **state)
{
	(void)state;

	opts.no_periodic = true;
	ndp_link_up(&ndp);
	resp_expect(ndp_our_ns, sizeof(ndp_our_ns));
	assert_false(wtimer_armed(&ndp.timer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_golden, setup),
		cmocka_unit_test_setup(test_who_is_answered, setup),
		cmocka_unit_test_setup(test_rs_unspecified, setup),
		cmocka_unit_test_setup(test_bad, setup),
		cmocka_unit_test_setup(test_torture, setup),
		cmocka_unit_test_setup(test_off, setup),
		cmocka_unit_test_setup(test_ra_without, setup),
		cmocka_unit_test_setup(test_ra_full, setup),
		cmocka_unit_test_setup(test_periodic, setup),
		cmocka_unit_test_setup(test_no_periodic, setup),
	};

	return cmocka_run_group_tests_name("ndp", tests, NULL, NULL);
}
