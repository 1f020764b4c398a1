/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The splice pump against a kernel made up for it, with everything at random
 *
 * Sockets, pipes and epoll are a model here: queues hold positions of a stream
 * instead of bytes, a wake-up is edge-triggered as the kernel's are, EPOLLOUT
 * comes only to who was refused, pipes are counted in slots that hold between a
 * byte and a page. Programs at both ends send, read, stall, shut down, reset, and
 * close with bytes unread, in any order; pipes and descriptors fail to be had.
 *
 * A byte that is lost, doubled or in the wrong place is seen when it is written.
 * In the end both programs read whatever comes: then all must be there, unless
 * somebody reset, or a wake-up was forgotten. Whatever was opened is closed.
 *
 * SPLICE_MODEL_STEPS=n goes on for that many steps, SPLICE_MODEL_SEED=n runs one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fwd.h"
#include "lib/log.h"
#include "netns.h"
#include "tcp.h"
#include "tcp/splice.h"

#define STEPS    40000000 /* altogether */
#define RUN      400      /* of one run, at most */
#define CONNS    4
#define FLOWS    8
#define FDS      512
#define SLOTS    64
#define PAGE     4096
#define EVENTS   16
#define QUIET    300  /* turns without progress: it stands still */
#define FD_FIRST 1000 /* no descriptor of the real kernel's */

enum kind { FREE, SOCK, PIPE_RD, PIPE_WR };

/* A piece of a stream in a pipe's slot */
struct seg {
	unsigned stream;
	uint64_t pos;
	uint32_t len;
};

struct k_pipe {
	struct seg slot[SLOTS];
	unsigned first, n, nslots;
	bool rd, wr; /* open */
};

/* A socket of the module's, and the program at its other end */
struct k_sock {
	unsigned stream;         /* what the program sends: its number */
	unsigned other;          /* stream that it should get */
	uint64_t arrived, taken; /* of the program's bytes: here; by us */
	uint64_t written, got;   /* of ours: written; read by the program */
	uint32_t rcvbuf, sndbuf;
	bool connecting, refuse;
	bool fin, rst; /* of the program's */
	int error;     /* pending */
	bool shut, closed, our_rst;
	bool nospace;         /* EPOLLOUT is wanted */
	bool watched, queued; /* by epoll; an event waits */
	bool muted;           /* not for input */
	bool up;              /* the module was told that it is connected */
	bool early;           /* reset before the other one was */
	bool dead;            /* the program is gone */
	uint64_t at_fin;      /* what had been written at shutdown() */
	union epoll_ref ref;
};

static struct k_fd {
	enum kind kind;
	unsigned idx;
} fds[FDS];
static struct k_sock socks[CONNS * 2];
static struct k_pipe pipes[FDS];
static unsigned nsocks, next_pipe, seed_now;
static bool no_pipes, small_pipes, settling;
static uint64_t steps;

static struct loop loop;
static struct flow_table flows;
static struct fwd fwd;
static struct netns netns;
static struct tcp env_tcp = {
	.loop = &loop, .flows = &flows, .fwd = &fwd, .netns = &netns
};

static uint64_t rng = 1;
static uint32_t rnd(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return below ? (uint32_t)(rng >> 32) % below : 0;
}

static bool chance(unsigned percent)
{
	return rnd(100) < percent;
}

#define FAIL(...)                                   \
	do {                                        \
		print_error("seed %u: ", seed_now); \
		fail_msg(__VA_ARGS__);              \
	} while (0)

/* --- The kernel ------------------------------------------------------------ */

static int new_fd(enum kind kind, unsigned idx)
{
	unsigned i;

	for (i = 0; i < FDS && fds[i].kind; i++)
		;
	assert_true(i < FDS);
	fds[i] = (struct k_fd){ kind, idx };
	return (int)i + FD_FIRST;
}

static struct k_fd *fd_of(int fd)
{
	struct k_fd *k = &fds[fd - FD_FIRST];

	if (fd < FD_FIRST || fd >= FD_FIRST + FDS || !k->kind)
		FAIL("descriptor %d is not open", fd);
	return k;
}

static struct k_sock *sock_of(int fd)
{
	if (fd_of(fd)->kind != SOCK)
		FAIL("descriptor %d is no socket", fd);
	return &socks[fd_of(fd)->idx];
}

/* Bytes under way to the program */
static uint32_t unread(const struct k_sock *s)
{
	return (uint32_t)(s->written - s->got);
}

static bool writable(const struct k_sock *s)
{
	return s->sndbuf - unread(s) >= s->sndbuf / 3;
}

static void wake(struct k_sock *s)
{
	if (s->watched && !s->closed)
		s->queued = true;
}

static uint32_t mask(struct k_sock *s)
{
	uint32_t ev = 0;

	if (!s->muted && (s->arrived > s->taken || s->fin || s->rst))
		ev |= EPOLLIN;
	if (s->fin || s->rst)
		ev |= EPOLLRDHUP;
	if (s->error)
		ev |= EPOLLERR;
	if (s->rst || (s->fin && s->shut))
		ev |= EPOLLHUP;
	if (s->connecting)
		return ev;
	if (s->rst || s->shut || writable(s))
		ev |= EPOLLOUT;
	else
		s->nospace = true;
	return ev;
}

/* Socket to pipe: slot by slot, each of them filled more or less */
static ssize_t k_in(struct k_sock *s, struct k_pipe *p, size_t len)
{
	bool tiny = chance(20); /* as of many small segments */
	ssize_t n = 0;

	if (s->arrived == s->taken) {
		if (s->error) {
			errno = s->error;
			s->error = 0;
			return -1;
		}
		if (s->fin || s->rst)
			return 0;
		errno = s->connecting ? ENOTCONN : EAGAIN;
		return -1;
	}
	while (s->arrived > s->taken && p->n < p->nslots && len) {
		struct seg *g = &p->slot[(p->first + p->n) % SLOTS];
		uint32_t max = chance(50) ? PAGE : 1 + rnd(tiny ? 2 : PAGE);

		if (tiny && chance(80))
			max = 1;

		max = max < len ? max : (uint32_t)len;
		if (max > s->arrived - s->taken)
			max = (uint32_t)(s->arrived - s->taken);
		*g = (struct seg){ s->stream, s->taken, max };
		p->n++;
		s->taken += max;
		len -= max;
		n += max;
	}
	if (n)
		return n;
	errno = EAGAIN;
	return -1;
}

/* Pipe to socket; sometimes the system is short of memory */
static ssize_t k_out(struct k_pipe *p, struct k_sock *s, size_t len)
{
	uint32_t room = s->sndbuf - unread(s);
	ssize_t n = 0;

	if (s->error) {
		errno = s->error;
		s->error = 0;
		return -1;
	}
	if (s->rst || s->shut) {
		errno = EPIPE;
		return -1;
	}
	if (chance(10))
		room = room ? 1 + rnd(room) : 0;
	while (!s->connecting && room && len && p->n) {
		struct seg *g = &p->slot[p->first];
		uint32_t part = g->len < room ? g->len : room;

		part = part < len ? part : (uint32_t)len;
		if (g->stream != s->other || g->pos != s->written)
			FAIL("stream %u at %llu, should be %u at %llu",
			     g->stream, (unsigned long long)g->pos, s->other,
			     (unsigned long long)s->written);
		s->written += part;
		g->pos += part;
		g->len -= part;
		len -= part;
		room -= part;
		n += part;
		if (!g->len) {
			p->first = (p->first + 1) % SLOTS;
			p->n--;
		}
	}
	if (len && !room)
		s->nospace = true;
	if (n)
		return n;
	s->nospace = true;
	errno = EAGAIN;
	return -1;
}

static ssize_t k_splice(int from, int to, size_t len)
{
	const struct k_fd *f = fd_of(from), *t = fd_of(to);

	steps++;
	if (chance(2)) {
		errno = EINTR;
		return -1;
	}
	if (f->kind == SOCK && t->kind == PIPE_WR)
		return k_in(&socks[f->idx], &pipes[t->idx], len);
	if (f->kind == PIPE_RD && t->kind == SOCK)
		return k_out(&pipes[f->idx], &socks[t->idx], len);
	FAIL("splice of %d and %d", from, to);
	return -1;
}

static int k_pipe2(int fd[2])
{
	struct k_pipe *p = &pipes[next_pipe];

	if (no_pipes) {
		errno = EMFILE;
		return -1;
	}
	assert_false(p->rd || p->wr);
	*p = (struct k_pipe){ .nslots = small_pipes ? 2 : 16,
			      .rd = true,
			      .wr = true };
	fd[0] = new_fd(PIPE_RD, next_pipe);
	fd[1] = new_fd(PIPE_WR, next_pipe);
	do
		next_pipe = (next_pipe + 1) % FDS;
	while (pipes[next_pipe].rd || pipes[next_pipe].wr);
	return 0;
}

/* Size of a pipe; what is asked for is not always to be had */
static int k_fcntl(int fd, int cmd, int arg, ...)
{
	struct k_pipe *p = &pipes[fd_of(fd)->idx];

	if (cmd == F_SETPIPE_SZ) {
		assert_int_equal(p->n, 0);
		if (small_pipes || chance(50)) {
			errno = EPERM;
			return -1;
		}
		/* as many as the model has room for, of smaller pages */
		p->nslots = SLOTS;
		return arg;
	}
	return (int)p->nslots * PAGE;
}

static int k_close(int fd)
{
	struct k_fd *k = fd_of(fd);

	if (k->kind == PIPE_RD)
		pipes[k->idx].rd = false;
	if (k->kind == PIPE_WR)
		pipes[k->idx].wr = false;
	if (k->kind == SOCK) {
		struct k_sock *s = &socks[k->idx];

		/* with bytes unread the kernel resets */
		s->closed = true;
		s->our_rst |= s->arrived > s->taken;
		if (!s->shut)
			s->at_fin = s->written;
		s->queued = false;
	}
	k->kind = FREE;
	return 0;
}

static void k_close_rst(int fd)
{
	sock_of(fd)->our_rst = true;
	k_close(fd);
}

static int k_shutdown(int fd)
{
	struct k_sock *s = sock_of(fd);

	if (s->shut)
		FAIL("shut twice");
	s->shut = true;
	s->at_fin = s->written;
	if (s->fin)
		wake(s);
	return 0;
}

/* What waits to be read, or to be sent */
static int k_ioctl(int fd, unsigned long what, int *n)
{
	const struct k_sock *s = sock_of(fd);

	if (what == FIONREAD) {
		*n = (int)(s->arrived - s->taken);
		return 0;
	}

	/* what is sent lies in the program's socket */
	*n = s->rst || chance(50) ? 0 : (int)unread(s);
	return 0;
}

static int k_add(int fd, union epoll_ref ref)
{
	struct k_sock *s = sock_of(fd);

	if (chance(1))
		return -ENOSPC;
	s->watched = true;
	s->ref = ref;
	s->queued = true; /* whatever is true already is told */
	return 0;
}

static int k_mod(int fd, uint32_t events)
{
	struct k_sock *s = sock_of(fd);

	if (chance(1))
		return -ENOMEM;
	s->muted = !(events & EPOLLIN);
	s->queued = true;
	return 0;
}

/* The next socket made is the target of the last connection */
static int k_target(void)
{
	if (chance(3))
		return -EMFILE;
	socks[nsocks - 1].closed = false;
	return new_fd(SOCK, nsocks - 1);
}

static int k_connect(int fd)
{
	struct k_sock *s = sock_of(fd);

	if (chance(3)) {
		s->dead = true;
		return -ECONNREFUSED;
	}
	if (chance(30))
		return 0;
	s->connecting = true;
	s->refuse = chance(20);
	return -EINPROGRESS;
}

static const struct fwd_map map;

#define splice(from, x, to, y, len, flags) k_splice(from, to, len)
#define pipe2(fd, flags)                   k_pipe2(fd)
#define fcntl(fd, ...)                     k_fcntl(fd, __VA_ARGS__, 0)
#define close                              k_close
#define sock_close_rst                     k_close_rst
#define shutdown(fd, how)                  k_shutdown(fd)
#define ioctl(fd, what, n)                 k_ioctl(fd, what, n)
#define loop_add(loop, fd, events, ref)    k_add(fd, ref)
#define loop_mod(loop, fd, events, ref)    ((void)(ref), k_mod(fd, events))
#define fwd_socket(fwd, proto, side, x)    ((void)(side), k_target())
#define netns_socket(ns, af)               k_target()
#define sock_connect(fd, a, port, scope)   ((void)(scope), k_connect(fd))
#define sock_set_int(fd, level, opt, val)  ((void)0)
/* Going on to another target is for test_splice.c, with real sockets */
#define fwd_other_target(fwd, pif, ini, tgt) ((void)(tgt), false)
#define sock_error(fd)                       ((void)(fd), 0)
#define fwd_map_of(fwd, addr)                (&map)
#include "tcp/splice.c"
#include "test/fake/flows.h"
#undef close
#undef shutdown

/* --- Programs -------------------------------------------------------------- */

static const struct flow_ops ops[FLOW_TYPES] = {
	[FLOW_TCP_SPLICE] = { "splice", tcp_splice_flow_timer,
			      tcp_splice_flow_resume, NULL, &env_tcp },
};

/* What a program did, that the end is judged by */
static bool any_reset(const struct k_sock *s)
{
	const struct k_sock *o = &socks[(s - socks) ^ 1];

	return s->rst || o->rst;
}

static void prog_sends(struct k_sock *s, uint32_t n)
{
	uint32_t room = s->rcvbuf - (uint32_t)(s->arrived - s->taken);

	if (s->fin || s->rst || s->connecting || s->dead ||
	    (s->closed && !s->our_rst && !s->at_fin && !s->shut))
		return;
	n = n < room ? n : room;
	if (!n)
		return;
	if (s->closed)
		return; /* to nobody */
	s->arrived += n;
	if (!s->muted)
		wake(s);
}

static void prog_reads(struct k_sock *s, uint32_t n)
{
	if (s->rst || s->connecting || s->dead)
		return;
	if (s->closed && s->our_rst)
		return; /* what was on its way is gone */
	n = n < unread(s) ? n : unread(s);
	s->got += n;
	if (s->nospace && writable(s) && n) {
		s->nospace = false;
		wake(s);
	}
}

static void prog_ends(struct k_sock *s)
{
	if (s->fin || s->rst || s->connecting || s->dead || s->closed)
		return;
	s->fin = true;
	wake(s);
}

static void prog_resets(struct k_sock *s)
{
	if (s->rst || s->connecting || s->dead || s->closed)
		return;
	s->early = !socks[(s - socks) ^ 1].up;
	s->rst = true;
	s->error = ECONNRESET;
	wake(s);
}

/* The target answers */
static void net_answers(struct k_sock *s)
{
	if (!s->connecting || s->closed)
		return;
	s->connecting = false;
	if (s->refuse) {
		s->rst = true;
		s->error = ECONNREFUSED;
	}
	wake(s);
}

static void open_one(void)
{
	const struct flowside ini = { .eaddr = inany_loopback4,
				      .oaddr = inany_loopback4 };
	unsigned i, first = nsocks;
	int fd;

	for (i = 0; i < 2; i++)
		socks[nsocks++] = (struct k_sock){
			.stream = first + i,
			.other = first + !i,
			.rcvbuf = 1 + rnd(chance(30) ? 100 : 300000),
			.sndbuf = 3 + rnd(chance(30) ? 100 : 300000),
		};
	fd = new_fd(SOCK, first);
	socks[first + 1].closed = true; /* not made yet */
	tcp_splice_new(&env_tcp, fd, PIF_HOST,
		       chance(50) ? PIF_HOST : PIF_SPLICE, &ini, &ini);
	if (socks[first].closed) /* could not even be tried */
		socks[first].dead = socks[first + 1].dead = true;
}

static void turn(void)
{
	struct {
		union epoll_ref ref;
		uint32_t events;
	} ev[EVENTS];
	unsigned i, n = 0, start = rnd(nsocks);
	struct wtimer *t;

	for (i = 0; i < nsocks && n < EVENTS; i++) {
		struct k_sock *s = &socks[(start + i) % nsocks];

		if (!s->queued || s->closed)
			continue;
		s->queued = false;
		s->up |= !s->connecting;
		ev[n].ref = s->ref;
		ev[n].events = mask(s);
		n += ev[n].events != 0;
	}
	for (i = 0; i < n; i++) {
		/* a slot given back may be somebody else's by the next event */
		if (!settling && nsocks < CONNS * 2 && chance(5))
			open_one();
		tcp_splice_event(&env_tcp, ev[i].ref, ev[i].events);
	}
	while ((t = wheel_pop(&loop.wheel, loop.now)))
		flow_timer(&flows, t);
	flow_run_deferred(&flows);
}

static void one_step(unsigned resets)
{
	struct k_sock *s = &socks[rnd(nsocks)];

	steps++;
	switch (rnd(12)) {
	case 0:
	case 1:
		prog_sends(s, 1 + rnd(chance(50) ? 50 : 200000));
		break;
	case 2:
	case 3:
		prog_reads(s, 1 + rnd(chance(50) ? 50 : 200000));
		break;
	case 4:
		if (chance(10))
			prog_ends(s);
		break;
	case 5:
		if (chance(resets))
			prog_resets(s);
		break;
	case 6:
		net_answers(s);
		break;
	case 7:
		no_pipes = chance(10);
		break;
	case 8:
		loop.now += rnd(20);
		break;
	default:
		turn();
	}
}

/* All read what comes, until nothing moves any more */
static void drain(void)
{
	uint64_t moved, before = 0;
	unsigned i, quiet = 0;

	for (quiet = 0; quiet < QUIET && flows.used; quiet++) {
		moved = 0;
		for (i = 0; i < nsocks; i++) {
			net_answers(&socks[i]);
			prog_reads(&socks[i], UINT32_MAX);
			moved += socks[i].taken + socks[i].got;
		}
		turn();
		loop.now += 4;
		if (moved != before)
			quiet = 0;
		before = moved;
	}
	for (i = 0; i < nsocks; i++)
		prog_reads(&socks[i], UINT32_MAX);
}

/* Without an end or an error to wake anybody up, all must have arrived. Then
 * both programs end, and so must everything else.
 */
static void settle(void)
{
	unsigned i;

	no_pipes = false;
	settling = true;
	drain();
	for (i = 0; i < nsocks; i++) {
		const struct k_sock *s = &socks[i], *o = &socks[i ^ 1];

		if (!any_reset(s) && !s->dead && !o->dead &&
		    o->got != s->arrived)
			FAIL("socket %u: forgotten at %llu of %llu bytes", i,
			     (unsigned long long)o->got,
			     (unsigned long long)s->arrived);
	}
	for (i = 0; i < nsocks; i++)
		prog_ends(&socks[i]);
	drain();
}

static void judge(void)
{
	unsigned i;

	for (i = 0; i < nsocks; i++) {
		const struct k_sock *s = &socks[i], *o = &socks[i ^ 1];

		if (s->dead || o->dead)
			continue;
		if (!s->closed)
			FAIL("socket %u: still open, arrived %llu taken %llu "
			     "written %llu read %llu of the other %llu",
			     i, (unsigned long long)s->arrived,
			     (unsigned long long)s->taken,
			     (unsigned long long)s->written,
			     (unsigned long long)s->got,
			     (unsigned long long)o->arrived);
		if (!any_reset(s)) {
			if (o->got != s->arrived)
				FAIL("socket %u: %llu of %llu bytes", i,
				     (unsigned long long)o->got,
				     (unsigned long long)s->arrived);
			if (s->our_rst)
				FAIL("socket %u: reset for nothing", i);
			if (!s->shut)
				FAIL("socket %u: never shut", i);
		}
		/* a reset goes through, behind the bytes before it */
		if (s->rst && !o->rst && !o->our_rst &&
		    !(o->fin && o->shut && s->fin))
			FAIL("socket %u: reset, but the other only closed", i);
		if (s->rst && !s->refuse && !s->early && !o->rst &&
		    o->written != s->arrived)
			FAIL("socket %u: %llu of %llu bytes before its reset",
			     i, (unsigned long long)o->written,
			     (unsigned long long)s->arrived);
	}
	assert_int_equal(flows.used, 0);
	assert_int_equal(wheel_next(&loop.wheel, loop.now), -1);
}

/* Only pipes of the pool are open, all of them empty */
static void check_left(void)
{
	unsigned i, open = 0;

	for (i = 0; i < npool; i++)
		assert_int_equal(pipes[fd_of(pool[i].rd)->idx].n, 0);
	for (i = 0; i < FDS; i++)
		open += fds[i].kind != FREE;
	if (open != 2 * npool)
		FAIL("%u descriptors open, %u pipes in the pool", open, npool);
}

/* End a connection where it is */
static void give_up(void *ctx, struct flow *f)
{
	splice_end(ctx, (struct tcp_splice *)f, true);
}

static void one_run(unsigned seed)
{
	unsigned i, n, resets;

	seed_now = seed;
	rng = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (i = 0; i < 10; i++)
		rnd(1);
	nsocks = 0;
	settling = no_pipes = false;
	loop.now = 1;
	wheel_init(&loop.wheel, loop.now);
	while (npool)
		pipe_close(&pool[--npool]);
	small_pipes = chance(40);
	resets = chance(60) ? 0 : 1 + rnd(30);
	open_one();
	n = 1 + rnd(RUN);
	for (i = 0; i < n; i++) {
		if (nsocks < 2 * CONNS && chance(3))
			open_one();
		one_step(resets);
	}
	if (chance(5)) {
		flows_close(&flows, give_up);
		flow_run_deferred(&flows);
	} else {
		settle();
		judge();
	}
	check_left();
}

static void test_model(void **state)
{
	const char *one = getenv("SPLICE_MODEL_SEED");
	const char *many = getenv("SPLICE_MODEL_STEPS");
	uint64_t end = many ? strtoull(many, NULL, 10) : STEPS;
	const struct siphash_key key = { { 3, 4 } };
	unsigned seed;

	(void)state;
	log_level(LOG_ERR);
	loop.now = 1;
	wheel_init(&loop.wheel, loop.now);
	assert_int_equal(flow_init(&flows, FLOWS, &key, ops, &loop.wheel), 0);
	if (one) {
		one_run((unsigned)atoi(one));
		return;
	}
	for (seed = 1; steps < end; seed++)
		one_run(seed);
	print_message("%u runs, %llu steps\n", seed - 1,
		      (unsigned long long)steps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
