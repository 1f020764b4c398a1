/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP options of a SYN: parse and build */
#ifndef TCP_OPT_H
#define TCP_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a SYN says; absent options: mss 0, wscale -1, sack_ok false */
struct tcp_syn_opts {
	uint16_t mss;
	int8_t wscale;
	bool sack_ok;
};

/* Bytes of options we put in a SYN: MSS, and with NOPs window scale and SACK
 * permitted
 */
#define TCP_SYN_OPTS_MAX 12

/**
 * tcp_opt_parse() - Options of a SYN from the guest
 * @p:		Options, behind the fixed header
 * @len:	Bytes, 0..40
 * @o:		Filled
 *
 * Stops at the first malformed option: what stood before it counts. Unknown
 * options are passed over (RFC 9293 3.1, MUST-6).
 */
void tcp_opt_parse(const uint8_t *p, size_t len, struct tcp_syn_opts *o);

/**
 * tcp_opt_build() - Options of our SYN
 * @p:		At least TCP_SYN_OPTS_MAX bytes
 * @o:		What to say; wscale -1: not offered
 *
 * Return: bytes written, a multiple of 4
 */
size_t tcp_opt_build(uint8_t *p, const struct tcp_syn_opts *o);

#endif /* TCP_OPT_H */
