/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ARP responder (RFC 826, RFC 5227) */
#ifndef ARP_H
#define ARP_H

#include <stdint.h>

#include "lib/iov.h"

struct guest;
struct tap;

/* Collaborators, filled by the caller */
struct arp {
	struct tap *tap;
	const struct guest *guest;
	uint64_t bad, answered;
};

/**
 * arp_input() - An ARP packet from the guest (row of the L2 table)
 * @ctx:	struct arp
 * @smac:	Source MAC of the frame
 * @payload:	ARP packet
 */
void arp_input(void *ctx, const uint8_t *smac, struct iov_tail payload);

/**
 * arp_announce() - Ask for the guest's address so that it shows its MAC
 * @arp:	ARP
 *
 * When a link comes up: both sides learn each other's MAC from the exchange.
 */
void arp_announce(struct arp *arp);

#endif /* ARP_H */
