/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Isolation of the process, in stages; the theory stands in isolation.c */
#ifndef ISOLATION_H
#define ISOLATION_H

#include <stdbool.h>
#include <sys/types.h>

/* User namespace of isolation_user() other than a descriptor */
#define ISOLATION_USERNS_OWN  (-1) /* a new one, unless --netns-only */
#define ISOLATION_USERNS_STAY (-2) /* the one we are in */

/* Filled by conf */
struct isolation_opts {
	uid_t uid; /* --runas, or where root goes; (uid_t)-1: stay */
	gid_t gid;
	bool netns_only;      /* --netns-only: no user namespace of our own */
	bool chroot_fallback; /* --chroot-fallback, also tried by itself */
	bool foreground;
	bool pasta;
	bool host_ports; /* ports of the host are bound later, too (auto) */
};

/**
 * isolation_initial() - Stage 1, first thing in main()
 * @keep:	Inherited descriptors to be kept (--fd), negative ones count not
 * @n:		How many
 *
 * Descriptors 0 to 2 are made sure to be open, all others but @keep are closed,
 * SIGPIPE is ignored, SIGCHLD is not, SIGUSR1 waits for who takes it, the soft
 * descriptor limit is raised to the hard one.
 */
void isolation_initial(const int *keep, unsigned n);

/**
 * isolation_user() - Stage 2, options parsed, files and sockets opened
 * @o:		Options
 * @userns:	User namespace to join (descriptor, closed here), or one of
 *		ISOLATION_USERNS_*
 *
 * Changes to the user asked for, joins or creates the user namespace. In one
 * of our own pasta is user and group 0. Must be called while there is no
 * thread but the first.
 *
 * Return: 0, or -errno after a message
 */
int isolation_user(const struct isolation_opts *o, int userns);

/**
 * isolation_prefork() - Stage 3, everything is opened: empty root, detached
 * @o:		Options
 *
 * Mount, IPC, UTS (and PID, in background) namespaces, empty root directory,
 * capabilities dropped but for what netns_start() needs. In background, fork()
 * must follow, with no thread made in between.
 *
 * Return: 0, or -errno after a message
 */
int isolation_prefork(const struct isolation_opts *o);

/**
 * isolation_postfork() - Stage 4, in the process that stays
 * @o:		Options
 *
 * Not dumpable, no new privileges, last capabilities gone: after netns_start().
 * Ends the process, with a message, if stage 5 would not be possible.
 */
void isolation_postfork(const struct isolation_opts *o);

/**
 * isolation_filter() - Stage 5, all is ready: only the system calls of the mode
 * @o:		Options
 */
void isolation_filter(const struct isolation_opts *o);

/**
 * isolation_undo() - Give a command what isolation_initial() took from us
 *
 * For a child about to execute something: descriptor limit and signals as
 * they were, nothing but descriptors 0 to 2 survives the execution.
 */
void isolation_undo(void);

/**
 * isolation_close() - Close all descriptors but 0 to 2
 */
void isolation_close(void);

/**
 * isolation_initial_userns() - Are we in the initial user namespace?
 */
bool isolation_initial_userns(void);

#endif /* ISOLATION_H */
