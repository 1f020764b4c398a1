/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The target namespace: code run inside it, a pool of its sockets
 *
 * A socket belongs to the network namespace of the thread that makes it, and
 * so does a netlink request, an interface ioctl, a file below /proc/sys/net.
 * The main thread never leaves the host's namespace: it could not come back,
 * once it has no capabilities there. So whatever is to happen in the target
 * namespace is a function run by another thread:
 *
 * - during set-up, in a thread made for the call. It enters the namespace with
 *   the capabilities of the process, and is seen to be gone before we return:
 *   namespaces are created and joined by processes with one thread only.
 *
 * - from netns_start() on, in one thread that has entered the namespace and
 *   stays there until the process ends. It has given up all capabilities but
 *   the one to bind low ports, and neither it nor the main thread needs
 *   setns(2) or clone(2) any more: a system call filter can forbid them. A
 *   call is a message over a pipe and its answer, some 10 us: not for the
 *   data path. There is never more than one call under way, so the two threads
 *   never touch an object at the same time, and nothing needs a lock.
 *
 * TCP connections to the namespace are opened often: their sockets come from a
 * pool, filled in one call between turns of the event loop.
 *
 * #syscalls:pasta read write
 *
 * Source: setns(2), network_namespaces(7).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netns.h"
#include "lib/caps.h"
#include "lib/fdio.h"
#include "lib/log.h"

/* Functions run in threads make netlink requests with buffers on the stack */
#define NETNS_STACK ((size_t)512 * 1024)

/* Descriptors the table of the process has room for before it is shared */
#define NETNS_FD_ROOM 4096

/* Through the pipe to the resident thread; the answer is an int */
struct netns_request {
	int (*fn)(void *arg);
	void *arg;
};

/* A pipe takes and gives it whole */
_Static_assert(sizeof(struct netns_request) <= PIPE_BUF, "request is atomic");

/* A call in a thread of its own; the answer of the resident thread's start */
struct netns_job {
	struct netns *ns;
	struct netns_request req;
	pid_t tid;
	int rc;
};

void netns_init(struct netns *ns)
{
	struct rlimit lim;

	*ns = (struct netns){ .fd = -1, .max = NETNS_POOL };
	if (!getrlimit(RLIMIT_NOFILE, &lim) &&
	    lim.rlim_cur / NETNS_POOL_PART < NETNS_POOL)
		ns->max = (unsigned)(lim.rlim_cur / NETNS_POOL_PART);
	if (!ns->max)
		ns->max = 1;
	ns->request[0] = ns->request[1] = -1;
	ns->reply[0] = ns->reply[1] = -1;
}

/* Is the resident thread there? Descriptor 0 is never one of the pipes */
static bool netns_started(const struct netns *ns)
{
	return ns->request[1] > 0;
}

/* Make a thread with all other signals blocked: they are the event loop's */
static int netns_thread(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int rc;

	rc = pthread_attr_init(&attr);
	if (rc)
		return -rc;
	sigfillset(&all);
	sigdelset(&all, SIGSYS); /* ours, see seccomp.c */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_attr_setstacksize(&attr, NETNS_STACK);
	if (!rc)
		rc = pthread_create(thread, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -rc;
}

/* Body of the thread for one call */
static void *netns_once(void *arg)
{
	struct netns_job *job = arg;

	job->tid = (pid_t)syscall(SYS_gettid);
	if (setns(job->ns->fd, CLONE_NEWNET))
		job->rc = -errno;
	else
		job->rc = job->req.fn(job->req.arg);
	return NULL;
}

/* A call in a thread that is gone when we return, as the kernel sees it:
 * pthread_join() waits for less
 */
static int netns_call_once(struct netns *ns, const struct netns_request *req)
{
	struct netns_job job = { .ns = ns, .req = *req };
	pthread_t thread = 0;
	int rc;

	rc = netns_thread(&thread, netns_once, &job);
	if (rc)
		return rc;
	pthread_join(thread, NULL);
	while (!syscall(SYS_tgkill, getpid(), job.tid, 0))
		sched_yield();
	return job.rc;
}

int netns_call(struct netns *ns, int (*fn)(void *arg), void *arg)
{
	struct netns_request req = { .fn = fn, .arg = arg };
	ssize_t n;
	int rc;

	if (!netns_started(ns))
		return netns_call_once(ns, &req);

	rc = write_all(ns->request[1], &req, sizeof(req));
	if (rc)
		return rc;
	n = read_all(ns->reply[0], &rc, sizeof(rc));
	if (n < 0)
		return (int)n;
	return n == sizeof(rc) ? rc : -EPIPE;
}

/* Enter the namespace for good, give up what that took */
static int netns_settle(const struct netns *ns)
{
	if (setns(ns->fd, CLONE_NEWNET))
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return caps_limit(CAPS_BIT(CAP_NET_BIND_SERVICE));
}

/* Body of the resident thread */
static void *netns_resident(void *arg)
{
	const struct netns *ns = arg;
	int request = ns->request[0], reply = ns->reply[1];
	struct netns_request req;
	int rc = netns_settle(ns);

	if (write_all(reply, &rc, sizeof(rc)) || rc)
		return NULL;
	while (read_all(request, &req, sizeof(req)) == sizeof(req)) {
		rc = req.fn(req.arg);
		if (write_all(reply, &rc, sizeof(rc)))
			break;
	}
	return NULL;
}

/* Sockets of one family until its pool is full. Return: 0 or -errno */
static int netns_fill_af(sa_family_t af, int *pool, unsigned *n, unsigned max)
{
	while (*n < max) {
		int s = socket(af, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			       IPPROTO_TCP);

		if (s < 0)
			return -errno;
		pool[(*n)++] = s;
	}
	return 0;
}

/* Run in the namespace: fill both pools */
static int netns_fill(void *arg)
{
	struct netns *ns = arg;
	int rc = netns_fill_af(AF_INET, ns->pool4, &ns->n4, ns->max);

	if (rc)
		return rc;
	return ns->ipv6 ? netns_fill_af(AF_INET6, ns->pool6, &ns->n6, ns->max)
			: 0;
}

/* The kernel doubles the table of descriptors as they become more, and if threads
 * share it waits for all processors then: some 10 ms, for the first time at 64 of
 * them. So make it larger before: a descriptor there, once, does.
 */
static void netns_fd_room(int fd)
{
	struct rlimit lim;
	int last;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return;
	last = lim.rlim_cur < NETNS_FD_ROOM ? (int)lim.rlim_cur - 1
					    : NETNS_FD_ROOM - 1;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, last);
	if (fd >= 0)
		close(fd);
}

/* The pipes and the thread. Return: 0 or -errno */
static int netns_start_thread(struct netns *ns)
{
	pthread_t thread = 0;
	ssize_t n;
	int rc;

	netns_fd_room(ns->fd);
	if (pipe2(ns->request, O_CLOEXEC) || pipe2(ns->reply, O_CLOEXEC))
		return -errno;
	rc = netns_thread(&thread, netns_resident, ns);
	if (rc)
		return rc;
	pthread_detach(thread);
	n = read_all(ns->reply[0], &rc, sizeof(rc));
	if (n < 0)
		return (int)n;
	return n == sizeof(rc) ? rc : -EPIPE;
}

int netns_start(struct netns *ns)
{
	const unsigned max = ns->max;
	int rc = netns_start_thread(ns);

	if (rc) {
		err("Cannot start a thread in the network namespace: %s",
		    errstr(rc));
		return rc;
	}

	/* One of each will tell; others by netns_refill(), when nobody waits */
	ns->max = 1;
	ns->ipv6 = true;
	rc = netns_call(ns, netns_fill, ns);
	ns->max = max;
	if (rc == -EAFNOSUPPORT && !ns->n6) {
		debug("No IPv6 in the network namespace");
		ns->ipv6 = false;
		rc = 0;
	}
	if (rc)
		err("Cannot make sockets in the network namespace: %s",
		    errstr(rc));

	/* Entered for good, and never again */
	close(ns->fd);
	ns->fd = -1;
	return rc;
}

int netns_socket(struct netns *ns, sa_family_t af)
{
	unsigned *n = af == AF_INET6 ? &ns->n6 : &ns->n4;
	int *pool = af == AF_INET6 ? ns->pool6 : ns->pool4;

	if (af == AF_INET6 && !ns->ipv6)
		return -EAFNOSUPPORT;
	if (!*n) {
		int rc = netns_call(ns, netns_fill, ns);

		if (!*n)
			return rc ? rc : -ENFILE;
	}
	return pool[--*n];
}

void netns_refill(struct netns *ns)
{
	int rc;

	if (!netns_started(ns) ||
	    (2 * ns->n4 >= ns->max && (!ns->ipv6 || 2 * ns->n6 >= ns->max)))
		return;
	rc = netns_call(ns, netns_fill, ns);
	if (rc)
		debug_limited("Sockets of the namespace: %s", errstr(rc));
}
