/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The services file, followed: exporter/watch.h, exporter/services.h. One thread.
 */
#pragma once

#include "exporter/source.h"
#include "lib/loop.h"

struct source_file;

/* Borrowed: `path`, `events`. Negative errno: its folder cannot be watched. */
int source_file_new(struct loop *l, const char *path, const struct source_events *events,
		    void *owner, struct source_file **ret) MUST_CHECK;
void source_file_free(struct source_file *s); /* NULL allowed */
/* Reads it, now and after each change. */
void source_file_start(struct source_file *s);
