/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines through a fixed buffer: short, long, at its borders */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/fdio.h"
#include "lib/lineread.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Descriptor at the start of a file that holds @len bytes */
static int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("lines", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, bytes, len), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static const struct {
	const char *text;
	const char *line[4];
} lines[] = {
	{ "", { NULL } },
	{ "\n", { "", NULL } },
	{ "a", { "a", NULL } },
	{ "a\n", { "a", NULL } },
	{ "a\n\nbc", { "a", "", "bc", NULL } },
	{ "\n\n\n", { "", "", "", NULL } },
};

static void test_lines(void **state)
{
	struct lineread lr;
	char *line;
	size_t i;
	int j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		int fd = file_of(lines[i].text, strlen(lines[i].text));

		lineread_init(&lr, fd);
		for (j = 0; lines[i].line[j]; j++) {
			assert_int_equal(lineread_next(&lr, &line),
					 strlen(lines[i].line[j]));
			assert_string_equal(line, lines[i].line[j]);
		}
		assert_int_equal(lineread_next(&lr, &line), -ENODATA);
		assert_int_equal(lineread_next(&lr, &line), -ENODATA);
		close(fd);
	}
}

/* A line of every length around the size of the buffer, a short one after */
static void test_long(void **state)
{
	const size_t room = sizeof(((struct lineread *)0)->buf) - 1;
	static char text[10000];
	struct lineread lr;
	size_t len, want;
	char *line;
	int fd;

	(void)state;
	for (len = room - 3; len < 3 * room; len += len < room + 5 ? 1 : 500) {
		memset(text, 'x', len);
		memcpy(text + len, "\nshort\n", 7);
		fd = file_of(text, len + 7);
		lineread_init(&lr, fd);
		want = len < room ? len : room;
		assert_int_equal(lineread_next(&lr, &line), want);
		assert_int_equal(strlen(line), want);
		assert_int_equal(lineread_next(&lr, &line), 5);
		assert_string_equal(line, "short");
		assert_int_equal(lineread_next(&lr, &line), -ENODATA);
		close(fd);

		/* the same without a newline at the end */
		fd = file_of(text, len);
		lineread_init(&lr, fd);
		assert_int_equal(lineread_next(&lr, &line), want);
		assert_int_equal(lineread_next(&lr, &line), -ENODATA);
		close(fd);
	}
}

/* Many lines across many refills, in pieces from a pipe */
static void test_many(void **state)
{
	struct lineread lr;
	char text[200], *line;
	int p[2], i, n;
	ssize_t len;

	(void)state;
	assert_int_equal(pipe(p), 0);
	lineread_init(&lr, p[0]);
	for (i = 0; i < 2000; i++) {
		n = i % 150;
		memset(text, 'a' + i % 26, (size_t)n);
		text[n] = '\n';
		assert_int_equal(write_all(p[1], text, (size_t)n + 1), 0);
		len = lineread_next(&lr, &line);
		assert_int_equal(len, n);
		assert_memory_equal(line, text, (size_t)n);
	}
	close(p[1]);
	assert_int_equal(lineread_next(&lr, &line), -ENODATA);
	close(p[0]);
	lineread_init(&lr, p[0]);
	assert_int_equal(lineread_next(&lr, &line), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
