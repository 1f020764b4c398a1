/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What SIGUSR1 and --stats print: format, bounds, readers that do not read */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arp.h"
#include "dhcp.h"
#include "dhcpv6.h"
#include "ether.h"
#include "flow.h"
#include "fwd.h"
#include "icmp.h"
#include "lib/log.h"
#include "ndp.h"
#include "stats.h"
#include "tap.h"
#include "tcp.h"
#include "udp.h"

#define FLOWS 20000
#define SHOWN 32 /* flows */
#define RULES 16 /* and rules that are shown */

static struct arp arp;
static struct dhcp dhcp;
static struct dhcpv6 dhcpv6;
static struct ether ether;
static struct flow_table flows;
static struct fwd_opts opts;
static struct fwd fwd;
static struct icmp icmp;
static struct loop loop;
static struct ndp ndp;
static struct stats stats;
static struct tap tap;
static struct tcp tcp;
static struct udp udp;
static struct wheel wheel;

static char text[1 << 17];
static int real_stderr, reader;

static const struct flow_ops ops[FLOW_TYPES] = {
	[FLOW_TCP] = { .name = "TCP" },
	[FLOW_TCP_SPLICE] = { .name = "TCP splice" },
	[FLOW_UDP] = { .name = "UDP" },
	[FLOW_PING] = { .name = "ping" },
};

static const struct loop_handler handlers[EPOLL_TYPES] = {
	[EPOLL_SIGNAL] = { .name = "signal" },
	[EPOLL_EXIT] = { .name = "exit" },
	[EPOLL_STATS] = { "stats", stats_event, &stats },
	[EPOLL_TAP] = { .name = "tap" },
	[EPOLL_TAP_LISTEN] = { .name = "tap listener" },
	[EPOLL_NETNS] = { .name = "namespace" },
	[EPOLL_TCP_LISTEN] = { .name = "TCP listener" },
	[EPOLL_TCP] = { .name = "TCP" },
	[EPOLL_TCP_SPLICE] = { .name = "TCP splice" },
	[EPOLL_UDP_LISTEN] = { .name = "UDP listener" },
	[EPOLL_UDP] = { .name = "UDP" },
	[EPOLL_UDP_SPLICE] = { .name = "UDP splice" },
	[EPOLL_PING] = { .name = "ping" },
};

static void turn_end(void *ctx)
{
	(void)ctx;
	stats_turn(&stats);
}

static const struct loop_hooks hooks = { .turn = turn_end };

/* A program with nothing in it, whose standard error is a pipe */
static int setup(void **state)
{
	const struct siphash_key key = { { 1, 2 } };
	int p[2];

	(void)state;
	memset(&opts, 0, sizeof(opts));
	memset(&tcp, 0, sizeof(tcp));
	memset(&tap, 0, sizeof(tap));
	wheel_init(&wheel, 1);
	fwd = (struct fwd){ .opts = &opts };
	stats = (struct stats){ .name = "passt",
				.loop = &loop,
				.fwd = &fwd,
				.tap = &tap,
				.ether = &ether,
				.flows = &flows,
				.tcp = &tcp,
				.udp = &udp,
				.icmp = &icmp,
				.arp = &arp,
				.ndp = &ndp,
				.dhcp = &dhcp,
				.dhcpv6 = &dhcpv6 };
	if (loop_init(&loop, handlers, &hooks) ||
	    flow_init(&flows, FLOWS, &key, ops, &wheel) || pipe(p))
		return -1;
	stats.start = loop.now;
	real_stderr = dup(STDERR_FILENO);
	dup2(p[1], STDERR_FILENO);
	close(p[1]);
	reader = p[0];
	return fcntl(reader, F_SETFL, O_NONBLOCK);
}

static int teardown(void **state)
{
	(void)state;
	log_drain(0);
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(reader);
	close(loop.epfd);
	return 0;
}

/* Turn until all is written; what was read meanwhile */
static char *read_all_text(void)
{
	size_t len = 0;
	unsigned i;
	ssize_t n;

	for (i = 0; i < 1000; i++) {
		assert_true(loop_turn(&loop, 0) >= 0);
		n = read(reader, text + len, sizeof(text) - 1 - len);
		if (n > 0)
			len += (size_t)n;
		else if (!stats.busy)
			break;
	}
	assert_false(stats.busy);
	text[len] = '\0';
	return text;
}

static unsigned count(const char *s, const char *what)
{
	unsigned n = 0;

	for (; (s = strstr(s, what)); s++)
		n++;
	return n;
}

/* All flows the table takes, with the longest addresses */
static void fill(unsigned n)
{
	struct flow *f;
	unsigned i, k;

	for (i = 0; i < n; i++) {
		f = flow_new(&flows, i % 2 ? FLOW_UDP : FLOW_TCP_SPLICE);
		assert_non_null(f);
		for (k = 0; k < 2; k++) {
			f->pif[k] = PIF_SPLICE;
			memset(&f->side[k].eaddr, 0xfd,
			       sizeof(f->side[k].eaddr));
			memset(&f->side[k].oaddr, 0xfe,
			       sizeof(f->side[k].oaddr));
			f->side[k].eport = f->side[k].oport = 65535;
		}
	}
}

/* A rule with the longest text, and a name that JSON would not like */
static void add_rule(struct fwd_rules *r)
{
	struct fwd_rule *rule = &r->rule[r->n++];

	*rule = (struct fwd_rule){ .proto = IPPROTO_TCP,
				   .pif = PIF_HOST,
				   .weak = true,
				   .scan = true,
				   .first = 10000,
				   .last = 60000,
				   .to = 10000 };
	memset(&rule->addr, 0xfd, sizeof(rule->addr));
	memset(&rule->taddr, 0xfe, sizeof(rule->taddr));
	strcpy(rule->ifname, "\"\\\001\377567890123");
}

/* As JSON: brackets match outside of strings, and nothing is to be escaped */
static void check_json(const char *s)
{
	bool string = false;
	int depth = 0;

	assert_int_equal(*s, '{');
	for (; *s && *s != '\n'; s++) {
		assert_in_range((unsigned char)*s, ' ', '~');
		assert_int_not_equal(*s, '\\');
		if (*s == '"')
			string = !string;
		else if (!string && strchr("{[", *s))
			depth++;
		else if (!string && strchr("}]", *s))
			depth--;
	}
	assert_false(string);
	assert_int_equal(depth, 0);
	assert_string_equal(s, "\n");
}

/* Nothing to tell: valid, all keys, all zero */
static void test_empty(void **state)
{
	char *s;

	(void)state;
	stats.json = true;
	stats_dump(&stats);
	s = read_all_text();
	check_json(s);
	assert_non_null(strstr(s, "{\"program\":\"passt\",\"uptime_ms\":0,"
				  "\"table\":{\"max\":20000,\"used\":0,"
				  "\"tcp\":0,\"tcp_splice\":0,\"udp\":0,"
				  "\"ping\":0},\"flows\":[],\"flows_more\":0,"
				  "\"rules_host\":[],"));
	assert_non_null(strstr(s, "\"tap.rx_frames\":0,"));
	assert_non_null(strstr(s, "\"tap_listener\":0,"));

	stats.json = false;
	stats_dump(&stats);
	s = read_all_text();
	assert_memory_equal(s, "passt, 0.0", 10);
	assert_null(strstr(s, "tap.rx_frames"));
}

/* The flow table full, all rules there can be, counters as high as they go */
static void test_full(void **state)
{
	struct fwd_listener l[3];
	unsigned i;
	char *s;

	(void)state;
	fill(FLOWS);
	for (i = 0; i < FWD_RULES_MAX; i++) {
		add_rule(&opts.host);
		add_rule(&opts.splice);
	}
	l[0] = (struct fwd_listener){ .rule = &opts.host.rule[1] };
	l[1] = (struct fwd_listener){ .fd = -1 };
	l[2] = (struct fwd_listener){ .rule = &opts.host.rule[1] };
	fwd.listener = l;
	fwd.nlisteners = 3;
	memset(&tap.stats, 0xff, sizeof(tap.stats));
	memset(&tcp.stats, 0xff, sizeof(tcp.stats));
	memset(&udp.stats, 0xff, sizeof(udp.stats));
	memset(&icmp.stats, 0xff, sizeof(icmp.stats));
	memset(ether.dropped, 0xff, sizeof(ether.dropped));
	memset(loop.count, 0xff, sizeof(loop.count));

	stats.json = true;
	stats_dump(&stats);
	s = read_all_text();
	check_json(s);
	assert_int_equal(count(s, "\"initiator\""), SHOWN);
	assert_non_null(strstr(s, "\"flows_more\":19968,"));
	assert_non_null(strstr(s, "\"used\":20000,\"tcp\":0,"
				  "\"tcp_splice\":10000,\"udp\":10000,"));
	assert_int_equal(count(s, "\"rule\""), 2 * RULES);
	assert_int_equal(count(s, "\"listening\":2"), 1);
	assert_int_equal(count(s, "\"listening\":0"), 2 * RULES - 1);
	assert_non_null(strstr(s, "\"rules_host_more\":240,"));
	assert_non_null(strstr(s, "\"icmp.dropped\":18446744073709551615"));

	stats.json = false;
	stats_dump(&stats);
	s = read_all_text();
	assert_non_null(strstr(s, "  and 19968 more\nrules_host:\n"));
	assert_int_equal(count(s, "  UDP  -  namespace [fdfd:"), SHOWN / 2);
	assert_non_null(strstr(s, "icmp.dropped             1844674407"));
	memset(&udp.stats, 0, sizeof(udp.stats));
	memset(&icmp.stats, 0, sizeof(icmp.stats));
	memset(ether.dropped, 0, sizeof(ether.dropped));
}

/* Flows that are gone leave holes; what is far behind is counted, not looked for */
static void test_holes(void **state)
{
	unsigned i;
	char *s;

	(void)state;
	fill(FLOWS);
	for (i = 0; i < FLOWS; i++) {
		struct flow *f = flow_at(&flows, i,
					 i % 2 ? FLOW_UDP : FLOW_TCP_SPLICE);
		if (i != 100 && i != FLOWS - 1)
			flow_free(&flows, f);
	}
	stats.json = true;
	stats_dump(&stats);
	s = read_all_text();
	check_json(s);
	assert_int_equal(count(s, "\"initiator\""), 1);
	assert_non_null(strstr(s, "\"flows_more\":1,"));
	assert_non_null(strstr(s, "\"used\":2,\"tcp\":0,\"tcp_splice\":1,"
				  "\"udp\":1,"));
}

/* Nobody reads: not a call waits, and no answer is begun before the last is out */
static void test_stalled(void **state)
{
	struct pollfd pfd;
	unsigned i, n;
	char *s, *next;

	(void)state;
	fill(100);
	stats.json = true;
	alarm(10); /* ends the test if one does wait */
	for (i = 0; i < 1000; i++) {
		stats_dump(&stats);
		assert_true(loop_turn(&loop, 0) >= 0);
	}
	pfd = (struct pollfd){ .fd = STDERR_FILENO, .events = POLLOUT };
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_true(stats.busy);

	s = read_all_text();
	alarm(0);
	for (n = 0; *s; n++) {
		char line[32768];

		next = strchr(s, '\n');
		assert_non_null(next);
		next++;
		assert_true((size_t)(next - s) < sizeof(line));
		memcpy(line, s, (size_t)(next - s));
		line[next - s] = '\0';
		check_json(line);
		s = next;
	}
	assert_in_range(n, 2, 50);
}

/* A message between two pieces: it comes behind the answer, not into it */
static void test_message(void **state)
{
	char *s;

	(void)state;
	fill(100);
	stats.json = true;
	stats_dump(&stats);
	assert_int_equal(loop_turn(&loop, 0), 1);
	assert_true(stats.busy);
	log_level(LOG_INFO);
	info("between");
	s = read_all_text();
	assert_string_equal(strchr(s, '\n'), "\nbetween\n");
	strchr(s, '\n')[1] = '\0';
	check_json(s);
}

/* Whoever read is gone: nothing is kept, the next one is tried again */
static void test_nobody(void **state)
{
	unsigned i;

	(void)state;
	close(reader);
	reader = open("/dev/null", O_RDONLY);
	for (i = 0; i < 3; i++) {
		stats_dump(&stats);
		assert_true(stats.busy);
		assert_true(loop_turn(&loop, 0) >= 0);
		assert_false(stats.busy);
	}
}

/* A regular file takes all at once, a socket in pieces */
static void test_kinds(void **state)
{
	FILE *f = tmpfile();
	int sv[2];

	(void)state;
	stats.json = true;
	dup2(fileno(f), STDERR_FILENO);
	stats_dump(&stats);
	assert_false(stats.busy);
	rewind(f);
	assert_non_null(fgets(text, sizeof(text), f));
	check_json(text);
	fclose(f);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	dup2(sv[0], STDERR_FILENO);
	close(sv[0]);
	dup2(sv[1], reader);
	close(sv[1]);
	assert_int_equal(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
	stats_dump(&stats);
	assert_true(stats.busy);
	check_json(read_all_text());
}

/* --stats: in time, in the format asked for, and when the loop ends */
static void test_interval(void **state)
{
	char *s;

	(void)state;
	stats.interval = 1000;
	tap.stats.rx_bytes = 7;
	s = read_all_text();
	assert_memory_equal(s, "signal\texit\tstats\ttap\t", 22);
	assert_non_null(strstr(s, "\ncounters:\ttap.rx_bytes=7\n"));
	assert_string_equal(read_all_text(), "");
	loop_quit(&loop, 0);
	assert_true(loop_turn(&loop, 0) >= 0);
	loop.quit = false;
	assert_non_null(strchr(read_all_text(), '\t'));

	stats.last = 0;
	stats.json = true;
	s = read_all_text();
	check_json(s);
	assert_null(strstr(s, "flows_more"));
	assert_non_null(strstr(s, "\"tap.rx_bytes\":7,"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_empty),   T(test_full),     T(test_holes),
		T(test_stalled), T(test_message),  T(test_nobody),
		T(test_kinds),   T(test_interval),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
