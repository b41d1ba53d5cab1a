/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names to zones and entries. Owns nothing. Any thread.
 */
#include "agent/lookup.h"

#include <string.h>
#include <sys/socket.h>

#include "agent/reverse.h"

#define LABELS_MAX 128 /* of any name */

/* All labels of a name, the last ones kept too. */
struct labels {
	const uint8_t *at[LABELS_MAX];
	size_t count;
};

static void split(struct labels *s, const uint8_t *name)
{
	s->count = 0;
	for (const uint8_t *at = name; *at && s->count < LABELS_MAX; at += *at + 1)
		s->at[s->count++] = at;
}

bool lookup_is(const uint8_t *label, const char *text)
{
	size_t len = strlen(text);

	return *label == len && memcmp(label + 1, text, len) == 0;
}

static bool ends_with(const struct labels *s, const char *first, const char *last)
{
	return s->count >= 2 && lookup_is(s->at[s->count - 1], last) &&
	       lookup_is(s->at[s->count - 2], first);
}

static void add_zone(struct lookup *l, const struct zone_version *z)
{
	if (l->zone_count == LOOKUP_ZONES_MAX)
		return;
	l->complete = (!l->zone_count || l->complete) && z->complete;
	l->zones[l->zone_count++] = z;
}

static bool is_spoken_of(const struct zone_version *z, const char *network)
{
	return !network || strcmp(network, z->network) == 0;
}

/* ---- a network, clusterset.local ---- */

static void in_network(struct lookup *l, const struct labels *s, const struct zone_table *t,
		       const char *network)
{
	const uint8_t *last = s->at[s->count - 1];
	const struct zone_version *z = zone_table_find(t, (const char *)last + 1, *last);

	if (!z || !is_spoken_of(z, network))
		return;
	l->kind = LOOKUP_NETWORK;
	l->apex = last;
	l->own = s->count - 1;
	l->place = l->own ? LOOKUP_BELOW : LOOKUP_APEX;
	add_zone(l, z);
}

static void in_clusterset(struct lookup *l, const struct labels *s, const struct zone_table *t,
			  const char *network)
{
	size_t before = s->count - 2;

	for (size_t i = 0; i < t->count; i++)
		if (is_spoken_of(t->zones[i], network))
			add_zone(l, t->zones[i]);
	if (!l->zone_count)
		return;
	l->kind = LOOKUP_CLUSTERSET;
	l->apex = s->at[before];
	l->own = before ? before - 1 : 0;
	l->place = !before				? LOOKUP_APEX :
		   !lookup_is(s->at[before - 1], "svc") ? LOOKUP_NOWHERE :
		   !l->own				? LOOKUP_BETWEEN :
							  LOOKUP_BELOW;
}

/* `name` or `service.namespace`; 0: no such key. */
static size_t make_key(const struct lookup *l, size_t first, char ret[static ZONE_KEY_SIZE])
{
	size_t len = 0;

	for (size_t i = first; i < l->own; i++) {
		const uint8_t *x = l->label[i];

		if (memchr(x + 1, '.', *x) || len + *x + 2 > ZONE_KEY_SIZE)
			return 0;
		if (len)
			ret[len++] = '.';
		memcpy(ret + len, x + 1, *x);
		len += *x;
	}
	return len;
}

/* In clusterset.local a single label is a namespace; names of nodes are not there. */
static bool is_there(const struct lookup *l, const struct zone_entry *e, size_t labels)
{
	return e && (l->kind == LOOKUP_NETWORK || labels == 2 || e->children);
}

bool lookup_entries(const struct lookup *l, size_t first, struct lookup_entries *ret)
{
	size_t labels = l->own - first, len, kept = 0;
	char key[ZONE_KEY_SIZE];
	bool there = false, own = false;

	ret->count = 0;
	len = labels == 1 || labels == 2 ? make_key(l, first, key) : 0;
	for (size_t i = 0; len && i < l->zone_count; i++) {
		const struct zone_entry *e = zone_find(l->zones[i], key, len);

		if (!is_there(l, e, labels))
			continue;
		there = true;
		if (l->kind == LOOKUP_CLUSTERSET && (labels == 1 || !e->used))
			continue;
		own |= e->used && e->own;
		ret->list[ret->count++] = e;
	}
	for (size_t i = 0; l->kind == LOOKUP_CLUSTERSET && own && i < ret->count; i++)
		if (ret->list[i]->own)
			ret->list[kept++] = ret->list[i];
	if (kept)
		ret->count = kept;
	return there;
}

/* ---- what the entries have ---- */

typedef void each_addresses(void *owner, const struct addr *list, size_t count);

int lookup_protocol(const uint8_t *label)
{
	static const char *const names[] = { "_tcp", "_udp", "_sctp" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (lookup_is(label, names[i]))
			return (int)i;
	return -1;
}

bool lookup_is_port(const struct zone_port *p, int protocol, const uint8_t *label)
{
	return p->protocol == protocol &&
	       (!label || (*label >= 2 && label[1] == '_' && strlen(p->name) + 1 == *label &&
			   memcmp(label + 2, p->name, *label - 1U) == 0));
}

bool lookup_is_headless(const struct zone_record *r)
{
	return !r->address_count;
}

/* `host` NULL: every endpoint. */
static bool each_endpoint(const struct zone_record *r, const uint8_t *host, each_addresses *each,
			  void *owner)
{
	bool any = false;

	for (size_t i = 0; lookup_is_headless(r) && i < r->endpoint_count; i++) {
		const struct zone_endpoint *p = &r->endpoints[i];

		if (host && !lookup_is(host, p->hostname))
			continue;
		any = true;
		each(owner, p->addresses, p->address_count);
	}
	return any;
}

bool lookup_addresses(const struct lookup_entries *e, const uint8_t *host, each_addresses *each,
		      void *owner)
{
	bool any = false;

	for (size_t k = 0; k < e->count; k++)
		for (size_t i = 0; i < e->list[k]->used; i++) {
			const struct zone_record *r = e->list[k]->slots[i].record;

			if (!host && r->address_count)
				each(owner, r->addresses, r->address_count);
			any |= each_endpoint(r, host, each, owner);
		}
	return any;
}

/* ---- addresses ---- */

/* 0 to 255 without leading zeros, or one hexadecimal digit; -1. */
static int number_of(const uint8_t *label, bool hex)
{
	int v = 0;

	if (hex) {
		const char *digits = "0123456789abcdef";
		const char *at = *label == 1 && label[1] ? strchr(digits, label[1]) : NULL;

		return at ? (int)(at - digits) : -1;
	}
	if (*label < 1 || *label > 3 || (*label > 1 && label[1] == '0'))
		return -1;
	for (size_t i = 1; i <= *label; i++) {
		if (label[i] < '0' || label[i] > '9')
			return -1;
		v = 10 * v + label[i] - '0';
	}
	return v <= 255 ? v : -1;
}

/* As much of the address as the name says, from its end on; *ret_bad: what comes before is none. */
static struct prefix part_of_address(const struct labels *s, bool hex, bool *ret_bad)
{
	unsigned step = hex ? 4 : 8, bits = hex ? 128 : 32;
	struct prefix p = { .addr.family = hex ? AF_INET6 : AF_INET };

	*ret_bad = false;
	for (size_t i = s->count - 2; i > 0; i--) {
		int v = p.len < bits ? number_of(s->at[i - 1], hex) : -1;

		if (v < 0) {
			*ret_bad = true;
			break;
		}
		p.addr.bytes[p.len / 8] |= (uint8_t)(hex && p.len % 8 == 0 ? v << 4 : v);
		p.len = (uint8_t)(p.len + step);
	}
	return p;
}

/* Where the zone of a range begins, in bits. */
static unsigned cut_of(const struct prefix *range, bool hex)
{
	unsigned step = hex ? 4 : 8, most = hex ? 124 : 24;

	return MIN((range->len + step - 1) / step * step, most);
}

/* The range of this zone that the part is in; NULL: none. */
static const struct prefix *range_of(const struct zone_version *z, const struct prefix *part,
				     bool hex)
{
	size_t granted = z->granted ? z->granted->count : 0;

	for (size_t i = 0; i < z->range_count + granted; i++) {
		const struct prefix *p = i < z->range_count ? &z->ranges[i] :
							      &z->granted->list[i - z->range_count];

		if (p->addr.family == part->addr.family && part->len >= cut_of(p, hex) &&
		    prefix_overlaps(p, part))
			return p;
	}
	return NULL;
}

static void in_reverse(struct lookup *l, const struct labels *s, const struct zone_table *t,
		       const char *network, bool hex)
{
	unsigned step = hex ? 4 : 8, bits = hex ? 128 : 32, cut = bits;
	bool bad;
	struct prefix part = part_of_address(s, hex, &bad);

	for (size_t i = 0; i < t->count; i++) {
		const struct prefix *p = is_spoken_of(t->zones[i], network) ?
						 range_of(t->zones[i], &part, hex) :
						 NULL;

		if (!p)
			continue;
		add_zone(l, t->zones[i]);
		cut = MIN(cut, cut_of(p, hex));
	}
	if (!l->zone_count)
		return;
	l->kind = LOOKUP_REVERSE;
	l->apex = s->at[s->count - 2 - cut / step];
	l->address = part.addr;
	l->place = bad		   ? LOOKUP_NOWHERE :
		   part.len == cut ? LOOKUP_APEX :
		   part.len < bits ? LOOKUP_BETWEEN :
				     LOOKUP_BELOW;
}

/* The record's key may have one dot, the host none. */
static int name_cmp(const struct lookup_name *a, const struct lookup_name *b)
{
	int c = a->record->rank < b->record->rank ? -1 : a->record->rank > b->record->rank;

	if (c == 0)
		c = strcmp(a->host ? a->host : "", b->host ? b->host : "");
	if (c == 0)
		c = strcmp(a->record->key, b->record->key);
	return c ? c : strcmp(a->network, b->network);
}

/* Into its place; the last one goes when there are too many. The same name is there once. */
static size_t insert(struct lookup_name *list, size_t count, const struct lookup_name *n)
{
	size_t i = count;

	while (i > 0 && name_cmp(&list[i - 1], n) > 0)
		i--;
	if (i == LOOKUP_NAMES_MAX || (i > 0 && name_cmp(&list[i - 1], n) == 0))
		return count;
	count = MIN(count + 1, (size_t)LOOKUP_NAMES_MAX);
	memmove(&list[i + 1], &list[i], (count - 1 - i) * sizeof(*list));
	list[i] = *n;
	return count;
}

static bool is_used(const struct zone_version *z, const struct zone_record *r)
{
	const struct zone_entry *e = zone_find(z, r->key, strlen(r->key));

	for (size_t i = 0; e && i < e->used; i++)
		if (e->slots[i].record == r)
			return true;
	return false;
}

size_t lookup_names(const struct lookup *l, struct lookup_name ret[static LOOKUP_NAMES_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < l->zone_count; i++) {
		const struct zone_version *z = l->zones[i];
		const struct reverse_block *b = reverse_find(z->addresses, z->seed, &l->address);

		for (size_t k = 0; b && k < b->count; k++) {
			struct lookup_name n = { .record = b->records[k], .network = z->network };

			if (reverse_has(n.record, &l->address, &n.host) && is_used(z, n.record))
				count = insert(ret, count, &n);
		}
	}
	return count;
}

static size_t write_labels(uint8_t *at, const char *text)
{
	size_t len = 0;

	while (text && *text) {
		size_t n = strcspn(text, ".");

		at[len++] = (uint8_t)n;
		memcpy(at + len, text, n);
		len += n;
		text += n + (text[n] == '.');
	}
	return len;
}

size_t lookup_name_wire(const struct lookup_name *n, uint8_t ret[static ZONE_NAME_MAX])
{
	size_t host = n->host ? strlen(n->host) + 1 : 0, len;

	/* A host's own label before a long name may be too much: then it is the service's. */
	if (host + strlen(n->record->key) + strlen(n->network) + 4 > ZONE_NAME_MAX)
		host = 0;
	len = write_labels(ret, host ? n->host : NULL);
	len += write_labels(ret + len, n->record->key);
	len += write_labels(ret + len, n->network);
	ret[len++] = 0;
	return len;
}

/* ---- */

void lookup_begin(struct lookup *l, const struct zone_table *t, const char *network,
		  const uint8_t *name)
{
	struct labels s;

	l->kind = LOOKUP_NONE;
	l->zone_count = 0;
	split(&s, name);
	for (size_t i = 0; i < MIN(s.count, (size_t)LOOKUP_LABELS); i++)
		l->label[i] = s.at[i];
	if (!s.count)
		return;
	if (ends_with(&s, "clusterset", "local"))
		in_clusterset(l, &s, t, network);
	else if (ends_with(&s, "in-addr", "arpa"))
		in_reverse(l, &s, t, network, false);
	else if (ends_with(&s, "ip6", "arpa"))
		in_reverse(l, &s, t, network, true);
	else
		in_network(l, &s, t, network);
}
