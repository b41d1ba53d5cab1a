/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who may ask where. Pure; any thread.
 */
#include <string.h>

#include "agent/dns_server.h"
#include "agent/neighbours.h"

static bool in_ranges(const struct prefix *list, size_t count, const struct addr *a)
{
	for (size_t i = 0; i < count; i++)
		if (prefix_contains(&list[i], a))
			return true;
	return false;
}

static bool is_own(const struct dns_policy *p, const struct dns_place *place, const struct addr *a)
{
	if (addr_cmp(&place->at.addr, a) == 0)
		return true;
	for (size_t i = 0; i < p->own_count; i++)
		if (addr_cmp(&p->own[i], a) == 0)
			return true;
	return false;
}

bool dns_policy_allows(const struct dns_policy *p, const struct zone_table *t,
		       const struct dns_place *place, const struct addr *from,
		       const char **ret_network)
{
	const struct zone_version *z;

	*ret_network = NULL;
	if (is_own(p, place, from))
		return true;
	if (!*place->network)
		return in_ranges(p->allow, p->allow_count, from) ||
		       (t && neighbour_set_has(t->neighbours, from));
	z = t ? zone_table_find(t, place->network, strlen(place->network)) : NULL;
	*ret_network = place->network;
	return z && in_ranges(z->ranges, z->range_count, from);
}
