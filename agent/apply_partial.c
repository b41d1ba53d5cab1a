/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The partial pass: only the touched peers, and routes and rules when gateways have changed. Owns
 * nothing beyond a call. One thread.
 */
#include "agent/apply_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/peers.h"
#include "agent/plan.h"
#include "agent/reach.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/text.h"

struct touched {
	struct network *network;
	char key[KEY_BASE64_SIZE];
	bool wanted;
	struct wg_peer desired;
	struct wg_peer actual; /* shallow copy */
	bool was;
};

static size_t collect(struct apply *a, struct touched **ret)
{
	const struct memberships *m = a->c.memberships;
	struct touched *list = NULL;
	size_t n = 0;

	for (size_t i = 0; i < m->count; i++) {
		struct network *net = m->list[i];
		struct wanted_network w;

		apply_wanted(net, &w);
		for (const char *key = peers_touched_next(net->peers, NULL); key;
		     key = peers_touched_next(net->peers, key)) {
			const struct wg_peer *was = map_get(net->applied, key);
			struct touched *t;
			uint8_t bytes[KEY_LEN];

			if (base64_decode(key, strlen(key), bytes, KEY_LEN) != KEY_LEN)
				continue;
			list = xreallocarray(list, n + 1, sizeof(*list));
			t = &list[n++];
			*t = (struct touched){ .network = net, .was = was != NULL };
			snprintf(t->key, sizeof(t->key), "%s", key);
			t->wanted = !net->dropped && wanted_peer(&w, bytes, &t->desired);
			if (was)
				t->actual = *was;
			/* WireGuard may have followed the peer elsewhere meanwhile. */
			if (t->wanted && t->desired.endpoint_wanted)
				t->actual.endpoint = (struct endpoint){ 0 };
		}
	}
	*ret = list;
	return n;
}

static void settle_partial(struct touched *t)
{
	struct peer_entry *e = peers_by_key(t->network->peers, t->desired.key);

	if (!t->network->up)
		return;
	apply_set_peer(t->network, t->key, t->wanted ? &t->desired : NULL);
	if (t->wanted && e && !t->was)
		reach_made(t->network->reach, e);
	if (t->wanted && e)
		e->endpoint_wanted = false;
}

/* Routes, rules and forwarding, when the gateways or what is in their way are others. */
static void plan_ranges(struct apply *a, struct host *desired, struct plan *p)
{
	const struct memberships *m = a->c.memberships;
	struct host actual = { .forwarding = a->forwarding,
			       .forwarding_ours = a->forwarding_ours,
			       .bridges = a->bridges };
	struct wanted_network w;

	for (size_t i = 0; i < m->count; i++) {
		apply_wanted(m->list[i], &w);
		wanted_bare_link(&w, desired);
	}
	apply_add_early(a, desired);
	wanted_finish(desired, &actual);
	for (size_t i = 0; i < m->count; i++) {
		const struct network *n = m->list[i];
		const struct wg_link *l = host_link(desired, n->interface);

		plan_routes(p, l->name, l->routes, l->route_count, n->applied_routes,
			    n->applied_route_count);
	}
	memcpy(actual.nft_hash, a->nft_hash, HASH_HEX_SIZE);
	plan_nft(p, desired, &actual);
	plan_forwarding(p, desired, &actual);
}

static void settle_ranges(struct apply *a, const struct host *desired)
{
	const struct memberships *m = a->c.memberships;

	for (size_t i = 0; i < m->count; i++) {
		struct network *n = m->list[i];

		n->gateways_changed = false;
		if (n->up)
			apply_set_routes(n, host_link(desired, n->interface));
		apply_look_for_conflicts(a, n);
	}
	if (a->failed)
		return; /* a full pass comes */
	memcpy(a->nft_hash, desired->nft_hash, HASH_HEX_SIZE);
	apply_set_forwarding(a, desired, a->forwarding, a->forwarding_ours);
	loop_timer_set(a->c.loop, &a->flows, loop_now(a->c.loop) + FLOWS);
}

static bool ranges_differ(struct apply *a)
{
	const struct memberships *m = a->c.memberships;
	bool differ = ranges_resolve(a->ranges);

	for (size_t i = 0; i < m->count; i++)
		differ |= m->list[i]->gateways_changed;
	return differ;
}

void apply_partial(struct apply *a)
{
	const struct memberships *m = a->c.memberships;
	struct host bare = { 0 };
	struct touched *list;
	struct plan p = { 0 };
	bool differ;
	size_t n;

	/* Where the interface is not there yet, or in doubt, only a full pass will do. */
	for (size_t i = 0; i < m->count; i++)
		if (!m->list[i]->up) {
			apply_full(a);
			return;
		}
	kernel_look_begin(a->c.kernel);
	differ = ranges_differ(a);
	if (differ && a->kept) {
		/* Rules are for all links, those too that we only keep. */
		apply_full(a);
		return;
	}
	n = collect(a, &list);
	for (size_t i = 0; i < n; i++)
		plan_peer(&p, list[i].network->interface, list[i].wanted ? &list[i].desired : NULL,
			  list[i].was ? &list[i].actual : NULL);
	if (differ)
		plan_ranges(a, &bare, &p);
	plan_order(&p);
	a->failed = false;
	apply_run(a, &p);
	for (size_t i = 0; i < n; i++)
		settle_partial(&list[i]);
	if (differ)
		settle_ranges(a, &bare);
	kernel_look_end(a->c.kernel);
	plan_done(&p);
	host_done(&bare);
	for (size_t i = 0; i < n; i++)
		wg_peer_done(&list[i].desired);
	free(list);
	for (size_t i = 0; i < m->count; i++)
		peers_touched_clear(m->list[i]->peers);
	if (a->failed)
		apply_schedule(a);
	else if (a->c.done)
		a->c.done(a->c.owner);
}
