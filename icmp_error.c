/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ICMP and ICMPv6 errors for the guest, from the error queues of sockets
 *
 * The host's kernel took the ICMP message apart and left type, code and MTU in
 * a struct sock_extended_err, and the payload of the offending datagram beside
 * it. The headers in between are those of the host; what the guest is to find
 * quoted are the headers it has sent itself, so they are built anew from the
 * flow. RFC 792, RFC 1812 4.3.2, RFC 4443.
 */

#include "icmp_error.h"

#include <time.h> /* struct timespec, for linux/errqueue.h */

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <string.h>

#include "frame.h"
#include "lib/csum.h"
#include "tap.h"

#define ICMP_ERR_HDR    8    /* type, code, checksum, rest: RFC 792, RFC 4443 */
#define ICMP4_ERR_MAX   576  /* IP packet at most, RFC 1812 4.3.2.3 */
#define ICMP6_ERR_MAX   1280 /* IP packet at most, RFC 4443 2.4 (c) */
#define ICMP4_PTR_SHIFT 24   /* pointer of a parameter problem, RFC 792 */

/* Room for ICMP header, quoted IP header and quoted bytes */
#define ICMP_ERR_ROOM (ICMP6_ERR_MAX - sizeof(struct ip6_hdr))

/* A row says which ICMP error stands for an errno of our own kernel */
static const struct icmp_local {
	int error;
	uint8_t type4, code4, type6, code6;
} icmp_local[] = {
	{ EMSGSIZE, ICMP_UNREACH, ICMP_UNREACH_NEEDFRAG, ICMP6_PACKET_TOO_BIG,
	  0 },
	{ ENETUNREACH, ICMP_UNREACH, ICMP_UNREACH_NET, ICMP6_DST_UNREACH,
	  ICMP6_DST_UNREACH_NOROUTE },
	{ EHOSTUNREACH, ICMP_UNREACH, ICMP_UNREACH_HOST, ICMP6_DST_UNREACH,
	  ICMP6_DST_UNREACH_ADDR },
	{ ECONNREFUSED, ICMP_UNREACH, ICMP_UNREACH_PORT, ICMP6_DST_UNREACH,
	  ICMP6_DST_UNREACH_NOPORT },
	{ EADDRNOTAVAIL, ICMP_UNREACH, ICMP_UNREACH_NET, ICMP6_DST_UNREACH,
	  ICMP6_DST_UNREACH_NOROUTE },
	{ ETIMEDOUT, ICMP_UNREACH, ICMP_UNREACH_HOST, ICMP6_DST_UNREACH,
	  ICMP6_DST_UNREACH_ADDR },
	{ EACCES, ICMP_UNREACH, ICMP_UNREACH_FILTER_PROHIB, ICMP6_DST_UNREACH,
	  ICMP6_DST_UNREACH_ADMIN },
	{ EPERM, ICMP_UNREACH, ICMP_UNREACH_FILTER_PROHIB, ICMP6_DST_UNREACH,
	  ICMP6_DST_UNREACH_ADMIN },
};

bool icmp_error_of(int error, bool v4, uint8_t *type, uint8_t *code)
{
	size_t i;

	for (i = 0; i < sizeof(icmp_local) / sizeof(icmp_local[0]); i++) {
		const struct icmp_local *row = &icmp_local[i];

		if (row->error != error)
			continue;
		*type = v4 ? row->type4 : row->type6;
		*code = v4 ? row->code4 : row->code6;
		return true;
	}
	return false;
}

/* Quoted IP header and bytes; returns their length */
static size_t icmp_error_quote(uint8_t *p, size_t room,
			       const struct icmp_quote *q)
{
	const struct l3_spec l3 = { .src = q->src,
				    .dst = q->dst,
				    .proto = q->proto };
	size_t total = q->l4len_orig > q->l4len ? q->l4len_orig : q->l4len;
	size_t most = IPV4_MAX_LEN - sizeof(struct iphdr);
	size_t n = q->l4len;
	uint8_t *l4;

	if (total > most)
		total = most;
	l4 = inany_v4(q->src) ? frame_push_ip4(p, &l3, total)
			      : frame_push_ip6(p, &l3, total);
	if (n > room - (size_t)(l4 - p))
		n = room - (size_t)(l4 - p);
	memcpy(l4, q->l4, n);

	return (size_t)(l4 - p) + n;
}

int icmp_error_send(struct tap *tap, const union inany_addr *offender,
		    uint8_t type, uint8_t code, uint32_t rest,
		    const struct icmp_quote *q)
{
	bool v4 = inany_v4(q->src);
	const struct l3_spec l3 = {
		.src = offender,
		.dst = q->src,
		.proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
	};
	size_t room = v4 ? ICMP4_ERR_MAX - sizeof(struct iphdr)
			 : ICMP6_ERR_MAX - sizeof(struct ip6_hdr);
	_Alignas(uint32_t) uint8_t msg[ICMP_ERR_ROOM] = { type, code };
	uint32_t rest_be = htonl(rest);
	size_t len;

	memcpy(msg + offsetof(struct icmp6_hdr, icmp6_dataun), &rest_be,
	       sizeof(rest_be));
	len = ICMP_ERR_HDR +
	      icmp_error_quote(msg + ICMP_ERR_HDR, room - ICMP_ERR_HDR, q);

	/* Type, code and checksum lie alike in both families */
	return tap_send_l4(tap, &l3, msg, len,
			   offsetof(struct icmp6_hdr, icmp6_cksum));
}

/* Second word of the header: what the kernel has put in ee_info, put back */
static uint32_t icmp_error_rest(bool v4, uint8_t type, uint8_t code,
				uint32_t ee_info)
{
	if (!v4) {
		return type == ICMP6_PACKET_TOO_BIG || type == ICMP6_PARAM_PROB
			       ? ee_info
			       : 0;
	}
	if (type == ICMP_UNREACH && code == ICMP_UNREACH_NEEDFRAG)
		return ee_info & UINT16_MAX; /* RFC 1191 4 */
	if (type == ICMP_PARAMPROB)
		return ee_info << ICMP4_PTR_SHIFT;
	return 0;
}

/* Type and code for the guest; false if there are none */
static bool icmp_error_type(bool v4, const struct sock_extended_err *ee,
			    uint8_t *type, uint8_t *code)
{
	if (ee->ee_origin == (v4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6)) {
		*type = ee->ee_type;
		*code = ee->ee_code;
		return true;
	}
	if (ee->ee_origin != SO_EE_ORIGIN_LOCAL)
		return false;

	return icmp_error_of((int)ee->ee_errno, v4, type, code);
}

int icmp_error_from_sock(struct tap *tap, const struct flowside *tap_side,
			 uint8_t proto, const struct sock_extended_err *ee,
			 const union inany_addr *offender, const void *l4_head,
			 size_t l4_headlen, size_t l4_len_orig)
{
	const struct icmp_quote q = {
		.src = &tap_side->eaddr,
		.dst = &tap_side->oaddr,
		.proto = proto,
		.l4 = l4_head,
		.l4len = l4_headlen,
		.l4len_orig = l4_len_orig,
	};
	bool v4 = inany_v4(&tap_side->eaddr);
	uint8_t type, code;

	if (!icmp_error_type(v4, ee, &type, &code))
		return -ENOMSG;

	if (!offender || inany_af(offender) != inany_af(&tap_side->eaddr) ||
	    !inany_is_unicast(offender) || inany_is_loopback(offender))
		offender = &tap_side->oaddr;

	return icmp_error_send(tap, offender, type, code,
			       icmp_error_rest(v4, type, code, ee->ee_info),
			       &q);
}

int icmp_error_udp(struct tap *tap, const struct flowside *tap_side,
		   const struct sock_extended_err *ee,
		   const union inany_addr *offender, const void *payload,
		   size_t len, size_t len_orig)
{
	const struct l3_spec l3 = { .src = &tap_side->eaddr,
				    .dst = &tap_side->oaddr,
				    .proto = IPPROTO_UDP };
	_Alignas(struct udphdr) uint8_t l4[ICMP_ERR_ROOM];
	size_t room = sizeof(l4) - sizeof(struct udphdr);
	struct udphdr *uh = (struct udphdr *)(void *)l4;
	size_t total = len_orig > len ? len_orig : len;
	size_t n = len < room ? len : room;
	uint32_t sum;

	frame_push_udp(l4, &l3, tap_side->eport, tap_side->oport, total);
	memcpy(l4 + sizeof(*uh), payload, n);

	sum = frame_pseudo(&l3, sizeof(*uh) + total);
	uh->check = 0;
	if (len == total) {
		sum = csum_partial(l4, sizeof(*uh), sum);
		uh->check = csum(payload, len, sum);
		if (!uh->check) /* RFC 768: zero means none */
			uh->check = UINT16_MAX;
	}

	return icmp_error_from_sock(tap, tap_side, IPPROTO_UDP, ee, offender,
				    l4, sizeof(*uh) + n, sizeof(*uh) + total);
}
