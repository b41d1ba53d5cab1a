/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A growable byte string, always followed by a NUL byte. Errors stick: once `max` would be passed
 * `failed` is set, further additions do nothing, and one check at the end is enough.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base.h"

struct buf {
	char *data; /* NULL while empty */
	size_t len;
	size_t cap;
	size_t max; /* 0: no limit */
	bool failed;
};

/* A zeroed struct buf is a valid empty one without limit. */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
/* Empties it, keeps the memory. */
void buf_clear(struct buf *b);
/* Frees it; a secret in it is wiped. */
void buf_done(struct buf *b);
/* The string (never NULL), to be freed by the caller; the buffer is empty afterwards. */
char *buf_take(struct buf *b);
/* The string, borrowed; "" when empty. */
const char *buf_cstr(const struct buf *b);
