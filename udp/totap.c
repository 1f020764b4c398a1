/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Datagrams to frames: straight into them where they fit, in fragments if not
 *
 * recvmmsg(2) fills frames lent by the tap. How much room is worth asking for
 * is guessed from what came before: what does not fit runs over into a buffer
 * behind, and that datagram and the rest of its batch are moved to buffers of
 * ours and sent from there. The same way go datagrams that the guest's MTU does
 * not allow, in fragments (RFC 791 3.2, RFC 8200 4.5): a host would have done
 * so, and it is the host's datagram; and those that need to be looked at one by
 * one, from peers that the socket is not connected to.
 *
 * If the tap's receiver cuts datagrams itself (USO), and the last batch was all of
 * one size, the next is read into slices of that size in few large frames: while
 * the guess holds, datagrams lie one behind the other as they have to, without
 * having been copied. The first that is shorter ends a frame.
 *
 * If the tap takes nothing, datagrams stay in the socket, whose buffer is the
 * queue, and it is for the kernel to drop what exceeds it.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "frame.h"
#include "lib/csum.h"
#include "tap.h"
#include "udp/internal.h"

/* #syscalls recvmmsg */

/* Datagrams in one frame to be cut: linux/udp.h, UDP_MAX_SEGMENTS, as it was at
 * first; and in a batch, for trying that
 */
#define SEGS_MAX 64
#define SEGS_MIN 8

/* Payload buffers of one frame that we can use, and one behind */
#define FRAME_IOVS 3

/* Reads that fail without a reason to be found in the error queue */
#define ERRORS_MAX 3

static uint8_t ctl[UDP_BATCH][UDP_CTL_LEN]
	__attribute__((aligned(sizeof(size_t))));
static union sockaddr_any names[UDP_BATCH];
static struct mmsghdr msgs[UDP_BATCH];
static struct iovec iovs[UDP_BATCH][FRAME_IOVS + 1];

static size_t ip_len(bool v4)
{
	return v4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr);
}

/* Most payload of a datagram that needs no fragments */
static size_t payload_max(const struct udp *u, bool v4)
{
	return tap_mtu(u->tap) - ip_len(v4) - sizeof(struct udphdr);
}

/* Copy to the payload of a frame, at *pos */
static void put(struct frame *f, size_t *pos, const void *src, size_t len)
{
	const uint8_t *s = src;
	size_t off = *pos;
	unsigned i;

	*pos += len;
	for (i = 0; i < f->iovcnt && len; i++) {
		const struct iovec *v = &f->iov[i];
		size_t n;

		if (off >= v->iov_len) {
			off -= v->iov_len;
			continue;
		}
		n = v->iov_len - off < len ? v->iov_len - off : len;
		memcpy((uint8_t *)v->iov_base + off, s, n);
		s += n;
		len -= n;
		off = 0;
	}
}

/* Headers before a payload that is there; its sum is left to the tap */
static void push_headers(struct udp *u, struct frame *f,
			 const struct l3_spec *l3, in_port_t sport,
			 in_port_t dport, size_t len)
{
	uint8_t *p = tap_push_l3(u->tap, f, l3, sizeof(struct udphdr) + len);

	frame_push_udp(p, l3, sport, dport, len);
	f->csum_start = (uint16_t)(p - f->hdr);
	f->csum_off = offsetof(struct udphdr, check);
	f->len = f->hdrlen + len;
}

/* UDP header with its sum over all of the payload */
static void whole_header(struct udphdr *uh, const struct l3_spec *l3,
			 in_port_t sport, in_port_t dport, const uint8_t *buf,
			 size_t len)
{
	uint32_t sum;
	uint16_t c;

	frame_push_udp(uh, l3, sport, dport, len);
	sum = csum_fold(csum_partial(uh, sizeof(*uh), 0));
	c = csum(buf, len, sum);
	uh->check = c ? c : 0xffff; /* RFC 768 */
}

/* Send a datagram in fragments. Return: false if the tap is blocked */
static bool send_fragments(struct udp *u, const struct l3_spec *l3,
			   in_port_t sport, in_port_t dport, const uint8_t *buf,
			   size_t len)
{
	struct udphdr uh;
	struct iovec iov[2] = { { &uh, sizeof(uh) },
				{ (void *)(uintptr_t)buf, len } };
	int rc;

	whole_header(&uh, l3, sport, dport, buf, len);
	rc = tap_send_fragments(u->tap, l3, iov, 2);
	if (rc == -EMSGSIZE)
		u->stats.tap_dropped++;
	else if (!rc)
		u->stats.fragmented++;
	return rc != -EAGAIN;
}

bool udp_tap_datagram(struct udp *u, const struct flowside *tap,
		      const union inany_addr *src, in_port_t sport,
		      const uint8_t *buf, size_t len)
{
	struct l3_spec l3 = { .src = src ? src : &tap->oaddr,
			      .dst = &tap->eaddr,
			      .proto = IPPROTO_UDP };
	bool v4 = inany_v4(&tap->eaddr);
	struct batch *b = NULL;
	size_t pos = 0;

	if (!src)
		sport = tap->oport;
	if (len > payload_max(u, v4)) {
		if (send_fragments(u, &l3, sport, tap->eport, buf, len))
			return true;
	} else {
		b = tap_reserve(u->tap, 1,
				frame_l3_len(v4) + sizeof(struct udphdr), len);
	}
	if (!b) {
		u->stats.tap_dropped++;
		return false;
	}
	put(&b->frame[0], &pos, buf, len);
	push_headers(u, &b->frame[0], &l3, sport, tap->eport, len);
	tap_submit(u->tap, b, 1);
	return true;
}

/**
 * struct layout - How datagrams lie in frames
 * @slice:	Room for one, bytes
 * @per:	Slices in a frame
 * @n:		Slices in all
 */
struct layout {
	size_t slice;
	unsigned per, n;
};

/* Where a datagram goes in the frames lent */
static struct iov_tail slice_of(const struct batch *b, const struct layout *lay,
				unsigned i)
{
	const struct frame *f = &b->frame[i / lay->per];
	struct iov_tail t = iov_tail_init(f->iov, f->iovcnt,
					  i % lay->per * lay->slice);

	if (t.len > lay->slice)
		iov_tail_trim(&t, lay->slice);
	return t;
}

/* Point messages at slices of frames, and at our buffers behind them */
static void prepare(const struct batch *b, const struct layout *lay)
{
	unsigned i;

	for (i = 0; i < lay->n; i++) {
		struct iov_tail t = slice_of(b, lay, i);
		int cnt = iov_tail_iov(&t, iovs[i], FRAME_IOVS);

		if (cnt < 0) /* in too many pieces: all to our buffer */
			cnt = 0;
		iovs[i][cnt] = (struct iovec){ udp_buf(i) + lay->slice,
					       UDP_PAYLOAD_MAX - lay->slice };
		msgs[i].msg_hdr =
			(struct msghdr){ .msg_name = &names[i],
					 .msg_namelen = sizeof(names[i]),
					 .msg_iov = iovs[i],
					 .msg_iovlen = (size_t)cnt + 1,
					 .msg_control = ctl[i],
					 .msg_controllen = sizeof(ctl[i]) };
	}
}

/* Bring a datagram received into a frame together in our buffer */
static void unframe(const struct batch *b, const struct layout *lay, unsigned i)
{
	struct iov_tail t = slice_of(b, lay, i);
	size_t len = msgs[i].msg_len;

	iov_tail_copy(&t, udp_buf(i), len < lay->slice ? len : lay->slice);
}

/* Is it the peer's? */
static bool from_peer(unsigned i, const struct flowside *s)
{
	const union sockaddr_any *sa = &names[i];
	const struct in_addr *v4 = inany_v4(&s->eaddr);

	if (v4)
		return sa->sa.sa_family == AF_INET &&
		       sa->sa4.sin_addr.s_addr == v4->s_addr &&
		       ntohs(sa->sa4.sin_port) == s->eport;
	return sa->sa.sa_family == AF_INET6 &&
	       !memcmp(&sa->sa6.sin6_addr, &s->eaddr, sizeof(s->eaddr)) &&
	       ntohs(sa->sa6.sin6_port) == s->eport;
}

/* An answer to what was sent to a group: show who it is from */
static void from_anybody(struct udp *u, const struct flowside *tap,
			 const struct udp_dgram *d)
{
	union inany_addr shown;

	/* What others send to groups has other ways in */
	if (!inany_is_unicast(&d->dst) || !inany_equals(&d->dst, &d->local) ||
	    !udp_shown(u, tap, &d->src, d->sport, &shown)) {
		u->stats.stray++;
		return;
	}
	udp_tap_datagram(u, tap, &shown, d->sport, d->buf, d->len);
}

/* Datagrams that do not fit their frames, or are not of the peer */
static void one_by_one(struct udp *u, struct udp_flow *f, unsigned side,
		       unsigned i)
{
	const struct flowside *tap = &f->f.side[!side];
	const struct flowside *s = &f->f.side[side];
	struct udp_dgram d;

	udp_parse(&msgs[i].msg_hdr, &d);
	d.buf = udp_buf(i);
	d.len = msgs[i].msg_len;
	if (f->unconnected) {
		from_anybody(u, tap, &d);
	} else if (from_peer(i, s)) {
		udp_tap_datagram(u, tap, NULL, 0, d.buf, d.len);
	} else if (f->listener != FLOW_NONE) {
		d.dst = d.local = s->oaddr;
		udp_from_listener(u, f->listener, &d);
	} else {
		u->stats.stray++;
	}
}

/* Learn from a batch for the next: room, number, and size if all have the same
 * (but for a shorter one at the end)
 */
static void adapt(struct udp_flow *f, unsigned asked, unsigned n)
{
	size_t max = UDP_ROOM_MIN, first = n ? msgs[0].msg_len : 0;
	bool even = first && n >= SEGS_MIN;
	unsigned i;

	for (i = 0; i < n; i++) {
		size_t len = msgs[i].msg_len;

		if (len > max)
			max = len;
		if (len != first && (len > first || i + 1 < n))
			even = false;
	}
	f->room = (uint16_t)max;
	f->seg = even ? (uint16_t)first : 0;
	if (n == asked)
		f->want = n < UDP_BATCH / 4 ? (uint8_t)(n * 4) : UDP_BATCH;
	else if (n < f->want / 4U)
		f->want /= 2;
	if (f->want < UDP_WANT_MIN)
		f->want = UDP_WANT_MIN;
}

/* Choose how to read a batch, borrow frames for it. Return: NULL if blocked */
static struct batch *borrow(struct udp *u, const struct udp_flow *f, bool v4,
			    struct layout *lay)
{
	size_t gso = u->tap->facts.gso_udp, max = payload_max(u, v4);
	size_t limit = IPV4_MAX_LEN - ip_len(v4) - sizeof(struct udphdr);
	struct batch *b;

	if (gso > limit)
		gso = limit;
	lay->slice = f->room < max ? f->room : max;
	lay->per = 1;
	if (f->seg && f->seg <= max && gso >= 2U * f->seg &&
	    f->want >= SEGS_MIN) {
		lay->slice = f->seg;
		lay->per = gso / f->seg < SEGS_MAX ? (unsigned)(gso / f->seg)
						   : SEGS_MAX;
		if (lay->per > f->want)
			lay->per = f->want;
	}
	b = tap_reserve(u->tap, (f->want + lay->per - 1) / lay->per,
			frame_l3_len(v4) + sizeof(struct udphdr),
			lay->per * lay->slice);
	if (b)
		lay->n = b->n * lay->per < UDP_BATCH ? b->n * lay->per
						     : UDP_BATCH;
	return b;
}

/* Datagrams from @i on that lie in one frame as they must: of one size, but for
 * a shorter one at the end, and the peer's. @total: their bytes
 */
static unsigned run_of(const struct udp_flow *f, unsigned side,
		       const struct layout *lay, unsigned i, unsigned n,
		       size_t *total)
{
	unsigned k = 0;

	*total = 0;
	while (k < lay->per && i + k < n && !f->unconnected) {
		size_t len = msgs[i + k].msg_len;

		if (len > lay->slice || (k && !len) ||
		    !from_peer(i + k, &f->f.side[side]))
			break;
		*total += len;
		k++;
		if (len < lay->slice)
			break;
	}
	return k;
}

/* Complete frames as long as datagrams are where they must be.
 *
 * Return: frames; @done is told how many datagrams are in them
 */
static unsigned finish(struct udp *u, struct udp_flow *f, unsigned side,
		       struct batch *b, const struct layout *lay, unsigned n,
		       unsigned *done)
{
	const struct flowside *tap = &f->f.side[!side];
	const struct l3_spec l3 = { .src = &tap->oaddr,
				    .dst = &tap->eaddr,
				    .proto = IPPROTO_UDP };
	unsigned nframes = 0, i, k;

	/* What follows an incomplete frame is not where the next one begins */
	for (i = 0; i < n && i % lay->per == 0; i += k) {
		struct frame *fr = &b->frame[nframes];
		size_t total;

		k = run_of(f, side, lay, i, n, &total);
		if (!k)
			break;
		push_headers(u, fr, &l3, tap->oport, tap->eport, total);
		if (k > 1) {
			fr->gso = FRAME_GSO_UDP;
			fr->gso_size = (uint16_t)lay->slice;
		}
		nframes++;
	}
	*done = i;
	return nframes;
}

/* Read one batch. @full is told whether there may be more.
 *
 * Return: datagrams, or -errno; -EBUSY: the tap is blocked
 */
static int read_batch(struct udp *u, struct udp_flow *f, unsigned side,
		      bool *full)
{
	unsigned i, done, nframes, got;
	struct layout lay;
	struct batch *b;
	int n;

	b = borrow(u, f, inany_v4(&f->f.side[!side].eaddr), &lay);
	if (!b)
		return -EBUSY;
	prepare(b, &lay);
	n = recvmmsg(f->fd[side], msgs, lay.n, MSG_DONTWAIT, NULL);
	if (n < 0) {
		n = -errno;
		tap_submit(u->tap, b, 0);
		return n;
	}
	got = (unsigned)n;
	nframes = finish(u, f, side, b, &lay, got, &done);
	for (i = done; i < got; i++)
		unframe(b, &lay, i);
	tap_submit(u->tap, b, nframes);
	adapt(f, lay.n, got);
	*full = got == lay.n;
	for (i = done; i < got && u->reading; i++)
		one_by_one(u, f, side, i);
	return n;
}

void udp_tap_read(struct udp *u, struct udp_flow *f, bool all)
{
	unsigned side = f->f.pif[INISIDE] == PIF_TAP ? TGTSIDE : INISIDE;
	unsigned i, errors = 0;

	if (f->waiting || f->fd[side] < 0)
		return;
	u->reading = &f->f;
	for (i = 0; i < UDP_ROUNDS; i++) {
		bool full = true;
		int n = read_batch(u, f, side, &full);

		if (!u->reading)
			return;
		if (n == -EBUSY)
			udp_flow_wait(u, f);
		if (n == -ENOBUFS || n == -ENOMEM) /* nobody wakes us then */
			flow_defer(u->flows, &f->f);
		if (n == -EBUSY || n == -EAGAIN || n == -ENOBUFS ||
		    n == -ENOMEM)
			break;
		if (n < 0) {
			/* An error report came first */
			if (!udp_err_drain(u, f, side) &&
			    ++errors == ERRORS_MAX)
				break;
			all = true;
			continue;
		}
		udp_flow_touch(u, f, side, (unsigned)n);
		if (!full && !all)
			break;
	}
	if (i == UDP_ROUNDS)
		flow_defer(u->flows, &f->f);
	u->reading = NULL;
}
