/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bad wire: joins two ends and delays, reorders, loses what passes
 *
 * Not every kernel has netem. An end is a device in a namespace or a socket;
 * frames of each go to the other, later, some never, and by a delay that varies
 * in another order. Random numbers come from a seed: the same frames at the same
 * times have the same fate.
 *
 * usage: box [-s SEED] [-d DELAY] [-j JITTER [-r LATE]] [-l LOSS] END END
 *
 *   END	tap:NAME[@NETNS]	a tap device, made
 *		packet:NAME[@NETNS]	a device that is there: what it gets is
 *					taken, what it is to send is put in
 *		stream:PATH		a UNIX stream socket of passt, as QEMU
 *					would connect to it
 *   DELAY	milliseconds, each way; JITTER: up to so many more, at random
 *   LATE	frames of a thousand that jitter is for, if not all
 *   LOSS	frames of a thousand that are lost
 *
 * Prints "ready". SIGUSR1 cuts the wire, SIGUSR2 mends it. SIGTERM: says on
 * standard output what passed, and ends.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX (65535 + 14 + 4)
#define HELD_MAX  32768 /* frames on the wire; more are lost */
#define BATCH     64
#define NS        1000000000LL

enum kind { TAP, PACKET, STREAM };

/* A frame on the wire, in a heap by @due, first come first served if equal */
struct held {
	int64_t due;
	uint64_t serial;
	unsigned to;
	uint32_t len;
	uint8_t *data;
};

static struct end {
	enum kind kind;
	int fd;
	unsigned long frames, lost;
	/* stream: a frame that has not come in full */
	uint8_t buf[sizeof(uint32_t) + FRAME_MAX];
	size_t have;
} ends[2];

static struct held heap[HELD_MAX];
static unsigned nheld;
static uint64_t serial, state = 1;
static int64_t delay, jitter;
static unsigned loss, late = 1000;
static volatile sig_atomic_t cut, over;
static sigset_t waiting; /* signals blocked while we wait: none of ours */

static void die(const char *what)
{
	fprintf(stderr, "box: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS + ts.tv_nsec;
}

/* xorshift64 (Marsaglia 2003) */
static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void on_signal(int sig)
{
	if (sig == SIGTERM)
		over = 1;
	else
		cut = sig == SIGUSR1;
}

/* --- ends ---------------------------------------------------------------- */

static int tap_open(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
		die(name);
	return fd;
}

static int packet_open(const char *name)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, size = 32 << 20;

	if (fd < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one,
		       sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&ll, sizeof(ll)))
		die(name);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

static int stream_open(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die(path);
	return fd;
}

/* One END of the command line; comes back to the namespace it was called in */
static void end_open(struct end *e, char *spec)
{
	char *name = strchr(spec, ':'), *ns = strchr(spec, '@');
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd;

	if (!name)
		die(spec);
	*name++ = '\0';
	if (ns) {
		*ns++ = '\0';
		fd = open(ns, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || setns(fd, CLONE_NEWNET))
			die(ns);
		close(fd);
	}
	if (!strcmp(spec, "tap")) {
		e->kind = TAP;
		e->fd = tap_open(name);
	} else if (!strcmp(spec, "packet")) {
		e->kind = PACKET;
		e->fd = packet_open(name);
	} else if (!strcmp(spec, "stream")) {
		e->kind = STREAM;
		e->fd = stream_open(name);
	} else {
		errno = EINVAL;
		die(spec);
	}
	if (setns(own, CLONE_NEWNET))
		die("namespace");
	close(own);
}

/* All bytes to a stream, however long it takes: it has no datagrams to lose */
static void stream_write(int fd, const uint8_t *data, size_t n)
{
	while (n) {
		ssize_t done = send(fd, data, n, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR && !over)
			continue;
		if (done <= 0)
			exit(0);
		data += done;
		n -= (size_t)done;
	}
}

static void end_write(struct end *e, const uint8_t *data, uint32_t len)
{
	uint32_t prefix = htonl(len);

	if (e->kind == STREAM) {
		stream_write(e->fd, (uint8_t *)&prefix, sizeof(prefix));
		stream_write(e->fd, data, len);
	} else if (write(e->fd, data, len) < 0 && errno != EIO &&
		   errno != ENOBUFS && errno != EAGAIN && errno != ENETDOWN) {
		perror("box: write");
	}
}

/* One frame, or 0 if there is none now */
static size_t end_read(struct end *e, uint8_t *data)
{
	ssize_t n;
	uint32_t len;

	if (e->kind != STREAM) {
		n = read(e->fd, data, FRAME_MAX);
		return n > 0 ? (size_t)n : 0;
	}
	for (;;) {
		size_t want = sizeof(len);

		if (e->have >= sizeof(len)) {
			memcpy(&len, e->buf, sizeof(len));
			want += ntohl(len);
			if (want > sizeof(e->buf))
				die("length of frame");
		}
		if (e->have == want && want > sizeof(len)) {
			memcpy(data, e->buf + sizeof(len), want - sizeof(len));
			e->have = 0;
			return want - sizeof(len);
		}
		n = recv(e->fd, e->buf + e->have, want - e->have, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0)
			exit(0); /* passt is gone */
		e->have += (size_t)n;
	}
}

/* --- wire ---------------------------------------------------------------- */

static bool before(const struct held *a, const struct held *b)
{
	return a->due < b->due || (a->due == b->due && a->serial < b->serial);
}

static void heap_swap(unsigned a, unsigned b)
{
	struct held t = heap[a];

	heap[a] = heap[b];
	heap[b] = t;
}

static void heap_put(struct held h)
{
	unsigned i = nheld++;

	heap[i] = h;
	for (; i && before(&heap[i], &heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap_swap(i, (i - 1) / 2);
}

static struct held heap_take(void)
{
	struct held first = heap[0];
	unsigned i = 0, c;

	heap[0] = heap[--nheld];
	while ((c = 2 * i + 1) < nheld) {
		if (c + 1 < nheld && before(&heap[c + 1], &heap[c]))
			c++;
		if (!before(&heap[c], &heap[i]))
			break;
		heap_swap(i, c);
		i = c;
	}
	return first;
}

/* Take what an end has */
static void fill(unsigned from)
{
	static uint8_t frame[FRAME_MAX];
	struct end *e = &ends[from];
	int64_t more;
	unsigned i;

	for (i = 0; i < BATCH; i++) {
		struct held h = { .serial = serial++, .to = !from };
		size_t n = end_read(e, frame);

		if (!n)
			return;
		e->frames++;
		/* always as many random numbers a frame */
		more = (int64_t)(next_random() % (uint64_t)(jitter + 1));
		h.due = now() + delay;
		if (next_random() % 1000 < late)
			h.due += more;
		if (next_random() % 1000 < loss || cut || nheld == HELD_MAX) {
			e->lost++;
			continue;
		}
		h.len = (uint32_t)n;
		h.data = malloc(n);
		if (!h.data)
			die("memory");
		memcpy(h.data, frame, n);
		heap_put(h);
	}
}

/* Deliver what is due. Return: ns until the next one is, -1: none */
static int64_t drain(void)
{
	while (nheld && heap[0].due <= now()) {
		struct held h = heap_take();

		end_write(&ends[h.to], h.data, h.len);
		free(h.data);
	}
	return nheld ? heap[0].due - now() : -1;
}

static void run(void)
{
	while (!over) {
		struct pollfd p[2] = { { .fd = ends[0].fd, .events = POLLIN },
				       { .fd = ends[1].fd, .events = POLLIN } };
		int64_t left = drain();
		struct timespec ts = { .tv_sec = left / NS,
				       .tv_nsec = left % NS };

		if (left >= 0 && left < 1)
			ts = (struct timespec){ .tv_nsec = 1 };
		if (ppoll(p, 2, left < 0 ? NULL : &ts, &waiting) < 0 &&
		    errno != EINTR)
			die("poll");
		fill(0);
		fill(1);
	}
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t ours;
	int c;

	while ((c = getopt(argc, argv, "s:d:j:r:l:")) != -1) {
		if (c == 's')
			state = strtoull(optarg, NULL, 0);
		else if (c == 'd')
			delay = atoll(optarg) * (NS / 1000);
		else if (c == 'j')
			jitter = atoll(optarg) * (NS / 1000);
		else if (c == 'r')
			late = (unsigned)atoi(optarg);
		else if (c == 'l')
			loss = (unsigned)atoi(optarg);
	}
	if (argc - optind != 2 || !state) {
		fputs("usage: box [-s SEED] [-d DELAY] [-j JITTER [-r LATE]] "
		      "[-l LOSS] END END\n",
		      stderr);
		return 2;
	}
	end_open(&ends[0], argv[optind]);
	end_open(&ends[1], argv[optind + 1]);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	/* They come while we wait, or one just before would be slept over */
	sigemptyset(&ours);
	sigaddset(&ours, SIGUSR1);
	sigaddset(&ours, SIGUSR2);
	sigaddset(&ours, SIGTERM);
	sigprocmask(SIG_BLOCK, &ours, &waiting);
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	puts("ready");
	fflush(stdout);
	run();
	printf("{\"frames\": [%lu, %lu], \"lost\": [%lu, %lu]}\n",
	       ends[0].frames, ends[1].frames, ends[0].lost, ends[1].lost);
	return 0;
}
