/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capture of tap frames to a file, classic pcap 2.4 */
#ifndef PCAP_H
#define PCAP_H

#include <stddef.h>
#include <sys/uio.h>

struct pcap {
	int fd; /* -1: none */
};

/**
 * pcap_open() - Create the capture file
 * @pcap:	Filled
 * @path:	File, truncated, mode 0600
 *
 * Return: 0, or -errno after a message; the caller goes on without
 */
int pcap_open(struct pcap *pcap, const char *path);

/**
 * pcap_write() - Write one frame with the present time
 * @pcap:	Capture
 * @iov:	Frame, from the Ethernet header on
 * @iovcnt:	Number of buffers
 * @len:	Bytes of it
 */
void pcap_write(struct pcap *pcap, const struct iovec *iov, size_t iovcnt,
		size_t len);

#endif /* PCAP_H */
