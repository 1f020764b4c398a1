/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses of interfaces: choose, add, copy (rtnetlink(7), RTM_*ADDR) */

#include <errno.h>
#include <linux/if_addr.h>
#include <string.h>
#include <unistd.h>

#include "nl/msg.h"

/* Not (or no longer) an address to be known by */
#define ADDR_UNFIT (IFA_F_DEPRECATED | IFA_F_TENTATIVE | IFA_F_DADFAILED)

/* What the target needs to know: the rest is state or about lifetimes */
#define ADDR_KEEP IFA_F_NOPREFIXROUTE

/* How long to wait until an address can be used, and how often to look */
#define SETTLE_TRIES    10000
#define SETTLE_PAUSE_US 100

/* Collect addresses of a family; the kernel may ignore the family */
static int addr_dump(struct nl_sock *nl, sa_family_t af, struct nl_dump *dump)
{
	struct ifaddrmsg ifa = { .ifa_family = (uint8_t)af };
	struct nl_msg msg;

	nl_msg_init(&msg, RTM_GETADDR, 0, &ifa, sizeof(ifa));
	return nl_dump(nl, &msg, dump);
}

/* Take a message apart; false if it is none of @af on @ifi, or broken */
static bool addr_parse(const struct nlmsghdr *h, int ifi, sa_family_t af,
		       struct nl_addr *addr)
{
	const struct ifaddrmsg *ifa = nl_body(h, sizeof(*ifa));
	const struct rtattr *tb[IFA_MAX + 1];
	bool local, far;

	if (h->nlmsg_type != RTM_NEWADDR || !ifa || ifa->ifa_family != af ||
	    ifa->ifa_index != (unsigned)ifi ||
	    nl_msg_attrs(tb, IFA_MAX, h, sizeof(*ifa)))
		return false;

	/* IFA_ADDRESS is the far end if there is an IFA_LOCAL beside it */
	local = nl_attr_addr(tb[IFA_LOCAL], af, &addr->addr);
	far = nl_attr_addr(tb[IFA_ADDRESS], af, &addr->peer);
	if (!local && !far)
		return false;
	if (!local)
		addr->addr = addr->peer;
	if (!far)
		addr->peer = addr->addr;

	addr->prefix_len = ifa->ifa_prefixlen;
	addr->scope = ifa->ifa_scope;
	addr->flags = nl_attr_u32(tb[IFA_FLAGS], ifa->ifa_flags);
	return ifa->ifa_prefixlen <= (af == AF_INET ? 32 : 128);
}

/* Next address of @af on @ifi in a dump */
static bool addr_next(const struct nl_dump *dump, size_t *off, int ifi,
		      sa_family_t af, struct nl_addr *addr)
{
	const struct nlmsghdr *h;

	while ((h = nl_dump_next(dump, off))) {
		if (addr_parse(h, ifi, af, addr))
			return true;
	}
	return false;
}

/* Rank of an address, 0: out of the question */
static unsigned addr_rank(const struct nl_addr *addr)
{
	unsigned rank = 1U + addr->prefix_len;

	if (addr->flags & ADDR_UNFIT || addr->scope > RT_SCOPE_LINK)
		return 0;
	if (addr->scope < RT_SCOPE_LINK)
		return rank + 256;
	return inany_v4(&addr->addr) ? rank : 0;
}

int nl_addr_best(struct nl_sock *nl, int ifi, sa_family_t af,
		 struct nl_addr *best)
{
	struct nl_dump dump = { 0 };
	struct nl_addr addr;
	unsigned top = 0;
	size_t off = 0;
	int rc;

	rc = addr_dump(nl, af, &dump);
	while (!rc && addr_next(&dump, &off, ifi, af, &addr)) {
		unsigned rank = addr_rank(&addr);

		if (rank > top) {
			top = rank;
			*best = addr;
		}
	}
	nl_dump_free(&dump);
	return rc ? rc : top ? 0 : -EADDRNOTAVAIL;
}

/* Wait for the kernel's route to a new IPv6 address: it comes from a work queue, as
 * late as others hold the lock of all interfaces. Until then packets for it are
 * dropped, and a socket connected to it keeps the way it found, out of the
 * interface. @msg: room for what is asked
 */
static void addr_settle(struct nl_sock *nl, struct nl_msg *msg,
			const union inany_addr *addr)
{
	static const struct rtmsg rtm = { .rtm_family = AF_INET6,
					  .rtm_dst_len = 128 };
	const struct nlmsghdr *reply;
	const struct rtmsg *found;
	unsigned tries = SETTLE_TRIES;
	int rc;

	do {
		nl_msg_init(msg, RTM_GETROUTE, 0, &rtm, sizeof(rtm));
		nl_msg_put_addr(msg, RTA_DST, addr);
		rc = nl_get(nl, msg, &reply);
		found = rc ? NULL : nl_body(reply, sizeof(*found));
		if (found ? found->rtm_type == RTN_LOCAL : rc != -ENETUNREACH)
			return;
		usleep(SETTLE_PAUSE_US);
	} while (--tries);
}

/* Add an address, fine if it is there */
static int addr_create(struct nl_sock *nl, int ifi, const struct nl_addr *addr)
{
	struct ifaddrmsg ifa = { .ifa_family = (uint8_t)inany_af(&addr->addr),
				 .ifa_prefixlen = addr->prefix_len,
				 .ifa_scope = addr->scope,
				 .ifa_index = (unsigned)ifi };
	struct nl_msg msg;
	int rc;

	nl_msg_init(&msg, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &ifa,
		    sizeof(ifa));
	nl_msg_put_addr(&msg, IFA_LOCAL, &addr->addr);
	nl_msg_put_addr(&msg, IFA_ADDRESS, &addr->peer);
	nl_msg_put_u32(&msg, IFA_FLAGS,
		       (addr->flags & ADDR_KEEP) | IFA_F_NODAD);

	/* Directed broadcast, as ip-address(8) would with "brd +" */
	if (inany_v4(&addr->addr) && addr->prefix_len <= 30 &&
	    inany_equals(&addr->addr, &addr->peer)) {
		union inany_addr brd = addr->addr;

		brd.v4.a4.s_addr |= htonl(UINT32_MAX >> addr->prefix_len);
		nl_msg_put_addr(&msg, IFA_BROADCAST, &brd);
	}
	rc = nl_request(nl, &msg);
	if (!rc && !inany_v4(&addr->addr))
		addr_settle(nl, &msg, &addr->addr);
	return rc == -EEXIST ? 0 : rc;
}

int nl_addr_add(struct nl_sock *nl, int ifi, const union inany_addr *addr,
		unsigned prefix_len)
{
	struct nl_addr a = { .addr = *addr,
			     .peer = *addr,
			     .prefix_len = (uint8_t)prefix_len };

	if (prefix_len > (inany_v4(addr) ? 32 : 128))
		return -EINVAL;
	if (inany_is_loopback(addr))
		a.scope = RT_SCOPE_HOST;
	else if (inany_is_linklocal6(addr))
		a.scope = RT_SCOPE_LINK;
	return addr_create(nl, ifi, &a);
}

int nl_addr_copy(struct nl_sock *src, int src_ifi, struct nl_sock *dst,
		 int dst_ifi, sa_family_t af, struct nl_copy *res)
{
	struct nl_dump dump = { 0 };
	struct nl_addr addr;
	size_t off = 0;
	int rc, err;

	memset(res, 0, sizeof(*res));
	rc = addr_dump(src, af, &dump);
	while (!rc && addr_next(&dump, &off, src_ifi, af, &addr)) {
		if (addr.flags & ADDR_UNFIT || addr.scope >= RT_SCOPE_LINK)
			continue;
		err = addr_create(dst, dst_ifi, &addr);
		if (err) {
			res->failed++;
			res->err = err;
		} else {
			res->copied++;
		}
	}
	nl_dump_free(&dump);
	return rc;
}
