// SPDX-License-Identifier: GPL-2.0-or-later
/* Stand-in for QEMU: a tap device on one side, the stream socket on the other
 *
 * QEMU's "stream" back end carries Ethernet frames, each after its length as
 * 32 bits big-endian, with complete checksums and no larger than the MTU. A
 * real guest segments and checksums by itself; this stand-in lets its kernel
 * believe that the device does it (virtio-net header, TSO, checksum offload)
 * and does both here, batched, so that it costs the measured path as little
 * as possible:
 *
 *   tap -> socket: up to TAP_BATCH super-frames are read, cut into frames of
 *	the MTU with headers of their own, and sent as one vector
 *   socket -> tap: up to 1 MB is received, frames which continue each other
 *	become one super-frame, and the kernel is told not to verify checksums
 *
 * A short send keeps its tail: framing could not be recovered otherwise. While
 * the socket is full, frames towards the tap are still served, so that two
 * bridges back to back (the limit of this stand-in) cannot lock each other up.
 *
 * usage: bridge TAP SOCKET [listen]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>

#define VNET_LEN    ((int)sizeof(struct virtio_net_hdr_mrg_rxbuf))
#define LEN_LEN     4              /* length before each frame */
#define MAX_HEADERS (14 + 40 + 60) /* Ethernet, IPv6, TCP with options */
#define MAX_FRAME   (65535 + 14)
#define TAP_SLOT    (66 << 10)
#define TAP_BATCH   16
#define RX_SIZE     (1 << 20)
#define NIOV        1000 /* below UIO_MAXIOV */
#define MAX_MERGE   64   /* frames in a super-frame */

/* Where the headers of a frame are; filled by tcp_parse() */
struct seg {
	uint8_t *frame;
	size_t len;     /* without padding behind the IP packet */
	size_t l3;      /* offset of IP header */
	size_t l4;      /* offset of TCP header */
	size_t payload; /* offset of TCP payload */
	int v6;
};

/* A vector on its way to the socket */
struct out {
	struct iovec iov[NIOV];
	uint8_t hdr[NIOV / 2][LEN_LEN + MAX_HEADERS];
	int niov;
	int nhdr;
};

/* A super-frame in the making, towards the tap */
struct merge {
	struct virtio_net_hdr_mrg_rxbuf vnet;
	struct iovec iov[MAX_MERGE + 2];
	struct seg first;
	int nframes;
	int closed; /* a short or pushed frame ended it */
	size_t mss;
	size_t bytes; /* of payload */
	uint32_t next_seq;
};

static uint8_t tap_buf[TAP_BATCH][TAP_SLOT];
static uint8_t rx_buf[RX_SIZE];
static size_t rx_len;
static struct merge merge;
static struct out out;
static int tap_fd, sock_fd;

static void rx_run(void);

static void die(const char *what)
{
	fprintf(stderr, "bridge: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* Ones' complement sum (RFC 1071), not folded; compilers vectorise this */
static uint64_t sum(const uint8_t *p, size_t len, uint64_t acc)
{
	uint64_t lanes[8] = { 0 };
	uint32_t w[8];
	size_t i;

	for (; len >= sizeof(w); p += sizeof(w), len -= sizeof(w)) {
		memcpy(w, p, sizeof(w));
		for (i = 0; i < 8; i++)
			lanes[i] += w[i];
	}
	for (i = 0; i < 8; i++)
		acc += (lanes[i] & 0xffffffff) + (lanes[i] >> 32);
	while (len) {
		uint16_t h = 0;
		size_t n = len < 2 ? len : 2;

		memcpy(&h, p, n);
		acc += h;
		p += n;
		len -= n;
	}
	return acc;
}

/* Return: @acc folded to 16 bits, in network order as sum() reads it */
static uint16_t fold(uint64_t acc)
{
	while (acc >> 16)
		acc = (acc & 0xffff) + (acc >> 16);
	return (uint16_t)acc;
}

/* Sum of the pseudo-header of TCP (RFC 9293 3.1, RFC 8200 8.1) */
static uint64_t pseudo_sum(const struct seg *s, size_t l4len)
{
	const uint8_t *ip = s->frame + s->l3;
	uint64_t acc;

	acc = s->v6 ? sum(ip + offsetof(struct ip6_hdr, ip6_src), 32, 0)
		    : sum(ip + offsetof(struct iphdr, saddr), 8, 0);
	acc += htons(IPPROTO_TCP);
	return acc + htons((uint16_t)l4len);
}

/* Find the TCP headers of a frame; Return: 0, -1 if it is anything else */
static int tcp_parse(struct seg *s, uint8_t *frame, size_t len)
{
	size_t iplen, doff;
	uint8_t *ip;

	*s = (struct seg){ .frame = frame, .l3 = ETH_HLEN };
	if (len < ETH_HLEN + 40)
		return -1;

	ip = frame + s->l3;
	if (get16(frame + 12) == ETH_P_IP) {
		s->l4 = s->l3 + 20;
		iplen = get16(ip + 2);
		if (ip[0] != 0x45 || ip[9] != IPPROTO_TCP ||
		    get16(ip + 6) & 0x3fff)
			return -1;
	} else if (get16(frame + 12) == ETH_P_IPV6) {
		s->l4 = s->l3 + 40;
		s->v6 = 1;
		iplen = 40 + (size_t)get16(ip + 4);
		if (ip[6] != IPPROTO_TCP)
			return -1;
	} else {
		return -1;
	}

	s->len = s->l3 + iplen;
	if (s->len > len || s->len < s->l4 + 20)
		return -1;
	doff = (size_t)(frame[s->l4 + 12] >> 4) * 4;
	s->payload = s->l4 + doff;
	return doff < 20 || s->payload > s->len ? -1 : 0;
}

/* Write the lengths of an IP packet with @l4len bytes behind its header */
static void ip_set_len(uint8_t *ip, int v6, size_t l4len)
{
	if (v6) {
		put16(ip + 4, l4len);
		return;
	}
	put16(ip + 2, 20 + l4len);
	memset(ip + 10, 0, 2);
}

static void ip_set_csum(uint8_t *ip, int v6)
{
	uint16_t c;

	if (v6)
		return;
	memset(ip + 10, 0, 2);
	c = (uint16_t)~fold(sum(ip, 20, 0));
	memcpy(ip + 10, &c, 2);
}

/* Wait until the socket takes more, serving the other direction meanwhile */
static void out_wait(void)
{
	struct pollfd p = { .fd = sock_fd, .events = POLLIN | POLLOUT };

	if (poll(&p, 1, -1) < 0 && errno != EINTR)
		die("poll");
	if (p.revents & POLLIN)
		rx_run();
}

/* Send the vector to its last byte */
static void out_flush(void)
{
	struct msghdr mh = { .msg_iov = out.iov,
			     .msg_iovlen = (size_t)out.niov };
	ssize_t n;

	while (mh.msg_iovlen) {
		n = sendmsg(sock_fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			exit(0); /* the other end is gone */
		if (n < 0) {
			out_wait();
			continue;
		}
		while (mh.msg_iovlen && (size_t)n >= mh.msg_iov->iov_len) {
			n -= (ssize_t)mh.msg_iov->iov_len;
			mh.msg_iov++;
			mh.msg_iovlen--;
		}
		if (mh.msg_iovlen) {
			mh.msg_iov->iov_base = (uint8_t *)mh.msg_iov->iov_base +
					       n;
			mh.msg_iov->iov_len -= (size_t)n;
		}
	}
	out.niov = out.nhdr = 0;
}

static void out_iov(void *base, size_t len)
{
	out.iov[out.niov++] = (struct iovec){ base, len };
}

/* Queue one frame as it is; the vnet header before it gives way to a length */
static void out_whole(uint8_t *frame, size_t len)
{
	put32(frame - LEN_LEN, (uint32_t)len);
	out_iov(frame - LEN_LEN, LEN_LEN + len);
	if (out.niov >= NIOV - 2)
		out_flush();
}

/* Queue @len bytes at @off of the payload of @s as a segment of its own */
static void out_segment(const struct seg *s, size_t off, size_t len, size_t i)
{
	uint8_t *data = s->frame + s->payload + off, *h, *ip, *th;
	size_t l4len = s->payload - s->l4 + len;
	struct seg copy = *s;
	uint16_t c;

	h = out.hdr[out.nhdr++];
	put32(h, (uint32_t)(s->payload + len));
	memcpy(h + LEN_LEN, s->frame, s->payload);
	copy.frame = h + LEN_LEN;
	ip = copy.frame + s->l3;
	th = copy.frame + s->l4;

	ip_set_len(ip, s->v6, l4len);
	if (!s->v6)
		put16(ip + 4, get16(ip + 4) + i);
	ip_set_csum(ip, s->v6);

	put32(th + 4, get32(th + 4) + (uint32_t)off);
	if (s->payload + off + len < s->len)
		th[13] &= (uint8_t) ~(TH_FIN | TH_PUSH);
	memset(th + 16, 0, 2);
	c = (uint16_t)~fold(
		sum(data, len,
		    sum(th, s->payload - s->l4, pseudo_sum(&copy, l4len))));
	memcpy(th + 16, &c, 2);

	out_iov(h, LEN_LEN + s->payload);
	out_iov(data, len);
	if (out.niov >= NIOV - 2 || out.nhdr == NIOV / 2)
		out_flush();
}

/* Do for one frame from the tap what its header says a device would do */
static void tap_frame(uint8_t *buf, size_t len)
{
	const struct virtio_net_hdr_mrg_rxbuf *mh = (const void *)buf;
	struct virtio_net_hdr v = mh->hdr;
	uint8_t *frame = buf + VNET_LEN;
	struct seg s;
	size_t off, i;
	uint16_t c;

	len -= (size_t)VNET_LEN;
	if (v.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		if (tcp_parse(&s, frame, len) || !v.gso_size)
			return;
		for (off = 0, i = 0; off < s.len - s.payload;
		     off += v.gso_size, i++) {
			size_t n = s.len - s.payload - off;

			out_segment(&s, off, n < v.gso_size ? n : v.gso_size,
				    i);
		}
		return;
	}

	if (v.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
	    (size_t)v.csum_start + v.csum_offset + 2 <= len) {
		c = (uint16_t)~fold(
			sum(frame + v.csum_start, len - v.csum_start, 0));
		if (!c) /* RFC 768: zero means none; same for TCP */
			c = 0xffff;
		memcpy(frame + v.csum_start + v.csum_offset, &c, 2);
	}
	out_whole(frame, len);
}

/* Move one batch from the tap to the socket */
static void tap_run(void)
{
	ssize_t n;
	int i;

	for (i = 0; i < TAP_BATCH; i++) {
		n = read(tap_fd, tap_buf[i], TAP_SLOT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			die("tap read");
		if (n <= VNET_LEN + ETH_HLEN)
			break;
		tap_frame(tap_buf[i], (size_t)n);
	}
	out_flush();
}

static void tap_write(const struct iovec *iov, int niov)
{
	struct pollfd p = { .fd = tap_fd, .events = POLLOUT };

	while (writev(tap_fd, iov, niov) < 0 && errno == EAGAIN)
		poll(&p, 1, -1);
}

/* Hand a frame which is nobody's continuation to the tap */
static void tap_write_whole(uint8_t *frame, size_t len)
{
	struct virtio_net_hdr_mrg_rxbuf v = {
		.hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID,
	};
	struct iovec iov[] = { { &v, sizeof(v) }, { frame, len } };

	tap_write(iov, 2);
}

/* Write the super-frame out, if there is one */
static void merge_flush(void)
{
	struct seg *s = &merge.first;
	size_t hlen = s->payload - s->l4;
	uint8_t *th = s->frame + s->l4;
	uint16_t c;

	if (!merge.nframes)
		return;
	if (merge.nframes == 1) {
		merge.nframes = 0;
		tap_write_whole(s->frame, s->len);
		return;
	}

	ip_set_len(s->frame + s->l3, s->v6, hlen + merge.bytes);
	ip_set_csum(s->frame + s->l3, s->v6);
	c = fold(pseudo_sum(s, hlen + merge.bytes));
	memcpy(th + 16, &c, 2);
	merge.vnet = (struct virtio_net_hdr_mrg_rxbuf){
		.hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.hdr.gso_type = s->v6 ? VIRTIO_NET_HDR_GSO_TCPV6
				      : VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr.hdr_len = (uint16_t)s->payload,
		.hdr.gso_size = (uint16_t)merge.mss,
		.hdr.csum_start = (uint16_t)s->l4,
		.hdr.csum_offset = 16,
	};
	merge.iov[0] = (struct iovec){ &merge.vnet, sizeof(merge.vnet) };
	tap_write(merge.iov, merge.nframes + 1);
	merge.nframes = 0;
}

/* Return: whether @s continues what is being merged */
static int merge_fits(const struct seg *s)
{
	const struct seg *f = &merge.first;
	const uint8_t *a = f->frame, *b = s->frame;
	size_t len = s->len - s->payload, i;

	if (!merge.nframes || merge.closed || merge.nframes == MAX_MERGE ||
	    s->v6 != f->v6 || s->payload != f->payload || !len ||
	    len > merge.mss || f->payload + merge.bytes + len > MAX_FRAME - 14)
		return 0;
	if (get32(b + s->l4 + 4) != merge.next_seq)
		return 0;

	i = s->v6 ? offsetof(struct ip6_hdr, ip6_src)
		  : offsetof(struct iphdr, saddr);
	if (memcmp(a + s->l3 + i, b + s->l3 + i, s->l4 - s->l3 - i) ||
	    memcmp(a + s->l4, b + s->l4, 4) ||
	    memcmp(a + s->l4 + 8, b + s->l4 + 8, 5) ||
	    memcmp(a + s->l4 + 14, b + s->l4 + 14, 2) ||
	    memcmp(a + s->l4 + 20, b + s->l4 + 20, s->payload - s->l4 - 20))
		return 0;
	return !(b[s->l4 + 13] & (uint8_t) ~(TH_ACK | TH_PUSH));
}

/* Take one frame from the socket */
static void rx_frame(uint8_t *frame, size_t len)
{
	struct seg s;
	size_t n;

	if (tcp_parse(&s, frame, len) || s.len == s.payload ||
	    s.frame[s.l4 + 13] & (uint8_t) ~(TH_ACK | TH_PUSH)) {
		merge_flush();
		tap_write_whole(frame, len);
		return;
	}

	n = s.len - s.payload;
	if (merge_fits(&s)) {
		merge.first.frame[s.l4 + 13] |= frame[s.l4 + 13];
		merge.iov[++merge.nframes] = (struct iovec){ frame + s.payload,
							     n };
	} else {
		merge_flush();
		merge.first = s;
		merge.nframes = 1;
		merge.mss = n;
		merge.bytes = 0;
		merge.closed = 0;
		merge.next_seq = get32(frame + s.l4 + 4);
		merge.iov[1] = (struct iovec){ frame, s.len };
	}
	merge.bytes += n;
	merge.next_seq += (uint32_t)n;
	merge.closed = n < merge.mss || frame[s.l4 + 13] & TH_PUSH;
}

/* Move what the socket has to the tap */
static void rx_run(void)
{
	size_t pos = 0, len;
	ssize_t n;

	n = recv(sock_fd, rx_buf + rx_len, sizeof(rx_buf) - rx_len,
		 MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		exit(0);
	rx_len += (size_t)n;

	while (rx_len - pos >= LEN_LEN) {
		len = get32(rx_buf + pos);
		if (len > MAX_FRAME) {
			errno = EPROTO;
			die("frame length");
		}
		if (rx_len - pos < LEN_LEN + len)
			break;
		if (len >= ETH_HLEN)
			rx_frame(rx_buf + pos + LEN_LEN, len);
		pos += LEN_LEN + len;
	}
	merge_flush();
	rx_len -= pos;
	memmove(rx_buf, rx_buf + pos, rx_len);
}

/* Make the tap device, with all the offloads this program can do */
static void tap_open(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int vnet_len = VNET_LEN;

	tap_fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap_fd < 0)
		die("/dev/net/tun");
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(tap_fd, TUNSETIFF, &ifr) ||
	    ioctl(tap_fd, TUNSETVNETHDRSZ, &vnet_len) ||
	    ioctl(tap_fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6))
		die("tap");
}

/* Connect to @path, or wait there for whoever connects */
static void sock_open(const char *path, int server)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(sun.sun_path, path, sizeof(sun.sun_path) - 1);
	if (!server) {
		if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)))
			die(path);
		sock_fd = fd;
		return;
	}
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) || listen(fd, 1))
		die(path);
	puts("listening");
	fflush(stdout);
	sock_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (sock_fd < 0)
		die("accept");
}

int main(int argc, char **argv)
{
	struct pollfd p[2] = { { .events = POLLIN }, { .events = POLLIN } };

	if (argc < 3) {
		fputs("usage: bridge TAP SOCKET [listen]\n", stderr);
		return 2;
	}
	tap_open(argv[1]);
	sock_open(argv[2], argc > 3);
	puts("ready");
	fflush(stdout);

	p[0].fd = tap_fd;
	p[1].fd = sock_fd;
	while (poll(p, 2, -1) > 0 || errno == EINTR) {
		if (p[0].revents)
			tap_run();
		if (p[1].revents)
			rx_run();
	}
	die("poll");
}
