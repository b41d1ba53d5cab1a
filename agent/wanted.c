/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memberships and peers made into the desired state of the kernel. Owns nothing. Pure; any thread.
 */
#include "agent/wanted.h"

#include <stdlib.h>
#include <string.h>

#include "agent/nft.h"
#include "lib/mem.h"

static bool is_claimed(const struct wg_link *l, const struct prefix *x)
{
	for (size_t i = 0; i < l->peer_count; i++)
		for (size_t k = 0; k < l->peers[i].allowed_count; k++)
			if (prefix_overlaps(&l->peers[i].allowed[k], x))
				return true;
	return false;
}

bool wanted_peer(const struct wanted_network *n, const uint8_t key[static KEY_LEN],
		 struct wg_peer *ret)
{
	const struct peer_entry *e = peers_by_key(n->peers, key);

	memset(ret, 0, sizeof(*ret));
	if (!e || !e->tunnel)
		return false;
	memcpy(ret->key, key, KEY_LEN);
	ret->keepalive = n->keepalive;
	ret->endpoint = e->endpoint;
	ret->endpoint_wanted = e->endpoint_wanted;
	for (size_t i = 0; i < e->address_count; i++) {
		struct prefix host = prefix_host(&e->addresses[i]);

		if (peers_by_address(n->peers, &e->addresses[i]) == e)
			wg_peer_add_allowed(ret, &host);
	}
	for (size_t i = 0; n->carried && i < n->carried->count; i++) {
		const struct carried *c = &n->carried->list[i];

		if (c->state == CARRIED && strcmp(c->node, e->id) == 0)
			wg_peer_add_allowed(ret, &c->range);
	}
	wg_peer_sort(ret);
	return true;
}

/* Our own address of this family: what we send with. */
static const struct addr *source_of(const struct wanted_network *n, uint8_t family)
{
	for (size_t i = 0; i < n->address_count; i++)
		if (n->addresses[i].addr.family == family)
			return &n->addresses[i].addr;
	return NULL;
}

struct wg_link *wanted_bare_link(const struct wanted_network *n, struct host *h)
{
	struct wg_link *l = host_add_link(h, n->interface);

	memcpy(l->private_key, n->private_key, KEY_LEN);
	l->port = n->port;
	l->mtu = n->mtu;
	l->up = true;
	for (size_t i = 0; i < n->address_count; i++)
		wg_link_add_address(l, &n->addresses[i]);
	for (size_t i = 0; n->carried && i < n->carried->count; i++) {
		const struct carried *c = &n->carried->list[i];

		if (c->state == CARRIED)
			wg_link_add_route(l, &c->range, source_of(n, c->range.addr.family));
	}
	if (n->gateways)
		gateways_publish(n->gateways, peers_self_id(n->peers), l);
	return l;
}

void wanted_link(const struct wanted_network *n, struct host *h)
{
	struct wg_link *l = wanted_bare_link(n, h);

	for (const struct peer_entry *e = peers_next(n->peers, NULL); e;
	     e = peers_next(n->peers, e)) {
		struct wg_peer p;

		/* Of several with one key only its owner. */
		if (peers_by_key(n->peers, e->key) == e && wanted_peer(n, e->key, &p))
			*wg_link_add_peer(l, e->key) = p;
	}
}

static void borrow_link(struct host *h, const struct wg_link *l)
{
	struct wg_link *copy = host_add_link(h, l->name);

	copy->addresses = l->addresses;
	copy->address_count = l->address_count;
	copy->routes = l->routes;
	copy->route_count = l->route_count;
	copy->published = l->published;
	copy->published_count = l->published_count;
}

/* The rules that hold until the links of `actual` that are not wanted are gone, and forwarding is `off`
 * that is to be. NULL: they are the same as those wanted. */
static char *first_rules(const struct host *h, const struct host *actual, unsigned off)
{
	struct host all = { .forwards = h->forwards | off,
			    .isolated = h->isolated | off,
			    .bridges = actual->bridges };
	char *text;

	for (size_t i = 0; i < h->link_count; i++)
		borrow_link(&all, &h->links[i]);
	for (size_t i = 0; i < actual->link_count; i++)
		if (!host_link(h, actual->links[i].name))
			borrow_link(&all, &actual->links[i]);
	host_sort(&all);
	text = nft_rules(&all);
	free(all.links);
	if (text && h->nft && strcmp(text, h->nft) != 0)
		return text;
	free(text);
	return NULL;
}

void wanted_finish(struct host *h, const struct host *actual)
{
	unsigned off;

	for (size_t i = 0; i < h->link_count; i++)
		for (size_t k = 0; k < h->links[i].published_count; k++)
			h->forwarding |= h->links[i].published[k].range.addr.family == AF_INET ?
						 FORWARD_4 :
						 FORWARD_6;
	/* The text does not depend on the order in which things came. */
	host_sort(h);
	off = actual->forwarding & actual->forwarding_ours & ~h->forwarding;
	h->forwards = h->forwarding | (actual->forwarding & ~off);
	h->isolated = h->forwarding & (actual->forwarding_ours | ~actual->forwarding);
	free(h->nft);
	free(h->nft_first);
	free(h->bridges);
	h->bridges = actual->bridges ? xstrdup(actual->bridges) : NULL;
	h->nft = nft_rules(h);
	h->nft_first = first_rules(h, actual, off);
	host_sort(h);
}

static void keep_peer(struct wg_link *l, const struct wg_peer *actual)
{
	struct wg_peer copy = { .keepalive = actual->keepalive };

	memcpy(copy.key, actual->key, KEY_LEN);
	for (size_t i = 0; i < actual->allowed_count; i++)
		if (!is_claimed(l, &actual->allowed[i]))
			wg_peer_add_allowed(&copy, &actual->allowed[i]);
	*wg_link_add_peer(l, actual->key) = copy;
}

void wanted_keep_peers(struct wg_link *desired, const struct wg_link *actual)
{
	size_t known = desired->peer_count;

	for (size_t i = 0; i < actual->peer_count; i++) {
		/* The first `known` are still sorted while strangers are put behind them. */
		struct wg_link head = *desired;

		head.peer_count = known;
		if (!wg_link_peer(&head, actual->peers[i].key))
			keep_peer(desired, &actual->peers[i]);
	}
	wg_link_sort(desired);
}

static bool has_route(const struct host *h, const struct prefix *p)
{
	for (size_t i = 0; i < h->link_count; i++)
		for (size_t k = 0; k < h->links[i].route_count; k++)
			if (prefix_cmp(&h->links[i].routes[k].prefix, p) == 0)
				return true;
	return false;
}

void wanted_keep_ranges(struct host *h, struct wg_link *desired, const struct wg_link *actual)
{
	for (size_t i = 0; i < actual->peer_count; i++) {
		const struct wg_peer *was = &actual->peers[i];
		struct wg_peer *p = wg_link_peer(desired, was->key);

		for (size_t k = 0; p && k < was->allowed_count; k++)
			if (was->allowed[k].len < addr_bits(&was->allowed[k].addr) &&
			    !is_claimed(desired, &was->allowed[k]))
				wg_peer_add_allowed(p, &was->allowed[k]);
	}
	for (size_t i = 0; i < actual->route_count; i++)
		if (!has_route(h, &actual->routes[i].prefix))
			wg_link_add_route(desired, &actual->routes[i].prefix,
					  &actual->routes[i].source);
	wg_link_sort(desired);
}

void wanted_keep_link(struct host *desired, const struct wg_link *actual)
{
	struct wg_link *l = host_add_link(desired, actual->name);

	memcpy(l->private_key, actual->private_key, KEY_LEN);
	l->port = actual->port;
	l->mtu = actual->mtu;
	l->up = actual->up;
	for (size_t i = 0; i < actual->address_count; i++)
		wg_link_add_address(l, &actual->addresses[i]);
	for (size_t i = 0; i < actual->route_count; i++)
		if (!has_route(desired, &actual->routes[i].prefix))
			wg_link_add_route(l, &actual->routes[i].prefix, &actual->routes[i].source);
	for (size_t i = 0; i < actual->peer_count; i++) {
		struct wg_peer *p = wg_link_add_peer(l, actual->peers[i].key);

		p->keepalive = actual->peers[i].keepalive;
		for (size_t k = 0; k < actual->peers[i].allowed_count; k++)
			wg_peer_add_allowed(p, &actual->peers[i].allowed[k]);
	}
	host_sort(desired);
}
