/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the services come from, a file or a cluster: what both tell the exporter. Nothing is told before
 * the source was started.
 */
#pragma once

#include <stddef.h>

#include "lib/addr.h"
#include "lib/map.h"

struct source_events {
	/* The whole truth: members of records (schemas/record.h) -> body. 0, or a negative errno
	 * (source_error): the source tells it again later. */
	int (*records)(void *owner, const struct map *records);
	/* What differs from what was told: name -> body, or "" for one that is gone. After a failure
	 * the source tells the whole truth later. */
	int (*changes)(void *owner, const struct map *changes);
	/* What the site has, for gateways to carry. */
	void (*ranges)(void *owner, const struct prefix *ranges, size_t count);
	/* It must not go on. Not from inside of source_..._new and _start; the source is to be freed,
	 * but not from inside. */
	void (*failed)(void *owner, const char *sentence);
	/* How many are published, for the log. */
	size_t (*count)(void *owner);
};

/* Why records or changes were not taken. */
const char *source_error(int r);
