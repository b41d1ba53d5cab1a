/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who is held, by node and network. Owns the table. One thread.
 */
#include "coordinator/holders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/map.h"

/* All times are wall. */
struct word {
	uint64_t seq;
	int64_t offline;  /* 0: it is online */
	int64_t said;	  /* since when it names those below */
	struct map *gone; /* network -> int64_t, 0: it is held; none: not held, since `said` */
};

struct holders {
	struct map *nodes; /* id -> struct word */
	int64_t connected;
};

static void word_free(void *value)
{
	struct word *w = value;

	map_free(w->gone, free);
	free(w);
}

struct holders *holders_new(void)
{
	struct holders *h = xcalloc(1, sizeof(*h));

	h->nodes = map_new();
	return h;
}

void holders_free(struct holders *h)
{
	if (!h)
		return;
	map_free(h->nodes, word_free);
	free(h);
}

void holders_connected(struct holders *h, int64_t now)
{
	h->connected = now;
}

/* A node whose clock is ahead is not without a holder from tomorrow on. */
static struct map *take_list(const struct node_state *state, int64_t now)
{
	struct map *list = map_new();

	for (size_t i = 0; i < state->holder_count; i++) {
		int64_t gone = MIN(state->holders[i].gone, now);

		free(map_put(list, state->holders[i].network, xmemdup(&gone, sizeof(gone))));
	}
	return list;
}

void holders_taken(struct holders *h, const char *node, const struct node_state *state, int64_t now)
{
	struct word *w = map_get(h->nodes, node);

	if (w && state->seq <= w->seq)
		return;
	if (!w) {
		w = xcalloc(1, sizeof(*w));
		w->gone = map_new();
		map_put(h->nodes, node, w);
	}
	w->seq = state->seq;
	if (!state->online) {
		w->offline = w->offline ? w->offline : now;
		return;
	}
	w->offline = 0;
	w->said = now;
	map_free(w->gone, free);
	w->gone = take_list(state, now);
}

void holders_forget(struct holders *h, const char *node)
{
	struct word *w = map_del(h->nodes, node);

	if (w)
		word_free(w);
}

int64_t holders_gone(const struct holders *h, const char *network, const char *node, int64_t joined,
		     int64_t now)
{
	const struct word *w = map_get(h->nodes, node);
	const int64_t *gone;
	int64_t since = INT64_MAX;

	if (!w)
		return 0;
	gone = map_get(w->gone, network);
	/* What was said before the join is about the last membership. */
	if ((gone ? *gone : w->said) && now - joined >= HOLDERS_GRACE)
		since = MAX(gone ? *gone : w->said, joined);
	if (w->offline && now - w->offline >= HOLDERS_GRACE && now - h->connected >= HOLDERS_RETURN)
		since = MIN(since, w->offline);
	return since < INT64_MAX ? since : 0;
}

/* The one without a holder for longest; NULL: all are held. */
static const struct member_row *find_longest(const struct holders *h, const struct member_row *list,
					     size_t count, int64_t now)
{
	const struct member_row *found = NULL;
	int64_t since = 0;

	for (size_t i = 0; i < count; i++) {
		int64_t gone = holders_gone(h, list[i].network, list[i].node, list[i].joined, now);

		if (!gone || (found && gone >= since))
			continue;
		found = &list[i];
		since = gone;
	}
	return found;
}

int holders_admit(struct authority *a, struct arena *arena, const struct token_row *token,
		  const char *id, struct refusal_reason *why)
{
	const struct member_row *ends;
	struct member_row *list;
	size_t count, kept = 0;
	int r;

	if (!token->at_most)
		return 0;
	r = store_member_list(a->store, arena, token->network, NULL, &list, &count);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].token, token->id) == 0 && strcmp(list[i].node, id) != 0)
			list[kept++] = list[i];
	if (kept < token->at_most)
		return 0;
	ends = a->holders ? find_longest(a->holders, list, kept, a->now()) : NULL;
	if (!ends)
		return refuse(
			why, 403, "at_most",
			"token %s admits at most %llu at a time, and %s held; it is free when "
			"one of them ends",
			token->id, (unsigned long long)token->at_most,
			token->at_most == 1 ? "that one is" : "all are");
	log_info("node-replaced", "network=%s node=%s by=%s token=%s", ends->network, ends->node,
		 id, token->id);
	return node_replace(a, arena, ends);
}
