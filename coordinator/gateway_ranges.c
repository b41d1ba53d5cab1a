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

static int broker_check(const struct authority *a, const struct prefix *range,
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
		return refuse(why, 409, "broker",
			      "range %s contains %s, the broker's address: the nodes would look for"
			      " the broker behind the gateway; publish ranges without it",
			      prefix_format(range, text), host);
	}
	return 0;
}

static bool is_public(const struct addr *address)
{
	struct prefix p;

	for (size_t i = 0; i < ARRAY_SIZE(private_ranges); i++)
		if (prefix_parse(private_ranges[i], &p) == 0 && prefix_contains(&p, address))
			return false;
	return true;
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

/* Other sites' traffic comes from addresses of the network: of the same family. */
static int family_check(const struct network *n, const struct prefix *range,
			struct refusal_reason *why)
{
	char text[PREFIX_SIZE];
	int family = range->addr.family;

	for (size_t i = 0; i < n->range_count; i++)
		if (n->ranges[i].addr.family == family)
			return 0;
	return refuse(
		why, 409, "family",
		"range %s: network %s has no %s range, so its nodes have no address from which"
		" to reach it",
		prefix_format(range, text), n->name, family == AF_INET ? "IPv4" : "IPv6");
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

int gateway_ranges_check(struct authority *a, struct arena *arena, const struct gateway_row *g,
			 struct refusal_reason *why)
{
	struct member_row *members;
	struct network n;
	size_t count = 0;
	int r = store_network_get(a->store, arena, g->network, &n);

	if (r == 0)
		r = twice_check(g, why);
	for (size_t i = 0; r == 0 && i < g->range_count; i++) {
		r = gateway_range_check(a, arena, &g->ranges[i], why);
		if (r == 0)
			r = family_check(&n, &g->ranges[i], why);
		if (r == 0)
			r = broker_check(a, &g->ranges[i], why);
	}
	if (r == 0)
		r = sites_check(a, arena, g, why);
	if (r == 0)
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
	int r = store_gateway_list(a->store, arena, NULL, &gateways, &count);

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
