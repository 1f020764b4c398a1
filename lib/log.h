/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages to stderr, the system log or a file; errno strings of our own */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <syslog.h>

/* One step below LOG_DEBUG: a line for each packet */
#define LOG_TRACE (LOG_DEBUG + 1)

/* Where messages go and from which level on: filled by conf */
struct log_opts {
	int level;        /* LOG_WARNING (--quiet) .. LOG_TRACE */
	const char *file; /* --log-file path, or NULL */
	size_t file_size; /* --log-size, bytes */
	bool use_stderr;  /* foreground: no system log */
};

/* A rate-limited call site: at most LOG_BURST messages a second */
#define LOG_BURST 5
struct log_site {
	int64_t second;      /* the second being counted, monotonic */
	unsigned count;      /* messages in it */
	unsigned suppressed; /* kept back since the last one printed */
};

/**
 * log_open() - Set up the sink; before it, everything goes to stderr
 * @ident:	Program name for the system log, borrowed for ever
 * @opts:	Levels and sinks; strings are borrowed only for the call
 *
 * Opens the log file or the system log socket so that no file has to be
 * opened after the process is isolated.
 *
 * Return: 0, or -errno if the log file cannot be opened
 */
int log_open(const char *ident, const struct log_opts *opts);

/**
 * log_level() - Set the level of messages let through (LOG_ERR .. LOG_TRACE)
 * @level:	Highest level printed
 */
void log_level(int level);

/**
 * log_enabled() - Would a message of this level be printed?
 * @prio:	LOG_ERR .. LOG_TRACE
 */
bool log_enabled(int prio);

/**
 * log_background() - From now on, stderr is gone: system log or file only
 */
void log_background(void);

/**
 * log_msg() - Print one message, newline added, no heap used
 * @prio:	LOG_ERR .. LOG_TRACE
 * @fmt:	printf format; at most 1 KiB results
 */
void log_msg(int prio, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * die() - Set-up failed: say what, on what, and what to do; exit status 1
 * @fmt:	As for log_msg(), at error level
 */
_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * log_text() - Put out lines that are ready, as they are, whatever the level
 * @text:	Lines, the last with its newline; borrowed until log_drain() says
 *		that all is written
 * @len:	Bytes
 * @log:	To where messages go; false: to standard error alone
 *
 * Never waits for a reader: what is for standard error or the system log is left
 * to log_drain(), whose caller knows when it takes some, or comes before the next
 * message on standard error. Not while earlier text is left.
 *
 * Return: true if it is: all of it is left to log_drain()
 */
bool log_text(const char *text, size_t len, bool log);

/**
 * log_left_fd() - Where what log_text() left goes: to be watched for EPOLLOUT
 */
int log_left_fd(void);

/**
 * log_drain() - Write what log_text() left
 * @max:	Bytes at most, of a system log as many lines as it takes; 0: all,
 *		waiting for standard error as messages do
 *
 * Return: true if there is more
 */
bool log_drain(size_t max);

/**
 * log_limit() - May a rate-limited call site print now?
 * @site:	State of the call site, zeroed at first
 *
 * Prints how many were kept back when a new second begins. At LOG_TRACE none are.
 *
 * Return: true if the message is to be printed
 */
bool log_limit(struct log_site *site);

/**
 * errstr() - Text for an errno value, without locale and without heap
 * @err:	errno value, either sign
 *
 * Return: static text such as "Address already in use"; "error N" texts for
 *	   unlisted numbers share one static buffer
 */
const char *errstr(int err);

#define err(...)  log_msg(LOG_ERR, __VA_ARGS__)
#define warn(...) log_msg(LOG_WARNING, __VA_ARGS__)
#define info(...) log_msg(LOG_INFO, __VA_ARGS__)
#define debug(...)                                       \
	do {                                             \
		if (log_enabled(LOG_DEBUG))              \
			log_msg(LOG_DEBUG, __VA_ARGS__); \
	} while (0)
#define trace(...)                                       \
	do {                                             \
		if (log_enabled(LOG_TRACE))              \
			log_msg(LOG_TRACE, __VA_ARGS__); \
	} while (0)

/* For what a guest or the network can cause as often as it likes */
#define warn_limited(...)                                  \
	do {                                               \
		static struct log_site site_;              \
		if (log_limit(&site_))                     \
			log_msg(LOG_WARNING, __VA_ARGS__); \
	} while (0)
#define debug_limited(...)                                       \
	do {                                                     \
		static struct log_site site_;                    \
		if (log_enabled(LOG_DEBUG) && log_limit(&site_)) \
			log_msg(LOG_DEBUG, __VA_ARGS__);         \
	} while (0)

#endif /* LIB_LOG_H */
