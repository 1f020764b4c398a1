/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One type for IPv4 and IPv6 addresses: IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2) */
#ifndef LIB_INANY_H
#define LIB_INANY_H

#include <asm/byteorder.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

union inany_addr {
	struct in6_addr a6;
	struct {
		uint8_t zero[10];
		uint8_t one[2];
		struct in_addr a4;
	} v4;
	uint32_t u32[4];
};

_Static_assert(sizeof(union inany_addr) == 16, "address is 16 bytes");

/* Any of the socket addresses we use */
union sockaddr_any {
	struct sockaddr sa;
	struct sockaddr_in sa4;
	struct sockaddr_in6 sa6;
};

/* Buffer for inany_ntop() */
#define INANY_STRLEN INET6_ADDRSTRLEN

extern const union inany_addr inany_any4;      /* 0.0.0.0 */
extern const union inany_addr inany_any6;      /* :: */
extern const union inany_addr inany_loopback4; /* 127.0.0.1 */
extern const union inany_addr inany_loopback6; /* ::1 */

/* Inline functions here are not static, for one copy of each to be enough, and so
 * must not refer to static functions (C11 6.7.4 3), as glibc's htonl() is one when
 * it is expanded: hence the constant of the kernel's header
 */

/**
 * inany_v4() - The IPv4 address inside, if it is one
 * @a:		Address
 *
 * Return: pointer into @a, NULL for IPv6
 */
inline const struct in_addr *inany_v4(const union inany_addr *a)
{
	if (a->u32[0] || a->u32[1] || a->u32[2] != __constant_htonl(0xffff))
		return NULL;
	return &a->v4.a4;
}

/**
 * inany_af() - AF_INET or AF_INET6
 * @a:		Address
 */
inline sa_family_t inany_af(const union inany_addr *a)
{
	return inany_v4(a) ? AF_INET : AF_INET6;
}

/**
 * inany_equals() - Are two addresses the same (family included)?
 * @a, @b:	Addresses
 */
inline bool inany_equals(const union inany_addr *a, const union inany_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/**
 * inany_equals4() - Is it this IPv4 address?
 * @a:		Address
 * @b:		IPv4 address
 */
inline bool inany_equals4(const union inany_addr *a, const struct in_addr *b)
{
	const struct in_addr *v4 = inany_v4(a);

	return v4 && v4->s_addr == b->s_addr;
}

/**
 * inany_from_v4() - Wrap an IPv4 address
 * @a4:		Address, network order
 */
inline union inany_addr inany_from_v4(struct in_addr a4)
{
	union inany_addr a = { .v4.one = { 0xff, 0xff } };

	a.v4.a4 = a4;
	return a;
}

/**
 * inany_from_v6() - Wrap an IPv6 address
 * @a6:		Address
 */
inline union inany_addr inany_from_v6(const struct in6_addr *a6)
{
	union inany_addr a = { .a6 = *a6 };

	return a;
}

/**
 * inany_from_af() - Wrap an address as it lies in a header or a message
 * @dst:	Filled
 * @af:		AF_INET or AF_INET6
 * @src:	4 or 16 bytes, any alignment
 */
void inany_from_af(union inany_addr *dst, sa_family_t af, const void *src);

/**
 * inany_from_sockaddr() - Take address and port out of a socket address
 * @addr:	Filled; IPv4-mapped IPv6 comes out as IPv4
 * @port:	Filled, host order
 * @sa:		AF_INET or AF_INET6 socket address
 *
 * Return: 0, -EAFNOSUPPORT for any other family
 */
int inany_from_sockaddr(union inany_addr *addr, in_port_t *port,
			const union sockaddr_any *sa);

/**
 * sockaddr_from_inany() - Build a socket address
 * @sa:		Filled
 * @addr:	Address
 * @port:	Port, host order
 * @scope:	Interface index, used for IPv6 link-local addresses only
 *
 * Return: length for bind(), connect(), sendto()
 */
socklen_t sockaddr_from_inany(union sockaddr_any *sa,
			      const union inany_addr *addr, in_port_t port,
			      uint32_t scope);

/* Questions about an address, the same for both families */
bool inany_is_unspecified(const union inany_addr *a);
bool inany_is_loopback(const union inany_addr *a); /* 127/8, ::1 */
bool inany_is_multicast(const union inany_addr *a);
bool inany_is_linklocal6(const union inany_addr *a); /* fe80::/10 only */
/* Not unspecified, multicast, 255.255.255.255 */
bool inany_is_unicast(const union inany_addr *a);

/**
 * inany_prefix_equals() - Are the first @len bits of two addresses the same?
 * @a, @b:	Addresses
 * @len:	Bits: 0..32 if both are IPv4, 0..128 if both are IPv6
 *
 * Return: false if the families differ
 */
bool inany_prefix_equals(const union inany_addr *a, const union inany_addr *b,
			 unsigned len);

/**
 * inany_ntop() - Text of an address
 * @a:		Address
 * @dst:	At least INANY_STRLEN bytes
 *
 * Return: @dst
 */
const char *inany_ntop(const union inany_addr *a, char *dst);

/**
 * inany_pton() - Address from text; ::ffff:a.b.c.d counts as IPv4
 * @src:	Text without prefix, brackets, scope
 * @dst:	Filled
 *
 * Return: 0, -EINVAL if it is not an address
 */
int inany_pton(const char *src, union inany_addr *dst);

#endif /* LIB_INANY_H */
