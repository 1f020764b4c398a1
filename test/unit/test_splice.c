/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Spliced connections over loopback: nothing lost, doubled, forgotten
 *
 * What is sent at a position of a stream is a function of the position, so that
 * the first byte out of place is seen. Clients, servers and the relay run in
 * turns of one thread, in an own namespace.
 */

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
#include "test/unit/fds.h"

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
static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % below;
}

/* Byte at a position of a stream */
static uint8_t byte_at(uint64_t pos, unsigned stream)
{
	uint64_t x = (pos + 1) * UINT64_C(0x9e3779b97f4a7c15) + stream;

	return (uint8_t)(x >> 56 ^ x >> 33);
}

static void timer_hook(void *ctx, struct wtimer *t)
{
	(void)ctx;
	flow_timer(&flows, t);
}

static void turn_hook(void *ctx)
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

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int listener(const union inany_addr *a, in_port_t port)
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

static int client(const union inany_addr *a, in_port_t port)
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
static int accept_soon(int l)
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

static struct tcp_splice *only_flow(void)
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
static void set_bufs(int fd, int buf)
{
	assert_int_equal(sock_set_int(fd, SOL_SOCKET, SO_SNDBUF, buf), 0);
	assert_int_equal(sock_set_int(fd, SOL_SOCKET, SO_RCVBUF, buf), 0);
}

/* Client to relay to server; @buf: buffers of all sockets, 0: as they are */
static void path_open(struct path *p, const union inany_addr *a, enum pif to,
		      int buf)
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
static void check_pool(void)
{
	unsigned i;
	int n;

	for (i = 0; i < npool; i++) {
		assert_int_equal(ioctl(pool[i].rd, FIONREAD, &n), 0);
		assert_int_equal(n, 0);
	}
}

static void drop_pool(void)
{
	while (npool)
		pipe_close(&pool[--npool]);
}

static void path_close(struct path *p)
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
static bool end_send(struct end *e, size_t max)
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
static bool end_recv(struct end *e, size_t max)
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

static void end_fin(struct end *e)
{
	if (e->fin_sent || e->sent < e->to_send)
		return;
	assert_int_equal(shutdown(e->fd, SHUT_WR), 0);
	e->fin_sent = true;
}

/* Read all there is until the end of the stream or an error */
static void end_drain(struct end *e)
{
	uint64_t end = now_ms() + WAIT_MS;

	while (!e->eof && !e->error && now_ms() < end) {
		if (!end_recv(e, CHUNK))
			loop_turn(&loop, 1);
	}
	assert_true(e->eof || e->error);
}

/* Let the relay do all it can */
static void relay(void)
{
	int quiet;

	for (quiet = 0; quiet < 3;)
		quiet = loop_turn(&loop, 1) || loop.busy ? 0 : quiet + 1;
}

/* Both ways at once, random sizes and stalls, until both ends are done */
static void play(struct path *p, uint32_t chunk)
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

/* From now on pipes have one page */
static void small_pool(void)
{
	struct pipe p[4];
	unsigned i;

	drop_pool();
	for (i = 0; i < 4; i++) {
		p[i].slots = 0;
		assert_int_equal(pipe_get(&p[i]), 0);
		assert_int_equal(fcntl(p[i].wr, F_SETPIPE_SZ, 4096), 4096);
		p[i].slots = 1;
	}
	for (i = 0; i < 4; i++)
		pipe_put(&p[i]);
}

#define V4  &inany_loopback4
#define V6  &inany_loopback6
#define H   PIF_HOST
#define N   PIF_SPLICE
#define MAX CHUNK
#define BUF 32768

static void test_random(void **state)
{
	static const struct {
		const union inany_addr *a;
		enum pif to;
		int buf;
		bool small;
		uint32_t chunk;
		uint64_t len[2];
	} c[] = {
		{ V4, H, 0, false, MAX, { 8e6, 8e6 } },
		{ V6, H, 0, false, MAX, { 8e6, 5e6 } },
		{ V4, N, 0, true, MAX, { 3e6, 2e6 } },
		{ V6, N, BUF, false, MAX, { 2e6, 1e6 } },
		{ V4, H, BUF, true, MAX, { 4e5, 6e5 } },
		{ V4, H, 0, false, 3, { 20000, 30000 } },
		{ V4, H, 0, true, 3, { 20000, 10000 } },
		{ V6, H, BUF, true, 700, { 2e5, 1e5 } },
		{ V4, H, 0, false, 9000, { 0, 2e6 } },
		{ V4, H, 0, false, 9000, { 2e6, 0 } },
		{ V4, H, 0, false, 1, { 0, 0 } },
		{ V4, H, 0, false, 1, { 1, 1 } },
	};
	struct path p;
	unsigned i, run;

	(void)state;
	for (run = 0; run < 3; run++) {
		for (i = 0; i < sizeof(c) / sizeof(*c); i++) {
			seed = 1 + i + 100 * run;
			if (c[i].small)
				small_pool();
			else
				drop_pool();
			path_open(&p, c[i].a, c[i].to, c[i].buf);
			p.end[0].to_send = c[i].len[0];
			p.end[1].to_send = c[i].len[1];
			play(&p, c[i].chunk);
			path_close(&p);
		}
	}
	drop_pool();
	assert_int_equal(nlarge, 0);
}

/* A request, its answer, many times: no pipe is held in between, none lost */
static void test_ping_pong(void **state)
{
	struct path p;
	unsigned i;

	(void)state;
	drop_pool();
	path_open(&p, &inany_loopback4, PIF_HOST, 0);
	for (i = 1; i <= 1000; i++) {
		p.end[0].to_send = p.end[1].to_send = i;
		assert_true(end_send(&p.end[0], 1));
		while (!end_recv(&p.end[1], 1))
			assert_true(loop_turn(&loop, WAIT_MS) > 0);
		assert_true(end_send(&p.end[1], 1));
		while (!end_recv(&p.end[0], 1))
			assert_true(loop_turn(&loop, WAIT_MS) > 0);
		assert_int_equal(p.c->dir[0].pipe.slots, 0);
		assert_int_equal(p.c->dir[1].pipe.slots, 0);
	}
	assert_int_equal(npool, 1);
	path_close(&p);
}

/* Send until nothing moves any more: what the path holds */
static void fill(struct path *p, unsigned s, uint64_t max)
{
	p->end[s].to_send = max;
	while (end_send(&p->end[s], CHUNK))
		relay();
	p->end[s].to_send = p->end[s].sent;
}

/* The reader begins only after the writer has ended: the end comes last */
static void test_eof_behind_bytes(void **state)
{
	static const uint64_t len[] = { 1, 4096, 70000, 200000, 900000 };
	unsigned i, s, held = 0;
	struct path p;

	(void)state;
	for (i = 0; i < sizeof(len) / sizeof(*len) * 2; i++) {
		s = i % 2;
		path_open(&p, &inany_loopback4, PIF_HOST, 16384);
		fill(&p, s, len[i / 2]);
		end_fin(&p.end[s]);
		relay();
		/* Little by little, to see the end wait behind the pipe */
		while (!p.end[!s].eof) {
			assert_int_equal(p.end[!s].error, 0);
			if (!end_recv(&p.end[!s], 1000))
				assert_true(loop_turn(&loop, WAIT_MS) > 0);
			if (p.c->dir[s].eof && p.c->dir[s].queued)
				held++;
		}
		assert_int_equal(p.end[!s].got, p.end[s].sent);

		/* The other way lives on */
		p.end[!s].to_send = 100000;
		while (p.end[!s].sent < 100000) {
			end_send(&p.end[!s], CHUNK);
			end_recv(&p.end[s], CHUNK);
			loop_turn(&loop, 0);
		}
		end_fin(&p.end[!s]);
		end_drain(&p.end[s]);
		assert_true(p.end[s].eof);
		assert_int_equal(p.end[s].got, 100000);
		path_close(&p);
	}
	assert_true(held);
}

/* A reset comes out on the other side, behind what came before it */
static void test_reset(void **state)
{
	static const uint64_t len[] = { 0, 1, 1000, 30000 };
	unsigned i, s, late;
	struct path p;

	(void)state;
	for (i = 0; i < sizeof(len) / sizeof(*len); i++) {
		for (s = 0; s < 2; s++) {
			for (late = 0; late < 2; late++) {
				path_open(&p, &inany_loopback6, PIF_HOST, 0);
				relay();
				p.end[s].to_send = len[i];
				end_send(&p.end[s], CHUNK);
				assert_int_equal(p.end[s].sent, len[i]);
				if (late)
					relay();
				sock_close_rst(p.end[s].fd);
				p.end[s].fd = -1;
				end_drain(&p.end[!s]);
				assert_int_equal(p.end[!s].got, len[i]);
				assert_int_equal(p.end[!s].error, ECONNRESET);
				path_close(&p);
			}
		}
	}
}

/* The same with a slow reader: what our sockets hold still arrives */
static void test_reset_slow_reader(void **state)
{
	uint64_t held;
	struct path p;

	(void)state;
	path_open(&p, &inany_loopback4, PIF_HOST, 32768);
	fill(&p, 0, 10000000);
	held = p.end[0].sent;
	assert_true(p.c->dir[0].blocked && p.c->dir[0].queued > 32768);
	held = p.c->dir[0].queued;
	sock_close_rst(p.end[0].fd);
	p.end[0].fd = -1;
	relay();
	/* It may take longer than what is granted to a socket's own bytes */
	p.c->tries = UNSENT_RETRIES;
	relay();
	assert_int_equal(flows.used, 1);
	assert_true(p.c->dir[0].queued);
	p.c->tries = 0;
	end_drain(&p.end[1]);
	assert_int_equal(p.end[1].error, ECONNRESET);
	/* Only what had not left the client's own socket may be missing */
	assert_true(p.end[1].got > held && p.end[1].got <= p.end[0].sent);
	path_close(&p);
}

/* The reader is gone instead, or all of it: nothing is kept, nothing mixed up */
static void test_reset_with_bytes(void **state)
{
	struct path p;
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++) {
		drop_pool();
		path_open(&p, &inany_loopback4, PIF_HOST, 16384);
		fill(&p, 0, 10000000);
		assert_true(p.c->dir[0].queued);
		if (i < 2) {
			close(p.end[1 - i].fd);
			p.end[1 - i].fd = -1;
		} else {
			flows_close(&flows, tcp_splice_flow_close);
		}
		relay();
		path_close(&p);
	}
}

/* An answer, then a reset for a request still being sent (RFC 1122 4.2.2.13):
 * the client can read the answer
 */
static void test_answer_then_reset(void **state)
{
	struct path p;

	(void)state;
	path_open(&p, &inany_loopback4, PIF_HOST, 0);
	p.end[0].to_send = 300000;
	end_send(&p.end[0], CHUNK);
	relay();
	p.end[1].to_send = 500;
	assert_true(end_send(&p.end[1], 500));
	close(p.end[1].fd); /* with bytes unread: reset */
	p.end[1].fd = -1;
	end_send(&p.end[0], CHUNK);
	end_drain(&p.end[0]);
	assert_int_equal(p.end[0].got, 500);
	assert_int_equal(p.end[0].error, ECONNRESET);
	path_close(&p);
}

/* One side ended properly, then the other is reset */
static void test_fin_then_reset(void **state)
{
	unsigned s;
	struct path p;

	(void)state;
	for (s = 0; s < 2; s++) {
		path_open(&p, &inany_loopback4, PIF_HOST, 0);
		end_fin(&p.end[s]);
		end_drain(&p.end[!s]);
		sock_close_rst(p.end[s].fd);
		p.end[s].fd = -1;
		relay();
		/* The end was told before, the error is found by sending */
		assert_int_equal(sock_error(p.end[!s].fd), EPIPE);
		path_close(&p);
	}
}

static void test_connect_refused(void **state)
{
	const struct flowside ini = { .oport = PORT };
	struct flowside tgt = { .eport = PORT + 1 };
	const union inany_addr *a;
	struct end e;
	unsigned i;
	int l, fd;

	(void)state;
	for (i = 0; i < 2; i++) {
		a = i ? &inany_loopback6 : &inany_loopback4;
		tgt.eaddr = *a;
		tgt.oaddr = i ? inany_any6 : inany_any4;
		l = listener(a, PORT);
		e = (struct end){ .fd = client(a, PORT),
				  .stream = 1,
				  .to_send = 10 };
		fd = accept_soon(l);
		end_send(&e, 10);
		tcp_splice_new(&tcp, fd, PIF_HOST, PIF_HOST, &ini, &tgt);
		end_drain(&e);
		assert_int_equal(e.error, ECONNRESET);
		assert_int_equal(flows.used, 0);
		close(e.fd);
		close(l);
	}
}

/* localhost, by IPv6 first: who listens by IPv4 only is found all the same */
static void test_other_target(void **state)
{
	const union inany_addr *a = &inany_loopback6;
	struct flowside ini = { .eaddr = *a, .oaddr = *a, .oport = PORT };
	const struct flowside tgt = { .eaddr = *a,
				      .oaddr = inany_any6,
				      .eport = PORT + 1 };
	struct end e, srv;
	int l, fd, t;
	unsigned i;

	(void)state;
	/* localhost; another address; localhost, where nobody listens at all */
	for (i = 0; i < 3; i++) {
		l = listener(a, PORT);
		t = listener(&inany_loopback4, PORT + (i < 2 ? 1 : 2));
		ini.oaddr = i == 1 ? inany_any6 : *a;
		e = (struct end){ .fd = client(a, PORT),
				  .stream = 1,
				  .to_send = 10 };
		fd = accept_soon(l);
		end_send(&e, 10);
		tcp_splice_new(&tcp, fd, PIF_HOST, PIF_HOST, &ini, &tgt);
		if (!i) {
			srv = (struct end){ .fd = accept_soon(t), .stream = 2 };
			end_fin(&e);
			relay();
			end_drain(&srv);
			assert_int_equal(srv.got, 10);
			assert_true(srv.eof);
			close(srv.fd);
			relay();
		} else {
			end_drain(&e);
			assert_int_equal(e.error, ECONNRESET);
		}
		assert_int_equal(flows.used, 0);
		close(e.fd);
		close(l);
		close(t);
	}
}

/* A client gone before the target answers takes the connection with it */
static void test_reset_while_connecting(void **state)
{
	const union inany_addr *a = &inany_loopback4;
	const struct flowside ini = { .oport = PORT };
	const struct flowside tgt = { .eaddr = *a,
				      .oaddr = inany_any4,
				      .eport = PORT + 1 };
	int l = listener(a, PORT), t = listener(a, PORT + 1);
	int c = client(a, PORT), fd = accept_soon(l);
	struct end e = { 0 };

	(void)state;
	assert_true(tcp_splice_new(&tcp, fd, PIF_HOST, PIF_HOST, &ini, &tgt));
	sock_close_rst(c);
	relay();
	assert_int_equal(flows.used, 0);
	e.fd = accept_soon(t);
	end_drain(&e);
	assert_int_equal(e.error, ECONNRESET);
	close(e.fd);
	close(l);
	close(t);
}

/* The client is told */
static void test_no_descriptor(void **state)
{
	const union inany_addr *a = &inany_loopback4;
	const struct flowside ini = { .oport = PORT };
	const struct flowside tgt = { .eaddr = *a,
				      .oaddr = inany_any4,
				      .eport = PORT };
	int l = listener(a, PORT), fd;
	struct end e = { .fd = client(a, PORT) };

	(void)state;
	fd = accept_soon(l);
	log_level(LOG_ERR);
	fds_leave(0);
	assert_false(tcp_splice_new(&tcp, fd, PIF_HOST, PIF_HOST, &ini, &tgt));
	fds_back();
	log_level(LOG_WARNING);
	assert_int_equal(tcp.stats.no_fd, 1);
	assert_int_equal(flows.used, 0);
	end_drain(&e);
	assert_int_equal(e.error, ECONNRESET);
	close(e.fd);
	close(l);
}

/* No pipe to be had for a while: bytes wait, nothing is lost */
static void test_no_pipe(void **state)
{
	struct path p;

	(void)state;
	path_open(&p, &inany_loopback4, PIF_HOST, 0);
	drop_pool();
	log_level(LOG_ERR);
	fds_leave(0);
	p.end[0].to_send = 5000;
	assert_true(end_send(&p.end[0], 5000));
	end_fin(&p.end[0]);
	relay();
	assert_false(end_recv(&p.end[1], CHUNK));
	fds_back();
	log_level(LOG_WARNING);
	end_drain(&p.end[1]);
	assert_true(p.end[1].eof);
	assert_int_equal(p.end[1].got, 5000);
	path_close(&p);
}

/* splice(2) stops at urgent data; the stream must not, nor lose the byte */
static void test_urgent(void **state)
{
	unsigned round;
	struct path p;
	uint8_t b;

	(void)state;
	path_open(&p, &inany_loopback4, PIF_HOST, 0);
	for (round = 0; round < 4; round++) {
		p.end[0].to_send += 100;
		assert_true(end_send(&p.end[0], 100));
		if (round & 1)
			relay();
		b = byte_at(p.end[0].sent, 1);
		assert_int_equal(send(p.end[0].fd, &b, 1, MSG_OOB), 1);
		p.end[0].sent++;
		p.end[0].to_send += 101;
		if (round & 2)
			relay();
		assert_true(end_send(&p.end[0], 100));
		relay();
		while (end_recv(&p.end[1], CHUNK))
			;
		assert_int_equal(p.end[1].got, p.end[0].sent);
	}
	path_close(&p);
}

/* Late events of a slot's earlier connection say nothing about this one */
static void test_stale_event(void **state)
{
	union epoll_ref ref = { .type = EPOLL_TCP_SPLICE };
	struct path p;

	(void)state;
	path_open(&p, &inany_loopback4, PIF_HOST, 0);
	ref.id = flow_idx(&flows, &p.c->f);
	ref.pad = (uint16_t)(p.c->gen - 1);
	tcp_splice_event(&tcp, ref, EPOLLERR | EPOLLHUP);
	assert_int_equal(flows.used, 1);
	ref.pad = p.c->gen;
	ref.id++;
	tcp_splice_event(&tcp, ref, EPOLLERR | EPOLLHUP);
	assert_int_equal(flows.used, 1);
	path_close(&p);
}

/* Given up: both sides see a reset */
static void test_close(void **state)
{
	struct path p;
	unsigned s;

	(void)state;
	path_open(&p, &inany_loopback4, PIF_HOST, 0);
	relay();
	flows_close(&flows, tcp_splice_flow_close);
	assert_int_equal(flows.used, 0);
	for (s = 0; s < 2; s++) {
		end_drain(&p.end[s]);
		assert_int_equal(p.end[s].error, ECONNRESET);
	}
	path_close(&p);
}

static void test_table_full(void **state)
{
	const union inany_addr *a = &inany_loopback4;
	const struct flowside ini = { .oport = PORT };
	const struct flowside tgt = { .eaddr = *a,
				      .oaddr = inany_any4,
				      .eport = PORT };
	int l = listener(a, PORT), fd;
	struct end e = { .fd = client(a, PORT) };
	struct flow *f[FLOWS];
	unsigned i;

	(void)state;
	for (i = 0; i < FLOWS; i++)
		assert_non_null(f[i] = flow_new(&flows, FLOW_PING));
	fd = accept_soon(l);
	log_level(LOG_ERR);
	assert_false(tcp_splice_new(&tcp, fd, PIF_HOST, PIF_HOST, &ini, &tgt));
	log_level(LOG_WARNING);
	end_drain(&e);
	assert_int_equal(e.error, ECONNRESET);
	assert_int_equal(tcp.stats.table_full, 1);
	for (i = 0; i < FLOWS; i++)
		flow_free(&flows, f[i]);
	close(e.fd);
	close(l);
}

/* Own namespace with its loopback up */
static int set_up(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ping_pong),
		cmocka_unit_test(test_eof_behind_bytes),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_reset_slow_reader),
		cmocka_unit_test(test_reset_with_bytes),
		cmocka_unit_test(test_answer_then_reset),
		cmocka_unit_test(test_fin_then_reset),
		cmocka_unit_test(test_connect_refused),
		cmocka_unit_test(test_other_target),
		cmocka_unit_test(test_reset_while_connecting),
		cmocka_unit_test(test_no_descriptor),
		cmocka_unit_test(test_no_pipe),
		cmocka_unit_test(test_urgent),
		cmocka_unit_test(test_stale_event),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_table_full),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
