/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "schemas/member.h"

#include "tests/test.h"

#define KEY1 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define KEY2 "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="

static const char peer_text[] =
	"{\"name\":\"n1\",\"role\":\"leaf\",\"keys\":[\"" KEY1 "\",\"" KEY2 "\"],"
	"\"identity_key\":\"" KEY2 "\",\"addresses\":[\"10.7.0.1\",\"fd00::1\"],\"tags\":[\"gpu\"],"
	"\"site\":\"dc1\",\"endpoints\":[\"192.0.2.1:51830\",\"[2001:db8::1]:1\"],\"ep_seq\":7}";

TEST(peer_comes_back)
{
	struct arena arena = { 0 };
	struct json_error err;
	struct peer p = { 0 };
	struct buf out = { 0 };
	char text[ADDR_SIZE];

	CHECK_INT(body_decode(&arena, peer_text, strlen(peer_text), peer_fields, &p, &err), 0);
	CHECK_STR(p.name, "n1");
	CHECK_INT(p.role, ROLE_LEAF);
	CHECK_INT(p.key_count, 2);
	CHECK_INT(p.keys[1].key[31], 0x3f);
	CHECK_INT(p.identity_key[0], 0x20);
	CHECK_INT(p.address_count, 2);
	CHECK_STR(addr_format(&p.addresses[1], text), "fd00::1");
	CHECK_INT(p.tag_count, 1);
	CHECK_STR(p.tags[0], "gpu");
	CHECK_STR(p.site, "dc1");
	CHECK_STR(p.endpoints[1], "[2001:db8::1]:1");
	CHECK_INT(p.ep_seq, 7);
	json_encode(&out, peer_fields, &p);
	CHECK_STR(buf_cstr(&out), peer_text);
	buf_done(&out);
	arena_done(&arena);
}

TEST(plain_device_comes_back)
{
	static const char text[] = "{\"name\":\"phone\",\"role\":\"node\",\"keys\":[\"" KEY1
				   "\"],\"addresses\":[\"10.7.0.9\"]}";
	struct arena arena = { 0 };
	struct peer p = { 0 };
	struct buf out = { 0 };

	CHECK_INT(body_decode(&arena, text, strlen(text), peer_fields, &p, NULL), 0);
	CHECK(!p.site && !p.tags && !p.endpoints && !p.identity_key[0] && !p.ep_seq);
	json_encode(&out, peer_fields, &p);
	CHECK_STR(buf_cstr(&out), text);
	buf_done(&out);
	arena_done(&arena);
}

TEST(settings_and_ep_come_back)
{
	static const char settings_text[] =
		"{\"ranges\":[\"10.7.0.0/16\",\"fd00::/64\"],\"mtu\":1420,\"keepalive\":0,"
		"\"port\":51830,\"max_stale\":604800}";
	static const char ep_text[] = "{\"seq\":3,\"endpoints\":[]}";
	struct arena arena = { 0 };
	struct settings s = { 0 };
	struct buf out = { 0 };
	struct ep e = { 0 };

	CHECK_INT(body_decode(&arena, settings_text, strlen(settings_text), settings_fields, &s,
			      NULL),
		  0);
	CHECK_INT(s.range_count, 2);
	CHECK_INT(s.ranges[1].len, 64);
	CHECK_INT(s.mtu, 1420);
	CHECK_INT(s.port, 51830);
	CHECK_INT(s.max_stale, 604800);
	json_encode(&out, settings_fields, &s);
	CHECK_STR(buf_cstr(&out), settings_text);
	buf_clear(&out);
	CHECK_INT(body_decode(&arena, ep_text, strlen(ep_text), ep_fields, &e, NULL), 0);
	CHECK_INT(e.seq, 3);
	json_encode(&out, ep_fields, &e);
	CHECK_STR(buf_cstr(&out), ep_text);
	buf_done(&out);
	arena_done(&arena);
}

static enum refusal decode_ep(const char *text, struct json_error *err)
{
	struct arena arena = { 0 };
	struct ep e = { 0 };
	enum refusal refused;

	refused = body_decode(&arena, text, strlen(text), ep_fields, &e, err);
	arena_done(&arena);
	return refused;
}

TEST(body_decode_says_why)
{
	struct json_error err;

	CHECK_INT(decode_ep("{\"seq\":1,\"endpoints\":[]}", &err), REFUSED_NOT);
	CHECK_INT(decode_ep("{\"seq\":1,\"endpoints\":[],\"later\":{}}", &err), REFUSED_NOT);
	CHECK_INT(decode_ep("", &err), REFUSED_JSON);
	CHECK_INT(decode_ep("ep", &err), REFUSED_JSON);
	CHECK_INT(decode_ep("{\"seq\":1,\"endpoints\":[]} {}", &err), REFUSED_JSON);
	CHECK_INT(decode_ep("{\"seq\":1,\"seq\":1,\"endpoints\":[]}", &err), REFUSED_DUPLICATE_KEY);
	CHECK_INT(decode_ep("{\"seq\":1,\"endpoints\":[],\"x\":{\"a\":1,\"a\":1}}", NULL),
		  REFUSED_DUPLICATE_KEY);
	CHECK_INT(decode_ep("[]", &err), REFUSED_SCHEMA);
	CHECK_INT(decode_ep("{\"seq\":1}", &err), REFUSED_SCHEMA);
	CHECK_STR(err.path, "endpoints");
	CHECK_INT(decode_ep("{\"seq\":1,\"endpoints\":[\"a:1\",\"a\"]}", &err), REFUSED_SCHEMA);
	CHECK_STR(err.path, "endpoints[1]");
	CHECK_STR(err.reason, "is not HOST:PORT");
	CHECK_INT(decode_ep("{\"seq\":0,\"endpoints\":[]}", NULL), REFUSED_SCHEMA);
}

/* The text need not end with NUL. */
TEST(body_decode_keeps_to_its_length)
{
	static const char text[] = "{\"seq\":12,\"endpoints\":[]}, {";
	struct arena arena = { 0 };
	struct ep e = { 0 };

	CHECK_INT(body_decode(&arena, text, strlen(text) - 3, ep_fields, &e, NULL), REFUSED_NOT);
	CHECK_INT(e.seq, 12);
	arena_done(&arena);
}

TEST(hostport)
{
	static const char *const good[] = { "a:1", "192.0.2.1:51830", "[2001:db8::1]:65535",
					    "n-1.example.org:51830", "under_score:1" };
	static const char *const bad[] = { "",
					   ":",
					   "a",
					   "a:",
					   ":1",
					   "a:0",
					   "a:65536",
					   "a:01",
					   "a: 1",
					   "a b:1",
					   "2001:db8::1:1",
					   "[2001:db8::1]",
					   "[a]:1",
					   "[192.0.2.1]:1",
					   "192.0.2.256:1",
					   "mqtts://a:1",
					   "a:1/",
					   "a:1\n",
					   "-a:1" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		CHECK(text_is_hostport(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		strcpy(test_result->why, bad[i]);
		CHECK(!text_is_hostport(bad[i]));
	}
	*test_result->why = '\0';
}

TEST_MAIN("member")
