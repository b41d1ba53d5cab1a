/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One blocking HTTP request over libcurl, for programs that make a request and end. Owns nothing
 * between two calls. Any thread, one at a time.
 */
#include "lib/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

#define ANSWER_MAX (16u << 20)

struct answer {
	struct buf *out;
	size_t len;
};

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
	struct answer *a = arg;
	size_t n = size * count; /* size is always 1 */

	if (n > ANSWER_MAX - a->len)
		return 0; /* ends the transfer */
	a->len += n;
	buf_add(a->out, data, n);
	return a->out->failed ? 0 : n;
}

static void list_free(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

static void add_header(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (!longer)
		abort(); /* no memory */
	*list = longer;
}

static void add_bearer(struct curl_slist **list, const char *bearer)
{
	char *line = xasprintf("Authorization: Bearer %s", bearer);

	add_header(list, line);
	explicit_bzero(line, strlen(line));
	free(line);
}

/* The URL, to be freed. */
static char *set_base(CURL *curl, const struct http_call *c)
{
	if (strncmp(c->base, "unix:", 5) != 0)
		return xasprintf("%s%s", c->base, c->path);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, c->base + 5);
	return xasprintf("http://localhost%s", c->path);
}

static int result(CURL *curl, CURLcode code)
{
	long status = 0, error = 0;

	switch (code) {
	case CURLE_OK:
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
		return (int)status;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_WRITE_ERROR: /* on_data's */
		return -EFBIG;
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error);
		return error == ENOENT || error == EACCES ? -(int)error : -ECONNREFUSED;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return -EINVAL;
	default:
		return -EIO;
	}
}

int http_call(const struct http_call *c, struct buf *out)
{
	_cleanup_(list_free) struct curl_slist *headers = NULL;
	_cleanup_(freep) char *url = NULL;
	struct answer answer = { .out = out };
	CURL *curl = curl_easy_init();
	int r;

	if (!curl)
		return -EIO;
	url = set_base(curl, c);
	if (c->bearer)
		add_bearer(&headers, c->bearer);
	if (c->body) {
		add_header(&headers, "Content-Type: application/json");
		add_header(&headers, "Expect:"); /* no second round trip */
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, c->body);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(c->body));
	}
	if (c->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, c->ca_file);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* a word may be `..` */
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, c->method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, c->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	r = result(curl, curl_easy_perform(curl));
	curl_easy_cleanup(curl);
	return r;
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
