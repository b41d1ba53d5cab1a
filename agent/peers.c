/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of a network's peers. Owns its entries. Claims are kept by text, "k" and a key in base64
 * or "a" and an address; nearly all have one claimant, so who owns a disputed one is found by looking
 * at everybody. Pure; one thread.
 */
#include "agent/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/map.h"
#include "lib/mem.h"
#include "lib/text.h"

#define CLAIM_SIZE 64
#define CLAIMS_MAX (1 + PEER_ADDRESSES_MAX)

struct claim {
	struct peer_entry *owner;
	unsigned count;
};

struct peers {
	struct map *entries; /* id -> struct peer_entry */
	struct map *claims;  /* text -> struct claim */
	struct map *touched; /* key in base64 -> anything */
	char self_id[LABEL_SIZE];
	uint8_t self_key[KEY_LEN];
	struct addr self_addresses[PEER_ADDRESSES_MAX];
	size_t self_address_count;
};

static void free_strings(char **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}

static char **copy_strings(char *const *list, size_t count)
{
	char **copy = count ? xcalloc(count, sizeof(*copy)) : NULL;

	for (size_t i = 0; i < count; i++)
		copy[i] = xstrdup(list[i]);
	return copy;
}

static bool equal_strings(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

static void entry_free(void *value)
{
	struct peer_entry *e = value;

	free(e->name);
	free(e->site);
	free_strings(e->endpoints, e->endpoint_count);
	free_strings(e->ep, e->ep_count);
	free_strings(e->was, e->was_count);
	free(e);
}

static bool is_self(const struct peers *p, const struct peer_entry *e)
{
	return strcmp(e->id, p->self_id) == 0;
}

/* ---- claims ---- */

static void claim_key(const uint8_t key[static KEY_LEN], char ret[static CLAIM_SIZE])
{
	ret[0] = 'k';
	base64_encode(key, KEY_LEN, ret + 1);
}

static void claim_address(const struct addr *a, char ret[static CLAIM_SIZE])
{
	ret[0] = 'a';
	addr_format(a, ret + 1);
}

/* What the entry claims, as texts; how many. */
static size_t claims_of(const struct peer_entry *e, char ret[static CLAIMS_MAX][CLAIM_SIZE])
{
	size_t n = 0;

	claim_key(e->key, ret[n++]);
	for (size_t i = 0; i < e->address_count; i++)
		claim_address(&e->addresses[i], ret[n++]);
	return n;
}

static bool has_claim(const struct peer_entry *e, const char *claim)
{
	char claims[CLAIMS_MAX][CLAIM_SIZE];
	size_t n = claims_of(e, claims);

	for (size_t i = 0; i < n; i++)
		if (strcmp(claims[i], claim) == 0)
			return true;
	return false;
}

static bool is_better(const struct peer_entry *a, const struct peer_entry *b)
{
	if (a->orphan != b->orphan)
		return !a->orphan;
	return strcmp(a->id, b->id) < 0;
}

static void claims_add(struct peers *p, struct peer_entry *e)
{
	char claims[CLAIMS_MAX][CLAIM_SIZE];
	size_t n = claims_of(e, claims);

	for (size_t i = 0; i < n; i++) {
		struct claim *c = map_get(p->claims, claims[i]);

		if (!c) {
			c = xcalloc(1, sizeof(*c));
			map_put(p->claims, claims[i], c);
		}
		c->count++;
		if (c->owner && c->owner != e)
			peers_touch(p, c->owner->key);
		if (!c->owner || is_better(e, c->owner))
			c->owner = e;
	}
	peers_touch(p, e->key);
}

static void claims_del(struct peers *p, struct peer_entry *e)
{
	char claims[CLAIMS_MAX][CLAIM_SIZE];
	size_t n = claims_of(e, claims);

	for (size_t i = 0; i < n; i++) {
		struct claim *c = map_get(p->claims, claims[i]);

		if (--c->count == 0) {
			free(map_del(p->claims, claims[i]));
			continue;
		}
		if (c->owner != e)
			continue;
		c->owner = NULL;
		for (struct map_entry *m = map_next(p->entries, NULL); m;
		     m = map_next(p->entries, m)) {
			struct peer_entry *other = map_entry_value(m);

			if (other != e && !is_self(p, other) && has_claim(other, claims[i]) &&
			    (!c->owner || is_better(other, c->owner)))
				c->owner = other;
		}
		if (c->owner)
			peers_touch(p, c->owner->key);
	}
	peers_touch(p, e->key);
}

static bool is_own_address(const struct peers *p, const struct addr *a)
{
	for (size_t i = 0; i < p->self_address_count; i++)
		if (addr_cmp(&p->self_addresses[i], a) == 0)
			return true;
	return false;
}

static struct peer_entry *owner_of(const struct peers *p, const char *claim)
{
	struct claim *c = map_get(p->claims, claim);

	return c ? c->owner : NULL;
}

/* ---- the table ---- */

struct peers *peers_new(const struct peers_self *self)
{
	struct peers *p = xcalloc(1, sizeof(*p));

	p->entries = map_new();
	p->claims = map_new();
	p->touched = map_new();
	peers_set_self(p, self);
	return p;
}

void peers_free(struct peers *p)
{
	if (!p)
		return;
	map_free(p->entries, entry_free);
	map_free(p->claims, free);
	map_free(p->touched, NULL);
	free(p);
}

void peers_set_self(struct peers *p, const struct peers_self *self)
{
	snprintf(p->self_id, sizeof(p->self_id), "%s", self->id);
	memcpy(p->self_key, self->key, KEY_LEN);
	p->self_address_count = MIN(self->address_count, (size_t)PEER_ADDRESSES_MAX);
	for (size_t i = 0; i < p->self_address_count; i++)
		p->self_addresses[i] = self->addresses[i].addr;
	for (struct peer_entry *e = peers_next(p, NULL); e; e = peers_next(p, e))
		peers_touch(p, e->key);
}

static bool same_claims(const struct peer_entry *e, const struct peer *body, bool orphan)
{
	if (e->orphan != orphan || memcmp(e->key, body->keys[0].key, KEY_LEN) != 0 ||
	    e->address_count != MIN(body->address_count, (size_t)PEER_ADDRESSES_MAX))
		return false;
	for (size_t i = 0; i < e->address_count; i++)
		if (addr_cmp(&e->addresses[i], &body->addresses[i]) != 0)
			return false;
	return true;
}

static void fill(struct peer_entry *e, const struct peer *body, bool orphan)
{
	free(e->name);
	e->name = xstrdup(body->name);
	free(e->site);
	e->site = body->site ? xstrdup(body->site) : NULL;
	memcpy(e->key, body->keys[0].key, KEY_LEN);
	memcpy(e->identity_key, body->identity_key, KEY_LEN);
	e->address_count = MIN(body->address_count, (size_t)PEER_ADDRESSES_MAX);
	memcpy(e->addresses, body->addresses, e->address_count * sizeof(*e->addresses));
	e->orphan = orphan;
	e->tunnel = body->role == ROLE_NODE;
	free_strings(e->endpoints, e->endpoint_count);
	e->endpoints = copy_strings(body->endpoints, body->endpoint_count);
	e->endpoint_count = body->endpoint_count;
	e->ep_seq = body->ep_seq;
}

static void set_was(struct peer_entry *e, char **was, size_t count)
{
	free_strings(e->was, e->was_count);
	e->was = was;
	e->was_count = count;
}

bool peers_put(struct peers *p, const char *id, const struct peer *body, bool orphan)
{
	struct peer_entry *e = map_get(p->entries, id);
	char *const *list, **before;
	size_t count, before_count;
	bool is_new = !e, claims, changed;

	if (!e) {
		e = xcalloc(1, sizeof(*e));
		snprintf(e->id, sizeof(e->id), "%s", id);
		map_put(p->entries, id, e);
	}
	before_count = peers_endpoints(e, &list);
	before = copy_strings(list, before_count);
	claims = !is_self(p, e) && (is_new || !same_claims(e, body, orphan) ||
				    e->tunnel != (body->role == ROLE_NODE));
	if (claims && !is_new)
		claims_del(p, e);
	if (memcmp(e->key, body->keys[0].key, KEY_LEN) != 0)
		e->made = false; /* to WireGuard it is another peer */
	fill(e, body, orphan);
	if (claims)
		claims_add(p, e);
	count = peers_endpoints(e, &list);
	changed = is_new || !equal_strings(list, count, before, before_count);
	if (changed)
		set_was(e, before, before_count);
	else
		free_strings(before, before_count);
	return changed;
}

void peers_del(struct peers *p, const char *id)
{
	struct peer_entry *e = map_get(p->entries, id);

	if (!e)
		return;
	if (!is_self(p, e))
		claims_del(p, e);
	map_del(p->entries, id);
	entry_free(e);
}

bool peers_put_ep(struct peers *p, const char *id, const struct ep *ep)
{
	struct peer_entry *e = map_get(p->entries, id);
	char *const *list;
	size_t count;

	if (!e || ep->seq <= e->register_seq)
		return false;
	if (ep->seq > e->ep_seq) {
		count = peers_endpoints(e, &list);
		set_was(e, copy_strings(list, count), count);
	}
	free_strings(e->ep, e->ep_count);
	e->ep = copy_strings(ep->endpoints, ep->endpoint_count);
	e->ep_count = ep->endpoint_count;
	e->register_seq = ep->seq;
	return ep->seq > e->ep_seq;
}

size_t peers_endpoints(const struct peer_entry *e, char *const **ret)
{
	bool own = e->register_seq > e->ep_seq;

	*ret = own ? e->ep : e->endpoints;
	return own ? e->ep_count : e->endpoint_count;
}

struct peer_entry *peers_get(const struct peers *p, const char *id)
{
	return map_get(p->entries, id);
}

const char *peers_self_id(const struct peers *p)
{
	return p->self_id;
}

const struct peer_entry *peers_self_entry(const struct peers *p)
{
	return map_get(p->entries, p->self_id);
}

struct peer_entry *peers_by_key(const struct peers *p, const uint8_t key[static KEY_LEN])
{
	char claim[CLAIM_SIZE];

	if (memcmp(key, p->self_key, KEY_LEN) == 0)
		return NULL;
	claim_key(key, claim);
	return owner_of(p, claim);
}

struct peer_entry *peers_by_address(const struct peers *p, const struct addr *a)
{
	char claim[CLAIM_SIZE];

	if (is_own_address(p, a))
		return NULL;
	claim_address(a, claim);
	return owner_of(p, claim);
}

bool peers_conflict(const struct peers *p, const struct peer_entry *e, char *ret, size_t size)
{
	const struct peer_entry *owner = peers_by_key(p, e->key);
	char text[ADDR_SIZE];

	if (owner != e) {
		snprintf(ret, size, "its WireGuard key is that of %s",
			 owner ? owner->name : "this node");
		return true;
	}
	for (size_t i = 0; i < e->address_count; i++) {
		owner = peers_by_address(p, &e->addresses[i]);
		if (owner == e)
			continue;
		snprintf(ret, size, "its address %s is that of %s",
			 addr_format(&e->addresses[i], text), owner ? owner->name : "this node");
		return true;
	}
	return false;
}

size_t peers_count(const struct peers *p)
{
	return map_count(p->entries) - (peers_self_entry(p) != NULL);
}

struct peer_entry *peers_next(const struct peers *p, const struct peer_entry *e)
{
	struct map_entry *m = NULL;

	if (e)
		m = map_find(p->entries, e->id);
	do {
		m = map_next(p->entries, m);
	} while (m && is_self(p, map_entry_value(m)));
	return m ? map_entry_value(m) : NULL;
}

void peers_touch(struct peers *p, const uint8_t key[static KEY_LEN])
{
	char text[KEY_BASE64_SIZE];

	base64_encode(key, KEY_LEN, text);
	map_put(p->touched, text, p);
}

const char *peers_touched_next(const struct peers *p, const char *key)
{
	struct map_entry *m = map_next(p->touched, key ? map_find(p->touched, key) : NULL);

	return m ? map_entry_key(m) : NULL;
}

void peers_touched_clear(struct peers *p)
{
	map_clear(p->touched, NULL);
}
