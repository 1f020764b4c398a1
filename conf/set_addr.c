/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handlers of options that take addresses and names of hosts */

#include "conf/opt.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "conf/resolv.h"
#include "lib/inany.h"

/* Read an address that has to be unicast */
static union inany_addr get_addr(const struct conf_opt *o, const char *val,
				 bool loopback_ok, const char *what)
{
	union inany_addr a;

	if (inany_pton(val, &a) || !inany_is_unicast(&a))
		conf_bad(o, val, what, "an IPv4 or IPv6 unicast address");
	if (!loopback_ok && inany_is_loopback(&a))
		conf_bad(o, val, what, "an address that is not loopback");
	return a;
}

/* Translation of the family of an address */
static struct fwd_map *map_of(struct conf *c, const union inany_addr *a)
{
	return inany_v4(a) ? &c->fwd.v4 : &c->fwd.v6;
}

void set_mtu(struct conf *c, const struct conf_opt *o, const char *val)
{
	unsigned long n;

	if (!conf_number(val, ULONG_MAX, &n))
		conf_bad(o, val, "Invalid MTU",
			 "a number of bytes, 0 to 65521");
	if (n > TAP_MTU_MAX)
		die("MTU %lu too large (max %u)", n, TAP_MTU_MAX);
	c->given.mtu = (long)n;
}

void set_address(struct conf *c, const struct conf_opt *o, const char *val)
{
	char buf[INANY_STRLEN] = "";
	const char *slash = strchr(val, '/');
	size_t n = slash ? (size_t)(slash - val) : strlen(val);
	unsigned long len = 0;
	union inany_addr a;

	if (n < sizeof(buf))
		memcpy(buf, val, n);
	a = get_addr(o, n < sizeof(buf) ? buf : val, false,
		     "Invalid guest address");
	if (slash && !conf_number(slash + 1, inany_v4(&a) ? 32 : 128, &len))
		conf_bad(o, val, "Invalid guest address",
			 "a prefix length of 0 to 32 for IPv4, 128 for IPv6");

	if (inany_v4(&a)) {
		c->guest.v4.addr = a;
		c->guest.v4.fixed = true;
		c->given.len4 = slash ? (int)len : -1;
	} else {
		c->guest.v6.addr = a;
		c->guest.v6.fixed = true;
	}
}

void set_netmask(struct conf *c, const struct conf_opt *o, const char *val)
{
	union inany_addr a;
	unsigned long bits;
	uint32_t inv;

	if (!inany_pton(val, &a) && inany_v4(&a)) {
		inv = ~ntohl(inany_v4(&a)->s_addr);
		if (inv & (inv + 1))
			conf_bad(o, val, "Invalid netmask",
				 "a mask without gaps");
		for (bits = 32; inv; inv >>= 1)
			bits--;
	} else if (!conf_number(val, 32, &bits)) {
		conf_bad(o, val, "Invalid netmask",
			 "0 to 32 bits, or a mask such as 255.255.255.0");
	}
	c->given.mask4 = (int)bits;
}

void set_gateway(struct conf *c, const struct conf_opt *o, const char *val)
{
	union inany_addr a = get_addr(o, val, false, "Invalid gateway address");

	if (inany_v4(&a)) {
		c->guest.v4.gw = a;
		c->given.gw4 = c->guest.v4.gw_fixed = true;
	} else {
		c->guest.v6.gw = a;
		c->given.gw6 = c->guest.v6.gw_fixed = true;
	}
}

void set_outbound(struct conf *c, const struct conf_opt *o, const char *val)
{
	const char *what = "Invalid or redundant outbound address";
	union inany_addr a = get_addr(o, val, true, what);
	struct fwd_map *m = map_of(c, &a);

	if (!inany_is_unspecified(&m->outbound))
		conf_bad(o, val, what, "one address per IP version");
	m->outbound = a;
}

void set_dns(struct conf *c, const struct conf_opt *o, const char *val)
{
	struct guest_offer *offer = &c->guest.offer;
	union inany_addr a;

	c->given.no_dns = !*val || !strcmp(val, "none");
	c->given.dns = !c->given.no_dns;
	if (c->given.no_dns) {
		offer->ndns4 = offer->ndns6 = 0;
		return;
	}

	a = get_addr(o, val, true, "Cannot use DNS address");
	if (inany_v4(&a)) {
		if (offer->ndns4 < GUEST_DNS_MAX) {
			offer->dns4[offer->ndns4++] = a;
			return;
		}
	} else if (offer->ndns6 < GUEST_DNS_MAX) {
		offer->dns6[offer->ndns6++] = a;
		return;
	}
	warn("More than %u nameservers of one IP version, '%s' left out",
	     GUEST_DNS_MAX, val);
}

void set_dns_forward(struct conf *c, const struct conf_opt *o, const char *val)
{
	union inany_addr a = get_addr(o, val, false,
				      "Invalid DNS forwarding address");

	map_of(c, &a)->dns_match = a;
}

void set_dns_host(struct conf *c, const struct conf_opt *o, const char *val)
{
	union inany_addr a = get_addr(o, val, true, "Invalid DNS host address");

	map_of(c, &a)->dns_host = a;
}

void set_search(struct conf *c, const struct conf_opt *o, const char *val)
{
	struct guest_offer *offer = &c->guest.offer;
	size_t len;

	c->given.search = true;
	if (!*val || !strcmp(val, "none")) {
		offer->nsearch = 0;
		return;
	}

	for (val += strspn(val, " "); *val;
	     val += len, val += strspn(val, " ")) {
		len = strcspn(val, " ");
		if (offer->nsearch >= GUEST_SEARCH_MAX) {
			warn("More than %u search domains, '%s' left out",
			     GUEST_SEARCH_MAX, val);
			return;
		}
		if (!domain_copy(offer->search[offer->nsearch], DOMAIN_MAX, val,
				 len))
			conf_bad(o, val, "Cannot use DNS search domain",
				 "domain names separated by spaces");
		offer->nsearch++;
	}
}

void set_hostname(struct conf *c, const struct conf_opt *o, const char *val)
{
	if (!domain_copy(c->guest.offer.hostname, HOSTNAME_MAX, val,
			 strlen(val)))
		conf_bad(o, val, "Invalid hostname",
			 "1 to 63 letters, digits, hyphens, dots");
	c->pasta.hostname = val;
}

void set_fqdn(struct conf *c, const struct conf_opt *o, const char *val)
{
	if (!domain_copy(c->guest.offer.fqdn, DOMAIN_MAX, val, strlen(val)))
		conf_bad(o, val, "Invalid FQDN", "a domain name");
}

void set_map_host(struct conf *c, const struct conf_opt *o, const char *val)
{
	union inany_addr a;

	if (!strcmp(val, "none")) {
		c->fwd.v4.host_loopback = inany_any4;
		c->fwd.v6.host_loopback = inany_any6;
		c->given.no_map_gw = true;
		return;
	}
	a = get_addr(o, val, false, "Invalid address to remap to host");
	map_of(c, &a)->host_loopback = a;
}

void set_map_guest(struct conf *c, const struct conf_opt *o, const char *val)
{
	union inany_addr a;

	if (!strcmp(val, "none")) {
		c->fwd.v4.guest_addr = inany_any4;
		c->fwd.v6.guest_addr = inany_any6;
		return;
	}
	a = get_addr(o, val, false, "Invalid address to remap to host");
	map_of(c, &a)->guest_addr = a;
}
