/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Replicas: repairs, what is refused, snapshots, staleness, restarts. The rules of docs/journal.md have
 * tests of their own in replica_rules*.c.
 */
#include "tests/unit/schemas/replica_begin.h"

TEST(gap_closes_by_itself)
{
	struct world_replica *rep = begin();
	const struct world_blob *first, *second;
	unsigned before = rep->subscriptions;

	world_put(&w, "c", 3);
	world_put(&w, "d", 4);
	first = rep->inbox[0];
	second = rep->inbox[1];
	lose_all(rep);
	world_send(rep, second);
	world_deliver(rep, 0);
	w.now += 15 * MSEC;
	world_tick_replica(rep);
	world_send(rep, first);
	world_deliver(rep, 0);
	CHECK(world_is_equal(rep));
	CHECK_INT(rep->subscriptions, before);
	end();
}

TEST(small_gap_reads_exactly_the_missing_slots)
{
	struct world_replica *rep = begin();
	unsigned before = rep->subscriptions, slot = (unsigned)replica_position(rep->r).ver + 1;

	miss(rep, 5);
	world_put(&w, "a", 9);
	deliver_only(rep, AT_JOURNAL);
	w.now += 25 * MSEC;
	world_tick_replica(rep);
	CHECK_INT(rep->subscriptions - before, 5);
	for (unsigned i = 0; i < 6; i++)
		CHECK_INT(rep->subscribed[AT_LOG + slot + i], i < 5);
	world_turn(&w);
	CHECK(world_is_equal(rep));
	for (unsigned i = 0; i < 6; i++)
		CHECK(!rep->subscribed[AT_LOG + slot + i]);
	CHECK(!rep->subscribed[AT_MANIFEST]);
	end();
}

TEST(large_gap_reads_the_snapshot_and_the_log_above_it)
{
	struct world_replica *rep = begin();
	unsigned moves = rep->moves;

	miss(rep, 40);
	rep->away = true;
	world_run(&w, 60 * SEC);
	CHECK(w.store.state.snapshot_ver == w.store.state.position.ver);
	world_put(&w, "c", 3);
	world_put(&w, "d", 4);
	rep->away = false;
	world_run(&w, 40 * SEC);
	CHECK(world_is_equal(rep));
	CHECK_INT(rep->moves - moves, 3);
	CHECK_INT(rep->asks, 0);
	end();
}

TEST(refuses_what_is_not_the_writers)
{
	struct world_replica *rep = begin();
	const struct world_blob *delta = w.retained[AT_JOURNAL];
	struct topic t = world_topic_of(&w, AT_JOURNAL), ask = t;
	const struct sign_key *key = &world_sign[w.key];
	struct journal_beat beat = beat_now();
	struct buf doc = { 0 };
	struct document d;

	CHECK(!document_split(delta->bytes, delta->len, &d));
	CHECK_INT(replica_receive(rep->r, w.now, &t, "", 0), REFUSED_NOT);
	CHECK_INT(replica_receive(rep->r, w.now, &t, "warren1", 7), REFUSED_JSON);
	ask.kind = TOPIC_ASK;
	CHECK_INT(replica_receive(rep->r, w.now, &ask, delta->bytes, delta->len), REFUSED_PLACE);

	sign(&doc, journal_beat_fields, &beat, WORLD_STRANGER);
	CHECK_INT(receive(rep, AT_BEAT, &doc), REFUSED_KEY);
	buf_clear(&doc);
	document_sign(&doc, "warren/1/abcdefghij/n/dc2/peers", d.body, d.body_len, &key, 1);
	CHECK_INT(receive(rep, AT_JOURNAL, &doc), REFUSED_PLACE);
	/* Of one kind, under the topic of another. */
	buf_clear(&doc);
	sign(&doc, journal_beat_fields, &beat, w.key);
	CHECK_INT(receive(rep, AT_JOURNAL, &doc), REFUSED_SCHEMA);
	CHECK_INT(receive(rep, AT_MANIFEST, &doc), REFUSED_SCHEMA);
	buf_clear(&doc);
	buf_add(&doc, delta->bytes, delta->len);
	CHECK_INT(receive(rep, AT_BEAT, &doc), REFUSED_SCHEMA);
	buf_done(&doc);
	end();
}

TEST(refuses_a_topic_of_another_journal)
{
	struct world_replica *rep = begin();
	const struct sign_key *key = &world_sign[w.key];
	struct topic other = world_topic_of(&w, AT_JOURNAL);
	struct journal_delta delta = { .epoch = 9999, .ver = 1 };
	struct buf body = { 0 }, doc = { 0 };
	char place[TOPIC_SIZE];

	/* Right in its own place, and the owner gave it to the wrong replica. */
	memcpy(other.network, "dc2", 4);
	topic_place(world_mesh, &other, place);
	json_encode(&body, journal_delta_fields, &delta);
	document_sign(&doc, place, body.data, body.len, &key, 1);
	CHECK_INT(replica_receive(rep->r, w.now, &other, doc.data, doc.len), REFUSED_PLACE);
	buf_done(&body);
	buf_done(&doc);
	end();
}

TEST(old_delta_changes_nothing)
{
	struct world_replica *rep = begin();
	const struct world_blob *old = w.retained[AT_LOG + 2];
	unsigned moves = rep->moves;

	world_send(rep, old);
	CHECK_INT(world_deliver(rep, 0), REFUSED_OLD);
	world_send(rep, w.retained[AT_LOG + 3]);
	CHECK_INT(world_deliver(rep, 0), REFUSED_NOT); /* ours, again */
	CHECK_INT(rep->moves, moves);
	end();
}

/* A replica that reads this manifest, whose only chunk is `text`. */
static bool takes_snapshot(struct journal_manifest *m, const char *text, bool other_hash)
{
	struct world_replica *rep = begin();
	struct buf deflated = { 0 }, doc = { 0 };
	struct journal_chunk chunk;
	struct journal_run run = { .first = 0 };
	bool taken;

	w.lawless = true;
	w.asks_lost = true;
	m->epoch = 5000;
	m->ver = 3;
	m->chunks = &chunk;
	m->chunk_count = 1;
	if (!m->runs && m->count < 100) {
		m->runs = &run;
		m->run_count = 1;
	}
	m->count %= 100;
	zlib_deflate(text, strlen(text), &deflated);
	sha256(deflated.data, deflated.len, chunk.hash);
	chunk.hash[0] ^= other_hash;
	sign(&doc, journal_manifest_fields, m, w.key);
	w.retained[AT_MANIFEST] = world_blob(&w, AT_MANIFEST, doc.data, doc.len);
	w.retained[AT_CHUNK] = world_blob(&w, AT_CHUNK, deflated.data, deflated.len);
	CHECK_INT(give_delta(rep, 5000, 3, NULL, "{\"v\":9}"), REFUSED_NOT);
	w.now += 25 * MSEC;
	world_tick_replica(rep);
	if (rep->subscribed[AT_MANIFEST])
		deliver_only(rep, AT_MANIFEST);
	if (rep->inbox_count > 0)
		CHECK_INT(world_deliver(rep, 0), other_hash ? REFUSED_CHUNK : REFUSED_NOT);
	taken = replica_position(rep->r).epoch == 5000;
	CHECK(taken || (has(rep, "a", 1, false) && has(rep, "b", 2, false)));
	buf_done(&deflated);
	buf_done(&doc);
	end();
	return taken;
}

TEST(snapshot_is_taken_whole_or_not_at_all)
{
	struct journal_run runs[] = { { .first = 0 }, { .run = { 1 }, .first = 2 } };

	CHECK(takes_snapshot(&(struct journal_manifest){ .count = 1 }, "a {\"v\":5}\n", false));
	CHECK(takes_snapshot(&(struct journal_manifest){ .count = 1, .runs = runs, .run_count = 2 },
			     "{\"gone\":[\"b\"]}\na {\"v\":5}\n", false));
	CHECK(takes_snapshot(
		&(struct journal_manifest){ .count = 101 },
		"{\"runs\":[{\"run\":\"00000000000000000000000000000000\",\"first\":0}]}"
		"\na {\"v\":5}\n",
		false));
	/* Another hash, another count, no lineage, a name twice, no lines, no body. */
	CHECK(!takes_snapshot(&(struct journal_manifest){ .count = 1 }, "a {\"v\":5}\n", true));
	CHECK(!takes_snapshot(&(struct journal_manifest){ .count = 2 }, "a {\"v\":5}\n", false));
	CHECK(!takes_snapshot(&(struct journal_manifest){ .count = 101 }, "a {\"v\":5}\n", false));
	CHECK(!takes_snapshot(&(struct journal_manifest){ .count = 1 },
			      "a {\"v\":5}\na {\"v\":6}\n", false));
	CHECK(!takes_snapshot(&(struct journal_manifest){ .count = 2 },
			      "a {\"v\":5}\na {\"v\":6}\n", false));
	CHECK(!takes_snapshot(&(struct journal_manifest){ .count = 1 }, "a {\"v\":5}", false));
	CHECK(!takes_snapshot(&(struct journal_manifest){ .count = 1 }, "a\n", false));
	CHECK(!takes_snapshot(&(struct journal_manifest){ .count = 1 }, "a [5]\n", false));
	CHECK(!takes_snapshot(&(struct journal_manifest){ .count = 1 }, "A {\"v\":5}\n", false));
	CHECK(!takes_snapshot(&(struct journal_manifest){ .count = 1 },
			      "a {\"v\":5}\n{\"gone\":[]}\n", false));
	runs[1].first = 0;
	CHECK(!takes_snapshot(&(struct journal_manifest){ .count = 1, .runs = runs, .run_count = 2 },
			      "a {\"v\":5}\n", false));
}

TEST(stale_after_95_seconds_without_a_newer_beat)
{
	struct world_replica *rep = begin();
	struct journal_beat old = beat_now();
	uint64_t fresh;

	world_run(&w, 300 * SEC);
	CHECK_INT(replica_stale_since(rep->r, w.now), 0);
	rep->away = true;
	fresh = w.now;
	for (int i = 0; i < 12; i++) {
		/* Old beats played back, and new connections, do not hide it. */
		world_run(&w, 10 * SEC);
		world_replica_connect(rep);
		give_beat(rep, &old);
	}
	CHECK(replica_stale_since(rep->r, w.now) > fresh);
	CHECK(replica_stale_since(rep->r, w.now) <= fresh + 95 * SEC);
	CHECK(replica_stale_since(rep->r, fresh + 60 * SEC) == 0);
	/* Nothing else happens. */
	CHECK(has(rep, "a", 1, false));
	rep->away = false;
	world_run(&w, 31 * SEC);
	CHECK_INT(replica_stale_since(rep->r, w.now), 0);
	end();
}

TEST(stale_when_what_a_beat_tells_cannot_be_reached)
{
	struct world_replica *rep = begin();

	world_put(&w, "c", 3);
	lose_all(rep);
	memset(w.retained, 0, sizeof(w.retained));
	w.asks_lost = true;
	world_run(&w, 90 * SEC);
	CHECK_INT(replica_stale_since(rep->r, w.now), 0);
	world_run(&w, 10 * SEC);
	CHECK(replica_stale_since(rep->r, w.now) > 0);
	CHECK(!replica_is_level(rep->r));
	end();
}

TEST(restart_knows_what_was_stored)
{
	struct world_replica *rep = begin_with_orphan();
	struct replica_state before, after;
	const char *name = NULL;
	unsigned walked = 0;

	replica_state(rep->r, &before);
	world_replica_start(rep);
	replica_state(rep->r, &after);
	CHECK_INT(journal_position_cmp(before.position, after.position), 0);
	CHECK_STR(after.proof, before.proof);
	CHECK_STR(after.proof_key, before.proof_key);
	CHECK_INT(after.floor_count, before.floor_count);
	CHECK(after.join_reached);
	CHECK(replica_is_ready(rep->r));
	while ((name = replica_next(rep->r, name)))
		walked++;
	CHECK_INT(walked, 3);
	CHECK_INT(rep->asks, 0);
	replica_state_done(&before);
	replica_state_done(&after);
	end();
}

TEST(nothing_happens_before_the_first_connection)
{
	const struct replica_io io = { world_subscribe, world_unsubscribe, world_changed,
				       world_ask,	world_random32,	   &w.replicas[0] };
	const struct keyring keys = { world_find, &w };
	struct replica *r;

	world_init(&w, 1, false);
	w.replicas[0].world = &w;
	r = replica_new(world_mesh, &w.journal, &keys, &io);
	CHECK_INT(replica_due(r), 0);
	replica_tick(r, w.now);
	CHECK(replica_due(r) == CLOCK_NEVER);
	CHECK_INT(replica_stale_since(r, w.now + 90 * SEC), 0);
	CHECK(replica_stale_since(r, w.now + 96 * SEC) > 0);
	CHECK_INT(w.replicas[0].subscriptions, 0);
	replica_free(r);
	end();
}

TEST_MAIN("replica")
