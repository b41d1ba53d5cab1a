/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * More of the rules of docs/journal.md that writers keep: audits, keys, numbers, snapshots. See
 * writer_rules.c.
 */
#include "tests/unit/schemas/writer_begin.h"

/* ---- audit ---- */

static void check_audit_mends(unsigned topic)
{
	const struct world_blob *was = w.retained[topic];

	CHECK(was);
	for (int other = 0; other < 2; other++) {
		/* Missing, then something else. */
		w.retained[topic] = other ? world_blob(&w, topic, "warren1 x", 9) : NULL;
		w.publishes = 0;
		restart();
		CHECK_INT(w.rolled_back, 0);
		CHECK_INT(w.publishes, 1);
		CHECK(w.retained[topic]);
		CHECK_STR(w.retained[topic]->bytes, was->bytes);
	}
}

TEST(rule_13_audit_publishes_what_is_missing)
{
	begin(false);
	check_audit_mends(AT_JOURNAL);
	check_audit_mends(AT_MANIFEST);
	check_audit_mends(AT_LOG + 1);
	check_audit_mends(AT_LOG + 3);
	end();
}

TEST(rule_13_audit_makes_a_snapshot_for_a_chunk)
{
	unsigned chunk;

	begin(false);
	begin_epoch(true); /* with two members */
	chunk = AT_CHUNK + w.store.state.slot * WORLD_CHUNKS;
	CHECK(w.retained[chunk]);
	w.retained[chunk] = NULL;
	w.now += 40 * SEC;
	restart();
	CHECK_INT(w.store.state.snapshot_ver, 1);
	CHECK_INT(manifest(w.retained[AT_MANIFEST]).ver, 1);
	world_newcomer(&w);
	world_run(&w, SEC);
	CHECK(world_is_equal(&w.replicas[0]));
	end();
}

TEST(rule_13_audit_of_an_empty_broker)
{
	begin(false);
	memset(w.retained, 0, sizeof(w.retained));
	restart();
	CHECK_INT(w.rolled_back, 0);
	world_newcomer(&w);
	world_run(&w, SEC);
	CHECK(world_is_equal(&w.replicas[0]));
	w.publishes = 0;
	restart();
	CHECK_INT(w.publishes, 0);
	end();
}

TEST(rule_13_changes_during_an_audit)
{
	bool rolled_back = true;
	struct topic t;
	struct world_blob *old[3];

	begin(false);
	old[0] = w.retained[AT_JOURNAL];
	old[1] = w.retained[AT_MANIFEST];
	old[2] = w.retained[AT_LOG + 3];
	writer_audit_begin(w.writer);
	CHECK_INT(world_change(&w, "c", 3), 0);
	/* What was read before the change arrives only now. */
	for (int i = 0; i < 3; i++) {
		t = world_topic_of(&w, old[i]->topic);
		writer_audit_document(w.writer, &t, old[i]->bytes, old[i]->len);
	}
	w.publishes = 0;
	CHECK_INT(writer_audit_end(w.writer, w.now, world_wall(&w), &rolled_back), 0);
	CHECK(!rolled_back);
	world_flush(&w);
	/* The change, and the two log slots that were not read; nothing twice. */
	CHECK_INT(w.publishes, 4);
	CHECK_STR(w.retained[AT_JOURNAL]->bytes, newest()->bytes);
	end();
}

TEST(rule_13_audit_finds_a_roll_back)
{
	struct world_store backup;
	uint64_t epoch;

	begin(false);
	backup = w.store;
	epoch = writer_position(w.writer).epoch;
	world_put(&w, "c", 3);
	roll_back(&backup);
	restart();
	CHECK_INT(w.rolled_back, 1);
	CHECK(writer_position(w.writer).epoch > epoch);
	/* What it does not know stays with the replicas: no drop. */
	CHECK(!w.store.state.drop);
	restart();
	CHECK_INT(w.rolled_back, 1);
	end();
}

TEST(rule_13_request_brings_an_audit_and_a_beat)
{
	const struct journal_ask ask = { .proof_count = 0 };
	bool audit, rolled_back;

	begin(false);
	w.now += 40 * SEC;
	world_run(&w, SEC);
	CHECK_INT(writer_ask(w.writer, w.now, world_wall(&w), &ask, &audit, &rolled_back), 0);
	CHECK(audit && !rolled_back);
	CHECK(writer_due(w.writer) <= w.now + SEC);
	world_audit(&w);
	world_run(&w, 10 * SEC);
	CHECK_INT(writer_ask(w.writer, w.now, world_wall(&w), &ask, &audit, &rolled_back), 0);
	CHECK(!audit);
	world_run(&w, 20 * SEC);
	CHECK_INT(writer_ask(w.writer, w.now, world_wall(&w), &ask, &audit, &rolled_back), 0);
	CHECK(audit);
	end();
}

/* ---- keys ---- */

static const char *key_of(const struct world_blob *b)
{
	static struct document d;

	CHECK(b && !document_split(b->bytes, b->len, &d));
	return d.signatures[0].key;
}

TEST(rule_16_rotation_signs_all_again)
{
	struct world_blob *was;
	struct document before, after;
	struct world_replica *rep;

	begin(false);
	rep = world_newcomer(&w);
	world_run(&w, SEC);
	was = w.store.log[2];
	w.key = 1;
	CHECK_INT(writer_rotate(w.writer, w.now, &world_sign[1]), 0);
	world_flush(&w);
	CHECK_STR(key_of(w.retained[AT_JOURNAL]), world_sign[1].id);
	CHECK_STR(key_of(w.retained[AT_MANIFEST]), world_sign[1].id);
	for (unsigned ver = 1; ver <= 3; ver++) {
		CHECK_STR(key_of(w.retained[AT_LOG + ver]), world_sign[1].id);
		CHECK_STR(key_of(w.store.log[ver]), world_sign[1].id);
	}
	/* The bodies are the same, so the chain is. */
	CHECK(!document_split(was->bytes, was->len, &before));
	CHECK(!document_split(w.store.log[2]->bytes, w.store.log[2]->len, &after));
	CHECK_INT(before.body_len, after.body_len);
	CHECK(memcmp(before.body, after.body, after.body_len) == 0);
	world_put(&w, "c", 3);
	world_run(&w, SEC);
	CHECK(world_is_equal(rep));
	w.publishes = 0;
	restart();
	CHECK_INT(w.publishes, 0);
	end();
}

/* ---- numbers ---- */

TEST(rule_18_number_of_an_epoch)
{
	uint64_t now, epoch;

	begin(false);
	now = (uint64_t)world_wall(&w);
	CHECK_INT(writer_position(w.writer).epoch, now - 1); /* the time, when nothing is above */
	w.now += 1000 * SEC;
	begin_epoch(false);
	CHECK_INT(writer_position(w.writer).epoch, now + 1000);
	/* Above the store when the clock is wrong. */
	CHECK_INT(writer_begin(w.writer, w.now, 0, 5, false), 0);
	CHECK_INT(writer_position(w.writer).epoch, now + 1001);
	/* Above what was seen. */
	epoch = now + 5000;
	CHECK_INT(writer_begin(w.writer, w.now, epoch, 5, false), 0);
	CHECK_INT(writer_position(w.writer).epoch, epoch + 1);
	end();
}

TEST(rule_18_exporter_begins_with_drop)
{
	struct world_store backup;
	struct world_replica *rep;

	begin(true);
	rep = world_newcomer(&w);
	backup = w.store;
	world_put(&w, "c", 3);
	world_run(&w, SEC);
	CHECK(replica_get(rep->r, "c", NULL));
	roll_back(&backup);
	restart();
	CHECK_INT(w.rolled_back, 1);
	CHECK(w.store.state.drop);
	world_run(&w, SEC);
	/* What it does not know it has no more. */
	CHECK(world_is_equal(rep));
	CHECK(!replica_get(rep->r, "c", NULL));
	/* By a request as well. */
	backup = w.store;
	world_put(&w, "c", 4);
	world_run(&w, SEC);
	roll_back(&backup);
	memset(w.retained, 0, sizeof(w.retained));
	w.now += SEC;
	restart();
	CHECK_INT(w.rolled_back, 1);
	world_run(&w, 60 * SEC);
	CHECK_INT(w.rolled_back, 2);
	CHECK(w.store.state.drop);
	CHECK(world_is_equal(rep));
	end();
}

/* ---- snapshots ---- */

TEST(rule_20_snapshots_are_apart)
{
	uint64_t last = 0, at = 0;
	unsigned snapshots = 0;

	begin(false);
	for (unsigned i = 0; i < 1200; i++) {
		world_put(&w, "c", i + 1);
		world_run(&w, 50 * MSEC);
		if (w.store.state.snapshot_ver == last)
			continue;
		last = w.store.state.snapshot_ver;
		if (at)
			CHECK(w.now - at >= 30 * SEC);
		at = w.now;
		snapshots++;
	}
	CHECK(snapshots >= 1 && snapshots <= 2);
	end();
}

TEST(rule_20_snapshot_after_256_deltas_or_32_and_quiet)
{
	begin(false);
	world_run(&w, 100 * SEC);
	for (unsigned i = 0; i < 28; i++)
		world_put(&w, "c", i + 1);
	CHECK_INT(w.store.state.position.ver, 31);
	world_run(&w, 300 * SEC);
	CHECK_INT(w.store.state.snapshot_ver, 0);
	world_put(&w, "c", 100);
	world_run(&w, 29 * SEC);
	CHECK_INT(w.store.state.snapshot_ver, 0);
	world_run(&w, 2 * SEC);
	CHECK_INT(w.store.state.snapshot_ver, 32);
	world_run(&w, 100 * SEC);
	for (unsigned i = 0; i < 256; i++) {
		CHECK_INT(w.store.state.snapshot_ver, 32);
		world_put(&w, "c", i + 1);
	}
	world_run(&w, MSEC);
	CHECK_INT(w.store.state.snapshot_ver, 288);
	end();
}

TEST(rule_20_two_slots_in_turn)
{
	unsigned first;
	const struct world_blob *chunk;

	begin(false);
	begin_epoch(true);
	first = w.store.state.slot;
	chunk = w.retained[AT_CHUNK + first * WORLD_CHUNKS];
	CHECK(chunk);
	begin_epoch(true);
	CHECK_INT(w.store.state.slot, first ^ 1);
	/* He who reads the one before finds it as it was. */
	CHECK(w.retained[AT_CHUNK + first * WORLD_CHUNKS] == chunk);
	restart();
	begin_epoch(true);
	CHECK_INT(w.store.state.slot, first);
	end();
}

TEST(rule_21_request_without_proof_brings_a_snapshot)
{
	struct journal_ask ask = { .unproven = false };
	bool audit, rolled_back;

	begin(false);
	w.now += 40 * SEC;
	CHECK_INT(writer_ask(w.writer, w.now, world_wall(&w), &ask, &audit, &rolled_back), 0);
	world_run(&w, SEC);
	CHECK_INT(w.store.state.snapshot_ver, 0);
	ask.unproven = true;
	CHECK_INT(writer_ask(w.writer, w.now, world_wall(&w), &ask, &audit, &rolled_back), 0);
	world_run(&w, SEC);
	CHECK_INT(w.store.state.snapshot_ver, 3);
	/* At most every 30 s, and not if the newest is at our position. */
	world_put(&w, "c", 3);
	CHECK_INT(writer_ask(w.writer, w.now, world_wall(&w), &ask, &audit, &rolled_back), 0);
	world_run(&w, 20 * SEC);
	CHECK_INT(w.store.state.snapshot_ver, 3);
	world_run(&w, 20 * SEC);
	CHECK_INT(w.store.state.snapshot_ver, 4);
	w.publishes = 0;
	CHECK_INT(writer_ask(w.writer, w.now, world_wall(&w), &ask, &audit, &rolled_back), 0);
	w.now += 40 * SEC;
	CHECK(w.store.state.slot == manifest(w.store.manifest).slot);
	world_tick_writer(&w);
	CHECK_INT(w.publishes, 1); /* a beat */
	end();
}

TEST_MAIN("journal")
