/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exporter as a whole: what its parts share, and what happens between them.
 *
 *	source (file, or cluster) -> publish -> session -> broker
 *	token -> enrol -> state -> publish, session
 *
 * One thread. What must not be done inside a callback of a part (freeing that part) is left to the
 * next turn of the loop.
 */
#pragma once

#include "exporter/enrol.h"
#include "exporter/granted.h"
#include "exporter/publish.h"
#include "exporter/session.h"
#include "exporter/source_file.h"
#include "exporter/state.h"

#define EXPORTER_WHY_SIZE 512

struct exporter_options {
	const char *state;    /* folder, or secret:NAME */
	const char *token;    /* NULL: one is not needed any more */
	const char *services; /* file; NULL: kubernetes */
	bool kubernetes;
	const char *kubeconfig;	       /* NULL: of the pod */
	const char *const *namespaces; /* NULL at the end; NULL: all */
	bool annotated;		       /* only what is annotated is exported */
};

struct cluster;

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
	struct source_file *file; /* one of the two */
	struct cluster *cluster;
	struct prefix offer[STATE_RANGES_MAX];
	size_t offer_count;
	char broker_error[256]; /* said last */

	size_t outside; /* services of it that are not granted */

	char rid[SESSION_RID_SIZE]; /* of the renewal under way */
	bool reconnect;
	struct loop_timer work, renewal, retry, check;
	unsigned retries;

	bool lost;			/* another replica leads: to be stopped, and started anew */
	char failed[EXPORTER_WHY_SIZE]; /* why it ended by itself; "": it did not */
};

/* Opens the state, watches the source, joins if that is still to be done. 0, or a negative errno with a
 * sentence in x->failed. `x` is zeroed. When it later ends by itself the loop is stopped and
 * x->failed says why, or x->lost is true. */
int exporter_start(struct exporter *x, struct loop *l, const struct exporter_options *o) MUST_CHECK;
void exporter_stop(struct exporter *x);
/* It does what it is for: connected, all services published; or another replica leads. A sentence
 * otherwise. */
bool exporter_is_ready(const struct exporter *x, char ret_why[static EXPORTER_WHY_SIZE]);

/* ---- for its parts */
/* The state may be read: a folder, or what x->state and x->identity already are. As exporter_start. */
int exporter_open(struct exporter *x);
/* It ends by itself. */
void exporter_fail(struct exporter *x, const char *sentence);
/* Another replica may lead from now on: nothing is sent any more. */
void exporter_lost(struct exporter *x);
