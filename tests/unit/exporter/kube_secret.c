/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Secret read and written, against an API server that has one and does to it what each test wants.
 */
#include "exporter/kube_secret.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/text.h"
#include "tests/fakes/api_server.h"
#include "tests/test.h"
#include "tests/turn.h"

/* What the server has, which its threads change, one request at a time; and what it does to a write. */
enum deed { TAKE, LOSE_THE_ANSWER, REFUSE, CONFLICT, NO_NAMESPACE };
static struct {
	char state[8192]; /* base64; "": none */
	unsigned version; /* 0: there is no Secret */
	atomic_uint writes;
	_Atomic enum deed deed;
} server;

static void tell(struct api_request *r)
{
	char *text =
		xasprintf("{\"kind\":\"Secret\",\"metadata\":{\"name\":\"x\",\"resourceVersion\":"
			  "\"%u\"},\"data\":{\"state\":\"%s\"}}",
			  server.version, server.state);

	api_reply(r, "200 OK", "", text);
	free(text);
}

static void refuse(struct api_request *r, const char *status, const char *message)
{
	char *text = xasprintf("{\"kind\":\"Status\",\"code\":%d,\"message\":\"%s\"}", atoi(status),
			       message);

	api_reply(r, status, "", text);
	free(text);
}

static void take(struct api_request *r)
{
	const char *state = strstr(r->body, "\"state\":\"");
	char over[32] = "";

	CHECK(state);
	if (server.version)
		snprintf(over, sizeof(over), "\"resourceVersion\":\"%u\"", server.version);
	if (!strstr(r->body, over) || (!server.version) != (strncmp(r->line, "POST", 4) == 0)) {
		refuse(r, "409 Conflict", "the object has been modified");
		return;
	}
	state += strlen("\"state\":\"");
	snprintf(server.state, sizeof(server.state), "%.*s", (int)strcspn(state, "\""), state);
	server.version++;
	if (server.deed == LOSE_THE_ANSWER)
		refuse(r, "504 Gateway Timeout", "it took too long");
	else
		tell(r);
	server.deed = TAKE;
}

static void answer(struct api_request *r)
{
	enum deed deed;

	if (strncmp(r->line, "GET ", 4) == 0) {
		if (server.version)
			tell(r);
		else
			refuse(r, "404 Not Found", "secrets x not found");
		return;
	}
	server.writes++;
	deed = server.deed;
	switch (deed) {
	case TAKE:
	case LOSE_THE_ANSWER:
		take(r);
		break;
	case REFUSE:
		refuse(r, "403 Forbidden", "secrets is forbidden");
		break;
	case CONFLICT:
		refuse(r, "409 Conflict", "the object has been modified");
		break;
	case NO_NAMESPACE:
		refuse(r, "404 Not Found", "namespaces warren not found");
		break;
	}
}

/* ---- who asks ---- */

static char tls_key[] = "a key";

struct owner {
	struct loop *loop;
	struct api_server *server;
	struct kube_api *api;
	struct kube_secret *secret;
	uint64_t connection; /* of what is to be written */
	unsigned loads, stores;
	bool found; /* at the load */
	char failure[KUBE_WHY_SIZE], trouble[KUBE_WHY_SIZE];
};

static void on_loaded(void *arg, const struct secret_state *s)
{
	struct owner *o = arg;

	o->loads++;
	o->found = s;
	if (s)
		CHECK_STR(s->tls_key, tls_key);
}

static void on_state(void *arg, struct secret_state *ret)
{
	struct owner *o = arg;

	memset(ret->secret, 7, KEY_LEN);
	ret->tls_key = tls_key;
	ret->connection = o->connection;
}

static void on_stored(void *arg)
{
	struct owner *o = arg;

	o->stores++;
}

static void on_failed(void *arg, const char *sentence)
{
	struct owner *o = arg;

	CHECK(!*o->failure);
	snprintf(o->failure, sizeof(o->failure), "%s", sentence);
}

static void on_trouble(void *arg, const char *sentence)
{
	struct owner *o = arg;

	snprintf(o->trouble, sizeof(o->trouble), "%s", sentence ? sentence : "");
}

/* What stands in the Secret, as a leader with `connection` writes it. */
static void stands(uint64_t connection)
{
	struct secret_state s = { .tls_key = tls_key, .connection = connection };
	struct buf text = { 0 };

	memset(s.secret, 7, KEY_LEN);
	secret_state_encode(&s, &text);
	base64_encode(text.data, text.len, server.state);
	server.version++;
	buf_done(&text);
}

static void begin(struct owner *o)
{
	static api_handler *const script[] = { answer };
	char why[KUBE_WHY_SIZE];

	server.writes = 0;
	server.deed = TAKE;
	*o = (struct owner){ .loop = loop_new(),
			     .server = api_server_new(script, 1),
			     .connection = 20 };
	CHECK_INT(kube_api_new(o->loop, NULL, &o->api, why), 0);
	o->secret = kube_secret_new(&(struct kube_secret_config){ .loop = o->loop,
								  .api = o->api,
								  .name = "x",
								  .loaded = on_loaded,
								  .state = on_state,
								  .stored = on_stored,
								  .failed = on_failed,
								  .trouble = on_trouble,
								  .owner = o });
}

static void end(struct owner *o)
{
	kube_secret_free(o->secret);
	kube_api_free(o->api);
	api_server_free(o->server);
	loop_free(o->loop);
	server.version = 0;
	server.state[0] = '\0';
}

#define UNTIL(o, condition) TURN_UNTIL((o)->loop, condition, 8000)

/* ---- tests ---- */

TEST(is_made_then_written_over_its_version)
{
	struct owner o;

	begin(&o);
	UNTIL(&o, o.loads == 1);
	CHECK(!o.found);
	kube_secret_store(o.secret);
	UNTIL(&o, o.stores == 1);
	CHECK(strstr(api_server_line(o.server, 1), "POST /api/v1/namespaces/warren/secrets HTTP"));
	/* Several at once are one. */
	kube_secret_store(o.secret);
	kube_secret_store(o.secret);
	UNTIL(&o, o.stores == 2);
	CHECK(strstr(api_server_line(o.server, 2), "PATCH /api/v1/namespaces/warren/secrets/x "));
	CHECK_INT(server.version, 2);
	CHECK_INT(server.writes, 2);
	CHECK(!*o.failure && !*o.trouble);
	end(&o);
}

TEST(what_is_there_is_read)
{
	struct owner o;

	stands(3);
	begin(&o);
	UNTIL(&o, o.loads == 1);
	CHECK(o.found);
	end(&o);
	snprintf(server.state, sizeof(server.state), "e30=");
	server.version = 1;
	begin(&o);
	UNTIL(&o, *o.failure);
	CHECK(strstr(o.failure, "broken: secret is missing; delete it, and start the exporter"));
	CHECK_INT(o.loads, 0);
	end(&o);
}

TEST(an_answer_that_was_lost_is_looked_for)
{
	struct owner o;

	stands(3);
	begin(&o);
	UNTIL(&o, o.loads == 1);
	server.deed = LOSE_THE_ANSWER;
	kube_secret_store(o.secret);
	UNTIL(&o, *o.trouble);
	CHECK_INT(o.stores, 0);
	/* It waits before it asks again, also when there is more to write. */
	kube_secret_store(o.secret);
	turn_for(o.loop, 300);
	CHECK_INT(server.writes, 1);
	UNTIL(&o, o.stores == 1);
	CHECK_INT(server.version, 3);
	CHECK(!*o.failure && !*o.trouble);
	end(&o);
}

TEST(anothers_word_is_not_written_over)
{
	struct owner o;

	stands(3);
	begin(&o);
	UNTIL(&o, o.loads == 1);
	stands(21); /* one who led after us */
	kube_secret_store(o.secret);
	UNTIL(&o, *o.failure);
	CHECK_STR(o.failure, "the Secret x in namespace warren was written by another meanwhile");
	CHECK_INT(o.stores, 0);
	CHECK_INT(server.version, 2);
	end(&o);
}

TEST(what_others_touched_is_written_over)
{
	struct owner o;

	stands(3);
	begin(&o);
	UNTIL(&o, o.loads == 1);
	server.version++; /* a label */
	kube_secret_store(o.secret);
	UNTIL(&o, o.stores == 1);
	CHECK_INT(server.version, 3);
	server.version = 0; /* deleted */
	kube_secret_store(o.secret);
	UNTIL(&o, o.stores == 2);
	CHECK_INT(server.version, 1);
	CHECK(!*o.failure && !*o.trouble);
	end(&o);
}

static void check_patience(enum deed deed, const char *sentence)
{
	struct owner o;

	stands(3);
	begin(&o);
	UNTIL(&o, o.loads == 1);
	server.deed = deed;
	kube_secret_store(o.secret);
	UNTIL(&o, *o.trouble);
	if (!strstr(o.trouble, sentence))
		CHECK_STR(o.trouble, sentence);
	turn_for(o.loop, 300);
	CHECK(server.writes <= 2);
	server.deed = TAKE;
	UNTIL(&o, o.stores == 1);
	CHECK(!*o.failure && !*o.trouble);
	end(&o);
}

TEST(what_is_refused_is_told_and_tried_again_with_patience)
{
	check_patience(REFUSE, "may not patch the Secret x in namespace warren (secrets is "
			       "forbidden); add to the rules of our Role there: ");
	check_patience(CONFLICT, "cannot patch the Secret x in namespace warren: 409 the object");
	check_patience(NO_NAMESPACE,
		       "cannot patch the Secret x in namespace warren: 404 namespaces "
		       "warren not found");
}

TEST_MAIN("kube_secret")
