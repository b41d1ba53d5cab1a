/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What this node's kernel should look like, and what it does look like: one type for both.
 *
 * Pure values. The tables are ordered by key, so that a plan is a walk over both (agent/plan.h).
 * Fill them with the *_add helpers in any order, then call host_sort once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/crypto.h"

#define INTERFACE_SIZE 16 /* IFNAMSIZ */
#define ROUTE_PROTOCOL 190
#define ROUTE_METRIC 1024
#define PEER_ALLOWED_MAX 1024 /* of a desired peer */

/* A WireGuard peer. */
struct wg_peer {
	uint8_t key[KEY_LEN];
	struct prefix *allowed; /* sorted by prefix_cmp, no duplicates; networks (host bits zero) */
	size_t allowed_count;
	struct endpoint
		endpoint;     /* family 0: none known. Not part of equality: see endpoint_wanted */
	bool endpoint_wanted; /* desired only: write `endpoint` although the peer exists */
	uint16_t keepalive;
	/* Read only, from the kernel; not part of equality. */
	int64_t last_handshake; /* wall seconds; 0: never */
	uint64_t rx_bytes, tx_bytes;
};

struct route {
	struct prefix prefix;
	struct addr source; /* preferred source, one of the link's addresses; family 0: none */
};

/* A range that this node carries into the network. */
struct published {
	struct prefix range;
	bool masquerade; /* onto this node's address in its site */
};

/* One network's interface with all that hangs on it. In a desired link no two peers have a prefix
 * in common; in a desired host no two links have a route in common. */
struct wg_link {
	char name[INTERFACE_SIZE];
	uint8_t private_key[KEY_LEN];
	uint16_t port;
	uint32_t mtu;
	bool up;		  /* desired: always */
	struct prefix *addresses; /* own address with the range's length; sorted */
	size_t address_count;
	struct wg_peer *peers; /* sorted by key */
	size_t peer_count;
	struct route *routes; /* sorted by prefix; in main, protocol 190, metric 1024 */
	size_t route_count;
	struct published *published; /* desired only (for the nft text); sorted by range */
	size_t published_count;
};

/* A host forwards packets of this family at all. */
#define FORWARD_4 (1u << 0)
#define FORWARD_6 (1u << 1)

/* Everything of ours on this node. */
struct host {
	struct wg_link *links; /* sorted by name */
	size_t link_count;
	char *nft; /* text of our table; NULL: no table. Actual: NULL, see nft_hash */
	char nft_hash[HASH_HEX_SIZE]; /* of the text, stored in the table itself; "" none */
	/* Desired only: what is in force while links and forwarding that are not wanted any more go;
	 * NULL: the same as `nft`. */
	char *nft_first;
	char nft_first_hash[HASH_HEX_SIZE];
	unsigned forwarding;	  /* FORWARD_: needed; actual: switched on */
	unsigned forwarding_ours; /* actual only: what we switched on */
	/* Desired only, for the text: the host forwards, for whatever reason; and it does so for us
	 * alone, so nothing is forwarded between others. */
	unsigned forwards, isolated;
	/* The host's bridges, a space after each; NULL: none. Desired: for the text. */
	char *bridges;
};

/* They free what the value owns (private keys are wiped) and leave a zeroed one. */
/* The orders of the tables, for qsort and for walks over two of them. */
int wg_link_cmp(const void *a, const void *b);
int wg_peer_cmp(const void *a, const void *b);
int route_cmp(const void *a, const void *b);

void wg_peer_done(struct wg_peer *p);
void wg_link_done(struct wg_link *l);
void host_done(struct host *h);

/* They append; the peer and the link come back zeroed but for their key, valid until the next one
 * is added. */
struct wg_link *host_add_link(struct host *h, const char *name);
struct wg_peer *wg_link_add_peer(struct wg_link *l, const uint8_t key[static KEY_LEN]);
void wg_link_add_address(struct wg_link *l, const struct prefix *address);
void wg_link_add_route(struct wg_link *l, const struct prefix *prefix, const struct addr *source);
/* A range that is there already: masqueraded if one of the two is. */
void wg_link_add_published(struct wg_link *l, const struct prefix *range, bool masquerade);
void wg_peer_add_allowed(struct wg_peer *p, const struct prefix *prefix);

/* Puts the tables into order, takes duplicates out of AllowedIPs, and computes nft_hash when there
 * is an `nft`. */
void host_sort(struct host *h);
void wg_link_sort(struct wg_link *l);
void wg_peer_sort(struct wg_peer *p);

/* Binary search in sorted tables; NULL when it is not there. */
struct wg_link *host_link(const struct host *h, const char *name);
struct wg_peer *wg_link_peer(const struct wg_link *l, const uint8_t key[static KEY_LEN]);

/* The interface's name for a network: wr-<network>, hashed when longer than 15. */
void interface_name(const char *network, char ret[static INTERFACE_SIZE]);
