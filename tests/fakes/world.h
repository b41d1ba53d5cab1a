/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random states of a host (agent/desired.h), small enough that they collide: for tests that bring a
 * kernel, in memory or a real one, from any state into any other.
 */
#pragma once

#include "agent/desired.h"

#define WORLD_LINKS 3
#define WORLD_KEYS 5
#define WORLD_PREFIXES 8
#define WORLD_ROUTES 6
#define WORLD_ADDRESSES 3

/* Who owns what, before it is made into a host: easy to change at random. */
struct world {
	struct {
		bool there;
		uint8_t key;
		uint16_t port;
		uint32_t mtu;
		bool address[WORLD_ADDRESSES];
		bool peer[WORLD_KEYS];
		uint16_t keepalive[WORLD_KEYS];
		int owner[WORLD_PREFIXES]; /* index of a peer that is there, or -1 */
	} link[WORLD_LINKS];
	int route[WORLD_ROUTES];  /* the link, or -1 */
	int source[WORLD_ROUTES]; /* an address of that link, or -1 */
	int nft;		  /* 0: none */
};

/* The same sequence in every run. */
unsigned world_below(unsigned n);
void world_random(struct world *w);
/* Another state of one peer, at random; then world_mend. */
void world_change_peer(struct world *w, unsigned link, unsigned peer);
/* Routes and AllowedIPs only point at what is there. */
void world_mend(struct world *w);
/* `ret` is overwritten; its nft is a valid table. */
void world_host(const struct world *w, struct host *ret);

void world_key(unsigned peer, uint8_t ret[static KEY_LEN]);
struct prefix world_allowed(unsigned n);
struct prefix world_route(unsigned n);
struct prefix world_address(unsigned link, unsigned n);

/* Same but for endpoints and counters. */
bool host_equal(const struct host *a, const struct host *b);
