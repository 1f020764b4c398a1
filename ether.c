/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames from the guest: validate L2 and L3 once, group by flow, hand over
 *
 * This is where a byte from the guest is looked at first. What passes here has
 * an Ethernet header, an IP header whose lengths fit the frame, addresses that
 * may stand on a link, and an L4 header's first bytes. Protocols rely on it and
 * check only their own header. What does not pass is counted in one of the
 * counters of enum ether_drop, told at debug level, and forgotten.
 *
 * Packets of a batch with the same addresses, ports and so on form a group, so
 * that a protocol looks its flow up once and moves the payload of a whole group
 * with one system call. Order within a flow is kept.
 *
 * Fragments wait in frag.c; the last one of a datagram becomes the packet, with
 * the datagram instead of the fragment. Those buffers are needed for others, so
 * a batch that holds many is handed over before its end.
 *
 * The unspecified source address is for configuration only: rows of the L4
 * table say whether they take it (DHCP: RFC 2131 4.1, duplicate address
 * detection: RFC 4862 5.4.2).
 */
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <time.h>

#include "ether.h"
#include "frag.h"
#include "guest.h"
#include "lib/csum.h"
#include "lib/log.h"

/* Extension headers walked before a packet is given up (RFC 8200 4.1 has 4) */
#define IP6_EXT_MAX 8

/* Hash of groups within a batch: at most half full */
#define GROUP_SLOTS (TAP_RX_MAX * 2)

/* Bytes compared to tell groups apart: src to icmp_type */
#define GROUP_KEY_LEN offsetof(struct packet_group, smac)
_Static_assert(GROUP_KEY_LEN == 40, "no padding in what is compared");

static const char *const drop_name[ETHER_DROPS] = {
	[ETHER_SHORT] = "too short",
	[ETHER_TYPE] = "unknown Ethertype",
	[ETHER_OWN_MAC] = "impossible source MAC address",
	[ETHER_IP_HDR] = "bad IP header",
	[ETHER_FRAGMENT] = "useless IP fragment",
	[ETHER_EXT_HDR] = "bad IPv6 extension headers",
	[ETHER_BAD_SRC] = "impossible source address",
	[ETHER_BAD_DST] = "impossible destination address",
	[ETHER_PROTO] = "unknown protocol",
};

/* Everything that lives for one batch */
struct ether_batch {
	struct packet packet[TAP_RX_MAX];
	struct packet_group group[TAP_RX_MAX];
	const struct ether_l4 *row[TAP_RX_MAX];
	uint8_t slot[GROUP_SLOTS]; /* group index plus one */
	unsigned ngroups;
};

void ether_init(struct ether *e, struct guest *guest, const struct ether_l2 *l2,
		const struct ether_l4 *l4, bool v4, bool v6)
{
	*e = (struct ether){
		.guest = guest, .l2 = l2, .l4 = l4, .v4 = v4, .v6 = v6
	};
	frag_reset();
}

/* Count a drop. Return: false, for the caller to return */
static bool ether_drop(struct ether *e, enum ether_drop why)
{
	e->dropped[why]++;
	debug_limited("Frame from guest dropped: %s (%llu so far)",
		      drop_name[why], (unsigned long long)e->dropped[why]);
	return false;
}

/* A fragment: keep it. Return: true with the whole in @p once it is complete */
static bool ether_join(struct ether *e, struct packet *p, const struct frag *f,
		       const void *hdr, size_t hlen)
{
	struct timespec ts;

	/* Rare enough to ask for the time */
	clock_gettime(CLOCK_MONOTONIC, &ts);
	switch (frag_input(f, hdr, hlen, &p->l4,
			   (uint64_t)ts.tv_sec * 1000 +
				   (uint64_t)ts.tv_nsec / 1000000,
			   &p->l3)) {
	case FRAG_WHOLE:
		/* The guest had to compute the checksum before it cut */
		p->joined = true;
		p->csum_ok = false;
		p->gso_size = 0;
		return true;
	case FRAG_KEPT:
		return false;
	default:
		return ether_drop(e, ETHER_FRAGMENT);
	}
}

/* What an IPv4 header says; leaves p->l4 behind it. Return: its length */
static size_t ether_ip4_fields(struct packet *p, const struct iphdr *ih,
			       struct packet_group *k)
{
	size_t hlen = (size_t)ih->ihl * 4;

	inany_from_af(&k->src, AF_INET, &ih->saddr);
	inany_from_af(&k->dst, AF_INET, &ih->daddr);
	k->proto = ih->protocol;
	k->ttl = ih->ttl;
	k->tos = ih->tos;
	p->l4 = p->l3;
	iov_tail_drop(&p->l4, hlen);
	return hlen;
}

/* IPv4 header: lengths, checksum, fragments; leaves p->l4 at the L4 header */
static bool ether_ip4(struct ether *e, struct packet *p, struct packet_group *k)
{
	struct iphdr store;
	const struct iphdr *ih = IOV_PEEK(&p->l3, &store);
	uint8_t raw[60];
	struct frag f;
	size_t hlen, len;

	if (!ih)
		return ether_drop(e, ETHER_SHORT);
	hlen = (size_t)ih->ihl * 4;
	len = ntohs(ih->tot_len);
	if (ih->version != 4 || hlen < sizeof(*ih) || len < hlen ||
	    !iov_tail_trim(&p->l3, len) ||
	    iov_tail_copy(&p->l3, raw, hlen) != hlen || csum(raw, hlen, 0))
		return ether_drop(e, ETHER_IP_HDR);
	ether_ip4_fields(p, ih, k);
	if (!(ih->frag_off & htons(IP_MF | IP_OFFMASK)))
		return true;

	f = (struct frag){ .src = k->src,
			   .dst = k->dst,
			   .proto = k->proto,
			   .id = ntohs(ih->id),
			   .off = (uint16_t)(ntohs(ih->frag_off) << 3),
			   .more = ih->frag_off & htons(IP_MF) };
	if (!ether_join(e, p, &f, raw, hlen))
		return false;
	ih = IOV_PEEK(&p->l3, &store);
	return ether_ip4_fields(p, ih, k);
}

/* What an IPv6 header says; leaves p->l4 behind it */
static void ether_ip6_fields(struct packet *p, const struct ip6_hdr *ih,
			     struct packet_group *k)
{
	k->src = inany_from_v6(&ih->ip6_src);
	k->dst = inany_from_v6(&ih->ip6_dst);
	k->proto = ih->ip6_nxt;
	k->ttl = ih->ip6_hlim;
	k->tos = (uint8_t)(ntohl(ih->ip6_flow) >> 20);
	p->l4 = p->l3;
	iov_tail_drop(&p->l4, sizeof(*ih));
}

/* Pass a fragment header. Return: false if there is nothing behind it (yet) */
static bool ether_ip6_frag(struct ether *e, struct packet *p,
			   struct packet_group *k)
{
	struct ip6_hdr hstore;
	struct ip6_frag store;
	const struct ip6_frag *fh = IOV_PULL(&p->l4, &store);
	const struct ip6_hdr *ih = IOV_PEEK(&p->l3, &hstore);
	struct frag f;

	if (!fh)
		return ether_drop(e, ETHER_EXT_HDR);
	/* An atomic fragment is a whole packet (RFC 6946) */
	if (!(fh->ip6f_offlg & (IP6F_OFF_MASK | IP6F_MORE_FRAG))) {
		k->proto = fh->ip6f_nxt;
		return true;
	}
	/* Fragments of fragments: nobody sends them for good */
	if (p->joined)
		return ether_drop(e, ETHER_FRAGMENT);
	f = (struct frag){ .src = k->src,
			   .dst = k->dst,
			   .proto = fh->ip6f_nxt,
			   .id = ntohl(fh->ip6f_ident),
			   .off = ntohs(fh->ip6f_offlg & IP6F_OFF_MASK),
			   .more = fh->ip6f_offlg & IP6F_MORE_FRAG };
	if (!ether_join(e, p, &f, ih, sizeof(*ih)))
		return false;
	ih = IOV_PEEK(&p->l3, &hstore);
	ether_ip6_fields(p, ih, k);
	return true;
}

/* Pass one extension header with a length in it */
static bool ether_ip6_ext(struct ether *e, struct iov_tail *l4, uint8_t *proto)
{
	struct ip6_ext store;
	const struct ip6_ext *ext = IOV_PEEK(l4, &store);

	if (!ext || !iov_tail_drop(l4, ((size_t)ext->ip6e_len + 1) * 8))
		return ether_drop(e, ETHER_EXT_HDR);
	*proto = ext->ip6e_nxt;
	return true;
}

/* Walk extension headers up to the L4 header */
static bool ether_ip6_walk(struct ether *e, struct packet *p,
			   struct packet_group *k)
{
	unsigned i;

	for (i = 0; i < IP6_EXT_MAX; i++) {
		switch (k->proto) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			if (!ether_ip6_ext(e, &p->l4, &k->proto))
				return false;
			break;
		case IPPROTO_FRAGMENT:
			if (!ether_ip6_frag(e, p, k))
				return false;
			break;
		default:
			return true;
		}
	}
	return ether_drop(e, ETHER_EXT_HDR);
}

/* IPv6 header and extension headers; leaves p->l4 at the L4 header */
static bool ether_ip6(struct ether *e, struct packet *p, struct packet_group *k)
{
	struct ip6_hdr store;
	const struct ip6_hdr *ih = IOV_PEEK(&p->l3, &store);

	if (!ih)
		return ether_drop(e, ETHER_SHORT);
	if (ih->ip6_vfc >> 4 != 6 ||
	    !iov_tail_trim(&p->l3, sizeof(*ih) + ntohs(ih->ip6_plen)))
		return ether_drop(e, ETHER_IP_HDR);

	ether_ip6_fields(p, ih, k);
	/* IPv4-mapped addresses must not appear on a wire (RFC 4291 2.5.5.2,
	 * RFC 4942 2.2): to us they would look like IPv4
	 */
	if (inany_v4(&k->src))
		return ether_drop(e, ETHER_BAD_SRC);
	if (inany_v4(&k->dst))
		return ether_drop(e, ETHER_BAD_DST);
	return ether_ip6_walk(e, p, k);
}

/* First bytes of the L4 header: what tells flows apart */
static bool ether_l4(struct ether *e, const struct packet *p,
		     struct packet_group *k)
{
	struct udphdr ustore; /* ports lie alike in TCP and UDP */
	struct icmphdr istore;
	const struct udphdr *uh;
	const struct icmphdr *ih;

	switch (k->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		uh = IOV_PEEK(&p->l4, &ustore);
		if (!uh)
			return ether_drop(e, ETHER_SHORT);
		k->sport = ntohs(uh->source);
		k->dport = ntohs(uh->dest);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		ih = IOV_PEEK(&p->l4, &istore);
		if (!ih)
			return ether_drop(e, ETHER_SHORT);
		k->icmp_type = ih->type;
		k->sport = k->dport = ntohs(ih->un.echo.id);
		break;
	}
	return true;
}

/* Do family, protocol, port and type of a packet fit a row? */
static bool ether_row_fits(const struct ether_l4 *r,
			   const struct packet_group *k)
{
	if (r->proto != k->proto ||
	    (r->af != AF_UNSPEC && r->af != inany_af(&k->src)) ||
	    (r->dport && r->dport != k->dport))
		return false;
	return !r->type_max ||
	       (k->icmp_type >= r->type_min && k->icmp_type <= r->type_max);
}

/* Row for a packet with plausible addresses, NULL: dropped */
static const struct ether_l4 *ether_row(struct ether *e,
					const struct packet_group *k)
{
	const struct guest_if *gif = guest_if_of(e->guest, &k->src);
	const struct ether_l4 *r;

	if (inany_is_loopback(&k->dst) || inany_is_unspecified(&k->dst)) {
		ether_drop(e, ETHER_BAD_DST);
		return NULL;
	}
	for (r = e->l4; r->name; r++)
		if (ether_row_fits(r, k))
			break;
	if (!r->name) {
		ether_drop(e, ETHER_PROTO);
		return NULL;
	}
	if (inany_is_unspecified(&k->src)
		    ? !r->any_src
		    : !inany_is_unicast(&k->src) ||
			      inany_is_loopback(&k->src) ||
			      inany_equals(&k->src, &gif->our)) {
		ether_drop(e, ETHER_BAD_SRC);
		return NULL;
	}
	return r;
}

/* Slot of a key: the group's, or the free one where it belongs */
static uint8_t *ether_group_slot(struct ether_batch *b,
				 const struct packet_group *k)
{
	uint64_t words[GROUP_KEY_LEN / 8], h = 0;
	unsigned i;

	memcpy(words, k, sizeof(words));
	for (i = 0; i < GROUP_KEY_LEN / 8; i++)
		h = (h ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
	for (i = (unsigned)(h >> 32) % GROUP_SLOTS; b->slot[i];
	     i = (i + 1) % GROUP_SLOTS)
		if (!memcmp(&b->group[b->slot[i] - 1], k, GROUP_KEY_LEN))
			break;
	return &b->slot[i];
}

/* Append a packet to the group of its key, made if there is none */
static void ether_group_add(struct ether_batch *b, const struct packet_group *k,
			    struct packet *p, const struct ether_l4 *row)
{
	uint8_t *slot = ether_group_slot(b, k);
	struct packet_group *g;

	p->next = NULL;
	if (*slot) {
		g = &b->group[*slot - 1];
		g->last->next = p;
		g->last = p;
		g->n++;
		return;
	}
	b->row[b->ngroups] = row;
	g = &b->group[b->ngroups++];
	*slot = (uint8_t)b->ngroups;
	*g = *k;
	g->first = g->last = p;
	g->n = 1;
}

/* An IP packet: validate and group it */
static bool ether_ip(struct ether *e, struct ether_batch *b, struct packet *p,
		     struct packet_group *k, bool v4)
{
	const struct ether_l4 *row;

	if (v4 ? !e->v4 : !e->v6)
		return ether_drop(e, ETHER_TYPE);
	if (!(v4 ? ether_ip4(e, p, k) : ether_ip6(e, p, k)) ||
	    !ether_l4(e, p, k))
		return false;
	row = ether_row(e, k);
	if (!row)
		return false;
	guest_observe(e->guest, k->smac, &k->src);

	/* A change of TOS (ECN) or TTL must not change the order of segments */
	if (k->proto == IPPROTO_TCP)
		k->ttl = k->tos = 0;
	ether_group_add(b, k, p, row);
	return true;
}

/* One frame */
static void ether_frame(struct ether *e, struct ether_batch *b,
			const struct tap_rx *rx, struct packet *p)
{
	struct iov_tail tail = iov_tail_init(rx->iov, rx->iovcnt, 0);
	struct packet_group key = { .n = 0 };
	struct ether_header store;
	const struct ether_header *eh;
	const struct ether_l2 *r;
	uint16_t type;

	if (!iov_tail_trim(&tail, rx->len) || !(eh = IOV_PULL(&tail, &store))) {
		ether_drop(e, ETHER_SHORT);
		return;
	}
	if (eh->ether_shost[0] & 1 ||
	    !memcmp(eh->ether_shost, e->guest->our_mac, ETH_ALEN)) {
		ether_drop(e, ETHER_OWN_MAC);
		return;
	}
	type = ntohs(eh->ether_type);
	memcpy(key.smac, eh->ether_shost, ETH_ALEN);
	memcpy(key.dmac, eh->ether_dhost, ETH_ALEN);
	if (type == ETHERTYPE_IP || type == ETHERTYPE_IPV6) {
		p->l3 = tail;
		p->gso_size = rx->gso_size;
		p->csum_ok = rx->csum_ok;
		p->joined = false;
		ether_ip(e, b, p, &key, type == ETHERTYPE_IP);
		return;
	}
	for (r = e->l2; r->name; r++) {
		if (r->type != type)
			continue;
		guest_observe(e->guest, key.smac, NULL);
		r->input(r->ctx, key.smac, tail);
		return;
	}
	ether_drop(e, ETHER_TYPE);
}

/* Hand all groups over, begin anew. Return: how many there were */
static unsigned ether_deliver(struct ether_batch *b)
{
	unsigned i, n = b->ngroups;

	for (i = 0; i < n; i++)
		b->row[i]->input(b->row[i]->ctx, &b->group[i]);
	memset(b->slot, 0, sizeof(b->slot));
	b->ngroups = 0;
	frag_release();
	return n;
}

unsigned ether_input(void *ctx, const struct tap_rx *rx, unsigned n)
{
	static struct ether_batch batch;
	struct ether_batch *b = &batch;
	struct ether *e = ctx;
	unsigned i, groups = 0;

	for (i = 0; i < n && i < TAP_RX_MAX; i++) {
		ether_frame(e, b, &rx[i], &b->packet[i]);
		if (frag_crowded())
			groups += ether_deliver(b);
	}
	return groups + ether_deliver(b);
}
