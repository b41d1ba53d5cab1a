/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The peers of one network, from the members of its `peers` journal: decoded, and with the answer to
 * who owns a WireGuard key or an address that several claim. The member wins over the orphan, else
 * the lesser id; we ourselves win over both.
 *
 * Remembers which WireGuard keys were touched since the last peers_touched_clear: for those the
 * kernel is to be looked at anew. Pure; one thread.
 */
#pragma once

#include "lib/addr.h"
#include "lib/crypto.h"
#include "schemas/member.h"
#include "schemas/topic.h"

struct peers;

#define PEER_ADDRESSES_MAX 2

struct peer_entry {
	char id[LABEL_SIZE];
	char *name;
	char *site;	      /* NULL: none */
	uint8_t key[KEY_LEN]; /* the first one: a rotating node's second has its own time */
	uint8_t identity_key[KEY_LEN]; /* zeros: a plain WireGuard device */
	struct addr addresses[PEER_ADDRESSES_MAX];
	size_t address_count;
	bool orphan;
	bool tunnel; /* a node: leaves have tunnels with gateways only */

	char **endpoints; /* as the member says */
	size_t endpoint_count;
	uint64_t ep_seq; /* of the register that the member's endpoints come from */
	char **ep;	 /* as the node's own register says */
	size_t ep_count;
	uint64_t register_seq; /* 0: none */
	char **was;	       /* what counted before the last change */
	size_t was_count;

	/* Written by agent/reach.c: what WireGuard is given when the peer is made, or at once. */
	struct endpoint endpoint;
	bool endpoint_wanted;
	bool made; /* it was given to the kernel */
};

/* Who we are in this network: never a peer of ourselves. All is copied. */
struct peers_self {
	const char *id;
	const uint8_t *key;
	const struct prefix *addresses;
	size_t address_count;
};
struct peers *peers_new(const struct peers_self *self);
void peers_free(struct peers *p);
/* Another key or other addresses of ours: everything is touched. */
void peers_set_self(struct peers *p, const struct peers_self *self);

/* A member is new, changed, an orphan, or gone. Our own id is kept too (peers_self_entry). Returns
 * true when its endpoints are others than before. */
bool peers_put(struct peers *p, const char *id, const struct peer *body, bool orphan);
void peers_del(struct peers *p, const char *id);
/* The node's own register of endpoints; older than what is known: nothing happens, and false. */
bool peers_put_ep(struct peers *p, const char *id, const struct ep *ep);
/* The endpoints that count; returns how many. */
size_t peers_endpoints(const struct peer_entry *e, char *const **ret);

struct peer_entry *peers_get(const struct peers *p, const char *id);
const char *peers_self_id(const struct peers *p);
/* Our own member; NULL before the journal says it. */
const struct peer_entry *peers_self_entry(const struct peers *p);
/* Who owns this WireGuard key, an address; NULL: nobody, or we. */
struct peer_entry *peers_by_key(const struct peers *p, const uint8_t key[static KEY_LEN]);
struct peer_entry *peers_by_address(const struct peers *p, const struct addr *a);
/* A sentence when something that the entry claims belongs to another one; false: nothing. */
bool peers_conflict(const struct peers *p, const struct peer_entry *e, char *ret, size_t size);
size_t peers_count(const struct peers *p);
/* In no particular order, without ourselves; NULL first. */
struct peer_entry *peers_next(const struct peers *p, const struct peer_entry *e);

/* Keys touched: NULL first. The text is base64; it stays until peers_touched_clear. */
void peers_touch(struct peers *p, const uint8_t key[static KEY_LEN]);
const char *peers_touched_next(const struct peers *p, const char *key);
void peers_touched_clear(struct peers *p);
