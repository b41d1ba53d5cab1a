/* SPDX-License-Identifier: GPL-3.0-or-later */
/* zlib (RFC 1950) with a limit on what comes out. The only user of zlib. */
#pragma once

#include <stddef.h>

#include "lib/buf.h"

void zlib_deflate(const void *p, size_t n, struct buf *out);
/* Appends; -EFBIG when more than `max` bytes would come out, -EBADMSG when it is not zlib, is cut
 * short, or has bytes after its end. */
int zlib_inflate(const void *p, size_t n, size_t max, struct buf *out) MUST_CHECK;
