/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The values that desired and actual state are made of: filling, ordering, finding, freeing. Owns
 * nothing, no I/O; any thread.
 */
#include "agent/desired.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

/* Room for one more in an array of `count`; realloc itself grows in place or by pages. */
#define GROW(array, count) ((array) = xreallocarray((array), (count) + 1, sizeof(*(array))))

int wg_link_cmp(const void *a, const void *b)
{
	const struct wg_link *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int wg_peer_cmp(const void *a, const void *b)
{
	const struct wg_peer *x = a, *y = b;

	return memcmp(x->key, y->key, KEY_LEN);
}

int route_cmp(const void *a, const void *b)
{
	const struct route *x = a, *y = b;

	return prefix_cmp(&x->prefix, &y->prefix);
}

static int published_cmp(const void *a, const void *b)
{
	const struct published *x = a, *y = b;

	return prefix_cmp(&x->range, &y->range);
}

static int network_cmp(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

static void sort(void *base, size_t count, size_t size, int (*cmp)(const void *, const void *))
{
	if (count > 1)
		qsort(base, count, size, cmp);
}

void wg_peer_done(struct wg_peer *p)
{
	free(p->allowed);
	memset(p, 0, sizeof(*p));
}

void wg_link_done(struct wg_link *l)
{
	for (size_t i = 0; i < l->peer_count; i++)
		wg_peer_done(&l->peers[i]);
	free(l->peers);
	free(l->addresses);
	free(l->routes);
	free(l->published);
	crypto_wipe(l, sizeof(*l));
}

void host_done(struct host *h)
{
	for (size_t i = 0; i < h->link_count; i++)
		wg_link_done(&h->links[i]);
	free(h->links);
	free(h->nft);
	free(h->nft_first);
	free(h->bridges);
	memset(h, 0, sizeof(*h));
}

struct wg_link *host_add_link(struct host *h, const char *name)
{
	/* Not realloc: it would leave copies of private keys behind. */
	struct wg_link *links = xcalloc(h->link_count + 1, sizeof(*links)), *l;

	if (h->link_count) {
		memcpy(links, h->links, h->link_count * sizeof(*links));
		crypto_wipe(h->links, h->link_count * sizeof(*links));
	}
	free(h->links);
	h->links = links;
	l = &links[h->link_count++];
	strncpy(l->name, name, sizeof(l->name) - 1);
	return l;
}

struct wg_peer *wg_link_add_peer(struct wg_link *l, const uint8_t key[static KEY_LEN])
{
	struct wg_peer *p;

	GROW(l->peers, l->peer_count);
	p = &l->peers[l->peer_count++];
	memset(p, 0, sizeof(*p));
	memcpy(p->key, key, KEY_LEN);
	return p;
}

void wg_link_add_address(struct wg_link *l, const struct prefix *address)
{
	GROW(l->addresses, l->address_count);
	l->addresses[l->address_count++] = *address;
}

void wg_link_add_route(struct wg_link *l, const struct prefix *prefix, const struct addr *source)
{
	GROW(l->routes, l->route_count);
	l->routes[l->route_count] = (struct route){ .prefix = *prefix };
	if (source)
		l->routes[l->route_count].source = *source;
	l->route_count++;
}

void wg_link_add_published(struct wg_link *l, const struct prefix *range, bool masquerade)
{
	for (size_t i = 0; i < l->published_count; i++)
		if (prefix_cmp(&l->published[i].range, range) == 0) {
			l->published[i].masquerade |= masquerade;
			return;
		}
	GROW(l->published, l->published_count);
	l->published[l->published_count++] =
		(struct published){ .range = *range, .masquerade = masquerade };
}

void wg_peer_add_allowed(struct wg_peer *p, const struct prefix *prefix)
{
	GROW(p->allowed, p->allowed_count);
	p->allowed[p->allowed_count++] = *prefix;
}

void wg_peer_sort(struct wg_peer *p)
{
	size_t n = 0;

	sort(p->allowed, p->allowed_count, sizeof(*p->allowed), network_cmp);
	for (size_t i = 0; i < p->allowed_count; i++)
		if (n == 0 || prefix_cmp(&p->allowed[n - 1], &p->allowed[i]) != 0)
			p->allowed[n++] = p->allowed[i];
	p->allowed_count = n;
}

void wg_link_sort(struct wg_link *l)
{
	sort(l->addresses, l->address_count, sizeof(*l->addresses), network_cmp);
	sort(l->peers, l->peer_count, sizeof(*l->peers), wg_peer_cmp);
	sort(l->routes, l->route_count, sizeof(*l->routes), route_cmp);
	sort(l->published, l->published_count, sizeof(*l->published), published_cmp);
	for (size_t i = 0; i < l->peer_count; i++)
		wg_peer_sort(&l->peers[i]);
}

static void hash_text(const char *text, char ret[static HASH_HEX_SIZE])
{
	uint8_t hash[HASH_LEN];

	if (!text)
		return;
	sha256(text, strlen(text), hash);
	hex_encode(hash, sizeof(hash), ret);
}

void host_sort(struct host *h)
{
	sort(h->links, h->link_count, sizeof(*h->links), wg_link_cmp);
	for (size_t i = 0; i < h->link_count; i++)
		wg_link_sort(&h->links[i]);
	hash_text(h->nft, h->nft_hash);
	hash_text(h->nft_first, h->nft_first_hash);
}

struct wg_link *host_link(const struct host *h, const char *name)
{
	struct wg_link key = { 0 };

	if (!h->link_count || strlen(name) >= sizeof(key.name))
		return NULL;
	memcpy(key.name, name, strlen(name));
	return bsearch(&key, h->links, h->link_count, sizeof(*h->links), wg_link_cmp);
}

struct wg_peer *wg_link_peer(const struct wg_link *l, const uint8_t key[static KEY_LEN])
{
	struct wg_peer wanted = { 0 };

	if (!l->peer_count)
		return NULL;
	memcpy(wanted.key, key, KEY_LEN);
	return bsearch(&wanted, l->peers, l->peer_count, sizeof(*l->peers), wg_peer_cmp);
}
