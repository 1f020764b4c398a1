/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The language of -t, -u, -T, -U: a pure parser from text to rules
 *
 *   SPEC    := "none" | GROUP { "," GROUP }
 *   GROUP   := [ LISTEN "/" ] CHUNK { "," CHUNK }
 *   LISTEN  := [ ADDR | "*" ] [ "%" IFNAME ]
 *   CHUNK   := "all" [ ":" ADDR ] | "auto" | "~" RANGE
 *            | RANGE [ ":" RANGE | ":" ADDR [ "/" RANGE ] ]
 *   RANGE   := PORT [ "-" PORT ]
 *   ADDR    := IPv4 | IPv6, in brackets or not
 *
 * A group is read as if it were an option of its own: exclusions (~) and
 * "auto" count for the group they stand in, wherever they stand. Without any
 * RANGE to include, the group means all ports but the ephemeral ones of the
 * host and those excluded, as far as they can be had ("weak").
 *
 * Exclusions cut ranges into several rules. No two rules of a direction may
 * lay claim to the same port on the same address: the first one would win in
 * silence. Rules on different interfaces do not collide, as in the kernel.
 *
 * A target such as 80:2001:db8::1/80 would also be a listening address, and
 * is taken for that: brackets, 80:[2001:db8::1]/80, say what is meant.
 *
 * In the namespace we listen on its loopback interface and nowhere else. For
 * one IP version that is its loopback address; "dual" stands for both.
 *
 * "none" adds nothing, wherever it comes: callers append it to what the user
 * asked for without knowing.
 */

#include "conf/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/bitmap.h"
#include "lib/inany.h"

#define PORT_MAX 65535

/* Address, in brackets or not, with interface and NUL */
#define LISTEN_STRLEN (INANY_STRLEN + IFNAMSIZ + sizeof("[]%"))

struct range {
	in_port_t first, last;
};

enum chunk_kind { CHUNK_ALL, CHUNK_AUTO, CHUNK_EXCLUDE, CHUNK_RANGE };

struct chunk {
	enum chunk_kind kind;
	struct range from, to;
	union inany_addr taddr; /* unspecified: none */
};

/**
 * struct parser - State of one specifier
 * @rules, @env, @spec, @msg: As of ports_parse()
 * @base:	What the rules of the present group have in common
 * @excluded:	Its exclusions
 */
struct parser {
	struct fwd_rules *rules;
	const struct ports_env *env;
	const char *spec;
	char *msg;
	struct fwd_rule base;
	struct port_set excluded;
};

bool ports_ifname_ok(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= IFNAMSIZ || !strcmp(name, ".") ||
	    !strcmp(name, ".."))
		return false;
	return strcspn(name, "/: \t\n\v\f\r") == len;
}

/* Fill in the message */
__attribute__((format(printf, 3, 4))) static int fail(struct parser *p, int rc,
						      const char *fmt, ...)
{
	va_list ap;
	int n;

	n = snprintf(p->msg, PORTS_ERR_MAX,
		     "Invalid port specifier '%.128s': ", p->spec);
	va_start(ap, fmt);
	vsnprintf(p->msg + n, PORTS_ERR_MAX - (size_t)n, fmt, ap);
	va_end(ap);
	return rc;
}

/* Take a decimal port off @s */
static bool get_port(const char **s, const char *end, in_port_t *port)
{
	const char *p = *s;
	unsigned n = 0;

	while (p < end && *p >= '0' && *p <= '9' && n <= PORT_MAX)
		n = n * 10 + (unsigned)(*p++ - '0');
	if (p == *s || n > PORT_MAX)
		return false;
	*port = (in_port_t)n;
	*s = p;
	return true;
}

/* Take PORT [ "-" PORT ] off @s */
static bool get_range(const char **s, const char *end, struct range *r)
{
	if (!get_port(s, end, &r->first))
		return false;
	r->last = r->first;
	if (*s < end && **s == '-') {
		++*s;
		return get_port(s, end, &r->last) && r->first <= r->last;
	}
	return true;
}

/* Is all of @s to @end a range? */
static bool whole_range(const char *s, const char *end, struct range *r)
{
	return get_range(&s, end, r) && s == end;
}

/* Is all of @s to @end an address, in brackets or not? */
static bool whole_addr(const char *s, const char *end, union inany_addr *a)
{
	char buf[INANY_STRLEN];
	size_t len;

	if (end - s >= 2 && *s == '[' && end[-1] == ']') {
		s++;
		end--;
	}
	len = (size_t)(end - s);
	if (len >= sizeof(buf))
		return false;
	memcpy(buf, s, len);
	buf[len] = '\0';
	return !inany_pton(buf, a);
}

/* End of the list element that begins at @s */
static const char *element_end(const char *s)
{
	return s + strcspn(s, ",");
}

/* Does the element at @s begin with LISTEN "/"?
 *
 * Return: length of it with the slash, 0 if not; @r gets addr, dual, ifname
 */
static size_t get_listen(const char *s, struct fwd_rule *r)
{
	const char *end = element_end(s), *slash, *host_end, *pct;
	char ifname[LISTEN_STRLEN] = "";

	slash = memchr(s, '/', (size_t)(end - s));
	if (!slash || slash - s >= (ptrdiff_t)sizeof(ifname))
		return 0;

	pct = memchr(s, '%', (size_t)(slash - s));
	host_end = pct ? pct : slash;
	if (pct) {
		memcpy(ifname, pct + 1, (size_t)(slash - pct - 1));
		if (!ports_ifname_ok(ifname))
			return 0;
	}

	r->dual = s == host_end || (host_end - s == 1 && *s == '*');
	r->addr = inany_any6;
	if (!r->dual && !whole_addr(s, host_end, &r->addr))
		return 0;
	memset(r->ifname, 0, sizeof(r->ifname));
	memcpy(r->ifname, ifname, strlen(ifname));
	return (size_t)(slash - s) + 1;
}

/* What stands behind the colon of a range: RANGE | ADDR [ "/" RANGE ]
 *
 * Return: NULL, or what is wrong
 */
static const char *get_target(const char *s, const char *end, struct chunk *c)
{
	const char *slash = memchr(s, '/', (size_t)(end - s));
	struct range to;

	if (whole_range(s, end, &to)) {
		c->to = to;
		return NULL;
	}
	if (!whole_addr(s, slash ? slash : end, &c->taddr))
		return "target is neither PORT, PORT-PORT nor an address";
	if (!inany_is_unicast(&c->taddr))
		return "target address is not unicast";
	if (slash && !whole_range(slash + 1, end, &c->to))
		return "no PORT or PORT-PORT behind the target address";
	return NULL;
}

/* RANGE [ ":" target ] */
static const char *get_range_chunk(const char *s, const char *end,
				   struct chunk *c)
{
	const char *bad;

	if (!get_range(&s, end, &c->from))
		return "expected PORT, PORT-PORT (0 to 65535, rising), ~PORT, "
		       "all or auto";
	c->to = c->from;
	if (s != end && *s != ':')
		return "unexpected text behind the port";
	bad = s == end ? NULL : get_target(s + 1, end, c);
	if (bad)
		return bad;
	if (c->from.last - c->from.first != c->to.last - c->to.first)
		return "ranges to be mapped differ in length";
	if (!c->from.first || !c->to.first)
		return "cannot map from/to port 0";
	return NULL;
}

/* Read one chunk. Return: NULL, or what is wrong */
static const char *get_chunk(const char *s, const char *end, struct chunk *c)
{
	size_t len = (size_t)(end - s);

	memset(c, 0, sizeof(*c));
	if (!len)
		return "empty list element";

	if (*s == '~') {
		c->kind = CHUNK_EXCLUDE;
		return whole_range(s + 1, end, &c->from)
			       ? NULL
			       : "expected ~PORT or ~PORT-PORT";
	}
	if (len == 4 && !memcmp(s, "auto", 4)) {
		c->kind = CHUNK_AUTO;
		return NULL;
	}
	if (len >= 3 && !memcmp(s, "all", 3) && (len == 3 || s[3] == ':')) {
		c->kind = CHUNK_ALL;
		if (len == 3)
			return NULL;
		if (!whole_addr(s + 4, end, &c->taddr) ||
		    !inany_is_unicast(&c->taddr))
			return "expected a unicast address behind all:";
		return NULL;
	}
	c->kind = CHUNK_RANGE;
	return get_range_chunk(s, end, c);
}

/* Would two rules want the same port? */
static bool rules_conflict(const struct fwd_rule *a, const struct fwd_rule *b)
{
	if (a->proto != b->proto || a->first > b->last || b->first > a->last)
		return false;
	if (*a->ifname && *b->ifname && strcmp(a->ifname, b->ifname))
		return false;
	if (a->dual || b->dual)
		return true;
	if (inany_af(&a->addr) != inany_af(&b->addr))
		return false;
	return inany_is_unspecified(&a->addr) ||
	       inany_is_unspecified(&b->addr) ||
	       inany_equals(&a->addr, &b->addr);
}

/* Add one rule if nothing speaks against it */
static int add_rule(struct parser *p, const struct fwd_rule *new)
{
	char a[FWD_RULE_TEXT], b[FWD_RULE_TEXT];
	unsigned i;

	for (i = 0; i < p->rules->n; i++) {
		if (!rules_conflict(&p->rules->rule[i], new))
			continue;
		return fail(p, -EEXIST, "%s conflicts with previous %s",
			    fwd_rule_text(new, a, sizeof(a)),
			    fwd_rule_text(&p->rules->rule[i], b, sizeof(b)));
	}
	if (p->rules->n >= FWD_RULES_MAX)
		return fail(p, -ENOSPC, "more than %u rules", FWD_RULES_MAX);
	p->rules->rule[p->rules->n++] = *new;
	return 0;
}

/* Add rules for a range without what is excluded */
static int add_range(struct parser *p, const struct range *from, in_port_t to,
		     const union inany_addr *taddr)
{
	struct fwd_rule r = p->base;
	unsigned first, last;
	int rc;

	r.taddr = *taddr;
	for (first = port_set_next_absent(&p->excluded, from->first);
	     first <= from->last;
	     first = port_set_next_absent(&p->excluded, last + 1)) {
		last = port_set_next(&p->excluded, first) - 1;
		if (last > from->last)
			last = from->last;

		r.first = (in_port_t)first;
		r.last = (in_port_t)last;
		r.to = (in_port_t)(to + (first - from->first));
		rc = add_rule(p, &r);
		if (rc)
			return rc;
	}
	return 0;
}

/* May traffic of the present group go to this address? */
static int check_target(struct parser *p, const union inany_addr *taddr)
{
	const bool v4 = inany_v4(taddr);

	if (inany_is_unspecified(taddr))
		return 0;
	if (p->env->pif == PIF_SPLICE)
		return fail(p, -EINVAL,
			    "Target address not allowed, it is the loopback "
			    "address of the host");
	if (p->base.dual)
		return fail(p, -EINVAL,
			    "a target address needs a listening address of "
			    "its family, such as %s/PORT:ADDRESS",
			    v4 ? "0.0.0.0" : "[::]");
	if (v4 != !!inany_v4(&p->base.addr))
		return fail(p, -EINVAL,
			    "listening and target address are not both IPv4 "
			    "or IPv6");
	return 0;
}

/* Is the listening address one we can have? Settle what "none given" means */
static int check_listen(struct parser *p, bool given)
{
	const struct ports_env *env = p->env;
	struct fwd_rule *r = &p->base;

	if (given && env->pif == PIF_SPLICE)
		return fail(p, -EINVAL, "Listening address not allowed");

	if (r->dual) {
		r->dual = env->v4 && env->v6;
		if (!r->dual && env->pif == PIF_SPLICE)
			r->addr = env->v4 ? inany_loopback4 : inany_loopback6;
		else if (!r->dual && env->v4)
			r->addr = inany_any4;
		return 0;
	}
	if (inany_v4(&r->addr) ? !env->v4 : !env->v6)
		return fail(p, -EINVAL, "IPv%c not enabled",
			    inany_v4(&r->addr) ? '4' : '6');
	if (!inany_is_unspecified(&r->addr) && !inany_is_unicast(&r->addr) &&
	    (r->proto == IPPROTO_TCP || !inany_is_multicast(&r->addr)))
		return fail(p, -EINVAL, "listening address is not unicast");
	return 0;
}

/* What the chunks of a group amount to, before rules are made of them */
struct group {
	const char *body, *end;
	bool include;               /* there is a range */
	union inany_addr all_taddr; /* target of `all` */
};

/* First pass: syntax, exclusions, flags */
static int scan_group(struct parser *p, struct group *g)
{
	const char *s, *e, *bad;
	struct chunk c;
	int rc;

	for (s = g->body;; s = e + 1) {
		e = element_end(s);
		bad = get_chunk(s, e, &c);
		if (bad)
			return fail(p, -EINVAL, "%s", bad);
		rc = check_target(p, &c.taddr);
		if (rc)
			return rc;

		switch (c.kind) {
		case CHUNK_ALL:
			g->all_taddr = c.taddr;
			break;
		case CHUNK_AUTO:
			p->base.scan = true;
			break;
		case CHUNK_EXCLUDE:
			port_set_add_range(&p->excluded, c.from.first,
					   c.from.last);
			break;
		case CHUNK_RANGE:
			g->include = true;
			break;
		}
		if (e == g->end)
			break;
	}
	if (p->base.scan && !p->env->auto_ok)
		return fail(p, -EINVAL, "'auto' is for pasta mode only");
	return 0;
}

/* Second pass: rules of ranges, or of everything */
static int add_group(struct parser *p, const struct group *g)
{
	const struct range all = { 1, PORT_MAX };
	const char *s, *e;
	struct chunk c;
	int rc;

	if (!g->include) {
		p->base.weak = true;
		port_set_add_range(&p->excluded, p->env->eph_first,
				   p->env->eph_last);
		return add_range(p, &all, all.first, &g->all_taddr);
	}

	for (s = g->body;; s = e + 1) {
		e = element_end(s);
		get_chunk(s, e, &c);
		if (c.kind == CHUNK_RANGE) {
			rc = add_range(p, &c.from, c.to.first, &c.taddr);
			if (rc)
				return rc;
		}
		if (e == g->end)
			return 0;
	}
}

/* Read one group and move @s behind it */
static int parse_group(struct parser *p, const char **s)
{
	struct fwd_rule next; /* only asked whether there is one */
	struct group g = { .end = element_end(*s) };
	size_t len;
	int rc;

	memset(&p->excluded, 0, sizeof(p->excluded));
	p->base = (struct fwd_rule){ .proto = p->env->proto,
				     .pif = p->env->pif,
				     .dual = true };
	len = get_listen(*s, &p->base);
	if (!len) { /* what it may have filled on its way */
		p->base.dual = true;
		p->base.addr = inany_any6;
		if ((*s)[strcspn(*s, ",:/")] == '/')
			return fail(p, -EINVAL,
				    "expected ADDRESS, *, or %%INTERFACE "
				    "before the slash");
	}
	g.body = *s + len;
	while (*g.end && !get_listen(g.end + 1, &next))
		g.end = element_end(g.end + 1);
	*s = g.end;

	rc = check_listen(p, len);
	if (!rc)
		rc = scan_group(p, &g);
	return rc ? rc : add_group(p, &g);
}

int ports_parse(struct fwd_rules *rules, const struct ports_env *env,
		const char *spec, char *msg)
{
	struct parser p = {
		.rules = rules, .env = env, .spec = spec, .msg = msg
	};
	const unsigned n = rules->n;
	const char *s = spec;
	int rc;

	if (!strcmp(spec, "none"))
		return 0;

	for (;; s++) {
		rc = parse_group(&p, &s);
		if (rc)
			rules->n = n;
		if (rc || !*s)
			return rc;
	}
}
