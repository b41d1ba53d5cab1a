/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SQLite behind lib/db.h. A struct db owns its connection and its prepared statements; the sentence of
 * the last error belongs to the thread.
 *
 * The file is locked for this connection alone where nobody else has it open: SQLite then keeps the
 * index of its log in memory, not in a shared mapping, where a full disk would kill us with SIGBUS.
 */
#include "lib/db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/mem.h"

#define BUSY_MS 5000
#define BUCKETS 64 /* of the statement cache; a program has some dozens of statements */

/* A prepared statement and its use. Cached ones are in a bucket; one that is asked for while it is in
 * use gets a twin that lives for that use only. */
struct db_query {
	struct db_query *next; /* in its bucket */
	struct db *db;
	const char *sql; /* NULL: not cached */
	sqlite3_stmt *stmt;
	int error; /* what db_step will go on to say */
	bool used;
	bool ended;
};

struct db {
	sqlite3 *sqlite;
	char *path;
	struct db_query *buckets[BUCKETS];
	unsigned depth; /* of transactions */
	bool doomed;	/* the outermost one ends with a roll-back */
};

static _Thread_local char message[320];

const char *db_message(void)
{
	return message;
}

/* ---- errors ---- */

static int say(const char *path, int r, const char *what)
{
	snprintf(message, sizeof(message), "%.200s: %.100s", path, what);
	return r;
}

static int fail_errno(const char *path, int e)
{
	return say(path, -e, e == ENOSPC ? "the disk is full" : strerror(e));
}

/* Says what SQLite's `code` means, and returns our errno for it. */
static int fail(const struct db *db, int code)
{
	int e = sqlite3_system_errno(db->sqlite);

	switch (code & 0xff) {
	case SQLITE_FULL:
		return say(db->path, -ENOSPC, "the disk is full");
	case SQLITE_READONLY:
		return say(db->path, -EROFS, "is read-only");
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return say(db->path, -EBUSY, "is in use by another process");
	case SQLITE_CONSTRAINT:
		return say(db->path, -EEXIST, sqlite3_errmsg(db->sqlite));
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return say(db->path, -EIO, "is damaged, or is no database");
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		if (e == ENOSPC || e == EDQUOT)
			return say(db->path, -ENOSPC, "the disk is full");
		if (e == EROFS)
			return say(db->path, -EROFS, "is read-only");
	}
	return say(db->path, -EIO, sqlite3_errmsg(db->sqlite));
}

/* ---- statements ---- */

static unsigned bucket_of(const char *sql)
{
	return (unsigned)((uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15) >> 58);
}

static struct db_query *get_statement(struct db *db, const char *sql)
{
	struct db_query **bucket = &db->buckets[bucket_of(sql)], *q;
	bool cached;
	int r;

	for (q = *bucket; q && q->sql != sql; q = q->next)
		;
	if (q && !q->used) {
		q->used = true;
		q->ended = false;
		q->error = 0;
		return q;
	}
	/* The first of its text goes into the cache. */
	cached = !q;
	q = xcalloc(1, sizeof(*q));
	q->db = db;
	q->used = true;
	r = sqlite3_prepare_v3(db->sqlite, sql, -1, cached ? SQLITE_PREPARE_PERSISTENT : 0,
			       &q->stmt, NULL);
	if (r != SQLITE_OK) {
		q->error = fail(db, r);
	} else if (cached) {
		q->sql = sql;
		q->next = *bucket;
		*bucket = q;
	}
	return q;
}

void db_finish(struct db_query *q)
{
	if (!q)
		return;
	if (q->sql) {
		sqlite3_reset(q->stmt);
		sqlite3_clear_bindings(q->stmt);
		q->used = false;
	} else {
		sqlite3_finalize(q->stmt);
		free(q);
	}
}

static void bind(struct db_query *q, const char *format, va_list ap)
{
	int at = 0, r = SQLITE_OK;

	for (const char *f = format; *f && r == SQLITE_OK; f++) {
		const void *p;

		switch (*f) {
		case 'i':
			r = sqlite3_bind_int64(q->stmt, ++at, va_arg(ap, int64_t));
			break;
		case 's':
			r = sqlite3_bind_text(q->stmt, ++at, va_arg(ap, const char *), -1,
					      SQLITE_TRANSIENT);
			break;
		case 'b':
			p = va_arg(ap, const void *);
			/* A blob of no bytes is not NULL. */
			r = sqlite3_bind_blob64(q->stmt, ++at, p ? p : "", va_arg(ap, size_t),
						SQLITE_TRANSIENT);
			break;
		case 'n':
			r = sqlite3_bind_null(q->stmt, ++at);
			break;
		default:
			assert(!"a letter of i s b n");
		}
	}
	assert(r != SQLITE_OK || at == sqlite3_bind_parameter_count(q->stmt));
	if (r != SQLITE_OK)
		q->error = fail(q->db, r);
}

static struct db_query *start(struct db *db, const char *sql, const char *format, va_list ap)
{
	struct db_query *q = get_statement(db, sql);

	/* Some errors (a full disk) make SQLite end the transaction by itself. What follows in it
	 * must not be committed one by one. */
	if (!q->error && db->depth > 0 && sqlite3_get_autocommit(db->sqlite))
		q->error = say(db->path, -ECANCELED, "the transaction has failed");
	if (!q->error)
		bind(q, format, ap);
	return q;
}

int db_run(struct db *db, const char *sql, const char *format, ...)
{
	struct db_query *q;
	va_list ap;
	int r;

	va_start(ap, format);
	q = start(db, sql, format, ap);
	va_end(ap);
	do
		r = db_step(q);
	while (r == 1);
	db_finish(q);
	return r;
}

struct db_query *db_query(struct db *db, const char *sql, const char *format, ...)
{
	struct db_query *q;
	va_list ap;

	va_start(ap, format);
	q = start(db, sql, format, ap);
	va_end(ap);
	return q;
}

int db_step(struct db_query *q)
{
	int r;

	/* SQLite would start it anew after its end. */
	if (q->error || q->ended)
		return q->error;
	r = sqlite3_step(q->stmt);
	if (r == SQLITE_ROW)
		return 1;
	q->ended = true;
	if (r != SQLITE_DONE)
		q->error = fail(q->db, r);
	return q->error;
}

int64_t db_int(struct db_query *q, int column)
{
	return sqlite3_column_int64(q->stmt, column);
}

const char *db_text(struct db_query *q, int column)
{
	return (const char *)sqlite3_column_text(q->stmt, column);
}

const void *db_blob(struct db_query *q, int column, size_t *ret_len)
{
	const void *p = sqlite3_column_blob(q->stmt, column);

	*ret_len = (size_t)sqlite3_column_bytes(q->stmt, column);
	return p;
}

bool db_is_null(struct db_query *q, int column)
{
	return sqlite3_column_type(q->stmt, column) == SQLITE_NULL;
}

int64_t db_changes(const struct db *db)
{
	return sqlite3_changes64(db->sqlite);
}

/* ---- transactions ---- */

static int execute(struct db *db, const char *sql)
{
	int r = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);

	return r == SQLITE_OK ? 0 : fail(db, r);
}

int db_begin(struct db *db)
{
	int r = db->depth == 0 ? db_run(db, "BEGIN IMMEDIATE", "") : 0;

	if (r == 0)
		db->depth++;
	return r;
}

/* Ends the outermost transaction without keeping anything. */
static void abandon(struct db *db)
{
	db->doomed = false;
	if (!sqlite3_get_autocommit(db->sqlite))
		sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
}

void db_rollback(struct db *db)
{
	assert(db->depth > 0);
	db->doomed = true;
	if (--db->depth == 0)
		abandon(db);
}

int db_commit(struct db *db)
{
	int r = 0;

	assert(db->depth > 0);
	if (sqlite3_get_autocommit(db->sqlite))
		db->doomed = true;
	if (--db->depth > 0)
		return db->doomed ? -ECANCELED : 0;
	if (db->doomed)
		r = say(db->path, -ECANCELED, "the transaction has failed");
	else
		r = db_run(db, "COMMIT", "");
	if (r < 0)
		abandon(db);
	return r;
}

/* ---- opening ---- */

static int query_int(struct db *db, const char *sql, int64_t *ret)
{
	sqlite3_stmt *stmt = NULL;
	int r = sqlite3_prepare_v2(db->sqlite, sql, -1, &stmt, NULL);

	if (r == SQLITE_OK && (r = sqlite3_step(stmt)) == SQLITE_ROW) {
		*ret = sqlite3_column_int64(stmt, 0);
		r = SQLITE_OK;
	}
	sqlite3_finalize(stmt);
	return r == SQLITE_OK ? 0 : fail(db, r);
}

static int migrate(struct db *db, const char *const *migrations, size_t count)
{
	int64_t version = 0;
	char sql[64];
	int r = query_int(db, "PRAGMA user_version", &version);

	if (r == 0 && (version < 0 || (uint64_t)version > count)) {
		snprintf(sql, sizeof(sql), "was made by a newer version (%lld, not %zu)",
			 (long long)version, count);
		return say(db->path, -ENOTSUP, sql);
	}
	for (; r == 0 && (size_t)version < count; version++) {
		r = db_begin(db);
		if (r < 0)
			break;
		r = execute(db, migrations[version]);
		snprintf(sql, sizeof(sql), "PRAGMA user_version = %lld", (long long)version + 1);
		if (r == 0)
			r = execute(db, sql);
		if (r == 0)
			r = db_commit(db);
		else
			db_rollback(db);
	}
	return r;
}

/* Creates the file, so that it has its mode before anything is in it; SQLite gives the files beside
 * it the same one. */
static int create(const char *path, int flags)
{
	int fd = open(path, flags | O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail_errno(path, errno);
	close(fd);
	return 0;
}

/* Ends the connection, not the struct. */
static void disconnect(struct db *db)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct db_query *q = db->buckets[i], *next; q; q = next) {
			next = q->next;
			assert(!q->used);
			sqlite3_finalize(q->stmt);
			free(q);
		}
		db->buckets[i] = NULL;
	}
	sqlite3_close(db->sqlite);
	db->sqlite = NULL;
}

static int connect_as(struct db *db, enum db_sync sync, const char *locking, int busy_ms)
{
	char sql[256];
	int r;

	r = sqlite3_open_v2(db->path, &db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			    NULL);
	if (r != SQLITE_OK)
		return fail(db, r);
	sqlite3_extended_result_codes(db->sqlite, 1);
	sqlite3_busy_timeout(db->sqlite, busy_ms);
	snprintf(
		sql, sizeof(sql),
		"PRAGMA locking_mode = %s; PRAGMA journal_mode = WAL; PRAGMA synchronous = %s;"
		"PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;"
		"BEGIN IMMEDIATE; COMMIT;",
		locking, sync == DB_SYNC_FULL ? "FULL" : "NORMAL");
	r = execute(db, sql);
	sqlite3_busy_timeout(db->sqlite, BUSY_MS);
	return r;
}

int db_open(const char *path, enum db_sync sync, const char *const *migrations, size_t count,
	    struct db **ret)
{
	struct db *db;
	int r = strcmp(path, ":memory:") == 0 ? 0 : create(path, 0);

	if (r < 0)
		return r;
	db = xcalloc(1, sizeof(*db));
	db->path = xstrdup(path);
	r = connect_as(db, sync, "EXCLUSIVE", 100);
	if (r == -EBUSY) {
		disconnect(db);
		r = connect_as(db, sync, "NORMAL", BUSY_MS);
	}
	if (r == 0)
		r = migrate(db, migrations, count);
	if (r < 0) {
		db_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	disconnect(db);
	free(db->path);
	free(db);
}

/* ---- whole files ---- */

int db_flush(struct db *db)
{
	int r = sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_FULL, NULL, NULL);

	return r == SQLITE_OK ? 0 : fail(db, r);
}

static int sync_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;

	if (fd < 0 || fsync(fd) < 0)
		r = fail_errno(path, errno);
	if (fd >= 0)
		close(fd);
	return r;
}

int db_backup(struct db *db, const char *path)
{
	int r = create(path, O_EXCL);

	if (r < 0)
		return r;
	r = db_run(db, "VACUUM INTO ?", "s", path);
	if (r == 0)
		r = sync_file(path);
	if (r < 0)
		unlink(path);
	return r;
}
