/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two network namespaces in a user namespace of their own, for tests
 *
 * "host" is set up by ip(8), "guest" is where things are copied to. Both have
 * veth pairs d0-p0 and d1-p1; all are up in the host, so is d0 in the guest.
 * Nothing outside is touched.
 */
#ifndef TEST_FAKE_WORLD_H
#define TEST_FAKE_WORLD_H

#include "nl.h"

/* One namespace and a netlink socket of it */
struct world {
	int ns;
	struct nl_sock nl;
};

extern struct world host, guest;

/* cmocka fixtures: once for the program, and for each test */
int world_group_setup(void **state);
int world_setup(void **state);
int world_teardown(void **state);

/**
 * world_enter() - Go into a namespace, for /proc/sys and sockets
 * @w:		Namespace
 */
void world_enter(const struct world *w);

/**
 * world_ip() - Run ip(8) commands in a namespace; the test fails if one does
 * @w:		Namespace
 * @lines:	Arguments, commands separated by ';'
 */
void world_ip(const struct world *w, const char *lines);

/**
 * world_output() - What a shell command prints in a namespace
 * @w:		Namespace
 * @command:	Command
 *
 * Return: text, valid until the next call; blanks in a row are one, those at
 *	   the end of a line are dropped
 */
const char *world_output(const struct world *w, const char *command);

/* Index of an interface, address of a text: must be there, be valid */
int world_ifi(struct world *w, const char *name);
union inany_addr world_addr(const char *text);

#endif /* TEST_FAKE_WORLD_H */
