/* SPDX-License-Identifier: GPL-3.0-or-later */
/* warren join --hold: what it asks, and what it says of it. */
#include "cli/hold.h"

#include "lib/x509.h"
#include "schemas/token.h"
#include "tests/unit/cli/run.h"

#define BEGAN 1000000000
#define YEARS (100L * 365 * 86400)
#define STATUS(networks)                                                                           \
	"{\"node\":{\"id\":\"abc\"},\"broker\":{\"connected\":false},\"coordinator\":"             \
	"{\"present\":false},\"networks\":[" networks "],\"journals\":[],\"refused\":{\"size\":0," \
	"\"json\":0,\"schema\":0,\"duplicate_key\":0,\"key\":0,\"signer\":0,\"place\":0,"          \
	"\"old\":0,\"chunk\":0,\"mesh\":0,\"grant\":0},\"problems\":[]}"
#define MEMBER(name)                                                                               \
	"{\"name\":\"" name "\",\"interface\":\"wr-x\",\"backend\":\"kernel\",\"port\":1,"         \
	"\"addresses\":[],\"peers\":[],\"standby\":[],\"up\":true}"
#define LEFT "{\"error\":{\"code\":\"left\",\"message\":\"this node left\"}}"

/* `join TOKEN --hold` with a token of network dc1. */
static const char *line(void)
{
	static char text[TOKEN_MAX + 32];
	struct buf ca_key = { 0 }, ca = { 0 }, pem = { 0 }, certificate = { 0 }, token = { 0 };
	struct sign_key root, key;
	char mesh[MESH_ID_SIZE], uri[64];
	const char *uris[] = { uri, "warren:net:dc1" };
	struct x509_issue what = {
		.uris = uris, .uri_count = 2, .not_before = BEGAN, .not_after = BEGAN + YEARS
	};
	char *brokers[] = { (char[]){ "mqtts://a:1" } };
	struct token t = {
		.mesh = mesh, .network = (char[]){ "dc1" }, .brokers = brokers, .broker_count = 1
	};

	sign_key_generate(&root);
	sign_key_generate(&key);
	mesh_id(root.public_key, mesh);
	snprintf(uri, sizeof(uri), "warren:join:%s", key.id);
	x509_key_generate(&ca_key);
	CHECK_INT(x509_ca_create(ca_key.data, "mesh", BEGAN, BEGAN + YEARS, &ca), 0);
	sign_key_pem(&key, &pem);
	CHECK_INT(x509_issue_key(ca.data, ca_key.data, pem.data, &what, &certificate), 0);
	t.id = key.id;
	t.ca = ca.data;
	t.certificate = certificate.data;
	memcpy(t.root_key, root.public_key, KEY_LEN);
	memcpy(t.private_key, key.secret, KEY_LEN);
	token_format(&t, &token);
	snprintf(text, sizeof(text), "join %s --hold", buf_cstr(&token));
	sign_key_done(&root);
	sign_key_done(&key);
	buf_done(&ca_key);
	buf_done(&ca);
	buf_done(&pem);
	buf_done(&certificate);
	buf_done(&token);
	return text;
}

static void check(const char *status, const char *out)
{
	struct run w = { .status = 410,
			 .answer = LEFT,
			 .path_status = 200,
			 .path = "/v1/status",
			 .path_answer = status };

	run(&w, line());
	CHECK_STR(buf_cstr(&w.asked), "GET /v1/status\nPOST /v1/hold {\"network\":\"dc1\"}\n");
	CHECK_STR(buf_cstr(&w.err), "");
	CHECK_STR(buf_cstr(&w.out), out);
	CHECK_INT(w.exit, 0);
	run_done(&w);
}

TEST(says_what_is_held_at_once)
{
	check(STATUS(MEMBER("dc2") "," MEMBER("dc1")), "holding network dc1\nthis node left\n");
	check(STATUS(MEMBER("dc2")), "this node left\n");
	check("rubbish", "this node left\n");
}

TEST_MAIN("hold")
