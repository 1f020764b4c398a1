/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tell the service manager that started us that all is ready */
#ifndef LIB_NOTIFY_H
#define LIB_NOTIFY_H

/**
 * notify_open() - Connect to the socket of a service manager
 * @path:	Value of $NOTIFY_SOCKET: an absolute path, or a name in the
 *		abstract namespace with '@' for its leading NUL
 *
 * To be called while the path can still be reached.
 *
 * Return: descriptor for notify_ready(), or -errno: -EAFNOSUPPORT if it is
 *	   neither a path nor a name, -ENAMETOOLONG
 */
int notify_open(const char *path);

/**
 * notify_ready() - Send READY=1, see sd_notify(3)
 * @fd:		From notify_open(), closed here
 *
 * Never waits for a manager that does not read.
 *
 * Return: 0, or -errno
 */
int notify_ready(int fd);

#endif /* LIB_NOTIFY_H */
