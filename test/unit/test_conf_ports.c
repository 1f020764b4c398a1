/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Port specifiers: rules that come of them, and what is wrong with others */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "conf/ports.h"
#include "test/fuzz/seed.h"

/* Surroundings a case may ask for */
enum env_kind { PASST, PASTA, V4_ONLY, V6_ONLY, UDP, NS, NS_V4, NENV };

static const struct ports_env envs[NENV] = {
	[PASST] = { IPPROTO_TCP, PIF_HOST, true, true, false, 32768, 60999 },
	[PASTA] = { IPPROTO_TCP, PIF_HOST, true, true, true, 32768, 60999 },
	[V4_ONLY] = { IPPROTO_TCP, PIF_HOST, true, false, false, 32768, 60999 },
	[V6_ONLY] = { IPPROTO_TCP, PIF_HOST, false, true, false, 32768, 60999 },
	[UDP] = { IPPROTO_UDP, PIF_HOST, true, true, false, 32768, 60999 },
	[NS] = { IPPROTO_TCP, PIF_SPLICE, true, true, true, 32768, 60999 },
	[NS_V4] = { IPPROTO_TCP, PIF_SPLICE, true, false, true, 32768, 60999 },
};

#define SPECS_MAX 3

/* Specifiers given one after the other, and the rules, a line each */
static const struct good {
	enum env_kind env;
	const char *spec[SPECS_MAX];
	const char *rules;
} goods[] = {
	{ PASST, { "none" }, "" },
	{ PASST, { "80", "none" }, "TCP [*]:80  =>  80\n" },
	{ PASST, { "none", "80" }, "TCP [*]:80  =>  80\n" },
	{ PASST,
	  { "1", "65535" },
	  "TCP [*]:1  =>  1\n"
	  "TCP [*]:65535  =>  65535\n" },
	{ PASST, { "22:23" }, "TCP [*]:22  =>  23\n" },
	{ PASST, { "22,25" }, "TCP [*]:22  =>  22\nTCP [*]:25  =>  25\n" },
	{ PASST, { "22-80:32-90" }, "TCP [*]:22-80  =>  32-90\n" },
	{ PASST, { "80-80:80-80" }, "TCP [*]:80  =>  80\n" },
	{ UDP, { "53" }, "UDP [*]:53  =>  53\n" },
	/* listening address and interface */
	{ PASST, { "/80" }, "TCP [*]:80  =>  80\n" },
	{ PASST, { "*/80" }, "TCP [*]:80  =>  80\n" },
	{ PASST, { "%eth0/80" }, "TCP [*]%eth0:80  =>  80\n" },
	{ PASST, { "*%eth0/80" }, "TCP [*]%eth0:80  =>  80\n" },
	{ PASST, { "192.0.2.1/80" }, "TCP [192.0.2.1]:80  =>  80\n" },
	{ PASST, { "[192.0.2.1]/80" }, "TCP [192.0.2.1]:80  =>  80\n" },
	{ PASST, { "::1/80-80:80-80" }, "TCP [::1]:80  =>  80\n" },
	{ PASST,
	  { "[2001:db8::1]%eth0/80" },
	  "TCP [2001:db8::1]%eth0:80  =>  80\n" },
	{ PASST, { "::/8080:80" }, "TCP [::]:8080  =>  80\n" },
	{ PASST,
	  { "0.0.0.0/80", "::/80" },
	  "TCP [0.0.0.0]:80  =>  80\n"
	  "TCP [::]:80  =>  80\n" },
	{ PASST, { "::ffff:192.0.2.1/80" }, "TCP [192.0.2.1]:80  =>  80\n" },
	{ UDP, { "224.0.0.251/5353" }, "UDP [224.0.0.251]:5353  =>  5353\n" },
	{ PASST,
	  { "%eth0/80", "%eth1/80" },
	  "TCP [*]%eth0:80  =>  80\n"
	  "TCP [*]%eth1:80  =>  80\n" },
	{ PASST,
	  { "192.0.2.1/80", "192.0.2.2/80", "::1/80" },
	  "TCP [192.0.2.1]:80  =>  80\n"
	  "TCP [192.0.2.2]:80  =>  80\n"
	  "TCP [::1]:80  =>  80\n" },
	/* an address for each element: ours */
	{ PASST,
	  { "192.0.2.1/80,81,192.0.2.2%eth1/80:90" },
	  "TCP [192.0.2.1]:80  =>  80\n"
	  "TCP [192.0.2.1]:81  =>  81\n"
	  "TCP [192.0.2.2]%eth1:80  =>  90\n" },
	{ PASST,
	  { "80-82,~81,192.0.2.2/90-92" },
	  "TCP [*]:80  =>  80\nTCP [*]:82  =>  82\n"
	  "TCP [192.0.2.2]:90-92  =>  90-92\n" },
	/* target address */
	{ PASST,
	  { "0.0.0.0/80:198.51.100.1" },
	  "TCP [0.0.0.0]:80  =>  198.51.100.1:80\n" },
	{ PASST,
	  { "0.0.0.0/80-81:198.51.100.1/90-91" },
	  "TCP [0.0.0.0]:80-81  =>  198.51.100.1:90-91\n" },
	{ PASST,
	  { "::/80:[2001:db8::1]/90" },
	  "TCP [::]:80  =>  [2001:db8::1]:90\n" },
	{ PASST,
	  { "::/80-81:2001:db8::1" },
	  "TCP [::]:80-81  =>  [2001:db8::1]:80-81\n" },
	{ V4_ONLY,
	  { "80:198.51.100.1" },
	  "TCP [0.0.0.0]:80  =>  198.51.100.1:80\n" },
	/* one family */
	{ V4_ONLY, { "80" }, "TCP [0.0.0.0]:80  =>  80\n" },
	{ V6_ONLY, { "80" }, "TCP [::]:80  =>  80\n" },
	{ NS, { "80" }, "TCP [*]:80  =>  80\n" },
	{ NS_V4, { "80" }, "TCP [127.0.0.1]:80  =>  80\n" },
	/* exclusions */
	{ PASST,
	  { "20-30,~25" },
	  "TCP [*]:20-24  =>  20-24\n"
	  "TCP [*]:26-30  =>  26-30\n" },
	{ PASST,
	  { "~25,20-30" },
	  "TCP [*]:20-24  =>  20-24\n"
	  "TCP [*]:26-30  =>  26-30\n" },
	{ PASST,
	  { "20-30:40-50,~20-22,~22-24" },
	  "TCP [*]:25-30  =>  45-50\n" },
	{ PASST, { "80,~80" }, "" },
	{ PASST,
	  { "198.51.100.1%eth0/~25,80-90:8080-8090,all" },
	  "TCP [198.51.100.1]%eth0:80-90  =>  8080-8090\n" },
	/* everything */
	{ PASST,
	  { "all" },
	  "TCP [*]:1-32767  =>  1-32767 (best effort)\n"
	  "TCP [*]:61000-65535  =>  61000-65535 (best effort)\n" },
	{ PASST,
	  { "~80" },
	  "TCP [*]:1-79  =>  1-79 (best effort)\n"
	  "TCP [*]:81-32767  =>  81-32767 (best effort)\n"
	  "TCP [*]:61000-65535  =>  61000-65535 (best effort)\n" },
	{ PASST,
	  { "0.0.0.0/all:198.51.100.1,~61000-65535,~2-32767" },
	  "TCP [0.0.0.0]:1  =>  198.51.100.1:1 (best effort)\n" },
	{ PASST, { "all,40000" }, "TCP [*]:40000  =>  40000\n" },
	{ PASST,
	  { "%eth0/all" },
	  "TCP [*]%eth0:1-32767  =>  1-32767 (best effort)\n"
	  "TCP [*]%eth0:61000-65535  =>  61000-65535 (best effort)\n" },
	{ PASTA,
	  { "auto,~61000-65535" },
	  "TCP [*]:1-32767  =>  1-32767 (best effort) (auto-scan)\n" },
	{ PASTA,
	  { "8000-8010,auto" },
	  "TCP [*]:8000-8010  =>  8000-8010 (auto-scan)\n" },
};

/* Specifiers as an input of the fuzzer */
static void seed(enum env_kind env, const char *const *spec)
{
	const uint8_t flags = (uint8_t)((envs[env].v4 ? 0 : 1) |
					(envs[env].v6 ? 0 : 2) |
					(envs[env].auto_ok ? 4 : 0));
	char text[4096];
	size_t len = 0, i;

	for (i = 0; i < SPECS_MAX && spec[i]; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\n",
					spec[i]);
	fuzz_seed("ports", &flags, sizeof(flags), text, len);
}

static void test_good(void **state)
{
	static struct fwd_rules rules;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(goods) / sizeof(goods[0]); i++) {
		char text[4096] = "", line[FWD_RULE_TEXT];
		char msg[PORTS_ERR_MAX] = "";
		const struct good *t = &goods[i];

		seed(t->env, t->spec);
		rules.n = 0;
		for (k = 0; k < SPECS_MAX && t->spec[k]; k++) {
			if (ports_parse(&rules, &envs[t->env], t->spec[k], msg))
				fail_msg("%s: %s", t->spec[k], msg);
		}
		for (k = 0; k < rules.n; k++) {
			fwd_rule_text(&rules.rule[k], line, sizeof(line));
			strcat(strcat(text, line), "\n");
			assert_int_equal(rules.rule[k].pif, envs[t->env].pif);
		}
		assert_string_equal(text, t->rules);
	}
}

/* Specifiers of which the last one is refused, and part of the message */
static const struct bad {
	enum env_kind env;
	const char *spec[SPECS_MAX];
	const char *msg;
} bads[] = {
	{ PASST, { "" }, "empty list element" },
	{ PASST, { "," }, "empty list element" },
	{ PASST, { "80," }, "empty list element" },
	{ PASST, { ",80" }, "empty list element" },
	{ PASST, { "80,,81" }, "empty list element" },
	{ PASST, { "/" }, "empty list element" },
	{ PASST, { "none,80" }, "expected PORT, PORT-PORT" },
	{ PASST, { "80,none" }, "expected PORT, PORT-PORT" },
	{ PASST, { "80x" }, "unexpected text behind the port" },
	{ PASST, { " 80" }, "expected PORT" },
	{ PASST, { "+80" }, "expected PORT" },
	{ PASST, { "-80" }, "expected PORT" },
	{ PASST, { "0x50" }, "unexpected text" },
	{ PASST, { "65536" }, "expected PORT" },
	{ PASST, { "99999999999999999999" }, "expected PORT" },
	{ PASST, { "80-70" }, "rising" },
	{ PASST, { "80-" }, "expected PORT" },
	{ PASST, { "80-90-100" }, "unexpected text" },
	{ PASST, { "0" }, "cannot map from/to port 0" },
	{ PASST, { "0-10" }, "cannot map from/to port 0" },
	{ PASST, { "80:0" }, "cannot map from/to port 0" },
	{ PASST, { "80:" }, "target is neither" },
	{ PASST, { "80:x" }, "target is neither" },
	{ PASST, { "80:65536" }, "target is neither" },
	{ PASST, { "80-90:90" }, "differ in length" },
	{ PASST, { "80:90-91" }, "differ in length" },
	{ PASST, { "65530-65535:65535-65540" }, "target is neither" },
	{ PASST, { "~80:90" }, "expected ~PORT" },
	{ PASST, { "~" }, "expected ~PORT" },
	{ PASST, { "allx" }, "expected PORT" },
	{ PASST, { "all:" }, "unicast address behind all:" },
	{ PASST, { "0.0.0.0/all:224.0.0.1" }, "unicast address behind all:" },
	{ PASST, { "autos" }, "expected PORT" },
	{ PASST, { "auto" }, "'auto' is for pasta mode only" },
	{ PASST, { "300.0.0.1/80" }, "before the slash" },
	{ PASST, { "[::1/80" }, "expected PORT" },
	{ PASST, { "%/80" }, "before the slash" },
	{ PASST, { "%sixteencharacters/80" }, "before the slash" },
	{ PASST, { "%../80" }, "before the slash" },
	{ PASST, { "%a b/80" }, "before the slash" },
	{ PASST, { "224.0.0.1/80" }, "listening address is not unicast" },
	{ PASST, { "255.255.255.255/80" }, "listening address is not" },
	{ PASST, { "80:198.51.100.1" }, "such as 0.0.0.0/PORT:ADDRESS" },
	{ PASST, { "80:[2001:db8::1]/90" }, "such as [::]/PORT:ADDRESS" },
	{ PASST, { "192.0.2.1/80:[2001:db8::1]/80" }, "not both IPv4 or IPv6" },
	{ PASST, { "0.0.0.0/80:224.0.0.1" }, "target address is not unicast" },
	{ PASST, { "0.0.0.0/80:0.0.0.0" }, "target address is not unicast" },
	{ PASST, { "0.0.0.0/80:198.51.100.1/" }, "behind the target address" },
	{ V4_ONLY, { "::/80" }, "IPv6 not enabled" },
	{ V4_ONLY, { "80:[2001:db8::1]/80" }, "not both IPv4 or IPv6" },
	{ V6_ONLY, { "192.0.2.1/80" }, "IPv4 not enabled" },
	{ NS, { "127.0.0.1/80" }, "Listening address not allowed" },
	{ NS, { "%lo/80" }, "Listening address not allowed" },
	{ NS, { "80:127.0.0.1" }, "Target address not allowed" },
	/* conflicts name both rules */
	{ PASST,
	  { "80,80" },
	  "TCP [*]:80  =>  80 conflicts with previous "
	  "TCP [*]:80  =>  80" },
	{ PASST,
	  { "80", "192.0.2.1/70-90" },
	  "TCP [192.0.2.1]:70-90  =>  70-90 conflicts with previous "
	  "TCP [*]:80  =>  80" },
	{ PASST, { "0.0.0.0/80", "192.0.2.1/80" }, "conflicts" },
	{ PASST, { "%eth0/80", "80" }, "conflicts" },
	{ PASST, { "%eth0/80", "192.0.2.1%eth0/80" }, "conflicts" },
	{ PASST, { "all", "80" }, "(best effort)" },
};

static void test_bad(void **state)
{
	static struct fwd_rules rules;
	char start[128];
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		char msg[PORTS_ERR_MAX] = "";
		const struct bad *t = &bads[i];
		unsigned n = 0;
		int rc = 0;

		seed(t->env, t->spec);
		rules.n = 0;
		for (k = 0; k < SPECS_MAX && t->spec[k]; k++) {
			if (rc)
				fail_msg("%s refused early", t->spec[k - 1]);
			n = rules.n;
			rc = ports_parse(&rules, &envs[t->env], t->spec[k],
					 msg);
		}
		if (!rc)
			fail_msg("'%s' accepted", t->spec[k - 1]);
		snprintf(start, sizeof(start),
			 "Invalid port specifier '%s': ", t->spec[k - 1]);
		if (strncmp(msg, start, strlen(start)) || !strstr(msg, t->msg))
			fail_msg("'%s': %s", t->spec[k - 1], msg);
		assert_int_equal(rules.n, n); /* nothing half done */
	}
}

/* One rule more than there is room for */
static void test_full(void **state)
{
	static struct fwd_rules rules;
	char msg[PORTS_ERR_MAX], spec[16];
	unsigned i;

	(void)state;
	for (i = 0; i < FWD_RULES_MAX; i++) {
		snprintf(spec, sizeof(spec), "%u", 2 * i + 1);
		assert_int_equal(ports_parse(&rules, &envs[PASST], spec, msg),
				 0);
	}
	assert_int_equal(ports_parse(&rules, &envs[PASST], "9999", msg),
			 -ENOSPC);
	assert_non_null(strstr(msg, "more than 256 rules"));
	assert_int_equal(rules.n, FWD_RULES_MAX);
}

/* TCP and UDP do not collide; a long specifier does not overrun the message */
static void test_misc(void **state)
{
	static struct fwd_rules rules;
	char msg[PORTS_ERR_MAX], spec[4096];

	(void)state;
	assert_int_equal(ports_parse(&rules, &envs[PASST], "80", msg), 0);
	assert_int_equal(ports_parse(&rules, &envs[UDP], "80", msg), 0);
	assert_int_equal(ports_parse(&rules, &envs[UDP], "80", msg), -EEXIST);

	memset(spec, 'x', sizeof(spec) - 1);
	spec[sizeof(spec) - 1] = '\0';
	assert_int_equal(ports_parse(&rules, &envs[UDP], spec, msg), -EINVAL);
	assert_true(strlen(msg) < PORTS_ERR_MAX);
	spec[0] = '[';
	spec[sizeof(spec) - 4] = '/';
	assert_int_equal(ports_parse(&rules, &envs[UDP], spec, msg), -EINVAL);
}

#define RANDOM_RUNS   200000
#define RANDOM_PIECES 12

/* Whatever the text: refused with a message, or rules that make sense */
static void test_random(void **state)
{
	static const char *const piece[] = {
		"80",   "1",    "65535",       "65536",
		"0",    "8000", "9000",        "443",
		"-",    "-",    ":",           ":",
		",",    ",",    ",",           "/",
		"~",    "~",    "%",           "eth0",
		"[",    "]",    "*",           "all",
		"auto", "none", "192.0.2.1",   "0.0.0.0",
		"::1",  "::",   "2001:db8::1", "[2001:db8::1]",
		" ",    "x",
	};
	static struct fwd_rules rules;
	uint32_t seed = 1;
	unsigned i, k;

	(void)state;
	for (i = 0; i < RANDOM_RUNS; i++) {
		char spec[256] = "", msg[PORTS_ERR_MAX] = "";
		const struct ports_env *env = &envs[i % NENV];
		unsigned n;
		int rc;

		for (n = i % RANDOM_PIECES + 1; n; n--) {
			seed = seed * 1664525 + 1013904223;
			strcat(spec, piece[(seed >> 8) %
					   (sizeof(piece) / sizeof(*piece))]);
		}
		rules.n = 0;
		rc = ports_parse(&rules, env, spec, msg);
		if (rc ? !*msg || rules.n : *msg)
			fail_msg("'%s': %d, '%s'", spec, rc, msg);
		for (k = 0; k < rules.n; k++) {
			const struct fwd_rule *r = &rules.rule[k];

			if (!r->first || !r->to || r->first > r->last ||
			    r->to + (r->last - r->first) > 65535 ||
			    r->proto != env->proto || r->pif != env->pif ||
			    (r->scan && !env->auto_ok) ||
			    (r->dual && !(env->v4 && env->v6)))
				fail_msg("'%s': rule %u", spec, k);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),   cmocka_unit_test(test_bad),
		cmocka_unit_test(test_full),   cmocka_unit_test(test_misc),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
