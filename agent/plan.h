/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * plan(desired, actual) -> ops. Pure. The rules go first and those of what goes last, so that nothing
 * of ours is there without them. Additions and moves go before removals, an AllowedIP is moved
 * by giving it to its new owner, a peer's endpoint is written only when the peer is made or when
 * `endpoint_wanted` says so (and it is another one). Objects that are not ours (another protocol
 * number, interfaces that we did not make) are in neither of the two and never appear in an op.
 *
 * Works on a set of keys: the full set, or those that a delta touched. Any sequence of partial
 * plans gives what one full plan gives, also when `actual` is what was last applied for that key
 * instead of what was read: a peer that loses a prefix (OP_ALLOWED_SET) never takes it away from
 * the one who got it meanwhile.
 */
#pragma once

#include "agent/desired.h"
#include "lib/mem.h"

enum op_kind {
	OP_NFT,		/* replace our table by this text, before anything can be sent past it */
	OP_LINK_ADD,	/* make the interface (down) */
	OP_LINK_DEVICE, /* private key and listen port */
	OP_LINK_MTU,
	OP_ADDRESS_ADD,
	OP_LINK_UP,
	OP_PEER_PUT, /* make or change: keepalive, endpoint if `with_endpoint`, and AllowedIPs to add */
	OP_ALLOWED_SET, /* take all AllowedIPs but exactly these away from a peer */
	OP_ROUTE_ADD,	/* or change its source, or move it from another link of ours */
	OP_FORWARD_ON,	/* let the host forward */
	OP_ROUTE_DEL,
	OP_PEER_DEL,
	OP_ADDRESS_DEL,
	OP_FORWARD_OFF, /* as it was before we switched it on */
	OP_LINK_DEL,	/* with all that hangs on it */
	OP_NFT_LAST,	/* the rules without those of what is gone by now */
	OP_NFT_DEL,
};

struct op {
	enum op_kind kind;
	const char *link;	      /* borrowed from desired or actual, like all below */
	const struct wg_link *device; /* OP_LINK_*, but OP_LINK_DEL */
	const struct wg_peer *peer;   /* OP_PEER_*, OP_ALLOWED_SET */
	const struct wg_peer *was;    /* OP_ALLOWED_SET: the actual one */
	bool with_endpoint;
	bool moves; /* OP_LINK_DEL: a route or address of this plan overlaps its own */
	const struct prefix *allowed; /* OP_PEER_PUT, OP_ALLOWED_SET */
	size_t allowed_count;
	struct prefix address;
	struct route route;
	uint32_t mtu;
	const char *nft;
	const char *nft_hash;
	unsigned forwarding; /* OP_FORWARD_*: FORWARD_ */
	size_t index;	     /* the plan's: place before ordering */
};

/* A zeroed one is empty and valid. */
struct plan {
	struct op *ops;
	size_t count;
	size_t cap;
	struct arena memory; /* of `allowed` where it is neither desired's nor actual's */
};

/* A full pass: both sorted (host_sort). The ops come back in order. */
void plan_host(struct plan *p, const struct host *desired, const struct host *actual);
/* One peer of one link: `desired` or `actual` NULL when it is not there. Call plan_order once after
 * the last of them. */
void plan_peer(struct plan *p, const char *link, const struct wg_peer *desired,
	       const struct wg_peer *actual);
void plan_route(struct plan *p, const char *link, const struct route *desired,
		const struct route *actual);
/* The nft table; forwarding. */
void plan_nft(struct plan *p, const struct host *desired, const struct host *actual);
void plan_forwarding(struct plan *p, const struct host *desired, const struct host *actual);
/* The routes of one link: both sorted. */
void plan_routes(struct plan *p, const char *link, const struct route *desired,
		 size_t desired_count, const struct route *actual, size_t actual_count);
/* Puts the ops into the order of enum op_kind, links kept together, and leaves out each
 * OP_ALLOWED_SET all of whose prefixes move to another peer in this very plan. */
void plan_order(struct plan *p);
/* Frees; it is empty and usable again. */
void plan_done(struct plan *p);

/* Is `op` left for the next pass? `unfiltered`: OP_NFT failed, and whatever comes would be let in or
 * forwarded; nor does a route or an address go then, as what is to take its place is not there: its
 * packets would leave in the clear; and a link waits whose prefixes move to another link, with its
 * peers and key (the others of a network that was left know this node no more). Another link goes at
 * once, so does every peer: a peer takes no route with it, and what is sent there is dropped. `staying`:
 * something that was to go did not, and its rules stay. */
bool op_waits(const struct op *op, bool unfiltered, bool staying);

/* One line for the log and for `warren diff`: `peer-put wr-dc1 KEY allowed=10.9.0.2/32 ...`. Cut at
 * `size`; secrets are not in it. */
#define OP_TEXT_SIZE 512
void op_format(const struct op *op, char *ret, size_t size);
