/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Our own membership in the journal. Owns joined_at and absent_beats of struct network. One thread.
 */
#include "agent/own.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/follow.h"
#include "lib/log.h"
#include "lib/mem.h"

/* A register of our own beside those of others: the ver, and the epoch as its body. */
static char *path_of(const struct network *n)
{
	return xasprintf("n/%s/joined", n->name);
}

static void store(const struct network *n, struct state *s)
{
	_cleanup_(freep) char *path = path_of(n);
	char epoch[24];

	snprintf(epoch, sizeof(epoch), "%" PRIu64, n->joined_at.epoch);
	if (n->joined_at.epoch)
		state_register_put(s, path, n->joined_at.ver, epoch);
	else
		state_register_del(s, path);
}

void own_joined(struct network *n, const struct join_answer *answer)
{
	const char *path = n->follow_peers ? follow_path(n->follow_peers) : "";

	for (size_t i = 0; i < answer->journal_count; i++)
		if (strcmp(answer->journals[i].path, path) == 0)
			n->joined_at = (struct journal_position){ answer->journals[i].epoch,
								  answer->journals[i].ver };
	n->absent_beats = 0;
	store(n, n->agent->state);
}

static void restore(void *owner, const char *path, uint64_t seq, const char *body)
{
	struct network *n = owner;

	(void)path;
	if (body)
		n->joined_at = (struct journal_position){ strtoull(body, NULL, 10), seq };
}

void own_restore(struct network *n, struct state *s)
{
	_cleanup_(freep) char *path = path_of(n);

	state_register_each(s, path, restore, n);
}

void own_rewrite(struct network *n)
{
	if (n->joined_at.epoch)
		store(n, n->agent->state);
}

bool own_is_gone(struct network *n, bool beat)
{
	const struct replica *r = n->follow_peers ? follow_replica(n->follow_peers) : NULL;
	struct journal_position at;

	if (!r || !n->joined_at.epoch || !replica_is_ready(r))
		return false;
	at = replica_position(r);
	if (journal_position_cmp(at, n->joined_at) <= 0)
		return false;
	if (replica_get(r, n->agent->identity.key.id, NULL)) {
		n->joined_at = (struct journal_position){ 0 };
		store(n, n->agent->state);
		return false;
	}
	if (!beat || at.epoch != n->joined_at.epoch || !replica_is_confirmed(r))
		return false;
	if (++n->absent_beats < OWN_BEATS)
		return false;
	log_info("removed-unseen", "network=%s ver=%" PRIu64, n->name, at.ver);
	return true;
}
