/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pasta: namespaces of others joined, by process or by path, and their end */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "lib/fdio.h"
#include "test/fake/pasta_env.h"

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
		pasta_env_become(who);
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
		d = pasta_env_start(&r);
		pasta_env_ready(&d);
		begin = now_ms();
		close(t.stdin_fd);
		waitpid(t.pid, NULL, 0);
		assert_int_equal(pasta_env_finish(&d, PASTA_ENV_LATE_MS), 0);
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
		d = pasta_env_start(&r);
		pasta_env_ready(&d);
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
		assert_int_equal(
			pasta_env_finish(&d, cases[i].want ? 300
							   : PASTA_ENV_LATE_MS),
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
	struct daemon d = pasta_env_start(&r);

	(void)state;
	pasta_env_ready(&d);
	close(t.stdin_fd);
	waitpid(t.pid, NULL, 0);
	{
		struct pollfd pfd = { .fd = d.pidfd, .events = POLLIN };

		assert_int_equal(poll(&pfd, 1, 300), 0);
	}
	kill(d.pid, SIGTERM);
	assert_int_equal(pasta_env_finish(&d, PASTA_ENV_LATE_MS), 0);
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

	pasta_env_become(AS_USERNS_ROOT);
	CHECK(!unshare(CLONE_NEWNS));
	CHECK(!mount("", "/", "", MS_PRIVATE | MS_REC, NULL));
	CHECK(!mount("tmpfs", "/mnt", "tmpfs", 0, NULL));
	bind_netns("/mnt/ns", AS_ROOT);
	/* The limit of our user namespace, not that of the machine */
	CHECK(!no_inotify || !write_file(limit, "0"));
	d = pasta_env_start(&r);
	pasta_env_ready(&d);
	CHECK(!umount2("/mnt/ns", MNT_DETACH) && !unlink("/mnt/ns"));
	status = pasta_env_finish(&d, PASTA_ENV_LATE_MS);
	if (status)
		dprintf(2, "status %i: %s", status, pasta_env_out);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_no_quit),
		cmocka_unit_test(test_podman),
	};

	return cmocka_run_group_tests(tests, pasta_env_setup, NULL);
}
