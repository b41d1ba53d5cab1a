/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The coordinator's keys on disk (the data directory, 0700, files 0600): everything that must
 * survive the loss of the database.
 *
 *   root.key      Ed25519 seed, hex; absent when --root-out moved it away: it signs c/trust only
 *   root.pub      its public half, hex: what trust.doc is checked with
 *   signing.key   Ed25519 seed, hex: signs all else
 *   ca.crt ca.key the CA of the broker's, coordinator's, nodes' and tokens' certificates
 *   tls.crt tls.key  the coordinator's own client certificate (warren:coordinator)
 *   trust.doc     the newest c/trust document, root-signed
 */
#pragma once

#include "lib/buf.h"
#include "lib/crypto.h"
#include "schemas/trust.h"

struct keys {
	char *dir;
	char mesh[MESH_ID_SIZE];
	struct sign_key signing;
	struct trust *trust; /* has the root's public key, the brokers, the document */
	char *ca_pem;
	char *ca_key_pem;
	char *tls_cert_pem;
	char *tls_key_pem;
};

/* Is any of the files there, or `root_out` (may be NULL)? */
bool keys_exist(const char *dir, const char *root_out);
/* Makes all of it in an empty (or new) directory; -EEXIST when there are keys already. `root_out`
 * NULL: root.key stays in `dir`. On failure nothing of it is left behind. */
int keys_create(const char *dir, const char *root_out, const char *const *brokers,
		size_t broker_count, int64_t now);
/* Takes back what keys_create made. */
void keys_remove(const char *dir, const char *root_out);
/* 0, or a negative errno with a sentence in `error`. */
int keys_load(const char *dir, struct keys *ret, char *error, size_t error_size);
void keys_done(struct keys *k);
/* A c/trust document from elsewhere: when the root signed it and it is newer than ours, it is ours
 * from now on, also on disk (0; *ret_error: why it could not be written). Else why not. */
enum refusal keys_trust_take(const struct keys *k, const void *bytes, size_t len, int *ret_error);
/* Issues a certificate for `csr_pem` with these URIs; the result is the certificate alone. */
int keys_issue(const struct keys *k, const char *csr_pem, const char *const *uris, size_t count,
	       int64_t not_before, int64_t not_after, struct buf *ret_pem);
