/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A replica's members and the state that is stored with them: how deltas change them, and what is
 * known after a move. One thread, that of the replica.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/replica_private.h"

struct journal_position replica_goal(const struct replica *r)
{
	return journal_position_cmp(r->target, r->state.minimum) > 0 ? r->target : r->state.minimum;
}

bool replica_is_behind(const struct replica *r)
{
	return !r->state.proven || journal_position_cmp(replica_goal(r), r->state.position) > 0;
}

/* ---- members ---- */

struct replica_member *replica_member_new(const char *name, const char *body, bool orphan)
{
	size_t len = strlen(body);
	struct replica_member *m = xmalloc(sizeof(*m) + len + 1);

	m->orphan = orphan;
	m->size = strlen(name) + len;
	memcpy(m->body, body, len + 1);
	return m;
}

static void member_free(struct replica *r, struct replica_member *m)
{
	if (!m)
		return;
	r->orphans -= m->orphan;
	r->bytes -= m->size;
	free(m);
}

void replica_member_put(struct replica *r, const char *name, struct replica_member *m)
{
	r->orphans += m->orphan;
	r->bytes += m->size;
	member_free(r, map_put(r->members, name, m));
}

/* ---- the state ---- */

static void floor_put(struct replica_state *st, const char *key, struct journal_position taken)
{
	struct replica_floor *lowest = &st->floors[0];

	for (size_t i = 0; i < st->floor_count; i++) {
		if (strcmp(st->floors[i].key, key) == 0) {
			st->floors[i].taken = taken;
			return;
		}
		if (journal_position_cmp(st->floors[i].taken, lowest->taken) < 0)
			lowest = &st->floors[i];
	}
	if (st->floor_count < ARRAY_SIZE(st->floors))
		lowest = &st->floors[st->floor_count++];
	memcpy(lowest->key, key, KEY_ID_SIZE);
	lowest->taken = taken;
}

void replica_forget_minimum(struct replica_state *st)
{
	st->minimum = (struct journal_position){ 0 };
	free(TAKE(st->join));
	free(TAKE(st->join_topic));
}

static void set_proof(struct replica_state *st, const struct replica_document *d, unsigned kind)
{
	free(st->proof);
	st->proof = xstrndup(d->bytes, d->len);
	st->proof_kind = kind;
	memcpy(st->proof_key, d->key, KEY_ID_SIZE);
	floor_put(st, d->key, st->position);
}

void replica_prove(struct replica *r, const struct replica_document *d, unsigned kind)
{
	const char *proof = r->state.proof;

	if (proof && strlen(proof) == d->len && memcmp(proof, d->bytes, d->len) == 0)
		return;
	set_proof(&r->state, d, kind);
	r->io.changed(r->io.owner, NULL, 0, false);
}

void replica_backoff_reset(struct replica *r)
{
	r->backoff = 0;
	r->not_before = 0;
}

void replica_move(struct replica *r, struct journal_position position,
		  const uint8_t hash[static HASH_LEN], const uint8_t run[static RUN_LEN],
		  const struct replica_document *d, unsigned kind,
		  const struct replica_changes *changes)
{
	struct replica_state *st = &r->state;
	bool removed = false;

	r->confirmed = false;
	st->position = position;
	st->proven = true;
	memcpy(st->hash, hash, HASH_LEN);
	memcpy(st->run, run, RUN_LEN);
	set_proof(st, d, kind);
	if (journal_position_cmp(position, st->minimum) >= 0) {
		/* It has done its work; and the key that it rests on may be revoked some day. */
		st->join_reached = true;
		replica_forget_minimum(st);
	}
	if (r->seen.document && journal_position_cmp(r->seen_position, position) <= 0)
		free(TAKE(r->seen.document));
	replica_backoff_reset(r);
	r->behind_at = CLOCK_NEVER;
	for (size_t i = 0; i < changes->count; i++)
		removed |= changes->list[i].change == MEMBER_DEL;
	r->io.changed(r->io.owner, changes->list, changes->count, removed);
}

/* ---- a delta ---- */

void replica_changes_add(struct replica_changes *c, const char *name,
			 enum replica_member_change change, const char *body, unsigned why)
{
	c->list[c->count++] =
		(struct replica_change){ .name = name, .change = change, .body = body, .why = why };
}

static void apply_put(struct replica *r, const struct journal_op *op, struct replica_changes *c)
{
	const struct replica_member *old = map_get(r->members, op->put);

	if (old && !old->orphan && strcmp(old->body, op->body) == 0)
		return;
	replica_member_put(r, op->put, replica_member_new(op->put, op->body, false));
	replica_changes_add(c, op->put, MEMBER_PUT, op->body, WHY_REMOVED);
}

static void apply_del(struct replica *r, const struct journal_op *op, struct replica_changes *c)
{
	struct replica_member *old = map_del(r->members, op->del);

	if (old)
		replica_changes_add(c, op->del, MEMBER_DEL, NULL, op->why);
	member_free(r, old);
}

static void apply_drop(struct replica *r, struct replica_changes *c, struct arena *a)
{
	struct map_entry *e = NULL;

	r->state.drop_due = false;
	if (r->orphans == 0)
		return;
	while ((e = map_next(r->members, e))) {
		const struct replica_member *m = map_entry_value(e);
		char *name;

		if (!m->orphan)
			continue;
		name = arena_strdup(a, map_entry_key(e));
		replica_changes_add(c, name, MEMBER_DEL, NULL, WHY_GONE);
		member_free(r, map_del(r->members, name));
	}
}

void replica_drop_due(struct replica *r)
{
	struct replica_changes c = { 0 };
	struct arena a = { 0 };

	if (!r->state.drop_due)
		return;
	c.list = arena_array(&a, r->orphans + 1, sizeof(*c.list));
	apply_drop(r, &c, &a);
	r->io.changed(r->io.owner, c.list, c.count, c.count > 0);
	arena_done(&a);
}

static bool has_room(const struct replica *r, const struct journal_delta *delta)
{
	size_t bytes = r->bytes;

	for (size_t i = 0; i < delta->op_count; i++)
		if (delta->ops[i].put)
			bytes += strlen(delta->ops[i].put) + strlen(delta->ops[i].body);
	/* Members once, orphans once. */
	return bytes <= 2 * (size_t)JOURNAL_BYTES_MAX;
}

bool replica_step(struct replica *r, const struct journal_delta *delta,
		  const struct replica_document *d, struct arena *a)
{
	struct replica_changes c = { 0 };
	size_t drops = 0;
	uint8_t hash[HASH_LEN];

	if (memcmp(delta->prev, r->state.hash, HASH_LEN) != 0 || !has_room(r, delta))
		return false;
	for (size_t i = 0; i < delta->op_count; i++)
		drops |= delta->ops[i].drop;
	c.list = arena_array(a, delta->op_count + drops * r->orphans + 1, sizeof(*c.list));
	for (size_t i = 0; i < delta->op_count; i++) {
		const struct journal_op *op = &delta->ops[i];

		if (op->put)
			apply_put(r, op, &c);
		else if (op->del)
			apply_del(r, op, &c);
		else
			apply_drop(r, &c, a);
	}
	sha256(d->body, d->body_len, hash);
	replica_move(r, (struct journal_position){ delta->epoch, delta->ver }, hash, delta->run, d,
		     PROOF_DELTA, &c);
	return true;
}
