/* SPDX-License-Identifier: GPL-3.0-or-later */
/* topic_parse: what it takes is spelled in one way, has a signer and a place, and parses again. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "schemas/signers.h"
#include "schemas/topic.h"

#define MESH "meshmeshab"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size), again[TOPIC_SIZE];
	struct signers who;
	struct topic t, u;
	int r;

	r = topic_parse(MESH, text, &t);
	check(r == 0 || r == -EBADMSG || r == -EXDEV);
	if (r == 0) {
		topic_format(MESH, &t, again);
		check(strcmp(again, text) == 0);
		who = signers_of(&t);
		if (who.class == SIGNER_NODE || who.class == SIGNER_JOINER)
			check(text_is_id(who.id));
		topic_place(MESH, &t, again);
		check(topic_parse(MESH, again, &u) == 0);
		check(signers_of(&u).class == who.class);
	}
	if (journal_path_parse(text, &t) == 0) {
		topic_journal_path(&t, again);
		check(strcmp(again, text) == 0);
	}
	free(text);
	return 0;
}
