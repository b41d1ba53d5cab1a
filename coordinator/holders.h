/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Held memberships (design section 7): tokens that admit at most K nodes at a time, and what nodes say of
 * the programs that hold their memberships. Nothing of that is stored: the nodes' retained words of
 * themselves bring it back. A node that has said nothing yet is taken to be held; one that is offline
 * and a new membership are for HOLDERS_GRACE: an agent that is started anew keeps its places. After a
 * connection of the coordinator's the nodes have HOLDERS_RETURN to come back, too: that they are said to
 * be offline may only mean that the broker was.
 */
#pragma once

#include "coordinator/authority.h"

#define HOLDERS_GRACE 10  /* seconds */
#define HOLDERS_RETURN 40 /* seconds; agents try to connect at least every 30 */

struct holders;

struct holders *holders_new(void);
void holders_free(struct holders *h); /* NULL is allowed */
/* We are connected (again). `now`, here and below: wall. */
void holders_connected(struct holders *h, int64_t now);
/* A node's word of itself; an older one is ignored. */
void holders_taken(struct holders *h, const char *node, const struct node_state *state,
		   int64_t now);
/* The node is in no network any more: what it said last is forgotten with it. */
void holders_forget(struct holders *h, const char *node);
/* Since when (wall) nobody holds the membership that began at `joined`; 0: it counts as held. */
int64_t holders_gone(const struct holders *h, const char *network, const char *node, int64_t joined,
		     int64_t now);
/* Node `id` is about to become a member by the token. Where its `at_most` is reached, the membership by
 * it that is without a holder for longest ends (`replaced`); -ECANCELED when all are held. Inside the
 * caller's transaction. */
int holders_admit(struct authority *a, struct arena *arena, const struct token_row *token,
		  const char *id, struct refusal_reason *why);
