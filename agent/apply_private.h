/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What agent/apply.c (the full pass) and agent/apply_partial.c share; private to them.
 */
#pragma once

#include "agent/apply.h"
#include "agent/ranges.h"
#include "lib/clock.h"

#define FLOWS USEC_PER_SEC /* in which what sends into a new route has shown */

struct apply {
	struct apply_config c;
	struct loop_timer partial, full, flows;
	struct ranges *ranges;
	char nft_hash[HASH_HEX_SIZE]; /* as last applied, like the next */
	unsigned forwarding, forwarding_ours;
	char *bridges; /* as last read */
	uint64_t keep_until;
	uint64_t backoff;      /* 0: the last pass was fine */
	struct map *forgotten; /* interfaces that we tore down in this process */
	struct wg_link early;  /* apply_early; name "": none */
	bool failed;	       /* in this pass */
	bool kept;
	char problem[384];
};

/* ---- apply.c */

/* Applies a plan; `failed` says how that went. */
void apply_run(struct apply *a, const struct plan *p);
/* When the next full pass is due; the owner is told. */
void apply_schedule(struct apply *a);
/* What was last applied: a peer by its key in base64 (NULL: it is gone); the routes of a link as it was
 * wanted, but for what is only kept; forwarding, of what was before. */
void apply_set_peer(struct network *n, const char *key, const struct wg_peer *p);
void apply_set_routes(struct network *n, const struct wg_link *l);
void apply_set_forwarding(struct apply *a, const struct host *desired, unsigned on, unsigned ours);
void apply_add_early(const struct apply *a, struct host *h);
void apply_look_for_conflicts(struct apply *a, struct network *n);

/* ---- apply_partial.c */

void apply_partial(struct apply *a);
