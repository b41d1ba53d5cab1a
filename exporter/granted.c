/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exporter's grant. Owns the replica, which begins empty at each start. One thread.
 */
#include "exporter/granted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"

#define PREFIX "exporter/"

struct granted {
	struct granted_config c;
	struct topic journal;
	char name[sizeof(PREFIX) + KEY_ID_LEN]; /* of our member */
	struct replica *replica;
	struct session *session; /* NULL: not connected */
	struct loop_timer timer;
	struct grant grant;
	struct arena arena; /* of the grant */
	char *body;	    /* that it was read from; NULL: none yet */
	bool moved;	    /* the journal, since it was looked at */
};

/* ---- what the replica asks for ---- */

static void part(struct granted *g, enum topic_kind kind, unsigned slot, unsigned chunk, bool on)
{
	struct topic t = g->journal;
	char topic[TOPIC_SIZE];

	if (!g->session)
		return;
	t.kind = kind;
	t.slot = slot;
	t.chunk = chunk;
	topic_format(g->c.trust->mesh, &t, topic);
	if (on)
		session_subscribe(g->session, topic);
	else
		session_unsubscribe(g->session, topic);
}

static void io_subscribe(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk)
{
	part(owner, kind, slot, chunk, true);
}

static void io_unsubscribe(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk)
{
	part(owner, kind, slot, chunk, false);
}

static void io_changed(void *owner, const struct replica_change *changes, size_t count,
		       bool removed)
{
	struct granted *g = owner;

	(void)changes;
	(void)count;
	(void)removed;
	g->moved = true;
}

static void io_ask(void *owner, const struct journal_ask *ask)
{
	/* The nodes of the network ask; we are none of them. */
	(void)owner;
	(void)ask;
}

static uint32_t io_random(void *owner)
{
	uint32_t n;

	(void)owner;
	crypto_random(&n, sizeof(n));
	return n;
}

static const struct verify_key *find_key(void *owner, const struct signers *who, size_t index,
					 const char *key, bool *ret_known)
{
	struct granted *g = owner;

	(void)index;
	return trust_find(g->c.trust, who, key, ret_known);
}

/* ---- what it says ---- */

/* Of another exporter for our site. */
static bool has_successor(const struct granted *g)
{
	bool found = false;

	for (const char *name = NULL; !found && (name = replica_next(g->replica, name));) {
		struct grant other = { 0 };
		struct arena a = { 0 };
		const char *body;

		if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		body = replica_get(g->replica, name, NULL);
		found = json_decode(&a, body, strlen(body), grant_fields, &other,
				    &(struct json_error){ 0 }) == 0 &&
			strcmp(other.site, g->c.site) == 0;
		arena_done(&a);
	}
	return found;
}

static void take(struct granted *g, const char *body)
{
	struct grant grant = { 0 };
	struct arena a = { 0 };
	struct json_error err;

	if (g->body && strcmp(g->body, body) == 0)
		return;
	if (json_decode(&a, body, strlen(body), grant_fields, &grant, &err) < 0) {
		arena_done(&a); /* of a version that we do not know: the old one stays */
		return;
	}
	arena_done(&g->arena);
	g->arena = a;
	g->grant = grant;
	free(g->body);
	g->body = xstrdup(body);
	g->c.changed(g->c.owner);
}

static void look(struct granted *g)
{
	const char *body;

	if (!g->moved || !replica_is_ready(g->replica) || !replica_is_level(g->replica) ||
	    replica_position(g->replica).epoch == 0)
		return;
	g->moved = false;
	body = replica_get(g->replica, g->name, NULL);
	if (body)
		take(g, body);
	else
		g->c.ended(g->c.owner, has_successor(g));
}

static void settle(struct granted *g)
{
	uint64_t due = g->session ? replica_due(g->replica) : CLOCK_NEVER;

	/* What is to be looked at is looked at outside of the message. */
	loop_timer_set(g->c.loop, &g->timer, g->moved ? loop_now(g->c.loop) : due);
}

static void fired(struct loop_timer *t)
{
	struct granted *g = container_of(t, struct granted, timer);

	if (replica_due(g->replica) <= loop_now(g->c.loop))
		replica_tick(g->replica, loop_now(g->c.loop));
	loop_timer_set(g->c.loop, t, g->session ? replica_due(g->replica) : CLOCK_NEVER);
	look(g);
}

/* ---- */

static struct replica *replica_make(struct granted *g)
{
	const struct keyring keys = { .find = find_key, .owner = g };
	const struct replica_io io = { .subscribe = io_subscribe,
				       .unsubscribe = io_unsubscribe,
				       .changed = io_changed,
				       .ask = io_ask,
				       .random = io_random,
				       .owner = g };

	return replica_new(g->c.trust->mesh, &g->journal, &keys, &io);
}

struct granted *granted_new(const struct granted_config *c)
{
	struct granted *g = xcalloc(1, sizeof(*g));

	g->c = *c;
	g->c.network = g->journal.network;
	g->journal = (struct topic){ .kind = TOPIC_JOURNAL, .journal = JOURNAL_GATEWAYS };
	snprintf(g->journal.network, sizeof(g->journal.network), "%s", c->network);
	snprintf(g->name, sizeof(g->name), PREFIX "%s", c->id);
	g->timer.fired = fired;
	g->replica = replica_make(g);
	if (c->minimum.epoch)
		replica_set_minimum(g->replica, c->minimum, "", ""); /* we never ask */
	return g;
}

void granted_free(struct granted *g)
{
	if (!g)
		return;
	loop_timer_del(g->c.loop, &g->timer);
	replica_free(g->replica);
	arena_done(&g->arena);
	free(g->body);
	free(g);
}

const struct grant *granted_get(const struct granted *g)
{
	return g && g->body ? &g->grant : NULL;
}

struct journal_position granted_position(const struct granted *g)
{
	return replica_is_ready(g->replica) ? replica_position(g->replica) :
					      (struct journal_position){ 0 };
}

void granted_connected(struct granted *g, struct session *s)
{
	g->session = s;
	replica_connected(g->replica, loop_now(g->c.loop));
	part(g, TOPIC_JOURNAL, 0, 0, true);
	part(g, TOPIC_BEAT, 0, 0, true);
	settle(g);
}

void granted_revoke(struct granted *g, const char *key)
{
	replica_revoke(g->replica, loop_now(g->c.loop), key);
	if (!replica_is_ready(g->replica)) {
		replica_free(g->replica);
		g->replica = replica_make(g);
		if (g->session)
			granted_connected(g, g->session);
	}
	settle(g);
}

void granted_disconnected(struct granted *g)
{
	g->session = NULL;
	settle(g);
}

enum refusal granted_message(struct granted *g, const struct topic *t, const struct mqtt_message *m)
{
	enum refusal refused =
		replica_receive(g->replica, loop_now(g->c.loop), t, m->payload, m->len);

	settle(g);
	return refused;
}
