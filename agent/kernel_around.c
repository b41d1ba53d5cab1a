/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Linux implementation of the seam: others' routes, as far as they are in the way of ours or lead to
 * a peer. Owns the copy of them that a pass works with; the daemon's thread.
 */
#include "agent/kernel_linux.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"

static void forget(struct kernel *k)
{
	free(TAKE(k->links));
	free(TAKE(k->routes));
	k->link_count = k->route_count = 0;
	k->looked = false;
}

void kernel_look_begin(struct kernel *k)
{
	forget(k);
	k->looking = true;
}

void kernel_look_end(struct kernel *k)
{
	forget(k);
	k->looking = false;
}

static int add_route(const struct rt_route *r, void *arg)
{
	struct kernel *k = arg;

	if (r->protocol == ROUTE_PROTOCOL)
		return 0;
	/* Doubled, as there may be very many. */
	if ((k->route_count & (k->route_count - 1)) == 0)
		k->routes = xreallocarray(k->routes, MAX(2 * k->route_count, (size_t)1),
					  sizeof(*k->routes));
	k->routes[k->route_count++] = *r;
	return 0;
}

static int look(struct kernel *k)
{
	int r;

	if (k->looked)
		return 0;
	r = rt_links(k->wg.route, &k->links, &k->link_count);
	if (r == 0)
		r = rt_routes_each(k->wg.route, AF_INET, add_route, k);
	if (r == 0)
		r = rt_routes_each(k->wg.route, AF_INET6, add_route, k);
	if (r < 0) {
		snprintf(k->message, sizeof(k->message), "routes: %s", strerror(-r));
		forget(k);
		return r;
	}
	k->looked = true;
	return 0;
}

static const struct rt_link *link_of(const struct kernel *k, const struct rt_route *r)
{
	for (size_t i = 0; i < k->link_count; i++)
		if (k->links[i].index == r->index)
			return &k->links[i];
	return NULL;
}

static bool steals(const struct prefix *prefix, const struct rt_route *r)
{
	return r->route.prefix.len >= prefix->len;
}

static bool forbids(const struct prefix *prefix, const struct rt_route *r)
{
	return r->route.prefix.len == prefix->len ||
	       (r->route.prefix.len && r->route.prefix.len < prefix->len && r->index &&
		!r->gateway);
}

static int find(struct kernel *k, const struct prefix *prefix,
		bool (*is_one)(const struct prefix *prefix, const struct rt_route *r), char *ret,
		size_t size)
{
	const struct rt_route *found = NULL;
	const struct rt_link *l = NULL;
	char text[PREFIX_SIZE];
	int r = look(k);

	for (size_t i = 0; r == 0 && i < k->route_count && !found; i++) {
		if (!prefix_overlaps(&k->routes[i].route.prefix, prefix) ||
		    !is_one(prefix, &k->routes[i]))
			continue;
		l = link_of(k, &k->routes[i]);
		if (!l || !l->ours)
			found = &k->routes[i];
	}
	if (found)
		snprintf(ret, size, "%s on %s", prefix_format(&found->route.prefix, text),
			 l ? l->name : "no interface");
	if (!k->looking)
		forget(k);
	return r < 0 ? r : found != NULL;
}

int kernel_conflict(struct kernel *k, const struct prefix *prefix, char *ret, size_t size)
{
	return find(k, prefix, steals, ret, size);
}

int kernel_blocked(struct kernel *k, const struct prefix *prefix, char *ret, size_t size)
{
	return find(k, prefix, forbids, ret, size);
}

enum kernel_way kernel_way_to(struct kernel *k, const struct addr *a)
{
	struct rt_route route;
	int r = rt_route_to(k->wg.route, a, false, &route);

	if (r == -ENETUNREACH || r == -EHOSTUNREACH || r == -EACCES || r == -EINVAL)
		return WAY_NONE;
	if (r < 0)
		return WAY_UNSURE;
	if (route.route.prefix.len)
		return WAY_KNOWN;
	r = rt_route_to(k->wg.route, a, true, &route);
	return r < 0 || addr_is_private(&route.route.source) ? WAY_UNSURE : WAY_NONE;
}
