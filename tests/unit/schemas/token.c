/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "schemas/token.h"

#include <errno.h>

#include "lib/text.h"
#include "lib/x509.h"
#include "tests/test.h"

#define NOW 1000000000 /* 2001: all certificates here have ended */
#define DAY 86400

/* What a coordinator has when it makes a token. */
static struct sign_key root, key, other_key;
static struct buf ca_key, ca, other_ca_key, other_ca, certificate;
static char mesh[MESH_ID_SIZE];
static char broker_a[] = "mqtts://a:1", broker_b[] = "mqtts://b:2";
static char *brokers[] = { broker_a, broker_b };

static void issue(const struct buf *by, const struct buf *by_key, const struct sign_key *to,
		  const char *id, struct buf *ret)
{
	char uri[64];
	const char *uris[] = { uri, "warren:net:dc1" };
	const struct x509_issue what = {
		.uris = uris, .uri_count = 2, .not_before = NOW, .not_after = NOW + DAY
	};
	struct buf pem = { 0 };

	snprintf(uri, sizeof(uri), "warren:join:%s", id);
	sign_key_pem(to, &pem);
	buf_clear(ret);
	CHECK_INT(x509_issue_key(by->data, by_key->data, pem.data, &what, ret), 0);
	buf_done(&pem);
}

static void make_world(void)
{
	sign_key_generate(&root);
	sign_key_generate(&key);
	sign_key_generate(&other_key);
	mesh_id(root.public_key, mesh);
	x509_key_generate(&ca_key);
	x509_key_generate(&other_ca_key);
	/* Later than the token's certificate begins: clocks and skew. */
	CHECK_INT(x509_ca_create(ca_key.data, "mesh", NOW + 60, NOW + 100 * DAY, &ca), 0);
	CHECK_INT(x509_ca_create(other_ca_key.data, "mesh", NOW, NOW + 100 * DAY, &other_ca), 0);
	issue(&ca, &ca_key, &key, key.id, &certificate);
}

static void end_world(void)
{
	sign_key_done(&root);
	sign_key_done(&key);
	sign_key_done(&other_key);
	buf_done(&ca_key);
	buf_done(&ca);
	buf_done(&other_ca_key);
	buf_done(&other_ca);
	buf_done(&certificate);
}

static struct token good_token(void)
{
	static char network[] = "dc1";
	struct token t = { .id = key.id,
			   .mesh = mesh,
			   .network = network,
			   .brokers = brokers,
			   .broker_count = 2,
			   .ca = ca.data,
			   .certificate = certificate.data };

	memcpy(t.root_key, root.public_key, KEY_LEN);
	memcpy(t.private_key, key.secret, KEY_LEN);
	return t;
}

/* Parses what `t` makes; the sentence, "" when it was taken. */
static const char *said(const struct token *t)
{
	static char why[256];
	struct buf text = { 0 };
	struct token back;

	token_format(t, &text);
	CHECK(!text.failed);
	why[0] = '\0';
	if (token_parse(text.data, &back, why, sizeof(why)) == 0) {
		CHECK_STR(why, "");
		token_done(&back);
	}
	buf_done(&text);
	return why;
}

static bool says(const char *text, const char *part)
{
	struct token t;
	char why[256] = "";

	CHECK_INT(token_parse(text, &t, why, sizeof(why)), -EBADMSG);
	snprintf(test_result->why, sizeof(test_result->why), "it says: %s", why);
	if (!strstr(why, part))
		return false;
	*test_result->why = '\0';
	return true;
}

TEST(comes_back)
{
	char why[256] = "";
	struct buf text = { 0 };
	struct token t, back;

	make_world();
	t = good_token();
	token_format(&t, &text);
	CHECK(strncmp(text.data, "warren1-", 8) == 0);
	CHECK_INT(token_parse(text.data, &back, why, sizeof(why)), 0);
	CHECK_STR(back.id, key.id);
	CHECK_STR(back.mesh, mesh);
	CHECK_STR(back.network, "dc1");
	CHECK_INT(back.broker_count, 2);
	CHECK_STR(back.brokers[1], "mqtts://b:2");
	CHECK(memcmp(back.root_key, root.public_key, KEY_LEN) == 0);
	CHECK(memcmp(back.private_key, key.secret, KEY_LEN) == 0);
	CHECK_STR(back.ca, ca.data);
	CHECK_STR(back.certificate, certificate.data);
	token_done(&back);
	CHECK(!back.id && !back.private_key[0] && !back.private_key[31]);
	buf_done(&text);
	end_world();
}

TEST(white_space_at_the_end)
{
	static const char *const ends[] = { "\n", "\r\n", " ", "\n\n \t" };
	char why[256];
	struct token t, back;

	make_world();
	t = good_token();
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct buf text = { 0 };

		token_format(&t, &text);
		buf_str(&text, ends[i]);
		CHECK_INT(token_parse(text.data, &back, why, sizeof(why)), 0);
		token_done(&back);
		buf_done(&text);
	}
	end_world();
}

TEST(no_token_at_all)
{
	CHECK(says("", "no token of Warren"));
	CHECK(says("\n", "no token of Warren"));
	CHECK(says("hello", "no token of Warren"));
	CHECK(says("warren", "no token of Warren"));
	CHECK(says("warren1", "no token of Warren"));
	CHECK(says("Warren1-abc", "no token of Warren"));
	CHECK(says(" warren1-abc", "no token of Warren"));
	CHECK(says("warren-abc", "no token of Warren"));
	CHECK(says("warren2-abc", "version 2"));
	CHECK(says("warren12-abc", "version 12"));
	CHECK(says("warren12345678901-abc", "no token of Warren"));
}

/* Cut at any place, every sentence says so. */
TEST(truncated)
{
	struct buf text = { 0 };
	struct token t;

	make_world();
	t = good_token();
	token_format(&t, &text);
	for (size_t len = text.len - 1; len >= strlen("warren1-"); len--) {
		text.data[len] = '\0';
		CHECK(says(text.data, "truncated"));
	}
	buf_done(&text);
	end_world();
}

/* One character changed: refused, unless it spells the same thing (a field that is ignored). */
TEST(altered)
{
	struct buf text = { 0 };
	struct token t, back;
	char why[256];

	make_world();
	t = good_token();
	token_format(&t, &text);
	for (size_t i = 0; i < text.len; i += 3) {
		char was = text.data[i];

		text.data[i] = was == 'A' ? 'B' : 'A';
		why[0] = '\0';
		if (token_parse(text.data, &back, why, sizeof(why)) < 0) {
			CHECK(*why);
		} else {
			/* A broker's or the network's name is not bound to any key. */
			CHECK(memcmp(back.private_key, key.secret, KEY_LEN) == 0);
			CHECK(memcmp(back.root_key, root.public_key, KEY_LEN) == 0);
			CHECK_STR(back.id, key.id);
			token_done(&back);
		}
		text.data[i] = was;
	}
	buf_done(&text);
	end_world();
}

TEST(characters_that_belong_in_no_token)
{
	CHECK(says("warren1-eyJp ZCI6", "character 13 belongs in no token"));
	CHECK(says("warren1-eyJpZCI6=", "character 17 belongs in no token"));
	CHECK(says("warren1-+yJpZCI6", "character 9 belongs in no token"));
	CHECK(says("warren1-eyJp\nZCI6", "character 13 belongs in no token"));
}

static bool says_of_json(const char *json, const char *part)
{
	char text[2048] = "warren1-";

	base64url_encode(json, strlen(json), text + strlen(text));
	return says(text, part);
}

TEST(what_is_in_it)
{
	CHECK(says("warren1-", "truncated"));
	CHECK(says_of_json("{\"id\":\"abc\"", "truncated"));
	CHECK(says_of_json("{]}", "not JSON"));
	CHECK(says_of_json("{\"id\":\"abc\",\"id\":\"abc\"}", "not JSON"));
	CHECK(says_of_json("{\"id\":\"abc\"}", "id is not a token's id"));
	CHECK(says_of_json("{\"id\":\"abcdefghijklmnop\"}", "mesh is missing"));
}

TEST(too_long)
{
	char *text = malloc(TOKEN_MAX + 100);

	memset(text, 'A', TOKEN_MAX + 99);
	memcpy(text, "warren1-", 8);
	text[TOKEN_MAX + 99] = '\0';
	CHECK(says(text, "longer than a token can be"));
	free(text);
}

TEST(too_much_is_not_made)
{
	char *many[1000];
	struct buf text = { 0 };
	struct token t;

	make_world();
	t = good_token();
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = brokers[0];
	t.brokers = many;
	t.broker_count = ARRAY_SIZE(many);
	token_format(&t, &text);
	CHECK(text.failed);
	CHECK_INT(text.len, 0);
	buf_done(&text);
	end_world();
}

/* Each part is fine by itself and belongs to another token. */
TEST(parts_that_do_not_fit)
{
	struct buf cert = { 0 };
	struct token t;

	make_world();
	t = good_token();
	CHECK_STR(said(&t), "");
	t.root_key[0] ^= 1;
	CHECK(strstr(said(&t), "root key is not that of mesh"));
	t = good_token();
	t.id = other_key.id;
	CHECK(strstr(said(&t), "key is not that of token"));
	t = good_token();
	memcpy(t.private_key, other_key.secret, KEY_LEN);
	CHECK(strstr(said(&t), "key is not that of token"));
	t = good_token();
	issue(&ca, &ca_key, &key, other_key.id, &cert);
	t.certificate = cert.data;
	CHECK(strstr(said(&t), "certificate is not that of token"));
	issue(&ca, &ca_key, &other_key, key.id, &cert);
	t.certificate = cert.data;
	CHECK(strstr(said(&t), "certificate and its key do not fit"));
	issue(&other_ca, &other_ca_key, &key, key.id, &cert);
	t.certificate = cert.data;
	CHECK(strstr(said(&t), "certificate is not its CA's"));
	t = good_token();
	t.ca = other_ca.data;
	CHECK(strstr(said(&t), "certificate is not its CA's"));
	buf_done(&cert);
	end_world();
}

/* A certificate that ended is the broker's and the agent's business: they have a clock. */
TEST(expired_is_still_a_token)
{
	struct token t;

	make_world();
	t = good_token();
	CHECK(NOW + DAY < time(NULL));
	CHECK_STR(said(&t), "");
	end_world();
}

TEST(never_says_a_secret)
{
	char secret[KEY_BASE64_SIZE];
	struct token t;

	make_world();
	t = good_token();
	base64_encode(t.private_key, KEY_LEN, secret);
	t.id = other_key.id;
	CHECK(!strstr(said(&t), secret));
	end_world();
}

TEST_MAIN("token")
