/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --trace: a line for each frame, as short as can be read
 *
 * What became of it is in the lines behind: a flow begins or ends, a connection
 * changes its state and why, a frame is dropped and why.
 */

#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "lib/inany.h"
#include "lib/log.h"
#include "tap/backend.h"

/* Enough for Ethernet, IPv4 with options or IPv6, and TCP without */
#define TRACE_BYTES 96

/* Bytes of a transport header with ports that are needed for these */
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

/* Transport header, as far as it is there, and the bytes it is the head of */
struct l4 {
	const uint8_t *p;
	size_t n;
	size_t len;
};

/* ", SA 1000+0, acknowledges 2001, window 512": flags by their first letters, where
 * it begins and how many bytes it has; empty if the header is not there
 */
static const char *tcp_text(const struct l4 *l4, char *buf, size_t len)
{
	static const char letter[] = "FSRPAU"; /* TH_FIN on, RFC 9293 3.1 */
	char flags[sizeof(letter)] = "", *f = flags;
	struct tcphdr th;
	unsigned i;

	*buf = '\0';
	if (l4->n < sizeof(th))
		return buf;
	memcpy(&th, l4->p, sizeof(th));
	for (i = 0; letter[i]; i++)
		if (th.th_flags & 1U << i)
			*f++ = letter[i];
	*f = '\0';
	snprintf(buf, len, ", %s %u+%zu, acknowledges %u, window %u", flags,
		 ntohl(th.seq),
		 l4->len < th.doff * 4U ? (size_t)0 : l4->len - th.doff * 4U,
		 ntohl(th.ack_seq), ntohs(th.window));
	return buf;
}

/* Addresses, and ports where they are known */
static void trace_ip(const char *way, size_t len, uint8_t proto,
		     const union inany_addr *src, const union inany_addr *dst,
		     const struct l4 *l4)
{
	char a[INANY_STRLEN], b[INANY_STRLEN], more[96] = "";
	const char *name = proto_name(proto);

	inany_ntop(src, a);
	inany_ntop(dst, b);
	if (proto == IPPROTO_TCP)
		tcp_text(l4, more, sizeof(more));
	if (l4->n >= PORTS_LEN &&
	    (proto == IPPROTO_TCP || proto == IPPROTO_UDP))
		trace("%s: %zu bytes, %s %s port %u -> %s port %u%s", way, len,
		      name, a, l4->p[0] << 8 | l4->p[1], b,
		      l4->p[2] << 8 | l4->p[3], more);
	else if (name)
		trace("%s: %zu bytes, %s %s -> %s", way, len, name, a, b);
	else
		trace("%s: %zu bytes, IP protocol %u %s -> %s", way, len, proto,
		      a, b);
}

static bool trace_ip4(const char *way, size_t len, const uint8_t *p, size_t n)
{
	union inany_addr src, dst;
	struct l4 l4 = { 0 };
	struct iphdr ip;
	size_t hlen;

	if (n < sizeof(ip))
		return false;
	memcpy(&ip, p, sizeof(ip));
	hlen = ip.ihl * 4U;
	src = inany_from_v4((struct in_addr){ ip.saddr });
	dst = inany_from_v4((struct in_addr){ ip.daddr });
	if (n > hlen && !(ntohs(ip.frag_off) & IP_OFFMASK))
		l4 = (struct l4){ p + hlen, n - hlen,
				  ntohs(ip.tot_len) > hlen
					  ? ntohs(ip.tot_len) - hlen
					  : 0 };
	trace_ip(way, len, ip.protocol, &src, &dst, &l4);
	return true;
}

static bool trace_ip6(const char *way, size_t len, const uint8_t *p, size_t n)
{
	union inany_addr src, dst;
	struct l4 l4 = { 0 };
	struct ip6_hdr ip;

	if (n < sizeof(ip))
		return false;
	memcpy(&ip, p, sizeof(ip));
	src.a6 = ip.ip6_src;
	dst.a6 = ip.ip6_dst;
	if (n > sizeof(ip))
		l4 = (struct l4){ p + sizeof(ip), n - sizeof(ip),
				  ntohs(ip.ip6_plen) };
	trace_ip(way, len, ip.ip6_nxt, &src, &dst, &l4);
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
