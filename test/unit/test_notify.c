/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of lib/notify.c, with a socket in the place of the manager */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>

#include "lib/notify.h"

/* A manager at @name, '@' for abstract. Return: its socket */
static int manager(const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t len = strlen(name);

	memcpy(sun.sun_path, name, len);
	if (*name == '@')
		*sun.sun_path = '\0';
	len += offsetof(struct sockaddr_un, sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, (socklen_t)len), 0);
	return fd;
}

/* Nothing but the one datagram arrives */
static void check(const char *name)
{
	int fd = manager(name), client;
	char buf[64];

	client = notify_open(name);
	assert_true(client >= 0);
	assert_int_equal(notify_ready(client), 0);
	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), 7);
	assert_memory_equal(buf, "READY=1", 7);
	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
	close(fd);
}

static void test_path(void **state)
{
	char name[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char dir[] = "/tmp/notify-XXXXXX";
	size_t len;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(name, sizeof(name), "%s/", dir);
	len = strlen(name);

	memset(name + len, 'x', sizeof(name) - len);
	name[sizeof(name) - 1] = '\0'; /* the longest there is */
	check(name);
	unlink(name);
	name[len + 1] = '\0';
	check(name);
	unlink(name);
	rmdir(dir);
}

static void test_abstract(void **state)
{
	char name[32];

	(void)state;
	snprintf(name, sizeof(name), "@notify-%ld", (long)getpid());
	check(name);
}

static void test_refused(void **state)
{
	char name[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 2];

	(void)state;
	assert_int_equal(notify_open(""), -EAFNOSUPPORT);
	assert_int_equal(notify_open("/"), -EAFNOSUPPORT);
	assert_int_equal(notify_open("@"), -EAFNOSUPPORT);
	assert_int_equal(notify_open("vsock:2:1234"), -EAFNOSUPPORT);
	assert_int_equal(notify_open("/nonexistent/notify"), -ENOENT);
	assert_int_equal(notify_open("@nobody-listens-here"), -ECONNREFUSED);

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	name[0] = '@';
	assert_int_equal(notify_open(name), -ENAMETOOLONG);
	name[sizeof(name) - 2] = '\0';
	name[0] = '/';
	assert_int_equal(notify_open(name), -ENAMETOOLONG);
	name[0] = '@';
	assert_int_equal(notify_open(name), -ECONNREFUSED);
}

/* A manager that does not read costs us nothing */
static void test_full(void **state)
{
	char name[32];
	int fd, rc = 0;
	unsigned i;

	(void)state;
	snprintf(name, sizeof(name), "@notify-full-%ld", (long)getpid());
	fd = manager(name);
	for (i = 0; !rc && i < 10000; i++) {
		int client = notify_open(name);

		assert_true(client >= 0);
		rc = notify_ready(client);
	}
	assert_int_equal(rc, -EAGAIN);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_abstract),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
