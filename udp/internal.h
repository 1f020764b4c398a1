/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of UDP share: flows, the sender, the way to the tap, errors */
#ifndef UDP_INTERNAL_H
#define UDP_INTERNAL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "fwd.h"
#include "lib/inany.h"
#include "lib/iov.h"
#include "udp.h"

/* Datagrams read or sent by one system call */
#define UDP_BATCH 64

/* Batches read from one socket before others have their turn */
#define UDP_ROUNDS 4

/* Largest payload of any datagram, and what fits IPv4 (RFC 768, RFC 791) */
#define UDP_PAYLOAD_MAX 65535

struct udp_link {
	uint32_t prev, next;
};

/**
 * struct udp_flow - Pseudo-connection between two sides
 * @f:		Common head
 * @fd:		Socket of each side, -1: the tap, or see @listener
 * @last:	Time of the last datagram, ms
 * @lru:	Place among the flows by use
 * @wait:	Place among those that wait for the tap
 * @listener:	Forwarding listener of a flow that began there, which also sends
 *		for side INISIDE if that has no socket; FLOW_NONE: none
 * @scope:	Interface of a link-local peer of the socket side
 * @room:	Payload bytes worth reserving for a datagram to the tap
 * @seg:	Size that all datagrams of the last batch to the tap had, or 0
 * @want:	Datagrams worth reserving frames for
 * @ttl, @tos:	As set on the socket, @ttl 0: not set yet
 * @seen:	Datagrams from each side, stops at UDP_SEEN_STREAM
 * @pending:	Sides that have more to read, a bit each
 * @unconnected: Multicast or broadcast: answers may come from anybody
 * @no_gso:	The path refused UDP_SEGMENT
 * @young:	The listener may hold older datagrams than our socket
 * @listen6:	The listener is an IPv6 socket
 * @waiting:	In the list of those that wait for the tap
 */
struct udp_flow {
	struct flow f;
	int fd[2];
	uint64_t last;
	struct udp_link lru, wait;
	uint32_t listener;
	uint32_t scope;
	uint16_t room, seg;
	uint8_t want;
	uint8_t ttl, tos;
	uint8_t seen[2];
	uint8_t pending;
	bool unconnected, no_gso, young, listen6, waiting;
};

_Static_assert(sizeof(struct udp_flow) <= FLOW_SLOT, "flow fits its slot");

/* Datagrams each way that make a stream of a flow (longer timeout) */
#define UDP_SEEN_STREAM 2

/* First guesses of @room and @want */
#define UDP_ROOM_MIN 2048
#define UDP_WANT_MIN 4

/**
 * struct udp_dgram - A datagram read from a socket
 * @src, @sport: Who sent it
 * @dst:	Destination it carried, unspecified if not known
 * @local:	Our unicast address there: @dst unless that is a group's
 * @scope:	Interface it came by, 0 if not known
 * @v6:		It came through an IPv6 socket
 * @buf:	Payload
 * @len:	Bytes
 */
struct udp_dgram {
	union inany_addr src, dst, local;
	in_port_t sport;
	uint32_t scope;
	bool v6;
	uint8_t *buf;
	size_t len;
};

/* --- udp/flow.c: life of flows --- */

/**
 * udp_flow_from_tap() - New flow begun by the guest
 * @u:		UDP
 * @tap:	Its side
 * @err:	Filled with a positive errno value worth telling the guest, or 0
 *
 * Return: flow, NULL if there is none to be had (counted)
 */
struct udp_flow *udp_flow_from_tap(struct udp *u, const struct flowside *tap,
				   int *err);

/**
 * udp_flow_from_listener() - New flow begun by somebody at a listener
 * @u:		UDP
 * @id:		Listener
 * @ini:	Side of the peer
 * @d:		First datagram
 *
 * Return: flow, NULL if the datagram has been dealt with or dropped (counted)
 */
struct udp_flow *udp_flow_from_listener(struct udp *u, uint32_t id,
					const struct flowside *ini,
					const struct udp_dgram *d);

/**
 * udp_flow_touch() - Datagrams went through: live on, be the last to be evicted
 * @u:		UDP
 * @f:		Flow
 * @side:	Where they came from
 * @n:		How many
 */
void udp_flow_touch(struct udp *u, struct udp_flow *f, unsigned side,
		    unsigned n);

/**
 * udp_flow_wait() - Stop reading until the tap is ready
 * @u:		UDP
 * @f:		Flow
 */
void udp_flow_wait(struct udp *u, struct udp_flow *f);

/**
 * udp_lru_add() - Append a flow to the list of those in use, by its sockets
 * @u:		UDP
 * @f:		Flow, in no such list
 */
void udp_lru_add(struct udp *u, struct udp_flow *f);

/**
 * udp_scope() - Interface for link-local addresses and groups on the host
 * @u:		UDP
 * @a:		Address
 */
uint32_t udp_scope(const struct udp *u, const union inany_addr *a);

/* --- udp/open.c: sockets of flows --- */

/**
 * udp_open_host() - Socket for what the guest begins
 * @u:		UDP
 * @f:		Flow, side TGTSIDE filled; told whether it is connected
 *
 * Keeps the guest's source port if it can be had.
 *
 * Return: descriptor, or -errno
 */
int udp_open_host(struct udp *u, struct udp_flow *f);

/**
 * udp_open_peer() - Socket that takes over a peer from a listener
 * @u:		UDP
 * @f:		Flow, side INISIDE filled
 * @local:	Our unicast address there
 *
 * Return: descriptor, or -errno
 */
int udp_open_peer(struct udp *u, const struct udp_flow *f,
		  const union inany_addr *local);

/**
 * udp_open_target() - Socket towards the target of a spliced flow
 * @u:		UDP
 * @f:		Flow, side TGTSIDE filled
 *
 * Return: descriptor, or -errno
 */
int udp_open_target(struct udp *u, const struct udp_flow *f);

/**
 * udp_is_ours() - Is it an address of this host?
 * @a:		Address
 * @scope:	Interface, if it is link-local
 */
bool udp_is_ours(const union inany_addr *a, uint32_t scope);

/* --- udp/send.c: datagrams to sockets --- */

/**
 * udp_send_begin() - Start a run of datagrams to one side of a flow
 * @u:		UDP
 * @f:		Flow
 * @side:	Where they go: a side with a socket, or the listener's
 */
void udp_send_begin(struct udp *u, struct udp_flow *f, unsigned side);

/**
 * udp_send_add() - One datagram; may be kept until udp_send_flush()
 * @payload:	Bytes, borrowed until then
 */
void udp_send_add(const struct iov_tail *payload);

/**
 * udp_send_flush() - Send what was kept
 */
void udp_send_flush(void);

/* --- udp/totap.c: datagrams to frames --- */

/**
 * udp_tap_datagram() - Send one datagram to the guest, in fragments if need be
 * @u:		UDP
 * @tap:	The guest's side
 * @src:	Source to show instead of @tap's, may be NULL
 * @sport:	Its port
 * @buf:	Payload
 * @len:	Bytes
 *
 * Return: false if the tap is blocked (dropped, counted)
 */
bool udp_tap_datagram(struct udp *u, const struct flowside *tap,
		      const union inany_addr *src, in_port_t sport,
		      const uint8_t *buf, size_t len);

/**
 * udp_tap_read() - Read what a flow's socket has into frames
 * @u:		UDP
 * @f:		Flow with a side on the tap
 * @all:	Until there is nothing, else a short read will do
 *
 * Goes on in the next turn, or when the tap is ready, if there is more.
 */
void udp_tap_read(struct udp *u, struct udp_flow *f, bool all);

/* --- udp/recv.c: datagrams from sockets to buffers --- */

/**
 * udp_recv() - Read a batch of datagrams
 * @fd:		Socket
 * @d:		Filled, UDP_BATCH entries; buffers valid until the next call
 *
 * Return: datagrams read, or -errno
 */
int udp_recv(int fd, struct udp_dgram *d);

/**
 * udp_buf() - Buffer of UDP_PAYLOAD_MAX + 1 bytes that udp_recv() uses
 * @i:		Which, less than UDP_BATCH
 */
uint8_t *udp_buf(unsigned i);

/**
 * udp_parse() - Take addresses out of a message received
 * @m:		Message with name and control data
 * @d:		Filled but for buf and len; without a source, src is unspecified
 */
void udp_parse(struct msghdr *m, struct udp_dgram *d);

/* Control data of a datagram: PKTINFO of both families, with room to spare */
#define UDP_CTL_LEN 128

/* --- udp/err.c: errors --- */

/**
 * udp_err_drain() - Report what the error queue of a socket holds
 * @u:		UDP
 * @f:		Flow
 * @side:	Side of the socket
 *
 * Return: errors found
 */
unsigned udp_err_drain(struct udp *u, struct udp_flow *f, unsigned side);

/**
 * udp_err_listener() - The same for a listener: flows that send through it
 * @u:		UDP
 * @id:		Listener
 *
 * Return: errors found
 */
unsigned udp_err_listener(struct udp *u, uint32_t id);

/**
 * udp_err_local() - The kernel refused a datagram of the guest
 * @u:		UDP
 * @tap:	The guest's side
 * @err:	Positive errno value
 * @payload:	Of the datagram
 */
void udp_err_local(struct udp *u, const struct flowside *tap, int err,
		   const struct iov_tail *payload);

/* --- udp.c --- */

/**
 * udp_from_listener() - Forward a datagram that came by a listener, or by the
 *			 socket of a flow before that was connected
 * @u:		UDP
 * @id:		Listener
 * @d:		Datagram
 */
void udp_from_listener(struct udp *u, uint32_t id, const struct udp_dgram *d);

/**
 * udp_listen_read() - Forward what a listener holds
 * @u:		UDP
 * @id:		Listener
 * @rounds:	Batches at most
 */
void udp_listen_read(struct udp *u, uint32_t id, unsigned rounds);

/**
 * udp_catch_up() - Forward what the listener holds from before our socket
 * @u:		UDP
 * @f:		Flow; at most once for each
 */
void udp_catch_up(struct udp *u, struct udp_flow *f);

/**
 * udp_shown() - Who the guest is to see as sender
 * @u:		UDP
 * @tap:	Its side of the flow
 * @src:	Who it is on the host's side
 * @sport:	Port there
 * @shown:	Filled
 *
 * Return: false if there is nothing that could be shown on the tap
 */
bool udp_shown(const struct udp *u, const struct flowside *tap,
	       const union inany_addr *src, in_port_t sport,
	       union inany_addr *shown);

/* --- udp/splice.c --- */

/**
 * udp_splice_read() - Move datagrams from one side of a spliced flow to the other
 * @u:		UDP
 * @f:		Flow
 * @side:	Side to read
 */
void udp_splice_read(struct udp *u, struct udp_flow *f, unsigned side);

/**
 * udp_splice_datagram() - Send one datagram, read elsewhere, to a side
 * @u:		UDP
 * @f:		Flow
 * @side:	Side to send to
 * @d:		Datagram
 */
void udp_splice_datagram(struct udp *u, struct udp_flow *f, unsigned side,
			 const struct udp_dgram *d);

#endif /* UDP_INTERNAL_H */
