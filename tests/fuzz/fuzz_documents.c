/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The decoder of every kind of document (tests/golden/documents.h); the first byte chooses which. */
#include <stdint.h>
#include <stdlib.h>

#include "tests/golden/documents.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct golden_document *kind;
	struct arena arena = { 0 };
	union golden_body body;
	struct json_error err;
	enum refusal refused;

	if (size == 0)
		return 0;
	kind = &golden_documents[data[0] % ARRAY_SIZE(golden_documents)];
	refused = golden_decode(kind, &arena, (const char *)data + 1, size - 1, &body, &err);
	if (refused >= REFUSED_COUNT || (refused && !err.reason[0]))
		abort();
	if (!refused && kind->fields) {
		struct buf out = { 0 };

		/* What was taken is written, and that is taken again. */
		json_encode(&out, kind->fields, &body);
		if (golden_decode(kind, &arena, out.data, out.len, &body, &err))
			abort();
		buf_done(&out);
	}
	arena_done(&arena);
	return 0;
}
