/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control socket: requests in, documents out. Owns the server and the requests whose answer comes
 * later. One thread.
 */
#include "agent/control.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/holders.h"
#include "agent/joins.h"
#include "agent/leaves.h"
#include "agent/why.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/mem.h"

#define GROUP "warren"

/* A request that waits for a join or a leave. */
struct waiting {
	struct control *control;
	struct waiting *next;
	struct http_request *request;
};

struct control {
	struct agent *agent;
	struct httpd *httpd;
	struct waiting *waiting;
};

static void reply(struct http_request *r, unsigned status, const struct json_field *fields,
		  const void *what)
{
	struct buf body = { 0 };

	json_encode(&body, fields, what);
	http_reply(r, status, NULL, buf_cstr(&body), body.len);
	buf_done(&body);
}

static void refuse(struct http_request *r, unsigned status, const char *code, const char *message)
{
	_cleanup_(freep) char *c = xstrdup(code), *m = xstrdup(message);
	struct api_error e = { .error = { .code = c, .message = m } };

	reply(r, status, api_error_fields, &e);
}

/* ---- what is answered later ---- */

static struct waiting *wait_for(struct control *c, struct http_request *r)
{
	struct waiting *w = xcalloc(1, sizeof(*w));

	w->control = c;
	w->request = r;
	w->next = c->waiting;
	c->waiting = w;
	return w;
}

static struct http_request *wait_over(struct waiting *w)
{
	struct waiting **at = &w->control->waiting;
	struct http_request *r = w->request;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	free(w);
	return r;
}

static void joined(void *owner, const struct join_outcome *o)
{
	struct http_request *r = wait_over(owner);
	const struct membership *m;
	struct api_joined body = { 0 };
	struct addr addresses[2];

	if (o->code) {
		refuse(r, o->status, o->code, o->message);
		return;
	}
	m = &o->network->membership;
	body.network = m->network;
	body.name = m->name;
	body.interface = xstrdup(o->network->interface);
	for (size_t i = 0; i < m->address_count && i < ARRAY_SIZE(addresses); i++)
		addresses[body.address_count++] = m->addresses[i].addr;
	body.addresses = addresses;
	reply(r, 200, api_joined_fields, &body);
	free(body.interface);
}

static void left(void *owner, const struct leave_outcome *o)
{
	struct http_request *r = wait_over(owner);
	char **networks = xcalloc(o->count + 1, sizeof(*networks));
	struct api_left body = { .networks = networks, .network_count = o->count, .told = o->told };

	for (size_t i = 0; i < o->count; i++)
		networks[i] = o->networks[i];
	reply(r, 200, api_left_fields, &body);
	free(networks);
}

/* ---- requests ---- */

/* Decodes the body, or answers why not. */
static bool take_body(struct http_request *r, struct arena *a, const struct json_field *fields,
		      void *ret)
{
	char text[JSON_ERROR_SIZE];
	struct json_error err;
	size_t len;
	const char *body = http_body(r, &len);

	if (json_decode(a, body, len, fields, ret, &err) == 0)
		return true;
	refuse(r, 400, "json", json_error_text(&err, text));
	return false;
}

static void get_status(struct control *c, struct http_request *r)
{
	struct api_status s = { 0 };
	struct arena a = { 0 };

	control_status(c->agent, &a, &s);
	reply(r, 200, api_status_fields, &s);
	arena_done(&a);
}

static void get_resolve(struct control *c, struct http_request *r)
{
	const char *what = http_query(r, "what");
	struct api_resolved found = { 0 };
	char message[384];

	if (!what || !*what) {
		refuse(r, 400, "what", "say what is looked for: /v1/resolve?what=NODE");
	} else if (control_resolve(c->agent, what, &found)) {
		reply(r, 200, api_resolved_fields, &found);
	} else {
		snprintf(message, sizeof(message),
			 "%s is no node or name and no address of this node's networks, and in no"
			 " range that is routed into one; see warren status",
			 log_quote(what));
		refuse(r, 404, "not_found", message);
	}
}

static void get_why(struct control *c, struct http_request *r)
{
	struct agent *a = c->agent;
	const char *what = http_query(r, "what");
	struct why_kernel k = { .problem = a->kernel_problem };
	struct host actual = { 0 };
	struct arena arena = { 0 };
	struct api_why ret;

	if (!what || !*what) {
		refuse(r, 400, "what", "say what is asked for: /v1/why?what=NODE");
		return;
	}
	if (a->kernel && kernel_read(a->kernel, &actual) == 0) {
		k.actual = &actual;
		k.rules = a->o.firewall_report || apply_has_rules(a->apply, &actual);
	} else if (a->kernel) {
		k.problem = kernel_message(a->kernel);
	}
	why_explain(a, &k, what, &arena, &ret);
	reply(r, 200, api_why_fields, &ret);
	host_done(&actual);
	arena_done(&arena);
}

struct difference {
	struct arena arena;
	char **ops;
	size_t count;
};

static void add_op(void *owner, const char *op)
{
	struct difference *d = owner;

	d->ops = xreallocarray(d->ops, d->count + 1, sizeof(*d->ops));
	d->ops[d->count++] = arena_strdup(&d->arena, op);
}

static void get_diff(struct control *c, struct http_request *r)
{
	struct agent *a = c->agent;
	struct difference d = { 0 };

	if (!a->apply)
		refuse(r, 503, "kernel", a->kernel_problem);
	else if (apply_diff(a->apply, add_op, &d) < 0)
		refuse(r, 503, "kernel", kernel_message(a->kernel));
	else
		reply(r, 200, api_diff_fields,
		      &(struct api_diff){ .ops = d.ops, .op_count = d.count });
	free(d.ops);
	arena_done(&d.arena);
}

static void post_join(struct control *c, struct http_request *r)
{
	struct api_join q = { 0 };
	struct arena a = { 0 };

	if (take_body(r, &a, api_join_fields, &q))
		join_begin(c->agent, q.token, q.name, false, joined, wait_for(c, r));
	arena_done(&a);
}

static void post_hold(struct control *c, struct http_request *r)
{
	struct api_hold q = { 0 };
	struct arena a = { 0 };
	struct network *n;
	char message[256];

	if (take_body(r, &a, api_hold_fields, &q)) {
		n = memberships_get(&c->agent->memberships, q.network);
		if (n && !n->ended) {
			holders_add(c->agent->holders, n, r);
		} else {
			snprintf(message, sizeof(message), "this node is not in network %s",
				 log_quote(q.network));
			refuse(r, 404, "not_found", message);
		}
	}
	arena_done(&a);
}

static void post_leave(struct control *c, struct http_request *r)
{
	struct api_leave q = { 0 };
	struct arena a = { 0 };
	char message[256];
	struct waiting *w;

	if (!take_body(r, &a, api_leave_fields, &q)) {
		arena_done(&a);
		return;
	}
	if (!q.network == !q.all) {
		refuse(r, 400, "network", "give one network, or all");
	} else {
		w = wait_for(c, r);
		if (leave_begin(c->agent, q.all ? NULL : q.network, left, w) < 0) {
			snprintf(message, sizeof(message),
				 "this node is not in network %s; see warren status",
				 log_quote(q.network));
			refuse(wait_over(w), 404, "not_found", message);
		}
	}
	arena_done(&a);
}

static const struct handler {
	const char *method, *path;
	void (*handle)(struct control *c, struct http_request *r);
} handlers[] = {
	{ "GET", "/v1/status", get_status }, { "GET", "/v1/resolve", get_resolve },
	{ "GET", "/v1/why", get_why },	     { "GET", "/v1/diff", get_diff },
	{ "POST", "/v1/join", post_join },   { "POST", "/v1/hold", post_hold },
	{ "POST", "/v1/leave", post_leave },
};

static void handle(void *owner, struct http_request *r)
{
	struct control *c = owner;
	bool path = false;

	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
		if (strcmp(http_path(r), handlers[i].path) != 0)
			continue;
		path = true;
		if (strcmp(http_method(r), handlers[i].method) == 0) {
			handlers[i].handle(c, r);
			return;
		}
	}
	refuse(r, path ? 405 : 404, path ? "method" : "not_found",
	       path ? "this path takes another method" : "there is no such path");
}

/* ---- */

static int make_folder(const char *path, char *why, size_t why_size)
{
	_cleanup_(freep) char *folder = xstrdup(path);
	char *slash = strrchr(folder, '/');
	int r;

	if (!slash || slash == folder)
		return 0;
	*slash = '\0';
	r = file_mkdir(folder, 0755);
	if (r < 0)
		snprintf(why, why_size, "%s cannot be made: %s", folder, strerror(-r));
	return r;
}

int control_new(struct agent *a, struct control **ret, char *why, size_t why_size)
{
	_cleanup_(freep) char *address = xasprintf("unix:%s", a->o.control);
	const struct group *g = getgrnam(GROUP);
	struct control *c;
	int r = make_folder(a->o.control, why, why_size);

	if (r < 0)
		return r;
	c = xcalloc(1, sizeof(*c));
	c->agent = a;
	r = httpd_new(a->loop,
		      &(struct httpd_config){
			      .address = address,
			      .mode = g ? 0660 : 0600,
			      .gid = g ? g->gr_gid : (gid_t)-1,
			      .handler = handle,
			      .owner = c,
		      },
		      &c->httpd);
	if (r < 0) {
		snprintf(why, why_size, "%s: %s", a->o.control,
			 r == -EADDRINUSE ? "another process answers there" : strerror(-r));
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	while (c->waiting) {
		joins_disown(c->agent, c->waiting);
		leaves_disown(c->agent, c->waiting);
		refuse(wait_over(c->waiting), 503, "stopping", "the agent is being stopped");
	}
	httpd_free(c->httpd);
	free(c);
}
