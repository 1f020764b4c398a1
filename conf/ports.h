/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The language of -t, -u, -T, -U: a pure parser from text to rules */
#ifndef CONF_PORTS_H
#define CONF_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fwd.h"

#define PORTS_ERR_MAX 512 /* message with its NUL */

/**
 * struct ports_env - What a specifier is read against
 * @proto:	IPPROTO_TCP, IPPROTO_UDP
 * @pif:	Where we listen: PIF_HOST, PIF_SPLICE (no addresses there)
 * @v4, @v6:	Families in use
 * @auto_ok:	There is a namespace whose ports can be looked at
 * @eph_first, @eph_last: Ephemeral ports of the host, left out of `all`
 */
struct ports_env {
	uint8_t proto;
	uint8_t pif;
	bool v4, v6;
	bool auto_ok;
	in_port_t eph_first, eph_last;
};

/**
 * ports_parse() - Add the rules of a specifier
 * @rules:	Rules so far, of the same pif; as they were on failure
 * @env:	Surroundings
 * @spec:	Text, see conf/ports.c for the grammar
 * @msg:	On failure, what is wrong: one line, at least PORTS_ERR_MAX bytes
 *
 * Return: 0, -EINVAL for a wrong specifier, -EEXIST for a rule in conflict
 *	   with another, -ENOSPC if there are too many
 */
int ports_parse(struct fwd_rules *rules, const struct ports_env *env,
		const char *spec, char *msg);

/**
 * ports_ifname_ok() - Can this be the name of an interface?
 * @name:	Text
 *
 * 1..15 bytes, no slash or blank, not "." or "..": dev_valid_name() of Linux.
 */
bool ports_ifname_ok(const char *name);

#endif /* CONF_PORTS_H */
