/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Join tokens. Only a token's public key is kept: the token itself is shown once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/authority.h"
#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/x509.h"

#define DEFAULT_EXPIRES (24 * 3600)
#define DEFAULT_FORGET (30 * 24 * 3600)
#define FOREVER ((int64_t)100 * 365 * 24 * 3600) /* a certificate must end some day */
#define CLOCK_SKEW 3600 /* certificates begin this long ago, for clocks that are behind */

static int duration_or(const char *text, int64_t without, const char *field, int64_t *ret,
		       struct refusal_reason *why)
{
	*ret = without;
	if (!text)
		return 0;
	if (duration_parse(text, ret) < 0 || *ret == 0)
		return refuse(why, 400, field,
			      "%s is not a duration: use 90s, 10m, 24h, 30d or never", field);
	return 0;
}

static int node_wish_check(const struct api_token_create *wish, struct refusal_reason *why)
{
	if (wish->range_count)
		return refuse(why, 400, "ranges",
			      "ranges belong to exporters' tokens; a node's token has none");
	return 0;
}

static int exporter_wish_check(struct authority *a, struct arena *arena,
			       const struct api_token_create *wish, struct refusal_reason *why)
{
	int r = 0;

	if (!wish->site)
		return refuse(why, 400, "site",
			      "an exporter's token needs --site: the site whose services it names");
	if (wish->tag_count)
		return refuse(why, 400, "tags", "tags belong to nodes; an exporter has none");
	for (size_t i = 0; r == 0 && i < wish->range_count; i++)
		r = gateway_range_check(a, arena, &wish->ranges[i], why);
	return r;
}

static int wish_check(struct authority *a, struct arena *arena, const struct api_token_create *wish,
		      struct token_row *row, struct refusal_reason *why)
{
	struct network n;
	int64_t expires;
	int r = store_network_get(a->store, arena, wish->network, &n);

	if (r == -ENOENT)
		return refuse(
			why, 404, "unknown_network",
			"there is no network %s; `warren network create %s --range CIDR` makes"
			" one",
			wish->network, wish->network);
	if (r < 0)
		return r;
	if (wish->role == ROLE_LEAF)
		return refuse(why, 400, "role",
			      "role leaf: this version admits nodes and exporters only");
	if (wish->at_most && wish->role == ROLE_EXPORTER)
		return refuse(why, 400, "at_most",
			      "at_most is for nodes: there is one exporter for a network and site");
	r = wish->role == ROLE_EXPORTER ? exporter_wish_check(a, arena, wish, why) :
					  node_wish_check(wish, why);
	if (r == 0)
		r = duration_or(wish->expires, DEFAULT_EXPIRES, "expires", &expires, why);
	if (r == 0)
		r = duration_or(wish->forget, DEFAULT_FORGET, "forget", &row->forget, why);
	if (r < 0)
		return r;
	row->network = wish->network;
	row->role = wish->role;
	row->uses = wish->uses;
	row->at_most = wish->at_most;
	row->created = a->now();
	row->expires = expires == DURATION_NEVER ? 0 : row->created + expires;
	row->tags = wish->tags;
	row->tag_count = wish->tag_count;
	row->site = wish->site;
	row->ranges = wish->ranges;
	row->range_count = wish->range_count;
	return 0;
}

/* The certificate that lets the token's holder speak to the broker, and the token's text. */
static int token_make(struct authority *a, struct arena *arena, const struct sign_key *key,
		      const struct token_row *row, char **ret)
{
	struct trust_body *trust = &a->keys->trust->body;
	struct buf key_pem = { 0 }, cert = { 0 }, text = { 0 };
	char *uris[2] = { xasprintf("warren:join:%s", row->id),
			  xasprintf("warren:net:%s", row->network) };
	struct x509_issue what = {
		.uris = (const char *const *)uris,
		.uri_count = ARRAY_SIZE(uris),
		.not_before = row->created - CLOCK_SKEW,
		.not_after = row->expires ? row->expires : row->created + FOREVER,
	};
	int r;

	sign_key_pem(key, &key_pem);
	r = x509_issue_key(a->keys->ca_pem, a->keys->ca_key_pem, buf_cstr(&key_pem), &what, &cert);
	if (r == 0) {
		struct token t = {
			.id = row->id,
			.mesh = a->keys->mesh,
			.network = row->network,
			.brokers = trust->brokers,
			.broker_count = trust->broker_count,
			.ca = a->keys->ca_pem,
			.certificate = cert.data,
		};

		memcpy(t.root_key, a->keys->trust->root_key, KEY_LEN);
		memcpy(t.private_key, key->secret, KEY_LEN);
		token_format(&t, &text);
		crypto_wipe(t.private_key, KEY_LEN);
		*ret = arena_strdup(arena, buf_cstr(&text));
	}
	free(uris[0]);
	free(uris[1]);
	buf_done(&key_pem);
	buf_done(&cert);
	buf_done(&text);
	return r;
}

static void token_show(struct arena *arena, const struct token_row *row, struct api_token *ret)
{
	char forget[DURATION_SIZE];

	duration_format(row->forget, forget);
	*ret = (struct api_token){
		.id = row->id,
		.network = row->network,
		.role = row->role,
		.uses = row->uses,
		.used = row->used,
		.at_most = row->at_most,
		.expires = row->expires,
		.tags = row->tags,
		.tag_count = row->tag_count,
		.site = row->site,
		.ranges = row->ranges,
		.range_count = row->range_count,
		.forget = arena_strdup(arena, forget),
		.revoked = row->revoked,
	};
}

int token_create(struct authority *a, struct arena *arena, const struct api_token_create *wish,
		 struct api_token *ret, struct refusal_reason *why)
{
	struct token_row row = { 0 };
	struct sign_key key;
	char *text = NULL;
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	sign_key_generate(&key);
	row.id = arena_strdup(arena, key.id);
	memcpy(row.public_key, key.public_key, KEY_LEN);
	r = wish_check(a, arena, wish, &row, why);
	if (r == 0)
		r = store_serial(a->store, &row.serial);
	if (r == 0)
		r = token_make(a, arena, &key, &row, &text);
	if (r == 0)
		r = store_token_put(a->store, &row);
	sign_key_done(&key);
	r = authority_end(a, r, why);
	if (r == 0) {
		token_show(arena, &row, ret);
		ret->token = text;
	}
	return r;
}

int token_revoke(struct authority *a, const char *id, struct refusal_reason *why)
{
	struct arena arena = { 0 };
	struct token_row row;
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	r = store_token_get(a->store, &arena, id, &row);
	if (r == -ENOENT)
		r = refuse(why, 404, "unknown_token",
			   "there is no token %s; `warren token list` shows those there are", id);
	if (r == 0 && !row.revoked) {
		row.revoked = true;
		r = store_token_put(a->store, &row);
	}
	arena_done(&arena);
	return authority_end(a, r, why);
}

int token_list(struct authority *a, struct arena *arena, const char *network,
	       struct api_token **ret, size_t *ret_count, struct refusal_reason *why)
{
	struct token_row *rows;
	int r = store_token_list(a->store, arena, network, &rows, ret_count);

	if (r < 0)
		return refuse_store(why, r);
	*ret = arena_array(arena, *ret_count, sizeof(**ret));
	for (size_t i = 0; i < *ret_count; i++)
		token_show(arena, &rows[i], &(*ret)[i]);
	return 0;
}
