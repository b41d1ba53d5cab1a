/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What hangs on a membership at run time: its journals, its peers, the reaching of them, and what we
 * announce of ourselves.
 */
#pragma once

#include "agent/agent.h"

/* Follows the journals, from the disk first. */
void network_start(struct agent *a, struct network *n);
/* Frees all of that; subscriptions end. */
void network_stop(struct network *n);
/* The kernel has come: the peers can be tried. */
void network_kernel_came(struct network *n);
/* Own name, addresses or settings are others. */
void network_membership_changed(struct network *n);
/* This host's addresses are others. */
void network_addresses_changed(struct network *n);
/* There is a new connection. */
void network_connected(struct network *n);
/* Does the network's journal lead here? NULL: none of ours. */
struct follow *network_follow(const struct network *n, const struct topic *t);
/* Follows one more journal of the network, from the disk first. `changed`, as in follow_config, gets
 * the network as its owner. */
struct follow *network_follow_journal(struct network *n, const struct topic *journal,
				      void (*changed)(void *owner, struct follow *f,
						      const struct replica_change *changes,
						      size_t count, bool all));
/* After a document of its journals was taken. */
void network_received(struct network *n);
/* n/<net>/ep/<id>: of a peer, or ours as the broker has it (`ep` NULL: it was cleared). */
void network_ep(struct network *n, const char *id, const struct ep *ep, const char *body);
/* Is all that was joined for there: journals read, interface up, peers applied? */
bool network_is_applied(const struct network *n);
/* Writes its journals and registers anew (state_on_rewrite). */
void network_rewrite(struct network *n);

/* ---- announce.c */
/* What we would announce in a network with this listen port. */
size_t announce_list(struct agent *a, struct arena *arena, uint16_t port,
		     char *ret[static PEER_ENDPOINTS_MAX]);
/* Publishes where others do not know it yet; soon, once. */
void announce_soon(struct agent *a);
void announce_fired(struct loop_timer *t);
/* Our addresses are others. */
void announce_addresses(struct agent *a);
