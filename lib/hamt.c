/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Versions of a map. Owns its branches and leaves. One thread writes, any may read.
 */
#include "lib/hamt.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

#define BITS 5
#define HASH_BITS 64

/* `bitmap` says which of the 32 places are taken; the children stand without gaps. Below the last
 * bits of the hash a branch is a plain list, its bitmap is zero. */
struct branch {
	struct hamt_item item;
	uint16_t count;
	uint32_t bitmap;
	const struct hamt_item *child[];
};

static const struct branch *as_branch(const struct hamt_item *i)
{
	return (const void *)i;
}

static const struct hamt_leaf *as_leaf(const struct hamt_item *i)
{
	return (const void *)i;
}

static void *writable(const void *p)
{
	union {
		const void *from;
		void *to;
	} u = { .from = p };

	return u.to;
}

static bool same(const struct hamt_item *i, uint64_t hash, const char *key, size_t len)
{
	const struct hamt_leaf *l = as_leaf(i);

	return l->hash == hash && l->key_len == len && memcmp(l->key, key, len) == 0;
}

static uint32_t bit_of(uint64_t hash, unsigned shift)
{
	return UINT32_C(1) << ((hash >> shift) & ((1U << BITS) - 1));
}

static unsigned index_of(const struct branch *b, uint32_t bit)
{
	return (unsigned)__builtin_popcount(b->bitmap & (bit - 1));
}

uint64_t hamt_hash(uint64_t seed, const char *key, size_t len)
{
	uint64_t h = seed ^ UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++) {
		h ^= (uint8_t)key[i];
		h *= UINT64_C(0x100000001b3);
		h ^= h >> 29;
	}
	return h ^ (h >> 32) ^ seed >> 7;
}

const struct hamt_leaf *hamt_find(const struct hamt_item *at, uint64_t hash, const char *key,
				  size_t len)
{
	for (unsigned shift = 0; at; shift += BITS) {
		const struct branch *b = as_branch(at);
		uint32_t bit;

		if (at->leaf)
			return same(at, hash, key, len) ? as_leaf(at) : NULL;
		if (shift >= HASH_BITS) {
			for (unsigned i = 0; i < b->count; i++)
				if (same(b->child[i], hash, key, len))
					return as_leaf(b->child[i]);
			return NULL;
		}
		bit = bit_of(hash, shift);
		if (!(b->bitmap & bit))
			return NULL;
		at = b->child[index_of(b, bit)];
	}
	return NULL;
}

void hamt_each(const struct hamt_item *at, void (*each)(void *owner, const struct hamt_leaf *l),
	       void *owner)
{
	const struct branch *b = as_branch(at);

	if (!at)
		return;
	if (at->leaf)
		each(owner, as_leaf(at));
	for (unsigned i = 0; !at->leaf && i < b->count; i++)
		hamt_each(b->child[i], each, owner);
}

/* ---- writing ---- */

bool hamt_is_new(const struct hamt *m, uint32_t born)
{
	return born == m->born;
}

void hamt_discard(struct hamt *m, void *block, uint32_t born)
{
	struct hamt_garbage *g = &m->garbage;

	if (born == m->born) {
		free(block);
		return;
	}
	if (g->count == g->size) {
		g->size = g->size ? 2 * g->size : 16;
		g->list = xreallocarray(g->list, g->size, sizeof(*g->list));
	}
	g->list[g->count++] = block;
}

static void discard_item(struct hamt *m, const struct hamt_item *i)
{
	hamt_discard(m, writable(i), i->born);
}

static struct branch *branch_new(const struct hamt *m, uint32_t bitmap, unsigned count)
{
	struct branch *b = xmalloc(sizeof(*b) + count * sizeof(*b->child));

	*b = (struct branch){ .item = { .born = m->born },
			      .count = (uint16_t)count,
			      .bitmap = bitmap };
	return b;
}

/* The same branch with another child in a place; the old branch is discarded. */
static const struct hamt_item *with(struct hamt *m, const struct branch *b, unsigned place,
				    const struct hamt_item *child)
{
	struct branch *n;

	if (hamt_is_new(m, b->item.born)) {
		n = writable(b);
		n->child[place] = child;
		return &n->item;
	}
	n = branch_new(m, b->bitmap, b->count);
	memcpy(n->child, b->child, b->count * sizeof(*b->child));
	n->child[place] = child;
	discard_item(m, &b->item);
	return &n->item;
}

static const struct hamt_item *with_more(struct hamt *m, const struct branch *b, uint32_t bit,
					 const struct hamt_item *child)
{
	unsigned place = bit ? index_of(b, bit) : b->count;
	struct branch *n = branch_new(m, b->bitmap | bit, b->count + 1U);

	memcpy(n->child, b->child, place * sizeof(*b->child));
	n->child[place] = child;
	memcpy(n->child + place + 1, b->child + place, (b->count - place) * sizeof(*b->child));
	discard_item(m, &b->item);
	return &n->item;
}

/* A branch of one leaf is that leaf. */
static const struct hamt_item *with_less(struct hamt *m, const struct branch *b, uint32_t bit,
					 unsigned place)
{
	const struct hamt_item *rest = NULL;
	struct branch *n;

	if (b->count == 2 && b->child[!place]->leaf)
		rest = b->child[!place];
	if (!rest && b->count > 1) {
		n = branch_new(m, b->bitmap & ~bit, b->count - 1U);
		memcpy(n->child, b->child, place * sizeof(*b->child));
		memcpy(n->child + place, b->child + place + 1,
		       (b->count - place - 1U) * sizeof(*b->child));
		rest = &n->item;
	}
	discard_item(m, &b->item);
	return rest;
}

/* Two leaves with different keys that have met. */
static const struct hamt_item *both(struct hamt *m, const struct hamt_leaf *a,
				    const struct hamt_leaf *b, unsigned shift)
{
	struct branch *n;
	uint32_t x, y;

	if (shift >= HASH_BITS) {
		n = branch_new(m, 0, 2);
		n->child[0] = &a->item;
		n->child[1] = &b->item;
		return &n->item;
	}
	x = bit_of(a->hash, shift);
	y = bit_of(b->hash, shift);
	if (x == y) {
		n = branch_new(m, x, 1);
		n->child[0] = both(m, a, b, shift + BITS);
	} else {
		n = branch_new(m, x | y, 2);
		n->child[x > y] = &a->item;
		n->child[x < y] = &b->item;
	}
	return &n->item;
}

static const struct hamt_item *put(struct hamt *m, const struct hamt_item *at,
				   const struct hamt_leaf *leaf, unsigned shift)
{
	const struct branch *b = as_branch(at);
	uint32_t bit = 0;
	unsigned place;

	if (!at)
		return &leaf->item;
	if (at->leaf) {
		if (!same(at, leaf->hash, leaf->key, leaf->key_len))
			return both(m, as_leaf(at), leaf, shift);
		discard_item(m, at);
		return &leaf->item;
	}
	if (shift >= HASH_BITS) {
		for (place = 0; place < b->count; place++)
			if (same(b->child[place], leaf->hash, leaf->key, leaf->key_len))
				break;
		if (place == b->count)
			return with_more(m, b, 0, &leaf->item);
		discard_item(m, b->child[place]);
		return with(m, b, place, &leaf->item);
	}
	bit = bit_of(leaf->hash, shift);
	if (!(b->bitmap & bit))
		return with_more(m, b, bit, &leaf->item);
	place = index_of(b, bit);
	return with(m, b, place, put(m, b->child[place], leaf, shift + BITS));
}

void hamt_put(struct hamt *m, struct hamt_leaf *leaf)
{
	leaf->item = (struct hamt_item){ .born = m->born, .leaf = true };
	m->root = put(m, m->root, leaf, 0);
}

static const struct hamt_item *del(struct hamt *m, const struct hamt_item *at, uint64_t hash,
				   const char *key, size_t len, unsigned shift)
{
	const struct branch *b = as_branch(at);
	const struct hamt_item *rest;
	uint32_t bit;
	unsigned place = 0;

	if (at->leaf) {
		discard_item(m, at);
		return NULL;
	}
	if (shift >= HASH_BITS) {
		while (!same(b->child[place], hash, key, len))
			place++;
		discard_item(m, b->child[place]);
		return with_less(m, b, 0, place);
	}
	bit = bit_of(hash, shift);
	place = index_of(b, bit);
	rest = del(m, b->child[place], hash, key, len, shift + BITS);
	if (!rest)
		return with_less(m, b, bit, place);
	if (rest->leaf && b->count == 1) {
		discard_item(m, at);
		return rest;
	}
	return with(m, b, place, rest);
}

bool hamt_del(struct hamt *m, uint64_t hash, const char *key, size_t len)
{
	if (!hamt_find(m->root, hash, key, len))
		return false;
	m->root = del(m, m->root, hash, key, len, 0);
	return true;
}

/* ---- life ---- */

void hamt_init(struct hamt *m, uint64_t seed)
{
	*m = (struct hamt){ .born = 1, .seed = seed };
}

const struct hamt_item *hamt_commit(struct hamt *m, struct hamt_garbage *ret)
{
	if (ret->count + m->garbage.count > ret->size) {
		ret->size = ret->count + m->garbage.count;
		ret->list = xreallocarray(ret->list, ret->size, sizeof(*ret->list));
	}
	if (m->garbage.count)
		memcpy(ret->list + ret->count, m->garbage.list,
		       m->garbage.count * sizeof(*ret->list));
	ret->count += m->garbage.count;
	m->garbage.count = 0;
	m->born++;
	return m->root;
}

void hamt_garbage_free(struct hamt_garbage *g)
{
	for (size_t i = 0; i < g->count; i++)
		free(g->list[i]);
	free(g->list);
	*g = (struct hamt_garbage){ 0 };
}

static void free_all(const struct hamt_item *at)
{
	const struct branch *b = as_branch(at);

	if (!at)
		return;
	for (unsigned i = 0; !at->leaf && i < b->count; i++)
		free_all(b->child[i]);
	free(writable(at));
}

void hamt_done(struct hamt *m)
{
	hamt_garbage_free(&m->garbage);
	free_all(m->root);
	m->root = NULL;
}
