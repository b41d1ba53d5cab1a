/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writers: changes and their windows, what is refused, a store that fails, snapshots of many chunks. The
 * rules of docs/journal.md have tests of their own in writer_rules.c.
 */
#include <errno.h>

#include "tests/test.h"
#include "tests/unit/schemas/journal_pipe.h"

#define MSEC USEC_PER_MSEC
#define SEC USEC_PER_SEC

static struct pipe p;

static int put(const char *name, const char *body)
{
	struct journal_op op = { .put = xstrdup(name), .body = xstrdup(body) };
	int r = writer_change(p.writer, p.now, &op, 1);

	free(op.put);
	free(op.body);
	return r;
}

static int del(const char *name)
{
	struct journal_op op = { .del = xstrdup(name), .why = WHY_LEFT };
	int r = writer_change(p.writer, p.now, &op, 1);

	free(op.del);
	return r;
}

static uint64_t ver(void)
{
	return writer_position(p.writer).ver;
}

TEST(first_change_goes_at_once_the_next_share_a_delta)
{
	pipe_init(&p);
	CHECK_INT(put("a", "{}"), 0);
	CHECK_INT(ver(), 2);
	CHECK(!writer_is_pending(p.writer));
	CHECK_INT(put("b", "{}"), 0);
	CHECK_INT(put("c", "{}"), 0);
	CHECK_INT(put("b", "{\"x\":1}"), 0);
	CHECK_INT(ver(), 2);
	CHECK(writer_is_pending(p.writer));
	CHECK_INT(writer_due(p.writer), p.now + 100 * MSEC);
	p.now += 100 * MSEC;
	CHECK_INT(writer_tick(p.writer, p.now, 0), 0);
	CHECK_INT(ver(), 3);
	CHECK_STR(writer_get(p.writer, "b"), "{\"x\":1}");
	CHECK_INT(writer_count(p.writer), 3);
	pipe_done(&p);
}

/* What a reader must never be without is put in its new place before it is taken from the old one: also
 * when the old one waits already. */
TEST(operations_keep_their_order)
{
	char body[JOURNAL_BODY_MAX];

	pipe_init(&p);
	memset(body, 'x', sizeof(body));
	memcpy(body, "{\"x\":\"", 6);
	memcpy(body + sizeof(body) - 3, "\"}", 3);
	CHECK_INT(put("a", "{}"), 0);
	CHECK_INT(put("old", "{}"), 0);
	CHECK_INT(put("new", body), 0);
	body[6] = 'y';
	CHECK_INT(put("old", body), 0);
	p.now += 100 * MSEC;
	CHECK_INT(writer_tick(p.writer, p.now, 0), 0);
	/* Both are too long for one delta. */
	CHECK_INT(ver(), 4);
	writer_flush(p.writer);
	CHECK(strstr(p.retained[PIPE_LOG + 3].data, "\"new\""));
	CHECK(strstr(p.retained[PIPE_LOG + 4].data, "\"old\""));
	pipe_done(&p);
}

TEST(window_grows_with_the_subscribers)
{
	pipe_init(&p);
	writer_set_subscribers(p.writer, 10000);
	CHECK_INT(put("a", "{}"), 0);
	CHECK_INT(put("b", "{}"), 0);
	CHECK_INT(writer_due(p.writer), p.now + 500 * MSEC);
	pipe_done(&p);
}

TEST(unchanged_puts_are_left_out)
{
	unsigned stores;

	pipe_init(&p);
	CHECK_INT(put("a", "{\"x\":1}"), 0);
	stores = p.stores;
	p.now += SEC;
	CHECK_INT(put("a", "{ \"x\" : 1 }"), 0); /* the same, and not canonical */
	CHECK_INT(ver(), 2);
	CHECK_INT(p.stores, stores);
	CHECK(!writer_is_pending(p.writer));
	/* A del always is a word: it ends orphans that we do not know. */
	CHECK_INT(del("nobody"), 0);
	CHECK_INT(ver(), 3);
	pipe_done(&p);
}

TEST(refuses_bad_operations)
{
	struct journal_op both = { .put = (char[]){ "a" }, .del = (char[]){ "a" } };
	struct journal_op drop = { .drop = true };
	struct buf body = { 0 };

	pipe_init(&p);
	CHECK_INT(put("A", "{}"), -EINVAL);
	CHECK_INT(put("", "{}"), -EINVAL);
	CHECK_INT(put("a", "[]"), -EINVAL);
	CHECK_INT(put("a", "{"), -EINVAL);
	CHECK_INT(put("a", "{\"x\":1,\"x\":1}"), -EINVAL);
	CHECK_INT(writer_change(p.writer, p.now, &both, 1), -EINVAL);
	CHECK_INT(writer_change(p.writer, p.now, &drop, 1), -EINVAL);
	buf_str(&body, "{\"x\":\"");
	while (body.len < JOURNAL_BODY_MAX - 2)
		buf_char(&body, 'x');
	buf_str(&body, "\"}");
	CHECK_INT(put("a", body.data), 0);
	body.data[body.len - 2] = 'x';
	body.len--;
	buf_str(&body, "x\"}");
	CHECK_INT(put("a", body.data), -EINVAL);
	CHECK_INT(ver(), 2);
	CHECK(!writer_is_pending(p.writer));
	buf_done(&body);
	pipe_done(&p);
}

TEST(refuses_changes_before_the_first_epoch)
{
	const struct writer_io io = { pipe_store, pipe_publish, pipe_random, &p };
	struct writer *w;

	pipe_init(&p);
	w = writer_new(PIPE_MESH, &p.journal, &p.key, &p.keys, &io, false);
	CHECK_INT(writer_change(w, p.now, &(struct journal_op){ .del = (char[]){ "a" } }, 1),
		  -EINVAL);
	CHECK(writer_due(w) == CLOCK_NEVER);
	CHECK_INT(writer_tick(w, p.now, 0), 0);
	CHECK_INT(writer_rotate(w, p.now, &p.key), 0);
	writer_free(w);
	pipe_done(&p);
}

TEST(refuses_more_than_a_snapshot_holds)
{
	unsigned n = 0;

	pipe_init(&p);
	while (pipe_put(&p, n, 500, 16000) == 0)
		n += 500;
	CHECK_INT(n, 1500);
	CHECK_INT(writer_count(p.writer), 1500);
	CHECK(!writer_is_pending(p.writer));
	CHECK_INT(pipe_put(&p, n, 1, 100), 0);
	pipe_done(&p);
}

TEST(store_that_fails_changes_nothing)
{
	struct journal_position at;
	unsigned publishes;

	pipe_init(&p);
	CHECK_INT(put("a", "{}"), 0);
	writer_flush(p.writer);
	at = writer_position(p.writer);
	publishes = p.publishes;
	p.store_result = -ENOSPC;
	p.now += SEC;
	CHECK_INT(put("b", "{}"), -ENOSPC);
	CHECK(!writer_is_pending(p.writer));
	CHECK_INT(writer_release(p.writer, p.now), -ENOSPC);
	CHECK_INT(writer_rotate(p.writer, p.now, &p.key), -ENOSPC);
	CHECK_INT(writer_begin(p.writer, p.now, 0, 5000, true), -ENOSPC);
	writer_flush(p.writer);
	CHECK_INT(p.publishes, publishes);
	CHECK_INT(journal_position_cmp(writer_position(p.writer), at), 0);
	CHECK(!writer_get(p.writer, "b"));
	p.store_result = 0;
	CHECK_INT(put("b", "{}"), 0);
	CHECK_INT(ver(), at.ver + 1);
	pipe_done(&p);
}

TEST(store_that_fails_is_tried_again_for_what_waits)
{
	pipe_init(&p);
	CHECK_INT(put("a", "{}"), 0);
	CHECK_INT(put("b", "{}"), 0);
	p.store_result = -ENOSPC;
	p.now += 100 * MSEC;
	CHECK_INT(writer_tick(p.writer, p.now, 0), -ENOSPC);
	CHECK(writer_is_pending(p.writer));
	CHECK(writer_due(p.writer) > p.now + 500 * MSEC);
	p.store_result = 0;
	p.now += SEC;
	CHECK_INT(writer_tick(p.writer, p.now, 0), 0);
	CHECK_STR(writer_get(p.writer, "b"), "{}");
	pipe_done(&p);
}

TEST(many_changes_are_split)
{
	pipe_init(&p);
	pipe_replica(&p);
	pipe_run(&p, SEC);
	CHECK_INT(pipe_put(&p, 0, 1000, 400), 0);
	writer_flush(p.writer);
	/* No delta too long to be shown in a request. */
	CHECK(ver() > 10 && ver() < 20);
	for (unsigned i = 1; i <= ver(); i++)
		CHECK(p.retained[PIPE_LOG + i].len > 0 &&
		      p.retained[PIPE_LOG + i].len <= JOURNAL_DELTA_MAX);
	pipe_run(&p, SEC);
	CHECK(pipe_is_equal(&p));
	CHECK_INT(p.puts, 1000);
	pipe_done(&p);
}

TEST(snapshot_of_many_chunks_is_read)
{
	unsigned chunks = 0;

	pipe_init(&p);
	for (unsigned i = 0; i < 10; i++)
		CHECK_INT(pipe_put(&p, i * 1000, 1000, 300), 0);
	pipe_run(&p, 40 * SEC);
	for (unsigned i = 0; i < JOURNAL_CHUNKS_MAX; i++) {
		/* This slot holds the newest. */
		size_t len = MAX(p.retained[PIPE_CHUNK + i].len,
				 p.retained[PIPE_CHUNK + JOURNAL_CHUNKS_MAX + i].len);

		CHECK(len <= JOURNAL_CHUNK_MAX);
		chunks += len > 0;
	}
	CHECK(chunks > 20 && chunks < 60);
	pipe_replica(&p);
	pipe_run(&p, 100 * MSEC);
	CHECK(pipe_is_equal(&p));
	CHECK_INT(replica_count(p.replica), 10000);
	CHECK_INT(p.asks, 0);
	pipe_done(&p);
}

/* A chunk each so many seconds. Has it read the snapshot? */
static bool reads_slowly(unsigned pause)
{
	const struct topic manifest = pipe_topic_of(&p, PIPE_MANIFEST);
	unsigned chunks[JOURNAL_CHUNKS_MAX], count = 0;

	pipe_replica(&p);
	p.under_way_count = 0;
	p.now += 25 * MSEC;
	replica_tick(p.replica, p.now);
	CHECK_INT(replica_receive(p.replica, p.now, &manifest, p.retained[PIPE_MANIFEST].data,
				  p.retained[PIPE_MANIFEST].len),
		  REFUSED_NOT);
	for (unsigned i = PIPE_CHUNK; i < PIPE_TOPICS; i++)
		if (p.subscribed[i] && p.retained[i].len > 0)
			chunks[count++] = i;
	CHECK(count >= 3);
	for (unsigned i = 0; i < count; i++) {
		p.now += pause * SEC;
		replica_tick(p.replica, p.now);
		/* Only this one, whatever else it has asked for. */
		p.under_way_count = 0;
		p.under_way[p.under_way_count++] = chunks[i];
		pipe_pump(&p);
	}
	return replica_count(p.replica) > 0 && pipe_is_equal(&p);
}

TEST(slow_link_reads_many_chunks)
{
	pipe_init(&p);
	CHECK_INT(pipe_put(&p, 0, 3000, 400), 0);
	pipe_run(&p, 40 * SEC);
	/* All of them take longer than 5 s, none of them does. */
	CHECK(reads_slowly(4));
	CHECK(!reads_slowly(6));
	CHECK(reads_slowly(4));
	pipe_done(&p);
}

TEST(incompressible_members_fit_too)
{
	pipe_init(&p);
	/* Letters are 4.7 bits in 8; these are all that JSON can carry. */
	for (unsigned i = 0; i < 200; i++) {
		struct buf body = { 0 };
		char name[16];

		snprintf(name, sizeof(name), "n%u", i);
		buf_str(&body, "{\"x\":\"");
		while (body.len < 9000) {
			uint32_t c = 0x400 + pipe_random32(&p) % 0x400;

			buf_char(&body, (char)(0xc0 | c >> 6));
			buf_char(&body, (char)(0x80 | (c & 0x3f)));
		}
		buf_str(&body, "\"}");
		CHECK_INT(put(name, body.data), 0);
		CHECK_INT(writer_commit(p.writer, p.now), 0);
		buf_done(&body);
	}
	pipe_run(&p, 40 * SEC);
	for (unsigned i = 0; i < 2 * JOURNAL_CHUNKS_MAX; i++)
		CHECK(p.retained[PIPE_CHUNK + i].len <= JOURNAL_CHUNK_MAX);
	pipe_replica(&p);
	pipe_run(&p, 100 * MSEC);
	CHECK(pipe_is_equal(&p));
	pipe_done(&p);
}

TEST(long_lists_go_into_chunks)
{
	pipe_init(&p);
	pipe_replica(&p);
	CHECK_INT(pipe_put(&p, 0, 3000, 20), 0);
	writer_flush(p.writer);
	pipe_run(&p, SEC);
	CHECK(pipe_is_equal(&p));
	/* An epoch that does not drop, of a writer that knows nothing; then it deletes all of them. */
	for (unsigned i = 0; i < 3000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "node%08u", i);
		if (i == 0) {
			const struct writer_io io = { pipe_store, pipe_publish, pipe_random, &p };

			writer_free(p.writer);
			p.writer = writer_new(PIPE_MESH, &p.journal, &p.key, &p.keys, &io, false);
			CHECK_INT(writer_begin(p.writer, p.now, 5000, 0, false), 0);
			writer_flush(p.writer);
			pipe_run(&p, SEC);
			CHECK_INT(p.orphaned, 3000);
			CHECK_INT(replica_orphan_count(p.replica), 3000);
			p.subscribed[PIPE_JOURNAL] = false;
			p.subscribed[PIPE_BEAT] = false;
		}
		/* Each in a run of its own, so that the lineage is long as well. */
		if (i < 500)
			writer_run(p.writer);
		CHECK_INT(del(name), 0);
		CHECK_INT(writer_commit(p.writer, p.now), 0);
		if (i % 200 == 0)
			writer_flush(p.writer);
	}
	writer_flush(p.writer);
	pipe_run(&p, 70 * SEC);
	CHECK_INT(replica_count(p.replica), 3000);
	replica_connected(p.replica, p.now);
	memset(p.subscribed, 0, sizeof(p.subscribed));
	pipe_subscribe(&p, TOPIC_JOURNAL, 0, 0);
	pipe_subscribe(&p, TOPIC_BEAT, 0, 0);
	pipe_run(&p, SEC);
	/* Reached by a snapshot whose `runs` and `gone` are longer than a manifest. */
	CHECK(replica_is_level(p.replica));
	CHECK_INT(replica_count(p.replica), 0);
	CHECK_INT(p.dels, 3000);
	pipe_done(&p);
}

TEST(lineage_that_is_too_long_begins_an_epoch)
{
	uint64_t epoch;

	pipe_init(&p);
	epoch = writer_position(p.writer).epoch;
	for (unsigned i = 1; i < JOURNAL_RUNS_MAX; i++) {
		writer_run(p.writer);
		CHECK_INT(del("nobody"), 0);
		CHECK_INT(writer_commit(p.writer, p.now), 0);
	}
	CHECK_INT(writer_position(p.writer).epoch, epoch);
	writer_run(p.writer);
	CHECK_INT(del("nobody"), 0);
	CHECK_INT(writer_commit(p.writer, p.now), 0);
	CHECK_INT(writer_position(p.writer).epoch, epoch + 1);
	CHECK_INT(ver(), 2);
	pipe_done(&p);
}

TEST(nobody_connected_fills_no_memory)
{
	pipe_init(&p);
	for (unsigned i = 0; i < 6000; i++) {
		CHECK_INT(del("nobody"), 0);
		CHECK_INT(writer_commit(p.writer, p.now), 0);
	}
	p.publishes = 0;
	writer_flush(p.writer);
	CHECK(p.publishes <= 8192);
	CHECK_INT(del("nobody"), 0);
	CHECK_INT(writer_commit(p.writer, p.now), 0);
	writer_disconnected(p.writer);
	p.publishes = 0;
	writer_flush(p.writer);
	CHECK_INT(p.publishes, 0);
	pipe_done(&p);
}

TEST(beats_a_second_after_a_change_and_every_30)
{
	unsigned beats = 0;

	pipe_init(&p);
	for (unsigned t = 0; t < 1000; t++) {
		unsigned before;

		if (t == 100)
			CHECK_INT(put("a", "{}"), 0);
		writer_flush(p.writer);
		before = p.publishes;
		CHECK_INT(writer_tick(p.writer, p.now, p.now / 1000), 0);
		writer_flush(p.writer);
		if (p.publishes > before) {
			/* 1 s: the epoch; 10 + 1 s: the change; then every 30 s. */
			CHECK(t == 10 || t == 110 || t == 410 || t == 710);
			beats++;
		}
		p.now += 100 * MSEC;
	}
	CHECK_INT(beats, 4);
	pipe_done(&p);
}

TEST_MAIN("writer")
