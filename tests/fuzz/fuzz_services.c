/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * services_parse: a sentence with a line for whatever is refused; what is taken is bounded and fits into
 * a journal.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/services.h"
#include "lib/mem.h"
#include "schemas/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct map *records = map_new();
	char why[SERVICES_WHY_SIZE] = "";
	char *text = xmemdup(data, size);
	struct map_entry *e = NULL;

	if (services_parse(text, size, records, NULL, why) < 0) {
		check(strncmp(why, "line ", 5) == 0 && map_count(records) == 0);
	} else {
		while ((e = map_next(records, e))) {
			const char *body = map_entry_value(e);

			check(text_is_member_name(map_entry_key(e)));
			check(text_is_member_body(body, strlen(body)));
		}
	}
	free(text);
	map_free(records, free);
	return 0;
}
