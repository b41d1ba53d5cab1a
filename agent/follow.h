/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One journal that this node follows: its replica, tied to the disk, the clock and the connection.
 */
#pragma once

#include "agent/state.h"
#include "lib/loop.h"
#include "schemas/replica.h"

struct follow;

struct follow_config {
	struct loop *loop;
	struct state *state;
	const char *mesh;		 /* copied */
	struct topic journal;		 /* TOPIC_JOURNAL */
	const struct sign_key *identity; /* signs resync requests; borrowed */
	const struct keyring *keys;	 /* copied */
	/* Of the connection; they do nothing when there is none. */
	void (*subscribe)(void *owner, const char *topic);
	void (*unsubscribe)(void *owner, const char *topic);
	void (*publish)(void *owner, const char *topic, const void *bytes, size_t len);
	/* Members to be acted on (already stored). `all`: the journal has become ready, read every
	 * member; `changes` is then empty. */
	void (*changed)(void *owner, struct follow *f, const struct replica_change *changes,
			size_t count, bool all);
	void *owner;
};

/* Restores what is on disk; `changed` is not called for that. */
struct follow *follow_new(const struct follow_config *c);
void follow_free(struct follow *f);
/* The minimum that an answer to a join named. */
void follow_set_minimum(struct follow *f, struct journal_position minimum, const char *topic,
			const char *document);

/* A new connection: subscribes. */
void follow_connected(struct follow *f);
/* Unsubscribes: the journal is followed no more. */
void follow_end(struct follow *f);
enum refusal follow_receive(struct follow *f, const struct topic *t, const void *bytes, size_t len);
/* A signing key is valid no more. */
void follow_revoke(struct follow *f, const char *key);
/* For state_on_rewrite. */
void follow_rewrite(struct follow *f);

const char *follow_path(const struct follow *f);
const struct replica *follow_replica(const struct follow *f);
/* Does a del at our position come after what the last join answer named? */
bool follow_is_past_minimum(const struct follow *f);
/* Heard from the writer since the connection was made, and nothing ahead is known. */
bool follow_is_level(const struct follow *f);
/* Wall seconds since when it is stale; 0: it is not. */
int64_t follow_stale_since(const struct follow *f);
