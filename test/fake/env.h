/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fakes of TCP and of UDP have in common: a host, a guest, a shell */
#ifndef FAKE_ENV_H
#define FAKE_ENV_H

#include "guest.h"

/* Of the host, all on its loopback device: itself, and others to talk to */
#define HOST4 "192.0.2.1"
#define PEER4 "198.51.100.1"
#define HOST6 "2001:db8::1"
#define PEER6 "2001:db8:1::1"

/* Of the guest */
#define GUEST4 "203.0.113.2"
#define GW4    "203.0.113.1"
#define GUEST6 "2001:db8:9::2"
#define GW6    "fe80::1"

/**
 * env_addr() - Address from text, which must be one
 */
union inany_addr env_addr(const char *text);

/**
 * env_guest() - A guest that has the addresses above, and was seen with them
 * @g:		Filled
 */
void env_guest(struct guest *g);

/**
 * env_run() - Run a command by the shell; the test fails if it does
 */
void env_run(const char *command);

/**
 * env_until() - Run a command again and again, until it succeeds
 * @command:	What is true some time after the kernel said that it was done
 *
 * Fails the test after 20 seconds.
 */
void env_until(const char *command);

#endif /* FAKE_ENV_H */
