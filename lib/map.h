/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A map from strings to pointers. The keys are copied, the values are the caller's. Hash table
 * (uthash); map_each goes in the order of insertion, map_sorted by key.
 */
#pragma once

#include <stddef.h>

#include "lib/base.h"

struct map;

struct map *map_new(void);
/* Frees the map and, with `free_value` (may be NULL), each value. NULL is allowed. */
void map_free(struct map *m, void (*free_value)(void *value));
size_t map_count(const struct map *m);
void *map_get(const struct map *m, const char *key);
/* Returns the value that was there before, NULL when none. `value` must not be NULL. */
void *map_put(struct map *m, const char *key, void *value);
/* Takes the entry out and returns its value, NULL when none. */
void *map_del(struct map *m, const char *key);
/* Takes all entries out. */
void map_clear(struct map *m, void (*free_value)(void *value));

/* Walks: pass NULL first, then what came back; NULL at the end. The entry last returned may be
 * deleted during the walk. */
struct map_entry;
struct map_entry *map_next(const struct map *m, const struct map_entry *e);
/* The entry of this key, to go on from there; NULL when none. */
struct map_entry *map_find(const struct map *m, const char *key);
const char *map_entry_key(const struct map_entry *e);
void *map_entry_value(const struct map_entry *e);
/* All keys sorted by strcmp, borrowed; the array (NULL at its end) is freed by the caller. */
const char **map_sorted(const struct map *m);
