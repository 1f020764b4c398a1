/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole reads and writes, small files */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fdio.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static char path[] = "/tmp/test_fdio.XXXXXX";

static int setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static const struct {
	const char *text;
	unsigned index;
	unsigned long want; /* 99: the default */
} number[] = {
	{ "5\n", 0, 5 },
	{ "32768\t60999\n", 0, 32768 },
	{ "32768\t60999\n", 1, 60999 },
	{ "32768\t60999\n", 2, 99 },
	{ "  7", 0, 7 },
	{ "", 0, 99 },
	{ "\n", 0, 99 },
	{ "max\n", 0, 99 },
	{ "-1\n", 0, 99 },
	{ "3x 4", 0, 3 },
	{ "3x 4", 1, 99 },
	{ "99999999999999999999999\n", 0, 99 },
};

static void test_numbers(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(number); i++) {
		assert_int_equal(write_file(path, number[i].text), 0);
		assert_int_equal(read_file_uint(path, number[i].index, 99),
				 number[i].want);
	}
	assert_int_equal(read_file_uint("/nonexistent", 0, 42), 42);
}

static void test_write_file(void **state)
{
	(void)state;
	assert_int_equal(write_file("/nonexistent/x", "1"), -ENOENT);
	assert_int_equal(write_file("/", "1"), -EISDIR);
	/* no limit on what a longer text leaves behind */
	assert_int_equal(write_file(path, "123456"), 0);
	assert_int_equal(write_file(path, "7"), 0);
	assert_int_equal(read_file_uint(path, 0, 99), 7);
}

/* More than a pipe holds, read by a child in odd pieces */
static void test_pipe(void **state)
{
	static char out[300000], in[300000];
	int p[2], status;
	pid_t pid;

	(void)state;
	memset(out, 'x', sizeof(out));
	assert_int_equal(pipe(p), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(p[0]);
		_exit(write_all(p[1], out, sizeof(out)) ? 1 : 0);
	}
	close(p[1]);
	assert_int_equal(read_all(p[0], in, 1001), 1001);
	assert_int_equal(read_all(p[0], in, sizeof(in)), sizeof(in) - 1001);
	assert_int_equal(read_all(p[0], in, sizeof(in)), 0);
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read_all(p[0], in, 1), -EBADF);
	assert_int_equal(write_all(p[0], in, 1), -EBADF);
}

/* Closed in the end, and not one of ours meanwhile */
static void test_close_later(void **state)
{
	struct pollfd pfd = { .events = POLLIN };
	int p[2], lowest;

	(void)state;
	assert_false(pipe(p));
	lowest = p[1];
	assert_int_equal(close_later_init(), 0);
	close_later(p[1]);
	/* All descriptors it took are free again */
	assert_int_equal(open("/dev/null", O_RDONLY), lowest);
	assert_int_equal(close(lowest), 0);
	pfd.fd = p[0];
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	assert_int_equal(pfd.revents, POLLHUP);
	close(p[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_write_file),
		cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_close_later),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
