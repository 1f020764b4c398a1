/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IPv6 neighbour discovery: NA, and RA with prefix, MTU, RDNSS, DNSSL
 *
 * As with ARP, we are every neighbour the guest may ask for, but never the guest
 * itself: a solicitation from the unspecified address is the guest's duplicate
 * address detection (RFC 4862 5.4) and stays unanswered unless it is for our own
 * address, and so do solicitations for addresses the guest is known to have.
 *
 * Router advertisements (RFC 4861 6.2) answer solicitations, and go out when
 * the link comes up, two more times soon after, then every 200 to 600 seconds.
 * Their lifetimes are infinite as far as the field allows: the periodic ones
 * renew the router lifetime, which is at most 18 hours.
 */

#include "ndp.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/random.h>

#include "guest.h"
#include "l4check.h"
#include "lib/dnsname.h"
#include "lib/inany.h"
#include "loop.h"
#include "tap.h"
#include "wire/ndp.h"

/* RFC 4861 6.2.1, MaxRtrAdvInterval and MinRtrAdvInterval; RFC 4861 10 */
#define NDP_RA_MAX_MS        600000
#define NDP_RA_MIN_MS        200000
#define NDP_RA_INITIAL_MS    16000
#define NDP_RA_INITIAL_COUNT 3

#define NDP_RA_LIFETIME  UINT16_MAX /* seconds, RFC 8319 4 */
#define NDP_RA_HOP_LIMIT 255        /* for the guest's own packets */
#define NDP_PREFIX_LEN   64         /* bits, for SLAAC: RFC 4291 2.5.1 */
#define NDP_MTU_MIN      1280       /* RFC 8200 5 */

/* An advertisement is never to be fragmented (RFC 6980) */
#define NDP_RA_ROOM (NDP_MTU_MIN - sizeof(struct ip6_hdr))

static const union inany_addr ndp_all_nodes = {
	.a6.s6_addr = { 0xff, 0x02, [15] = 0x01 } /* RFC 4291 2.7.1 */
};

/* ff02::1:ff00:0/104, RFC 4291 2.7.1 */
static const union inany_addr ndp_solicited_node = {
	.a6.s6_addr = { 0xff, 0x02, [11] = 0x01, [12] = 0xff }
};
#define NDP_SOLICITED_NODE_LEN 104

/* Send one message, checksum zero so far */
static int ndp_send(struct ndp *ndp, const union inany_addr *src,
		    const union inany_addr *dst, const void *msg, size_t len)
{
	const struct l3_spec l3 = {
		.src = src,
		.dst = dst,
		.proto = IPPROTO_ICMPV6,
		.ttl = NDP_HOP_LIMIT,
	};

	return tap_send_l4(ndp->tap, &l3, msg, len,
			   offsetof(struct icmp6_hdr, icmp6_cksum));
}

static struct ndp_opt_lladdr ndp_lladdr(const struct ndp *ndp, uint8_t type)
{
	struct ndp_opt_lladdr opt = {
		.type = type,
		.len = sizeof(opt) / NDP_OPT_UNIT,
	};

	memcpy(opt.mac, ndp->guest->our_mac, sizeof(opt.mac));
	return opt;
}

/* Options of an advertisement: each returns its length, 0 if there is none,
 * @room bytes are left at @p
 */
static size_t ndp_ra_prefix(const struct ndp *ndp, uint8_t *p, size_t room)
{
	const union inany_addr *addr = &ndp->guest->v6.addr;
	struct nd_opt_prefix_info opt = {
		.nd_opt_pi_type = ND_OPT_PREFIX_INFORMATION,
		.nd_opt_pi_len = sizeof(opt) / NDP_OPT_UNIT,
		.nd_opt_pi_prefix_len = NDP_PREFIX_LEN,
		.nd_opt_pi_flags_reserved = ND_OPT_PI_FLAG_ONLINK |
					    ND_OPT_PI_FLAG_AUTO,
		.nd_opt_pi_valid_time = htonl(NDP_INFINITY),
		.nd_opt_pi_preferred_time = htonl(NDP_INFINITY),
	};

	if (inany_is_unspecified(addr) || sizeof(opt) > room)
		return 0;
	memcpy(&opt.nd_opt_pi_prefix, addr, NDP_PREFIX_LEN / 8);
	memcpy(p, &opt, sizeof(opt));
	return sizeof(opt);
}

static size_t ndp_ra_mtu(const struct ndp *ndp, uint8_t *p, size_t room)
{
	struct nd_opt_mtu opt = {
		.nd_opt_mtu_type = ND_OPT_MTU,
		.nd_opt_mtu_len = sizeof(opt) / NDP_OPT_UNIT,
		.nd_opt_mtu_mtu = htonl(ndp->guest->offer.mtu),
	};

	if (ndp->guest->offer.mtu < NDP_MTU_MIN || sizeof(opt) > room)
		return 0;
	memcpy(p, &opt, sizeof(opt));
	return sizeof(opt);
}

static size_t ndp_ra_source(const struct ndp *ndp, uint8_t *p, size_t room)
{
	struct ndp_opt_lladdr opt = ndp_lladdr(ndp, ND_OPT_SOURCE_LINKADDR);

	if (sizeof(opt) > room)
		return 0;
	memcpy(p, &opt, sizeof(opt));
	return sizeof(opt);
}

/* Head of a DNS option whose body of @body bytes is in its place already */
static size_t ndp_ra_dns_head(uint8_t *p, uint8_t type, size_t body)
{
	struct ndp_opt_dns opt = {
		.type = type,
		.len = (uint8_t)((sizeof(opt) + body) / NDP_OPT_UNIT),
		.lifetime = htonl(NDP_INFINITY),
	};

	memcpy(p, &opt, sizeof(opt));
	return sizeof(opt) + body;
}

static size_t ndp_ra_rdnss(const struct ndp *ndp, uint8_t *p, size_t room)
{
	size_t size = sizeof(struct in6_addr), i;
	size_t n = ndp->guest->offer.ndns6;

	if (!n || ndp->opts->no_dns ||
	    sizeof(struct ndp_opt_dns) + n * size > room)
		return 0;
	for (i = 0; i < n; i++)
		memcpy(p + sizeof(struct ndp_opt_dns) + i * size,
		       &ndp->guest->offer.dns6[i].a6, size);
	return ndp_ra_dns_head(p, NDP_OPT_RDNSS, n * size);
}

static size_t ndp_ra_dnssl(const struct ndp *ndp, uint8_t *p, size_t room)
{
	const struct guest_offer *offer = &ndp->guest->offer;
	struct dnsname_writer w;
	size_t body;
	unsigned i;

	if (ndp->opts->no_search || room < sizeof(struct ndp_opt_dns))
		return 0;

	/* Names that do not fit are left out; whole units only */
	room -= sizeof(struct ndp_opt_dns);
	room -= room % NDP_OPT_UNIT;
	dnsname_init(&w, p + sizeof(struct ndp_opt_dns), room, false);
	for (i = 0; i < offer->nsearch; i++)
		dnsname_add(&w, offer->search[i]);
	if (!w.len)
		return 0;

	body = (w.len + NDP_OPT_UNIT - 1) / NDP_OPT_UNIT * NDP_OPT_UNIT;
	memset(w.buf + w.len, 0, body - w.len);
	return ndp_ra_dns_head(p, NDP_OPT_DNSSL, body);
}

static size_t (*const ndp_ra_opts[])(const struct ndp *, uint8_t *, size_t) = {
	ndp_ra_prefix, ndp_ra_mtu, ndp_ra_source, ndp_ra_rdnss, ndp_ra_dnssl,
};

/* Router advertisement, RFC 4861 4.2 */
static int ndp_send_ra(struct ndp *ndp, const union inany_addr *dst)
{
	_Alignas(uint32_t) uint8_t msg[NDP_RA_ROOM] = { 0 };
	struct nd_router_advert *ra = (void *)msg;
	size_t len = sizeof(*ra), i;

	ra->nd_ra_type = ND_ROUTER_ADVERT;
	ra->nd_ra_curhoplimit = NDP_RA_HOP_LIMIT;
	if (!ndp->opts->no_dhcpv6)
		ra->nd_ra_flags_reserved = ND_RA_FLAG_MANAGED;
	ra->nd_ra_router_lifetime = htons(NDP_RA_LIFETIME);

	for (i = 0; i < sizeof(ndp_ra_opts) / sizeof(ndp_ra_opts[0]); i++)
		len += ndp_ra_opts[i](ndp, msg + len, sizeof(msg) - len);

	return ndp_send(ndp, &ndp->guest->v6.our, dst, msg, len);
}

/* May the neighbour @target be asked for, by @src, and is it us? */
static bool ndp_wanted(const struct guest *g, const union inany_addr *src,
		       const union inany_addr *target)
{
	if (inany_is_unspecified(src)) /* somebody about to use it */
		return inany_equals(target, &g->v6.our);

	return !inany_equals(target, &g->v6.addr) &&
	       !inany_equals(target, &g->v6.seen) &&
	       !inany_equals(target, &g->v6.ll_seen) &&
	       !inany_is_unspecified(target) && !inany_is_loopback(target);
}

/* Neighbour advertisement for @target in answer to @src, RFC 4861 7.2.4 */
static int ndp_send_na(struct ndp *ndp, const union inany_addr *src,
		       const union inany_addr *target)
{
	bool dad = inany_is_unspecified(src);
	const union inany_addr *our = &ndp->guest->v6.our;
	struct {
		struct nd_neighbor_advert na;
		struct ndp_opt_lladdr tlla;
	} msg = {
		.na.nd_na_type = ND_NEIGHBOR_ADVERT,
		.na.nd_na_flags_reserved = ND_NA_FLAG_ROUTER |
					   ND_NA_FLAG_OVERRIDE |
					   (dad ? 0 : ND_NA_FLAG_SOLICITED),
		.na.nd_na_target = target->a6,
		.tlla = ndp_lladdr(ndp, ND_OPT_TARGET_LINKADDR),
	};

	return ndp_send(ndp, inany_is_unspecified(our) ? target : our,
			dad ? &ndp_all_nodes : src, &msg, sizeof(msg));
}

/* Neighbour solicitation from us for an address of the guest */
static int ndp_send_ns(struct ndp *ndp, const union inany_addr *target)
{
	union inany_addr dst = ndp_solicited_node;
	size_t prefix = NDP_SOLICITED_NODE_LEN / 8;
	struct {
		struct nd_neighbor_solicit ns;
		struct ndp_opt_lladdr slla;
	} msg = {
		.ns.nd_ns_type = ND_NEIGHBOR_SOLICIT,
		.ns.nd_ns_target = target->a6,
		.slla = ndp_lladdr(ndp, ND_OPT_SOURCE_LINKADDR),
	};

	memcpy(&dst.a6.s6_addr[prefix], &target->a6.s6_addr[prefix],
	       sizeof(dst) - prefix);
	return ndp_send(ndp, &ndp->guest->v6.our, &dst, &msg, sizeof(msg));
}

/* Walk the options; false if they are broken. @slla: source address present? */
static bool ndp_options(struct iov_tail opts, bool *slla)
{
	*slla = false;
	while (opts.len) {
		struct nd_opt_hdr store;
		const struct nd_opt_hdr *h = IOV_PEEK(&opts, &store);

		if (!h || !h->nd_opt_len)
			return false;
		if (h->nd_opt_type == ND_OPT_SOURCE_LINKADDR)
			*slla = true;
		if (!iov_tail_drop(&opts, (size_t)h->nd_opt_len * NDP_OPT_UNIT))
			return false;
	}
	return true;
}

/* Handlers: false if the message is not valid */

/* RFC 4861 7.1.1 */
static bool ndp_input_ns(struct ndp *ndp, const struct packet_group *g,
			 struct iov_tail msg)
{
	const struct nd_neighbor_solicit *ns;
	struct nd_neighbor_solicit store;
	union inany_addr target;
	bool slla;

	ns = IOV_PULL(&msg, &store);
	if (!ns || !ndp_options(msg, &slla))
		return false;
	target.a6 = ns->nd_ns_target;
	if (inany_is_multicast(&target))
		return false;
	if (inany_is_unspecified(&g->src) &&
	    (slla || !inany_prefix_equals(&g->dst, &ndp_solicited_node,
					  NDP_SOLICITED_NODE_LEN)))
		return false;

	if (ndp_wanted(ndp->guest, &g->src, &target) &&
	    !ndp_send_na(ndp, &g->src, &target))
		ndp->answered++;
	return true;
}

/* RFC 4861 6.1.1, 6.2.6 */
static bool ndp_input_rs(struct ndp *ndp, const struct packet_group *g,
			 struct iov_tail msg)
{
	bool unspecified = inany_is_unspecified(&g->src), slla;

	if (!iov_tail_drop(&msg, sizeof(struct nd_router_solicit)) ||
	    !ndp_options(msg, &slla) || (unspecified && slla))
		return false;
	if (ndp->opts->no_ra)
		return true;

	if (!ndp_send_ra(ndp, unspecified ? &ndp_all_nodes : &g->src))
		ndp->answered++;
	return true;
}

static const struct ndp_row {
	uint8_t type;
	bool (*input)(struct ndp *ndp, const struct packet_group *g,
		      struct iov_tail msg);
} ndp_rows[] = {
	{ ND_ROUTER_SOLICIT, ndp_input_rs },
	{ ND_NEIGHBOR_SOLICIT, ndp_input_ns },
	/* A guest's advertisements and redirects are of no use to us */
};

/* One message; false if it is not valid */
static bool ndp_input_one(struct ndp *ndp, const struct packet_group *g,
			  const struct packet *p)
{
	const struct icmp6_hdr *h;
	struct icmp6_hdr store;
	size_t i;

	h = IOV_PEEK(&p->l4, &store);
	if (!h || h->icmp6_code || g->ttl != NDP_HOP_LIMIT ||
	    !l4check_csum(g, p))
		return false;

	for (i = 0; i < sizeof(ndp_rows) / sizeof(ndp_rows[0]); i++) {
		if (ndp_rows[i].type == h->icmp6_type)
			return ndp_rows[i].input(ndp, g, p->l4);
	}
	return true;
}

void ndp_tap_input(void *ctx, const struct packet_group *g)
{
	const struct packet *p;
	struct ndp *ndp = ctx;

	if (ndp->opts->no_ndp)
		return;

	for (p = g->first; p; p = p->next) {
		if (!ndp_input_one(ndp, g, p))
			ndp->bad++;
	}
}

/* #syscalls getrandom */

/* When the next unsolicited advertisement is due, RFC 4861 6.2.4 */
static uint64_t ndp_interval(struct ndp *ndp)
{
	uint32_t r = (uint32_t)ndp->loop->now;
	uint64_t ms;

	/* Without entropy, the time will do: it is about being out of step */
	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) < 0)
		r = (uint32_t)ndp->loop->now;
	ms = NDP_RA_MIN_MS + r % (NDP_RA_MAX_MS - NDP_RA_MIN_MS + 1);

	if (ndp->initial) {
		ndp->initial--;
		if (ms > NDP_RA_INITIAL_MS)
			ms = NDP_RA_INITIAL_MS;
	}
	return ms;
}

void ndp_timer(struct ndp *ndp)
{
	ndp_send_ra(ndp, &ndp_all_nodes);
	loop_arm(ndp->loop, &ndp->timer, ndp_interval(ndp));
}

void ndp_link_up(struct ndp *ndp)
{
	const struct guest_if *v6 = &ndp->guest->v6;

	if (ndp->opts->no_ndp || !v6->on)
		return;

	if (!inany_is_unspecified(&v6->seen))
		ndp_send_ns(ndp, &v6->seen);
	if (ndp->opts->no_ra || ndp->opts->no_periodic)
		return;

	ndp->initial = NDP_RA_INITIAL_COUNT - 1;
	ndp_timer(ndp);
}
