/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The store's gateways, added names and exporters.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/store_private.h"

/* ---- gateways */

#define GATEWAY_COLUMNS "id, network, node, tag, site, ranges, nat, priority, from_site"

int store_gateway_put(struct store *s, const struct gateway_row *g)
{
	struct buf ranges = { 0 };
	int r;

	prefixes_join(&ranges, g->ranges, g->range_count);
	r = db_run(s->db,
		   "INSERT INTO gateways (" GATEWAY_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
		   " ON CONFLICT (id) DO UPDATE SET ranges = excluded.ranges,"
		   " nat = excluded.nat, priority = excluded.priority,"
		   " from_site = excluded.from_site",
		   "ssssssiis", g->id, g->network, g->node, g->tag, g->site, buf_cstr(&ranges),
		   (int64_t)g->nat, (int64_t)g->priority, g->from_site);
	buf_done(&ranges);
	return r;
}

static int gateway_read(struct arena *a, struct db_query *q, struct gateway_row *ret)
{
	*ret = (struct gateway_row){
		.id = column_text(a, q, 0),
		.network = column_text(a, q, 1),
		.node = column_text(a, q, 2),
		.tag = column_text(a, q, 3),
		.site = column_text(a, q, 4),
		.nat = (unsigned)db_int(q, 6),
		.priority = (uint64_t)db_int(q, 7),
		.from_site = column_text(a, q, 8),
	};
	return prefixes_split(a, db_text(q, 5), &ret->ranges, &ret->range_count);
}

int store_gateway_get(struct store *s, struct arena *a, const char *id, struct gateway_row *ret)
{
	struct db_query *q =
		db_query(s->db, "SELECT " GATEWAY_COLUMNS " FROM gateways WHERE id = ?", "s", id);
	int r = db_step(q), bad = r == 1 ? gateway_read(a, q, ret) : 0;

	r = query_finish_one(q, r);
	return bad < 0 ? bad : r;
}

int store_gateway_list(struct store *s, struct arena *a, const char *network,
		       struct gateway_row **ret, size_t *ret_count)
{
	struct db_query *q = db_query(s->db,
				      "SELECT " GATEWAY_COLUMNS " FROM gateways"
				      " WHERE ?1 IS NULL OR network = ?1"
				      " ORDER BY network, site, priority, id",
				      "s", network);
	struct gateway_row *rows = NULL;
	size_t count = 0, cap = 0;
	int r;

	while ((r = db_step(q)) == 1)
		if ((r = gateway_read(a, q, ROWS_ADD(rows, count, cap))) < 0)
			break;
	db_finish(q);
	*ret = ROWS_KEEP(a, rows, count);
	*ret_count = count;
	return r;
}

int store_gateway_delete(struct store *s, const char *id)
{
	return db_run(s->db, "DELETE FROM gateways WHERE id = ?", "s", id);
}

/* ---- added names */

int store_name_put(struct store *s, const struct name_row *n)
{
	char text[ADDR_SIZE];
	struct buf addresses = { 0 };
	int r;

	for (size_t i = 0; i < n->address_count; i++)
		buf_printf(&addresses, "%s%s", i ? " " : "", addr_format(&n->addresses[i], text));
	r = db_run(s->db, "INSERT INTO names VALUES (?, ?, ?)", "sss", n->network, n->name,
		   buf_cstr(&addresses));
	buf_done(&addresses);
	return r;
}

static int name_read(struct arena *a, struct db_query *q, struct name_row *ret)
{
	char **words;

	*ret = (struct name_row){ .network = column_text(a, q, 0), .name = column_text(a, q, 1) };
	words_split(a, db_text(q, 2), &words, &ret->address_count);
	ret->addresses = arena_array(a, ret->address_count, sizeof(*ret->addresses));
	for (size_t i = 0; i < ret->address_count; i++)
		if (addr_parse(words[i], &ret->addresses[i]) < 0)
			return -EIO;
	return 0;
}

int store_name_get(struct store *s, struct arena *a, const char *network, const char *name,
		   struct name_row *ret)
{
	struct db_query *q = db_query(s->db,
				      "SELECT network, name, addresses FROM names"
				      " WHERE network = ? AND name = ?",
				      "ss", network, name);
	int r = db_step(q), bad = r == 1 ? name_read(a, q, ret) : 0;

	r = query_finish_one(q, r);
	return bad < 0 ? bad : r;
}

int store_name_list(struct store *s, struct arena *a, const char *network, struct name_row **ret,
		    size_t *ret_count)
{
	struct db_query *q = db_query(s->db,
				      "SELECT network, name, addresses FROM names"
				      " WHERE ?1 IS NULL OR network = ?1 ORDER BY name, network",
				      "s", network);
	struct name_row *rows = NULL;
	size_t count = 0, cap = 0;
	int r;

	while ((r = db_step(q)) == 1)
		if ((r = name_read(a, q, ROWS_ADD(rows, count, cap))) < 0)
			break;
	db_finish(q);
	*ret = ROWS_KEEP(a, rows, count);
	*ret_count = count;
	return r;
}

int store_name_delete(struct store *s, const char *network, const char *name)
{
	int r = db_run(s->db, "DELETE FROM names WHERE network = ? AND name = ?", "ss", network,
		       name);

	return r < 0 ? r : db_changes(s->db) ? 0 : -ENOENT;
}

/* ---- exporters */

int store_exporter_put(struct store *s, const struct exporter_row *e)
{
	struct buf ranges = { 0 };
	int r;

	prefixes_join(&ranges, e->ranges, e->range_count);
	r = db_run(s->db,
		   "INSERT INTO exporters (network, id, site, ranges, generation, token, joined,"
		   " request) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
		   " ON CONFLICT (network, id) DO UPDATE SET ranges = excluded.ranges,"
		   " generation = excluded.generation, token = excluded.token,"
		   " joined = excluded.joined, request = excluded.request",
		   "ssssisib", e->network, e->id, e->site, buf_cstr(&ranges),
		   (int64_t)e->generation, e->token, e->joined, e->request, (size_t)HASH_LEN);
	buf_done(&ranges);
	return r;
}

int store_exporter_offer(struct store *s, const char *id, const struct prefix *offered,
			 size_t count)
{
	struct buf ranges = { 0 };
	int r;

	prefixes_join(&ranges, offered, count);
	r = db_run(s->db, "UPDATE exporters SET offered = ?1 WHERE id = ?2 AND offered <> ?1", "ss",
		   buf_cstr(&ranges), id);
	buf_done(&ranges);
	return r;
}

#define EXPORTER_COLUMNS "network, id, site, ranges, generation, token, joined, request, offered"

static int exporter_read(struct arena *a, struct db_query *q, struct exporter_row *ret)
{
	int r;

	*ret = (struct exporter_row){
		.network = column_text(a, q, 0),
		.id = column_text(a, q, 1),
		.site = column_text(a, q, 2),
		.generation = (uint64_t)db_int(q, 4),
		.token = column_text(a, q, 5),
		.joined = db_int(q, 6),
	};
	column_blob(q, 7, ret->request, HASH_LEN);
	r = prefixes_split(a, db_text(q, 3), &ret->ranges, &ret->range_count);
	return r < 0 ? r : prefixes_split(a, db_text(q, 8), &ret->offered, &ret->offered_count);
}

static int exporter_get(struct arena *a, struct db_query *q, struct exporter_row *ret)
{
	int r = db_step(q), bad = r == 1 ? exporter_read(a, q, ret) : 0;

	r = query_finish_one(q, r);
	return bad < 0 ? bad : r;
}

int store_exporter_get(struct store *s, struct arena *a, const char *network, const char *id,
		       struct exporter_row *ret)
{
	return exporter_get(a,
			    db_query(s->db,
				     "SELECT " EXPORTER_COLUMNS
				     " FROM exporters WHERE network = ? AND id = ?",
				     "ss", network, id),
			    ret);
}

int store_exporter_of_site(struct store *s, struct arena *a, const char *network, const char *site,
			   struct exporter_row *ret)
{
	return exporter_get(a,
			    db_query(s->db,
				     "SELECT " EXPORTER_COLUMNS
				     " FROM exporters WHERE network = ? AND site = ?",
				     "ss", network, site),
			    ret);
}

int store_exporter_list(struct store *s, struct arena *a, const char *network, const char *id,
			struct exporter_row **ret, size_t *ret_count)
{
	struct db_query *q =
		db_query(s->db,
			 "SELECT " EXPORTER_COLUMNS " FROM exporters"
			 " WHERE (?1 IS NULL OR network = ?1) AND (?2 IS NULL OR id = ?2)"
			 " ORDER BY network, site",
			 "ss", network, id);
	struct exporter_row *rows = NULL;
	size_t count = 0, cap = 0;
	int r;

	while ((r = db_step(q)) == 1)
		if ((r = exporter_read(a, q, ROWS_ADD(rows, count, cap))) < 0)
			break;
	db_finish(q);
	*ret = ROWS_KEEP(a, rows, count);
	*ret_count = count;
	return r;
}

int store_exporter_delete(struct store *s, const char *network, const char *id)
{
	return db_run(s->db, "DELETE FROM exporters WHERE network = ? AND id = ?", "ss", network,
		      id);
}
