/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink conversation with a kernel of our own making, well-behaved or not
 *
 * The "kernel" is the other end of a socket pair: its answers are queued
 * before the question is asked, as the sequence numbers are known.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/nexthop.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nl/msg.h"
#include "nl/route.h"
#include "test/fuzz/seed.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static struct nl_sock nl;
static int kernel;

/* A datagram under construction */
static _Alignas(4) char dgram[8192];
static size_t dgram_len;

static int setup(void **state)
{
	struct timeval tv = { .tv_usec = 50000 };
	int sv[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, sv))
		return -1;
	nl.fd = sv[0];
	nl.seq = 0;
	kernel = sv[1];
	dgram_len = 0;
	return setsockopt(nl.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

static int teardown(void **state)
{
	(void)state;
	nl_close(&nl);
	return close(kernel);
}

/* Append raw bytes as a message of a type */
static struct nlmsghdr *say(uint16_t type, uint16_t flags, uint32_t seq,
			    const void *body, size_t len)
{
	struct nlmsghdr *h = (void *)(dgram + dgram_len);

	memset(h, 0, NLMSG_SPACE(len));
	h->nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
	h->nlmsg_type = type;
	h->nlmsg_flags = flags;
	h->nlmsg_seq = seq;
	if (len)
		memcpy(NLMSG_DATA(h), body, len);
	dgram_len += NLMSG_SPACE(len);
	return h;
}

static void say_msg(struct nl_msg *msg, uint32_t seq)
{
	msg->hdr.nlmsg_seq = seq;
	memcpy(dgram + dgram_len, msg, msg->hdr.nlmsg_len);
	dgram_len += NLMSG_ALIGN(msg->hdr.nlmsg_len);
}

static void say_result(uint32_t seq, int err)
{
	struct nlmsgerr e = { .error = err };

	say(NLMSG_ERROR, 0, seq, &e, sizeof(e));
}

static void say_done(uint32_t seq, int err)
{
	say(NLMSG_DONE, NLM_F_MULTI, seq, &err, sizeof(err));
}

/* The datagram as an input of the fuzzer, with the questions it answers */
static void seed(void)
{
	static const struct {
		uint16_t type;
		uint8_t first, n; /* questions, see fuzz_netlink.c */
	} rows[] = {
		{ RTM_NEWADDR, 0, 2 },
		{ RTM_NEWLINK, 2, 3 },
		{ RTM_NEWROUTE, 5, 3 },
		{ NLMSG_ERROR, 4, 1 },
	};
	const struct nlmsghdr *h = (void *)dgram;
	uint8_t head[4] = { 0, 0, (uint8_t)dgram_len,
			    (uint8_t)(dgram_len >> 8) };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		for (head[0] = rows[i].first;
		     h->nlmsg_type == rows[i].type &&
		     head[0] < rows[i].first + rows[i].n;
		     head[0]++)
			fuzz_seed("netlink", head, sizeof(head), dgram,
				  dgram_len);
}

static void flush(void)
{
	seed();
	assert_int_equal(send(kernel, dgram, dgram_len, 0), dgram_len);
	dgram_len = 0;
}

static void addr_msg(struct nl_msg *msg, int ifi, const char *text,
		     uint8_t prefix_len, uint32_t flags)
{
	struct ifaddrmsg ifa = { .ifa_prefixlen = prefix_len,
				 .ifa_index = (unsigned)ifi };
	union inany_addr a;

	assert_int_equal(inany_pton(text, &a), 0);
	ifa.ifa_family = (uint8_t)inany_af(&a);
	nl_msg_init(msg, RTM_NEWADDR, NLM_F_MULTI, &ifa, sizeof(ifa));
	nl_msg_put_addr(msg, IFA_ADDRESS, &a);
	nl_msg_put_u32(msg, IFA_FLAGS, flags);
}

static void say_addr(uint32_t seq, uint16_t flags, int ifi, const char *text)
{
	struct nl_msg msg;

	addr_msg(&msg, ifi, text, 24, 0);
	msg.hdr.nlmsg_flags |= flags;
	say_msg(&msg, seq);
}

/* Lengths of message headers: what is left, what the header says */
static const struct {
	size_t left;
	uint32_t says;
	int rc;
} walk[] = {
	{ 0, 0, 0 },
	{ 1, 16, -EBADMSG },
	{ 15, 16, -EBADMSG },
	{ 16, 16, 1 },
	{ 16, 0, -EBADMSG },
	{ 16, 15, -EBADMSG },
	{ 16, 17, -EBADMSG },
	{ 17, 17, 1 },
	{ 20, 17, 1 },
	{ 20, 20, 1 },
	{ 20, 0xffffffff, -EBADMSG },
};

static void test_walk(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(walk); i++) {
		_Alignas(4) char buf[32] = { 0 };
		struct nlmsghdr *h;
		size_t off = 0;

		((struct nlmsghdr *)(void *)buf)->nlmsg_len = walk[i].says;
		assert_int_equal(nl_walk(buf, walk[i].left, &off, &h),
				 walk[i].rc);
		if (walk[i].rc == 1) {
			assert_ptr_equal(h, buf);
			assert_int_equal(nl_walk(buf, walk[i].left, &off, &h),
					 0);
		}
	}
}

/* Attributes as they lie in memory (little endian or not: see below) */
static const struct {
	uint16_t len, type; /* of the first attribute */
	size_t size;        /* bytes there are */
	int rc;
	bool found; /* type 2 */
} attrs[] = {
	{ 4, 2, 4, 0, true },
	{ 8, 2, 8, 0, true },
	{ 5, 2, 5, 0, true },
	{ 5, 2, 8, 0, true },
	{ 8, 2 | NLA_F_NESTED, 8, 0, true },
	{ 8, 99, 8, 0, false },
	{ 8, 2, 7, -EBADMSG, false },
	{ 3, 2, 8, -EBADMSG, false },
	{ 0, 2, 8, -EBADMSG, false },
	{ 4, 2, 3, -EBADMSG, false },
	{ 0, 0, 0, 0, false },
	{ 4, 2, 6, -EBADMSG, true },
	{ 65535, 2, 8, -EBADMSG, false },
};

static void test_attrs(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		_Alignas(4) char buf[8] = { 0 };
		struct rtattr *rta = (void *)buf;
		const struct rtattr *tb[4];

		rta->rta_len = attrs[i].len;
		rta->rta_type = attrs[i].type;
		assert_int_equal(nl_attrs(tb, 3, buf, attrs[i].size),
				 attrs[i].rc);
		assert_int_equal(tb[2] != NULL, attrs[i].found);
	}
}

static void test_build(void **state)
{
	struct ifinfomsg ifm = { .ifi_index = 7 };
	const struct rtattr *tb[8], *in[8];
	char big[2000] = { 0 };
	struct nl_msg msg;
	size_t mark;

	(void)state;
	nl_msg_init(&msg, RTM_NEWLINK, NLM_F_ACK, &ifm, sizeof(ifm));
	nl_msg_put(&msg, 3, "abcde", 5);
	mark = nl_msg_nest(&msg, 4);
	nl_msg_put_u32(&msg, 1, 42);
	nl_msg_put_u32(&msg, 2, 43);
	nl_msg_nest_end(&msg, mark);
	nl_msg_put_u32(&msg, 5, 44);
	assert_false(msg.overflow);

	assert_int_equal(nl_msg_attrs(tb, 7, &msg.hdr, sizeof(ifm)), 0);
	assert_int_equal(RTA_PAYLOAD(tb[3]), 5);
	assert_memory_equal(RTA_DATA(tb[3]), "abcde", 5);
	assert_int_equal(nl_attr_u32(tb[5], 0), 44);
	assert_int_equal(nl_attr_u32(tb[3], 0) != 0, 1);
	assert_int_equal(nl_attr_u32(tb[6], 9), 9);
	assert_int_equal(nl_attrs(in, 7, RTA_DATA(tb[4]), RTA_PAYLOAD(tb[4])),
			 0);
	assert_int_equal(nl_attr_u32(in[1], 0), 42);
	assert_int_equal(nl_attr_u32(in[2], 0), 43);

	nl_msg_put(&msg, 1, big, sizeof(big));
	assert_true(msg.overflow);
	assert_int_equal(nl_request(&nl, &msg), -EMSGSIZE);
}

/* What a request comes to */
static void test_request(void **state)
{
	static const struct {
		int error, rc;
	} result[] = {
		{ 0, 0 },        { -EPERM, -EPERM },  { -4095, -4095 },
		{ 1, -EBADMSG }, { -4096, -EBADMSG }, { INT32_MIN, -EBADMSG },
	};
	struct ifinfomsg ifm = { 0 };
	uint32_t seq = 0;
	struct nl_msg msg;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(result); i++) {
		nl_msg_init(&msg, RTM_NEWLINK, 0, &ifm, sizeof(ifm));
		/* old and foreign answers, an echo, then ours */
		seq++;
		say_result(seq - 1, -EIO);
		say(RTM_NEWLINK, 0, seq + 77, &ifm, sizeof(ifm));
		flush();
		say(NLMSG_NOOP, 0, seq, NULL, 0);
		say(RTM_NEWLINK, 0, seq, &ifm, sizeof(ifm));
		flush();
		say_result(seq, result[i].error);
		flush();
		assert_int_equal(nl_request(&nl, &msg), result[i].rc);
	}

	/* too short for a result; silence; nobody there */
	nl_msg_init(&msg, RTM_NEWLINK, 0, &ifm, sizeof(ifm));
	say(NLMSG_ERROR, 0, ++seq, "", 1);
	flush();
	assert_int_equal(nl_request(&nl, &msg), -EBADMSG);
	assert_int_equal(nl_request(&nl, &msg), -ETIMEDOUT);
	seq += 2;
	say_result(seq, 0);
	dgram[3] = 0x7f; /* length out of bounds on any machine */
	dgram[0] = 0x7f;
	flush();
	assert_int_equal(nl_request(&nl, &msg), -EBADMSG);
}

/* Ask for all addresses. Return: how many are of interface 1, or -errno */
static int count(void)
{
	struct ifaddrmsg ifa = { .ifa_family = AF_UNSPEC };
	struct nl_dump dump = { 0 };
	const struct nlmsghdr *h;
	struct nl_msg msg;
	size_t off = 0;
	int rc, n = 0;

	nl_msg_init(&msg, RTM_GETADDR, 0, &ifa, sizeof(ifa));
	rc = nl_dump(&nl, &msg, &dump);
	while (!rc && (h = nl_dump_next(&dump, &off))) {
		const struct ifaddrmsg *a = nl_body(h, sizeof(*a));

		n += h->nlmsg_type == RTM_NEWADDR && a && a->ifa_index == 1;
	}
	nl_dump_free(&dump);
	return rc ? rc : n;
}

static void test_dump_filter(void **state)
{
	(void)state;
	say_addr(0, 0, 1, "192.0.2.9"); /* of another dump */
	say_addr(1, 0, 1, "192.0.2.1");
	say_addr(5, 0, 1, "192.0.2.8");
	say_addr(1, 0, 2, "192.0.2.2");
	flush();
	say(NLMSG_NOOP, 0, 1, NULL, 0);
	say_done(0, 0);
	say_addr(1, 0, 1, "2001:db8::1");
	flush();
	say_done(1, 0);
	flush();
	assert_int_equal(count(), 2);
}

static void test_dump_disturbed(void **state)
{
	uint32_t i;

	(void)state;
	/* once: what came with the disturbed answer is not seen */
	say_addr(1, 0, 1, "192.0.2.1");
	say_addr(1, NLM_F_DUMP_INTR, 1, "192.0.2.2");
	say_done(1, 0);
	flush();
	say_addr(2, 0, 1, "192.0.2.3");
	say_done(2, 0);
	flush();
	assert_int_equal(count(), 1);

	/* always: given up in the end, with the last answer */
	for (i = 3; i < 3 + 8; i++) {
		say_addr(i, 0, 1, "192.0.2.1");
		say_addr(i, 0, 1, "192.0.2.2");
		say(NLMSG_DONE, NLM_F_MULTI | NLM_F_DUMP_INTR, i, NULL, 0);
		flush();
	}
	assert_int_equal(count(), 2);
}

static void test_dump_errors(void **state)
{
	struct nlmsghdr *h;

	(void)state;
	say_result(1, -EOPNOTSUPP);
	flush();
	assert_int_equal(count(), -EOPNOTSUPP);

	say_addr(2, 0, 1, "192.0.2.1");
	say_done(2, -ENOMEM);
	flush();
	assert_int_equal(count(), -ENOMEM);

	say_addr(3, 0, 1, "192.0.2.1");
	flush();
	assert_int_equal(count(), -ETIMEDOUT);

	say_addr(4, 0, 1, "192.0.2.1");
	h = say(RTM_NEWADDR, 0, 4, "abc", 4);
	h->nlmsg_len = 200;
	flush();
	assert_int_equal(count(), -EBADMSG);

	/* a datagram cut in the middle of a header */
	say_addr(5, 0, 1, "192.0.2.1");
	dgram_len += 7;
	flush();
	assert_int_equal(count(), -EBADMSG);
}

/* Far more than one mapping holds at first */
static void test_dump_many(void **state)
{
	struct nl_msg msg;
	int i, n, pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		for (i = 0; i < 20000; i++) {
			addr_msg(&msg, 1, "2001:db8::1", 64, 0);
			say_msg(&msg, 1);
			if (dgram_len > 4000) {
				if (send(kernel, dgram, dgram_len, 0) < 0)
					_exit(1);
				dgram_len = 0;
			}
		}
		say_done(1, 0);
		_exit(send(kernel, dgram, dgram_len, 0) < 0);
	}
	n = count();
	assert_int_equal(waitpid(pid, &i, 0), pid);
	assert_int_equal(i, 0);
	assert_int_equal(n, 20000);
}

/* Which of the addresses on interface 1 is the best */
static void test_addr_best(void **state)
{
	static const struct {
		struct {
			const char *addr;
			uint8_t prefix_len;
			uint32_t flags;
		} in[3];
		const char *best; /* NULL: none */
	} c[] = {
		{ { { "192.0.2.1", 24, 0 } }, "192.0.2.1" },
		{ { { "192.0.2.1", 24, 0 }, { "192.0.2.2", 24, 0 } },
		  "192.0.2.1" },
		{ { { "192.0.2.1", 24, 0 }, { "192.0.2.2", 25, 0 } },
		  "192.0.2.2" },
		{ { { "192.0.2.1", 24, IFA_F_DEPRECATED },
		    { "192.0.2.2", 16, 0 } },
		  "192.0.2.2" },
		{ { { "192.0.2.1", 33, 0 } }, NULL },
		{ { { "2001:db8::1", 64, 0 }, { "2001:db8::2", 128, 0 } },
		  "2001:db8::2" },
		{ { { "2001:db8::1", 64, IFA_F_TENTATIVE } }, NULL },
		{ { { "2001:db8::1", 64, IFA_F_DADFAILED } }, NULL },
		{ { { "2001:db8::1", 129, 0 } }, NULL },
	};
	char text[INANY_STRLEN];
	struct nl_addr best;
	struct nl_msg msg;
	size_t i, j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		sa_family_t af = strchr(c[i].in[0].addr, ':') ? AF_INET6
							      : AF_INET;
		int rc;

		for (j = 0; j < 3 && c[i].in[j].addr; j++) {
			addr_msg(&msg, 1, c[i].in[j].addr,
				 c[i].in[j].prefix_len, c[i].in[j].flags);
			say_msg(&msg, nl.seq + 1);
		}
		say_done(nl.seq + 1, 0);
		flush();
		rc = nl_addr_best(&nl, 1, af, &best);
		assert_int_equal(rc, c[i].best ? 0 : -EADDRNOTAVAIL);
		if (c[i].best)
			assert_string_equal(inany_ntop(&best.addr, text),
					    c[i].best);
	}
}

static void test_link_odd(void **state)
{
	struct ifinfomsg ifm = { .ifi_index = 3, .ifi_type = 32 };
	static const uint8_t ib[20] = { 1 }; /* InfiniBand address */
	struct nl_link link;
	struct nl_msg msg;

	(void)state;
	nl_msg_init(&msg, RTM_NEWLINK, 0, &ifm, sizeof(ifm));
	nl_msg_put(&msg, IFLA_ADDRESS, ib, sizeof(ib));
	nl_msg_put(&msg, IFLA_IFNAME, "0123456789abcdef", 16); /* no NUL */
	say_msg(&msg, 1);
	flush();
	assert_int_equal(nl_link_get(&nl, 3, &link), 0);
	assert_false(link.has_mac);
	assert_string_equal(link.name, "0123456789abcde");

	say(RTM_NEWLINK, 0, 2, &ifm, 4); /* too short */
	flush();
	assert_int_equal(nl_link_get(&nl, 3, &link), -EBADMSG);
	say(RTM_NEWADDR, 0, 3, &ifm, sizeof(ifm)); /* something else */
	flush();
	assert_int_equal(nl_link_get(&nl, 3, &link), -EBADMSG);
	assert_int_equal(nl_link_index(&nl, ""), -EINVAL);
}

/* A batch: each result goes to its request, in any order */
static void test_batch(void **state)
{
	static struct nl_batch batch;
	struct ifinfomsg ifm = { 0 };
	struct nl_msg msg;
	unsigned n = 0;

	(void)state;
	nl_msg_init(&msg, RTM_NEWLINK, 0, &ifm, sizeof(ifm));
	while (nl_batch_add(&batch, &msg))
		n++;
	assert_int_equal(n, NL_BATCH_MAX);
	batch.n = 3;
	batch.len = 3 * NLMSG_ALIGN(msg.hdr.nlmsg_len);

	say_result(3, -EEXIST);
	say_result(3, 0); /* once is enough */
	say_result(0, -EIO);
	say_result(4, -EIO);
	flush();
	say_result(1, 0);
	say_result(2, -EPERM);
	flush();
	nl_batch_run(&nl, &batch);
	assert_int_equal(batch.rc[0], 0);
	assert_int_equal(batch.rc[1], -EPERM);
	assert_int_equal(batch.rc[2], -EEXIST);

	/* the answer to the second is missing */
	say_result(4, 0);
	say_result(6, 0);
	flush();
	nl_batch_run(&nl, &batch);
	assert_int_equal(batch.rc[0], 0);
	assert_int_equal(batch.rc[1], -ETIMEDOUT);
	assert_int_equal(batch.rc[2], 0);

	batch.n = batch.len = 0;
	nl_batch_run(&nl, &batch);
}

/* A datagram with some of everything, for test_mutations() */
static void say_zoo(uint32_t seq)
{
	struct rtmsg rtm = { .rtm_family = AF_INET,
			     .rtm_type = RTN_UNICAST,
			     .rtm_table = RT_TABLE_MAIN };
	struct {
		struct rtnexthop nh;
		struct rtattr rta;
		uint32_t gw;
	} hops[2] = { { { 16, 0, 1, 2 }, { 8, RTA_GATEWAY }, 1 },
		      { { 16, 0, 5, 3 }, { 8, RTA_GATEWAY }, 2 } };
	struct nexthop_grp grp[2] = { { .id = 1 }, { .id = 2 } };
	struct nhmsg nhm = { .nh_family = AF_INET };
	char via[18] = { AF_INET6, 0, 1, 2 };
	struct nl_msg msg;

	nl_msg_init(&msg, RTM_NEWROUTE, 0, &rtm, sizeof(rtm));
	nl_msg_put(&msg, RTA_MULTIPATH, hops, sizeof(hops));
	nl_msg_put_u32(&msg, RTA_PRIORITY, 100);
	say_msg(&msg, seq);
	nl_msg_init(&msg, RTM_NEWROUTE, 0, &rtm, sizeof(rtm));
	nl_msg_put(&msg, RTA_VIA, via, sizeof(via));
	nl_msg_put_u32(&msg, RTA_OIF, 2);
	say_msg(&msg, seq);
	nl_msg_init(&msg, RTM_NEWROUTE, 0, &rtm, sizeof(rtm));
	nl_msg_put_u32(&msg, RTA_NH_ID, 3);
	say_msg(&msg, seq);

	nl_msg_init(&msg, RTM_NEWNEXTHOP, 0, &nhm, sizeof(nhm));
	nl_msg_put_u32(&msg, NHA_ID, 3);
	nl_msg_put(&msg, NHA_GROUP, grp, sizeof(grp));
	say_msg(&msg, seq);
	nl_msg_init(&msg, RTM_NEWNEXTHOP, 0, &nhm, sizeof(nhm));
	nl_msg_put_u32(&msg, NHA_ID, 1);
	nl_msg_put_u32(&msg, NHA_OIF, 2);
	nl_msg_put_u32(&msg, NHA_GATEWAY, 77);
	say_msg(&msg, seq);
	addr_msg(&msg, 1, "2001:db8::1", 64, 0);
	say_msg(&msg, seq);
}

/* Bytes changed at random: any result will do, but no access out of bounds
 * and no endless loop; of use with SANITIZE=1
 */
static void test_mutations(void **state)
{
	uint32_t x = 1, i, j;
	union inany_addr gw;
	struct nl_addr addr;

	(void)state;
	for (i = 0; i < 20000; i++) {
		struct nl_dump zoo;
		struct routes r = { .nl = &nl, .af = AF_INET };
		const struct nlmsghdr *h;
		struct route route;
		struct hop hop;
		size_t off = 0;

		dgram_len = 0;
		say_zoo(1);
		for (j = 0; j <= i % 4; j++) {
			x = x * 1664525 + 1013904223;
			dgram[(x >> 8) % dgram_len] = (char)(x >> 24);
		}
		zoo = (struct nl_dump){ dgram, dgram_len, sizeof(dgram) };
		r.routes = r.nexthops = zoo;
		while ((h = nl_dump_next(&zoo, &off))) {
			if (route_parse(h, AF_INET, &route))
				route_best_hop(&r, &route, 2, &hop);
		}
	}

	/* the same through a whole conversation, a few of them */
	for (i = 0; i < 300; i++) {
		uint32_t seq = nl.seq + 1;

		say_zoo(seq);
		for (j = 0; j <= i % 4; j++) {
			x = x * 1664525 + 1013904223;
			dgram[(x >> 8) % dgram_len] = (char)(x >> 24);
		}
		flush();
		say_done(seq, 0);
		flush();
		nl_addr_best(&nl, 1, AF_INET, &addr);
		/* drain what a broken message left behind */
		while (recv(nl.fd, &gw, sizeof(gw), MSG_DONTWAIT) > 0)
			;
		while (recv(kernel, &gw, sizeof(gw), MSG_DONTWAIT) > 0)
			;
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_walk),        TEST(test_attrs),
		TEST(test_build),       TEST(test_request),
		TEST(test_dump_filter), TEST(test_dump_disturbed),
		TEST(test_dump_errors), TEST(test_dump_many),
		TEST(test_addr_best),   TEST(test_link_odd),
		TEST(test_batch),       TEST(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
