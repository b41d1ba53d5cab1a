/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A kernel in memory, for tests of everything above agent/kernel.h. Owns its state; one thread.
 */
#include "tests/fakes/kernel_fake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

#define CANDIDATES 16
#define KINDS (OP_NFT_DEL + 1)

struct kernel {
	struct kernel_config config;
	struct host host;
	struct addr candidates[CANDIDATES];
	size_t candidate_count;
	const char *conflict, *blocked;
	unsigned long forgotten, looked;
	bool looking, fresh;
	bool way_set;
	enum kernel_way way;
	struct {
		int error;
		unsigned times;
	} fail[KINDS];
	void (*applied)(void *owner, const struct op *op);
	void *applied_owner;
	unsigned long ops, retries;
	char asked[INTERFACE_SIZE], unasked[INTERFACE_SIZE];
	char message[128];
};

const char *const kernel_backend_names[] = { "auto", "kernel", "userspace", NULL };

#define DELETE(array, count, i)                                                                    \
	memmove(&(array)[i], &(array)[(i) + 1], (--(count) - (i)) * sizeof(*(array)))

static void take_allowed(struct wg_peer *p, const struct prefix *x)
{
	for (size_t i = 0; i < p->allowed_count; i++)
		if (prefix_cmp(&p->allowed[i], x) == 0) {
			DELETE(p->allowed, p->allowed_count, i);
			return;
		}
}

static int apply_peer_put(struct wg_link *l, const struct op *op)
{
	struct wg_peer *p = wg_link_peer(l, op->peer->key);

	if (!p) {
		wg_link_add_peer(l, op->peer->key);
		wg_link_sort(l);
		p = wg_link_peer(l, op->peer->key);
	}
	p->keepalive = op->peer->keepalive;
	if (op->with_endpoint)
		p->endpoint = op->peer->endpoint;
	for (size_t i = 0; i < op->allowed_count; i++) {
		for (size_t k = 0; k < l->peer_count; k++)
			take_allowed(&l->peers[k], &op->allowed[i]);
		wg_peer_add_allowed(p, &op->allowed[i]);
	}
	wg_peer_sort(p);
	return 0;
}

static int apply_allowed_set(struct wg_link *l, const struct op *op)
{
	struct wg_peer *p = wg_link_peer(l, op->peer->key);
	size_t kept = 0;

	if (!p)
		return -ENOENT;
	for (size_t i = 0; i < p->allowed_count; i++)
		for (size_t k = 0; k < op->allowed_count; k++)
			if (prefix_cmp(&p->allowed[i], &op->allowed[k]) == 0) {
				p->allowed[kept++] = p->allowed[i];
				break;
			}
	p->allowed_count = kept;
	return 0;
}

static void apply_peer_del(struct wg_link *l, const struct op *op)
{
	struct wg_peer *p = wg_link_peer(l, op->peer->key);

	if (!p)
		return;
	wg_peer_done(p);
	DELETE(l->peers, l->peer_count, (size_t)(p - l->peers));
}

static void take_route(struct wg_link *l, const struct prefix *x)
{
	for (size_t i = 0; i < l->route_count; i++)
		if (prefix_cmp(&l->routes[i].prefix, x) == 0) {
			DELETE(l->routes, l->route_count, i);
			return;
		}
}

static int apply_route_add(struct host *h, struct wg_link *l, const struct op *op)
{
	bool ok = !op->route.source.family;

	for (size_t i = 0; i < l->address_count; i++)
		ok |= addr_cmp(&l->addresses[i].addr, &op->route.source) == 0;
	if (!ok)
		return -EINVAL;
	if (!l->up)
		return -ENETDOWN;
	for (size_t i = 0; i < h->link_count; i++)
		take_route(&h->links[i], &op->route.prefix);
	wg_link_add_route(l, &op->route.prefix, &op->route.source);
	wg_link_sort(l);
	return 0;
}

/* The kernel takes the routes that prefer an address away with it. */
static void apply_address_del(struct wg_link *l, const struct op *op)
{
	for (size_t i = 0; i < l->address_count; i++)
		if (prefix_cmp(&l->addresses[i], &op->address) == 0) {
			DELETE(l->addresses, l->address_count, i);
			break;
		}
	for (size_t i = 0; i < l->address_count; i++)
		if (addr_cmp(&l->addresses[i].addr, &op->address.addr) == 0)
			return;
	for (size_t i = l->route_count; i-- > 0;)
		if (addr_cmp(&l->routes[i].source, &op->address.addr) == 0)
			DELETE(l->routes, l->route_count, i);
}

static int apply_link_add(struct host *h, const struct op *op)
{
	struct wg_link *l;

	if (host_link(h, op->link))
		return 0;
	l = host_add_link(h, op->link);
	l->mtu = 1420;
	host_sort(h);
	return 0;
}

static void apply_nft(struct host *h, const struct op *op)
{
	memset(h->nft_hash, 0, sizeof(h->nft_hash));
	if (op->kind != OP_NFT_DEL)
		memcpy(h->nft_hash, op->nft_hash, HASH_HEX_SIZE);
}

static int apply_link_op(struct host *h, struct wg_link *l, const struct op *op)
{
	switch (op->kind) {
	case OP_LINK_DEVICE:
		memcpy(l->private_key, op->device->private_key, KEY_LEN);
		l->port = op->device->port;
		return 0;
	case OP_LINK_MTU:
		l->mtu = op->mtu;
		return 0;
	case OP_ADDRESS_ADD:
		for (size_t i = 0; i < l->address_count; i++)
			if (prefix_cmp(&l->addresses[i], &op->address) == 0)
				return 0;
		wg_link_add_address(l, &op->address);
		wg_link_sort(l);
		return 0;
	case OP_LINK_UP:
		l->up = true;
		return 0;
	case OP_PEER_PUT:
		return apply_peer_put(l, op);
	case OP_ALLOWED_SET:
		return apply_allowed_set(l, op);
	case OP_ROUTE_ADD:
		return apply_route_add(h, l, op);
	case OP_ROUTE_DEL:
		take_route(l, &op->route.prefix);
		return 0;
	case OP_PEER_DEL:
		apply_peer_del(l, op);
		return 0;
	case OP_ADDRESS_DEL:
		apply_address_del(l, op);
		return 0;
	case OP_LINK_DEL:
		wg_link_done(l);
		DELETE(h->links, h->link_count, (size_t)(l - h->links));
		return 0;
	default:
		return -EINVAL;
	}
}

static int apply_one(struct kernel *k, const struct op *op)
{
	struct wg_link *l = op->link ? host_link(&k->host, op->link) : NULL;

	if (k->fail[op->kind].times) {
		k->fail[op->kind].times--;
		return k->fail[op->kind].error;
	}
	if (op->kind == OP_NFT || op->kind == OP_NFT_LAST || op->kind == OP_NFT_DEL) {
		apply_nft(&k->host, op);
		return 0;
	}
	if (op->kind == OP_FORWARD_ON || op->kind == OP_FORWARD_OFF) {
		unsigned *on = &k->host.forwarding, *ours = &k->host.forwarding_ours;

		*on = op->kind == OP_FORWARD_ON ? *on | op->forwarding : *on & ~op->forwarding;
		*ours = op->kind == OP_FORWARD_ON ? *ours | op->forwarding :
						    *ours & ~op->forwarding;
		return 0;
	}
	if (op->kind == OP_LINK_ADD)
		return apply_link_add(&k->host, op);
	if (!l)
		return op->kind >= OP_ROUTE_DEL ? 0 : -ENODEV;
	return apply_link_op(&k->host, l, op);
}

int kernel_new(struct loop *l, const struct kernel_config *c, struct kernel **ret)
{
	(void)l;
	*ret = xcalloc(1, sizeof(**ret));
	if (c)
		(*ret)->config = *c;
	return 0;
}

struct kernel *kernel_fake_new(void)
{
	struct kernel *k;

	return kernel_new(NULL, NULL, &k) == 0 ? k : NULL;
}

void kernel_free(struct kernel *k)
{
	if (!k)
		return;
	host_done(&k->host);
	free(k);
}

const char *kernel_message(const struct kernel *k)
{
	return k ? k->message : "";
}

const char *kernel_backend_of(struct kernel *k, const char *link)
{
	(void)link;
	return kernel_backend_names[k->config.backend == BACKEND_KERNEL ? BACKEND_KERNEL :
									  BACKEND_USERSPACE];
}

static void copy_device(const struct wg_link *from, struct wg_link *to)
{
	memcpy(to->private_key, from->private_key, KEY_LEN);
	to->port = from->port;
	for (size_t i = 0; i < from->peer_count; i++) {
		const struct wg_peer *p = &from->peers[i];
		struct wg_peer *copy = wg_link_add_peer(to, p->key);

		copy->endpoint = p->endpoint;
		copy->keepalive = p->keepalive;
		copy->last_handshake = p->last_handshake;
		copy->rx_bytes = p->rx_bytes;
		copy->tx_bytes = p->tx_bytes;
		for (size_t n = 0; n < p->allowed_count; n++)
			wg_peer_add_allowed(copy, &p->allowed[n]);
	}
}

int kernel_read(struct kernel *k, struct host *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < k->host.link_count; i++) {
		const struct wg_link *l = &k->host.links[i];
		struct wg_link *copy = host_add_link(ret, l->name);

		copy->mtu = l->mtu;
		copy->up = l->up;
		for (size_t n = 0; n < l->address_count; n++)
			wg_link_add_address(copy, &l->addresses[n]);
		for (size_t n = 0; n < l->route_count; n++)
			wg_link_add_route(copy, &l->routes[n].prefix, &l->routes[n].source);
		copy_device(l, copy);
	}
	memcpy(ret->nft_hash, k->host.nft_hash, HASH_HEX_SIZE);
	ret->forwarding = k->host.forwarding;
	ret->forwarding_ours = k->host.forwarding_ours;
	host_sort(ret);
	return 0;
}

int kernel_read_peers(struct kernel *k, const char *link, struct wg_link *ret)
{
	struct wg_link *l = host_link(&k->host, link);

	memset(ret, 0, sizeof(*ret));
	if (!l)
		return -ENODEV;
	snprintf(ret->name, sizeof(ret->name), "%s", link);
	copy_device(l, ret);
	return 0;
}

int kernel_apply(struct kernel *k, const struct op *ops, size_t count,
		 void (*failed)(void *owner, const struct op *op, int error, const char *why),
		 void *owner)
{
	bool unfiltered = false, staying = false;
	int first = 0;

	for (size_t i = 0; i < count; i++) {
		int r;

		if (op_waits(&ops[i], unfiltered, staying)) {
			staying |= ops[i].kind == OP_LINK_DEL;
			continue;
		}
		r = apply_one(k, &ops[i]);
		if (r < 0) {
			unfiltered |= ops[i].kind == OP_NFT;
			staying |= ops[i].kind == OP_LINK_DEL || ops[i].kind == OP_FORWARD_OFF;
			snprintf(k->message, sizeof(k->message), "the fake kernel says %s",
				 strerror(-r));
			if (failed)
				failed(owner, &ops[i], r, k->message);
			first = first ? first : r;
			continue;
		}
		k->ops++;
		if (k->applied)
			k->applied(k->applied_owner, &ops[i]);
	}
	return first;
}

int kernel_retry_peer(struct kernel *k, const char *link, const struct wg_peer *peer)
{
	struct op op = { .kind = OP_PEER_PUT, .link = link, .peer = peer, .with_endpoint = true };
	struct wg_link *l = host_link(&k->host, link);

	if (!l)
		return -ENODEV;
	op.allowed = peer->allowed;
	op.allowed_count = peer->allowed_count;
	apply_peer_del(l, &op);
	k->retries++;
	return apply_peer_put(l, &op);
}

int kernel_candidates(struct kernel *k, struct addr *ret, size_t max, size_t *ret_count)
{
	*ret_count = MIN(max, k->candidate_count);
	memcpy(ret, k->candidates, *ret_count * sizeof(*ret));
	return 0;
}

enum kernel_way kernel_way_to(struct kernel *k, const struct addr *a)
{
	(void)a;
	return k->way_set ? k->way : WAY_KNOWN;
}

void kernel_look_begin(struct kernel *k)
{
	k->looking = true;
	k->fresh = false;
}

void kernel_look_end(struct kernel *k)
{
	k->looking = k->fresh = false;
}

static void look(struct kernel *k)
{
	k->looked += !k->fresh;
	k->fresh = k->looking;
}

int kernel_conflict(struct kernel *k, const struct prefix *prefix, char *ret, size_t size)
{
	(void)prefix;
	look(k);
	if (!k->conflict)
		return 0;
	snprintf(ret, size, "%s", k->conflict);
	return 1;
}

int kernel_blocked(struct kernel *k, const struct prefix *prefix, char *ret, size_t size)
{
	char text[PREFIX_SIZE];

	look(k);
	if (!k->blocked || strcmp(prefix_format(prefix, text), k->blocked) != 0)
		return 0;
	snprintf(ret, size, "%s on eth0", k->blocked);
	return 1;
}

void kernel_unask(struct kernel *k, const char *link)
{
	snprintf(k->unasked, sizeof(k->unasked), "%s", link);
}

void kernel_sweep(struct kernel *k, bool (*wanted)(void *owner, const char *link), void *owner)
{
	if (*k->asked && !wanted(owner, k->asked))
		kernel_unask(k, k->asked);
}

void kernel_fake_ask(struct kernel *k, const char *link)
{
	snprintf(k->asked, sizeof(k->asked), "%s", link);
}

const char *kernel_fake_unasked(const struct kernel *k)
{
	return k->unasked;
}

void kernel_forget_stale_flows(struct kernel *k)
{
	k->forgotten++;
}

struct host *kernel_fake_host(struct kernel *k)
{
	return &k->host;
}

void kernel_fake_set_candidates(struct kernel *k, const struct addr *a, size_t count)
{
	k->candidate_count = MIN(count, (size_t)CANDIDATES);
	memcpy(k->candidates, a, k->candidate_count * sizeof(*a));
}

void kernel_fake_set_conflict(struct kernel *k, const char *what)
{
	k->conflict = what;
}

void kernel_fake_set_blocked(struct kernel *k, const char *prefix)
{
	k->blocked = prefix;
}

void kernel_fake_set_way(struct kernel *k, enum kernel_way way)
{
	k->way_set = true;
	k->way = way;
}

unsigned long kernel_fake_looked(const struct kernel *k)
{
	return k->looked;
}

unsigned long kernel_fake_forgotten(const struct kernel *k)
{
	return k->forgotten;
}

void kernel_fake_fail(struct kernel *k, enum op_kind kind, int error, unsigned times)
{
	k->fail[kind].error = error;
	k->fail[kind].times = times;
}

void kernel_fake_change(struct kernel *k)
{
	if (k->config.changed)
		k->config.changed(k->config.owner);
}

void kernel_fake_watch(struct kernel *k, void (*applied)(void *owner, const struct op *op),
		       void *owner)
{
	k->applied = applied;
	k->applied_owner = owner;
}

unsigned long kernel_fake_op_count(const struct kernel *k)
{
	return k->ops;
}

unsigned long kernel_fake_retry_count(const struct kernel *k)
{
	return k->retries;
}
