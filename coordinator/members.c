/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From rows to what is published: a member's body in the peers journal, a network's settings, a
 * node's own configuration.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/authority.h"

void member_settings_body(const struct network *n, struct buf *out)
{
	struct prefix ranges[2];
	struct settings s = {
		.ranges = ranges,
		.range_count = n->range_count,
		.mtu = n->mtu,
		.keepalive = n->keepalive,
		.port = n->port,
		.max_stale = n->max_stale,
	};

	memcpy(ranges, n->ranges, sizeof(ranges));
	json_encode(out, settings_fields, &s);
}

void member_peer(struct arena *arena, const struct network *n, const struct member_row *m,
		 const struct node_row *node, struct peer *ret)
{
	*ret = (struct peer){
		.name = m->name,
		.role = m->role,
		.keys = arena_array(arena, 1, sizeof(*ret->keys)),
		.key_count = 1,
		.addresses = arena_array(arena, n->range_count, sizeof(*ret->addresses)),
		.address_count = n->range_count,
		.tags = m->tags,
		.tag_count = m->tag_count,
		.site = node->site,
		.endpoints = m->endpoints,
		.endpoint_count = m->endpoint_count,
		.ep_seq = m->ep_seq,
	};
	memcpy(ret->keys[0].key, m->wireguard_key, KEY_LEN);
	memcpy(ret->identity_key, node->identity_key, KEY_LEN);
	for (size_t i = 0; i < n->range_count; i++)
		ret->addresses[i] = host_address(n, i, m->host).addr;
}

void member_peer_body(const struct network *n, const struct member_row *m,
		      const struct node_row *node, struct buf *out)
{
	struct arena arena = { 0 };
	struct peer p;

	member_peer(&arena, n, m, node, &p);
	json_encode(out, peer_fields, &p);
	arena_done(&arena);
}

void member_membership(struct arena *arena, const struct network *n, const struct member_row *m,
		       struct membership *ret)
{
	*ret = (struct membership){
		.network = m->network,
		.name = m->name,
		.role = m->role,
		.addresses = arena_array(arena, n->range_count, sizeof(*ret->addresses)),
		.address_count = n->range_count,
		.mtu = n->mtu,
		.keepalive = n->keepalive,
		.port = n->port,
		.tags = m->tags,
		.tag_count = m->tag_count,
	};
	for (size_t i = 0; i < n->range_count; i++)
		ret->addresses[i] = host_address(n, i, m->host);
}

static int config_body(struct authority *a, struct arena *arena, const struct node_row *node,
		       struct buf *out)
{
	struct node_config c = { .seq = node->config_seq };
	struct member_row *members;
	struct ended_row *ended;
	int r = store_member_list(a->store, arena, NULL, node->id, &members, &c.membership_count);

	if (r < 0)
		return r;
	c.memberships = arena_array(arena, c.membership_count, sizeof(*c.memberships));
	for (size_t i = 0; i < c.membership_count; i++) {
		struct network n;

		r = store_network_get(a->store, arena, members[i].network, &n);
		if (r < 0)
			return r;
		member_membership(arena, &n, &members[i], &c.memberships[i]);
	}
	r = store_ended_list(a->store, arena, node->id, &ended, &c.ended_count);
	if (r < 0)
		return r;
	c.ended = arena_array(arena, c.ended_count, sizeof(*c.ended));
	for (size_t i = 0; i < c.ended_count; i++)
		c.ended[i] = (struct ended){
			.network = ended[i].network,
			.why = arena_strdup(arena, journal_why_names[ended[i].why]),
		};
	json_encode(out, node_config_fields, &c);
	return 0;
}

int member_config_publish(struct authority *a, const char *node_id)
{
	struct topic t = { .kind = TOPIC_CONFIG };
	struct arena arena = { 0 };
	struct buf body = { 0 };
	struct node_row node;
	int r = store_node_get(a->store, &arena, node_id, &node);

	if (r == 0) {
		node.config_seq++;
		r = store_node_put(a->store, &node);
	}
	if (r == 0)
		r = config_body(a, &arena, &node, &body);
	if (r == 0) {
		memcpy(t.id, node_id, KEY_ID_SIZE);
		r = publisher_register(a->publisher, &t, node.config_seq, buf_cstr(&body));
	}
	buf_done(&body);
	arena_done(&arena);
	return r;
}

/* ---- what the rows say, and the writers do not have ---- */

/* The published names that `is_known` denies (-ENOENT) are deleted. */
static int reconcile_gone(struct authority *a, struct arena *arena, const char *network,
			  enum journal_kind kind,
			  int (*is_known)(struct authority *a, struct arena *arena,
					  const char *network, const char *name))
{
	struct ended_row ended;
	char **gone = NULL;
	size_t count = 0, cap = 0;
	int r = 0;

	for (const char *name = NULL; (name = publisher_next(a->publisher, network, kind, name));) {
		if (is_known(a, arena, network, name) != -ENOENT)
			continue;
		if (count == cap) {
			cap = cap ? 2 * cap : 16;
			gone = xreallocarray(gone, cap, sizeof(*gone));
		}
		gone[count++] = arena_strdup(arena, name);
	}
	for (size_t i = 0; r == 0 && i < count; i++) {
		const char *slash = strrchr(gone[i], '/');

		r = store_ended_get(a->store, arena, network, slash ? slash + 1 : gone[i], &ended);
		if (r == 0 || r == -ENOENT)
			r = publisher_del(a->publisher, network, kind, gone[i],
					  r == 0 ? ended.why : WHY_GONE);
	}
	free(gone);
	return r;
}

static int peer_is_known(struct authority *a, struct arena *arena, const char *network,
			 const char *name)
{
	struct member_row member;

	return store_member_get(a->store, arena, network, name, &member);
}

static int reconcile_peers(struct authority *a, struct arena *arena, const struct network *n)
{
	struct member_row *members;
	size_t count;
	int r = store_member_list(a->store, arena, n->name, NULL, &members, &count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		struct buf body = { 0 };
		struct node_row node;

		r = store_node_get(a->store, arena, members[i].node, &node);
		if (r == 0) {
			member_peer_body(n, &members[i], &node, &body);
			r = publisher_put(a->publisher, n->name, JOURNAL_PEERS, members[i].node,
					  buf_cstr(&body));
		}
		buf_done(&body);
	}
	return r < 0 ? r : reconcile_gone(a, arena, n->name, JOURNAL_PEERS, peer_is_known);
}

static int gateway_is_known(struct authority *a, struct arena *arena, const char *network,
			    const char *name)
{
	struct exporter_row exporter;
	struct gateway_row gateway;
	struct name_row added;
	const char *slash = strchr(name, '/');
	size_t n = slash ? (size_t)(slash - name) : 0;

	if (n == strlen("gateway") && strncmp(name, "gateway", n) == 0)
		return store_gateway_get(a->store, arena, slash + 1, &gateway);
	if (n == strlen("exporter") && strncmp(name, "exporter", n) == 0)
		return store_exporter_get(a->store, arena, network, slash + 1, &exporter);
	if (n == strlen("name") && strncmp(name, "name", n) == 0)
		return store_name_get(a->store, arena, network, slash + 1, &added);
	return 0;
}

static int reconcile_settings(struct authority *a, const struct network *n)
{
	struct buf settings = { 0 };
	int r;

	member_settings_body(n, &settings);
	r = publisher_put(a->publisher, n->name, JOURNAL_GATEWAYS, "settings", buf_cstr(&settings));
	buf_done(&settings);
	return r;
}

static int reconcile_gateways(struct authority *a, struct arena *arena, const struct network *n)
{
	struct exporter_row *exporters;
	struct gateway_row *gateways;
	struct refusal_reason why;
	struct name_row *names;
	size_t count = 0;
	int r = reconcile_settings(a, n);

	if (r == 0)
		r = store_gateway_list(a->store, arena, n->name, &gateways, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = gateway_publish(a, arena, &gateways[i]);
	if (r == 0)
		r = store_exporter_list(a->store, arena, n->name, NULL, &exporters, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = exporter_publish(a, arena, &exporters[i], &why);
	if (r == 0)
		r = store_name_list(a->store, arena, n->name, &names, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = name_publish(a, &names[i]);
	return r < 0 ? r : reconcile_gone(a, arena, n->name, JOURNAL_GATEWAYS, gateway_is_known);
}

int member_reconcile(struct authority *a)
{
	struct arena arena = { 0 };
	struct network *networks;
	size_t count = 0;
	int r = store_network_list(a->store, &arena, &networks, &count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		r = reconcile_gateways(a, &arena, &networks[i]);
		if (r == 0)
			r = reconcile_peers(a, &arena, &networks[i]);
	}
	arena_done(&arena);
	publisher_flush(a->publisher);
	return r;
}
