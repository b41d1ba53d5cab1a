/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Gateways: the ranges of sites that nodes carry into a network, from the members gateway/<id> of its
 * `gateways` journal, and the answer to which range goes through which peer of which network. Pure.
 *
 * A range is routed into one network at most. There the node with the lowest priority, then the
 * lesser id, carries it, among those that are members. Of several networks the first-joined wins, then
 * the lesser name. Ranges of this node's own site and ranges that it carries itself are not routed.
 */
#pragma once

#include "agent/desired.h"
#include "agent/peers.h"
#include "schemas/gateway.h"

struct gateways;

struct gateways *gateways_new(void);
void gateways_free(struct gateways *g);
/* A member is new or changed, or gone. Nothing of `body` is kept. */
void gateways_put(struct gateways *g, const char *id, const struct gateway *body);
void gateways_del(struct gateways *g, const char *id);
/* Adds to `l` what the node `self` carries. */
void gateways_publish(const struct gateways *g, const char *self, struct wg_link *l);

enum carried_state {
	CARRIED,	  /* routed to `node` */
	CARRIED_OWN_SITE, /* this node's site has it without us */
	CARRIED_OURS,	  /* this node is its gateway */
	CARRIED_NOBODY,	  /* none of its nodes is a member of the network */
	CARRIED_STANDBY,  /* another network has it */
	CARRIED_CONFLICT, /* something on this host is in the way */
	CARRIED_REFUSED,  /* no range that may be routed */
};

/* One range of one network, as this node sees it. */
struct carried {
	struct prefix range;
	enum carried_state state;
	char gateway[LABEL_SIZE];
	char node[LABEL_SIZE]; /* id; "": nobody */
	char why[160];	       /* CARRIED_STANDBY, _CONFLICT, _REFUSED: what is in the way */
};
/* Of one network; sorted by range, each once. A zeroed one is empty. */
struct carried_set {
	struct carried *list;
	size_t count;
};
void carried_set_done(struct carried_set *s);

/* One network, as gateways_resolve takes it. Borrowed. */
struct gateways_side {
	const char *network;
	int64_t joined;
	const struct gateways *gateways; /* NULL: none */
	const struct peers *peers;
	const struct prefix *addresses; /* own, with the range's length */
	size_t address_count;
	bool dropped; /* its peers are not used */
};
struct gateways_host {
	const char *site; /* NULL: none */
	/* Is something of this host in the way of a route to `range`? Then with a phrase in `why`. */
	bool (*blocked)(void *owner, const struct prefix *range, char *why, size_t size);
	void *owner;
};
/* Fills ret[0..count), one for each side; for carried_set_done. */
void gateways_resolve(const struct gateways_host *host, const struct gateways_side *sides,
		      size_t count, struct carried_set *ret);

/* Touches the peers (of `peers`) that carry something in one of the two and not in the other. True
 * when the two differ in any way. */
bool carried_touch(const struct carried_set *before, const struct carried_set *now,
		   struct peers *peers);
/* Does the set say the same of this range? */
bool carried_says(const struct carried_set *s, const struct carried *c);
/* The range of the set that `a` is in, the longest; NULL: none. */
const struct carried *carried_find(const struct carried_set *s, const struct addr *a);
/* A sentence about a range that is not routed; false: there is nothing to say. `node`: its name. */
bool carried_explain(const struct carried *c, const char *node, char *ret, size_t size);
