/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names of a network. Owns records, entries and the map of them. One thread writes.
 */
#include "agent/zone.h"

#include <stdlib.h>
#include <string.h>

#include "agent/reverse.h"
#include "lib/crypto.h"
#include "lib/mem.h"
#include "lib/text.h"

#define SOA_REFRESH 60
#define SOA_RETRY 10
#define SOA_EXPIRE 86400

struct zone {
	struct hamt names;
	struct hamt addresses; /* agent/reverse.h */
	char site[LABEL_SIZE];
	struct zone_version now; /* what the next version will say beside its names */
	bool dirty;
};

/* ---- records ---- */

/* Hands out parts of one block; with no block it only counts. */
struct layout {
	char *at;
	size_t size;
};

static void *part(struct layout *l, size_t size)
{
	void *p = l->at;

	size = (size + 7) & ~(size_t)7;
	l->size += size;
	if (l->at)
		l->at += size;
	return p;
}

static char *part_text(struct layout *l, const char *s)
{
	size_t len = strlen(s) + 1;
	char *p = l->at;

	l->size += len;
	if (!l->at)
		return NULL;
	l->at += len;
	return memcpy(p, s, len);
}

static const char *hostname_of(const struct record_endpoint *e, char ret[static ADDR_SIZE])
{
	if (e->hostname)
		return e->hostname;
	addr_format(&e->addresses[0], ret);
	for (char *c = ret; *c; c++)
		if (*c == '.' || *c == ':')
			*c = '-';
	return ret;
}

static const struct addr *part_addresses(struct layout *l, const struct addr *from, size_t count)
{
	struct addr *p = part(l, count * sizeof(*p));

	if (p && count)
		memcpy(p, from, count * sizeof(*p));
	return p;
}

static size_t named_ports(const struct record *r)
{
	size_t count = 0;

	for (size_t i = 0; i < r->port_count; i++)
		count += r->ports[i].name != NULL;
	return count;
}

/* Texts come last: they need no alignment. */
static void lay_out(struct layout *l, const char *key, const struct record *r,
		    struct zone_record **ret)
{
	struct zone_record *z = part(l, sizeof(*z));
	struct zone_port *ports = part(l, named_ports(r) * sizeof(*ports));
	struct zone_endpoint *endpoints = part(l, r->endpoint_count * sizeof(*endpoints));
	const struct addr *addresses = part_addresses(l, r->addresses, r->address_count);
	const char *name;
	char host[ADDR_SIZE];
	size_t named = 0;

	for (size_t i = 0; i < r->endpoint_count; i++) {
		const struct record_endpoint *e = &r->endpoints[i];
		const struct addr *a = part_addresses(l, e->addresses, e->address_count);

		if (z)
			endpoints[i] = (struct zone_endpoint){ .addresses = a,
							       .address_count = e->address_count };
	}
	for (size_t i = 0; i < r->endpoint_count; i++) {
		const char *text = part_text(l, hostname_of(&r->endpoints[i], host));

		if (z)
			endpoints[i].hostname = text;
	}
	for (size_t i = 0; i < r->port_count; i++) {
		const char *text = r->ports[i].name ? part_text(l, r->ports[i].name) : NULL;

		if (z && text)
			ports[named++] = (struct zone_port){ text, r->ports[i].port,
							     (uint8_t)r->ports[i].protocol };
	}
	name = part_text(l, key);
	if (z)
		*z = (struct zone_record){ .address_count = (uint16_t)r->address_count,
					   .port_count = (uint16_t)named,
					   .endpoint_count = (uint16_t)r->endpoint_count,
					   .key = name,
					   .addresses = addresses,
					   .ports = ports,
					   .endpoints = endpoints };
	*ret = z;
}

static struct zone_record *record_new(struct zone *z, const struct zone_source *source,
				      const char *key, const struct record *r)
{
	struct layout l = { 0 };
	struct zone_record *ret;

	lay_out(&l, key, r, &ret);
	l = (struct layout){ .at = xmalloc(l.size) };
	lay_out(&l, key, r, &ret);
	ret->born = z->names.born;
	ret->rank = (uint16_t)source->rank;
	reverse_add(&z->addresses, ret);
	return ret;
}

static void record_discard(struct zone *z, const struct zone_record *r)
{
	union {
		const struct zone_record *from;
		void *to;
	} u = { .from = r };

	reverse_del(&z->addresses, r);
	hamt_discard(&z->names, u.to, r->born);
}

/* ---- entries ---- */

static int source_cmp(const struct zone *z, const struct zone_source *a,
		      const struct zone_source *b)
{
	bool own_a = *a->site && strcmp(a->site, z->site) == 0;
	bool own_b = *b->site && strcmp(b->site, z->site) == 0;
	int c;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (own_a != own_b)
		return own_a ? -1 : 1;
	c = strcmp(a->site, b->site);
	if (c == 0)
		c = strcmp(a->id, b->id);
	return c ? c : (a->part > b->part) - (a->part < b->part);
}

static void choose(const struct zone *z, struct zone_entry *e)
{
	const char *first = e->slot_count ? e->slots[0].source->site : "";
	bool own = *first && strcmp(first, z->site) == 0;

	e->own = own;
	if (e->slot_count && e->slots[0].source->rank != ZONE_SERVICE) {
		e->used = 1;
		return;
	}
	e->used = e->slot_count & 0x7fff;
	for (uint16_t i = 0; own && i < e->slot_count; i++)
		if (strcmp(e->slots[i].source->site, first) != 0) {
			e->used = i & 0x7fff;
			break;
		}
}

static const struct zone_entry *find(const struct zone *z, const char *key)
{
	size_t len = strlen(key);

	return (const void *)hamt_find(z->names.root, hamt_hash(z->names.seed, key, len), key, len);
}

/* A copy with room for `slots`, still without them. */
static struct zone_entry *entry_new(const struct zone *z, const char *key, size_t slots)
{
	size_t len = strlen(key),
	       head = sizeof(struct zone_entry) + slots * sizeof(struct zone_slot);
	struct zone_entry *e = xcalloc(1, head + len + 1);
	char *text = (char *)e + head;

	memcpy(text, key, len + 1);
	e->leaf.key = text;
	e->leaf.key_len = (uint16_t)len;
	e->leaf.hash = hamt_hash(z->names.seed, key, len);
	return e;
}

/* Puts the entry in its place, or takes it out when nothing is left of it. */
static void entry_put(struct zone *z, struct zone_entry *e)
{
	choose(z, e);
	if (e->slot_count || e->children) {
		hamt_put(&z->names, &e->leaf);
		return;
	}
	hamt_del(&z->names, e->leaf.hash, e->leaf.key, e->leaf.key_len);
	free(e);
}

static void count_child(struct zone *z, const char *key, int change)
{
	const char *space = strchr(key, '.');
	const struct zone_entry *old;
	struct zone_entry *e;

	if (!space)
		return;
	old = find(z, space + 1);
	e = entry_new(z, space + 1, old ? old->slot_count : 0);
	if (old) {
		e->slot_count = old->slot_count;
		memcpy(e->slots, old->slots, old->slot_count * sizeof(*old->slots));
	}
	e->children = (old ? old->children : 0) + (uint32_t)change;
	entry_put(z, e);
}

static bool is_key(const char *key)
{
	char label[LABEL_SIZE];
	const char *dot = strchr(key, '.');
	size_t len = dot ? (size_t)(dot - key) : strlen(key);

	if (len >= sizeof(label))
		return false;
	memcpy(label, key, len);
	label[len] = '\0';
	return text_is_label(label) && (!dot || text_is_label(dot + 1));
}

/* `r` NULL: the source says nothing of the name any more. */
static void set(struct zone *z, const struct zone_source *source, const char *key,
		const struct record *r)
{
	const struct zone_entry *old = find(z, key);
	size_t count = old ? old->slot_count : 0, place = 0;
	bool there, is_new = !count;
	struct zone_entry *e;

	while (place < count && source_cmp(z, old->slots[place].source, source) < 0)
		place++;
	there = place < count && source_cmp(z, old->slots[place].source, source) == 0;
	if (!r && !there)
		return;
	z->dirty = true;
	e = entry_new(z, key, count + (r && !there));
	e->children = old ? old->children : 0;
	for (size_t i = 0; i < place; i++)
		e->slots[e->slot_count++] = old->slots[i];
	/* Before: its place in a full block of addresses is for the new one. */
	if (there)
		record_discard(z, old->slots[place].record);
	if (r)
		e->slots[e->slot_count++] =
			(struct zone_slot){ source, record_new(z, source, key, r) };
	for (size_t i = place + there; i < count; i++)
		e->slots[e->slot_count++] = old->slots[i];
	count = e->slot_count;
	entry_put(z, e);
	if (is_new != !count)
		count_child(z, key, count ? 1 : -1);
}

void zone_put(struct zone *z, const struct zone_source *source, const char *key,
	      const struct record *r)
{
	if (is_key(key))
		set(z, source, key, r);
}

void zone_del(struct zone *z, const struct zone_source *source, const char *key)
{
	if (is_key(key))
		set(z, source, key, NULL);
}

/* ---- versions ---- */

static size_t wire_label(uint8_t *at, const char *label)
{
	size_t len = strlen(label);

	*at = (uint8_t)len;
	memcpy(at + 1, label, len);
	return len + 1;
}

/* `<first>.<network>.`, without `first` when it is empty. */
static size_t wire_name(uint8_t *at, const char *first, const char *network)
{
	size_t len = *first ? wire_label(at, first) : 0;

	len += wire_label(at + len, network);
	at[len] = 0;
	return len + 1;
}

static size_t wire_u32(uint8_t *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> (24 - 8 * i));
	return 4;
}

static void make_soa(struct zone_version *v)
{
	const uint32_t numbers[] = { v->serial, SOA_REFRESH, SOA_RETRY, SOA_EXPIRE,
				     ZONE_NEGATIVE_TTL };
	size_t len = wire_name(v->soa, v->node, v->network);

	len += wire_name(v->soa + len, "hostmaster", v->network);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		len += wire_u32(v->soa + len, numbers[i]);
	v->soa_len = (uint16_t)len;
}

struct zone_version *zone_commit(struct zone *z, struct hamt_garbage *garbage)
{
	struct zone_version *v;

	z->now.serial++;
	z->now.root = hamt_commit(&z->names, garbage);
	z->now.addresses = hamt_commit(&z->addresses, garbage);
	v = xmemdup(&z->now, sizeof(z->now));
	wire_name(v->apex, "", v->network);
	wire_name(v->server, v->node, v->network);
	make_soa(v);
	z->dirty = false;
	return v;
}

bool zone_is_dirty(const struct zone *z)
{
	return z->dirty;
}

const struct zone_entry *zone_find(const struct zone_version *v, const char *key, size_t len)
{
	return (const void *)hamt_find(v->root, hamt_hash(v->seed, key, len), key, len);
}

/* ---- life ---- */

void zone_set_self(struct zone *z, const char *node, const struct prefix *ranges,
		   size_t range_count)
{
	struct zone_version *v = &z->now;

	v->range_count = MIN(range_count, (size_t)ZONE_RANGES_MAX);
	memset(v->node, 0, sizeof(v->node));
	strncpy(v->node, node, sizeof(v->node) - 1);
	for (size_t i = 0; i < v->range_count; i++)
		v->ranges[i] = ranges[i];
	z->dirty = true;
}

static void granted_discard(struct zone *z)
{
	union {
		const struct zone_granted *from;
		void *to;
	} u = { .from = z->now.granted };

	if (u.from)
		hamt_discard(&z->names, u.to, u.from->born);
	z->now.granted = NULL;
}

void zone_set_granted(struct zone *z, const struct prefix *list, size_t count)
{
	const struct zone_granted *old = z->now.granted;
	struct zone_granted *g;

	if (count == (old ? old->count : 0) &&
	    (!count || memcmp(old->list, list, count * sizeof(*list)) == 0))
		return;
	granted_discard(z);
	z->dirty = true;
	if (!count)
		return;
	g = xcalloc(1, sizeof(*g) + count * sizeof(*list));
	g->born = z->names.born;
	g->count = count;
	memcpy(g->list, list, count * sizeof(*list));
	z->now.granted = g;
}

void zone_set_complete(struct zone *z, bool complete)
{
	z->dirty |= z->now.complete != complete;
	z->now.complete = complete;
}

struct zone *zone_new(const char *network, const char *site)
{
	struct zone *z = xcalloc(1, sizeof(*z));

	crypto_random(&z->now.seed, sizeof(z->now.seed));
	hamt_init(&z->names, z->now.seed);
	hamt_init(&z->addresses, z->now.seed);
	strncpy(z->now.network, network, LABEL_SIZE - 1);
	strncpy(z->site, site, LABEL_SIZE - 1);
	z->dirty = true;
	return z;
}

static void free_records(void *owner, const struct hamt_leaf *l)
{
	const struct zone_entry *e = (const void *)l;
	struct zone *z = owner;

	for (size_t i = 0; i < e->slot_count; i++)
		record_discard(z, e->slots[i].record);
}

void zone_free(struct zone *z)
{
	if (!z)
		return;
	hamt_each(z->names.root, free_records, z);
	granted_discard(z);
	hamt_done(&z->names);
	hamt_done(&z->addresses);
	free(z);
}

const struct zone_version *zone_table_find(const struct zone_table *t, const char *network,
					   size_t len)
{
	for (size_t i = 0; i < t->count; i++)
		if (strlen(t->zones[i]->network) == len &&
		    memcmp(t->zones[i]->network, network, len) == 0)
			return t->zones[i];
	return NULL;
}
