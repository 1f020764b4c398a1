/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pasta: the end of the target, or of the command, and of us by signals
 *
 * The end of the target is noticed at once: of our command by SIGCHLD; of a
 * process by its pidfd; of a namespace bound to a path by the mount table, as
 * /proc/self/mountinfo signals changes. It is that of the mount namespace we were
 * started in, which it keeps alive. A namespace is found at a mount point or
 * below /proc, nowhere else, and who removes the name of a mount point unmounts
 * it (unlink(2) in any mount namespace). So we need no inotify, of which a user
 * has few instances, and whose last close waits for some milliseconds.
 *
 * No event tells that a descriptor was closed (/proc/PID/fd/N) or that a thread
 * has ended (/proc/PID/task/TID/ns/net), and the table may be another one than
 * that of the path (/proc/PID/root/...), or not to be had, as are pidfds before
 * Linux 5.3. Then we look, every PASTA_POLL_MS: a system call of 1 us each time.
 *
 * Who waits for us to leave waits for ports and for the end of the process.
 * Listening sockets are closed first (passt.c); what takes the kernel long, to
 * take down the tap device, is left to it (close_later()).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pasta.h"
#include "lib/lineread.h"
#include "lib/log.h"

#define PASTA_POLL_MS 25   /* looks at a target without events */
#define PASTA_TERM_MS 1000 /* for the command to follow SIGTERM */

/* What an EPOLL_NETNS reference is of: its id */
enum pasta_event { WATCH_PID, WATCH_MOUNTS };

/* #syscalls:pasta newfstatat lseek read write close */

/* Does the mount table we were started with still show the namespace? */
static bool still_mounted(const struct pasta *p)
{
	struct lineread lr;
	char want[64], *line;

	if (lseek(p->mounts, 0, SEEK_SET))
		return true;
	snprintf(want, sizeof(want), " net:[%llu] ",
		 (unsigned long long)p->ns_ino);
	lineread_init(&lr, p->mounts);
	while (lineread_next(&lr, &line) >= 0) {
		if (strstr(line, want))
			return true;
	}
	return false;
}

/* Is there a name in a directory below /proc? What it leads to is not for our
 * eyes any more, and a descriptor may have been used again
 */
static bool name_there(int dir, const char *name)
{
	struct stat st;

	return !fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) ||
	       (errno != ENOENT && errno != ESRCH);
}

/* Is the target there? */
static bool target_there(const struct pasta *p)
{
	struct stat now;

	if (p->procdir >= 0)
		return name_there(p->procdir, "ns") &&
		       (p->dir < 0 || name_there(p->dir, p->name));
	if (p->dir < 0 || !p->ns_ino)
		return true;
	if (!fstatat(p->dir, p->name, &now, 0))
		return now.st_dev == p->ns_dev && now.st_ino == p->ns_ino;
	if (errno == ENOENT || errno == ESRCH || errno == ENOTDIR)
		return false;
	/* Not for our eyes, now that we are somebody else */
	return p->mounts < 0 || still_mounted(p);
}

/* Follow the target */
static void target_gone(struct pasta *p)
{
	info("The namespace is gone, so are we");
	p->gone = true;
	loop_quit(p->loop, EXIT_SUCCESS);
}

/* Quit if the target is gone. Return: it is there */
static bool target_check(struct pasta *p)
{
	if (target_there(p))
		return true;
	target_gone(p);
	return false;
}

/* Register one of the descriptors. Return: is it of use? */
static bool watch_add(struct pasta *p, int fd, uint32_t events,
		      enum pasta_event id)
{
	union epoll_ref ref = { .type = EPOLL_NETNS, .id = id };

	return fd >= 0 && !loop_add(p->loop, fd, events, ref);
}

int pasta_watch(struct pasta *p)
{
	sigset_t set;
	bool told;

	if (p->opts->spawn) {
		sigemptyset(&set);
		sigaddset(&set, SIGTTOU);
		sigprocmask(SIG_BLOCK, &set, NULL);
		p->pgrp = getpgrp();
	}
	if (p->opts->spawn || p->opts->no_netns_quit)
		return 0;
	if (p->procdir < 0 && p->dir < 0) {
		warn("No means to notice the end of the namespace");
		return 0;
	}

	if (p->procdir >= 0)
		told = watch_add(p, p->pidfd, EPOLLIN, WATCH_PID) && p->dir < 0;
	else
		told = p->mounts >= 0 && still_mounted(p) &&
		       watch_add(p, p->mounts, EPOLLPRI, WATCH_MOUNTS);
	/* Gone while we were busy setting up: quits in the first turn */
	if (target_check(p) && !told) {
		debug("Looking for the namespace every %i ms", PASTA_POLL_MS);
		loop_arm(p->loop, &p->poll, PASTA_POLL_MS);
	}
	/* Not to be looked at again: no way to /proc is left open */
	if (told && p->procdir >= 0) {
		close(p->procdir);
		p->procdir = -1;
	}
	return 0;
}

void pasta_netns_event(void *ctx, union epoll_ref ref, uint32_t events)
{
	struct pasta *p = ctx;

	(void)events;
	if (ref.id == WATCH_PID)
		target_gone(p);
	else
		target_check(p);
}

/* To the command, and to ask whether a process group is gone
 *
 * #syscalls:pasta kill(1=0/SIGHUP/SIGTERM/SIGKILL/SIGCONT) waitid(0=P_PID)
 * #syscalls:pasta ioctl(1=TIOCGPGRP/TIOCSPGRP)
 */

void pasta_signal(struct pasta *p, int sig, bool from_tty)
{
	if (!p->child) {
		loop_quit(p->loop, EXIT_SUCCESS);
		return;
	}

	/* Of a terminal that hangs up only the leader of its session hears */
	if (from_tty && sig != SIGHUP)
		return;
	if (sig != SIGHUP)
		sig = SIGTERM;
	kill(p->child, p->ending ? SIGKILL : sig);
	kill(p->child, SIGCONT);
	p->ending = true;
	loop_arm(p->loop, &p->poll, PASTA_TERM_MS);
}

bool pasta_timer(struct pasta *p, struct wtimer *t)
{
	if (t != &p->poll)
		return false;
	if (p->ending) {
		if (p->child)
			kill(p->child, SIGKILL);
	} else if (target_check(p)) {
		loop_arm(p->loop, &p->poll, PASTA_POLL_MS);
	}
	return true;
}

/* Is the process group in the foreground of a terminal gone? */
static bool tty_orphaned(int fd)
{
	pid_t pgrp = fd < 0 ? -1 : tcgetpgrp(fd);

	return pgrp > 0 && kill(-pgrp, 0) && errno == ESRCH;
}

void pasta_sigchld(struct pasta *p)
{
	siginfo_t si = { .si_pid = 0 };
	int status;

	if (!p->child)
		return;
	if (waitid(P_PID, (id_t)p->child, &si, WEXITED | WNOHANG) || !si.si_pid)
		return;

	p->child = 0;
	p->gone = true;
	/* Whoever runs us expects to be in the foreground afterwards, as we
	 * were. SIGTTOU is blocked.
	 */
	if (tty_orphaned(p->tty) && tcsetpgrp(p->tty, p->pgrp))
		debug("Can't take the terminal: %s", errstr(errno));
	if (p->ending)
		status = EXIT_SUCCESS;
	else if (si.si_code == CLD_EXITED)
		status = si.si_status;
	else
		status = 128 + si.si_status;
	loop_quit(p->loop, status);
}
