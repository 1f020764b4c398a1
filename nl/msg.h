/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink messages: build, send, collect, take apart; for nl/ only */
#ifndef NL_MSG_H
#define NL_MSG_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nl.h"

/* Largest datagram from the kernel: dumps come in pieces of 32 KiB at most */
#define NL_RX_MAX 65536

/* Request under construction; an attribute too many makes it invalid */
struct nl_msg {
	struct nlmsghdr hdr;
	char body[1008]; /* family header and attributes, right behind @hdr */
	bool overflow;
};

/**
 * struct nl_dump - Answer to a dump request, in memory mapped for it
 * @base:	Messages, each aligned, or NULL
 * @len:	Bytes in use
 * @cap:	Bytes mapped
 *
 * Zeroed is valid and empty. May be used for another dump; the end is
 * nl_dump_free().
 */
struct nl_dump {
	char *base;
	size_t len, cap;
};

/* Several requests in one system call */
#define NL_BATCH_MAX 64 /* their answers must fit the receive buffer */
struct nl_batch {
	unsigned n;
	size_t len;
	int rc[NL_BATCH_MAX]; /* after nl_batch_run(): 0 or -errno of each */
	_Alignas(NLMSG_ALIGNTO) char buf[32768];
};

/**
 * nl_open_family() - nl_open() for another netlink family than that of routes
 * @nl:		Filled; close with nl_close()
 * @family:	NETLINK_SOCK_DIAG, ...
 *
 * Return: 0, or -errno
 */
int nl_open_family(struct nl_sock *nl, int family);

/**
 * nl_msg_init() - Start a request
 * @msg:	Filled
 * @type:	RTM_...
 * @flags:	NLM_F_... besides NLM_F_REQUEST
 * @body:	Family header: struct ifinfomsg, rtmsg, ...
 * @len:	Size of it
 */
void nl_msg_init(struct nl_msg *msg, uint16_t type, uint16_t flags,
		 const void *body, size_t len);

/**
 * nl_msg_put() - Append an attribute
 * @msg:	Request
 * @type:	RTA_..., IFA_..., ...
 * @data:	Payload
 * @len:	Size of it
 */
void nl_msg_put(struct nl_msg *msg, uint16_t type, const void *data,
		size_t len);
void nl_msg_put_u32(struct nl_msg *msg, uint16_t type, uint32_t val);

/* Address as 4 or 16 bytes, by its own family */
void nl_msg_put_addr(struct nl_msg *msg, uint16_t type,
		     const union inany_addr *addr);

/**
 * nl_msg_nest() - Open a nested attribute
 * @msg:	Request
 * @type:	Attribute
 *
 * Return: mark for nl_msg_nest_end(), which closes it
 */
size_t nl_msg_nest(struct nl_msg *msg, uint16_t type);
void nl_msg_nest_end(struct nl_msg *msg, size_t mark);

/**
 * nl_request() - Have the kernel do something
 * @nl:		Socket
 * @msg:	Request
 *
 * Return: 0, or -errno of the kernel or of the conversation
 */
int nl_request(struct nl_sock *nl, struct nl_msg *msg);

/**
 * nl_get() - Ask for one object
 * @nl:		Socket
 * @msg:	Request
 *
 * Return: 0 and in @reply a message valid until the next request on any
 *	   socket, or -errno
 */
int nl_get(struct nl_sock *nl, struct nl_msg *msg,
	   const struct nlmsghdr **reply);

/**
 * nl_dump() - Ask for all objects of a kind
 * @nl:		Socket
 * @msg:	Request
 * @dump:	Filled
 *
 * What changes while it is read is read again, a few times.
 *
 * Return: 0, or -errno
 */
int nl_dump(struct nl_sock *nl, struct nl_msg *msg, struct nl_dump *dump);
void nl_dump_free(struct nl_dump *dump);

/**
 * nl_dump_next() - Walk through a dump
 * @dump:	Collected messages
 * @off:	Position, 0 at first
 *
 * Return: next message, of the dump and writable, NULL at the end
 */
struct nlmsghdr *nl_dump_next(const struct nl_dump *dump, size_t *off);

/**
 * nl_batch_add() - One more request into a batch
 * @batch:	Batch, zeroed at first
 * @msg:	Request, not one that overflowed
 *
 * Return: false if there is no room; run the batch and add again
 */
bool nl_batch_add(struct nl_batch *batch, const struct nl_msg *msg);

/**
 * nl_batch_run() - Send all requests, wait for all answers
 * @nl:		Socket
 * @batch:	Batch; @rc filled for each, to be emptied by the caller
 *		(@n = @len = 0)
 */
void nl_batch_run(struct nl_sock *nl, struct nl_batch *batch);

/**
 * nl_send_msg() - Number a request and send it
 * @nl:		Socket
 * @msg:	Request
 *
 * Return: 0, or -errno
 */
int nl_send_msg(struct nl_sock *nl, struct nl_msg *msg);

/**
 * nl_result() - Result in NLMSG_ERROR and NLMSG_DONE
 * @h:		Message
 *
 * Return: 0 or -errno, 0 if there is no room for one; -EBADMSG if it is neither
 */
int nl_result(const struct nlmsghdr *h);

/**
 * nl_recv() - One datagram from the kernel
 * @nl:		Socket
 * @buf:	Filled
 * @size:	Size of it
 *
 * Return: bytes, -ETIMEDOUT, -EMSGSIZE if it was cut, -ENOBUFS if some were
 *	   lost, or another -errno
 */
ssize_t nl_recv(struct nl_sock *nl, void *buf, size_t size);

/**
 * nl_walk() - Next message of a datagram
 * @buf:	Datagram
 * @len:	Its length
 * @off:	Position, 0 at first
 * @h:		Set to the message, which is whole
 *
 * Return: 1, 0 at the end, -EBADMSG if a length is wrong
 */
int nl_walk(void *buf, size_t len, size_t *off, struct nlmsghdr **h);

/**
 * nl_body() - Family header of a message
 * @h:		Message
 * @len:	Size of the header
 *
 * Return: header, NULL if the message is too short for it
 */
const void *nl_body(const struct nlmsghdr *h, size_t len);

/**
 * nl_attrs() - Sort attributes by type
 * @tb:		Filled with @max + 1 pointers, NULL for those not there
 * @max:	Highest type of interest
 * @p:		Attributes
 * @len:	Bytes of them
 *
 * Return: 0, -EBADMSG if a length is wrong
 */
int nl_attrs(const struct rtattr **tb, unsigned max, const void *p, size_t len);

/* The same for those after the family header of a message */
int nl_msg_attrs(const struct rtattr **tb, unsigned max,
		 const struct nlmsghdr *h, size_t body);

/* Payload, @def or false if the attribute is not there or too short */
uint32_t nl_attr_u32(const struct rtattr *rta, uint32_t def);
bool nl_attr_addr(const struct rtattr *rta, sa_family_t af,
		  union inany_addr *addr);

#endif /* NL_MSG_H */
