/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A membership as the answer to a join brings it: n1 with 10.9.0.1/24 in network dc1. */
#pragma once

#include <sys/socket.h>

#include "agent/memberships.h"

static inline struct network *member_put(struct memberships *memberships, struct state *s)
{
	struct prefix address = { .addr = { .family = AF_INET, .bytes = { 10, 9, 0, 1 } },
				  .len = 24 };
	const struct membership m = { .network = (char[]){ "dc1" },
				      .name = (char[]){ "n1" },
				      .addresses = &address,
				      .address_count = 1,
				      .mtu = 1420,
				      .keepalive = 20,
				      .port = 51830 };

	return memberships_put(memberships, s, &m, (uint8_t[KEY_LEN]){ 4 }, 1);
}
