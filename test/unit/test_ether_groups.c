/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In which groups frames are handed over, and what fragments become */

#include "test/unit/with_ether.h"

/* A batch of frames for ether_input() */
static struct pkt frames[TAP_RX_MAX];
static struct iovec iovs[TAP_RX_MAX];
static struct tap_rx rxs[TAP_RX_MAX];

static void batch(unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		iovs[i] = (struct iovec){ frames[i].buf, frames[i].len };
		rxs[i].iov = &iovs[i];
		rxs[i].iovcnt = 1;
		rxs[i].len = frames[i].len;
	}
	ngot = 0;
	ether_input(&ether, rxs, n);
}

/* One of 48 kinds of frames that are no group together, with a tag */
static void kind(struct pkt *p, unsigned k, uint32_t tag)
{
	bool v4 = k & 1;
	const char *src = v4 ? (k & 2 ? SRC4 : "192.0.2.16")
			     : (k & 2 ? SRC6 : "2001:db8::16");
	const char *dst = v4 ? (k & 4 ? DST4 : "192.0.2.16")
			     : (k & 4 ? DST6 : "2001:db8::16");
	unsigned proto = k / 16;

	pkt_ip(p, src, dst,
	       proto == 0   ? IPPROTO_UDP
	       : proto == 1 ? IPPROTO_TCP
	       : v4         ? IPPROTO_ICMP
			    : IPPROTO_ICMPV6);
	if (proto == 0)
		pkt_udp(p, 1 + (k >> 3 & 1), 2, 16);
	else if (proto == 1)
		pkt_tcp(p, 1, 2 + (k >> 3 & 1), 16);
	else
		pkt_icmp(p, 128 + (k >> 3 & 1), 5, 16);
	memcpy(p->buf + (v4 ? L4_OFF4 : L4_OFF6) + 8, &tag, 4);
}

/* Groups in the order of their first packets, packets in the order they came */
static void test_groups(void **state)
{
	unsigned round, i, j;
	uint32_t tag = 1;

	(void)state;
	for (round = 0; round < 300; round++) {
		unsigned kinds[TAP_RX_MAX], order[48], norder = 0;
		unsigned n = 1 + pkt_rnd(TAP_RX_MAX), few = 1 + pkt_rnd(48);
		unsigned seen[48] = { 0 };

		for (i = 0; i < n; i++) {
			kinds[i] = pkt_rnd(few);
			rxs[i].gso_size = (uint16_t)i;
			rxs[i].csum_ok = i % 3;
			kind(&frames[i], kinds[i], tag + i);
			for (j = 0; j < norder && order[j] != kinds[i]; j++)
				;
			if (j == norder)
				order[norder++] = kinds[i];
		}
		batch(n);
		assert_int_equal(ngot, norder);
		for (i = 0; i < n; i++) {
			const struct got *g;
			unsigned at;

			for (j = 0; order[j] != kinds[i]; j++)
				;
			g = &got[j];
			at = seen[kinds[i]]++;
			assert_true(at < g->n);
			assert_int_equal(g->p[at].tag, tag + i);
			assert_int_equal(g->p[at].gso_size, i);
			assert_int_equal(g->p[at].csum_ok, i % 3 != 0);
		}
		for (j = 0; j < norder; j++)
			assert_int_equal(got[j].n, seen[order[j]]);
		tag += n;
	}
	assert_int_equal(drops(), 0);
	memset(rxs, 0, sizeof(rxs));
}

/* All in groups of their own: the table of groups is large enough */
static void test_most_groups(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < TAP_RX_MAX; i++) {
		pkt_ip(&frames[i], SRC4, DST4, IPPROTO_UDP);
		pkt_udp(&frames[i], (uint16_t)(i + 1), 2, 0);
	}
	batch(TAP_RX_MAX);
	assert_int_equal(ngot, TAP_RX_MAX);
	for (i = 0; i < TAP_RX_MAX; i++)
		assert_int_equal(got[i].g.sport, i + 1);
}

/* TTL and TOS tell groups apart, but those of TCP must stay in order */
static void test_ttl_tos(void **state)
{
	unsigned i, j;

	(void)state;
	for (i = 0; i < 4; i++) {
		unsigned tcp = i & 1, v4 = i >> 1;

		for (j = 0; j < 4; j++) {
			struct pkt *p = &frames[j];

			kind(p, tcp * 16 + v4, j);
			p->buf[L3_OFF + (v4 ? 8 : 7)] = j & 1 ? 64 : 1;
			if (j & 2)
				p->buf[L3_OFF + 1] = v4 ? 3 : 0x30; /* CE */
			if (v4)
				pkt_sum4(p);
		}
		batch(4);
		assert_int_equal(ngot, tcp ? 1 : 4);
		for (j = 0; j < 4; j++) {
			const struct packet_group *g = &got[tcp ? 0 : j].g;

			assert_int_equal(got[tcp ? 0 : j].p[tcp ? j : 0].tag,
					 j);
			assert_int_equal(g->ttl, tcp ? 0 : j & 1 ? 64 : 1);
			assert_int_equal(g->tos, tcp ? 0 : j & 2 ? 3 : 0);
		}
	}
}

/* More frames than a batch can have are not looked at */
static void test_too_many(void **state)
{
	struct tap_rx many[TAP_RX_MAX + 8];
	struct iovec iov;
	unsigned i;

	(void)state;
	udp(true);
	iov = (struct iovec){ pkt.buf, pkt.len };
	for (i = 0; i < TAP_RX_MAX + 8; i++)
		many[i] = (struct tap_rx){ .iov = &iov,
					   .iovcnt = 1,
					   .len = pkt.len };
	ether_input(&ether, many, TAP_RX_MAX + 8);
	assert_int_equal(ngot, 1);
	assert_int_equal(got[0].n, TAP_RX_MAX);
	/* less than said */
	many[0].len++;
	ngot = 0;
	ether_input(&ether, many, 1);
	assert_int_equal(ngot, 0);
	assert_int_equal(ether.dropped[ETHER_SHORT], 1);
}

/* Bytes @off to @off + @len of a datagram of the guest as a fragment. @pre:
 * extension headers before the fragment header
 */
static void fragment(struct pkt *p, bool v4, const uint8_t *dgram, size_t off,
		     size_t len, bool more, uint8_t id, unsigned pre)
{
	uint8_t fh[8] = { IPPROTO_UDP,
			  0,
			  (uint8_t)(off >> 8),
			  (uint8_t)(off | more),
			  0,
			  0,
			  0,
			  id };
	uint8_t ext[8] = { IPPROTO_FRAGMENT };

	if (v4) {
		pkt_ip(p, SRC4, DST4, IPPROTO_UDP);
		p->buf[L3_OFF + 5] = id;
		p->buf[L3_OFF + 6] = (uint8_t)(off >> 11 | (more ? 0x20 : 0));
		p->buf[L3_OFF + 7] = (uint8_t)(off >> 3);
	} else {
		pkt_ip(p, SRC6, DST6, pre ? IPPROTO_DSTOPTS : IPPROTO_FRAGMENT);
		for (; pre; pre--) {
			ext[0] = pre > 1 ? IPPROTO_DSTOPTS : IPPROTO_FRAGMENT;
			pkt_put(p, ext, sizeof(ext));
		}
		pkt_put(p, fh, sizeof(fh));
	}
	pkt_put(p, dgram + off, len);
	pkt_end(p);
}

/* UDP datagram as bytes from its header on */
static size_t datagram(uint8_t *d, uint16_t sport, size_t n)
{
	size_t len = 8 + n;

	pkt_ip(&pkt, SRC4, DST4, IPPROTO_UDP);
	pkt_udp(&pkt, sport, 2000, n);
	memcpy(d, pkt.buf + L4_OFF4, len);
	return len;
}

static void test_fragments(void **state)
{
	static uint8_t d[8 + 4000];
	unsigned i, j;

	(void)state;
	for (i = 0; i < 4; i++) {
		size_t len = datagram(d, 1000, 4000), off;
		bool v4 = i & 1;

		/* last one first, then all others, all in one batch */
		for (j = 0; j < 3; j++) {
			off = j ? (j - 1) * 1400 : 2800;
			fragment(&frames[j], v4, d, off, j ? 1400 : len - 2800,
				 j, 7, i >> 1);
			rxs[j].csum_ok = true;
			rxs[j].gso_size = 500;
		}
		batch(2);
		assert_int_equal(ngot, 0);
		batch(3); /* once more: copies */
		assert_int_equal(ngot, 1);
		assert_int_equal(got[0].row, UDP);
		assert_int_equal(got[0].n, 1);
		assert_int_equal(got[0].g.sport, 1000);
		assert_int_equal(got[0].g.ttl, 64);
		assert_int_equal(got[0].p[0].l4len, len);
		assert_int_equal(got[0].p[0].l3len, len + (v4 ? 20 : 40));
		assert_true(got[0].p[0].joined);
		assert_false(got[0].p[0].csum_ok);
		assert_int_equal(got[0].p[0].gso_size, 0);
	}
	assert_int_equal(drops(), 0);
	memset(rxs, 0, sizeof(rxs));
}

/* A batch of nothing but halves: many more whole ones than buffers */
static void test_fragments_batch(void **state)
{
	static uint8_t d[8 + 800];
	unsigned i, n = 0, k;

	(void)state;
	for (i = 0; i < TAP_RX_MAX; i += 2) {
		size_t len = datagram(d, (uint16_t)(i / 8), 800);

		d[8] = (uint8_t)i;
		d[9] = d[10] = d[11] = 0;
		fragment(&frames[i], i & 2, d, 0, 400, true, (uint8_t)i, 0);
		fragment(&frames[i + 1], i & 2, d, 400, len - 400, false,
			 (uint8_t)i, 0);
	}
	batch(TAP_RX_MAX);
	for (i = 0; i < ngot; i++) {
		for (k = 0; k < got[i].n; k++, n++) {
			assert_int_equal(got[i].p[k].l4len, 808);
			/* in order within each flow, all there */
			assert_int_equal(got[i].p[k].tag / 8, got[i].g.sport);
		}
	}
	assert_int_equal(n, TAP_RX_MAX / 2);
	assert_int_equal(drops(), 0);
}

/* What is put together is judged like any other packet */
static void test_fragments_bad(void **state)
{
	static uint8_t d[128];
	unsigned i;

	(void)state;
	datagram(d, 1000, 100);
	/* overlap */
	for (i = 0; i < 2; i++) {
		fragment(&pkt, i, d, 0, 16, true, 1, 0);
		tap_mem_inject(&tap, pkt.buf, pkt.len);
		assert_int_equal(drops(), i);
		fragment(&pkt, i, d, 8, 16, true, 1, 0);
		expect(ETHER_FRAGMENT, "overlap");
	}
	/* not a multiple of 8 */
	fragment(&pkt, true, d, 0, 15, true, 2, 0);
	expect(ETHER_FRAGMENT, "odd");
	fragment(&pkt, false, d, 0, 15, true, 2, 0);
	expect(ETHER_FRAGMENT, "odd");

	/* from loopback; to nobody who takes it */
	fragment(&pkt, true, d, 8, 8, false, 3, 0);
	pkt.buf[L3_OFF + 12] = 127;
	pkt_sum4(&pkt);
	tap_mem_inject(&tap, pkt.buf, pkt.len);
	fragment(&pkt, true, d, 0, 8, true, 3, 0);
	pkt.buf[L3_OFF + 12] = 127;
	pkt_sum4(&pkt);
	expect(ETHER_BAD_SRC, "loopback");
	fragment(&pkt, false, d, 8, 8, false, 3, 0);
	tap_mem_inject(&tap, pkt.buf, pkt.len);
	fragment(&pkt, false, d, 0, 8, true, 3, 0);
	pkt.buf[L4_OFF6] = IPPROTO_SCTP;
	expect(ETHER_PROTO, "SCTP");
	/* less than a UDP header */
	fragment(&pkt, false, d, 8, 1, false, 4, 0);
	tap_mem_inject(&tap, pkt.buf, pkt.len);
	fragment(&pkt, false, d, 0, 8, true, 4, 0);
	pkt.buf[L4_OFF6] = IPPROTO_DSTOPTS;
	d[0] = 0;
	expect(ETHER_EXT_HDR, "header in pieces");
	assert_int_equal(ngot, 0);
}

/* A fragment header within what was put together */
static void test_nested(void **state)
{
	uint8_t d[32] = { IPPROTO_UDP, 0, 0, 1, 0, 0, 0, 9 };
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		d[3] = i ? 0 : 1; /* an atomic one is no harm */
		fragment(&pkt, false, d, 0, 16, true, 1, 0);
		pkt.buf[L4_OFF6] = IPPROTO_FRAGMENT;
		tap_mem_inject(&tap, pkt.buf, pkt.len);
		fragment(&pkt, false, d, 16, 16, false, 1, 0);
		pkt.buf[L4_OFF6] = IPPROTO_FRAGMENT;
		expect(i ? PASS : ETHER_FRAGMENT, "nested");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_groups, setup),
		cmocka_unit_test_setup(test_most_groups, setup),
		cmocka_unit_test_setup(test_ttl_tos, setup),
		cmocka_unit_test_setup(test_too_many, setup),
		cmocka_unit_test_setup(test_fragments, setup),
		cmocka_unit_test_setup(test_fragments_batch, setup),
		cmocka_unit_test_setup(test_fragments_bad, setup),
		cmocka_unit_test_setup(test_nested, setup),
	};

	return cmocka_run_group_tests_name("ether groups", tests, NULL, NULL);
}
