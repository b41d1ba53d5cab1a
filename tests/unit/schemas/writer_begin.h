/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of writers begin with, in the world of journal_world.h.
 */
#pragma once

#include "tests/unit/schemas/journal_replicas.h"

#define MSEC USEC_PER_MSEC
#define SEC USEC_PER_SEC

static struct world w;

static inline void begin(bool exporter)
{
	world_init(&w, 1, exporter);
	w.keep_history = true;
	world_put(&w, "a", 1);
	world_put(&w, "b", 2);
	world_run(&w, SEC);
}

static inline void end(void)
{
	world_done(&w);
}

static inline void restart(void)
{
	world_writer_start(&w);
	world_writer_connect(&w);
}

static inline void roll_back(const struct world_store *backup)
{
	world_writer_stop(&w);
	w.store = *backup;
	w.forked = true;
}

static inline void begin_epoch(bool drop)
{
	CHECK_INT(writer_begin(w.writer, w.now, 0, world_wall(&w), drop), 0);
	world_flush(&w);
}

/* A manifest of the store's. */
static inline struct journal_manifest manifest(const struct world_blob *b)
{
	struct journal_manifest m = { 0 };
	struct document d;

	CHECK(b && !document_split(b->bytes, b->len, &d));
	CHECK(!journal_manifest_decode(&w.arena, d.body, d.body_len, &m, NULL));
	return m;
}

static inline struct journal_delta delta(const struct world_blob *b)
{
	struct journal_delta m = { 0 };
	struct document d;

	CHECK(b && !document_split(b->bytes, b->len, &d));
	CHECK(!journal_delta_decode(&w.arena, d.body, d.body_len, &m, NULL));
	return m;
}

static inline const struct world_blob *newest(void)
{
	return w.store.log[w.store.state.position.ver % WRITER_RING];
}

/* What one proof makes of it. */
static inline bool proves(unsigned kind, const char *document, const char *topic)
{
	struct journal_proof proof = { kind, arena_strdup(&w.arena, document),
				       topic ? arena_strdup(&w.arena, topic) : NULL };
	const struct journal_ask ask = { .proofs = &proof, .proof_count = 1 };
	bool audit, rolled_back;

	CHECK_INT(writer_ask(w.writer, w.now, world_wall(&w), &ask, &audit, &rolled_back), 0);
	return rolled_back;
}

static inline bool signed_proves(unsigned kind, const struct json_field *fields, const void *what,
				 unsigned key)
{
	const struct sign_key *by = &world_sign[key];
	struct buf body = { 0 }, doc = { 0 };
	bool ret;

	json_encode(&body, fields, what);
	document_sign(&doc, w.place, body.data, body.len, &by, 1);
	ret = proves(kind, doc.data, NULL);
	buf_done(&body);
	buf_done(&doc);
	return ret;
}
