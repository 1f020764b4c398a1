/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bound sockets out of what the kernel answers; for nl/ and its tests only */
#ifndef NL_DIAG_H
#define NL_DIAG_H

#include <stddef.h>
#include <stdint.h>

#include "nl.h"

/**
 * nl_diag_take() - Tell of the sockets in one datagram of a dump
 * @buf:	Datagram, aligned
 * @len:	Its length
 * @seq:	Number of the request: messages of others are passed over
 * @fn, @arg:	See nl_diag_bound()
 *
 * Return: 1 if the dump ends here, 0 if there is more to come, -EBADMSG if a
 *	   length is wrong, -errno that the kernel answered
 */
int nl_diag_take(void *buf, size_t len, uint32_t seq, nl_bound_fn *fn,
		 void *arg);

#endif /* NL_DIAG_H */
