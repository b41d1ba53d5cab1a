/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of lib/hamt.h. */
#include "lib/hamt.h"

#include "lib/map.h"
#include "lib/mem.h"
#include "tests/test.h"

struct thing {
	struct hamt_leaf leaf;
	unsigned value;
	char text[32];
};

static void put(struct hamt *m, const char *key, uint64_t hash, unsigned value)
{
	struct thing *t = xcalloc(1, sizeof(*t));

	strcpy(t->text, key);
	t->leaf.key = t->text;
	t->leaf.key_len = (uint16_t)strlen(key);
	t->leaf.hash = hash;
	t->value = value;
	hamt_put(m, &t->leaf);
}

static unsigned get(const struct hamt_item *root, const char *key, uint64_t hash)
{
	const struct thing *t = (const void *)hamt_find(root, hash, key, strlen(key));

	return t ? t->value : 0;
}

static void count_one(void *owner, const struct hamt_leaf *l)
{
	(void)l;
	++*(size_t *)owner;
}

static size_t count(const struct hamt_item *root)
{
	size_t n = 0;

	hamt_each(root, count_one, &n);
	return n;
}

TEST(put_find_del)
{
	struct hamt m;
	char key[32];

	hamt_init(&m, 7);
	for (unsigned i = 1; i <= 5000; i++) {
		snprintf(key, sizeof(key), "name-%u", i);
		put(&m, key, hamt_hash(m.seed, key, strlen(key)), i);
	}
	CHECK_INT(count(m.root), 5000);
	for (unsigned i = 1; i <= 5000; i += 2) {
		snprintf(key, sizeof(key), "name-%u", i);
		CHECK(hamt_del(&m, hamt_hash(m.seed, key, strlen(key)), key, strlen(key)));
		CHECK(!hamt_del(&m, hamt_hash(m.seed, key, strlen(key)), key, strlen(key)));
	}
	CHECK_INT(count(m.root), 2500);
	for (unsigned i = 1; i <= 5000; i++) {
		snprintf(key, sizeof(key), "name-%u", i);
		CHECK_INT(get(m.root, key, hamt_hash(m.seed, key, strlen(key))), i % 2 ? 0 : i);
	}
	hamt_done(&m);
}

/* Every hash of a few: the lists at the end of the hash, and paths as long as it. */
TEST(keys_that_meet)
{
	static const uint64_t hashes[] = { 0, 1, UINT64_C(1) << 60, UINT64_MAX,
					   UINT64_MAX - (UINT64_C(1) << 63) };
	struct hamt m;
	char key[32];

	hamt_init(&m, 0);
	for (unsigned i = 1; i <= 40; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		put(&m, key, hashes[i % ARRAY_SIZE(hashes)], i);
	}
	for (unsigned i = 40; i >= 1; i--) {
		snprintf(key, sizeof(key), "k%u", i);
		put(&m, key, hashes[i % ARRAY_SIZE(hashes)], 100 + i);
		CHECK_INT(get(m.root, key, hashes[i % ARRAY_SIZE(hashes)]), 100 + i);
	}
	CHECK_INT(count(m.root), 40);
	CHECK_INT(get(m.root, "other", 0), 0);
	CHECK(!hamt_del(&m, 1, "other", 5));
	for (unsigned i = 1; i <= 40; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		CHECK(hamt_del(&m, hashes[i % ARRAY_SIZE(hashes)], key, strlen(key)));
		CHECK_INT(count(m.root), 40 - i);
	}
	CHECK(!m.root);
	hamt_done(&m);
}

/* A version stays as it was, whatever is done afterwards. */
TEST(versions_stay)
{
	struct hamt_garbage garbage[30] = { 0 };
	const struct hamt_item *roots[30];
	uint64_t state = 1;
	unsigned model[30][64] = { 0 };
	struct hamt m;
	char key[32];

	hamt_init(&m, 3);
	for (unsigned v = 0; v < 30; v++) {
		if (v)
			memcpy(model[v], model[v - 1], sizeof(model[v]));
		for (unsigned i = 0; i < 50; i++) {
			unsigned k, value;

			state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
			k = (unsigned)(state >> 40) % 64;
			value = (unsigned)(state >> 50) % 3 ? v * 100 + i + 1 : 0;
			snprintf(key, sizeof(key), "k%u", k);
			if (value)
				put(&m, key, hamt_hash(3, key, strlen(key)), value);
			else
				CHECK(hamt_del(&m, hamt_hash(3, key, strlen(key)), key,
					       strlen(key)) == (model[v][k] != 0));
			model[v][k] = value;
		}
		roots[v] = hamt_commit(&m, &garbage[v]);
	}
	for (unsigned v = 0; v < 30; v++) {
		size_t there = 0;

		for (unsigned k = 0; k < 64; k++) {
			snprintf(key, sizeof(key), "k%u", k);
			CHECK_INT(get(roots[v], key, hamt_hash(3, key, strlen(key))), model[v][k]);
			there += model[v][k] != 0;
		}
		CHECK_INT(count(roots[v]), there);
		/* Nobody reads what came before version v any more. */
		hamt_garbage_free(&garbage[v]);
	}
	hamt_done(&m);
}

TEST(change_is_small)
{
	struct hamt_garbage garbage = { 0 };
	struct hamt m;
	char key[32];

	hamt_init(&m, 9);
	for (unsigned i = 0; i < 50000; i++) {
		snprintf(key, sizeof(key), "name-%u", i);
		put(&m, key, hamt_hash(9, key, strlen(key)), i);
	}
	CHECK(hamt_commit(&m, &garbage));
	CHECK_INT(garbage.count, 0);
	put(&m, "name-4711", hamt_hash(9, "name-4711", 9), 1);
	CHECK(hamt_commit(&m, &garbage));
	CHECK(garbage.count >= 3 && garbage.count <= 8);
	hamt_garbage_free(&garbage);
	hamt_done(&m);
}

TEST_MAIN("hamt")
