/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table codec: every kind, its bounds and its errors; round trips; hostile text.
 */
#include "tests/test.h"

#include <errno.h>

#include "lib/addr.h"
#include "lib/crypto.h"
#include "lib/json.h"
#include "lib/text.h"

enum role { ROLE_NODE, ROLE_LEAF, ROLE_EXPORTER };
static const char *const roles[] = { "node", "leaf", "exporter", NULL };

struct inner {
	char *key;
	uint64_t epoch;
	struct prefix *list;
	size_t list_count;
};

struct pair {
	char *name;
	uint64_t value;
};

struct all {
	char *name;
	unsigned role;
	bool up;
	uint64_t u64;
	int64_t i64;
	uint16_t port;
	uint8_t key[32], hash[32], run[16];
	struct addr addr;
	struct prefix prefix;
	struct endpoint endpoint;
	int64_t since;
	struct inner inner;
	struct inner *maybe;
	char *raw;
	char **tags;
	size_t tag_count;
	struct inner *peers;
	size_t peer_count;
	struct inner *journals;
	size_t journal_count;
	struct pair *refused;
	size_t refused_count;
	int64_t *numbers;
	size_t number_count;
};

static const struct json_field inner_fields[] = {
	JSON_FIELD(struct inner, epoch, JSON_U64, .max = 1000),
	JSON_LIST(struct inner, list, list_count, JSON_PREFIX, .optional = true, .max = 3), JSON_END
};

static const struct json_field fields[] = {
	JSON_FIELD(struct all, name, JSON_STRING, .check = text_is_label, .what = "a DNS label"),
	JSON_FIELD(struct all, role, JSON_ENUM, .names = roles, .optional = true),
	JSON_FIELD(struct all, up, JSON_BOOL, .optional = true),
	JSON_FIELD(struct all, u64, JSON_U64, .optional = true),
	JSON_FIELD(struct all, i64, JSON_I64, .optional = true, .min = (uint64_t)-5, .max = 5),
	JSON_FIELD(struct all, port, JSON_U16, .optional = true, .min = 1),
	JSON_FIELD(struct all, key, JSON_KEY, .optional = true),
	JSON_FIELD(struct all, hash, JSON_HASH, .optional = true),
	JSON_FIELD(struct all, run, JSON_RUN, .optional = true),
	JSON_FIELD(struct all, addr, JSON_ADDR, .optional = true),
	JSON_FIELD(struct all, prefix, JSON_PREFIX, .optional = true),
	JSON_FIELD(struct all, endpoint, JSON_ENDPOINT, .optional = true),
	JSON_FIELD(struct all, since, JSON_TIME, .optional = true),
	JSON_FIELD(struct all, inner, JSON_OBJECT, .fields = inner_fields),
	JSON_POINTER(struct all, maybe, inner_fields, .optional = true),
	JSON_FIELD(struct all, raw, JSON_RAW, .optional = true, .max = 64),
	JSON_LIST(struct all, tags, tag_count, JSON_STRING, .optional = true, .max = 2,
		  .check = text_is_label, .what = "a DNS label"),
	JSON_LIST(struct all, peers, peer_count, JSON_OBJECT, .optional = true, .min = 1,
		  .fields = inner_fields),
	JSON_LIST(struct all, journals, journal_count, JSON_OBJECT, .optional = true, .map = true,
		  .key_offset = offsetof(struct inner, key), .fields = inner_fields),
	JSON_LIST(struct all, refused, refused_count, JSON_U64, .optional = true, .map = true,
		  .key_offset = offsetof(struct pair, name),
		  .value_offset = offsetof(struct pair, value), .check = text_is_label,
		  .what = "a DNS label"),
	JSON_LIST(struct all, numbers, number_count, JSON_I64, .optional = true, .max = 100),
	JSON_END
};

static const char full[] =
	"{\"name\":\"n1\",\"role\":\"exporter\",\"up\":true,\"u64\":9223372036854775807,\"i64\":-5,"
	"\"port\":51830,\"key\":\"AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\","
	"\"hash\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\","
	"\"run\":\"00112233445566778899aabbccddeeff\",\"addr\":\"fd00::1\","
	"\"prefix\":\"10.1.0.0/16\",\"endpoint\":\"[fd00::2]:51830\","
	"\"since\":\"2026-11-24T22:11:36Z\",\"inner\":{\"epoch\":7},"
	"\"maybe\":{\"epoch\":8,\"list\":[\"10.0.0.0/8\",\"fd00::/8\"]},"
	"\"raw\":{\"b\":[1,2.5,null],\"a\":\"\xc3\xa4\\n\"},\"tags\":[\"a\",\"b\"],"
	"\"peers\":[{\"epoch\":1},{\"epoch\":2,\"list\":[\"1.2.3.4/32\"]}],"
	"\"journals\":{\"n/x/peers\":{\"epoch\":3},\"n/y/peers\":{\"epoch\":4}},"
	"\"refused\":{\"size\":5,\"mesh\":0},\"numbers\":[-9223372036854775808,0,42]}";

TEST(reads_every_kind)
{
	struct arena arena = { 0 };
	struct all all = { 0 };
	struct json_error err;
	char text[PREFIX_SIZE];

	CHECK_INT(json_decode(&arena, full, strlen(full), fields, &all, &err), 0);
	CHECK_STR(all.name, "n1");
	CHECK_INT(all.role, ROLE_EXPORTER);
	CHECK(all.up);
	CHECK_INT(all.u64, INT64_MAX);
	CHECK_INT(all.i64, -5);
	CHECK_INT(all.port, 51830);
	CHECK(memcmp(all.key, "\1\2\3\0", 4) == 0);
	CHECK_INT(all.hash[31], 0xff);
	CHECK_INT(all.run[1], 0x11);
	CHECK_STR(addr_format(&all.addr, text), "fd00::1");
	CHECK_STR(prefix_format(&all.prefix, text), "10.1.0.0/16");
	CHECK_INT(all.endpoint.port, 51830);
	CHECK_INT(all.since, 1795558296);
	CHECK_INT(all.inner.epoch, 7);
	CHECK_INT(all.maybe->epoch, 8);
	CHECK_INT(all.maybe->list_count, 2);
	CHECK_STR(prefix_format(&all.maybe->list[1], text), "fd00::/8");
	CHECK_STR(all.raw, "{\"b\":[1,2.5,null],\"a\":\"\xc3\xa4\\n\"}");
	CHECK_INT(all.tag_count, 2);
	CHECK_STR(all.tags[1], "b");
	CHECK_INT(all.peer_count, 2);
	CHECK_INT(all.peers[1].list[0].len, 32);
	CHECK_INT(all.journal_count, 2);
	CHECK_STR(all.journals[1].key, "n/y/peers");
	CHECK_INT(all.journals[1].epoch, 4);
	CHECK_STR(all.refused[0].name, "size");
	CHECK_INT(all.refused[0].value, 5);
	CHECK_INT(all.numbers[0], INT64_MIN);
	arena_done(&arena);
}

TEST(writes_what_it_read)
{
	struct arena arena = { 0 };
	struct all all = { 0 };
	struct json_error err;
	struct buf out = { 0 };

	CHECK_INT(json_decode(&arena, full, strlen(full), fields, &all, &err), 0);
	json_encode(&out, fields, &all);
	CHECK_STR(buf_cstr(&out), full);
	buf_done(&out);
	arena_done(&arena);
}

TEST(absent_values_are_left_out)
{
	static const char small[] = "{\"name\":\"n\",\"inner\":{\"epoch\":0}}";
	struct arena arena = { 0 };
	struct all all = { 0 };
	struct json_error err;
	struct buf out = { 0 };

	CHECK_INT(json_decode(&arena, small, strlen(small), fields, &all, &err), 0);
	CHECK(!all.raw && !all.maybe && !all.tags && !all.peers && !all.journals);
	CHECK_INT(all.addr.family, 0);
	json_encode(&out, fields, &all);
	CHECK_STR(buf_cstr(&out), small);
	buf_done(&out);
	arena_done(&arena);
}

/* Order of members, white space and unknown fields do not matter. */
TEST(reads_any_order)
{
	static const char text[] =
		" { \"inner\" : {\"new\":[{}], \"epoch\":1}, \"later\":{\"x\":[1.5]},\n\"name\":\"n\" } ";
	struct arena arena = { 0 };
	struct all all = { 0 };
	struct json_error err;

	CHECK_INT(json_decode(&arena, text, strlen(text), fields, &all, &err), 0);
	CHECK_STR(all.name, "n");
	CHECK_INT(all.inner.epoch, 1);
	arena_done(&arena);
}

#define KEY31 "AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define REST ",\"name\":\"n\",\"inner\":{\"epoch\":1}}"

static const struct {
	const char *text, *path, *reason;
} bad_values[] = {
	{ "[]", "", "is not an object" },
	{ "7", "", "is not an object" },
	{ "{\"inner\":{\"epoch\":1}}", "name", "is missing" },
	{ "{\"name\":\"n\",\"inner\":{}}", "inner.epoch", "is missing" },
	{ "{\"name\":\"n\",\"inner\":[]}", "inner", "is not an object" },
	{ "{\"name\":7,\"inner\":{\"epoch\":1}}", "name", "is not a string" },
	{ "{\"name\":null,\"inner\":{\"epoch\":1}}", "name", "is not a string" },
	{ "{\"name\":\"N\",\"inner\":{\"epoch\":1}}", "name", "is not a DNS label" },
	{ "{\"role\":\"king\"" REST, "role", "is none of node, leaf, exporter" },
	{ "{\"role\":1" REST, "role", "is not a string" },
	{ "{\"up\":1" REST, "up", "is neither true nor false" },
	{ "{\"u64\":-1" REST, "u64", "is not within 0 and 9223372036854775807" },
	{ "{\"u64\":1.0" REST, "u64", "is not an integer" },
	{ "{\"u64\":\"1\"" REST, "u64", "is not an integer" },
	{ "{\"u64\":9223372036854775808" REST, "", "has a number that is too big (at byte 26)" },
	{ "{\"i64\":-6" REST, "i64", "is not within -5 and 5" },
	{ "{\"i64\":6" REST, "i64", "is not within -5 and 5" },
	{ "{\"port\":65536" REST, "port", "is not within 1 and 65535" },
	{ "{\"port\":0" REST, "port", "is not within 1 and 65535" },
	{ "{\"key\":\"" KEY31 "\"" REST, "key", "is not a key (base64 of 32 bytes)" },
	{ "{\"key\":\"" KEY31 "AAB=\"" REST, "key", "is not a key (base64 of 32 bytes)" },
	{ "{\"key\":\"" KEY31 "AAAA\"" REST, "key", "is not a key (base64 of 32 bytes)" },
	{ "{\"hash\":\"00\"" REST, "hash", "is not a hash (64 lower-case hex digits)" },
	{ "{\"run\":\"00112233445566778899AABBCCDDEEFF\"" REST, "run",
	  "is not 32 lower-case hex digits" },
	{ "{\"addr\":\"10.1\"" REST, "addr", "is not an IP address" },
	{ "{\"prefix\":\"10.1.0.0\"" REST, "prefix", "is not an IP prefix (ADDRESS/LEN)" },
	{ "{\"endpoint\":\"10.1.0.0\"" REST, "endpoint", "is not an endpoint (ADDRESS:PORT)" },
	{ "{\"since\":\"yesterday\"" REST, "since", "is not a time (RFC 3339, UTC)" },
	{ "{\"maybe\":null" REST, "maybe", "is not an object" },
	{ "{\"maybe\":{\"epoch\":1001}" REST, "maybe.epoch", "is not within 0 and 1000" },
	{ "{\"raw\":\"0123456789012345678901234567890123456789012345678901234567890123\"" REST,
	  "raw", "has more than 64 bytes" },
	{ "{\"tags\":{}" REST, "tags", "is not an array" },
	{ "{\"tags\":[\"a\",\"b\",\"c\"]" REST, "tags", "has more than 2 elements" },
	{ "{\"tags\":[\"a\",\"B\"]" REST, "tags[1]", "is not a DNS label" },
	{ "{\"peers\":[]" REST, "peers", "has less than 1 elements" },
	{ "{\"peers\":[{\"epoch\":1},7]" REST, "peers[1]", "is not an object" },
	{ "{\"peers\":[{\"epoch\":1},{\"epoch\":1,\"list\":[\"::/0\",\"::\"]}]" REST,
	  "peers[1].list[1]", "is not an IP prefix (ADDRESS/LEN)" },
	{ "{\"journals\":[]" REST, "journals", "is not an object" },
	{ "{\"journals\":{\"n/x/peers\":{\"epoch\":-1}}" REST, "journals[\"n/x/peers\"].epoch",
	  "is not within 0 and 1000" },
	{ "{\"journals\":{\"\\u0001\xc3\xa4\\\" k\":{}}" REST, "journals[\"?????k\"].epoch",
	  "is missing" },
	{ "{\"journals\":{\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee\":1}" REST,
	  "journals[\"aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd...\"]", "is not an object" },
	{ "{\"refused\":{\"A\":1}" REST, "refused[\"A\"]", "has a key that is not a DNS label" },
	{ "{\"refused\":{\"a\":true}" REST, "refused[\"a\"]", "is not an integer" },
	{ "{\"numbers\":[1,2,[]]" REST, "numbers[2]", "is not an integer" },
	{ "{\"later\":\"a\\u0000b\"" REST, "", "has a NUL in a string (at byte 19)" },
};

TEST(null_is_absent_where_it_may_be)
{
	static const struct json_field nullable[] = {
		JSON_FIELD(struct pair, name, JSON_STRING, .optional = true, .nullable = true),
		JSON_FIELD(struct pair, value, JSON_U64, .nullable = true), JSON_END
	};
	struct pair p = { 0 };
	struct json_error err;
	struct arena a = { 0 };
	char text[JSON_ERROR_SIZE];

	CHECK_INT(json_decode(&a, "{\"name\":null,\"value\":1}", 23, nullable, &p, &err), 0);
	CHECK(!p.name && p.value == 1);
	CHECK_INT(json_decode(&a, "{\"value\":null}", 14, nullable, &p, &err), -EBADMSG);
	CHECK_STR(json_error_text(&err, text), "value is missing");
	arena_done(&a);
}

TEST(refuses_bad_values)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_values); i++) {
		struct arena arena = { 0 };
		struct all all = { 0 };
		struct json_error err;
		const char *text = bad_values[i].text;

		CHECK_INT(json_decode(&arena, text, strlen(text), fields, &all, &err), -EBADMSG);
		CHECK_STR(err.path, bad_values[i].path);
		CHECK_STR(err.reason, bad_values[i].reason);
		CHECK(!err.syntax && !err.duplicate_key);
		arena_done(&arena);
	}
}

/* Every prefix of a good document is no document, and says so without a path. */
TEST(refuses_what_is_not_json)
{
	static const char *const bad[] = {
		"",	   "{",		 "{}}",		"{} x",		 "{\"a\":1,}",
		"{'a':1}", "[1,]",	 "nul",		"\xff",		 "{\"a\":\"\xc3\"}",
		"01",	   "{\"a\":+1}", "\"\\ud800\"", "{\"a\":\"\n\"}"
	};
	struct json_error err;
	struct arena arena = { 0 };
	struct all all;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(&all, 0, sizeof(all));
		CHECK_INT(json_decode(&arena, bad[i], strlen(bad[i]), fields, &all, &err),
			  -EBADMSG);
		CHECK(err.syntax && !err.duplicate_key);
		CHECK_STR(err.path, "");
		CHECK(strncmp(err.reason, "is not JSON", 11) == 0);
	}
	for (size_t n = 0; n < strlen(full); n++) {
		memset(&all, 0, sizeof(all));
		CHECK_INT(json_decode(&arena, full, n, fields, &all, &err), -EBADMSG);
		CHECK(err.syntax);
	}
	arena_done(&arena);
}

TEST(refuses_duplicate_keys)
{
	static const char *const bad[] = {
		"{\"name\":\"n\",\"name\":\"n\",\"inner\":{\"epoch\":1}}",
		"{\"x\":{\"a\":1,\"a\":1}" REST,
		"{\"journals\":{\"a\":{\"epoch\":1},\"\\u0061\":1}" REST
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct arena arena = { 0 };
		struct all all = { 0 };
		struct json_error err;
		char text[JSON_ERROR_SIZE];

		CHECK_INT(json_decode(&arena, bad[i], strlen(bad[i]), fields, &all, &err),
			  -EBADMSG);
		CHECK(err.duplicate_key && !err.syntax);
		json_error_text(&err, text);
		CHECK(strncmp(text, "the document has a key twice in one object (at byte ", 52) ==
		      0);
		arena_done(&arena);
	}
}

static int decode_nested(int depth, bool in_string)
{
	struct arena arena = { 0 };
	struct all all = { 0 };
	struct json_error err;
	struct buf b = { 0 };
	int r;

	buf_str(&b, "{\"later\":");
	if (in_string)
		buf_char(&b, '"');
	for (int i = 0; i < depth; i++)
		buf_char(&b, '[');
	if (in_string)
		buf_str(&b, "\\\"[\"");
	else
		for (int i = 0; i < depth; i++)
			buf_char(&b, ']');
	buf_str(&b, REST);
	r = json_decode(&arena, buf_cstr(&b), b.len, fields, &all, &err);
	if (r < 0) {
		CHECK(err.syntax);
		CHECK_STR(err.reason, "is nested deeper than 16");
	}
	buf_done(&b);
	arena_done(&arena);
	return r;
}

TEST(refuses_deep_nesting)
{
	CHECK_INT(decode_nested(15, false), 0);
	CHECK_INT(decode_nested(16, false), -EBADMSG);
	CHECK_INT(decode_nested(30000, false), -EBADMSG);
	CHECK_INT(decode_nested(100, true), 0);
}

TEST(error_text_names_place_and_reason)
{
	struct json_error err = { .path = "peers[3].addresses[0]",
				  .reason = "is not an IP address" };
	char text[JSON_ERROR_SIZE];

	CHECK_STR(json_error_text(&err, text), "peers[3].addresses[0] is not an IP address");
}

TEST(error_path_is_cut)
{
	struct arena arena = { 0 };
	struct all all = { 0 };
	struct json_error err;
	struct buf b = { 0 };

	buf_str(&b, "{\"journals\":{\"");
	for (int i = 0; i < 5000; i++)
		buf_char(&b, 'k');
	buf_str(&b, "\":{\"epoch\":1}}" REST);
	CHECK_INT(json_decode(&arena, buf_cstr(&b), b.len, fields, &all, &err), -EBADMSG);
	CHECK_STR(err.reason, "has a key longer than 4096 bytes");
	CHECK(strlen(err.path) < 70);
	buf_done(&b);
	arena_done(&arena);
}

TEST(strings_are_escaped)
{
	static const struct {
		const char *s, *json;
	} cases[] = {
		{ "", "\"\"" },
		{ "plain", "\"plain\"" },
		{ "\"\\/\b\f\n\r\t\x01\x1f\x7f", "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001F\x7f\"" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb0",
		  "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb0\"" },
		{ "a\xff\xc0\x80z", "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"" },
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* a surrogate */
		{ "\xc3", "\"\xef\xbf\xbd\"" },					/* cut short */
		{ "\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf out = { 0 };
		struct buf again = { 0 };
		struct json_error err;

		json_encode_string(&out, cases[i].s);
		CHECK_STR(buf_cstr(&out), cases[i].json);
		CHECK_INT(json_compact(out.data, out.len, &again, &err), 0);
		CHECK_STR(buf_cstr(&again), cases[i].json);
		buf_done(&out);
		buf_done(&again);
	}
}

TEST(compact_keeps_order_and_takes_space)
{
	static const char text[] = "{ \"b\" : [ 1 , -2 , 1.5, 1e100, 0.1, true,false , null ] ,\n"
				   "\"a\":{} , \"\":\"\\u00e4\\/\" }";
	struct buf out = { 0 };
	struct json_error err;

	CHECK_INT(json_compact(text, strlen(text), &out, &err), 0);
	CHECK_STR(buf_cstr(&out), "{\"b\":[1,-2,1.5,1e100,0.10000000000000001,true,false,null],"
				  "\"a\":{},\"\":\"\xc3\xa4/\"}");
	buf_done(&out);
	CHECK_INT(json_compact("{\"a\":1,\"a\":1}", 13, &out, &err), -EBADMSG);
	CHECK(err.duplicate_key);
	CHECK_INT(out.len, 0);
}

TEST(pretty_is_indented)
{
	struct buf out = { 0 };

	CHECK_INT(json_pretty("{\"a\":[1]}", 9, &out), 0);
	CHECK_STR(buf_cstr(&out), "{\n  \"a\": [\n    1\n  ]\n}");
	CHECK_INT(json_pretty("{\"a\":[1]", 8, &out), -EBADMSG);
	buf_done(&out);
}

/* ---- random documents ---- */

static char *random_label(struct arena *arena)
{
	char *s = arena_alloc(arena, 12);
	size_t n = 1 + (size_t)rand() % 10;

	for (size_t i = 0; i < n; i++)
		s[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[rand() % 36];
	return s;
}

static struct prefix random_prefix(void)
{
	struct prefix p = { .addr.family = rand() % 2 ? AF_INET : AF_INET6 };

	crypto_random(p.addr.bytes, p.addr.family == AF_INET ? 4 : 16);
	p.len = (uint8_t)((unsigned)rand() % (addr_bits(&p.addr) + 1));
	return p;
}

static void random_inner(struct arena *arena, struct inner *i)
{
	i->key = random_label(arena);
	i->epoch = (uint64_t)rand() % 1001;
	i->list_count = (size_t)rand() % 4;
	i->list = arena_array(arena, i->list_count, sizeof(*i->list));
	for (size_t k = 0; k < i->list_count; k++)
		i->list[k] = random_prefix();
}

static void random_all(struct arena *arena, struct all *a)
{
	a->name = random_label(arena);
	a->role = (unsigned)rand() % 3;
	a->up = rand() % 2;
	a->u64 = (uint64_t)rand() * (uint64_t)rand();
	a->i64 = rand() % 11 - 5;
	a->port = (uint16_t)rand();
	if (rand() % 2)
		crypto_random(a->key, sizeof(a->key));
	if (rand() % 2)
		crypto_random(a->hash, sizeof(a->hash));
	if (rand() % 2)
		crypto_random(a->run, sizeof(a->run));
	if (rand() % 2)
		a->addr = random_prefix().addr;
	if (rand() % 2)
		a->prefix = random_prefix();
	if (rand() % 2)
		a->endpoint =
			(struct endpoint){ random_prefix().addr, 1 + (uint16_t)(rand() % 60000) };
	a->since = rand() % 2 ? rand() : 0;
	random_inner(arena, &a->inner);
	if (rand() % 2) {
		a->maybe = arena_alloc(arena, sizeof(*a->maybe));
		random_inner(arena, a->maybe);
	}
	if (rand() % 2)
		a->raw = arena_strdup(arena, rand() % 2 ? "[1,{\"a\":null}]" : "\"x\"");
	a->tag_count = (size_t)rand() % 3;
	a->tags = arena_array(arena, a->tag_count, sizeof(*a->tags));
	for (size_t i = 0; i < a->tag_count; i++)
		a->tags[i] = random_label(arena);
	a->peer_count = (size_t)rand() % 5;
	a->peers = arena_array(arena, a->peer_count, sizeof(*a->peers));
	for (size_t i = 0; i < a->peer_count; i++)
		random_inner(arena, &a->peers[i]);
	a->journal_count = (size_t)rand() % 2;
	a->journals = arena_array(arena, a->journal_count, sizeof(*a->journals));
	for (size_t i = 0; i < a->journal_count; i++)
		random_inner(arena, &a->journals[i]);
	a->number_count = (size_t)rand() % 20;
	a->numbers = arena_array(arena, a->number_count, sizeof(*a->numbers));
	crypto_random(a->numbers, a->number_count * sizeof(*a->numbers));
}

/* encode, decode, encode gives the same text, which is also what jansson's order-keeping compact
 * dump of it is; and pretty text compacts to it. */
TEST(random_round_trips)
{
	srand(7);
	for (int i = 0; i < 3000; i++) {
		struct arena arena = { 0 };
		struct all in = { 0 }, out = { 0 };
		struct buf first = { 0 }, second = { 0 }, compact = { 0 }, pretty = { 0 };
		struct json_error err;

		random_all(&arena, &in);
		json_encode(&first, fields, &in);
		CHECK_INT(json_decode(&arena, first.data, first.len, fields, &out, &err), 0);
		json_encode(&second, fields, &out);
		CHECK_STR(buf_cstr(&second), first.data);
		CHECK_INT(json_pretty(first.data, first.len, &pretty), 0);
		CHECK_INT(json_compact(pretty.data, pretty.len, &compact, &err), 0);
		CHECK_STR(buf_cstr(&compact), first.data);
		CHECK(memcmp(in.key, out.key, 32) == 0 && memcmp(in.run, out.run, 16) == 0);
		CHECK(endpoint_cmp(&in.endpoint, &out.endpoint) == 0);
		CHECK_INT(out.number_count, in.number_count);
		buf_done(&first);
		buf_done(&second);
		buf_done(&compact);
		buf_done(&pretty);
		arena_done(&arena);
	}
}

/* One byte changed anywhere: decoded or refused with a reason, and the text of the reason is
 * printable whatever the input was. */
TEST(random_damage_is_survived)
{
	size_t len = strlen(full);

	srand(8);
	for (int i = 0; i < 20000; i++) {
		struct arena arena = { 0 };
		struct all all = { 0 };
		struct json_error err;
		char text[sizeof(full)], said[JSON_ERROR_SIZE];

		memcpy(text, full, sizeof(text));
		for (int k = rand() % 3; k >= 0; k--)
			text[(size_t)rand() % len] = (char)rand();
		if (json_decode(&arena, text, len, fields, &all, &err) < 0) {
			CHECK(err.reason[0]);
			for (const char *p = json_error_text(&err, said); *p; p++)
				CHECK(*p >= ' ' && *p < 0x7f);
		}
		arena_done(&arena);
	}
}

TEST_MAIN("json")
