/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Time that a test sets forward: both clocks go on, this much ahead.
 */
#pragma once

#include <stdint.h>

void clock_fake_step(int64_t seconds);
/* The wall clock alone, backwards too. */
void clock_fake_step_wall(int64_t seconds);
