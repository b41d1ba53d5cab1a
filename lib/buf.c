/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Growable byte strings. Each owns its memory; any thread, one at a time.
 */
#include "lib/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

#define BUF_FIRST 64

/* Makes room for `n` more bytes and the NUL; false when that would pass the limit. */
static bool reserve(struct buf *b, size_t n)
{
	size_t cap;
	char *data;

	if (b->failed)
		return false;
	if (n > SIZE_MAX / 2 - b->len || (b->max && n > b->max - MIN(b->len, b->max))) {
		b->failed = true;
		return false;
	}
	if (b->len + n < b->cap)
		return true;
	cap = MAX(MAX(b->cap * 2, b->len + n + 1), (size_t)BUF_FIRST);
	/* Not realloc: what is left behind may be a secret. */
	data = xmalloc(cap);
	if (b->data) {
		memcpy(data, b->data, b->len);
		explicit_bzero(b->data, b->cap);
		free(b->data);
	}
	data[b->len] = '\0';
	b->data = data;
	b->cap = cap;
	return true;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (!reserve(b, n))
		return;
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	char small[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
	} else if ((size_t)n < sizeof(small)) {
		buf_add(b, small, (size_t)n);
	} else if (reserve(b, (size_t)n)) {
		va_start(ap, fmt);
		n = vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
		va_end(ap);
		b->len += (size_t)n;
	}
	explicit_bzero(small, sizeof(small));
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

void buf_done(struct buf *b)
{
	if (b->data) {
		explicit_bzero(b->data, b->cap);
		free(b->data);
	}
	*b = (struct buf){ .max = b->max };
}

char *buf_take(struct buf *b)
{
	char *s = b->data ? b->data : xstrdup("");

	*b = (struct buf){ .max = b->max };
	return s;
}

const char *buf_cstr(const struct buf *b)
{
	return b->data ? b->data : "";
}
