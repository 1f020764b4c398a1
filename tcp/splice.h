/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP between two sockets, loopback to loopback, without the guest's link */
#ifndef TCP_SPLICE_H
#define TCP_SPLICE_H

#include <stdbool.h>

#include "flow.h"

struct tcp;

/**
 * tcp_splice_init() - Look up, before the loop, how many pipes may be kept
 */
void tcp_splice_init(void);

/**
 * tcp_splice_new() - Connect an accepted connection to its target
 * @tcp:	TCP
 * @fd:		Accepted socket, non-blocking, with TCP_NODELAY from its
 *		listener; taken over in any case
 * @from:	Where it was accepted
 * @to:		PIF_HOST or PIF_SPLICE, from fwd_from_listener()
 * @ini:	Addresses of @fd
 * @tgt:	Where to connect, from fwd_from_listener()
 *
 * Return: false if that cannot even be tried; then the peer has been reset
 */
bool tcp_splice_new(struct tcp *tcp, int fd, enum pif from, enum pif to,
		    const struct flowside *ini, const struct flowside *tgt);

#endif /* TCP_SPLICE_H */
