/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A services file read into records. Owns nothing; one thread.
 */
#include "exporter/services.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/record_parts.h"
#include "schemas/journal.h"

/* ---- where a field stands: the text is JSON, jansson has read it ---- */

static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && is_one_of(*p, " \t\r\n,:"))
		p++;
	return p;
}

/* Behind the string that begins at `p`, a quote. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		p += *p == '\\' && p + 1 < end;
	return p < end ? p + 1 : end;
}

static const char *skip_value(const char *p, const char *end)
{
	unsigned depth = 0;

	do {
		p = skip_space(p, end);
		if (p == end)
			break;
		if (*p == '"') {
			p = skip_string(p, end);
			continue;
		}
		depth += *p == '{' || *p == '[';
		depth -= (*p == '}' || *p == ']') && depth > 0;
		if (is_one_of(*p, "{}[]"))
			p++;
		else
			while (p < end && !is_one_of(*p, " \t\r\n,:{}[]\""))
				p++;
	} while (depth > 0);
	return p;
}

/* The value of a key of the object at `p`; NULL: it has none. */
static const char *member_of(const char *p, const char *end, const char *key, size_t len)
{
	for (p = skip_space(p + 1, end); p < end && *p == '"'; p = skip_space(p, end)) {
		const char *name = p + 1;

		p = skip_space(skip_string(p, end), end);
		if ((size_t)(end - name) > len && strncmp(name, key, len) == 0 && name[len] == '"')
			return p;
		p = skip_value(p, end);
	}
	return NULL;
}

/* The element of the array at `p`; NULL: it has fewer. */
static const char *element_of(const char *p, const char *end, unsigned long index)
{
	for (p = skip_space(p + 1, end); p < end && *p != ']'; p = skip_space(p, end)) {
		if (index-- == 0)
			return p;
		p = skip_value(p, end);
	}
	return NULL;
}

static size_t line_of(const char *text, const char *at)
{
	size_t line = 1;

	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

/* The line of `services[3].ports[0].name`; of a field that is missing, the line of its object. */
static size_t line_of_path(const char *text, size_t len, const char *path)
{
	const char *end = text + len, *at = skip_space(text, end), *next = at;

	while (next && *path && next < end) {
		at = next;
		if (*path == '[' && *at == '[') {
			char *rest;

			next = element_of(at, end, strtoul(path + 1, &rest, 10));
			path = *rest == ']' ? rest + 1 : "";
		} else if (*path != '[' && *at == '{') {
			size_t n;

			path += *path == '.';
			n = strcspn(path, ".[");
			next = member_of(at, end, path, n);
			path += n;
		} else {
			next = NULL;
		}
	}
	return line_of(text, next ? next : at);
}

/* ---- the records ---- */

static int say(char why[static SERVICES_WHY_SIZE], const char *text, size_t len, const char *path,
	       const char *reason)
{
	snprintf(why, SERVICES_WHY_SIZE, "line %zu: %s %s", line_of_path(text, len, path), path,
		 reason);
	return -EBADMSG;
}

static int decode(struct arena *a, const char *text, size_t len, struct services_file *ret,
		  char why[static SERVICES_WHY_SIZE])
{
	struct json_error err;

	if (json_decode(a, text, len, services_file_fields, ret, &err) == 0)
		return 0;
	if (*err.path)
		return say(why, text, len, err.path, err.reason);
	snprintf(why, SERVICES_WHY_SIZE, "line %zu: the file %s",
		 line_of(text, text + MIN(err.at, len)), err.reason);
	return -EBADMSG;
}

static int take(const struct service *s, struct map *ret, size_t *bytes, const char **reason)
{
	const char *space = s->service_namespace ? s->service_namespace : "default";
	char name[JOURNAL_NAME_MAX + 1], member[JOURNAL_NAME_MAX + 1];
	struct record_parts parts;

	snprintf(name, sizeof(name), "%s/%s", space, s->name);
	record_parts_make(&parts, &s->record);
	for (unsigned i = 0; i < parts.count; i++) {
		record_name_of_part(name, i, member);
		*bytes += strlen(member) + strlen(parts.bodies[i]);
	}
	if (map_get(ret, name))
		*reason = "has the name and namespace of one before it";
	else if (!s->record.address_count && !s->record.endpoint_count)
		*reason = "has neither addresses nor endpoints";
	else if (parts.left_out)
		*reason =
			"has too many endpoints: at most 1 MiB of JSON for a headless service, 16 KiB "
			"for one with addresses";
	else if (*bytes > JOURNAL_BYTES_MAX)
		*reason = "is too much: at most 24 MiB of JSON for all services";
	else
		record_parts_take(&parts, name, 0, ret);
	record_parts_done(&parts);
	return *reason ? -EBADMSG : 0;
}

int services_parse(const char *text, size_t len, struct map *ret,
		   struct services_ranges *ret_ranges, char ret_why[static SERVICES_WHY_SIZE])
{
	struct services_file file = { 0 };
	struct arena a = { 0 };
	size_t bytes = 0;
	int r = decode(&a, text, len, &file, ret_why);

	for (size_t i = 0; r == 0 && i < file.service_count; i++) {
		const char *reason = NULL;
		char path[64];

		snprintf(path, sizeof(path), "services[%zu]", i);
		if (take(&file.services[i], ret, &bytes, &reason) < 0)
			r = say(ret_why, text, len, path, reason);
	}
	if (r < 0) {
		map_clear(ret, free);
	} else if (ret_ranges) {
		ret_ranges->count = file.range_count;
		for (size_t i = 0; i < file.range_count; i++)
			ret_ranges->list[i] = file.ranges[i];
	}
	arena_done(&a);
	return r;
}
