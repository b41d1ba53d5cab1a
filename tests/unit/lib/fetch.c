/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/fetch.h"
#include "lib/http.h"
#include "lib/mem.h"
#include "tests/test.h"

/* The server is in the same loop. /later is kept, /busy says 503, all else is echoed. */
struct world {
	struct loop *loop;
	struct httpd *httpd;
	struct fetch_pool *pool;
	struct http_request *kept[64];
	unsigned kept_count, requests;
	char dir[64], path[96];
};

struct call {
	struct world *world;
	struct fetch *fetch;
	struct call *other; /* cancelled from inside a callback */
	unsigned opened, pieces, ended;
	bool stop, patient;
	int status;
	char text[256];
	size_t len;
};

static void handle(void *owner, struct http_request *r)
{
	struct world *w = owner;
	size_t len;
	const char *body = http_body(r, &len);
	char *text;

	w->requests++;
	if (strcmp(http_path(r), "/later") == 0) {
		w->kept[w->kept_count++ % ARRAY_SIZE(w->kept)] = r;
		return;
	}
	if (strcmp(http_path(r), "/long") == 0) {
		text = xcalloc(1, 100001);
		memset(text, 'x', 100000);
		http_reply(r, 200, NULL, text, 100000);
		free(text);
		return;
	}
	text = xasprintf("%s %s %.*s", http_method(r), http_path(r), (int)len, body);
	http_reply(r, strcmp(http_path(r), "/busy") == 0 ? 503 : 200, "text/plain", text,
		   strlen(text));
	free(text);
}

static void begin(struct world *w)
{
	char *address;

	*w = (struct world){ .loop = loop_new() };
	snprintf(w->dir, sizeof(w->dir), "/tmp/warren-fetch-XXXXXX");
	CHECK(mkdtemp(w->dir));
	snprintf(w->path, sizeof(w->path), "%s/socket", w->dir);
	address = xasprintf("unix:%s", w->path);
	CHECK_INT(httpd_new(w->loop,
			    &(struct httpd_config){ .address = address,
						    .mode = 0600,
						    .gid = (gid_t)-1,
						    .handler = handle,
						    .owner = w },
			    &w->httpd),
		  0);
	free(address);
	w->pool = fetch_pool_new(w->loop);
}

static void finish(struct world *w)
{
	fetch_pool_free(w->pool);
	for (unsigned i = 0; i < w->kept_count; i++)
		http_reply(w->kept[i], 200, NULL, "{}", 2);
	httpd_free(w->httpd);
	loop_free(w->loop);
	rmdir(w->dir);
}

static void on_open(void *owner)
{
	struct call *c = owner;

	c->opened++;
}

static bool on_data(void *owner, const char *piece, size_t len)
{
	struct call *c = owner;

	CHECK_INT(c->opened, 1);
	c->pieces++;
	c->len += len;
	snprintf(c->text, sizeof(c->text), "%.*s", (int)MIN(len, sizeof(c->text) - 1), piece);
	if (c->other) {
		fetch_cancel(c->other->fetch);
		c->other = NULL;
	}
	return !c->stop;
}

static void on_done(void *owner, int status, const char *text, size_t len)
{
	struct call *c = owner;

	c->ended++;
	c->status = status;
	if (!c->pieces) {
		c->len = len;
		snprintf(c->text, sizeof(c->text), "%.*s", (int)MIN(len, sizeof(c->text) - 1),
			 text);
	}
}

static void start(struct world *w, struct call *c, const char *path, bool streamed)
{
	char *url = xasprintf("http://localhost%s", path);

	c->world = w;
	c->fetch =
		fetch_start(w->pool, &(struct fetch_request){ .method = "POST",
							      .url = url,
							      .unix_path = w->path,
							      .body = "hello",
							      .timeout_ms = c->patient ? 0 : 1000,
							      .silent_ms = c->patient ? 60000 : 300,
							      .answer_max = 50000,
							      .opened = streamed ? on_open : NULL,
							      .data = streamed ? on_data : NULL,
							      .done = on_done,
							      .owner = c });
	free(url);
	CHECK(!c->ended);
}

static void until_ended(struct call *c)
{
	uint64_t until = clock_mono() + 5 * USEC_PER_SEC;

	while (!c->ended && clock_mono() < until)
		loop_turn(c->world->loop, 50 * USEC_PER_MSEC);
	CHECK_INT(c->ended, 1);
}

static void some_turns(struct world *w, unsigned n)
{
	while (n--)
		loop_turn(w->loop, 2 * USEC_PER_MSEC);
}

TEST(many_at_once)
{
	struct call c[40] = { 0 };
	struct world w;

	begin(&w);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		start(&w, &c[i], i % 2 ? "/a" : "/busy", i % 3 == 0);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		until_ended(&c[i]);
		CHECK_INT(c[i].status, i % 2 ? 200 : 503);
		CHECK_STR(c[i].text, i % 2 ? "POST /a hello" : "POST /busy hello");
		/* Only an answer 200 is streamed. */
		CHECK_INT(c[i].opened, i % 2 && i % 3 == 0);
		CHECK_INT(c[i].pieces > 0, i % 2 && i % 3 == 0);
	}
	CHECK_INT(w.requests, ARRAY_SIZE(c));
	finish(&w);
}

TEST(answers_are_bounded_but_for_streams)
{
	struct call kept = { 0 }, streamed = { 0 }, stopped = { .stop = true };
	struct world w;

	begin(&w);
	start(&w, &kept, "/long", false);
	start(&w, &streamed, "/long", true);
	start(&w, &stopped, "/long", true);
	until_ended(&kept);
	CHECK_INT(kept.status, -EFBIG);
	until_ended(&streamed);
	CHECK_INT(streamed.status, 200);
	CHECK_INT(streamed.len, 100000);
	until_ended(&stopped);
	CHECK_INT(stopped.status, -ECANCELED);
	CHECK_INT(stopped.pieces, 1);
	finish(&w);
}

TEST(cancelled_is_never_heard_of)
{
	struct call early = { 0 }, waiting = { 0 }, inside = { 0 }, itself = { 0 };
	struct world w;

	begin(&w);
	start(&w, &early, "/a", false);
	fetch_cancel(early.fetch);
	start(&w, &waiting, "/later", false);
	some_turns(&w, 20);
	CHECK_INT(w.kept_count, 1);
	inside.other = &waiting;
	itself.other = &itself;
	start(&w, &inside, "/a", true);
	start(&w, &itself, "/a", true);
	until_ended(&inside);
	some_turns(&w, 200);
	CHECK_INT(early.ended, 0);
	CHECK_INT(waiting.ended, 0);
	CHECK_INT(itself.pieces, 1);
	CHECK_INT(itself.ended, 0);
	CHECK_INT(w.requests, 3);
	CHECK(http_request_gone(w.kept[0]));
	finish(&w);
}

TEST(silence_ends_it)
{
	struct call c = { 0 }, again = { 0 };
	uint64_t from = clock_mono();
	struct world w;

	begin(&w);
	start(&w, &c, "/later", true);
	until_ended(&c);
	CHECK_INT(c.status, -ETIMEDOUT);
	CHECK_STR(c.text, "nothing was heard for 0 s");
	CHECK(clock_mono() - from >= 300 * USEC_PER_MSEC);
	CHECK(clock_mono() - from < 900 * USEC_PER_MSEC);
	start(&w, &again, "/a", false);
	until_ended(&again);
	CHECK_INT(again.status, 200);
	finish(&w);
}

TEST(silence_ends_what_was_quiet_beside_it)
{
	struct call quiet = { .patient = true }, lost = { 0 }, young = { .patient = true };
	struct world w;

	begin(&w);
	start(&w, &quiet, "/later", true);
	some_turns(&w, 5);
	start(&w, &lost, "/later", true);
	some_turns(&w, 5);
	start(&w, &young, "/later", true);
	until_ended(&lost);
	until_ended(&quiet);
	CHECK_INT(quiet.status, -ETIMEDOUT);
	CHECK_STR(quiet.text, "another request got no answer, and this is quiet");
	some_turns(&w, 20);
	CHECK_INT(young.ended, 0);
	finish(&w);
}

TEST(the_pool_may_go_first)
{
	struct call c[3] = { 0 };
	struct world w;

	begin(&w);
	start(&w, &c[0], "/later", false);
	start(&w, &c[1], "/a", true);
	some_turns(&w, 5);
	fetch_pool_renew(w.pool);
	start(&w, &c[2], "/later", false);
	some_turns(&w, 5);
	finish(&w);
	CHECK_INT(c[0].ended + c[2].ended, 0);
}

TEST(no_server_has_a_reason)
{
	struct call c = { 0 };
	struct world w;

	begin(&w);
	httpd_free(w.httpd);
	w.httpd = NULL;
	start(&w, &c, "/a", false);
	until_ended(&c);
	CHECK_INT(c.status, -ENOENT);
	CHECK(*c.text);
	finish(&w);
}

TEST_MAIN("fetch")
