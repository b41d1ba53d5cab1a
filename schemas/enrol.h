/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Joining as the joiner does it (design section 6), node and exporter alike: the request that is signed
 * by the token's and by the identity key, and what is checked of the answer before a word of it is
 * believed. Pure: bytes in, bytes out; the connection is its owner's.
 */
#pragma once

#include "lib/crypto.h"
#include "schemas/join.h"
#include "schemas/token.h"
#include "schemas/trust.h"

/* Who joins: an Ed25519 identity key, whose id is the joiner's id, and a TLS key. */
struct identity {
	struct sign_key key;
	char *tls_key; /* PEM */
	bool exporter; /* else a node */
};

/* What the owner wishes, beside the token. Borrowed. */
struct enrol_wish {
	const char *name;	      /* NULL: none */
	const char *site;	      /* NULL: the token's */
	const uint8_t *wireguard_key; /* public; NULL: none, as an exporter */
	char *const *endpoints;
	size_t endpoint_count;
};
/* Fills a request for this token (its strings: borrowed, or in `arena`), with a fresh nonce. */
void enrol_request(struct arena *arena, const struct token *token, const struct identity *who,
		   const struct enrol_wish *wish, struct join_request *ret);

/* What is checked of an answer, wherever it came from. Everything is in `arena`. */
struct enrol_answer {
	struct join_answer body;
	char *topic, *document; /* as received: evidence for the journals' minimum */
};
/* The answer's own trust document by the token's root, then its signature by that, then that it is
 * for our request, and the certificate for our key, our id and from a CA of the trust. REFUSED_NOT,
 * or why with a sentence. `now`: wall seconds. */
enum refusal enrol_check(struct arena *arena, const struct token *token, const struct identity *who,
			 const char *topic, const uint8_t request_hash[static HASH_LEN],
			 const void *bytes, size_t len, int64_t now, struct enrol_answer *ret,
			 char *why, size_t why_size);
/* The part after the signature: for an answer that came over the node's own connection. */
enum refusal enrol_check_body(const struct identity *who, const struct trust *trust,
			      const uint8_t request_hash[static HASH_LEN],
			      const struct join_answer *a, int64_t now, char *why, size_t why_size);
/* A certificate for our TLS key and our id, from a CA of the trust, and not ended at `now`. */
enum refusal enrol_check_certificate(const struct identity *who, const struct trust *trust,
				     const char *certificate, int64_t now, char *why,
				     size_t why_size);

/* What goes over the connection with the token's certificate: the same bytes again when that was lost
 * before the answer came. */
struct enrol_letter {
	char client[LABEL_SIZE]; /* MQTT client id */
	struct buf tls_key;	 /* the token's key as PEM */
	char topic[TOPIC_SIZE], answer_topic[TOPIC_SIZE];
	struct buf document;
	uint8_t hash[HASH_LEN]; /* of the document: what the answer must name */
};
void enrol_letter(const struct token *token, const struct identity *who,
		  const struct enrol_wish *wish, struct enrol_letter *ret);
void enrol_letter_done(struct enrol_letter *l); /* wipes */
