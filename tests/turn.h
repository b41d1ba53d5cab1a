/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For tests that wait for what a loop does.
 */
#pragma once

#include "lib/clock.h"
#include "lib/loop.h"
#include "tests/test.h"

/* Turns the loop until `cond` holds; fails after `ms`. */
#define TURN_UNTIL(loop, cond, ms)                                                                 \
	do {                                                                                       \
		uint64_t end_ = clock_mono() + (ms)*USEC_PER_MSEC;                                 \
		while (!(cond) && clock_mono() < end_)                                             \
			loop_turn(loop, 10 * USEC_PER_MSEC);                                       \
		CHECK(cond);                                                                       \
	} while (0)

/* Turns it so long. */
static inline void turn_for(struct loop *l, unsigned ms)
{
	uint64_t end = clock_mono() + ms * USEC_PER_MSEC;

	while (clock_mono() < end)
		loop_turn(l, 10 * USEC_PER_MSEC);
}
