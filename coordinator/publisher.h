/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the coordinator publishes: the two journals of every network, and registers. It owns the
 * writers, stores through coordinator/store, audits the broker's copy at each connection, and sends.
 *
 * The functions that change something work inside the caller's transaction (store_begin); the
 * caller then calls publisher_flush after a commit, or publisher_reload after a roll-back.
 * authority_end (coordinator/authority.h) does that.
 */
#pragma once

#include "coordinator/keys.h"
#include "coordinator/store.h"
#include "lib/loop.h"
#include "lib/mqtt.h"

struct publisher;

/* One of several changes that are made together. Borrowed: all. */
struct publisher_op {
	const char *name;
	const char *body; /* as publisher_put's; NULL: a deletion */
	enum journal_why why;
};

/* Loads every journal of the store; starts nothing on the wire. Borrowed: all. */
int publisher_new(struct loop *l, struct store *s, const struct keys *k, struct publisher **ret);
void publisher_free(struct publisher *p);

/* `orphan` is told the members that a journal on the broker holds and no row of the store knows
 * (authority.h: network_orphan_add). It works in the transaction that is open, or in its own. */
void publisher_on_orphan(struct publisher *p,
			 int (*orphan)(void *owner, const char *network, const char *node,
				       const char *body),
			 void *owner);

/* `found` is told a network that the broker holds and the store does not know, with the body of its
 * member `settings`, once both its journals are read back (authority.h: network_adopt). */
void publisher_on_network(struct publisher *p,
			  int (*found)(void *owner, const char *network, const char *settings),
			  void *owner);

/* A network's journals begin (a first epoch, or one above what was read back from the broker). */
int publisher_network_add(struct publisher *p, const char *network);
/* Every retained topic of it is cleared once the broker is in reach. */
int publisher_network_del(struct publisher *p, const char *network);
/* `body` is any JSON text; it is made compact. */
int publisher_put(struct publisher *p, const char *network, enum journal_kind kind,
		  const char *name, const char *body);
int publisher_del(struct publisher *p, const char *network, enum journal_kind kind,
		  const char *name, enum journal_why why);
/* Changes that belong together are in one delta, so that nobody sees the journal between them; in more
 * only when one does not hold them. */
int publisher_change(struct publisher *p, const char *network, enum journal_kind kind,
		     const struct publisher_op *ops, size_t count);
/* What waits for the window is done now, so that publisher_position has it. */
int publisher_commit(struct publisher *p, const char *network, enum journal_kind kind);
/* Ends all orphans of the network's journals. */
int publisher_release(struct publisher *p, const char *network);
/* The member as published now; NULL. */
const char *publisher_get(struct publisher *p, const char *network, enum journal_kind kind,
			  const char *name);
/* The member as it will be: also what waits for a window, and what the open transaction did. */
const char *publisher_latest(struct publisher *p, const char *network, enum journal_kind kind,
			     const char *name);
/* Walk over the published members' names: NULL first; NULL at the end. */
const char *publisher_next(struct publisher *p, const char *network, enum journal_kind kind,
			   const char *name);
struct journal_position publisher_position(struct publisher *p, const char *network,
					   enum journal_kind kind);
/* Signs, stores and publishes (retained) a register of ours. The body is the whole JSON object. */
int publisher_register(struct publisher *p, const struct topic *t, uint64_t seq, const char *body);
/* Clears a retained topic (an empty payload), ours or another's. */
void publisher_clear(struct publisher *p, const struct topic *t);
/* Signs and publishes, not retained. -ENOTCONN when the broker is away. */
int publisher_send(struct publisher *p, const struct topic *t, const char *body);

void publisher_flush(struct publisher *p);
void publisher_reload(struct publisher *p);

/* ---- wiring, used by coordinator/session.c */
void publisher_connected(struct publisher *p, struct mqtt *m);
void publisher_disconnected(struct publisher *p);
/* A message of a journal's topics, of c/... or of registers that we wrote; true when it was ours. */
bool publisher_message(struct publisher *p, const struct topic *t, const struct mqtt_message *m);
/* A replica's resync request; the caller has checked its envelope, and that the node is a member. */
void publisher_ask(struct publisher *p, const struct topic *t, const struct journal_ask *ask);
/* Known after the audit at a connection: networks on the broker that the store does not know are
 * kept as orphans and named here. */
size_t publisher_unknown_networks(struct publisher *p, const char *const **ret);
