/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lib/addr: strict parsing, order, and prefix arithmetic against a bit-by-bit reference. */
#include "tests/test.h"

#include <errno.h>
#include <netinet/in.h>

#include "lib/addr.h"

static struct addr A(const char *s) {
	struct addr a;

	if (addr_parse(s, &a) < 0)
		test_end(false, "not an address: %s", s);
	return a;
}

static struct prefix
P(const char *s) {
	struct prefix p;

	if (prefix_parse(s, &p) < 0)
		test_end(false, "not a prefix: %s", s);
	return p;
}

static struct addr
random_addr(void)
{
	struct addr a = { .family = rand() % 2 ? AF_INET : AF_INET6 };

	/* Many zeros and ones, so that neighbours and overlaps are common. */
	for (unsigned i = 0; i < addr_bits(&a) / 8; i++)
		a.bytes[i] = rand() % 3 ? (uint8_t)(rand() % 2 ? 0 : 255) : (uint8_t)rand();
	return a;
}

static struct prefix random_prefix(void)
{
	struct prefix p = { .addr = random_addr() };

	p.len = (uint8_t)((unsigned)rand() % (addr_bits(&p.addr) + 1));
	return p;
}

/* The reference: one bit at a time. */
static int bit(const struct addr *a, unsigned i)
{
	return a->bytes[i / 8] >> (7 - i % 8) & 1;
}

static bool slow_same(const struct addr *a, const struct addr *b, unsigned len)
{
	if (a->family != b->family)
		return false;
	for (unsigned i = 0; i < len; i++)
		if (bit(a, i) != bit(b, i))
			return false;
	return true;
}

TEST(parse_and_format)
{
	static const char *const good[] = {
		"0.0.0.0",   "255.255.255.255",	     "10.7.0.1",	"::",	   "::1",
		"fd00:1::2", "2001:db8:1:2:3:4:5:6", "::ffff:10.0.0.1", "fe80::1",
	};
	static const struct {
		const char *in, *out;
	} other[] = {
		{ "FD00::A", "fd00::a" },
		{ "2001:0db8:0:0:0:0:0:1", "2001:db8::1" },
		{ "::ffff:a00:1", "::ffff:10.0.0.1" },
	};
	char text[ADDR_SIZE];
	struct addr a;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		a = A(good[i]);
		CHECK_STR(addr_format(&a, text), good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
		a = A(other[i].in);
		CHECK_STR(addr_format(&a, text), other[i].out);
	}
	a = (struct addr){ 0 };
	CHECK_STR(addr_format(&a, text), "");
	CHECK_INT(addr_bits(&a), 0);
}

TEST(parse_refuses)
{
	static const char *const bad[] = {
		"",
		"1",
		"1.2.3",
		"1.2.3.4.5",
		"01.2.3.4",
		"1.2.3.04",
		"1.2.3.256",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.4/8",
		"0x1.2.3.4",
		"1.2.3.-4",
		"1..3.4",
		"1.2.3.4\n",
		":",
		":::",
		"1::2::3",
		"::12345",
		"::g",
		"fe80::1%eth0",
		"[::1]",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"::1.2.3",
		"::01.2.3.4",
		"::1 ",
		"1.2.3.4:",
		"::1/128",
		"localhost",
	};
	struct addr a = { .family = 99 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (addr_parse(bad[i], &a) != -EINVAL)
			test_end(false, "took %s", bad[i]);
		CHECK_INT(a.family, 99);
	}
}

TEST(prefix_refuses)
{
	static const char *const bad[] = {
		"",
		"/",
		"10.0.0.0",
		"10.0.0.0/",
		"/8",
		"10.0.0.0/33",
		"10.0.0.0/08",
		"10.0.0.0/+8",
		"10.0.0.0/-1",
		"10.0.0.0/8/8",
		"10.0.0.0/8 ",
		"10.0.0.0 /8",
		"10.0.0/8",
		"::/129",
		"::/256",
		"::/18446744073709551616",
		"::/0x8",
		"1.2.3.4/255.0.0.0",
		"fe80::%1/64",
		"2001:db8:2001:db8:2001:db8:2001:db8:2001:db8:2001:db8/8",
	};
	struct prefix p = { .len = 99 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (prefix_parse(bad[i], &p) != -EINVAL)
			test_end(false, "took %s", bad[i]);
		CHECK_INT(p.len, 99);
	}
}

TEST(endpoints)
{
	static const char *const good[] = { "1.2.3.4:1", "[::1]:65535", "[fd00::a]:51830" };
	static const char *const bad[] = {
		"",
		":",
		":1",
		"1.2.3.4",
		"1.2.3.4:",
		"1.2.3.4:0",
		"1.2.3.4:65536",
		"1.2.3.4:01",
		"1.2.3.4:+1",
		"1.2.3.4:1 ",
		" 1.2.3.4:1",
		"::1:80",
		"[::1]",
		"[::1]:",
		"[::1]:0",
		"[1.2.3.4]:80",
		"[::1:80",
		"::1]:80",
		"[]:80",
		"[[::1]]:80",
		"[::1]x:80",
		"host:80",
		"[fe80::1%lo]:80",
		"1.2.3.4:80:80",
		"[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb]:80",
	};
	char text[ENDPOINT_SIZE];
	struct endpoint e = { .port = 9 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (endpoint_parse(bad[i], &e) != -EINVAL)
			test_end(false, "took %s", bad[i]);
		CHECK_INT(e.port, 9);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		CHECK_INT(endpoint_parse(good[i], &e), 0);
		CHECK_STR(endpoint_format(&e, text), good[i]);
	}
}

TEST(hostports)
{
	static const struct {
		const char *text, *host;
		int port;
	} good[] = {
		{ "broker:8883", "broker", 8883 },
		{ "Broker.example.com:1", "Broker.example.com", 1 },
		{ "10.0.0.1:80", "10.0.0.1", 80 },
		{ "[::1]:80", "::1", 80 },
		{ "a_b.c-d:80", "a_b.c-d", 80 },
		{ "1a.2b:80", "1a.2b", 80 },
	};
	static const char *const bad[] = {
		"",
		"x",
		"x:",
		":80",
		"x:0",
		"x:65536",
		"x:8 ",
		"x y:80",
		"-x:80",
		"x-:80",
		".x:80",
		"x.:80",
		"x..y:80",
		"::1:80",
		"[x]:80",
		"[1.2.3.4]:80",
		"10.1:80",
		"1.2.3.256:80",
		"01.2.3.4:80",
		"0x7f.1:80",
		"x.0x7f:80",
		"mqtts://x:80",
		"x/y:80",
		"x@y:80",
		"x:y:80",
		"\xc3\xa4:80",
		"x.123:80",
		"123:80",
		"x\n:80",
	};
	char host[HOST_SIZE], text[400];
	uint16_t port;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		CHECK_INT(hostport_parse(good[i].text, host, &port), 0);
		CHECK_STR(host, good[i].host);
		CHECK_INT(port, good[i].port);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (hostport_parse(bad[i], host, &port) != -EINVAL)
			test_end(false, "took %s", bad[i]);
	/* 253 characters are a name, 254 are none; 63 are a label, 64 are none. */
	for (int n = 250; n < 260; n++) {
		for (int i = 0; i < n; i++)
			text[i] = i % 50 == 49 ? '.' : 'a';
		strcpy(text + n, ":80");
		CHECK_INT(hostport_parse(text, host, &port), n <= 253 && n != 250 ? 0 : -EINVAL);
	}
	for (int n = 60; n < 70; n++) {
		memset(text, 'a', (size_t)n);
		strcpy(text + n, ".b:80");
		CHECK_INT(hostport_parse(text, host, &port), n <= 63 ? 0 : -EINVAL);
	}
}

TEST(round_trips)
{
	char text[ENDPOINT_SIZE];

	srand(9);
	for (int i = 0; i < 50000; i++) {
		struct prefix p = random_prefix(), p2;
		struct endpoint e = { .addr = random_addr(), .port = (uint16_t)(rand() | 1) }, e2;
		struct addr a2;
		struct sockaddr_storage sa;
		socklen_t len;

		addr_format(&p.addr, text);
		CHECK_INT(addr_parse(text, &a2), 0);
		CHECK_INT(addr_cmp(&p.addr, &a2), 0);
		prefix_format(&p, text);
		CHECK_INT(prefix_parse(text, &p2), 0);
		CHECK_INT(prefix_cmp(&p, &p2), 0);
		endpoint_format(&e, text);
		CHECK_INT(endpoint_parse(text, &e2), 0);
		CHECK_INT(endpoint_cmp(&e, &e2), 0);
		len = endpoint_to_sockaddr(&e, &sa);
		memset(&e2, 0, sizeof(e2));
		CHECK_INT(endpoint_from_sockaddr((struct sockaddr *)&sa, len, &e2), 0);
		CHECK_INT(endpoint_cmp(&e, &e2), 0);
		CHECK_INT(endpoint_from_sockaddr((struct sockaddr *)&sa, len - 1, &e2),
			  -EAFNOSUPPORT);
	}
}

TEST(order_is_total)
{
	srand(10);
	for (int i = 0; i < 50000; i++) {
		struct prefix a = random_prefix(), b = random_prefix(), c = random_prefix();
		struct endpoint x = { a.addr, 1 }, y = { a.addr, 65535 };

		CHECK_INT(prefix_cmp(&a, &a), 0);
		CHECK((prefix_cmp(&a, &b) < 0) == (prefix_cmp(&b, &a) > 0));
		if (prefix_cmp(&a, &b) <= 0 && prefix_cmp(&b, &c) <= 0)
			CHECK(prefix_cmp(&a, &c) <= 0);
		if (prefix_cmp(&a, &b) == 0)
			CHECK(a.len == b.len && slow_same(&a.addr, &b.addr, addr_bits(&a.addr)));
		CHECK(endpoint_cmp(&x, &y) < 0 && endpoint_cmp(&y, &x) > 0);
	}
}

TEST(contains_and_overlaps_as_bits_do)
{
	int yes = 0;

	srand(11);
	for (int i = 0; i < 200000; i++) {
		struct prefix a = random_prefix(), b = random_prefix();
		bool contains = slow_same(&a.addr, &b.addr, a.len);
		bool overlaps = slow_same(&a.addr, &b.addr, MIN(a.len, b.len));

		CHECK_INT(prefix_contains(&a, &b.addr), contains);
		CHECK_INT(prefix_overlaps(&a, &b), overlaps);
		CHECK_INT(prefix_overlaps(&b, &a), overlaps);
		yes += overlaps;
	}
	CHECK(yes > 5000);
}

TEST(network_clears_the_host_bits)
{
	srand(12);
	for (int i = 0; i < 50000; i++) {
		struct prefix p = random_prefix(), net = prefix_network(&p);
		bool zero = true;

		CHECK_INT(net.len, p.len);
		CHECK(slow_same(&net.addr, &p.addr, p.len));
		for (unsigned k = 0; k < addr_bits(&p.addr); k++) {
			if (k >= p.len)
				CHECK_INT(bit(&net.addr, k), 0);
			zero &= k < p.len || !bit(&p.addr, k);
		}
		CHECK_INT(prefix_is_network(&p), zero);
		CHECK(prefix_is_network(&net));
	}
}

TEST(nth_and_index_are_inverse)
{
	int inside = 0, outside = 0;

	srand(13);
	for (int i = 0; i < 200000; i++) {
		struct prefix p = random_prefix();
		uint64_t index = (uint64_t)rand() << 40 ^ (uint64_t)rand() << 20 ^ (uint64_t)rand();
		struct addr a = { .family = 99 };

		index >>= rand() % 64;
		if (prefix_nth(&p, index, &a)) {
			CHECK(prefix_contains(&p, &a));
			CHECK_INT(prefix_index(&p, &a), index);
			CHECK(index < prefix_count(&p));
			inside++;
		} else {
			CHECK(index >= prefix_count(&p));
			CHECK_INT(a.family, 99);
			outside++;
		}
		a = random_addr();
		index = prefix_index(&p, &a);
		if (index != UINT64_MAX) {
			struct addr again;

			CHECK(prefix_nth(&p, index, &again));
			CHECK_INT(addr_cmp(&a, &again), 0);
		} else if (prefix_count(&p) < UINT64_MAX) {
			CHECK(!prefix_contains(&p, &a));
		}
	}
	CHECK(inside > 10000 && outside > 10000);
}

TEST(nth_table)
{
	static const struct {
		const char *prefix;
		uint64_t index;
		const char *addr; /* NULL: outside */
	} table[] = {
		{ "10.7.0.0/16", 0, "10.7.0.0" },
		{ "10.7.0.0/16", 256, "10.7.1.0" },
		{ "10.7.0.0/16", 65535, "10.7.255.255" },
		{ "10.7.0.0/16", 65536, NULL },
		{ "10.7.3.4/16", 1, "10.7.0.1" },
		{ "10.7.0.1/32", 0, "10.7.0.1" },
		{ "10.7.0.1/32", 1, NULL },
		{ "0.0.0.0/0", UINT32_MAX, "255.255.255.255" },
		{ "0.0.0.0/0", (uint64_t)UINT32_MAX + 1, NULL },
		{ "fd00::/48", UINT64_MAX - 1, "fd00::ffff:ffff:ffff:fffe" },
		{ "fd00::/64", UINT64_MAX, "fd00::ffff:ffff:ffff:ffff" },
		{ "fd00::/65", UINT64_MAX >> 1, "fd00::7fff:ffff:ffff:ffff" },
		{ "fd00::/65", (UINT64_MAX >> 1) + 1, NULL },
		{ "fd00::5/128", 0, "fd00::5" },
		{ "::/0", 1, "::1" },
	};
	char text[ADDR_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct prefix p = P(table[i].prefix);
		struct addr a;
		bool is = prefix_nth(&p, table[i].index, &a);

		CHECK_INT(is, table[i].addr != NULL);
		if (is)
			CHECK_STR(addr_format(&a, text), table[i].addr);
	}
}

TEST(index_and_count_at_the_edges)
{
	struct prefix all = P("::/0"), wide = P("fd00::/48"), lan = P("10.7.0.0/16");
	struct addr a;

	a = A("1::");
	CHECK(prefix_index(&all, &a) == UINT64_MAX);
	a = A("0:0:0:1::");
	CHECK(prefix_index(&all, &a) == UINT64_MAX);
	a = A("fd00:0:0:1::");
	CHECK(prefix_index(&wide, &a) == UINT64_MAX);
	a = A("10.8.0.0");
	CHECK(prefix_index(&lan, &a) == UINT64_MAX);
	a = A("::a07:1");
	CHECK(prefix_index(&lan, &a) == UINT64_MAX);
	CHECK(prefix_count(&all) == UINT64_MAX);
	CHECK(prefix_count(&wide) == UINT64_MAX);
	CHECK_INT(prefix_count(&lan), 65536);
	all = P("fd00::/65");
	CHECK(prefix_count(&all) == UINT64_C(1) << 63);
	all = P("0.0.0.0/0");
	CHECK_INT(prefix_count(&all), INT64_C(1) << 32);
}

TEST(families_do_not_mix)
{
	struct prefix four = P("0.0.0.0/0"), six = P("::/0"), none = { .len = 0 };
	struct addr nothing = { .family = 0 };

	CHECK(!prefix_contains(&four, &six.addr) && !prefix_contains(&six, &four.addr));
	CHECK(!prefix_overlaps(&four, &six));
	CHECK(!prefix_contains(&none, &nothing) && !prefix_overlaps(&none, &none));
	CHECK(!prefix_nth(&none, 0, &nothing));
	CHECK(addr_cmp(&four.addr, &six.addr) < 0);
}

TEST(host_prefix)
{
	struct addr a = A("10.0.0.1"), b = A("10.0.0.2"), c = A("fd00::1");
	struct prefix p = prefix_host(&a), q = prefix_host(&c);

	CHECK_INT(p.len, 32);
	CHECK_INT(q.len, 128);
	CHECK(prefix_contains(&p, &a) && !prefix_contains(&p, &b) && prefix_contains(&q, &c));
}

TEST(kinds)
{
	enum { LOOPBACK = 1, LINK = 2, MULTICAST = 4, UNSPECIFIED = 8 };
	static const struct {
		const char *text;
		int kinds;
	} table[] = {
		{ "127.0.0.1", LOOPBACK },
		{ "127.255.255.255", LOOPBACK },
		{ "128.0.0.1", 0 },
		{ "::1", LOOPBACK },
		{ "::2", 0 },
		{ "169.254.1.1", LINK },
		{ "169.253.1.1", 0 },
		{ "fe80::1", LINK },
		{ "febf::1", LINK },
		{ "fec0::1", 0 },
		{ "224.0.0.1", MULTICAST },
		{ "239.255.255.255", MULTICAST },
		{ "240.0.0.1", 0 },
		{ "223.255.255.255", 0 },
		{ "ff02::1", MULTICAST },
		{ "fe00::1", 0 },
		{ "0.0.0.0", UNSPECIFIED },
		{ "::", UNSPECIFIED },
		{ "0.0.0.1", 0 },
		{ "10.0.0.1", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct addr a = A(table[i].text);
		int kinds = addr_is_loopback(&a) * LOOPBACK | addr_is_link_local(&a) * LINK |
			    addr_is_multicast(&a) * MULTICAST |
			    addr_is_unspecified(&a) * UNSPECIFIED;

		if (kinds != table[i].kinds)
			test_end(false, "%s: %d", table[i].text, kinds);
	}
}

TEST(private_addresses)
{
	static const struct {
		const char *text;
		bool private;
	} table[] = {
		{ "9.255.255.255", false },  { "10.0.0.0", true },	{ "10.255.255.255", true },
		{ "172.15.255.255", false }, { "172.16.0.0", true },	{ "172.31.255.255", true },
		{ "172.32.0.0", false },     { "192.168.255.1", true }, { "192.169.0.0", false },
		{ "100.63.255.255", false }, { "100.64.0.0", true },	{ "100.127.255.255", true },
		{ "100.128.0.0", false },    { "203.0.113.1", false },	{ "fbff::1", false },
		{ "fc00::1", true },	     { "fdff::1", true },	{ "fe00::1", false },
		{ "2001:db8::1", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct addr a = A(table[i].text);

		if (addr_is_private(&a) != table[i].private)
			test_end(false, "%s", table[i].text);
	}
}

TEST_MAIN("addr")
