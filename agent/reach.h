/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keeps trying to reach the peers of one network that have no session: candidate after candidate,
 * after 0.5, 1, 2, 4 ... 30 s. Names among the candidates are looked up. Remembers on disk where peers
 * were heard last. Peers with a session of 180 s or less are never touched.
 */
#pragma once

#include "agent/kernel.h"
#include "agent/peers.h"
#include "agent/state.h"

struct reach;

struct reach_config {
	struct loop *loop;
	struct kernel *kernel;
	struct state *state;
	struct peers *peers;
	const char *network;   /* borrowed */
	const char *interface; /* borrowed */
	/* The peer as it is wanted now, with its endpoint; false: there is to be none. */
	bool (*wanted)(void *owner, const uint8_t key[static KEY_LEN], struct wg_peer *ret);
	/* An entry's endpoint is to be written: its key was touched. */
	void (*changed)(void *owner);
	void *owner;
};

/* Reads where the peers were heard last. */
struct reach *reach_new(const struct reach_config *c);
void reach_free(struct reach *r);
/* Our own addresses and ranges: no endpoint is there. Copied. */
void reach_set_own(struct reach *r, const struct addr *own, size_t own_count,
		   const struct prefix *ranges, size_t range_count);
/* Ranges that are routed into tunnels: endpoints in them are not tried. */
void reach_set_carried(struct reach *r, const struct prefix *ranges, size_t count);
/* The peer is new, or its endpoints are others: sets entry->endpoint, or has the new one tried. */
void reach_update(struct reach *r, struct peer_entry *e);
/* The peer is gone. */
void reach_forget(struct reach *r, const char *id);
/* The peer was made in the kernel, with entry->endpoint. */
void reach_made(struct reach *r, struct peer_entry *e);
/* A full read of the interface: who is without a session? And where were they heard? */
void reach_observe(struct reach *r, const struct wg_link *actual);
/* Stores where peers were heard last, if that has changed. */
void reach_store(struct reach *r);
/* When the peer was last heard, also when it was made anew since; 0: never. */
int64_t reach_last_handshake(const struct reach *r, const char *id, int64_t actual);
/* For `status`: a sentence when the peer is not reached; false: nothing to say. */
bool reach_problem(const struct reach *r, const struct peer_entry *e, int64_t last_handshake,
		   char *ret, size_t size);
