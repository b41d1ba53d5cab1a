/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "tests/fakes/authority_fake.h"
#include "tests/unit/coordinator/sites.h"

static struct gateway *body_of(const char *network, const char *id)
{
	struct gateway *g = arena_alloc(&kept, sizeof(*g));
	const char *body = published(network, "gateway", id);
	struct json_error err;

	CHECK(body);
	CHECK_INT(body_decode(&kept, body, strlen(body), gateway_fields, g, &err), REFUSED_NOT);
	return g;
}

static struct joiner *dc1, *cloud;

static void setup(void)
{
	two_sites(&dc1, &cloud);
}

/* What a range alone is refused for. */
static const char *alone(const char *range)
{
	return gateway_by_node("cloud-k3s", "dc1-n1", range, NULL);
}

TEST(is_published_with_its_node)
{
	struct gateway *g;
	char *id = NULL;

	setup();
	CHECK_STR(gateway_by_node("cloud-k3s", "dc1-n1", "10.42.0.0/16 10.43.0.0/16", &id), "");
	CHECK_INT(strlen(id), GATEWAY_ID_LEN);
	g = body_of("cloud-k3s", id);
	CHECK_STR(g->site, "dc1");
	CHECK_INT(g->nat, NAT_MASQUERADE);
	CHECK_INT(g->range_count, 2);
	CHECK_INT(g->ranges[1].as.addr.family, 0);
	CHECK_INT(g->node_count, 1);
	CHECK_STR(g->nodes[0].node, dc1->identity.id);
	CHECK_STR(g->nodes[0].peer.name, "dc1-n1");
	CHECK(memcmp(g->nodes[0].peer.keys[0].key, dc1->wireguard, KEY_LEN) == 0);
	/* By id too; the other network has one of its own. */
	CHECK_STR(gateway_by_node("dc1-k3s", cloud->identity.id, "10.44.0.0/16", &id), "");
	CHECK_STR(body_of("dc1-k3s", id)->site, "cloud");
	CHECK(!published("cloud-k3s", "gateway", id));
}

TEST(ranges_that_nobody_may_publish)
{
	static const char *const wrong[] = {
		"0.0.0.0/0",	"::/0",		  "10.42.0.1/16", "127.0.0.0/8",
		"127.0.0.1/32", "169.254.0.0/16", "224.0.0.0/4",  "239.1.0.0/16",
		"240.0.0.0/8",	"0.0.0.0/1",	  "128.0.0.0/1",  "fe80::/64",
		"ff00::/8",	"::1/128",	  "::/3",	  "::ffff:0:0/96",
	};

	setup();
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		CHECK_STR(alone(wrong[i]), "range");
		CHECK(strstr(why.message, wrong[i]));
	}
	CHECK_STR(alone("10.42.0.1/16"), "range");
	CHECK(strstr(why.message, "10.42.0.0/16"));
	CHECK_STR(alone("10.42.0.0/16 10.42.0.0/16"), "range");
	CHECK_STR(alone(""), "ranges");
	/* No IPv6 in the network: no address to come from. */
	CHECK_STR(alone("fd00:42::/64"), "family");
	CHECK_STR(network_make("six", "fd00:36::/64"), "");
	CHECK_STR(gateway_by_node("six", "dc1-n1", "fd00:42::/64", NULL), "not_a_member");
}

TEST(ranges_of_networks)
{
	setup();
	/* Its own, another one's, a part, and more than it. */
	CHECK_STR(alone("10.36.50.0/24"), "overlap");
	CHECK(strstr(why.message, "network cloud-k3s"));
	CHECK_STR(alone("10.65.24.128/25"), "overlap");
	CHECK(strstr(why.message, "network dc1-k3s"));
	CHECK_STR(alone("10.0.0.0/8"), "overlap");
	CHECK_STR(alone("10.42.0.0/16"), "");
	/* And the reverse. */
	CHECK_STR(network_make("late", "10.42.7.0/24"), "overlap");
	CHECK(strstr(why.message, "10.42.0.0/16"));
	CHECK_STR(network_make("late", "10.66.0.0/24"), "");
}

TEST(ranges_of_another_site)
{
	char *id = NULL;

	setup();
	CHECK_STR(gateway_by_node("cloud-k3s", "dc1-n1", "10.42.0.0/16", &id), "");
	CHECK_STR(gateway_by_node("cloud-k3s", "cloud-n1", "10.42.7.0/24", NULL), "overlap");
	CHECK(strstr(why.message, "10.42.7.0/24 of site cloud"));
	CHECK(strstr(why.message, "10.42.0.0/16"));
	CHECK(strstr(why.message, id));
	CHECK(strstr(why.message, "site dc1"));
	/* Nor in another network: a node may be in both. */
	CHECK_STR(gateway_by_node("dc1-k3s", "cloud-n1", "10.42.0.0/16", NULL), "overlap");
	CHECK(strstr(why.message, "of site cloud overlaps"));
	CHECK(strstr(why.message, id));
	CHECK(strstr(why.message, "for site dc1 in network cloud-k3s"));
	CHECK_STR(gateway_by_tag("dc1-k3s", "gw", "cloud", "10.42.7.0/24", NULL), "overlap");
	/* The same site: in several networks; and an alternative, by priority. */
	CHECK_STR(gateway_by_node("dc1-k3s", "dc1-n1", "10.42.0.0/16", NULL), "");
	node_make("cloud-k3s", "dc1-n2", "dc1", NULL);
	CHECK_STR(gateway_by_node("cloud-k3s", "dc1-n2", "10.42.0.0/16", NULL), "");
}

TEST(without_a_site_a_node_is_a_place_of_its_own)
{
	struct joiner *lone;

	setup();
	lone = node_make("cloud-k3s", "lone-1", NULL, NULL);
	node_make("cloud-k3s", "lone-2", NULL, NULL);
	CHECK_STR(gateway_by_node("cloud-k3s", "lone-1", "192.168.7.0/24", NULL), "");
	CHECK_STR(gateway_by_node("cloud-k3s", "lone-1", "192.168.7.0/24", NULL), "");
	CHECK_STR(gateway_by_node("cloud-k3s", "lone-2", "192.168.7.0/24", NULL), "overlap");
	CHECK(strstr(why.message, "of node lone-2 overlaps"));
	CHECK(strstr(why.message, "for node lone-1 in network cloud-k3s"));
	CHECK_STR(gateway_by_node("cloud-k3s", "dc1-n1", "192.168.7.0/24", NULL), "overlap");
	CHECK_STR(gateway_by_node("dc1-k3s", "cloud-n1", "192.168.7.128/25", NULL), "overlap");
	/* In its other network it stands at the same place. */
	CHECK_STR(join_code(join(lone, token_make("dc1-k3s", ROLE_NODE, NULL, NULL))), "joined");
	CHECK_STR(gateway_by_node("dc1-k3s", "lone-1", "192.168.7.0/24", NULL), "");
}

TEST(ranges_with_broker_or_endpoint)
{
	char *endpoints[] = { keep("203.0.113.7:51830"), keep("192.168.7.2:51830") };
	static char broker[] = "mqtts://198.51.100.9:8883";
	struct joiner *n = machine_make("edge");

	setup();
	n->endpoints = endpoints;
	n->endpoint_count = ARRAY_SIZE(endpoints);
	CHECK_STR(join_code(join(n, token_make("cloud-k3s", ROLE_NODE, NULL, NULL))), "joined");
	CHECK_STR(alone("203.0.113.0/24"), "endpoint");
	CHECK(strstr(why.message, "node edge"));
	/* A private one may be anybody's. */
	CHECK_STR(alone("192.168.7.0/24"), "");
	a->keys->trust->body.brokers[0] = broker;
	CHECK_STR(alone("198.51.100.0/24"), "broker");
	CHECK_STR(alone("198.51.101.0/24"), "");
}

TEST(network_with_broker)
{
	static char broker[] = "mqtts://198.51.100.9:8883";

	setup();
	a->keys->trust->body.brokers[0] = broker;
	CHECK_STR(network_make("office", "198.51.100.0/24"), "broker");
	CHECK(strstr(why.message, "198.51.100.9, the broker's address"));
	CHECK_STR(network_make("office", "198.51.101.0/24"), "");
}

TEST(who_carries_it)
{
	struct api_gateway_create wish = { .network = keep("cloud-k3s") };

	setup();
	CHECK_STR(gateway_by_node("nowhere", "dc1-n1", "10.42.0.0/16", NULL), "unknown_network");
	CHECK_STR(alone("10.42.0.0/16"), "");
	CHECK_STR(gateway_by_node("cloud-k3s", "dc9", "10.43.0.0/16", NULL), "unknown_node");
	node_make("dc1-k3s", "dc1-n2", "dc1", NULL);
	CHECK_STR(gateway_by_node("cloud-k3s", "dc1-n2", "10.43.0.0/16", NULL), "not_a_member");
	CHECK_STR(gateway_wish(wish, "10.43.0.0/16", NULL), "node");
	wish.tag = keep("gw");
	CHECK_STR(gateway_wish(wish, "10.43.0.0/16", NULL), "node");
	wish.node = keep("dc1-n1");
	CHECK_STR(gateway_wish(wish, "10.43.0.0/16", NULL), "node");
	wish.tag = NULL;
	wish.site = keep("cloud");
	CHECK_STR(gateway_wish(wish, "10.43.0.0/16", NULL), "site");
	wish.site = keep("dc1");
	wish.as = ranges("10.99.0.0/16", &wish.as_count);
	CHECK_STR(gateway_wish(wish, "10.43.0.0/16", NULL), "as");
}

TEST(by_tag_follows_its_nodes)
{
	struct joiner *first, *second;
	struct gateway *g;
	char *id = NULL;

	setup();
	CHECK_STR(gateway_by_tag("cloud-k3s", "gw", "dc1", "10.42.0.0/16", &id), "");
	CHECK_INT(body_of("cloud-k3s", id)->node_count, 0);
	node_make("cloud-k3s", "other-tag", "dc1", "db");
	node_make("cloud-k3s", "other-site", "cloud", "gw");
	CHECK_INT(body_of("cloud-k3s", id)->node_count, 0);
	first = node_make("cloud-k3s", "gw-b", "dc1", "gw");
	second = node_make("cloud-k3s", "gw-a", "dc1", "gw");
	g = body_of("cloud-k3s", id);
	CHECK_INT(g->node_count, 2);
	CHECK_STR(g->nodes[0].peer.name, "gw-a");
	CHECK_STR(g->nodes[1].node, first->identity.id);
	CHECK_STR(said(node_rename(a, "gw-a", "gw-z", &why)), "");
	CHECK_STR(body_of("cloud-k3s", id)->nodes[1].peer.name, "gw-z");
	/* It joins again, without the tag. */
	CHECK_STR(join_code(join(first, token_make("cloud-k3s", ROLE_NODE, "dc1", NULL))),
		  "joined");
	CHECK_INT(body_of("cloud-k3s", id)->node_count, 1);
	CHECK_STR(said(node_remove(a, second->identity.id, &why)), "");
	CHECK_INT(body_of("cloud-k3s", id)->node_count, 0);
}

TEST(copy_of_endpoints_is_kept_level)
{
	char *endpoints[] = { keep("203.0.113.7:51830") };
	const struct ep ep = { .seq = 5, .endpoints = endpoints, .endpoint_count = 1 };
	struct gateway *g;
	char *id = NULL;

	setup();
	CHECK_STR(gateway_by_node("cloud-k3s", "dc1-n1", "10.42.0.0/16", &id), "");
	CHECK_INT(node_endpoints(a, dc1->identity.id, "cloud-k3s", &ep), 0);
	g = body_of("cloud-k3s", id);
	CHECK_INT(g->nodes[0].peer.endpoint_count, 1);
	CHECK_STR(g->nodes[0].peer.endpoints[0], "203.0.113.7:51830");
	CHECK_INT(g->nodes[0].peer.ep_seq, 5);
}

TEST(by_node_goes_with_it)
{
	char *here = NULL, *there = NULL, *by_tag = NULL;
	struct api_gateway *list;
	size_t count;

	setup();
	CHECK_STR(gateway_by_node("cloud-k3s", "dc1-n1", "10.42.0.0/16", &here), "");
	CHECK_STR(gateway_by_node("dc1-k3s", "dc1-n1", "10.42.0.0/16", &there), "");
	CHECK_STR(gateway_by_tag("cloud-k3s", "gw", "dc1", "10.43.0.0/16", &by_tag), "");
	CHECK_STR(said(node_leave(a, dc1->identity.id, "cloud-k3s", (const uint8_t[HASH_LEN]){ 1 },
				  &why)),
		  "");
	CHECK(!published("cloud-k3s", "gateway", here));
	CHECK_INT(ended("cloud-k3s", "gateway", here), WHY_REMOVED);
	CHECK(published("dc1-k3s", "gateway", there));
	CHECK(published("cloud-k3s", "gateway", by_tag));
	CHECK_STR(said(node_remove(a, dc1->identity.id, &why)), "");
	CHECK(!published("dc1-k3s", "gateway", there));
	CHECK_INT(gateway_list(a, &kept, NULL, &list, &count, &why), 0);
	CHECK_INT(count, 1);
	CHECK_STR(list[0].id, by_tag);
	CHECK_INT(list[0].node_count, 0);
}

TEST(set_changes_what_is_named)
{
	struct api_gateway g = { 0 };
	struct api_gateway_create wish = { 0 };
	char *id = NULL;

	setup();
	CHECK_STR(gateway_by_node("cloud-k3s", "cloud-n1", "10.44.0.0/16", NULL), "");
	CHECK_STR(gateway_by_node("cloud-k3s", "dc1-n1", "10.42.0.0/16", &id), "");
	wish.nat = NAT_NONE;
	wish.priority = 7;
	wish.ranges = ranges("10.42.0.0/16 10.43.0.0/16", &wish.range_count);
	CHECK_STR(said(gateway_set(a, id, &wish, &why)), "");
	CHECK_INT(gateway_show(a, &kept, id, &g, &why), 0);
	CHECK_INT(g.nat, NAT_NONE);
	CHECK_INT(g.priority, 7);
	CHECK_INT(g.range_count, 2);
	CHECK_STR(g.nodes[0], "dc1-n1");
	CHECK_INT(body_of("cloud-k3s", id)->nat, NAT_NONE);
	/* The same rules; nothing is stored when one is broken. */
	wish.ranges = ranges("10.44.0.0/16", &wish.range_count);
	CHECK_STR(said(gateway_set(a, id, &wish, &why)), "overlap");
	CHECK_INT(body_of("cloud-k3s", id)->range_count, 2);
	CHECK_STR(said(gateway_set(a, "aaaaaaaa", &wish, &why)), "unknown_gateway");
}

TEST(deleted_with_itself_or_its_network)
{
	char *id = NULL;

	setup();
	CHECK_STR(gateway_by_node("cloud-k3s", "dc1-n1", "10.42.0.0/16", &id), "");
	CHECK_STR(said(gateway_delete(a, id, &why)), "");
	CHECK_INT(ended("cloud-k3s", "gateway", id), WHY_REMOVED);
	CHECK_STR(said(gateway_delete(a, id, &why)), "unknown_gateway");
	CHECK_STR(network_make("brief", "10.66.0.0/24"), "");
	CHECK_STR(gateway_by_tag("brief", "gw", "dc1", "10.42.0.0/16", &id), "");
	CHECK_STR(said(network_delete(a, "brief", &why)), "");
	CHECK_STR(said(gateway_show(a, &kept, id, &(struct api_gateway){ 0 }, &why)),
		  "unknown_gateway");
	/* Its range is free again. */
	CHECK_STR(network_make("brief", "10.42.0.0/24"), "");
}

TEST(put_back_after_a_restart)
{
	char *id = NULL;

	setup();
	CHECK_STR(gateway_by_node("cloud-k3s", "dc1-n1", "10.42.0.0/16", &id), "");
	/* A member that no row knows; and the row's own, lost. */
	CHECK_INT(publisher_put(a->publisher, "cloud-k3s", JOURNAL_GATEWAYS, "gateway/zzzzzzzz",
				"{}"),
		  0);
	CHECK_INT(publisher_put(a->publisher, "cloud-k3s", JOURNAL_GATEWAYS, "name/gone", "{}"), 0);
	CHECK_INT(publisher_del(a->publisher, "cloud-k3s", JOURNAL_GATEWAYS, "settings", WHY_GONE),
		  0);
	publisher_flush(a->publisher);
	CHECK_INT(member_reconcile(a), 0);
	CHECK_INT(ended("cloud-k3s", "gateway", "zzzzzzzz"), WHY_GONE);
	CHECK_INT(ended("cloud-k3s", "name", "gone"), WHY_GONE);
	CHECK(authority_fake_gateway(a, "cloud-k3s", "settings"));
	CHECK_INT(body_of("cloud-k3s", id)->node_count, 1);
}

/* A member of a journal has a limit, and what nodes say of themselves does not get there. */
TEST(many_long_endpoints_fit)
{
	char text[PEER_ENDPOINTS_MAX][256], *endpoints[PEER_ENDPOINTS_MAX], *id = NULL;
	const char *network = "cloud-k3s";
	struct gateway *g;

	setup();
	CHECK_STR(gateway_by_tag(network, "gw", "dc1", "10.42.0.0/16", &id), "");
	for (int i = 0; i < PEER_ENDPOINTS_MAX; i++) {
		endpoints[i] = text[i];
		snprintf(text[i], sizeof(text[i]), "%060d.%060d.%060d.%02d.example:51830", i, i, i,
			 i);
	}
	for (int i = 0; i < GATEWAY_NODES_MAX; i++) {
		struct joiner *j = machine_make("gw");

		j->endpoints = endpoints;
		j->endpoint_count = PEER_ENDPOINTS_MAX;
		CHECK_STR(join_code(join(j, token_make(network, ROLE_NODE, "dc1", "gw"))),
			  "joined");
		CHECK(strlen(published(network, "gateway", id)) <= JOURNAL_BODY_MAX);
	}
	g = body_of(network, id);
	CHECK_INT(g->node_count, GATEWAY_NODES_MAX);
	CHECK_INT(g->nodes[0].peer.endpoint_count, 1);
	CHECK_STR(g->nodes[0].peer.endpoints[0], text[0]);
}

TEST_MAIN("gateways")
