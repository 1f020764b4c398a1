/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copy the routes through one interface to another, in another namespace
 *
 * The kernel takes a route with a gateway only if it knows how to reach the
 * gateway, and lists routes in no useful order. So: first those on link, then
 * those with gateways, again and again while some of them are accepted. Those
 * left rest on something we do not copy (another table, another interface):
 * in the target everything is behind the one link, so they are taken as
 * reachable there, without anything that is not essential. What is refused
 * even then is counted; the others are of use without it.
 *
 * Only what has a meaning in the target is carried over. Encapsulation, for
 * one, has not: the host does that to what we send for the guest.
 *
 * A message dealt with is marked in place by NLMSG_NOOP.
 */

#include <errno.h>
#include <string.h>

#include "nl/route.h"

/* Chains of gateways reachable through other gateways are short */
#define COPY_PASSES 32

enum copy_pass {
	PASS_ONLINK,  /* routes without gateway */
	PASS_GATEWAY, /* all others */
	PASS_FORCED,  /* those refused, gateways taken as on link */
};

struct copy {
	struct routes src;
	struct nl_dump addrs; /* of the target */
	struct nl_sock *dst;
	int src_ifi, dst_ifi;
	struct nl_copy *res;
	unsigned accepted;                   /* in this pass */
	struct nlmsghdr *sent[NL_BATCH_MAX]; /* for each in the batch */
};

static struct nl_batch batch;

/* Has the target this address, so that it can be a preferred source? */
static bool copy_has_addr(const struct copy *c, const struct rtattr *prefsrc)
{
	const struct nlmsghdr *h;
	size_t off = 0;

	while ((h = nl_dump_next(&c->addrs, &off))) {
		const struct ifaddrmsg *ifa = nl_body(h, sizeof(*ifa));
		const struct rtattr *tb[IFA_MAX + 1], *addr;

		if (h->nlmsg_type != RTM_NEWADDR || !ifa ||
		    ifa->ifa_family != c->src.af ||
		    nl_msg_attrs(tb, IFA_MAX, h, sizeof(*ifa)))
			continue;
		addr = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
		if (addr && addr->rta_len == prefsrc->rta_len &&
		    !memcmp(RTA_DATA(addr), RTA_DATA(prefsrc),
			    RTA_PAYLOAD(addr)))
			return true;
	}
	return false;
}

/* Repeat an attribute as it is, if it is there */
static void copy_attr(struct nl_msg *msg, const struct route *route,
		      unsigned type)
{
	const struct rtattr *rta = route->tb[type];

	if (rta)
		nl_msg_put(msg, rta->rta_type, RTA_DATA(rta), RTA_PAYLOAD(rta));
}

/* The route for the target: one hop, through its interface */
static void copy_build(const struct copy *c, const struct route *route,
		       const struct hop *hop, bool forced, struct nl_msg *msg)
{
	struct rtmsg rtm = *route->rtm;

	rtm.rtm_table = RT_TABLE_MAIN;
	rtm.rtm_flags = hop->flags & RTNH_F_ONLINK;
	if (forced && hop->has_gw)
		rtm.rtm_flags |= RTNH_F_ONLINK;

	nl_msg_init(msg, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &rtm,
		    sizeof(rtm));
	copy_attr(msg, route, RTA_DST);
	copy_attr(msg, route, RTA_SRC);
	copy_attr(msg, route, RTA_PRIORITY);
	copy_attr(msg, route, RTA_PREF);
	if (!forced) {
		copy_attr(msg, route, RTA_METRICS);
		if (route->tb[RTA_PREFSRC] &&
		    copy_has_addr(c, route->tb[RTA_PREFSRC]))
			copy_attr(msg, route, RTA_PREFSRC);
	}
	if (hop->has_gw)
		route_put_gateway(msg, c->src.af, &hop->gw);
	nl_msg_put_u32(msg, RTA_OIF, (uint32_t)c->dst_ifi);
}

/* Send what is in the batch, mark what was accepted */
static void copy_flush(struct copy *c)
{
	unsigned i;

	nl_batch_run(c->dst, &batch);
	for (i = 0; i < batch.n; i++) {
		if (batch.rc[i] && batch.rc[i] != -EEXIST) {
			c->res->err = batch.rc[i];
			continue;
		}
		c->sent[i]->nlmsg_type = NLMSG_NOOP;
		c->accepted++;
	}
	batch.n = 0;
	batch.len = 0;
}

/* Tell of a route that is not copied, if there is room */
static void copy_leave(struct nl_copy *res, const struct route *route,
		       bool refused)
{
	const unsigned n = res->others + res->failed;

	if (n >= NL_LEFT_MAX)
		return;
	res->left[n] = (struct nl_left){
		.dst = route->dst,
		.prefix_len = route->rtm->rtm_dst_len,
		.ifi = (int)nl_attr_u32(route->tb[RTA_OIF], 0),
		.refused = refused,
	};
}

/* Add one route to the batch if it belongs to this pass */
static void copy_one(struct copy *c, enum copy_pass pass, struct nlmsghdr *h)
{
	struct route route;
	struct nl_msg msg;
	struct hop hop;

	if (h->nlmsg_type == NLMSG_NOOP)
		return;
	if (!route_parse(h, c->src.af, &route)) {
		h->nlmsg_type = NLMSG_NOOP;
		return;
	}
	if (!route_best_hop(&c->src, &route, c->src_ifi, &hop)) {
		h->nlmsg_type = NLMSG_NOOP; /* not ours */
		if (inany_is_linklocal6(&route.dst))
			return;
		copy_leave(c->res, &route, false);
		c->res->others++;
		return;
	}
	if (hop.has_gw && pass == PASS_ONLINK)
		return;

	copy_build(c, &route, &hop, pass == PASS_FORCED, &msg);
	if (msg.overflow) {
		c->res->err = -EMSGSIZE;
		return;
	}
	if (!nl_batch_add(&batch, &msg)) {
		copy_flush(c);
		nl_batch_add(&batch, &msg);
	}
	c->sent[batch.n - 1] = h;
}

/* Try all that is left for this pass; how many were accepted */
static unsigned copy_pass(struct copy *c, enum copy_pass pass)
{
	struct nlmsghdr *h;
	size_t off = 0;

	c->accepted = 0;
	while ((h = nl_dump_next(&c->src.routes, &off)))
		copy_one(c, pass, h);
	copy_flush(c);
	c->res->copied += c->accepted;
	return c->accepted;
}

/* Whatever is left was refused */
static void copy_refused(const struct copy *c)
{
	const struct nlmsghdr *h;
	struct route route;
	size_t off = 0;

	while ((h = nl_dump_next(&c->src.routes, &off))) {
		if (!route_parse(h, c->src.af, &route))
			continue;
		copy_leave(c->res, &route, true);
		c->res->failed++;
	}
}

int nl_route_copy(struct nl_sock *src, int src_ifi, struct nl_sock *dst,
		  int dst_ifi, sa_family_t af, struct nl_copy *res)
{
	struct ifaddrmsg ifa = { .ifa_family = (uint8_t)af };
	struct copy c = {
		.dst = dst, .src_ifi = src_ifi, .dst_ifi = dst_ifi, .res = res
	};
	struct nl_msg msg;
	int rc, i;

	memset(res, 0, sizeof(*res));
	rc = routes_load(&c.src, src, af);
	if (rc)
		return rc;

	/* Without them, no preferred source is kept: not worth failing */
	nl_msg_init(&msg, RTM_GETADDR, 0, &ifa, sizeof(ifa));
	if (nl_dump(dst, &msg, &c.addrs))
		c.addrs.len = 0;

	copy_pass(&c, PASS_ONLINK);
	for (i = 0; i < COPY_PASSES && copy_pass(&c, PASS_GATEWAY); i++)
		;
	copy_pass(&c, PASS_FORCED);

	copy_refused(&c);
	if (!res->failed)
		res->err = 0;
	nl_dump_free(&c.addrs);
	routes_free(&c.src);
	return 0;
}
