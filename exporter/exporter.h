/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exporter as a whole: what its parts share, and what happens between them.
 *
 *	file -> watch -> services -> publish -> session -> broker
 *	token -> enrol -> state -> publish, session
 *
 * One thread. What must not be done inside a callback of a part (freeing that part) is left to the
 * next turn of the loop.
 */
#pragma once

#include "exporter/enrol.h"
#include "exporter/granted.h"
#include "exporter/publish.h"
#include "exporter/services.h"
#include "exporter/session.h"
#include "exporter/state.h"
#include "exporter/watch.h"

#define EXPORTER_WHY_SIZE 512

struct exporter_options {
	const char *state;    /* folder */
	const char *token;    /* NULL: one is not needed any more */
	const char *services; /* file */
};

struct exporter {
	struct loop *loop;
	struct exporter_options o;
	struct state *state;
	struct identity identity;
	struct token token;
	bool has_token;

	/* The mesh: NULL before the join. Its strings are in the arena. */
	struct trust *trust;
	struct state_mesh mesh;
	struct arena arena;

	struct enrol *enrol;
	struct publish *publish;
	struct granted *granted;
	struct session *session;
	struct watch *watch;
	char broker_error[256]; /* said last */

	size_t outside;	  /* services of it that are not granted */
	bool unread_told; /* that the file cannot be read */

	char rid[SESSION_RID_SIZE]; /* of the renewal under way */
	bool reconnect;
	struct loop_timer work, renewal, retry, check;
	unsigned retries;

	char failed[EXPORTER_WHY_SIZE]; /* why it ended by itself; "": it did not */
};

/* Opens the state, watches the file, joins if that is still to be done. 0, or a negative errno with a
 * sentence in x->failed. `x` is zeroed. When it later ends by itself the loop is stopped and
 * x->failed says why. */
int exporter_start(struct exporter *x, struct loop *l, const struct exporter_options *o) MUST_CHECK;
void exporter_stop(struct exporter *x);
