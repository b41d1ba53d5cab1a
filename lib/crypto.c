/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keys, signatures, hashes, random bytes over OpenSSL's EVP interface. Owns the fetched SHA-256
 * (fetching one by name for each hash costs more than a short hash). Any thread.
 */
#include "lib/crypto.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/text.h"

static EVP_MD *sha256_md;

/* OpenSSL has no memory or does not work: nothing that we say could be trusted any more. */
static void must(bool ok)
{
	if (ok)
		return;
	fputs("error crypto-failed why=openssl\n", stderr);
	abort();
}

static void fetch_sha256(void)
{
	sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
	must(sha256_md);
}

void crypto_random(void *ret, size_t n)
{
	uint8_t *p = ret;

	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		must(got > 0 || errno == EINTR);
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		}
	}
}

void crypto_wipe(void *p, size_t n)
{
	explicit_bzero(p, n);
}

bool crypto_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

void crypto_forget_errors(void)
{
	ERR_clear_error();
}

void sha256(const void *p, size_t n, uint8_t ret[static HASH_LEN])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fetch_sha256);
	must(EVP_Digest(p, n, ret, NULL, sha256_md, NULL));
}

void key_id(const uint8_t public_key[static KEY_LEN], char ret[static KEY_ID_SIZE])
{
	uint8_t hash[HASH_LEN];

	sha256(public_key, KEY_LEN, hash);
	base32_prefix(hash, sizeof(hash), ret, KEY_ID_LEN);
}

static EVP_PKEY *load_private(int type, const uint8_t secret[static KEY_LEN],
			      uint8_t ret_public[static KEY_LEN])
{
	EVP_PKEY *k = EVP_PKEY_new_raw_private_key(type, NULL, secret, KEY_LEN);
	size_t len = KEY_LEN;

	must(k && EVP_PKEY_get_raw_public_key(k, ret_public, &len) && len == KEY_LEN);
	return k;
}

/* ---- Ed25519 ---- */

void sign_key_from_secret(const uint8_t secret[static KEY_LEN], struct sign_key *ret)
{
	memcpy(ret->secret, secret, KEY_LEN);
	ret->pkey = load_private(EVP_PKEY_ED25519, secret, ret->public_key);
	key_id(ret->public_key, ret->id);
}

void sign_key_generate(struct sign_key *ret)
{
	uint8_t secret[KEY_LEN];

	crypto_random(secret, sizeof(secret));
	sign_key_from_secret(secret, ret);
	crypto_wipe(secret, sizeof(secret));
}

void sign_key_done(struct sign_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	crypto_wipe(k, sizeof(*k));
}

void sign_key_sign(const struct sign_key *k, const void *p, size_t n,
		   uint8_t ret[static SIGNATURE_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = SIGNATURE_LEN;

	must(ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey) == 1 &&
	     EVP_DigestSign(ctx, ret, &len, p, n) == 1 && len == SIGNATURE_LEN);
	EVP_MD_CTX_free(ctx);
}

void sign_key_pem(const struct sign_key *k, struct buf *ret_pem)
{
	/* RFC 8410 section 7: version 0, id-Ed25519, the seed as OCTET STRING in OCTET STRING. */
	static const uint8_t head[] = { 0x30, 0x2e, 2,	  1,	0, 0x30, 5, 6,
					3,    0x2b, 0x65, 0x70, 4, 0x22, 4, KEY_LEN };
	uint8_t der[sizeof(head) + KEY_LEN];
	char text[65];

	memcpy(der, head, sizeof(head));
	memcpy(der + sizeof(head), k->secret, KEY_LEN);
	base64_encode(der, sizeof(der), text);
	buf_str(ret_pem, "-----BEGIN PRIVATE KEY-----\n");
	buf_str(ret_pem, text);
	buf_str(ret_pem, "\n-----END PRIVATE KEY-----\n");
	crypto_wipe(der, sizeof(der));
	crypto_wipe(text, sizeof(text));
}

/* The points of small order (y coordinates; the sign bit is not looked at) and the encodings of two
 * of them that are not canonical: with such a "public key" one signature fits many messages, and
 * anybody can make it. */
static bool is_small_order(const uint8_t key[static KEY_LEN])
{
	static const uint8_t points[][KEY_LEN] = {
		{ 0 },
		{ 1 },
		{ 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
		  0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
		  0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
		{ 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
		  0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
		  0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
		{ 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
		{ 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
		{ 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
	};

	for (size_t i = 0; i < ARRAY_SIZE(points); i++)
		if (memcmp(key, points[i], KEY_LEN - 1) == 0 &&
		    (key[KEY_LEN - 1] & 0x7f) == points[i][KEY_LEN - 1])
			return true;
	return false;
}

void verify_key_init(struct verify_key *k, const uint8_t public_key[static KEY_LEN])
{
	memcpy(k->public_key, public_key, KEY_LEN);
	key_id(public_key, k->id);
	k->pkey = NULL;
	if (is_small_order(public_key))
		return;
	k->pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, KEY_LEN);
	must(k->pkey);
}

void verify_key_done(struct verify_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	*k = (struct verify_key){ 0 };
}

bool verify_key_check(const struct verify_key *k, const void *p, size_t n,
		      const uint8_t signature[static SIGNATURE_LEN])
{
	EVP_MD_CTX *ctx;
	bool good;

	if (!k->pkey)
		return false;
	ctx = EVP_MD_CTX_new();
	must(ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, k->pkey) == 1);
	good = EVP_DigestVerify(ctx, signature, SIGNATURE_LEN, p, n) == 1;
	EVP_MD_CTX_free(ctx);
	if (!good)
		crypto_forget_errors();
	return good;
}

/* ---- X25519 ---- */

void wireguard_key_public(const uint8_t private_key[static KEY_LEN],
			  uint8_t ret_public[static KEY_LEN])
{
	EVP_PKEY_free(load_private(EVP_PKEY_X25519, private_key, ret_public));
}

void wireguard_key_generate(uint8_t ret_private[static KEY_LEN], uint8_t ret_public[static KEY_LEN])
{
	crypto_random(ret_private, KEY_LEN);
	/* RFC 7748 section 5: as `wg genkey` prints it. */
	ret_private[0] &= 248;
	ret_private[31] = (ret_private[31] & 127) | 64;
	wireguard_key_public(ret_private, ret_public);
}
