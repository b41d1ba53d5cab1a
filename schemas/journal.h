/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a journal's topics hold (design section 4): deltas, manifests, chunks, beats, asks.
 *
 * A chunk, inflated, is lines of `NAME SP BODY LF`, BODY being a compact JSON object. A chunk may begin
 * with one line that is itself a JSON object, `{"runs":[...],"gone":[...]}`: what is too long for the
 * manifest of these two lists, in order over all chunks.
 */
#pragma once

#include "lib/json.h"
#include "schemas/document.h"

/* [a-z0-9-./]: `<node>`, `gateway/<id>`, `<namespace>/<service>/<part>` */
#define JOURNAL_NAME_MAX 130
#define JOURNAL_BODY_MAX 16384	     /* a member's compact JSON */
#define JOURNAL_CHUNK_MAX 65536	     /* deflated */
#define JOURNAL_INFLATED_MAX 1048576 /* a chunk inflated */
#define JOURNAL_CHUNKS_MAX 512
#define JOURNAL_BYTES_MAX                                                                          \
	(24 << 20) /* names and bodies of all members together: fits into the chunks */
#define JOURNAL_OPS_MAX 4096
#define JOURNAL_RUNS_MAX 4096
/* What a writer puts into one delta's document: quoted in an ask it still is a document. */
#define JOURNAL_DELTA_MAX 32000
#define JOURNAL_QUOTED_MAX 60000 /* proofs of one ask together, as JSON strings */
#define RUN_LEN 16

struct journal_position {
	uint64_t epoch, ver;
};
/* <0, 0, >0: by epoch, then ver. */
int journal_position_cmp(struct journal_position a, struct journal_position b);

enum journal_why { WHY_REMOVED, WHY_LEFT, WHY_SILENT, WHY_EXPIRED, WHY_REPLACED, WHY_GONE };
extern const char *const journal_why_names[];

/* Exactly one of put (with body), del, drop. */
struct journal_op {
	char *put;
	char *body; /* compact JSON */
	char *del;
	unsigned why;
	bool drop;
};

struct journal_delta {
	uint64_t epoch, ver;
	uint8_t prev[HASH_LEN]; /* of the body of the delta before; of delta 1: the manifest's at */
	uint8_t run[RUN_LEN];
	struct journal_op *ops;
	size_t op_count;
};

struct journal_run {
	uint8_t run[RUN_LEN];
	uint64_t first; /* the first ver written in this run */
};

struct journal_manifest {
	uint64_t epoch, ver;
	uint8_t run[RUN_LEN];
	struct journal_run *runs;
	size_t run_count;
	uint8_t at[HASH_LEN];
	uint64_t slot;
	uint64_t count;
	char **gone;
	size_t gone_count;
	bool drop;
	struct journal_chunk {
		uint8_t hash[HASH_LEN];
	} * chunks;
	size_t chunk_count;
};

struct journal_beat {
	uint64_t epoch, ver;
	uint8_t hash[HASH_LEN];
	uint8_t run[RUN_LEN];
	uint64_t time; /* milliseconds since 1970 */
};

/* S/ask/<node>: a resync request. Each proof is a whole document as it was received. */
enum journal_proof_kind { PROOF_DELTA, PROOF_MANIFEST, PROOF_BEAT, PROOF_JOIN };
struct journal_proof {
	unsigned kind;
	char *document;
	char *topic; /* PROOF_JOIN: where the answer was read; NULL else */
};
#define JOURNAL_PROOFS_MAX 3
struct journal_ask {
	struct journal_proof *proofs;
	size_t proof_count;
	bool unproven; /* the replica has no document that proves its state: it needs a snapshot */
};

/* The lists of a manifest, or the part of them that stands in a chunk. */
struct journal_lists {
	struct journal_run *runs;
	size_t run_count;
	char **gone;
	size_t gone_count;
};

extern const struct json_field journal_delta_fields[], journal_manifest_fields[],
	journal_beat_fields[], journal_ask_fields[], journal_lists_fields[];
bool text_is_member_name(const char *s);
/* A body as members have them: compact text of a JSON object, at most JOURNAL_BODY_MAX bytes. Looks
 * at its ends and at its length only. */
bool text_is_member_body(const char *s, size_t len);

/* The lineage: is `run` listed, and its first <= ver < first of the next one? */
bool journal_runs_hold(const struct journal_run *runs, size_t count,
		       const uint8_t run[static RUN_LEN], uint64_t ver);

/* Each run began after the one before it, and none above `ver`. */
bool journal_runs_in_order(const struct journal_run *runs, size_t count, uint64_t ver);

/* Decode with the checks that a table cannot say: one of put, del, drop; bodies that are objects, in
 * canonical form whatever was received; runs in order. */
enum refusal journal_delta_decode(struct arena *a, const char *text, size_t len,
				  struct journal_delta *ret, struct json_error *err);
enum refusal journal_manifest_decode(struct arena *a, const char *text, size_t len,
				     struct journal_manifest *ret, struct json_error *err);
enum refusal journal_beat_decode(struct arena *a, const char *text, size_t len,
				 struct journal_beat *ret, struct json_error *err);
enum refusal journal_ask_decode(struct arena *a, const char *text, size_t len,
				struct journal_ask *ret, struct json_error *err);

/* Chunks. Reading goes through `text`, the inflated chunk, and puts a NUL behind each name and body;
 * *at is where to go on, `end` the end. First journal_chunk_lists, once for a chunk. */
int journal_chunk_lists(struct arena *a, char **at, char *end, struct journal_lists *ret)
	MUST_CHECK;
/* 1 and a member, 0 at the end, -EBADMSG. */
int journal_chunk_next(char **at, char *end, char **ret_name, char **ret_body) MUST_CHECK;
void journal_chunk_add(struct buf *out, const char *name, const char *body);
/* What `document` takes as a JSON string, quotes and all. */
size_t journal_quoted_len(const char *document);
