/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Answers of wireguard-go's socket. The first byte says in what pieces they arrive: how they were cut
 * must make no difference.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/wg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(const char *text, size_t size, size_t step, struct wg_link *l)
{
	struct uapi_reader r = { .link = l };

	for (size_t at = 0; at < size; at += step) {
		int e = uapi_read(&r, text + at, MIN(step, size - at));

		if (e < 0)
			return e;
	}
	return uapi_read_end(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wg_link whole = { 0 }, pieces = { 0 };
	int a, b;

	if (!size)
		return 0;
	a = feed((const char *)data + 1, size - 1, size, &whole);
	b = feed((const char *)data + 1, size - 1, (size_t)data[0] + 1, &pieces);
	wg_link_sort(&whole);
	wg_link_sort(&pieces);
	if (a != b || whole.peer_count != pieces.peer_count || whole.port != pieces.port)
		abort();
	wg_link_done(&whole);
	wg_link_done(&pieces);
	return 0;
}
