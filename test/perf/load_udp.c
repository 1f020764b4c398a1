// SPDX-License-Identifier: GPL-2.0-or-later
/* Load generator: datagram floods with sequence numbers
 *
 * Each datagram starts with a 64-bit sequence number. What the receiver
 * counted over the time between its first and its last datagram is the
 * delivered rate; what the sender handed to its kernel less that is the loss.
 * Outwards the client floods and the server counts (flood, sink); inwards the
 * client says hello and the server floods back to where that came from (pull,
 * source), so that no contestant needs a forwarded port.
 *
 * The receiver naps when there is nothing to receive instead of waiting in
 * poll(): on virtual machines, waking it for each datagram costs the sender
 * more than sending does, and that at random, which hid what was measured.
 *
 * With NSEG > 1 the sender passes NSEG datagrams to one sendmsg() and has the
 * kernel cut them (UDP_SEGMENT).
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/udp.h>

#include "load.h"

#ifndef SOL_UDP
#define SOL_UDP 17
#endif

#define MAX_DGRAM   65507 /* UDP over IPv4 without options */
#define RX_BATCH    64
#define RX_BUF      (4 << 20)  /* the kernel caps it to rmem_max */
#define FIRST_MS    5000       /* wait for the first datagram */
#define IDLE_MS     250        /* silence that ends a flood */
#define PACE_NS     200000     /* a paced sender wakes this often */
#define NAP_NS      50000      /* of a receiver with nothing to do */
#define MS          1000000ULL /* in nanoseconds */
#define HELLO_TRIES 20
#define HELLO_MS    100

/* What to send, and how fast */
struct flood {
	size_t size; /* bytes a datagram */
	uint64_t secs;
	uint64_t pps; /* 0: as fast as it goes */
	size_t nseg;  /* datagrams a call */
};

static char txbuf[65536];
static char rxbuf[RX_BATCH][65536];

/* Fill @fl from SIZE SECS PPS NSEG */
static void flood_parse(struct flood *fl, char **argv)
{
	*fl = (struct flood){ .size = (size_t)atoi(argv[0]),
			      .secs = (uint64_t)atoi(argv[1]),
			      .pps = (uint64_t)atoll(argv[2]),
			      .nseg = (size_t)atoi(argv[3]) };
	if (fl->size < sizeof(uint64_t) || !fl->nseg ||
	    fl->size * fl->nseg > MAX_DGRAM) {
		errno = EINVAL;
		load_die("datagram size");
	}
}

/* Send one call's worth of datagrams from @seq on; Return: datagrams sent */
static size_t flood_once(int fd, const struct flood *fl, uint64_t seq)
{
	size_t i;

	for (i = 0; i < fl->nseg; i++) {
		uint64_t s = seq + i;

		memcpy(txbuf + i * fl->size, &s, sizeof(s));
	}
	if (send(fd, txbuf, fl->size * fl->nseg, 0) < 0)
		return 0;
	return fl->nseg;
}

/* Flood a connected socket and print what was sent */
static int flood_run(int fd, const struct flood *fl)
{
	uint64_t start = load_now(), now = start, sent = 0, failed = 0, due;
	struct timespec nap = { .tv_nsec = PACE_NS };
	int seg = (int)fl->size, buf = RX_BUF;
	size_t n;

	if (fl->nseg > 1 &&
	    setsockopt(fd, SOL_UDP, UDP_SEGMENT, &seg, sizeof(seg)))
		load_die("UDP_SEGMENT");
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buf, sizeof(buf));
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);

	while (now - start < fl->secs * 1000000000) {
		due = (now - start) / 1000 * fl->pps / 1000000;
		if (fl->pps && sent + failed >= due) {
			nanosleep(&nap, NULL);
		} else {
			n = flood_once(fd, fl, sent);
			sent += n;
			failed += n ? 0 : fl->nseg;
		}
		now = load_now();
	}
	printf("{\"sent\": %llu, \"failed\": %llu, \"secs\": %.6f}\n",
	       (unsigned long long)sent, (unsigned long long)failed,
	       (double)(now - start) / 1e9);
	return 0;
}

/* Count datagrams on @fd until it falls silent, and print the count */
static int sink_run(int fd)
{
	uint64_t first = 0, last = 0, count = 0, bytes = 0, next = 0, ooo = 0;
	static struct mmsghdr msgs[RX_BATCH];
	static struct iovec iov[RX_BATCH];
	struct timespec nap = { .tv_nsec = NAP_NS };
	uint64_t seq, since = load_now();
	int i, n;

	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	for (i = 0; i < RX_BATCH; i++) {
		iov[i] = (struct iovec){ rxbuf[i], sizeof(rxbuf[i]) };
		msgs[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i],
						   .msg_iovlen = 1 };
	}

	while (load_now() - since < (count ? IDLE_MS : FIRST_MS) * MS) {
		n = recvmmsg(fd, msgs, RX_BATCH, MSG_DONTWAIT, NULL);
		if (n <= 0) {
			nanosleep(&nap, NULL);
			continue;
		}
		last = since = load_now();
		if (!first)
			first = last;
		for (i = 0; i < n; i++) {
			memcpy(&seq, rxbuf[i], sizeof(seq));
			ooo += seq < next;
			next = seq + 1;
			bytes += msgs[i].msg_len;
		}
		count += (uint64_t)n;
	}
	printf("{\"received\": %llu, \"bytes\": %llu, \"secs\": %.6f, "
	       "\"reordered\": %llu}\n",
	       (unsigned long long)count, (unsigned long long)bytes,
	       (double)(last - first) / 1e9, (unsigned long long)ooo);
	return 0;
}

/* Give @fd the largest receive buffer an unprivileged program may ask for */
static void sink_buffer(int fd)
{
	int buf = RX_BUF;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buf, sizeof(buf));
}

/* Return: UDP socket connected to @argv, address and port */
static int udp_connected(char **argv)
{
	struct load_addr a = load_addr_parse(argv[0], argv[1]);
	int fd = socket(a.sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a.sa, a.len))
		load_die("connect");
	return fd;
}

int load_udp_sink(char **argv)
{
	int fd = load_bound(SOCK_DGRAM, argv[0]);

	sink_buffer(fd);
	load_ready();
	return sink_run(fd);
}

int load_udp_flood(char **argv)
{
	struct flood fl;

	flood_parse(&fl, argv + 2);
	return flood_run(udp_connected(argv), &fl);
}

int load_udp_source(char **argv)
{
	int fd = load_bound(SOCK_DGRAM, argv[0]);
	struct load_addr to = { .len = sizeof(to.sa) };
	struct flood fl;
	char hello;

	flood_parse(&fl, argv + 1);
	load_ready();
	if (recvfrom(fd, &hello, 1, 0, (struct sockaddr *)&to.sa, &to.len) < 0)
		load_die("hello");
	if (connect(fd, (struct sockaddr *)&to.sa, to.len))
		load_die("connect");
	return flood_run(fd, &fl);
}

int load_udp_pull(char **argv)
{
	int fd = udp_connected(argv), i;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	sink_buffer(fd);
	for (i = 0; i < HELLO_TRIES; i++) {
		send(fd, "?", 1, 0);
		if (poll(&p, 1, HELLO_MS) > 0)
			break;
	}
	return sink_run(fd);
}
