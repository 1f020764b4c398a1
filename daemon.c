/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Into the background, and telling those who wait that all is ready
 *
 * Callers wait for one of: the exit status of the process they started, the PID
 * file, --ready-fd, the service manager. Whichever it is, they find the others as
 * well, and the program at work. So the process that was started stays until the
 * child serves, and writes the PID file itself: the child may be in a PID namespace
 * of its own, does not know the number it has outside, and has no files left.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fdio.h"
#include "lib/log.h"
#include "lib/notify.h"

/* Socket of the service manager. Return: it, or -1 */
static int notify_connect(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int fd;

	if (!path)
		return -1;
	fd = notify_open(path);
	if (fd < 0)
		warn("Cannot notify $NOTIFY_SOCKET, %s: %s", path, errstr(fd));
	return fd;
}

void daemon_open(struct daemon *d, const char *pid_path, int ready_fd,
		 bool notify, bool foreground)
{
	*d = (struct daemon){ .pid_path = pid_path,
			      .pid_file = -1,
			      .ready_fd = ready_fd,
			      .notify = -1,
			      .null = -1,
			      .told = { -1, -1 } };
	if (pid_path) {
		d->pid_file = open(pid_path,
				   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
				   S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
		if (d->pid_file < 0)
			die("Couldn't open PID file %s: %s", pid_path,
			    errstr(errno));
	}
	if (notify)
		d->notify = notify_connect();
	if (foreground)
		return;
	d->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (d->null < 0 || pipe2(d->told, O_CLOEXEC))
		die("Cannot prepare to go to background: %s", errstr(errno));
}

/* Decimal PID and newline; then all that outsiders may wait for is there, and
 * those who wait for a word get it. Return: 0, or -errno after a message
 */
static int tell_ready(struct daemon *d, pid_t pid)
{
	char buf[16];
	int len = snprintf(buf, sizeof(buf), "%d\n", pid), rc;

	if (d->pid_file >= 0) {
		rc = write_all(d->pid_file, buf, (size_t)len);
		close(d->pid_file);
		if (rc) {
			err("Cannot write PID file %s: %s", d->pid_path,
			    errstr(rc));
			return rc;
		}
	}
	if (d->ready_fd >= 0) {
		write_all(d->ready_fd, "1\n", 2);
		close(d->ready_fd);
	}
	if (d->notify >= 0) {
		rc = notify_ready(d->notify);
		if (rc)
			warn("Cannot notify service manager: %s", errstr(rc));
	}
	return 0;
}

/* Did one of the signals that end us arrive, and wait? */
static bool signal_pending(void)
{
	sigset_t set;

	return !sigpending(&set) && (sigismember(&set, SIGTERM) == 1 ||
				     sigismember(&set, SIGQUIT) == 1 ||
				     sigismember(&set, SIGINT) == 1 ||
				     sigismember(&set, SIGHUP) == 1);
}

/* The process we were started as, once @child serves: leaves when told to */
_Noreturn static void parent_main(struct daemon *d, pid_t child)
{
	char ok;

	if (read_all(d->told[0], &ok, 1) != 1)
		_exit(EXIT_FAILURE);
	/* Who told us to end meanwhile does not know of the child */
	if (signal_pending() || tell_ready(d, child)) {
		kill(child, SIGKILL);
		_exit(EXIT_FAILURE);
	}
	_exit(EXIT_SUCCESS);
}

void daemon_fork(struct daemon *d)
{
	pid_t pid = fork();

	if (pid < 0)
		die("Cannot go to background: %s", errstr(errno));
	if (pid) {
		close(d->told[1]);
		parent_main(d, pid);
	}
	close(d->told[0]);
	setsid();
	dup2(d->null, STDIN_FILENO);
	dup2(d->null, STDOUT_FILENO);
	close(d->null);
	/* messages still go to stderr, until all is ready */
}

void daemon_detach(struct daemon *d)
{
	log_background();
	dup2(STDIN_FILENO, STDERR_FILENO);
	if (d->pid_file >= 0)
		close(d->pid_file);
	if (d->ready_fd >= 0)
		close(d->ready_fd);
}

int daemon_ready(struct daemon *d, pid_t pid)
{
	if (d->told[1] < 0)
		return tell_ready(d, pid);
	write_all(d->told[1], "1", 1);
	close(d->told[1]);
	return 0;
}
