/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tells when a file may have changed: its folder is watched with inotify, so that a write, a rename
 * over it, and the swapped link of a mounted ConfigMap are all seen at once; and it is looked at every
 * ten seconds, for file systems that tell nothing.
 */
#pragma once

#include "lib/loop.h"

struct watch;

/* `changed` is called from the loop after each change. Borrowed: `path`. Negative errno: the folder
 * cannot be watched. */
int watch_new(struct loop *l, const char *path, void (*changed)(void *owner), void *owner,
	      struct watch **ret) MUST_CHECK;
/* The file could not be taken: it is told as changed again at the next look. */
void watch_again(struct watch *w);
void watch_free(struct watch *w);
