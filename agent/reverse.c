/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From addresses to records. Owns the blocks. One thread writes.
 */
#include "agent/reverse.h"

#include <string.h>
#include <sys/socket.h>

#include "agent/zone.h"
#include "lib/mem.h"

#define KEY_MAX 16

/* Addresses of a range are often given away one after the other. */
static size_t block_key(const struct addr *a, char ret[static KEY_MAX])
{
	size_t len = a->family == AF_INET ? 4 : 16;

	memcpy(ret, a->bytes, len);
	ret[len - 1] = (char)(a->bytes[len - 1] & 0xf0);
	return len;
}

static size_t place_of(const struct reverse_block *b, const struct zone_record *r)
{
	size_t i = 0;

	while (i < b->count && b->records[i] != r)
		i++;
	return i;
}

static struct reverse_block *block_new(const char *key, size_t len, uint64_t hash, size_t count)
{
	size_t head = sizeof(struct reverse_block) + count * sizeof(struct zone_record *);
	struct reverse_block *b = xcalloc(1, head + len);

	memcpy((char *)b + head, key, len);
	b->leaf.key = (char *)b + head;
	b->leaf.key_len = (uint16_t)len;
	b->leaf.hash = hash;
	return b;
}

static size_t work_of(const struct zone_record *r)
{
	size_t work = r->address_count;

	for (size_t i = 0; i < r->endpoint_count; i++)
		work += r->endpoints[i].address_count;
	return work;
}

static bool is_full(const struct reverse_block *b, size_t work)
{
	return b && (b->count == REVERSE_BLOCK_MAX || b->work + work > REVERSE_WORK_MAX);
}

/* One address: the record is in its block, or is not. */
static void set(struct hamt *m, const struct zone_record *r, size_t work, const struct addr *a,
		bool in)
{
	char key[KEY_MAX];
	size_t len = block_key(a, key), place, count;
	uint64_t hash = hamt_hash(m->seed, key, len);
	const struct reverse_block *old = (const void *)hamt_find(m->root, hash, key, len);
	struct reverse_block *b;

	count = old ? old->count : 0;
	place = old ? place_of(old, r) : 0;
	if (in == (place < count) || (in && is_full(old, work)))
		return;
	if (!in && count == 1) {
		hamt_del(m, hash, key, len);
		return;
	}
	b = block_new(key, len, hash, in ? count + 1 : count - 1);
	for (size_t i = 0; i < count; i++)
		if (in || i != place)
			b->records[b->count++] = old->records[i];
	if (in)
		b->records[b->count++] = r;
	b->work = (uint32_t)((old ? old->work : 0) + (in ? work : -work));
	hamt_put(m, &b->leaf);
}

static void set_all(struct hamt *m, const struct zone_record *r, bool in)
{
	size_t work = work_of(r);

	for (size_t i = 0; i < r->address_count; i++)
		set(m, r, work, &r->addresses[i], in);
	for (size_t i = 0; i < r->endpoint_count; i++)
		for (size_t k = 0; k < r->endpoints[i].address_count; k++)
			set(m, r, work, &r->endpoints[i].addresses[k], in);
}

void reverse_add(struct hamt *m, const struct zone_record *r)
{
	set_all(m, r, true);
}

void reverse_del(struct hamt *m, const struct zone_record *r)
{
	set_all(m, r, false);
}

const struct reverse_block *reverse_find(const struct hamt_item *root, uint64_t seed,
					 const struct addr *a)
{
	char key[KEY_MAX];
	size_t len = block_key(a, key);

	return (const void *)hamt_find(root, hamt_hash(seed, key, len), key, len);
}

static bool is_in(const struct addr *list, size_t count, const struct addr *a)
{
	for (size_t i = 0; i < count; i++)
		if (addr_cmp(&list[i], a) == 0)
			return true;
	return false;
}

bool reverse_has(const struct zone_record *r, const struct addr *a, const char **ret_endpoint)
{
	*ret_endpoint = NULL;
	if (is_in(r->addresses, r->address_count, a))
		return true;
	for (size_t i = 0; !r->address_count && i < r->endpoint_count; i++)
		if (is_in(r->endpoints[i].addresses, r->endpoints[i].address_count, a)) {
			*ret_endpoint = r->endpoints[i].hostname;
			return true;
		}
	return false;
}
