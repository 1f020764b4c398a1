/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System call filters as the kernel runs them: each call is tried by a child */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "seccomp.h"

#ifdef SECCOMP_OFF

static void test_off(void **state)
{
	(void)state;
	assert_int_equal(seccomp_check(), -EOPNOTSUPP);
	assert_int_equal(seccomp_install(true), 0);
	assert_int_equal(prctl(PR_GET_SECCOMP, 0, 0, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_off) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

#define DONE 77 /* status of a child that lived to its end */

/* What a call may do in a mode */
enum verdict {
	NO,    /* ends the process */
	OK,    /* reaches the kernel, which may refuse it */
	FAILS, /* is not made, the process lives */
};

/* Calls with arguments of no use, but for those looked at */
static const struct attempt {
	const char *name;
	long nr;
	enum verdict passt, pasta;
	long arg[3];
} attempts[] = {
	/* files */
	{ "openat", SYS_openat, NO, NO, { AT_FDCWD, 0, O_RDONLY } },
	{ "unlinkat", SYS_unlinkat, NO, NO, { AT_FDCWD } },
	{ "readlinkat", SYS_readlinkat, NO, NO, { AT_FDCWD } },
	{ "getdents64", SYS_getdents64, NO, NO, { -1 } },
	{ "newfstatat", SYS_newfstatat, NO, OK, { -1 } },
	{ "mount", SYS_mount, NO, NO, { 0 } },
	{ "umount2", SYS_umount2, NO, NO, { 0 } },
	{ "chroot", SYS_chroot, NO, NO, { 0 } },
	{ "pivot_root", SYS_pivot_root, NO, NO, { 0 } },
	{ "memfd_create", SYS_memfd_create, NO, NO, { 0 } },
	{ "sendfile", SYS_sendfile, NO, NO, { -1, -1 } },
	{ "dup", SYS_dup, NO, NO, { -1 } },
	{ "dup3", SYS_dup3, NO, NO, { -1 } },
	{ "fcntl", SYS_fcntl, NO, NO, { 1, F_SETFL } },
	{ "fcntl", SYS_fcntl, NO, NO, { 1, F_DUPFD } },
	{ "fcntl", SYS_fcntl, NO, OK, { 1, F_GETPIPE_SZ } },
	{ "pipe2", SYS_pipe2, NO, NO, { 0, 0 } },
	{ "pipe2", SYS_pipe2, NO, OK, { 0, O_NONBLOCK | O_CLOEXEC } },
	{ "splice", SYS_splice, NO, OK, { -1, 0, -1 } },
	{ "tee", SYS_tee, NO, NO, { -1, -1 } },
	{ "vmsplice", SYS_vmsplice, NO, NO, { -1 } },
	/* programs, processes, threads, other processes */
	{ "execve", SYS_execve, NO, NO, { 0 } },
	{ "execveat", SYS_execveat, NO, NO, { -1 } },
	{ "clone", SYS_clone, NO, NO, { SIGCHLD } },
	{ "clone", SYS_clone, NO, NO, { CLONE_VM | CLONE_THREAD } },
#ifdef SYS_clone3
	{ "clone3", SYS_clone3, NO, NO, { 0 } },
#endif
#ifdef SYS_fork
	{ "fork", SYS_fork, NO, NO, { 0 } },
	{ "vfork", SYS_vfork, NO, NO, { 0 } },
#endif
	{ "ptrace", SYS_ptrace, NO, NO, { PTRACE_TRACEME } },
	{ "process_vm_readv", SYS_process_vm_readv, NO, NO, { 1 } },
	{ "process_vm_writev", SYS_process_vm_writev, NO, NO, { 1 } },
	{ "kill", SYS_kill, NO, NO, { 0, SIGUSR1 } },
	{ "kill", SYS_kill, NO, NO, { 0, SIGSTOP } },
	{ "kill", SYS_kill, NO, OK, { 0, 0 } },
	{ "tgkill", SYS_tgkill, NO, NO, { 0, 0, 0 } },
	{ "waitid", SYS_waitid, NO, NO, { P_ALL } },
	{ "waitid", SYS_waitid, NO, OK, { P_PID, 1 } },
	/* who we are, and where */
	{ "setns", SYS_setns, NO, NO, { -1 } },
	{ "unshare", SYS_unshare, NO, NO, { CLONE_NEWUSER } },
	{ "setuid", SYS_setuid, NO, NO, { 0 } },
	{ "setresuid", SYS_setresuid, NO, NO, { 0 } },
	{ "capset", SYS_capset, NO, NO, { 0 } },
	{ "prctl", SYS_prctl, NO, NO, { PR_SET_DUMPABLE, 1 } },
	{ "prctl", SYS_prctl, NO, NO, { PR_GET_SECCOMP } },
	{ "seccomp", SYS_seccomp, NO, NO, { 0 } },
	{ "personality", SYS_personality, NO, NO, { -1 } },
	{ "rt_sigaction", SYS_rt_sigaction, NO, NO, { SIGSYS } },
	{ "rt_sigprocmask", SYS_rt_sigprocmask, NO, NO, { 0 } },
	{ "prlimit64", SYS_prlimit64, NO, NO, { 0, RLIMIT_CORE } },
	/* memory */
	{ "brk", SYS_brk, FAILS, FAILS, { 0 } },
	{ "mmap", SYS_mmap, FAILS, FAILS, { 0, 4096, PROT_READ } },
	{ "mprotect", SYS_mprotect, NO, NO, { 0, 0, PROT_EXEC } },
	{ "mremap", SYS_mremap, NO, NO, { 0 } },
	{ "shmget", SYS_shmget, NO, NO, { 0 } },
	/* the kernel itself */
	{ "bpf", SYS_bpf, NO, NO, { 0 } },
	{ "perf_event_open", SYS_perf_event_open, NO, NO, { 0 } },
	{ "userfaultfd", SYS_userfaultfd, NO, NO, { 0 } },
#ifdef SYS_io_uring_setup
	{ "io_uring_setup", SYS_io_uring_setup, NO, NO, { 0 } },
#endif
	{ "keyctl", SYS_keyctl, NO, NO, { 0 } },
	{ "init_module", SYS_init_module, NO, NO, { 0 } },
	{ "futex", SYS_futex, NO, NO, { 0 } },
	{ "sched_setscheduler",
	  SYS_sched_setscheduler,
	  OK,
	  OK,
	  { 0, SCHED_BATCH } },
	{ "sched_setscheduler",
	  SYS_sched_setscheduler,
	  OK,
	  OK,
	  { 0, SCHED_OTHER } },
	{ "sched_setscheduler",
	  SYS_sched_setscheduler,
	  NO,
	  NO,
	  { 0, SCHED_FIFO } },
	{ "sched_setscheduler",
	  SYS_sched_setscheduler,
	  NO,
	  NO,
	  { 1, SCHED_BATCH } },
	{ "clock_gettime", SYS_clock_gettime, NO, NO, { CLOCK_BOOTTIME } },
	{ "clock_gettime", SYS_clock_gettime, OK, OK, { CLOCK_MONOTONIC } },
	{ "clock_gettime", SYS_clock_gettime, OK, OK, { CLOCK_REALTIME } },
	{ "clock_gettime",
	  SYS_clock_gettime,
	  NO,
	  OK,
	  { CLOCK_PROCESS_CPUTIME_ID } },
	{ "clock_gettime",
	  SYS_clock_gettime,
	  NO,
	  NO,
	  { CLOCK_THREAD_CPUTIME_ID } },
	{ "clock_settime", SYS_clock_settime, NO, NO, { CLOCK_REALTIME } },
	/* devices, terminals */
	{ "ioctl", SYS_ioctl, NO, NO, { 1, TCGETS } },
	{ "ioctl", SYS_ioctl, NO, NO, { 1, TIOCSTI } },
	{ "ioctl", SYS_ioctl, NO, NO, { 1, SIOCSIFADDR } },
	{ "ioctl", SYS_ioctl, NO, OK, { 1, FIONREAD } },
	{ "ioctl", SYS_ioctl, NO, NO, { 1, FIONBIO } },
	{ "ioctl", SYS_ioctl, OK, OK, { 1, SIOCOUTQ } },
	{ "ioctl", SYS_ioctl, NO, OK, { 1, TIOCSPGRP } },
	/* sockets */
	{ "socket", SYS_socket, NO, NO, { AF_UNIX, SOCK_STREAM } },
	{ "socket", SYS_socket, NO, NO, { AF_NETLINK, SOCK_RAW } },
	{ "socket", SYS_socket, NO, NO, { AF_PACKET, SOCK_DGRAM } },
	{ "socket", SYS_socket, NO, NO, { AF_INET, SOCK_RAW, IPPROTO_TCP } },
	{ "socket",
	  SYS_socket,
	  NO,
	  NO,
	  { AF_INET6, SOCK_RAW, IPPROTO_ICMPV6 } },
	{ "socket",
	  SYS_socket,
	  NO,
	  NO,
	  { AF_INET, SOCK_STREAM, IPPROTO_SCTP } },
	{ "socket",
	  SYS_socket,
	  NO,
	  NO,
	  { AF_INET6, SOCK_DGRAM, IPPROTO_ICMP } },
	{ "socket", SYS_socket, NO, NO, { AF_VSOCK, SOCK_STREAM } },
	{ "socket",
	  SYS_socket,
	  OK,
	  OK,
	  { AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP } },
	{ "socket", SYS_socket, OK, OK, { AF_INET, SOCK_DGRAM, IPPROTO_UDP } },
	{ "socket", SYS_socket, OK, OK, { AF_INET, SOCK_DGRAM, IPPROTO_ICMP } },
	{ "socketpair", SYS_socketpair, NO, NO, { AF_UNIX, SOCK_STREAM } },
	{ "listen", SYS_listen, NO, OK, { -1 } },
	{ "sendto", SYS_sendto, NO, NO, { -1 } },
	{ "sendmsg", SYS_sendmsg, OK, OK, { -1 } },
	{ "shutdown", SYS_shutdown, NO, NO, { -1, SHUT_RDWR } },
	{ "shutdown", SYS_shutdown, OK, OK, { -1, SHUT_WR } },
	{ "setsockopt",
	  SYS_setsockopt,
	  NO,
	  NO,
	  { -1, SOL_SOCKET, SO_ATTACH_FILTER } },
	{ "setsockopt", SYS_setsockopt, NO, NO, { -1, SOL_SOCKET, SO_MARK } },
	{ "setsockopt", SYS_setsockopt, NO, NO, { -1, IPPROTO_TCP, TCP_ULP } },
	{ "setsockopt", SYS_setsockopt, NO, NO, { -1, SOL_IP, IP_HDRINCL } },
	{ "setsockopt",
	  SYS_setsockopt,
	  NO,
	  NO,
	  { -1, SOL_SOCKET, TCP_NODELAY } },
	{ "setsockopt",
	  SYS_setsockopt,
	  OK,
	  OK,
	  { -1, IPPROTO_TCP, TCP_NODELAY } },
	{ "setsockopt", SYS_setsockopt, OK, OK, { -1, SOL_SOCKET, SO_LINGER } },
	{ "getsockopt", SYS_getsockopt, NO, NO, { -1, IPPROTO_TCP, TCP_INFO } },
	{ "getsockopt", SYS_getsockopt, OK, OK, { -1, SOL_SOCKET, SO_ERROR } },
	{ "getsockopt",
	  SYS_getsockopt,
	  NO,
	  NO,
	  { -1, SOL_SOCKET, SO_PEERGROUPS } },
	/* no call at all */
	{ "unknown", 9999, NO, NO, { 0 } },
};

#define ATTEMPTS (sizeof(attempts) / sizeof(attempts[0]))

/* As isolation_postfork() leaves it; standard error to a pipe */
static void prepare(int fd)
{
	const struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	dup2(fd, STDERR_FILENO);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		_exit(1);
}

/* Run @fn in a child, behind a filter. Return: status, as of waitpid(2) */
static int run(bool pasta, void (*fn)(const void *arg), const void *arg,
	       char *said, size_t size)
{
	size_t len = 0;
	int fd[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prepare(fd[1]);
		if (seccomp_install(pasta))
			_exit(1);
		fn(arg);
		_exit(DONE);
	}
	close(fd[1]);
	while (len < size - 1 &&
	       (n = read(fd[0], said + len, size - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = '\0';
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Is that the end of somebody who was denied @name? */
static bool denied(int status, const char *said, const char *name)
{
	char want[64];

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
		return false;
#ifdef SECCOMP_KILL
	(void)want;
	(void)name;
	return !*said;
#else
	snprintf(want, sizeof(want), "(%s) is not allowed", name);
	return strstr(said, want) && strchr(said, '\n') &&
	       !strchr(said, '\n')[1];
#endif
}

static void attempt(const void *arg)
{
	const struct attempt *a = arg;
	long rc;

	errno = 0;
	rc = syscall(a->nr, a->arg[0], a->arg[1], a->arg[2], 0, 0, 0);
	if (a->passt == FAILS && rc && errno != ENOMEM)
		_exit(1);
}

/* Every attempt in both modes */
static void test_calls(void **state)
{
	char said[1024];
	unsigned bad = 0, mode;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * ATTEMPTS; i++) {
		const struct attempt *a = &attempts[i / 2];
		enum verdict want;
		bool right;
		int status;

		mode = i % 2;
		want = mode ? a->pasta : a->passt;
		status = run(mode, attempt, a, said, sizeof(said));
		if (want == NO)
			right = denied(status, said, a->name);
		else
			right = WIFEXITED(status) &&
				WEXITSTATUS(status) == DONE && !*said;
		if (right)
			continue;
		bad++;
		print_error("%s: %s(%li, %li, %li): status 0x%x, \"%s\"\n",
			    mode ? "pasta" : "passt", a->name, a->arg[0],
			    a->arg[1], a->arg[2], (unsigned)status, said);
	}
	assert_int_equal(bad, 0);
}

#ifdef __x86_64__
/* The same numbers mean other calls: 5 is open() of i386 */
static void call_i386(const void *arg)
{
	long rc;

	(void)arg;
	__asm__ volatile("int $0x80"
			 : "=a"(rc)
			 : "a"(5), "b"(0), "c"(0), "d"(0)
			 : "memory");
	(void)rc;
}

/* getpid() of x32 */
static void call_x32(const void *arg)
{
	(void)arg;
	syscall(0x40000000 | SYS_getppid);
}

static void test_alien(void **state)
{
	char said[1024];
	int status;

	(void)state;
	status = run(false, call_i386, NULL, said, sizeof(said));
	/* A kernel without 32-bit support says so in its way */
	assert_true(WIFSIGNALED(status));
	assert_true(WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV);
	status = run(false, call_x32, NULL, said, sizeof(said));
	assert_true(denied(status, said, "unknown"));
}
#endif

static int to_thread[2];

/* A thread that is there before the filter; all signals blocked but SIGSYS */
static void *other_thread(void *arg)
{
	char c;

	/* The C library has done what it does in a new thread */
	*(atomic_bool *)arg = true;
	if (read(to_thread[0], &c, 1) == 1)
		syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY);
	return NULL;
}

/* All threads are filtered, and reported about; all of the process ends */
static void test_threads(void **state)
{
	char said[1024] = { 0 };
	atomic_bool there = false;
	pthread_t thread = 0;
	sigset_t set;
	int fd[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	assert_int_equal(pipe2(to_thread, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prepare(fd[1]);
		sigfillset(&set);
		sigdelset(&set, SIGSYS);
		sigprocmask(SIG_SETMASK, &set, NULL);
		if (pthread_create(&thread, NULL, other_thread, &there))
			_exit(1);
		while (!there)
			sched_yield();
		if (seccomp_install(true) || write(to_thread[1], "", 1) != 1)
			_exit(1);
		ppoll(NULL, 0, &(struct timespec){ 10, 0 }, NULL);
		_exit(DONE);
	}
	close(fd[1]);
	close(to_thread[0]);
	close(to_thread[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(read(fd[0], said, sizeof(said) - 1) >= 0);
	close(fd[0]);
	assert_true(denied(status, said, "openat"));
}

/* Whoever started us blocks, or ignores, SIGSYS: reported all the same */
static void test_blocked(void **state)
{
	static const struct attempt a = { "openat", SYS_openat, NO, NO, { 0 } };
	struct sigaction ign = { .sa_handler = SIG_IGN }, old;
	char said[1024];
	sigset_t set;
	int status;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGSYS, &ign, &old);
	status = run(false, attempt, &a, said, sizeof(said));
	sigaction(SIGSYS, &old, NULL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	assert_true(denied(status, said, "openat"));
}

/* Process 1 of a PID namespace is spared signals, but not this one */
static void test_init(void **state)
{
	static const struct attempt a = { "openat", SYS_openat, NO, NO, { 0 } };
	char said[1024];
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		/* As an ordinary user, or as root: either will do */
		if (unshare(CLONE_NEWUSER | CLONE_NEWPID))
			_exit(2);
		status = run(true, attempt, &a, said, sizeof(said));
		_exit(denied(status, said, "openat") ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void use_libc(const void *arg)
{
	char text[64];
	void *volatile p; /* or there need be no malloc() */

	(void)arg;
	p = malloc((size_t)1 << 24);
	if (p || errno != ENOMEM)
		_exit(1);
	if (snprintf(text, sizeof(text), "%s %5.2d", "text", 12) < 0)
		_exit(1);
	exit(DONE);
}

/* Memory is refused, not paid for with life; the way out is open */
static void test_libc(void **state)
{
	char said[1024];
	int status;

	(void)state;
	status = run(false, use_libc, NULL, said, sizeof(said));
	assert_string_equal(said, "");
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), DONE);
}

static void test_check(void **state)
{
	(void)state;
	assert_int_equal(seccomp_check(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),   cmocka_unit_test(test_calls),
#ifdef __x86_64__
		cmocka_unit_test(test_alien),
#endif
		cmocka_unit_test(test_threads), cmocka_unit_test(test_blocked),
		cmocka_unit_test(test_init),    cmocka_unit_test(test_libc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif /* SECCOMP_OFF */
