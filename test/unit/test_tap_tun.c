/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames from and to a real tun device, in a network namespace of our own
 *
 * The kernel behind the device is the guest. Each test runs with all the
 * kernel offers, without USO, and without the virtio-net header.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fdio.h"
#include "test/fake/tap_loop.h"
#include "test/unit/packet.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* linux/udp.h, Linux 4.18 */
#endif

#define TURNS 2000 /* before a wait is given up; each up to 10 ms */
#define PORT  4000

#define OUR4 "192.0.2.1"
#define OUR6 "2001:db8::1"

static const struct kernel {
	const char *name, *without;
	bool vnet, uso;
} kernels[] = {
	{ "all", "", true, true },
	{ "without uso", "uso", true, false },
	{ "without vnet_hdr", "vnet_hdr", false, false },
};
static const struct kernel *kernel;

/* UDP datagrams that came up, other frames are the kernel's own affairs */
static unsigned nframes;
static struct {
	size_t len; /* of the payload */
	uint16_t gso_size;
	bool csum_ok, csum_good, v4;
	uint8_t first, last;
} frames[300];

static void on_frame(const struct tap_rx *rx)
{
	const uint8_t *p = rx->iov->iov_base, *l4;
	bool v4 = rx->len > 14 && p[12] == 0x08 && !p[13];
	size_t off = v4 ? L4_OFF4 : L4_OFF6, l4len;
	struct in6_addr a6[2];
	struct in_addr a4[2];
	uint32_t sum;

	assert_int_equal(rx->iovcnt, 1);
	assert_int_equal(rx->iov->iov_len, rx->len);
	if (rx->len < off + 8 || (!v4 && (p[12] != 0x86 || p[13] != 0xdd)) ||
	    p[L3_OFF + (v4 ? 9 : 6)] != IPPROTO_UDP)
		return;
	l4 = p + off;
	if ((l4[2] << 8 | l4[3]) != PORT)
		return;
	assert_true(nframes < 300);
	assert_memory_equal(p, guest.our_mac, 6);
	l4len = rx->len - off;
	memcpy(a4, p + L3_OFF + 12, sizeof(a4));
	memcpy(a6, p + L3_OFF + 8, sizeof(a6));
	sum = v4 ? csum_pseudo4(a4[0], a4[1], IPPROTO_UDP, l4len)
		 : csum_pseudo6(&a6[0], &a6[1], IPPROTO_UDP, l4len);
	frames[nframes].csum_good = !csum(l4, l4len, sum);
	frames[nframes].csum_ok = rx->csum_ok;
	frames[nframes].gso_size = rx->gso_size;
	frames[nframes].v4 = v4;
	frames[nframes].len = l4len - 8;
	frames[nframes].first = l4len > 8 ? l4[8] : 0;
	frames[nframes].last = l4len > 8 ? l4[l4len - 1] : 0;
	nframes++;
}

/* Of how many flows all frames are said to be */
static unsigned flows = 1;

static unsigned on_input(void *ctx, const struct tap_rx *rx, unsigned n)
{
	unsigned i;

	(void)ctx;
	assert_in_range(n, 1, TAP_RX_MAX);
	for (i = 0; i < n; i++)
		on_frame(&rx[i]);
	return flows;
}

static const struct loop_handler handlers[EPOLL_TYPES] = {
	[EPOLL_TAP] = { "tap", tap_loop_event, &tap },
};
static const struct loop_hooks hooks = { tap_loop_timer, tap_loop_turn, &tap };

static void run(const char *command)
{
	if (system(command))
		fail_msg("%s", command);
}

/* A device, configured as a guest would */
static int setup(void **state)
{
	const struct tap_upcalls up = { .input = on_input };
	char ifname[IFNAMSIZ] = "guest0";
	bool vnet = false;
	int fd;

	kernel = *state;
	nframes = 0;
	resp_guest(&guest);
	setenv("PASST_KERNEL_WITHOUT", kernel->without, 1);
	if (loop_init(&loop, handlers, &hooks))
		return -1;
	fd = tap_tun_open(ifname, &vnet, false);
	if (fd < 0) {
		print_error("/dev/net/tun: %s\n", strerror(-fd));
		return -1;
	}
	assert_string_equal(ifname, "guest0");
	assert_int_equal(vnet, kernel->vnet);
	tap_init(&tap, &tap_tun_ops, &loop, &guest, &up);
	assert_int_equal(tap_tun_init(&tap, fd, vnet), 0);
	run("ip link set guest0 address 52:54:00:12:34:56 mtu 1500 &&"
	    "ip addr add 192.0.2.15/24 dev guest0 &&"
	    "ip link set guest0 up &&"
	    "ip addr add 2001:db8::15/64 dev guest0 nodad &&"
	    "ip neigh add 192.0.2.1 lladdr 9a:55:9a:55:9a:55 dev guest0 &&"
	    "ip neigh add 2001:db8::1 lladdr 9a:55:9a:55:9a:55 dev guest0");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(tap.fd);
	close(loop.epfd);
	return 0;
}

/* The guest's UDP socket, connected to us */
static int udp_socket(bool v4)
{
	union inany_addr a = addr(v4 ? SRC4 : SRC6);
	union inany_addr our = addr(v4 ? OUR4 : OUR6);
	union sockaddr_any sa;
	socklen_t len = sockaddr_from_inany(&sa, &a, PORT, 0);
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &sa.sa, len), 0);
	len = sockaddr_from_inany(&sa, &our, PORT, 0);
	assert_int_equal(connect(fd, &sa.sa, len), 0);
	return fd;
}

/* Turn until so many frames came */
static void wait_frames(unsigned n)
{
	unsigned i;

	for (i = 0; nframes < n && i < TURNS; i++)
		assert_true(loop_turn(&loop, 10) >= 0);
	assert_int_equal(nframes, n);
}

static void test_facts(void **state)
{
	char ifname[IFNAMSIZ] = "other%d";
	bool vnet;
	int fd;

	(void)state;
	assert_true(tap.facts.batch > 0);
	assert_int_equal(tap.facts.gso_tcp > 0, kernel->vnet);
	assert_int_equal(tap.facts.gso_udp > 0, kernel->uso);
	assert_true(tap.facts.gso_tcp + FRAME_HDR_MAX <= TAP_FRAME_MAX + 80);

	/* the kernel chooses a name, or refuses the one there is */
	fd = tap_tun_open(ifname, &vnet, false);
	assert_true(fd >= 0);
	assert_string_equal(ifname, "other0");
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	strcpy(ifname, "guest0");
	assert_int_equal(tap_tun_open(ifname, &vnet, false), -EBUSY);
}

/* Datagrams of the guest: all there, in order, checksum right or excused */
static void test_from_guest(void **state)
{
	uint8_t buf[1472];
	unsigned v4, i;

	(void)state;
	for (v4 = 0; v4 < 2; v4++) {
		int s = udp_socket(v4);

		nframes = 0;
		for (i = 0; i < 200; i++) {
			size_t len = i * 7;

			memset(buf, (int)i, sizeof(buf));
			assert_int_equal(send(s, buf, len, 0), len);
		}
		wait_frames(200);
		for (i = 0; i < 200; i++) {
			assert_int_equal(frames[i].v4, v4);
			assert_int_equal(frames[i].len, i * 7);
			assert_int_equal(frames[i].first, i);
			assert_int_equal(frames[i].last, i);
			assert_int_equal(frames[i].gso_size, 0);
			assert_true(frames[i].csum_ok || frames[i].csum_good);
			if (!kernel->vnet)
				assert_false(frames[i].csum_ok);
		}
		close(s);
	}
	assert_int_equal(tap.stats.rx_short, 0);
}

/* Frames read in one turn at most, of @n datagrams; and all of them are */
static unsigned most_in_turn(int s, unsigned n)
{
	unsigned i, before, most = 0;

	nframes = 0;
	for (i = 0; i < n; i++)
		assert_int_equal(send(s, "", 1, 0), 1);
	for (i = 0; nframes < n && i < TURNS; i++) {
		before = nframes;
		assert_true(loop_turn(&loop, 10) >= 0);
		most = nframes - before > most ? nframes - before : most;
	}
	assert_int_equal(nframes, n);
	return most;
}

/* One flow alone is read as long as there is something, several are not */
static void test_company(void **state)
{
	int s = udp_socket(true);
	unsigned i;

	(void)state;
	assert_in_range(most_in_turn(s, 100), 64, 100);
	flows = 2;
	most_in_turn(s, 100);
	assert_in_range(most_in_turn(s, 100), 1, 8);
	/* and for a while after */
	flows = 1;
	assert_in_range(most_in_turn(s, 100), 1, 8);
	for (i = 0; i < 10; i++)
		most_in_turn(s, 100);
	assert_in_range(most_in_turn(s, 100), 64, 100);
	close(s);
}

/* What the guest leaves to be cut comes whole with USO, cut without */
static void test_from_guest_cut(void **state)
{
	uint8_t buf[3500];
	int size = 1000;
	unsigned v4, i;

	(void)state;
	memset(buf, 7, sizeof(buf));
	for (v4 = 0; v4 < 2; v4++) {
		int s = udp_socket(v4);

		nframes = 0;
		assert_int_equal(setsockopt(s, IPPROTO_UDP, UDP_SEGMENT, &size,
					    sizeof(size)),
				 0);
		assert_int_equal(send(s, buf, sizeof(buf), 0), sizeof(buf));
		wait_frames(kernel->uso ? 1 : 4);
		for (i = 0; i < nframes; i++) {
			assert_int_equal(frames[i].gso_size,
					 kernel->uso ? 1000 : 0);
			assert_int_equal(frames[i].len, kernel->uso ? 3500
							: i < 3     ? 1000
								    : 500);
		}
		close(s);
	}
}

/* A UDP datagram to the guest, its checksum and its cutting left to the tap */
static void push(struct frame *f, bool v4, uint8_t fill, size_t n, size_t cut)
{
	union inany_addr src = addr(v4 ? OUR4 : OUR6);
	union inany_addr dst = addr(v4 ? SRC4 : SRC6);
	struct l3_spec l3 = { .src = &src, .dst = &dst, .proto = IPPROTO_UDP };
	uint8_t *uh = tap_push_l3(&tap, f, &l3, 8 + n);

	frame_push_udp(uh, &l3, PORT, PORT, n);
	memset(f->iov->iov_base, fill, n);
	f->csum_start = (uint16_t)(uh - f->hdr);
	f->csum_off = offsetof(struct udphdr, check);
	f->len = f->hdrlen + n;
	if (cut) {
		f->gso = FRAME_GSO_UDP;
		f->gso_size = (uint16_t)cut;
	}
}

/* Next datagram of the guest's socket is this one */
static void expect_dgram(int s, uint8_t fill, size_t n)
{
	struct pollfd pfd = { .fd = s, .events = POLLIN };
	uint8_t buf[2000];

	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(recv(s, buf, sizeof(buf), 0), n);
	if (n) {
		assert_int_equal(buf[0], fill);
		assert_int_equal(buf[n - 1], fill);
	}
}

static void test_to_guest(void **state)
{
	unsigned v4, i, j, round;

	(void)state;
	for (v4 = 0; v4 < 2; v4++) {
		int s = udp_socket(v4);

		for (round = 0; round < 30; round++) {
			size_t most = round * 50;
			struct batch *b;

			b = tap_reserve(&tap, 40, frame_l3_len(v4) + 8, most);
			assert_non_null(b);
			assert_int_equal(b->n, 40);
			for (i = 0; i < 20; i++)
				push(&b->frame[i], v4, (uint8_t)(round + i),
				     most > i ? most - i : 0, 0);
			tap_submit(&tap, b, 20);
			for (j = 0; j < 20; j++)
				expect_dgram(s, (uint8_t)(round + j),
					     most > j ? most - j : 0);
		}
		close(s);
	}
	assert_int_equal(tap.stats.tx_frames, 2 * 30 * 20);
	assert_int_equal(tap.stats.tx_dropped, 0);
}

/* One large frame becomes many datagrams */
static void test_to_guest_cut(void **state)
{
	static const size_t sizes[] = { 1, 500, 1452 };
	unsigned v4, i, j;

	(void)state;
	if (!kernel->uso) {
		assert_int_equal(tap.facts.gso_udp, 0);
		return;
	}
	for (v4 = 0; v4 < 2; v4++) {
		int s = udp_socket(v4);

		for (i = 0; i < 3; i++) {
			size_t n = sizes[i], last = (n + 1) / 2;
			struct batch *b;

			b = tap_reserve(&tap, 1, frame_l3_len(v4) + 8,
					n * 40 + last);
			assert_non_null(b);
			push(&b->frame[0], v4, 9, n * 40 + last, n);
			tap_submit(&tap, b, 1);
			for (j = 0; j < 40; j++)
				expect_dgram(s, 9, n);
			expect_dgram(s, 9, last);
		}
		close(s);
	}
	assert_int_equal(tap.stats.tx_dropped, 0);
}

/* However much is asked for, what is lent fits */
static void test_room(void **state)
{
	size_t len;

	(void)state;
	for (len = 0; len <= 65535 - 40; len += 1 + len / 3) {
		struct batch *b = tap_reserve(&tap, BATCH_FRAMES, FRAME_HDR_MAX,
					      len);
		unsigned i;

		assert_non_null(b);
		assert_true(b->n >= 7);
		/* the sanitizer sees what lies behind the arena */
		for (i = 0; i < b->n; i++) {
			memset(b->frame[i].hdr, 0, b->frame[i].hdrlen);
			memset(b->frame[i].iov->iov_base, 0, len);
		}
		tap_submit(&tap, b, 0);
	}
	assert_non_null(tap_reserve(&tap, 1, FRAME_HDR_MAX, 65535 - 40));
}

/* Link down: frames are lost and counted, and all is well after that */
static void test_link_down(void **state)
{
	struct batch *b;
	int s;

	(void)state;
	run("ip link set guest0 down");
	b = tap_reserve(&tap, 2, L4_OFF4 + 8, 10);
	push(&b->frame[0], true, 1, 10, 0);
	push(&b->frame[1], true, 2, 10, 0);
	tap_submit(&tap, b, 2);
	assert_int_equal(tap.stats.tx_dropped, 2);
	assert_true(loop_turn(&loop, 0) >= 0);
	assert_true(loop_turn(&loop, 0) >= 0);
	assert_false(loop.quit);

	run("ip link set guest0 up &&"
	    "ip neigh replace 192.0.2.1 lladdr 9a:55:9a:55:9a:55 dev guest0");
	s = udp_socket(true);
	assert_int_equal(send(s, "x", 1, 0), 1);
	wait_frames(1);
	b = tap_reserve(&tap, 1, L4_OFF4 + 8, 10);
	push(&b->frame[0], true, 3, 10, 0);
	tap_submit(&tap, b, 1);
	expect_dgram(s, 3, 10);
	close(s);
}

/* Without the device there is nothing to do for us */
static void test_deleted(void **state)
{
	unsigned i;

	(void)state;
	run("ip link del guest0");
	for (i = 0; !loop.quit && i < TURNS; i++)
		assert_true(loop_turn(&loop, 10) >= 0);
	assert_true(loop.quit);
	assert_int_equal(loop.status, 0);
}

/* One that is to outlive its descriptor does */
static void test_persist(void **state)
{
	char ifname[IFNAMSIZ] = "stays";
	bool vnet;
	int fd = tap_tun_open(ifname, &vnet, true);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	run("ip link show dev stays >/dev/null && ip link del stays");
}

static int group_setup(void **state)
{
	char map[64];

	(void)state;
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)geteuid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) ||
	    write_file("/proc/self/uid_map", map))
		return -1;
	run("ip link set lo up");
	return 0;
}

#define TESTS(k)                                                      \
	TEST(test_facts, k), TEST(test_from_guest, k),                \
		TEST(test_from_guest_cut, k), TEST(test_to_guest, k), \
		TEST(test_to_guest_cut, k), TEST(test_room, k),       \
		TEST(test_link_down, k), TEST(test_deleted, k),       \
		TEST(test_persist, k), TEST(test_company, k)
#define TEST(f, k)                                                            \
	{                                                                     \
#f " " #k, f, setup, teardown, (void *)(uintptr_t)&kernels[k] \
	}

int main(void)
{
	const struct CMUnitTest tests[] = { TESTS(0), TESTS(1), TESTS(2) };

	return cmocka_run_group_tests_name("tap_tun", tests, group_setup, NULL);
}
