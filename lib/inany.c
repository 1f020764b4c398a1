/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses of either family: conversion, questions, text */

#include "lib/inany.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define V4_BITS  32 /* of an IPv4 address */
#define V4_SHIFT 96 /* bits before it in a mapped one (RFC 4291 2.5.5.2) */

const union inany_addr inany_any4 = { .v4.one = { 0xff, 0xff } };
const union inany_addr inany_any6;
const union inany_addr inany_loopback4 = {
	.a6.s6_addr = { [10] = 0xff, 0xff, 127, 0, 0, 1 }
};
const union inany_addr inany_loopback6 = { .a6.s6_addr = { [15] = 1 } };

/* Those of the header, for who is built small and calls them */
extern inline const struct in_addr *inany_v4(const union inany_addr *a);
extern inline sa_family_t inany_af(const union inany_addr *a);
extern inline bool inany_equals(const union inany_addr *a,
				const union inany_addr *b);
extern inline bool inany_equals4(const union inany_addr *a,
				 const struct in_addr *b);
extern inline union inany_addr inany_from_v4(struct in_addr a4);
extern inline union inany_addr inany_from_v6(const struct in6_addr *a6);

void inany_from_af(union inany_addr *dst, sa_family_t af, const void *src)
{
	if (af == AF_INET) {
		*dst = inany_any4;
		memcpy(&dst->v4.a4, src, sizeof(dst->v4.a4));
	} else {
		memcpy(&dst->a6, src, sizeof(dst->a6));
	}
}

int inany_from_sockaddr(union inany_addr *addr, in_port_t *port,
			const union sockaddr_any *sa)
{
	if (sa->sa.sa_family == AF_INET) {
		*addr = inany_from_v4(sa->sa4.sin_addr);
		*port = ntohs(sa->sa4.sin_port);
		return 0;
	}

	if (sa->sa.sa_family == AF_INET6) {
		*addr = inany_from_v6(&sa->sa6.sin6_addr);
		*port = ntohs(sa->sa6.sin6_port);
		return 0;
	}

	return -EAFNOSUPPORT;
}

socklen_t sockaddr_from_inany(union sockaddr_any *sa,
			      const union inany_addr *addr, in_port_t port,
			      uint32_t scope)
{
	const struct in_addr *v4 = inany_v4(addr);

	memset(sa, 0, sizeof(*sa));
	if (v4) {
		sa->sa4.sin_family = AF_INET;
		sa->sa4.sin_addr = *v4;
		sa->sa4.sin_port = htons(port);
		return sizeof(sa->sa4);
	}

	sa->sa6.sin6_family = AF_INET6;
	sa->sa6.sin6_addr = addr->a6;
	sa->sa6.sin6_port = htons(port);
	if (inany_is_linklocal6(addr))
		sa->sa6.sin6_scope_id = scope;
	return sizeof(sa->sa6);
}

bool inany_is_unspecified(const union inany_addr *a)
{
	return inany_equals(a, &inany_any4) || inany_equals(a, &inany_any6);
}

bool inany_is_loopback(const union inany_addr *a)
{
	const struct in_addr *v4 = inany_v4(a);

	if (v4)
		return ntohl(v4->s_addr) >> 24 == IN_LOOPBACKNET;
	return inany_equals(a, &inany_loopback6);
}

bool inany_is_multicast(const union inany_addr *a)
{
	const struct in_addr *v4 = inany_v4(a);

	if (v4)
		return IN_MULTICAST(ntohl(v4->s_addr));
	return IN6_IS_ADDR_MULTICAST(&a->a6);
}

bool inany_is_linklocal6(const union inany_addr *a)
{
	return IN6_IS_ADDR_LINKLOCAL(&a->a6);
}

bool inany_is_unicast(const union inany_addr *a)
{
	const struct in_addr *v4 = inany_v4(a);

	if (v4 && v4->s_addr == htonl(INADDR_BROADCAST))
		return false;
	return !inany_is_unspecified(a) && !inany_is_multicast(a);
}

bool inany_prefix_equals(const union inany_addr *a, const union inany_addr *b,
			 unsigned len)
{
	const uint8_t *pa = a->a6.s6_addr, *pb = b->a6.s6_addr;
	unsigned bits;

	if (inany_af(a) != inany_af(b))
		return false;
	if (inany_v4(a))
		len = (len > V4_BITS ? V4_BITS : len) + V4_SHIFT;
	if (len > sizeof(*a) * 8)
		len = sizeof(*a) * 8;

	if (memcmp(pa, pb, len / 8))
		return false;
	bits = len % 8;
	return !bits || !((pa[len / 8] ^ pb[len / 8]) >> (8 - bits));
}

const char *inany_ntop(const union inany_addr *a, char *dst)
{
	const struct in_addr *v4 = inany_v4(a);

	if (v4)
		inet_ntop(AF_INET, v4, dst, INANY_STRLEN);
	else
		inet_ntop(AF_INET6, &a->a6, dst, INANY_STRLEN);
	return dst;
}

int inany_pton(const char *src, union inany_addr *dst)
{
	struct in_addr a4;

	if (inet_pton(AF_INET, src, &a4) == 1) {
		*dst = inany_from_v4(a4);
		return 0;
	}
	return inet_pton(AF_INET6, src, &dst->a6) == 1 ? 0 : -EINVAL;
}
