/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of replicas begin with: a level replica in the world of journal_world.h, and ways to
 * give it single messages.
 */
#pragma once

#include "lib/compress.h"
#include "schemas/replica_private.h"
#include "tests/unit/schemas/journal_replicas.h"

#define MSEC USEC_PER_MSEC

#define SEC USEC_PER_SEC

static struct world w;

/* A replica that is level, in a journal with some members. */
static inline struct world_replica *begin(void)
{
	struct world_replica *rep;

	world_init(&w, 1, false);
	rep = world_newcomer(&w);
	world_put(&w, "a", 1);
	world_put(&w, "b", 2);
	world_run(&w, SEC);
	CHECK(world_is_equal(rep));
	return rep;
}

static inline void end(void)
{
	world_done(&w);
}

/* A replica that hears nothing while `n` deltas pass by, and then is there again. */
static inline void miss(struct world_replica *rep, unsigned n)
{
	static uint64_t body = 1000;

	rep->away = true;
	for (unsigned i = 0; i < n; i++) {
		world_put(&w, "f", ++body);
		world_run(&w, 100 * MSEC);
	}
	rep->away = false;
}

static inline bool has(const struct world_replica *rep, const char *name, uint64_t body,
		       bool orphan)
{
	bool is_orphan = false;
	const char *have = replica_get(rep->r, name, &is_orphan);

	return have && world_body(have) == body && is_orphan == orphan;
}

/* The writer is what it was at `backup`, and the broker hides all. */
static inline void roll_back(const struct world_store *backup)
{
	world_writer_stop(&w);
	w.store = *backup;
	w.forked = true;
	w.now += MSEC; /* the next beat's time is another one */
	memset(w.retained, 0, sizeof(w.retained));
	world_writer_start(&w);
	world_writer_connect(&w);
	CHECK_INT(w.rolled_back, 0);
}

/* Only this topic's messages arrive, the others stay under way. */
static inline void deliver_only(struct world_replica *rep, unsigned topic)
{
	for (size_t i = 0; i < rep->inbox_count;) {
		if (rep->inbox[i]->topic == topic) {
			world_deliver(rep, i);
			i = 0;
		} else {
			i++;
		}
	}
}

static inline void lose_all(struct world_replica *rep)
{
	rep->inbox_count = 0;
}

static inline enum refusal receive(struct world_replica *rep, unsigned topic,
				   const struct buf *bytes)
{
	const struct topic t = world_topic_of(&w, topic);

	return replica_receive(rep->r, w.now, &t, bytes->data, bytes->len);
}

static inline void sign(struct buf *ret, const struct json_field *fields, const void *what,
			unsigned key)
{
	const struct sign_key *by = &world_sign[key];
	struct buf body = { 0 };

	json_encode(&body, fields, what);
	document_sign(ret, w.place, body.data, body.len, &by, 1);
	buf_done(&body);
}

static inline struct journal_beat beat_now(void)
{
	struct journal_beat b = { .epoch = w.store.state.position.epoch,
				  .ver = w.store.state.position.ver,
				  .time = w.now / 1000 };

	memcpy(b.hash, w.store.state.hash, HASH_LEN);
	memcpy(b.run, w.store.runs[w.store.state.run_count - 1].run, RUN_LEN);
	return b;
}

static inline void give_beat(struct world_replica *rep, const struct journal_beat *b)
{
	struct buf doc = { 0 };

	sign(&doc, journal_beat_fields, b, w.key);
	CHECK_INT(receive(rep, AT_BEAT, &doc), REFUSED_NOT);
	buf_done(&doc);
}

/* A replica with the orphan "c". */
static inline struct world_replica *begin_with_orphan(void)
{
	struct world_replica *rep = begin();
	struct world_store backup = w.store;

	world_put(&w, "c", 3);
	world_run(&w, SEC);
	roll_back(&backup);
	CHECK_INT(writer_begin(w.writer, w.now, 0, world_wall(&w), false), 0);
	world_flush(&w);
	world_run(&w, SEC);
	CHECK(world_is_equal(rep) && has(rep, "c", 3, true) && has(rep, "a", 1, false));
	CHECK_INT(replica_orphan_count(rep->r), 1);
	CHECK_INT(replica_count(rep->r), 3);
	return rep;
}

static inline const struct journal_ask *the_ask(void)
{
	static struct journal_ask ask;

	memset(&ask, 0, sizeof(ask));
	CHECK_INT(w.ask_count, 1);
	CHECK(!journal_ask_decode(&w.arena, w.asks[0], strlen(w.asks[0]), &ask, NULL));
	return &ask;
}

/* Time goes by for the replica, nobody hears it. */
static inline void wait_for_ask(struct world_replica *rep)
{
	for (int i = 0; i < 400 && w.ask_count == 0; i++) {
		w.now += 100 * MSEC;
		world_tick_replica(rep);
	}
}

static inline void make_delta(struct buf *ret, uint64_t epoch, uint64_t ver, const uint8_t *prev,
			      const char *body)
{
	struct journal_op put = { .put = (char[]){ "d" }, .body = arena_strdup(&w.arena, body) };
	struct journal_delta d = { .epoch = epoch, .ver = ver, .ops = &put, .op_count = 1 };

	if (prev)
		memcpy(d.prev, prev, HASH_LEN);
	sign(ret, journal_delta_fields, &d, w.key);
}

static inline enum refusal give_delta(struct world_replica *rep, uint64_t epoch, uint64_t ver,
				      const uint8_t *prev, const char *body)
{
	struct buf doc = { 0 };
	enum refusal refused;

	make_delta(&doc, epoch, ver, prev, body);
	refused = receive(rep, AT_JOURNAL, &doc);
	buf_done(&doc);
	return refused;
}
