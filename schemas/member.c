/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tables of schemas/member.h. Owns nothing; any thread.
 */
#include "schemas/member.h"

#include "lib/text.h"

#define TAGS_MAX 32
#define MAX_STALE (UINT64_C(100) * 365 * 86400)

const struct json_field peer_fields[] = {
	JSON_FIELD(struct peer, name, JSON_STRING, .check = text_is_label, .what = "a label"),
	JSON_FIELD(struct peer, role, JSON_ENUM, .names = role_names),
	JSON_LIST(struct peer, keys, key_count, JSON_KEY, .min = 1, .max = PEER_KEYS_MAX),
	JSON_FIELD(struct peer, identity_key, JSON_KEY, .optional = true),
	JSON_LIST(struct peer, addresses, address_count, JSON_ADDR, .min = 1, .max = 2),
	JSON_LIST(struct peer, tags, tag_count, JSON_STRING, .optional = true, .max = TAGS_MAX,
		  .check = text_is_label, .what = "a label"),
	JSON_FIELD(struct peer, site, JSON_STRING, .optional = true, .check = text_is_label,
		   .what = "a label"),
	JSON_LIST(struct peer, endpoints, endpoint_count, JSON_STRING, .optional = true,
		  .max = PEER_ENDPOINTS_MAX, .check = text_is_hostport, .what = "HOST:PORT"),
	JSON_FIELD(struct peer, ep_seq, JSON_U64, .optional = true, .max = INT64_MAX),
	JSON_END,
};

const struct json_field settings_fields[] = {
	JSON_LIST(struct settings, ranges, range_count, JSON_PREFIX, .min = 1, .max = 2),
	JSON_FIELD(struct settings, mtu, JSON_U64, .min = 1280, .max = 65535),
	JSON_FIELD(struct settings, keepalive, JSON_U64, .max = 65535),
	JSON_FIELD(struct settings, port, JSON_U16, .min = 1, .max = 65535),
	JSON_FIELD(struct settings, max_stale, JSON_U64, .optional = true, .max = MAX_STALE),
	JSON_END,
};

const struct json_field ep_fields[] = {
	JSON_FIELD(struct ep, seq, JSON_U64, .min = 1, .max = INT64_MAX),
	JSON_LIST(struct ep, endpoints, endpoint_count, JSON_STRING, .max = PEER_ENDPOINTS_MAX,
		  .check = text_is_hostport, .what = "HOST:PORT"),
	JSON_END,
};

bool text_is_hostport(const char *s)
{
	char host[HOST_SIZE];
	uint16_t port;

	return hostport_parse(s, host, &port) == 0;
}

enum refusal body_decode(struct arena *arena, const char *text, size_t len,
			 const struct json_field *fields, void *ret, struct json_error *err)
{
	struct json_error own;

	if (!err)
		err = &own;
	if (json_decode(arena, text, len, fields, ret, err) == 0)
		return REFUSED_NOT;
	if (err->duplicate_key)
		return REFUSED_DUPLICATE_KEY;
	return err->syntax ? REFUSED_JSON : REFUSED_SCHEMA;
}
