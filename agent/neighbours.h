/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The addresses at which the nodes of one's own site, and this node itself, say in the peers journals
 * that they can be reached: also at an address of the internet they are no strangers to the DNS server
 * at --dns (agent/dns_server.h). One for each network; of all of them a set is made, which never
 * changes, for another thread to read. Pure; one thread.
 */
#pragma once

#include "lib/addr.h"

/* Sorted by addr_cmp, each once: one block, free(). */
struct neighbour_set {
	size_t count;
	struct addr list[];
};
/* NULL: nobody is in it. */
bool neighbour_set_has(const struct neighbour_set *s, const struct addr *a);

struct neighbours;

struct neighbours *neighbours_new(void);
/* NULL is allowed. */
void neighbours_free(struct neighbours *n);
/* What the node `id` says now, HOST:PORT; names of hosts are left out. True: it is something else than
 * before. */
bool neighbours_put(struct neighbours *n, const char *id, char *const *endpoints, size_t count);
bool neighbours_del(struct neighbours *n, const char *id);

struct neighbour_set *neighbours_set(const struct neighbours *const *list, size_t count);
