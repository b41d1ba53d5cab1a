/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The agent's state on disk: registers, journals, and where peers were heard last. One thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/state_private.h"
#include "lib/text.h"

/* ---- registers ---- */

uint64_t state_register_seq(struct state *s, const char *path)
{
	struct db_query *q = db_query(s->db, "SELECT seq FROM registers WHERE path = ?", "s", path);
	uint64_t seq = 0;

	if (db_step(q) == 1)
		seq = (uint64_t)db_int(q, 0);
	db_finish(q);
	return seq;
}

void state_register_put(struct state *s, const char *path, uint64_t seq, const char *body)
{
	if (state_takes(s))
		state_check(s, db_run(s->db,
				      "INSERT OR REPLACE INTO registers (path, seq, body)"
				      " VALUES (?, ?, ?)",
				      "sis", path, (int64_t)seq, body));
}

void state_register_del(struct state *s, const char *path)
{
	if (state_takes(s))
		state_check(s, db_run(s->db, "DELETE FROM registers WHERE path = ?", "s", path));
}

void state_register_each(struct state *s, const char *prefix,
			 void (*each)(void *owner, const char *path, uint64_t seq,
				      const char *body),
			 void *owner)
{
	struct db_query *q = db_query(s->db,
				      "SELECT path, seq, body FROM registers"
				      " WHERE substr(path, 1, ?) = ?",
				      "is", (int64_t)strlen(prefix), prefix);

	while (db_step(q) == 1)
		each(owner, db_text(q, 0), (uint64_t)db_int(q, 1), db_text(q, 2));
	db_finish(q);
}

/* ---- journals ---- */

static void floors_format(const struct replica_state *st, struct buf *out)
{
	for (size_t i = 0; i < st->floor_count; i++)
		buf_printf(out, "%s%s %llu %llu", i ? " " : "", st->floors[i].key,
			   (unsigned long long)st->floors[i].taken.epoch,
			   (unsigned long long)st->floors[i].taken.ver);
}

static int floors_parse(const char *text, struct replica_state *ret)
{
	_cleanup_(freep) char *copy = xstrdup(text);
	char *save = NULL, *key = strtok_r(copy, " ", &save), *epoch, *ver;

	for (; key; key = strtok_r(NULL, " ", &save)) {
		struct replica_floor *f = &ret->floors[ret->floor_count];

		epoch = strtok_r(NULL, " ", &save);
		ver = strtok_r(NULL, " ", &save);
		if (ret->floor_count == ARRAY_SIZE(ret->floors) || !text_is_id(key) || !epoch ||
		    !ver || u64_parse(epoch, 0, INT64_MAX, &f->taken.epoch) < 0 ||
		    u64_parse(ver, 0, INT64_MAX, &f->taken.ver) < 0)
			return -EBADMSG;
		memcpy(f->key, key, KEY_ID_SIZE);
		ret->floor_count++;
	}
	return 0;
}

static char *text_or_null(struct db_query *q, int column)
{
	const char *s = db_text(q, column);

	return s ? xstrdup(s) : NULL;
}

static int read_row(struct db_query *q, struct replica_state *ret)
{
	size_t hash_len, run_len;
	const void *hash = db_blob(q, 3, &hash_len), *run = db_blob(q, 4, &run_len);
	const char *key = db_text(q, 10);

	ret->position = (struct journal_position){ (uint64_t)db_int(q, 0), (uint64_t)db_int(q, 1) };
	ret->proven = db_int(q, 2) != 0;
	ret->join_reached = db_int(q, 5) != 0;
	ret->minimum = (struct journal_position){ (uint64_t)db_int(q, 6), (uint64_t)db_int(q, 7) };
	ret->proof = text_or_null(q, 8);
	ret->proof_kind = (unsigned)db_int(q, 9);
	ret->join_topic = text_or_null(q, 12);
	ret->join = text_or_null(q, 13);
	ret->drop_due = db_int(q, 14) != 0;
	if (hash_len != HASH_LEN || run_len != RUN_LEN || strlen(key) >= KEY_ID_SIZE)
		return -EBADMSG;
	memcpy(ret->hash, hash, HASH_LEN);
	memcpy(ret->run, run, RUN_LEN);
	memcpy(ret->proof_key, key, strlen(key) + 1);
	return floors_parse(db_text(q, 11), ret);
}

int state_journal_get(struct state *s, const char *path, struct replica_state *ret,
		      void (*member)(void *owner, const char *name, const char *body, bool orphan),
		      void *owner)
{
	struct db_query *q;
	int r;

	memset(ret, 0, sizeof(*ret));
	q = db_query(s->db,
		     "SELECT epoch, ver, proven, hash, run, join_reached, minimum_epoch,"
		     " minimum_ver, proof, proof_kind, proof_key, floors, topic, document, drop_due"
		     " FROM journals LEFT JOIN joins USING (path) WHERE path = ?",
		     "s", path);
	r = db_step(q);
	if (r == 1)
		r = read_row(q, ret);
	else if (r == 0)
		r = -ENOENT;
	db_finish(q);
	if (r < 0) {
		replica_state_done(ret);
		return r;
	}
	if (!member)
		return 0;
	q = db_query(s->db, "SELECT name, body, orphan FROM members WHERE path = ?", "s", path);
	while ((r = db_step(q)) == 1)
		member(owner, db_text(q, 0), db_text(q, 1), db_int(q, 2) != 0);
	db_finish(q);
	return r;
}

static void put_row(struct state *s, const char *path, const struct replica_state *st)
{
	struct buf floors = { 0 };

	floors_format(st, &floors);
	state_check(s, db_run(s->db,
			      "INSERT OR REPLACE INTO journals (path, epoch, ver, proven, hash,"
			      " run, join_reached, minimum_epoch, minimum_ver, proof, proof_kind,"
			      " proof_key, floors, drop_due)"
			      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			      "siiibbiiisissi", path, (int64_t)st->position.epoch,
			      (int64_t)st->position.ver, (int64_t)st->proven, st->hash,
			      (size_t)HASH_LEN, st->run, (size_t)RUN_LEN, (int64_t)st->join_reached,
			      (int64_t)st->minimum.epoch, (int64_t)st->minimum.ver, st->proof,
			      (int64_t)st->proof_kind, st->proof_key, buf_cstr(&floors),
			      (int64_t)st->drop_due));
	buf_done(&floors);
}

/* Long, and the same for years: written only when it is another one. */
static void put_join(struct state *s, const char *path, const struct replica_state *st)
{
	if (!st->join || !st->join_topic)
		state_check(s, db_run(s->db, "DELETE FROM joins WHERE path = ?", "s", path));
	else
		state_check(s, db_run(s->db,
				      "INSERT INTO joins (path, topic, document) VALUES (?, ?, ?)"
				      " ON CONFLICT (path) DO UPDATE SET topic = excluded.topic,"
				      " document = excluded.document WHERE topic <> excluded.topic"
				      " OR document <> excluded.document",
				      "sss", path, st->join_topic, st->join));
}

static void put_member(struct state *s, const char *path, const char *name, const char *body,
		       bool orphan)
{
	state_check(s, db_run(s->db,
			      "INSERT OR REPLACE INTO members (path, name, orphan, body)"
			      " VALUES (?, ?, ?, ?)",
			      "ssis", path, name, (int64_t)orphan, body));
}

void state_journal_put(struct state *s, const char *path, const struct replica_state *st,
		       const struct replica_change *changes, size_t count)
{
	state_begin(s);
	if (state_takes(s))
		put_row(s, path, st);
	if (state_takes(s))
		put_join(s, path, st);
	for (size_t i = 0; i < count && state_takes(s); i++) {
		const struct replica_change *c = &changes[i];

		if (c->change == MEMBER_DEL)
			state_check(s,
				    db_run(s->db, "DELETE FROM members WHERE path = ? AND name = ?",
					   "ss", path, c->name));
		else
			put_member(s, path, c->name, c->body, c->change == MEMBER_ORPHANED);
	}
	state_commit(s);
}

void state_journal_rewrite(struct state *s, const char *path, const struct replica *r)
{
	struct replica_state st;
	bool orphan;

	state_begin(s);
	state_journal_del(s, path);
	replica_state(r, &st);
	/* What it holds before it is ready it does not tell: it has to read that again. */
	if (!replica_is_ready(r)) {
		st.position = (struct journal_position){ 0 };
		st.proven = false;
		free(st.proof);
		st.proof = NULL;
	}
	if (state_takes(s))
		put_row(s, path, &st);
	if (state_takes(s))
		put_join(s, path, &st);
	replica_state_done(&st);
	for (const char *name = replica_next(r, NULL); name && state_takes(s);
	     name = replica_next(r, name)) {
		const char *body = replica_get(r, name, &orphan);

		put_member(s, path, name, body, orphan);
	}
	state_commit(s);
}

void state_journal_del(struct state *s, const char *path)
{
	static const char *const clear[] = { "DELETE FROM journals WHERE path = ?",
					     "DELETE FROM joins WHERE path = ?",
					     "DELETE FROM members WHERE path = ?" };

	state_begin(s);
	for (size_t i = 0; i < ARRAY_SIZE(clear) && state_takes(s); i++)
		state_check(s, db_run(s->db, clear[i], "s", path));
	state_commit(s);
}

/* ---- where a peer was last heard from ---- */

void state_learned_each(struct state *s, const char *network,
			void (*each)(void *owner, const char *node, const struct endpoint *e),
			void *owner)
{
	struct db_query *q = db_query(s->db, "SELECT node, endpoint FROM learned WHERE network = ?",
				      "s", network);
	struct endpoint e;

	while (db_step(q) == 1)
		if (endpoint_parse(db_text(q, 1), &e) == 0)
			each(owner, db_text(q, 0), &e);
	db_finish(q);
}

void state_learned_put(struct state *s, const char *network, const char *node,
		       const struct endpoint *e)
{
	char text[ENDPOINT_SIZE];

	if (state_takes(s))
		state_check(s, db_run(s->db,
				      "INSERT OR REPLACE INTO learned (network, node, endpoint)"
				      " VALUES (?, ?, ?)",
				      "sss", network, node, endpoint_format(e, text)));
}

void state_learned_del(struct state *s, const char *network, const char *node)
{
	if (state_takes(s))
		state_check(s, db_run(s->db, "DELETE FROM learned WHERE network = ? AND node = ?",
				      "ss", network, node));
}
