/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinator/api.h"

#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/coordinator/rig.h"

static struct rig rig;
static struct api *api;
static char base[128];

/* The server is in our loop, the client blocks: it is on a thread. */
struct call {
	struct http_call call;
	struct buf answer;
	int status;
	atomic_bool done;
};

static void *call_thread(void *arg)
{
	struct call *c = arg;

	c->status = http_call(&c->call, &c->answer);
	c->done = true;
	loop_wake(rig.loop);
	return NULL;
}

/* The answer is borrowed until the next call. */
static int call(const char *method, const char *path, const char *body, const char **ret_answer)
{
	static struct call c;
	pthread_t thread;

	buf_done(&c.answer);
	c = (struct call){ .call = { .base = base,
				     .method = method,
				     .path = path,
				     .body = body,
				     .timeout_ms = 5000 } };
	CHECK_INT(pthread_create(&thread, NULL, call_thread, &c), 0);
	RIG_UNTIL(&rig, c.done, 6000);
	pthread_join(thread, NULL);
	*ret_answer = buf_cstr(&c.answer);
	return c.status;
}

/* With the status that it must have. */
static const char *checked_call(int line, const char *method, const char *path, const char *body,
				int status)
{
	const char *answer;
	int is = call(method, path, body, &answer);

	if (is != status)
		test_end(false, "line %d: %s %s is answered %d, not %d: %.300s", line, method, path,
			 is, status, answer);
	return answer;
}

#define CALL(...) checked_call(__LINE__, __VA_ARGS__)

#define CALL_ERROR(method, path, body, status_, code)                                              \
	do {                                                                                       \
		const char *text_ = CALL(method, path, body, status_);                             \
		CHECK(strstr(text_, "{\"error\":{\"code\":\"" code "\",\"message\":\"") == text_); \
	} while (0)

static void serve(void)
{
	struct api_config config = { .address = base };
	char error[256] = "";

	snprintf(base, sizeof(base), "unix:%s/api.sock", rig.broker.dir);
	CHECK_INT(api_new(rig.loop, &rig.authority, rig.session, &config, &api, error,
			  sizeof(error)),
		  0);
}

/* No broker: the API does not need one. */
static void begin(void)
{
	test_broker_init(&rig.broker, "localhost", 1);
	rig_start(&rig);
	serve();
}

static void end(void)
{
	api_free(api);
	rig_end(&rig);
}

#define DC1 "{\"name\":\"dc1\",\"ranges\":[\"10.36.50.0/24\",\"fd36:50::/64\"]}"

TEST(network_create_show_list)
{
	const char *answer;
	char *shown;

	begin();
	CHECK_STR(CALL("GET", "/v1/networks", NULL, 200), "[]");
	answer = CALL("POST", "/v1/networks", DC1, 201);
	CHECK_STR(answer, "{\"name\":\"dc1\",\"ranges\":[\"10.36.50.0/24\",\"fd36:50::/64\"],"
			  "\"mtu\":1420,\"keepalive\":20,\"port\":51830,\"max_stale\":\"never\","
			  "\"nodes\":0,\"orphans\":[]}");
	shown = xasprintf("[%s]", answer);
	CHECK_STR(CALL("GET", "/v1/networks", NULL, 200), shown);
	shown[strlen(shown) - 1] = '\0';
	CHECK_STR(CALL("GET", "/v1/networks/dc1", NULL, 200), shown + 1);
	free(shown);
	CALL_ERROR("POST", "/v1/networks", DC1, 409, "exists");
	end();
}

TEST(network_set_keeps_what_is_not_named)
{
	const char *answer;

	begin();
	CALL("POST", "/v1/networks", DC1, 201);
	answer = CALL("PATCH", "/v1/networks/dc1", "{\"mtu\":1380,\"max_stale\":\"7d\"}", 200);
	CHECK(strstr(answer, "\"mtu\":1380,\"keepalive\":20,\"port\":51830,\"max_stale\":\"7d\""));
	answer = CALL("PATCH", "/v1/networks/dc1", "{\"keepalive\":0}", 200);
	/* 0 is off, and left out. */
	CHECK(strstr(answer, "\"mtu\":1380,\"port\":51830,\"max_stale\":\"7d\""));
	CALL_ERROR("PATCH", "/v1/networks/dc2", "{\"mtu\":1380}", 404, "unknown_network");
	CALL_ERROR("PATCH", "/v1/networks/dc1", "{\"mtu\":1}", 400, "schema");
	end();
}

TEST(network_delete)
{
	begin();
	CALL("POST", "/v1/networks", DC1, 201);
	CHECK_STR(CALL("DELETE", "/v1/networks/dc1", NULL, 204), "");
	CHECK_STR(CALL("GET", "/v1/networks", NULL, 200), "[]");
	CALL_ERROR("DELETE", "/v1/networks/dc1", NULL, 404, "unknown_network");
	end();
}

TEST(network_release)
{
	begin();
	CALL("POST", "/v1/networks", DC1, 201);
	CHECK_INT(network_orphan_add(&rig.authority, "dc1", "aaaaaaaaaaaaaaaa", "{}"), 0);
	CHECK(strstr(CALL("GET", "/v1/networks/dc1", NULL, 200),
		     "\"orphans\":[{\"id\":\"aaaaaaaaaaaaaaaa\"}]"));
	CHECK_STR(CALL("POST", "/v1/networks/dc1/release", NULL, 200), "{\"released\":1}");
	CHECK_STR(CALL("POST", "/v1/networks/dc1/release", "{}", 200), "{\"released\":0}");
	CALL_ERROR("POST", "/v1/networks/dc2/release", NULL, 404, "unknown_network");
	end();
}

TEST(wrong_bodies_say_path_and_reason)
{
	const char *answer;

	begin();
	answer = CALL("POST", "/v1/networks", "{\"name\":\"dc1\",\"ranges\":[\"10.0.0.0\"]}", 400);
	CHECK(strstr(answer, "ranges[0]"));
	answer = CALL("POST", "/v1/networks", "{\"ranges\":[\"10.0.0.0/24\"]}", 400);
	CHECK(strstr(answer, "name is missing"));
	CALL_ERROR("POST", "/v1/networks", "{\"name\":", 400, "json");
	CALL_ERROR("POST", "/v1/networks", NULL, 400, "json");
	CALL_ERROR("POST", "/v1/networks", "{\"name\":\"a\",\"name\":\"b\",\"ranges\":[]}", 400,
		   "schema");
	CHECK_STR(CALL("GET", "/v1/networks", NULL, 200), "[]");
	end();
}

TEST(unknown_paths_and_methods)
{
	begin();
	CALL_ERROR("GET", "/", NULL, 404, "path");
	CALL_ERROR("GET", "/v1/networks/", NULL, 404, "path");
	CALL_ERROR("GET", "/v1/networks/dc1/x", NULL, 404, "path");
	CALL_ERROR("GET", "/v1/networks/dc1/release", NULL, 405, "method");
	CALL_ERROR("PUT", "/v1/networks", "{}", 405, "method");
	end();
}

TEST(tokens)
{
	struct token token = { 0 };
	struct api_token created = { 0 };
	struct arena arena = { 0 };
	struct json_error err;
	char error[256] = "", *path;
	const char *answer;

	begin();
	CALL("POST", "/v1/networks", DC1, 201);
	CHECK_STR(CALL("GET", "/v1/tokens", NULL, 200), "[]");
	answer = CALL("POST", "/v1/tokens",
		      "{\"network\":\"dc1\",\"uses\":1,\"tags\":[\"db\"],\"site\":\"here\"}", 201);
	CHECK_INT(json_decode(&arena, answer, strlen(answer), api_token_fields, &created, &err), 0);
	CHECK_INT(token_parse(created.token, &token, error, sizeof(error)), 0);
	CHECK_STR(token.id, created.id);
	CHECK_STR(token.network, "dc1");
	token_done(&token);
	/* It is said once. */
	answer = CALL("GET", "/v1/tokens?network=dc1", NULL, 200);
	CHECK(strstr(answer, created.id));
	CHECK(!strstr(answer, "warren1-"));
	CALL_ERROR("GET", "/v1/tokens?network=dc2", NULL, 404, "unknown_network");
	CALL_ERROR("POST", "/v1/tokens", "{\"network\":\"dc2\"}", 404, "unknown_network");
	path = xasprintf("/v1/tokens/%s", created.id);
	CHECK_STR(CALL("DELETE", path, NULL, 204), "");
	CHECK(strstr(CALL("GET", "/v1/tokens", NULL, 200), "\"revoked\":true"));
	CALL_ERROR("DELETE", "/v1/tokens/aaaaaaaaaaaaaaaa", NULL, 404, "unknown_token");
	free(path);
	arena_done(&arena);
	end();
}

TEST(nodes)
{
	struct watcher w;
	struct joiner j;
	const char *answer;
	char *path;

	rig_begin(&rig);
	serve();
	watch_start(&w, &rig, "watcher");
	CALL("POST", "/v1/networks", DC1, 201);
	CHECK_STR(CALL("GET", "/v1/nodes", NULL, 200), "[]");
	rig_join(&rig, &w, &j, "dc1", "n1");
	path = xasprintf("/v1/nodes/%s", j.identity.id);
	answer = CALL("GET", "/v1/nodes?network=dc1", NULL, 200);
	CHECK(strstr(answer, j.identity.id));
	CHECK(strstr(answer, "\"addresses\":[\"10.36.50.1\",\"fd36:50::1\"]"));
	CHECK(strstr(CALL("GET", path, NULL, 200), "\"name\":\"n1\""));
	CHECK(strstr(CALL("PATCH", "/v1/nodes/n1", "{\"name\":\"db1.example\"}", 200),
		     "\"name\":\"db1\""));
	CHECK(strstr(CALL("GET", "/v1/nodes/db1", NULL, 200), j.identity.id));
	CALL_ERROR("PATCH", "/v1/nodes/n1", "{\"name\":\"x\"}", 404, "unknown_node");
	CALL_ERROR("PATCH", path, "{}", 400, "schema");
	CHECK(strstr(CALL("GET", "/v1/networks/dc1", NULL, 200), "\"nodes\":1"));
	CALL_ERROR("DELETE", "/v1/networks/dc1", NULL, 409, "not_empty");
	CHECK_STR(CALL("DELETE", path, NULL, 204), "");
	CHECK_STR(CALL("GET", "/v1/nodes", NULL, 200), "[]");
	CALL_ERROR("DELETE", path, NULL, 404, "unknown_node");
	free(path);
	joiner_done(&j);
	watch_stop(&w);
	end();
}

TEST(lost_network_is_explained)
{
	const char *answer;

	rig_begin(&rig);
	serve();
	CALL("POST", "/v1/networks", DC1, 201);
	rig_settle(&rig);
	CHECK(!strstr(CALL("GET", "/v1/networks/dc2", NULL, 404), "the broker holds it"));
	api_free(api);
	rig_stop(&rig);
	rig_remove_database(&rig);
	rig_start(&rig);
	rig_ready(&rig);
	serve();
	answer = CALL("GET", "/v1/networks/dc1", NULL, 404);
	CHECK(strstr(answer, "\"unknown_network\""));
	CHECK(strstr(answer, "the broker holds it"));
	CHECK_STR(CALL("GET", "/v1/networks", NULL, 200), "[]");
	end();
}

TEST(status)
{
	struct api_coordinator_status s = { 0 };
	struct arena arena = { 0 };
	struct json_error err;
	const char *answer;

	begin();
	rig_wait(&rig, 300);
	answer = CALL("GET", "/v1/status", NULL, 200);
	CHECK_INT(json_decode(&arena, answer, strlen(answer), api_coordinator_status_fields, &s,
			      &err),
		  0);
	CHECK_STR(s.mesh, rig.keys.mesh);
	CHECK_STR(s.version, WARREN_VERSION);
	CHECK(!s.connected);
	CHECK(s.broker_error);
	test_broker_start(&rig.broker);
	RIG_UNTIL(&rig, session_is_connected(rig.session), 10000);
	CHECK(strstr(CALL("GET", "/v1/status", NULL, 200), "\"connected\":true"));
	arena_done(&arena);
	end();
}

TEST(socket_is_for_owner_and_group)
{
	struct stat st;

	begin();
	CHECK_INT(stat(base + 5, &st), 0);
	CHECK_INT(st.st_mode & 0777, 0660);
	end();
	CHECK_INT(stat(base + 5, &st), -1);
}

TEST(taken_socket_is_refused)
{
	struct api_config config = { .address = base };
	struct api *second;
	char error[256] = "";

	begin();
	CHECK_INT(api_new(rig.loop, &rig.authority, rig.session, &config, &second, error,
			  sizeof(error)),
		  -EADDRINUSE);
	CHECK(strstr(error, "taken"));
	CHECK(strstr(CALL("GET", "/v1/status", NULL, 200), "mesh"));
	end();
}

#define GATEWAY                                                                                    \
	"{\"network\":\"dc1\",\"tag\":\"gw\",\"site\":\"cloud\",\"ranges\":[\"10.44.0.0/16\"]}"

TEST(gateway_create_set_delete)
{
	const char *answer;
	char id[GATEWAY_ID_SIZE], *path, *list;

	begin();
	CALL("POST", "/v1/networks", DC1, 201);
	answer = CALL("POST", "/v1/gateways", GATEWAY, 201);
	CHECK(strstr(answer, "{\"id\":\"") == answer);
	snprintf(id, sizeof(id), "%s", answer + strlen("{\"id\":\""));
	CHECK_STR(answer + strlen("{\"id\":\"") + GATEWAY_ID_LEN,
		  "\",\"network\":\"dc1\",\"site\":\"cloud\",\"nodes\":[],\"tag\":\"gw\","
		  "\"ranges\":[\"10.44.0.0/16\"],\"as\":[],\"nat\":\"masquerade\","
		  "\"priority\":100}");
	list = xasprintf("[%s]", answer);
	path = xasprintf("/v1/gateways/%s", id);
	CHECK_STR(CALL("GET", "/v1/gateways?network=dc1", NULL, 200), list);
	CALL_ERROR("GET", "/v1/gateways?network=dc2", NULL, 404, "unknown_network");
	/* What is not named stays. */
	answer = CALL("PATCH", path, "{\"priority\":0}", 200);
	CHECK(strstr(answer, "[\"10.44.0.0/16\"],\"as\":[],\"nat\":\"masquerade\",\"priority\":0"));
	answer = CALL("PATCH", path, "{\"nat\":\"none\",\"ranges\":[\"10.45.0.0/16\"]}", 200);
	CHECK(strstr(answer, "[\"10.45.0.0/16\"],\"as\":[],\"nat\":\"none\",\"priority\":0"));
	CALL_ERROR("PATCH", path, "{\"ranges\":[\"10.36.50.0/25\"]}", 409, "overlap");
	CALL_ERROR("PATCH", path, "{\"nat\":\"some\"}", 400, "schema");
	CHECK(strstr(CALL("GET", path, NULL, 200), "10.45.0.0/16"));
	CHECK_STR(CALL("DELETE", path, NULL, 204), "");
	CALL_ERROR("DELETE", path, NULL, 404, "unknown_gateway");
	CALL_ERROR("GET", path, NULL, 404, "unknown_gateway");
	CALL_ERROR("POST", "/v1/gateways", "{\"network\":\"dc1\"}", 400, "node");
	free(path);
	free(list);
	end();
}

#define ORDERS "{\"name\":\"orders-db\",\"network\":\"dc1\",\"addresses\":[\"10.36.50.9\"]}"

TEST(names_and_exporters)
{
	begin();
	CALL("POST", "/v1/networks", DC1, 201);
	CHECK_STR(CALL("POST", "/v1/names", ORDERS, 201), ORDERS);
	CHECK_STR(CALL("GET", "/v1/names", NULL, 200), "[" ORDERS "]");
	CALL_ERROR("POST", "/v1/names", ORDERS, 409, "exists");
	CALL_ERROR("POST", "/v1/names",
		   "{\"name\":\"a.b\",\"network\":\"dc1\",\"addresses\":[\"10.36.50.9\"]}", 400,
		   "schema");
	CHECK_STR(CALL("GET", "/v1/dns?network=dc1", NULL, 200),
		  "[{\"name\":\"orders-db.dc1\",\"network\":\"dc1\",\"from\":\"name\","
		  "\"addresses\":[\"10.36.50.9\"]}]");
	CALL_ERROR("GET", "/v1/dns?network=dc2", NULL, 404, "unknown_network");
	/* Two words of the path. */
	CALL_ERROR("DELETE", "/v1/names/dc1", NULL, 404, "path");
	CALL_ERROR("DELETE", "/v1/names/dc1/", NULL, 404, "path");
	CALL_ERROR("DELETE", "/v1/names/dc1/orders-db/x", NULL, 404, "path");
	CALL_ERROR("DELETE", "/v1/names/orders-db/dc1", NULL, 404, "unknown_name");
	CHECK_STR(CALL("DELETE", "/v1/names/dc1/orders-db", NULL, 204), "");
	CHECK_STR(CALL("GET", "/v1/names", NULL, 200), "[]");
	CHECK_STR(CALL("GET", "/v1/exporters", NULL, 200), "[]");
	CALL_ERROR("DELETE", "/v1/exporters/aaaaaaaaaaaaaaaa", NULL, 404, "unknown_exporter");
	end();
}

TEST(empty_key_admits_nobody)
{
	char address[32], error[256] = "";
	struct api_config config = { .address = address, .bearer = "" };
	struct api *none = NULL;

	begin();
	snprintf(address, sizeof(address), "127.0.0.1:%u", test_free_port(1));
	CHECK_INT(api_new(rig.loop, &rig.authority, rig.session, &config, &none, error,
			  sizeof(error)),
		  -EINVAL);
	CHECK(strstr(error, "api.key"));
	end();
}

TEST_MAIN("api")
