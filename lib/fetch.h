/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HTTP requests over libcurl, which nobody else uses: many at once inside the loop, whose connections are
 * shared (HTTP/2 carries all requests to one server on one connection), or one that is waited for.
 *
 * One thread per pool. A callback may start requests and cancel any of them, but not free the pool.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/loop.h"

struct fetch_pool;
struct fetch;

struct fetch_request {
	const char *method;	  /* "GET", "PUT"... */
	const char *url;	  /* http or https */
	const char *unix_path;	  /* NULL: TCP; else the socket, and the URL's host means nothing */
	const char *body;	  /* NULL: none */
	const char *content_type; /* of the body; NULL: application/json */
	const char *bearer;	  /* NULL: none; wiped after use */
	/* TLS: who may sign the server's certificate, as a file or as PEM text; both NULL: the system's. */
	const char *ca_file, *ca_pem;
	const char *cert_pem, *key_pem; /* the client's certificate; NULL: none */
	bool gzip;			/* the answer may be packed; it is unpacked here */
	long timeout_ms;		/* of the whole request; 0: none */
	/* So long without a byte ends it with -ETIMEDOUT. When that or `timeout_ms` has ended one, the
	 * connections of then may be half open: they get no new requests, and those on them that have
	 * a silent_ms too, and heard nothing since that one began, end like it. 0: never. Not for
	 * fetch_wait. */
	long silent_ms;
	/* Of an answer kept for `done` or `out`, unpacked; more ends it with -EFBIG. */
	size_t answer_max;

	/* All of these are for fetch_start only; `opened` and `data` may be NULL. */
	void (*opened)(void *owner); /* an answer 200 has begun; only with `data` */
	/* The pieces of an answer 200, which is then not kept. Return false to end it: `done` gets
	 * -ECANCELED. */
	bool (*data)(void *owner, const char *piece, size_t len);
	/* The end, once: the status with the answer; or a negative errno with the reason as text:
	 * -ECONNREFUSED, -ENOENT, -EACCES (of a socket), -EHOSTUNREACH (no such name), -ETIMEDOUT,
	 * -EKEYREJECTED (the server's certificate), -ENOKEY (an authority or a certificate that the
	 * request gave cannot be used), -EFBIG, -ECANCELED, -EINVAL (URL), -EIO. */
	void (*done)(void *owner, int status, const char *text, size_t len);
	void *owner;
};

struct fetch_pool *fetch_pool_new(struct loop *l);
void fetch_pool_free(struct fetch_pool *p); /* NULL allowed; what runs is cancelled */
/* Requests started from now on get new connections. */
void fetch_pool_renew(struct fetch_pool *p);

/* Copies all of the request. Never calls back before it returns. */
struct fetch *fetch_start(struct fetch_pool *p, const struct fetch_request *r);
/* NULL allowed. No callback comes any more. */
void fetch_cancel(struct fetch *f);
/* Inside `done`: what Retry-After said, 0 when nothing. */
long fetch_retry_after_ms(const struct fetch *f);

/* One request without a loop: the status, with the answer appended to `out`, or a negative errno as
 * above. Any thread. */
int fetch_wait(const struct fetch_request *r, struct buf *out);
