/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Our own membership, from the answer to a join until the `peers` journal shows it. Whoever is removed
 * before that never sees the word that removes it when a snapshot has already passed over both, and
 * the coordinator has cleared a/<node>/config of a node that is in no network.
 *
 * The answer names the journal's position when it was made; our put comes after it, with all that
 * waited then, before the writer's next beat. So a beat of the same epoch that is above that position
 * and level with a map without us says that we were removed (OWN_BEATS of them: the writer's disk may
 * have failed between two deltas of one burst). What is only not there yet is no such word, and a new
 * epoch is none: its writer may have lost what it knew.
 */
#pragma once

#include "agent/memberships.h"
#include "schemas/journal.h"

#define OWN_BEATS 3

/* Remembers, on disk too, the position of `peers` that the answer names. */
void own_joined(struct network *n, const struct join_answer *answer);
/* From the disk. */
void own_restore(struct network *n, struct state *s);
/* For state_on_rewrite. */
void own_rewrite(struct network *n);
/* After a document of its `peers` was taken (`beat`: a beat). True: we were removed. */
bool own_is_gone(struct network *n, bool beat);
