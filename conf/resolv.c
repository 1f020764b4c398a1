/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nameservers and search list of the host, and what the guest gets of them
 *
 * The guest is told the nameservers of the host, with one difficulty: one that
 * listens on the loopback address of the host cannot be reached as that. Then
 * an address takes its place which the guest can use: the one of --dns-forward
 * or else the one that stands for the host's loopback, usually the gateway's.
 * Queries to this stand-in (dns_match) go to the first nameserver (dns_host).
 *
 * The same translation is needed if the gateway is itself a nameserver: its
 * address stands for the host's loopback, but queries are to reach it.
 *
 * A stand-in and the nameserver behind it need not be of one IP version: all
 * that is known to the guest is the stand-in.
 */

#include "conf/resolv.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "lib/inany.h"
#include "lib/lineread.h"

#define LABEL_MAX 63 /* RFC 1035 2.3.4 */
#define BLANKS    " \t"

bool domain_copy(char *dst, size_t max, const char *s, size_t len)
{
	size_t i, label = 0;

	if (len && s[len - 1] == '.')
		len--;
	if (!len || len >= max || len >= DOMAIN_MAX - 2)
		return false;

	for (i = 0; i < len; i++) {
		const bool dot = s[i] == '.';

		if (dot && !label)
			return false;
		if (!dot && !isalnum((unsigned char)s[i]) && s[i] != '-' &&
		    s[i] != '_')
			return false;
		label = dot ? 0 : label + 1;
		if (label > LABEL_MAX)
			return false;
	}
	if (!label)
		return false;

	memcpy(dst, s, len);
	dst[len] = '\0';
	return true;
}

/* Add an address unless it is there already or there is no room */
static void dns_add(union inany_addr *list, unsigned *n,
		    const union inany_addr *a)
{
	unsigned i;

	for (i = 0; i < *n; i++) {
		if (inany_equals(&list[i], a))
			return;
	}
	if (*n < GUEST_DNS_MAX)
		list[(*n)++] = *a;
}

/* "nameserver ADDR": the scope of a link-local address is ours alone */
static void resolv_nameserver(struct resolv *r, char *text)
{
	union inany_addr a;

	text[strcspn(text, "%" BLANKS)] = '\0';
	if (inany_pton(text, &a))
		return;
	/* resolv.conf(5): the unspecified address means this host */
	if (inany_is_unspecified(&a))
		a = inany_v4(&a) ? inany_loopback4 : inany_loopback6;
	if (!inany_is_unicast(&a))
		return;
	if (inany_v4(&a))
		dns_add(r->dns4, &r->n4, &a);
	else
		dns_add(r->dns6, &r->n6, &a);
}

/* "search LIST": the last one counts */
static void resolv_search(struct resolv *r, const char *text)
{
	size_t len;

	r->nsearch = 0;
	for (; *text && r->nsearch < GUEST_SEARCH_MAX; text += len) {
		text += strspn(text, BLANKS);
		len = strcspn(text, BLANKS);
		if (domain_copy(r->search[r->nsearch], DOMAIN_MAX, text, len))
			r->nsearch++;
	}
}

/* One line, in pieces */
static void resolv_line(struct resolv *r, char *line)
{
	size_t len;
	char *val;

	line[strcspn(line, "#;\r")] = '\0';
	len = strcspn(line, BLANKS);
	val = line + len;
	val += strspn(val, BLANKS);

	if (len == strlen("nameserver") && !strncmp(line, "nameserver", len))
		resolv_nameserver(r, val);
	else if (len == strlen("search") && (!strncmp(line, "search", len) ||
					     !strncmp(line, "domain", len)))
		resolv_search(r, val);
}

int resolv_read(struct resolv *r, const char *path)
{
	struct lineread lr;
	ssize_t rc;
	char *line;
	int fd;

	memset(r, 0, sizeof(*r));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	lineread_init(&lr, fd);
	while ((rc = lineread_next(&lr, &line)) >= 0)
		resolv_line(r, line);
	close(fd);
	return rc == -ENODATA ? 0 : (int)rc;
}

/* The nameserver behind the stand-in of each family, own family first */
static void dns_hosts(struct conf *c, const struct resolv *r)
{
	struct fwd_map *m4 = &c->fwd.v4, *m6 = &c->fwd.v6;
	union inany_addr first4 = m4->dns_host, first6 = m6->dns_host;

	if (inany_is_unspecified(&first4) && r->n4)
		first4 = r->dns4[0];
	if (inany_is_unspecified(&first6) && r->n6)
		first6 = r->dns6[0];

	m4->dns_host = inany_is_unspecified(&first4) ? first6 : first4;
	m6->dns_host = inany_is_unspecified(&first6) ? first4 : first6;
	if (inany_is_unspecified(&m4->dns_host)) { /* so is the other */
		m4->dns_host = inany_any4;
		m6->dns_host = inany_any6;
	}
}

/* The stand-in of a family for a nameserver, unspecified if there is none */
static union inany_addr dns_stand_in(struct fwd_map *m)
{
	if (inany_is_unspecified(&m->dns_match))
		m->dns_match = m->host_loopback;
	return m->dns_match;
}

/* Tell the guest the host's nameservers of one family */
static void dns_offer(struct fwd_map *m, const union inany_addr *list,
		      unsigned nlist, union inany_addr *dst, unsigned *ndst)
{
	union inany_addr a;
	unsigned i;

	for (i = 0; i < nlist; i++) {
		a = list[i];
		if (inany_is_loopback(&a) ||
		    inany_equals(&a, &m->host_loopback))
			a = dns_stand_in(m);
		if (!inany_is_unspecified(&a))
			dns_add(dst, ndst, &a);
	}
}

/* No nameserver of a family in use, but there is one of the other */
static void dns_offer_other(struct conf *c)
{
	struct guest_offer *offer = &c->guest.offer;
	union inany_addr a;

	if (c->guest.v4.on && !inany_is_unspecified(&c->fwd.v4.dns_host)) {
		a = dns_stand_in(&c->fwd.v4);
		if (!inany_is_unspecified(&a))
			dns_add(offer->dns4, &offer->ndns4, &a);
	} else if (c->guest.v6.on &&
		   !inany_is_unspecified(&c->fwd.v6.dns_host)) {
		a = dns_stand_in(&c->fwd.v6);
		if (!inany_is_unspecified(&a))
			dns_add(offer->dns6, &offer->ndns6, &a);
	}
}

/* Stand-ins with nothing behind them would swallow queries */
static void dns_check(struct fwd_map *m)
{
	char a[INANY_STRLEN];

	if (inany_is_unspecified(&m->dns_match) ||
	    !inany_is_unspecified(&m->dns_host))
		return;
	warn("No nameserver to forward queries to %s to: give one with "
	     "--dns-host",
	     inany_ntop(&m->dns_match, a));
}

void conf_dns(struct conf *c, const struct resolv *r)
{
	const struct resolv none = { .n4 = 0 };
	struct guest_offer *offer = &c->guest.offer;

	if (!c->given.search) {
		memcpy(offer->search, r->search, sizeof(offer->search));
		offer->nsearch = r->nsearch;
	}
	if (c->given.no_dns)
		r = &none;
	c->why_dns = c->given.dns      ? "--dns"
		     : c->given.no_dns ? "--dns none"
				       : "/etc/resolv.conf";

	dns_hosts(c, r);
	if (!c->given.dns && !c->given.no_dns) {
		if (c->guest.v4.on)
			dns_offer(&c->fwd.v4, r->dns4, r->n4, offer->dns4,
				  &offer->ndns4);
		if (c->guest.v6.on)
			dns_offer(&c->fwd.v6, r->dns6, r->n6, offer->dns6,
				  &offer->ndns6);
		if (!offer->ndns4 && !offer->ndns6)
			dns_offer_other(c);
	}
	dns_check(&c->fwd.v4);
	dns_check(&c->fwd.v6);
}
