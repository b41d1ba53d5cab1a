/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * zlib in both directions, a piece at a time, so that a bomb costs what it is allowed to. Any thread.
 */
#include "lib/compress.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>

#define ZLIB_CONST
#include <zlib.h>

#define PIECE 16384

void zlib_deflate(const void *p, size_t n, struct buf *out)
{
	uint8_t piece[PIECE];
	z_stream z = { .next_in = p, .avail_in = (uInt)n };
	int r = deflateInit(&z, Z_DEFAULT_COMPRESSION);

	assert(r == Z_OK && n <= UINT_MAX);
	do {
		z.next_out = piece;
		z.avail_out = sizeof(piece);
		r = deflate(&z, Z_FINISH);
		buf_add(out, piece, sizeof(piece) - z.avail_out);
	} while (r == Z_OK);
	assert(r == Z_STREAM_END);
	deflateEnd(&z);
}

int zlib_inflate(const void *p, size_t n, size_t max, struct buf *out)
{
	uint8_t piece[PIECE];
	z_stream z = { .next_in = p, .avail_in = (uInt)n };
	size_t len = 0;
	int r;

	if (n > UINT_MAX)
		return -EBADMSG;
	r = inflateInit(&z);
	assert(r == Z_OK);
	do {
		z.next_out = piece;
		z.avail_out = sizeof(piece);
		r = inflate(&z, Z_NO_FLUSH);
		len += sizeof(piece) - z.avail_out;
		if (len <= max)
			buf_add(out, piece, sizeof(piece) - z.avail_out);
	} while (r == Z_OK && len <= max);
	inflateEnd(&z);
	if (len > max)
		return -EFBIG;
	return r == Z_STREAM_END && z.avail_in == 0 ? 0 : -EBADMSG;
}
