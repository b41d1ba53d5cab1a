/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which ranges a site may publish into a network. Pure decisions over the store's rows; main thread.
 */
#include <errno.h>
#include <string.h>

#include "coordinator/authority.h"

/* What nobody can publish. Longer prefixes inside, and shorter ones around, are meant too. */
static const struct {
	const char *range;
	const char *what;
} reserved[] = {
	{ "0.0.0.0/8", "unspecified" },	    { "127.0.0.0/8", "loopback" },
	{ "169.254.0.0/16", "link-local" }, { "224.0.0.0/4", "multicast" },
	{ "240.0.0.0/4", "reserved" },	    { "::/128", "unspecified" },
	{ "::1/128", "loopback" },	    { "::ffff:0:0/96", "IPv4-mapped" },
	{ "fe80::/10", "link-local" },	    { "ff00::/8", "multicast" },
};

/* Addresses that mean something else in every place: an endpoint there says nothing to others. */
static const char *const private_ranges[] = { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
					      "100.64.0.0/10", "fc00::/7" };

static int reserved_check(const struct prefix *range, const char *text, struct refusal_reason *why)
{
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
		struct prefix p;

		if (prefix_parse(reserved[i].range, &p) == 0 && prefix_overlaps(&p, range))
			return refuse(why, 400, "range",
				      "range %s overlaps with %s, which is %s; name the ranges that"
				      " the site itself uses",
				      text, reserved[i].range, reserved[i].what);
	}
	return 0;
}

int gateway_range_check(struct authority *a, struct arena *arena, const struct prefix *range,
			struct refusal_reason *why)
{
	char text[PREFIX_SIZE], other[PREFIX_SIZE];
	struct prefix network = prefix_network(range);
	struct network *networks;
	size_t count;
	int r;

	prefix_format(range, text);
	if (!prefix_is_network(range))
		return refuse(why, 400, "range", "range %s has host bits set; did you mean %s?",
			      text, prefix_format(&network, other));
	if (range->len == 0)
		return refuse(why, 400, "range",
			      "range %s is every address there is; name the ranges that the site"
			      " itself uses",
			      text);
	r = reserved_check(range, text, why);
	if (r == 0)
		r = store_network_list(a->store, arena, &networks, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		for (size_t j = 0; j < networks[i].range_count; j++) {
			if (!prefix_overlaps(&networks[i].ranges[j], range))
				continue;
			return refuse(why, 409, "overlap",
				      "range %s overlaps with %s, the addresses of network %s: its"
				      " nodes would not be reached any more; publish only what the"
				      " site itself uses",
				      text, prefix_format(&networks[i].ranges[j], other),
				      networks[i].name);
		}
	return r;
}

/* Do they stand at the same place? A node does with itself, in whatever network: also one that has no
 * site. */
static bool is_same_site(const struct gateway_row *a, const struct gateway_row *b)
{
	if (a->node && b->node && strcmp(a->node, b->node) == 0)
		return true;
	return a->site && b->site && strcmp(a->site, b->site) == 0;
}

/* "site dc1"; a node without one stands for itself: "node db1". */
static int place_text(struct authority *a, struct arena *arena, const struct gateway_row *g,
		      struct buf *out)
{
	struct member_row member;
	int r;

	if (g->site) {
		buf_printf(out, "site %s", g->site);
		return 0;
	}
	r = store_member_get(a->store, arena, g->network, g->node, &member);
	if (r == 0)
		buf_printf(out, "node %s", member.name);
	return r;
}

static int refuse_overlap(struct authority *a, struct arena *arena, const struct gateway_row *g,
			  const struct prefix *range, const struct gateway_row *other,
			  const struct prefix *others, struct refusal_reason *why)
{
	char mine[PREFIX_SIZE], theirs[PREFIX_SIZE];
	struct buf here = { 0 }, there = { 0 };
	int r = place_text(a, arena, g, &here);

	if (r == 0)
		r = place_text(a, arena, other, &there);
	if (r == 0)
		r = refuse(why, 409, "overlap",
			   "range %s of %s overlaps with %s, which gateway %s carries for %s in"
			   " network %s: the same addresses at two sites cannot both be reached;"
			   " renumber one of them, or leave the range away",
			   prefix_format(range, mine), buf_cstr(&here),
			   prefix_format(others, theirs), other->id, buf_cstr(&there),
			   other->network);
	buf_done(&here);
	buf_done(&there);
	return r;
}

/* In all networks: a node may be in several, and the grants of a site's exporters have its ranges of
 * all of them. */
static int sites_check(struct authority *a, struct arena *arena, const struct gateway_row *g,
		       struct refusal_reason *why)
{
	struct gateway_row *others;
	size_t count;
	int r = store_gateway_list(a->store, arena, NULL, &others, &count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		const struct gateway_row *o = &others[i];

		if (is_same_site(g, o) || strcmp(g->id, o->id) == 0)
			continue;
		for (size_t j = 0; j < o->range_count; j++)
			for (size_t k = 0; k < g->range_count; k++)
				if (prefix_overlaps(&o->ranges[j], &g->ranges[k]))
					return refuse_overlap(a, arena, g, &g->ranges[k], o,
							      &o->ranges[j], why);
	}
	return r;
}

/* `so`: what would come of it, and what to do. */
static int broker_check(const struct authority *a, const struct prefix *range, const char *so,
			struct refusal_reason *why)
{
	static const char scheme[] = "mqtts://";
	const struct trust_body *trust = &a->keys->trust->body;
	char text[PREFIX_SIZE], host[HOST_SIZE];
	struct addr address;
	uint16_t port;

	for (size_t i = 0; i < trust->broker_count; i++) {
		const char *url = trust->brokers[i];

		if (strncmp(url, scheme, strlen(scheme)) == 0)
			url += strlen(scheme);
		if (hostport_parse(url, host, &port) < 0 || addr_parse(host, &address) < 0 ||
		    !prefix_contains(range, &address))
			continue;
		return refuse(why, 409, "broker", "range %s contains %s, the broker's address: %s",
			      prefix_format(range, text), host, so);
	}
	return 0;
}

bool gateway_range_is_private(const struct prefix *range)
{
	struct prefix p;

	for (size_t i = 0; i < ARRAY_SIZE(private_ranges); i++)
		if (prefix_parse(private_ranges[i], &p) == 0 && range->len >= p.len &&
		    prefix_contains(&p, &range->addr))
			return true;
	return false;
}

static bool is_public(const struct addr *address)
{
	struct prefix host = prefix_host(address);

	return !gateway_range_is_private(&host);
}

/* Packets of the tunnel to that member would go into a tunnel. */
static int endpoints_check(const struct gateway_row *g, const struct member_row *m,
			   struct refusal_reason *why)
{
	char text[PREFIX_SIZE], host[HOST_SIZE];
	struct addr address;
	uint16_t port;

	for (size_t i = 0; i < m->endpoint_count; i++)
		for (size_t j = 0; j < g->range_count; j++) {
			if (hostport_parse(m->endpoints[i], host, &port) < 0 ||
			    addr_parse(host, &address) < 0 || !is_public(&address) ||
			    !prefix_contains(&g->ranges[j], &address))
				continue;
			return refuse(why, 409, "endpoint",
				      "range %s contains %s, the public address of node %s: packets"
				      " of its tunnel would go into the tunnel; publish ranges"
				      " without it",
				      prefix_format(&g->ranges[j], text), host, m->name);
		}
	return 0;
}

bool gateway_family_fits(const struct network *n, const struct prefix *range)
{
	for (size_t i = 0; i < n->range_count; i++)
		if (n->ranges[i].addr.family == range->addr.family)
			return true;
	return false;
}

/* Other sites' traffic comes from addresses of the network: of the same family. */
static int family_check(const struct network *n, const struct prefix *range,
			struct refusal_reason *why)
{
	char text[PREFIX_SIZE];

	if (gateway_family_fits(n, range))
		return 0;
	return refuse(
		why, 409, "family",
		"range %s: network %s has no %s range, so its nodes have no address from which"
		" to reach it",
		prefix_format(range, text), n->name,
		range->addr.family == AF_INET ? "IPv4" : "IPv6");
}

static int twice_check(const struct gateway_row *g, struct refusal_reason *why)
{
	char text[PREFIX_SIZE];

	for (size_t i = 0; i < g->range_count; i++)
		for (size_t j = 0; j < i; j++)
			if (prefix_cmp(&g->ranges[i], &g->ranges[j]) == 0)
				return refuse(why, 400, "range", "range %s is named twice",
					      prefix_format(&g->ranges[i], text));
	return 0;
}

/* Adds it, unless it is there or the network cannot have it. */
static int offered_add(struct gateway_row *g, const struct network *n, const struct prefix *range,
		       const char *site, struct refusal_reason *why)
{
	if (!gateway_family_fits(n, range))
		return 0;
	for (size_t i = 0; i < g->range_count; i++)
		if (prefix_cmp(&g->ranges[i], range) == 0)
			return 0;
	if (g->range_count == GATEWAY_RANGES_MAX)
		return refuse(
			why, 409, "too_many_ranges",
			"the exporters of site %s offer more than the %d ranges that a gateway"
			" carries; name shorter prefixes with --range",
			site, GATEWAY_RANGES_MAX);
	g->ranges[g->range_count++] = *range;
	return 0;
}

static int offered_none(const struct network *n, const char *site, size_t exporters, size_t offered,
			struct refusal_reason *why)
{
	if (!exporters)
		return refuse(
			why, 409, "no_exporter",
			"site %s has no exporter in any network, which would say what ranges it"
			" has; start one, or name them with --range",
			site);
	if (!offered)
		return refuse(why, 409, "not_offered",
			      "the exporter of site %s offers no ranges: its cluster does not tell"
			      " them, or it was not connected yet; name them with --range",
			      site);
	return refuse(why, 409, "family",
		      "all ranges that site %s offers are of a kind, IPv4 or IPv6, that network %s"
		      " has no addresses of",
		      site, n->name);
}

int gateway_ranges_offered(struct authority *a, struct arena *arena, struct gateway_row *g,
			   const char *site, struct refusal_reason *why)
{
	size_t count, exporters = 0, offered = 0;
	struct exporter_row *rows;
	struct network n;
	int r = store_network_get(a->store, arena, g->network, &n);

	if (!g->site || strcmp(g->site, site) != 0)
		return refuse(why, 409, "site",
			      "the gateway is %s%s, not of site %s: it cannot carry that site's"
			      " ranges",
			      g->site ? "of site " : "without a site", g->site ? g->site : "",
			      site);
	if (r == 0)
		r = store_exporter_list(a->store, arena, NULL, NULL, &rows, &count);
	if (r < 0)
		return r;
	g->ranges = arena_array(arena, GATEWAY_RANGES_MAX, sizeof(*g->ranges));
	g->range_count = 0;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(rows[i].site, site) != 0)
			continue;
		exporters++;
		offered += rows[i].offered_count;
		for (size_t j = 0; r == 0 && j < rows[i].offered_count; j++)
			r = offered_add(g, &n, &rows[i].offered[j], site, why);
	}
	return r < 0 || g->range_count ? r : offered_none(&n, site, exporters, offered, why);
}

int gateway_ranges_check(struct authority *a, struct arena *arena, const struct gateway_row *g,
			 struct refusal_reason *why)
{
	struct member_row *members;
	bool all_private = true;
	struct network n;
	size_t count = 0;
	int r = store_network_get(a->store, arena, g->network, &n);

	if (r == 0)
		r = twice_check(g, why);
	for (size_t i = 0; r == 0 && i < g->range_count; i++) {
		all_private &= gateway_range_is_private(&g->ranges[i]);
		r = gateway_range_check(a, arena, &g->ranges[i], why);
		if (r == 0)
			r = family_check(&n, &g->ranges[i], why);
		if (r == 0)
			r = broker_check(a, &g->ranges[i],
					 "the nodes would look for the broker behind the gateway;"
					 " publish ranges without it",
					 why);
	}
	if (r == 0)
		r = sites_check(a, arena, g, why);
	if (r == 0 && !all_private) /* a public endpoint is not in private ranges */
		r = store_member_list(a->store, arena, g->network, NULL, &members, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = endpoints_check(g, &members[i], why);
	return r;
}

int gateway_network_check(struct authority *a, struct arena *arena, const struct prefix *range,
			  struct refusal_reason *why)
{
	char mine[PREFIX_SIZE], theirs[PREFIX_SIZE];
	struct gateway_row *gateways;
	size_t count;
	int r = broker_check(a, range,
			     "the nodes would look for the broker in the network; choose a range"
			     " that nothing uses",
			     why);

	if (r == 0)
		r = store_gateway_list(a->store, arena, NULL, &gateways, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		for (size_t j = 0; j < gateways[i].range_count; j++) {
			if (!prefix_overlaps(&gateways[i].ranges[j], range))
				continue;
			return refuse(
				why, 409, "overlap",
				"range %s overlaps with %s, which gateway %s carries in network"
				" %s; choose a range that no site uses",
				prefix_format(range, mine),
				prefix_format(&gateways[i].ranges[j], theirs), gateways[i].id,
				gateways[i].network);
		}
	return r;
}
