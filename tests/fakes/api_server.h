/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A Kubernetes API server that does what a test tells it, nasty things too: HTTP/1.1 over TLS on loopback, a
 * thread of its own. The n-th request, on whatever connection, is given to the n-th handler of the script;
 * the last handler gets all that come after.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct api_server;

struct api_request {
	char line[4096];	 /* "GET /api/v1/services?limit=500 HTTP/1.1" */
	char authorization[256]; /* the header's value; "" when there was none */
	char body[16384];	 /* "" when there was none; a longer one ends the connection */
	bool packed;		 /* gzip is welcome */
	struct api_server *server;
	void *tls; /* of the server */
	bool open; /* the connection, after it */
};
typedef void api_handler(struct api_request *r);

/* Sets the environment so that kube_config_load(NULL) finds it, with the token "first" in a folder of its
 * own. */
struct api_server *api_server_new(api_handler *const *script, size_t count);
/* Cuts its connections; no handler runs any more when it returns. */
void api_server_free(struct api_server *s);
void api_server_set_token(const struct api_server *s, const char *token);
/* How many requests, and connections, there were. */
unsigned api_server_requests(struct api_server *s);
unsigned api_server_connections(struct api_server *s);
/* The n-th request's line, from 0; "" when there was none; borrowed. */
const char *api_server_line(struct api_server *s, unsigned n);
/* Writes its file anew with the certificate of an authority that signed nothing here. */
void api_server_another_ca(struct api_server *s);

/* ---- for handlers ---- */

/* A whole answer. `headers`: lines with \r\n, "" for none. */
void api_reply(struct api_request *r, const char *status, const char *headers, const char *body);
void api_reply_packed(struct api_request *r, const char *body);
/* An answer 200 in chunks of `piece` bytes each. */
void api_begin(struct api_request *r);
void api_chunks(struct api_request *r, const char *text, size_t piece);
void api_end(struct api_request *r);
/* Cuts the connection, with a reset. */
void api_reset(struct api_request *r);
/* Says nothing more until the other side goes. */
void api_hold(struct api_request *r);
/* Says and hears nothing more, not even that the other side goes, until api_server_free. */
void api_ignore(struct api_request *r);
