/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text of test/packet: one run of a script, and its words, segments, options */
#ifndef UNIT_PACKET_SCRIPT_H
#define UNIT_PACKET_SCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/fake/tcp_env.h"
#include "wire/tcp_opt.h"

#define LINE_LEN 200
#define ISN      0xfffff000U /* wraps early */

/* One run of a script: where we are, and what both ends know */
static struct script {
	char name[64];
	char text[LINE_LEN];
	unsigned line;
	bool v6;
	struct env_conn c;
	char peer[INANY_STRLEN];
	int listener, fd;
	bool opened;        /* our ISN is known */
	bool scaled;        /* the guest offered window scaling */
	uint64_t host_sent; /* bytes of the host's program so far */
	uint64_t host_read; /* and read by it */
	uint16_t win;       /* the guest announces unless it says so */
	uint32_t filled;    /* bytes sent by "guest fill" */
	struct env_tx tx[TAP_RX_MAX];
	uint8_t *payload[TAP_RX_MAX];
	uint8_t opts[TAP_RX_MAX][40];
	unsigned ntx;
	bool loose; /* frames not asked for do not matter at the end */
} s;

/* Byte at an offset of the stream in either direction */
static inline uint8_t byte_at(uint64_t off, bool host)
{
	return (uint8_t)(off * 7 + off / 251 + host);
}

__attribute__((format(printf, 1, 2))) static void fail_line(const char *fmt,
							    ...)
{
	char msg[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	fail_msg("%s.pkt:%u (IPv%d): %s\n    %s", s.name, s.line, s.v6 ? 6 : 4,
		 s.text, msg);
}

/* Next word of the line, NULL at its end; <options> are one word */
static inline char *word(char **p)
{
	char *w;

	*p += strspn(*p, " \t");
	if (!**p)
		return NULL;
	w = *p;
	if (*w == '<' && w[1] && w[1] != ' ' && w[1] != '<') {
		*p = strchr(w, '>');
		if (!*p)
			fail_line("options have no end");
		++*p;
	} else {
		*p += strcspn(w, " \t");
	}
	if (**p)
		*(*p)++ = '\0';
	return w;
}

static inline char *need(char **p, const char *what)
{
	char *w = word(p);

	if (!w)
		fail_line("%s is missing", what);
	return w;
}

static inline long number(const char *w)
{
	char *end;
	long n = strtol(w, &end, 0);

	if (end == w || *end)
		fail_line("\"%s\" is no number", w);
	return n;
}

static const struct {
	char letter;
	uint8_t flag;
} flag_table[] = { { 'S', TH_SYN }, { 'F', TH_FIN },  { 'R', TH_RST },
		   { '.', TH_ACK }, { 'P', TH_PUSH }, { 'U', TH_URG },
		   { '-', 0 } };
#define NFLAGS (sizeof(flag_table) / sizeof(flag_table[0]))

static inline uint8_t flags(const char *w)
{
	uint8_t f = 0;
	size_t i;

	for (; *w; w++) {
		for (i = 0; i < NFLAGS && flag_table[i].letter != *w; i++)
			;
		if (i == NFLAGS)
			fail_line("flag %c", *w);
		f |= flag_table[i].flag;
	}
	return f;
}

/* A segment as written: numbers are relative to the initial ones */
struct text_seg {
	uint8_t flags;
	uint32_t seq, len, ack;
	bool has_ack, has_win, bad_sum, win_open;
	long win;
	bool has_urg;
	uint16_t urg;
	char *opts; /* NULL: not told */
};

/* A relative sequence number: N, or "end", which "guest-fills" sets, "end+N" */
static inline long position(const char *w, char **end)
{
	long n = 0;

	if (!strncmp(w, "end", 3)) {
		n = (long)s.filled + 1;
		*end = (char *)(uintptr_t)w + 3;
		if (**end != '+' && **end != '-')
			return n;
		w += 3;
	}
	return n + strtol(w, end, 0);
}

/* START:END(LEN) */
static inline void range(const char *w, struct text_seg *t)
{
	long from, to = 0;
	unsigned len;
	char *p;

	from = position(w, &p);
	if (*p == ':')
		to = position(p + 1, &p);
	if (sscanf(p, "(%u)", &len) != 1)
		fail_line("\"%s\" is not FIRST:NEXT(LENGTH)", w);
	if ((uint32_t)(to - from) != len)
		fail_line("%ld to %ld are not %u bytes", from, to, len);
	t->seq = (uint32_t)from;
	t->len = len;
}

static inline void parse_seg(char **p, struct text_seg *t)
{
	char *w, *end;

	memset(t, 0, sizeof(*t));
	t->flags = flags(need(p, "flags"));
	range(need(p, "sequence numbers"), t);
	while ((w = word(p))) {
		if (!strcmp(w, "ack")) {
			t->has_ack = true;
			w = need(p, "number");
			t->ack = (uint32_t)position(w, &end);
			if (*end)
				fail_line("\"%s\" is no number", w);
		} else if (!strcmp(w, "win")) {
			w = need(p, "window");
			t->has_win = true;
			t->win_open = !strcmp(w, "open");
			t->win = t->win_open ? 0 : number(w);
		} else if (!strcmp(w, "urg")) {
			t->has_urg = true;
			t->urg = (uint16_t)number(need(p, "offset"));
		} else if (!strcmp(w, "badsum")) {
			t->bad_sum = true;
		} else if (*w == '<') {
			t->opts = w;
		} else {
			fail_line("\"%s\" is nothing known", w);
		}
	}
}

/* Most payload with our MTU and the family of the run */
static inline unsigned max_mss(void)
{
	return env.tcp.mtu - (s.v6 ? 60 : 40);
}

/* FIRST:NEXT[ ...], as in segments. Return: bytes */
static inline size_t sack_blocks(const char *p, uint8_t *o)
{
	unsigned left, right;
	size_t n = 2;
	int used;

	for (; sscanf(p, "%u:%u%n", &left, &right, &used) == 2; p += used) {
		struct tcp_sack_block b = { htonl(ISN + left),
					    htonl(ISN + right) };

		memcpy(o + n, &b, sizeof(b));
		n += sizeof(b);
	}
	o[0] = TCP_OPT_SACK;
	o[1] = (uint8_t)n;
	return n;
}

/* <mss N|max,wscale N,sackok,sack FIRST:NEXT ...,nop,eol,raw HEX>
 *
 * Return: bytes, padded to four
 */
static inline size_t options(char *w, uint8_t *o)
{
	char *save = NULL, *item;
	size_t n = 0;

	w[strlen(w) - 1] = '\0';
	for (item = strtok_r(w + 1, ",", &save); item;
	     item = strtok_r(NULL, ",", &save)) {
		unsigned v = 0;

		if (n > 36)
			fail_line("too many options");
		if (!strcmp(item, "mss max") ||
		    sscanf(item, "mss %u", &v) == 1) {
			v = v ? v : max_mss();
			o[n++] = TCP_OPT_MSS;
			o[n++] = TCP_OPT_MSS_LEN;
			o[n++] = (uint8_t)(v >> 8);
			o[n++] = (uint8_t)v;
		} else if (sscanf(item, "wscale %u", &v) == 1) {
			o[n++] = TCP_OPT_WSCALE;
			o[n++] = TCP_OPT_WSCALE_LEN;
			o[n++] = (uint8_t)v;
		} else if (!strcmp(item, "sackok")) {
			o[n++] = TCP_OPT_SACK_OK;
			o[n++] = TCP_OPT_SACK_OK_LEN;
		} else if (!strncmp(item, "sack ", 5)) {
			n += sack_blocks(item + 5, o + n);
		} else if (!strcmp(item, "nop")) {
			o[n++] = TCP_OPT_NOP;
		} else if (!strcmp(item, "eol")) {
			o[n++] = TCP_OPT_END;
		} else if (!strncmp(item, "raw ", 4)) {
			for (item += 4; sscanf(item, "%2x", &v) == 1; item += 2)
				o[n++] = (uint8_t)v;
		} else {
			fail_line("option \"%s\"", item);
		}
	}
	while (n % 4)
		o[n++] = TCP_OPT_NOP;
	return n;
}

#endif /* UNIT_PACKET_SCRIPT_H */
