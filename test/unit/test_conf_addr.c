/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is derived from the host: addresses, gateways, nameservers
 *
 * First from hosts made up, then from a real network namespace in a user
 * namespace of its own: nothing outside is touched.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf.h"
#include "conf/addr.h"
#include "conf/resolv.h"
#include "lib/fdio.h"
#include "nl.h"
#include "test/fuzz/seed.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ARGS_MAX      16
#define TEXT_MAX      1024

static struct conf conf;

/* Parse a command line, given with bars between its arguments */
static void parse(const char *cmdline)
{
	static char line[TEXT_MAX], *argv[ARGS_MAX + 1];
	int argc = 0;
	char *arg;

	snprintf(line, sizeof(line), "%s", cmdline);
	for (arg = strtok(line, "|"); arg; arg = strtok(NULL, "|"))
		argv[argc++] = arg;
	argv[argc] = NULL;
	conf_early(&conf, argc, argv);
	conf_parse(&conf, argc, argv);
	conf.guest.v6.on = !conf.given.v4_only; /* whatever we run on */
}

static union inany_addr addr(const char *text)
{
	union inany_addr a = { 0 };

	if (*text)
		assert_int_equal(inany_pton(text, &a), 0);
	return a;
}

static void assert_addr(const union inany_addr *a, const char *want)
{
	char text[INANY_STRLEN];

	inany_ntop(a, text);
	if (strcmp(text, want))
		fail_msg("%s, expected %s", text, want);
}

/* Options and a host; address, gateway, our address, stand-in of the host */
static const struct addr_case {
	const char *cmdline;
	const char *host_addr; /* empty: template without, NULL: no template */
	uint8_t host_len;
	const char *host_gw;
	const char *addr;
	uint8_t len;
	const char *gw, *our, *map;
	bool local;
} v4_cases[] = {
	{ "passt", "192.0.2.5", 24, "192.0.2.1", /* the usual */
	  "192.0.2.5", 24, "192.0.2.1", "192.0.2.1", "192.0.2.1", false },
	{ "passt|--no-map-gw", "192.0.2.5", 24, "192.0.2.1",
	  "192.0.2.5", 24, "192.0.2.1", "192.0.2.1", "0.0.0.0", false },
	{ "passt|--map-host-loopback|198.51.100.9", "192.0.2.5", 24,
	  "192.0.2.1",
	  "192.0.2.5", 24, "192.0.2.1", "192.0.2.1", "198.51.100.9", false },
	{ "passt|-n|25", "192.0.2.5", 24, "192.0.2.1",
	  "192.0.2.5", 25, "192.0.2.1", "192.0.2.1", "192.0.2.1", false },
	/* gateway out of the prefix */
	{ "passt", "192.0.2.5", 32, "203.0.113.1",
	  "192.0.2.5", 32, "203.0.113.1", "203.0.113.1", "203.0.113.1", false },
	/* point-to-point: no gateway, one of IPv6, ourselves */
	{ "passt", "192.0.2.5", 32, "",
	  "192.0.2.5", 32, "169.254.2.2", "169.254.2.2", "169.254.2.2", false },
	{ "passt", "192.0.2.5", 32, "fe80::1",
	  "192.0.2.5", 32, "169.254.2.2", "169.254.2.2", "169.254.2.2", false },
	{ "passt", "192.0.2.5", 32, "192.0.2.5",
	  "192.0.2.5", 32, "169.254.2.2", "169.254.2.2", "169.254.2.2", false },
	/* --address: its prefix, the host's, the class's */
	{ "passt|-a|198.51.100.5/25", "192.0.2.5", 24, "192.0.2.1",
	  "198.51.100.5", 25, "192.0.2.1", "192.0.2.1", "192.0.2.1", false },
	{ "passt|-a|192.0.2.5", "192.0.2.5", 28, "192.0.2.1",
	  "192.0.2.5", 28, "192.0.2.1", "192.0.2.1", "192.0.2.1", false },
	{ "passt|-a|10.0.2.0|-n|24|-g|10.0.2.2", "192.0.2.5", 28, "192.0.2.1",
	  "10.0.2.0", 24, "10.0.2.2", "10.0.2.2", "10.0.2.2", false },
	{ "passt|-a|10.1.2.3", "192.0.2.5", 28, "192.0.2.1",
	  "10.1.2.3", 8, "192.0.2.1", "192.0.2.1", "192.0.2.1", false },
	{ "passt|-a|172.16.2.3", "192.0.2.5", 28, "192.0.2.1",
	  "172.16.2.3", 16, "192.0.2.1", "192.0.2.1", "192.0.2.1", false },
	{ "passt|-a|0.0.0.1/0", "192.0.2.5", 28, "192.0.2.1",
	  "0.0.0.1", 0, "192.0.2.1", "192.0.2.1", "192.0.2.1", false },
	{ "passt|-g|192.0.2.9", "192.0.2.5", 24, "192.0.2.1",
	  "192.0.2.5", 24, "192.0.2.9", "192.0.2.9", "192.0.2.9", false },
	/* no network, template without address */
	{ "passt", NULL, 0, "",
	  "169.254.2.1", 16, "169.254.2.2", "169.254.2.2", "169.254.2.2", true },
	{ "passt", "", 0, "192.0.2.1",
	  "169.254.2.1", 16, "169.254.2.2", "169.254.2.2", "169.254.2.2", true },
	{ "passt|-a|198.51.100.5/24", NULL, 0, "",
	  "198.51.100.5", 24, "169.254.2.2", "169.254.2.2", "169.254.2.2",
	  false },
	{ "passt|-a|198.51.100.5/24|-g|198.51.100.1", NULL, 0, "",
	  "198.51.100.5", 24, "198.51.100.1", "198.51.100.1", "198.51.100.1",
	  false },
	{ "passt|-a|169.254.2.2/16", NULL, 0, "",
	  "169.254.2.2", 16, "169.254.2.1", "169.254.2.1", "169.254.2.1",
	  false },
}, v6_cases[] = {
	{ "passt", "2001:db8::5", 64, "fe80::9",
	  "2001:db8::5", 64, "fe80::9", "fe80::9", "fe80::9", false },
	{ "passt", "2001:db8::5", 128, "2001:db8::1",
	  "2001:db8::5", 64, "2001:db8::1", "fe80::1", "2001:db8::1", false },
	{ "passt", "2001:db8::5", 64, "",
	  "2001:db8::5", 64, "fe80::1", "fe80::1", "fe80::1", false },
	{ "passt|--no-map-gw", "2001:db8::5", 64, "fe80::9",
	  "2001:db8::5", 64, "fe80::9", "fe80::9", "::", false },
	{ "passt|-a|2001:db8:1::5/48", "2001:db8::5", 64, "fe80::9",
	  "2001:db8:1::5", 64, "fe80::9", "fe80::9", "fe80::9", false },
	{ "passt|-a|fe80::1", "2001:db8::5", 64, "",
	  "fe80::1", 64, "fe80::2", "fe80::2", "fe80::2", false },
	{ "passt|-a|fe80::9", "2001:db8::5", 64, "fe80::9",
	  "fe80::9", 64, "fe80::1", "fe80::1", "fe80::1", false },
	{ "passt|-g|2001:db8::9", "2001:db8::5", 64, "fe80::9",
	  "2001:db8::5", 64, "2001:db8::9", "fe80::1", "2001:db8::9", false },
	{ "passt", NULL, 0, "",
	  "::", 64, "fe80::1", "fe80::1", "fe80::1", true },
	{ "passt", "", 0, "fe80::9",
	  "::", 64, "fe80::1", "fe80::1", "fe80::1", true },
	{ "passt|-a|2001:db8::5", NULL, 0, "",
	  "2001:db8::5", 64, "fe80::1", "fe80::1", "fe80::1", false },
};

/* One row */
static void check_addr(const struct addr_case *t, bool is_v4)
{
	const struct guest_if *g = is_v4 ? &conf.guest.v4 : &conf.guest.v6;
	const struct fwd_map *m = is_v4 ? &conf.fwd.v4 : &conf.fwd.v6;
	struct host_net h = { 0 };

	parse(t->cmdline);
	if (t->host_addr) {
		h.ifi = 7;
		strcpy(h.name, "eth7");
		h.addr = addr(t->host_addr);
		h.prefix_len = t->host_len;
		h.gw = addr(t->host_gw);
	}
	if (is_v4)
		conf_addr4(&conf, &h);
	else
		conf_addr6(&conf, &h);

	assert_addr(&g->addr, t->addr);
	assert_addr(&g->seen, t->addr);
	assert_int_equal(g->prefix_len, t->len);
	assert_addr(&g->gw, t->gw);
	assert_addr(&g->our, t->our);
	assert_addr(&m->host_loopback, t->map);
	assert_int_equal(is_v4 ? conf.local4 : conf.local6, t->local);
	assert_int_equal(m->scope, t->host_addr && !t->local ? 7 : 0);
	assert_false(inany_equals(&g->our, &g->addr));
}

static void test_addr4(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(v4_cases); i++)
		check_addr(&v4_cases[i], true);
}

static void test_addr6(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(v6_cases); i++)
		check_addr(&v6_cases[i], false);
}

/* Fill @path, the X of which are replaced */
static void make_file(char *path, const char *text)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
	close(fd);
}

/* Read a resolver configuration */
static int read_resolv(struct resolv *r, const char *text)
{
	const uint8_t both = 1 | 2; /* IPv4, IPv6 */
	char path[] = "/tmp/test_conf_addr.XXXXXX";
	int rc;

	fuzz_seed("resolv", &both, sizeof(both), text, strlen(text));
	make_file(path, text);
	rc = resolv_read(r, path);
	unlink(path);
	return rc;
}

static void test_resolv(void **state)
{
	struct resolv r;

	(void)state;
	assert_int_equal(
		read_resolv(&r,
			    "# nameserver 192.0.2.99\n"
			    "nameserver\t192.0.2.1\n"
			    "nameserver 192.0.2.1 # again\n"
			    "nameserver fe80::1%eth0\r\n"
			    "nameserver 2001:db8::1\n"
			    "nameserver nonsense\n"
			    "nameserver 224.0.0.1\n"
			    "nameserver\n"
			    "nameservers 192.0.2.98\n"
			    " nameserver 192.0.2.97\n"
			    "options edns0\n"
			    "domain old.example\n"
			    "search a.example. b_c.example\t-- .. d.example\n"
			    "nameserver 0.0.0.0\n"
			    "nameserver 192.0.2.3\n"
			    "nameserver 192.0.2.4"),
		0);
	assert_int_equal(r.n4, 3);
	assert_addr(&r.dns4[0], "192.0.2.1");
	assert_addr(&r.dns4[1], "127.0.0.1");
	assert_addr(&r.dns4[2], "192.0.2.3");
	assert_int_equal(r.n6, 2);
	assert_addr(&r.dns6[0], "fe80::1");
	assert_int_equal(r.nsearch, 4);
	assert_string_equal(r.search[0], "a.example");
	assert_string_equal(r.search[1], "b_c.example");
	assert_string_equal(r.search[3], "d.example");

	assert_int_equal(read_resolv(&r, "search a b c d e f g\n"), 0);
	assert_int_equal(r.nsearch, GUEST_SEARCH_MAX);
	assert_int_equal(read_resolv(&r, ""), 0);
	assert_int_equal(r.n4 + r.n6 + r.nsearch, 0);
	assert_true(resolv_read(&r, "/nonexistent") < 0);
	assert_int_equal(r.n4 + r.n6 + r.nsearch, 0);
}

/* Options, resolv.conf; what the guest is told, and which queries go where */
static const struct {
	const char *cmdline, *resolv;
	const char *told4, *told6, *search;
	const char *match4, *host4, *match6, *host6;
} dns_cases[] = {
	{ "passt", "nameserver 198.51.100.53\nsearch example\n",
	  "198.51.100.53 ", "", "example ", "0.0.0.0", "198.51.100.53",
	  "::", "198.51.100.53" },
	{ "passt", "nameserver 198.51.100.53\nnameserver 2001:db8::53\n",
	  "198.51.100.53 ", "2001:db8::53 ", "", "0.0.0.0", "198.51.100.53",
	  "::", "2001:db8::53" },
	/* on the host's loopback: the gateway stands in */
	{ "passt", "nameserver 127.0.0.53\n", "192.0.2.1 ", "", "", "192.0.2.1",
	  "127.0.0.53", "::", "127.0.0.53" },
	{ "passt", "nameserver 127.0.0.53\nnameserver ::1\n", "192.0.2.1 ",
	  "fe80::9 ", "", "192.0.2.1", "127.0.0.53", "fe80::9", "::1" },
	{ "passt|--dns-forward|198.51.100.1", "nameserver 127.0.0.53\n",
	  "198.51.100.1 ", "", "", "198.51.100.1", "127.0.0.53",
	  "::", "127.0.0.53" },
	{ "passt|--no-map-gw", "nameserver 127.0.0.53\n", "", "", "", "0.0.0.0",
	  "127.0.0.53", "::", "127.0.0.53" },
	{ "passt|--no-map-gw",
	  "nameserver 127.0.0.53\n"
	  "nameserver 198.51.100.53\n",
	  "198.51.100.53 ", "", "", "0.0.0.0", "127.0.0.53",
	  "::", "127.0.0.53" },
	/* the gateway is the nameserver */
	{ "passt", "nameserver 192.0.2.1\n", "192.0.2.1 ", "", "", "192.0.2.1",
	  "192.0.2.1", "::", "192.0.2.1" },
	{ "passt|--dns-forward|198.51.100.1", "nameserver 192.0.2.1\n",
	  "198.51.100.1 ", "", "", "198.51.100.1", "192.0.2.1",
	  "::", "192.0.2.1" },
	{ "passt|--no-map-gw", "nameserver 192.0.2.1\n", "192.0.2.1 ", "", "",
	  "0.0.0.0", "192.0.2.1", "::", "192.0.2.1" },
	/* as told */
	{ "passt|-D|203.0.113.1|-D|127.0.0.1", "nameserver 198.51.100.53\n",
	  "203.0.113.1 127.0.0.1 ", "", "", "0.0.0.0", "198.51.100.53",
	  "::", "198.51.100.53" },
	{ "passt|--dns-forward|198.51.100.1|--dns-host|203.0.113.5",
	  "nameserver 198.51.100.53\n", "198.51.100.53 ", "", "",
	  "198.51.100.1", "203.0.113.5", "::", "203.0.113.5" },
	{ "passt|-D|none", "nameserver 127.0.0.53\nsearch example\n", "", "",
	  "example ", "0.0.0.0", "0.0.0.0", "::", "::" },
	{ "passt|-S|none", "nameserver 198.51.100.53\nsearch example\n",
	  "198.51.100.53 ", "", "", "0.0.0.0", "198.51.100.53",
	  "::", "198.51.100.53" },
	{ "passt|-S|a b", "search example\n", "", "", "a b ", "0.0.0.0",
	  "0.0.0.0", "::", "::" },
	/* one family in the guest, the other one on the host */
	{ "passt|-4", "nameserver 2001:db8::53\n", "192.0.2.1 ", "", "",
	  "192.0.2.1", "2001:db8::53", "::", "2001:db8::53" },
	{ "passt|-6", "nameserver 127.0.0.53\n", "", "fe80::9 ", "", "0.0.0.0",
	  "127.0.0.53", "fe80::9", "127.0.0.53" },
	{ "passt|-6|--dns-forward|2001:db8::1", "nameserver 198.51.100.53\n",
	  "", "2001:db8::1 ", "", "0.0.0.0", "198.51.100.53", "2001:db8::1",
	  "198.51.100.53" },
};

/* All addresses of a list in one line */
static const char *list_text(const union inany_addr *list, unsigned n)
{
	static char text[TEXT_MAX];
	char one[INANY_STRLEN];
	unsigned i;

	*text = '\0';
	for (i = 0; i < n; i++)
		strcat(strcat(text, inany_ntop(&list[i], one)), " ");
	return text;
}

static void test_dns(void **state)
{
	struct host_net h4 = { .ifi = 7,
			       .addr = addr("192.0.2.5"),
			       .prefix_len = 24,
			       .gw = addr("192.0.2.1") };
	struct host_net h6 = { .ifi = 7,
			       .addr = addr("2001:db8::5"),
			       .prefix_len = 64,
			       .gw = addr("fe80::9") };
	const struct guest_offer *o = &conf.guest.offer;
	char search[TEXT_MAX];
	struct resolv r;
	size_t i;
	unsigned k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(dns_cases); i++) {
		parse(dns_cases[i].cmdline);
		if (conf.guest.v4.on)
			conf_addr4(&conf, &h4);
		if (conf.guest.v6.on)
			conf_addr6(&conf, &h6);
		assert_int_equal(read_resolv(&r, dns_cases[i].resolv), 0);
		conf_dns(&conf, &r);

		assert_string_equal(list_text(o->dns4, o->ndns4),
				    dns_cases[i].told4);
		assert_string_equal(list_text(o->dns6, o->ndns6),
				    dns_cases[i].told6);
		*search = '\0';
		for (k = 0; k < o->nsearch; k++)
			strcat(strcat(search, o->search[k]), " ");
		assert_string_equal(search, dns_cases[i].search);
		assert_addr(&conf.fwd.v4.dns_match, dns_cases[i].match4);
		assert_addr(&conf.fwd.v4.dns_host, dns_cases[i].host4);
		assert_addr(&conf.fwd.v6.dns_match, dns_cases[i].match6);
		assert_addr(&conf.fwd.v6.dns_host, dns_cases[i].host6);
	}
}

/* --- A real namespace --- */

/* Put a text in place of a file, in our mount namespace */
static void mount_text(const char *text, const char *over)
{
	char path[] = "/tmp/test_conf_addr.XXXXXX";

	make_file(path, text);
	assert_int_equal(mount(path, over, NULL, MS_BIND, NULL), 0);
	unlink(path);
}

/* Away from the namespaces of the host */
static int group_setup(void **state)
{
	char map[64];

	(void)state;
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)geteuid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) ||
	       write_file("/proc/self/uid_map", map);
}

/* A network namespace for each case, no waiting for link-local addresses */
static int setup(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET))
		return -1;
	write_file("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
	return 0;
}

/* Run ip(8) commands, separated by semicolons */
static void ip(const char *lines)
{
	char command[300];

	while (*lines) {
		int len = (int)strcspn(lines, ";");

		snprintf(command, sizeof(command), "ip %.*s", len, lines);
		assert_int_equal(system(command), 0);
		lines += len + (lines[len] == ';');
	}
}

#define DUAL                                    \
	"link add eth0 type veth peer name p0;" \
	"link set eth0 up;link set p0 up;"      \
	"addr add 192.0.2.5/24 dev eth0;"       \
	"addr add 2001:db8::5/64 dev eth0;"     \
	"route add default via 192.0.2.1;"      \
	"route add default via 2001:db8::1"

static void test_dual(void **state)
{
	const struct fwd fwd = { 0 };

	(void)state;
	ip(DUAL);
	mount_text("nameserver 127.0.0.53\n", "/etc/resolv.conf");
	parse("pasta|--config-net|-m|1400|true");
	conf_derive(&conf);
	assert_addr(&conf.guest.v4.addr, "192.0.2.5");
	assert_int_equal(conf.guest.v4.prefix_len, 24);
	assert_addr(&conf.guest.v4.gw, "192.0.2.1");
	assert_addr(&conf.guest.v6.addr, "2001:db8::5");
	assert_addr(&conf.guest.v6.gw, "2001:db8::1");
	assert_addr(&conf.guest.v6.our, "fe80::1");
	assert_addr(&conf.fwd.v4.dns_match, "192.0.2.1");
	assert_string_equal(conf.pasta.ifname, "eth0");
	assert_string_equal(conf.if6, "eth0");
	assert_int_not_equal(conf.pasta.ifi4, 0);
	assert_int_equal(conf.pasta.ifi4, conf.fwd.v6.scope);
	assert_int_equal(conf.guest.offer.mtu, 1400);
	assert_int_equal(conf.pasta.mtu, 1400);
	assert_false(conf.local4 || conf.local6 || conf.no_dhcp);
	assert_string_equal(conf.why4.ifname, "has the default route");
	assert_string_equal(conf.why4.addr, "of the template");
	assert_string_equal(conf.why6.gw, "of the host");
	assert_string_equal(conf.why_dns, "/etc/resolv.conf");
	conf_print(&conf, &fwd);
	assert_int_equal(umount("/etc/resolv.conf"), 0);
}

/* IPv4 alone, on a link without MAC address and gateway */
static void test_tunnel(void **state)
{
	(void)state;
	ip("tuntap add wg0 mode tun;link set wg0 up;"
	   "addr add 192.0.2.5/32 dev wg0;route add default dev wg0");
	parse("pasta|true");
	conf_derive(&conf);
	assert_addr(&conf.guest.v4.addr, "192.0.2.5");
	assert_addr(&conf.guest.v4.gw, "169.254.2.2");
	assert_string_equal(conf.why4.ifname, "has the default route");
	assert_string_equal(conf.why4.gw, "ours, the host has none");
	assert_string_equal(conf.why6.addr, "link-local");
	assert_true(conf.local6 && conf.no_dhcpv6 && conf.ndp.no_ra);
	assert_string_equal(conf.pasta.ifname, "wg0");
	assert_int_equal(conf.guest.offer.mtu, 65520);
}

/* Another interface than that of the default route; one for each family */
static void test_chosen(void **state)
{
	(void)state;
	ip(DUAL ";link add eth1 type veth peer name p1;"
		"link set eth1 up;link set p1 up;"
		"addr add 198.51.100.5/24 dev eth1");
	parse("passt|-i|eth1");
	conf_derive(&conf);
	assert_addr(&conf.guest.v4.addr, "198.51.100.5");
	assert_true(conf.local6);

	parse("passt|--outbound-if4|eth1");
	conf_derive(&conf);
	assert_addr(&conf.guest.v4.addr, "198.51.100.5");
	assert_addr(&conf.guest.v6.addr, "2001:db8::5");
}

/* No network at all */
static void test_offline(void **state)
{
	(void)state;
	parse("pasta|--config-net|true");
	conf_derive(&conf);
	assert_true(conf.local4 && conf.local6);
	assert_addr(&conf.guest.v4.addr, "169.254.2.1");
	assert_string_equal(conf.pasta.ifname, "tap0");
	assert_int_equal(conf.pasta.ifi4, 0);
}

/* Each of these ends the process with status 1 */
static void bad_interface(void)
{
	parse("passt|-i|nosuch");
	conf_derive(&conf);
}

static void bad_outbound(void)
{
	ip(DUAL);
	parse("passt|--outbound-if6|nosuch");
	conf_derive(&conf);
}

static void same_address(void)
{
	parse("passt|-a|192.0.2.1/24|-g|192.0.2.1");
	conf_derive(&conf);
}

/* Run in a child that ends with status 1 and a message */
static void assert_dies(void (*fn)(void), const char *msg)
{
	char err[TEXT_MAX];
	int status, p[2];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (!pid) {
		dup2(p[1], 2);
		fn();
		_exit(0);
	}
	close(p[1]);
	n = read_all(p[0], err, TEXT_MAX - 1);
	err[n > 0 ? n : 0] = '\0';
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 1 || !strstr(err, msg))
		fail_msg("status %x, '%s'", (unsigned)status, err);
}

static void test_dies(void **state)
{
	(void)state;
	assert_dies(bad_interface, "Invalid interface name: --interface "
				   "'nosuch': ");
	assert_dies(bad_outbound, "External interface not usable: "
				  "--outbound-if6 'nosuch': ");
	assert_dies(same_address, "--address and --gateway are both 192.0.2.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addr4),
		cmocka_unit_test(test_addr6),
		cmocka_unit_test(test_resolv),
		cmocka_unit_test(test_dns),
		cmocka_unit_test_setup(test_dual, setup),
		cmocka_unit_test_setup(test_tunnel, setup),
		cmocka_unit_test_setup(test_chosen, setup),
		cmocka_unit_test_setup(test_offline, setup),
		cmocka_unit_test_setup(test_dies, setup),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
