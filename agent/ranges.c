/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Ranges between the journals and the passes. Owns what was found in the way of ranges since the last
 * full pass. One thread.
 */
#include "agent/ranges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/endpoints.h"
#include "agent/reach.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"

struct ranges {
	struct ranges_config c;
	struct map *blocked; /* prefix -> a phrase, "": nothing is in the way */
	struct endpoint *endpoints;
	size_t endpoint_count;
	bool looked; /* in this resolution */
};

struct ranges *ranges_new(const struct ranges_config *c)
{
	struct ranges *r = xcalloc(1, sizeof(*r));

	r->c = *c;
	r->blocked = map_new();
	return r;
}

void ranges_free(struct ranges *r)
{
	if (!r)
		return;
	map_free(r->blocked, free);
	free(r->endpoints);
	free(r);
}

void ranges_forget(struct ranges *r)
{
	map_clear(r->blocked, free);
}

/* Where the peers with a session are. */
static void look_at_peers(struct ranges *r)
{
	const struct memberships *m = r->c.memberships;

	r->looked = true;
	r->endpoint_count = 0;
	for (size_t i = 0; i < m->count; i++) {
		struct wg_link l;

		if (kernel_read_peers(r->c.kernel, m->list[i]->interface, &l) < 0)
			continue;
		r->endpoints = xreallocarray(r->endpoints, r->endpoint_count + l.peer_count + 1,
					     sizeof(*r->endpoints));
		for (size_t k = 0; k < l.peer_count; k++)
			if (l.peers[k].endpoint.addr.family &&
			    endpoints_is_alive(l.peers[k].last_handshake, clock_wall()))
				r->endpoints[r->endpoint_count++] = l.peers[k].endpoint;
		wg_link_done(&l);
	}
}

/* What is in the way now, "" when nothing is. */
static char *look_for_block(struct ranges *r, const struct prefix *range)
{
	const struct endpoint *broker = brokers_in(r->c.brokers, range);
	char text[128], endpoint[ENDPOINT_SIZE];

	if (broker)
		return xasprintf("the broker is reached at %s", endpoint_format(broker, endpoint));
	if (kernel_blocked(r->c.kernel, range, text, sizeof(text)) == 1)
		return xasprintf("this host has the route %s, which is not ours", text);
	if (!r->looked)
		look_at_peers(r);
	for (size_t i = 0; i < r->endpoint_count; i++)
		if (prefix_contains(range, &r->endpoints[i].addr))
			return xasprintf("a peer is reached at %s",
					 endpoint_format(&r->endpoints[i], endpoint));
	return xstrdup("");
}

static bool is_blocked(void *owner, const struct prefix *range, char *why, size_t size)
{
	struct ranges *r = owner;
	char text[PREFIX_SIZE];
	char *found = map_get(r->blocked, prefix_format(range, text));

	if (!found) {
		found = look_for_block(r, range);
		map_put(r->blocked, text, found);
	}
	if (*found)
		snprintf(why, size, "%s", found);
	return *found;
}

static void tell_one(const struct network *n, const struct carried *c)
{
	char range[PREFIX_SIZE], why[256];

	if (c->state == CARRIED)
		log_info("range", "network=%s range=%s gateway=%s node=%s", n->name,
			 prefix_format(&c->range, range), c->gateway, c->node);
	else if (carried_explain(c, "", why, sizeof(why)))
		log_info("range-not-routed", "network=%s why=%s", n->name, log_quote(why));
}

/* What is another one than before. */
static void tell(const struct network *n, const struct carried_set *before,
		 const struct carried_set *now)
{
	char range[PREFIX_SIZE];

	for (size_t i = 0; i < now->count; i++)
		if (!carried_says(before, &now->list[i]))
			tell_one(n, &now->list[i]);
	for (size_t i = 0; i < before->count; i++)
		if (before->list[i].state == CARRIED && !carried_says(now, &before->list[i]))
			log_info("range-gone", "network=%s range=%s node=%s", n->name,
				 prefix_format(&before->list[i].range, range),
				 before->list[i].node);
}

/* Endpoints in what goes through tunnels are no way to make one. */
static void tell_reach(struct ranges *r)
{
	const struct memberships *m = r->c.memberships;
	struct prefix *list = NULL;
	size_t count = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct carried_set *s = &m->list[i]->carried;

		list = xreallocarray(list, count + s->count + 1, sizeof(*list));
		for (size_t k = 0; k < s->count; k++)
			if (s->list[k].state == CARRIED)
				list[count++] = s->list[k].range;
	}
	for (size_t i = 0; i < m->count; i++)
		if (m->list[i]->reach)
			reach_set_carried(m->list[i]->reach, list, count);
	free(list);
}

bool ranges_resolve(struct ranges *r)
{
	const struct memberships *m = r->c.memberships;
	const struct gateways_host host = { .site = r->c.site ? *r->c.site : NULL,
					    .blocked = is_blocked,
					    .owner = r };
	struct gateways_side *sides = xcalloc(m->count + 1, sizeof(*sides));
	struct carried_set *now = xcalloc(m->count + 1, sizeof(*now));
	bool differ = false;

	r->looked = false;
	for (size_t i = 0; i < m->count; i++) {
		const struct network *n = m->list[i];

		sides[i] = (struct gateways_side){
			.network = n->name,
			.joined = n->joined,
			.gateways = n->gateways,
			.peers = n->peers,
			.addresses = n->membership.addresses,
			.address_count = n->membership.address_count,
			.dropped = n->dropped || n->ended,
		};
	}
	gateways_resolve(&host, sides, m->count, now);
	for (size_t i = 0; i < m->count; i++) {
		struct network *n = m->list[i];
		struct carried_set before = n->carried;

		if (carried_touch(&before, &now[i], n->peers)) {
			differ = true;
			tell(n, &before, &now[i]);
		}
		n->carried = now[i];
		carried_set_done(&before);
	}
	if (differ)
		tell_reach(r);
	free(sides);
	free(now);
	return differ;
}

bool ranges_conflict(struct ranges *r, const struct network *n, char *ret, size_t size)
{
	char text[128], of[PREFIX_SIZE];

	for (size_t i = 0; i < n->carried.count; i++) {
		const struct carried *c = &n->carried.list[i];

		if (c->state == CARRIED_CONFLICT)
			return carried_explain(c, "", ret, size);
		if (c->state != CARRIED ||
		    kernel_conflict(r->c.kernel, &c->range, text, sizeof(text)) != 1)
			continue;
		snprintf(ret, size, "the route %s, which is not ours, takes from the gateway's %s",
			 text, prefix_format(&c->range, of));
		return true;
	}
	return false;
}
