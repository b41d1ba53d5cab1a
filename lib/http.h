/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HTTP: a small server inside the loop (libmicrohttpd) and one blocking client request (over lib/fetch.h).
 * Unix sockets, and TCP with TLS for the server.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/loop.h"

#define HTTP_BODY_MAX 65536 /* a longer request is answered 413 */

struct httpd;
struct http_request;

/* `handler` is called once the whole request is there. It answers at once with http_reply, or
 * keeps the pointer and answers later in the loop's thread; a client that went away meanwhile is
 * told through http_request_gone (then http_reply only frees). Each request is answered exactly
 * once. */
typedef void http_handler(void *owner, struct http_request *r);

/* `address`: unix:PATH (a stale socket is replaced, one that answers gives -EADDRINUSE), or
 * HOST:PORT with a certificate and key in PEM and a bearer token (NULL allowed on loopback only).
 * `mode` and `gid` ((gid_t)-1: unchanged) are for the Unix socket. */
struct httpd_config {
	const char *address;
	unsigned mode;
	unsigned gid;
	const char *cert_pem, *key_pem, *bearer;
	http_handler *handler;
	void *owner;
};
/* -EINVAL: no such kind of address; -EACCES: not loopback, and certificate, key or bearer is missing;
 * -EEXIST: a file that is no socket; -EIO: the certificate or key cannot be read. */
int httpd_new(struct loop *l, const struct httpd_config *c, struct httpd **ret) MUST_CHECK;
void httpd_free(struct httpd *h); /* also removes the Unix socket */

const char *http_method(const struct http_request *r);
const char *http_path(const struct http_request *r); /* decoded, without the query */
/* The value of a query parameter; NULL when absent. */
const char *http_query(const struct http_request *r, const char *name);
const char *http_body(const struct http_request *r, size_t *ret_len); /* NUL-terminated */
bool http_request_gone(const struct http_request *r);
/* The peer's user id on a Unix socket, -1 elsewhere. */
long http_peer_uid(const struct http_request *r);
/* Sends the answer (content type application/json unless `type` is given) and forgets `r`. */
void http_reply(struct http_request *r, unsigned status, const char *type, const void *body,
		size_t len);

/* One request, blocking. `base`: unix:PATH or http(s)://HOST:PORT. Returns the status code, or
 * -ECONNREFUSED / -ENOENT / -EACCES / -ETIMEDOUT / -EIO when there is no answer, -EINVAL when `base` is no
 * URL. `body` NULL: none. The answer is appended to `out`; -EFBIG when it is longer than 16 MiB. */
struct http_call {
	const char *base;
	const char *method;
	const char *path; /* with query, encoded */
	const char *body;
	const char *bearer;  /* NULL: none */
	const char *ca_file; /* NULL: the system's */
	long timeout_ms;
};
int http_call(const struct http_call *c, struct buf *out);
/* Appends `s` percent-encoded for a path segment or a query value. */
void http_escape(struct buf *out, const char *s);
