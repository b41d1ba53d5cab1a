/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Enrolling: the first connection of a node that is in no network of the mesh yet, with the token's
 * certificate (design section 6). It ends before the lasting one begins.
 *
 * The request is signed by the token's and by the identity key; the same bytes go out again when the
 * connection was lost before the answer.
 */
#pragma once

#include "agent/identity.h"
#include "lib/loop.h"
#include "schemas/join.h"
#include "schemas/token.h"
#include "schemas/trust.h"

#define ENROL_SECONDS 30

/* What the owner wishes, beside the token. Borrowed. */
struct enrol_wish {
	const char *name;	      /* NULL: none */
	const char *site;	      /* NULL: the token's */
	const uint8_t *wireguard_key; /* public */
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

struct enrol;
struct enrol_result {
	/* NULL: joined. Else one sentence, and whether another attempt may change that. */
	const char *error;
	bool unreachable; /* broker or coordinator did not answer */
	const struct enrol_answer *answer;
};
/* Starts. `done` is called once, from the loop; the connection is ended then, and `e` is freed after
 * it. All is copied but `who`. */
struct enrol *enrol_start(struct loop *l, const struct token *token, const struct identity *who,
			  const struct enrol_wish *wish, int64_t (*wall)(void),
			  void (*done)(void *owner, const struct enrol_result *r), void *owner);
void enrol_cancel(struct enrol *e);
