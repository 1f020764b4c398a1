/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tap backend in memory */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap/backend.h"
#include "test/fake/tap_mem.h"
#include "test/fuzz/seed.h"

struct tap_mem tap_mem;

static uint8_t arena[(size_t)BATCH_FRAMES * 66000];

void tap_mem_reset(void)
{
	while (tap_mem.n)
		free(tap_mem.frame[--tap_mem.n]);
}

/* Each frame as it is: its length in host order, then its bytes. Those whose
 * checksum is left to the other end are left out.
 */
static void dump(const uint8_t *frame, size_t len)
{
	const char *path = getenv("TAP_MEM_DUMP");
	uint32_t n = (uint32_t)len;
	FILE *f;

	if (!path || tap_mem.offload)
		return;
	f = fopen(path, "a");
	if (!f) /* tests run out of descriptors on purpose */
		return;
	fwrite(&n, sizeof(n), 1, f);
	fwrite(frame, len, 1, f);
	fclose(f);
}

static unsigned mem_reserve(struct tap *tap, unsigned want, size_t hdrlen,
			    size_t len, struct batch *b)
{
	(void)tap;
	if (tap_mem.blocked)
		return 0;
	tap_lay_out(b, arena, 0, want, hdrlen, len);
	return want;
}

static void mem_submit(struct tap *tap, struct batch *b, unsigned n)
{
	unsigned i, j;

	(void)tap;
	for (i = 0; i < n; i++) {
		struct frame *f = &b->frame[i];
		size_t left, done;
		uint8_t *copy;

		assert(tap_mem.n < TAP_MEM_FRAMES);
		if (!tap_mem.offload)
			frame_finish_csum(f);
		copy = malloc(f->len);
		assert(copy);
		done = f->len < f->hdrlen ? f->len : f->hdrlen;
		memcpy(copy, f->hdr, done);
		for (j = 0, left = f->len - done; left; j++) {
			size_t part = f->iov[j].iov_len;

			if (f->len <= ETH_MIN_LEN || part > left)
				part = left; /* padding lies behind */
			memcpy(copy + done, f->iov[j].iov_base, part);
			done += part;
			left -= part;
		}
		dump(copy, f->len);
		tap_mem.frame[tap_mem.n] = copy;
		tap_mem.len[tap_mem.n] = f->len;
		tap_mem.gso_size[tap_mem.n] = f->gso_size;
		tap_mem.n++;
	}
}

/* A frame as an input of fuzzers: test/fuzz/fuzz_ether.c wants its recipe */
static void seed(const uint8_t *frame, size_t len)
{
	enum { RAW = 1, SPLIT = 40, UNIT = 8 };
	const uint8_t recipe[UNIT] = {
		RAW, SPLIT, [7] = (uint8_t)((len + UNIT - 1) / UNIT)
	};
	const size_t l2 = sizeof(struct ether_header);
	struct ether_header eh;

	if (len > UINT8_MAX * UNIT || len < l2)
		return;
	memcpy(&eh, frame, l2);
	fuzz_seed("ether", recipe, sizeof(recipe), frame, len);
	if (eh.ether_type == htons(ETHERTYPE_ARP))
		fuzz_seed("arp", "", 0, frame + l2, len - l2);
}

void tap_mem_inject(struct tap *tap, const void *frame, size_t len)
{
	struct iovec iov = { .iov_len = len };
	struct tap_rx rx = { .iov = &iov, .iovcnt = 1, .len = len };
	/* exactly as long, so that a sanitizer sees every byte beyond it */
	uint8_t *copy = malloc(len ? len : 1);

	assert(copy);
	seed(frame, len);
	memcpy(copy, frame, len);
	iov.iov_base = copy;
	tap_input(tap, &rx, 1);
	free(copy);
}

const struct tap_ops tap_mem_ops = {
	.name = "mem",
	.reserve = mem_reserve,
	.submit = mem_submit,
};
