/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Gateways that follow their site (--from-site) grow with what its exporters offer: a cluster that gets
 * a node gets its pods' range. Nothing is taken away here, whatever an offer lacks: an exporter that
 * may not list the nodes for an hour would take its site out of the network. Main thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/authority.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"

/* What exporters offer now, as the rows have it. */
struct offers {
	struct exporter_row *rows;
	size_t count;
};

static bool is_within(const struct prefix *outer, const struct prefix *p)
{
	return p->len >= outer->len && prefix_contains(outer, &p->addr);
}

static bool carries(const struct gateway_row *g, const struct prefix *range)
{
	for (size_t i = 0; i < g->range_count; i++)
		if (is_within(&g->ranges[i], range))
			return true;
	return false;
}

static bool has(const struct prefix *list, size_t count, const struct prefix *range)
{
	for (size_t i = 0; i < count; i++)
		if (prefix_cmp(&list[i], range) == 0)
			return true;
	return false;
}

/* What its site offers, in whatever network, and it does not carry; each once. */
static int missing_of(struct authority *a, struct arena *arena, const struct gateway_row *g,
		      const struct offers *offers, struct prefix **ret, size_t *ret_count)
{
	size_t all = 0, count = 0;
	struct network n;
	int r;

	*ret_count = 0;
	if (!g->from_site)
		return 0;
	r = store_network_get(a->store, arena, g->network, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < offers->count; i++)
		all += offers->rows[i].offered_count;
	*ret = arena_array(arena, all, sizeof(**ret));
	for (size_t i = 0; i < offers->count; i++) {
		const struct exporter_row *e = &offers->rows[i];

		for (size_t j = 0; strcmp(e->site, g->from_site) == 0 && j < e->offered_count; j++)
			if (gateway_family_fits(&n, &e->offered[j]) &&
			    !carries(g, &e->offered[j]) && !has(*ret, count, &e->offered[j]))
				(*ret)[count++] = e->offered[j];
	}
	*ret_count = count;
	return 0;
}

/* The gateway with the range, and without those that lie in it. Nothing is stored. */
static int wider_make(struct authority *a, struct arena *arena, const struct gateway_row *g,
		      const struct prefix *range, struct gateway_row *ret,
		      struct refusal_reason *why)
{
	struct prefix one = *range;
	struct gateway_row alone = *g;
	char text[PREFIX_SIZE];
	int r;

	prefix_format(range, text);
	if (!gateway_range_is_private(range))
		return refuse(
			why, 409, "public",
			"range %s is not of private addresses, and only such are taken without"
			" being asked for; `warren gateway set %s --from-site %s` asks for it",
			text, g->id, g->from_site);
	alone.ranges = &one;
	alone.range_count = 1;
	r = gateway_ranges_check(a, arena, &alone, why);
	if (r < 0)
		return r;
	*ret = *g;
	ret->ranges = arena_array(arena, g->range_count + 1, sizeof(*ret->ranges));
	ret->range_count = 0;
	for (size_t i = 0; i < g->range_count; i++)
		if (!is_within(range, &g->ranges[i]))
			ret->ranges[ret->range_count++] = g->ranges[i];
	ret->ranges[ret->range_count++] = *range;
	if (ret->range_count > GATEWAY_RANGES_MAX)
		return refuse(why, 409, "too_many_ranges",
			      "range %s would be one more than the %d that a gateway carries; name"
			      " shorter prefixes with --range",
			      text, GATEWAY_RANGES_MAX);
	return exporter_grants_check(a, arena, ret, why);
}

/* ---- growing ---- */

/* `message` is logged, unless it was at the last time too. */
static void refused_say(const struct gateway_row *g, const struct prefix *range,
			const char *message, const struct map *before, struct map *now)
{
	char key[GATEWAY_ID_SIZE + PREFIX_SIZE + 1], text[PREFIX_SIZE] = "-";
	const char *said;

	if (range)
		prefix_format(range, text);
	snprintf(key, sizeof(key), "%s %s", g->id, text);
	said = before ? map_get(before, key) : NULL;
	if (!said || strcmp(said, message) != 0)
		log_warn("range-not-carried", "gateway=%s network=%s range=%s why=%s", g->id,
			 g->network, text, log_quote(message));
	free(map_put(now, key, xstrdup(message)));
}

static int wider_store(struct authority *a, struct arena *arena, const struct gateway_row *g,
		       struct refusal_reason *why)
{
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	return authority_end(a, gateway_store(a, arena, g, why), why);
}

static int grow(struct authority *a, struct arena *arena, struct gateway_row *g,
		const struct offers *offers, const struct map *before, struct map *now)
{
	struct buf added = { 0 };
	struct refusal_reason why;
	struct prefix *missing;
	char text[PREFIX_SIZE];
	size_t count;
	int r = missing_of(a, arena, g, offers, &missing, &count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		struct gateway_row wider;

		if (carries(g, &missing[i])) /* one before it was wider */
			continue;
		r = wider_make(a, arena, g, &missing[i], &wider, &why);
		if (r == 0) {
			*g = wider;
			buf_printf(&added, "%s%s", added.len ? "," : "",
				   prefix_format(&missing[i], text));
		} else if (r == -ECANCELED) {
			refused_say(g, &missing[i], why.message, before, now);
			r = 0;
		}
	}
	if (r == 0 && added.len) {
		r = wider_store(a, arena, g, &why);
		if (r == 0)
			log_info("gateway-grown",
				 "gateway=%s network=%s site=%s added=%s ranges=%zu", g->id,
				 g->network, g->from_site, buf_cstr(&added), g->range_count);
		else
			refused_say(g, NULL, why.message, before, now);
		r = 0;
	}
	buf_done(&added);
	return r;
}

static int offers_read(struct authority *a, struct arena *arena, struct offers *ret)
{
	return store_exporter_list(a->store, arena, NULL, NULL, &ret->rows, &ret->count);
}

int gateway_grow(struct authority *a, struct map **not_carried)
{
	struct map *now = map_new();
	struct arena arena = { 0 };
	struct gateway_row *gateways;
	struct offers offers;
	size_t count = 0;
	int r = store_gateway_list(a->store, &arena, NULL, &gateways, &count);

	if (r == 0)
		r = offers_read(a, &arena, &offers);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = grow(a, &arena, &gateways[i], &offers, *not_carried, now);
	arena_done(&arena);
	if (*not_carried)
		map_free(*not_carried, free);
	*not_carried = now;
	return r;
}

/* ---- shown ---- */

int gateway_not_carried(struct authority *a, struct arena *arena, const struct gateway_row *g,
			struct api_not_carried **ret, size_t *ret_count)
{
	struct offers offers = { 0 };
	struct gateway_row wider;
	struct refusal_reason why;
	struct prefix *missing;
	int r = offers_read(a, arena, &offers);

	*ret_count = 0;
	if (r == 0)
		r = missing_of(a, arena, g, &offers, &missing, ret_count);
	if (r < 0 || !*ret_count)
		return r;
	*ret = arena_array(arena, *ret_count, sizeof(**ret));
	for (size_t i = 0; i < *ret_count; i++) {
		(*ret)[i].range = missing[i];
		r = wider_make(a, arena, g, &missing[i], &wider, &why);
		if (r < 0 && r != -ECANCELED)
			return r;
		(*ret)[i].why =
			arena_strdup(arena, r < 0 ? why.message : "it will be within a minute");
	}
	return 0;
}

int gateway_offer_missing(struct authority *a, struct arena *arena, struct exporter_row *e,
			  struct prefix **ret, size_t *ret_count)
{
	const struct offers offers = { .rows = e, .count = 1 };
	struct gateway_row *gateways;
	size_t count;
	int r = store_gateway_list(a->store, arena, NULL, &gateways, &count);

	*ret = arena_array(arena, e->offered_count, sizeof(**ret));
	*ret_count = 0;
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct prefix *missing;
		size_t missing_count;

		r = missing_of(a, arena, &gateways[i], &offers, &missing, &missing_count);
		for (size_t j = 0; r == 0 && j < missing_count; j++)
			if (!has(*ret, *ret_count, &missing[j]))
				(*ret)[(*ret_count)++] = missing[j];
	}
	return r;
}
