/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "schemas/trust.h"

#include "lib/text.h"
#include "tests/test.h"

#define PEM "-----BEGIN CERTIFICATE-----\\nAA==\\n-----END CERTIFICATE-----\\n"

/* 0 is the root. */
static struct sign_key keys[4];

static void make_keys(void)
{
	for (int i = 0; i < 4; i++) {
		uint8_t seed[KEY_LEN] = { (uint8_t)(i + 1) };

		sign_key_from_secret(seed, &keys[i]);
	}
}

static void end_keys(void)
{
	for (int i = 0; i < 4; i++)
		sign_key_done(&keys[i]);
}

/* A bit for each key: 2 is key 1, 4 is key 2... */
static const char *body_of(uint64_t seq, unsigned listed, unsigned revoked)
{
	static char text[4096];
	struct buf b = { 0 };
	const char *comma = "";

	buf_printf(&b, "{\"seq\":%llu,\"signing_keys\":[", (unsigned long long)seq);
	for (unsigned i = 0; i < 4; i++) {
		char key[KEY_BASE64_SIZE];

		if (!(listed >> i & 1))
			continue;
		base64_encode(keys[i].public_key, KEY_LEN, key);
		buf_printf(&b, "%s\"%s\"", comma, key);
		comma = ",";
	}
	buf_str(&b, "],\"revoked\":[");
	comma = "";
	for (unsigned i = 0; i < 4; i++) {
		if (!(revoked >> i & 1))
			continue;
		buf_printf(&b, "%s\"%s\"", comma, keys[i].id);
		comma = ",";
	}
	buf_str(&b, "],\"cas\":[\"" PEM "\"],\"brokers\":[\"mqtts://a:1\"]}");
	CHECK(b.len < sizeof(text));
	strcpy(text, buf_cstr(&b));
	buf_done(&b);
	return text;
}

static enum refusal take_body(struct trust *t, int signer, const char *mesh, const char *body,
			      size_t *ret_revoked)
{
	const struct sign_key *key = &keys[signer];
	const struct topic topic = { .kind = TOPIC_TRUST };
	char place[TOPIC_SIZE];
	struct buf b = { 0 };
	enum refusal refused;

	topic_place(mesh, &topic, place);
	document_sign(&b, place, body, strlen(body), &key, 1);
	refused = trust_take(t, b.data, b.len, ret_revoked);
	buf_done(&b);
	return refused;
}

static enum refusal take(struct trust *t, uint64_t seq, unsigned listed, unsigned revoked)
{
	return take_body(t, 0, t->mesh, body_of(seq, listed, revoked), NULL);
}

static const struct verify_key *found(const struct trust *t, enum signer_class class, int key,
				      bool *ret_known)
{
	const struct signers who = { .class = class, .id = keys[key].id };

	return trust_find(t, &who, keys[key].id, ret_known);
}

TEST(knows_only_the_root_at_first)
{
	struct trust *t;
	bool known;

	make_keys();
	t = trust_new(keys[0].public_key);
	CHECK_INT(strlen(t->mesh), MESH_ID_LEN);
	CHECK(found(t, SIGNER_ROOT, 0, &known) == &t->root);
	CHECK(!found(t, SIGNER_COORDINATOR, 1, &known) && !known);
	CHECK(!trust_is_valid(t, keys[1].id));
	trust_free(t);
	trust_free(NULL);
	end_keys();
}

TEST(takes_keys)
{
	struct trust *t;
	bool known;

	make_keys();
	t = trust_new(keys[0].public_key);
	CHECK_INT(take(t, 1, 2 | 4, 0), REFUSED_NOT);
	CHECK_INT(t->body.seq, 1);
	CHECK_STR(t->body.brokers[0], "mqtts://a:1");
	CHECK(memcmp(t->bytes.data, "warren1 ", 8) == 0);
	CHECK(trust_is_valid(t, keys[1].id) && trust_is_valid(t, keys[2].id));
	CHECK(!trust_is_valid(t, keys[3].id) && !trust_is_valid(t, keys[0].id));
	CHECK(memcmp(found(t, SIGNER_COORDINATOR, 1, &known)->public_key, keys[1].public_key,
		     KEY_LEN) == 0);
	trust_free(t);
	end_keys();
}

/* Root and signing keys are no substitutes for one another, and none is a node's. */
TEST(finds_by_class)
{
	struct trust *t;
	bool known;

	make_keys();
	t = trust_new(keys[0].public_key);
	CHECK_INT(take(t, 1, 2, 0), REFUSED_NOT);
	CHECK(!found(t, SIGNER_ROOT, 1, &known) && known);
	CHECK(!found(t, SIGNER_COORDINATOR, 0, &known) && known);
	CHECK(!found(t, SIGNER_NODE, 1, &known) && known);
	CHECK(!found(t, SIGNER_EXPORTER, 0, &known) && known);
	CHECK(!found(t, SIGNER_JOINER, 1, &known) && known);
	CHECK(!found(t, SIGNER_ROOT, 3, &known) && !known);
	CHECK(!found(t, SIGNER_NODE, 3, &known) && !known);
	trust_free(t);
	end_keys();
}

TEST(only_the_root_signs)
{
	struct trust *t;

	make_keys();
	t = trust_new(keys[0].public_key);
	CHECK_INT(take_body(t, 1, t->mesh, body_of(1, 2, 0), NULL), REFUSED_KEY);
	CHECK_INT(take(t, 1, 2, 0), REFUSED_NOT);
	CHECK_INT(take_body(t, 1, t->mesh, body_of(2, 2 | 8, 0), NULL), REFUSED_SIGNER);
	CHECK_INT(t->body.seq, 1);
	CHECK(!trust_is_valid(t, keys[3].id));
	trust_free(t);
	end_keys();
}

TEST(another_meshs)
{
	struct trust *t;

	make_keys();
	t = trust_new(keys[0].public_key);
	CHECK_INT(take_body(t, 0, "othermeshx", body_of(1, 2, 0), NULL), REFUSED_PLACE);
	trust_free(t);
	t = trust_new(keys[3].public_key);
	CHECK_INT(take_body(t, 0, t->mesh, body_of(1, 2, 0), NULL), REFUSED_KEY);
	CHECK(!trust_is_valid(t, keys[1].id));
	trust_free(t);
	end_keys();
}

TEST(older_and_equal_seq)
{
	struct trust *t;
	size_t revoked = 99;

	make_keys();
	t = trust_new(keys[0].public_key);
	CHECK_INT(take(t, 5, 2, 0), REFUSED_NOT);
	CHECK_INT(take(t, 4, 4, 0), REFUSED_OLD);
	CHECK_INT(take(t, 5, 4, 0), REFUSED_OLD);
	CHECK(trust_is_valid(t, keys[1].id) && !trust_is_valid(t, keys[2].id));
	/* The very same again is no news and no offence. */
	CHECK_INT(take_body(t, 0, t->mesh, body_of(5, 2, 0), &revoked), REFUSED_NOT);
	CHECK_INT(revoked, 0);
	CHECK_INT(take(t, 6, 4, 0), REFUSED_NOT);
	CHECK(!trust_is_valid(t, keys[1].id) && trust_is_valid(t, keys[2].id));
	CHECK_INT(take(t, 0, 2, 0), REFUSED_SCHEMA);
	trust_free(t);
	end_keys();
}

TEST(revoked_key_is_unknown)
{
	struct trust *t;
	size_t revoked;
	bool known;

	make_keys();
	t = trust_new(keys[0].public_key);
	CHECK_INT(take_body(t, 0, t->mesh, body_of(1, 2 | 4, 0), &revoked), REFUSED_NOT);
	CHECK_INT(revoked, 0);
	/* Listed and revoked: revoked. */
	CHECK_INT(take_body(t, 0, t->mesh, body_of(2, 2 | 4 | 8, 2), &revoked), REFUSED_NOT);
	CHECK_INT(revoked, 1);
	CHECK(!trust_is_valid(t, keys[1].id) && trust_is_valid(t, keys[2].id));
	CHECK(!found(t, SIGNER_COORDINATOR, 1, &known) && !known);
	/* No longer listed counts as well. */
	CHECK_INT(take_body(t, 0, t->mesh, body_of(3, 0, 2), &revoked), REFUSED_NOT);
	CHECK_INT(revoked, 2);
	CHECK(!trust_is_valid(t, keys[2].id) && !trust_is_valid(t, keys[3].id));
	trust_free(t);
	end_keys();
}

TEST(refuses_bad_bodies_and_keeps_the_old)
{
	static const char *const bodies[] = {
		"nothing",
		"[]",
		"{}",
		"{\"seq\":9,\"signing_keys\":[],\"revoked\":[],\"cas\":[]}",
		"{\"seq\":9,\"seq\":9,\"signing_keys\":[],\"revoked\":[],\"cas\":[\"" PEM
		"\"],\"brokers\":[\"mqtts://a:1\"]}",
		/* 32 bytes that are no point that signs: all zero. */
		"{\"seq\":9,\"signing_keys\":[\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"],"
		"\"revoked\":[],\"cas\":[\"" PEM "\"],\"brokers\":[\"mqtts://a:1\"]}",
	};
	static const enum refusal want[] = { REFUSED_JSON,   REFUSED_SCHEMA,	    REFUSED_SCHEMA,
					     REFUSED_SCHEMA, REFUSED_DUPLICATE_KEY, REFUSED_SCHEMA };
	struct trust *t;

	make_keys();
	t = trust_new(keys[0].public_key);
	CHECK_INT(take(t, 1, 2, 0), REFUSED_NOT);
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		CHECK_INT(take_body(t, 0, t->mesh, bodies[i], NULL), want[i]);
	CHECK_INT(trust_take(t, "", 0, NULL), REFUSED_SIZE);
	CHECK_INT(t->body.seq, 1);
	CHECK(trust_is_valid(t, keys[1].id));
	trust_free(t);
	end_keys();
}

/* What is kept on disk is taken again after a restart. */
TEST(its_bytes_are_taken_again)
{
	struct trust *t, *again;

	make_keys();
	t = trust_new(keys[0].public_key);
	again = trust_new(keys[0].public_key);
	CHECK_INT(take(t, 7, 2, 4), REFUSED_NOT);
	CHECK_INT(trust_take(again, t->bytes.data, t->bytes.len, NULL), REFUSED_NOT);
	CHECK_INT(again->body.seq, 7);
	CHECK(trust_is_valid(again, keys[1].id));
	CHECK_INT(trust_take(t, t->bytes.data, t->bytes.len, NULL), REFUSED_NOT);
	trust_free(t);
	trust_free(again);
	end_keys();
}

TEST(pem_and_broker_texts)
{
#define CERT "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
#define CSR "-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n"
	CHECK(text_is_certificates(CERT));
	CHECK(text_is_certificates(CERT CERT));
	CHECK(!text_is_certificates(""));
	CHECK(!text_is_certificates(CERT "x"));
	CHECK(!text_is_certificates(CERT "\n"));
	CHECK(!text_is_certificates("x" CERT));
	CHECK(!text_is_certificates(CSR));
	CHECK(!text_is_certificates("-----BEGIN CERTIFICATE-----\n"));
	CHECK(!text_is_certificates(
		"-----BEGIN CERTIFICATE-----\nA A\n-----END CERTIFICATE-----\n"));
	CHECK(text_is_csr(CSR));
	CHECK(!text_is_csr(CSR CSR));
	CHECK(!text_is_csr(CERT));
	CHECK(!text_is_csr(""));
	CHECK(text_is_broker("mqtts://broker.example.org:8883"));
	CHECK(text_is_broker("mqtts://[2001:db8::1]:8883"));
	CHECK(!text_is_broker("mqtt://broker.example.org:1883"));
	CHECK(!text_is_broker("mqtts://broker.example.org"));
	CHECK(!text_is_broker("mqtts://a:1/x"));
	CHECK(!text_is_broker("MQTTS://a:1"));
}

TEST_MAIN("trust")
