/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A writer and a replica of one journal with nothing but retained topics between them: for tests and
 * benches with many members. Nothing is stored. The clock is the caller's.
 */
#pragma once

#include <assert.h>

#include "lib/clock.h"
#include "lib/mem.h"
#include "schemas/replica.h"
#include "schemas/writer.h"

#define PIPE_MESH "abcdefghij"

enum { PIPE_JOURNAL, PIPE_MANIFEST, PIPE_BEAT, PIPE_LOG, PIPE_CHUNK = PIPE_LOG + JOURNAL_RING };
#define PIPE_TOPICS (PIPE_CHUNK + 2 * JOURNAL_CHUNKS_MAX)

struct pipe {
	struct sign_key key;
	struct verify_key verify;
	struct topic journal;
	struct keyring keys;
	uint64_t now, random;
	struct writer *writer;
	struct replica *replica;
	int store_result;
	unsigned stores, publishes;
	struct buf retained[PIPE_TOPICS];
	bool subscribed[PIPE_TOPICS];
	unsigned *under_way; /* topics, to the replica */
	size_t under_way_count, under_way_cap;
	unsigned puts, dels, orphaned, asks;
};

static inline unsigned pipe_topic(enum topic_kind kind, unsigned slot, unsigned chunk)
{
	switch (kind) {
	case TOPIC_LOG:
		return PIPE_LOG + slot;
	case TOPIC_CHUNK:
		return PIPE_CHUNK + slot * JOURNAL_CHUNKS_MAX + chunk;
	case TOPIC_MANIFEST:
		return PIPE_MANIFEST;
	case TOPIC_BEAT:
		return PIPE_BEAT;
	default:
		return PIPE_JOURNAL;
	}
}

static inline struct topic pipe_topic_of(const struct pipe *p, unsigned number)
{
	struct topic t = p->journal;

	if (number >= PIPE_CHUNK) {
		t.kind = TOPIC_CHUNK;
		t.slot = (number - PIPE_CHUNK) / JOURNAL_CHUNKS_MAX;
		t.chunk = (number - PIPE_CHUNK) % JOURNAL_CHUNKS_MAX;
	} else if (number >= PIPE_LOG) {
		t.kind = TOPIC_LOG;
		t.slot = number - PIPE_LOG;
	} else {
		t.kind = number == PIPE_MANIFEST ? TOPIC_MANIFEST :
			 number == PIPE_BEAT	 ? TOPIC_BEAT :
						   TOPIC_JOURNAL;
	}
	return t;
}

static inline const struct verify_key *pipe_find(void *owner, const struct signers *who,
						 size_t index, const char *key, bool *ret_known)
{
	struct pipe *p = owner;

	(void)index;
	*ret_known = strcmp(key, p->verify.id) == 0;
	return *ret_known && who->class == SIGNER_COORDINATOR ? &p->verify : NULL;
}

static inline int pipe_store(void *owner, const struct writer_record *rec)
{
	struct pipe *p = owner;

	(void)rec;
	p->stores++;
	return p->store_result;
}

static inline void pipe_send(struct pipe *p, unsigned topic)
{
	if (!p->replica || !p->subscribed[topic] || p->retained[topic].len == 0)
		return;
	if (p->under_way_count == p->under_way_cap) {
		p->under_way_cap = p->under_way_cap ? 2 * p->under_way_cap : 256;
		p->under_way = xreallocarray(p->under_way, p->under_way_cap, sizeof(unsigned));
	}
	p->under_way[p->under_way_count++] = topic;
}

static inline void pipe_publish(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk,
				const void *bytes, size_t len, bool retain)
{
	struct pipe *p = owner;
	unsigned topic = pipe_topic(kind, slot, chunk);

	(void)retain;
	p->publishes++;
	buf_clear(&p->retained[topic]);
	buf_add(&p->retained[topic], bytes, len);
	pipe_send(p, topic);
}

static inline void pipe_random(void *owner, void *ret, size_t n)
{
	struct pipe *p = owner;

	for (size_t i = 0; i < n; i++) {
		p->random = p->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		((uint8_t *)ret)[i] = (uint8_t)(p->random >> 56);
	}
}

static inline uint32_t pipe_random32(void *owner)
{
	uint32_t n;

	pipe_random(owner, &n, sizeof(n));
	return n;
}

static inline void pipe_subscribe(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk)
{
	struct pipe *p = owner;

	p->subscribed[pipe_topic(kind, slot, chunk)] = true;
	pipe_send(p, pipe_topic(kind, slot, chunk));
}

static inline void pipe_unsubscribe(void *owner, enum topic_kind kind, unsigned slot,
				    unsigned chunk)
{
	((struct pipe *)owner)->subscribed[pipe_topic(kind, slot, chunk)] = false;
}

static inline void pipe_changed(void *owner, const struct replica_change *changes, size_t count,
				bool removed)
{
	struct pipe *p = owner;

	(void)removed;
	for (size_t i = 0; i < count; i++) {
		p->puts += changes[i].change == MEMBER_PUT;
		p->dels += changes[i].change == MEMBER_DEL;
		p->orphaned += changes[i].change == MEMBER_ORPHANED;
	}
}

static inline void pipe_ask(void *owner, const struct journal_ask *ask)
{
	(void)ask;
	((struct pipe *)owner)->asks++;
}

/* A writer that has begun; no replica yet. */
static inline void pipe_init(struct pipe *p)
{
	const uint8_t secret[KEY_LEN] = { 7 };
	const struct writer_io io = { pipe_store, pipe_publish, pipe_random, p };

	memset(p, 0, sizeof(*p));
	sign_key_from_secret(secret, &p->key);
	verify_key_init(&p->verify, p->key.public_key);
	p->journal = (struct topic){ .kind = TOPIC_JOURNAL, .network = "dc1" };
	p->keys = (struct keyring){ pipe_find, p };
	p->now = 1000 * USEC_PER_SEC;
	p->writer = writer_new(PIPE_MESH, &p->journal, &p->key, &p->keys, &io, false);
	if (writer_begin(p->writer, p->now, 0, 1000, true) < 0)
		abort();
	writer_flush(p->writer);
}

/* A replica that knows nothing (any it had before is gone), connected. */
static inline void pipe_replica(struct pipe *p)
{
	const struct replica_io io = { pipe_subscribe, pipe_unsubscribe, pipe_changed,
				       pipe_ask,       pipe_random32,	 p };

	replica_free(p->replica);
	memset(p->subscribed, 0, sizeof(p->subscribed));
	p->under_way_count = 0;
	p->replica = replica_new(PIPE_MESH, &p->journal, &p->keys, &io);
	replica_tick(p->replica, p->now);
	replica_connected(p->replica, p->now);
	pipe_subscribe(p, TOPIC_JOURNAL, 0, 0);
	pipe_subscribe(p, TOPIC_BEAT, 0, 0);
}

/* What is under way arrives; how many were refused. */
static inline unsigned pipe_pump(struct pipe *p)
{
	unsigned refused = 0;

	for (size_t i = 0; i < p->under_way_count; i++) {
		unsigned topic = p->under_way[i];
		const struct topic t = pipe_topic_of(p, topic);

		refused += replica_receive(p->replica, p->now, &t, p->retained[topic].data,
					   p->retained[topic].len) != REFUSED_NOT;
	}
	p->under_way_count = 0;
	return refused;
}

/* So long goes by. */
static inline void pipe_run(struct pipe *p, uint64_t usec)
{
	uint64_t until = p->now + usec, next;

	for (;;) {
		if (p->replica) {
			pipe_pump(p);
			replica_tick(p->replica, p->now);
			pipe_pump(p);
		}
		if (writer_tick(p->writer, p->now, p->now / 1000) < 0)
			abort();
		writer_flush(p->writer);
		next = writer_due(p->writer);
		if (p->replica)
			next = MIN(next, replica_due(p->replica));
		if (p->under_way_count > 0)
			continue;
		if (next > until)
			break;
		p->now = MAX(p->now, next);
	}
	p->now = until;
}

static inline void pipe_done(struct pipe *p)
{
	writer_free(p->writer);
	replica_free(p->replica);
	for (size_t i = 0; i < PIPE_TOPICS; i++)
		buf_done(&p->retained[i]);
	free(p->under_way);
	sign_key_done(&p->key);
	verify_key_done(&p->verify);
}

/* Puts `count` members of about this many bytes, from this number on. */
static inline int pipe_put(struct pipe *p, unsigned from, unsigned count, unsigned body_len)
{
	struct journal_op *ops = xcalloc(count, sizeof(*ops));
	struct buf body = { 0 };
	int r;

	for (unsigned i = 0; i < count; i++) {
		ops[i].put = xasprintf("node%08u", from + i);
		buf_clear(&body);
		buf_printf(&body, "{\"n\":%u,\"x\":\"", from + i);
		while (body.len < body_len)
			buf_char(&body, (char)('a' + pipe_random32(p) % 26));
		buf_str(&body, "\"}");
		ops[i].body = xstrdup(body.data);
	}
	r = writer_change(p->writer, p->now, ops, count);
	if (r == 0)
		r = writer_commit(p->writer, p->now);
	for (unsigned i = 0; i < count; i++) {
		free(ops[i].put);
		free(ops[i].body);
	}
	free(ops);
	buf_done(&body);
	return r;
}

/* Have both the same members? */
static inline bool pipe_is_equal(const struct pipe *p)
{
	const char *name = NULL;
	bool orphan = false;

	if (writer_count(p->writer) != replica_count(p->replica))
		return false;
	while ((name = writer_next(p->writer, name))) {
		const char *have = replica_get(p->replica, name, &orphan);

		if (!have || orphan || strcmp(have, writer_get(p->writer, name)) != 0)
			return false;
	}
	return true;
}
