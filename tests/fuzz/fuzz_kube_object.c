/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Events of the Kubernetes API through the store, with a NUL between them: a byte for the kind and whether the
 * object is gone, then its JSON. Whatever came, what comes out is a journal's member, and the changes make up
 * the records.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/kube_store.h"
#include "lib/mem.h"
#include "schemas/journal.h"
#include "schemas/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_record(const char *name, const char *body)
{
	struct arena a = { 0 };
	struct record r = { 0 };
	struct json_error err;

	check(text_is_member_name(name) && text_is_member_body(body, strlen(body)));
	check(json_decode(&a, body, strlen(body), record_fields, &r, &err) == 0);
	check(r.address_count || r.endpoint_count);
	arena_done(&a);
}

static void apply(struct map *to, struct kube_store *s)
{
	struct map *changes = map_new();
	struct map_entry *e = NULL;

	kube_store_changes(s, changes);
	while ((e = map_next(changes, e))) {
		char *body = map_entry_value(e);

		if (*body)
			free(map_put(to, map_entry_key(e), xstrdup(body)));
		else
			free(map_del(to, map_entry_key(e)));
	}
	map_free(changes, free);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kube_store_config c = { .export_default = true };
	struct kube_store *s = kube_store_new(&c);
	struct map *changed = map_new(), *records = map_new();
	struct map_entry *e = NULL;
	struct prefix ranges[16];
	char *text = xmemdup(data, size);

	for (size_t at = 0, len; at < size; at += len + 1) {
		len = strnlen(text + at, size - at);
		if (len < 1)
			continue;
		if (text[at] & 8)
			kube_store_del(s, (uint8_t)text[at] % KUBE_KINDS, text + at + 1, len - 1);
		else
			kube_store_put(s, (uint8_t)text[at] % KUBE_KINDS, text + at + 1, len - 1);
		apply(changed, s);
	}
	kube_store_ranges(s, ranges, 16);
	kube_store_records(s, records);
	check(map_count(changed) == map_count(records));
	while ((e = map_next(records, e))) {
		const char *other = map_get(changed, map_entry_key(e));

		check_record(map_entry_key(e), map_entry_value(e));
		check(other && strcmp(other, map_entry_value(e)) == 0);
	}
	kube_store_free(s);
	map_free(changed, free);
	map_free(records, free);
	free(text);
	return 0;
}
