/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From memberships and peers to what the kernel should look like (agent/desired.h). Pure.
 */
#pragma once

#include "agent/desired.h"
#include "agent/gateways.h"
#include "agent/peers.h"

/* One network as it is wanted. All is borrowed. */
struct wanted_network {
	const char *interface;
	const uint8_t *private_key;
	uint16_t port;
	uint32_t mtu;
	uint16_t keepalive;
	const struct prefix *addresses; /* own address with the range's length */
	size_t address_count;
	const struct peers *peers;
	const struct gateways *gateways; /* NULL: there are none; like `carried` */
	const struct carried_set *carried;
};

/* The peer with this WireGuard key: false when there is to be none. AllowedIPs are those of its
 * addresses that belong to it, as /32 and /128, and the ranges that it carries. `ret` is overwritten, for wg_peer_done. */
bool wanted_peer(const struct wanted_network *n, const uint8_t key[static KEY_LEN],
		 struct wg_peer *ret);
/* Adds the network's link without its peers: device, addresses, routes, what we publish. */
struct wg_link *wanted_bare_link(const struct wanted_network *n, struct host *h);
/* Adds the network's link with all of its peers. */
void wanted_link(const struct wanted_network *n, struct host *h);
/* What follows from all links together and from what `actual` has of links and forwarding: whether the
 * host has to forward, the nft texts. Sorts. */
void wanted_finish(struct host *h, const struct host *actual);
/* For a time what the kernel has and we do not know stays: copies those peers of `actual` into
 * `desired`, but for AllowedIPs that somebody known has. Both sorted; `desired` is sorted again. */
void wanted_keep_peers(struct wg_link *desired, const struct wg_link *actual);
/* The same for ranges, while the gateways are in doubt: routes of `actual` that no link of `h` has,
 * and AllowedIPs of known peers that nobody has. */
void wanted_keep_ranges(struct host *h, struct wg_link *desired, const struct wg_link *actual);
/* The same for a whole link. */
void wanted_keep_link(struct host *desired, const struct wg_link *actual);
