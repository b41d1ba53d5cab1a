/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The store's nodes, members, endings, orphans and host indexes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/store_private.h"

/* ---- nodes */

int store_node_put(struct store *s, const struct node_row *n)
{
	return db_run(s->db,
		      "INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
		      " SET site = excluded.site, last_seen = excluded.last_seen,"
		      " online = excluded.online, state_seq = excluded.state_seq,"
		      " config_seq = excluded.config_seq, silent = excluded.silent",
		      "sbsiiiii", n->id, n->identity_key, (size_t)KEY_LEN, n->site, n->last_seen,
		      (int64_t)n->online, (int64_t)n->state_seq, (int64_t)n->config_seq, n->silent);
}

#define NODE_COLUMNS "id, identity_key, site, last_seen, online, state_seq, config_seq, silent"

static void node_read(struct arena *a, struct db_query *q, struct node_row *ret)
{
	*ret = (struct node_row){
		.id = column_text(a, q, 0),
		.site = column_text(a, q, 2),
		.last_seen = db_int(q, 3),
		.online = db_int(q, 4) != 0,
		.state_seq = (uint64_t)db_int(q, 5),
		.config_seq = (uint64_t)db_int(q, 6),
		.silent = db_int(q, 7),
	};
	column_blob(q, 1, ret->identity_key, KEY_LEN);
}

int store_node_get(struct store *s, struct arena *a, const char *id, struct node_row *ret)
{
	struct db_query *q =
		db_query(s->db, "SELECT " NODE_COLUMNS " FROM nodes WHERE id = ?", "s", id);
	int r = db_step(q);

	if (r == 1)
		node_read(a, q, ret);
	return query_finish_one(q, r);
}

int store_silence_add(struct store *s, int64_t seconds)
{
	return db_run(s->db,
		      "UPDATE nodes SET silent = silent + ? WHERE online = 0"
		      " AND EXISTS (SELECT 1 FROM nodes WHERE online != 0)",
		      "i", seconds);
}

/* ---- members */

int store_member_put(struct store *s, const struct member_row *m)
{
	struct buf tags = { 0 }, endpoints = { 0 };
	int r;

	words_join(&tags, m->tags, m->tag_count);
	words_join(&endpoints, m->endpoints, m->endpoint_count);
	r = db_run(s->db,
		   "INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
		   " ON CONFLICT (network, node) DO UPDATE SET name = excluded.name,"
		   " role = excluded.role, host = excluded.host,"
		   " wireguard_key = excluded.wireguard_key, tags = excluded.tags,"
		   " endpoints = excluded.endpoints, ep_seq = excluded.ep_seq,"
		   " token = excluded.token, joined = excluded.joined, request = excluded.request",
		   "sssiibssisib", m->network, m->node, m->name, (int64_t)m->role, (int64_t)m->host,
		   m->wireguard_key, (size_t)KEY_LEN, buf_cstr(&tags), buf_cstr(&endpoints),
		   (int64_t)m->ep_seq, m->token, m->joined, m->request, (size_t)HASH_LEN);
	buf_done(&tags);
	buf_done(&endpoints);
	return r;
}

#define MEMBER_COLUMNS                                                                             \
	"network, node, name, role, host, wireguard_key, tags, endpoints, ep_seq, token, joined,"  \
	" request"

static void member_read(struct arena *a, struct db_query *q, struct member_row *ret)
{
	*ret = (struct member_row){
		.network = column_text(a, q, 0),
		.node = column_text(a, q, 1),
		.name = column_text(a, q, 2),
		.role = (unsigned)db_int(q, 3),
		.host = (uint64_t)db_int(q, 4),
		.ep_seq = (uint64_t)db_int(q, 8),
		.token = column_text(a, q, 9),
		.joined = db_int(q, 10),
	};
	column_blob(q, 5, ret->wireguard_key, KEY_LEN);
	column_blob(q, 11, ret->request, HASH_LEN);
	words_split(a, db_text(q, 6), &ret->tags, &ret->tag_count);
	words_split(a, db_text(q, 7), &ret->endpoints, &ret->endpoint_count);
}

static int member_get(struct arena *a, struct db_query *q, struct member_row *ret)
{
	int r = db_step(q);

	if (r == 1)
		member_read(a, q, ret);
	return query_finish_one(q, r);
}

int store_member_get(struct store *s, struct arena *a, const char *network, const char *node,
		     struct member_row *ret)
{
	return member_get(a,
			  db_query(s->db,
				   "SELECT " MEMBER_COLUMNS
				   " FROM members WHERE network = ? AND node = ?",
				   "ss", network, node),
			  ret);
}

int store_member_by_name(struct store *s, struct arena *a, const char *network, const char *name,
			 struct member_row *ret)
{
	return member_get(a,
			  db_query(s->db,
				   "SELECT " MEMBER_COLUMNS
				   " FROM members WHERE network = ? AND name = ?",
				   "ss", network, name),
			  ret);
}

int store_member_by_key(struct store *s, struct arena *a, const char *network,
			const uint8_t wireguard_key[static KEY_LEN], struct member_row *ret)
{
	return member_get(a,
			  db_query(s->db,
				   "SELECT " MEMBER_COLUMNS
				   " FROM members WHERE network = ? AND wireguard_key = ?",
				   "sb", network, wireguard_key, (size_t)KEY_LEN),
			  ret);
}

/* One text for each case: for one text that takes NULL as any SQLite would read all rows each time. */
static struct db_query *member_query(struct store *s, const char *network, const char *node)
{
	if (node)
		return db_query(s->db,
				"SELECT " MEMBER_COLUMNS " FROM members WHERE node = ?1"
				" AND (?2 IS NULL OR network = ?2) ORDER BY network, name",
				"ss", node, network);
	if (network)
		return db_query(s->db,
				"SELECT " MEMBER_COLUMNS
				" FROM members WHERE network = ? ORDER BY name",
				"s", network);
	return db_query(s->db, "SELECT " MEMBER_COLUMNS " FROM members ORDER BY network, name", "");
}

int store_member_list(struct store *s, struct arena *a, const char *network, const char *node,
		      struct member_row **ret, size_t *ret_count)
{
	struct db_query *q = member_query(s, network, node);
	struct member_row *rows = NULL;
	size_t count = 0, cap = 0;
	int r;

	while ((r = db_step(q)) == 1)
		member_read(a, q, ROWS_ADD(rows, count, cap));
	db_finish(q);
	*ret = ROWS_KEEP(a, rows, count);
	*ret_count = count;
	return r;
}

static int count_read(struct db_query *q, uint64_t *ret)
{
	int r = db_step(q);

	*ret = r == 1 ? (uint64_t)db_int(q, 0) : 0;
	return query_finish_one(q, r);
}

int store_member_count(struct store *s, const char *network, uint64_t *ret)
{
	return count_read(db_query(s->db, "SELECT count(*) FROM members WHERE network = ?", "s",
				   network),
			  ret);
}

int store_member_delete(struct store *s, const char *network, const char *node)
{
	return db_run(s->db, "DELETE FROM members WHERE network = ? AND node = ?", "ss", network,
		      node);
}

#define IS_SILENT                                                                                  \
	"network = ?1 AND EXISTS (SELECT 1 FROM nodes, tokens WHERE nodes.id = members.node"       \
	" AND tokens.id = members.token AND nodes.silent >= tokens.forget)"

int store_member_silent_count(struct store *s, const char *network, uint64_t *ret)
{
	return count_read(db_query(s->db, "SELECT count(*) FROM members WHERE " IS_SILENT, "s",
				   network),
			  ret);
}

int store_member_silent(struct store *s, struct arena *a, const char *network, size_t max,
			struct member_row **ret, size_t *ret_count)
{
	struct db_query *q = db_query(s->db,
				      "SELECT " MEMBER_COLUMNS " FROM members WHERE " IS_SILENT
				      " ORDER BY name LIMIT ?2",
				      "si", network, (int64_t)max);
	struct member_row *rows = NULL;
	size_t count = 0, cap = 0;
	int r;

	while ((r = db_step(q)) == 1)
		member_read(a, q, ROWS_ADD(rows, count, cap));
	db_finish(q);
	*ret = ROWS_KEEP(a, rows, count);
	*ret_count = count;
	return r;
}

/* ---- endings */

int store_ended_put(struct store *s, const struct ended_row *e)
{
	return db_run(s->db,
		      "INSERT INTO ended VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (network, node)"
		      " DO UPDATE SET why = excluded.why, at = excluded.at, name = excluded.name,"
		      " host = excluded.host, serial = excluded.serial",
		      "ssiisii", e->network, e->node, (int64_t)e->why, e->at, e->name,
		      (int64_t)e->host, (int64_t)e->serial);
}

#define ENDED_COLUMNS "network, node, why, at, name, host, serial"

static void ended_read(struct arena *a, struct db_query *q, struct ended_row *ret)
{
	*ret = (struct ended_row){
		.network = column_text(a, q, 0),
		.node = column_text(a, q, 1),
		.why = (unsigned)db_int(q, 2),
		.at = db_int(q, 3),
		.name = column_text(a, q, 4),
		.host = (uint64_t)db_int(q, 5),
		.serial = (uint64_t)db_int(q, 6),
	};
}

int store_ended_get(struct store *s, struct arena *a, const char *network, const char *node,
		    struct ended_row *ret)
{
	struct db_query *q = db_query(s->db,
				      "SELECT " ENDED_COLUMNS
				      " FROM ended WHERE network = ? AND node = ?",
				      "ss", network, node);
	int r = db_step(q);

	if (r == 1)
		ended_read(a, q, ret);
	return query_finish_one(q, r);
}

int store_ended_list(struct store *s, struct arena *a, const char *node, struct ended_row **ret,
		     size_t *ret_count)
{
	struct db_query *q = db_query(s->db,
				      "SELECT " ENDED_COLUMNS
				      " FROM ended WHERE node = ? ORDER BY network",
				      "s", node);
	struct ended_row *rows = NULL;
	size_t count = 0, cap = 0;
	int r;

	while ((r = db_step(q)) == 1)
		ended_read(a, q, ROWS_ADD(rows, count, cap));
	db_finish(q);
	*ret = ROWS_KEEP(a, rows, count);
	*ret_count = count;
	return r;
}

int store_ended_count(struct store *s, const char *network, unsigned why, int64_t since,
		      uint64_t *ret)
{
	return count_read(db_query(s->db,
				   "SELECT count(*) FROM ended WHERE network = ? AND why = ?"
				   " AND at > ?",
				   "sii", network, (int64_t)why, since),
			  ret);
}

int store_ended_delete(struct store *s, const char *network, const char *node)
{
	return db_run(s->db, "DELETE FROM ended WHERE network = ? AND node = ?", "ss", network,
		      node);
}

/* ---- host indexes */

static int exists(struct db_query *q, bool *ret)
{
	int r = db_step(q);

	*ret = r == 1;
	db_finish(q);
	return r < 0 ? r : 0;
}

int store_host_taken(struct store *s, const char *network, uint64_t host, bool *ret)
{
	return exists(db_query(s->db,
			       "SELECT 1 FROM members WHERE network = ?1 AND host = ?2"
			       " UNION ALL SELECT 1 FROM orphans WHERE network = ?1 AND host = ?2",
			       "si", network, (int64_t)host),
		      ret);
}

int store_host_free(struct store *s, const char *network, uint64_t host, int64_t at)
{
	return db_run(s->db, "INSERT OR REPLACE INTO freed VALUES (?, ?, ?)", "sii", network,
		      (int64_t)host, at);
}

int store_host_oldest(struct store *s, const char *network, uint64_t *ret)
{
	struct db_query *q = db_query(
		s->db, "SELECT host FROM freed WHERE network = ? ORDER BY at, host LIMIT 1", "s",
		network);
	int r = db_step(q);

	if (r == 1)
		*ret = (uint64_t)db_int(q, 0);
	return query_finish_one(q, r);
}

int store_host_take(struct store *s, const char *network, uint64_t host)
{
	return db_run(s->db, "DELETE FROM freed WHERE network = ? AND host = ?", "si", network,
		      (int64_t)host);
}

/* ---- orphans */

/* No key is found by no key. */
static size_t key_size(const uint8_t key[static KEY_LEN])
{
	static const uint8_t none[KEY_LEN];

	return memcmp(key, none, KEY_LEN) == 0 ? 0 : KEY_LEN;
}

int store_orphan_put(struct store *s, const struct orphan_row *o)
{
	return db_run(s->db, "INSERT OR REPLACE INTO orphans VALUES (?, ?, ?, ?, ?, ?, ?)",
		      "ssssibb", o->network, o->node, o->name, o->body, (int64_t)o->host,
		      o->keys[0], key_size(o->keys[0]), o->keys[1], key_size(o->keys[1]));
}

#define ORPHAN_COLUMNS "network, node, name, body, host, key, other_key"

static void orphan_read(struct arena *a, struct db_query *q, struct orphan_row *ret)
{
	*ret = (struct orphan_row){
		.network = column_text(a, q, 0),
		.node = column_text(a, q, 1),
		.name = column_text(a, q, 2),
		.body = column_text(a, q, 3),
		.host = (uint64_t)db_int(q, 4),
	};
	column_blob(q, 5, ret->keys[0], KEY_LEN);
	column_blob(q, 6, ret->keys[1], KEY_LEN);
}

int store_orphan_list(struct store *s, struct arena *a, const char *network,
		      struct orphan_row **ret, size_t *ret_count)
{
	struct db_query *q = db_query(s->db,
				      "SELECT " ORPHAN_COLUMNS " FROM orphans"
				      " WHERE ?1 IS NULL OR network = ?1 ORDER BY network, node",
				      "s", network);
	struct orphan_row *rows = NULL;
	size_t count = 0, cap = 0;
	int r;

	while ((r = db_step(q)) == 1)
		orphan_read(a, q, ROWS_ADD(rows, count, cap));
	db_finish(q);
	*ret = ROWS_KEEP(a, rows, count);
	*ret_count = count;
	return r;
}

int store_orphan_get(struct store *s, struct arena *a, const char *network, const char *node,
		     struct orphan_row *ret)
{
	struct db_query *q = db_query(s->db,
				      "SELECT " ORPHAN_COLUMNS
				      " FROM orphans WHERE network = ? AND node = ?",
				      "ss", network, node);
	int r = db_step(q);

	if (r == 1)
		orphan_read(a, q, ret);
	return query_finish_one(q, r);
}

int store_orphan_by_key(struct store *s, struct arena *a, const char *network,
			const uint8_t wireguard_key[static KEY_LEN], struct orphan_row *ret)
{
	struct db_query *q = db_query(s->db,
				      "SELECT " ORPHAN_COLUMNS " FROM orphans WHERE network = ?1"
				      " AND (key = ?2 OR other_key = ?2)",
				      "sb", network, wireguard_key, (size_t)KEY_LEN);
	int r = db_step(q);

	if (r == 1)
		orphan_read(a, q, ret);
	return query_finish_one(q, r);
}

int store_orphan_name_taken(struct store *s, const char *network, const char *name, bool *ret)
{
	return exists(db_query(s->db, "SELECT 1 FROM orphans WHERE network = ? AND name = ?", "ss",
			       network, name),
		      ret);
}

int store_orphan_delete(struct store *s, const char *network, const char *node)
{
	return db_run(s->db, "DELETE FROM orphans WHERE network = ?1 AND (?2 IS NULL OR node = ?2)",
		      "ss", network, node);
}
