/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The open requests of holders. Owns them. One thread.
 */
#include "agent/holders.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/session.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "schemas/api.h"

#define LOOK (250 * USEC_PER_MSEC) /* a request that its client gave up makes no event */
#define AWAIT (10 * USEC_PER_SEC)  /* holders look for an agent every second */

struct holder {
	struct holder *next;
	struct network *network;
	struct http_request *request;
};

struct holders {
	struct agent *agent;
	struct holder *list;
	struct loop_timer timer, await;
};

static void answer(struct http_request *r, unsigned status, const char *code, const char *message)
{
	_cleanup_(freep) char *c = xstrdup(code), *m = xstrdup(message);
	struct api_error e = { .error = { .code = c, .message = m } };
	struct buf body = { 0 };

	json_encode(&body, api_error_fields, &e);
	http_reply(r, status, NULL, buf_cstr(&body), body.len);
	buf_done(&body);
}

static void tell(struct holders *h)
{
	if (h->agent->session)
		session_state_changed(h->agent->session);
}

static struct holder *take_out(struct holder **at)
{
	struct holder *x = *at;

	*at = x->next;
	if (--x->network->holders == 0)
		x->network->holder_gone = clock_wall();
	return x;
}

static void fired(struct loop_timer *t)
{
	struct holders *h = container_of(t, struct holders, timer);
	bool changed = false;

	for (struct holder **at = &h->list; *at;) {
		struct holder *x;

		if (!http_request_gone((*at)->request)) {
			at = &(*at)->next;
			continue;
		}
		x = take_out(at);
		if (!x->network->holders) {
			memberships_store(h->agent->state, x->network);
			changed = true;
		}
		log_info("holder-gone", "network=%s", x->network->name);
		answer(x->request, 410, "gone", "the holder is gone");
		free(x);
	}
	if (h->list)
		loop_timer_set(h->agent->loop, &h->timer, clock_mono() + LOOK);
	if (changed)
		tell(h);
}

static void awaited(struct loop_timer *t)
{
	struct holders *h = container_of(t, struct holders, await);
	bool changed = false;

	for (size_t i = 0; i < h->agent->memberships.count; i++) {
		struct network *n = h->agent->memberships.list[i];

		if (!n->holder_awaited)
			continue;
		n->holder_awaited = false;
		memberships_store(h->agent->state, n);
		log_info("holder-gone", "network=%s", n->name);
		changed = true;
	}
	if (changed)
		tell(h);
}

struct holders *holders_new(struct agent *a)
{
	struct holders *h = xcalloc(1, sizeof(*h));

	h->agent = a;
	h->timer.fired = fired;
	h->await.fired = awaited;
	loop_timer_set(a->loop, &h->await, clock_mono() + AWAIT);
	return h;
}

void holders_free(struct holders *h)
{
	if (!h)
		return;
	/* On the disk they stay held: they come back to the next agent. */
	while (h->list) {
		struct holder *x = take_out(&h->list);

		answer(x->request, 503, "stopping", "the agent is being stopped");
		free(x);
	}
	loop_timer_del(h->agent->loop, &h->timer);
	loop_timer_del(h->agent->loop, &h->await);
	free(h);
}

void holders_add(struct holders *h, struct network *n, struct http_request *r)
{
	struct holder *x = xcalloc(1, sizeof(*x));

	x->network = n;
	x->request = r;
	x->next = h->list;
	h->list = x;
	log_info("holder", "network=%s", n->name);
	n->holder_awaited = false;
	if (n->holders++ == 0) {
		memberships_store(h->agent->state, n);
		tell(h);
	}
	loop_timer_set(h->agent->loop, &h->timer, clock_mono() + LOOK);
}

void holders_end(struct holders *h, const struct network *n)
{
	char message[192];

	if (!h)
		return;
	snprintf(message, sizeof(message), "the membership in %s has ended: %s", n->name,
		 n->leaving ? "this node left" : "another one has its place, or it was removed");
	for (struct holder **at = &h->list; *at;) {
		struct holder *x;

		if ((*at)->network != n) {
			at = &(*at)->next;
			continue;
		}
		x = take_out(at);
		answer(x->request, 410, n->leaving ? "left" : "ended", message);
		free(x);
	}
}

size_t holders_list(const struct agent *a, struct arena *arena, struct holder_state **ret)
{
	size_t count = 0;

	*ret = arena_array(arena, a->memberships.count, sizeof(**ret));
	for (size_t i = 0; i < a->memberships.count; i++) {
		const struct network *n = a->memberships.list[i];

		bool held = n->holders || n->holder_awaited;

		if (held || n->holder_gone)
			(*ret)[count++] = (struct holder_state){
				.network = arena_strdup(arena, n->name),
				.gone = held ? 0 : n->holder_gone,
			};
	}
	return count;
}
