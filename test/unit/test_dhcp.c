/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCPv4 server */

#include "dhcp.h"
#include "test/golden/dhcp.h"
#include "test/unit/resp.h"
#include "wire/dhcp.h"

static struct dhcp_opts opts;
static struct dhcp dhcp;
static const struct ether_l2 l2[] = { { 0 } };
static const struct ether_l4 l4[] = {
	{ "dhcp", AF_INET, IPPROTO_UDP, DHCP_SERVER_PORT, 0, 0, true,
	  dhcp_tap_input, &dhcp },
	{ 0 },
};
static struct ether ether;

static int setup(void **state)
{
	(void)state;
	ether_init(&ether, &guest, l2, l4, true, true);
	resp_setup(&ether);
	opts = (struct dhcp_opts){ .no_dns = false };
	dhcp = (struct dhcp){ .tap = &tap, .guest = &guest, .opts = &opts };
	return 0;
}

static void test_golden(void **state)
{
	(void)state;

	tap_mem_inject(&tap, dhcp_discover, sizeof(dhcp_discover));
	resp_expect(dhcp_offer, sizeof(dhcp_offer));
	tap_mem_inject(&tap, dhcp_request, sizeof(dhcp_request));
	resp_expect(dhcp_ack, sizeof(dhcp_ack));
	assert_int_equal(dhcp.answered, 2);
	assert_int_equal(dhcp.bad, 0);
}

/* A request being made up: UDP header, message, options */
static struct {
	struct udphdr uh;
	struct dhcp_msg m;
	uint8_t opt[1024];
} __attribute__((packed)) q;
static size_t qlen; /* of options */

static void begin(uint8_t type)
{
	static const uint8_t head[] = { DHCP_OPT_TYPE, 1 };

	memset(&q, 0, sizeof(q));
	q.m.op = BOOTREQUEST;
	q.m.htype = DHCP_HW_ETHER;
	q.m.hlen = 6;
	q.m.xid = htonl(0xabcdef01);
	memcpy(q.m.chaddr, guest_mac, sizeof(guest_mac));
	q.m.magic = htonl(DHCP_MAGIC);
	qlen = 0;
	if (type) {
		memcpy(q.opt, head, sizeof(head));
		q.opt[2] = type;
		qlen = 3;
	}
}

static void opt(uint8_t code, const void *val, uint8_t len)
{
	q.opt[qlen++] = code;
	q.opt[qlen++] = len;
	memcpy(q.opt + qlen, val, len);
	qlen += len;
}

static void opt_addr(uint8_t code, const char *text)
{
	union inany_addr a = addr(text);

	opt(code, &a.v4.a4, 4);
}

static void feed_from(const char *src)
{
	q.opt[qlen++] = DHCP_OPT_END;
	resp_feed(dhcp_tap_input, &dhcp, IPPROTO_UDP, src, "255.255.255.255",
		  &q, sizeof(q.uh) + sizeof(q.m) + qlen, 0);
}

static void feed(void)
{
	feed_from("0.0.0.0");
}

/* The one reply, checked in general */
static const struct dhcp_msg *reply(size_t *optlen)
{
	static struct dhcp_msg m;
	const uint8_t *udp;
	size_t len;

	udp = resp_l4(&len);
	assert_int_equal(udp[0] << 8 | udp[1], DHCP_SERVER_PORT);
	assert_int_equal(udp[4] << 8 | udp[5], len);
	assert_true(len >= 8 + BOOTP_LEN_MIN);
	memcpy(&m, udp + 8, sizeof(m));
	assert_int_equal(m.op, BOOTREPLY);
	assert_int_equal(m.xid, q.m.xid);
	assert_int_equal(m.magic, htonl(DHCP_MAGIC));
	assert_memory_equal(m.chaddr, q.m.chaddr, sizeof(m.chaddr));
	*optlen = len - 8 - sizeof(m);
	return &m;
}

/* Option of the reply: all its parts one after the other; -1 if absent */
static int reply_opt(uint8_t code, uint8_t *val)
{
	const uint8_t *p, *end;
	int found = -1;
	size_t len;

	reply(&len);
	p = resp_l4(&(size_t){ 0 }) + 8 + sizeof(struct dhcp_msg);
	for (end = p + len; p < end && *p != DHCP_OPT_END; p += 2 + p[1]) {
		assert_true(p + 2 + p[1] < end);
		if (*p != code)
			continue;
		found = found < 0 ? 0 : found;
		memcpy(val + found, p + 2, p[1]);
		found += p[1];
	}
	assert_int_equal(*p, DHCP_OPT_END);
	return found;
}

/* Type of the reply, 0 if none of DHCP */
static uint8_t reply_type(void)
{
	uint8_t val[2048];

	return reply_opt(DHCP_OPT_TYPE, val) == 1 ? val[0] : 0;
}

static uint16_t reply_port(void)
{
	const uint8_t *udp = resp_l4(&(size_t){ 0 });

	return (uint16_t)(udp[2] << 8 | udp[3]);
}

static void test_states(void **state)
{
	static const struct {
		uint8_t type;
		const char *server, *requested, *ciaddr;
		uint8_t reply; /* 0: none */
	} rows[] = {
		{ DHCP_DISCOVER, NULL, NULL, NULL, DHCP_OFFER },
		{ DHCP_DISCOVER, NULL, "192.0.2.99", NULL, DHCP_OFFER },
		/* SELECTING */
		{ DHCP_REQUEST, "192.0.2.1", "192.0.2.15", NULL, DHCP_ACK },
		{ DHCP_REQUEST, "192.0.2.1", "192.0.2.16", NULL, DHCP_NAK },
		{ DHCP_REQUEST, "192.0.2.2", "192.0.2.16", NULL, 0 },
		{ DHCP_REQUEST, "192.0.2.2", "192.0.2.15", NULL, 0 },
		/* INIT-REBOOT */
		{ DHCP_REQUEST, NULL, "192.0.2.15", NULL, DHCP_ACK },
		{ DHCP_REQUEST, NULL, "192.0.2.16", NULL, DHCP_NAK },
		{ DHCP_REQUEST, NULL, "198.51.100.7", NULL, DHCP_NAK },
		/* RENEWING, REBINDING */
		{ DHCP_REQUEST, NULL, NULL, "192.0.2.15", DHCP_ACK },
		{ DHCP_REQUEST, NULL, NULL, "192.0.2.16", DHCP_NAK },
		{ DHCP_REQUEST, NULL, NULL, NULL, DHCP_ACK },
		{ DHCP_INFORM, NULL, NULL, "192.0.2.77", DHCP_ACK },
		{ DHCP_DECLINE, "192.0.2.1", "192.0.2.15", NULL, 0 },
		{ DHCP_RELEASE, "192.0.2.1", NULL, "192.0.2.15", 0 },
		{ DHCP_OFFER, NULL, NULL, NULL, 0 },
		{ DHCP_ACK, NULL, NULL, NULL, 0 },
		{ DHCP_NAK, NULL, NULL, NULL, 0 },
		{ 99, NULL, NULL, NULL, 0 },
	};
	uint64_t nak = 0;
	size_t i;
	(void)state;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(rows[i].type);
		if (rows[i].server)
			opt_addr(DHCP_OPT_SERVER_ID, rows[i].server);
		if (rows[i].requested)
			opt_addr(DHCP_OPT_REQUESTED_IP, rows[i].requested);
		if (rows[i].ciaddr)
			q.m.ciaddr = addr(rows[i].ciaddr).v4.a4;
		feed();
		nak += rows[i].reply == DHCP_NAK;
		if (tap_mem.n != !!rows[i].reply)
			fail_msg("row %zu: %u replies", i, tap_mem.n);
		if (rows[i].reply)
			assert_int_equal(reply_type(), rows[i].reply);
		tap_mem_reset();
	}
	assert_int_equal(dhcp.bad, 0);
	assert_int_equal(dhcp.nak, nak);
}

/* Only what belongs in a NAK, and to everybody */
static void test_nak(void **state)
{
	const uint8_t id[] = { 1, 2, 3, 4, 5, 6, 7 };
	uint8_t val[2048];
	size_t len;
	int i;
	(void)state;

	begin(DHCP_REQUEST);
	opt_addr(DHCP_OPT_REQUESTED_IP, "192.0.2.16");
	opt(DHCP_OPT_CLIENT_ID, id, sizeof(id));
	feed();
	assert_int_equal(reply(&len)->yiaddr.s_addr, 0);
	assert_addr(resp_dst(), "255.255.255.255");
	for (i = 1; i < 255; i++) {
		bool wanted = i == DHCP_OPT_TYPE || i == DHCP_OPT_SERVER_ID ||
			      i == DHCP_OPT_MESSAGE || i == DHCP_OPT_CLIENT_ID;

		assert_int_equal(reply_opt((uint8_t)i, val) >= 0, wanted);
	}
	assert_int_equal(reply_opt(DHCP_OPT_CLIENT_ID, val), sizeof(id));
	assert_memory_equal(val, id, sizeof(id));
	tap_mem_reset();

	/* Through a relay: it does the broadcast */
	qlen--; /* end option */
	q.m.giaddr = addr("192.0.2.200").v4.a4;
	feed();
	assert_int_equal(reply(&len)->flags, htons(DHCP_BROADCAST));
	assert_addr(resp_dst(), "192.0.2.200");
	assert_int_equal(reply_port(), DHCP_SERVER_PORT);
}

static void test_inform(void **state)
{
	uint8_t val[2048];
	size_t len;
	(void)state;

	begin(DHCP_INFORM);
	q.m.ciaddr = addr("192.0.2.77").v4.a4;
	feed_from("192.0.2.77");
	assert_addr(resp_dst(), "192.0.2.77");
	assert_int_equal(reply(&len)->yiaddr.s_addr, 0);
	assert_int_equal(reply(&len)->ciaddr.s_addr, q.m.ciaddr.s_addr);
	assert_int_equal(reply_opt(DHCP_OPT_LEASE_TIME, val), -1);
	assert_int_equal(reply_opt(DHCP_OPT_DNS, val), 4);
	tap_mem_reset();

	begin(DHCP_INFORM); /* without ciaddr */
	feed_from("192.0.2.78");
	assert_addr(resp_dst(), "192.0.2.78");
	tap_mem_reset();
	begin(DHCP_INFORM);
	feed();
	assert_addr(resp_dst(), "255.255.255.255");
}

static void test_rapid_commit(void **state)
{
	uint8_t val[2048];
	(void)state;

	begin(DHCP_DISCOVER);
	opt(DHCP_OPT_RAPID_COMMIT, "", 0);
	feed();
	assert_int_equal(reply_type(), DHCP_ACK);
	assert_int_equal(reply_opt(DHCP_OPT_RAPID_COMMIT, val), 0);
	tap_mem_reset();

	begin(DHCP_REQUEST); /* it has no place there */
	opt(DHCP_OPT_RAPID_COMMIT, "", 0);
	feed();
	assert_int_equal(reply_type(), DHCP_ACK);
	assert_int_equal(reply_opt(DHCP_OPT_RAPID_COMMIT, val), -1);
}

static void test_bootp(void **state)
{
	static const uint8_t dhcp_only[] = { DHCP_OPT_TYPE, DHCP_OPT_LEASE_TIME,
					     DHCP_OPT_SERVER_ID };
	uint8_t val[2048];
	size_t i, len;
	(void)state;

	begin(0);
	feed();
	assert_memory_equal(&reply(&len)->yiaddr, &guest.v4.addr.v4.a4, 4);
	assert_int_equal(len + sizeof(struct dhcp_msg), BOOTP_LEN_MIN);
	for (i = 0; i < sizeof(dhcp_only); i++)
		assert_int_equal(reply_opt(dhcp_only[i], val), -1);
	assert_int_equal(reply_opt(DHCP_OPT_ROUTER, val), 4);
	tap_mem_reset();

	begin(0);
	q.m.magic = htonl(0x01020304); /* somebody else's vendor area */
	memset(q.opt, 0xaa, 60);
	qlen = 60;
	feed();
	assert_memory_equal(&reply(&len)->yiaddr, &guest.v4.addr.v4.a4, 4);
}

/* RFC 2131 4.1 */
static void test_destination(void **state)
{
	static const struct {
		const char *ciaddr, *giaddr;
		uint16_t flags;
		const char *dst;
		uint16_t port;
	} rows[] = {
		{ "0.0.0.0", "0.0.0.0", 0, "192.0.2.15", 68 },
		{ "0.0.0.0", "0.0.0.0", 0x8000, "255.255.255.255", 68 },
		{ "192.0.2.15", "0.0.0.0", 0x8000, "192.0.2.15", 68 },
		{ "0.0.0.0", "192.0.2.200", 0x8000, "192.0.2.200", 67 },
		{ "192.0.2.15", "192.0.2.200", 0, "192.0.2.200", 67 },
	};
	size_t i, len;
	(void)state;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(DHCP_REQUEST);
		q.m.ciaddr = addr(rows[i].ciaddr).v4.a4;
		q.m.giaddr = addr(rows[i].giaddr).v4.a4;
		q.m.flags = htons(rows[i].flags);
		feed();
		assert_addr(resp_dst(), rows[i].dst);
		assert_int_equal(reply_port(), rows[i].port);
		assert_int_equal(reply(&len)->flags, q.m.flags);
		assert_int_equal(reply(&len)->giaddr.s_addr, q.m.giaddr.s_addr);
		tap_mem_reset();
	}

	/* There is nobody to be answered at such addresses */
	begin(DHCP_REQUEST);
	q.m.giaddr = addr("224.0.0.1").v4.a4;
	feed();
	assert_int_equal(tap_mem.n, 0);
}

static void test_relay_info(void **state)
{
	static const uint8_t info[] = { 1, 2, 'p', '7' };
	uint8_t val[2048];
	(void)state;

	begin(DHCP_DISCOVER);
	q.m.giaddr = addr("192.0.2.200").v4.a4;
	opt(DHCP_OPT_RELAY_INFO, info, sizeof(info));
	feed();
	assert_int_equal(reply_opt(DHCP_OPT_RELAY_INFO, val), sizeof(info));
	assert_memory_equal(val, info, sizeof(info));
}

/* Gateways in and out of the prefix, and none; masks */
static void test_routes(void **state)
{
	static const uint8_t routes[] = { 32, 203, 0, 113, 1, 0,   0,
					  0,  0,   0, 203, 0, 113, 1 };
	static const uint8_t own_id[] = { 169, 254, 2, 2 };
	uint8_t val[2048];
	(void)state;

	begin(DHCP_DISCOVER);
	feed();
	assert_int_equal(reply_opt(DHCP_OPT_STATIC_ROUTES, val), -1);
	tap_mem_reset();

	guest.v4.gw = guest.v4.our = addr("203.0.113.1");
	guest.v4.prefix_len = 32;
	begin(DHCP_DISCOVER);
	feed();
	assert_int_equal(reply_opt(DHCP_OPT_STATIC_ROUTES, val),
			 sizeof(routes));
	assert_memory_equal(val, routes, sizeof(routes));
	assert_int_equal(reply_opt(DHCP_OPT_MASK, val), 4);
	assert_memory_equal(val, "\xff\xff\xff\xff", 4);
	tap_mem_reset();

	guest.v4.gw = guest.v4.our = inany_any6;
	guest.v4.prefix_len = 0;
	begin(DHCP_DISCOVER);
	feed();
	assert_int_equal(reply_opt(DHCP_OPT_STATIC_ROUTES, val), -1);
	assert_int_equal(reply_opt(DHCP_OPT_ROUTER, val), -1);
	assert_int_equal(reply_opt(DHCP_OPT_MASK, val), 4);
	assert_memory_equal(val, "\0\0\0\0", 4);
	assert_int_equal(reply_opt(DHCP_OPT_SERVER_ID, val), 4);
	assert_memory_equal(val, own_id, 4);
}

static void test_left_out(void **state)
{
	static const uint8_t codes[] = { DHCP_OPT_DNS, DHCP_OPT_SEARCH,
					 DHCP_OPT_HOSTNAME, DHCP_OPT_MTU,
					 DHCP_OPT_FQDN };
	uint8_t val[2048];
	size_t i;
	(void)state;

	opts.no_dns = opts.no_search = true;
	guest.offer.hostname[0] = guest.offer.fqdn[0] = 0;
	guest.offer.mtu = 0;
	begin(DHCP_DISCOVER);
	opt(DHCP_OPT_PARAM_LIST, codes, sizeof(codes));
	feed();
	for (i = 0; i < sizeof(codes); i++)
		assert_int_equal(reply_opt(codes[i], val), -1);
}

/* A search list of more than 255 bytes: several options, if it is let in */
static void test_size(void **state)
{
	static const struct {
		uint16_t max;       /* option 57, 0: absent */
		size_t least, most; /* bytes of the message */
		bool search;
	} rows[] = {
		{ 0, 300, 548, false },
		{ 100, 300, 548, false }, /* less than it must take */
		{ 576, 300, 548, false },
		{ 1000, 549, 972, true },
		{ 65535, 549, 1472, true },
	};
	char label[61] = { 0 };
	uint8_t val[2048];
	size_t i, len;
	uint16_t be;
	(void)state;

	memset(label, 'x', sizeof(label) - 1);
	guest.offer.nsearch = 6;
	for (i = 0; i < 6; i++) {
		label[0] = (char)('a' + i);
		snprintf(guest.offer.search[i], DOMAIN_MAX, "%s.example.com",
			 label);
	}
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(DHCP_DISCOVER);
		be = htons(rows[i].max);
		if (rows[i].max)
			opt(DHCP_OPT_MAX_SIZE, &be, sizeof(be));
		feed();
		reply(&len);
		len += sizeof(struct dhcp_msg);
		assert_in_range(len, rows[i].least, rows[i].most);
		assert_int_equal(reply_opt(DHCP_OPT_SEARCH, val),
				 rows[i].search ? 74 + 5 * 63 : -1);
		assert_int_equal(reply_opt(DHCP_OPT_LEASE_TIME, val), 4);
		tap_mem_reset();
	}
}

static void test_bad(void **state)
{
	uint8_t frame[sizeof(dhcp_discover)];
	uint64_t bad = 0;
	(void)state;

	begin(DHCP_DISCOVER);
	q.m.op = BOOTREPLY;
	feed();
	assert_int_equal(dhcp.bad, ++bad);
	begin(DHCP_DISCOVER);
	q.m.hlen = 16;
	feed();
	assert_int_equal(dhcp.bad, ++bad);
	begin(DHCP_DISCOVER);
	q.m.htype = 6;
	feed();
	assert_int_equal(dhcp.bad, ++bad);
	begin(DHCP_DISCOVER); /* options with impossible lengths */
	opt(DHCP_OPT_REQUESTED_IP, "abc", 3);
	feed();
	assert_int_equal(dhcp.bad, ++bad);
	begin(DHCP_DISCOVER);
	opt(DHCP_OPT_CLIENT_ID, "a", 1);
	feed();
	assert_int_equal(dhcp.bad, ++bad);
	begin(DHCP_DISCOVER); /* runs over the end */
	q.opt[qlen++] = DHCP_OPT_CLIENT_ID;
	q.opt[qlen++] = 200;
	feed();
	assert_int_equal(dhcp.bad, ++bad);
	/* Checksum, length of UDP */
	memcpy(frame, dhcp_discover, sizeof(frame));
	frame[L4_OFF4 + 6] ^= 1;
	tap_mem_inject(&tap, frame, sizeof(frame));
	assert_int_equal(dhcp.bad, ++bad);
	memcpy(frame, dhcp_discover, sizeof(frame));
	frame[L4_OFF4 + 5]++;
	tap_mem_inject(&tap, frame, sizeof(frame));
	assert_int_equal(dhcp.bad, ++bad);
	assert_int_equal(tap_mem.n, 0);

	/* No checksum is as good as a right one */
	memcpy(frame, dhcp_discover, sizeof(frame));
	frame[L4_OFF4 + 6] = frame[L4_OFF4 + 7] = 0;
	tap_mem_inject(&tap, frame, sizeof(frame));
	resp_expect(dhcp_offer, sizeof(dhcp_offer));
}

/* Without IPv4, without an address, and while the tap is blocked */
static void test_off(void **state)
{
	(void)state;

	tap_mem.blocked = true;
	begin(DHCP_DISCOVER);
	feed();
	tap_mem.blocked = false;
	guest.v4.on = false;
	begin(DHCP_DISCOVER);
	feed();
	guest.v4.on = true;
	guest.v4.addr = inany_any6;
	begin(DHCP_DISCOVER);
	feed();
	assert_int_equal(tap_mem.n, 0);
	assert_int_equal(dhcp.answered, 0);
}

static void test_torture(void **state)
{
	(void)state;

	resp_torture(dhcp_tap_input, &dhcp, IPPROTO_UDP, "0.0.0.0",
		     "255.255.255.255", dhcp_discover + L4_OFF4,
		     sizeof(dhcp_discover) - L4_OFF4);
	resp_torture(dhcp_tap_input, &dhcp, IPPROTO_UDP, "0.0.0.0",
		     "255.255.255.255", dhcp_request + L4_OFF4,
		     sizeof(dhcp_request) - L4_OFF4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_golden, setup),
		cmocka_unit_test_setup(test_states, setup),
		cmocka_unit_test_setup(test_nak, setup),
		cmocka_unit_test_setup(test_inform, setup),
		cmocka_unit_test_setup(test_rapid_commit, setup),
		cmocka_unit_test_setup(test_bootp, setup),
		cmocka_unit_test_setup(test_destination, setup),
		cmocka_unit_test_setup(test_relay_info, setup),
		cmocka_unit_test_setup(test_routes, setup),
		cmocka_unit_test_setup(test_left_out, setup),
		cmocka_unit_test_setup(test_size, setup),
		cmocka_unit_test_setup(test_bad, setup),
		cmocka_unit_test_setup(test_off, setup),
		cmocka_unit_test_setup(test_torture, setup),
	};

	return cmocka_run_group_tests_name("dhcp", tests, NULL, NULL);
}
