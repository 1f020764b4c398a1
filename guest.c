/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who the guest is: what we assigned to it, what we observed of it */

#include "guest.h"

#include <string.h>

#include "lib/log.h"

static const uint8_t guest_mac_any[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/* First bit of a MAC address on the wire: group, IEEE 802.3 3.2.3 */
static bool guest_mac_unicast(const uint8_t *mac)
{
	return !(mac[0] & 1);
}

static void guest_observe_mac(struct guest *g, const uint8_t *mac)
{
	static struct log_site site;

	memcpy(g->mac, mac, sizeof(g->mac));
	g->mac_seen = true;
	if (!log_limit(&site)) /* a guest can change it with each frame */
		return;
	info("Guest has MAC address %02x:%02x:%02x:%02x:%02x:%02x", mac[0],
	     mac[1], mac[2], mac[3], mac[4], mac[5]);
}

/* The slow part: the address is another one than the last */
static void guest_observe_addr(struct guest_if *gif, union inany_addr *where,
			       const union inany_addr *src)
{
	char buf[INANY_STRLEN];

	if (!inany_is_unicast(src) || inany_is_loopback(src))
		return;

	/* Our own address: the guest is mistaken, or up to something */
	if (inany_equals(src, &gif->our))
		return;

	if (gif->fixed && where == &gif->seen)
		gif->kept = inany_equals(src, &gif->addr);
	*where = *src;
	debug_limited("Guest uses address %s", inany_ntop(src, buf));

	/* Better than nothing until there is a global one */
	if (where == &gif->ll_seen && inany_is_unspecified(&gif->seen))
		gif->seen = *src;
}

/* What --address says holds. Not so before a guest has used an IPv6 address of
 * that kind: one without DHCPv6 makes its own from the prefix (RFC 4862) and
 * never knows of ours.
 */
static bool guest_addr_kept(const struct guest_if *gif)
{
	return gif->fixed && (gif->kept || inany_v4(&gif->addr));
}

void guest_observe(struct guest *g, const uint8_t *mac,
		   const union inany_addr *src)
{
	union inany_addr *where;
	struct guest_if *gif;

	if (memcmp(g->mac, mac, sizeof(g->mac)) && guest_mac_unicast(mac))
		guest_observe_mac(g, mac);

	if (!src)
		return;

	gif = inany_v4(src) ? &g->v4 : &g->v6;
	where = inany_is_linklocal6(src) ? &gif->ll_seen : &gif->seen;
	if (where == &gif->seen && guest_addr_kept(gif))
		return;
	/* Fixed, and until now not known to be used: goes the slow way */
	if (inany_equals(where, src) &&
	    !(gif->fixed && inany_equals(src, &gif->addr)))
		return;

	guest_observe_addr(gif, where, src);
}

void guest_forget(struct guest *g)
{
	memcpy(g->mac, guest_mac_any, sizeof(g->mac));
	g->mac_seen = false;
	g->v4.seen = g->v4.addr;
	g->v6.seen = g->v6.addr;
	g->v6.kept = false;
	g->v6.ll_seen = inany_any6;
}
