/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables on standard output, for people: columns as wide as they must be, on a terminal 80 in all. What
 * does not fit there is cut with `…`, the widest column first; of the first one, which names the row,
 * 20 characters are kept. Elsewhere (a pipe, a file) nothing is cut. The head is bold on a terminal,
 * unless NO_COLOR is set.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/base.h"

#define TABLE_COLUMNS_MAX 8

/* Zeroed but for `indent`: an empty one. */
struct table {
	const char *indent; /* before each line, at most 2 characters; NULL: none */
	size_t columns;
	char **cells; /* row by row, owned */
	size_t count, cap;
};

/* The head of each column, NULL at the end; at most TABLE_COLUMNS_MAX. */
void table_begin(struct table *t, const char *first, ...) __attribute__((sentinel));
/* One cell after the other, row by row. NULL or "" prints `-`. */
void table_cell(struct table *t, const char *fmt, ...) PRINTF(2, 3);
void table_text(struct table *t, const char *text);
/* Lists as one cell; of many addresses the first ones and how many more. */
void table_addresses(struct table *t, const struct addr *a, size_t count);
void table_prefixes(struct table *t, const struct prefix *p, size_t count);
void table_words(struct table *t, char *const *words, size_t count);
/* `12s ago`, `3m ago`; `never` for 0, `now` for a time to come. */
void table_ago(struct table *t, int64_t wall);
/* `17.3 KiB`. */
void table_bytes(struct table *t, uint64_t bytes);
/* Prints and frees; the table is empty afterwards. */
void table_print(struct table *t);
