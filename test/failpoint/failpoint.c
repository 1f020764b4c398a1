/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System calls that fail at random: only in a build made with FAILPOINTS=1
 *
 * The linker sends calls of the functions below here (ld --wrap), so neither
 * the program's source nor its ordinary build know of it. Nothing fails before
 * it is told to: what set-up does about errors is another matter.
 *
 * Environment:
 *   PASST_FAIL_SEED=NUMBER	seed of the random numbers, default 1
 *   PASST_FAIL=CALL:PERMILLE:ERRNO[,...]	for instance
 *				sendmsg:100:ENOBUFS,socket:500:ENOMEM
 *
 * SIGRTMIN switches failures on, and off again. It comes, as any signal, also as
 * EINTR to the call it interrupts. SIGUSR2 prints on stderr how many calls
 * failed.
 *
 * Of system calls, this needs some that the program does without:
 * #syscalls rt_sigreturn restart_syscall fstat newfstatat
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum point {
	P_SOCKET,
	P_BIND,
	P_CONNECT,
	P_ACCEPT4,
	P_SETSOCKOPT,
	P_GETSOCKOPT,
	P_SENDMSG,
	P_SENDMMSG,
	P_RECVMSG,
	P_RECVMMSG,
	P_RECV,
	P_SPLICE,
	P_PIPE2,
	P_EPOLL_CTL,
	P_WRITE,
	POINTS
};

static const char *const point_name[POINTS] = {
	[P_SOCKET] = "socket",
	[P_BIND] = "bind",
	[P_CONNECT] = "connect",
	[P_ACCEPT4] = "accept4",
	[P_SETSOCKOPT] = "setsockopt",
	[P_GETSOCKOPT] = "getsockopt",
	[P_SENDMSG] = "sendmsg",
	[P_SENDMMSG] = "sendmmsg",
	[P_RECVMSG] = "recvmsg",
	[P_RECVMMSG] = "recvmmsg",
	[P_RECV] = "recv",
	[P_SPLICE] = "splice",
	[P_PIPE2] = "pipe2",
	[P_EPOLL_CTL] = "epoll_ctl",
	[P_WRITE] = "write",
};

static const struct {
	const char *name;
	int value;
} errnos[] = {
	{ "ENOBUFS", ENOBUFS }, { "ENOMEM", ENOMEM }, { "EMFILE", EMFILE },
	{ "ENFILE", ENFILE },   { "EINTR", EINTR },   { "EAGAIN", EAGAIN },
	{ "EPERM", EPERM },
};

#define ERRNOS  (sizeof(errnos) / sizeof(errnos[0]))
#define ERR_MAX 4 /* different errors of one call */

static struct {
	int err[ERR_MAX];
	unsigned permille[ERR_MAX], n;
	uint64_t failed;
} points[POINTS];

static volatile sig_atomic_t on, tell;
static uint64_t state = 1;

/* xorshift64 (Marsaglia 2003): small, and the same for the same seed */
static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void say(void)
{
	unsigned i;

	for (i = 0; i < POINTS; i++)
		if (points[i].n)
			fprintf(stderr, "failpoint: %s failed %llu times\n",
				point_name[i],
				(unsigned long long)points[i].failed);
}

static void on_signal(int sig)
{
	if (sig == SIGRTMIN)
		on = !on;
	else
		tell = 1;
}

/* One CALL:PERMILLE:ERRNO */
static void parse_one(const char *spec)
{
	char call[32], err[32];
	unsigned permille, i;
	size_t e;

	if (sscanf(spec, "%31[^:]:%u:%31s", call, &permille, err) != 3)
		goto bad;
	for (e = 0; e < ERRNOS && strcmp(errnos[e].name, err); e++)
		;
	for (i = 0; i < POINTS && strcmp(point_name[i], call); i++)
		;
	if (e == ERRNOS || i == POINTS || points[i].n == ERR_MAX)
		goto bad;
	points[i].err[points[i].n] = errnos[e].value;
	points[i].permille[points[i].n++] = permille;
	return;
bad:
	fprintf(stderr, "failpoint: cannot make sense of '%s'\n", spec);
	exit(2);
}

__attribute__((constructor)) static void failpoint_init(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	const char *spec = getenv("PASST_FAIL"), *seed;
	char copy[1024], *save = NULL, *word;

	seed = getenv("PASST_FAIL_SEED");
	if (seed && strtoull(seed, NULL, 0))
		state = strtoull(seed, NULL, 0);
	snprintf(copy, sizeof(copy), "%s", spec ? spec : "");
	for (word = strtok_r(copy, ",", &save); word;
	     word = strtok_r(NULL, ",", &save))
		parse_one(word);
	sigaction(SIGRTMIN, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
}

/* Does this call fail now? errno is set if it does */
static int fails(enum point p)
{
	unsigned i;

	if (!on)
		return 0;
	for (i = 0; i < points[p].n; i++) {
		if (next_random() % 1000 >= points[p].permille[i])
			continue;
		points[p].failed++;
		errno = points[p].err[i];
		return 1;
	}
	return 0;
}

/* Each turn of the loop begins here */
int __real_epoll_pwait(int epfd, struct epoll_event *ev, int n, int timeout,
		       const sigset_t *set);
int __wrap_epoll_pwait(int epfd, struct epoll_event *ev, int n, int timeout,
		       const sigset_t *set);
int __wrap_epoll_pwait(int epfd, struct epoll_event *ev, int n, int timeout,
		       const sigset_t *set)
{
	if (tell) {
		tell = 0;
		say();
	}
	return __real_epoll_pwait(epfd, ev, n, timeout, set);
}

/* The same for every call: fail, or be the real one */
#define WRAP(type, point, name, params, args) \
	type __real_##name params;            \
	type __wrap_##name params;            \
	type __wrap_##name params             \
	{                                     \
		if (fails(point))             \
			return -1;            \
		return __real_##name args;    \
	}

WRAP(int, P_SOCKET, socket, (int af, int type, int proto), (af, type, proto))
WRAP(int, P_BIND, bind, (int fd, const struct sockaddr *sa, socklen_t len),
     (fd, sa, len))
WRAP(int, P_CONNECT, connect,
     (int fd, const struct sockaddr *sa, socklen_t len), (fd, sa, len))
WRAP(int, P_ACCEPT4, accept4,
     (int fd, struct sockaddr *sa, socklen_t *len, int flags),
     (fd, sa, len, flags))
WRAP(int, P_SETSOCKOPT, setsockopt,
     (int fd, int level, int opt, const void *val, socklen_t len),
     (fd, level, opt, val, len))
WRAP(int, P_GETSOCKOPT, getsockopt,
     (int fd, int level, int opt, void *val, socklen_t *len),
     (fd, level, opt, val, len))
WRAP(ssize_t, P_SENDMSG, sendmsg, (int fd, const struct msghdr *m, int flags),
     (fd, m, flags))
WRAP(int, P_SENDMMSG, sendmmsg,
     (int fd, struct mmsghdr *m, unsigned n, int flags), (fd, m, n, flags))
WRAP(ssize_t, P_RECVMSG, recvmsg, (int fd, struct msghdr *m, int flags),
     (fd, m, flags))
WRAP(int, P_RECVMMSG, recvmmsg,
     (int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t),
     (fd, m, n, flags, t))
WRAP(ssize_t, P_SPLICE, splice,
     (int in, off_t *ioff, int out, off_t *ooff, size_t len, unsigned flags),
     (in, ioff, out, ooff, len, flags))
WRAP(int, P_PIPE2, pipe2, (int fd[2], int flags), (fd, flags))
/* With conditions: where the kernel would not fail for want of memory, neither
 * do these
 */
#define WRAP_IF(type, point, cond, name, params, args) \
	type __real_##name params;                     \
	type __wrap_##name params;                     \
	type __wrap_##name params                      \
	{                                              \
		if ((cond) && fails(point))            \
			return -1;                     \
		return __real_##name args;             \
	}

/* Is it the tun device? Pipes of our own are written to as well */
static int is_device(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISCHR(st.st_mode) && fd > STDERR_FILENO;
}

/* Discarding takes no memory */
WRAP_IF(ssize_t, P_RECV, !(flags & MSG_TRUNC), recv,
	(int fd, void *buf, size_t len, int flags), (fd, buf, len, flags))
WRAP_IF(int, P_EPOLL_CTL, op == EPOLL_CTL_ADD, epoll_ctl,
	(int epfd, int op, int fd, struct epoll_event *ev), (epfd, op, fd, ev))
WRAP_IF(ssize_t, P_WRITE, is_device(fd), write,
	(int fd, const void *buf, size_t len), (fd, buf, len))
