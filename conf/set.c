/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handlers of the plain options: flags, files, numbers, what prints and exits */

#include "conf/opt.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "conf/ports.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

/* Smallest log file that is worth cutting: five lines of the longest message,
 * as stdio buffers of 8 KiB are counted elsewhere
 */
#define LOG_SIZE_MIN (5UL * 8192)

void conf_bad(const struct conf_opt *o, const char *val, const char *what,
	      const char *want)
{
	die("%s: --%s '%.256s', expected %s", what, o->name, val, want);
}

bool conf_number(const char *s, unsigned long max, unsigned long *n)
{
	char *end;

	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	*n = strtoul(s, &end, 0);
	return !errno && !*end && *n <= max;
}

/* The member of a plain option */
static void *member(struct conf *c, const struct conf_opt *o)
{
	return (char *)c + o->off;
}

void set_flag(struct conf *c, const struct conf_opt *o, const char *val)
{
	(void)val;
	*(bool *)member(c, o) = true;
}

void set_clear(struct conf *c, const struct conf_opt *o, const char *val)
{
	(void)val;
	*(bool *)member(c, o) = false;
}

void set_string(struct conf *c, const struct conf_opt *o, const char *val)
{
	if (!*val)
		conf_bad(o, val, "Empty value", o->arg);
	*(const char **)member(c, o) = val;
}

void set_fd(struct conf *c, const struct conf_opt *o, const char *val)
{
	char what[32];
	unsigned long n;

	snprintf(what, sizeof(what), "Invalid --%s", o->name);
	if (!conf_number(val, INT_MAX, &n) || fcntl((int)n, F_GETFD) < 0)
		conf_bad(o, val, what, "the number of an open descriptor");
	*(int *)member(c, o) = (int)n;
}

void set_mac(struct conf *c, const struct conf_opt *o, const char *val)
{
	uint8_t *mac = member(c, o), any = 0;
	unsigned i, v[6];
	int end = 0;

	if (sscanf(val, "%2x:%2x:%2x:%2x:%2x:%2x%n", &v[0], &v[1], &v[2], &v[3],
		   &v[4], &v[5], &end) != 6 ||
	    val[end] || strspn(val, "0123456789abcdefABCDEF:") != (size_t)end)
		conf_bad(o, val, "Invalid MAC address", "xx:xx:xx:xx:xx:xx");

	for (i = 0; i < 6; i++)
		any |= mac[i] = (uint8_t)v[i];
	if (!any || mac[0] & 1)
		conf_bad(o, val, "Invalid MAC address",
			 "neither zero nor a group address");
}

void set_ifname(struct conf *c, const struct conf_opt *o, const char *val)
{
	if (!ports_ifname_ok(val))
		conf_bad(o, val, "Invalid interface name",
			 "1 to 15 characters without slash and blank");
	memcpy(member(c, o), val, strlen(val) + 1);
}

void set_template(struct conf *c, const struct conf_opt *o, const char *val)
{
	if (!ports_ifname_ok(val))
		conf_bad(o, val, "Invalid interface name",
			 "1 to 15 characters without slash and blank");
	c->given.ifname = val;
}

void set_quiet(struct conf *c, const struct conf_opt *o, const char *val)
{
	(void)o;
	(void)val;
	c->log.level = LOG_WARNING;
}

void set_debug(struct conf *c, const struct conf_opt *o, const char *val)
{
	(void)o;
	(void)val;
	if (c->log.level < LOG_DEBUG)
		c->log.level = LOG_DEBUG;
}

void set_trace(struct conf *c, const struct conf_opt *o, const char *val)
{
	(void)o;
	(void)val;
	c->log.level = LOG_TRACE;
}

void set_log_size(struct conf *c, const struct conf_opt *o, const char *val)
{
	unsigned long n;

	if (!conf_number(val, UINT_MAX, &n) || n < LOG_SIZE_MIN)
		conf_bad(o, val, "Invalid --log-size",
			 "a number of bytes from 40960 on");
	c->log.file_size = n;
	c->given.log_size = true;
}

void set_stats(struct conf *c, const struct conf_opt *o, const char *val)
{
	unsigned long n;

	if (!conf_number(val, INT_MAX / 1000, &n) || !n)
		conf_bad(o, val, "Invalid --stats",
			 "a number of seconds from 1 on");
	c->stats = (unsigned)n;
}

void set_stats_format(struct conf *c, const struct conf_opt *o, const char *val)
{
	c->stats_json = !strcmp(val, "json");
	if (!c->stats_json && strcmp(val, "text"))
		conf_bad(o, val, "Invalid --stats-format", "text or json");
}

void set_socket(struct conf *c, const struct conf_opt *o, const char *val)
{
	if (!*val ||
	    strlen(val) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		conf_bad(o, val, "Invalid socket path", "1 to 107 characters");
	c->stream.path = val;
}

void set_v4_only(struct conf *c, const struct conf_opt *o, const char *val)
{
	(void)o;
	(void)val;
	c->given.v4_only = true;
	c->given.v6_only = false;
}

void set_v6_only(struct conf *c, const struct conf_opt *o, const char *val)
{
	(void)o;
	(void)val;
	c->given.v6_only = true;
	c->given.v4_only = false;
}

void set_ports(struct conf *c, const struct conf_opt *o, const char *val)
{
	if (c->given.nports >= CONF_PORTS_MAX)
		conf_bad(o, val, "Too many port options",
			 "fewer, with several ports each");
	c->given.ports[c->given.nports].letter = o->letter;
	c->given.ports[c->given.nports++].spec = val;
}

void set_help(struct conf *c, const struct conf_opt *o, const char *val)
{
	(void)o;
	(void)val;
	conf_usage(c, 1);
	exit(EXIT_SUCCESS);
}

void set_version(struct conf *c, const struct conf_opt *o, const char *val)
{
	(void)o;
	(void)val;
	dprintf(1,
		"%s %s\n"
		"Licence: GNU General Public License, version 2 or later\n"
		"<https://www.gnu.org/licenses/old-licenses/gpl-2.0.html>\n"
		"This is free software: you may change and redistribute it.\n"
		"There is no warranty, as far as the law permits.\n",
		c->mode == MODE_PASTA ? "pasta" : "passt", VERSION);
	exit(EXIT_SUCCESS);
}

/* QEMU, docs/interop/vhost-user.rst, "Backend program conventions" */
void set_capabilities(struct conf *c, const struct conf_opt *o, const char *val)
{
	(void)c;
	(void)o;
	(void)val;
	dprintf(1, "{\"type\":\"net\"}\n");
	exit(EXIT_SUCCESS);
}

void set_deprecated(struct conf *c, const struct conf_opt *o, const char *val)
{
	(void)c;
	(void)val;
	warn("--%s is deprecated and has no effect", o->name);
}

void set_unsupported(struct conf *c, const struct conf_opt *o, const char *val)
{
	(void)val;
	die("--%s is not supported by this version of %s", o->name,
	    c->mode == MODE_PASTA ? "pasta" : "passt");
}

/* Whatever our name is, this means passt */
void set_vhost_user(struct conf *c, const struct conf_opt *o, const char *val)
{
	c->mode = MODE_PASST;
	set_unsupported(c, o, val);
}

/* Only migration, that is vhost-user, has use for this */
void set_repair(struct conf *c, const struct conf_opt *o, const char *val)
{
	if (strcmp(val, "none"))
		set_unsupported(c, o, val);
}
