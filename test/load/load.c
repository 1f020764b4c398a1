/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Crowds for the load tests: many connections, many flows, floods
 *
 * usage: load serve ADDR PORT		TCP and UDP echo, prints "ready"
 *	  load tcp ADDR PORT N		N connections at once
 *	  load udp ADDR PORT N		N sockets, each with a port of its own
 *	  load rr tcp|udp ADDR PORT	one message there and back, again and again
 *	  load flood ADDR PORT SIZE RATE	datagrams, so many a second, 0: as
 *						fast as they go
 *	  load bulk ADDR PORT		bytes as fast as they go, answers dropped
 *	  load syn IFNAME MAC SRC DST PORT N	SYNs as raw frames, no answers
 *
 * "tcp" and "udp" read commands from standard input, and answer each with a
 * line of JSON: "open" (the same as the first), "round" (a message of each is
 * echoed, and compared), "close". "rr", "flood" and "bulk" run until standard
 * input ends, and then tell what they did. "syn" tells when it is done.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS    256
#define MSG_LEN   64   /* of "tcp" and "udp" */
#define OPENING   256  /* connections or answers waited for at once */
#define GIVE_UP   30.0 /* seconds without any progress */
#define RESEND_MS 300  /* a datagram that got no answer goes once more */
#define RTTS_MAX  (1 << 22)
#define SYN_BATCH 64

struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct addr parse(const char *host, const char *port)
{
	struct addr a = { .len = sizeof(a.v4) };

	if (inet_pton(AF_INET, host, &a.v4.sin_addr) == 1) {
		a.sa.sa_family = AF_INET;
	} else if (inet_pton(AF_INET6, host, &a.v6.sin6_addr) == 1) {
		a.sa.sa_family = AF_INET6;
		a.len = sizeof(a.v6);
	} else {
		errno = EINVAL;
		die(host);
	}
	a.v4.sin_port = htons((uint16_t)atoi(port)); /* same place in both */
	return a;
}

static int sock_new(const struct addr *a, int type)
{
	int fd = socket(a->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0);

	if (fd < 0)
		die("socket");
	return fd;
}

static void watch(int ep, int fd, uint32_t events, uint32_t id)
{
	struct epoll_event ev = { .events = events, .data.u32 = id };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
		die("epoll_ctl");
}

/* --- serve -------------------------------------------------------------- */

static void serve_accept(int ep, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		watch(ep, fd, EPOLLIN, (uint32_t)fd);
}

static void serve_datagrams(int fd)
{
	static char buf[65536];
	struct addr peer = { .len = sizeof(peer.v6) };
	ssize_t n;

	while ((n = recvfrom(fd, buf, sizeof(buf), 0, &peer.sa, &peer.len)) >=
	       0) {
		sendto(fd, buf, (size_t)n, 0, &peer.sa, peer.len);
		peer.len = sizeof(peer.v6);
	}
}

/* What does not fit the socket is waited for: a client that only sends is
 * slowed down, others wait meanwhile
 */
static void serve_stream(int fd)
{
	static char buf[65536];
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	ssize_t n = recv(fd, buf, sizeof(buf), 0), done, at = 0;

	if (n < 0 && errno == EAGAIN)
		return;
	while (at < n) {
		done = send(fd, buf + at, (size_t)(n - at), MSG_NOSIGNAL);
		if (done > 0)
			at += done;
		else if (errno != EAGAIN || poll(&pfd, 1, 1000) <= 0)
			n = -1;
	}
	if (n <= 0)
		close(fd);
}

static int serve(char **argv)
{
	struct addr a = parse(argv[0], argv[1]);
	int ep = epoll_create1(EPOLL_CLOEXEC), one = 1, size = 4 << 20;
	int tcp = sock_new(&a, SOCK_STREAM), udp = sock_new(&a, SOCK_DGRAM);
	struct epoll_event ev[EVENTS];

	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(tcp, &a.sa, a.len) || bind(udp, &a.sa, a.len) ||
	    listen(tcp, 4096))
		die("bind");
	watch(ep, tcp, EPOLLIN, (uint32_t)tcp);
	watch(ep, udp, EPOLLIN, (uint32_t)udp);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int i, n = epoll_wait(ep, ev, EVENTS, -1);

		if (n < 0 && errno != EINTR)
			return 1;

		for (i = 0; i < n; i++) {
			int fd = (int)ev[i].data.u32;

			if (fd == tcp)
				serve_accept(ep, fd);
			else if (fd == udp)
				serve_datagrams(fd);
			else
				serve_stream(fd);
		}
	}
}

/* --- tcp, udp: a crowd --------------------------------------------------- */

/* One member; @sent: when, 0 if nothing is waited for */
struct member {
	int fd;
	double sent;
	bool up, bad;
	unsigned got;
};

static struct crowd {
	struct addr to;
	bool udp;
	int ep;
	unsigned n, serial;
	unsigned busy, next, done, failed, wrong, repeated;
	int error; /* the last one */
	double progress;
	struct member *m;
} crowd;

static void message(char *buf, unsigned i)
{
	unsigned k;

	memcpy(buf, &i, sizeof(i));
	memcpy(buf + sizeof(i), &crowd.serial, sizeof(crowd.serial));
	for (k = 8; k < MSG_LEN; k++)
		buf[k] = (char)(i * 31 + crowd.serial * 7 + k);
}

/* No longer waited for; @ok: as it should be */
static void member_done(struct member *m, bool ok)
{
	m->sent = 0;
	crowd.busy--;
	crowd.progress = now();
	if (ok) {
		crowd.done++;
		return;
	}
	crowd.error = errno;
	crowd.failed++;
	m->bad = true;
}

static void member_open(unsigned i)
{
	struct member *m = &crowd.m[i];

	m->fd = sock_new(&crowd.to, crowd.udp ? SOCK_DGRAM : SOCK_STREAM);
	m->sent = now();
	crowd.busy++;
	if (connect(m->fd, &crowd.to.sa, crowd.to.len) &&
	    errno != EINPROGRESS) {
		member_done(m, false);
		return;
	}
	watch(crowd.ep, m->fd,
	      EPOLLIN | EPOLLET | (crowd.udp ? 0 : (uint32_t)EPOLLOUT), i);
	if (crowd.udp) {
		m->up = true;
		member_done(m, true);
	}
}

static void member_send(unsigned i)
{
	struct member *m = &crowd.m[i];
	char buf[MSG_LEN];

	crowd.busy++;
	m->got = 0;
	m->sent = now();
	message(buf, i);
	if (m->bad || send(m->fd, buf, MSG_LEN, MSG_NOSIGNAL) != MSG_LEN)
		member_done(m, false);
}

/* Events while opening */
static void opened(struct member *m, uint32_t events)
{
	socklen_t len = sizeof(int);
	int e = 0;

	if (m->up || m->bad)
		return;
	getsockopt(m->fd, SOL_SOCKET, SO_ERROR, &e, &len);
	m->up = !e && events & EPOLLOUT;
	member_done(m, m->up);
}

/* Events while messages are echoed */
static void answered(unsigned i)
{
	struct member *m = &crowd.m[i];
	char buf[MSG_LEN + 1], want[MSG_LEN];
	ssize_t n;

	message(want, i);
	while ((n = recv(m->fd, buf, sizeof(buf), 0)) > 0) {
		if (!m->sent) {
			crowd.wrong += !crowd.udp; /* late ones may be twice */
			continue;
		}
		if (m->got + (unsigned)n > MSG_LEN ||
		    memcmp(buf, want + m->got, (size_t)n)) {
			/* of a datagram of an earlier round */
			crowd.wrong += !crowd.udp || n != MSG_LEN;
			continue;
		}
		m->got += (unsigned)n;
		if (m->got == MSG_LEN)
			member_done(m, true);
	}
	if ((!n && !crowd.udp) || (n < 0 && errno != EAGAIN)) {
		if (m->sent)
			member_done(m, false);
		m->bad = true;
	}
}

/* Datagrams may be lost: once more, now and then */
static void repeat(void)
{
	char buf[MSG_LEN];
	unsigned i;

	for (i = 0; crowd.udp && i < crowd.n; i++) {
		struct member *m = &crowd.m[i];

		if (!m->sent || now() - m->sent < RESEND_MS / 1000.0)
			continue;
		message(buf, i);
		m->sent = now();
		crowd.repeated++;
		send(m->fd, buf, MSG_LEN, MSG_NOSIGNAL);
	}
}

/* Have each member do something, OPENING at a time */
static void crowd_do(const char *what, void (*begin)(unsigned), bool opening)
{
	struct epoll_event ev[EVENTS];
	double start = now();

	crowd.serial++;
	crowd.busy = crowd.next = crowd.done = crowd.failed = crowd.wrong = 0;
	crowd.repeated = 0;
	crowd.error = 0;
	crowd.progress = start;
	while (crowd.done + crowd.failed < crowd.n &&
	       now() - crowd.progress < GIVE_UP) {
		int i, n;

		while (crowd.busy < OPENING && crowd.next < crowd.n)
			begin(crowd.next++);
		n = epoll_wait(crowd.ep, ev, EVENTS, RESEND_MS / 3);
		for (i = 0; i < n; i++) {
			if (opening)
				opened(&crowd.m[ev[i].data.u32], ev[i].events);
			else
				answered(ev[i].data.u32);
		}
		if (!n)
			repeat();
	}
	printf("{\"what\": \"%s\", \"seconds\": %.3f, \"done\": %u, "
	       "\"failed\": %u, \"wrong\": %u, \"repeated\": %u, "
	       "\"error\": \"%s\"}\n",
	       what, now() - start, crowd.done, crowd.n - crowd.done,
	       crowd.wrong, crowd.repeated,
	       crowd.error ? strerror(crowd.error) : "");
	fflush(stdout);
}

static int crowd_run(char **argv, bool udp)
{
	char line[32];
	unsigned i;

	crowd.to = parse(argv[0], argv[1]);
	crowd.udp = udp;
	crowd.n = (unsigned)atoi(argv[2]);
	crowd.m = calloc(crowd.n, sizeof(*crowd.m));
	crowd.ep = epoll_create1(EPOLL_CLOEXEC);
	crowd_do("open", member_open, true);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "round\n"))
			crowd_do("round", member_send, false);
		else if (!strcmp(line, "close\n"))
			break;
	}
	for (i = 0; i < crowd.n; i++)
		close(crowd.m[i].fd);
	return 0;
}

static int crowd_tcp(char **argv)
{
	return crowd_run(argv, false);
}

static int crowd_udp(char **argv)
{
	return crowd_run(argv, true);
}

/* --- rr, flood, bulk: until standard input ends -------------------------- */

static bool asked_to_stop(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char c;

	return poll(&p, 1, 0) > 0 && read(STDIN_FILENO, &c, 1) <= 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int rr(char **argv)
{
	struct addr a = parse(argv[1], argv[2]);
	bool udp = !strcmp(argv[0], "udp");
	double *rtt = malloc(RTTS_MAX * sizeof(*rtt)), begin = now(), t, secs;
	int fd = socket(a.sa.sa_family, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
	/* A datagram that gets lost must not take the time of all others */
	struct timeval patience = { .tv_sec = udp ? 0 : 30,
				    .tv_usec = udp ? 100000 : 0 };
	unsigned long n = 0, lost = 0;
	char buf[MSG_LEN];
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (!rtt || connect(fd, &a.sa, a.len))
		die("connect");
	while (n < RTTS_MAX && !asked_to_stop()) {
		t = now();
		memset(buf, 0, sizeof(buf));
		memcpy(buf, &t, sizeof(t));
		if (send(fd, buf, sizeof(buf), MSG_NOSIGNAL) < 0)
			die("send");
		if (recv(fd, buf, sizeof(buf), MSG_WAITALL) != sizeof(buf)) {
			if (!udp)
				die("recv");
			lost++;
			continue;
		}
		memcpy(&t, buf, sizeof(t));
		rtt[n++] = (now() - t) * 1e6;
	}
	secs = now() - begin;
	if (!n)
		die("no answers");
	qsort(rtt, n, sizeof(*rtt), by_value);
	printf("{\"rate\": %.0f, \"n\": %lu, \"lost\": %lu, \"p50\": %.0f, "
	       "\"p99\": %.0f, \"max\": %.0f}\n",
	       (double)n / secs, n, lost, rtt[n / 2], rtt[n - 1 - n / 100],
	       rtt[n - 1]);
	return 0;
}

static int flood(char **argv)
{
	struct addr a = parse(argv[0], argv[1]);
	size_t size = (size_t)atoi(argv[2]);
	double rate = atof(argv[3]);
	unsigned long n = 0, refused = 0;
	static char buf[65536];
	double begin = now();
	int fd = socket(a.sa.sa_family, SOCK_DGRAM, 0);

	if (connect(fd, &a.sa, a.len))
		die("connect");
	while (n % 64 || !asked_to_stop()) {
		if (send(fd, buf, size, 0) < 0)
			refused++;
		n++;
		while (rate > 0 && n % 64 == 0 &&
		       (double)n / rate > now() - begin)
			usleep(500);
	}
	printf("{\"sent\": %lu, \"refused\": %lu, \"rate\": %.0f}\n", n,
	       refused, (double)n / (now() - begin));
	return 0;
}

static int bulk(char **argv)
{
	struct addr a = parse(argv[0], argv[1]);
	unsigned long long sent = 0, got = 0;
	static char buf[262144];
	double begin = now();
	int fd = socket(a.sa.sa_family, SOCK_STREAM, 0);

	if (connect(fd, &a.sa, a.len))
		die("connect");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (!asked_to_stop()) {
		struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
		ssize_t n;

		poll(&p, 1, 100);
		n = send(fd, buf, sizeof(buf), MSG_NOSIGNAL);
		sent += n > 0 ? (unsigned long long)n : 0;
		n = recv(fd, buf, sizeof(buf), MSG_TRUNC);
		got += n > 0 ? (unsigned long long)n : 0;
		if (!n)
			break;
	}
	printf("{\"sent\": %llu, \"got\": %llu, \"seconds\": %.3f}\n", sent,
	       got, now() - begin);
	return 0;
}

/* --- syn ----------------------------------------------------------------- */

static uint32_t sum16(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* IP header before @th. Return: where the frame's L3 begins */
static size_t syn_ip(uint8_t *p, const struct addr *src, const struct addr *dst)
{
	struct iphdr ip = { .version = 4,
			    .ihl = 5,
			    .tot_len = htons(sizeof(ip) +
					     sizeof(struct tcphdr)),
			    .ttl = 64,
			    .protocol = IPPROTO_TCP };
	struct ip6_hdr ip6 = { 0 };

	if (src->sa.sa_family == AF_INET) {
		ip.saddr = src->v4.sin_addr.s_addr;
		ip.daddr = dst->v4.sin_addr.s_addr;
		ip.check = fold(sum16(&ip, sizeof(ip), 0));
		memcpy(p, &ip, sizeof(ip));
		return sizeof(ip);
	}
	ip6.ip6_flow = htonl(6U << 28);
	ip6.ip6_plen = htons(sizeof(struct tcphdr));
	ip6.ip6_nxt = IPPROTO_TCP;
	ip6.ip6_hlim = 64;
	ip6.ip6_src = src->v6.sin6_addr;
	ip6.ip6_dst = dst->v6.sin6_addr;
	memcpy(p, &ip6, sizeof(ip6));
	return sizeof(ip6);
}

/* One SYN, the @i-th: source ports first, then destination ports.
 *
 * Return: length of the frame
 */
static size_t syn_frame(uint8_t *p, const struct ether_header *eh,
			const struct addr *src, const struct addr *dst,
			unsigned i)
{
	bool v4 = src->sa.sa_family == AF_INET;
	size_t alen = v4 ? 4 : 16, len = sizeof(*eh);
	struct tcphdr th = { .source = htons((uint16_t)(1024 + i % 64512)),
			     .seq = htonl(i * 2654435761U),
			     .window = htons(65535) };
	uint32_t sum = IPPROTO_TCP + sizeof(th);

	th.dest = htons((uint16_t)(ntohs(dst->v4.sin_port) + i / 64512));
	th.doff = sizeof(th) / 4;
	th.th_flags = TH_SYN;
	sum = sum16(v4 ? (const void *)&src->v4.sin_addr
		       : (const void *)&src->v6.sin6_addr,
		    alen, sum);
	sum = sum16(v4 ? (const void *)&dst->v4.sin_addr
		       : (const void *)&dst->v6.sin6_addr,
		    alen, sum);
	th.check = fold(sum16(&th, sizeof(th), sum));

	memcpy(p, eh, sizeof(*eh));
	len += syn_ip(p + len, src, dst);
	memcpy(p + len, &th, sizeof(th));
	return len + sizeof(th);
}

static int syn(char **argv)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex(argv[0]),
				  .sll_halen = ETH_ALEN };
	struct addr src = parse(argv[2], "0"), dst = parse(argv[3], argv[4]);
	unsigned n = (unsigned)atoi(argv[5]), i = 0, sent = 0, k;
	static uint8_t frames[SYN_BATCH][128];
	struct mmsghdr msgs[SYN_BATCH];
	struct iovec iov[SYN_BATCH];
	struct ether_header eh;
	struct ifreq ifr = { 0 };
	double begin = now();
	unsigned char *m = eh.ether_dhost;
	int fd = socket(AF_PACKET, SOCK_RAW, 0), rc;

	strncpy(ifr.ifr_name, argv[0], IFNAMSIZ - 1);
	if (fd < 0 || bind(fd, (struct sockaddr *)&ll, sizeof(ll)))
		die(argv[0]);
	if (sscanf(argv[1], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2,
		   m + 3, m + 4, m + 5) != 6)
		die(argv[1]);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr))
		die(argv[0]);
	memcpy(eh.ether_shost, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	eh.ether_type = htons(src.sa.sa_family == AF_INET ? ETHERTYPE_IP
							  : ETHERTYPE_IPV6);
	while (i < n) {
		for (k = 0; k < SYN_BATCH && i < n; k++, i++) {
			iov[k].iov_base = frames[k];
			iov[k].iov_len = syn_frame(frames[k], &eh, &src, &dst,
						   i);
			msgs[k] = (struct mmsghdr){ .msg_hdr = {
							    .msg_iov = &iov[k],
							    .msg_iovlen = 1 } };
		}
		rc = sendmmsg(fd, msgs, k, 0);
		sent += rc > 0 ? (unsigned)rc : 0;
	}
	printf("{\"sent\": %u, \"rate\": %.0f}\n", sent, n / (now() - begin));
	return 0;
}

static const struct {
	const char *name;
	int argc;
	int (*run)(char **argv);
} modes[] = {
	{ "serve", 2, serve }, { "tcp", 3, crowd_tcp }, { "udp", 3, crowd_udp },
	{ "rr", 3, rr },       { "flood", 4, flood },   { "bulk", 2, bulk },
	{ "syn", 6, syn },
};

int main(int argc, char **argv)
{
	struct rlimit lim;
	size_t i;

	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	for (i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(argv[1], modes[i].name) &&
		    argc == modes[i].argc + 2)
			return modes[i].run(argv + 2);
	fputs("usage: load serve|tcp|udp|rr|flood|bulk|syn ..., see its "
	      "source\n",
	      stderr);
	return 2;
}
