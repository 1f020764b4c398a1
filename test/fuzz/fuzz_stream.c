/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzing of the stream socket's framing, against a parser that sees it all
 *
 * The first byte says in chunks of how many bytes the rest is written. Frames
 * that arrive are echoed.
 */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/fake/tap_loop.h"
#include "test/fuzz/fuzz.h"
#include "wire/stream.h"

#define SUM_MUL 31

/* Frames and a rolling sum of them, as they should be, as they were */
static unsigned want, got;
static uint32_t want_sum, got_sum;

static uint32_t roll(uint32_t sum, const uint8_t *p, size_t n)
{
	sum = sum * SUM_MUL + (uint32_t)n;
	while (n--)
		sum = sum * SUM_MUL + *p++;
	return sum;
}

static void on_input(void *ctx, const struct tap_rx *rx, unsigned n)
{
	unsigned i;

	(void)ctx;
	if (!n || n > TAP_RX_MAX)
		abort();
	for (i = 0; i < n; i++, got++) {
		got_sum = roll(got_sum, rx[i].iov->iov_base, rx[i].len);
		tap_send_l2(&tap, rx[i].iov->iov_base,
			    rx[i].len < FRAME_HDR_MAX ? rx[i].len
						      : FRAME_HDR_MAX);
	}
}

static void on_ready(void *ctx)
{
	(void)ctx;
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

/* What is to be made of the input. Return: is the link to live? */
static bool expect(const uint8_t *data, size_t size)
{
	size_t len;

	for (; size >= sizeof(struct stream_hdr); data += len, size -= len) {
		len = (size_t)data[0] << 24 | (size_t)data[1] << 16 |
		      (size_t)data[2] << 8 | data[3];
		if (!len || len > TAP_FRAME_MAX)
			return false;
		data += sizeof(struct stream_hdr);
		size -= sizeof(struct stream_hdr);
		if (len > size)
			return true;
		if (len < sizeof(struct ether_header))
			continue;
		want++;
		want_sum = roll(want_sum, data, len);
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tap_upcalls up = { on_input, on_ready, on_link, NULL };
	struct tap_stream_opts opts = { 0 };
	size_t chunk, done, n;
	uint8_t echo[65536];
	int fd[2];
	bool live;

	if (size < 2)
		return 0;
	chunk = data[0] + 1u;
	data++;
	size--;
	want = got = want_sum = got_sum = 0;
	live = expect(data, size);

	fuzz_init();
	tap_init(&tap, &tap_stream_ops, &loop, &guest, &up);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) ||
	    loop_init(&loop, handlers, &hooks))
		abort();
	opts.fd = fd[1];
	if (tap_stream_init(&tap, &opts))
		abort();
	for (done = 0; done < size && tap.fd >= 0; done += n) {
		n = size - done < chunk ? size - done : chunk;
		if (send(fd[0], data + done, n, MSG_NOSIGNAL) != (ssize_t)n)
			abort();
		loop_turn(&loop, 0);
		while (recv(fd[0], echo, sizeof(echo), MSG_DONTWAIT) > 0)
			;
	}
	if (live != (tap.fd >= 0) || want != got || want_sum != got_sum)
		abort();
	close(fd[0]);
	if (tap.fd >= 0)
		loop_turn(&loop, 0);
	if (tap.fd >= 0)
		abort();
	close(loop.epfd);
	return 0;
}
