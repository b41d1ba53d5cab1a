/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Nodes: listing, renaming, removing, leaving, and what they say of themselves.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/authority.h"
#include "coordinator/holders.h"
#include "lib/log.h"
#include "lib/text.h"

#define FORGET_MAX 100 /* in one transaction; the rest follow in the next */
#define FORGET_AT_ONCE 10
#define FORGET_PERCENT 30
#define FORGET_WINDOW 600
#define WAITS_VALUE                                                                                \
	"forget-waits " /* store value by network: 0, or some wait: 1 + those that may go */
#define RELEASED_VALUE "forget-released " /* when it was released, wall */

static void node_fill(struct arena *arena, const struct network *n, const struct member_row *m,
		      const struct node_row *node, struct api_node *ret)
{
	*ret = (struct api_node){
		.id = m->node,
		.name = m->name,
		.network = m->network,
		.addresses = arena_array(arena, n->range_count, sizeof(*ret->addresses)),
		.address_count = n->range_count,
		.tags = m->tags,
		.tag_count = m->tag_count,
		.site = node->site,
		.role = m->role,
		.online = node->online,
		.last_seen = node->last_seen,
		.endpoints = m->endpoints,
		.endpoint_count = m->endpoint_count,
	};
	for (size_t i = 0; i < n->range_count; i++)
		ret->addresses[i] = host_address(n, i, m->host).addr;
	memcpy(ret->wireguard_key, m->wireguard_key, KEY_LEN);
}

static int nodes_fill(struct authority *a, struct arena *arena, const struct member_row *members,
		      size_t count, struct api_node **ret)
{
	*ret = arena_array(arena, count, sizeof(**ret));
	for (size_t i = 0; i < count; i++) {
		struct node_row node;
		struct network n;
		int r = store_network_get(a->store, arena, members[i].network, &n);

		if (r == 0)
			r = store_node_get(a->store, arena, members[i].node, &node);
		if (r < 0)
			return r;
		node_fill(arena, &n, &members[i], &node, &(*ret)[i]);
	}
	return 0;
}

int node_list(struct authority *a, struct arena *arena, const char *network, struct api_node **ret,
	      size_t *ret_count, struct refusal_reason *why)
{
	struct member_row *members;
	int r = store_member_list(a->store, arena, network, NULL, &members, ret_count);

	if (r == 0)
		r = nodes_fill(a, arena, members, *ret_count, ret);
	return r < 0 ? refuse_store(why, r) : 0;
}

/* The memberships of a node given by id or by name. A name that two nodes bear (in two networks) is
 * refused: the id says which. */
static int members_of(struct authority *a, struct arena *arena, const char *node,
		      struct member_row **ret, size_t *ret_count, struct refusal_reason *why)
{
	struct member_row *all;
	const char *id = NULL;
	size_t count;
	int r = store_member_list(a->store, arena, NULL, node, ret, ret_count);

	if (r < 0 || *ret_count)
		return r;
	r = store_member_list(a->store, arena, NULL, NULL, &all, &count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (strcmp(all[i].name, node) != 0)
			continue;
		if (id && strcmp(id, all[i].node) != 0)
			return refuse(why, 409, "ambiguous",
				      "two nodes are named %s (%s and %s); give the id", node, id,
				      all[i].node);
		id = all[i].node;
	}
	if (r == 0 && !id)
		return refuse(why, 404, "unknown_node",
			      "there is no node %s; `warren node list` shows those there are",
			      node);
	return r < 0 ? r : store_member_list(a->store, arena, NULL, id, ret, ret_count);
}

int node_show(struct authority *a, struct arena *arena, const char *node, struct api_node **ret,
	      size_t *ret_count, struct refusal_reason *why)
{
	struct member_row *members;
	int r = members_of(a, arena, node, &members, ret_count, why);

	if (r == 0)
		r = nodes_fill(a, arena, members, *ret_count, ret);
	return r < 0 && r != -ECANCELED ? refuse_store(why, r) : r;
}

static int member_publish(struct authority *a, struct arena *arena, const struct member_row *m)
{
	struct buf body = { 0 };
	struct node_row node;
	struct network n;
	int r = store_network_get(a->store, arena, m->network, &n);

	if (r == 0)
		r = store_node_get(a->store, arena, m->node, &node);
	if (r == 0) {
		member_peer_body(&n, m, &node, &body);
		r = publisher_put(a->publisher, m->network, JOURNAL_PEERS, m->node,
				  buf_cstr(&body));
	}
	buf_done(&body);
	return r < 0 ? r : gateway_member_changed(a, arena, m);
}

static int member_rename(struct authority *a, struct arena *arena, struct member_row *m,
			 const char *wish, struct refusal_reason *why)
{
	char name[LABEL_SIZE], label[LABEL_SIZE];
	int r = host_name(a, m->network, m->node, wish, name);

	text_make_label(wish, label);
	if (r == 0 && strcmp(name, label) != 0)
		return refuse(why, 409, "name_taken",
			      "network %s has another node, or an added name, %s; choose another"
			      " name",
			      m->network, label);
	if (r < 0)
		return r;
	m->name = arena_strdup(arena, name);
	r = store_member_put(a->store, m);
	return r < 0 ? r : member_publish(a, arena, m);
}

int node_rename(struct authority *a, const char *node, const char *wish, struct refusal_reason *why)
{
	struct arena arena = { 0 };
	struct member_row *members;
	size_t count = 0;
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	r = members_of(a, &arena, node, &members, &count, why);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = member_rename(a, &arena, &members[i], wish, why);
	if (r == 0)
		r = member_config_publish(a, members[0].node);
	arena_done(&arena);
	return authority_end(a, r, why);
}

static void clear_topic(struct authority *a, enum topic_kind kind, const char *network,
			const char *node)
{
	struct topic t = { .kind = kind };

	snprintf(t.id, sizeof(t.id), "%s", node);
	snprintf(t.network, sizeof(t.network), "%s", network ? network : "");
	publisher_clear(a->publisher, &t);
}

static int member_end(struct authority *a, struct arena *arena, const struct member_row *m,
		      enum journal_why reason)
{
	struct ended_row ended = {
		.network = m->network,
		.node = m->node,
		.why = reason,
		.at = a->now(),
		.name = m->name,
		.host = m->host,
	};
	int r = store_serial(a->store, &ended.serial);

	if (r == 0)
		r = store_ended_put(a->store, &ended);
	if (r == 0)
		r = store_member_delete(a->store, m->network, m->node);
	if (r == 0)
		r = store_host_free(a->store, m->network, m->host, ended.at);
	if (r == 0)
		r = publisher_del(a->publisher, m->network, JOURNAL_PEERS, m->node, reason);
	if (r == 0)
		r = gateway_member_ended(a, arena, m);
	if (r == 0)
		clear_topic(a, TOPIC_EP, m->network, m->node);
	return r;
}

/* Every topic of the node is cleared once it is in no network any more; the word that its memberships
 * ended is in the journals. */
static int node_after_end(struct authority *a, struct arena *arena, const char *node)
{
	struct member_row *left;
	size_t count;
	int r = store_member_list(a->store, arena, NULL, node, &left, &count);

	if (r < 0 || count)
		return r < 0 ? r : member_config_publish(a, node);
	clear_topic(a, TOPIC_NODE, NULL, node);
	clear_topic(a, TOPIC_CONFIG, NULL, node);
	if (a->holders)
		holders_forget(a->holders, node);
	return 0;
}

int node_remove(struct authority *a, const char *node, struct refusal_reason *why)
{
	struct arena arena = { 0 };
	struct member_row *members;
	size_t count = 0;
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	r = members_of(a, &arena, node, &members, &count, why);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = member_end(a, &arena, &members[i], WHY_REMOVED);
	if (r == 0)
		r = node_after_end(a, &arena, members[0].node);
	arena_done(&arena);
	return authority_end(a, r, why);
}

int node_leave(struct authority *a, const char *node_id, const char *network,
	       const uint8_t request[static HASH_LEN], struct refusal_reason *why)
{
	struct arena arena = { 0 };
	struct member_row m;
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	r = store_member_get(a->store, &arena, network, node_id, &m);
	if (r == -ENOENT && exporter_is_known(a, network, node_id))
		r = refuse(why, 409, "exporter",
			   "an exporter does not leave: stop it, and take its names away with"
			   " `warren exporter remove %s`",
			   node_id);
	if (r == -ENOENT)
		r = refuse(why, 404, "not_a_member", "this node is not in network %s", network);
	if (r == 0)
		r = store_leave_put(a->store, node_id, request, a->now());
	if (r == -EEXIST)
		r = refuse(
			why, 403, "ended",
			"this request was obeyed before, and the node has joined network %s since",
			network);
	if (r == 0)
		r = member_end(a, &arena, &m, WHY_LEFT);
	if (r == 0)
		r = node_after_end(a, &arena, node_id);
	arena_done(&arena);
	return authority_end(a, r, why);
}

int node_replace(struct authority *a, struct arena *arena, const struct member_row *m)
{
	int r = member_end(a, arena, m, WHY_REPLACED);

	return r < 0 ? r : node_after_end(a, arena, m->node);
}

int node_seen(struct authority *a, const char *node_id, const struct node_state *state)
{
	struct arena arena = { 0 };
	struct node_row node;
	int r = store_node_get(a->store, &arena, node_id, &node);

	if (r == 0 && state->seq <= node.state_seq)
		r = -ESTALE;
	if (r == 0) {
		if (node.online != state->online)
			log_info("node-state", "node=%s online=%s", node_id,
				 state->online ? "yes" : "no");
		node.state_seq = state->seq;
		node.online = state->online;
		node.last_seen = a->now();
		node.silent = 0;
		r = store_node_put(a->store, &node);
	}
	/* A will says nothing of it. */
	if (r == 0 && state->online)
		r = store_exporter_offer(a->store, node_id, state->ranges, state->range_count);
	arena_done(&arena);
	return r;
}

static int forget(struct authority *a, const char *network, size_t max)
{
	struct arena arena = { 0 };
	struct member_row *members;
	size_t count = 0;
	int r = store_member_silent(a->store, &arena, network, max, &members, &count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		log_info("node-forgotten", "network=%s node=%s name=%s", members[i].network,
			 members[i].node, members[i].name);
		r = member_end(a, &arena, &members[i], WHY_SILENT);
		if (r == 0)
			r = node_after_end(a, &arena, members[i].node);
	}
	arena_done(&arena);
	return r;
}

static const char *value_name(const char *value, const char *network, char ret[static 128])
{
	snprintf(ret, 128, "%s%s", value, network);
	return ret;
}

/* How many more of a network may be forgotten by themselves now. */
static int forget_allowed(struct authority *a, const char *network, uint64_t *ret)
{
	uint64_t members = 0, recent = 0, released = 0, limit;
	int64_t now = a->now(), since = now - FORGET_WINDOW;
	char name[128];
	int r = store_value_get(a->store, value_name(RELEASED_VALUE, network, name), &released);

	if ((int64_t)released <= now)
		since = MAX(since, (int64_t)released);
	if (r == 0)
		r = store_member_count(a->store, network, &members);
	if (r == 0)
		r = store_ended_count(a->store, network, WHY_SILENT, since, &recent);
	limit = MAX((uint64_t)FORGET_AT_ONCE, (members + recent) * FORGET_PERCENT / 100);
	*ret = limit > recent ? limit - recent : 0;
	return r;
}

static int forget_in(struct authority *a, const char *network)
{
	uint64_t silent = 0, allowed = 0, waits = 0, now;
	char name[128];
	int r = store_member_silent_count(a->store, network, &silent);

	if (r == 0)
		r = store_value_get(a->store, value_name(WAITS_VALUE, network, name), &waits);
	if (r == 0 && !silent && waits)
		return store_value_put(a->store, name, 0);
	if (r == 0 && silent && !waits)
		r = forget_allowed(a, network, &allowed);
	if (r < 0 || !silent)
		return r;
	if (!waits && silent > allowed) {
		log_warn("forget-waits",
			 "network=%s count=%llu silent for too long, too many at once to be"
			 " forgotten before `warren network release %s`",
			 network, (unsigned long long)(silent - allowed), network);
		waits = allowed + 1;
	}
	now = MIN(waits ? waits - 1 : silent, (uint64_t)FORGET_MAX);
	if (waits)
		r = store_value_put(a->store, name, waits - now);
	return r < 0 || !now ? r : forget(a, network, now);
}

int node_forget(struct authority *a, int64_t seconds)
{
	struct refusal_reason why;
	struct arena arena = { 0 };
	struct network *networks;
	size_t count = 0;
	int r = authority_begin(a, &why);

	if (r < 0)
		return r;
	r = store_silence_add(a->store, seconds);
	if (r == 0)
		r = store_joins_prune(a->store, a->now());
	if (r == 0)
		r = store_network_list(a->store, &arena, &networks, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = forget_in(a, networks[i].name);
	arena_done(&arena);
	return authority_end(a, r, &why);
}

int node_forget_waiting(struct authority *a, const char *network, uint64_t *ret)
{
	uint64_t waits, silent = 0;
	char name[128];
	int r = store_value_get(a->store, value_name(WAITS_VALUE, network, name), &waits);

	if (r == 0 && waits)
		r = store_member_silent_count(a->store, network, &silent);
	*ret = waits && silent >= waits ? silent - waits + 1 : 0;
	return r;
}

int node_forget_release(struct authority *a, const char *network, uint64_t *ret_count)
{
	char name[128];
	int r = node_forget_waiting(a, network, ret_count);

	if (r < 0 || !*ret_count)
		return r;
	r = store_member_silent_count(a->store, network, ret_count);
	if (r < 0)
		return r;
	r = store_value_put(a->store, value_name(WAITS_VALUE, network, name), 0);
	if (r == 0)
		r = forget(a, network, *ret_count);
	/* What went with a consent is not counted. */
	if (r == 0)
		r = store_value_put(a->store, value_name(RELEASED_VALUE, network, name),
				    (uint64_t)MAX(a->now(), 0));
	return r;
}

int node_endpoints(struct authority *a, const char *node_id, const char *network,
		   const struct ep *ep)
{
	struct refusal_reason why = { 0 };
	struct arena arena = { 0 };
	struct member_row m;
	int r = authority_begin(a, &why);

	if (r < 0)
		return -EIO;
	r = store_member_get(a->store, &arena, network, node_id, &m);
	if (r == 0 && ep->seq <= m.ep_seq)
		r = -ECANCELED;
	if (r == 0) {
		m.endpoints = ep->endpoints;
		m.endpoint_count = ep->endpoint_count;
		m.ep_seq = ep->seq;
		r = store_member_put(a->store, &m);
	}
	if (r == 0)
		r = member_publish(a, &arena, &m);
	if (r == 0)
		clear_topic(a, TOPIC_EP, network, node_id);
	arena_done(&arena);
	r = authority_end(a, r == -ENOENT ? -ECANCELED : r, &why);
	return r < 0 && why.status ? -EIO : r; /* only the store fills it */
}
