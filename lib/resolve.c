/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * getaddrinfo on a thread. The thread owns the result until it has set `state`; everything else
 * belongs to the loop's thread. An answer is found by a hook, after a wake-up: no descriptor is
 * needed.
 */
#include "lib/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

enum state { RUNNING, DONE, CANCELLED };

struct resolve {
	struct loop *loop;
	struct loop_hook hook;
	pthread_t thread;
	bool threaded;
	_Atomic int state;

	char *host;
	uint16_t port;
	struct endpoint found[RESOLVE_MAX];
	size_t count;
	char *error;

	void (*done)(void *owner, const struct endpoint *e, size_t count, const char *error);
	void *owner;
};

static void resolve_free(struct resolve *r)
{
	free(r->host);
	free(r->error);
	free(r);
}

static void look_up(struct resolve *r)
{
	/* One answer for each address: without a type there are three. */
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *list = NULL;
	int code = getaddrinfo(r->host, NULL, &hints, &list);

	if (code != 0) {
		r->error = xasprintf("cannot look up %s: %s", r->host,
				     code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
		return;
	}
	for (struct addrinfo *a = list; a && r->count < RESOLVE_MAX; a = a->ai_next) {
		if (endpoint_from_sockaddr(a->ai_addr, a->ai_addrlen, &r->found[r->count]) < 0)
			continue;
		r->found[r->count++].port = r->port;
	}
	freeaddrinfo(list);
	if (!r->count)
		r->error = xasprintf("cannot look up %s: no address", r->host);
}

static void *run(void *arg)
{
	struct resolve *r = arg;

	look_up(r);
	if (atomic_exchange(&r->state, DONE) == CANCELLED)
		resolve_free(r);
	else
		loop_wake(r->loop); /* whoever cancels or answers now joins us first */
	return NULL;
}

static void prepare(struct loop_hook *h)
{
	struct resolve *r = container_of(h, struct resolve, hook);

	if (atomic_load(&r->state) != DONE)
		return;
	loop_hook_del(r->loop, &r->hook);
	if (r->threaded)
		pthread_join(r->thread, NULL);
	r->done(r->owner, r->found, r->count, r->error);
	resolve_free(r);
}

/* All signals stay with the main thread. */
static int start_thread(struct resolve *r)
{
	sigset_t all, old;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	code = pthread_create(&r->thread, NULL, run, r);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -code;
}

struct resolve *resolve_start(struct loop *l, const char *host, uint16_t port,
			      void (*done)(void *owner, const struct endpoint *e, size_t count,
					   const char *error),
			      void *owner)
{
	struct resolve *r = xcalloc(1, sizeof(*r));
	int code;

	r->loop = l;
	r->hook.prepare = prepare;
	r->host = xstrdup(host);
	r->port = port;
	r->done = done;
	r->owner = owner;
	loop_hook_add(l, &r->hook);
	if (addr_parse(host, &r->found[0].addr) == 0) {
		r->found[0].port = port;
		r->count = 1;
	} else {
		r->threaded = true;
		code = start_thread(r);
		if (code == 0)
			return r;
		r->threaded = false;
		r->error = xasprintf("cannot look up %s: no thread: %s", host, strerror(-code));
	}
	atomic_store(&r->state, DONE);
	loop_wake(l);
	return r;
}

void resolve_cancel(struct resolve *r)
{
	pthread_t thread;

	if (!r)
		return;
	loop_hook_del(r->loop, &r->hook);
	thread = r->thread;
	if (atomic_exchange(&r->state, CANCELLED) != DONE) {
		pthread_detach(thread); /* `r` may be gone by now */
		return;
	}
	if (r->threaded)
		pthread_join(r->thread, NULL);
	resolve_free(r);
}
