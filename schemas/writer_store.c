/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a writer's word becomes durable, and then public: a draft of what is to be is built beside what
 * is, given to the store as one transaction, and takes its place only when that has succeeded. One
 * thread, that of the writer.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/writer_private.h"

/* ---- what waits to be published ---- */

static void audit_note(struct writer *w, enum topic_kind kind, unsigned slot, unsigned chunk)
{
	if (!w->audit)
		return;
	switch (kind) {
	case TOPIC_JOURNAL:
		w->audit->newest = true;
		break;
	case TOPIC_LOG:
		w->audit->log[slot] = true;
		break;
	case TOPIC_MANIFEST:
		w->audit->manifest = true;
		break;
	case TOPIC_CHUNK:
		w->audit->chunks[chunk] = true;
		break;
	default:
		break;
	}
}

void writer_queue_clear(struct writer *w)
{
	struct writer_message *m, *next;

	for (m = w->queue; m; m = next) {
		next = m->next;
		buf_done(&m->bytes);
		free(m);
	}
	w->queue = NULL;
	w->queue_end = &w->queue;
	w->queue_count = 0;
}

void writer_queue(struct writer *w, enum topic_kind kind, unsigned slot, unsigned chunk,
		  struct buf *bytes)
{
	struct writer_message *m;

	if (w->queue_count >= WRITER_QUEUE_MAX)
		/* Nobody is connected. The next connection's audit finds what is missing. */
		writer_queue_clear(w);
	audit_note(w, kind, slot, chunk);
	for (m = w->queue; m && kind == TOPIC_BEAT; m = m->next) {
		if (m->kind != TOPIC_BEAT)
			continue;
		buf_done(&m->bytes);
		m->bytes = *bytes;
		*bytes = (struct buf){ 0 };
		return;
	}
	m = xmalloc(sizeof(*m));
	*m = (struct writer_message){ .kind = kind, .slot = slot, .chunk = chunk, .bytes = *bytes };
	*bytes = (struct buf){ 0 };
	*w->queue_end = m;
	w->queue_end = &m->next;
	w->queue_count++;
}

void writer_queue_copy(struct writer *w, enum topic_kind kind, unsigned slot, const char *bytes,
		       size_t len)
{
	struct buf copy = { 0 };

	buf_add(&copy, bytes, len);
	writer_queue(w, kind, slot, 0, &copy);
}

void writer_flush(struct writer *w)
{
	for (const struct writer_message *m = w->queue; m; m = m->next)
		w->io.publish(w->io.owner, m->kind, m->slot, m->chunk, m->bytes.data, m->bytes.len,
			      m->kind != TOPIC_BEAT);
	writer_queue_clear(w);
}

/* ---- the draft ---- */

struct draft {
	struct writer_state next; /* runs and gone owned, the names in gone borrowed */
	struct map *gone;	  /* what comes after w->gone; NULL: it stays */
	struct buf delta, manifest;
	struct writer_chunks chunks;
};

static void draft_init(const struct writer *w, struct draft *d)
{
	*d = (struct draft){ .next = w->state };
	/* One more, for our own. */
	d->next.runs = xcalloc(w->state.run_count + 1, sizeof(*d->next.runs));
	if (w->state.run_count > 0)
		memcpy(d->next.runs, w->state.runs, w->state.run_count * sizeof(*d->next.runs));
}

static void draft_done(struct draft *d)
{
	free(d->next.runs);
	free(d->next.gone);
	map_free(d->gone, free);
	buf_done(&d->delta);
	buf_done(&d->manifest);
	writer_chunks_done(&d->chunks);
}

static void gone_add(struct map *gone, const char *name)
{
	free(map_put(gone, name, xstrdup(name)));
}

/* The map that the draft may change. */
static struct map *draft_gone(const struct writer *w, struct draft *d)
{
	struct map_entry *e = NULL;

	if (d->gone)
		return d->gone;
	d->gone = map_new();
	while ((e = map_next(w->gone, e)))
		gone_add(d->gone, map_entry_key(e));
	return d->gone;
}

/* The names deleted in this epoch end orphans, until the epoch has dropped them all anyway. */
static void draft_ops(const struct writer *w, struct draft *d, const struct journal_op *ops,
		      size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (ops[i].drop) {
			d->next.drop = true;
			map_free(d->gone, free);
			d->gone = map_new();
		} else if (d->next.drop) {
			continue;
		} else if (ops[i].del) {
			gone_add(draft_gone(w, d), ops[i].del);
		} else if (map_get(d->gone ? d->gone : w->gone, ops[i].put)) {
			free(map_del(draft_gone(w, d), ops[i].put));
		}
	}
}

/* Writes the list of `gone` into next, for the store and the manifest. */
static void draft_list_gone(const struct writer *w, struct draft *d)
{
	const struct map *gone = d->gone ? d->gone : w->gone;
	struct map_entry *e = NULL;

	free(d->next.gone);
	d->next.gone = xcalloc(map_count(gone) + 1, sizeof(*d->next.gone));
	d->next.gone_count = 0;
	while ((e = map_next(gone, e)))
		d->next.gone[d->next.gone_count++] = map_entry_value(e);
}

static void draft_sign(const struct writer *w, const struct json_field *fields, const void *what,
		       struct buf *ret, uint8_t ret_hash[HASH_LEN])
{
	struct buf body = { 0 };

	json_encode(&body, fields, what);
	if (ret_hash)
		sha256(body.data, body.len, ret_hash);
	document_sign(ret, w->place, body.data, body.len, &w->key, 1);
	buf_done(&body);
}

static void draft_delta(const struct writer *w, struct draft *d, struct journal_op *ops,
			size_t count)
{
	struct writer_state *next = &d->next;
	struct journal_delta delta = { .epoch = next->position.epoch,
				       .ver = next->position.ver + 1,
				       .ops = ops,
				       .op_count = count };

	if (memcmp(next->runs[next->run_count - 1].run, w->run, RUN_LEN) != 0) {
		next->runs[next->run_count].first = delta.ver;
		memcpy(next->runs[next->run_count++].run, w->run, RUN_LEN);
	}
	memcpy(delta.prev, next->hash, HASH_LEN);
	memcpy(delta.run, w->run, RUN_LEN);
	draft_ops(w, d, ops, count);
	draft_sign(w, journal_delta_fields, &delta, &d->delta, next->hash);
	next->position.ver = delta.ver;
}

static int draft_snapshot(const struct writer *w, struct draft *d)
{
	struct writer_state *next = &d->next;
	struct journal_manifest m = { .epoch = next->position.epoch,
				      .ver = next->position.ver,
				      .drop = next->drop,
				      .count = map_count(w->members) };
	struct journal_lists lists;
	bool in_manifest;
	int r;

	draft_list_gone(w, d);
	lists = (struct journal_lists){ next->runs, next->run_count, next->gone, next->gone_count };
	r = writer_chunks_cut(w->members, &lists, &d->chunks, &in_manifest);
	if (r < 0)
		return r;
	next->slot ^= 1;
	next->snapshot_ver = next->position.ver;
	m.slot = next->slot;
	memcpy(m.at, next->hash, HASH_LEN);
	memcpy(m.run, next->runs[next->run_count - 1].run, RUN_LEN);
	if (in_manifest) {
		m.runs = lists.runs;
		m.run_count = lists.run_count;
		m.gone = lists.gone;
		m.gone_count = lists.gone_count;
	}
	m.chunk_count = d->chunks.count;
	m.chunks = xcalloc(m.chunk_count + 1, sizeof(*m.chunks));
	for (size_t k = 0; k < m.chunk_count; k++)
		sha256(d->chunks.list[k].data, d->chunks.list[k].len, m.chunks[k].hash);
	draft_sign(w, journal_manifest_fields, &m, &d->manifest, NULL);
	free(m.chunks);
	return 0;
}

static int draft_store(const struct writer *w, struct draft *d, const struct journal_op *ops,
		       size_t count, bool new_epoch)
{
	struct writer_record rec = { .state = &d->next,
				     .new_epoch = new_epoch,
				     .delta = d->delta.data,
				     .delta_len = d->delta.len,
				     .ops = ops,
				     .op_count = count,
				     .manifest = d->manifest.data,
				     .manifest_len = d->manifest.len };

	draft_list_gone(w, d);
	return w->io.store(w->io.owner, &rec);
}

/* ---- from the draft to what is ---- */

static void take_ops(struct writer *w, const struct journal_op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *name = ops[i].put ? ops[i].put : ops[i].del;
		char *old = NULL;

		if (ops[i].put) {
			old = map_put(w->members, name, xstrdup(ops[i].body));
			w->bytes += strlen(name) + strlen(ops[i].body);
		} else if (ops[i].del) {
			old = map_del(w->members, name);
		}
		if (old)
			w->bytes -= strlen(name) + strlen(old);
		free(old);
	}
}

static void take_log(struct writer *w, uint64_t ver, struct buf *delta)
{
	struct writer_log_entry *e = &w->log[ver % WRITER_RING];

	writer_queue_copy(w, TOPIC_JOURNAL, 0, delta->data, delta->len);
	writer_queue_copy(w, TOPIC_LOG, (unsigned)(ver % WRITER_RING), delta->data, delta->len);
	free(e->delta);
	e->ver = ver;
	e->len = delta->len;
	e->delta = buf_take(delta);
}

void writer_manifest_read(struct writer *w)
{
	struct journal_manifest m = { 0 };
	struct document d;

	arena_done(&w->manifest_arena);
	w->chunks = NULL;
	w->chunk_count = 0;
	if (document_split(w->manifest.data, w->manifest.len, &d) ||
	    journal_manifest_decode(&w->manifest_arena, d.body, d.body_len, &m, NULL)) {
		buf_clear(&w->manifest);
		return;
	}
	w->chunks = m.chunks;
	w->chunk_count = m.chunk_count;
}

static void take_snapshot(struct writer *w, uint64_t now, struct draft *d)
{
	if (w->audit)
		memset(w->audit->chunks, 0, sizeof(w->audit->chunks));
	for (unsigned k = 0; k < d->chunks.count; k++)
		writer_queue(w, TOPIC_CHUNK, d->next.slot, k, &d->chunks.list[k]);
	writer_queue_copy(w, TOPIC_MANIFEST, 0, d->manifest.data, d->manifest.len);
	buf_done(&w->manifest);
	w->manifest = d->manifest;
	d->manifest = (struct buf){ 0 };
	writer_manifest_read(w);
	w->snapshot_wanted = false;
	w->snapshot_after = now + WRITER_SNAPSHOT_APART;
}

static void draft_take(struct writer *w, uint64_t now, struct draft *d,
		       const struct journal_op *ops, size_t count)
{
	free(w->state.runs);
	w->state = d->next;
	w->state.gone = NULL;
	w->state.gone_count = 0;
	d->next.runs = NULL;
	if (d->gone) {
		map_free(w->gone, free);
		w->gone = TAKE(d->gone);
	}
	take_ops(w, ops, count);
	if (d->manifest.len > 0)
		take_snapshot(w, now, d);
	if (d->delta.len > 0) {
		take_log(w, w->state.position.ver, &d->delta);
		w->committed_at = now;
		w->beat_due = MIN(w->beat_due, now + WRITER_BEAT_SOON);
	}
}

const struct writer_log_entry *writer_newest(const struct writer *w)
{
	uint64_t ver = w->state.position.ver;
	const struct writer_log_entry *e = &w->log[ver % WRITER_RING];

	return ver > 0 && e->ver == ver ? e : NULL;
}

int writer_begin(struct writer *w, uint64_t now, uint64_t seen_epoch, int64_t wall, bool drop)
{
	uint64_t epoch = MAX(MAX(w->state.position.epoch, seen_epoch) + 1, (uint64_t)MAX(wall, 0));
	struct draft d;
	int r;

	draft_init(w, &d);
	d.next.position = (struct journal_position){ MIN(epoch, (uint64_t)INT64_MAX), 0 };
	w->io.random(w->io.owner, d.next.hash, HASH_LEN);
	d.next.drop = drop;
	d.next.run_count = 1;
	d.next.runs[0].first = 0;
	memcpy(d.next.runs[0].run, w->run, RUN_LEN);
	d.gone = map_new();
	r = draft_snapshot(w, &d);
	if (r == 0) {
		draft_delta(w, &d, NULL, 0);
		r = draft_store(w, &d, NULL, 0, true);
	}
	if (r == 0) {
		writer_queue_clear(w);
		for (size_t i = 0; i < WRITER_RING; i++) {
			free(TAKE(w->log[i].delta));
			w->log[i].ver = 0;
		}
		draft_take(w, now, &d, NULL, 0);
	}
	draft_done(&d);
	return r;
}

int writer_append(struct writer *w, uint64_t now, struct journal_op *ops, size_t count)
{
	const struct writer_state *st = &w->state;
	struct draft d;
	int r;

	if (st->run_count >= JOURNAL_RUNS_MAX &&
	    memcmp(st->runs[st->run_count - 1].run, w->run, RUN_LEN) != 0) {
		/* The lineage is as long as a replica reads it. */
		r = writer_begin(w, now, 0, 0, false);
		if (r < 0)
			return r;
	}
	draft_init(w, &d);
	draft_delta(w, &d, ops, count);
	r = draft_store(w, &d, ops, count, false);
	if (r == 0)
		draft_take(w, now, &d, ops, count);
	draft_done(&d);
	return r;
}

int writer_snapshot(struct writer *w, uint64_t now)
{
	struct draft d;
	int r;

	draft_init(w, &d);
	r = draft_snapshot(w, &d);
	if (r == 0)
		r = draft_store(w, &d, NULL, 0, false);
	if (r == 0)
		draft_take(w, now, &d, NULL, 0);
	draft_done(&d);
	return r;
}
