/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzing of what is found out about bound ports: an answer of sock_diag, or
 * the text of /proc/net/sockstat, as the first byte says
 */
#include <stdlib.h>
#include <string.h>

#include "fwd.h"
#include "fwd/scan.h"
#include "nl/diag.h"

#define SOCKSTAT 1 /* text */
#define SEQ      7 /* of the request, as in the unit test */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned sink;

static void tell(void *arg, const struct nl_bound *b)
{
	(void)arg;
	if (!b->port)
		abort();
	sink += scan_reached(PIF_HOST, false, &b->addr);
	sink += scan_reached(PIF_SPLICE, false, &b->addr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = { "TCP: inuse ", "UDP: inuse ",
					    "TCP6: inuse ", "UDP6: inuse " };
	char *copy;
	size_t i;
	int rc;

	if (!size)
		return 0;
	copy = malloc(size); /* one byte more than the rest of the input */
	memcpy(copy, data + 1, size - 1);
	if (data[0] & SOCKSTAT) {
		copy[size - 1] = '\0';
		for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			sink += scan_inuse(copy, keys[i]);
	} else {
		copy = realloc(copy, size > 1 ? size - 1 : 1);
		rc = nl_diag_take(copy, size - 1, SEQ, tell, NULL);
		if (rc > 1 || rc < -4095)
			abort();
	}
	free(copy);
	return 0;
}
