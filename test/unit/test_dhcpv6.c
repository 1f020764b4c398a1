/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCPv6 server */

#include "dhcpv6.h"
#include "test/golden/dhcpv6.h"
#include "test/unit/resp.h"
#include "wire/dhcpv6.h"

#define GUEST_LL "fe80::5054:ff:fe12:3456"
#define SERVERS  "ff02::1:2"

static struct dhcp_opts opts;
static struct dhcpv6 dhcpv6;
static const struct ether_l2 l2[] = { { 0 } };
static const struct ether_l4 l4[] = {
	{ "dhcpv6", AF_INET6, IPPROTO_UDP, DHCPV6_SERVER_PORT, 0, 0, false,
	  dhcpv6_tap_input, &dhcpv6 },
	{ 0 },
};
static struct ether ether;

static int setup(void **state)
{
	(void)state;
	ether_init(&ether, &guest, l2, l4, true, true);
	resp_setup(&ether);
	opts = (struct dhcp_opts){ .no_dns = false };
	dhcpv6 = (struct dhcpv6){ .tap = &tap, .guest = &guest, .opts = &opts };
	dhcpv6_init(&dhcpv6);
	return 0;
}

static void test_golden(void **state)
{
	(void)state;

	guest.v6.seen = addr("2001:db8::dead");
	tap_mem_inject(&tap, dhcpv6_solicit, sizeof(dhcpv6_solicit));
	resp_expect(dhcpv6_advertise, sizeof(dhcpv6_advertise));
	assert_addr(guest.v6.seen, "2001:db8::dead");

	/* Once it is bound, it is what the guest is reached at */
	tap_mem_inject(&tap, dhcpv6_request, sizeof(dhcpv6_request));
	resp_expect(dhcpv6_reply, sizeof(dhcpv6_reply));
	assert_addr(guest.v6.seen, "2001:db8::15");
	assert_int_equal(dhcpv6.answered, 2);
	assert_int_equal(dhcpv6.bad, 0);
}

/* A request being made up: UDP header and message */
static uint8_t q[8 + 2048];
static size_t qlen;

static void opt(uint16_t code, const void *val, size_t len)
{
	const uint8_t h[] = { (uint8_t)(code >> 8), (uint8_t)code,
			      (uint8_t)(len >> 8), (uint8_t)len };

	memcpy(q + qlen, h, sizeof(h));
	if (len)
		memcpy(q + qlen + sizeof(h), val, len);
	qlen += sizeof(h) + len;
}

static const uint8_t client_id[] = { 0, 4, 'g', 'u', 'e', 's', 't' };

/* @server: 0: no server id, 1: ours, 2: another one */
static void begin(uint8_t type, int server)
{
	uint8_t other[] = { 0, 3, 0, 1, 2, 3, 4, 5, 6, 7 };

	memset(q, 0, sizeof(q));
	q[8] = type;
	q[9] = 0xab;
	qlen = 12;
	opt(DHCPV6_OPT_CLIENT_ID, client_id, sizeof(client_id));
	if (server)
		opt(DHCPV6_OPT_SERVER_ID, server == 1 ? dhcpv6.duid : other,
		    sizeof(other));
}

/* An IA with an address, none if NULL */
static void ia(uint16_t code, uint8_t iaid, const char *text)
{
	uint8_t val[12 + 4 + 24] = { 0, 0, 0, iaid };
	size_t len = code == DHCPV6_OPT_IA_TA ? 4 : 12;
	union inany_addr a;

	if (text) {
		a = addr(text);
		val[len + 1] = DHCPV6_OPT_IA_ADDR;
		val[len + 3] = 24;
		memcpy(val + len + 4, &a, sizeof(a));
		len += 4 + 24;
	}
	opt(code, val, len);
}

static void feed_to(const char *dst)
{
	resp_feed(dhcpv6_tap_input, &dhcpv6, IPPROTO_UDP, GUEST_LL, dst, q,
		  qlen, 0);
}

static void feed(void)
{
	feed_to(SERVERS);
}

/* The @n th option of this code in @len bytes; its length, -1 if there is none */
static int find(const uint8_t *p, size_t len, uint16_t code, unsigned n,
		const uint8_t **val)
{
	size_t olen;

	for (; len; p += 4 + olen, len -= 4 + olen) {
		assert_true(len >= 4);
		olen = (size_t)(p[2] << 8 | p[3]);
		assert_true(len >= 4 + olen);
		if ((p[0] << 8 | p[1]) != code || n--)
			continue;
		*val = p + 4;
		return (int)olen;
	}
	return -1;
}

/* An option of the one reply, which is checked in general */
static int reply_opt(uint16_t code, unsigned n, const uint8_t **val)
{
	const uint8_t *p, *v;
	size_t len;

	p = resp_l4(&len);
	assert_int_equal(p[0] << 8 | p[1], DHCPV6_SERVER_PORT);
	assert_int_equal(p[2] << 8 | p[3], DHCPV6_CLIENT_PORT);
	assert_memory_equal(p + 9, q + 9, 3); /* transaction */
	p += 12;
	len -= 12;
	assert_int_equal(find(p, len, DHCPV6_OPT_SERVER_ID, 0, &v), 10);
	assert_memory_equal(v, dhcpv6.duid, 10);
	return find(p, len, code, n, val);
}

static uint8_t reply_type(void)
{
	return resp_l4(&(size_t){ 0 })[8];
}

/* Status code of the message, -1 if it has none */
static int reply_status(void)
{
	const uint8_t *val;

	return reply_opt(DHCPV6_OPT_STATUS, 0, &val) < 2 ? -1
							 : val[0] << 8 | val[1];
}

/* What is in an IA of the reply: -2 no IA, -1 no status */
static int ia_status(uint16_t code, unsigned n)
{
	size_t head = code == DHCPV6_OPT_IA_TA ? 4 : 12;
	const uint8_t *val;
	int len;

	len = reply_opt(code, n, &val);
	if (len < 0)
		return -2;
	if (find(val + head, (size_t)len - head, DHCPV6_OPT_STATUS, 0, &val) <
	    2)
		return -1;
	return val[0] << 8 | val[1];
}

/* Is the address in the @n th IA_NA, with an infinite lifetime (or none)? */
static bool ia_has(unsigned n, const char *text, bool forever)
{
	const uint32_t life = forever ? UINT32_MAX : 0;
	union inany_addr a = addr(text);
	const uint8_t *val, *in;
	unsigned i;
	int len;

	len = reply_opt(DHCPV6_OPT_IA_NA, n, &in);
	for (i = 0; len >= 0; i++) {
		if (find(in + 12, (size_t)len - 12, DHCPV6_OPT_IA_ADDR, i,
			 &val) != 24)
			return false;
		if (!memcmp(val, &a, 16))
			return !memcmp(val + 16, &life, 4) &&
			       !memcmp(val + 20, &life, 4);
	}
	return false;
}

#define NONE  0
#define ADV   DHCPV6_ADVERTISE
#define REP   DHCPV6_REPLY
#define OURS  "2001:db8::15"
#define WRONG "2001:db8::99"

/* What each message must and must not have, RFC 8415 16 */
static void test_messages(void **state)
{
	static const struct {
		uint8_t type;
		int server;       /* as begin() */
		const char *addr; /* in an IA_NA, "": without, NULL: no IA */
		uint8_t reply;
		int status;    /* of the message */
		int ia_status; /* of the IA */
	} rows[] = {
		{ DHCPV6_SOLICIT, 0, "", ADV, -1, -1 },
		{ DHCPV6_SOLICIT, 0, WRONG, ADV, -1, -1 },
		{ DHCPV6_SOLICIT, 0, NULL, ADV, -1, -2 },
		{ DHCPV6_SOLICIT, 1, "", NONE, 0, 0 },
		{ DHCPV6_REQUEST, 1, "", REP, -1, -1 },
		{ DHCPV6_REQUEST, 1, OURS, REP, -1, -1 },
		{ DHCPV6_REQUEST, 1, WRONG, REP, -1, DHCPV6_NOT_ON_LINK },
		{ DHCPV6_REQUEST, 0, OURS, NONE, 0, 0 },
		{ DHCPV6_REQUEST, 2, OURS, NONE, 0, 0 },
		{ DHCPV6_RENEW, 1, OURS, REP, -1, -1 },
		{ DHCPV6_RENEW, 1, WRONG, REP, -1, -1 },
		{ DHCPV6_RENEW, 0, OURS, NONE, 0, 0 },
		{ DHCPV6_RENEW, 2, OURS, NONE, 0, 0 },
		{ DHCPV6_REBIND, 0, OURS, REP, -1, -1 },
		{ DHCPV6_REBIND, 0, WRONG, REP, -1, -1 },
		{ DHCPV6_REBIND, 1, OURS, NONE, 0, 0 },
		{ DHCPV6_CONFIRM, 0, OURS, REP, DHCPV6_SUCCESS, -2 },
		{ DHCPV6_CONFIRM, 0, WRONG, REP, DHCPV6_NOT_ON_LINK, -2 },
		{ DHCPV6_CONFIRM, 0, "", NONE, 0, 0 },
		{ DHCPV6_CONFIRM, 1, OURS, NONE, 0, 0 },
		{ DHCPV6_RELEASE, 1, OURS, REP, DHCPV6_SUCCESS, -2 },
		{ DHCPV6_RELEASE, 1, WRONG, REP, DHCPV6_SUCCESS,
		  DHCPV6_NO_BINDING },
		{ DHCPV6_RELEASE, 2, OURS, NONE, 0, 0 },
		{ DHCPV6_DECLINE, 1, OURS, REP, DHCPV6_SUCCESS, -2 },
		{ DHCPV6_DECLINE, 0, OURS, NONE, 0, 0 },
		{ DHCPV6_INFORMATION_REQUEST, 0, NULL, REP, -1, -2 },
		{ DHCPV6_INFORMATION_REQUEST, 1, NULL, REP, -1, -2 },
		{ DHCPV6_INFORMATION_REQUEST, 2, NULL, NONE, 0, 0 },
		{ DHCPV6_INFORMATION_REQUEST, 0, "", NONE, 0, 0 },
		{ DHCPV6_ADVERTISE, 1, OURS, NONE, 0, 0 },
		{ DHCPV6_REPLY, 1, OURS, NONE, 0, 0 },
		{ DHCPV6_RECONFIGURE, 1, OURS, NONE, 0, 0 },
		{ 12 /* RELAY-FORW */, 0, OURS, NONE, 0, 0 },
	};
	const uint8_t *val;
	size_t i;
	(void)state;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(rows[i].type, rows[i].server);
		if (rows[i].addr)
			ia(DHCPV6_OPT_IA_NA, 1,
			   *rows[i].addr ? rows[i].addr : NULL);
		feed();
		if (tap_mem.n != (rows[i].reply != NONE))
			fail_msg("row %zu: %u replies", i, tap_mem.n);
		if (rows[i].reply == NONE)
			continue;
		assert_int_equal(reply_type(), rows[i].reply);
		assert_int_equal(reply_status(), rows[i].status);
		if (ia_status(DHCPV6_OPT_IA_NA, 0) != rows[i].ia_status)
			fail_msg("row %zu: IA %d", i,
				 ia_status(DHCPV6_OPT_IA_NA, 0));
		if (rows[i].ia_status == -1)
			assert_true(ia_has(0, OURS, true));
		assert_int_equal(reply_opt(DHCPV6_OPT_CLIENT_ID, 0, &val),
				 sizeof(client_id));
		assert_memory_equal(val, client_id, sizeof(client_id));
		assert_addr(resp_dst(), GUEST_LL);
		tap_mem_reset();
	}
	assert_int_equal(dhcpv6.bad, 0);
}

/* Addresses of other times are taken back */
static void test_renew_wrong(void **state)
{
	(void)state;

	begin(DHCPV6_RENEW, 1);
	ia(DHCPV6_OPT_IA_NA, 1, WRONG);
	feed();
	assert_true(ia_has(0, OURS, true));
	assert_true(ia_has(0, WRONG, false));
	tap_mem_reset();

	begin(DHCPV6_REBIND, 0);
	ia(DHCPV6_OPT_IA_NA, 1, WRONG);
	feed();
	assert_true(ia_has(0, OURS, true));
	assert_true(ia_has(0, WRONG, false));
}

/* One address, for the first IA_NA; no temporary ones, no prefixes */
static void test_other_ias(void **state)
{
	static const uint8_t types[] = { DHCPV6_SOLICIT, DHCPV6_REQUEST,
					 DHCPV6_RENEW };
	const uint8_t *val;
	size_t i;
	(void)state;

	for (i = 0; i < sizeof(types); i++) {
		bool renew = types[i] == DHCPV6_RENEW;

		begin(types[i], types[i] != DHCPV6_SOLICIT);
		ia(DHCPV6_OPT_IA_PD, 1, NULL);
		ia(DHCPV6_OPT_IA_TA, 2, NULL);
		ia(DHCPV6_OPT_IA_NA, 3, NULL);
		ia(DHCPV6_OPT_IA_NA, 4, NULL);
		feed();
		assert_true(ia_has(0, OURS, true));
		assert_false(ia_has(1, OURS, true));
		assert_int_equal(reply_opt(DHCPV6_OPT_IA_NA, 0, &val),
				 12 + 4 + 24);
		assert_int_equal(val[3], 3); /* IAID */
		assert_int_equal(ia_status(DHCPV6_OPT_IA_NA, 1),
				 renew ? DHCPV6_NO_BINDING
				       : DHCPV6_NO_ADDRS_AVAIL);
		assert_int_equal(ia_status(DHCPV6_OPT_IA_TA, 0),
				 renew ? DHCPV6_NO_BINDING
				       : DHCPV6_NO_ADDRS_AVAIL);
		assert_int_equal(ia_status(DHCPV6_OPT_IA_PD, 0),
				 renew ? DHCPV6_NO_BINDING
				       : DHCPV6_NO_PREFIX_AVAIL);
		tap_mem_reset();
	}

	guest.v6.addr = inany_any6;
	begin(DHCPV6_SOLICIT, 0);
	ia(DHCPV6_OPT_IA_NA, 1, NULL);
	feed();
	assert_int_equal(ia_status(DHCPV6_OPT_IA_NA, 0), DHCPV6_NO_ADDRS_AVAIL);
}

static void test_rapid_commit(void **state)
{
	const uint8_t *val;
	(void)state;

	guest.v6.seen = addr("2001:db8::dead");
	begin(DHCPV6_SOLICIT, 0);
	opt(DHCPV6_OPT_RAPID_COMMIT, NULL, 0);
	ia(DHCPV6_OPT_IA_NA, 1, NULL);
	feed();
	assert_int_equal(reply_type(), DHCPV6_REPLY);
	assert_int_equal(reply_opt(DHCPV6_OPT_RAPID_COMMIT, 0, &val), 0);
	assert_true(ia_has(0, OURS, true));
	assert_addr(guest.v6.seen, OURS);
}

/* To our own address: only the messages that may be told to use multicast */
static void test_unicast(void **state)
{
	static const struct {
		uint8_t type;
		int server;
		bool answered;
	} rows[] = {
		{ DHCPV6_SOLICIT, 0, false },
		{ DHCPV6_CONFIRM, 0, false },
		{ DHCPV6_REBIND, 0, false },
		{ DHCPV6_INFORMATION_REQUEST, 0, false },
		{ DHCPV6_REQUEST, 1, true },
		{ DHCPV6_RENEW, 1, true },
		{ DHCPV6_RELEASE, 1, true },
		{ DHCPV6_DECLINE, 1, true },
	};
	size_t i;
	(void)state;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(rows[i].type, rows[i].server);
		if (rows[i].type != DHCPV6_INFORMATION_REQUEST)
			ia(DHCPV6_OPT_IA_NA, 1, OURS);
		feed_to("fe80::1");
		assert_int_equal(tap_mem.n, rows[i].answered);
		if (rows[i].answered) {
			assert_int_equal(reply_status(), DHCPV6_USE_MULTICAST);
			assert_int_equal(ia_status(DHCPV6_OPT_IA_NA, 0), -2);
		}
		tap_mem_reset();
	}
}

/* Client identifiers: missing, empty, too long */
static void test_client_id(void **state)
{
	uint8_t id[DHCPV6_DUID_MAX + 1] = { 0 };
	(void)state;

	begin(DHCPV6_SOLICIT, 0);
	qlen = 12;
	ia(DHCPV6_OPT_IA_NA, 1, NULL);
	feed();
	assert_int_equal(tap_mem.n, 0);
	assert_int_equal(dhcpv6.bad, 0);

	qlen = 12;
	opt(DHCPV6_OPT_CLIENT_ID, id, 0);
	feed();
	qlen = 12;
	opt(DHCPV6_OPT_CLIENT_ID, id, sizeof(id));
	feed();
	assert_int_equal(tap_mem.n, 0);
	assert_int_equal(dhcpv6.bad, 2);

	qlen = 12;
	opt(DHCPV6_OPT_CLIENT_ID, id, DHCPV6_DUID_MAX);
	feed();
	assert_int_equal(tap_mem.n, 1);
	tap_mem_reset();

	/* Only here it may be left out */
	begin(DHCPV6_INFORMATION_REQUEST, 0);
	qlen = 12;
	feed();
	assert_int_equal(reply_type(), DHCPV6_REPLY);
}

static void test_left_out(void **state)
{
	const uint8_t *val;
	(void)state;

	opts.no_dns = opts.no_search = true;
	guest.offer.fqdn[0] = 0;
	begin(DHCPV6_INFORMATION_REQUEST, 0);
	feed();
	assert_int_equal(reply_opt(DHCPV6_OPT_DNS, 0, &val), -1);
	assert_int_equal(reply_opt(DHCPV6_OPT_SEARCH, 0, &val), -1);
	assert_int_equal(reply_opt(DHCPV6_OPT_FQDN, 0, &val), -1);
}

/* More IAs than fit an answer: it stays well-formed and short enough */
static void test_many(void **state)
{
	const uint8_t *val;
	unsigned i;
	(void)state;

	begin(DHCPV6_SOLICIT, 0);
	for (i = 0; i < 100; i++)
		ia(DHCPV6_OPT_IA_NA, (uint8_t)i, NULL);
	feed();
	assert_true(ia_has(0, OURS, true));
	assert_true(tap_mem.len[0] <= L3_OFF + 1280);
	assert_int_equal(reply_opt(DHCPV6_OPT_CLIENT_ID, 0, &val),
			 sizeof(client_id));
	tap_mem_reset();

	begin(DHCPV6_RENEW, 1); /* an IA too full to be repeated */
	q[qlen + 1] = DHCPV6_OPT_IA_NA;
	q[qlen + 2] = (12 + 60 * 28) >> 8;
	q[qlen + 3] = (12 + 60 * 28) & 0xff;
	qlen += 4 + 12;
	for (i = 0; i < 60; i++) {
		uint8_t a[24] = { 0x20, 1, 0xd, 0xb8, [15] = (uint8_t)i };

		opt(DHCPV6_OPT_IA_ADDR, a, sizeof(a));
	}
	feed();
	assert_int_equal(ia_status(DHCPV6_OPT_IA_NA, 0), -2);
}

static void test_off(void **state)
{
	(void)state;

	begin(DHCPV6_SOLICIT, 0);
	tap_mem.blocked = true;
	feed();
	tap_mem.blocked = false;
	guest.v6.on = false;
	feed();
	assert_int_equal(tap_mem.n, 0);
	assert_int_equal(dhcpv6.answered, 0);
}

static void test_checksum(void **state)
{
	uint8_t frame[sizeof(dhcpv6_solicit)];
	(void)state;

	memcpy(frame, dhcpv6_solicit, sizeof(frame));
	frame[L4_OFF6 + 7] ^= 1;
	tap_mem_inject(&tap, frame, sizeof(frame));
	frame[L4_OFF6 + 6] = frame[L4_OFF6 + 7] = 0; /* not in IPv6 */
	tap_mem_inject(&tap, frame, sizeof(frame));
	assert_int_equal(tap_mem.n, 0);
	assert_int_equal(dhcpv6.bad, 2);
}

static void test_torture(void **state)
{
	(void)state;

	resp_torture(dhcpv6_tap_input, &dhcpv6, IPPROTO_UDP, GUEST_LL, SERVERS,
		     dhcpv6_solicit + L4_OFF6,
		     sizeof(dhcpv6_solicit) - L4_OFF6);
	resp_torture(dhcpv6_tap_input, &dhcpv6, IPPROTO_UDP, GUEST_LL, SERVERS,
		     dhcpv6_request + L4_OFF6,
		     sizeof(dhcpv6_request) - L4_OFF6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_golden, setup),
		cmocka_unit_test_setup(test_messages, setup),
		cmocka_unit_test_setup(test_renew_wrong, setup),
		cmocka_unit_test_setup(test_other_ias, setup),
		cmocka_unit_test_setup(test_rapid_commit, setup),
		cmocka_unit_test_setup(test_unicast, setup),
		cmocka_unit_test_setup(test_client_id, setup),
		cmocka_unit_test_setup(test_left_out, setup),
		cmocka_unit_test_setup(test_many, setup),
		cmocka_unit_test_setup(test_off, setup),
		cmocka_unit_test_setup(test_checksum, setup),
		cmocka_unit_test_setup(test_torture, setup),
	};

	return cmocka_run_group_tests_name("dhcpv6", tests, NULL, NULL);
}
