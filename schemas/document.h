/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Documents on the wire: `warren1 <key id> <signature>` LF, then the JSON body; the first line of a
 * join request has a second pair behind the first, ` <key id> <signature>`. Signatures are base64url
 * without padding, one blank stands before each word and none at the end. Ed25519 over `warren1` NUL
 * place NUL body.
 *
 * Order of work on receipt: size, signature over the received bytes, then parse.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/crypto.h"
#include "schemas/signers.h"
#include "schemas/topic.h"

#define DOCUMENT_MAX 65536
#define DOCUMENT_SIGNATURES_MAX 2

/* Why a document was refused: the CAUSE of `warren status --json`. */
enum refusal {
	REFUSED_NOT,	/* it was taken */
	REFUSED_SIZE,	/* over the cap, or empty where a document must be */
	REFUSED_JSON,	/* envelope or body is no such text */
	REFUSED_SCHEMA, /* types, ranges, missing fields */
	REFUSED_DUPLICATE_KEY,
	REFUSED_KEY,	/* unknown or revoked key id */
	REFUSED_SIGNER, /* a known key that may not sign in this place */
	REFUSED_PLACE,	/* the signature does not fit these bytes in this place */
	REFUSED_OLD,	/* older than what we have */
	REFUSED_CHUNK,	/* a chunk with another hash */
	REFUSED_MESH,	/* another mesh's */
	REFUSED_GRANT,	/* an exporter's record outside its grant */
	REFUSED_COUNT,
};
extern const char *const refusal_names[REFUSED_COUNT + 1]; /* "size", "json"...; [0] is "none" */

struct document_signature {
	char key[KEY_ID_SIZE];
	uint8_t bytes[SIGNATURE_LEN];
};

struct document {
	struct document_signature signatures[DOCUMENT_SIGNATURES_MAX];
	size_t signature_count;
	const char *body; /* borrowed from the received bytes, not NUL-terminated */
	size_t body_len;
};

/* Splits the envelope; no signature is looked at. REFUSED_NOT, REFUSED_SIZE or REFUSED_JSON. */
enum refusal document_split(const void *bytes, size_t len, struct document *ret);
/* Is signature `i` by `key` over this body in this place? */
bool document_verify(const struct document *d, size_t i, const char *place,
		     const struct verify_key *key);

/* Finds keys: the trust document for root and coordinator, the owner's tables for the others. */
struct keyring {
	/* The key with this id if it may sign as `who`; NULL else, and then *ret_known says whether
	 * the id is known at all (REFUSED_SIGNER against REFUSED_KEY). Revoked keys are unknown.
	 * `index` is 0: for SIGNER_JOINER the key of the token is asked for, never the joiner's. */
	const struct verify_key *(*find)(void *owner, const struct signers *who, size_t index,
					 const char *key, bool *ret_known);
	void *owner;
};
/* Split, key by place, signature. On REFUSED_NOT `ret` points into `bytes`.
 *
 * In the places of SIGNER_JOINER two signatures are asked for, elsewhere one; a TOPIC_REQ may have
 * two, which means a join by a joined node (SIGNER_JOINER is then asked with the id that the first
 * pair names, SIGNER_NODE for the second). A token's id is the id of its key and a node's that of its
 * identity key, and with two signatures the body's `token` and `identity_key` (those of `join` in a
 * TOPIC_REQ) must be the keys that signed: all that is checked here. */
enum refusal document_open(const struct keyring *keys, const char *mesh, const struct topic *t,
			   const void *bytes, size_t len, struct document *ret);

/* Appends the whole document. `keys`: one, or two for a join (token, identity). */
void document_sign(struct buf *out, const char *place, const char *body, size_t body_len,
		   const struct sign_key *const *keys, size_t key_count);
