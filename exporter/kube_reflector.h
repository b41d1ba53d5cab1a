/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What to ask the Kubernetes API next, to follow one resource: a list in pages, then a watch from its
 * resourceVersion on, which every event and bookmark moves forward. Pure: no I/O, no clock; times are
 * monotonic microseconds that the caller gives, the randomness of its jitter is seeded.
 *
 * The rules are client-go's: 410 means list again (in pages: without pages); a watch that ended well goes on
 * at once; everything else waits 0.8 s, doubled up to 30 s, with jitter, from 0.8 s again after 2 good
 * minutes; 429 waits what it says. A watch that the server broke twice without an event between is begun
 * with a new list. What we may not read, or what the server does not have, is tried a few times like this (a
 * server that starts does not know its roles yet), then every few minutes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "exporter/kube_text.h"
#include "lib/buf.h"

#define KUBE_PAGE 500
#define KUBE_TROUBLE_SIZE 512

struct kube_reflector {
	const char *path, *selector; /* borrowed */
	/* fieldSelector, not escaped, NULL: none; the caller sets it; borrowed */
	const char *fields;
	bool optional;
	uint64_t seed;

	uint64_t due;			 /* when to ask; CLOCK_NEVER while an answer is awaited */
	bool watching;			 /* else listing */
	char trouble[KUBE_TROUBLE_SIZE]; /* one sentence; "": it goes well */

	/* The rest is its own. */
	bool unpaged, heard, opened;
	char version[KUBE_VERSION_SIZE];
	char next[KUBE_CONTINUE_SIZE];
	uint64_t asked, good_since, delay;
	unsigned pages;		  /* of this listing */
	unsigned broken, expired; /* in a row without an event */
	unsigned refused;	  /* in a row */
	bool listed;		  /* ever */
	bool doubted;		  /* it stands, but did not give an event since it failed */
};

/* `path` as in "/api/v1/services"; `selector` not escaped, NULL: none. Its first request is due at once. */
void kube_reflector_init(struct kube_reflector *r, const char *path, const char *selector,
			 bool optional, uint64_t seed);
/* The request that is due: path and query are appended. A list if not r->watching. */
void kube_reflector_ask(struct kube_reflector *r, uint64_t now, struct buf *ret_path);
/* Is what was asked the first page of a listing? */
bool kube_reflector_begins(const struct kube_reflector *r);
/* An answer 200 has begun. */
void kube_reflector_opened(struct kube_reflector *r, uint64_t now);
/* A page is whole. True: it was the last one, the listing is over. One that does not come to an end is begun
 * anew, later. */
bool kube_reflector_page(struct kube_reflector *r, uint64_t now, const char *version,
			 const char *next);
/* An event or a bookmark. */
void kube_reflector_event(struct kube_reflector *r, const char *version);

struct kube_end {
	/* 200: a watch ended well. Else of HTTP, or of the Status inside the stream, or a negative errno:
	 * -EBADMSG for what could not be read. */
	int status;
	const char *text; /* what is known of it, for people */
	long retry_after_ms;
};
/* The request is over, and not by a page. True: the resource, which is optional, counts as an empty
 * listing: one that was listed before only when it was refused several times. */
bool kube_reflector_ended(struct kube_reflector *r, uint64_t now, const struct kube_end *e);
