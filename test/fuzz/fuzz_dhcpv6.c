/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzing of the DHCPv6 server */

#include "dhcpv6.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dhcp_opts opts = { .no_dns = false };
	static struct dhcpv6 dhcpv6 = { .tap = &tap,
					.guest = &guest,
					.opts = &opts };

	fuzz_init();
	dhcpv6_init(&dhcpv6);
	fuzz_l4(dhcpv6_tap_input, &dhcpv6, IPPROTO_UDP, "fe80::15", "ff02::1:2",
		"fe80::1", data, size);
	return 0;
}
