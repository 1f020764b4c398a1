/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reassembly against datagrams that are known beforehand */

#include "frag.h"
#include "test/unit/packet.h"

#define UNIT 8
#define MAX  65535
#define NOW  100000

static uint8_t body[MAX + UNIT]; /* what is cut */

/* A piece of a datagram, and what is to become of it */
struct piece {
	size_t off, len;
	bool last;
	enum frag_verdict v;
};

static int setup(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 31 + i / 251);
	frag_reset();
	pkt_rnd_state = 88172645463325252ULL;
	return 0;
}

/* Key of one of several datagrams */
static struct frag key(bool v4, uint32_t id)
{
	return (struct frag){ .src = addr(v4 ? SRC4 : SRC6),
			      .dst = addr(v4 ? DST4 : DST6),
			      .id = id,
			      .proto = IPPROTO_UDP };
}

/* IP header of a fragment. Return: its length */
static size_t header(const struct frag *f, uint8_t *hdr, uint8_t ttl)
{
	struct l3_spec l3 = { .src = &f->src,
			      .dst = &f->dst,
			      .ttl = ttl,
			      .proto = inany_v4(&f->src) ? f->proto
							 : IPPROTO_FRAGMENT };

	if (inany_v4(&f->src)) {
		frame_push_ip4(hdr, &l3, 100);
		hdr[6] = 0x20; /* MF */
		return sizeof(struct iphdr);
	}
	frame_push_ip6(hdr, &l3, 100);
	return sizeof(struct ip6_hdr);
}

/* Feed bytes of @from, split into two buffers somewhere */
static enum frag_verdict feed_bytes(struct frag f, const uint8_t *from,
				    size_t off, size_t len, bool last,
				    uint64_t now, struct iov_tail *whole)
{
	size_t cut = pkt_rnd((uint32_t)len + 1);
	uint8_t *a = malloc(cut + 1), *b = malloc(len - cut + 1);
	struct iovec iov[2] = { { a, cut }, { b, len - cut } };
	struct iov_tail data;
	enum frag_verdict v;
	uint8_t hdr[60];
	size_t hlen;

	memcpy(a, from, cut);
	memcpy(b, from + cut, len - cut);
	data = iov_tail_init(iov, 2, 0);
	f.off = (uint16_t)off;
	f.more = !last;
	hlen = header(&f, hdr, off ? 1 : 77);
	v = frag_input(&f, hdr, hlen, &data, now, whole);
	free(a);
	free(b);
	return v;
}

static enum frag_verdict feed(struct frag f, size_t off, size_t len, bool last,
			      uint64_t now, struct iov_tail *whole)
{
	return feed_bytes(f, body + off, off, len, last, now, whole);
}

/* The whole has this many bytes behind a proper header, all in one buffer */
static void check_whole(const struct iov_tail *whole, const struct frag *f,
			size_t total)
{
	size_t hlen = inany_v4(&f->src) ? 20 : 40;
	uint8_t *p = malloc(whole->len);

	assert_int_equal(whole->cnt, 1);
	assert_int_equal(whole->len, hlen + total);
	assert_int_equal(iov_tail_copy(whole, p, whole->len), whole->len);
	assert_memory_equal(p + hlen, body, total);
	if (hlen == 20) {
		assert_int_equal(p[0], 0x45);
		assert_int_equal(p[2] << 8 | p[3], whole->len);
		assert_int_equal(p[6] << 8 | p[7], 0);
		assert_int_equal(p[8], 77);
		assert_int_equal(p[9], f->proto);
		assert_int_equal(csum(p, hlen, 0), 0);
		assert_memory_equal(p + 12, &f->src.v4.a4, 4);
		assert_memory_equal(p + 16, &f->dst.v4.a4, 4);
	} else {
		assert_int_equal(p[0] >> 4, 6);
		assert_int_equal(p[4] << 8 | p[5], total);
		assert_int_equal(p[6], f->proto);
		assert_int_equal(p[7], 77);
		assert_memory_equal(p + 8, &f->src, 16);
		assert_memory_equal(p + 24, &f->dst, 16);
	}
	free(p);
}

/* Cut at random. Return: pieces */
static size_t cut(struct piece *piece, size_t max, size_t total)
{
	size_t off = 0, n = 0;

	while (off < total) {
		size_t len = (1 + pkt_rnd(1 + pkt_rnd(300))) * UNIT;

		if (n == max - 1 || off + len >= total)
			len = total - off;
		piece[n] = (struct piece){ .off = off, .len = len };
		off += len;
		piece[n++].last = off == total;
	}
	return n;
}

static void shuffle(struct piece *piece, size_t n)
{
	while (n > 1) {
		size_t j = pkt_rnd((uint32_t)n--);
		struct piece t = piece[n];

		piece[n] = piece[j];
		piece[j] = t;
	}
}

/* Datagrams of any length, cut anywhere, in any order, with copies */
static void test_random(void **state)
{
	struct piece piece[64];
	struct iov_tail whole;
	unsigned round;

	(void)state;
	for (round = 0; round < 3000; round++) {
		bool v4 = round & 1;
		size_t most = round % 7 ? 3000 : MAX - (v4 ? 20 : 0);
		size_t total = round < 4
				       ? MAX - (v4 ? 20 : 0)
				       : UNIT + 1 +
						 pkt_rnd((uint32_t)most - UNIT);
		struct frag f = key(v4, round);
		size_t n = cut(piece, 64, total), i;

		if (round % 3)
			shuffle(piece, n);
		for (i = 0; i < n; i++) {
			const struct piece *p = &piece[i];
			enum frag_verdict v;

			v = feed(f, p->off, p->len, p->last, NOW, &whole);
			assert_int_equal(v, i + 1 < n ? FRAG_KEPT : FRAG_WHOLE);
			p = &piece[pkt_rnd((uint32_t)i + 1)];
			if (i + 1 < n && !pkt_rnd(3)) {
				v = feed(f, p->off, p->len, p->last, NOW,
					 &whole);
				assert_int_equal(v, FRAG_KEPT);
			}
		}
		check_whole(&whole, &f, total);
		frag_release();
	}
	assert_int_equal(frag_stats()->whole, 3000);
	assert_int_equal(frag_stats()->evicted, 0);
	assert_int_equal(frag_stats()->broken, 0);
}

/* As many at a time as there can be, fragment by fragment in turn */
static void test_interleaved(void **state)
{
	struct iov_tail whole;
	unsigned i, j;

	(void)state;
	for (j = 0; j < 3; j++) {
		for (i = 0; i < FRAG_DATAGRAMS; i++) {
			struct frag f = key(i & 1, i / 2);
			size_t off = (2 - j) * 1000;

			assert_int_equal(feed(f, off, j ? 1000 : 100 + i, !j,
					      NOW, &whole),
					 j < 2 ? FRAG_KEPT : FRAG_WHOLE);
			if (j == 2)
				check_whole(&whole, &f, 2100 + i);
		}
	}
	frag_release();
}

/* All of them keep their bytes until they are given back */
static void test_waiting(void **state)
{
	struct iov_tail whole[FRAG_DATAGRAMS], none;
	unsigned n, i;

	(void)state;
	for (n = 0; n < FRAG_DATAGRAMS; n++) {
		assert_int_equal(feed(key(true, n), 0, 800, false, NOW, &none),
				 FRAG_KEPT);
		assert_int_equal(
			feed(key(true, n), 800, 1 + n, true, NOW, &whole[n]),
			FRAG_WHOLE);
		/* crowded long before there is no place for any other */
		assert_int_equal(frag_crowded(), n + 1 >= FRAG_DATAGRAMS / 4);
	}
	for (i = 0; i < n; i++) {
		struct frag f = key(true, i);

		check_whole(&whole[i], &f, 801 + i);
	}
	assert_int_equal(feed(key(true, n), 0, 8, false, NOW, &none), FRAG_BAD);
	frag_release();
	assert_false(frag_crowded());
	assert_int_equal(feed(key(true, n), 0, 8, false, NOW, &none),
			 FRAG_KEPT);
}

static void test_oldest_goes(void **state)
{
	struct iov_tail whole;
	unsigned i;

	(void)state;
	for (i = 0; i < FRAG_DATAGRAMS + 3; i++)
		assert_int_equal(
			feed(key(false, i), 0, 800, false, NOW + i, &whole),
			FRAG_KEPT);
	assert_int_equal(frag_stats()->evicted, 3);
	/* 0 to 2 are gone: this begins them anew, and costs 3 to 5 */
	for (i = 0; i < 3; i++)
		assert_int_equal(
			feed(key(false, i), 800, 1, true, NOW + 100, &whole),
			FRAG_KEPT);
	assert_int_equal(frag_stats()->evicted, 6);
	for (i = 6; i < FRAG_DATAGRAMS + 3; i++)
		assert_int_equal(
			feed(key(false, i), 800, 1, true, NOW + 200, &whole),
			FRAG_WHOLE);
}

static void test_timeout(void **state)
{
	struct frag f = key(true, 1);
	struct iov_tail whole;

	(void)state;
	assert_int_equal(feed(f, 0, 80, false, NOW, &whole), FRAG_KEPT);
	assert_int_equal(feed(f, 80, 8, false, NOW + FRAG_TIMEOUT_MS, &whole),
			 FRAG_KEPT);
	assert_int_equal(feed(f, 88, 1, true, NOW + FRAG_TIMEOUT_MS, &whole),
			 FRAG_WHOLE);
	frag_release();

	assert_int_equal(feed(f, 0, 80, false, NOW, &whole), FRAG_KEPT);
	assert_int_equal(
		feed(f, 80, 1, true, NOW + FRAG_TIMEOUT_MS + 1, &whole),
		FRAG_KEPT);
	assert_int_equal(frag_stats()->late, 1);
	assert_int_equal(frag_stats()->evicted, 0);
}

/* A header of the first fragment only, RFC 791 3.2, RFC 8200 4.5 */
static void test_key(void **state)
{
	struct frag f = key(true, 1), g;
	struct iov_tail whole;
	unsigned i;

	(void)state;
	for (i = 0; i < 8; i++) {
		f = g = key(i < 4, 1);
		switch (i % 4) {
		case 0:
			g.id = 2;
			break;
		case 1:
			g.src = addr(i < 4 ? "192.0.2.16" : "2001:db8::16");
			break;
		case 2:
			g.dst = addr(i < 4 ? "192.0.2.16" : "2001:db8::16");
			break;
		case 3:
			g.proto = IPPROTO_ICMP;
		}
		frag_reset();
		assert_int_equal(feed(f, 0, 80, false, NOW, &whole), FRAG_KEPT);
		assert_int_equal(feed(g, 80, 80, true, NOW, &whole),
				 i < 7 ? FRAG_KEPT : FRAG_WHOLE);
	}
	/* IPv6: the next header is that of the fragment at 0 */
	check_whole(&whole, &f, 160);
	frag_reset();
	assert_int_equal(feed(g, 80, 80, true, NOW, &whole), FRAG_KEPT);
	assert_int_equal(feed(f, 0, 80, false, NOW, &whole), FRAG_WHOLE);
	check_whole(&whole, &f, 160);
}

/* What comes last in a row has the verdict that counts; all before it is kept
 * or what it says
 */
static void test_spoilt(void **state)
{
	static const struct piece rows[][4] = {
		/* overlaps: by a unit in front, behind, inside, around */
		{ { 80, 80, false, 0 }, { 0, 88, false, FRAG_BAD } },
		{ { 0, 80, false, 0 }, { 72, 80, false, FRAG_BAD } },
		{ { 80, 80, false, 0 }, { 72, 96, false, FRAG_BAD } },
		{ { 0, 80, false, 0 }, { 72, 9, true, FRAG_BAD } },
		{ { 0, 80, false, 0 },
		  { 160, 80, false, 0 },
		  { 0, 240, false, FRAG_BAD } },
		/* far apart in the map */
		{ { 504, 16, false, 0 }, { 0, 4096, false, FRAG_BAD } },
		{ { 4096, 16, false, 0 }, { 504, 4096, false, FRAG_BAD } },
		/* two ends */
		{ { 80, 10, true, 0 }, { 80, 12, true, FRAG_BAD } },
		{ { 80, 10, true, 0 }, { 80, 9, true, FRAG_BAD } },
		{ { 80, 10, true, 0 }, { 160, 10, true, FRAG_BAD } },
		/* an end before or behind what is there */
		{ { 160, 80, false, 0 }, { 80, 10, true, FRAG_BAD } },
		{ { 80, 10, true, 0 }, { 160, 80, false, FRAG_BAD } },
		{ { 80, 10, true, 0 }, { 88, 8, false, FRAG_BAD } },
		{ { 80, 8, true, 0 }, { 80, 8, false, FRAG_BAD } },
		/* an end where more was announced */
		{ { 0, 80, false, 0 }, { 72, 8, true, FRAG_BAD } },
	};
	struct iov_tail whole;
	unsigned i, j, v4;

	(void)state;
	for (v4 = 0; v4 < 2; v4++) {
		for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct frag f = key(v4, i);

			frag_reset();
			for (j = 0; j < 4 && rows[i][j].len; j++) {
				const struct piece *p = &rows[i][j];

				if (feed(f, p->off, p->len, p->last, NOW,
					 &whole) != p->v)
					fail_msg("row %u, piece %u", i, j);
			}
			assert_int_equal(frag_stats()->broken, 1);
			/* nothing that comes later mends it, RFC 5722 4 */
			assert_int_equal(feed(f, 0, 80, false, NOW, &whole),
					 FRAG_BAD);
			assert_int_equal(feed(f, 80, 10, true, NOW, &whole),
					 FRAG_BAD);
			/* but its time is over some day */
			assert_int_equal(feed(f, 0, 80, false,
					      NOW + FRAG_TIMEOUT_MS + 1,
					      &whole),
					 FRAG_KEPT);
			assert_int_equal(frag_stats()->late, 0);
		}
	}
}

/* Same place, other bytes: not a copy */
static void test_copy(void **state)
{
	struct frag f = key(true, 1);
	struct iov_tail whole;
	uint8_t other[800];
	unsigned i;

	(void)state;
	memcpy(other, body, sizeof(other));
	assert_int_equal(feed(f, 0, 800, false, NOW, &whole), FRAG_KEPT);
	for (i = 0; i < 3; i++)
		assert_int_equal(feed(f, 0, 800, false, NOW, &whole),
				 FRAG_KEPT);
	assert_int_equal(feed(f, 80, 80, false, NOW, &whole), FRAG_KEPT);
	other[799] ^= 1;
	assert_int_equal(feed_bytes(f, other, 0, 800, false, NOW, &whole),
			 FRAG_BAD);
}

/* Fragments that are none; they do no harm to their datagram */
static void test_bad(void **state)
{
	static const struct piece rows[] = {
		{ 0, 0, false, 0 },    /* empty */
		{ 80, 0, true, 0 },    /* empty at the end */
		{ 160, 79, false, 0 }, /* not a multiple of 8 */
		{ 161, 80, false, 0 }, /* nor is this offset */
		{ 65528, 8, true, 0 }, /* 65536 in all */
		{ 65528, 8, false, 0 }, { 65000, 536, true, 0 },
	};
	struct frag f = key(true, 1);
	struct iov_tail whole;
	unsigned i;

	(void)state;
	assert_int_equal(feed(f, 0, 80, false, NOW, &whole), FRAG_KEPT);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(feed(f, rows[i].off, rows[i].len, rows[i].last,
				      NOW, &whole),
				 FRAG_BAD);
	assert_int_equal(feed(f, 80, 1, true, NOW, &whole), FRAG_WHOLE);
	check_whole(&whole, &f, 81);
}

/* Header and payload together are more than an IPv4 length can say */
static void test_too_long(void **state)
{
	unsigned last;

	(void)state;
	for (last = 0; last < 2; last++) {
		struct frag f = key(true, last);
		struct iov_tail whole;
		size_t end = MAX - 20 + last;

		assert_int_equal(feed(f, 65000, end - 65000, true, NOW, &whole),
				 FRAG_KEPT);
		assert_int_equal(feed(f, 0, 65000, false, NOW, &whole),
				 last ? FRAG_BAD : FRAG_WHOLE);
		frag_release();
	}
	assert_int_equal(frag_stats()->broken, 1);
}

/* IPv4 options come along; their copies in other fragments do not count */
static void test_options(void **state)
{
	uint8_t hdr[60] = { 0x4f, [8] = 64, [9] = IPPROTO_UDP, [20] = 1 }, *p;
	struct iovec iov = { body, 8 };
	struct iov_tail data = iov_tail_init(&iov, 1, 0), whole;
	struct frag f = key(true, 1);

	(void)state;
	memcpy(hdr + 12, &f.src.v4.a4, 4);
	memcpy(hdr + 16, &f.dst.v4.a4, 4);
	assert_int_equal(feed(f, 8, 8, true, NOW, &whole), FRAG_KEPT);
	f.more = true;
	assert_int_equal(frag_input(&f, hdr, 60, &data, NOW, &whole),
			 FRAG_WHOLE);
	assert_int_equal(whole.len, 60 + 16);
	p = whole.iov->iov_base;
	assert_int_equal(csum(p, 60, 0), 0);
	assert_int_equal(p[3], 76);
	assert_int_equal(p[20], 1);
	assert_memory_equal(p + 60, body, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_random, setup),
		cmocka_unit_test_setup(test_interleaved, setup),
		cmocka_unit_test_setup(test_waiting, setup),
		cmocka_unit_test_setup(test_oldest_goes, setup),
		cmocka_unit_test_setup(test_timeout, setup),
		cmocka_unit_test_setup(test_key, setup),
		cmocka_unit_test_setup(test_spoilt, setup),
		cmocka_unit_test_setup(test_copy, setup),
		cmocka_unit_test_setup(test_bad, setup),
		cmocka_unit_test_setup(test_too_long, setup),
		cmocka_unit_test_setup(test_options, setup),
	};

	return cmocka_run_group_tests_name("frag", tests, NULL, NULL);
}
