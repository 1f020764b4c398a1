/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fakes of TCP and of UDP have in common: a host, a guest, a shell */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/fake/env.h"

#define UNTIL_TRIES 1000
#define UNTIL_US    20000

union inany_addr env_addr(const char *text)
{
	union inany_addr a;

	assert_int_equal(inany_pton(text, &a), 0);
	return a;
}

void env_guest(struct guest *g)
{
	*g = (struct guest){ .our_mac = GUEST_OUR_MAC,
			     .mac = { 2, 0, 0, 0, 0, 2 } };
	g->v4.on = g->v6.on = true;
	g->v4.addr = g->v4.seen = env_addr(GUEST4);
	g->v4.gw = g->v4.our = env_addr(GW4);
	g->v6.addr = g->v6.seen = env_addr(GUEST6);
	g->v6.gw = g->v6.our = env_addr(GW6);
}

void env_run(const char *command)
{
	if (system(command))
		fail_msg("%s", command);
}

void env_until(const char *command)
{
	unsigned i;

	for (i = 0; i < UNTIL_TRIES; i++) {
		if (!system(command))
			return;
		usleep(UNTIL_US);
	}
	fail_msg("not within 20 s: %s", command);
}
