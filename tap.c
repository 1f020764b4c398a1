/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest-facing link: what all backends share
 *
 * A protocol that has something for the guest borrows frames (tap_reserve),
 * receives payload straight into them, writes headers before it and submits
 * them. Whose memory that is, is the backend's affair: an arena for the stream
 * socket and the tun device; it could be the guest's own. One batch is lent at a
 * time, so the memory of the backend is small and warm.
 *
 * Checksums over payload and segmentation are left to the backend, which leaves
 * them to its peer if that can do them (tun: virtio-net header), or completes
 * them while the bytes are still in the cache.
 *
 * Towards us, frames arrive in the backend's buffers and are looked at there:
 * nothing is kept after the upward call returns.
 */
#include <errno.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/random.h>

#include "guest.h"
#include "lib/csum.h"
#include "lib/log.h"
#include "pcap.h"
#include "tap.h"
#include "tap/backend.h"

void tap_init(struct tap *tap, const struct tap_ops *ops, struct loop *loop,
	      struct guest *guest, const struct tap_upcalls *up)
{
	memset(tap, 0, sizeof(*tap));
	tap->ops = ops;
	tap->loop = loop;
	tap->guest = guest;
	tap->up = *up;
	tap->fd = -1;
	if (getrandom(&tap->ip_id, sizeof(tap->ip_id), GRND_NONBLOCK) < 0)
		tap->ip_id = (uint32_t)loop->now;
}

void tap_lay_out(struct batch *b, uint8_t *base, size_t prefix, unsigned n,
		 size_t hdrlen, size_t len)
{
	size_t stride = tap_stride(prefix, hdrlen, len);
	unsigned i;

	base += -((uintptr_t)base + prefix + hdrlen) & (TAP_ALIGN - 1);
	for (i = 0; i < n; i++, base += stride) {
		struct frame *f = &b->frame[i];

		f->hdr = base + prefix;
		f->iov = &BATCH_IOV(b)[i];
		f->iovcnt = 1;
		f->iov[0].iov_base = base + prefix + hdrlen;
		f->iov[0].iov_len = len;
	}
	b->iovcnt = n;
}

struct batch *tap_reserve(struct tap *tap, unsigned want, size_t hdrlen,
			  size_t len)
{
	struct batch *b = &tap->batch;
	unsigned i;

	if (want > BATCH_FRAMES)
		want = BATCH_FRAMES;
	b->n = want ? tap->ops->reserve(tap, want, hdrlen, len, b) : 0;
	if (!b->n) {
		tap->stats.tx_blocked++;
		return NULL;
	}
	for (i = 0; i < b->n; i++) {
		struct frame *f = &b->frame[i];

		f->hdrlen = hdrlen;
		f->len = hdrlen + len;
		f->csum_start = 0;
		f->gso = FRAME_GSO_NONE;
		f->gso_size = 0;
	}
	return b;
}

/* Zeroes behind a runt; backends lend room for it behind short payloads */
static void tap_pad(struct frame *f)
{
	uint8_t *end = f->hdr + f->len;

	if (f->len > f->hdrlen)
		end = (uint8_t *)f->iov[0].iov_base + (f->len - f->hdrlen);
	memset(end, 0, ETH_MIN_LEN - f->len);
	if (f->hdrlen + f->iov[0].iov_len < ETH_MIN_LEN)
		f->iov[0].iov_len = ETH_MIN_LEN - f->hdrlen;
	f->len = ETH_MIN_LEN;
}

/* One outgoing frame to the capture, and to the log */
static void tap_capture(struct tap *tap, const struct frame *f)
{
	struct iovec iov[1 + BATCH_IOVS];

	iov[0].iov_base = f->hdr;
	iov[0].iov_len = f->len < f->hdrlen ? f->len : f->hdrlen;
	memcpy(&iov[1], f->iov, f->iovcnt * sizeof(iov[0]));
	if (tap->pcap)
		pcap_write(tap->pcap, iov, 1 + f->iovcnt, f->len);
	if (log_enabled(LOG_TRACE))
		tap_trace("To guest", iov, 1 + f->iovcnt, f->len);
}

void tap_submit(struct tap *tap, struct batch *b, unsigned n)
{
	const bool capture = tap->pcap || log_enabled(LOG_TRACE);
	unsigned i;

	for (i = 0; i < n; i++) {
		struct frame *f = &b->frame[i];

		/* A checksum left over has its end here, before padding. A
		 * frame to be cut has none: what is cut from it is padded, if
		 * need be, by who cuts.
		 */
		if (f->len < ETH_MIN_LEN && f->gso == FRAME_GSO_NONE) {
			frame_finish_csum(f);
			tap_pad(f);
		}
		tap->stats.tx_bytes += f->len;
		if (capture)
			tap_capture(tap, f);
	}
	tap->stats.tx_frames += n;
	tap->ops->submit(tap, b, n);
}

void tap_flush(struct tap *tap)
{
	if (tap->ops->flush)
		tap->ops->flush(tap);
}

void tap_input(struct tap *tap, const struct tap_rx *rx, unsigned n)
{
	unsigned i;

	tap->stats.rx_frames += n;
	for (i = 0; i < n; i++)
		tap->stats.rx_bytes += rx[i].len;
	for (i = 0; tap->pcap && i < n; i++)
		pcap_write(tap->pcap, rx[i].iov, rx[i].iovcnt, rx[i].len);
	for (i = 0; log_enabled(LOG_TRACE) && i < n; i++)
		tap_trace("From guest", rx[i].iov, rx[i].iovcnt, rx[i].len);
	if (tap->up.input(tap->up.ctx, rx, n) > 1)
		tap->company = TAP_COMPANY;
	else if (tap->company)
		tap->company--;
}

void *tap_push_l3(struct tap *tap, struct frame *f, const struct l3_spec *l3,
		  size_t l4len)
{
	const uint8_t *smac = l3->src_mac ? l3->src_mac : tap->guest->our_mac;
	bool v4 = inany_v4(l3->src);
	void *p;

	p = frame_push_eth(f->hdr, tap->guest->mac, smac,
			   v4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
	return v4 ? frame_push_ip4(p, l3, l4len) : frame_push_ip6(p, l3, l4len);
}

/* Checksum of a small datagram, in place */
static void tap_fill_csum(const struct l3_spec *l3, uint8_t *l4, size_t l4len,
			  int csum_off)
{
	uint32_t sum = 0;
	uint16_t c;

	if (l3->proto != IPPROTO_ICMP)
		sum = frame_pseudo(l3, l4len);
	c = csum(l4, l4len, sum);
	if (!c && l3->proto == IPPROTO_UDP)
		c = 0xffff; /* RFC 768 */
	memcpy(l4 + csum_off, &c, sizeof(c));
}

/* The same for one that does not fit the MTU */
static int tap_send_large_l4(struct tap *tap, const struct l3_spec *l3,
			     const void *l4, size_t l4len, int csum_off)
{
	static uint8_t buf[IPV4_MAX_LEN];
	struct iovec iov = { .iov_base = buf, .iov_len = l4len };

	memcpy(buf, l4, l4len);
	if (csum_off >= 0)
		tap_fill_csum(l3, buf, l4len, csum_off);
	return tap_send_fragments(tap, l3, &iov, 1);
}

int tap_send_l4(struct tap *tap, const struct l3_spec *l3, const void *l4,
		size_t l4len, int csum_off)
{
	size_t hdrlen = frame_l3_len(inany_v4(l3->src));
	struct batch *b;
	uint8_t *p;

	if (l4len > IPV4_MAX_LEN - sizeof(struct iphdr))
		return -EMSGSIZE;
	if (hdrlen - sizeof(struct ether_header) + l4len > tap_mtu(tap))
		return tap_send_large_l4(tap, l3, l4, l4len, csum_off);
	b = tap_reserve(tap, 1, hdrlen, l4len);
	if (!b)
		return -EAGAIN;
	tap_push_l3(tap, &b->frame[0], l3, l4len);
	p = b->frame[0].iov[0].iov_base;
	memcpy(p, l4, l4len);
	if (csum_off >= 0)
		tap_fill_csum(l3, p, l4len, csum_off);
	tap_submit(tap, b, 1);
	return 0;
}

int tap_send_l2(struct tap *tap, const void *frame, size_t len)
{
	struct batch *b = tap_reserve(tap, 1, len, 0);

	if (!b)
		return -EAGAIN;
	memcpy(b->frame[0].hdr, frame, len);
	tap_submit(tap, b, 1);
	return 0;
}
