/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Probes answered. Owns the server. One thread.
 */
#include "exporter/health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/http.h"

#define TIMEOUT_MS 3000

struct health {
	struct httpd *httpd;
	const struct exporter *x;
};

static void handle(void *owner, struct http_request *r)
{
	const struct health *h = owner;
	char why[EXPORTER_WHY_SIZE] = "ok";
	unsigned status = 200;

	if (strcmp(http_path(r), "/ready") == 0) {
		if (!exporter_is_ready(h->x, why))
			status = 503;
		else
			snprintf(why, sizeof(why), "ok");
	} else if (strcmp(http_path(r), "/live") != 0) {
		status = 404;
		snprintf(why, sizeof(why), "there are /live and /ready");
	}
	http_reply(r, status, "text/plain", why, strlen(why));
}

int health_new(struct loop *l, const char *path, const struct exporter *x, struct health **ret,
	       char ret_why[static EXPORTER_WHY_SIZE])
{
	_cleanup_(freep) char *address = xasprintf("unix:%s", path);
	struct health *h = xcalloc(1, sizeof(*h));
	int r;

	h->x = x;
	r = httpd_new(l,
		      &(struct httpd_config){ .address = address,
					      .mode = 0600,
					      .gid = (gid_t)-1,
					      .handler = handle,
					      .owner = h },
		      &h->httpd);
	if (r < 0) {
		snprintf(ret_why, EXPORTER_WHY_SIZE, "--health: %s: %s", path,
			 r == -EADDRINUSE ? "another process answers there" : strerror(-r));
		free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void health_free(struct health *h)
{
	if (!h)
		return;
	httpd_free(h->httpd);
	free(h);
}

int health_ask(const char *path, const char *what, char ret_why[static EXPORTER_WHY_SIZE])
{
	_cleanup_(freep) char *base = xasprintf("unix:%s", path);
	_cleanup_(freep) char *asked = xasprintf("/%s", what);
	struct buf answer = { 0 };
	int r = http_call(
		&(struct http_call){
			.base = base, .method = "GET", .path = asked, .timeout_ms = TIMEOUT_MS },
		&answer);

	if (r < 0)
		snprintf(ret_why, EXPORTER_WHY_SIZE, "no exporter answers at %s: %s", path,
			 strerror(-r));
	else
		snprintf(ret_why, EXPORTER_WHY_SIZE, "%s", buf_cstr(&answer));
	buf_done(&answer);
	return r == 200 ? 0 : r < 0 ? r : -EAGAIN;
}
