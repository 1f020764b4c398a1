/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames on a stream socket: framing, clients, back-pressure */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "test/fake/tap_loop.h"
#include "test/unit/fds.h"
#include "test/unit/packet.h"
#include "test/fuzz/seed.h"

#define TURNS 5000 /* before a wait is given up */

static char dir[] = "/tmp/test_stream_XXXXXX";
static char path[64];

/* What the upward calls were given */
static unsigned nframes, nready, nup, ndown, most;
static size_t flens[TAP_RX_MAX * 64];
static uint32_t fsum; /* rolling sum of all bytes, to compare at the end */
static bool eager;    /* fill the tap whenever it is ready */

static uint32_t roll(uint32_t sum, const uint8_t *p, size_t n)
{
	while (n--)
		sum = sum * 31 + *p++;
	return sum;
}

static unsigned on_input(void *ctx, const struct tap_rx *rx, unsigned n)
{
	unsigned i;

	assert_ptr_equal(ctx, &tap);
	assert_in_range(n, 1, TAP_RX_MAX);
	most = n > most ? n : most;
	for (i = 0; i < n; i++) {
		assert_int_equal(rx[i].iovcnt, 1);
		assert_int_equal(rx[i].iov->iov_len, rx[i].len);
		assert_true(rx[i].csum_ok);
		assert_int_equal(rx[i].gso_size, 0);
		assert_true(nframes < sizeof(flens) / sizeof(flens[0]));
		flens[nframes++] = rx[i].len;
		fsum = roll(fsum, rx[i].iov->iov_base, rx[i].len);
	}
	return 1;
}

static void on_link(void *ctx, bool up)
{
	(void)ctx;
	nup += up;
	ndown += !up;
}

static void fill(void);

static void on_ready(void *ctx)
{
	(void)ctx;
	nready++;
	if (eager)
		fill();
}

static void on_accept(void *ctx, union epoll_ref ref, uint32_t events)
{
	(void)ctx;
	(void)ref;
	tap_stream_ops.accept(&tap, events);
}

static const struct loop_handler handlers[EPOLL_TYPES] = {
	[EPOLL_TAP] = { "tap", tap_loop_event, &tap },
	[EPOLL_TAP_LISTEN] = { "listen", on_accept, NULL },
};
static const struct loop_hooks hooks = { tap_loop_timer, tap_loop_turn, &tap };

static int peer = -1;

static void start(void)
{
	const struct tap_upcalls up = { on_input, on_ready, on_link, &tap };

	nframes = nready = nup = ndown = most = 0;
	fsum = 0;
	eager = false;
	pkt_rnd_state = 88172645463325252ULL;
	resp_guest(&guest);
	assert_int_equal(loop_init(&loop, handlers, &hooks), 0);
	tap_init(&tap, &tap_stream_ops, &loop, &guest, &up);
}

/* A new listener of ours at path */
static int setup(void **state)
{
	struct tap_stream_opts opts = { .path = path, .fd = -1 };

	(void)state;
	start();
	return tap_stream_init(&tap, &opts);
}

static void turn(void)
{
	assert_true(loop_turn(&loop, 0) >= 0);
}

/* One end of a connection to it */
static int dial(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	memcpy(sa.sun_path, path, sizeof(path));
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void join(void)
{
	unsigned i, up = nup;

	peer = dial();
	for (i = 0; nup == up; i++) {
		turn();
		assert_true(i < TURNS);
	}
}

static void leave(void)
{
	unsigned i;

	close(peer);
	for (i = 0; tap.fd >= 0; i++) {
		turn();
		assert_true(i < TURNS);
	}
	peer = -1;
}

static int teardown(void **state)
{
	(void)state;
	if (peer >= 0)
		leave();
	close(loop.epfd);
	return unlink(path);
}

/* Write all, the loop reading at the other end */
static void put(const uint8_t *p, size_t len)
{
	unsigned idle = 0;

	fuzz_seed("stream", "\377", 1, p, len);
	while (len) {
		ssize_t n = send(peer, p, len, MSG_NOSIGNAL);

		turn();
		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_true(idle++ < TURNS);
			continue;
		}
		idle = 0;
		p += n;
		len -= (size_t)n;
	}
	turn();
}

/* Has the tap hung up on this client? Bytes before that are passed over */
static bool hung_up(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint8_t buf[4096];
	ssize_t n;

	while (poll(&pfd, 1, 1000) == 1) {
		n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			return !n || errno == ECONNRESET;
		turn();
	}
	return false;
}

static size_t put_len(uint8_t *p, size_t len)
{
	p[0] = (uint8_t)(len >> 24);
	p[1] = (uint8_t)(len >> 16);
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	return 4;
}

/* Frames of all lengths, written in chunks of any length */
static void test_framing(void **state)
{
	static uint8_t stream[3 << 20];
	size_t len = 0, done = 0, lens[400];
	unsigned n, i;
	uint32_t sum = 0;

	(void)state;
	join();
	for (n = 0; n < 400; n++) {
		size_t flen = n % 8 ? 14 + pkt_rnd(1600) : 14 + pkt_rnd(65536);

		if (n < 20)
			flen = 14 + n;
		if (n == 20)
			flen = TAP_FRAME_MAX;
		if (len + flen + 4 > sizeof(stream))
			break;
		lens[n] = flen;
		len += put_len(stream + len, flen);
		for (i = 0; i < flen; i++)
			stream[len + i] = (uint8_t)pkt_rnd(256);
		sum = roll(sum, stream + len, flen);
		len += flen;
	}
	while (done < len) {
		size_t k = done < 800 ? 1
				      : 1 + pkt_rnd(pkt_rnd(8) ? 5000 : 600000);

		k = k < len - done ? k : len - done;
		put(stream + done, k);
		done += k;
	}
	for (i = 0; nframes < n && i < TURNS; i++)
		turn();
	assert_int_equal(nframes, n);
	for (i = 0; i < n; i++)
		assert_int_equal(flens[i], lens[i]);
	assert_int_equal(fsum, sum);
	assert_int_equal(tap.stats.rx_frames, n);
	assert_int_equal(tap.stats.rx_short + tap.stats.rx_bad_len, 0);
	assert_true(tap.fd >= 0);
}

/* More than a batch by one read */
static void test_many_small(void **state)
{
	uint8_t stream[18 * 1000] = { 0 };
	size_t i;

	(void)state;
	join();
	for (i = 0; i < 1000; i++)
		put_len(stream + i * 18, 14);
	put(stream, sizeof(stream));
	assert_int_equal(nframes, 1000);
	assert_int_equal(most, TAP_RX_MAX);
}

/* Lengths no frame has end the connection, not us; what came before counts */
static void test_bad_length(void **state)
{
	static const size_t bad[] = {
		0,          TAP_FRAME_MAX + 1, 0x20000,
		0x7fffffff, 0x80000000,        0xffffffff
	};
	uint8_t stream[2 * 64 + 8] = { 0 };
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		nframes = 0;
		join();
		put_len(stream, 60);
		put_len(stream + 64, 60);
		put_len(stream + 128, bad[i]);
		put(stream, sizeof(stream));
		assert_true(hung_up(peer));
		assert_int_equal(tap.fd, -1);
		assert_int_equal(tap.stats.rx_bad_len, i + 1);
		assert_int_equal(nframes, 2);
		assert_int_equal(ndown, i + 1);
		assert_false(loop.quit);
		close(peer);
		peer = -1;
	}
}

/* Frames without a whole Ethernet header are counted, and passed over */
static void test_short(void **state)
{
	uint8_t stream[64] = { 0 };
	size_t n;

	(void)state;
	join();
	for (n = 1; n < 14; n++) {
		put_len(stream, n);
		put(stream, 4 + n);
	}
	assert_int_equal(nframes, 0);
	assert_int_equal(tap.stats.rx_short, 13);
	put_len(stream, 14);
	put(stream, 4 + 14);
	assert_int_equal(nframes, 1);
}

/* What a client left unfinished is not the beginning of another's */
static void test_reconnect(void **state)
{
	uint8_t stream[64] = { 0 };
	unsigned i;

	(void)state;
	for (i = 1; i < 64; i++) {
		join();
		put_len(stream, 60);
		put(stream, i);
		leave();
		assert_int_equal(nframes, 0);
		assert_int_equal(nup, i);
		assert_int_equal(nready, i);
		assert_int_equal(ndown, i);
		assert_null(tap_reserve(&tap, 1, 42, 0));
	}
	join();
	put(stream, 64);
	assert_int_equal(nframes, 1);
}

/* One guest at a time */
static void test_second_client(void **state)
{
	uint8_t frame[64] = { 0, 0, 0, 60 };
	int second;

	(void)state;
	join();
	put(frame, 30);
	second = dial();
	turn();
	assert_true(hung_up(second));
	close(second);
	put(frame + 30, 34);
	assert_int_equal(nframes, 1);
	assert_int_equal(nup, 1);
	assert_int_equal(ndown, 0);
	leave();
	join();
	assert_int_equal(nup, 2);
}

/* No descriptor to spare: another client waits, which is not reported for ever, and
 * is served once there is one again
 */
static void test_no_descriptor(void **state)
{
	int second;

	(void)state;
	peer = dial();
	second = dial();
	fds_leave(0);
	turn();
	turn();
	assert_int_equal(nup, 1);
	assert_int_equal(loop_turn(&loop, 0), 0);
	fds_back();
	leave();
	peer = second;
	turn();
	assert_int_equal(nup, 2);
	leave();
	join();
	assert_int_equal(nup, 3);
}

/*
 * To the guest: frames with a number, until the tap is blocked
 */

static uint32_t next_out; /* number of the next frame submitted */
static uint32_t next_in;  /* number of the next frame the peer reads */
static uint32_t out_end;  /* submit no more than that */
static bool small;        /* shortest frames only */

/* Payload bytes of a frame, given by its number; one is longer than any */
static size_t out_len(uint32_t n)
{
	uint32_t h = n * 2654435761U >> 8;

	if (small)
		return 4;
	return n % 16 ? 4 + h % 1500 : 4 + h % 65000;
}

/* Fill the tap. Leaves when it lends nothing or out_end is reached */
static void fill(void)
{
	while (next_out < out_end) {
		size_t len = out_len(next_out), k;
		unsigned want = 1 + pkt_rnd(70), i, n;
		struct batch *b;

		/* a batch has room for the longest */
		for (i = 1; i < want && i < BATCH_FRAMES; i++)
			if (out_len(next_out + i) > len)
				len = out_len(next_out + i);
		b = tap_reserve(&tap, want, 60, len);
		if (!b)
			return;
		n = pkt_rnd(b->n + 1);
		if (n > out_end - next_out)
			n = out_end - next_out;
		for (i = 0; i < n; i++) {
			struct frame *f = &b->frame[i];
			size_t flen = out_len(next_out);

			memset(f->hdr, 0xaa, 60);
			for (k = 0; k < flen; k++)
				((uint8_t *)f->iov->iov_base)[k] =
					(uint8_t)(next_out + k);
			memcpy(f->iov->iov_base, &next_out, 4);
			f->len = 60 + flen;
			next_out++;
		}
		tap_submit(&tap, b, n);
	}
}

static uint8_t in[1 << 20]; /* read by the peer, not parsed yet */
static size_t in_len;

/* The peer reads up to @most bytes, compares all whole frames. Return: bytes */
static size_t drain(size_t max)
{
	size_t pos = 0, k;
	ssize_t n;

	if (max > sizeof(in) - in_len)
		max = sizeof(in) - in_len;
	n = recv(peer, in + in_len, max, 0);
	if (n < 0) {
		assert_int_equal(errno, EAGAIN);
		return 0;
	}
	in_len += (size_t)n;
	while (in_len - pos >= 4) {
		const uint8_t *p = in + pos;
		size_t len = (size_t)p[0] << 24 | (size_t)p[1] << 16 |
			     (size_t)p[2] << 8 | p[3];
		uint32_t number;

		assert_int_equal(len, 60 + out_len(next_in));
		if (in_len - pos < 4 + len)
			break;
		for (k = 0; k < 60; k++)
			assert_int_equal(p[4 + k], 0xaa);
		memcpy(&number, p + 64, 4);
		assert_int_equal(number, next_in);
		for (k = 4; k < len - 60; k++)
			if (p[64 + k] != (uint8_t)(next_in + k))
				fail_msg("frame %u, byte %zu", next_in, k);
		next_in++;
		pos += 4 + len;
	}
	memmove(in, in + pos, in_len - pos);
	in_len -= pos;
	return (size_t)n;
}

static void send_reset(uint32_t end, bool small_only)
{
	next_out = next_in = 0;
	in_len = 0;
	out_end = end;
	small = small_only;
}

/* A reader that stalls, and reads in pieces of any size: nothing is lost, comes
 * twice or in another order; the tap says when it has room again
 */
static void test_back_pressure(void **state)
{
	unsigned round, idle, was;

	(void)state;
	join();
	for (round = 0; round < 6; round++) {
		send_reset(round & 1 ? 20000 : 3000, round & 1);
		eager = round & 2;
		fill();
		turn();
		if (!eager)
			fill();
		/* stalled: all is kept, and nobody is told to go on */
		was = nready;
		for (idle = 0; idle < 20; idle++)
			turn();
		assert_int_equal(nready, was);
		assert_true(next_out < out_end);
		assert_null(tap_reserve(&tap, 1, 60, 65000));

		for (idle = 0; next_in < out_end && idle < TURNS;) {
			size_t n = drain(1 +
					 pkt_rnd(pkt_rnd(4) ? 3000 : 900000));

			idle = n ? 0 : idle + 1;
			turn();
			if (!eager && !pkt_rnd(3))
				fill();
		}
		assert_int_equal(next_in, out_end);
		assert_int_equal(in_len, 0);
		assert_true(nready > was);
	}
	assert_int_equal(nup, 1);
	assert_int_equal(ndown, 0);
}

/* Frames lent while the reader stalls, of all sizes, to the last byte there is: none
 * lies beyond the arena, though each is aligned
 */
static void test_arena(void **state)
{
	const size_t arena = 1 << 20, line = 64;
	unsigned round, i;

	(void)state;
	for (round = 0; round < 40; round++) {
		const uint8_t *first = NULL;

		join();
		for (i = 0; i < 40000; i++) {
			size_t max = i < 1000 ? 65000 : 1500, hdrlen, len;
			const struct frame *f;
			struct batch *b;

			hdrlen = 42 + pkt_rnd(40);
			len = pkt_rnd((uint32_t)max);
			b = tap_reserve(&tap, 1, hdrlen, len);
			if (!b)
				continue;
			f = &b->frame[0];
			if (!first || f->hdr < first)
				first = f->hdr;
			assert_true((const uint8_t *)f->iov->iov_base + len <=
				    first + arena + line);
			memset(f->hdr, 0, hdrlen + len);
			b->frame[0].len = hdrlen + len;
			tap_submit(&tap, b, 1);
		}
		assert_null(tap_reserve(&tap, 1, 60, 65000));
		leave();
	}
}

/* Idle: not woken up for writing */
static void test_idle(void **state)
{
	unsigned i;

	(void)state;
	join();
	send_reset(10, false);
	fill();
	turn();
	assert_int_equal(next_out, 10);
	for (i = 0; next_in < 10 && i < TURNS; i++) {
		drain(sizeof(in));
		turn();
	}
	assert_int_equal(next_in, 10);
	assert_int_equal(loop_turn(&loop, 0), 0);
	assert_int_equal(loop_turn(&loop, 0), 0);
}

/* The guest goes while the tap is full: its frames are not the next one's */
static void test_gone_while_full(void **state)
{
	uint64_t dropped;
	unsigned i;

	(void)state;
	for (i = 0; i < 5; i++) {
		join();
		send_reset(20000, false);
		fill();
		turn();
		fill();
		drain(1000 + i);
		dropped = tap.stats.tx_dropped;
		leave();
		assert_true(tap.stats.tx_dropped > dropped);
		assert_null(tap_reserve(&tap, 1, 60, 100));
	}
	join();
	/* ready was called, so that they begin again */
	assert_int_equal(nready, 6);
	send_reset(500, false);
	fill();
	for (i = 0; next_in < 500 && i < TURNS; i++) {
		turn();
		drain(sizeof(in));
		fill();
	}
	assert_int_equal(next_in, 500);
}

/* Noticed while writing, not while reading */
static void test_broken_pipe(void **state)
{
	struct batch *b;
	unsigned i;

	(void)state;
	join();
	close(peer);
	peer = -1;
	for (i = 0; i < 100 && tap.fd >= 0; i++) {
		b = tap_reserve(&tap, 64, 60, 65000);
		if (!b)
			break;
		tap_submit(&tap, b, b->n);
		tap_flush(&tap);
	}
	assert_int_equal(tap.fd, -1);
	assert_int_equal(ndown, 1);
	join();
	assert_int_equal(recv(peer, in, sizeof(in), 0), -1);
}

/* A connected socket is all there is: when it ends we do */
static void test_fd(void **state)
{
	struct tap_stream_opts opts = { 0 };
	uint8_t frame[64] = { 0, 0, 0, 60 };
	unsigned i;
	int fd[2];

	(void)state;
	start();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	opts.fd = fd[1];
	assert_int_equal(tap_stream_init(&tap, &opts), 0);
	assert_int_equal(nup, 1);
	peer = fd[0];
	fcntl(peer, F_SETFL, O_NONBLOCK);
	put(frame, sizeof(frame));
	assert_int_equal(nframes, 1);
	send_reset(100, false);
	fill();
	for (i = 0; next_in < 100 && i < TURNS; i++) {
		turn();
		drain(sizeof(in));
		fill();
	}
	assert_int_equal(next_in, 100);
	assert_false(loop.quit);
	leave();
	assert_true(loop.quit);
	assert_int_equal(loop.status, 0);
	close(loop.epfd);
}

static void test_one_off(void **state)
{
	struct tap_stream_opts opts = { .path = path,
					.fd = -1,
					.one_off = true };

	(void)state;
	start();
	assert_int_equal(tap_stream_init(&tap, &opts), 0);
	turn();
	assert_false(loop.quit);
	join();
	assert_false(loop.quit);
	leave();
	assert_true(loop.quit);
	close(loop.epfd);
	unlink(path);
}

/* Whose path it is */
static void test_path(void **state)
{
	struct tap_stream_opts opts = { .path = path, .fd = -1 };
	struct tap_stream_opts lengthy = { .fd = -1 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char far[200];
	struct stat st;
	int fd;

	(void)state;
	start();
	/* served by another */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(sa.sun_path, path, sizeof(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(tap_stream_init(&tap, &opts), -EADDRINUSE);
	/* left by a predecessor */
	close(fd);
	assert_int_equal(tap_stream_init(&tap, &opts), 0);
	join();
	leave();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	unlink(path);
	/* no socket at all: kept */
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	assert_int_equal(tap_stream_init(&tap, &opts), -EEXIST);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 8);
	unlink(path);

	memset(far, 'x', sizeof(far));
	memcpy(far, "/tmp/", 5);
	far[sizeof(far) - 1] = '\0';
	lengthy.path = far;
	assert_int_equal(tap_stream_init(&tap, &lengthy), -ENAMETOOLONG);
	lengthy.path = "/tmp/test_stream/no/such/directory";
	assert_int_equal(tap_stream_init(&tap, &lengthy), -ENOENT);
	close(loop.epfd);
}

static int group_setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", dir);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	return rmdir(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_framing),
		TEST(test_many_small),
		TEST(test_bad_length),
		TEST(test_short),
		TEST(test_reconnect),
		TEST(test_second_client),
		TEST(test_no_descriptor),
		TEST(test_back_pressure),
		TEST(test_arena),
		TEST(test_idle),
		TEST(test_gone_while_full),
		TEST(test_broken_pipe),
		cmocka_unit_test(test_fd),
		cmocka_unit_test(test_one_off),
		cmocka_unit_test(test_path),
	};

	return cmocka_run_group_tests_name("tap_stream", tests, group_setup,
					   group_teardown);
}
