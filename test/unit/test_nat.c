/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address translation: one case a line, both families */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fwd.h"
#include "guest.h"

#define T IPPROTO_TCP
#define U IPPROTO_UDP
#define I IPPROTO_ICMP

static union inany_addr addr(const char *text)
{
	union inany_addr a = inany_any6;

	if (text && inany_pton(text, &a))
		fail_msg("bad address %s", text);
	return a;
}

/* Guest 192.0.2.10 was seen as .11, its gateway is us; likewise IPv6 */
static struct guest guest_both(void)
{
	struct guest g = {
		.v4 = { .on = true,
			.addr = addr("192.0.2.10"),
			.seen = addr("192.0.2.11"),
			.gw = addr("192.0.2.1"),
			.our = addr("192.0.2.1") },
		.v6 = { .on = true,
			.addr = addr("2001:db8::10"),
			.seen = addr("2001:db8::11"),
			.ll_seen = addr("fe80::11"),
			.gw = addr("fe80::1"),
			.our = addr("fe80::1") },
	};

	return g;
}

static void map_all(struct fwd_opts *o)
{
	o->v4 = (struct fwd_map){
		.host_loopback = addr("192.0.2.1"),
		.guest_addr = addr("192.0.2.3"),
		.dns_match = addr("192.0.2.53"),
		.dns_host = addr("127.0.0.53"),
	};
	o->v6 = (struct fwd_map){
		.host_loopback = addr("fe80::1"),
		.guest_addr = addr("2001:db8::3"),
		.dns_match = addr("2001:db8::53"),
		.dns_host = addr("2001:db8:53::1"),
	};
}

/* What each case turns on */
#define MAP    1   /* all translations */
#define OUT    2   /* outbound addresses */
#define NAMED  4   /* the resolver of the other family */
#define PASTA  8   /* there is a namespace */
#define NOSPL  16  /* --no-splice */
#define SPLO   32  /* --splice-only */
#define LOLO   64  /* --host-lo-to-ns-lo */
#define NOLL   128 /* no link-local address seen */
#define NOSEEN 256 /* no address seen */
#define NO4    512
#define NO6    1024
#define NOOUR  2048 /* no address to speak from */

static void set_up(unsigned flags, struct fwd_opts *o, struct guest *g)
{
	memset(o, 0, sizeof(*o));
	*g = guest_both();
	if (flags & MAP)
		map_all(o);
	if (flags & OUT) {
		o->v4.outbound = addr("198.51.100.9");
		o->v6.outbound = addr("2001:db8:9::9");
	}
	if (flags & NAMED)
		o->v6.dns_host = addr("203.0.113.53");
	o->pasta = flags & PASTA;
	o->no_splice = flags & NOSPL;
	o->splice_only = flags & SPLO;
	o->host_lo_to_ns_lo = flags & LOLO;
	if (flags & NOLL)
		g->v6.ll_seen = inany_any6;
	if (flags & NOSEEN)
		g->v4.seen = g->v6.seen = inany_any6;
	if (flags & NO4)
		memset(&g->v4, 0, sizeof(g->v4));
	if (flags & NO6)
		memset(&g->v6, 0, sizeof(g->v6));
	if (flags & NOOUR)
		g->v4.our = g->v6.our = inany_any6;
}

struct tap_case {
	uint8_t proto;
	unsigned flags;
	const char *src, *dst;
	in_port_t dport;
	const char *host; /* NULL: refused */
	const char *bind;
};

static const struct tap_case tap_cases[] = {
	/* unchanged */
	{ T, 0, "192.0.2.10", "203.0.113.5", 80, "203.0.113.5", "0.0.0.0" },
	{ U, 0, "192.0.2.10", "203.0.113.5", 80, "203.0.113.5", "0.0.0.0" },
	{ I, 0, "192.0.2.10", "203.0.113.5", 0, "203.0.113.5", "0.0.0.0" },
	{ T, 0, "2001:db8::10", "2001:db8:5::5", 80, "2001:db8:5::5", "::" },
	{ T, MAP, "192.0.2.10", "203.0.113.5", 80, "203.0.113.5", "0.0.0.0" },
	{ T, MAP, "2001:db8::10", "2001:db8:5::5", 80, "2001:db8:5::5", "::" },
	{ T, 0, "192.0.2.10", "192.0.2.1", 80, "192.0.2.1", "0.0.0.0" },
	{ T, 0, "fe80::11", "fe80::5", 80, "fe80::5", "::" },
	/* nameserver: 53 and 853 only, TCP and UDP only */
	{ U, MAP, "192.0.2.10", "192.0.2.53", 53, "127.0.0.53", "0.0.0.0" },
	{ T, MAP, "192.0.2.10", "192.0.2.53", 53, "127.0.0.53", "0.0.0.0" },
	{ T, MAP, "192.0.2.10", "192.0.2.53", 853, "127.0.0.53", "0.0.0.0" },
	{ T, MAP, "192.0.2.10", "192.0.2.53", 54, "192.0.2.53", "0.0.0.0" },
	{ I, MAP, "192.0.2.10", "192.0.2.53", 53, "192.0.2.53", "0.0.0.0" },
	{ U, MAP, "2001:db8::10", "2001:db8::53", 53, "2001:db8:53::1", "::" },
	{ U, MAP, "2001:db8::10", "2001:db8::53", 54, "2001:db8::53", "::" },
	{ U, MAP | NAMED, "2001:db8::10", "2001:db8::53", 53, "203.0.113.53",
	  "0.0.0.0" },
	{ U, MAP | NAMED | OUT, "2001:db8::10", "2001:db8::53", 53,
	  "203.0.113.53", "198.51.100.9" },
	/* the host's loopback */
	{ T, MAP, "192.0.2.10", "192.0.2.1", 80, "127.0.0.1", "0.0.0.0" },
	{ U, MAP, "192.0.2.10", "192.0.2.1", 53, "127.0.0.1", "0.0.0.0" },
	{ I, MAP, "192.0.2.10", "192.0.2.1", 7, "127.0.0.1", "0.0.0.0" },
	{ T, MAP, "fe80::11", "fe80::1", 80, "::1", "::" },
	{ T, MAP | OUT, "192.0.2.10", "192.0.2.1", 80, "127.0.0.1", "0.0.0.0" },
	{ T, MAP | OUT, "fe80::11", "fe80::1", 80, "::1", "::" },
	/* the host under the guest's own address */
	{ T, MAP, "192.0.2.11", "192.0.2.3", 80, "192.0.2.10", "0.0.0.0" },
	{ I, MAP, "192.0.2.11", "192.0.2.3", 0, "192.0.2.10", "0.0.0.0" },
	{ T, MAP, "2001:db8::11", "2001:db8::3", 80, "2001:db8::10", "::" },
	{ T, MAP | NO4, "192.0.2.11", "192.0.2.3", 80, NULL, NULL },
	/* outbound address, not for loopback */
	{ T, OUT, "192.0.2.10", "203.0.113.5", 80, "203.0.113.5",
	  "198.51.100.9" },
	{ U, OUT, "2001:db8::10", "2001:db8:5::5", 80, "2001:db8:5::5",
	  "2001:db8:9::9" },
	{ U, MAP | OUT, "192.0.2.10", "192.0.2.53", 53, "127.0.0.53",
	  "0.0.0.0" },
	{ U, MAP | OUT, "2001:db8::10", "2001:db8::53", 53, "2001:db8:53::1",
	  "2001:db8:9::9" },
	/* multicast and broadcast: not by TCP */
	{ U, 0, "192.0.2.10", "224.0.0.251", 5353, "224.0.0.251", "0.0.0.0" },
	{ U, 0, "192.0.2.10", "255.255.255.255", 9, "255.255.255.255",
	  "0.0.0.0" },
	{ U, 0, "fe80::11", "ff02::fb", 5353, "ff02::fb", "::" },
	{ T, 0, "192.0.2.10", "224.0.0.251", 80, NULL, NULL },
	{ T, 0, "192.0.2.10", "255.255.255.255", 80, NULL, NULL },
	{ T, 0, "2001:db8::10", "ff0e::1", 80, NULL, NULL },
	/* what no guest may ask for */
	{ T, MAP, "192.0.2.10", "127.0.0.1", 80, NULL, NULL },
	{ U, MAP, "192.0.2.10", "127.0.0.53", 53, NULL, NULL },
	{ I, MAP, "192.0.2.10", "127.1.2.3", 0, NULL, NULL },
	{ T, MAP, "2001:db8::10", "::1", 80, NULL, NULL },
	{ I, MAP, "2001:db8::10", "::1", 0, NULL, NULL },
	{ T, MAP, "192.0.2.10", "0.0.0.0", 80, NULL, NULL },
	{ U, MAP, "2001:db8::10", "::", 80, NULL, NULL },
	{ T, MAP, "2001:db8::10", "::ffff:203.0.113.5", 80, NULL, NULL },
	{ U, MAP, "2001:db8::10", "::ffff:127.0.0.1", 80, NULL, NULL },
	{ T, 0, "192.0.2.10", "203.0.113.5", 0, NULL, NULL },
	{ U, 0, "2001:db8::10", "2001:db8:5::5", 0, NULL, NULL },
	/* nor from where */
	{ T, 0, "127.0.0.1", "203.0.113.5", 80, NULL, NULL },
	{ U, 0, "0.0.0.0", "203.0.113.5", 80, NULL, NULL },
	{ U, 0, "224.0.0.1", "203.0.113.5", 80, NULL, NULL },
	{ U, 0, "255.255.255.255", "203.0.113.5", 80, NULL, NULL },
	{ T, 0, "::1", "2001:db8:5::5", 80, NULL, NULL },
	{ U, 0, "::", "2001:db8:5::5", 80, NULL, NULL },
	{ U, 0, "ff02::1", "2001:db8:5::5", 80, NULL, NULL },
};

static void test_from_tap(void **state)
{
	char got[INANY_STRLEN], bind[INANY_STRLEN];
	struct flowside tap, host;
	struct fwd_opts opts;
	struct guest guest;
	struct fwd fwd = { .opts = &opts, .guest = &guest };
	const struct tap_case *c;
	bool ok;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tap_cases) / sizeof(*tap_cases); i++) {
		c = &tap_cases[i];
		set_up(c->flags, &opts, &guest);
		tap = (struct flowside){ .eaddr = addr(c->src),
					 .eport = 4321,
					 .oaddr = addr(c->dst),
					 .oport = c->dport };
		memset(&host, 0xa5, sizeof(host));
		ok = fwd_from_tap(&fwd, c->proto, &tap, &host);
		if (ok != !!c->host)
			fail_msg("case %zu: %s -> %s %s", i, c->src, c->dst,
				 ok ? "allowed" : "refused");
		if (!ok)
			continue;
		if (strcmp(inany_ntop(&host.eaddr, got), c->host) ||
		    strcmp(inany_ntop(&host.oaddr, bind), c->bind))
			fail_msg("case %zu: %s -> %s became %s from %s", i,
				 c->src, c->dst, got, bind);
		assert_int_equal(host.eport, c->dport);
		assert_int_equal(host.oport, 4321);
	}
}

struct in_case {
	unsigned flags;
	uint8_t pif;       /* of the rule */
	const char *taddr; /* of the rule, NULL: none */
	const char *src, *dst;
	enum pif want;
	const char *to;   /* who is reached */
	const char *from; /* who is seen */
};

#define H    PIF_HOST
#define N    PIF_SPLICE
#define NONE PIF_NONE, NULL, NULL

static const struct in_case in_cases[] = {
	/* from elsewhere: the peer keeps its address */
	{ 0, H, NULL, "203.0.113.7", "198.51.100.1", PIF_TAP, "192.0.2.11",
	  "203.0.113.7" },
	{ MAP | PASTA, H, NULL, "203.0.113.7", "198.51.100.1", PIF_TAP,
	  "192.0.2.11", "203.0.113.7" },
	{ 0, H, NULL, "2001:db8:7::7", "2001:db8:1::1", PIF_TAP, "2001:db8::11",
	  "2001:db8:7::7" },
	{ NOSEEN, H, NULL, "203.0.113.7", "198.51.100.1", PIF_TAP, "192.0.2.10",
	  "203.0.113.7" },
	{ NOSEEN, H, NULL, "2001:db8:7::7", "2001:db8:1::1", PIF_TAP,
	  "2001:db8::10", "2001:db8:7::7" },
	/* link-local peers meet the link-local guest */
	{ 0, H, NULL, "fe80::7", "fe80::9", PIF_TAP, "fe80::11", "fe80::7" },
	{ NOLL, H, NULL, "fe80::7", "fe80::9", PIF_TAP, "2001:db8::11",
	  "fe80::7" },
	{ NOLL | NOSEEN, H, NULL, "fe80::7", "fe80::9", PIF_TAP, "2001:db8::10",
	  "fe80::7" },
	/* target address of the rule */
	{ PASTA, H, "192.0.2.77", "203.0.113.7", "198.51.100.1", PIF_TAP,
	  "192.0.2.77", "203.0.113.7" },
	{ PASTA, H, "2001:db8::77", "2001:db8:7::7", "2001:db8:1::1", PIF_TAP,
	  "2001:db8::77", "2001:db8:7::7" },
	{ PASTA, H, "192.0.2.77", "2001:db8:7::7", "2001:db8:1::1", NONE },
	{ PASTA | MAP, H, "192.0.2.77", "127.0.0.1", "127.0.0.1", PIF_TAP,
	  "192.0.2.77", "192.0.2.1" },
	/* the host's loopback, over the tap */
	{ MAP, H, NULL, "127.0.0.1", "127.0.0.1", PIF_TAP, "192.0.2.11",
	  "192.0.2.1" },
	{ MAP, H, NULL, "::1", "::1", PIF_TAP, "fe80::11", "fe80::1" },
	{ MAP | NOLL, H, NULL, "::1", "::1", PIF_TAP, "2001:db8::11",
	  "fe80::1" },
	{ 0, H, NULL, "127.0.0.1", "127.0.0.1", PIF_TAP, "192.0.2.11",
	  "192.0.2.1" },
	{ MAP, H, NULL, "127.9.9.9", "127.0.0.1", PIF_TAP, "192.0.2.11",
	  "192.0.2.1" },
	{ 0, H, NULL, "0.0.0.0", "198.51.100.1", PIF_TAP, "192.0.2.11",
	  "192.0.2.1" },
	{ NOOUR, H, NULL, "127.0.0.1", "127.0.0.1", NONE },
	{ NOOUR | MAP, H, NULL, "127.0.0.2", "127.0.0.1", NONE },
	{ NOOUR, H, NULL, "::1", "::1", NONE },
	{ NOOUR, H, NULL, "203.0.113.7", "198.51.100.1", PIF_TAP, "192.0.2.11",
	  "203.0.113.7" },
	{ MAP | PASTA | NOSPL, H, NULL, "127.0.0.1", "127.0.0.1", PIF_TAP,
	  "192.0.2.11", "192.0.2.1" },
	/* the host from the address it shares with the guest */
	{ MAP, H, NULL, "192.0.2.10", "192.0.2.10", PIF_TAP, "192.0.2.11",
	  "192.0.2.3" },
	{ MAP, H, NULL, "2001:db8::10", "2001:db8::10", PIF_TAP, "2001:db8::11",
	  "2001:db8::3" },
	{ 0, H, NULL, "192.0.2.10", "192.0.2.10", PIF_TAP, "192.0.2.11",
	  "192.0.2.1" },
	{ 0, H, NULL, "2001:db8::10", "2001:db8::10", PIF_TAP, "fe80::11",
	  "fe80::1" },
	{ MAP, H, NULL, "192.0.2.11", "198.51.100.1", PIF_TAP, "192.0.2.11",
	  "192.0.2.1" },
	{ MAP, H, NULL, "fe80::11", "fe80::9", PIF_TAP, "fe80::11", "fe80::1" },
	{ NOOUR, H, NULL, "192.0.2.10", "192.0.2.10", NONE },
	/* multicast */
	{ 0, H, NULL, "203.0.113.7", "224.0.0.251", PIF_TAP, "224.0.0.251",
	  "203.0.113.7" },
	{ 0, H, NULL, "fe80::7", "ff02::fb", PIF_TAP, "ff02::fb", "fe80::7" },
	/* no source at all */
	{ 0, H, NULL, "224.0.0.1", "198.51.100.1", NONE },
	{ 0, H, NULL, "255.255.255.255", "198.51.100.1", NONE },
	{ 0, H, NULL, "ff02::1", "2001:db8:1::1", NONE },
	/* a family the guest has not */
	{ NO6, H, NULL, "2001:db8:7::7", "2001:db8:1::1", NONE },
	{ NO4, H, NULL, "203.0.113.7", "198.51.100.1", NONE },
	/* spliced: the guest's address, never its loopback */
	{ PASTA | MAP, H, NULL, "127.0.0.1", "127.0.0.1", PIF_SPLICE,
	  "192.0.2.11", "0.0.0.0" },
	{ PASTA, H, NULL, "127.9.9.9", "198.51.100.1", PIF_SPLICE, "192.0.2.11",
	  "0.0.0.0" },
	{ PASTA | NOSEEN, H, NULL, "127.0.0.1", "127.0.0.1", PIF_SPLICE,
	  "192.0.2.10", "0.0.0.0" },
	{ PASTA, H, NULL, "::1", "::1", PIF_SPLICE, "2001:db8::11", "::" },
	{ PASTA | NO6, H, NULL, "::1", "::1", PIF_SPLICE, "192.0.2.11",
	  "0.0.0.0" },
	{ PASTA | NO4, H, NULL, "127.0.0.1", "127.0.0.1", PIF_SPLICE,
	  "2001:db8::11", "::" },
	{ PASTA | NO4 | NO6, H, NULL, "127.0.0.1", "127.0.0.1", NONE },
	/* spliced: loopback to loopback */
	{ PASTA | LOLO, H, NULL, "127.0.0.1", "127.0.0.1", PIF_SPLICE,
	  "127.0.0.1", "0.0.0.0" },
	{ PASTA | LOLO, H, NULL, "127.0.0.1", "127.0.0.5", PIF_SPLICE,
	  "127.0.0.5", "0.0.0.0" },
	{ PASTA | LOLO, H, NULL, "::1", "::1", PIF_SPLICE, "::1", "::" },
	{ PASTA | LOLO, H, NULL, "127.0.0.1", "198.51.100.1", PIF_SPLICE,
	  "192.0.2.11", "0.0.0.0" },
	{ PASTA | LOLO, H, NULL, "203.0.113.7", "198.51.100.1", PIF_TAP,
	  "192.0.2.11", "203.0.113.7" },
	/* spliced only */
	{ PASTA | SPLO | NO4 | NO6, H, NULL, "127.0.0.1", "127.0.0.1",
	  PIF_SPLICE, "127.0.0.1", "0.0.0.0" },
	{ PASTA | SPLO | NO4 | NO6, H, NULL, "127.0.0.1", "198.51.100.1",
	  PIF_SPLICE, "127.0.0.1", "0.0.0.0" },
	{ PASTA | SPLO | NO4 | NO6, H, NULL, "::1", "::1", PIF_SPLICE, "::1",
	  "::" },
	{ PASTA | SPLO, H, NULL, "203.0.113.7", "198.51.100.1", NONE },
	{ PASTA | SPLO, H, "192.0.2.77", "127.0.0.1", "127.0.0.1", NONE },
	/* out of the namespace: loopback to loopback */
	{ PASTA, N, NULL, "127.0.0.1", "127.0.0.1", PIF_HOST, "127.0.0.1",
	  "0.0.0.0" },
	{ PASTA, N, NULL, "127.0.0.1", "127.0.0.5", PIF_HOST, "127.0.0.5",
	  "0.0.0.0" },
	{ PASTA | NOSPL, N, NULL, "::1", "::1", PIF_HOST, "::1", "::" },
	{ PASTA | SPLO, N, NULL, "::1", "::1", PIF_HOST, "::1", "::" },
	{ PASTA, N, NULL, "192.0.2.11", "192.0.2.11", NONE },
	{ PASTA, N, NULL, "2001:db8::11", "2001:db8::11", NONE },
	{ PASTA, N, "203.0.113.8", "127.0.0.1", "127.0.0.1", PIF_HOST,
	  "203.0.113.8", "0.0.0.0" },
};

static void test_from_listener(void **state)
{
	char to[INANY_STRLEN], from[INANY_STRLEN];
	struct flowside ini, tgt;
	struct fwd_opts opts;
	struct guest guest;
	struct fwd fwd = { .opts = &opts, .guest = &guest };
	struct fwd_rule rule;
	const struct in_case *c;
	enum pif got;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(in_cases) / sizeof(*in_cases); i++) {
		c = &in_cases[i];
		set_up(c->flags, &opts, &guest);
		rule = (struct fwd_rule){ .proto = T,
					  .pif = c->pif,
					  .dual = true,
					  .first = 80,
					  .last = 89,
					  .to = 8080,
					  .taddr = addr(c->taddr) };
		ini = (struct flowside){ .eaddr = addr(c->src),
					 .eport = 4321,
					 .oaddr = addr(c->dst),
					 .oport = 85 };
		memset(&tgt, 0xa5, sizeof(tgt));
		got = fwd_from_listener(&fwd, &rule, &ini, &tgt);
		if (got != c->want)
			fail_msg("case %zu: %s -> %s goes to pif %d", i, c->src,
				 c->dst, (int)got);
		if (got == PIF_NONE)
			continue;
		if (strcmp(inany_ntop(&tgt.eaddr, to), c->to) ||
		    strcmp(inany_ntop(&tgt.oaddr, from), c->from))
			fail_msg("case %zu: %s -> %s reaches %s from %s", i,
				 c->src, c->dst, to, from);
		assert_int_equal(tgt.eport, 8085);
		assert_int_equal(tgt.oport, got == PIF_TAP ? 4321 : 0);
	}
}

/* localhost by IPv6 is localhost by IPv4, everything else is what it is */
static void test_other_target(void **state)
{
	static const struct {
		unsigned flags;
		enum pif pif;
		const char *dst, *tgt, *want; /* NULL: nowhere else */
	} cases[] = {
		{ PASTA, PIF_SPLICE, "::1", "2001:db8::11", "192.0.2.11" },
		{ PASTA | NOSEEN, PIF_SPLICE, "::1", "2001:db8::10",
		  "192.0.2.10" },
		{ PASTA | LOLO, PIF_SPLICE, "::1", "::1", "127.0.0.1" },
		{ PASTA, PIF_HOST, "::1", "::1", "127.0.0.1" },
		/* no such family */
		{ PASTA | NO4, PIF_SPLICE, "::1", "2001:db8::11", NULL },
		/* it was IPv4 already */
		{ PASTA | NO6, PIF_SPLICE, "::1", "192.0.2.11", NULL },
		{ PASTA, PIF_SPLICE, "127.0.0.1", "192.0.2.11", NULL },
		{ PASTA, PIF_HOST, "127.0.0.1", "127.0.0.1", NULL },
		/* the client, or the rule, has named an address */
		{ PASTA, PIF_SPLICE, "2001:db8:1::1", "2001:db8::11", NULL },
		{ PASTA, PIF_HOST, "::1", "2001:db8:7::7", NULL },
	};
	struct flowside ini, tgt;
	char text[INANY_STRLEN];
	struct fwd_opts opts;
	struct guest guest;
	struct fwd fwd = { .opts = &opts, .guest = &guest };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *want = cases[i].want;

		set_up(cases[i].flags, &opts, &guest);
		ini = (struct flowside){ .eaddr = addr(cases[i].dst),
					 .oaddr = addr(cases[i].dst) };
		tgt = (struct flowside){ .eaddr = addr(cases[i].tgt),
					 .eport = 8085 };
		if (fwd_other_target(&fwd, cases[i].pif, &ini, &tgt) != !!want)
			fail_msg("case %zu", i);
		assert_string_equal(inany_ntop(&tgt.eaddr, text),
				    want ? want : cases[i].tgt);
		assert_int_equal(tgt.eport, 8085);
		if (want)
			assert_true(inany_equals(&tgt.oaddr, &inany_any4));
	}
}

/* Ports of a rule are mapped one to one, others are not its business */
static void test_ports(void **state)
{
	static const struct {
		in_port_t first, last, to, port;
		unsigned want; /* 0: drop */
	} cases[] = {
		{ 80, 80, 80, 80, 80 },        { 80, 89, 8080, 80, 8080 },
		{ 80, 89, 8080, 89, 8089 },    { 80, 89, 8080, 79, 0 },
		{ 80, 89, 8080, 90, 0 },       { 8080, 8081, 80, 8081, 81 },
		{ 1, 65535, 1, 65535, 65535 },
	};
	struct flowside ini = { .eaddr = addr("203.0.113.7"),
				.eport = 1,
				.oaddr = addr("198.51.100.1") };
	struct fwd_opts opts;
	struct guest guest;
	struct fwd fwd = { .opts = &opts, .guest = &guest };
	struct fwd_rule rule = { .proto = T, .pif = PIF_HOST, .dual = true };
	struct flowside tgt;
	size_t i;

	(void)state;
	set_up(0, &opts, &guest);
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		rule.first = cases[i].first;
		rule.last = cases[i].last;
		rule.to = cases[i].to;
		ini.oport = cases[i].port;
		if (fwd_from_listener(&fwd, &rule, &ini, &tgt) == PIF_NONE)
			assert_int_equal(cases[i].want, 0);
		else
			assert_int_equal(tgt.eport, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_tap),
		cmocka_unit_test(test_from_listener),
		cmocka_unit_test(test_other_target),
		cmocka_unit_test(test_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
