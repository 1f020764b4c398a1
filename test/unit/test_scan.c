/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Automatic rules: lists of bound sockets taken apart, which ports follow */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fwd.h"
#include "fwd/procnet.h"
#include "fwd/scan.h"
#include "lib/bitmap.h"
#include "lib/wheel.h"
#include "netns.h"
#include "nl.h"
#include "nl/diag.h"
#include "test/fuzz/seed.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define SEQ 7

/* What was told of */
struct told {
	unsigned n;
	struct nl_bound last;
	struct port_set ports;
};

static void tell(void *arg, const struct nl_bound *b)
{
	struct told *t = arg;

	t->n++;
	t->last = *b;
	port_set_add(&t->ports, b->port);
}

/* A datagram under construction */
static struct {
	size_t len;
	_Alignas(NLMSG_ALIGNTO) char buf[4096];
} dg;

/* Append a message with @len bytes of a body */
static struct nlmsghdr *put(uint16_t type, uint32_t seq, const void *body,
			    size_t len)
{
	struct nlmsghdr *h = (void *)(dg.buf + dg.len);

	*h = (struct nlmsghdr){ .nlmsg_len = (uint32_t)NLMSG_LENGTH(len),
				.nlmsg_type = type,
				.nlmsg_seq = seq };
	memcpy(NLMSG_DATA(h), body, len);
	dg.len += NLMSG_SPACE(len);
	return h;
}

/* One socket as the kernel tells of it */
static struct inet_diag_msg sock(uint8_t af, const char *on, uint16_t port)
{
	struct inet_diag_msg d = { .idiag_family = af,
				   .idiag_state = TCP_LISTEN };
	union inany_addr a;

	d.id.idiag_sport = htons(port);
	assert_int_equal(inany_pton(on, &a), 0);
	if (inany_v4(&a))
		memcpy(d.id.idiag_src, inany_v4(&a), 4);
	else
		memcpy(d.id.idiag_src, &a.a6, 16);
	return d;
}

/* Also an input of the fuzzer */
static int take(void *buf, size_t len, uint32_t seq, nl_bound_fn *fn, void *arg)
{
	fuzz_seed("scan", "", 1, buf, len);
	return nl_diag_take(buf, len, seq, fn, arg);
}

static void test_take(void **state)
{
	struct inet_diag_msg d4 = sock(AF_INET, "192.0.2.1", 80);
	struct inet_diag_msg d6 = sock(AF_INET6, "2001:db8::1", 65535);
	struct told t = { 0 };
	int zero = 0;

	(void)state;
	dg.len = 0;
	put(SOCK_DIAG_BY_FAMILY, SEQ, &d4, sizeof(d4));
	assert_int_equal(take(dg.buf, dg.len, SEQ, tell, &t), 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.last.port, 80);
	assert_true(inany_v4(&t.last.addr));

	/* the older kind, and the end */
	put(TCPDIAG_GETSOCK, SEQ, &d6, sizeof(d6));
	put(NLMSG_DONE, SEQ, &zero, sizeof(zero));
	assert_int_equal(take(dg.buf, dg.len, SEQ, tell, &t), 1);
	assert_int_equal(t.n, 3);
	assert_int_equal(t.last.port, 65535);
	assert_false(inany_v4(&t.last.addr));
	assert_true(port_set_has(&t.ports, 80));
	assert_true(port_set_has(&t.ports, 65535));

	/* of another request, ends included */
	assert_int_equal(nl_diag_take(dg.buf, dg.len, SEQ + 1, tell, &t), 0);
	assert_int_equal(t.n, 3);
}

static void test_take_hostile(void **state)
{
	struct inet_diag_msg d = sock(AF_INET, "192.0.2.1", 80);
	int err = -ENOENT, odd = 5;
	struct told t = { 0 };
	struct nlmsghdr *h;
	size_t len, i;

	(void)state;
	/* neither port 0, nor other families, nor other types */
	dg.len = 0;
	d.id.idiag_sport = 0;
	put(SOCK_DIAG_BY_FAMILY, SEQ, &d, sizeof(d));
	d = sock(AF_UNIX, "192.0.2.1", 80);
	put(SOCK_DIAG_BY_FAMILY, SEQ, &d, sizeof(d));
	d = sock(AF_INET, "192.0.2.1", 80);
	put(NLMSG_NOOP, SEQ, &d, sizeof(d));
	put(4711, SEQ, &d, sizeof(d));
	/* a body that is cut, or none */
	put(SOCK_DIAG_BY_FAMILY, SEQ, &d, sizeof(d) - 1);
	put(SOCK_DIAG_BY_FAMILY, SEQ, &d, 0);
	assert_int_equal(take(dg.buf, dg.len, SEQ, tell, &t), 0);
	assert_int_equal(t.n, 0);

	/* refused */
	put(NLMSG_ERROR, SEQ, &err, sizeof(err));
	assert_int_equal(take(dg.buf, dg.len, SEQ, tell, &t), -ENOENT);
	dg.len = 0;
	put(NLMSG_DONE, SEQ, &err, sizeof(err));
	assert_int_equal(take(dg.buf, dg.len, SEQ, tell, &t), -ENOENT);
	dg.len = 0;
	put(NLMSG_ERROR, SEQ, &odd, sizeof(odd));
	assert_int_equal(take(dg.buf, dg.len, SEQ, tell, &t), -EBADMSG);
	dg.len = 0;
	put(NLMSG_ERROR, SEQ, &err, 0);
	assert_int_equal(take(dg.buf, dg.len, SEQ, tell, &t), -EBADMSG);

	/* any length in the header, any length of the datagram */
	for (len = 0; len < 200; len++) {
		dg.len = 0;
		h = put(SOCK_DIAG_BY_FAMILY, SEQ, &d, sizeof(d));
		h->nlmsg_len = (uint32_t)len;
		take(dg.buf, dg.len, SEQ, tell, &t);
		h->nlmsg_len = UINT32_MAX - (uint32_t)len;
		t.n = 0;
		assert_int_equal(take(dg.buf, dg.len, SEQ, tell, &t), -EBADMSG);
		assert_int_equal(t.n, 0);
	}
	for (len = 1; len < NLMSG_LENGTH(sizeof(d)); len++) {
		char *exact = malloc(len); /* for sanitizers */

		dg.len = 0;
		put(SOCK_DIAG_BY_FAMILY, SEQ, &d, sizeof(d));
		memcpy(exact, dg.buf, len);
		assert_int_equal(nl_diag_take(exact, len, SEQ, tell, &t),
				 -EBADMSG);
		free(exact);
	}
	/* noise */
	srandom(1);
	for (i = 0; i < 20000; i++) {
		dg.len = 0;
		put(SOCK_DIAG_BY_FAMILY, SEQ, &d, sizeof(d));
		put(TCPDIAG_GETSOCK, SEQ, &d, sizeof(d));
		dg.buf[(size_t)random() % dg.len] = (char)random();
		dg.buf[(size_t)random() % 20] = (char)random();
		take(dg.buf, dg.len, SEQ, tell, &t);
	}
}

/* Asked of the kernel, in one of two ways */
static struct nl_sock nl;
static struct procnet files;

static void ask(bool by_text, uint8_t proto, in_port_t first, in_port_t last,
		struct told *t)
{
	assert_int_equal(
		by_text ? procnet_bound(&files, proto, first, last, tell, t)
			: nl_diag_bound(&nl, proto, first, last, tell, t),
		0);
}

/* Sockets of our own, as the kernel tells of them */
static void own(bool by_text)
{
	static const char *const on[] = { "127.0.0.1", "::1", "0.0.0.0", "::" };
	static struct told t;
	unsigned i, type;

	for (i = 0; i < ARRAY_SIZE(on) * 2; i++) {
		const char *text = on[i / 2];
		union inany_addr a;
		uint8_t proto = i % 2 ? IPPROTO_UDP : IPPROTO_TCP;
		union sockaddr_any sa = { 0 };
		socklen_t len;
		in_port_t port;
		int fd;

		type = i % 2 ? SOCK_DGRAM : SOCK_STREAM;
		assert_int_equal(inany_pton(text, &a), 0);
		len = sockaddr_from_inany(&sa, &a, 0, 0);
		fd = socket(sa.sa.sa_family, (int)type, 0);
		assert_true(fd >= 0);
		assert_int_equal(bind(fd, &sa.sa, len), 0);
		len = sizeof(sa);
		assert_int_equal(getsockname(fd, &sa.sa, &len), 0);
		assert_int_equal(inany_from_sockaddr(&a, &port, &sa), 0);

		/* TCP: bound is not enough */
		memset(&t, 0, sizeof(t));
		ask(by_text, proto, port, port, &t);
		assert_int_equal(t.n, i % 2);
		if (type == SOCK_STREAM)
			assert_int_equal(listen(fd, 1), 0);

		memset(&t, 0, sizeof(t));
		ask(by_text, proto, port, port, &t);
		assert_int_equal(t.n, 1);
		assert_int_equal(t.last.port, port);
		assert_true(inany_equals(&t.last.addr, &a));

		/* the filter of ports, each way; everything */
		memset(&t, 0, sizeof(t));
		ask(by_text, proto, 1, (in_port_t)(port - 1), &t);
		ask(by_text, proto, (in_port_t)(port + 1), 65535, &t);
		assert_false(port_set_has(&t.ports, port));
		ask(by_text, proto, 1, 65535, &t);
		assert_true(port_set_has(&t.ports, port));
		close(fd);
	}
}

static void test_kernel(void **state)
{
	(void)state;
	assert_int_equal(nl_diag_open(&nl), 0);
	own(false);
	nl_close(&nl);
}

static void test_kernel_text(void **state)
{
	(void)state;
	assert_int_equal(procnet_open(&files), 0);
	own(true);
	procnet_close(&files);
}

static void test_reached(void **state)
{
	static const struct {
		const char *addr;
		bool host, ns, ns_lo;
	} t[] = {
		{ "0.0.0.0", true, true, true },
		{ "::", true, true, true },
		{ "127.0.0.1", true, false, true },
		{ "127.0.0.53", true, false, true },
		{ "::1", true, false, true },
		{ "192.0.2.1", false, true, true },
		{ "2001:db8::1", false, true, true },
		{ "fe80::1", false, true, true },
	};
	union inany_addr a;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		assert_int_equal(inany_pton(t[i].addr, &a), 0);
		assert_int_equal(scan_reached(PIF_HOST, false, &a), t[i].host);
		assert_int_equal(scan_reached(PIF_HOST, true, &a), t[i].host);
		assert_int_equal(scan_reached(PIF_SPLICE, false, &a), t[i].ns);
		assert_int_equal(scan_reached(PIF_SPLICE, true, &a),
				 t[i].ns_lo);
	}
}

/* Ports of a set as text */
static const char *text(const struct port_set *s)
{
	static char buf[256];
	size_t n = 0;
	unsigned p;

	*buf = '\0';
	for (p = port_set_next(s, 0); p < NUM_PORTS && n < sizeof(buf) - 8;
	     p = port_set_next(s, p + 1))
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "%s%u",
				      n ? " " : "", p);
	return buf;
}

static struct port_set set(const char *ports)
{
	struct port_set s = { 0 };
	char *end;

	while (*ports) {
		port_set_add(&s, (uint16_t)strtoul(ports, &end, 10));
		ports = end + (*end == ' ');
	}
	return s;
}

static void test_sets(void **state)
{
	struct port_set a = set("0 1 63 64 65535"), b = set("1 2 64"), c;

	(void)state;
	assert_string_equal(text(&a), "0 1 63 64 65535");
	assert_int_equal(port_set_next(&a, 65), 65535);
	assert_int_equal(port_set_next(&a, 65536), NUM_PORTS);
	assert_int_equal(port_set_next(&b, 65), NUM_PORTS);
	c = a;
	port_set_merge(&c, &b);
	assert_string_equal(text(&c), "0 1 2 63 64 65535");
	c = a;
	port_set_remove(&c, &b);
	assert_string_equal(text(&c), "0 63 65535");
	c = a;
	port_set_keep(&c, &b);
	assert_string_equal(text(&c), "1 64");
}

static void add(struct fwd_rules *r, uint8_t proto, bool scan, in_port_t first,
		in_port_t last, in_port_t to)
{
	r->rule[r->n++] = (struct fwd_rule){ .proto = proto,
					     .scan = scan,
					     .first = first,
					     .last = last,
					     .to = to };
}

static void test_wanted(void **state)
{
	static const struct {
		in_port_t first, last, to; /* of an automatic rule */
		const char *bound, *wanted;
	} t[] = {
		{ 1, 65535, 1, "1 80 65535", "1 80 65535" },
		{ 1, 32767, 1, "80 32767 32768 65535", "80 32767" },
		{ 80, 80, 80, "79 80 81", "80" },
		{ 80, 80, 80, "79 81", "" },
		{ 8080, 8083, 80, "79 80 83 84 8080", "8080 8083" },
		{ 1, 2, 65534, "1 2 65533 65534 65535", "1 2" },
		{ 65534, 65535, 1, "0 1 2 3 65535", "65534 65535" },
		{ 1, 65535, 1, "", "" },
	};
	static struct fwd_rules rules;
	struct port_set bound, wanted;
	in_port_t first, last;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		rules.n = 0;
		add(&rules, IPPROTO_UDP, true, 1, 65535, 1);
		add(&rules, IPPROTO_TCP, false, 1, 65535, 1);
		first = last = 4711;
		assert_false(
			scan_range(&rules, IPPROTO_TCP, true, &first, &last));
		assert_int_equal(first, 4711);
		add(&rules, IPPROTO_TCP, true, t[i].first, t[i].last, t[i].to);
		bound = set(t[i].bound);
		scan_wanted(&rules, IPPROTO_TCP, &bound, &wanted);
		assert_string_equal(text(&wanted), t[i].wanted);
		assert_true(
			scan_range(&rules, IPPROTO_TCP, true, &first, &last));
		assert_int_equal(first, t[i].to);
		assert_int_equal(last, t[i].to + (t[i].last - t[i].first));
		assert_true(
			scan_range(&rules, IPPROTO_TCP, false, &first, &last));
		assert_int_equal(first, t[i].first);
		assert_int_equal(last, t[i].last);
	}

	/* several rules add up */
	rules.n = 0;
	add(&rules, IPPROTO_TCP, true, 100, 109, 200);
	add(&rules, IPPROTO_TCP, true, 50, 59, 50);
	bound = set("55 105 205");
	scan_wanted(&rules, IPPROTO_TCP, &bound, &wanted);
	assert_string_equal(text(&wanted), "55 105");
	assert_true(scan_range(&rules, IPPROTO_TCP, true, &first, &last));
	assert_int_equal(first, 50);
	assert_int_equal(last, 209);
}

static void test_inuse(void **state)
{
	static const char sockstat[] =
		"sockets: used 31\n"
		"TCP: inuse 2 orphan 0 tw 3 alloc 4 mem 5\n"
		"UDP: inuse 6 mem 7\n"
		"UDPLITE: inuse 8\n";
	static const struct {
		const char *text, *key;
		unsigned n;
	} t[] = {
		{ sockstat, "TCP: inuse ", 2 },
		{ sockstat, "UDP: inuse ", 6 },
		{ sockstat, "TCP6: inuse ", 0 },
		{ "TCP6: inuse 9\nUDP6: inuse 1\n", "UDP6: inuse ", 1 },
		{ "XTCP: inuse 9\n", "TCP: inuse ", 0 },
		{ "XTCP: inuse 9\nTCP: inuse 1", "TCP: inuse ", 1 },
		{ "", "TCP: inuse ", 0 },
		{ "TCP:", "TCP: inuse ", 0 },
		{ "TCP: inuse", "TCP: inuse ", 0 },
		{ "TCP: inuse ", "TCP: inuse ", 0 },
		{ "TCP: inuse x", "TCP: inuse ", 0 },
		{ "TCP: inuse 99999999999999999999", "TCP: inuse ",
		  UINT32_MAX },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		fuzz_seed("scan", "\1", 1, t[i].text, strlen(t[i].text));
		assert_int_equal(scan_inuse(t[i].text, t[i].key), t[i].n);
	}
}

/* Lines of /proc/net, of a little-endian and a big-endian machine alike */
static void test_procnet(void **state)
{
	static const struct {
		const char *line, *addr;
		unsigned port, state;
	} good[] = {
		{ "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:0",
		  "0.0.0.0", 22, TCP_LISTEN },
		{ "  12: %08X:1F90 00000000:0000 07 00000000:00000000 00:00000",
		  "192.0.2.1", 8080, TCP_CLOSE },
		{ "12345: %08X:FFFF 0100007F:0050 01 00000000:00000000 00:0000",
		  "192.0.2.1", 65535, TCP_ESTABLISHED },
		{ "   1: 00000000000000000000000000000000:0050 "
		  "00000000000000000000000000000000:0000 0A 00000000:00000000",
		  "::", 80, TCP_LISTEN },
	};
	static const char *const bad[] = {
		"",
		"  sl  local_address rem_address   st tx_queue rx_queue tr ",
		"   0: 0000000:0016 00000000:0000 0A",
		"   0: 00000000:0016 00000000:0000",
		"   0: 00000000:0016",
		"   0: 000000000:0016 00000000:0000 0A",
		"   0: 00000000000000000000000000000000FF:0016 00:0000 0A",
		"   0: xyz:0016 00000000:0000 0A",
	};
	uint32_t word = inet_addr("192.0.2.1");
	char line[256], text[INANY_STRLEN];
	struct nl_bound b;
	unsigned i, st;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		if (strstr(good[i].line, "%08X"))
			snprintf(line, sizeof(line), "%.*s%08X%s",
				 (int)strcspn(good[i].line, "%"), good[i].line,
				 word, strchr(good[i].line, '%') + 4);
		else
			snprintf(line, sizeof(line), "%s", good[i].line);
		assert_true(procnet_line(line, &st, &b));
		assert_string_equal(inany_ntop(&b.addr, text), good[i].addr);
		assert_int_equal(b.port, good[i].port);
		assert_int_equal(st, good[i].state);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(procnet_line(bad[i], &st, &b));
}

static void test_deadline(void **state)
{
	const uint64_t span = (uint64_t)WHEEL_SLOTS * WHEEL_TICK_MS;
	uint64_t now = 1000001, next, begin;
	unsigned n = 0;

	(void)state;
	/* something is to come, or was just now */
	assert_int_equal(scan_deadline(now, now + 5000, 50),
			 now + SCAN_FAST_MS);
	assert_int_equal(scan_deadline(now, now, 50), now + SCAN_FAST_MS);
	/* an eighth of what was quiet */
	assert_int_equal(scan_deadline(now, now - 480, 50), now + 60);
	/* however long: not above the longest, nor below the shortest */
	for (begin = 0; begin < now; begin += 97) {
		next = scan_deadline(now, begin, 50);
		assert_in_range(next, now + SCAN_FAST_MS, now + SCAN_SLOW_MS);
	}
	/* eight times in ten seconds of idling */
	for (begin = now; now < begin + 10000; now = next + 4, n++) {
		next = scan_deadline(now, 0, 50);
		assert_int_equal(next % span, 0);
	}
	assert_in_range(n, 7, 9);
	/* slow scans are rare */
	assert_in_range(scan_deadline(now, now, 2000), now + 200, now + 300);
	assert_in_range(scan_deadline(now, now, 1000000), now + 1500,
			now + 3000);
}

/* How long new ports wait for a look, by how long nothing has happened */
static void test_latency(void **state)
{
	static const struct {
		uint64_t quiet, wait;
	} t[] = {
		{ 0, 40 },       { 320, 40 },     { 400, 50 },
		{ 704, 88 },     { 10000, 88 },   { 29999, 88 },
		{ 30000, 1280 }, { 30001, 1280 }, { 86400000, 1280 },
	};
	const uint64_t begin = 100000000;
	uint64_t now, next, wait;
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		wait = scan_deadline(begin, begin - t[i].quiet, 50) - begin;
		assert_in_range(wait, SCAN_FAST_MS, t[i].wait);
		/* some of the long ones are cut to fall on a common time */
		if (t[i].wait < 256)
			assert_int_equal(wait, t[i].wait);
	}
	/* One look after the other: below 100 ms for half a minute, even if each
	 * is late by a tick and a bit, then 1.3 s for ever
	 */
	for (now = begin; now < begin + 120000; now = next) {
		next = scan_deadline(now, begin, 50) + WHEEL_TICK_MS + 2;
		assert_true(next - now <= (now < begin + 30000 ? 100 : 1300));
	}
}

/* How long a socket that came as another went waits for a look */
static void test_full(void **state)
{
	const uint64_t now = 100000000;

	(void)state;
	assert_int_equal(scan_full(now, now + 5000, true), 100);
	assert_int_equal(scan_full(now, now + 1, true), 100);
	/* /proc/net takes too long for that */
	assert_int_equal(scan_full(now, now + 1, false), 2000);
	assert_int_equal(scan_full(now, now, true), 2000);
	assert_int_equal(scan_full(now, now - 29999, true), 2000);
	assert_int_equal(scan_full(now, now - 30000, true), 10000);
	assert_int_equal(scan_full(now, 0, false), 10000);
}

/* How many descriptors are open */
static unsigned open_fds(void)
{
	unsigned n = 0;
	int fd;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* The namespace cannot be entered: nothing stays open, and nothing is scanned */
static void test_init_fails(void **state)
{
	const struct fwd_opts opts = {
		.host = { .n = 1,
			  .rule[0] = { .pif = PIF_HOST,
				       .proto = IPPROTO_TCP,
				       .first = 1,
				       .last = 65535,
				       .to = 1,
				       .scan = true } },
	};
	struct netns netns;
	struct fwd fwd = { .opts = &opts, .netns = &netns };
	unsigned before = open_fds();

	(void)state;
	netns_init(&netns);
	assert_int_equal(fwd_scan_init(&fwd), -EBADF);
	assert_null(fwd.scan);
	assert_int_equal(open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_take_hostile),
		cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_kernel_text),
		cmocka_unit_test(test_reached),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_inuse),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_latency),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_procnet),
		cmocka_unit_test(test_init_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
