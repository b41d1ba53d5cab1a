/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * X.509 for a private CA: P-256 keys, ECDSA with SHA-256, identities as URI subject alternative
 * names (the common name is not read). Everything goes in and out as PEM text.
 *
 * Functions return 0 or -EBADMSG for input that is not what it should be; text from outside is
 * capped at X509_PEM_MAX.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/crypto.h"

#define X509_PEM_MAX 16384
#define X509_URIS_MAX 64

/* A P-256 key pair as PKCS#8 PEM. */
void x509_key_generate(struct buf *ret_pem);

/* A self-signed CA certificate (basicConstraints CA, keyCertSign, cRLSign). */
int x509_ca_create(const char *key_pem, const char *name, int64_t not_before, int64_t not_after,
		   struct buf *ret_pem) MUST_CHECK;

/* A certificate request (PKCS#10) that proves possession of the key; it carries no names. */
int x509_csr_create(const char *key_pem, struct buf *ret_pem) MUST_CHECK;

struct x509_issue {
	const char *const *uris; /* URI SANs */
	size_t uri_count;
	const char *const *hosts; /* DNS names or IP addresses, for a server; NULL: a client only */
	size_t host_count;
	int64_t not_before; /* wall seconds */
	int64_t not_after;
};
/* Signs a certificate for the key of a request (its signature is checked; its own names are
 * ignored), or for a public key taken from a key pair (P-256, or Ed25519 by sign_key_pem). Serial
 * numbers are random. */
int x509_issue_csr(const char *ca_pem, const char *ca_key_pem, const char *csr_pem,
		   const struct x509_issue *what, struct buf *ret_pem) MUST_CHECK;
int x509_issue_key(const char *ca_pem, const char *ca_key_pem, const char *key_pem,
		   const struct x509_issue *what, struct buf *ret_pem) MUST_CHECK;

struct x509_info {
	int64_t not_before;
	int64_t not_after;
	char *uris[X509_URIS_MAX]; /* owned */
	size_t uri_count;
};
int x509_info_read(const char *cert_pem, struct x509_info *ret) MUST_CHECK;
void x509_info_done(struct x509_info *i);
/* 0 when `cert_pem` was issued by one of the CAs in `ca_pem` (several allowed) and is valid at
 * `now`; -EKEYREJECTED when not, -EKEYEXPIRED when only the time does not fit. */
int x509_verify(const char *ca_pem, const char *cert_pem, int64_t now) MUST_CHECK;
/* Does the certificate belong to this private key? */
bool x509_key_matches(const char *cert_pem, const char *key_pem);
