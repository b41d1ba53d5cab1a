/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Gateways: made, changed, shown, deleted, and kept level with the members that they are made of. What
 * is decided is stored, and published in the network's gateways journal as gateway/<id>.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/authority.h"
#include "lib/log.h"
#include "lib/text.h"

#define DEFAULT_PRIORITY 100 /* there is room on both sides */

/* ---- its nodes, and what is published ---- */

static bool has_tag(const struct member_row *m, const char *tag)
{
	for (size_t i = 0; i < m->tag_count; i++)
		if (strcmp(m->tags[i], tag) == 0)
			return true;
	return false;
}

static bool is_of_site(const struct node_row *node, const char *site)
{
	return node->site && site && strcmp(node->site, site) == 0;
}

/* At most GATEWAY_NODES_MAX, the first by name. */
static int nodes_of(struct authority *a, struct arena *arena, const struct gateway_row *g,
		    struct member_row **ret, size_t *ret_count)
{
	struct member_row *all;
	size_t count;
	int r;

	*ret_count = 0;
	if (g->node) {
		*ret = arena_array(arena, 1, sizeof(**ret));
		r = store_member_get(a->store, arena, g->network, g->node, *ret);
		*ret_count = r == 0;
		return r == -ENOENT ? 0 : r;
	}
	r = store_member_list(a->store, arena, g->network, NULL, &all, &count);
	*ret = arena_array(arena, GATEWAY_NODES_MAX, sizeof(**ret));
	for (size_t i = 0; r == 0 && i < count && *ret_count < GATEWAY_NODES_MAX; i++) {
		struct node_row node;

		if (!has_tag(&all[i], g->tag))
			continue;
		r = store_node_get(a->store, arena, all[i].node, &node);
		if (r == 0 && is_of_site(&node, g->site))
			(*ret)[(*ret_count)++] = all[i];
	}
	return r;
}

/* A copy of each node's peer fields, for those who do not read the peers journal. */
static int body_nodes(struct authority *a, struct arena *arena, const struct gateway_row *g,
		      struct gateway *body)
{
	struct member_row *members;
	struct network n;
	int r = store_network_get(a->store, arena, g->network, &n);

	if (r == 0)
		r = nodes_of(a, arena, g, &members, &body->node_count);
	if (r < 0)
		return r;
	body->nodes = arena_array(arena, body->node_count, sizeof(*body->nodes));
	for (size_t i = 0; r == 0 && i < body->node_count; i++) {
		struct node_row node;

		r = store_node_get(a->store, arena, members[i].node, &node);
		if (r < 0)
			break;
		body->nodes[i].node = members[i].node;
		member_peer(arena, &n, &members[i], &node, &body->nodes[i].peer);
	}
	return r;
}

static void member_name(const char *id, char ret[static JOURNAL_NAME_MAX + 1])
{
	snprintf(ret, JOURNAL_NAME_MAX + 1, "gateway/%s", id);
}

/* What a node says of itself is in it: of their endpoints as many as there is room for, the first ones
 * of each. All of them are in the peers journal. */
static void body_encode(struct gateway *body, struct buf *out)
{
	json_encode(out, gateway_fields, body);
	for (size_t most = PEER_ENDPOINTS_MAX; most > 0 && out->len > JOURNAL_BODY_MAX;) {
		most /= 2;
		for (size_t i = 0; i < body->node_count; i++)
			body->nodes[i].peer.endpoint_count =
				MIN(body->nodes[i].peer.endpoint_count, most);
		buf_clear(out);
		json_encode(out, gateway_fields, body);
	}
}

int gateway_publish(struct authority *a, struct arena *arena, const struct gateway_row *g)
{
	char name[JOURNAL_NAME_MAX + 1];
	struct buf text = { 0 };
	struct gateway body = {
		.site = g->site,
		.nat = g->nat,
		.priority = g->priority,
		.ranges = arena_array(arena, g->range_count, sizeof(*body.ranges)),
		.range_count = g->range_count,
	};
	int r = body_nodes(a, arena, g, &body);

	for (size_t i = 0; i < g->range_count; i++)
		body.ranges[i].range = g->ranges[i];
	if (r == 0) {
		member_name(g->id, name);
		body_encode(&body, &text);
		r = publisher_put(a->publisher, g->network, JOURNAL_GATEWAYS, name,
				  buf_cstr(&text));
	}
	buf_done(&text);
	return r;
}

static int gateway_end(struct authority *a, struct arena *arena, const struct gateway_row *g,
		       struct refusal_reason *why)
{
	char name[JOURNAL_NAME_MAX + 1];
	int r = store_gateway_delete(a->store, g->id);

	member_name(g->id, name);
	if (r == 0)
		r = publisher_del(a->publisher, g->network, JOURNAL_GATEWAYS, name, WHY_REMOVED);
	if (r == 0 && g->site)
		r = exporter_grants_refresh(a, arena, g->site, why);
	return r;
}

/* ---- members that come, change and go ---- */

/* Does the member belong to it, or did it when the gateway was published last? */
static bool concerns(struct authority *a, const struct gateway_row *g, const struct member_row *m)
{
	char name[JOURNAL_NAME_MAX + 1], node[KEY_ID_SIZE + 2];
	const char *published;

	if (g->node)
		return strcmp(g->node, m->node) == 0;
	if (has_tag(m, g->tag))
		return true;
	member_name(g->id, name);
	snprintf(node, sizeof(node), "\"%s\"", m->node);
	published = publisher_latest(a->publisher, g->network, JOURNAL_GATEWAYS, name);
	return published && strstr(published, node);
}

int gateway_member_changed(struct authority *a, struct arena *arena, const struct member_row *m)
{
	struct gateway_row *gateways;
	size_t count;
	int r = store_gateway_list(a->store, arena, m->network, &gateways, &count);

	for (size_t i = 0; r == 0 && i < count; i++)
		if (concerns(a, &gateways[i], m))
			r = gateway_publish(a, arena, &gateways[i]);
	return r;
}

int gateway_member_ended(struct authority *a, struct arena *arena, const struct member_row *m)
{
	struct refusal_reason why;
	struct gateway_row *gateways;
	size_t count;
	int r = store_gateway_list(a->store, arena, m->network, &gateways, &count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		const struct gateway_row *g = &gateways[i];

		if (!concerns(a, g, m))
			continue;
		if (!g->node) {
			r = gateway_publish(a, arena, g);
			continue;
		}
		log_info("gateway-ended", "gateway=%s network=%s node=%s", g->id, g->network,
			 m->node);
		r = gateway_end(a, arena, g, &why);
	}
	return r;
}

int gateway_network_end(struct authority *a, struct arena *arena, const char *network,
			struct refusal_reason *why)
{
	struct gateway_row *gateways;
	size_t count;
	int r = store_gateway_list(a->store, arena, network, &gateways, &count);

	for (size_t i = 0; r == 0 && i < count; i++)
		r = gateway_end(a, arena, &gateways[i], why);
	return r;
}

/* ---- made, changed, deleted ---- */

/* The node by id or name; it must be a member of the gateway's network. */
static int node_find(struct authority *a, struct arena *arena, const char *node,
		     struct gateway_row *g, struct refusal_reason *why)
{
	struct member_row member, *all;
	struct node_row row;
	bool elsewhere = false;
	size_t count;
	int r = store_member_get(a->store, arena, g->network, node, &member);

	if (r == -ENOENT)
		r = store_member_by_name(a->store, arena, g->network, node, &member);
	if (r == 0)
		r = store_node_get(a->store, arena, member.node, &row);
	if (r == 0) {
		g->node = member.node;
		g->site = row.site;
	}
	if (r != -ENOENT)
		return r;
	r = store_member_list(a->store, arena, NULL, NULL, &all, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		elsewhere |= strcmp(all[i].name, node) == 0 || strcmp(all[i].node, node) == 0;
	if (r == 0 && elsewhere)
		return refuse(why, 409, "not_a_member",
			      "node %s is not in network %s; let it join first, with a token from"
			      " `warren token create --network %s`",
			      node, g->network, g->network);
	return r < 0 ? r :
		       refuse(why, 404, "unknown_node",
			      "there is no node %s; `warren node list` shows those there are",
			      node);
}

static int who_check(struct authority *a, struct arena *arena,
		     const struct api_gateway_create *wish, struct gateway_row *g,
		     struct refusal_reason *why)
{
	int r;

	if (!!wish->node == !!wish->tag || !!wish->tag > !!wish->site)
		return refuse(why, 400, "node",
			      "a gateway is one node (--node NODE), or all nodes of a site that"
			      " joined with a tag (--tag TAG --site SITE)");
	if (!wish->node) {
		g->tag = wish->tag;
		g->site = wish->site;
		return 0;
	}
	r = node_find(a, arena, wish->node, g, why);
	if (r == 0 && wish->site && (!g->site || strcmp(wish->site, g->site) != 0))
		return refuse(why, 409, "site",
			      "node %s is %s%s, not of site %s; leave --site away", wish->node,
			      g->site ? "of site " : "without a site", g->site ? g->site : "",
			      wish->site);
	return r;
}

/* `g`: as it is; a new one has no ranges yet. */
static int settings_take(struct authority *a, struct arena *arena,
			 const struct api_gateway_create *wish, struct gateway_row *g,
			 struct refusal_reason *why)
{
	bool named = wish->ranges || wish->from_site || !g->range_count;
	int r = 0;

	if (wish->as_count)
		return refuse(why, 400, "as",
			      "as: this version does not publish a range under another address;"
			      " leave --as away, and where two sites overlap publish the range of"
			      " one of them only, or renumber it");
	if (named && !wish->range_count && !wish->from_site)
		return refuse(why, 400, "ranges",
			      "a gateway needs at least one range: --range 10.42.0.0/16, or"
			      " --from-site SITE");
	if (wish->range_count && wish->from_site)
		return refuse(why, 400, "from_site",
			      "--range and --from-site exclude each other: name the ranges, or take"
			      " those that the site's exporter offers");
	if (named) {
		g->ranges = wish->ranges;
		g->range_count = wish->range_count;
		g->from_site = wish->from_site;
	}
	g->nat = wish->nat;
	g->priority = wish->priority;
	if (wish->from_site)
		r = gateway_ranges_offered(a, arena, g, wish->from_site, why);
	return r < 0 ? r : gateway_ranges_check(a, arena, g, why);
}

int gateway_store(struct authority *a, struct arena *arena, const struct gateway_row *g,
		  struct refusal_reason *why)
{
	int r = store_gateway_put(a->store, g);

	if (r == 0)
		r = gateway_publish(a, arena, g);
	if (r == 0 && g->site)
		r = exporter_grants_refresh(a, arena, g->site, why);
	return r;
}

static int gateway_fill(struct authority *a, struct arena *arena, const struct gateway_row *g,
			struct api_gateway *ret)
{
	struct member_row *members;
	size_t count;
	int r = nodes_of(a, arena, g, &members, &count);

	if (r < 0)
		return r;
	*ret = (struct api_gateway){
		.id = g->id,
		.network = g->network,
		.site = g->site,
		.nodes = arena_array(arena, count, sizeof(*ret->nodes)),
		.node_count = count,
		.node = g->node,
		.tag = g->tag,
		.ranges = g->ranges,
		.range_count = g->range_count,
		.nat = g->nat,
		.priority = g->priority,
		.from_site = g->from_site,
	};
	for (size_t i = 0; i < count; i++)
		ret->nodes[i] = members[i].name;
	return gateway_not_carried(a, arena, g, &ret->not_carried, &ret->not_carried_count);
}

void gateway_defaults(struct api_gateway_create *ret)
{
	ret->nat = NAT_MASQUERADE;
	ret->priority = DEFAULT_PRIORITY;
}

int gateway_create(struct authority *a, struct arena *arena, const struct api_gateway_create *wish,
		   struct api_gateway *ret, struct refusal_reason *why)
{
	uint8_t random[GATEWAY_ID_LEN];
	char id[GATEWAY_ID_SIZE];
	struct gateway_row g = { .id = id, .network = wish->network };
	struct network n;
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	crypto_random(random, sizeof(random));
	base32_prefix(random, sizeof(random), id, GATEWAY_ID_LEN);
	g.id = arena_strdup(arena, id);
	r = network_find(a, arena, wish->network, &n, why);
	if (r == 0)
		r = who_check(a, arena, wish, &g, why);
	if (r == 0)
		r = settings_take(a, arena, wish, &g, why);
	if (r == 0)
		r = gateway_store(a, arena, &g, why);
	if (r == 0)
		r = gateway_fill(a, arena, &g, ret);
	return authority_end(a, r, why);
}

static int gateway_find(struct authority *a, struct arena *arena, const char *id,
			struct gateway_row *ret, struct refusal_reason *why)
{
	int r = store_gateway_get(a->store, arena, id, ret);

	if (r == -ENOENT)
		return refuse(why, 404, "unknown_gateway",
			      "there is no gateway %s; `warren gateway list` shows those there are",
			      id);
	return r;
}

int gateway_set(struct authority *a, const char *id, const struct api_gateway_create *wish,
		struct refusal_reason *why)
{
	struct arena arena = { 0 };
	struct gateway_row g;
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	r = gateway_find(a, &arena, id, &g, why);
	if (r == 0)
		r = settings_take(a, &arena, wish, &g, why);
	if (r == 0)
		r = gateway_store(a, &arena, &g, why);
	arena_done(&arena);
	return authority_end(a, r, why);
}

int gateway_show(struct authority *a, struct arena *arena, const char *id, struct api_gateway *ret,
		 struct refusal_reason *why)
{
	struct gateway_row g;
	int r = gateway_find(a, arena, id, &g, why);

	if (r == 0)
		r = gateway_fill(a, arena, &g, ret);
	return r < 0 && r != -ECANCELED ? refuse_store(why, r) : r;
}

int gateway_list(struct authority *a, struct arena *arena, const char *network,
		 struct api_gateway **ret, size_t *ret_count, struct refusal_reason *why)
{
	struct gateway_row *rows;
	int r = store_gateway_list(a->store, arena, network, &rows, ret_count);

	if (r < 0)
		return refuse_store(why, r);
	*ret = arena_array(arena, *ret_count, sizeof(**ret));
	for (size_t i = 0; i < *ret_count; i++)
		if ((r = gateway_fill(a, arena, &rows[i], &(*ret)[i])) < 0)
			return refuse_store(why, r);
	return 0;
}

int gateway_delete(struct authority *a, const char *id, struct refusal_reason *why)
{
	struct arena arena = { 0 };
	struct gateway_row g;
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	r = gateway_find(a, &arena, id, &g, why);
	if (r == 0)
		r = gateway_end(a, &arena, &g, why);
	arena_done(&arena);
	return authority_end(a, r, why);
}
