/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What exporters publish: the coordinator is a replica of every dns journal (n/<net>/dns/<exporter>),
 * in memory. It says which names there are, and how far a newcomer has to read. Journals of exporters that
 * were removed are cleared from the broker. Owned by the session; main thread.
 *
 * `d` NULL is allowed in each function: nothing is followed then.
 */
#pragma once

#include "coordinator/authority.h"
#include "lib/loop.h"
#include "lib/mqtt.h"

struct dns;

/* Borrowed: all. `keys` knows the keys of SIGNER_EXPORTER. */
struct dns *dns_new(struct loop *l, struct authority *a, const struct keyring *keys);
void dns_free(struct dns *d);

void dns_connected(struct dns *d, struct mqtt *m);
void dns_disconnected(struct dns *d);
/* True when the topic is one of a dns journal, whose documents come from `m`. `ret` (REFUSED_NOT, or
 * why not) is set then. */
bool dns_message(struct dns *d, const struct topic *t, const struct mqtt_message *m,
		 enum refusal *ret);
/* The exporters of the store have changed (and it was committed): follows new ones, forgets those
 * that are gone. */
void dns_update(struct dns *d);

/* (0, 0) before it was read for the first time. */
struct journal_position dns_position(const struct dns *d, const char *network,
				     const char *exporter);
size_t dns_record_count(const struct dns *d, const char *network, const char *exporter);

/* Every name of a network (NULL: of all), sorted: nodes, added names, services. Addresses outside an
 * exporter's grant are left out, as agents do. */
int dns_list(struct authority *a, struct arena *arena, const char *network, struct api_dns **ret,
	     size_t *ret_count, struct refusal_reason *why);
