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

/* "  NAME: ADDRESS (WHY)", unless there is none */
static void print_addr(const char *name, const union inany_addr *a,
		       const char *why)
{
	char text[INANY_STRLEN];

	if (!inany_is_unspecified(a))
		info("    %s: %s (%s)", name, inany_ntop(a, text), why);
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
static void print_dns(const struct conf *c, const union inany_addr *list,
		      unsigned n)
{
	unsigned i;

	for (i = 0; i < n && !c->dhcp.no_dns; i++)
		print_addr("nameserver", &list[i], c->why_dns);
}

/* That there is none, and why */
static void print_no_dns(const struct conf *c)
{
	if (c->dhcp.no_dns)
		info("Nameservers: not told (%s)",
		     c->mode == MODE_PASTA ? "no --dhcp-dns" : "--no-dhcp-dns");
	else if (!c->guest.offer.ndns4 && !c->guest.offer.ndns6)
		info("Nameservers: none (%s)", c->why_dns);
}

/* IPv4: what DHCP assigns */
static void print_v4(const struct conf *c)
{
	const struct guest_if *g = &c->guest.v4;
	char addr[INANY_STRLEN];

	if (!g->on)
		return;
	info("%s:", c->no_dhcp ? "IPv4" : "DHCP");
	info("    assign: %s/%u (%s)", inany_ntop(&g->addr, addr),
	     g->prefix_len, c->why4.addr);
	print_addr("router", &g->gw, c->why4.gw);
	print_dns(c, c->guest.offer.dns4, c->guest.offer.ndns4);
}

/* IPv6: what NDP and DHCPv6 assign */
static void print_v6(const struct conf *c)
{
	const struct guest_if *g = &c->guest.v6;

	if (!g->on)
		return;
	info("%s:", c->no_dhcpv6 && c->ndp.no_ra ? "IPv6" : "NDP/DHCPv6");
	print_addr("assign", &g->addr, c->why6.addr);
	print_addr("router", &g->gw, c->why6.gw);
	if (!inany_equals(&g->our, &g->gw))
		print_addr("our link-local", &g->our, "router advertisements");
	print_dns(c, c->guest.offer.dns6, c->guest.offer.ndns6);
}

/* A table of rules */
static void print_rules(const struct fwd *fwd, const struct fwd_rules *rules,
			const char *title)
{
	unsigned i, listening[FWD_RULES_MAX];
	char text[FWD_RULE_TEXT];

	fwd_bound(fwd, rules->rule, rules->n, listening);
	if (rules->n)
		info("%s:", title);
	for (i = 0; i < rules->n; i++) {
		const struct fwd_rule *r = &rules->rule[i];

		fwd_rule_text(r, text, sizeof(text));
		if (r->weak && !r->scan)
			info("    %s, %u of %u ports", text, listening[i],
			     r->last - r->first + 1U);
		else
			info("    %s", text);
	}
}

/* Everything that goes through the link to the guest */
static void print_link(const struct conf *c)
{
	const uint8_t *m = c->guest.our_mac;
	unsigned i;

	if (*c->if4)
		info("Template interface: %s (IPv4), %s", c->if4,
		     c->why4.ifname);
	if (*c->if6)
		info("Template interface: %s (IPv6), %s", c->if6,
		     c->why6.ifname);
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
	print_no_dns(c);

	if (c->guest.offer.nsearch && !c->dhcp.no_search)
		info("DNS search list:");
	for (i = 0; i < c->guest.offer.nsearch && !c->dhcp.no_search; i++)
		info("    %s", c->guest.offer.search[i]);
}

void conf_print(const struct conf *conf, const struct fwd *fwd)
{
	if (!conf->fwd.splice_only)
		print_link(conf);
	print_rules(fwd, &conf->fwd.host, "Inbound forwarding rules (HOST)");
	print_rules(fwd, &conf->fwd.splice,
		    "Outbound forwarding rules (SPLICE)");
}
