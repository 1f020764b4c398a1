/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCPv4 server (RFC 2131, RFC 2132) for the one guest; stateless
 *
 * There is one guest and one address: everything in a reply follows from the
 * request and the configuration, and no lease is kept. What a request asks for
 * is either that address or wrong:
 *
 *	DISCOVER		OFFER; ACK with rapid commit (RFC 4039)
 *	REQUEST, other server	silence: the guest took another offer
 *	REQUEST, other address	NAK (RFC 2131 4.3.2)
 *	REQUEST			ACK
 *	INFORM			ACK without address and lease (RFC 2131 4.3.5)
 *	DECLINE, RELEASE	nothing to be given back
 *	no type: BOOTP		reply with what a BOOTP client knows (RFC 1534)
 *
 * Parse to a value (struct dhcp_req), choose (struct dhcp_choice), build by the
 * table of options, in the order the client asked for.
 */

#include "dhcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "guest.h"
#include "l4check.h"
#include "lib/dnsname.h"
#include "lib/inany.h"
#include "lib/log.h"
#include "tap.h"
#include "wire/dhcp.h"

#define DHCP_REQ_MAX 4096 /* longest message we read */
#define DHCP_IP_UDP  (sizeof(struct iphdr) + sizeof(struct udphdr))
#define DHCP_IP_MAX  1500 /* longest packet we send, whatever is accepted */
#define DHCP_MSG_MAX (DHCP_IP_MAX - DHCP_IP_UDP)
#define DHCP_OPT_MAX UINT8_MAX /* data in one option, else split: RFC 3396 */

/* We have an identity even without a gateway (RFC 3927 address) */
#define DHCP_FALLBACK_ID 0xa9fe0202 /* 169.254.2.2 */

/* What kind of reply; bits, as options belong to several */
enum dhcp_kind {
	KIND_NONE = 0,
	KIND_LEASE = 1,  /* OFFER, ACK */
	KIND_INFORM = 2, /* ACK of INFORM */
	KIND_NAK = 4,
	KIND_BOOTP = 8,
};
#define KIND_CONFIG (KIND_LEASE | KIND_INFORM | KIND_BOOTP)
#define KIND_DHCP   (KIND_LEASE | KIND_INFORM | KIND_NAK)

/**
 * struct dhcp_req - A request, validated
 * @head:	Fixed part
 * @type:	Option 53, 0: BOOTP
 * @opt:	First option of each code, NULL @p if there is none
 * @buf:	Where they lie
 */
struct dhcp_req {
	struct dhcp_msg head;
	uint8_t type;
	struct {
		const uint8_t *p;
		uint8_t len;
	} opt[DHCP_OPT_END];
	uint8_t buf[DHCP_REQ_MAX];
};

/* What to answer */
struct dhcp_choice {
	enum dhcp_kind kind;
	uint8_t type; /* option 53 */
};

/**
 * struct dhcp_reply - A reply being built
 * @room:	Most bytes of @msg and @opts the client takes
 * @len:	Bytes so far
 * @done:	Options considered, by code
 */
struct dhcp_reply {
	const struct dhcp *d;
	const struct dhcp_req *req;
	struct dhcp_choice choice;
	size_t room, len;
	bool done[DHCP_OPT_END];
	struct {
		struct udphdr uh;
		uint8_t msg[DHCP_MSG_MAX];
	} pkt;
};

/* Our address, the server identifier */
static struct in_addr dhcp_server_id(const struct dhcp *d)
{
	const struct in_addr fallback = { htonl(DHCP_FALLBACK_ID) };
	const struct in_addr *our = inany_v4(&d->guest->v4.our);

	return our && our->s_addr ? *our : fallback;
}

/* The guest's address; not called without one */
static struct in_addr dhcp_guest_addr(const struct dhcp *d)
{
	return d->guest->v4.addr.v4.a4;
}

/*
 * Parse
 */

/* Lengths that options of a request must have to be looked at */
static const struct dhcp_len {
	uint8_t code, min, max;
} dhcp_lens[] = {
	{ DHCP_OPT_REQUESTED_IP, 4, 4 },
	{ DHCP_OPT_TYPE, 1, 1 },
	{ DHCP_OPT_SERVER_ID, 4, 4 },
	{ DHCP_OPT_PARAM_LIST, 1, DHCP_OPT_MAX },
	{ DHCP_OPT_MAX_SIZE, 2, 2 },
	{ DHCP_OPT_CLIENT_ID, 2, DHCP_OPT_MAX },
	{ DHCP_OPT_RAPID_COMMIT, 0, 0 },
};

static bool dhcp_lens_valid(const struct dhcp_req *req)
{
	size_t i;

	for (i = 0; i < sizeof(dhcp_lens) / sizeof(dhcp_lens[0]); i++) {
		const struct dhcp_len *l = &dhcp_lens[i];

		if (req->opt[l->code].p && (req->opt[l->code].len < l->min ||
					    req->opt[l->code].len > l->max))
			return false;
	}
	return true;
}

/* Index the options; false if one runs over the end */
static bool dhcp_parse_opts(struct dhcp_req *req, size_t len)
{
	const struct dhcp_opt_head *h;
	size_t off = 0;

	while (off < len && req->buf[off] != DHCP_OPT_END) {
		if (req->buf[off] == DHCP_OPT_PAD) {
			off++;
			continue;
		}
		h = (const void *)(req->buf + off);
		if (len - off < sizeof(*h) || len - off < sizeof(*h) + h->len)
			return false;
		if (!req->opt[h->code].p) {
			req->opt[h->code].p = req->buf + off + sizeof(*h);
			req->opt[h->code].len = h->len;
		}
		off += sizeof(*h) + h->len;
	}

	return dhcp_lens_valid(req);
}

/* Take a datagram apart; false if it is not a request we understand */
static bool dhcp_parse(struct dhcp_req *req, struct iov_tail msg)
{
	const struct dhcp_msg *head = IOV_PULL(&msg, &req->head);

	memset(req->opt, 0, sizeof(req->opt));
	req->type = 0;
	if (!head || msg.len > sizeof(req->buf))
		return false;
	if (head != &req->head)
		req->head = *head;
	head = &req->head;
	if (head->op != BOOTREQUEST || head->htype != DHCP_HW_ETHER ||
	    head->hlen != ETH_ALEN || (head->chaddr[0] & 1))
		return false;

	/* Plain BOOTP: its vendor area is none of our business (RFC 951) */
	if (head->magic != htonl(DHCP_MAGIC))
		return true;

	iov_tail_copy(&msg, req->buf, msg.len);
	if (!dhcp_parse_opts(req, msg.len))
		return false;
	if (req->opt[DHCP_OPT_TYPE].p)
		req->type = *req->opt[DHCP_OPT_TYPE].p;
	return true;
}

/* An address in an option; false if the option is not there */
static bool dhcp_req_addr(const struct dhcp_req *req, uint8_t code,
			  struct in_addr *a)
{
	if (!req->opt[code].p)
		return false;
	memcpy(a, req->opt[code].p, sizeof(*a));
	return true;
}

/*
 * Choose
 */

/* RFC 2131 4.3.2; the state of the client follows from what it filled in */
static struct dhcp_choice dhcp_choose_request(const struct dhcp *d,
					      const struct dhcp_req *req)
{
	const struct dhcp_choice none = { KIND_NONE, 0 };
	const struct dhcp_choice nak = { KIND_NAK, DHCP_NAK };
	const struct dhcp_choice ack = { KIND_LEASE, DHCP_ACK };
	struct in_addr server, addr;

	if (dhcp_req_addr(req, DHCP_OPT_SERVER_ID, &server) &&
	    server.s_addr != dhcp_server_id(d).s_addr)
		return none; /* SELECTING, but not us */

	if (!dhcp_req_addr(req, DHCP_OPT_REQUESTED_IP, &addr))
		addr = req->head.ciaddr; /* RENEWING, REBINDING */
	if (addr.s_addr && addr.s_addr != dhcp_guest_addr(d).s_addr)
		return nak;
	return ack;
}

static struct dhcp_choice dhcp_choose(const struct dhcp *d,
				      const struct dhcp_req *req)
{
	struct dhcp_choice c = { KIND_NONE, 0 };

	switch (req->type) {
	case 0:
		c.kind = KIND_BOOTP;
		break;
	case DHCP_DISCOVER:
		c.kind = KIND_LEASE;
		c.type = req->opt[DHCP_OPT_RAPID_COMMIT].p ? DHCP_ACK
							   : DHCP_OFFER;
		break;
	case DHCP_REQUEST:
		return dhcp_choose_request(d, req);
	case DHCP_INFORM:
		c.kind = KIND_INFORM;
		c.type = DHCP_ACK;
		break;
	case DHCP_DECLINE:
		warn_limited("The guest declined its address: is it in use "
			     "there already?");
		break;
	default: /* RELEASE, and what servers send */
		break;
	}
	return c;
}

/*
 * Build: options return their length, -1 if they have no place in this reply.
 * @val has DHCP_MSG_MAX bytes.
 */

static int dhcp_put4(uint8_t *val, struct in_addr a)
{
	memcpy(val, &a, sizeof(a));
	return sizeof(a);
}

/* What the client sent, unchanged */
static int dhcp_echo(const struct dhcp_req *req, uint8_t code, uint8_t *val)
{
	if (!req->opt[code].p)
		return -1;
	memcpy(val, req->opt[code].p, req->opt[code].len);
	return req->opt[code].len;
}

static int dhcp_opt_mask(const struct dhcp_reply *r, uint8_t *val)
{
	unsigned len = r->d->guest->v4.prefix_len;
	struct in_addr mask = { len ? htonl(UINT32_MAX << (32 - len)) : 0 };

	return dhcp_put4(val, mask);
}

/* The guest's gateway, NULL if it has none */
static const struct in_addr *dhcp_gw(const struct dhcp_reply *r)
{
	const struct in_addr *gw = inany_v4(&r->d->guest->v4.gw);

	return gw && gw->s_addr ? gw : NULL;
}

static int dhcp_opt_router(const struct dhcp_reply *r, uint8_t *val)
{
	const struct in_addr *gw = dhcp_gw(r);

	return gw ? dhcp_put4(val, *gw) : -1;
}

static int dhcp_opt_dns(const struct dhcp_reply *r, uint8_t *val)
{
	const struct guest_offer *o = &r->d->guest->offer;
	int len = 0;
	unsigned i;

	if (r->d->opts->no_dns || !o->ndns4)
		return -1;
	for (i = 0; i < o->ndns4; i++)
		len += dhcp_put4(val + len, o->dns4[i].v4.a4);
	return len;
}

static int dhcp_opt_hostname(const struct dhcp_reply *r, uint8_t *val)
{
	const char *name = r->d->guest->offer.hostname;
	size_t len = strnlen(name, HOSTNAME_MAX);

	if (!len)
		return -1;
	memcpy(val, name, len);
	return (int)len;
}

static int dhcp_opt_mtu(const struct dhcp_reply *r, uint8_t *val)
{
	unsigned mtu = r->d->guest->offer.mtu;
	uint16_t be = htons((uint16_t)mtu);

	if (mtu < 68 || mtu > UINT16_MAX) /* RFC 2132 5.1 */
		return -1;
	memcpy(val, &be, sizeof(be));
	return sizeof(be);
}

static int dhcp_opt_lease_time(const struct dhcp_reply *r, uint8_t *val)
{
	const uint32_t forever = htonl(DHCP_INFINITY);

	(void)r;
	memcpy(val, &forever, sizeof(forever));
	return sizeof(forever);
}

static int dhcp_opt_type(const struct dhcp_reply *r, uint8_t *val)
{
	*val = r->choice.type;
	return 1;
}

static int dhcp_opt_server_id(const struct dhcp_reply *r, uint8_t *val)
{
	return dhcp_put4(val, dhcp_server_id(r->d));
}

static int dhcp_opt_message(const struct dhcp_reply *r, uint8_t *val)
{
	static const char text[] = "Not the address of this guest";

	(void)r;
	memcpy(val, text, sizeof(text) - 1);
	return sizeof(text) - 1;
}

static int dhcp_opt_client_id(const struct dhcp_reply *r, uint8_t *val)
{
	return dhcp_echo(r->req, DHCP_OPT_CLIENT_ID, val);
}

/* Presence alone is the answer, and only to a DISCOVER that has it */
static int dhcp_opt_rapid_commit(const struct dhcp_reply *r, uint8_t *val)
{
	(void)val;
	return r->req->type == DHCP_DISCOVER && r->choice.type == DHCP_ACK ? 0
									   : -1;
}

static int dhcp_opt_fqdn(const struct dhcp_reply *r, uint8_t *val)
{
	struct dnsname_writer w;

	val[0] = DHCP_FQDN_ENCODED;
	val[1] = DHCP_FQDN_RCODE;
	val[2] = DHCP_FQDN_RCODE;
	dnsname_init(&w, val + 3, DHCP_OPT_MAX, false);
	if (!dnsname_add(&w, r->d->guest->offer.fqdn))
		return -1;
	return (int)w.len + 3;
}

static int dhcp_opt_relay_info(const struct dhcp_reply *r, uint8_t *val)
{
	return dhcp_echo(r->req, DHCP_OPT_RELAY_INFO, val);
}

static int dhcp_opt_search(const struct dhcp_reply *r, uint8_t *val)
{
	const struct guest_offer *o = &r->d->guest->offer;
	struct dnsname_writer w;
	unsigned i;

	if (r->d->opts->no_search)
		return -1;
	dnsname_init(&w, val, DHCP_MSG_MAX, true);
	for (i = 0; i < o->nsearch; i++)
		dnsname_add(&w, o->search[i]);
	return w.len ? (int)w.len : -1;
}

/* A gateway outside of the guest's prefix needs a route of its own; clients
 * that understand this option pass over the router option (RFC 3442)
 */
static int dhcp_opt_static_routes(const struct dhcp_reply *r, uint8_t *val)
{
	const struct guest_if *v4 = &r->d->guest->v4;
	const struct in_addr onlink = { 0 }, *gw = dhcp_gw(r);
	int len = 0;

	if (!gw || inany_prefix_equals(&v4->gw, &v4->addr, v4->prefix_len))
		return -1;

	val[len++] = 32; /* host route to the gateway */
	len += dhcp_put4(val + len, *gw);
	len += dhcp_put4(val + len, onlink);
	val[len++] = 0; /* default route: no significant bytes */
	len += dhcp_put4(val + len, *gw);
	return len;
}

/* All options we send, by code; @min, @max: lengths by the RFC of each, longer
 * ones are cut to several
 */
static const struct dhcp_opt {
	uint8_t code;
	uint8_t kinds; /* enum dhcp_kind */
	int min, max;
	int (*build)(const struct dhcp_reply *r, uint8_t *val);
} dhcp_opts[] = {
	{ DHCP_OPT_MASK, KIND_CONFIG, 4, 4, dhcp_opt_mask },
	{ DHCP_OPT_ROUTER, KIND_CONFIG, 4, 4, dhcp_opt_router },
	{ DHCP_OPT_DNS, KIND_CONFIG, 4, 4 * GUEST_DNS_MAX, dhcp_opt_dns },
	{ DHCP_OPT_HOSTNAME, KIND_CONFIG, 1, 255, dhcp_opt_hostname },
	{ DHCP_OPT_MTU, KIND_CONFIG, 2, 2, dhcp_opt_mtu },
	{ DHCP_OPT_LEASE_TIME, KIND_LEASE, 4, 4, dhcp_opt_lease_time },
	{ DHCP_OPT_TYPE, KIND_DHCP, 1, 1, dhcp_opt_type },
	{ DHCP_OPT_SERVER_ID, KIND_DHCP, 4, 4, dhcp_opt_server_id },
	{ DHCP_OPT_MESSAGE, KIND_NAK, 1, 255, dhcp_opt_message },
	{ DHCP_OPT_CLIENT_ID, KIND_DHCP, 2, 255, dhcp_opt_client_id },
	{ DHCP_OPT_RAPID_COMMIT, KIND_LEASE, 0, 0, dhcp_opt_rapid_commit },
	{ DHCP_OPT_FQDN, KIND_CONFIG, 3, 258, dhcp_opt_fqdn },
	{ DHCP_OPT_SEARCH, KIND_CONFIG, 1, DHCP_MSG_MAX, dhcp_opt_search },
	{ DHCP_OPT_STATIC_ROUTES, KIND_CONFIG, 5, 255, dhcp_opt_static_routes },
	/* The last one: RFC 3046 2.1 */
	{ DHCP_OPT_RELAY_INFO, KIND_DHCP, 0, 255, dhcp_opt_relay_info },
};
#define DHCP_NOPTS (sizeof(dhcp_opts) / sizeof(dhcp_opts[0]))

/* Append an option if it has a place here and fits before the end option */
static void dhcp_append(struct dhcp_reply *r, const struct dhcp_opt *o)
{
	uint8_t val[DHCP_MSG_MAX], *p = r->pkt.msg + r->len;
	size_t left, n, heads, done = 0;
	int len;

	if (r->done[o->code] || !(o->kinds & r->choice.kind))
		return;
	r->done[o->code] = true;
	len = o->build(r, val);
	if (len < o->min || len > o->max)
		return;

	left = (size_t)len;
	heads = left > DHCP_OPT_MAX ? (left - 1) / DHCP_OPT_MAX + 1 : 1;
	if (r->len + heads * sizeof(struct dhcp_opt_head) + left + 1 >
	    r->room) {
		debug_limited("DHCP: no room for option %u", o->code);
		return;
	}

	do {
		n = left < DHCP_OPT_MAX ? left : DHCP_OPT_MAX;
		*p++ = o->code;
		*p++ = (uint8_t)n;
		memcpy(p, val + done, n);
		p += n;
		done += n;
		left -= n;
	} while (left);
	r->len = (size_t)(p - r->pkt.msg);
}

static void dhcp_append_code(struct dhcp_reply *r, uint8_t code)
{
	size_t i;

	for (i = 0; i < DHCP_NOPTS; i++) {
		if (dhcp_opts[i].code == code)
			dhcp_append(r, &dhcp_opts[i]);
	}
}

/* Message type first unless the client put it in its own order; then what the
 * client asks for, then the rest
 */
static void dhcp_build_opts(struct dhcp_reply *r)
{
	const uint8_t *list = r->req->opt[DHCP_OPT_PARAM_LIST].p;
	size_t n = r->req->opt[DHCP_OPT_PARAM_LIST].len, i;

	if (!list || !memchr(list, DHCP_OPT_TYPE, n))
		dhcp_append_code(r, DHCP_OPT_TYPE);
	for (i = 0; list && i < n; i++)
		dhcp_append_code(r, list[i]);
	for (i = 0; i < DHCP_NOPTS; i++)
		dhcp_append(r, &dhcp_opts[i]);

	r->pkt.msg[r->len++] = DHCP_OPT_END;
	if (r->len < BOOTP_LEN_MIN)
		r->len = BOOTP_LEN_MIN;
}

/* How long a message may become, RFC 2132 9.10, RFC 951 */
static size_t dhcp_room(const struct dhcp_req *req, enum dhcp_kind kind)
{
	size_t size = DHCP_SIZE_MIN;
	uint16_t be;

	if (kind == KIND_BOOTP)
		return BOOTP_LEN_MIN;
	if (req->opt[DHCP_OPT_MAX_SIZE].p) {
		memcpy(&be, req->opt[DHCP_OPT_MAX_SIZE].p, sizeof(be));
		if (ntohs(be) > size)
			size = ntohs(be);
	}
	return (size < DHCP_IP_MAX ? size : DHCP_IP_MAX) - DHCP_IP_UDP;
}

/* Fixed part, RFC 2131 4.3.1, table 3 */
static void dhcp_build(struct dhcp_reply *r)
{
	const struct dhcp_msg *q = &r->req->head;
	struct dhcp_msg m = {
		.op = BOOTREPLY,
		.htype = q->htype,
		.hlen = q->hlen,
		.xid = q->xid,
		.flags = q->flags,
		.giaddr = q->giaddr,
		.magic = htonl(DHCP_MAGIC),
	};

	memcpy(m.chaddr, q->chaddr, sizeof(m.chaddr));
	if (r->choice.kind & (KIND_LEASE | KIND_BOOTP))
		m.yiaddr = dhcp_guest_addr(r->d);
	if (r->choice.kind & KIND_CONFIG)
		m.ciaddr = q->ciaddr;
	else if (q->giaddr.s_addr) /* let the relay broadcast the NAK */
		m.flags |= htons(DHCP_BROADCAST);

	memset(r->pkt.msg, 0, sizeof(r->pkt.msg));
	memcpy(r->pkt.msg, &m, sizeof(m));
	r->len = sizeof(m);
	r->room = dhcp_room(r->req, r->choice.kind);
	dhcp_build_opts(r);
}

/* Where to, RFC 2131 4.1 */
static union inany_addr dhcp_dest(const struct dhcp_reply *r,
				  const struct packet_group *g, in_port_t *port)
{
	const struct in_addr broadcast = { INADDR_BROADCAST };
	const struct dhcp_msg *q = &r->req->head;
	enum dhcp_kind kind = r->choice.kind;

	*port = DHCP_CLIENT_PORT;
	if (q->giaddr.s_addr) {
		*port = DHCP_SERVER_PORT;
		return inany_from_v4(q->giaddr);
	}
	if (kind == KIND_NAK)
		return inany_from_v4(broadcast);
	if (q->ciaddr.s_addr)
		return inany_from_v4(q->ciaddr);
	if (kind == KIND_INFORM && !inany_is_unspecified(&g->src))
		return g->src;
	if (kind == KIND_INFORM || (q->flags & htons(DHCP_BROADCAST)))
		return inany_from_v4(broadcast);
	return inany_from_v4(dhcp_guest_addr(r->d));
}

/* Headers, and off; 0 or -errno */
static int dhcp_send(struct dhcp *d, struct dhcp_reply *r,
		     const struct packet_group *g)
{
	size_t len = sizeof(r->pkt.uh) + r->len;
	union inany_addr src = inany_from_v4(dhcp_server_id(d)), dst;
	struct l3_spec l3 = { .src = &src, .dst = &dst, .proto = IPPROTO_UDP };
	in_port_t port;

	dst = dhcp_dest(r, g, &port);
	if (!inany_is_unicast(&dst) &&
	    dst.v4.a4.s_addr != htonl(INADDR_BROADCAST))
		return -EDESTADDRREQ;

	r->pkt.uh.source = htons(DHCP_SERVER_PORT);
	r->pkt.uh.dest = htons(port);
	r->pkt.uh.len = htons((uint16_t)len);
	r->pkt.uh.check = 0;
	return tap_send_l4(d->tap, &l3, &r->pkt, len,
			   offsetof(struct udphdr, check));
}

/* One datagram; false if it is not valid */
static bool dhcp_input_one(struct dhcp *d, const struct packet_group *g,
			   const struct packet *p)
{
	struct iov_tail payload;
	struct dhcp_reply r;
	struct dhcp_req req;

	if (!l4check_udp(g, p, &payload) || !dhcp_parse(&req, payload))
		return false;

	r.d = d;
	r.req = &req;
	r.choice = dhcp_choose(d, &req);
	if (r.choice.kind == KIND_NONE)
		return true;
	memset(r.done, 0, sizeof(r.done));
	dhcp_build(&r);
	if (dhcp_send(d, &r, g))
		return true;

	d->answered++;
	if (r.choice.kind == KIND_NAK)
		d->nak++;
	return true;
}

void dhcp_tap_input(void *ctx, const struct packet_group *g)
{
	const struct packet *p;
	struct dhcp *d = ctx;

	if (!d->guest->v4.on || inany_is_unspecified(&d->guest->v4.addr))
		return;

	for (p = g->first; p; p = p->next) {
		if (!dhcp_input_one(d, g, p))
			d->bad++;
	}
}
