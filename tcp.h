/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP: segments of the guest to sockets of the host and back */
#ifndef TCP_H
#define TCP_H

#include <stdbool.h>
#include <stdint.h>

#include "ether.h"
#include "flow.h"
#include "loop.h"
#include "sock.h"

struct fwd;
struct netns;
struct tap;

/* Counters */
struct tcp_stats {
	uint64_t opened_tap, opened_host, refused, reset_in, reset_out;
	uint64_t bad_segment, bad_csum, bad_ack, out_of_window, challenge;
	uint64_t retransmit, fast_retransmit, probes, keepalives;
	uint64_t partial_send, no_flow, no_fd, table_full, evicted;
	uint64_t spliced;
	uint64_t splice_rx_bytes, splice_tx_bytes; /* from, to namespace */
	uint64_t early;        /* while the far end has not answered */
	uint64_t out_of_order; /* what is before it was missing */
	uint64_t not_held;     /* no room to keep it, in the window */
	uint64_t seen_before;  /* payload that was there already */
	uint64_t unserved;     /* accepted, reset: could not be handed on */
};

/**
 * struct tcp - TCP of one instance
 * @tap:	Link to the guest
 * @loop:	Event loop
 * @flows:	Flow table
 * @fwd:	Forwarding
 * @netns:	Target namespace for spliced connections, NULL for none
 * @features:	Of the kernel
 * @syn_retries: SYNs repeated towards the guest
 * @opening:	Flows not established yet: to be given up if others need room
 * @blocked:	Flows that wait for the tap, all of them past opening
 * @stats:	Counters
 */
struct tcp {
	struct tap *tap;
	struct loop *loop;
	struct flow_table *flows;
	struct fwd *fwd;
	struct netns *netns;
	const struct sock_features *features;
	unsigned mtu;
	unsigned syn_retries;
	bool ack_far; /* measuring: see tcp_lag() in tcp/conn.h */
	struct siphash_key isn_key;
	int spare_fd; /* kept back to answer when descriptors run out */
	struct flow_list opening, blocked;
	/* Connections with much in flight: in the span of time that is, and in
	 * the one before; see tcp_note_bulk() in tcp/conn.h
	 */
	unsigned bulk_now, bulk;
	uint64_t bulk_span;
	struct tcp_stats stats;
};

/**
 * tcp_init() - Set up; collaborators in @tcp are filled by the caller
 * @tcp:	TCP
 *
 * Return: 0, or -errno
 */
int tcp_init(struct tcp *tcp);

/**
 * tcp_tap_input() - Segments from the guest (row of the L4 table)
 * @ctx:	struct tcp
 * @g:		Segments of one connection
 */
void tcp_tap_input(void *ctx, const struct packet_group *g);

/**
 * tcp_tap_ready() - The tap takes frames again: go on with blocked flows
 * @tcp:	TCP
 */
void tcp_tap_ready(struct tcp *tcp);

/* Handlers of the loop: EPOLL_TCP, EPOLL_TCP_LISTEN, EPOLL_TCP_SPLICE */
void tcp_sock_event(void *ctx, union epoll_ref ref, uint32_t events);
void tcp_listen_event(void *ctx, union epoll_ref ref, uint32_t events);
void tcp_splice_event(void *ctx, union epoll_ref ref, uint32_t events);

/* Give everything back, both ends see a reset; @ctx is struct tcp */
void tcp_flow_close(void *ctx, struct flow *f);

/* Rows of the flow table: FLOW_TCP and FLOW_TCP_SPLICE */
void tcp_flow_timer(void *ctx, struct flow *f);
void tcp_flow_resume(void *ctx, struct flow *f);
const char *tcp_flow_state(const struct flow *f); /* name of it, FLOW_TCP */
bool tcp_flow_evict(void *ctx, bool fd);
void tcp_splice_flow_timer(void *ctx, struct flow *f);
void tcp_splice_flow_resume(void *ctx, struct flow *f);

#endif /* TCP_H */
