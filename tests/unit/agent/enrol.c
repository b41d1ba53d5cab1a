/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A join's request and what is believed of its answer. The connection itself is tried in the lab. */
#include "agent/enrol.h"

#include <errno.h>

#include "lib/clock.h"
#include "lib/x509.h"
#include "tests/test.h"

#define NOW INT64_C(1800000000)
#define DAY 86400

/* A mesh with its coordinator, as far as a joiner sees it. */
struct mesh {
	struct sign_key root, signing, token_key;
	char id[MESH_ID_SIZE];
	char *ca, *ca_key;
	char *trust;
	struct token token;
	struct identity who;
	char topic[TOPIC_SIZE];
};

static char *take(struct buf *b)
{
	char *s = xstrdup(buf_cstr(b));

	buf_done(b);
	return s;
}

static char *make_trust(const struct mesh *m, const struct sign_key *root)
{
	struct trust_key key;
	char *cas[] = { m->ca }, *brokers[] = { (char[]){ "mqtts://192.0.2.1:8883" } };
	struct trust_body body = { .seq = 1,
				   .signing_keys = &key,
				   .signing_key_count = 1,
				   .cas = cas,
				   .ca_count = 1,
				   .brokers = brokers,
				   .broker_count = 1 };
	const struct sign_key *keys[] = { root };
	struct buf text = { 0 }, document = { 0 };
	char place[TOPIC_SIZE];

	memcpy(key.key, m->signing.public_key, KEY_LEN);
	topic_format(m->id, &(struct topic){ .kind = TOPIC_TRUST }, place);
	json_encode(&text, trust_fields, &body);
	document_sign(&document, place, buf_cstr(&text), text.len, keys, 1);
	buf_done(&text);
	return take(&document);
}

static void begin(struct mesh *m)
{
	struct topic t = { .kind = TOPIC_ENROL_RSP };
	struct buf b = { 0 };

	memset(m, 0, sizeof(*m));
	sign_key_generate(&m->root);
	sign_key_generate(&m->signing);
	sign_key_generate(&m->token_key);
	mesh_id(m->root.public_key, m->id);
	x509_key_generate(&b);
	m->ca_key = take(&b);
	CHECK_INT(x509_ca_create(m->ca_key, "test", NOW - DAY, NOW + 1000 * DAY, &b), 0);
	m->ca = take(&b);
	m->trust = make_trust(m, &m->root);
	m->token.id = m->token_key.id;
	m->token.mesh = m->id;
	m->token.network = (char *)(uintptr_t) "dc1";
	memcpy(m->token.root_key, m->root.public_key, KEY_LEN);
	memcpy(m->token.private_key, m->token_key.secret, KEY_LEN);
	sign_key_generate(&m->who.key);
	x509_key_generate(&b);
	m->who.tls_key = take(&b);
	memcpy(t.id, m->token.id, KEY_ID_SIZE);
	strcpy(t.other, "j-client");
	topic_format(m->id, &t, m->topic);
}

static void end(struct mesh *m)
{
	sign_key_done(&m->root);
	sign_key_done(&m->signing);
	sign_key_done(&m->token_key);
	identity_done(&m->who);
	free(m->ca);
	free(m->ca_key);
	free(m->trust);
}

static char *certificate(const struct mesh *m, const char *key, const char *id, int64_t until)
{
	char uri[64];
	const char *uris[] = { uri };
	const struct x509_issue what = {
		.uris = uris, .uri_count = 1, .not_before = NOW - DAY, .not_after = until
	};
	struct buf b = { 0 };

	snprintf(uri, sizeof(uri), "warren:node:%s", id);
	CHECK_INT(x509_issue_key(m->ca, m->ca_key, key, &what, &b), 0);
	return take(&b);
}

/* What differs from a good answer. */
struct flaw {
	const char *trust, *certificate, *place;
	const struct sign_key *signer;
	uint8_t hash;
	bool refused, exporter;
	int64_t until;
};

static enum refusal answer(struct mesh *m, const struct flaw *f, char *why, size_t size)
{
	struct prefix address = { .addr = { .family = AF_INET, .bytes = { 10, 9, 0, 5 } },
				  .len = 24 };
	struct membership membership = { .network = (char[]){ "dc1" },
					 .name = (char[]){ "n1" },
					 .addresses = &address,
					 .address_count = 1,
					 .mtu = 1420,
					 .port = 51830 };
	struct join_exporter exporter = { (char[]){ "dc1" }, (char[]){ "dc1" }, 1 };
	struct refusal_body refused = { (char[]){ "token_used" }, (char[]){ "it is used up" } };
	const struct sign_key *keys[] = { f->signer ? f->signer : &m->signing };
	uint8_t hash[HASH_LEN] = { 7 };
	struct join_answer a = { .memberships = &membership, .membership_count = 1 };
	struct enrol_answer got;
	struct arena arena = { 0 };
	struct buf text = { 0 }, document = { 0 };
	enum refusal r;
	char *cert = f->certificate ? xstrdup(f->certificate) :
				      certificate(m, m->who.tls_key, m->who.key.id,
						  f->until ? f->until : NOW + DAY);

	memcpy(a.request, (uint8_t[HASH_LEN]){ f->hash ? f->hash : 7 }, HASH_LEN);
	a.trust = (char *)(uintptr_t)(f->trust ? f->trust : m->trust);
	a.certificate = cert;
	if (f->exporter)
		a = (struct join_answer){ .exporter = &exporter,
					  .trust = a.trust,
					  .certificate = cert,
					  .request = { 7 } };
	if (f->refused)
		a = (struct join_answer){ .refused = &refused, .trust = a.trust, .request = { 7 } };
	json_encode(&text, join_answer_fields, &a);
	document_sign(&document, f->place ? f->place : m->topic, buf_cstr(&text), text.len, keys,
		      1);
	r = enrol_check(&arena, &m->token, &m->who, m->topic, hash, document.data, document.len,
			NOW, &got, why, size);
	if (!r && !f->refused) {
		CHECK_STR(got.body.memberships[0].network, "dc1");
		CHECK_STR(got.topic, m->topic);
		CHECK_INT(strlen(got.document), document.len);
	}
	if (!r && f->refused)
		CHECK_STR(got.body.refused->message, "it is used up");
	free(cert);
	buf_done(&text);
	buf_done(&document);
	arena_done(&arena);
	return r;
}

TEST(a_good_answer_is_believed)
{
	char why[256] = "";
	struct mesh m;

	begin(&m);
	CHECK_INT(answer(&m, &(struct flaw){ 0 }, why, sizeof(why)), REFUSED_NOT);
	CHECK_INT(answer(&m, &(struct flaw){ .refused = true }, why, sizeof(why)), REFUSED_NOT);
	end(&m);
}

static void flawed(struct mesh *m, const struct flaw *f, enum refusal want, const char *says)
{
	char why[256] = "";

	CHECK_INT(answer(m, f, why, sizeof(why)), want);
	if (!strstr(why, says))
		test_end(false, "\"%s\" does not say \"%s\"", why, says);
}

TEST(each_flaw_has_its_own_sentence)
{
	char *trust, *cert, other_place[TOPIC_SIZE], key_text[4096];
	struct topic t = { .kind = TOPIC_ENROL_RSP };
	struct sign_key stranger;
	struct mesh m, other;
	struct buf b = { 0 };

	begin(&m);
	begin(&other);
	sign_key_generate(&stranger);
	/* Somebody who has a key, and a trust document that lists it. */
	trust = make_trust(&m, &stranger);
	flawed(&m, &(struct flaw){ .trust = trust }, REFUSED_SIGNER, "root key");
	flawed(&m, &(struct flaw){ .trust = other.trust }, REFUSED_SIGNER, "root key");
	flawed(&m, &(struct flaw){ .signer = &stranger }, REFUSED_KEY, "not signed by the mesh's");
	flawed(&m, &(struct flaw){ .signer = &stranger, .refused = true }, REFUSED_KEY,
	       "not signed by the mesh's");
	memcpy(t.id, m.token.id, KEY_ID_SIZE);
	strcpy(t.other, "j-other");
	topic_format(m.id, &t, other_place);
	flawed(&m, &(struct flaw){ .place = other_place }, REFUSED_PLACE,
	       "not signed by the mesh's");
	flawed(&m, &(struct flaw){ .hash = 8 }, REFUSED_OLD, "another request");
	x509_key_generate(&b);
	snprintf(key_text, sizeof(key_text), "%s", buf_cstr(&b));
	buf_done(&b);
	cert = certificate(&m, key_text, m.who.key.id, NOW + DAY);
	flawed(&m, &(struct flaw){ .certificate = cert }, REFUSED_KEY, "not this node's");
	free(cert);
	cert = certificate(&m, m.who.tls_key, stranger.id, NOW + DAY);
	flawed(&m, &(struct flaw){ .certificate = cert }, REFUSED_KEY, "not this node's");
	free(cert);
	cert = certificate(&other, m.who.tls_key, m.who.key.id, NOW + DAY);
	flawed(&m, &(struct flaw){ .certificate = cert }, REFUSED_KEY, "not of the mesh's CA");
	free(cert);
	flawed(&m, &(struct flaw){ .until = NOW - 10 }, REFUSED_KEY, "expired");
	flawed(&m, &(struct flaw){ .exporter = true }, REFUSED_SCHEMA, "which role has the token");
	m.who.exporter = true;
	flawed(&m, &(struct flaw){ 0 }, REFUSED_SCHEMA, "which role has the token");
	flawed(&m, &(struct flaw){ .exporter = true }, REFUSED_KEY, "not this node's");
	free(trust);
	sign_key_done(&stranger);
	end(&m);
	end(&other);
}

TEST(rubbish_is_no_answer)
{
	static const char *const rubbish[] = { "", "x", "warren1", "{}", "warren1 a b\n{}" };
	struct enrol_answer got;
	char why[256];
	struct mesh m;

	begin(&m);
	for (size_t i = 0; i < sizeof(rubbish) / sizeof(*rubbish); i++) {
		struct arena arena = { 0 };
		const uint8_t hash[HASH_LEN] = { 7 };

		CHECK(enrol_check(&arena, &m.token, &m.who, m.topic, hash, rubbish[i],
				  strlen(rubbish[i]), NOW, &got, why, sizeof(why)));
		arena_done(&arena);
	}
	end(&m);
}

TEST(requests_are_fresh_and_name_their_keys)
{
	char *endpoints[] = { (char[]){ "192.0.2.1:1" } };
	uint8_t wireguard[KEY_LEN] = { 3 };
	const struct enrol_wish wish = { .name = "db1.example.org",
					 .wireguard_key = wireguard,
					 .endpoints = endpoints,
					 .endpoint_count = 1 };
	struct join_request a, b;
	struct arena arena = { 0 };
	struct mesh m;

	begin(&m);
	enrol_request(&arena, &m.token, &m.who, &wish, &a);
	enrol_request(&arena, &m.token, &m.who, &wish, &b);
	CHECK_STR(a.token, m.token.id);
	CHECK_STR(a.wished_name, "db1.example.org");
	CHECK_STR(a.site, NULL);
	CHECK_STR(a.endpoints[0], "192.0.2.1:1");
	CHECK(memcmp(a.identity_key, m.who.key.public_key, KEY_LEN) == 0);
	CHECK(memcmp(a.wireguard_key, wireguard, KEY_LEN) == 0);
	CHECK(memcmp(a.nonce, b.nonce, sizeof(a.nonce)) != 0);
	CHECK(strstr(a.csr, "CERTIFICATE REQUEST") != NULL);
	arena_done(&arena);
	end(&m);
}

/* A token that is over by our clock is not carried to a broker. */
static char outcome[256];

static void done(void *owner, const struct enrol_result *r)
{
	(void)owner;
	snprintf(outcome, sizeof(outcome), "%s", r->error ? r->error : "joined");
	CHECK(!r->unreachable);
}

static int64_t late(void)
{
	return NOW + 2 * DAY;
}

TEST(an_expired_token_is_said_at_once)
{
	uint8_t wireguard[KEY_LEN] = { 3 };
	const struct enrol_wish wish = { .wireguard_key = wireguard };
	char *brokers[] = { (char[]){ "mqtts://192.0.2.1:8883" } };
	struct loop *l = loop_new();
	struct mesh m;

	begin(&m);
	m.token.brokers = brokers;
	m.token.broker_count = 1;
	m.token.ca = m.ca;
	m.token.certificate = certificate(&m, m.who.tls_key, m.who.key.id, NOW + DAY);
	enrol_start(l, &m.token, &m.who, &wish, late, done, NULL);
	CHECK_INT(loop_turn(l, 10 * USEC_PER_MSEC), 0);
	CHECK(strstr(outcome, "expired at") != NULL);
	free(m.token.certificate);
	end(&m);
	loop_free(l);
}

TEST_MAIN("enrol")
