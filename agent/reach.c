/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reaching peers: the part of agent/endpoints.h with timers, lookups and the kernel. Owns an attempt
 * for each peer without a session, and where each was heard. One thread.
 */
#include "agent/reach.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/endpoints.h"
#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/resolve.h"

#define OWN_MAX 64
#define RANGES_MAX 2
#define LOOKUP_AGAIN (60 * USEC_PER_SEC)
#define FOUND_MAX 4 /* addresses taken of a name */

/* One announced endpoint. */
struct candidate {
	struct attempt *attempt;
	struct resolve *lookup;
	struct endpoint found[FOUND_MAX];
	size_t count;
};

struct attempt {
	struct reach *reach;
	char id[LABEL_SIZE];
	struct endpoints_try try;
	struct candidate candidates[PEER_ENDPOINTS_MAX];
	size_t count;
	bool named;    /* some are names */
	bool moved;    /* its endpoints changed: look whether the kernel's is one of the old ones */
	bool left_out; /* private ones that no way leads to from here */
	uint64_t looked_up, built;
};

struct heard {
	struct endpoint endpoint;
	int64_t last_handshake;
	bool stored;
};

struct reach {
	struct reach_config c;
	struct loop_timer timer;
	struct map *attempts; /* id -> struct attempt */
	struct map *heard;    /* id -> struct heard */
	struct addr own[OWN_MAX];
	size_t own_count;
	bool has4, has6;
	struct prefix ranges[RANGES_MAX];
	size_t range_count;
	struct prefix *carried;
	size_t carried_count;
};

static uint32_t jitter(void)
{
	uint32_t n;

	crypto_random(&n, sizeof(n));
	return n;
}

static void attempt_free(void *value)
{
	struct attempt *a = value;

	for (size_t i = 0; i < a->count; i++)
		resolve_cancel(a->candidates[i].lookup);
	free(a);
}

static void arm(struct reach *r, uint64_t due)
{
	if (due != CLOCK_NEVER && (!r->timer.added || due < r->timer.due))
		loop_timer_set(r->c.loop, &r->timer, due);
}

/* It would be reached through a tunnel, which is no way to make one. */
static bool is_carried(const struct reach *r, const struct endpoint *e)
{
	for (size_t i = 0; i < r->carried_count; i++)
		if (prefix_contains(&r->carried[i], &e->addr))
			return true;
	return false;
}

static enum kernel_way way_to(struct attempt *a, const struct endpoint *e)
{
	enum kernel_way way = WAY_KNOWN;

	if (addr_is_private(&e->addr))
		way = kernel_way_to(a->reach->c.kernel, &e->addr);
	a->left_out |= way == WAY_NONE;
	return way;
}

/* The list of what is known now, in the order of the announcement, but for private addresses: those that
 * only the default route leads to come last, or not at all where that begins in the internet. */
static void rebuild(struct attempt *a)
{
	struct endpoint list[ENDPOINTS_TRIED_MAX], last[ENDPOINTS_TRIED_MAX], none = { 0 };
	struct reach *r = a->reach;
	const struct heard *h = map_get(r->heard, a->id);
	size_t n = 0, late = 0;

	a->left_out = false;
	a->built = loop_now(r->c.loop);
	for (size_t i = 0; i < a->count; i++)
		for (size_t k = 0; k < a->candidates[i].count; k++) {
			const struct endpoint *e = &a->candidates[i].found[k];
			enum kernel_way way;

			if (n + late == ENDPOINTS_TRIED_MAX ||
			    !endpoint_is_usable(e, r->own, r->own_count, r->ranges,
						r->range_count) ||
			    is_carried(r, e))
				continue;
			way = way_to(a, e);
			if (way == WAY_KNOWN)
				list[n++] = *e;
			else if (way == WAY_UNSURE)
				last[late++] = *e;
		}
	memcpy(list + n, last, late * sizeof(*last));
	if (h && (is_carried(r, &h->endpoint) || way_to(a, &h->endpoint) == WAY_NONE))
		h = NULL;
	endpoints_try_set(&a->try, h ? &h->endpoint : &none, list, n + late, n, r->has4, r->has6);
}

/* Rebuilt; true: it is another list. Else the trying goes on where it was. */
static bool rebuild_differs(struct attempt *a)
{
	struct endpoints_try before = a->try;

	rebuild(a);
	if (a->try.count != before.count ||
	    memcmp(a->try.list, before.list, sizeof(before.list)) != 0)
		return true;
	a->try = before;
	return false;
}

/* Something else is in the way, or no more. */
static void look_again(struct reach *r)
{
	for (struct map_entry *m = map_next(r->attempts, NULL); m; m = map_next(r->attempts, m)) {
		struct attempt *a = map_entry_value(m);
		struct peer_entry *e = peers_get(r->c.peers, a->id);

		if (!rebuild_differs(a) || !e)
			continue;
		e->endpoint = a->try.list[0];
		if (!a->try.count)
			continue;
		endpoints_try_again(&a->try, loop_now(r->c.loop));
		arm(r, a->try.due);
	}
}

static void looked_up(void *owner, const struct endpoint *e, size_t count, const char *error)
{
	struct candidate *c = owner;
	struct attempt *a = c->attempt;
	struct reach *r = a->reach;
	struct peer_entry *entry = peers_get(r->c.peers, a->id);

	c->lookup = NULL;
	if (count == 0) {
		log_debug("endpoint-lookup", "network=%s peer=%s error=%s", r->c.network, a->id,
			  log_quote(error));
		return;
	}
	count = MIN(count, (size_t)FOUND_MAX);
	if (count == c->count && memcmp(c->found, e, count * sizeof(*e)) == 0)
		return;
	memcpy(c->found, e, count * sizeof(*e));
	c->count = count;
	rebuild(a);
	if (!entry || !a->try.count)
		return;
	entry->endpoint = a->try.list[0];
	endpoints_try_again(&a->try, loop_now(r->c.loop));
	arm(r, a->try.due);
}

static void look_up(struct attempt *a, const struct peer_entry *e)
{
	char *const *list;
	size_t count = MIN(peers_endpoints(e, &list), (size_t)PEER_ENDPOINTS_MAX);
	char host[HOST_SIZE];
	uint16_t port;

	a->looked_up = loop_now(a->reach->c.loop);
	for (size_t i = 0; i < count; i++) {
		struct candidate *c = &a->candidates[i];

		c->attempt = a;
		if (c->lookup)
			continue;
		if (endpoint_parse(list[i], &c->found[0]) == 0) {
			c->count = 1;
		} else if (hostport_parse(list[i], host, &port) == 0) {
			a->named = true;
			c->lookup = resolve_start(a->reach->c.loop, host, port, looked_up, c);
		}
	}
	a->count = count;
}

static struct attempt *attempt_new(struct reach *r, const struct peer_entry *e)
{
	struct attempt *a = xcalloc(1, sizeof(*a));

	a->reach = r;
	snprintf(a->id, sizeof(a->id), "%s", e->id);
	a->try.due = CLOCK_NEVER;
	look_up(a, e);
	rebuild(a);
	map_put(r->attempts, e->id, a);
	return a;
}

static void attempt_end(struct reach *r, const char *id)
{
	struct attempt *a = map_del(r->attempts, id);

	if (a)
		attempt_free(a);
}

static bool is_text_in(const struct endpoint *e, char *const *list, size_t count)
{
	char text[ENDPOINT_SIZE];

	endpoint_format(e, text);
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], text) == 0)
			return true;
	return false;
}

/* The peer has a session, and announces other endpoints than before. WireGuard follows it by itself
 * as soon as it hears it; only one that announced where it was, and does no more, is told. */
static void follow_move(struct reach *r, struct attempt *a, struct peer_entry *e,
			const struct wg_peer *actual)
{
	char *const *list;
	size_t count = peers_endpoints(e, &list);

	if (!a->try.count || !is_text_in(&actual->endpoint, e->was, e->was_count) ||
	    is_text_in(&actual->endpoint, list, count))
		return;
	/* The place where it was heard is where it is no more. */
	e->endpoint = a->try.list[0];
	for (size_t i = 0; i < a->try.count; i++)
		if (endpoint_cmp(&a->try.list[i], &actual->endpoint) != 0) {
			e->endpoint = a->try.list[i];
			break;
		}
	e->endpoint_wanted = true;
	peers_touch(r->c.peers, e->key);
	r->c.changed(r->c.owner);
}

static void retry(struct reach *r, struct attempt *a, struct peer_entry *e)
{
	struct wg_peer wanted;
	char text[ENDPOINT_SIZE];
	int error;

	e->endpoint = a->try.list[a->try.at];
	if (a->named && a->try.at == 0 && loop_now(r->c.loop) - a->looked_up > LOOKUP_AGAIN)
		look_up(a, e);
	if (!r->c.wanted(r->c.owner, e->key, &wanted))
		return;
	log_debug("peer-retry", "network=%s peer=%s endpoint=%s try=%u", r->c.network, e->id,
		  endpoint_format(&e->endpoint, text), a->try.tries);
	error = kernel_retry_peer(r->c.kernel, r->c.interface, &wanted);
	if (error < 0)
		log_debug("peer-retry-failed", "network=%s peer=%s error=%s", r->c.network, e->id,
			  log_quote(kernel_message(r->c.kernel)));
	wg_peer_done(&wanted);
}

static void note_heard(struct reach *r, const char *id, const struct wg_peer *p)
{
	struct heard *h = map_get(r->heard, id);

	if (!p->endpoint.addr.family)
		return;
	if (!h) {
		h = xcalloc(1, sizeof(*h));
		map_put(r->heard, id, h);
	}
	h->last_handshake = p->last_handshake;
	if (endpoint_cmp(&h->endpoint, &p->endpoint) == 0)
		return;
	h->endpoint = p->endpoint;
	h->stored = false;
}

/* True: the attempt has ended. */
static bool attempt_turn(struct reach *r, struct attempt *a, const struct wg_link *actual)
{
	struct peer_entry *e = peers_get(r->c.peers, a->id);
	const struct wg_peer *p = e ? wg_link_peer(actual, e->key) : NULL;
	uint64_t now = loop_now(r->c.loop);
	bool moved = a->moved;

	a->moved = false;
	/* A route may be there by now. */
	if (a->left_out && now - a->built > LOOKUP_AGAIN && rebuild_differs(a) && a->try.count)
		endpoints_try_again(&a->try, now);
	if (!p || peers_by_key(r->c.peers, e->key) != e)
		return true;
	if (endpoints_try_next(&a->try, now, clock_wall(), p->last_handshake, p->rx_bytes,
			       jitter())) {
		retry(r, a, e);
		return false;
	}
	if (a->try.due != CLOCK_NEVER)
		return false;
	note_heard(r, a->id, p);
	if (moved)
		follow_move(r, a, e, p);
	return true;
}

static void store(struct reach *r)
{
	bool begun = false;

	for (struct map_entry *m = map_next(r->heard, NULL); m; m = map_next(r->heard, m)) {
		struct heard *h = map_entry_value(m);

		if (h->stored)
			continue;
		if (!begun)
			state_begin(r->c.state);
		begun = true;
		state_learned_put(r->c.state, r->c.network, map_entry_key(m), &h->endpoint);
		h->stored = true;
	}
	if (begun)
		state_commit(r->c.state);
}

static void fired(struct loop_timer *t)
{
	struct reach *r = container_of(t, struct reach, timer);
	uint64_t now = loop_now(r->c.loop), due = CLOCK_NEVER;
	struct map_entry *m = map_next(r->attempts, NULL), *next;
	struct wg_link actual;

	if (kernel_read_peers(r->c.kernel, r->c.interface, &actual) < 0) {
		/* The next full pass brings it back. */
		arm(r, now + 10 * USEC_PER_SEC);
		return;
	}
	for (; m; m = next) {
		struct attempt *a = map_entry_value(m);

		next = map_next(r->attempts, m);
		if (a->try.due <= now && attempt_turn(r, a, &actual)) {
			attempt_end(r, map_entry_key(m));
			continue;
		}
		due = MIN(due, a->try.due);
	}
	wg_link_done(&actual);
	store(r);
	arm(r, due);
}

static void restore(void *owner, const char *node, const struct endpoint *e)
{
	struct reach *r = owner;
	struct heard *h = xcalloc(1, sizeof(*h));

	h->endpoint = *e;
	h->stored = true;
	free(map_put(r->heard, node, h));
}

struct reach *reach_new(const struct reach_config *c)
{
	struct reach *r = xcalloc(1, sizeof(*r));

	r->c = *c;
	r->timer.fired = fired;
	r->attempts = map_new();
	r->heard = map_new();
	state_learned_each(c->state, c->network, restore, r);
	return r;
}

void reach_free(struct reach *r)
{
	if (!r)
		return;
	loop_timer_del(r->c.loop, &r->timer);
	map_free(r->attempts, attempt_free);
	map_free(r->heard, free);
	free(r->carried);
	free(r);
}

void reach_set_own(struct reach *r, const struct addr *own, size_t own_count,
		   const struct prefix *ranges, size_t range_count)
{
	r->own_count = MIN(own_count, (size_t)OWN_MAX);
	r->range_count = MIN(range_count, (size_t)RANGES_MAX);
	memcpy(r->own, own, r->own_count * sizeof(*own));
	memcpy(r->ranges, ranges, r->range_count * sizeof(*ranges));
	r->has4 = r->has6 = false;
	for (size_t i = 0; i < r->own_count; i++) {
		r->has4 |= own[i].family == AF_INET;
		r->has6 |= own[i].family == AF_INET6;
	}
	look_again(r);
}

void reach_set_carried(struct reach *r, const struct prefix *ranges, size_t count)
{
	free(r->carried);
	r->carried = count ? xmemdup(ranges, count * sizeof(*ranges)) : NULL;
	r->carried_count = count;
	look_again(r);
}

void reach_update(struct reach *r, struct peer_entry *e)
{
	struct attempt *a;

	attempt_end(r, e->id);
	a = attempt_new(r, e);
	if (a->try.count)
		e->endpoint = a->try.list[0];
	if (!e->made)
		return; /* reach_made is called soon */
	a->moved = true;
	endpoints_try_again(&a->try, loop_now(r->c.loop));
	arm(r, a->try.due);
}

void reach_forget(struct reach *r, const char *id)
{
	attempt_end(r, id);
	free(map_del(r->heard, id));
	state_learned_del(r->c.state, r->c.network, id);
}

void reach_made(struct reach *r, struct peer_entry *e)
{
	struct attempt *a = map_get(r->attempts, e->id);

	e->endpoint_wanted = false;
	e->made = true;
	if (!a)
		a = attempt_new(r, e);
	endpoints_try_begin(&a->try, loop_now(r->c.loop), jitter());
	arm(r, a->try.due);
}

void reach_observe(struct reach *r, const struct wg_link *actual)
{
	int64_t wall = clock_wall();

	for (size_t i = 0; i < actual->peer_count; i++) {
		const struct wg_peer *p = &actual->peers[i];
		struct peer_entry *e = peers_by_key(r->c.peers, p->key);
		struct attempt *a = e ? map_get(r->attempts, e->id) : NULL;

		if (!e)
			continue;
		e->made = true;
		if (endpoints_is_alive(p->last_handshake, wall)) {
			note_heard(r, e->id, p);
			if (a && !a->moved)
				attempt_end(r, e->id);
		} else if (!a || a->try.due == CLOCK_NEVER) {
			reach_made(r, e);
		}
	}
}

void reach_store(struct reach *r)
{
	store(r);
}

int64_t reach_last_handshake(const struct reach *r, const char *id, int64_t actual)
{
	const struct heard *h = map_get(r->heard, id);

	return h && h->last_handshake > actual ? h->last_handshake : actual;
}

bool reach_problem(const struct reach *r, const struct peer_entry *e, int64_t last_handshake,
		   char *ret, size_t size)
{
	const struct attempt *a = map_get(r->attempts, e->id);
	char *const *list;
	char since[CLOCK_RFC3339_SIZE];

	if (endpoints_is_alive(last_handshake, clock_wall()))
		return false;
	if (last_handshake) {
		clock_rfc3339(last_handshake, since);
		snprintf(ret, size, "no answer since %s", since);
		return true;
	}
	if (a && !endpoints_try_exhausted(&a->try))
		return false;
	if (peers_endpoints(e, &list) == 0)
		snprintf(ret, size,
			 "no usable endpoint: it announces none; start the agent of one of the two"
			 " nodes with --endpoint HOST:PORT that the other can reach over UDP");
	else
		snprintf(ret, size,
			 "no usable endpoint: none of those that it announces answers; start the"
			 " agent of one of the two nodes with --endpoint HOST:PORT that the other"
			 " can reach over UDP");
	return true;
}
