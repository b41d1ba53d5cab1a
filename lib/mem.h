/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory. Running out of it ends the process with a message: sizes from outside are capped before
 * anything is allocated, so it is never an attacker's tool, and the kernel keeps forwarding while
 * the daemon restarts.
 *
 * An arena is a chain of blocks that are freed at once: one arena per decoded message.
 */
#pragma once

#include <stddef.h>

#include "lib/base.h"

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
/* realloc for an array; a product that overflows ends the process. */
void *xreallocarray(void *p, size_t count, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
void *xmemdup(const void *p, size_t n);
char *xasprintf(const char *fmt, ...) PRINTF(1, 2);

/* Cleanup helper: `_cleanup_(freep) char *s = NULL;` */
void freep(void *pp);

struct arena {
	struct arena_block *blocks;
};

/* A zeroed struct arena is a valid empty one. Memory is zeroed and aligned for any type. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_array(struct arena *a, size_t count, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
void *arena_memdup(struct arena *a, const void *p, size_t n);
/* Frees all blocks; the arena is empty and usable again. */
void arena_done(struct arena *a);
