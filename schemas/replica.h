/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A journal's replica (design section 4; the rules and why each is there: docs/journal.md). Pure: no
 * I/O, no clock, no randomness of its own; it verifies, decides, and acts through `struct
 * replica_io`, synchronously from inside its functions. One thread.
 *
 * The owner keeps its state on disk: replica_io.changed tells what moved, replica_state gives the
 * row to store in the same transaction, replica_restore puts it back at start.
 */
#pragma once

#include "schemas/journal.h"
#include "schemas/topic.h"

struct replica;

enum replica_member_change {
	MEMBER_PUT,	 /* new or another body, or an orphan that is a member again */
	MEMBER_DEL,	 /* removed by a signed word */
	MEMBER_ORPHANED, /* still in force, not listed by the new epoch */
};

struct replica_change {
	const char *name;
	enum replica_member_change change;
	const char *body;     /* compact JSON; NULL for MEMBER_DEL */
	enum journal_why why; /* MEMBER_DEL by a delta; WHY_GONE otherwise */
};

struct replica_io {
	/* Topics of this journal by kind (TOPIC_LOG slot; TOPIC_MANIFEST; TOPIC_CHUNK slot, chunk). The
	 * owner itself keeps TOPIC_JOURNAL and TOPIC_BEAT subscribed after replica_connected. */
	void (*subscribe)(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk);
	void (*unsubscribe)(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk);
	/* The state moved; `changes` may be empty (a renewed proof, a new epoch with equal members).
	 * `removed`: some member was removed, so the disk is to be flushed soon. Changes are always to
	 * be stored; before replica_is_ready they are not to be acted on. When that becomes true,
	 * here, all members are to be read. A name may come twice; the later change counts. */
	void (*changed)(void *owner, const struct replica_change *changes, size_t count,
			bool removed);
	/* Publish a resync request. Called up to three times in a row when the proofs do not fit into
	 * one document. */
	void (*ask)(void *owner, const struct journal_ask *ask);
	uint32_t (*random)(void *owner);
	void *owner;
	/* None of them may call the replica back, readings and replica_state excepted. */
};

/* What is stored beside the members. `proof`: the signed document that the state came from. */
struct replica_state {
	struct journal_position position;
	bool proven; /* hash and run are valid */
	uint8_t hash[HASH_LEN];
	uint8_t run[RUN_LEN];
	bool join_reached;		 /* the minimum was reached once */
	struct journal_position minimum; /* (0,0) again when it was reached */
	/* The epoch drops orphans, and ours were kept because nothing was proven when its snapshot was
	 * taken: it may have been an old one. They go when a beat tells that we are level. */
	bool drop_due;
	char *proof; /* NULL: none */
	unsigned proof_kind;
	char proof_key[KEY_ID_SIZE]; /* the signing key that the position rests on */
	char *join;		     /* the join answer's document; NULL: none */
	char *join_topic;
	struct replica_floor {
		char key[KEY_ID_SIZE];
		struct journal_position taken; /* highest taken of this signing key */
	} floors[8];
	size_t floor_count;
};
void replica_state_done(struct replica_state *s);

/* `journal`: a TOPIC_JOURNAL. `keys` and `io` are copied. */
struct replica *replica_new(const char *mesh, const struct topic *journal,
			    const struct keyring *keys, const struct replica_io *io);
void replica_free(struct replica *r);

/* At start, before anything else: members first, then the state. */
void replica_restore_member(struct replica *r, const char *name, const char *body, bool orphan);
void replica_restore(struct replica *r, const struct replica_state *s);
/* A copy to store, freed with replica_state_done. */
void replica_state(const struct replica *r, struct replica_state *ret);
/* The minimum that a join answer named, with the answer's document as evidence. The state moves. */
void replica_set_minimum(struct replica *r, struct journal_position minimum, const char *topic,
			 const char *document);

/* The connection is new: everything half received is thrown away, and what was subscribed is held to
 * be gone with the old one. The owner then subscribes TOPIC_JOURNAL and TOPIC_BEAT. */
void replica_connected(struct replica *r, uint64_t now);
/* A message of one of the journal's topics. Verifies, then acts. An empty payload changes nothing. */
enum refusal replica_receive(struct replica *r, uint64_t now, const struct topic *t,
			     const void *bytes, size_t len);
/* The time for replica_tick; CLOCK_NEVER when nothing is waited for. A new replica is due at once:
 * that starts the clock of replica_stale_since. */
uint64_t replica_due(const struct replica *r);
void replica_tick(struct replica *r, uint64_t now);
/* The signing key was revoked, and the keyring knows it no more. At start the owner calls this for keys
 * of the state (proof_key, floors) that were revoked since it was stored. */
void replica_revoke(struct replica *r, uint64_t now, const char *key);

/* Readings. Members include orphans. Nothing is reported (count 0, get NULL) before the minimum was
 * reached for the first time. */
bool replica_is_ready(const struct replica *r);
struct journal_position replica_position(const struct replica *r);
const char *replica_get(const struct replica *r, const char *name, bool *ret_orphan);
size_t replica_count(const struct replica *r);
size_t replica_orphan_count(const struct replica *r);
/* Walk in no particular order: NULL first; the entry's name, then body and orphan by replica_get. */
const char *replica_next(const struct replica *r, const char *name);
/* Monotonic time since when the journal is stale (95 s without a newer beat, or behind for that
 * long without progress); 0: it is not. */
uint64_t replica_stale_since(const struct replica *r, uint64_t now);
/* Is the map equal to what the writer's newest word says: nothing ahead is known? */
bool replica_is_level(const struct replica *r);
/* Did the newest beat say exactly the position that the map is at? */
bool replica_is_confirmed(const struct replica *r);
