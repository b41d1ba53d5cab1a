/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keys, signatures, hashes, random bytes. The only user of OpenSSL's EVP interface; certificates
 * are in lib/x509.h.
 *
 * Ed25519 (RFC 8032) signs, X25519 (RFC 7748) makes WireGuard keys, SHA-256 hashes, P-256 is for
 * TLS keys. Failures of the library itself (no memory, no entropy) end the process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/buf.h"

#define HASH_LEN 32
#define HASH_HEX_SIZE (2 * HASH_LEN + 1)
#define KEY_LEN 32
#define SIGNATURE_LEN 64
#define KEY_ID_LEN 16
#define KEY_ID_SIZE (KEY_ID_LEN + 1)
#define KEY_BASE64_SIZE 45

void crypto_random(void *ret, size_t n);
/* Wipes memory; the compiler does not remove it. */
void crypto_wipe(void *p, size_t n);
bool crypto_equal(const void *a, const void *b, size_t n); /* constant time */
/* Empties this thread's queue of OpenSSL errors: one that is left there is taken for a failure of the
 * next TLS connection. */
void crypto_forget_errors(void);

void sha256(const void *p, size_t n, uint8_t ret[static HASH_LEN]);

/* The first KEY_ID_LEN characters of base32(SHA-256(public key)), lower case. */
void key_id(const uint8_t public_key[static KEY_LEN], char ret[static KEY_ID_SIZE]);

/* An Ed25519 key pair; `sign` works on bytes, no pre-hash. */
struct sign_key {
	uint8_t secret[KEY_LEN]; /* seed */
	uint8_t public_key[KEY_LEN];
	char id[KEY_ID_SIZE];
	struct evp_pkey_st *pkey; /* cached for speed, owned */
};
void sign_key_generate(struct sign_key *ret);
void sign_key_from_secret(const uint8_t secret[static KEY_LEN], struct sign_key *ret);
/* Wipes and frees. NULL-safe, zero-safe. */
void sign_key_done(struct sign_key *k);
void sign_key_sign(const struct sign_key *k, const void *p, size_t n,
		   uint8_t ret[static SIGNATURE_LEN]);

/* The private key as PKCS#8 PEM: what lib/x509.h takes as a key. */
void sign_key_pem(const struct sign_key *k, struct buf *ret_pem);

/* A public key made ready for many verifications (about 10 us of set-up saved each time). */
struct verify_key {
	uint8_t public_key[KEY_LEN];
	char id[KEY_ID_SIZE];
	struct evp_pkey_st *pkey; /* owned; NULL when the bytes are no key (a point of small order) */
};
void verify_key_init(struct verify_key *k, const uint8_t public_key[static KEY_LEN]);
void verify_key_done(struct verify_key *k);
bool verify_key_check(const struct verify_key *k, const void *p, size_t n,
		      const uint8_t signature[static SIGNATURE_LEN]);

/* A WireGuard key pair. */
void wireguard_key_generate(uint8_t ret_private[static KEY_LEN],
			    uint8_t ret_public[static KEY_LEN]);
void wireguard_key_public(const uint8_t private_key[static KEY_LEN],
			  uint8_t ret_public[static KEY_LEN]);
