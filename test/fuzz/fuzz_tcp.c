/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzing of TCP over the tap: segments, options, and what hosts do, in any order
 *
 * The input is a row of steps: struct step, then bytes. A step is a segment of
 * one of a few connections, whose numbers are right but for what is added to
 * them, or raw bytes as TCP header, or an action of the far end, whose sockets
 * are real ones in an own network namespace, or time. Segments are kept for one
 * batch until a step that is something else.
 *
 * Payload is a function of the sequence number in both directions, so what
 * arrives out of place is seen at once. Numbers of each connection have to stay
 * in order, frames have to be whole, and at the end no flow and no descriptor
 * may be left.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"
#include "fwd.h"
#include "lib/csum.h"
#include "tcp.h"
#include "tcp/conn.h"
#include "test/fake/flows.h"
#include "test/fuzz/fuzz.h"

#define CONNS    4
#define PORT     20000 /* of the first connection at the far end */
#define GPORT    40000
#define FWD_PORT 30000 /* forwarded to the guest */
#define BATCH    32
#define PAY_MAX  3000
#define STEPS    200
#define FLOWS    32

#define CHECK(cond)                                                        \
	do {                                                               \
		if (!(cond)) {                                             \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, \
				#cond);                                    \
			abort();                                           \
		}                                                          \
	} while (0)

enum kind {
	SEGMENT,
	RAW,
	HOST_SEND,
	HOST_READ,
	HOST_SHUT,
	HOST_CLOSE,
	HOST_RESET,
	HOST_CONNECT,
	TIME,
	TAP,
	HONEST, /* the guest acknowledges all that came, with this window */
	KINDS
};

struct step {
	uint8_t kind, conn, flags;
	uint8_t add_seq, add_ack; /* signed; times 1, or 2^20 */
	uint8_t wnd;
	uint8_t nopts; /* bytes of options that follow, less than 41 */
	uint8_t len;   /* of payload, or time, or bytes to send, scaled */
};

/* One connection: the guest's end, and the far end's */
static struct peer {
	uint32_t snd, rcv; /* next the guest sends, next it expects */
	in_port_t gport, port;
	int fd;         /* of the far end, -1 */
	bool v6, known; /* @irs is known */
	bool raw;       /* payload may be anything */
	uint32_t irs, isn;
	uint64_t sent, got;   /* by and at the far end */
	union inany_addr far; /* as the guest sees it */
} peer[CONNS];

static struct flow_table flows;
static struct fwd_opts opts;
static struct fwd fwd;
static struct sock_features features;
static struct tcp tcp;
static int listener[CONNS];

static const struct flow_ops ops[FLOW_TYPES] = {
	[FLOW_TCP] = { "TCP", tcp_flow_timer, tcp_flow_resume, tcp_flow_evict,
		       &tcp },
};
static const struct loop_handler handlers[EPOLL_TYPES] = {
	[EPOLL_TCP] = { "TCP", tcp_sock_event, &tcp },
	[EPOLL_TCP_LISTEN] = { "listener", tcp_listen_event, &tcp },
};
static const struct loop_hooks hooks = { NULL, NULL, NULL };

/* The segments of a batch */
static struct packet packets[BATCH];
static struct iovec iov[BATCH][2];
static unsigned npackets;
static const struct peer *batch_of;

static uint8_t byte_at(uint32_t pos)
{
	return (uint8_t)(pos * 7 + pos / 251);
}

static union inany_addr far_addr(bool v6)
{
	return fuzz_addr(v6 ? "2001:db8:1::1" : "198.51.100.9");
}

/* Namespace, listeners, forwarded port: once */
static void world_init(void)
{
	const struct siphash_key key = { { 1, 2 } };
	unsigned i;

	fuzz_init();
	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
		CHECK(false);
	CHECK(!system("ip link set lo up && ip addr add 198.51.100.9/32 dev lo"
		      " && ip addr add 2001:db8:1::1/128 dev lo nodad"));
	sock_probe(&features);
	CHECK(!loop_init(&loop, handlers, &hooks));
	CHECK(!flow_init(&flows, FLOWS, &key, ops, &loop.wheel));
	opts.v4 = opts.v6 = (struct fwd_map){ .scope = 1 };
	for (i = 0; i < 2; i++)
		opts.host.rule[opts.host.n++] =
			(struct fwd_rule){ .proto = IPPROTO_TCP,
					   .pif = PIF_HOST,
					   .addr = far_addr(i),
					   .first = FWD_PORT,
					   .last = FWD_PORT,
					   .to = GPORT,
					   .taddr = inany_any6 };
	CHECK(!fwd_init(&fwd, &opts, &guest, NULL, &loop));
	CHECK(!fwd_listen(&fwd, PIF_HOST));
	for (i = 0; i < CONNS; i++) {
		const union inany_addr a = far_addr(i % 2);
		struct sock_spec spec = { .af = inany_af(&a),
					  .bind = &a,
					  .type = SOCK_STREAM,
					  .port = (in_port_t)(PORT + i),
					  .reuse = true };

		/* the last one refuses */
		listener[i] = i == CONNS - 1 ? -1 : sock_open(&spec);
		CHECK(i == CONNS - 1 || !listen(listener[i], 64));
	}
	tcp = (struct tcp){ .tap = &tap,
			    .loop = &loop,
			    .flows = &flows,
			    .fwd = &fwd,
			    .features = &features,
			    .mtu = 1500 };
	CHECK(!tcp_init(&tcp));
}

static unsigned open_fds(void)
{
	unsigned n = 0;
	int i;

	for (i = 0; i < 100; i++)
		n += fcntl(i, F_GETFD) >= 0;
	return n;
}

static struct tcp_conn *flow_of(const struct peer *p)
{
	uint32_t i;

	for (i = 0; i < flows.fresh; i++) {
		struct flow *f = flow_at(&flows, i, FLOW_TCP);
		struct tcp_conn *c = (struct tcp_conn *)(void *)f;

		if (c && tcp_tapside(c)->eport == p->gport &&
		    tcp_tapside(c)->oport == p->port)
			return c;
	}
	return NULL;
}

/* What has to be true of a connection between any two steps */
static void check_flows(void)
{
	uint32_t i, used = 0;

	for (i = 0; i < flows.fresh; i++) {
		struct flow *f = flow_at(&flows, i, FLOW_TCP);
		const struct tcp_conn *c = (const void *)f;

		if (!f)
			continue;
		used++;
		CHECK(c->st.phase != PHASE_NEW && c->st.phase < PHASES);
		CHECK(c->st.phase != PHASE_CLOSED || c->flags & TCP_LAST);
		CHECK(!c->opening || !(c->flags & TCP_TAP_BLOCKED));
		if (c->st.phase == PHASE_CLOSED)
			continue;
		CHECK(c->fd >= 0);
		CHECK(SEQ_LE(c->snd_una, c->snd_nxt));
		CHECK(SEQ_LE(c->snd_nxt, c->snd_max));
		CHECK(SEQ_LE(c->rcv_nxt, c->rcv_adv));
		CHECK(c->cwnd && c->snd_wnd <= c->snd_wnd_max);
		CHECK(c->st.phase == PHASE_CONNECTING ||
		      wtimer_armed(&c->f.timer));
		/* who waits for nothing has looked at everything */
		if (c->st.phase == PHASE_ESTABLISHED && c->flags & TCP_MORE &&
		    !(c->flags & TCP_TAP_BLOCKED) && !f->deferred)
			CHECK(!c->snd_wnd || tcp_inflight(c));
	}
	CHECK(used == flows.used);
}

/* A frame for the guest: whole, and payload where it belongs */
static void take_frame(const uint8_t *p, size_t len)
{
	bool v6 = p[12] == 0x86;
	size_t l3 = v6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr);
	struct l3_spec spec = { .proto = IPPROTO_TCP };
	union inany_addr src, dst;
	struct tcphdr th;
	struct iphdr h4;
	struct ip6_hdr h6;
	size_t total, hlen, i;
	struct peer *q = NULL;

	memcpy(&h4, p + 14, sizeof(h4));
	memcpy(&h6, p + 14, v6 ? sizeof(h6) : 0);
	if ((v6 ? h6.ip6_nxt : h4.protocol) != IPPROTO_TCP)
		return; /* why a connection failed */
	total = v6 ? ntohs(h6.ip6_plen) + l3 : ntohs(h4.tot_len);
	CHECK(total + 14 <= len && total >= l3 + sizeof(th));
	CHECK(total <= 1500);
	src = v6 ? inany_from_v6(&h6.ip6_src)
		 : inany_from_v4((struct in_addr){ h4.saddr });
	dst = v6 ? inany_from_v6(&h6.ip6_dst)
		 : inany_from_v4((struct in_addr){ h4.daddr });
	spec.src = &src;
	spec.dst = &dst;
	CHECK(csum_fold(csum_partial(p + 14 + l3, total - l3,
				     frame_pseudo(&spec, total - l3))) ==
	      0xffff);
	memcpy(&th, p + 14 + l3, sizeof(th));
	hlen = th.doff * 4U;
	CHECK(hlen >= sizeof(th) && l3 + hlen <= total);
	for (i = 0; i < CONNS && !q; i++)
		if (peer[i].port == ntohs(th.source) &&
		    peer[i].gport == ntohs(th.dest))
			q = &peer[i];
	if (!q && th.th_flags == TH_SYN)
		for (i = 0; i < CONNS && !q; i++)
			if (!peer[i].port && peer[i].gport == ntohs(th.dest)) {
				q = &peer[i]; /* of the host */
				q->port = ntohs(th.source);
				q->far = src;
				q->v6 = v6;
			}
	if (!q)
		return;
	if (th.th_flags & TH_SYN) {
		q->isn = ntohl(th.seq);
		q->rcv = q->isn + 1;
		return;
	}
	len = total - l3 - hlen;
	for (i = 0; i < len; i++)
		CHECK(p[14 + l3 + hlen + i] ==
		      byte_at(ntohl(th.seq) + (uint32_t)i - q->isn - 1));
	if (len && ntohl(th.seq) == q->rcv)
		q->rcv += (uint32_t)len;
	if (th.th_flags & TH_FIN && ntohl(th.seq) + len == q->rcv)
		q->rcv++;
}

static void turn(void)
{
	struct epoll_event ev[16];
	struct wtimer *t;
	unsigned j;
	int n, i;

	n = epoll_wait(loop.epfd, ev, 16, 0);
	for (i = 0; i < n; i++) {
		union epoll_ref ref = { .u64 = ev[i].data.u64 };

		handlers[ref.type].event(handlers[ref.type].ctx, ref,
					 ev[i].events);
	}
	while ((t = wheel_pop(&loop.wheel, loop.now)))
		flow_timer(&flows, t);
	flow_run_deferred(&flows);
	for (j = 0; j < tap_mem.n; j++)
		take_frame(tap_mem.frame[j], tap_mem.len[j]);
	tap_mem_reset();
	check_flows();
}

/* Hand over the batch */
static void flush(void)
{
	struct packet_group g = { .proto = IPPROTO_TCP,
				  .n = npackets,
				  .first = packets };
	unsigned i;

	if (!npackets)
		return;
	g.last = &packets[npackets - 1];
	g.src = batch_of->v6 ? guest.v6.addr : guest.v4.addr;
	g.dst = batch_of->far;
	g.sport = batch_of->gport;
	g.dport = batch_of->port;
	for (i = 0; i < npackets; i++) {
		packets[i].l4 = iov_tail_init(iov[i], 2, 0);
		packets[i].next = i + 1 < npackets ? &packets[i + 1] : NULL;
	}
	tcp_tap_input(&tcp, &g);
	for (i = 0; i < npackets; i++) {
		free(iov[i][0].iov_base);
		free(iov[i][1].iov_base);
	}
	npackets = 0;
	turn();
}

/* Bytes as one packet of the batch, in two buffers of exactly their size */
static void queue(const struct peer *p, const uint8_t *l4, size_t len,
		  size_t split)
{
	struct iovec *v = iov[npackets];

	if (npackets == BATCH || (npackets && batch_of != p)) {
		flush();
		v = iov[0];
	}
	batch_of = p;
	split = split < len ? split : len;
	v[0] = (struct iovec){ malloc(split + !split), split };
	v[1] = (struct iovec){ malloc(len - split + (split == len)),
			       len - split };
	memcpy(v[0].iov_base, l4, split);
	memcpy(v[1].iov_base, l4 + split, len - split);
	memset(&packets[npackets], 0, sizeof(packets[0]));
	packets[npackets++].csum_ok = true;
}

/* A little, or a lot */
static uint32_t offset(uint8_t add)
{
	int n = (int8_t)add;

	return n > 64 || n < -64 ? (uint32_t)n << 24 : (uint32_t)n;
}

static void segment(struct peer *p, const struct step *s, const uint8_t *o)
{
	uint8_t buf[60 + PAY_MAX];
	size_t nopts = s->nopts % 41 & ~3U, len = s->len * 11U, i;
	uint32_t seq = p->snd + offset(s->add_seq);
	struct tcphdr th = { .source = htons(p->gport),
			     .dest = htons(p->port),
			     .seq = htonl(seq),
			     .ack_seq = htonl(p->rcv + offset(s->add_ack)),
			     .window = htons((uint16_t)(s->wnd * 257)) };
	size_t hlen = sizeof(th) + nopts;
	bool syn = s->flags & TH_SYN;
	const struct tcp_conn *c;

	th.doff = hlen / 4 & 0xf;
	th.th_flags = s->flags;
	memcpy(buf, &th, sizeof(th));
	memcpy(buf + sizeof(th), o, nopts);
	/* A SYN counts before its payload (RFC 9293 3.4) */
	for (i = 0; i < len; i++)
		buf[hlen + i] = byte_at(seq + syn + (uint32_t)i);
	queue(p, buf, hlen + len, s->conn);
	if (!s->add_seq)
		p->snd += (uint32_t)len * !syn + syn + !!(s->flags & TH_FIN);
	c = flow_of(p);
	if (c && SEQ_LT(p->snd, c->rcv_nxt))
		p->snd = c->rcv_nxt;
}

/* Is this flow's socket the one that the far end is connected to? */
static bool joined(const struct tcp_conn *c, int fd)
{
	union sockaddr_any ours = { 0 }, peers = { 0 };
	socklen_t len = sizeof(ours), plen = sizeof(peers);

	return c && c->fd >= 0 && !getsockname(c->fd, &ours.sa, &len) &&
	       !getpeername(fd, &peers.sa, &plen) &&
	       ours.sa4.sin_port == peers.sa4.sin_port;
}

/* The far end's socket, if the module's connection to it stands */
static void far_accept(struct peer *p, unsigned i)
{
	int fd;

	if (p->fd >= 0 || listener[i] < 0)
		return;
	/* the last one: those before were given up meanwhile */
	while ((fd = accept4(listener[i], NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (p->fd >= 0)
			close(p->fd);
		p->fd = fd;
	}
	p->sent = p->got = 0;
	p->known = false;
}

static void far_send(struct peer *p, size_t len)
{
	uint8_t buf[UINT8_MAX * 64];
	ssize_t n;
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = byte_at((uint32_t)(p->sent + i));
	n = send(p->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		p->sent += (uint64_t)n;
}

/* What the kernel counts for a socket, as far as it matters here: struct tcp_info of
 * <linux/tcp.h>, of which C libraries know the beginning only
 */
struct counted {
	uint8_t before[144];
	uint32_t notsent;
	uint8_t between[52];
	uint64_t sent, retrans;
};
_Static_assert(offsetof(struct counted, sent) == 200, "as in the kernel");

/* Number of the guest's SYN: that of the next byte, less what the socket took */
static uint32_t initial(const struct tcp_conn *c)
{
	struct counted n = { { 0 }, 0, { 0 }, 0, 0 };
	socklen_t len = sizeof(n);

	CHECK(!getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &n, &len));
	CHECK(len == sizeof(n));
	return c->rcv_nxt - !!(c->st.fin & TCP_GUEST_FIN) -
	       (uint32_t)(n.notsent + n.sent - n.retrans) - 1;
}

static void far_read(struct peer *p, size_t len)
{
	uint8_t buf[UINT8_MAX * 64];
	ssize_t n = recv(p->fd, buf, len, MSG_DONTWAIT), i;
	const struct tcp_conn *c = flow_of(p);

	if (!p->known && !p->got && c && c->st.phase == PHASE_ESTABLISHED &&
	    joined(c, p->fd)) {
		p->irs = initial(c);
		p->known = true;
	}
	if (n > 0 && !p->known)
		p->got += (uint64_t)n;
	for (i = 0; i < n && p->known && !p->raw; i++)
		CHECK(buf[i] == byte_at(p->irs + 1 + (uint32_t)p->got++));
}

static void far_close(struct peer *p, bool rst)
{
	if (rst)
		sock_close_rst(p->fd);
	else
		close(p->fd);
	p->fd = -1;
}

/* A connection from the far end to the guest */
static void far_connect(struct peer *p, bool v6)
{
	const union inany_addr a = far_addr(v6);
	struct sock_spec spec = { .af = inany_af(&a), .type = SOCK_STREAM };

	if (p->fd >= 0 || p->port)
		return;
	p->fd = sock_open(&spec);
	CHECK(p->fd >= 0);
	sock_connect(p->fd, &a, FWD_PORT, 0);
	p->sent = p->got = 0;
	p->known = false;
}

/* The guest acknowledges what came */
static void honest(struct peer *p, const struct step *s)
{
	const struct tcp_conn *c = flow_of(p);
	struct step t = { .flags = TH_ACK, .wnd = s->wnd };

	if (!c)
		return;
	p->rcv = c->snd_max;
	p->snd = c->rcv_nxt;
	if (c->st.phase == PHASE_SYN_SENT) {
		t.flags |= TH_SYN;
		p->snd = (uint32_t)s->conn << 24;
	}
	segment(p, &t, (const uint8_t *)"");
}

static void step(const struct step *s, const uint8_t *data, size_t len)
{
	unsigned i = s->conn % CONNS;
	struct peer *p = &peer[i];

	if (s->kind % KINDS == SEGMENT) {
		segment(p, s, data);
		return;
	}
	if (s->kind % KINDS == RAW) {
		p->raw = true;
		queue(p, data, len, s->flags);
		return;
	}
	flush();
	far_accept(p, i);
	switch (s->kind % KINDS) {
	case HOST_CONNECT:
		far_connect(p, s->flags & 1);
		break;
	case TIME:
		loop.now += (uint64_t)s->len << (s->flags % 16);
		break;
	case TAP:
		tap_mem.blocked = s->flags & 1;
		if (!tap_mem.blocked)
			tcp_tap_ready(&tcp);
		break;
	case HONEST:
		honest(p, s);
		flush();
		break;
	}
	if (p->fd >= 0)
		switch (s->kind % KINDS) {
		case HOST_SEND:
			far_send(p, s->len * 64U);
			break;
		case HOST_READ:
			far_read(p, s->len * 64U);
			break;
		case HOST_SHUT:
			shutdown(p->fd, SHUT_WR);
			break;
		case HOST_CLOSE:
		case HOST_RESET:
			far_close(p, s->kind % KINDS == HOST_RESET);
			break;
		}
	turn();
}

static void start(void)
{
	unsigned i;

	for (i = 0; i < CONNS; i++) {
		bool v6 = i % 2;

		peer[i] = (struct peer){ .gport = (in_port_t)(GPORT + i),
					 .port = (in_port_t)(PORT + i),
					 .snd = 0xfffffff0U,
					 .fd = -1,
					 .v6 = v6,
					 .far = far_addr(v6) };
	}
	/* the second one waits for the host to connect */
	peer[1].gport = GPORT;
	peer[1].port = 0;
	tcp.stats = (struct tcp_stats){ 0 };
}

/* Nothing may be left */
static void finish(void)
{
	unsigned i;
	int fd;

	tap_mem.blocked = false;
	for (i = 0; i < CONNS; i++)
		if (peer[i].fd >= 0)
			close(peer[i].fd);
	flows_close(&flows, tcp_flow_close);
	flow_run_deferred(&flows);
	CHECK(!flows.used && !tcp.blocked.head);
	tap_mem_reset();
	for (i = 0; i < CONNS; i++)
		while (listener[i] >= 0 &&
		       (fd = accept4(listener[i], NULL, NULL, SOCK_NONBLOCK)) >=
			       0)
			close(fd);
	/* connections to the forwarded port that were not looked at yet */
	turn();
	flows_close(&flows, tcp_flow_close);
	flow_run_deferred(&flows);
	tap_mem_reset();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool done;
	unsigned n, fds;

	if (!done) {
		world_init();
		done = true;
	}
	fds = open_fds();
	start();
	for (n = 0; n < STEPS && size > sizeof(struct step); n++) {
		struct step s;
		uint8_t opt[44] = { 0 };
		size_t len;

		memcpy(&s, data, sizeof(s));
		data += sizeof(s);
		size -= sizeof(s);
		len = s.kind % KINDS == RAW       ? s.len
		      : s.kind % KINDS == SEGMENT ? s.nopts % 41U & ~3U
						  : 0;
		len = len < size ? len : size;
		if (s.kind % KINDS == RAW) {
			step(&s, data, len);
		} else {
			memcpy(opt, data, len);
			step(&s, opt, len);
		}
		data += len;
		size -= len;
	}
	flush();
	finish();
	CHECK(open_fds() == fds);
	return 0;
}
