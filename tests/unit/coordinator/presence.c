/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinator/session_private.h"
#include "lib/clock.h"
#include "tests/fakes/authority_fake.h"
#include "tests/test.h"

#define ONE "aaaaaaaaaaaaaaaa"
#define TWO "bbbbbbbbbbbbbbbb"

static struct session s;

static void begin(void)
{
	char one[] = ONE, two[] = TWO;

	s = (struct session){ .loop = loop_new(), .authority = authority_fake() };
	log_set_level(LOG_ERROR);
	presence_init(&s);
	CHECK_INT(store_node_put(s.authority->store, &(struct node_row){ .id = one }), 0);
	CHECK_INT(store_node_put(s.authority->store,
				 &(struct node_row){ .id = two, .state_seq = 7, .online = true }),
		  0);
}

static void say(const char *node, uint64_t seq, bool online)
{
	presence_taken(&s, node, &(struct node_state){ .seq = seq, .online = online });
}

static uint64_t stored(const char *node, bool *ret_online)
{
	struct arena arena = { 0 };
	struct node_row n;
	uint64_t seq;

	CHECK_INT(store_node_get(s.authority->store, &arena, node, &n), 0);
	*ret_online = n.online;
	seq = n.state_seq;
	arena_done(&arena);
	return seq;
}

static void turn_for(unsigned ms)
{
	uint64_t end = clock_mono() + ms * USEC_PER_MSEC;

	while (clock_mono() < end)
		loop_turn(s.loop, 5 * USEC_PER_MSEC);
}

TEST(words_are_stored_together)
{
	bool online;

	begin();
	say(ONE, 5, true);
	say(TWO, 8, false);
	say("cccccccccccccccc", 1, true);   /* forgotten meanwhile */
	CHECK_INT(stored(ONE, &online), 0); /* not one by one */
	CHECK_INT(stored(TWO, &online), 7);
	turn_for(300);
	CHECK_INT(stored(ONE, &online), 5);
	CHECK(online);
	CHECK_INT(stored(TWO, &online), 8);
	CHECK(!online);
	CHECK_INT(map_count(s.presence), 0);
	presence_done(&s);
}

TEST(higher_seq_counts)
{
	bool online;

	begin();
	say(ONE, 5, false);
	say(ONE, 6, true);
	say(ONE, 5, false);
	say(TWO, 6, false); /* a late will: older than what is stored */
	turn_for(300);
	CHECK_INT(stored(ONE, &online), 6);
	CHECK(online);
	CHECK_INT(stored(TWO, &online), 7);
	CHECK(online);
	presence_done(&s);
}

TEST(end_stores_what_is_left)
{
	bool online;

	begin();
	say(ONE, 5, true);
	presence_done(&s);
	CHECK_INT(stored(ONE, &online), 5);
}

TEST_MAIN("presence")
