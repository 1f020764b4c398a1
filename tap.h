/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest-facing link: frames in, frames out, whatever carries them */
#ifndef TAP_H
#define TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "frame.h"
#include "loop.h"

struct guest;
struct pcap;
struct tap;

/* L2 frame at most: 64 KiB of IP packet behind an Ethernet header */
#define TAP_FRAME_MAX (sizeof(struct ether_header) + IPV4_MAX_LEN)
#define TAP_MTU_MAX   65521 /* as announced and configured, see --mtu */

/* Frames handed to the protocols at once */
#define TAP_RX_MAX 64

/* Batches of one flow alone until it counts as the only one */
#define TAP_COMPANY 64

/**
 * struct tap_rx - One frame from the guest, valid until release
 * @iov:	Buffers; headers may be split between them
 * @iovcnt:	Number of buffers
 * @len:	Ethernet header to last byte
 * @csum_ok:	L4 checksum need not be looked at
 * @gso_size:	Not 0: L4 payload the sender would have put in one segment
 */
struct tap_rx {
	const struct iovec *iov;
	unsigned iovcnt;
	size_t len;
	bool csum_ok;
	uint16_t gso_size;
};

/**
 * struct tap_facts - What a backend can do, fixed when its link is up
 * @gso_tcp:	Most TCP payload in one frame to be cut by the receiver;
 *		0: frames must fit the MTU
 * @gso_udp:	The same for UDP (USO)
 * @batch:	Full-size frames worth reserving at once
 */
struct tap_facts {
	size_t gso_tcp;
	size_t gso_udp;
	unsigned batch;
};

/**
 * struct tap_ops - A backend: indirect calls are per batch, never per frame
 *
 * A third backend (vhost-user) fits here without a change to any protocol:
 * reserve lends descriptors of guest memory as payload buffers, submit makes
 * them used, discard gives them back.
 */
struct tap_ops {
	const char *name;

	/* Lend up to @want frames, each with @hdrlen bytes of header and @len
	 * bytes of payload room. Return: frames lent; 0: blocked, the tap calls
	 * ready later. Only one batch is lent at a time.
	 */
	unsigned (*reserve)(struct tap *tap, unsigned want, size_t hdrlen,
			    size_t len, struct batch *b);

	/* The first @n frames are final, the others are given back. Frames
	 * cannot be refused any more, but a broken link loses them.
	 */
	void (*submit)(struct tap *tap, struct batch *b, unsigned n);

	/* Send what submit may have kept; end of each turn of the loop */
	void (*flush)(struct tap *tap);

	/* Events on the descriptor of the link (EPOLL_TAP) */
	void (*event)(struct tap *tap, uint32_t events);

	/* Events on a listening socket (EPOLL_TAP_LISTEN), may be NULL */
	void (*accept)(struct tap *tap, uint32_t events);
};

/* Upward calls, wired in passt.c */
struct tap_upcalls {
	/* @n frames arrived; to be done with when it returns. Return: of how
	 * many flows, as far as it matters whether it was more than one
	 */
	unsigned (*input)(void *ctx, const struct tap_rx *rx, unsigned n);
	/* reserve may succeed again */
	void (*ready)(void *ctx);
	/* the link came up (connected, carrier) or went down */
	void (*link)(void *ctx, bool up);
	void *ctx;
};

/* Counters */
struct tap_stats {
	uint64_t rx_frames, rx_bytes, rx_short, rx_bad_len;
	uint64_t tx_frames, tx_bytes, tx_dropped, tx_blocked;
};

/**
 * struct tap - A link to the guest
 * @ops:	Backend
 * @facts:	What it can do now
 * @fd:		Descriptor of the link, -1 while there is none
 * @loop:	Event loop it is registered with
 * @guest:	Guest at the other end: MAC addresses
 * @pcap:	Capture, NULL if none
 * @up:		Upward calls
 * @stats:	Counters
 * @company:	Frames of several flows came at once; so many more batches of one
 *		flow, and it has the link to itself
 * @batch:	The one batch that can be lent at a time
 * @ip_id:	Identification of the last packet sent in fragments; secret at start
 */
struct tap {
	const struct tap_ops *ops;
	struct tap_facts facts;
	int fd;
	struct loop *loop;
	struct guest *guest;
	struct pcap *pcap;
	struct tap_upcalls up;
	struct tap_stats stats;
	unsigned company;
	struct batch batch;
	uint32_t ip_id;
};

/* How the stream backend finds its peer: filled by conf */
struct tap_stream_opts {
	const char *path; /* --socket, NULL: probe /tmp/passt_N.socket */
	int fd;           /* --fd, -1 if none: connected already */
	bool one_off;     /* --one-off */
};

/**
 * tap_init() - Common part of every backend's set-up
 * @tap:	Tap; zeroed and filled
 * @ops:	Backend
 * @loop:	Event loop
 * @guest:	Guest at the other end
 * @up:		Upward calls, copied
 */
void tap_init(struct tap *tap, const struct tap_ops *ops, struct loop *loop,
	      struct guest *guest, const struct tap_upcalls *up);

/**
 * tap_reserve() - Borrow frames to fill
 * @tap:	Tap
 * @want:	Frames wanted, cut to BATCH_FRAMES
 * @hdrlen:	Header bytes of each, at most FRAME_HDR_MAX
 * @len:	Payload room of each, bytes
 *
 * Each frame comes with hdrlen set, no checksum left over, no segmentation
 * and len covering headers and all payload room.
 *
 * Return: batch lent, to be given to tap_submit() in the same turn, NULL if
 *	   blocked: upcall ready follows
 */
struct batch *tap_reserve(struct tap *tap, unsigned want, size_t hdrlen,
			  size_t len);

/**
 * tap_submit() - Hand over the first frames of a batch, give back the rest
 * @tap:	Tap
 * @b:		Batch from tap_reserve()
 * @n:		Number of finished frames, 0: discard all
 *
 * Pads short frames to ETH_MIN_LEN (guests are known to drop runts), writes
 * them to the capture.
 */
void tap_submit(struct tap *tap, struct batch *b, unsigned n);

/**
 * tap_flush() - Send what was submitted in this turn
 * @tap:	Tap
 */
void tap_flush(struct tap *tap);

/**
 * tap_push_l3() - Ethernet and IP headers towards the guest
 * @tap:	Tap: MAC addresses
 * @f:		Frame lent
 * @l3:		Specification
 * @l4len:	L4 header and payload bytes
 *
 * Return: where the L4 header goes, behind the IP header in @f->hdr
 */
void *tap_push_l3(struct tap *tap, struct frame *f, const struct l3_spec *l3,
		  size_t l4len);

/**
 * tap_send_l4() - Send one small datagram built elsewhere
 * @tap:	Tap
 * @l3:		Specification
 * @l4:		L4 header and payload; the checksum field zero
 * @l4len:	Bytes
 * @csum_off:	Offset of the checksum field in @l4, -1 if there is none to fill.
 *		ICMPv4 sums have no pseudo-header, all others have.
 *
 * For DHCP, NDP, ICMP and resets: convenience before speed. What exceeds the MTU
 * goes in fragments.
 *
 * Return: 0, -EAGAIN if the tap is blocked, -EMSGSIZE if larger than IP allows
 */
int tap_send_l4(struct tap *tap, const struct l3_spec *l3, const void *l4,
		size_t l4len, int csum_off);

/**
 * tap_mtu() - Largest IP packet for the guest's link
 * @tap:	Tap
 */
size_t tap_mtu(const struct tap *tap);

/**
 * tap_send_fragments() - Send a packet larger than the MTU
 * @tap:	Tap
 * @l3:		Specification
 * @iov:	L4 header, checksum complete, and payload
 * @iovcnt:	Number of buffers
 *
 * Source: RFC 791 3.2, RFC 8200 4.5.
 *
 * Return: 0, -EMSGSIZE if larger than IP allows, -EAGAIN if the tap is blocked,
 *	   perhaps after some fragments: the guest drops those in time
 */
int tap_send_fragments(struct tap *tap, const struct l3_spec *l3,
		       const struct iovec *iov, size_t iovcnt);

/**
 * tap_send_l2() - Send one small frame built elsewhere (ARP)
 * @tap:	Tap
 * @frame:	Whole frame from the Ethernet header on
 * @len:	Bytes
 *
 * Return: 0, -EAGAIN if the tap is blocked
 */
int tap_send_l2(struct tap *tap, const void *frame, size_t len);

/**
 * tap_stream_init() - Start the UNIX stream backend (QEMU -netdev stream)
 * @tap:	Tap, from tap_init() with tap_stream_ops
 * @opts:	Where the peer is
 *
 * Return: 0, or -errno after a message
 */
int tap_stream_init(struct tap *tap, const struct tap_stream_opts *opts);
extern const struct tap_ops tap_stream_ops;

/**
 * tap_tun_open() - Create the tap device in the calling thread's namespace
 * @ifname:	Name wanted, IFNAMSIZ bytes; replaced by the name given
 * @vnet_hdr:	Filled: did the kernel take IFF_VNET_HDR and the offloads?
 * @persist:	Let the device outlive the descriptor: in a namespace of our own
 *		its removal must not be waited for
 *
 * Source: Linux, Documentation/networking/tuntap.rst.
 *
 * Return: descriptor, non-blocking, or -errno
 */
int tap_tun_open(char *ifname, bool *vnet_hdr, bool persist);

/**
 * tap_tun_init() - Start the tun backend on a device
 * @tap:	Tap, from tap_init() with tap_tun_ops
 * @fd:		Descriptor from tap_tun_open(), owned by the tap from here
 * @vnet_hdr:	As filled by tap_tun_open()
 *
 * Return: 0, or -errno
 */
int tap_tun_init(struct tap *tap, int fd, bool vnet_hdr);
extern const struct tap_ops tap_tun_ops;

#endif /* TAP_H */
