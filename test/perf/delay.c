// SPDX-License-Identifier: GPL-2.0-or-later
/* A long wire: joins two namespaces, delivering each packet some time later
 *
 * netem is not everywhere. Two tun devices, one in the namespace this starts
 * in and one in a second one, with segmentation and checksum offload so that
 * super-frames stay whole, and a ring of bytes for each direction. A packet
 * that does not fit is lost, as on a real wire with a finite buffer.
 *
 * With LOSS, each packet is lost at random with that probability, in millionths,
 * and packets come as they are on a wire: no super-frames, of which more would
 * be lost at once. What is lost depends on how many packets came before in the
 * same direction, and on a constant. SIGUSR1 begins anew, so that whoever is
 * measured next meets the same losses.
 *
 * usage: delay DEVICE NETNS-PATH MILLISECONDS (one way) [LOSS]
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>

#define VNET_LEN   ((int)sizeof(struct virtio_net_hdr_mrg_rxbuf))
#define RING_SIZE  (32 << 20)
#define MAX_PACKET (66 << 10)
#define BATCH      64
#define NS         1000000000LL
#define MILLION    1000000
#define SEED       0x9e3779b97f4a7c15ULL

/* Before each packet in a ring; len 0: the rest of the ring is unused */
struct record {
	int64_t due;
	uint64_t len;
};

/* One direction */
struct wire {
	uint8_t ring[RING_SIZE];
	size_t head; /* next byte to deliver */
	size_t tail; /* next byte to fill */
	size_t used;
	uint64_t random;
	int from;
	int to;
};

static struct wire wires[2];
static uint8_t scratch[MAX_PACKET];
static uint64_t loss; /* millionths */
static volatile sig_atomic_t anew = 1;

static void die(const char *what)
{
	fprintf(stderr, "delay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS + ts.tv_nsec;
}

/* Return: a new tun device in the namespace we are in */
static int tun_open(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int vnet_len = VNET_LEN;

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) ||
	    ioctl(fd, TUNSETVNETHDRSZ, &vnet_len) ||
	    ioctl(fd, TUNSETOFFLOAD,
		  TUN_F_CSUM | (loss ? 0 : TUN_F_TSO4 | TUN_F_TSO6)))
		die("tun");
	return fd;
}

/* Bytes a packet takes in a ring, its record included, kept aligned */
static size_t record_size(size_t len)
{
	return (sizeof(struct record) + len + 15) / 16 * 16;
}

/* Append a packet, or lose it */
static void wire_put(struct wire *w, const uint8_t *data, size_t len,
		     int64_t due)
{
	struct record r = { .due = due, .len = len };
	size_t size = record_size(len), rest = RING_SIZE - w->tail;

	if (w->used + size + (rest < size ? rest : 0) > RING_SIZE)
		return;
	if (rest < size) {
		if (rest)
			memset(w->ring + w->tail, 0, sizeof(r));
		w->used += rest;
		w->tail = 0;
	}
	memcpy(w->ring + w->tail, &r, sizeof(r));
	memcpy(w->ring + w->tail + sizeof(r), data, len);
	w->tail = (w->tail + size) % RING_SIZE;
	w->used += size;
}

/* Is the next packet lost? One step of xorshift64* */
static int wire_loses(struct wire *w)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return (w->random * 0x2545f4914f6cdd1dULL >> 32) % MILLION < loss;
}

/* Take what the device has */
static void wire_fill(struct wire *w, int64_t delay)
{
	int64_t due = now() + delay;
	ssize_t n;
	int i;

	for (i = 0; i < BATCH; i++) {
		n = read(w->from, scratch, sizeof(scratch));
		if (n <= 0)
			return;
		if (!wire_loses(w))
			wire_put(w, scratch, (size_t)n, due);
	}
}

/* Deliver what is due; Return: when the next one is, or -1 for none */
static int64_t wire_drain(struct wire *w)
{
	struct record r;

	while (w->used) {
		memcpy(&r, w->ring + w->head, sizeof(r));
		if (!r.len) {
			w->used -= RING_SIZE - w->head;
			w->head = 0;
			continue;
		}
		if (r.due > now())
			return r.due;
		if (write(w->to, w->ring + w->head + sizeof(r), r.len) < 0 &&
		    errno == EAGAIN)
			return r.due + NS / 10000;
		w->head = (w->head + record_size(r.len)) % RING_SIZE;
		w->used -= record_size(r.len);
	}
	return -1;
}

/* Wait for a packet, or until the next one is due */
static void wait_until(int64_t due)
{
	struct pollfd p[2] = { { .fd = wires[0].from, .events = POLLIN },
			       { .fd = wires[1].from, .events = POLLIN } };
	int64_t left = due - now();
	struct timespec ts;

	if (due >= 0 && left < 0)
		left = 0;
	ts = (struct timespec){ .tv_sec = left / NS, .tv_nsec = left % NS };
	if (ppoll(p, 2, due < 0 ? NULL : &ts, NULL) < 0 && errno != EINTR)
		die("poll");
}

static void on_usr1(int sig)
{
	(void)sig;
	anew = 1;
}

int main(int argc, char **argv)
{
	int64_t delay, due[2];
	int i, ns;

	if (argc != 4 && argc != 5) {
		fputs("usage: delay DEVICE NETNS-PATH MILLISECONDS [LOSS]\n",
		      stderr);
		return 2;
	}
	delay = atoi(argv[3]) * (NS / 1000);
	loss = argc == 5 ? (uint64_t)atoi(argv[4]) : 0;
	signal(SIGUSR1, on_usr1);

	wires[0].from = wires[1].to = tun_open(argv[1]);
	ns = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET))
		die(argv[2]);
	wires[0].to = wires[1].from = tun_open(argv[1]);
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	puts("ready");
	fflush(stdout);

	for (;;) {
		if (anew) {
			anew = 0;
			wires[0].random = SEED;
			wires[1].random = ~SEED;
		}
		for (i = 0; i < 2; i++) {
			wire_fill(&wires[i], delay);
			due[i] = wire_drain(&wires[i]);
		}
		if (due[0] < 0 || (due[1] >= 0 && due[1] < due[0]))
			due[0] = due[1];
		wait_until(due[0]);
	}
}
