/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Deadlines of TCP connections over the tap
 *
 * What a connection waits for follows from its state (tcp_deadline()); when it
 * is due, from when that wait began and how often it was in vain. The timer in
 * the wheel is moved only to an earlier time: if it comes up and the deadline
 * has moved on meanwhile, it is armed again. So progress costs no timer work.
 */
#include <string.h>

#include "lib/log.h"
#include "tcp/conn.h"

/* First repetition of SYN and of data; doubled each time (RFC 6298 2.1, 5.5).
 * The link to the guest is memory: what is late by this much is lost, or the
 * guest does not run.
 */
#define RTO_SYN  1000
#define RTO_DATA 400
#define RTO_MAX  60000

/* Repetitions of data, or window probes without any answer, before giving up:
 * some 8 minutes (RFC 9293 3.8.3, R2 at least 100 s)
 */
#define DATA_RETRIES 14

/* Silence before the guest is asked whether it is there (RFC 9293 3.8.4:
 * no less than two hours), and how often then
 */
#define KEEPALIVE_IDLE     (2 * 3600 * 1000)
#define KEEPALIVE_INTERVAL (75 * 1000)
#define KEEPALIVE_RETRIES  9

/* The kernel had no memory for what was asked: ask again, ms */
#define SHORT_RETRY 10

/* Wait number @retries, ms */
static uint64_t backoff(uint64_t first, unsigned retries)
{
	uint64_t ms = retries < 16 ? first << retries : RTO_MAX;

	return ms < RTO_MAX ? ms : RTO_MAX;
}

/* Is data waiting for the window of the guest? Behind the FIN there is none */
static bool tcp_waiting(const struct tcp_conn *c)
{
	return c->flags & TCP_MORE && !c->snd_wnd &&
	       !(c->st.fin & TCP_FIN_SENT);
}

/* When a wait of @ms that began at @from ends, on the loop's clock */
static uint64_t tcp_end(const struct tcp *tcp, uint32_t from, uint64_t ms)
{
	return tcp->loop->now - tcp_since(tcp, from) + ms;
}

/* Was the guest heard since the present deadline runs? In the very millisecond
 * counts: over a link that is memory most answers come in it
 */
static bool tcp_answered(const struct tcp *tcp, const struct tcp_conn *c)
{
	return tcp_since(tcp, c->heard) <= tcp_since(tcp, c->base);
}

/* When the state's deadline is due, UINT64_MAX: never */
static uint64_t tcp_due(const struct tcp *tcp, const struct tcp_conn *c)
{
	switch (tcp_deadline(c->st, tcp_inflight(c), tcp_waiting(c))) {
	case TCP_DL_SYN:
		return tcp_end(tcp, c->base, backoff(RTO_SYN, c->retries));
	case TCP_DL_RETRANSMIT:
	case TCP_DL_PROBE:
		return tcp_end(tcp, c->base, backoff(RTO_DATA, c->retries));
	case TCP_DL_KEEPALIVE:
		if (!c->retries)
			return tcp_end(tcp, c->heard, KEEPALIVE_IDLE);
		return tcp_end(tcp, c->base, KEEPALIVE_INTERVAL);
	case TCP_DL_NONE:
		break;
	}
	return UINT64_MAX;
}

/* When an ACK that waits for a reply must go by itself, UINT64_MAX: never */
static uint64_t tcp_ack_due(const struct tcp *tcp, const struct tcp_conn *c)
{
	if (!(c->flags & TCP_ACK_DUE) || !(c->flags & TCP_ACK_LATER))
		return UINT64_MAX;
	return tcp_end(tcp, c->heard, TCP_ACK_DELAY);
}

void tcp_timer_arm(struct tcp *tcp, struct tcp_conn *c)
{
	uint64_t due = tcp_due(tcp, c), ack = tcp_ack_due(tcp, c);

	if (ack < due)
		due = ack;
	if (c->starved && due > tcp->loop->now + SHORT_RETRY)
		due = tcp->loop->now + SHORT_RETRY;
	if (due == UINT64_MAX)
		wheel_cancel(&tcp->loop->wheel, &c->f.timer);
	else if (!wtimer_armed(&c->f.timer) || due < c->f.timer.at)
		wheel_arm(&tcp->loop->wheel, &c->f.timer, due);
}

/* SYN or SYN-ACK without answer */
static void tcp_syn_timeout(struct tcp *tcp, struct tcp_conn *c)
{
	bool rcvd = c->st.phase == PHASE_SYN_RCVD;

	if (c->retries > tcp->syn_retries) {
		tcp_reset(tcp, c);
		return;
	}
	tcp_send_flag(tcp, c, rcvd ? TH_SYN | TH_ACK : TH_SYN, c->snd_una);
}

/* Unacknowledged data: go back and send from there, slowly at first */
static void tcp_rto(struct tcp *tcp, struct tcp_conn *c)
{
	tcp->stats.retransmit++;
	if (c->retries == 1) /* again is no news (RFC 5681 3.1) */
		tcp_lost(c);
	tcp_rewind(c);
	c->cwnd = c->mss;
	c->dup_acks = 0;
	c->recover = c->snd_max;
	c->flags &= (uint16_t)~TCP_RECOVERY;
	if (c->snd_wnd)
		tcp_output(tcp, c);
	else
		tcp_send_flag(tcp, c, TH_ACK, c->snd_una - 1);
}

/* Nothing is heard: a segment before the window has to be answered with an
 * ACK that tells the present window (RFC 9293 3.8.4, 3.8.6.1)
 */
static void tcp_ask(struct tcp *tcp, struct tcp_conn *c)
{
	tcp->stats.probes++;
	tcp_send_flag(tcp, c, TH_ACK, c->snd_una - 1);
}

/* The deadline passed */
static void tcp_timeout(struct tcp *tcp, struct tcp_conn *c)
{
	enum tcp_deadline what = tcp_deadline(c->st, tcp_inflight(c),
					      tcp_waiting(c));
	unsigned limit = what == TCP_DL_KEEPALIVE ? KEEPALIVE_RETRIES
						  : DATA_RETRIES;

	/* Whoever answers with a closed window is alive (RFC 9293 3.8.6.1) */
	if (what == TCP_DL_PROBE && tcp_answered(tcp, c))
		c->retries = c->retries < 8 ? c->retries : 8;
	c->base = tcp_now(tcp);
	c->retries++;
	if (what == TCP_DL_SYN) {
		tcp_syn_timeout(tcp, c);
		return;
	}
	if (c->retries > limit) {
		debug_limited("TCP: guest does not answer any more, resetting");
		tcp_reset(tcp, c);
		return;
	}
	if (what == TCP_DL_RETRANSMIT)
		tcp_rto(tcp, c);
	else
		tcp_ask(tcp, c);
}

void tcp_flow_timer(void *ctx, struct flow *f)
{
	struct tcp_conn *c = (struct tcp_conn *)(void *)f;
	struct tcp *tcp = ctx;

	if (c->starved) {
		c->starved = false;
		tcp_flow_resume(tcp, f);
		return;
	}
	if (c->retries && tcp_answered(tcp, c) &&
	    tcp_deadline(c->st, tcp_inflight(c), tcp_waiting(c)) ==
		    TCP_DL_KEEPALIVE)
		c->retries = 0;
	if (tcp_ack_due(tcp, c) <= tcp->loop->now) {
		c->flags &= (uint16_t) ~(TCP_DIALOGUE | TCP_ACK_LATER);
		tcp_send_ack(tcp, c);
	}
	if (tcp_due(tcp, c) <= tcp->loop->now)
		tcp_timeout(tcp, c);
	tcp_settle(tcp, c);
}
