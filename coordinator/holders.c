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

struct word {
	uint64_t seq;
	int64_t offline;  /* wall; 0: it is online */
	int64_t said;	  /* wall: since when it names those below */
	struct map *gone; /* network -> int64_t; absent: not held, since `said` */
};

struct holders {
	struct map *nodes; /* id -> struct word */
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
	map_clear(w->gone, free);
	for (size_t i = 0; i < state->holder_count; i++)
		free(map_put(w->gone, state->holders[i].network,
			     xmemdup(&state->holders[i].gone, sizeof(int64_t))));
}

int64_t holders_gone(const struct holders *h, const char *network, const char *node)
{
	const struct word *w = map_get(h->nodes, node);
	const int64_t *gone;

	if (!w)
		return 0;
	gone = map_get(w->gone, network);
	if (gone && *gone)
		return w->offline ? MIN(*gone, w->offline) : *gone;
	if (w->offline)
		return w->offline;
	return gone ? 0 : w->said;
}

/* The one without a holder for longest; NULL: all are held. */
static const struct member_row *find_longest(const struct holders *h, const struct member_row *list,
					     size_t count)
{
	const struct member_row *found = NULL;
	int64_t since = 0;

	for (size_t i = 0; i < count; i++) {
		int64_t gone = holders_gone(h, list[i].network, list[i].node);

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
	ends = a->holders ? find_longest(a->holders, list, kept) : NULL;
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
