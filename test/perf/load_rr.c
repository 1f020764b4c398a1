// SPDX-License-Identifier: GPL-2.0-or-later
/* Load generator: request/response, with and without connection set-up
 *
 * One transaction is one byte there and one byte back (UDP: an 8-byte sequence
 * number, so that a late answer is not taken for the next one; those whose name
 * ends with _n: so many bytes). Servers serve
 * one client at a time with plain blocking calls: what is measured is the path
 * between, so the ends are as short as they can be.
 *
 * Latencies go to a histogram of 20 ns cells; the median of it is exact to one
 * cell, and a transaction later than its last cell counts there.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define CELL_NS    20
#define NCELLS     (1 << 20)
#define WARMUP     50   /* transactions, not counted */
#define GIVE_UP_MS 2000 /* a stuck connection */
#define LOST_MS    200  /* a lost datagram */
#define MAX_ERRORS 20
#define MAX_SIZE   (1 << 20) /* bytes of a request */
#define MAX_CROWD  256       /* connections */
#define SECOND     1000000000ULL

static uint32_t cells[NCELLS];
static char message[MAX_SIZE];

/* What a run counted; transactions during warm-up are left out */
struct rr {
	uint64_t start;
	uint64_t end;
	uint64_t done;
	uint64_t errors;
	uint64_t limit;
	uint64_t secs;
};

static void rr_init(struct rr *r, char **argv)
{
	*r = (struct rr){ .secs = (uint64_t)atoi(argv[2]),
			  .limit = (uint64_t)atoll(argv[3]) };
}

/* Count one transaction; Return: false when the run is over */
static int rr_count(struct rr *r, uint64_t from, uint64_t to)
{
	uint64_t cell = (to - from) / CELL_NS;

	if (!r->start) {
		if (++r->done < WARMUP)
			return 1;
		r->done = 0;
		r->start = to;
		return 1;
	}

	cells[cell < NCELLS ? cell : NCELLS - 1]++;
	r->done++;
	r->end = to;
	if (r->limit)
		return r->done < r->limit;
	return to - r->start < r->secs * 1000000000;
}

/* Count one failure; Return: false when there were too many */
static int rr_error(struct rr *r)
{
	return ++r->errors < MAX_ERRORS;
}

/* Return: microseconds below which @permille of all transactions stayed */
static double rr_quantile(const struct rr *r, uint64_t permille)
{
	uint64_t seen = 0, want = (r->done * permille + 999) / 1000;
	size_t i;

	for (i = 0; i < NCELLS; i++) {
		seen += cells[i];
		if (seen >= want)
			break;
	}
	return (double)(i * CELL_NS + CELL_NS / 2) / 1000;
}

static int rr_report(const struct rr *r)
{
	double secs = (double)(r->end - r->start) / 1e9;

	if (!r->start || !r->done) {
		printf("{\"error\": \"no transaction succeeded\"}\n");
		return 1;
	}
	printf("{\"n\": %llu, \"secs\": %.6f, \"rate\": %.1f, "
	       "\"p50\": %.2f, \"p99\": %.2f, \"errors\": %llu}\n",
	       (unsigned long long)r->done, secs, (double)r->done / secs,
	       rr_quantile(r, 500), rr_quantile(r, 990),
	       (unsigned long long)r->errors);
	return 0;
}

/* Return: connected socket without Nagle, or -1 */
static int rr_connect(const struct load_addr *a)
{
	int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		load_die("socket");

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	load_timeout(fd, GIVE_UP_MS);
	if (!connect(fd, (const struct sockaddr *)&a->sa, a->len))
		return fd;
	close(fd);
	return -1;
}

/* Send and receive all of a message; Return: 0, -1 if that failed */
static int rr_send(int fd, size_t size)
{
	return send(fd, message, size, 0) == (ssize_t)size ? 0 : -1;
}

static int rr_recv(int fd, size_t size)
{
	return recv(fd, message, size, MSG_WAITALL) == (ssize_t)size ? 0 : -1;
}

static size_t rr_size(const char *arg)
{
	size_t size = (size_t)atol(arg);

	if (size && size <= MAX_SIZE)
		return size;
	errno = EINVAL;
	load_die("size");
	return 0;
}

/* Answer messages of @size, of one connection after the other */
static void rr_serve(const char *port, size_t size)
{
	int lfd = load_bound(SOCK_STREAM, port), on = 1;

	load_ready();
	for (;;) {
		int fd = accept(lfd, NULL, NULL);

		if (fd < 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		load_timeout(fd, GIVE_UP_MS);
		while (!rr_recv(fd, size) && !rr_send(fd, size))
			;
		close(fd);
	}
}

int load_tcp_echo(char **argv)
{
	rr_serve(argv[0], 1);
	return 0;
}

int load_tcp_echo_n(char **argv)
{
	rr_serve(argv[0], rr_size(argv[1]));
	return 0;
}

/* Transactions of @size bytes over one connection */
static int rr_ask(char **argv, size_t size)
{
	struct load_addr a = load_addr_parse(argv[0], argv[1]);
	uint64_t from, to = load_now();
	struct rr r;
	int fd;

	rr_init(&r, argv);
	fd = rr_connect(&a);
	if (fd < 0)
		load_die("connect");

	do {
		from = to;
		if (rr_send(fd, size) || rr_recv(fd, size)) {
			r.errors++;
			break;
		}
		to = load_now();
	} while (rr_count(&r, from, to));
	return rr_report(&r);
}

int load_tcp_rr(char **argv)
{
	return rr_ask(argv, 1);
}

int load_tcp_rr_n(char **argv)
{
	return rr_ask(argv, rr_size(argv[4]));
}

/* One connection of a crowd */
struct asker {
	uint64_t due;  /* next request */
	uint64_t sent; /* the one that is waited for, 0: none */
};

/* Send what is due; Return: when the next one will be, 0 on errors */
static uint64_t crowd_send(struct asker *asker, const struct pollfd *p, int n,
			   uint64_t period)
{
	uint64_t now = load_now(), next = now + period;
	int i;

	for (i = 0; i < n; i++) {
		if (asker[i].sent)
			continue;
		if (asker[i].due <= now) {
			asker[i].sent = load_now();
			asker[i].due += period;
			if (rr_send(p[i].fd, 1))
				return 0;
		} else if (asker[i].due < next) {
			next = asker[i].due;
		}
	}
	return next;
}

/* N connections, each with a request every PERIOD ms or, if the answer takes
 * longer, when that came: a load that does not depend on who carries it
 */
int load_tcp_crowd(char **argv)
{
	struct load_addr a = load_addr_parse(argv[0], argv[1]);
	uint64_t period = (uint64_t)atoi(argv[4]) * (SECOND / 1000), next;
	static struct asker asker[MAX_CROWD];
	static struct pollfd p[MAX_CROWD];
	int n = atoi(argv[3]), i, more = 1;
	struct rr r = { .secs = (uint64_t)atoi(argv[2]) };

	if (n < 1 || n > MAX_CROWD || !period)
		load_die("arguments");
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	for (i = 0; i < n; i++) {
		p[i] = (struct pollfd){ rr_connect(&a), POLLIN, 0 };
		if (p[i].fd < 0)
			load_die("connect");
		asker[i].due = load_now() + period * (uint64_t)i / (uint64_t)n;
	}

	while (more && (next = crowd_send(asker, p, n, period))) {
		uint64_t now = load_now(), left = next > now ? next - now : 0;
		struct timespec ts = { .tv_sec = (time_t)(left / SECOND),
				       .tv_nsec = (long)(left % SECOND) };

		if (ppoll(p, (nfds_t)n, &ts, NULL) < 0)
			load_die("poll");
		for (i = 0; i < n && more; i++) {
			if (!p[i].revents)
				continue;
			if (rr_recv(p[i].fd, 1))
				more = rr_error(&r);
			else
				more = rr_count(&r, asker[i].sent, load_now());
			asker[i].sent = 0;
		}
	}
	return rr_report(&r);
}

int load_tcp_crr(char **argv)
{
	struct load_addr a = load_addr_parse(argv[0], argv[1]);
	struct linger rst = { .l_onoff = 1, .l_linger = 0 };
	uint64_t from, to = load_now();
	struct rr r;
	char c = 'r';
	int fd, ok;

	rr_init(&r, argv);
	for (;;) {
		from = to;
		fd = rr_connect(&a);
		ok = fd >= 0 && send(fd, &c, 1, 0) == 1 &&
		     recv(fd, &c, 1, 0) == 1;
		if (fd >= 0) {
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst,
				   sizeof(rst));
			close(fd);
		}
		to = load_now();
		if (!(ok ? rr_count(&r, from, to) : rr_error(&r)))
			return rr_report(&r);
	}
}

int load_udp_echo(char **argv)
{
	int fd = load_bound(SOCK_DGRAM, argv[0]);
	struct load_addr from;
	char buf[2048];
	ssize_t n;

	load_ready();
	for (;;) {
		from.len = sizeof(from.sa);
		n = recvfrom(fd, buf, sizeof(buf), 0,
			     (struct sockaddr *)&from.sa, &from.len);
		if (n >= 0)
			sendto(fd, buf, (size_t)n, 0,
			       (struct sockaddr *)&from.sa, from.len);
	}
}

int load_udp_rr(char **argv)
{
	struct load_addr a = load_addr_parse(argv[0], argv[1]);
	uint64_t seq = 0, got, from, to = load_now();
	struct rr r;
	ssize_t n;
	int fd, ok;

	rr_init(&r, argv);
	fd = socket(a.sa.ss_family, SOCK_DGRAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a.sa, a.len))
		load_die("connect");
	load_timeout(fd, LOST_MS);

	do {
		from = to;
		seq++;
		n = send(fd, &seq, sizeof(seq), 0);
		do {
			got = 0;
			if (n == (ssize_t)sizeof(seq))
				n = recv(fd, &got, sizeof(got), 0);
		} while (n == (ssize_t)sizeof(got) && got != seq);
		to = load_now();
		ok = n == (ssize_t)sizeof(got);
	} while (ok ? rr_count(&r, from, to) : rr_error(&r));
	return rr_report(&r);
}
