/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Known answers of RFC 8032, RFC 7748 and FIPS 180-4, and what must not verify.
 */
#include "tests/test.h"

#include <openssl/err.h>

#include "lib/base.h"
#include "lib/crypto.h"
#include "lib/text.h"

static size_t unhex(const char *s, uint8_t *ret)
{
	size_t n = strlen(s) / 2;

	CHECK_INT(hex_decode(s, ret, n), 0);
	return n;
}

static const struct {
	const char *secret, *public_key, *message, *signature;
} rfc8032[] = {
	{ "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	  "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
	  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
	  "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
	{ "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
	  "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
	  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
	  "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
	{ "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	  "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
	  "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
	  "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a" },
	{ "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
	  "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
	  "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	  "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
	  "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
	  "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704" },
};

TEST(ed25519_known_answers)
{
	for (size_t i = 0; i < ARRAY_SIZE(rfc8032); i++) {
		uint8_t secret[32], public_key[32], message[64], want[64], is[64];
		struct sign_key k;
		struct verify_key v;
		size_t n;

		unhex(rfc8032[i].secret, secret);
		unhex(rfc8032[i].public_key, public_key);
		n = unhex(rfc8032[i].message, message);
		unhex(rfc8032[i].signature, want);
		sign_key_from_secret(secret, &k);
		CHECK(memcmp(k.public_key, public_key, 32) == 0);
		sign_key_sign(&k, message, n, is);
		CHECK(memcmp(is, want, 64) == 0);
		verify_key_init(&v, public_key);
		CHECK_STR(v.id, k.id);
		CHECK(verify_key_check(&v, message, n, want));
		verify_key_done(&v);
		sign_key_done(&k);
	}
}

TEST(tampered_signatures_are_refused)
{
	char message[] = "warren1\0place\0body";
	uint8_t signature[SIGNATURE_LEN];
	struct sign_key k, other;
	struct verify_key v;

	sign_key_generate(&k);
	sign_key_generate(&other);
	sign_key_sign(&k, message, sizeof(message), signature);
	verify_key_init(&v, k.public_key);
	CHECK(verify_key_check(&v, message, sizeof(message), signature));
	for (size_t i = 0; i < 8 * sizeof(signature); i++) {
		signature[i / 8] ^= (uint8_t)(1 << i % 8);
		CHECK(!verify_key_check(&v, message, sizeof(message), signature));
		signature[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t i = 0; i < 8 * sizeof(message); i++) {
		message[i / 8] ^= (char)(1 << i % 8);
		CHECK(!verify_key_check(&v, message, sizeof(message), signature));
		message[i / 8] ^= (char)(1 << i % 8);
	}
	CHECK(!verify_key_check(&v, message, sizeof(message) - 1, signature));
	verify_key_done(&v);
	verify_key_init(&v, other.public_key);
	CHECK(!verify_key_check(&v, message, sizeof(message), signature));
	verify_key_done(&v);
	verify_key_done(&v);
	CHECK_INT(ERR_peek_error(), 0);
	sign_key_done(&k);
	sign_key_done(&k);
	sign_key_done(&other);
	sign_key_done(NULL);
}

/* S + L in the place of S: another signature of the same message (RFC 8032 section 8.4). */
TEST(signatures_are_not_malleable)
{
	static const uint8_t order[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
					   0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
					   0,	 0,    0,    0,	   0,	 0,    0,    0,
					   0,	 0,    0,    0,	   0,	 0,    0,    0x10 };
	uint8_t signature[SIGNATURE_LEN];
	struct sign_key k;
	struct verify_key v;
	unsigned carry = 0;

	sign_key_generate(&k);
	sign_key_sign(&k, "x", 1, signature);
	for (int i = 0; i < 32; i++) {
		carry += (unsigned)signature[32 + i] + order[i];
		signature[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	verify_key_init(&v, k.public_key);
	CHECK(!verify_key_check(&v, "x", 1, signature));
	verify_key_done(&v);
	sign_key_done(&k);
}

/* With a key of small order R = B (the base point), S = 1 is a signature of a great part of all
 * messages: nobody may have such a key. */
TEST(small_order_keys_verify_nothing)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	uint8_t signature[SIGNATURE_LEN] = { [0] = 0x58, [32] = 1 };

	memset(signature + 1, 0x66, 31);
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		struct verify_key v;
		uint8_t public_key[32];
		char message[2] = { 0 };

		unhex(points[i], public_key);
		verify_key_init(&v, public_key);
		CHECK(!v.pkey);
		for (int m = 0; m < 64; m++) {
			message[0] = (char)m;
			CHECK(!verify_key_check(&v, message, 1, signature));
		}
		verify_key_done(&v);
	}
}

/* RFC 7748 section 6.1. */
TEST(x25519_known_answers)
{
	static const char *const pairs[][2] = {
		{ "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
		  "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a" },
		{ "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
		  "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		uint8_t private_key[KEY_LEN], want[KEY_LEN], is[KEY_LEN];

		unhex(pairs[i][0], private_key);
		unhex(pairs[i][1], want);
		wireguard_key_public(private_key, is);
		CHECK(memcmp(is, want, KEY_LEN) == 0);
	}
}

TEST(wireguard_keys_are_clamped_pairs)
{
	uint8_t last[KEY_LEN] = { 0 };

	for (int i = 0; i < 100; i++) {
		uint8_t private_key[KEY_LEN], public_key[KEY_LEN], again[KEY_LEN];

		wireguard_key_generate(private_key, public_key);
		CHECK_INT(private_key[0] & 7, 0);
		CHECK_INT(private_key[31] & 0xc0, 0x40);
		wireguard_key_public(private_key, again);
		CHECK(memcmp(public_key, again, KEY_LEN) == 0);
		CHECK(memcmp(public_key, last, KEY_LEN) != 0);
		memcpy(last, public_key, KEY_LEN);
	}
}

TEST(sha256_known_answers)
{
	static const char *const cases[][2] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t hash[HASH_LEN];
		char text[HASH_HEX_SIZE];

		sha256(cases[i][0], strlen(cases[i][0]), hash);
		hex_encode(hash, sizeof(hash), text);
		CHECK_STR(text, cases[i][1]);
	}
}

TEST(key_id_is_base32_of_the_hash)
{
	uint8_t key[KEY_LEN] = { 0 };
	char id[KEY_ID_SIZE];
	uint8_t hash[HASH_LEN];
	char want[KEY_ID_SIZE];

	sha256(key, sizeof(key), hash);
	for (int i = 0; i < KEY_ID_LEN; i++) {
		unsigned bits = 0;

		for (int b = 0; b < 5; b++)
			bits = bits << 1 | (hash[(5 * i + b) / 8] >> (7 - (5 * i + b) % 8) & 1);
		want[i] = "abcdefghijklmnopqrstuvwxyz234567"[bits];
	}
	want[KEY_ID_LEN] = '\0';
	key_id(key, id);
	CHECK_STR(id, want);
}

TEST(random_equal_wipe)
{
	uint8_t a[1000] = { 0 }, b[1000];
	size_t zeros = 0;

	crypto_random(a, sizeof(a));
	for (size_t i = 0; i < sizeof(a); i++)
		zeros += !a[i];
	CHECK(zeros < 50);
	memcpy(b, a, sizeof(a));
	CHECK(crypto_equal(a, b, sizeof(a)));
	b[999] ^= 1;
	CHECK(!crypto_equal(a, b, sizeof(a)));
	CHECK(crypto_equal(a, b, 0));
	crypto_wipe(a, sizeof(a));
	memset(b, 0, sizeof(b));
	CHECK(crypto_equal(a, b, sizeof(a)));
}

TEST_MAIN("crypto")
