/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Outgoing frames: pushers of headers, completion of checksums */
#include <arpa/inet.h>
#include <string.h>

#include "frame.h"
#include "lib/csum.h"
#include "lib/iov.h"

void *frame_push_eth(void *p, const uint8_t *dst, const uint8_t *src,
		     uint16_t type)
{
	struct ether_header *eh = p;
	uint16_t be = htons(type);

	memcpy(eh->ether_dhost, dst, ETH_ALEN);
	memcpy(eh->ether_shost, src, ETH_ALEN);
	memcpy(&eh->ether_type, &be, sizeof(be));
	return (uint8_t *)p + sizeof(*eh);
}

void *frame_push_ip4(void *p, const struct l3_spec *l3, size_t l4len)
{
	struct iphdr ih = { .version = 4,
			    .ihl = sizeof(ih) / 4,
			    .tos = l3->tos,
			    .tot_len = htons((uint16_t)(sizeof(ih) + l4len)),
			    .frag_off = htons(IP_DF),
			    .ttl = l3->ttl ? l3->ttl : TTL_DEFAULT,
			    .protocol = l3->proto,
			    .saddr = l3->src->v4.a4.s_addr,
			    .daddr = l3->dst->v4.a4.s_addr };

	ih.check = csum(&ih, sizeof(ih), 0);
	memcpy(p, &ih, sizeof(ih));
	return (uint8_t *)p + sizeof(ih);
}

void *frame_push_ip6(void *p, const struct l3_spec *l3, size_t l4len)
{
	uint32_t flow = 6U << 28 | (uint32_t)l3->tos << 20 |
			(l3->flow_label & 0xfffff);
	struct ip6_hdr ih = { .ip6_src = l3->src->a6, .ip6_dst = l3->dst->a6 };

	ih.ip6_flow = htonl(flow);
	ih.ip6_plen = htons((uint16_t)l4len);
	ih.ip6_nxt = l3->proto;
	ih.ip6_hlim = l3->ttl ? l3->ttl : TTL_DEFAULT;
	memcpy(p, &ih, sizeof(ih));
	return (uint8_t *)p + sizeof(ih);
}

uint16_t frame_pseudo(const struct l3_spec *l3, size_t l4len)
{
	if (inany_v4(l3->src))
		return csum_fold(csum_pseudo4(l3->src->v4.a4, l3->dst->v4.a4,
					      l3->proto, l4len));
	return csum_fold(
		csum_pseudo6(&l3->src->a6, &l3->dst->a6, l3->proto, l4len));
}

void *frame_push_udp(void *p, const struct l3_spec *l3, in_port_t sport,
		     in_port_t dport, size_t paylen)
{
	size_t l4len = sizeof(struct udphdr) + paylen;
	struct udphdr uh = { .source = htons(sport),
			     .dest = htons(dport),
			     .len = htons((uint16_t)l4len),
			     .check = frame_pseudo(l3, l4len) };

	memcpy(p, &uh, sizeof(uh));
	return (uint8_t *)p + sizeof(uh);
}

void frame_finish_csum(struct frame *f)
{
	struct iov_tail payload = iov_tail_init(f->iov, f->iovcnt, 0);
	uint8_t *field = f->hdr + f->csum_start + f->csum_off;
	uint32_t sum;
	uint16_t c;

	if (!f->csum_start)
		return;
	if (f->len > f->hdrlen)
		iov_tail_trim(&payload, f->len - f->hdrlen);
	else
		payload.len = 0;
	/* The field itself holds the pseudo-header sum: it is added with the
	 * L4 header (RFC 1071 2 (1))
	 */
	sum = csum_partial(f->hdr + f->csum_start, f->hdrlen - f->csum_start,
			   0);
	c = (uint16_t)~csum_fold(csum_tail(&payload, csum_fold(sum)));
	if (!c && f->csum_off == offsetof(struct udphdr, check))
		c = 0xffff;
	memcpy(field, &c, sizeof(c));
	f->csum_start = 0;
}
