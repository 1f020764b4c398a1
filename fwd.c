/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is forwarded where: set-up, listeners of all rules, outbound sockets
 *
 * Addresses are translated in fwd/nat.c, one port is bound in fwd/listen.c.
 */

#include "fwd.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fwd/listen.h"
#include "fwd/report.h"
#include "lib/bitmap.h"
#include "lib/log.h"
#include "netns.h"

/* A predecessor may still be about to leave: how long to wait for all its
 * ports together, and how often to look
 */
#define IN_USE_WAIT_MS  2000
#define IN_USE_RETRY_MS 20

/* What best-effort rules may take of the limit of open files, in quarters */
#define WEAK_FDS_QUARTERS 3

/**
 * struct run - One pass over the rules of a pif
 * @fwd:	Forwarding
 * @rules:	Rules
 * @deadline:	No waiting for ports in use after that, ms
 * @max_fd:	Descriptors from here on are not for best-effort rules
 * @tally:	What became of those of one protocol
 */
struct run {
	struct fwd *fwd;
	const struct fwd_rules *rules;
	uint64_t deadline;
	unsigned long max_fd;
	struct fwd_tally tally;
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

/* One port, waiting for it a while if it is in use. See fwd_listener_open() */
static int listen_port(const struct run *r, const struct fwd_rule *rule,
		       in_port_t port)
{
	int rc;

	for (;;) {
		rc = fwd_listener_open(r->fwd, rule, port);
		if (rc != -EADDRINUSE || now_ms() >= r->deadline)
			return rc;
		usleep(IN_USE_RETRY_MS * 1000);
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

/* All ports of a rule. Return: 0, or -errno after a message */
static int listen_rule(const struct run *r, const struct fwd_rule *rule)
{
	unsigned port;
	int rc;

	for (port = rule->first; port <= rule->last; port++) {
		rc = listen_port(r, rule, (in_port_t)port);
		if (rc == -EAFNOSUPPORT &&
		    inany_equals(&rule->addr, &inany_any6)) {
			warn("No IPv6 here, not listening on [::]:%u", port);
			return 0;
		}
		if (rc < 0) {
			fwd_report_failed(rule, (in_port_t)port, rc);
			return rc;
		}
	}
	return 0;
}

/* One port of a best-effort rule, counted. Return: false if there is no use in
 * trying others
 */
static bool try_port(struct run *r, const struct fwd_rule *rule, in_port_t port)
{
	struct fwd_tally *t = &r->tally;
	int rc = enough_fds(r) ? -EMFILE
			       : fwd_listener_open(r->fwd, rule, port);

	switch (rc) {
	case -EADDRINUSE:
		t->in_use++;
		return true;
	case -EACCES:
		t->denied++;
		break;
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
	case -ENOSPC:
		t->why_left = rc;
		return false;
	default:
		if (rc >= 0) {
			t->bound++;
			return true;
		}
		t->other++;
		t->why = rc;
	}
	debug("Port %u of a best-effort rule: %s", port, errstr(rc));
	return true;
}

/* Ports of a best-effort rule. Taken out of @ports: all but those in use */
static void try_ports(struct run *r, const struct fwd_rule *rule,
		      struct port_set *ports)
{
	struct fwd_tally *t = &r->tally;
	unsigned port, in_use;

	for (port = port_set_next(ports, 0); port < NUM_PORTS;
	     port = port_set_next(ports, port + 1)) {
		in_use = t->in_use;
		if (!try_port(r, rule, (in_port_t)port))
			break;
		if (t->in_use == in_use)
			port_set_del(ports, (uint16_t)port);
	}
	/* In the end, those not tried */
	for (; port < NUM_PORTS; port = port_set_next(ports, port + 1)) {
		port_set_del(ports, (uint16_t)port);
		t->left++;
	}
}

/* As many ports of a rule as can be had. Those in use are tried again as long as
 * they become fewer: it is a predecessor who leaves, then
 */
static void listen_weak_rule(struct run *r, const struct fwd_rule *rule)
{
	struct fwd_tally *t = &r->tally;
	unsigned others = t->in_use, before = 0;
	static struct port_set ports;

	memset(&ports, 0, sizeof(ports));
	port_set_add_range(&ports, rule->first, rule->last);

	try_ports(r, rule, &ports);
	while (t->in_use > others && t->in_use != before &&
	       now_ms() < r->deadline) {
		before = t->in_use;
		t->in_use = others;
		usleep(IN_USE_RETRY_MS * 1000);
		try_ports(r, rule, &ports);
	}
}

/* First best-effort rule of a protocol, NULL: none */
static const struct fwd_rule *weak_rule(const struct fwd_rules *rules,
					uint8_t proto)
{
	unsigned i;

	for (i = 0; i < rules->n; i++) {
		const struct fwd_rule *r = &rules->rule[i];

		if (r->weak && !r->scan && r->proto == proto)
			return r;
	}
	return NULL;
}

/* How many kinds of best-effort rules there are, TCP and UDP */
static unsigned weak_kinds(const struct fwd_rules *rules)
{
	return (weak_rule(rules, IPPROTO_TCP) ? 1 : 0) +
	       (weak_rule(rules, IPPROTO_UDP) ? 1 : 0);
}

/* Descriptors that best-effort rules of a kind may use: an equal share of what
 * is not left to connections, and what those before did not need
 */
static unsigned long weak_max_fd(const struct run *r, uint8_t proto)
{
	const struct fwd_opts *opts = r->fwd->opts;
	unsigned kinds = weak_kinds(&opts->host) + weak_kinds(&opts->splice);
	unsigned nth = r->rules == &opts->host ? 1
					       : weak_kinds(&opts->host) + 1;
	struct rlimit lim;

	if (proto == IPPROTO_UDP && weak_rule(r->rules, IPPROTO_TCP))
		nth++;
	if (!kinds || getrlimit(RLIMIT_NOFILE, &lim) ||
	    lim.rlim_cur == RLIM_INFINITY)
		return FWD_LISTENERS_MAX;
	return lim.rlim_cur / 4 * WEAK_FDS_QUARTERS / kinds * nth;
}

/* Best-effort rules of one protocol. It is an error if not a single port can be
 * had; too few descriptors are none, others may need them more.
 *
 * Return: 0, or -errno after a message
 */
static int listen_weak(struct run *r, uint8_t proto)
{
	const struct fwd_rule *first = weak_rule(r->rules, proto);
	const struct fwd_rule *end = r->rules->rule + r->rules->n, *rule;
	struct fwd_tally *t = &r->tally;
	int rc;

	if (!first)
		return 0;
	*t = (struct fwd_tally){ 0 };
	r->max_fd = weak_max_fd(r, proto);
	for (rule = first; rule < end; rule++)
		if (rule->weak && !rule->scan && rule->proto == proto)
			listen_weak_rule(r, rule);
	fwd_report_tally(first, t);
	if (t->bound || t->left || t->why == -EAFNOSUPPORT)
		return 0;
	rc = t->in_use ? -EADDRINUSE : t->denied ? -EACCES : t->why;
	fwd_report_failed(first, first->first, rc);
	return rc;
}

/* Is there a rule that means ports now, not those a scan will find? */
static bool listens_now(const struct fwd_rules *rules)
{
	unsigned i;

	for (i = 0; i < rules->n; i++)
		if (!rules->rule[i].scan)
			return true;
	return false;
}

/* All rules of a pif, in the namespace they are for: first what must be had */
static int listen_rules(void *arg)
{
	struct run *r = arg;
	unsigned i;
	int rc;

	for (i = 0; i < r->rules->n; i++) {
		const struct fwd_rule *rule = &r->rules->rule[i];

		if (rule->scan || rule->weak)
			continue;
		rc = listen_rule(r, rule);
		if (rc)
			return rc;
	}
	rc = listen_weak(r, IPPROTO_TCP);
	return rc ? rc : listen_weak(r, IPPROTO_UDP);
}

int fwd_listen(struct fwd *fwd, enum pif pif)
{
	struct run r = { .fwd = fwd,
			 .rules = pif == PIF_HOST ? &fwd->opts->host
						  : &fwd->opts->splice,
			 .deadline = now_ms() + IN_USE_WAIT_MS };

	if (pif == PIF_HOST || !fwd->netns)
		return listen_rules(&r);
	return listens_now(r.rules) ? netns_call(fwd->netns, listen_rules, &r)
				    : 0;
}

void fwd_bound(const struct fwd *fwd, const struct fwd_rule *rule, unsigned n,
	       unsigned *count)
{
	unsigned i;

	memset(count, 0, n * sizeof(*count));
	for (i = 0; i < fwd->nlisteners; i++) {
		const struct fwd_listener *l = &fwd->listener[i];

		if (l->fd >= 0 && l->rule >= rule && l->rule < rule + n)
			count[l->rule - rule]++;
	}
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
		.freebind = fwd->opts->freebind,
		.recverr = udp,
	};

	if (port || !inany_is_unspecified(&host->oaddr))
		spec.bind = &host->oaddr;
	if (!inany_is_loopback(&host->eaddr))
		spec.ifname = map->outbound_if;
	return sock_open(&spec);
}
