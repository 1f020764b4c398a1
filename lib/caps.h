/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capabilities of the calling thread, straight from the kernel's interface */
#ifndef LIB_CAPS_H
#define LIB_CAPS_H

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>

/* One capability in a set */
#define CAPS_BIT(cap) (UINT64_C(1) << (cap))

/**
 * caps_get() - Permitted capabilities of the calling thread
 *
 * Source: capset(2), version 3.
 *
 * Return: set, 0 on failure too
 */
uint64_t caps_get(void);

/**
 * caps_limit() - Keep only some of the capabilities we have
 * @keep:	Set: permitted and effective become what we have of it,
 *		inheritable and ambient become empty
 *
 * Only for the calling thread. Return: 0, or -errno
 */
int caps_limit(uint64_t keep);

/**
 * caps_limit_bounding() - Nothing executed from now on can gain others
 * @keep:	Set
 *
 * Needs CAP_SETPCAP; without it the bounding set stays as it is.
 */
void caps_limit_bounding(uint64_t keep);

/**
 * caps_have() - Is a capability permitted?
 * @cap:	CAP_NET_ADMIN ...
 */
static inline bool caps_have(int cap)
{
	return caps_get() & CAPS_BIT(cap);
}

#endif /* LIB_CAPS_H */
