/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lib/map: against a plain array, walks, ownership. */
#include "tests/test.h"

#include "lib/map.h"
#include "lib/mem.h"

TEST(put_get_del)
{
	struct map *m = map_new();
	char key[] = "a";
	int one = 1, two = 2;

	CHECK(!map_get(m, "a") && !map_del(m, "a"));
	CHECK_INT(map_count(m), 0);
	CHECK(!map_put(m, key, &one));
	key[0] = 'b'; /* keys are copied */
	CHECK(map_get(m, "a") == &one && !map_get(m, "b"));
	CHECK(map_put(m, "a", &two) == &one);
	CHECK_INT(map_count(m), 1);
	CHECK(map_del(m, "a") == &two);
	CHECK(!map_get(m, "a") && map_count(m) == 0);
	CHECK(!map_put(m, "", &one));
	CHECK(map_get(m, "") == &one);
	map_free(m, NULL);
	map_free(NULL, NULL);
}

static int freed;

static void count_free(void *value)
{
	freed++;
	free(value);
}

TEST(frees_values)
{
	struct map *m = map_new();
	char key[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		map_put(m, key, xmalloc(1));
	}
	free(map_del(m, "k7"));
	map_clear(m, count_free);
	CHECK_INT(freed, 999);
	CHECK(map_count(m) == 0 && !map_next(m, NULL));
	map_put(m, "again", xmalloc(1));
	map_free(m, count_free);
	CHECK_INT(freed, 1000);
}

TEST(walks_in_order_of_insertion)
{
	static const char *const names[] = { "z", "a", "m", "b" };
	struct map *m = map_new();
	struct map_entry *e = NULL;
	const char **sorted;
	int v;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		map_put(m, names[i], &v);
	map_put(m, "a", &v); /* stays where it is */
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		e = map_next(m, e);
		CHECK(e && map_entry_value(e) == &v);
		CHECK_STR(map_entry_key(e), names[i]);
	}
	CHECK(!map_next(m, e));
	sorted = map_sorted(m);
	CHECK_STR(sorted[0], "a");
	CHECK_STR(sorted[1], "b");
	CHECK_STR(sorted[2], "m");
	CHECK_STR(sorted[3], "z");
	CHECK(!sorted[4]);
	free(sorted);
	map_free(m, NULL);
	m = map_new();
	sorted = map_sorted(m);
	CHECK(!sorted[0]);
	free(sorted);
	map_free(m, NULL);
}

TEST(deletes_during_a_walk)
{
	for (int which = 0; which < 4; which++) {
		struct map *m = map_new();
		char key[16];
		int v, seen = 0;

		for (int i = 0; i < 100; i++) {
			snprintf(key, sizeof(key), "%d", i);
			map_put(m, key, &v);
		}
		for (struct map_entry *e = NULL; (e = map_next(m, e));) {
			CHECK_INT(atoi(map_entry_key(e)), seen);
			/* None, all, every other, and with a walk inside. */
			if (which == 1 || which == 3 || (which == 2 && seen % 2)) {
				snprintf(key, sizeof(key), "%d", seen);
				for (struct map_entry *in = NULL;
				     which == 3 && (in = map_next(m, in));)
					CHECK(atoi(map_entry_key(in)) >= seen);
				/* The entry's own key may be the argument. */
				CHECK(map_del(m, map_entry_key(e)) == &v);
				CHECK(!map_get(m, key));
			}
			seen++;
		}
		CHECK_INT(seen, 100);
		CHECK_INT(map_count(m), which == 0 ? 100 : which == 2 ? 50 : 0);
		map_free(m, NULL);
	}
}

#define KEYS 3000

TEST(random_against_an_array)
{
	struct map *m = map_new();
	void **model = xcalloc(KEYS, sizeof(*model));
	size_t count = 0;

	srand(14);
	for (int i = 0; i < 200000; i++) {
		int k = rand() % KEYS;
		char key[32];

		/* Keys of all lengths that the hash treats apart. */
		snprintf(key, sizeof(key), "%0*d", k % 20 + 4, k);
		switch (rand() % 3) {
		case 0:
			CHECK(map_get(m, key) == model[k]);
			break;
		case 1:
			count += !model[k];
			CHECK(map_put(m, key, &model[rand() % 2]) == model[k]);
			model[k] = map_get(m, key);
			CHECK(model[k] == &model[0] || model[k] == &model[1]);
			break;
		case 2:
			count -= model[k] != NULL;
			CHECK(map_del(m, key) == model[k]);
			model[k] = NULL;
			break;
		}
		CHECK_INT(map_count(m), count);
	}
	CHECK(count > KEYS / 4);
	map_free(m, NULL);
	free(model);
}

TEST_MAIN("map")
