/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Neighbours: MAC addresses the host has learned (rtnetlink(7), RTM_*NEIGH) */

#include <errno.h>
#include <fcntl.h>
#include <linux/neighbour.h>
#include <string.h>
#include <sys/socket.h>

#include "nl/msg.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

/* MAC known; stale ones are likely right until proven otherwise */
#define NEIGH_USABLE \
	(NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)

/* Datagrams read before others get their turn */
#define NEIGH_READ_MAX 16

/* Datagram of changes: a few hundred bytes each, one or a few at a time */
#define NEIGH_RX_MAX 16384

/* Take a message apart; false if it is not about a neighbour's address */
static bool neigh_parse(const struct nlmsghdr *h, struct nl_neigh *neigh)
{
	const struct ndmsg *ndm = nl_body(h, sizeof(*ndm));
	const struct rtattr *tb[NDA_MAX + 1], *mac;

	if ((h->nlmsg_type != RTM_NEWNEIGH && h->nlmsg_type != RTM_DELNEIGH) ||
	    !ndm ||
	    (ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6) ||
	    ndm->ndm_flags & NTF_PROXY ||
	    nl_msg_attrs(tb, NDA_MAX, h, sizeof(*ndm)) ||
	    !nl_attr_addr(tb[NDA_DST], ndm->ndm_family, &neigh->addr))
		return false;

	neigh->ifi = ndm->ndm_ifindex;
	mac = tb[NDA_LLADDR];
	neigh->usable = h->nlmsg_type == RTM_NEWNEIGH &&
			ndm->ndm_state & NEIGH_USABLE && mac &&
			RTA_PAYLOAD(mac) == NL_MAC_LEN;
	memset(neigh->mac, 0, sizeof(neigh->mac));
	if (neigh->usable)
		memcpy(neigh->mac, RTA_DATA(mac), NL_MAC_LEN);
	return true;
}

/* Collect the neighbour tables of both families */
static int neigh_dump(struct nl_sock *nl, struct nl_dump *dump)
{
	struct ndmsg ndm = { .ndm_family = AF_UNSPEC };
	struct nl_msg msg;

	nl_msg_init(&msg, RTM_GETNEIGH, 0, &ndm, sizeof(ndm));
	return nl_dump(nl, &msg, dump);
}

int nl_neigh_list(struct nl_sock *nl, nl_neigh_fn *fn, void *arg)
{
	struct nl_dump dump = { 0 };
	const struct nlmsghdr *h;
	struct nl_neigh neigh;
	size_t off = 0;
	int rc;

	rc = neigh_dump(nl, &dump);
	while (!rc && (h = nl_dump_next(&dump, &off))) {
		if (neigh_parse(h, &neigh) && neigh.usable)
			fn(arg, &neigh);
	}
	nl_dump_free(&dump);
	return rc;
}

/* Question and answer of nl_neigh_get() */
struct neigh_wanted {
	const union inany_addr *addr;
	uint8_t *mac;
	int ifi;
	bool found;
};

/* nl_neigh_fn: is it the one? */
static void neigh_match(void *arg, const struct nl_neigh *neigh)
{
	struct neigh_wanted *want = arg;

	if (neigh->ifi != want->ifi || !inany_equals(&neigh->addr, want->addr))
		return;
	memcpy(want->mac, neigh->mac, NL_MAC_LEN);
	want->found = true;
}

int nl_neigh_get(struct nl_sock *nl, int ifi, const union inany_addr *addr,
		 uint8_t *mac)
{
	struct neigh_wanted want = { .addr = addr, .mac = mac, .ifi = ifi };
	int rc = nl_neigh_list(nl, neigh_match, &want);

	return rc ? rc : want.found ? 0 : -ENOENT;
}

int nl_neigh_watch(struct nl_sock *nl)
{
	int group = RTNLGRP_NEIGH, rc;

	rc = nl_open(nl);
	if (rc)
		return rc;

	if (setsockopt(nl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
		       sizeof(group)) ||
	    fcntl(nl->fd, F_SETFL, O_NONBLOCK)) {
		rc = -errno;
		nl_close(nl);
	}
	return rc;
}

int nl_neigh_read(struct nl_sock *nl, nl_neigh_fn *fn, void *arg)
{
	static _Alignas(NLMSG_ALIGNTO) char buf[NEIGH_RX_MAX];
	int i;

	for (i = 0; i < NEIGH_READ_MAX; i++) {
		struct nl_neigh neigh;
		struct nlmsghdr *h;
		size_t off = 0;
		ssize_t n;

		n = nl_recv(nl, buf, sizeof(buf));
		if (n == -ETIMEDOUT)
			return 0; /* nothing left */
		if (n < 0)
			return (int)n;

		while (nl_walk(buf, (size_t)n, &off, &h) > 0) {
			if (neigh_parse(h, &neigh))
				fn(arg, &neigh);
		}
	}

	return 0;
}
