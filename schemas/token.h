/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Join tokens: `warren1-` and base64url of a JSON object. The token's Ed25519 key signs join
 * requests and is the key of the token's TLS client certificate.
 */
#pragma once

#include "lib/json.h"
#include "schemas/topic.h"

#define TOKEN_MAX 16384

enum role { ROLE_NODE, ROLE_EXPORTER, ROLE_LEAF };
extern const char *const role_names[]; /* "node", "exporter", "leaf", NULL */

struct token {
	char *id; /* the id of its key: key_id() of the public half of private_key */
	char *mesh;
	char *network;
	char **brokers;
	size_t broker_count;
	uint8_t root_key[KEY_LEN];
	char *ca;		      /* PEM */
	uint8_t private_key[KEY_LEN]; /* Ed25519 seed */
	char *certificate;	      /* PEM */
	struct arena arena;
};
extern const struct json_field token_fields[]; /* the object inside */

/* 0 or -EBADMSG with a sentence in `ret_error` that says what is wrong (truncated, altered: no
 * token; unknown version; ...), never with a part of it. White space at its end is ignored. The mesh id
 * must fit the root key; the certificate the private key, the id and the CA; its dates are not looked
 * at. On failure there is nothing to be freed. */
int token_parse(const char *text, struct token *ret, char *ret_error, size_t error_size) MUST_CHECK;
/* Appends the token. More than fits into TOKEN_MAX sets out->failed. */
void token_format(const struct token *t, struct buf *out);
void token_done(struct token *t); /* wipes */
