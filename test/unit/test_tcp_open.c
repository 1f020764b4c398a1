/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections of TCP: how they open, and how they are refused */
#include <errno.h>
#include <fcntl.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/fake/tcp_env.h"
#include "test/unit/fds.h"

static const uint8_t mss1460[] = { 2, 4, 0x05, 0xb4 };
static const uint8_t mss_ws7[] = { 2, 4, 0x05, 0xb4, 1, 3, 3, 7 };

/* A connection that is only addresses so far */
static struct env_conn addresses(const char *peer, in_port_t port)
{
	return (struct env_conn){
		.guest = strchr(peer, ':') ? GUEST6 : GUEST4,
		.peer = peer,
		.gport = 40000,
		.pport = port,
		.isn = 1000,
		.snd = 1001,
		.wnd = 1000,
	};
}

static void send_syn(const struct env_conn *c, const uint8_t *opts, size_t len)
{
	const struct env_tx syn = { .seq = c->isn,
				    .flags = TH_SYN,
				    .wnd = 1000,
				    .opts = opts,
				    .optlen = len };

	env_send(c, &syn, 1);
}

/* All of a SYN-ACK; nothing before connect() is known to have succeeded */
static void syn_ack(const char *peer, const uint8_t *opts, size_t len, bool ws,
		    unsigned mss)
{
	struct env_conn c = addresses(peer, 6000);
	int l = env_listen(peer, 6000);
	struct tcp_syn_opts so;
	struct env_rx rx;

	send_syn(&c, opts, len);
	assert_false(env_get(&rx));
	assert_int_equal(env_flow()->st.phase, PHASE_CONNECTING);
	env_want_bare(&c, TH_SYN | TH_ACK, env_flow()->snd_una, 1001, &rx);
	tcp_opt_parse(rx.opts, rx.optlen, &so);
	assert_int_equal(rx.optlen, ws ? 8 : 4);
	assert_int_equal(so.mss, mss);
	assert_int_equal(so.wscale, ws ? TCP_OUR_WSCALE : -1);
	/* never scaled in a SYN: the most, for there is more than that */
	assert_int_equal(rx.wnd, 65535);
	env_want_none();
	c.rcv = rx.seq + 1;
	env_ack(&c, c.rcv);
	assert_int_equal(env_flow()->st.phase, PHASE_ESTABLISHED);
	env_want_none();
	assert_int_equal(env.tcp.stats.opened_tap, 1);
	close(env_accept(l));
	close(l);
}

static void test_syn_ack4(void **state)
{
	(void)state;
	syn_ack(PEER4, mss_ws7, 8, true, 1460);
}

static void test_syn_ack6(void **state)
{
	(void)state;
	syn_ack(PEER6, mss_ws7, 8, true, 1440);
}

static void test_syn_ack_plain(void **state)
{
	(void)state;
	syn_ack(PEER4, mss1460, 4, false, 1460);
}

static void test_syn_ack_no_options(void **state)
{
	(void)state;
	syn_ack(PEER4, NULL, 0, false, 1460);
}

static void test_syn_ack_mtu(void **state)
{
	(void)state;
	env.tcp.mtu = 65520;
	syn_ack(PEER4, mss_ws7, 8, true, 65480);
}

static void test_syn_ack_no_mtu(void **state)
{
	(void)state;
	env.tcp.mtu = 0;
	syn_ack(PEER6, mss_ws7, 8, true, TAP_MTU_MAX - 60);
}

/* Largest payload the guest gets: its MSS, the default, the least, the MTU's */
static void mss_towards_guest(const char *peer, const uint8_t *opts, size_t len,
			      unsigned want)
{
	static const uint8_t zero[3000];
	struct env_conn c = addresses(peer, 6001);
	int fd, l = env_listen(peer, 6001);
	struct env_rx rx;

	c.wnd = 60000;
	send_syn(&c, opts, len);
	env_want(&c, &rx);
	env_ack(&c, rx.seq + 1);
	env_turns();
	fd = env_accept(l);
	assert_int_equal(send(fd, zero, sizeof(zero), 0), sizeof(zero));
	env_want(&c, &rx);
	assert_int_equal(rx.len, want);
	close(fd);
	close(l);
}

static void test_mss(void **state)
{
	static const uint8_t mss10[] = { 2, 4, 0, 10 };
	static const uint8_t mss1000[] = { 2, 4, 3, 0xe8 };
	static const uint8_t mss9000[] = { 2, 4, 0x23, 0x28 };

	mss_towards_guest(PEER4, mss1000, 4, 1000);
	tcp_env_reset(state);
	mss_towards_guest(PEER4, mss10, 4, 88);
	tcp_env_reset(state);
	mss_towards_guest(PEER4, mss9000, 4, 1460);
	tcp_env_reset(state);
	mss_towards_guest(PEER6, mss9000, 4, 1440);
	tcp_env_reset(state);
	mss_towards_guest(PEER4, NULL, 0, 536);
	tcp_env_reset(state);
	mss_towards_guest(PEER6, NULL, 0, 1220);
}

/* Window of the guest: scaled behind the SYN only if both offered it */
static void test_guest_window(void **state)
{
	static const uint8_t zero[9000];
	struct env_conn c;
	struct env_rx rx;
	size_t sum;

	(void)state;
	env_open(&c, PEER4, 1460, 3, 1000);
	assert_int_equal(env_flow()->snd_wnd, 8000);
	assert_int_equal(send(c.fd, zero, sizeof(zero), 0), sizeof(zero));
	for (env_wait(), sum = 0; env_get(&rx); sum += rx.len)
		assert_int_equal(rx.seq, c.rcv + sum);
	assert_int_equal(sum, 8000);
	close(c.fd);
	tcp_env_reset(state);

	env_open(&c, PEER4, 1460, -1, 1000);
	assert_int_equal(env_flow()->snd_wnd, 1000);
	close(c.fd);
	tcp_env_reset(state);

	env_open_host(&c, HOST4, 1460, 3, 1000);
	/* that was the SYN-ACK's, which is not scaled */
	assert_int_equal(env_flow()->snd_wnd, 1000);
	env_ack(&c, c.rcv);
	assert_int_equal(env_flow()->snd_wnd, 8000);
	close(c.fd);
}

/* Refused: RST that the guest accepts */
static void refused(const char *peer)
{
	struct env_conn c = addresses(peer, 6002);

	send_syn(&c, mss_ws7, 8);
	env_want_bare(&c, TH_RST | TH_ACK, 0, 1001, NULL);
	env_want_none();
	assert_null(env_flow());
	assert_int_equal(env.tcp.stats.refused, 1);
}

static void test_refused(void **state)
{
	refused(PEER4);
	tcp_env_reset(state);
	refused(PEER6);
}

/* Unreachable: ICMP from us that quotes the SYN */
static void unreachable(const char *peer, uint8_t type, uint8_t code)
{
	struct env_conn c = addresses(peer, 6003);
	bool v6 = strchr(peer, ':');
	const union inany_addr our = env_addr(v6 ? GW6 : GW4);
	const size_t l3len = v6 ? 40 : 20;
	struct tcphdr th;
	struct env_rx rx;

	send_syn(&c, mss_ws7, 8);
	env_turns();
	assert_true(env_get(&rx));
	assert_int_equal(rx.proto, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	assert_true(inany_equals(&rx.src, &our));
	assert_int_equal(rx.data[0], type);
	assert_int_equal(rx.data[1], code);
	assert_true(rx.len >= 8 + l3len + 20);
	memcpy(&th, rx.data + 8 + l3len, sizeof(th));
	assert_int_equal(ntohs(th.source), 40000);
	assert_int_equal(ntohs(th.dest), 6003);
	assert_int_equal(ntohl(th.seq), 1000);
	env_want_none();
	assert_null(env_flow());
}

static void test_unreachable(void **state)
{
	static const struct {
		const char *peer;
		uint8_t type, code;
	} rows[] = {
		{ UNREACH4, ICMP_UNREACH, ICMP_UNREACH_HOST },
		{ PROHIBIT4, ICMP_UNREACH, ICMP_UNREACH_FILTER_PROHIB },
		{ NOROUTE4, ICMP_UNREACH, ICMP_UNREACH_NET },
		{ UNREACH6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADDR },
		{ PROHIBIT6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADMIN },
		{ NOROUTE6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOROUTE },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unreachable(rows[i].peer, rows[i].type, rows[i].code);
		tcp_env_reset(state);
	}
}

/* While nobody answers, the guest hears nothing, may repeat, and may give up */
static void test_connecting(void **state)
{
	static const char *const holes[] = { HOLE4, HOLE6 };
	unsigned i;

	for (i = 0; i < 2; i++) {
		struct env_conn c = addresses(holes[i], 6004);
		const struct env_tx rst = { .seq = 1001, .flags = TH_RST };
		const struct env_tx stray = { .seq = 1002, .flags = TH_RST };

		send_syn(&c, mss_ws7, 8);
		env_sleep(5000);
		send_syn(&c, mss_ws7, 8);
		env_data(&c, TH_ACK, "x", 1);
		env_send(&c, &stray, 1);
		env_want_none();
		assert_int_equal(env_flow()->st.phase, PHASE_CONNECTING);
		env_send(&c, &rst, 1);
		env_want_none();
		assert_null(env_flow());
		tcp_env_reset(state);
	}
}

/* An RST counts wherever it stands in its batch */
static void test_connecting_rst_first(void **state)
{
	struct env_conn c = addresses(HOLE4, 6004);
	const struct env_tx tx[] = {
		{ .seq = 1001, .flags = TH_RST },
		{ .seq = 1001, .flags = TH_ACK },
	};

	(void)state;
	send_syn(&c, mss_ws7, 8);
	env_send(&c, tx, 2);
	assert_null(env_flow());
}

/* SYN again while our SYN-ACK is under way: the same answer */
static void test_syn_again(void **state)
{
	struct env_conn c = addresses(PEER4, 6005);
	int l = env_listen(PEER4, 6005);
	struct env_rx rx;
	uint32_t isn;

	(void)state;
	send_syn(&c, mss_ws7, 8);
	env_want(&c, &rx);
	isn = rx.seq;
	send_syn(&c, mss_ws7, 8);
	env_want_bare(&c, TH_SYN | TH_ACK, isn, 1001, &rx);
	assert_int_equal(rx.optlen, 8);
	env_want_none();
	close(l);
}

/* The handshake's last segment may bring data, and FIN */
static void test_ack_with_data(void **state)
{
	struct env_conn c = addresses(PEER4, 6006);
	int fd, l = env_listen(PEER4, 6006);
	struct env_rx rx;
	char buf[9];

	(void)state;
	send_syn(&c, mss_ws7, 8);
	env_want(&c, &rx);
	c.rcv = rx.seq + 1;
	env_data(&c, TH_ACK | TH_FIN, "hello", 5);
	env_want_bare(&c, TH_ACK, c.rcv, c.snd, NULL);
	fd = env_accept(l);
	assert_int_equal(recv(fd, buf, 9, 0), 5);
	assert_memory_equal(buf, "hello", 5);
	env_peer_eof(fd);
	assert_int_equal(env_flow()->st.fin, TCP_GUEST_FIN);
	close(fd);
	close(l);
}

/* What belongs to no connection: RST, but for RST (RFC 9293 3.10.7.1) */
static void test_no_connection(void **state)
{
	static const struct {
		uint8_t flags;
		size_t len;
		bool ack;
		uint32_t want; /* sequence number, or acknowledgement */
	} rows[] = {
		{ TH_ACK, 0, true, 777 },
		{ TH_ACK, 5, true, 777 },
		{ TH_SYN | TH_ACK, 0, true, 777 },
		{ TH_FIN | TH_ACK, 0, true, 777 },
		{ TH_FIN, 0, false, 1001 },
		{ 0, 5, false, 1005 },
		{ TH_SYN | TH_FIN, 3, false, 1005 },
	};
	struct env_conn c = addresses(PEER4, 6007);
	const struct env_tx rst = { .seq = 1000, .flags = TH_RST };
	const struct env_tx rst_ack = { .flags = TH_RST | TH_ACK };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct env_tx tx = { .seq = 1000,
					   .ack = 777,
					   .flags = rows[i].flags,
					   .data = "hello",
					   .len = rows[i].len };

		env_send(&c, &tx, 1);
		env_want_bare(&c, rows[i].ack ? TH_RST : TH_RST | TH_ACK,
			      rows[i].ack ? rows[i].want : 0,
			      rows[i].ack ? 0 : rows[i].want, NULL);
	}
	env_send(&c, &rst, 1);
	env_send(&c, &rst_ack, 1);
	env_want_none();
	assert_null(env_flow());
}

/* Broken headers, checksums, ports, destinations: dropped and counted */
static void test_malformed(void **state)
{
	struct env_conn c = addresses(PEER4, 6008);
	struct env_tx tx = { .flags = TH_SYN, .bad_csum = true };

	(void)state;
	env_send(&c, &tx, 1);
	assert_int_equal(env.tcp.stats.bad_csum, 1);
	tx.bad_csum = false;
	c.gport = 0;
	env_send(&c, &tx, 1);
	c.gport = 1;
	c.pport = 0;
	env_send(&c, &tx, 1);
	c.pport = 1;
	assert_int_equal(env.tcp.stats.bad_segment, 2);
	c.peer = "224.0.0.1";
	env_send(&c, &tx, 1);
	assert_int_equal(env.tcp.stats.bad_segment, 3);
	env_want_none();
	assert_null(env_flow());
}

/* L4 of every length, data offset of every value: never read beyond the end */
static void test_short_headers(void **state)
{
	union inany_addr src = env_addr(GUEST4), dst = env_addr(PEER4);
	unsigned len, doff;

	(void)state;
	for (len = 0; len <= 64; len++)
		for (doff = 0; doff < 16; doff++) {
			uint8_t *p = calloc(1, len ? len : 1);
			struct iovec iov = { p, len };
			struct packet pkt = { .l4 = iov_tail_init(&iov, 1, 0),
					      .csum_ok = true };
			struct packet_group g = { .src = src,
						  .dst = dst,
						  .sport = 1,
						  .dport = 1,
						  .proto = IPPROTO_TCP,
						  .n = 1,
						  .first = &pkt,
						  .last = &pkt };
			uint64_t bad = env.tcp.stats.bad_segment;
			bool good = doff >= 5 && doff * 4 <= len;

			assert_non_null(p);
			if (len > 12)
				p[12] = (uint8_t)(doff << 4);
			tcp_tap_input(&env.tcp, &g);
			assert_int_equal(env.tcp.stats.bad_segment - bad,
					 !good);
			free(p);
			env_drop();
		}
}

/* A connection of the host: SYN, and its options */
static void from_host(const char *addr, unsigned mss)
{
	struct tcp_syn_opts so;
	struct env_rx rx;
	int fd;

	env_rule(addr, 6010, 80);
	env_forwards();
	fd = env_connect(addr, 6010);
	env_wait();
	assert_true(env_get(&rx));
	assert_int_equal(rx.flags, TH_SYN);
	assert_int_equal(rx.ack, 0);
	assert_int_equal(rx.dport, 80);
	assert_int_equal(rx.len, 0);
	assert_int_equal(rx.wnd, 65535);
	tcp_opt_parse(rx.opts, rx.optlen, &so);
	assert_int_equal(so.mss, mss);
	assert_int_equal(so.wscale, TCP_OUR_WSCALE);
	assert_int_equal(env_flow()->st.phase, PHASE_SYN_SENT);
	assert_int_equal(env.tcp.stats.opened_host, 1);
	close(fd);
}

static void test_from_host(void **state)
{
	from_host(HOST4, 1460);
	tcp_env_reset(state);
	from_host(HOST6, 1440);
}

/* Data sent and FIN before the guest answered: all of it arrives then */
static void test_from_host_early_data(void **state)
{
	struct env_tx sa = { .flags = TH_SYN | TH_ACK, .wnd = 1000 };
	struct env_conn c = addresses(PEER4, 0);
	char text[INANY_STRLEN];
	struct env_rx rx;
	int fd;

	(void)state;
	env_rule(HOST4, 6011, 80);
	env_forwards();
	fd = env_connect(HOST4, 6011);
	assert_int_equal(send(fd, "early", 5, 0), 5);
	shutdown(fd, SHUT_WR);
	env_wait();
	assert_true(env_get(&rx));
	env_want_none();
	c.peer = inany_ntop(&rx.src, text);
	c.gport = 80;
	c.pport = rx.sport;
	sa.seq = 1000;
	sa.ack = c.rcv = rx.seq + 1;
	env_send(&c, &sa, 1);
	env_want(&c, &rx);
	assert_int_equal(rx.len, 5);
	assert_memory_equal(rx.data, "early", 5);
	assert_int_equal(rx.ack, 1001);
	env_want_bare(&c, TH_FIN | TH_ACK, c.rcv + 5, 1001, NULL);
	env_want_none();
	close(fd);
}

/* The guest refuses: so is the peer */
static void test_from_host_refused(void **state)
{
	struct env_tx rst = { .flags = TH_RST | TH_ACK };
	struct env_conn c = addresses(PEER4, 0);
	char text[INANY_STRLEN];
	struct env_rx rx;
	int fd;

	(void)state;
	env_rule(HOST4, 6012, 80);
	env_forwards();
	fd = env_connect(HOST4, 6012);
	env_wait();
	assert_true(env_get(&rx));
	c.peer = inany_ntop(&rx.src, text);
	c.gport = 80;
	c.pport = rx.sport;
	rst.ack = rx.seq; /* not of our SYN: a blind one */
	env_send(&c, &rst, 1);
	assert_int_equal(env_flow()->st.phase, PHASE_SYN_SENT);
	rst.ack = rx.seq + 1;
	env_send(&c, &rst, 1);
	assert_null(env_flow());
	assert_int_equal(env_peer_error(fd), ECONNRESET);
	env_want_none();
	close(fd);
}

/* Two connections of one peer port, to two ports forwarded to one of the guest:
 * each must have its own port there
 */
static void twins(const char *peer, const char *host)
{
	const union inany_addr from = env_addr(peer), to = env_addr(host);
	const struct sock_spec spec = { .af = inany_af(&from),
					.type = SOCK_STREAM,
					.proto = IPPROTO_TCP,
					.bind = &from,
					.port = 7000,
					.reuse = true };
	struct env_conn c[2];
	struct env_rx rx;
	unsigned i;

	env_rule(host, 6020, 80);
	env_rule(host, 6021, 80);
	env_forwards();
	for (i = 0; i < 2; i++) {
		c[i] = addresses(peer, 0);
		c[i].gport = 80;
		c[i].fd = sock_open(&spec);
		assert_true(c[i].fd >= 0);
		assert_int_equal(
			sock_connect(c[i].fd, &to, (in_port_t)(6020 + i), 0),
			-EINPROGRESS);
		env_turns();
		assert_true(env_get(&rx));
		assert_int_equal(rx.flags, TH_SYN);
		assert_int_equal(rx.dport, 80);
		c[i].pport = rx.sport;
		c[i].rcv = rx.seq + 1;
	}
	assert_int_equal(c[0].pport, 7000);
	assert_int_not_equal(c[1].pport, 7000);
	/* The guest refuses the second: the first stays */
	env_send(&c[1],
		 &(struct env_tx){ .ack = c[1].rcv, .flags = TH_RST | TH_ACK },
		 1);
	assert_int_equal(env_peer_error(c[1].fd), ECONNRESET);
	assert_int_equal(env_peer_error(c[0].fd), 0);
	assert_int_equal(env.flows.used, 1);
	close(c[0].fd);
	close(c[1].fd);
}

static void test_twins4(void **state)
{
	(void)state;
	twins(PEER4, HOST4);
}

static void test_twins6(void **state)
{
	(void)state;
	twins(PEER6, HOST6);
}

/* An old connection of the guest answers: it is told that it is over */
static void test_from_host_old_ack(void **state)
{
	struct env_tx ack = { .seq = 5, .flags = TH_ACK };
	struct env_conn c = addresses(PEER4, 0);
	char text[INANY_STRLEN];
	struct env_rx rx;
	int fd;

	(void)state;
	env_rule(HOST4, 6013, 80);
	env_forwards();
	fd = env_connect(HOST4, 6013);
	env_wait();
	assert_true(env_get(&rx));
	c.peer = inany_ntop(&rx.src, text);
	c.gport = 80;
	c.pport = rx.sport;
	ack.ack = rx.seq + 99;
	env_send(&c, &ack, 1);
	env_want_bare(&c, TH_RST, rx.seq + 99, 0, NULL);
	assert_int_equal(env_flow()->st.phase, PHASE_SYN_SENT);
	close(fd);
}

/* No descriptor left: both ends are told at once, and nothing spins */
static void test_no_descriptor(void **state)
{
	struct env_conn c = addresses(PEER4, 6014);
	int fd[3], i;

	(void)state;
	env_rule(HOST4, 6015, 80);
	env_forwards();
	for (i = 0; i < 3; i++)
		fd[i] = env_connect(HOST4, 6015);
	fds_leave(0);

	send_syn(&c, mss_ws7, 8);
	for (i = 0; i < 20; i++)
		env_turn();
	assert_int_equal(env_turn(), 0); /* listener is quiet */
	fds_back();

	assert_int_equal(env.tcp.stats.no_fd, 4);
	assert_null(env_flow());
	for (i = 0; i < 3; i++) {
		assert_int_equal(env_peer_error(fd[i]), ECONNRESET);
		close(fd[i]);
	}
	/* and again, when there are some */
	fd[0] = env_connect(HOST4, 6015);
	env_wait();
	assert_int_equal(env.tcp.stats.opened_host, 1);
	close(fd[0]);
}

/* What is kept back for that must not keep a listener alive */
static void test_spare_is_no_listener(void **state)
{
	int fd;

	(void)state;
	env_rule(HOST4, 6016, 80);
	env_forwards();
	fd = env_connect(HOST4, 6016);
	fds_leave(0);
	env_turn();
	env_turn();
	fds_back();
	assert_true(env.tcp.spare_fd >= 0);
	close(fd);
	fwd_close(&env.fwd);
	fd = env_connect(HOST4, 6016);
	assert_int_equal(env_peer_error(fd), ECONNREFUSED);
	close(fd);
	env_turns();
}

/* Table full: RST to whoever asks */
static void test_table_full(void **state)
{
	struct env_conn c = addresses(HOLE4, 6017);
	unsigned i;
	int fd;

	(void)state;
	env_rule(HOST4, 6018, 80);
	env_forwards();
	for (i = 0; i < ENV_FLOWS; i++, c.gport++)
		send_syn(&c, mss_ws7, 8);
	env_want_none();
	assert_int_equal(env.flows.used, ENV_FLOWS);
	/* The oldest one is not open yet and makes room */
	send_syn(&c, mss_ws7, 8);
	c.gport = 40000;
	env_want_bare(&c, TH_RST | TH_ACK, 0, 1001, NULL);
	assert_int_equal(env.tcp.stats.evicted, 1);

	/* As if all were open: these stay */
	for (i = 0; i < ENV_FLOWS; i++) {
		struct flow *f = flow_at(&env.flows, i, FLOW_TCP);

		((struct tcp_conn *)(void *)f)->opening = false;
	}
	env.tcp.opening = (struct flow_list){ 0, 0 };
	send_syn(&c, mss_ws7, 8);
	env_want_bare(&c, TH_RST | TH_ACK, 0, 1001, NULL);
	fd = env_connect(HOST4, 6018);
	assert_int_equal(env_peer_error(fd), ECONNRESET);
	env_want_none();
	assert_int_equal(env.tcp.stats.table_full, 2);
	assert_int_equal(env.tcp.stats.unserved, 1);
	close(fd);
}

/* Descriptors used up by connections nobody completes: the oldest makes room */
static void test_evict(void **state)
{
	struct env_conn c = addresses(PEER4, 6017);
	int l = env_listen(PEER4, 6017);
	struct env_rx rx;

	(void)state;
	fds_leave(2);
	for (c.gport = 40001; c.gport <= 40003; c.gport++)
		send_syn(&c, mss_ws7, 8);
	fds_back();

	assert_int_equal(env.tcp.stats.opened_tap, 3);
	assert_int_equal(env.tcp.stats.evicted, 1);
	assert_int_equal(env.tcp.stats.no_fd, 0);
	c.gport = 40001; /* and is told so */
	env_want_bare(&c, TH_RST | TH_ACK, 0, 1001, &rx);
	close(l);
}

/* The tap is blocked the moment one opens: it waits for that, and makes no room any
 * more, the other does
 */
static void test_open_blocked(void **state)
{
	struct env_conn c[2];
	struct env_rx rx;
	unsigned i;
	int l;

	(void)state;
	l = env_listen(PEER4, 6019);
	for (i = 0; i < 2; i++) {
		c[i] = addresses(PEER4, 6019);
		c[i].gport = (in_port_t)(40001 + i);
		send_syn(&c[i], mss_ws7, 8);
		c[i].fd = env_accept(l);
		env_want(&c[i], &rx);
		c[i].snd = rx.ack;
		c[i].rcv = rx.seq + 1;
	}
	assert_int_equal(send(c[0].fd, env_pattern, 100, 0), 100);
	env_wait();
	env_turns();
	tap_mem.blocked = true;
	env_ack(&c[0], c[0].rcv);
	env_turns();
	assert_true(tcp_flow_evict(&env.tcp, false));
	assert_int_equal(env_peer_error(c[1].fd), ECONNRESET);
	assert_false(tcp_flow_evict(&env.tcp, false));
	env_want_none();

	tap_mem.blocked = false;
	tcp_tap_ready(&env.tcp);
	env_want(&c[0], &rx);
	assert_int_equal(rx.len, 100);
	env_want_none();
	assert_int_equal(env.flows.used, 1);
	assert_int_equal(env.tcp.opening.head, 0);
	assert_int_equal(env.tcp.blocked.head, 0);
	close(c[0].fd);
	close(c[1].fd);
	close(l);
}

#define T(name) cmocka_unit_test_setup(name, tcp_env_reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_syn_ack4),
		T(test_syn_ack6),
		T(test_syn_ack_plain),
		T(test_syn_ack_no_options),
		T(test_syn_ack_mtu),
		T(test_syn_ack_no_mtu),
		T(test_mss),
		T(test_guest_window),
		T(test_refused),
		T(test_unreachable),
		T(test_connecting),
		T(test_connecting_rst_first),
		T(test_syn_again),
		T(test_ack_with_data),
		T(test_no_connection),
		T(test_malformed),
		T(test_short_headers),
		T(test_from_host),
		T(test_from_host_early_data),
		T(test_from_host_refused),
		T(test_twins4),
		T(test_twins6),
		T(test_from_host_old_ack),
		T(test_no_descriptor),
		T(test_spare_is_no_listener),
		T(test_table_full),
		T(test_evict),
		T(test_open_blocked),
	};

	return cmocka_run_group_tests(tests, tcp_env_start, NULL);
}
