/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A journal followed: owns its replica and its timer. One thread.
 */
#include "agent/follow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"

struct follow {
	struct follow_config c;
	char mesh[MESH_ID_SIZE];
	char path[TOPIC_SIZE];
	struct replica *replica;
	struct loop_timer timer;
	bool ready; /* the owner was told */
	bool heard; /* a good word of the writer since the connection was made */
};

/* The topic of a part of this journal. */
static void topic_of(const struct follow *f, enum topic_kind kind, unsigned slot, unsigned chunk,
		     char ret[static TOPIC_SIZE])
{
	struct topic t = f->c.journal;

	t.kind = kind;
	t.slot = slot;
	t.chunk = chunk;
	topic_format(f->mesh, &t, ret);
}

static void io_subscribe(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk)
{
	struct follow *f = owner;
	char topic[TOPIC_SIZE];

	topic_of(f, kind, slot, chunk, topic);
	f->c.subscribe(f->c.owner, topic);
}

static void io_unsubscribe(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk)
{
	struct follow *f = owner;
	char topic[TOPIC_SIZE];

	topic_of(f, kind, slot, chunk, topic);
	f->c.unsubscribe(f->c.owner, topic);
}

static void io_changed(void *owner, const struct replica_change *changes, size_t count,
		       bool removed)
{
	struct follow *f = owner;
	struct state *state = f->c.state;
	struct replica_state st;
	bool ready = replica_is_ready(f->replica), first = ready && !f->ready;

	replica_state(f->replica, &st);
	/* What follows from it is on the disk with it, or neither is. */
	state_begin(state);
	state_journal_put(state, f->path, &st, changes, count);
	replica_state_done(&st);
	if (removed)
		state_flush_soon(state);
	f->ready = ready;
	if (first)
		f->c.changed(f->c.owner, f, NULL, 0, true);
	else if (ready && count)
		f->c.changed(f->c.owner, f, changes, count, false);
	state_commit(state);
}

static void io_ask(void *owner, const struct journal_ask *ask)
{
	struct follow *f = owner;
	const struct sign_key *key = f->c.identity;
	struct topic t = f->c.journal;
	struct buf body = { 0 }, document = { 0 };
	char topic[TOPIC_SIZE];

	t.kind = TOPIC_ASK;
	memcpy(t.id, key->id, KEY_ID_SIZE);
	topic_format(f->mesh, &t, topic);
	json_encode(&body, journal_ask_fields, ask);
	document_sign(&document, topic, buf_cstr(&body), body.len, &key, 1);
	log_info("resync-asked", "journal=%s", f->path);
	f->c.publish(f->c.owner, topic, document.data, document.len);
	buf_done(&body);
	buf_done(&document);
}

static uint32_t io_random(void *owner)
{
	uint32_t n;

	(void)owner;
	crypto_random(&n, sizeof(n));
	return n;
}

static void arm(struct follow *f)
{
	loop_timer_set(f->c.loop, &f->timer, replica_due(f->replica));
}

static void fired(struct loop_timer *t)
{
	struct follow *f = container_of(t, struct follow, timer);

	replica_tick(f->replica, loop_now(f->c.loop));
	arm(f);
}

static void restore_member(void *owner, const char *name, const char *body, bool orphan)
{
	struct follow *f = owner;

	replica_restore_member(f->replica, name, body, orphan);
}

static void restore(struct follow *f)
{
	struct replica_state st;
	int r = state_journal_get(f->c.state, f->path, &st, restore_member, f);

	if (r == 0) {
		replica_restore(f->replica, &st);
		replica_state_done(&st);
	} else if (r != -ENOENT) {
		log_error("journal-unreadable", "journal=%s error=%s", f->path, strerror(-r));
	}
}

struct follow *follow_new(const struct follow_config *c)
{
	struct follow *f = xcalloc(1, sizeof(*f));
	const struct replica_io io = {
		.subscribe = io_subscribe,
		.unsubscribe = io_unsubscribe,
		.changed = io_changed,
		.ask = io_ask,
		.random = io_random,
		.owner = f,
	};

	f->c = *c;
	memcpy(f->mesh, c->mesh, MESH_ID_SIZE);
	topic_journal_path(&c->journal, f->path);
	f->timer.fired = fired;
	f->replica = replica_new(f->mesh, &c->journal, c->keys, &io);
	restore(f);
	f->ready = replica_is_ready(f->replica);
	arm(f);
	return f;
}

void follow_free(struct follow *f)
{
	if (!f)
		return;
	loop_timer_del(f->c.loop, &f->timer);
	replica_free(f->replica);
	free(f);
}

void follow_set_minimum(struct follow *f, struct journal_position minimum, const char *topic,
			const char *document)
{
	replica_set_minimum(f->replica, minimum, topic, document);
	f->ready = replica_is_ready(f->replica);
	arm(f);
}

void follow_connected(struct follow *f)
{
	char topic[TOPIC_SIZE];

	f->heard = false;
	replica_connected(f->replica, loop_now(f->c.loop));
	topic_of(f, TOPIC_JOURNAL, 0, 0, topic);
	f->c.subscribe(f->c.owner, topic);
	topic_of(f, TOPIC_BEAT, 0, 0, topic);
	f->c.subscribe(f->c.owner, topic);
	arm(f);
}

void follow_end(struct follow *f)
{
	char topic[TOPIC_SIZE];

	topic_of(f, TOPIC_JOURNAL, 0, 0, topic);
	f->c.unsubscribe(f->c.owner, topic);
	topic_of(f, TOPIC_BEAT, 0, 0, topic);
	f->c.unsubscribe(f->c.owner, topic);
}

enum refusal follow_receive(struct follow *f, const struct topic *t, const void *bytes, size_t len)
{
	enum refusal refused;

	refused = replica_receive(f->replica, loop_now(f->c.loop), t, bytes, len);
	if (!refused && len && (t->kind == TOPIC_JOURNAL || t->kind == TOPIC_BEAT))
		f->heard = true;
	arm(f);
	return refused;
}

void follow_revoke(struct follow *f, const char *key)
{
	replica_revoke(f->replica, loop_now(f->c.loop), key);
	arm(f);
}

void follow_rewrite(struct follow *f)
{
	state_journal_rewrite(f->c.state, f->path, f->replica);
}

const char *follow_path(const struct follow *f)
{
	return f->path;
}

const struct replica *follow_replica(const struct follow *f)
{
	return f->replica;
}

bool follow_is_past_minimum(const struct follow *f)
{
	struct replica_state st;
	bool past;

	replica_state(f->replica, &st);
	past = journal_position_cmp(st.position, st.minimum) >= 0;
	replica_state_done(&st);
	return past;
}

bool follow_is_level(const struct follow *f)
{
	return f->heard && replica_is_ready(f->replica) && replica_is_level(f->replica);
}

int64_t follow_stale_since(const struct follow *f)
{
	uint64_t now = loop_now(f->c.loop), since = replica_stale_since(f->replica, now);

	return since ? clock_wall() - (int64_t)((now - since) / USEC_PER_SEC) : 0;
}
