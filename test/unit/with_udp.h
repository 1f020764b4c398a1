/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tests of UDP share: fakes of the modules below, a buffer, shorthands */
#ifndef UNIT_UDP_H
#define UNIT_UDP_H

#include "pcap.h"
#include "test/fake/udp_env.h"

/* The module under test captures nothing */
void pcap_write(struct pcap *p, const struct iovec *iov, size_t cnt, size_t len)
{
	(void)p, (void)iov, (void)cnt, (void)len;
}

int netns_call(struct netns *ns, int (*fn)(void *arg), void *arg)
{
	return udp_env_netns_call(ns, fn, arg);
}

static uint8_t got[65536]; /* what a socket received */

static inline void assert_addr(const union inany_addr *a, const char *text)
{
	char buf[INANY_STRLEN];

	assert_string_equal(inany_ntop(a, buf), text);
}

/* Bind what rules there are */
static inline void listen_all(void)
{
	assert_int_equal(fwd_listen(&udp_env.fwd, PIF_HOST), 0);
	assert_int_equal(fwd_listen(&udp_env.fwd, PIF_SPLICE), 0);
}

#endif /* UNIT_UDP_H */
