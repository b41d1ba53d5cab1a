/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "exporter/kube_text.h"
#include "lib/mem.h"
#include "tests/test.h"

static void collect(void *owner, const char *text, size_t len)
{
	buf_printf(owner, "<%.*s>", (int)len, text);
}

/* Fed in pieces of `piece` bytes. */
static int read_list(const char *text, size_t piece, struct kube_list *l, struct buf *objects)
{
	size_t len = strlen(text);
	int r = 0;

	*l = (struct kube_list){ .object = collect, .owner = objects };
	for (size_t at = 0; r == 0 && at < len; at += piece)
		r = kube_list_feed(l, text + at, MIN(piece, len - at));
	return r < 0 ? r : kube_list_end(l);
}

TEST(lists_give_their_objects_in_any_pieces)
{
	static const char text[] =
		" {\"kind\":\"L\",\"items\" : [ {\"a\":\"}]\\\\\"} ,{\"b\":{\"items\":[{}],\"m\":\"\\\"{\"}}],"
		"\"other\":{\"metadata\":[1,{\"resourceVersion\":\"no\"}]},\n"
		"\"metadata\":{\"continue\":\"nx\",\"resourceVersion\":\"12\",\"x\":null} }\n ";

	for (size_t piece = 1; piece < sizeof(text); piece++) {
		struct buf objects = { 0 };
		struct kube_list l;

		CHECK_INT(read_list(text, piece, &l, &objects), 0);
		CHECK_STR(buf_cstr(&objects),
			  "<{\"a\":\"}]\\\\\"}><{\"b\":{\"items\":[{}],\"m\":\"\\\"{\"}}>");
		CHECK_STR(l.version, "12");
		CHECK_STR(l.next, "nx");
		kube_list_clear(&l);
		CHECK(!*l.version && l.object == collect);
		buf_done(&objects);
	}
}

TEST(lists_that_are_none_are_refused)
{
	static const char *const texts[] = {
		"",
		"x",
		"[]",
		"null",
		"{}",
		"{} {}",
		"<html>",
		"{\"items\":[]}",
		"{\"metadata\":{}}",
		"{\"metadata\":{\"resourceVersion\":1}}",
		"{\"metadata\":{\"resourceVersion\":\"\"}}",
		"{\"metadata\":{\"resourceVersion\":\"a\\u0000\"}}",
		"{\"metadata\":{\"resourceVersion\":\"1\"}",
		"{\"metadata\":{\"resourceVersion\":\"1\"}]",
		"{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[1]}",
		"{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[[{}]]}",
		"{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{]}]}",
		"{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":{\"a\":{}}}",
		"{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{}]}{",
		"{\"metadata\":{\"resourceVersion\":\"1\",\"continue\":5}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		for (size_t piece = 1; piece < 8; piece += 6) {
			struct buf objects = { 0 };
			struct kube_list l;

			snprintf(test_result->why, sizeof(test_result->why), "%s", texts[i]);
			CHECK_INT(read_list(texts[i], piece, &l, &objects), -EBADMSG);
			kube_list_clear(&l);
			buf_done(&objects);
		}
	test_result->why[0] = '\0';
}

TEST(objects_are_bounded)
{
	struct buf objects = { 0 }, text = { 0 };
	struct kube_list l;
	char *spaces = xmalloc(KUBE_OBJECT_MAX);

	memset(spaces, ' ', KUBE_OBJECT_MAX);
	buf_str(&text, "{\"items\":[{");
	buf_add(&text, spaces, KUBE_OBJECT_MAX - 2);
	buf_str(&text, "}],\"metadata\":{\"resourceVersion\":\"1\"}}");
	CHECK_INT(read_list(buf_cstr(&text), 16384, &l, &objects), 0);
	CHECK_INT(objects.len, KUBE_OBJECT_MAX + 2);
	/* Its memory is not kept. */
	CHECK(l.part.cap < 65536);
	kube_list_clear(&l);
	buf_clear(&text);
	buf_str(&text, "{\"items\":[{");
	buf_add(&text, spaces, KUBE_OBJECT_MAX - 1);
	buf_str(&text, "}],\"metadata\":{\"resourceVersion\":\"1\"}}");
	CHECK_INT(read_list(buf_cstr(&text), 16384, &l, &objects), -EFBIG);
	kube_list_clear(&l);
	buf_clear(&text);
	for (unsigned i = 0; i < 100; i++)
		buf_str(&text, "{\"a\":");
	CHECK_INT(read_list(buf_cstr(&text), 16384, &l, &objects), -EBADMSG);
	kube_list_clear(&l);
	buf_done(&text);
	buf_done(&objects);
	free(spaces);
}

static int collect_line(void *owner, const char *text, size_t len)
{
	buf_printf(owner, "<%.*s>", (int)len, text);
	return len == 3 && memcmp(text, "end", 3) == 0 ? -ECANCELED : 0;
}

TEST(lines_come_whole)
{
	static const char text[] = "a\n\nbcd\n\nef";

	for (size_t piece = 1; piece < sizeof(text); piece++) {
		struct kube_lines l = { 0 };
		struct buf out = { 0 };

		for (size_t at = 0; at < strlen(text); at += piece)
			CHECK_INT(kube_lines_feed(&l, text + at, MIN(piece, strlen(text) - at),
						  collect_line, &out),
				  0);
		CHECK_STR(buf_cstr(&out), "<a><bcd>");
		CHECK_INT(kube_lines_feed(&l, "g\nend\nh\n", 8, collect_line, &out), -ECANCELED);
		CHECK_STR(buf_cstr(&out), "<a><bcd><efg><end>");
		kube_lines_clear(&l);
		buf_done(&out);
	}
}

TEST(lines_are_bounded)
{
	struct kube_lines l = { 0 };
	struct buf out = { 0 };
	char *piece = xcalloc(1, 65536);
	unsigned n = 0;

	memset(piece, 'x', 65535);
	while (kube_lines_feed(&l, piece, 65536, collect_line, &out) == 0)
		n++;
	CHECK_INT(n, KUBE_OBJECT_MAX / 65536);
	CHECK_INT(out.len, 0);
	kube_lines_clear(&l);
	free(piece);
}

static int read_event(const char *text, struct kube_event *e)
{
	return kube_event_read(text, strlen(text), e);
}

TEST(events_are_read)
{
	struct kube_event e;

	CHECK_INT(read_event(" { \"object\" : {\"a\":[\"}\"],\"metadata\":{\"x\":{},"
			     "\"resourceVersion\":\"9\"}} , \"type\":\"MODIFIED\"} ",
			     &e),
		  0);
	CHECK_INT(e.type, KUBE_MODIFIED);
	CHECK_STR(e.version, "9");
	CHECK_INT(e.len,
		  strlen("{\"a\":[\"}\"],\"metadata\":{\"x\":{},\"resourceVersion\":\"9\"}}"));
	CHECK(memcmp(e.object, "{\"a\":", 5) == 0);
	CHECK_INT(read_event("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":"
			     "{\"resourceVersion\":\"10\"}}}",
			     &e),
		  0);
	CHECK_INT(e.type, KUBE_BOOKMARK);
	CHECK_STR(e.kind, "");
	CHECK_INT(read_event("{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"metadata\":"
			     "{\"resourceVersion\":\"11\"}}}",
			     &e),
		  0);
	CHECK_STR(e.kind, "Pod");
	CHECK_STR(e.version, "11");
	CHECK_INT(read_event("{\"type\":\"ERROR\",\"object\":{}}", &e), 0);
	CHECK_INT(e.type, KUBE_ERROR);
	CHECK_STR(e.version, "");
}

TEST(events_that_are_none_are_refused)
{
	static const char *const texts[] = {
		"",
		"x",
		"{}",
		"{\"type\":\"ADDED\"}",
		"{\"type\":\"ADDED\",\"object\":null}",
		"{\"type\":\"ADDED\",\"object\":{}}",
		"{\"type\":\"OTHER\",\"object\":{}}",
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}",
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"\"}}}",
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}",
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}}x",
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"]}}",
		"{\"type\":\"ADDED\" \"object\":{}}",
		"{\"type\":\"ADDED\",\"object\":{\"kind\":7,\"metadata\":{\"resourceVersion\":\"1\"}}}",
		"{\"type\":\"ADDED\",}",
		"{\"type\":\"ERROR\",\"object\":{},",
		"{\"type\":\"ERROR\",\"object\":",
		"{\"a",
		"{\"a\\",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct kube_event e;

		snprintf(test_result->why, sizeof(test_result->why), "%s", texts[i]);
		CHECK_INT(read_event(texts[i], &e), -EBADMSG);
	}
	test_result->why[0] = '\0';
}

TEST(statuses_are_read)
{
	static const char text[] = "{\"code\":429,\"reason\":\"Too\",\"message\":\"a\\nb\\u00e9\","
				   "\"details\":{\"retryAfterSeconds\":3}}";
	struct kube_status s;

	kube_status_read(text, sizeof(text) - 1, &s);
	CHECK_INT(s.code, 429);
	CHECK_STR(s.reason, "Too");
	CHECK_STR(s.message, "a?b??");
	CHECK_INT(s.retry_after_ms, 3000);
	kube_status_read("<html>", 6, &s);
	CHECK_INT(s.code, 0);
	CHECK_STR(s.message, "");
}

TEST_MAIN("kube-text")
