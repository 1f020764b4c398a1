// SPDX-License-Identifier: GPL-2.0-or-later
/* Load generator: a reader that stalls, and very many connections at once */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"

#define CHUNK        (256 << 10)
#define MAX_PER_PROC 16384
#define CONNECT_MS   1000
#define OPEN_MS      15000 /* for all connections to open */
#define ECHO_MS      5000  /* for all echoes to come */
#define MAX_FAILURES 5     /* in a row, then no more are tried */
#define NEVENTS      256

static char chunk[CHUNK];

/* Return: blocking socket connected to @argv, or -1 */
static int tcp_connected(char **argv)
{
	struct load_addr a = load_addr_parse(argv[0], argv[1]);
	int fd = socket(a.sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	load_timeout(fd, CONNECT_MS);
	if (!connect(fd, (struct sockaddr *)&a.sa, a.len))
		return fd;
	close(fd);
	return -1;
}

int load_tcp_blast(char **argv)
{
	uint64_t end = load_now() + (uint64_t)(atof(argv[2]) * 1e9);
	int fd = tcp_connected(argv);
	uint64_t bytes = 0;
	ssize_t n;

	if (fd < 0)
		load_die("connect");
	load_timeout(fd, 100);
	while (load_now() < end) {
		n = send(fd, chunk, sizeof(chunk), 0);
		if (n < 0 && errno != EAGAIN)
			break;
		bytes += n > 0 ? (uint64_t)n : 0;
	}
	printf("{\"bytes\": %llu}\n", (unsigned long long)bytes);
	return 0;
}

/* Read for a third of SECS - STALL, stop for STALL seconds, read the rest */
int load_tcp_stall(char **argv)
{
	double secs = atof(argv[1]), stall = atof(argv[2]);
	int lfd = load_bound(SOCK_STREAM, argv[0]), fd;
	uint64_t start, bytes = 0, late = 0;
	int stalled = 0;
	ssize_t n;
	double t;

	load_ready();
	fd = accept(lfd, NULL, NULL);
	if (fd < 0)
		load_die("accept");
	load_timeout(fd, 100);

	start = load_now();
	while ((t = (double)(load_now() - start) / 1e9) < secs) {
		if (!stalled && t > (secs - stall) / 3) {
			usleep((useconds_t)(stall * 1e6));
			stalled = 1;
		}
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (!n)
			break;
		bytes += n > 0 ? (uint64_t)n : 0;
		late += n > 0 && stalled ? (uint64_t)n : 0;
	}
	printf("{\"bytes\": %llu, \"after\": %llu}\n",
	       (unsigned long long)bytes, (unsigned long long)late);
	return 0;
}

/* Let this process open as many files as it may */
static void files_to_the_limit(void)
{
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

/* Accept on @lfd and echo single bytes for ever */
static void many_loop(int lfd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = lfd };
	struct epoll_event evs[NEVENTS];
	int ep = epoll_create1(0), i, n, fd;
	char c;

	epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &ev);
	for (;;) {
		n = epoll_wait(ep, evs, NEVENTS, -1);
		for (i = 0; i < n; i++) {
			fd = evs[i].data.fd;
			if (fd == lfd) {
				fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK);
				ev.data.fd = fd;
				if (fd >= 0)
					epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
			} else if (recv(fd, &c, 1, 0) == 1) {
				send(fd, &c, 1, MSG_NOSIGNAL);
			} else {
				close(fd);
			}
		}
	}
}

int load_many_serve(char **argv)
{
	int nproc = atoi(argv[1]), i, lfd = -1;

	files_to_the_limit();
	for (i = 0; i < nproc; i++) {
		lfd = load_bound(SOCK_STREAM, argv[0]);
		if (i == nproc - 1)
			break;
		if (!fork()) {
			alarm(100);
			many_loop(lfd);
		}
		close(lfd);
	}
	load_ready();
	many_loop(lfd);
	return 0;
}

/* Ask each of @n connections for an echo; Return: how many answered */
static int many_echo(const int *fds, int n)
{
	struct pollfd p = { .events = POLLIN };
	int i, alive = 0;
	uint64_t end;
	char c = 'e';

	for (i = 0; i < n; i++)
		send(fds[i], &c, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	end = load_now() + (uint64_t)ECHO_MS * 1000000;
	for (i = 0; i < n; i++) {
		uint64_t now = load_now();

		p.fd = fds[i];
		if (poll(&p, 1, now < end ? (int)((end - now) / 1000000) : 0) >
			    0 &&
		    recv(fds[i], &c, 1, MSG_DONTWAIT) == 1)
			alive++;
	}
	return alive;
}

/*
 * One process' share of many_hold: open, report the count on @up, wait for
 * the end of @go, echo on all, report those alive, and wait for that of @quit
 */
static void many_share(char **argv, int n, int up, const int *go,
		       const int *quit)
{
	static int fds[MAX_PER_PROC];
	uint64_t end = load_now() + (uint64_t)OPEN_MS * 1000000;
	int opened = 0, failures = 0, alive;
	char c;

	close(go[1]);
	close(quit[1]);
	while (opened < n && failures < MAX_FAILURES && load_now() < end) {
		fds[opened] = tcp_connected(argv);
		if (fds[opened] >= 0) {
			opened++;
			failures = 0;
		} else {
			failures++;
		}
	}
	if (write(up, &opened, sizeof(opened)) < 0 || read(go[0], &c, 1) < 0)
		_exit(1);
	alive = many_echo(fds, opened);
	if (write(up, &alive, sizeof(alive)) < 0 || read(quit[0], &c, 1) < 0)
		_exit(1);
	_exit(0);
}

/* Sum one int from each of @nproc processes */
static int many_sum(int fd, int nproc)
{
	int sum = 0, v, i;

	for (i = 0; i < nproc; i++) {
		if (read(fd, &v, sizeof(v)) == (ssize_t)sizeof(v))
			sum += v;
	}
	return sum;
}

/* After the echo, holds the connections until a line comes on standard input */
int load_many_hold(char **argv)
{
	int n = atoi(argv[2]), nproc = atoi(argv[3]), opened, alive, i;
	int up[2], go[2], quit[2];
	uint64_t start;
	double secs;

	if (nproc < 1 || n / nproc + 1 > MAX_PER_PROC || pipe(up) || pipe(go) ||
	    pipe(quit))
		load_die("arguments");

	files_to_the_limit();
	start = load_now();
	for (i = 0; i < nproc; i++) {
		if (!fork()) {
			alarm(100);
			many_share(argv, n / nproc + (i < n % nproc), up[1], go,
				   quit);
		}
	}
	opened = many_sum(up[0], nproc);
	secs = (double)(load_now() - start) / 1e9;
	close(go[1]);
	alive = many_sum(up[0], nproc);
	printf("{\"opened\": %d, \"alive\": %d, \"secs\": %.3f}\n", opened,
	       alive, secs);
	fflush(stdout);
	(void)getchar();
	close(quit[1]);
	while (wait(NULL) > 0)
		;
	return 0;
}
