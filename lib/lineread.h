/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file line by line through a fixed buffer */
#ifndef LIB_LINEREAD_H
#define LIB_LINEREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct lineread {
	int fd;
	size_t start, end; /* unread bytes of buf */
	bool eof, skip;    /* at the end; inside a line too long */
	char buf[2048];
};

/**
 * lineread_init() - Start reading lines
 * @lr:		State
 * @fd:		Descriptor, stays the caller's
 */
void lineread_init(struct lineread *lr, int fd);

/**
 * lineread_next() - The next line, newline replaced by NUL
 * @lr:		State
 * @line:	Filled, valid until the next call
 *
 * A line longer than the buffer is cut: its rest is passed over.
 *
 * Return: length, 0 for an empty line, -ENODATA at the end, or -errno
 */
ssize_t lineread_next(struct lineread *lr, char **line);

#endif /* LIB_LINEREAD_H */
