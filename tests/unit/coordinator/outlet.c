/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinator/publisher_private.h"
#include "coordinator/store_private.h"
#include "lib/clock.h"
#include "tests/fakes/authority_fake.h"
#include "tests/test.h"

static struct publisher *p;
static struct authority *a;

/* A network with one member, committed. */
static void begin(void)
{
	a = authority_fake();
	CHECK_INT(publisher_new(loop_new(), a->store, a->keys, &p), 0);
	CHECK_INT(store_begin(a->store), 0);
	CHECK_INT(publisher_network_add(p, "dc1"), 0);
	CHECK_INT(publisher_put(p, "dc1", JOURNAL_PEERS, "one", "{\"name\": 1}"), 0);
	CHECK_INT(store_commit(a->store), 0);
	publisher_flush(p);
}

static int put_alone(const char *name)
{
	int r = store_begin(a->store);

	CHECK_INT(r, 0);
	r = publisher_put(p, "dc1", JOURNAL_PEERS, name, "{}");
	if (r < 0) {
		store_rollback(a->store);
		publisher_reload(p);
		return r;
	}
	CHECK_INT(store_commit(a->store), 0);
	publisher_flush(p);
	return 0;
}

TEST(body_is_made_compact)
{
	begin();
	CHECK_STR(publisher_get(p, "dc1", JOURNAL_PEERS, "one"), "{\"name\":1}");
	CHECK(publisher_put(p, "dc1", JOURNAL_PEERS, "two", "{") < 0);
}

static uint64_t version(void)
{
	return publisher_position(p, "dc1", JOURNAL_PEERS).ver;
}

/* The first one after a quiet window too, and again after a roll-back. */
TEST(changes_made_together_are_one_delta)
{
	const struct publisher_op first[] = { { .name = "one", .why = WHY_REPLACED },
					      { .name = "two", .body = "{}" } };
	const struct publisher_op second[] = { { .name = "two", .why = WHY_REPLACED },
					       { .name = "three", .body = "{}" } };
	uint64_t before, end;

	begin();
	for (end = clock_mono() + 300 * USEC_PER_MSEC; clock_mono() < end;)
		loop_turn(p->loop, 10 * USEC_PER_MSEC);
	before = version();
	CHECK_INT(store_begin(a->store), 0);
	CHECK_INT(publisher_change(p, "dc1", JOURNAL_PEERS, first, 2), 0);
	CHECK_INT(store_commit(a->store), 0);
	publisher_flush(p);
	CHECK(!publisher_get(p, "dc1", JOURNAL_PEERS, "one"));
	CHECK(publisher_get(p, "dc1", JOURNAL_PEERS, "two"));
	CHECK_INT(version(), before + 1);
	/* These wait for the window, and another transaction is rolled back meanwhile. */
	CHECK_INT(store_begin(a->store), 0);
	CHECK_INT(publisher_change(p, "dc1", JOURNAL_PEERS, second, 2), 0);
	CHECK_INT(store_commit(a->store), 0);
	publisher_flush(p);
	CHECK_INT(version(), before + 1);
	CHECK_INT(store_begin(a->store), 0);
	CHECK_INT(publisher_put(p, "dc1", JOURNAL_PEERS, "four", "{}"), 0);
	store_rollback(a->store);
	publisher_reload(p);
	CHECK_INT(version(), before + 2);
	CHECK(!publisher_get(p, "dc1", JOURNAL_PEERS, "two"));
	CHECK(publisher_get(p, "dc1", JOURNAL_PEERS, "three"));
}

/* An empty writer would take the broker's copy for the future of a store that was rolled back. */
TEST(load_that_fails_is_held_and_tried_again)
{
	struct published *n;
	struct journal_position was;
	uint64_t end;

	begin();
	n = map_get(p->networks, "dc1");
	was = publisher_position(p, "dc1", JOURNAL_PEERS);
	CHECK(was.epoch > 0);
	CHECK_INT(store_begin(a->store), 0);
	CHECK_INT(publisher_put(p, "dc1", JOURNAL_PEERS, "two", "{}"), 0);
	store_rollback(a->store);
	CHECK_INT(db_run(a->store->db, "ALTER TABLE journal_members RENAME TO away", ""), 0);
	publisher_reload(p);
	CHECK(n->outlets[JOURNAL_PEERS].held);
	CHECK(put_alone("three") < 0);
	publisher_flush(p); /* of another network */
	CHECK(n->outlets[JOURNAL_PEERS].held);
	CHECK(publisher_network_del(p, "dc1") < 0);
	n->deleted = false;
	CHECK_INT(db_run(a->store->db, "ALTER TABLE away RENAME TO journal_members", ""), 0);
	for (end = clock_mono() + 5 * USEC_PER_SEC;
	     publisher_position(p, "dc1", JOURNAL_PEERS).epoch == 0 && clock_mono() < end;)
		loop_turn(p->loop, 10 * USEC_PER_MSEC);
	CHECK_INT(publisher_position(p, "dc1", JOURNAL_PEERS).epoch, was.epoch);
	CHECK(publisher_get(p, "dc1", JOURNAL_PEERS, "one"));
	CHECK(!publisher_get(p, "dc1", JOURNAL_PEERS, "two"));
	CHECK(n->outlets[JOURNAL_PEERS].held); /* an audit comes first */
	CHECK(map_get(p->audit.wanted.networks, "dc1"));
	CHECK_INT(put_alone("four"), 0);
}

TEST_MAIN("outlet")
