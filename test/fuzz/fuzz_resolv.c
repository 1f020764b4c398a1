/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzing of resolv.conf, and of what the guest is then told
 *
 * The first byte chooses options; the rest is the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf.h"
#include "conf/resolv.h"
#include "lib/dnsname.h"

#define V4      1
#define V6      2
#define NO_MAP  4
#define FORWARD 8

#define NAME_WIRE_MAX 255 /* RFC 1035 2.3.4 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static union inany_addr addr(const char *text)
{
	union inany_addr a;

	if (inany_pton(text, &a))
		abort();
	return a;
}

static void check_list(const union inany_addr *list, unsigned n, sa_family_t af)
{
	unsigned i, j;

	if (n > GUEST_DNS_MAX)
		abort();
	for (i = 0; i < n; i++) {
		if (inany_af(&list[i]) != af || !inany_is_unicast(&list[i]))
			abort();
		for (j = 0; j < i; j++)
			if (inany_equals(&list[i], &list[j]))
				abort();
	}
}

/* Names taken have to fit into DHCP and router advertisements */
static void check_search(char search[][DOMAIN_MAX], unsigned n)
{
	uint8_t wire[NAME_WIRE_MAX];
	struct dnsname_writer w;
	unsigned i;

	if (n > GUEST_SEARCH_MAX)
		abort();
	for (i = 0; i < n; i++) {
		dnsname_init(&w, wire, sizeof(wire), false);
		if (!memchr(search[i], 0, DOMAIN_MAX) ||
		    !dnsname_add(&w, search[i]))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[32];
	static struct conf c;
	struct guest_offer *offer = &c.guest.offer;
	static int fd = -1;
	struct resolv r;
	unsigned i;

	if (!size)
		return 0;
	if (fd < 0) {
		fd = memfd_create("resolv.conf", 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) ||
	    pwrite(fd, data + 1, size - 1, 0) != (ssize_t)size - 1 ||
	    resolv_read(&r, path))
		abort();
	check_list(r.dns4, r.n4, AF_INET);
	check_list(r.dns6, r.n6, AF_INET6);
	check_search(r.search, r.nsearch);

	memset(&c, 0, sizeof(c));
	c.guest.v4.on = data[0] & V4;
	c.guest.v6.on = data[0] & V6;
	c.fwd.v4.host_loopback = c.fwd.v4.dns_match = c.fwd.v4.dns_host =
		inany_any4;
	if (!(data[0] & NO_MAP)) {
		c.fwd.v4.host_loopback = addr("192.0.2.1");
		c.fwd.v6.host_loopback = addr("fe80::1");
	}
	if (data[0] & FORWARD)
		c.fwd.v4.dns_match = addr("192.0.2.53");
	conf_dns(&c, &r);
	check_list(offer->dns4, offer->ndns4, AF_INET);
	check_list(offer->dns6, offer->ndns6, AF_INET6);
	check_search(offer->search, offer->nsearch);
	/* A guest cannot reach the host's loopback by that name */
	for (i = 0; i < offer->ndns4; i++)
		if (inany_is_loopback(&offer->dns4[i]))
			abort();
	for (i = 0; i < offer->ndns6; i++)
		if (inany_is_loopback(&offer->dns6[i]))
			abort();
	return 0;
}
