/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who the guest is: what we assigned to it, what we observed of it */
#ifndef GUEST_H
#define GUEST_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/inany.h"

#define GUEST_DNS_MAX    3   /* nameservers of each family */
#define GUEST_SEARCH_MAX 6   /* search domains */
#define DOMAIN_MAX       256 /* text of a domain name with NUL, RFC 1035 2.3.4 */
#define HOSTNAME_MAX     64  /* with NUL, sethostname(2) */

/**
 * struct guest_if - Addresses of one family
 * @on:		Family in use on the tap
 * @addr:	Assigned
 * @prefix_len:	Its prefix, bits; always 64 for IPv6
 * @seen:	Last observed global address, begins as @addr
 * @ll_seen:	Last observed link-local address (IPv6), unspecified if none
 * @gw:		The guest's default gateway, unspecified if none
 * @our:	Address we speak from: @gw for IPv4, ours link-local for IPv6
 * @fixed:	--address was given: @seen stays as it is; for IPv6, as soon as
 *		the guest has used @addr
 * @kept:	IPv6, @fixed: that is so
 * @gw_fixed:	--gateway was given: routes are not the host's
 */
struct guest_if {
	bool on;
	union inany_addr addr;
	uint8_t prefix_len;
	union inany_addr seen;
	union inany_addr ll_seen;
	union inany_addr gw;
	union inany_addr our;
	bool fixed;
	bool kept;
	bool gw_fixed;
};

/* What DHCP, DHCPv6 and NDP tell the guest beside its addresses */
struct guest_offer {
	unsigned mtu; /* 0: nothing */
	unsigned ndns4, ndns6, nsearch;
	union inany_addr dns4[GUEST_DNS_MAX];
	union inany_addr dns6[GUEST_DNS_MAX];
	char search[GUEST_SEARCH_MAX][DOMAIN_MAX];
	char hostname[HOSTNAME_MAX]; /* empty: nothing */
	char fqdn[DOMAIN_MAX];       /* empty: nothing */
};

/**
 * struct guest - Identity of the guest; only guest.c writes after set-up
 * @our_mac:	Our MAC address on the tap (--mac-addr)
 * @mac:	The guest's; broadcast until observed
 * @v4, @v6:	Addresses
 * @offer:	What it is told
 */
struct guest {
	uint8_t our_mac[6];
	uint8_t mac[6];
	bool mac_seen;
	struct guest_if v4, v6;
	struct guest_offer offer;
};

/* Default of --mac-addr */
#define GUEST_OUR_MAC                              \
	{                                          \
		0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 \
	}

/**
 * guest_observe() - A frame came from the guest
 * @g:		Guest
 * @mac:	Its source MAC
 * @src:	Its source address, NULL if it is not IP; unspecified is passed over
 */
void guest_observe(struct guest *g, const uint8_t *mac,
		   const union inany_addr *src);

/**
 * guest_forget() - The link is down: forget what was observed
 * @g:		Guest
 */
void guest_forget(struct guest *g);

/**
 * guest_if_of() - The family of an address
 * @g:		Guest
 * @a:		Address
 */
static inline const struct guest_if *guest_if_of(const struct guest *g,
						 const union inany_addr *a)
{
	return inany_v4(a) ? &g->v4 : &g->v6;
}

#endif /* GUEST_H */
