/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scripts of packets: what the guest sends, what it must get, what the host does
 *
 * Each file test/packet/NAME.pkt is run once over IPv4 and once over IPv6, each
 * time as a test case of its own. test/packet/README.md tells the language.
 * Arguments choose files; TCP_SCRIPT_TRACE in the environment prints each line.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/fake/flows.h"
#include "test/unit/packet_script.h"
#include "wire/tcp_opt.h"

#define DIR_DEFAULT "test/packet"
#define FILES_MAX   200
#define WAIT_TURNS  100 /* of 10 ms at most */
#define FILL_MAX    (64 * 1024 * 1024)

/* --- The guest ------------------------------------------------------------- */

static void flush(void)
{
	unsigned i, n = s.ntx;

	if (!n)
		return;
	s.ntx = 0;
	env_send(&s.c, s.tx, n);
	for (i = 0; i < n; i++)
		free(s.payload[i]);
}

/* < SEGMENT: the guest sends */
static void from_guest(char *p)
{
	struct env_tx *tx = &s.tx[s.ntx];
	struct text_seg t;
	uint32_t i;

	parse_seg(&p, &t);
	if (s.ntx == TAP_RX_MAX)
		fail_line("batch is too long");
	*tx = (struct env_tx){ .seq = ISN + t.seq,
			       .ack = t.has_ack ? s.c.risn + t.ack : 0,
			       .flags = t.flags,
			       .wnd = t.has_win ? (uint16_t)t.win : s.win,
			       .len = t.len,
			       .urg = t.urg,
			       .bad_csum = t.bad_sum,
			       .opts = s.opts[s.ntx] };
	if (t.opts)
		tx->optlen = options(t.opts, s.opts[s.ntx]);
	if (t.flags & TH_SYN && t.opts && memchr(tx->opts, 3, tx->optlen))
		s.scaled = true;
	s.payload[s.ntx] = malloc(t.len + 1);
	assert_non_null(s.payload[s.ntx]);
	for (i = 0; i < t.len; i++)
		s.payload[s.ntx][i] = byte_at(t.seq + i - 1, false);
	tx->data = s.payload[s.ntx++];
}

/* --- What comes out -------------------------------------------------------- */

static bool get(struct env_rx *rx)
{
	struct pollfd p = { env.loop.epfd, POLLIN, 0 };
	unsigned i;

	for (i = 0; i < WAIT_TURNS; i++) {
		if (env_get(rx))
			return true;
		if (!env_turn() && !env.loop.busy)
			poll(&p, 1, 10);
	}
	return false;
}

/* Line that would expect this frame */
static const char *describe(const struct env_rx *rx)
{
	static char text[200];
	char f[NFLAGS + 1] = "", *q = f;
	size_t i;

	if (rx->proto != IPPROTO_TCP) {
		snprintf(text, sizeof(text), "protocol %u, type %u code %u",
			 rx->proto, rx->data[0], rx->data[1]);
		return text;
	}
	for (i = 0; i < NFLAGS; i++)
		if (rx->flags & flag_table[i].flag)
			*q++ = flag_table[i].letter;
	snprintf(text, sizeof(text), "> %s %d:%d(%zu) ack %d win %u (bytes)", f,
		 (int)(rx->seq - s.c.risn),
		 (int)(rx->seq - s.c.risn + (uint32_t)rx->len), rx->len,
		 rx->flags & TH_ACK ? (int)(rx->ack - ISN) : 0,
		 env_window(&s.c, rx));
	return text;
}

/* Options of a segment of ours, whole */
static void check_opts(char *text, const struct env_rx *rx)
{
	uint8_t want[40];
	size_t n = options(text, want);

	if (n != rx->optlen || memcmp(want, rx->opts, n))
		fail_line("other options, %zu bytes of them", rx->optlen);
}

/* Learn our initial sequence number, and scale, from the first SYN */
static void learn(const struct env_rx *rx)
{
	struct tcp_syn_opts o;

	if (!(rx->flags & TH_SYN) || s.opened)
		return;
	s.opened = true;
	s.c.risn = rx->seq;
	tcp_opt_parse(rx->opts, rx->optlen, &o);
	s.c.ws = o.wscale < 0 ? 0 : (unsigned)o.wscale;
}

static void check_tcp(const struct text_seg *t, const struct env_rx *rx)
{
	union inany_addr src = env_addr(s.peer), dst = env_addr(s.c.guest);
	uint32_t i, wnd;

	if (rx->proto != IPPROTO_TCP ||
	    (rx->flags & ~TH_PUSH) != (t->flags & ~TH_PUSH) ||
	    rx->seq != s.c.risn + t->seq || rx->len != t->len ||
	    (t->has_ack && rx->ack != ISN + t->ack))
		fail_line("got: %s", describe(rx));
	if (!inany_equals(&rx->src, &src) || !inany_equals(&rx->dst, &dst) ||
	    rx->sport != s.c.pport || rx->dport != s.c.gport)
		fail_line("wrong address or port");
	if (t->flags & TH_ACK && !t->has_ack)
		fail_line("which ack?");
	wnd = env_window(&s.c, rx);
	if (t->has_win && (t->win_open ? !wnd : wnd != (uint32_t)t->win))
		fail_line("window is %u", wnd);
	for (i = 0; i < rx->len; i++)
		if (rx->data[i] != byte_at(t->seq + i - 1, true))
			fail_line("payload differs at %u", i);
}

/* ICMP errors by name, as type and code of both families */
static const struct {
	const char *name;
	uint8_t t4, c4, t6, c6;
} icmp_names[] = { { "net-unreachable", 3, 0, 1, 0 },
		   { "host-unreachable", 3, 1, 1, 3 },
		   { "prohibited", 3, 13, 1, 1 } };

static void check_icmp(const char *name, const struct env_rx *rx)
{
	size_t i, n = sizeof(icmp_names) / sizeof(icmp_names[0]);

	for (i = 0; i < n && strcmp(icmp_names[i].name, name); i++)
		;
	if (i == n)
		fail_line("ICMP error \"%s\"", name);
	if (rx->proto != (s.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) ||
	    rx->data[0] != (s.v6 ? icmp_names[i].t6 : icmp_names[i].t4) ||
	    rx->data[1] != (s.v6 ? icmp_names[i].c6 : icmp_names[i].c4))
		fail_line("got: %s", describe(rx));
}

/* > SEGMENT, > nothing, > icmp NAME: what the guest must get next */
static void to_guest(char *p)
{
	struct text_seg t;
	struct env_rx rx;

	p += strspn(p, " ");
	if (!strcmp(p, "nothing")) {
		env_turns();
		if (env_get(&rx))
			fail_line("got: %s", describe(&rx));
		return;
	}
	if (!strcmp(p, "anything")) {
		env_turns();
		env_drop();
		return;
	}
	if (!get(&rx))
		fail_line("got nothing");
	if (!strncmp(p, "icmp ", 5)) {
		check_icmp(p + 5, &rx);
		return;
	}
	learn(&rx);
	parse_seg(&p, &t);
	check_tcp(&t, &rx);
	if (t.opts)
		check_opts(t.opts, &rx);
}

/* --- The host -------------------------------------------------------------- */

static void host_connect(void)
{
	static in_port_t port = 31000;
	const char *addr = s.v6 ? HOST6 : HOST4;
	struct env_rx rx;

	port++;
	s.c.gport = 8080;
	env_rule(addr, port, s.c.gport);
	env_forwards();
	s.fd = env_connect(addr, port);
	if (!get(&rx) || rx.proto != IPPROTO_TCP)
		fail_line("no SYN");
	env.late--; /* for the script to look at */
	inany_ntop(&rx.src, s.peer);
	s.c.pport = rx.sport;
}

static void host_send(long len)
{
	uint8_t *buf = malloc((size_t)len);
	long i;

	assert_non_null(buf);
	for (i = 0; i < len; i++)
		buf[i] = byte_at(s.host_sent + (uint64_t)i, true);
	if (send(s.fd, buf, (size_t)len, MSG_NOSIGNAL) != len)
		fail_line("send: %s", strerror(errno));
	s.host_sent += (uint64_t)len;
	free(buf);
	env_wait();
}

static void host_read(long len)
{
	struct pollfd p = { s.fd, POLLIN, 0 };
	uint8_t buf[65536];

	while (len) {
		size_t want = (size_t)len < sizeof(buf) ? (size_t)len
							: sizeof(buf);
		ssize_t n = recv(s.fd, buf, want, 0), i;

		if (n < 0 && errno == EAGAIN) {
			env_turn();
			if (poll(&p, 1, 1000) != 1)
				fail_line("%ld bytes are missing", len);
			continue;
		}
		if (n <= 0)
			fail_line("%ld bytes are missing: %s", len,
				  n ? strerror(errno) : "end of data");
		for (i = 0; i < n; i++)
			if (buf[i] != byte_at(s.host_read++, false))
				fail_line("payload differs at %llu",
					  (unsigned long long)s.host_read - 1);
		len -= n;
	}
}

/* Nothing to be read, or the end of data, or an error */
static void host_sees(const char *what)
{
	struct pollfd p = { s.fd, POLLIN, 0 };
	char b;
	ssize_t n;
	int error;

	env_turns();
	if (!strcmp(what, "silence")) {
		n = recv(s.fd, &b, 1, 0);
		if (n >= 0 || errno != EAGAIN)
			fail_line("got %zd: %s", n, strerror(errno));
		return;
	}
	poll(&p, 1, 1000);
	n = recv(s.fd, &b, 1, 0);
	error = n < 0 ? errno : 0;
	if (!strcmp(what, "eof")       ? n != 0
	    : !strcmp(what, "reset")   ? error != ECONNRESET && error != EPIPE
	    : !strcmp(what, "refused") ? error != ECONNREFUSED
				       : true)
		fail_line("got %zd: %s", n, strerror(error));
}

static void host_close(bool rst)
{
	if (rst)
		sock_close_rst(s.fd);
	else
		close(s.fd);
	s.fd = -1;
	env_wait();
}

/* Read all there is until nothing comes any more */
static void host_drain(void)
{
	struct pollfd p = { s.fd, POLLIN, 0 };

	while (s.host_read < s.filled) {
		int n = 0;

		env_turn();
		if (poll(&p, 1, 1000) != 1 || ioctl(s.fd, FIONREAD, &n) || !n)
			fail_line("%llu of %u bytes",
				  (unsigned long long)s.host_read, s.filled);
		host_read(n);
	}
}

static void host(char *p)
{
	const char *w = need(&p, "action");

	if (!strcmp(w, "listens")) {
		s.listener = env_listen(s.peer, s.c.pport);
		if ((w = word(&p)))
			sock_set_int(s.listener, SOL_SOCKET, SO_RCVBUF,
				     (int)number(w));
	} else if (!strcmp(w, "accepts")) {
		s.fd = env_accept(s.listener);
		env_wait();
	} else if (!strcmp(w, "connects")) {
		host_connect();
	} else if (!strcmp(w, "sends")) {
		host_send(number(need(&p, "bytes")));
	} else if (!strcmp(w, "urgent")) {
		char b = (char)byte_at(s.host_sent++, true);

		assert_int_equal(send(s.fd, &b, 1, MSG_OOB), 1);
		env_wait();
	} else if (!strcmp(w, "reads")) {
		host_read(number(need(&p, "bytes")));
	} else if (!strcmp(w, "drains")) {
		host_drain();
	} else if (!strcmp(w, "ends")) {
		assert_int_equal(shutdown(s.fd, SHUT_WR), 0);
		env_wait();
	} else if (!strcmp(w, "closes")) {
		host_close(false);
	} else if (!strcmp(w, "resets")) {
		host_close(true);
	} else if (!strcmp(w, "sees")) {
		host_sees(need(&p, "what"));
	} else {
		fail_line("the host cannot do that");
	}
}

/* --- The rest -------------------------------------------------------------- */

/* guest fill FIRST: full segments from a byte on until the window is closed */
static void guest_fill(char *p)
{
	char *end;
	uint32_t seq = (uint32_t)position(need(&p, "first byte"), &end), edge,
		 i;
	bool loose = word(&p);
	struct tcp_conn *c = env_flow();
	uint8_t buf[1400];

	assert_non_null(c);
	while ((edge = c->rcv_adv - (ISN + seq)) && s.filled < FILL_MAX) {
		uint32_t len = edge < sizeof(buf) ? edge : sizeof(buf);
		struct env_tx tx = { .seq = ISN + seq,
				     .ack = c->snd_nxt,
				     .flags = TH_ACK,
				     .wnd = s.win,
				     .data = buf,
				     .len = len };

		for (i = 0; i < len; i++)
			buf[i] = byte_at(seq + i - 1, false);
		env_send(&s.c, &tx, 1);
		env_drop();
		seq += len;
		s.filled = seq - 1;
		if (c->rcv_nxt != ISN + seq && loose) {
			s.filled = c->rcv_nxt - ISN - 1;
			break;
		}
		if (c->rcv_nxt != ISN + seq)
			fail_line("refused inside the window at %u", seq);
	}
	env_turns();
	env_drop();
}

static const struct {
	const char *name, *v4, *v6;
} peers[] = {
	{ "peer", PEER4, PEER6 },
	{ "hole", HOLE4, HOLE6 },
	{ "unreachable", UNREACH4, UNREACH6 },
	{ "prohibited", PROHIBIT4, PROHIBIT6 },
	{ "noroute", NOROUTE4, NOROUTE6 },
};

static void set(char *p)
{
	const char *what = need(&p, "what"), *w = need(&p, "value");
	size_t i;

	if (!strcmp(what, "to")) {
		for (i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
			if (!strcmp(peers[i].name, w)) {
				strcpy(s.peer,
				       s.v6 ? peers[i].v6 : peers[i].v4);
				return;
			}
		fail_line("no such place");
	} else if (!strcmp(what, "win")) {
		s.win = (uint16_t)number(w);
	} else if (!strcmp(what, "mtu")) {
		env.tcp.mtu = (unsigned)number(w);
	} else if (!strcmp(what, "sndbuf")) {
		sock_set_int(env_flow()->fd, SOL_SOCKET, SO_SNDBUF,
			     (int)number(w));
	} else if (!strcmp(what, "offload")) {
		tap_mem.offload = !strcmp(w, "on");
	} else if (!strcmp(what, "peek_off")) {
		env.features.peek_off &= !strcmp(w, "on");
	} else if (!strcmp(what, "tap")) {
		tap_mem.blocked = !strcmp(w, "blocked");
		if (!tap_mem.blocked)
			tcp_tap_ready(&env.tcp);
	} else if (!strcmp(what, "port")) {
		s.c.gport = (in_port_t)number(w);
	} else {
		fail_line("cannot be set");
	}
}

/* state NAME, or NONE */
static void check_state(char *p)
{
	const char *want = need(&p, "phase");
	const struct tcp_conn *c = env_flow();
	const char *is = c ? tcp_phase_name(c->st.phase) : "NONE";

	if (strcmp(is, want))
		fail_line("state is %s", is);
}

#define COUNTER(name)                                   \
	{                                               \
#name, offsetof(struct tcp_stats, name) \
	}
static const struct {
	const char *name;
	size_t off;
} counters[] = {
	COUNTER(refused),      COUNTER(reset_in),   COUNTER(reset_out),
	COUNTER(bad_segment),  COUNTER(bad_csum),   COUNTER(out_of_window),
	COUNTER(challenge),    COUNTER(retransmit), COUNTER(probes),
	COUNTER(keepalives),   COUNTER(no_flow),    COUNTER(fast_retransmit),
	COUNTER(bad_ack),      COUNTER(early),      COUNTER(seen_before),
	COUNTER(out_of_order), COUNTER(not_held)
};

/* count NAME N */
static void check_count(char *p)
{
	const char *name = need(&p, "counter");
	size_t i, n = sizeof(counters) / sizeof(counters[0]);
	uint64_t is;

	for (i = 0; i < n && strcmp(counters[i].name, name); i++)
		;
	if (i == n)
		fail_line("no such counter");
	memcpy(&is, (const uint8_t *)&env.tcp.stats + counters[i].off,
	       sizeof(is));
	if (is != (uint64_t)number(need(&p, "number")))
		fail_line("counted %llu", (unsigned long long)is);
}

static void run_file(const char *path);

/* use NAME: the lines of NAME.inc, as if they stood here */
static void use(char *p)
{
	unsigned line = s.line;
	char path[100];

	snprintf(path, sizeof(path), DIR_DEFAULT "/%s.inc", need(&p, "name"));
	run_file(path);
	s.line = line;
}

static void run_line(char *p)
{
	const char *w;

	if (getenv("TCP_SCRIPT_TRACE"))
		print_message("%s:%u %s\n", s.name, s.line, s.text);
	p += strspn(p, " \t");
	if (!*p || *p == '#')
		return;
	if (*p == '+') {
		flush();
		env_sleep((uint64_t)strtol(p + 1, &p, 10));
		p += strspn(p, " \t");
		if (!*p)
			return;
	}
	if (!strncmp(p, "<< ", 3)) { /* one batch with the next ones */
		from_guest(p + 3);
		return;
	}
	if (!strncmp(p, "< ", 2)) {
		from_guest(p + 2);
		flush();
		return;
	}
	flush();
	if (!strncmp(p, "> ", 2)) {
		to_guest(p + 2);
		return;
	}
	w = need(&p, "word");
	if (!strcmp(w, "host"))
		host(p);
	else if (!strcmp(w, "use"))
		use(p);
	else if (!strcmp(w, "guest-fills"))
		guest_fill(p);
	else if (!strcmp(w, "set"))
		set(p);
	else if (!strcmp(w, "state"))
		check_state(p);
	else if (!strcmp(w, "count"))
		check_count(p);
	else
		fail_line("not understood");
}

static void run_file(const char *path)
{
	FILE *f = fopen(path, "r");

	if (!f)
		fail_line("%s: %s", path, strerror(errno));
	s.line = 0;
	while (fgets(s.text, sizeof(s.text), f)) {
		char copy[LINE_LEN];

		s.line++;
		s.text[strcspn(s.text, "\n")] = '\0';
		strcpy(copy, s.text);
		run_line(copy);
	}
	fclose(f);
}

/* --- Cases ----------------------------------------------------------------- */

struct script_case {
	char name[80];
	char path[300];
	bool v6;
};
static struct script_case cases[FILES_MAX * 2];
static struct CMUnitTest tests[FILES_MAX * 2];

/* All of a script; afterwards no flow and no descriptor may be left behind */
static void run_script(void **state)
{
	const struct script_case *sc = *state;
	static in_port_t port = 21000;
	struct env_rx rx;
	unsigned fds;

	tcp_env_reset(NULL);
	fds = env_open_fds();
	s = (struct script){
		.v6 = sc->v6, .listener = -1, .fd = -1, .win = 65535
	};
	s.c = (struct env_conn){ .guest = s.v6 ? GUEST6 : GUEST4,
				 .peer = s.peer,
				 .gport = 40000,
				 .pport = ++port };
	strcpy(s.peer, s.v6 ? PEER6 : PEER4);
	snprintf(s.name, sizeof(s.name), "%s", strrchr(sc->path, '/') + 1);
	*strrchr(s.name, '.') = '\0';
	run_file(sc->path);
	flush();
	env_turns();
	if (env_get(&rx))
		fail_line("then comes: %s", describe(&rx));
	if (s.listener >= 0)
		close(s.listener);
	if (s.fd >= 0)
		close(s.fd);
	flows_close(&env.flows, tcp_flow_close);
	flow_run_deferred(&env.flows);
	assert_int_equal(env.flows.used, 0);
	fwd_close(&env.fwd);
	if (env_open_fds() != fds)
		fail_line("%u descriptors before, %u after", fds,
			  env_open_fds());
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct script_case *)a)->name,
		      ((const struct script_case *)b)->name);
}

static unsigned add(unsigned n, const char *path)
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	unsigned v6;

	for (v6 = 0; v6 < 2; v6++, n++) {
		assert_true(n < FILES_MAX * 2);
		snprintf(cases[n].name, sizeof(cases[n].name), "%.*s v%d",
			 (int)strcspn(base, "."), base, v6 ? 6 : 4);
		snprintf(cases[n].path, sizeof(cases[n].path), "%s%s",
			 base == path ? "./" : "", path);
		cases[n].v6 = v6;
	}
	return n;
}

static unsigned find_scripts(void)
{
	DIR *d = opendir(DIR_DEFAULT);
	const struct dirent *e;
	char path[300];
	unsigned n = 0;

	while (d && (e = readdir(d))) {
		size_t len = strlen(e->d_name);

		if (len < 5 || strcmp(e->d_name + len - 4, ".pkt"))
			continue;
		snprintf(path, sizeof(path), DIR_DEFAULT "/%s", e->d_name);
		n = add(n, path);
	}
	if (d)
		closedir(d);
	return n;
}

int main(int argc, char **argv)
{
	unsigned n = 0, i;

	for (i = 1; i < (unsigned)argc; i++)
		n = add(n, argv[i]);
	if (argc < 2)
		n = find_scripts();
	if (!n) {
		fprintf(stderr, "no scripts in " DIR_DEFAULT
				": run from the top of the tree\n");
		return 1;
	}
	qsort(cases, n, sizeof(cases[0]), by_name);
	for (i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){ .name = cases[i].name,
						.test_func = run_script,
						.initial_state = &cases[i] };
	return _cmocka_run_group_tests("scripts", tests, n, tcp_env_start,
				       NULL);
}
