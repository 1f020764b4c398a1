/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is said of ports that cannot be bound
 *
 * Who reads it has one line, often in the log of something that started us: it
 * says which port of which option, why, and what would permit it, with the
 * value of the setting in question as it is now.
 */

#include "fwd/report.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#include "fwd.h"
#include "lib/fdio.h"
#include "lib/log.h"

#define PORT_START      "net.ipv4.ip_unprivileged_port_start"
#define PORT_START_PATH "/proc/sys/net/ipv4/ip_unprivileged_port_start"
#define PORT_START_DEF  1024

#define FILE_MAX_PATH "/proc/sys/fs/file-max"
#define WATCHES_PATH  "/proc/sys/fs/epoll/max_user_watches"

#define HINT_LEN 128 /* text for a failed bind */

/* "192.0.2.1%eth0", "[*]" for any address of both families */
static const char *rule_where(const struct fwd_rule *rule, char *buf,
			      size_t len)
{
	char addr[INANY_STRLEN] = "[*]";

	if (!rule->dual)
		inany_ntop(&rule->addr, addr);
	snprintf(buf, len, "%s%s%s%s", addr, *rule->ifname ? "%" : "",
		 rule->ifname,
		 rule->pif == PIF_SPLICE ? " in the namespace" : "");
	return buf;
}

/* Option that rules of this kind come from */
static char rule_option(const struct fwd_rule *rule)
{
	bool tcp = rule->proto == IPPROTO_TCP;

	if (rule->pif == PIF_SPLICE)
		return tcp ? 'T' : 'U';
	return tcp ? 't' : 'u';
}

/* First port anybody may bind; of the namespace we are in */
static unsigned port_start(void)
{
	return (unsigned)read_file_uint(PORT_START_PATH, 0, PORT_START_DEF);
}

/* What there is too little of; empty if it is none of that */
static const char *limit_hint(int error, char *buf, size_t len)
{
	struct rlimit lim = { 0 };

	*buf = '\0';
	switch (error) {
	case EMFILE:
		getrlimit(RLIMIT_NOFILE, &lim);
		snprintf(buf, len, ": the limit is %llu (ulimit -n, hard)",
			 (unsigned long long)lim.rlim_cur);
		break;
	case ENFILE:
		snprintf(buf, len, ": sysctl fs.file-max is %lu",
			 read_file_uint(FILE_MAX_PATH, 0, 0));
		break;
	case ENOSPC:
		snprintf(buf, len, ": sysctl fs.epoll.max_user_watches is %lu",
			 read_file_uint(WATCHES_PATH, 0, 0));
		break;
	}
	return buf;
}

/* What to do about it; empty if nothing can be said */
static const char *bind_hint(const struct fwd_rule *rule, in_port_t port,
			     int error, char *buf, size_t len)
{
	unsigned start;

	switch (error) {
	case EADDRINUSE:
		return ": something else listens there (see ss -lnp)";
	case EADDRNOTAVAIL:
		return ": no such address here (see --freebind)";
	case ENODEV:
		return ": no such interface";
	case EPERM:
		if (*rule->ifname)
			return ": binding to an interface requires kernel 5.7+";
		return "";
	case EACCES:
		start = port_start();
		if (port >= start)
			return "";
		snprintf(buf, len,
			 ": sysctl " PORT_START " is %u, set it to %u or give "
			 "us CAP_NET_BIND_SERVICE",
			 start, port);
		return buf;
	}
	return limit_hint(error, buf, len);
}

void fwd_report_failed(const struct fwd_rule *rule, in_port_t port, int rc)
{
	char where[INANY_STRLEN + IFNAMSIZ + sizeof("% in the namespace")];
	char hint[HINT_LEN];

	err("Failed to bind port %u (%s) for %s on %s, option -%c%s", port,
	    errstr(rc), rule->proto == IPPROTO_TCP ? "TCP" : "UDP",
	    rule_where(rule, where, sizeof(where)), rule_option(rule),
	    bind_hint(rule, port, -rc, hint, sizeof(hint)));
}

/* ", N WHAT", nothing if N is 0. Return: bytes of @buf used */
static size_t put_count(char *buf, size_t len, unsigned n, const char *what)
{
	int put = n ? snprintf(buf, len, ", %u %s", n, what) : 0;

	return put > 0 && (size_t)put < len ? (size_t)put : 0;
}

void fwd_report_tally(const struct fwd_rule *rule, const struct fwd_tally *t)
{
	char text[256] = "", why[64], hint[HINT_LEN];
	unsigned failed = t->in_use + t->denied + t->other + t->left;
	size_t n = 0;

	if (!failed)
		return;
	n += put_count(text + n, sizeof(text) - n, t->in_use, "in use");
	snprintf(why, sizeof(why), "denied (sysctl " PORT_START " is %u)",
		 port_start());
	n += put_count(text + n, sizeof(text) - n, t->denied, why);
	snprintf(why, sizeof(why), "failed (%s)", errstr(t->why));
	n += put_count(text + n, sizeof(text) - n, t->other, why);
	snprintf(why, sizeof(why), "left out (%s)", errstr(t->why_left));
	put_count(text + n, sizeof(text) - n, t->left, why);
	log_msg(t->left ? LOG_WARNING : LOG_INFO,
		"Option -%c: %u of %u %s ports bound%s%s%s", rule_option(rule),
		t->bound, t->bound + failed,
		rule->proto == IPPROTO_TCP ? "TCP" : "UDP",
		rule->pif == PIF_SPLICE ? " in the namespace" : "", text,
		limit_hint(-t->why_left, hint, sizeof(hint)));
}

/* "80" or "80-90" */
static int range_text(char *buf, size_t len, unsigned first, unsigned last)
{
	if (first == last)
		return snprintf(buf, len, "%u", first);
	return snprintf(buf, len, "%u-%u", first, last);
}

const char *fwd_rule_text(const struct fwd_rule *r, char *buf, size_t len)
{
	char addr[INANY_STRLEN] = "*", from[16], to[16];
	char taddr[INANY_STRLEN + 3] = "", ntop[INANY_STRLEN];

	if (!r->dual)
		inany_ntop(&r->addr, addr);
	if (!inany_is_unspecified(&r->taddr))
		snprintf(taddr, sizeof(taddr),
			 inany_v4(&r->taddr) ? "%s:" : "[%s]:",
			 inany_ntop(&r->taddr, ntop));
	range_text(from, sizeof(from), r->first, r->last);
	range_text(to, sizeof(to), r->to,
		   (unsigned)r->to + (r->last - r->first));

	snprintf(buf, len, "%s [%s]%s%s:%s  =>  %s%s%s%s",
		 r->proto == IPPROTO_TCP ? "TCP" : "UDP", addr,
		 *r->ifname ? "%" : "", r->ifname, from, taddr, to,
		 r->weak ? " (best effort)" : "",
		 r->scan ? " (auto-scan)" : "");
	return buf;
}
