/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages to stderr, the system log or a file
 *
 * Until log_background(), messages go to stderr, where whoever started us
 * looks for what went wrong. After that they go to the system log: one
 * datagram each to /dev/log, without the C library's syslog(), which would
 * open files behind our back. A log file takes the place of the system log,
 * and has everything from the start.
 *
 * A log file that is full loses about the oldest 30 % of it, at whole lines;
 * its first line, which tells who writes it, is kept and marked.
 *
 * #syscalls write sendmsg lseek pread64 pwrite64 ftruncate
 * #syscalls clock_gettime(0=CLOCK_MONOTONIC)
 */

#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/fdio.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

#define LOG_TEXT_MAX   1024 /* of a message, with its NUL */
#define LOG_LINE_MAX   1152 /* the same with time, level, newline */
#define LOG_HEAD_MAX   1024 /* first line of a log file */
#define LOG_DROP_PCT   30   /* of a full log file */
#define LOG_ROTATE_MAX 4
#define LOG_SOCKET     "/dev/log"

static struct {
	const char *ident;
	int level;
	int file_fd;      /* log file, -1: none */
	int sock_fd;      /* /dev/log, -1: none */
	bool background;  /* stderr is gone */
	size_t file_max;  /* bytes, 0: no limit */
	size_t file_size; /* bytes now in the log file */
	const char *left; /* text that waits for standard error */
	size_t left_len;
	bool left_sock; /* or for the system log */
	struct timespec start;
} sink = { .ident = "passt", .level = LOG_INFO, .file_fd = -1, .sock_fd = -1 };

static char file_head[LOG_HEAD_MAX]; /* first line of the log file */

/* By LOG_ERR.. LOG_TRACE */
static const char *const level_name[] = {
	[LOG_EMERG] = "EMERG",     [LOG_ALERT] = "ALERT",
	[LOG_CRIT] = "CRIT",       [LOG_ERR] = "ERROR",
	[LOG_WARNING] = "WARNING", [LOG_NOTICE] = "NOTICE",
	[LOG_INFO] = "INFO",       [LOG_DEBUG] = "DEBUG",
	[LOG_TRACE] = "TRACE",
};

/* Time since the first message or log_open(), monotonic */
static struct timespec log_uptime(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!sink.start.tv_sec && !sink.start.tv_nsec)
		sink.start = now;

	now.tv_sec -= sink.start.tv_sec;
	now.tv_nsec -= sink.start.tv_nsec;
	if (now.tv_nsec < 0) {
		now.tv_sec--;
		now.tv_nsec += 1000000000L;
	}
	return now;
}

/* First line of the log file: program, version, executable, PID */
static size_t log_head(char *dst, size_t max, const char *note)
{
	int n = snprintf(dst, max, "%s%s\n", file_head, note);

	return n < 0 ? 0 : (size_t)n < max ? (size_t)n : max - 1;
}

/* Offset of the first line that begins after @off, the end if there is none */
static off_t log_line_after(int fd, off_t off, off_t end)
{
	char buf[512];
	ssize_t n;

	while (off < end) {
		const char *nl;

		n = pread(fd, buf, sizeof(buf), off);
		if (n <= 0)
			break;
		nl = memchr(buf, '\n', (size_t)n);
		if (nl)
			return off + (nl - buf) + 1;
		off += n;
	}
	return end;
}

/* Make room in a full log file: rewrite the first line, move up the rest */
static void log_rotate(int fd)
{
	char buf[4096], note[64];
	struct timespec t = log_uptime();
	off_t from, to, end;
	ssize_t n;

	end = lseek(fd, 0, SEEK_CUR);
	if (end < 0)
		return;

	snprintf(note, sizeof(note), ", truncated at %lld.%04ld s",
		 (long long)t.tv_sec, t.tv_nsec / 100000L);
	to = (off_t)log_head(buf, sizeof(buf), note);
	from = end * LOG_DROP_PCT / 100;
	from = log_line_after(fd, from > to ? from : to, end);
	if (pwrite(fd, buf, (size_t)to, 0) != to)
		return;

	while (from < end) {
		n = pread(fd, buf, sizeof(buf), from);
		if (n <= 0 || pwrite(fd, buf, (size_t)n, to) != n)
			break;
		from += n;
		to += n;
	}

	if (ftruncate(fd, to) || lseek(fd, to, SEEK_SET) < 0)
		return;
	sink.file_size = (size_t)to;
}

/* Append to the log file, which has room or is made to */
static void log_append(const char *text, size_t len)
{
	unsigned i;

	/* Text of log_text() may take more than once */
	for (i = 0; i < LOG_ROTATE_MAX && sink.file_max &&
		    sink.file_size + len > sink.file_max;
	     i++)
		log_rotate(sink.file_fd);
	if (!write_all(sink.file_fd, text, len))
		sink.file_size += len;
}

/* One line to the log file, with time and level */
static void log_to_file(int prio, const char *text)
{
	struct timespec t = log_uptime();
	char line[LOG_LINE_MAX];
	size_t len;
	int n;

	n = snprintf(line, sizeof(line), "%lld.%04ld: %s: %s\n",
		     (long long)t.tv_sec, t.tv_nsec / 100000L, level_name[prio],
		     text);
	if (n < 0)
		return;
	len = (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
	log_append(line, len);
}

/* One datagram in the form of RFC 3164 4.1, the reader adds time and PID */
static void log_to_socket(int prio, const char *text)
{
	char line[LOG_LINE_MAX];
	int n;

	if (prio > LOG_DEBUG)
		prio = LOG_DEBUG;
	n = snprintf(line, sizeof(line), "<%d>%s: %s", LOG_DAEMON | prio,
		     sink.ident, text);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(line))
		n = sizeof(line) - 1;
	/* A reader that is slow or gone costs the message, never a wait */
	(void)!write(sink.sock_fd, line, (size_t)n);
}

/* The text alone, or after the time if there is much of it */
static void log_to_stderr(const char *text)
{
	struct timespec t = log_uptime();
	char line[LOG_LINE_MAX];
	int n;

	log_drain(0);
	if (sink.level >= LOG_DEBUG)
		n = snprintf(line, sizeof(line), "%lld.%04ld: %s\n",
			     (long long)t.tv_sec, t.tv_nsec / 100000L, text);
	else
		n = snprintf(line, sizeof(line), "%s\n", text);
	if (n > 0 && (size_t)n < sizeof(line))
		write_all(STDERR_FILENO, line, (size_t)n);
}

/* Connect to the system log, if there is one */
static int log_connect(void)
{
	struct sockaddr_un sun = { AF_UNIX, LOG_SOCKET };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Create the log file and write its first line; 0 or -errno */
static int log_create(const char *path)
{
	char exe[LOG_HEAD_MAX / 2], line[LOG_HEAD_MAX];
	ssize_t n;
	size_t len;
	int rc;

	sink.file_fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	if (sink.file_fd < 0)
		return -errno;

	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	snprintf(file_head, sizeof(file_head), "%s %s: %s (%ld)", sink.ident,
		 VERSION, exe, (long)getpid());
	len = log_head(line, sizeof(line), "");
	rc = write_all(sink.file_fd, line, len);
	sink.file_size = len;
	return rc;
}

int log_open(const char *ident, const struct log_opts *opts)
{
	log_uptime();
	sink.ident = ident;
	sink.level = opts->level;
	sink.file_max = opts->file_size;

	if (sink.file_fd >= 0)
		close(sink.file_fd);
	if (sink.sock_fd >= 0)
		close(sink.sock_fd);
	sink.file_fd = sink.sock_fd = -1;

	if (opts->file)
		return log_create(opts->file);
	if (!opts->use_stderr)
		sink.sock_fd = log_connect();
	return 0;
}

void log_level(int level)
{
	sink.level = level;
}

bool log_enabled(int prio)
{
	return prio <= sink.level;
}

void log_background(void)
{
	sink.background = true;
}

/* One message, to where messages go */
__attribute__((format(printf, 2, 0))) static void
log_va(int prio, const char *fmt, va_list ap)
{
	int saved = errno;
	char text[LOG_TEXT_MAX], *p;

	if (prio > sink.level || prio > LOG_TRACE || prio < 0)
		return;

	vsnprintf(text, sizeof(text), fmt, ap);

	/* Names from the network must not forge lines or drive terminals */
	for (p = text; *p; p++) {
		if ((unsigned char)*p < ' ' && *p != '\t')
			*p = '?';
	}

	if (sink.file_fd >= 0)
		log_to_file(prio, text);
	else if (sink.background && sink.sock_fd >= 0)
		log_to_socket(prio, text);
	if (!sink.background)
		log_to_stderr(text);

	errno = saved;
}

void log_msg(int prio, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_va(prio, fmt, ap);
	va_end(ap);
}

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_va(LOG_ERR, fmt, ap);
	va_end(ap);
	exit(EXIT_FAILURE);
}

/* Send to the system log what it takes: each line one datagram, however long, as
 * JSON is one
 */
static void log_drain_socket(void)
{
	char head[64];
	struct iovec iov[2] = { { .iov_base = head } };
	const struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	int n = snprintf(head, sizeof(head),
			 "<%d>%s: ", LOG_DAEMON | LOG_NOTICE, sink.ident);
	const char *end;

	iov[0].iov_len = (size_t)n < sizeof(head) ? (size_t)n : 0;
	while (sink.left_len &&
	       (end = memchr(sink.left, '\n', sink.left_len))) {
		iov[1].iov_base = (void *)(uintptr_t)sink.left;
		iov[1].iov_len = (size_t)(end - sink.left);
		if (sendmsg(sink.sock_fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) <
		    0) {
			if (errno != EINTR && errno != EAGAIN)
				sink.left_len = 0; /* nobody there */
			return;
		}
		sink.left = end + 1;
		sink.left_len -= iov[1].iov_len + 1;
	}
}

int log_left_fd(void)
{
	return sink.left_sock ? sink.sock_fd : STDERR_FILENO;
}

bool log_drain(size_t max)
{
	ssize_t n;

	if (!sink.left_len)
		return false;
	if (sink.left_sock) {
		log_drain_socket();
		if (!max)
			sink.left_len = 0;
		return sink.left_len;
	}
	if (!max) {
		write_all(STDERR_FILENO, sink.left, sink.left_len);
		sink.left_len = 0;
		return false;
	}
	n = write(STDERR_FILENO, sink.left,
		  sink.left_len < max ? sink.left_len : max);
	if (n < 0 && errno != EINTR && errno != EAGAIN)
		sink.left_len = 0; /* nobody there */
	if (n > 0) {
		sink.left += n;
		sink.left_len -= (size_t)n;
	}
	return sink.left_len;
}

bool log_text(const char *text, size_t len, bool log)
{
	if (log && sink.file_fd >= 0)
		log_append(text, len);
	sink.left_sock = log && sink.background && sink.file_fd < 0 &&
			 sink.sock_fd >= 0;
	if (sink.background && !sink.left_sock)
		return false;
	sink.left = text;
	sink.left_len = len;
	return true;
}

bool log_limit(struct log_site *site)
{
	struct timespec now;

	/* There is a line for each packet: then also for what became of it */
	if (sink.level >= LOG_TRACE)
		return true;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (site->second != (int64_t)now.tv_sec) {
		unsigned suppressed = site->suppressed;

		site->second = (int64_t)now.tv_sec;
		site->count = 0;
		site->suppressed = 0;
		if (suppressed)
			warn("%u similar messages suppressed", suppressed);
	}

	if (site->count >= LOG_BURST) {
		site->suppressed++;
		return false;
	}
	site->count++;
	return true;
}
