/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text encodings and strict readers. Nothing here allocates but where it says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"

/* Lower-case hex; `ret` holds 2 * n + 1. */
void hex_encode(const void *p, size_t n, char *ret);
/* Exactly 2 * n lower-case digits and the end. */
int hex_decode(const char *s, void *ret, size_t n) MUST_CHECK;

/* RFC 4648 base64 with padding (as `wg` prints keys). `ret` holds 4 * ((n + 2) / 3) + 1. */
void base64_encode(const void *p, size_t n, char *ret);
/* RFC 4648 base64url without padding. `ret` holds (4 * n + 2) / 3 + 1. */
void base64url_encode(const void *p, size_t n, char *ret);
/* Strict (no white space, canonical last bits); returns the length, or -EBADMSG, or -E2BIG when it
 * would not fit into `max` bytes. */
long base64_decode(const char *s, size_t len, void *ret, size_t max) MUST_CHECK;
long base64url_decode(const char *s, size_t len, void *ret, size_t max) MUST_CHECK;

/* RFC 4648 base32, lower case, without padding, the first `chars` characters and NUL. */
void base32_prefix(const void *p, size_t n, char *ret, size_t chars);

/* Decimal digits only, no sign, no leading zero, within [min, max]. -EINVAL, -ERANGE. */
int u64_parse(const char *s, uint64_t min, uint64_t max, uint64_t *ret) MUST_CHECK;

/* [a-z0-9-]{1,63}, not beginning or ending with '-'. */
bool text_is_label(const char *s);
/* A wished name made a label: cut at the first dot, lower case, everything else '-', at most 63,
 * dashes at the ends taken away; "node" when nothing is left. */
void text_make_label(const char *wish, char ret[static 64]);
