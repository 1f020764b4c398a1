/* SPDX-License-Identifier: GPL-2.0-or-later */
/* State of a connection over the tap, as pure functions */
#ifndef TCP_STATE_H
#define TCP_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum tcp_phase {
	PHASE_NEW,         /* slot just taken */
	PHASE_CONNECTING,  /* the guest's SYN made us connect to the host */
	PHASE_SYN_RCVD,    /* SYN-ACK sent to the guest */
	PHASE_SYN_SENT,    /* accepted from the host: SYN sent to the guest */
	PHASE_ESTABLISHED, /* both handshakes are done; FIN bits count */
	PHASE_CLOSED,      /* nothing left to do but to free it */
	PHASES
};

/* How far each direction is closed */
enum tcp_fin {
	TCP_GUEST_FIN = 1, /* the guest's FIN came in order, socket shut down */
	TCP_SOCK_EOF = 2,  /* the socket has no more data, ever */
	TCP_FIN_SENT = 4,  /* FIN is among what was sent to the guest */
	TCP_FIN_ACKED = 8, /* and it acknowledged it */
	TCP_FIN_ALL = 15
};

enum tcp_event {
	TCP_EV_SYN,       /* SYN from the guest, connect() started */
	TCP_EV_ACCEPT,    /* connection from the host, SYN sent */
	TCP_EV_CONNECTED, /* connect() done, SYN-ACK sent */
	TCP_EV_CROSSED,   /* SYN of the guest instead of an answer to ours */
	TCP_EV_SYN_ACKED, /* the guest acknowledged our SYN */
	TCP_EV_GUEST_FIN, /* FIN of the guest in order */
	TCP_EV_EOF,       /* end of data of the socket */
	TCP_EV_FIN_SENT,  /* our FIN went out */
	TCP_EV_REWIND,    /* what is unacknowledged will be sent again */
	TCP_EV_FIN_ACKED, /* the guest acknowledged our FIN */
	TCP_EV_ABORT,     /* reset, error, timeout, given up */
	TCP_EVENTS
};

struct tcp_state {
	uint8_t phase; /* enum tcp_phase */
	uint8_t fin;   /* enum tcp_fin bits */
};

/**
 * tcp_next() - State after an event
 * @s:		State
 * @ev:		Event
 * @next:	Filled
 *
 * Return: false, @next is @s, if the event has no business in this state
 */
bool tcp_next(struct tcp_state s, enum tcp_event ev, struct tcp_state *next);

/* What the next deadline of a connection is for */
enum tcp_deadline {
	TCP_DL_NONE,       /* connecting: the kernel watches the time */
	TCP_DL_SYN,        /* repeat SYN or SYN-ACK */
	TCP_DL_RETRANSMIT, /* repeat what is unacknowledged */
	TCP_DL_PROBE,      /* zero window, data waits: ask */
	TCP_DL_KEEPALIVE,  /* nothing heard for hours: ask */
};

/**
 * tcp_deadline() - What to wait for
 * @s:		State
 * @inflight:	Something sent is unacknowledged
 * @waiting:	Data is known to wait for a window
 */
enum tcp_deadline tcp_deadline(struct tcp_state s, bool inflight, bool waiting);

/**
 * tcp_phase_name() - For messages
 * @phase:	enum tcp_phase
 */
const char *tcp_phase_name(uint8_t phase);

/**
 * tcp_event_name() - What happened, for messages
 * @ev:		Event
 */
const char *tcp_event_name(enum tcp_event ev);

#endif /* TCP_STATE_H */
