/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tests of UDP share: fakes of the modules below, buffers, an assertion */
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

static uint8_t big[65536], got[65536];

static void assert_addr(const union inany_addr *a, const char *text)
{
	char buf[INANY_STRLEN];

	assert_string_equal(inany_ntop(a, buf), text);
}

#endif /* UNIT_UDP_H */
