/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzing of the language of -t, -u, -T, -U: specifiers, one a line
 *
 * The first byte chooses what they are read against. Rules of all of them add
 * up; what the rest of the program takes for granted is checked of each.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ports.h"

#define NO_V4  1
#define NO_V6  2
#define AUTO   4
#define SPLICE 8
#define UDP    16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Text of exactly its length, and a NUL */
static char *text(const uint8_t *p, size_t len)
{
	char *s = malloc(len + 1);

	memcpy(s, p, len);
	s[len] = '\0';
	return s;
}

static void check_rule(const struct fwd_rule *r, const struct ports_env *env)
{
	char buf[FWD_RULE_TEXT];

	if (!r->first || r->last < r->first || !r->to ||
	    r->to + (r->last - r->first) > UINT16_MAX ||
	    r->proto != env->proto || r->pif != env->pif ||
	    !memchr(r->ifname, 0, sizeof(r->ifname)) ||
	    (r->scan && !env->auto_ok) || (r->dual && !(env->v4 && env->v6)))
		abort();
	if (fwd_rule_text(r, buf, sizeof(buf)) != buf ||
	    strlen(buf) + 1 >= sizeof(buf))
		abort();
}

/* One specifier: all of it or nothing, and a reason for nothing */
static void one(struct fwd_rules *rules, const struct ports_env *env,
		const char *spec)
{
	char msg[PORTS_ERR_MAX] = "";
	const unsigned before = rules->n;
	unsigned i;
	int rc;

	rc = ports_parse(rules, env, spec, msg);
	if (rc && (rules->n != before || !*msg || strchr(msg, '\n') ||
		   !memchr(msg, 0, sizeof(msg))))
		abort();
	if (rules->n < before || rules->n > FWD_RULES_MAX)
		abort();
	for (i = before; i < rules->n; i++)
		check_rule(&rules->rule[i], env);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fwd_rules rules;
	const uint8_t flags = size ? data[0] : 0;
	const struct ports_env env = {
		.proto = flags & UDP ? IPPROTO_UDP : IPPROTO_TCP,
		.pif = flags & SPLICE ? PIF_SPLICE : PIF_HOST,
		.v4 = !(flags & NO_V4),
		.v6 = !(flags & NO_V6) || flags & NO_V4, /* one of them is */
		.auto_ok = flags & AUTO,
		.eph_first = 32768,
		.eph_last = 60999,
	};
	const uint8_t *end = data + size, *nl;

	rules.n = 0;
	for (data++; data < end; data = nl + 1) {
		char *s;

		nl = memchr(data, '\n', (size_t)(end - data));
		if (!nl)
			nl = end;
		s = text(data, (size_t)(nl - data));
		one(&rules, &env, s);
		free(s);
	}
	return 0;
}
