/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest without a machine, for tests of UDP: datagrams in, datagrams out */
#ifndef FAKE_UDP_ENV_H
#define FAKE_UDP_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fwd.h"
#include "guest.h"
#include "loop.h"
#include "netns.h"
#include "tap.h"
#include "test/fake/env.h"
#include "test/fake/tap_mem.h"
#include "udp.h"

/* More of the host's addresses, on its loopback device like the others */
#define PEER4B "198.51.100.2"
#define PEER6B "2001:db8:1::2"

#define ENV_FLOWS 64

/* One instance of UDP with all that it needs */
struct udp_env {
	struct loop loop;
	struct flow_table flows;
	struct tap tap;
	struct guest guest;
	struct fwd_opts opts;
	struct fwd fwd;
	struct netns netns;
	struct sock_features features;
	struct udp udp;
	int host_ns; /* the namespace that plays the host */
};

/* A datagram that came out of the tap, reassembled if it was fragmented */
struct udp_env_dgram {
	union inany_addr src, dst;
	in_port_t sport, dport;
	uint8_t proto, ttl;
	uint16_t gso_size;
	unsigned frames; /* that it took */
	const uint8_t *payload;
	size_t len;
};

extern struct udp_env udp_env;

/**
 * udp_env_start() - New network namespaces, addresses, everything set up
 *
 * Call once in a process. Return: 0 for use as a group setup of cmocka
 */
int udp_env_start(void **state);

/**
 * udp_env_reset() - Close flows, forget frames, options back to the beginning
 */
int udp_env_reset(void **state);

/**
 * udp_env_netns_call() - Stands in for netns_call(): this thread goes there and back
 *
 * Programs define netns_call() by it, and pcap_write() to do nothing: a library
 * that has the real ones as well must not be asked for them.
 */
int udp_env_netns_call(struct netns *ns, int (*fn)(void *arg), void *arg);

/**
 * udp_env_socket() - A socket of the host
 * @addr:	Bound to
 * @port:	Likewise, 0: any
 *
 * Return: descriptor, non-blocking; closed by udp_env_close() or udp_env_reset()
 */
int udp_env_socket(const char *addr, in_port_t port);

/**
 * udp_env_close() - Close a socket from udp_env_socket() or udp_env_ns_socket()
 */
void udp_env_close(int fd);

/**
 * udp_env_ns_socket() - The same in the namespace that is spliced to
 */
int udp_env_ns_socket(const char *addr, in_port_t port);

/**
 * udp_env_port() - Port a socket is bound to
 */
in_port_t udp_env_port(int fd);

/**
 * udp_env_rule() - Listen
 * @pif:	PIF_HOST or PIF_SPLICE
 * @addr:	Bound to, NULL: any of both families
 * @port:	Port
 * @to:		Port it is forwarded to
 */
void udp_env_rule(enum pif pif, const char *addr, in_port_t port, in_port_t to);

/* A datagram of the guest, see udp_env_guest_sends() */
struct udp_env_send {
	const char *src, *dst;
	in_port_t sport, dport;
	uint8_t ttl, tos;
	unsigned n;        /* datagrams, 0: one */
	uint16_t gso_size; /* the packet is to be cut */
	size_t last;       /* payload of the last one, 0: like the others */
};

/**
 * udp_env_guest_sends() - Give datagrams of the guest to UDP as one group
 * @s:		Addresses and more; src may be NULL
 * @payload:	Payload; its first byte is counted up from one to the next
 * @len:	Bytes, at most 65535
 */
void udp_env_guest_sends(const struct udp_env_send *s, const void *payload,
			 size_t len);

/**
 * udp_env_guest_raw() - Give one L4 packet as it is
 * @s:		Addresses
 * @l4:		UDP header and payload
 * @len:	Bytes
 */
void udp_env_guest_raw(const struct udp_env_send *s, const void *l4,
		       size_t len);

/**
 * udp_env_turns() - Let the loop run until nothing happens
 */
void udp_env_turns(void);

/**
 * udp_env_recv() - Receive on a socket, letting the loop run meanwhile
 * @fd:		Socket
 * @buf:	Filled
 * @len:	Size
 * @from:	Filled with the sender, may be NULL
 * @port:	Its port, may be NULL
 *
 * Return: bytes, -1 if nothing came in a second
 */
ssize_t udp_env_recv(int fd, void *buf, size_t len, union inany_addr *from,
		     in_port_t *port);

/**
 * udp_env_send_to() - Send from a socket
 * @fd:		Socket
 * @addr:	Destination
 * @port:	Likewise
 * @buf:	Payload
 * @len:	Bytes
 */
void udp_env_send_to(int fd, const char *addr, in_port_t port, const void *buf,
		     size_t len);

/**
 * udp_env_guest_gets() - Next datagram for the guest, letting the loop run
 * @d:		Filled; payload valid until the next call
 *
 * Fails the test if a checksum is wrong. Return: false if nothing came in a
 * second
 */
bool udp_env_guest_gets(struct udp_env_dgram *d);

/**
 * udp_env_forget() - Forget frames: there is room for TAP_MEM_FRAMES of them
 */
void udp_env_forget(void);

/**
 * udp_env_guest_gets_nothing() - Is there no datagram for the guest?
 */
bool udp_env_guest_gets_nothing(void);

#endif /* FAKE_UDP_ENV_H */
