/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors: whole reads and writes, small files, closing in due time */

#include "lib/fdio.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		len -= (size_t)n;
	}

	return 0;
}

ssize_t read_all(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (!n)
			break;
		done += (size_t)n;
	}

	return (ssize_t)done;
}

unsigned long read_file_uint(const char *path, unsigned index,
			     unsigned long def)
{
	unsigned long value = def;
	char buf[256], *p, *end;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return def;
	n = read_all(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return def;
	buf[n] = '\0';

	for (p = buf;; p = end) {
		while (isspace((unsigned char)*p))
			p++;
		if (!isdigit((unsigned char)*p))
			return def;
		errno = 0;
		value = strtoul(p, &end, 10);
		if (errno)
			return def;
		if (!index--)
			return value;
	}
}

int write_file(const char *path, const char *text)
{
	size_t len = strlen(text);
	int fd, rc = 0;
	ssize_t n;

	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	/* In one call: /proc files take each write as a value of its own */
	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		rc = -errno;
	else if ((size_t)n != len)
		rc = -EIO;
	if (close(fd) && !rc)
		rc = -errno;
	return rc;
}

/* Sockets of close_later() */
static int later[2] = { -1, -1 };

int close_later_init(void)
{
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, later))
		return -errno;
	return 0;
}

/* #syscalls:pasta sendmsg close */

void close_later(int fd)
{
	union {
		char buf[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
	int files[2] = { later[1], fd };

	if (later[0] >= 0) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(files));
		memcpy(CMSG_DATA(c), files, sizeof(files));
		/* If it fails, it is closed as usual */
		(void)!sendmsg(later[0], &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
		close(later[1]);
		close(later[0]);
		later[0] = later[1] = -1;
	}
	close(fd);
}
