/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rules of docs/journal.md that replicas keep, each by the shortest history that breaks without it:
 * joining, forks, orphans, beats, proofs. The limits are the real ones.
 */
#include "tests/unit/schemas/replica_begin.h"

TEST(rule_01_newcomer_waits_for_the_minimum)
{
	struct world_replica *rep;

	world_init(&w, 1, false);
	world_put(&w, "a", 1);
	/* The last snapshot is at ver 0, the join answer named ver 2; all above it is withheld. */
	w.retained[AT_JOURNAL] = NULL;
	w.retained[AT_LOG + 1] = NULL;
	w.retained[AT_LOG + 2] = NULL;
	w.asks_lost = true;
	rep = world_newcomer(&w);
	world_run(&w, 20 * SEC);
	CHECK_INT(replica_position(rep->r).ver, 0);
	CHECK(!replica_is_ready(rep->r) && !replica_is_level(rep->r));
	CHECK_INT(replica_count(rep->r), 0);
	/* Nor after a restart. */
	world_replica_start(rep);
	world_run(&w, 5 * SEC);
	CHECK(!replica_is_ready(rep->r));
	w.asks_lost = false;
	world_run(&w, 60 * SEC);
	CHECK(world_is_equal(rep) && has(rep, "a", 1, false));
	end();
}

TEST(rule_01_quiet_network_is_joined_in_a_moment)
{
	struct world_replica *rep;
	uint64_t start;

	world_init(&w, 1, false);
	for (unsigned i = 0; i < 40; i++) {
		world_put(&w, "a", i + 1);
		world_run(&w, 200 * MSEC);
	}
	world_run(&w, 100 * SEC);
	world_put(&w, "b", 1);
	/* Even if the newest delta is not there: the minimum tells what is missing. */
	w.retained[AT_JOURNAL] = NULL;
	start = w.now;
	rep = world_newcomer(&w);
	while (!replica_is_ready(rep->r) && w.now < start + SEC)
		world_run(&w, MSEC);
	CHECK(w.now - start <= 25 * MSEC);
	CHECK(world_is_equal(rep));
	CHECK_INT(rep->asks, 0);
	end();
}

TEST(rule_03_fork_in_one_epoch)
{
	struct world_replica *rep = begin();
	struct world_store backup = w.store;

	world_put(&w, "c", 3);
	world_run(&w, SEC);
	CHECK(has(rep, "c", 3, false));
	/* Rolled back; so much follows that only the snapshot could reach it. */
	w.asks_lost = true;
	rep->away = true;
	roll_back(&backup);
	miss(rep, 300);
	world_run(&w, 100 * SEC);
	CHECK(w.store.state.snapshot_ver > 290);
	world_run(&w, 30 * SEC);
	/* "c" was never deleted. */
	CHECK(has(rep, "c", 3, false));
	CHECK_INT(rep->removals, 0);
	CHECK(rep->asks > 0);
	w.asks_lost = false;
	world_run(&w, 400 * SEC);
	CHECK_INT(w.rolled_back, 1);
	CHECK(world_is_equal(rep) && has(rep, "c", 3, true));
	end();
}

TEST(rule_04_orphans_stay_over_a_snapshot_of_the_epoch)
{
	struct world_replica *rep = begin_with_orphan();
	unsigned moves;

	miss(rep, 40);
	world_run(&w, 100 * SEC);
	CHECK(world_is_equal(rep) && has(rep, "c", 3, true));
	/* It was by the snapshot: much less than one move for each delta. */
	moves = rep->moves;
	miss(rep, 40);
	world_run(&w, 100 * SEC);
	CHECK(rep->moves - moves < 40);
	CHECK(has(rep, "c", 3, true));
	CHECK_INT(rep->removals, 0);
	end();
}

TEST(rule_04_orphans_survive_a_restart)
{
	struct world_replica *rep = begin_with_orphan();

	unsigned before = rep->subscriptions;

	world_replica_start(rep);
	world_run(&w, SEC);
	CHECK(world_is_equal(rep) && has(rep, "c", 3, true));
	/* Nothing was read anew but the newest delta. */
	CHECK_INT(rep->subscriptions - before, 2);
	end();
}

TEST(rule_05_gone_ends_orphans)
{
	struct world_replica *rep = begin_with_orphan();

	/* The del is missed, and the snapshot that follows does not list what it never knew. */
	rep->away = true;
	world_del(&w, "c");
	world_run(&w, 100 * MSEC);
	miss(rep, 40);
	rep->away = true;
	world_run(&w, 100 * SEC);
	CHECK(w.store.state.snapshot_ver > 40);
	rep->away = false;
	world_replica_connect(rep);
	world_run(&w, SEC);
	CHECK_INT(rep->disk_state.proof_kind, PROOF_MANIFEST);
	CHECK(world_is_equal(rep));
	CHECK(!replica_get(rep->r, "c", NULL));
	CHECK_INT(replica_orphan_count(rep->r), 0);
	end();
}

TEST(rule_05_del_and_put_end_orphans)
{
	struct world_replica *rep = begin_with_orphan();

	world_put(&w, "c", 4);
	world_run(&w, SEC);
	CHECK(has(rep, "c", 4, false));
	world_del(&w, "c");
	world_run(&w, SEC);
	CHECK(!replica_get(rep->r, "c", NULL));
	CHECK(world_is_equal(rep));
	end();
}

TEST(rule_06_release_reaches_those_that_are_level)
{
	struct world_replica *rep = begin_with_orphan();

	CHECK_INT(writer_release(w.writer, w.now), 0);
	world_flush(&w);
	world_run(&w, SEC);
	CHECK(world_is_equal(rep));
	CHECK(!replica_get(rep->r, "c", NULL));
	CHECK(has(rep, "a", 1, false));
	CHECK_INT(rep->removals, 1);
	end();
}

TEST(rule_06_release_reaches_those_that_missed_it)
{
	struct world_replica *rep = begin_with_orphan();

	rep->away = true;
	CHECK_INT(writer_release(w.writer, w.now), 0);
	world_flush(&w);
	miss(rep, 40);
	rep->away = true;
	world_run(&w, 100 * SEC);
	CHECK(w.store.state.snapshot_ver > 40);
	rep->away = false;
	world_replica_connect(rep);
	world_run(&w, 100 * MSEC);
	/* With the snapshot itself, not with some later word. */
	CHECK(world_is_equal(rep));
	CHECK(!replica_get(rep->r, "c", NULL));
	end();
}

TEST(rule_07_first_delta_chains_to_its_snapshot)
{
	struct world_replica *rep, *other;

	world_init(&w, 1, false);
	rep = world_replica_add(&w);
	/* It reads the manifest at ver 0 and its chunks, and then delta 1. */
	lose_all(rep);
	w.now += 25 * MSEC;
	world_tick_replica(rep);
	deliver_only(rep, AT_MANIFEST);
	CHECK_INT(replica_position(rep->r).ver, 0);
	CHECK_INT(rep->moves, 1);
	world_run(&w, SEC);
	CHECK_INT(replica_position(rep->r).ver, 1);
	CHECK(world_is_equal(rep));
	/* Another beginning of the same number is another chain. */
	other = world_replica_add(&w);
	lose_all(other);
	w.now += 25 * MSEC;
	world_tick_replica(other);
	deliver_only(other, AT_MANIFEST);
	CHECK_INT(other->moves, 1);
	other->away = true;
	w.store.begun = false;
	world_writer_start(&w);
	CHECK_INT(writer_begin(w.writer, w.now, 0, w.facts[0].position.epoch, true), 0);
	CHECK_INT(writer_position(w.writer).epoch, w.facts[0].position.epoch);
	other->away = false;
	other->asks = 0;
	w.asks_lost = true;
	world_flush(&w);
	deliver_only(other, AT_JOURNAL);
	CHECK_INT(other->moves, 1);
	CHECK_INT(replica_position(other->r).ver, 0);
	world_run(&w, 10 * SEC);
	CHECK(other->asks > 0);
	end();
}

TEST(rule_08_beat_ahead_starts_a_repair)
{
	struct world_replica *rep = begin();

	miss(rep, 1);
	CHECK(!world_is_equal(rep));
	/* Nothing tells but the beat, a second after the change. */
	world_run(&w, 1500 * MSEC);
	CHECK(world_is_equal(rep));
	CHECK_INT(rep->asks, 0);
	end();
}

TEST(rule_09_beat_below_means_resync)
{
	struct world_replica *rep = begin();
	struct world_store backup = w.store;

	world_put(&w, "c", 3);
	world_put(&w, "d", 4);
	world_run(&w, SEC);
	roll_back(&backup);
	/* Silent: what follows is older or equal, until the beat tells. */
	world_put(&w, "c", 5);
	world_turn(&w);
	CHECK(has(rep, "c", 3, false));
	CHECK_INT(rep->asks, 0);
	world_run(&w, 2 * SEC);
	CHECK_INT(rep->asks, 1);
	CHECK_INT(w.rolled_back, 1);
	world_run(&w, 10 * SEC);
	CHECK(world_is_equal(rep) && has(rep, "c", 5, false) && has(rep, "d", 4, true));
	end();
}

TEST(rule_09_beat_level_with_another_hash_means_resync)
{
	struct world_replica *rep = begin();
	struct world_store backup = w.store;

	world_put(&w, "c", 3);
	world_run(&w, SEC);
	roll_back(&backup);
	world_put(&w, "c", 5);
	world_turn(&w);
	CHECK_INT(rep->asks, 0);
	CHECK(journal_position_cmp(replica_position(rep->r), writer_position(w.writer)) == 0);
	world_run(&w, 2 * SEC);
	CHECK_INT(rep->asks, 1);
	CHECK_INT(w.rolled_back, 1);
	end();
}

TEST(rule_09_old_beat_means_nothing)
{
	struct world_replica *rep = begin();
	struct journal_beat old = beat_now();
	struct buf doc = { 0 };

	old.ver--;
	old.time = 1;
	sign(&doc, journal_beat_fields, &old, w.key);
	CHECK_INT(receive(rep, AT_BEAT, &doc), REFUSED_OLD);
	w.now += 10 * SEC;
	world_tick_replica(rep);
	CHECK_INT(rep->asks, 0);
	buf_done(&doc);
	end();
}

TEST(rule_09_beat_below_the_minimum_means_resync)
{
	struct world_replica *rep = begin();
	struct journal_position far = { writer_position(w.writer).epoch + 5, 7 };
	struct journal_beat now;

	w.asks_lost = true;
	replica_set_minimum(rep->r, far, WORLD_JOIN_TOPIC, world_join_answer(&w, far));
	/* It was ready before and stays so. */
	CHECK(replica_is_ready(rep->r) && !replica_is_level(rep->r));
	now = beat_now();
	now.time++;
	rep->asks = 0;
	give_beat(rep, &now);
	w.now += SEC;
	world_tick_replica(rep);
	CHECK_INT(rep->asks, 1);
	end();
}

TEST(rule_11_proofs_of_a_newcomer)
{
	const struct journal_ask *ask;
	struct world_replica *rep;

	world_init(&w, 1, false);
	world_put(&w, "a", 1);
	rep = world_newcomer(&w);
	lose_all(rep);
	/* Only the snapshot at ver 0 arrives. */
	w.now += 25 * MSEC;
	world_tick_replica(rep);
	deliver_only(rep, AT_MANIFEST);
	lose_all(rep);
	wait_for_ask(rep);
	ask = the_ask();
	CHECK(!ask->unproven);
	CHECK_INT(ask->proof_count, 2);
	CHECK_INT(ask->proofs[0].kind, PROOF_MANIFEST);
	CHECK_STR(ask->proofs[0].document, w.retained[AT_MANIFEST]->bytes);
	CHECK_INT(ask->proofs[1].kind, PROOF_JOIN);
	CHECK_STR(ask->proofs[1].topic, WORLD_JOIN_TOPIC);
	end();
}

TEST(rule_11_join_answer_proves_a_roll_back)
{
	struct world_store backup;
	struct world_replica *rep;

	world_init(&w, 1, false);
	backup = w.store;
	world_put(&w, "a", 1);
	rep = world_newcomer(&w);
	lose_all(rep);
	roll_back(&backup);
	/* Nothing else in the world knows of ver 2. */
	world_run(&w, 60 * SEC);
	CHECK_INT(w.rolled_back, 1);
	CHECK(world_is_equal(rep));
	end();
}

TEST(rule_12_newest_document_out_of_reach_goes_with_a_resync)
{
	struct world_replica *rep = begin();
	struct world_store backup = w.store;
	const struct journal_ask *ask;
	const struct world_blob *lost;

	/* Epoch 2 begins, and of it one delta is seen; then the writer has lost the epoch. */
	CHECK_INT(writer_begin(w.writer, w.now, 0, world_wall(&w), false), 0);
	world_flush(&w);
	world_put(&w, "c", 3);
	world_put(&w, "d", 4);
	lost = rep->inbox[rep->inbox_count - 1];
	lose_all(rep);
	world_send(rep, lost);
	world_deliver(rep, 0);
	roll_back(&backup);
	lose_all(rep);
	wait_for_ask(rep);
	ask = the_ask();
	CHECK_INT(ask->proof_count, 2);
	CHECK_INT(ask->proofs[0].kind, PROOF_DELTA);
	CHECK_INT(ask->proofs[1].kind, PROOF_DELTA);
	CHECK_STR(ask->proofs[1].document, lost->bytes);
	world_run(&w, 60 * SEC);
	CHECK_INT(w.rolled_back, 1);
	CHECK(world_is_equal(rep));
	CHECK(writer_position(w.writer).epoch > backup.state.position.epoch + 1);
	end();
}

TEST_MAIN("journal")
