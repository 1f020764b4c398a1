/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames we push, read by our own parser and by scapy: do they see the same?
 *
 * The other test programs are run once more and leave behind every frame they
 * made us push: TCP, UDP, ICMP, ARP, DHCP, DHCPv6, NDP. Each goes through ether.c
 * and the TCP parser here, which say what they see; test/packet/scapy-view reads
 * the same frames with scapy, computes all lengths and checksums anew, and
 * compares. SCAPY_FRAMES=n looks at so many frames of each program.
 */
#include <libgen.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ether.h"
#include "guest.h"
#include "lib/csum.h"
#include "lib/log.h"
#include "tcp/conn.h"
#include "wire/tcp_opt.h"

#define FRAMES_MAX 400 /* of one program */
#define FRAME_MAX  70000

static const char *const programs[] = {
	"test_arp",       "test_dhcp",       "test_dhcpv6",    "test_ndp",
	"test_icmp",      "test_icmp_error", "test_udp",       "test_udp_in",
	"test_tcp_open",  "test_tcp_data",   "test_tcp_close", "test_tcp_timer",
	"test_tcp_cells", "test_tcp_script"
};

static struct guest guest;
static struct ether ether;
static struct tcp tcp;
static FILE *view;

/* What the parser of TCP sees */
static void view_tcp(const struct packet_group *g)
{
	struct tcp_syn_opts o = { 0 };
	struct tcp_seg seg;

	if (!tcp_seg_parse(&tcp, g->first, g, &seg)) {
		fprintf(view, " malformed=1");
		return;
	}
	fprintf(view, " seq=%u ack=%u flags=%u window=%u optlen=%u paylen=%u",
		seg.seq, seg.ack, seg.flags, seg.wnd, seg.optlen, seg.len);
	if (!(seg.flags & TH_SYN))
		return;
	tcp_opt_parse(seg.opts, seg.optlen, &o);
	fprintf(view, " mss=%u wscale=%d", o.mss, o.wscale);
}

/* All that a group says of its one packet */
static void take(void *ctx, const struct packet_group *g)
{
	char src[INANY_STRLEN], dst[INANY_STRLEN];
	bool v4 = inany_v4(&g->src);
	const struct packet *p = g->first;
	uint32_t sum = 0;

	(void)ctx;
	if (v4 && g->proto != IPPROTO_ICMP)
		sum = csum_pseudo4(g->src.v4.a4, g->dst.v4.a4, g->proto,
				   p->l4.len);
	else if (!v4)
		sum = csum_pseudo6(&g->src.a6, &g->dst.a6, g->proto, p->l4.len);
	fprintf(view, "src=%s dst=%s proto=%u l4len=%zu csum=%d",
		inany_ntop(&g->src, src), inany_ntop(&g->dst, dst), g->proto,
		p->l4.len, csum_fold(csum_tail(&p->l4, sum)) == 0xffff);
	if (g->proto == IPPROTO_TCP || g->proto == IPPROTO_UDP)
		fprintf(view, " sport=%u dport=%u", g->sport, g->dport);
	if (g->proto != IPPROTO_TCP) /* those are one group, whatever theirs */
		fprintf(view, " ttl=%u tos=%u", g->ttl, g->tos);
	if (g->proto == IPPROTO_ICMP || g->proto == IPPROTO_ICMPV6)
		fprintf(view, " type=%u", g->icmp_type);
	if (g->proto == IPPROTO_TCP)
		view_tcp(g);
}

static void take_arp(void *ctx, const uint8_t *smac, struct iov_tail payload)
{
	(void)ctx;
	fprintf(view, "arp=1 smac=%02x:%02x:%02x:%02x:%02x:%02x len=%zu",
		smac[0], smac[1], smac[2], smac[3], smac[4], smac[5],
		payload.len);
}

static const struct ether_l2 l2[] = {
	{ "arp", ETHERTYPE_ARP, take_arp, NULL },
	{ 0 },
};
static const struct ether_l4 l4[] = {
	{ "tcp", .proto = IPPROTO_TCP, .input = take },
	{ "udp", .proto = IPPROTO_UDP, .any_src = true, .input = take },
	{ "icmp", .af = AF_INET, .proto = IPPROTO_ICMP, .input = take },
	{ "icmpv6", .af = AF_INET6, .proto = IPPROTO_ICMPV6, .any_src = true,
	  .input = take },
	{ 0 },
};

/* One line for each frame of a dump, empty if ether.c drops it */
static unsigned write_view(const char *dump, const char *path)
{
	static uint8_t buf[FRAME_MAX];
	FILE *f = fopen(dump, "r");
	const char *most = getenv("SCAPY_FRAMES");
	unsigned n = 0, max = most ? (unsigned)atoi(most) : FRAMES_MAX;
	uint32_t len;

	view = fopen(path, "w");
	if (!f || !view)
		fail_msg("no frames");
	while (n < max && fread(&len, sizeof(len), 1, f) == 1) {
		struct iovec iov = { .iov_base = buf, .iov_len = len };
		struct tap_rx rx = { .iov = &iov, .iovcnt = 1, .len = len };

		assert_true(len <= sizeof(buf));
		assert_int_equal(fread(buf, len, 1, f), 1);
		ether_input(&ether, &rx, 1);
		fputc('\n', view);
		n++;
	}
	fclose(f);
	fclose(view);
	return n;
}

/* Run a program, look at its frames with both */
static void test_program(void **state)
{
	const char *name = *state;
	char self[300] = "", dump[] = "/tmp/framesXXXXXX", lines[40], cmd[900];
	int fd = mkstemp(dump);
	unsigned n;

	assert_true(fd >= 0);
	close(fd);
	snprintf(lines, sizeof(lines), "%s.view", dump);
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(cmd, sizeof(cmd),
		 "TAP_MEM_DUMP=%s CMOCKA_MESSAGE_OUTPUT=stdout %s/%s "
		 ">%s.log 2>&1 || { cat %s.log; exit 1; }",
		 dump, dirname(self), name, dump, dump);
	assert_int_equal(system(cmd), 0);

	log_level(LOG_ERR);
	guest = (struct guest){ .our_mac = { 2, 9, 9, 9, 9, 9 } };
	ether_init(&ether, &guest, l2, l4, true, true);
	n = write_view(dump, lines);
	snprintf(cmd, sizeof(cmd),
		 "/usr/bin/python3 test/packet/scapy-view %s %s %u", dump,
		 lines, n);
	assert_int_equal(system(cmd), 0);
	snprintf(cmd, sizeof(cmd), "rm -f %s %s.log %s", dump, dump, lines);
	assert_int_equal(system(cmd), 0);
	assert_true(n > 0);
}

#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

int main(void)
{
	static struct CMUnitTest tests[PROGRAMS];
	size_t i;

	for (i = 0; i < PROGRAMS; i++)
		tests[i] = (struct CMUnitTest){
			.name = programs[i],
			.test_func = test_program,
			.initial_state = (void *)(uintptr_t)programs[i]
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
