/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Records cut into members. Owns nothing; any thread.
 */
#include "exporter/record_parts.h"

#include <stdlib.h>
#include <string.h>

#include "lib/hamt.h"
#include "lib/mem.h"

/* The endpoints of each part, one part behind the other. */
struct cut {
	const struct record *from;
	unsigned most; /* parts */
	struct record_endpoint *endpoints;
	size_t counts[RECORD_PARTS_MAX];
};

static unsigned part_of(const struct record_endpoint *e, unsigned parts)
{
	const struct addr *a = &e->addresses[0];
	uint64_t hash = e->hostname ? hamt_hash(0, e->hostname, strlen(e->hostname)) :
				      hamt_hash(0, (const char *)a->bytes, sizeof(a->bytes));

	return (unsigned)(hash & (parts - 1));
}

/* The order within a part is that of the record. */
static void cut(struct cut *c, unsigned parts)
{
	const struct record *r = c->from;
	size_t at[RECORD_PARTS_MAX] = { 0 };

	memset(c->counts, 0, sizeof(c->counts));
	for (size_t i = 0; i < r->endpoint_count; i++)
		c->counts[part_of(&r->endpoints[i], parts)]++;
	for (unsigned i = 1; i < parts; i++)
		at[i] = at[i - 1] + c->counts[i - 1];
	for (size_t i = 0; i < r->endpoint_count; i++)
		c->endpoints[at[part_of(&r->endpoints[i], parts)]++] = r->endpoints[i];
}

/* The body with the first `count` of these endpoints; false: it is none that a journal takes. */
static bool encode(struct buf *body, const struct record *r, struct record_endpoint *endpoints,
		   size_t count)
{
	struct record part = *r;

	part.endpoints = endpoints;
	part.endpoint_count = count;
	buf_clear(body);
	json_encode(body, record_fields, &part);
	return count <= RECORD_ENDPOINTS_MAX && body->len <= JOURNAL_BODY_MAX;
}

/* With as many as fit; returns how many do not. */
static size_t encode_some(struct buf *body, const struct record *r,
			  struct record_endpoint *endpoints, size_t count)
{
	size_t fit = 0, not = count;

	while (not -fit > 1) {
		size_t middle = fit + (not -fit) / 2;

		if (encode(body, r, endpoints, middle))
			fit = middle;
		else
			not = middle;
	}
	encode(body, r, endpoints, fit);
	return count - fit;
}

/* False: a part is too long, and there may be more parts. */
static bool try(struct record_parts *p, struct cut *c, unsigned parts)
{
	struct record_endpoint *at = c->endpoints;
	struct buf body = { 0 };
	bool ok = true;

	cut(c, parts);
	for (unsigned i = 0; i < parts && ok; at += c->counts[i++]) {
		ok = encode(&body, c->from, at, c->counts[i]);
		if (!ok && parts == c->most) {
			p->left_out += encode_some(&body, c->from, at, c->counts[i]);
			ok = true;
		}
		if (ok)
			p->bodies[p->count++] = buf_take(&body);
	}
	buf_done(&body);
	return ok;
}

void record_parts_make(struct record_parts *p, const struct record *r)
{
	/* Each part of a service with addresses would give them once more. */
	struct cut c = { .from = r, .most = r->address_count ? 1 : RECORD_PARTS_MAX };

	*p = (struct record_parts){ 0 };
	c.endpoints = xcalloc(r->endpoint_count + 1, sizeof(*c.endpoints));
	for (unsigned parts = 1; !try(p, &c, parts); parts *= 2)
		record_parts_done(p);
	free(c.endpoints);
}

void record_parts_done(struct record_parts *p)
{
	for (unsigned i = 0; i < p->count; i++)
		free(p->bodies[i]);
	*p = (struct record_parts){ 0 };
}

void record_parts_hash(const struct record_parts *p, uint8_t ret[static HASH_LEN])
{
	struct buf all = { 0 };

	for (unsigned i = 0; i < p->count; i++)
		buf_add(&all, p->bodies[i], strlen(p->bodies[i]) + 1);
	sha256(all.data, all.len, ret);
	buf_done(&all);
}

static void put(struct map *ret, const char *name, unsigned part, char *body)
{
	char member[JOURNAL_NAME_MAX + 1];

	record_name_of_part(name, part, member);
	map_put(ret, member, body);
}

void record_parts_take(struct record_parts *p, const char *name, unsigned before, struct map *ret)
{
	for (unsigned i = p->count; i-- > 0;)
		put(ret, name, i, TAKE(p->bodies[i]));
	for (unsigned i = p->count; i < before; i++)
		put(ret, name, i, xstrdup(""));
	p->count = 0;
}
