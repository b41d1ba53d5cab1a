/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exporter's state on disk. Owns the database. One thread.
 *
 * Nothing is fsynced for a change: what a power cut takes away the services file still has, and the
 * audit sees that the broker is ahead of us.
 */
#include "exporter/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/db.h"
#include "lib/file.h"
#include "lib/x509.h"

struct state {
	struct db *db;
};

static const char *const migrations[] = {
	"CREATE TABLE identity (id INTEGER PRIMARY KEY CHECK (id = 1), secret BLOB NOT NULL,"
	" tls_key TEXT NOT NULL);"
	"CREATE TABLE mesh (id INTEGER PRIMARY KEY CHECK (id = 1), root_key BLOB NOT NULL,"
	" token TEXT NOT NULL, trust TEXT NOT NULL, certificate TEXT NOT NULL,"
	" network TEXT NOT NULL, site TEXT NOT NULL, generation INTEGER NOT NULL,"
	" gateways_epoch INTEGER NOT NULL, gateways_ver INTEGER NOT NULL);"
	"CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE journals (path TEXT PRIMARY KEY, epoch INTEGER NOT NULL, ver INTEGER NOT NULL,"
	" hash BLOB NOT NULL, dropped INTEGER NOT NULL, slot INTEGER NOT NULL,"
	" snapshot_ver INTEGER NOT NULL, runs BLOB NOT NULL, gone TEXT NOT NULL, manifest TEXT);"
	"CREATE TABLE log (path TEXT NOT NULL, ver INTEGER NOT NULL, document TEXT NOT NULL,"
	" PRIMARY KEY (path, ver)) WITHOUT ROWID;"
	"CREATE TABLE members (path TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,"
	" PRIMARY KEY (path, name)) WITHOUT ROWID;",
	"CREATE TABLE cluster (id INTEGER PRIMARY KEY CHECK (id = 1), uid TEXT NOT NULL);",
};

int state_open(const char *dir, struct state **ret, char *ret_why, size_t why_size)
{
	struct state *s = xcalloc(1, sizeof(*s));
	char *path = dir ? xasprintf("%s/exporter.db", dir) : xstrdup(":memory:");
	int r = dir ? file_mkdir(dir, 0700) : 0;

	if (r < 0)
		snprintf(ret_why, why_size, "the folder %s: %s", dir, strerror(-r));
	if (r == 0 &&
	    (r = db_open(path, DB_SYNC_NORMAL, migrations, ARRAY_SIZE(migrations), &s->db)) < 0)
		snprintf(ret_why, why_size, "%s: %s", path, db_message());
	free(path);
	if (r < 0)
		free(s);
	else
		*ret = s;
	return r;
}

void state_close(struct state *s)
{
	if (!s)
		return;
	db_close(s->db);
	free(s);
}

const char *state_message(void)
{
	return db_message();
}

int state_begin(struct state *s)
{
	return db_begin(s->db);
}

int state_end(struct state *s, int r)
{
	if (r == 0)
		return db_commit(s->db);
	db_rollback(s->db);
	return r;
}

static char *column_text(struct arena *a, struct db_query *q, int column)
{
	const char *text = db_text(q, column);

	return text ? arena_strdup(a, text) : NULL;
}

static int column_blob(struct db_query *q, int column, void *ret, size_t size)
{
	size_t len;
	const void *bytes = db_blob(q, column, &len);

	if (len != size)
		return -EIO;
	memcpy(ret, bytes, size);
	return 0;
}

/* Ends a query of which one row was wanted: 0, -ENOENT, or what went wrong. */
static int finish_one(struct db_query *q, int step, int row)
{
	db_finish(q);
	return step < 0 ? step : step == 0 ? -ENOENT : row;
}

/* ---- identity ---- */

static int identity_read(struct state *s, struct identity *ret)
{
	struct db_query *q = db_query(s->db, "SELECT secret, tls_key FROM identity", "");
	uint8_t secret[KEY_LEN];
	int r = db_step(q), row = 0;

	if (r == 1 && (row = column_blob(q, 0, secret, KEY_LEN)) == 0) {
		sign_key_from_secret(secret, &ret->key);
		ret->tls_key = xstrdup(db_text(q, 1));
		crypto_wipe(secret, sizeof(secret));
	}
	return finish_one(q, r, row);
}

int state_identity(struct state *s, struct identity *ret)
{
	struct buf pem = { 0 };
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->exporter = true;
	r = identity_read(s, ret);
	if (r != -ENOENT)
		return r;
	sign_key_generate(&ret->key);
	x509_key_generate(&pem);
	ret->tls_key = buf_take(&pem);
	r = db_run(s->db, "INSERT INTO identity VALUES (1, ?, ?)", "bs", ret->key.secret,
		   (size_t)KEY_LEN, ret->tls_key);
	return r < 0 ? r : db_flush(s->db);
}

int state_identity_put(struct state *s, const uint8_t secret[static KEY_LEN], const char *tls_key)
{
	int r = db_run(s->db, "INSERT OR REPLACE INTO identity VALUES (1, ?, ?)", "bs", secret,
		       (size_t)KEY_LEN, tls_key);

	return r < 0 ? r : db_flush(s->db);
}

void state_identity_done(struct identity *i)
{
	sign_key_done(&i->key);
	if (i->tls_key)
		crypto_wipe(i->tls_key, strlen(i->tls_key));
	free(i->tls_key);
	memset(i, 0, sizeof(*i));
}

/* ---- the mesh ---- */

int state_mesh_get(struct state *s, struct arena *a, struct state_mesh *ret)
{
	struct db_query *q = db_query(s->db,
				      "SELECT root_key, token, trust, certificate, network, site,"
				      " generation, gateways_epoch, gateways_ver FROM mesh",
				      "");
	int r = db_step(q), row = 0;

	if (r == 1 && (row = column_blob(q, 0, ret->root_key, KEY_LEN)) == 0) {
		ret->token = column_text(a, q, 1);
		ret->trust = column_text(a, q, 2);
		ret->certificate = column_text(a, q, 3);
		ret->network = column_text(a, q, 4);
		ret->site = column_text(a, q, 5);
		ret->generation = (uint64_t)db_int(q, 6);
		ret->gateways.epoch = (uint64_t)db_int(q, 7);
		ret->gateways.ver = (uint64_t)db_int(q, 8);
	}
	return finish_one(q, r, row);
}

int state_mesh_put(struct state *s, const struct state_mesh *m)
{
	int r = db_run(s->db, "INSERT OR REPLACE INTO mesh VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		       "bsssssiii", m->root_key, (size_t)KEY_LEN, m->token, m->trust,
		       m->certificate, m->network, m->site, (int64_t)m->generation,
		       (int64_t)m->gateways.epoch, (int64_t)m->gateways.ver);

	return r < 0 ? r : db_flush(s->db);
}

int state_mesh_forget(struct state *s)
{
	static const char *const clear[] = { "DELETE FROM mesh", "DELETE FROM journals",
					     "DELETE FROM log", "DELETE FROM members" };
	int r = state_begin(s);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(clear); i++)
		r = db_run(s->db, clear[i], "");
	r = state_end(s, r);
	return r < 0 ? r : db_flush(s->db);
}

/* One that was never put is 0. */
static int counter(struct state *s, const char *name, uint64_t *ret)
{
	struct db_query *q =
		db_query(s->db, "SELECT value FROM counters WHERE name = ?", "s", name);
	int r = db_step(q);

	*ret = r == 1 ? (uint64_t)db_int(q, 0) : 0;
	db_finish(q);
	return MIN(r, 0);
}

static int counter_put(struct state *s, const char *name, uint64_t value)
{
	return db_run(s->db, "INSERT OR REPLACE INTO counters VALUES (?, ?)", "si", name,
		      (int64_t)value);
}

uint64_t state_connection_next(struct state *s)
{
	uint64_t n;

	/* 0 is refused as a seq, and the connection before then speaks for us. */
	if (counter(s, "connection", &n) < 0 || counter_put(s, "connection", n + 1) < 0)
		return 0;
	return n + 1;
}

int state_connection_begin(struct state *s, uint64_t above)
{
	uint64_t n;
	int r = counter(s, "connection", &n);

	return r < 0 || n >= above ? r : counter_put(s, "connection", above);
}

int state_cluster(struct state *s, const char *uid)
{
	struct db_query *q;
	int r, same = 0;

	r = db_run(s->db, "INSERT OR IGNORE INTO cluster VALUES (1, ?)", "s", uid);
	if (r < 0)
		return r;
	q = db_query(s->db, "SELECT uid FROM cluster", "");
	r = db_step(q);
	if (r == 1 && strcmp(db_text(q, 0), uid) != 0)
		same = -EEXIST;
	return finish_one(q, r, same);
}

/* ---- the journal ---- */

static int journal_state_put(struct state *s, const char *path, const struct writer_record *rec)
{
	const struct writer_state *st = rec->state;
	struct buf gone = { 0 };
	int r;

	for (size_t i = 0; i < st->gone_count; i++)
		buf_printf(&gone, "%s%s", i ? " " : "", st->gone[i]);
	r = db_run(s->db,
		   "INSERT INTO journals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
		   " ON CONFLICT (path) DO UPDATE SET epoch = excluded.epoch, ver = excluded.ver,"
		   " hash = excluded.hash, dropped = excluded.dropped, slot = excluded.slot,"
		   " snapshot_ver = excluded.snapshot_ver, runs = excluded.runs,"
		   " gone = excluded.gone, manifest = coalesce(excluded.manifest, manifest)",
		   "siibiiibss", path, (int64_t)st->position.epoch, (int64_t)st->position.ver,
		   st->hash, (size_t)HASH_LEN, (int64_t)st->drop, (int64_t)st->slot,
		   (int64_t)st->snapshot_ver, st->runs, st->run_count * sizeof(*st->runs),
		   buf_cstr(&gone), rec->manifest);
	buf_done(&gone);
	return r;
}

static int journal_log_put(struct state *s, const char *path, uint64_t ver, const char *document)
{
	return db_run(s->db, "INSERT OR REPLACE INTO log VALUES (?, ?, ?)", "sis", path,
		      (int64_t)ver, document);
}

int state_journal_member(struct state *s, const char *path, const char *name, const char *body)
{
	return db_run(s->db, "INSERT OR REPLACE INTO members VALUES (?, ?, ?)", "sss", path, name,
		      body);
}

static int journal_op_put(struct state *s, const char *path, const struct journal_op *op)
{
	if (op->put)
		return state_journal_member(s, path, op->put, op->body);
	if (op->del)
		return db_run(s->db, "DELETE FROM members WHERE path = ? AND name = ?", "ss", path,
			      op->del);
	return 0;
}

static int journal_rows_put(struct state *s, const char *path, const struct writer_record *rec)
{
	uint64_t ver = rec->state->position.ver;
	int r = 0;

	if (rec->new_epoch)
		r = db_run(s->db, "DELETE FROM log WHERE path = ?", "s", path);
	if (r == 0)
		r = journal_state_put(s, path, rec);
	if (r == 0 && rec->delta)
		r = journal_log_put(s, path, ver, rec->delta);
	if (r == 0 && rec->delta && ver >= JOURNAL_RING)
		r = db_run(s->db, "DELETE FROM log WHERE path = ? AND ver <= ?", "si", path,
			   (int64_t)(ver - JOURNAL_RING));
	for (size_t i = 0; r == 0 && i < rec->op_count; i++)
		r = journal_op_put(s, path, &rec->ops[i]);
	for (size_t i = 0; r == 0 && i < rec->resigned_count; i++)
		r = journal_log_put(s, path, rec->resigned[i].ver, rec->resigned[i].delta);
	return r;
}

int state_journal_record(struct state *s, const char *path, const struct writer_record *rec)
{
	int r = state_begin(s);

	return r < 0 ? r : state_end(s, journal_rows_put(s, path, rec));
}

static int journal_rows_load(struct state *s, const char *path, struct writer *w)
{
	struct db_query *q =
		db_query(s->db, "SELECT name, body FROM members WHERE path = ?", "s", path);
	int r;

	while ((r = db_step(q)) == 1)
		writer_restore_member(w, db_text(q, 0), db_text(q, 1));
	db_finish(q);
	if (r < 0)
		return r;
	q = db_query(s->db, "SELECT ver, document FROM log WHERE path = ? ORDER BY ver", "s", path);
	while ((r = db_step(q)) == 1)
		writer_restore_log(w, (uint64_t)db_int(q, 0), db_text(q, 1), strlen(db_text(q, 1)));
	db_finish(q);
	return r;
}

/* Names of members hold no blank. */
static void gone_split(struct arena *a, const char *text, struct writer_state *st)
{
	size_t count = *text != '\0';

	for (const char *p = text; *p; p++)
		count += *p == ' ';
	st->gone = arena_array(a, count, sizeof(*st->gone));
	for (; *text; text += *text == ' ') {
		size_t len = strcspn(text, " ");

		st->gone[st->gone_count++] = arena_strndup(a, text, len);
		text += len;
	}
}

int state_journal_load(struct state *s, const char *path, struct writer *w)
{
	struct writer_state st = { 0 };
	struct arena a = { 0 };
	struct db_query *q = db_query(s->db,
				      "SELECT epoch, ver, hash, dropped, slot, snapshot_ver, runs,"
				      " gone, manifest FROM journals WHERE path = ?",
				      "s", path);
	int r = db_step(q), row = 0;
	char *manifest = NULL;

	if (r == 1) {
		size_t len;
		const void *runs = db_blob(q, 6, &len);

		st.position.epoch = (uint64_t)db_int(q, 0);
		st.position.ver = (uint64_t)db_int(q, 1);
		row = column_blob(q, 2, st.hash, HASH_LEN);
		st.drop = db_int(q, 3) != 0;
		st.slot = (unsigned)db_int(q, 4);
		st.snapshot_ver = (uint64_t)db_int(q, 5);
		st.run_count = len / sizeof(*st.runs);
		st.runs = arena_memdup(&a, runs, st.run_count * sizeof(*st.runs));
		gone_split(&a, db_text(q, 7), &st);
		manifest = column_text(&a, q, 8);
	}
	r = finish_one(q, r, row);
	if (r == 0)
		r = journal_rows_load(s, path, w);
	if (r == 0)
		writer_restore(w, &st, manifest, manifest ? strlen(manifest) : 0);
	arena_done(&a);
	return r;
}
