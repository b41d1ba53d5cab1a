/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The store: schema, transactions, networks, registers, counters. Members are in store_members.c,
 * tokens and joins in store_joins.c, gateways, names and exporters in store_gateways.c, journals in
 * store_journals.c.
 */
#include "coordinator/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/store_private.h"

static const char *const migrations[] = {
	"CREATE TABLE networks (name TEXT PRIMARY KEY, ranges TEXT NOT NULL, mtu INTEGER NOT NULL,"
	" keepalive INTEGER NOT NULL, port INTEGER NOT NULL, max_stale INTEGER NOT NULL,"
	" next_host INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE tokens (id TEXT PRIMARY KEY, network TEXT NOT NULL, role INTEGER NOT NULL,"
	" public_key BLOB NOT NULL, uses INTEGER NOT NULL, used INTEGER NOT NULL,"
	" at_most INTEGER NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL,"
	" tags TEXT NOT NULL, site TEXT, ranges TEXT NOT NULL, forget INTEGER NOT NULL,"
	" revoked INTEGER NOT NULL, serial INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX tokens_network ON tokens (network);"
	"CREATE TABLE nodes (id TEXT PRIMARY KEY, identity_key BLOB NOT NULL, site TEXT,"
	" last_seen INTEGER NOT NULL, online INTEGER NOT NULL, state_seq INTEGER NOT NULL,"
	" config_seq INTEGER NOT NULL, silent INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE members (network TEXT NOT NULL, node TEXT NOT NULL, name TEXT NOT NULL,"
	" role INTEGER NOT NULL, host INTEGER NOT NULL, wireguard_key BLOB NOT NULL,"
	" tags TEXT NOT NULL, endpoints TEXT NOT NULL, ep_seq INTEGER NOT NULL,"
	" token TEXT NOT NULL, joined INTEGER NOT NULL, request BLOB NOT NULL,"
	" PRIMARY KEY (network, node), UNIQUE (network, name), UNIQUE (network, host));"
	"CREATE INDEX members_node ON members (node);"
	"CREATE INDEX members_key ON members (network, wireguard_key);"
	"CREATE TABLE ended (network TEXT NOT NULL, node TEXT NOT NULL, why INTEGER NOT NULL,"
	" at INTEGER NOT NULL, name TEXT NOT NULL, host INTEGER NOT NULL,"
	" serial INTEGER NOT NULL, PRIMARY KEY (network, node)) WITHOUT ROWID;"
	"CREATE INDEX ended_node ON ended (node);"
	"CREATE TABLE freed (network TEXT NOT NULL, host INTEGER NOT NULL, at INTEGER NOT NULL,"
	" PRIMARY KEY (network, host)) WITHOUT ROWID;"
	"CREATE INDEX freed_at ON freed (network, at);"
	"CREATE TABLE joins (request BLOB PRIMARY KEY, token TEXT NOT NULL, nonce BLOB NOT NULL,"
	" network TEXT NOT NULL, node TEXT NOT NULL, answer TEXT NOT NULL, at INTEGER NOT NULL,"
	" UNIQUE (token, nonce));"
	"CREATE TABLE leaves (request BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE registers (path TEXT PRIMARY KEY, seq INTEGER NOT NULL,"
	" document TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE orphans (network TEXT NOT NULL, node TEXT NOT NULL, name TEXT,"
	" body TEXT NOT NULL, host INTEGER NOT NULL, PRIMARY KEY (network, node));"
	"CREATE INDEX orphans_host ON orphans (network, host);"
	"CREATE TABLE journals (path TEXT PRIMARY KEY, epoch INTEGER NOT NULL, ver INTEGER NOT NULL,"
	" hash BLOB NOT NULL, dropped INTEGER NOT NULL, slot INTEGER NOT NULL,"
	" snapshot_ver INTEGER NOT NULL, runs BLOB NOT NULL, gone TEXT NOT NULL, manifest TEXT);"
	"CREATE TABLE journal_log (path TEXT NOT NULL, ver INTEGER NOT NULL, document TEXT NOT NULL,"
	" PRIMARY KEY (path, ver)) WITHOUT ROWID;"
	"CREATE TABLE journal_members (path TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,"
	" PRIMARY KEY (path, name)) WITHOUT ROWID;"
	"CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;",

	"ALTER TABLE orphans ADD COLUMN key BLOB;"
	"ALTER TABLE orphans ADD COLUMN other_key BLOB;"
	"CREATE INDEX orphans_key ON orphans (network, key);"
	"CREATE INDEX orphans_other_key ON orphans (network, other_key);"
	"ALTER TABLE leaves ADD COLUMN node TEXT NOT NULL DEFAULT '';"
	"CREATE INDEX leaves_node ON leaves (node, at);",
	"CREATE TABLE gateways (id TEXT PRIMARY KEY, network TEXT NOT NULL, node TEXT, tag TEXT,"
	" site TEXT, ranges TEXT NOT NULL, nat INTEGER NOT NULL, priority INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE INDEX gateways_network ON gateways (network);"
	"CREATE TABLE names (network TEXT NOT NULL, name TEXT NOT NULL, addresses TEXT NOT NULL,"
	" PRIMARY KEY (network, name)) WITHOUT ROWID;"
	"CREATE TABLE exporters (network TEXT NOT NULL, id TEXT NOT NULL, site TEXT NOT NULL,"
	" ranges TEXT NOT NULL, generation INTEGER NOT NULL, token TEXT NOT NULL,"
	" joined INTEGER NOT NULL, request BLOB NOT NULL, PRIMARY KEY (network, id),"
	" UNIQUE (network, site));"
	"CREATE INDEX exporters_id ON exporters (id);",
	"ALTER TABLE exporters ADD COLUMN offered TEXT NOT NULL DEFAULT '';",
	"ALTER TABLE gateways ADD COLUMN from_site TEXT;",
};

int store_open(const char *path, struct store **ret)
{
	struct db *db;
	int r = db_open(path, DB_SYNC_FULL, migrations, ARRAY_SIZE(migrations), &db);

	if (r < 0)
		return r;
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->db = db;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	db_close(s->db);
	free(s);
}

const char *store_message(void)
{
	return db_message();
}

int store_begin(struct store *s)
{
	return db_begin(s->db);
}

int store_commit(struct store *s)
{
	return db_commit(s->db);
}

void store_rollback(struct store *s)
{
	db_rollback(s->db);
}

int store_end(struct store *s, int r)
{
	if (r == 0)
		return db_commit(s->db);
	db_rollback(s->db);
	return r;
}

void words_join(struct buf *out, char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_char(out, ' ');
		buf_str(out, words[i]);
	}
}

void words_split(struct arena *a, const char *text, char ***ret, size_t *ret_count)
{
	size_t count = 0;

	*ret = NULL;
	*ret_count = 0;
	if (!text || !*text)
		return;
	for (const char *p = text; p; p = strchr(p + 1, ' '))
		count++;
	*ret = arena_array(a, count, sizeof(**ret));
	while (*ret_count < count) {
		size_t len = strcspn(text, " ");

		(*ret)[(*ret_count)++] = arena_strndup(a, text, len);
		text += len + (text[len] == ' ');
	}
}

void prefixes_join(struct buf *out, const struct prefix *p, size_t count)
{
	char text[PREFIX_SIZE];

	for (size_t i = 0; i < count; i++)
		buf_printf(out, "%s%s", i ? " " : "", prefix_format(&p[i], text));
}

int prefixes_split(struct arena *a, const char *text, struct prefix **ret, size_t *ret_count)
{
	char **words;
	size_t count;

	words_split(a, text, &words, &count);
	*ret = arena_array(a, count, sizeof(**ret));
	for (size_t i = 0; i < count; i++)
		if (prefix_parse(words[i], &(*ret)[i]) < 0)
			return -EIO;
	*ret_count = count;
	return 0;
}

char *column_text(struct arena *a, struct db_query *q, int column)
{
	const char *text = db_text(q, column);

	return text ? arena_strdup(a, text) : NULL;
}

void column_blob(struct db_query *q, int column, void *ret, size_t size)
{
	size_t len;
	const void *p = db_blob(q, column, &len);

	if (p && len == size)
		memcpy(ret, p, size);
	else
		memset(ret, 0, size);
}

int query_finish_one(struct db_query *q, int step)
{
	db_finish(q);
	return step < 0 ? step : step == 1 ? 0 : -ENOENT;
}

int store_network_put(struct store *s, const struct network *n)
{
	struct buf ranges = { 0 };
	int r;

	prefixes_join(&ranges, n->ranges, n->range_count);
	r = db_run(s->db,
		   "INSERT INTO networks VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE"
		   " SET ranges = excluded.ranges, mtu = excluded.mtu,"
		   " keepalive = excluded.keepalive, port = excluded.port,"
		   " max_stale = excluded.max_stale, next_host = excluded.next_host",
		   "ssiiiii", n->name, buf_cstr(&ranges), (int64_t)n->mtu, (int64_t)n->keepalive,
		   (int64_t)n->port, (int64_t)n->max_stale, (int64_t)n->next_host);
	buf_done(&ranges);
	return r;
}

#define NETWORK_COLUMNS "name, ranges, mtu, keepalive, port, max_stale, next_host"

static int network_read(struct arena *a, struct db_query *q, struct network *ret)
{
	struct prefix *ranges;
	size_t count;
	int r = prefixes_split(a, db_text(q, 1), &ranges, &count);

	if (r < 0)
		return r;
	*ret = (struct network){
		.name = column_text(a, q, 0),
		.range_count = MIN(count, ARRAY_SIZE(ret->ranges)),
		.mtu = (uint64_t)db_int(q, 2),
		.keepalive = (uint64_t)db_int(q, 3),
		.port = (uint16_t)db_int(q, 4),
		.max_stale = (uint64_t)db_int(q, 5),
		.next_host = (uint64_t)db_int(q, 6),
	};
	memcpy(ret->ranges, ranges, ret->range_count * sizeof(*ranges));
	return 0;
}

int store_network_get(struct store *s, struct arena *a, const char *name, struct network *ret)
{
	struct db_query *q = db_query(
		s->db, "SELECT " NETWORK_COLUMNS " FROM networks WHERE name = ?", "s", name);
	int r = db_step(q), bad = r == 1 ? network_read(a, q, ret) : 0;

	r = query_finish_one(q, r);
	return bad < 0 ? bad : r;
}

int store_network_list(struct store *s, struct arena *a, struct network **ret, size_t *ret_count)
{
	struct db_query *q =
		db_query(s->db, "SELECT " NETWORK_COLUMNS " FROM networks ORDER BY name", "");
	struct network *rows = NULL;
	size_t count = 0, cap = 0;
	int r;

	while ((r = db_step(q)) == 1)
		if ((r = network_read(a, q, ROWS_ADD(rows, count, cap))) < 0)
			break;
	db_finish(q);
	*ret = ROWS_KEEP(a, rows, count);
	*ret_count = count;
	return r;
}

int store_network_delete(struct store *s, const char *name)
{
	int r = db_begin(s->db);

	if (r < 0)
		return r;
	if ((r = db_run(s->db, "DELETE FROM tokens WHERE network = ?", "s", name)) == 0 &&
	    (r = db_run(s->db, "DELETE FROM members WHERE network = ?", "s", name)) == 0 &&
	    (r = db_run(s->db, "DELETE FROM ended WHERE network = ?", "s", name)) == 0 &&
	    (r = db_run(s->db, "DELETE FROM freed WHERE network = ?", "s", name)) == 0 &&
	    (r = db_run(s->db, "DELETE FROM joins WHERE network = ?", "s", name)) == 0 &&
	    (r = db_run(s->db, "DELETE FROM orphans WHERE network = ?", "s", name)) == 0 &&
	    (r = db_run(s->db, "DELETE FROM gateways WHERE network = ?", "s", name)) == 0 &&
	    (r = db_run(s->db, "DELETE FROM names WHERE network = ?", "s", name)) == 0 &&
	    (r = db_run(s->db, "DELETE FROM exporters WHERE network = ?", "s", name)) == 0 &&
	    (r = db_run(s->db, "DELETE FROM networks WHERE name = ?", "s", name)) == 0)
		r = db_changes(s->db) ? 0 : -ENOENT;
	return store_end(s, r);
}

int store_register_put(struct store *s, const char *path, uint64_t seq, const char *document)
{
	return db_run(s->db,
		      "INSERT INTO registers VALUES (?, ?, ?) ON CONFLICT (path) DO UPDATE"
		      " SET seq = excluded.seq, document = excluded.document",
		      "sis", path, (int64_t)seq, document);
}

int store_register_get(struct store *s, struct arena *a, const char *path, uint64_t *ret_seq,
		       char **ret_document)
{
	struct db_query *q =
		db_query(s->db, "SELECT seq, document FROM registers WHERE path = ?", "s", path);
	int r = db_step(q);

	if (r == 1) {
		*ret_seq = (uint64_t)db_int(q, 0);
		*ret_document = column_text(a, q, 1);
	}
	return query_finish_one(q, r);
}

int store_register_each(struct store *s,
			int (*each)(void *owner, const char *path, const char *document),
			void *owner)
{
	struct db_query *q =
		db_query(s->db, "SELECT path, document FROM registers ORDER BY path", "");
	int r;

	while ((r = db_step(q)) == 1)
		if ((r = each(owner, db_text(q, 0), db_text(q, 1))) < 0)
			break;
	db_finish(q);
	return r;
}

int store_register_delete(struct store *s, const char *path)
{
	return db_run(s->db, "DELETE FROM registers WHERE path = ?", "s", path);
}

int store_value_get(struct store *s, const char *name, uint64_t *ret)
{
	struct db_query *q =
		db_query(s->db, "SELECT value FROM counters WHERE name = ?", "s", name);
	int r = db_step(q);

	*ret = r == 1 ? (uint64_t)db_int(q, 0) : 0;
	r = query_finish_one(q, r);
	return r == -ENOENT ? 0 : r;
}

int store_value_put(struct store *s, const char *name, uint64_t value)
{
	return db_run(s->db,
		      "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE"
		      " SET value = excluded.value",
		      "si", name, (int64_t)value);
}

int store_serial(struct store *s, uint64_t *ret)
{
	int r = store_value_get(s, "serial", ret);

	return r < 0 ? r : store_value_put(s, "serial", ++*ret);
}
