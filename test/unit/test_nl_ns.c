/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links, addresses of real namespaces, as world.h has them */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fdio.h"
#include "nl.h"
#include "sock.h"
#include "test/fake/world.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static void test_link_find(void **state)
{
	static const uint8_t mac[] = { 2, 0, 0, 0, 0, 7 };
	struct nl_link link;
	int i;

	(void)state;
	world_ip(&host,
		 "link set d0 address 02:00:00:00:00:07 mtu 1400;"
		 "link property add dev d0 altname a-rather-long-name-of-it;"
		 "tuntap add mode tun name tun0");
	i = world_ifi(&host, "d0");
	assert_int_equal(nl_link_index(&host.nl, "a-rather-long-name-of-it"),
			 i);
	assert_int_equal(nl_link_index(&host.nl, "nosuch"), -ENODEV);
	assert_int_equal(nl_link_index(&host.nl, "nosuch0123456789"), -ENODEV);
	assert_int_equal(nl_link_get(&host.nl, 12345, &link), -ENODEV);

	assert_int_equal(nl_link_get(&host.nl, i, &link), 0);
	assert_int_equal(link.ifi, i);
	assert_string_equal(link.name, "d0");
	assert_int_equal(link.mtu, 1400);
	assert_int_equal(link.type, ARPHRD_ETHER);
	assert_true(link.has_mac);
	assert_memory_equal(link.mac, mac, 6);
	assert_true(link.flags & IFF_UP);

	assert_int_equal(nl_link_get(&host.nl, world_ifi(&host, "tun0"), &link),
			 0);
	assert_int_equal(link.type, ARPHRD_NONE);
	assert_false(link.has_mac);
	assert_int_equal(nl_link_get(&host.nl, world_ifi(&host, "lo"), &link),
			 0);
	assert_true(link.flags & IFF_LOOPBACK);
}

static void test_link_set(void **state)
{
	static const uint8_t mac[] = { 0x9a, 0x55, 1, 2, 3, 4 };
	struct ifreq ifr = { .ifr_name = "d1" };
	struct nl_link link;
	int i, s;

	(void)state;
	world_enter(&guest);
	i = world_ifi(&guest, "d1");
	assert_int_equal(nl_link_set_mac(&guest.nl, i, mac), 0);
	assert_int_equal(nl_link_set_mtu(&guest.nl, i, 9000), 0);
	assert_int_equal(nl_link_set_txqlen(&guest.nl, i, 77), 0);
	assert_int_equal(
		nl_link_set_addrgen(&guest.nl, i, IN6_ADDR_GEN_MODE_NONE), 0);
	assert_int_equal(nl_link_set_flags(&guest.nl, i, IFF_UP | IFF_NOARP,
					   IFF_UP | IFF_NOARP),
			 0);
	assert_int_equal(nl_link_get(&guest.nl, i, &link), 0);
	assert_memory_equal(link.mac, mac, 6);
	assert_int_equal(link.mtu, 9000);
	assert_int_equal(link.flags & (IFF_UP | IFF_NOARP), IFF_UP | IFF_NOARP);

	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(ioctl(s, SIOCGIFTXQLEN, &ifr), 0);
	assert_int_equal(ifr.ifr_qlen, 77);
	close(s);

	/* one flag leaves the others alone; no link-local address was made */
	assert_int_equal(nl_link_set_flags(&guest.nl, i, 0, IFF_NOARP), 0);
	assert_int_equal(nl_link_get(&guest.nl, i, &link), 0);
	assert_int_equal(link.flags & (IFF_UP | IFF_NOARP), IFF_UP);
	assert_string_equal(world_output(&guest, "ip -6 address show dev d1"),
			    "");

	assert_int_equal(nl_link_set_mtu(&guest.nl, i, 1 << 20), -EINVAL);
	assert_int_equal(nl_link_set_mtu(&guest.nl, 12345, 1500), -ENODEV);
}

/* Addresses on the host's d0 -> the best one, and all the guest gets */
static const struct {
	sa_family_t af;
	const char *setup;
	const char *best; /* address/prefix, NULL: none */
	const char *copy; /* ip -br address show */
} addrs[] = {
	{ AF_INET, "", NULL, "" },
	{ AF_INET, "address add 192.0.2.1/24 brd + dev d0", "192.0.2.1/24",
	  "192.0.2.1/24" },
	{ AF_INET,
	  "address add 192.0.2.1/24 dev d0 label d0:1;"
	  "address add 192.0.2.2/24 dev d0 valid_lft 900 preferred_lft 800;"
	  "address add 198.51.100.1/28 dev d0",
	  "198.51.100.1/28", "192.0.2.1/24 198.51.100.1/28 192.0.2.2/24" },
	{ AF_INET, "address add 192.0.2.1 peer 192.0.2.99/32 dev d0",
	  "192.0.2.1/32", "192.0.2.1 peer 192.0.2.99/32" },
	{ AF_INET, "address add 169.254.1.1/16 scope link dev d0",
	  "169.254.1.1/16", "" },
	{ AF_INET, "address add 192.0.2.1/32 dev d1", NULL, "" },
	{ AF_INET6, "address add 2001:db8::1/64 dev d0 nodad", "2001:db8::1/64",
	  "2001:db8::1/64" },
	{ AF_INET6,
	  "address add 2001:db8::1/64 dev d0 preferred_lft 0 valid_lft 900 nodad;"
	  "address add 2001:db8::2/64 dev d0 noprefixroute "
	  "preferred_lft 100 valid_lft 900 nodad;"
	  "address add 2001:db8::3 peer 2001:db8::9/128 dev d0 nodad",
	  "2001:db8::3/128",
	  "2001:db8::2/64 2001:db8::3 peer 2001:db8::9/128" },
};

static void test_addrs(void **state)
{
	char text[INANY_STRLEN + 8], show[200], want[200];
	struct nl_addr best;
	struct nl_copy res;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(addrs); i++) {
		sa_family_t af = addrs[i].af;
		int from = world_ifi(&host, "d0"), to = world_ifi(&guest, "d0");

		world_ip(&host, addrs[i].setup);
		rc = nl_addr_best(&host.nl, from, af, &best);
		assert_int_equal(rc, addrs[i].best ? 0 : -EADDRNOTAVAIL);
		if (addrs[i].best) {
			inany_ntop(&best.addr, text);
			sprintf(text + strlen(text), "/%u", best.prefix_len);
			assert_string_equal(text, addrs[i].best);
		}

		assert_int_equal(
			nl_addr_copy(&host.nl, from, &guest.nl, to, af, &res),
			0);
		assert_int_equal(res.failed, 0);
		snprintf(show, sizeof(show),
			 "ip -%d -br address show dev d0 scope global | "
			 "sed 's/^[^ ]* *[^ ]* *//' | xargs",
			 af == AF_INET ? 4 : 6);
		snprintf(want, sizeof(want), "%s\n", addrs[i].copy);
		assert_string_equal(world_output(&guest, show), want);

		/* no address may ever go away by itself, or be in doubt */
		assert_string_equal(
			world_output(&guest,
				     "ip address show dev d0 dynamic;"
				     "ip address show dev d0 tentative"),
			"");
		/* once more: nothing new, nothing wrong */
		rc = nl_addr_copy(&host.nl, from, &guest.nl, to, af, &res);
		assert_int_equal(rc, 0);
		assert_int_equal(res.failed, 0);

		world_teardown(NULL);
		assert_int_equal(world_setup(NULL), 0);
	}
}

static void test_addr_flags(void **state)
{
	struct nl_copy res;

	(void)state;
	world_ip(&host, "address add 192.0.2.1/24 dev d0 noprefixroute;"
			"address add 198.51.100.1/24 dev d0");
	assert_int_equal(nl_addr_copy(&host.nl, world_ifi(&host, "d0"),
				      &guest.nl, world_ifi(&guest, "d0"),
				      AF_INET, &res),
			 0);
	assert_int_equal(res.copied, 2);
	assert_string_equal(world_output(&guest, "ip -4 route"),
			    "198.51.100.0/24 dev d0 proto kernel scope link "
			    "src 198.51.100.1\n");
}

static void test_addr_add(void **state)
{
	static const struct {
		const char *addr;
		unsigned prefix_len;
		int rc;
	} c[] = {
		{ "192.0.2.1", 24, 0 },       { "192.0.2.1", 24, 0 },
		{ "192.0.2.2", 33, -EINVAL }, { "2001:db8::1", 64, 0 },
		{ "2001:db8::2", 128, 0 },    { "2001:db8::3", 129, -EINVAL },
		{ "fe80::1", 64, 0 },
	};
	union inany_addr a;
	struct nl_link link;
	size_t i;
	int d1;

	(void)state;
	d1 = world_ifi(&guest, "d1");
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		a = world_addr(c[i].addr);
		assert_int_equal(
			nl_addr_add(&guest.nl, d1, &a, c[i].prefix_len),
			c[i].rc);
	}
	assert_string_equal(world_output(&guest, "ip -o address show dev d1 | "
						 "wc -l"),
			    "4\n");
	assert_int_equal(nl_link_get(&guest.nl, d1, &link), 0);
	a = world_addr("192.0.2.1");
	assert_int_equal(nl_addr_add(&guest.nl, 12345, &a, 24), -ENODEV);
}

/* As soon as an address was added packets for it are taken */
static void test_addr_usable(void **state)
{
	const struct sock_spec spec = { .af = AF_INET6,
					.type = SOCK_DGRAM,
					.bind = &inany_any6,
					.port = 4000 };
	struct pollfd pfd = { .events = POLLIN };
	union sockaddr_any sa;
	socklen_t len;
	char text[32], c;
	int d0, i;

	(void)state;
	world_ip(&guest, "link set lo up");
	world_enter(&guest);
	d0 = world_ifi(&guest, "d0");
	pfd.fd = sock_open(&spec);
	assert_true(pfd.fd >= 0);
	for (i = 1; i <= 50; i++) {
		union inany_addr a;

		snprintf(text, sizeof(text), "2001:db8:1::%x", (unsigned)i);
		a = world_addr(text);
		assert_int_equal(nl_addr_add(&guest.nl, d0, &a, 64), 0);
		len = sockaddr_from_inany(&sa, &a, 4000, 0);
		assert_int_equal(sendto(pfd.fd, "x", 1, 0, &sa.sa, len), 1);
		if (poll(&pfd, 1, 1000) != 1)
			fail_msg("nothing comes to %s", text);
		assert_int_equal(recv(pfd.fd, &c, 1, 0), 1);
	}
	close(pfd.fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_link_find), TEST(test_link_set),
		TEST(test_addrs),     TEST(test_addr_flags),
		TEST(test_addr_add),  TEST(test_addr_usable),
	};

	return cmocka_run_group_tests(tests, world_group_setup, NULL);
}
