/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Makes the kernel look like the memberships: a partial pass over the touched peers after a delta, a
 * full one at the start, when the kernel says that something changed, every 60 s, and after a failure
 * (1 s, 2, 4 ... 60 s).
 *
 * What the kernel has and the disk does not know is left alone until the network's journal is caught
 * up, at most for 60 s after the start.
 */
#pragma once

#include "agent/brokers.h"
#include "agent/kernel.h"
#include "agent/memberships.h"
#include "agent/wanted.h"

struct apply;

struct apply_config {
	struct loop *loop;
	struct kernel *kernel;
	struct state *state;
	const struct memberships *memberships;
	const char *const *site;       /* of this node; the value may change; NULL: none */
	const struct brokers *brokers; /* NULL: none */
	/* A pass is done: problems, ports and `up` may be others. */
	void (*done)(void *owner);
	void *owner;
};

struct apply *apply_new(const struct apply_config *c);
/* Leaves the kernel as it is. */
void apply_free(struct apply *a);

/* The touched peers of all networks, in the next turn of the loop. */
void apply_soon(struct apply *a);
/* Everything, in the next turn of the loop, or now. */
void apply_full_soon(struct apply *a);
void apply_full(struct apply *a);
/* This network is torn down: its interface may go at once. */
void apply_forget(struct apply *a, const struct network *n);
/* The interface of a network that is being joined, in a full pass now: with its key and port before
 * anybody can hear of it, so that what comes early meets no closed port. It has no address and no peer,
 * and the rules let nothing in. One at a time. _end: it goes, unless we are in the network meanwhile. */
void apply_early(struct apply *a, const char *interface, const uint8_t private_key[static KEY_LEN],
		 uint16_t port);
void apply_early_end(struct apply *a);
/* Frees what `n` keeps for us. */
void apply_network_done(struct network *n);

/* What a full pass would do now: a line for each op (op_format). */
int apply_diff(struct apply *a, void (*each)(void *owner, const char *op), void *owner) MUST_CHECK;
/* Is our nft table in the kernel what was last applied? */
bool apply_has_rules(const struct apply *a, const struct host *actual);
/* What wanted.h takes of a network. */
void apply_wanted(const struct network *n, struct wanted_network *ret);
/* A sentence about what fails besides single networks (reading, nft); NULL: nothing. */
const char *apply_problem(const struct apply *a);

/* The first UDP port at or after `first` that nobody has, in both families, and no other network than
 * `n` (may be NULL) has chosen. 0: none of the next 256. */
uint16_t apply_free_port(const struct memberships *m, const struct network *n, uint16_t first);
