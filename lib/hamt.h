/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A map with versions: a hash array mapped trie (Bagwell 2001) whose nodes are never changed once they
 * were committed. A reader that has a root sees that version, whole, for as long as it is kept; a
 * change copies the few nodes between the root and the leaf.
 *
 * One thread writes. What a change takes out of committed versions is collected, and is freed when the
 * owner says that nobody reads them any more (hamt_garbage_free).
 *
 * Leaves are the owner's, each one malloc'ed block that begins with struct hamt_leaf. Only owners of
 * something that is committed with the leaves need hamt_discard.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"

struct hamt_item {
	uint32_t born; /* the version being written when it was made */
	bool leaf;
};

struct hamt_leaf {
	struct hamt_item item; /* the map's */
	uint16_t key_len;
	uint64_t hash;	 /* hamt_hash of the key */
	const char *key; /* in the same block */
};

struct hamt_garbage {
	void **list;
	size_t count, size;
};

struct hamt {
	const struct hamt_item *root; /* of the version being written */
	uint32_t born;
	uint64_t seed; /* random: keys from outside must not meet by design */
	struct hamt_garbage garbage;
};

void hamt_init(struct hamt *m, uint64_t seed);
/* Frees the leaves too, and the garbage. */
void hamt_done(struct hamt *m);

uint64_t hamt_hash(uint64_t seed, const char *key, size_t len);
/* In any version, by any thread; NULL: not there. */
const struct hamt_leaf *hamt_find(const struct hamt_item *root, uint64_t hash, const char *key,
				  size_t len);

/* Puts a leaf with its hash and key set; one with the same key is discarded. */
void hamt_put(struct hamt *m, struct hamt_leaf *leaf);
/* Takes it out and discards it; false: it is not there. */
bool hamt_del(struct hamt *m, uint64_t hash, const char *key, size_t len);
/* Frees a malloc'ed block: at once when it was made in the version being written, else with the
 * garbage. */
void hamt_discard(struct hamt *m, void *block, uint32_t born);
/* Is it of the version being written, so that no reader has it? */
bool hamt_is_new(const struct hamt *m, uint32_t born);

/* Every leaf of a version, in no particular order. */
void hamt_each(const struct hamt_item *root, void (*each)(void *owner, const struct hamt_leaf *l),
	       void *owner);

/* The version is whole: returns its root (NULL: empty), and adds to `ret` what no later version
 * holds. */
const struct hamt_item *hamt_commit(struct hamt *m, struct hamt_garbage *ret);
void hamt_garbage_free(struct hamt_garbage *g);
