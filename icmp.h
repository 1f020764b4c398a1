/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ICMP and ICMPv6 echo through ping sockets */
#ifndef ICMP_H
#define ICMP_H

#include <stdbool.h>
#include <stdint.h>

#include "ether.h"
#include "flow.h"
#include "loop.h"

struct fwd;
struct tap;

struct icmp_stats {
	uint64_t flows, bad_echo, no_fd, denied, table_full, dropped, evicted;
};

/**
 * struct icmp - Echo of one instance; collaborators filled by the caller
 * @used:	Flows in the order of use
 * @gid:	Our group, as the host numbers it, for messages
 * @denied4, @denied6: Said once that ping sockets are not permitted
 */
struct icmp {
	struct tap *tap;
	struct loop *loop;
	struct flow_table *flows;
	struct fwd *fwd;
	struct flow_list used;
	unsigned gid;
	bool denied4, denied6;
	struct icmp_stats stats;
};

/**
 * icmp_tap_input() - ICMP or ICMPv6 messages from the guest (L4 table row)
 * @ctx:	struct icmp
 * @g:		Messages with the same identifier
 */
void icmp_tap_input(void *ctx, const struct packet_group *g);

/* Handler of the loop: EPOLL_PING; id: flow */
void icmp_sock_event(void *ctx, union epoll_ref ref, uint32_t events);

/* Row of the flow table: FLOW_PING */
void icmp_flow_timer(void *ctx, struct flow *f);
bool icmp_flow_evict(void *ctx, bool fd);

#endif /* ICMP_H */
