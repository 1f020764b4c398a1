/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domain names from text to the wire (RFC 1035 3.1), compressed or not */
#ifndef LIB_DNSNAME_H
#define LIB_DNSNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Suffixes remembered for compression: more are simply written out */
#define DNSNAME_SUFFIXES 64

/**
 * struct dnsname_writer - A run of names in a buffer
 * @buf:	Buffer; compression pointers count from its begin
 * @room:	Its size, bytes
 * @len:	Bytes written so far
 * @compress:	Replace repeated suffixes by pointers (RFC 1035 4.1.4)
 * @n:		Suffixes in @suffix
 * @suffix:	Text of a suffix, its length, and where it was written
 */
struct dnsname_writer {
	uint8_t *buf;
	size_t room, len;
	bool compress;
	unsigned n;
	struct {
		const char *text;
		size_t len;
		uint16_t off;
	} suffix[DNSNAME_SUFFIXES];
};

/**
 * dnsname_init() - Start a run of names
 * @w:		Filled
 * @buf:	Buffer
 * @room:	Its size, bytes
 * @compress:	Compress
 */
void dnsname_init(struct dnsname_writer *w, void *buf, size_t room,
		  bool compress);

/**
 * dnsname_add() - Append one name, all of it or nothing
 * @w:		Run of names
 * @name:	Text, one final dot allowed; borrowed as long as @w is in use
 *
 * Return: false if it is no name (empty or overlong labels) or does not fit
 */
bool dnsname_add(struct dnsname_writer *w, const char *name);

#endif /* LIB_DNSNAME_H */
