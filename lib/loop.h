/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The one loop of a daemon: poll(2), with the set of descriptors built anew each turn, so interest
 * never goes stale (libmosquitto closes and reopens its descriptor behind our back).
 *
 * The structs are embedded in their owner, which finds itself with container_of; the loop allocates
 * nothing per entry and owns nothing. Adding and removing during dispatch is allowed, removing
 * what is not added does nothing. One thread; loop_wake() alone may be called from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"

struct loop;

struct loop_io {
	int fd;	    /* negative: skipped this turn */
	short want; /* POLLIN, POLLOUT */
	void (*ready)(struct loop_io *io, short got);
	struct loop_io *next; /* the loop's */
	bool added;	      /* the loop's */
};

/* Fires once when loop_now() has reached `due`; it is removed before `fired` is called. */
struct loop_timer {
	uint64_t due; /* set by loop_timer_set */
	void (*fired)(struct loop_timer *t);
	size_t index; /* the loop's */
	bool added;   /* the loop's */
};

/* Called each turn just before poll: the place to set fd and want, or to flush. */
struct loop_hook {
	void (*prepare)(struct loop_hook *h);
	struct loop_hook *next; /* the loop's */
	bool added;		/* the loop's */
};

/* Handles SIGTERM and SIGINT (the loop ends) and ignores SIGPIPE. */
struct loop *loop_new(void);
void loop_free(struct loop *l);

void loop_io_add(struct loop *l, struct loop_io *io);
void loop_io_del(struct loop *l, struct loop_io *io);
/* Sets the deadline (monotonic microseconds) and adds it; CLOCK_NEVER removes it. */
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t due);
void loop_timer_del(struct loop *l, struct loop_timer *t);
void loop_hook_add(struct loop *l, struct loop_hook *h);
void loop_hook_del(struct loop *l, struct loop_hook *h);

/* Monotonic microseconds, read once per turn. */
uint64_t loop_now(const struct loop *l);

/* Ends a poll(2) from any thread or signal handler; the hooks run next. */
void loop_wake(struct loop *l);
/* Makes loop_run return after this turn. */
void loop_stop(struct loop *l);
/* Was it told to end, by loop_stop (until loop_run has returned) or by a signal? For those who turn
 * it themselves. */
bool loop_stopped(const struct loop *l);
/* Runs until loop_stop or a signal; 0, or the negative errno of a poll(2) that cannot work. */
int loop_run(struct loop *l);
/* One turn that waits at most `max_wait` microseconds: for tests and programs of one request. */
int loop_turn(struct loop *l, uint64_t max_wait);
