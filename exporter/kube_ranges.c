/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Ranges made few. Owns nothing; any thread.
 */
#include "exporter/kube_ranges.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

/* `b` comes after `a`: do both together make the one that is a bit shorter? */
static bool are_halves(const struct prefix *a, const struct prefix *b, struct prefix *ret)
{
	struct prefix whole = { a->addr, (uint8_t)(a->len - 1) };

	if (a->len == 0 || a->len != b->len || !prefix_is_network(&whole) ||
	    !prefix_contains(&whole, &b->addr))
		return false;
	*ret = whole;
	return true;
}

size_t kube_ranges_merge(struct prefix *list, size_t count)
{
	size_t n = 0;

	if (count)
		qsort(list, count, sizeof(*list), compare);
	/* Sorted: what holds a range stands before it, its other half next to it. */
	for (size_t i = 0; i < count; i++) {
		if (n && list[n - 1].len <= list[i].len &&
		    prefix_contains(&list[n - 1], &list[i].addr))
			continue;
		list[n++] = list[i];
		while (n > 1 && are_halves(&list[n - 2], &list[n - 1], &list[n - 2]))
			n--;
	}
	return n;
}
