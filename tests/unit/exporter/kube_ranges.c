/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Merged ranges cover what was told, nothing else, and nothing twice.
 */
#include "exporter/kube_ranges.h"

#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "tests/test.h"

TEST(table)
{
	static const struct {
		const char *told[6], *want;
	} rows[] = {
		{ { NULL }, "" },
		{ { "10.244.1.0/24", "10.244.0.0/24" }, "10.244.0.0/23" },
		{ { "10.244.1.0/24", "10.244.2.0/24" }, "10.244.1.0/24 10.244.2.0/24" },
		{ { "10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24" },
		  "10.244.0.0/22" },
		{ { "10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24" },
		  "10.244.0.0/23 10.244.2.0/24" },
		{ { "10.244.0.0/16", "10.244.7.0/24", "10.244.0.0/16" }, "10.244.0.0/16" },
		{ { "10.244.0.0/25", "10.244.0.128/26", "10.244.0.192/26", "fd00::/64" },
		  "10.244.0.0/24 fd00::/64" },
		{ { "fd00:0:0:1::/64", "fd00::/64", "10.96.0.0/12" }, "10.96.0.0/12 fd00::/63" },
		{ { "0.0.0.0/1", "128.0.0.0/1", "::/0" }, "0.0.0.0/0 ::/0" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf b = { 0 };
		struct prefix list[6];
		char t[PREFIX_SIZE];
		size_t n = 0;

		for (; n < 6 && rows[i].told[n]; n++)
			CHECK_INT(prefix_parse(rows[i].told[n], &list[n]), 0);
		n = kube_ranges_merge(list, n);
		for (size_t k = 0; k < n; k++)
			buf_printf(&b, "%s%s", k ? " " : "", prefix_format(&list[k], t));
		CHECK_STR(buf_cstr(&b), rows[i].want);
		buf_done(&b);
	}
}

TEST(random_ranges_cover_the_same)
{
	const struct prefix all = { { AF_INET, { 10 } }, 24 };
	uint8_t told[256], got[256];
	unsigned seed = 7;

	for (int round = 0; round < 2000; round++) {
		struct prefix list[24];
		struct addr a;
		size_t n = (size_t)round % 24;

		memset(told, 0, sizeof(told));
		memset(got, 0, sizeof(got));
		for (size_t i = 0; i < n; i++) {
			unsigned len = 24 + (unsigned)rand_r(&seed) % 9,
				 at = (unsigned)rand_r(&seed) % 256 & (0xffu << (32 - len));

			list[i] = (struct prefix){ { AF_INET, { 10, 0, 0, (uint8_t)at } },
						   (uint8_t)len };
			memset(told + at, 1, 1u << (32 - len));
		}
		n = kube_ranges_merge(list, n);
		for (size_t i = 0; i < n; i++)
			for (unsigned k = 0; k < 256; k++)
				if (prefix_nth(&all, k, &a) && prefix_contains(&list[i], &a))
					CHECK_INT(++got[k], 1);
		CHECK(memcmp(told, got, sizeof(told)) == 0);
	}
}

TEST_MAIN("kube-ranges")
