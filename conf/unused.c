/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options that are right, and of no use beside the others
 *
 * Callers put command lines together from what they have, so that none of this
 * is a mistake; but whoever wonders why nothing happens is to find it said.
 */

#include "conf/opt.h"

#include <string.h>

#include "lib/inany.h"

/* Addresses and interface of a family that is not in use */
static void unused_family(const struct guest_if *g, const struct fwd_map *m,
			  char version)
{
	const struct {
		const char *name;
		const union inany_addr *addr;
	} given[] = {
		{ "address", &g->addr },
		{ "gateway", &g->gw },
		{ "outbound", &m->outbound },
		{ "dns-forward", &m->dns_match },
		{ "map-host-loopback", &m->host_loopback },
		{ "map-guest-addr", &m->guest_addr },
	};
	char text[INANY_STRLEN];
	size_t i;

	if (g->on)
		return;
	for (i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		if (!inany_is_unspecified(given[i].addr))
			info("--%s %s has no effect: IPv%c is off",
			     given[i].name, inany_ntop(given[i].addr, text),
			     version);
	}
	if (*m->outbound_if)
		info("--outbound-if%c %s has no effect: IPv%c is off", version,
		     m->outbound_if, version);
}

/* What is about the interface where there is none */
static void unused_link(const struct pasta_opts *p)
{
	static const uint8_t no_mac[sizeof(p->ns_mac)];
	static const char why[] = "there is no interface with --splice-only";

	if (p->config_net)
		info("--config-net has no effect: %s", why);
	if (*p->ifname)
		info("--ns-ifname %s has no effect: %s", p->ifname, why);
	if (memcmp(p->ns_mac, no_mac, sizeof(no_mac)))
		info("--ns-mac-addr has no effect: %s", why);
}

void conf_unused(const struct conf *c)
{
	unused_family(&c->guest.v4, &c->fwd.v4, '4');
	unused_family(&c->guest.v6, &c->fwd.v6, '6');
	if (c->given.mask4 >= 0 && !c->guest.v4.on)
		info("--netmask has no effect: IPv4 is off");
	if (c->fwd.splice_only)
		unused_link(&c->pasta);
	if (c->given.log_size && !c->log.file)
		info("--log-size has no effect without --log-file");
	if (c->stream.fd >= 0 && c->stream.path)
		info("--socket %s has no effect beside --fd", c->stream.path);
	if (c->pasta.no_netns_quit && c->pasta.spawn)
		info("--no-netns-quit has no effect: we end with the command");
}
