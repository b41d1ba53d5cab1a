/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests to the Kubernetes API server over lib/fetch.h, with credentials that are read anew for each.
 * An api owns its pool of connections and its calls. One thread.
 */
#include "exporter/kube_api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/kube_config.h"
#include "lib/fetch.h"
#include "lib/mem.h"

struct kube_api {
	struct loop *loop;
	struct kube_config config;
	struct fetch_pool *pool;
	struct kube_call *calls;
	/* What the connections were made with. */
	struct buf ca, cert, key;
};

struct kube_call {
	struct kube_api *api;
	struct kube_request request; /* its strings are ours */
	char *body;		     /* the request's; wiped, it may be a Secret */
	struct loop_timer start;
	struct fetch *fetch;
	bool repeated, ended;
	struct kube_call *next;
};

/* ---- credentials ---- */

/* The token goes into a header: nothing but visible characters. */
static int check_token(const struct buf *token)
{
	for (size_t i = 0; i < token->len; i++)
		if (token->data[i] <= ' ' || token->data[i] > '~')
			return -EBADMSG;
	return 0;
}

/* True in `changed` when it is another than the last time. */
static int read_pem(const struct kube_secret *s, const char *what, struct buf *last, bool *changed,
		    char *why)
{
	struct buf now = { 0 };
	int r = kube_secret_read(s, &now);

	if (r == 0 && kube_secret_is_set(s) && !now.len)
		r = -EBADMSG;
	if (r < 0) {
		snprintf(why, KUBE_WHY_SIZE, "the %s %.300s cannot be read: %s", what,
			 s->file ? s->file : "of the kubeconfig",
			 r == -EBADMSG ? "it is no text" : strerror(-r));
		buf_done(&now);
		return r;
	}
	if (strcmp(buf_cstr(&now), buf_cstr(last)) == 0) {
		buf_done(&now);
		return 0;
	}
	*changed = true;
	buf_done(last);
	*last = now;
	return 0;
}

static int read_credentials(struct kube_api *a, struct buf *token, char *why)
{
	struct kube_config *c = &a->config;
	bool changed = false;
	int r = read_pem(&c->ca, "authority's certificate", &a->ca, &changed, why);

	if (r == 0)
		r = read_pem(&c->cert, "client certificate", &a->cert, &changed, why);
	if (r == 0)
		r = read_pem(&c->key, "client key", &a->key, &changed, why);
	if (r < 0)
		return r;
	if (changed)
		fetch_pool_renew(a->pool);
	r = kube_secret_read(&c->token, token);
	if (r == 0 && (check_token(token) < 0 || (kube_secret_is_set(&c->token) && !token->len)))
		r = -EBADMSG;
	if (r < 0)
		snprintf(why, KUBE_WHY_SIZE, "the token %.300s cannot be read: %s",
			 c->token.file ? c->token.file : "of the kubeconfig",
			 r == -EBADMSG ? "it is none" : strerror(-r));
	return r;
}

/* ---- the end of a call ---- */

static void explain(const struct kube_api *a, int error, const char *text, char *why)
{
	const char *server = a->config.server;

	if (error == -ENOKEY)
		snprintf(
			why, KUBE_WHY_SIZE,
			"what we were given for the API server %.120s, its authority's certificate "
			"or our own with its key, cannot be used: %.200s",
			server, text);
	else if (error == -EFBIG)
		snprintf(why, KUBE_WHY_SIZE, "the API server %.150s answers more than %u bytes",
			 server, KUBE_ANSWER_MAX);
	else if (error != -EKEYREJECTED)
		snprintf(why, KUBE_WHY_SIZE, "the API server %.150s does not answer: %.300s",
			 server, text);
	else if (strstr(text, "subject name"))
		snprintf(why, KUBE_WHY_SIZE,
			 "the certificate of the API server %.150s is for another name: %.200s",
			 server, text);
	else if (strstr(text, "expired") || strstr(text, "not yet valid"))
		snprintf(why, KUBE_WHY_SIZE,
			 "the certificate of the API server %.150s is not valid now: %.200s",
			 server, text);
	else
		snprintf(why, KUBE_WHY_SIZE,
			 "the certificate of the API server %.120s is not of the authority that we "
			 "were given (%.120s): %.120s",
			 server,
			 a->config.ca.file ? a->config.ca.file :
			 a->config.ca.text ? "in the kubeconfig" :
					     "none: this machine's",
			 text);
}

static void call_free(struct kube_call *c)
{
	struct kube_call **at = &c->api->calls;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	loop_timer_del(c->api->loop, &c->start);
	fetch_cancel(c->fetch);
	freep(&c->request.method);
	freep(&c->request.path);
	if (c->body)
		explicit_bzero(c->body, strlen(c->body));
	free(c->body);
	freep(&c->request.content_type);
	free(c);
}

static void finish(struct kube_call *c, int status, const char *text, size_t len)
{
	c->ended = true;
	c->request.done(c->request.owner, status, text, len);
	call_free(c);
}

static bool rotates(const struct kube_config *c)
{
	return c->token.file || c->cert.file;
}

static void on_done(void *owner, int status, const char *text, size_t len)
{
	struct kube_call *c = owner;
	char why[KUBE_WHY_SIZE];

	if (status == 401 && !c->repeated && rotates(&c->api->config)) {
		c->repeated = true;
		c->fetch = NULL;
		loop_timer_set(c->api->loop, &c->start, 0);
		return;
	}
	if (status >= 0) {
		finish(c, status, text, len);
		return;
	}
	explain(c->api, status, text, why);
	finish(c, status, why, strlen(why));
}

static bool on_data(void *owner, const char *piece, size_t len)
{
	struct kube_call *c = owner;

	return c->request.data(c->request.owner, piece, len);
}

static void on_opened(void *owner)
{
	struct kube_call *c = owner;

	if (c->request.opened)
		c->request.opened(c->request.owner);
}

/* ---- its beginning ---- */

static void start(struct loop_timer *t)
{
	struct kube_call *c = container_of(t, struct kube_call, start);
	struct kube_api *a = c->api;
	struct kube_request *r = &c->request;
	_cleanup_(freep) char *url = NULL;
	struct buf token = { 0 };
	char why[KUBE_WHY_SIZE];
	int error = read_credentials(a, &token, why);

	if (error < 0) {
		buf_done(&token);
		finish(c, -ENOKEY, why, strlen(why));
		return;
	}
	url = xasprintf("%s%s", a->config.server, r->path);
	c->fetch = fetch_start(a->pool,
			       &(struct fetch_request){ .method = r->method,
							.url = url,
							.body = r->body,
							.content_type = r->content_type,
							.bearer = token.len ? token.data : NULL,
							.ca_pem = a->ca.len ? a->ca.data : NULL,
							.cert_pem = a->cert.data,
							.key_pem = a->key.data,
							.gzip = true,
							.timeout_ms = r->timeout_ms,
							.silent_ms = r->silent_ms,
							.answer_max = KUBE_ANSWER_MAX,
							.opened = on_opened,
							.data = r->data ? on_data : NULL,
							.done = on_done,
							.owner = c });
	buf_done(&token);
}

int kube_api_new(struct loop *l, const char *kubeconfig, struct kube_api **ret,
		 char ret_why[static KUBE_WHY_SIZE])
{
	struct kube_api *a = xcalloc(1, sizeof(*a));
	int r = kube_config_load(kubeconfig, &a->config, ret_why);

	if (r < 0) {
		free(a);
		return r;
	}
	a->loop = l;
	a->pool = fetch_pool_new(l);
	*ret = a;
	return 0;
}

void kube_api_free(struct kube_api *a)
{
	if (!a)
		return;
	while (a->calls)
		call_free(a->calls);
	fetch_pool_free(a->pool);
	kube_config_done(&a->config);
	buf_done(&a->ca);
	buf_done(&a->cert);
	buf_done(&a->key);
	free(a);
}

const char *kube_api_namespace(const struct kube_api *a)
{
	return a->config.namespace_;
}

struct kube_call *kube_api_call(struct kube_api *a, const struct kube_request *r)
{
	struct kube_call *c = xcalloc(1, sizeof(*c));

	c->api = a;
	c->request = *r;
	c->request.method = xstrdup(r->method);
	c->request.path = xstrdup(r->path);
	c->request.body = c->body = r->body ? xstrdup(r->body) : NULL;
	c->request.content_type = r->content_type ? xstrdup(r->content_type) : NULL;
	c->start.fired = start;
	c->next = a->calls;
	a->calls = c;
	loop_timer_set(a->loop, &c->start, 0);
	return c;
}

void kube_call_cancel(struct kube_call *c)
{
	if (c && !c->ended)
		call_free(c);
}

long kube_call_retry_after_ms(const struct kube_call *c)
{
	return c->fetch ? fetch_retry_after_ms(c->fetch) : 0;
}
