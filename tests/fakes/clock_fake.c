/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lib/clock.h with two clocks that may be ahead. Owns how far. Any thread may read.
 */
#include "tests/fakes/clock_fake.h"

#define clock_mono real_clock_mono
#define clock_wall real_clock_wall
#include "lib/clock.c"
#undef clock_mono
#undef clock_wall

uint64_t clock_mono(void);
int64_t clock_wall(void);

static _Atomic int64_t mono_ahead, wall_ahead;

uint64_t clock_mono(void)
{
	return real_clock_mono() + (uint64_t)mono_ahead * USEC_PER_SEC;
}

int64_t clock_wall(void)
{
	return real_clock_wall() + wall_ahead;
}

void clock_fake_step(int64_t seconds)
{
	mono_ahead += seconds;
	wall_ahead += seconds;
}

void clock_fake_step_wall(int64_t seconds)
{
	wall_ahead += seconds;
}
