/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pasta, netns, isolation: whole start-ups in children, as several users
 *
 * Needs root. Each case is a process of its own with the main program's calls
 * in their order, in a network namespace and a mount namespace of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest.h"
#include "isolation.h"
#include "netns.h"
#include "pasta.h"
#include "tap.h"
#include "lib/caps.h"
#include "lib/fdio.h"
#include "lib/log.h"

#define USER    4711  /* ordinary, in no /etc/passwd */
#define NOBODY  65534 /* where root goes */
#define LATE_MS 1000  /* for what must take milliseconds, on a busy machine */

enum who { AS_USER, AS_ROOT, AS_USERNS_ROOT };
static const enum who everybody[] = { AS_USER, AS_ROOT, AS_USERNS_ROOT };
static const char *const who_text[] = { "user", "root", "userns-root" };

/* What is to be run, and what is told about it */
struct run {
	enum who who;
	struct pasta_opts opts;
	bool background, stay_root;
	bool chroot;   /* into a directory that is no mount point */
	bool template; /* make one and copy it */
	int ready;     /* written to when all is set up */
};

/* Objects of the main program */
static struct netns netns;
static struct loop loop;
static struct pasta pasta;
static int sigfd;
static char ifname[IFNAMSIZ];

/* Fail in a child: to standard error, and by status */
#define CHECK(cond)                                                    \
	do {                                                           \
		if (!(cond)) {                                         \
			dprintf(2, "%s:%i: %s (errno %i)\n", __FILE__, \
				__LINE__, #cond, errno);               \
			_exit(99);                                     \
		}                                                      \
	} while (0)

static void on_signal(void *ctx, union epoll_ref ref, uint32_t events)
{
	struct signalfd_siginfo si;

	(void)ctx, (void)ref, (void)events;
	while (read(sigfd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			pasta_sigchld(&pasta);
		else
			pasta_signal(&pasta, (int)si.ssi_signo,
				     si.ssi_code == SI_KERNEL);
	}
}

static void on_timer(void *ctx, struct wtimer *t)
{
	(void)ctx;
	pasta_timer(&pasta, t);
}

static void on_turn(void *ctx)
{
	(void)ctx;
	netns_refill(&netns);
}

static const struct loop_handler handlers[EPOLL_TYPES] = {
	[EPOLL_SIGNAL] = { "signal", on_signal, NULL },
	[EPOLL_NETNS] = { "netns", pasta_netns_event, &pasta },
};
static const struct loop_hooks hooks = { on_timer, on_turn, NULL };

/* The other end of a socket is in the namespace? Run there */
static int netns_inode(void *arg)
{
	struct stat *st = arg;

	return stat("/proc/thread-self/ns/net", st) ? -errno : 0;
}

/* A low port of the namespace's loopback. Run there */
static int bind_low(void *arg)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(80),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s < 0 || bind(s, (struct sockaddr *)&sin, sizeof(sin)) ||
	    listen(s, 1))
		return -errno;
	*(int *)arg = s;
	return 0;
}

/* What must be true of the process that stays */
static void check_isolated(int low)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t sl = sizeof(sin);
	int s, i;

	CHECK(!caps_get());
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(prctl(PR_CAPBSET_READ, CAP_NET_ADMIN, 0, 0, 0) == 0);
	CHECK(open("/proc/self/status", O_RDONLY) < 0 && errno == ENOENT);
	CHECK(open("/new", O_CREAT | O_WRONLY, 0600) < 0 &&
	      (errno == EROFS || errno == EACCES));
	CHECK(chdir("..") == 0 && open("etc", O_PATH) < 0);

	/* More sockets than the pool has, of the other namespace: they reach
	 * the low port bound there, which our own loopback has not
	 */
	CHECK(!getsockname(low, (struct sockaddr *)&sin, &sl));
	for (i = 0; i < NETNS_POOL + 8; i++) {
		s = netns_socket(&netns, AF_INET);
		CHECK(s >= 0);
		CHECK(fcntl(s, F_GETFL) & O_NONBLOCK);
		if (i >= NETNS_POOL)
			CHECK(!connect(s, (struct sockaddr *)&sin, sl) ||
			      errno == EINPROGRESS || errno == EAGAIN);
		close(s);
	}
	s = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(s, (struct sockaddr *)&sin, sl) < 0 &&
	      errno != EINPROGRESS);
	close(s);
	s = netns_socket(&netns, AF_INET6);
	CHECK(s >= 0 || !netns.ipv6);
	close(s);
}

/* Block what the loop is to hear of */
static void open_signals(void)
{
	union epoll_ref ref = { .type = EPOLL_SIGNAL };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigfd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	CHECK(sigfd >= 0 && !loop_add(&loop, sigfd, EPOLLIN, ref));
}

/* Addresses nobody has; no template */
static void fill_guest(struct guest *g)
{
	g->v4.on = g->v6.on = true;
	CHECK(!inany_pton("192.0.2.15", &g->v4.addr));
	CHECK(!inany_pton("192.0.2.2", &g->v4.gw));
	g->v4.prefix_len = 24;
	CHECK(!inany_pton("2001:db8::15", &g->v6.addr));
	CHECK(!inany_pton("fe80::2", &g->v6.gw));
	g->v6.prefix_len = 64;
}

/* The main program. Return: exit status */
static int daemon_main(const struct run *r)
{
	struct isolation_opts iso = {
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.pasta = true,
		.foreground = !r->background,
		.netns_only = r->opts.netns_only,
	};
	int low = -1, tun;
	struct guest guest;
	struct stat st;
	bool vnet;

	memset(&guest, 0, sizeof(guest));
	fill_guest(&guest);
	if (r->who == AS_ROOT && !r->stay_root)
		iso.uid = iso.gid = NOBODY;
	CHECK(!loop_init(&loop, handlers, &hooks));
	open_signals();

	pasta.opts = &r->opts;
	pasta.loop = &loop;
	pasta.netns = &netns;
	if (pasta_target(&pasta) || isolation_user(&iso, pasta.userns) ||
	    pasta_open(&pasta))
		return 1;
	tun = pasta_tap(&pasta, ifname, &vnet);
	if (tun < 0 || pasta_configure(&pasta, &guest, ifname))
		return 1;
	CHECK(!netns_call(&netns, bind_low, &low));
	if (isolation_prefork(&iso))
		return 1;
	if (r->background) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid) {
			int status;

			CHECK(waitpid(pid, &status, 0) == pid);
			return WIFEXITED(status) ? WEXITSTATUS(status)
						 : 128 + WTERMSIG(status);
		}
		CHECK(getpid() == 1);
	}
	if (netns_start(&netns))
		return 1;
	isolation_postfork(&iso);
	CHECK(netns_call(&netns, netns_inode, &st) == -ENOENT); /* no /proc */
	check_isolated(low);

	CHECK(!pasta_watch(&pasta));
	pasta_go(&pasta);
	CHECK(write(r->ready, "r", 1) == 1);
	return loop_run(&loop);
}

/* Run ip(8) to success */
static void ip(const char *args)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "ip %s", args);
	CHECK(!system(cmd));
}

/* A host with an interface to copy. Return: its index */
static unsigned make_template(void)
{
	ip("link set lo up");
	ip("link add host0 type veth peer name far0");
	ip("link set far0 up");
	ip("link set host0 up");
	ip("addr add 192.0.2.77/24 dev host0");
	ip("addr add 203.0.113.7/28 dev host0");
	ip("addr add 2001:db8:1::77/64 dev host0 nodad");
	ip("route add default via 192.0.2.2 dev host0 metric 100");
	ip("route add 198.51.100.0/24 via 192.0.2.9 dev host0");
	ip("route add default via fe80::2 dev host0");
	ip("route add 2001:db8:2::/64 via 2001:db8:1::9 dev host0");
	return if_nametoindex("host0");
}

/* A root directory with all that is needed, but no mount point */
static void enter_chroot(void)
{
	static const char *const dirs[] = { "bin", "sbin", "lib", "lib64",
					    "usr", "proc", "dev", "tmp" };
	char from[64], to[64];
	unsigned i;

	CHECK(!unshare(CLONE_NEWNS));
	CHECK(!mount("tmpfs", "/mnt", "tmpfs", 0, NULL));
	CHECK(!mkdir("/mnt/root", 0755));
	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(from, sizeof(from), "/%s", dirs[i]);
		snprintf(to, sizeof(to), "/mnt/root/%s", dirs[i]);
		CHECK(!mkdir(to, 0755));
		CHECK(!mount(from, to, "", MS_BIND | MS_REC, NULL) ||
		      errno == ENOENT);
	}
	CHECK(!chroot("/mnt/root") && !chdir("/"));
}

/* Become one of the users */
static void become(enum who who)
{
	char map[64];

	if (who == AS_ROOT)
		return;
	CHECK(!setgroups(0, NULL) && !setresgid(USER, USER, USER) &&
	      !setresuid(USER, USER, USER));
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (who == AS_USER)
		return;
	CHECK(!unshare(CLONE_NEWUSER));
	CHECK(!write_file("/proc/self/setgroups", "deny"));
	snprintf(map, sizeof(map), "0 %i 1", USER);
	CHECK(!write_file("/proc/self/uid_map", map));
	CHECK(!write_file("/proc/self/gid_map", map));
}

/* Where standard output and error of the processes below go */
static char out[8192];

/* What was printed is what went wrong; fail_msg() would cut it */
static void fail_out(void)
{
	fprintf(stderr, "%s\n", out);
	fail();
}

/* Read from @fd until @until appears, or the end. Return: it appeared */
static bool read_until(int fd, const char *until, int ms)
{
	size_t len = strlen(out);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	while (!until || !strstr(out, until)) {
		ssize_t n;

		if (poll(&pfd, 1, ms) <= 0)
			return false;
		n = read(fd, out + len, sizeof(out) - 1 - len);
		if (n <= 0)
			return !until;
		len += (size_t)n;
		out[len] = '\0';
	}
	return true;
}

/* One daemon under test */
struct daemon {
	pid_t pid;
	int pidfd, ready, out;
};

/* Start it, as somebody, in a network namespace of its own */
static struct daemon start(const struct run *given)
{
	int out_pipe[2], ready_pipe[2];
	struct run r = *given;
	struct daemon d;

	out[0] = '\0';
	assert_int_equal(pipe2(out_pipe, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready_pipe, O_CLOEXEC), 0);
	snprintf(r.opts.ifname, sizeof(r.opts.ifname), "eth0");
	r.opts.mtu = 65520;
	d.pid = fork();
	assert_true(d.pid >= 0);
	if (!d.pid) {
		CHECK(!unshare(CLONE_NEWNET));
		CHECK(dup2(out_pipe[1], 1) == 1 && dup2(out_pipe[1], 2) == 2);
		r.ready = ready_pipe[1];
		if (r.template)
			r.opts.ifi4 = r.opts.ifi6 = make_template();
		if (r.chroot)
			enter_chroot();
		become(r.who);
		isolation_initial(&r.ready, 1);
		log_level(LOG_INFO);
		fcntl(r.ready, F_SETFD, FD_CLOEXEC);
		_exit(daemon_main(&r));
	}
	d.pidfd = (int)syscall(SYS_pidfd_open, d.pid, 0);
	close(out_pipe[1]);
	close(ready_pipe[1]);
	d.out = out_pipe[0];
	d.ready = ready_pipe[0];
	return d;
}

/* Wait until all is set up */
static void wait_ready(const struct daemon *d)
{
	char c = 0;

	if (read(d->ready, &c, 1) != 1) {
		read_until(d->out, NULL, 1000);
		fail_out();
	}
}

/* Wait for the end, at most @ms. Return: status, -1: still there, killed */
static int finish(struct daemon *d, int ms)
{
	struct pollfd pfd = { .fd = d->pidfd, .events = POLLIN };
	int status, rc = 0;

	if (poll(&pfd, 1, ms) <= 0) {
		kill(d->pid, SIGKILL);
		rc = -1;
	}
	assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
	read_until(d->out, NULL, 1000);
	close(d->out);
	close(d->ready);
	close(d->pidfd);
	if (!rc)
		rc = WIFEXITED(status) ? WEXITSTATUS(status)
				       : 128 + WTERMSIG(status);
	return rc;
}

/* Run a command by a shell in new namespaces, to its end. Return: status */
static int run_command(const struct run *r, const char *script)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
	struct run with = *r;
	struct daemon d;

	with.opts.spawn = true;
	with.opts.argv = argv;
	d = start(&with);
	return finish(&d, 20000);
}

/* Everybody's command: identity, namespaces, network, and its exit status */
static void test_command(void **state)
{
	static const char script[] =
		"echo uid $(id -u) pid $$ name $(hostname);"
		"ip -o addr show tentative;"
		"ip -o addr; ip route; ip -6 route; ip link show eth0;"
		"echo ping $(cat /proc/sys/net/ipv4/ping_group_range);"
		"echo nofile $(ulimit -n);"
		"ping -n -c 1 -W 1 127.0.0.1;"
		"ls /proc/self/fd | wc -l; exit 7";
	struct rlimit lim;
	char want[64];
	unsigned i;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
	lim.rlim_cur = 300;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
	for (i = 0; i < sizeof(everybody) / sizeof(everybody[0]); i++) {
		struct run r = {
			.who = everybody[i],
			.opts = { .config_net = true, .hostname = "inner" },
		};

		print_message("as %s\n", who_text[i]);
		if (run_command(&r, script) != 7)
			fail_out();
		if (!strstr(out, "uid 0 pid 2 name inner\n") ||
		    !strstr(out, "inet 192.0.2.15/24") ||
		    !strstr(out, "inet6 2001:db8::15/64") ||
		    !strstr(out, "inet6 fe80::") || strstr(out, "tentative") ||
		    !strstr(out, "default via 192.0.2.2 dev eth0") ||
		    !strstr(out, "default via fe80::2 dev eth0") ||
		    !strstr(out, "mtu 65520") || strstr(out, "NOARP") ||
		    !strstr(out, "qlen 10000") ||
		    !strstr(out, "nofile 300\n") ||
		    !strstr(out, "ping 0 0\n") || !strstr(out, " 0% packet"))
			fail_out();
		/* 0 to 2 and that of the directory */
		snprintf(want, sizeof(want), "\n4\n");
		if (!strstr(out, want))
			fail_out();
	}
}

/* How a command ends is how we end */
static void test_status(void **state)
{
	struct run r = { .who = AS_USER };
	char *missing[] = { (char *)"/does/not/exist", NULL };
	char *noexec[] = { (char *)"/dev/null", NULL };
	struct daemon d;

	(void)state;
	assert_int_equal(run_command(&r, "exit 0"), 0);
	assert_int_equal(run_command(&r, "exit 255"), 255);
	assert_int_equal(run_command(&r, "kill -USR1 $$"), 128 + SIGUSR1);
	/* Not process 1, which would not be killed, nor mother of orphans */
	assert_int_equal(run_command(&r, "sh -c 'sleep 0.05 &';sleep 0.2;"
					 "! grep -ql Z.*zombie /proc/*/status"),
			 0);
	/* Nobody inside looks into the process that is a copy of us */
	assert_int_equal(run_command(&r, "head -c 1 /proc/1/environ"), 1);
	r.opts.no_pidns = true;
	assert_int_equal(run_command(&r, "kill -USR1 $$"), 128 + SIGUSR1);
	assert_int_equal(run_command(&r, "test $$ -gt 1"), 0);
	r.opts.no_pidns = false;

	r.opts.spawn = true;
	r.opts.argv = missing;
	d = start(&r);
	assert_int_equal(finish(&d, 5000), 127);
	assert_non_null(strstr(out, "cannot execute /does/not/exist: No such"));
	r.opts.argv = noexec;
	d = start(&r);
	assert_int_equal(finish(&d, 5000), 126);
	assert_non_null(strstr(out, "Permission denied"));
}

/* No command: a shell as if logged in */
static void test_shell(void **state)
{
	char path[] = "/tmp/test-pasta-XXXXXX";
	struct run r = { .who = AS_USER, .opts = { .spawn = true } };
	const char text[] = "#!/bin/sh\necho shell $0; exit 23\n";
	int fd = mkstemp(path);
	struct daemon d;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
	assert_int_equal(fchmod(fd, 0755), 0);
	close(fd);
	setenv("SHELL", path, 1);
	d = start(&r);
	assert_int_equal(finish(&d, 5000), 23);
	assert_non_null(strstr(out, "shell /tmp/test-pasta-"));
	unlink(path);
	unsetenv("SHELL");
}

/* Start a command that says when it runs */
static struct daemon start_script(bool no_pidns, const char *script)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
	struct run r = {
		.who = AS_USER,
		.opts = { .spawn = true, .argv = argv, .no_pidns = no_pidns },
	};
	struct daemon d = start(&r);

	wait_ready(&d);
	assert_true(read_until(d.out, "running", 5000));
	return d;
}

/* SIGTERM ends us with 0, and the command whether it listens or not */
static void test_term(void **state)
{
	static const char *const scripts[] = {
		"echo running; sleep 60",
		"trap '' TERM; echo running; while :; do sleep 0.1; done",
		"trap 'echo got it; exit 3' TERM; echo running; sleep 60 & wait",
	};
	struct daemon d;
	unsigned i;

	(void)state;
	for (i = 0; i < 6; i++) {
		d = start_script(i >= 3, scripts[i % 3]);
		kill(d.pid, i & 1 ? SIGQUIT : SIGTERM);
		assert_int_equal(finish(&d, 5000), 0);
		assert_int_equal(!!strstr(out, "got it"), i % 3 == 2);
	}
}

/* We are killed while the command waits for pasta_go(): it ends, too */
static void test_killed_early(void **state)
{
	struct pollfd pfd = { .events = POLLIN };
	struct run r = { .opts = { .spawn = true } };
	int p[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		struct isolation_opts iso = { .uid = (uid_t)-1, .pasta = true };

		become(AS_USER);
		isolation_initial(&p[1], 1);
		pasta.opts = &r.opts;
		pasta.netns = &netns;
		CHECK(!pasta_target(&pasta));
		CHECK(!isolation_user(&iso, pasta.userns));
		CHECK(!pasta_open(&pasta));
		CHECK(write(p[1], "x", 1) == 1);
		pause();
	}
	close(p[1]);
	pfd.fd = p[0];
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(read(p[0], &r, 1), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* The child has the pipe, too: its end is the end of the child */
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(read(p[0], &r, 1), 0);
	close(p[0]);
}

/* A process in namespaces of its own to be joined */
struct target {
	pid_t pid;
	int stdin_fd;
};

static struct target start_target(enum who who, bool userns)
{
	int in[2], ready[2];
	struct target t;
	char c;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	t.pid = fork();
	if (!t.pid) {
		close(in[1]);
		become(who);
		if (userns)
			CHECK(!unshare(CLONE_NEWUSER));
		CHECK(!unshare(CLONE_NEWNET));
		CHECK(write(ready[1], "r", 1) == 1);
		_exit(read(in[0], &c, 1) > 0);
	}
	close(in[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	t.stdin_fd = in[1];
	return t;
}

/* Milliseconds */
static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A process is joined by PID or by paths, and its end is ours, at once */
static void test_process(void **state)
{
	static const struct {
		enum who target, who;
		bool userns, by_path, userns_path, background;
	} cases[] = {
		{ AS_USER, AS_USER, true, false, false, false },
		{ AS_USER, AS_USER, true, false, false, true },
		{ AS_USER, AS_USER, true, true, true, true },
		{ AS_USER, AS_USER, true, true, false, false },
		{ AS_USER, AS_ROOT, true, false, false, true },
		{ AS_USER, AS_ROOT, true, true, true, false },
		{ AS_ROOT, AS_ROOT, false, false, false, true },
		{ AS_ROOT, AS_ROOT, true, false, false, false },
		{ AS_ROOT, AS_ROOT, false, true, false, false },
	};
	char net[64], user[64];
	unsigned i;
	long begin;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct target t = start_target(cases[i].target,
					       cases[i].userns);
		struct run r = {
			.who = cases[i].who,
			.background = cases[i].background,
			.opts.config_net = true,
		};
		struct daemon d;

		print_message("case %u\n", i);
		snprintf(net, sizeof(net), "/proc/%i/ns/net", (int)t.pid);
		snprintf(user, sizeof(user), "/proc/%i/ns/user", (int)t.pid);
		if (cases[i].by_path)
			r.opts.netns = net;
		else
			r.opts.pid = t.pid;
		if (cases[i].userns_path)
			r.opts.userns = user;
		d = start(&r);
		wait_ready(&d);
		begin = now_ms();
		close(t.stdin_fd);
		waitpid(t.pid, NULL, 0);
		assert_int_equal(finish(&d, LATE_MS), 0);
		print_message("  gone after %li ms\n", now_ms() - begin);
	}
}

/* A network namespace bound to a file. @path is made */
static void bind_netns(const char *path, enum who owner)
{
	struct target t = start_target(owner, owner == AS_USER);
	char src[64];

	snprintf(src, sizeof(src), "/proc/%i/ns/net", (int)t.pid);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(mount(src, path, "", MS_BIND, NULL), 0);
	close(t.stdin_fd);
	waitpid(t.pid, NULL, 0);
}

/* How a name goes away */
enum removal { REMOVE_BOTH, REMOVE_UMOUNT, REMOVE_NOT };

static void test_path(void **state)
{
	static const struct {
		enum removal how;
		bool secret; /* not for nobody to see */
		int want;
	} cases[] = {
		{ REMOVE_BOTH, false, 0 }, { REMOVE_UMOUNT, false, 0 },
		{ REMOVE_BOTH, true, 0 },  { REMOVE_UMOUNT, true, 0 },
		{ REMOVE_NOT, false, -1 }, { REMOVE_NOT, true, -1 },
	};
	const char *dir = "/tmp/test-pasta-ns", *path = "/tmp/test-pasta-ns/x";
	unsigned i;
	long begin;

	(void)state;
	mkdir(dir, 0755);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct run r = { .who = AS_ROOT, .opts.netns = path };
		struct daemon d;

		print_message("case %u\n", i);
		chmod(dir, cases[i].secret ? 0700 : 0755);
		bind_netns(path, AS_ROOT);
		d = start(&r);
		wait_ready(&d);
		/* Changes elsewhere are not the end */
		assert_int_equal(mount("tmpfs", "/mnt", "tmpfs", 0, NULL), 0);
		assert_int_equal(umount("/mnt"), 0);
		close(open("/tmp/test-pasta-ns/y",
			   O_CREAT | O_RDONLY | O_CLOEXEC, 0600));
		unlink("/tmp/test-pasta-ns/y");
		{
			struct pollfd pfd = { .fd = d.pidfd, .events = POLLIN };

			assert_int_equal(poll(&pfd, 1, 50), 0);
		}
		begin = now_ms();
		if (cases[i].how != REMOVE_NOT)
			assert_int_equal(umount2(path, MNT_DETACH), 0);
		if (cases[i].how == REMOVE_BOTH)
			assert_int_equal(unlink(path), 0);
		assert_int_equal(finish(&d, cases[i].want ? 300 : LATE_MS),
				 cases[i].want);
		print_message("  %li ms\n", now_ms() - begin);
		umount2(path, MNT_DETACH);
		unlink(path);
	}
	rmdir(dir);
}

/* --no-netns-quit */
static void test_no_quit(void **state)
{
	struct target t = start_target(AS_USER, true);
	struct run r = {
		.who = AS_USER,
		.opts = { .pid = t.pid, .no_netns_quit = true },
	};
	struct daemon d = start(&r);

	(void)state;
	wait_ready(&d);
	close(t.stdin_fd);
	waitpid(t.pid, NULL, 0);
	{
		struct pollfd pfd = { .fd = d.pidfd, .events = POLLIN };

		assert_int_equal(poll(&pfd, 1, 300), 0);
	}
	kill(d.pid, SIGTERM);
	assert_int_equal(finish(&d, LATE_MS), 0);
}

/* As podman does: root of a user and mount namespace, --netns PATH there.
 * Return: 0 if all went well
 */
static int podman(bool no_inotify)
{
	const char *limit = "/proc/sys/user/max_inotify_instances";
	struct run r = {
		.who = AS_ROOT,
		.stay_root = true,
		.background = true,
		.opts = { .netns_only = true,
			  .config_net = true,
			  .netns = "/mnt/ns" },
	};
	struct daemon d;
	int status;

	become(AS_USERNS_ROOT);
	CHECK(!unshare(CLONE_NEWNS));
	CHECK(!mount("", "/", "", MS_PRIVATE | MS_REC, NULL));
	CHECK(!mount("tmpfs", "/mnt", "tmpfs", 0, NULL));
	bind_netns("/mnt/ns", AS_ROOT);
	/* The limit of our user namespace, not that of the machine */
	CHECK(!no_inotify || !write_file(limit, "0"));
	d = start(&r);
	wait_ready(&d);
	CHECK(!umount2("/mnt/ns", MNT_DETACH) && !unlink("/mnt/ns"));
	status = finish(&d, LATE_MS);
	if (status)
		dprintf(2, "status %i: %s", status, out);
	return status;
}

static void test_podman(void **state)
{
	int status, i;

	(void)state;
	for (i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(podman(i));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

/* From a root directory pivot_root(2) cannot leave */
static void test_chroot(void **state)
{
	struct run r = {
		.who = AS_ROOT,
		.stay_root = true,
		.chroot = true,
		.opts.netns_only = true,
	};

	(void)state;
	if (run_command(&r, "exit 5") != 5)
		fail_out();
}

/* Addresses and routes are those of the template, unless told otherwise */
static void test_template(void **state)
{
	static const char script[] = "ip -o addr; ip route; ip -6 route;"
				     "ip -o addr show tentative";
	static const char *const copied[] = {
		"inet 192.0.2.77/24",
		"inet 203.0.113.7/28",
		"inet6 2001:db8:1::77/64",
		"default via 192.0.2.2 dev eth0",
		"198.51.100.0/24 via 192.0.2.9 dev eth0",
		"2001:db8:2::/64 via 2001:db8:1::9 dev eth0",
		"default via fe80::2 dev eth0",
	};
	static const char *const own[] = {
		"inet 192.0.2.15/24",
		"inet6 2001:db8::15/64",
		"default via 192.0.2.2 dev eth0",
		"default via fe80::2 dev eth0",
	};
	struct run r = {
		.who = AS_USER,
		.template = true,
		.opts = { .config_net = true,
			  .ns_mac = { 0x02, 0, 0, 0, 0, 0x33 } },
	};
	unsigned i;

	(void)state;
	if (run_command(&r, script))
		fail_out();
	for (i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
		if (!strstr(out, copied[i]))
			fail_out();
	}
	if (strstr(out, "192.0.2.15") || strstr(out, "tentative") ||
	    !strstr(out, "inet6 fe80::ff:fe00:33/64"))
		fail_out();

	r.opts.no_copy_addrs = r.opts.no_copy_routes = true;
	if (run_command(&r, script))
		fail_out();
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (!strstr(out, own[i]))
			fail_out();
	}
	if (strstr(out, "198.51.100.0/24") || strstr(out, "192.0.2.77"))
		fail_out();
}

/* Without --config-net: only the loopback interface is up */
static void test_unconfigured(void **state)
{
	struct run r = { .who = AS_USER };

	(void)state;
	if (run_command(&r, "ip -o addr; ip -o link") ||
	    !strstr(out, "127.0.0.1/8") || strstr(out, "eth0    inet") ||
	    !strstr(out, "eth0: <BROADCAST,MULTICAST>"))
		fail_out();
}

/* Messages say what was tried on what */
static void test_errors(void **state)
{
	static const struct {
		enum who who;
		struct pasta_opts opts;
		const char *want;
	} cases[] = {
		{ AS_USER,
		  { .pid = INT_MAX },
		  "No process with PID 2147483647" },
		{ AS_USER, { .pid = 1 }, "/proc/1/ns/net: Permission denied" },
		{ AS_USER,
		  { .netns = "no-such-name" },
		  "/run/netns/no-such-name: No such file" },
		{ AS_USER, { .netns = "/etc/passwd" }, "not a namespace" },
		{ AS_USER,
		  { .netns = "/proc/self/ns/user" },
		  "not a namespace" },
		{ AS_USER,
		  { .netns = "/proc/self/ns/net" },
		  "Operation not permitted" },
		{ AS_USER,
		  { .netns = "/proc/self/ns/net", .userns = "/nonexistent" },
		  "/nonexistent" },
		{ AS_USER, { .spawn = true, .netns_only = true }, "root" },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct run r = { .who = cases[i].who, .opts = cases[i].opts };
		struct daemon d = start(&r);

		assert_int_equal(finish(&d, 5000), 1);
		if (!strstr(out, cases[i].want))
			fail_out();
	}
}

/* User namespaces forbidden: which sysctl */
static void test_forbidden(void **state)
{
	const char *file = "/proc/sys/user/max_user_namespaces";
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid) {
		struct isolation_opts iso = { .uid = (uid_t)-1, .pasta = true };
		int p[2], rc;

		/* The limit of a user namespace is its own affair */
		become(AS_USERNS_ROOT);
		CHECK(!write_file(file, "0"));
		CHECK(!pipe2(p, O_CLOEXEC) && dup2(p[1], 2) == 2);
		rc = isolation_user(&iso, ISOLATION_USERNS_OWN);
		close(p[1]);
		close(2);
		out[0] = '\0';
		read_until(p[0], NULL, 1000);
		_exit(rc == -ENOSPC && strstr(out,
					      "user.max_user_namespaces is 0")
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_shell),
		cmocka_unit_test(test_term),
		cmocka_unit_test(test_killed_early),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_no_quit),
		cmocka_unit_test(test_podman),
		cmocka_unit_test(test_chroot),
		cmocka_unit_test(test_template),
		cmocka_unit_test(test_unconfigured),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_forbidden),
	};

	if (geteuid()) {
		fprintf(stderr, "needs root\n");
		return 1;
	}
	/* What is mounted here stays here */
	if (unshare(CLONE_NEWNS) ||
	    mount("", "/", "", MS_PRIVATE | MS_REC, NULL))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
