/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The networks that this node is in: from the answers to its joins and from a/<node>/config. Kept in
 * the order of joining and on disk. What hangs on a network at run time is made by agent/networks.h.
 */
#pragma once

#include "agent/desired.h"
#include "agent/gateways.h"
#include "agent/state.h"
#include "schemas/join.h"

struct agent;
struct early;
struct follow;
struct network_names;
struct peers;
struct reach;

struct network {
	struct membership membership; /* in `arena` */
	struct arena arena;
	char name[LABEL_SIZE];
	char interface[INTERFACE_SIZE];
	uint8_t private_key[KEY_LEN], public_key[KEY_LEN];
	uint16_t port;	 /* listen port in use; 0: to be chosen */
	uint64_t ep_seq; /* highest seq of our own register n/<net>/ep/<node> */
	int64_t joined;	 /* when (wall, seconds); each later than those joined before it */

	/* In force: the journal's `settings`, before it is read those of the membership. */
	uint32_t mtu;
	uint16_t keepalive;
	uint16_t first_port;
	int64_t max_stale; /* seconds; 0: never */

	/* agent/networks.c */
	struct agent *agent;
	bool was_level; /* its journal was caught up once */
	struct peers *peers;
	struct follow *follow_peers, *follow_gateways;
	struct gateways *gateways;
	bool gateways_changed; /* since the last pass */
	struct reach *reach;
	unsigned holders;	     /* how many hold it (agent/holders.h) */
	int64_t holder_gone;	     /* wall: when the last one went; 0: none ever did */
	bool holder_awaited;	     /* the last agent's was there: it is given time to come back */
	struct network_names *names; /* agent/names.c */
	uint64_t register_seq;	     /* of our register as it is retained; 0: none */
	char **register_list;
	size_t register_count;
	struct early *early; /* registers of nodes that are no members yet; NULL: none */
	struct journal_position joined_at; /* agent/own.c; epoch 0: we were seen since */
	unsigned absent_beats;
	bool leaving; /* by our own will */
	bool ended;   /* to be torn down in the next turn */
	bool dropped; /* its journal is stale for longer than max_stale: no peers */

	/* agent/apply.c */
	struct map *applied;	    /* WireGuard key in base64 -> struct wg_peer, as last applied */
	struct carried_set carried; /* as wanted now */
	struct route *applied_routes; /* sorted, as last applied */
	size_t applied_route_count;
	bool up;	    /* was applied without a failure */
	char problem[256];  /* "": none */
	char conflict[384]; /* a foreign route in the way; "": none */
};

struct memberships {
	struct network **list;
	size_t count;
};

void memberships_load(struct memberships *m, struct state *s);
/* Frees the memberships; what hangs on the networks is gone already. */
void memberships_done(struct memberships *m);
struct network *memberships_get(const struct memberships *m, const char *name);

/* Joined, for the first time or again. `private_key` is that of the request. `what` is copied. */
struct network *memberships_put(struct memberships *m, struct state *s,
				const struct membership *what,
				const uint8_t private_key[static KEY_LEN], int64_t joined);
/* Out, also on disk; `n` is freed. */
void memberships_del(struct memberships *m, struct state *s, struct network *n);
/* Writes a network's row (port, ep_seq and holders change). */
void memberships_store(struct state *s, const struct network *n);

/* What a/<node>/config says: memberships that we have take the new name, addresses and settings;
 * those that it ends are marked (`ended`). One that we do not know needs a join and is left alone.
 * Returns true when anything is to be applied. */
bool memberships_take(struct memberships *m, struct state *s, const struct node_config *c);
