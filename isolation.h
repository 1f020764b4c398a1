/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Isolation of the process, in stages; the theory stands in isolation.c */
#ifndef ISOLATION_H
#define ISOLATION_H

#include <stdbool.h>
#include <sys/types.h>

/* Filled by conf */
struct isolation_opts {
	uid_t uid; /* --runas, or where root goes; (uid_t)-1: stay */
	gid_t gid;
	bool netns_only;  /* --netns-only: no user namespace of our own */
	bool chroot_fallback; /* --chroot-fallback, also tried by itself */
	bool foreground;
	bool pasta;
};

/**
 * isolation_initial() - Stage 1, first thing in main()
 * @keep_fd:	Inherited descriptor to be kept (--fd), or -1
 *
 * Descriptors 0 to 2 are made sure to be open, all others but @keep_fd are
 * closed, SIGPIPE is ignored, the soft descriptor limit raised to the hard one.
 */
void isolation_initial(int keep_fd);

/**
 * isolation_user() - Stage 2, options parsed, files and sockets opened
 * @o:		Options
 * @userns:	User namespace to join (descriptor), or -1: one of our own
 *
 * Changes to the unprivileged user if we are root of the initial user
 * namespace, joins or creates the user namespace.
 *
 * Return: 0, or -errno after a message
 */
int isolation_user(const struct isolation_opts *o, int userns);

/**
 * isolation_prefork() - Stage 3, everything is opened: empty root, detached
 * @o:		Options
 *
 * Mount, IPC, UTS (and PID, in background) namespaces, empty root directory,
 * capabilities dropped.
 *
 * Return: 0, or -errno after a message
 */
int isolation_prefork(const struct isolation_opts *o);

/**
 * isolation_postfork() - Stage 4, in the process that stays
 * @o:		Options
 *
 * Not dumpable, no new privileges, last capabilities gone.
 */
void isolation_postfork(const struct isolation_opts *o);

#endif /* ISOLATION_H */
