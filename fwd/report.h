/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is said of ports that cannot be bound */
#ifndef FWD_REPORT_H
#define FWD_REPORT_H

#include <netinet/in.h>

struct fwd_rule;

/**
 * struct fwd_tally - What became of the ports of best-effort rules
 * @bound:	Listening
 * @in_use:	Somebody else has them
 * @denied:	Low ports that take a privilege
 * @other:	Failed for whatever else reason
 * @left:	Not tried, for want of descriptors or memory
 * @why:	-errno of the last of @other
 * @why_left:	-errno that ended it
 */
struct fwd_tally {
	unsigned bound, in_use, denied, other, left;
	int why, why_left;
};

/**
 * fwd_report_failed() - Message: which port, why, what to do about it
 * @rule:	Rule the port is of
 * @port:	Port
 * @rc:		-errno
 */
void fwd_report_failed(const struct fwd_rule *rule, in_port_t port, int rc);

/**
 * fwd_report_tally() - Message: how many ports were bound, and why others not
 * @rule:	One of the rules: protocol and pif
 * @t:		Counts
 *
 * For information, or a warning if ports are left out that somebody else could
 * not have taken; silent if all are bound.
 */
void fwd_report_tally(const struct fwd_rule *rule, const struct fwd_tally *t);

#endif /* FWD_REPORT_H */
