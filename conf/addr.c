/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses of the guest, from those of the host
 *
 * The guest gets the address, prefix and gateway of a template interface, of
 * each family its own: the one asked for, or the one of the default route. A
 * family with neither template nor address given is configured link-local:
 * the guest reaches the host and nothing else.
 *
 * The guest always has an IPv4 gateway, and we an IPv6 link-local address, as
 * we answer from these where the host has no address to show. A host that is
 * connected without a gateway (point-to-point, WireGuard) lends us none: then
 * it is a link-local one, which cannot be somebody's on that link. The peer of
 * the link would be no good choice: it exists, and might be asked for.
 *
 * A link may as well be unnumbered: then the address is the one the kernel would
 * send from, wherever it is, alone in its prefix.
 *
 * What is derived here once the host was looked at is a pure function of both.
 */

#include "conf/addr.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf.h"
#include "conf/resolv.h"
#include "nl.h"
#include "sock.h"

#define RESOLV_CONF "/etc/resolv.conf"

#define MTU_DEFAULT 65520 /* largest multiple of 16 below 64 KiB */
#define MTU_MIN4    68    /* RFC 791 3.2 */
#define MTU_MIN6    1280  /* RFC 8200 5 */

/* Link-local configuration */
#define LOCAL4_ADDR   0xa9fe0201 /* 169.254.2.1, RFC 3927 */
#define LOCAL4_GW     0xa9fe0202 /* 169.254.2.2 */
#define LOCAL4_PREFIX 16

static const union inany_addr local6_gw = { /* fe80::1 */
					    .a6.s6_addr = { 0xfe,
							    0x80, [15] = 1 }
};
static const union inany_addr
	local6_gw_other = { /* fe80::2 */
			    .a6.s6_addr = { 0xfe, 0x80, [15] = 2 }
	};

/* IPv4 address from a number */
static union inany_addr v4(uint32_t a)
{
	return inany_from_v4((struct in_addr){ .s_addr = htonl(a) });
}

/* Prefix length by class: what an address without mask is taken for */
static uint8_t class_prefix(const union inany_addr *a)
{
	const uint32_t a4 = ntohl(inany_v4(a)->s_addr);

	if (IN_CLASSA(a4))
		return 8;
	if (IN_CLASSB(a4))
		return 16;
	return IN_CLASSC(a4) ? 24 : 32;
}

int host_net_read(struct host_net *h, struct nl_sock *nl, const char *ifname,
		  sa_family_t af)
{
	struct nl_addr best;
	struct nl_link link;
	int ifi, rc;

	memset(h, 0, sizeof(*h));
	ifi = ifname ? nl_link_index(nl, ifname) : nl_route_template(nl, af);
	if (ifi == -ENODEV && !ifname)
		return 0;
	if (ifi < 0)
		return ifi;
	rc = nl_link_get(nl, ifi, &link);
	if (rc)
		return rc;

	h->ifi = (unsigned)ifi;
	memcpy(h->name, link.name, sizeof(h->name));
	if (!nl_addr_best(nl, ifi, af, &best)) {
		h->addr = best.addr;
		h->prefix_len = best.prefix_len;
	} else if (!nl_route_source(nl, ifi, af, &h->addr)) {
		h->prefix_len = inany_v4(&h->addr) ? 32 : 128;
		h->borrowed = true;
	}
	rc = nl_route_gateway(nl, ifi, af, &h->gw);
	h->routed = rc >= 0;
	if (rc != 1)
		h->gw = inany_any6;
	return 0;
}

/* Prefix length of the IPv4 address of the guest */
static uint8_t prefix4(const struct conf *c, const struct host_net *h)
{
	if (c->given.len4 >= 0)
		return (uint8_t)c->given.len4;
	if (c->given.mask4 >= 0)
		return (uint8_t)c->given.mask4;
	if (inany_equals(&c->guest.v4.addr, &h->addr))
		return h->prefix_len;
	return class_prefix(&c->guest.v4.addr);
}

/* What follows from address and gateway once they are settled, and where all of it
 * comes from
 */
static void settled(const struct conf *c, const struct host_net *h,
		    struct guest_if *g, struct fwd_map *m, struct conf_why *why)
{
	const bool v4 = g == &c->guest.v4;

	g->seen = g->addr;
	if (!c->given.no_map_gw && inany_is_unspecified(&m->host_loopback))
		m->host_loopback = g->gw;

	why->ifname = c->given.ifname ? "--interface"
		      : *m->outbound_if
			      ? v4 ? "--outbound-if4" : "--outbound-if6"
		      : h->routed ? "has the default route"
				  : "has a route, none has a default route";
	why->addr = g->fixed                       ? "--address"
		    : (v4 ? c->local4 : c->local6) ? "link-local"
		    : h->borrowed ? "of another interface, it has none"
				  : "of the template";
	why->gw = (v4 ? c->given.gw4 : c->given.gw6) ? "--gateway"
		  : !inany_is_unspecified(&h->gw) &&
				  inany_equals(&g->gw, &h->gw)
			  ? "of the host"
			  : "ours, the host has none";
}

void conf_addr4(struct conf *c, const struct host_net *h)
{
	struct guest_if *g = &c->guest.v4;
	const bool usable = h->ifi && !inany_is_unspecified(&h->addr);

	if (usable || (h->ifi && g->fixed)) {
		c->fwd.v4.scope = c->pasta.ifi4 = h->ifi;
		memcpy(c->if4, h->name, sizeof(c->if4));
		if (!c->given.gw4 && inany_v4(&h->gw))
			g->gw = h->gw;
	}
	if (usable && !g->fixed)
		g->addr = h->addr;

	c->local4 = inany_is_unspecified(&g->addr);
	c->pasta.mask4 = c->given.mask4 >= 0;
	if (c->local4) {
		g->addr = v4(LOCAL4_ADDR);
		if (c->given.mask4 < 0)
			c->given.mask4 = LOCAL4_PREFIX;
	}
	g->prefix_len = prefix4(c, h);

	if (inany_is_unspecified(&g->gw) || inany_equals(&g->gw, &g->addr))
		g->gw = v4(LOCAL4_GW);
	if (inany_equals(&g->gw, &g->addr))
		g->gw = v4(LOCAL4_ADDR);
	g->our = g->gw;
	settled(c, h, g, &c->fwd.v4, &c->why4);
}

void conf_addr6(struct conf *c, const struct host_net *h)
{
	struct guest_if *g = &c->guest.v6;
	const bool usable = h->ifi && !inany_is_unspecified(&h->addr);

	if (usable || (h->ifi && g->fixed)) {
		c->fwd.v6.scope = c->pasta.ifi6 = h->ifi;
		memcpy(c->if6, h->name, sizeof(c->if6));
		if (!c->given.gw6)
			g->gw = h->gw;
	}
	if (usable && !g->fixed)
		g->addr = h->addr;
	c->local6 = inany_is_unspecified(&g->addr);

	g->our = inany_is_linklocal6(&g->gw) ? g->gw : local6_gw;
	if (inany_equals(&g->our, &g->addr))
		g->our = inany_equals(&g->our, &local6_gw) ? local6_gw_other
							   : local6_gw;
	if (inany_is_unspecified(&g->gw) || inany_equals(&g->gw, &g->addr))
		g->gw = g->our;
	if (inany_is_linklocal6(&g->addr))
		g->ll_seen = g->addr;
	settled(c, h, g, &c->fwd.v6, &c->why6);
}

/* What is asked for makes no sense if the guest and we are one */
static void check_gateway(const struct guest_if *g, bool given)
{
	char addr[INANY_STRLEN];

	if (given && g->fixed && inany_equals(&g->addr, &g->gw))
		die("--address and --gateway are both %s",
		    inany_ntop(&g->addr, addr));
}

/* Look at the host for one family: --interface, --outbound-if4, or whatever */
static void read_family(const struct conf *c, struct nl_sock *nl,
			sa_family_t af, struct host_net *h)
{
	const char *outbound = af == AF_INET ? c->fwd.v4.outbound_if
					     : c->fwd.v6.outbound_if;
	const char *name = c->given.ifname ? c->given.ifname
			   : *outbound     ? outbound
					   : NULL;
	int rc = host_net_read(h, nl, name, af);

	if (rc && c->given.ifname)
		die("Invalid interface name: --interface '%s': %s", name,
		    errstr(rc));
	if (rc && name)
		die("External interface not usable: --outbound-if%c '%s': %s",
		    af == AF_INET ? '4' : '6', name, errstr(rc));
	if (rc)
		warn("IPv%c: cannot look at the network of the host: %s",
		     af == AF_INET ? '4' : '6', errstr(rc));
}

/* Say why a guest cannot reach beyond the host */
static void tell_local(char version, const char *name)
{
	if (*name)
		info("IPv%c: %s has no address, use local mode", version, name);
	else
		info("IPv%c: no external interface as template, use local mode",
		     version);
}

/* Sockets cannot be bound to an address of --outbound that is not there, not yet
 * or not any more: each connection would fail, so say why now
 */
static void check_outbound(const struct conf *c, const struct fwd_map *m)
{
	const struct sock_spec spec = { .af = inany_af(&m->outbound),
					.type = SOCK_DGRAM,
					.proto = IPPROTO_UDP,
					.bind = &m->outbound,
					.scope = m->scope,
					.freebind = c->fwd.freebind };
	char addr[INANY_STRLEN];
	int fd;

	if (inany_is_unspecified(&m->outbound))
		return;
	fd = sock_open(&spec);
	if (fd >= 0)
		close(fd);
	else if (fd == -EADDRNOTAVAIL)
		warn("--outbound %s: no such address here, connections fail "
		     "until there is",
		     inany_ntop(&m->outbound, addr));
}

/* Addresses of both families */
static void conf_addrs(struct conf *c)
{
	struct host_net h4 = { 0 }, h6 = { 0 };
	struct nl_sock nl;
	int rc;

	check_gateway(&c->guest.v4, c->given.gw4);
	check_gateway(&c->guest.v6, c->given.gw6);

	rc = nl_open(&nl);
	if (rc)
		warn("Cannot look at the network of the host, no netlink "
		     "socket: %s",
		     errstr(rc));
	if (c->guest.v4.on) {
		if (!rc)
			read_family(c, &nl, AF_INET, &h4);
		conf_addr4(c, &h4);
		if (c->local4)
			tell_local('4', h4.name);
		check_outbound(c, &c->fwd.v4);
	}
	if (c->guest.v6.on) {
		if (!rc)
			read_family(c, &nl, AF_INET6, &h6);
		conf_addr6(c, &h6);
		if (c->local6)
			tell_local('6', h6.name);
		check_outbound(c, &c->fwd.v6);
	}
	nl_close(&nl);
}

/* --mtu, or the default */
static void conf_mtu(struct conf *c)
{
	unsigned mtu = c->given.mtu < 0 ? MTU_DEFAULT : (unsigned)c->given.mtu;

	if (mtu && c->guest.v4.on && mtu < MTU_MIN4)
		warn("MTU %u is too small for IPv4 (minimum %u)", mtu,
		     MTU_MIN4);
	if (mtu && c->guest.v6.on && mtu < MTU_MIN6)
		warn("MTU %u is too small for IPv6 (minimum %u)", mtu,
		     MTU_MIN6);
	c->guest.offer.mtu = c->pasta.mtu = mtu;
}

/* Name of the interface in the namespace: as on the host, or tap0 */
static void conf_ns_ifname(struct conf *c)
{
	const char *name = *c->if4 ? c->if4 : c->if6;

	if (*c->pasta.ifname)
		return;
	if (!*name || !strcmp(name, "lo"))
		name = "tap0";
	memcpy(c->pasta.ifname, name, strlen(name) + 1);
}

void conf_derive(struct conf *conf)
{
	struct resolv r;
	int rc;

	conf_mtu(conf);
	if (!conf->fwd.splice_only) {
		conf_addrs(conf);
		rc = resolv_read(&r, RESOLV_CONF);
		if (rc)
			warn("Cannot read %s: %s", RESOLV_CONF, errstr(rc));
		conf_dns(conf, &r);
	}
	conf_ns_ifname(conf);

	conf->no_dhcp |= !conf->guest.v4.on;
	conf->no_dhcpv6 |= !conf->guest.v6.on || conf->local6;
	conf->ndp.no_ra |= !conf->guest.v6.on || conf->local6;
}
