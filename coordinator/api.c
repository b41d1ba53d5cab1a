/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The API: finds the handler of a request and sends its answer. Owns the HTTP server; main thread.
 */
#include "coordinator/api.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/api_private.h"
#include "coordinator/paths.h"

#define SOCKET_MODE 0660

/* What stands in braces is one segment: the call's `name`, then its `second`. schemas/openapi-coordinator.yaml
 * describes the same paths; a test compares. */
static const struct route {
	const char *method;
	const char *path;
	unsigned status; /* when it is done */
	api_handler *handler;
} routes[] = {
	{ "GET", "/v1/networks", 200, api_network_list },
	{ "POST", "/v1/networks", 201, api_network_create },
	{ "GET", "/v1/networks/{name}", 200, api_network_show },
	{ "PATCH", "/v1/networks/{name}", 200, api_network_set },
	{ "DELETE", "/v1/networks/{name}", 204, api_network_delete },
	{ "POST", "/v1/networks/{name}/release", 200, api_network_release },
	{ "GET", "/v1/tokens", 200, api_token_list },
	{ "POST", "/v1/tokens", 201, api_token_create },
	{ "DELETE", "/v1/tokens/{id}", 204, api_token_revoke },
	{ "GET", "/v1/nodes", 200, api_node_list },
	{ "GET", "/v1/nodes/{node}", 200, api_node_show },
	{ "PATCH", "/v1/nodes/{node}", 200, api_node_rename },
	{ "DELETE", "/v1/nodes/{node}", 204, api_node_remove },
	{ "GET", "/v1/gateways", 200, api_gateway_list },
	{ "POST", "/v1/gateways", 201, api_gateway_create },
	{ "GET", "/v1/gateways/{id}", 200, api_gateway_show },
	{ "PATCH", "/v1/gateways/{id}", 200, api_gateway_set },
	{ "DELETE", "/v1/gateways/{id}", 204, api_gateway_delete },
	{ "GET", "/v1/names", 200, api_name_list },
	{ "POST", "/v1/names", 201, api_name_add },
	{ "DELETE", "/v1/names/{network}/{name}", 204, api_name_delete },
	{ "GET", "/v1/exporters", 200, api_exporter_list },
	{ "DELETE", "/v1/exporters/{id}", 204, api_exporter_remove },
	{ "GET", "/v1/dns", 200, api_dns_list },
	{ "GET", "/v1/status", 200, api_status },
};

/* ---- for the handlers ---- */

int api_body(struct api_call *c, const struct json_field *fields, void *ret)
{
	char text[JSON_ERROR_SIZE];
	struct json_error err;
	const char *body;
	size_t len;

	body = http_body(c->request, &len);
	if (json_decode(&c->arena, body ? body : "", len, fields, ret, &err) < 0)
		return refuse(&c->why, 400, err.syntax ? "json" : "schema", "%s",
			      json_error_text(&err, text));
	return 0;
}

void api_array(struct api_call *c, const struct json_field *fields, const void *elements,
	       size_t size, size_t count)
{
	buf_char(&c->answer, '[');
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_char(&c->answer, ',');
		json_encode(&c->answer, fields, (const char *)elements + i * size);
	}
	buf_char(&c->answer, ']');
}

void api_log(const struct api_call *c, const char *event, const char *what)
{
	long uid = http_peer_uid(c->request);
	char who[32] = "bearer";

	if (uid >= 0)
		snprintf(who, sizeof(who), "uid:%ld", uid);
	log_info(event, "by=%s %s", who, what);
}

/* ---- routing ---- */

/* Does the path fit? The segments in braces are copied. */
static bool fits(const char *pattern, const char *path, struct api_call *c)
{
	const char **found[] = { &c->name, &c->second };
	size_t count = 0;

	c->name = c->second = NULL;
	while (*pattern && *path) {
		if (*pattern == '{' && count < ARRAY_SIZE(found)) {
			size_t n = strcspn(path, "/");

			if (n == 0)
				return false;
			*found[count++] = arena_strndup(&c->arena, path, n);
			pattern = strchr(pattern, '}') + 1;
			path += n;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return !*pattern && !*path;
}

static const struct route *find_route(struct api_call *c)
{
	const char *method = http_method(c->request), *path = http_path(c->request);
	bool path_known = false;

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (!fits(routes[i].path, path, c))
			continue;
		path_known = true;
		if (strcmp(routes[i].method, method) == 0)
			return &routes[i];
	}
	if (path_known)
		refuse(&c->why, 405, "method", "%s does not take %s", log_quote(path),
		       log_quote(method));
	else
		refuse(&c->why, 404, "path", "there is no %s here", log_quote(path));
	return NULL;
}

static void answer_error(struct api_call *c)
{
	struct api_error e = { .error = { .code = c->why.code, .message = c->why.message } };

	buf_clear(&c->answer);
	json_encode(&c->answer, api_error_fields, &e);
	http_reply(c->request, c->why.status, NULL, c->answer.data, c->answer.len);
}

/* A list of one network is not just empty when there is no such network: somebody mistyped it. */
static int check_network(struct api_call *c)
{
	const char *name = http_query(c->request, "network");
	struct network n;
	int r = name ? network_find(c->authority, &c->arena, name, &n, &c->why) : 0;

	return r < 0 && r != -ECANCELED ? refuse_store(&c->why, r) : r;
}

static void handle(void *owner, struct http_request *r)
{
	struct api *api = owner;
	struct api_call c = { .api = api, .authority = api->authority, .request = r };
	const struct route *route = find_route(&c);

	if (route && check_network(&c) == 0 && route->handler(&c) == 0)
		http_reply(r, route->status, NULL, buf_cstr(&c.answer), c.answer.len);
	else
		answer_error(&c);
	buf_done(&c.answer); /* wiped: it may hold a token */
	arena_done(&c.arena);
}

/* ---- status ---- */

int api_status(struct api_call *c)
{
	const struct session *s = c->api->session;
	const char *broker = session_broker(s), *error = session_error(s);
	struct api_coordinator_status status = {
		.mesh = c->authority->keys->mesh,
		.version = arena_strdup(&c->arena, WARREN_VERSION),
		.broker = arena_strdup(&c->arena, broker),
		.connected = session_is_connected(s),
		.broker_error = error ? arena_strdup(&c->arena, error) : NULL,
	};

	json_encode(&c->answer, api_coordinator_status_fields, &status);
	return 0;
}

/* ---- life ---- */

PRINTF(4, 5)
static int explain(char *error, size_t size, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, size, fmt, ap);
	va_end(ap);
	return r;
}

int api_new(struct loop *l, struct authority *a, struct session *s, const struct api_config *c,
	    struct api **ret, char *error, size_t error_size)
{
	const struct group *group = getgrnam(PATHS_GROUP);
	struct api *api = xcalloc(1, sizeof(*api));
	const struct httpd_config config = {
		.address = c->address,
		.mode = SOCKET_MODE,
		.gid = group ? group->gr_gid : (gid_t)-1,
		.cert_pem = c->cert_pem,
		.key_pem = c->key_pem,
		.bearer = c->bearer,
		.handler = handle,
		.owner = api,
	};
	int r;

	api->authority = a;
	api->session = s;
	if (c->bearer && !*c->bearer) {
		free(api);
		return explain(error, error_size, -EINVAL,
			       "the API's key is empty, and would let everybody in: remove "
			       "api.key from the data directory, and a new one is made");
	}
	r = httpd_new(l, &config, &api->httpd);
	if (r < 0) {
		free(api);
		if (r == -EADDRINUSE)
			return explain(error, error_size, r,
				       "--api %s is taken: another coordinator runs, or something "
				       "else listens there",
				       c->address);
		if (r == -EINVAL)
			return explain(error, error_size, r,
				       "--api must be unix:PATH or HOST:PORT, and --api-cert a "
				       "certificate and its key in PEM");
		if (r == -EACCES && strncmp(c->address, "unix:", 5) != 0 && !c->cert_pem)
			return explain(error, error_size, r,
				       "--api %s is not on loopback: it needs --api-cert",
				       c->address);
		return explain(error, error_size, r, "cannot listen on --api %s: %s", c->address,
			       strerror(-r));
	}
	*ret = api;
	return 0;
}

void api_free(struct api *a)
{
	if (!a)
		return;
	httpd_free(a->httpd);
	free(a);
}
