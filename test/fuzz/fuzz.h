/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzing of responders: a guest, a tap, and packets out of arbitrary bytes
 *
 * The first byte of the input chooses addresses and where the packet is split
 * into two buffers; each buffer is exactly as long as its content, so that the
 * address sanitizer sees every byte read beyond it.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdlib.h>
#include <string.h>

#include "ether.h"
#include "guest.h"
#include "test/fake/tap_mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct guest guest;
static struct tap tap;
static struct loop loop;

#define FUZZ_UNSPECIFIED 1 /* source */
#define FUZZ_UNICAST     2 /* destination, else multicast */
#define FUZZ_SPLIT_SHIFT 2 /* the other bits, in bytes */

static inline union inany_addr fuzz_addr(const char *text)
{
	union inany_addr a;

	if (inany_pton(text, &a))
		abort();
	return a;
}

/* Guest and tap, once */
static inline void fuzz_init(void)
{
	const struct tap_upcalls up = { .ctx = NULL };
	static bool done;

	if (done)
		return;
	done = true;
	guest = (struct guest){
		.our_mac = GUEST_OUR_MAC,
		.v4 = { .on = true,
			.addr = fuzz_addr("192.0.2.15"),
			.prefix_len = 24,
			.seen = fuzz_addr("192.0.2.15"),
			.gw = fuzz_addr("198.51.100.1"),
			.our = fuzz_addr("198.51.100.1") },
		.v6 = { .on = true,
			.addr = fuzz_addr("2001:db8::15"),
			.prefix_len = 64,
			.seen = fuzz_addr("2001:db8::15"),
			.gw = fuzz_addr("fe80::1"),
			.our = fuzz_addr("fe80::1") },
		.offer = { .mtu = 1500,
			   .ndns4 = 1,
			   .ndns6 = 1,
			   .nsearch = 2,
			   .dns4 = { fuzz_addr("198.51.100.53") },
			   .dns6 = { fuzz_addr("2001:db8::53") },
			   .search = { "example.com", "lab.example.com" },
			   .hostname = "guest",
			   .fqdn = "guest.example.com" },
	};
	tap_init(&tap, &tap_mem_ops, &loop, &guest, &up);
}

/**
 * fuzz_l4() - Feed an input to a responder as the L4 packet of a group
 * @input, @ctx: Responder
 * @proto:	IPPROTO_UDP: the input is the payload, a header is put before it
 * @src, @multicast, @unicast: Addresses to choose from
 * @data, @size: Input
 */
static inline void fuzz_l4(void (*input)(void *, const struct packet_group *),
			   void *ctx, uint8_t proto, const char *src,
			   const char *multicast, const char *unicast,
			   const uint8_t *data, size_t size)
{
	size_t head = proto == IPPROTO_UDP ? sizeof(struct udphdr) : 0, len;
	uint8_t flags = size ? data[0] : 0, *part[2];
	size_t split = flags >> FUZZ_SPLIT_SHIFT;
	struct packet p = { .csum_ok = true };
	struct packet_group g = {
		.src = fuzz_addr(src),
		.dst = fuzz_addr(flags & FUZZ_UNICAST ? unicast : multicast),
		.proto = proto,
		.ttl = 255,
		.n = 1,
		.first = &p,
		.last = &p,
	};
	struct iovec iov[2];
	uint8_t l4[4096];

	if (!size || size > sizeof(l4) - head)
		return;
	if (flags & FUZZ_UNSPECIFIED)
		g.src = inany_v4(&g.src) ? inany_any4 : inany_any6;
	len = head + size - 1;
	memset(l4, 0, head);
	memcpy(l4 + head, data + 1, size - 1);
	if (head) {
		struct udphdr uh = { .len = htons((uint16_t)len) };

		memcpy(l4, &uh, sizeof(uh));
	}

	split = split < len ? split : len;
	part[0] = malloc(split + !split);
	part[1] = malloc(len - split + (split == len));
	memcpy(part[0], l4, split);
	memcpy(part[1], l4 + split, len - split);
	iov[0] = (struct iovec){ part[0], split };
	iov[1] = (struct iovec){ part[1], len - split };
	p.l4 = p.l3 = iov_tail_init(iov, 2, 0);
	input(ctx, &g);
	free(part[0]);
	free(part[1]);
	tap_mem_reset();
}

#endif /* FUZZ_H */
