/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Into the background, and telling those who wait that all is ready */
#ifndef DAEMON_H
#define DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * struct daemon - Who is told, and how
 * @pid_path:	--pid, NULL: none
 * @pid_file:	The same, open, -1: none
 * @ready_fd:	--ready-fd, -1: none
 * @notify:	Socket of the service manager, -1: none
 * @null:	/dev/null, for what goes to the background
 * @told:	Pipe from the child to the parent, -1: in foreground
 */
struct daemon {
	const char *pid_path;
	int pid_file;
	int ready_fd;
	int notify;
	int null;
	int told[2];
};

/**
 * daemon_open() - Open all of it, while there are files
 * @d:		Filled
 * @pid_path:	--pid, NULL: none; kept
 * @ready_fd:	--ready-fd, -1: none; taken over
 * @notify:	Tell the service manager that $NOTIFY_SOCKET names
 * @foreground:	There will be no daemon_fork()
 *
 * What cannot be opened ends the process with a message, but for the service
 * manager: a warning.
 */
void daemon_open(struct daemon *d, const char *pid_path, int ready_fd,
		 bool notify, bool foreground);

/**
 * daemon_fork() - Go on in a child, with nothing but standard error left
 * @d:		Opened
 *
 * The process we were started as does not return: it leaves with 0 as soon as
 * it is told that all is ready, or with 1 if it is not.
 */
void daemon_fork(struct daemon *d);

/**
 * daemon_detach() - Leave standard error to whoever started us
 * @d:		After daemon_fork()
 *
 * What the parent is to write to is closed.
 */
void daemon_detach(struct daemon *d);

/**
 * daemon_ready() - Tell that all is ready: PID file, --ready-fd, service manager
 * @d:		In background, the parent is told, and does the rest
 * @pid:	Ours, as we know it
 *
 * Return: 0, or -errno after a message
 */
int daemon_ready(struct daemon *d, pid_t pid);

#endif /* DAEMON_H */
