/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tables of schemas/api.h.
 */
#include "schemas/api.h"

#include "lib/text.h"

#define NAME_MAX_BYTES 253

static const struct json_field refusal_fields[] = {
	JSON_FIELD(struct refusal_body, code, JSON_STRING, .max = 64),
	JSON_FIELD(struct refusal_body, message, JSON_STRING, .max = 1024),
	JSON_END,
};

const struct json_field api_error_fields[] = {
	JSON_FIELD(struct api_error, error, JSON_OBJECT, .fields = refusal_fields),
	JSON_END,
};

static const struct json_field orphan_fields[] = {
	JSON_FIELD(struct api_orphan, id, JSON_STRING, .max = 127),
	JSON_FIELD(struct api_orphan, name, JSON_STRING, .optional = true),
	JSON_LIST(struct api_orphan, addresses, address_count, JSON_ADDR, .optional = true,
		  .max = 4),
	JSON_END,
};

#define NETWORK_SETTINGS                                                                           \
	JSON_FIELD(struct api_network, mtu, JSON_U64, .optional = true, .min = 1280,               \
		   .max = 65535),                                                                  \
		JSON_FIELD(struct api_network, keepalive, JSON_U64, .optional = true,              \
			   .max = 65535),                                                          \
		JSON_FIELD(struct api_network, port, JSON_U16, .optional = true, .min = 1,         \
			   .max = 65535),                                                          \
		JSON_FIELD(struct api_network, max_stale, JSON_STRING, .optional = true,           \
			   .max = 32)

const struct json_field api_network_create_fields[] = {
	JSON_FIELD(struct api_network, name, JSON_STRING, .check = text_is_label, .max = 63,
		   .what = "a label of a-z, 0-9 and '-', at most 63"),
	JSON_LIST(struct api_network, ranges, range_count, JSON_PREFIX, .min = 1, .max = 2),
	NETWORK_SETTINGS,
	JSON_END,
};

const struct json_field api_network_set_fields[] = {
	NETWORK_SETTINGS,
	JSON_END,
};

const struct json_field api_network_fields[] = {
	JSON_FIELD(struct api_network, name, JSON_STRING),
	JSON_LIST(struct api_network, ranges, range_count, JSON_PREFIX, .max = 2),
	NETWORK_SETTINGS,
	JSON_FIELD(struct api_network, nodes, JSON_U64),
	JSON_LIST(struct api_network, orphans, orphan_count, JSON_OBJECT, .fields = orphan_fields,
		  .max = 100000),
	JSON_FIELD(struct api_network, waiting, JSON_U64, .optional = true),
	JSON_END,
};

const struct json_field api_released_fields[] = {
	JSON_FIELD(struct api_released, released, JSON_U64),
	JSON_END,
};

const struct json_field api_token_create_fields[] = {
	JSON_FIELD(struct api_token_create, network, JSON_STRING, .max = 63),
	JSON_FIELD(struct api_token_create, role, JSON_ENUM, .optional = true, .names = role_names),
	JSON_FIELD(struct api_token_create, uses, JSON_U64, .optional = true, .max = 1000000),
	JSON_FIELD(struct api_token_create, at_most, JSON_U64, .optional = true, .max = 1000000),
	JSON_FIELD(struct api_token_create, expires, JSON_STRING, .optional = true, .max = 32),
	JSON_LIST(struct api_token_create, tags, tag_count, JSON_STRING, .optional = true,
		  .max = 32, .check = text_is_label,
		  .what = "a label of a-z, 0-9 and '-', at most 63"),
	JSON_FIELD(struct api_token_create, site, JSON_STRING, .optional = true, .max = 63,
		   .check = text_is_label, .what = "a label of a-z, 0-9 and '-', at most 63"),
	JSON_LIST(struct api_token_create, ranges, range_count, JSON_PREFIX, .optional = true,
		  .max = 64),
	JSON_FIELD(struct api_token_create, forget, JSON_STRING, .optional = true, .max = 32),
	JSON_END,
};

const struct json_field api_token_fields[] = {
	JSON_FIELD(struct api_token, id, JSON_STRING),
	JSON_FIELD(struct api_token, token, JSON_STRING, .optional = true, .max = TOKEN_MAX),
	JSON_FIELD(struct api_token, network, JSON_STRING),
	JSON_FIELD(struct api_token, role, JSON_ENUM, .names = role_names),
	JSON_FIELD(struct api_token, uses, JSON_U64),
	JSON_FIELD(struct api_token, used, JSON_U64),
	JSON_FIELD(struct api_token, at_most, JSON_U64),
	JSON_FIELD(struct api_token, expires, JSON_TIME, .optional = true),
	JSON_LIST(struct api_token, tags, tag_count, JSON_STRING),
	JSON_FIELD(struct api_token, site, JSON_STRING, .optional = true),
	JSON_LIST(struct api_token, ranges, range_count, JSON_PREFIX),
	JSON_FIELD(struct api_token, forget, JSON_STRING),
	JSON_FIELD(struct api_token, revoked, JSON_BOOL),
	JSON_END,
};

const struct json_field api_node_fields[] = {
	JSON_FIELD(struct api_node, id, JSON_STRING),
	JSON_FIELD(struct api_node, name, JSON_STRING),
	JSON_FIELD(struct api_node, network, JSON_STRING),
	JSON_LIST(struct api_node, addresses, address_count, JSON_ADDR),
	JSON_LIST(struct api_node, tags, tag_count, JSON_STRING),
	JSON_FIELD(struct api_node, site, JSON_STRING, .optional = true),
	JSON_FIELD(struct api_node, role, JSON_ENUM, .names = role_names),
	JSON_FIELD(struct api_node, online, JSON_BOOL),
	JSON_FIELD(struct api_node, last_seen, JSON_TIME, .optional = true),
	JSON_LIST(struct api_node, endpoints, endpoint_count, JSON_STRING),
	JSON_FIELD(struct api_node, wireguard_key, JSON_KEY),
	JSON_END,
};

const struct json_field api_node_rename_fields[] = {
	JSON_FIELD(struct api_node_rename, name, JSON_STRING, .min = 1, .max = NAME_MAX_BYTES),
	JSON_END,
};

const struct json_field api_coordinator_status_fields[] = {
	JSON_FIELD(struct api_coordinator_status, mesh, JSON_STRING),
	JSON_FIELD(struct api_coordinator_status, version, JSON_STRING),
	JSON_FIELD(struct api_coordinator_status, broker, JSON_STRING, .optional = true),
	JSON_FIELD(struct api_coordinator_status, connected, JSON_BOOL),
	JSON_FIELD(struct api_coordinator_status, broker_error, JSON_STRING, .optional = true),
	JSON_END,
};

const struct json_field api_join_fields[] = {
	JSON_FIELD(struct api_join, token, JSON_STRING, .min = 1, .max = TOKEN_MAX),
	JSON_FIELD(struct api_join, name, JSON_STRING, .optional = true, .max = NAME_MAX_BYTES),
	JSON_END,
};

const struct json_field api_hold_fields[] = {
	JSON_FIELD(struct api_hold, network, JSON_STRING),
	JSON_END,
};

const struct json_field api_joined_fields[] = {
	JSON_FIELD(struct api_joined, network, JSON_STRING),
	JSON_FIELD(struct api_joined, name, JSON_STRING),
	JSON_FIELD(struct api_joined, interface, JSON_STRING),
	JSON_LIST(struct api_joined, addresses, address_count, JSON_ADDR),
	JSON_END,
};

const struct json_field api_leave_fields[] = {
	JSON_FIELD(struct api_leave, network, JSON_STRING, .optional = true, .max = 63),
	JSON_FIELD(struct api_leave, all, JSON_BOOL, .optional = true),
	JSON_END,
};

const struct json_field api_left_fields[] = {
	JSON_LIST(struct api_left, networks, network_count, JSON_STRING),
	JSON_FIELD(struct api_left, told, JSON_BOOL),
	JSON_END,
};

const struct json_field api_resolved_fields[] = {
	JSON_FIELD(struct api_resolved, what, JSON_STRING),
	JSON_FIELD(struct api_resolved, network, JSON_STRING),
	JSON_FIELD(struct api_resolved, name, JSON_STRING, .optional = true),
	JSON_FIELD(struct api_resolved, gateway, JSON_STRING, .optional = true),
	JSON_FIELD(struct api_resolved, address, JSON_ADDR),
	JSON_FIELD(struct api_resolved, self, JSON_BOOL),
	JSON_END,
};

static const struct json_field status_node_fields[] = {
	JSON_FIELD(struct api_status_node, id, JSON_STRING),
	JSON_FIELD(struct api_status_node, name, JSON_STRING, .optional = true),
	JSON_FIELD(struct api_status_node, site, JSON_STRING, .optional = true),
	JSON_FIELD(struct api_status_node, mesh, JSON_STRING, .optional = true),
	JSON_END,
};

static const struct json_field status_broker_fields[] = {
	JSON_FIELD(struct api_status_broker, url, JSON_STRING, .optional = true),
	JSON_FIELD(struct api_status_broker, connected, JSON_BOOL),
	JSON_FIELD(struct api_status_broker, error, JSON_STRING, .optional = true),
	JSON_END,
};

static const struct json_field status_coordinator_fields[] = {
	JSON_FIELD(struct api_status_coordinator, present, JSON_BOOL),
	JSON_END,
};

static const struct json_field status_peer_fields[] = {
	JSON_FIELD(struct api_status_peer, id, JSON_STRING),
	JSON_FIELD(struct api_status_peer, name, JSON_STRING, .optional = true),
	JSON_LIST(struct api_status_peer, addresses, address_count, JSON_ADDR),
	JSON_FIELD(struct api_status_peer, endpoint, JSON_ENDPOINT, .optional = true),
	JSON_FIELD(struct api_status_peer, last_handshake, JSON_TIME, .optional = true),
	JSON_FIELD(struct api_status_peer, rx_bytes, JSON_U64),
	JSON_FIELD(struct api_status_peer, tx_bytes, JSON_U64),
	JSON_LIST(struct api_status_peer, ranges, range_count, JSON_PREFIX),
	JSON_FIELD(struct api_status_peer, orphan, JSON_BOOL),
	JSON_FIELD(struct api_status_peer, problem, JSON_STRING, .optional = true),
	JSON_END,
};

static const struct json_field status_network_fields[] = {
	JSON_FIELD(struct api_status_network, name, JSON_STRING),
	JSON_FIELD(struct api_status_network, interface, JSON_STRING),
	JSON_FIELD(struct api_status_network, backend, JSON_STRING),
	JSON_FIELD(struct api_status_network, port, JSON_U16),
	JSON_LIST(struct api_status_network, addresses, address_count, JSON_ADDR),
	JSON_LIST(struct api_status_network, peers, peer_count, JSON_OBJECT,
		  .fields = status_peer_fields, .max = 100000),
	JSON_LIST(struct api_status_network, standby, standby_count, JSON_STRING),
	JSON_FIELD(struct api_status_network, up, JSON_BOOL),
	JSON_FIELD(struct api_status_network, problem, JSON_STRING, .optional = true),
	JSON_END,
};

static const struct json_field status_journal_fields[] = {
	JSON_FIELD(struct api_status_journal, path, JSON_STRING),
	JSON_FIELD(struct api_status_journal, epoch, JSON_U64),
	JSON_FIELD(struct api_status_journal, ver, JSON_U64),
	JSON_FIELD(struct api_status_journal, stale_since, JSON_TIME, .optional = true),
	JSON_FIELD(struct api_status_journal, orphans, JSON_U64),
	JSON_END,
};

static const struct json_field status_refused_fields[] = {
	JSON_FIELD(struct api_status_refused, size, JSON_U64),
	JSON_FIELD(struct api_status_refused, json, JSON_U64),
	JSON_FIELD(struct api_status_refused, schema, JSON_U64),
	JSON_FIELD(struct api_status_refused, duplicate_key, JSON_U64),
	JSON_FIELD(struct api_status_refused, key, JSON_U64),
	JSON_FIELD(struct api_status_refused, signer, JSON_U64),
	JSON_FIELD(struct api_status_refused, place, JSON_U64),
	JSON_FIELD(struct api_status_refused, old, JSON_U64),
	JSON_FIELD(struct api_status_refused, chunk, JSON_U64),
	JSON_FIELD(struct api_status_refused, mesh, JSON_U64),
	JSON_FIELD(struct api_status_refused, grant, JSON_U64),
	JSON_END,
};

const struct json_field api_status_fields[] = {
	JSON_FIELD(struct api_status, node, JSON_OBJECT, .fields = status_node_fields),
	JSON_FIELD(struct api_status, broker, JSON_OBJECT, .fields = status_broker_fields),
	JSON_FIELD(struct api_status, coordinator, JSON_OBJECT,
		   .fields = status_coordinator_fields),
	JSON_LIST(struct api_status, networks, network_count, JSON_OBJECT,
		  .fields = status_network_fields),
	JSON_LIST(struct api_status, journals, journal_count, JSON_OBJECT,
		  .fields = status_journal_fields),
	JSON_FIELD(struct api_status, refused, JSON_OBJECT, .fields = status_refused_fields),
	JSON_LIST(struct api_status, problems, problem_count, JSON_STRING),
	JSON_END,
};

#define LABEL_CHECK .check = text_is_label, .what = "a label of a-z, 0-9 and '-', at most 63"

static const struct json_field not_carried_fields[] = {
	JSON_FIELD(struct api_not_carried, range, JSON_PREFIX),
	JSON_FIELD(struct api_not_carried, why, JSON_STRING),
	JSON_END,
};

const struct json_field api_gateway_fields[] = {
	JSON_FIELD(struct api_gateway, id, JSON_STRING),
	JSON_FIELD(struct api_gateway, network, JSON_STRING),
	JSON_FIELD(struct api_gateway, site, JSON_STRING, .optional = true),
	JSON_LIST(struct api_gateway, nodes, node_count, JSON_STRING),
	JSON_FIELD(struct api_gateway, node, JSON_STRING, .optional = true),
	JSON_FIELD(struct api_gateway, tag, JSON_STRING, .optional = true),
	JSON_LIST(struct api_gateway, ranges, range_count, JSON_PREFIX),
	JSON_LIST(struct api_gateway, as, as_count, JSON_PREFIX),
	JSON_FIELD(struct api_gateway, nat, JSON_ENUM, .names = nat_mode_names),
	JSON_FIELD(struct api_gateway, priority, JSON_U64),
	JSON_FIELD(struct api_gateway, from_site, JSON_STRING, .optional = true),
	JSON_LIST(struct api_gateway, not_carried, not_carried_count, JSON_OBJECT, .optional = true,
		  .fields = not_carried_fields),
	JSON_END,
};

#define GATEWAY_SETTINGS                                                                           \
	JSON_LIST(struct api_gateway_create, ranges, range_count, JSON_PREFIX, .optional = true,   \
		  .max = GATEWAY_RANGES_MAX),                                                      \
		JSON_LIST(struct api_gateway_create, as, as_count, JSON_PREFIX, .optional = true,  \
			  .max = GATEWAY_RANGES_MAX),                                              \
		JSON_FIELD(struct api_gateway_create, nat, JSON_ENUM, .optional = true,            \
			   .names = nat_mode_names),                                               \
		JSON_FIELD(struct api_gateway_create, priority, JSON_U64, .optional = true,        \
			   .max = 1000000),                                                        \
		JSON_FIELD(struct api_gateway_create, from_site, JSON_STRING, .optional = true,    \
			   LABEL_CHECK)

const struct json_field api_gateway_create_fields[] = {
	JSON_FIELD(struct api_gateway_create, network, JSON_STRING, .max = 63),
	JSON_FIELD(struct api_gateway_create, node, JSON_STRING, .optional = true, .max = 63),
	JSON_FIELD(struct api_gateway_create, tag, JSON_STRING, .optional = true, LABEL_CHECK),
	JSON_FIELD(struct api_gateway_create, site, JSON_STRING, .optional = true, LABEL_CHECK),
	GATEWAY_SETTINGS,
	JSON_END,
};

const struct json_field api_gateway_set_fields[] = {
	GATEWAY_SETTINGS,
	JSON_END,
};

const struct json_field api_name_fields[] = {
	JSON_FIELD(struct api_name, name, JSON_STRING, LABEL_CHECK),
	JSON_FIELD(struct api_name, network, JSON_STRING, .max = 63),
	JSON_LIST(struct api_name, addresses, address_count, JSON_ADDR, .min = 1, .max = 16),
	JSON_END,
};

const struct json_field api_exporter_fields[] = {
	JSON_FIELD(struct api_exporter, id, JSON_STRING),
	JSON_FIELD(struct api_exporter, network, JSON_STRING),
	JSON_FIELD(struct api_exporter, site, JSON_STRING),
	JSON_FIELD(struct api_exporter, generation, JSON_U64),
	JSON_LIST(struct api_exporter, ranges, range_count, JSON_PREFIX),
	JSON_LIST(struct api_exporter, offered, offered_count, JSON_PREFIX),
	JSON_LIST(struct api_exporter, not_carried, not_carried_count, JSON_PREFIX,
		  .optional = true),
	JSON_FIELD(struct api_exporter, records, JSON_U64),
	JSON_FIELD(struct api_exporter, published, JSON_BOOL),
	JSON_FIELD(struct api_exporter, online, JSON_BOOL),
	JSON_FIELD(struct api_exporter, last_seen, JSON_TIME, .optional = true),
	JSON_END,
};

const struct json_field api_dns_fields[] = {
	JSON_FIELD(struct api_dns, name, JSON_STRING),
	JSON_FIELD(struct api_dns, network, JSON_STRING),
	JSON_FIELD(struct api_dns, from, JSON_STRING),
	JSON_FIELD(struct api_dns, site, JSON_STRING, .optional = true),
	JSON_LIST(struct api_dns, addresses, address_count, JSON_ADDR,
		  .max = API_DNS_ADDRESSES_MAX),
	JSON_END,
};

static const struct json_field why_step_fields[] = {
	JSON_FIELD(struct api_why_step, step, JSON_STRING),
	JSON_FIELD(struct api_why_step, ok, JSON_BOOL),
	JSON_FIELD(struct api_why_step, text, JSON_STRING),
	JSON_END,
};

const struct json_field api_why_fields[] = {
	JSON_FIELD(struct api_why, what, JSON_STRING),
	JSON_FIELD(struct api_why, ok, JSON_BOOL),
	JSON_LIST(struct api_why, steps, step_count, JSON_OBJECT, .fields = why_step_fields),
	JSON_END,
};

const struct json_field api_diff_fields[] = {
	JSON_LIST(struct api_diff, ops, op_count, JSON_STRING, .max = 1000000),
	JSON_END,
};
