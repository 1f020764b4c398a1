/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System call filter: install it, and tell of what it denied
 *
 * From here on, a process taken over by what it was sent can make only calls
 * that were made anyway, with the arguments of which a number says what they
 * do: no socket but of IP, none that is raw, no option of a socket but ours, no
 * ioctl but "how much is queued"; it can open no file, execute nothing, make
 * no process or thread, map no memory, change no protection of memory. What
 * they are stands beside the code that needs them, and seccomp.sh makes filters
 * of that. The list of what is allowed must be complete, and that depends on
 * the C library as well, which is why
 *
 * - functions are used that are one system call: epoll_pwait() and ppoll() are,
 *   on every machine, what epoll_wait() and poll() are on some;
 *
 * - allocating memory fails as if there were none, instead of ending us. We do
 *   not, but a C library may, for a text or a buffer, and can do without;
 *
 * - a call that is denied is reported with number and name before we end. The
 *   kernel sends SIGSYS to the thread that made it (SECCOMP_RET_TRAP) in place
 *   of making the call. That happens between two instructions of ours, not
 *   anywhere, so the handler may format and log as usual. If that needs a denied
 *   call as well, SIGSYS is blocked, and the kernel ends us at once.
 *
 * Afterwards, the handler makes another denied call on purpose: with SIGSYS
 * blocked, the kernel ends us by that very signal, process 1 of a PID namespace
 * included, and whoever waits for us sees the truth. abort() or kill() would be
 * two more calls to be allowed, and useless for a process 1.
 *
 * An intruder can at most keep the handler from saying anything: the call was
 * not made, and a handler cannot be replaced. SECCOMP=kill builds filters that
 * kill without a word (SECCOMP_RET_KILL_PROCESS): the tests run with those, so
 * that nothing of the handler's can help them to pass. SECCOMP=off builds none,
 * for sanitizers and Valgrind, which make calls of their own.
 *
 * Source: seccomp(2), Documentation/userspace-api/seccomp_filter.rst.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/log.h"
#include "seccomp.h"

/* For whatever a C library allocates: not at all. brk(2) is no function but
 * tells where memory ends, which is not where it was wanted.
 *
 * #syscalls brk!0 mmap!ENOMEM
 *
 * Return from main()
 *
 * #syscalls exit_group
 */

#ifdef SECCOMP_OFF

int seccomp_check(void)
{
	return -EOPNOTSUPP;
}

int seccomp_install(bool pasta)
{
	(void)pasta;
	return 0;
}

#else

/* What older headers lack */
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
#ifndef IP_MULTICAST_ALL
#define IP_MULTICAST_ALL 49
#endif
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

/* What happens to whoever makes another call */
#ifdef SECCOMP_KILL
#define SECCOMP_DENY SECCOMP_RET_KILL_PROCESS
#else
#define SECCOMP_DENY SECCOMP_RET_TRAP
#endif

#include "seccomp_filter.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Name of a system call, for messages */
static const char *call_name(int nr)
{
	const char *p, *name;
	long at = -1;
	char *end;

	for (p = seccomp_names; *p; p = name + strlen(name) + 1) {
		name = p;
		if (*p >= '0' && *p <= '9') {
			at = strtol(p, &end, 10);
			name = end + 1;
		} else {
			at++;
		}
		if (at == nr)
			return name;
	}
	return "unknown";
}

/* The handler of SIGSYS, never left. What it calls in the end, without
 * arguments that could make sense, is in no filter.
 */
static void denied(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	err("System call %i (%s) is not allowed: this is a bug, or an attack. "
	    "Please report it. Ending",
	    info->si_syscall, call_name(info->si_syscall));
	for (;;)
		syscall(SYS_execve, NULL, NULL, NULL);
}

/* Let SIGSYS through: whoever started us may have blocked or ignored it */
static int take_sigsys(void)
{
	struct sigaction act = { .sa_sigaction = denied,
				 .sa_flags = SA_SIGINFO };
	sigset_t set;

	sigemptyset(&act.sa_mask);
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	if (sigaction(SIGSYS, &act, NULL) ||
	    sigprocmask(SIG_UNBLOCK, &set, NULL))
		return -errno;
	return 0;
}

int seccomp_check(void)
{
	uint32_t action = SECCOMP_DENY;

	/* -1, EINVAL: not configured */
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		return -ENOSYS;
	/* Of Linux 4.14, as the action itself */
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) &&
	    errno == EOPNOTSUPP)
		return -ENOSYS;
	return 0;
}

int seccomp_install(bool pasta)
{
	struct sock_fprog prog;
	long rc;

	/* The kernel only reads them */
	if (pasta)
		prog = (struct sock_fprog){
			.len = (unsigned short)ARRAY_SIZE(seccomp_pasta),
			.filter = (struct sock_filter *)seccomp_pasta,
		};
	else
		prog = (struct sock_fprog){
			.len = (unsigned short)ARRAY_SIZE(seccomp_passt),
			.filter = (struct sock_filter *)seccomp_passt,
		};

	rc = take_sigsys();
	if (rc)
		return (int)rc;
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		     SECCOMP_FILTER_FLAG_TSYNC, &prog);
	if (rc < 0)
		return -errno;
	return rc ? -ESRCH : 0; /* a thread that has a filter of its own */
}

#endif /* SECCOMP_OFF */
