/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A journal's writer (design section 4; docs/journal.md). Pure: no I/O, no clock, no randomness of
 * its own. What must be durable goes through writer_io.store as one transaction; what is to be
 * published is queued and leaves by writer_flush, which the owner calls when its outermost
 * transaction has committed and the broker is connected.
 */
#pragma once

#include "schemas/journal.h"
#include "schemas/topic.h"

struct writer;

/* The row of a journal. */
struct writer_state {
	struct journal_position position;
	uint8_t hash[HASH_LEN];
	bool drop;
	unsigned slot;		  /* of the newest snapshot */
	uint64_t snapshot_ver;	  /* its ver */
	struct journal_run *runs; /* borrowed in a record */
	size_t run_count;
	char **gone; /* borrowed in a record */
	size_t gone_count;
};

/* One transaction. */
struct writer_record {
	const struct writer_state *state;
	bool new_epoch;	   /* forget the stored log of this journal first */
	const char *delta; /* the document, to be kept as log[position.ver]; NULL: none */
	size_t delta_len;
	const struct journal_op *ops; /* put/del: changes of the stored map */
	size_t op_count;
	const char *manifest; /* the document; NULL: unchanged */
	size_t manifest_len;
	const struct journal_resigned { /* log rows signed anew by another key */
		uint64_t ver;
		const char *delta;
		size_t len;
	} * resigned;
	size_t resigned_count;
};

struct writer_io {
	/* 0, or a negative errno: then nothing of it happened, and the writer stays as it was. If what
	 * was stored is undone later (an outer transaction fails) the writer has to be made anew. */
	int (*store)(void *owner, const struct writer_record *rec);
	/* Beats are not retained; all else is. */
	void (*publish)(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk,
			const void *bytes, size_t len, bool retain);
	void (*random)(void *owner, void *ret, size_t n);
	void *owner;
};

/* `key` is borrowed and must stay. */
struct writer *writer_new(const char *mesh, const struct topic *journal, const struct sign_key *key,
			  const struct keyring *keys, const struct writer_io *io, bool exporter);
void writer_free(struct writer *w);

/* At start, from the store: members, log (oldest first, at most JOURNAL_RING), state, manifest. */
void writer_restore_member(struct writer *w, const char *name, const char *body);
void writer_restore_log(struct writer *w, uint64_t ver, const char *delta, size_t len);
void writer_restore(struct writer *w, const struct writer_state *s, const char *manifest,
		    size_t manifest_len);

/* A new run: at start and at each connection. */
void writer_run(struct writer *w);
/* A new epoch: epoch = max(store + 1, seen + 1, wall). A first one (`wall` seconds) or after a
 * restore, an empty store, a revoked key. */
int writer_begin(struct writer *w, uint64_t now, uint64_t seen_epoch, int64_t wall, bool drop);

/* Queues puts and dels (copied, bodies made canonical): the first after a quiet window are committed at
 * once, later ones wait for the window and share a delta. Puts with an unchanged body are left out. Their
 * order is kept, also over several deltas; a name that is said again while it waits goes to the end.
 * `subscribers` sets the window: max(100 ms, subscribers / 20,000 s). 0 or what store said: then none
 * of these waits. -EINVAL: a bad name or body, a drop, no epoch yet; -EFBIG: too much for a snapshot;
 * then nothing was queued. */
int writer_change(struct writer *w, uint64_t now, const struct journal_op *ops, size_t count);
void writer_set_subscribers(struct writer *w, size_t subscribers);
/* Commits what waits, now. */
int writer_commit(struct writer *w, uint64_t now);
/* `warren network release`: ends all orphans. */
int writer_release(struct writer *w, uint64_t now);
/* Another signing key, borrowed: newest delta, log and manifest are signed again. */
int writer_rotate(struct writer *w, uint64_t now, const struct sign_key *key);

uint64_t writer_due(const struct writer *w);
/* Commits, snapshots and beats that are due. `wall_ms`: milliseconds since 1970. */
int writer_tick(struct writer *w, uint64_t now, uint64_t wall_ms);
/* Publishes what is queued. */
void writer_flush(struct writer *w);
/* The connection is lost: the queue is emptied; the audit at the next one does the rest. */
void writer_disconnected(struct writer *w);

/* Audit: begin, give it every retained document of the journal's topics (TOPIC_JOURNAL, TOPIC_LOG,
 * TOPIC_MANIFEST, TOPIC_CHUNK) that the broker holds, end. What is missing or different is queued
 * again byte for byte; a document of ours that the store does not know begins a new epoch
 * (*ret_rolled_back). What is there is not published. Chunks are not kept: instead of one that is
 * missing a new snapshot comes. Changes may go on meanwhile. */
void writer_audit_begin(struct writer *w);
void writer_audit_document(struct writer *w, const struct topic *t, const void *bytes, size_t len);
int writer_audit_end(struct writer *w, uint64_t now, int64_t wall, bool *ret_rolled_back);
/* A replica's resync request, its envelope already checked by the owner, decoded by
 * journal_ask_decode; the proofs are checked here. *ret_audit: the owner is to run an audit (at most
 * one in 30 s). */
int writer_ask(struct writer *w, uint64_t now, int64_t wall, const struct journal_ask *ask,
	       bool *ret_audit, bool *ret_rolled_back);

struct journal_position writer_position(const struct writer *w);
const char *writer_get(const struct writer *w, const char *name);
size_t writer_count(const struct writer *w);
const char *writer_next(const struct writer *w, const char *name); /* as replica_next */
bool writer_is_pending(const struct writer *w); /* operations wait for the window */
