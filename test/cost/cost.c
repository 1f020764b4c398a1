/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets in and out for test/tree/cost, which counts the instructions they take
 *
 * Everything that a packet meets between the backend of the tap and the system
 * call is wired as in passt.c; the backend is one that lends memory and counts.
 * Work to be counted is done in cost_measured(), where callgrind is told to
 * look: what stands in for the guest and for the host's programs is outside.
 *
 * usage: cost ROW 4|6 FLOWS
 *
 * So many flows are open, a few of which, evenly spread, carry the packets, in
 * batches as a busy tap or socket has them. Prints how many packets there were.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ether.h"
#include "tap/backend.h"
#include "test/fake/tcp_env.h"
#include "udp.h"
#include "wire/tcp_opt.h"

#define FLOWS_MAX 16384
#define ACTIVE    10
#define BATCH     8 /* packets */
#define BATCHES   100
#define WARM      20 /* batches before those that are measured */
#define BACKLOG   4096
#define LISTENERS 4  /* for flows that carry nothing: FLOWS_MAX / BACKLOG */
#define DGRAM     64 /* bytes */
#define PORT      5000
#define IDLE_MS   600000

static struct cost {
	struct loop loop;
	struct flow_table flows;
	struct tap tap;
	struct guest guest;
	struct fwd_opts opts;
	struct fwd fwd;
	struct sock_features features;
	struct ether ether;
	struct tcp tcp;
	struct udp udp;
} c;

/* One flow that carries packets */
struct side {
	in_port_t gport, port;
	uint32_t snd, rcv;
	int fd;                /* TCP: of the host's program */
	union sockaddr_any sa; /* UDP: where that one is to send to */
	socklen_t salen;
};
static struct side active[ACTIVE];

static bool v6;
static int dgram_fd; /* UDP: of the host's program */
static uint8_t data[BATCH * 2048];

/* Packets of the guest, and what came out of the tap */
static uint8_t in[BATCH][2048];
static struct iovec in_iov[BATCH];
static struct tap_rx rx[BATCH];
static unsigned nrx;
static uint8_t arena[(size_t)BATCH_FRAMES * 66000];
static struct tcphdr last;
static unsigned frames;
static uint32_t payload;

/*
 * What is counted
 */

/* A name for callgrind, so neither inlined nor cloned: called by pointer */
void cost_measured(void);
void cost_measured(void)
{
	if (nrx)
		tap_input(&c.tap, rx, nrx);
	loop_turn(&c.loop, 0);
}
static void (*volatile measured)(void) = cost_measured;

/* The same while it does not count */
static void unmeasured(void)
{
	if (nrx)
		tap_input(&c.tap, rx, nrx);
	loop_turn(&c.loop, 0);
}

/*
 * Backend
 */

static unsigned cost_reserve(struct tap *tap, unsigned want, size_t hdrlen,
			     size_t len, struct batch *b)
{
	(void)tap;
	tap_lay_out(b, arena, 0, want, hdrlen, len);
	return want;
}

static void cost_submit(struct tap *tap, struct batch *b, unsigned n)
{
	const size_t l3 = frame_l3_len(!v6);
	unsigned i;

	(void)tap;
	for (i = 0; i < n; i++)
		if (b->frame[i].len > b->frame[i].hdrlen)
			payload += (uint32_t)(b->frame[i].len -
					      b->frame[i].hdrlen);
	frames += n;
	if (n)
		memcpy(&last, b->frame[n - 1].hdr + l3, sizeof(last));
}

static const struct tap_ops cost_ops = {
	.name = "cost",
	.reserve = cost_reserve,
	.submit = cost_submit,
};

/*
 * Wiring
 */

static const struct flow_ops ops[FLOW_TYPES] = {
	[FLOW_TCP] = { "TCP", tcp_flow_timer, tcp_flow_resume, tcp_flow_evict,
		       &c.tcp },
	[FLOW_UDP] = { "UDP", udp_flow_timer, udp_flow_resume, udp_flow_evict,
		       &c.udp },
};

static const struct loop_handler handlers[EPOLL_TYPES] = {
	[EPOLL_TCP] = { "TCP", tcp_sock_event, &c.tcp },
	[EPOLL_UDP] = { "UDP", udp_sock_event, &c.udp },
};

static const struct ether_l2 l2[] = { { NULL, 0, NULL, NULL } };
static const struct ether_l4 l4[] = {
	{ .name = "TCP",
	  .proto = IPPROTO_TCP,
	  .input = tcp_tap_input,
	  .ctx = &c.tcp },
	{ .name = "UDP",
	  .proto = IPPROTO_UDP,
	  .input = udp_tap_input,
	  .ctx = &c.udp },
	{ .name = NULL },
};

static void on_timer(void *ctx, struct wtimer *t)
{
	flow_timer(ctx, t);
}

static void on_turn(void *ctx)
{
	if (flow_run_deferred(ctx))
		c.loop.busy = true;
	tap_flush(&c.tap);
}

static const struct loop_hooks hooks = { on_timer, on_turn, &c.flows };

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "cost: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void set_up(void)
{
	const struct tap_upcalls up = { .input = ether_input, .ctx = &c.ether };
	const struct siphash_key key = { { 1, 2 } };
	struct guest *g = &c.guest;

	env_guest(g);
	c.opts.v4 = c.opts.v6 = (struct fwd_map){ .scope = 1 };
	sock_probe(&c.features);

	need(!loop_init(&c.loop, handlers, &hooks), "loop");
	need(!flow_init(&c.flows, FLOWS_MAX, &key, ops, &c.loop.wheel),
	     "flows");
	need(!fwd_init(&c.fwd, &c.opts, g, NULL, &c.loop), "fwd");
	tap_init(&c.tap, &cost_ops, &c.loop, g, &up);
	c.tap.facts.batch = BATCH;
	ether_init(&c.ether, g, l2, l4, true, true);
	c.tcp = (struct tcp){ .tap = &c.tap,
			      .loop = &c.loop,
			      .flows = &c.flows,
			      .fwd = &c.fwd,
			      .features = &c.features,
			      .mtu = 1500 };
	need(!tcp_init(&c.tcp), "TCP");
	c.udp = (struct udp){ .tap = &c.tap,
			      .loop = &c.loop,
			      .flows = &c.flows,
			      .fwd = &c.fwd,
			      .features = &c.features,
			      .timeout = IDLE_MS,
			      .timeout_stream = IDLE_MS };
	need(!udp_init(&c.udp), "UDP");
}

/*
 * The guest
 */

/* Payload of a full segment */
static size_t mss(void)
{
	return 1500 - (frame_l3_len(!v6) - sizeof(struct ether_header)) -
	       sizeof(struct tcphdr);
}

/* Append one packet to what is put in next. Its checksum is as good as known,
 * as a tun device says
 */
static void put(uint8_t proto, const void *hdr, size_t hlen, size_t len)
{
	static const uint8_t ours[6] = GUEST_OUR_MAC;
	union inany_addr src = env_addr(v6 ? GUEST6 : GUEST4);
	union inany_addr dst = env_addr(v6 ? PEER6 : PEER4);
	struct l3_spec l3 = { .src = &src, .dst = &dst, .proto = proto };
	uint8_t *p = in[nrx];

	p = frame_push_eth(p, ours, c.guest.mac,
			   v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
	p = v6 ? frame_push_ip6(p, &l3, hlen + len)
	       : frame_push_ip4(p, &l3, hlen + len);
	memcpy(p, hdr, hlen);
	memcpy(p + hlen, data, len);
	in_iov[nrx] = (struct iovec){ in[nrx],
				      (size_t)(p - in[nrx]) + hlen + len };
	rx[nrx] = (struct tap_rx){ .iov = &in_iov[nrx],
				   .iovcnt = 1,
				   .len = in_iov[nrx].iov_len,
				   .csum_ok = true };
	nrx++;
}

static void put_tcp(struct side *s, uint8_t flags, size_t len)
{
	const bool syn = flags & TH_SYN;
	struct {
		struct tcphdr th;
		uint8_t opt[TCP_OPT_MSS_LEN];
	} h = { .th = { .source = htons(s->gport),
			.dest = htons(s->port),
			.seq = htonl(s->snd),
			.ack_seq = htonl(s->rcv),
			.window = htons(UINT16_MAX) },
		.opt = { TCP_OPT_MSS, TCP_OPT_MSS_LEN, (uint8_t)(mss() >> 8),
			 (uint8_t)mss() } };
	size_t hlen = sizeof(h) - (syn ? 0 : sizeof(h.opt));

	h.th.th_flags = flags;
	h.th.doff = hlen / 4 & 0xf;
	put(IPPROTO_TCP, &h, hlen, len);
	s->snd += (uint32_t)len + syn;
}

static void put_udp(const struct side *s, size_t len)
{
	struct udphdr uh = { .source = htons(s->gport),
			     .dest = htons(s->port),
			     .len = htons((uint16_t)(sizeof(uh) + len)),
			     .check = UINT16_MAX };

	put(IPPROTO_UDP, &uh, sizeof(uh), len);
}

/*
 * The host's programs
 */

static int bound(int type, in_port_t port)
{
	const union inany_addr a = env_addr(v6 ? PEER6 : PEER4);
	int fd = socket(v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK, 0);
	union sockaddr_any sa;
	socklen_t len = sockaddr_from_inany(&sa, &a, port, 0);

	need(fd >= 0 && !bind(fd, &sa.sa, len), "socket");
	if (type == SOCK_STREAM)
		need(!listen(fd, BACKLOG), "listen");
	return fd;
}

/* Wait until there is something to be had */
static void await(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };

	need(poll(&p, 1, 10000) == 1, "nothing came");
}

/* Read @len bytes, whatever they are */
static void drain(int fd, size_t len)
{
	static uint8_t buf[1 << 16];
	ssize_t n;

	while (len) {
		await(fd);
		n = recv(fd, buf, sizeof(buf), 0);
		need(n > 0, "recv");
		len -= (size_t)n;
	}
}

/*
 * Flows
 */

/* The TCP handshake; @from listens */
static void open_tcp(struct side *s, int from, bool carries)
{
	unsigned before = frames;

	s->snd = 1000;
	put_tcp(s, TH_SYN, 0);
	unmeasured();
	nrx = 0;
	while (frames == before) {
		await(c.loop.epfd);
		unmeasured();
	}
	need((last.th_flags & (TH_SYN | TH_ACK | TH_RST)) == (TH_SYN | TH_ACK),
	     "no SYN, ACK");
	s->rcv = ntohl(last.seq) + 1;
	put_tcp(s, TH_ACK, 0);
	unmeasured();
	nrx = 0;
	if (carries) {
		await(from);
		s->fd = accept4(from, NULL, NULL, SOCK_NONBLOCK);
		need(s->fd >= 0, "accept");
	}
}

static void open_udp(struct side *s, bool carries)
{
	char buf[DGRAM];

	put_udp(s, DGRAM);
	unmeasured();
	nrx = 0;
	s->salen = sizeof(s->sa);
	await(dgram_fd);
	need(recvfrom(dgram_fd, buf, sizeof(buf), 0, &s->sa.sa, &s->salen) ==
		     DGRAM,
	     "first datagram");
	(void)carries;
}

static void open_flows(bool tcp, unsigned n)
{
	int listener[LISTENERS + 1];
	struct side other;
	unsigned i, k = 0;

	for (i = 0; tcp && i <= LISTENERS; i++)
		listener[i] = bound(SOCK_STREAM, (in_port_t)(PORT + i));
	if (!tcp)
		dgram_fd = bound(SOCK_DGRAM, PORT);
	for (i = 0; i < n; i++) {
		bool carries = i == k * (n / ACTIVE) && k < ACTIVE;
		unsigned l = carries ? LISTENERS : i % LISTENERS;
		struct side *s = carries ? &active[k++] : &other;

		*s = (struct side){ .gport = (in_port_t)(1024 + i),
				    .port = (in_port_t)(PORT + (tcp ? l : 0)) };
		if (tcp)
			open_tcp(s, listener[l], carries);
		else
			open_udp(s, carries);
	}
	need(c.flows.used == n, "flows are missing");
}

/*
 * Rows: one batch of a flow, through @run. Return: packets
 */

typedef void (*run_fn)(void);

static unsigned tcp_out(struct side *s, run_fn run)
{
	while (nrx < BATCH)
		put_tcp(s, TH_ACK, mss());
	run();
	nrx = 0;
	drain(s->fd, BATCH * mss());
	return BATCH;
}

static unsigned tcp_in(struct side *s, run_fn run)
{
	const size_t len = BATCH * mss();
	unsigned before = frames;

	payload = 0;
	need(send(s->fd, data, len, 0) == (ssize_t)len, "send");
	await(c.loop.epfd);
	run();
	need(frames == before + BATCH && payload == len, "data to the guest");
	s->rcv += (uint32_t)len;
	put_tcp(s, TH_ACK, 0);
	run();
	nrx = 0;
	return BATCH;
}

/* One byte there and back; the ACK comes with the next request */
static unsigned tcp_rr(struct side *s, run_fn run)
{
	unsigned before;

	put_tcp(s, TH_ACK | TH_PUSH, 1);
	run();
	nrx = 0;
	drain(s->fd, 1);
	before = frames;
	need(send(s->fd, data, 1, 0) == 1, "send");
	await(c.loop.epfd);
	run();
	need(frames == before + 1, "answer");
	s->rcv++;
	return 2;
}

static unsigned udp_out(struct side *s, run_fn run)
{
	unsigned i;

	while (nrx < BATCH)
		put_udp(s, DGRAM);
	run();
	nrx = 0;
	for (i = 0; i < BATCH; i++)
		drain(dgram_fd, DGRAM);
	return BATCH;
}

static unsigned udp_in(struct side *s, run_fn run)
{
	unsigned before = frames, i;

	for (i = 0; i < BATCH; i++)
		need(sendto(dgram_fd, data, DGRAM, 0, &s->sa.sa, s->salen) ==
			     DGRAM,
		     "sendto");
	await(c.loop.epfd);
	run();
	need(frames == before + BATCH, "datagrams to the guest");
	return BATCH;
}

static const struct {
	const char *name;
	bool tcp;
	unsigned (*batch)(struct side *s, run_fn run);
} rows[] = {
	{ "tcp-out", true, tcp_out }, { "tcp-in", true, tcp_in },
	{ "tcp-rr", true, tcp_rr },   { "udp-out", false, udp_out },
	{ "udp-in", false, udp_in },
};

/* As many descriptors as we may have */
static void files(void)
{
	struct rlimit lim;

	need(!getrlimit(RLIMIT_NOFILE, &lim), "limit of open files");
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
}

int main(int argc, char **argv)
{
	unsigned i, packets = 0, n;
	size_t row = 0;

	while (argc == 4 && row < sizeof(rows) / sizeof(rows[0]) &&
	       strcmp(argv[1], rows[row].name))
		row++;
	n = argc == 4 ? (unsigned)atoi(argv[3]) : 0;
	if (row == sizeof(rows) / sizeof(rows[0]) || n < ACTIVE ||
	    n > FLOWS_MAX) {
		fputs("usage: cost ROW 4|6 FLOWS\n", stderr);
		return 2;
	}
	v6 = argv[2][0] == '6';
	files();
	need(!tcp_env_start(NULL), "namespace");
	set_up();
	open_flows(rows[row].tcp, n);

	for (i = 0; i < WARM; i++)
		rows[row].batch(&active[i % ACTIVE], unmeasured);
	for (i = 0; i < BATCHES; i++)
		packets += rows[row].batch(&active[i % ACTIVE], measured);
	printf("%u\n", packets);
	return 0;
}
