/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs share: each tries one thing the kernel is relied on for
 *
 * They run in a network namespace of their own, loopback up, as root there, and
 * end with a line that tells what was seen: yes(), status 0, or no(), status 1.
 * By itself, something that has no business failing ends with status 2.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define yes(...) tell(0, __VA_ARGS__)
#define no(...)  tell(1, __VA_ARGS__)
#define must(x)                                                  \
	do {                                                     \
		if (!(x))                                        \
			tell(2, "line %d: %s: %s", __LINE__, #x, \
			     strerror(errno));                   \
	} while (0)
#define tell(status, ...)            \
	do {                         \
		printf(__VA_ARGS__); \
		putchar('\n');       \
		fflush(stdout);      \
		_exit(status);       \
	} while (0)

/* A socket bound to a port of 127.0.0.1, which @sin is filled with */
static inline int bound(int type, struct sockaddr_in *sin)
{
	socklen_t len = sizeof(*sin);
	int fd = socket(AF_INET, type, 0);

	*sin = (struct sockaddr_in){ .sin_family = AF_INET };
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(fd >= 0 && !bind(fd, (struct sockaddr *)sin, len));
	must(!getsockname(fd, (struct sockaddr *)sin, &len));
	return fd;
}

/* A TCP connection of loopback */
static inline void tcp_pair(int fd[2])
{
	struct sockaddr_in sin;
	int listener = bound(SOCK_STREAM, &sin);

	must(!listen(listener, 1));
	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	must(!connect(fd[0], (struct sockaddr *)&sin, sizeof(sin)));
	fd[1] = accept(listener, NULL, NULL);
	must(fd[1] >= 0);
	close(listener);
}

/* Two UDP sockets of loopback, connected to each other */
static inline void udp_pair(int fd[2])
{
	struct sockaddr_in sin[2];
	int i;

	for (i = 0; i < 2; i++)
		fd[i] = bound(SOCK_DGRAM, &sin[i]);
	for (i = 0; i < 2; i++)
		must(!connect(fd[i], (struct sockaddr *)&sin[!i],
			      sizeof(sin[0])));
}

/* Become an ordinary user */
static inline void be_user(void)
{
	must(!setresgid(65534, 65534, 65534));
	must(!setresuid(65534, 65534, 65534));
}

#endif /* KERNEL_H */
