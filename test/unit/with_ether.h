/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tests of ether share: protocols that note what they are given */
#ifndef UNIT_ETHER_H
#define UNIT_ETHER_H

#include "test/unit/packet.h"

#define PASS (-1) /* instead of an enum ether_drop */

/* Rows of the L4 table below */
enum row { DHCP, NDP, TCP, UDP, ICMP, ICMP6 };

/* What one input call of a protocol was given */
struct got {
	enum row row;
	struct packet_group g;
	unsigned n;
	struct {
		size_t l4len, l3len;
		uint16_t gso_size;
		bool csum_ok, joined;
		uint32_t tag; /* first bytes behind 8 of L4 header */
		uint32_t sum; /* of all bytes, so that all are touched */
	} p[TAP_RX_MAX];
};

static struct got got[TAP_RX_MAX];
static unsigned ngot;
static unsigned l2_frames;
static size_t l2_len;
static uint8_t l2_smac[6];

static void input(void *ctx, const struct packet_group *g)
{
	struct got *o = &got[ngot++];
	const struct packet *p;

	assert_true(ngot <= TAP_RX_MAX);
	o->row = *(const enum row *)ctx;
	o->g = *g;
	o->n = 0;
	for (p = g->first; p; p = p->next) {
		struct iov_tail t = p->l4;

		assert_true(o->n < TAP_RX_MAX);
		o->p[o->n].l4len = p->l4.len;
		o->p[o->n].l3len = p->l3.len;
		o->p[o->n].gso_size = p->gso_size;
		o->p[o->n].csum_ok = p->csum_ok;
		o->p[o->n].joined = p->joined;
		o->p[o->n].sum = csum_fold(csum_tail(&p->l3, 0));
		iov_tail_drop(&t, 8);
		o->p[o->n].tag = 0;
		iov_tail_copy(&t, &o->p[o->n].tag, 4);
		o->n++;
		assert_true(p->next || p == g->last);
	}
	assert_int_equal(o->n, g->n);
}

static void input_l2(void *ctx, const uint8_t *smac, struct iov_tail payload)
{
	(void)ctx;
	memcpy(l2_smac, smac, 6);
	l2_frames++;
	l2_len = payload.len;
}

static enum row row_of[] = { DHCP, NDP, TCP, UDP, ICMP, ICMP6 };
#define ROW(n) .input = input, .ctx = &row_of[n]

static const struct ether_l4 l4[] = {
	{ "dhcp", .af = AF_INET, .proto = IPPROTO_UDP, .dport = 67,
	  .any_src = true, ROW(DHCP) },
	{ "ndp", .af = AF_INET6, .proto = IPPROTO_ICMPV6, .type_min = 133,
	  .type_max = 137, .any_src = true, ROW(NDP) },
	{ "tcp", .proto = IPPROTO_TCP, ROW(TCP) },
	{ "udp", .proto = IPPROTO_UDP, ROW(UDP) },
	{ "icmp", .af = AF_INET, .proto = IPPROTO_ICMP, ROW(ICMP) },
	{ "icmpv6", .af = AF_INET6, .proto = IPPROTO_ICMPV6, ROW(ICMP6) },
	{ 0 },
};

static const struct ether_l2 l2[] = {
	{ "arp", ETHERTYPE_ARP, input_l2, NULL },
	{ 0 },
};

static struct ether ether;
static struct pkt pkt;

static inline int setup(void **state)
{
	(void)state;
	ether_init(&ether, &guest, l2, l4, true, true);
	resp_setup(&ether);
	ngot = l2_frames = 0;
	pkt_rnd_state = 88172645463325252ULL;
	return 0;
}

static inline uint64_t drops(void)
{
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < ETHER_DROPS; i++)
		n += ether.dropped[i];
	return n;
}

/* One frame: passes, or is dropped for this reason and no other */
static inline void expect(int why, const char *what)
{
	uint64_t before[ETHER_DROPS], all = drops();
	unsigned n = ngot + l2_frames;

	memcpy(before, ether.dropped, sizeof(before));
	tap_mem_inject(&tap, pkt.buf, pkt.len);
	if (why == PASS) {
		if (drops() != all || ngot + l2_frames != n + 1)
			fail_msg("%s: does not pass", what);
	} else if (drops() != all + 1 ||
		   ether.dropped[why] != before[why] + 1 ||
		   ngot + l2_frames != n) {
		fail_msg("%s: not dropped as %d", what, why);
	}
	if (ngot > TAP_RX_MAX - 2)
		ngot = 0;
}

static inline void udp(bool v4)
{
	pkt_ip(&pkt, v4 ? SRC4 : SRC6, v4 ? DST4 : DST6, IPPROTO_UDP);
	pkt_udp(&pkt, 1000, 2000, 32);
}

#endif /* UNIT_ETHER_H */
