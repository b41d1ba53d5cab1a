/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A journal's replica: what it is given, what it answers. The rules are in docs/journal.md. One
 * thread.
 */
#include "schemas/replica.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/replica_private.h"

/* ---- making, keeping ---- */

void replica_state_done(struct replica_state *s)
{
	free(s->proof);
	free(s->join);
	free(s->join_topic);
	*s = (struct replica_state){ 0 };
}

static char *copy(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

static void state_copy(struct replica_state *ret, const struct replica_state *s)
{
	*ret = *s;
	ret->proof = copy(s->proof);
	ret->join = copy(s->join);
	ret->join_topic = copy(s->join_topic);
}

/* All that a connection brought. */
static void forget(struct replica *r)
{
	replica_pending_clear(r);
	r->pending_epoch = 0;
	r->target = (struct journal_position){ 0 };
	free(TAKE(r->seen.document));
	replica_snapshot_free(TAKE(r->snapshot));
	r->phase = PHASE_IDLE;
	r->start = CLOCK_NEVER;
}

struct replica *replica_new(const char *mesh, const struct topic *journal,
			    const struct keyring *keys, const struct replica_io *io)
{
	struct replica *r = xcalloc(1, sizeof(*r));

	memcpy(r->mesh, mesh, MIN(strlen(mesh), sizeof(r->mesh) - 1));
	r->journal = *journal;
	r->keys = *keys;
	r->io = *io;
	r->members = map_new();
	r->ask_after = CLOCK_NEVER;
	r->behind_at = CLOCK_NEVER;
	forget(r);
	return r;
}

void replica_free(struct replica *r)
{
	if (!r)
		return;
	forget(r);
	map_free(r->members, free);
	replica_state_done(&r->state);
	free(r);
}

void replica_restore_member(struct replica *r, const char *name, const char *body, bool orphan)
{
	replica_member_put(r, name, replica_member_new(name, body, orphan));
}

void replica_restore(struct replica *r, const struct replica_state *s)
{
	replica_state_done(&r->state);
	state_copy(&r->state, s);
}

void replica_state(const struct replica *r, struct replica_state *ret)
{
	state_copy(ret, &r->state);
}

void replica_set_minimum(struct replica *r, struct journal_position minimum, const char *topic,
			 const char *document)
{
	struct replica_state *st = &r->state;

	if (journal_position_cmp(minimum, st->minimum) < 0)
		return;
	replica_forget_minimum(st);
	if (st->proven && journal_position_cmp(st->position, minimum) >= 0) {
		st->join_reached = true;
	} else {
		st->minimum = minimum;
		st->join = xstrdup(document);
		st->join_topic = xstrdup(topic);
	}
	r->io.changed(r->io.owner, NULL, 0, false);
	if (r->connected)
		replica_settle(r);
}

/* ---- receiving ---- */

/* The newest document above us that we could not reach proves to the writer what it has lost. */
static void see(struct replica *r, struct journal_position position, unsigned kind,
		const struct replica_document *d)
{
	if (journal_position_cmp(position, r->state.position) <= 0 ||
	    (r->seen.document && journal_position_cmp(position, r->seen_position) <= 0))
		return;
	/* The first of a journal that had none yet. */
	if (!r->seen.document && !r->state.proven)
		replica_backoff_reset(r);
	free(r->seen.document);
	r->seen = (struct journal_proof){ .kind = kind, .document = xstrndup(d->bytes, d->len) };
	r->seen_position = position;
}

/* Not above us: the word that we have, by whatever key, or an old one. */
static enum refusal receive_level(struct replica *r, struct journal_position position,
				  const struct replica_document *d)
{
	uint8_t hash[HASH_LEN];

	if (!r->state.proven || journal_position_cmp(position, r->state.position) != 0)
		return REFUSED_OLD;
	sha256(d->body, d->body_len, hash);
	if (memcmp(hash, r->state.hash, HASH_LEN) != 0)
		return REFUSED_OLD;
	replica_prove(r, d, PROOF_DELTA);
	return REFUSED_NOT;
}

static enum refusal receive_delta(struct replica *r, struct arena *a,
				  const struct replica_document *d)
{
	const struct replica_state *st = &r->state;
	struct journal_delta delta = { 0 };
	struct journal_position position;
	enum refusal refused;

	refused = journal_delta_decode(a, d->body, d->body_len, &delta, NULL);
	if (refused)
		return refused;
	position = (struct journal_position){ delta.epoch, delta.ver };
	if (journal_position_cmp(position, st->position) <= 0)
		return receive_level(r, position, d);
	if (st->proven && delta.epoch == st->position.epoch && delta.ver == st->position.ver + 1) {
		if (replica_step(r, &delta, d, a))
			replica_drain(r);
		else
			r->ask = true;
	} else {
		replica_wait(r, &delta, d);
	}
	see(r, position, PROOF_DELTA, d);
	return REFUSED_NOT;
}

static enum refusal receive_beat(struct replica *r, struct arena *a,
				 const struct replica_document *d)
{
	const struct replica_state *st = &r->state;
	struct journal_beat beat = { 0 };
	struct journal_position position;
	enum refusal refused;

	refused = journal_beat_decode(a, d->body, d->body_len, &beat, NULL);
	if (refused)
		return refused;
	position = (struct journal_position){ beat.epoch, beat.ver };
	see(r, position, PROOF_BEAT, d);
	if (beat.time <= r->beat_time)
		return REFUSED_OLD;
	r->beat_time = beat.time;
	r->confirmed = false;
	if (beat.time > r->fresh_time) {
		r->fresh_time = beat.time;
		r->fresh_at = r->now;
	}
	if (journal_position_cmp(position, st->position) > 0) {
		if (journal_position_cmp(position, r->target) > 0)
			r->target = position;
	} else if (journal_position_cmp(position, st->position) < 0 ||
		   journal_position_cmp(position, st->minimum) < 0 || !st->proven ||
		   memcmp(beat.hash, st->hash, HASH_LEN) != 0) {
		r->ask = true;
	} else {
		r->confirmed = true;
		replica_drop_due(r);
	}
	return REFUSED_NOT;
}

static enum refusal receive_manifest(struct replica *r, struct arena *a,
				     const struct replica_document *d)
{
	struct journal_manifest m = { 0 };
	enum refusal refused;

	refused = journal_manifest_decode(a, d->body, d->body_len, &m, NULL);
	if (refused)
		return refused;
	see(r, (struct journal_position){ m.epoch, m.ver }, PROOF_MANIFEST, d);
	replica_take_manifest(r, a, &m, d);
	return REFUSED_NOT;
}

static enum refusal receive_document(struct replica *r, enum topic_kind kind, const void *bytes,
				     size_t len)
{
	struct topic place = r->journal;
	struct replica_document d = { .bytes = bytes, .len = len };
	struct document opened;
	struct arena a = { 0 };
	enum refusal refused;

	/* Whatever topic it came from: it has to be of this journal. */
	place.kind = kind;
	refused = document_open(&r->keys, r->mesh, &place, bytes, len, &opened);
	if (refused)
		return refused;
	d.key = opened.signatures[0].key;
	d.body = opened.body;
	d.body_len = opened.body_len;
	if (kind == TOPIC_BEAT)
		refused = receive_beat(r, &a, &d);
	else if (kind == TOPIC_MANIFEST)
		refused = receive_manifest(r, &a, &d);
	else
		refused = receive_delta(r, &a, &d);
	arena_done(&a);
	return refused;
}

enum refusal replica_receive(struct replica *r, uint64_t now, const struct topic *t,
			     const void *bytes, size_t len)
{
	enum refusal refused;

	r->now = now;
	if (len == 0)
		return REFUSED_NOT;
	switch (t->kind) {
	case TOPIC_CHUNK:
		refused = replica_take_chunk(r, t->chunk, bytes, len);
		break;
	case TOPIC_JOURNAL:
	case TOPIC_LOG:
	case TOPIC_MANIFEST:
	case TOPIC_BEAT:
		refused = receive_document(r, t->kind, bytes, len);
		break;
	default:
		return REFUSED_PLACE;
	}
	replica_settle(r);
	return refused;
}

/* ---- time, connections, keys ---- */

void replica_connected(struct replica *r, uint64_t now)
{
	r->now = now;
	forget(r);
	r->beat_time = 0;
	r->confirmed = false;
	r->ask = false;
	r->lost = false;
	r->ask_after = CLOCK_NEVER;
	replica_backoff_reset(r);
	r->connected = true;
	replica_settle(r);
}

uint64_t replica_due(const struct replica *r)
{
	if (!r->ticked)
		return 0;
	if (!r->connected)
		return CLOCK_NEVER;
	if (r->phase != PHASE_IDLE)
		return r->phase_until;
	return r->start == CLOCK_NEVER ? CLOCK_NEVER : MAX(r->start, r->not_before);
}

void replica_tick(struct replica *r, uint64_t now)
{
	r->now = now;
	if (!r->ticked) {
		r->ticked = true;
		r->fresh_at = now;
	}
	/* Each turn begins something with a later time, or waits for the back-off. */
	while (replica_due(r) <= now) {
		replica_repair(r);
		replica_settle(r);
	}
}

/* The highest position below this one. */
static struct journal_position just_below(struct journal_position p)
{
	if (p.ver > 0)
		return (struct journal_position){ p.epoch, p.ver - 1 };
	if (p.epoch > 0)
		return (struct journal_position){ p.epoch - 1, INT64_MAX };
	return p;
}

void replica_revoke(struct replica *r, uint64_t now, const char *key)
{
	struct replica_state *st = &r->state;
	struct journal_position highest = { 0 };
	struct document join;
	size_t kept = 0;

	r->now = now;
	for (size_t i = 0; i < st->floor_count; i++) {
		if (strcmp(st->floors[i].key, key) == 0)
			continue;
		st->floors[kept++] = st->floors[i];
		if (journal_position_cmp(st->floors[i].taken, highest) > 0)
			highest = st->floors[i].taken;
	}
	st->floor_count = kept;
	if (r->phase != PHASE_IDLE)
		replica_phase_end(r);
	forget(r);
	if (strcmp(st->proof_key, key) == 0) {
		st->position = just_below(highest);
		st->proven = false;
		memset(st->hash, 0, sizeof(st->hash));
		memset(st->run, 0, sizeof(st->run));
		free(TAKE(st->proof));
		memset(st->proof_key, 0, sizeof(st->proof_key));
	}
	if (st->join && !document_split(st->join, strlen(st->join), &join) &&
	    strcmp(join.signatures[0].key, key) == 0)
		replica_forget_minimum(st);
	r->io.changed(r->io.owner, NULL, 0, false);
	if (r->connected)
		replica_settle(r);
}

/* ---- readings ---- */

bool replica_is_ready(const struct replica *r)
{
	return r->state.join_reached;
}

struct journal_position replica_position(const struct replica *r)
{
	return r->state.position;
}

const char *replica_get(const struct replica *r, const char *name, bool *ret_orphan)
{
	const struct replica_member *m = replica_is_ready(r) ? map_get(r->members, name) : NULL;

	if (m && ret_orphan)
		*ret_orphan = m->orphan;
	return m ? m->body : NULL;
}

size_t replica_count(const struct replica *r)
{
	return replica_is_ready(r) ? map_count(r->members) : 0;
}

size_t replica_orphan_count(const struct replica *r)
{
	return replica_is_ready(r) ? r->orphans : 0;
}

const char *replica_next(const struct replica *r, const char *name)
{
	const struct map_entry *e = NULL;

	if (!replica_is_ready(r))
		return NULL;
	if (name)
		e = map_find(r->members, name);
	if (name && !e)
		return NULL;
	e = map_next(r->members, e);
	return e ? map_entry_key(e) : NULL;
}

uint64_t replica_stale_since(const struct replica *r, uint64_t now)
{
	uint64_t since = CLOCK_NEVER;

	if (r->ticked && now > r->fresh_at + REPLICA_STALE)
		since = r->fresh_at + REPLICA_STALE;
	if (r->behind_at != CLOCK_NEVER && now > r->behind_at + REPLICA_STALE)
		since = MIN(since, r->behind_at + REPLICA_STALE);
	return since == CLOCK_NEVER ? 0 : since;
}

bool replica_is_level(const struct replica *r)
{
	return replica_is_ready(r) && !replica_is_behind(r);
}

bool replica_is_confirmed(const struct replica *r)
{
	return r->confirmed && replica_is_level(r);
}
