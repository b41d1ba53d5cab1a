/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The store's tokens, joins and leaves.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/store_private.h"

#define LEAVES_MAX 64 /* kept of one node */
#define DAY 86400

int store_token_put(struct store *s, const struct token_row *t)
{
	struct buf tags = { 0 }, ranges = { 0 };
	int r;

	words_join(&tags, t->tags, t->tag_count);
	prefixes_join(&ranges, t->ranges, t->range_count);
	r = db_run(s->db,
		   "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
		   " ON CONFLICT (id) DO UPDATE SET used = excluded.used,"
		   " revoked = excluded.revoked",
		   "ssibiiiiisssiii", t->id, t->network, (int64_t)t->role, t->public_key,
		   (size_t)KEY_LEN, (int64_t)t->uses, (int64_t)t->used, (int64_t)t->at_most,
		   t->created, t->expires, buf_cstr(&tags), t->site, buf_cstr(&ranges), t->forget,
		   (int64_t)t->revoked, (int64_t)t->serial);
	buf_done(&tags);
	buf_done(&ranges);
	return r;
}

#define TOKEN_COLUMNS                                                                               \
	"id, network, role, public_key, uses, used, at_most, created, expires, tags, site, ranges," \
	" forget, revoked, serial"

static int token_read(struct arena *a, struct db_query *q, struct token_row *ret)
{
	*ret = (struct token_row){
		.id = column_text(a, q, 0),
		.network = column_text(a, q, 1),
		.role = (unsigned)db_int(q, 2),
		.uses = (uint64_t)db_int(q, 4),
		.used = (uint64_t)db_int(q, 5),
		.at_most = (uint64_t)db_int(q, 6),
		.created = db_int(q, 7),
		.expires = db_int(q, 8),
		.site = column_text(a, q, 10),
		.forget = db_int(q, 12),
		.revoked = db_int(q, 13) != 0,
		.serial = (uint64_t)db_int(q, 14),
	};
	column_blob(q, 3, ret->public_key, KEY_LEN);
	words_split(a, db_text(q, 9), &ret->tags, &ret->tag_count);
	return prefixes_split(a, db_text(q, 11), &ret->ranges, &ret->range_count);
}

int store_token_get(struct store *s, struct arena *a, const char *id, struct token_row *ret)
{
	struct db_query *q =
		db_query(s->db, "SELECT " TOKEN_COLUMNS " FROM tokens WHERE id = ?", "s", id);
	int r = db_step(q), bad = r == 1 ? token_read(a, q, ret) : 0;

	r = query_finish_one(q, r);
	return bad < 0 ? bad : r;
}

int store_token_list(struct store *s, struct arena *a, const char *network, struct token_row **ret,
		     size_t *ret_count)
{
	struct db_query *q =
		db_query(s->db,
			 "SELECT " TOKEN_COLUMNS " FROM tokens"
			 " WHERE ?1 IS NULL OR network = ?1 ORDER BY network, created, id",
			 "s", network);
	struct token_row *rows = NULL;
	size_t count = 0, cap = 0;
	int r;

	while ((r = db_step(q)) == 1)
		if ((r = token_read(a, q, ROWS_ADD(rows, count, cap))) < 0)
			break;
	db_finish(q);
	*ret = ROWS_KEEP(a, rows, count);
	*ret_count = count;
	return r;
}

int store_join_put(struct store *s, const struct join_row *j)
{
	return db_run(s->db, "INSERT INTO joins VALUES (?, ?, ?, ?, ?, ?, ?)", "bsbsssi",
		      j->request, (size_t)HASH_LEN, j->token, j->nonce, sizeof(j->nonce),
		      j->network, j->node, j->answer, j->at);
}

int store_join_get(struct store *s, struct arena *a, const uint8_t request[static HASH_LEN],
		   struct join_row *ret)
{
	struct db_query *q = db_query(s->db,
				      "SELECT token, nonce, network, node, answer, at FROM joins"
				      " WHERE request = ?",
				      "b", request, (size_t)HASH_LEN);
	int r = db_step(q);

	if (r == 1) {
		*ret = (struct join_row){
			.token = column_text(a, q, 0),
			.network = column_text(a, q, 2),
			.node = column_text(a, q, 3),
			.answer = column_text(a, q, 4),
			.at = db_int(q, 5),
		};
		memcpy(ret->request, request, HASH_LEN);
		column_blob(q, 1, ret->nonce, sizeof(ret->nonce));
	}
	return query_finish_one(q, r);
}

/* Those of one node are bounded by their number: only itself can have asked for so many. */
int store_leave_put(struct store *s, const char *node, const uint8_t request[static HASH_LEN],
		    int64_t at)
{
	int r = db_begin(s->db);

	if (r < 0)
		return r;
	r = db_run(s->db, "INSERT INTO leaves VALUES (?, ?, ?)", "bis", request, (size_t)HASH_LEN,
		   at, node);
	if (r == 0)
		r = db_run(s->db,
			   "DELETE FROM leaves WHERE node = ?1 AND request NOT IN (SELECT request"
			   " FROM leaves WHERE node = ?1 ORDER BY at DESC LIMIT ?2)",
			   "si", node, (int64_t)LEAVES_MAX);
	return store_end(s, r);
}

#define IS_OVER                                                                                    \
	"(EXISTS (SELECT 1 FROM members WHERE members.network = joins.network"                     \
	" AND members.node = joins.node AND members.request != joins.request)"                     \
	" OR EXISTS (SELECT 1 FROM ended WHERE ended.network = joins.network"                      \
	" AND ended.node = joins.node))"

/* The nonce stays as long as the token is good for another join, and a day longer: the clock may be
 * set back. */
int store_joins_prune(struct store *s, int64_t now)
{
	int r = db_begin(s->db);

	if (r < 0)
		return r;
	r = db_run(s->db,
		   "DELETE FROM joins WHERE " IS_OVER " AND NOT EXISTS (SELECT 1 FROM tokens"
		   " WHERE id = joins.token AND revoked = 0 AND (expires = 0 OR expires > ?))",
		   "i", now - DAY);
	if (r == 0)
		r = db_run(s->db, "UPDATE joins SET answer = '' WHERE answer != '' AND " IS_OVER,
			   "");
	return store_end(s, r);
}

int store_join_nonce(struct store *s, const char *token, const uint8_t nonce[static 16], bool *ret)
{
	struct db_query *q = db_query(s->db, "SELECT 1 FROM joins WHERE token = ? AND nonce = ?",
				      "sb", token, nonce, (size_t)16);
	int r = db_step(q);

	*ret = r == 1;
	db_finish(q);
	return r < 0 ? r : 0;
}
