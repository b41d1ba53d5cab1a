/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ranges of gateways in all networks: resolves them (agent/gateways.h) with what is on this host in
 * their way, into `carried` of each network, and tells agent/reach.h which endpoints lie in them.
 */
#pragma once

#include "agent/brokers.h"
#include "agent/kernel.h"
#include "agent/memberships.h"

struct ranges;

struct ranges_config {
	struct kernel *kernel;
	const struct memberships *memberships;
	const char *const *site;       /* the value may change; NULL: none */
	const struct brokers *brokers; /* NULL: none */
};
struct ranges *ranges_new(const struct ranges_config *c);
void ranges_free(struct ranges *r);

/* What is in the way is to be looked for anew. */
void ranges_forget(struct ranges *r);
/* Sets `carried` of each network and touches the peers concerned. True when anything differs. */
bool ranges_resolve(struct ranges *r);
/* A sentence about what takes from a range that is routed, or forbids one; false: nothing. */
bool ranges_conflict(struct ranges *r, const struct network *n, char *ret, size_t size);
