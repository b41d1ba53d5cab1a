/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rules of docs/journal.md that writers keep, each by the shortest history that breaks without it:
 * evidence, lineage, the beginning of an epoch. The limits are the real ones.
 */
#include "tests/unit/schemas/writer_begin.h"

/* ---- evidence ---- */

TEST(rule_02_restart_after_an_epoch_is_no_roll_back)
{
	begin(false);
	/* The log's slots 3 and above still hold the old epoch's deltas. */
	for (uint64_t i = 0; i < 5; i++)
		world_put(&w, "c", i + 1);
	begin_epoch(true);
	w.publishes = 0;
	for (int i = 0; i < 3; i++)
		restart();
	CHECK_INT(w.rolled_back, 0);
	CHECK_INT(writer_position(w.writer).ver, 1);
	/* And what is there is not published again. */
	CHECK_INT(w.publishes, 0);
	end();
}

TEST(rule_02_what_is_evidence)
{
	struct journal_delta d = { 0 };
	uint64_t epoch;

	begin(false);
	epoch = writer_position(w.writer).epoch;
	d = delta(newest());
	/* All that it knows: its own, and anything of a lower epoch. */
	CHECK(!proves(PROOF_DELTA, newest()->bytes, NULL));
	CHECK(!proves(PROOF_MANIFEST, w.store.manifest->bytes, NULL));
	d.epoch = epoch - 1;
	d.ver = 99;
	CHECK(!signed_proves(PROOF_DELTA, journal_delta_fields, &d, 0));
	/* Not its own, no document, another kind. */
	d.epoch = epoch + 1;
	CHECK(!signed_proves(PROOF_DELTA, journal_delta_fields, &d, WORLD_STRANGER));
	CHECK(!signed_proves(PROOF_BEAT, journal_delta_fields, &d, 0));
	CHECK(!proves(PROOF_DELTA, "warren1", NULL));
	CHECK_INT(writer_position(w.writer).epoch, epoch);
	/* A number that would use up all numbers. */
	d.epoch = INT64_MAX;
	CHECK(!signed_proves(PROOF_DELTA, journal_delta_fields, &d, 0));
	/* A higher epoch. */
	d.epoch = epoch + 7;
	CHECK(signed_proves(PROOF_DELTA, journal_delta_fields, &d, 0));
	CHECK_INT(writer_position(w.writer).epoch, epoch + 8);
	/* This epoch, above us. */
	d = delta(newest());
	d.ver = 2;
	CHECK(signed_proves(PROOF_DELTA, journal_delta_fields, &d, 0));
	/* This epoch, a run that we do not know. */
	d = delta(newest());
	d.run[0] ^= 1;
	CHECK(signed_proves(PROOF_DELTA, journal_delta_fields, &d, 0));
	CHECK_INT(writer_position(w.writer).epoch, epoch + 10);
	end();
}

TEST(rule_02_beats_and_manifests_are_evidence_too)
{
	struct journal_beat b = { .time = 1 };
	struct journal_manifest m;

	begin(false);
	b.epoch = writer_position(w.writer).epoch;
	b.ver = writer_position(w.writer).ver;
	memcpy(b.run, w.store.runs[0].run, RUN_LEN);
	CHECK(!signed_proves(PROOF_BEAT, journal_beat_fields, &b, 0));
	b.ver++;
	CHECK(signed_proves(PROOF_BEAT, journal_beat_fields, &b, 0));
	m = manifest(w.store.manifest);
	CHECK(!signed_proves(PROOF_MANIFEST, journal_manifest_fields, &m, 0));
	m.run[5] ^= 1;
	CHECK(signed_proves(PROOF_MANIFEST, journal_manifest_fields, &m, 0));
	end();
}

TEST(rule_03_lineage)
{
	const uint8_t *first = w.store.runs[0].run;
	uint8_t second[RUN_LEN];

	begin(false);
	/* A run that writes nothing is not listed. */
	restart();
	restart();
	CHECK_INT(w.store.state.run_count, 1);
	world_put(&w, "c", 3);
	CHECK_INT(w.store.state.run_count, 2);
	CHECK_INT(w.store.runs[1].first, 4);
	memcpy(second, w.store.runs[1].run, RUN_LEN);
	CHECK(memcmp(first, second, RUN_LEN) != 0);
	CHECK(memcmp(delta(newest()).run, second, RUN_LEN) == 0);
	world_put(&w, "c", 4);
	CHECK_INT(w.store.state.run_count, 2);
	CHECK(journal_runs_hold(w.store.runs, 2, first, 3));
	CHECK(!journal_runs_hold(w.store.runs, 2, first, 4));
	CHECK(journal_runs_hold(w.store.runs, 2, second, 4));
	CHECK(!journal_runs_hold(w.store.runs, 2, second, 3));
	/* A connection is a run too: a machine that was reverted keeps its memory. */
	world_writer_connect(&w);
	world_put(&w, "c", 5);
	CHECK_INT(w.store.state.run_count, 3);
	end();
}

TEST(rule_03_beat_names_the_run_of_its_position)
{
	const struct world_blob *beat = NULL;
	struct journal_beat b = { 0 };
	struct document d;

	begin(false);
	restart();
	w.history_count = 0;
	world_run(&w, SEC);
	for (size_t i = 0; i < w.history_count; i++)
		if (w.history[i]->topic == AT_BEAT)
			beat = w.history[i];
	CHECK(beat && !document_split(beat->bytes, beat->len, &d));
	CHECK(!journal_beat_decode(&w.arena, d.body, d.body_len, &b, NULL));
	CHECK(memcmp(b.run, w.store.runs[0].run, RUN_LEN) == 0);
	/* So it is no evidence against ourselves. */
	CHECK(!proves(PROOF_BEAT, beat->bytes, NULL));
	end();
}

/* ---- gone, drop, the beginning of an epoch ---- */

TEST(rule_05_gone_is_what_was_deleted_and_not_put_again)
{
	begin(false);
	/* The first epoch has dropped all: nothing is gone in it. */
	world_del(&w, "a");
	CHECK_INT(w.store.state.gone_count, 0);
	begin_epoch(false);
	world_del(&w, "b");
	world_del(&w, "c"); /* never held: legal */
	CHECK_INT(w.store.state.gone_count, 2);
	world_put(&w, "b", 3);
	CHECK_INT(w.store.state.gone_count, 1);
	CHECK_STR(w.store.gone[0], "c");
	/* It stands in the next snapshot, and survives a restart. */
	restart();
	for (uint64_t i = 0; i < 40; i++)
		world_put(&w, "d", i + 1);
	world_run(&w, 100 * SEC);
	CHECK_INT(manifest(w.store.manifest).gone_count, 1);
	CHECK_STR(manifest(w.store.manifest).gone[0], "c");
	begin_epoch(false);
	CHECK_INT(w.store.state.gone_count, 0);
	end();
}

TEST(rule_06_release_is_a_delta_and_is_remembered)
{
	begin(false);
	begin_epoch(false);
	world_del(&w, "c");
	CHECK(!manifest(w.store.manifest).drop);
	CHECK_INT(writer_release(w.writer, w.now), 0);
	world_flush(&w);
	CHECK_INT(delta(newest()).op_count, 1);
	CHECK(delta(newest()).ops[0].drop);
	CHECK_INT(w.store.state.gone_count, 0);
	for (uint64_t i = 0; i < 40; i++)
		world_put(&w, "d", i + 1);
	world_del(&w, "a");
	restart();
	world_run(&w, 100 * SEC);
	CHECK(manifest(w.store.manifest).drop && manifest(w.store.manifest).ver > 40);
	CHECK_INT(manifest(w.store.manifest).gone_count, 0);
	begin_epoch(false);
	CHECK(!manifest(w.store.manifest).drop);
	end();
}

TEST(rule_07_each_beginning_has_a_hash_of_its_own)
{
	uint8_t first[HASH_LEN];

	begin(false);
	begin_epoch(false);
	CHECK_INT(manifest(w.store.manifest).ver, 0);
	memcpy(first, manifest(w.store.manifest).at, HASH_LEN);
	CHECK(memcmp(delta(newest()).prev, first, HASH_LEN) == 0);
	CHECK_INT(delta(newest()).op_count, 0);
	begin_epoch(false);
	CHECK(memcmp(manifest(w.store.manifest).at, first, HASH_LEN) != 0);
	end();
}

TEST(rule_10_epoch_begins_in_one_transaction)
{
	begin(false);
	w.history_count = 0;
	w.store_fails = 0;
	begin_epoch(true);
	CHECK_INT(writer_position(w.writer).ver, 1);
	CHECK_INT(manifest(w.store.manifest).ver, 0);
	CHECK_INT(manifest(w.store.manifest).epoch, delta(newest()).epoch);
	/* Chunks, manifest, delta. */
	CHECK_INT(w.history_count, 4);
	CHECK(w.history[0]->topic >= AT_CHUNK && w.history[0]->topic < AT_LOG);
	CHECK_INT(w.history[1]->topic, AT_MANIFEST);
	CHECK_INT(w.history[2]->topic, AT_JOURNAL);
	CHECK_INT(w.history[3]->topic, AT_LOG + 1);
	/* So the newest delta is never the old epoch's. */
	CHECK_STR(w.retained[AT_JOURNAL]->bytes, newest()->bytes);
	end();
}

TEST(rule_10_death_between_any_two_publishes)
{
	for (long lives = 0; lives <= 4; lives++) {
		struct world_replica *rep;

		begin(false);
		rep = world_newcomer(&w);
		world_run(&w, SEC);
		w.publish_left = lives;
		begin_epoch(false);
		CHECK(!w.writer || lives == 4);
		restart();
		CHECK_INT(w.rolled_back, 0);
		world_run(&w, 40 * SEC);
		CHECK(world_is_equal(rep));
		CHECK_INT(replica_orphan_count(rep->r), 0);
		world_newcomer(&w);
		world_run(&w, 40 * SEC);
		CHECK(world_is_equal(&w.replicas[1]));
		end();
	}
}

TEST_MAIN("journal")
