/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of a writer, for schemas/writer*.c only: writer.c takes changes and keeps time,
 * writer_store.c makes and stores deltas, epochs and snapshots, writer_snapshot.c cuts chunks,
 * writer_audit.c compares with what the broker and the replicas hold.
 *
 * The limits may be made smaller by tests that build these files themselves.
 */
#pragma once

#include "lib/clock.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "schemas/writer.h"

#ifndef WRITER_RING
#define WRITER_RING JOURNAL_RING
#endif
#ifndef WRITER_SNAPSHOT_DELTAS
#define WRITER_SNAPSHOT_DELTAS 256 /* a snapshot after so many deltas */
#endif
#ifndef WRITER_SNAPSHOT_QUIET
#define WRITER_SNAPSHOT_QUIET 32 /* or after so many, when nothing happens any more */
#endif
#ifndef WRITER_SNAPSHOT_APART
#define WRITER_SNAPSHOT_APART (30 * USEC_PER_SEC) /* a slow reader has to finish the one before */
#endif
#ifndef WRITER_AUDIT_APART
#define WRITER_AUDIT_APART (30 * USEC_PER_SEC)
#endif
#ifndef WRITER_INLINE_RUNS
#define WRITER_INLINE_RUNS 64 /* of a manifest; longer lineages go into chunks */
#endif
#define WRITER_QUIET (30 * USEC_PER_SEC)
#define WRITER_WINDOW (100 * USEC_PER_MSEC)
#define WRITER_SUBSCRIBER (USEC_PER_SEC / 20000)
#define WRITER_RETRY USEC_PER_SEC /* after the store failed */
#define WRITER_BEAT_SOON USEC_PER_SEC
#define WRITER_BEAT_APART (30 * USEC_PER_SEC)
#define WRITER_QUEUE_MAX 8192
/* Epochs are Unix seconds or little more. A number far above all that ever were is no evidence: a stolen
 * key would use up the numbers with it, and no epoch could follow. */
#define WRITER_EPOCH_BELIEVED (UINT64_C(1) << 40)
#define WRITER_EPOCH_STEP (UINT64_C(1) << 20)

/* An operation that waits for the window. */
struct writer_waiting {
	struct journal_op op; /* strings owned */
};

struct writer_log_entry {
	uint64_t ver; /* 0: none */
	char *delta;  /* the document */
	size_t len;
};

struct writer_message {
	enum topic_kind kind;
	unsigned slot, chunk;
	struct buf bytes;
	struct writer_message *next;
};

/* Which topics hold what they should. */
struct writer_audit {
	bool newest, manifest;
	bool log[WRITER_RING];
	bool chunks[JOURNAL_CHUNKS_MAX];
	bool rolled_back;
	uint64_t seen_epoch;
};

struct writer {
	char mesh[MESH_ID_SIZE];
	char place[TOPIC_SIZE];
	struct topic journal;
	const struct sign_key *key;
	struct keyring keys;
	struct writer_io io;
	bool exporter;

	/* Stored. */
	struct map *members; /* bodies */
	size_t bytes;
	struct writer_state state; /* runs owned; gone is in the map below */
	struct map *gone;	   /* names, the values mean nothing */
	struct writer_log_entry log[WRITER_RING];
	struct buf manifest; /* the document; empty: none */
	struct arena manifest_arena;
	struct journal_chunk *chunks; /* of the manifest */
	size_t chunk_count;

	uint8_t run[RUN_LEN];
	struct map *waiting; /* struct writer_waiting, in order */
	size_t subscribers;
	uint64_t window_until;
	uint64_t committed_at;
	uint64_t snapshot_after; /* none before this time */
	bool snapshot_wanted;
	uint64_t beat_due, beat_at;
	uint64_t audit_after; /* none because of an ask before this time */

	struct writer_message *queue, **queue_end;
	size_t queue_count;
	struct writer_audit *audit; /* while it is read */
};

/* ---- writer_store.c */
/* Queues a message; a beat takes the place of the one that waits. `bytes` is taken. */
void writer_queue(struct writer *w, enum topic_kind kind, unsigned slot, unsigned chunk,
		  struct buf *bytes);
void writer_queue_copy(struct writer *w, enum topic_kind kind, unsigned slot, const char *bytes,
		       size_t len);
void writer_queue_clear(struct writer *w);
/* One delta: stored, applied, queued. */
int writer_append(struct writer *w, uint64_t now, struct journal_op *ops, size_t count);
/* A snapshot at our position: stored, queued. */
int writer_snapshot(struct writer *w, uint64_t now);
/* The log's entry at our position; NULL when the store had none. */
const struct writer_log_entry *writer_newest(const struct writer *w);
/* Reads the chunks' hashes out of `manifest`. */
void writer_manifest_read(struct writer *w);

/* ---- writer_snapshot.c */
/* Cuts the members into chunks. 0 or -EFBIG. */
struct writer_chunks {
	struct buf *list; /* deflated */
	size_t count;
};
/* The lists go into chunks of their own when they are too long for the manifest: *ret_inline. */
int writer_chunks_cut(const struct map *members, const struct journal_lists *lists,
		      struct writer_chunks *ret, bool *ret_inline);
void writer_chunks_done(struct writer_chunks *c);
