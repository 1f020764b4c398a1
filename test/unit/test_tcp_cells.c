/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every event in every state of a connection: what is answered, what follows
 *
 * The table below is RFC 9293 3.10 with the challenges of RFC 5961, written down
 * for a connection as the guest sees it. Each cell is tried with a new connection,
 * real sockets, and both families. A cell says what the guest gets and the state
 * after it:
 *
 *	- nothing		A ACK			S SYN-ACK	s SYN
 *	R RST			r RST with ACK		F FIN		D data
 *
 * After each, an exact RST has to end whatever is left, and no descriptor may
 * remain: no state is a dead end.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/fake/tcp_env.h"

/* States in the words of the RFC, of our end towards the guest */
enum state {
	NONE,
	CONNECTING, /* ours alone: the SYN waits for the host's network */
	SYN_RCVD,
	SYN_SENT,
	ESTABLISHED,
	FIN_WAIT_1,
	FIN_WAIT_2,
	CLOSE_WAIT,
	LAST_ACK, /* and CLOSING: which FIN was first does not matter */
	STATES
};
static const char *const names[STATES] = { "none", "conn", "rcvd",
					   "sent", "est",  "fw1",
					   "fw2",  "cw",   "la" };

enum action { SEGMENT, HOST_DATA, HOST_END, HOST_RESET, WAIT };

/* Numbers of a segment: from the next one of the guest, from all we sent */
struct row {
	const char *name;
	enum action action;
	uint8_t flags;
	int32_t seq, ack;
	unsigned len;
	const char *cell[STATES]; /* NULL: cannot be */
};

#define BLIND 1000000000

/* Leniency on purpose, where strict reading says otherwise: old pure ACKs and
 * data are answered, but what they acknowledge counts (tcp_in_window()): fw1
 * becomes fw2, la ends. There is no TIME-WAIT: fw2 ends with the guest's FIN.
 */
static const struct row rows[] = {
	/*			none	conn	rcvd	sent	est	fw1	fw2	cw	la */
	{ "SYN again",
	  SEGMENT,
	  TH_SYN,
	  -1,
	  0,
	  0,
	  { "S rcvd", "- conn", "S rcvd", "S rcvd", "A est", "A fw1", "A fw2",
	    "A cw", "A la" } },
	{ "SYN, other",
	  SEGMENT,
	  TH_SYN,
	  5000,
	  0,
	  0,
	  { "S rcvd", "- conn", "A rcvd", "S rcvd", "A est", "A fw1", "A fw2",
	    "A cw", "A la" } },
	{ "SYN-ACK",
	  SEGMENT,
	  TH_SYN | TH_ACK,
	  -1,
	  0,
	  0,
	  { "R none", "- conn", "- est", "A est", "A est", "A fw1", "A fw2",
	    "A cw", "A la" } },
	{ "SYN-ACK, bad",
	  SEGMENT,
	  TH_SYN | TH_ACK,
	  -1,
	  77,
	  0,
	  { "R none", "- conn", "R rcvd", "R sent", "A est", "A fw1", "A fw2",
	    "A cw", "A la" } },
	{ "ACK",
	  SEGMENT,
	  TH_ACK,
	  0,
	  0,
	  0,
	  { "R none", "- conn", "- est", "- sent", "- est", "- fw2", "- fw2",
	    "- cw", "- none" } },
	{ "ACK, future",
	  SEGMENT,
	  TH_ACK,
	  0,
	  1000,
	  0,
	  { "R none", "- conn", "R rcvd", "R sent", "A est", "A fw1", "A fw2",
	    "A cw", "A la" } },
	{ "ACK, ancient",
	  SEGMENT,
	  TH_ACK,
	  0,
	  -BLIND,
	  0,
	  { "R none", "- conn", "R rcvd", "R sent", "A est", "A fw1", "A fw2",
	    "A cw", "A la" } },
	{ "ACK at -1",
	  SEGMENT,
	  TH_ACK,
	  -1,
	  0,
	  0,
	  { "R none", "- conn", "A rcvd", "- sent", "A est", "A fw2", "A fw2",
	    "A cw", "- none" } },
	{ "ACK, old",
	  SEGMENT,
	  TH_ACK,
	  -500,
	  0,
	  0,
	  { "R none", "- conn", "A rcvd", "- sent", "A est", "A fw2", "A fw2",
	    "A cw", "- none" } },
	{ "ACK, beyond",
	  SEGMENT,
	  TH_ACK,
	  BLIND,
	  0,
	  0,
	  { "R none", "- conn", "A rcvd", "- sent", "A est", "A fw1", "A fw2",
	    "A cw", "A la" } },
	{ "data",
	  SEGMENT,
	  TH_ACK,
	  0,
	  0,
	  10,
	  { "R none", "- conn", "A est", "- sent", "A est", "A fw2", "A fw2",
	    "A cw", "- none" } },
	{ "data, old",
	  SEGMENT,
	  TH_ACK,
	  -10,
	  0,
	  10,
	  { "R none", "- conn", "A rcvd", "- sent", "A est", "A fw2", "A fw2",
	    "A cw", "- none" } },
	{ "data, hole",
	  SEGMENT,
	  TH_ACK,
	  100,
	  0,
	  10,
	  { "R none", "- conn", "A est", "- sent", "A est", "A fw2", "A fw2",
	    "A cw", "- none" } },
	{ "data, beyond",
	  SEGMENT,
	  TH_ACK,
	  BLIND,
	  0,
	  10,
	  { "R none", "- conn", "A rcvd", "- sent", "A est", "A fw1", "A fw2",
	    "A cw", "A la" } },
	{ "data, no ACK",
	  SEGMENT,
	  TH_PUSH,
	  0,
	  0,
	  10,
	  { "r none", "- conn", "- rcvd", "- sent", "- est", "- fw1", "- fw2",
	    "- cw", "- la" } },
	{ "FIN",
	  SEGMENT,
	  TH_FIN | TH_ACK,
	  0,
	  0,
	  0,
	  { "R none", "- conn", "A cw", "- sent", "A cw", "A none", "A none",
	    "A cw", "- none" } },
	{ "FIN, again",
	  SEGMENT,
	  TH_FIN | TH_ACK,
	  -1,
	  0,
	  0,
	  { "R none", "- conn", "A rcvd", "- sent", "A est", "A fw2", "A fw2",
	    "A cw", "- none" } },
	{ "FIN, hole",
	  SEGMENT,
	  TH_FIN | TH_ACK,
	  100,
	  0,
	  0,
	  { "R none", "- conn", "A est", "- sent", "A est", "A fw2", "A fw2",
	    "A cw", "- none" } },
	{ "FIN, no ACK",
	  SEGMENT,
	  TH_FIN,
	  0,
	  0,
	  0,
	  { "r none", "- conn", "- rcvd", "- sent", "- est", "- fw1", "- fw2",
	    "- cw", "- la" } },
	{ "RST",
	  SEGMENT,
	  TH_RST,
	  0,
	  0,
	  0,
	  { "- none", "- none", "- none", "- sent", "- none", "- none",
	    "- none", "- none", "- none" } },
	{ "RST with ACK",
	  SEGMENT,
	  TH_RST | TH_ACK,
	  0,
	  0,
	  0,
	  { "- none", "- none", "- none", "- none", "- none", "- none",
	    "- none", "- none", "- none" } },
	{ "RST, bad ACK",
	  SEGMENT,
	  TH_RST | TH_ACK,
	  2,
	  77,
	  0,
	  { "- none", "- conn", "A rcvd", "- sent", "A est", "A fw1", "A fw2",
	    "A cw", "A la" } },
	{ "RST, in window",
	  SEGMENT,
	  TH_RST,
	  2,
	  0,
	  0,
	  { "- none", "- conn", "A rcvd", "- sent", "A est", "A fw1", "A fw2",
	    "A cw", "A la" } },
	{ "RST, old",
	  SEGMENT,
	  TH_RST,
	  -1,
	  0,
	  0,
	  { "- none", "- conn", "- rcvd", "- sent", "- est", "- fw1", "- fw2",
	    "- cw", "- la" } },
	{ "RST, beyond",
	  SEGMENT,
	  TH_RST,
	  BLIND,
	  0,
	  0,
	  { "- none", "- conn", "- rcvd", "- sent", "- est", "- fw1", "- fw2",
	    "- cw", "- la" } },
	{ "no flags",
	  SEGMENT,
	  0,
	  0,
	  0,
	  0,
	  { "r none", "- conn", "- rcvd", "- sent", "- est", "- fw1", "- fw2",
	    "- cw", "- la" } },
	{ "host sends",
	  HOST_DATA,
	  0,
	  0,
	  0,
	  0,
	  { NULL, NULL, "- rcvd", "- sent", "D est", NULL, NULL, "D cw",
	    NULL } },
	{ "host ends",
	  HOST_END,
	  0,
	  0,
	  0,
	  0,
	  { NULL, NULL, "- rcvd", "- sent", "F fw1", NULL, NULL, "F la",
	    NULL } },
	/* in LAST-ACK nothing is open between us and the host any more */
	{ "host resets",
	  HOST_RESET,
	  0,
	  0,
	  0,
	  0,
	  { NULL, NULL, "r none", "R none", "r none", "r none", "r none",
	    "r none", NULL } },
	{ "1.1 s",
	  WAIT,
	  0,
	  0,
	  0,
	  0,
	  { "- none", "- conn", "S rcvd", "s sent", "- est", "F fw1", "- fw2",
	    "- cw", "F la" } },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static struct env_conn c;
static int listener;
static bool v6;

static enum state state_now(void)
{
	const struct tcp_conn *f = env_flow();

	if (!f)
		return NONE;
	switch (f->st.phase) {
	case PHASE_CONNECTING:
		return CONNECTING;
	case PHASE_SYN_RCVD:
		return SYN_RCVD;
	case PHASE_SYN_SENT:
		return SYN_SENT;
	case PHASE_ESTABLISHED:
		break;
	default:
		fail_msg("phase %u", f->st.phase);
	}
	if (f->st.fin & TCP_GUEST_FIN)
		return f->st.fin & TCP_FIN_SENT ? LAST_ACK : CLOSE_WAIT;
	if (f->st.fin & TCP_FIN_ACKED)
		return FIN_WAIT_2;
	return f->st.fin & TCP_FIN_SENT ? FIN_WAIT_1 : ESTABLISHED;
}

static void syn(void)
{
	const struct env_tx tx = { .seq = c.isn,
				   .flags = TH_SYN,
				   .wnd = 65535 };

	env_send(&c, &tx, 1);
	c.snd = c.isn + 1;
}

/* A socket of the host is asked to connect to the guest: our SYN is out */
static void host_asks(void)
{
	static in_port_t port = 33000;
	static char peer[INANY_STRLEN];
	struct env_rx rx;

	port++;
	env_rule(v6 ? HOST6 : HOST4, port, 8080);
	env_forwards();
	c.gport = 8080;
	c.fd = env_connect(v6 ? HOST6 : HOST4, port);
	while (!env_get(&rx))
		env_wait();
	inany_ntop(&rx.src, peer);
	c.peer = peer;
	c.pport = rx.sport;
	c.risn = rx.seq;
	c.rcv = c.risn + 1;
	c.snd = c.isn + 1;
}

/* Bring a new connection into a state */
static void enter(enum state want)
{
	static in_port_t port = 26000;

	tcp_env_reset(NULL);
	c = (struct env_conn){ .guest = v6 ? GUEST6 : GUEST4,
			       .peer = v6 ? PEER6 : PEER4,
			       .gport = 40000,
			       .pport = ++port,
			       .isn = 0xffffffff,
			       .snd = 0,
			       .wnd = 65535,
			       .fd = -1 };
	listener = -1;
	switch (want) {
	case NONE:
		listener = env_listen(c.peer, c.pport);
		break;
	case CONNECTING:
		c.peer = v6 ? HOLE6 : HOLE4;
		syn();
		break;
	case SYN_RCVD:
		listener = env_listen(c.peer, c.pport);
		syn();
		c.fd = env_accept(listener);
		env_wait();
		c.risn = env_flow()->snd_una;
		c.rcv = c.risn + 1;
		break;
	case SYN_SENT:
		host_asks();
		break;
	default:
		env_open(&c, c.peer, 1000, -1, 65535);
	}
	if (want == CLOSE_WAIT || want == LAST_ACK)
		env_data(&c, TH_FIN | TH_ACK, NULL, 0);
	if (want == FIN_WAIT_1 || want == FIN_WAIT_2 || want == LAST_ACK) {
		assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
		env_wait();
		c.rcv++;
	}
	if (want == FIN_WAIT_2)
		env_ack(&c, c.rcv);
	env_turns();
	env_drop();
	assert_int_equal(state_now(), want);
}

static void segment(const struct row *r)
{
	static const uint8_t data[100];
	const struct env_tx tx = { .seq = c.snd + (uint32_t)r->seq,
				   .ack = c.rcv + (uint32_t)r->ack,
				   .flags = r->flags,
				   .wnd = 65535,
				   .data = data,
				   .len = r->len };

	env_send(&c, &tx, 1);
}

/* Letter of an answer; numbers of ACKs and RSTs have to be right as well */
static char answer(const struct row *r, const struct env_rx *rx)
{
	const struct tcp_conn *f = env_flow();

	assert_int_equal(rx->proto, IPPROTO_TCP);
	if (rx->flags & TH_RST) {
		if (r->action == SEGMENT && rx->flags & TH_ACK)
			assert_int_equal(rx->ack,
					 c.snd + (uint32_t)r->seq + r->len +
						 !!(r->flags & TH_FIN));
		else if (r->action == SEGMENT)
			assert_int_equal(rx->seq, c.rcv + (uint32_t)r->ack);
		else
			assert_int_equal(rx->seq, c.rcv);
		return rx->flags & TH_ACK ? 'r' : 'R';
	}
	if (rx->flags & TH_SYN)
		return rx->flags & TH_ACK ? 'S' : 's';
	assert_true(rx->flags & TH_ACK);
	if (f)
		assert_int_equal(rx->ack, f->rcv_nxt);
	if (rx->flags & TH_FIN)
		return 'F';
	if (rx->len)
		return 'D';
	if (f)
		assert_int_equal(rx->seq, f->snd_nxt);
	return 'A';
}

static void act(const struct row *r)
{
	switch (r->action) {
	case SEGMENT:
		segment(r);
		break;
	case HOST_DATA:
		assert_int_equal(send(c.fd, "0123456789", 10, 0), 10);
		env_wait();
		break;
	case HOST_END:
		assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
		env_wait();
		break;
	case HOST_RESET:
		sock_close_rst(c.fd);
		c.fd = -1;
		env_wait();
		break;
	case WAIT:
		env_sleep(1100);
		break;
	}
	if (state_now() == CONNECTING && c.peer[0] != HOLE4[0] && listener >= 0)
		env_wait();
	env_turns();
}

/* Whatever is left ends with one exact RST */
static void end(void)
{
	const struct tcp_conn *f = env_flow();
	struct env_tx rst = { .flags = TH_RST | TH_ACK };

	if (!f)
		return;
	rst.seq = f->rcv_nxt;
	rst.ack = f->snd_max;
	env_send(&c, &rst, 1);
	env_turns();
	assert_null(env_flow());
	assert_int_equal(env.flows.used, 0);
}

static void one_cell(const struct row *r, enum state s)
{
	char got[20] = "", *p = got;
	unsigned fds;
	struct env_rx rx;
	int fd;

	tcp_env_reset(NULL);
	fds = env_open_fds();
	enter(s);
	act(r);
	while (env_get(&rx) && p < got + 8)
		*p++ = answer(r, &rx);
	if (p == got)
		*p++ = '-';
	sprintf(p, " %s", names[state_now()]);
	if (strcmp(got, r->cell[s]))
		fail_msg("IPv%d, %s in %s: \"%s\", should be \"%s\"",
			 v6 ? 6 : 4, r->name, names[s], got, r->cell[s]);
	end();
	while (listener >= 0 &&
	       (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
		close(fd);
	if (listener >= 0)
		close(listener);
	if (c.fd >= 0)
		close(c.fd);
	tcp_env_reset(NULL); /* closes what was forwarded */
	if (env_open_fds() != fds)
		fail_msg("%s in %s: %u descriptors, %u before", r->name,
			 names[s], env_open_fds(), fds);
}

static void test_cells(void **state)
{
	unsigned s, n = 0;
	size_t r;

	v6 = **(const bool **)state;
	for (r = 0; r < ROWS; r++)
		for (s = 0; s < STATES; s++)
			if (rows[r].cell[s]) {
				one_cell(&rows[r], (enum state)s);
				n++;
			}
	print_message("%u cells of %zu\n", n, ROWS * STATES);
	assert_true(n > 250);
}

int main(void)
{
	static bool four = false, six = true;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_cells, &four),
		cmocka_unit_test_prestate(test_cells, &six),
	};

	return cmocka_run_group_tests(tests, tcp_env_start, NULL);
}
