/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routes in real namespaces: template, gateway, copies of any kind, thousands */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <time.h>

#include "lib/fdio.h"
#include "nl.h"
#include "test/fake/world.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

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
	/* a policy table comes first, but not without carrier */
	{ AF_INET,
	  "route add default via 192.0.2.254;"
	  "route add default via 198.51.100.254 table 77;"
	  "rule add pref 100 from all lookup 77",
	  "d1", "198.51.100.254" },
	{ AF_INET,
	  "route add default via 192.0.2.254;"
	  "route add default via 198.51.100.254 table 77;"
	  "rule add pref 100 from all lookup 77;link set p1 down",
	  "d0", "192.0.2.254" },
	/* as VPNs do: mark and table, halves of the address space */
	{ AF_INET,
	  "route add default via 192.0.2.254;"
	  "route add default dev d1 table 51820;"
	  "rule add pref 99 not fwmark 51820 table 51820;"
	  "rule add pref 98 table main suppress_prefixlength 0",
	  "d1", "-" },
	{ AF_INET,
	  "route add default via 192.0.2.254;route add 0.0.0.0/1 dev d1;"
	  "route add 128.0.0.0/1 dev d1",
	  "d1", "-" },
	/* one that only leads somewhere, or nowhere, does not count */
	{ AF_INET,
	  "route add default via 192.0.2.254;"
	  "route add 203.0.113.0/24 via 198.51.100.254;"
	  "route add unreachable 198.51.100.1",
	  "d0", "192.0.2.254" },
	{ AF_INET,
	  "route add default via 192.0.2.254 metric 50;"
	  "route add unreachable default metric 4278198272",
	  "d0", "192.0.2.254" },
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
	{ AF_INET6,
	  "-6 route add default via fe80::1 dev d0;"
	  "-6 route add default dev d1 table 77;"
	  "-6 rule add pref 100 lookup 77",
	  "d1", "-" },
	{ AF_INET6,
	  "-6 route add default via fe80::1 dev d0;"
	  "-6 route add ::/1 dev d1;-6 route add 8000::/1 dev d1",
	  "d1", "-" },
	{ AF_INET6,
	  "-6 route add default via fe80::1 dev d0;"
	  "-6 route add 2001:db8::/32 dev d1;"
	  "-6 route add unreachable 3fff::/20",
	  "d0", "fe80::1" },
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

/* The other end of a veth pair is told of a change some time later */
static void wait_no_carrier(const char *name)
{
	struct nl_link link;
	int i;

	for (i = 0; i < 500; i++) {
		assert_int_equal(
			nl_link_get(&host.nl, world_ifi(&host, name), &link),
			0);
		if (!(link.flags & IFF_RUNNING))
			return;
		usleep(10000);
	}
	fail_msg("%s still has a carrier", name);
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
			world_enter(&host);
			assert_int_equal(write_file("/proc/sys/net/ipv4/"
						    "nexthop_compat_mode",
						    compat),
					 0);
			world_ip(&host, "tuntap add mode tun name tun0;"
					"link set tun0 up");
			if (templates[i].af == AF_INET && templates[i].setup[0])
				world_ip(&host,
					 "address add 192.0.2.1/24 dev d0;"
					 "address add 198.51.100.1/24 dev d1");
			print_message("%zu: %s\n", i, templates[i].setup);
			world_ip(&host, templates[i].setup);
			if (strstr(templates[i].setup, "p1 down"))
				wait_no_carrier("d1");
			check_template(i);
			world_teardown(NULL);
			assert_int_equal(world_setup(NULL), 0);
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

	world_ip(&host, "address add 192.0.2.1/24 dev d0;"
			"address add 198.51.100.1/24 dev d1;"
			"address add 2001:db8::1/64 dev d0");
	/* 192.0.2.77: a broadcast address, but in the guest only */
	world_ip(&guest, "address add 192.0.2.1/24 dev d0;"
			 "route add broadcast 192.0.2.77 dev d0 table local;"
			 "address add 2001:db8::1/64 dev d0");
	print_message("%zu: %s\n", i, copies[i].setup);
	world_ip(&host, copies[i].setup);

	assert_int_equal(nl_route_copy(&host.nl, world_ifi(&host, "d0"),
				       &guest.nl, world_ifi(&guest, "d0"),
				       copies[i].af, &res),
			 0);
	assert_int_equal(res.failed, copies[i].failed);
	assert_int_equal(res.err != 0, copies[i].failed != 0);
	snprintf(show, sizeof(show),
		 "ip -N -%d route | grep -v 'proto 2 ' | LC_ALL=C sort",
		 copies[i].af == AF_INET ? 4 : 6);
	assert_string_equal(world_output(&guest, show), copies[i].copy);

	/* once more: all there, nothing new */
	assert_int_equal(nl_route_copy(&host.nl, world_ifi(&host, "d0"),
				       &guest.nl, world_ifi(&guest, "d0"),
				       copies[i].af, &res),
			 0);
	assert_int_equal(res.failed, copies[i].failed);
	assert_string_equal(world_output(&guest, show), copies[i].copy);
}

static void test_copies(void **state)
{
	size_t i;
	int j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(copies); i++) {
		for (j = 0; j < 2; j++) {
			world_enter(&host);
			assert_int_equal(write_file("/proc/sys/net/ipv4/"
						    "nexthop_compat_mode",
						    j ? "1" : "0"),
					 0);
			check_copy(i);
			world_teardown(NULL);
			assert_int_equal(world_setup(NULL), 0);
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
	world_ip(&host, "address add 192.0.2.1/24 dev d0");
	world_ip(&guest, "address add 192.0.2.1/24 dev d0");
	world_enter(&host);
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
	assert_int_equal(nl_route_copy(&host.nl, world_ifi(&host, "d0"),
				       &guest.nl, world_ifi(&guest, "d0"),
				       AF_INET, &res),
			 0);
	assert_int_equal(res.copied, 5000 + 1); /* the prefix of d0 */
	assert_int_equal(res.failed, 0);
	assert_int_equal(nl_route_copy(&host.nl, world_ifi(&host, "d0"),
				       &guest.nl, world_ifi(&guest, "d0"),
				       AF_INET6, &res),
			 0);
	assert_int_equal(res.copied, 5000 + 1);
	assert_int_equal(res.failed, 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	print_message("copied in %ld ms\n",
		      (long)(end.tv_sec - start.tv_sec) * 1000 +
			      (end.tv_nsec - start.tv_nsec) / 1000000);

	assert_string_equal(world_output(&guest, "ip -4 route | wc -l"),
			    "5001\n");
	assert_string_equal(
		world_output(&guest, "ip -6 route | grep -c '^2001:db8:'"),
		"5000\n");
}

static void test_copy_refused(void **state)
{
	struct nl_copy res;
	unsigned i;

	(void)state;
	world_ip(&host, "address add 192.0.2.1/24 dev d0;"
			"route add default via 192.0.2.2");
	/* down: everything is refused, nothing is fatal */
	assert_int_equal(nl_route_copy(&host.nl, world_ifi(&host, "d0"),
				       &guest.nl, world_ifi(&guest, "d1"),
				       AF_INET, &res),
			 0);
	assert_int_equal(res.copied, 0);
	assert_int_equal(res.failed, 2);
	assert_int_equal(res.err, -ENETDOWN);
	for (i = 0; i < 2; i++)
		assert_true(res.left[i].refused);
	/* the prefix of the address, and the default route */
	assert_int_equal(res.left[0].prefix_len + res.left[1].prefix_len, 24);
}

/* Of those through other interfaces the first are named, all are counted */
static void test_copy_others(void **state)
{
	const unsigned n = NL_LEFT_MAX + 2;
	struct nl_copy res;
	unsigned i;

	(void)state;
	for (i = 0; i < n; i++) {
		char text[80];

		snprintf(text, sizeof(text),
			 "route add 203.0.113.%u/28 dev d1;"
			 "route add 2001:db8:%u::/48 dev d1",
			 i * 16, i + 1);
		world_ip(&host, text);
	}
	for (i = 0; i < 2; i++) {
		const sa_family_t af = i ? AF_INET6 : AF_INET;
		unsigned j, k;

		assert_int_equal(nl_route_copy(&host.nl, world_ifi(&host, "d0"),
					       &guest.nl,
					       world_ifi(&guest, "d0"), af,
					       &res),
				 0);
		assert_int_equal(res.failed, 0);
		assert_int_equal(res.others, n);
		for (j = 0; j < NL_LEFT_MAX; j++) {
			const struct nl_left *l = &res.left[j];

			assert_int_equal(l->ifi, world_ifi(&host, "d1"));
			assert_int_equal(l->prefix_len, i ? 48 : 28);
			assert_int_equal(inany_af(&l->dst), af);
			assert_false(l->refused);
			for (k = 0; k < j; k++)
				assert_false(inany_equals(&l->dst,
							  &res.left[k].dst));
		}
	}
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
	world_ip(&guest, "address add 192.0.2.1/24 dev d0");
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		int j;

		if (c[i].dst)
			dst = world_addr(c[i].dst);
		if (c[i].gw)
			gw = world_addr(c[i].gw);
		for (j = 0; j < 2; j++)
			assert_int_equal(
				nl_route_add(&guest.nl, world_ifi(&guest, "d0"),
					     c[i].af, c[i].dst ? &dst : NULL,
					     c[i].prefix_len,
					     c[i].gw ? &gw : NULL),
				c[i].rc);
		snprintf(show, sizeof(show),
			 "ip -N -%d route | grep -v 'proto 2 ' | "
			 "LC_ALL=C sort",
			 c[i].af == AF_INET ? 4 : 6);
		assert_string_equal(world_output(&guest, show), c[i].show);
		world_ip(&guest, "-4 route flush proto boot;"
				 "-6 route flush proto boot");
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_templates),   TEST(test_copies),
		TEST(test_copy_many),   TEST(test_copy_refused),
		TEST(test_copy_others), TEST(test_route_add),
	};

	return cmocka_run_group_tests(tests, world_group_setup, NULL);
}
