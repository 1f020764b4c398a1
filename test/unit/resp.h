/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of all responders need: a guest, a tap, packets for them */
#ifndef TEST_RESP_H
#define TEST_RESP_H

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ether.h"
#include "guest.h"
#include "lib/csum.h"
#include "lib/inany.h"
#include "test/fake/tap_mem.h"
#include "test/fuzz/seed.h"

/* Headers before what lies in UDP, in frames of both families */
#define L3_OFF  sizeof(struct ether_header)
#define L4_OFF4 (L3_OFF + sizeof(struct iphdr))
#define L4_OFF6 (L3_OFF + sizeof(struct ip6_hdr))

static struct guest guest;
static struct tap tap;
static struct loop loop;

static const uint8_t guest_mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

static inline union inany_addr addr(const char *text)
{
	union inany_addr a;

	assert_int_equal(inany_pton(text, &a), 0);
	return a;
}

/* The guest of all golden frames */
static inline void resp_guest(struct guest *g)
{
	*g = (struct guest){
		.our_mac = GUEST_OUR_MAC,
		.v4 = { .on = true,
			.addr = addr("192.0.2.15"),
			.prefix_len = 24,
			.seen = addr("192.0.2.15"),
			.gw = addr("192.0.2.1"),
			.our = addr("192.0.2.1") },
		.v6 = { .on = true,
			.addr = addr("2001:db8::15"),
			.prefix_len = 64,
			.seen = addr("2001:db8::15"),
			.gw = addr("fe80::1"),
			.our = addr("fe80::1") },
		.offer = { .mtu = 1500,
			   .ndns4 = 1,
			   .ndns6 = 1,
			   .nsearch = 2,
			   .dns4 = { addr("198.51.100.53") },
			   .dns6 = { addr("2001:db8::53") },
			   .search = { "example.com", "lab.example.com" },
			   .hostname = "guest",
			   .fqdn = "guest.example.com" },
	};
	memcpy(g->mac, guest_mac, sizeof(g->mac));
	g->mac_seen = true;
}

/* A new tap on a new guest; @input: struct ether, NULL if frames do not come
 * in through the tap
 */
static inline void resp_setup(struct ether *ether)
{
	const struct tap_upcalls up = { .input = ether_input, .ctx = ether };

	tap_mem_reset();
	tap_mem.blocked = false;
	resp_guest(&guest);
	tap_init(&tap, &tap_mem_ops, &loop, &guest, &up);
}

/* The one frame that came out is this one, byte for byte */
static inline void resp_expect(const uint8_t *frame, size_t len)
{
	size_t i;

	assert_int_equal(tap_mem.n, 1);
	for (i = 0; i < len && i < tap_mem.len[0]; i++) {
		if (tap_mem.frame[0][i] != frame[i])
			fail_msg("byte %zu: %02x instead of %02x", i,
				 tap_mem.frame[0][i], frame[i]);
	}
	assert_int_equal(tap_mem.len[0], len);
	tap_mem_reset();
}

/* One L4 packet in memory of exactly its length, and the group it makes */
struct resp_packet {
	struct packet_group g;
	struct packet p;
	struct iovec iov[2];
	uint8_t *copy[2];
};

/* @cut: split the packet there into two buffers, 0: not */
static inline void resp_packet(struct resp_packet *rp, uint8_t proto,
			       const char *src, const char *dst, const void *l4,
			       size_t len, size_t cut)
{
	memset(rp, 0, sizeof(*rp));
	rp->copy[0] = malloc(cut ? cut : 1);
	rp->copy[1] = malloc(len - cut ? len - cut : 1);
	memcpy(rp->copy[0], l4, cut);
	memcpy(rp->copy[1], (const uint8_t *)l4 + cut, len - cut);
	rp->iov[0] = (struct iovec){ rp->copy[0], cut };
	rp->iov[1] = (struct iovec){ rp->copy[1], len - cut };
	rp->p.l4 = rp->p.l3 = iov_tail_init(rp->iov, 2, 0);
	rp->p.csum_ok = true;
	rp->g.src = addr(src);
	rp->g.dst = addr(dst);
	rp->g.proto = proto;
	rp->g.ttl = 255;
	memcpy(rp->g.smac, guest_mac, sizeof(rp->g.smac));
	rp->g.n = 1;
	rp->g.first = rp->g.last = &rp->p;
}

static inline void resp_packet_free(struct resp_packet *rp)
{
	free(rp->copy[0]);
	free(rp->copy[1]);
}

/* The packet as an input of the responder's fuzzer, see test/fuzz/fuzz.h */
static inline void resp_seed(uint8_t proto, const char *dst, const uint8_t *l4,
			     size_t len)
{
	const union inany_addr to = addr(dst);
	const size_t head = proto == IPPROTO_UDP ? sizeof(struct udphdr) : 0;
	const uint8_t flags = inany_is_unicast(&to) ? 2 : 0;

	if (len >= head)
		fuzz_seed(!head           ? "ndp"
			  : inany_v4(&to) ? "dhcp"
					  : "dhcpv6",
			  &flags, sizeof(flags), l4 + head, len - head);
}

/* Feed a packet to a responder: @udp: the length in the UDP header follows */
static inline void resp_feed(void (*input)(void *, const struct packet_group *),
			     void *ctx, uint8_t proto, const char *src,
			     const char *dst, const void *l4, size_t len,
			     size_t cut)
{
	struct resp_packet rp;
	uint8_t *copy = malloc(len ? len : 1);

	memcpy(copy, l4, len);
	if (proto == IPPROTO_UDP && len >= sizeof(struct udphdr)) {
		copy[4] = (uint8_t)(len >> 8);
		copy[5] = (uint8_t)len;
	}
	resp_seed(proto, dst, copy, len);
	resp_packet(&rp, proto, src, dst, copy, len, cut);
	input(ctx, &rp.g);
	resp_packet_free(&rp);
	free(copy);
}

/* Every prefix of a packet, cut everywhere, and every byte of it changed: the
 * responder may answer or not, but must not touch a byte beyond
 */
static inline void resp_torture(void (*input)(void *,
					      const struct packet_group *),
				void *ctx, uint8_t proto, const char *src,
				const char *dst, const void *l4, size_t len)
{
	static const uint8_t bad[] = { 0, 1, 4, 0x7f, 0x80, 0xff };
	uint8_t *copy = malloc(len);
	size_t n, i;

	for (n = 0; n <= len; n++) {
		resp_feed(input, ctx, proto, src, dst, l4, n, 0);
		tap_mem_reset();
		resp_feed(input, ctx, proto, src, dst, l4, len, n);
		tap_mem_reset();
	}
	for (n = 0; n < len; n++) {
		for (i = 0; i < sizeof(bad); i++) {
			memcpy(copy, l4, len);
			copy[n] = bad[i];
			resp_feed(input, ctx, proto, src, dst, copy, len, 0);
			tap_mem_reset();
		}
	}
	free(copy);
}

/* L4 packet in the only frame that came out, checksum verified */
static inline const uint8_t *resp_l4(size_t *len)
{
	const uint8_t *f = tap_mem.frame[0];
	bool v4 = f[12] == 0x08;
	size_t off = v4 ? L4_OFF4 : L4_OFF6;
	uint8_t proto = f[v4 ? L3_OFF + 9 : L3_OFF + 6];
	struct in_addr a[2];
	struct in6_addr a6[2];
	uint32_t sum = 0;

	assert_int_equal(tap_mem.n, 1);
	*len = (size_t)(v4 ? f[16] << 8 | f[17] : f[18] << 8 | f[19]);
	*len -= v4 ? sizeof(struct iphdr) : 0;
	assert_true(off + *len <= tap_mem.len[0]);

	memcpy(a, f + L3_OFF + 12, sizeof(a));
	memcpy(a6, f + L3_OFF + 8, sizeof(a6));
	if (v4 && proto != IPPROTO_ICMP)
		sum = csum_pseudo4(a[0], a[1], proto, *len);
	else if (!v4)
		sum = csum_pseudo6(&a6[0], &a6[1], proto, *len);
	assert_int_equal(csum(f + off, *len, sum), 0);
	return f + off;
}

/* Destination of the only frame that came out */
static inline union inany_addr resp_dst(void)
{
	const uint8_t *f = tap_mem.frame[0];
	bool v4 = f[12] == 0x08;
	union inany_addr a;

	assert_int_equal(tap_mem.n, 1);
	inany_from_af(&a, v4 ? AF_INET : AF_INET6, f + L3_OFF + (v4 ? 16 : 24));
	return a;
}

#define assert_addr(a, text)                                          \
	do {                                                          \
		char buf_[INANY_STRLEN];                              \
		union inany_addr got_ = (a);                          \
		assert_string_equal(inany_ntop(&got_, buf_), (text)); \
	} while (0)

#endif /* TEST_RESP_H */
