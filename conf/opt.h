/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Internal to conf: rows of the option table and what handlers share */
#ifndef CONF_OPT_H
#define CONF_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"

/* Where an option belongs, and whether conf_early() is to handle it */
#define IN_PASST 1u
#define IN_PASTA 2u
#define IN_BOTH  (IN_PASST | IN_PASTA)
#define EARLY    4u

struct conf_opt;

/**
 * conf_set_fn - Handler of an option
 * @c:		Configuration being filled
 * @o:		Row of the option
 * @val:	Value, NULL if the option takes none
 *
 * Does not return if the value is wrong.
 */
typedef void conf_set_fn(struct conf *c, const struct conf_opt *o,
			 const char *val);

/**
 * struct conf_opt - One option
 * @name:	Long name without dashes
 * @letter:	Short name, 0: none. Two rows with the same letter are names of
 *		the same option.
 * @modes:	IN_PASST, IN_PASTA; EARLY: conf_parse() passes over it
 * @off:	Member of struct conf it fills, for the handlers of plain kinds
 * @arg:	Name of its argument, NULL: takes none
 * @set:	Handler
 * @help:	Text for the usage, lines separated by newlines; NULL: not shown
 */
struct conf_opt {
	const char *name;
	char letter;
	uint8_t modes;
	uint16_t off;
	const char *arg;
	conf_set_fn *set;
	const char *help;
};

/* The table, ended by a row without name */
extern const struct conf_opt conf_opts[];

/**
 * conf_opt_short() - Look up by letter
 * @letter:	Short name
 *
 * Return: row, NULL if there is none
 */
const struct conf_opt *conf_opt_short(char letter);

/**
 * conf_opt_long() - Look up by name or unique prefix of it
 * @name:	Start of the name
 * @len:	Bytes of it
 * @ambiguous:	Set to whether several options begin like that
 *
 * Return: row, NULL if there is none or it is ambiguous
 */
const struct conf_opt *conf_opt_long(const char *name, size_t len,
				     bool *ambiguous);

/**
 * conf_bad() - Refuse a value: one line, exit status 1
 * @o:		Option
 * @val:	What was given
 * @what:	Beginning of the message, such as "Invalid MTU"
 * @want:	What would have been right, such as "a number from 1 to 9"
 */
_Noreturn void conf_bad(const struct conf_opt *o, const char *val,
			const char *what, const char *want);

/* Plain kinds: @off is a bool, a string, a descriptor, a MAC address, the
 * name of an interface
 */
conf_set_fn set_flag, set_clear, set_string, set_fd, set_mac, set_ifname;
/* Print and exit */
conf_set_fn set_help, set_version, set_capabilities;
/* Accepted without effect; not there yet */
conf_set_fn set_deprecated, set_unsupported, set_vhost_user, set_repair;
/* Everything that has a meaning of its own */
conf_set_fn set_quiet, set_debug, set_trace, set_log_size, set_stats;
conf_set_fn set_stats_format;
conf_set_fn set_socket, set_mtu, set_address, set_netmask, set_gateway;
conf_set_fn set_template, set_outbound, set_v4_only, set_v6_only;
conf_set_fn set_dns, set_search, set_dns_forward, set_dns_host;
conf_set_fn set_hostname, set_fqdn, set_map_host, set_map_guest;
conf_set_fn set_ports;

/**
 * conf_number() - Read a number in C notation, nothing before or behind it
 * @s:		Text
 * @max:	Largest accepted
 * @n:		Filled
 */
bool conf_number(const char *s, unsigned long max, unsigned long *n);

/**
 * conf_usage() - Print the help text
 * @c:		Configuration: mode, name
 * @fd:		Where to
 */
void conf_usage(const struct conf *c, int fd);

/**
 * conf_unused() - Say which options given have no effect
 * @c:		Configuration, parsed, families known
 */
void conf_unused(const struct conf *c);

/**
 * conf_runas() - Fill in whom to change to: --runas, or nobody for root
 * @c:		Configuration
 */
void conf_runas(struct conf *c);

#endif /* CONF_OPT_H */
