/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCPv6 server (RFC 8415) for the one guest; stateless
 *
 * One guest, one address, for ever: the first IA_NA of a message is given it,
 * all other identity associations are told that there is no more. No binding is
 * kept, so a guest may come back with what it has after a restart of ours:
 * that is also why the server's DUID is made of the MAC address alone (DUID-LL),
 * not of the time.
 *
 * The table of messages says what each must and must not contain (RFC 8415 16)
 * and who builds the answer (18.3):
 *
 *	SOLICIT			ADVERTISE; REPLY with rapid commit
 *	REQUEST			REPLY; other addresses: NotOnLink
 *	RENEW, REBIND		REPLY; other addresses: lifetime zero
 *	CONFIRM			REPLY with Success, or NotOnLink
 *	RELEASE, DECLINE	REPLY with Success; NoBinding for what is not ours
 *	INFORMATION-REQUEST	REPLY without addresses
 */

#include "dhcpv6.h"

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <string.h>

#include "guest.h"
#include "l4check.h"
#include "lib/dnsname.h"
#include "lib/inany.h"
#include "tap.h"
#include "wire/dhcpv6.h"

#define DHCPV6_REQ_MAX 4096 /* longest message we read */
#define DHCPV6_MSG_MAX \
	(1280 - sizeof(struct ip6_hdr) - sizeof(struct udphdr)) /* RFC 8200 5 */

/* Bytes of a message, or of the options in one of its options */
struct dhcpv6_span {
	const uint8_t *p;
	size_t len;
};

/* An option; see dhcpv6_next() */
struct dhcpv6_opt {
	uint16_t code;
	struct dhcpv6_span data;
};

/**
 * struct dhcpv6_req - A request, its options well-formed
 * @head:	Type and transaction
 * @row:	Row of the message table
 * @opts:	All options
 * @client_id, @server_id: Data of these, NULL @p if absent
 * @rapid, @has_ia: Is there rapid commit, any identity association?
 */
struct dhcpv6_req {
	struct dhcpv6_msg head;
	const struct dhcpv6_row *row;
	struct dhcpv6_span opts, client_id, server_id;
	bool rapid, has_ia;
};

/**
 * struct dhcpv6_reply - A reply being built
 * @len:	Bytes of @msg so far
 * @assigned:	The address was given to an IA of this message
 */
struct dhcpv6_reply {
	const struct dhcpv6 *d;
	const struct dhcpv6_req *req;
	size_t len;
	bool assigned;
	struct {
		struct udphdr uh;
		uint8_t msg[DHCPV6_MSG_MAX];
	} pkt;
};

/* What a message says about the server identifier, RFC 8415 16 */
enum dhcpv6_need { SERVER_NEVER, SERVER_OURS, SERVER_ANY };

/* A message we answer */
struct dhcpv6_row {
	uint8_t type;
	enum dhcpv6_need server;
	bool client_id; /* must be there */
	bool multicast; /* sent to us alone: UseMulticast, else dropped */
	bool (*answer)(struct dhcpv6_reply *r); /* false: no answer */
};

void dhcpv6_init(struct dhcpv6 *d)
{
	const struct dhcpv6_duid_ll duid = {
		.type = htons(DHCPV6_DUID_LL),
		.hw = htons(DHCPV6_HW_ETHER),
	};

	static_assert(sizeof(d->duid) == sizeof(duid), "room for the DUID");
	memcpy(d->duid, &duid, sizeof(duid));
	memcpy(d->duid + offsetof(struct dhcpv6_duid_ll, mac),
	       d->guest->our_mac, sizeof(duid.mac));
}

/*
 * Parse
 */

/* Take the next option off a span; false at the end, or if it runs over it:
 * then bytes are left in @s
 */
static bool dhcpv6_next(struct dhcpv6_span *s, struct dhcpv6_opt *opt)
{
	struct dhcpv6_opt_head h;

	if (s->len < sizeof(h))
		return false;
	memcpy(&h, s->p, sizeof(h));
	opt->code = ntohs(h.code);
	opt->data.p = s->p + sizeof(h);
	opt->data.len = ntohs(h.len);
	if (s->len - sizeof(h) < opt->data.len)
		return false;

	s->p += sizeof(h) + opt->data.len;
	s->len -= sizeof(h) + opt->data.len;
	return true;
}

/* Bytes before the options in an IA, 0 if it is no IA */
static size_t dhcpv6_ia_head(uint16_t code)
{
	switch (code) {
	case DHCPV6_OPT_IA_NA:
	case DHCPV6_OPT_IA_PD:
		return sizeof(struct dhcpv6_ia);
	case DHCPV6_OPT_IA_TA:
		return sizeof(struct dhcpv6_ia_ta);
	default:
		return 0;
	}
}

/* Options in an IA */
static struct dhcpv6_span dhcpv6_ia_opts(const struct dhcpv6_opt *ia)
{
	size_t head = dhcpv6_ia_head(ia->code);
	struct dhcpv6_span s = { ia->data.p + head, ia->data.len - head };

	return s;
}

/* Is an IA well-formed? */
static bool dhcpv6_ia_valid(const struct dhcpv6_opt *ia)
{
	struct dhcpv6_opt opt;
	struct dhcpv6_span s;

	if (ia->data.len < dhcpv6_ia_head(ia->code))
		return false;
	for (s = dhcpv6_ia_opts(ia); dhcpv6_next(&s, &opt);) {
		if (opt.code == DHCPV6_OPT_IA_ADDR &&
		    opt.data.len < sizeof(struct dhcpv6_ia_addr))
			return false;
	}
	return !s.len;
}

/* Index the options; false if they are broken */
static bool dhcpv6_parse_opts(struct dhcpv6_req *req)
{
	struct dhcpv6_span s = req->opts;
	struct dhcpv6_opt opt;

	while (dhcpv6_next(&s, &opt)) {
		if (opt.code == DHCPV6_OPT_CLIENT_ID)
			req->client_id = opt.data;
		else if (opt.code == DHCPV6_OPT_SERVER_ID)
			req->server_id = opt.data;
		else if (opt.code == DHCPV6_OPT_RAPID_COMMIT)
			req->rapid = true;

		if (!dhcpv6_ia_head(opt.code))
			continue;
		if (!dhcpv6_ia_valid(&opt))
			return false;
		req->has_ia = true;
	}
	return !s.len && req->client_id.len <= DHCPV6_DUID_MAX &&
	       req->server_id.len <= DHCPV6_DUID_MAX &&
	       (!req->client_id.p || req->client_id.len);
}

/* Does an identifier name us? */
static bool dhcpv6_ours(const struct dhcpv6 *d, const struct dhcpv6_span *id)
{
	return id->len == sizeof(d->duid) &&
	       !memcmp(id->p, d->duid, sizeof(d->duid));
}

/* RFC 8415 16: is it for us, has it what it must have? */
static bool dhcpv6_acceptable(const struct dhcpv6 *d,
			      const struct dhcpv6_req *req)
{
	if (req->row->client_id && !req->client_id.p)
		return false;

	switch (req->row->server) {
	case SERVER_NEVER:
		return !req->server_id.p;
	case SERVER_OURS:
		return dhcpv6_ours(d, &req->server_id);
	case SERVER_ANY:
		break;
	}
	return !req->server_id.p || dhcpv6_ours(d, &req->server_id);
}

/*
 * Build
 */

/* Append bytes if there is room */
static bool dhcpv6_put(struct dhcpv6_reply *r, const void *p, size_t len)
{
	if (len > sizeof(r->pkt.msg) - r->len)
		return false;
	memcpy(r->pkt.msg + r->len, p, len);
	r->len += len;
	return true;
}

/* Append an option, all of it or nothing */
static bool dhcpv6_put_opt(struct dhcpv6_reply *r, uint16_t code, const void *p,
			   size_t len)
{
	struct dhcpv6_opt_head h = { htons(code), htons((uint16_t)len) };

	if (sizeof(h) + len > sizeof(r->pkt.msg) - r->len)
		return false;
	dhcpv6_put(r, &h, sizeof(h));
	if (len)
		dhcpv6_put(r, p, len);
	return true;
}

/* Names for people, RFC 8415 21.13 */
static const char *dhcpv6_status_text(enum dhcpv6_status status)
{
	switch (status) {
	case DHCPV6_SUCCESS:
		return "Done";
	case DHCPV6_NO_ADDRS_AVAIL:
		return "There is one address for each guest";
	case DHCPV6_NO_BINDING:
		return "Not given by this server";
	case DHCPV6_NOT_ON_LINK:
		return "Not the address of this guest";
	case DHCPV6_USE_MULTICAST:
		return "Send to ff02::1:2";
	case DHCPV6_NO_PREFIX_AVAIL:
		return "There are no prefixes to delegate";
	}
	return "";
}

static bool dhcpv6_put_status(struct dhcpv6_reply *r, enum dhcpv6_status status)
{
	const char *text = dhcpv6_status_text(status);
	uint8_t val[2 + 64] = { 0, (uint8_t)status };
	size_t n = strlen(text);

	memcpy(val + 2, text, n);
	return dhcpv6_put_opt(r, DHCPV6_OPT_STATUS, val, 2 + n);
}

/* An IA address option; @forever: else its lifetimes are zero */
static bool dhcpv6_put_addr(struct dhcpv6_reply *r, const struct in6_addr *addr,
			    bool forever)
{
	uint32_t life = forever ? DHCPV6_INFINITY : 0;
	const struct dhcpv6_ia_addr val = { *addr, htonl(life), htonl(life) };

	return dhcpv6_put_opt(r, DHCPV6_OPT_IA_ADDR, &val, sizeof(val));
}

/* Begin an option with what goes before its options; where it begins, or 0 if
 * there is no room
 */
static size_t dhcpv6_begin_ia(struct dhcpv6_reply *r,
			      const struct dhcpv6_opt *ia)
{
	struct dhcpv6_ia val = {
		.t1 = htonl(DHCPV6_INFINITY),
		.t2 = htonl(DHCPV6_INFINITY),
	};
	size_t start = r->len;

	memcpy(&val.iaid, ia->data.p, sizeof(val.iaid));
	return dhcpv6_put_opt(r, ia->code, &val, dhcpv6_ia_head(ia->code))
		       ? start
		       : 0;
}

/* Its length is known now; if not all had room, take it back */
static void dhcpv6_end_ia(struct dhcpv6_reply *r, size_t start, bool complete)
{
	size_t len = r->len - start - sizeof(struct dhcpv6_opt_head);
	uint16_t be = htons((uint16_t)len);

	if (!complete) {
		r->len = start;
		return;
	}
	memcpy(r->pkt.msg + start + offsetof(struct dhcpv6_opt_head, len), &be,
	       sizeof(be));
}

/* An IA that holds a status and nothing else */
static void dhcpv6_put_ia_status(struct dhcpv6_reply *r,
				 const struct dhcpv6_opt *ia,
				 enum dhcpv6_status status)
{
	size_t start = dhcpv6_begin_ia(r, ia);

	if (start)
		dhcpv6_end_ia(r, start, dhcpv6_put_status(r, status));
}

/* Is there an address in an IA that is not the guest's? */
static bool dhcpv6_ia_wrong(const struct dhcpv6 *d, const struct dhcpv6_opt *ia)
{
	struct dhcpv6_span s = dhcpv6_ia_opts(ia);
	struct dhcpv6_opt opt;

	while (dhcpv6_next(&s, &opt)) {
		if (opt.code == DHCPV6_OPT_IA_ADDR &&
		    memcmp(opt.data.p, &d->guest->v6.addr,
			   sizeof(struct in6_addr)))
			return true;
	}
	return false;
}

/* Give the guest its address in this IA; @others: end the lifetime of all other
 * addresses that are in it (RFC 8415 18.3.4)
 */
static void dhcpv6_put_ia(struct dhcpv6_reply *r, const struct dhcpv6_opt *ia,
			  bool others)
{
	const struct in6_addr *our = &r->d->guest->v6.addr.a6;
	struct dhcpv6_span s = dhcpv6_ia_opts(ia);
	size_t start = dhcpv6_begin_ia(r, ia);
	struct dhcpv6_opt opt;
	struct in6_addr a;
	bool ok;

	if (!start)
		return;
	ok = dhcpv6_put_addr(r, our, true);
	while (others && ok && dhcpv6_next(&s, &opt)) {
		if (opt.code != DHCPV6_OPT_IA_ADDR)
			continue;
		memcpy(&a, opt.data.p, sizeof(a));
		if (memcmp(&a, our, sizeof(a)))
			ok = dhcpv6_put_addr(r, &a, false);
	}
	dhcpv6_end_ia(r, start, ok);
	r->assigned |= ok;
}

/* DNS servers, search list, name of the guest */
static void dhcpv6_put_config(struct dhcpv6_reply *r)
{
	const struct guest_offer *o = &r->d->guest->offer;
	struct in6_addr dns[GUEST_DNS_MAX];
	uint8_t val[DHCPV6_MSG_MAX];
	struct dnsname_writer w;
	unsigned i;

	for (i = 0; i < o->ndns6; i++)
		dns[i] = o->dns6[i].a6;
	if (o->ndns6 && !r->d->opts->no_dns)
		dhcpv6_put_opt(r, DHCPV6_OPT_DNS, dns,
			       o->ndns6 * sizeof(dns[0]));

	/* Never compressed: RFC 8415 10 */
	dnsname_init(&w, val, sizeof(val), false);
	for (i = 0; i < o->nsearch; i++)
		dnsname_add(&w, o->search[i]);
	if (w.len && !r->d->opts->no_search)
		dhcpv6_put_opt(r, DHCPV6_OPT_SEARCH, val, w.len);

	val[0] = 0; /* flags: we update no DNS, RFC 4704 4.1 */
	dnsname_init(&w, val + 1, sizeof(val) - 1, false);
	if (dnsname_add(&w, o->fqdn))
		dhcpv6_put_opt(r, DHCPV6_OPT_FQDN, val, 1 + w.len);
}

/* Call @put for each IA of the request */
static void dhcpv6_each_ia(struct dhcpv6_reply *r,
			   void (*put)(struct dhcpv6_reply *r,
				       const struct dhcpv6_opt *ia))
{
	struct dhcpv6_span s = r->req->opts;
	struct dhcpv6_opt opt;

	while (dhcpv6_next(&s, &opt)) {
		if (dhcpv6_ia_head(opt.code))
			put(r, &opt);
	}
}

/* Can this IA have the address: is it the first that may? */
static bool dhcpv6_ia_first(const struct dhcpv6_reply *r,
			    const struct dhcpv6_opt *ia)
{
	return ia->code == DHCPV6_OPT_IA_NA && !r->assigned &&
	       !inany_is_unspecified(&r->d->guest->v6.addr);
}

/* RFC 8415 18.3.9, 21.5, 21.21: whatever address the client would like */
static void dhcpv6_ia_offer(struct dhcpv6_reply *r, const struct dhcpv6_opt *ia)
{
	if (dhcpv6_ia_first(r, ia))
		dhcpv6_put_ia(r, ia, false);
	else if (ia->code == DHCPV6_OPT_IA_PD)
		dhcpv6_put_ia_status(r, ia, DHCPV6_NO_PREFIX_AVAIL);
	else
		dhcpv6_put_ia_status(r, ia, DHCPV6_NO_ADDRS_AVAIL);
}

/* RFC 8415 18.3.2 */
static void dhcpv6_ia_request(struct dhcpv6_reply *r,
			      const struct dhcpv6_opt *ia)
{
	if (dhcpv6_ia_first(r, ia) && dhcpv6_ia_wrong(r->d, ia))
		dhcpv6_put_ia_status(r, ia, DHCPV6_NOT_ON_LINK);
	else
		dhcpv6_ia_offer(r, ia);
}

/* RFC 8415 18.3.4, 18.3.5 */
static void dhcpv6_ia_renew(struct dhcpv6_reply *r, const struct dhcpv6_opt *ia)
{
	if (dhcpv6_ia_first(r, ia))
		dhcpv6_put_ia(r, ia, true);
	else
		dhcpv6_put_ia_status(r, ia, DHCPV6_NO_BINDING);
}

/* RFC 8415 18.3.7, 18.3.8: what is released needs no mention */
static void dhcpv6_ia_release(struct dhcpv6_reply *r,
			      const struct dhcpv6_opt *ia)
{
	if (ia->code != DHCPV6_OPT_IA_NA || dhcpv6_ia_wrong(r->d, ia))
		dhcpv6_put_ia_status(r, ia, DHCPV6_NO_BINDING);
}

/* Begin a reply: header, identifiers */
static void dhcpv6_begin(struct dhcpv6_reply *r, enum dhcpv6_type type)
{
	struct dhcpv6_msg h = r->req->head;

	h.type = (uint8_t)type;
	dhcpv6_put(r, &h, sizeof(h));
	dhcpv6_put_opt(r, DHCPV6_OPT_SERVER_ID, r->d->duid, sizeof(r->d->duid));
	if (r->req->client_id.p)
		dhcpv6_put_opt(r, DHCPV6_OPT_CLIENT_ID, r->req->client_id.p,
			       r->req->client_id.len);
}

/* RFC 8415 18.3.1 */
static bool dhcpv6_answer_solicit(struct dhcpv6_reply *r)
{
	const uint8_t pref = DHCPV6_PREFERENCE_MAX;

	dhcpv6_begin(r, r->req->rapid ? DHCPV6_REPLY : DHCPV6_ADVERTISE);
	if (r->req->rapid)
		dhcpv6_put_opt(r, DHCPV6_OPT_RAPID_COMMIT, NULL, 0);
	else
		dhcpv6_put_opt(r, DHCPV6_OPT_PREFERENCE, &pref, sizeof(pref));
	dhcpv6_each_ia(r, dhcpv6_ia_offer);
	dhcpv6_put_config(r);
	return true;
}

/* RFC 8415 18.3.2 */
static bool dhcpv6_answer_request(struct dhcpv6_reply *r)
{
	dhcpv6_begin(r, DHCPV6_REPLY);
	dhcpv6_each_ia(r, dhcpv6_ia_request);
	dhcpv6_put_config(r);
	return true;
}

/* RFC 8415 18.3.3: all addresses are right, or not; none: no answer */
static bool dhcpv6_answer_confirm(struct dhcpv6_reply *r)
{
	enum dhcpv6_status status = DHCPV6_SUCCESS;
	struct dhcpv6_span s = r->req->opts, in;
	struct dhcpv6_opt opt, addr;
	bool any = false;

	while (dhcpv6_next(&s, &opt)) {
		if (opt.code != DHCPV6_OPT_IA_NA &&
		    opt.code != DHCPV6_OPT_IA_TA)
			continue;
		for (in = dhcpv6_ia_opts(&opt); dhcpv6_next(&in, &addr);)
			any |= addr.code == DHCPV6_OPT_IA_ADDR;
		if (dhcpv6_ia_wrong(r->d, &opt))
			status = DHCPV6_NOT_ON_LINK;
	}
	if (!any)
		return false;

	dhcpv6_begin(r, DHCPV6_REPLY);
	dhcpv6_put_status(r, status);
	return true;
}

/* RFC 8415 18.3.4, 18.3.5 */
static bool dhcpv6_answer_renew(struct dhcpv6_reply *r)
{
	dhcpv6_begin(r, DHCPV6_REPLY);
	dhcpv6_each_ia(r, dhcpv6_ia_renew);
	dhcpv6_put_config(r);
	return true;
}

/* RFC 8415 18.3.7, 18.3.8 */
static bool dhcpv6_answer_release(struct dhcpv6_reply *r)
{
	dhcpv6_begin(r, DHCPV6_REPLY);
	dhcpv6_put_status(r, DHCPV6_SUCCESS);
	dhcpv6_each_ia(r, dhcpv6_ia_release);
	return true;
}

/* RFC 8415 18.3.6; 16.12: not valid with an IA */
static bool dhcpv6_answer_info(struct dhcpv6_reply *r)
{
	if (r->req->has_ia)
		return false;
	dhcpv6_begin(r, DHCPV6_REPLY);
	dhcpv6_put_config(r);
	return true;
}

static const struct dhcpv6_row dhcpv6_rows[] = {
	{ DHCPV6_SOLICIT, SERVER_NEVER, true, false, dhcpv6_answer_solicit },
	{ DHCPV6_REQUEST, SERVER_OURS, true, true, dhcpv6_answer_request },
	{ DHCPV6_CONFIRM, SERVER_NEVER, true, false, dhcpv6_answer_confirm },
	{ DHCPV6_RENEW, SERVER_OURS, true, true, dhcpv6_answer_renew },
	{ DHCPV6_REBIND, SERVER_NEVER, true, false, dhcpv6_answer_renew },
	{ DHCPV6_RELEASE, SERVER_OURS, true, true, dhcpv6_answer_release },
	{ DHCPV6_DECLINE, SERVER_OURS, true, true, dhcpv6_answer_release },
	{ DHCPV6_INFORMATION_REQUEST, SERVER_ANY, false, false,
	  dhcpv6_answer_info },
};

static const struct dhcpv6_row *dhcpv6_row(uint8_t type)
{
	size_t i;

	for (i = 0; i < sizeof(dhcpv6_rows) / sizeof(dhcpv6_rows[0]); i++) {
		if (dhcpv6_rows[i].type == type)
			return &dhcpv6_rows[i];
	}
	return NULL;
}

/* Build the answer; false if there is none */
static bool dhcpv6_build(struct dhcpv6_reply *r, bool multicast)
{
	if (multicast)
		return r->req->row->answer(r);
	if (!r->req->row->multicast)
		return false; /* RFC 8415 16 */

	dhcpv6_begin(r, DHCPV6_REPLY); /* RFC 8415 18.3.2 */
	return dhcpv6_put_status(r, DHCPV6_USE_MULTICAST);
}

/* Headers, and off; 0 or -errno */
static int dhcpv6_send(struct dhcpv6 *d, struct dhcpv6_reply *r,
		       const union inany_addr *dst)
{
	const struct l3_spec l3 = { .src = &d->guest->v6.our,
				    .dst = dst,
				    .proto = IPPROTO_UDP };
	size_t len = sizeof(r->pkt.uh) + r->len;

	r->pkt.uh.source = htons(DHCPV6_SERVER_PORT);
	r->pkt.uh.dest = htons(DHCPV6_CLIENT_PORT);
	r->pkt.uh.len = htons((uint16_t)len);
	r->pkt.uh.check = 0;
	return tap_send_l4(d->tap, &l3, &r->pkt, len,
			   offsetof(struct udphdr, check));
}

/* One datagram; false if it is not valid */
static bool dhcpv6_input_one(struct dhcpv6 *d, const struct packet_group *g,
			     const struct packet *p)
{
	struct dhcpv6_reply r = { .d = d };
	struct dhcpv6_req req = { .rapid = false };
	uint8_t buf[DHCPV6_REQ_MAX];
	struct iov_tail payload;

	if (!l4check_udp(g, p, &payload) || payload.len > sizeof(buf) ||
	    payload.len < sizeof(req.head))
		return false;
	iov_tail_copy(&payload, buf, payload.len);
	memcpy(&req.head, buf, sizeof(req.head));
	req.opts.p = buf + sizeof(req.head);
	req.opts.len = payload.len - sizeof(req.head);

	req.row = dhcpv6_row(req.head.type);
	if (!req.row)
		return true; /* servers' and relays' */
	if (!dhcpv6_parse_opts(&req))
		return false;
	if (!dhcpv6_acceptable(d, &req))
		return true;

	r.req = &req;
	if (!dhcpv6_build(&r, inany_is_multicast(&g->dst)) ||
	    dhcpv6_send(d, &r, &g->src))
		return true;

	d->answered++;
	/* It will use the address from here on: begin with that */
	if (r.assigned && r.pkt.msg[0] == DHCPV6_REPLY)
		guest_observe(d->guest, g->smac, &d->guest->v6.addr);
	return true;
}

void dhcpv6_tap_input(void *ctx, const struct packet_group *g)
{
	const struct packet *p;
	struct dhcpv6 *d = ctx;

	if (!d->guest->v6.on)
		return;

	for (p = g->first; p; p = p->next) {
		if (!dhcpv6_input_one(d, g, p))
			d->bad++;
	}
}
