/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running out of descriptors, for tests */
#ifndef UNIT_FDS_H
#define UNIT_FDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

/* The limit as it was; hard one 0: it is as it was */
static struct rlimit fds_limit;

/* Undo fds_leave() */
static inline void fds_back(void)
{
	if (fds_limit.rlim_max)
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &fds_limit), 0);
	fds_limit.rlim_max = 0;
}

/* From now on @n descriptors can be had beside those that are open, and what
 * lies free between those
 */
static inline void fds_leave(unsigned n)
{
	struct rlimit few;
	int top;

	fds_back();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &fds_limit), 0);
	top = dup(0);
	assert_true(top >= 0);
	close(top);
	few = fds_limit;
	few.rlim_cur = (rlim_t)top + n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
}

#endif /* UNIT_FDS_H */
