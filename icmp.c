/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ICMP and ICMPv6 echo through ping sockets
 *
 * Raw sockets are not for unprivileged processes, ping sockets are (icmp(7),
 * ping_group_range): of all of ICMP, they know echo requests and replies. The
 * kernel puts the identifier in, which is the local port of the socket, and the
 * checksum; type, sequence number and payload are ours.
 *
 * A flow stands for the source, destination and identifier of the guest. Its
 * socket is bound to the same identifier, so that captures on both sides look
 * alike; if that is taken, the kernel chooses another one and replies are
 * rewritten. Ping sockets would share an identifier unless told not to, and then
 * all replies go to the one bound last. Sixty seconds without a request end it.
 *
 * TTL and hop limit are carried over in both directions, and what comes back
 * in the error queue of the socket (IP_RECVERR) becomes an ICMP error that
 * quotes the guest's own packet: that is what traceroute looks at.
 *
 * Errors and other messages of the guest have no way out through such a socket
 * and are dropped.
 */

#include "icmp.h"

#include <time.h> /* struct timespec, for linux/errqueue.h */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "fwd.h"
#include "icmp_error.h"
#include "l4check.h"
#include "lib/csum.h"
#include "lib/log.h"
#include "sock.h"
#include "tap.h"
#include "wire/icmp.h"

#define PING_IDLE_MS   60000
#define PING_BURST     32   /* messages taken from a socket in one turn */
#define PING_IOVS      16   /* most buffers of a message from the guest */
#define PING_QUOTE_MAX 1280 /* bytes of an offending message we look at */
#define PING_SYSCTL    "net.ipv4.ping_group_range" /* of both families */

/**
 * struct ping_flow - Echo between one source, destination and identifier
 * @f:		Common part
 * @fd:		Ping socket
 * @id:		Identifier on the host's side, host order
 * @ttl:	TTL or hop limit the socket sends with, 0: not set yet
 */
struct ping_flow {
	struct flow f;
	int fd;
	uint16_t id;
	uint8_t ttl;
};

_Static_assert(sizeof(struct ping_flow) <= FLOW_SLOT, "must fit a slot");

/* What differs between the families; index: is it IPv4? */
static const struct ping_af {
	uint8_t proto, request, reply;
	sa_family_t af;
	int level, ttl_opt, ttl_cmsg, err_cmsg;
	const char *name;
} ping_afs[2] = {
	{ IPPROTO_ICMPV6, ICMP6_ECHO_REQUEST, ICMP6_ECHO_REPLY, AF_INET6,
	  IPPROTO_IPV6, IPV6_UNICAST_HOPS, IPV6_HOPLIMIT, IPV6_RECVERR,
	  "IPv6" },
	{ IPPROTO_ICMP, ICMP4_ECHO_REQUEST, ICMP4_ECHO_REPLY, AF_INET,
	  IPPROTO_IP, IP_TTL, IP_TTL, IP_RECVERR, "IPv4" },
};

static const struct ping_af *ping_af(const union inany_addr *a)
{
	return &ping_afs[inany_v4(a) ? 1 : 0];
}

/* #syscalls socket(0=AF_INET,1&0xf=SOCK_DGRAM,2=IPPROTO_ICMP)
 * #syscalls socket(0=AF_INET6,1&0xf=SOCK_DGRAM,2=IPPROTO_ICMPV6)
 * #syscalls sendmsg recvmsg getsockname close
 * #syscalls setsockopt(1=SOL_IP,2=IP_TTL)
 * #syscalls setsockopt(1=SOL_IPV6,2=IPV6_UNICAST_HOPS)
 */

/* A message received from a ping socket, or from its error queue */
static uint8_t ping_buf[IPV4_MAX_LEN];

/*
 * Flows
 */

static void ping_close(struct icmp *icmp, struct ping_flow *ping)
{
	flow_list_del(icmp->flows, &icmp->used, &ping->f);
	close(ping->fd);
	flow_free(icmp->flows, &ping->f);
}

/* No ping socket: count it, say why once */
static void ping_refused(struct icmp *icmp, const struct ping_af *af, int rc)
{
	bool *said = af->af == AF_INET ? &icmp->denied4 : &icmp->denied6;

	if (rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM || rc == -ENOBUFS) {
		icmp->stats.no_fd++;
		return;
	}

	icmp->stats.denied++;
	if (*said)
		return;
	*said = true;
	if (rc == -EACCES || rc == -EPERM)
		warn("%s echo requests are dropped: group %u may not use ping "
		     "sockets, see sysctl " PING_SYSCTL,
		     af->name, icmp->gid);
	else
		warn("%s echo requests are dropped: no ping socket: %s",
		     af->name, errstr(rc));
}

/* Socket for a flow, with the identifier wanted if it is free; or -errno */
static int ping_socket(const struct icmp *icmp, const struct flowside *host,
		       uint16_t id)
{
	const struct fwd_map *map = fwd_map_of(icmp->fwd, &host->eaddr);
	const struct ping_af *af = ping_af(&host->eaddr);
	struct sock_spec spec = {
		.af = af->af,
		.type = SOCK_DGRAM,
		.proto = af->proto,
		.bind = &host->oaddr,
		.port = id,
		.alone = true,
		.scope = map->scope,
		.freebind = icmp->fwd->opts->freebind,
		.recverr = true,
		.recvttl = true,
	};
	int fd;

	if (inany_is_unspecified(&host->oaddr))
		spec.bind = af->af == AF_INET ? &inany_any4 : &inany_any6;
	if (!inany_is_loopback(&host->eaddr))
		spec.ifname = map->outbound_if;

	fd = sock_open(&spec);
	if (fd == -EADDRINUSE) {
		spec.port = 0;
		fd = sock_open(&spec);
	}
	return fd;
}

/* Identifier the socket has got, or -errno */
static int ping_socket_id(int fd)
{
	union sockaddr_any sa;
	socklen_t len = sizeof(sa);
	union inany_addr addr;
	in_port_t port;
	int rc;

	if (getsockname(fd, &sa.sa, &len) < 0)
		return -errno;
	rc = inany_from_sockaddr(&addr, &port, &sa);
	return rc ? rc : port;
}

/* Watch the socket of a new flow, make it findable; 0 or -errno */
static int ping_start(struct icmp *icmp, struct ping_flow *ping)
{
	const union epoll_ref ref = {
		.type = EPOLL_PING,
		.id = flow_idx(icmp->flows, &ping->f),
	};
	int rc;

	rc = ping_socket_id(ping->fd);
	if (rc < 0)
		return rc;
	ping->id = (uint16_t)rc;
	ping->f.side[TGTSIDE].oport = ping->id;
	ping->f.side[TGTSIDE].eport = ping->id;

	rc = loop_add(icmp->loop, ping->fd, EPOLLIN, ref);
	if (rc)
		return rc;

	flow_hash_side(icmp->flows, &ping->f, INISIDE);
	icmp->stats.flows++;
	flow_begin(icmp->flows, &ping->f);
	return 0;
}

/* New flow, NULL (counted) if there can be none */
static struct ping_flow *ping_new(struct icmp *icmp, const struct flowside *tap)
{
	const struct ping_af *af = ping_af(&tap->eaddr);
	struct ping_flow *ping;
	struct flowside host;
	int fd, rc;

	if (!fwd_from_tap(icmp->fwd, af->proto, tap, &host)) {
		icmp->stats.dropped++;
		return NULL;
	}

	fd = ping_socket(icmp, &host, tap->eport);
	if ((fd == -EMFILE || fd == -ENFILE) &&
	    flow_evict(icmp->flows, FLOW_PING, true))
		fd = ping_socket(icmp, &host, tap->eport);
	if (fd < 0) {
		ping_refused(icmp, af, fd);
		return NULL;
	}

	ping = (struct ping_flow *)flow_new(icmp->flows, FLOW_PING);
	if (!ping) {
		icmp->stats.table_full++;
		close(fd);
		return NULL;
	}
	flow_list_add(icmp->flows, &icmp->used, &ping->f);
	ping->fd = fd;
	ping->f.proto = af->proto;
	ping->f.pif[INISIDE] = PIF_TAP;
	ping->f.pif[TGTSIDE] = PIF_HOST;
	ping->f.side[INISIDE] = *tap;
	ping->f.side[TGTSIDE] = host;

	rc = ping_start(icmp, ping);
	if (rc) {
		debug_limited("Cannot watch ping socket: %s", errstr(rc));
		icmp->stats.no_fd++;
		ping_close(icmp, ping);
		return NULL;
	}
	return ping;
}

static struct ping_flow *ping_find(struct icmp *icmp,
				   const struct packet_group *g)
{
	const struct flowside tap = {
		.oaddr = g->dst,
		.eaddr = g->src,
		.oport = g->sport,
		.eport = g->sport,
	};
	struct flow *f;

	f = flow_lookup(icmp->flows, g->proto, PIF_TAP, &tap, NULL);
	return f ? (struct ping_flow *)f : ping_new(icmp, &tap);
}

/*
 * Guest to host
 */

/* The kernel refused to send: the guest is told if ICMP has a word for it */
static void ping_send_failed(struct icmp *icmp, const struct ping_flow *ping,
			     const struct packet *p, int error)
{
	const struct sock_extended_err ee = {
		.ee_errno = (uint32_t)error,
		.ee_origin = SO_EE_ORIGIN_LOCAL,
	};
	uint8_t quote[PING_QUOTE_MAX];
	size_t n = iov_tail_copy(&p->l4, quote, sizeof(quote));

	debug_limited("Cannot send echo request: %s", errstr(error));
	icmp->stats.dropped++;

	/* An MTU would be needed with that one, and there is none */
	if (error == EMSGSIZE)
		return;
	icmp_error_from_sock(icmp->tap, &ping->f.side[INISIDE], ping->f.proto,
			     &ee, NULL, quote, n, p->l4.len);
}

/* Send one request */
static void ping_send(struct icmp *icmp, struct ping_flow *ping,
		      const struct packet *p)
{
	const struct flowside *host = &ping->f.side[TGTSIDE];
	const struct fwd_map *map = fwd_map_of(icmp->fwd, &host->eaddr);
	struct iovec iov[PING_IOVS];
	union sockaddr_any sa;
	struct msghdr msg = {
		.msg_name = &sa,
		.msg_namelen = sockaddr_from_inany(&sa, &host->eaddr, 0,
						   map->scope),
		.msg_iov = iov,
	};
	int n = iov_tail_iov(&p->l4, iov, PING_IOVS), error, tries = 2;

	if (n <= 0) {
		icmp->stats.dropped++;
		return;
	}
	msg.msg_iovlen = (size_t)n;

	/* An error of an earlier request may be reported instead: once more */
	do {
		if (sendmsg(ping->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return;
		error = errno;
	} while (--tries && error != EAGAIN);

	ping_send_failed(icmp, ping, p, error);
}

/* Is a message of the guest an echo request in one piece? */
static bool ping_valid(const struct packet_group *g, const struct packet *p)
{
	const struct icmp_echo *echo;
	struct icmp_echo store;

	echo = IOV_PEEK(&p->l4, &store);
	return echo && !echo->code && l4check_csum(g, p);
}

/* TTL of what is sent from here on */
static void ping_set_ttl(struct ping_flow *ping, uint8_t ttl)
{
	const struct ping_af *af = ping_af(&ping->f.side[INISIDE].eaddr);

	if (ping->ttl == ttl || !ttl)
		return;
	if (!sock_set_int(ping->fd, af->level, af->ttl_opt, ttl))
		ping->ttl = ttl;
}

void icmp_tap_input(void *ctx, const struct packet_group *g)
{
	struct ping_flow *ping = NULL;
	const struct packet *p;
	struct icmp *icmp = ctx;

	if (g->icmp_type != ping_af(&g->src)->request) {
		icmp->stats.dropped += g->n;
		return;
	}

	for (p = g->first; p; p = p->next) {
		if (!ping_valid(g, p)) {
			icmp->stats.bad_echo++;
			continue;
		}
		if (!ping)
			ping = ping_find(icmp, g);
		if (!ping) {
			while ((p = p->next))
				icmp->stats.dropped++;
			return;
		}
		ping_set_ttl(ping, g->ttl);
		ping_send(icmp, ping, p);
	}
	if (!ping)
		return;
	loop_arm(icmp->loop, &ping->f.timer, PING_IDLE_MS);
	flow_list_del(icmp->flows, &icmp->used, &ping->f);
	flow_list_add(icmp->flows, &icmp->used, &ping->f);
}

/*
 * Host to guest
 */

/* A message from a ping socket and what the kernel says of it */
struct ping_msg {
	size_t len;
	union inany_addr from;
	uint8_t ttl;
	struct sock_extended_err ee; /* error queue only */
	bool has_ee;
	union inany_addr offender; /* :: if there is none */
};

/* An error from the queue and its reporter */
static void ping_parse_ee(struct ping_msg *m, const struct cmsghdr *c)
{
	size_t off = CMSG_LEN(sizeof(m->ee)), len = c->cmsg_len;
	union sockaddr_any sa = { .sa.sa_family = AF_UNSPEC };
	in_port_t port;

	if (len < off)
		return;
	memcpy(&m->ee, CMSG_DATA(c), sizeof(m->ee));
	m->has_ee = true;

	/* SO_EE_OFFENDER(): behind it, see ip(7) */
	len = len - off < sizeof(sa) ? len - off : sizeof(sa);
	memcpy(&sa, CMSG_DATA(c) + sizeof(m->ee), len);
	if (inany_from_sockaddr(&m->offender, &port, &sa))
		m->offender = inany_any6;
}

static void ping_parse_cmsg(struct ping_msg *m, struct msghdr *msg,
			    const struct ping_af *af)
{
	struct cmsghdr *c;
	int ttl;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != af->level)
			continue;
		if (c->cmsg_type == af->err_cmsg) {
			ping_parse_ee(m, c);
		} else if (c->cmsg_type == af->ttl_cmsg &&
			   c->cmsg_len >= CMSG_LEN(sizeof(ttl))) {
			memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
			m->ttl = (uint8_t)ttl;
		}
	}
}

/* Receive one message into ping_buf; 0 or -errno */
static int ping_recv(const struct ping_flow *ping, int flags,
		     struct ping_msg *m)
{
	const struct ping_af *af = ping_af(&ping->f.side[INISIDE].eaddr);
	_Alignas(struct cmsghdr) char control[256];
	struct iovec iov = { ping_buf, sizeof(ping_buf) };
	union sockaddr_any sa = { .sa.sa_family = AF_UNSPEC };
	struct msghdr msg = {
		.msg_name = &sa,
		.msg_namelen = sizeof(sa),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	in_port_t port;
	ssize_t n;

	n = recvmsg(ping->fd, &msg, MSG_DONTWAIT | flags);
	if (n < 0)
		return -errno;

	memset(m, 0, sizeof(*m));
	m->len = (size_t)n;
	ping_parse_cmsg(m, &msg, af);
	if (inany_from_sockaddr(&m->from, &port, &sa))
		m->from = inany_any6;
	return 0;
}

/* One reply to the guest */
static void ping_reply(struct icmp *icmp, const struct ping_flow *ping,
		       const struct ping_msg *m)
{
	const struct flowside *tap = &ping->f.side[INISIDE];
	const struct ping_af *af = ping_af(&tap->eaddr);
	const union inany_addr *asked = &ping->f.side[TGTSIDE].eaddr;
	struct l3_spec l3 = { .src = &tap->oaddr,
			      .dst = &tap->eaddr,
			      .proto = af->proto,
			      .ttl = m->ttl };
	struct icmp_echo echo;

	memcpy(&echo, ping_buf, sizeof(echo));
	if (m->len < sizeof(echo) || echo.type != af->reply || echo.code) {
		icmp->stats.bad_echo++;
		return;
	}

	/* Groups answer with the addresses of their members */
	if (inany_is_multicast(asked))
		l3.src = &m->from;
	else if (!inany_equals(asked, &m->from))
		goto drop;
	if (ping_af(l3.src) != af)
		goto drop;

	echo.id = htons(tap->eport);
	echo.csum = 0;
	memcpy(ping_buf, &echo, sizeof(echo));
	if (!tap_send_l4(icmp->tap, &l3, ping_buf, m->len,
			 offsetof(struct icmp_echo, csum)))
		return;
drop:
	icmp->stats.dropped++;
}

/* One error to the guest: its own request is quoted, with its own identifier,
 * the checksum adapted to it (RFC 1624)
 */
static void ping_error(struct icmp *icmp, const struct ping_flow *ping,
		       const struct ping_msg *m)
{
	const struct flowside *tap = &ping->f.side[INISIDE];
	const struct flowside *host = &ping->f.side[TGTSIDE];
	const union inany_addr *offender = &m->offender;
	struct icmp_echo echo;
	uint32_t sum;

	memcpy(&echo, ping_buf, sizeof(echo));
	if (!m->has_ee || m->len < sizeof(echo))
		goto drop;

	if (echo.id != htons(tap->eport)) {
		sum = (uint16_t)~echo.csum;
		sum += (uint16_t)~echo.id;
		sum += htons(tap->eport);
		echo.csum = (uint16_t)~csum_fold(sum);
		echo.id = htons(tap->eport);
		memcpy(ping_buf, &echo, sizeof(echo));
	}

	/* What the guest knows under another name */
	if (inany_equals(offender, &host->eaddr))
		offender = &tap->oaddr;
	if (!icmp_error_from_sock(icmp->tap, tap, ping->f.proto, &m->ee,
				  offender, ping_buf, m->len, m->len))
		return;
drop:
	icmp->stats.dropped++;
}

/* Empty the error queue, or as much as a turn should take */
static void ping_errors(struct icmp *icmp, const struct ping_flow *ping)
{
	struct ping_msg m = { 0 };
	int i;

	for (i = 0; i < PING_BURST; i++) {
		if (ping_recv(ping, MSG_ERRQUEUE, &m))
			break;
		ping_error(icmp, ping, &m);
	}
	/* It keeps the descriptor ready as long as it is pending */
	sock_error(ping->fd);
}

void icmp_sock_event(void *ctx, union epoll_ref ref, uint32_t events)
{
	struct icmp *icmp = ctx;
	struct ping_flow *ping;
	struct ping_msg m = { 0 };
	int i, rc;

	ping = (struct ping_flow *)flow_at(icmp->flows, ref.id, FLOW_PING);
	if (!ping)
		return;

	if (events & EPOLLERR)
		ping_errors(icmp, ping);

	for (i = 0; i < PING_BURST; i++) {
		rc = ping_recv(ping, 0, &m);
		if (rc == -EAGAIN)
			break;
		if (!rc)
			ping_reply(icmp, ping, &m);
	}
}

void icmp_flow_timer(void *ctx, struct flow *f)
{
	ping_close(ctx, (struct ping_flow *)f);
}

bool icmp_flow_evict(void *ctx, bool fd)
{
	struct icmp *icmp = ctx;
	struct flow *f = flow_list_first(icmp->flows, &icmp->used);

	(void)fd; /* all of them have one */
	if (!f)
		return false;
	icmp->stats.evicted++;
	ping_close(icmp, (struct ping_flow *)f);
	return true;
}
