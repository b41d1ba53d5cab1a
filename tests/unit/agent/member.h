/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memberships as the answers to joins bring them. */
#pragma once

#include <sys/socket.h>

#include "agent/memberships.h"
#include "lib/mem.h"

/* n1 with this address. `key`: the first byte of the private key, the others are 0. */
static inline struct network *member_put_in(struct memberships *memberships, struct state *s,
					    const char *network, struct prefix *address,
					    uint8_t key, int64_t joined)
{
	_cleanup_(freep) char *name = xstrdup(network);
	const struct membership m = { .network = name,
				      .name = (char[]){ "n1" },
				      .addresses = address,
				      .address_count = 1,
				      .mtu = 1420,
				      .keepalive = 20,
				      .port = 51830 };

	return memberships_put(memberships, s, &m, (uint8_t[KEY_LEN]){ key }, joined);
}

/* n1 with 10.9.0.1/24 in network dc1. */
static inline struct network *member_put(struct memberships *memberships, struct state *s)
{
	struct prefix address = { .addr = { .family = AF_INET, .bytes = { 10, 9, 0, 1 } },
				  .len = 24 };

	return member_put_in(memberships, s, "dc1", &address, 4, 1);
}
