/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of a network's gateways, and who carries what. Owns its entries. Pure; one thread.
 */
#include "agent/gateways.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/map.h"
#include "lib/mem.h"

struct entry {
	char id[LABEL_SIZE];
	char site[LABEL_SIZE]; /* "": none */
	bool masquerade;
	uint64_t priority;
	struct gateway_range *ranges;
	size_t range_count;
	char (*nodes)[LABEL_SIZE];
	size_t node_count;
};

struct gateways {
	struct map *entries; /* id -> struct entry */
};

/* Somebody who could carry a range. */
struct offer {
	struct prefix range;
	const struct entry *gateway;
	const char *node; /* NULL: no member */
	enum carried_state state;
};

static void entry_free(void *value)
{
	struct entry *e = value;

	free(e->ranges);
	free(e->nodes);
	free(e);
}

/* As the network calls it. */
static const struct prefix *name_of(const struct gateway_range *r)
{
	return r->as.addr.family ? &r->as : &r->range;
}

static bool has_node(const struct entry *e, const char *id)
{
	for (size_t i = 0; i < e->node_count; i++)
		if (strcmp(e->nodes[i], id) == 0)
			return true;
	return false;
}

struct gateways *gateways_new(void)
{
	struct gateways *g = xcalloc(1, sizeof(*g));

	g->entries = map_new();
	return g;
}

void gateways_free(struct gateways *g)
{
	if (!g)
		return;
	map_free(g->entries, entry_free);
	free(g);
}

void gateways_put(struct gateways *g, const char *id, const struct gateway *body)
{
	struct entry *e = xcalloc(1, sizeof(*e)), *before;

	snprintf(e->id, sizeof(e->id), "%s", id);
	snprintf(e->site, sizeof(e->site), "%s", body->site ? body->site : "");
	e->masquerade = body->nat == NAT_MASQUERADE;
	e->priority = body->priority;
	e->range_count = body->range_count;
	e->ranges = xcalloc(MAX(body->range_count, (size_t)1), sizeof(*e->ranges));
	for (size_t i = 0; i < body->range_count; i++) {
		e->ranges[i].range = prefix_network(&body->ranges[i].range);
		if (body->ranges[i].as.addr.family)
			e->ranges[i].as = prefix_network(&body->ranges[i].as);
	}
	e->nodes = xcalloc(MAX(body->node_count, (size_t)1), sizeof(*e->nodes));
	e->node_count = body->node_count;
	for (size_t i = 0; i < body->node_count; i++)
		snprintf(e->nodes[i], LABEL_SIZE, "%s", body->nodes[i].node);
	before = map_put(g->entries, id, e);
	if (before)
		entry_free(before);
}

void gateways_del(struct gateways *g, const char *id)
{
	struct entry *e = map_del(g->entries, id);

	if (e)
		entry_free(e);
}

/* What is published under another name needs translation, which is not here. */
static bool is_translated(const struct gateway_range *r)
{
	return r->as.addr.family && prefix_cmp(&r->as, &r->range) != 0;
}

/* Neither routed into a tunnel nor let out of one, whoever says so. */
static const char *refusal_of(const struct gateway_range *r)
{
	/* Also of a cloud's metadata service, which gives out credentials. */
	static const struct prefix link_local = {
		.addr = { .family = AF_INET, .bytes = { 169, 254 } }, .len = 16
	};
	const struct prefix *p = name_of(r);

	if (is_translated(r))
		return "it is published as another range, which this agent cannot translate";
	if (p->len < (p->addr.family == AF_INET ? 8 : 16))
		return "it is too wide";
	if (addr_is_loopback(&p->addr) || addr_is_link_local(&p->addr) ||
	    addr_is_multicast(&p->addr) || addr_is_unspecified(&p->addr) ||
	    prefix_overlaps(p, &link_local))
		return "such addresses are never routed";
	return NULL;
}

void gateways_publish(const struct gateways *g, const char *self, struct wg_link *l)
{
	for (struct map_entry *m = map_next(g->entries, NULL); m; m = map_next(g->entries, m)) {
		const struct entry *e = map_entry_value(m);

		for (size_t i = 0; has_node(e, self) && i < e->range_count; i++)
			if (!refusal_of(&e->ranges[i]))
				wg_link_add_published(l, &e->ranges[i].range, e->masquerade);
	}
}

/* ---- who carries a range ---- */

static bool is_member(const struct peers *p, const char *node)
{
	const struct peer_entry *e = peers_get(p, node);

	return e && e->tunnel && peers_by_key(p, e->key) == e;
}

/* The gateway's node to take: the lesser id among the members. */
static const char *node_of(const struct gateways_side *side, const struct entry *e)
{
	const char *best = NULL;

	for (size_t i = 0; i < e->node_count && !side->dropped; i++)
		if (is_member(side->peers, e->nodes[i]) && (!best || strcmp(e->nodes[i], best) < 0))
			best = e->nodes[i];
	return best;
}

static enum carried_state state_of(const struct gateways_host *host,
				   const struct gateways_side *side, const struct entry *e,
				   const struct gateway_range *r, const char *node)
{
	if (refusal_of(r))
		return CARRIED_REFUSED;
	if (has_node(e, peers_self_id(side->peers)))
		return CARRIED_OURS;
	if (host->site && *e->site && strcmp(e->site, host->site) == 0)
		return CARRIED_OWN_SITE;
	return node ? CARRIED : CARRIED_NOBODY;
}

/* Of one range the first one counts: what is ours or our site's never goes into a tunnel, whoever
 * else offers it; then the best of those that could carry it. */
static int offer_cmp(const void *a, const void *b)
{
	static const int rank[] = {
		[CARRIED_OURS] = 0,	[CARRIED_OWN_SITE] = 1, [CARRIED] = 2,
		[CARRIED_NOBODY] = 3,	[CARRIED_REFUSED] = 4,	[CARRIED_STANDBY] = 5,
		[CARRIED_CONFLICT] = 5,
	};
	const struct offer *x = a, *y = b;
	int c = prefix_cmp(&x->range, &y->range);

	if (c)
		return c;
	if (rank[x->state] != rank[y->state])
		return rank[x->state] < rank[y->state] ? -1 : 1;
	if (x->gateway->priority != y->gateway->priority)
		return x->gateway->priority < y->gateway->priority ? -1 : 1;
	c = x->node && y->node ? strcmp(x->node, y->node) : 0;
	return c ? c : strcmp(x->gateway->id, y->gateway->id);
}

static size_t offers_of(const struct gateways_host *host, const struct gateways_side *side,
			struct offer **ret)
{
	const struct map *entries = side->gateways ? side->gateways->entries : NULL;
	size_t n = 0;

	*ret = NULL;
	if (!entries)
		return 0;
	for (struct map_entry *m = map_next(entries, NULL); m; m = map_next(entries, m)) {
		const struct entry *e = map_entry_value(m);
		const char *node = node_of(side, e);

		*ret = xreallocarray(*ret, n + e->range_count + 1, sizeof(**ret));
		for (size_t i = 0; i < e->range_count; i++)
			(*ret)[n++] =
				(struct offer){ *name_of(&e->ranges[i]), e, node,
						state_of(host, side, e, &e->ranges[i], node) };
	}
	if (n > 1)
		qsort(*ret, n, sizeof(**ret), offer_cmp);
	return n;
}

static const char *why_refused(const struct offer *o)
{
	for (size_t i = 0; i < o->gateway->range_count; i++)
		if (prefix_cmp(name_of(&o->gateway->ranges[i]), &o->range) == 0)
			return refusal_of(&o->gateway->ranges[i]);
	return NULL;
}

/* Within one network; each range once. */
static void choose(const struct gateways_host *host, const struct gateways_side *side,
		   struct carried_set *ret)
{
	struct offer *offers;
	size_t n = offers_of(host, side, &offers);

	ret->list = xcalloc(MAX(n, (size_t)1), sizeof(*ret->list));
	for (size_t i = 0; i < n; i++) {
		struct carried *c = &ret->list[ret->count];
		const char *why;

		if (i && prefix_cmp(&offers[i - 1].range, &offers[i].range) == 0)
			continue;
		ret->count++;
		c->range = offers[i].range;
		c->state = offers[i].state;
		snprintf(c->gateway, sizeof(c->gateway), "%s", offers[i].gateway->id);
		if (offers[i].node)
			snprintf(c->node, sizeof(c->node), "%s", offers[i].node);
		why = c->state == CARRIED_REFUSED ? why_refused(&offers[i]) : NULL;
		snprintf(c->why, sizeof(c->why), "%s", why ? why : "");
	}
	free(offers);
}

/* ---- among the networks ---- */

static void refuse_inside(const struct gateways_side *sides, size_t count, size_t mine,
			  struct carried *c)
{
	bool has_family = false;

	for (size_t k = 0; k < sides[mine].address_count; k++)
		has_family |= sides[mine].addresses[k].addr.family == c->range.addr.family;
	if (!has_family) {
		c->state = CARRIED_REFUSED;
		snprintf(c->why, sizeof(c->why), "this node has no IPv%d address in the network",
			 c->range.addr.family == AF_INET ? 4 : 6);
	}
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < sides[i].address_count; k++) {
			struct prefix range = prefix_network(&sides[i].addresses[k]);

			if (!prefix_overlaps(&range, &c->range))
				continue;
			c->state = CARRIED_REFUSED;
			snprintf(c->why, sizeof(c->why), "it overlaps the range of network %s",
				 sides[i].network);
			return;
		}
}

static bool is_first(const struct gateways_side *a, const struct gateways_side *b)
{
	if (a->joined != b->joined)
		return a->joined < b->joined;
	return strcmp(a->network, b->network) < 0;
}

static struct carried *find(const struct carried_set *s, const struct prefix *range)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = prefix_cmp(&s->list[mid].range, range);

		if (c == 0)
			return &s->list[mid];
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Ranges of this node's own site: those that it has, and those that we carry ourselves. */
static size_t own_ranges(const struct carried_set *sets, size_t count, struct prefix **ret)
{
	size_t n = 0;

	*ret = NULL;
	for (size_t i = 0; i < count; i++) {
		*ret = xreallocarray(*ret, n + sets[i].count + 1, sizeof(**ret));
		for (size_t k = 0; k < sets[i].count; k++)
			if (sets[i].list[k].state == CARRIED_OURS ||
			    sets[i].list[k].state == CARRIED_OWN_SITE)
				(*ret)[n++] = sets[i].list[k].range;
	}
	return n;
}

/* They never go into a tunnel, no part of them either. */
static void keep_out(const struct prefix *own, size_t count, struct carried *c)
{
	char text[PREFIX_SIZE];

	for (size_t i = 0; i < count; i++) {
		if (!prefix_overlaps(&own[i], &c->range))
			continue;
		c->state = CARRIED_CONFLICT;
		snprintf(c->why, sizeof(c->why), "it overlaps %s of this node's own site",
			 prefix_format(&own[i], text));
		return;
	}
}

/* What another network says of the same range. */
static void compare(const struct gateways_side *sides, const struct carried_set *sets, size_t count,
		    size_t mine, struct carried *c)
{
	for (size_t i = 0; i < count && c->state == CARRIED; i++) {
		const struct carried *other = i == mine ? NULL : find(&sets[i], &c->range);

		if (!other)
			continue;
		if ((other->state == CARRIED || other->state == CARRIED_STANDBY) &&
		    is_first(&sides[i], &sides[mine])) {
			c->state = CARRIED_STANDBY;
			snprintf(c->why, sizeof(c->why), "network %s carries it", sides[i].network);
		}
	}
}

void gateways_resolve(const struct gateways_host *host, const struct gateways_side *sides,
		      size_t count, struct carried_set *ret)
{
	struct prefix *own;
	size_t own_count;

	for (size_t i = 0; i < count; i++) {
		ret[i] = (struct carried_set){ 0 };
		choose(host, &sides[i], &ret[i]);
		for (size_t k = 0; k < ret[i].count; k++)
			if (ret[i].list[k].state == CARRIED)
				refuse_inside(sides, count, i, &ret[i].list[k]);
	}
	own_count = own_ranges(ret, count, &own);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < ret[i].count; k++)
			if (ret[i].list[k].state == CARRIED)
				keep_out(own, own_count, &ret[i].list[k]);
	free(own);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < ret[i].count; k++)
			if (ret[i].list[k].state == CARRIED)
				compare(sides, ret, count, i, &ret[i].list[k]);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < ret[i].count; k++) {
			struct carried *c = &ret[i].list[k];

			if (c->state == CARRIED && host->blocked &&
			    host->blocked(host->owner, &c->range, c->why, sizeof(c->why)))
				c->state = CARRIED_CONFLICT;
		}
}

void carried_set_done(struct carried_set *s)
{
	free(s->list);
	*s = (struct carried_set){ 0 };
}

static void touch(struct peers *p, const struct carried *c)
{
	const struct peer_entry *e = c && c->state == CARRIED ? peers_get(p, c->node) : NULL;

	if (e)
		peers_touch(p, e->key);
}

static bool same(const struct carried *a, const struct carried *b)
{
	return a && b && a->state == b->state && strcmp(a->node, b->node) == 0;
}

bool carried_says(const struct carried_set *s, const struct carried *c)
{
	return same(c, find(s, &c->range));
}

bool carried_touch(const struct carried_set *before, const struct carried_set *now,
		   struct peers *peers)
{
	bool differ = before->count != now->count;

	for (size_t i = 0; i < before->count; i++)
		if (!carried_says(now, &before->list[i])) {
			touch(peers, &before->list[i]);
			differ = true;
		}
	for (size_t i = 0; i < now->count; i++)
		if (!carried_says(before, &now->list[i])) {
			touch(peers, &now->list[i]);
			differ = true;
		}
	return differ;
}

const struct carried *carried_find(const struct carried_set *s, const struct addr *a)
{
	const struct carried *best = NULL;

	for (size_t i = 0; i < s->count; i++)
		if (prefix_contains(&s->list[i].range, a) &&
		    (!best || s->list[i].range.len > best->range.len))
			best = &s->list[i];
	return best;
}

bool carried_explain(const struct carried *c, const char *node, char *ret, size_t size)
{
	char range[PREFIX_SIZE];

	prefix_format(&c->range, range);
	switch (c->state) {
	case CARRIED_NOBODY:
		snprintf(ret, size, "%s of gateway %s is not routed: none of its nodes is a member",
			 range, c->gateway);
		return true;
	case CARRIED_STANDBY:
	case CARRIED_CONFLICT:
	case CARRIED_REFUSED:
		snprintf(ret, size, "%s of gateway %s%s%s%s is not routed: %s", range, c->gateway,
			 *node ? " (" : "", node, *node ? ")" : "", c->why);
		return true;
	default:
		return false;
	}
}
