/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exporters of a network: a journal n/<net>/dns/<id> for each grant `exporter/<id>` of its
 * `gateways` journal, followed, checked against the grant, and put into the network's zone.
 *
 * Of one site the grant with the highest generation counts, once its journal was read: until then the
 * one before stays in force, also after its grant has gone, and also over a reboot (the grants are
 * kept on disk, registers n/<net>/grant/<id>). A record with an address outside of the grant's ranges
 * is refused, whole, and counted (`grant`).
 *
 * Part of agent/names.c; the zone is committed there.
 */
#pragma once

#include "agent/agent.h"
#include "agent/follow.h"
#include "agent/zone.h"

struct exporters;

/* `zone` is borrowed. `changed` is called after a journal's changes are in the zone. */
struct exporters *exporters_new(struct network *n, struct zone *zone,
				void (*changed)(struct network *n));
/* Frees the journals; subscriptions end when there is a connection. Nothing goes from the disk. */
void exporters_free(struct exporters *x);

/* Changes of the `gateways` journal; `all`: every member is to be read. */
void exporters_gateways_changed(struct exporters *x, const struct replica_change *changes,
				size_t count, bool all);
/* There is a new connection. */
void exporters_connected(struct exporters *x);
/* What an answer to a join says of a dns journal. */
void exporters_set_minimum(struct exporters *x, const char *path, struct journal_position at,
			   const char *topic, const char *document);
/* For state_on_rewrite. */
void exporters_rewrite(struct exporters *x);

/* The journal of this exporter; NULL: none. */
struct follow *exporters_follow(const struct exporters *x, const char *id);
/* All of them: NULL behind the last one. */
struct follow *exporters_nth(const struct exporters *x, size_t i);
/* The key of a grant in force. */
bool exporters_key(const struct exporters *x, const char *id, uint8_t ret[static KEY_LEN]);
/* Tells the zone the ranges of all grants in force: it answers for names of their addresses. */
void exporters_tell_ranges(const struct exporters *x);
/* Was each journal read once, or does the one before it of its site still count? */
bool exporters_are_read(const struct exporters *x);
