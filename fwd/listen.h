/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listening sockets of one port of a rule: for start-up and for port scans */
#ifndef FWD_LISTEN_H
#define FWD_LISTEN_H

#include <netinet/in.h>
#include <stdint.h>

struct fwd;
struct fwd_rule;
struct port_set;

/**
 * fwd_listener_open() - Bind one port of a rule and watch it
 * @fwd:	Forwarding
 * @rule:	Rule, stays where it is while there are listeners of it
 * @port:	Port from its range
 *
 * For rules on PIF_SPLICE to be called inside the namespace, see netns_call().
 * Neither waits nor prints.
 *
 * Return: number of sockets (two where no single one does), or -errno
 */
int fwd_listener_open(struct fwd *fwd, const struct fwd_rule *rule,
		      in_port_t port);

/**
 * fwd_listener_close() - Stop listening on one port of a rule
 * @fwd:	Forwarding
 * @rule:	Rule
 * @port:	Port
 *
 * Return: number of sockets closed
 */
int fwd_listener_close(struct fwd *fwd, const struct fwd_rule *rule,
		       in_port_t port);

/**
 * fwd_listener_close_auto() - Stop listening on ports of automatic rules
 * @fwd:	Forwarding
 * @pif:	Where the rules listen
 * @proto:	IPPROTO_TCP, IPPROTO_UDP
 * @ports:	Ports
 *
 * Return: number of sockets closed
 */
int fwd_listener_close_auto(struct fwd *fwd, uint8_t pif, uint8_t proto,
			    const struct port_set *ports);

#endif /* FWD_LISTEN_H */
