/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pasta: interfaces of the target namespace, tap and loopback
 *
 * The tap device is made by a thread inside the namespace, where a netlink
 * socket is opened, too: that stays in the namespace whoever uses it. Everything
 * else is done from the main thread, with one socket on either side. One visit
 * does for all of it: each is a thread made, waited for, and gone.
 *
 * Nothing here may leave an address tentative: as soon as we say that we are
 * ready, others read the addresses and bind them.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "netns.h"
#include "nl.h"
#include "pasta.h"
#include "tap.h"
#include "lib/fdio.h"
#include "lib/log.h"

#define TAP_TXQLEN 10000 /* frames: a burst of 64 KiB windows fits */

/* How long to wait for an interface in use, and how often to try */
#define TAP_BUSY_WAIT_MS  1000
#define TAP_BUSY_RETRY_MS 10

/* What is to be done in the namespace, the first ones for tap_tun_open() */
struct tun_args {
	char *ifname;
	bool *vnet_hdr;
	bool persist;
	bool no_ra;
	struct nl_sock *nl;
};

static int open_nl(void *arg)
{
	return nl_open(arg);
}

/* No address from router advertisements on an interface, beside those it is
 * given here, one more and tentative at that
 */
static void ignore_ra(const char *ifname)
{
	char path[sizeof("/proc/sys/net/ipv6/conf//accept_ra") + IFNAMSIZ];
	int rc;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra",
		 ifname);
	rc = write_file(path, "0");
	if (rc)
		debug("Router advertisements are not ignored: %s", errstr(rc));
}

/* Run in the namespace: the device, and what is best done on the same visit */
static int open_tun(void *arg)
{
	struct tun_args *a = arg;
	int fd = tap_tun_open(a->ifname, a->vnet_hdr, a->persist);

	if (fd < 0)
		return fd;
	if (a->no_ra)
		ignore_ra(a->ifname);
	/* If that fails, pasta_configure() tries again, and tells */
	if (nl_open(a->nl))
		a->nl->fd = -1;
	return fd;
}

/* What could help with a tap device that cannot be made */
static const char *tap_hint(int rc)
{
	switch (rc) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		return ": /dev/net/tun is missing: load the tun module, or "
		       "give the container that device";
	case -EACCES:
		return ": no permission on /dev/net/tun, usual mode is 0666";
	case -EPERM:
		return ": CAP_NET_ADMIN needed in the namespace, or the device "
		       "is not allowed by the container";
	case -EBUSY:
	case -EEXIST:
		return ": an interface of that name is there, see --ns-ifname";
	case -EINVAL:
		return ": not a name for a tap device, see --ns-ifname";
	default:
		return "";
	}
}

int pasta_tap(struct pasta *p, char *ifname, bool *vnet_hdr)
{
	/* A namespace of ours ends with the device in it: no need to wait */
	struct tun_args a = { ifname, vnet_hdr, p->opts->spawn,
			      p->opts->config_net, &p->nl };
	unsigned ms;
	int fd;

	/* A predecessor's may be about to go, see close_later() */
	for (ms = 0;; ms += TAP_BUSY_RETRY_MS) {
		snprintf(ifname, IFNAMSIZ, "%s", p->opts->ifname);
		fd = netns_call(p->netns, open_tun, &a);
		if (fd != -EBUSY || ms >= TAP_BUSY_WAIT_MS)
			break;
		usleep(TAP_BUSY_RETRY_MS * 1000);
	}
	if (fd < 0)
		err("Couldn't create tap device %s in the namespace: %s%s",
		    p->opts->ifname, errstr(fd), tap_hint(fd));
	return fd;
}

/* Both ends of copying, and what to */
struct config {
	struct nl_sock host, ns;
	int ifi;
};

/* Message about a step. Return: @rc */
static int config_error(const char *what, int rc)
{
	err("Couldn't %s in the namespace: %s", what, errstr(rc));
	return rc;
}

/* Link-local address the kernel would make of the MAC address, RFC 4291 2.5.1 */
static union inany_addr eui64(const uint8_t *mac)
{
	union inany_addr a = { .a6.s6_addr = {
				       0xfe,
				       0x80,
				       0,
				       0,
				       0,
				       0,
				       0,
				       0,
				       mac[0] ^ 0x02,
				       mac[1],
				       mac[2],
				       0xff,
				       0xfe,
				       mac[3],
				       mac[4],
				       mac[5],
			       } };

	return a;
}

/* Link up. The link-local address is made here and not by the kernel, for
 * which it would be tentative: others wait for it, or fail to bind it.
 */
static int config_up(struct config *c)
{
	union inany_addr ll;
	struct nl_link link;
	int rc, ours;

	ours = nl_link_set_addrgen(&c->ns, c->ifi, IN6_ADDR_GEN_MODE_NONE);
	rc = nl_link_set_flags(&c->ns, c->ifi, IFF_UP, IFF_UP);
	if (rc)
		return config_error("bring the tap device up", rc);
	if (ours) {
		debug("IPv6 link-local address left to the kernel: %s",
		      errstr(ours));
		return 0;
	}

	rc = nl_link_get(&c->ns, c->ifi, &link);
	if (!rc) {
		ll = eui64(link.mac);
		rc = nl_addr_add(&c->ns, c->ifi, &ll, 64);
	}
	if (rc)
		debug("No IPv6 link-local address: %s", errstr(rc));
	/* For the next time the link goes up */
	nl_link_set_addrgen(&c->ns, c->ifi, IN6_ADDR_GEN_MODE_EUI64);
	return 0;
}

/* Addresses of one family: the template's, unless one was told */
static int config_addr(struct config *c, const struct guest_if *gi,
		       sa_family_t af, int from)
{
	struct nl_copy res = { 0 };
	char text[INANY_STRLEN];
	int rc = 0;

	if (from && !gi->fixed)
		rc = nl_addr_copy(&c->host, from, &c->ns, c->ifi, af, &res);
	if (rc || res.failed)
		warn("Addresses copied to the namespace: %u, not copied: %u: "
		     "%s",
		     res.copied, res.failed, errstr(rc ? rc : res.err));
	/* IPv6 in local mode: the kernel's own link-local address will do */
	if (res.copied || inany_is_unspecified(&gi->addr))
		return 0;

	rc = nl_addr_add(&c->ns, c->ifi, &gi->addr, gi->prefix_len);
	if (rc)
		warn("Couldn't give %s to the namespace: %s%s",
		     inany_ntop(&gi->addr, text), errstr(rc),
		     af == AF_INET6 ? ": is IPv6 off there?" : "");
	return rc;
}

/* Routes that were copied, and which were not and why */
static void tell_routes(struct nl_sock *host, sa_family_t af,
			const struct nl_copy *res)
{
	const int prio = res->failed ? LOG_WARNING : LOG_INFO;
	const unsigned n = res->others + res->failed;
	char text[INANY_STRLEN];
	struct nl_link link;
	unsigned i;

	log_msg(prio, "IPv%c routes: %u copied, %u left out",
		af == AF_INET ? '4' : '6', res->copied, n);
	for (i = 0; i < n && i < NL_LEFT_MAX; i++) {
		const struct nl_left *l = &res->left[i];
		const char *why = l->refused ? errstr(res->err)
				  : !nl_link_get(host, l->ifi, &link)
					  ? link.name
					  : "other interfaces";

		log_msg(prio, "    %s/%u: %s%s", inany_ntop(&l->dst, text),
			l->prefix_len, l->refused ? "" : "through ", why);
	}
	if (i < n)
		log_msg(prio, "    and %u more", n - i);
}

/* Routes of one family, after its addresses: the template's, and a default route
 * if a gateway was told, nothing can be copied, or the host has one elsewhere
 * than in its main table. Never fatal: a namespace with few routes is better than
 * none.
 */
static void config_routes(struct config *c, const struct guest_if *gi,
			  sa_family_t af, int from)
{
	const union inany_addr *gw = inany_is_unspecified(&gi->gw) ? NULL
								   : &gi->gw;
	union inany_addr there;
	struct nl_copy res;
	int rc;

	if (from && !gi->gw_fixed) {
		rc = nl_route_copy(&c->host, from, &c->ns, c->ifi, af, &res);
		if (rc)
			warn("Couldn't list routes: %s", errstr(rc));
		else
			tell_routes(&c->host, af, &res);
		/* The host's own may be in a table that rules lead to */
		rc = nl_route_gateway(&c->host, from, af, &there);
		if (rc < 0 && res.copied && !res.failed)
			return;
		if (!rc)
			gw = NULL;
	}

	if (nl_route_gateway(&c->ns, c->ifi, af, &there) >= 0)
		return;
	rc = nl_route_add(&c->ns, c->ifi, af, NULL, 0, gw);
	if (rc)
		warn("Couldn't set the default route in the namespace: %s",
		     errstr(rc));
}

/* --config-net: all a DHCP client and the kernel would do, without the wait */
static int config_net(struct config *c, const struct pasta_opts *o,
		      const struct guest *guest)
{
	const int from4 = o->no_copy_addrs || o->mask4 ? 0 : (int)o->ifi4;
	const int from6 = o->no_copy_addrs ? 0 : (int)o->ifi6;
	bool usable = false;
	int rc;

	rc = o->mtu ? nl_link_set_mtu(&c->ns, c->ifi, o->mtu) : 0;
	if (rc)
		return config_error("set the MTU", rc);
	rc = config_up(c);
	if (rc)
		return rc;

	if (guest->v4.on && !config_addr(c, &guest->v4, AF_INET, from4)) {
		config_routes(c, &guest->v4, AF_INET,
			      o->no_copy_routes ? 0 : (int)o->ifi4);
		usable = true;
	}
	if (guest->v6.on && !config_addr(c, &guest->v6, AF_INET6, from6)) {
		config_routes(c, &guest->v6, AF_INET6,
			      o->no_copy_routes ? 0 : (int)o->ifi6);
		usable = true;
	}
	if (!usable) {
		err("The namespace could be given no address");
		return -EADDRNOTAVAIL;
	}
	return 0;
}

/* What is done in any case. Fills @c->ifi, 0 without tap */
static int config_links(struct config *c, const struct pasta_opts *o,
			const char *ifname)
{
	static const uint8_t none[sizeof(o->ns_mac)];
	int rc;

	rc = nl_link_index(&c->ns, "lo");
	if (rc >= 0)
		rc = nl_link_set_flags(&c->ns, rc, IFF_UP, IFF_UP);
	if (rc)
		return config_error("bring the loopback interface up", rc);
	if (!*ifname)
		return 0;

	c->ifi = nl_link_index(&c->ns, ifname);
	if (c->ifi < 0)
		return config_error("find the tap device", c->ifi);
	if (memcmp(o->ns_mac, none, sizeof(none))) {
		rc = nl_link_set_mac(&c->ns, c->ifi, o->ns_mac);
		if (rc)
			return config_error("set the MAC address", rc);
	}
	rc = nl_link_set_txqlen(&c->ns, c->ifi, TAP_TXQLEN);
	if (rc)
		debug("Queue of %s stays short: %s", ifname, errstr(rc));
	return 0;
}

int pasta_configure(struct pasta *p, const struct guest *guest,
		    const char *ifname)
{
	struct config c = { .ifi = 0 };
	int rc = 0;

	if (p->nl.fd < 0)
		rc = netns_call(p->netns, open_nl, &p->nl);
	if (rc)
		return config_error("open a netlink socket", rc);
	c.ns = p->nl;
	rc = config_links(&c, p->opts, ifname);
	if (rc || !p->opts->config_net || !c.ifi)
		goto out;

	rc = nl_open(&c.host);
	if (rc) {
		err("Couldn't open a netlink socket: %s", errstr(rc));
		goto out;
	}
	rc = config_net(&c, p->opts, guest);
	nl_close(&c.host);
out:
	nl_close(&c.ns);
	p->nl.fd = -1;
	return rc;
}
