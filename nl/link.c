/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interfaces: find, describe, configure (rtnetlink(7), RTM_*LINK) */

#include <errno.h>
#include <linux/if_link.h>
#include <string.h>

#include "nl/msg.h"

/* ALTIFNAMSIZ of <linux/if.h>, which does not go with <net/if.h> */
#define ALT_NAME_SIZE 128

/* Ask for a link by name, through one of the attributes that may hold it */
static int link_by_name(struct nl_sock *nl, const char *name, uint16_t type)
{
	struct ifinfomsg ifm = { .ifi_family = AF_UNSPEC };
	const struct nlmsghdr *reply;
	const struct ifinfomsg *got;
	struct nl_msg msg;
	int rc;

	nl_msg_init(&msg, RTM_GETLINK, 0, &ifm, sizeof(ifm));
	nl_msg_put(&msg, type, name, strlen(name) + 1);
	nl_msg_put_u32(&msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	rc = nl_get(nl, &msg, &reply);
	if (rc)
		return rc;

	got = nl_body(reply, sizeof(*got));
	if (reply->nlmsg_type != RTM_NEWLINK || !got || got->ifi_index <= 0)
		return -EBADMSG;
	return got->ifi_index;
}

int nl_link_index(struct nl_sock *nl, const char *name)
{
	size_t len = strlen(name);
	int rc = -ENODEV;

	if (!len || len >= ALT_NAME_SIZE)
		return -EINVAL;

	if (len < IF_NAMESIZE)
		rc = link_by_name(nl, name, IFLA_IFNAME);
	if (rc == -ENODEV) {
		/* Older kernels (before 5.5) know of no alternative names */
		rc = link_by_name(nl, name, IFLA_ALT_IFNAME);
		if (rc < 0)
			rc = -ENODEV;
	}
	return rc;
}

int nl_link_get(struct nl_sock *nl, int ifi, struct nl_link *link)
{
	struct ifinfomsg ifm = { .ifi_family = AF_UNSPEC, .ifi_index = ifi };
	const struct rtattr *tb[IFLA_MAX + 1], *mac, *name;
	const struct nlmsghdr *reply;
	const struct ifinfomsg *got;
	struct nl_msg msg;
	int rc;

	nl_msg_init(&msg, RTM_GETLINK, 0, &ifm, sizeof(ifm));
	nl_msg_put_u32(&msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	rc = nl_get(nl, &msg, &reply);
	if (rc)
		return rc;

	got = nl_body(reply, sizeof(*got));
	if (reply->nlmsg_type != RTM_NEWLINK || !got ||
	    nl_msg_attrs(tb, IFLA_MAX, reply, sizeof(*got)))
		return -EBADMSG;

	memset(link, 0, sizeof(*link));
	link->ifi = got->ifi_index;
	link->flags = got->ifi_flags;
	link->type = got->ifi_type;
	link->mtu = nl_attr_u32(tb[IFLA_MTU], 0);

	mac = tb[IFLA_ADDRESS];
	if (mac && RTA_PAYLOAD(mac) == NL_MAC_LEN) {
		link->has_mac = true;
		memcpy(link->mac, RTA_DATA(mac), NL_MAC_LEN);
	}
	name = tb[IFLA_IFNAME];
	if (name && RTA_PAYLOAD(name) <= sizeof(link->name))
		memcpy(link->name, RTA_DATA(name), RTA_PAYLOAD(name));
	link->name[sizeof(link->name) - 1] = '\0';
	return 0;
}

/* Start a request that changes an interface */
static void link_change(struct nl_msg *msg, int ifi, unsigned flags,
			unsigned mask)
{
	struct ifinfomsg ifm = { .ifi_family = AF_UNSPEC,
				 .ifi_index = ifi,
				 .ifi_flags = flags,
				 .ifi_change = mask };

	nl_msg_init(msg, RTM_NEWLINK, 0, &ifm, sizeof(ifm));
}

int nl_link_set_mac(struct nl_sock *nl, int ifi, const uint8_t *mac)
{
	struct nl_msg msg;

	link_change(&msg, ifi, 0, 0);
	nl_msg_put(&msg, IFLA_ADDRESS, mac, NL_MAC_LEN);
	return nl_request(nl, &msg);
}

int nl_link_set_mtu(struct nl_sock *nl, int ifi, unsigned mtu)
{
	struct nl_msg msg;

	link_change(&msg, ifi, 0, 0);
	nl_msg_put_u32(&msg, IFLA_MTU, mtu);
	return nl_request(nl, &msg);
}

int nl_link_set_txqlen(struct nl_sock *nl, int ifi, unsigned len)
{
	struct nl_msg msg;

	link_change(&msg, ifi, 0, 0);
	nl_msg_put_u32(&msg, IFLA_TXQLEN, len);
	return nl_request(nl, &msg);
}

int nl_link_set_flags(struct nl_sock *nl, int ifi, unsigned flags,
		      unsigned mask)
{
	struct nl_msg msg;

	link_change(&msg, ifi, flags, mask);
	return nl_request(nl, &msg);
}

int nl_link_set_addrgen(struct nl_sock *nl, int ifi, uint8_t mode)
{
	struct nl_msg msg;
	size_t spec, inet6;

	link_change(&msg, ifi, 0, 0);
	spec = nl_msg_nest(&msg, IFLA_AF_SPEC);
	inet6 = nl_msg_nest(&msg, AF_INET6);
	nl_msg_put(&msg, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
	nl_msg_nest_end(&msg, inet6);
	nl_msg_nest_end(&msg, spec);
	return nl_request(nl, &msg);
}
