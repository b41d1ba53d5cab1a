/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of agent/zone.h. */
#include "agent/zone.h"

#include <malloc.h>

#include "agent/reverse.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/test.h"

static struct zone *zone;
static struct hamt_garbage garbage;

static const struct zone_source node = { ZONE_NODE, "", "aaaa", 0 },
				orphan = { ZONE_ORPHAN, "", "bbbb", 0 },
				added = { ZONE_ADDED, "", "", 0 },
				dc1 = { ZONE_SERVICE, "dc1", "e1", 0 },
				cloud = { ZONE_SERVICE, "cloud", "e2", 0 },
				edge = { ZONE_SERVICE, "edge", "e3", 0 };

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

static const struct reverse_block *block_of(const struct addr *a, struct zone_version **ret)
{
	*ret = zone_commit(zone, &garbage);
	return reverse_find((*ret)->addresses, (*ret)->seed, a);
}

/* Blocks of addresses are bounded, and an update needs no second place in a full one. */
TEST(a_full_block_keeps_who_is_updated)
{
	struct addr a = { AF_INET, { 10, 1, 0, 1 } }, b = { AF_INET, { 10, 1, 0, 2 } };
	struct record r = { &a, 1, NULL, 0, NULL, 0 };
	const struct reverse_block *block;
	struct zone_version *v;
	const char *host;
	unsigned with_b = 0;
	char key[32];

	zone = zone_new("net", "dc1");
	for (int i = 0; i <= REVERSE_BLOCK_MAX; i++) {
		snprintf(key, sizeof(key), "n%d.shop", i);
		zone_put(zone, &dc1, key, &r);
	}
	block = block_of(&a, &v);
	CHECK_INT(block->count, REVERSE_BLOCK_MAX);
	CHECK_INT(block->work, REVERSE_BLOCK_MAX);
	free(v);
	r.addresses = &b;
	zone_put(zone, &dc1, "n7.shop", &r);
	block = block_of(&a, &v);
	CHECK_INT(block->count, REVERSE_BLOCK_MAX);
	for (size_t i = 0; i < block->count; i++)
		with_b += reverse_has(block->records[i], &b, &host);
	CHECK_INT(with_b, 1);
	free(v);
	end();
}

/* Whoever publishes large records makes no question expensive. */
TEST(a_block_has_only_so_many_addresses_to_look_through)
{
	static struct addr many[1024];
	struct record r = { many, ARRAY_SIZE(many), NULL, 0, NULL, 0 };
	const struct reverse_block *block;
	struct zone_version *v;
	char key[32];

	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct addr){ AF_INET, { 10, 1, (uint8_t)(i >> 8), (uint8_t)i } };
	zone = zone_new("net", "dc1");
	for (int i = 0; i < 40; i++) {
		snprintf(key, sizeof(key), "n%d.shop", i);
		zone_put(zone, &dc1, key, &r);
	}
	block = block_of(&many[0], &v);
	CHECK_INT(block->work, REVERSE_WORK_MAX);
	CHECK_INT(block->count, REVERSE_WORK_MAX / ARRAY_SIZE(many));
	free(v);
	zone_del(zone, &dc1, "n0.shop");
	block = block_of(&many[0], &v);
	CHECK_INT(block->work, REVERSE_WORK_MAX - ARRAY_SIZE(many));
	free(v);
	for (int i = 1; i < 40; i++) {
		snprintf(key, sizeof(key), "n%d.shop", i);
		zone_del(zone, &dc1, key);
	}
	CHECK(!block_of(&many[0], &v));
	free(v);
	end();
}

/* Which records have an address follows them, and costs nothing when they are gone. */
TEST(addresses_follow)
{
	struct addr a = { AF_INET, { 10, 1, 0, 1 } }, b = { AF_INET, { 10, 1, 0, 2 } };
	struct record r = { &a, 1, NULL, 0, NULL, 0 };
	const struct reverse_block *block;
	struct zone_version *v;
	const char *host;

	zone = zone_new("net", "dc1");
	zone_put(zone, &dc1, "web.shop", &r);
	zone_put(zone, &dc1, "api.shop", &r);
	v = zone_commit(zone, &garbage);
	block = reverse_find(v->addresses, v->seed, &b); /* of the same block */
	CHECK(block && block->count == 2);
	CHECK(reverse_has(block->records[0], &a, &host) && !host);
	CHECK(!reverse_has(block->records[0], &b, &host));
	free(v);
	r.addresses = &b;
	zone_put(zone, &dc1, "web.shop", &r);
	zone_del(zone, &dc1, "api.shop");
	v = zone_commit(zone, &garbage);
	block = reverse_find(v->addresses, v->seed, &a);
	CHECK(block && block->count == 1);
	CHECK(reverse_has(block->records[0], &b, &host));
	CHECK_STR(block->records[0]->key, "web.shop");
	free(v);
	zone_del(zone, &dc1, "web.shop");
	v = zone_commit(zone, &garbage);
	CHECK(!reverse_find(v->addresses, v->seed, &a));
	free(v);
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
		memcpy(a.bytes, (uint8_t[]){ 10, 43, (uint8_t)(i >> 8), (uint8_t)i }, 4);
		zone_put(zone, &dc1, key, &r);
	}
	v = zone_commit(zone, &garbage);
	hamt_garbage_free(&garbage);
	garbage = (struct hamt_garbage){ 0 };
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
