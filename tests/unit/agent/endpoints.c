/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which endpoints are announced, and which of a peer's is tried when. */
#include "agent/endpoints.h"

#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/test.h"

#define WALL 1800000000

static struct endpoint endpoint(const char *s)
{
	struct endpoint e;

	CHECK_INT(endpoint_parse(s, &e), 0);
	return e;
}

static struct addr address(const char *s)
{
	struct addr a;

	CHECK_INT(addr_parse(s, &a), 0);
	return a;
}

TEST(own_wished_ones_come_first)
{
	const char *wished[] = { "vpn.example.org:443", "198.51.100.1:51830" };
	const struct addr mine[] = { address("198.51.100.1"), address("2001:db8::1") };
	char *list[PEER_ENDPOINTS_MAX];
	struct arena a = { 0 };

	CHECK_INT(endpoints_own(&a, wished, 2, mine, 2, 51830, list), 3);
	CHECK_STR(list[0], "vpn.example.org:443");
	CHECK_STR(list[1], "198.51.100.1:51830");
	CHECK_STR(list[2], "[2001:db8::1]:51830");
	arena_done(&a);
}

TEST(own_are_at_most_sixteen)
{
	struct addr mine[40];
	char *list[PEER_ENDPOINTS_MAX];
	struct arena a = { 0 };

	for (unsigned i = 0; i < 40; i++) {
		mine[i] = address("192.0.2.0");
		mine[i].bytes[3] = (uint8_t)i;
	}
	CHECK_INT(endpoints_own(&a, NULL, 0, mine, 40, 1, list), PEER_ENDPOINTS_MAX);
	arena_done(&a);
}

TEST(published_only_when_others_know_something_else)
{
	char *a[] = { "192.0.2.1:1" }, *b[] = { "192.0.2.2:1" };
	struct endpoints_known known = { .member = a, .member_count = 1 };

	CHECK_INT(endpoints_publish_seq(&known, a, 1), 0);
	CHECK_INT(endpoints_publish_seq(&known, b, 1), 1);
	CHECK_INT(endpoints_publish_seq(&known, NULL, 0), 1);
	/* Our register says it already. */
	known = (struct endpoints_known){ .member = a,
					  .member_count = 1,
					  .ep_seq = 4,
					  .ep = b,
					  .ep_count = 1,
					  .register_seq = 5,
					  .highest = 5 };
	CHECK_INT(endpoints_publish_seq(&known, b, 1), 0);
	CHECK_INT(endpoints_publish_seq(&known, a, 1), 6);
	/* Cleared by the coordinator before the member had it: again. */
	known.register_seq = 0;
	CHECK_INT(endpoints_publish_seq(&known, b, 1), 6);
	/* An old register does not count against a newer member. */
	known.register_seq = 3;
	CHECK_INT(endpoints_publish_seq(&known, a, 1), 0);
	/* Never a number that was given before. */
	known.highest = 90;
	CHECK_INT(endpoints_publish_seq(&known, b, 1), 91);
}

TEST(usable_ones)
{
	static const struct {
		const char *endpoint;
		bool usable;
	} table[] = {
		{ "198.51.100.1:1", true },  { "[2001:db8::5]:1", true },
		{ "127.0.0.1:1", false },    { "[::1]:1", false },
		{ "0.0.0.0:1", false },	     { "224.0.0.1:1", false },
		{ "[fe80::1]:1", false },    { "169.254.0.1:1", false },
		{ "192.168.1.11:1", false },			       /* that is we */
		{ "192.168.1.12:1", true },  { "10.77.0.9:1", false }, /* inside the tunnel */
		{ "10.78.0.9:1", true },     { "[fd77::9]:1", false },
	};
	const struct addr own[] = { address("192.168.1.11") };
	struct prefix networks[2];

	CHECK_INT(prefix_parse("10.77.0.0/24", &networks[0]), 0);
	CHECK_INT(prefix_parse("fd77::/64", &networks[1]), 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct endpoint e = endpoint(table[i].endpoint);

		if (endpoint_is_usable(&e, own, 1, networks, 2) != table[i].usable)
			test_end(false, "%s", table[i].endpoint);
	}
}

TEST(the_place_it_was_heard_at_is_tried_first)
{
	const struct endpoint list[] = { endpoint("[2001:db8::5]:1"), endpoint("192.0.2.5:1"),
					 endpoint("192.0.2.6:1") };
	struct endpoint learned = endpoint("192.0.2.6:1"), none = { 0 };
	struct endpoints_try t;

	endpoints_try_set(&t, &learned, list, 3, 3, true, true);
	CHECK_INT(t.count, 3);
	CHECK_INT(endpoint_cmp(&t.list[0], &learned), 0);
	CHECK_INT(endpoint_cmp(&t.list[1], &list[0]), 0);
	/* A host without IPv6 has it last. */
	endpoints_try_set(&t, &none, list, 3, 3, true, false);
	CHECK_INT(endpoint_cmp(&t.list[0], &list[1]), 0);
	CHECK_INT(endpoint_cmp(&t.list[2], &list[0]), 0);
}

TEST(every_candidate_has_its_turn)
{
	const struct endpoint list[] = { endpoint("192.0.2.1:1"), endpoint("192.0.2.2:1"),
					 endpoint("192.0.2.3:1") };
	struct endpoint none = { 0 };
	uint64_t now = 1000 * USEC_PER_SEC, begin = now;
	struct endpoints_try t;
	size_t seen[3] = { 0 };

	endpoints_try_set(&t, &none, list, 3, 3, true, true);
	endpoints_try_begin(&t, now, 0);
	CHECK(t.due > now && t.due <= now + 700 * USEC_PER_MSEC);
	CHECK(!endpoints_try_exhausted(&t));
	for (int i = 0; i < 30; i++) {
		uint64_t before = now;

		now = t.due;
		CHECK(endpoints_try_next(&t, now, WALL, 0, 0, (uint32_t)i * 7919));
		CHECK_INT(t.at, (i + 1) % 3);
		seen[t.at]++;
		CHECK(t.due > now && t.due <= now + 35 * USEC_PER_SEC);
		CHECK(now - before <= 35 * USEC_PER_SEC);
		/* Four tries in the first eight seconds. */
		if (i == 3)
			CHECK(now - begin < 10 * USEC_PER_SEC);
	}
	CHECK(seen[0] == 10 && seen[1] == 10 && seen[2] == 10);
	CHECK(endpoints_try_exhausted(&t));
}

TEST(a_session_is_never_touched)
{
	const struct endpoint e = endpoint("192.0.2.1:1");
	struct endpoint none = { 0 };
	struct endpoints_try t;

	CHECK(endpoints_is_alive(WALL - 180, WALL));
	CHECK(!endpoints_is_alive(WALL - 181, WALL));
	CHECK(!endpoints_is_alive(0, 100));
	for (uint64_t age = 0; age < 400; age++) {
		endpoints_try_set(&t, &none, &e, 1, 1, true, true);
		endpoints_try_begin(&t, 0, 0);
		CHECK(endpoints_try_next(&t, t.due, WALL, WALL - (int64_t)age, 0, 0) ==
		      (age > 180));
		CHECK((t.due == CLOCK_NEVER) == (age <= 180));
	}
}

TEST(a_handshake_under_way_is_waited_for)
{
	const struct endpoint e = endpoint("192.0.2.1:1");
	struct endpoint none = { 0 };
	struct endpoints_try t;

	endpoints_try_set(&t, &none, &e, 1, 1, true, true);
	endpoints_try_begin(&t, 0, 0);
	/* 148 bytes came: somebody knocks. */
	CHECK(!endpoints_try_next(&t, t.due, WALL, 0, 148, 0));
	CHECK(t.due != CLOCK_NEVER);
	/* And nothing more did. */
	CHECK(endpoints_try_next(&t, t.due, WALL, 0, 148, 0));
}

TEST(without_candidates_it_has_to_call_us)
{
	struct endpoint none = { 0 };
	struct endpoints_try t;

	endpoints_try_set(&t, &none, NULL, 0, 0, true, true);
	endpoints_try_begin(&t, 0, 0);
	CHECK(!endpoints_try_next(&t, t.due, WALL, 0, 0, 0));
	CHECK(t.due != CLOCK_NEVER);
	CHECK(endpoints_try_exhausted(&t));
}

TEST(a_new_list_is_tried_at_once)
{
	const struct endpoint list[] = { endpoint("192.0.2.1:1"), endpoint("192.0.2.2:1") };
	struct endpoint none = { 0 };
	struct endpoints_try t;

	endpoints_try_set(&t, &none, list, 2, 2, true, true);
	endpoints_try_again(&t, 77);
	CHECK_INT(t.due, 77);
	CHECK(endpoints_try_next(&t, 77, WALL, 0, 0, 0));
	CHECK_INT(t.at, 0);
}

TEST(the_unsure_come_after_two_of_the_sure)
{
	const struct endpoint list[] = { endpoint("192.0.2.1:1"), endpoint("[2001:db8::5]:1"),
					 endpoint("10.0.0.1:1"), endpoint("10.0.0.2:1") };
	static const size_t turns[] = { 1, 0, 2, 1, 0, 3, 1, 0, 2, 1 };
	struct endpoint none = { 0 };
	struct endpoints_try t;

	endpoints_try_set(&t, &none, list, 4, 2, true, false);
	CHECK_INT(endpoint_cmp(&t.list[1], &list[1]), 0);
	endpoints_try_begin(&t, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
		CHECK_INT(endpoints_try_exhausted(&t), i >= 8);
		CHECK(endpoints_try_next(&t, t.due, WALL, 0, 0, 0));
		CHECK_INT(t.at, turns[i]);
	}
	endpoints_try_again(&t, 77);
	CHECK(endpoints_try_next(&t, 77, WALL, 0, 0, 0));
	CHECK_INT(t.at, 0);
	/* Only unsure ones: in their order. */
	endpoints_try_set(&t, &none, list, 3, 0, true, true);
	endpoints_try_begin(&t, 0, 0);
	for (size_t i = 1; i < 7; i++) {
		CHECK(endpoints_try_next(&t, t.due, WALL, 0, 0, 0));
		CHECK_INT(t.at, i % 3);
	}
}

TEST_MAIN("endpoints")
