/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Endpoints: which we announce, and which of a peer's are tried in which order. Pure; the part with
 * timers, lookups and the kernel is agent/reach.h.
 */
#pragma once

#include "lib/addr.h"
#include "schemas/member.h"

/* ---- what we announce */

/* `wished` (--endpoint) first, then our addresses with the listen port; at most PEER_ENDPOINTS_MAX,
 * no duplicates. The strings are in `arena`. */
size_t endpoints_own(struct arena *arena, const char *const *wished, size_t wished_count,
		     const struct addr *addresses, size_t address_count, uint16_t port,
		     char *ret[static PEER_ENDPOINTS_MAX]);

/* What others know of us. */
struct endpoints_known {
	char *const *member; /* of our peer member */
	size_t member_count;
	uint64_t ep_seq;
	char *const *ep; /* of our retained register */
	size_t ep_count;
	uint64_t register_seq; /* 0: it is cleared */
	uint64_t highest;      /* seq that we ever gave */
};
/* The seq to publish `own` with, 0 when others know it already. */
uint64_t endpoints_publish_seq(const struct endpoints_known *known, char *const *own, size_t count);
bool endpoints_equal(char *const *a, size_t a_count, char *const *b, size_t b_count);

/* ---- which one of a peer is tried */

/* Can a packet to `e` reach the peer at all? Not: no unicast address, loopback, one of our own
 * addresses, or inside the network itself. */
bool endpoint_is_usable(const struct endpoint *e, const struct addr *own, size_t own_count,
			const struct prefix *networks, size_t network_count);

#define ENDPOINTS_TRIED_MAX (2 * PEER_ENDPOINTS_MAX)

/* The state of one peer without a session. Zeroed: nothing known. */
struct endpoints_try {
	struct endpoint list[ENDPOINTS_TRIED_MAX]; /* in order of trying */
	size_t count;
	size_t sure;	/* the first ones; of those behind them one is tried after two of these */
	size_t at;	/* the one in use */
	size_t next;	/* of the sure ones */
	unsigned tries; /* since the session was lost or the list changed */
	uint64_t due;	/* CLOCK_NEVER: none is wanted */
	uint64_t rx_bytes;
};

/* The list anew: the address it was last heard at first (family 0: none), then the `sure` first ones of
 * `list`, then the others; of both those of a family that this host has no address of go last. The
 * trying begins anew. */
void endpoints_try_set(struct endpoints_try *t, const struct endpoint *learned,
		       const struct endpoint *list, size_t count, size_t sure, bool has4,
		       bool has6);
/* A session of 180 s or less is nothing to be touched. */
bool endpoints_is_alive(int64_t last_handshake, int64_t wall);
/* The peer was made with list[at]: when is it to be looked at next? `jitter`: any number. */
void endpoints_try_begin(struct endpoints_try *t, uint64_t now, uint32_t jitter);
/* The list is another one: list[0] is to be tried at once. */
void endpoints_try_again(struct endpoints_try *t, uint64_t now);
/* Its time has come, and this is what the kernel says. True: make it again with list[at]; the next
 * time is set. False: it is alive, or somebody is just answering. */
bool endpoints_try_next(struct endpoints_try *t, uint64_t now, int64_t wall, int64_t last_handshake,
			uint64_t rx_bytes, uint32_t jitter);
/* Has every candidate been tried? */
bool endpoints_try_exhausted(const struct endpoints_try *t);
