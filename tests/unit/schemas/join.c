/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "schemas/join.h"

#include "tests/test.h"

#define KEY1 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define KEY2 "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
#define HASH "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define RUN "000102030405060708090a0b0c0d0e0f"
#define TOKEN "abcdefghijklmnop"
#define RID "0123456789abcdef"
#define CERT "-----BEGIN CERTIFICATE-----\\nAA==\\n-----END CERTIFICATE-----\\n"
#define CSR "-----BEGIN CERTIFICATE REQUEST-----\\nAA==\\n-----END CERTIFICATE REQUEST-----\\n"

static const char request_text[] = "{\"token\":\"" TOKEN "\",\"identity_key\":\"" KEY1
				   "\",\"csr\":\"" CSR "\",\"wireguard_key\":\"" KEY2
				   "\",\"wished_name\":\"n1\",\"site\":\"dc1\","
				   "\"endpoints\":[\"192.0.2.1:1\"],\"nonce\":\"" RUN "\"}";
#define MEMBERSHIP                                                                                 \
	"{\"network\":\"dc1\",\"name\":\"n1\",\"role\":\"node\",\"addresses\":[\"10.7.0.1/16\"],"  \
	"\"mtu\":1420,\"keepalive\":20,\"port\":51830,\"tags\":[\"a\",\"b\"]}"
static const char answer_text[] =
	"{\"request\":\"" HASH "\",\"trust\":\"warren1 x\\n{}\",\"certificate\":\"" CERT
	"\",\"site\":\"dc1\",\"memberships\":[" MEMBERSHIP "],\"journals\":{\"n/dc1/peers\":"
	"{\"epoch\":3,\"ver\":9},\"n/dc1/gateways\":{\"epoch\":3,\"ver\":0}}}";
static const char refused_text[] =
	"{\"request\":\"" HASH "\",\"refused\":{\"code\":\"token_used\",\"message\":\"used up\"}}";

TEST(request_comes_back)
{
	struct join_request r = { 0 };
	struct arena arena = { 0 };
	struct buf out = { 0 };

	CHECK_INT(body_decode(&arena, request_text, strlen(request_text), join_request_fields, &r,
			      NULL),
		  REFUSED_NOT);
	CHECK_STR(r.token, TOKEN);
	CHECK_INT(r.identity_key[31], 0x1f);
	CHECK_INT(r.wireguard_key[0], 0x20);
	CHECK_STR(r.wished_name, "n1");
	CHECK_INT(r.endpoint_count, 1);
	CHECK_INT(r.nonce[15], 15);
	json_encode(&out, join_request_fields, &r);
	CHECK_STR(buf_cstr(&out), request_text);
	buf_done(&out);
	arena_done(&arena);
}

TEST(answer_comes_back)
{
	struct join_answer a = { 0 };
	struct arena arena = { 0 };
	struct buf out = { 0 };

	CHECK_INT(join_answer_decode(&arena, answer_text, strlen(answer_text), &a, NULL),
		  REFUSED_NOT);
	CHECK(!a.refused);
	CHECK_INT(a.request[31], 0x1f);
	CHECK_STR(a.trust, "warren1 x\n{}");
	CHECK_INT(a.membership_count, 1);
	CHECK_STR(a.memberships[0].network, "dc1");
	CHECK_INT(a.memberships[0].addresses[0].len, 16);
	CHECK_INT(a.memberships[0].tag_count, 2);
	CHECK_INT(a.journal_count, 2);
	CHECK_STR(a.journals[0].path, "n/dc1/peers");
	CHECK_INT(a.journals[0].epoch, 3);
	CHECK_INT(a.journals[0].ver, 9);
	CHECK_STR(a.journals[1].path, "n/dc1/gateways");
	json_encode(&out, join_answer_fields, &a);
	CHECK_STR(buf_cstr(&out), answer_text);
	buf_done(&out);
	arena_done(&arena);
}

TEST(refused_answer_comes_back)
{
	struct join_answer a = { 0 };
	struct arena arena = { 0 };
	struct buf out = { 0 };

	CHECK_INT(join_answer_decode(&arena, refused_text, strlen(refused_text), &a, NULL),
		  REFUSED_NOT);
	CHECK_STR(a.refused->code, "token_used");
	CHECK_STR(a.refused->message, "used up");
	CHECK(!a.trust && !a.memberships);
	json_encode(&out, join_answer_fields, &a);
	CHECK_STR(buf_cstr(&out), refused_text);
	buf_done(&out);
	arena_done(&arena);
}

static enum refusal decode_answer(const char *text, struct json_error *err)
{
	struct join_answer a = { 0 };
	struct arena arena = { 0 };
	enum refusal refused;

	refused = join_answer_decode(&arena, text, strlen(text), &a, err);
	arena_done(&arena);
	return refused;
}

TEST(answer_is_whole)
{
	struct json_error err;

	CHECK_INT(decode_answer("{\"request\":\"" HASH "\"}", &err), REFUSED_SCHEMA);
	CHECK_STR(err.path, "trust");
	CHECK_STR(err.reason, "is missing");
	CHECK_INT(decode_answer("{\"request\":\"" HASH "\",\"trust\":\"x\"}", &err),
		  REFUSED_SCHEMA);
	CHECK_STR(err.path, "certificate");
	CHECK_INT(decode_answer("{\"request\":\"" HASH "\",\"trust\":\"x\",\"certificate\":\"" CERT
				"\",\"memberships\":[]}",
				&err),
		  REFUSED_SCHEMA);
	CHECK_STR(err.path, "memberships");
	CHECK_INT(decode_answer("{\"request\":\"" HASH "\"}", NULL), REFUSED_SCHEMA);
	CHECK_INT(decode_answer("{", &err), REFUSED_JSON);
}

static enum refusal decode_request(const char *text, size_t signatures, struct node_request *ret,
				   struct json_error *err)
{
	const struct document d = { .signature_count = signatures,
				    .body = text,
				    .body_len = strlen(text) };
	struct arena arena = { 0 };
	enum refusal refused;

	*ret = (struct node_request){ 0 };
	refused = node_request_decode(&arena, &d, ret, err);
	arena_done(&arena);
	return refused;
}

#define REQUEST(op, more) "{\"rid\":\"" RID "\",\"op\":\"" op "\"" more "}"

TEST(each_op_has_its_fields)
{
	struct node_request r;
	struct json_error err;

	CHECK_INT(decode_request(REQUEST("leave", ",\"network\":\"dc1\""), 1, &r, &err),
		  REFUSED_NOT);
	CHECK_INT(r.op, NODE_OP_LEAVE);
	CHECK_INT(decode_request(REQUEST("rotate", ",\"network\":\"dc1\""), 1, &r, &err),
		  REFUSED_NOT);
	CHECK_INT(r.op, NODE_OP_ROTATE);
	CHECK_INT(decode_request(REQUEST("renew", ",\"csr\":\"" CSR "\""), 1, &r, &err),
		  REFUSED_NOT);
	CHECK_INT(r.op, NODE_OP_RENEW);
	CHECK_INT(decode_request(REQUEST("leave", ""), 1, &r, &err), REFUSED_SCHEMA);
	CHECK_STR(err.path, "network");
	CHECK_INT(decode_request(REQUEST("rotate", ",\"csr\":\"" CSR "\""), 1, &r, &err),
		  REFUSED_SCHEMA);
	CHECK_STR(err.path, "network");
	CHECK_INT(decode_request(REQUEST("renew", ",\"network\":\"dc1\""), 1, &r, &err),
		  REFUSED_SCHEMA);
	CHECK_STR(err.path, "csr");
	CHECK_INT(decode_request(REQUEST("join", ",\"network\":\"dc1\""), 2, &r, &err),
		  REFUSED_SCHEMA);
	CHECK_STR(err.path, "join");
}

/* A join that the token's key did not sign is none; and a token's key asks for nothing else. */
TEST(two_signatures_are_a_join)
{
	struct json_error err;
	struct node_request r;
	char text[2048];

	snprintf(text, sizeof(text), REQUEST("join", ",\"join\":%s"), request_text);
	CHECK_INT(decode_request(text, 2, &r, &err), REFUSED_NOT);
	CHECK_INT(r.op, NODE_OP_JOIN);
	CHECK_INT(decode_request(text, 1, &r, &err), REFUSED_SIGNER);
	CHECK_INT(decode_request(REQUEST("leave", ",\"network\":\"dc1\""), 2, &r, &err),
		  REFUSED_SIGNER);
	CHECK_INT(decode_request(REQUEST("renew", ",\"csr\":\"" CSR "\""), 2, &r, &err),
		  REFUSED_SIGNER);
}

TEST(response)
{
	struct node_response r = { 0 };
	struct arena arena = { 0 };
	struct buf out = { 0 };
	struct json_error err;
	char text[2048];

	snprintf(text, sizeof(text), "{\"rid\":\"" RID "\",\"join\":%s}", answer_text);
	CHECK_INT(node_response_decode(&arena, text, strlen(text), &r, &err), REFUSED_NOT);
	CHECK_STR(r.join->memberships[0].name, "n1");
	json_encode(&out, node_response_fields, &r);
	CHECK_STR(buf_cstr(&out), text);
	r = (struct node_response){ 0 };
	snprintf(text, sizeof(text), "{\"rid\":\"" RID "\",\"join\":{\"request\":\"" HASH "\"}}");
	CHECK_INT(node_response_decode(&arena, text, strlen(text), &r, &err), REFUSED_SCHEMA);
	CHECK_STR(err.path, "join.trust");
	r = (struct node_response){ 0 };
	snprintf(text, sizeof(text), "{\"rid\":\"" RID "\",\"join\":%s}", refused_text);
	CHECK_INT(node_response_decode(&arena, text, strlen(text), &r, &err), REFUSED_NOT);
	buf_done(&out);
	arena_done(&arena);
}

/* Every small document is read and written the same. */
TEST(registers_come_back)
{
	static const struct {
		const struct json_field *fields;
		const char *text;
	} cases[] = {
		{ node_state_fields,
		  "{\"seq\":1048577,\"instance\":\"a_B-9\",\"online\":true,\"boot\":\"x\"}" },
		{ coordinator_state_fields, "{\"seq\":1,\"instance\":\"a\",\"online\":false,"
					    "\"time\":\"2026-11-24T22:00:00Z\"}" },
		{ mark_fields, "{\"seq\":9223372036854775807,\"mark\":\"" RUN "\"}" },
		{ revoked_fields, "{\"seq\":2,\"not_before\":\"1970-01-01T00:00:01Z\"}" },
		{ node_config_fields, "{\"seq\":2,\"memberships\":[" MEMBERSHIP "],\"ended\":["
				      "{\"network\":\"dc2\",\"why\":\"silent\"},"
				      "{\"network\":\"dc3\",\"why\":\"replaced\"}]}" },
		{ node_config_fields, "{\"seq\":2,\"memberships\":[]}" },
		{ membership_fields, MEMBERSHIP },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arena arena = { 0 };
		struct buf out = { 0 };
		union {
			struct node_state node_state;
			struct coordinator_state coordinator_state;
			struct mark mark;
			struct revoked revoked;
			struct node_config node_config;
			struct membership membership;
		} body;

		memset(&body, 0, sizeof(body));
		CHECK_INT(body_decode(&arena, cases[i].text, strlen(cases[i].text), cases[i].fields,
				      &body, NULL),
			  REFUSED_NOT);
		json_encode(&out, cases[i].fields, &body);
		CHECK_STR(buf_cstr(&out), cases[i].text);
		buf_done(&out);
		arena_done(&arena);
	}
}

TEST_MAIN("join")
