/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One resource of a Kubernetes API server followed: a chunked list, then a watch with bookmarks, for ever
 * (KEP-365 pages, "Efficient detection of changes" in the API concepts). Nothing is polled. What goes
 * wrong (410 in both its shapes, errors inside the stream, resets, a connection that is half open, a
 * server that is gone or says wait) is mended here, with back-off and jitter; what the caller sees is
 * only a sequence of
 *
 *	begin put* end (put | del)*
 *
 * in which `begin` starts a listing and `end` says that all that was not put since is gone. A listing
 * that broke off is begun anew. Memory is bounded by one object (exporter/kube_text.h); what to ask
 * when is exporter/kube_reflector.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "exporter/kube_api.h"

struct kube_watch;

struct kube_watch_events {
	void (*begin)(void *owner);
	/* One object of the resource, as JSON text; valid during the call. */
	void (*put)(void *owner, const char *object, size_t len);
	void (*del)(void *owner, const char *object, size_t len);
	void (*end)(void *owner);
	/* The first time, and each time the sentence changes; NULL: it goes well again. A resource that
	 * the server does not have, or that we may not read, is tried again every few minutes; the
	 * sentence then names verb, resource and what to grant. */
	void (*trouble)(void *owner, const char *sentence);
};

struct kube_watch_config {
	struct loop *loop;
	struct kube_api *api;
	const char *path;     /* "/api/v1/services"; copied */
	const char *selector; /* labelSelector, not escaped; NULL: none; copied */
	const char *fields;   /* fieldSelector, likewise */
	/* What the objects of a watch are, as "Service": an event with another one is taken for garbage.
	 * Borrowed. */
	const char *kind;
	/* The server need not have it: absent and forbidden count as an empty listing (`begin`, `end`). */
	bool optional;
	/* A watch in which nothing came for so long (most servers give a bookmark each minute) is begun
	 * anew on a new connection, the second time with a new list; 0: 150 s. */
	long silent_ms;
	const struct kube_watch_events *events;
	void *owner;
};

struct kube_watch *kube_watch_new(const struct kube_watch_config *c);
void kube_watch_free(struct kube_watch *w); /* NULL allowed; not from inside an event */
