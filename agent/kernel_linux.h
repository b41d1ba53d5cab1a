/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of the Linux implementation of agent/kernel.h share; private to them:
 * kernel_linux.c opens and reads; kernel_around.c looks at others' routes; kernel_apply.c changes;
 * kernel_watch.c hears.
 */
#pragma once

#include "agent/kernel.h"
#include "agent/rt.h"
#include "agent/wg.h"

struct kernel_source {
	struct nl *events;
	struct loop_io io;
	struct kernel *kernel;
};

struct kernel {
	struct loop *loop; /* NULL: nothing is watched */
	struct kernel_config config;
	struct wg wg;
	struct nl *netfilter; /* NULL: this kernel has none */

	char *nft_text;		      /* last applied; NULL: none by this process */
	char reported[HASH_HEX_SIZE]; /* --firewall report: what was logged */

	/* kernel_watch.c */
	struct kernel_source sources[2];
	struct loop_timer due;
	uint8_t ours_seen[HASH_LEN], host_seen[HASH_LEN];
	bool meddled;	      /* seen before kernel_apply changed the picture */
	unsigned switched_on; /* FORWARD_: somebody else did, since the last kernel_read */

	/* kernel_around.c: others' routes */
	bool looking, looked;
	struct rt_link *links;
	struct rt_route *routes;
	size_t link_count, route_count;

	char message[OP_TEXT_SIZE + 256];
};

/* ---- kernel_linux.c */

/* The back end of an interface of this kind; NULL: it is none of ours. */
const struct wg_backend *kernel_backend_for(const char *kind);
/* -ENODEV when it is not there or not ours. */
int kernel_find(struct kernel *k, const char *name, struct rt_link *ret,
		const struct wg_backend **ret_backend) MUST_CHECK;
/* Hashes of what kernel_read reads but for devices and peers, and of kernel_candidates and bridges. */
int kernel_picture(struct kernel *k, uint8_t ret_ours[static HASH_LEN],
		   uint8_t ret_host[static HASH_LEN]) MUST_CHECK;

/* ---- kernel_watch.c */

int kernel_watch_start(struct kernel *k) MUST_CHECK;
void kernel_watch_stop(struct kernel *k);
/* Around our own changes of what is watched: what others did before is not taken for ours, what we
 * do is not taken for theirs. */
void kernel_watch_pause(struct kernel *k);
void kernel_watch_resume(struct kernel *k);
/* Takes what has come, before its turn. */
void kernel_watch_hear(struct kernel *k);
