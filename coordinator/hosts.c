/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Addresses and names in a network: which host index a node gets, and which name.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/authority.h"
#include "lib/text.h"

#define NAMES_MAX (1u << 24) /* nodes that wish the same one */

uint64_t host_last(const struct network *n)
{
	uint64_t last = UINT64_MAX;

	for (size_t i = 0; i < n->range_count; i++) {
		/* The last address of an IPv4 range is its broadcast address. */
		uint64_t ends = n->ranges[i].addr.family == AF_INET ? 2 : 1;
		uint64_t count = prefix_count(&n->ranges[i]);

		last = MIN(last, count > ends ? count - ends : 0);
	}
	return n->range_count ? MIN(last, (uint64_t)INT64_MAX) : 0;
}

struct prefix host_address(const struct network *n, size_t i, uint64_t host)
{
	struct prefix p = n->ranges[i];

	(void)prefix_nth(&n->ranges[i], host, &p.addr);
	return p;
}

uint64_t host_index(const struct network *n, const struct addr *address)
{
	for (size_t i = 0; i < n->range_count; i++)
		if (prefix_contains(&n->ranges[i], address))
			return prefix_index(&n->ranges[i], address);
	return UINT64_MAX;
}

static int host_is_free(struct authority *a, const struct network *n, uint64_t host, bool *ret)
{
	bool taken;
	int r;

	*ret = false;
	if (host < 1 || host > host_last(n))
		return 0;
	r = store_host_taken(a->store, n->name, host, &taken);
	*ret = r == 0 && !taken;
	return r;
}

int host_allocate(struct authority *a, struct network *n, uint64_t wish, uint64_t *ret)
{
	uint64_t last = host_last(n);
	bool free_ = false;
	int r = host_is_free(a, n, wish, &free_);

	*ret = wish;
	while (r == 0 && !free_ && n->next_host <= last) {
		*ret = n->next_host++;
		r = host_is_free(a, n, *ret, &free_);
	}
	while (r == 0 && !free_) {
		r = store_host_oldest(a->store, n->name, ret);
		if (r == -ENOENT)
			return -ENOSPC;
		if (r == 0)
			r = store_host_take(a->store, n->name, *ret);
		if (r == 0)
			r = host_is_free(a, n, *ret, &free_);
	}
	return r < 0 ? r : store_host_take(a->store, n->name, *ret);
}

static int name_is_free(struct authority *a, const char *network, const char *node,
			const char *name, bool *ret)
{
	struct arena arena = { 0 };
	struct member_row m;
	int r = store_member_by_name(a->store, &arena, network, name, &m);

	*ret = r == -ENOENT || (r == 0 && strcmp(m.node, node) == 0);
	if (r == -ENOENT) {
		struct orphan_row o;
		bool taken;

		r = store_orphan_name_taken(a->store, network, name, &taken);
		if (r == 0 && taken) {
			/* An orphan that comes back is itself, not another. */
			r = store_orphan_get(a->store, &arena, network, node, &o);
			*ret = r == 0 && o.name && strcmp(o.name, name) == 0;
			r = r == -ENOENT ? 0 : r;
		}
	}
	if (r == 0 && *ret) {
		struct name_row added;

		r = store_name_get(a->store, &arena, network, name, &added);
		*ret = r == -ENOENT;
		r = r == -ENOENT ? 0 : r;
	}
	arena_done(&arena);
	return r;
}

/* The label itself, or with `-n` behind it. */
static void name_with(const char *label, unsigned n, char ret[static LABEL_SIZE])
{
	char suffix[16] = "";

	if (n > 1)
		snprintf(suffix, sizeof(suffix), "-%u", n);
	snprintf(ret, LABEL_SIZE, "%.*s%s", (int)(LABEL_SIZE - 1 - strlen(suffix)), label, suffix);
}

/* A fleet may wish one name ten thousand times, so the suffixes are not tried one by one: `free_at` is
 * doubled until it is free, then the gap to the last one that was taken is halved. */
int host_name(struct authority *a, const char *network, const char *node, const char *wish,
	      char ret[static LABEL_SIZE])
{
	unsigned taken = 0, free_at = 1;
	char label[LABEL_SIZE];
	bool is_free = false;
	int r;

	text_make_label(wish ? wish : "", label);
	for (;; taken = free_at, free_at *= 2) {
		if (free_at > NAMES_MAX)
			return -ENOSPC;
		name_with(label, free_at, ret);
		r = name_is_free(a, network, node, ret, &is_free);
		if (r < 0)
			return r;
		if (is_free)
			break;
	}
	while (free_at - taken > 1) {
		unsigned middle = taken + (free_at - taken) / 2;

		name_with(label, middle, ret);
		r = name_is_free(a, network, node, ret, &is_free);
		if (r < 0)
			return r;
		if (is_free)
			free_at = middle;
		else
			taken = middle;
	}
	name_with(label, free_at, ret);
	return 0;
}
