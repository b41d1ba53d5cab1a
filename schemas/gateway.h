/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Members of n/<net>/gateways beside `settings` (schemas/member.h): gateways, grants of exporters,
 * added names.
 */
#pragma once

#include "schemas/member.h"

#define GATEWAY_NODES_MAX 32
#define GATEWAY_RANGES_MAX 64

enum nat_mode { NAT_MASQUERADE, NAT_NONE };
extern const char *const nat_mode_names[]; /* "masquerade", "none", NULL */

/* Member gateway/<id>: nodes that carry a site's ranges into the network. */
struct gateway {
	char *site;	   /* whose ranges these are; NULL: the node has none */
	unsigned nat;	   /* enum nat_mode, at the gateway's own side */
	uint64_t priority; /* the lowest number is preferred */
	struct gateway_range {
		struct prefix range; /* as it is called in the site */
		struct prefix as;    /* as it is called in the network; family 0: the same */
	} * ranges;
	size_t range_count;
	struct gateway_node {
		char *node;	  /* id */
		struct peer peer; /* a copy of its member of the peers journal, for leaves */
	} * nodes;
	size_t node_count;
};
extern const struct json_field gateway_fields[];

/* Member exporter/<id>: what an exporter may name. The id is that of its key. */
struct grant {
	uint8_t key[KEY_LEN]; /* Ed25519 */
	char *site;
	struct prefix *ranges; /* addresses of its records lie in these */
	size_t range_count;
	uint64_t generation; /* of (network, site): the highest one counts once it is read */
};
extern const struct json_field grant_fields[];

/* Member name/<name>: a name added by hand. */
struct added_name {
	struct addr *addresses;
	size_t address_count;
};
extern const struct json_field added_name_fields[];
