/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors: whole reads and writes, small files, closing in due time */
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

/**
 * close_later_init() - Have what close_later() takes, while it can be had
 *
 * Return: 0, or -errno: then files are closed as usual
 */
int close_later_init(void);

/**
 * close_later() - Have the kernel close a file once we are gone
 * @fd:		Descriptor, closed
 *
 * Once after each close_later_init(). The last close of some files takes long:
 * that of a tap device waits for all processors, and for whoever changes network
 * devices at that moment. Here it happens in the kernel's own time, usually
 * within milliseconds, while this process ends. The file is handed to a UNIX socket which waits in its own
 * queue, so nobody can ever receive it: the kernel's collector of such sockets
 * closes both, since Linux 6.8 in a thread of its own, before at our end as if
 * nothing had been done (unix(7), SCM_RIGHTS).
 */
void close_later(int fd);

#endif /* LIB_FDIO_H */
