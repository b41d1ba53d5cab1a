/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names of this node's networks: from the members of their journals into a zone each
 * (agent/zone.h), the zones into the DNS server's table (agent/dns_server.h), and where that listens:
 * port 53 of the mesh addresses, and --dns.
 */
#pragma once

#include "agent/agent.h"
#include "agent/follow.h"

struct exporters;
struct names;	      /* of the agent */
struct network_names; /* of a network */

/* Starts the server, listening on --dns. 0 or a negative errno with a sentence. */
int names_new(struct agent *a, struct names **ret, char *why, size_t why_size) MUST_CHECK;
/* After names_stop of all networks. NULL is allowed. */
void names_free(struct names *s);
/* A sentence while an address cannot be listened on; NULL else. */
const char *names_problem(const struct names *s);

/* A network's names, once its journals are restored. Without a server (a->names NULL) everything but
 * the answers is there. */
void names_start(struct network *n);
void names_stop(struct network *n);
/* Changes of the journals `peers` and `gateways`, after the peers have them. */
void names_changed(struct network *n, const struct follow *f, const struct replica_change *changes,
		   size_t count, bool all);
/* Own name, addresses are others. */
void names_membership_changed(struct network *n);
void names_connected(struct network *n);
void names_set_minimum(struct network *n, const char *path, struct journal_position at,
		       const char *topic, const char *document);
void names_rewrite(struct network *n);

/* The journal of an exporter; NULL: none of ours. */
struct follow *names_follow(const struct network *n, const char *exporter);
/* Each of them; NULL behind the last one. */
struct follow *names_follow_nth(const struct network *n, size_t i);
/* The keyring's. */
bool names_exporter_key(const struct network *n, const char *id, uint8_t ret[static KEY_LEN]);
/* For agent/exporters.c. */
struct exporters *names_exporters(const struct network *n);

/* The first address of `what` in the network: NAME or SERVICE.NAMESPACE, with or without .NETWORK
 * behind it. False: there is no such name. */
bool names_resolve(const struct network *n, const char *what, struct addr *ret);
