/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of a replica, for schemas/replica*.c only: replica.c receives, replica_map.c holds the
 * members and the stored state, replica_repair.c fetches what is missing, replica_snapshot.c takes
 * snapshots.
 *
 * The limits may be made smaller by tests that build these files themselves: short histories then go
 * over every edge.
 */
#pragma once

#include "lib/clock.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "schemas/replica.h"

#ifndef REPLICA_RING
#define REPLICA_RING JOURNAL_RING /* missing deltas that the log can have */
#endif
#ifndef REPLICA_LOG_MAX
#define REPLICA_LOG_MAX 32 /* missing deltas for which the log is read before the snapshot */
#endif
#ifndef REPLICA_PENDING_MAX
#define REPLICA_PENDING_MAX 1024 /* deltas that wait */
#endif
#define REPLICA_PENDING_BYTES (8u << 20)
#define REPLICA_REORDER (20 * USEC_PER_MSEC) /* a gap may close by itself */
#define REPLICA_LOG_TIME (2 * USEC_PER_SEC)
#define REPLICA_SNAPSHOT_TIME (5 * USEC_PER_SEC) /* for the manifest, and for each further chunk */
#define REPLICA_BACKOFF_FIRST (5 * USEC_PER_SEC)
#define REPLICA_BACKOFF_MAX (300 * USEC_PER_SEC)
#define REPLICA_STALE (95 * USEC_PER_SEC)

struct replica_member {
	bool orphan;
	size_t size; /* of name and body */
	char body[];
};

/* A delta that cannot be applied yet. Its signature was checked. */
struct replica_pending {
	uint64_t ver;
	char key[KEY_ID_SIZE];
	size_t len;
	char bytes[]; /* the document, NUL behind it */
};

/* The manifest whose chunks are read. */
struct replica_snapshot {
	struct arena arena;
	struct journal_manifest manifest;
	char *document;
	char key[KEY_ID_SIZE];
	struct buf *chunks; /* deflated; empty: not there yet */
	size_t missing;
};

enum replica_phase { PHASE_IDLE, PHASE_LOG, PHASE_MANIFEST, PHASE_CHUNKS };

struct replica {
	char mesh[MESH_ID_SIZE];
	struct topic journal;
	struct keyring keys;
	struct replica_io io;

	/* Stored. */
	struct map *members; /* struct replica_member */
	size_t orphans;
	size_t bytes;
	struct replica_state state;

	/* Of this connection. */
	uint64_t pending_epoch;
	struct replica_pending **pending; /* by ver */
	size_t pending_count, pending_cap, pending_bytes;
	struct journal_position target; /* the highest that a delta or beat told */
	struct journal_proof seen;	/* the newest document above us; document NULL: none */
	struct journal_position seen_position;
	uint64_t beat_time;
	bool confirmed;	    /* the newest beat is level, and nothing has moved since */
	bool ask;	    /* something shows that the writer has lost something */
	bool lost;	    /* a repair has failed, and we are still behind */
	uint64_t ask_after; /* because of one of them, not before this time; else CLOCK_NEVER */

	enum replica_phase phase;
	uint64_t phase_until;
	struct journal_position phase_from;    /* our position when it began */
	uint8_t slots[(JOURNAL_RING + 7) / 8]; /* subscribed in PHASE_LOG */
	uint64_t log_last;		       /* the highest ver of them */
	bool log_tried;			       /* in this repair */
	struct replica_snapshot *snapshot;     /* PHASE_CHUNKS */
	uint64_t backoff;		       /* 0: there was progress since the last repair */
	uint64_t not_before;		       /* of the next repair */
	uint64_t start; /* of the next repair, if it is wanted; else CLOCK_NEVER */
	bool connected;

	/* Staleness, over all connections. */
	uint64_t now;
	bool ticked;
	uint64_t fresh_time; /* of the newest beat ever */
	uint64_t fresh_at;
	uint64_t behind_at; /* behind since, or since the last progress; CLOCK_NEVER: not behind */
};

/* A document that was verified. */
struct replica_document {
	const char *bytes; /* whole; NUL behind it is not promised */
	size_t len;
	const char *key;
	const char *body;
	size_t body_len;
};

/* What a move does to the members, in order. There is room for all before it begins. */
struct replica_changes {
	struct replica_change *list;
	size_t count;
};

/* ---- replica_map.c */
void replica_changes_add(struct replica_changes *c, const char *name,
			 enum replica_member_change change, const char *body, unsigned why);
/* What is behind: the target or the minimum, whichever is higher. */
struct journal_position replica_goal(const struct replica *r);
bool replica_is_behind(const struct replica *r);
struct replica_member *replica_member_new(const char *name, const char *body, bool orphan);
/* Puts `m` in, frees what was there, keeps count. */
void replica_member_put(struct replica *r, const char *name, struct replica_member *m);
/* What was tried before is no reason to wait. */
void replica_backoff_reset(struct replica *r);
/* The state is now at `position` and rests on `d`: the back-off begins anew, and all is stored. */
void replica_move(struct replica *r, struct journal_position position,
		  const uint8_t hash[static HASH_LEN], const uint8_t run[static RUN_LEN],
		  const struct replica_document *d, unsigned kind,
		  const struct replica_changes *changes);
void replica_forget_minimum(struct replica_state *st);
/* `d` proves the state that we have. */
void replica_prove(struct replica *r, const struct replica_document *d, unsigned kind);
/* The beat is level with us: drops what `drop_due` kept. */
void replica_drop_due(struct replica *r);
/* Applies the delta after ours. False: it does not fit, and was not applied. */
bool replica_step(struct replica *r, const struct journal_delta *delta,
		  const struct replica_document *d, struct arena *a);

/* ---- replica_repair.c */
/* Lets a delta wait that was not next. */
void replica_wait(struct replica *r, const struct journal_delta *delta,
		  const struct replica_document *d);
/* Applies what waits and is next now, throws away what was. */
void replica_drain(struct replica *r);
void replica_pending_clear(struct replica *r);
/* A manifest arrived. */
void replica_take_manifest(struct replica *r, struct arena *a, const struct journal_manifest *m,
			   const struct replica_document *d);
enum refusal replica_take_chunk(struct replica *r, unsigned chunk, const void *bytes, size_t len);
/* Ends the phase: unsubscribes, throws half of a snapshot away. */
void replica_phase_end(struct replica *r);
/* At the end of everything that changes something: is a repair wanted, and from when on? */
void replica_settle(struct replica *r);
/* phase_until or the start of the next repair has come. */
void replica_repair(struct replica *r);

/* ---- replica_snapshot.c */
struct replica_snapshot *replica_snapshot_new(struct arena *a, const struct journal_manifest *m,
					      const struct replica_document *d);
void replica_snapshot_free(struct replica_snapshot *s);
/* All chunks are there. False: it is a fork of ours, or not what it should be. */
bool replica_snapshot_take(struct replica *r, struct replica_snapshot *s);
