/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command lines: what they set, and what is said of wrong ones */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf.h"
#include "lib/fdio.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ARGS_MAX      16
#define OUT_MAX       65536

static struct conf conf;

/* Split a command line at bars, NULL behind it */
static int split(char *line, char **argv)
{
	int argc = 0;

	for (line = strtok(line, "|"); line; line = strtok(NULL, "|"))
		argv[argc++] = line;
	argv[argc] = NULL;
	return argc;
}

/* Parse in a child. Return: its exit status; @out, @err what it printed */
static int run(const char *cmdline, char *out, char *err)
{
	int po[2], pe[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(po), 0);
	assert_int_equal(pipe(pe), 0);
	pid = fork();
	if (!pid) {
		char line[4096], *argv[ARGS_MAX + 1];
		int argc;

		dup2(po[1], 1);
		dup2(pe[1], 2);
		close(po[0]);
		close(pe[0]);
		snprintf(line, sizeof(line), "%s", cmdline);
		argc = split(line, argv);
		conf_early(&conf, argc, argv);
		conf_parse(&conf, argc, argv);
		_exit(42);
	}
	close(po[1]);
	close(pe[1]);
	n = read_all(po[0], out, OUT_MAX - 1);
	out[n > 0 ? n : 0] = '\0';
	n = read_all(pe[0], err, OUT_MAX - 1);
	err[n > 0 ? n : 0] = '\0';
	close(po[0]);
	close(pe[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Parse here, must be right */
static void parse(const char *cmdline)
{
	static char line[4096], *argv[ARGS_MAX + 1];
	int argc;

	snprintf(line, sizeof(line), "%s", cmdline);
	argc = split(line, argv);
	conf_early(&conf, argc, argv);
	conf_parse(&conf, argc, argv);
}

#define LONG64 \
	"0123456789012345678901234567890123456789012345678901234567890123"

/* Command lines, and how the message begins; none has anything on stdout */
static const struct {
	const char *cmdline, *err;
} bad[] = {
	/* names */
	{ "tool", "Cannot determine mode: 'tool' contains neither passt nor" },
	{ "passt|--xyz", "passt: unrecognized option '--xyz'\n" },
	{ "/usr/bin/pasta|--xyz=1", "pasta: unrecognized option '--xyz=1'\n" },
	{ "pasta|--xyz|1", "pasta: unrecognized option '--xyz'\n" },
	{ "passt|-z", "passt: invalid option -- 'z'\n" },
	{ "passt|-fz", "passt: invalid option -- 'z'\n" },
	{ "passt|--mtu", "passt: option '--mtu' requires an argument\n" },
	{ "passt|-m", "passt: option requires an argument -- 'm'\n" },
	{ "passt|-fm", "passt: option requires an argument -- 'm'\n" },
	{ "passt|--quiet=1", "passt: option '--quiet' doesn't allow an arg" },
	{ "passt|--no-d", "passt: option '--no-d' is ambiguous\n" },
	/* modes */
	{ "passt|--config-net", "--config-net is for pasta mode only\n" },
	{ "passt|--config", "--config-net is for pasta mode only\n" },
	{ "passt|-T|80", "--tcp-ns is for pasta mode only\n" },
	{ "passt|-I|tap0", "--ns-ifname is for pasta mode only\n" },
	{ "passt|--splice-only", "--splice-only is for pasta mode only\n" },
	{ "passt|--dhcp-dns", "--dhcp-dns is for pasta mode only\n" },
	{ "pasta|-1", "--one-off is for passt mode only\n" },
	{ "pasta|--fd|0", "--fd is for passt mode only\n" },
	{ "pasta|--no-dhcp-dns", "--no-dhcp-dns is for passt mode only\n" },
	{ "pasta|-s|/tmp/x", "--socket is for passt mode only\n" },
	{ "passt|extra", "Extra non-option argument: extra\n" },
	{ "passt|-f|--|-q", "Extra non-option argument: -q\n" },
	/* values */
	{ "passt|-m|x", "Invalid MTU: --mtu 'x', expected a number of bytes" },
	{ "passt|-m|-5", "Invalid MTU: --mtu '-5', expected" },
	{ "passt|-m|1500x", "Invalid MTU: --mtu '1500x', expected" },
	{ "passt|-m|65522", "MTU 65522 too large (max 65521)\n" },
	{ "passt|-a|x",
	  "Invalid guest address: --address 'x', expected an IP" },
	{ "passt|-a|127.0.0.1",
	  "Invalid guest address: --address '127.0.0.1'" },
	{ "passt|-a|0.0.0.0", "Invalid guest address: --address '0.0.0.0', " },
	{ "passt|-a|255.255.255.255", "Invalid guest address: --address" },
	{ "passt|-a|224.0.0.1", "Invalid guest address: --address" },
	{ "passt|-a|::", "Invalid guest address: --address '::', expected" },
	{ "passt|-a|::1", "Invalid guest address: --address '::1', expected" },
	{ "passt|-a|ff02::1", "Invalid guest address: --address 'ff02::1'" },
	{ "passt|-a|192.0.2.1/33", "Invalid guest address: --address "
				   "'192.0.2.1/33', expected a prefix length" },
	{ "passt|-a|192.0.2.1/", "Invalid guest address: --address '192.0.2." },
	{ "passt|-a|2001:db8::1/129", "Invalid guest address: --address" },
	{ "passt|-a|" LONG64 "/8", "Invalid guest address: --address '0123" },
	{ "passt|-n|33", "Invalid netmask: --netmask '33', expected 0 to 32" },
	{ "passt|-n|255.0.255.0", "Invalid netmask: --netmask '255.0.255.0', "
				  "expected a mask without gaps\n" },
	{ "passt|-n|x", "Invalid netmask: --netmask 'x', expected" },
	{ "passt|-n|24|-a|192.0.2.1/24", "Redundant prefix length spec" },
	{ "passt|-M|1:2:3", "Invalid MAC address: --mac-addr '1:2:3', expected"
			    " xx:xx:xx:xx:xx:xx\n" },
	{ "passt|-M|00:00:00:00:00:00", "Invalid MAC address: --mac-addr" },
	{ "passt|-M|01:00:5e:00:00:01", "Invalid MAC address: --mac-addr" },
	{ "passt|-M|9a:55:9a:55:9a:55:9a", "Invalid MAC address: --mac-addr" },
	{ "pasta|--ns-mac-addr|x", "Invalid MAC address: --ns-mac-addr 'x'" },
	{ "passt|-g|0.0.0.0", "Invalid gateway address: --gateway '0.0.0.0'" },
	{ "passt|-g|::1",
	  "Invalid gateway address: --gateway '::1', expected" },
	{ "passt|-i|sixteencharacters", "Invalid interface name: --interface" },
	{ "passt|--outbound-if4|a/b",
	  "Invalid interface name: --outbound-if4" },
	{ "pasta|-I|a b", "Invalid interface name: --ns-ifname 'a b', expec" },
	{ "pasta|-I|", "pasta: option requires an argument -- 'I'\n" },
	{ "passt|-o|x", "Invalid or redundant outbound address: --outbound" },
	{ "passt|-o|192.0.2.1|-o|192.0.2.2",
	  "Invalid or redundant outbound "
	  "address: --outbound '192.0.2.2'" },
	{ "passt|-D|x", "Cannot use DNS address: --dns 'x', expected an IPv4" },
	{ "passt|--dns-forward|x",
	  "Invalid DNS forwarding address: --dns-for" },
	{ "passt|--dns-forward|127.0.0.1", "Invalid DNS forwarding address: " },
	{ "passt|--dns-host|0.0.0.0", "Invalid DNS host address: --dns-host" },
	{ "passt|-S|a..b", "Cannot use DNS search domain: --search 'a..b'" },
	{ "passt|-S|a " LONG64,
	  "Cannot use DNS search domain: --search '0123" },
	{ "passt|-H|a b", "Invalid hostname: --hostname 'a b', expected" },
	{ "passt|-H|" LONG64, "Invalid hostname: --hostname '0123" },
	{ "passt|--fqdn|.", "Invalid FQDN: --fqdn '.', expected a domain" },
	{ "passt|--map-host-loopback|127.0.0.1", "Invalid address to remap to "
						 "host: --map-host-loopback" },
	{ "passt|--map-guest-addr|ff02::1", "Invalid address to remap to host:"
					    " --map-guest-addr 'ff02::1'" },
	{ "passt|--runas|no-such-user", "Invalid --runas option: 'no-such-" },
	{ "passt|--runas|root", "Invalid --runas option: 'root', expected" },
	{ "passt|--runas|1:no-such-group", "Invalid --runas option: '1:no-" },
	{ "passt|--log-size|40959", "Invalid --log-size: --log-size '40959'" },
	{ "passt|--log-size|x", "Invalid --log-size: --log-size 'x', exp" },
	{ "passt|--stats-format|xml",
	  "Invalid --stats-format: --stats-format 'xml', expected text or" },
	{ "passt|--stats|0|-f", "Invalid --stats: --stats '0', expected" },
	{ "passt|--stats|1", "--stats 1, but not running in foreground" },
	{ "passt|--fd|x", "Invalid --fd: --fd 'x', expected the number of an" },
	{ "passt|-F999", "Invalid --fd: --fd '999', expected the number of" },
	{ "passt|--ready-fd|-1", "Invalid --ready-fd: --ready-fd '-1', expec" },
	{ "pasta|--exit-fd|x", "Invalid --exit-fd: --exit-fd 'x', expected" },
	{ "passt|-s|" LONG64 LONG64, "Invalid socket path: --socket '0123" },
	{ "passt|--log-file=", "Empty value: --log-file '', expected PATH" },
	/* together */
	{ "pasta|--no-splice|--splice-only", "--splice-only and --no-splice" },
	{ "pasta|--host-lo-to-ns-lo|--no-splice", "--host-lo-to-ns-lo and --" },
	{ "pasta|--no-copy-routes", "--no-copy-routes needs --config-net\n" },
	{ "pasta|--no-copy-addrs", "--no-copy-addrs needs --config-net\n" },
	{ "pasta|--netns|/x|1", "Both --netns and PID or command given" },
	{ "pasta|--netns|/x|sh", "Both --netns and PID or command given" },
	{ "pasta|--userns|/x", "--userns needs --netns or PID\n" },
	{ "pasta|--userns|/x|sh", "--userns needs --netns or PID\n" },
	{ "pasta|--userns|/x|--netns|/y|--netns-only", "Both --userns and --" },
	{ "pasta|0", "Invalid PID: '0', expected a number from 1 on, or a "
		     "command\n" },
	{ "pasta|99999999999",
	  "Invalid PID: '99999999999', expected a number" },
	{ "pasta|--no-pidns|1", "--no-pidns needs a command to be started" },
	/* ports */
	{ "passt|-t|80-70", "Option --tcp-ports: Invalid port specifier "
			    "'80-70': expected PORT" },
	{ "passt|-u|x", "Option --udp-ports: Invalid port specifier 'x': " },
	{ "passt|-t|80|-t|70-90", "Option --tcp-ports: Invalid port specifier "
				  "'70-90': TCP [*]:70-90  =>  70-90 conflicts "
				  "with previous TCP [*]:80  =>  80\n" },
	{ "passt|-t|auto", "Option --tcp-ports: Invalid port specifier 'auto'"
			   ": 'auto' is for pasta mode only\n" },
	{ "pasta|-U|127.0.0.1/80", "Option --udp-ns: Invalid port specifier "
				   "'127.0.0.1/80': Listening address not" },
	{ "passt|-t|80|--no-tcp",
	  "Option --tcp-ports '80': TCP not enabled\n" },
	{ "passt|-u|80|--no-udp",
	  "Option --udp-ports '80': UDP not enabled\n" },
	{ "passt|-t|192.0.2.1/80|-6", "Option --tcp-ports: Invalid port "
				      "specifier '192.0.2.1/80': IPv4 not "
				      "enabled\n" },
	{ "passt|-t|::/80|-4", "Option --tcp-ports: Invalid port specifier "
			       "'::/80': IPv6 not enabled\n" },
	/* not there yet */
	{ "pasta|-c|/x", "--conf-path is not supported by this version of p" },
	{ "passt|--vhost-user", "--vhost-user is not supported by this ver" },
	{ "pasta|--vhost-user", "--vhost-user is not supported by this versi"
				"on of passt\n" },
	{ "passt|--repair-path|/x", "--repair-path is not supported by this" },
	{ "passt|--migrate-exit", "--migrate-exit is not supported by this" },
	{ "passt|--migrate-no-linger", "--migrate-no-linger is not supported" },
};

static void test_bad(void **state)
{
	static char out[OUT_MAX], err[OUT_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		int rc = run(bad[i].cmdline, out, err);
		bool getopt_like = strstr(err, "\nUsage: ");

		if (rc != 1 || *out ||
		    strncmp(err, bad[i].err, strlen(bad[i].err)))
			fail_msg("%s: status %i, '%s'", bad[i].cmdline, rc,
				 err);
		/* what is wrong with a value: option, value, what is right */
		if ((!strncmp(err, "Invalid ", 8) ||
		     !strncmp(err, "Cannot use ", 11)) &&
		    (!strstr(err, "expected ") || !strchr(err, '\'') ||
		     (!strstr(err, "--") && !strstr(err, "PID"))))
			fail_msg("%s: not helpful: '%s'", bad[i].cmdline, err);
		/* one line, or the usage line behind it */
		if (strchr(err, '\n') + 1 +
			    (getopt_like ? strlen(strchr(err, '\n') + 1) : 0) !=
		    err + strlen(err))
			fail_msg("%s: not one line: '%s'", bad[i].cmdline, err);
	}
}

/* Command lines that are right, without anything on stderr */
static const char *const good[] = {
	"passt",
	"pasta",
	"my-passt.avx2",
	"/usr/bin/pasta|true",
	/* repeated, undone, abbreviated, in clusters, in any order */
	"passt|-q|-q|-d|-q",
	"passt|-fq1",
	"passt|-fm1500",
	"passt|--quie",
	"passt|--stats|1|-f",
	"passt|-m|0x5dc",
	"passt|-m|0",
	"passt|--mt=68",
	"passt|--|",
	"passt|--socket-pa|/tmp/x",
	"passt|--sock|/tmp/x",
	/* what the callers we know pass */
	"pasta|--config-net|--dns-forward|169.254.1.1|-t|none|-u|none|-T|none"
	"|-U|none|--no-map-gw|--quiet",
	"pasta|--netns|/run/netns/x|--map-guest-addr|169.254.1.2",
	"pasta|--ns-ifname=tap0|--mtu=65520|--config-net|--address=10.0.2.100"
	"|--netmask=24|--gateway=10.0.2.2|--dns-forward=10.0.2.3|--ipv4-only"
	"|--tcp-ports=none|--udp-ports=none|1234",
	"passt|--one-off|--socket|/tmp/x|--mtu|1500|--address|192.0.2.1"
	"|--netmask|24|--tcp-ports|%eth0/~25,80-90:8080-8090,all",
	"passt|--quiet|--search|a b c|--tcp-ports|80,81|--pid|/tmp/x",
	"pasta|--map-host-loopback|none|-f|--netns|/x|--userns|/y"
	"|--no-netns-quit",
	"passt|--repair-path|none",
	"passt|-t|80|-t|none",
	"passt|--no-tcp|-t|none",
};

static void test_good(void **state)
{
	static char out[OUT_MAX], err[OUT_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		int rc = run(good[i], out, err);

		if (rc != 42 || *out)
			fail_msg("%s: status %i, '%s'", good[i], rc, err);
		if (*err && strcmp(err, "Started as root, will change to "
					"nobody\n"))
			fail_msg("%s: '%s'", good[i], err);
	}
}

/* Fits a terminal */
static void assert_columns(const char *text)
{
	for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
		if (strcspn(text, "\n") > 80)
			fail_msg("%.90s", text);
	}
}

static void test_print_and_exit(void **state)
{
	static char out[OUT_MAX], err[OUT_MAX];

	(void)state;
	assert_int_equal(run("pasta|--version", out, err), 0);
	assert_int_equal(strncmp(out, "pasta ", 6), 0);
	assert_string_equal(err, "");
	/* asked by callers for a feature: options before it count */
	assert_int_equal(run("pasta|--host-lo-to-ns-lo|--version", out, err),
			 0);
	assert_int_equal(run("passt|--host-lo-to-ns-lo|--version", out, err),
			 1);
	assert_int_equal(run("passt|--print-capabilities", out, err), 0);
	assert_string_equal(out, "{\"type\":\"net\"}\n");

	assert_int_equal(run("passt|-h", out, err), 0);
	assert_string_equal(err, "");
	assert_non_null(strstr(out, "Usage: passt [OPTION]..."));
	assert_non_null(strstr(out, "--socket PATH"));
	assert_null(strstr(out, "--config-net"));
	assert_columns(out);
	assert_int_equal(run("pasta|--help", out, err), 0);
	assert_null(strstr(out, "--one-off"));
	assert_columns(out);
	assert_non_null(strstr(out, "--config-net"));

	assert_int_equal(run("pasta|--stderr", out, err), 42);
	assert_non_null(strstr(err, "--stderr is deprecated"));
}

static void test_passt(void **state)
{
	(void)state;
	parse("passt");
	assert_int_equal(conf.mode, MODE_PASST);
	assert_int_equal(conf.log.level, LOG_INFO);
	assert_false(conf.log.use_stderr);
	assert_int_equal(conf.stream.fd, -1);
	assert_int_equal(conf.ready_fd, -1);
	assert_int_equal(conf.exit_fd, -1);
	assert_false(conf.stream.one_off || conf.foreground || conf.fwd.pasta);
	assert_false(conf.dhcp.no_dns || conf.ndp.no_dns);
	assert_int_equal(conf.fwd.host.n, 0);
	assert_true(conf.guest.v4.on);

	parse("passt|-F|1|--ready-fd=2|--exit-fd|0|-s|/x|-d|-t|80|-u|53|-4");
	assert_int_equal(conf.stream.fd, 1);
	assert_int_equal(conf.ready_fd, 2);
	assert_int_equal(conf.exit_fd, 0);
	assert_true(conf.stream.one_off);
	assert_int_equal(conf.log.level, LOG_DEBUG);
	assert_true(conf.log.use_stderr);
	assert_int_equal(conf.fwd.host.n, 2);
	assert_false(conf.guest.v6.on);
	assert_false(conf.fwd.host.rule[0].dual);

	parse("passt|-q|--trace|-d|-4|-6|--no-icmp|-M|02:00:00:00:00:01");
	assert_int_equal(conf.log.level, LOG_TRACE);
	assert_true(conf.ndp.no_ndp);
	assert_false(conf.guest.v4.on);
	assert_int_equal(conf.guest.our_mac[5], 1);

	/* the last one counts, for each family */
	parse("passt|-a|192.0.2.1/24|-a|2001:db8::1|-a|192.0.2.2|-m1|-m2");
	assert_int_equal(conf.guest.v4.addr.v4.a4.s_addr, htonl(0xc0000202));
	assert_int_equal(conf.given.len4, -1);
	assert_true(conf.guest.v4.fixed && conf.guest.v6.fixed);
	assert_int_equal(conf.given.mtu, 2);

	parse("passt|-n|255.255.255.128");
	assert_int_equal(conf.given.mask4, 25);
	parse("passt|-n|0.0.0.0");
	assert_int_equal(conf.given.mask4, 0);
	parse("passt|-n|16");
	assert_int_equal(conf.given.mask4, 16);
	parse("passt|--runas|65534:1");
	assert_int_equal(conf.isolation.uid, 65534);
	assert_int_equal(conf.isolation.gid, 1);
	parse("passt|--runas|0");
	assert_int_equal(conf.isolation.uid, 0);
}

static void test_pasta(void **state)
{
	(void)state;
	parse("pasta");
	assert_int_equal(conf.mode, MODE_PASTA);
	assert_true(conf.pasta.spawn && conf.foreground && conf.fwd.pasta);
	assert_null(conf.pasta.argv);
	assert_int_equal(conf.log.level, LOG_WARNING); /* not in the way */
	assert_true(conf.dhcp.no_dns && conf.ndp.no_dns);
	assert_true(conf.isolation.pasta);

	/* options end at the command, whatever it has */
	parse("pasta|-d|--dhcp-dns|sh|-c|--version");
	assert_string_equal(conf.pasta.argv[0], "sh");
	assert_string_equal(conf.pasta.argv[2], "--version");
	assert_int_equal(conf.log.level, LOG_DEBUG);
	assert_false(conf.dhcp.no_dns || conf.ndp.no_dns);
	parse("pasta|--|-x");
	assert_string_equal(conf.pasta.argv[0], "-x");
	parse("pasta|12|13");
	assert_string_equal(conf.pasta.argv[0], "12");

	parse("pasta|1234");
	assert_int_equal(conf.pasta.pid, 1234);
	assert_false(conf.pasta.spawn || conf.foreground ||
		     conf.pasta.netns_only);
	parse("pasta|--netns|x");
	assert_true(conf.pasta.netns_only && conf.isolation.netns_only);
	parse("pasta|--netns|x|--userns|y");
	assert_false(conf.pasta.netns_only);

	parse("pasta|--splice-only|-T|80|-U|none");
	assert_true(conf.fwd.host_lo_to_ns_lo && conf.no_icmp && conf.no_dhcp &&
		    conf.no_dhcpv6 && conf.ndp.no_ndp);
	assert_int_equal(conf.fwd.splice.n, 1);
	assert_int_equal(conf.fwd.splice.rule[0].pif, PIF_SPLICE);
}

/* Automatic rules of one pif and protocol, -1 if one of them is not */
static int autos(const struct fwd_rules *rules, uint8_t proto)
{
	unsigned i;
	int n = 0;

	for (i = 0; i < rules->n; i++) {
		if (rules->rule[i].proto != proto)
			continue;
		if (!rules->rule[i].scan)
			return -1;
		n++;
	}
	return n;
}

static void test_auto(void **state)
{
	static const struct {
		const char *args;
		bool t, u, T, U;
	} t[] = {
		{ "passt", false, false, false, false },
		{ "pasta", true, true, true, true },
		{ "pasta|-4|--splice-only", true, true, true, true },
		{ "pasta|-t|none", false, true, true, true },
		{ "pasta|-t|none|-u|none|-T|none|-U|none", false, false, false,
		  false },
		{ "pasta|-t|auto|-u|none|-T|8000-8010,auto|-U|none", true,
		  false, true, false },
		{ "pasta|--no-udp", true, false, true, false },
		{ "pasta|--no-tcp", false, true, false, true },
		{ "pasta|--no-splice", true, true, false, false },
		{ "pasta|--no-splice|-T|auto", true, true, true, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const struct fwd_opts *o = &conf.fwd;

		parse(t[i].args);
		assert_int_equal(autos(&o->host, IPPROTO_TCP) > 0, t[i].t);
		assert_int_equal(autos(&o->host, IPPROTO_UDP) > 0, t[i].u);
		assert_int_equal(autos(&o->splice, IPPROTO_TCP) > 0, t[i].T);
		assert_int_equal(autos(&o->splice, IPPROTO_UDP) > 0, t[i].U);
	}
	parse("pasta|-t|80");
	assert_int_equal(autos(&conf.fwd.host, IPPROTO_TCP), -1);
}

static void test_names(void **state)
{
	(void)state;
	parse("passt|-S|a.example b|-S|c.|-H|host|--fqdn|host.example.");
	assert_int_equal(conf.guest.offer.nsearch, 3);
	assert_string_equal(conf.guest.offer.search[1], "b");
	assert_string_equal(conf.guest.offer.search[2], "c");
	assert_string_equal(conf.guest.offer.hostname, "host");
	assert_string_equal(conf.guest.offer.fqdn, "host.example");
	parse("passt|-S|a|-S|none|-S|none.");
	assert_int_equal(conf.guest.offer.nsearch, 1);
	assert_string_equal(conf.guest.offer.search[0], "none");

	parse("passt|-D|192.0.2.1|-D|192.0.2.2|-D|192.0.2.3|-D|192.0.2.4"
	      "|-D|2001:db8::1");
	assert_int_equal(conf.guest.offer.ndns4, 3);
	assert_int_equal(conf.guest.offer.ndns6, 1);
	parse("passt|-D|192.0.2.1|-D|none");
	assert_int_equal(conf.guest.offer.ndns4, 0);
	assert_true(conf.given.no_dns && !conf.given.dns);

	/* an explicit address stays, --no-map-gw is about the default */
	parse("passt|--map-host-loopback|192.0.2.9|--no-map-gw");
	assert_false(inany_is_unspecified(&conf.fwd.v4.host_loopback));
	assert_true(conf.given.no_map_gw);
	parse("passt|--map-host-loopback|192.0.2.9|--map-host-loopback|none");
	assert_true(inany_is_unspecified(&conf.fwd.v4.host_loopback));
	parse("passt|--map-guest-addr|192.0.2.9|--map-guest-addr|2001:db8::9");
	assert_false(inany_is_unspecified(&conf.fwd.v4.guest_addr));
	assert_false(inany_is_unspecified(&conf.fwd.v6.guest_addr));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_print_and_exit),
		cmocka_unit_test(test_passt),
		cmocka_unit_test(test_pasta),
		cmocka_unit_test(test_auto),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
