/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the coordinator's and the agent's HTTP APIs say and take: one struct and one table for server
 * and client alike. OpenAPI: schemas/openapi-coordinator.yaml, schemas/openapi-agent.yaml. The
 * `--json` output of `warren` is these documents.
 *
 * Errors of both: status 4xx or 5xx and {"error": {"code": ..., "message": ...}}.
 */
#pragma once

#include "lib/addr.h"
#include "lib/json.h"
#include "schemas/gateway.h"
#include "schemas/join.h"
#include "schemas/topic.h"

#define WARREN_VERSION "0.1.0"

struct api_error {
	struct refusal_body error;
};
extern const struct json_field api_error_fields[];

/* ---- coordinator: /v1/networks */

struct api_orphan { /* a member that the store does not know */
	char *id;
	char *name;
	struct addr *addresses;
	size_t address_count;
};

struct api_network {
	char *name;
	struct prefix *ranges;
	size_t range_count;
	uint64_t mtu;
	uint64_t keepalive;
	uint16_t port;
	char *max_stale;	    /* a duration; "never" */
	uint64_t nodes;		    /* answers only */
	struct api_orphan *orphans; /* answers only */
	size_t orphan_count;
	uint64_t waiting; /* answers only: silent nodes that only a release forgets */
};
extern const struct json_field api_network_fields[];
extern const struct json_field api_network_create_fields[]; /* POST: name and ranges required */
extern const struct json_field api_network_set_fields[];    /* PATCH: all optional */

struct api_released {
	uint64_t released;
};
extern const struct json_field api_released_fields[];

/* ---- coordinator: /v1/tokens */

struct api_token_create {
	char *network;
	unsigned role;
	uint64_t uses;	  /* 0: unlimited */
	uint64_t at_most; /* 0: unlimited */
	char *expires;	  /* duration, default 24h */
	char **tags;
	size_t tag_count;
	char *site;
	struct prefix *ranges;
	size_t range_count;
	char *forget; /* duration, default 30d */
};
extern const struct json_field api_token_create_fields[];

struct api_token {
	char *id;
	char *token; /* only in the answer to POST */
	char *network;
	unsigned role;
	uint64_t uses; /* 0: unlimited */
	uint64_t used;
	uint64_t at_most;
	int64_t expires; /* 0: never */
	char **tags;
	size_t tag_count;
	char *site;
	struct prefix *ranges;
	size_t range_count;
	char *forget;
	bool revoked;
};
extern const struct json_field api_token_fields[];

/* ---- coordinator: /v1/nodes */

struct api_node { /* one row per node and network */
	char *id;
	char *name;
	char *network;
	struct addr *addresses;
	size_t address_count;
	char **tags;
	size_t tag_count;
	char *site;
	unsigned role;
	bool online;
	int64_t last_seen; /* 0: never */
	char **endpoints;
	size_t endpoint_count;
	uint8_t wireguard_key[KEY_LEN];
};
extern const struct json_field api_node_fields[];

struct api_node_rename {
	char *name;
};
extern const struct json_field api_node_rename_fields[];

struct api_coordinator_status {
	char *mesh;
	char *version;
	char *broker;
	bool connected;
	char *broker_error;
};
extern const struct json_field api_coordinator_status_fields[];

/* ---- coordinator: /v1/gateways */

struct api_not_carried {
	struct prefix range;
	char *why;
};

struct api_gateway {
	char *id;
	char *network;
	char *site;
	char **nodes; /* names */
	size_t node_count;
	char *node; /* what it was made with: a node, or a tag and the site */
	char *tag;
	struct prefix *ranges;
	size_t range_count;
	struct prefix *as; /* empty, or one for each range */
	size_t as_count;
	unsigned nat;
	uint64_t priority;
	char *from_site;		     /* it follows what this site's exporters offer */
	struct api_not_carried *not_carried; /* what of that it does not carry */
	size_t not_carried_count;
};
extern const struct json_field api_gateway_fields[];

/* POST /v1/gateways; node (id or name), or tag and site; ranges, or from_site: those that the site's
 * exporters offer. */
struct api_gateway_create {
	char *network;
	char *node;
	char *tag;
	char *site;
	struct prefix *ranges;
	size_t range_count;
	struct prefix *as;
	size_t as_count;
	unsigned nat;
	uint64_t priority;
	char *from_site;
};
extern const struct json_field api_gateway_create_fields[];
/* PATCH /v1/gateways/ID: ranges or from_site, as, nat, priority; what is absent stays. */
extern const struct json_field api_gateway_set_fields[];

/* ---- coordinator: /v1/names (GET ?network=, POST; DELETE /v1/names/NETWORK/NAME) */

struct api_name {
	char *name;
	char *network;
	struct addr *addresses;
	size_t address_count;
};
extern const struct json_field api_name_fields[];

/* ---- coordinator: /v1/exporters (GET; DELETE /v1/exporters/ID) */

struct api_exporter {
	char *id;
	char *network;
	char *site;
	uint64_t generation;
	struct prefix *ranges;
	size_t range_count;
	struct prefix *offered; /* what it says that its site has */
	size_t offered_count;
	struct prefix *not_carried; /* what of that a gateway with from_site does not carry */
	size_t not_carried_count;
	uint64_t records;
	bool published; /* false: none of its journal was read yet */
	bool online;
	int64_t last_seen;
};
extern const struct json_field api_exporter_fields[];

/* ---- coordinator: GET /v1/dns?network= */

#define API_DNS_ADDRESSES_MAX 262144 /* of a headless service in parts: schemas/record.h */

struct api_dns {    /* one name */
	char *name; /* fully qualified, without the last dot */
	char *network;
	char *from; /* "node", "name", or "exporter ID" */
	char *site; /* of the exporter */
	struct addr *addresses;
	size_t address_count;
};
extern const struct json_field api_dns_fields[];

/* ---- agent */

struct api_join {
	char *token;
	char *name; /* NULL: --name or the host's */
};
extern const struct json_field api_join_fields[];

/* POST /v1/hold: answered when the membership ends: 410 with code `left` or `ended`; 503: the agent is
 * being stopped; 404: this node is not in the network. */
struct api_hold {
	char *network;
};
extern const struct json_field api_hold_fields[];

struct api_joined {
	char *network;
	char *name;
	char *interface;
	struct addr *addresses;
	size_t address_count;
};
extern const struct json_field api_joined_fields[];

struct api_leave {
	char *network; /* NULL with all */
	bool all;
};
extern const struct json_field api_leave_fields[];

struct api_left {
	char **networks;
	size_t network_count;
	bool told; /* the coordinator knows */
};
extern const struct json_field api_left_fields[];

/* GET /v1/resolve?what=NODE|ADDRESS|NAME: where `warren ping` sends to. */
struct api_resolved {
	char *what;
	char *network;
	char *name;
	char *gateway; /* the node that carries the address, which is in a range of its */
	struct addr address;
	bool self;
};
extern const struct json_field api_resolved_fields[];

/* GET /v1/status */
struct api_status {
	struct api_status_node {
		char *id;
		char *name;
		char *site;
		char *mesh;
	} node;
	struct api_status_broker {
		char *url;
		bool connected;
		char *error;
	} broker;
	struct api_status_coordinator {
		bool present;
	} coordinator;
	struct api_status_network {
		char *name;
		char *interface;
		char *backend;
		uint16_t port;
		struct addr *addresses;
		size_t address_count;
		struct api_status_peer {
			char *id;
			char *name;
			struct addr *addresses;
			size_t address_count;
			struct endpoint endpoint;
			int64_t last_handshake;
			uint64_t rx_bytes, tx_bytes;
			struct prefix *ranges;
			size_t range_count;
			bool orphan;
			char *problem; /* "no usable endpoint: ..."; NULL: none */
		} * peers;
		size_t peer_count;
		char **standby;
		size_t standby_count;
		bool up; /* what was last wanted is in the kernel */
		char *problem;
	} * networks;
	size_t network_count;
	struct api_status_journal {
		char *path;
		uint64_t epoch, ver;
		int64_t stale_since; /* wall; 0: not stale */
		uint64_t orphans;
	} * journals;
	size_t journal_count;
	struct api_status_refused { /* documents refused, by cause: refusal_names */
		uint64_t size, json, schema, duplicate_key, key, signer, place, old, chunk, mesh,
			grant;
	} refused;
	char **problems; /* sentences: disk full, no /dev/net/tun, ... */
	size_t problem_count;
};
extern const struct json_field api_status_fields[];

/* GET /v1/why?what=NODE|ADDRESS|NAME: the steps from the question to the wire, in order; the first one
 * that is not ok is where it fails. */
struct api_why {
	char *what;
	bool ok;
	struct api_why_step {
		char *step; /* name, node, network, journal, gateway, peer, route, rule, session... */
		bool ok;
		char *text;
	} * steps;
	size_t step_count;
};
extern const struct json_field api_why_fields[];

/* GET /v1/diff: what a full pass would change in the kernel now. */
struct api_diff {
	char **ops; /* op_format's lines */
	size_t op_count;
};
extern const struct json_field api_diff_fields[];
