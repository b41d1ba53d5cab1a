/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Choosing endpoints: ours to be announced, a peer's to be tried. Owns nothing. Pure; any thread.
 */
#include "agent/endpoints.h"

#include <string.h>

#include "lib/clock.h"
#include "lib/mem.h"

#define SESSION_SECONDS 180 /* WireGuard's REJECT_AFTER_TIME */
#define TRY_FIRST (500 * USEC_PER_MSEC)
#define TRY_MAX (30 * USEC_PER_SEC)
/* Later tries are put on a grid, so that one look at the kernel serves many peers. */
#define GRID_FROM (4 * USEC_PER_SEC)
#define GRID (2 * USEC_PER_SEC)

static bool is_in(char *const *list, size_t count, const char *s)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], s) == 0)
			return true;
	return false;
}

size_t endpoints_own(struct arena *arena, const char *const *wished, size_t wished_count,
		     const struct addr *addresses, size_t address_count, uint16_t port,
		     char *ret[static PEER_ENDPOINTS_MAX])
{
	char text[ENDPOINT_SIZE];
	size_t n = 0;

	for (size_t i = 0; i < wished_count && n < PEER_ENDPOINTS_MAX; i++)
		if (!is_in(ret, n, wished[i]))
			ret[n++] = arena_strdup(arena, wished[i]);
	for (size_t i = 0; i < address_count && n < PEER_ENDPOINTS_MAX; i++) {
		struct endpoint e = { .addr = addresses[i], .port = port };

		endpoint_format(&e, text);
		if (!is_in(ret, n, text))
			ret[n++] = arena_strdup(arena, text);
	}
	return n;
}

bool endpoints_equal(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

uint64_t endpoints_publish_seq(const struct endpoints_known *known, char *const *own, size_t count)
{
	bool ep = known->register_seq > known->ep_seq;
	char *const *list = ep ? known->ep : known->member;
	size_t list_count = ep ? known->ep_count : known->member_count;

	if (endpoints_equal(own, count, list, list_count))
		return 0;
	return MAX(known->highest, MAX(known->ep_seq, known->register_seq)) + 1;
}

bool endpoint_is_usable(const struct endpoint *e, const struct addr *own, size_t own_count,
			const struct prefix *networks, size_t network_count)
{
	const struct addr *a = &e->addr;

	if (!a->family || !e->port || addr_is_loopback(a) || addr_is_unspecified(a) ||
	    addr_is_multicast(a) || addr_is_link_local(a))
		return false;
	for (size_t i = 0; i < own_count; i++)
		if (addr_cmp(a, &own[i]) == 0)
			return false;
	for (size_t i = 0; i < network_count; i++)
		if (prefix_contains(&networks[i], a))
			return false;
	return true;
}

static void add(struct endpoints_try *t, const struct endpoint *e)
{
	for (size_t i = 0; i < t->count; i++)
		if (endpoint_cmp(&t->list[i], e) == 0)
			return;
	if (t->count < ENDPOINTS_TRIED_MAX)
		t->list[t->count++] = *e;
}

static void add_all(struct endpoints_try *t, const struct endpoint *list, size_t count, bool has4,
		    bool has6)
{
	for (unsigned pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < count; i++) {
			bool has = list[i].addr.family == AF_INET ? has4 : has6;

			if (has == (pass == 0))
				add(t, &list[i]);
		}
}

void endpoints_try_set(struct endpoints_try *t, const struct endpoint *learned,
		       const struct endpoint *list, size_t count, size_t sure, bool has4, bool has6)
{
	memset(t, 0, sizeof(*t));
	t->due = CLOCK_NEVER;
	if (learned->addr.family)
		add(t, learned);
	add_all(t, list, sure, has4, has6);
	t->sure = t->count;
	if (sure < count)
		add_all(t, list + sure, count - sure, has4, has6);
}

bool endpoints_is_alive(int64_t last_handshake, int64_t wall)
{
	return last_handshake && wall - last_handshake <= SESSION_SECONDS;
}

static uint64_t next_due(uint64_t now, unsigned tries, uint32_t jitter)
{
	uint64_t wait = tries < 6 ? TRY_FIRST << tries : TRY_MAX;

	wait = MIN(wait, TRY_MAX);
	if (wait < GRID_FROM)
		return now + wait + jitter % (wait / 4);
	return (now + wait + GRID) / GRID * GRID;
}

void endpoints_try_begin(struct endpoints_try *t, uint64_t now, uint32_t jitter)
{
	t->tries = 0;
	t->rx_bytes = 0;
	t->next = t->at + 1;
	t->due = next_due(now, 0, jitter);
}

void endpoints_try_again(struct endpoints_try *t, uint64_t now)
{
	t->at = t->count ? t->count - 1 : 0;
	t->next = 0;
	t->tries = 0;
	t->due = now;
}

static void step(struct endpoints_try *t)
{
	if (!t->sure || t->sure == t->count) {
		t->at = (t->at + 1) % t->count;
	} else if (t->tries % 3 == 0) {
		t->at = t->sure + (t->tries / 3 - 1) % (t->count - t->sure);
	} else {
		t->at = t->next % t->sure;
		t->next = t->at + 1;
	}
}

bool endpoints_try_next(struct endpoints_try *t, uint64_t now, int64_t wall, int64_t last_handshake,
			uint64_t rx_bytes, uint32_t jitter)
{
	bool answering = rx_bytes != t->rx_bytes;

	t->rx_bytes = rx_bytes;
	if (endpoints_is_alive(last_handshake, wall)) {
		t->due = CLOCK_NEVER;
		return false;
	}
	/* A handshake may be under way: making the peer anew would end it. */
	if (answering) {
		t->due = next_due(now, MIN(t->tries, 1u), jitter);
		return false;
	}
	t->tries++;
	t->due = next_due(now, t->tries, jitter);
	if (t->count == 0)
		return false; /* it has to call us */
	step(t);
	t->rx_bytes = 0;
	return true;
}

bool endpoints_try_exhausted(const struct endpoints_try *t)
{
	size_t others = t->sure ? t->count - t->sure : 0;

	return t->count == 0 || t->tries >= MAX(t->count + 2 * others, (size_t)3);
}
