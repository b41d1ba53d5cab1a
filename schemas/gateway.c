/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tables of schemas/gateway.h. Owns nothing; any thread.
 */
#include "schemas/gateway.h"

#include "lib/text.h"

const char *const nat_mode_names[] = { "masquerade", "none", NULL };

static const struct json_field range_fields[] = {
	JSON_FIELD(struct gateway_range, range, JSON_PREFIX),
	JSON_FIELD(struct gateway_range, as, JSON_PREFIX, .optional = true),
	JSON_END,
};

static const struct json_field node_fields[] = {
	JSON_FIELD(struct gateway_node, node, JSON_STRING, .check = text_is_id,
		   .what = "a node's id"),
	JSON_FIELD(struct gateway_node, peer, JSON_OBJECT, .fields = peer_fields),
	JSON_END,
};

const struct json_field gateway_fields[] = {
	JSON_FIELD(struct gateway, site, JSON_STRING, .optional = true, .check = text_is_label,
		   .what = "a label"),
	JSON_FIELD(struct gateway, nat, JSON_ENUM, .names = nat_mode_names),
	JSON_FIELD(struct gateway, priority, JSON_U64, .max = 1000000),
	JSON_LIST(struct gateway, ranges, range_count, JSON_OBJECT, .fields = range_fields,
		  .min = 1, .max = GATEWAY_RANGES_MAX),
	JSON_LIST(struct gateway, nodes, node_count, JSON_OBJECT, .fields = node_fields,
		  .max = GATEWAY_NODES_MAX),
	JSON_END,
};

const struct json_field grant_fields[] = {
	JSON_FIELD(struct grant, key, JSON_KEY),
	JSON_FIELD(struct grant, site, JSON_STRING, .check = text_is_label, .what = "a label"),
	JSON_LIST(struct grant, ranges, range_count, JSON_PREFIX, .max = 1024),
	JSON_FIELD(struct grant, generation, JSON_U64, .min = 1, .max = INT64_MAX),
	JSON_END,
};

const struct json_field added_name_fields[] = {
	JSON_LIST(struct added_name, addresses, address_count, JSON_ADDR, .min = 1, .max = 16),
	JSON_END,
};
