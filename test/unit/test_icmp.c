/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Echo through ping sockets, against the kernel of a namespace
 *
 * Two network namespaces in a user namespace of our own: "host", where ping
 * sockets are opened, and "router" behind it, which answers, lets hop limits
 * expire and refuses destinations.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fwd.h"
#include "icmp.h"
#include "lib/fdio.h"
#include "sock.h"
#include "test/fake/flows.h"
#include "test/unit/fds.h"
#include "test/unit/resp.h"
#include "wire/icmp.h"

#define GUEST4 "192.0.2.15"
#define GUEST6 "2001:db8::15"

#define ROUTER4  "198.51.100.2" /* next to the host's .1 */
#define ROUTER6  "2001:db8:1::2"
#define BEYOND4  "203.0.113.9" /* behind the router */
#define BEYOND6  "2001:db8:2::9"
#define FAR4     "203.0.113.200" /* further than that, silent */
#define FAR6     "2001:db8:2::200"
#define REFUSED4 "203.0.113.129" /* the router has a route that says no */
#define REFUSED6 "2001:db8:3::9"
#define NOROUTE4 "203.0.113.65" /* so has the host */
#define NOROUTE6 "2001:db8:4::9"
#define SELF4    "192.0.2.1" /* mapped to loopback */
#define SELF6    "fe80::1"

#define PING_RANGE "/proc/sys/net/ipv4/ping_group_range"

static struct icmp icmp;
static struct fwd_opts fopts;
static struct fwd fwd = { .opts = &fopts, .guest = &guest };
static struct flow_table flows;
static pid_t router;

static const struct loop_handler handlers[EPOLL_TYPES] = {
	[EPOLL_PING] = { "ping", icmp_sock_event, &icmp },
};

static void on_timer(void *ctx, struct wtimer *t)
{
	(void)ctx;
	flow_timer(&flows, t);
}

static void on_turn(void *ctx)
{
	(void)ctx;
}

static const struct loop_hooks hooks = { on_timer, on_turn, NULL };
static const struct flow_ops ops[FLOW_TYPES] = {
	[FLOW_PING] = { "ping", icmp_flow_timer, NULL, icmp_flow_evict, &icmp },
};

static void must(const char *command)
{
	if (system(command))
		fail_msg("%s", command);
}

/* New user and network namespace, with all rights in it */
static void isolate(void)
{
	unsigned uid = getuid(), gid = getgid();
	char map[32];

	assert_int_equal(unshare(CLONE_NEWUSER | CLONE_NEWNET), 0);
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	assert_int_equal(write_file("/proc/self/uid_map", map), 0);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	assert_int_equal(write_file("/proc/self/gid_map", map), 0);
}

/* Addresses and routes of the router, by a shell there */
static void router_setup(void)
{
	char command[40];
	FILE *f;

	snprintf(command, sizeof(command), "nsenter -t %d -n sh -e", router);
	f = popen(command, "w");
	assert_non_null(f);
	fputs("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad\n"
	      "echo 0 >/proc/sys/net/ipv6/conf/r0/accept_dad\n"
	      "echo 1 >/proc/sys/net/ipv4/ip_forward\n"
	      "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding\n"
	      "ip link set lo up\n"
	      "ip addr add " ROUTER4 "/24 dev r0\n"
	      "ip addr add " ROUTER6 "/64 dev r0 nodad\n"
	      "ip link set r0 up\n"
	      "ip addr add " BEYOND4 "/32 dev lo\n"
	      "ip addr add " BEYOND6 "/128 dev lo nodad\n"
	      "ip route add 203.0.113.192/26 dev r0\n"
	      "ip route add 2001:db8:2::/64 dev r0\n"
	      "ip route add unreachable " REFUSED4 "\n"
	      "ip route add unreachable " REFUSED6 "\n",
	      f);
	assert_int_equal(pclose(f), 0);
}

static int group_setup(void **state)
{
	const struct siphash_key key = { { 1, 2 } };
	char command[200], c;
	int ready[2];
	(void)state;

	isolate();
	assert_int_equal(pipe(ready), 0);
	router = fork();
	if (!router) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		c = unshare(CLONE_NEWNET) ? 'n' : 'y';
		if (write(ready[1], &c, 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(c, 'y');

	must("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad");
	snprintf(command, sizeof(command),
		 "ip link add h0 type veth peer name r0 netns %d", router);
	must("ip link set lo up");
	must(command);
	must("ip addr add 198.51.100.1/24 dev h0");
	must("ip addr add 2001:db8:1::1/64 dev h0 nodad");
	must("ip link set h0 up");
	must("ip route add default via " ROUTER4);
	must("ip route add default via " ROUTER6);
	must("ip route add unreachable " NOROUTE4);
	must("ip route add unreachable " NOROUTE6);
	router_setup();
	/* On a busy machine the kernel takes its time to see that a link is up */
	must("for to in " BEYOND4 " " BEYOND6 "; do "
	     "n=0; until ping -n -c 1 -W 1 $to >/dev/null 2>&1; do "
	     "n=$((n + 1)); [ $n -lt 200 ] || exit 1; sleep 0.05; done; done");

	assert_int_equal(loop_init(&loop, handlers, &hooks), 0);
	return flow_init(&flows, 64, &key, ops, &loop.wheel);
}

static int group_teardown(void **state)
{
	(void)state;
	kill(router, SIGKILL);
	waitpid(router, NULL, 0);
	return 0;
}

/* In a new namespace nobody may use ping sockets */
static int setup_denied(void **state)
{
	(void)state;
	resp_setup(NULL);
	fopts = (struct fwd_opts){
		.v4.host_loopback = addr(SELF4),
		.v6.host_loopback = addr(SELF6),
	};
	flows_close(&flows, icmp_flow_timer);
	icmp = (struct icmp){
		.tap = &tap, .loop = &loop, .flows = &flows, .fwd = &fwd
	};
	return 0;
}

static int setup(void **state)
{
	setup_denied(state);
	return write_file(PING_RANGE, "0 0");
}

/* An echo request of the guest */
struct req {
	const char *dst;
	uint16_t id, seq;
	uint8_t ttl;
	size_t len;         /* of the payload */
	uint8_t type, code; /* type 0: echo request */
	bool bad_csum;
};

static uint8_t msg[65535];

static void payload(uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 3 + len);
}

static void request(const struct req *r)
{
	bool v4 = !strchr(r->dst, ':');
	const char *src = v4 ? GUEST4 : GUEST6;
	struct icmp_echo h = {
		.type = v4 ? ICMP4_ECHO_REQUEST : 128,
		.code = r->code,
		.id = htons(r->id),
		.seq = htons(r->seq),
	};
	union inany_addr s = addr(src), d = addr(r->dst);
	size_t len = sizeof(h) + r->len;
	struct resp_packet rp;

	if (r->type)
		h.type = r->type;
	payload(msg + sizeof(h), r->len);
	memcpy(msg, &h, sizeof(h));
	h.csum = csum(msg, len,
		      v4 ? 0 : csum_pseudo6(&s.a6, &d.a6, IPPROTO_ICMPV6, len));
	h.csum ^= r->bad_csum;
	memcpy(msg, &h, sizeof(h));

	resp_packet(&rp, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, src, r->dst, msg,
		    len, len / 2);
	rp.p.csum_ok = false;
	rp.g.ttl = r->ttl ? r->ttl : 64;
	rp.g.icmp_type = h.type;
	rp.g.sport = rp.g.dport = r->id;
	icmp_tap_input(&icmp, &rp.g);
	resp_packet_free(&rp);
}

/* Let the loop turn until a frame is there for the guest, a second at most */
static bool wait_frame(void)
{
	int i;

	for (i = 0; i < 10 && !tap_mem.n; i++)
		assert_true(loop_turn(&loop, 100) >= 0);
	return tap_mem.n;
}

static union inany_addr frame_src(void)
{
	const uint8_t *f = tap_mem.frame[0];
	bool v4 = f[12] == 0x08;
	union inany_addr a;

	inany_from_af(&a, v4 ? AF_INET : AF_INET6, f + L3_OFF + (v4 ? 12 : 8));
	return a;
}

/* The answer to a request came, from where it went */
static void expect_reply(const struct req *r)
{
	bool v4 = !strchr(r->dst, ':');
	struct icmp_echo h;
	const uint8_t *p;
	size_t len;

	if (!wait_frame())
		fail_msg("no reply from %s", r->dst);
	p = resp_l4(&len);
	assert_int_equal(len, sizeof(h) + r->len);
	memcpy(&h, p, sizeof(h));
	assert_int_equal(h.type, v4 ? ICMP4_ECHO_REPLY : 129);
	assert_int_equal(h.code, 0);
	assert_int_equal(ntohs(h.id), r->id);
	assert_int_equal(ntohs(h.seq), r->seq);
	payload(msg, r->len);
	assert_memory_equal(p + sizeof(h), msg, r->len);
	assert_addr(frame_src(), r->dst);
	assert_addr(resp_dst(), v4 ? GUEST4 : GUEST6);
	/* TTL of the answer: what is left of the router's */
	assert_int_equal(tap_mem.frame[0][v4 ? L3_OFF + 8 : L3_OFF + 7], 64);
	tap_mem_reset();
}

/* An error about a request came */
static void expect_error(const struct req *r, uint8_t type, uint8_t code,
			 const char *offender)
{
	bool v4 = !strchr(r->dst, ':');
	size_t l3len = v4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr);
	const char *src = v4 ? GUEST4 : GUEST6;
	union inany_addr a, b, s = addr(src), d = addr(r->dst);
	struct icmp_echo h;
	const uint8_t *p;
	uint32_t sum = 0;
	size_t len;

	assert_true(wait_frame());
	p = resp_l4(&len);
	assert_int_equal(p[0], type);
	assert_int_equal(p[1], code);
	assert_addr(frame_src(), offender);
	assert_addr(resp_dst(), src);

	/* Quoted is what the guest has sent, with a right checksum */
	assert_int_equal(len, 8 + l3len + sizeof(h) + r->len);
	p += 8;
	inany_from_af(&a, v4 ? AF_INET : AF_INET6, p + (v4 ? 12 : 8));
	inany_from_af(&b, v4 ? AF_INET : AF_INET6, p + (v4 ? 16 : 24));
	assert_addr(a, src);
	assert_addr(b, r->dst);
	p += l3len;
	memcpy(&h, p, sizeof(h));
	assert_int_equal(ntohs(h.id), r->id);
	assert_int_equal(ntohs(h.seq), r->seq);
	if (!v4)
		sum = csum_pseudo6(&s.a6, &d.a6, IPPROTO_ICMPV6,
				   sizeof(h) + r->len);
	/* The host's kernel computed the sum of IPv6 over its own addresses */
	if (v4)
		assert_int_equal(csum(p, sizeof(h) + r->len, sum), 0);
	tap_mem_reset();
}

static void test_echo(void **state)
{
	static const char *const dst[] = { ROUTER4, BEYOND4, ROUTER6,
					   BEYOND6, SELF4,   SELF6 };
	struct req r = { .id = 4711 };
	size_t i;
	(void)state;

	for (i = 0; i < sizeof(dst) / sizeof(dst[0]); i++) {
		r.dst = dst[i];
		for (r.seq = 1; r.seq < 4; r.seq++) {
			r.len = r.seq * 100 - 100;
			request(&r);
			expect_reply(&r);
		}
		assert_int_equal(icmp.stats.flows, i + 1);
	}

	/* Another identifier is another flow */
	r.id++;
	request(&r);
	expect_reply(&r);
	assert_int_equal(icmp.stats.flows, i + 1);
	assert_int_equal(flows.used, i + 1);
	assert_int_equal(icmp.stats.bad_echo, 0);
	assert_int_equal(icmp.stats.dropped, 0);
}

static void test_big(void **state)
{
	/* as large as one frame may be: larger ones go in fragments */
	struct req r = { .dst = SELF4, .id = 1, .len = TAP_MTU_MAX - 28 };
	unsigned mtu = guest.offer.mtu;
	(void)state;

	guest.offer.mtu = 0;
	request(&r);
	expect_reply(&r);
	r.dst = SELF6;
	r.len -= 20;
	request(&r);
	expect_reply(&r);
	guest.offer.mtu = mtu;
}

/* A ping socket of somebody else, as it is if nothing is asked for */
static int others_socket(uint8_t proto, uint16_t id)
{
	bool v4 = proto == IPPROTO_ICMP;
	const struct sock_spec spec = { .af = v4 ? AF_INET : AF_INET6,
					.type = SOCK_DGRAM,
					.proto = proto,
					.bind = v4 ? &inany_any4 : &inany_any6,
					.port = id };

	return sock_open(&spec);
}

/* Identifier of the last flow on the host's side */
static uint16_t host_id(void)
{
	const struct flow *f = NULL, *g;
	uint32_t i;

	for (i = 0; i < flows.max; i++) {
		g = flow_at(&flows, i, FLOW_PING);
		if (g)
			f = g;
	}
	assert_non_null(f);
	return f->side[TGTSIDE].oport;
}

/* Somebody else on the host has the identifier: only the host's side changes,
 * and what comes for that one does not come here
 */
static void taken(uint8_t proto, const char *near, const char *far,
		  uint8_t type, const char *offender)
{
	struct req r = { .dst = near, .id = 99, .len = 40 };
	int fd = others_socket(proto, r.id);

	assert_true(fd >= 0);
	request(&r);
	assert_int_not_equal(host_id(), r.id);
	expect_reply(&r);
	r.dst = far;
	r.ttl = 1;
	request(&r);
	expect_error(&r, type, 0, offender);
	assert_int_equal(icmp.stats.dropped, 0);
	close(fd);
}

static void test_taken4(void **state)
{
	(void)state;
	taken(IPPROTO_ICMP, ROUTER4, FAR4, 11, ROUTER4);
}

static void test_taken6(void **state)
{
	(void)state;
	taken(IPPROTO_ICMPV6, ROUTER6, FAR6, 3, ROUTER6);
}

/* The identifier is kept if nobody has it, and nobody gets it then */
static void kept(uint8_t proto, const char *near)
{
	struct req r = { .dst = near, .id = 98, .len = 40 };

	request(&r);
	assert_int_equal(host_id(), r.id);
	expect_reply(&r);
	assert_int_equal(others_socket(proto, r.id), -EADDRINUSE);
}

static void test_kept(void **state)
{
	(void)state;
	kept(IPPROTO_ICMP, ROUTER4);
	flows_close(&flows, icmp_flow_timer);
	kept(IPPROTO_ICMPV6, ROUTER6);
}

/* Some guests have one identifier for all: who asked two hosts by turns gets the
 * answers of both
 */
static void by_turns(const char *a, const char *b)
{
	struct req r = { .id = 1, .len = 40 };

	for (r.seq = 1; r.seq < 4; r.seq++) {
		r.dst = a;
		request(&r);
		expect_reply(&r);
		r.dst = b;
		request(&r);
		expect_reply(&r);
	}
	assert_int_equal(icmp.stats.flows, 2);
	assert_int_equal(icmp.stats.dropped, 0);
	icmp.stats.flows = 0;
}

static void test_by_turns(void **state)
{
	(void)state;
	by_turns(ROUTER4, BEYOND4);
	by_turns(ROUTER6, BEYOND6);
	by_turns(SELF4, SELF6);
}

/* What traceroute does: the hop limit rises until there is an answer */
static void test_ttl(void **state)
{
	struct req r = { .id = 5, .len = 32, .seq = 1 };
	(void)state;

	r.dst = FAR4;
	r.ttl = 1;
	request(&r);
	expect_error(&r, 11, 0, ROUTER4);
	r.dst = FAR6;
	request(&r);
	expect_error(&r, 3, 0, ROUTER6);

	/* The same flow with enough */
	r.dst = ROUTER4;
	r.ttl = 1;
	request(&r);
	expect_reply(&r);
	r.ttl = 2;
	request(&r);
	expect_reply(&r);
}

static void test_refused(void **state)
{
	struct req r = { .dst = REFUSED4, .id = 5, .len = 32 };
	(void)state;

	request(&r);
	expect_error(&r, 3, 1, ROUTER4);
	r.dst = REFUSED6;
	request(&r);
	expect_error(&r, 1, 0, ROUTER6);

	/* Again: errors do not stick to the socket */
	request(&r);
	expect_error(&r, 1, 0, ROUTER6);

	/* Where our own kernel says no, the destination does for the guest */
	r.dst = NOROUTE4;
	request(&r);
	expect_error(&r, 3, 1, NOROUTE4);
	r.dst = NOROUTE6;
	request(&r);
	expect_error(&r, 1, 3, NOROUTE6);
}

static void test_bad(void **state)
{
	struct req r = { .dst = SELF4, .id = 5, .len = 32 };
	uint8_t one[8] = { ICMP4_ECHO_REQUEST };
	struct resp_packet rp;
	size_t n;
	(void)state;

	r.code = 1;
	request(&r);
	r.code = 0;
	r.bad_csum = true;
	request(&r);
	r.dst = SELF6;
	request(&r);
	assert_int_equal(icmp.stats.bad_echo, 3);
	r.bad_csum = false;
	r.type = 13; /* timestamp */
	request(&r);
	r.dst = SELF4;
	request(&r);
	r.type = 3; /* errors of the guest */
	request(&r);
	assert_int_equal(icmp.stats.dropped, 3);

	for (n = 0; n < sizeof(one); n++) {
		resp_packet(&rp, IPPROTO_ICMP, GUEST4, SELF4, one, n, 0);
		rp.g.icmp_type = ICMP4_ECHO_REQUEST;
		icmp_tap_input(&icmp, &rp.g);
		resp_packet_free(&rp);
	}
	assert_int_equal(icmp.stats.bad_echo, 3 + n);
	assert_int_equal(flows.used, 0);
	assert_int_equal(tap_mem.n, 0);
}

static void test_denied(void **state)
{
	struct req r = { .dst = SELF4, .id = 5 };
	(void)state;

	request(&r);
	request(&r);
	r.dst = SELF6;
	request(&r);
	assert_int_equal(icmp.stats.denied, 3);
	assert_true(icmp.denied4);
	assert_true(icmp.denied6);
	assert_int_equal(flows.used, 0);
	assert_int_equal(tap_mem.n, 0);
}

/* Sixty seconds after the last request, not the first */
static void test_idle(void **state)
{
	struct req r = { .dst = SELF4, .id = 5 };
	uint64_t then = loop.now;
	struct flow *f = NULL;
	uint32_t i;
	(void)state;

	request(&r);
	expect_reply(&r);
	for (i = 0; i < flows.max && !f; i++)
		f = flow_at(&flows, i, FLOW_PING);
	assert_non_null(f);
	assert_int_equal(f->timer.at, then + 60000);
	loop.now += 30000;
	request(&r);
	assert_int_equal(f->timer.at, loop.now + 60000);
	flow_timer(&flows, &f->timer);
	assert_int_equal(flows.used, 0);
	wait_frame(); /* what was on its way has no receiver */
	assert_int_equal(tap_mem.n, 0);
}

static void test_full(void **state)
{
	struct req r = { .dst = SELF4 };
	unsigned i;
	(void)state;

	for (i = 0; i < flows.max; i++) {
		r.id = (uint16_t)(100 + i);
		request(&r);
	}
	assert_int_equal(flows.used, flows.max);
	/* The first one is used again, so the next ones are older */
	r.id = 100;
	request(&r);
	for (i = 0; i < 3; i++) {
		r.id = (uint16_t)(200 + flows.max + i);
		request(&r);
	}
	assert_int_equal(flows.used, flows.max);
	assert_int_equal(icmp.stats.evicted, 3);
	assert_int_equal(icmp.stats.table_full, 0);
	r.id = 100;
	request(&r);
	assert_int_equal(icmp.stats.flows, flows.max + 3);
}

/* Without descriptors for more: the flow unused for longest goes, if there is one */
static void no_fd(const char *dst)
{
	struct req r = { .dst = dst, .id = 301 };

	fds_leave(0);
	request(&r);
	assert_int_equal(icmp.stats.no_fd, 1);
	assert_int_equal(icmp.stats.flows, 0);
	fds_leave(1);
	for (; r.id < 304; r.id++) {
		request(&r);
		expect_reply(&r);
	}
	fds_back();
	assert_int_equal(icmp.stats.no_fd, 1);
	assert_int_equal(icmp.stats.evicted, 2);
	assert_int_equal(flows.used, 1);
}

static void test_no_fd4(void **state)
{
	(void)state;
	no_fd(SELF4);
}

static void test_no_fd6(void **state)
{
	(void)state;
	no_fd(SELF6);
}

static void test_blocked(void **state)
{
	struct req r = { .dst = SELF4, .id = 7 };
	(void)state;

	tap_mem.blocked = true;
	request(&r);
	assert_false(wait_frame());
	assert_int_equal(icmp.stats.dropped, 1);
	tap_mem.blocked = false;
	request(&r);
	expect_reply(&r);
}

static void input_echo(void *ctx, const struct packet_group *g)
{
	struct packet_group echo = *g;

	echo.icmp_type = ICMP4_ECHO_REQUEST;
	icmp_tap_input(ctx, &echo);
}

static void test_torture(void **state)
{
	uint8_t l4[24] = { ICMP4_ECHO_REQUEST };
	(void)state;

	resp_torture(input_echo, &icmp, IPPROTO_ICMP, GUEST4, SELF4, l4,
		     sizeof(l4));
	assert_int_equal(flows.used, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_denied, setup_denied),
		cmocka_unit_test_setup(test_echo, setup),
		cmocka_unit_test_setup(test_big, setup),
		cmocka_unit_test_setup(test_taken4, setup),
		cmocka_unit_test_setup(test_taken6, setup),
		cmocka_unit_test_setup(test_kept, setup),
		cmocka_unit_test_setup(test_by_turns, setup),
		cmocka_unit_test_setup(test_ttl, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_bad, setup),
		cmocka_unit_test_setup(test_idle, setup),
		cmocka_unit_test_setup(test_full, setup),
		cmocka_unit_test_setup(test_no_fd4, setup),
		cmocka_unit_test_setup(test_no_fd6, setup),
		cmocka_unit_test_setup(test_blocked, setup),
		cmocka_unit_test_setup(test_torture, setup),
	};

	return cmocka_run_group_tests_name("icmp", tests, group_setup,
					   group_teardown);
}
