/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bodies of journal members that the coordinator writes, and the register of a node's endpoints.
 */
#pragma once

#include "lib/addr.h"
#include "lib/json.h"
#include "schemas/document.h"
#include "schemas/token.h"

#define PEER_KEYS_MAX 2
#define PEER_ENDPOINTS_MAX 16

/* n/<net>/peers, member <node id>. */
struct peer {
	char *name;    /* label */
	unsigned role; /* enum role */
	struct peer_key {
		uint8_t key[KEY_LEN];
	} * keys; /* WireGuard: one, or two while rotating */
	size_t key_count;
	uint8_t identity_key[KEY_LEN]; /* Ed25519; zeros: a plain WireGuard device */
	struct addr *addresses;	       /* in the network: one of each family it has */
	size_t address_count;
	char **tags;
	size_t tag_count;
	char *site;	  /* NULL: none */
	char **endpoints; /* HOST:PORT, the wished one first */
	size_t endpoint_count;
	uint64_t ep_seq; /* the ep register's seq that the endpoints come from */
};
extern const struct json_field peer_fields[];

/* n/<net>/gateways, member `settings`. */
struct settings {
	struct prefix *ranges; /* the network's IPv4 and/or IPv6 range */
	size_t range_count;
	uint64_t mtu;
	uint64_t keepalive; /* seconds, 0: off */
	uint16_t port;	    /* first listen port tried */
	uint64_t max_stale; /* seconds; 0: never */
};
extern const struct json_field settings_fields[];

/* n/<net>/ep/<node>: a register of the node. */
struct ep {
	uint64_t seq;
	char **endpoints;
	size_t endpoint_count;
};
extern const struct json_field ep_fields[];

/* HOST:PORT with a port other than 0: the check of endpoint strings. */
bool text_is_hostport(const char *s);

/* Decode a body (text need not be NUL-terminated) into one arena block chain. REFUSED_NOT or why,
 * with `err` (may be NULL). */
enum refusal body_decode(struct arena *arena, const char *text, size_t len,
			 const struct json_field *fields, void *ret, struct json_error *err);
