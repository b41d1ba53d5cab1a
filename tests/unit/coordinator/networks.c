/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "coordinator/authority.h"
#include "tests/fakes/authority_fake.h"
#include "tests/test.h"

static struct authority *a;
static struct refusal_reason why;
static struct arena kept; /* what lives as long as the test */

static char *keep(const char *s)
{
	return arena_strdup(&kept, s);
}

static int make(const char *name, const char *range, const char *range6)
{
	struct api_network wish = { .name = keep(name) };
	struct prefix p[2];

	CHECK_INT(prefix_parse(range, &p[wish.range_count++]), 0);
	if (range6)
		CHECK_INT(prefix_parse(range6, &p[wish.range_count++]), 0);
	wish.ranges = p;
	network_defaults(&wish);
	return network_create(a, &wish, &why);
}

TEST(defaults_and_settings)
{
	struct api_network n = { 0 };
	struct arena arena = { 0 };

	a = authority_fake();
	CHECK_INT(make("office", "10.36.50.0/24", "fd36:50::/64"), 0);
	CHECK_INT(network_show(a, &arena, "office", &n, &why), 0);
	CHECK_INT(n.mtu, 1420);
	CHECK_INT(n.keepalive, 20);
	CHECK_INT(n.port, 51830);
	CHECK_STR(n.max_stale, "never");
	CHECK_INT(n.range_count, 2);
	n.keepalive = 0;
	n.max_stale = keep("7d");
	CHECK_INT(network_set(a, &n, &why), 0);
	CHECK_INT(network_show(a, &arena, "office", &n, &why), 0);
	CHECK_INT(n.keepalive, 0);
	CHECK_STR(n.max_stale, "7d");
	arena_done(&arena);
}

TEST(overlap_names_what_is_in_the_way)
{
	a = authority_fake();
	CHECK_INT(make("office", "10.36.50.0/24", "fd36:50::/64"), 0);
	CHECK_INT(make("lab", "10.36.0.0/16", NULL), -ECANCELED);
	CHECK_INT(why.status, 409);
	CHECK(strstr(why.message, "10.36.50.0/24") && strstr(why.message, "office"));
	CHECK_INT(make("lab", "10.37.0.0/16", "fd36:50::/72"), -ECANCELED);
	CHECK(strstr(why.message, "fd36:50::/64") && strstr(why.message, "office"));
	CHECK_INT(make("lab", "10.37.0.0/16", "fd36:51::/64"), 0);
	CHECK_INT(make("office", "10.38.0.0/16", NULL), -ECANCELED);
	CHECK_STR(why.code, "exists");
}

TEST(ranges_that_are_none)
{
	static const char *const bad[] = { "10.36.50.1/24", "10.0.0.0/7",  "10.36.50.0/30",
					   "127.0.0.0/8",   "224.0.0.0/8", "169.254.0.0/16",
					   "fe80::/64",	    "ff00::/8",	   "fd00::/125" };

	a = authority_fake();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_INT(make("office", bad[i], NULL), -ECANCELED);
		CHECK_STR(why.code, "range");
		CHECK(strstr(why.message, bad[i]));
	}
	CHECK_INT(make("office", "10.0.0.0/16", "10.1.0.0/16"), -ECANCELED);
	CHECK(strstr(why.message, "one family"));
}

TEST(delete_refuses_while_there_are_nodes)
{
	struct member_row m = { .network = keep("office"),
				.node = keep("aaaaaaaaaaaaaaaa"),
				.name = keep("db1"),
				.host = 1,
				.token = keep("t") };

	a = authority_fake();
	CHECK_INT(make("office", "10.36.50.0/24", NULL), 0);
	CHECK_INT(store_member_put(a->store, &m), 0);
	CHECK_INT(network_delete(a, "office", &why), -ECANCELED);
	CHECK(strstr(why.message, "db1"));
	CHECK_INT(store_member_delete(a->store, "office", m.node), 0);
	CHECK_INT(network_delete(a, "office", &why), 0);
	CHECK_INT(network_delete(a, "office", &why), -ECANCELED);
	CHECK_INT(why.status, 404);
	CHECK_INT(make("office", "10.36.50.0/24", NULL), 0);
}

TEST(release_frees_names_and_addresses)
{
	struct arena arena = { 0 };
	struct api_network n = { 0 };
	uint64_t released = 0;

	a = authority_fake();
	CHECK_INT(make("office", "10.36.50.0/24", NULL), 0);
	CHECK_INT(network_orphan_add(a, "office", "aaaaaaaaaaaaaaaa", "{\"name\":7}"), 0);
	CHECK_INT(network_show(a, &arena, "office", &n, &why), 0);
	CHECK_INT(n.orphan_count, 1);
	CHECK_STR(n.orphans[0].id, "aaaaaaaaaaaaaaaa");
	CHECK(!n.orphans[0].name);
	CHECK_INT(network_release(a, "office", &released, &why), 0);
	CHECK_INT(released, 1);
	CHECK_INT(network_show(a, &arena, "office", &n, &why), 0);
	CHECK_INT(n.orphan_count, 0);
	CHECK_INT(network_release(a, "lab", &released, &why), -ECANCELED);
	arena_done(&arena);
}

TEST(orphan_without_a_key_is_in_nobodys_way)
{
	static const uint8_t none[KEY_LEN];
	struct arena arena = { 0 };
	struct orphan_row o;

	a = authority_fake();
	CHECK_INT(make("office", "10.36.50.0/24", NULL), 0);
	CHECK_INT(network_orphan_add(a, "office", "aaaaaaaaaaaaaaaa", "{}"), 0);
	CHECK_INT(store_orphan_by_key(a->store, &arena, "office", none, &o), -ENOENT);
	arena_done(&arena);
}

TEST(hosts_of_large_and_small_ranges)
{
	struct network n = { .range_count = 1 };
	struct addr at;

	CHECK_INT(prefix_parse("10.36.50.0/29", &n.ranges[0]), 0);
	CHECK_INT(host_last(&n), 6);
	CHECK_INT(prefix_parse("fd36::/64", &n.ranges[1]), 0);
	n.range_count = 2;
	CHECK_INT(host_last(&n), 6);
	CHECK_INT(addr_parse("fd36::5", &at), 0);
	CHECK_INT(host_index(&n, &at), 5);
	CHECK_INT(addr_parse("10.36.51.1", &at), 0);
	CHECK(host_index(&n, &at) == UINT64_MAX);
	n.ranges[0] = n.ranges[1];
	n.range_count = 1;
	CHECK(host_last(&n) == INT64_MAX);
}

TEST_MAIN("networks")
