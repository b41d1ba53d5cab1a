/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * zlib: round trips, limits, damage, bombs.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/compress.h"

TEST(round_trips)
{
	static const size_t sizes[] = { 0, 1, 100, 16383, 16384, 16385, 100000, 1000000 };

	srand(1);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct buf in = { 0 }, packed = { 0 }, out = { 0 };

		for (size_t k = 0; k < sizes[i]; k++)
			buf_char(&in, i % 2 ? (char)rand() : (char)(k / 7));
		buf_str(&out, "before");
		zlib_deflate(buf_cstr(&in), in.len, &packed);
		CHECK_INT(zlib_inflate(packed.data, packed.len, in.len, &out), 0);
		CHECK_INT(out.len, 6 + in.len);
		CHECK(memcmp(out.data, "before", 6) == 0);
		CHECK(memcmp(out.data + 6, buf_cstr(&in), in.len) == 0);
		if (in.len > 0)
			CHECK_INT(zlib_inflate(packed.data, packed.len, in.len - 1, &out), -EFBIG);
		buf_done(&in);
		buf_done(&packed);
		buf_done(&out);
	}
}

TEST(damage_is_seen)
{
	static const char text[] = "a journal's chunk, a journal's chunk, a journal's chunk";
	struct buf packed = { 0 }, out = { 0 };

	zlib_deflate(text, sizeof(text), &packed);
	for (size_t n = 0; n < packed.len; n++)
		CHECK_INT(zlib_inflate(packed.data, n, 1000, &out), -EBADMSG);
	/* Bits between the data's end and the checksum mean nothing; a change of any other is seen. */
	for (size_t i = 0; i < 8 * packed.len; i++) {
		buf_clear(&out);
		packed.data[i / 8] ^= (char)(1 << i % 8);
		if (zlib_inflate(packed.data, packed.len, 1000, &out) == 0) {
			CHECK_INT(i / 8, packed.len - 5);
			CHECK_INT(out.len, sizeof(text));
			CHECK_STR(buf_cstr(&out), text);
		}
		packed.data[i / 8] ^= (char)(1 << i % 8);
	}
	buf_char(&packed, 'x');
	CHECK_INT(zlib_inflate(packed.data, packed.len, 1000, &out), -EBADMSG);
	CHECK_INT(zlib_inflate("", 0, 1000, &out), -EBADMSG);
	CHECK_INT(zlib_inflate(text, sizeof(text), 1000, &out), -EBADMSG);
	buf_done(&packed);
	buf_done(&out);
}

/* A thousandfold: refused after the first bytes too many, with no more memory than was allowed. */
TEST(bomb_costs_what_is_allowed)
{
	static char zeros[1 << 20];
	struct buf packed = { 0 }, twice = { 0 }, out = { 0 };

	zlib_deflate(zeros, sizeof(zeros), &packed);
	CHECK(packed.len < 2000);
	CHECK_INT(zlib_inflate(packed.data, packed.len, 65536, &out), -EFBIG);
	CHECK(out.len <= 65536 && out.cap <= 4 * 65536);
	/* A bomb inside a bomb is data, not unpacked by itself. */
	zlib_deflate(packed.data, packed.len, &twice);
	buf_clear(&out);
	CHECK_INT(zlib_inflate(twice.data, twice.len, 2000, &out), 0);
	CHECK_INT(out.len, packed.len);
	buf_done(&packed);
	buf_done(&twice);
	buf_done(&out);
}

TEST_MAIN("compress")
