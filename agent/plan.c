/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The difference between desired and actual state as a list of operations. Owns the list, borrows
 * both states. Pure; any thread.
 */
#include "agent/plan.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/text.h"

/* Both sides of one key; one of the two may be NULL. */
typedef void (*merge_each)(struct plan *p, const char *link, const void *desired,
			   const void *actual);

static const char *const kind_names[] = {
	[OP_NFT] = "nft",
	[OP_LINK_ADD] = "link-add",
	[OP_LINK_DEVICE] = "link-device",
	[OP_LINK_MTU] = "link-mtu",
	[OP_ADDRESS_ADD] = "address-add",
	[OP_LINK_UP] = "link-up",
	[OP_PEER_PUT] = "peer-put",
	[OP_ALLOWED_SET] = "allowed-set",
	[OP_ROUTE_ADD] = "route-add",
	[OP_FORWARD_ON] = "forward-on",
	[OP_ROUTE_DEL] = "route-del",
	[OP_PEER_DEL] = "peer-del",
	[OP_ADDRESS_DEL] = "address-del",
	[OP_FORWARD_OFF] = "forward-off",
	[OP_LINK_DEL] = "link-del",
	[OP_NFT_LAST] = "nft-last",
	[OP_NFT_DEL] = "nft-del",
};

/* An AllowedIP that this plan gives to a peer of `link`. */
struct gift {
	const char *link;
	struct prefix prefix;
};

static struct op *add(struct plan *p, enum op_kind kind, const char *link)
{
	struct op *op;

	if (p->count == p->cap) {
		p->cap = p->cap ? 2 * p->cap : 16;
		p->ops = xreallocarray(p->ops, p->cap, sizeof(*p->ops));
	}
	op = &p->ops[p->count];
	*op = (struct op){ .kind = kind, .link = link, .index = p->count++ };
	return op;
}

/* Walks two sorted tables in step. */
static void merge(struct plan *p, const char *link, const void *desired, size_t desired_count,
		  const void *actual, size_t actual_count, size_t size,
		  int (*cmp)(const void *, const void *), merge_each each)
{
	const char *d = desired, *a = actual;

	while (desired_count || actual_count) {
		int c = !desired_count ? 1 : !actual_count ? -1 : cmp(d, a);

		each(p, link, c <= 0 ? d : NULL, c >= 0 ? a : NULL);
		if (c <= 0) {
			d += size;
			desired_count--;
		}
		if (c >= 0) {
			a += size;
			actual_count--;
		}
	}
}

static int network_cmp(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

static bool has_prefix(const struct wg_peer *p, const struct prefix *x)
{
	return p->allowed_count &&
	       bsearch(x, p->allowed, p->allowed_count, sizeof(*x), network_cmp);
}

/* How many of a's prefixes b does not have. */
static size_t count_missing(const struct wg_peer *a, const struct wg_peer *b)
{
	size_t n = 0;

	for (size_t i = 0; i < a->allowed_count; i++)
		n += !has_prefix(b, &a->allowed[i]);
	return n;
}

static void put_new(struct plan *p, const char *link, const struct wg_peer *desired)
{
	struct op *op = add(p, OP_PEER_PUT, link);

	op->peer = desired;
	op->with_endpoint = desired->endpoint.addr.family != 0;
	op->allowed = desired->allowed;
	op->allowed_count = desired->allowed_count;
}

static void put_changes(struct plan *p, const char *link, const struct wg_peer *desired,
			const struct wg_peer *actual)
{
	bool endpoint = desired->endpoint_wanted && desired->endpoint.addr.family &&
			endpoint_cmp(&desired->endpoint, &actual->endpoint) != 0;
	size_t missing = count_missing(desired, actual);
	struct prefix *allowed;
	struct op *op;

	if (!endpoint && !missing && desired->keepalive == actual->keepalive)
		return;
	op = add(p, OP_PEER_PUT, link);
	op->peer = desired;
	op->with_endpoint = endpoint;
	if (!missing)
		return;
	allowed = arena_array(&p->memory, missing, sizeof(*allowed));
	for (size_t i = 0; i < desired->allowed_count; i++)
		if (!has_prefix(actual, &desired->allowed[i]))
			allowed[op->allowed_count++] = desired->allowed[i];
	op->allowed = allowed;
}

void plan_peer(struct plan *p, const char *link, const struct wg_peer *desired,
	       const struct wg_peer *actual)
{
	struct op *op;

	if (!desired && actual) {
		add(p, OP_PEER_DEL, link)->peer = actual;
	} else if (desired && !actual) {
		put_new(p, link, desired);
	} else if (desired) {
		put_changes(p, link, desired, actual);
		if (!count_missing(actual, desired))
			return;
		op = add(p, OP_ALLOWED_SET, link);
		op->peer = desired;
		op->was = actual;
		op->allowed = desired->allowed;
		op->allowed_count = desired->allowed_count;
	}
}

void plan_route(struct plan *p, const char *link, const struct route *desired,
		const struct route *actual)
{
	if (!desired && actual)
		add(p, OP_ROUTE_DEL, link)->route = *actual;
	else if (desired && (!actual || addr_cmp(&desired->source, &actual->source) != 0))
		add(p, OP_ROUTE_ADD, link)->route = *desired;
}

static void each_peer(struct plan *p, const char *link, const void *desired, const void *actual)
{
	plan_peer(p, link, desired, actual);
}

static void each_route(struct plan *p, const char *link, const void *desired, const void *actual)
{
	plan_route(p, link, desired, actual);
}

void plan_routes(struct plan *p, const char *link, const struct route *desired,
		 size_t desired_count, const struct route *actual, size_t actual_count)
{
	merge(p, link, desired, desired_count, actual, actual_count, sizeof(*desired), route_cmp,
	      each_route);
}

static void each_address(struct plan *p, const char *link, const void *desired, const void *actual)
{
	if (!actual)
		add(p, OP_ADDRESS_ADD, link)->address = *(const struct prefix *)desired;
	else if (!desired)
		add(p, OP_ADDRESS_DEL, link)->address = *(const struct prefix *)actual;
}

static void each_link(struct plan *p, const char *unused, const void *desired, const void *actual)
{
	static const struct wg_link nothing;
	const struct wg_link *d = desired, *a = actual ? actual : &nothing;

	(void)unused;
	if (!d) {
		add(p, OP_LINK_DEL, a->name);
		return;
	}
	if (!actual)
		add(p, OP_LINK_ADD, d->name)->device = d;
	if (!crypto_equal(d->private_key, a->private_key, KEY_LEN) || d->port != a->port)
		add(p, OP_LINK_DEVICE, d->name)->device = d;
	if (d->mtu != a->mtu) {
		struct op *op = add(p, OP_LINK_MTU, d->name);

		op->device = d;
		op->mtu = d->mtu;
	}
	if (d->up && !a->up)
		add(p, OP_LINK_UP, d->name)->device = d;
	merge(p, d->name, d->addresses, d->address_count, a->addresses, a->address_count,
	      sizeof(*d->addresses), network_cmp, each_address);
	merge(p, d->name, d->peers, d->peer_count, a->peers, a->peer_count, sizeof(*d->peers),
	      wg_peer_cmp, each_peer);
	plan_routes(p, d->name, d->routes, d->route_count, a->routes, a->route_count);
}

static void put_rules(struct plan *p, enum op_kind kind, const char *text, const char *hash)
{
	struct op *op = add(p, kind, NULL);

	op->nft = text;
	op->nft_hash = hash;
}

void plan_nft(struct plan *p, const struct host *desired, const struct host *actual)
{
	const char *text = desired->nft_first ? desired->nft_first : desired->nft;
	const char *hash = desired->nft_first ? desired->nft_first_hash : desired->nft_hash;

	if (!desired->nft) {
		if (*actual->nft_hash)
			add(p, OP_NFT_DEL, NULL);
		return;
	}
	if (strcmp(hash, actual->nft_hash) != 0)
		put_rules(p, OP_NFT, text, hash);
	if (desired->nft_first)
		put_rules(p, OP_NFT_LAST, desired->nft, desired->nft_hash);
}

void plan_forwarding(struct plan *p, const struct host *desired, const struct host *actual)
{
	unsigned on = desired->forwarding & ~actual->forwarding;
	unsigned off = actual->forwarding_ours & ~desired->forwarding;

	if (on)
		add(p, OP_FORWARD_ON, NULL)->forwarding = on;
	if (off)
		add(p, OP_FORWARD_OFF, NULL)->forwarding = off;
}

static bool carries(const struct wg_link *l, const struct prefix *prefix)
{
	for (size_t i = 0; i < l->route_count; i++)
		if (prefix_overlaps(&l->routes[i].prefix, prefix))
			return true;
	for (size_t i = 0; i < l->address_count; i++)
		if (prefix_overlaps(&l->addresses[i], prefix))
			return true;
	return false;
}

/* `del`: of a link that goes. Are its prefixes another's in this plan? */
static bool does_move(const struct plan *p, const struct op *del, const struct host *actual)
{
	for (size_t i = 0; i < actual->link_count; i++) {
		const struct wg_link *l = &actual->links[i];

		for (size_t k = 0; strcmp(l->name, del->link) == 0 && k < p->count; k++)
			if ((p->ops[k].kind == OP_ROUTE_ADD &&
			     carries(l, &p->ops[k].route.prefix)) ||
			    (p->ops[k].kind == OP_ADDRESS_ADD && carries(l, &p->ops[k].address)))
				return true;
	}
	return false;
}

void plan_host(struct plan *p, const struct host *desired, const struct host *actual)
{
	merge(p, NULL, desired->links, desired->link_count, actual->links, actual->link_count,
	      sizeof(*desired->links), wg_link_cmp, each_link);
	for (size_t i = 0; i < p->count; i++)
		if (p->ops[i].kind == OP_LINK_DEL)
			p->ops[i].moves = does_move(p, &p->ops[i], actual);
	plan_nft(p, desired, actual);
	plan_forwarding(p, desired, actual);
	plan_order(p);
}

static int gift_cmp(const void *a, const void *b)
{
	const struct gift *x = a, *y = b;
	int c = strcmp(x->link, y->link);

	return c ? c : prefix_cmp(&x->prefix, &y->prefix);
}

/* Do all prefixes that the peer is to lose go to another peer in this plan? */
static bool all_given(const struct op *op, const struct gift *gifts, size_t count)
{
	for (size_t i = 0; i < op->was->allowed_count; i++) {
		struct gift g = { op->link, op->was->allowed[i] };

		if (!has_prefix(op->peer, &g.prefix) &&
		    (!count || !bsearch(&g, gifts, count, sizeof(g), gift_cmp)))
			return false;
	}
	return true;
}

static void leave_out_moved(struct plan *p)
{
	size_t count = 0, kept = 0, sets = 0;
	struct gift *gifts;

	for (size_t i = 0; i < p->count; i++) {
		sets += p->ops[i].kind == OP_ALLOWED_SET;
		count += p->ops[i].kind == OP_PEER_PUT ? p->ops[i].allowed_count : 0;
	}
	if (!sets || !count)
		return;
	gifts = xcalloc(count, sizeof(*gifts));
	count = 0;
	for (size_t i = 0; i < p->count; i++)
		for (size_t k = 0; p->ops[i].kind == OP_PEER_PUT && k < p->ops[i].allowed_count;
		     k++)
			gifts[count++] = (struct gift){ p->ops[i].link, p->ops[i].allowed[k] };
	qsort(gifts, count, sizeof(*gifts), gift_cmp);
	for (size_t i = 0; i < p->count; i++)
		if (p->ops[i].kind != OP_ALLOWED_SET || !all_given(&p->ops[i], gifts, count))
			p->ops[kept++] = p->ops[i];
	p->count = kept;
	free(gifts);
}

static int op_cmp(const void *a, const void *b)
{
	const struct op *x = a, *y = b;
	int c;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	c = x->link && y->link ? strcmp(x->link, y->link) : 0;
	if (c)
		return c;
	return x->index < y->index ? -1 : 1;
}

void plan_order(struct plan *p)
{
	leave_out_moved(p);
	if (p->count > 1)
		qsort(p->ops, p->count, sizeof(*p->ops), op_cmp);
	for (size_t i = 0; i < p->count; i++)
		p->ops[i].index = i;
}

void plan_done(struct plan *p)
{
	free(p->ops);
	arena_done(&p->memory);
	memset(p, 0, sizeof(*p));
}

bool op_waits(const struct op *op, bool unfiltered, bool staying)
{
	switch (op->kind) {
	case OP_LINK_ADD:
	case OP_LINK_DEVICE:
	case OP_LINK_MTU:
	case OP_ADDRESS_ADD:
	case OP_LINK_UP:
	case OP_PEER_PUT:
	case OP_ROUTE_ADD:
	case OP_FORWARD_ON:
	case OP_ROUTE_DEL:
	case OP_ADDRESS_DEL:
		return unfiltered;
	case OP_LINK_DEL:
		return unfiltered && op->moves;
	case OP_NFT_LAST:
	case OP_NFT_DEL:
		return staying;
	default:
		return false;
	}
}

/* Appends at `*at`; what does not fit is cut. */
static void PRINTF(4, 5) say(char *ret, size_t size, size_t *at, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(ret + *at, size - *at, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	*at = MIN(*at + (size_t)n, size - 1);
}

static void say_peer(const struct op *op, char *ret, size_t size, size_t *at)
{
	char key[KEY_BASE64_SIZE], prefix[PREFIX_SIZE], endpoint[ENDPOINT_SIZE];

	base64_encode(op->peer->key, KEY_LEN, key);
	say(ret, size, at, " %s", key);
	if (op->kind == OP_PEER_DEL)
		return;
	if (op->allowed_count || op->kind == OP_ALLOWED_SET)
		say(ret, size, at, " allowed=");
	for (size_t i = 0; i < op->allowed_count && *at + 64 < size; i++)
		say(ret, size, at, "%s%s", i ? "," : "", prefix_format(&op->allowed[i], prefix));
	if (op->kind == OP_PEER_PUT) {
		say(ret, size, at, " keepalive=%u", op->peer->keepalive);
		if (op->with_endpoint)
			say(ret, size, at, " endpoint=%s",
			    endpoint_format(&op->peer->endpoint, endpoint));
	}
}

void op_format(const struct op *op, char *ret, size_t size)
{
	char prefix[PREFIX_SIZE], source[ADDR_SIZE];
	size_t at = 0;

	say(ret, size, &at, "%s", kind_names[op->kind]);
	if (op->link)
		say(ret, size, &at, " %s", op->link);
	switch (op->kind) {
	case OP_LINK_DEVICE:
		say(ret, size, &at, " port=%u", op->device->port);
		break;
	case OP_LINK_MTU:
		say(ret, size, &at, " mtu=%u", op->mtu);
		break;
	case OP_ADDRESS_ADD:
	case OP_ADDRESS_DEL:
		say(ret, size, &at, " %s", prefix_format(&op->address, prefix));
		break;
	case OP_PEER_PUT:
	case OP_ALLOWED_SET:
	case OP_PEER_DEL:
		say_peer(op, ret, size, &at);
		break;
	case OP_ROUTE_ADD:
	case OP_ROUTE_DEL:
		say(ret, size, &at, " %s", prefix_format(&op->route.prefix, prefix));
		if (op->kind == OP_ROUTE_ADD && op->route.source.family)
			say(ret, size, &at, " source=%s", addr_format(&op->route.source, source));
		break;
	case OP_NFT:
	case OP_NFT_LAST:
		say(ret, size, &at, " %.16s", op->nft_hash);
		break;
	case OP_FORWARD_ON:
	case OP_FORWARD_OFF:
		say(ret, size, &at, "%s%s", op->forwarding & FORWARD_4 ? " ipv4" : "",
		    op->forwarding & FORWARD_6 ? " ipv6" : "");
		break;
	case OP_LINK_ADD:
	case OP_LINK_UP:
	case OP_LINK_DEL:
	case OP_NFT_DEL:
		break;
	}
}
