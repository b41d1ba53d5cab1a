/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A kernel in memory: the second implementation of agent/kernel.h. It has the rules that matter (an
 * AllowedIP has one owner per link, a route one link, a link takes with it what hangs on it), counts,
 * and fails when told to. Foreign objects are simply not in it, as kernel_read never shows them.
 */
#pragma once

#include "agent/kernel.h"

/* A kernel without loop and events; kernel_new makes the same. */
struct kernel *kernel_fake_new(void);
/* Its state, to look at or to change behind the agent's back. Sorted; call host_sort after a change. */
struct host *kernel_fake_host(struct kernel *k);
/* What kernel_candidates answers from now on. */
void kernel_fake_set_candidates(struct kernel *k, const struct addr *a, size_t count);
/* What kernel_conflict answers for every prefix; NULL: none. Borrowed. */
void kernel_fake_set_conflict(struct kernel *k, const char *what);
/* The one prefix that kernel_blocked finds something in the way of; NULL: none. Borrowed. */
void kernel_fake_set_blocked(struct kernel *k, const char *prefix);
/* What kernel_way_to answers from now on; at first WAY_KNOWN. */
void kernel_fake_set_way(struct kernel *k, enum kernel_way way);
/* How often routes were read for kernel_conflict and kernel_blocked. */
unsigned long kernel_fake_looked(const struct kernel *k);
/* How often stale flows were forgotten. */
unsigned long kernel_fake_forgotten(const struct kernel *k);
/* The next `times` ops of this kind fail with `error` (negative). */
void kernel_fake_fail(struct kernel *k, enum op_kind kind, int error, unsigned times);
/* Calls `changed` of the configuration, at once. */
void kernel_fake_change(struct kernel *k);
/* Called after each op that was applied. */
void kernel_fake_watch(struct kernel *k, void (*applied)(void *owner, const struct op *op),
		       void *owner);
/* How many ops were applied, and peers retried, since the beginning. */
unsigned long kernel_fake_op_count(const struct kernel *k);
unsigned long kernel_fake_retry_count(const struct kernel *k);
/* The interface of the last kernel_unask; "": none. */
/* Somebody has asked for it. */
void kernel_fake_ask(struct kernel *k, const char *link);
const char *kernel_fake_unasked(const struct kernel *k);
