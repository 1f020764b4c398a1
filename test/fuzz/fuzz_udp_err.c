/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzing of reports in the error queues of UDP sockets
 *
 * The first byte chooses the socket: that of a flow of either family, or the
 * listener. The rest are reports, see test/fake/udp_report.h. All that comes out
 * has to be an ICMP error, whole and with correct lengths and checksums.
 */
#include <stdlib.h>

#include "lib/csum.h"
#include "pcap.h"
#include "test/fake/udp_report.h"
#include "udp/internal.h"

#define SPORT 1000
#define LPORT 4000

enum { FLOW4, FLOW6, LISTENER, WHERE_MAX };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int netns_call(struct netns *ns, int (*fn)(void *arg), void *arg)
{
	return udp_env_netns_call(ns, fn, arg);
}

void pcap_write(struct pcap *p, const struct iovec *iov, size_t cnt, size_t len)
{
	(void)p, (void)iov, (void)cnt, (void)len;
}

/* Is it an ICMP error as it should be? */
static void check_frame(const uint8_t *f, size_t len)
{
	const uint8_t *l3 = f + sizeof(struct ether_header);
	size_t l3len = len - sizeof(struct ether_header);

	if (l3[0] >> 4 == 4) {
		size_t tot = l3[2] * 256u + l3[3];

		if (tot > l3len || tot > 576 || l3[9] != IPPROTO_ICMP ||
		    csum(l3, sizeof(struct iphdr), 0) ||
		    csum(l3 + sizeof(struct iphdr), tot - sizeof(struct iphdr),
			 0))
			abort();
	} else {
		size_t tot = sizeof(struct ip6_hdr) + l3[4] * 256u + l3[5];

		if (tot > l3len || tot > 1280 || l3[6] != IPPROTO_ICMPV6)
			abort();
	}
}

/* The flow of a datagram that the guest sends */
static struct udp_flow *guest_flow(const char *src, const char *dst)
{
	const struct udp_env_send s = {
		.src = src, .dst = dst, .sport = SPORT, .dport = REPORT_DPORT
	};
	const struct flowside side = { .eaddr = env_addr(src),
				       .oaddr = env_addr(dst),
				       .eport = SPORT,
				       .oport = REPORT_DPORT };
	struct flow *f;

	udp_env_guest_sends(&s, "x", 1);
	f = flow_lookup(&udp_env.flows, IPPROTO_UDP, PIF_TAP, &side, NULL);
	if (!f)
		abort();
	return (struct udp_flow *)f;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct udp_flow *flow[WHERE_MAX];
	unsigned i, where;

	if (!flow[FLOW4]) {
		if (udp_env_start(NULL) || udp_env_reset(NULL))
			abort();
		udp_env_rule(PIF_HOST, NULL, LPORT, LPORT);
		if (fwd_listen(&udp_env.fwd, PIF_HOST))
			abort();
		flow[FLOW4] = guest_flow(GUEST4, PEER4);
		flow[FLOW6] = guest_flow(GUEST6, PEER6);
	}
	if (!size)
		return 0;
	where = data[0] % WHERE_MAX;
	report_in = data + 1;
	report_left = size - 1;
	if (where == LISTENER)
		udp_err_listener(&udp_env.udp, 0);
	else
		udp_err_drain(&udp_env.udp, flow[where], TGTSIDE);
	for (i = 0; i < tap_mem.n; i++)
		check_frame(tap_mem.frame[i], tap_mem.len[i]);
	udp_env_forget();
	return 0;
}
