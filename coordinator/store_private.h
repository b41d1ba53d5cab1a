/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Shared by coordinator/store*.c only: the handle, and lists of words in a text column (separated
 * by spaces, which no label, endpoint or prefix holds).
 */
#pragma once

#include "coordinator/store.h"
#include "lib/buf.h"
#include "lib/db.h"

struct store {
	struct db *db;
};

void words_join(struct buf *out, char *const *words, size_t count);
void words_split(struct arena *a, const char *text, char ***ret, size_t *ret_count);
void prefixes_join(struct buf *out, const struct prefix *p, size_t count);
int prefixes_split(struct arena *a, const char *text, struct prefix **ret, size_t *ret_count);

/* A column as arena text; NULL for NULL. */
char *column_text(struct arena *a, struct db_query *q, int column);
/* Copies a blob of exactly `size` bytes; zeros when it has another length. */
void column_blob(struct db_query *q, int column, void *ret, size_t size);

/* Ends a query of which one row was wanted: 0, -ENOENT, or what db_step said. */
int query_finish_one(struct db_query *q, int step);

/* Ends a transaction with what happened in it: commits when `r` is 0, rolls back else. */
int store_end(struct store *s, int r);

/* A growing array of rows in an arena that is not yet known in length. */
#define ROWS_ADD(array, count, cap)                                                                \
	({                                                                                         \
		if ((count) == (cap)) {                                                            \
			(cap) = (cap) ? 2 * (cap) : 16;                                            \
			(array) = xreallocarray((array), (cap), sizeof(*(array)));                 \
		}                                                                                  \
		memset(&(array)[(count)], 0, sizeof(*(array)));                                    \
		&(array)[(count)++];                                                               \
	})
/* Moves such an array into the arena. */
#define ROWS_KEEP(a, array, count)                                                                 \
	({                                                                                         \
		void *kept_ = arena_memdup((a), (array), (count) * sizeof(*(array)));              \
		free(array);                                                                       \
		kept_;                                                                             \
	})
