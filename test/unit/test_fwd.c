/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listeners of rules: what is bound, what fails and how that is told */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fwd.h"

#include <errno.h>
#include <linux/capability.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fwd/listen.h"
#include "fwd/report.h"
#include "guest.h"
#include "lib/log.h"
#include "netns.h"

static struct fwd_opts opts;
static struct guest guest;
static struct netns netns;
static struct loop loop;
static struct fwd fwd;

/* Overridden where the real thing is linked in */
__attribute__((weak)) int netns_call(struct netns *ns, int (*fn)(void *arg),
				     void *arg)
{
	(void)ns;
	return fn(arg);
}

/* Before Linux 5.7, only root binds to an interface */
static bool old_kernel;

int setsockopt(int fd, int level, int opt, const void *val, socklen_t len)
{
	if (old_kernel && level == SOL_SOCKET && opt == SO_BINDTODEVICE) {
		errno = EPERM;
		return -1;
	}
	return (int)syscall(SYS_setsockopt, fd, level, opt, val, len);
}

static union inany_addr addr(const char *text)
{
	union inany_addr a;

	assert_int_equal(inany_pton(text, &a), 0);
	return a;
}

static struct fwd_rule *add(struct fwd_rules *rules, const char *on,
			    uint8_t proto, in_port_t first, in_port_t last)
{
	struct fwd_rule *r = &rules->rule[rules->n++];

	*r = (struct fwd_rule){ .proto = proto,
				.first = first,
				.last = last,
				.to = first,
				.dual = !on,
				.addr = on ? addr(on) : inany_any6,
				.pif = rules == &opts.host ? PIF_HOST
							   : PIF_SPLICE };
	return r;
}

/* A client's or another program's socket */
static int plain(const char *on, int type, in_port_t port)
{
	const union inany_addr a = addr(on);
	const struct sock_spec s = {
		.af = inany_af(&a), .type = type, .bind = &a, .port = port
	};
	int fd = sock_open(&s);

	assert_true(fd >= 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* Does somebody answer there? 0, or the errno value */
static int dial(const char *to, in_port_t port)
{
	const union inany_addr a = addr(to);
	union sockaddr_any sa;
	socklen_t len = sockaddr_from_inany(&sa, &a, port, 0);
	int fd = socket(sa.sa.sa_family, SOCK_STREAM, 0), rc;

	rc = connect(fd, &sa.sa, len) ? errno : 0;
	close(fd);
	return rc;
}

/* What goes to stderr in between: begin returns what end takes */
struct capture {
	int p[2], err;
};

static struct capture capture_begin(void)
{
	struct capture c = { .err = dup(2) };

	assert_int_equal(pipe(c.p), 0);
	dup2(c.p[1], 2);
	return c;
}

static void capture_end(struct capture *c, char *text, size_t len)
{
	ssize_t n;

	dup2(c->err, 2);
	close(c->err);
	close(c->p[1]);
	n = read(c->p[0], text, len - 1);
	text[n > 0 ? n : 0] = 0;
	close(c->p[0]);
}

/* fwd_listen() with stderr in @text */
static int listen_text(char *text, size_t len)
{
	struct capture c = capture_begin();
	int rc = fwd_listen(&fwd, PIF_HOST);

	capture_end(&c, text, len);
	return rc;
}

static void test_tcp(void **state)
{
	struct epoll_event ev;
	int one = 0;
	socklen_t len = sizeof(one);

	(void)state;
	add(&opts.host, NULL, IPPROTO_TCP, 8080, 8081);
	add(&opts.host, "192.0.2.1", IPPROTO_TCP, 8082, 8082);
	add(&opts.host, "::", IPPROTO_TCP, 8083, 8083);
	add(&opts.host, "0.0.0.0", IPPROTO_TCP, 8084, 8084)->scan = true;
	assert_int_equal(fwd_listen(&fwd, PIF_HOST), 0);
	assert_int_equal(fwd.nlisteners, 4);
	assert_int_equal(fwd.listener[1].port, 8081);
	assert_ptr_equal(fwd.listener[1].rule, &opts.host.rule[0]);
	getsockopt(fwd.listener[0].fd, IPPROTO_TCP, TCP_NODELAY, &one, &len);
	assert_int_equal(one, 1);

	assert_int_equal(dial("127.0.0.1", 8080), 0);
	assert_int_equal(dial("192.0.2.1", 8080), 0);
	assert_int_equal(dial("::1", 8081), 0);
	assert_int_equal(dial("127.0.0.1", 8082), ECONNREFUSED);
	assert_int_equal(dial("::1", 8083), 0);
	assert_int_equal(dial("127.0.0.1", 8083), ECONNREFUSED);
	assert_int_equal(dial("127.0.0.1", 8084), ECONNREFUSED);
	assert_int_equal(dial("192.0.2.1", 8082), 0);
	assert_int_equal(epoll_wait(loop.epfd, &ev, 1, 0), 1);

	fwd_close(&fwd);
	assert_int_equal(dial("127.0.0.1", 8080), ECONNREFUSED);
	assert_int_equal(epoll_wait(loop.epfd, &ev, 1, 0), 0);
}

/* The reference tells which listener */
static void test_reference(void **state)
{
	union epoll_ref ref;
	struct epoll_event ev;

	(void)state;
	add(&opts.host, NULL, IPPROTO_TCP, 8080, 8083);
	assert_int_equal(fwd_listen(&fwd, PIF_HOST), 0);
	assert_int_equal(dial("127.0.0.1", 8082), 0);
	assert_int_equal(epoll_wait(loop.epfd, &ev, 1, 0), 1);
	ref.u64 = ev.data.u64;
	assert_int_equal(ref.type, EPOLL_TCP_LISTEN);
	assert_int_equal(fwd.listener[ref.id].port, 8082);
}

/* Only families the guest has */
static void test_families(void **state)
{
	(void)state;
	guest.v6.on = false;
	add(&opts.host, NULL, IPPROTO_TCP, 8080, 8080);
	assert_int_equal(fwd_listen(&fwd, PIF_HOST), 0);
	assert_int_equal(dial("127.0.0.1", 8080), 0);
	assert_int_equal(dial("::1", 8080), ECONNREFUSED);
	fwd_close(&fwd);

	guest.v4.on = false;
	guest.v6.on = true;
	assert_int_equal(fwd_listen(&fwd, PIF_HOST), 0);
	assert_int_equal(dial("127.0.0.1", 8080), ECONNREFUSED);
	assert_int_equal(dial("::1", 8080), 0);
}

/* In the namespace: its loopback only, both families */
static void test_splice(void **state)
{
	(void)state;
	fwd.netns = &netns;
	add(&opts.splice, NULL, IPPROTO_TCP, 8080, 8080);
	assert_int_equal(fwd_listen(&fwd, PIF_SPLICE), 0);
	assert_int_equal(dial("127.0.0.1", 8080), 0);
	assert_int_equal(dial("127.9.9.9", 8080), 0);
	assert_int_equal(dial("::1", 8080), 0);
	assert_int_equal(fwd.listener[0].rule->pif, PIF_SPLICE);
	fwd_close(&fwd);

	/* Each pif has rules of its own */
	assert_int_equal(fwd_listen(&fwd, PIF_HOST), 0);
	assert_int_equal(fwd.nlisteners, 0);
}

/* The same by the addresses, if binding to an interface is not permitted */
static void test_splice_old(void **state)
{
	const struct fwd_rule *r;
	char text[1024];
	int fd;

	(void)state;
	old_kernel = true;
	fwd.netns = &netns;
	r = add(&opts.splice, NULL, IPPROTO_TCP, 8080, 8080);
	assert_int_equal(fwd_listen(&fwd, PIF_SPLICE), 0);
	assert_int_equal(fwd.nlisteners, 2);
	assert_int_equal(dial("127.0.0.1", 8080), 0);
	assert_int_equal(dial("::1", 8080), 0);
	assert_int_equal(dial("192.0.2.1", 8080), ECONNREFUSED);
	assert_int_equal(fwd_listener_close(&fwd, r, 8080), 2);

	/* One of both is not enough */
	fd = plain("::1", SOCK_STREAM, 8080);
	assert_int_equal(fwd_listener_open(&fwd, r, 8080), -EADDRINUSE);
	assert_int_equal(dial("127.0.0.1", 8080), ECONNREFUSED);
	close(fd);
	fd = plain("127.0.0.1", SOCK_STREAM, 8080);
	assert_int_equal(fwd_listener_open(&fwd, r, 8080), -EADDRINUSE);
	assert_int_equal(dial("::1", 8080), ECONNREFUSED);
	close(fd);

	/* By its name there is nothing else to do */
	snprintf(add(&opts.host, NULL, IPPROTO_TCP, 8081, 8081)->ifname,
		 IFNAMSIZ, "lo");
	assert_int_equal(listen_text(text, sizeof(text)), -EPERM);
	assert_non_null(strstr(text, "requires kernel 5.7+"));
	old_kernel = false;
}

/* A datagram tells where it was sent to; its flow can have the same port */
static void test_udp(void **state)
{
	const char *to[] = { "127.0.0.1", "192.0.2.1", "::1" };
	char control[256], text[1024];
	struct msghdr m = { .msg_control = control };
	struct flowside side = { .eaddr = addr("127.0.0.1"),
				 .oaddr = inany_any4,
				 .eport = 9 };
	union sockaddr_any sa;
	union inany_addr a;
	struct cmsghdr *c;
	socklen_t len;
	unsigned i;
	int fd;

	(void)state;
	add(&opts.host, NULL, IPPROTO_UDP, 8053, 8053);
	assert_int_equal(fwd_listen(&fwd, PIF_HOST), 0);
	for (i = 0; i < 3; i++) {
		a = addr(to[i]);
		len = sockaddr_from_inany(&sa, &a, 8053, 0);
		fd = socket(sa.sa.sa_family, SOCK_DGRAM, 0);
		assert_int_equal(sendto(fd, "", 0, 0, &sa.sa, len), 0);
		close(fd);
		m.msg_controllen = sizeof(control);
		assert_int_equal(recvmsg(fwd.listener[0].fd, &m, 0), 0);
		c = CMSG_FIRSTHDR(&m);
		assert_non_null(c);
		assert_int_equal(c->cmsg_type, IPV6_PKTINFO);
		assert_memory_equal(CMSG_DATA(c), &a, sizeof(a));
	}
	fd = fwd_socket(&fwd, IPPROTO_UDP, &side, 8053);
	assert_true(fd >= 0);
	close(fd);

	/* Two of us do not share a port unnoticed */
	fwd.nlisteners = 0;
	assert_int_equal(listen_text(text, sizeof(text)), -EADDRINUSE);
	fwd.nlisteners = 1;
	assert_non_null(strstr(text, "port 8053 (Address already in use)"));
	assert_non_null(strstr(text, "UDP"));
}

static void *close_soon(void *arg)
{
	const struct timespec ts = { .tv_nsec = 200 * 1000000 };

	nanosleep(&ts, NULL);
	close(*(int *)arg);
	return NULL;
}

/* The predecessor is about to leave, or is not */
static void test_in_use(void **state)
{
	int fd = plain("127.0.0.1", SOCK_STREAM, 8081);
	struct timespec t0, t1;
	char text[1024];
	pthread_t t;

	(void)state;
	add(&opts.host, NULL, IPPROTO_TCP, 8080, 8082);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	assert_int_equal(listen_text(text, sizeof(text)), -EADDRINUSE);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	assert_in_range(t1.tv_sec - t0.tv_sec, 1, 3);
	assert_non_null(strstr(text, "port 8081 (Address already in use)"));
	fwd_close(&fwd);

	assert_int_equal(pthread_create(&t, NULL, close_soon, &fd), 0);
	assert_int_equal(listen_text(text, sizeof(text)), 0);
	pthread_join(t, NULL);
	assert_string_equal(text, "");
	assert_int_equal(fwd.nlisteners, 3);
}

/* Best effort: some will do, none will not, and nobody waits */
static void test_weak(void **state)
{
	int fd = plain("0.0.0.0", SOCK_STREAM, 8081);
	char text[1024];
	struct fwd_rule *r;

	(void)state;
	r = add(&opts.host, "0.0.0.0", IPPROTO_TCP, 8080, 8082);
	r->weak = true;
	assert_int_equal(fwd_listen(&fwd, PIF_HOST), 0);
	assert_int_equal(fwd.nlisteners, 2);
	assert_int_equal(dial("127.0.0.1", 8082), 0);
	fwd_close(&fwd);

	r->first = r->last = 8081;
	assert_int_equal(listen_text(text, sizeof(text)), -EADDRINUSE);
	assert_non_null(strstr(text, "port 8081 (Address already in use)"));
	close(fd);
}

/* All ports must not take all descriptors */
static void test_weak_fds(void **state)
{
	struct rlimit old, few = { .rlim_cur = 80 };
	char text[1024];

	(void)state;
	add(&opts.host, NULL, IPPROTO_TCP, 8000, 9000)->weak = true;
	getrlimit(RLIMIT_NOFILE, &old);
	few.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_NOFILE, &few);
	assert_int_equal(listen_text(text, sizeof(text)), 0);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_in_range(fwd.nlisteners, 40, 61);
	assert_non_null(strstr(text, "left out (Too many open files)"));
}

/* Without capabilities: the message names what would permit it */
static void test_denied(void **state)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct none[2] = { 0 };
	char text[1024];
	int status;
	pid_t pid;

	(void)state;
	add(&opts.host, NULL, IPPROTO_TCP, 80, 80);
	pid = fork();
	if (!pid) {
		if (syscall(SYS_capset, &head, none) ||
		    listen_text(text, sizeof(text)) != -EACCES ||
		    !strstr(text, "port 80 (Permission denied)") ||
		    !strstr(text,
			    "net.ipv4.ip_unprivileged_port_start is 1024"))
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(fwd_listen(&fwd, PIF_HOST), 0);
}

/* What there is too little of, with its limit */
static void test_limits(void **state)
{
	static const struct {
		int rc;
		const char *text;
	} cases[] = {
		{ -EMFILE, "the limit is " },
		{ -ENFILE, "sysctl fs.file-max is " },
		{ -ENOSPC, "sysctl fs.epoll.max_user_watches is " },
	};
	struct fwd_rule *r = add(&opts.splice, NULL, IPPROTO_UDP, 80, 90);
	struct fwd_tally t = { .bound = 3, .in_use = 2, .left = 6 };
	char text[1024], number[32];
	struct capture c;
	struct rlimit lim;
	unsigned i;

	(void)state;
	r->pif = PIF_SPLICE;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		c = capture_begin();
		fwd_report_failed(r, 81, cases[i].rc);
		capture_end(&c, text, sizeof(text));
		assert_non_null(strstr(text, "port 81 ("));
		assert_non_null(strstr(text, "UDP on [*] in the namespace"));
		assert_non_null(strstr(text, "option -U"));
		assert_non_null(strstr(text, cases[i].text));
		assert_null(strstr(text, " is 0"));
	}

	t.why_left = -EMFILE;
	c = capture_begin();
	fwd_report_tally(r, &t);
	capture_end(&c, text, sizeof(text));
	assert_non_null(strstr(text, "-U: 3 of 11 UDP ports bound in the "
				     "namespace, 2 in use, 6 left out"));
	getrlimit(RLIMIT_NOFILE, &lim);
	snprintf(number, sizeof(number), " is %lu ",
		 (unsigned long)lim.rlim_cur);
	assert_non_null(strstr(text, number));
}

static void test_messages(void **state)
{
	char text[1024];
	struct fwd_rule *r;

	(void)state;
	r = add(&opts.host, "203.0.113.77", IPPROTO_UDP, 8080, 8080);
	assert_int_equal(listen_text(text, sizeof(text)), -EADDRNOTAVAIL);
	assert_non_null(strstr(text, "UDP on 203.0.113.77"));
	assert_non_null(strstr(text, "--freebind"));
	opts.freebind = true;
	assert_int_equal(fwd_listen(&fwd, PIF_HOST), 0);
	fwd_close(&fwd);
	snprintf(r->ifname, sizeof(r->ifname), "nosuchif");
	assert_int_equal(listen_text(text, sizeof(text)), -ENODEV);
	assert_non_null(strstr(text, "203.0.113.77%nosuchif"));
}

/* Ports that come and go use the same slots again */
static void test_come_and_go(void **state)
{
	struct fwd_rule *r;
	unsigned i;

	(void)state;
	r = add(&opts.host, NULL, IPPROTO_TCP, 8080, 8089);
	r->scan = true;
	for (i = 0; i < 100; i++) {
		assert_int_equal(fwd_listener_open(&fwd, r, 8080), 1);
		assert_int_equal(fwd_listener_open(&fwd, r, 8081), 1);
		assert_int_equal(fwd_listener_open(&fwd, r, 8081), -EADDRINUSE);
		assert_int_equal(fwd_listener_close(&fwd, r, 8080), 1);
		assert_int_equal(dial("127.0.0.1", 8080), ECONNREFUSED);
		assert_int_equal(dial("127.0.0.1", 8081), 0);
		assert_int_equal(fwd_listener_close(&fwd, r, 8081), 1);
		assert_int_equal(fwd_listener_close(&fwd, r, 8081), 0);
	}
	assert_in_range(fwd.nlisteners, 1, 3);
}

/* Outbound sockets: address, interface, port */
static void test_socket(void **state)
{
	struct flowside tap = { .eaddr = addr("192.0.2.10"),
				.eport = 4000,
				.oaddr = addr("203.0.113.5"),
				.oport = 53 };
	struct flowside host;
	union sockaddr_any sa;
	union inany_addr a;
	socklen_t len;
	in_port_t port;
	char name[IFNAMSIZ];
	int fd;

	(void)state;
	guest.v4.addr = addr("192.0.2.10");
	opts.v4.outbound = addr("192.0.2.1");
	snprintf(opts.v4.outbound_if, IFNAMSIZ, "lo");
	assert_true(fwd_from_tap(&fwd, IPPROTO_UDP, &tap, &host));
	fd = fwd_socket(&fwd, IPPROTO_UDP, &host, host.oport);
	assert_true(fd >= 0);
	len = sizeof(sa);
	assert_int_equal(getsockname(fd, &sa.sa, &len), 0);
	assert_int_equal(inany_from_sockaddr(&a, &port, &sa), 0);
	assert_int_equal(port, 4000);
	assert_true(inany_equals(&a, &opts.v4.outbound));
	len = sizeof(name);
	assert_int_equal(
		getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len), 0);
	assert_string_equal(name, "lo");
	close(fd);

	/* Loopback: neither */
	opts.v4.host_loopback = tap.oaddr;
	assert_true(fwd_from_tap(&fwd, IPPROTO_TCP, &tap, &host));
	fd = fwd_socket(&fwd, IPPROTO_TCP, &host, 0);
	assert_true(fd >= 0);
	len = sizeof(sa);
	assert_int_equal(getsockname(fd, &sa.sa, &len), 0);
	assert_int_equal(inany_from_sockaddr(&a, &port, &sa), 0);
	assert_true(inany_is_unspecified(&a));
	len = sizeof(name);
	assert_int_equal(
		getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len), 0);
	assert_int_equal(len, 0);
	close(fd);
}

static int each(void **state)
{
	(void)state;
	old_kernel = false;
	memset(&opts, 0, sizeof(opts));
	memset(&guest, 0, sizeof(guest));
	guest.v4.on = guest.v6.on = true;
	assert_int_equal(loop_init(&loop, NULL, NULL), 0);
	return fwd_init(&fwd, &opts, &guest, NULL, &loop);
}

static int done(void **state)
{
	(void)state;
	fwd_close(&fwd);
	close(loop.epfd);
	return 0;
}

/* Own namespace; lo is up and has 192.0.2.1, too */
static int set_up(void **state)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	struct sockaddr_in *sin = (struct sockaddr_in *)&ifr.ifr_addr;
	const union inany_addr a = addr("192.0.2.1");
	int fd;

	(void)state;
	assert_int_equal(unshare(CLONE_NEWUSER | CLONE_NEWNET), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "lo:1");
	*sin = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr = a.v4.a4 };
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &ifr), 0);
	close(fd);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, each, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tcp),    TEST(test_reference),   TEST(test_families),
		TEST(test_splice), TEST(test_splice_old),  TEST(test_udp),
		TEST(test_in_use), TEST(test_weak),        TEST(test_weak_fds),
		TEST(test_denied), TEST(test_messages),    TEST(test_limits),
		TEST(test_socket), TEST(test_come_and_go),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
