/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inflating within a limit, and that deflating is undone by it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compress.h"

#define LIMIT 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out = { 0 }, packed = { 0 };

	if (zlib_inflate(data, size, LIMIT, &out) == 0 && out.len > LIMIT)
		abort();
	buf_clear(&out);
	zlib_deflate(data, size, &packed);
	if (zlib_inflate(packed.data, packed.len, size, &out) < 0 || out.len != size ||
	    (size > 0 && memcmp(out.data, data, size) != 0))
		abort();
	buf_done(&packed);
	buf_done(&out);
	return 0;
}
