/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A world for tests of journals: one writer with its store, a broker, some replicas with their disks,
 * and a clock, all in memory. Whatever is done to it, after each move of a replica it is checked that
 * the replica is at a state that the writer had, never goes back, and loses no member that nobody
 * deleted. Repeatable: all that is random comes from the seed.
 */
#pragma once

#include "lib/clock.h"
#include "schemas/replica.h"
#include "schemas/writer.h"
#include "tests/test.h"

#define WORLD_NAMES 6 /* members: names of one letter */
#define WORLD_REPLICAS 4
#define WORLD_KEYS 4 /* signing keys, and a stranger's */
#define WORLD_STRANGER 3
#define WORLD_CHUNKS 4
#define WORLD_RUNS 256
#define WORLD_ASKS 64
#ifndef WRITER_RING
#define WRITER_RING JOURNAL_RING
#endif

/* Topics by number. */
enum { AT_JOURNAL, AT_MANIFEST, AT_BEAT, AT_CHUNK, AT_LOG = AT_CHUNK + 2 * WORLD_CHUNKS };
#define WORLD_TOPICS (AT_LOG + WRITER_RING)

#define WORLD_CHECK(w, cond)                                                                       \
	do {                                                                                       \
		if (!(cond))                                                                       \
			test_end(false, "%s:%d: %s SEED=%llu HISTORIES=1", __FILE__, __LINE__,     \
				 #cond, (unsigned long long)(w)->seed);                            \
	} while (0)

struct world_blob {
	unsigned topic;
	size_t len;
	char bytes[];
};

/* What the writer's store holds. Copying the struct is a backup. */
struct world_store {
	bool begun;
	struct writer_state state;
	struct journal_run runs[WORLD_RUNS];
	char *gone[WORLD_NAMES];
	uint64_t members[WORLD_NAMES]; /* the number in the body; 0: none */
	/* Of this epoch, by what was done and not by what the writer says of it. */
	bool gone_here[WORLD_NAMES], dropped_here;
	struct world_blob *log[WRITER_RING];
	uint64_t log_ver[WRITER_RING];
	struct world_blob *manifest;
};

/* A state that the writer had. */
struct world_fact {
	struct journal_position position;
	uint8_t hash[HASH_LEN];
	uint64_t members[WORLD_NAMES];
};

struct world_members {
	uint64_t body[WORLD_NAMES];
	bool orphan[WORLD_NAMES];
};

struct world_replica {
	struct world *world;
	struct replica *r;
	bool away;						  /* what is sent to it is lost */
	bool (*loses)(struct world_replica *rep, unsigned topic); /* or this; NULL: nothing */
	bool subscribed[WORLD_TOPICS];
	const struct world_blob **inbox;
	size_t inbox_count, inbox_cap;
	struct world_members members; /* as `changed` told */
	struct world_members disk;
	struct replica_state disk_state;
	struct journal_position highest;
	unsigned disk_lag; /* of so many moves one reaches the disk at once; 0: each */
	unsigned asks, moves, removals, subscriptions;
};

struct world {
	uint64_t seed, random;
	uint64_t now;
	struct arena arena;
	struct topic journal;
	char place[TOPIC_SIZE];
	bool exporter;
	bool revoked[WORLD_KEYS];
	unsigned key;

	struct writer *writer;
	struct world_store store;
	int store_fails;   /* the next so many */
	long publish_left; /* until the writer dies; -1: it lives */
	bool deaf;	   /* the broker drops what the writer publishes */
	unsigned rolled_back;
	unsigned publishes;

	struct world_blob *retained[WORLD_TOPICS];
	struct world_blob **history; /* all that was ever published */
	size_t history_count, history_cap;
	bool keep_history;

	struct world_fact *facts;
	size_t fact_count, fact_cap;
	bool deleted[WORLD_NAMES]; /* ever, in any history */
	bool dropped;		   /* ever, after the first epoch */
	bool forked;		   /* the store was rolled back, ever */
	bool lawless;		   /* a stolen key is about: a replica may be anywhere */

	char *asks[WORLD_ASKS];
	size_t ask_count;
	bool asks_lost;
	struct world_replica replicas[WORLD_REPLICAS];
	size_t replica_count;
};

static const char world_mesh[] = "abcdefghij";
static const char *const world_names[WORLD_NAMES] = { "a", "b", "c", "d", "e", "f" };
static struct sign_key world_sign[WORLD_KEYS];
static struct verify_key world_verify[WORLD_KEYS];

static inline uint64_t world_random(struct world *w)
{
	uint64_t z = w->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Below n. */
static inline unsigned world_pick(struct world *w, unsigned n)
{
	return (unsigned)(world_random(w) >> 33) % n;
}

static inline int world_name(const char *name)
{
	return name[0] - 'a';
}

static inline uint64_t world_body(const char *body)
{
	return strtoull(body + strlen("{\"v\":"), NULL, 10);
}

static inline unsigned world_topic(enum topic_kind kind, unsigned slot, unsigned chunk)
{
	switch (kind) {
	case TOPIC_MANIFEST:
		return AT_MANIFEST;
	case TOPIC_BEAT:
		return AT_BEAT;
	case TOPIC_CHUNK:
		return AT_CHUNK + slot * WORLD_CHUNKS + chunk;
	case TOPIC_LOG:
		return AT_LOG + slot;
	default:
		return AT_JOURNAL;
	}
}

static inline struct topic world_topic_of(const struct world *w, unsigned number)
{
	struct topic t = w->journal;

	if (number >= AT_LOG) {
		t.kind = TOPIC_LOG;
		t.slot = number - AT_LOG;
	} else if (number >= AT_CHUNK) {
		t.kind = TOPIC_CHUNK;
		t.slot = (number - AT_CHUNK) / WORLD_CHUNKS;
		t.chunk = (number - AT_CHUNK) % WORLD_CHUNKS;
	} else {
		t.kind = number == AT_MANIFEST ? TOPIC_MANIFEST :
			 number == AT_BEAT     ? TOPIC_BEAT :
						 TOPIC_JOURNAL;
	}
	return t;
}

static inline struct world_blob *world_blob(struct world *w, unsigned topic, const void *bytes,
					    size_t len)
{
	struct world_blob *b = arena_alloc(&w->arena, sizeof(*b) + len + 1);

	b->topic = topic;
	b->len = len;
	memcpy(b->bytes, bytes, len);
	return b;
}

static inline const struct verify_key *world_find(void *owner, const struct signers *who,
						  size_t index, const char *key, bool *ret_known)
{
	const struct world *w = owner;

	(void)index;
	*ret_known = false;
	for (int i = 0; i < WORLD_STRANGER; i++) {
		if (w->revoked[i] || strcmp(world_verify[i].id, key) != 0)
			continue;
		*ret_known = true;
		return who->class == SIGNER_COORDINATOR || who->class == SIGNER_EXPORTER ?
			       &world_verify[i] :
			       NULL;
	}
	return NULL;
}

/* ---- the broker ---- */

static inline void world_send(struct world_replica *rep, const struct world_blob *b)
{
	if (rep->away || !rep->r || (rep->loses && rep->loses(rep, b->topic)))
		return;
	if (rep->inbox_count == rep->inbox_cap) {
		rep->inbox_cap = rep->inbox_cap ? 2 * rep->inbox_cap : 64;
		rep->inbox = xreallocarray(rep->inbox, rep->inbox_cap, sizeof(*rep->inbox));
	}
	rep->inbox[rep->inbox_count++] = b;
}

static inline void world_broadcast(struct world *w, struct world_blob *b)
{
	if (b->topic != AT_BEAT)
		w->retained[b->topic] = b;
	for (size_t i = 0; i < w->replica_count; i++)
		if (w->replicas[i].subscribed[b->topic])
			world_send(&w->replicas[i], b);
}

static inline void world_publish(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk,
				 const void *bytes, size_t len, bool retain)
{
	struct world *w = owner;
	struct world_blob *b;

	WORLD_CHECK(w, retain == (kind != TOPIC_BEAT) && chunk < WORLD_CHUNKS && len > 0);
	if (w->publish_left == 0 || w->deaf)
		return;
	w->publish_left -= w->publish_left > 0;
	w->publishes++;
	b = world_blob(w, world_topic(kind, slot, chunk), bytes, len);
	if (w->keep_history) {
		if (w->history_count == w->history_cap) {
			w->history_cap = w->history_cap ? 2 * w->history_cap : 256;
			w->history = xreallocarray(w->history, w->history_cap, sizeof(b));
		}
		w->history[w->history_count++] = b;
	}
	world_broadcast(w, b);
}

/* ---- the writer and its store ---- */

static inline void world_fact(struct world *w, struct journal_position position,
			      const uint8_t hash[HASH_LEN])
{
	struct world_fact *f;

	if (w->fact_count == w->fact_cap) {
		w->fact_cap = w->fact_cap ? 2 * w->fact_cap : 64;
		w->facts = xreallocarray(w->facts, w->fact_cap, sizeof(*w->facts));
	}
	f = &w->facts[w->fact_count++];
	f->position = position;
	memcpy(f->hash, hash, HASH_LEN);
	memcpy(f->members, w->store.members, sizeof(f->members));
}

static inline void world_store_ops(struct world *w, const struct writer_record *rec)
{
	for (size_t i = 0; i < rec->op_count; i++) {
		const struct journal_op *op = &rec->ops[i];

		if (op->put) {
			w->store.members[world_name(op->put)] = world_body(op->body);
			w->store.gone_here[world_name(op->put)] = false;
		}
		if (op->del) {
			w->store.members[world_name(op->del)] = 0;
			w->store.gone_here[world_name(op->del)] = true;
			w->deleted[world_name(op->del)] = true;
		}
		w->dropped |= op->drop;
		w->store.dropped_here |= op->drop;
	}
}

static inline void world_store_state(struct world *w, const struct writer_record *rec)
{
	struct world_store *s = &w->store;

	WORLD_CHECK(w,
		    rec->state->run_count <= WORLD_RUNS && rec->state->gone_count <= WORLD_NAMES);
	s->state = *rec->state;
	memcpy(s->runs, rec->state->runs, rec->state->run_count * sizeof(s->runs[0]));
	for (size_t i = 0; i < rec->state->gone_count; i++)
		s->gone[i] = arena_strdup(&w->arena, rec->state->gone[i]);
}

static inline void world_store_log(struct world *w, uint64_t ver, const char *delta, size_t len)
{
	w->store.log[ver % WRITER_RING] =
		world_blob(w, AT_LOG + (unsigned)(ver % WRITER_RING), delta, len);
	w->store.log_ver[ver % WRITER_RING] = ver;
}

static inline int world_record(void *owner, const struct writer_record *rec)
{
	struct journal_manifest m = { 0 };
	struct world *w = owner;
	struct document d;

	if (w->store_fails > 0) {
		w->store_fails--;
		return -5;
	}
	if (rec->new_epoch) {
		memset(w->store.log_ver, 0, sizeof(w->store.log_ver));
		w->dropped |= rec->state->drop && w->store.begun;
		memset(w->store.gone_here, 0, sizeof(w->store.gone_here));
		w->store.dropped_here = rec->state->drop;
	}
	world_store_ops(w, rec);
	world_store_state(w, rec);
	w->store.begun = true;
	if (rec->manifest) {
		w->store.manifest = world_blob(w, AT_MANIFEST, rec->manifest, rec->manifest_len);
		WORLD_CHECK(w, !document_split(rec->manifest, rec->manifest_len, &d) &&
				       !journal_manifest_decode(&w->arena, d.body, d.body_len, &m,
								NULL));
		if (rec->new_epoch)
			world_fact(w, (struct journal_position){ m.epoch, m.ver }, m.at);
	}
	if (rec->delta) {
		world_store_log(w, rec->state->position.ver, rec->delta, rec->delta_len);
		world_fact(w, rec->state->position, rec->state->hash);
	}
	for (size_t i = 0; i < rec->resigned_count; i++)
		world_store_log(w, rec->resigned[i].ver, rec->resigned[i].delta,
				rec->resigned[i].len);
	return 0;
}

static inline void world_random_bytes(void *owner, void *ret, size_t n)
{
	uint8_t *p = ret;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)world_random(owner);
}

static inline void world_writer_stop(struct world *w)
{
	writer_free(TAKE(w->writer));
	w->publish_left = -1;
	w->ask_count = 0;
}

/* From the store, as the process does it. */
static inline void world_writer_start(struct world *w)
{
	const struct writer_io io = { world_record, world_publish, world_random_bytes, w };
	const struct keyring keys = { world_find, w };
	struct world_store *s = &w->store;
	char body[40];

	world_writer_stop(w);
	w->writer =
		writer_new(world_mesh, &w->journal, &world_sign[w->key], &keys, &io, w->exporter);
	if (!s->begun)
		return;
	for (int i = 0; i < WORLD_NAMES; i++) {
		if (!s->members[i])
			continue;
		snprintf(body, sizeof(body), "{\"v\":%llu}", (unsigned long long)s->members[i]);
		writer_restore_member(w->writer, world_names[i], body);
	}
	for (size_t i = 0; i < WRITER_RING; i++)
		if (s->log_ver[i])
			writer_restore_log(w->writer, s->log_ver[i], s->log[i]->bytes,
					   s->log[i]->len);
	s->state.runs = s->runs;
	s->state.gone = s->gone;
	writer_restore(w->writer, &s->state, s->manifest ? s->manifest->bytes : NULL,
		       s->manifest ? s->manifest->len : 0);
}

static inline int64_t world_wall(const struct world *w)
{
	return (int64_t)(w->now / USEC_PER_SEC);
}

static inline void world_flush(struct world *w)
{
	writer_flush(w->writer);
	if (w->publish_left == 0)
		world_writer_stop(w);
}

static inline bool world_audit(struct world *w)
{
	bool rolled_back = false;

	writer_audit_begin(w->writer);
	for (unsigned i = 0; i < WORLD_TOPICS; i++) {
		const struct world_blob *b = w->retained[i];
		const struct topic t = world_topic_of(w, i);

		if (b)
			writer_audit_document(w->writer, &t, b->bytes, b->len);
	}
	writer_audit_end(w->writer, w->now, world_wall(w), &rolled_back);
	w->rolled_back += rolled_back;
	world_flush(w);
	return rolled_back;
}

static inline bool world_writer_connect(struct world *w)
{
	writer_disconnected(w->writer);
	writer_run(w->writer);
	return world_audit(w);
}

/* One operation as a change of its own; body 0: a del. */
static inline int world_change(struct world *w, const char *name, uint64_t body)
{
	struct journal_op op = { .why = WHY_REMOVED };
	char name_copy[8], text[40];
	int r;

	snprintf(name_copy, sizeof(name_copy), "%s", name);
	snprintf(text, sizeof(text), "{\"v\":%llu}", (unsigned long long)body);
	if (body) {
		op.put = name_copy;
		op.body = text;
	} else {
		op.del = name_copy;
	}
	r = writer_change(w->writer, w->now, &op, 1);
	if (r == 0)
		r = writer_commit(w->writer, w->now);
	return r;
}

static inline void world_put(struct world *w, const char *name, uint64_t body)
{
	WORLD_CHECK(w, world_change(w, name, body) == 0);
	world_flush(w);
}

static inline void world_del(struct world *w, const char *name)
{
	world_put(w, name, 0);
}
