/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One blocking HTTP request (lib/fetch.h), for programs that make a request and end. Owns nothing
 * between two calls. Any thread, one at a time.
 */
#include "lib/http.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/fetch.h"
#include "lib/mem.h"

#define ANSWER_MAX (16u << 20)

int http_call(const struct http_call *c, struct buf *out)
{
	bool local = strncmp(c->base, "unix:", 5) == 0;
	_cleanup_(freep) char *url =
		xasprintf("%s%s", local ? "http://localhost" : c->base, c->path);

	int r = fetch_wait(&(struct fetch_request){ .method = c->method,
						    .url = url,
						    .unix_path = local ? c->base + 5 : NULL,
						    .body = c->body,
						    .bearer = c->bearer,
						    .ca_file = c->ca_file,
						    .timeout_ms = c->timeout_ms,
						    .answer_max = ANSWER_MAX },
			   out);

	return r == -EKEYREJECTED || r == -ENOKEY || r == -EHOSTUNREACH ? -EIO : r;
}

void http_escape(struct buf *out, const char *s)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~"; /* RFC 3986, 2.3 */

	for (; *s; s++)
		if (strchr(plain, *s))
			buf_char(out, *s);
		else
			buf_printf(out, "%%%02X", (unsigned)(unsigned char)*s);
}
