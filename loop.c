/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The event loop: epoll set, typed references, deadlines, turns
 *
 * A turn waits for events, hands each to the handler of its type, runs the
 * timers that are due, and then the turn hook: deferred flows and the flush of
 * the tap. The time is read once a turn. There is no timer descriptor: the
 * wheel tells how long epoll_wait(2) may sleep, so an idle process sleeps for
 * ever. Who knows that hardly anybody waits may ask for a pause before the next
 * turn.
 *
 * #syscalls epoll_pwait ppoll epoll_ctl clock_gettime(0=CLOCK_MONOTONIC)
 * #syscalls sched_setscheduler(0=0,1=SCHED_OTHER/SCHED_BATCH)
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"
#include "lib/log.h"

/* Events taken from the kernel at once: few, so that their data stays in the
 * cache until they are handled
 */
#define LOOP_EVENTS 16

/* Timers run in a turn: the others wait for the next one, so that neither a
 * crowd of deadlines nor one that is set in the past for ever starves events
 */
#define LOOP_TIMERS 1024

/* Note the present time */
static void loop_clock(struct loop *loop)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	loop->us = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	loop->now = loop->us / 1000 + 1;
}

/* Whoever asked for it knows that hardly anybody waits for us */
static void loop_pause(struct loop *loop)
{
	const struct timespec ts = { .tv_nsec = loop->pause * 1000L };

	loop->pause = 0;
	ppoll(NULL, 0, &ts, NULL);
}

int loop_init(struct loop *loop, const struct loop_handler *handler,
	      const struct loop_hooks *hooks)
{
	*loop = (struct loop){ .handler = handler, .hooks = hooks };
	/* Not by the C library: functions of musl's always fail */
	loop->policy = -1;
	if (syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER)
		loop->policy = SCHED_OTHER;
	loop_clock(loop);
	wheel_init(&loop->wheel, loop->now);
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	return loop->epfd < 0 ? -errno : 0;
}

/* One epoll_ctl(2) */
static int loop_ctl(struct loop *loop, int op, int fd, uint32_t events,
		    union epoll_ref ref)
{
	struct epoll_event ev = { .events = events, .data.u64 = ref.u64 };

	return epoll_ctl(loop->epfd, op, fd, &ev) ? -errno : 0;
}

int loop_add(struct loop *loop, int fd, uint32_t events, union epoll_ref ref)
{
	return loop_ctl(loop, EPOLL_CTL_ADD, fd, events, ref);
}

int loop_mod(struct loop *loop, int fd, uint32_t events, union epoll_ref ref)
{
	return loop_ctl(loop, EPOLL_CTL_MOD, fd, events, ref);
}

void loop_del(struct loop *loop, int fd)
{
	loop_ctl(loop, EPOLL_CTL_DEL, fd, 0, (union epoll_ref){ .u64 = 0 });
}

void loop_batch(struct loop *loop, bool on)
{
	const struct sched_param param = { 0 };
	int to = on ? SCHED_BATCH : SCHED_OTHER;

	if (loop->policy < 0 || loop->policy == to)
		return;
	if (syscall(SYS_sched_setscheduler, 0, to, &param))
		to = -1;
	loop->policy = to;
}

void loop_quit(struct loop *loop, int status)
{
	loop->quit = true;
	loop->status = status;
}

/* Hand one event to the handler of its type */
static void loop_dispatch(struct loop *loop, const struct epoll_event *ev)
{
	union epoll_ref ref = { .u64 = ev->data.u64 };
	const struct loop_handler *h;

	if (ref.type >= EPOLL_TYPES)
		return;
	loop->count[ref.type]++;
	if (ref.type != EPOLL_TAP && ref.id != loop->flow) {
		loop->flow = ref.id;
		loop->others++;
	}
	h = &loop->handler[ref.type];
	if (h->event)
		h->event(h->ctx, ref, ev->events);
}

int loop_turn(struct loop *loop, int timeout)
{
	struct epoll_event ev[LOOP_EVENTS];
	struct wtimer *t;
	int n, i, wait;
	unsigned due;

	wait = loop->busy ? 0 : wheel_next(&loop->wheel, loop->now);
	if (wait < 0 || (timeout >= 0 && timeout < wait))
		wait = timeout;

	if (loop->pause && wait)
		loop_pause(loop);
	n = epoll_pwait(loop->epfd, ev, LOOP_EVENTS, wait, NULL);
	if (n < 0) {
		if (errno != EINTR)
			return -errno;
		n = 0;
	}
	loop_clock(loop);
	loop->turn++;
	loop->busy = false;

	for (i = 0; i < n; i++)
		loop_dispatch(loop, &ev[i]);
	/* Whoever leaves does so now */
	for (due = 0; !loop->quit && due < LOOP_TIMERS &&
		      (t = wheel_pop(&loop->wheel, loop->now));
	     due++)
		loop->hooks->timer(loop->hooks->ctx, t);
	loop->hooks->turn(loop->hooks->ctx);

	return n;
}

int loop_run(struct loop *loop)
{
	while (!loop->quit) {
		int rc = loop_turn(loop, -1);

		if (rc < 0) {
			err("epoll_wait: %s", errstr(rc));
			return EXIT_FAILURE;
		}
	}
	return loop->status;
}
