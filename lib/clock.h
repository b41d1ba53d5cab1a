/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Time. Monotonic time is uint64_t microseconds; wall time is int64_t seconds since 1970 (UTC).
 * Durations on the command line and in the API are `90s 10m 24h 30d never`.
 */
#pragma once

#include <stdint.h>

#include "lib/base.h"

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)
#define CLOCK_NEVER UINT64_MAX /* a deadline that never comes */
#define DURATION_NEVER INT64_MAX

uint64_t clock_mono(void);
int64_t clock_wall(void);

#define CLOCK_RFC3339_SIZE 21 /* 2026-11-24T22:11:36Z and NUL */
/* Writes RFC 3339 UTC with second precision. */
void clock_rfc3339(int64_t wall, char ret[static CLOCK_RFC3339_SIZE]);
int clock_rfc3339_parse(const char *s, int64_t *ret) MUST_CHECK;

/* `90s 10m 24h 30d never`, whole numbers; seconds. -EINVAL otherwise, -ERANGE above 100 years. */
int duration_parse(const char *s, int64_t *ret) MUST_CHECK;
#define DURATION_SIZE 24
void duration_format(int64_t seconds, char ret[static DURATION_SIZE]);
