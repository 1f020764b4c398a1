/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP options (RFC 9293 3.2, RFC 7323, RFC 2018) */
#ifndef WIRE_TCP_OPT_H
#define WIRE_TCP_OPT_H

#include <stdint.h>

/* Option kinds, IANA "TCP Parameters" */
enum tcp_opt_kind {
	TCP_OPT_END = 0,     /* RFC 9293 3.2 */
	TCP_OPT_NOP = 1,     /* RFC 9293 3.2 */
	TCP_OPT_MSS = 2,     /* RFC 9293 3.7.1 */
	TCP_OPT_WSCALE = 3,  /* RFC 7323 2.2 */
	TCP_OPT_SACK_OK = 4, /* RFC 2018 2 */
	TCP_OPT_SACK = 5,    /* RFC 2018 3 */
};

/* Lengths, kind and length bytes included */
#define TCP_OPT_MSS_LEN     4
#define TCP_OPT_WSCALE_LEN  3
#define TCP_OPT_SACK_OK_LEN 2

/* Blocks of one SACK option: what forty bytes hold (RFC 2018 3) */
#define TCP_SACK_BLOCKS 4

/* One of them, big endian: first byte, and the one behind the last */
struct tcp_sack_block {
	uint32_t left, right;
};
_Static_assert(sizeof(struct tcp_sack_block) == 8, "RFC 2018 3");

#define TCP_WSCALE_MAX 14 /* RFC 7323 2.3 */

/* MSS if the option is missing: RFC 9293 3.7.1; IPv6: 1280 - 60 */
#define TCP_MSS_DEFAULT4 536
#define TCP_MSS_DEFAULT6 1220

#endif /* WIRE_TCP_OPT_H */
