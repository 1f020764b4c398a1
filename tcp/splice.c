/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP between two sockets, loopback to loopback, without the guest's link
 *
 * A connection has two sockets, and for each direction that has something to
 * carry, a pipe: splice(2) moves pages from the source socket to the pipe and
 * from there to the target socket. Pipes come from a pool and go back to it as
 * soon as they are empty, so that an idle connection costs two descriptors.
 *
 * State of a direction, on which everything else is computed:
 *
 *   readable	the source may have bytes, its end or an error to tell. Set by
 *		an event, cleared only by an answer which proves that it has
 *		not: nothing to splice *while the pipe is empty*, as a full pipe
 *		gives the same EAGAIN, and "full" is counted in slots, not bytes
 *   queued	bytes in the pipe
 *   blocked	the target took none: set by EAGAIN, cleared by EPOLLOUT
 *   eof	the source has said its last
 *   shut	and the target has been told, which is once the pipe is empty
 *
 * and of a side: reset, once an error was seen on it. What it had received
 * before is still passed on, then the other side is reset, too. What was meant
 * for it is dropped.
 *
 * Sockets are watched edge-triggered, both ways: an event only notes what it
 * says, splice_run() pumps both directions as far as they go, and
 * splice_settle() does what is due in the state reached. Hence no wake-up can
 * get lost between them: a direction at rest is either not readable with its
 * pipe empty, or blocked, or it is deferred or has a timer armed.
 *
 * While a direction is blocked, what arrives at its source is no news, but each
 * segment is an event. So with the first one the source is watched for
 * everything but that (muted), until the target has taken all there was: to watch
 * it again makes the kernel look at it once more.
 */

#include "tcp/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fwd.h"
#include "lib/log.h"
#include "netns.h"
#include "tcp.h"

/* #syscalls:pasta splice recvfrom write close
 * #syscalls:pasta pipe2(1=O_NONBLOCK|O_CLOEXEC) shutdown(1=SHUT_WR)
 * #syscalls:pasta fcntl(1=F_SETPIPE_SZ/F_GETPIPE_SZ)
 * #syscalls:pasta ioctl(1=SIOCOUTQNSD/FIONREAD)
 * #syscalls:pasta setsockopt(1=SOL_SOCKET,2=SO_OOBINLINE)
 * #syscalls:pasta setsockopt(1=IPPROTO_TCP,2=TCP_NODELAY)
 */

#define PIPE_POOL      64 /* empty pipes kept, and not more */
#define PIPE_POOL_PART 16 /* than this part of the limit of descriptors */

/* Large pipes are faster, but /proc/sys/fs/pipe-user-pages-soft is shared by
 * all processes of a user: so many may be large
 */
#define PIPE_LARGE     (1024 * 1024)
#define PIPE_LARGE_MAX 16

/* Fewest slots a pipe can have (PIPE_MIN_DEF_BUFFERS in the kernel) */
#define PIPE_SLOTS_MIN 2

#define PUMP_MAX    (4 * PIPE_LARGE) /* bytes asked for at once, more than fits */
#define PUMP_ROUNDS 4                /* then it is the turn of others */

#define PIPE_RETRY_MS   10  /* no pipe or no memory to be had: look again */
#define UNSENT_RETRY_MS 10  /* bytes on their way before a reset: look again */
#define UNSENT_RETRIES  100 /* so often */

#define SPLICE_EVENTS \
	(EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | (uint32_t)EPOLLET)
#define SPLICE_MUTED ((uint32_t)(EPOLLOUT | EPOLLRDHUP) | (uint32_t)EPOLLET)
#define SPLICE_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

/* A pipe; @slots 0: none */
struct pipe {
	int rd, wr;
	unsigned slots; /* buffers it has at least, each holds a byte or more */
	bool large;
};

/**
 * struct splice_dir - One direction, see the theory above
 * @hup:	Its end was announced: read until it comes
 * @muted:	The source is not watched for input
 * @urgent:	There is urgent data, which splice(2) stops at for ever
 */
struct splice_dir {
	struct pipe pipe;
	uint32_t queued;
	bool readable, blocked, eof, shut;
	bool hup, muted, urgent;
};

/**
 * struct tcp_splice - Spliced connection
 * @f:		Common head
 * @fd:		Sockets, by side
 * @dir:	Directions, by the side they come from
 * @reset:	Sides that failed
 * @connected:	The target side is
 * @tries:	Looks for bytes unsent before a reset
 * @gen:	Tells events of this connection from those of an earlier one
 */
struct tcp_splice {
	struct flow f;
	int fd[2];
	struct splice_dir dir[2];
	bool reset[2];
	bool connected;
	uint8_t tries;
	uint16_t gen;
};

_Static_assert(sizeof(struct tcp_splice) <= FLOW_SLOT, "must fit a slot");

/* Pipes without content, and how many large ones there are altogether */
static struct pipe pool[PIPE_POOL];
static unsigned npool, nlarge, pool_max = PIPE_POOL;

void tcp_splice_init(void)
{
	struct rlimit lim;

	if (!getrlimit(RLIMIT_NOFILE, &lim) &&
	    lim.rlim_cur / PIPE_POOL_PART < PIPE_POOL)
		pool_max = (unsigned)(lim.rlim_cur / PIPE_POOL_PART) + 1;
}

static void pipe_close(struct pipe *p)
{
	if (!p->slots)
		return;
	if (p->large)
		nlarge--;
	close(p->rd);
	close(p->wr);
	p->slots = 0;
}

/* Give back an empty pipe, if there is one */
static void pipe_put(struct pipe *p)
{
	if (!p->slots)
		return;
	if (npool >= pool_max) {
		pipe_close(p);
		return;
	}
	pool[npool++] = *p;
	p->slots = 0;
}

/* Return: 0, or -errno if there is no pipe to be had */
static int pipe_get(struct pipe *p)
{
	int fd[2], size;

	if (npool) {
		*p = pool[--npool];
		return 0;
	}

	if (pipe2(fd, O_NONBLOCK | O_CLOEXEC))
		return -errno;
	p->rd = fd[0];
	p->wr = fd[1];
	p->large = nlarge < PIPE_LARGE_MAX &&
		   fcntl(p->wr, F_SETPIPE_SZ, PIPE_LARGE) >= PIPE_LARGE;
	if (p->large)
		nlarge++;
	/* The kernel makes small ones for a user who has many */
	size = p->large ? PIPE_LARGE : fcntl(p->wr, F_GETPIPE_SZ);
	p->slots = (unsigned)(size / (int)sysconf(_SC_PAGESIZE));
	if (size <= 0 || p->slots < PIPE_SLOTS_MIN)
		p->slots = PIPE_SLOTS_MIN;
	return 0;
}

/* splice(2) once */
static ssize_t move(int from, int to, size_t len)
{
	ssize_t n;

	do
		n = splice(from, NULL, to, NULL, len, SPLICE_FLAGS);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* A side failed: what it received before can still be read */
static void side_failed(struct tcp_splice *c, unsigned s)
{
	c->reset[s] = true;
	c->dir[s].hup = true;
	c->dir[s].readable = !c->dir[s].eof;
}

/* Take the byte that splice(2) stops at, in order. Return: 1, 0, or -errno */
static ssize_t move_urgent(struct tcp_splice *c, unsigned s)
{
	struct splice_dir *d = &c->dir[s];
	char byte;
	ssize_t n;

	d->urgent = false;
	sock_set_int(c->fd[s], SOL_SOCKET, SO_OOBINLINE, 1);
	n = recv(c->fd[s], &byte, 1, MSG_DONTWAIT);
	if (n == 1)
		n = write(d->pipe.wr, &byte, 1);
	return n < 0 ? -errno : n;
}

/* Not the fault of a side: the kernel lacks memory */
static bool is_short(ssize_t n)
{
	return n == -ENOMEM || n == -ENOBUFS;
}

/* Source socket to pipe. Return: 0, or -errno to be tried again */
static int pump_in(struct tcp_splice *c, unsigned s)
{
	struct splice_dir *d = &c->dir[s];
	bool empty = !d->queued, more = d->hup || d->urgent;
	ssize_t n;

	n = move(c->fd[s], d->pipe.wr, PUMP_MAX);
	if (n == -EAGAIN && empty && d->urgent)
		n = move_urgent(c, s);

	if (n > 0) {
		d->queued += (uint32_t)n;
		/* No need to ask again if the pipe has slots left for sure */
		if (empty && n < d->pipe.slots && !more)
			d->readable = false;
	} else if (is_short(n)) {
		return (int)n;
	} else if (n == -EAGAIN) {
		if (empty)
			d->readable = false;
	} else {
		d->eof = true;
		d->readable = false;
		if (n)
			side_failed(c, s);
	}
	return 0;
}

/* Pipe to target socket. Return: 0, or -errno to be tried again */
static int pump_out(struct tcp *tcp, struct tcp_splice *c, unsigned s)
{
	struct splice_dir *d = &c->dir[s];
	ssize_t n;

	n = move(d->pipe.rd, c->fd[!s], d->queued);
	if (n > 0) {
		d->queued -= (uint32_t)n;
		if (c->f.pif[s] == PIF_HOST)
			tcp->stats.splice_tx_bytes += (uint64_t)n;
		else
			tcp->stats.splice_rx_bytes += (uint64_t)n;
	} else if (is_short(n)) {
		return (int)n;
	} else if (n == -EAGAIN) {
		d->blocked = true;
	} else {
		side_failed(c, !s);
	}
	return 0;
}

/**
 * splice_pump() - Carry bytes one way as far as they go
 * @tcp:	TCP: counters
 * @c:		Connection
 * @s:		Side they come from
 *
 * Return: 0 if it is at rest, -EBUSY if there is more to do in the next turn,
 *	   or another -errno if there is no pipe, or no memory
 */
static int splice_pump(struct tcp *tcp, struct tcp_splice *c, unsigned s)
{
	struct splice_dir *d = &c->dir[s];
	unsigned round;
	int rc;

	for (round = 0; round < PUMP_ROUNDS; round++) {
		if (d->blocked || c->reset[!s])
			return 0;
		if (d->readable) {
			rc = d->pipe.slots ? 0 : pipe_get(&d->pipe);
			if (!rc)
				rc = pump_in(c, s);
			if (rc)
				return rc;
		}
		rc = d->queued ? pump_out(tcp, c, s) : 0;
		if (rc)
			return rc;
		if (!d->queued && !d->readable)
			return 0;
	}
	return -EBUSY;
}

/* Give everything back. @rst: those who do not know yet see a reset */
static void splice_end(struct tcp *tcp, struct tcp_splice *c, bool rst)
{
	unsigned s;

	for (s = 0; s < 2; s++) {
		if (c->dir[s].queued)
			pipe_close(&c->dir[s].pipe);
		else
			pipe_put(&c->dir[s].pipe);
		if (rst && !c->reset[s])
			sock_close_rst(c->fd[s]);
		else
			close(c->fd[s]);
	}
	flow_free(tcp->flows, &c->f);
}

/* Are there bytes which a reset now would take from the peer? */
static bool unsent(int fd)
{
	int n = 0;

	return !ioctl(fd, SIOCOUTQNSD, &n) && n > 0;
}

/* One side failed. Pass on what it had received, then reset the other */
static void settle_reset(struct tcp *tcp, struct tcp_splice *c)
{
	unsigned s = c->reset[0] ? 0 : 1; /* failed */
	struct splice_dir *d = &c->dir[s];

	if (c->connected && !c->reset[!s]) {
		if (d->readable || d->queued)
			return;
		if (unsent(c->fd[!s]) && c->tries < UNSENT_RETRIES) {
			if (!wtimer_armed(&c->f.timer))
				loop_arm(tcp->loop, &c->f.timer,
					 UNSENT_RETRY_MS);
			return;
		}
	}
	splice_end(tcp, c, true);
}

/* Do what is due in the state reached; @c may be gone afterwards */
static void splice_settle(struct tcp *tcp, struct tcp_splice *c)
{
	struct splice_dir *d;
	unsigned s;

	for (s = 0; s < 2; s++) {
		d = &c->dir[s];
		if (c->reset[!s]) {
			if (d->queued)
				pipe_close(&d->pipe);
			d->queued = 0;
			d->readable = false;
		}
		if (!d->queued)
			pipe_put(&d->pipe);
	}

	if (c->reset[0] || c->reset[1]) {
		settle_reset(tcp, c);
		return;
	}

	for (s = 0; s < 2; s++) {
		d = &c->dir[s];
		if (d->eof && !d->queued && !d->shut) {
			shutdown(c->fd[!s], SHUT_WR);
			d->shut = true;
		}
	}
	if (c->dir[0].shut && c->dir[1].shut)
		splice_end(tcp, c, false);
}

static union epoll_ref splice_ref(const struct tcp *tcp,
				  const struct tcp_splice *c, unsigned s)
{
	return (union epoll_ref){ .type = EPOLL_TCP_SPLICE,
				  .side = (uint8_t)s,
				  .pad = c->gen,
				  .id = flow_idx(tcp->flows, &c->f) };
}

/* Watch a source for input, or not. Return: 0, or -errno */
static int splice_mute(struct tcp *tcp, struct tcp_splice *c, unsigned s,
		       bool mute)
{
	int rc = loop_mod(tcp->loop, c->fd[s],
			  mute ? SPLICE_MUTED : SPLICE_EVENTS,
			  splice_ref(tcp, c, s));

	if (!rc)
		c->dir[s].muted = mute;
	return rc;
}

/* Pump both ways, settle; @c may be gone afterwards */
static void splice_run(struct tcp *tcp, struct tcp_splice *c)
{
	int rc[2] = { 0, 0 };
	unsigned s;

	if (c->connected) {
		rc[0] = splice_pump(tcp, c, 0);
		rc[1] = splice_pump(tcp, c, 1);
		/* The second may have found that the target of the other way
		 * failed, which leaves that one something to read
		 */
		if (c->reset[0] && !rc[0])
			rc[0] = splice_pump(tcp, c, 0);
	}

	for (s = 0; s < 2; s++) {
		if (c->dir[s].muted && !c->dir[s].blocked && !rc[s])
			rc[s] = splice_mute(tcp, c, s, false);
		if (rc[s] == -EBUSY) {
			flow_defer(tcp->flows, &c->f);
		} else if (rc[s]) {
			warn_limited("Spliced connection has to wait: %s",
				     errstr(-rc[s]));
			loop_arm(tcp->loop, &c->f.timer, PIPE_RETRY_MS);
		}
	}
	splice_settle(tcp, c);
}

void tcp_splice_flow_timer(void *ctx, struct flow *f)
{
	struct tcp_splice *c = (struct tcp_splice *)f;

	if (c->reset[0] || c->reset[1])
		c->tries++;
	splice_run(ctx, c);
}

void tcp_splice_flow_resume(void *ctx, struct flow *f)
{
	splice_run(ctx, (struct tcp_splice *)f);
}

/* Socket of the target's namespace, connecting; @again: others have made room.
 *
 * Return: it, or -errno
 */
static int open_target(struct tcp *tcp, struct tcp_splice *c, enum pif to,
		       const struct flowside *tgt, bool again)
{
	uint32_t scope = 0;
	int fd, rc;

	if (to == PIF_HOST) {
		scope = fwd_map_of(tcp->fwd, &tgt->eaddr)->scope;
		fd = fwd_socket(tcp->fwd, IPPROTO_TCP, tgt, 0);
	} else {
		if (!tcp->netns)
			return -ENETUNREACH;
		fd = netns_socket(tcp->netns, inany_af(&tgt->eaddr));
	}
	if ((fd == -EMFILE || fd == -ENFILE) && !again &&
	    flow_evict(tcp->flows, FLOW_TCP, true))
		return open_target(tcp, c, to, tgt, true);
	if (fd < 0)
		return fd;

	sock_set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	rc = sock_connect(fd, &tgt->eaddr, tgt->eport, scope);
	if (rc && rc != -EINPROGRESS) {
		close(fd);
		return rc;
	}
	c->connected = !rc;
	return fd;
}

/* Begin to watch a socket. Return: 0, or -errno */
static int watch(struct tcp *tcp, struct tcp_splice *c, unsigned s)
{
	return loop_add(tcp->loop, c->fd[s], SPLICE_EVENTS,
			splice_ref(tcp, c, s));
}

/* Nobody listens at the target: who asked for localhost by IPv6 would go on to
 * IPv4, if we had not accepted by then. So we do, in place of the client.
 *
 * Return: we wait for another target now
 */
static bool retarget(struct tcp *tcp, struct tcp_splice *c)
{
	struct flowside tgt = c->f.side[TGTSIDE];
	enum pif pif = (enum pif)c->f.pif[TGTSIDE];
	int fd, refused = c->fd[TGTSIDE];

	if (!fwd_other_target(tcp->fwd, pif, &c->f.side[INISIDE], &tgt) ||
	    sock_error(refused) != ECONNREFUSED)
		return false;
	fd = open_target(tcp, c, pif, &tgt, false);
	if (fd < 0)
		return false;

	close(refused);
	c->fd[TGTSIDE] = fd;
	c->f.side[TGTSIDE] = tgt;
	c->dir[TGTSIDE] = (struct splice_dir){ 0 };
	return !watch(tcp, c, TGTSIDE);
}

/* Did a socket receive anything? Then it was connected, whatever it is now. To
 * receive would take the error that says why it failed.
 */
static bool heard(int fd)
{
	int n = 0;

	return !ioctl(fd, FIONREAD, &n) && n > 0;
}

void tcp_splice_event(void *ctx, union epoll_ref ref, uint32_t events)
{
	struct tcp *tcp = ctx;
	struct flow *f = flow_at(tcp->flows, ref.id, FLOW_TCP_SPLICE);
	struct tcp_splice *c = (struct tcp_splice *)f;
	struct splice_dir *d;
	unsigned s = ref.side;

	if (!f || s > 1 || c->gen != ref.pad)
		return;

	d = &c->dir[s];
	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		d->readable = !d->eof;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		d->hup = true;
	if (events & EPOLLIN && d->blocked && !d->muted)
		splice_mute(tcp, c, s, true);
	if (events & EPOLLPRI)
		d->urgent = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		c->dir[!s].blocked = false;
	if (s == TGTSIDE && !c->connected) {
		if (events & EPOLLHUP)
			events |= EPOLLERR;
		c->connected = events & EPOLLERR ? heard(c->fd[s])
						 : events & EPOLLOUT;
	}
	if (events & EPOLLERR) {
		if (s == TGTSIDE && !c->connected && retarget(tcp, c))
			return;
		side_failed(c, s);
	}

	splice_run(tcp, c);
}

bool tcp_splice_new(struct tcp *tcp, int fd, enum pif from, enum pif to,
		    const struct flowside *ini, const struct flowside *tgt)
{
	struct flow *f = flow_new(tcp->flows, FLOW_TCP_SPLICE);
	struct tcp_splice *c = (struct tcp_splice *)f;
	static uint16_t generation;
	int rc;

	if (!f) {
		tcp->stats.table_full++;
		warn_limited("Flow table full, connection reset");
		sock_close_rst(fd);
		return false;
	}

	f->proto = IPPROTO_TCP;
	f->pif[INISIDE] = (uint8_t)from;
	f->pif[TGTSIDE] = (uint8_t)to;
	f->side[INISIDE] = *ini;
	f->side[TGTSIDE] = *tgt;
	c->gen = ++generation;

	rc = open_target(tcp, c, to, tgt, false);
	if (rc < 0) {
		if (rc == -EMFILE || rc == -ENFILE) {
			tcp->stats.no_fd++;
			warn_limited("No descriptor left, connection reset");
		}
		debug_limited("Cannot connect to the target: %s", errstr(-rc));
		sock_close_rst(fd);
		flow_free(tcp->flows, f);
		return false;
	}

	c->fd[INISIDE] = fd;
	c->fd[TGTSIDE] = rc;
	if (watch(tcp, c, INISIDE) || watch(tcp, c, TGTSIDE)) {
		splice_end(tcp, c, true);
		return false;
	}
	tcp->stats.spliced++;
	flow_begin(tcp->flows, f);
	return true;
}
