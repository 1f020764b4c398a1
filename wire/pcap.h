/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Classic capture file format, version 2.4 (pcap-savefile(5)) */
#ifndef WIRE_PCAP_H
#define WIRE_PCAP_H

#include <assert.h>
#include <stdint.h>

#define PCAP_MAGIC         0xa1b2c3d4 /* our byte order, microseconds */
#define PCAP_VERSION_MAJOR 2
#define PCAP_VERSION_MINOR 4
#define PCAP_SNAPLEN       65535 /* most bytes of a frame in the file */
#define PCAP_LINK_ETHERNET 1     /* LINKTYPE_ETHERNET */

struct pcap_file_header {
	uint32_t magic;
	uint16_t version_major;
	uint16_t version_minor;
	uint32_t zone;    /* always 0 */
	uint32_t sigfigs; /* always 0 */
	uint32_t snaplen;
	uint32_t linktype;
};

struct pcap_record_header {
	uint32_t sec;
	uint32_t usec;
	uint32_t caplen; /* bytes that follow */
	uint32_t len;    /* bytes the frame had */
};

static_assert(sizeof(struct pcap_file_header) == 24, "pcap-savefile(5)");
static_assert(sizeof(struct pcap_record_header) == 16, "pcap-savefile(5)");

#endif /* WIRE_PCAP_H */
