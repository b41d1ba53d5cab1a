/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Leaving: the coordinator is told (its answer is waited for at most 5 s), then the network is torn
 * down in any case. What could not be told is remembered, and told at the next connection.
 */
#pragma once

#include "agent/agent.h"

struct leave_outcome {
	char *const *networks;
	size_t count;
	bool told;
};
typedef void leave_done(void *owner, const struct leave_outcome *o);

/* `network` NULL: all. -ENOENT: we are not in it. `done` is called once. */
int leave_begin(struct agent *a, const char *network, leave_done *done, void *owner);
void leaves_disown(struct agent *a, void *owner);
/* A network ended by a signed word while it was being left: the coordinator knows. */
void leaves_heard(struct agent *a, const char *network);
/* A new connection, or the coordinator is back: what was not told yet. */
void leaves_tell(struct agent *a);
void leaves_free(struct agent *a);
/* Is there something to be told? */
bool leaves_are_untold(const struct agent *a);
