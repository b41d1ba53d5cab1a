/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A journal of ours that the broker holds and the store does not know, read as a replica reads it:
 * its members are our orphans. Owned by an outlet or by an unknown network; main thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/publisher_private.h"
#include "lib/clock.h"
#include "lib/crypto.h"
#include "schemas/replica.h"

#define READBACK_PATIENCE (10 * USEC_PER_SEC)

struct readback {
	struct publisher *publisher;
	struct topic journal;
	struct replica *replica;
	uint64_t deadline;
	bool done, level;
};

/* ---- what the replica asks for ---- */

static void part_topic(const struct readback *rb, enum topic_kind kind, unsigned slot,
		       unsigned chunk, char ret[static TOPIC_SIZE])
{
	struct topic t = rb->journal;

	t.kind = kind;
	t.slot = slot;
	t.chunk = chunk;
	topic_format(rb->publisher->keys->mesh, &t, ret);
}

static void io_subscribe(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk)
{
	struct readback *rb = owner;
	char topic[TOPIC_SIZE];

	part_topic(rb, kind, slot, chunk, topic);
	if (rb->publisher->mqtt)
		mqtt_subscribe(rb->publisher->mqtt, topic);
}

static void io_unsubscribe(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk)
{
	struct readback *rb = owner;
	char topic[TOPIC_SIZE];

	part_topic(rb, kind, slot, chunk, topic);
	if (rb->publisher->mqtt)
		mqtt_unsubscribe(rb->publisher->mqtt, topic);
}

static void io_changed(void *owner, const struct replica_change *changes, size_t count,
		       bool removed)
{
	/* The members are asked for when it is level. */
	(void)owner;
	(void)changes;
	(void)count;
	(void)removed;
}

static void io_ask(void *owner, const struct journal_ask *ask)
{
	/* We are the one who would be asked. */
	(void)owner;
	(void)ask;
}

static uint32_t io_random(void *owner)
{
	uint32_t n;

	(void)owner;
	crypto_random(&n, sizeof(n));
	return n;
}

/* ---- */

struct readback *readback_new(struct publisher *p, const struct topic *journal)
{
	struct readback *rb = xcalloc(1, sizeof(*rb));
	const struct replica_io io = { .subscribe = io_subscribe,
				       .unsubscribe = io_unsubscribe,
				       .changed = io_changed,
				       .ask = io_ask,
				       .random = io_random,
				       .owner = rb };

	rb->publisher = p;
	rb->journal = *journal;
	rb->journal.kind = TOPIC_JOURNAL;
	rb->deadline = loop_now(p->loop) + READBACK_PATIENCE;
	rb->replica = replica_new(p->keys->mesh, &rb->journal, &p->keyring, &io);
	replica_connected(rb->replica, loop_now(p->loop));
	/* S again: the retained delta comes once more, now for the replica. */
	io_subscribe(rb, TOPIC_JOURNAL, 0, 0);
	return rb;
}

void readback_free(struct readback *rb)
{
	if (!rb)
		return;
	replica_free(rb->replica);
	free(rb);
}

static void finish(struct readback *rb)
{
	rb->done = true;
	io_unsubscribe(rb, TOPIC_JOURNAL, 0, 0);
}

static void check_level(struct readback *rb)
{
	if (rb->done || !replica_is_level(rb->replica) || replica_position(rb->replica).epoch == 0)
		return;
	rb->level = true;
	finish(rb);
}

void readback_message(struct readback *rb, const struct topic *t, const struct mqtt_message *m)
{
	if (rb->done)
		return;
	replica_receive(rb->replica, loop_now(rb->publisher->loop), t, m->payload, m->len);
	check_level(rb);
}

void readback_tick(struct readback *rb)
{
	uint64_t now = loop_now(rb->publisher->loop);

	if (rb->done)
		return;
	if (replica_due(rb->replica) <= now)
		replica_tick(rb->replica, now);
	check_level(rb);
	if (!rb->done && rb->deadline <= now) {
		log_warn("readback-incomplete", "network=%s members=%zu", rb->journal.network,
			 replica_count(rb->replica));
		finish(rb);
	}
}

uint64_t readback_due(const struct readback *rb)
{
	if (rb->done)
		return loop_now(rb->publisher->loop);
	return MIN(rb->deadline, replica_due(rb->replica));
}

bool readback_is_done(const struct readback *rb)
{
	return rb->done;
}

const char *readback_get(const struct readback *rb, const char *name)
{
	return replica_get(rb->replica, name, NULL);
}

bool readback_is_cut(const struct readback *rb)
{
	return rb->done && !rb->level;
}

void readback_disconnected(struct readback *rb)
{
	rb->done = true;
}

static bool is_known(struct publisher *p, const char *network, const char *node, bool ended_too,
		     int *ret)
{
	struct arena arena = { 0 };
	struct member_row member;
	struct ended_row ended;

	*ret = store_member_get(p->store, &arena, network, node, &member);
	if (*ret == -ENOENT && !ended_too)
		*ret = store_ended_get(p->store, &arena, network, node, &ended);
	arena_done(&arena);
	return *ret == 0;
}

int readback_orphans(struct readback *rb, bool ended_too, size_t *ret_count)
{
	struct publisher *p = rb->publisher;
	const char *network = rb->journal.network;
	int r = 0;

	*ret_count = 0;
	for (const char *name = NULL; r == 0 && (name = replica_next(rb->replica, name));) {
		if (is_known(p, network, name, ended_too, &r))
			continue;
		if (r != -ENOENT)
			return r;
		r = p->orphan ? p->orphan(p->orphan_owner, network, name,
					  replica_get(rb->replica, name, NULL)) :
				0;
		(*ret_count)++;
	}
	return r;
}

bool readback_position(const struct publisher *p, const struct topic *t,
		       const struct mqtt_message *m, struct journal_position *ret)
{
	struct journal_manifest manifest = { 0 };
	struct journal_delta delta = { 0 };
	struct arena arena = { 0 };
	struct json_error err;
	struct document d;
	bool ok = false;

	if (document_open(&p->keyring, p->keys->mesh, t, m->payload, m->len, &d) != REFUSED_NOT)
		return false;
	if (t->kind == TOPIC_JOURNAL) {
		ok = journal_delta_decode(&arena, d.body, d.body_len, &delta, &err) == REFUSED_NOT;
		*ret = (struct journal_position){ delta.epoch, delta.ver };
	} else if (t->kind == TOPIC_MANIFEST) {
		ok = journal_manifest_decode(&arena, d.body, d.body_len, &manifest, &err) ==
		     REFUSED_NOT;
		*ret = (struct journal_position){ manifest.epoch, manifest.ver };
	}
	arena_done(&arena);
	return ok;
}
