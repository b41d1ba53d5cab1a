/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The DNS server: a thread of its own that reads a table of names (agent/zone.h) which never changes;
 * a change is another table. So an answer waits for nothing that the rest of the agent does, and a
 * change is seen by the next question.
 *
 * Who is answered (design section 9): on a mesh address the members of its network (the source lies in
 * the network's ranges), about that network; this node itself, about all of its networks. On an
 * address of --dns those in --dns-allow, and the nodes of this site at the addresses that the peers
 * journals say (agent/neighbours.h), about all. Everybody else is told REFUSED, at most
 * DNS_STRANGERS_RATE times a second and network of sources (/24, /56), so that nobody is flooded by
 * way of us.
 *
 * The functions here are called by the agent's thread.
 */
#pragma once

#include "agent/dns_tcp.h"
#include "agent/zone.h"

#define DNS_PORT 53
#define DNS_PLACES_MAX 128
#define DNS_STRANGERS_RATE 20

struct dns_server;

struct dns_server_config {
	const struct prefix *allow; /* --dns-allow; copied */
	size_t allow_count;
};

/* Starts the thread, which knows no names and listens nowhere yet. 0 or a negative errno. */
int dns_server_new(const struct dns_server_config *c, struct dns_server **ret) MUST_CHECK;
/* Ends it; the table in force is given back as by dns_server_swap. NULL is allowed. */
struct zone_table *dns_server_free(struct dns_server *s);

/* Another table is in force. Returns the one before (NULL: there was none): nobody reads it any more,
 * nor what only it held. */
struct zone_table *dns_server_swap(struct dns_server *s, struct zone_table *t);

/* Listens in these places, UDP and TCP, and in no others; an address may come later than its socket.
 * Returns how many of them cannot be had, with a sentence about the last one in `why`; they are tried
 * again by the next call. */
size_t dns_server_listen(struct dns_server *s, const struct dns_place *places, size_t count,
			 char *why, size_t why_size);

/* ---- who may ask: pure */
struct dns_policy {
	const struct prefix *allow;
	size_t allow_count;
	const struct addr *own; /* our mesh addresses */
	size_t own_count;
};
/* False: nothing is answered. *ret_network: NULL, or the only network that is spoken of. */
bool dns_policy_allows(const struct dns_policy *p, const struct zone_table *t,
		       const struct dns_place *place, const struct addr *from,
		       const char **ret_network);
