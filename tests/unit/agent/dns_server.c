/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of agent/dns_server.h: over loopback, each test on an address of its own. */
#include "agent/dns_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "agent/answer.h"
#include "agent/neighbours.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/test.h"

#define PORT 5300

static struct dns_server *server;
static struct zone *zone;
static struct hamt_garbage garbage;
static struct endpoint own; /* where it listens */

static const struct zone_source node = { ZONE_NODE, "", "aaaa", 0 };

static struct addr loopback(uint8_t last)
{
	/* Tests run side by side. */
	return (struct addr){ .family = AF_INET,
			      .bytes = { 127, (uint8_t)(getpid() >> 8 & 0x7f) | 1,
					 (uint8_t)getpid(), last } };
}

static struct prefix prefix(const char *text)
{
	struct prefix p = { 0 };

	if (prefix_parse(text, &p) < 0)
		test_end(false, "no prefix: %s", text);
	return p;
}

static void put(const char *name, unsigned last)
{
	struct addr a = { .family = AF_INET, .bytes = { 10, 9, 0, (uint8_t)last } };
	struct record r = { .addresses = &a, .address_count = 1 };

	zone_put(zone, &node, name, &r);
}

/* The garbage of a commit may go once the table before it has gone. */
static void publish(void)
{
	struct zone_table *t = xcalloc(1, sizeof(*t) + sizeof(*t->zones)), *old;
	union {
		const struct zone_version *from;
		void *to;
	} u;

	t->count = 1;
	t->zones[0] = zone_commit(zone, &garbage);
	old = dns_server_swap(server, t);
	if (old) {
		u.from = old->zones[0];
		free(u.to);
		free(old);
	}
	hamt_garbage_free(&garbage);
}

static void listen_on(const char *network)
{
	struct dns_place place = { .at = own };
	char why[256] = "";

	strcpy(place.network, network);
	if (dns_server_listen(server, &place, 1, why, sizeof(why)))
		test_end(false, "%s", why);
}

static void begin(const char *allow)
{
	struct prefix p = prefix(allow), range = prefix("127.0.0.0/8");

	own = (struct endpoint){ .addr = loopback(1), .port = PORT };
	CHECK_INT(dns_server_new(&(struct dns_server_config){ &p, 1 }, &server), 0);
	zone = zone_new("net", "dc1");
	zone_set_self(zone, "n1", &range, 1);
	zone_set_complete(zone, true);
	put("n1", 1);
	listen_on("");
}

static void end(void)
{
	struct zone_table *t = dns_server_free(server);
	union {
		const struct zone_version *from;
		void *to;
	} u;

	if (t) {
		u.from = t->zones[0];
		free(u.to);
		free(t);
	}
	zone_free(zone);
}

/* ---- the asker ---- */

static size_t query(uint8_t *at, uint8_t id, const char *label)
{
	size_t n = strlen(label), len = 0;

	memcpy(at, (uint8_t[]){ 0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0 }, 12);
	len = 12;
	at[len++] = (uint8_t)n;
	memcpy(at + len, label, n);
	len += n;
	memcpy(at + len, "\003net\000\000\001\000\001", 9);
	return len + 9;
}

static int open_from(int type, const struct addr *from)
{
	struct endpoint e = { .addr = *from };
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&e, &ss);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	CHECK_INT(bind(fd, (struct sockaddr *)&ss, len), 0);
	len = endpoint_to_sockaddr(&own, &ss);
	CHECK_INT(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static int open_to(int type)
{
	struct addr from = loopback(2);

	return open_from(type, &from);
}

/* The answer's rcode (with 16 for each record), -1: none in `ms`. */
static int receive(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t in[2048];
	ssize_t n;

	if (poll(&p, 1, ms) != 1)
		return -1;
	n = recv(fd, in, sizeof(in), 0);
	return n < 12 ? -1 : (in[3] & 15) + 16 * in[7];
}

static int ask_from(const struct addr *from, const char *label)
{
	int fd = open_from(SOCK_DGRAM, from), r;
	uint8_t q[300];

	CHECK(send(fd, q, query(q, 1, label), 0) > 0);
	r = receive(fd, 300);
	close(fd);
	return r;
}

static int ask(const char *label)
{
	struct addr from = loopback(2);

	return ask_from(&from, label);
}

/* ---- */

TEST(change_is_seen_by_the_next_question)
{
	begin("127.0.0.0/8");
	CHECK_INT(ask("n1"), 5); /* knows nothing: no such zone */
	publish();
	CHECK_INT(ask("n1"), 16);
	CHECK_INT(ask("n2"), 3);
	for (int i = 0; i < 100; i++) {
		put("n2", 2);
		publish();
		CHECK_INT(ask("n2"), 16);
		zone_del(zone, &node, "n2");
		publish();
		CHECK_INT(ask("n2"), 3);
	}
	end();
}

TEST(strangers_are_refused_and_not_flooded)
{
	struct addr from = loopback(2), same = own.addr;
	int refused = 0, fd;
	uint8_t q[300];

	begin("10.0.0.0/8");
	same = own.addr;
	publish();
	CHECK_INT(ask_from(&same, "n1"), 16);
	CHECK_INT(ask_from(&from, "n1"), 5);
	fd = open_from(SOCK_DGRAM, &from);
	for (int i = 0; i < 500; i++)
		CHECK(send(fd, q, query(q, 1, "n1"), 0) > 0);
	while (receive(fd, 100) == 5)
		refused++;
	CHECK(refused > 0 && refused <= 2 * DNS_STRANGERS_RATE);
	close(fd);
	end();
}

TEST(mesh_address_is_for_members)
{
	struct prefix range = prefix("10.9.0.0/24");

	begin("127.0.0.0/8");
	listen_on("net");
	publish();
	CHECK_INT(ask("n1"), 16); /* 127.0.0.0/8 are the network's ranges here */
	zone_set_self(zone, "n1", &range, 1);
	publish();
	CHECK_INT(ask("n1"), 5);
	end();
}

TEST(policy)
{
	struct zone_version v = { .network = "net", .range_count = 1 };
	struct zone_table *t = xcalloc(1, sizeof(*t) + sizeof(*t->zones));
	struct prefix allow[] = { prefix("10.0.0.0/8") };
	struct addr mine[2], a;
	struct dns_policy p = { allow, 1, mine, 2 };
	struct dns_place mesh = { .network = "net" }, other = { .network = "other" }, dns = { 0 };
	static const struct {
		const char *from;
		int place;	 /* 0 mesh, 1 --dns, 2 mesh of a network that is unknown */
		const char *may; /* NULL no, "" all, else the network */
	} cases[] = {
		{ "10.9.0.7", 0, "net" },    { "10.8.0.7", 0, NULL },
		{ "192.0.2.1", 0, NULL },    { "fd09::7", 0, NULL },
		{ "10.9.0.1", 0, "" },	     { "10.77.0.1", 0, "" },
		{ "10.8.0.7", 1, "" },	     { "192.0.2.1", 1, NULL },
		{ "10.77.0.1", 1, "" },	     { "10.9.0.7", 2, NULL },
		{ "127.0.0.1", 1, NULL },    { "198.51.100.7", 1, "" }, /* a node of the own site */
		{ "198.51.100.7", 0, NULL }, /* which is no member here */
		{ "198.51.100.8", 1, NULL },
	};
	struct neighbours *near = neighbours_new();
	char *at_home[] = { (char[]){ "[2001:db8::7]:51830" }, (char[]){ "198.51.100.7:51830" } };
	struct neighbour_set *set;

	CHECK_INT(addr_parse("10.9.0.1", &mine[0]), 0);
	CHECK_INT(addr_parse("10.77.0.1", &mine[1]), 0);
	CHECK(neighbours_put(near, "n7", at_home, 2));
	set = neighbours_set((const struct neighbours *[]){ near }, 1);
	v.ranges[0] = prefix("10.9.0.0/24");
	t->count = 1;
	t->zones[0] = &v;
	t->neighbours = set;
	mesh.at.addr = mine[0];
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct dns_place *at =
			(const struct dns_place *[]){ &mesh, &dns, &other }[cases[i].place];
		const char *network = NULL;
		bool may;

		CHECK_INT(addr_parse(cases[i].from, &a), 0);
		may = dns_policy_allows(&p, t, at, &a, &network);
		CHECK_INT(may, cases[i].may != NULL);
		if (may)
			CHECK_STR(network ? network : "", cases[i].may);
	}
	free(t);
	free(set);
	neighbours_free(near);
}

TEST(batch)
{
	uint8_t q[300];
	int fd, got = 0;

	begin("127.0.0.0/8");
	publish();
	fd = open_to(SOCK_DGRAM);
	for (int i = 0; i < 100; i++)
		CHECK(send(fd, q, query(q, (uint8_t)i, "n1"), 0) > 0);
	/* One that is too long for a question among them. */
	{
		static uint8_t giant[ANSWER_QUERY_MAX + 1];

		CHECK(send(fd, giant, sizeof(giant), 0) > 0);
		CHECK(send(fd, giant, 0, 0) == 0);
	}
	while (receive(fd, 200) == 16)
		got++;
	CHECK_INT(got, 100);
	close(fd);
	end();
}

static size_t framed(uint8_t *at, uint8_t id, const char *label)
{
	size_t len = query(at + 2, id, label);

	at[0] = (uint8_t)(len >> 8);
	at[1] = (uint8_t)len;
	return len + 2;
}

/* Reads exactly `len` bytes. */
static bool read_all(int fd, uint8_t *to, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (len) {
		ssize_t n = poll(&p, 1, 1000) == 1 ? recv(fd, to, len, 0) : -1;

		if (n <= 0)
			return false;
		to += n;
		len -= (size_t)n;
	}
	return true;
}

/* The id of the next answer; -1: none. */
static int next_id(int fd)
{
	static uint8_t in[65536];

	if (!read_all(fd, in, 2) || !read_all(fd, in + 2, (size_t)in[0] << 8 | in[1]))
		return -1;
	return in[3];
}

TEST(tcp_pipelined_and_in_pieces)
{
	uint8_t q[4096];
	size_t len = 0;
	int fd;

	begin("127.0.0.0/8");
	publish();
	fd = open_to(SOCK_STREAM);
	for (uint8_t i = 0; i < 50; i++)
		len += framed(q + len, i, "n1");
	CHECK_INT(send(fd, q, len, 0), len);
	for (int i = 0; i < 50; i++)
		CHECK_INT(next_id(fd), i);
	len = framed(q, 77, "n1");
	for (size_t i = 0; i < len; i++) {
		CHECK_INT(send(fd, q + i, 1, 0), 1);
		usleep(1000);
	}
	CHECK_INT(next_id(fd), 77);
	/* Answered although the asker will say no more. */
	CHECK_INT(send(fd, q, len, 0), len);
	CHECK_INT(shutdown(fd, SHUT_WR), 0);
	CHECK_INT(next_id(fd), 77);
	CHECK_INT(next_id(fd), -1);
	close(fd);
	end();
}

/* An asker that does not read: its answers wait, others are served; then it gets them all. */
TEST(tcp_answers_that_wait)
{
	struct record_endpoint e[800] = { 0 };
	struct addr a[800];
	struct record r = { .endpoints = e, .endpoint_count = 800 };
	uint8_t q[300];
	size_t len;
	int fd, sent = 0;

	begin("127.0.0.0/8");
	for (int i = 0; i < 800; i++) {
		a[i] = (struct addr){ AF_INET, { 10, 42, (uint8_t)(i >> 8), (uint8_t)i } };
		e[i].addresses = &a[i];
		e[i].address_count = 1;
	}
	zone_put(zone, &node, "big", &r);
	publish();
	fd = open_to(SOCK_STREAM);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	len = framed(q, 9, "big");
	while (sent < 2000 && send(fd, q, len, 0) == (ssize_t)len)
		sent++;
	CHECK(sent > 1000);
	CHECK_INT(ask("n1"), 16);
	for (int i = 0; i < sent; i++)
		CHECK_INT(next_id(fd), 9);
	close(fd);
	end();
}

TEST(tcp_bad_lengths)
{
	static const uint8_t bad[][4] = { { 0xff, 0xff, 0, 0 }, { 0, 0, 0, 0 }, { 0, 2, 1, 1 } };
	uint8_t in[8];

	begin("127.0.0.0/8");
	publish();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int fd = open_to(SOCK_STREAM);

		CHECK_INT(send(fd, bad[i], 4, 0), 4);
		CHECK(!read_all(fd, in, 1));
		close(fd);
	}
	CHECK_INT(ask("n1"), 16);
	end();
}

static bool is_open(int fd)
{
	uint8_t c;

	return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

TEST(tcp_room)
{
	int fds[DNS_TCP_SOURCE_MAX * 2], others[DNS_TCP_MAX * 2], open = 0;
	struct addr from;
	uint8_t q[300];

	begin("127.0.0.0/8");
	publish();
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = open_to(SOCK_STREAM);
	usleep(200000);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		open += is_open(fds[i]);
	CHECK_INT(open, DNS_TCP_SOURCE_MAX);
	/* The last one was not the one that had to go. */
	CHECK(send(fds[ARRAY_SIZE(fds) - 1], q, framed(q, 5, "n1"), 0) > 0);
	CHECK_INT(next_id(fds[ARRAY_SIZE(fds) - 1]), 5);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		from = loopback((uint8_t)(3 + i % 100));
		others[i] = open_from(SOCK_STREAM, &from);
	}
	usleep(300000);
	open = 0;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		open += is_open(others[i]);
	CHECK(open <= DNS_TCP_MAX && open > DNS_TCP_MAX / 2);
	end();
}

static uint64_t cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

TEST(tcp_without_a_descriptor_waits)
{
	struct rlimit old, limit;
	uint8_t q[300];
	uint64_t before;
	int fd;

	begin("127.0.0.0/8");
	publish();
	CHECK_INT(getrlimit(RLIMIT_NOFILE, &old), 0);
	limit = old;
	/* The asker's own is the last one. */
	fd = dup(0);
	close(fd);
	limit.rlim_cur = (rlim_t)fd + 1;
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
	fd = open_to(SOCK_STREAM);
	CHECK(send(fd, q, framed(q, 5, "n1"), 0) > 0);
	before = cpu_time();
	CHECK_INT(receive(fd, 600), -1);
	CHECK(cpu_time() - before < 60 * USEC_PER_MSEC);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &old), 0);
	CHECK_INT(next_id(fd), 5);
	close(fd);
	end();
}

TEST(place_taken_by_another)
{
	struct endpoint at = { .addr = loopback(9), .port = PORT };
	struct dns_place places[2] = { { .at = at } };
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&at, &ss);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char why[256] = "";

	begin("127.0.0.0/8");
	publish();
	CHECK_INT(bind(fd, (struct sockaddr *)&ss, len), 0);
	places[1].at = own;
	CHECK_INT(dns_server_listen(server, places, 2, why, sizeof(why)), 1);
	CHECK(strstr(why, "another program listens there"));
	CHECK_INT(ask("n1"), 16);
	close(fd);
	CHECK_INT(dns_server_listen(server, places, 2, why, sizeof(why)), 0);
	/* And nowhere. */
	CHECK_INT(dns_server_listen(server, NULL, 0, why, sizeof(why)), 0);
	CHECK_INT(ask("n1"), -1);
	end();
}

TEST(wildcard_answers_from_where_it_was_asked)
{
	struct endpoint any = { .addr = { .family = AF_INET }, .port = 0 };
	struct dns_place place = { 0 };
	char why[256] = "";

	begin("127.0.0.0/8");
	publish();
	any.port = (uint16_t)(20000 + getpid() % 20000);
	place.at = any;
	CHECK_INT(dns_server_listen(server, &place, 1, why, sizeof(why)), 0);
	/* A connected socket takes answers of the address that it asked only. */
	own.port = any.port;
	CHECK_INT(ask("n1"), 16);
	end();
}

TEST_MAIN("dns-server")
