/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pasta started in a process of its own, as one of several users, for tests
 *
 * Needs root. The main program's calls in their order, in a network namespace
 * and a mount namespace that are the process's own.
 */
#ifndef FAKE_PASTA_ENV_H
#define FAKE_PASTA_ENV_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include "pasta.h"

#define PASTA_ENV_LATE_MS 1000 /* for what must take milliseconds, if busy */

enum who { AS_USER, AS_ROOT, AS_USERNS_ROOT };

/* What is to be run, and what is told about it */
struct run {
	enum who who;
	struct pasta_opts opts;
	bool background, stay_root;
	bool chroot;   /* into a directory that is no mount point */
	bool template; /* make one and copy it */
	int ready;     /* written to when all is set up */
};

/* One daemon under test */
struct daemon {
	pid_t pid;
	int pidfd, ready, out;
};

/* Where standard output and error of these processes go */
extern char pasta_env_out[8192];

/* Fail in a child: to standard error, and by status */
#define CHECK(cond)                                                    \
	do {                                                           \
		if (!(cond)) {                                         \
			dprintf(2, "%s:%i: %s (errno %i)\n", __FILE__, \
				__LINE__, #cond, errno);               \
			_exit(99);                                     \
		}                                                      \
	} while (0)

/**
 * pasta_env_setup() - What is mounted from now on stays with this program
 *
 * Return: 0 for use as a group setup of cmocka, -1 if not root
 */
int pasta_env_setup(void **state);

/**
 * pasta_env_become() - Become one of the users, in a child
 */
void pasta_env_become(enum who who);

/**
 * pasta_env_start() - Start pasta as somebody, in a network namespace of its own
 * @given:	How
 *
 * Return: the process, to be given to pasta_env_finish()
 */
struct daemon pasta_env_start(const struct run *given);

/**
 * pasta_env_ready() - Wait until all is set up; fails the test if it will not be
 */
void pasta_env_ready(const struct daemon *d);

/**
 * pasta_env_finish() - Wait for the end
 * @d:		Process
 * @ms:		Wait at most that long, then kill it
 *
 * Return: status as shells have it, -1: it was still there
 */
int pasta_env_finish(struct daemon *d, int ms);

/**
 * pasta_env_command() - Run a command by a shell in new namespaces, to its end
 *
 * Return: status
 */
int pasta_env_command(const struct run *r, const char *script);

/**
 * pasta_env_read() - Add what is printed to pasta_env_out
 * @fd:		Read from here
 * @until:	Until this appears, NULL: the end
 * @ms:		Wait at most that long for more
 *
 * Return: it appeared
 */
bool pasta_env_read(int fd, const char *until, int ms);

/**
 * pasta_env_fail() - Fail: what was printed is what went wrong
 */
void pasta_env_fail(void);

#endif /* FAKE_PASTA_ENV_H */
