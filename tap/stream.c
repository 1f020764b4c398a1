/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tap backend: frames on a UNIX stream socket, as QEMU -netdev stream does
 *
 * From the guest: one large read a time, frames are parsed and handed on where
 * they lie; a part of a frame at the end is moved to the front and waits for
 * the rest. A length no frame can have means that framing is lost, for ever on
 * this connection: it is closed.
 *
 * To the guest: frames lent come from an arena and stay there until the end of
 * the turn, so that all frames of a turn go out by few system calls. What the
 * socket does not take stays as well, in order, and goes when it is writable
 * again: a frame once submitted is not lost and framing never breaks. When the
 * arena is full the tap is blocked, and back-pressure reaches the protocols:
 * TCP leaves data in its sockets. The end of it is left to frames that come alone.
 *
 * There is one client at a time; others are turned away at once. One descriptor
 * is kept back to take any of them by: if connections of a guest have used up all
 * others, it can still leave and come back.
 *
 * #syscalls:passt accept4 recvfrom sendmsg close
 * #syscalls:passt getsockopt(1=SOL_SOCKET,2=SO_PEERCRED/SO_SNDBUF)
 * #syscalls:passt setsockopt(1=SOL_SOCKET,2=SO_SNDBUF)
 * #syscalls:passt socket(0=AF_INET,1&0xf=SOCK_DGRAM,2=IPPROTO_UDP)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest.h"
#include "lib/log.h"
#include "tap/backend.h"
#include "wire/stream.h"

#define STREAM_RX_LEN ((size_t)1 << 20)
#define STREAM_TX_LEN ((size_t)1 << 20)

/* Least room in the socket, bytes: by default there is that of three frames of
 * 64 kB, and the client is woken for each three
 */
#define STREAM_SNDBUF (512 << 10)

/* Frames waiting in the arena; more than one sendmsg() takes (IOV_MAX) */
#define STREAM_TX_FRAMES 4096
#define STREAM_SEND_IOVS 512

/* Left to short frames that come alone: TCP fills the arena as soon as there is
 * room, answers of ARP, DHCP or ping would find none, and nobody sends them again
 */
#define STREAM_TX_SPARE        ((size_t)64 << 10)
#define STREAM_TX_SPARE_FRAMES 512
#define STREAM_TX_ALONE        2048

/* Sockets probed without --socket: documented, callers rely on it */
#define STREAM_PATH_PROBE "/tmp/passt_%u.socket"
#define STREAM_PATH_MAX   64

/* A predecessor may still be about to leave: how long to wait for its path, and
 * how often to look
 */
#define STREAM_USED_WAIT_MS  1000
#define STREAM_USED_RETRY_MS 50

static uint8_t stream_rx[STREAM_RX_LEN] __attribute__((aligned(64)));
static uint8_t stream_tx[STREAM_TX_LEN + TAP_ALIGN]
	__attribute__((aligned(TAP_ALIGN)));

/**
 * struct stream - State of the one stream tap
 * @listen:	Listening socket, unused with --fd
 * @spare:	Descriptor kept back for accept(2), -1 if there was none
 * @deaf:	There is none, so nobody is listened to until the client leaves
 * @one_off:	Quit when the client leaves
 * @rx_len:	Bytes of a frame not complete yet, at the front of stream_rx
 * @head:	First free byte of the arena
 * @iov:	Frames submitted, prefix included
 * @first, @n:	Those not sent yet: from @first up to @n
 * @blocked:	The socket did not take all: waiting for EPOLLOUT
 * @starved:	A reserve was refused: ready is owed
 */
static struct stream {
	int listen;
	int spare;
	bool deaf;
	bool one_off;
	size_t rx_len;
	size_t head;
	struct iovec iov[STREAM_TX_FRAMES];
	unsigned first, n;
	bool blocked, starved;
} stream;

/* Watch the connection for reading, and for writing while blocked */
static void stream_watch(struct tap *tap, bool blocked)
{
	union epoll_ref ref = { .type = EPOLL_TAP };

	if (stream.blocked == blocked)
		return;
	stream.blocked = blocked;
	loop_mod(tap->loop, tap->fd, EPOLLIN | (blocked ? EPOLLOUT : 0), ref);
}

/* Have a descriptor to give back before accept(2). Without one, a client that
 * waits would be reported for ever, and only this one leaving can change that.
 */
static void stream_keep_spare(struct tap *tap)
{
	union epoll_ref ref = { .type = EPOLL_TAP_LISTEN };

	if (stream.listen < 0)
		return;
	if (stream.spare < 0)
		stream.spare = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC,
				      IPPROTO_UDP);
	if (stream.deaf == (stream.spare < 0))
		return;
	stream.deaf = stream.spare < 0;
	loop_mod(tap->loop, stream.listen, stream.deaf ? 0 : EPOLLIN, ref);
}

/* The client is gone, or nobody can talk to it any more */
static void stream_disconnect(struct tap *tap)
{
	if (tap->fd < 0)
		return;
	close(tap->fd);
	tap->fd = -1;
	stream_keep_spare(tap);
	tap->stats.tx_dropped += stream.n - stream.first;
	stream.rx_len = stream.head = 0;
	stream.first = stream.n = 0;
	stream.blocked = false;
	info("Client connection closed%s", stream.one_off ? ", exiting" : "");
	tap->up.link(tap->up.ctx, false);
	if (stream.one_off)
		loop_quit(tap->loop, EXIT_SUCCESS);
}

/* Make room in a socket, unless there is more, as there may be in one that was
 * handed to us. The kernel doubles what it is asked for (socket(7)).
 */
static void stream_widen(int fd)
{
	const int half = STREAM_SNDBUF / 2;
	socklen_t len = sizeof(int);
	int size;

	if (!getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) &&
	    size < STREAM_SNDBUF)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &half, sizeof(half));
}

/* Serve a connected client */
static int stream_connect(struct tap *tap, int fd)
{
	union epoll_ref ref = { .type = EPOLL_TAP };
	int rc;

	stream_widen(fd);
	rc = loop_add(tap->loop, fd, EPOLLIN, ref);
	if (rc)
		return rc;
	tap->fd = fd;
	stream.starved = false;
	tap->up.link(tap->up.ctx, true);
	tap->up.ready(tap->up.ctx);
	return 0;
}

/* Send what waits in the arena. Return: false if the socket took not all */
static bool stream_send(struct tap *tap)
{
	while (stream.first < stream.n) {
		unsigned cnt = stream.n - stream.first;
		struct msghdr mh = { .msg_iov = &stream.iov[stream.first] };
		ssize_t sent;

		mh.msg_iovlen = cnt < STREAM_SEND_IOVS ? cnt : STREAM_SEND_IOVS;
		sent = sendmsg(tap->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN && errno != ENOBUFS &&
			    errno != ENOMEM)
				stream_disconnect(tap);
			return false;
		}
		while (sent > 0) {
			struct iovec *iov = &stream.iov[stream.first];

			if ((size_t)sent < iov->iov_len) {
				iov->iov_base = (uint8_t *)iov->iov_base + sent;
				iov->iov_len -= (size_t)sent;
				break;
			}
			sent -= (ssize_t)iov->iov_len;
			stream.first++;
		}
	}
	stream.first = stream.n = 0;
	stream.head = 0;
	return true;
}

static void stream_flush(struct tap *tap)
{
	if (tap->fd < 0 || stream.blocked || !stream.n)
		return;
	if (!stream_send(tap) && tap->fd >= 0)
		stream_watch(tap, true);
}

static unsigned stream_reserve(struct tap *tap, unsigned want, size_t hdrlen,
			       size_t len, struct batch *b)
{
	size_t stride = tap_stride(sizeof(struct stream_hdr), hdrlen, len);
	size_t end = STREAM_TX_LEN, room = 0;
	unsigned most = STREAM_TX_FRAMES;

	if (tap->fd < 0)
		goto blocked;
	if (want > 1 || len > STREAM_TX_ALONE) {
		end -= STREAM_TX_SPARE;
		most -= STREAM_TX_SPARE_FRAMES;
	}
	if (stream.head + want * stride > end || stream.n + want > most)
		stream_flush(tap);
	/* Frames are aligned: the last one may end behind */
	if (stream.head < end && stream.n < most)
		room = (end - stream.head) / stride;
	if (room > most - stream.n)
		room = most - stream.n;
	if (want > room)
		want = (unsigned)room;
	if (!want || tap->fd < 0)
		goto blocked;
	tap_lay_out(b, stream_tx + stream.head, sizeof(struct stream_hdr), want,
		    hdrlen, len);
	return want;

blocked:
	stream.starved = true;
	return 0;
}

static void stream_submit(struct tap *tap, struct batch *b, unsigned n)
{
	unsigned i;

	(void)tap;
	for (i = 0; i < n; i++) {
		struct frame *f = &b->frame[i];
		struct stream_hdr sh = { .len = htonl((uint32_t)f->len) };
		uint8_t *start = f->hdr - sizeof(sh);
		struct iovec *iov = &stream.iov[stream.n++];

		frame_finish_csum(f);
		memcpy(start, &sh, sizeof(sh));
		iov->iov_base = start;
		iov->iov_len = sizeof(sh) + f->len;
		stream.head = (size_t)(start - stream_tx) +
			      ((iov->iov_len + 7) & ~(size_t)7);
	}
}

/* Hand on all complete frames. Return: bytes used, -EPROTO: framing is lost */
static ssize_t stream_parse(struct tap *tap, uint8_t *buf, size_t len)
{
	struct iovec iov[TAP_RX_MAX];
	struct tap_rx rx[TAP_RX_MAX];
	ssize_t rc = 0;
	size_t pos = 0;
	unsigned n = 0;

	while (len - pos >= sizeof(struct stream_hdr)) {
		struct stream_hdr sh;
		size_t flen;

		memcpy(&sh, buf + pos, sizeof(sh));
		flen = ntohl(sh.len);
		if (!flen || flen > TAP_FRAME_MAX) {
			tap->stats.rx_bad_len++;
			warn_limited("Frame of %zu bytes announced, 1 to %zu "
				     "possible: closing connection",
				     flen, TAP_FRAME_MAX);
			rc = -EPROTO;
			break;
		}
		if (len - pos - sizeof(sh) < flen)
			break;
		if (flen < sizeof(struct ether_header)) {
			tap->stats.rx_short++;
		} else {
			iov[n].iov_base = buf + pos + sizeof(sh);
			iov[n].iov_len = flen;
			/* A link in memory, often with checksums left over */
			rx[n] = (struct tap_rx){ .iov = &iov[n],
						 .iovcnt = 1,
						 .len = flen,
						 .csum_ok = true };
			n++;
		}
		pos += sizeof(sh) + flen;
		if (n == TAP_RX_MAX) {
			tap_input(tap, rx, n);
			n = 0;
		}
	}
	if (n)
		tap_input(tap, rx, n);
	return rc ? rc : (ssize_t)pos;
}

/* Read once and hand on. Level-triggered: the rest comes with the next turn */
static void stream_read(struct tap *tap)
{
	ssize_t len, used;

	do {
		len = recv(tap->fd, stream_rx + stream.rx_len,
			   sizeof(stream_rx) - stream.rx_len, MSG_DONTWAIT);
	} while (len < 0 && errno == EINTR);
	if (len < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM))
		return;
	if (len <= 0) {
		stream_disconnect(tap);
		return;
	}
	stream.rx_len += (size_t)len;
	used = stream_parse(tap, stream_rx, stream.rx_len);
	if (tap->fd < 0)
		return;
	if (used < 0) {
		stream_disconnect(tap);
		return;
	}
	stream.rx_len -= (size_t)used;
	if (stream.rx_len && used)
		memmove(stream_rx, stream_rx + used, stream.rx_len);
}

static void stream_event(struct tap *tap, uint32_t events)
{
	if (tap->fd < 0)
		return;
	if (events & EPOLLOUT && stream_send(tap)) {
		stream_watch(tap, false);
		if (stream.starved) {
			stream.starved = false;
			tap->up.ready(tap->up.ctx);
		}
	}
	if (tap->fd >= 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		stream_read(tap);
}

/* Somebody new is there: the present client may have left without our knowing,
 * as both become known in one turn, in any order. What it left and its end are
 * two reads.
 */
static void stream_last_words(struct tap *tap)
{
	stream_read(tap);
	if (tap->fd >= 0)
		stream_read(tap);
}

/* One that is connected waits. Return: it, or -1 */
static int stream_accept_fd(void)
{
	if (stream.spare >= 0)
		close(stream.spare);
	stream.spare = -1;
	return accept4(stream.listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Serve a new client, or turn it away */
static void stream_take(struct tap *tap, int fd)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	if (tap->fd >= 0)
		stream_last_words(tap);
	if (stream.one_off && tap->loop->quit) {
		close(fd);
		return;
	}
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	if (tap->fd >= 0) {
		warn_limited("Second client (PID %d) turned away: one guest is "
			     "connected already",
			     cred.pid);
		close(fd);
		return;
	}
	info("Accepted connection from PID %d", cred.pid);
	if (stream_connect(tap, fd))
		close(fd);
}

static void stream_accept(struct tap *tap, uint32_t events)
{
	int fd = stream_accept_fd();

	(void)events;
	if (fd >= 0)
		stream_take(tap, fd);
	stream_keep_spare(tap);
}

/* Is somebody serving this path? A socket of another type is told so
 * (EPROTOTYPE, see unix(7)), and whoever serves it does not notice: a
 * connection might be taken for the one guest of --one-off.
 */
static bool stream_path_used(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool used;

	if (fd < 0)
		return false;
	used = !connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ||
	       errno == EPROTOTYPE;
	close(fd);
	return used;
}

/* Bind to one path. Return: 0, -EADDRINUSE, or another -errno */
static int stream_bind(int fd, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (!lstat(path, &st)) {
		if (!S_ISSOCK(st.st_mode))
			return -EEXIST;
		if (stream_path_used(&addr))
			return -EADDRINUSE;
		unlink(path); /* a predecessor's */
	}
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;
	return chmod(path,
		     S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH)
		       ? -errno
		       : 0;
}

/* Bind to the path given, or the first free one of those probed */
static int stream_bind_any(int fd, const char *path)
{
	char probe[sizeof(STREAM_PATH_PROBE) + 8];
	unsigned i, ms;
	int rc;

	if (path) {
		for (ms = 0;; ms += STREAM_USED_RETRY_MS) {
			rc = stream_bind(fd, path);
			if (rc != -EADDRINUSE || ms >= STREAM_USED_WAIT_MS)
				break;
			usleep(STREAM_USED_RETRY_MS * 1000);
		}
		if (rc)
			err("Cannot listen on UNIX socket %s: %s%s", path,
			    errstr(rc),
			    rc == -EADDRINUSE ? " (another instance serves it)"
					      : "");
		else
			info("UNIX domain socket bound at %s", path);
		return rc;
	}
	for (i = 1; i <= STREAM_PATH_MAX; i++) {
		snprintf(probe, sizeof(probe), STREAM_PATH_PROBE, i);
		rc = stream_bind(fd, probe);
		if (!rc) {
			info("UNIX domain socket bound at %s", probe);
			return 0;
		}
	}
	err("Cannot listen on any of " STREAM_PATH_PROBE " to %u: %s; choose a "
	    "path with --socket",
	    1, STREAM_PATH_MAX, errstr(rc));
	return rc;
}

int tap_stream_init(struct tap *tap, const struct tap_stream_opts *opts)
{
	union epoll_ref ref = { .type = EPOLL_TAP_LISTEN };
	int rc;

	tap->facts.batch = BATCH_FRAMES;
	stream.one_off = opts->one_off || opts->fd >= 0;
	stream.listen = stream.spare = -1;
	if (opts->fd >= 0) {
		rc = stream_connect(tap, opts->fd);
		if (rc)
			err("Cannot watch descriptor of --fd: %s", errstr(rc));
		return rc;
	}

	stream.listen = socket(AF_UNIX,
			       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (stream.listen < 0)
		return -errno;
	rc = stream_bind_any(stream.listen, opts->path);
	if (rc)
		return rc;
	if (listen(stream.listen, 1))
		return -errno;
	rc = loop_add(tap->loop, stream.listen, EPOLLIN, ref);
	stream_keep_spare(tap);
	return rc;
}

const struct tap_ops tap_stream_ops = {
	.name = "stream",
	.reserve = stream_reserve,
	.submit = stream_submit,
	.flush = stream_flush,
	.event = stream_event,
	.accept = stream_accept,
};
