/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The replicas of the world (journal_world.h), what must hold for them, and the passing of time.
 */
#pragma once

#include "tests/unit/schemas/journal_world.h"

static inline const struct world_fact *world_fact_find(const struct world *w,
						       const struct replica_state *st)
{
	for (size_t i = w->fact_count; i-- > 0;)
		if (memcmp(w->facts[i].hash, st->hash, HASH_LEN) == 0)
			return &w->facts[i];
	return NULL;
}

/* The members that are no orphans are exactly those that the writer had at this position. */
static inline void world_check_state(const struct world_replica *rep)
{
	const struct world *w = rep->world;
	const struct world_fact *f;
	struct replica_state st;

	replica_state(rep->r, &st);
	if (st.proven && !w->lawless) {
		f = world_fact_find(w, &st);
		WORLD_CHECK(w, f);
		WORLD_CHECK(w, journal_position_cmp(f->position, st.position) == 0);
		for (int i = 0; i < WORLD_NAMES; i++)
			WORLD_CHECK(w, f->members[i] ==
					       (rep->members.orphan[i] ? 0 : rep->members.body[i]));
	}
	replica_state_done(&st);
}

/* What the replica answers is what `changed` told, and nothing before the minimum. */
static inline void world_check_readings(const struct world_replica *rep)
{
	const struct world *w = rep->world;
	bool ready = replica_is_ready(rep->r), orphan = false;
	size_t count = 0, orphans = 0;

	for (int i = 0; i < WORLD_NAMES; i++) {
		const char *body = replica_get(rep->r, world_names[i], &orphan);
		uint64_t want = ready ? rep->members.body[i] : 0;

		WORLD_CHECK(w, (body ? world_body(body) : 0) == want);
		WORLD_CHECK(w, !body || orphan == rep->members.orphan[i]);
		count += body != NULL;
		orphans += body && orphan;
	}
	WORLD_CHECK(w, count == replica_count(rep->r));
	WORLD_CHECK(w, orphans == replica_orphan_count(rep->r));
}

static inline void world_to_disk(struct world_replica *rep)
{
	replica_state_done(&rep->disk_state);
	replica_state(rep->r, &rep->disk_state);
	rep->disk = rep->members;
}

static inline void world_changed(void *owner, const struct replica_change *changes, size_t count,
				 bool removed)
{
	struct world_replica *rep = owner;
	struct world *w = rep->world;
	struct journal_position at = replica_position(rep->r);
	bool removal = false;

	for (size_t i = 0; i < count; i++) {
		int n = world_name(changes[i].name);

		WORLD_CHECK(w, (changes[i].body != NULL) == (changes[i].change != MEMBER_DEL));
		if (changes[i].change == MEMBER_DEL) {
			WORLD_CHECK(w, rep->members.body[n]);
			WORLD_CHECK(w, w->deleted[n] || w->lawless || (w->dropped && w->forked));
			removal = true;
			rep->removals++;
		}
		rep->members.body[n] = changes[i].body ? world_body(changes[i].body) : 0;
		rep->members.orphan[n] = changes[i].change == MEMBER_ORPHANED;
	}
	WORLD_CHECK(w, removed == removal);
	WORLD_CHECK(w, w->lawless || journal_position_cmp(at, rep->highest) >= 0);
	rep->highest = at;
	rep->moves++;
	world_check_state(rep);
	if (rep->disk_lag == 0 || world_pick(w, rep->disk_lag) == 0)
		world_to_disk(rep);
}

static inline void world_subscribe(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk)
{
	struct world_replica *rep = owner;
	unsigned t = world_topic(kind, slot, chunk);

	WORLD_CHECK(rep->world, !rep->subscribed[t]);
	rep->subscribed[t] = true;
	rep->subscriptions++;
	if (rep->world->retained[t])
		world_send(rep, rep->world->retained[t]);
}

static inline void world_unsubscribe(void *owner, enum topic_kind kind, unsigned slot,
				     unsigned chunk)
{
	struct world_replica *rep = owner;
	unsigned t = world_topic(kind, slot, chunk);

	WORLD_CHECK(rep->world, rep->subscribed[t]);
	rep->subscribed[t] = false;
}

static inline void world_ask(void *owner, const struct journal_ask *ask)
{
	struct world_replica *rep = owner;
	struct world *w = rep->world;
	struct buf text = { 0 };

	rep->asks++;
	if (w->asks_lost || rep->away || w->ask_count == WORLD_ASKS)
		return;
	json_encode(&text, journal_ask_fields, ask);
	WORLD_CHECK(w, text.len < DOCUMENT_MAX - 256);
	w->asks[w->ask_count++] = arena_strdup(&w->arena, buf_cstr(&text));
	buf_done(&text);
}

static inline uint32_t world_random32(void *owner)
{
	struct world_replica *rep = owner;

	return (uint32_t)world_random(rep->world);
}

/* ---- a replica's life ---- */

static inline void world_replica_stop(struct world_replica *rep)
{
	replica_free(TAKE(rep->r));
	rep->inbox_count = 0;
	memset(rep->subscribed, 0, sizeof(rep->subscribed));
}

static inline void world_replica_connect(struct world_replica *rep)
{
	rep->inbox_count = 0;
	memset(rep->subscribed, 0, sizeof(rep->subscribed));
	replica_connected(rep->r, rep->world->now);
	world_subscribe(rep, TOPIC_JOURNAL, 0, 0);
	world_subscribe(rep, TOPIC_BEAT, 0, 0);
}

/* From the disk; connected. */
static inline void world_replica_start(struct world_replica *rep)
{
	const struct replica_io io = { world_subscribe, world_unsubscribe, world_changed,
				       world_ask,	world_random32,	   rep };
	const struct keyring keys = { world_find, rep->world };
	char body[40];

	world_replica_stop(rep);
	rep->r = replica_new(world_mesh, &rep->world->journal, &keys, &io);
	for (int i = 0; i < WORLD_NAMES; i++) {
		if (!rep->disk.body[i])
			continue;
		snprintf(body, sizeof(body), "{\"v\":%llu}", (unsigned long long)rep->disk.body[i]);
		replica_restore_member(rep->r, world_names[i], body, rep->disk.orphan[i]);
	}
	replica_restore(rep->r, &rep->disk_state);
	rep->members = rep->disk;
	rep->highest = rep->disk_state.position;
	replica_tick(rep->r, rep->world->now);
	world_replica_connect(rep);
}

static inline struct world_replica *world_replica_add(struct world *w)
{
	struct world_replica *rep = &w->replicas[w->replica_count++];

	CHECK(w->replica_count <= WORLD_REPLICAS);
	rep->world = w;
	world_replica_start(rep);
	return rep;
}

#define WORLD_JOIN_TOPIC "warren/1/abcdefghij/e/aaaaaaaaaaaaaaaa/j-aaaaaaaaaaaaaaaa-bbbbbbbb/rsp"

/* The answer to a join, as far as a writer reads it. */
static inline char *world_join_answer(struct world *w, struct journal_position at)
{
	const struct sign_key *key = &world_sign[w->key];
	char path[TOPIC_SIZE], body[TOPIC_SIZE + 100];
	struct buf document = { 0 };
	char *ret;

	topic_journal_path(&w->journal, path);
	snprintf(body, sizeof(body), "{\"journals\":{\"%s\":{\"epoch\":%llu,\"ver\":%llu}}}", path,
		 (unsigned long long)at.epoch, (unsigned long long)at.ver);
	document_sign(&document, WORLD_JOIN_TOPIC, body, strlen(body), &key, 1);
	ret = arena_strdup(&w->arena, buf_cstr(&document));
	buf_done(&document);
	return ret;
}

/* One that has just joined. */
static inline struct world_replica *world_newcomer(struct world *w)
{
	struct journal_position at = writer_position(w->writer);
	struct world_replica *rep = world_replica_add(w);

	replica_set_minimum(rep->r, at, WORLD_JOIN_TOPIC, world_join_answer(w, at));
	return rep;
}

/* ---- time ---- */

/* Message number `i` of those that are under way to it. */
static inline enum refusal world_deliver(struct world_replica *rep, size_t i)
{
	const struct world_blob *b = rep->inbox[i];
	const struct topic t = world_topic_of(rep->world, b->topic);
	enum refusal refused;

	rep->inbox_count--;
	memmove(rep->inbox + i, rep->inbox + i + 1, (rep->inbox_count - i) * sizeof(*rep->inbox));
	refused = replica_receive(rep->r, rep->world->now, &t, b->bytes, b->len);
	world_check_readings(rep);
	return refused;
}

static inline void world_hear(struct world *w)
{
	for (size_t i = 0; i < w->ask_count; i++) {
		struct journal_ask ask = { 0 };
		bool audit = false, rolled_back = false;

		WORLD_CHECK(w, !journal_ask_decode(&w->arena, w->asks[i], strlen(w->asks[i]), &ask,
						   NULL));
		if (!w->writer)
			break;
		writer_ask(w->writer, w->now, world_wall(w), &ask, &audit, &rolled_back);
		w->rolled_back += rolled_back;
		if (audit)
			world_audit(w);
		else
			world_flush(w);
	}
	w->ask_count = 0;
}

static inline void world_tick_writer(struct world *w)
{
	writer_tick(w->writer, w->now, w->now / 1000);
	world_flush(w);
}

static inline void world_tick_replica(struct world_replica *rep)
{
	replica_tick(rep->r, rep->world->now);
	world_check_readings(rep);
}

/* All that is under way arrives, in order, and all that is due happens. */
static inline void world_turn(struct world *w)
{
	bool more;

	do {
		more = false;
		if (w->writer && writer_due(w->writer) <= w->now)
			world_tick_writer(w);
		for (size_t i = 0; i < w->replica_count; i++) {
			struct world_replica *rep = &w->replicas[i];

			while (rep->r && rep->inbox_count > 0)
				world_deliver(rep, 0);
			if (rep->r && replica_due(rep->r) <= w->now)
				world_tick_replica(rep);
			more |= rep->r && (rep->inbox_count > 0 || replica_due(rep->r) <= w->now);
		}
		more |= w->ask_count > 0;
		world_hear(w);
		for (size_t i = 0; i < w->replica_count; i++)
			more |= w->replicas[i].r && w->replicas[i].inbox_count > 0;
	} while (more);
}

static inline uint64_t world_next(const struct world *w)
{
	uint64_t next = w->writer ? writer_due(w->writer) : CLOCK_NEVER;

	for (size_t i = 0; i < w->replica_count; i++)
		if (w->replicas[i].r)
			next = MIN(next, replica_due(w->replicas[i].r));
	return next;
}

/* So long goes by. */
static inline void world_run(struct world *w, uint64_t usec)
{
	uint64_t until = w->now + usec;

	for (;;) {
		uint64_t next;

		world_turn(w);
		next = world_next(w);
		if (next > until)
			break;
		w->now = MAX(next, w->now);
	}
	w->now = until;
}

/* ---- making ---- */

static inline void world_init(struct world *w, uint64_t seed, bool exporter)
{
	if (!world_sign[0].pkey) {
		for (int i = 0; i < WORLD_KEYS; i++) {
			uint8_t secret[KEY_LEN] = { (uint8_t)(i + 1) };

			sign_key_from_secret(secret, &world_sign[i]);
			verify_key_init(&world_verify[i], world_sign[i].public_key);
		}
	}
	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->random = seed;
	w->now = 1000 * USEC_PER_SEC;
	w->exporter = exporter;
	w->publish_left = -1;
	w->journal = (struct topic){ .kind = TOPIC_JOURNAL, .network = "dc1" };
	if (exporter) {
		w->journal.journal = JOURNAL_DNS;
		snprintf(w->journal.exporter, sizeof(w->journal.exporter), "cluster");
	}
	topic_place(world_mesh, &w->journal, w->place);
	world_writer_start(w);
	CHECK_INT(writer_begin(w->writer, w->now, 0, world_wall(w), true), 0);
	world_flush(w);
}

static inline void world_done(struct world *w)
{
	world_writer_stop(w);
	for (size_t i = 0; i < w->replica_count; i++) {
		world_replica_stop(&w->replicas[i]);
		replica_state_done(&w->replicas[i].disk_state);
		free(w->replicas[i].inbox);
	}
	free(w->history);
	free(w->facts);
	arena_done(&w->arena);
}

/* Has the replica the writer's members, and nothing else but orphans that nobody has ended? */
static inline bool world_is_equal(const struct world_replica *rep)
{
	const struct world *w = rep->world;
	struct replica_state st;
	bool equal;

	replica_state(rep->r, &st);
	equal = replica_is_ready(rep->r) && st.proven &&
		journal_position_cmp(st.position, writer_position(w->writer)) == 0 &&
		memcmp(st.hash, w->store.state.hash, HASH_LEN) == 0;
	replica_state_done(&st);
	for (int i = 0; equal && i < WORLD_NAMES; i++)
		equal = w->store.members[i] == (rep->members.orphan[i] ? 0 : rep->members.body[i]);
	if (w->store.dropped_here)
		equal = equal && replica_orphan_count(rep->r) == 0;
	for (int i = 0; equal && i < WORLD_NAMES; i++)
		equal = !rep->members.orphan[i] || !w->store.gone_here[i];
	return equal;
}
