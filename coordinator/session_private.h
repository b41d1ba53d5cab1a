/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of the session, for these files only: session.c (connection, presence, routing),
 * requests.c (joins and what nodes ask), endpoints.c (candidates that have to be stable), presence.c (who
 * is online).
 */
#pragma once

#include "coordinator/dns.h"
#include "coordinator/session.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mqtt.h"

struct session {
	struct loop *loop;
	struct authority *authority;
	struct mqtt *mqtt;
	struct keyring keyring;
	struct map *keys;    /* struct verify_key by id, made ready once */
	uint64_t connection; /* its number, kept in the store */
	char instance[33];
	char *will; /* of this connection: c/state offline */
	uint64_t refused[REFUSED_COUNT];
	struct log_limit limit;
	struct dns *dns;	   /* also the authority's */
	struct loop_timer silence; /* while connected */
	struct map *presence;	   /* newest states by node, not yet stored */
	struct loop_timer presence_timer;
	struct map *not_carried;      /* gateway_grow's */
	struct loop_timer grow_timer; /* while something is not carried */
	struct map *endpoints;	      /* struct pending by network and node */
	uint64_t stable;	 /* microseconds after which they count; tests have less patience */
	struct loop_timer timer; /* the first of them that is stable */
};

/* Counts, and writes a line if not too many were written. */
void session_refuse(struct session *s, const struct mqtt_message *m, enum refusal why);

/* ---- requests.c: documents that were verified */
void request_enrol(struct session *s, const struct topic *t, const struct mqtt_message *m,
		   const struct document *d);
void request_node(struct session *s, const struct topic *t, const struct mqtt_message *m,
		  const struct document *d);

/* ---- presence.c */
void presence_init(struct session *s);
/* Stores what is still to be stored. */
void presence_done(struct session *s);
/* A register u/<node>/state; the higher seq counts. */
void presence_taken(struct session *s, const char *node, const struct node_state *state);

/* ---- endpoints.c */
void endpoints_init(struct session *s);
void endpoints_done(struct session *s);
/* A register n/<net>/ep/<node>; an empty one takes it back. */
void endpoints_taken(struct session *s, const struct topic *t, const struct mqtt_message *m,
		     const struct document *d);
void endpoints_cleared(struct session *s, const struct topic *t);
