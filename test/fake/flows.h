/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An end for all flows of a test: the program itself leaves them to the kernel */
#ifndef FAKE_FLOWS_H
#define FAKE_FLOWS_H

#include "flow.h"

/**
 * flows_close() - Close every flow
 * @t:		Table, all of them of one kind
 * @end:	What closes one of these, called with the context of its kind
 */
static inline void flows_close(const struct flow_table *t,
			       void (*end)(void *ctx, struct flow *f))
{
	const struct flow *f;
	uint32_t idx = 0;

	while ((f = flow_next(t, &idx, t->max)))
		end(t->ops[f->type].ctx, (struct flow *)(uintptr_t)f);
}

#endif /* FAKE_FLOWS_H */
