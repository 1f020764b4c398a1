/* SPDX-License-Identifier: GPL-2.0-or-later */
/* State of a connection over the tap, as pure functions
 *
 * A connection is made of two: the guest's with us, whose peer we play, and the
 * kernel's with the other host. The phase tells how far opening came; once both
 * are open, four bits tell how far each direction is closed. The connection is
 * over when both are:
 *
 *  guest -> host: the guest's FIN arrives in order, behind all its data, which
 *                 the socket has taken by then: shutdown(SHUT_WR), GUEST_FIN
 *  host -> guest: recv() says 0: SOCK_EOF; FIN sent behind all data: FIN_SENT;
 *                 acknowledged: FIN_ACKED. Going back to unacknowledged data
 *                 takes FIN_SENT back as well.
 */
#include "tcp/state.h"

#define IN(phase) (1U << (phase))
#define IN_OPENING \
	(IN(PHASE_CONNECTING) | IN(PHASE_SYN_RCVD) | IN(PHASE_SYN_SENT))
#define IN_ANY (IN(PHASE_NEW) | IN_OPENING | IN(PHASE_ESTABLISHED))
#define SAME   PHASES

/**
 * struct tcp_row - When an event may come, and what it does
 * @in:		Phases it is for, as bits
 * @to:		Phase after it, SAME: unchanged
 * @need:	FIN bits that must be set
 * @forbid:	FIN bits that must not be set
 * @set, @clear: FIN bits changed
 */
static const struct tcp_row {
	uint8_t in, to, need, forbid, set, clear;
} table[TCP_EVENTS] = {
	[TCP_EV_SYN] = { IN(PHASE_NEW), PHASE_CONNECTING, 0, 0, 0, 0 },
	[TCP_EV_ACCEPT] = { IN(PHASE_NEW), PHASE_SYN_SENT, 0, 0, 0, 0 },
	[TCP_EV_CONNECTED] = { IN(PHASE_CONNECTING), PHASE_SYN_RCVD, 0, 0, 0,
			       0 },
	[TCP_EV_CROSSED] = { IN(PHASE_SYN_SENT), PHASE_SYN_RCVD, 0, 0, 0, 0 },
	[TCP_EV_SYN_ACKED] = { IN(PHASE_SYN_RCVD) | IN(PHASE_SYN_SENT),
			       PHASE_ESTABLISHED, 0, 0, 0, 0 },
	[TCP_EV_GUEST_FIN] = { IN(PHASE_ESTABLISHED), SAME, 0, TCP_GUEST_FIN,
			       TCP_GUEST_FIN, 0 },
	[TCP_EV_EOF] = { IN(PHASE_ESTABLISHED), SAME, 0, 0, TCP_SOCK_EOF, 0 },
	[TCP_EV_FIN_SENT] = { IN(PHASE_ESTABLISHED), SAME, TCP_SOCK_EOF,
			      TCP_FIN_SENT, TCP_FIN_SENT, 0 },
	[TCP_EV_REWIND] = { IN(PHASE_ESTABLISHED), SAME, 0, TCP_FIN_ACKED, 0,
			    TCP_FIN_SENT },
	[TCP_EV_FIN_ACKED] = { IN(PHASE_ESTABLISHED), SAME, TCP_FIN_SENT,
			       TCP_FIN_ACKED, TCP_FIN_ACKED, 0 },
	[TCP_EV_ABORT] = { IN_ANY, PHASE_CLOSED, 0, 0, 0, 0 },
};

bool tcp_next(struct tcp_state s, enum tcp_event ev, struct tcp_state *next)
{
	const struct tcp_row *r = &table[ev];

	*next = s;
	if (!(r->in & IN(s.phase)) || (s.fin & r->need) != r->need ||
	    s.fin & r->forbid)
		return false;
	if (r->to != SAME)
		next->phase = r->to;
	next->fin = (uint8_t)((s.fin | r->set) & ~r->clear);
	if (next->fin == TCP_FIN_ALL)
		next->phase = PHASE_CLOSED;
	return true;
}

enum tcp_deadline tcp_deadline(struct tcp_state s, bool inflight, bool waiting)
{
	switch (s.phase) {
	case PHASE_SYN_RCVD:
	case PHASE_SYN_SENT:
		return TCP_DL_SYN;
	case PHASE_ESTABLISHED:
		if (inflight)
			return TCP_DL_RETRANSMIT;
		return waiting ? TCP_DL_PROBE : TCP_DL_KEEPALIVE;
	default:
		return TCP_DL_NONE;
	}
}

const char *tcp_phase_name(uint8_t phase)
{
	static const char *const name[PHASES] = {
		[PHASE_NEW] = "NEW",
		[PHASE_CONNECTING] = "CONNECTING",
		[PHASE_SYN_RCVD] = "SYN_RCVD",
		[PHASE_SYN_SENT] = "SYN_SENT",
		[PHASE_ESTABLISHED] = "ESTABLISHED",
		[PHASE_CLOSED] = "CLOSED",
	};

	return phase < PHASES ? name[phase] : "?";
}

const char *tcp_event_name(enum tcp_event ev)
{
	static const char *const name[TCP_EVENTS] = {
		[TCP_EV_SYN] = "SYN of the guest",
		[TCP_EV_ACCEPT] = "accepted for the guest",
		[TCP_EV_CONNECTED] = "connected",
		[TCP_EV_CROSSED] = "SYN crossed ours",
		[TCP_EV_SYN_ACKED] = "SYN acknowledged",
		[TCP_EV_GUEST_FIN] = "FIN of the guest",
		[TCP_EV_EOF] = "end of data of the peer",
		[TCP_EV_FIN_SENT] = "FIN sent to the guest",
		[TCP_EV_REWIND] = "sending again",
		[TCP_EV_FIN_ACKED] = "FIN acknowledged",
		[TCP_EV_ABORT] = "reset, refused or timed out",
	};

	return name[ev];
}
