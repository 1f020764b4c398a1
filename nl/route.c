/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routes: which interface leads outside, gateways, adding (RTM_*ROUTE)
 *
 * A route has one next hop in its own attributes, or several in a list, or,
 * as the kernel may be told not to repeat them there, only the number of a
 * nexthop object, which may be a group of such objects (ip-nexthop(8)).
 * route_best_hop() hides that: it gives the best hop of a route for a purpose.
 */

#include "nl/route.h"

#include <errno.h>
#include <linux/nexthop.h>
#include <string.h>

/* ICMPv6 router preference in RTA_PREF (RFC 4191 2.1), best first */
#define PREF_HIGH   1
#define PREF_MEDIUM 0

/* Nexthop groups have members, but a member is never a group of groups */
#define NEXTHOP_DEPTH 2

/* Prefixes no longer than this, bits, count as everywhere: VPNs cover the
 * default route by halves of the address space, or by all of it but some nets
 */
#define WIDE4 8
#define WIDE6 8

/* Room for a route with hundreds of next hops, bytes */
#define LOOKUP_MAX 16384

/* Linux 4.13: linux/rtnetlink.h may be older */
#ifndef RTM_F_FIB_MATCH
#define RTM_F_FIB_MATCH 0x2000
#endif

/* All nexthop objects; routes are left for later */
static void routes_init(struct routes *r, struct nl_sock *nl, sa_family_t af)
{
	struct nhmsg nhm = { .nh_family = AF_UNSPEC };
	struct nl_msg msg;

	memset(r, 0, sizeof(*r));
	r->nl = nl;
	r->af = af;

	/* Kernels before 5.3 know of no nexthop objects: none is fine */
	nl_msg_init(&msg, RTM_GETNEXTHOP, 0, &nhm, sizeof(nhm));
	if (nl_dump(nl, &msg, &r->nexthops))
		r->nexthops.len = 0;
}

/* All routes, unless they are there already. There may be a million, so that
 * this is for those who have to see them all.
 */
static int routes_dump(struct routes *r)
{
	struct rtmsg rtm = { .rtm_family = (uint8_t)r->af };
	struct nl_msg msg;

	if (!r->dumped) {
		nl_msg_init(&msg, RTM_GETROUTE, 0, &rtm, sizeof(rtm));
		r->err = nl_dump(r->nl, &msg, &r->routes);
		if (r->err)
			nl_dump_free(&r->routes);
		r->dumped = true;
	}
	return r->err;
}

int routes_load(struct routes *r, struct nl_sock *nl, sa_family_t af)
{
	int rc;

	routes_init(r, nl, af);
	rc = routes_dump(r);
	if (rc)
		routes_free(r);
	return rc;
}

void routes_free(struct routes *r)
{
	nl_dump_free(&r->routes);
	nl_dump_free(&r->nexthops);
}

bool route_parse(const struct nlmsghdr *h, sa_family_t af, struct route *route)
{
	const struct rtmsg *rtm = nl_body(h, sizeof(*rtm));

	if (h->nlmsg_type != RTM_NEWROUTE || !rtm || rtm->rtm_family != af ||
	    rtm->rtm_type != RTN_UNICAST || rtm->rtm_flags & RTM_F_CLONED ||
	    nl_msg_attrs(route->tb, RTA_MAX, h, sizeof(*rtm)))
		return false;

	route->rtm = rtm;
	route->dst = af == AF_INET ? inany_any4 : inany_any6;
	if (rtm->rtm_dst_len &&
	    !nl_attr_addr(route->tb[RTA_DST], af, &route->dst))
		return false;
	return nl_attr_u32(route->tb[RTA_TABLE], rtm->rtm_table) ==
	       RT_TABLE_MAIN;
}

/* Is an interface up, and not the way back to ourselves? */
static bool route_ifi_usable(struct routes *r, int ifi)
{
	struct nl_link link;

	if (ifi != r->last_ifi) {
		r->last_ifi = ifi;
		r->last_usable = !nl_link_get(r->nl, ifi, &link) &&
				 link.flags & IFF_UP &&
				 !(link.flags & IFF_LOOPBACK);
	}
	return r->last_usable;
}

/* Keep a hop if it serves and is better: carrier first, then weight */
static void hop_offer(struct routes *r, int want, const struct hop *hop,
		      struct hop *best)
{
	bool down = hop->flags & RTNH_F_LINKDOWN;
	bool best_down = best->flags & RTNH_F_LINKDOWN;

	if (hop->ifi <= 0 || hop->flags & RTNH_F_DEAD ||
	    (want ? hop->ifi != want : !route_ifi_usable(r, hop->ifi)))
		return;

	if (!best->ifi || down < best_down ||
	    (down == best_down && hop->weight > best->weight))
		*best = *hop;
}

/* The gateway in a route's or a hop's attributes, if there is one */
static bool hop_gateway(const struct rtattr *const *tb, sa_family_t af,
			union inany_addr *gw)
{
	const struct rtattr *via = tb[RTA_VIA];
	sa_family_t via_af;

	if (nl_attr_addr(tb[RTA_GATEWAY], af, gw))
		return true;

	/* RTA_VIA: struct rtvia, family and address of it */
	if (!via || RTA_PAYLOAD(via) < sizeof(struct rtvia))
		return false;
	via_af = ((const struct rtvia *)RTA_DATA(via))->rtvia_family;
	if ((via_af != AF_INET ||
	     RTA_PAYLOAD(via) !=
		     sizeof(struct rtvia) + sizeof(struct in_addr)) &&
	    (via_af != AF_INET6 ||
	     RTA_PAYLOAD(via) !=
		     sizeof(struct rtvia) + sizeof(struct in6_addr)))
		return false;
	inany_from_af(gw, via_af,
		      ((const struct rtvia *)RTA_DATA(via))->rtvia_addr);
	return true;
}

/* Offer each hop of a RTA_MULTIPATH list */
static void multipath_offer(struct routes *r, int want,
			    const struct rtattr *list, struct hop *best)
{
	size_t left = RTA_PAYLOAD(list), step;
	const char *p = RTA_DATA(list);

	while (left >= sizeof(struct rtnexthop)) {
		const struct rtnexthop *nh = (const void *)p;
		const struct rtattr *tb[RTA_MAX + 1];
		struct hop hop = { 0 };

		if (nh->rtnh_len < sizeof(*nh) || nh->rtnh_len > left ||
		    nl_attrs(tb, RTA_MAX, nh + 1, nh->rtnh_len - sizeof(*nh)))
			return;

		hop.ifi = nh->rtnh_ifindex;
		hop.flags = nh->rtnh_flags;
		hop.weight = nh->rtnh_hops + 1U;
		hop.has_gw = hop_gateway(tb, r->af, &hop.gw);
		hop_offer(r, want, &hop, best);

		step = RTNH_ALIGN((size_t)nh->rtnh_len);
		if (step > left)
			return;
		p += step;
		left -= step;
	}
}

/* Offer a nexthop object, or the members of one that is a group */
static void nexthop_offer(struct routes *r, int want, uint32_t id,
			  unsigned weight, struct hop *best, int depth)
{
	const struct rtattr *tb[NHA_MAX + 1];
	const struct nhmsg *nhm = NULL;
	const struct nlmsghdr *h;
	struct hop hop = { 0 };
	size_t off = 0, i;

	while ((h = nl_dump_next(&r->nexthops, &off))) {
		nhm = nl_body(h, sizeof(*nhm));
		if (h->nlmsg_type == RTM_NEWNEXTHOP && nhm &&
		    !nl_msg_attrs(tb, NHA_MAX, h, sizeof(*nhm)) &&
		    nl_attr_u32(tb[NHA_ID], 0) == id)
			break;
	}
	if (!h)
		return;

	if (tb[NHA_GROUP]) {
		const struct nexthop_grp *grp = RTA_DATA(tb[NHA_GROUP]);
		size_t n = RTA_PAYLOAD(tb[NHA_GROUP]) / sizeof(*grp);

		for (i = 0; depth && i < n; i++)
			nexthop_offer(r, want, grp[i].id, grp[i].weight + 1U,
				      best, depth - 1);
		return;
	}

	hop.ifi = (int)nl_attr_u32(tb[NHA_OIF], 0);
	hop.flags = nhm->nh_flags;
	hop.weight = weight;
	hop.has_gw = nl_attr_addr(tb[NHA_GATEWAY], nhm->nh_family, &hop.gw);
	hop_offer(r, want, &hop, best);
}

bool route_best_hop(struct routes *r, const struct route *route, int want,
		    struct hop *best)
{
	const struct rtattr *const *tb = route->tb;
	struct hop hop = { .weight = 1, .flags = route->rtm->rtm_flags };

	memset(best, 0, sizeof(*best));
	if (tb[RTA_MULTIPATH]) {
		multipath_offer(r, want, tb[RTA_MULTIPATH], best);
	} else if (tb[RTA_OIF]) {
		hop.ifi = (int)nl_attr_u32(tb[RTA_OIF], 0);
		hop.has_gw = hop_gateway(tb, r->af, &hop.gw);
		hop_offer(r, want, &hop, best);
	} else if (tb[RTA_NH_ID]) {
		nexthop_offer(r, want, nl_attr_u32(tb[RTA_NH_ID], 0), 1, best,
			      NEXTHOP_DEPTH);
	}
	return best->ifi;
}

/* How good a default route is: lower is better. First of all carrier, then
 * valid for any source, then metric, then router preference.
 */
static uint64_t default_rank(const struct route *route, const struct hop *hop)
{
	uint64_t rank = nl_attr_u32(route->tb[RTA_PRIORITY], 0);
	const struct rtattr *pref = route->tb[RTA_PREF];
	uint8_t p = PREF_MEDIUM;

	if (pref && RTA_PAYLOAD(pref) >= sizeof(p))
		p = *(const uint8_t *)RTA_DATA(pref);
	rank = rank << 2 | (p == PREF_HIGH ? 0 : p == PREF_MEDIUM ? 1 : 2);
	if (route->rtm->rtm_src_len || route->rtm->rtm_tos)
		rank |= UINT64_C(1) << 40;
	if (hop->flags & RTNH_F_LINKDOWN)
		rank |= UINT64_C(1) << 41;
	return rank;
}

/* Best hop of the best default route, through @want or (0) anything usable */
static bool routes_default(struct routes *r, int want, struct hop *best)
{
	uint64_t top = UINT64_MAX, rank;
	const struct nlmsghdr *h;
	struct route route;
	struct hop hop;
	size_t off = 0;

	if (routes_dump(r))
		return false;
	while ((h = nl_dump_next(&r->routes, &off))) {
		if (!route_parse(h, r->af, &route) || route.rtm->rtm_dst_len ||
		    !route_best_hop(r, &route, want, &hop))
			continue;
		rank = default_rank(&route, &hop);
		if (rank < top) {
			top = rank;
			*best = hop;
		}
	}
	return top != UINT64_MAX;
}

/* First usable hop of any route but those every link has */
static bool routes_any(struct routes *r, struct hop *best)
{
	static const union inany_addr ll4 = {
		.a6.s6_addr = { [10] = 0xff, 0xff, 169, 254 } /* RFC 3927 2.1 */
	};
	const struct nlmsghdr *h;
	struct route route;
	size_t off = 0;

	if (routes_dump(r))
		return false;
	while ((h = nl_dump_next(&r->routes, &off))) {
		if (!route_parse(h, r->af, &route))
			continue;
		if (route.rtm->rtm_dst_len &&
		    (inany_is_linklocal6(&route.dst) ||
		     inany_is_multicast(&route.dst) ||
		     inany_prefix_equals(&route.dst, &ll4, 16)))
			continue;
		if (route_best_hop(r, &route, 0, best))
			return true;
	}
	return false;
}

/* Ask the kernel which way a packet to @dst would take, policy rules and all:
 * nothing is sent. With RTM_F_FIB_MATCH (Linux 4.13; before, as if it were not
 * there) it tells the route itself, all hops and the prefix, else one hop of it
 * and where from, as a route to @dst alone. The answer stays valid until the next
 * one. Return: false if it is none to go by
 */
static bool lookup_ask(struct nl_sock *nl, sa_family_t af, int want,
		       const union inany_addr *dst, unsigned flags,
		       struct route *route)
{
	static _Alignas(NLMSG_ALIGNTO) char copy[LOOKUP_MAX];
	struct rtmsg rtm = { .rtm_family = (uint8_t)af, .rtm_flags = flags };
	const struct nlmsghdr *reply;
	struct nl_msg msg;

	rtm.rtm_dst_len = af == AF_INET ? 32 : 128;
	nl_msg_init(&msg, RTM_GETROUTE, 0, &rtm, sizeof(rtm));
	nl_msg_put_addr(&msg, RTA_DST, dst);
	if (want)
		nl_msg_put_u32(&msg, RTA_OIF, (uint32_t)want);
	if (nl_get(nl, &msg, &reply) || reply->nlmsg_type != RTM_NEWROUTE ||
	    reply->nlmsg_len > sizeof(copy))
		return false;

	/* Requests about its interfaces overwrite it */
	memcpy(copy, reply, reply->nlmsg_len);
	reply = (const void *)copy;
	route->rtm = nl_body(reply, sizeof(*route->rtm));
	return route->rtm && route->rtm->rtm_type == RTN_UNICAST &&
	       !nl_msg_attrs(route->tb, RTA_MAX, reply, sizeof(*route->rtm));
}

/* Addresses out there (RFC 5737, RFC 3849, RFC 9637): that nobody has them does
 * not matter. Several, as one may be routed in a way of its own.
 */
static const struct outside {
	sa_family_t af;
	const char *addr;
} outside[] = {
	{ AF_INET, "203.0.113.1" }, { AF_INET, "198.51.100.1" },
	{ AF_INET, "192.0.2.1" },   { AF_INET6, "2001:db8::1" },
	{ AF_INET6, "3fff::1" },
};

#define OUTSIDE_COUNT (sizeof(outside) / sizeof(outside[0]))

/* Best hop by the kernel's own choice, of the least specific route found.
 * Return: bits of its prefix, -1 if there is none
 */
static int routes_lookup(struct routes *r, int want, struct hop *best)
{
	union inany_addr dst;
	struct route route;
	int len = -1;
	struct hop hop;
	size_t i;

	for (i = 0; i < OUTSIDE_COUNT; i++) {
		if (outside[i].af != r->af ||
		    inany_pton(outside[i].addr, &dst) ||
		    !lookup_ask(r->nl, r->af, want, &dst, RTM_F_FIB_MATCH,
				&route) ||
		    !route_best_hop(r, &route, want, &hop))
			continue;
		if (len < 0 || route.rtm->rtm_dst_len < len) {
			len = route.rtm->rtm_dst_len;
			*best = hop;
		}
	}
	return len;
}

/* Best hop towards everywhere, through @want or (0) anything usable: the
 * kernel's choice, if that is a route to (nearly) everywhere; but one that has
 * carrier before one that has not.
 */
static bool routes_outside(struct routes *r, int want, struct hop *best)
{
	int len = routes_lookup(r, want, best);
	bool found = len >= 0 && len <= (r->af == AF_INET ? WIDE4 : WIDE6);
	struct hop hop;

	if (found && !(best->flags & RTNH_F_LINKDOWN))
		return true;
	if (!routes_default(r, want, &hop))
		return found;
	*best = hop;
	return true;
}

int nl_route_template(struct nl_sock *nl, sa_family_t af)
{
	struct routes r;
	struct hop hop;
	int rc;

	routes_init(&r, nl, af);
	if (routes_outside(&r, 0, &hop) || routes_any(&r, &hop))
		rc = hop.ifi;
	else
		rc = r.err ? r.err : -ENODEV;
	routes_free(&r);
	return rc;
}

int nl_route_gateway(struct nl_sock *nl, int ifi, sa_family_t af,
		     union inany_addr *gw)
{
	struct routes r;
	struct hop hop;
	int rc;

	routes_init(&r, nl, af);
	if (routes_outside(&r, ifi, &hop)) {
		rc = hop.has_gw;
		if (hop.has_gw)
			*gw = hop.gw;
	} else {
		rc = r.err ? r.err : -ENOENT;
	}
	routes_free(&r);
	return rc;
}

int nl_route_source(struct nl_sock *nl, int ifi, sa_family_t af,
		    union inany_addr *src)
{
	union inany_addr dst;
	struct route route;
	size_t i;

	for (i = 0; i < OUTSIDE_COUNT; i++) {
		if (outside[i].af == af && !inany_pton(outside[i].addr, &dst) &&
		    lookup_ask(nl, af, ifi, &dst, 0, &route) &&
		    nl_attr_addr(route.tb[RTA_PREFSRC], af, src) &&
		    inany_is_unicast(src) && !inany_is_loopback(src) &&
		    !inany_is_linklocal6(src))
			return 0;
	}
	return -EADDRNOTAVAIL;
}

void route_put_gateway(struct nl_msg *msg, sa_family_t af,
		       const union inany_addr *gw)
{
	struct {
		sa_family_t family;
		struct in6_addr addr;
	} __attribute__((packed)) via = { .family = AF_INET6, .addr = gw->a6 };

	_Static_assert(sizeof(via) == sizeof(struct rtvia) + 16, "RTA_VIA");

	if (inany_af(gw) == af)
		nl_msg_put_addr(msg, RTA_GATEWAY, gw);
	else
		nl_msg_put(msg, RTA_VIA, &via, sizeof(via));
}

/* One request to add a route, fine if it is there */
static int route_create(struct nl_sock *nl, int ifi, sa_family_t af,
			const union inany_addr *dst, unsigned prefix_len,
			const union inany_addr *gw)
{
	struct rtmsg rtm = { .rtm_family = (uint8_t)af,
			     .rtm_dst_len = (uint8_t)prefix_len,
			     .rtm_table = RT_TABLE_MAIN,
			     .rtm_protocol = RTPROT_BOOT,
			     .rtm_scope = RT_SCOPE_UNIVERSE,
			     .rtm_type = RTN_UNICAST };
	struct nl_msg msg;
	int rc;

	if (!gw && af == AF_INET)
		rtm.rtm_scope = RT_SCOPE_LINK;
	nl_msg_init(&msg, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &rtm,
		    sizeof(rtm));
	if (prefix_len)
		nl_msg_put_addr(&msg, RTA_DST, dst);
	if (gw)
		route_put_gateway(&msg, af, gw);
	nl_msg_put_u32(&msg, RTA_OIF, (uint32_t)ifi);
	rc = nl_request(nl, &msg);
	return rc == -EEXIST ? 0 : rc;
}

int nl_route_add(struct nl_sock *nl, int ifi, sa_family_t af,
		 const union inany_addr *dst, unsigned prefix_len,
		 const union inany_addr *gw)
{
	int rc;

	if (gw && inany_af(gw) != af && af != AF_INET)
		return -EINVAL;

	rc = route_create(nl, ifi, af, dst, prefix_len, gw);
	/* How IPv4 and IPv6 say that the gateway cannot be reached directly */
	if (!gw || (rc != -ENETUNREACH && rc != -EHOSTUNREACH && rc != -EINVAL))
		return rc;
	if (route_create(nl, ifi, inany_af(gw), gw, inany_v4(gw) ? 32 : 128,
			 NULL))
		return rc;
	return route_create(nl, ifi, af, dst, prefix_len, gw);
}
