/* SPDX-License-Identifier: GPL-2.0-or-later */
/* errno texts of our own: strerror() may allocate, which a seccomp filter
 * that knows of no heap does not forgive
 */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/log.h"

/* Those a socket, a file, a namespace or netlink can give us (errno(3)) */
#define ERRORS(X)                                                     \
	X(0, "Success")                                               \
	X(EPERM, "Operation not permitted")                           \
	X(ENOENT, "No such file or directory")                        \
	X(ESRCH, "No such process")                                   \
	X(EINTR, "Interrupted system call")                           \
	X(EIO, "Input/output error")                                  \
	X(ENXIO, "No such device or address")                         \
	X(E2BIG, "Argument list too long")                            \
	X(ENOEXEC, "Exec format error")                               \
	X(EBADF, "Bad file descriptor")                               \
	X(ECHILD, "No child processes")                               \
	X(EAGAIN, "Resource temporarily unavailable")                 \
	X(ENOMEM, "Cannot allocate memory")                           \
	X(EACCES, "Permission denied")                                \
	X(EFAULT, "Bad address")                                      \
	X(EBUSY, "Device or resource busy")                           \
	X(EEXIST, "File exists")                                      \
	X(EXDEV, "Invalid cross-device link")                         \
	X(ENODEV, "No such device")                                   \
	X(ENOTDIR, "Not a directory")                                 \
	X(EISDIR, "Is a directory")                                   \
	X(EINVAL, "Invalid argument")                                 \
	X(ENFILE, "Too many open files in system")                    \
	X(EMFILE, "Too many open files")                              \
	X(ENOTTY, "Inappropriate ioctl for device")                   \
	X(ETXTBSY, "Text file busy")                                  \
	X(EFBIG, "File too large")                                    \
	X(ENOSPC, "No space left on device")                          \
	X(ESPIPE, "Illegal seek")                                     \
	X(EROFS, "Read-only file system")                             \
	X(EMLINK, "Too many links")                                   \
	X(EPIPE, "Broken pipe")                                       \
	X(EDOM, "Numerical argument out of domain")                   \
	X(ERANGE, "Numerical result out of range")                    \
	X(EDEADLK, "Resource deadlock avoided")                       \
	X(ENAMETOOLONG, "File name too long")                         \
	X(ENOLCK, "No locks available")                               \
	X(ENOSYS, "Function not implemented")                         \
	X(ENOTEMPTY, "Directory not empty")                           \
	X(ELOOP, "Too many levels of symbolic links")                 \
	X(ENODATA, "No data available")                               \
	X(ETIME, "Timer expired")                                     \
	X(EPROTO, "Protocol error")                                   \
	X(EBADMSG, "Bad message")                                     \
	X(EOVERFLOW, "Value too large for defined data type")         \
	X(EILSEQ, "Invalid byte sequence")                            \
	X(EUSERS, "Too many users")                                   \
	X(ENOTSOCK, "Socket operation on non-socket")                 \
	X(EDESTADDRREQ, "Destination address required")               \
	X(EMSGSIZE, "Message too long")                               \
	X(EPROTOTYPE, "Protocol wrong type for socket")               \
	X(ENOPROTOOPT, "Protocol not available")                      \
	X(EPROTONOSUPPORT, "Protocol not supported")                  \
	X(ESOCKTNOSUPPORT, "Socket type not supported")               \
	X(EOPNOTSUPP, "Operation not supported")                      \
	X(EPFNOSUPPORT, "Protocol family not supported")              \
	X(EAFNOSUPPORT, "Address family not supported by protocol")   \
	X(EADDRINUSE, "Address already in use")                       \
	X(EADDRNOTAVAIL, "Cannot assign requested address")           \
	X(ENETDOWN, "Network is down")                                \
	X(ENETUNREACH, "Network is unreachable")                      \
	X(ENETRESET, "Network dropped connection on reset")           \
	X(ECONNABORTED, "Software caused connection abort")           \
	X(ECONNRESET, "Connection reset by peer")                     \
	X(ENOBUFS, "No buffer space available")                       \
	X(EISCONN, "Transport endpoint is already connected")         \
	X(ENOTCONN, "Transport endpoint is not connected")            \
	X(ESHUTDOWN, "Cannot send after transport endpoint shutdown") \
	X(ETOOMANYREFS, "Too many references: cannot splice")         \
	X(ETIMEDOUT, "Connection timed out")                          \
	X(ECONNREFUSED, "Connection refused")                         \
	X(EHOSTDOWN, "Host is down")                                  \
	X(EHOSTUNREACH, "No route to host")                           \
	X(EALREADY, "Operation already in progress")                  \
	X(EINPROGRESS, "Operation now in progress")                   \
	X(ESTALE, "Stale file handle")                                \
	X(EDQUOT, "Disk quota exceeded")                              \
	X(ECANCELED, "Operation canceled")

/* Texts one behind the other, found by offsets: a table of pointers takes four
 * times as much, and has to be relocated
 */
#define TEXT_MEMBER(number, text) char of_##number[sizeof(text)];
#define TEXT_VALUE(number, text)  text,
#define TEXT_OFFSET(number, text) \
	[number] = offsetof(struct texts, of_##number) + 1,

static const struct texts {
	ERRORS(TEXT_MEMBER)
} texts = { ERRORS(TEXT_VALUE) };

/* Where the text of a number is, plus 1; 0: there is none */
static const uint16_t offsets[] = { ERRORS(TEXT_OFFSET) };

const char *errstr(int err)
{
	static char unlisted[sizeof("error -2147483648")];
	unsigned n = err < 0 ? 0U - (unsigned)err : (unsigned)err;

	if (n < sizeof(offsets) / sizeof(offsets[0]) && offsets[n])
		return (const char *)&texts + offsets[n] - 1;
	snprintf(unlisted, sizeof(unlisted), "error %u", n);
	return unlisted;
}
