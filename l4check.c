/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is an L4 packet of the guest whole? Checks shared by all that answer it */

#include "l4check.h"

#include <arpa/inet.h>
#include <netinet/udp.h>

#include "frame.h"
#include "lib/csum.h"

/* Checksum over the first @l4.len bytes, pseudo-header included */
static bool l4check_sum(const struct packet_group *g, const struct iov_tail *l4)
{
	const struct l3_spec l3 = { .src = &g->src,
				    .dst = &g->dst,
				    .proto = g->proto };
	uint32_t sum = 0;

	if (g->proto != IPPROTO_ICMP)
		sum = frame_pseudo(&l3, l4->len);
	return csum_fold(csum_tail(l4, sum)) == UINT16_MAX;
}

bool l4check_csum(const struct packet_group *g, const struct packet *p)
{
	return p->csum_ok || l4check_sum(g, &p->l4);
}

bool l4check_udp(const struct packet_group *g, const struct packet *p,
		 struct iov_tail *payload)
{
	struct iov_tail l4 = p->l4;
	struct udphdr store;
	const struct udphdr *uh = IOV_PEEK(&l4, &store);

	if (!uh || ntohs(uh->len) < sizeof(*uh) ||
	    !iov_tail_trim(&l4, ntohs(uh->len)))
		return false;

	if (!p->csum_ok) {
		if (!uh->check && !inany_v4(&g->src))
			return false;
		if (uh->check && !l4check_sum(g, &l4))
			return false;
	}

	*payload = l4;
	return iov_tail_drop(payload, sizeof(*uh));
}
