/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lib/mem: allocation that does not fail, arenas. */
#include "tests/test.h"

#include <stdint.h>

#include "lib/mem.h"

/* Runs `f` in a child; true when it was ended by abort(). */
static bool dies(void (*f)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(3);
		f();
		_exit(0);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* Sizes that the compiler cannot see through. */
static volatile size_t huge = SIZE_MAX / 2;

static void overflow_calloc(void)
{
	free(xcalloc(huge, 4));
}

static void overflow_realloc(void)
{
	free(xreallocarray(NULL, huge, 3));
}

static void overflow_arena(void)
{
	struct arena a = { 0 };

	arena_array(&a, huge, 3);
}

static void huge_arena(void)
{
	struct arena a = { 0 };

	arena_alloc(&a, SIZE_MAX - 8);
}

TEST(overflow_dies)
{
	CHECK(dies(overflow_calloc));
	CHECK(dies(overflow_realloc));
	CHECK(dies(overflow_arena));
	CHECK(dies(huge_arena));
}

TEST(zero_sizes_are_objects)
{
	char *a = xmalloc(0), *b = xcalloc(0, 8), *c = xmemdup("", 0);

	CHECK(a && b && c && a != b);
	a = xrealloc(a, 0);
	CHECK(a);
	free(a);
	free(b);
	free(c);
}

TEST(copies)
{
	_cleanup_(freep) char *whole = xstrdup("hello");
	_cleanup_(freep) char *part = xstrndup("hello", 3);
	_cleanup_(freep) char *all = xstrndup("hi", 300);
	_cleanup_(freep) char *text = xasprintf("%s-%d", "a", 7);
	_cleanup_(freep) unsigned char *bytes = xmemdup("\0\1\2", 3);

	CHECK_STR(whole, "hello");
	CHECK_STR(part, "hel");
	CHECK_STR(all, "hi");
	CHECK_STR(text, "a-7");
	CHECK(memcmp(bytes, "\0\1\2", 3) == 0);
}

TEST(take_leaves_null)
{
	_cleanup_(freep) char *a = xstrdup("x");
	_cleanup_(freep) char *b = TAKE(a);

	CHECK(!a);
	CHECK_STR(b, "x");
}

TEST(arena_memory_is_zero_aligned_and_apart)
{
	struct arena a = { 0 };
	unsigned char *blocks[500];
	size_t sizes[500];

	srand(1);
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
			/* Mostly small, now and then larger than an arena's block. */
			sizes[i] = (size_t)rand() % (rand() % 50 ? 200 : 20000);
			blocks[i] = arena_alloc(&a, sizes[i]);
			CHECK_INT((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
			for (size_t k = 0; k < sizes[i]; k++)
				CHECK_INT(blocks[i][k], 0);
			memset(blocks[i], (int)(i % 251) + 1, sizes[i]);
		}
		for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
			for (size_t k = 0; k < sizes[i]; k++)
				CHECK_INT(blocks[i][k], i % 251 + 1);
		arena_done(&a);
		CHECK(!a.blocks);
	}
}

TEST(arena_copies)
{
	struct arena a = { 0 };

	CHECK(arena_alloc(&a, 0) != arena_alloc(&a, 0));
	CHECK_STR(arena_strdup(&a, ""), "");
	CHECK_STR(arena_strdup(&a, "hello"), "hello");
	CHECK_STR(arena_strndup(&a, "hello", 2), "he");
	CHECK(memcmp(arena_memdup(&a, "\0x", 2), "\0x", 2) == 0);
	CHECK(arena_array(&a, 3, 7));
	arena_done(&a);
	arena_done(&a);
}

TEST_MAIN("mem")
