/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The target namespace: code run inside it, a pool of its sockets */
#ifndef NETNS_H
#define NETNS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct loop;

/* Sockets of the namespace kept ready, for each family: at most, and not more
 * than this part of the limit of descriptors
 */
#define NETNS_POOL      32
#define NETNS_POOL_PART 16

/**
 * struct netns - Target namespace of pasta
 * @fd:		Namespace descriptor (nsfs)
 * @request, @reply: Pipes of the thread that lives in the namespace, -1 if it
 *		has not been started
 * @pool4, @pool6: TCP sockets ready for use
 * @n4, @n6:	How many
 * @max:	How many there should be
 * @ipv6:	IPv6 sockets can be made there
 */
struct netns {
	int fd;
	int request[2], reply[2];
	int pool4[NETNS_POOL], pool6[NETNS_POOL];
	unsigned n4, n6, max;
	bool ipv6;
};

/**
 * netns_init() - Nothing is open yet
 * @ns:		Namespace
 */
void netns_init(struct netns *ns);

/**
 * netns_call() - Run a function inside the namespace and wait for it
 * @ns:		Namespace
 * @fn:		Function; descriptors it opens are everybody's
 * @arg:	Its argument
 *
 * Before netns_start() in a thread made for the call, which has the caller's
 * capabilities and is gone on return; afterwards in the resident thread, which
 * has CAP_NET_BIND_SERVICE at most. @fn must not call netns functions.
 *
 * Return: what @fn returned, or -errno if it could not be run: -EPERM if the
 *	   namespace may not be entered
 */
int netns_call(struct netns *ns, int (*fn)(void *arg), void *arg);

/**
 * netns_start() - Start the resident thread, see which sockets it can make
 * @ns:		Namespace
 *
 * The pool is left to netns_refill(), which is to be called once nobody waits.
 * After isolation_prefork() and the fork, before isolation_postfork() and the
 * system call filter.
 *
 * Return: 0, or -errno after a message
 */
int netns_start(struct netns *ns);

/**
 * netns_socket() - A TCP socket of the namespace, non-blocking
 * @ns:		Namespace
 * @af:		AF_INET or AF_INET6
 *
 * From the pool if there is one. Return: descriptor, the caller's, or -errno
 */
int netns_socket(struct netns *ns, sa_family_t af);

/**
 * netns_refill() - Fill up the pool if it is less than half full
 * @ns:		Namespace
 *
 * Called at the end of a turn of the loop.
 */
void netns_refill(struct netns *ns);

#endif /* NETNS_H */
