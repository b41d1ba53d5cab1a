/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lib/clock: RFC 3339 and durations. */
#include "tests/test.h"

#include <errno.h>
#include <inttypes.h>

#include "lib/base.h"
#include "lib/clock.h"

TEST(monotonic_goes_forward)
{
	uint64_t a = clock_mono(), b;

	usleep(2000);
	b = clock_mono();
	CHECK(b - a >= 2000 && b - a < 60 * USEC_PER_SEC);
	CHECK(llabs(clock_wall() - (long long)time(NULL)) <= 1);
}

TEST(rfc3339_table)
{
	static const struct {
		int64_t wall;
		const char *text;
	} good[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ 951782400, "2000-02-29T00:00:00Z" },
		{ 1795558296, "2026-11-24T22:11:36Z" },
		{ 4294967296, "2106-02-07T06:28:16Z" },
		{ 253402300799, "9999-12-31T23:59:59Z" },
	};
	char text[CLOCK_RFC3339_SIZE];
	int64_t wall;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		clock_rfc3339(good[i].wall, text);
		CHECK_STR(text, good[i].text);
		CHECK_INT(clock_rfc3339_parse(good[i].text, &wall), 0);
		CHECK_INT(wall, good[i].wall);
	}
}

TEST(rfc3339_refuses)
{
	static const char *const bad[] = {
		"",
		"2026",
		"2026-11-24",
		"2026-11-24T22:11:36",
		"2026-11-24t22:11:36Z",
		"2026-11-24T22:11:36z",
		"2026-11-24 22:11:36Z",
		"2026-11-24T22:11:36+00:00",
		"2026-11-24T22:11:36.0Z",
		"2026-11-24T22:11:36ZZ",
		"2026-13-24T22:11:36Z",
		"2026-00-24T22:11:36Z",
		"2026-11-31T22:11:36Z",
		"2026-02-29T22:11:36Z",
		"2026-11-00T22:11:36Z",
		"2026-11-24T24:00:00Z",
		"2026-11-24T22:60:36Z",
		"2026-11-24T22:11:60Z",
		"1969-12-31T23:59:59Z",
		"0000-01-01T00:00:00Z",
		"+026-11-24T22:11:36Z",
		"2026-1 -24T22:11:36Z",
		" 026-11-24T22:11:36Z",
	};
	int64_t wall = 7;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (clock_rfc3339_parse(bad[i], &wall) != -EINVAL)
			test_end(false, "took %s", bad[i]);
		CHECK_INT(wall, 7);
	}
}

TEST(rfc3339_round_trip)
{
	char text[CLOCK_RFC3339_SIZE];
	int64_t wall;

	srand(3);
	for (int i = 0; i < 20000; i++) {
		int64_t t = (int64_t)(((uint64_t)rand() << 31 | (uint64_t)rand()) %
				      UINT64_C(253402300800));

		clock_rfc3339(t, text);
		CHECK_INT(strlen(text), CLOCK_RFC3339_SIZE - 1);
		CHECK_INT(clock_rfc3339_parse(text, &wall), 0);
		CHECK_INT(wall, t);
	}
}

TEST(rfc3339_stays_in_its_size)
{
	char text[CLOCK_RFC3339_SIZE];

	clock_rfc3339(INT64_MAX, text);
	CHECK_STR(text, "9999-12-31T23:59:59Z");
	clock_rfc3339(INT64_MIN, text);
	CHECK_STR(text, "1970-01-01T00:00:00Z");
}

TEST(duration_table)
{
	static const struct {
		const char *text;
		int r;
		int64_t seconds;
	} table[] = {
		{ "90s", 0, 90 },
		{ "10m", 0, 600 },
		{ "24h", 0, 86400 },
		{ "30d", 0, 30 * 86400 },
		{ "0s", 0, 0 },
		{ "never", 0, DURATION_NEVER },
		{ "36500d", 0, INT64_C(36500) * 86400 },
		{ "36501d", -ERANGE, 0 },
		{ "3153600001s", -ERANGE, 0 },
		{ "99999999999999999999999999s", -ERANGE, 0 },
		{ "99999999999999999999999999x", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "s", -EINVAL, 0 },
		{ "10", -EINVAL, 0 },
		{ "10 s", -EINVAL, 0 },
		{ " 10s", -EINVAL, 0 },
		{ "10s ", -EINVAL, 0 },
		{ "010s", -EINVAL, 0 },
		{ "00s", -EINVAL, 0 },
		{ "-1s", -EINVAL, 0 },
		{ "+1s", -EINVAL, 0 },
		{ "1.5h", -EINVAL, 0 },
		{ "1h30m", -EINVAL, 0 },
		{ "1S", -EINVAL, 0 },
		{ "1w", -EINVAL, 0 },
		{ "Never", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		int64_t seconds = -1;
		int r = duration_parse(table[i].text, &seconds);

		if (r != table[i].r || seconds != (r ? -1 : table[i].seconds))
			test_end(false, "%s: %d, %" PRId64, table[i].text, r, seconds);
	}
}

TEST(duration_round_trip)
{
	char text[DURATION_SIZE];
	int64_t again;

	duration_format(DURATION_NEVER, text);
	CHECK_STR(text, "never");
	duration_format(7200, text);
	CHECK_STR(text, "2h");
	duration_format(7201, text);
	CHECK_STR(text, "7201s");
	duration_format(0, text);
	CHECK_STR(text, "0s");
	srand(4);
	for (int i = 0; i < 20000; i++) {
		static const int64_t units[] = { 1, 60, 3600, 86400 };
		int64_t seconds = rand() % 30000 * units[rand() % 4];

		duration_format(seconds, text);
		CHECK_INT(duration_parse(text, &again), 0);
		CHECK_INT(again, seconds);
	}
}

TEST_MAIN("clock")
