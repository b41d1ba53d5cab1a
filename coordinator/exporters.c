/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Exporters: who speaks for a site in a network, and what it may name. One identity for each (network,
 * site); its grant is published in the network's gateways journal as exporter/<id>.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/authority.h"
#include "coordinator/dns.h"
#include "lib/log.h"

#define GRANT_RANGES_MAX 1024	      /* as the table in schemas/gateway.c has it */
#define GENERATION_VALUE "generation" /* store value, with network and site behind it */

/* ---- grants ---- */

static int prefix_order(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

/* What the site's gateways carry, in any network, and what the token added; each once, sorted. `as`
 * NULL, or how one of the gateways is to be taken. */
static int grant_ranges(struct authority *a, struct arena *arena, const struct exporter_row *e,
			const struct gateway_row *as, struct prefix **ret, size_t *ret_count)
{
	struct gateway_row *gateways;
	size_t count, all = e->range_count, kept = 0;
	struct prefix *ranges;
	int r = store_gateway_list(a->store, arena, NULL, &gateways, &count);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		if (as && strcmp(as->id, gateways[i].id) == 0)
			gateways[i] = *as;
		all += gateways[i].range_count;
	}
	ranges = arena_array(arena, all, sizeof(*ranges));
	all = 0;
	for (size_t i = 0; i < e->range_count; i++)
		ranges[all++] = e->ranges[i];
	for (size_t i = 0; i < count; i++) {
		if (!gateways[i].site || strcmp(gateways[i].site, e->site) != 0)
			continue;
		for (size_t j = 0; j < gateways[i].range_count; j++)
			ranges[all++] = gateways[i].ranges[j];
	}
	qsort(ranges, all, sizeof(*ranges), prefix_order);
	for (size_t i = 0; i < all; i++)
		if (!kept || prefix_cmp(&ranges[kept - 1], &ranges[i]) != 0)
			ranges[kept++] = ranges[i];
	*ret = ranges;
	*ret_count = kept;
	return 0;
}

static void member_name(const char *id, char ret[static JOURNAL_NAME_MAX + 1])
{
	snprintf(ret, JOURNAL_NAME_MAX + 1, "exporter/%s", id);
}

static int grant_body(struct authority *a, struct arena *arena, const struct exporter_row *e,
		      const struct gateway_row *as, struct buf *out, struct refusal_reason *why)
{
	struct grant grant = { .site = e->site, .generation = e->generation };
	struct node_row node;
	int r = store_node_get(a->store, arena, e->id, &node);

	if (r == 0)
		r = grant_ranges(a, arena, e, as, &grant.ranges, &grant.range_count);
	if (r < 0)
		return r;
	memcpy(grant.key, node.identity_key, KEY_LEN);
	json_encode(out, grant_fields, &grant);
	if (grant.range_count <= GRANT_RANGES_MAX && out->len <= JOURNAL_BODY_MAX)
		return 0;
	return refuse(why, 409, "ranges",
		      "ranges: the gateways of site %s and the token of its exporter in %s would"
		      " have %zu together, which is a grant of %zu bytes; a grant holds %d ranges"
		      " and %d bytes: publish fewer, shorter ones",
		      e->site, e->network, grant.range_count, out->len, GRANT_RANGES_MAX,
		      JOURNAL_BODY_MAX);
}

/* `replaced`: whose grant ends by it; NULL: nobody's. */
static int grant_put(struct authority *a, struct arena *arena, const struct exporter_row *e,
		     const char *replaced, struct refusal_reason *why)
{
	char name[JOURNAL_NAME_MAX + 1], old[JOURNAL_NAME_MAX + 1];
	struct publisher_op ops[2] = { { .name = name } };
	size_t count = 1;
	struct buf text = { 0 };
	int r = grant_body(a, arena, e, NULL, &text, why);

	member_name(e->id, name);
	ops[0].body = buf_cstr(&text);
	if (replaced) {
		member_name(replaced, old);
		ops[count++] = (struct publisher_op){ .name = old, .why = WHY_REPLACED };
	}
	if (r == 0)
		r = publisher_change(a->publisher, e->network, JOURNAL_GATEWAYS, ops, count);
	buf_done(&text);
	return r;
}

int exporter_publish(struct authority *a, struct arena *arena, const struct exporter_row *e,
		     struct refusal_reason *why)
{
	return grant_put(a, arena, e, NULL, why);
}

int exporter_grants_refresh(struct authority *a, struct arena *arena, const char *site,
			    struct refusal_reason *why)
{
	struct exporter_row *rows;
	size_t count;
	int r = store_exporter_list(a->store, arena, NULL, NULL, &rows, &count);

	for (size_t i = 0; r == 0 && i < count; i++)
		if (strcmp(rows[i].site, site) == 0)
			r = exporter_publish(a, arena, &rows[i], why);
	return r;
}

int exporter_grants_check(struct authority *a, struct arena *arena, const struct gateway_row *g,
			  struct refusal_reason *why)
{
	struct exporter_row *rows;
	size_t count;
	int r = store_exporter_list(a->store, arena, NULL, NULL, &rows, &count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		struct buf text = { 0 };

		if (!g->site || strcmp(rows[i].site, g->site) != 0)
			continue;
		r = grant_body(a, arena, &rows[i], g, &text, why);
		buf_done(&text);
	}
	return r;
}

/* ---- the end of one ---- */

/* Its row goes; that it was here is kept, so that what it published may be cleared. */
static int row_end(struct authority *a, const struct exporter_row *e, enum journal_why reason)
{
	char no_name[] = "";
	struct ended_row ended = {
		.network = e->network,
		.node = e->id,
		.why = reason,
		.at = a->now(),
		.name = no_name,
	};
	int r = store_serial(a->store, &ended.serial);

	if (r == 0)
		r = store_ended_put(a->store, &ended);
	return r < 0 ? r : store_exporter_delete(a->store, e->network, e->id);
}

/* ---- joining ---- */

static int identity_check(struct authority *a, struct arena *arena, const struct token_row *token,
			  const struct exporter_row *e, struct refusal_reason *why)
{
	struct exporter_row *rows;
	struct member_row *members;
	struct ended_row ended;
	size_t count;
	int r = store_member_list(a->store, arena, NULL, e->id, &members, &count);

	if (r == 0 && count)
		return refuse(why, 409, "identity",
			      "this identity is that of node %s; an exporter needs one of its own",
			      members[0].name);
	if (r == 0)
		r = store_exporter_list(a->store, arena, NULL, e->id, &rows, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		if (strcmp(rows[i].site, e->site) != 0)
			return refuse(
				why, 403, "site",
				"this exporter is of site %s since its first join; it cannot be"
				" of site %s too",
				rows[i].site, e->site);
	if (r == 0)
		r = store_ended_get(a->store, arena, e->network, e->id, &ended);
	if (r == 0 && ended.why == WHY_REMOVED && token->serial < ended.serial)
		return refuse(
			why, 403, "removed",
			"this exporter was removed from network %s; it needs a token made after"
			" that",
			e->network);
	return r == -ENOENT ? 0 : r;
}

static int token_check(const struct join_request *request, const struct token_row *token,
		       bool counted, struct refusal_reason *why)
{
	static const uint8_t none[KEY_LEN];

	if (memcmp(request->wireguard_key, none, KEY_LEN) != 0)
		return refuse(
			why, 400, "wireguard_key",
			"the request has a WireGuard key, and token %s admits an exporter, which"
			" has none; a node needs a token made with --role node",
			token->id);
	if (request->site && strcmp(request->site, token->site) != 0)
		return refuse(why, 403, "site",
			      "token %s admits the exporter of site %s only, and this one says site"
			      " %s",
			      token->id, token->site, request->site);
	if (counted && token->uses && token->used >= token->uses)
		return refuse(why, 403, "token_used",
			      "token %s is used up: it admits %llu exporter%s; ask for a new one",
			      token->id, (unsigned long long)token->uses,
			      token->uses == 1 ? "" : "s");
	return 0;
}

/* The next generation of (network, site): above all that there ever were. */
static int generation_next(struct authority *a, const struct exporter_row *e, uint64_t *ret)
{
	char name[sizeof(GENERATION_VALUE) + 2 * LABEL_SIZE + 2];
	int r;

	snprintf(name, sizeof(name), GENERATION_VALUE " %s %s", e->network, e->site);
	r = store_value_get(a->store, name, ret);
	return r < 0 ? r : store_value_put(a->store, name, ++*ret);
}

static int node_put(struct authority *a, struct arena *arena, const struct join_request *request,
		    const struct exporter_row *e)
{
	struct node_row node;
	int r = store_node_get(a->store, arena, e->id, &node);

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == -ENOENT) {
		node = (struct node_row){ .id = e->id };
		memcpy(node.identity_key, request->identity_key, KEY_LEN);
	}
	node.site = e->site;
	node.last_seen = e->joined;
	node.silent = 0;
	return store_node_put(a->store, &node);
}

/* The exporter that there is for this (network, site): itself, another one, or none. */
static int take_place(struct authority *a, struct arena *arena, struct exporter_joined *j)
{
	struct exporter_row now;
	int r = store_exporter_of_site(a->store, arena, j->row.network, j->row.site, &now);

	if (r == 0 && strcmp(now.id, j->row.id) == 0) {
		j->row.generation = now.generation;
		return 0;
	}
	if (r == 0) {
		j->replaced = now.id;
		r = row_end(a, &now, WHY_REPLACED);
	}
	return r < 0 && r != -ENOENT ? r : generation_next(a, &j->row, &j->row.generation);
}

int exporter_join(struct authority *a, struct arena *arena, const struct join_request *request,
		  const uint8_t request_hash[static HASH_LEN], struct token_row *token,
		  struct exporter_joined *ret, struct refusal_reason *why)
{
	char id[KEY_ID_SIZE];
	struct exporter_row before;
	bool counted;
	int r;

	key_id(request->identity_key, id);
	*ret = (struct exporter_joined){ .row = { .network = token->network,
						  .id = arena_strdup(arena, id),
						  .site = token->site,
						  .ranges = token->ranges,
						  .range_count = token->range_count,
						  .token = token->id,
						  .joined = a->now() } };
	memcpy(ret->row.request, request_hash, HASH_LEN);
	r = store_exporter_get(a->store, arena, token->network, id, &before);
	if (r < 0 && r != -ENOENT)
		return r;
	counted = r == -ENOENT || strcmp(before.token, token->id) != 0;
	if ((r = token_check(request, token, counted, why)) < 0 ||
	    (r = identity_check(a, arena, token, &ret->row, why)) < 0 ||
	    (r = take_place(a, arena, ret)) < 0 ||
	    (r = node_put(a, arena, request, &ret->row)) < 0 ||
	    (r = store_exporter_put(a->store, &ret->row)) < 0 ||
	    (r = store_ended_delete(a->store, ret->row.network, ret->row.id)) < 0)
		return r;
	if (!counted)
		return 0;
	token->used++;
	return store_token_put(a->store, token);
}

int exporter_join_publish(struct authority *a, struct arena *arena, const struct exporter_joined *j,
			  struct refusal_reason *why)
{
	int r;

	if (j->replaced)
		log_info("exporter-replaced", "network=%s site=%s exporter=%s by=%s",
			 j->row.network, j->row.site, j->replaced, j->row.id);
	r = grant_put(a, arena, &j->row, j->replaced, why);
	/* The answer names the position from which on the exporter finds its grant. */
	return r < 0 ? r : publisher_commit(a->publisher, j->row.network, JOURNAL_GATEWAYS);
}

/* ---- shown, removed ---- */

int exporter_list(struct authority *a, struct arena *arena, const char *network,
		  struct api_exporter **ret, size_t *ret_count, struct refusal_reason *why)
{
	struct exporter_row *rows;
	int r = store_exporter_list(a->store, arena, network, NULL, &rows, ret_count);

	if (r < 0)
		return refuse_store(why, r);
	*ret = arena_array(arena, *ret_count, sizeof(**ret));
	for (size_t i = 0; i < *ret_count; i++) {
		struct api_exporter *e = &(*ret)[i];
		struct node_row node;

		*e = (struct api_exporter){
			.id = rows[i].id,
			.network = rows[i].network,
			.site = rows[i].site,
			.generation = rows[i].generation,
			.offered = rows[i].offered,
			.offered_count = rows[i].offered_count,
			.records = dns_record_count(a->dns, rows[i].network, rows[i].id),
			.published = dns_position(a->dns, rows[i].network, rows[i].id).epoch != 0,
		};
		r = store_node_get(a->store, arena, rows[i].id, &node);
		if (r == 0)
			r = grant_ranges(a, arena, &rows[i], NULL, &e->ranges, &e->range_count);
		if (r == 0)
			r = gateway_offer_missing(a, arena, &rows[i], &e->not_carried,
						  &e->not_carried_count);
		if (r < 0)
			return r == -ECANCELED ? r : refuse_store(why, r);
		e->online = node.online;
		e->last_seen = node.last_seen;
	}
	return 0;
}

bool exporter_is_known(struct authority *a, const char *network, const char *id)
{
	struct arena arena = { 0 };
	struct exporter_row *rows;
	size_t count = 0;
	int r = store_exporter_list(a->store, &arena, network, id, &rows, &count);

	arena_done(&arena);
	return r == 0 && count > 0;
}

static int grant_end(struct authority *a, const char *network, const char *id)
{
	char name[JOURNAL_NAME_MAX + 1];

	member_name(id, name);
	return publisher_del(a->publisher, network, JOURNAL_GATEWAYS, name, WHY_REMOVED);
}

int exporter_remove(struct authority *a, const char *id, struct refusal_reason *why)
{
	struct topic state = { .kind = TOPIC_NODE };
	struct arena arena = { 0 };
	struct exporter_row *rows;
	size_t count = 0;
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	r = store_exporter_list(a->store, &arena, NULL, id, &rows, &count);
	if (r == 0 && !count)
		r = refuse(why, 404, "unknown_exporter",
			   "there is no exporter %s; `warren exporter list` shows those there are",
			   id);
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = row_end(a, &rows[i], WHY_REMOVED);
		if (r == 0)
			r = grant_end(a, rows[i].network, id);
	}
	if (r == 0) {
		snprintf(state.id, sizeof(state.id), "%s", id);
		publisher_clear(a->publisher, &state);
	}
	arena_done(&arena);
	r = authority_end(a, r, why);
	if (r == 0)
		dns_update(a->dns);
	return r;
}
