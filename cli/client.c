/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HTTP to the coordinator (WARREN_COORDINATOR) and the local agent (WARREN_AGENT).
 */
#include "cli/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/say.h"
#include "lib/addr.h"
#include "lib/http.h"
#include "lib/opt.h"
#include "schemas/api.h"

#define TIMEOUT_MS 45000 /* a join may take 30 s */
#define LIST_MAX 1000000
#define STATUS_UNAUTHORIZED 401
#define STATUS_UNAVAILABLE 503
#define STATUS_TIMEOUT 504

static const struct {
	const char *name, *program, *variable, *base;
} servers[] = {
	[SERVER_COORDINATOR] = { "coordinator", "warren-coordinator", "WARREN_COORDINATOR",
				 "unix:/run/warren/coordinator.sock" },
	[SERVER_AGENT] = { "agent", "warren-agent", "WARREN_AGENT", "unix:/run/warren/agent.sock" },
};

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* A name that needs no look-up and no certificate: this machine. */
static bool is_loopback(const char *host)
{
	struct addr a;

	return strcmp(host, "localhost") == 0 ||
	       (addr_parse(host, &a) == 0 && addr_is_loopback(&a));
}

/* The address as lib/http takes it: PATH and HOST:PORT are allowed, too. Allocated. */
static char *server_base(enum server s)
{
	const char *base = variable(servers[s].variable);
	char host[HOST_SIZE];
	uint16_t port;

	if (!base)
		return xstrdup(servers[s].base);
	if (base[0] == '/')
		return xasprintf("unix:%s", base);
	if (strncmp(base, "unix:/", 6) == 0 || strncmp(base, "http://", 7) == 0 ||
	    strncmp(base, "https://", 8) == 0)
		return xstrdup(base);
	if (hostport_parse(base, host, &port) < 0)
		opt_fail(2, "%s: %s is not unix:PATH, HOST:PORT or https://HOST:PORT",
			 servers[s].variable, base);
	return xasprintf("%s://%s", is_loopback(host) ? "http" : "https", base);
}

static void fail_unreachable(enum server s, const char *base, int error)
{
	const char *program = servers[s].program;
	char *hint;

	if (error == -EFBIG)
		opt_fail(1, "the %s's answer is too long; ask for less (--network NAME)",
			 servers[s].name);
	if (error == -EACCES)
		hint = xstrdup("try as root, or as a member of the group warren");
	else if (error == -ETIMEDOUT)
		hint = xasprintf("%s did not answer within %d s, its log may say why", program,
				 TIMEOUT_MS / 1000);
	else if (error == -EIO || error == -EINVAL)
		hint = xasprintf("what answers there is not %s, or its certificate is not one of "
				 "WARREN_API_CA",
				 program);
	else
		hint = xasprintf("is %s running? %s says where it is asked", program,
				 servers[s].variable);
	opt_fail(3, "cannot reach the %s at %s: %s; %s", servers[s].name, base, strerror(-error),
		 hint);
}

static void fail_refused(enum server s, int status, const struct buf *answer)
{
	int exit_status = status == STATUS_UNAVAILABLE || status == STATUS_TIMEOUT ? 3 : 1;
	struct api_error e = { 0 };
	struct arena a = { 0 };
	struct json_error err;

	if (status == STATUS_UNAUTHORIZED)
		opt_fail(1, "the %s asks for its key; give it in WARREN_API_KEY", servers[s].name);
	if (json_decode(&a, buf_cstr(answer), answer->len, api_error_fields, &e, &err) < 0)
		opt_fail(exit_status, "the %s answered with HTTP status %d and no reason; %s",
			 servers[s].name, status, "its log may say more");
	opt_fail(exit_status, "%s", say_clean(e.error.message));
}

static int call(const char *base, const char *method, const char *path, const char *body,
		long timeout_ms, struct buf *out)
{
	return http_call(&(struct http_call){ .base = base,
					      .method = method,
					      .path = path,
					      .body = body,
					      .bearer = variable("WARREN_API_KEY"),
					      .ca_file = variable("WARREN_API_CA"),
					      .timeout_ms = timeout_ms },
			 out);
}

int client_try(enum server s, const char *method, const char *path, const char *body,
	       long timeout_ms, struct buf *out)
{
	_cleanup_(freep) char *base = server_base(s);

	return call(base, method, path, body, timeout_ms, out);
}

void client_refusal(const struct buf *answer, struct arena *a, const char **ret_code,
		    const char **ret_message)
{
	struct api_error e = { 0 };
	struct json_error err;

	*ret_code = *ret_message = "";
	if (json_decode(a, buf_cstr(answer), answer->len, api_error_fields, &e, &err) < 0)
		return;
	*ret_code = e.error.code;
	*ret_message = say_clean(e.error.message);
}

void client_call(enum server s, const char *method, const char *path, const char *body,
		 struct buf *out)
{
	_cleanup_(freep) char *base = server_base(s);
	struct buf answer = { 0 };
	int status = call(base, method, path, body, TIMEOUT_MS, &answer);

	if (status < 0)
		fail_unreachable(s, base, status);
	if (status < 200 || status >= 300)
		fail_refused(s, status, &answer);
	if (out)
		buf_add(out, answer.data, answer.len);
	buf_done(&answer);
}

void client_decode(enum server s, const struct buf *answer, struct arena *a,
		   const struct json_field *fields, void *ret)
{
	char text[JSON_ERROR_SIZE];
	struct json_error err;

	if (json_decode(a, buf_cstr(answer), answer->len, fields, ret, &err) < 0) {
		json_error_text(&err, text);
		opt_fail(1, "the %s's answer cannot be read: %s; are both of one version?",
			 servers[s].name, say_clean(text));
	}
}

void client_get(enum server s, const char *path, struct arena *a, const struct json_field *fields,
		void *ret)
{
	struct buf answer = { 0 };

	client_call(s, "GET", path, NULL, &answer);
	client_decode(s, &answer, a, fields, ret);
	buf_done(&answer);
}

void *client_list(enum server s, const char *path, struct arena *a, const struct json_field *fields,
		  size_t size, size_t *ret_count)
{
	struct items {
		void *items;
		size_t count;
	} items = { 0 };
	const struct json_field list[] = {
		{ .name = "items",
		  .kind = JSON_OBJECT,
		  .offset = offsetof(struct items, items),
		  .array = true,
		  .count_offset = offsetof(struct items, count),
		  .element_size = size,
		  .fields = fields,
		  .max = LIST_MAX },
		JSON_END,
	};
	struct buf wrapped = { 0 };

	buf_str(&wrapped, "{\"items\":");
	client_call(s, "GET", path, NULL, &wrapped);
	buf_char(&wrapped, '}');
	client_decode(s, &wrapped, a, list, &items);
	buf_done(&wrapped);
	*ret_count = items.count;
	return items.items;
}

void client_path(struct buf *out, const char *literal, ...)
{
	const char *word;
	va_list ap;
	bool escape = true;

	buf_str(out, literal);
	va_start(ap, literal);
	for (; (word = va_arg(ap, const char *)); escape = !escape) {
		if (escape && !*word)
			opt_fail(2, "a name or id is empty; try --help");
		if (escape)
			http_escape(out, word);
		else
			buf_str(out, word);
	}
	va_end(ap);
}

void client_print_json(enum server s, const struct buf *answer)
{
	struct buf pretty = { 0 };

	if (json_pretty(buf_cstr(answer), answer->len, &pretty) < 0)
		opt_fail(1, "the %s's answer is not JSON; is %s another program's address?",
			 servers[s].name, servers[s].variable);
	puts(buf_cstr(&pretty));
	buf_done(&pretty);
}

void client_get_json(enum server s, const char *path)
{
	struct buf answer = { 0 };

	client_call(s, "GET", path, NULL, &answer);
	client_print_json(s, &answer);
	buf_done(&answer);
}
