/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest without a machine, for tests of TCP: segments in, segments out */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "frame.h"
#include "lib/csum.h"
#include "lib/fdio.h"
#include "test/fake/flows.h"
#include "test/fake/tcp_env.h"

struct tcp_env env;
uint8_t env_pattern[ENV_PATTERN_LEN];

#define BATCH_MAX TAP_RX_MAX
static struct packet packets[BATCH_MAX];
static struct iovec piovs[BATCH_MAX];

static const struct flow_ops ops[FLOW_TYPES] = {
	[FLOW_TCP] = { "TCP", tcp_flow_timer, tcp_flow_resume, tcp_flow_evict,
		       &env.tcp },
};

static const struct loop_handler handlers[EPOLL_TYPES] = {
	[EPOLL_TCP] = { "TCP", tcp_sock_event, &env.tcp },
	[EPOLL_TCP_LISTEN] = { "listener", tcp_listen_event, &env.tcp },
};

static const struct loop_hooks hooks = { NULL, NULL, NULL };

int tcp_env_start(void **state)
{
	size_t i;

	(void)state;
	if (geteuid())
		assert_int_equal(unshare(CLONE_NEWUSER), 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	env_run("ip link set lo up");
	/* a wire whose other end belongs to nobody */
	env_run("ip link add hole type veth peer name end");
	env_run("ip link set hole up");
	env_run("ip link set end up");
	env_run("ip addr add " HOST4 "/32 dev lo");
	env_run("ip addr add " PEER4 "/32 dev lo");
	env_run("ip addr add " HOST6 "/128 dev lo nodad");
	env_run("ip addr add " PEER6 "/128 dev lo nodad");
	env_run("ip route add " HOLE4 " dev hole src " HOST4);
	env_run("ip neigh add " HOLE4 " lladdr 02:00:00:00:00:09 dev hole");
	env_run("ip neigh add " HOLE6 " lladdr 02:00:00:00:00:09 dev hole");
	env_run("ip route add unreachable " UNREACH4);
	env_run("ip route add prohibit " PROHIBIT4);
	env_run("ip -6 route add " HOLE6 " dev hole src " HOST6);
	env_run("ip -6 route add unreachable " UNREACH6);
	env_run("ip -6 route add prohibit " PROHIBIT6);
	env_until("ip -6 route get " PEER6 " | grep -q ^local");

	for (i = 0; i < sizeof(env_pattern); i++)
		env_pattern[i] = (uint8_t)(i * 7 + i / 251);
	return 0;
}

unsigned env_open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

int tcp_env_reset(void **state)
{
	const struct siphash_key key = { { 1, 2 } };
	const struct tap_upcalls up = { 0 };

	(void)state;
	if (env.flows.slots) {
		tap_mem.blocked = false;
		env_drop();
		flows_close(&env.flows, tcp_flow_close);
		flow_run_deferred(&env.flows);
		assert_int_equal(env.flows.used, 0);
		munmap(env.flows.slots, (size_t)env.flows.max * FLOW_SLOT);
		munmap(env.flows.bucket, (env.flows.mask + 1) * 4UL);
		fwd_close(&env.fwd);
		munmap(env.fwd.listener,
		       sizeof(*env.fwd.listener) * FWD_LISTENERS_MAX);
		close(env.loop.epfd);
		close(env.tcp.spare_fd);
	}
	env_drop();
	tap_mem.blocked = tap_mem.offload = false;

	env_guest(&env.guest);
	memset(&env.opts, 0, sizeof(env.opts));
	env.opts.v4 = env.opts.v6 = (struct fwd_map){ .scope = 1 };
	sock_probe(&env.features);

	assert_int_equal(loop_init(&env.loop, handlers, &hooks), 0);
	assert_int_equal(
		flow_init(&env.flows, ENV_FLOWS, &key, ops, &env.loop.wheel),
		0);
	assert_int_equal(
		fwd_init(&env.fwd, &env.opts, &env.guest, NULL, &env.loop), 0);
	tap_init(&env.tap, &tap_mem_ops, &env.loop, &env.guest, &up);
	env.tap.facts.batch = 8;
	env.tcp = (struct tcp){ .tap = &env.tap,
				.loop = &env.loop,
				.flows = &env.flows,
				.fwd = &env.fwd,
				.features = &env.features,
				.mtu = 1500 };
	return tcp_init(&env.tcp);
}

static int stream_socket(const char *addr, union sockaddr_any *sa,
			 socklen_t *len, in_port_t port)
{
	const union inany_addr a = env_addr(addr);
	int fd = socket(inany_af(&a), SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	*len = sockaddr_from_inany(sa, &a, port, 1);
	return fd;
}

int env_listen(const char *addr, in_port_t port)
{
	union sockaddr_any sa;
	socklen_t len;
	int fd = stream_socket(addr, &sa, &len, port);

	sock_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	assert_int_equal(bind(fd, &sa.sa, len), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

int env_accept(int listener)
{
	struct pollfd p = { listener, POLLIN, 0 };
	int fd;

	assert_int_equal(poll(&p, 1, 1000), 1);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fd >= 0);
	sock_set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return fd;
}

int env_connect(const char *addr, in_port_t port)
{
	union sockaddr_any sa;
	socklen_t len;
	int fd = stream_socket(addr, &sa, &len, port);

	if (connect(fd, &sa.sa, len))
		assert_int_equal(errno, EINPROGRESS);
	sock_set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return fd;
}

void env_rule(const char *addr, in_port_t port, in_port_t to)
{
	struct fwd_rules *rules = &env.opts.host;

	rules->rule[rules->n++] = (struct fwd_rule){ .proto = IPPROTO_TCP,
						     .pif = PIF_HOST,
						     .addr = env_addr(addr),
						     .first = port,
						     .last = port,
						     .to = to,
						     .taddr = inany_any6 };
}

void env_forwards(void)
{
	assert_int_equal(fwd_listen(&env.fwd, PIF_HOST), 0);
}

struct tcp_conn *env_flow(void)
{
	struct flow *f, *found = NULL;
	uint32_t i;

	for (i = 0; i < env.flows.fresh; i++) {
		f = flow_at(&env.flows, i, FLOW_TCP);
		if (!f)
			continue;
		assert_null(found);
		found = f;
	}
	return (struct tcp_conn *)(void *)found;
}

/* One segment into memory of exactly its size. Return: it, to be freed */
static uint8_t *build(const struct env_conn *c, const struct env_tx *tx,
		      size_t *lenp)
{
	union inany_addr src = env_addr(c->guest), dst = env_addr(c->peer);
	struct l3_spec l3 = { .src = &src, .dst = &dst, .proto = IPPROTO_TCP };
	size_t hlen = sizeof(struct tcphdr) + tx->optlen;
	struct tcphdr th = { .source = htons(c->gport),
			     .dest = htons(c->pport),
			     .seq = htonl(tx->seq),
			     .ack_seq = htonl(tx->ack),
			     .window = htons(tx->wnd),
			     .urg_ptr = htons(tx->urg) };
	uint8_t *p = malloc(hlen + tx->len);
	uint16_t sum;

	assert_non_null(p);
	th.doff = (hlen / 4) & 0xf;
	th.th_flags = tx->flags;
	th.check = frame_pseudo(&l3, hlen + tx->len);
	memcpy(p, &th, sizeof(th));
	if (tx->optlen)
		memcpy(p + sizeof(th), tx->opts, tx->optlen);
	if (tx->len)
		memcpy(p + hlen, tx->data, tx->len);
	sum = csum(p, hlen + tx->len, 0);
	if (tx->bad_csum)
		sum ^= 0x100;
	memcpy(p + offsetof(struct tcphdr, check), &sum, sizeof(sum));
	*lenp = hlen + tx->len;
	return p;
}

void env_send(const struct env_conn *c, const struct env_tx *tx, unsigned n)
{
	struct packet_group g = { .src = env_addr(c->guest),
				  .dst = env_addr(c->peer),
				  .sport = c->gport,
				  .dport = c->pport,
				  .proto = IPPROTO_TCP,
				  .n = n,
				  .first = &packets[0],
				  .last = &packets[n - 1] };
	unsigned i;

	assert_true(n && n <= BATCH_MAX);
	memset(packets, 0, n * sizeof(packets[0]));
	for (i = 0; i < n; i++) {
		piovs[i].iov_base = build(c, &tx[i], &piovs[i].iov_len);
		packets[i].l4 = iov_tail_init(&piovs[i], 1, 0);
		packets[i].next = i + 1 < n ? &packets[i + 1] : NULL;
	}
	tcp_tap_input(&env.tcp, &g);
	for (i = 0; i < n; i++)
		free(piovs[i].iov_base);
}

void env_data(struct env_conn *c, uint8_t flags, const void *data, size_t len)
{
	const struct env_tx tx = { .seq = c->snd,
				   .ack = c->rcv,
				   .flags = flags,
				   .wnd = c->wnd,
				   .data = data,
				   .len = len };

	env_send(c, &tx, 1);
	c->snd += (uint32_t)len + !!(flags & TH_FIN);
}

void env_ack(struct env_conn *c, uint32_t ack)
{
	c->rcv = ack;
	env_data(c, TH_ACK, NULL, 0);
}

int env_turn(void)
{
	struct epoll_event ev[16];
	struct wtimer *t;
	int n, i;

	if (env.late == tap_mem.n)
		env_drop();
	n = epoll_wait(env.loop.epfd, ev, 16, 0);
	assert_true(n >= 0);
	env.loop.busy = false;
	for (i = 0; i < n; i++) {
		union epoll_ref ref = { .u64 = ev[i].data.u64 };

		handlers[ref.type].event(handlers[ref.type].ctx, ref,
					 ev[i].events);
	}
	while ((t = wheel_pop(&env.loop.wheel, env.loop.now)))
		flow_timer(&env.flows, t);
	if (flow_run_deferred(&env.flows))
		env.loop.busy = true;
	return n;
}

void env_turns(void)
{
	unsigned i;

	for (i = 0; i < 200; i++)
		if (!env_turn() && !env.loop.busy)
			return;
	fail_msg("the loop spins");
}

void env_wait(void)
{
	struct pollfd p = { env.loop.epfd, POLLIN, 0 };

	if (!env.loop.busy)
		poll(&p, 1, 1000);
	env_turn();
}

void env_sleep(uint64_t ms)
{
	uint64_t end = env.loop.now + ms;

	env_turns();
	while (env.loop.now < end) {
		int next = wheel_next(&env.loop.wheel, env.loop.now);
		uint64_t step = end - env.loop.now;

		if (next >= 0 && (uint64_t)next < step)
			step = next ? (uint64_t)next : 1;
		env.loop.now += step;
		env_turns();
	}
}

/* Parse and check one TCP segment */
static void get_tcp(struct env_rx *rx, uint8_t *l4, size_t len)
{
	const struct l3_spec l3 = { .src = &rx->src,
				    .dst = &rx->dst,
				    .proto = IPPROTO_TCP };
	struct tcphdr th;

	assert_true(len >= sizeof(th));
	memcpy(&th, l4, sizeof(th));
	assert_true(th.doff * 4U >= sizeof(th) && th.doff * 4U <= len);
	/* Left to the tap, but for padded ones; which cannot be told apart from
	 * those that are just as long
	 */
	if (tap_mem.offload && tap_mem.len[env.late - 1] > ETH_MIN_LEN)
		assert_int_equal(th.check, frame_pseudo(&l3, len));
	else if (!tap_mem.offload || th.check != frame_pseudo(&l3, len))
		assert_int_equal(csum_fold(csum_partial(
					 l4, len, frame_pseudo(&l3, len))),
				 0xffff);
	rx->sport = ntohs(th.source);
	rx->dport = ntohs(th.dest);
	rx->seq = ntohl(th.seq);
	rx->ack = ntohl(th.ack_seq);
	rx->flags = th.th_flags;
	rx->wnd = ntohs(th.window);
	rx->opts = l4 + sizeof(th);
	rx->optlen = th.doff * 4U - sizeof(th);
	rx->data = l4 + th.doff * 4U;
	rx->len = len - th.doff * 4U;
}

/* Give back frames already looked at */
static void forget_late(void)
{
	unsigned i;

	for (i = 0; i < env.late; i++)
		free(tap_mem.frame[i]);
	tap_mem.n -= env.late;
	for (i = 0; i < tap_mem.n; i++) {
		tap_mem.frame[i] = tap_mem.frame[i + env.late];
		tap_mem.len[i] = tap_mem.len[i + env.late];
		tap_mem.gso_size[i] = tap_mem.gso_size[i + env.late];
	}
	env.late = 0;
}

bool env_get(struct env_rx *rx)
{
	static const uint8_t our_mac[6] = GUEST_OUR_MAC;
	struct ether_header eh;
	struct ip6_hdr h6;
	struct iphdr h4;
	size_t len, total;
	uint8_t *p;

	if (env.late == tap_mem.n)
		return false;
	if (env.late > TAP_MEM_FRAMES / 4)
		forget_late();
	memset(rx, 0, sizeof(*rx));
	p = tap_mem.frame[env.late];
	total = tap_mem.len[env.late];
	rx->gso_size = tap_mem.gso_size[env.late++];
	memcpy(&eh, p, sizeof(eh));
	assert_memory_equal(eh.ether_dhost, env.guest.mac, 6);
	assert_memory_equal(eh.ether_shost, our_mac, 6);
	p += sizeof(eh);
	if (ntohs(eh.ether_type) == ETHERTYPE_IP) {
		memcpy(&h4, p, sizeof(h4));
		assert_int_equal(csum(&h4, sizeof(h4), 0), 0);
		rx->src = inany_from_v4((struct in_addr){ h4.saddr });
		rx->dst = inany_from_v4((struct in_addr){ h4.daddr });
		rx->proto = h4.protocol;
		len = ntohs(h4.tot_len);
		p += sizeof(h4);
	} else {
		assert_int_equal(ntohs(eh.ether_type), ETHERTYPE_IPV6);
		memcpy(&h6, p, sizeof(h6));
		rx->src = inany_from_v6(&h6.ip6_src);
		rx->dst = inany_from_v6(&h6.ip6_dst);
		rx->proto = h6.ip6_nxt;
		len = ntohs(h6.ip6_plen) + sizeof(h6);
		p += sizeof(h6);
	}
	/* padded only up to the least frame */
	if (total != ETH_MIN_LEN)
		assert_int_equal(total, len + sizeof(eh));
	else
		assert_true(len + sizeof(eh) <= total);
	if (!rx->gso_size)
		assert_true(len <= (env.tcp.mtu ? env.tcp.mtu : TAP_MTU_MAX));
	len -= (size_t)(p - tap_mem.frame[env.late - 1]) - sizeof(eh);
	if (rx->proto == IPPROTO_TCP) {
		get_tcp(rx, p, len);
	} else {
		rx->data = p;
		rx->len = len;
	}
	return true;
}

void env_want(const struct env_conn *c, struct env_rx *rx)
{
	struct pollfd p = { env.loop.epfd, POLLIN, 0 };
	union inany_addr src = env_addr(c->peer), dst = env_addr(c->guest);
	unsigned i;

	for (i = 0; i < 100 && !env_get(rx); i++) {
		if (!env_turn() && !env.loop.busy)
			poll(&p, 1, 10);
	}
	if (i == 100)
		fail_msg("no frame");
	assert_int_equal(rx->proto, IPPROTO_TCP);
	assert_true(inany_equals(&rx->src, &src));
	assert_true(inany_equals(&rx->dst, &dst));
	assert_int_equal(rx->sport, c->pport);
	assert_int_equal(rx->dport, c->gport);
}

void env_want_bare(const struct env_conn *c, uint8_t flags, uint32_t seq,
		   uint32_t ack, struct env_rx *rx)
{
	struct env_rx store;

	rx = rx ? rx : &store;
	env_want(c, rx);
	assert_int_equal(rx->flags, flags);
	assert_int_equal(rx->seq, seq);
	assert_int_equal(rx->ack, ack);
	assert_int_equal(rx->len, 0);
}

void env_want_none(void)
{
	struct env_rx rx;

	env_turns();
	if (env_get(&rx))
		fail_msg("unexpected frame: protocol %u flags %#x seq %u "
			 "ack %u len %zu",
			 rx.proto, rx.flags, rx.seq, rx.ack, rx.len);
}

void env_drop(void)
{
	tap_mem_reset();
	env.late = 0;
}

uint32_t env_window(const struct env_conn *c, const struct env_rx *rx)
{
	return (uint32_t)rx->wnd << (rx->flags & TH_SYN ? 0 : c->ws);
}

/* Options of the guest's SYN. Return: bytes */
static size_t syn_opts(uint8_t *o, unsigned mss, int ws)
{
	const uint8_t opts[8] = { 2, 4, (uint8_t)(mss >> 8), (uint8_t)mss, 1,
				  3, 3, (uint8_t)ws };

	memcpy(o, opts, sizeof(opts));
	return ws < 0 ? 4 : 8;
}

/* Is scaling in the options of a SYN of ours? */
static unsigned our_scale(const struct env_rx *rx)
{
	struct tcp_syn_opts so;

	tcp_opt_parse(rx->opts, rx->optlen, &so);
	return so.wscale < 0 ? 0 : (unsigned)so.wscale;
}

void env_open(struct env_conn *c, const char *peer, unsigned mss, int ws,
	      uint16_t wnd)
{
	static in_port_t port = 20000;
	bool v6 = strchr(peer, ':');
	struct env_tx syn = { .flags = TH_SYN, .wnd = wnd };
	uint8_t opts[8];
	struct env_rx rx;
	int l;

	port++;
	*c = (struct env_conn){ .guest = v6 ? GUEST6 : GUEST4,
				.peer = peer,
				.gport = 40000,
				.pport = port,
				.isn = 0xfffff000, /* wraps early */
				.wnd = wnd };
	l = env_listen(peer, port);
	syn.seq = c->isn;
	syn.opts = opts;
	syn.optlen = syn_opts(opts, mss, ws);
	env_send(c, &syn, 1);
	c->snd = c->isn + 1;
	c->fd = env_accept(l);
	close(l);
	env_want(c, &rx);
	assert_int_equal(rx.flags, TH_SYN | TH_ACK);
	assert_int_equal(rx.ack, c->snd);
	c->ws = our_scale(&rx);
	assert_true(ws >= 0 || !c->ws);
	c->risn = rx.seq;
	env_ack(c, rx.seq + 1);
	env_turns();
	env_drop();
}

void env_open_host(struct env_conn *c, const char *addr, unsigned mss, int ws,
		   uint16_t wnd)
{
	static in_port_t port = 30000;
	bool v6 = strchr(addr, ':');
	struct env_tx ack = { .flags = TH_SYN | TH_ACK, .wnd = wnd };
	uint8_t opts[8];
	struct env_rx rx;
	char from[INANY_STRLEN];
	static char peer[INANY_STRLEN];

	port++;
	env_rule(addr, port, 8080);
	env_forwards();
	*c = (struct env_conn){ .guest = v6 ? GUEST6 : GUEST4,
				.gport = 8080,
				.isn = 0xffffff00,
				.wnd = wnd };
	c->fd = env_connect(addr, port);
	while (env_turn())
		;
	assert_true(env_get(&rx));
	assert_int_equal(rx.flags, TH_SYN);
	strcpy(peer, inany_ntop(&rx.src, from));
	c->peer = peer;
	c->pport = rx.sport;
	assert_int_equal(rx.dport, c->gport);
	c->risn = rx.seq;
	c->rcv = rx.seq + 1;
	c->ws = ws < 0 ? 0 : our_scale(&rx);
	ack.seq = c->isn;
	ack.ack = c->rcv;
	ack.opts = opts;
	ack.optlen = syn_opts(opts, mss, ws);
	c->snd = c->isn + 1;
	env_send(c, &ack, 1);
	env_want_bare(c, TH_ACK, c->rcv, c->snd, NULL);
	env_turns();
	env_drop();
}

int env_peer_error(int fd)
{
	struct pollfd p = { fd, 0, 0 };

	env_turns();
	poll(&p, 1, 1000);
	return sock_error(fd);
}

void env_peer_reads(int fd, const void *want, size_t len)
{
	struct pollfd p = { fd, POLLIN, 0 };
	uint8_t *buf = malloc(len + 1);
	size_t done = 0;
	ssize_t n;

	assert_non_null(buf);
	while (done < len) {
		env_turn();
		n = recv(fd, buf + done, len - done, 0);
		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (!n || errno != EAGAIN || poll(&p, 1, 1000) != 1)
			fail_msg("%zu of %zu bytes: %zd", done, len, n);
	}
	assert_memory_equal(buf, want, len);
	assert_int_equal(recv(fd, buf, 1, MSG_PEEK), -1);
	free(buf);
}

void env_peer_eof(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	char b;

	env_turns();
	assert_int_equal(poll(&p, 1, 1000), 1);
	assert_int_equal(recv(fd, &b, 1, 0), 0);
}
