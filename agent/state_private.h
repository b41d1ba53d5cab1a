/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of the agent's state, for agent/state*.c only.
 */
#pragma once

#include "agent/state.h"
#include "lib/db.h"
#include "lib/map.h"

struct state {
	struct db *db;
	struct loop *loop;
	struct loop_timer flush, retry;
	unsigned depth;
	bool open;   /* the transaction was begun */
	bool broken; /* a write failed: single ones are left out until all was written anew */
	char problem[384];
	void (*rewrite)(void *owner);
	void *owner;

	/* Small, and wanted also when the disk is not there. */
	struct map *tokens;  /* id -> network (char *) */
	struct map *leaving; /* network -> itself (char *) */
};

/* Are writes made at all? */
bool state_takes(const struct state *s);
/* Looks at what a write returned. */
void state_check(struct state *s, int r);
