/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Held memberships (design section 7): tokens that admit at most K nodes at a time, and what nodes say of
 * the programs that hold their memberships. Nothing of that is stored: the nodes' retained words of
 * themselves bring it back. A node that has said nothing yet is taken to be held.
 */
#pragma once

#include "coordinator/authority.h"

struct holders;

struct holders *holders_new(void);
void holders_free(struct holders *h); /* NULL is allowed */
/* A node's word of itself; an older one is ignored. `now`: wall. */
void holders_taken(struct holders *h, const char *node, const struct node_state *state,
		   int64_t now);
/* Since when (wall) nobody holds the membership; 0: it is held. */
int64_t holders_gone(const struct holders *h, const char *network, const char *node);
/* Node `id` is about to become a member by the token. Where its `at_most` is reached, the membership by
 * it that is without a holder for longest ends (`replaced`); -ECANCELED when all are held. Inside the
 * caller's transaction. */
int holders_admit(struct authority *a, struct arena *arena, const struct token_row *token,
		  const char *id, struct refusal_reason *why);
