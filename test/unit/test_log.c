/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages: levels, prefixes, the log file and its rotation, limits */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fdio.h"
#include "lib/log.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static char path[] = "/tmp/test_log.XXXXXX";
static int real_stderr = -1, capture = -1;
static char out[200000];

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

static void capture_start(void)
{
	real_stderr = dup(STDERR_FILENO);
	capture = fileno(tmpfile());
	assert_true(real_stderr >= 0 && capture >= 0);
	dup2(capture, STDERR_FILENO);
}

/* What was printed since capture_start() */
static const char *capture_end(void)
{
	ssize_t n;

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	n = pread(capture, out, sizeof(out) - 1, 0);
	assert_true(n >= 0);
	out[n] = '\0';
	return out;
}

static const char *file_text(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read_all(fd, out, sizeof(out) - 1);
	assert_true(n >= 0);
	out[n] = '\0';
	close(fd);
	return out;
}

static const struct {
	int level;
	const char *want;
} level[] = {
	{ LOG_ERR, "e\n" },
	{ LOG_WARNING, "e\nw\n" },
	{ LOG_INFO, "e\nw\ni\n" },
};

static void test_levels(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(level); i++) {
		capture_start();
		log_level(level[i].level);
		err("e");
		warn("w");
		info("i");
		debug("d");
		trace("t");
		assert_string_equal(capture_end(), level[i].want);
	}
}

/* "secs.4digits: text" */
static void test_debug_prefix(void **state)
{
	unsigned secs, frac;
	const char *s;
	int end = 0;

	(void)state;
	capture_start();
	log_level(LOG_DEBUG);
	debug("value %d", 5);
	trace("t");
	s = capture_end();
	assert_int_equal(sscanf(s, "%u.%4u%n", &secs, &frac, &end), 2);
	assert_int_equal(strcspn(s, ":") - strcspn(s, "."), 5);
	assert_string_equal(s + end, ": value 5\n");
	assert_true(log_enabled(LOG_DEBUG));
	assert_false(log_enabled(LOG_TRACE));
	log_level(LOG_INFO);
}

static void test_hostile_text(void **state)
{
	char big[5000];
	const char *s;

	(void)state;
	capture_start();
	info("%s", "a\nb\033[1mc\td");
	assert_string_equal(capture_end(), "a?b?[1mc\td\n");

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	capture_start();
	info("%s", big);
	s = capture_end();
	assert_int_equal(strlen(s), 1024);
	assert_int_equal(s[1023], '\n');
}

static void test_keeps_errno(void **state)
{
	(void)state;
	capture_start();
	errno = ENOTCONN;
	info("x");
	assert_int_equal(errno, ENOTCONN);
	capture_end();
}

static void test_limit(void **state)
{
	struct log_site site = { 0 };
	unsigned i, printed = 0;
	const char *s;

	(void)state;
	capture_start();
	for (i = 0; i < 1000; i++)
		printed += log_limit(&site);
	capture_end();
	/* the second may have turned once in between, hardly twice */
	assert_in_range(printed, LOG_BURST, 3 * LOG_BURST);

	/* as if a second had passed */
	capture_start();
	site = (struct log_site){ .second = site.second - 10,
				  .count = 5,
				  .suppressed = 7 };
	assert_true(log_limit(&site));
	s = capture_end();
	assert_string_equal(s, "7 similar messages suppressed\n");
	assert_int_equal(site.suppressed, 0);

	/* with a line for each packet, all of them */
	log_level(LOG_TRACE);
	for (i = 0; i < 1000; i++)
		assert_true(log_limit(&site));
	log_level(LOG_INFO);
}

/* Text that is ready waits for who says that it can be written, or for a message;
 * what the level is does not matter
 */
static void test_text(void **state)
{
	struct log_opts opts = { .level = LOG_ERR, .file = path };

	(void)state;
	capture_start();
	log_level(LOG_ERR);
	assert_true(log_text("one\ntwo\n", 8, true));
	assert_true(log_drain(3));
	assert_true(log_drain(3));
	err("a message");
	assert_false(log_drain(3));
	assert_string_equal(capture_end(), "one\ntwo\na message\n");

	/* a log file has it at once, and as it is */
	capture_start();
	assert_int_equal(log_open("test", &opts), 0);
	assert_true(log_text("one\n", 4, true));
	assert_false(log_drain(0));
	assert_true(log_text("two\n", 4, false));
	assert_false(log_drain(1000));
	assert_string_equal(capture_end(), "one\ntwo\n");
	assert_string_equal(strchr(file_text(), '\n'), "\none\n");
	log_level(LOG_INFO);
}

static void test_file(void **state)
{
	struct log_opts opts = { .level = LOG_DEBUG,
				 .file = path,
				 .file_size = 1 << 20 };
	const char *s;
	struct stat st;
	int saved;

	(void)state;
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(unlink(path), 0);
	capture_start();
	assert_int_equal(log_open("test", &opts), 0);
	warn("first %d", 1);
	log_background();
	debug("second");
	capture_end();

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	s = file_text();
	assert_int_equal(strncmp(s, "test ", 5), 0);
	assert_non_null(strstr(s, "test_log ("));
	assert_non_null(strstr(s, ": WARNING: first 1\n"));
	assert_non_null(strstr(s, ": DEBUG: second\n"));

	opts.file = "/nonexistent/log";
	saved = log_open("test", &opts);
	assert_int_equal(saved, -ENOENT);
}

/* In the background by now: see test_file() */
static void test_rotation(void **state)
{
	struct log_opts opts = { .level = LOG_INFO,
				 .file = path,
				 .file_size = 40960 };
	int i, last = -1, n = 0, val;
	struct stat st;
	char *line, *save;

	(void)state;
	assert_int_equal(log_open("test", &opts), 0);
	for (i = 0; i < 10000; i++) {
		info("line %d", i);
		assert_int_equal(stat(path, &st), 0);
		assert_true(st.st_size <= 40960);
	}
	assert_true(st.st_size >= 40960 * 6 / 10);

	/* whole lines, without a gap, to the last one written */
	file_text();
	line = strtok_r(out, "\n", &save);
	assert_int_equal(strncmp(line, "test ", 5), 0);
	assert_non_null(strstr(line, ", truncated at "));
	while ((line = strtok_r(NULL, "\n", &save))) {
		assert_int_equal(sscanf(line, "%*u.%*4u: INFO: line %d", &val),
				 1);
		if (n++)
			assert_int_equal(val, last + 1);
		last = val;
	}
	assert_int_equal(last, 9999);
	assert_true(n > 500);
}

#define KILLS      300
#define KILL_MAX   40960 /* bytes of the log file */
#define KILL_LINES 8192  /* that could be in it */

/* Number of a whole line, or -1 */
static int line_number(const char *line)
{
	int val, end = 0;

	if (sscanf(line, "%*u.%*4u: INFO: line %d ends%n", &val, &end) != 1 ||
	    !end || line[end])
		return -1;
	return val;
}

/* After a kill, when the message before @done was the last one finished: the
 * newest of them stand at the end, in order, at least a quarter of a full file;
 * more than half of a full file is there, if not all in order. Return: was
 * everything in order?
 */
static bool check_killed(int done)
{
	static bool there[1 << 22];
	static int val[KILL_LINES];
	int n = 0, i, last, run, full;
	size_t bytes;
	char *line, *save;

	file_text();
	bytes = strlen(out);
	assert_true(bytes <= KILL_MAX);
	/* The kernel may stop writing at a page: a message that was not done */
	if (strrchr(out, '\n'))
		strrchr(out, '\n')[1] = '\0';
	memset(there, 0, sizeof(there));
	strtok_r(out, "\n", &save);
	while ((line = strtok_r(NULL, "\n", &save))) {
		int v = line_number(line);

		assert_true(n < KILL_LINES && v < (int)sizeof(there));
		if (v >= 0)
			there[v] = true;
		val[n++] = v;
	}
	if (!done && !n)
		return true;
	assert_true(n > 0);
	last = val[n - 1];
	assert_in_range(last, done ? done - 1 : 0, done);

	for (run = 1; run < n && val[n - 1 - run] == last - run; run++)
		;
	/* The rotated one keeps 70 %: that many lines there must be */
	full = (int)((size_t)n * KILL_MAX / bytes);
	if (run < last + 1) {
		assert_true(run >= full / 4);
		for (i = 0; i < full / 2; i++)
			assert_true(there[last - i]);
	}
	return run == n;
}

/* Killed at any moment, also when the file is cut */
static void test_rotation_killed(void **state)
{
	struct log_opts opts = { .level = LOG_INFO,
				 .file = path,
				 .file_size = KILL_MAX };
	int *done = mmap(NULL, sizeof(*done), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *most = getenv("LOG_KILLS");
	unsigned i, cut = 0, kills = most ? (unsigned)atoi(most) : KILLS;
	int status;
	pid_t pid;

	(void)state;
	assert_true(done != MAP_FAILED);
	srandom(1);
	for (i = 0; i < kills; i++) {
		*done = 0;
		assert_int_equal(log_open("test", &opts), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			for (;;) {
				info("line %d ends", *done);
				__atomic_add_fetch(done, 1, __ATOMIC_SEQ_CST);
			}
		}
		usleep((useconds_t)(random() % 12000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		cut += !check_killed(*done);
	}
	print_message("killed while cutting: %u of %u\n", cut, kills);
	munmap(done, sizeof(*done));
}

static const struct {
	int err;
	const char *text;
} errs[] = {
	{ 0, "Success" },
	{ EADDRINUSE, "Address already in use" },
	{ -EADDRINUSE, "Address already in use" },
	{ EPERM, "Operation not permitted" },
	{ ENODATA, "No data available" },
	{ EWOULDBLOCK, "Resource temporarily unavailable" },
	{ 9999, "error 9999" },
	{ -9999, "error 9999" },
	{ -2147483647 - 1, "error 2147483648" },
};

static void test_errstr(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(errs); i++)
		assert_string_equal(errstr(errs[i].err), errs[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_debug_prefix),
		cmocka_unit_test(test_hostile_text),
		cmocka_unit_test(test_keeps_errno),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_errstr),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_rotation_killed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
