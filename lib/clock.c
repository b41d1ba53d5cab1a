/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Time and its text forms. Owns nothing; any thread.
 */
#include "lib/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DURATION_MAX (INT64_C(100) * 365 * 86400)
/* The last second of the year 9999: RFC 3339 has four digits for a year. */
#define WALL_MAX INT64_C(253402300799)

static const struct {
	char unit;
	int64_t seconds;
} units[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };

/* Exactly `n` digits; -1 when they are not. */
static int digits(const char *s, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (s[i] - '0');
	}
	return v;
}

uint64_t clock_mono(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

int64_t clock_wall(void)
{
	struct timespec t;

	/* Not time(2): that reads a coarser clock, up to a tick behind. */
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec;
}

void clock_rfc3339(int64_t wall, char ret[static CLOCK_RFC3339_SIZE])
{
	time_t t = (time_t)MIN(MAX(wall, INT64_C(0)), WALL_MAX);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(ret, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

int clock_rfc3339_parse(const char *s, int64_t *ret)
{
	static const char shape[] = "####-##-##T##:##:##Z";
	char again[CLOCK_RFC3339_SIZE];
	struct tm tm = { 0 };
	int64_t wall;

	if (strnlen(s, sizeof(shape)) != sizeof(shape) - 1)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(shape) - 1; i++)
		if (shape[i] == '#' ? digits(s + i, 1) < 0 : s[i] != shape[i])
			return -EINVAL;
	tm.tm_year = digits(s, 4) - 1900;
	tm.tm_mon = digits(s + 5, 2) - 1;
	tm.tm_mday = digits(s + 8, 2);
	tm.tm_hour = digits(s + 11, 2);
	tm.tm_min = digits(s + 14, 2);
	tm.tm_sec = digits(s + 17, 2);
	wall = timegm(&tm);
	if (wall < 0)
		return -EINVAL;
	/* timegm brings 30 February and 25:00 into shape: what changed was no date. */
	clock_rfc3339(wall, again);
	if (strcmp(again, s) != 0)
		return -EINVAL;
	*ret = wall;
	return 0;
}

int duration_parse(const char *s, int64_t *ret)
{
	int64_t n = 0;
	bool large = false;

	if (strcmp(s, "never") == 0) {
		*ret = DURATION_NEVER;
		return 0;
	}
	if (digits(s, 1) < 0 || (s[0] == '0' && digits(s + 1, 1) >= 0))
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		n = n * 10 + (*s - '0');
		if (n > DURATION_MAX) {
			large = true;
			n = DURATION_MAX;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (s[0] != units[i].unit || s[1] != '\0')
			continue;
		if (large || n > DURATION_MAX / units[i].seconds)
			return -ERANGE;
		*ret = n * units[i].seconds;
		return 0;
	}
	return -EINVAL;
}

void duration_format(int64_t seconds, char ret[static DURATION_SIZE])
{
	size_t i = 0;

	if (seconds == DURATION_NEVER) {
		strcpy(ret, "never");
		return;
	}
	while (i < ARRAY_SIZE(units) - 1 && (seconds == 0 || seconds % units[i].seconds != 0))
		i++;
	snprintf(ret, DURATION_SIZE, "%" PRId64 "%c", seconds / units[i].seconds, units[i].unit);
}
