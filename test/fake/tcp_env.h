/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest without a machine, for tests of TCP: segments in, segments out
 *
 * The module under test talks to real sockets in a network namespace of its
 * own; the guest's side is a script. Time is what the test says: timers come
 * up only in env_sleep().
 */
#ifndef FAKE_TCP_ENV_H
#define FAKE_TCP_ENV_H

#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fwd.h"
#include "guest.h"
#include "loop.h"
#include "tap.h"
#include "tcp.h"
#include "tcp/conn.h"
#include "test/fake/env.h"
#include "test/fake/tap_mem.h"

/* Routed on the host: swallowed; refused with three errors */
#define HOLE4     "198.51.100.65"
#define UNREACH4  "198.51.100.129"
#define PROHIBIT4 "198.51.100.193"
#define NOROUTE4  "203.0.113.200"
#define HOLE6     "2001:db8:2::1"
#define UNREACH6  "2001:db8:3::1"
#define PROHIBIT6 "2001:db8:4::1"
#define NOROUTE6  "2001:db8:5::1"

#define ENV_FLOWS 32

/* One instance of TCP with all that it needs */
struct tcp_env {
	struct loop loop;
	struct flow_table flows;
	struct tap tap;
	struct guest guest;
	struct fwd_opts opts;
	struct fwd fwd;
	struct sock_features features;
	struct tcp tcp;
	unsigned late; /* frames already looked at */
};
extern struct tcp_env env;

/* A connection as the guest sees it, and the socket at the far end */
struct env_conn {
	const char *guest, *peer;
	in_port_t gport, pport;
	uint32_t isn, snd;  /* of the guest: initial, next to send */
	uint32_t risn, rcv; /* ours: initial, next the guest expects */
	uint16_t wnd;       /* field the guest sends */
	unsigned ws;        /* shift of the window we announce */
	int fd;             /* of the peer */
};

/* A segment of the guest; checksum, addresses and ports are filled in */
struct env_tx {
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t wnd, urg;
	const uint8_t *opts;
	size_t optlen; /* multiple of 4 */
	const void *data;
	size_t len;
	bool bad_csum;
};

/* A segment, or something else, for the guest */
struct env_rx {
	union inany_addr src, dst;
	uint8_t proto;
	in_port_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t wnd;
	const uint8_t *opts;
	size_t optlen;
	const uint8_t *data; /* payload; all of L4 if it is not TCP */
	size_t len;
	uint16_t gso_size;
};

/* Group setup of cmocka: namespace and addresses; test setup: all anew */
int tcp_env_start(void **state);
int tcp_env_reset(void **state);

/* Bytes to send that tell where they belong; there after tcp_env_start() */
#define ENV_PATTERN_LEN (1U << 23)
extern uint8_t env_pattern[ENV_PATTERN_LEN];

/* Descriptors this process has open, as a number to compare with another one */
unsigned env_open_fds(void);

/* Listening socket of the host side, and a non-blocking accept() from it */
int env_listen(const char *addr, in_port_t port);
int env_accept(int listener);

/* Socket that connects to a forwarded port, not waited for */
int env_connect(const char *addr, in_port_t port);

/* Forward a port of the host to the guest; before env_forwards() */
void env_rule(const char *addr, in_port_t port, in_port_t to);
void env_forwards(void);

/* The one flow there is; NULL if there is none */
struct tcp_conn *env_flow(void);

/**
 * env_send() - A batch of segments of the guest
 * @c:		Connection: addresses
 * @tx:		Segments
 * @n:		How many
 */
void env_send(const struct env_conn *c, const struct env_tx *tx, unsigned n);

/* One segment with the connection's numbers and window; moves c->snd */
void env_data(struct env_conn *c, uint8_t flags, const void *data, size_t len);

/* Pure ACK of @ack */
void env_ack(struct env_conn *c, uint32_t ack);

/* One turn of the loop without waiting. Return: events handled */
int env_turn(void);

/* Turns until nothing happens */
void env_turns(void);

/* Wait, in real time, up to a second for something on a socket of the module */
void env_wait(void);

/* Let virtual time pass, timers come up as they are due */
void env_sleep(uint64_t ms);

/**
 * env_get() - Next frame for the guest, checked: lengths, checksums, MTU
 * @rx:		Filled; valid until the next call, or turn
 *
 * Return: false if there is none
 */
bool env_get(struct env_rx *rx);

/* Next frame, letting the loop run for up to a second; must be TCP of @c */
void env_want(const struct env_conn *c, struct env_rx *rx);

/* The same, and it must be a segment of these flags and numbers, no payload */
void env_want_bare(const struct env_conn *c, uint8_t flags, uint32_t seq,
		   uint32_t ack, struct env_rx *rx);

/* No frame at all */
void env_want_none(void);

/* Forget what came out */
void env_drop(void);

/* Window of a segment as the guest understands it */
uint32_t env_window(const struct env_conn *c, const struct env_rx *rx);

/**
 * env_open() - Connection of the guest: SYN, SYN-ACK, ACK
 * @c:		Filled
 * @peer:	Address of the host side, a listener is made and closed
 * @mss:	To announce
 * @ws:		Window scale to offer, -1: none
 * @wnd:	Window field
 */
void env_open(struct env_conn *c, const char *peer, unsigned mss, int ws,
	      uint16_t wnd);

/* Connection of the host to the guest, both handshakes done */
void env_open_host(struct env_conn *c, const char *addr, unsigned mss, int ws,
		   uint16_t wnd);

/* Error pending at the peer: errno value; waits for up to a second */
int env_peer_error(int fd);

/* Exactly so many bytes at the peer within a second, equal to @want */
void env_peer_reads(int fd, const void *want, size_t len);

/* End of data at the peer within a second */
void env_peer_eof(int fd);

#endif /* FAKE_TCP_ENV_H */
