/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzing of ether.c and frag.c: batches of frames out of arbitrary bytes
 *
 * The input is a row of frames: struct recipe, then bytes. To get behind the
 * checks of lengths and checksums, headers are made for the bytes that follow,
 * unless the recipe says that these are a frame as they are. Each frame is in
 * two buffers of exactly its length.
 */
#include "frame.h"
#include "lib/csum.h"
#include "test/fuzz/fuzz.h"

#define RAW   1 /* bytes are the whole frame */
#define V6    2
#define FLUSH 4  /* end of a batch */
#define FRAG  8  /* bytes are behind a fragment header, IPv6 */
#define NEXT  16 /* goes on where the frame before ended, as a fragment */
#define LAST  32 /* with NEXT: nothing follows */

#define HDR_MAX (FRAME_HDR_MAX + sizeof(struct ip6_frag))

struct recipe {
	uint8_t flags, split, proto, id;
	uint8_t off[2]; /* fragment offset and flags as in the header */
	uint8_t addr;   /* XORed into the last byte of the source */
	uint8_t len;    /* bytes that follow, times 8 */
};

static volatile uint32_t sink;

/* Where the next fragment with NEXT begins */
static size_t next_off;

/* Every byte is there to be read, and what ether.c promises is true */
static void take(void *ctx, const struct packet_group *g)
{
	const struct packet *p;
	unsigned n = 0;

	(void)ctx;
	if (inany_is_loopback(&g->src) || inany_is_multicast(&g->src) ||
	    inany_is_loopback(&g->dst) || inany_is_unspecified(&g->dst) ||
	    inany_af(&g->src) != inany_af(&g->dst))
		abort();
	for (p = g->first; p; p = p->next, n++) {
		sink += csum_tail(&p->l3, 0) + csum_tail(&p->l4, 0);
		if (p->l4.len > p->l3.len || p->l4.len < 8 ||
		    p->l3.len > 40 + UINT16_MAX || (!p->next && p != g->last))
			abort();
	}
	if (n != g->n)
		abort();
}

static void take_l2(void *ctx, const uint8_t *smac, struct iov_tail payload)
{
	(void)ctx;
	sink += smac[5] + csum_tail(&payload, 0);
}

static const struct ether_l2 l2[] = {
	{ "arp", ETHERTYPE_ARP, take_l2, NULL },
	{ 0 },
};
static const struct ether_l4 l4[] = {
	{ "dhcp", .af = AF_INET, .proto = IPPROTO_UDP, .dport = 67,
	  .any_src = true, .input = take },
	{ "ndp", .af = AF_INET6, .proto = IPPROTO_ICMPV6, .type_min = 133,
	  .type_max = 137, .any_src = true, .input = take },
	{ "tcp", .proto = IPPROTO_TCP, .input = take },
	{ "udp", .proto = IPPROTO_UDP, .input = take },
	{ "icmp", .af = AF_INET, .proto = IPPROTO_ICMP, .input = take },
	{ "icmpv6", .af = AF_INET6, .proto = IPPROTO_ICMPV6, .input = take },
	{ 0 },
};

/* Make a recipe that of the next fragment of the datagram begun before */
static void follow(struct recipe *r, size_t len)
{
	bool v4 = !(r->flags & V6);
	uint16_t off = (uint16_t)(v4 ? next_off >> 3 : next_off & ~(size_t)7);

	if (!(r->flags & LAST))
		off |= v4 ? IP_MF : 1;
	r->off[0] = (uint8_t)(off >> 8);
	r->off[1] = (uint8_t)off;
	r->id = r->addr = 0;
	r->flags |= FRAG;
	if (v4)
		r->proto = IPPROTO_UDP; /* part of the key */
	next_off = r->flags & LAST ? 0 : next_off + len;
}

/* Headers for @len bytes. Return: their length */
static size_t headers(const struct recipe *r, uint8_t *buf, size_t len)
{
	static const uint8_t smac[6] = { 0x52, 0x54 };
	bool v4 = !(r->flags & V6);
	union inany_addr src = v4 ? guest.v4.addr : guest.v6.addr;
	union inany_addr dst = fuzz_addr(v4 ? "203.0.113.1" : "2001:db8:1::1");
	struct l3_spec l3 = {
		.src = &src, .dst = &dst, .ttl = 64, .proto = r->proto
	};
	struct ip6_frag fh = { .ip6f_nxt = r->proto, .ip6f_ident = r->id };
	uint8_t *p = frame_push_eth(buf, guest.our_mac, smac,
				    v4 ? ETHERTYPE_IP : ETHERTYPE_IPV6),
		*ip = p;
	uint16_t sum;

	src.a6.s6_addr[15] ^= r->addr;
	if (v4) {
		p = frame_push_ip4(p, &l3, len);
		ip[5] = r->id;
		memcpy(ip + 6, r->off, sizeof(r->off));
		memset(ip + 10, 0, sizeof(sum));
		sum = csum(ip, sizeof(struct iphdr), 0);
		memcpy(ip + 10, &sum, sizeof(sum));
	} else if (r->flags & FRAG) {
		l3.proto = IPPROTO_FRAGMENT;
		p = frame_push_ip6(p, &l3, sizeof(fh) + len);
		memcpy(&fh.ip6f_offlg, r->off, sizeof(r->off));
		memcpy(p, &fh, sizeof(fh));
		p += sizeof(fh);
	} else {
		p = frame_push_ip6(p, &l3, len);
	}
	return (size_t)(p - buf);
}

/* One frame in two buffers */
static void cook(const struct recipe *r, const uint8_t *data, size_t len,
		 struct iovec *iov, struct tap_rx *rx)
{
	uint8_t buf[HDR_MAX + UINT8_MAX * 8];
	size_t hlen = r->flags & RAW ? 0 : headers(r, buf, len), split;

	memcpy(buf + hlen, data, len);
	len += hlen;
	split = r->split < len ? r->split : len;
	iov[0] = (struct iovec){ malloc(split + !split), split };
	iov[1] = (struct iovec){ malloc(len - split + (split == len)),
				 len - split };
	memcpy(iov[0].iov_base, buf, split);
	memcpy(iov[1].iov_base, buf + split, len - split);
	*rx = (struct tap_rx){
		.iov = iov, .iovcnt = 2, .len = len, .csum_ok = r->split & 1
	};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct iovec iov[TAP_RX_MAX][2];
	static struct tap_rx rx[TAP_RX_MAX];
	static struct ether ether;
	struct recipe r;
	unsigned n = 0, i;

	fuzz_init();
	next_off = 0;
	ether_init(&ether, &guest, l2, l4, true, true);
	while (size > sizeof(r)) {
		size_t len;

		memcpy(&r, data, sizeof(r));
		data += sizeof(r);
		size -= sizeof(r);
		len = r.len * 8u < size ? r.len * 8u : size;
		if (r.flags & NEXT)
			follow(&r, len);
		cook(&r, data, len, iov[n], &rx[n]);
		n++;
		data += len;
		size -= len;
		if (n < TAP_RX_MAX && size > sizeof(r) && !(r.flags & FLUSH))
			continue;
		ether_input(&ether, rx, n);
		for (i = 0; i < n; i++) {
			free(iov[i][0].iov_base);
			free(iov[i][1].iov_base);
		}
		n = 0;
	}
	return 0;
}
