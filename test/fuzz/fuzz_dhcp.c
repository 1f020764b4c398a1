/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzing of the DHCPv4 server */

#include "dhcp.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dhcp_opts opts = { .no_dns = false };
	static struct dhcp dhcp = { .tap = &tap,
				    .guest = &guest,
				    .opts = &opts };

	fuzz_init();
	fuzz_l4(dhcp_tap_input, &dhcp, IPPROTO_UDP, "192.0.2.15",
		"255.255.255.255", "198.51.100.1", data, size);
	return 0;
}
