/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a journal's topics hold, read and written: deltas, manifests, beats, requests, chunk lines.
 */
#include "schemas/journal.h"

#include <errno.h>

#include "tests/test.h"

#define HEX32 "00112233445566778899aabbccddeeff"
#define HEX64 HEX32 HEX32

static struct arena arena;

static enum refusal delta(const char *ops, struct journal_delta *ret)
{
	struct json_error err;
	char text[20000];

	memset(ret, 0, sizeof(*ret));
	snprintf(text, sizeof(text),
		 "{\"epoch\":3,\"ver\":4,\"prev\":\"" HEX64 "\",\"run\":\"" HEX32 "\",\"ops\":%s}",
		 ops);
	return journal_delta_decode(&arena, text, strlen(text), ret, &err);
}

static enum refusal manifest(const char *runs, struct journal_manifest *ret)
{
	char text[2000];

	memset(ret, 0, sizeof(*ret));
	snprintf(text, sizeof(text),
		 "{\"epoch\":3,\"ver\":4,\"run\":\"" HEX32 "\",\"runs\":%s,\"at\":\"" HEX64
		 "\",\"slot\":1,\"count\":0,\"chunks\":[\"" HEX64 "\"]}",
		 runs);
	return journal_manifest_decode(&arena, text, strlen(text), ret, NULL);
}

TEST(positions)
{
	CHECK(journal_position_cmp((struct journal_position){ 1, 9 },
				   (struct journal_position){ 2, 0 }) < 0);
	CHECK(journal_position_cmp((struct journal_position){ 2, 1 },
				   (struct journal_position){ 2, 0 }) > 0);
	CHECK_INT(journal_position_cmp((struct journal_position){ 2, 1 },
				       (struct journal_position){ 2, 1 }),
		  0);
}

TEST(names)
{
	char long_name[JOURNAL_NAME_MAX + 2];

	CHECK(text_is_member_name("abcdefghijklmnop"));
	CHECK(text_is_member_name("gateway/7"));
	CHECK(text_is_member_name("kube-system/a.b-c"));
	CHECK(!text_is_member_name(""));
	CHECK(!text_is_member_name("A"));
	CHECK(!text_is_member_name("a b"));
	CHECK(!text_is_member_name("a\n"));
	memset(long_name, 'a', sizeof(long_name));
	long_name[JOURNAL_NAME_MAX + 1] = '\0';
	CHECK(!text_is_member_name(long_name));
	long_name[JOURNAL_NAME_MAX] = '\0';
	CHECK(text_is_member_name(long_name));
}

TEST(delta_there_and_back)
{
	static const char ops[] = "[{\"put\":\"a\",\"body\":{\"x\":[1,2]}},"
				  "{\"del\":\"b\",\"why\":\"expired\"},{\"drop\":true}]";
	struct journal_delta d;
	struct buf text = { 0 };

	CHECK_INT(delta(ops, &d), REFUSED_NOT);
	CHECK_INT(d.epoch, 3);
	CHECK_INT(d.ver, 4);
	CHECK_INT(d.prev[1], 0x11);
	CHECK_INT(d.run[15], 0xff);
	CHECK_INT(d.op_count, 3);
	CHECK_STR(d.ops[0].put, "a");
	CHECK_STR(d.ops[0].body, "{\"x\":[1,2]}");
	CHECK_STR(d.ops[1].del, "b");
	CHECK_INT(d.ops[1].why, WHY_EXPIRED);
	CHECK(d.ops[2].drop);
	json_encode(&text, journal_delta_fields, &d);
	CHECK(strstr(text.data, ops));
	buf_done(&text);
	arena_done(&arena);
}

TEST(delta_bodies_are_canonical)
{
	struct journal_delta d;

	CHECK_INT(delta("[{\"put\":\"a\",\"body\":{ \"b\" : 1,\n\"a\":\"\\u0041\" }}]", &d),
		  REFUSED_NOT);
	CHECK_STR(d.ops[0].body, "{\"b\":1,\"a\":\"A\"}");
	arena_done(&arena);
}

TEST(delta_operations_are_one_of_three)
{
	struct journal_delta d;

	CHECK_INT(delta("[]", &d), REFUSED_NOT);
	CHECK_INT(delta("[{}]", &d), REFUSED_SCHEMA);
	CHECK_INT(delta("[{\"put\":\"a\"}]", &d), REFUSED_SCHEMA);
	CHECK_INT(delta("[{\"del\":\"a\",\"body\":{}}]", &d), REFUSED_SCHEMA);
	CHECK_INT(delta("[{\"put\":\"a\",\"body\":{},\"del\":\"a\"}]", &d), REFUSED_SCHEMA);
	CHECK_INT(delta("[{\"put\":\"a\",\"body\":{},\"drop\":true}]", &d), REFUSED_SCHEMA);
	CHECK_INT(delta("[{\"put\":\"a\",\"body\":[]}]", &d), REFUSED_SCHEMA);
	CHECK_INT(delta("[{\"put\":\"a\",\"body\":\"{}\"}]", &d), REFUSED_SCHEMA);
	CHECK_INT(delta("[{\"put\":\"A\",\"body\":{}}]", &d), REFUSED_SCHEMA);
	CHECK_INT(delta("[{\"del\":\"a b\"}]", &d), REFUSED_SCHEMA);
	CHECK_INT(delta("[{\"del\":\"a\",\"why\":\"because\"}]", &d), REFUSED_SCHEMA);
	CHECK_INT(delta("[{\"drop\":false}]", &d), REFUSED_SCHEMA);
	CHECK_INT(delta("[{\"del\":\"a\",\"del\":\"a\"}]", &d), REFUSED_DUPLICATE_KEY);
	CHECK_INT(delta("[", &d), REFUSED_JSON);
	arena_done(&arena);
}

TEST(delta_says_where_it_is_wrong)
{
	static const char text[] = "{\"epoch\":3,\"ver\":4,\"prev\":\"" HEX64 "\",\"run\":\"" HEX32
				   "\",\"ops\":[{\"drop\":true},{\"del\":\"a\",\"body\":{}}]}";
	struct journal_delta d = { 0 };
	struct json_error err;

	CHECK_INT(journal_delta_decode(&arena, text, strlen(text), &d, &err), REFUSED_SCHEMA);
	CHECK_STR(err.path, "ops[1]");
	CHECK_STR(err.reason, "has a put without body, or the reverse");
	arena_done(&arena);
}

TEST(delta_begins_at_one)
{
	static const char *const bad[] = {
		"{\"epoch\":0,\"ver\":4,\"prev\":\"" HEX64 "\",\"run\":\"" HEX32 "\",\"ops\":[]}",
		"{\"epoch\":3,\"ver\":0,\"prev\":\"" HEX64 "\",\"run\":\"" HEX32 "\",\"ops\":[]}",
		"{\"epoch\":3,\"ver\":4,\"prev\":\"" HEX32 "\",\"run\":\"" HEX32 "\",\"ops\":[]}",
		"{\"epoch\":3,\"ver\":4,\"run\":\"" HEX32 "\",\"ops\":[]}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct journal_delta d = { 0 };

		CHECK_INT(journal_delta_decode(&arena, bad[i], strlen(bad[i]), &d, NULL),
			  REFUSED_SCHEMA);
	}
	arena_done(&arena);
}

TEST(body_has_a_limit)
{
	static char ops[JOURNAL_BODY_MAX + 100];
	struct journal_delta d;
	int n = JOURNAL_BODY_MAX - (int)strlen("{\"x\":\"\"}");

	snprintf(ops, sizeof(ops), "[{\"put\":\"a\",\"body\":{\"x\":\"%0*d\"}}]", n, 0);
	CHECK_INT(delta(ops, &d), REFUSED_NOT);
	snprintf(ops, sizeof(ops), "[{\"put\":\"a\",\"body\":{\"x\":\"%0*d\"}}]", n + 1, 0);
	CHECK_INT(delta(ops, &d), REFUSED_SCHEMA);
	arena_done(&arena);
}

#define RUN(hex, first) "{\"run\":\"" hex "\",\"first\":" first "}"
#define OTHER "ffeeddccbbaa99887766554433221100"

TEST(manifest_there_and_back)
{
	struct journal_manifest m;
	struct buf text = { 0 };

	CHECK_INT(manifest("[" RUN(OTHER, "0") "," RUN(HEX32, "3") "]", &m), REFUSED_NOT);
	CHECK_INT(m.run_count, 2);
	CHECK_INT(m.runs[1].first, 3);
	CHECK_INT(m.slot, 1);
	CHECK_INT(m.chunk_count, 1);
	CHECK(!m.drop);
	json_encode(&text, journal_manifest_fields, &m);
	CHECK_STR(text.data,
		  "{\"epoch\":3,\"ver\":4,\"run\":\"" HEX32 "\",\"runs\":[" RUN(OTHER, "0") "," RUN(
			  HEX32, "3") "],\"at\":\"" HEX64
				      "\",\"slot\":1,\"count\":0,\"chunks\":[\"" HEX64 "\"]}");
	buf_done(&text);
	arena_done(&arena);
}

TEST(manifest_runs_are_in_order)
{
	struct journal_manifest m;

	CHECK_INT(manifest("[]", &m), REFUSED_NOT); /* they stand in a chunk */
	CHECK_INT(manifest("[" RUN(OTHER, "3") "," RUN(HEX32, "3") "]", &m), REFUSED_SCHEMA);
	CHECK_INT(manifest("[" RUN(OTHER, "3") "," RUN(HEX32, "2") "]", &m), REFUSED_SCHEMA);
	CHECK_INT(manifest("[" RUN(OTHER, "5") "]", &m), REFUSED_SCHEMA); /* above ver */
	arena_done(&arena);
}

TEST(runs_hold)
{
	static const struct journal_run runs[] = { { { 1 }, 0 }, { { 2 }, 5 }, { { 3 }, 9 } };
	static const uint8_t a[RUN_LEN] = { 1 }, b[RUN_LEN] = { 2 }, c[RUN_LEN] = { 3 },
			     d[RUN_LEN] = { 4 };

	CHECK(journal_runs_hold(runs, 3, a, 0) && journal_runs_hold(runs, 3, a, 4));
	CHECK(!journal_runs_hold(runs, 3, a, 5));
	CHECK(!journal_runs_hold(runs, 3, b, 4));
	CHECK(journal_runs_hold(runs, 3, b, 5) && journal_runs_hold(runs, 3, b, 8));
	CHECK(!journal_runs_hold(runs, 3, b, 9));
	CHECK(journal_runs_hold(runs, 3, c, 9) && journal_runs_hold(runs, 3, c, 1 << 30));
	CHECK(!journal_runs_hold(runs, 3, d, 9));
	CHECK(!journal_runs_hold(NULL, 0, a, 0));
}

TEST(ask_there_and_back)
{
	struct journal_proof proofs[] = {
		{ PROOF_MANIFEST, (char[]){ "warren1 x\n{\"y\":\"z\"}" }, NULL },
		{ PROOF_JOIN, (char[]){ "d" }, (char[]){ "t" } },
	};
	struct journal_ask ask = { proofs, 2, true }, back = { 0 };
	struct buf text = { 0 };

	json_encode(&text, journal_ask_fields, &ask);
	CHECK_INT(journal_ask_decode(&arena, text.data, text.len, &back, NULL), REFUSED_NOT);
	CHECK(back.unproven);
	CHECK_INT(back.proof_count, 2);
	CHECK_INT(back.proofs[0].kind, PROOF_MANIFEST);
	CHECK_STR(back.proofs[0].document, proofs[0].document);
	CHECK_STR(back.proofs[1].topic, "t");
	/* A topic belongs to a join's answer, and to nothing else. */
	proofs[1].topic = NULL;
	buf_clear(&text);
	json_encode(&text, journal_ask_fields, &ask);
	back = (struct journal_ask){ 0 };
	CHECK_INT(journal_ask_decode(&arena, text.data, text.len, &back, NULL), REFUSED_SCHEMA);
	buf_done(&text);
	arena_done(&arena);
}

TEST(quoted_length)
{
	CHECK_INT(journal_quoted_len("ab"), 4);
	CHECK_INT(journal_quoted_len("a\"b\n"), 8);
}

/* How many members the chunk has; -1 when it is no chunk. */
static int read_chunk(const char *lines, struct journal_lists *lists)
{
	char text[4096], *at = text, *end, *name, *body;
	int n = 0, r;

	snprintf(text, sizeof(text), "%s", lines);
	end = text + strlen(text);
	memset(lists, 0, sizeof(*lists));
	if (journal_chunk_lists(&arena, &at, end, lists) < 0)
		return -1;
	while ((r = journal_chunk_next(&at, end, &name, &body)) == 1) {
		CHECK(text_is_member_name(name));
		CHECK_INT(body[0], '{');
		n++;
	}
	return r < 0 ? -1 : n;
}

TEST(chunk_lines)
{
	struct journal_lists lists;
	struct buf text = { 0 };

	journal_chunk_add(&text, "a/b", "{\"x\":\"c d\"}");
	journal_chunk_add(&text, "c", "{}");
	CHECK_STR(text.data, "a/b {\"x\":\"c d\"}\nc {}\n");
	CHECK_INT(read_chunk(text.data, &lists), 2);
	CHECK_INT(read_chunk("", &lists), 0);
	CHECK_INT(read_chunk("{\"gone\":[\"a\",\"b\"]}\na {}\n", &lists), 1);
	CHECK_INT(lists.gone_count, 2);
	CHECK_INT(read_chunk("{\"runs\":[" RUN(HEX32, "0") "]}\n", &lists), 0);
	CHECK_INT(lists.run_count, 1);
	buf_done(&text);
	arena_done(&arena);
}

TEST(chunk_lines_that_are_none)
{
	static const char *const bad[] = {
		"a {}",
		"a\n",
		" {}\n",
		"\n",
		"a  {}\n",
		"a {}x\n",
		"a []\n",
		"A {}\n",
		"a {}\n\n",
		"a {}\n{}\n",
		"{\"gone\":5}\n",
		"{}x\n",
		"{\"gone\":[\"A\"]}\n",
		"{}",
	};
	struct journal_lists lists;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(test_result->why, sizeof(test_result->why), "at %s", bad[i]);
		CHECK_INT(read_chunk(bad[i], &lists), -1);
	}
	*test_result->why = '\0';
	arena_done(&arena);
}

TEST(chunk_line_with_a_nul)
{
	char text[] = "a {\0}\n", *at = text, *name, *body;

	CHECK_INT(journal_chunk_next(&at, text + sizeof(text) - 1, &name, &body), -EBADMSG);
}

TEST_MAIN("journal")
