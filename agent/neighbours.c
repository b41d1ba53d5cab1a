/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The nodes of the own site by id, each with its addresses. Owns copies of all.
 */
#include "agent/neighbours.h"

#include <stdlib.h>
#include <string.h>

#include "lib/map.h"
#include "lib/mem.h"

struct neighbours {
	struct map *nodes; /* id -> struct neighbour_set, unsorted; none that is empty */
};

static int addr_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

bool neighbour_set_has(const struct neighbour_set *s, const struct addr *a)
{
	return s && bsearch(a, s->list, s->count, sizeof(*a), addr_order);
}

struct neighbours *neighbours_new(void)
{
	struct neighbours *n = xcalloc(1, sizeof(*n));

	n->nodes = map_new();
	return n;
}

void neighbours_free(struct neighbours *n)
{
	if (!n)
		return;
	map_free(n->nodes, free);
	free(n);
}

static struct neighbour_set *set_new(size_t max)
{
	struct neighbour_set *s;

	return xcalloc(1, sizeof(*s) + max * sizeof(*s->list));
}

static bool is_equal(const struct neighbour_set *a, const struct neighbour_set *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (addr_cmp(&a->list[i], &b->list[i]) != 0)
			return false;
	return true;
}

bool neighbours_put(struct neighbours *n, const char *id, char *const *endpoints, size_t count)
{
	const struct neighbour_set *before = map_get(n->nodes, id);
	struct neighbour_set *now = set_new(count);

	for (size_t i = 0; i < count; i++) {
		struct endpoint e;

		if (endpoint_parse(endpoints[i], &e) == 0)
			now->list[now->count++] = e.addr;
	}
	if (!now->count) {
		free(now);
		return neighbours_del(n, id);
	}
	if (before && is_equal(before, now)) {
		free(now);
		return false;
	}
	free(map_put(n->nodes, id, now));
	return true;
}

bool neighbours_del(struct neighbours *n, const char *id)
{
	struct neighbour_set *before = map_del(n->nodes, id);
	bool was = before;

	free(before);
	return was;
}

struct neighbour_set *neighbours_set(const struct neighbours *const *list, size_t count)
{
	struct neighbour_set *ret;
	size_t all = 0, kept = 0;

	for (size_t i = 0; i < count; i++)
		for (struct map_entry *at = NULL; (at = map_next(list[i]->nodes, at));)
			all += ((const struct neighbour_set *)map_entry_value(at))->count;
	ret = set_new(all);
	for (size_t i = 0; i < count; i++)
		for (struct map_entry *at = NULL; (at = map_next(list[i]->nodes, at));) {
			const struct neighbour_set *s = map_entry_value(at);

			memcpy(&ret->list[ret->count], s->list, s->count * sizeof(*s->list));
			ret->count += s->count;
		}
	qsort(ret->list, ret->count, sizeof(*ret->list), addr_order);
	for (size_t i = 0; i < ret->count; i++)
		if (!kept || addr_cmp(&ret->list[kept - 1], &ret->list[i]) != 0)
			ret->list[kept++] = ret->list[i];
	ret->count = kept;
	return ret;
}
