/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lib/text: encodings against RFC 4648's vectors and back, strict readers, labels. */
#include "tests/test.h"

#include <errno.h>

#include "lib/text.h"

static void random_bytes(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)rand();
}

TEST(rfc4648_vectors)
{
	static const struct {
		const char *plain, *base64, *base32, *hex;
	} table[] = {
		{ "", "", "", "" },
		{ "f", "Zg==", "my", "66" },
		{ "fo", "Zm8=", "mzxq", "666f" },
		{ "foo", "Zm9v", "mzxw6", "666f6f" },
		{ "foob", "Zm9vYg==", "mzxw6yq", "666f6f62" },
		{ "fooba", "Zm9vYmE=", "mzxw6ytb", "666f6f6261" },
		{ "foobar", "Zm9vYmFy", "mzxw6ytboi", "666f6f626172" },
	};
	char text[40], back[8];

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		size_t n = strlen(table[i].plain);

		base64_encode(table[i].plain, n, text);
		CHECK_STR(text, table[i].base64);
		CHECK_INT(base64_decode(text, strlen(text), back, sizeof(back)), n);
		CHECK(memcmp(back, table[i].plain, n) == 0);
		base32_prefix(table[i].plain, n, text, strlen(table[i].base32));
		CHECK_STR(text, table[i].base32);
		hex_encode(table[i].plain, n, text);
		CHECK_STR(text, table[i].hex);
	}
	base64_encode("\xfb\xff\xfe", 3, text);
	CHECK_STR(text, "+//+");
	base64url_encode("\xfb\xff\xfe", 3, text);
	CHECK_STR(text, "-__-");
	base64url_encode("f", 1, text);
	CHECK_STR(text, "Zg");
	base32_prefix("foobar", 6, text, 3);
	CHECK_STR(text, "mzx");
}

TEST(round_trips)
{
	uint8_t bytes[70], back[70];
	char text[200];

	srand(6);
	for (int i = 0; i < 20000; i++) {
		size_t n = (size_t)rand() % sizeof(bytes);

		random_bytes(bytes, n);
		base64_encode(bytes, n, text);
		CHECK_INT(strlen(text), 4 * ((n + 2) / 3));
		CHECK_INT(base64_decode(text, strlen(text), back, n), n);
		CHECK(memcmp(back, bytes, n) == 0);
		base64url_encode(bytes, n, text);
		CHECK_INT(strlen(text), (4 * n + 2) / 3);
		CHECK_INT(base64url_decode(text, strlen(text), back, n), n);
		CHECK(memcmp(back, bytes, n) == 0);
		if (n)
			CHECK_INT(base64url_decode(text, strlen(text), back, n - 1), -E2BIG);
		hex_encode(bytes, n, text);
		memset(back, 0, sizeof(back));
		CHECK_INT(hex_decode(text, back, n), 0);
		CHECK(memcmp(back, bytes, n) == 0);
	}
}

/* A text that is taken is the one text of its bytes. */
TEST(base64_is_canonical)
{
	static const char alphabet[] = "ABCQgwZz019+/-_= \n";
	uint8_t bytes[16];
	char text[16], again[32];
	int taken = 0;

	srand(7);
	for (int i = 0; i < 300000; i++) {
		size_t len = (size_t)rand() % 9;
		long n;

		for (size_t k = 0; k < len; k++)
			text[k] = alphabet[(size_t)rand() % (sizeof(alphabet) - 1)];
		text[len] = '\0';
		n = base64_decode(text, len, bytes, sizeof(bytes));
		if (n >= 0) {
			base64_encode(bytes, (size_t)n, again);
			CHECK_STR(again, text);
			taken++;
		}
		n = base64url_decode(text, len, bytes, sizeof(bytes));
		if (n >= 0) {
			base64url_encode(bytes, (size_t)n, again);
			CHECK_STR(again, text);
			taken++;
		}
	}
	CHECK(taken > 1000);
}

TEST(base64_refuses)
{
	static const char *const bad[] = { "Z",	   "Zg",    "Zg=",	"Zh==",	  "Zm9=",
					   "====", "Z===",  "Zg==Zg==", "Zm9v\n", "Zm 9",
					   "=m9v", "Zm9v=", "Zm-v",	"Zm_v" };
	static const char *const bad_url[] = { "Z", "Zh", "Zm9", "Zg==", "Zm+v", "Zm/v", "Zm9vZ" };
	uint8_t bytes[16];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (base64_decode(bad[i], strlen(bad[i]), bytes, sizeof(bytes)) != -EBADMSG)
			test_end(false, "took %s", bad[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad_url); i++)
		if (base64url_decode(bad_url[i], strlen(bad_url[i]), bytes, sizeof(bytes)) !=
		    -EBADMSG)
			test_end(false, "took %s", bad_url[i]);
	CHECK_INT(base64_decode("Zm\0v", 4, bytes, sizeof(bytes)), -EBADMSG);
	CHECK_INT(base64_decode("Zm9v", 4, bytes, 2), -E2BIG);
	CHECK_INT(base64_decode("Zm9v", 4, bytes, 3), 3);
}

TEST(hex_refuses)
{
	uint8_t bytes[2] = { 7, 7 };

	CHECK_INT(hex_decode("00fg", bytes, 2), -EINVAL);
	CHECK_INT(hex_decode("00FF", bytes, 2), -EINVAL);
	CHECK_INT(hex_decode("00f", bytes, 2), -EINVAL);
	CHECK_INT(hex_decode("00ff0", bytes, 2), -EINVAL);
	CHECK_INT(hex_decode("", bytes, 2), -EINVAL);
	CHECK_INT(hex_decode(" 0ff", bytes, 2), -EINVAL);
	CHECK(bytes[0] == 7 && bytes[1] == 7);
	CHECK_INT(hex_decode("00ff", bytes, 2), 0);
	CHECK(bytes[0] == 0 && bytes[1] == 255);
	CHECK_INT(hex_decode("", bytes, 0), 0);
}

TEST(numbers)
{
	static const struct {
		const char *text;
		uint64_t min, max;
		int r;
		uint64_t value;
	} table[] = {
		{ "0", 0, 10, 0, 0 },
		{ "10", 0, 10, 0, 10 },
		{ "11", 0, 10, -ERANGE, 0 },
		{ "4", 5, 10, -ERANGE, 0 },
		{ "18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", 0, UINT64_MAX, -ERANGE, 0 },
		{ "36893488147419103232", 0, UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999999x", 0, UINT64_MAX, -EINVAL, 0 },
		{ "", 0, 10, -EINVAL, 0 },
		{ "00", 0, 10, -EINVAL, 0 },
		{ "01", 0, 10, -EINVAL, 0 },
		{ "+1", 0, 10, -EINVAL, 0 },
		{ "-1", 0, 10, -EINVAL, 0 },
		{ " 1", 0, 10, -EINVAL, 0 },
		{ "1 ", 0, 10, -EINVAL, 0 },
		{ "0x1", 0, 10, -EINVAL, 0 },
		{ "1\xff", 0, 10, -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		uint64_t v = 77;
		int r = u64_parse(table[i].text, table[i].min, table[i].max, &v);

		if (r != table[i].r || v != (r ? 77 : table[i].value))
			test_end(false, "%s: %d", table[i].text, r);
	}
}

TEST(labels)
{
	static const char sixty_three[] =
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123";
	static const char sixty_four[] =
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234";

	CHECK_INT(strlen(sixty_three), 63);
	CHECK(text_is_label("a") && text_is_label("0") && text_is_label("a-b--c9"));
	CHECK(text_is_label(sixty_three));
	CHECK(!text_is_label(sixty_four));
	CHECK(!text_is_label("") && !text_is_label("-") && !text_is_label("-a"));
	CHECK(!text_is_label("a-") && !text_is_label("A") && !text_is_label("a_b"));
	CHECK(!text_is_label("a.b") && !text_is_label("a/b") && !text_is_label("a+"));
	CHECK(!text_is_label("\xc3\xa4") && !text_is_label("a b") && !text_is_label("a\n"));
}

TEST(wishes)
{
	static const struct {
		const char *wish, *label;
	} table[] = {
		{ "Web-1.example.com", "web-1" },
		{ "db_1", "db-1" },
		{ "--x--", "x" },
		{ "", "node" },
		{ ".local", "node" },
		{ "___", "node" },
		{ "caf\xc3\xa9", "caf" },
		{ "a b", "a-b" },
		{ "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff12345",
		  "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123" },
		{ "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff12-45",
		  "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff12" },
	};
	char label[64], again[64], wish[100];

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		text_make_label(table[i].wish, label);
		CHECK_STR(label, table[i].label);
	}
	srand(8);
	for (int i = 0; i < 50000; i++) {
		size_t n = (size_t)rand() % sizeof(wish);

		for (size_t k = 0; k < n; k++)
			wish[k] = rand() % 3 ? (char)('+' + rand() % 80) : (char)(1 + rand() % 255);
		wish[n] = '\0';
		text_make_label(wish, label);
		CHECK(text_is_label(label));
		text_make_label(label, again);
		CHECK_STR(again, label);
	}
}

TEST_MAIN("text")
