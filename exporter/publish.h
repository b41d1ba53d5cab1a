/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exporter's journal n/<network>/dns/<id>: from records, through the pure writer, into the state
 * and to the broker. What the broker holds is read back at each connection, and when a replica asks.
 */
#pragma once

#include "exporter/session.h"
#include "lib/map.h"

struct publish;

struct publish_config {
	struct loop *loop;
	struct state *state;
	const struct identity *identity;
	const struct trust *trust;
	const char *network; /* copied; all else borrowed */
};

/* As the state has it; 0 or a negative errno (state_message). */
int publish_new(const struct publish_config *c, struct publish **ret) MUST_CHECK;
void publish_free(struct publish *p);

/* The whole truth: members of records (schemas/record.h) -> body (compact JSON). What differs is
 * published at once, or when the window is over. A journal that the state does not know begins with all
 * of it, and tells its readers to drop what it does not list. 0, -EFBIG: too much for a journal; or what
 * the state said. */
int publish_records(struct publish *p, const struct map *records) MUST_CHECK;
/* Only what differs from that: name -> body, or "" for one that is gone. The work is that of the changes.
 * As above; -EINVAL: there was no whole truth yet. */
int publish_changes(struct publish *p, const struct map *changes) MUST_CHECK;
size_t publish_count(const struct publish *p);
/* Walk over what is published: NULL first, NULL at the end; then its body. */
const char *publish_next(const struct publish *p, const char *name);
const char *publish_get(const struct publish *p, const char *name);

/* ---- wiring */
void publish_connected(struct publish *p, struct session *s);
void publish_disconnected(struct publish *p);
/* A message of the journal's topics. */
void publish_message(struct publish *p, const struct topic *t, const struct mqtt_message *m);
/* Nothing waits: the audit is over, no window is open. For tests. */
bool publish_is_settled(const struct publish *p);
