/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random states of a host, for tests. Owns the generator's state; one thread.
 */
#include "tests/fakes/world.h"

#include <string.h>

#include "lib/mem.h"

static uint64_t state = 88172645463325252ULL;

unsigned world_below(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 33) % n;
}

static struct prefix make_prefix(unsigned a, unsigned b, unsigned c, uint8_t len)
{
	struct prefix p = { .addr = { AF_INET, { 10, (uint8_t)a, (uint8_t)b, (uint8_t)c } },
			    .len = len };

	return p;
}

static struct prefix make_prefix6(unsigned a, unsigned b, unsigned c, uint8_t len)
{
	struct prefix p = { .addr = { AF_INET6, { 0xfd, (uint8_t)a, 0, (uint8_t)b } }, .len = len };

	p.addr.bytes[15] = (uint8_t)c;
	return p;
}

struct prefix world_allowed(unsigned n)
{
	return n % 4 == 3 ? make_prefix6(100, n, 0, 48) : make_prefix(100, n, 0, 24);
}

struct prefix world_route(unsigned n)
{
	return n % 3 == 2 ? make_prefix6(200, n, 0, 64) : make_prefix(200, n, 0, 24);
}

/* The first two in one range: the second is a secondary address. The third is IPv6. */
struct prefix world_address(unsigned link, unsigned n)
{
	return n == 2 ? make_prefix6(50 + link, 0, 1, 64) : make_prefix(link, 0, n + 1, 16);
}

void world_key(unsigned peer, uint8_t ret[static KEY_LEN])
{
	memset(ret, 0, KEY_LEN);
	ret[0] = (uint8_t)(peer * 7 + 1);
}

void world_mend(struct world *w)
{
	for (int l = 0; l < WORLD_LINKS; l++)
		for (int x = 0; x < WORLD_PREFIXES; x++)
			if (w->link[l].owner[x] >= 0 && !w->link[l].peer[w->link[l].owner[x]])
				w->link[l].owner[x] = -1;
	for (int x = 0; x < WORLD_ROUTES; x++) {
		if (w->route[x] >= 0 && !w->link[w->route[x]].there)
			w->route[x] = -1;
		if (w->route[x] < 0 ||
		    (w->source[x] >= 0 && !w->link[w->route[x]].address[w->source[x]]))
			w->source[x] = -1;
		/* A source is of the route's family. */
		if ((w->source[x] == 2) != (x % 3 == 2))
			w->source[x] = -1;
	}
}

void world_change_peer(struct world *w, unsigned link, unsigned peer)
{
	w->link[link].peer[peer] = world_below(4) > 0;
	w->link[link].keepalive[peer] = world_below(2) ? 20 : 0;
	for (unsigned x = 0; x < WORLD_PREFIXES; x++)
		if (w->link[link].peer[peer] && world_below(4) == 0)
			w->link[link].owner[x] = (int)peer;
}

void world_random(struct world *w)
{
	for (unsigned l = 0; l < WORLD_LINKS; l++) {
		w->link[l].there = world_below(3) > 0;
		w->link[l].key = (uint8_t)world_below(2);
		w->link[l].port = (uint16_t)(51830 + 2 * l + world_below(2));
		w->link[l].mtu = world_below(2) ? 1420 : 1380;
		for (unsigned x = 0; x < WORLD_ADDRESSES; x++)
			w->link[l].address[x] = world_below(2);
		for (unsigned x = 0; x < WORLD_PREFIXES; x++)
			w->link[l].owner[x] = -1;
		for (unsigned k = 0; k < WORLD_KEYS; k++)
			world_change_peer(w, l, k);
	}
	for (unsigned x = 0; x < WORLD_ROUTES; x++) {
		w->route[x] = (int)world_below(WORLD_LINKS + 1) - 1;
		w->source[x] = (int)world_below(WORLD_ADDRESSES + 1) - 1;
	}
	w->nft = (int)world_below(3);
	world_mend(w);
}

static void make_peers(const struct world *w, unsigned l, struct wg_link *link)
{
	uint8_t key[KEY_LEN];

	for (unsigned k = 0; k < WORLD_KEYS; k++) {
		struct wg_peer *peer;

		if (!w->link[l].peer[k])
			continue;
		world_key(k, key);
		peer = wg_link_add_peer(link, key);
		peer->keepalive = w->link[l].keepalive[k];
		for (unsigned x = 0; x < WORLD_PREFIXES; x++) {
			struct prefix p = world_allowed(x);

			if (w->link[l].owner[x] == (int)k)
				wg_peer_add_allowed(peer, &p);
		}
	}
}

static void make_link(const struct world *w, unsigned l, struct wg_link *link)
{
	/* As X25519 wants it: WireGuard clamps the others. */
	link->private_key[0] = 8;
	link->private_key[5] = w->link[l].key;
	link->private_key[31] = 64;
	link->port = w->link[l].port;
	link->mtu = w->link[l].mtu;
	link->up = true;
	for (unsigned x = 0; x < WORLD_ADDRESSES; x++) {
		struct prefix p = world_address(l, x);

		if (w->link[l].address[x])
			wg_link_add_address(link, &p);
	}
	make_peers(w, l, link);
	for (unsigned x = 0; x < WORLD_ROUTES; x++) {
		struct prefix p = world_route(x), source = { 0 };

		if (w->source[x] >= 0)
			source = world_address(l, (unsigned)w->source[x]);
		if (w->route[x] == (int)l)
			wg_link_add_route(link, &p, w->source[x] < 0 ? NULL : &source.addr);
	}
}

void world_host(const struct world *w, struct host *ret)
{
	static const char *const names[] = { "wr-c", "wr-a", "wr-b" };

	memset(ret, 0, sizeof(*ret));
	for (unsigned l = 0; l < WORLD_LINKS; l++)
		if (w->link[l].there)
			make_link(w, l, host_add_link(ret, names[l]));
	if (w->nft)
		ret->nft = xasprintf("table inet warren {\n\tchain c%d {\n\t\taccept\n\t}\n}\n",
				     w->nft);
	host_sort(ret);
}

static bool peer_equal(const struct wg_peer *a, const struct wg_peer *b)
{
	if (memcmp(a->key, b->key, KEY_LEN) != 0 || a->keepalive != b->keepalive ||
	    a->allowed_count != b->allowed_count)
		return false;
	for (size_t i = 0; i < a->allowed_count; i++)
		if (prefix_cmp(&a->allowed[i], &b->allowed[i]) != 0)
			return false;
	return true;
}

static bool link_equal(const struct wg_link *a, const struct wg_link *b)
{
	if (strcmp(a->name, b->name) != 0 || memcmp(a->private_key, b->private_key, KEY_LEN) != 0 ||
	    a->port != b->port || a->mtu != b->mtu || a->up != b->up ||
	    a->address_count != b->address_count || a->peer_count != b->peer_count ||
	    a->route_count != b->route_count)
		return false;
	for (size_t i = 0; i < a->address_count; i++)
		if (prefix_cmp(&a->addresses[i], &b->addresses[i]) != 0)
			return false;
	for (size_t i = 0; i < a->peer_count; i++)
		if (!peer_equal(&a->peers[i], &b->peers[i]))
			return false;
	for (size_t i = 0; i < a->route_count; i++)
		if (prefix_cmp(&a->routes[i].prefix, &b->routes[i].prefix) != 0 ||
		    addr_cmp(&a->routes[i].source, &b->routes[i].source) != 0)
			return false;
	return true;
}

bool host_equal(const struct host *a, const struct host *b)
{
	if (a->link_count != b->link_count || strcmp(a->nft_hash, b->nft_hash) != 0)
		return false;
	for (size_t i = 0; i < a->link_count; i++)
		if (!link_equal(&a->links[i], &b->links[i]))
			return false;
	return true;
}
