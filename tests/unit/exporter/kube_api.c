/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Calls that are no watch, against an API server that answers as each test wants.
 */
#include "exporter/kube_api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "tests/fakes/api_server.h"
#include "tests/test.h"

struct called {
	int status;
	char text[512];
	bool done;
};

static void on_called(void *owner, int status, const char *text, size_t len)
{
	struct called *c = owner;

	CHECK(!c->done);
	c->done = true;
	c->status = status;
	snprintf(c->text, sizeof(c->text), "%.*s", (int)len, text);
}

static void echo_put(struct api_request *r)
{
	CHECK(strncmp(r->line, "PUT /x ", 7) == 0);
	CHECK_STR(r->body, "{}");
	api_reply(r, "409 Conflict", "", "{\"kind\":\"Status\",\"message\":\"changed\"}");
}

static void hold(struct api_request *r)
{
	api_begin(r);
	api_hold(r);
}

TEST(calls_are_answered_and_cancelled)
{
	api_handler *const script[] = { echo_put, hold };
	struct loop *l = loop_new();
	struct api_server *s = api_server_new(script, 2);
	struct kube_api *api;
	struct called one = { 0 }, slow = { 0 };
	struct kube_request r = {
		.method = "PUT", .path = "/x", .body = "{}", .done = on_called, .owner = &one
	};
	char why[KUBE_WHY_SIZE];
	struct kube_call *c;

	CHECK_INT(kube_api_new(l, NULL, &api, why), 0);
	kube_api_call(api, &r);
	CHECK(!one.done);
	while (!one.done)
		loop_turn(l, 50 * USEC_PER_MSEC);
	CHECK_INT(one.status, 409);
	CHECK(strstr(one.text, "changed"));
	/* One that is given up in time, one that is cancelled. */
	r.timeout_ms = 300;
	r.owner = &slow;
	kube_api_call(api, &r);
	r.owner = &one;
	c = kube_api_call(api, &r);
	loop_turn(l, 50 * USEC_PER_MSEC);
	kube_call_cancel(c);
	while (!slow.done)
		loop_turn(l, 50 * USEC_PER_MSEC);
	CHECK_INT(slow.status, -ETIMEDOUT);
	kube_api_free(api);
	api_server_free(s);
	loop_free(l);
}

TEST(an_authority_that_cannot_be_used_is_an_error_of_its_own)
{
	static const char *const texts[] = { "-----BEGIN CERTIFICATE-----\nabc\n", "" };
	api_handler *const script[] = { hold };
	struct loop *l = loop_new();
	struct api_server *s = api_server_new(script, 1);
	struct kube_api *api;
	char path[256], why[KUBE_WHY_SIZE];

	CHECK_INT(kube_api_new(l, NULL, &api, why), 0);
	snprintf(path, sizeof(path), "%s/ca.crt", getenv("WARREN_SERVICE_ACCOUNT"));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct called one = { 0 };

		CHECK_INT(file_write(path, texts[i], strlen(texts[i]), 0600), 0);
		kube_api_call(api, &(struct kube_request){ .method = "GET",
							   .path = "/x",
							   .timeout_ms = 5000,
							   .done = on_called,
							   .owner = &one });
		while (!one.done)
			loop_turn(l, 50 * USEC_PER_MSEC);
		CHECK_INT(one.status, -ENOKEY);
		CHECK(strstr(one.text, "authority's certificate"));
	}
	CHECK_INT(api_server_requests(s), 0);
	kube_api_free(api);
	api_server_free(s);
	loop_free(l);
}

TEST_MAIN("kube-api")
