/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ARP responder (RFC 826, RFC 5227)
 *
 * The guest may believe in any prefix and any gateway: whatever neighbour it
 * asks for, the answer is our MAC address, so that all its packets come here.
 * Only what is the guest's own must stay unanswered, or it would see an address
 * conflict: its assigned address, what it announces (sender and target are the
 * same), and what it probes before use (sender 0.0.0.0), unless that is the
 * address we speak from.
 */

#include "arp.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <string.h>

#include "frame.h"
#include "guest.h"
#include "lib/inany.h"
#include "tap.h"
#include "wire/arp.h"

static const uint8_t arp_broadcast[ETH_ALEN] = { 0xff, 0xff, 0xff,
						 0xff, 0xff, 0xff };

/* Is it ARP of IPv4 over Ethernet, from somebody who can be answered? */
static bool arp_valid(const struct arp_packet *p)
{
	union inany_addr sender;

	if (p->hw != htons(ARP_HW_ETHER) || p->proto != htons(ARP_PROTO_IPV4) ||
	    p->hlen != ARP_HLEN_ETHER || p->plen != ARP_PLEN_IPV4)
		return false;
	if (p->sha[0] & 1) /* group bit */
		return false;

	inany_from_af(&sender, AF_INET, p->spa);
	return inany_is_unspecified(&sender) ||
	       (inany_is_unicast(&sender) && !inany_is_loopback(&sender));
}

/* Is there an answer to a valid request? */
static bool arp_wanted(const struct guest *g, const struct arp_packet *p)
{
	union inany_addr sender, target;

	inany_from_af(&sender, AF_INET, p->spa);
	inany_from_af(&target, AF_INET, p->tpa);

	if (!g->v4.on || !inany_is_unicast(&target) ||
	    inany_is_loopback(&target))
		return false;
	if (inany_equals(&target, &g->v4.addr)) /* the guest's own */
		return false;
	if (inany_equals(&target, &sender)) /* announcement */
		return false;
	if (inany_is_unspecified(&sender)) /* probe */
		return inany_equals(&target, &g->v4.our);
	return true;
}

/* Send one packet; @dst: MAC of the frame */
static int arp_send(struct arp *arp, const uint8_t *dst,
		    const struct arp_packet *p)
{
	uint8_t frame[sizeof(struct ether_header) + sizeof(*p)];

	memcpy(frame_push_eth(frame, dst, arp->guest->our_mac, ETHERTYPE_ARP),
	       p, sizeof(*p));
	return tap_send_l2(arp->tap, frame, sizeof(frame));
}

static struct arp_packet arp_packet_init(const struct arp *arp, uint16_t op)
{
	struct arp_packet p = {
		.hw = htons(ARP_HW_ETHER),
		.proto = htons(ARP_PROTO_IPV4),
		.hlen = ARP_HLEN_ETHER,
		.plen = ARP_PLEN_IPV4,
		.op = htons(op),
	};

	memcpy(p.sha, arp->guest->our_mac, sizeof(p.sha));
	return p;
}

void arp_input(void *ctx, const uint8_t *smac, struct iov_tail payload)
{
	const struct arp_packet *req;
	struct arp_packet store, rep;
	struct arp *arp = ctx;

	(void)smac;

	req = IOV_PULL(&payload, &store);
	if (!req || !arp_valid(req)) {
		arp->bad++;
		return;
	}
	if (req->op != htons(ARP_OP_REQUEST) || !arp_wanted(arp->guest, req))
		return;

	rep = arp_packet_init(arp, ARP_OP_REPLY);
	memcpy(rep.spa, req->tpa, sizeof(rep.spa));
	memcpy(rep.tha, req->sha, sizeof(rep.tha));
	memcpy(rep.tpa, req->spa, sizeof(rep.tpa));
	if (!arp_send(arp, req->sha, &rep))
		arp->answered++;
}

void arp_announce(struct arp *arp)
{
	struct arp_packet req = arp_packet_init(arp, ARP_OP_REQUEST);
	const struct in_addr *target, *our;

	target = inany_v4(&arp->guest->v4.seen);
	our = inany_v4(&arp->guest->v4.our);
	if (!arp->guest->v4.on || !target || !target->s_addr)
		return;

	/* Without an address of ours this is a probe (RFC 5227 2.1.1) */
	if (our)
		memcpy(req.spa, our, sizeof(req.spa));
	memcpy(req.tpa, target, sizeof(req.tpa));
	arp_send(arp, arp_broadcast, &req);
}
