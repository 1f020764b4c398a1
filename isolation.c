/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Isolation of the process, in stages
 *
 * Whoever takes over this process by what a guest or the network sent is to
 * find nothing: no file system, no other process, no capability, no way to new
 * privileges. All of that cannot be had at once, because setting up needs what
 * is to be given up, so it goes in five stages.
 *
 *  1. initial	Nothing inherited but standard descriptors, and of the
 *		capabilities only those a later stage uses.
 *
 *  2. user	Options are parsed and all files of the host's are open. Root of
 *		the initial user namespace becomes the ordinary user it is told.
 *		Capabilities survive that for a moment (PR_SET_KEEPCAPS): they
 *		allow to join a user namespace of somebody else and a network
 *		namespace without any user namespace. Then there are three ways:
 *		- join a user namespace: all capabilities in it, none outside;
 *		- create one: the same. pasta maps itself to 0 there, and so is
 *		  the command it runs in it; passt needs no identity at all;
 *		- stay (--netns-only, or the target is in the namespace we are
 *		  in): we need to have been privileged from the start.
 *		Root of another user namespace (podman, LXC) stays root: it is
 *		an ordinary user of the host already.
 *
 *  3. prefork	The namespace is opened, its devices are configured, sockets
 *		are bound. Mount, IPC, UTS namespaces of our own, and a PID
 *		namespace if in background: it takes effect with the fork, hence
 *		before it. The root becomes an empty read-only tmpfs. pivot_root(2)
 *		cannot leave an initramfs, nor a root somebody chose by chroot(2);
 *		there we move the tmpfs over the root and chroot(2) into it,
 *		which with the capability gone is as good.
 *		What remains is CAP_SYS_ADMIN and CAP_NET_BIND_SERVICE for
 *		netns_start(), and nothing at all for passt.
 *
 *  4. postfork	No core dumps, no ptrace, no new privileges, no capabilities:
 *		but CAP_NET_BIND_SERVICE, where ports are bound later (auto): in
 *		the thread that stays in the namespace pasta serves (netns.c),
 *		and in the main thread if it was given and means something,
 *		that is, without a user namespace of our own.
 *
 *  5. filter	All is set up, and nothing sent by a guest or a network was read
 *		so far: only some 30 system calls are allowed from here on, to
 *		all threads (seccomp.c).
 *
 * Changing to another user and joining a user namespace make the kernel treat
 * us as not dumpable, which hands /proc/self to root: the flag is set again
 * until stage 4, for maps and namespaces are found there.
 *
 * Source: namespaces(7), user_namespaces(7), capabilities(7), pivot_root(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "isolation.h"
#include "lib/caps.h"
#include "lib/fdio.h"
#include "lib/log.h"
#include "seccomp.h"

/* Inode of the initial user namespace: PROC_USER_INIT_INO, include/linux/
 * proc_ns.h, later NS_INITIAL in the user interface
 */
#define USERNS_INITIAL_INO 0xeffffffdU

/* close_range(2), flag of Linux 5.11 */
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/* Stage 1: what any later stage may need */
#define CAPS_INITIAL                                                \
	(CAPS_BIT(CAP_NET_BIND_SERVICE) | CAPS_BIT(CAP_NET_ADMIN) | \
	 CAPS_BIT(CAP_SYS_ADMIN) | CAPS_BIT(CAP_SYS_CHROOT) |       \
	 CAPS_BIT(CAP_SYS_PTRACE) | CAPS_BIT(CAP_SETUID) |          \
	 CAPS_BIT(CAP_SETGID) | CAPS_BIT(CAP_SETFCAP) |             \
	 CAPS_BIT(CAP_SETPCAP) | CAPS_BIT(CAP_DAC_OVERRIDE))

/* Stage 2, after the change of user: files are open, identity is chosen.
 * CAP_SETFCAP allows to map user 0 of a user namespace (Linux 5.12).
 */
#define CAPS_USER                                                       \
	(CAPS_INITIAL & ~(CAPS_BIT(CAP_SETUID) | CAPS_BIT(CAP_SETGID) | \
			  CAPS_BIT(CAP_DAC_OVERRIDE)))

/* Stage 3: for netns_start() */
#define CAPS_NETNS (CAPS_BIT(CAP_SYS_ADMIN) | CAPS_BIT(CAP_NET_BIND_SERVICE))

/* As they were when we were started, for a command we execute */
static struct {
	struct rlimit nofile;
	sigset_t mask;
	sigset_t ignored;
	bool set;
} inherited;

/* We are in the user namespace we were started in */
static bool stayed;

/* Close, or mark for closing on execution, descriptors @first to @last */
static void close_fds(unsigned first, unsigned last, unsigned flags)
{
	long max = sysconf(_SC_OPEN_MAX);
	unsigned fd;

	if (first > last)
		return;
#ifdef SYS_close_range
	if (!syscall(SYS_close_range, first, last, flags))
		return;
#endif
	/* Before Linux 5.9 and, for the flag, 5.11 */
	for (fd = first; fd <= last && fd < (unsigned long)max; fd++) {
		if (flags & CLOSE_RANGE_CLOEXEC)
			fcntl((int)fd, F_SETFD, FD_CLOEXEC);
		else
			close((int)fd);
	}
}

/* Whoever closed standard input of its child must not find it a socket */
static void open_std_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			fd = open("/", O_PATH | O_DIRECTORY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Close all descriptors from 3 on but @n kept ones */
static void close_others(const int *keep, unsigned n)
{
	unsigned first = STDERR_FILENO + 1, i;

	for (;;) {
		unsigned next = ~0U;

		/* the lowest one kept from @first on */
		for (i = 0; i < n; i++)
			if (keep[i] >= (int)first && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next == ~0U)
			break;
		close_fds(first, next - 1, 0);
		first = next + 1;
	}
	close_fds(first, ~0U, 0);
}

void isolation_initial(const int *keep, unsigned n)
{
	struct sigaction act;
	struct rlimit lim;
	sigset_t early;
	int sig;

	/* It asks for what can be told later, and must not end us before */
	sigemptyset(&early);
	sigaddset(&early, SIGUSR1);
	sigprocmask(SIG_BLOCK, &early, &inherited.mask);

	open_std_fds();
	close_others(keep, n);

	sigemptyset(&inherited.ignored);
	for (sig = 1; sig < NSIG; sig++) {
		if (!sigaction(sig, NULL, &act) && act.sa_handler == SIG_IGN)
			sigaddset(&inherited.ignored, sig);
	}
	act = (struct sigaction){ .sa_handler = SIG_IGN };
	sigaction(SIGPIPE, &act, NULL);
	/* Ignored, children are gone before anybody knows their status */
	act.sa_handler = SIG_DFL;
	sigaction(SIGCHLD, &act, NULL);

	if (!getrlimit(RLIMIT_NOFILE, &inherited.nofile)) {
		lim = inherited.nofile;
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
		inherited.set = true;
	}

	caps_limit(CAPS_INITIAL);
}

void isolation_undo(void)
{
	struct sigaction act = { .sa_handler = SIG_DFL };
	int sig;

	close_fds(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	if (!inherited.set)
		return;
	setrlimit(RLIMIT_NOFILE, &inherited.nofile);
	for (sig = 1; sig < NSIG; sig++) {
		bool ign = sigismember(&inherited.ignored, sig) == 1;

		act.sa_handler = ign ? SIG_IGN : SIG_DFL;
		sigaction(sig, &act, NULL);
	}
	sigprocmask(SIG_SETMASK, &inherited.mask, NULL);
}

void isolation_close(void)
{
	close_fds(STDERR_FILENO + 1, ~0U, 0);
}

bool isolation_initial_userns(void)
{
	struct stat st;

	/* No /proc: assume what gives up more */
	return stat("/proc/self/ns/user", &st) ||
	       st.st_ino == USERNS_INITIAL_INO;
}

/* Change to the user told, capabilities kept */
static int become(uid_t uid, gid_t gid)
{
	if (uid == geteuid() && uid == getuid() && gid == getegid() &&
	    gid == getgid())
		return 0;

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgroups(0, NULL) ||
	    setresgid(gid, gid, gid) || setresuid(uid, uid, uid)) {
		int rc = -errno;

		err("Cannot change to user %u, group %u: %s%s", (unsigned)uid,
		    (unsigned)gid, errstr(rc),
		    rc == -EPERM    ? ": --runas needs root"
		    : rc == -EINVAL ? ": not mapped in this user namespace"
				    : "");
		return rc;
	}
	prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	return caps_limit(CAPS_USER);
}

/* What forbids user namespaces, in words: an administrator can change it */
static const char *userns_hint(int rc)
{
	if (!read_file_uint("/proc/sys/user/max_user_namespaces", 0, 1))
		return ": sysctl user.max_user_namespaces is 0";
	if (!read_file_uint("/proc/sys/kernel/unprivileged_userns_clone", 0, 1))
		return ": sysctl kernel.unprivileged_userns_clone is 0";
	if (read_file_uint("/proc/sys/kernel/"
			   "apparmor_restrict_unprivileged_userns",
			   0, 0))
		return ": an AppArmor profile must allow it, see sysctl "
		       "kernel.apparmor_restrict_unprivileged_userns";
	if (rc == -ENOSPC || rc == -EUSERS)
		return ": too many, see sysctl user.max_user_namespaces";
	if (rc == -EPERM)
		return ": denied by a container's seccomp filter, a security "
		       "module, or chroot";
	if (rc == -EINVAL)
		return ": kernel without CONFIG_USER_NS?";
	return "";
}

/* Whoever we were is 0 in here */
static int map_to_root(uid_t uid, gid_t gid)
{
	char map[sizeof("0 4294967295 1\n")];
	const char *file = "/proc/self/setgroups";
	int rc;

	/* Absent before Linux 3.19, which needs it not */
	rc = write_file(file, "deny");
	if (!rc || rc == -ENOENT) {
		file = "/proc/self/uid_map";
		snprintf(map, sizeof(map), "0 %u 1\n", (unsigned)uid);
		rc = write_file(file, map);
	}
	if (!rc) {
		file = "/proc/self/gid_map";
		snprintf(map, sizeof(map), "0 %u 1\n", (unsigned)gid);
		rc = write_file(file, map);
	}
	if (rc)
		err("Cannot write %s: %s%s", file, errstr(rc), userns_hint(rc));
	return rc;
}

/* A user namespace of our own */
static int create_userns(bool map)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER)) {
		int rc = -errno;

		err("Cannot create a user namespace: %s%s", errstr(rc),
		    userns_hint(rc));
		return rc;
	}
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return map ? map_to_root(uid, gid) : 0;
}

/* The user namespace of the target */
static int join_userns(int fd)
{
	int rc = setns(fd, CLONE_NEWUSER) ? -errno : 0;

	close(fd);
	if (rc) {
		err("Cannot join the user namespace: %s%s", errstr(rc),
		    rc == -EPERM    ? ": it belongs to another user"
		    : rc == -EINVAL ? ": we are in it already, or it is none"
				    : "");
		return rc;
	}
	/* Capabilities are all we need there: as whom we are seen matters not */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return 0;
}

int isolation_user(const struct isolation_opts *o, int userns)
{
	int rc = 0;

	if (o->uid != (uid_t)-1)
		rc = become(o->uid, o->gid);
	if (rc)
		return rc;
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);

	if (userns >= 0)
		return join_userns(userns);
	if (userns == ISOLATION_USERNS_STAY || o->netns_only) {
		stayed = true;
		return 0;
	}
	return create_userns(o->pasta);
}

/* The present directory, a mount point, becomes the root, the old one goes.
 * @move: nobody else sees what is mounted over the root
 */
static int swap_root(bool fallback, bool move)
{
	int rc;

	if (!syscall(SYS_pivot_root, ".", ".")) {
		if (umount2(".", MNT_DETACH))
			return -errno;
		return chdir("/") ? -errno : 0;
	}
	rc = -errno;
	if (rc != -EINVAL && !fallback)
		return rc;

	/* The root is an initramfs, or not a mount point */
	debug("pivot_root: %s, using chroot instead", errstr(rc));
	if ((move && mount(".", "/", NULL, MS_MOVE, NULL)) || chroot(".") ||
	    chdir("/"))
		return -errno;
	return 0;
}

/* An empty read-only directory is all there is */
static int empty_root(bool fallback)
{
	/* Any directory will do, hidden by the mount until we are gone */
	static const char *const where[] = { "/proc", "/tmp", "/dev" };
	const unsigned long flags = MS_NODEV | MS_NOEXEC | MS_NOSUID |
				    MS_RDONLY;
	unsigned i, n = sizeof(where) / sizeof(where[0]);
	const char *step = "make mounts private";
	bool private = true, swapping = false;
	int rc = 0;

	if (mount("", "/", "", MS_PRIVATE | MS_REC, NULL)) {
		/* We were chroot()ed: only what is mounted below is ours */
		private = false;
		n = 1;
		if (errno != EINVAL ||
		    mount("", where[0], "", MS_PRIVATE | MS_REC, NULL)) {
			rc = -errno;
			goto out;
		}
	}

	step = "mount an empty file system";
	for (i = 0; i < n; i++) {
		if (!mount("tmpfs", where[i], "tmpfs", flags,
			   "nr_inodes=2,nr_blocks=1,mode=0555") &&
		    !chdir(where[i]))
			break;
		rc = -errno;
	}
	if (i == n)
		goto out;

	step = "change the root directory";
	swapping = true;
	rc = swap_root(fallback, private);
out:
	if (rc)
		err("Cannot isolate the process: %s: %s%s", step, errstr(rc),
		    swapping && !fallback ? " (see --chroot-fallback)" : "");
	return rc;
}

int isolation_prefork(const struct isolation_opts *o)
{
	int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
	uint64_t keep = o->pasta ? CAPS_NETNS : 0;
	int rc;

	if (!o->foreground)
		flags |= CLONE_NEWPID;
	if (unshare(flags)) {
		rc = -errno;
		err("Cannot isolate the process: new namespaces: %s%s",
		    errstr(rc), rc == -EPERM ? userns_hint(rc) : "");
		return rc;
	}

	rc = empty_root(o->chroot_fallback);
	if (rc)
		return rc;

	caps_limit_bounding(0);
	rc = caps_limit(keep);
	if (rc)
		err("Cannot drop capabilities: %s", errstr(rc));
	return rc;
}

void isolation_postfork(const struct isolation_opts *o)
{
	uint64_t keep = 0;
	int rc;

	/* What we have in a user namespace of our own is of no use outside */
	if (o->host_ports && stayed)
		keep = CAPS_BIT(CAP_NET_BIND_SERVICE);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || caps_limit(keep))
		die("Cannot give up privileges: %s", errstr(errno));

	/* While whoever started us hears of it */
	rc = seccomp_check();
	if (rc == -EOPNOTSUPP)
		warn("Built without a system call filter (SECCOMP=off)");
	else if (rc)
		die("Cannot filter system calls: kernel without "
		    "CONFIG_SECCOMP_FILTER, or before Linux 4.14? Building "
		    "with SECCOMP=off goes without");
}

void isolation_filter(const struct isolation_opts *o)
{
	int rc = seccomp_install(o->pasta);

	if (rc)
		die("Cannot filter system calls: %s", errstr(rc));
}
