/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tap backend: tun device in tap mode, with virtio-net header if it can
 *
 * With IFF_VNET_HDR the kernel and we hand each other frames of up to 64 KiB
 * whose checksum is not computed and which are not cut to the MTU: most of what
 * a path over a tap costs is gone with that. Without it (old kernel, or
 * PASST_KERNEL_WITHOUT=vnet_hdr) checksums are completed here and frames fit
 * the MTU.
 *
 * Each read and write is one frame: there is no batched interface. Writing
 * never blocks: the kernel takes the frame or drops it (link down: EIO).
 *
 * #syscalls:pasta read write close
 *
 * Source: Linux, Documentation/networking/tuntap.rst, linux/virtio_net.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h> /* musl: before the kernel's headers */
#include <net/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/log.h"
#include "sock.h"
#include "tap/backend.h"

#ifndef TUN_F_USO4 /* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* Most payload of one frame to be cut: 65535 less IP and TCP headers with all
 * options
 */
#define TUN_GSO_MAX (IPV4_MAX_LEN - 20 - 60)

#define TUN_RX_FRAMES 32

/* As many frames times this are read in a turn */
#define TUN_ROUNDS 4

/* The same if others wait: a bulk flow's 128 frames of 64 KiB would take 2 ms */
#define TUN_RX_SHARED     8
#define TUN_ROUNDS_SHARED 1

#define TUN_BUF_LEN \
	((sizeof(struct virtio_net_hdr) + TAP_FRAME_MAX + 63) & ~(size_t)63)

/* Frames lent at once: 8 of 64 KiB stay in the second-level cache */
#define TUN_TX_LEN ((size_t)8 * 65792)

static uint8_t tun_rx[TUN_RX_FRAMES][TUN_BUF_LEN] __attribute__((aligned(64)));
static uint8_t tun_tx[TUN_TX_LEN + TAP_ALIGN]
	__attribute__((aligned(TAP_ALIGN)));
static bool tun_vnet;

/* Is there more than a frame now and then? See tun_event() */
static struct {
	bool busy;
	uint64_t turn;
} tun_in;

/* Offloads the kernel may use towards us. Return: with USO? */
static int tun_set_offload(int fd)
{
	unsigned base = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;

	if (!sock_without("uso") &&
	    !ioctl(fd, TUNSETOFFLOAD, base | TUN_F_USO4 | TUN_F_USO6))
		return 1;
	return ioctl(fd, TUNSETOFFLOAD, base) ? -errno : 0;
}

/* Open and attach with these flags. Return: descriptor or -errno */
static int tun_attach(char *ifname, short flags)
{
	struct ifreq ifr = { .ifr_flags = flags };
	int fd, rc;

	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	strncpy(ifr.ifr_name, ifname, sizeof(ifr.ifr_name) - 1);
	if (ioctl(fd, TUNSETIFF, &ifr)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	memcpy(ifname, ifr.ifr_name, IFNAMSIZ);
	return fd;
}

int tap_tun_open(char *ifname, bool *vnet_hdr, bool persist)
{
	short flags = IFF_TAP | IFF_NO_PI;
	int fd;

	*vnet_hdr = false;
	if (!sock_without("vnet_hdr")) {
		fd = tun_attach(ifname, flags | IFF_VNET_HDR);
		if (fd >= 0 && tun_set_offload(fd) >= 0) {
			*vnet_hdr = true;
			goto out;
		}
		if (fd >= 0)
			close(fd);
		else if (fd != -EINVAL)
			return fd;
	}
	fd = tun_attach(ifname, flags);
	if (fd < 0)
		return fd;
out:
	if (persist)
		ioctl(fd, TUNSETPERSIST, 1);
	return fd;
}

int tap_tun_init(struct tap *tap, int fd, bool vnet_hdr)
{
	union epoll_ref ref = { .type = EPOLL_TAP };

	tun_vnet = vnet_hdr;
	tap->fd = fd;
	tap->facts.batch = 8;
	if (vnet_hdr) {
		tap->facts.gso_tcp = TUN_GSO_MAX;
		if (tun_set_offload(fd) > 0)
			tap->facts.gso_udp = TUN_GSO_MAX;
	}
	return loop_add(tap->loop, fd, EPOLLIN, ref);
}

static unsigned tun_reserve(struct tap *tap, unsigned want, size_t hdrlen,
			    size_t len, struct batch *b)
{
	size_t prefix = tun_vnet ? sizeof(struct virtio_net_hdr) : 0;
	size_t room = TUN_TX_LEN / tap_stride(prefix, hdrlen, len);

	(void)tap;
	if (want > room)
		want = (unsigned)room;
	tap_lay_out(b, tun_tx, prefix, want, hdrlen, len);
	return want;
}

/* What the kernel is to do with a frame */
static void tun_push_vnet(struct frame *f)
{
	static const uint8_t gso_type[] = {
		[FRAME_GSO_NONE] = VIRTIO_NET_HDR_GSO_NONE,
		[FRAME_GSO_TCP4] = VIRTIO_NET_HDR_GSO_TCPV4,
		[FRAME_GSO_TCP6] = VIRTIO_NET_HDR_GSO_TCPV6,
		[FRAME_GSO_UDP] = VIRTIO_NET_HDR_GSO_UDP_L4,
	};
	struct virtio_net_hdr vh = { .gso_type = gso_type[f->gso] };

	if (f->csum_start) {
		vh.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		vh.csum_start = f->csum_start;
		vh.csum_offset = f->csum_off;
	}
	if (f->gso != FRAME_GSO_NONE) {
		vh.hdr_len = (uint16_t)f->hdrlen;
		vh.gso_size = f->gso_size;
	}
	memcpy(f->hdr - sizeof(vh), &vh, sizeof(vh));
}

static void tun_submit(struct tap *tap, struct batch *b, unsigned n)
{
	size_t prefix = tun_vnet ? sizeof(struct virtio_net_hdr) : 0;
	unsigned i;

	for (i = 0; i < n; i++) {
		struct frame *f = &b->frame[i];
		ssize_t rc;

		if (tun_vnet)
			tun_push_vnet(f);
		else
			frame_finish_csum(f);
		do {
			rc = write(tap->fd, f->hdr - prefix, prefix + f->len);
		} while (rc < 0 && errno == EINTR);
		if (rc < 0)
			tap->stats.tx_dropped++;
	}
}

/* Describe one frame read. Return: false if it is none */
static bool tun_describe(struct tap *tap, struct tap_rx *rx, struct iovec *iov,
			 uint8_t *buf, size_t len)
{
	size_t prefix = tun_vnet ? sizeof(struct virtio_net_hdr) : 0;

	*rx = (struct tap_rx){ .iov = iov, .iovcnt = 1 };
	if (len < prefix + sizeof(struct ether_header)) {
		tap->stats.rx_short++;
		return false;
	}
	if (tun_vnet) {
		struct virtio_net_hdr vh;

		memcpy(&vh, buf, sizeof(vh));
		rx->csum_ok = vh.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM |
					  VIRTIO_NET_HDR_F_DATA_VALID);
		if (vh.gso_type != VIRTIO_NET_HDR_GSO_NONE)
			rx->gso_size = vh.gso_size;
	}
	iov->iov_base = buf + prefix;
	iov->iov_len = rx->len = len - prefix;
	return true;
}

/**
 * tun_read() - Read frames
 * @tap:	Tap
 * @rx, @iov:	Room for TUN_RX_FRAMES, filled
 * @max:	Reads at most
 * @more:	Set if there may be others, cleared if not
 *
 * Return: frames
 */
static unsigned tun_read(struct tap *tap, struct tap_rx *rx, struct iovec *iov,
			 unsigned max, bool *more)
{
	unsigned n = 0, reads;

	*more = true;
	for (reads = 0; reads < max; reads++) {
		ssize_t len = read(tap->fd, tun_rx[n], TUN_BUF_LEN);

		if (len < 0) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN && errno != EIO)
				warn_limited("Reading from tap device: %s",
					     errstr(errno));
			*more = false;
			break;
		}
		if (tun_describe(tap, &rx[n], &iov[n], tun_rx[n], (size_t)len))
			n++;
	}
	return n;
}

/* Frames are there. To read until there are none takes a read in vain, which is
 * nothing beside a dozen frames and a lot beside one. So as long as frames come
 * one by one, as requests do, one is read; if then the very next turn finds
 * another, it is time to read on. How far, depends on whether it is for one flow
 * alone or others wait meanwhile, here or at their sockets.
 *
 * Level-triggered: what is left comes with the next turn.
 */
static void tun_event(struct tap *tap, uint32_t events)
{
	unsigned max = tap->company ? TUN_RX_SHARED : TUN_RX_FRAMES;
	unsigned rounds = tap->company ? TUN_ROUNDS_SHARED : TUN_ROUNDS;
	struct iovec iov[TUN_RX_FRAMES];
	struct tap_rx rx[TUN_RX_FRAMES];
	unsigned n, round, frames = 0;
	bool more = true;

	if (events & (EPOLLHUP | EPOLLERR)) {
		err("Tap device is gone");
		loop_quit(tap->loop, EXIT_SUCCESS);
		return;
	}
	if (tap->loop->turn == tun_in.turn + 1)
		tun_in.busy = true;
	tun_in.turn = tap->loop->turn;
	for (round = 0; more && round < rounds; round++) {
		n = tun_read(tap, rx, iov, tun_in.busy ? max : 1, &more);
		frames += n;
		if (n)
			tap_input(tap, rx, n);
		if (!tun_in.busy)
			return;
	}
	tun_in.busy = frames > 1;
}

const struct tap_ops tap_tun_ops = {
	.name = "tun",
	.reserve = tun_reserve,
	.submit = tun_submit,
	.event = tun_event,
};
