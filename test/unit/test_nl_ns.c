/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink operations on real kernels' namespaces, two for each case
 *
 * "host" is set up by ip(8), "guest" is where things are copied to. Both have
 * veth pairs d0-p0 and d1-p1; all are up in the host, so is d0 in the guest.
 * Runs in a user namespace of its own: nothing outside is touched.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/fdio.h"
#include "nl.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* One namespace and a netlink socket of it */
static struct world {
	int ns;
	struct nl_sock nl;
} host, guest;

static void enter(const struct world *w)
{
	assert_int_equal(setns(w->ns, CLONE_NEWNET), 0);
}

/* Run ip(8) commands, separated by ';', in a namespace */
static void ip(const struct world *w, const char *lines)
{
	char command[300];

	enter(w);
	while (*lines) {
		int len = (int)strcspn(lines, ";");

		snprintf(command, sizeof(command), "ip %.*s", len, lines);
		assert_int_equal(system(command), 0);
		lines += len + (lines[len] == ';');
	}
}

/* What a command prints in a namespace, one blank for any number of them */
static const char *output(const struct world *w, const char *command)
{
	static char buf[4096];
	size_t n = 0;
	FILE *f;
	int c;

	enter(w);
	f = popen(command, "r");
	assert_non_null(f);
	while ((c = fgetc(f)) != EOF && n < sizeof(buf) - 1) {
		if (c == ' ' && n && (buf[n - 1] == ' '))
			continue;
		if (c == '\n' && n && buf[n - 1] == ' ')
			n--;
		buf[n++] = (char)c;
	}
	buf[n] = '\0';
	assert_int_equal(pclose(f), 0);
	return buf;
}

static int world_new(struct world *w)
{
	if (unshare(CLONE_NEWNET))
		return -1;
	w->ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (w->ns < 0 || nl_open(&w->nl))
		return -1;
	/* no waiting for addresses of the kernel's own */
	if (write_file("/proc/sys/net/ipv6/conf/default/accept_dad", "0"))
		return -1;
	ip(w, "link add d0 type veth peer name p0;"
	      "link add d1 type veth peer name p1;"
	      "link set lo up;link set d0 up;link set p0 up");
	return 0;
}

static int setup(void **state)
{
	(void)state;
	if (world_new(&host) || world_new(&guest))
		return -1;
	ip(&host, "link set d1 up;link set p1 up");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nl_close(&host.nl);
	nl_close(&guest.nl);
	return close(host.ns) || close(guest.ns);
}

static int group_setup(void **state)
{
	char map[64];

	(void)state;
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)geteuid());
	return unshare(CLONE_NEWUSER) || write_file("/proc/self/uid_map", map);
}

static int ifi(struct world *w, const char *name)
{
	int i = nl_link_index(&w->nl, name);

	assert_true(i > 0);
	return i;
}

static union inany_addr addr(const char *text)
{
	union inany_addr a;

	assert_int_equal(inany_pton(text, &a), 0);
	return a;
}

static void test_link_find(void **state)
{
	static const uint8_t mac[] = { 2, 0, 0, 0, 0, 7 };
	struct nl_link link;
	int i;

	(void)state;
	ip(&host, "link set d0 address 02:00:00:00:00:07 mtu 1400;"
		  "link property add dev d0 altname a-rather-long-name-of-it;"
		  "tuntap add mode tun name tun0");
	i = ifi(&host, "d0");
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

	assert_int_equal(nl_link_get(&host.nl, ifi(&host, "tun0"), &link), 0);
	assert_int_equal(link.type, ARPHRD_NONE);
	assert_false(link.has_mac);
	assert_int_equal(nl_link_get(&host.nl, ifi(&host, "lo"), &link), 0);
	assert_true(link.flags & IFF_LOOPBACK);
}

static void test_link_set(void **state)
{
	static const uint8_t mac[] = { 0x9a, 0x55, 1, 2, 3, 4 };
	struct ifreq ifr = { .ifr_name = "d1" };
	struct nl_link link;
	int i, s;

	(void)state;
	enter(&guest);
	i = ifi(&guest, "d1");
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
	assert_int_equal(nl_addr_list(&guest.nl, i, AF_INET6, NULL, 0), 0);

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
	{ AF_INET6, "address add 2001:db8::1/64 dev d0", "2001:db8::1/64",
	  "2001:db8::1/64" },
	{ AF_INET6,
	  "address add 2001:db8::1/64 dev d0 preferred_lft 0 valid_lft 900;"
	  "address add 2001:db8::2/64 dev d0 noprefixroute "
	  "preferred_lft 100 valid_lft 900;"
	  "address add 2001:db8::3 peer 2001:db8::9/128 dev d0",
	  "2001:db8::3/128",
	  "2001:db8::2/64 2001:db8::3 peer 2001:db8::9/128" },
};

static void test_addrs(void **state)
{
	char text[INANY_STRLEN + 8], show[200], want[200];
	struct nl_addr best, all[8];
	struct nl_copy res;
	size_t i;
	int n, rc;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(addrs); i++) {
		sa_family_t af = addrs[i].af;
		int from = ifi(&host, "d0"), to = ifi(&guest, "d0");

		ip(&host, addrs[i].setup);
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
		assert_string_equal(output(&guest, show), want);

		/* no address may ever go away by itself, or be in doubt */
		n = nl_addr_list(&guest.nl, to, af, all, ARRAY_SIZE(all));
		assert_in_range(n, 0, ARRAY_SIZE(all));
		while (n--) {
			assert_true(all[n].flags & IFA_F_PERMANENT);
			assert_false(all[n].flags & IFA_F_TENTATIVE);
		}
		/* once more: nothing new, nothing wrong */
		rc = nl_addr_copy(&host.nl, from, &guest.nl, to, af, &res);
		assert_int_equal(rc, 0);
		assert_int_equal(res.failed, 0);

		teardown(NULL);
		assert_int_equal(setup(NULL), 0);
	}
}

static void test_addr_flags(void **state)
{
	(void)state;
	ip(&host, "address add 192.0.2.1/24 dev d0 noprefixroute;"
		  "address add 198.51.100.1/24 dev d0");
	struct nl_copy res;

	assert_int_equal(nl_addr_copy(&host.nl, ifi(&host, "d0"), &guest.nl,
				      ifi(&guest, "d0"), AF_INET, &res),
			 0);
	assert_int_equal(res.copied, 2);
	assert_string_equal(output(&guest, "ip -4 route"),
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
		{ "fe80::1", 64, 0 },         { "224.0.0.1", 32, -EINVAL },
	};
	union inany_addr a, ll;
	struct nl_link link;
	size_t i;
	int d1;

	(void)state;
	d1 = ifi(&guest, "d1");
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		a = addr(c[i].addr);
		if (c[i].addr[0] == '2' && c[i].addr[1] == '2')
			continue; /* kernels differ about multicast */
		assert_int_equal(
			nl_addr_add(&guest.nl, d1, &a, c[i].prefix_len),
			c[i].rc);
	}
	assert_int_equal(nl_addr_list(&guest.nl, d1, AF_UNSPEC, NULL, 0), 4);
	assert_int_equal(nl_addr_linklocal(&guest.nl, d1, &ll), 0);
	a = addr("fe80::1");
	assert_true(inany_equals(&ll, &a));
	assert_int_equal(nl_addr_linklocal(&guest.nl, ifi(&guest, "lo"), &ll),
			 -EADDRNOTAVAIL);
	assert_int_equal(nl_link_get(&guest.nl, d1, &link), 0);
	a = addr("192.0.2.1");
	assert_int_equal(nl_addr_add(&guest.nl, 12345, &a, 24), -ENODEV);
}

/* With detection on: the kernel's own address usable as soon as it is there */
static void test_addr_nodad(void **state)
{
	struct nl_addr all[4];
	struct pollfd none = { .fd = -1 };
	int d1, n = 0, i;

	(void)state;
	enter(&guest);
	assert_int_equal(
		write_file("/proc/sys/net/ipv6/conf/d1/accept_dad", "1"), 0);
	ip(&guest, "link set p1 up");
	d1 = ifi(&guest, "d1");
	assert_int_equal(nl_link_set_flags(&guest.nl, d1, IFF_UP | IFF_NOARP,
					   IFF_UP | IFF_NOARP),
			 0);
	/* made when the kernel has noticed the carrier */
	for (i = 0; i < 500 && !n; i++) {
		n = nl_addr_nodad(&guest.nl, d1);
		poll(&none, 1, n ? 0 : 10);
	}
	assert_int_equal(n, 1);
	assert_int_equal(nl_link_set_flags(&guest.nl, d1, 0, IFF_NOARP), 0);
	/* the kernel's work queue may take a moment, detection takes 1 s */
	for (i = 0; i < 50; i++) {
		n = nl_addr_list(&guest.nl, d1, AF_INET6, all, 4);
		assert_int_equal(n, 1);
		if (!(all[0].flags & IFA_F_TENTATIVE))
			break;
		poll(&none, 1, 10);
	}
	assert_false(all[0].flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED));
	assert_true(all[0].flags & IFA_F_NODAD);
}

/* Routes on the host -> template interface, gateway ("-": none) */
static const struct {
	sa_family_t af;
	const char *setup;
	const char *ifname; /* NULL: none */
	const char *gw;     /* NULL: no default route */
} templates[] = {
	{ AF_INET, "", NULL, NULL },
	{ AF_INET, "route add default via 192.0.2.254", "d0", "192.0.2.254" },
	{ AF_INET,
	  "route add default via 192.0.2.254 metric 200;"
	  "route add default via 198.51.100.254 metric 100",
	  "d1", "198.51.100.254" },
	/* no carrier, or not up: worse than a higher metric */
	{ AF_INET,
	  "route add default via 192.0.2.254 metric 200;"
	  "route add default via 198.51.100.254 metric 100;link set p1 down",
	  "d0", "192.0.2.254" },
	{ AF_INET, "route add default via 198.51.100.254;link set p1 down",
	  "d1", "198.51.100.254" },
	{ AF_INET, "route add default dev tun0", "tun0", "-" },
	{ AF_INET,
	  "route add default nexthop via 192.0.2.254 weight 2 "
	  "nexthop via 198.51.100.254 weight 9",
	  "d1", "198.51.100.254" },
	{ AF_INET,
	  "route add default nexthop via 192.0.2.254 weight 2 "
	  "nexthop via 198.51.100.254 weight 9;link set p1 down",
	  "d0", "192.0.2.254" },
	{ AF_INET,
	  "nexthop add id 1 via 192.0.2.254 dev d0;"
	  "nexthop add id 2 via 198.51.100.254 dev d1;"
	  "nexthop add id 3 group 1,10/2,20;route add default nhid 3",
	  "d1", "198.51.100.254" },
	{ AF_INET,
	  "nexthop add id 1 via 192.0.2.254 dev d0;"
	  "route add default nhid 1",
	  "d0", "192.0.2.254" },
	{ AF_INET, "-4 route add default via inet6 fe80::99 dev d0", "d0",
	  "fe80::99" },
	{ AF_INET,
	  "nexthop add id 1 via fe80::99 dev d0;route add default nhid 1", "d0",
	  "fe80::99" },
	{ AF_INET, "route add blackhole default;link set d1 down", "d0", NULL },
	{ AF_INET, "route add default dev lo;link set d0 down", "d1", NULL },
	/* only a policy table has it */
	{ AF_INET,
	  "route add default via 198.51.100.254 table 77;"
	  "rule add pref 100 from all lookup 77",
	  "d1", "198.51.100.254" },
	/* no default route: any interface with a route */
	{ AF_INET,
	  "address add 192.0.2.1/24 dev lo;link set d0 down;"
	  "route add 10.0.0.0/8 dev d1",
	  "d1", NULL },
	{ AF_INET,
	  "address flush dev d0;address flush dev d1;"
	  "route add 169.254.0.0/16 dev d0",
	  NULL, NULL },
	{ AF_INET6, "", NULL, NULL },
	{ AF_INET6, "-6 route add default via fe80::1 dev d1", "d1",
	  "fe80::1" },
	{ AF_INET6,
	  "-6 route add default via fe80::1 dev d0 metric 300;"
	  "-6 route add default via fe80::2 dev d1 metric 200",
	  "d1", "fe80::2" },
	{ AF_INET6,
	  "-6 route add default via fe80::1 dev d0 metric 200 pref low;"
	  "-6 route append default dev d1 metric 200 pref high",
	  "d1", "-" },
	{ AF_INET6,
	  "-6 route add default nexthop via fe80::1 dev d0 weight 1 "
	  "nexthop via fe80::2 dev d1 weight 3",
	  "d1", "fe80::2" },
	{ AF_INET6,
	  "nexthop add id 1 via fe80::1 dev d0;"
	  "nexthop add id 2 via fe80::2 dev d1;"
	  "nexthop add id 3 group 1,2/2,9;-6 route add default nhid 3",
	  "d1", "fe80::2" },
	{ AF_INET6, "-6 route add unreachable default metric 10", NULL, NULL },
	{ AF_INET6,
	  "-6 route add default from 2001:db8:1::/48 via fe80::1 dev d0 "
	  "metric 1;-6 route add default via fe80::2 dev d1",
	  "d1", "fe80::2" },
	{ AF_INET6, "-6 route add 2001:db8:7::/48 dev d1", "d1", NULL },
};

static void check_template(size_t i)
{
	sa_family_t af = templates[i].af;
	char text[INANY_STRLEN];
	union inany_addr gw;
	struct nl_link link;
	int found, rc;

	found = nl_route_template(&host.nl, af);
	if (!templates[i].ifname) {
		assert_int_equal(found, -ENODEV);
		return;
	}
	assert_true(found > 0);
	assert_int_equal(nl_link_get(&host.nl, found, &link), 0);
	assert_string_equal(link.name, templates[i].ifname);

	rc = nl_route_gateway(&host.nl, found, af, &gw);
	if (!templates[i].gw) {
		assert_int_equal(rc, -ENOENT);
	} else if (!strcmp(templates[i].gw, "-")) {
		assert_int_equal(rc, 0);
	} else {
		assert_int_equal(rc, 1);
		assert_string_equal(inany_ntop(&gw, text), templates[i].gw);
	}
}

/* Each with next hops of objects spelled out in routes, and not */
static void test_templates(void **state)
{
	const char *compat;
	size_t i;
	int j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(templates); i++) {
		for (j = 0; j < 2; j++) {
			compat = j ? "1" : "0";
			enter(&host);
			assert_int_equal(write_file("/proc/sys/net/ipv4/"
						    "nexthop_compat_mode",
						    compat),
					 0);
			ip(&host, "tuntap add mode tun name tun0;"
				  "link set tun0 up");
			if (templates[i].af == AF_INET && templates[i].setup[0])
				ip(&host, "address add 192.0.2.1/24 dev d0;"
					  "address add 198.51.100.1/24 dev d1");
			print_message("%zu: %s\n", i, templates[i].setup);
			ip(&host, templates[i].setup);
			check_template(i);
			teardown(NULL);
			assert_int_equal(setup(NULL), 0);
		}
	}
}

/* Routes on the host, those through d0 as they are in the guest afterwards.
 * The guest has 192.0.2.1/24 (but for one case) and 2001:db8::1/64.
 */
static const struct {
	sa_family_t af;
	const char *setup;
	unsigned failed;
	const char *copy;
} copies[] = {
	{ AF_INET, "", 0, "" },
	/* metrics, protocol, preferred source kept if it is there */
	{ AF_INET,
	  "route add default via 192.0.2.254 proto dhcp metric 100 mtu 1300 "
	  "src 192.0.2.1;address add 192.0.2.7/32 dev lo;"
	  "route add 203.0.113.0/24 via 192.0.2.253 src 192.0.2.7",
	  0,
	  "203.0.113.0/24 via 192.0.2.253 dev d0\n"
	  "default via 192.0.2.254 dev d0 proto 16 src 192.0.2.1 "
	  "metric 100 mtu 1300\n" },
	/* only what goes through d0 */
	{ AF_INET,
	  "route add 203.0.113.0/25 via 198.51.100.2;"
	  "route add blackhole 203.0.113.128/25;"
	  "route add 203.0.113.128/26 dev d0;"
	  "route add 203.0.113.192/26 dev d0 table 77",
	  0, "203.0.113.128/26 dev d0 scope 253\n" },
	/* point-to-point: gateway outside of all prefixes */
	{ AF_INET,
	  "route add 203.0.113.1 dev d0;route add default via 203.0.113.1", 0,
	  "203.0.113.1 dev d0 scope 253\ndefault via 203.0.113.1 dev d0\n" },
	{ AF_INET, "route add default via 203.0.113.1 dev d0 onlink", 0,
	  "default via 203.0.113.1 dev d0 onlink\n" },
	/* gateways of gateways, listed by the kernel in the wrong order */
	{ AF_INET,
	  "route add 203.0.113.128/25 dev d0;"
	  "route add 203.0.113.2 via 203.0.113.129;"
	  "route add 10.0.0.0/8 via 192.0.2.9",
	  0,
	  "10.0.0.0/8 via 192.0.2.9 dev d0\n"
	  "203.0.113.128/25 dev d0 scope 253\n"
	  "203.0.113.2 via 203.0.113.129 dev d0\n" },
	/* reachable on the host by something that is not copied */
	{ AF_INET,
	  "route add 203.0.113.7 dev d0 table local;"
	  "route add 10.0.0.0/8 via 203.0.113.7 dev d0 mtu 1400",
	  0, "10.0.0.0/8 via 203.0.113.7 dev d0 onlink\n" },
	/* several next hops: the best one through d0 */
	{ AF_INET,
	  "route add default nexthop via 192.0.2.251 weight 2 "
	  "nexthop via 192.0.2.252 weight 7 nexthop via 198.51.100.2 weight 9",
	  0, "default via 192.0.2.252 dev d0\n" },
	{ AF_INET,
	  "nexthop add id 1 via 192.0.2.251 dev d0;"
	  "nexthop add id 2 via 192.0.2.252 dev d0;"
	  "nexthop add id 3 via 198.51.100.254 dev d1;"
	  "nexthop add id 4 group 1,3/2,7/3,9;nexthop add id 5 dev d0;"
	  "nexthop add id 6 group 3;route add default nhid 4;"
	  "route add 203.0.113.0/25 nhid 5;route add 203.0.113.128/25 nhid 6",
	  0,
	  "203.0.113.0/25 dev d0\n"
	  "default via 192.0.2.252 dev d0\n" },
	{ AF_INET, "route add 203.0.113.0/24 via inet6 fe80::9 dev d0", 0,
	  "203.0.113.0/24 via inet6 fe80::9 dev d0\n" },
	/* many of the same prefix */
	{ AF_INET,
	  "route add 203.0.113.0/24 via 192.0.2.2 metric 5;"
	  "route add 203.0.113.0/24 via 192.0.2.3 metric 6;"
	  "route add 203.0.113.0/24 tos 0x10 via 192.0.2.4",
	  0,
	  "203.0.113.0/24 tos 0x10 via 192.0.2.4 dev d0\n"
	  "203.0.113.0/24 via 192.0.2.2 dev d0 metric 5\n"
	  "203.0.113.0/24 via 192.0.2.3 dev d0 metric 6\n" },
	/* never a gateway in the target: refused, the others are not */
	{ AF_INET,
	  "route add 203.0.113.0/24 via 192.0.2.77;"
	  "route add 10.0.0.0/8 via 192.0.2.2",
	  1, "10.0.0.0/8 via 192.0.2.2 dev d0\n" },
	{ AF_INET6, "-6 route add default via fe80::1 dev d0 proto ra", 0,
	  "default via fe80::1 dev d0 proto 9 metric 1024 pref medium\n" },
	{ AF_INET6,
	  "-6 route add default via fe80::1 dev d0 metric 99 pref high "
	  "expires 1000;-6 route add 2001:db8:2::/48 via 2001:db8::9;"
	  "-6 route add 2001:db8:3::/48 via fe80::3 dev d1;"
	  "-6 route add unreachable 2001:db8:4::/48",
	  0,
	  "2001:db8:2::/48 via 2001:db8::9 dev d0 metric 1024 pref medium\n"
	  "default via fe80::1 dev d0 metric 99 pref high\n" },
	{ AF_INET6,
	  "-6 route add default nexthop via fe80::1 dev d0 weight 2 "
	  "nexthop via fe80::2 dev d0 weight 5 nexthop via fe80::3 dev d1",
	  0, "default via fe80::2 dev d0 metric 1024 pref medium\n" },
	{ AF_INET6,
	  "nexthop add id 1 via fe80::1 dev d0;"
	  "nexthop add id 2 via fe80::2 dev d1;"
	  "nexthop add id 3 group 1,2/2,9;-6 route add default nhid 3",
	  0, "default via fe80::1 dev d0 metric 1024 pref medium\n" },
	{ AF_INET6,
	  "-6 route add 2001:db8:9::1 dev d0;"
	  "-6 route add default via 2001:db8:9::1",
	  0,
	  "2001:db8:9::1 dev d0 metric 1024 pref medium\n"
	  "default via 2001:db8:9::1 dev d0 metric 1024 pref medium\n" },
	{ AF_INET6,
	  "-6 route add default from 2001:db8::/64 via fe80::1 dev d0", 0,
	  "default from 2001:db8::/64 via fe80::1 dev d0 metric 1024 "
	  "pref medium\n" },
};

static void check_copy(size_t i)
{
	char show[120];
	struct nl_copy res;

	ip(&host, "address add 192.0.2.1/24 dev d0;"
		  "address add 198.51.100.1/24 dev d1;"
		  "address add 2001:db8::1/64 dev d0");
	/* 192.0.2.77: a broadcast address, but in the guest only */
	ip(&guest, "address add 192.0.2.1/24 dev d0;"
		   "route add broadcast 192.0.2.77 dev d0 table local;"
		   "address add 2001:db8::1/64 dev d0");
	print_message("%zu: %s\n", i, copies[i].setup);
	ip(&host, copies[i].setup);

	assert_int_equal(nl_route_copy(&host.nl, ifi(&host, "d0"), &guest.nl,
				       ifi(&guest, "d0"), copies[i].af, &res),
			 0);
	assert_int_equal(res.failed, copies[i].failed);
	assert_int_equal(res.err != 0, copies[i].failed != 0);
	snprintf(show, sizeof(show),
		 "ip -N -%d route | grep -v 'proto 2 ' | LC_ALL=C sort",
		 copies[i].af == AF_INET ? 4 : 6);
	assert_string_equal(output(&guest, show), copies[i].copy);

	/* once more: all there, nothing new */
	assert_int_equal(nl_route_copy(&host.nl, ifi(&host, "d0"), &guest.nl,
				       ifi(&guest, "d0"), copies[i].af, &res),
			 0);
	assert_int_equal(res.failed, copies[i].failed);
	assert_string_equal(output(&guest, show), copies[i].copy);
}

static void test_copies(void **state)
{
	size_t i;
	int j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(copies); i++) {
		for (j = 0; j < 2; j++) {
			enter(&host);
			assert_int_equal(write_file("/proc/sys/net/ipv4/"
						    "nexthop_compat_mode",
						    j ? "1" : "0"),
					 0);
			check_copy(i);
			teardown(NULL);
			assert_int_equal(setup(NULL), 0);
		}
	}
}

/* Thousands of routes of both families, half through gateways */
static void test_copy_many(void **state)
{
	struct timespec start, end;
	struct nl_copy res;
	FILE *f;
	int i, j;

	(void)state;
	ip(&host, "address add 192.0.2.1/24 dev d0");
	ip(&guest, "address add 192.0.2.1/24 dev d0");
	enter(&host);
	for (j = 4; j <= 6; j += 2) {
		f = popen(j == 4 ? "ip -4 -batch -" : "ip -6 -batch -", "w");
		assert_non_null(f);
		for (i = 0; i < 5000; i++) {
			fprintf(f, "route add ");
			if (j == 4)
				fprintf(f, "10.%d.%d.0/24", i / 250, i % 250);
			else
				fprintf(f, "2001:db8:%x::/48", i + 16);
			if (i & 1)
				fprintf(f, " via %s",
					j == 4 ? "192.0.2.2" : "fe80::2");
			fprintf(f, " dev d0\n");
		}
		assert_int_equal(pclose(f), 0);
	}

	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(nl_route_copy(&host.nl, ifi(&host, "d0"), &guest.nl,
				       ifi(&guest, "d0"), AF_INET, &res),
			 0);
	assert_int_equal(res.copied, 5000 + 1); /* the prefix of d0 */
	assert_int_equal(res.failed, 0);
	assert_int_equal(nl_route_copy(&host.nl, ifi(&host, "d0"), &guest.nl,
				       ifi(&guest, "d0"), AF_INET6, &res),
			 0);
	assert_int_equal(res.copied, 5000 + 1);
	assert_int_equal(res.failed, 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	print_message("copied in %ld ms\n",
		      (long)(end.tv_sec - start.tv_sec) * 1000 +
			      (end.tv_nsec - start.tv_nsec) / 1000000);

	assert_string_equal(output(&guest, "ip -4 route | wc -l"), "5001\n");
	assert_string_equal(
		output(&guest, "ip -6 route | grep -c '^2001:db8:'"), "5000\n");
}

static void test_copy_refused(void **state)
{
	struct nl_copy res;

	(void)state;
	ip(&host, "address add 192.0.2.1/24 dev d0;"
		  "route add default via 192.0.2.2");
	/* down: everything is refused, nothing is fatal */
	assert_int_equal(nl_route_copy(&host.nl, ifi(&host, "d0"), &guest.nl,
				       ifi(&guest, "d1"), AF_INET, &res),
			 0);
	assert_int_equal(res.copied, 0);
	assert_int_equal(res.failed, 2);
	assert_int_equal(res.err, -ENETDOWN);
}

static void test_route_add(void **state)
{
	static const struct {
		sa_family_t af;
		const char *dst; /* NULL: default */
		unsigned prefix_len;
		const char *gw;
		int rc;
		const char *show; /* then flushed */
	} c[] = {
		{ AF_INET, NULL, 0, "192.0.2.2", 0,
		  "default via 192.0.2.2 dev d0\n" },
		{ AF_INET, NULL, 0, "203.0.113.1", 0,
		  "203.0.113.1 dev d0 scope 253\n"
		  "default via 203.0.113.1 dev d0\n" },
		{ AF_INET, NULL, 0, NULL, 0, "default dev d0 scope 253\n" },
		{ AF_INET, NULL, 0, "fe80::1", 0,
		  "default via inet6 fe80::1 dev d0\n" },
		{ AF_INET, "203.0.113.0", 24, NULL, 0,
		  "203.0.113.0/24 dev d0 scope 253\n" },
		{ AF_INET6, NULL, 0, "fe80::1", 0,
		  "default via fe80::1 dev d0 metric 1024 pref medium\n" },
		{ AF_INET6, NULL, 0, "2001:db8:9::1", 0,
		  "2001:db8:9::1 dev d0 metric 1024 pref medium\n"
		  "default via 2001:db8:9::1 dev d0 metric 1024 pref medium\n" },
		{ AF_INET6, "2001:db8:5::", 48, NULL, 0,
		  "2001:db8:5::/48 dev d0 metric 1024 pref medium\n" },
		{ AF_INET6, NULL, 0, "192.0.2.2", -EINVAL, "" },
	};
	union inany_addr dst, gw;
	char show[120];
	size_t i;

	(void)state;
	ip(&guest, "address add 192.0.2.1/24 dev d0");
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		int j;

		if (c[i].dst)
			dst = addr(c[i].dst);
		if (c[i].gw)
			gw = addr(c[i].gw);
		for (j = 0; j < 2; j++)
			assert_int_equal(
				nl_route_add(&guest.nl, ifi(&guest, "d0"),
					     c[i].af, c[i].dst ? &dst : NULL,
					     c[i].prefix_len,
					     c[i].gw ? &gw : NULL),
				c[i].rc);
		snprintf(show, sizeof(show),
			 "ip -N -%d route | grep -v 'proto 2 ' | "
			 "LC_ALL=C sort",
			 c[i].af == AF_INET ? 4 : 6);
		assert_string_equal(output(&guest, show), c[i].show);
		ip(&guest, "-4 route flush proto boot;"
			   "-6 route flush proto boot");
	}
}

/* What a neighbour callback was told last */
static struct nl_neigh last;
static int told;

static void neigh_told(void *arg, const struct nl_neigh *neigh)
{
	(void)arg;
	last = *neigh;
	told++;
}

static void expect_change(struct nl_sock *watch, const char *text, bool usable)
{
	struct pollfd pfd = { .fd = watch->fd, .events = POLLIN };
	union inany_addr a = addr(text);

	told = 0;
	while (!told || !inany_equals(&last.addr, &a)) {
		assert_int_equal(poll(&pfd, 1, 5000), 1);
		assert_int_equal(nl_neigh_read(watch, neigh_told, NULL), 0);
	}
	assert_int_equal(last.usable, usable);
}

static void test_neigh(void **state)
{
	static const uint8_t mac[] = { 2, 0, 0, 0, 0, 9 };
	union inany_addr a4 = addr("192.0.2.9"), a6 = addr("2001:db8::9");
	struct nl_sock watch;
	uint8_t got[6];
	int d0;

	(void)state;
	enter(&host);
	assert_int_equal(nl_neigh_watch(&watch), 0);
	d0 = ifi(&host, "d0");
	assert_int_equal(nl_neigh_get(&host.nl, d0, &a4, got), -ENOENT);

	ip(&host, "neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev d0");
	expect_change(&watch, "192.0.2.9", true);
	assert_int_equal(last.ifi, d0);
	assert_memory_equal(last.mac, mac, 6);
	ip(&host, "neigh add 2001:db8::9 lladdr 02:00:00:00:00:09 dev d0");
	expect_change(&watch, "2001:db8::9", true);

	assert_int_equal(nl_neigh_get(&host.nl, d0, &a4, got), 0);
	assert_memory_equal(got, mac, 6);
	assert_int_equal(nl_neigh_get(&host.nl, d0, &a6, got), 0);
	assert_int_equal(nl_neigh_get(&host.nl, ifi(&host, "d1"), &a4, got),
			 -ENOENT);
	told = 0;
	assert_int_equal(nl_neigh_list(&host.nl, neigh_told, NULL), 0);
	assert_in_range(told, 2, 100);

	ip(&host, "neigh del 192.0.2.9 dev d0");
	expect_change(&watch, "192.0.2.9", false);
	assert_int_equal(nl_neigh_get(&host.nl, d0, &a4, got), -ENOENT);
	told = 0;
	while (!nl_neigh_read(&watch, neigh_told, NULL) && told)
		told = 0;
	nl_close(&watch);
	assert_int_equal(watch.fd, -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_link_find), TEST(test_link_set),
		TEST(test_addrs),     TEST(test_addr_flags),
		TEST(test_addr_add),  TEST(test_addr_nodad),
		TEST(test_templates), TEST(test_copies),
		TEST(test_copy_many), TEST(test_copy_refused),
		TEST(test_route_add), TEST(test_neigh),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
