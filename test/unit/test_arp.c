/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ARP responder */

#include "arp.h"
#include "test/golden/arp.h"
#include "test/unit/resp.h"
#include "wire/arp.h"

static struct arp arp = { .tap = &tap, .guest = &guest };
static const struct ether_l4 l4[] = { { 0 } };
static const struct ether_l2 l2[] = {
	{ "arp", ETHERTYPE_ARP, arp_input, &arp },
	{ 0 },
};
static struct ether ether;

static int setup(void **state)
{
	(void)state;
	ether_init(&ether, &guest, l2, l4, true, true);
	resp_setup(&ether);
	arp.bad = arp.answered = 0;
	return 0;
}

static void test_golden(void **state)
{
	(void)state;

	tap_mem_inject(&tap, arp_request, sizeof(arp_request));
	resp_expect(arp_reply, sizeof(arp_reply));
	assert_int_equal(arp.answered, 1);

	/* A reply asks for nothing */
	tap_mem_inject(&tap, arp_reply, sizeof(arp_reply));
	assert_int_equal(tap_mem.n, 0);
	assert_int_equal(arp.bad, 0);

	arp_announce(&arp);
	resp_expect(arp_announcement, sizeof(arp_announcement));
}

static void test_who_is_answered(void **state)
{
	static const struct {
		const char *sender, *target;
		bool answered;
	} rows[] = {
		{ "192.0.2.15", "192.0.2.1", true },
		{ "192.0.2.15", "192.0.2.77", true },  /* any neighbour */
		{ "192.0.2.15", "203.0.113.9", true }, /* wherever */
		{ "198.51.100.7", "192.0.2.1", true }, /* whoever */
		{ "192.0.2.15", "192.0.2.15", false }, /* announcement */
		{ "192.0.2.77", "192.0.2.77", false },
		{ "198.51.100.7", "192.0.2.15", false }, /* the guest's own */
		{ "0.0.0.0", "192.0.2.15", false },      /* probes */
		{ "0.0.0.0", "192.0.2.77", false },
		{ "0.0.0.0", "192.0.2.1", true }, /* that one is ours */
		{ "192.0.2.15", "0.0.0.0", false },
		{ "192.0.2.15", "224.0.0.1", false },
		{ "192.0.2.15", "255.255.255.255", false },
		{ "192.0.2.15", "127.0.0.1", false },
	};
	uint8_t frame[sizeof(arp_request)];
	union inany_addr a;
	size_t i;
	(void)state;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memcpy(frame, arp_request, sizeof(frame));
		a = addr(rows[i].sender);
		memcpy(frame + 28, &a.v4.a4, 4);
		a = addr(rows[i].target);
		memcpy(frame + 38, &a.v4.a4, 4);
		tap_mem_inject(&tap, frame, sizeof(frame));
		if (tap_mem.n != rows[i].answered)
			fail_msg("%s for %s", rows[i].sender, rows[i].target);
		tap_mem_reset();
	}
	assert_int_equal(arp.bad, 0);
}

static void test_bad(void **state)
{
	static const struct {
		size_t off;
		uint8_t val;
	} rows[] = {
		{ 15, 6 },                  /* hardware: IEEE 802 */
		{ 17, 0xdd },               /* protocol */
		{ 18, 8 },                  /* lengths */
		{ 19, 16 },   { 22, 0x53 }, /* sender MAC: group */
		{ 28, 127 },                /* sender: loopback */
		{ 28, 239 },                /* sender: multicast */
	};
	uint8_t frame[sizeof(arp_request)];
	size_t i;
	(void)state;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memcpy(frame, arp_request, sizeof(frame));
		frame[rows[i].off] = rows[i].val;
		tap_mem_inject(&tap, frame, sizeof(frame));
		assert_int_equal(tap_mem.n, 0);
		assert_int_equal(arp.bad, i + 1);
	}
	for (i = 14; i < sizeof(arp_request); i++)
		tap_mem_inject(&tap, arp_request, i);
	assert_int_equal(tap_mem.n, 0);
}

/* Behind the request, an Ethernet frame has padding */
static void test_padded(void **state)
{
	uint8_t frame[ETH_MIN_LEN] = { 0 };
	(void)state;

	memcpy(frame, arp_request, sizeof(arp_request));
	tap_mem_inject(&tap, frame, sizeof(frame));
	resp_expect(arp_reply, sizeof(arp_reply));
}

static void test_blocked(void **state)
{
	(void)state;

	tap_mem.blocked = true;
	tap_mem_inject(&tap, arp_request, sizeof(arp_request));
	arp_announce(&arp);
	assert_int_equal(arp.answered, 0);
}

/* Nothing to ask for without IPv4 or an address; without ours it is a probe */
static void test_announce(void **state)
{
	uint8_t frame[sizeof(arp_announcement)];
	(void)state;

	guest.v4.on = false;
	arp_announce(&arp);
	assert_int_equal(tap_mem.n, 0);

	guest.v4.on = true;
	guest.v4.our = inany_any6;
	memcpy(frame, arp_announcement, sizeof(frame));
	memset(frame + 28, 0, 4); /* sender address */
	arp_announce(&arp);
	resp_expect(frame, sizeof(frame));

	guest.v4.seen = inany_any4;
	arp_announce(&arp);
	guest.v4.seen = inany_any6;
	arp_announce(&arp);
	assert_int_equal(tap_mem.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_golden, setup),
		cmocka_unit_test_setup(test_who_is_answered, setup),
		cmocka_unit_test_setup(test_bad, setup),
		cmocka_unit_test_setup(test_padded, setup),
		cmocka_unit_test_setup(test_blocked, setup),
		cmocka_unit_test_setup(test_announce, setup),
	};

	return cmocka_run_group_tests_name("arp", tests, NULL, NULL);
}
