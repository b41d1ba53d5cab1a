/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A journal's writer: what it is given, what it answers, and when. The rules are in docs/journal.md.
 * One thread.
 */
#include "schemas/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/writer_private.h"

/* ---- making, keeping ---- */

static void waiting_free(void *p)
{
	struct writer_waiting *v = p;

	if (!v)
		return;
	free(v->op.put);
	free(v->op.body);
	free(v->op.del);
	free(v);
}

struct writer *writer_new(const char *mesh, const struct topic *journal, const struct sign_key *key,
			  const struct keyring *keys, const struct writer_io *io, bool exporter)
{
	struct writer *w = xcalloc(1, sizeof(*w));

	memcpy(w->mesh, mesh, MIN(strlen(mesh), sizeof(w->mesh) - 1));
	topic_place(mesh, journal, w->place);
	w->journal = *journal;
	w->key = key;
	w->keys = *keys;
	w->io = *io;
	w->exporter = exporter;
	w->members = map_new();
	w->gone = map_new();
	w->waiting = map_new();
	w->beat_due = CLOCK_NEVER;
	w->queue_end = &w->queue;
	writer_run(w);
	return w;
}

void writer_free(struct writer *w)
{
	if (!w)
		return;
	writer_queue_clear(w);
	free(w->audit);
	map_free(w->waiting, waiting_free);
	map_free(w->gone, free);
	map_free(w->members, free);
	for (size_t i = 0; i < WRITER_RING; i++)
		free(w->log[i].delta);
	free(w->state.runs);
	buf_done(&w->manifest);
	arena_done(&w->manifest_arena);
	free(w);
}

void writer_restore_member(struct writer *w, const char *name, const char *body)
{
	char *old = map_put(w->members, name, xstrdup(body));

	w->bytes += strlen(name) + strlen(body);
	if (old)
		w->bytes -= strlen(name) + strlen(old);
	free(old);
}

void writer_restore_log(struct writer *w, uint64_t ver, const char *delta, size_t len)
{
	struct writer_log_entry *e = &w->log[ver % WRITER_RING];

	free(e->delta);
	*e = (struct writer_log_entry){ .ver = ver, .delta = xstrndup(delta, len), .len = len };
}

void writer_restore(struct writer *w, const struct writer_state *s, const char *manifest,
		    size_t manifest_len)
{
	free(w->state.runs);
	w->state = *s;
	w->state.runs = xcalloc(s->run_count + 1, sizeof(*s->runs));
	if (s->run_count > 0)
		memcpy(w->state.runs, s->runs, s->run_count * sizeof(*s->runs));
	w->state.gone = NULL;
	w->state.gone_count = 0;
	map_clear(w->gone, free);
	for (size_t i = 0; i < s->gone_count; i++)
		free(map_put(w->gone, s->gone[i], xstrdup(s->gone[i])));
	buf_clear(&w->manifest);
	buf_add(&w->manifest, manifest, manifest_len);
	writer_manifest_read(w);
	w->snapshot_wanted = w->manifest.len == 0;
	w->beat_due = 0;
}

void writer_run(struct writer *w)
{
	w->io.random(w->io.owner, w->run, RUN_LEN);
}

/* ---- changes ---- */

static bool is_unchanged(const struct writer *w, const struct journal_op *op)
{
	const char *body = op->put ? map_get(w->members, op->put) : NULL;

	return body && strcmp(body, op->body) == 0;
}

/* The operation's part of a delta's text, at most. */
static size_t op_text(const struct journal_op *op)
{
	return op->put ? strlen(op->put) + strlen(op->body) + 32 : strlen(op->del) + 40;
}

#define DELTA_TEXT 500 /* of a delta without operations, envelope included */

/* The next delta's operations, from the front of those that wait; *ret_first counts all it used. */
static size_t next_delta(const struct writer *w, struct journal_op *ops, size_t *ret_used)
{
	size_t text = DELTA_TEXT, count = 0, used = 0;
	struct map_entry *e = NULL;

	while ((e = map_next(w->waiting, e)) && count < JOURNAL_OPS_MAX) {
		const struct writer_waiting *v = map_entry_value(e);

		if (!is_unchanged(w, &v->op)) {
			text += op_text(&v->op);
			if (count > 0 && text > JOURNAL_DELTA_MAX)
				break;
			ops[count++] = v->op;
		}
		used++;
	}
	*ret_used = used;
	return count;
}

static void forget_waiting(struct writer *w, size_t count)
{
	while (count-- > 0)
		waiting_free(map_del(w->waiting, map_entry_key(map_next(w->waiting, NULL))));
}

static uint64_t window(const struct writer *w)
{
	return MAX(WRITER_WINDOW, w->subscribers * WRITER_SUBSCRIBER);
}

int writer_commit(struct writer *w, uint64_t now)
{
	struct journal_op *ops = xcalloc(map_count(w->waiting) + 1, sizeof(*ops));
	int r = 0;

	while (r == 0 && map_count(w->waiting) > 0) {
		size_t used, count = next_delta(w, ops, &used);

		if (count > 0) {
			r = writer_append(w, now, ops, count);
			w->window_until = now + (r < 0 ? WRITER_RETRY : window(w));
		}
		if (r == 0)
			forget_waiting(w, used);
	}
	free(ops);
	return r;
}

static bool is_allowed(const struct journal_op *op)
{
	if (op->drop || !op->put == !op->del || !op->put != !op->body)
		return false;
	return text_is_member_name(op->put ? op->put : op->del);
}

/* A copy with a canonical body; NULL: it is none. */
static struct writer_waiting *waiting_new(const struct journal_op *op)
{
	struct writer_waiting *v;
	struct json_error err;
	struct buf body = { 0 };

	if (op->put && (json_compact(op->body, strlen(op->body), &body, &err) < 0 ||
			!text_is_member_body(buf_cstr(&body), body.len))) {
		buf_done(&body);
		return NULL;
	}
	v = xcalloc(1, sizeof(*v));
	v->op.why = op->why;
	if (op->put) {
		v->op.put = xstrdup(op->put);
		v->op.body = buf_take(&body);
	} else {
		v->op.del = xstrdup(op->del);
	}
	return v;
}

/* Copies of all, or none and why not. */
static int copy_ops(const struct writer *w, const struct journal_op *ops, size_t count,
		    struct writer_waiting **ret)
{
	size_t bytes = w->bytes;
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		ret[i] = is_allowed(&ops[i]) ? waiting_new(&ops[i]) : NULL;
		if (!ret[i])
			r = -EINVAL;
		else if (ops[i].put)
			bytes += strlen(ret[i]->op.put) + strlen(ret[i]->op.body);
		if (bytes > JOURNAL_BYTES_MAX)
			r = -EFBIG;
	}
	for (size_t i = 0; r < 0 && i < count; i++)
		waiting_free(ret[i]);
	return r;
}

int writer_change(struct writer *w, uint64_t now, const struct journal_op *ops, size_t count)
{
	bool at_once = map_count(w->waiting) == 0 && now >= w->window_until;
	struct writer_waiting **copies;
	int r;

	if (w->state.position.epoch == 0)
		return -EINVAL;
	copies = xcalloc(count + 1, sizeof(struct writer_waiting *));
	r = copy_ops(w, ops, count, copies);
	for (size_t i = 0; r == 0 && i < count; i++) {
		const struct journal_op *op = &copies[i]->op;

		/* What was said last comes last: writers rely on the order of their operations. */
		waiting_free(map_del(w->waiting, op->put ? op->put : op->del));
		map_put(w->waiting, op->put ? op->put : op->del, copies[i]);
	}
	free(copies);
	if (r == 0 && at_once) {
		r = writer_commit(w, now);
		if (r < 0) {
			map_clear(w->waiting, waiting_free);
			w->window_until = now;
		}
	}
	return r;
}

void writer_set_subscribers(struct writer *w, size_t subscribers)
{
	w->subscribers = subscribers;
}

int writer_release(struct writer *w, uint64_t now)
{
	struct journal_op drop = { .drop = true };
	int r = writer_commit(w, now);

	return r < 0 ? r : writer_append(w, now, &drop, 1);
}

/* ---- another key ---- */

/* The same body, signed by the new key. */
static void sign_again(const struct writer *w, const struct sign_key *key, const char *document,
		       size_t len, struct buf *ret)
{
	struct document d;

	if (!document_split(document, len, &d))
		document_sign(ret, w->place, d.body, d.body_len, &key, 1);
}

static int rotate_store(struct writer *w, struct buf *log, const struct buf *manifest)
{
	struct journal_resigned *resigned = xcalloc(WRITER_RING, sizeof(*resigned));
	struct writer_record rec = { .state = &w->state, .resigned = resigned };
	struct map_entry *e = NULL;
	int r;

	for (size_t i = 0; i < WRITER_RING; i++)
		if (log[i].len > 0)
			resigned[rec.resigned_count++] =
				(struct journal_resigned){ w->log[i].ver, log[i].data, log[i].len };
	if (manifest->len > 0) {
		rec.manifest = manifest->data;
		rec.manifest_len = manifest->len;
	}
	w->state.gone = xcalloc(map_count(w->gone) + 1, sizeof(*w->state.gone));
	while ((e = map_next(w->gone, e)))
		w->state.gone[w->state.gone_count++] = map_entry_value(e);
	r = w->io.store(w->io.owner, &rec);
	free(TAKE(w->state.gone));
	w->state.gone_count = 0;
	free(resigned);
	return r;
}

static void rotate_take(struct writer *w, struct buf *log, struct buf *manifest)
{
	const struct writer_log_entry *newest;

	for (size_t i = 0; i < WRITER_RING; i++) {
		struct writer_log_entry *e = &w->log[i];

		if (log[i].len == 0)
			continue;
		writer_queue_copy(w, TOPIC_LOG, (unsigned)i, log[i].data, log[i].len);
		free(e->delta);
		e->len = log[i].len;
		e->delta = buf_take(&log[i]);
	}
	newest = writer_newest(w);
	if (newest)
		writer_queue_copy(w, TOPIC_JOURNAL, 0, newest->delta, newest->len);
	if (manifest->len > 0) {
		writer_queue_copy(w, TOPIC_MANIFEST, 0, manifest->data, manifest->len);
		buf_done(&w->manifest);
		w->manifest = *manifest;
		*manifest = (struct buf){ 0 };
	}
}

int writer_rotate(struct writer *w, uint64_t now, const struct sign_key *key)
{
	struct buf *log, manifest = { 0 };
	int r;

	if (w->state.position.epoch == 0) {
		w->key = key;
		return 0;
	}
	log = xcalloc(WRITER_RING, sizeof(*log));
	for (size_t i = 0; i < WRITER_RING; i++)
		if (w->log[i].ver > 0)
			sign_again(w, key, w->log[i].delta, w->log[i].len, &log[i]);
	if (w->manifest.len > 0)
		sign_again(w, key, w->manifest.data, w->manifest.len, &manifest);
	r = rotate_store(w, log, &manifest);
	if (r == 0) {
		w->key = key;
		rotate_take(w, log, &manifest);
		w->beat_due = MIN(w->beat_due, now + WRITER_BEAT_SOON);
	}
	for (size_t i = 0; i < WRITER_RING; i++)
		buf_done(&log[i]);
	free(log);
	buf_done(&manifest);
	return r;
}

/* ---- time ---- */

static uint64_t snapshot_due(const struct writer *w)
{
	uint64_t above = w->state.position.ver - w->state.snapshot_ver;

	if (w->state.position.epoch == 0)
		return CLOCK_NEVER;
	if (w->snapshot_wanted || above >= WRITER_SNAPSHOT_DELTAS)
		return w->snapshot_after;
	if (above >= WRITER_SNAPSHOT_QUIET)
		return MAX(w->snapshot_after, w->committed_at + WRITER_QUIET);
	return CLOCK_NEVER;
}

static void beat(struct writer *w, uint64_t now, uint64_t wall_ms)
{
	const struct writer_state *st = &w->state;
	struct journal_beat b = { .epoch = st->position.epoch,
				  .ver = st->position.ver,
				  .time = wall_ms };
	struct buf body = { 0 }, document = { 0 };

	memcpy(b.hash, st->hash, HASH_LEN);
	/* The run that our position lies in, not ours: we may have written nothing yet. */
	memcpy(b.run, st->runs[st->run_count - 1].run, RUN_LEN);
	json_encode(&body, journal_beat_fields, &b);
	document_sign(&document, w->place, body.data, body.len, &w->key, 1);
	writer_queue(w, TOPIC_BEAT, 0, 0, &document);
	buf_done(&body);
	w->beat_at = now;
	w->beat_due = now + WRITER_BEAT_APART;
}

uint64_t writer_due(const struct writer *w)
{
	uint64_t due = MIN(w->beat_due, snapshot_due(w));

	return map_count(w->waiting) > 0 ? MIN(due, w->window_until) : due;
}

int writer_tick(struct writer *w, uint64_t now, uint64_t wall_ms)
{
	int r = 0, snapshot = 0;

	if (map_count(w->waiting) > 0 && now >= w->window_until)
		r = writer_commit(w, now);
	if (snapshot_due(w) <= now) {
		snapshot = writer_snapshot(w, now);
		if (snapshot < 0)
			w->snapshot_after = now + WRITER_SNAPSHOT_APART;
	}
	if (w->beat_due <= now && w->state.position.epoch > 0)
		beat(w, now, wall_ms);
	return r < 0 ? r : snapshot;
}

void writer_disconnected(struct writer *w)
{
	writer_queue_clear(w);
	free(TAKE(w->audit));
}

/* ---- readings ---- */

struct journal_position writer_position(const struct writer *w)
{
	return w->state.position;
}

const char *writer_get(const struct writer *w, const char *name)
{
	return map_get(w->members, name);
}

size_t writer_count(const struct writer *w)
{
	return map_count(w->members);
}

const char *writer_next(const struct writer *w, const char *name)
{
	const struct map_entry *e = name ? map_find(w->members, name) : NULL;

	if (name && !e)
		return NULL;
	e = map_next(w->members, e);
	return e ? map_entry_key(e) : NULL;
}

bool writer_is_pending(const struct writer *w)
{
	return map_count(w->waiting) > 0;
}
