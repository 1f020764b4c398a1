/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bound sockets of a namespace, from the text of /proc/net */
#ifndef FWD_PROCNET_H
#define FWD_PROCNET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "nl.h"

/**
 * struct procnet - Files of a namespace
 * @tcp, @udp:	IPv4, IPv6; -1: not to be had
 */
struct procnet {
	int tcp[2], udp[2];
};

/**
 * procnet_open() - Open those of the namespace we are in now
 * @p:		Filled; close with procnet_close()
 *
 * Return: 0, or -errno if there are none. IPv6 may be missing
 */
int procnet_open(struct procnet *p);

/* Close the files */
void procnet_close(struct procnet *p);

/**
 * procnet_line() - One line of /proc/net/{tcp,udp}{,6}
 * @line:	Text, ended by NUL
 * @state:	Filled with the state of the socket (TCP_LISTEN, TCP_CLOSE, ...)
 * @b:		Filled with what it is bound to
 *
 * Return: false if it is not about a socket: the first line, or something else
 */
bool procnet_line(const char *line, unsigned *state, struct nl_bound *b);

/**
 * procnet_bound() - Tell of TCP listeners, or of UDP sockets not connected
 * @p:		From procnet_open()
 * @proto:	IPPROTO_TCP, IPPROTO_UDP
 * @first, @last: Ports wanted
 * @fn, @arg:	Called for each, in no order
 *
 * Return: 0, or -errno
 */
int procnet_bound(const struct procnet *p, uint8_t proto, in_port_t first,
		  in_port_t last, nl_bound_fn *fn, void *arg);

#endif /* FWD_PROCNET_H */
