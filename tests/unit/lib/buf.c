/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lib/buf: growth, limits, ownership. */
#include "tests/test.h"

#include "lib/buf.h"
#include "lib/mem.h"

TEST(empty_is_a_string)
{
	struct buf b = { 0 };
	char *s;

	CHECK_STR(buf_cstr(&b), "");
	buf_str(&b, "");
	CHECK_STR(buf_cstr(&b), "");
	CHECK_INT(b.len, 0);
	buf_done(&b);
	s = buf_take(&b);
	CHECK_STR(s, "");
	free(s);
}

TEST(additions)
{
	struct buf b = { 0 };

	buf_str(&b, "one");
	buf_char(&b, ' ');
	buf_add(&b, "tw\0", 3);
	buf_printf(&b, "%d%s", 42, "x");
	CHECK_INT(b.len, 10);
	CHECK(memcmp(b.data,
		     "one tw\0"
		     "42x",
		     11) == 0);
	buf_clear(&b);
	CHECK_INT(b.len, 0);
	CHECK_STR(buf_cstr(&b), "");
	buf_str(&b, "again");
	CHECK_STR(buf_cstr(&b), "again");
	buf_done(&b);
	CHECK(!b.data && !b.cap);
}

TEST(grows_like_a_string)
{
	char *model = xcalloc(1, 300001), *taken;
	struct buf b = { 0 };
	size_t len = 0;

	srand(2);
	while (len < 290000) {
		char piece[2000];
		size_t n = (size_t)rand() % (sizeof(piece) - 1);

		for (size_t i = 0; i < n; i++)
			piece[i] = (char)('a' + rand() % 26);
		piece[n] = '\0';
		memcpy(model + len, piece, n + 1);
		len += n;
		if (rand() % 2)
			buf_printf(&b, "%s", piece);
		else
			buf_add(&b, piece, n);
		CHECK_INT(b.len, len);
		CHECK_INT(buf_cstr(&b)[len], 0);
	}
	CHECK(!b.failed);
	taken = buf_take(&b);
	CHECK_STR(taken, model);
	CHECK(!b.data && !b.len);
	free(taken);
	free(model);
}

TEST(failure_sticks)
{
	struct buf b = { .max = 10 };

	buf_str(&b, "0123456789");
	CHECK(!b.failed);
	buf_str(&b, "");
	CHECK(!b.failed);
	buf_char(&b, 'x');
	CHECK(b.failed);
	CHECK_STR(buf_cstr(&b), "0123456789");
	buf_clear(&b);
	CHECK(!b.failed);
	buf_printf(&b, "%011d", 1);
	CHECK(b.failed);
	CHECK_INT(b.len, 0);
	buf_str(&b, "fits");
	CHECK_INT(b.len, 0);
	buf_done(&b);
	CHECK_INT(b.max, 10);
}

TEST(long_printf_against_the_limit)
{
	struct buf b = { .max = 1000 };

	buf_printf(&b, "%01000d", 0);
	CHECK(!b.failed);
	CHECK_INT(b.len, 1000);
	buf_clear(&b);
	buf_printf(&b, "%01001d", 0);
	CHECK(b.failed);
	CHECK_INT(b.len, 0);
	buf_done(&b);
}

TEST_MAIN("buf")
