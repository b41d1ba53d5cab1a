/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of agent/zone.h. */
#include "agent/zone.h"

#include <malloc.h>

#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/test.h"

static struct zone *zone;
static struct hamt_garbage garbage;

static const struct zone_source node = { ZONE_NODE, "", "aaaa" },
				orphan = { ZONE_ORPHAN, "", "bbbb" },
				added = { ZONE_ADDED, "", "" }, dc1 = { ZONE_SERVICE, "dc1", "e1" },
				cloud = { ZONE_SERVICE, "cloud", "e2" },
				edge = { ZONE_SERVICE, "edge", "e3" };

static void put(const struct zone_source *s, const char *key, const char *address)
{
	struct addr a;
	struct record r = { .addresses = &a, .address_count = 1 };

	CHECK_INT(addr_parse(address, &a), 0);
	zone_put(zone, s, key, &r);
}

/* The addresses that answer, blanks between; "-" a name without, "" none. */
static const char *says(const char *key)
{
	static char text[512];
	struct zone_version *v = zone_commit(zone, &garbage);
	const struct zone_entry *e = zone_find(v, key, strlen(key));
	char a[ADDR_SIZE];

	strcpy(text, e ? "-" : "");
	for (size_t i = 0; e && i < e->used; i++)
		sprintf(i ? text + strlen(text) : text, "%s%s", i ? " " : "",
			addr_format(&e->slots[i].record->addresses[0], a));
	free(v);
	return text;
}

static void end(void)
{
	hamt_garbage_free(&garbage);
	zone_free(zone);
}

TEST(node_counts_before_added_name)
{
	zone = zone_new("net", "dc1");
	put(&added, "db", "10.0.0.3");
	put(&orphan, "db", "10.0.0.2");
	CHECK_STR(says("db"), "10.0.0.2");
	put(&node, "db", "10.0.0.1");
	CHECK_STR(says("db"), "10.0.0.1");
	zone_del(zone, &node, "db");
	zone_del(zone, &orphan, "db");
	CHECK_STR(says("db"), "10.0.0.3");
	zone_del(zone, &added, "db");
	CHECK_STR(says("db"), "");
	end();
}

TEST(own_site_first_else_all)
{
	zone = zone_new("net", "dc1");
	put(&edge, "web.shop", "10.3.0.1");
	put(&cloud, "web.shop", "10.2.0.1");
	CHECK_STR(says("web.shop"), "10.2.0.1 10.3.0.1");
	put(&dc1, "web.shop", "10.1.0.1");
	CHECK_STR(says("web.shop"), "10.1.0.1");
	zone_del(zone, &dc1, "web.shop");
	CHECK_STR(says("web.shop"), "10.2.0.1 10.3.0.1");
	end();
	zone = zone_new("net", "");
	put(&dc1, "web.shop", "10.1.0.1");
	put(&cloud, "web.shop", "10.2.0.1");
	CHECK_STR(says("web.shop"), "10.2.0.1 10.1.0.1");
	end();
}

TEST(namespace_lasts_as_long_as_its_services)
{
	zone = zone_new("net", "dc1");
	CHECK_STR(says("shop"), "");
	put(&dc1, "web.shop", "10.1.0.1");
	put(&dc1, "web.shop", "10.1.0.2");
	put(&cloud, "web.shop", "10.2.0.1");
	put(&dc1, "db.shop", "10.1.0.3");
	CHECK_STR(says("shop"), "-");
	zone_del(zone, &dc1, "web.shop");
	zone_del(zone, &dc1, "db.shop");
	CHECK_STR(says("shop"), "-");
	zone_del(zone, &cloud, "web.shop");
	CHECK_STR(says("shop"), "");
	/* A node may have the name of a namespace. */
	put(&node, "shop", "10.0.0.1");
	put(&dc1, "web.shop", "10.1.0.1");
	CHECK_STR(says("shop"), "10.0.0.1");
	zone_del(zone, &node, "shop");
	CHECK_STR(says("shop"), "-");
	end();
}

TEST(only_labels)
{
	static const char *const bad[] = { "",	  ".",	 "a.",	     ".b",   "a.b.c",
					   "A.b", "a b", "_tcp.web", "a..b", "-/-" };

	zone = zone_new("net", "dc1");
	says("x");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		put(&dc1, bad[i], "10.0.0.1");
	CHECK(!zone_is_dirty(zone));
	end();
}

TEST(old_version_stays)
{
	struct zone_version *old;
	const struct zone_entry *e;

	zone = zone_new("net", "dc1");
	put(&dc1, "web.shop", "10.1.0.1");
	old = zone_commit(zone, &garbage);
	put(&dc1, "web.shop", "10.1.0.2");
	CHECK(zone_is_dirty(zone));
	CHECK_STR(says("web.shop"), "10.1.0.2");
	zone_del(zone, &dc1, "web.shop");
	CHECK_STR(says("web.shop"), "");
	e = zone_find(old, "web.shop", 8);
	CHECK(e && e->used == 1);
	CHECK_INT(e->slots[0].record->addresses[0].bytes[3], 1);
	free(old);
	end();
}

/* 50,000 services: memory, and the time that a change takes. */
TEST(large)
{
	struct record_port port = { "http", PROTOCOL_TCP, 80 };
	struct addr a = { .family = AF_INET };
	struct record r = { &a, 1, &port, 1, NULL, 0 };
	struct mallinfo2 before = mallinfo2(), after;
	struct zone_version *v;
	uint64_t from;
	char key[ZONE_KEY_SIZE];

	zone = zone_new("net", "dc1");
	for (unsigned i = 0; i < 50000; i++) {
		snprintf(key, sizeof(key), "service-%u.namespace-%u", i, i % 100);
		memcpy(a.bytes, &i, sizeof(i));
		zone_put(zone, &dc1, key, &r);
	}
	v = zone_commit(zone, &garbage);
	after = mallinfo2();
	if (after.uordblks) /* not under a sanitizer */
		CHECK((after.uordblks - before.uordblks) / 50000 < 330);
	from = clock_mono();
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "service-%u.namespace-%u", i, i % 100);
		zone_put(zone, &dc1, key, &r);
		free(zone_commit(zone, &garbage));
	}
	CHECK(clock_mono() - from < 1000 * USEC_PER_SEC / 1000); /* 1 ms each, on a busy machine */
	free(v);
	end();
}

TEST_MAIN("zone")
