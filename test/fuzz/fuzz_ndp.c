/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzing of neighbour discovery */

#include "ndp.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ndp_opts opts = { .no_ndp = false };
	static struct ndp ndp = {
		.tap = &tap, .loop = &loop, .guest = &guest, .opts = &opts
	};

	fuzz_init();
	fuzz_l4(ndp_tap_input, &ndp, IPPROTO_ICMPV6, "fe80::15",
		"ff02::1:ff00:1", "fe80::1", data, size);
	return 0;
}
