/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Joining, one at a time: by an enrolling connection when this node is in no network, else over its
 * own. A join ends when the network is applied, or with a sentence.
 */
#pragma once

#include "agent/agent.h"
#include "agent/enrol.h"

#define JOIN_SECONDS 30

struct join_outcome {
	unsigned status;     /* HTTP: 200, or why not */
	const char *code;    /* NULL: joined */
	const char *message; /* one sentence */
	const struct network *network;
};
typedef void join_done(void *owner, const struct join_outcome *o);

/* `text`: the token. `done` (may be NULL) is called once, perhaps at once. `patient`: goes on trying
 * while nobody answers (--token); else it ends after JOIN_SECONDS, or somewhat later when it was admitted
 * at the last moment. */
void join_begin(struct agent *a, const char *text, const char *name, bool patient, join_done *done,
		void *owner);
/* The owner of these joins is gone. */
void joins_disown(struct agent *a, void *owner);
/* Something moved: is one done, or can the next begin? */
void joins_check(struct agent *a);
/* All end without a word. */
void joins_free(struct agent *a);
/* --token of the command line: those whose network we are in, or that admitted us before, are left. -EINVAL
 * with a sentence: one cannot be read, and this node is in no network that would suffer from an end. */
int joins_from_options(struct agent *a, char *why, size_t why_size) MUST_CHECK;
/* What hinders a --token, until it does so no longer; NULL: nothing does. */
const char *joins_problem(const struct agent *a);
/* Is one enrolling? The lasting connection waits for that. */
bool joins_is_enrolling(const struct agent *a);
