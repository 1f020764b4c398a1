/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address translation between the guest and sockets: who is meant, seen by whom
 *
 * Pure functions of the options, the guest's addresses and the flow's own. A
 * flow keeps both sides, so that replies take the same way back.
 *
 * From the guest: the nameserver's stand-in becomes the nameserver, the address
 * that stands for the host's loopback becomes loopback, the one that stands for
 * the host (where the guest has the host's own address) becomes that address.
 * All else is what it is.
 *
 * Towards the guest: the rule says which port and perhaps which address,
 * otherwise it is the one the guest was seen with. A peer keeps its address
 * wherever the guest could answer it; where it could not, the same stand-ins
 * take its place, or our own address does.
 */

#include "fwd.h"
#include "guest.h"

#define PORT_DNS     53  /* RFC 1035 4.2 */
#define PORT_DNS_TLS 853 /* RFC 7858 3.1, RFC 9250 4.1.1 (DNS over QUIC) */

/* Unspecified address of the family of another one */
static union inany_addr any_like(const union inany_addr *a)
{
	return inany_v4(a) ? inany_any4 : inany_any6;
}

/* Is a translation set, and is it this address? */
static bool is_mapped(const union inany_addr *map, const union inany_addr *a)
{
	return !inany_is_unspecified(map) && inany_equals(map, a);
}

/* May the guest speak to this address at all? */
static bool may_ask_for(uint8_t proto, const struct flowside *tap)
{
	/* Loopback, unspecified: never on a link (RFC 1122 3.2.1.3, RFC 4291
	 * 2.5.3). Different families: an IPv4-mapped IPv6 destination.
	 */
	if (inany_af(&tap->oaddr) != inany_af(&tap->eaddr) ||
	    inany_is_unspecified(&tap->oaddr) || inany_is_loopback(&tap->oaddr))
		return false;
	if (!inany_is_unicast(&tap->eaddr) || inany_is_loopback(&tap->eaddr))
		return false;

	if (proto == IPPROTO_TCP && !inany_is_unicast(&tap->oaddr))
		return false;
	/* RFC 6335 section 6: reserved */
	return tap->oport || (proto != IPPROTO_TCP && proto != IPPROTO_UDP);
}

bool fwd_from_tap(const struct fwd *fwd, uint8_t proto,
		  const struct flowside *tap, struct flowside *host)
{
	const struct fwd_map *map = fwd_map_of(fwd, &tap->oaddr);
	bool dns = (proto == IPPROTO_TCP || proto == IPPROTO_UDP) &&
		   (tap->oport == PORT_DNS || tap->oport == PORT_DNS_TLS);

	if (!may_ask_for(proto, tap))
		return false;

	if (dns && is_mapped(&map->dns_match, &tap->oaddr) &&
	    !inany_is_unspecified(&map->dns_host))
		host->eaddr = map->dns_host;
	else if (is_mapped(&map->host_loopback, &tap->oaddr))
		host->eaddr = inany_v4(&tap->oaddr) ? inany_loopback4
						    : inany_loopback6;
	else if (is_mapped(&map->guest_addr, &tap->oaddr))
		host->eaddr = guest_if_of(fwd->guest, &tap->oaddr)->addr;
	else
		host->eaddr = tap->oaddr;

	/* Stands for an address we have not */
	if (inany_is_unspecified(&host->eaddr))
		return false;

	/* A nameserver may be of the other family */
	map = fwd_map_of(fwd, &host->eaddr);
	host->oaddr = any_like(&host->eaddr);
	if (!inany_is_loopback(&host->eaddr) &&
	    !inany_is_unspecified(&map->outbound))
		host->oaddr = map->outbound;
	host->eport = tap->oport;
	host->oport = tap->eport;
	return true;
}

/* The guest as one seen as @peer reaches it; unspecified if it has no address */
static union inany_addr guest_as_seen(const struct guest_if *gi,
				      const union inany_addr *peer)
{
	if (inany_is_linklocal6(peer) && !inany_is_unspecified(&gi->ll_seen))
		return gi->ll_seen;
	return inany_is_unspecified(&gi->seen) ? gi->addr : gi->seen;
}

/* Is this an address of the guest itself, so that it would not answer us? */
static bool is_guest(const struct guest_if *gi, const union inany_addr *a)
{
	return is_mapped(&gi->addr, a) || is_mapped(&gi->seen, a) ||
	       is_mapped(&gi->ll_seen, a);
}

/* Who the guest is to see as its peer; unspecified: nobody can be shown */
static union inany_addr peer_as_seen(const struct fwd *fwd,
				     const union inany_addr *peer)
{
	const struct guest_if *gi = guest_if_of(fwd->guest, peer);
	const struct fwd_map *map = fwd_map_of(fwd, peer);

	if ((inany_equals(peer, &inany_loopback4) ||
	     inany_equals(peer, &inany_loopback6)) &&
	    !inany_is_unspecified(&map->host_loopback))
		return map->host_loopback;
	if (is_mapped(&gi->addr, peer) &&
	    !inany_is_unspecified(&map->guest_addr))
		return map->guest_addr;
	if (inany_is_unspecified(peer) || inany_is_loopback(peer) ||
	    is_guest(gi, peer))
		return gi->our;
	return *peer;
}

/* Is there nothing here that a socket could be connected to? */
static bool no_socket_address(const union inany_addr *a)
{
	return inany_is_unspecified(a) || inany_is_linklocal6(a);
}

/* A socket in the namespace, for what came in from the host's loopback */
static enum pif to_splice(const struct fwd *fwd, const struct flowside *ini,
			  struct flowside *tgt)
{
	const struct guest *g = fwd->guest;
	const struct guest_if *gi = guest_if_of(g, &ini->oaddr);
	bool lo = fwd->opts->splice_only || fwd->opts->host_lo_to_ns_lo;

	if (inany_is_multicast(&ini->oaddr) ||
	    (lo && inany_is_loopback(&ini->oaddr)))
		tgt->eaddr = ini->oaddr;
	else if (fwd->opts->splice_only) /* no link, no addresses on it */
		tgt->eaddr = inany_v4(&ini->oaddr) ? inany_loopback4
						   : inany_loopback6;
	else
		tgt->eaddr = guest_as_seen(gi, &ini->eaddr);

	/* localhost is ::1 as well as 127.0.0.1, where the guest may have one
	 * family only: sockets do not mind. A link-local address would need the
	 * number of an interface we do not know from here.
	 */
	if (no_socket_address(&tgt->eaddr))
		tgt->eaddr = guest_as_seen(gi == &g->v4 ? &g->v6 : &g->v4,
					   &ini->eaddr);
	if (no_socket_address(&tgt->eaddr))
		return PIF_NONE;

	tgt->oaddr = any_like(&tgt->eaddr);
	tgt->oport = 0;
	return PIF_SPLICE;
}

/* Only of what was asked for as localhost: who names another address, or has a
 * rule name one, means that
 */
bool fwd_other_target(const struct fwd *fwd, enum pif pif,
		      const struct flowside *ini, struct flowside *tgt)
{
	union inany_addr other = inany_loopback4;

	if (!inany_equals(&ini->oaddr, &inany_loopback6) ||
	    inany_v4(&tgt->eaddr))
		return false;
	if (!inany_equals(&tgt->eaddr, &inany_loopback6)) {
		if (pif != PIF_SPLICE)
			return false;
		other = guest_as_seen(&fwd->guest->v4, &inany_loopback4);
	}
	if (inany_is_unspecified(&other))
		return false;

	tgt->eaddr = other;
	tgt->oaddr = inany_any4;
	return true;
}

/* Frames for the guest */
static enum pif to_tap(const struct fwd *fwd, const struct fwd_rule *rule,
		       const struct flowside *ini, struct flowside *tgt)
{
	const struct guest_if *gi = guest_if_of(fwd->guest, &ini->eaddr);

	if (!gi->on)
		return PIF_NONE;

	tgt->oaddr = peer_as_seen(fwd, &ini->eaddr);
	tgt->oport = ini->eport;
	if (!inany_is_unspecified(&rule->taddr))
		tgt->eaddr = rule->taddr;
	else if (inany_is_multicast(&ini->oaddr))
		tgt->eaddr = ini->oaddr;
	else
		tgt->eaddr = guest_as_seen(gi, &tgt->oaddr);

	if (inany_is_unspecified(&tgt->oaddr) ||
	    inany_is_unspecified(&tgt->eaddr) ||
	    inany_af(&tgt->oaddr) != inany_af(&tgt->eaddr))
		return PIF_NONE;
	return PIF_TAP;
}

/* A socket of the host, for what came in through the namespace's loopback */
static enum pif to_host(const struct fwd_rule *rule, const struct flowside *ini,
			struct flowside *tgt)
{
	/* Bound to lo, one can still be asked for any local address */
	if (!inany_is_loopback(&ini->oaddr))
		return PIF_NONE;

	tgt->eaddr = inany_is_unspecified(&rule->taddr) ? ini->oaddr
							: rule->taddr;
	tgt->oaddr = any_like(&tgt->eaddr);
	tgt->oport = 0;
	return PIF_HOST;
}

enum pif fwd_from_listener(const struct fwd *fwd, const struct fwd_rule *rule,
			   const struct flowside *ini, struct flowside *tgt)
{
	const struct fwd_opts *opts = fwd->opts;

	if (ini->oport < rule->first || ini->oport > rule->last)
		return PIF_NONE;
	if (!inany_is_unicast(&ini->eaddr) &&
	    !inany_is_unspecified(&ini->eaddr))
		return PIF_NONE;
	tgt->eport = (in_port_t)(rule->to + (ini->oport - rule->first));

	if (rule->pif == PIF_SPLICE)
		return to_host(rule, ini, tgt);

	if (opts->pasta && !opts->no_splice &&
	    inany_is_unspecified(&rule->taddr) &&
	    inany_is_loopback(&ini->eaddr))
		return to_splice(fwd, ini, tgt);
	if (opts->splice_only)
		return PIF_NONE;
	return to_tap(fwd, rule, ini, tgt);
}
