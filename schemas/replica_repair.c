/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a replica that is behind gets what it misses: deltas that wait, the log's slots, the snapshot,
 * and the request to the writer when nothing of it helps. One thread, that of the replica.
 *
 *	idle -> log -> manifest -> chunks -> log -> idle
 *
 * A repair begins with the log when little is missing, else with the manifest. Each step has a time
 * limit; what could not be reached then waits for the back-off, and the writer is asked.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/replica_private.h"

/* ---- deltas that wait ---- */

static size_t pending_find(const struct replica *r, uint64_t ver)
{
	size_t low = 0, high = r->pending_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->pending[mid]->ver < ver)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void pending_remove(struct replica *r, size_t at, size_t count)
{
	if (count == 0) /* there may be no list yet */
		return;
	for (size_t i = at; i < at + count; i++) {
		r->pending_bytes -= sizeof(struct replica_pending) + r->pending[i]->len;
		free(r->pending[i]);
	}
	r->pending_count -= count;
	memmove(r->pending + at, r->pending + at + count,
		(r->pending_count - at) * sizeof(*r->pending));
}

static void pending_insert(struct replica *r, uint64_t ver, const struct replica_document *d)
{
	size_t at = pending_find(r, ver);
	struct replica_pending *p = xmalloc(sizeof(*p) + d->len + 1);

	p->ver = ver;
	memcpy(p->key, d->key, KEY_ID_SIZE);
	p->len = d->len;
	memcpy(p->bytes, d->bytes, d->len);
	p->bytes[d->len] = '\0';
	if (at < r->pending_count && r->pending[at]->ver == ver)
		pending_remove(r, at, 1);
	if (r->pending_count == r->pending_cap) {
		r->pending_cap = r->pending_cap ? 2 * r->pending_cap : 16;
		r->pending = xreallocarray(r->pending, r->pending_cap, sizeof(*r->pending));
	}
	memmove(r->pending + at + 1, r->pending + at,
		(r->pending_count - at) * sizeof(*r->pending));
	r->pending[at] = p;
	r->pending_count++;
	r->pending_bytes += sizeof(*p) + p->len;
}

void replica_pending_clear(struct replica *r)
{
	pending_remove(r, 0, r->pending_count);
	free(TAKE(r->pending));
	r->pending_cap = 0;
}

/* From where on deltas of this epoch will be needed; false: nobody knows yet. */
static bool base_of(const struct replica *r, uint64_t epoch, uint64_t *ret)
{
	if (r->snapshot && r->snapshot->manifest.epoch == epoch)
		*ret = r->snapshot->manifest.ver;
	else if (r->state.position.epoch == epoch)
		*ret = r->state.position.ver;
	else
		return false;
	return true;
}

void replica_wait(struct replica *r, const struct journal_delta *delta,
		  const struct replica_document *d)
{
	struct journal_position position = { delta->epoch, delta->ver };
	uint64_t base = 0;
	bool known;

	if (delta->epoch < r->pending_epoch)
		return;
	if (delta->epoch > r->pending_epoch) {
		r->pending_epoch = delta->epoch;
		replica_pending_clear(r);
	}
	if (journal_position_cmp(position, r->target) > 0)
		r->target = position;
	known = base_of(r, delta->epoch, &base);
	if (known && delta->ver > base && delta->ver - base > REPLICA_RING)
		return;
	pending_insert(r, delta->ver, d);
	while (r->pending_count > REPLICA_PENDING_MAX || r->pending_bytes > REPLICA_PENDING_BYTES)
		pending_remove(r, known ? r->pending_count - 1 : 0, 1);
}

/* The waiting delta is next. */
static bool pending_step(struct replica *r, struct replica_pending *p)
{
	struct journal_delta delta = { 0 };
	struct arena a = { 0 };
	struct document d;
	bool fits;

	/* It was taken apart before, so it can be again. */
	fits = !document_split(p->bytes, p->len, &d) &&
	       !journal_delta_decode(&a, d.body, d.body_len, &delta, NULL) &&
	       replica_step(r, &delta,
			    &(struct replica_document){ p->bytes, p->len, p->key, d.body,
							d.body_len },
			    &a);
	arena_done(&a);
	return fits;
}

void replica_drain(struct replica *r)
{
	size_t at;

	if (r->pending_epoch != r->state.position.epoch) {
		if (r->pending_epoch < r->state.position.epoch)
			replica_pending_clear(r);
		return;
	}
	at = pending_find(r, r->state.position.ver + 1);
	while (at < r->pending_count && r->pending[at]->ver == r->state.position.ver + 1) {
		if (!pending_step(r, r->pending[at])) {
			r->ask = true;
			pending_remove(r, at, 1);
			break;
		}
		at++;
	}
	pending_remove(r, 0, at);
}

/* ---- the request to the writer ---- */

/* Sends what has gathered; `unproven` goes with the first. */
static void ask_send(struct replica *r, struct journal_ask *ask, size_t *quoted)
{
	r->io.ask(r->io.owner, ask);
	*ask = (struct journal_ask){ .proofs = ask->proofs };
	*quoted = 0;
}

static void ask_add(struct replica *r, struct journal_ask *ask, size_t *quoted, unsigned kind,
		    char *document, char *topic)
{
	size_t n = journal_quoted_len(document);

	if (n > JOURNAL_QUOTED_MAX)
		return;
	if (*quoted + n > JOURNAL_QUOTED_MAX)
		ask_send(r, ask, quoted);
	ask->proofs[ask->proof_count++] =
		(struct journal_proof){ .kind = kind, .document = document, .topic = topic };
	*quoted += n;
}

static void ask_writer(struct replica *r)
{
	struct journal_proof proofs[JOURNAL_PROOFS_MAX];
	struct replica_state *st = &r->state;
	struct journal_ask ask = { .proofs = proofs, .unproven = !st->proof };
	size_t quoted = 0;

	if (st->proof)
		ask_add(r, &ask, &quoted, st->proof_kind, st->proof, NULL);
	if (st->join && journal_position_cmp(st->position, st->minimum) < 0)
		ask_add(r, &ask, &quoted, PROOF_JOIN, st->join, st->join_topic);
	if (r->seen.document && journal_position_cmp(r->seen_position, st->position) > 0)
		ask_add(r, &ask, &quoted, r->seen.kind, r->seen.document, NULL);
	r->io.ask(r->io.owner, &ask);
}

/* ---- phases ---- */

static void phase_begin(struct replica *r, enum replica_phase phase, uint64_t limit)
{
	r->phase = phase;
	r->phase_until = r->now + limit;
	r->phase_from = r->state.position;
	r->start = CLOCK_NEVER;
}

void replica_phase_end(struct replica *r)
{
	enum replica_phase phase = r->phase;
	struct replica_snapshot *s = TAKE(r->snapshot);

	r->phase = PHASE_IDLE;
	if (phase == PHASE_MANIFEST)
		r->io.unsubscribe(r->io.owner, TOPIC_MANIFEST, 0, 0);
	for (unsigned k = 0; phase == PHASE_CHUNKS && k < s->manifest.chunk_count; k++)
		r->io.unsubscribe(r->io.owner, TOPIC_CHUNK, (unsigned)s->manifest.slot, k);
	for (unsigned k = 0; phase == PHASE_LOG && k < JOURNAL_RING; k++)
		if (r->slots[k / 8] & 1u << k % 8)
			r->io.unsubscribe(r->io.owner, TOPIC_LOG, k, 0);
	replica_snapshot_free(s);
}

/* Are we missing at most `limit` deltas, all of our epoch, that chain to us? */
static bool log_helps(const struct replica *r, uint64_t limit)
{
	struct journal_position goal = replica_goal(r), at = r->state.position;

	return r->state.proven && goal.epoch == at.epoch && goal.ver > at.ver &&
	       goal.ver - at.ver <= limit;
}

static void log_begin(struct replica *r)
{
	uint64_t first = r->state.position.ver + 1, last = replica_goal(r).ver;
	bool waiting = r->pending_epoch == r->state.position.epoch;

	memset(r->slots, 0, sizeof(r->slots));
	r->log_tried = true;
	r->log_last = last;
	phase_begin(r, PHASE_LOG, REPLICA_LOG_TIME);
	for (uint64_t ver = first; ver <= last; ver++) {
		unsigned slot = (unsigned)(ver % REPLICA_RING);
		size_t at = pending_find(r, ver);

		if (waiting && at < r->pending_count && r->pending[at]->ver == ver)
			continue;
		r->slots[slot / 8] |= (uint8_t)(1u << slot % 8);
		r->io.subscribe(r->io.owner, TOPIC_LOG, slot, 0);
	}
}

static void manifest_begin(struct replica *r)
{
	phase_begin(r, PHASE_MANIFEST, REPLICA_SNAPSHOT_TIME);
	r->io.subscribe(r->io.owner, TOPIC_MANIFEST, 0, 0);
}

/* The snapshot is taken, or there is none above us: what lies above it is in the log. */
static void log_after_snapshot(struct replica *r)
{
	replica_phase_end(r);
	if (log_helps(r, REPLICA_RING))
		log_begin(r);
}

/* All chunks are there. */
static void snapshot_complete(struct replica *r)
{
	struct replica_snapshot *s = r->snapshot;
	bool taken = replica_snapshot_take(r, s);

	if (taken)
		replica_drain(r);
	else
		r->ask = true;
	if (taken && replica_is_behind(r))
		log_after_snapshot(r);
	else
		replica_phase_end(r);
}

void replica_take_manifest(struct replica *r, struct arena *a, const struct journal_manifest *m,
			   const struct replica_document *d)
{
	const struct replica_state *st = &r->state;

	if (r->phase != PHASE_MANIFEST)
		return;
	if (journal_position_cmp((struct journal_position){ m->epoch, m->ver }, st->position) <=
	    0) {
		if (!r->log_tried && log_helps(r, REPLICA_RING))
			log_after_snapshot(r);
		return;
	}
	if (st->proven && m->epoch == st->position.epoch && m->run_count > 0 &&
	    !journal_runs_hold(m->runs, m->run_count, st->run, st->position.ver)) {
		r->ask = true;
		return;
	}
	replica_phase_end(r);
	r->snapshot = replica_snapshot_new(a, m, d);
	phase_begin(r, PHASE_CHUNKS, REPLICA_SNAPSHOT_TIME);
	for (unsigned k = 0; k < m->chunk_count; k++)
		r->io.subscribe(r->io.owner, TOPIC_CHUNK, (unsigned)m->slot, k);
	if (m->chunk_count == 0)
		snapshot_complete(r);
}

enum refusal replica_take_chunk(struct replica *r, unsigned chunk, const void *bytes, size_t len)
{
	struct replica_snapshot *s = r->snapshot;
	uint8_t hash[HASH_LEN];

	if (len > JOURNAL_CHUNK_MAX)
		return REFUSED_SIZE;
	if (!s || chunk >= s->manifest.chunk_count || s->chunks[chunk].len > 0)
		return REFUSED_NOT;
	sha256(bytes, len, hash);
	if (memcmp(hash, s->manifest.chunks[chunk].hash, HASH_LEN) != 0)
		return REFUSED_CHUNK;
	buf_add(&s->chunks[chunk], bytes, len);
	r->phase_until = r->now + REPLICA_SNAPSHOT_TIME;
	if (--s->missing == 0)
		snapshot_complete(r);
	return REFUSED_NOT;
}

/* ---- when ---- */

/* Spread over the time that the writer and the broker need for all of us. */
static uint64_t jitter(const struct replica *r)
{
	return r->io.random(r->io.owner) % (map_count(r->members) * USEC_PER_SEC / 300 + 1);
}

static void repair_begin(struct replica *r)
{
	r->backoff = r->backoff ? MIN(2 * r->backoff, REPLICA_BACKOFF_MAX) : REPLICA_BACKOFF_FIRST;
	r->not_before = r->now + r->backoff + jitter(r);
	r->start = CLOCK_NEVER;
	if (r->ask_after <= r->now) {
		r->ask = false;
		r->lost = false;
		r->ask_after = CLOCK_NEVER;
		ask_writer(r);
	}
	if (!replica_is_behind(r))
		return;
	r->log_tried = false;
	if (log_helps(r, REPLICA_LOG_MAX))
		log_begin(r);
	else
		manifest_begin(r);
}

void replica_repair(struct replica *r)
{
	enum replica_phase phase = r->phase;

	if (phase == PHASE_IDLE) {
		repair_begin(r);
		return;
	}
	replica_phase_end(r);
	if (phase != PHASE_LOG)
		r->lost = true;
	else if (journal_position_cmp(r->phase_from, r->state.position) == 0)
		manifest_begin(r);
}

/* Nothing more is to be expected from the phase. */
static bool phase_is_over(const struct replica *r)
{
	return !replica_is_behind(r) ||
	       (r->phase == PHASE_LOG && r->state.position.ver >= r->log_last);
}

void replica_settle(struct replica *r)
{
	bool behind = replica_is_behind(r);

	if (!behind)
		r->behind_at = CLOCK_NEVER;
	else if (r->behind_at == CLOCK_NEVER)
		r->behind_at = r->now;
	r->lost = r->lost && behind;
	if (!r->ask && !r->lost)
		r->ask_after = CLOCK_NEVER;
	else if (r->ask_after == CLOCK_NEVER)
		r->ask_after = r->now + jitter(r);
	if (r->phase != PHASE_IDLE && phase_is_over(r))
		replica_phase_end(r);
	if (r->phase != PHASE_IDLE)
		return;
	if (behind)
		r->start = MIN(r->start, r->now + REPLICA_REORDER);
	else
		r->start = r->ask_after;
}
