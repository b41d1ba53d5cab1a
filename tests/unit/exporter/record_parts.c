/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "exporter/record_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "tests/test.h"

#define MOST 40000

/* Endpoints 0 to MOST - 1, of which some are there. */
static bool there[MOST];

static void record_of(struct arena *a, struct record *r, bool hostnames)
{
	*r = (struct record){ .endpoints = arena_array(a, MOST, sizeof(*r->endpoints)) };
	for (unsigned i = 0; i < MOST; i++) {
		struct record_endpoint *e = &r->endpoints[r->endpoint_count];
		char text[32];

		if (!there[i])
			continue;
		r->endpoint_count++;
		if (hostnames) {
			snprintf(text, sizeof(text), "web-%u", i);
			e->hostname = arena_strdup(a, text);
		}
		snprintf(text, sizeof(text), "10.%u.%u.%u", 16 + i / 65536, i / 256 % 256, i % 256);
		e->addresses = arena_array(a, 1, sizeof(*e->addresses));
		e->address_count = 1;
		if (addr_parse(text, e->addresses) < 0)
			abort();
	}
}

static void make(struct record_parts *p, bool hostnames)
{
	struct arena a = { 0 };
	struct record r;

	record_of(&a, &r, hostnames);
	record_parts_make(p, &r);
	arena_done(&a);
}

static void set_there(unsigned count)
{
	for (unsigned i = 0; i < MOST; i++)
		there[i] = i < count;
}

/* How often each endpoint is in the body; all of them, or test_end. */
static size_t count_body(const char *body, uint8_t seen[static MOST])
{
	struct arena a = { 0 };
	struct record r = { 0 };
	struct json_error err;
	size_t count;

	if (!text_is_member_body(body, strlen(body)) ||
	    json_decode(&a, body, strlen(body), record_fields, &r, &err) < 0)
		test_end(false, "no body");
	for (size_t i = 0; i < r.endpoint_count; i++) {
		const uint8_t *b = r.endpoints[i].addresses[0].bytes;

		seen[(b[1] - 16) * 65536 + b[2] * 256 + b[3]]++;
	}
	count = r.endpoint_count;
	arena_done(&a);
	return count;
}

TEST(as_many_as_they_need)
{
	static const struct {
		unsigned endpoints, parts;
		bool hostnames;
		bool left_out;
	} cases[] = {
		{ 1, 1, false, false },	     { 500, 1, false, false },	 { 600, 2, false, false },
		{ 300, 1, true, false },     { 600, 2, true, false },	 { 4100, 8, false, false },
		{ 10000, 32, false, false }, { 10000, 64, true, false }, { MOST, 64, false, true },
		{ MOST, 64, true, true },
	};
	static uint8_t seen[MOST];
	struct record_parts p;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t all = 0;

		set_there(cases[i].endpoints);
		make(&p, cases[i].hostnames);
		CHECK_INT(p.count, cases[i].parts);
		CHECK_INT(p.left_out > 0, cases[i].left_out);
		memset(seen, 0, sizeof(seen));
		for (unsigned k = 0; k < p.count; k++)
			all += count_body(p.bodies[k], seen);
		CHECK_INT(all, cases[i].endpoints - p.left_out);
		for (unsigned k = 0; k < MOST; k++)
			CHECK(seen[k] <= there[k]);
		record_parts_done(&p);
	}
}

/* With addresses of its own each part would give them again. */
TEST(with_addresses_it_is_one)
{
	struct arena a = { 0 };
	struct record_parts p;
	struct record r;

	set_there(2000);
	record_of(&a, &r, false);
	r.addresses = r.endpoints[0].addresses;
	r.address_count = 1;
	record_parts_make(&p, &r);
	CHECK_INT(p.count, 1);
	CHECK(p.left_out > 1000 && strlen(p.bodies[0]) <= JOURNAL_BODY_MAX);
	record_parts_done(&p);
	arena_done(&a);
}

TEST(one_pod_changes_one_part)
{
	struct record_parts before, after;
	unsigned changed = 0;

	for (int hostnames = 0; hostnames < 2; hostnames++) {
		changed = 0;
		set_there(5000);
		make(&before, hostnames);
		there[4321] = false;
		make(&after, hostnames);
		CHECK_INT(before.count, after.count);
		for (unsigned i = 0; i < before.count; i++)
			changed += strcmp(before.bodies[i], after.bodies[i]) != 0;
		CHECK_INT(changed, 1);
		record_parts_done(&before);
		record_parts_done(&after);
	}
}

/* One change after the other at a reader: `was` and `there` is always answered. */
static void read_in_order(struct map *members, const struct map *changes, const bool *was)
{
	static uint8_t seen[MOST];
	struct map_entry *c = NULL;

	while ((c = map_next(changes, c))) {
		char *body = map_entry_value(c);
		struct map_entry *m = NULL;

		if (*body)
			free(map_put(members, map_entry_key(c), xstrdup(body)));
		else
			free(map_del(members, map_entry_key(c)));
		memset(seen, 0, sizeof(seen));
		while ((m = map_next(members, m)))
			count_body(map_entry_value(m), seen);
		for (unsigned i = 0; i < MOST; i++)
			if (was[i] && there[i] && !seen[i])
				test_end(false, "endpoint %u is not there for a while", i);
	}
}

TEST(never_without_what_stays)
{
	static const unsigned counts[] = { 400, 900, 2500, 10000, 3000, 700, 20, 0, 5000 };
	struct map *members = map_new();
	static bool was[MOST];
	unsigned before = 0;

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct map *changes = map_new();
		static uint8_t seen[MOST];
		struct map_entry *m = NULL;
		struct record_parts p = { 0 };

		memcpy(was, there, sizeof(was));
		set_there(counts[i]);
		if (counts[i])
			make(&p, true);
		record_parts_take(&p, "shop/web", before, changes);
		record_parts_done(&p);
		read_in_order(members, changes, was);
		memset(seen, 0, sizeof(seen));
		while ((m = map_next(members, m)))
			count_body(map_entry_value(m), seen);
		for (unsigned k = 0; k < MOST; k++)
			CHECK_INT(seen[k], there[k]);
		before = (unsigned)map_count(members);
		map_free(changes, free);
	}
	map_free(members, free);
}

TEST_MAIN("record-parts")
