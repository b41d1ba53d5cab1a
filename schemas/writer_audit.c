/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A writer compares: what the broker holds with what it has stored, and what replicas show it with
 * what it knows. A document of its own that it does not know proves that its store was rolled back.
 * One thread, that of the writer.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/member.h"
#include "schemas/writer_private.h"

/* ---- evidence ---- */

/* Of a join's answer only this is evidence: how far our journal was then. */
struct join_minimum {
	char *path;
	uint64_t epoch, ver;
};

struct join_minimums {
	struct join_minimum *journals;
	size_t journal_count;
};

/* At a/<node>/rsp the answer is a part. */
struct join_inside {
	struct join_minimums join;
};

static const struct json_field join_minimum_fields[] = {
	JSON_FIELD(struct join_minimum, epoch, JSON_U64),
	JSON_FIELD(struct join_minimum, ver, JSON_U64),
	JSON_END,
};

static const struct json_field join_minimums_fields[] = {
	JSON_LIST(struct join_minimums, journals, journal_count, JSON_OBJECT, .map = true,
		  .key_offset = offsetof(struct join_minimum, path), .fields = join_minimum_fields),
	JSON_END,
};

static const struct json_field join_inside_fields[] = {
	JSON_FIELD(struct join_inside, join, JSON_OBJECT, .fields = join_minimums_fields),
	JSON_END,
};

/* What a document says about where the writer was. */
struct claim {
	struct journal_position position;
	bool has_run;
	uint8_t run[RUN_LEN];
};

/* Does it prove that the store has lost something? */
static bool is_unknown(const struct writer *w, const struct claim *c)
{
	const struct writer_state *st = &w->state;

	if (c->position.epoch < st->position.epoch)
		return false;
	if (c->position.epoch > st->position.epoch)
		return c->position.epoch <=
		       MAX(WRITER_EPOCH_BELIEVED, st->position.epoch + WRITER_EPOCH_STEP);
	if (c->position.ver > st->position.ver)
		return true;
	return c->has_run && !journal_runs_hold(st->runs, st->run_count, c->run, c->position.ver);
}

static void claim_set(struct claim *c, uint64_t epoch, uint64_t ver, const uint8_t run[RUN_LEN])
{
	c->position = (struct journal_position){ epoch, ver };
	c->has_run = run != NULL;
	if (run)
		memcpy(c->run, run, RUN_LEN);
}

/* Reads the claim out of a body that was verified. */
static bool claim_read(enum topic_kind kind, const struct document *d, struct claim *ret)
{
	struct journal_manifest manifest = { 0 };
	struct journal_delta delta = { 0 };
	struct journal_beat beat = { 0 };
	struct arena a = { 0 };
	bool good;

	switch (kind) {
	case TOPIC_JOURNAL:
	case TOPIC_LOG:
		good = !journal_delta_decode(&a, d->body, d->body_len, &delta, NULL);
		claim_set(ret, delta.epoch, delta.ver, delta.run);
		break;
	case TOPIC_MANIFEST:
		good = !journal_manifest_decode(&a, d->body, d->body_len, &manifest, NULL);
		claim_set(ret, manifest.epoch, manifest.ver, manifest.run);
		break;
	default:
		good = !journal_beat_decode(&a, d->body, d->body_len, &beat, NULL);
		claim_set(ret, beat.epoch, beat.ver, beat.run);
		break;
	}
	arena_done(&a);
	return good;
}

/* A document of this journal that a key which is valid now has signed. */
static bool claim_open(const struct writer *w, enum topic_kind kind, const void *bytes, size_t len,
		       struct claim *ret)
{
	struct topic place = w->journal;
	struct document d;

	place.kind = kind;
	return !document_open(&w->keys, w->mesh, &place, bytes, len, &d) &&
	       claim_read(kind, &d, ret);
}

static bool claim_of_join(const struct writer *w, const struct join_minimums *join,
			  struct claim *ret)
{
	char path[TOPIC_SIZE];

	topic_journal_path(&w->journal, path);
	for (size_t i = 0; i < join->journal_count; i++) {
		const struct join_minimum *m = &join->journals[i];

		if (strcmp(m->path, path) == 0) {
			claim_set(ret, m->epoch, m->ver, NULL);
			return true;
		}
	}
	return false;
}

/* What the answer to a join named for this journal. */
static bool claim_open_join(const struct writer *w, const struct journal_proof *p,
			    struct claim *ret)
{
	const size_t len = strlen(p->document);
	struct join_inside inside = { 0 };
	struct arena a = { 0 };
	struct document d;
	struct topic t;
	bool good;

	if (!p->topic || topic_parse(w->mesh, p->topic, &t) < 0 ||
	    (t.kind != TOPIC_ENROL_RSP && t.kind != TOPIC_RSP) ||
	    document_open(&w->keys, w->mesh, &t, p->document, len, &d))
		return false;
	if (t.kind == TOPIC_RSP)
		good = !body_decode(&a, d.body, d.body_len, join_inside_fields, &inside, NULL);
	else
		good = !body_decode(&a, d.body, d.body_len, join_minimums_fields, &inside.join,
				    NULL);
	good = good && claim_of_join(w, &inside.join, ret);
	arena_done(&a);
	return good;
}

/* ---- audit ---- */

void writer_audit_begin(struct writer *w)
{
	free(w->audit);
	w->audit = xcalloc(1, sizeof(*w->audit));
}

static bool equals(const char *have, size_t have_len, const void *bytes, size_t len)
{
	return have && have_len == len && memcmp(have, bytes, len) == 0;
}

static bool chunk_equals(const struct writer *w, const struct topic *t, const void *bytes,
			 size_t len)
{
	uint8_t hash[HASH_LEN];

	if (t->slot != w->state.slot || t->chunk >= w->chunk_count)
		return false;
	sha256(bytes, len, hash);
	return memcmp(hash, w->chunks[t->chunk].hash, HASH_LEN) == 0;
}

void writer_audit_document(struct writer *w, const struct topic *t, const void *bytes, size_t len)
{
	const struct writer_log_entry *e;
	struct writer_audit *a = w->audit;
	bool *same = NULL;
	struct claim c;

	if (!a || len == 0)
		return;
	switch (t->kind) {
	case TOPIC_CHUNK:
		if (chunk_equals(w, t, bytes, len))
			a->chunks[t->chunk] = true;
		return;
	case TOPIC_JOURNAL:
		e = writer_newest(w);
		if (e && equals(e->delta, e->len, bytes, len))
			same = &a->newest;
		break;
	case TOPIC_LOG:
		e = t->slot < WRITER_RING ? &w->log[t->slot] : NULL;
		if (e && equals(e->delta, e->len, bytes, len))
			same = &a->log[t->slot];
		break;
	case TOPIC_MANIFEST:
		if (equals(w->manifest.data, w->manifest.len, bytes, len))
			same = &a->manifest;
		break;
	default:
		return;
	}
	if (same) {
		*same = true;
	} else if (claim_open(w, t->kind, bytes, len, &c) && is_unknown(w, &c)) {
		a->rolled_back = true;
		a->seen_epoch = MAX(a->seen_epoch, c.position.epoch);
	}
}

/* Publishes what the broker does not have. */
static int repair(struct writer *w, const struct writer_audit *a, uint64_t now)
{
	const struct writer_log_entry *newest = writer_newest(w);
	size_t chunks = 0;
	int r = 0;

	while (chunks < w->chunk_count && a->chunks[chunks])
		chunks++;
	/* Of a snapshot that is not there nobody is in the middle: the next one need not wait. */
	if (chunks < w->chunk_count || (w->snapshot_wanted && now >= w->snapshot_after))
		w->snapshot_wanted = (r = writer_snapshot(w, now)) < 0;
	else if (!a->manifest && w->manifest.len > 0)
		writer_queue_copy(w, TOPIC_MANIFEST, 0, w->manifest.data, w->manifest.len);
	if (!a->newest && newest)
		writer_queue_copy(w, TOPIC_JOURNAL, 0, newest->delta, newest->len);
	for (unsigned i = 0; i < WRITER_RING; i++)
		if (!a->log[i] && w->log[i].ver > 0)
			writer_queue_copy(w, TOPIC_LOG, i, w->log[i].delta, w->log[i].len);
	return r;
}

int writer_audit_end(struct writer *w, uint64_t now, int64_t wall, bool *ret_rolled_back)
{
	struct writer_audit *a = TAKE(w->audit);
	int r = 0;

	*ret_rolled_back = false;
	if (!a)
		return 0;
	w->audit_after = now + WRITER_AUDIT_APART;
	/* Not if a new epoch has begun meanwhile. */
	if (a->rolled_back && a->seen_epoch >= w->state.position.epoch) {
		r = writer_begin(w, now, a->seen_epoch, wall, w->exporter);
		*ret_rolled_back = r == 0;
	} else if (w->state.position.epoch > 0) {
		r = repair(w, a, now);
	}
	free(a);
	return r;
}

int writer_ask(struct writer *w, uint64_t now, int64_t wall, const struct journal_ask *ask,
	       bool *ret_audit, bool *ret_rolled_back)
{
	static const enum topic_kind kinds[] = {
		[PROOF_DELTA] = TOPIC_JOURNAL, [PROOF_MANIFEST] = TOPIC_MANIFEST, [PROOF_BEAT] = TOPIC_BEAT
	};
	uint64_t seen_epoch = 0;
	bool unknown = false;
	int r = 0;

	*ret_audit = false;
	*ret_rolled_back = false;
	for (size_t i = 0; i < ask->proof_count; i++) {
		const struct journal_proof *p = &ask->proofs[i];
		struct claim c = { 0 };
		bool good = p->kind == PROOF_JOIN ? claim_open_join(w, p, &c) :
						    claim_open(w, kinds[p->kind], p->document,
							       strlen(p->document), &c);

		if (!good || !is_unknown(w, &c))
			continue;
		unknown = true;
		seen_epoch = MAX(seen_epoch, c.position.epoch);
	}
	if (unknown) {
		r = writer_begin(w, now, seen_epoch, wall, w->exporter);
		*ret_rolled_back = r == 0;
		return r;
	}
	if (ask->unproven && w->state.snapshot_ver < w->state.position.ver)
		w->snapshot_wanted = true;
	if (now >= w->audit_after) {
		w->audit_after = now + WRITER_AUDIT_APART;
		*ret_audit = true;
	}
	if (w->state.position.epoch > 0)
		w->beat_due = MIN(w->beat_due, MAX(now, w->beat_at + WRITER_BEAT_SOON));
	return 0;
}
