/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A client, the splice pump, a server, in turns of one thread, for tests
 *
 * What is sent at a position of a stream is a function of the position, so that
 * the first byte out of place is seen.
 */
#ifndef UNIT_SPLICE_H
#define UNIT_SPLICE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The pool of pipes is looked at and filled with what we want to have tested */
#include "tcp/splice.c"

#include <net/if.h>
#include <sched.h>
#include <time.h>

#include "guest.h"
#include "test/fake/flows.h"

#define PORT    8080
#define FLOWS   64
#define CHUNK   (128 * 1024) /* sent or read at once, at most */
#define WAIT_MS 10000        /* nothing may stall that long */

static struct loop loop;
static struct flow_table flows;
static struct guest guest;
static struct fwd_opts opts;
static struct fwd fwd = { .opts = &opts, .guest = &guest, .loop = &loop };
static struct netns netns;
static struct tcp tcp = {
	.loop = &loop, .flows = &flows, .fwd = &fwd, .netns = &netns
};

/* The namespace's sockets are this one's; a program that links the real thing
 * has it override these
 */
__attribute__((weak)) int netns_socket(struct netns *ns, sa_family_t af)
{
	const struct sock_spec spec = { .af = af,
					.type = SOCK_STREAM,
					.proto = IPPROTO_TCP };

	(void)ns;
	return sock_open(&spec);
}

__attribute__((weak)) int netns_call(struct netns *ns, int (*fn)(void *arg),
				     void *arg)
{
	(void)ns;
	return fn(arg);
}

/* xorshift, one seed for each run */
static uint32_t seed = 1;
static inline uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % below;
}

/* Byte at a position of a stream */
static inline uint8_t byte_at(uint64_t pos, unsigned stream)
{
	uint64_t x = (pos + 1) * UINT64_C(0x9e3779b97f4a7c15) + stream;

	return (uint8_t)(x >> 56 ^ x >> 33);
}

static inline void timer_hook(void *ctx, struct wtimer *t)
{
	(void)ctx;
	flow_timer(&flows, t);
}

static inline void turn_hook(void *ctx)
{
	(void)ctx;
	loop.busy = flow_run_deferred(&flows);
}

static const struct loop_handler handlers[EPOLL_TYPES] = {
	[EPOLL_TCP_SPLICE] = { "splice", tcp_splice_event, &tcp },
};
static const struct loop_hooks hooks = { timer_hook, turn_hook, NULL };
static const struct flow_ops ops[FLOW_TYPES] = {
	[FLOW_TCP_SPLICE] = { "splice", tcp_splice_flow_timer,
			      tcp_splice_flow_resume, NULL, &tcp },
};

/* One end: what it sent and what it was sent so far */
struct end {
	int fd;
	unsigned stream; /* of what it sends */
	uint64_t sent, to_send, got;
	bool fin_sent, eof;
	int error;
};

/* A client, the connection, a server */
struct path {
	struct end end[2];
	struct tcp_splice *c;
};

static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline int listener(const union inany_addr *a, in_port_t port)
{
	const struct sock_spec spec = { .af = inany_af(a),
					.bind = a,
					.type = SOCK_STREAM,
					.port = port,
					.reuse = true };
	int fd = sock_open(&spec);

	assert_true(fd >= 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static inline int client(const union inany_addr *a, in_port_t port)
{
	const struct sock_spec spec = { .af = inany_af(a),
					.type = SOCK_STREAM };
	int fd = sock_open(&spec), rc;

	assert_true(fd >= 0);
	rc = sock_connect(fd, a, port, 0);
	assert_true(!rc || rc == -EINPROGRESS);
	return fd;
}

/* Accept, waiting for it while the relay works */
static inline int accept_soon(int l)
{
	uint64_t end = now_ms() + WAIT_MS;
	int fd;

	do {
		fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			loop_turn(&loop, 1);
	} while (fd < 0 && now_ms() < end);
	assert_true(fd >= 0);
	return fd;
}

static inline struct tcp_splice *only_flow(void)
{
	uint32_t i;

	for (i = 0; i < FLOWS; i++) {
		struct flow *f = flow_at(&flows, i, FLOW_TCP_SPLICE);

		if (f)
			return (struct tcp_splice *)f;
	}
	return NULL;
}

/* Buffers of a socket, as small as wished: fixed once they are set */
static inline void set_bufs(int fd, int buf)
{
	assert_int_equal(sock_set_int(fd, SOL_SOCKET, SO_SNDBUF, buf), 0);
	assert_int_equal(sock_set_int(fd, SOL_SOCKET, SO_RCVBUF, buf), 0);
}

/* Client to relay to server; @buf: buffers of all sockets, 0: as they are */
static inline void path_open(struct path *p, const union inany_addr *a,
			     enum pif to, int buf)
{
	struct flowside ini = { .eaddr = *a, .oaddr = *a, .oport = PORT };
	struct flowside tgt = { .eaddr = *a, .eport = PORT + 1 };
	int l = listener(a, PORT), t = listener(a, PORT + 1);
	int fd;

	tgt.oaddr = inany_v4(a) ? inany_any4 : inany_any6;
	if (buf) {
		set_bufs(l, buf);
		set_bufs(t, buf);
	}

	memset(p, 0, sizeof(*p));
	p->end[0].stream = 1;
	p->end[1].stream = 2;
	p->end[0].fd = client(a, PORT);
	fd = accept_soon(l);
	assert_true(tcp_splice_new(&tcp, fd, PIF_HOST, to, &ini, &tgt));
	p->end[1].fd = accept_soon(t);
	p->c = only_flow();
	assert_non_null(p->c);
	if (buf) {
		set_bufs(p->end[0].fd, buf);
		set_bufs(p->c->fd[1], buf);
	}
	close(l);
	close(t);
}

/* A pipe in the pool with bytes would give them to a stranger */
static inline void check_pool(void)
{
	unsigned i;
	int n;

	for (i = 0; i < npool; i++) {
		assert_int_equal(ioctl(pool[i].rd, FIONREAD, &n), 0);
		assert_int_equal(n, 0);
	}
}

static inline void drop_pool(void)
{
	while (npool)
		pipe_close(&pool[--npool]);
}

static inline void path_close(struct path *p)
{
	uint64_t end = now_ms() + WAIT_MS;

	close(p->end[0].fd);
	close(p->end[1].fd);
	while (flows.used && now_ms() < end)
		loop_turn(&loop, 1);
	assert_int_equal(flows.used, 0);
	check_pool();
}

/* Send up to @max bytes of what is left. Return: true if any went */
static inline bool end_send(struct end *e, size_t max)
{
	static uint8_t buf[CHUNK];
	uint64_t left = e->to_send - e->sent;
	size_t i;
	ssize_t n;

	if (max > left)
		max = (size_t)left;
	if (max > sizeof(buf))
		max = sizeof(buf);
	if (!max)
		return false;
	for (i = 0; i < max; i++)
		buf[i] = byte_at(e->sent + i, e->stream);
	n = send(e->fd, buf, max, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return false;
	e->sent += (uint64_t)n;
	return n;
}

/* Read up to @max bytes and compare. Return: true if something was told */
static inline bool end_recv(struct end *e, size_t max)
{
	static uint8_t buf[CHUNK];
	ssize_t n, i;

	if (e->eof || e->error)
		return false;
	if (max > sizeof(buf))
		max = sizeof(buf);
	n = recv(e->fd, buf, max, MSG_DONTWAIT);
	if (n < 0) {
		if (errno != EAGAIN)
			e->error = errno;
		return errno != EAGAIN;
	}
	for (i = 0; i < n; i++) {
		if (buf[i] != byte_at(e->got + (uint64_t)i, 3 - e->stream))
			fail_msg("byte %llu of stream %u is wrong",
				 (unsigned long long)e->got + (uint64_t)i,
				 3 - e->stream);
	}
	e->got += (uint64_t)n;
	if (!n)
		e->eof = true;
	return true;
}

static inline void end_fin(struct end *e)
{
	if (e->fin_sent || e->sent < e->to_send)
		return;
	assert_int_equal(shutdown(e->fd, SHUT_WR), 0);
	e->fin_sent = true;
}

/* Read all there is until the end of the stream or an error */
static inline void end_drain(struct end *e)
{
	uint64_t end = now_ms() + WAIT_MS;

	while (!e->eof && !e->error && now_ms() < end) {
		if (!end_recv(e, CHUNK))
			loop_turn(&loop, 1);
	}
	assert_true(e->eof || e->error);
}

/* End a connection where it is, both sides see a reset */
static inline void give_up(void *ctx, struct flow *f)
{
	splice_end(ctx, (struct tcp_splice *)f, true);
}

/* Let the relay do all it can */
static inline void relay(void)
{
	int quiet;

	for (quiet = 0; quiet < 3;)
		quiet = loop_turn(&loop, 1) || loop.busy ? 0 : quiet + 1;
}

/* Both ways at once, random sizes and stalls, until both ends are done */
static inline void play(struct path *p, uint32_t chunk)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	unsigned i, stall[4] = { 0 };
	bool did;

	while (!(p->end[0].eof && p->end[1].eof)) {
		did = false;
		for (i = 0; i < 4; i++) {
			if (stall[i]) {
				stall[i]--;
				did = true;
				continue;
			}
			if (!rnd(40))
				stall[i] = rnd(60);
			if (i < 2)
				did |= end_send(&p->end[i], 1 + rnd(chunk));
			else
				did |= end_recv(&p->end[i - 2], 1 + rnd(chunk));
		}
		for (i = 0; i < 2; i++) {
			assert_int_equal(p->end[i].error, 0);
			if (!p->end[i].fin_sent && !rnd(4))
				end_fin(&p->end[i]);
		}
		if (rnd(3))
			did |= loop_turn(&loop, 0) > 0;
		if (did) {
			deadline = now_ms() + WAIT_MS;
			continue;
		}
		loop_turn(&loop, 2);
		if (now_ms() > deadline)
			fail_msg("stalled: %llu of %llu, %llu of %llu",
				 (unsigned long long)p->end[1].got,
				 (unsigned long long)p->end[0].to_send,
				 (unsigned long long)p->end[0].got,
				 (unsigned long long)p->end[1].to_send);
	}
	for (i = 0; i < 2; i++)
		assert_int_equal(p->end[!i].got, p->end[i].to_send);
}

/* Send until nothing moves any more: what the path holds */
static inline void fill(struct path *p, unsigned s, uint64_t max)
{
	p->end[s].to_send = max;
	while (end_send(&p->end[s], CHUNK))
		relay();
	p->end[s].to_send = p->end[s].sent;
}

/* Own namespace with its loopback up */
static inline int set_up(void **state)
{
	const struct siphash_key key = { 0 };
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	(void)state;
	assert_int_equal(unshare(CLONE_NEWUSER | CLONE_NEWNET), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
	assert_int_equal(loop_init(&loop, handlers, &hooks), 0);
	assert_int_equal(flow_init(&flows, FLOWS, &key, ops, &loop.wheel), 0);
	return 0;
}

#endif /* UNIT_SPLICE_H */
