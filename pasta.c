/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pasta: create or join the target namespace, run the command
 *
 * Which of our steps comes before which is ruled by who may do what when:
 *
 *  1. pasta_target(), as whoever started us: descriptors of the namespaces of
 *     a process or a path, and of what tells of their end. Root may open them
 *     now and not any more as nobody; an ordinary user may open those of
 *     processes in user namespaces created by that user. What cannot be opened
 *     now is tried once more after joining the user namespace given.
 *
 *  2. isolation_user(): from now on we have capabilities over the network
 *     namespace, by one of
 *     - the user namespace that owns it, joined. It is asked of the network
 *       namespace itself, where the kernel tells: the user namespace of a
 *       process may be one further down, which owns nothing. Without being
 *       told of any user namespace we only look for it if we have no
 *       capabilities: with them, we stay where we are (--netns without
 *       --userns is --netns-only: podman, root with ip-netns(8));
 *     - the user namespace of our own the command is started in: we create
 *       that, join it by this, and map ourselves to 0;
 *     - capabilities we had from the start.
 *
 *  3. pasta_open(): network namespace entered (by threads, see netns.c) or the
 *     command forked into new ones. It waits there until pasta_go(), when all
 *     is isolated and configured, so it never sees a half-made network.
 *
 *  4. pasta_tap(), pasta_configure(): /dev/net/tun is still there to be opened.
 *
 *  5. isolation_prefork(), the fork if in background, netns_start(),
 *     isolation_postfork(), pasta_watch() (pasta_watch.c), isolation_filter(),
 *     pasta_go().
 *
 * The command is not process 1 of its PID namespace: the kernel denies that one
 * every signal it has not asked for, even those it sends itself to end as it
 * would have without a handler, and makes it the parent of all orphans. Process
 * 1 is our child, which waits for the command, for orphans, and for signals to
 * be passed on. Its end is the end of all in the namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "isolation.h"
#include "pasta.h"
#include "lib/caps.h"
#include "lib/fdio.h"
#include "lib/log.h"

#define NETNS_RUN_DIR "/run/netns/" /* of ip-netns(8) */

/* Symbolic links followed to find a path below /proc, as the kernel's limit */
#define LINKS_MAX 40

/* Status of a command that cannot be executed, see sh(1) */
#define EXIT_NOEXEC   126
#define EXIT_NOTFOUND 127

/*
 * Finding the target
 */

/* Is this descriptor the user namespace we are in? */
static bool userns_is_ours(int fd)
{
	struct stat ours, st;

	return !stat("/proc/self/ns/user", &ours) && !fstat(fd, &st) &&
	       ours.st_dev == st.st_dev && ours.st_ino == st.st_ino;
}

/* Open a namespace file, of type CLONE_NEWNET or CLONE_NEWUSER */
static int ns_open(int at, const char *path, int type)
{
	int fd = openat(at, path, O_RDONLY | O_CLOEXEC), got;

	if (fd < 0)
		return -errno;
	got = ioctl(fd, NS_GET_NSTYPE);
	/* A file of some file system, the namespace long gone */
	if (got >= 0 ? got != type : errno == ENOTTY) {
		struct stat st;

		/* ...or a kernel before Linux 4.11 */
		if (got >= 0 || fstat(fd, &st) || S_ISREG(st.st_mode)) {
			close(fd);
			return -EBADF;
		}
	}
	return fd;
}

/* What could help with a namespace that cannot be opened */
static const char *ns_hint(int rc)
{
	switch (rc) {
	case -EACCES:
	case -EPERM:
		return ": it belongs to another user, or AppArmor or SELinux "
		       "denied it (see the kernel's log)";
	case -EBADF:
		return ": not a namespace of that kind, left over?";
	case -ENOENT:
	case -ESRCH:
		return ": is it, or its process, gone already?";
	default:
		return "";
	}
}

/* Message about a namespace. Return: @rc */
static int ns_error(const char *kind, const char *path, int rc)
{
	err("Couldn't open %s namespace %s: %s%s", kind, path, errstr(rc),
	    ns_hint(rc));
	return rc;
}

/* User namespace to join for the network namespace: its owner, or if the
 * kernel will not tell, @fallback (descriptor or -1). Sets @p->userns.
 */
static void userns_choose(struct pasta *p, int fallback)
{
	int fd = ioctl(p->netns->fd, NS_GET_USERNS);

	if (fd < 0)
		fd = fallback;
	else if (fallback >= 0)
		close(fallback);
	if (fd < 0)
		return;
	if (userns_is_ours(fd)) {
		close(fd);
		return;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	p->userns = fd;
}

/* Hold on to a process: its directory, and what tells of its end */
static int process_hold(struct pasta *p, pid_t pid)
{
	char path[sizeof("/proc/-2147483648")];

	snprintf(path, sizeof(path), "/proc/%i", (int)pid);
	p->procdir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->procdir < 0)
		return -errno;
#ifdef SYS_pidfd_open
	/* Before Linux 5.3, and for a thread, there is none. The directory is
	 * that of a process alive after this, so both are of the same.
	 */
	p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
#endif
	return faccessat(p->procdir, "ns", F_OK, 0) ? -errno : 0;
}

/* The namespaces of a process */
static int target_pid(struct pasta *p)
{
	const struct pasta_opts *o = p->opts;
	char path[64];
	int rc, fd;

	rc = process_hold(p, o->pid);
	if (rc) {
		err("No process with PID %i: %s", (int)o->pid, errstr(rc));
		return rc;
	}

	snprintf(path, sizeof(path), "/proc/%i/ns/net", (int)o->pid);
	p->netns->fd = ns_open(p->procdir, "ns/net", CLONE_NEWNET);
	if (p->netns->fd < 0)
		return ns_error("network", path, p->netns->fd);
	if (o->netns_only || o->userns)
		return 0;

	snprintf(path, sizeof(path), "/proc/%i/ns/user", (int)o->pid);
	fd = ns_open(p->procdir, "ns/user", CLONE_NEWUSER);
	userns_choose(p, fd >= 0 ? fd : -1);
	/* Not told the owner, nor could we open this one: being in it is well */
	if (fd < 0 && p->userns < 0 && !caps_have(CAP_SYS_ADMIN))
		return ns_error("user", path, fd);
	return 0;
}

/* Full path of --netns: names are of ip-netns(8) */
static int netns_path(const struct pasta_opts *o, char *path, size_t size)
{
	bool name = !strchr(o->netns, '/');
	int n = snprintf(path, size, "%s%s", name ? NETNS_RUN_DIR : "",
			 o->netns);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* Follow symbolic links, but for the last step of the kernel's own, such as
 * /proc/PID/ns/net -> "net:[4026531840]", which leads to no path. @path has
 * PATH_MAX bytes. Return: its last part, after the slash
 */
static char *path_follow(char *path)
{
	char target[PATH_MAX], dir[PATH_MAX];
	char *name = strrchr(path, '/') + 1;
	unsigned links;
	ssize_t n;

	for (links = 0; links < LINKS_MAX; links++) {
		name = strrchr(path, '/') + 1;
		n = readlink(path, target, sizeof(target) - 1);
		if (n <= 0 || !strncmp(target, "net:[", strlen("net:[")))
			break;
		target[n] = '\0';
		if (*target != '/') {
			*name = '\0';
			if (strlen(path) + (size_t)n >= sizeof(dir))
				break;
			stpcpy(stpcpy(dir, path), target);
			strcpy(path, dir);
		} else {
			strcpy(path, target);
		}
	}
	return name;
}

/* Hold on to a path: its process, if it is below /proc; its directory; the
 * mount table. All of it may fail: then the end is never noticed
 */
static void path_hold(struct pasta *p, const char *given)
{
	char path[PATH_MAX], dir[PATH_MAX], *name;
	int pid, len = 0;

	if (strlen(given) >= sizeof(path))
		return;
	strcpy(path, given);
	name = path_follow(path);
	if (strlen(name) >= sizeof(p->name))
		return;
	strcpy(p->name, name);
	*name = '\0';
	if (!realpath(path, dir))
		return;

	if (sscanf(dir, "/proc/%i/%n", &pid, &len) == 1 && len) {
		if (process_hold(p, pid))
			debug("Can't watch process %i", pid);
		if (!strcmp(dir + len, "ns"))
			return;
	} else {
		p->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	}
	/* Not by its real path: links of the kernel lead elsewhere */
	p->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The namespace at a path, in the user namespace at a path if there is one */
static int target_path(struct pasta *p)
{
	const struct pasta_opts *o = p->opts;
	char path[PATH_MAX];
	int rc, fd;

	rc = netns_path(o, path, sizeof(path));
	if (rc)
		return ns_error("network", o->netns, rc);
	fd = ns_open(AT_FDCWD, path, CLONE_NEWNET);
	p->netns->fd = fd >= 0 ? fd : -1;
	if (fd < 0 && (p->userns < 0 || (fd != -EACCES && fd != -EPERM)))
		return ns_error("network", path, fd);
	if (fd >= 0 && !o->userns && !o->no_userns && !caps_have(CAP_SYS_ADMIN))
		userns_choose(p, -1);

	if (!o->no_netns_quit)
		path_hold(p, path);
	return 0;
}

int pasta_target(struct pasta *p)
{
	const struct pasta_opts *o = p->opts;

	netns_init(p->netns);
	p->userns = o->spawn ? ISOLATION_USERNS_OWN : ISOLATION_USERNS_STAY;
	p->child = 0;
	p->pidfd = p->procdir = -1;
	p->mounts = p->dir = p->go = p->tty = p->nl.fd = -1;

	if (o->userns) {
		int fd = ns_open(AT_FDCWD, o->userns, CLONE_NEWUSER);

		if (fd < 0)
			return ns_error("user", o->userns, fd);
		if (userns_is_ours(fd)) {
			close(fd);
			p->userns = ISOLATION_USERNS_STAY;
		} else {
			p->userns = fd;
		}
	}
	if (o->spawn)
		return 0;
	return o->pid ? target_pid(p) : target_path(p);
}

/*
 * The command
 */

/* What the child needs, on both sides of clone(2) */
struct spawn {
	const struct pasta_opts *opts;
	int go[2];
	int tty;
};

/* Terminal we are in the foreground of. Return: one of 0 to 2, or -1 */
static int tty_find(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (tcgetpgrp(fd) == getpgrp())
			return fd;
	}
	return -1;
}

/* Bring our process group to the foreground of a terminal, from wherever: what
 * does so in the background gets SIGTTOU, unless it blocks it
 */
static void tty_take(int fd)
{
	sigset_t set, old;

	if (fd < 0)
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGTTOU);
	sigprocmask(SIG_BLOCK, &set, &old);
	if (tcsetpgrp(fd, getpgrp()))
		debug("Can't take the terminal: %s", errstr(errno));
	sigprocmask(SIG_SETMASK, &old, NULL);
}

/* Let ping(8) work without capabilities, for every group mapped here */
static void allow_ping(void)
{
	const char *file = "/proc/sys/net/ipv4/ping_group_range";

	/* All groups, or if they are not mapped the one that is */
	if (write_file(file, "0 2147483647") && write_file(file, "0 0"))
		debug("Can't write %s: ping may need privileges", file);
}

/* Name of the new UTS namespace: --hostname, or pasta- and the host's */
static void set_hostname(const struct pasta_opts *o)
{
	char name[HOSTNAME_MAX] = "pasta-";
	size_t len = strlen(name);

	if (o->hostname)
		snprintf(name, sizeof(name), "%s", o->hostname);
	else if (gethostname(name + len, sizeof(name) - len))
		name[len - 1] = '\0';
	name[sizeof(name) - 1] = '\0';
	if (sethostname(name, strlen(name)))
		debug("Can't set the hostname to %s: %s", name, errstr(errno));
}

/* Execute the command, or a shell as if logged in. Return: exit status */
static int execute(const struct pasta_opts *o)
{
	const char *shell = getenv("SHELL"), *base;
	char argv0[NAME_MAX + 2];
	char *argv[] = { argv0, NULL };
	int e;

	if (o->argv && *o->argv) {
		execvp(*o->argv, o->argv);
		e = errno;
		dprintf(STDERR_FILENO, "pasta: cannot execute %s: %s\n",
			*o->argv, errstr(e));
		return e == ENOENT ? EXIT_NOTFOUND : EXIT_NOEXEC;
	}

	if (!shell || !*shell)
		shell = "/bin/sh";
	base = strrchr(shell, '/');
	snprintf(argv0, sizeof(argv0), "-%s", base ? base + 1 : shell);
	execvp(shell, argv);
	e = errno;
	dprintf(STDERR_FILENO, "pasta: cannot execute $SHELL, %s: %s\n", shell,
		errstr(e));
	return e == ENOENT ? EXIT_NOTFOUND : EXIT_NOEXEC;
}

/* Wait for a byte: the first one says that the namespace was found by way of the
 * child's /proc, the second one comes from pasta_go(). None if we failed.
 */
static void wait_for_us(const struct spawn *s)
{
	char byte;

	if (read_all(s->go[0], &byte, sizeof(byte)) != sizeof(byte))
		_exit(EXIT_FAILURE);
}

/* The process that becomes the command, prepared before it may: while the
 * namespace is being configured, there is a processor for that
 */
_Noreturn static void command_main(const struct spawn *s)
{
	isolation_undo();
	wait_for_us(s);

	/* A shell returns the terminal to whom it got it from: this must be
	 * a process group it can see
	 */
	if (!s->opts->argv && s->tty >= 0 && !setpgid(0, 0))
		tty_take(s->tty);

	prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	_exit(execute(s->opts));
}

/* Process 1 of the namespace, with all signals blocked, until @command ends */
_Noreturn static void init_main(pid_t command)
{
	siginfo_t si;
	sigset_t all;
	pid_t pid;
	int fd, status;

	prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	caps_limit(CAPS_BIT(CAP_KILL));
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		close(fd);
	isolation_close();

	sigfillset(&all);
	for (;;) {
		if (sigwaitinfo(&all, &si) < 0)
			continue;
		/* Those of the terminal went to the command, too */
		if (si.si_signo != SIGCHLD && si.si_code <= 0)
			kill(command, si.si_signo);
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			if (pid == command)
				_exit(WIFEXITED(status)
					      ? WEXITSTATUS(status)
					      : 128 + WTERMSIG(status));
		}
	}
}

/* Set up the new namespaces from inside */
static void namespaces_init(const struct pasta_opts *o)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (mount("", "/", "", MS_SLAVE | MS_REC, NULL))
		debug("Can't detach mounts: %s", errstr(errno));
	if (!o->no_pidns && mount("proc", "/proc", "proc", flags, NULL))
		warn("Can't mount /proc for the command: %s", errstr(errno));
	allow_ping();
	set_hostname(o);
}

/* The child, in its new namespaces */
static int child_main(void *arg)
{
	const struct spawn *s = arg;
	sigset_t all;
	pid_t pid;

	/* If we fail before pasta_go(), so does the child: by signal, and by
	 * the end of the pipe if that happened before this call
	 */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	close(s->go[1]);
	namespaces_init(s->opts);
	wait_for_us(s);
	if (s->opts->no_pidns)
		command_main(s);

	/* We are a copy of a process whose memory is nobody's business: before
	 * there is a command that could look
	 */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	pid = fork();
	if (!pid)
		command_main(s);
	if (pid < 0)
		_exit(EXIT_NOEXEC);
	init_main(pid);
}

/* Fork the command into new namespaces. Fills @p->child, @p->netns->fd */
static int pasta_spawn(struct pasta *p)
{
	static char stack[64 * 1024] __attribute__((aligned(64)));
	int flags = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC;
	struct spawn s = { .opts = p->opts, .tty = tty_find() };
	char path[64];
	int rc;

	if (!p->opts->no_pidns)
		flags |= CLONE_NEWPID;
	if (pipe2(s.go, O_CLOEXEC)) {
		rc = -errno;
		err("Couldn't make a pipe: %s", errstr(rc));
		return rc;
	}

	/* Not fork(): only clone(2) has the child in all namespaces at once
	 * and leaves us in ours. It shares nothing: its stack is a copy.
	 */
	p->child = clone(child_main, stack + sizeof(stack), flags | SIGCHLD,
			 &s);
	rc = -errno;
	close(s.go[0]);
	if (p->child < 0) {
		p->child = 0;
		close(s.go[1]);
		err("Couldn't start the command in new namespaces: %s%s",
		    errstr(rc),
		    rc == -EPERM && p->opts->netns_only
			    ? ": --netns-only needs to be root"
			    : "");
		return rc;
	}
	p->go = s.go[1];
	p->tty = s.tty;

	snprintf(path, sizeof(path), "/proc/%i/ns/net", (int)p->child);
	p->netns->fd = ns_open(AT_FDCWD, path, CLONE_NEWNET);
	if (p->netns->fd < 0)
		return ns_error("network", path, p->netns->fd);
	if (write_all(p->go, "", 1))
		debug("The command is gone before it was made");
	return 0;
}

/* Run in the namespace: that it is reached is all we want to know */
static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

int pasta_open(struct pasta *p)
{
	const struct pasta_opts *o = p->opts;
	char path[PATH_MAX];
	struct stat ns;
	int rc = 0;

	if (o->spawn) {
		rc = pasta_spawn(p);
		if (rc)
			return rc;
	} else if (p->netns->fd < 0) {
		rc = netns_path(o, path, sizeof(path));
		p->netns->fd = rc ? rc : ns_open(AT_FDCWD, path, CLONE_NEWNET);
		if (p->netns->fd < 0)
			return ns_error("network", o->netns, p->netns->fd);
	}

	if (!fstat(p->netns->fd, &ns)) {
		p->ns_dev = ns.st_dev;
		p->ns_ino = ns.st_ino;
	}

	/* One of our own lets us in */
	if (!o->spawn)
		rc = netns_call(p->netns, nothing, NULL);
	if (rc)
		err("Couldn't enter the network namespace: %s%s", errstr(rc),
		    rc == -EPERM ? ": no privileges in the user namespace "
				   "that owns it; is --userns missing?"
				 : "");
	return rc;
}

void pasta_go(struct pasta *p)
{
	if (p->go < 0)
		return;
	/* A child that is gone is SIGCHLD's business */
	if (write_all(p->go, "", 1))
		debug("The command is gone before it began");
	close(p->go);
	p->go = -1;
}
