/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tell the service manager that started us that all is ready
 *
 * The protocol is one datagram of NAME=VALUE lines to an AF_UNIX socket named
 * in the environment. Source: sd_notify(3), "Standalone Implementations".
 *
 * #syscalls write close
 */

#include "lib/notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char notify_text[] = "READY=1";

int notify_open(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd, rc;

	if ((*path != '/' && *path != '@') || len < 2)
		return -EAFNOSUPPORT;
	/* A path ends with NUL, an abstract name with its length: unix(7) */
	if (len > sizeof(sun.sun_path) - (*path == '/'))
		return -ENAMETOOLONG;
	memcpy(sun.sun_path, path, len);
	if (*path == '@')
		*sun.sun_path = '\0';

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	len += offsetof(struct sockaddr_un, sun_path) + (*path == '/');
	if (connect(fd, (const struct sockaddr *)&sun, (socklen_t)len)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

int notify_ready(int fd)
{
	ssize_t n = write(fd, notify_text, strlen(notify_text));
	int rc = n < 0 ? -errno : 0;

	close(fd);
	return rc;
}
