/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "schemas/document.h"

#include "lib/text.h"
#include "tests/test.h"

#define MESH "meshmeshab"
#define NET "dc1"

/* The keys of a small world. STRANGER is known to nobody. */
enum who { ROOT, SIGNING, REVOKED, NODE, NODE2, EXPORTER, TOKEN, TOKEN2, STRANGER, WHO_COUNT };

static struct sign_key keys[WHO_COUNT];
static struct verify_key public_keys[WHO_COUNT];

/* Which class each of them belongs to; the last of them asked for is kept. */
static const struct verify_key *find(void *owner, const struct signers *who, size_t index,
				     const char *key, bool *ret_known)
{
	static const enum signer_class class_of[] = {
		[ROOT] = SIGNER_ROOT,	  [SIGNING] = SIGNER_COORDINATOR, [NODE] = SIGNER_NODE,
		[NODE2] = SIGNER_NODE,	  [EXPORTER] = SIGNER_EXPORTER,	  [TOKEN] = SIGNER_JOINER,
		[TOKEN2] = SIGNER_JOINER,
	};

	*(struct signers *)owner = *who;
	CHECK_INT(index, 0);
	for (int i = 0; i < STRANGER; i++) {
		if (i == REVOKED || strcmp(public_keys[i].id, key) != 0)
			continue;
		*ret_known = true;
		return class_of[i] == who->class ? &public_keys[i] : NULL;
	}
	return NULL;
}

static struct signers asked;
static const struct keyring ring = { .find = find, .owner = &asked };

static void make_world(void)
{
	for (int i = 0; i < WHO_COUNT; i++) {
		uint8_t seed[KEY_LEN] = { (uint8_t)(i + 1) };

		sign_key_from_secret(seed, &keys[i]);
		verify_key_init(&public_keys[i], keys[i].public_key);
	}
}

static void end_world(void)
{
	for (int i = 0; i < WHO_COUNT; i++) {
		sign_key_done(&keys[i]);
		verify_key_done(&public_keys[i]);
	}
}

static struct topic topic_of(const char *path)
{
	char text[TOPIC_SIZE];
	struct topic t;

	snprintf(text, sizeof(text), "warren/1/" MESH "/%s", path);
	CHECK_INT(topic_parse(MESH, text, &t), 0);
	return t;
}

/* A path in which ID, if it is there, stands for the id of `who`. */
static struct topic topic_with(const char *shape, enum who who)
{
	const char *at = strstr(shape, "ID");
	char path[TOPIC_SIZE];

	if (!at)
		return topic_of(shape);
	snprintf(path, sizeof(path), "%.*s%s%s", (int)(at - shape), shape, keys[who].id, at + 2);
	return topic_of(path);
}

static void sign_at(struct buf *out, const char *mesh, const struct topic *t, const char *body,
		    enum who first, int second)
{
	const struct sign_key *signers[2] = { &keys[first], second >= 0 ? &keys[second] : NULL };
	char place[TOPIC_SIZE];

	topic_place(mesh, t, place);
	buf_clear(out);
	document_sign(out, place, body, strlen(body), signers, second >= 0 ? 2 : 1);
}

static enum refusal open_at(const struct topic *t, const struct buf *b, struct document *ret)
{
	return document_open(&ring, MESH, t, b->data, b->len, ret);
}

/* Signed by one key for this topic, and opened there. */
static enum refusal signed_and_opened(const struct topic *t, enum who who)
{
	struct buf b = { 0 };
	struct document d;
	enum refusal refused;

	sign_at(&b, MESH, t, "{\"seq\":1}", who, -1);
	refused = open_at(t, &b, &d);
	buf_done(&b);
	return refused;
}

TEST(signed_is_opened)
{
	const struct topic t = { .kind = TOPIC_STATE };
	struct buf b = { 0 };
	struct document d;

	make_world();
	sign_at(&b, MESH, &t, "{\"seq\":1}", SIGNING, -1);
	CHECK_INT(open_at(&t, &b, &d), REFUSED_NOT);
	CHECK_INT(d.signature_count, 1);
	CHECK_STR(d.signatures[0].key, keys[SIGNING].id);
	CHECK_INT(d.body_len, 9);
	CHECK(memcmp(d.body, "{\"seq\":1}", 9) == 0);
	CHECK(d.body + d.body_len == b.data + b.len);
	buf_done(&b);
	end_world();
}

/* RFC 8032 keys are deterministic, so the wire format is one fixed text. */
TEST(wire_format)
{
	const struct topic t = { .kind = TOPIC_MARK };
	const char covered[] = "warren1\0warren/1/" MESH "/c/mark\0{}";
	uint8_t signature[SIGNATURE_LEN];
	char text[90], want[200];
	struct buf b = { 0 };

	make_world();
	sign_key_sign(&keys[SIGNING], covered, sizeof(covered) - 1, signature);
	base64url_encode(signature, sizeof(signature), text);
	CHECK_INT(strlen(text), 86);
	snprintf(want, sizeof(want), "warren1 %s %s\n{}", keys[SIGNING].id, text);
	sign_at(&b, MESH, &t, "{}", SIGNING, -1);
	CHECK_STR(buf_cstr(&b), want);
	buf_done(&b);
	end_world();
}

/* For every place the one class that may sign there; all other known keys are no signers. */
TEST(only_the_writer_signs)
{
	static const struct {
		const char *shape;
		enum who of, signer;
	} places[] = {
		{ "c/trust", ROOT, ROOT },
		{ "c/state", ROOT, SIGNING },
		{ "c/mark", ROOT, SIGNING },
		{ "c/revoked/ID", NODE, SIGNING },
		{ "n/" NET "/peers", ROOT, SIGNING },
		{ "n/" NET "/peers/log/4", ROOT, SIGNING },
		{ "n/" NET "/gateways/snap", ROOT, SIGNING },
		{ "n/" NET "/gateways/beat", ROOT, SIGNING },
		{ "n/" NET "/dns/ID", EXPORTER, EXPORTER },
		{ "n/" NET "/dns/ID/beat", EXPORTER, EXPORTER },
		{ "n/" NET "/peers/ask/ID", NODE, NODE },
		{ "n/" NET "/ep/ID", NODE, NODE },
		{ "n/" NET "/call/abcdefghijklmnop/ID", NODE, NODE },
		{ "a/ID/config", NODE, SIGNING },
		{ "a/ID/rsp", NODE, SIGNING },
		{ "u/ID/req", NODE, NODE },
		{ "u/ID/state", NODE, NODE },
		{ "u/ID/stat", NODE, NODE },
		{ "e/ID/c/rsp", TOKEN, SIGNING },
	};

	make_world();
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct topic t = topic_with(places[i].shape, places[i].of);

		strcpy(test_result->why, places[i].shape);
		for (int who = 0; who < WHO_COUNT; who++) {
			enum refusal want = who == (int)places[i].signer      ? REFUSED_NOT :
					    who == REVOKED || who == STRANGER ? REFUSED_KEY :
										REFUSED_SIGNER;

			CHECK_INT(signed_and_opened(&t, (enum who)who), want);
		}
	}
	*test_result->why = '\0';
	end_world();
}

TEST(the_place_is_asked_for)
{
	struct topic t;

	make_world();
	t = topic_with("n/" NET "/dns/ID/snap", EXPORTER);
	CHECK_INT(signed_and_opened(&t, EXPORTER), REFUSED_NOT);
	CHECK_INT(asked.class, SIGNER_EXPORTER);
	CHECK_STR(asked.id, keys[EXPORTER].id);
	CHECK_STR(asked.network, NET);
	end_world();
}

/* A node's key is known, but it is another node's place. */
TEST(another_nodes_place)
{
	struct topic mine, other, call;

	make_world();
	mine = topic_with("u/ID/state", NODE);
	other = topic_with("u/ID/state", NODE2);
	CHECK_INT(signed_and_opened(&mine, NODE), REFUSED_NOT);
	CHECK_INT(signed_and_opened(&mine, NODE2), REFUSED_SIGNER);
	CHECK_INT(signed_and_opened(&other, NODE), REFUSED_SIGNER);
	/* The caller signs a call, not the one who is called. */
	call = (struct topic){ .kind = TOPIC_CALL, .network = NET };
	memcpy(call.id, keys[NODE].id, KEY_ID_SIZE);
	memcpy(call.other, keys[NODE2].id, KEY_ID_SIZE);
	CHECK_INT(signed_and_opened(&call, NODE2), REFUSED_NOT);
	CHECK_INT(signed_and_opened(&call, NODE), REFUSED_SIGNER);
	end_world();
}

/* The same bytes, validly signed by the same key, in every other place of that signer. */
TEST(moved_to_another_place)
{
	static const char *const places[] = {
		"c/state",
		"c/mark",
		"c/revoked/abcdefghijklmnop",
		"n/dc1/peers",
		"n/dc2/peers",
		"n/dc1/gateways",
		"a/abcdefghijklmnop/config",
		"a/qrstuvwxyz234567/config",
		"a/abcdefghijklmnop/rsp",
		"e/abcdefghijklmnop/c/rsp",
		"e/abcdefghijklmnop/d/rsp",
	};
	struct buf b = { 0 };
	struct document d;

	make_world();
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct topic from = topic_of(places[i]);

		sign_at(&b, MESH, &from, "{\"seq\":1}", SIGNING, -1);
		for (size_t k = 0; k < ARRAY_SIZE(places); k++) {
			struct topic to = topic_of(places[k]);

			CHECK_INT(open_at(&to, &b, &d), i == k ? REFUSED_NOT : REFUSED_PLACE);
		}
	}
	buf_done(&b);
	end_world();
}

/* Within a journal the place is the journal's: log and newest delta are the same bytes. */
TEST(a_journal_is_one_place)
{
	struct topic from, to, ask;
	struct buf b = { 0 };
	struct document d;

	make_world();
	from = topic_of("n/dc1/peers");
	to = topic_of("n/dc1/peers/log/7");
	sign_at(&b, MESH, &from, "{}", SIGNING, -1);
	CHECK_INT(open_at(&to, &b, &d), REFUSED_NOT);
	ask = topic_with("n/dc1/peers/ask/ID", NODE);
	sign_at(&b, MESH, &ask, "{}", NODE, -1);
	to = topic_with("n/dc1/gateways/ask/ID", NODE);
	CHECK_INT(open_at(&ask, &b, &d), REFUSED_NOT);
	CHECK_INT(open_at(&to, &b, &d), REFUSED_PLACE);
	buf_done(&b);
	end_world();
}

TEST(another_meshs)
{
	const struct topic t = { .kind = TOPIC_STATE };
	struct buf b = { 0 };
	struct document d;

	make_world();
	sign_at(&b, "othermeshx", &t, "{}", SIGNING, -1);
	CHECK_INT(open_at(&t, &b, &d), REFUSED_PLACE);
	buf_done(&b);
	end_world();
}

TEST(one_bit_changed)
{
	const struct topic t = { .kind = TOPIC_STATE };
	struct buf b = { 0 };
	struct document d;

	make_world();
	sign_at(&b, MESH, &t, "{\"seq\":1}", SIGNING, -1);
	for (size_t i = 0; i < b.len * 8; i++) {
		b.data[i / 8] = (char)(b.data[i / 8] ^ 1 << i % 8);
		CHECK(open_at(&t, &b, &d) != REFUSED_NOT);
		b.data[i / 8] = (char)(b.data[i / 8] ^ 1 << i % 8);
	}
	CHECK_INT(open_at(&t, &b, &d), REFUSED_NOT);
	buf_done(&b);
	end_world();
}

TEST(cut_anywhere)
{
	const struct topic t = { .kind = TOPIC_STATE };
	struct buf b = { 0 };
	struct document d;

	make_world();
	sign_at(&b, MESH, &t, "{\"seq\":1}", SIGNING, -1);
	for (size_t len = 0; len < b.len; len++) {
		enum refusal want = len == 0	     ? REFUSED_SIZE :
				    len <= b.len - 9 ? REFUSED_JSON :
						       REFUSED_PLACE;

		CHECK_INT(document_open(&ring, MESH, &t, b.data, len, &d), want);
	}
	buf_done(&b);
	end_world();
}

TEST(size)
{
	const struct topic t = { .kind = TOPIC_STATE };
	char *body = malloc(DOCUMENT_MAX + 1);
	struct buf b = { 0 };
	struct document d;
	size_t head;

	make_world();
	sign_at(&b, MESH, &t, "", SIGNING, -1);
	head = b.len;
	memset(body, ' ', DOCUMENT_MAX);
	body[DOCUMENT_MAX - head] = '\0';
	sign_at(&b, MESH, &t, body, SIGNING, -1);
	CHECK_INT(b.len, DOCUMENT_MAX);
	CHECK_INT(open_at(&t, &b, &d), REFUSED_NOT);
	memset(body, ' ', DOCUMENT_MAX);
	body[DOCUMENT_MAX - head + 1] = '\0';
	sign_at(&b, MESH, &t, body, SIGNING, -1);
	CHECK_INT(b.len, DOCUMENT_MAX + 1);
	CHECK_INT(open_at(&t, &b, &d), REFUSED_SIZE);
	CHECK_INT(document_open(&ring, MESH, &t, "", 0, &d), REFUSED_SIZE);
	free(body);
	buf_done(&b);
	end_world();
}

#define KEY_ID "abcdefghijklmnop"
#define SIG10 "AAAAAAAAAA"
#define SIG SIG10 SIG10 SIG10 SIG10 SIG10 SIG10 SIG10 SIG10 "AAAAAA"

static enum refusal split(const char *text, struct document *ret)
{
	return document_split(text, strlen(text), ret);
}

TEST(split)
{
	static const char *const bad[] = {
		"{}",
		"warren1",
		"warren1\n",
		"warren1\n{}",
		"warren1 \n{}",
		"warren1 " KEY_ID "\n{}",
		"warren1 " KEY_ID " \n{}",
		"warren1 " KEY_ID " " SIG,
		"warren1 " KEY_ID " " SIG "\n",
		"warren1 " KEY_ID " " SIG "\r\n{}",
		"warren1 " KEY_ID " " SIG " \n{}",
		"warren1  " KEY_ID " " SIG "\n{}",
		" warren1 " KEY_ID " " SIG "\n{}",
		"warren2 " KEY_ID " " SIG "\n{}",
		"Warren1 " KEY_ID " " SIG "\n{}",
		"warren1 " KEY_ID "  " SIG "\n{}",
		"warren1\t" KEY_ID " " SIG "\n{}",
		"warren1 ABCDEFGHIJKLMNOP " SIG "\n{}",
		"warren1 abcdefghijklmno1 " SIG "\n{}",
		"warren1 " KEY_ID "q " SIG "\n{}",
		"warren1 " KEY_ID " " SIG "A\n{}",
		/* Not canonical: bits that no byte uses; padding; the other alphabet. */
		"warren1 " KEY_ID " " SIG10 SIG10 SIG10 SIG10 SIG10 SIG10 SIG10 SIG10 "AAAAAB\n{}",
		"warren1 " KEY_ID " " SIG10 SIG10 SIG10 SIG10 SIG10 SIG10 SIG10 SIG10 "AAAA==\n{}",
		"warren1 " KEY_ID " " SIG10 SIG10 SIG10 SIG10 SIG10 SIG10 SIG10 SIG10 "AAAA+A\n{}",
		"warren1 " KEY_ID " " SIG10 SIG10 SIG10 SIG10 SIG10 SIG10 SIG10 SIG10 "AAAA/A\n{}",
		"warren1 " KEY_ID " " SIG " " KEY_ID " " SIG " " KEY_ID " " SIG "\n{}",
		"warren1 " KEY_ID " " SIG " " KEY_ID "\n{}",
		"warren1 (" KEY_ID " " SIG ")\n{}",
	};
	struct document d;

	CHECK_INT(split("warren1 " KEY_ID " " SIG "\n{}", &d), REFUSED_NOT);
	CHECK_INT(d.signature_count, 1);
	CHECK_STR(d.signatures[0].key, KEY_ID);
	CHECK_INT(d.body_len, 2);
	CHECK_INT(split("warren1 " KEY_ID " " SIG " qrstuvwxyz234567 " SIG "\n\n", &d),
		  REFUSED_NOT);
	CHECK_INT(d.signature_count, 2);
	CHECK_STR(d.signatures[1].key, "qrstuvwxyz234567");
	CHECK_INT(d.body_len, 1);
	CHECK_INT(split("", &d), REFUSED_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(test_result->why, sizeof(test_result->why), "%s", bad[i]);
		CHECK_INT(split(bad[i], &d), REFUSED_JSON);
	}
	*test_result->why = '\0';
}

/* ---- joins ---- */

static const char *request_body(enum who token, enum who joiner, bool further)
{
	static char text[512];
	char key[KEY_BASE64_SIZE];

	base64_encode(keys[joiner].public_key, KEY_LEN, key);
	snprintf(text, sizeof(text), "%s{\"token\":\"%s\",\"identity_key\":\"%s\"}%s",
		 further ? "{\"rid\":\"0123456789abcdef\",\"op\":\"join\",\"join\":" : "",
		 keys[token].id, key, further ? "}" : "");
	return text;
}

static enum refusal joined(const struct topic *t, const char *body, enum who first, int second)
{
	struct buf b = { 0 };
	struct document d;
	enum refusal refused;

	sign_at(&b, MESH, t, body, first, second);
	refused = open_at(t, &b, &d);
	buf_done(&b);
	return refused;
}

TEST(join_has_both_signatures)
{
	const char *body;
	struct topic t;

	make_world();
	t = topic_with("e/ID/client/req", TOKEN);
	body = request_body(TOKEN, STRANGER, false);
	CHECK_INT(joined(&t, body, TOKEN, STRANGER), REFUSED_NOT);
	CHECK_INT(joined(&t, body, TOKEN, -1), REFUSED_SIGNER);
	CHECK_INT(joined(&t, body, STRANGER, -1), REFUSED_SIGNER);
	end_world();
}

TEST(join_in_swapped_order)
{
	const char *body;
	struct topic t;

	make_world();
	t = topic_with("e/ID/client/req", TOKEN);
	body = request_body(TOKEN, STRANGER, false);
	CHECK_INT(joined(&t, body, STRANGER, TOKEN), REFUSED_KEY);
	body = request_body(TOKEN, NODE, false);
	CHECK_INT(joined(&t, body, TOKEN, NODE), REFUSED_NOT);
	CHECK_INT(joined(&t, body, NODE, TOKEN), REFUSED_SIGNER);
	end_world();
}

TEST(join_by_other_keys)
{
	const char *body;
	struct topic t;

	make_world();
	t = topic_with("e/ID/client/req", TOKEN);
	body = request_body(TOKEN, STRANGER, false);
	/* Another token's key; no token's key; a key that is not the body's. */
	CHECK_INT(joined(&t, body, TOKEN2, STRANGER), REFUSED_SIGNER);
	CHECK_INT(joined(&t, body, SIGNING, STRANGER), REFUSED_SIGNER);
	CHECK_INT(joined(&t, body, REVOKED, STRANGER), REFUSED_KEY);
	CHECK_INT(joined(&t, body, TOKEN, NODE), REFUSED_SIGNER);
	CHECK_INT(joined(&t, body, TOKEN, TOKEN), REFUSED_SIGNER);
	CHECK_INT(joined(&t, request_body(TOKEN2, STRANGER, false), TOKEN, STRANGER),
		  REFUSED_SIGNER);
	CHECK_INT(joined(&t, "{}", TOKEN, STRANGER), REFUSED_SCHEMA);
	CHECK_INT(joined(&t, "nothing", TOKEN, STRANGER), REFUSED_JSON);
	end_world();
}

/* The identity's key id is right, its signature is not. */
TEST(join_with_a_forged_second_signature)
{
	const struct sign_key *two[2];
	char place[TOPIC_SIZE];
	const char *body;
	struct sign_key forger;
	struct buf b = { 0 };
	struct document d;
	struct topic t;

	make_world();
	t = topic_with("e/ID/client/req", TOKEN);
	body = request_body(TOKEN, STRANGER, false);
	forger = keys[NODE2];
	memcpy(forger.id, keys[STRANGER].id, KEY_ID_SIZE);
	two[0] = &keys[TOKEN];
	two[1] = &forger;
	topic_place(MESH, &t, place);
	document_sign(&b, place, body, strlen(body), two, 2);
	CHECK_INT(open_at(&t, &b, &d), REFUSED_PLACE);
	buf_done(&b);
	end_world();
}

TEST(join_moved_to_another_client)
{
	struct topic t, other;
	struct buf b = { 0 };
	struct document d;

	make_world();
	t = topic_with("e/ID/client/req", TOKEN);
	other = topic_with("e/ID/other/req", TOKEN);
	sign_at(&b, MESH, &t, request_body(TOKEN, STRANGER, false), TOKEN, STRANGER);
	CHECK_INT(open_at(&t, &b, &d), REFUSED_NOT);
	CHECK_INT(open_at(&other, &b, &d), REFUSED_PLACE);
	buf_done(&b);
	end_world();
}

TEST(further_join)
{
	struct topic t;

	make_world();
	t = topic_with("u/ID/req", NODE);
	CHECK_INT(joined(&t, request_body(TOKEN, NODE, true), TOKEN, NODE), REFUSED_NOT);
	CHECK_INT(joined(&t, request_body(TOKEN2, NODE, true), TOKEN2, NODE), REFUSED_NOT);
	CHECK_INT(joined(&t, request_body(TOKEN, NODE, true), NODE, TOKEN), REFUSED_SIGNER);
	CHECK_INT(joined(&t, request_body(TOKEN, NODE, true), TOKEN2, NODE), REFUSED_SIGNER);
	CHECK_INT(joined(&t, request_body(TOKEN, NODE2, true), TOKEN, NODE2), REFUSED_SIGNER);
	CHECK_INT(joined(&t, request_body(TOKEN, NODE2, true), TOKEN, NODE), REFUSED_SIGNER);
	CHECK_INT(joined(&t, request_body(TOKEN, STRANGER, true), TOKEN, STRANGER), REFUSED_KEY);
	CHECK_INT(joined(&t, request_body(TOKEN, NODE, false), TOKEN, NODE), REFUSED_SCHEMA);
	end_world();
}

/* Also when the first of them is the right one. */
TEST(two_signatures_are_for_joins_only)
{
	struct topic t;

	make_world();
	t = topic_with("u/ID/state", NODE);
	CHECK_INT(joined(&t, "{}", NODE, -1), REFUSED_NOT);
	CHECK_INT(joined(&t, "{}", NODE, TOKEN), REFUSED_SIGNER);
	CHECK_INT(joined(&t, "{}", NODE, NODE), REFUSED_SIGNER);
	t = topic_of("c/state");
	CHECK_INT(joined(&t, "{}", SIGNING, STRANGER), REFUSED_SIGNER);
	t = topic_of("n/dc1/peers");
	CHECK_INT(joined(&t, "{}", SIGNING, SIGNING), REFUSED_SIGNER);
	end_world();
}

TEST(verify_looks_at_one_signature)
{
	const struct topic t = { .kind = TOPIC_STATE };
	char place[TOPIC_SIZE];
	struct buf b = { 0 };
	struct document d;

	make_world();
	topic_place(MESH, &t, place);
	sign_at(&b, MESH, &t, "{}", NODE, NODE2);
	CHECK_INT(document_split(b.data, b.len, &d), REFUSED_NOT);
	CHECK(document_verify(&d, 0, place, &public_keys[NODE]));
	CHECK(document_verify(&d, 1, place, &public_keys[NODE2]));
	CHECK(!document_verify(&d, 0, place, &public_keys[NODE2]));
	CHECK(!document_verify(&d, 1, place, &public_keys[NODE]));
	CHECK(!document_verify(&d, 0, "elsewhere", &public_keys[NODE]));
	buf_done(&b);
	end_world();
}

TEST(refusals_have_names)
{
	for (int i = 0; i < REFUSED_COUNT; i++)
		CHECK(refusal_names[i]);
	CHECK(!refusal_names[REFUSED_COUNT]);
	CHECK_STR(refusal_names[REFUSED_NOT], "none");
	CHECK_STR(refusal_names[REFUSED_DUPLICATE_KEY], "duplicate_key");
}

TEST_MAIN("document")
