/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pasta, isolation: namespaces of our own, the command in them, and its end */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "isolation.h"
#include "lib/fdio.h"
#include "netns.h"
#include "test/fake/pasta_env.h"

static const enum who everybody[] = { AS_USER, AS_ROOT, AS_USERNS_ROOT };
static const char *const who_text[] = { "user", "root", "userns-root" };

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
		if (pasta_env_command(&r, script) != 7)
			pasta_env_fail();
		if (!strstr(pasta_env_out, "uid 0 pid 2 name inner\n") ||
		    !strstr(pasta_env_out, "inet 192.0.2.15/24") ||
		    !strstr(pasta_env_out, "inet6 2001:db8::15/64") ||
		    !strstr(pasta_env_out, "inet6 fe80::") ||
		    strstr(pasta_env_out, "tentative") ||
		    !strstr(pasta_env_out, "default via 192.0.2.2 dev eth0") ||
		    !strstr(pasta_env_out, "default via fe80::2 dev eth0") ||
		    !strstr(pasta_env_out, "mtu 65520") ||
		    strstr(pasta_env_out, "NOARP") ||
		    !strstr(pasta_env_out, "qlen 10000") ||
		    !strstr(pasta_env_out, "nofile 300\n") ||
		    !strstr(pasta_env_out, "ping 0 0\n") ||
		    !strstr(pasta_env_out, " 0% packet"))
			pasta_env_fail();
		/* 0 to 2 and that of the directory */
		snprintf(want, sizeof(want), "\n4\n");
		if (!strstr(pasta_env_out, want))
			pasta_env_fail();
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
	assert_int_equal(pasta_env_command(&r, "exit 0"), 0);
	assert_int_equal(pasta_env_command(&r, "exit 255"), 255);
	assert_int_equal(pasta_env_command(&r, "kill -USR1 $$"), 128 + SIGUSR1);
	/* Not process 1, which would not be killed, nor mother of orphans */
	assert_int_equal(
		pasta_env_command(&r, "sh -c 'sleep 0.05 &';sleep 0.2;"
				      "! grep -ql Z.*zombie /proc/*/status"),
		0);
	/* Nobody inside looks into the process that is a copy of us */
	assert_int_equal(pasta_env_command(&r, "head -c 1 /proc/1/environ"), 1);
	r.opts.no_pidns = true;
	assert_int_equal(pasta_env_command(&r, "kill -USR1 $$"), 128 + SIGUSR1);
	assert_int_equal(pasta_env_command(&r, "test $$ -gt 1"), 0);
	r.opts.no_pidns = false;

	r.opts.spawn = true;
	r.opts.argv = missing;
	d = pasta_env_start(&r);
	assert_int_equal(pasta_env_finish(&d, 5000), 127);
	assert_non_null(strstr(pasta_env_out,
			       "cannot execute /does/not/exist: No such"));
	r.opts.argv = noexec;
	d = pasta_env_start(&r);
	assert_int_equal(pasta_env_finish(&d, 5000), 126);
	assert_non_null(strstr(pasta_env_out, "Permission denied"));
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
	d = pasta_env_start(&r);
	assert_int_equal(pasta_env_finish(&d, 5000), 23);
	assert_non_null(strstr(pasta_env_out, "shell /tmp/test-pasta-"));
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
	struct daemon d = pasta_env_start(&r);

	pasta_env_ready(&d);
	assert_true(pasta_env_read(d.out, "running", 5000));
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
		assert_int_equal(pasta_env_finish(&d, 5000), 0);
		assert_int_equal(!!strstr(pasta_env_out, "got it"), i % 3 == 2);
	}
}

/* We are killed while the command waits for pasta_go(): it ends, too */
static void test_killed_early(void **state)
{
	struct pollfd pfd = { .events = POLLIN };
	struct run r = { .opts = { .spawn = true } };
	static struct pasta pasta;
	static struct netns netns;
	int p[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		struct isolation_opts iso = { .uid = (uid_t)-1, .pasta = true };

		pasta_env_become(AS_USER);
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
	if (pasta_env_command(&r, "exit 5") != 5)
		pasta_env_fail();
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
	if (pasta_env_command(&r, script))
		pasta_env_fail();
	for (i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
		if (!strstr(pasta_env_out, copied[i]))
			pasta_env_fail();
	}
	if (strstr(pasta_env_out, "192.0.2.15") ||
	    strstr(pasta_env_out, "tentative") ||
	    !strstr(pasta_env_out, "inet6 fe80::ff:fe00:33/64"))
		pasta_env_fail();

	r.opts.no_copy_addrs = r.opts.no_copy_routes = true;
	if (pasta_env_command(&r, script))
		pasta_env_fail();
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (!strstr(pasta_env_out, own[i]))
			pasta_env_fail();
	}
	if (strstr(pasta_env_out, "198.51.100.0/24") ||
	    strstr(pasta_env_out, "192.0.2.77"))
		pasta_env_fail();
}

/* Without --config-net: only the loopback interface is up */
static void test_unconfigured(void **state)
{
	struct run r = { .who = AS_USER };

	(void)state;
	if (pasta_env_command(&r, "ip -o addr; ip -o link") ||
	    !strstr(pasta_env_out, "127.0.0.1/8") ||
	    strstr(pasta_env_out, "eth0    inet") ||
	    !strstr(pasta_env_out, "eth0: <BROADCAST,MULTICAST>"))
		pasta_env_fail();
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
		struct daemon d = pasta_env_start(&r);

		assert_int_equal(pasta_env_finish(&d, 5000), 1);
		if (!strstr(pasta_env_out, cases[i].want))
			pasta_env_fail();
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
		pasta_env_become(AS_USERNS_ROOT);
		CHECK(!write_file(file, "0"));
		CHECK(!pipe2(p, O_CLOEXEC) && dup2(p[1], 2) == 2);
		rc = isolation_user(&iso, ISOLATION_USERNS_OWN);
		close(p[1]);
		close(2);
		pasta_env_out[0] = '\0';
		pasta_env_read(p[0], NULL, 1000);
		_exit(rc == -ENOSPC && strstr(pasta_env_out,
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
		cmocka_unit_test(test_chroot),
		cmocka_unit_test(test_template),
		cmocka_unit_test(test_unconfigured),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_forbidden),
	};

	return cmocka_run_group_tests(tests, pasta_env_setup, NULL);
}
