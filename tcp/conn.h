/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One TCP connection over the tap, and what tcp.c and tcp/ do with it */
#ifndef TCP_CONN_H
#define TCP_CONN_H

#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "flow.h"
#include "frame.h"
#include "tcp.h"
#include "tcp/opt.h"
#include "tcp/state.h"

/* Sequence arithmetic, modulo 2^32 (RFC 9293 3.4) */
#define SEQ_LT(a, b) ((int32_t)((uint32_t)(a) - (uint32_t)(b)) < 0)
#define SEQ_LE(a, b) ((int32_t)((uint32_t)(a) - (uint32_t)(b)) <= 0)
#define SEQ_GT(a, b) SEQ_LT(b, a)
#define SEQ_GE(a, b) SEQ_LE(b, a)

/* Window scale we offer: up to 32 MiB less one unit of 512 bytes */
#define TCP_OUR_WSCALE 9
#define TCP_WINDOW_MAX ((uint32_t)65535 << TCP_OUR_WSCALE)

/* Not more while several flows share the link: enough to keep it busy, as we
 * acknowledge within a turn
 */
#define TCP_WINDOW_SHARED (1U << 20)

/* Bytes in flight to the guest at most. The link is memory, so a large window is
 * not needed to fill it; and all of them lie in the socket's queue, which is
 * walked to get behind them, and should stay in the cache.
 */
#define TCP_INFLIGHT_MAX (2 * 1024 * 1024)

/* Connections with much in flight to the guest have as much as each other: what all
 * may have altogether by their number, but not less than a frame. They are those
 * that sent so much at once, or had it in flight, in a span of time.
 */
#define TCP_SHARE_ALL    (16U << 20)
#define TCP_SHARE_MIN    (64U << 10)
#define TCP_BULK_BYTES   (60U << 10)
#define TCP_BULK_SPAN_MS 16

/* What may come at once, with nothing in flight, before the kernel is told to take
 * four to eight times as much, up to what tcp_rmem allows; doubled each time. That is
 * less than any window it begins with. If the last was acknowledged, or the window
 * opened, less than the gap ago, ms, the far end is too near for it to matter, or the
 * guest too slow, and larger buffers only leave the processor's cache.
 */
#define TCP_BURST_BYTES (32U << 10)
#define TCP_BURST_GAP   3

/* Without SO_PEEK_OFF, bytes in flight are copied again with each receive */
#define TCP_INFLIGHT_NO_PEEK_OFF (256 * 1024)

/* How long an ACK waits for a reply that carries it, ms: long enough for one from
 * a near host, too short to be felt by a guest that waits for the ACK before it
 * sends more (Nagle's algorithm); RFC 9293 3.8.6.3 allows half a second
 */
#define TCP_ACK_DELAY 5

/* Options of any segment (RFC 9293 3.1) */
#define TCP_OPTS_MAX 40

/* Events every connection's socket is watched for */
#define TCP_EVENTS_MASK (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET)

enum tcp_flag {
	TCP_ACK_DUE = 1 << 0,     /* an ACK is owed to the guest */
	TCP_MORE = 1 << 1,        /* the socket may have data not looked at */
	TCP_RDHUP = 1 << 2,       /* the peer's FIN is in the socket's queue */
	TCP_SOCK_ERR = 1 << 3,    /* socket failed: reset once it is drained */
	TCP_WAIT_OUT = 1 << 4,    /* window was small: EPOLLOUT reopens it */
	TCP_PARTIAL = 1 << 5,     /* bytes inside the window were refused */
	TCP_RECOVERY = 1 << 6,    /* fast retransmit until snd_una >= recover */
	TCP_TAP_BLOCKED = 1 << 7, /* in the list of those waiting for the tap */
	TCP_KEEPALIVE = 1 << 8,   /* SO_KEEPALIVE mirrored */
	TCP_WS_OK = 1 << 9,       /* both sides offered window scaling */
	TCP_FIN_ONCE = 1 << 10,   /* FIN was sent: it is at snd_max - 1 */
	TCP_URGENT = 1 << 11,     /* urgent marks cut reads short */
	TCP_REPEAT = 1 << 12,     /* fast retransmit waits for the tap */
	TCP_LAST = 1 << 13,       /* closed, but RST or last ACK waits for it */
	TCP_DIALOGUE = 1 << 14,   /* small requests are answered at once */
	TCP_ACK_LATER = 1 << 15,  /* what is due may wait for a reply */
};

/**
 * struct tcp_conn - A connection over the tap
 * @f:		Flow; one side on PIF_TAP, the other on PIF_HOST. Its @link is for
 *		the list of those opening, and later of those blocked
 * @fd:		Socket
 * @st:		Phase and FIN bits; changed by tcp_event() alone
 * @flags:	enum tcp_flag
 * @opening:	In the list of those not established yet
 * @sack_ok:	The guest understands selective acknowledgements
 * @starved:	The kernel lacked memory: look again soon
 * @retries:	Times the present deadline passed without an answer
 * @dup_acks:	Duplicate ACKs in a row
 * @guest_ws:	Shift for windows the guest announces
 * @mss:	Most payload of a segment to the guest
 *
 * Towards the guest. The head of the socket's queue is at @snd_una: bytes are
 * discarded as they are acknowledged.
 * @snd_una:	Oldest unacknowledged; up to being established that is our SYN
 * @snd_nxt:	Next to be sent
 * @snd_max:	Highest ever sent, @snd_nxt may have gone back
 * @snd_wnd:	Window of the guest, bytes, and
 * @snd_wnd_max: the largest it ever announced
 * @snd_wl1:	Sequence number of the segment it was told by
 * @cwnd:	Limit on what is in flight after losses, bytes
 * @ssthresh:	Below this @cwnd grows fast (RFC 5681 3.1), none before a loss
 * @recover:	Where fast retransmit ends; below it, duplicate ACKs mean nothing
 * @peek_off:	Offset the kernel will peek at next
 * @wide:	How often TCP_BURST_BYTES was doubled
 *
 * From the guest.
 * @rcv_nxt:	Next expected: all before was taken by the socket. Up to being
 *		established, what follows its SYN
 * @rcv_adv:	Right edge of the window announced, never moved left
 * @ack_lag:	Bytes before @rcv_nxt not acknowledged yet, and
 * @ack_last:	the last acknowledgement then: see tcp_lag()
 * @careful:	Bytes inside the window were refused before: promise less
 * @dropped:	Bytes refused were not held either: to be asked for again
 * @held:	Slabs held: what came early, or was refused,
 * @held_first:	the first of them, and
 * @held_last:	the last
 * @fin_held:	A FIN came early,
 * @fin_seq:	with this number
 * @rcv_wnd:	Size of the window when it was last looked up, bytes
 *
 * Times are in ms modulo 2^32: see tcp_since(). What waits longest is a keep-alive,
 * which takes hours; modulo are 49 days.
 * @base:	Since when the present deadline runs
 * @heard:	When the guest was last heard
 * @challenged:	When a challenge ACK was last sent
 */
struct tcp_conn {
	struct flow f;
	int fd;
	struct tcp_state st;
	uint16_t flags;
	bool opening : 1, starved : 1, careful : 1, dropped : 1;
	bool sack_ok : 1, fin_held : 1;
	uint8_t retries, dup_acks;
	uint8_t guest_ws : 4, wide : 4;
	uint16_t mss, held, held_first, held_last;
	uint32_t snd_una, snd_nxt, snd_max, snd_wnd, snd_wnd_max, snd_wl1;
	uint32_t cwnd, ssthresh, recover;
	uint32_t peek_off;
	uint32_t rcv_nxt, rcv_adv, rcv_wnd, ack_lag, ack_last;
	uint32_t base, heard, challenged;
	uint32_t fin_seq;
};
_Static_assert(sizeof(struct tcp_conn) <= FLOW_SLOT, "must fit a slot");

/* One segment from the guest */
struct tcp_seg {
	uint32_t seq, ack;
	uint16_t wnd;  /* as in the header */
	uint8_t flags; /* TH_* */
	uint32_t len;  /* payload bytes */
	struct iov_tail payload;
	uint8_t opts[TCP_OPTS_MAX];
	uint8_t optlen;
};

/* What a header we send says */
struct tcp_hdr_spec {
	in_port_t sport, dport;
	uint32_t seq, ack;
	uint16_t wnd;
	uint8_t flags;
	const uint8_t *opts;
	size_t optlen; /* multiple of 4 */
};

/* Which side of the flow is the tap's */
static inline unsigned tcp_tapside_nr(const struct tcp_conn *c)
{
	return c->f.pif[INISIDE] == PIF_TAP ? INISIDE : TGTSIDE;
}

/* Our side of the tap */
static inline const struct flowside *tcp_tapside(const struct tcp_conn *c)
{
	return &c->f.side[tcp_tapside_nr(c)];
}

/* Shift for windows we announce */
static inline uint8_t tcp_our_ws(const struct tcp_conn *c)
{
	return c->flags & TCP_WS_OK ? TCP_OUR_WSCALE : 0;
}

/* Sequence space sent and not acknowledged, FIN included */
static inline uint32_t tcp_inflight(const struct tcp_conn *c)
{
	return c->snd_nxt - c->snd_una;
}

/* The present time, as a connection keeps it */
static inline uint32_t tcp_now(const struct tcp *tcp)
{
	return (uint32_t)tcp->loop->now;
}

/* How long ago a time is that a connection keeps, ms. After 2^32 ms it is 0 again:
 * what should have been done all the while is then done once more too late, by no
 * more than it has to wait for.
 */
static inline uint32_t tcp_since(const struct tcp *tcp, uint32_t then)
{
	return tcp_now(tcp) - then;
}

/* --- tcp.c ------------------------------------------------------------- */

/**
 * tcp_event() - Change the state of a connection: the only place
 * @c:		Connection
 * @ev:		Event
 *
 * Return: false if the event is not for this state (nothing changed)
 */
bool tcp_event(struct tcp_conn *c, enum tcp_event ev);

/**
 * tcp_opened() - Established, or never to be: no more in the list of those opening
 * @tcp:	TCP
 * @c:		Connection; no-op if it is not in that list
 */
void tcp_opened(struct tcp *tcp, struct tcp_conn *c);

/**
 * tcp_settle() - After each handler: free what is closed, arm the deadline
 * @tcp:	TCP
 * @c:		Connection, may be gone afterwards
 *
 * A closed connection stays while the tap is too full for its last segment: an
 * idle guest would not notice that it is over.
 *
 * Return: false if the connection was freed
 */
bool tcp_settle(struct tcp *tcp, struct tcp_conn *c);

/**
 * tcp_reset() - Reset both sides; tcp_settle() frees
 * @tcp:	TCP
 * @c:		Connection
 */
void tcp_reset(struct tcp *tcp, struct tcp_conn *c);

/* --- tcp/output.c: to the guest ---------------------------------------- */

/**
 * tcp_note_bulk() - Count a connection that has much in flight, once in a while
 * @tcp:	TCP
 * @c:		Connection; @base is set to the present time afterwards, or it
 *		would be counted again
 * @bytes:	Sent to the guest now, or in flight
 *
 * Those counted share what may be in flight altogether. Otherwise it would be
 * their receive buffers that decide, which the kernel makes the larger the more
 * goes through them.
 */
void tcp_note_bulk(struct tcp *tcp, const struct tcp_conn *c, uint32_t bytes);

/**
 * tcp_output() - Send what the socket has and the guest's window allows
 * @tcp:	TCP
 * @c:		Connection, established
 *
 * Reads until the socket is empty, the window full, the tap blocked, or the
 * budget of a turn used up (then the flow is deferred). End of data sends FIN.
 */
void tcp_output(struct tcp *tcp, struct tcp_conn *c);

/**
 * tcp_retransmit() - Send one frame from the oldest unacknowledged byte again
 * @tcp:	TCP
 * @c:		Connection
 */
void tcp_retransmit(struct tcp *tcp, struct tcp_conn *c);

/**
 * tcp_lost() - Something is missing: send less from now on (RFC 5681 (4))
 * @c:		Connection
 */
static inline void tcp_lost(struct tcp_conn *c)
{
	uint32_t half = tcp_inflight(c) / 2;

	c->ssthresh = half > 2U * c->mss ? half : 2U * c->mss;
	c->cwnd = c->ssthresh;
}

/**
 * tcp_rewind() - Forget what was sent and not acknowledged
 * @c:		Connection
 */
void tcp_rewind(struct tcp_conn *c);

/**
 * tcp_send_flag() - A segment without payload
 * @tcp:	TCP
 * @c:		Connection
 * @flags:	TH_ACK, TH_SYN | TH_ACK, ...; TH_SYN brings options
 * @seq:	Sequence number
 *
 * Return: 0, -EAGAIN if the tap is blocked
 */
int tcp_send_flag(struct tcp *tcp, struct tcp_conn *c, uint8_t flags,
		  uint32_t seq);

/**
 * tcp_send_dup_ack() - The same ACK once more (RFC 5681 3.2)
 * @tcp:	TCP
 * @c:		Connection
 * @nth:	Of several ACKs in a row: see tcp_held_sack()
 */
void tcp_send_dup_ack(struct tcp *tcp, struct tcp_conn *c, unsigned nth);

/**
 * tcp_send_ack() - ACK with the present window; clears TCP_ACK_DUE
 * @tcp:	TCP
 * @c:		Connection
 *
 * Return: 0, -EAGAIN if the tap is blocked; the connection waits for it then
 */
int tcp_send_ack(struct tcp *tcp, struct tcp_conn *c);

/**
 * tcp_send_rst() - Answer a segment of no connection (RFC 9293 3.10.7.1)
 * @tcp:	TCP
 * @g:		Addresses and ports of the segment
 * @seg:	Segment, without RST
 */
void tcp_send_rst(struct tcp *tcp, const struct packet_group *g,
		  const struct tcp_seg *seg);

/**
 * tcp_block() - Wait for the tap; tcp_unblock() - no longer
 * @tcp:	TCP
 * @c:		Connection, established or closed
 */
void tcp_block(struct tcp *tcp, struct tcp_conn *c);
void tcp_unblock(struct tcp *tcp, struct tcp_conn *c);

/* --- tcp/window.c: what is offered to the guest ------------------------- */

/**
 * tcp_window_update() - Look up what the socket will take, move the right edge
 * @tcp:	TCP
 * @c:		Connection
 * @force:	Even if plenty of the last window is left
 *
 * Asks for EPOLLOUT if the window is small, so that it is opened again.
 */
void tcp_window_update(struct tcp *tcp, struct tcp_conn *c, bool force);

/**
 * tcp_want_out() - Have EPOLLOUT reported once a third of the buffer is free
 * @tcp:	TCP
 * @c:		Connection
 */
void tcp_want_out(struct tcp *tcp, struct tcp_conn *c);

/**
 * tcp_window_reopen() - The same after EPOLLOUT: a third of the buffer is free
 * @tcp:	TCP
 * @c:		Connection
 *
 * The kernel knows better than any estimate, and it is not asked to tell again:
 * it would at once, for ever. But the event may be older than what was sent in
 * this turn: if the estimate denies it, the kernel is asked once more.
 */
void tcp_window_reopen(struct tcp *tcp, struct tcp_conn *c);

/**
 * tcp_window_field() - Value for the window field
 * @c:		Connection
 * @syn:	In a SYN: never scaled
 */
uint16_t tcp_window_field(const struct tcp_conn *c, bool syn);

/**
 * tcp_lag() - Hold acknowledgements back until the far end has the bytes
 * @tcp:	TCP
 * @c:		Connection
 *
 * Does nothing, but with PASST_TCP_ACK=far in the environment: the other answer
 * to the question when a byte is acknowledged, there to be measured
 * (doc/performance.md). No event tells of the far end's ACKs, so the connection
 * is looked at in each turn.
 */
void tcp_lag(struct tcp *tcp, struct tcp_conn *c);

/* --- tcp/input.c: from the guest ---------------------------------------- */

/**
 * tcp_seg_parse() - Header of one segment
 * @tcp:	TCP: counters
 * @p:		Packet
 * @g:		Its group: addresses for the checksum
 * @seg:	Filled
 *
 * Return: false if it is malformed (counted)
 */
bool tcp_seg_parse(struct tcp *tcp, const struct packet *p,
		   const struct packet_group *g, struct tcp_seg *seg);

/**
 * tcp_input() - Segments of an open connection
 * @tcp:	TCP
 * @c:		Connection, past the guest's SYN
 * @g:		Segments
 */
void tcp_input(struct tcp *tcp, struct tcp_conn *c,
	       const struct packet_group *g);

/**
 * tcp_input_held() - Try once more to hand on what is held, and next
 * @tcp:	TCP
 * @c:		Connection, established
 */
void tcp_input_held(struct tcp *tcp, struct tcp_conn *c);

/* --- tcp/hold.c: what cannot go to the socket yet ------------------------- */

/**
 * tcp_hold() - Keep a copy of bytes, as far as they are in the window
 * @c:		Connection
 * @seq:	Sequence number of the first, not before rcv_nxt
 * @t:		The bytes; passed as far as they were kept, or are already: those
 *		left are beyond the window, or there was no room
 *
 * Return: false if there was none for some inside the window
 */
bool tcp_hold(struct tcp_conn *c, uint32_t seq, struct iov_tail *t);

/**
 * tcp_hold_fin() - Keep a FIN in mind
 * @c:		Connection
 * @seq:	Its sequence number; beyond the window it is not kept
 */
void tcp_hold_fin(struct tcp_conn *c, uint32_t seq);

/**
 * tcp_held_ready() - Is there something to go on with?
 * @c:		Connection
 * @seq:	Number of the next byte, or FIN, wanted
 */
bool tcp_held_ready(const struct tcp_conn *c, uint32_t seq);

/**
 * tcp_held_iov() - Bytes held that follow without a gap
 * @c:		Connection, keeps them
 * @seq:	Number of the next byte wanted, moved behind those found
 * @iov:	Filled; valid until the next call of any other of these functions
 * @max:	Room in @iov
 *
 * Return: buffers
 */
size_t tcp_held_iov(const struct tcp_conn *c, uint32_t *seq, struct iovec *iov,
		    size_t max);

/**
 * tcp_held_drop() - Forget what the socket has taken: all before rcv_nxt
 * @c:		Connection
 */
void tcp_held_drop(struct tcp_conn *c);

/**
 * tcp_held_free() - Forget everything
 * @c:		Connection
 */
void tcp_held_free(struct tcp_conn *c);

/**
 * tcp_held_sack() - SACK option of an ACK (RFC 2018 4)
 * @c:		Connection
 * @nth:	Of several ACKs in a row: each tells of other bytes
 * @p:		Filled, room for the longest, TCP_OPTS_MAX
 *
 * Return: bytes, a multiple of 4, 0 if there is nothing to tell
 */
size_t tcp_held_sack(const struct tcp_conn *c, unsigned nth, uint8_t *p);

/* --- tcp/timer.c ---------------------------------------------------------- */

/**
 * tcp_timer_arm() - Arm the deadline that the state asks for
 * @tcp:	TCP
 * @c:		Connection
 */
void tcp_timer_arm(struct tcp *tcp, struct tcp_conn *c);

/**
 * tcp_timer_restart() - Progress was made: the present deadline begins anew
 * @tcp:	TCP
 * @c:		Connection
 */
static inline void tcp_timer_restart(struct tcp *tcp, struct tcp_conn *c)
{
	c->retries = 0;
	c->base = tcp_now(tcp);
}

#endif /* TCP_CONN_H */
