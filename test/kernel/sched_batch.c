/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A user may change to SCHED_BATCH and back; who has it wakes up when a CPU is free */
#include "kernel.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>

#define TIMES 31

static void policy(int to)
{
	const struct sched_param param = { 0 };

	if (syscall(SYS_sched_setscheduler, 0, to, &param) ||
	    syscall(SYS_sched_getscheduler, 0) != to)
		no("policy %d cannot be had: %s", to, strerror(errno));
}

static int order(const void *a, const void *b)
{
	const long *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* How late we wake up beside who computes, us: the median */
static long late(void)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct timespec from, to;
	long us[TIMES];
	unsigned i;

	for (i = 0; i < TIMES; i++) {
		clock_gettime(CLOCK_MONOTONIC, &from);
		nanosleep(&nap, NULL);
		clock_gettime(CLOCK_MONOTONIC, &to);
		us[i] = (to.tv_sec - from.tv_sec) * 1000000 +
			(to.tv_nsec - from.tv_nsec - nap.tv_nsec) / 1000;
	}
	qsort(us, TIMES, sizeof(us[0]), order);
	return us[TIMES / 2];
}

int main(void)
{
	long other, batch;
	cpu_set_t one;
	pid_t pid;
	int cpu;

	must((cpu = sched_getcpu()) >= 0);
	CPU_ZERO(&one);
	CPU_SET((unsigned)cpu, &one);
	must(!sched_setaffinity(0, sizeof(one), &one));
	must((pid = fork()) >= 0);
	if (!pid) {
		alarm(10);
		for (;;)
			;
	}
	other = late();
	policy(SCHED_BATCH);
	batch = late();
	policy(SCHED_OTHER);
	must(!kill(pid, SIGKILL));
	yes("beside who computes, sleepers woke %ld us late, with SCHED_BATCH "
	    "%ld us",
	    other, batch);
}
