/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libcurl in the loop. A pool owns a multi handle, whose sockets and one timer are entries of the loop,
 * and its requests. One thread.
 *
 * libcurl may not be called from its own callbacks. So a request is started and ended from the pool's
 * `chores` timer, and one that is cancelled from inside such a callback is only marked.
 */
#include "lib/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/mem.h"

#define CONNECT_MS 10000L
#define UNSENT_MS 60000 /* bytes of ours that nobody acknowledges */

/* A multi handle with the connections it keeps. A pool that was renewed has an old one until the last
 * request on it has ended. */
struct multi {
	struct fetch_pool *pool;
	CURLM *curl;
	size_t requests;
	bool old;
	struct loop_timer timer;
	struct sock *socks;
	struct multi *next;
};

struct sock {
	struct multi *multi;
	struct loop_io io;
	struct sock *next;
};

struct fetch_pool {
	struct loop *loop;
	struct multi *multis; /* the first is the one for new requests, unless it is old */
	struct fetch *fetches;
	struct loop_timer chores;
};

enum state { FETCH_NEW, FETCH_RUNS, FETCH_ENDED, FETCH_CANCELLED };

struct fetch {
	struct fetch_pool *pool;
	struct multi *multi; /* NULL: not handed to libcurl yet, or taken back */
	CURL *curl;
	struct curl_slist *headers;
	struct buf body; /* libcurl reads it here, its own copy would not be wiped */
	enum state state;
	bool opened;
	int status; /* of what has ended */
	struct buf answer;
	char why[CURL_ERROR_SIZE];
	uint64_t silent, began, heard;
	struct loop_timer silence;
	struct fetch_request calls; /* its callbacks and their owner, all else is gone */
	struct fetch *next;
};

/* ---- one handle ---- */

static void headers_free(struct curl_slist *list)
{
	for (struct curl_slist *i = list; i; i = i->next)
		explicit_bzero(i->data, strlen(i->data));
	curl_slist_free_all(list);
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
	struct buf line = { 0 };

	buf_printf(&line, "Authorization: Bearer %s", bearer);
	add_header(list, line.data);
	buf_done(&line);
}

static void set_blob(CURL *curl, CURLoption option, const char *pem)
{
	struct curl_blob blob = { .len = strlen(pem), .flags = CURL_BLOB_COPY };

	memcpy(&blob.data, &pem, sizeof(pem)); /* it is copied, not written to */
	curl_easy_setopt(curl, option, &blob);
}

static void set_tls(CURL *curl, const struct fetch_request *r)
{
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (r->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, r->ca_file);
	if (r->ca_pem) {
		/* Without this the system's authorities would be trusted besides. */
		curl_easy_setopt(curl, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
		set_blob(curl, CURLOPT_CAINFO_BLOB, r->ca_pem);
	}
	if (r->cert_pem)
		set_blob(curl, CURLOPT_SSLCERT_BLOB, r->cert_pem);
	if (r->key_pem)
		set_blob(curl, CURLOPT_SSLKEY_BLOB, r->key_pem);
}

static void set_body(CURL *curl, const struct fetch_request *r, const char *body,
		     struct curl_slist **headers)
{
	char *type = xasprintf("Content-Type: %s",
			       r->content_type ? r->content_type : "application/json");

	add_header(headers, type);
	add_header(headers, "Expect:"); /* no second round trip */
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	free(type);
}

/* All but the callbacks. The headers are to be freed after the handle, and `body` stays until then. */
static CURL *prepare(const struct fetch_request *r, const char *body, struct curl_slist **headers)
{
	CURL *curl = curl_easy_init();

	if (!curl)
		abort(); /* no memory */
	if (r->bearer)
		add_bearer(headers, r->bearer);
	if (body)
		set_body(curl, r, body, headers);
	if (r->unix_path)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, r->unix_path);
	if (r->gzip)
		curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip");
	set_tls(curl, r);
	curl_easy_setopt(curl, CURLOPT_URL, r->url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* a word may be `..` */
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, r->timeout_ms);
	/* A name server that does not answer is left to its thread, not waited for beyond the time. */
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
	return curl;
}

static const struct {
	CURLcode code;
	int error;
} errors[] = {
	{ CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT },
	{ CURLE_WRITE_ERROR, -EFBIG }, /* on_data's and keep()'s */
	{ CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH },
	{ CURLE_PEER_FAILED_VERIFICATION, -EKEYREJECTED },
	{ CURLE_SSL_CACERT_BADFILE, -ENOKEY },
	{ CURLE_SSL_CERTPROBLEM, -ENOKEY },
	{ CURLE_URL_MALFORMAT, -EINVAL },
	{ CURLE_UNSUPPORTED_PROTOCOL, -EINVAL },
};

static int result(CURL *curl, CURLcode code)
{
	long value = 0;

	if (code == CURLE_OK) {
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &value);
		return (int)value;
	}
	if (code == CURLE_COULDNT_CONNECT) {
		curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &value);
		return value == ENOENT || value == EACCES ? -(int)value : -ECONNREFUSED;
	}
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (errors[i].code == code)
			return errors[i].error;
	return -EIO;
}

static size_t keep(char *data, size_t size, size_t count, void *out)
{
	struct buf *b = out;

	buf_add(b, data, size * count);
	return b->failed ? 0 : size * count; /* 0 ends the transfer */
}

/* ---- libcurl's callbacks ---- */

static bool is_streamed(struct fetch *f)
{
	long status = 0;

	curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
	return f->calls.data && status == 200;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct fetch *f = arg;

	(void)line;
	f->heard = clock_mono();
	if (size * count <= 2 && !f->opened && is_streamed(f)) { /* the empty line */
		f->opened = true;
		if (f->calls.opened && f->state != FETCH_CANCELLED)
			f->calls.opened(f->calls.owner);
	}
	return f->state == FETCH_CANCELLED ? 0 : size * count;
}

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
	struct fetch *f = arg;
	size_t n = size * count; /* size is always 1 */

	f->heard = clock_mono();
	if (f->state == FETCH_CANCELLED)
		return 0;
	if (!is_streamed(f))
		return keep(data, size, count, &f->answer);
	if (f->calls.data(f->calls.owner, data, n))
		return n;
	if (f->state != FETCH_CANCELLED)
		f->status = -ECANCELED;
	return 0;
}

static int on_socket(void *arg, curl_socket_t fd)
{
	int ms = UNSENT_MS;

	(void)arg;
	/* Fails on a Unix socket, which does not need it. */
	(void)!setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
	return CURL_SOCKOPT_OK;
}

/* ---- the loop ---- */

static void do_chores_soon(struct fetch_pool *p)
{
	loop_timer_set(p->loop, &p->chores, 0);
}

static void end(struct fetch *f, int status)
{
	if (f->state == FETCH_CANCELLED || f->state == FETCH_ENDED)
		return;
	f->status = f->status ? f->status : status;
	f->state = FETCH_ENDED;
}

/* `f` was not answered: its connection may be half open. What is quiet on it since before that would
 * be the last to learn it. */
static void suspect(struct multi *m, const struct fetch *f)
{
	m->old = true;
	for (struct fetch *i = m->pool->fetches; i; i = i->next) {
		if (i == f || i->multi != m || i->state != FETCH_RUNS || !i->silent ||
		    i->heard >= f->began)
			continue;
		snprintf(i->why, sizeof(i->why),
			 "another request got no answer, and this is quiet");
		end(i, -ETIMEDOUT);
	}
}

static void reap(struct multi *m)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(m->curl, &left))) {
		struct fetch *f = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&f);
		if (msg->data.result == CURLE_OPERATION_TIMEDOUT)
			suspect(m, f);
		end(f, result(f->curl, msg->data.result));
		do_chores_soon(m->pool);
	}
}

static void act(struct multi *m, curl_socket_t fd, int events)
{
	int running;

	curl_multi_socket_action(m->curl, fd, events, &running);
	reap(m);
}

static void sock_ready(struct loop_io *io, short got)
{
	struct sock *s = container_of(io, struct sock, io);
	int events = (got & (POLLIN | POLLHUP) ? CURL_CSELECT_IN : 0) |
		     (got & POLLOUT ? CURL_CSELECT_OUT : 0) |
		     (got & (POLLERR | POLLNVAL) ? CURL_CSELECT_ERR : 0);

	act(s->multi, io->fd, events); /* `s` may be gone now */
}

static void sock_free(struct multi *m, struct sock *s)
{
	struct sock **at = &m->socks;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	loop_io_del(m->pool->loop, &s->io);
	free(s);
}

static int on_want(CURL *curl, curl_socket_t fd, int what, void *arg, void *sockp)
{
	struct multi *m = arg;
	struct sock *s = sockp;

	(void)curl;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			sock_free(m, s);
		return 0;
	}
	if (!s) {
		s = xcalloc(1, sizeof(*s));
		s->multi = m;
		s->io = (struct loop_io){ .fd = fd, .ready = sock_ready };
		s->next = m->socks;
		m->socks = s;
		loop_io_add(m->pool->loop, &s->io);
		curl_multi_assign(m->curl, fd, s);
	}
	s->io.want =
		(short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0));
	return 0;
}

static int on_timeout(CURLM *curl, long ms, void *arg)
{
	struct multi *m = arg;

	(void)curl;
	loop_timer_set(m->pool->loop, &m->timer,
		       ms < 0 ? CLOCK_NEVER : clock_mono() + (uint64_t)ms * USEC_PER_MSEC);
	return 0;
}

static void multi_fired(struct loop_timer *t)
{
	act(container_of(t, struct multi, timer), CURL_SOCKET_TIMEOUT, 0);
}

static struct multi *multi_new(struct fetch_pool *p)
{
	struct multi *m = xcalloc(1, sizeof(*m));

	m->pool = p;
	m->timer.fired = multi_fired;
	m->curl = curl_multi_init();
	if (!m->curl)
		abort(); /* no memory */
	curl_multi_setopt(m->curl, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_want);
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
	m->next = p->multis;
	p->multis = m;
	return m;
}

static void multi_free(struct multi **at)
{
	struct multi *m = *at;

	*at = m->next;
	curl_multi_cleanup(m->curl);
	loop_timer_del(m->pool->loop, &m->timer);
	while (m->socks)
		sock_free(m, m->socks);
	free(m);
}

/* ---- requests ---- */

static void take_back(struct fetch *f)
{
	if (!f->multi)
		return;
	curl_multi_remove_handle(f->multi->curl, f->curl);
	f->multi->requests--;
	f->multi = NULL;
}

static void fetch_free(struct fetch *f)
{
	take_back(f);
	loop_timer_del(f->pool->loop, &f->silence);
	curl_easy_cleanup(f->curl);
	headers_free(f->headers);
	buf_done(&f->body);
	buf_done(&f->answer);
	free(f);
}

static void begin(struct fetch *f)
{
	struct fetch_pool *p = f->pool;

	if (!p->multis || p->multis->old)
		multi_new(p);
	f->multi = p->multis;
	f->multi->requests++;
	f->state = FETCH_RUNS;
	f->began = f->heard = clock_mono();
	if (f->silent)
		loop_timer_set(p->loop, &f->silence, f->heard + f->silent);
	if (curl_multi_add_handle(f->multi->curl, f->curl) != CURLM_OK)
		abort(); /* no memory */
}

static void tell(struct fetch *f)
{
	const char *why = *f->why ? f->why : strerror(-f->status);

	take_back(f);
	if (f->status >= 0)
		f->calls.done(f->calls.owner, f->status, buf_cstr(&f->answer), f->answer.len);
	else
		f->calls.done(f->calls.owner, f->status, why, strlen(why));
	f->state = FETCH_CANCELLED;
}

/* The first of a state that the chores change; what they call back may change the whole list. */
static struct fetch *find_chore(const struct fetch_pool *p)
{
	for (struct fetch *f = p->fetches; f; f = f->next)
		if (f->state != FETCH_RUNS)
			return f;
	return NULL;
}

static void forget(struct fetch *f)
{
	struct fetch **at = &f->pool->fetches;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	fetch_free(f);
}

static void chores(struct loop_timer *t)
{
	struct fetch_pool *p = container_of(t, struct fetch_pool, chores);
	struct fetch *f;

	while ((f = find_chore(p))) {
		if (f->state == FETCH_NEW)
			begin(f);
		else if (f->state == FETCH_ENDED)
			tell(f);
		else
			forget(f);
	}
	for (struct multi **at = &p->multis; *at;)
		if ((*at)->old && (*at)->requests == 0)
			multi_free(at);
		else
			at = &(*at)->next;
}

static void silence_fired(struct loop_timer *t)
{
	struct fetch *f = container_of(t, struct fetch, silence);
	uint64_t due = f->heard + f->silent;

	if (clock_mono() < due) {
		loop_timer_set(f->pool->loop, t, due);
		return;
	}
	if (f->state != FETCH_RUNS)
		return;
	snprintf(f->why, sizeof(f->why), "nothing was heard for %llu s",
		 (unsigned long long)(f->silent / USEC_PER_SEC));
	end(f, -ETIMEDOUT);
	suspect(f->multi, f);
	do_chores_soon(f->pool);
}

struct fetch_pool *fetch_pool_new(struct loop *l)
{
	struct fetch_pool *p = xcalloc(1, sizeof(*p));

	p->loop = l;
	p->chores.fired = chores;
	return p;
}

void fetch_pool_free(struct fetch_pool *p)
{
	if (!p)
		return;
	while (p->fetches)
		forget(p->fetches);
	while (p->multis)
		multi_free(&p->multis);
	loop_timer_del(p->loop, &p->chores);
	free(p);
}

void fetch_pool_renew(struct fetch_pool *p)
{
	if (p->multis)
		p->multis->old = true;
	do_chores_soon(p);
}

struct fetch *fetch_start(struct fetch_pool *p, const struct fetch_request *r)
{
	struct fetch *f = xcalloc(1, sizeof(*f));

	f->pool = p;
	f->answer.max = r->answer_max;
	f->silent = (uint64_t)r->silent_ms * USEC_PER_MSEC;
	f->silence.fired = silence_fired;
	f->calls = *r;
	buf_str(&f->body, r->body ? r->body : "");
	f->curl = prepare(r, r->body ? buf_cstr(&f->body) : NULL, &f->headers);
	curl_easy_setopt(f->curl, CURLOPT_PRIVATE, f);
	curl_easy_setopt(f->curl, CURLOPT_ERRORBUFFER, f->why);
	curl_easy_setopt(f->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(f->curl, CURLOPT_HEADERDATA, f);
	curl_easy_setopt(f->curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(f->curl, CURLOPT_WRITEDATA, f);
	curl_easy_setopt(f->curl, CURLOPT_SOCKOPTFUNCTION, on_socket);
	curl_easy_setopt(f->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	/* Without TLS whether it multiplexes is known only after its first answer. */
	curl_easy_setopt(f->curl, CURLOPT_PIPEWAIT, (long)(strncmp(r->url, "https:", 6) == 0));
	curl_easy_setopt(f->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(f->curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(f->curl, CURLOPT_TCP_KEEPIDLE, 30L);
	curl_easy_setopt(f->curl, CURLOPT_TCP_KEEPINTVL, 10L);
	f->next = p->fetches;
	p->fetches = f;
	do_chores_soon(p);
	return f;
}

void fetch_cancel(struct fetch *f)
{
	if (!f)
		return;
	f->state = FETCH_CANCELLED;
	do_chores_soon(f->pool);
}

long fetch_retry_after_ms(const struct fetch *f)
{
	curl_off_t seconds = 0;

	curl_easy_getinfo(f->curl, CURLINFO_RETRY_AFTER, &seconds);
	return seconds > 0 ? (long)MIN(seconds, 86400) * 1000 : 0;
}

int fetch_wait(const struct fetch_request *r, struct buf *out)
{
	struct curl_slist *headers = NULL;
	CURL *curl = prepare(r, r->body, &headers);
	size_t max = out->max;
	int status;

	out->max = out->len + r->answer_max;
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
	status = result(curl, curl_easy_perform(curl));
	out->max = max;
	curl_easy_cleanup(curl);
	headers_free(headers);
	return status;
}
