/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tables of schemas/record.h, names of records, and what of a record a grant covers. Owns nothing; any
 * thread.
 */
#include "schemas/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/text.h"

const char *const port_protocol_names[] = { "TCP", "UDP", "SCTP", NULL };

#define LABEL_CHECK .check = text_is_label, .what = "a label"

static const struct json_field port_fields[] = {
	JSON_FIELD(struct record_port, name, JSON_STRING, .optional = true, LABEL_CHECK),
	JSON_FIELD(struct record_port, protocol, JSON_ENUM, .optional = true,
		   .names = port_protocol_names),
	JSON_FIELD(struct record_port, port, JSON_U16, .min = 1, .max = 65535),
	JSON_END,
};

static const struct json_field endpoint_fields[] = {
	JSON_FIELD(struct record_endpoint, hostname, JSON_STRING, .optional = true, LABEL_CHECK),
	JSON_LIST(struct record_endpoint, addresses, address_count, JSON_ADDR, .min = 1,
		  .max = RECORD_ADDRESSES_MAX),
	JSON_END,
};

#define RECORD_FIELDS(type, base, most)                                                            \
	{ .name = "addresses",                                                                     \
	  .kind = JSON_ADDR,                                                                       \
	  .offset = offsetof(type, base addresses),                                                \
	  .array = true,                                                                           \
	  .count_offset = offsetof(type, base address_count),                                      \
	  .element_size = sizeof(struct addr),                                                     \
	  .optional = true,                                                                        \
	  .max = RECORD_ADDRESSES_MAX },                                                           \
		{ .name = "ports",                                                                 \
		  .kind = JSON_OBJECT,                                                             \
		  .offset = offsetof(type, base ports),                                            \
		  .array = true,                                                                   \
		  .count_offset = offsetof(type, base port_count),                                 \
		  .element_size = sizeof(struct record_port),                                      \
		  .fields = port_fields,                                                           \
		  .optional = true,                                                                \
		  .max = RECORD_PORTS_MAX },                                                       \
	{                                                                                          \
		.name = "endpoints", .kind = JSON_OBJECT,                                          \
		.offset = offsetof(type, base endpoints), .array = true,                           \
		.count_offset = offsetof(type, base endpoint_count),                               \
		.element_size = sizeof(struct record_endpoint), .fields = endpoint_fields,         \
		.optional = true, .max = most                                                      \
	}

const struct json_field record_fields[] = {
	RECORD_FIELDS(struct record, , RECORD_ENDPOINTS_MAX),
	JSON_END,
};

static const struct json_field service_fields[] = {
	JSON_FIELD(struct service, name, JSON_STRING, LABEL_CHECK),
	{ .name = "namespace",
	  .kind = JSON_STRING,
	  .offset = offsetof(struct service, service_namespace),
	  .optional = true,
	  LABEL_CHECK },
	RECORD_FIELDS(struct service, record., SERVICE_ENDPOINTS_MAX),
	JSON_END,
};

const struct json_field services_file_fields[] = {
	JSON_LIST(struct services_file, services, service_count, JSON_OBJECT,
		  .fields = service_fields, .max = SERVICES_MAX),
	JSON_LIST(struct services_file, ranges, range_count, JSON_PREFIX, .optional = true,
		  .max = SERVICES_RANGES_MAX),
	JSON_END,
};

/* ---- names ---- */

/* The label from `at` to `end`. */
static bool take_label(const char *at, const char *end, char ret[static LABEL_SIZE])
{
	size_t len = (size_t)(end - at);

	if (len >= LABEL_SIZE)
		return false;
	memcpy(ret, at, len);
	ret[len] = '\0';
	return text_is_label(ret);
}

static bool take_part(const char *at, unsigned *ret)
{
	uint64_t part;

	if (u64_parse(at, 1, RECORD_PARTS_MAX - 1, &part) < 0)
		return false;
	*ret = (unsigned)part;
	return true;
}

int record_name_parse(const char *member, struct record_name *ret)
{
	const char *service = strchr(member, '/'), *end;

	if (!service || !take_label(member, service, ret->service_namespace))
		return -EINVAL;
	end = service + 1 + strcspn(service + 1, "/");
	if (!take_label(service + 1, end, ret->service))
		return -EINVAL;
	ret->part = 0;
	return !*end || take_part(end + 1, &ret->part) ? 0 : -EINVAL;
}

void record_name_of_part(const char *service, unsigned part, char ret[static JOURNAL_NAME_MAX + 1])
{
	if (part)
		snprintf(ret, JOURNAL_NAME_MAX + 1, "%s/%u", service, part);
	else
		snprintf(ret, JOURNAL_NAME_MAX + 1, "%s", service);
}

/* ---- grants ---- */

/* The order of what stays is kept; what is left out comes behind it. */
static const struct addr *limit(struct addr *list, size_t *count, const struct prefix *ranges,
				size_t range_count)
{
	const struct addr *outside = NULL;
	size_t kept = 0;

	for (size_t i = 0; i < *count; i++) {
		bool carried = false, inside = false;
		struct addr a = list[i];

		for (size_t k = 0; k < range_count; k++) {
			carried |= ranges[k].addr.family == a.family;
			inside |= prefix_contains(&ranges[k], &a);
		}
		if (!carried)
			continue;
		list[i] = list[kept];
		list[kept] = a;
		if (!inside && !outside)
			outside = &list[kept];
		kept++;
	}
	*count = kept;
	return outside;
}

const struct addr *record_limit(struct record *r, const struct prefix *ranges, size_t range_count)
{
	const struct addr *outside, *left_out = NULL;
	size_t kept = 0;

	if (r->address_count)
		left_out = r->addresses;
	outside = limit(r->addresses, &r->address_count, ranges, range_count);
	if (outside || (left_out && !r->address_count))
		return outside ? outside : left_out;
	left_out = NULL;
	for (size_t i = 0; i < r->endpoint_count; i++) {
		struct record_endpoint e = r->endpoints[i];

		left_out = e.addresses;
		outside = limit(e.addresses, &e.address_count, ranges, range_count);
		if (outside)
			return outside;
		if (e.address_count)
			r->endpoints[kept++] = e;
	}
	r->endpoint_count = kept;
	return kept ? NULL : left_out;
}
