/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Endpoint candidates that nodes publish (n/<net>/ep/<node>): once they have been the same for a
 * minute they go into the member, so that the register is short-lived. Owned by the session; main
 * thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/session_private.h"
#include "lib/clock.h"
#include "lib/mem.h"

#define STABLE (60 * USEC_PER_SEC)
#define RETRY (60 * USEC_PER_SEC) /* when the store failed */
#define PER_TURN 32		  /* transactions, each of which waits for the disk */

struct pending {
	char network[LABEL_SIZE], node[LABEL_SIZE];
	uint64_t due; /* monotonic */
	struct ep ep;
	struct arena arena; /* of ep */
};

static void pending_free(void *value)
{
	struct pending *p = value;

	arena_done(&p->arena);
	free(p);
}

static char *key_of(const struct topic *t)
{
	return xasprintf("%s/%s", t->network, t->id);
}

/* To the first that is due. */
static void arm(struct session *s)
{
	uint64_t due = CLOCK_NEVER;
	struct map_entry *at = NULL;

	while ((at = map_next(s->endpoints, at)))
		due = MIN(due, ((struct pending *)map_entry_value(at))->due);
	loop_timer_set(s->loop, &s->timer, due);
}

static void fired(struct loop_timer *timer)
{
	struct session *s = container_of(timer, struct session, timer);
	uint64_t now = loop_now(s->loop);
	struct map_entry *at = NULL;
	unsigned done = 0;

	while (done < PER_TURN && (at = map_next(s->endpoints, at))) {
		struct pending *p = map_entry_value(at);
		int r;

		if (p->due > now)
			continue;
		done++;
		r = node_endpoints(s->authority, p->node, p->network, &p->ep);
		if (r < 0 && r != -ECANCELED) {
			p->due = now + RETRY;
			continue;
		}
		if (r == 0)
			log_info("endpoints", "network=%s node=%s", p->network, p->node);
		map_del(s->endpoints, map_entry_key(at));
		pending_free(p);
	}
	arm(s);
}

void endpoints_init(struct session *s)
{
	s->endpoints = map_new();
	s->stable = STABLE;
	s->timer.fired = fired;
}

void endpoints_done(struct session *s)
{
	loop_timer_del(s->loop, &s->timer);
	map_free(s->endpoints, pending_free);
}

void endpoints_taken(struct session *s, const struct topic *t, const struct mqtt_message *m,
		     const struct document *d)
{
	_cleanup_(freep) char *key = key_of(t);
	struct pending *known = map_get(s->endpoints, key);
	struct pending *p = xcalloc(1, sizeof(*p));
	enum refusal refused =
		body_decode(&p->arena, d->body, d->body_len, ep_fields, &p->ep, NULL);

	if (!refused && known && p->ep.seq < known->ep.seq)
		refused = REFUSED_OLD;
	if (refused || (known && p->ep.seq == known->ep.seq)) {
		if (refused)
			session_refuse(s, m, refused);
		pending_free(p);
		return;
	}
	memcpy(p->network, t->network, sizeof(p->network));
	memcpy(p->node, t->id, sizeof(p->node));
	p->due = loop_now(s->loop) + s->stable;
	known = map_put(s->endpoints, key, p);
	if (known)
		pending_free(known);
	/* None is due before the first: one that is gone since finds nothing, and looks for the next. */
	if (!s->timer.added)
		loop_timer_set(s->loop, &s->timer, p->due);
}

void endpoints_cleared(struct session *s, const struct topic *t)
{
	_cleanup_(freep) char *key = key_of(t);
	struct pending *p = map_del(s->endpoints, key);

	if (p)
		pending_free(p);
}
