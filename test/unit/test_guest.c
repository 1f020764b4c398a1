/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Observation of the guest */

#include "test/unit/resp.h"

static const uint8_t mac2[6] = { 0x52, 0x54, 0x00, 0xaa, 0xbb, 0xcc };
static const uint8_t group[6] = { 0x01, 0x00, 0x5e, 0x00, 0x00, 0x01 };

static void test_mac(void **state)
{
	const uint8_t any[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	(void)state;

	resp_guest(&guest);
	guest_forget(&guest);
	assert_memory_equal(guest.mac, any, 6);
	assert_false(guest.mac_seen);

	guest_observe(&guest, group, NULL);
	assert_memory_equal(guest.mac, any, 6);
	guest_observe(&guest, guest_mac, NULL);
	assert_memory_equal(guest.mac, guest_mac, 6);
	assert_true(guest.mac_seen);
	guest_observe(&guest, mac2, NULL);
	assert_memory_equal(guest.mac, mac2, 6);
}

/* Observe @src, then look at what became of it */
static void observe(const char *src)
{
	union inany_addr a = addr(src);

	guest_observe(&guest, guest_mac, &a);
}

static void test_addr4(void **state)
{
	static const char *const ignored[] = { "0.0.0.0", "255.255.255.255",
					       "224.0.0.1", "127.0.0.1",
					       "192.0.2.1" /* our own */ };
	size_t i;
	(void)state;

	resp_guest(&guest);
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		observe(ignored[i]);
		assert_addr(guest.v4.seen, "192.0.2.15");
	}
	observe("198.51.100.7");
	assert_addr(guest.v4.seen, "198.51.100.7");
	assert_addr(guest.v4.addr, "192.0.2.15");
	assert_addr(guest.v6.seen, "2001:db8::15");

	guest_forget(&guest);
	assert_addr(guest.v4.seen, "192.0.2.15");

	guest.v4.fixed = true;
	observe("198.51.100.7");
	assert_addr(guest.v4.seen, "192.0.2.15");
}

static void test_addr6(void **state)
{
	(void)state;

	resp_guest(&guest);
	observe("fe80::5054:ff:fe12:3456");
	assert_addr(guest.v6.ll_seen, "fe80::5054:ff:fe12:3456");
	assert_addr(guest.v6.seen, "2001:db8::15");
	observe("2001:db8::99");
	assert_addr(guest.v6.seen, "2001:db8::99");
	observe("::");
	observe("ff02::1");
	observe("::1");
	observe("fe80::1"); /* our own */
	assert_addr(guest.v6.seen, "2001:db8::99");
	assert_addr(guest.v6.ll_seen, "fe80::5054:ff:fe12:3456");

	guest_forget(&guest);
	assert_addr(guest.v6.seen, "2001:db8::15");
	assert_addr(guest.v6.ll_seen, "::");
}

/* --address: a guest that knows only SLAAC is followed, one that has used the
 * address given is not
 */
static void test_fixed6(void **state)
{
	(void)state;

	resp_guest(&guest);
	guest.v6.fixed = true;
	observe("2001:db8::77");
	observe("2001:db8::78");
	assert_addr(guest.v6.seen, "2001:db8::78");
	observe("2001:db8::15");
	observe("2001:db8::77");
	observe("fe80::77");
	assert_addr(guest.v6.seen, "2001:db8::15");
	assert_addr(guest.v6.ll_seen, "fe80::77");

	/* used before any other */
	guest_forget(&guest);
	observe("2001:db8::15");
	observe("2001:db8::77");
	assert_addr(guest.v6.seen, "2001:db8::15");

	guest_forget(&guest);
	observe("2001:db8::77");
	assert_addr(guest.v6.seen, "2001:db8::77");
}

/* Without a global address, the link-local one has to do */
static void test_ll_only(void **state)
{
	(void)state;

	resp_guest(&guest);
	guest.v6.addr = guest.v6.seen = inany_any6;
	observe("fe80::77");
	assert_addr(guest.v6.seen, "fe80::77");
	observe("2001:db8::77");
	assert_addr(guest.v6.seen, "2001:db8::77");
	observe("fe80::78");
	assert_addr(guest.v6.seen, "2001:db8::77");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mac),     cmocka_unit_test(test_addr4),
		cmocka_unit_test(test_addr6),   cmocka_unit_test(test_fixed6),
		cmocka_unit_test(test_ll_only),
	};

	return cmocka_run_group_tests_name("guest", tests, NULL, NULL);
}
