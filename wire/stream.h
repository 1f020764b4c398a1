/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames on a stream socket, as QEMU's stream netdev writes them */
#ifndef WIRE_STREAM_H
#define WIRE_STREAM_H

#include <stdint.h>

/* Before each Ethernet frame stands its length, 32 bits, network order, without
 * the length itself. Source: QEMU documentation, -netdev stream and socket.
 */
struct stream_hdr {
	uint32_t len;
};
_Static_assert(sizeof(struct stream_hdr) == 4, "32-bit length");

#endif /* WIRE_STREAM_H */
