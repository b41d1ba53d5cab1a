/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Gateways that follow what their site's exporters offer.
 */
#include <errno.h>

#include "lib/map.h"
#include "lib/text.h"
#include "tests/fakes/authority_fake.h"
#include "tests/unit/coordinator/sites.h"

static struct joiner *dc1, *cloud;

/* Two sites, and the exporter of dc1. */
static struct joiner *setup(void)
{
	struct joiner *j = joiner_make(NULL);

	two_sites(&dc1, &cloud);
	CHECK_STR(join_code(join(j, token_make("dc1-k3s", ROLE_EXPORTER, "dc1", NULL))), "joined");
	return j;
}

/* The grant's ranges as published. */
static bool grants(const struct joiner *j, const char *list)
{
	return strstr(published("dc1-k3s", "exporter", j->identity.id), list);
}

static struct map *sentences; /* gateway_grow's */

/* The exporter says this, and the gateways grow. */
static void offer_grow(struct joiner *j, uint64_t n, const char *text)
{
	struct node_state state = { .seq = n << 20, .online = true };

	state.ranges = ranges(text, &state.range_count);
	CHECK_INT(node_seen(a, j->identity.id, &state), 0);
	CHECK_INT(gateway_grow(a, &sentences), 0);
}

static struct api_gateway *shown(const char *id)
{
	struct api_gateway *g = arena_alloc(&kept, sizeof(*g));

	CHECK_STR(said(gateway_show(a, &kept, id, g, &why)), "");
	return g;
}

static const char *carried(const char *id)
{
	const struct api_gateway *g = shown(id);
	char text[PREFIX_SIZE];
	struct buf out = { 0 };
	char *ret;

	for (size_t i = 0; i < g->range_count; i++)
		buf_printf(&out, "%s%s", i ? " " : "", prefix_format(&g->ranges[i], text));
	for (size_t i = 0; i < g->not_carried_count; i++)
		buf_printf(&out, " -%s", prefix_format(&g->not_carried[i].range, text));
	ret = keep(buf_cstr(&out));
	buf_done(&out);
	return ret;
}

/* In cloud-k3s, by dc1-n1, from what its site offers. */
static char *follower_make(void)
{
	struct api_gateway_create wish = { .network = keep("cloud-k3s"),
					   .node = keep("dc1-n1"),
					   .from_site = keep("dc1") };
	struct api_gateway g = { 0 };

	gateway_defaults(&wish);
	CHECK_STR(said(gateway_create(a, &kept, &wish, &g, &why)), "");
	CHECK_STR(g.from_site, "dc1");
	return g.id;
}

static const char *gateway_set_ranges(const char *id, const char *text, const char *site)
{
	struct api_gateway_create wish = { .from_site = keep(site) };

	gateway_defaults(&wish);
	if (text)
		wish.ranges = ranges(text, &wish.range_count);
	return said(gateway_set(a, id, &wish, &why));
}

TEST(a_gateway_grows_with_its_site)
{
	struct joiner *j;
	char *id, *fixed;

	j = setup();
	offer_grow(j, 1, "10.42.0.0/24 10.43.0.0/16");
	id = follower_make();
	CHECK_STR(gateway_by_node("dc1-k3s", "cloud-n1", "10.44.0.0/16", &fixed), "");
	offer_grow(j, 2, "10.42.0.0/24 10.43.0.0/16 10.42.1.0/24 fd00:42::/64");
	CHECK_STR(carried(id), "10.42.0.0/24 10.43.0.0/16 10.42.1.0/24");
	CHECK(grants(j, "[\"10.42.0.0/24\",\"10.42.1.0/24\",\"10.43.0.0/16\"]"));
	CHECK(strstr(published("cloud-k3s", "gateway", id), "10.42.1.0/24"));
	/* The wider one takes the place of those in it; what lies in one that there is adds nothing. */
	offer_grow(j, 3, "10.42.0.0/23 10.43.0.0/16");
	CHECK_STR(carried(id), "10.43.0.0/16 10.42.0.0/23");
	offer_grow(j, 4, "10.42.0.0/24 10.42.1.0/24 10.43.7.0/24");
	CHECK_STR(carried(id), "10.43.0.0/16 10.42.0.0/23");
	CHECK(grants(j, "[\"10.42.0.0/23\",\"10.43.0.0/16\"]"));
	CHECK_STR(carried(fixed), "10.44.0.0/16");
	CHECK_INT(map_count(sentences), 0);
}

TEST(nothing_is_taken_away_by_an_offer)
{
	struct joiner *j;
	char *id;

	j = setup();
	offer_grow(j, 1, "10.42.0.0/24 10.42.1.0/24 10.43.0.0/16");
	id = follower_make();
	offer_grow(j, 2, "10.43.0.0/16");
	CHECK_STR(carried(id), "10.42.0.0/24 10.42.1.0/24 10.43.0.0/16");
	offer_grow(j, 3, "10.42.2.0/24");
	CHECK_STR(carried(id), "10.42.0.0/24 10.42.1.0/24 10.43.0.0/16 10.42.2.0/24");
	offer_grow(j, 4, "");
	CHECK_STR(carried(id), "10.42.0.0/24 10.42.1.0/24 10.43.0.0/16 10.42.2.0/24");
	CHECK_STR(said(exporter_remove(a, j->identity.id, &why)), "");
	CHECK_INT(gateway_grow(a, &sentences), 0);
	CHECK_STR(carried(id), "10.42.0.0/24 10.42.1.0/24 10.43.0.0/16 10.42.2.0/24");
}

TEST(who_follows_is_the_operators_word)
{
	struct api_gateway_create priority = { .priority = 7 };
	struct joiner *j;
	char *id;

	j = setup();
	offer_grow(j, 1, "10.42.0.0/24 10.42.1.0/24");
	id = follower_make();
	offer_grow(j, 2, "10.42.2.0/24");
	/* Just what is offered. */
	CHECK_STR(gateway_set_ranges(id, NULL, "dc1"), "");
	CHECK_STR(carried(id), "10.42.2.0/24");
	/* What does not name ranges changes neither these nor that it follows. */
	CHECK_STR(said(gateway_set(a, id, &priority, &why)), "");
	CHECK_INT(shown(id)->priority, 7);
	offer_grow(j, 3, "10.42.3.0/24");
	CHECK_STR(carried(id), "10.42.2.0/24 10.42.3.0/24");
	CHECK_STR(gateway_set_ranges(id, "10.42.9.0/24", NULL), "");
	CHECK(!shown(id)->from_site);
	offer_grow(j, 4, "10.42.4.0/24");
	CHECK_STR(carried(id), "10.42.9.0/24");
	CHECK_STR(gateway_set_ranges(id, NULL, "dc1"), "");
	offer_grow(j, 5, "10.42.5.0/24");
	CHECK_STR(carried(id), "10.42.4.0/24 10.42.5.0/24");
}

TEST(growth_obeys_the_rules_of_ranges)
{
	struct api_exporter *list;
	const struct api_gateway *g;
	struct joiner *j;
	char *id, *other;
	size_t count;

	j = setup();
	offer_grow(j, 1, "10.42.0.0/24");
	id = follower_make();
	CHECK_STR(gateway_by_node("dc1-k3s", "cloud-n1", "10.44.0.0/16", &other), "");
	/* A network's, another site's, public, loopback: each alone, and the good one is taken. */
	offer_grow(j, 2, "10.36.50.0/24 10.44.1.0/24 198.51.100.0/24 127.0.0.0/8 10.42.1.0/24");
	CHECK_STR(carried(id), "10.42.0.0/24 10.42.1.0/24 -10.36.50.0/24 -10.44.1.0/24"
			       " -198.51.100.0/24 -127.0.0.0/8");
	CHECK_INT(map_count(sentences), 4);
	g = shown(id);
	CHECK(strstr(g->not_carried[0].why, "the addresses of network cloud-k3s"));
	CHECK(strstr(g->not_carried[1].why, "which gateway"));
	CHECK(strstr(g->not_carried[2].why, "not of private addresses"));
	CHECK_INT(exporter_list(a, &kept, "dc1-k3s", &list, &count, &why), 0);
	CHECK_INT(list[0].not_carried_count, 4);
	/* What hindered goes. */
	CHECK_STR(said(gateway_delete(a, other, &why)), "");
	CHECK_INT(gateway_grow(a, &sentences), 0);
	CHECK_STR(carried(id), "10.42.0.0/24 10.42.1.0/24 10.44.1.0/24 -10.36.50.0/24"
			       " -198.51.100.0/24 -127.0.0.0/8");
	CHECK_INT(map_count(sentences), 3);
	/* The operator may ask for what is public. */
	offer_grow(j, 3, "198.51.100.0/24");
	CHECK_STR(gateway_set_ranges(id, NULL, "dc1"), "");
	CHECK_STR(carried(id), "198.51.100.0/24");
}

TEST(growth_has_an_end)
{
	struct buf offers = { 0 };
	struct joiner *j;
	char *id;

	j = setup();
	for (int i = 0; i < GATEWAY_RANGES_MAX; i++)
		buf_printf(&offers, "10.42.%d.0/24 ", i);
	offer_grow(j, 1, buf_cstr(&offers));
	id = follower_make();
	CHECK_INT(shown(id)->range_count, GATEWAY_RANGES_MAX);
	offer_grow(j, 2, "10.42.64.0/24");
	CHECK_INT(shown(id)->range_count, GATEWAY_RANGES_MAX);
	CHECK(strstr(shown(id)->not_carried[0].why, "one more than the 64"));
	/* A wider one makes room. */
	offer_grow(j, 3, "10.42.64.0/24 10.42.0.0/23");
	CHECK_INT(shown(id)->range_count, GATEWAY_RANGES_MAX - 1);
	CHECK_INT(gateway_grow(a, &sentences), 0);
	CHECK_INT(shown(id)->range_count, GATEWAY_RANGES_MAX);
	buf_done(&offers);
}

TEST_MAIN("gateway-grow")
