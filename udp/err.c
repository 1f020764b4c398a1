/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors: what ICMP told the sockets of flows, told to the guest
 *
 * With IP_RECVERR and IPV6_RECVERR (ip(7), ipv6(7)) the kernel queues each ICMP
 * error together with the datagram it is about and who sent it. For flows of
 * the guest it becomes an ICMP error again. A spliced flow's peer has no socket
 * of ours to raise it on: there it ends.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/errqueue.h>

#include "icmp_error.h"
#include "lib/log.h"
#include "udp/internal.h"

/* #syscalls recvmsg */

/* Reports read at once: a peer can make as many as it likes */
#define ERRORS_MAX 64

/* Payload quoted is no more than this: a minimal IPv6 MTU (RFC 4443 2.4) */
#define QUOTE_MAX 1280

/* Header, address of the offender, PKTINFO */
#define ERR_CTL                                        \
	(CMSG_SPACE(sizeof(struct sock_extended_err) + \
		    sizeof(struct sockaddr_in6)) +     \
	 2 * CMSG_SPACE(sizeof(struct in6_pktinfo)))

/* One report: the error, who sent it, what it is about, who had sent that */
struct report {
	struct sock_extended_err ee;
	union inany_addr offender;
	bool named;
	union inany_addr dst;
	in_port_t dport;
	union inany_addr local;
	uint8_t quote[QUOTE_MAX];
	size_t len;
};

/* Take apart an error and who sent it, @len bytes */
static bool parse_error(const uint8_t *p, size_t len, struct report *r)
{
	union sockaddr_any sa = { .sa.sa_family = AF_UNSPEC };
	in_port_t port;

	if (len < sizeof(r->ee))
		return false;
	memcpy(&r->ee, p, sizeof(r->ee));
	len -= sizeof(r->ee);
	memcpy(&sa, p + sizeof(r->ee), len < sizeof(sa) ? len : sizeof(sa));
	r->named = !inany_from_sockaddr(&r->offender, &port, &sa);
	return true;
}

/* Take apart the control data, any of which may be cut */
static bool parse(struct msghdr *m, struct report *r)
{
	struct in6_pktinfo p6;
	struct in_pktinfo p4;
	struct cmsghdr *c;
	bool found = false;

	r->named = false;
	r->local = inany_any6;
	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);
		const uint8_t *data = CMSG_DATA(c);

		if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO &&
		    len >= sizeof(p4)) {
			memcpy(&p4, data, sizeof(p4));
			r->local = inany_from_v4(p4.ipi_addr);
		} else if (c->cmsg_level == SOL_IPV6 &&
			   c->cmsg_type == IPV6_PKTINFO && len >= sizeof(p6)) {
			memcpy(&p6, data, sizeof(p6));
			inany_from_af(&r->local, AF_INET6, &p6.ipi6_addr);
		} else if ((c->cmsg_level == SOL_IP &&
			    c->cmsg_type == IP_RECVERR) ||
			   (c->cmsg_level == SOL_IPV6 &&
			    c->cmsg_type == IPV6_RECVERR)) {
			found |= parse_error(data, len, r);
		}
	}
	return found;
}

/* Read one report. Return: bytes quoted, or -errno */
static int read_report(int fd, struct report *r)
{
	uint8_t ctl[ERR_CTL] __attribute__((aligned(sizeof(size_t))));
	struct iovec iov = { r->quote, sizeof(r->quote) };
	union sockaddr_any to;
	struct msghdr m = { .msg_name = &to,
			    .msg_namelen = sizeof(to),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = ctl,
			    .msg_controllen = sizeof(ctl) };
	ssize_t n;

	to.sa.sa_family = AF_UNSPEC;
	n = recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	r->len = (size_t)n;
	if (inany_from_sockaddr(&r->dst, &r->dport, &to))
		r->dport = 0;
	if (!parse(&m, r))
		r->ee.ee_errno = 0;
	return (int)n;
}

/* Pass a report on to the guest, if the flow is its */
static void pass_on(struct udp *u, const struct udp_flow *f, unsigned side,
		    struct report *r)
{
	const struct flowside *s = &f->f.side[side];
	const struct flowside *tap = &f->f.side[!side];
	const union inany_addr *by = NULL;
	union inany_addr shown;

	u->stats.errors++;
	if (f->f.pif[!side] != PIF_TAP || !r->ee.ee_errno)
		return;
	/* The destination itself is who the guest knows it as */
	if (r->named && !inany_equals(&r->offender, &s->eaddr) &&
	    inany_af(&r->offender) == inany_af(&tap->eaddr) &&
	    udp_shown(u, tap, &r->offender, 0, &shown))
		by = &shown;
	if (!icmp_error_udp(u->tap, tap, &r->ee, by, r->quote, r->len, r->len))
		u->stats.icmp_sent++;
}

unsigned udp_err_drain(struct udp *u, struct udp_flow *f, unsigned side)
{
	struct report r;
	unsigned n;

	for (n = 0; n < ERRORS_MAX; n++) {
		if (read_report(f->fd[side], &r) < 0)
			break;
		pass_on(u, f, side, &r);
	}
	/* One that is not in the queue makes the next call fail: take it */
	if (!n && sock_error(f->fd[side]))
		n = 1;
	return n;
}

unsigned udp_err_listener(struct udp *u, uint32_t id)
{
	const struct fwd_listener *l;
	struct flowside s;
	struct report r;
	unsigned n;

	if (id >= u->fwd->nlisteners || u->fwd->listener[id].fd < 0)
		return 0;
	l = &u->fwd->listener[id];
	for (n = 0; n < ERRORS_MAX; n++) {
		struct flow *f;
		unsigned side;

		if (read_report(l->fd, &r) < 0)
			break;
		s = (struct flowside){ .oaddr = r.local,
				       .eaddr = r.dst,
				       .oport = l->port,
				       .eport = r.dport };
		f = flow_lookup(u->flows, IPPROTO_UDP, l->rule->pif, &s, &side);
		if (f)
			pass_on(u, (struct udp_flow *)f, side, &r);
	}
	if (!n && sock_error(l->fd))
		n = 1;
	return n;
}

void udp_err_local(struct udp *u, const struct flowside *tap, int err,
		   const struct iov_tail *payload)
{
	struct sock_extended_err ee = { .ee_errno = (uint32_t)err,
					.ee_origin = SO_EE_ORIGIN_LOCAL };
	uint8_t quote[QUOTE_MAX];
	size_t n = iov_tail_copy(payload, quote, sizeof(quote));

	debug_limited("UDP: datagram refused: %s", errstr(err));
	if (!icmp_error_udp(u->tap, tap, &ee, NULL, quote, n, payload->len))
		u->stats.icmp_sent++;
}
