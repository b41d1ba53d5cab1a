/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Networks: what may be made, their settings, their orphans.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/authority.h"
#include "coordinator/dns.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/text.h"

#define DEFAULT_MTU 1420
#define DEFAULT_KEEPALIVE 20
#define DEFAULT_PORT 51830 /* 51820 is Flannel's and others' */

static int range_check(const struct prefix *p, struct refusal_reason *why)
{
	char text[PREFIX_SIZE], fixed[PREFIX_SIZE];
	struct prefix network = prefix_network(p);
	unsigned longest = p->addr.family == AF_INET ? 29 : 124;

	prefix_format(p, text);
	if (!prefix_is_network(p))
		return refuse(why, 400, "range", "range %s has host bits set; did you mean %s?",
			      text, prefix_format(&network, fixed));
	if (p->len < 8 || p->len > longest)
		return refuse(why, 400, "range",
			      "range %s is too %s: its length must be from 8 to %u", text,
			      p->len < 8 ? "large" : "small", longest);
	if (addr_is_loopback(&p->addr) || addr_is_multicast(&p->addr) ||
	    addr_is_link_local(&p->addr) || addr_is_unspecified(&p->addr))
		return refuse(why, 400, "range",
			      "range %s is loopback, link-local, multicast or unspecified; choose a"
			      " private range such as 10.36.50.0/24 or fd36:50::/64",
			      text);
	return 0;
}

static int ranges_check(struct authority *a, struct arena *arena, const struct api_network *wish,
			struct refusal_reason *why)
{
	struct network *others;
	size_t count;
	int r;

	if (wish->range_count == 2 && wish->ranges[0].addr.family == wish->ranges[1].addr.family)
		return refuse(why, 400, "range",
			      "ranges: two of one family; a network has one IPv4 range, one IPv6"
			      " range, or one of each");
	for (size_t i = 0; i < wish->range_count; i++)
		if ((r = range_check(&wish->ranges[i], why)) < 0)
			return r;
	r = store_network_list(a->store, arena, &others, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		for (size_t j = 0; j < others[i].range_count; j++)
			for (size_t k = 0; k < wish->range_count; k++) {
				char mine[PREFIX_SIZE], theirs[PREFIX_SIZE];

				if (!prefix_overlaps(&others[i].ranges[j], &wish->ranges[k]))
					continue;
				return refuse(why, 409, "overlap",
					      "range %s overlaps with %s of network %s; choose a"
					      " range that no network uses",
					      prefix_format(&wish->ranges[k], mine),
					      prefix_format(&others[i].ranges[j], theirs),
					      others[i].name);
			}
	for (size_t i = 0; r == 0 && i < wish->range_count; i++)
		r = gateway_network_check(a, arena, &wish->ranges[i], why);
	return r;
}

static int settings_from(const struct api_network *wish, struct network *n,
			 struct refusal_reason *why)
{
	int64_t stale = DURATION_NEVER;

	if (wish->max_stale && duration_parse(wish->max_stale, &stale) < 0)
		return refuse(why, 400, "max_stale",
			      "max_stale is not a duration: use 90s, 10m, 24h, 7d or never");
	n->mtu = wish->mtu;
	n->keepalive = wish->keepalive;
	n->port = wish->port;
	n->max_stale = stale == DURATION_NEVER ? 0 : (uint64_t)stale;
	return 0;
}

static int settings_publish(struct authority *a, const struct network *n)
{
	struct buf body = { 0 };
	int r;

	member_settings_body(n, &body);
	r = publisher_put(a->publisher, n->name, JOURNAL_GATEWAYS, "settings", buf_cstr(&body));
	buf_done(&body);
	return r;
}

void network_defaults(struct api_network *ret)
{
	ret->mtu = DEFAULT_MTU;
	ret->keepalive = DEFAULT_KEEPALIVE;
	ret->port = DEFAULT_PORT;
}

int network_create(struct authority *a, const struct api_network *wish, struct refusal_reason *why)
{
	struct arena arena = { 0 };
	struct network n = { .name = wish->name, .next_host = 1 };
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	r = store_network_get(a->store, &arena, wish->name, &n);
	if (r == 0)
		r = refuse(why, 409, "exists", "network %s exists already", wish->name);
	else if (r == -ENOENT)
		r = ranges_check(a, &arena, wish, why);
	n = (struct network){ .name = wish->name,
			      .next_host = 1,
			      .range_count = wish->range_count };
	memcpy(n.ranges, wish->ranges, wish->range_count * sizeof(*n.ranges));
	if (r == 0)
		r = settings_from(wish, &n, why);
	if (r == 0)
		r = store_network_put(a->store, &n);
	if (r == 0)
		r = publisher_network_add(a->publisher, n.name);
	if (r == 0)
		r = settings_publish(a, &n);
	arena_done(&arena);
	return authority_end(a, r, why);
}

int network_find(struct authority *a, struct arena *arena, const char *name, struct network *ret,
		 struct refusal_reason *why)
{
	int r = store_network_get(a->store, arena, name, ret);

	if (r == -ENOENT)
		return refuse(why, 404, "unknown_network",
			      "there is no network %s; `warren network list` shows those there are",
			      name);
	return r;
}

int network_set(struct authority *a, const struct api_network *wish, struct refusal_reason *why)
{
	struct arena arena = { 0 };
	struct member_row *members;
	struct network n;
	size_t count = 0;
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	r = network_find(a, &arena, wish->name, &n, why);
	if (r == 0)
		r = settings_from(wish, &n, why);
	if (r == 0)
		r = store_network_put(a->store, &n);
	if (r == 0)
		r = settings_publish(a, &n);
	if (r == 0)
		r = store_member_list(a->store, &arena, n.name, NULL, &members, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = member_config_publish(a, members[i].node);
	arena_done(&arena);
	return authority_end(a, r, why);
}

int network_delete(struct authority *a, const char *name, struct refusal_reason *why)
{
	struct arena arena = { 0 };
	struct member_row *members;
	struct network n;
	size_t count = 0;
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	r = network_find(a, &arena, name, &n, why);
	if (r == 0)
		r = store_member_list(a->store, &arena, name, NULL, &members, &count);
	if (r == 0 && count)
		r = refuse(why, 409, "not_empty",
			   "network %s has %zu node%s (%s%s); remove %s first with `warren node"
			   " remove`",
			   name, count, count == 1 ? "" : "s", members[0].name,
			   count > 1 ? ", ..." : "", count == 1 ? "it" : "them");
	if (r == 0)
		r = gateway_network_end(a, &arena, name, why);
	if (r == 0)
		r = publisher_network_del(a->publisher, name);
	if (r == 0)
		r = store_network_delete(a->store, name);
	arena_done(&arena);
	r = authority_end(a, r, why);
	if (r == 0)
		dns_update(a->dns);
	return r;
}

int network_release(struct authority *a, const char *name, uint64_t *ret_released,
		    struct refusal_reason *why)
{
	struct arena arena = { 0 };
	struct orphan_row *orphans;
	struct network n;
	uint64_t forgotten = 0;
	size_t count = 0;
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	r = network_find(a, &arena, name, &n, why);
	if (r == 0)
		r = store_orphan_list(a->store, &arena, name, &orphans, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		if (orphans[i].host != UINT64_MAX)
			r = store_host_free(a->store, name, orphans[i].host, a->now());
	if (r == 0)
		r = store_orphan_delete(a->store, name, NULL);
	if (r == 0)
		r = publisher_release(a->publisher, name);
	if (r == 0)
		r = node_forget_release(a, name, &forgotten);
	arena_done(&arena);
	r = authority_end(a, r, why);
	if (r == 0)
		*ret_released = count + forgotten;
	return r;
}

int network_orphan_add(struct authority *a, const char *network, const char *node, const char *body)
{
	struct arena arena = { 0 };
	struct orphan_row o = { .network = xstrdup(network),
				.node = xstrdup(node),
				.body = xstrdup(body),
				.host = UINT64_MAX };
	struct json_error err;
	struct peer p = { 0 };
	struct network n;
	int r = store_network_get(a->store, &arena, network, &n);

	if (r == 0 &&
	    body_decode(&arena, body, strlen(body), peer_fields, &p, &err) == REFUSED_NOT) {
		o.name = p.name;
		for (size_t i = 0; i < p.address_count && o.host == UINT64_MAX; i++)
			o.host = host_index(&n, &p.addresses[i]);
		for (size_t i = 0; i < MIN(p.key_count, ARRAY_SIZE(o.keys)); i++)
			memcpy(o.keys[i], p.keys[i].key, KEY_LEN);
	}
	if (r == 0)
		r = store_orphan_put(a->store, &o);
	free(o.network);
	free(o.node);
	free(o.body);
	arena_done(&arena);
	return r;
}

int network_adopt(struct authority *a, const char *network, const char *settings)
{
	_cleanup_(freep) char *name = xstrdup(network);
	char stale[DURATION_SIZE], text[JSON_ERROR_SIZE];
	struct refusal_reason why = { 0 };
	struct arena arena = { 0 };
	struct json_error err;
	struct settings s = { 0 };
	int r = -EBADMSG;

	if (body_decode(&arena, settings, strlen(settings), settings_fields, &s, &err) ==
	    REFUSED_NOT) {
		struct api_network wish = {
			.name = name,
			.ranges = s.ranges,
			.range_count = s.range_count,
			.mtu = s.mtu,
			.keepalive = s.keepalive,
			.port = s.port,
			.max_stale = stale,
		};

		duration_format(s.max_stale ? (int64_t)s.max_stale : DURATION_NEVER, stale);
		r = network_create(a, &wish, &why);
	} else {
		snprintf(why.message, sizeof(why.message), "its settings: %s",
			 json_error_text(&err, text));
	}
	if (r < 0)
		log_warn("network-not-adopted", "network=%s why=%s", name, log_quote(why.message));
	else
		log_warn("network-adopted",
			 "network=%s its nodes are orphans until `warren network release`", name);
	arena_done(&arena);
	return r;
}

static void orphan_show(struct arena *arena, const struct network *n, const struct orphan_row *o,
			struct api_orphan *ret)
{
	*ret = (struct api_orphan){ .id = o->node, .name = o->name };
	if (o->host == UINT64_MAX)
		return;
	ret->addresses = arena_array(arena, n->range_count, sizeof(*ret->addresses));
	ret->address_count = n->range_count;
	for (size_t i = 0; i < n->range_count; i++)
		ret->addresses[i] = host_address(n, i, o->host).addr;
}

static int network_fill(struct authority *a, struct arena *arena, struct network *n,
			struct api_network *ret)
{
	char stale[DURATION_SIZE];
	struct orphan_row *orphans;
	uint64_t nodes, waiting;
	int r = store_member_count(a->store, n->name, &nodes);

	if (r == 0)
		r = node_forget_waiting(a, n->name, &waiting);
	if (r < 0)
		return r;
	duration_format(n->max_stale ? (int64_t)n->max_stale : DURATION_NEVER, stale);
	*ret = (struct api_network){
		.name = n->name,
		.ranges = arena_memdup(arena, n->ranges, n->range_count * sizeof(*n->ranges)),
		.range_count = n->range_count,
		.mtu = n->mtu,
		.keepalive = n->keepalive,
		.port = n->port,
		.max_stale = arena_strdup(arena, stale),
		.nodes = nodes,
		.waiting = waiting,
	};
	r = store_orphan_list(a->store, arena, n->name, &orphans, &ret->orphan_count);
	if (r < 0)
		return r;
	ret->orphans = arena_array(arena, ret->orphan_count, sizeof(*ret->orphans));
	for (size_t i = 0; i < ret->orphan_count; i++)
		orphan_show(arena, n, &orphans[i], &ret->orphans[i]);
	return 0;
}

int network_show(struct authority *a, struct arena *arena, const char *name,
		 struct api_network *ret, struct refusal_reason *why)
{
	struct network n;
	int r = network_find(a, arena, name, &n, why);

	if (r == 0)
		r = network_fill(a, arena, &n, ret);
	return r < 0 && r != -ECANCELED ? refuse_store(why, r) : r;
}

int network_list(struct authority *a, struct arena *arena, struct api_network **ret,
		 size_t *ret_count, struct refusal_reason *why)
{
	struct network *rows;
	int r = store_network_list(a->store, arena, &rows, ret_count);

	if (r < 0)
		return refuse_store(why, r);
	*ret = arena_array(arena, *ret_count, sizeof(**ret));
	for (size_t i = 0; i < *ret_count; i++)
		if ((r = network_fill(a, arena, &rows[i], &(*ret)[i])) < 0)
			return refuse_store(why, r);
	return 0;
}
