/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A journal's writer and a broker in memory: what the writer publishes is kept and delivered to the
 * topics that somebody is subscribed to. For tests of what follows a journal.
 */
#pragma once

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "schemas/writer.h"

struct broker_bytes {
	size_t len;
	uint8_t bytes[];
};

struct broker {
	struct map *retained;	   /* topic -> struct broker_bytes */
	struct map *subscriptions; /* topic -> anything */
	struct map *asks;	   /* topic -> struct broker_bytes: published by replicas */
	bool cut;		   /* delivers nothing */
	void (*deliver)(void *owner, const char *topic, const void *bytes, size_t len);
	void *owner;

	char mesh[MESH_ID_SIZE];
	struct topic journal;
	struct sign_key key;
	struct verify_key verify;
	struct keyring keys;
	struct writer *writer;
	uint64_t now;
	int64_t wall;
};

static const struct verify_key *broker_find(void *owner, const struct signers *who, size_t index,
					    const char *key, bool *ret_known)
{
	struct broker *b = owner;

	(void)index;
	*ret_known = strcmp(key, b->key.id) == 0;
	return *ret_known && who->class == SIGNER_COORDINATOR ? &b->verify : NULL;
}

static void broker_put(struct map *m, const char *topic, const void *bytes, size_t len)
{
	struct broker_bytes *b = xmalloc(sizeof(*b) + len);

	b->len = len;
	memcpy(b->bytes, bytes, len);
	free(map_put(m, topic, b));
}

static void broker_publish(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk,
			   const void *bytes, size_t len, bool retain)
{
	struct broker *b = owner;
	struct topic t = b->journal;
	char topic[TOPIC_SIZE];

	t.kind = kind;
	t.slot = slot;
	t.chunk = chunk;
	topic_format(b->mesh, &t, topic);
	if (retain)
		broker_put(b->retained, topic, bytes, len);
	if (!b->cut && map_get(b->subscriptions, topic))
		b->deliver(b->owner, topic, bytes, len);
}

static int broker_store(void *owner, const struct writer_record *rec)
{
	(void)owner;
	(void)rec;
	return 0;
}

static void broker_random(void *owner, void *ret, size_t n)
{
	(void)owner;
	crypto_random(ret, n);
}

static inline void broker_subscribe(void *owner, const char *topic)
{
	struct broker *b = owner;
	struct broker_bytes *m = map_get(b->retained, topic);

	map_put(b->subscriptions, topic, b);
	if (m && !b->cut)
		b->deliver(b->owner, topic, m->bytes, m->len);
}

static inline void broker_unsubscribe(void *owner, const char *topic)
{
	struct broker *b = owner;

	map_del(b->subscriptions, topic);
}

static inline void broker_take_ask(void *owner, const char *topic, const void *bytes, size_t len)
{
	struct broker *b = owner;

	broker_put(b->asks, topic, bytes, len);
}

static inline void broker_turn(struct broker *b)
{
	b->now += 2 * USEC_PER_SEC;
	b->wall += 2;
	if (writer_tick(b->writer, b->now, (uint64_t)b->wall * 1000) < 0)
		abort();
	writer_flush(b->writer);
}

/* An empty journal n/<network>/<kind>, written. */
static inline void broker_begin(struct broker *b, const char *network, enum journal_kind kind)
{
	const struct writer_io io = { .store = broker_store,
				      .publish = broker_publish,
				      .random = broker_random,
				      .owner = b };
	uint8_t root[KEY_LEN] = { 1 };

	b->retained = map_new();
	b->subscriptions = map_new();
	b->asks = map_new();
	mesh_id(root, b->mesh);
	b->journal = (struct topic){ .kind = TOPIC_JOURNAL, .journal = kind };
	strcpy(b->journal.network, network);
	sign_key_generate(&b->key);
	verify_key_init(&b->verify, b->key.public_key);
	b->keys = (struct keyring){ .find = broker_find, .owner = b };
	b->now = 1000 * USEC_PER_SEC;
	b->wall = 1800000000;
	b->writer = writer_new(b->mesh, &b->journal, &b->key, &b->keys, &io, false);
	writer_run(b->writer);
	if (writer_begin(b->writer, b->now, 0, b->wall, false) < 0)
		abort();
	broker_turn(b);
}

static inline void broker_end(struct broker *b)
{
	writer_free(b->writer);
	map_free(b->retained, free);
	map_free(b->subscriptions, NULL);
	map_free(b->asks, free);
	sign_key_done(&b->key);
	verify_key_done(&b->verify);
}

/* One change, and its beat. `body` NULL: a del. */
static inline void broker_change(struct broker *b, const char *name, const char *body)
{
	char n[JOURNAL_NAME_MAX + 1], text[1024] = "";
	struct journal_op op = { 0 };

	strcpy(n, name);
	if (body) {
		strcpy(text, body);
		op.put = n;
		op.body = text;
	} else {
		op.del = n;
		op.why = WHY_REMOVED;
	}
	b->now += USEC_PER_SEC;
	if (writer_change(b->writer, b->now, &op, 1) < 0 || writer_commit(b->writer, b->now) < 0)
		abort();
	writer_flush(b->writer);
	broker_turn(b);
}
