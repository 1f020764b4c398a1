/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP options of a SYN: parse and build */
#include "tcp/opt.h"
#include "wire/tcp_opt.h"

void tcp_opt_parse(const uint8_t *p, size_t len, struct tcp_syn_opts *o)
{
	o->mss = 0;
	o->wscale = -1;
	o->sack_ok = false;
	while (len) {
		size_t optlen;

		if (p[0] == TCP_OPT_END)
			return;
		if (p[0] == TCP_OPT_NOP) {
			p++;
			len--;
			continue;
		}
		if (len < 2 || p[1] < 2 || p[1] > len)
			return;
		optlen = p[1];
		if (p[0] == TCP_OPT_MSS && optlen == TCP_OPT_MSS_LEN)
			o->mss = (uint16_t)(p[2] << 8 | p[3]);
		/* Larger shifts count as the largest (RFC 7323 2.3) */
		if (p[0] == TCP_OPT_WSCALE && optlen == TCP_OPT_WSCALE_LEN)
			o->wscale = p[2] > TCP_WSCALE_MAX ? TCP_WSCALE_MAX
							  : (int8_t)p[2];
		if (p[0] == TCP_OPT_SACK_OK && optlen == TCP_OPT_SACK_OK_LEN)
			o->sack_ok = true;
		p += optlen;
		len -= optlen;
	}
}

size_t tcp_opt_build(uint8_t *p, const struct tcp_syn_opts *o)
{
	uint8_t *start = p;

	*p++ = TCP_OPT_MSS;
	*p++ = TCP_OPT_MSS_LEN;
	*p++ = (uint8_t)(o->mss >> 8);
	*p++ = (uint8_t)o->mss;
	if (o->wscale >= 0) {
		*p++ = TCP_OPT_NOP;
		*p++ = TCP_OPT_WSCALE;
		*p++ = TCP_OPT_WSCALE_LEN;
		*p++ = (uint8_t)o->wscale;
	}
	if (o->sack_ok) {
		*p++ = TCP_OPT_NOP;
		*p++ = TCP_OPT_NOP;
		*p++ = TCP_OPT_SACK_OK;
		*p++ = TCP_OPT_SACK_OK_LEN;
	}
	return (size_t)(p - start);
}
