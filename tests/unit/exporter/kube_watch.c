/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/kube_watch.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "tests/fakes/api_server.h"
#include "tests/test.h"
#include "tests/turn.h"

#define OBJECT(name, version)                                                                      \
	"{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version                      \
	"\",\"x\":\"}]\\\"\"},\"spec\":{\"ports\":[{\"port\":80}]}}"
#define LIST(version, next, items)                                                                 \
	"{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"" version                   \
	"\",\"continue\":\"" next "\"},\"items\":[" items "]}\n"
#define EVENT(type, name, version) "{\"type\":\"" type "\",\"object\":" OBJECT(name, version) "}\n"
#define FAILURE(code, reason, message)                                                             \
	"{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":" code ",\"reason\":\"" reason       \
	"\",\"message\":\"" message "\"}"
#define IN_STREAM(code, reason, message)                                                           \
	"{\"type\":\"ERROR\",\"object\":" FAILURE(code, reason, message) "}\n"

/* What a watch told: "begin put(a) end put(b) del(a)". */
struct follower {
	struct loop *loop;
	struct api_server *server;
	struct kube_api *api;
	struct kube_watch *watch;
	struct buf told;
	char trouble[512]; /* the last one; "" since it went well again */
	unsigned troubles;
};

static void add_name(struct follower *f, const char *what, const char *object, size_t len)
{
	const char *name = memmem(object, len, "\"name\":\"", 8);

	CHECK(name && object[0] == '{' && object[len - 1] == '}');
	name += 8;
	buf_printf(&f->told, "%s(%.*s) ", what, (int)strcspn(name, "\""), name);
}

static void on_begin(void *owner)
{
	struct follower *f = owner;

	buf_str(&f->told, "begin ");
}

static void on_put(void *owner, const char *object, size_t len)
{
	add_name(owner, "put", object, len);
}

static void on_del(void *owner, const char *object, size_t len)
{
	add_name(owner, "del", object, len);
}

static void on_end(void *owner)
{
	struct follower *f = owner;

	buf_str(&f->told, "end ");
}

static void on_trouble(void *owner, const char *sentence)
{
	struct follower *f = owner;

	snprintf(f->trouble, sizeof(f->trouble), "%s", sentence ? sentence : "");
	f->troubles += sentence != NULL;
}

static const struct kube_watch_events events = {
	.begin = on_begin, .put = on_put, .del = on_del, .end = on_end, .trouble = on_trouble
};

static void follow(struct follower *f, api_handler *const *script, size_t count, bool optional)
{
	char why[KUBE_WHY_SIZE] = "";

	*f = (struct follower){ .loop = loop_new(), .server = api_server_new(script, count) };
	CHECK_INT(kube_api_new(f->loop, NULL, &f->api, why), 0);
	CHECK_STR(kube_api_namespace(f->api), "warren");
	f->watch = kube_watch_new(&(struct kube_watch_config){ .loop = f->loop,
							       .api = f->api,
							       .path = "/api/v1/services",
							       .selector = "a=b",
							       .kind = "Service",
							       .optional = optional,
							       .silent_ms = 400,
							       .events = &events,
							       .owner = f });
}

#define FOLLOW(f, script, optional) follow(f, script, ARRAY_SIZE(script), optional)

/* Until exactly this was told; the whole of it is shown where it was not. */
static void expect(struct follower *f, const char *told)
{
	uint64_t until = clock_mono() + 8 * USEC_PER_SEC;

	while (strcmp(buf_cstr(&f->told), told) != 0 && clock_mono() < until)
		loop_turn(f->loop, 50 * USEC_PER_MSEC);
	CHECK_STR(buf_cstr(&f->told), told);
}

/* Until there were so many requests. */
static void expect_requests(struct follower *f, unsigned count)
{
	TURN_UNTIL(f->loop, api_server_requests(f->server) >= count, 8000);
}

static void expect_trouble(struct follower *f, const char *part)
{
	uint64_t until = clock_mono() + 8 * USEC_PER_SEC;

	while (!strstr(f->trouble, part) && clock_mono() < until)
		loop_turn(f->loop, 50 * USEC_PER_MSEC);
	if (!strstr(f->trouble, part))
		CHECK_STR(f->trouble, part);
}

static void expect_line(struct follower *f, unsigned n, const char *part)
{
	const char *line = api_server_line(f->server, n);

	if (!strstr(line, part))
		CHECK_STR(line, part);
}

static void done(struct follower *f)
{
	kube_watch_free(f->watch);
	kube_api_free(f->api);
	loop_free(f->loop);
	api_server_free(f->server);
	buf_done(&f->told);
}

/* ---- what the server does ---- */

static void list_one(struct api_request *r)
{
	api_reply(r, "200 OK", "", LIST("7", "", OBJECT("a", "3")));
}

static void list_two(struct api_request *r)
{
	api_reply(r, "200 OK", "", LIST("30", "", OBJECT("b", "21")));
}

static void hold(struct api_request *r)
{
	api_begin(r);
	api_hold(r);
}

/* ---- tests ---- */

static void list_page(struct api_request *r)
{
	api_reply_packed(r, LIST("7", "more=1", OBJECT("a", "3") "," OBJECT("b", "4")));
}

static void list_null(struct api_request *r)
{
	api_reply(r, "200 OK", "", "{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":null}");
}

static void watch_bytes(struct api_request *r)
{
	api_begin(r);
	api_chunks(r,
		   EVENT("ADDED", "c", "8") EVENT("MODIFIED", "a", "9") EVENT("DELETED", "b", "10"),
		   1);
	api_hold(r);
}

TEST(lists_in_pages_then_watches)
{
	api_handler *const script[] = { list_page, list_one, watch_bytes, hold };
	struct follower f;

	FOLLOW(&f, script, false);
	expect(&f, "begin put(a) put(b) put(a) end put(c) put(a) del(b) ");
	expect_line(&f, 0, "GET /api/v1/services?limit=500&labelSelector=a%3Db HTTP");
	expect_line(&f, 1, "?limit=500&continue=more%3D1&labelSelector=a%3Db HTTP");
	expect_line(&f, 2, "?watch=1&allowWatchBookmarks=true&timeoutSeconds=");
	expect_line(&f, 2, "&resourceVersion=7&labelSelector=a%3Db HTTP");
	/* HTTP/1.1 keeps its connection too. */
	CHECK_INT(api_server_connections(f.server), 1);
	CHECK_INT(f.troubles, 0);
	done(&f);
}

static void watch_bookmark(struct api_request *r)
{
	api_begin(r);
	api_chunks(r, EVENT("ADDED", "c", "8") EVENT("BOOKMARK", "", "19"), 4096);
	api_end(r);
}

TEST(goes_on_where_the_bookmark_was)
{
	api_handler *const script[] = { list_null, watch_bookmark, hold };
	struct follower f;

	FOLLOW(&f, script, false);
	expect_requests(&f, 3);
	expect_line(&f, 2, "&resourceVersion=19&");
	CHECK_STR(buf_cstr(&f.told), "begin end put(c) ");
	CHECK_INT(f.troubles, 0);
	done(&f);
}

static void watch_gone_inside(struct api_request *r)
{
	api_begin(r);
	api_chunks(r,
		   EVENT("ADDED", "c", "8")
			   IN_STREAM("410", "Expired", "too old resource version: 1 (199)"),
		   100);
	api_hold(r);
}

TEST(gone_inside_the_stream_lists_again)
{
	api_handler *const script[] = { list_one, watch_gone_inside, list_two, hold };
	struct follower f;

	FOLLOW(&f, script, false);
	expect(&f, "begin put(a) end put(c) begin put(b) end ");
	expect_requests(&f, 4);
	expect_line(&f, 3, "&resourceVersion=30&");
	CHECK_INT(f.troubles, 0);
	done(&f);
}

static void gone(struct api_request *r)
{
	api_reply(r, "410 Gone", "", FAILURE("410", "Expired", "too old"));
}

TEST(gone_as_an_answer_lists_again)
{
	api_handler *const script[] = { list_one, gone, list_two, hold };
	struct follower f;

	FOLLOW(&f, script, false);
	expect(&f, "begin put(a) end begin put(b) end ");
	CHECK_INT(f.troubles, 0);
	done(&f);
}

TEST(gone_between_pages_lists_without_pages)
{
	api_handler *const script[] = { list_page, gone, list_two, hold };
	struct follower f;

	FOLLOW(&f, script, false);
	expect(&f, "begin put(a) put(b) begin put(b) end ");
	expect_line(&f, 2, "?limit=0&labelSelector");
	done(&f);
}

static void watch_fails_inside(struct api_request *r)
{
	api_begin(r);
	api_chunks(r, IN_STREAM("500", "InternalError", "etcd is away"), 100);
	api_hold(r);
}

TEST(failures_inside_the_stream_end_in_a_list)
{
	api_handler *const script[] = { list_one, watch_fails_inside, watch_fails_inside, list_two,
					hold };
	struct follower f;

	FOLLOW(&f, script, false);
	expect_trouble(&f, "watching services: the API server answers 500: etcd is away");
	expect(&f, "begin put(a) end begin put(b) end ");
	expect_line(&f, 2, "watch=1");
	expect_requests(&f, 5);
	done(&f);
}

static void watch_garbage(struct api_request *r)
{
	api_begin(r);
	api_chunks(r, EVENT("ADDED", "c", "8") "<html>503</html>\n", 4096);
	api_hold(r);
}

TEST(garbage_begins_the_watch_anew)
{
	api_handler *const script[] = { list_one, watch_garbage, watch_bytes };
	struct follower f;

	FOLLOW(&f, script, false);
	expect_trouble(&f, "is something between?");
	expect(&f, "begin put(a) end put(c) put(c) put(a) del(b) ");
	expect_line(&f, 2, "&resourceVersion=8&");
	CHECK_STR(f.trouble, "");
	done(&f);
}

static void watch_others(struct api_request *r)
{
	api_begin(r);
	api_chunks(
		r,
		"{\"type\":\"ADDED\",\"object\":{\"kind\":\"Service\",\"metadata\":{\"name\":\"c\","
		"\"resourceVersion\":\"8\"}}}\n"
		"{\"type\":\"DELETED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\","
		"\"resourceVersion\":\"99\"}}}\n",
		4096);
	api_hold(r);
}

TEST(an_object_of_another_kind_is_garbage)
{
	api_handler *const script[] = { list_one, watch_others, hold };
	struct follower f;

	FOLLOW(&f, script, false);
	expect_trouble(&f, "is something between?");
	expect_requests(&f, 3);
	expect_line(&f, 2, "&resourceVersion=8&");
	CHECK_STR(buf_cstr(&f.told), "begin put(a) end put(c) ");
	done(&f);
}

static void watch_endless_line(struct api_request *r)
{
	char *piece = xmalloc(65537);

	memset(piece, ' ', 65536);
	piece[65536] = '\0';
	api_begin(r);
	api_chunks(r, "{\"type\":", 4096);
	while (r->open)
		api_chunks(r, piece, 65536);
	free(piece);
}

TEST(an_endless_line_is_cut)
{
	api_handler *const script[] = { list_one, watch_endless_line, hold };
	struct follower f;

	FOLLOW(&f, script, false);
	expect_trouble(&f, "an object is longer than 4 MiB");
	expect_requests(&f, 3);
	done(&f);
}

static void list_reset(struct api_request *r)
{
	api_begin(r);
	api_chunks(r, "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[" OBJECT("a", "3"), 99);
	api_reset(r);
}

static void list_cut(struct api_request *r)
{
	api_begin(r);
	api_chunks(r, "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[" OBJECT("b", "3"), 99);
	api_end(r);
}

TEST(a_broken_listing_begins_anew)
{
	api_handler *const script[] = { list_reset, list_cut, list_one, hold };
	struct follower f;

	FOLLOW(&f, script, false);
	expect(&f, "begin put(a) begin put(b) begin put(a) end ");
	CHECK(f.troubles >= 1);
	expect_requests(&f, 4);
	done(&f);
}

static void watch_silent(struct api_request *r)
{
	api_begin(r);
	api_chunks(r, EVENT("ADDED", "c", "8"), 4096);
	api_ignore(r);
}

TEST(a_silent_connection_is_left)
{
	api_handler *const script[] = { list_one, watch_silent, watch_bytes };
	struct follower f;

	FOLLOW(&f, script, false);
	expect(&f, "begin put(a) end put(c) put(c) put(a) del(b) ");
	CHECK_INT(f.troubles, 0);
	expect_line(&f, 2, "&resourceVersion=8&");
	CHECK_INT(api_server_connections(f.server), 2);
	done(&f);
}

static void only_second(struct api_request *r)
{
	if (strcmp(r->authorization, "Bearer first") == 0) {
		api_server_set_token(r->server, "second");
		api_reply(r, "401 Unauthorized", "", FAILURE("401", "Unauthorized", "no"));
	} else if (strcmp(r->authorization, "Bearer second") == 0) {
		list_one(r);
	} else {
		api_reply(r, "400 Bad Request", "", "{}");
	}
}

TEST(the_token_is_read_again)
{
	api_handler *const script[] = { only_second, only_second, hold };
	struct follower f;

	FOLLOW(&f, script, false);
	expect(&f, "begin put(a) end ");
	CHECK_INT(f.troubles, 0);
	done(&f);
}

static void unauthorized(struct api_request *r)
{
	api_reply(r, "401 Unauthorized", "", FAILURE("401", "Unauthorized", "no"));
}

TEST(a_token_that_is_refused_is_trouble)
{
	api_handler *const script[] = { unauthorized };
	struct follower f;

	FOLLOW(&f, script, false);
	expect_trouble(&f, "does not accept our credentials (401): no");
	CHECK_INT(api_server_requests(f.server), 2);
	CHECK_STR(buf_cstr(&f.told), "");
	done(&f);
}

static void forbidden(struct api_request *r)
{
	api_reply(r, "403 Forbidden", "", FAILURE("403", "Forbidden", "services is forbidden"));
}

TEST(what_is_forbidden_says_what_to_grant)
{
	api_handler *const script[] = { forbidden };
	struct follower f;

	FOLLOW(&f, script, false);
	expect_trouble(&f, "we may not list services");
	expect_trouble(&f, "{apiGroups: [\"\"], resources: [services], verbs: [list, watch]}");
	CHECK_STR(buf_cstr(&f.told), "");
	done(&f);
}

TEST(what_is_optional_counts_as_empty)
{
	api_handler *const script[] = { forbidden };
	struct follower f;

	FOLLOW(&f, script, true);
	expect(&f, "begin end ");
	CHECK_INT(f.troubles, 0);
	done(&f);
}

static void too_many(struct api_request *r)
{
	api_reply(r, "429 Too Many Requests", "Retry-After: 2\r\n", FAILURE("429", "", "busy"));
}

TEST(waits_as_long_as_it_is_told)
{
	api_handler *const script[] = { too_many, list_one, hold };
	struct follower f;
	uint64_t from = clock_mono();

	FOLLOW(&f, script, false);
	expect(&f, "begin put(a) end ");
	CHECK(clock_mono() - from >= 2 * USEC_PER_SEC);
	CHECK(clock_mono() - from < 4 * USEC_PER_SEC);
	done(&f);
}

static void list_then_close(struct api_request *r)
{
	list_one(r);
	r->open = false;
}

TEST(another_authority_is_a_sentence)
{
	api_handler *const script[] = { list_then_close, watch_bookmark, hold };
	struct follower f;

	FOLLOW(&f, script, false);
	expect(&f, "begin put(a) end put(c) ");
	/* What stands is left alone; the next request is a new connection, and so is refused. */
	api_server_another_ca(f.server);
	expect_trouble(&f, "is not of the authority that we were given");
	done(&f);
}

TEST(what_we_were_given_and_cannot_be_used_is_a_sentence)
{
	static const char broken[] = "-----BEGIN CERTIFICATE-----\nabc\n";
	api_handler *const script[] = { list_one };
	char path[256];
	struct follower f;

	FOLLOW(&f, script, false);
	snprintf(path, sizeof(path), "%s/ca.crt", getenv("WARREN_SERVICE_ACCOUNT"));
	CHECK_INT(file_write(path, broken, strlen(broken), 0600), 0);
	expect_trouble(&f, "authority's certificate or our own with its key, cannot be used");
	CHECK_STR(buf_cstr(&f.told), "");
	done(&f);
}

TEST(another_name_is_a_sentence)
{
	api_handler *const script[] = { list_one };
	struct api_server *s = api_server_new(script, 1);
	char why[KUBE_WHY_SIZE];
	struct follower f = { .loop = loop_new(), .server = s };

	setenv("KUBERNETES_SERVICE_HOST", "localhost", 1);
	CHECK_INT(kube_api_new(f.loop, NULL, &f.api, why), 0);
	f.watch = kube_watch_new(&(struct kube_watch_config){ .loop = f.loop,
							      .api = f.api,
							      .path = "/api/v1/services",
							      .kind = "Service",
							      .events = &events,
							      .owner = &f });
	expect_trouble(&f, "is for another name");
	done(&f);
}

TEST(a_server_that_is_away_is_waited_for)
{
	api_handler *const script[] = { list_one };
	struct follower f;

	FOLLOW(&f, script, false);
	setenv("KUBERNETES_SERVICE_PORT", "1", 1);
	kube_watch_free(f.watch);
	kube_api_free(f.api);
	CHECK_INT(kube_api_new(f.loop, NULL, &f.api, f.trouble), 0);
	f.watch = kube_watch_new(&(struct kube_watch_config){ .loop = f.loop,
							      .api = f.api,
							      .path = "/api/v1/services",
							      .kind = "Service",
							      .events = &events,
							      .owner = &f });
	expect_trouble(&f, "the API server https://127.0.0.1:1 does not answer");
	done(&f);
}

TEST_MAIN("kube-watch")
