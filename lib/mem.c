/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory that is there or ends the process, and arenas. Owns nothing; any thread.
 */
#include "lib/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARENA_BLOCK 4096 /* bytes of an ordinary block */

struct arena_block {
	struct arena_block *next;
	size_t used;
	size_t size;
	max_align_t bytes[];
};

/* No stdio here: it might want memory. */
static void die(const char *why)
{
	static const char prefix[] = "error out-of-memory why=";

	if (write(STDERR_FILENO, prefix, sizeof(prefix) - 1) < 0 ||
	    write(STDERR_FILENO, why, strlen(why)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
		abort();
	abort();
}

static void *checked(void *p)
{
	if (!p)
		die("allocation");
	return p;
}

static size_t product(size_t count, size_t size)
{
	size_t n;

	if (__builtin_mul_overflow(count, size, &n))
		die("size");
	return n;
}

void *xmalloc(size_t size)
{
	return checked(malloc(MAX(size, (size_t)1)));
}

void *xcalloc(size_t count, size_t size)
{
	return checked(calloc(1, MAX(product(count, size), (size_t)1)));
}

void *xrealloc(void *p, size_t size)
{
	return checked(realloc(p, MAX(size, (size_t)1)));
}

void *xreallocarray(void *p, size_t count, size_t size)
{
	return xrealloc(p, product(count, size));
}

void *xmemdup(const void *p, size_t n)
{
	void *copy = xmalloc(n);

	if (n)
		memcpy(copy, p, n);
	return copy;
}

char *xstrndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = xmalloc(len + 1);

	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *xstrdup(const char *s)
{
	return xmemdup(s, strlen(s) + 1);
}

char *xasprintf(const char *fmt, ...)
{
	char *s;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		die("format");
	va_end(ap);
	return s;
}

void freep(void *pp)
{
	void *p;

	/* `pp` is a pointer to a pointer of any type: copied, not aliased. */
	memcpy(&p, pp, sizeof(p));
	free(p);
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *b = a->blocks;
	size_t want;
	void *p;

	if (size > SIZE_MAX / 2)
		die("size");
	/* Never nothing: two objects never have one address. */
	want = MAX((size + sizeof(max_align_t) - 1) / sizeof(max_align_t), (size_t)1) *
	       sizeof(max_align_t);
	if (!b || b->size - b->used < want) {
		size_t room = MAX(want, (size_t)ARENA_BLOCK);
		struct arena_block *fresh = xcalloc(1, sizeof(*fresh) + room);

		fresh->size = room;
		/* A big one goes behind the first block, whose rest stays in use. */
		if (b && want >= ARENA_BLOCK) {
			fresh->next = b->next;
			b->next = fresh;
		} else {
			fresh->next = b;
			a->blocks = fresh;
		}
		b = fresh;
	}
	p = (char *)b->bytes + b->used;
	b->used += want;
	return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	return arena_alloc(a, product(count, size));
}

void *arena_memdup(struct arena *a, const void *p, size_t n)
{
	void *copy = arena_alloc(a, n);

	if (n)
		memcpy(copy, p, n);
	return copy;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = arena_alloc(a, len + 1);

	memcpy(copy, s, len);
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_memdup(a, s, strlen(s) + 1);
}

void arena_done(struct arena *a)
{
	struct arena_block *next;

	for (struct arena_block *b = a->blocks; b; b = next) {
		next = b->next;
		/* A message may have carried a secret. */
		explicit_bzero(b->bytes, b->used);
		free(b);
	}
	a->blocks = NULL;
}
