/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file line by line through a fixed buffer */

#include "lib/lineread.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void lineread_init(struct lineread *lr, int fd)
{
	lr->fd = fd;
	lr->start = lr->end = 0;
	lr->eof = lr->skip = false;
}

/* Make room and read some more; one byte stays free for a NUL
 *
 * Return: bytes read, 0 at the end, or -errno
 */
static ssize_t lineread_fill(struct lineread *lr)
{
	ssize_t n;

	memmove(lr->buf, lr->buf + lr->start, lr->end - lr->start);
	lr->end -= lr->start;
	lr->start = 0;

	do
		n = read(lr->fd, lr->buf + lr->end,
			 sizeof(lr->buf) - 1 - lr->end);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;

	lr->end += (size_t)n;
	if (!n)
		lr->eof = true;
	return n;
}

/* Hand out @len bytes as a line and pass @pass */
static ssize_t lineread_take(struct lineread *lr, char **line, size_t len,
			     size_t pass)
{
	*line = lr->buf + lr->start;
	(*line)[len] = '\0';
	lr->start += pass;
	return (ssize_t)len;
}

ssize_t lineread_next(struct lineread *lr, char **line)
{
	for (;;) {
		size_t len = lr->end - lr->start;
		const char *nl = memchr(lr->buf + lr->start, '\n', len);
		ssize_t n;

		if (nl && lr->skip) {
			lr->start = (size_t)(nl + 1 - lr->buf);
			lr->skip = false;
			continue;
		}
		if (nl) {
			len = (size_t)(nl - (lr->buf + lr->start));
			return lineread_take(lr, line, len, len + 1);
		}
		if (lr->skip)
			lr->start = lr->end; /* more of the long line */
		else if (len == sizeof(lr->buf) - 1) {
			lr->skip = true;
			return lineread_take(lr, line, len, len);
		} else if (lr->eof && len)
			return lineread_take(lr, line, len, len);

		if (lr->eof)
			return -ENODATA;
		n = lineread_fill(lr);
		if (n < 0)
			return n;
	}
}
