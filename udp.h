/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UDP: datagrams of the guest to sockets of the host and back */
#ifndef UDP_H
#define UDP_H

#include <stdint.h>

#include "ether.h"
#include "flow.h"
#include "loop.h"
#include "sock.h"

struct fwd;
struct netns;
struct tap;

/* Counters */
struct udp_stats {
	uint64_t flows, bad_datagram, no_fd, table_full, ephemeral;
	uint64_t send_failed, tap_blocked, icmp_sent, spliced;
	uint64_t tap_dropped, stray, evicted, errors, fragmented;
	uint64_t no_flow; /* of the guest, for want of one: others say why */
	/* From, to namespace; of datagrams that send_failed counts, too */
	uint64_t splice_rx_bytes, splice_tx_bytes;
};

/* Doubly linked list of flows by index */
struct udp_list {
	uint32_t head, tail;
};

/**
 * struct udp - UDP of one instance
 * @timeout:	Idle life of a flow, ms; 0: from nf_conntrack_udp_timeout
 * @timeout_stream: Idle life once it went both ways, ms; 0: from
 *		nf_conntrack_udp_timeout_stream
 * @lru:	Private. Flows in the order of use: without, with sockets
 * @waiting:	Private. Flows that wait for the tap
 * @reading:	Private. Flow being read, not to be evicted meanwhile;
 *		NULL once it is closed all the same (the guest left)
 *
 * The other members are collaborators, filled by the caller of udp_init().
 */
struct udp {
	struct tap *tap;
	struct loop *loop;
	struct flow_table *flows;
	struct fwd *fwd;
	struct netns *netns;
	const struct sock_features *features;
	uint64_t timeout, timeout_stream;
	struct udp_list lru[2], waiting;
	const struct flow *reading;
	struct udp_stats stats;
};

/**
 * udp_init() - Set up; collaborators in @udp are filled by the caller
 * @udp:	UDP
 *
 * Return: 0, or -errno
 */
int udp_init(struct udp *udp);

/**
 * udp_tap_input() - Datagrams from the guest (row of the L4 table)
 * @ctx:	struct udp
 * @g:		Datagrams of one flow
 */
void udp_tap_input(void *ctx, const struct packet_group *g);

/* Handlers of the loop: EPOLL_UDP, EPOLL_UDP_LISTEN, EPOLL_UDP_SPLICE */
void udp_sock_event(void *ctx, union epoll_ref ref, uint32_t events);
void udp_listen_event(void *ctx, union epoll_ref ref, uint32_t events);
void udp_splice_event(void *ctx, union epoll_ref ref, uint32_t events);

/**
 * udp_tap_ready() - The tap takes frames again (upcall ready)
 * @udp:	UDP: flows that were stopped go on in the next turn
 */
void udp_tap_ready(struct udp *udp);

/* Give everything back; @ctx is struct udp */
void udp_flow_close(void *ctx, struct flow *f);

/* Row of the flow table: FLOW_UDP */
void udp_flow_timer(void *ctx, struct flow *f);
void udp_flow_resume(void *ctx, struct flow *f);
bool udp_flow_evict(void *ctx, bool fd);

#endif /* UDP_H */
