/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole reads and writes on descriptors, interrupted calls repeated */
#ifndef LIB_FDIO_H
#define LIB_FDIO_H

#include <stddef.h>
#include <sys/types.h>

/**
 * write_all() - Write all bytes to a blocking descriptor
 * @fd:		Descriptor
 * @buf:	Bytes
 * @len:	Number of bytes
 *
 * Return: 0, or -errno
 */
int write_all(int fd, const void *buf, size_t len);

/**
 * read_all() - Read until the buffer is full or the input ends
 * @fd:		Descriptor, blocking
 * @buf:	Filled
 * @len:	Size of @buf
 *
 * Return: bytes read, fewer than @len only at the end; or -errno
 */
ssize_t read_all(int fd, void *buf, size_t len);

/**
 * read_file_uint() - A number from a one-line file such as a sysctl
 * @path:	File
 * @index:	Which of the blank-separated numbers, from 0
 * @def:	Value if the file or the number is not there
 */
unsigned long read_file_uint(const char *path, unsigned index,
			     unsigned long def);

/**
 * write_file() - Replace what a small file holds (sysctl, id map)
 * @path:	File, must exist
 * @text:	String to write in one call
 *
 * Return: 0, or -errno
 */
int write_file(const char *path, const char *text);

#endif /* LIB_FDIO_H */
