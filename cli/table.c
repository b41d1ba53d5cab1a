/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables on standard output.
 */
#include "cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/say.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/mem.h"

#define LINE_WIDTH 80
#define GAP 2
#define COLUMN_MIN 6	  /* nothing is cut shorter */
#define ADDRESSES_SHOWN 8 /* a headless service may have thousands; JSON has them all */
#define NAME_MIN 20	  /* of the first column: ids and most names are whole */

/* Even the shortest columns of the largest table fit, with an indent of 2. */
_Static_assert(2 + NAME_MIN + (TABLE_COLUMNS_MAX - 1) * (COLUMN_MIN + GAP) <= LINE_WIDTH,
	       "a table with all columns would not fit");

static bool colour_wanted(void)
{
	const char *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !(no && *no);
}

/* Columns that a UTF-8 text takes, one for each character. */
static size_t text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void cell_take(struct table *t, char *text)
{
	if (t->count == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 64;
		t->cells = xreallocarray(t->cells, t->cap, sizeof(*t->cells));
	}
	t->cells[t->count++] = text;
}

void table_text(struct table *t, const char *text)
{
	cell_take(t, say_clean(xstrdup(text && *text ? text : "-")));
}

void table_begin(struct table *t, const char *first, ...)
{
	va_list ap;

	table_text(t, first);
	va_start(ap, first);
	for (const char *s; (s = va_arg(ap, const char *));)
		table_text(t, s);
	va_end(ap);
	t->columns = t->count;
	assert(t->columns <= TABLE_COLUMNS_MAX);
}

void table_cell(struct table *t, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	table_text(t, text);
	free(text);
}

static size_t column_min(size_t c)
{
	return c == 0 ? NAME_MIN : COLUMN_MIN;
}

/* The widest of the columns that may still be cut; t->columns when there is none. */
static size_t column_to_cut(const struct table *t, const size_t *width)
{
	size_t widest = t->columns;

	for (size_t c = 0; c < t->columns; c++)
		if (width[c] > column_min(c) && (widest == t->columns || width[c] > width[widest]))
			widest = c;
	return widest;
}

/* Only a terminal has a width: elsewhere every cell is whole. */
static void widths_fit(const struct table *t, size_t width[static TABLE_COLUMNS_MAX])
{
	size_t total = (t->indent ? strlen(t->indent) : 0) + (t->columns - 1) * GAP, cut;

	for (size_t i = 0; i < t->count; i++)
		width[i % t->columns] = MAX(width[i % t->columns], text_width(t->cells[i]));
	for (size_t c = 0; c < t->columns; c++)
		total += width[c];
	if (!isatty(STDOUT_FILENO))
		return; /* a script, or a file that is read later */
	for (; total > LINE_WIDTH && (cut = column_to_cut(t, width)) < t->columns; total--)
		width[cut]--;
}

static void cell_print(const char *text, size_t width, bool last)
{
	size_t len = text_width(text), shown = 0;
	const char *p = text;

	if (len <= width) {
		printf("%s%*s", text, last ? 0 : (int)(width - len + GAP), "");
		return;
	}
	for (; *p; p++) {
		shown += ((unsigned char)*p & 0xc0) != 0x80;
		if (shown == width)
			break;
	}
	printf("%.*s…%*s", (int)(p - text), text, last ? 0 : GAP, "");
}

void table_print(struct table *t)
{
	size_t width[TABLE_COLUMNS_MAX] = { 0 };
	bool colour = colour_wanted();

	widths_fit(t, width);
	for (size_t i = 0; i < t->count; i++) {
		size_t c = i % t->columns;
		bool head = i < t->columns, last = c == t->columns - 1;

		if (c == 0)
			printf("%s%s", t->indent ? t->indent : "", head && colour ? "\033[1m" : "");
		cell_print(t->cells[i], width[c], last);
		if (last)
			printf("%s\n", head && colour ? "\033[0m" : "");
		free(t->cells[i]);
	}
	free(t->cells);
	*t = (struct table){ .indent = t->indent };
}

void table_addresses(struct table *t, const struct addr *a, size_t count)
{
	struct buf b = { 0 };
	char text[ADDR_SIZE];

	for (size_t i = 0; i < MIN(count, (size_t)ADDRESSES_SHOWN); i++)
		buf_printf(&b, "%s%s", i ? " " : "", addr_format(&a[i], text));
	if (count > ADDRESSES_SHOWN)
		buf_printf(&b, " and %zu more", count - ADDRESSES_SHOWN);
	table_text(t, buf_cstr(&b));
	buf_done(&b);
}

void table_prefixes(struct table *t, const struct prefix *p, size_t count)
{
	struct buf b = { 0 };
	char text[PREFIX_SIZE];

	for (size_t i = 0; i < count; i++)
		buf_printf(&b, "%s%s", i ? " " : "", prefix_format(&p[i], text));
	table_text(t, buf_cstr(&b));
	buf_done(&b);
}

void table_words(struct table *t, char *const *words, size_t count)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < count; i++)
		buf_printf(&b, "%s%s", i ? "," : "", words[i]);
	table_text(t, buf_cstr(&b));
	buf_done(&b);
}

void table_ago(struct table *t, int64_t wall)
{
	int64_t age = clock_wall() - wall;

	if (!wall)
		table_text(t, "never");
	else if (age < 0)
		table_text(t, "now");
	else if (age < 120)
		table_cell(t, "%llds ago", (long long)age);
	else if (age < 7200)
		table_cell(t, "%lldm ago", (long long)age / 60);
	else if (age < 172800)
		table_cell(t, "%lldh ago", (long long)age / 3600);
	else
		table_cell(t, "%lldd ago", (long long)age / 86400);
}

void table_bytes(struct table *t, uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double v = (double)bytes;
	size_t u = 0;

	for (; v >= 1024 && u < ARRAY_SIZE(units) - 1; u++)
		v /= 1024;
	table_cell(t, u ? "%.1f %s" : "%.0f %s", v, units[u]);
}
