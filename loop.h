/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The event loop: epoll set, typed references, deadlines, turns */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wheel.h"

/* What a descriptor is; the handler of each stands in the table of passt.c */
enum epoll_type {
	EPOLL_NONE,
	EPOLL_SIGNAL,     /* signalfd: SIGTERM, SIGCHLD, ... */
	EPOLL_EXIT,       /* --exit-fd */
	EPOLL_STATS,      /* standard error, while it has to take some more */
	EPOLL_TAP,        /* link to the guest */
	EPOLL_TAP_LISTEN, /* UNIX socket QEMU connects to */
	EPOLL_NETNS,      /* target namespace: pidfd, inotify */
	EPOLL_TCP_LISTEN, /* id: forwarding listener */
	EPOLL_TCP,        /* id: flow */
	EPOLL_TCP_SPLICE, /* id: flow; side */
	EPOLL_UDP_LISTEN, /* id: forwarding listener */
	EPOLL_UDP,        /* id: flow */
	EPOLL_UDP_SPLICE, /* id: flow; side */
	EPOLL_PING,       /* id: flow */
	EPOLL_TYPES
};

/* Travels through the kernel as epoll_data */
union epoll_ref {
	struct {
		uint8_t type;
		uint8_t side;
		uint16_t pad;
		uint32_t id;
	};
	uint64_t u64;
};

_Static_assert(sizeof(union epoll_ref) == 8, "must fit epoll_data");

struct loop;

/* One row for each epoll_type */
struct loop_handler {
	const char *name;
	void (*event)(void *ctx, union epoll_ref ref, uint32_t events);
	void *ctx;
};

/* Called when a timer of the wheel is due, and at the end of each turn */
struct loop_hooks {
	void (*timer)(void *ctx, struct wtimer *t);
	void (*turn)(void *ctx); /* deferred work, flush */
	void *ctx;
};

/**
 * struct loop - Event loop
 * @epfd:	Epoll descriptor
 * @now:	Time of the present turn, ms, monotonic, never 0
 * @us:		The same, us
 * @turn:	Number of the present turn
 * @wheel:	Deadlines
 * @handler:	Table of EPOLL_TYPES rows
 * @hooks:	Timers and turn
 * @count:	Events so far, by type
 * @flow:	Flow, or listener, that had the last event but for the link's
 * @others:	Times so far that it was not the one before
 * @busy:	Work is pending: do not sleep before the next turn
 * @pause:	Unless @busy, do nothing for so long before the next turn, us
 * @policy:	Our scheduling policy, sched(7), -1: not ours to change
 * @quit:	Leave after this turn
 * @status:	Exit status then
 */
struct loop {
	int epfd;
	uint64_t now, us;
	uint64_t turn;
	struct wheel wheel;
	const struct loop_handler *handler;
	const struct loop_hooks *hooks;
	uint64_t count[EPOLL_TYPES];
	uint32_t flow;
	uint64_t others;
	bool busy;
	unsigned pause;
	int policy;
	bool quit;
	int status;
};

/**
 * loop_init() - Create the epoll set
 * @loop:	Filled
 * @handler:	EPOLL_TYPES rows, borrowed for ever
 * @hooks:	Borrowed for ever
 *
 * Return: 0, or -errno
 */
int loop_init(struct loop *loop, const struct loop_handler *handler,
	      const struct loop_hooks *hooks);

/**
 * loop_add() - Watch a descriptor
 * @loop:	Loop
 * @fd:		Descriptor; closing its last copy ends the watch
 * @events:	EPOLLIN ... EPOLLET
 * @ref:	What the handler is given
 *
 * Return: 0, or -errno
 */
int loop_add(struct loop *loop, int fd, uint32_t events, union epoll_ref ref);

/**
 * loop_mod() - Change what is watched; asks the kernel to poll once more
 * See loop_add().
 *
 * Return: 0, or -errno
 */
int loop_mod(struct loop *loop, int fd, uint32_t events, union epoll_ref ref);

/**
 * loop_del() - Watch no more, for a descriptor that lives on
 * @loop:	Loop
 * @fd:		Descriptor
 */
void loop_del(struct loop *loop, int fd);

/**
 * loop_arm() - Arm a timer relative to the present turn
 * @loop:	Loop
 * @t:		Timer
 * @ms:		Delay
 */
static inline void loop_arm(struct loop *loop, struct wtimer *t, uint64_t ms)
{
	wheel_arm(&loop->wheel, t, loop->now + ms);
}

/**
 * loop_batch() - Take the CPU from nobody when we wake up, or do again
 * @loop:	Loop
 * @on:		SCHED_BATCH; otherwise SCHED_OTHER, as at first
 *
 * Does nothing if whoever started us chose another policy, or it may not be
 * changed. Source: sched_setscheduler(2), sched(7)
 */
void loop_batch(struct loop *loop, bool on);

/**
 * loop_quit() - Leave the loop after this turn
 * @loop:	Loop
 * @status:	Exit status
 */
void loop_quit(struct loop *loop, int status);

/**
 * loop_turn() - Wait for events once and handle them, timers and hooks
 * @loop:	Loop
 * @timeout:	Longest wait, ms, -1: as long as it takes
 *
 * Return: events handled, or -errno of epoll_wait() other than EINTR
 */
int loop_turn(struct loop *loop, int timeout);

/**
 * loop_run() - Turn until loop_quit()
 * @loop:	Loop
 *
 * Return: exit status
 */
int loop_run(struct loop *loop);

#endif /* LOOP_H */
