/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One resource followed: the requests that exporter/kube_reflector.h asks for, their answers taken apart and
 * told. Owns its call. One thread.
 */
#include "exporter/kube_watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/kube_reflector.h"
#include "exporter/kube_text.h"
#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/mem.h"

#define SILENT_MS 150000
#define LIST_SILENT_MS 30000 /* a page comes at once, or not at all */
#define CALL_MS 660000	     /* the longest watch that is asked for, and a minute */

struct kube_watch {
	struct loop *loop;
	struct kube_api *api;
	char *path, *selector, *fields;
	const char *kind;
	long silent_ms;
	const struct kube_watch_events *events;
	void *owner;
	struct kube_reflector reflector;
	struct kube_list list;
	struct kube_lines lines;
	struct kube_call *call;
	struct loop_timer timer;
	bool absent; /* told as an empty listing */
	int error;   /* why we ended the answer: -EBADMSG, -EFBIG, or a Status' code */
	struct kube_status status; /* the one inside the stream */
	char told[KUBE_TROUBLE_SIZE];
};

/* ---- what comes ---- */

static void on_object(void *owner, const char *text, size_t len)
{
	struct kube_watch *w = owner;

	w->events->put(w->owner, text, len);
}

static void tell_trouble(struct kube_watch *w)
{
	const char *now = w->reflector.trouble;

	if (strcmp(now, w->told) == 0)
		return;
	snprintf(w->told, sizeof(w->told), "%s", now);
	w->events->trouble(w->owner, *now ? now : NULL);
}

static int on_line(void *owner, const char *line, size_t len)
{
	struct kube_watch *w = owner;
	struct kube_event e;
	int r = kube_event_read(line, len, &e);

	if (r < 0)
		return r;
	if (*e.kind && strcmp(e.kind, w->kind) != 0)
		return -EBADMSG;
	switch (e.type) {
	case KUBE_ADDED:
	case KUBE_MODIFIED:
		w->events->put(w->owner, e.object, e.len);
		break;
	case KUBE_DELETED:
		w->events->del(w->owner, e.object, e.len);
		break;
	case KUBE_BOOKMARK:
		break;
	case KUBE_ERROR:
		kube_status_read(e.object, e.len, &w->status);
		w->error = w->status.code ? w->status.code : 500;
		return -ECANCELED;
	}
	kube_reflector_event(&w->reflector, e.version);
	tell_trouble(w);
	return 0;
}

static bool on_data(void *owner, const char *piece, size_t len)
{
	struct kube_watch *w = owner;
	int r = w->reflector.watching ? kube_lines_feed(&w->lines, piece, len, on_line, w) :
					kube_list_feed(&w->list, piece, len);

	if (r < 0 && !w->error)
		w->error = r;
	return r == 0;
}

static void on_opened(void *owner)
{
	struct kube_watch *w = owner;
	bool begins = kube_reflector_begins(&w->reflector);

	kube_reflector_opened(&w->reflector, loop_now(w->loop));
	tell_trouble(w);
	if (begins)
		w->events->begin(w->owner);
}

/* ---- how it ends ---- */

static void arm(struct kube_watch *w)
{
	loop_timer_set(w->loop, &w->timer, w->reflector.due);
	tell_trouble(w);
}

static void end_page(struct kube_watch *w)
{
	w->absent = false;
	if (kube_reflector_page(&w->reflector, loop_now(w->loop), w->list.version, w->list.next))
		w->events->end(w->owner);
}

static void end_badly(struct kube_watch *w, const struct kube_end *e)
{
	if (!kube_reflector_ended(&w->reflector, loop_now(w->loop), e) || w->absent)
		return;
	w->absent = true;
	w->events->begin(w->owner);
	w->events->end(w->owner);
}

/* `text` is that of `done`. */
static void explain(struct kube_watch *w, struct kube_end *e, const char *text, size_t len)
{
	struct kube_status *s = &w->status;

	e->text = s->message;
	if (w->error > 0) {
		e->status = w->error;
		e->retry_after_ms = s->retry_after_ms;
	} else if (w->error == -EFBIG) {
		e->status = w->error;
		e->text = "an object is longer than 4 MiB";
	} else if (w->error < 0) {
		e->status = w->error;
		e->text = "the answer is not what the API server answers: is something between?";
	} else if (e->status < 0) {
		e->text = text;
	} else if (e->status != 200) {
		kube_status_read(text, len, s);
		e->retry_after_ms = MAX(kube_call_retry_after_ms(w->call), s->retry_after_ms);
	}
}

static void on_done(void *owner, int status, const char *text, size_t len)
{
	struct kube_watch *w = owner;
	struct kube_end e = { .status = status };

	if (!w->reflector.watching && status == 200 && !w->error)
		w->error = kube_list_end(&w->list);
	explain(w, &e, text, len);
	w->call = NULL;
	if (!w->reflector.watching && e.status == 200)
		end_page(w);
	else
		end_badly(w, &e);
	arm(w);
}

/* ---- how it begins ---- */

static void ask(struct loop_timer *t)
{
	struct kube_watch *w = container_of(t, struct kube_watch, timer);
	struct buf path = { 0 };

	kube_reflector_ask(&w->reflector, loop_now(w->loop), &path);
	kube_list_clear(&w->list);
	kube_lines_clear(&w->lines);
	w->error = 0;
	w->status = (struct kube_status){ 0 };
	w->call = kube_api_call(
		w->api,
		&(struct kube_request){ .method = "GET",
					.path = buf_cstr(&path),
					.timeout_ms = CALL_MS,
					.silent_ms = w->reflector.watching ?
							     w->silent_ms :
							     MIN(w->silent_ms, LIST_SILENT_MS),
					.data = on_data,
					.opened = on_opened,
					.done = on_done,
					.owner = w });
	buf_done(&path);
}

struct kube_watch *kube_watch_new(const struct kube_watch_config *c)
{
	struct kube_watch *w = xcalloc(1, sizeof(*w));
	uint64_t seed;

	crypto_random(&seed, sizeof(seed));
	w->loop = c->loop;
	w->api = c->api;
	w->path = xstrdup(c->path);
	w->selector = c->selector ? xstrdup(c->selector) : NULL;
	w->fields = c->fields ? xstrdup(c->fields) : NULL;
	w->kind = c->kind;
	w->silent_ms = c->silent_ms ? c->silent_ms : SILENT_MS;
	w->events = c->events;
	w->owner = c->owner;
	w->list.object = on_object;
	w->list.owner = w;
	w->timer.fired = ask;
	kube_reflector_init(&w->reflector, w->path, w->selector, c->optional, seed);
	w->reflector.fields = w->fields;
	loop_timer_set(w->loop, &w->timer, w->reflector.due);
	return w;
}

void kube_watch_free(struct kube_watch *w)
{
	if (!w)
		return;
	kube_call_cancel(w->call);
	loop_timer_del(w->loop, &w->timer);
	kube_list_clear(&w->list);
	kube_lines_clear(&w->lines);
	free(w->path);
	free(w->selector);
	free(w->fields);
	free(w);
}
