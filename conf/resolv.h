/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nameservers and search list of the host, and what the guest gets of them */
#ifndef CONF_RESOLV_H
#define CONF_RESOLV_H

#include <stdbool.h>
#include <stddef.h>

#include "guest.h"

struct conf;

/**
 * struct resolv - What a resolver configuration says
 * @n4, @n6:	Nameservers of each family
 * @dns4, @dns6: The nameservers, in their order
 * @nsearch:	Search domains
 * @search:	The domains
 */
struct resolv {
	unsigned n4, n6, nsearch;
	union inany_addr dns4[GUEST_DNS_MAX], dns6[GUEST_DNS_MAX];
	char search[GUEST_SEARCH_MAX][DOMAIN_MAX];
};

/**
 * resolv_read() - Read a file such as /etc/resolv.conf, see resolv.conf(5)
 * @r:		Filled as far as there is room; empty if there is no file
 * @path:	File
 *
 * Lines that make no sense are passed over.
 *
 * Return: 0, or -errno
 */
int resolv_read(struct resolv *r, const char *path);

/**
 * domain_copy() - Copy a domain name without the dot that may end it
 * @dst:	Filled, unless it is no domain name
 * @max:	Room with NUL
 * @s:		Text
 * @len:	Bytes of it
 *
 * RFC 1035 2.3.1 and 2.3.4, but underscores are fine.
 *
 * Return: false if it is none, or too long
 */
bool domain_copy(char *dst, size_t max, const char *s, size_t len);

/**
 * conf_dns() - Settle nameservers, search list, translation of queries
 * @c:		Configuration, addresses and translations settled
 * @r:		What the host uses
 */
void conf_dns(struct conf *c, const struct resolv *r);

#endif /* CONF_RESOLV_H */
