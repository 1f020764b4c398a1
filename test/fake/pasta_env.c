/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pasta started in a process of its own, as one of several users, for tests */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest.h"
#include "isolation.h"
#include "lib/caps.h"
#include "lib/fdio.h"
#include "lib/log.h"
#include "netns.h"
#include "tap.h"
#include "test/fake/pasta_env.h"

#define USER   4711  /* ordinary, in no /etc/passwd */
#define NOBODY 65534 /* where root goes */

/* Objects of the main program */
static struct netns netns;
static struct loop loop;
static struct pasta pasta;
static int sigfd;
static char ifname[IFNAMSIZ];

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

void pasta_env_become(enum who who)
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

char pasta_env_out[8192];

/* fail_msg() would cut it */
void pasta_env_fail(void)
{
	fprintf(stderr, "%s\n", pasta_env_out);
	fail();
}

bool pasta_env_read(int fd, const char *until, int ms)
{
	size_t len = strlen(pasta_env_out);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	while (!until || !strstr(pasta_env_out, until)) {
		ssize_t n;

		if (poll(&pfd, 1, ms) <= 0)
			return false;
		n = read(fd, pasta_env_out + len,
			 sizeof(pasta_env_out) - 1 - len);
		if (n <= 0)
			return !until;
		len += (size_t)n;
		pasta_env_out[len] = '\0';
	}
	return true;
}

int pasta_env_setup(void **state)
{
	(void)state;
	if (geteuid()) {
		fprintf(stderr, "needs root\n");
		return -1;
	}
	return unshare(CLONE_NEWNS) ||
			       mount("", "/", "", MS_PRIVATE | MS_REC, NULL)
		       ? -1
		       : 0;
}

struct daemon pasta_env_start(const struct run *given)
{
	int out_pipe[2], ready_pipe[2];
	struct run r = *given;
	struct daemon d;

	pasta_env_out[0] = '\0';
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
		pasta_env_become(r.who);
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

void pasta_env_ready(const struct daemon *d)
{
	char c = 0;

	if (read(d->ready, &c, 1) != 1) {
		pasta_env_read(d->out, NULL, 1000);
		pasta_env_fail();
	}
}

int pasta_env_finish(struct daemon *d, int ms)
{
	struct pollfd pfd = { .fd = d->pidfd, .events = POLLIN };
	int status, rc = 0;

	if (poll(&pfd, 1, ms) <= 0) {
		kill(d->pid, SIGKILL);
		rc = -1;
	}
	assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
	pasta_env_read(d->out, NULL, 1000);
	close(d->out);
	close(d->ready);
	close(d->pidfd);
	if (!rc)
		rc = WIFEXITED(status) ? WEXITSTATUS(status)
				       : 128 + WTERMSIG(status);
	return rc;
}

int pasta_env_command(const struct run *r, const char *script)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
	struct run with = *r;
	struct daemon d;

	with.opts.spawn = true;
	with.opts.argv = argv;
	d = pasta_env_start(&with);
	return pasta_env_finish(&d, 20000);
}
