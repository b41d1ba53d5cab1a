/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * token_parse: a sentence for whatever is refused, and what is taken comes back. An input that begins
 * with a brace is the JSON inside, so that libFuzzer need not learn base64.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/text.h"
#include "schemas/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void try_token(const char *text)
{
	char why[256] = "";
	struct buf again = { 0 };
	struct token t;

	if (token_parse(text, &t, why, sizeof(why)) < 0) {
		check(*why);
		return;
	}
	token_format(&t, &again);
	check(!again.failed && strncmp(again.data, "warren1-", 8) == 0);
	token_done(&t);
	check(token_parse(again.data, &t, why, sizeof(why)) == 0);
	token_done(&t);
	buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xcalloc(2 * size + 16, 1);

	if (size > 0 && data[0] == '{') {
		memcpy(text, "warren1-", 8);
		base64url_encode(data, size, text + 8);
	} else {
		memcpy(text, data, size);
	}
	try_token(text);
	free(text);
	return 0;
}
