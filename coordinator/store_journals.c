/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The store's journals: what a writer must find again (schemas/writer.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/store_private.h"

static int journal_state_put(struct store *s, const char *path, const struct writer_record *rec)
{
	const struct writer_state *st = rec->state;
	struct buf gone = { 0 };
	int r;

	words_join(&gone, st->gone, st->gone_count);
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

static int journal_log_put(struct store *s, const char *path, uint64_t ver, const char *document)
{
	return db_run(s->db, "INSERT OR REPLACE INTO journal_log VALUES (?, ?, ?)", "sis", path,
		      (int64_t)ver, document);
}

static int journal_op_put(struct store *s, const char *path, const struct journal_op *op)
{
	if (op->put)
		return db_run(s->db, "INSERT OR REPLACE INTO journal_members VALUES (?, ?, ?)",
			      "sss", path, op->put, op->body);
	if (op->del)
		return db_run(s->db, "DELETE FROM journal_members WHERE path = ? AND name = ?",
			      "ss", path, op->del);
	return 0;
}

static int journal_record(struct store *s, const char *path, const struct writer_record *rec)
{
	uint64_t ver = rec->state->position.ver;
	int r = 0;

	if (rec->new_epoch)
		r = db_run(s->db, "DELETE FROM journal_log WHERE path = ?", "s", path);
	if (r == 0)
		r = journal_state_put(s, path, rec);
	if (r == 0 && rec->delta)
		r = journal_log_put(s, path, ver, rec->delta);
	if (r == 0 && rec->delta && ver >= JOURNAL_RING)
		r = db_run(s->db, "DELETE FROM journal_log WHERE path = ? AND ver <= ?", "si", path,
			   (int64_t)(ver - JOURNAL_RING));
	for (size_t i = 0; r == 0 && i < rec->op_count; i++)
		r = journal_op_put(s, path, &rec->ops[i]);
	for (size_t i = 0; r == 0 && i < rec->resigned_count; i++)
		r = journal_log_put(s, path, rec->resigned[i].ver, rec->resigned[i].delta);
	return r;
}

int store_journal_record(struct store *s, const char *path, const struct writer_record *rec)
{
	int r = db_begin(s->db);

	return r < 0 ? r : store_end(s, journal_record(s, path, rec));
}

static int journal_load_rows(struct store *s, const char *path, struct writer *w)
{
	struct db_query *q =
		db_query(s->db, "SELECT name, body FROM journal_members WHERE path = ?", "s", path);
	int r;

	while ((r = db_step(q)) == 1)
		writer_restore_member(w, db_text(q, 0), db_text(q, 1));
	db_finish(q);
	if (r < 0)
		return r;
	q = db_query(s->db, "SELECT ver, document FROM journal_log WHERE path = ? ORDER BY ver",
		     "s", path);
	while ((r = db_step(q)) == 1)
		writer_restore_log(w, (uint64_t)db_int(q, 0), db_text(q, 1), strlen(db_text(q, 1)));
	db_finish(q);
	return r;
}

int store_journal_load(struct store *s, const char *path, struct writer *w)
{
	struct writer_state st = { 0 };
	struct arena a = { 0 };
	struct db_query *q = db_query(s->db,
				      "SELECT epoch, ver, hash, dropped, slot, snapshot_ver, runs,"
				      " gone, manifest FROM journals WHERE path = ?",
				      "s", path);
	int r = db_step(q);

	if (r == 1) {
		size_t len;
		const void *runs = db_blob(q, 6, &len);
		char *manifest = column_text(&a, q, 8);

		st.position.epoch = (uint64_t)db_int(q, 0);
		st.position.ver = (uint64_t)db_int(q, 1);
		column_blob(q, 2, st.hash, HASH_LEN);
		st.drop = db_int(q, 3) != 0;
		st.slot = (unsigned)db_int(q, 4);
		st.snapshot_ver = (uint64_t)db_int(q, 5);
		st.run_count = len / sizeof(*st.runs);
		st.runs = arena_memdup(&a, runs, st.run_count * sizeof(*st.runs));
		words_split(&a, db_text(q, 7), &st.gone, &st.gone_count);
		r = query_finish_one(q, r);
		if (r == 0)
			r = journal_load_rows(s, path, w);
		if (r == 0)
			writer_restore(w, &st, manifest, manifest ? strlen(manifest) : 0);
	} else {
		r = query_finish_one(q, r);
	}
	arena_done(&a);
	return r;
}

int store_journal_delete(struct store *s, const char *path)
{
	int r = db_begin(s->db);

	if (r < 0)
		return r;
	if ((r = db_run(s->db, "DELETE FROM journal_log WHERE path = ?", "s", path)) == 0 &&
	    (r = db_run(s->db, "DELETE FROM journal_members WHERE path = ?", "s", path)) == 0)
		r = db_run(s->db, "DELETE FROM journals WHERE path = ?", "s", path);
	return store_end(s, r);
}
