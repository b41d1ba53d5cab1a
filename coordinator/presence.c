/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What nodes say of themselves (u/<node>/state): kept for a moment and stored together, since after a
 * restart of the broker all of them speak at once and each transaction waits for the disk. Exporters say
 * in it what their site has: then the gateways that follow grow. Owned by the session; main thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/session_private.h"
#include "lib/clock.h"
#include "lib/mem.h"

#define GATHER (100 * USEC_PER_MSEC)
#define GROW_AGAIN (60 * USEC_PER_SEC) /* what hinders may have gone */
#define RETRY (10 * USEC_PER_SEC)      /* when the store failed */

/* The newest word of one node. */
struct word {
	uint64_t seq;
	bool online;
	size_t range_count;
	struct prefix ranges[];
};

static int store_words(struct session *s)
{
	struct store *store = s->authority->store;
	struct map_entry *at = NULL;
	int r = store_begin(store);

	if (r < 0)
		return r;
	while (r == 0 && (at = map_next(s->presence, at))) {
		struct word *w = map_entry_value(at);
		const struct node_state state = { .seq = w->seq,
						  .online = w->online,
						  .ranges = w->ranges,
						  .range_count = w->range_count };

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

/* 0, or negative when they are still to be stored. */
static int store_now(struct session *s)
{
	int r = store_words(s);

	if (r == 0)
		map_clear(s->presence, free);
	else if (log_allowed(&s->limit))
		log_error("presence-store", "error=%s", log_quote(store_message()));
	return r;
}

static void grow_fired(struct loop_timer *t)
{
	struct session *s = container_of(t, struct session, grow_timer);
	int r = gateway_grow(s->authority, &s->not_carried);

	if (r < 0 && log_allowed(&s->limit))
		log_error("gateway-grow", "error=%s", log_quote(store_message()));
	if (r < 0 || map_count(s->not_carried))
		loop_timer_set(s->loop, t, loop_now(s->loop) + GROW_AGAIN);
}

static void fired(struct loop_timer *t)
{
	struct session *s = container_of(t, struct session, presence_timer);

	if (store_now(s) < 0)
		loop_timer_set(s->loop, t, loop_now(s->loop) + RETRY);
	else
		grow_fired(&s->grow_timer);
}

void presence_init(struct session *s)
{
	s->presence = map_new();
	s->presence_timer.fired = fired;
	s->grow_timer.fired = grow_fired;
}

void presence_done(struct session *s)
{
	if (s->presence_timer.added)
		(void)store_now(s);
	loop_timer_del(s->loop, &s->presence_timer);
	loop_timer_del(s->loop, &s->grow_timer);
	map_free(s->presence, free);
	if (s->not_carried)
		map_free(s->not_carried, free);
}

void presence_taken(struct session *s, const char *node, const struct node_state *state)
{
	struct word *w = map_get(s->presence, node), *now;

	if (w && state->seq <= w->seq)
		return;
	now = xmalloc(sizeof(*now) + state->range_count * sizeof(*now->ranges));
	now->seq = state->seq;
	now->online = state->online;
	now->range_count = state->range_count;
	if (state->range_count)
		memcpy(now->ranges, state->ranges, state->range_count * sizeof(*now->ranges));
	free(map_put(s->presence, node, now));
	if (!s->presence_timer.added)
		loop_timer_set(s->loop, &s->presence_timer, loop_now(s->loop) + GATHER);
}
