/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Usage and start-up summary */

#include "conf/opt.h"

#include <stdio.h>
#include <string.h>

#include "conf/ports.h"
#include "lib/inany.h"

#define HELP_COLUMN 26 /* where help texts begin */

/* How the program is called */
static void print_synopsis(const struct conf *c, int fd)
{
	dprintf(fd, "Usage: %s [OPTION]...%s\n", c->name,
		c->mode == MODE_PASTA ? " [COMMAND [ARG]...]" : "");
	if (c->mode == MODE_PASTA)
		dprintf(fd,
			"       %s [OPTION]... PID\n"
			"       %s [OPTION]... --netns PATH|NAME\n"
			"\n"
			"Without PID or --netns, run COMMAND, or a shell, in "
			"new user and network\n"
			"namespaces, and connect them.\n",
			c->name, c->name);
}

/* One row: names on the left, text on the right */
static void print_option(const struct conf_opt *o, int fd)
{
	const char *line = o->help;
	char left[80];
	int n;

	n = snprintf(left, sizeof(left), "  %c%c%c --%s%s%s",
		     o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
		     o->letter ? ',' : ' ', o->name, o->arg ? " " : "",
		     o->arg ? o->arg : "");
	if (n >= HELP_COLUMN - 1) {
		dprintf(fd, "%s\n", left);
		*left = '\0';
	}
	while (*line) {
		int len = (int)strcspn(line, "\n");

		dprintf(fd, "%-*s%.*s\n", HELP_COLUMN, left, len, line);
		*left = '\0';
		line += len;
		line += *line == '\n';
	}
}

/* All options of exactly these modes */
static void print_options(unsigned modes, const char *title, int fd)
{
	const struct conf_opt *o;

	dprintf(fd, "\n%s:\n", title);
	for (o = conf_opts; o->name; o++) {
		if (o->help && (o->modes & IN_BOTH) == modes)
			print_option(o, fd);
	}
}

void conf_usage(const struct conf *c, int fd)
{
	print_synopsis(c, fd);
	print_options(IN_BOTH, "Options", fd);
	if (c->mode == MODE_PASTA)
		print_options(IN_PASTA, "Options of pasta", fd);
	else
		print_options(IN_PASST, "Options of passt", fd);
}

/* --- Summary at start --- */

/* "  NAME: ADDRESS", unless there is none */
static void print_addr(const char *name, const union inany_addr *a)
{
	char text[INANY_STRLEN];

	if (!inany_is_unspecified(a))
		info("    %s: %s", name, inany_ntop(a, text));
}

/* Where packets to the host itself go */
static void print_maps(const struct fwd_map *m, const char *loopback)
{
	char a[INANY_STRLEN], b[INANY_STRLEN];

	if (!inany_is_unspecified(&m->host_loopback))
		info("NAT to host %s: %s", loopback,
		     inany_ntop(&m->host_loopback, a));
	if (!inany_is_unspecified(&m->guest_addr))
		info("NAT to host address of the guest: %s",
		     inany_ntop(&m->guest_addr, a));
	if (!inany_is_unspecified(&m->dns_match))
		info("NAT to nameserver %s: %s", inany_ntop(&m->dns_host, a),
		     inany_ntop(&m->dns_match, b));
}

/* A list of nameservers */
static void print_dns(const union inany_addr *list, unsigned n)
{
	unsigned i;

	if (n)
		info("DNS:");
	for (i = 0; i < n; i++)
		print_addr("nameserver", &list[i]);
}

/* IPv4: what DHCP assigns */
static void print_v4(const struct conf *c)
{
	const struct guest_if *g = &c->guest.v4;
	char addr[INANY_STRLEN];

	if (!g->on)
		return;
	info("%s:", c->no_dhcp ? "IPv4" : "DHCP");
	info("    assign: %s/%u", inany_ntop(&g->addr, addr), g->prefix_len);
	print_addr("router", &g->gw);
	print_dns(c->guest.offer.dns4,
		  c->dhcp.no_dns ? 0 : c->guest.offer.ndns4);
}

/* IPv6: what NDP and DHCPv6 assign */
static void print_v6(const struct conf *c)
{
	const struct guest_if *g = &c->guest.v6;

	if (!g->on)
		return;
	info("%s:", c->no_dhcpv6 && c->ndp.no_ra ? "IPv6" : "NDP/DHCPv6");
	print_addr("assign", &g->addr);
	print_addr("router", &g->gw);
	print_addr("our link-local", &g->our);
	print_dns(c->guest.offer.dns6,
		  c->dhcp.no_dns ? 0 : c->guest.offer.ndns6);
}

/* A table of rules */
static void print_rules(const struct fwd_rules *rules, const char *title)
{
	char text[FWD_RULE_TEXT];
	unsigned i;

	if (rules->n)
		info("%s:", title);
	for (i = 0; i < rules->n; i++)
		info("    %s",
		     fwd_rule_text(&rules->rule[i], text, sizeof(text)));
}

/* Everything that goes through the link to the guest */
static void print_link(const struct conf *c)
{
	const uint8_t *m = c->guest.our_mac;
	unsigned i;

	if (*c->if4)
		info("Template interface: %s (IPv4)", c->if4);
	if (*c->if6)
		info("Template interface: %s (IPv6)", c->if6);
	if (c->mode == MODE_PASTA)
		info("Namespace interface: %s", c->pasta.ifname);
	info("MAC: %02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
	     m[5]);

	if (c->guest.v4.on)
		print_maps(&c->fwd.v4, "127.0.0.1");
	if (c->guest.v6.on)
		print_maps(&c->fwd.v6, "::1");
	print_v4(c);
	print_v6(c);

	if (c->guest.offer.nsearch && !c->dhcp.no_search)
		info("DNS search list:");
	for (i = 0; i < c->guest.offer.nsearch && !c->dhcp.no_search; i++)
		info("    %s", c->guest.offer.search[i]);
}

void conf_print(const struct conf *conf)
{
	if (!conf->fwd.splice_only)
		print_link(conf);
	print_rules(&conf->fwd.host, "Inbound forwarding rules (HOST)");
	print_rules(&conf->fwd.splice, "Outbound forwarding rules (SPLICE)");
}
