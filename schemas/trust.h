/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The register c/trust, signed by the root: which signing keys are valid (listed means valid; no
 * clock is asked), which are revoked, the CAs, the brokers. Every program keeps it on disk.
 */
#pragma once

#include "lib/json.h"
#include "schemas/document.h"

struct trust_body {
	uint64_t seq;
	struct trust_key {
		uint8_t key[KEY_LEN];
	} * signing_keys;
	size_t signing_key_count;
	char **revoked; /* key ids */
	size_t revoked_count;
	char **cas; /* PEM */
	size_t ca_count;
	char **brokers; /* mqtts://HOST:PORT */
	size_t broker_count;
};
extern const struct json_field trust_fields[];

/* What strings in documents are checked for: one or more CERTIFICATE blocks, a CERTIFICATE REQUEST
 * block (PEM as OpenSSL writes it), mqtts://HOST:PORT. */
bool text_is_certificates(const char *s);
bool text_is_csr(const char *s);
bool text_is_broker(const char *s);

/* A trust document that was checked, with its keys ready for use. */
struct trust {
	uint8_t root_key[KEY_LEN];
	char mesh[MESH_ID_SIZE];
	struct verify_key root;
	struct verify_key *signing_keys; /* trust_body.signing_key_count */
	struct trust_body body;
	struct arena arena;
	struct buf bytes; /* the document as received, for the disk and for join answers */
};

/* A trust that knows only the root: what a token gives. Everything but c/trust is refused. */
struct trust *trust_new(const uint8_t root_key[static KEY_LEN]);
void trust_free(struct trust *t);
/* Takes a newer c/trust document. REFUSED_OLD when its seq is not higher (an equal document with
 * equal bytes: REFUSED_NOT, nothing changes). *ret_revoked (may be NULL): number of keys that were
 * valid before and no longer are; ask trust_is_valid for each. On refusal nothing changes. */
enum refusal trust_take(struct trust *t, const void *bytes, size_t len, size_t *ret_revoked);
/* The keyring's answer for SIGNER_ROOT and SIGNER_COORDINATOR; for others NULL, and *ret_known. */
const struct verify_key *trust_find(const struct trust *t, const struct signers *who,
				    const char *key, bool *ret_known);
bool trust_is_valid(const struct trust *t, const char *signing_key_id);
