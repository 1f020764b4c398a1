/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Automatic rules: listen only while somebody does on the other side
 *
 * Linux has no event for listen(2) or bind(2) that one without privileges could
 * wait for: the groups of sock_diag(7) tell of sockets that are gone, never of
 * new ones. So we have to look, as seldom and as cheaply as will do:
 *
 * What we look at. One sock_diag socket for each namespace, opened there before
 * isolation, lists TCP listeners and unconnected UDP sockets in about 10 us a
 * table. /proc/net/tcp tells the same, after a walk through the table of all
 * connections of all namespaces, empty slots too: 5 ms on a small machine, so
 * this is for kernels without sock_diag (fwd/procnet.c). But
 * /proc/net/sockstat{,6}, at 2 us, tells how many sockets there are. A table
 * is read if their number is another, and every now and then in case one came as
 * another went: that one has to wait for up to 100 ms while changes are likely,
 * 2 s otherwise, 10 s when there have been none for long.
 *
 * When. Servers start when a namespace starts, when other servers do, when
 * there is traffic. We look every 40 ms in the first seconds, after a change and
 * while there are events in the loop (a turn with events brings the next scan
 * forward, and costs no wake-up of its own). From then on, at intervals of an
 * eighth of the time that nothing has happened for, up to 88 ms: with what it
 * takes to open a port, it is there within 100. After half a minute without
 * anything each 1280 ms, which is eight wake-ups in ten seconds. It is waking up
 * that costs: some 40 us of CPU with nothing to do, for what is no longer in the
 * caches, as much again with the counters of both sides, three times as much as
 * that with all tables. So a hundred looks in ten seconds would be affordable for
 * ever, 0.1 % of a CPU, but no battery likes them. Scans that take long, with
 * very many sockets or without sock_diag, stretch the interval: in the long run
 * all scans together take no more than one hundredth of a CPU, half a second in
 * advance. What counts is the CPU time we use, not that for which others made us
 * wait.
 * Without automatic rules there is nothing of this.
 *
 * What is wanted. A rule listens on a port if the port it leads to is bound on
 * the other side to an address that forwarded connections can reach (see
 * fwd/nat.c): there is no point in a port that refuses after it accepted. Left
 * out are ports that we ourselves listen on there, by whatever rule: otherwise
 * -t and -T would hold each other open for ever. UDP ports follow TCP listeners
 * as well: QUIC comes to where HTTPS is, and iperf3 binds a UDP port only when
 * the client that asked for it by TCP is about to send.
 *
 * What can be had. A port that cannot be bound is tried again every now and
 * then; nothing is said, since nobody asked for that port. UDP sockets of
 * automatic rules share their port with those of flows (SO_REUSEADDR), which
 * would let them take over somebody else's port that is shared as well (mDNS):
 * it is left alone where the rule names no address.
 *
 * Bounds. A scan opens SCAN_OPENS ports at most, the rest follows in the next
 * turns. Best-effort listeners leave a quarter of all descriptors to
 * connections. All sets are bitmaps of 8 KiB in static memory. Sockets are
 * opened in the namespace by netns_call(), one call for all; listeners are
 * closed from the timer only, never in the middle of a batch of events that may
 * be about them.
 */

#include "fwd/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "fwd.h"
#include "fwd/listen.h"
#include "fwd/procnet.h"
#include "lib/log.h"
#include "netns.h"
#include "nl.h"
#include "sock.h"

/* #syscalls:pasta pread64 clock_gettime(0=CLOCK_PROCESS_CPUTIME_ID) */

/* For so long we look often: after the start, and after a change */
#define SCAN_START_MS  5000
#define SCAN_CHANGE_MS 1000

/* Ports that could not be bound: not before that again */
#define SCAN_RETRY_MS 2000

#define SCAN_OPENS 256 /* ports opened by one scan */

/* What listeners may take of the limit of open files, in quarters */
#define SCAN_FDS_QUARTERS 3

/* Time that scans may take at once, before they have to wait for more */
#define SCAN_CREDIT_US 500000

#define SOCKSTAT_MAX 1024

enum { SIDE_HOST, SIDE_NS, SIDES };

static const uint8_t side_pif[SIDES] = { PIF_HOST, PIF_SPLICE };
static const uint8_t ip_proto[SCAN_PROTOS] = { IPPROTO_TCP, IPPROTO_UDP };

/**
 * struct scan_table - Sockets of a protocol in a namespace
 * @on:		Some rule is about them
 * @first, @last: Ports looked at
 * @inuse:	How many there were: see count_sockets()
 * @reached:	Ports bound, and reached by what we forward
 * @any:	Ports bound
 * @ours:	Those we listen on, by any rule
 */
struct scan_table {
	bool on;
	in_port_t first, last;
	uint64_t inuse;
	struct port_set reached, any, ours;
};

/**
 * struct scan_rules - Automatic rules of one pif and protocol
 * @on:		There are any
 * @open:	Ports opened
 * @refused:	Ports that could not be, or not for all rules that have them
 */
struct scan_rules {
	bool on;
	struct port_set open, refused;
};

/**
 * struct scan_side - A namespace
 * @diag:	We have sock_diag
 * @nl:		Its socket
 * @text:	The files we read otherwise
 * @stat:	Its sockstat and sockstat6, -1: not to be had
 */
struct scan_side {
	bool diag;
	struct nl_sock nl;
	struct procnet text;
	int stat[2];
	struct scan_table table[SCAN_PROTOS];
	struct scan_rules rules[SCAN_PROTOS];
};

/**
 * struct fwd_scan - Scanner
 * @timer:	Next scan
 * @last:	When something happened last, ms; may be to come
 * @events:	Events of the loop up to then
 * @full:	When all tables were read last, ms
 * @retry:	When to try refused ports again, ms
 * @credit:	Time scans may take, us; see scan_pay()
 * @paid:	When it was counted last, ms
 * @fds_max:	Listeners at most
 * @refused:	There are refused ports
 * @more:	There are ports left to open
 */
struct fwd_scan {
	struct wtimer timer;
	uint64_t last, events, full, retry, paid;
	int64_t credit;
	unsigned fds_max;
	bool refused, more;
	struct scan_side side[SIDES];
};

static struct fwd_scan scanner;

/*
 * Looking
 */

/* What is told of bound sockets goes here */
struct found {
	struct port_set reached, any;
	uint8_t pif;
	bool to_lo;
};

/* One socket; see nl_bound_fn */
static void found_one(void *arg, const struct nl_bound *b)
{
	struct found *f = arg;

	port_set_add(&f->any, b->port);
	if (scan_reached(f->pif, f->to_lo, &b->addr))
		port_set_add(&f->reached, b->port);
}

/* Read a table. Return: 1 if it is not as it was, 0 if it is, -errno */
static int read_table(const struct fwd *fwd, unsigned side, unsigned proto)
{
	static struct found f; /* 16 KiB */
	struct scan_side *s = &fwd->scan->side[side];
	struct scan_table *t = &s->table[proto];
	int rc;

	memset(&f, 0, sizeof(f));
	f.pif = side_pif[side];
	f.to_lo = fwd->opts->host_lo_to_ns_lo;
	rc = s->diag ? nl_diag_bound(&s->nl, ip_proto[proto], t->first, t->last,
				     found_one, &f)
		     : procnet_bound(&s->text, ip_proto[proto], t->first,
				     t->last, found_one, &f);
	if (rc) {
		debug_limited("Sockets of the %s: %s",
			      side == SIDE_HOST ? "host" : "namespace",
			      errstr(rc));
		return rc;
	}
	if (!memcmp(&t->reached, &f.reached, sizeof(f.reached)) &&
	    !memcmp(&t->any, &f.any, sizeof(f.any)))
		return 0;
	t->reached = f.reached;
	t->any = f.any;
	return 1;
}

/* Numbers of sockets, by protocol: IPv4 above, IPv6 below. Return: false if they
 * are not to be had
 */
static bool count_sockets(const struct scan_side *s, uint64_t *inuse)
{
	static const char *const keys[2][SCAN_PROTOS] = {
		{ "TCP: inuse ", "UDP: inuse " },
		{ "TCP6: inuse ", "UDP6: inuse " }
	};
	char text[SOCKSTAT_MAX];
	unsigned i, proto;
	ssize_t n;

	inuse[SCAN_TCP] = inuse[SCAN_UDP] = 0;
	for (i = 0; i < 2; i++) {
		n = s->stat[i] < 0
			    ? -1
			    : pread(s->stat[i], text, sizeof(text) - 1, 0);
		/* There may be no IPv6 */
		if (n < 0 && i)
			break;
		if (n < 0)
			return false;
		text[n] = '\0';
		for (proto = 0; proto < SCAN_PROTOS; proto++)
			inuse[proto] = inuse[proto] << 32 |
				       scan_inuse(text, keys[i][proto]);
	}
	return true;
}

/* Look at a namespace where something seems to have changed by count_sockets(),
 * or everywhere if @full.
 *
 * Return: whether anything has
 */
static bool look_at(const struct fwd *fwd, unsigned side, bool full)
{
	struct scan_side *s = &fwd->scan->side[side];
	uint64_t inuse[SCAN_PROTOS];
	bool changed = false, counted;
	unsigned proto;
	int rc;

	if (!s->table[SCAN_TCP].on && !s->table[SCAN_UDP].on)
		return false;
	/* Counted first: what comes while we read is seen the next time */
	counted = count_sockets(s, inuse);
	for (proto = 0; proto < SCAN_PROTOS; proto++) {
		struct scan_table *t = &s->table[proto];

		if (!t->on)
			continue;
		/* As many as there were may be others, but if there are none */
		if (counted && inuse[proto] == t->inuse &&
		    (!full ||
		     (!inuse[proto] && port_set_next(&t->any, 0) == NUM_PORTS)))
			continue;
		rc = read_table(fwd, side, proto);
		if (rc < 0)
			continue;
		t->inuse = inuse[proto];
		changed |= rc;
	}
	return changed;
}

/*
 * Opening and closing
 */

/* Ports we listen on, from all listeners */
static void note_ours(const struct fwd *fwd)
{
	struct fwd_scan *scan = fwd->scan;
	unsigned i, side, proto;

	for (side = 0; side < SIDES; side++)
		for (proto = 0; proto < SCAN_PROTOS; proto++)
			memset(&scan->side[side].table[proto].ours, 0,
			       sizeof(struct port_set));
	for (i = 0; i < fwd->nlisteners; i++) {
		const struct fwd_listener *l = &fwd->listener[i];

		if (l->fd < 0)
			continue;
		side = l->rule->pif == PIF_HOST ? SIDE_HOST : SIDE_NS;
		proto = l->rule->proto == IPPROTO_TCP ? SCAN_TCP : SCAN_UDP;
		port_set_add(&scan->side[side].table[proto].ours, l->port);
	}
}

/* Is there a listener of a rule on a port? */
static bool has_listener(const struct fwd *fwd, const struct fwd_rule *rule,
			 in_port_t port)
{
	unsigned i;

	for (i = 0; i < fwd->nlisteners; i++)
		if (fwd->listener[i].fd >= 0 && fwd->listener[i].rule == rule &&
		    fwd->listener[i].port == port)
			return true;
	return false;
}

/* Ports to be opened for the rules of one pif and protocol */
struct opening {
	struct fwd *fwd;
	unsigned side, proto;
	struct port_set ports;
	unsigned left; /* ports that may be opened now */
};

/* Listen by one rule. Return: 0, or -errno */
static int open_rule(const struct opening *o, const struct fwd_rule *rule,
		     in_port_t port)
{
	const struct scan_side *side = &o->fwd->scan->side[o->side];
	const struct scan_table *t = &side->table[o->proto];
	const struct scan_rules *s = &side->rules[o->proto];
	struct fwd *fwd = o->fwd;
	int rc;

	/* Tried again for another rule */
	if (port_set_has(&s->open, port) && has_listener(fwd, rule, port))
		return 0;
	if (fwd->nlisteners - fwd->nfree >= fwd->scan->fds_max)
		return -EMFILE;
	/* Somebody else's, who would share it */
	if (o->proto == SCAN_UDP && inany_is_unspecified(&rule->addr) &&
	    port_set_has(&t->any, port) && !port_set_has(&t->ours, port))
		return -EADDRINUSE;
	rc = fwd_listener_open(fwd, rule, port);
	return rc < 0 ? rc : 0;
}

/* Listen by all rules that have a port */
static void open_port(const struct opening *o, in_port_t port)
{
	const struct fwd_rules *rules = o->side == SIDE_HOST
						? &o->fwd->opts->host
						: &o->fwd->opts->splice;
	struct scan_side *side = &o->fwd->scan->side[o->side];
	struct scan_rules *s = &side->rules[o->proto];
	unsigned i;

	for (i = 0; i < rules->n; i++) {
		const struct fwd_rule *r = &rules->rule[i];
		int rc;

		if (!scan_is_auto(r, ip_proto[o->proto]) || port < r->first ||
		    port > r->last)
			continue;
		rc = open_rule(o, r, port);
		debug_limited("%s port %u%s: %s",
			      o->proto == SCAN_TCP ? "TCP" : "UDP", port,
			      o->side == SIDE_HOST ? "" : " of the namespace",
			      rc ? errstr(rc) : "opened");
		port_set_add(rc ? &s->refused : &s->open, port);
		if (rc)
			o->fwd->scan->refused = true;
		else
			port_set_add(&side->table[o->proto].ours, port);
	}
}

/* Open ports, in the namespace they are of */
static int open_ports(void *arg)
{
	struct opening *o = arg;
	unsigned port;

	for (port = port_set_next(&o->ports, 0); port < NUM_PORTS;
	     port = port_set_next(&o->ports, port + 1)) {
		if (!o->left) {
			o->fwd->scan->more = true;
			break;
		}
		open_port(o, (in_port_t)port);
		o->left--;
	}
	return 0;
}

/* Stop listening on ports that lead to nobody any more */
static void close_ports(struct fwd *fwd, unsigned side, unsigned proto,
			const struct port_set *gone)
{
	struct scan_table *t = &fwd->scan->side[side].table[proto];
	unsigned port;

	fwd_listener_close_auto(fwd, side_pif[side], ip_proto[proto], gone);
	port_set_remove(&fwd->scan->side[side].rules[proto].open, gone);
	/* Seen there before: it was ours, and is not somebody else's now */
	port_set_remove(&t->reached, gone);
	port_set_remove(&t->any, gone);
	port_set_remove(&t->ours, gone);
	for (port = port_set_next(gone, 0); port < NUM_PORTS;
	     port = port_set_next(gone, port + 1))
		debug_limited("%s port %u%s: closed",
			      proto == SCAN_TCP ? "TCP" : "UDP", port,
			      side == SIDE_HOST ? "" : " of the namespace");
}

/* Ports that automatic rules of a pif and protocol are to listen on */
static void wanted_ports(const struct fwd *fwd, unsigned side, unsigned proto,
			 struct port_set *wanted)
{
	const struct scan_table *t = fwd->scan->side[!side].table;
	static struct port_set bound;

	memset(&bound, 0, sizeof(bound));
	if (proto == SCAN_UDP) {
		bound = t[SCAN_TCP].reached;
		port_set_remove(&bound, &t[SCAN_TCP].ours);
	}
	port_set_merge(&bound, &t[proto].reached);
	port_set_remove(&bound, &t[proto].ours);
	scan_wanted(side == SIDE_HOST ? &fwd->opts->host : &fwd->opts->splice,
		    ip_proto[proto], &bound, wanted);
}

/* Have the rules of a pif and protocol follow */
static void follow(struct fwd *fwd, unsigned side, unsigned proto, bool retry)
{
	struct scan_rules *s = &fwd->scan->side[side].rules[proto];
	static struct port_set wanted, gone;
	static struct opening o;

	wanted_ports(fwd, side, proto, &wanted);

	gone = s->open;
	port_set_remove(&gone, &wanted);
	if (port_set_next(&gone, 0) < NUM_PORTS)
		close_ports(fwd, side, proto, &gone);

	o = (struct opening){ .fwd = fwd,
			      .side = side,
			      .proto = proto,
			      .ports = wanted,
			      .left = SCAN_OPENS };
	port_set_keep(&s->refused, &wanted);
	port_set_remove(&o.ports, &s->open);
	if (retry) {
		port_set_merge(&o.ports, &s->refused);
		memset(&s->refused, 0, sizeof(s->refused));
	} else {
		port_set_remove(&o.ports, &s->refused);
		if (port_set_next(&s->refused, 0) < NUM_PORTS)
			fwd->scan->refused = true;
	}
	if (port_set_next(&o.ports, 0) == NUM_PORTS)
		return;
	if (side == SIDE_HOST)
		open_ports(&o);
	else
		netns_call(fwd->netns, open_ports, &o);
}

/* Have all rules follow what was seen */
static void follow_all(struct fwd *fwd, bool retry)
{
	struct fwd_scan *scan = fwd->scan;
	unsigned side, proto;

	scan->refused = scan->more = false;
	note_ours(fwd);
	for (side = 0; side < SIDES; side++) {
		for (proto = 0; proto < SCAN_PROTOS; proto++) {
			if (scan->side[side].rules[proto].on)
				follow(fwd, side, proto, retry);
		}
	}
	if (retry)
		scan->retry = fwd->loop->now + SCAN_RETRY_MS;
}

/* CPU time we have used so far: what others do meanwhile does not count */
static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Pay for a scan, from what was saved since the last one: a hundredth of the
 * time. Return: what is missing, us
 */
static uint64_t scan_pay(struct fwd_scan *s, uint64_t now, uint64_t cost)
{
	s->credit += (int64_t)((now - s->paid) * 1000 / SCAN_COST_FACTOR);
	if (s->credit > SCAN_CREDIT_US)
		s->credit = SCAN_CREDIT_US;
	s->paid = now;
	s->credit -= (int64_t)cost;
	return s->credit < 0 ? (uint64_t)-s->credit : 0;
}

/* One scan, and the time of the next */
static void scan(struct fwd *fwd)
{
	uint64_t now = fwd->loop->now, begin = cpu_ns(), next, due;
	struct fwd_scan *s = fwd->scan;
	bool changed, full, retry;

	due = scan_full(now, s->last,
			s->side[SIDE_HOST].diag && s->side[SIDE_NS].diag);
	full = now - s->full >= due;
	if (full)
		s->full = now;
	changed = look_at(fwd, SIDE_HOST, full);
	changed |= look_at(fwd, SIDE_NS, full);

	retry = s->refused && now >= s->retry;
	if (changed || retry || s->more)
		follow_all(fwd, retry);
	if (changed && s->last < now + SCAN_CHANGE_MS)
		s->last = now + SCAN_CHANGE_MS;

	due = scan_pay(s, now, (cpu_ns() - begin) / 1000);
	next = s->more ? now + 1 : scan_deadline(now, s->last, due);
	wheel_arm(&fwd->loop->wheel, &s->timer, next);
}

bool fwd_scan_timer(struct fwd *fwd, const struct wtimer *t)
{
	if (!fwd->scan || t != &fwd->scan->timer)
		return false;
	scan(fwd);
	return true;
}

void fwd_scan_turn(struct fwd *fwd)
{
	struct fwd_scan *s = fwd->scan;
	struct loop *loop = fwd->loop;
	uint64_t events = 0;
	unsigned i;

	if (!s || !wtimer_armed(&s->timer))
		return;
	for (i = 0; i < EPOLL_TYPES; i++)
		events += loop->count[i];
	if (events == s->events)
		return;
	s->events = events;
	if (s->last < loop->now)
		s->last = loop->now;
	if (s->timer.at > loop->now + SCAN_FAST_MS)
		loop_arm(loop, &s->timer, SCAN_FAST_MS);
}

/*
 * Set-up
 */

/* A table is to be looked at for some ports, perhaps for others already */
static void want_table(struct scan_table *t, in_port_t first, in_port_t last)
{
	t->first = t->on && t->first < first ? t->first : first;
	t->last = t->on && t->last > last ? t->last : last;
	t->on = true;
}

/* Which tables there are to look at for the rules of one pif and protocol.
 *
 * Return: false if there are no such rules
 */
static bool plan_rules(const struct fwd_rules *rules, struct fwd_scan *s,
		       unsigned side, unsigned proto)
{
	struct scan_table *there = s->side[!side].table;
	in_port_t first, last;

	if (!scan_range(rules, ip_proto[proto], true, &first, &last))
		return false;
	want_table(&there[proto], first, last);
	if (proto == SCAN_UDP) {
		want_table(&there[SCAN_TCP], first, last);
		/* What is taken on this side */
		scan_range(rules, ip_proto[proto], false, &first, &last);
		want_table(&s->side[side].table[proto], first, last);
	}
	s->side[side].rules[proto].on = true;
	return true;
}

/* Which tables there are to look at. Return: false if there are none */
static bool plan(const struct fwd_opts *opts, struct fwd_scan *s)
{
	bool any = false;
	unsigned proto;

	for (proto = 0; proto < SCAN_PROTOS; proto++) {
		any |= plan_rules(&opts->host, s, SIDE_HOST, proto);
		any |= plan_rules(&opts->splice, s, SIDE_NS, proto);
	}
	return any;
}

/* Nothing is open yet */
static void init_side(struct scan_side *s)
{
	s->nl.fd = s->stat[0] = s->stat[1] = -1;
	s->text = (struct procnet){ { -1, -1 }, { -1, -1 } };
}

/* Close what is open */
static void close_side(struct scan_side *s)
{
	unsigned i;

	for (i = 0; i < 2; i++)
		if (s->stat[i] >= 0)
			close(s->stat[i]);
	nl_close(&s->nl);
	procnet_close(&s->text);
}

/* Files to do without sock_diag, of the namespace we are in */
static int open_text(void *arg)
{
	struct scan_side *s = arg;

	return procnet_open(&s->text);
}

/* Open what is of the namespace we are in. Return: 0, or -errno */
static int open_side(void *arg)
{
	static const char *const path[] = { "/proc/thread-self/net/sockstat",
					    "/proc/thread-self/net/sockstat6" };
	struct scan_side *s = arg;
	unsigned i;

	for (i = 0; i < 2; i++)
		s->stat[i] = open(path[i], O_RDONLY | O_CLOEXEC);
	s->diag = !sock_without("sock_diag") && !nl_diag_open(&s->nl);
	return s->diag ? 0 : open_text(s);
}

/* Read the tables of a namespace for the first time, and find out how. Return:
 * as read_table()
 */
static int first_look(const struct fwd *fwd, unsigned side)
{
	struct scan_side *s = &fwd->scan->side[side];
	uint64_t inuse[SCAN_PROTOS] = { 0 };
	unsigned proto;
	int rc = 0;

	/* Before, so that whoever comes meanwhile is found by the first scan */
	count_sockets(s, inuse);
	for (proto = 0; rc >= 0 && proto < SCAN_PROTOS; proto++) {
		if (!s->table[proto].on)
			continue;
		s->table[proto].inuse = inuse[proto];
		rc = read_table(fwd, side, proto);
		if (rc >= 0 || !s->diag)
			continue;
		/* No module for this protocol, or kept from loading it */
		debug("No sock_diag: %s, reading /proc/net", errstr(rc));
		nl_close(&s->nl);
		s->diag = false;
		rc = side == SIDE_NS ? netns_call(fwd->netns, open_text, s)
				     : open_text(s);
		if (!rc)
			rc = read_table(fwd, side, proto);
	}
	return rc;
}

int fwd_scan_init(struct fwd *fwd)
{
	struct fwd_scan *s = &scanner;
	unsigned side;
	int rc;

	fwd->scan = NULL;
	memset(s, 0, sizeof(*s));
	if (!fwd->netns || !plan(fwd->opts, s))
		return 0;

	fwd->scan = s;
	for (side = 0; side < SIDES; side++)
		init_side(&s->side[side]);
	rc = open_side(&s->side[SIDE_HOST]);
	if (!rc)
		rc = netns_call(fwd->netns, open_side, &s->side[SIDE_NS]);
	for (side = 0; rc >= 0 && side < SIDES; side++)
		rc = first_look(fwd, side);
	if (rc < 0) {
		warn("Ports are not forwarded automatically: cannot list "
		     "sockets: %s (kernel modules tcp_diag, udp_diag, or "
		     "/proc/net)",
		     errstr(rc));
		for (side = 0; side < SIDES; side++)
			close_side(&s->side[side]);
		fwd->scan = NULL;
		return rc;
	}
	return 0;
}

void fwd_scan_start(struct fwd *fwd)
{
	struct fwd_scan *s = fwd->scan;
	struct rlimit lim;

	if (!s)
		return;
	s->fds_max = FWD_LISTENERS_MAX;
	if (!getrlimit(RLIMIT_NOFILE, &lim) &&
	    lim.rlim_cur / 4 * SCAN_FDS_QUARTERS < s->fds_max)
		s->fds_max = (unsigned)(lim.rlim_cur / 4 * SCAN_FDS_QUARTERS);
	s->last = fwd->loop->now + SCAN_START_MS;
	s->credit = SCAN_CREDIT_US;
	s->paid = s->full = fwd->loop->now;
	s->more = true; /* what set-up has seen is still to be followed */
	scan(fwd);
}
