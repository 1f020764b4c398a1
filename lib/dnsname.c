/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domain names from text to the wire (RFC 1035 3.1), compressed or not */

#include "lib/dnsname.h"

#include <string.h>
#include <strings.h>

#define DNSNAME_LABEL_MAX 63   /* RFC 1035 2.3.4 */
#define DNSNAME_TEXT_MAX  253  /* so that the wire form has at most 255 bytes */
#define DNSNAME_PTR       0xc0 /* RFC 1035 4.1.4 */
#define DNSNAME_PTR_MAX   0x3fff /* 14 bits of offset */

void dnsname_init(struct dnsname_writer *w, void *buf, size_t room,
		  bool compress)
{
	w->buf = buf;
	w->room = room;
	w->len = 0;
	w->compress = compress;
	w->n = 0;
}

/* Offset of a suffix written before, -1 if there is none */
static int dnsname_find(const struct dnsname_writer *w, const char *text,
			size_t len)
{
	unsigned i;

	for (i = 0; i < w->n; i++) {
		if (w->suffix[i].len == len &&
		    !strncasecmp(w->suffix[i].text, text, len))
			return w->suffix[i].off;
	}
	return -1;
}

/* The suffix @text is about to be written at the end of the buffer */
static void dnsname_note(struct dnsname_writer *w, const char *text, size_t len)
{
	if (!w->compress || w->n == DNSNAME_SUFFIXES ||
	    w->len > DNSNAME_PTR_MAX)
		return;
	w->suffix[w->n].text = text;
	w->suffix[w->n].len = len;
	w->suffix[w->n].off = (uint16_t)w->len;
	w->n++;
}

/* Length of the label at the begin of @text, 0 if it is not one */
static size_t dnsname_label(const char *text, size_t len)
{
	const char *dot = memchr(text, '.', len);
	size_t n = dot ? (size_t)(dot - text) : len;

	if (n > DNSNAME_LABEL_MAX || (dot && n + 1 == len))
		return 0;
	return n;
}

/* Append label after label; false with a partial name written */
static bool dnsname_labels(struct dnsname_writer *w, const char *text,
			   size_t len)
{
	while (len) {
		int off = dnsname_find(w, text, len);
		size_t n = dnsname_label(text, len);

		if (off >= 0) {
			if (w->room - w->len < 2)
				return false;
			w->buf[w->len++] = (uint8_t)(DNSNAME_PTR | off >> 8);
			w->buf[w->len++] = (uint8_t)off;
			return true;
		}
		if (!n || w->room - w->len < 1 + n)
			return false;

		dnsname_note(w, text, len);
		w->buf[w->len++] = (uint8_t)n;
		memcpy(w->buf + w->len, text, n);
		w->len += n;
		n += n < len; /* the dot */
		text += n;
		len -= n;
	}

	if (w->len == w->room)
		return false;
	w->buf[w->len++] = 0; /* the root */
	return true;
}

bool dnsname_add(struct dnsname_writer *w, const char *name)
{
	size_t len = strlen(name), old_len = w->len;
	unsigned old_n = w->n;

	if (len && name[len - 1] == '.')
		len--;
	if (len && len <= DNSNAME_TEXT_MAX && dnsname_labels(w, name, len))
		return true;

	w->len = old_len;
	w->n = old_n;
	return false;
}
