/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From memberships and peers to what the kernel should look like (agent/desired.h). Pure.
 */
#pragma once

#include "agent/desired.h"
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
};

/* The peer with this WireGuard key: false when there is to be none. AllowedIPs are those of its
 * addresses that belong to it, as /32 and /128. `ret` is overwritten, for wg_peer_done. */
bool wanted_peer(const struct wanted_network *n, const uint8_t key[static KEY_LEN],
		 struct wg_peer *ret);
/* Adds the network's link with all of its peers. */
void wanted_link(const struct wanted_network *n, struct host *h);
/* For a time what the kernel has and we do not know stays: copies those peers of `actual` into
 * `desired`, but for AllowedIPs that somebody known has. Both sorted; `desired` is sorted again. */
void wanted_keep_peers(struct wg_link *desired, const struct wg_link *actual);
/* The same for a whole link. */
void wanted_keep_link(struct host *desired, const struct wg_link *actual);
