/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Log lines on standard error, each by one write(2) so that lines of several processes and threads
 * do not mix. Owns the level and the quoting buffers. log_line: any thread; the rest: main thread.
 */
#include "lib/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"

#define LINE_MAX_SIZE 2048
#define QUOTE_MAX 200 /* characters of input */
#define QUOTE_SLOTS 8

static const char *const names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

/* syslog's numbers (RFC 5424, table 2), as sd-daemon(3) prefixes. */
static const char *const journal_prefixes[] = {
	[LOG_ERROR] = "<3>",
	[LOG_WARN] = "<4>",
	[LOG_INFO] = "<6>",
	[LOG_DEBUG] = "<7>",
};

static enum log_level highest = LOG_INFO;

/* Writes one character of outside text, escaped; returns the bytes written (at most 4). */
static size_t quote_char(unsigned char c, char *ret)
{
	static const char hex[] = "0123456789abcdef";

	if (c == '"' || c == '\\') {
		ret[0] = '\\';
		ret[1] = (char)c;
		return 2;
	}
	if (c < 0x20 || c >= 0x7f) {
		ret[0] = '\\';
		ret[1] = 'x';
		ret[2] = hex[c >> 4];
		ret[3] = hex[c & 15];
		return 4;
	}
	ret[0] = (char)c;
	return 1;
}

void log_set_level(enum log_level level)
{
	highest = level;
}

int log_level_parse(const char *name, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_line(enum log_level level, const char *event, const char *fmt, ...)
{
	char line[LINE_MAX_SIZE];
	int saved = errno;
	size_t len;
	va_list ap;
	int n;

	if (level > highest)
		return;
	n = snprintf(line, sizeof(line), "%s%s %s",
		     getenv("JOURNAL_STREAM") ? journal_prefixes[level] : "", names[level], event);
	len = MIN((size_t)MAX(n, 0), sizeof(line) - 1);
	if (fmt[0] && len + 2 < sizeof(line)) {
		line[len++] = ' ';
		errno = saved; /* for %m */
		va_start(ap, fmt);
		n = vsnprintf(line + len, sizeof(line) - len, fmt, ap);
		va_end(ap);
		len = MIN(len + (size_t)MAX(n, 0), sizeof(line) - 1);
	}
	/* One event, one line, whatever a value brought along. */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20)
			line[i] = ' ';
	line[len++] = '\n';
	while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
		;
	errno = saved;
}

const char *log_quote(const char *s)
{
	static char slots[QUOTE_SLOTS][4 * QUOTE_MAX + sizeof("\"...\"")];
	static unsigned turn;
	char *q, *p;
	size_t i;

	if (!s)
		return "-";
	q = p = slots[turn++ % QUOTE_SLOTS];
	*p++ = '"';
	for (i = 0; i < QUOTE_MAX && s[i]; i++)
		p += quote_char((unsigned char)s[i], p);
	if (s[i]) {
		memcpy(p, "...", 3);
		p += 3;
	}
	*p++ = '"';
	*p = '\0';
	return q;
}

bool log_allowed(struct log_limit *l)
{
	uint64_t now = clock_mono();
	uint64_t step = 60 * USEC_PER_SEC / MAX(l->per_minute, 1U);

	if (!l->filled || now - l->filled >= 60 * USEC_PER_SEC) {
		l->left = l->per_minute;
		l->filled = now;
	} else if (now - l->filled >= step) {
		uint64_t fresh = (now - l->filled) / step;

		l->left = (unsigned)MIN(l->left + fresh, (uint64_t)l->per_minute);
		l->filled += fresh * step;
	}
	if (!l->left) {
		l->dropped++;
		return false;
	}
	l->left--;
	return true;
}
