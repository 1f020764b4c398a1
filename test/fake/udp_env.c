/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest without a machine, for tests of UDP: datagrams in, datagrams out */
#include <errno.h>
#include <fcntl.h>
#include <netinet/icmp6.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "frame.h"
#include "lib/csum.h"
#include "test/fake/flows.h"
#include "test/fake/udp_env.h"

struct udp_env udp_env;

/* Group of the guest's datagrams, and room for what comes out */
static struct packet packets[512];
static struct iovec piovs[512];
static uint8_t pbytes[4 << 20];
static uint8_t assembled[70000];
static unsigned next_frame;

/* Open sockets of a test, so that those of one that failed are gone */
static int socks[32];
static unsigned nsocks;

int udp_env_netns_call(struct netns *ns, int (*fn)(void *arg), void *arg)
{
	int rc;

	if (setns(ns->fd, CLONE_NEWNET))
		return -errno;
	rc = fn(arg);
	assert_int_equal(setns(udp_env.host_ns, CLONE_NEWNET), 0);
	return rc;
}

static const struct flow_ops ops[FLOW_TYPES] = {
	[FLOW_UDP] = { "UDP", udp_flow_timer, udp_flow_resume, udp_flow_evict,
		       &udp_env.udp },
};

static const struct loop_handler handlers[EPOLL_TYPES] = {
	[EPOLL_UDP] = { "UDP", udp_sock_event, &udp_env.udp },
	[EPOLL_UDP_LISTEN] = { "listener", udp_listen_event, &udp_env.udp },
	[EPOLL_UDP_SPLICE] = { "splice", udp_splice_event, &udp_env.udp },
};

static void on_timer(void *ctx, struct wtimer *t)
{
	flow_timer(ctx, t);
}

static void on_turn(void *ctx)
{
	if (flow_run_deferred(ctx))
		udp_env.loop.busy = true;
	tap_flush(&udp_env.tap);
}

static const struct loop_hooks hooks = { on_timer, on_turn, &udp_env.flows };

/* A fresh network namespace for the whole process */
static int new_ns(void)
{
	int fd;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

int udp_env_start(void **state)
{
	(void)state;
	if (geteuid())
		assert_int_equal(unshare(CLONE_NEWUSER), 0);
	udp_env.netns.fd = new_ns();
	env_run("ip link set lo up");
	env_run("ip addr add " GUEST4 "/24 dev lo");
	env_run("ip addr add " GUEST6 "/64 dev lo nodad");
	udp_env.host_ns = new_ns();
	env_run("ip link set lo up multicast on");
	env_run("ip addr add " HOST4 "/24 dev lo");
	env_run("ip addr add " PEER4 "/32 dev lo");
	env_run("ip addr add " PEER4B "/32 dev lo");
	env_run("ip addr add " HOST6 "/64 dev lo nodad");
	env_run("ip addr add " PEER6 "/128 dev lo nodad");
	env_run("ip addr add " PEER6B "/128 dev lo nodad");
	env_run("ip route add 224.0.0.0/4 dev lo");
	env_until("ip -6 route get " PEER6B " | grep -q ^local");

	sock_probe(&udp_env.features);
	return 0;
}

void udp_env_forget(void)
{
	tap_mem_reset();
	next_frame = 0;
}

int udp_env_reset(void **state)
{
	const struct siphash_key key = { { 1, 2 } };
	const struct tap_upcalls up = { 0 };

	(void)state;
	while (nsocks)
		close(socks[--nsocks]);
	if (udp_env.flows.slots) {
		flows_close(&udp_env.flows, udp_flow_close);
		flow_run_deferred(&udp_env.flows);
		munmap(udp_env.flows.slots,
		       (size_t)udp_env.flows.max * FLOW_SLOT);
		munmap(udp_env.flows.bucket, (udp_env.flows.mask + 1) * 4UL);
		fwd_close(&udp_env.fwd);
		munmap(udp_env.fwd.listener,
		       sizeof(*udp_env.fwd.listener) * FWD_LISTENERS_MAX);
		close(udp_env.loop.epfd);
	}
	udp_env_forget();
	tap_mem.blocked = tap_mem.offload = false;

	env_guest(&udp_env.guest);
	memset(&udp_env.opts, 0, sizeof(udp_env.opts));
	udp_env.opts.v4 = udp_env.opts.v6 = (struct fwd_map){ .scope = 1 };
	udp_env.opts.v4.host_loopback = env_addr(GW4);
	udp_env.opts.v6.host_loopback = env_addr(GW6);
	udp_env.opts.pasta = true;
	sock_probe(&udp_env.features);
	udp_env.features.rmem_max = udp_env.features.wmem_max = 4 << 20;

	assert_int_equal(loop_init(&udp_env.loop, handlers, &hooks), 0);
	assert_int_equal(flow_init(&udp_env.flows, ENV_FLOWS, &key, ops,
				   &udp_env.loop.wheel),
			 0);
	assert_int_equal(fwd_init(&udp_env.fwd, &udp_env.opts, &udp_env.guest,
				  &udp_env.netns, &udp_env.loop),
			 0);
	tap_init(&udp_env.tap, &tap_mem_ops, &udp_env.loop, &udp_env.guest,
		 &up);
	udp_env.udp = (struct udp){ .tap = &udp_env.tap,
				    .loop = &udp_env.loop,
				    .flows = &udp_env.flows,
				    .fwd = &udp_env.fwd,
				    .netns = &udp_env.netns,
				    .features = &udp_env.features };
	return udp_init(&udp_env.udp);
}

int udp_env_socket(const char *addr, in_port_t port)
{
	const union inany_addr a = env_addr(addr);
	const struct sock_spec s = { .af = inany_af(&a),
				     .type = SOCK_DGRAM,
				     .proto = IPPROTO_UDP,
				     .bind = &a,
				     .port = port };
	int fd = sock_open(&s);

	assert_true(fd >= 0);
	sock_set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20);
	sock_set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20);
	assert_true(nsocks < sizeof(socks) / sizeof(socks[0]));
	socks[nsocks++] = fd;
	return fd;
}

void udp_env_close(int fd)
{
	unsigned i;

	for (i = 0; i < nsocks && socks[i] != fd; i++)
		;
	assert_true(i < nsocks);
	socks[i] = socks[--nsocks];
	close(fd);
}

int udp_env_ns_socket(const char *addr, in_port_t port)
{
	int fd;

	assert_int_equal(setns(udp_env.netns.fd, CLONE_NEWNET), 0);
	fd = udp_env_socket(addr, port);
	assert_int_equal(setns(udp_env.host_ns, CLONE_NEWNET), 0);
	return fd;
}

in_port_t udp_env_port(int fd)
{
	union sockaddr_any sa;
	socklen_t len = sizeof(sa);
	union inany_addr a;
	in_port_t port;

	assert_int_equal(getsockname(fd, &sa.sa, &len), 0);
	assert_int_equal(inany_from_sockaddr(&a, &port, &sa), 0);
	return port;
}

void udp_env_rule(enum pif pif, const char *addr, in_port_t port, in_port_t to)
{
	struct fwd_rules *rules = pif == PIF_HOST ? &udp_env.opts.host
						  : &udp_env.opts.splice;

	rules->rule[rules->n++] =
		(struct fwd_rule){ .proto = IPPROTO_UDP,
				   .pif = (uint8_t)pif,
				   .dual = !addr,
				   .addr = addr ? env_addr(addr) : inany_any6,
				   .first = port,
				   .last = port,
				   .to = to };
}

/* Complete the group of packets that lies in packets[] */
static void input(const struct udp_env_send *s, unsigned n)
{
	struct packet_group g = { .dst = env_addr(s->dst),
				  .sport = s->sport,
				  .dport = s->dport,
				  .proto = IPPROTO_UDP,
				  .ttl = s->ttl ? s->ttl : 64,
				  .tos = s->tos,
				  .n = n,
				  .first = &packets[0],
				  .last = &packets[n - 1] };
	unsigned i;

	g.src = env_addr(s->src ? s->src : inany_v4(&g.dst) ? GUEST4 : GUEST6);
	for (i = 0; i < n; i++) {
		packets[i].l4 = iov_tail_init(&piovs[i], 1, 0);
		packets[i].next = i + 1 < n ? &packets[i + 1] : NULL;
	}
	udp_tap_input(&udp_env.udp, &g);
}

void udp_env_guest_raw(const struct udp_env_send *s, const void *l4, size_t len)
{
	memset(packets, 0, sizeof(packets[0]));
	memcpy(pbytes, l4, len);
	piovs[0] = (struct iovec){ pbytes, len };
	input(s, 1);
}

void udp_env_guest_sends(const struct udp_env_send *s, const void *payload,
			 size_t len)
{
	union inany_addr dst = env_addr(s->dst), src;
	struct l3_spec l3 = { .src = &src, .dst = &dst, .proto = IPPROTO_UDP };
	unsigned i, n = s->n ? s->n : 1;
	uint8_t *p = pbytes;

	src = env_addr(s->src ? s->src : inany_v4(&dst) ? GUEST4 : GUEST6);
	memset(packets, 0, sizeof(packets));
	for (i = 0; i < n; i++) {
		size_t l = s->last && i + 1 == n ? s->last : len;
		uint8_t *data = p + sizeof(struct udphdr);
		struct udphdr uh;
		uint16_t c;

		assert_true(i < 512 && data + l <= pbytes + sizeof(pbytes));
		if (l) {
			memcpy(data, payload, l);
			data[0] = (uint8_t)(data[0] + i);
		}
		frame_push_udp(&uh, &l3, s->sport, s->dport, l);
		c = csum(data, l, csum_fold(csum_partial(&uh, 8, 0)));
		uh.check = c ? c : 0xffff;
		memcpy(p, &uh, sizeof(uh));
		piovs[i] = (struct iovec){ p, sizeof(uh) + l };
		packets[i].gso_size = s->gso_size;
		p = data + l;
	}
	input(s, n);
}

void udp_env_turns(void)
{
	unsigned i;

	for (i = 0;
	     i < 1000 && (loop_turn(&udp_env.loop, 0) > 0 || udp_env.loop.busy);
	     i++)
		;
}

ssize_t udp_env_recv(int fd, void *buf, size_t len, union inany_addr *from,
		     in_port_t *port)
{
	struct pollfd p[2] = { { fd, POLLIN, 0 },
			       { udp_env.loop.epfd, POLLIN, 0 } };
	union sockaddr_any sa;
	socklen_t salen = sizeof(sa);
	union inany_addr a;
	unsigned i;
	in_port_t q;
	ssize_t n;

	for (i = 0; i < 100; i++) {
		udp_env_turns();
		n = recvfrom(fd, buf, len, MSG_DONTWAIT, &sa.sa, &salen);
		if (n >= 0) {
			inany_from_sockaddr(from ? from : &a, port ? port : &q,
					    &sa);
			return n;
		}
		poll(p, 2, 10);
	}
	return -1;
}

void udp_env_send_to(int fd, const char *addr, in_port_t port, const void *buf,
		     size_t len)
{
	const union inany_addr a = env_addr(addr);
	union sockaddr_any sa;
	socklen_t salen = sockaddr_from_inany(&sa, &a, port, 1);

	assert_int_equal(sendto(fd, buf, len, 0, &sa.sa, salen), (ssize_t)len);
}

/* Check the sum of a whole UDP datagram */
static void check_udp(struct udp_env_dgram *d, uint8_t *l4, size_t len)
{
	const struct l3_spec l3 = { .src = &d->src,
				    .dst = &d->dst,
				    .proto = IPPROTO_UDP };
	struct udphdr uh;

	assert_true(len >= sizeof(uh));
	memcpy(&uh, l4, sizeof(uh));
	assert_int_equal(ntohs(uh.len), len);
	if (!tap_mem.offload) {
		assert_int_not_equal(uh.check, 0);
		assert_int_equal(csum_fold(csum_partial(
					 l4, len, frame_pseudo(&l3, len))),
				 0xffff);
	}
	d->sport = ntohs(uh.source);
	d->dport = ntohs(uh.dest);
	d->payload = l4 + sizeof(uh);
	d->len = len - sizeof(uh);
}

/* Next frame as IP payload. @off, @more: of a fragment; @id: its number */
static uint8_t *next_packet(struct udp_env_dgram *d, size_t *len, size_t *off,
			    bool *more, uint32_t *id)
{
	uint8_t *p = tap_mem.frame[next_frame];
	struct ether_header eh;
	struct ip6_frag fh;
	struct ip6_hdr h6;
	struct iphdr h4;

	assert_true(tap_mem.gso_size[next_frame] ||
		    tap_mem.len[next_frame] <=
			    tap_mtu(&udp_env.tap) +
				    sizeof(struct ether_header));
	d->gso_size = tap_mem.gso_size[next_frame++];
	memcpy(&eh, p, sizeof(eh));
	p += sizeof(eh);
	*off = 0;
	*more = false;
	*id = 0;
	if (ntohs(eh.ether_type) == ETHERTYPE_IP) {
		memcpy(&h4, p, sizeof(h4));
		assert_int_equal(csum(&h4, sizeof(h4), 0), 0);
		d->src = inany_from_v4((struct in_addr){ h4.saddr });
		d->dst = inany_from_v4((struct in_addr){ h4.daddr });
		d->proto = h4.protocol;
		d->ttl = h4.ttl;
		*off = (ntohs(h4.frag_off) & IP_OFFMASK) * 8UL;
		*more = ntohs(h4.frag_off) & IP_MF;
		assert_false((*off || *more) && ntohs(h4.frag_off) & IP_DF);
		*id = h4.id;
		*len = ntohs(h4.tot_len) - sizeof(h4);
		return p + sizeof(h4);
	}
	assert_int_equal(ntohs(eh.ether_type), ETHERTYPE_IPV6);
	memcpy(&h6, p, sizeof(h6));
	d->src = inany_from_v6(&h6.ip6_src);
	d->dst = inany_from_v6(&h6.ip6_dst);
	d->proto = h6.ip6_nxt;
	d->ttl = h6.ip6_hlim;
	*len = ntohs(h6.ip6_plen);
	p += sizeof(h6);
	if (d->proto == IPPROTO_FRAGMENT) {
		memcpy(&fh, p, sizeof(fh));
		d->proto = fh.ip6f_nxt;
		*off = ntohs(fh.ip6f_offlg & IP6F_OFF_MASK);
		*more = fh.ip6f_offlg & IP6F_MORE_FRAG;
		*id = fh.ip6f_ident;
		*len -= sizeof(fh);
		p += sizeof(fh);
	}
	return p;
}

bool udp_env_guest_gets(struct udp_env_dgram *d)
{
	struct pollfd pfd = { udp_env.loop.epfd, POLLIN, 0 };
	size_t len, off, total = 0;
	uint32_t id, first = 0;
	unsigned i;
	uint8_t *p;
	bool more;

	for (i = 0; i < 100 && next_frame == tap_mem.n; i++) {
		udp_env_turns();
		if (next_frame == tap_mem.n)
			poll(&pfd, 1, 10);
	}
	if (next_frame == tap_mem.n)
		return false;

	for (d->frames = 1;; d->frames++) {
		assert_true(next_frame < tap_mem.n);
		p = next_packet(d, &len, &off, &more, &id);
		if (!off && !more)
			break;
		if (d->frames == 1)
			first = id;
		assert_int_equal(off, total);
		assert_true(id == first && id);
		assert_true(off + len <= sizeof(assembled));
		memcpy(assembled + off, p, len);
		total += len;
		if (!more) {
			p = assembled;
			len = total;
			break;
		}
		assert_int_equal(len % 8, 0);
	}
	if (d->proto == IPPROTO_UDP) {
		check_udp(d, p, len);
	} else {
		d->sport = d->dport = 0;
		d->payload = p;
		d->len = len;
	}
	return true;
}

bool udp_env_guest_gets_nothing(void)
{
	udp_env_turns();
	return next_frame == tap_mem.n;
}
