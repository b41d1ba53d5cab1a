/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the exporter keeps on disk: exporter.db in --state (folder 0700, file 0600; SQLite, WAL): who it
 * is, the mesh it belongs to, and its journal as the writer must find it again. When all of it is
 * lost a token makes it anew; when only the newest of it is lost, the audit sees it.
 */
#pragma once

#include "schemas/enrol.h"
#include "schemas/writer.h"

struct state;

/* Opens or makes it, and keeps others out. On failure a sentence is in `ret_why`. `dir` NULL: only in
 * memory. */
int state_open(const char *dir, struct state **ret, char *ret_why, size_t why_size) MUST_CHECK;
void state_close(struct state *s);
/* What went wrong last, for people. */
const char *state_message(void);

/* They nest; one that failed ends the outermost with a roll-back. */
int state_begin(struct state *s) MUST_CHECK;
int state_end(struct state *s, int r) MUST_CHECK; /* commits when `r` is 0; returns what holds */

/* Reads the identity, or makes and stores it. */
int state_identity(struct state *s, struct identity *ret) MUST_CHECK;
void state_identity_done(struct identity *i); /* wipes */
/* Another one, before it was read. */
int state_identity_put(struct state *s, const uint8_t secret[static KEY_LEN], const char *tls_key)
	MUST_CHECK;

struct state_mesh {
	uint8_t root_key[KEY_LEN]; /* as the token gave it */
	char *token;		   /* id of the one that admitted us */
	char *trust;		   /* the c/trust document */
	char *certificate;	   /* PEM chain */
	char *network, *site;
	uint64_t generation;
	struct journal_position gateways; /* the journal was there, with our grant */
};
int state_mesh_get(struct state *s, struct arena *a, struct state_mesh *ret)
	MUST_CHECK; /* -ENOENT */
int state_mesh_put(struct state *s, const struct state_mesh *m) MUST_CHECK;
/* We were removed: forgets the mesh and the journals. */
int state_mesh_forget(struct state *s) MUST_CHECK;

/* Counts connections, over all starts; 0: the database cannot (state_message). */
uint64_t state_connection_next(struct state *s);
/* All that come are above it. */
int state_connection_begin(struct state *s, uint64_t above) MUST_CHECK;

/* The cluster whose services these are (uid of its namespace kube-system): the one that was said first.
 * 0, -EEXIST: another, or what the database said. */
int state_cluster(struct state *s, const char *uid) MUST_CHECK;

/* The journal's rows (writer_io.store), and back into a writer: -ENOENT when it was never begun. */
int state_journal_record(struct state *s, const char *path, const struct writer_record *rec)
	MUST_CHECK;
int state_journal_load(struct state *s, const char *path, struct writer *w) MUST_CHECK;
/* A member of an epoch that is about to begin. */
int state_journal_member(struct state *s, const char *path, const char *name, const char *body)
	MUST_CHECK;
