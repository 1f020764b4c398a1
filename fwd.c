/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is forwarded where: set-up, listeners of all rules, outbound sockets
 *
 * Addresses are translated in fwd/nat.c, one port is bound in fwd/listen.c.
 */

#include "fwd.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fwd/listen.h"
#include "lib/fdio.h"
#include "lib/log.h"
#include "netns.h"

#define PORT_START_PATH "/proc/sys/net/ipv4/ip_unprivileged_port_start"
#define PORT_START_DEF  1024

/* A predecessor may still be about to leave: how long to wait for all its
 * ports together, and how often to look
 */
#define IN_USE_WAIT_MS  2000
#define IN_USE_RETRY_MS 20

#define HINT_LEN 128 /* text for a failed bind */

/* What best-effort rules may take of the limit of open files, in quarters */
#define WEAK_FDS_QUARTERS 3

/**
 * struct run - One pass over the rules of a pif
 * @fwd:	Forwarding
 * @rules:	Rules
 * @deadline:	No waiting for ports in use after that, ms
 * @max_fd:	Descriptors from here on are not for best-effort rules
 */
struct run {
	struct fwd *fwd;
	const struct fwd_rules *rules;
	uint64_t deadline;
	unsigned long max_fd;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int fwd_init(struct fwd *fwd, const struct fwd_opts *opts,
	     const struct guest *guest, struct netns *netns, struct loop *loop)
{
	void *p = mmap(NULL, sizeof(*fwd->listener) * FWD_LISTENERS_MAX,
		       PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;

	*fwd = (struct fwd){ .opts = opts,
			     .guest = guest,
			     .netns = netns,
			     .loop = loop,
			     .listener = p };
	return 0;
}

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

/* What to do about it; empty if nothing can be said */
static const char *bind_hint(const struct fwd_rule *rule, in_port_t port,
			     int error, char *buf, size_t len)
{
	unsigned long start;

	switch (error) {
	case EADDRINUSE:
		return ": something else listens there (see ss -lnp)";
	case EADDRNOTAVAIL:
		return ": no such address here (see --freebind)";
	case ENODEV:
		return ": no such interface";
	case EMFILE:
		return ": raise the limit of open files (ulimit -n)";
	case EPERM:
		if (*rule->ifname)
			return ": binding to an interface requires kernel 5.7+";
		return "";
	case EACCES:
		start = read_file_uint(PORT_START_PATH, 0, PORT_START_DEF);
		if (port >= start)
			return "";
		snprintf(buf, len,
			 ": ports below %lu need CAP_NET_BIND_SERVICE"
			 " or sysctl net.ipv4.ip_unprivileged_port_start=%u",
			 start, port);
		return buf;
	}
	return "";
}

/* Say which port, why, and what to do */
static void bind_failed(const struct fwd_rule *rule, in_port_t port, int error)
{
	char where[INANY_STRLEN + IFNAMSIZ + sizeof("% in the namespace")];
	char hint[HINT_LEN];

	err("Failed to bind port %u (%s) for %s on %s%s", port, errstr(error),
	    rule->proto == IPPROTO_TCP ? "TCP" : "UDP",
	    rule_where(rule, where, sizeof(where)),
	    bind_hint(rule, port, error, hint, sizeof(hint)));
}

/* One port, waiting for it a while if it is in use. See fwd_listener_open() */
static int listen_port(const struct run *r, const struct fwd_rule *rule,
		       in_port_t port)
{
	const struct timespec pause = { .tv_nsec = IN_USE_RETRY_MS * 1000000 };
	int rc;

	for (;;) {
		rc = fwd_listener_open(r->fwd, rule, port);
		if (rc != -EADDRINUSE || rule->weak || now_ms() >= r->deadline)
			return rc;
		nanosleep(&pause, NULL);
	}
}

/* Is it time for a best-effort rule to leave descriptors to connections? */
static bool enough_fds(const struct run *r)
{
	const struct fwd *fwd = r->fwd;

	return fwd->nlisteners && fwd->listener[fwd->nlisteners - 1].fd >= 0 &&
	       (unsigned long)fwd->listener[fwd->nlisteners - 1].fd >=
		       r->max_fd;
}

/* All ports of a rule. Return: 0, or -errno */
static int listen_rule(const struct run *r, const struct fwd_rule *rule)
{
	unsigned bound = 0, failed = 0, port;
	int rc, first_error = 0;

	for (port = rule->first; port <= rule->last; port++) {
		if (rule->weak && enough_fds(r)) {
			first_error = -EMFILE;
			break;
		}
		rc = listen_port(r, rule, (in_port_t)port);
		if (rc >= 0) {
			bound++;
			continue;
		}
		if (rc == -EAFNOSUPPORT &&
		    inany_equals(&rule->addr, &inany_any6)) {
			warn("No IPv6 here, not listening on [::]:%u", port);
			return 0;
		}
		if (!rule->weak) {
			bind_failed(rule, (in_port_t)port, -rc);
			return rc;
		}
		debug("Port %u of a best-effort rule: %s", port, errstr(-rc));
		if (!failed++ || rc == -EMFILE || rc == -ENFILE)
			first_error = rc;
		if (rc == -EMFILE || rc == -ENFILE)
			break;
	}

	if (first_error == -EMFILE || first_error == -ENFILE)
		warn("Ports %u to %u are not forwarded: %s (see ulimit -n)",
		     port, rule->last, errstr(EMFILE));
	if (bound || !first_error)
		return 0;
	bind_failed(rule, rule->first, -first_error);
	return first_error;
}

/* All rules of a pif, in the namespace they are for */
static int listen_rules(void *arg)
{
	const struct run *r = arg;
	unsigned i;
	int rc;

	for (i = 0; i < r->rules->n; i++) {
		if (r->rules->rule[i].scan)
			continue;
		rc = listen_rule(r, &r->rules->rule[i]);
		if (rc)
			return rc;
	}
	return 0;
}

int fwd_listen(struct fwd *fwd, enum pif pif)
{
	struct run r = { .fwd = fwd,
			 .rules = pif == PIF_HOST ? &fwd->opts->host
						  : &fwd->opts->splice,
			 .deadline = now_ms() + IN_USE_WAIT_MS };
	struct rlimit lim;

	r.max_fd = FWD_LISTENERS_MAX;
	if (!getrlimit(RLIMIT_NOFILE, &lim) && lim.rlim_cur != RLIM_INFINITY)
		r.max_fd = lim.rlim_cur / 4 * WEAK_FDS_QUARTERS;

	if (pif == PIF_HOST || !fwd->netns)
		return listen_rules(&r);
	return r.rules->n ? netns_call(fwd->netns, listen_rules, &r) : 0;
}

void fwd_close(struct fwd *fwd)
{
	unsigned i;

	for (i = 0; i < fwd->nlisteners; i++) {
		if (fwd->listener[i].fd >= 0)
			close(fwd->listener[i].fd);
		fwd->listener[i].fd = -1;
	}
	fwd->nlisteners = fwd->nfree = 0;
}

int fwd_socket(const struct fwd *fwd, uint8_t proto,
	       const struct flowside *host, in_port_t port)
{
	const struct fwd_map *map = fwd_map_of(fwd, &host->eaddr);
	bool udp = proto == IPPROTO_UDP;
	struct sock_spec spec = {
		.af = inany_af(&host->eaddr),
		.type = udp ? SOCK_DGRAM : SOCK_STREAM,
		.proto = proto,
		.port = port,
		.scope = map->scope,
		.reuse = udp && port, /* besides a listener on it */
		.recverr = udp,
	};

	if (port || !inany_is_unspecified(&host->oaddr))
		spec.bind = &host->oaddr;
	if (!inany_is_loopback(&host->eaddr))
		spec.ifname = map->outbound_if;
	return sock_open(&spec);
}
