/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command line and host state to the options of every module
 *
 * The command line is read twice with the same walker: first for the few
 * descriptors that must survive the closing of everything inherited, then for
 * all the rest. The walker is ours and not getopt_long() because its messages
 * are an interface: callers look for "unrecognized option", and C libraries
 * differ in their wording.
 *
 * Handlers check one value each. What one option means for another is looked
 * at afterwards, in conf_check() and below, so that their order on the command
 * line does not matter. Port specifiers come last of all: they depend on which
 * IP versions are left.
 */

#include "conf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/opt.h"
#include "conf/ports.h"
#include "lib/fdio.h"
#include "lib/inany.h"
#include "sock.h"

#define LOG_SIZE_DEFAULT (1 << 20) /* --log-size */
#define PREFIX6_LEN      64        /* of any IPv6 address we assign */

#define PORT_RANGE_FILE "/proc/sys/net/ipv4/ip_local_port_range"
#define EPHEMERAL_FIRST 49152 /* RFC 6335 6 */
#define EPHEMERAL_LAST  65535

/* --- Walking the command line --- */

/**
 * struct walk - A pass over the command line
 * @conf:	Configuration being filled
 * @argv:	Of main(), ended by NULL
 * @i:		Index of the argument looked at
 * @early:	The pass of conf_early(): mistakes are left to conf_parse()
 * @stop:	Leave off
 */
struct walk {
	struct conf *conf;
	char **argv;
	int i;
	bool early, stop;
};

/* Complain as getopt_long() does, unless this is left to the later pass */
__attribute__((format(printf, 2, 3))) static void
walk_fail(struct walk *w, const char *fmt, ...)
{
	va_list ap;

	if (w->early) {
		w->stop = true;
		return;
	}
	dprintf(STDERR_FILENO, "%s: ", w->conf->name);
	va_start(ap, fmt);
	vdprintf(STDERR_FILENO, fmt, ap);
	va_end(ap);
	dprintf(STDERR_FILENO, "\nUsage: %s [OPTION]..., see %s --help\n",
		w->conf->name, w->conf->name);
	exit(EXIT_FAILURE);
}

/* Call the handler of an option */
static void walk_set(struct walk *w, const struct conf_opt *o, const char *val)
{
	const unsigned mode = w->conf->mode == MODE_PASTA ? IN_PASTA : IN_PASST;

	if (w->early) {
		if (o->modes & EARLY)
			o->set(w->conf, o, val);
		return;
	}

	if (!(o->modes & mode))
		die("--%s is for %s mode only", o->name,
		    mode == IN_PASST ? "pasta" : "passt");
	if (!(o->modes & EARLY))
		o->set(w->conf, o, val);
}

/* --name, --name=value, --name value */
static void walk_long(struct walk *w)
{
	const char *arg = w->argv[w->i], *name = arg + 2, *val;
	const struct conf_opt *o;
	bool ambiguous;

	val = strchr(name, '=');
	o = conf_opt_long(name, val ? (size_t)(val - name) : strlen(name),
			  &ambiguous);
	if (!o) {
		if (ambiguous)
			walk_fail(w, "option '%s' is ambiguous", arg);
		else
			walk_fail(w, "unrecognized option '%s'", arg);
		return;
	}
	if (val && !o->arg) {
		walk_fail(w, "option '--%s' doesn't allow an argument",
			  o->name);
		return;
	}
	if (val)
		val++;
	else if (o->arg)
		val = w->argv[++w->i];
	if (o->arg && !val) {
		walk_fail(w, "option '--%s' requires an argument", o->name);
		return;
	}
	walk_set(w, o, val);
}

/* -x, -xyz, -xVALUE, -x VALUE */
static void walk_short(struct walk *w)
{
	const char *p;

	for (p = w->argv[w->i] + 1; *p; p++) {
		const struct conf_opt *o = conf_opt_short(*p);
		const char letter[] = { *p, '\0' }, *val;

		if (!o) {
			walk_fail(w, "invalid option -- '%s'", letter);
			return;
		}
		if (!o->arg) {
			walk_set(w, o, NULL);
			continue;
		}
		val = p[1] ? p + 1 : w->argv[++w->i];
		if (val)
			walk_set(w, o, val);
		else
			walk_fail(w, "option requires an argument -- '%s'",
				  letter);
		return;
	}
}

/* Walk up to the first argument that is no option. Return: its index */
static int walk(struct conf *conf, char **argv, bool early)
{
	struct walk w = { .conf = conf, .argv = argv, .i = 1, .early = early };

	for (; !w.stop && argv[w.i]; w.i++) {
		if (argv[w.i][0] != '-' || !argv[w.i][1])
			break;
		if (!strcmp(argv[w.i], "--"))
			return w.i + 1;
		if (argv[w.i][1] == '-')
			walk_long(&w);
		else
			walk_short(&w);
	}
	return w.i;
}

/* --- Before anything else --- */

/* What holds unless an option says otherwise */
static void conf_defaults(struct conf *c)
{
	static const uint8_t our_mac[6] = GUEST_OUR_MAC;

	memset(c, 0, sizeof(*c));
	c->log.level = LOG_INFO;
	c->log.file_size = LOG_SIZE_DEFAULT;
	c->stream.fd = -1;
	c->ready_fd = c->exit_fd = -1;
	c->isolation.uid = (uid_t)-1;
	c->isolation.gid = (gid_t)-1;
	c->given.len4 = c->given.mask4 = -1;
	c->given.mtu = -1;

	memcpy(c->guest.our_mac, our_mac, sizeof(our_mac));
	memset(c->guest.mac, 0xff, sizeof(c->guest.mac));
	c->guest.v4.addr = c->guest.v4.seen = inany_any4;
	c->guest.v4.ll_seen = c->guest.v4.gw = c->guest.v4.our = inany_any4;
	c->fwd.v4.host_loopback = c->fwd.v4.guest_addr = inany_any4;
	c->fwd.v4.dns_match = c->fwd.v4.dns_host = inany_any4;
	c->fwd.v4.outbound = inany_any4;
}

void conf_early(struct conf *conf, int argc, char **argv)
{
	const char *slash;

	conf_defaults(conf);
	if (argc < 1)
		die("Cannot determine mode: called without a name");
	slash = strrchr(argv[0], '/');
	conf->name = slash ? slash + 1 : argv[0];

	if (strstr(conf->name, "pasta"))
		conf->mode = MODE_PASTA;
	else if (strstr(conf->name, "passt"))
		conf->mode = MODE_PASST;
	else
		die("Cannot determine mode: '%s' contains neither passt nor "
		    "pasta",
		    conf->name);

	conf->dhcp.no_dns = conf->dhcp.no_search = conf->mode == MODE_PASTA;
	walk(conf, argv, true);
}

/* --- What options mean for each other --- */

/* What follows the options: the target of pasta */
static void conf_target(struct conf *c, char **args)
{
	struct pasta_opts *p = &c->pasta;
	unsigned long pid;

	if (c->mode == MODE_PASST) {
		if (*args)
			die("Extra non-option argument: %s", *args);
		return;
	}

	if (p->netns && *args)
		die("Both --netns and PID or command given: --netns '%s' and "
		    "'%s'",
		    p->netns, *args);
	if (p->userns && p->netns_only)
		die("Both --userns and --netns-only given");

	if (*args && !args[1] && strspn(*args, "0123456789") == strlen(*args)) {
		if (!conf_number(*args, INT32_MAX, &pid) || !pid)
			die("Invalid PID: '%s', expected a number from 1 on, "
			    "or a command",
			    *args);
		p->pid = (pid_t)pid;
	} else if (!p->netns) {
		p->spawn = true;
		p->argv = *args ? args : NULL;
	}

	if (p->userns && p->spawn)
		die("--userns needs --netns or PID");
	p->no_userns = p->netns_only;
	if (p->netns && !p->userns)
		p->netns_only = true;
	if (p->no_pidns && !p->spawn)
		die("--no-pidns needs a command to be started, neither PID nor "
		    "--netns");
}

/* Options that exclude or imply each other */
static void conf_check(struct conf *c)
{
	if (c->fwd.no_splice && c->fwd.splice_only)
		die("--splice-only and --no-splice exclude each other");
	if (c->fwd.no_splice && c->fwd.host_lo_to_ns_lo)
		die("--host-lo-to-ns-lo and --no-splice exclude each other");
	if (c->fwd.splice_only) {
		c->fwd.host_lo_to_ns_lo = true;
		c->no_icmp = c->no_dhcp = c->no_dhcpv6 = true;
	}
	if (!c->pasta.config_net && c->pasta.no_copy_routes)
		die("--no-copy-routes needs --config-net");
	if (!c->pasta.config_net && c->pasta.no_copy_addrs)
		die("--no-copy-addrs needs --config-net");
	if (c->given.len4 >= 0 && c->given.mask4 >= 0)
		die("Redundant prefix length specification: --netmask and "
		    "--address ADDR/%d",
		    c->given.len4);
	if (c->stats && !c->foreground && !c->pasta.spawn)
		die("--stats %u, but not running in foreground: add "
		    "--foreground",
		    c->stats);

	if (c->no_icmp)
		c->ndp.no_ndp = true;
	if (c->ndp.no_ndp)
		c->ndp.no_ra = true;
}

/* Copies of what several modules have to know */
static void conf_spread(struct conf *c)
{
	if (c->stream.fd >= 0)
		c->stream.one_off = true;

	if (c->pasta.spawn) {
		c->foreground = true;
		if (c->log.level > LOG_WARNING && c->log.level < LOG_DEBUG)
			c->log.level = LOG_WARNING;
	}
	c->log.use_stderr = c->foreground || c->log.level >= LOG_DEBUG;
	log_level(c->log.level);

	c->ndp.no_dns = c->dhcp.no_dns;
	c->ndp.no_search = c->dhcp.no_search;
	c->ndp.no_periodic = c->pasta.config_net;
	c->fwd.pasta = c->isolation.pasta = c->mode == MODE_PASTA;
	c->isolation.netns_only = c->pasta.netns_only;
	c->isolation.foreground = c->foreground;
}

/* Which IP versions are to be used */
static void conf_families(struct conf *c)
{
	int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	c->ipv6 = s >= 0 && !sock_without("ipv6");
	if (s >= 0)
		close(s);
	if (c->given.v6_only && !c->ipv6)
		die("IPv6 not available but --ipv6-only given");

	c->guest.v4.on = !c->given.v6_only;
	c->guest.v6.on = !c->given.v4_only && c->ipv6;
	c->guest.v6.prefix_len = PREFIX6_LEN;
}

/* --- Ports --- */

/* Where the rules of a port option go */
static const struct port_kind {
	char letter;
	uint8_t proto;
	uint8_t pif;
} port_kinds[] = {
	{ 't', IPPROTO_TCP, PIF_HOST },
	{ 'u', IPPROTO_UDP, PIF_HOST },
	{ 'T', IPPROTO_TCP, PIF_SPLICE },
	{ 'U', IPPROTO_UDP, PIF_SPLICE },
};

/* The rules of one specifier; @eph: first and last ephemeral port */
static void conf_ports_add(struct conf *c, const struct port_kind *kind,
			   const char *spec, const in_port_t *eph)
{
	const char *name = conf_opt_short(kind->letter)->name;
	const bool tcp = kind->proto == IPPROTO_TCP;
	const struct ports_env env = {
		.proto = kind->proto,
		.pif = kind->pif,
		.v4 = c->guest.v4.on,
		.v6 = c->guest.v6.on,
		.auto_ok = c->mode == MODE_PASTA,
		.eph_first = eph[0],
		.eph_last = eph[1],
	};
	struct fwd_rules *rules = kind->pif == PIF_HOST ? &c->fwd.host
							: &c->fwd.splice;
	char msg[PORTS_ERR_MAX];

	if (strcmp(spec, "none") && (tcp ? c->no_tcp : c->no_udp))
		die("Option --%s '%s': %s not enabled", name, spec,
		    tcp ? "TCP" : "UDP");
	if (ports_parse(rules, &env, spec, msg))
		die("Option --%s: %s", name, msg);
}

/* All port options, then the defaults of pasta */
static void conf_ports(struct conf *c)
{
	const size_t nkinds = sizeof(port_kinds) / sizeof(port_kinds[0]);
	const in_port_t eph[] = {
		(in_port_t)read_file_uint(PORT_RANGE_FILE, 0, EPHEMERAL_FIRST),
		(in_port_t)read_file_uint(PORT_RANGE_FILE, 1, EPHEMERAL_LAST),
	};
	bool given[sizeof(port_kinds) / sizeof(port_kinds[0])] = { 0 };
	unsigned i;
	size_t k;

	for (i = 0; i < c->given.nports; i++) {
		for (k = 0; k < nkinds; k++) {
			if (port_kinds[k].letter != c->given.ports[i].letter)
				continue;
			conf_ports_add(c, &port_kinds[k],
				       c->given.ports[i].spec, eph);
			given[k] = true;
		}
	}

	if (c->mode != MODE_PASTA)
		return;
	for (k = 0; k < nkinds; k++) {
		if (!given[k] &&
		    !(port_kinds[k].proto == IPPROTO_TCP ? c->no_tcp
							 : c->no_udp) &&
		    !(port_kinds[k].pif == PIF_SPLICE && c->fwd.no_splice))
			conf_ports_add(c, &port_kinds[k], "auto", eph);
	}
}

void conf_parse(struct conf *conf, int argc, char **argv)
{
	int rest = walk(conf, argv, false);

	conf_target(conf, argv + (rest < argc ? rest : argc));
	conf_check(conf);
	conf_spread(conf);
	conf_families(conf);
	conf_unused(conf);
	conf_ports(conf);
	conf_runas(conf);
}
