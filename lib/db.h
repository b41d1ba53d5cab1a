/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A SQLite database: one connection, used from one thread. The only user of SQLite.
 *
 * Statements are given as text with ? and bound by a format, one letter a parameter:
 *   i int64_t   s const char * (NULL: NULL)   b const void *, size_t   n (nothing): NULL
 * They are prepared once and kept by the address of their text, so the text must be a literal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"

struct db;

enum db_sync {
	DB_SYNC_NORMAL, /* WAL: safe against kill, not against power loss */
	DB_SYNC_FULL
};

/* Opens or makes `path` (mode 0600, WAL, foreign keys on, busy time-out 5 s, an exclusive lock where
 * it can be had) and brings its schema up to date: `migrations[i]` leads from user_version i to
 * i + 1, each in a transaction. -ENOTSUP when the file is newer than this program. `path` may be
 * ":memory:". The sentence for people is in db_message even when opening failed. */
int db_open(const char *path, enum db_sync sync, const char *const *migrations, size_t count,
	    struct db **ret) MUST_CHECK;
void db_close(struct db *db);
/* What went wrong last, for people: "disk full", "read-only"... Static memory. */
const char *db_message(void);

/* 0; -ENOSPC, -EROFS, -EBUSY, -EEXIST (a unique or other constraint), -EIO (all else). */
int db_run(struct db *db, const char *sql, const char *format, ...) MUST_CHECK;
int64_t db_last_id(const struct db *db);
int64_t db_changes(const struct db *db); /* rows touched by the last db_run */

/* Rows: for (db_query(...); (r = db_step(q)) == 1;) ...; db_finish(q).  db_step: 1 a row, 0 the
 * end, negative errno. Column values are borrowed until the next db_step. */
struct db_query;
struct db_query *db_query(struct db *db, const char *sql, const char *format, ...);
int db_step(struct db_query *q) MUST_CHECK;
int64_t db_int(struct db_query *q, int column);
const char *db_text(struct db_query *q, int column); /* NULL for NULL */
const void *db_blob(struct db_query *q, int column, size_t *ret_len);
bool db_is_null(struct db_query *q, int column);
void db_finish(struct db_query *q); /* NULL allowed */

/* Transactions nest by counting: each db_begin is ended by one db_commit or one db_rollback, and only
 * the outermost writes. After an inner db_rollback the outermost can only end with a roll-back too:
 * its db_commit returns -ECANCELED. */
int db_begin(struct db *db) MUST_CHECK;
int db_commit(struct db *db) MUST_CHECK;
void db_rollback(struct db *db);
/* Flushes the WAL to disk (checkpoint and fsync). */
int db_flush(struct db *db) MUST_CHECK;
/* A consistent copy into a new file. */
int db_backup(struct db *db, const char *path) MUST_CHECK;
