/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Topics: the only place where a topic is spelled. See schemas/asyncapi.yaml.
 *
 * All topics begin with warren/1/<mesh>/. A *path* is what follows that prefix (`n/dc1/peers`).
 * The *place* of a document is what its signature covers beside the body: the topic, and for
 * everything in a journal the journal's own topic.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base.h"
#include "lib/crypto.h"

#define TOPIC_SIZE 320
#define MESH_ID_LEN 10
#define MESH_ID_SIZE (MESH_ID_LEN + 1)
#define LABEL_SIZE 64	  /* [a-z0-9-]{1,63} and NUL */
#define JOURNAL_RING 1024 /* log slots of a journal */

enum topic_kind {
	TOPIC_TRUST,	 /* c/trust */
	TOPIC_STATE,	 /* c/state */
	TOPIC_MARK,	 /* c/mark */
	TOPIC_REVOKED,	 /* c/revoked/<id> */
	TOPIC_JOURNAL,	 /* S: newest delta */
	TOPIC_LOG,	 /* S/log/<slot> */
	TOPIC_MANIFEST,	 /* S/snap */
	TOPIC_CHUNK,	 /* S/snap/<slot>/<chunk> */
	TOPIC_BEAT,	 /* S/beat */
	TOPIC_ASK,	 /* S/ask/<id> */
	TOPIC_EP,	 /* n/<net>/ep/<id> */
	TOPIC_CALL,	 /* n/<net>/call/<id>/<from> */
	TOPIC_CONFIG,	 /* a/<id>/config */
	TOPIC_RSP,	 /* a/<id>/rsp */
	TOPIC_REQ,	 /* u/<id>/req */
	TOPIC_NODE,	 /* u/<id>/state */
	TOPIC_STAT,	 /* u/<id>/stat */
	TOPIC_ENROL_REQ, /* e/<id>/<client>/req   (id: the token's) */
	TOPIC_ENROL_RSP, /* e/<id>/<client>/rsp */
};

enum journal_kind { JOURNAL_PEERS, JOURNAL_GATEWAYS, JOURNAL_DNS };

struct topic {
	enum topic_kind kind;
	enum journal_kind journal; /* TOPIC_JOURNAL .. TOPIC_ASK */
	char network[LABEL_SIZE];  /* n/... */
	char exporter[LABEL_SIZE]; /* JOURNAL_DNS */
	char id[LABEL_SIZE];	   /* a node, token or revoked id */
	char other[LABEL_SIZE];	   /* <from> of a call, <client> of an enrolment */
	unsigned slot;		   /* TOPIC_LOG: 0..1023; TOPIC_CHUNK: 0, 1 */
	unsigned chunk;
};

/* The mesh's id: first 10 characters of base32(SHA-256(root public key)), lower case. */
void mesh_id(const uint8_t root_key[static KEY_LEN], char ret[static MESH_ID_SIZE]);

/* Writes the whole topic. */
void topic_format(const char *mesh, const struct topic *t, char ret[static TOPIC_SIZE]);
/* 0; -EBADMSG: not one of ours; -EXDEV: another mesh's. Strict: topic_format gives the same text
 * back. */
int topic_parse(const char *mesh, const char *text, struct topic *ret) MUST_CHECK;
/* The place: for TOPIC_JOURNAL..TOPIC_BEAT the journal's topic, else the topic (an ask included). */
void topic_place(const char *mesh, const struct topic *t, char ret[static TOPIC_SIZE]);
/* The path of the journal that the topic belongs to: `n/dc1/peers`. */
void topic_journal_path(const struct topic *t, char ret[static TOPIC_SIZE]);
/* `n/<net>/peers`, `n/<net>/gateways`, `n/<net>/dns/<exporter>` read into a TOPIC_JOURNAL. */
int journal_path_parse(const char *path, struct topic *ret) MUST_CHECK;
/* True for a 16-character key id / node id ([a-z2-7]{16}). */
bool text_is_id(const char *s);
