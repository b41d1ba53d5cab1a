/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The netlink attribute readers: the input is a message without its header. Every attribute that is
 * handed out lies inside it.
 */
#include <linux/netlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/nl.h"

#define MAX_TYPE 8
#define DEPTH 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct nlattr *nest, const uint8_t *begin, const uint8_t *end, int depth)
{
	const struct nlattr *tb[MAX_TYPE + 1], *a = NULL;
	const uint8_t *p = nl_data(nest);

	if (p < begin || p > end || nl_len(nest) > (size_t)(end - p))
		abort();
	nl_u64(nest);
	while (depth < DEPTH && (a = nl_nested_next(nest, a)))
		look_at(a, p, p + nl_len(nest), depth + 1);
	if (nl_parse_nested(nest, NULL, MAX_TYPE, tb) == 0)
		for (int i = 0; i <= MAX_TYPE; i++)
			if (tb[i] && nl_type(tb[i]) != i)
				abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t min_len[MAX_TYPE + 1] = { [2] = 4, [3] = 8 };
	const struct nlattr *tb[MAX_TYPE + 1];
	struct nlmsghdr *h = malloc(sizeof(*h) + size);
	const uint8_t *end = (const uint8_t *)(h + 1) + size;

	if (!h)
		abort();
	*h = (struct nlmsghdr){ .nlmsg_len = (uint32_t)(sizeof(*h) + size) };
	memcpy(h + 1, data, size);
	if (nl_parse(h, 4, min_len, MAX_TYPE, tb) == 0) {
		for (int i = 0; i <= MAX_TYPE; i++) {
			if (!tb[i])
				continue;
			if (nl_len(tb[i]) < min_len[i])
				abort();
			look_at(tb[i], (const uint8_t *)(h + 1), end, 0);
		}
	}
	free(h);
	return 0;
}
