/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeds for fuzzers: what unit tests feed, written down as inputs
 *
 * Helpers of unit tests call fuzz_seed(). It does nothing unless FUZZ_CORPUS names
 * a directory, below which each fuzzer has its own: "make fuzz" does that.
 */
#ifndef TEST_FUZZ_SEED_H
#define TEST_FUZZ_SEED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FUZZ_SEED_MAX 4096 /* bytes; longer ones are left out */
#define FUZZ_SEEDS    500  /* of one program: some feed noise in a loop */

/* FNV-1a, so that the same input is the same file */
static inline uint64_t fuzz_hash(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3;
	return h;
}

/**
 * fuzz_seed() - Write an input
 * @target:	Fuzzer, without "fuzz_"
 * @head:	What it wants before the data: choices of the fuzzer
 * @hlen:	Bytes of it
 * @data:	What a unit test feeds
 * @len:	Bytes of it
 */
static inline void fuzz_seed(const char *target, const void *head, size_t hlen,
			     const void *data, size_t len)
{
	const char *dir = getenv("FUZZ_CORPUS");
	static unsigned n;
	char path[1024];
	uint64_t h;
	FILE *f;

	if (!dir || len > FUZZ_SEED_MAX || n++ >= FUZZ_SEEDS)
		return;
	h = fuzz_hash(fuzz_hash(0xcbf29ce484222325, head, hlen), data, len);
	snprintf(path, sizeof(path), "%s/%s", dir, target);
	mkdir(path, S_IRWXU | S_IRWXG | S_IRWXO);
	snprintf(path, sizeof(path), "%s/%s/%016llx", dir, target,
		 (unsigned long long)h);
	f = fopen(path, "wb");
	if (!f || fwrite(head, 1, hlen, f) != hlen ||
	    fwrite(data, 1, len, f) != len || fclose(f)) {
		perror(path);
		exit(EXIT_FAILURE);
	}
}

#endif /* TEST_FUZZ_SEED_H */
