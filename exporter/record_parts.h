/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the record of a service to the bodies of its members (schemas/record.h): compact JSON, one body, or
 * for a headless service with too many endpoints as many as they need, a power of two. Which endpoint stands
 * in which part says a hash of its host name (of its first address, when it has none): a pod that comes or
 * goes changes one part. Pure.
 */
#pragma once

#include "lib/crypto.h"
#include "lib/map.h"
#include "schemas/record.h"

struct record_parts {
	char *bodies[RECORD_PARTS_MAX]; /* owned */
	unsigned count;
	size_t left_out; /* endpoints for which there is no room */
};

/* Each body is one that a journal takes, and the same for the same endpoints in the same order. */
void record_parts_make(struct record_parts *p, const struct record *r);
void record_parts_done(struct record_parts *p);
/* The same for the same parts. */
void record_parts_hash(const struct record_parts *p, uint8_t ret[static HASH_LEN]);
/* Puts the bodies into `ret` as members of the service `<namespace>/<service>`, and "" for the parts from
 * `count` to `before`. The parts behind come first and what is gone last: who reads one after the other is
 * never without an endpoint that was there before and still is. Takes the bodies. */
void record_parts_take(struct record_parts *p, const char *name, unsigned before, struct map *ret);
