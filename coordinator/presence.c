/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What nodes say of themselves (u/<node>/state): kept for a moment and stored together, since after a
 * restart of the broker all of them speak at once and each transaction waits for the disk. Owned by the
 * session; main thread.
 */
#include <errno.h>
#include <stdlib.h>

#include "coordinator/session_private.h"
#include "lib/clock.h"
#include "lib/mem.h"

#define GATHER (100 * USEC_PER_MSEC)
#define RETRY (10 * USEC_PER_SEC) /* when the store failed */

/* The newest word of one node. */
struct word {
	uint64_t seq;
	bool online;
};

static int store_words(struct session *s)
{
	struct store *store = s->authority->store;
	struct map_entry *at = NULL;
	int r = store_begin(store);

	if (r < 0)
		return r;
	while (r == 0 && (at = map_next(s->presence, at))) {
		const struct word *w = map_entry_value(at);
		const struct node_state state = { .seq = w->seq, .online = w->online };

		r = node_seen(s->authority, map_entry_key(at), &state);
		if (r == -ESTALE || r == -ENOENT)
			r = 0;
	}
	if (r < 0) {
		store_rollback(store);
		return r;
	}
	return store_commit(store);
}

static void fired(struct loop_timer *t)
{
	struct session *s = container_of(t, struct session, presence_timer);

	if (store_words(s) == 0) {
		map_clear(s->presence, free);
		return;
	}
	if (log_allowed(&s->limit))
		log_error("presence-store", "error=%s", log_quote(store_message()));
	loop_timer_set(s->loop, t, loop_now(s->loop) + RETRY);
}

void presence_init(struct session *s)
{
	s->presence = map_new();
	s->presence_timer.fired = fired;
}

void presence_done(struct session *s)
{
	if (s->presence_timer.added)
		fired(&s->presence_timer);
	loop_timer_del(s->loop, &s->presence_timer);
	map_free(s->presence, free);
}

void presence_taken(struct session *s, const char *node, const struct node_state *state)
{
	struct word *w = map_get(s->presence, node);

	if (w && state->seq <= w->seq)
		return;
	if (!w) {
		w = xcalloc(1, sizeof(*w));
		map_put(s->presence, node, w);
	}
	*w = (struct word){ .seq = state->seq, .online = state->online };
	if (!s->presence_timer.added)
		loop_timer_set(s->loop, &s->presence_timer, loop_now(s->loop) + GATHER);
}
