/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tap backend in memory: tests put frames in and look at those that come out
 *
 * TAP_MEM_DUMP=FILE in the environment appends all that come out to a file, for
 * test_scapy.c.
 */
#ifndef FAKE_TAP_MEM_H
#define FAKE_TAP_MEM_H

#include "tap.h"

#define TAP_MEM_FRAMES 512

/**
 * struct tap_mem - The link, and what came out of it
 * @n:		Frames submitted so far and kept
 * @frame:	Their bytes; checksums completed unless @offload
 * @len:	Their lengths
 * @gso_size:	As submitted
 * @blocked:	Refuse to lend frames
 * @offload:	Pretend to take frames to be cut (set facts as well)
 */
struct tap_mem {
	unsigned n;
	uint8_t *frame[TAP_MEM_FRAMES];
	size_t len[TAP_MEM_FRAMES];
	uint16_t gso_size[TAP_MEM_FRAMES];
	bool blocked;
	bool offload;
};

extern struct tap_mem tap_mem;
extern const struct tap_ops tap_mem_ops;

/**
 * tap_mem_reset() - Forget all frames (and free them)
 */
void tap_mem_reset(void);

/**
 * tap_mem_inject() - A frame from the guest
 * @tap:	Tap with tap_mem_ops
 * @frame:	Bytes from the Ethernet header on
 * @len:	How many
 */
void tap_mem_inject(struct tap *tap, const void *frame, size_t len);

#endif /* FAKE_TAP_MEM_H */
