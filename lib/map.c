/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A map from strings to pointers over uthash, whose only user this is. Owns entries and keys, not
 * values; one thread.
 *
 * Keys are names that strangers choose, so the hash is SipHash-2-4 with a random key of the
 * process: nobody outside can make names that fall into one bucket.
 */
#include "lib/map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/mem.h"

static uint64_t hash_key[2];

static uint64_t rotl(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static void sip_round(uint64_t v[static 4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] = rotl(v[0], 32) + v[3];
	v[2] += v[1];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static unsigned sip_hash(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t v[4] = { hash_key[0] ^ UINT64_C(0x736f6d6570736575),
			  hash_key[1] ^ UINT64_C(0x646f72616e646f6d),
			  hash_key[0] ^ UINT64_C(0x6c7967656e657261),
			  hash_key[1] ^ UINT64_C(0x7465646279746573) };
	uint64_t last = (uint64_t)n << 56, word;

	for (; n >= 8; n -= 8, b += 8) {
		memcpy(&word, b, 8);
		v[3] ^= word;
		sip_round(v);
		sip_round(v);
		v[0] ^= word;
	}
	for (size_t i = 0; i < n; i++)
		last |= (uint64_t)b[i] << (8 * i);
	v[3] ^= last;
	sip_round(v);
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return (unsigned)(v[0] ^ v[1] ^ v[2] ^ v[3]);
}

#define HASH_FUNCTION(key, len, ret) ((ret) = sip_hash((key), (len)))
#define uthash_malloc(size) xmalloc(size)
#define uthash_fatal(msg) abort()
#include <uthash.h>

struct map_entry {
	UT_hash_handle hh;
	void *value;
	char key[];
};

struct map {
	struct map_entry *first;
	/* The entry deleted last: a walk may still stand on it and ask for the next one. */
	struct map_entry *dead;
};

static struct map_entry *find(const struct map *m, const char *key)
{
	struct map_entry *e;

	HASH_FIND_STR(m->first, key, e);
	return e;
}

static int compare_keys(const void *a, const void *b)
{
	const char *ka, *kb;

	memcpy(&ka, a, sizeof(ka));
	memcpy(&kb, b, sizeof(kb));
	return strcmp(ka, kb);
}

struct map *map_new(void)
{
	if (!hash_key[0] && getrandom(hash_key, sizeof(hash_key), 0) != sizeof(hash_key))
		abort();
	return xcalloc(1, sizeof(struct map));
}

void map_clear(struct map *m, void (*free_value)(void *value))
{
	struct map_entry *e, *next;

	e = m->first;
	HASH_CLEAR(hh, m->first);
	for (; e; e = next) {
		next = e->hh.next;
		if (free_value)
			free_value(e->value);
		free(e);
	}
	free(m->dead);
	m->dead = NULL;
}

void map_free(struct map *m, void (*free_value)(void *value))
{
	if (!m)
		return;
	map_clear(m, free_value);
	free(m);
}

size_t map_count(const struct map *m)
{
	return HASH_COUNT(m->first);
}

void *map_get(const struct map *m, const char *key)
{
	struct map_entry *e = find(m, key);

	return e ? e->value : NULL;
}

void *map_put(struct map *m, const char *key, void *value)
{
	struct map_entry *e = find(m, key);
	size_t len;
	void *old;

	if (e) {
		old = e->value;
		e->value = value;
		return old;
	}
	len = strlen(key);
	e = xcalloc(1, sizeof(*e) + len + 1);
	e->value = value;
	memcpy(e->key, key, len + 1);
	HASH_ADD_KEYPTR(hh, m->first, e->key, len, e);
	return NULL;
}

void *map_del(struct map *m, const char *key)
{
	struct map_entry *e = find(m, key);

	if (!e)
		return NULL;
	HASH_DEL(m->first, e);
	free(m->dead);
	m->dead = e;
	return e->value;
}

struct map_entry *map_next(const struct map *m, const struct map_entry *e)
{
	return e ? e->hh.next : m->first;
}

struct map_entry *map_find(const struct map *m, const char *key)
{
	return find(m, key);
}

const char *map_entry_key(const struct map_entry *e)
{
	return e->key;
}

void *map_entry_value(const struct map_entry *e)
{
	return e->value;
}

const char **map_sorted(const struct map *m)
{
	const char **keys = xcalloc(map_count(m) + 1, sizeof(*keys));
	size_t n = 0;

	for (const struct map_entry *e = m->first; e; e = e->hh.next)
		keys[n++] = e->key;
	qsort(keys, n, sizeof(*keys), compare_keys);
	return keys;
}
