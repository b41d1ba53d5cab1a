/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * More of the rules of docs/journal.md that replicas keep: deltas that wait, keys, repairs. See
 * replica_rules.c.
 */
#include "tests/unit/schemas/replica_begin.h"

TEST(rule_14_later_of_two_waiting_counts)
{
	struct world_replica *rep = begin();
	struct journal_position at = writer_position(w.writer);
	const struct world_blob *next, *after;

	/* One of a lost fork waits in the place of the writer's. */
	CHECK_INT(give_delta(rep, at.epoch, at.ver + 2, NULL, "{\"v\":9}"), REFUSED_NOT);
	world_put(&w, "c", 3);
	world_put(&w, "d", 4);
	next = w.retained[AT_LOG + at.ver + 1];
	after = w.retained[AT_LOG + at.ver + 2];
	lose_all(rep);
	world_send(rep, after);
	world_send(rep, next);
	world_turn(&w);
	CHECK(world_is_equal(rep));
	end();
}

TEST(rule_14_waiting_misfit_is_thrown_away)
{
	struct world_replica *rep = begin();
	struct journal_position at = writer_position(w.writer);

	w.asks_lost = true;
	CHECK_INT(give_delta(rep, at.epoch, at.ver + 2, NULL, "{\"v\":9}"), REFUSED_NOT);
	world_put(&w, "c", 3);
	world_turn(&w);
	CHECK(rep->r->ask);
	world_run(&w, 10 * SEC);
	CHECK_INT(replica_position(rep->r).ver, at.ver + 1);
	CHECK(rep->asks > 0);
	/* The right one is taken where the wrong one was. */
	world_put(&w, "d", 4);
	world_turn(&w);
	CHECK(world_is_equal(rep));
	end();
}

TEST(rule_14_delta_that_does_not_fit)
{
	struct world_replica *rep = begin();
	struct journal_position at = writer_position(w.writer);
	unsigned moves = rep->moves;

	CHECK_INT(give_delta(rep, at.epoch, at.ver + 1, NULL, "{\"v\":9}"), REFUSED_NOT);
	CHECK_INT(rep->moves, moves);
	w.now += SEC;
	world_tick_replica(rep);
	CHECK_INT(rep->asks, 1);
	end();
}

TEST(rule_15_so_many_wait_and_no_more)
{
	struct world_replica *rep = begin();
	struct journal_position at = writer_position(w.writer);

	/* What lies beyond the ring does not wait: it can not be reached by the log. */
	for (uint64_t ver = at.ver + JOURNAL_RING + 100; ver > at.ver + 1; ver--)
		CHECK_INT(give_delta(rep, at.epoch, ver, NULL, "{\"v\":9}"), REFUSED_NOT);
	CHECK_INT(rep->r->pending_count, JOURNAL_RING - 1);
	CHECK_INT(rep->r->pending[0]->ver, at.ver + 2);
	CHECK_INT(rep->r->target.ver, at.ver + JOURNAL_RING + 100);
	/* Of an epoch whose beginning nobody knows the lowest go. */
	for (uint64_t ver = 1; ver <= JOURNAL_RING + 100; ver++)
		CHECK_INT(give_delta(rep, at.epoch + 1, ver, NULL, "{\"v\":9}"), REFUSED_NOT);
	CHECK_INT(rep->r->pending_count, 1024);
	CHECK_INT(rep->r->pending[0]->ver, 101);
	end();
}

/* Deltas that chain: the last hash in `prev`, moved on. */
static void chain_delta(struct buf *ret, struct journal_position at, uint8_t prev[HASH_LEN],
			size_t body_len)
{
	struct buf text = { 0 };
	struct document d;

	buf_str(&text, "{\"v\":7,\"x\":\"");
	while (text.len < body_len)
		buf_char(&text, 'x');
	buf_str(&text, "\"}");
	make_delta(ret, at.epoch, at.ver, prev, buf_cstr(&text));
	CHECK(!document_split(ret->data, ret->len, &d));
	sha256(d.body, d.body_len, prev);
	buf_done(&text);
}

TEST(rule_15_so_many_bytes_wait_and_no_more)
{
	enum { COUNT = 700, BODY = 15000 }; /* 10.5 MB */
	static struct buf docs[COUNT];
	struct world_replica *rep = begin();
	struct journal_position at = writer_position(w.writer), next = at;
	uint8_t prev[HASH_LEN];

	w.lawless = true; /* the writer never had these */
	w.asks_lost = true;
	memcpy(prev, w.store.state.hash, HASH_LEN);
	for (unsigned i = 0; i < COUNT; i++) {
		next.ver++;
		chain_delta(&docs[i], next, prev, BODY);
	}
	for (unsigned i = 1; i < COUNT; i++)
		CHECK_INT(receive(rep, AT_JOURNAL, &docs[i]), REFUSED_NOT);
	CHECK_INT(receive(rep, AT_JOURNAL, &docs[0]), REFUSED_NOT);
	/* The first 8 MiB are there, the highest were thrown away. */
	CHECK(replica_position(rep->r).ver > at.ver + 500);
	CHECK(replica_position(rep->r).ver < at.ver + 560);
	for (unsigned i = 0; i < COUNT; i++)
		buf_done(&docs[i]);
	end();
}

TEST(rule_15_newest_epoch_counts)
{
	struct world_replica *rep = begin();
	struct journal_position at = writer_position(w.writer);

	/* What waits of our epoch goes when one of a new epoch comes, and none of it waits again. */
	CHECK_INT(give_delta(rep, at.epoch, at.ver + 2, NULL, "{\"v\":9}"), REFUSED_NOT);
	CHECK_INT(give_delta(rep, at.epoch + 1, 5, NULL, "{\"v\":9}"), REFUSED_NOT);
	CHECK_INT(rep->r->pending_count, 1);
	CHECK_INT(give_delta(rep, at.epoch, at.ver + 3, NULL, "{\"v\":9}"), REFUSED_NOT);
	CHECK_INT(rep->r->pending_count, 1);
	w.asks_lost = true;
	world_put(&w, "c", 3);
	world_turn(&w);
	/* Had it waited it would have been tried, and not fitted. */
	CHECK_INT(replica_position(rep->r).ver, at.ver + 1);
	w.now += 500 * MSEC;
	world_tick_replica(rep);
	CHECK_INT(rep->asks, 0);
	end();
}

static void rotate(void)
{
	w.key++;
	CHECK_INT(writer_rotate(w.writer, w.now, &world_sign[w.key]), 0);
	world_flush(&w);
}

static void revoke_key(struct world_replica *rep, unsigned key)
{
	w.revoked[key] = true;
	rep->highest = (struct journal_position){ 0 };
	replica_revoke(rep->r, w.now, world_sign[key].id);
}

TEST(rule_16_half_read_snapshot_of_a_revoked_key)
{
	struct world_replica *rep = begin();
	struct journal_position at;

	rotate();
	world_run(&w, SEC);
	/* A stolen key's snapshot is being read when the key is revoked. */
	CHECK_INT(writer_begin(w.writer, w.now, 0, world_wall(&w) + 5000, true), 0);
	world_flush(&w);
	w.now += 25 * MSEC;
	world_turn(&w);
	lose_all(rep);
	world_replica_connect(rep);
	deliver_only(rep, AT_JOURNAL);
	at = replica_position(rep->r);
	w.retained[AT_CHUNK] = w.retained[AT_CHUNK + WORLD_CHUNKS] = NULL;
	rep->highest = at;
	CHECK_INT(replica_position(rep->r).epoch, at.epoch);
	revoke_key(rep, 1);
	/* Nothing of it is left: no target, nothing that waits, no proof. */
	world_run(&w, 3 * SEC);
	CHECK(journal_position_cmp(replica_position(rep->r), at) <= 0);
	CHECK(has(rep, "a", 1, false));
	end();
}

TEST(rule_16_chunks_after_the_revocation_are_not_taken)
{
	struct world_replica *rep = begin();
	const struct world_blob *chunk;
	struct topic t;

	rotate();
	world_run(&w, SEC);
	rep->away = true;
	CHECK_INT(writer_begin(w.writer, w.now, 0, world_wall(&w) + 5000, true), 0);
	world_flush(&w);
	rep->away = false;
	/* It knows the manifest and waits for the chunk. */
	chunk = w.retained[AT_CHUNK + w.store.state.slot * WORLD_CHUNKS];
	w.retained[chunk->topic] = NULL;
	world_replica_connect(rep);
	world_turn(&w);
	w.now += 25 * MSEC;
	world_turn(&w);
	CHECK(rep->subscribed[chunk->topic]);
	revoke_key(rep, 1);
	CHECK(!rep->subscribed[chunk->topic]);
	t = world_topic_of(&w, chunk->topic);
	CHECK_INT(replica_receive(rep->r, w.now, &t, chunk->bytes, chunk->len), REFUSED_NOT);
	CHECK_INT(replica_position(rep->r).epoch, 1000);
	end();
}

TEST(rule_16_stolen_key_with_a_huge_epoch)
{
	struct world_replica *rep = begin();
	struct journal_position before = replica_position(rep->r);
	struct journal_manifest m = { .epoch = INT64_MAX, .ver = 5, .count = 0, .drop = false };
	struct journal_run run = { .first = 0 };
	struct buf doc = { 0 };

	rotate();
	world_run(&w, SEC);
	/* The thief's snapshot is taken: it is signed by a key that is valid. */
	w.lawless = true;
	m.runs = &run;
	m.run_count = 1;
	sign(&doc, journal_manifest_fields, &m, 1);
	w.retained[AT_MANIFEST] = world_blob(&w, AT_MANIFEST, doc.data, doc.len);
	miss(rep, 40);
	world_replica_connect(rep);
	world_turn(&w);
	w.now += 25 * MSEC;
	world_turn(&w);
	CHECK_INT(replica_position(rep->r).epoch, INT64_MAX);
	CHECK(has(rep, "a", 1, true));
	/* The members stay; what the other key proved is the floor. */
	revoke_key(rep, 1);
	CHECK_INT(replica_position(rep->r).epoch, before.epoch);
	CHECK_INT(replica_position(rep->r).ver, before.ver - 1);
	CHECK(has(rep, "a", 1, true) && has(rep, "b", 2, true));
	CHECK(replica_is_ready(rep->r));
	/* The writer's epoch with drop puts all right. */
	w.lawless = false;
	rotate();
	CHECK_INT(writer_begin(w.writer, w.now, 0, world_wall(&w), true), 0);
	world_flush(&w);
	world_run(&w, 10 * SEC);
	CHECK(world_is_equal(rep) && has(rep, "a", 1, false));
	buf_done(&doc);
	end();
}

TEST(rule_16_old_snapshots_stay_refused)
{
	struct world_replica *rep;
	const struct world_blob *manifest, *chunk;

	/* The snapshot at ver 0, from before "a" and "b" were put. */
	world_init(&w, 1, false);
	manifest = w.retained[AT_MANIFEST];
	rep = world_newcomer(&w);
	world_put(&w, "a", 1);
	world_put(&w, "b", 2);
	world_run(&w, SEC);
	chunk = w.retained[AT_CHUNK];
	CHECK(!chunk); /* it was empty */
	rotate();
	world_put(&w, "c", 3);
	world_run(&w, SEC);
	CHECK_INT(replica_position(rep->r).ver, 4);
	/* Key 1 is revoked: the position that key 0 proved is the floor, (1000,3). */
	w.asks_lost = true;
	memset(w.retained, 0, sizeof(w.retained));
	w.retained[AT_MANIFEST] = world_blob(&w, AT_MANIFEST, manifest->bytes, manifest->len);
	revoke_key(rep, 1);
	CHECK_INT(replica_position(rep->r).ver, 2);
	w.now += 25 * MSEC;
	world_tick_replica(rep);
	CHECK(rep->subscribed[AT_MANIFEST]);
	deliver_only(rep, AT_MANIFEST);
	CHECK_INT(replica_position(rep->r).ver, 2);
	CHECK(has(rep, "a", 1, false) && has(rep, "c", 3, false));
	end();
}

TEST(rule_16_unproven_replica_takes_any_snapshot_above_the_floor)
{
	struct world_replica *rep = begin();
	struct journal_manifest m = { .epoch = 1000, .ver = 3, .drop = true };
	struct journal_run run = { .run = { 9 } };
	struct buf doc = { 0 };

	/* Key 0 proved (1000,3), key 1 (1000,4). */
	rotate();
	world_put(&w, "c", 3);
	world_run(&w, SEC);
	CHECK_INT(replica_position(rep->r).ver, 4);
	revoke_key(rep, 1);
	/* Of the epoch that it is in, of a lineage that it does not know, and empty. */
	w.lawless = true;
	w.asks_lost = true;
	m.runs = &run;
	m.run_count = 1;
	m.at[0] = 1;
	sign(&doc, journal_manifest_fields, &m, 0);
	w.retained[AT_MANIFEST] = world_blob(&w, AT_MANIFEST, doc.data, doc.len);
	w.now += 25 * MSEC;
	world_tick_replica(rep);
	deliver_only(rep, AT_MANIFEST);
	CHECK_INT(replica_position(rep->r).ver, 3);
	CHECK(rep->disk_state.proven);
	/* It may have been an old one: the members stay until a beat says that it is the newest. */
	CHECK(has(rep, "a", 1, true) && has(rep, "b", 2, true) && has(rep, "c", 3, true));
	CHECK_INT(rep->removals, 0);
	world_replica_start(rep);
	CHECK(has(rep, "a", 1, true));
	w.key = 0;
	give_beat(rep, &(struct journal_beat){ .epoch = 1000, .ver = 3, .hash = { 1 }, .time = 5 });
	CHECK_INT(replica_count(rep->r), 0);
	CHECK_INT(rep->removals, 3);
	buf_done(&doc);
	end();
}

TEST(rule_17_level_delta_renews_the_proof)
{
	struct world_replica *rep = begin();
	struct journal_position at = replica_position(rep->r);

	rotate();
	world_run(&w, SEC);
	CHECK_STR(rep->disk_state.proof, w.retained[AT_JOURNAL]->bytes);
	CHECK_STR(rep->disk_state.proof_key, world_sign[1].id);
	/* So the old key takes nothing with it. */
	revoke_key(rep, 0);
	CHECK_INT(journal_position_cmp(replica_position(rep->r), at), 0);
	CHECK(replica_is_level(rep->r));
	CHECK_INT(rep->removals, 0);
	end();
}

TEST(rule_19_backoff_grows_and_covers_requests)
{
	struct world_replica *rep = begin();
	unsigned before = rep->asks;

	w.asks_lost = true;
	world_put(&w, "c", 1);
	lose_all(rep);
	memset(w.retained, 0, sizeof(w.retained));
	world_run(&w, 120 * SEC);
	/* 5 s to 5 min, doubled each time: at 0, 7, 17, 37, 77 s. */
	CHECK(rep->asks - before >= 3 && rep->asks - before <= 5);
	before = rep->asks;
	/* What arrives and does not help changes nothing. */
	for (unsigned i = 0; i < 60; i++) {
		give_delta(rep, writer_position(w.writer).epoch, 10 + i, NULL, "{\"v\":9}");
		world_run(&w, SEC);
	}
	CHECK(rep->asks - before <= 1);
	before = rep->asks;
	world_run(&w, 3000 * SEC);
	CHECK(rep->asks - before <= 11);
	CHECK(rep->asks - before >= 8);
	end();
}

TEST(rule_19_progress_resets_the_backoff)
{
	struct world_replica *rep = begin();
	uint64_t start;

	w.asks_lost = true;
	miss(rep, 1);
	memset(w.retained, 0, sizeof(w.retained));
	world_run(&w, 400 * SEC);
	/* The next connection's audit fills the broker. */
	world_writer_connect(&w);
	for (int i = 0; i < 400 && !world_is_equal(rep); i++)
		world_run(&w, SEC);
	CHECK(world_is_equal(rep));
	/* The next gap is repaired at once. */
	miss(rep, 1);
	world_put(&w, "a", 77);
	start = w.now;
	while (!world_is_equal(rep) && w.now < start + SEC)
		world_run(&w, MSEC);
	CHECK(w.now - start <= 25 * MSEC);
	end();
}

TEST(rule_19_a_journal_that_comes_into_being_is_read_at_once)
{
	struct world_replica *rep;
	uint64_t start;

	world_init(&w, 1, false);
	world_put(&w, "a", 1);
	w.asks_lost = true;
	rep = world_newcomer(&w);
	rep->away = true;
	lose_all(rep);
	/* Nothing is there, nobody answers: the back-off has grown. */
	world_run(&w, 400 * SEC);
	CHECK_INT(replica_position(rep->r).epoch, 0);
	memset(w.retained, 0, sizeof(w.retained));
	rep->away = false;
	/* The writer comes, and fills the broker. */
	world_writer_connect(&w);
	while (!w.retained[AT_MANIFEST])
		world_run(&w, MSEC);
	start = w.now;
	while (!world_is_equal(rep) && w.now < start + 300 * SEC)
		world_run(&w, MSEC);
	CHECK(w.now - start <= SEC);
	end();
}

TEST(rule_20_live_deltas_wait_while_a_snapshot_is_read)
{
	struct world_replica *rep = begin();
	unsigned chunk, moves, subscriptions;
	const struct world_blob *withheld;

	miss(rep, 40);
	rep->away = true;
	world_run(&w, 60 * SEC);
	chunk = AT_CHUNK + w.store.state.slot * WORLD_CHUNKS;
	withheld = w.retained[chunk];
	w.retained[chunk] = NULL;
	rep->away = false;
	w.asks_lost = true;
	world_replica_connect(rep);
	world_run(&w, 100 * MSEC);
	CHECK(rep->subscribed[chunk]);
	/* A slow link: deltas go on while it is read. */
	moves = rep->moves;
	for (unsigned i = 0; i < 20; i++) {
		world_put(&w, "e", i + 1);
		world_run(&w, 100 * MSEC);
	}
	CHECK_INT(rep->moves, moves);
	subscriptions = rep->subscriptions;
	world_send(rep, withheld);
	world_turn(&w);
	/* All that passed was kept, nothing has to be read again. */
	CHECK(world_is_equal(rep));
	CHECK_INT(rep->subscriptions, subscriptions);
	CHECK_INT(rep->moves - moves, 21);
	end();
}

TEST(rule_21_unproven_replica_asks_for_a_snapshot)
{
	struct world_replica *rep = begin();
	const struct journal_ask *ask;

	/* The only snapshot lies below the floor, and the log is of no use without a hash. */
	rotate();
	lose_all(rep); /* the proof was not renewed */
	world_replica_connect(rep);
	lose_all(rep);
	w.revoked[0] = true;
	rep->highest = (struct journal_position){ 0 };
	replica_revoke(rep->r, w.now, world_sign[0].id);
	wait_for_ask(rep);
	ask = the_ask();
	CHECK(ask->unproven);
	world_run(&w, 60 * SEC);
	CHECK(world_is_equal(rep));
	CHECK_INT(w.rolled_back, 0);
	CHECK_INT(rep->removals, 0);
	end();
}

TEST_MAIN("journal")
