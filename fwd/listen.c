/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listening sockets of one port of a rule: for start-up and for port scans */

#include "fwd/listen.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fwd.h"
#include "guest.h"
#include "lib/bitmap.h"

/* auto listens while we run
 *
 * #syscalls:pasta listen close
 * #syscalls:pasta setsockopt(1=SOL_SOCKET,2=SO_REUSEADDR)
 * #syscalls:pasta setsockopt(1=IPPROTO_TCP,2=TCP_NODELAY)
 */

/* A free slot of the array; NULL: there is none */
static struct fwd_listener *take_slot(struct fwd *fwd)
{
	unsigned i;

	for (i = 0; fwd->nfree && i < fwd->nlisteners; i++) {
		if (fwd->listener[i].fd < 0) {
			fwd->nfree--;
			return &fwd->listener[i];
		}
	}
	if (fwd->nlisteners == FWD_LISTENERS_MAX)
		return NULL;
	return &fwd->listener[fwd->nlisteners++];
}

static void drop_slot(struct fwd *fwd, struct fwd_listener *l)
{
	l->fd = -1;
	l->rule = NULL;
	fwd->nfree++;
}

/* What is left to do once the address is ours */
static int start(int fd, const struct fwd_rule *rule)
{
	int rc;

	/* Sockets of flows bind to the same port. Had this one been bound with
	 * the option set, a port taken by somebody else would go unnoticed.
	 */
	if (rule->proto == IPPROTO_UDP)
		return sock_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	/* Inherited by what is accepted: one system call less for each */
	rc = sock_set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (!rc && listen(fd, SOMAXCONN))
		rc = -errno;
	return rc;
}

/* Bind one socket, put it into the array, watch it. Return: 1, or -errno */
static int open_one(struct fwd *fwd, const struct fwd_rule *rule,
		    const struct sock_spec *spec)
{
	union epoll_ref ref = { .type = rule->proto == IPPROTO_TCP
						? EPOLL_TCP_LISTEN
						: EPOLL_UDP_LISTEN };
	struct fwd_listener *l;
	int fd, rc;

	fd = sock_open(spec);
	if (fd < 0)
		return fd;

	l = take_slot(fwd);
	if (!l) {
		close(fd);
		return -ENOSPC;
	}

	l->fd = fd;
	l->rule = rule;
	l->port = spec->port;
	ref.id = (uint32_t)(l - fwd->listener);

	rc = start(fd, rule);
	if (!rc)
		rc = loop_add(fwd->loop, fd, EPOLLIN, ref);
	if (rc) {
		close(fd);
		drop_slot(fwd, l);
		return rc;
	}
	return 1;
}

/* Wildcard of one family, or of both by one socket where there is IPv6 */
static int open_wildcard(struct fwd *fwd, const struct fwd_rule *rule,
			 struct sock_spec *spec)
{
	const struct guest *g = fwd->guest;
	bool v4 = true, v6 = true;
	int rc;

	if (rule->pif == PIF_HOST && g->v4.on != g->v6.on) {
		v4 = g->v4.on;
		v6 = g->v6.on;
	}

	if (v6) {
		spec->af = AF_INET6;
		spec->bind = &inany_any6;
		spec->dual = v4;
		rc = open_one(fwd, rule, spec);
		/* IPv6 is disabled on this host, or not built in */
		if (rc != -EAFNOSUPPORT || !v4)
			return rc;
	}

	spec->af = AF_INET;
	spec->bind = &inany_any4;
	spec->dual = false;
	return open_one(fwd, rule, spec);
}

/* The namespace's loopback, if binding to the device is not permitted */
static int open_loopback(struct fwd *fwd, const struct fwd_rule *rule,
			 struct sock_spec *spec)
{
	int n4, n6;

	spec->dual = false;
	spec->ifname = NULL;
	spec->af = AF_INET;
	spec->bind = &inany_loopback4;
	n4 = open_one(fwd, rule, spec);
	if (n4 < 0)
		return n4;

	spec->af = AF_INET6;
	spec->bind = &inany_loopback6;
	n6 = open_one(fwd, rule, spec);
	if (n6 == -EAFNOSUPPORT || n6 == -EADDRNOTAVAIL)
		return n4;
	if (n6 < 0) {
		fwd_listener_close(fwd, rule, spec->port);
		return n6;
	}
	return n4 + n6;
}

int fwd_listener_open(struct fwd *fwd, const struct fwd_rule *rule,
		      in_port_t port)
{
	bool tcp = rule->proto == IPPROTO_TCP;
	struct sock_spec spec = {
		.type = tcp ? SOCK_STREAM : SOCK_DGRAM,
		.proto = rule->proto,
		.bind = &rule->addr,
		.port = port,
		.ifname = rule->ifname,
		/* TCP: past connections in TIME_WAIT. UDP: a flow of the guest
		 * may have its port before a scan finds it bound.
		 */
		.reuse = tcp || rule->scan,
		.freebind = fwd->opts->freebind && rule->pif == PIF_HOST,
		.pktinfo = !tcp,
		.recverr = !tcp,
	};
	int rc;

	if (rule->dual && rule->pif == PIF_SPLICE) {
		spec.ifname = "lo";
		rc = open_wildcard(fwd, rule, &spec);
		return rc == -EPERM ? open_loopback(fwd, rule, &spec) : rc;
	}
	if (rule->dual)
		return open_wildcard(fwd, rule, &spec);

	spec.af = inany_af(&rule->addr);
	if (inany_is_linklocal6(&rule->addr))
		spec.scope = *rule->ifname ? if_nametoindex(rule->ifname)
					   : fwd->opts->v6.scope;
	return open_one(fwd, rule, &spec);
}

int fwd_listener_close(struct fwd *fwd, const struct fwd_rule *rule,
		       in_port_t port)
{
	struct fwd_listener *l;
	unsigned i;
	int n = 0;

	for (i = 0; i < fwd->nlisteners; i++) {
		l = &fwd->listener[i];
		if (l->fd < 0 || l->rule != rule || l->port != port)
			continue;
		close(l->fd);
		drop_slot(fwd, l);
		n++;
	}
	return n;
}

int fwd_listener_close_auto(struct fwd *fwd, uint8_t pif, uint8_t proto,
			    const struct port_set *ports)
{
	struct fwd_listener *l;
	unsigned i;
	int n = 0;

	for (i = 0; i < fwd->nlisteners; i++) {
		l = &fwd->listener[i];
		if (l->fd < 0 || !l->rule->scan || l->rule->pif != pif ||
		    l->rule->proto != proto || !port_set_has(ports, l->port))
			continue;
		close(l->fd);
		drop_slot(fwd, l);
		n++;
	}
	return n;
}
