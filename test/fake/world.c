/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two network namespaces in a user namespace of their own, for tests */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fdio.h"
#include "test/fake/world.h"

struct world host, guest;

void world_enter(const struct world *w)
{
	assert_int_equal(setns(w->ns, CLONE_NEWNET), 0);
}

/* Run ip(8) commands, separated by ';', in a namespace: by one process for each
 * run of lines that begin with -4, with -6, or with neither, as a batch has no
 * options in its lines
 */
void world_ip(const struct world *w, const char *lines)
{
	char command[] = "ip -N -batch -", family = '\0';
	FILE *f = NULL;

	world_enter(w);
	while (*lines) {
		char want = *lines == '-' ? lines[1] : '0'; /* 0: any */
		size_t skip = want == '0' ? 0 : strlen("-N ");
		size_t len = strcspn(lines, ";");

		if (f && want != family) {
			assert_int_equal(pclose(f), 0);
			f = NULL;
		}
		if (!f) {
			snprintf(command, sizeof(command), "ip %s -batch -",
				 want == '4'   ? "-4"
				 : want == '6' ? "-6"
					       : "");
			f = popen(command, "w");
			assert_non_null(f);
			family = want;
		}
		fprintf(f, "%.*s\n", (int)(len - skip), lines + skip);
		lines += len + (lines[len] == ';');
	}
	if (f)
		assert_int_equal(pclose(f), 0);
}

/* What a command prints in a namespace, one blank for any number of them */
const char *world_output(const struct world *w, const char *command)
{
	static char buf[4096];
	size_t n = 0;
	FILE *f;
	int c;

	world_enter(w);
	f = popen(command, "r");
	assert_non_null(f);
	while ((c = fgetc(f)) != EOF && n < sizeof(buf) - 1) {
		if (c == ' ' && n && (buf[n - 1] == ' '))
			continue;
		if (c == '\n' && n && buf[n - 1] == ' ')
			n--;
		buf[n++] = (char)c;
	}
	buf[n] = '\0';
	assert_int_equal(pclose(f), 0);
	return buf;
}

static int world_new(struct world *w)
{
	if (unshare(CLONE_NEWNET))
		return -1;
	w->ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (w->ns < 0 || nl_open(&w->nl))
		return -1;
	/* no waiting for addresses of the kernel's own */
	if (write_file("/proc/sys/net/ipv6/conf/default/accept_dad", "0"))
		return -1;
	world_ip(w, "link add d0 type veth peer name p0;"
		    "link add d1 type veth peer name p1;"
		    "link set lo up;link set d0 up;link set p0 up");
	return 0;
}

int world_setup(void **state)
{
	(void)state;
	if (world_new(&host) || world_new(&guest))
		return -1;
	world_ip(&host, "link set d1 up;link set p1 up");
	return 0;
}

int world_teardown(void **state)
{
	(void)state;
	nl_close(&host.nl);
	nl_close(&guest.nl);
	return close(host.ns) || close(guest.ns);
}

int world_group_setup(void **state)
{
	char map[64];

	(void)state;
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)geteuid());
	return unshare(CLONE_NEWUSER) || write_file("/proc/self/uid_map", map);
}

int world_ifi(struct world *w, const char *name)
{
	int i = nl_link_index(&w->nl, name);

	assert_true(i > 0);
	return i;
}

union inany_addr world_addr(const char *text)
{
	union inany_addr a;

	assert_int_equal(inany_pton(text, &a), 0);
	return a;
}
