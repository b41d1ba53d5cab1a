/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of the publisher, for these files only:
 *
 *   publisher.c   networks, transactions, the timer
 *   outlet.c      one journal: its writer, its store, its topics
 *   registers.c   registers, and clearing of topics
 *   audit.c       what the broker holds: read back, compared, filled, swept
 *   readback.c    a journal of the broker that the store does not know
 */
#pragma once

#include "coordinator/publisher.h"
#include "lib/log.h"
#include "lib/map.h"

#define PUBLISHER_JOURNALS 2 /* of a network: JOURNAL_PEERS, JOURNAL_GATEWAYS */

/* An operation that a writer may still hold in its window. */
struct outlet_op {
	char *name;
	char *body; /* NULL: a deletion */
	enum journal_why why;
};

/* One journal. */
struct outlet {
	struct publisher *publisher;
	struct topic topic; /* TOPIC_JOURNAL */
	char path[TOPIC_SIZE];
	struct writer *writer;
	/* What was given to the writer since its last delta, so that a roll-back loses only what it
	 * should. `kept`: how many of them are of earlier transactions. */
	struct outlet_op *ops;
	size_t op_count, op_cap, kept;
	bool dirty;		      /* touched in the open transaction */
	bool held;		      /* nothing is sent before an audit is over */
	bool lost;		      /* a roll-back could not load it: its writer is empty */
	uint64_t load_at;	      /* monotonic: then it is tried again */
	bool auditing;		      /* its retained documents go to the writer */
	bool rolled_back;	      /* found by an audit, and not yet read back */
	struct journal_position seen; /* the broker's highest position that is signed by us */
	struct readback *readback;    /* of the broker's copy; NULL: none */
};

struct published {
	char name[LABEL_SIZE];
	struct outlet outlets[PUBLISHER_JOURNALS];
	bool added, deleted; /* in the open transaction */
};

/* A network of the broker that the store does not know. */
struct unknown {
	char name[LABEL_SIZE];
	struct readback *readbacks[PUBLISHER_JOURNALS]; /* NULL: not seen yet */
	struct journal_position seen[PUBLISHER_JOURNALS];
	bool taken;   /* in the open transaction, by a new network of that name */
	bool offered; /* publisher.found was told */
};

/* What an audit has to look at. */
struct scope {
	bool all; /* every journal of every network */
	bool registers;
	struct map *networks; /* names; the values mean nothing */
	struct map *sweeps;   /* networks of which everything is to be cleared */
};

struct audit {
	struct scope wanted; /* next time */
	struct scope now;
	bool running;
	bool echoed; /* the marker behind the subscriptions came back */
	char marker[33];
	uint64_t heard;	  /* monotonic: the last message of interest */
	struct map *same; /* paths of registers that the broker has as we do */
};

struct publisher {
	struct loop *loop;
	struct store *store;
	const struct keys *keys;
	struct mqtt *mqtt; /* NULL: not connected */
	struct keyring keyring;
	struct map *networks;	    /* struct published */
	struct map *unknown;	    /* struct unknown */
	const char **unknown_names; /* for publisher_unknown_networks */
	struct outbox *outbox;	    /* of the open transaction */
	struct outbox **outbox_end;
	struct audit audit;
	struct loop_hook hook;
	struct loop_timer timer;
	struct log_limit limit;
	int (*orphan)(void *owner, const char *network, const char *node, const char *body);
	void *orphan_owner;
	int (*found)(void *owner, const char *network, const char *settings);
	void *found_owner;
};

/* ---- publisher.c */
/* The highest epoch of a network of that name which was deleted; 0: none was. */
uint64_t publisher_deleted_epoch(struct publisher *p, const char *network);

/* ---- outlet.c */
/* Loads from the store; -ENOENT when the journal was never begun. */
int outlet_init(struct outlet *o, struct publisher *p, const char *network, enum journal_kind kind);
void outlet_done(struct outlet *o);
/* A first epoch, above `seen`. */
int outlet_begin(struct outlet *o, uint64_t seen);
int outlet_change(struct outlet *o, const struct publisher_op *ops, size_t count);
const char *outlet_latest(const struct outlet *o, const char *name);
int outlet_commit(struct outlet *o);
int outlet_release(struct outlet *o);
uint64_t outlet_due(const struct outlet *o);
void outlet_tick(struct outlet *o);
/* The transaction was committed; sends unless held. */
void outlet_flush(struct outlet *o);
/* It was rolled back: the writer is made anew from the store. Where that fails nothing is sent and
 * no change is taken until it could be done. */
int outlet_reload(struct outlet *o);
void outlet_connected(struct outlet *o);
void outlet_disconnected(struct outlet *o);

/* ---- registers.c */
void outbox_flush(struct publisher *p);
void outbox_clear(struct publisher *p);
void registers_audit_begin(struct publisher *p);
/* A retained register of the broker. */
void registers_audit(struct publisher *p, const struct topic *t, const struct mqtt_message *m);
void registers_audit_end(struct publisher *p);
/* The register c/mark, made when there is none. */
int registers_mark(struct publisher *p);
/* Sends an empty retained message now. */
void registers_clear_text(struct publisher *p, const char *topic);

/* ---- audit.c */
void audit_init(struct publisher *p);
void audit_done(struct publisher *p);
void audit_want_all(struct publisher *p);
void audit_want(struct publisher *p, const char *network);
void audit_want_sweep(struct publisher *p, const char *network);
/* Is a round under way, or about to begin? */
bool audit_is_reading(const struct publisher *p);
void audit_disconnected(struct publisher *p);
bool audit_message(struct publisher *p, const struct topic *t, const struct mqtt_message *m);
uint64_t audit_due(const struct publisher *p);
void audit_tick(struct publisher *p);
/* The round that is under way is broken off, and one of everything is made instead. */
void audit_again(struct publisher *p);
/* The topic with a wildcard for network, slot, id. `network` NULL: all. */
void audit_filter(const struct publisher *p, enum topic_kind kind, enum journal_kind journal,
		  const char *network, char ret[static TOPIC_SIZE]);

/* ---- readback.c */
struct readback *readback_new(struct publisher *p, const struct topic *journal);
void readback_free(struct readback *rb);
void readback_message(struct readback *rb, const struct topic *t, const struct mqtt_message *m);
void readback_tick(struct readback *rb);
/* Now, when it is done. */
uint64_t readback_due(const struct readback *rb);
/* It is level with the broker, or it took too long. */
bool readback_is_done(const struct readback *rb);
/* A member's body, borrowed; NULL. */
const char *readback_get(const struct readback *rb, const char *name);
/* It ended before it was level. */
bool readback_is_cut(const struct readback *rb);
/* The connection is lost: what was read stays. */
void readback_disconnected(struct readback *rb);
/* Its members that no row knows, one after the other. `ended_too`: also those of nodes whose
 * membership is known to have ended. 0 or what publisher.orphan said. */
int readback_orphans(struct readback *rb, bool ended_too, size_t *ret_count);
/* The position of a journal's newest delta or manifest; false when it is not by us. */
bool readback_position(const struct publisher *p, const struct topic *t,
		       const struct mqtt_message *m, struct journal_position *ret);
