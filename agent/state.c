/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The agent's state on disk: opening, transactions, what happens when the disk does not take it, and
 * the small tables. Journals, registers and endpoints are in state_journals.c. One thread.
 */
#include "agent/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/state_private.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/log.h"

#define FLUSH_USEC (500 * USEC_PER_MSEC)
#define RETRY_USEC (5 * USEC_PER_SEC)

static const char *const migrations[] = {
	"CREATE TABLE identity (id INTEGER PRIMARY KEY CHECK (id = 1), secret BLOB NOT NULL,"
	" tls_key TEXT NOT NULL);"
	"CREATE TABLE mesh (id INTEGER PRIMARY KEY CHECK (id = 1), root_key BLOB NOT NULL,"
	" trust TEXT NOT NULL, certificate TEXT NOT NULL, site TEXT);"
	"CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE networks (name TEXT PRIMARY KEY, membership TEXT NOT NULL,"
	" private_key BLOB NOT NULL, port INTEGER NOT NULL, ep_seq INTEGER NOT NULL,"
	" joined INTEGER NOT NULL);"
	"CREATE TABLE registers (path TEXT PRIMARY KEY, seq INTEGER NOT NULL, body TEXT)"
	" WITHOUT ROWID;"
	"CREATE TABLE journals (path TEXT PRIMARY KEY, epoch INTEGER NOT NULL,"
	" ver INTEGER NOT NULL, proven INTEGER NOT NULL, hash BLOB NOT NULL, run BLOB NOT NULL,"
	" join_reached INTEGER NOT NULL, minimum_epoch INTEGER NOT NULL,"
	" minimum_ver INTEGER NOT NULL, proof TEXT, proof_kind INTEGER NOT NULL,"
	" proof_key TEXT NOT NULL, floors TEXT NOT NULL, drop_due INTEGER NOT NULL);"
	"CREATE TABLE joins (path TEXT PRIMARY KEY, topic TEXT NOT NULL, document TEXT NOT NULL);"
	"CREATE TABLE members (path TEXT NOT NULL, name TEXT NOT NULL, orphan INTEGER NOT NULL,"
	" body TEXT NOT NULL, PRIMARY KEY (path, name)) WITHOUT ROWID;"
	"CREATE TABLE learned (network TEXT NOT NULL, node TEXT NOT NULL, endpoint TEXT NOT NULL,"
	" PRIMARY KEY (network, node)) WITHOUT ROWID;"
	"CREATE TABLE tokens (id TEXT PRIMARY KEY, network TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE leaving (network TEXT PRIMARY KEY) WITHOUT ROWID;",
	"ALTER TABLE networks ADD COLUMN held INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE networks ADD COLUMN holder_gone INTEGER NOT NULL DEFAULT 0;",
};

/* ---- when the disk does not take it ---- */

bool state_takes(const struct state *s)
{
	return !s->broken;
}

void state_check(struct state *s, int r)
{
	if (r >= 0)
		return;
	if (s->open)
		db_rollback(s->db);
	if (!s->broken || strncmp(s->problem + strlen("the state is not stored: "), db_message(),
				  strlen(db_message())) != 0)
		log_error("state-not-stored", "error=%s", log_quote(db_message()));
	s->broken = true;
	snprintf(s->problem, sizeof(s->problem),
		 "the state is not stored: %s; what runs goes on, but a restart would not know it",
		 db_message());
	if (s->loop)
		loop_timer_set(s->loop, &s->retry, clock_mono() + RETRY_USEC);
}

const char *state_problem(const struct state *s)
{
	return s->broken ? s->problem : NULL;
}

void state_on_rewrite(struct state *s, void (*rewrite)(void *owner), void *owner)
{
	s->rewrite = rewrite;
	s->owner = owner;
}

void state_begin(struct state *s)
{
	int r;

	if (s->depth++ > 0 || !state_takes(s))
		return;
	r = db_begin(s->db);
	s->open = r == 0;
	state_check(s, r);
}

void state_commit(struct state *s)
{
	int r;

	if (--s->depth > 0 || !s->open)
		return;
	s->open = false;
	/* What failed inside was told already; its transaction must end all the same. */
	r = db_commit(s->db);
	if (!s->broken)
		state_check(s, r);
}

static void rewrite_sets(struct state *s)
{
	for (struct map_entry *e = map_next(s->tokens, NULL); e; e = map_next(s->tokens, e))
		state_check(s, db_run(s->db, "INSERT INTO tokens (id, network) VALUES (?, ?)", "ss",
				      map_entry_key(e), (char *)map_entry_value(e)));
	for (struct map_entry *e = map_next(s->leaving, NULL); e; e = map_next(s->leaving, e))
		state_check(s, db_run(s->db, "INSERT INTO leaving (network) VALUES (?)", "s",
				      map_entry_key(e)));
}

int state_settle(struct state *s)
{
	static const char *const clear[] = {
		"DELETE FROM networks", "DELETE FROM journals",	 "DELETE FROM joins",
		"DELETE FROM members",	"DELETE FROM registers", "DELETE FROM learned",
		"DELETE FROM tokens",	"DELETE FROM leaving",
	};

	if (!s->broken)
		return 0;
	if (!s->rewrite || s->depth)
		return -EIO;
	s->broken = false;
	state_begin(s);
	for (size_t i = 0; i < ARRAY_SIZE(clear) && !s->broken; i++)
		state_check(s, db_run(s->db, clear[i], ""));
	if (!s->broken)
		rewrite_sets(s);
	if (!s->broken)
		s->rewrite(s->owner);
	state_commit(s);
	if (s->broken)
		return -EIO;
	log_info("state-stored", "all of it, after a failure");
	return 0;
}

static void retry_fired(struct loop_timer *t)
{
	state_settle(container_of(t, struct state, retry));
}

static void flush_fired(struct loop_timer *t)
{
	struct state *s = container_of(t, struct state, flush);

	if (state_takes(s))
		state_check(s, db_flush(s->db));
}

void state_flush_soon(struct state *s)
{
	if (s->loop && !s->flush.added)
		loop_timer_set(s->loop, &s->flush, clock_mono() + FLUSH_USEC);
}

/* ---- opening ---- */

static int load_sets(struct state *s)
{
	struct db_query *q = db_query(s->db, "SELECT id, network FROM tokens", "");
	int r;

	while ((r = db_step(q)) == 1)
		free(map_put(s->tokens, db_text(q, 0), xstrdup(db_text(q, 1))));
	db_finish(q);
	if (r < 0)
		return r;
	q = db_query(s->db, "SELECT network FROM leaving", "");
	while ((r = db_step(q)) == 1)
		free(map_put(s->leaving, db_text(q, 0), xstrdup(db_text(q, 0))));
	db_finish(q);
	return r;
}

int state_open(const char *dir, struct loop *loop, struct state **ret, char *ret_why,
	       size_t why_size)
{
	_cleanup_(freep) char *path = xasprintf("%s/state.db", dir);
	struct state *s = xcalloc(1, sizeof(*s));
	int r = file_mkdir(dir, 0700);

	if (r < 0) {
		snprintf(ret_why, why_size, "%s cannot be made: %s", dir, strerror(-r));
		free(s);
		return r;
	}
	s->loop = loop;
	s->flush.fired = flush_fired;
	s->retry.fired = retry_fired;
	s->tokens = map_new();
	s->leaving = map_new();
	r = db_open(path, DB_SYNC_NORMAL, migrations, ARRAY_SIZE(migrations), &s->db);
	if (r == 0)
		r = load_sets(s);
	if (r < 0) {
		snprintf(ret_why, why_size, "%s", db_message());
		if (s->db)
			db_close(s->db);
		s->db = NULL;
		state_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

void state_close(struct state *s)
{
	if (!s)
		return;
	if (s->loop) {
		loop_timer_del(s->loop, &s->flush);
		loop_timer_del(s->loop, &s->retry);
	}
	if (s->db) {
		state_settle(s);
		if (state_takes(s))
			state_check(s, db_flush(s->db));
		if (s->loop)
			loop_timer_del(s->loop, &s->retry);
		db_close(s->db);
	}
	map_free(s->tokens, free);
	map_free(s->leaving, free);
	free(s);
}

/* ---- identity and mesh ---- */

int state_identity_get(struct state *s, struct arena *a, struct state_identity *ret)
{
	struct db_query *q = db_query(s->db, "SELECT secret, tls_key FROM identity", "");
	const void *secret;
	size_t len;
	int r = db_step(q);

	if (r == 1) {
		secret = db_blob(q, 0, &len);
		r = len == KEY_LEN && db_text(q, 1) ? 0 : -EBADMSG;
		if (r == 0) {
			memcpy(ret->secret, secret, KEY_LEN);
			ret->tls_key = arena_strdup(a, db_text(q, 1));
		}
	} else if (r == 0) {
		r = -ENOENT;
	}
	db_finish(q);
	return r;
}

void state_identity_put(struct state *s, const struct state_identity *i)
{
	if (state_takes(s))
		state_check(s, db_run(s->db,
				      "INSERT OR REPLACE INTO identity (id, secret, tls_key)"
				      " VALUES (1, ?, ?)",
				      "bs", i->secret, (size_t)KEY_LEN, i->tls_key));
}

int state_mesh_get(struct state *s, struct arena *a, struct state_mesh *ret)
{
	struct db_query *q =
		db_query(s->db, "SELECT root_key, trust, certificate, site FROM mesh", "");
	const void *key;
	size_t len;
	int r = db_step(q);

	if (r == 1) {
		key = db_blob(q, 0, &len);
		r = len == KEY_LEN ? 0 : -EBADMSG;
		if (r == 0)
			memcpy(ret->root_key, key, KEY_LEN);
		ret->trust = arena_strdup(a, db_text(q, 1));
		ret->certificate = arena_strdup(a, db_text(q, 2));
		ret->site = db_is_null(q, 3) ? NULL : arena_strdup(a, db_text(q, 3));
	} else if (r == 0) {
		r = -ENOENT;
	}
	db_finish(q);
	return r;
}

void state_mesh_put(struct state *s, const struct state_mesh *m)
{
	if (state_takes(s))
		state_check(s, db_run(s->db,
				      "INSERT OR REPLACE INTO mesh (id, root_key, trust,"
				      " certificate, site) VALUES (1, ?, ?, ?, ?)",
				      "bsss", m->root_key, (size_t)KEY_LEN, m->trust,
				      m->certificate, m->site));
}

void state_mesh_forget(struct state *s)
{
	static const char *const clear[] = { "DELETE FROM mesh", "DELETE FROM registers",
					     "DELETE FROM tokens", "DELETE FROM leaving" };

	map_clear(s->tokens, free);
	map_clear(s->leaving, free);
	state_begin(s);
	for (size_t i = 0; i < ARRAY_SIZE(clear) && state_takes(s); i++)
		state_check(s, db_run(s->db, clear[i], ""));
	state_commit(s);
}

uint64_t state_connection_next(struct state *s)
{
	struct db_query *q =
		db_query(s->db, "SELECT value FROM counters WHERE name = 'connection'", "");
	uint64_t n = 1;

	if (db_step(q) == 1)
		n = (uint64_t)db_int(q, 0) + 1;
	db_finish(q);
	/* The disk may be full: count on with the clock, which is far above any count. */
	if (!state_takes(s))
		return MAX(n, (uint64_t)clock_wall());
	state_check(s, db_run(s->db,
			      "INSERT OR REPLACE INTO counters (name, value)"
			      " VALUES ('connection', ?)",
			      "i", (int64_t)n));
	return n;
}

/* ---- memberships ---- */

void state_network_each(struct state *s, void (*each)(void *owner, const struct state_network *n),
			void *owner)
{
	struct db_query *q = db_query(s->db,
				      "SELECT name, membership, private_key, port, ep_seq, joined,"
				      " held, holder_gone FROM networks ORDER BY joined, name",
				      "");
	struct arena a = { 0 };
	const void *key;
	size_t len;

	while (db_step(q) == 1) {
		struct state_network n = {
			.name = arena_strdup(&a, db_text(q, 0)),
			.membership = arena_strdup(&a, db_text(q, 1)),
			.port = (uint16_t)db_int(q, 3),
			.ep_seq = (uint64_t)db_int(q, 4),
			.joined = db_int(q, 5),
			.held = db_int(q, 6) != 0,
			.holder_gone = db_int(q, 7),
		};

		key = db_blob(q, 2, &len);
		if (len == KEY_LEN) {
			memcpy(n.private_key, key, KEY_LEN);
			each(owner, &n);
		}
		crypto_wipe(n.private_key, KEY_LEN);
	}
	db_finish(q);
	arena_done(&a);
}

void state_network_put(struct state *s, const struct state_network *n)
{
	if (state_takes(s))
		state_check(s, db_run(s->db,
				      "INSERT OR REPLACE INTO networks (name, membership,"
				      " private_key, port, ep_seq, joined, held, holder_gone)"
				      " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
				      "ssbiiiii", n->name, n->membership, n->private_key,
				      (size_t)KEY_LEN, (int64_t)n->port, (int64_t)n->ep_seq,
				      n->joined, (int64_t)n->held, n->holder_gone));
}

void state_network_del(struct state *s, const char *name)
{
	_cleanup_(freep) char *below = xasprintf("n/%s/*", name);
	static const char *const clear[] = {
		"DELETE FROM networks WHERE name = ?",	  "DELETE FROM learned WHERE network = ?",
		"DELETE FROM journals WHERE path GLOB ?", "DELETE FROM joins WHERE path GLOB ?",
		"DELETE FROM members WHERE path GLOB ?",  "DELETE FROM registers WHERE path GLOB ?",
	};

	state_begin(s);
	for (size_t i = 0; i < ARRAY_SIZE(clear) && state_takes(s); i++)
		state_check(s, db_run(s->db, clear[i], "s", i < 2 ? name : below));
	state_commit(s);
	state_flush_soon(s);
}

/* ---- tokens and leaves ---- */

bool state_token_used(struct state *s, const char *id)
{
	return map_get(s->tokens, id) != NULL;
}

void state_token_put(struct state *s, const char *id, const char *network)
{
	free(map_put(s->tokens, id, xstrdup(network)));
	if (state_takes(s))
		state_check(s, db_run(s->db,
				      "INSERT OR REPLACE INTO tokens (id, network) VALUES (?, ?)",
				      "ss", id, network));
}

void state_token_forget(struct state *s, const char *network)
{
	struct map_entry *e = map_next(s->tokens, NULL), *next;

	for (; e; e = next) {
		next = map_next(s->tokens, e);
		if (strcmp(map_entry_value(e), network) == 0)
			free(map_del(s->tokens, map_entry_key(e)));
	}
	if (state_takes(s))
		state_check(s, db_run(s->db, "DELETE FROM tokens WHERE network = ?", "s", network));
}

void state_leaving_put(struct state *s, const char *network)
{
	free(map_put(s->leaving, network, xstrdup(network)));
	if (state_takes(s))
		state_check(s, db_run(s->db, "INSERT OR REPLACE INTO leaving (network) VALUES (?)",
				      "s", network));
}

void state_leaving_del(struct state *s, const char *network)
{
	free(map_del(s->leaving, network));
	if (state_takes(s))
		state_check(s,
			    db_run(s->db, "DELETE FROM leaving WHERE network = ?", "s", network));
}

size_t state_leaving_list(struct state *s, struct arena *a, char ***ret)
{
	const char **sorted = map_sorted(s->leaving);
	size_t n = map_count(s->leaving);

	*ret = arena_array(a, n, sizeof(**ret));
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = arena_strdup(a, sorted[i]);
	free(sorted);
	return n;
}
