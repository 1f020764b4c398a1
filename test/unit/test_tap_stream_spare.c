/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames on a stream socket that is full: what is left to those that come alone */

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest.h"
#include "test/fake/tap_loop.h"

#define HDR   54   /* bytes of headers */
#define ALONE 64   /* answers that find room beside any bulk */
#define TURNS 5000 /* before a wait is given up */

static struct loop loop;
static struct tap tap;
static struct guest guest;
static unsigned nready;
static int peer, room; /* of the socket, before it was ours */

static unsigned on_input(void *ctx, const struct tap_rx *rx, unsigned n)
{
	(void)ctx;
	(void)rx;
	return n;
}

static void on_ready(void *ctx)
{
	(void)ctx;
	nready++;
}

static void on_link(void *ctx, bool up)
{
	(void)ctx;
	(void)up;
}

static const struct loop_handler handlers[EPOLL_TYPES] = {
	[EPOLL_TAP] = { "tap", tap_loop_event, &tap },
};
static const struct loop_hooks hooks = { tap_loop_timer, tap_loop_turn, &tap };

/* Room in a socket */
static int room_of(int fd)
{
	socklen_t len = sizeof(int);
	int size;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len), 0);
	return size;
}

/* A tap whose peer does not read, by a socket with room asked for */
static int setup_room(int ask)
{
	const struct tap_upcalls up = { on_input, on_ready, on_link, NULL };
	struct tap_stream_opts opts = { 0 };
	int fd[2];

	assert_int_equal(loop_init(&loop, handlers, &hooks), 0);
	tap_init(&tap, &tap_stream_ops, &loop, &guest, &up);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	assert_int_equal(
		setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &ask, sizeof(ask)), 0);
	room = room_of(fd[1]);
	opts.fd = fd[1];
	peer = fd[0];
	nready = 0;
	return tap_stream_init(&tap, &opts);
}

static int setup(void **state)
{
	(void)state;
	return setup_room(100000);
}

static int setup_large(void **state)
{
	(void)state;
	return setup_room(2000000);
}

static int teardown(void **state)
{
	unsigned i;

	(void)state;
	close(peer);
	for (i = 0; tap.fd >= 0 && i < TURNS; i++)
		loop_turn(&loop, 0);
	return close(loop.epfd);
}

/* Frames of @len, @want at once, until none is lent. Return: how many */
static unsigned fill(unsigned want, size_t len)
{
	struct batch *b;
	unsigned n = 0;

	while ((b = tap_reserve(&tap, want, HDR, len))) {
		n += b->n;
		tap_submit(&tap, b, b->n);
	}
	return n;
}

/* Once bulk of frames of @len finds no room, answers do; up to an end as well */
static void check(size_t len)
{
	static uint8_t buf[1 << 16];
	unsigned i, was;

	assert_true(fill(BATCH_FRAMES, len) > 1);
	assert_null(tap_reserve(&tap, BATCH_FRAMES, HDR, len));
	assert_in_range(fill(1, 1000), ALONE - 10, 10 * ALONE);
	assert_null(tap_reserve(&tap, 1, HDR, 1000));
	/* all of it arrives, and there is room for everybody */
	was = nready;
	for (i = 0; i < TURNS && nready == was; i++) {
		recv(peer, buf, sizeof(buf), 0);
		loop_turn(&loop, 0);
	}
	assert_int_equal(nready, was + 1);
	assert_int_equal(tap.stats.tx_dropped, 0);
	assert_true(fill(BATCH_FRAMES, len) > 1);
}

/* TCP in segments of an Ethernet */
static void test_segments(void **state)
{
	(void)state;
	check(1460);
}

/* No more bytes than that are needed to have as many frames as there can be */
static void test_shortest(void **state)
{
	(void)state;
	check(4);
}

/* One frame may be as long as many */
static void test_longest(void **state)
{
	(void)state;
	assert_true(fill(1, 65000) > 1);
	assert_null(tap_reserve(&tap, 1, HDR, 65000));
	assert_in_range(fill(1, 1000), ALONE - 10, 1000);
}

/* There is as much room in a socket as we want, or as may be had */
static void test_room(void **state)
{
	const int want = 512 << 10, all = 1 << 30;
	int most, fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &all, sizeof(all)), 0);
	most = room_of(fd);
	assert_true(room < want);
	assert_int_equal(room_of(tap.fd), most < want ? most : want);
	close(fd);
}

/* Whoever gave it more had a reason */
static void test_room_large(void **state)
{
	(void)state;
	assert_int_equal(room_of(tap.fd), room);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_segments),
		TEST(test_shortest),
		TEST(test_longest),
		TEST(test_room),
		cmocka_unit_test_setup_teardown(test_room_large, setup_large,
						teardown),
	};

	return cmocka_run_group_tests_name("tap_stream_spare", tests, NULL,
					   NULL);
}
