/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text encodings and strict readers, tables and arithmetic. Owns nothing; any thread.
 */
#include "lib/text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";
static const char base32_digits[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The place of `c` in `alphabet`, -1 when it is not there. */
static int digit_value(const char *alphabet, char c)
{
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

/* The `bits` bits of `p` that begin at bit `at`, the first one highest; zeros after the end. */
static unsigned bits_at(const uint8_t *p, size_t n, size_t at, unsigned bits)
{
	size_t i = at / 8;
	unsigned two = (unsigned)p[i] << 8 | (i + 1 < n ? p[i + 1] : 0U);

	return two >> (16 - at % 8 - bits) & ((1U << bits) - 1);
}

/* Returns the characters written; no padding, no NUL. */
static size_t encode64(const uint8_t *p, size_t n, const char *alphabet, char *ret)
{
	size_t len = (4 * n + 2) / 3;

	for (size_t i = 0; i < len; i++)
		ret[i] = alphabet[bits_at(p, n, 6 * i, 6)];
	return len;
}

static long decode64(const char *s, size_t len, const char *alphabet, uint8_t *ret, size_t max)
{
	size_t n = len / 4 * 3 + len % 4 * 3 / 4;
	uint32_t held = 0;
	unsigned bits = 0;

	if (len % 4 == 1)
		return -EBADMSG;
	if (n > max)
		return -E2BIG;
	for (size_t i = 0; i < len; i++) {
		int v = digit_value(alphabet, s[i]);

		if (v < 0)
			return -EBADMSG;
		held = held << 6 | (uint32_t)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			*ret++ = (uint8_t)(held >> bits);
			held &= (1U << bits) - 1;
		}
	}
	/* Bits that no byte uses: two texts would mean the same. */
	return held ? -EBADMSG : (long)n;
}

void hex_encode(const void *p, size_t n, char *ret)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++) {
		*ret++ = hex_digits[b[i] >> 4];
		*ret++ = hex_digits[b[i] & 15];
	}
	*ret = '\0';
}

int hex_decode(const char *s, void *ret, size_t n)
{
	uint8_t *b = ret;

	if (strnlen(s, 2 * n + 1) != 2 * n)
		return -EINVAL;
	for (size_t i = 0; i < 2 * n; i++)
		if (digit_value(hex_digits, s[i]) < 0)
			return -EINVAL;
	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)((unsigned)digit_value(hex_digits, s[2 * i]) << 4 |
				 (unsigned)digit_value(hex_digits, s[2 * i + 1]));
	return 0;
}

void base64_encode(const void *p, size_t n, char *ret)
{
	size_t len = encode64(p, n, base64_digits, ret);

	while (len % 4)
		ret[len++] = '=';
	ret[len] = '\0';
}

void base64url_encode(const void *p, size_t n, char *ret)
{
	ret[encode64(p, n, base64url_digits, ret)] = '\0';
}

long base64_decode(const char *s, size_t len, void *ret, size_t max)
{
	if (len % 4)
		return -EBADMSG;
	for (int i = 0; i < 2 && len && s[len - 1] == '='; i++)
		len--;
	return decode64(s, len, base64_digits, ret, max);
}

long base64url_decode(const char *s, size_t len, void *ret, size_t max)
{
	return decode64(s, len, base64url_digits, ret, max);
}

void base32_prefix(const void *p, size_t n, char *ret, size_t chars)
{
	assert(chars <= (8 * n + 4) / 5);
	for (size_t i = 0; i < chars; i++)
		ret[i] = base32_digits[bits_at(p, n, 5 * i, 5)];
	ret[chars] = '\0';
}

int u64_parse(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	bool large = false;

	if (!*s || (s[0] == '0' && s[1]))
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		large |= __builtin_mul_overflow(v, UINT64_C(10), &v) ||
			 __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v);
	}
	if (large || v < min || v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

bool text_is_label(const char *s)
{
	size_t n = strnlen(s, 64);

	if (n == 0 || n > 63 || s[0] == '-' || s[n - 1] == '-')
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") >= n;
}

void text_make_label(const char *wish, char ret[static 64])
{
	size_t n = 0;

	for (; *wish && *wish != '.' && n < 63; wish++) {
		char c = *wish;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		else if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
			c = '-';
		if (c != '-' || n > 0)
			ret[n++] = c;
	}
	while (n > 0 && ret[n - 1] == '-')
		n--;
	ret[n] = '\0';
	if (n == 0)
		memcpy(ret, "node", sizeof("node"));
}
