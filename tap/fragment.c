/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets towards the guest that are larger than its MTU: in fragments
 *
 * What a socket receives may be larger than what the guest's link carries, and
 * nobody is there to be told so: the datagram has travelled already. So it goes
 * on as its own sender would have sent it over a smaller link: cut at multiples of
 * eight bytes, each piece with the same identification (RFC 791 3.2, RFC 8200
 * 4.5).
 */
#include <errno.h>
#include <string.h>

#include "guest.h"
#include "lib/csum.h"
#include "lib/iov.h"
#include "tap.h"

/* Offsets are told in units of this many bytes */
#define FRAG_UNIT 8

size_t tap_mtu(const struct tap *tap)
{
	return tap->guest->offer.mtu ? tap->guest->offer.mtu : TAP_MTU_MAX;
}

/* Make an IPv4 header, pushed for a whole packet, that of a fragment */
static void mark_fragment4(struct frame *f, uint16_t id, size_t off, bool more)
{
	uint8_t *p = f->hdr + sizeof(struct ether_header);
	struct iphdr ih;

	memcpy(&ih, p, sizeof(ih));
	ih.id = htons(id);
	ih.frag_off = htons((uint16_t)(off / FRAG_UNIT | (more ? IP_MF : 0)));
	ih.check = 0;
	ih.check = csum(&ih, sizeof(ih), 0);
	memcpy(p, &ih, sizeof(ih));
}

/* Headers of one fragment of @n bytes from @off */
static void push_fragment(struct tap *tap, struct frame *f,
			  const struct l3_spec *l3, size_t off, size_t n,
			  bool more)
{
	struct ip6_frag fh = { .ip6f_nxt = l3->proto,
			       .ip6f_offlg = htons((uint16_t)off),
			       .ip6f_ident = htonl(tap->ip_id) };
	struct l3_spec spec = *l3;

	f->len = f->hdrlen + n;
	if (inany_v4(l3->src)) {
		tap_push_l3(tap, f, l3, n);
		mark_fragment4(f, (uint16_t)tap->ip_id, off, more);
		return;
	}
	spec.proto = IPPROTO_FRAGMENT;
	if (more)
		fh.ip6f_offlg |= IP6F_MORE_FRAG;
	memcpy(tap_push_l3(tap, f, &spec, sizeof(fh) + n), &fh, sizeof(fh));
}

/* Move the next @n bytes to the payload of a frame */
static void fill_fragment(struct frame *f, struct iov_tail *l4, size_t n)
{
	unsigned i;

	for (i = 0; i < f->iovcnt && n; i++) {
		size_t part = f->iov[i].iov_len < n ? f->iov[i].iov_len : n;

		iov_tail_copy(l4, f->iov[i].iov_base, part);
		iov_tail_drop(l4, part);
		n -= part;
	}
}

int tap_send_fragments(struct tap *tap, const struct l3_spec *l3,
		       const struct iovec *iov, size_t iovcnt)
{
	struct iov_tail l4 = iov_tail_init(iov, iovcnt, 0);
	bool v4 = inany_v4(l3->src);
	size_t extra = v4 ? 0 : sizeof(struct ip6_frag);
	size_t iplen = frame_l3_len(v4) - sizeof(struct ether_header);
	size_t chunk = (tap_mtu(tap) - iplen - extra) &
		       ~(size_t)(FRAG_UNIT - 1);
	size_t total = l4.len, off = 0;

	if (total > IPV4_MAX_LEN - (v4 ? iplen : 0))
		return -EMSGSIZE;
	tap->ip_id++;
	while (off < total) {
		size_t want = (total - off + chunk - 1) / chunk;
		struct batch *b;
		unsigned i;

		b = tap_reserve(tap, (unsigned)want,
				iplen + extra + sizeof(struct ether_header),
				chunk);
		if (!b)
			return -EAGAIN;
		for (i = 0; i < b->n && off < total; i++) {
			size_t n = total - off < chunk ? total - off : chunk;

			fill_fragment(&b->frame[i], &l4, n);
			push_fragment(tap, &b->frame[i], l3, off, n,
				      off + n < total);
			off += n;
		}
		tap_submit(tap, b, i);
	}
	return 0;
}
