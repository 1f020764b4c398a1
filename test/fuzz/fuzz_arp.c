/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzing of the ARP responder */

#include "arp.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arp arp = { .tap = &tap, .guest = &guest };
	static const uint8_t smac[6] = { 0x52 };
	uint8_t *copy = malloc(size + !size);
	struct iovec iov = { copy, size };

	fuzz_init();
	memcpy(copy, data, size);
	arp_input(&arp, smac, iov_tail_init(&iov, 1, 0));
	tap_mem_reset();
	free(copy);
	return 0;
}
