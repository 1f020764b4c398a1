/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames of both families, as a guest would build them, for tests */
#ifndef TEST_PACKET_H
#define TEST_PACKET_H

#include "frame.h"
#include "test/unit/resp.h"

/* Larger than any frame: bad ones are as well */
#define PKT_MAX 70000

#define SRC4 "192.0.2.15"
#define DST4 "198.51.100.1"
#define SRC6 "2001:db8::15"
#define DST6 "2001:db8:1::1"

static const uint8_t pkt_our_mac[6] = GUEST_OUR_MAC;

/* A frame under construction: bytes are appended */
struct pkt {
	size_t len;
	uint8_t buf[PKT_MAX];
};

static inline void pkt_put(struct pkt *p, const void *data, size_t len)
{
	assert_true(p->len + len <= sizeof(p->buf));
	memcpy(p->buf + p->len, data, len);
	p->len += len;
}

static inline void pkt_put16(struct pkt *p, uint16_t v)
{
	uint8_t b[] = { (uint8_t)(v >> 8), (uint8_t)v };

	pkt_put(p, b, sizeof(b));
}

/* @n bytes that tell where they stand */
static inline void pkt_fill(struct pkt *p, size_t n)
{
	size_t i;

	assert_true(p->len + n <= sizeof(p->buf));
	for (i = 0; i < n; i++)
		p->buf[p->len + i] = (uint8_t)(i * 7 + (i >> 8));
	p->len += n;
}

/* IPv4 header checksum after a change; the header begins at L3_OFF */
static inline void pkt_sum4(struct pkt *p)
{
	size_t hlen = (size_t)(p->buf[L3_OFF] & 15) * 4;
	uint16_t c;

	memset(p->buf + L3_OFF + 10, 0, 2);
	c = csum(p->buf + L3_OFF, hlen, 0);
	memcpy(p->buf + L3_OFF + 10, &c, 2);
}

/* Set the length field of the IP header to what the frame has now */
static inline void pkt_end(struct pkt *p)
{
	bool v4 = p->buf[L3_OFF] >> 4 == 4;
	size_t len = p->len - (v4 ? L3_OFF : L4_OFF6);
	uint8_t *field = p->buf + L3_OFF + (v4 ? 2 : 4);

	field[0] = (uint8_t)(len >> 8);
	field[1] = (uint8_t)len;
	if (v4)
		pkt_sum4(p);
}

/* Ethernet and IP headers; the family is that of the addresses */
static inline void pkt_ip(struct pkt *p, const char *src, const char *dst,
			  uint8_t proto)
{
	union inany_addr s = addr(src), d = addr(dst);
	struct l3_spec l3 = { .src = &s, .dst = &d, .proto = proto, .ttl = 64 };
	bool v4 = inany_v4(&s);
	uint8_t *q = p->buf;

	q = frame_push_eth(q, pkt_our_mac, guest_mac,
			   v4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
	q = v4 ? frame_push_ip4(q, &l3, 0) : frame_push_ip6(q, &l3, 0);
	p->len = (size_t)(q - p->buf);
}

/* UDP header with the right length and checksum zero, and payload */
static inline void pkt_udp(struct pkt *p, uint16_t sport, uint16_t dport,
			   size_t n)
{
	pkt_put16(p, sport);
	pkt_put16(p, dport);
	pkt_put16(p, (uint16_t)(8 + n));
	pkt_put16(p, 0);
	pkt_fill(p, n);
	pkt_end(p);
}

/* TCP header without options, and payload */
static inline void pkt_tcp(struct pkt *p, uint16_t sport, uint16_t dport,
			   size_t n)
{
	static const uint8_t rest[16] = { [8] = 0x50, [9] = 0x10 };

	pkt_put16(p, sport);
	pkt_put16(p, dport);
	pkt_put(p, rest, sizeof(rest));
	pkt_fill(p, n);
	pkt_end(p);
}

/* ICMP of either family: type, identifier, payload */
static inline void pkt_icmp(struct pkt *p, uint8_t type, uint16_t id, size_t n)
{
	const uint8_t head[4] = { type };

	pkt_put(p, head, sizeof(head));
	pkt_put16(p, id);
	pkt_put16(p, 1);
	pkt_fill(p, n);
	pkt_end(p);
}

/* Numbers that are the same in every run */
static uint64_t pkt_rnd_state = 1;

static inline uint32_t pkt_rnd(uint32_t below)
{
	pkt_rnd_state ^= pkt_rnd_state << 13;
	pkt_rnd_state ^= pkt_rnd_state >> 7;
	pkt_rnd_state ^= pkt_rnd_state << 17;
	return (uint32_t)(pkt_rnd_state >> 16) % below;
}

#endif /* TEST_PACKET_H */
