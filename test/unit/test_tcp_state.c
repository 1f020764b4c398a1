/* SPDX-License-Identifier: GPL-2.0-or-later */
/* States of TCP: every event in every state against a model told otherwise */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tcp/state.h"

/* A state as a person would put it, instead of phase and bits */
struct story {
	int phase;
	bool guest_done, host_eof, fin_out, fin_acked;
};

static struct story tell(struct tcp_state s)
{
	return (struct story){ s.phase, s.fin & TCP_GUEST_FIN,
			       s.fin & TCP_SOCK_EOF, s.fin & TCP_FIN_SENT,
			       s.fin & TCP_FIN_ACKED };
}

/* Closed when both directions are */
static void finish(struct story *t)
{
	if (t->guest_done && t->host_eof && t->fin_out && t->fin_acked)
		t->phase = PHASE_CLOSED;
}

/* What must follow, case by case. Return: false if the event is not for it */
static bool model(struct story *t, enum tcp_event ev)
{
	bool open = t->phase == PHASE_ESTABLISHED;

	switch (ev) {
	case TCP_EV_SYN:
	case TCP_EV_ACCEPT:
		if (t->phase != PHASE_NEW)
			return false;
		t->phase = ev == TCP_EV_SYN ? PHASE_CONNECTING : PHASE_SYN_SENT;
		break;
	case TCP_EV_CONNECTED:
		if (t->phase != PHASE_CONNECTING)
			return false;
		t->phase = PHASE_SYN_RCVD;
		break;
	case TCP_EV_CROSSED:
		if (t->phase != PHASE_SYN_SENT)
			return false;
		t->phase = PHASE_SYN_RCVD;
		break;
	case TCP_EV_SYN_ACKED:
		if (t->phase != PHASE_SYN_RCVD && t->phase != PHASE_SYN_SENT)
			return false;
		t->phase = PHASE_ESTABLISHED;
		break;
	case TCP_EV_GUEST_FIN:
		if (!open || t->guest_done)
			return false;
		t->guest_done = true;
		break;
	case TCP_EV_EOF:
		if (!open)
			return false;
		t->host_eof = true;
		break;
	case TCP_EV_FIN_SENT:
		if (!open || !t->host_eof || t->fin_out)
			return false;
		t->fin_out = true;
		break;
	case TCP_EV_REWIND:
		if (!open || t->fin_acked)
			return false;
		t->fin_out = false;
		break;
	case TCP_EV_FIN_ACKED:
		if (!open || !t->fin_out || t->fin_acked)
			return false;
		t->fin_acked = true;
		break;
	case TCP_EV_ABORT:
		if (t->phase == PHASE_CLOSED)
			return false;
		t->phase = PHASE_CLOSED;
		return true;
	case TCP_EVENTS:
		return false;
	}
	finish(t);
	return true;
}

/* Can this state be come by at all? FIN bits need an open connection, and each
 * the one before it
 */
static bool possible(struct tcp_state s)
{
	bool eof = s.fin & TCP_SOCK_EOF, sent = s.fin & TCP_FIN_SENT;
	bool acked = s.fin & TCP_FIN_ACKED;

	if (s.phase < PHASE_ESTABLISHED)
		return !s.fin;
	if (s.phase == PHASE_ESTABLISHED && s.fin == TCP_FIN_ALL)
		return false;
	return (!sent || eof) && (!acked || sent);
}

static void test_every_cell(void **state)
{
	unsigned phase, fin, ev, cells = 0, taken = 0;

	(void)state;
	for (phase = 0; phase < PHASES; phase++)
		for (fin = 0; fin <= TCP_FIN_ALL; fin++)
			for (ev = 0; ev < TCP_EVENTS; ev++) {
				struct tcp_state s = { (uint8_t)phase,
						       (uint8_t)fin };
				struct story want = tell(s), got;
				struct tcp_state next = { 99, 99 };
				bool ok;

				if (!possible(s))
					continue;
				cells++;
				ok = tcp_next(s, (enum tcp_event)ev, &next);
				if (ok != model(&want, (enum tcp_event)ev))
					fail_msg("phase %u fin %u event %u: %d",
						 phase, fin, ev, ok);
				taken += ok;
				got = tell(next);
				if (got.phase != want.phase ||
				    got.guest_done != want.guest_done ||
				    got.host_eof != want.host_eof ||
				    got.fin_out != want.fin_out ||
				    got.fin_acked != want.fin_acked)
					fail_msg("phase %u fin %u event %u: "
						 "-> phase %u fin %u",
						 phase, fin, ev, next.phase,
						 next.fin);
				/* never out of what is possible */
				assert_true(possible(next));
			}
	/* 4 opening phases, 7 + 1 combinations open, 8 closed; 11 events */
	assert_int_equal(cells, (4 + 7 + 8) * TCP_EVENTS);
	assert_true(taken > 20);
}

/* Whatever happens: from any state, some way leads to the end */
static void test_no_dead_end(void **state)
{
	uint8_t way[PHASES][TCP_FIN_ALL + 1] = { 0 };
	unsigned phase, fin, ev;
	bool more = true;

	(void)state;
	memset(way[PHASE_CLOSED], 1, sizeof(way[0]));
	while (more) {
		more = false;
		for (phase = 0; phase < PHASE_CLOSED; phase++)
			for (fin = 0; fin <= TCP_FIN_ALL; fin++)
				for (ev = 0; ev < TCP_EV_ABORT; ev++) {
					struct tcp_state n,
						s = { (uint8_t)phase,
						      (uint8_t)fin };

					if (possible(s) && !way[phase][fin] &&
					    tcp_next(s, (enum tcp_event)ev,
						     &n) &&
					    way[n.phase][n.fin])
						way[phase][fin] = more = true;
				}
	}
	for (phase = 0; phase < PHASES; phase++)
		for (fin = 0; fin <= TCP_FIN_ALL; fin++) {
			struct tcp_state s = { (uint8_t)phase, (uint8_t)fin };

			if (possible(s) && !way[phase][fin])
				fail_msg("no way out of phase %u fin %u", phase,
					 fin);
		}
}

static void test_deadlines(void **state)
{
	static const struct {
		uint8_t phase;
		bool inflight, waiting;
		enum tcp_deadline want;
	} rows[] = {
		{ PHASE_NEW, false, false, TCP_DL_NONE },
		{ PHASE_NEW, true, true, TCP_DL_NONE },
		{ PHASE_CONNECTING, false, false, TCP_DL_NONE },
		{ PHASE_CONNECTING, true, true, TCP_DL_NONE },
		{ PHASE_SYN_RCVD, true, false, TCP_DL_SYN },
		{ PHASE_SYN_RCVD, true, true, TCP_DL_SYN },
		{ PHASE_SYN_SENT, true, false, TCP_DL_SYN },
		{ PHASE_ESTABLISHED, false, false, TCP_DL_KEEPALIVE },
		{ PHASE_ESTABLISHED, false, true, TCP_DL_PROBE },
		{ PHASE_ESTABLISHED, true, false, TCP_DL_RETRANSMIT },
		{ PHASE_ESTABLISHED, true, true, TCP_DL_RETRANSMIT },
		{ PHASE_CLOSED, false, false, TCP_DL_NONE },
		{ PHASE_CLOSED, true, true, TCP_DL_NONE },
	};
	unsigned i, fin;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (fin = 0; fin <= TCP_FIN_ALL; fin++) {
			struct tcp_state s = { rows[i].phase, (uint8_t)fin };

			if (possible(s))
				assert_int_equal(tcp_deadline(s,
							      rows[i].inflight,
							      rows[i].waiting),
						 rows[i].want);
		}
}

static void test_names(void **state)
{
	unsigned i, j;

	(void)state;
	for (i = 0; i < PHASES; i++)
		for (j = 0; j < i; j++)
			assert_string_not_equal(tcp_phase_name((uint8_t)i),
						tcp_phase_name((uint8_t)j));
	assert_string_equal(tcp_phase_name(PHASES), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cell),
		cmocka_unit_test(test_no_dead_end),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
