/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --trace: a line for each frame, as short as can be read */

#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>

#include "lib/inany.h"
#include "lib/log.h"
#include "tap/backend.h"

/* Enough for Ethernet, IPv6, and the ports behind */
#define TRACE_BYTES 64

/* Bytes of the transport header that are looked at: two ports */
#define PORTS_LEN 4

/* Name of a protocol, NULL if it is none of ours */
static const char *proto_name(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "TCP";
	case IPPROTO_UDP:
		return "UDP";
	case IPPROTO_ICMP:
		return "ICMP";
	case IPPROTO_ICMPV6:
		return "ICMPv6";
	default:
		return NULL;
	}
}

/* Addresses, and ports where @l4 has them; NULL: it is not there */
static void trace_ip(const char *way, size_t len, uint8_t proto,
		     const union inany_addr *src, const union inany_addr *dst,
		     const uint8_t *l4)
{
	char a[INANY_STRLEN], b[INANY_STRLEN];
	const char *name = proto_name(proto);

	inany_ntop(src, a);
	inany_ntop(dst, b);
	if (l4 && (proto == IPPROTO_TCP || proto == IPPROTO_UDP))
		trace("%s: %zu bytes, %s %s port %u -> %s port %u", way, len,
		      name, a, l4[0] << 8 | l4[1], b, l4[2] << 8 | l4[3]);
	else if (name)
		trace("%s: %zu bytes, %s %s -> %s", way, len, name, a, b);
	else
		trace("%s: %zu bytes, IP protocol %u %s -> %s", way, len, proto,
		      a, b);
}

static bool trace_ip4(const char *way, size_t len, const uint8_t *p, size_t n)
{
	union inany_addr src, dst;
	struct iphdr ip;
	size_t hlen;

	if (n < sizeof(ip))
		return false;
	memcpy(&ip, p, sizeof(ip));
	hlen = ip.ihl * 4U;
	src = inany_from_v4((struct in_addr){ ip.saddr });
	dst = inany_from_v4((struct in_addr){ ip.daddr });
	trace_ip(way, len, ip.protocol, &src, &dst,
		 n >= hlen + PORTS_LEN && !(ntohs(ip.frag_off) & IP_OFFMASK)
			 ? p + hlen
			 : NULL);
	return true;
}

static bool trace_ip6(const char *way, size_t len, const uint8_t *p, size_t n)
{
	union inany_addr src, dst;
	struct ip6_hdr ip;

	if (n < sizeof(ip))
		return false;
	memcpy(&ip, p, sizeof(ip));
	src.a6 = ip.ip6_src;
	dst.a6 = ip.ip6_dst;
	trace_ip(way, len, ip.ip6_nxt, &src, &dst,
		 n >= sizeof(ip) + PORTS_LEN ? p + sizeof(ip) : NULL);
	return true;
}

void tap_trace(const char *way, const struct iovec *iov, size_t iovcnt,
	       size_t len)
{
	uint8_t buf[TRACE_BYTES];
	size_t n = 0, part, i;
	unsigned type;

	for (i = 0; i < iovcnt && n < sizeof(buf) && n < len; i++) {
		part = iov[i].iov_len;
		if (part > sizeof(buf) - n)
			part = sizeof(buf) - n;
		if (part > len - n)
			part = len - n;
		memcpy(buf + n, iov[i].iov_base, part);
		n += part;
	}
	if (n < ETH_HLEN) {
		trace("%s: %zu bytes, too short", way, len);
		return;
	}

	type = (unsigned)buf[2 * ETH_ALEN] << 8 | buf[2 * ETH_ALEN + 1];
	n -= ETH_HLEN;
	if ((type == ETHERTYPE_IP && trace_ip4(way, len, buf + ETH_HLEN, n)) ||
	    (type == ETHERTYPE_IPV6 && trace_ip6(way, len, buf + ETH_HLEN, n)))
		return;
	if (type == ETHERTYPE_ARP)
		trace("%s: %zu bytes, ARP", way, len);
	else
		trace("%s: %zu bytes, EtherType 0x%04x", way, len, type);
}
