/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the coordinator grants to this exporter: the member exporter/<id> of n/<network>/gateways, followed
 * as any replica follows a journal, from the position on that was known last.
 */
#pragma once

#include "exporter/session.h"
#include "schemas/gateway.h"
#include "schemas/replica.h"

struct granted;

struct granted_config {
	struct loop *loop;
	const struct trust *trust;
	const char *network; /* copied; all else borrowed */
	const char *id, *site;
	struct journal_position minimum;
	/* The grant is there, or another; or the journal was read for the first time. */
	void (*changed)(void *owner);
	/* The coordinator has taken it away; `replaced`: another exporter of this site has one. Not
	 * inside of granted_message, and once. */
	void (*ended)(void *owner, bool replaced);
	void *owner;
};

struct granted *granted_new(const struct granted_config *c);
void granted_free(struct granted *g);

/* NULL: not known yet. `g` may be NULL. */
const struct grant *granted_get(const struct granted *g);
/* How far the journal was read; an epoch of 0: not yet. */
struct journal_position granted_position(const struct granted *g);

/* The signing key is valid no more: no position rests on its word, also not the minimum, of which nobody
 * knows whose word it was. The grant stays until another one is read. */
void granted_revoke(struct granted *g, const char *key);

/* ---- wiring */
void granted_connected(struct granted *g, struct session *s);
void granted_disconnected(struct granted *g);
/* A message of the journal's topics. */
enum refusal granted_message(struct granted *g, const struct topic *t,
			     const struct mqtt_message *m);
