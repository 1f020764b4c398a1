/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routes and next hops taken apart; for nl/ only */
#ifndef NL_ROUTE_H
#define NL_ROUTE_H

#include "nl/msg.h"

/* All routes and nexthop objects of a namespace */
struct routes {
	struct nl_sock *nl;
	struct nl_dump routes, nexthops;
	sa_family_t af;
	bool dumped;  /* @routes are there, or @err tells why not */
	int err;      /* -errno */
	int last_ifi; /* asked about last, whether it is usable */
	bool last_usable;
};

/* A route as it lies in its message */
struct route {
	const struct rtmsg *rtm;
	const struct rtattr *tb[RTA_MAX + 1];
	union inany_addr dst; /* unspecified for a default route */
};

/* One way to go */
struct hop {
	int ifi;        /* 0: none found */
	unsigned flags; /* RTNH_F_... */
	unsigned weight;
	bool has_gw;
	union inany_addr gw;
};

/**
 * routes_load() - Collect the routes of a family, with the nexthop objects
 * @r:		Filled, give back with routes_free()
 * @nl:		Socket, used later on to look at interfaces
 * @af:		AF_INET or AF_INET6
 *
 * Return: 0, or -errno
 */
int routes_load(struct routes *r, struct nl_sock *nl, sa_family_t af);
void routes_free(struct routes *r);

/**
 * route_parse() - Take a message apart
 * @h:		Message
 * @af:		Family wanted
 * @route:	Filled, points into @h
 *
 * Return: false if it is not a unicast route of the main table, or broken
 */
bool route_parse(const struct nlmsghdr *h, sa_family_t af, struct route *route);

/**
 * route_best_hop() - The hop of a route to use: has carrier, highest weight
 * @r:		Where the route is from
 * @route:	Route
 * @want:	Interface it must go through, 0: any that is up, not loopback
 * @best:	Filled
 *
 * Return: false if there is none
 */
bool route_best_hop(struct routes *r, const struct route *route, int want,
		    struct hop *best);

/* Append a gateway of any family to a route of family @af */
void route_put_gateway(struct nl_msg *msg, sa_family_t af,
		       const union inany_addr *gw);

#endif /* NL_ROUTE_H */
