// SPDX-License-Identifier: GPL-2.0-or-later
/* Load generator: mode table and the helpers all modes share
 *
 * One small program stands on both ends of a measured path. Servers print
 * "ready" once they listen, clients print one JSON object when done. Nothing
 * here runs for ever: an alarm ends each process after LIFETIME seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define LIFETIME 120 /* seconds */

void load_die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

uint64_t load_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

struct load_addr load_addr_parse(const char *host, const char *port)
{
	struct load_addr a = { 0 };
	struct sockaddr_in6 *a6 = (struct sockaddr_in6 *)&a.sa;
	struct sockaddr_in *a4 = (struct sockaddr_in *)&a.sa;

	if (inet_pton(AF_INET, host, &a4->sin_addr) == 1) {
		a4->sin_family = AF_INET;
		a4->sin_port = htons((uint16_t)atoi(port));
		a.len = sizeof(*a4);
		return a;
	}

	if (inet_pton(AF_INET6, host, &a6->sin6_addr) != 1) {
		errno = EINVAL;
		load_die(host);
	}
	a6->sin6_family = AF_INET6;
	a6->sin6_port = htons((uint16_t)atoi(port));
	a.len = sizeof(*a6);
	return a;
}

int load_bound(int type, const char *port)
{
	struct load_addr a = load_addr_parse("::", port);
	int off = 0, on = 1, fd;

	fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		load_die("socket");

	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));

	if (bind(fd, (struct sockaddr *)&a.sa, a.len))
		load_die("bind");
	if (type == SOCK_STREAM && listen(fd, 4096))
		load_die("listen");
	return fd;
}

void load_timeout(int fd, long ms)
{
	struct timeval tv = { .tv_sec = ms / 1000,
			      .tv_usec = ms % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

void load_ready(void)
{
	puts("ready");
	fflush(stdout);
}

/* Print the time at which the command inside a namespace got to run */
static int load_stamp(char **argv)
{
	(void)argv;
	printf("{\"ns\": %llu}\n", (unsigned long long)load_now());
	return 0;
}

static const struct {
	const char *name;
	int nargs;
	int (*run)(char **argv);
	const char *args;
} modes[] = {
	{ "stamp", 0, load_stamp, "" },
	{ "tcp_echo", 1, load_tcp_echo, "PORT" },
	{ "tcp_echo_n", 2, load_tcp_echo_n, "PORT SIZE" },
	{ "tcp_rr", 4, load_tcp_rr, "ADDR PORT SECS COUNT" },
	{ "tcp_rr_n", 5, load_tcp_rr_n, "ADDR PORT SECS COUNT SIZE" },
	{ "tcp_crowd", 5, load_tcp_crowd, "ADDR PORT SECS N PERIOD" },
	{ "tcp_crr", 4, load_tcp_crr, "ADDR PORT SECS COUNT" },
	{ "tcp_blast", 3, load_tcp_blast, "ADDR PORT SECS" },
	{ "tcp_stall", 3, load_tcp_stall, "PORT SECS STALL" },
	{ "udp_echo", 1, load_udp_echo, "PORT" },
	{ "udp_rr", 4, load_udp_rr, "ADDR PORT SECS COUNT" },
	{ "udp_sink", 1, load_udp_sink, "PORT" },
	{ "udp_flood", 6, load_udp_flood, "ADDR PORT SIZE SECS PPS NSEG" },
	{ "udp_source", 5, load_udp_source, "PORT SIZE SECS PPS NSEG" },
	{ "udp_pull", 2, load_udp_pull, "ADDR PORT" },
	{ "many_serve", 2, load_many_serve, "PORT NPROC" },
	{ "many_hold", 4, load_many_hold, "ADDR PORT N NPROC" },
};

int main(int argc, char **argv)
{
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	alarm(LIFETIME);

	for (i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!strcmp(argv[1], modes[i].name) &&
		    argc == modes[i].nargs + 2)
			return modes[i].run(argv + 2);
	}

	fputs("usage:\n", stderr);
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		fprintf(stderr, "  load %s %s\n", modes[i].name, modes[i].args);
	return 2;
}
