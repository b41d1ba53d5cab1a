/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The brokers' addresses. Owns them and the lookups. One thread.
 */
#include "agent/brokers.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/resolve.h"

#define AGAIN (300 * USEC_PER_SEC)
#define AGAIN_FAILED (10 * USEC_PER_SEC)
#define BROKERS_MAX 16

struct broker {
	struct brokers *all;
	char host[HOST_SIZE];
	uint16_t port;
	struct resolve *lookup;
	struct endpoint found[RESOLVE_MAX];
	size_t count;
};

struct brokers {
	struct loop *loop;
	struct loop_timer timer;
	struct broker list[BROKERS_MAX];
	size_t count;
	void (*changed)(void *owner);
	void *owner;
};

static void looked_up(void *owner, const struct endpoint *e, size_t count, const char *error)
{
	struct broker *x = owner;
	struct brokers *b = x->all;

	x->lookup = NULL;
	if (!count) {
		log_debug("broker-lookup", "error=%s", log_quote(error));
		loop_timer_set(b->loop, &b->timer, loop_now(b->loop) + AGAIN_FAILED);
		return;
	}
	count = MIN(count, (size_t)RESOLVE_MAX);
	if (count == x->count && memcmp(x->found, e, count * sizeof(*e)) == 0)
		return;
	memcpy(x->found, e, count * sizeof(*e));
	x->count = count;
	b->changed(b->owner);
}

static void look_up(struct brokers *b)
{
	for (size_t i = 0; i < b->count; i++) {
		struct broker *x = &b->list[i];
		struct endpoint e = { .port = x->port };

		if (addr_parse(x->host, &e.addr) == 0) {
			x->found[0] = e;
			x->count = 1;
		} else if (!x->lookup) {
			x->lookup = resolve_start(b->loop, x->host, x->port, looked_up, x);
		}
	}
	loop_timer_set(b->loop, &b->timer, loop_now(b->loop) + AGAIN);
}

static void fired(struct loop_timer *t)
{
	look_up(container_of(t, struct brokers, timer));
}

static void clear(struct brokers *b)
{
	for (size_t i = 0; i < b->count; i++)
		resolve_cancel(b->list[i].lookup);
	memset(b->list, 0, sizeof(b->list));
	b->count = 0;
}

static size_t parse(struct brokers *b, char *const *urls, size_t count, struct broker *ret)
{
	static const char scheme[] = "mqtts://";
	size_t n = 0;

	for (size_t i = 0; i < count && n < BROKERS_MAX; i++) {
		const char *at = urls[i];

		if (strncmp(at, scheme, strlen(scheme)) != 0)
			continue;
		ret[n].all = b;
		if (hostport_parse(at + strlen(scheme), ret[n].host, &ret[n].port) == 0)
			n++;
	}
	return n;
}

static bool is_same(const struct brokers *b, const struct broker *list, size_t count)
{
	for (size_t i = 0; i < count && count == b->count; i++)
		if (strcmp(list[i].host, b->list[i].host) != 0 || list[i].port != b->list[i].port)
			return false;
	return count == b->count;
}

void brokers_set(struct brokers *b, char *const *urls, size_t count)
{
	struct broker *list = xcalloc(BROKERS_MAX, sizeof(*list));

	count = parse(b, urls, count, list);
	if (!is_same(b, list, count)) {
		clear(b);
		memcpy(b->list, list, sizeof(b->list));
		b->count = count;
		look_up(b);
		b->changed(b->owner);
	}
	free(list);
}

const struct endpoint *brokers_in(const struct brokers *b, const struct prefix *range)
{
	for (size_t i = 0; b && i < b->count; i++)
		for (size_t k = 0; k < b->list[i].count; k++)
			if (prefix_contains(range, &b->list[i].found[k].addr))
				return &b->list[i].found[k];
	return NULL;
}

struct brokers *brokers_new(struct loop *l, void (*changed)(void *owner), void *owner)
{
	struct brokers *b = xcalloc(1, sizeof(*b));

	b->loop = l;
	b->timer.fired = fired;
	b->changed = changed;
	b->owner = owner;
	return b;
}

void brokers_free(struct brokers *b)
{
	if (!b)
		return;
	clear(b);
	loop_timer_del(b->loop, &b->timer);
	free(b);
}
