/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Netlink: the readers on raw bytes, and requests, dumps and events against the real kernel in a
 * network namespace of each test's own.
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include "lib/base.h"
#include "lib/nl.h"

/* ---- readers ---- */

#define MAX_TYPE 4

struct message {
	struct nlmsghdr h;
	uint8_t bytes[64];
} __attribute__((aligned(8)));

static int parse(const void *attributes, size_t len, const uint16_t *min_len,
		 const struct nlattr **tb)
{
	static struct message m;

	memset(&m, 0xee, sizeof(m));
	m.h.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + 4 + len);
	memcpy(m.bytes + 4, attributes, len);
	return nl_parse(&m.h, 4, min_len, MAX_TYPE, tb);
}

TEST(attributes_are_read)
{
	static const uint8_t bytes[] = { 5, 0, 1,  0, 7, 0, 0, 0,    8, 0,  2, 0, 1, 2,
					 3, 4, 12, 0, 3, 0, 1, 2,    3, 4,  5, 6, 7, 8,
					 4, 0, 99, 0, 6, 0, 2, 0x80, 9, 10, 0, 0 };
	const struct nlattr *tb[MAX_TYPE + 1];

	CHECK_INT(parse(bytes, sizeof(bytes), NULL, tb), 0);
	CHECK(!tb[0] && tb[1] && tb[2] && tb[3] && !tb[4]);
	CHECK_INT(nl_u8(tb[1]), 7);
	CHECK_INT(nl_len(tb[2]), 2); /* the last of its type, without the nested flag */
	CHECK_INT(nl_type(tb[2]), 2);
	CHECK_INT(nl_u16(tb[2]), 10 << 8 | 9);
	CHECK_INT(nl_u32(tb[2]), 10 << 8 | 9); /* short: as if zeros followed */
	CHECK_INT(nl_u32(tb[3]), 0x04030201);
	CHECK(nl_u64(tb[3]) == UINT64_C(0x0807060504030201));
	CHECK(memcmp(nl_data(tb[3]), "\1\2\3", 3) == 0);
}

TEST(truncated_attributes_are_refused)
{
	static const struct {
		uint8_t bytes[12];
		size_t len;
		int want;
	} cases[] = {
		{ { 0 }, 0, 0 },
		{ { 8, 0, 1, 0, 1, 2, 3, 4 }, 8, 0 },
		{ { 5, 0, 1, 0, 1 }, 5, 0 },		  /* the last padding may be missing */
		{ { 8, 0, 1, 0, 1, 2, 3 }, 7, -EBADMSG }, /* cut in the payload */
		{ { 8, 0, 1 }, 3, -EBADMSG },		  /* cut in the header */
		{ { 3, 0, 1, 0 }, 4, -EBADMSG },	  /* shorter than its header */
		{ { 0, 0, 1, 0 }, 4, -EBADMSG },	  /* would never end */
		{ { 0xff, 0xff, 1, 0 }, 4, -EBADMSG },	  /* longer than all there is */
		{ { 4, 0, 1, 0, 8, 0 }, 6, -EBADMSG },	  /* a good one, then dirt */
		{ { 8, 0, 1, 0, 1, 2, 3, 4, 9, 0, 2, 0 }, 12, -EBADMSG },
	};
	const struct nlattr *tb[MAX_TYPE + 1];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		CHECK_INT(parse(cases[i].bytes, cases[i].len, NULL, tb), cases[i].want);
}

TEST(short_attributes_are_refused)
{
	static const uint16_t min_len[MAX_TYPE + 1] = { [1] = 4, [3] = 1 };
	static const uint8_t good[] = { 8, 0, 1, 0, 1, 2, 3, 4 },
			     bad[] = { 7, 0, 1, 0, 1, 2, 3, 0 };
	static const uint8_t other[] = { 4, 0, 2, 0 }, empty[] = { 4, 0, 3, 0 };
	const struct nlattr *tb[MAX_TYPE + 1];

	CHECK_INT(parse(good, sizeof(good), min_len, tb), 0);
	CHECK_INT(parse(bad, sizeof(bad), min_len, tb), -EBADMSG);
	CHECK_INT(parse(other, sizeof(other), min_len, tb), 0);
	CHECK_INT(parse(empty, sizeof(empty), min_len, tb), -EBADMSG);
}

TEST(message_shorter_than_its_fixed_part)
{
	const struct nlattr *tb[MAX_TYPE + 1];
	struct message m = { .h.nlmsg_len = NLMSG_HDRLEN + 3 };

	CHECK_INT(nl_parse(&m.h, 4, NULL, MAX_TYPE, tb), -EBADMSG);
	m.h.nlmsg_len = NLMSG_HDRLEN + 4;
	CHECK_INT(nl_parse(&m.h, 4, NULL, MAX_TYPE, tb), 0);
	m.h.nlmsg_len = 3;
	CHECK_INT(nl_parse(&m.h, 4, NULL, MAX_TYPE, tb), -EBADMSG);
	CHECK_INT(nl_parse(&m.h, 0, NULL, MAX_TYPE, tb), -EBADMSG);
}

/* Random bytes in blocks of exactly their size: a sanitizer sees every step too far. */
TEST(random_bytes_are_survived)
{
	srand(3);
	for (int i = 0; i < 100000; i++) {
		size_t len = NLMSG_HDRLEN + (size_t)rand() % 60;
		const struct nlattr *tb[MAX_TYPE + 1], *inner[MAX_TYPE + 1];
		struct nlmsghdr *h = malloc(len);
		uint8_t *bytes = (uint8_t *)h;

		for (size_t k = 0; k < len; k++)
			bytes[k] = (uint8_t)(rand() % 3 ? rand() % 16 : rand());
		h->nlmsg_len = (uint32_t)len;
		if (nl_parse(h, (size_t)rand() % 2 * 4, NULL, MAX_TYPE, tb) == 0) {
			for (int t = 0; t <= MAX_TYPE; t++) {
				const struct nlattr *a = NULL;

				if (!tb[t])
					continue;
				CHECK(nl_len(tb[t]) <= len);
				nl_u64(tb[t]);
				if (nl_parse_nested(tb[t], NULL, MAX_TYPE, inner) < 0)
					CHECK(nl_len(tb[t]) > 0);
				while ((a = nl_nested_next(tb[t], a)))
					nl_u32(a);
			}
		}
		free(h);
	}
}

/* ---- builders ---- */

TEST(what_is_built_is_read)
{
	const struct genlmsghdr g = { .cmd = 3, .version = 1 };
	const struct nlattr *tb[MAX_TYPE + 1], *inner[MAX_TYPE + 1], *a;
	struct nlattr *outer, *nest;
	struct nl_msg m;
	const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)m.bytes;
	unsigned sum = 0;

	nl_msg_begin(&m, 42, NLM_F_CREATE, &g, sizeof(g));
	nl_put_u8(&m, 1, 9);
	nl_put_str(&m, 2, "wr0");
	outer = nl_nest_begin(&m, 3);
	for (unsigned i = 1; i <= 3; i++) {
		nest = nl_nest_begin(&m, 0);
		nl_put_u32(&m, 1, i);
		nl_put_u16(&m, 2, (uint16_t)i);
		nl_nest_end(&m, nest);
	}
	nest = nl_nest_begin(&m, 0);
	nl_put_u32(&m, 1, 1000);
	nl_nest_cancel(&m, nest);
	nl_nest_end(&m, outer);
	CHECK(!m.failed);
	CHECK_INT(nl_msg_len(&m) + nl_room(&m), NL_MESSAGE_MAX);
	CHECK_INT(h->nlmsg_len, nl_msg_len(&m));
	CHECK_INT(h->nlmsg_type, 42);
	CHECK_INT(h->nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE);
	CHECK(memcmp(nl_payload(h), &g, sizeof(g)) == 0);
	CHECK_INT(nl_payload_len(h), nl_msg_len(&m) - NLMSG_HDRLEN);
	CHECK_INT(nl_parse(h, sizeof(g), NULL, MAX_TYPE, tb), 0);
	CHECK_STR(nl_data(tb[2]), "wr0");
	for (a = NULL; (a = nl_nested_next(tb[3], a));) {
		CHECK_INT(nl_type(a), 0);
		CHECK_INT(nl_parse_nested(a, NULL, MAX_TYPE, inner), 0);
		CHECK_INT(nl_u32(inner[1]), nl_u16(inner[2]));
		sum += nl_u32(inner[1]);
	}
	CHECK_INT(sum, 6);
}

TEST(too_much_fails_and_can_be_taken_back)
{
	static const uint8_t big[3000];
	struct nl_msg m;
	struct nlattr *nest;
	size_t len;

	nl_msg_begin(&m, 42, 0, NULL, 0);
	nl_put(&m, 1, big, sizeof(big));
	len = nl_msg_len(&m);
	nest = nl_nest_begin(&m, 2);
	nl_put(&m, 1, big, sizeof(big));
	CHECK(!m.failed);
	nl_put(&m, 1, big, sizeof(big));
	CHECK(m.failed);
	CHECK(!nl_nest_begin(&m, 3));
	nl_nest_cancel(&m, NULL);
	CHECK(m.failed);
	nl_nest_cancel(&m, nest);
	CHECK(!m.failed);
	CHECK_INT(nl_msg_len(&m), len);
	nl_put(&m, 1, big, 70000);
	CHECK(m.failed);
	nl_nest_end(&m, NULL);
	/* To the last byte. */
	nl_msg_begin(&m, 42, 0, NULL, 0);
	while (nl_room(&m) > 8)
		nl_put_u32(&m, 1, 1);
	CHECK(!m.failed);
	nl_put_u32(&m, 1, 1);
	CHECK(!m.failed);
	CHECK_INT(nl_room(&m), 0);
	nl_put(&m, 1, NULL, 0);
	CHECK(m.failed);
}

/* ---- the kernel ---- */

static struct nl *nl;

static int set_up_lo(void)
{
	const struct ifinfomsg up = { .ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct nl_msg m;

	nl_msg_begin(&m, RTM_NEWLINK, 0, &up, sizeof(up));
	return nl_talk(nl, &m);
}

static void enter_namespace(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		SKIP("no network namespace: not root");
	CHECK_INT(nl_open(NETLINK_ROUTE, &nl), 0);
	CHECK_INT(set_up_lo(), 0);
}

static int route(uint16_t type, uint16_t flags, const char *dst, uint8_t len)
{
	const struct rtmsg r = { .rtm_family = AF_INET,
				 .rtm_dst_len = len,
				 .rtm_table = RT_TABLE_MAIN,
				 .rtm_protocol = 190,
				 .rtm_scope = RT_SCOPE_LINK,
				 .rtm_type = RTN_UNICAST };
	struct in_addr a;
	struct nl_msg m;

	CHECK(inet_pton(AF_INET, dst, &a) == 1);
	nl_msg_begin(&m, type, flags, &r, sizeof(r));
	nl_put(&m, RTA_DST, &a, sizeof(a));
	nl_put_u32(&m, RTA_OIF, 1);
	return nl_talk(nl, &m);
}

static int add_address(struct nl *n, uint32_t host)
{
	const struct ifaddrmsg i = { .ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = 1 };
	const uint32_t a = htonl(0x0a000000 + host);
	struct nl_msg m;

	nl_msg_begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &i, sizeof(i));
	nl_put(&m, IFA_LOCAL, &a, sizeof(a));
	return nl_talk(n, &m);
}

static int note_link(const struct nlmsghdr *h, void *arg)
{
	static const uint16_t min_len[IFLA_MTU + 1] = { [IFLA_IFNAME] = 1, [IFLA_MTU] = 4 };
	const struct nlattr *tb[IFLA_MTU + 1];

	CHECK_INT(h->nlmsg_type, RTM_NEWLINK);
	CHECK_INT(nl_parse(h, sizeof(struct ifinfomsg), min_len, IFLA_MTU, tb), 0);
	CHECK(tb[IFLA_IFNAME] && tb[IFLA_MTU]);
	if (strcmp(nl_data(tb[IFLA_IFNAME]), "lo") == 0)
		*(unsigned *)arg = nl_u32(tb[IFLA_MTU]);
	return 0;
}

TEST(links_are_dumped)
{
	const struct ifinfomsg all = { 0 }, lo = { .ifi_index = 1 }, none = { .ifi_index = 9999 };
	struct nl_msg m;
	unsigned mtu = 0;

	enter_namespace();
	nl_msg_begin(&m, RTM_GETLINK, NLM_F_DUMP, &all, sizeof(all));
	CHECK_INT(nl_dump(nl, &m, note_link, NULL, &mtu), 0);
	CHECK_INT(mtu, 65536);
	/* A get of one, with the answer and an ACK. */
	mtu = 0;
	nl_msg_begin(&m, RTM_GETLINK, 0, &lo, sizeof(lo));
	CHECK_INT(nl_dump(nl, &m, note_link, NULL, &mtu), 0);
	CHECK_INT(mtu, 65536);
	nl_msg_begin(&m, RTM_GETLINK, 0, &none, sizeof(none));
	CHECK_INT(nl_dump(nl, &m, note_link, NULL, &mtu), -ENODEV);
	nl_close(nl);
	nl_close(NULL);
}

TEST(routes_come_and_go)
{
	enter_namespace();
	CHECK_INT(route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "10.9.0.0", 16), 0);
	CHECK_STR(nl_reason(nl), "");
	CHECK_INT(route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "10.9.0.0", 16), -EEXIST);
	CHECK_INT(route(RTM_DELROUTE, 0, "10.9.0.0", 16), 0);
	CHECK_INT(route(RTM_DELROUTE, 0, "10.9.0.0", 16), -ESRCH);
	/* The kernel's own sentence, and its end. */
	CHECK_INT(route(RTM_NEWROUTE, NLM_F_CREATE, "10.9.0.1", 16), -EINVAL);
	CHECK_STR(nl_reason(nl), "Invalid prefix for given prefix length");
	CHECK_INT(route(RTM_NEWROUTE, NLM_F_CREATE, "10.9.0.1", 32), 0);
	CHECK_STR(nl_reason(nl), "");
	nl_close(nl);
}

TEST(failed_messages_are_not_sent)
{
	static const uint8_t big[NL_MESSAGE_MAX];
	struct nl_msg m;

	enter_namespace();
	nl_msg_begin(&m, RTM_GETLINK, 0, NULL, 0);
	nl_put(&m, 1, big, sizeof(big));
	CHECK_INT(nl_talk(nl, &m), -EMSGSIZE);
	nl_close(nl);
}

/* ---- dumps of several datagrams ---- */

#define ADDRESSES 1500

struct census {
	unsigned seen, restarts, disturb;
	struct nl *other;
	int give_up;
};

static int census_each(const struct nlmsghdr *h, void *arg)
{
	struct census *c = arg;

	CHECK_INT(h->nlmsg_type, RTM_NEWADDR);
	c->seen++;
	if (c->seen == 1 && c->disturb > 0)
		CHECK_INT(add_address(c->other, 100000 + c->disturb--), 0);
	return c->seen == 10 ? c->give_up : 0;
}

static void census_restart(void *arg)
{
	struct census *c = arg;

	c->seen = 0;
	c->restarts++;
}

static int census_take(struct census *c)
{
	const struct ifaddrmsg all = { .ifa_family = AF_INET };
	struct nl_msg m;

	nl_msg_begin(&m, RTM_GETADDR, NLM_F_DUMP, &all, sizeof(all));
	return nl_dump(nl, &m, census_each, census_restart, c);
}

static void fill(struct census *c)
{
	enter_namespace();
	CHECK_INT(nl_open(NETLINK_ROUTE, &c->other), 0);
	for (unsigned i = 1; i <= ADDRESSES; i++)
		CHECK_INT(add_address(nl, i), 0);
}

TEST(interrupted_dumps_begin_anew)
{
	struct census c = { 0 };

	fill(&c);
	CHECK_INT(census_take(&c), 0);
	CHECK_INT(c.seen, ADDRESSES + 1); /* and 127.0.0.1 */
	CHECK_INT(c.restarts, 0);
	c = (struct census){ .disturb = 3, .other = c.other };
	CHECK_INT(census_take(&c), 0);
	CHECK_INT(c.restarts, 3);
	CHECK_INT(c.seen, ADDRESSES + 4);
	/* But not for ever. */
	c = (struct census){ .disturb = 100, .other = c.other };
	CHECK_INT(census_take(&c), -EINTR);
	CHECK_INT(c.disturb, 92);
	nl_close(c.other);
	nl_close(nl);
}

TEST(stopped_dumps_leave_nothing_behind)
{
	struct census c = { 0 };

	fill(&c);
	c.give_up = -ECANCELED;
	CHECK_INT(census_take(&c), -ECANCELED);
	CHECK_INT(c.seen, 10);
	CHECK_INT(add_address(nl, 100000), 0);
	CHECK_INT(add_address(nl, 100000), -EEXIST);
	c = (struct census){ .other = c.other };
	CHECK_INT(census_take(&c), 0);
	CHECK_INT(c.seen, ADDRESSES + 2);
	nl_close(c.other);
	nl_close(nl);
}

/* ---- generic netlink ---- */

TEST(families_have_numbers)
{
	struct nl *n;

	CHECK_INT(nl_open(NETLINK_GENERIC, &n), 0);
	CHECK_INT(nl_family(n, "nlctrl"), GENL_ID_CTRL);
	CHECK_INT(nl_family(n, "no-such-family"), -ENOENT);
	nl_close(n);
}

/* ---- events ---- */

static int relevant_routes(const struct nlmsghdr *h, void *arg)
{
	++*(unsigned *)arg;
	return h->nlmsg_type == RTM_NEWROUTE;
}

TEST(events_tell_that_a_read_is_due)
{
	static const unsigned groups[] = { RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE };
	unsigned count = 0;
	struct pollfd p = { .events = POLLIN };
	struct nl *events;

	enter_namespace();
	CHECK_INT(nl_events_open(NETLINK_ROUTE, groups, 2, &events), 0);
	p.fd = nl_fd(events);
	CHECK_INT(nl_events_drain(events, relevant_routes, &count), 0);
	CHECK_INT(count, 0);
	CHECK_INT(route(RTM_NEWROUTE, NLM_F_CREATE, "10.9.0.0", 16), 0);
	CHECK_INT(poll(&p, 1, 1000), 1);
	CHECK_INT(nl_events_drain(events, relevant_routes, &count), 1);
	CHECK_INT(count, 1);
	CHECK_INT(route(RTM_DELROUTE, 0, "10.9.0.0", 16), 0);
	CHECK_INT(nl_events_drain(events, relevant_routes, &count), 0);
	CHECK_INT(count, 2);
	nl_close(events);
	nl_close(nl);
}

static int nothing_is_relevant(const struct nlmsghdr *h, void *arg)
{
	(void)h;
	(void)arg;
	return 0;
}

TEST(lost_events_make_a_read_due)
{
	static const unsigned groups[] = { RTNLGRP_IPV4_ROUTE };
	const int tiny = 1;
	struct nl *events;

	enter_namespace();
	CHECK_INT(nl_events_open(NETLINK_ROUTE, groups, 1, &events), 0);
	CHECK(setsockopt(nl_fd(events), SOL_SOCKET, SO_RCVBUF, &tiny, sizeof(tiny)) == 0);
	for (int i = 0; i < 50; i++) {
		CHECK_INT(route(RTM_NEWROUTE, NLM_F_CREATE, "10.9.0.0", 16), 0);
		CHECK_INT(route(RTM_DELROUTE, 0, "10.9.0.0", 16), 0);
	}
	CHECK_INT(nl_events_drain(events, nothing_is_relevant, NULL), 1);
	CHECK_INT(nl_events_drain(events, nothing_is_relevant, NULL), 0);
	nl_close(events);
	nl_close(nl);
}

/* Another process that writes to our port is not the kernel. */
TEST(other_senders_are_not_heard)
{
	const unsigned groups[] = { RTNLGRP_IPV4_ROUTE };
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	socklen_t len = sizeof(to);
	struct nlmsghdr h = { .nlmsg_len = sizeof(h), .nlmsg_type = RTM_NEWROUTE };
	struct nl *events;
	unsigned count = 0;
	int fd;

	enter_namespace();
	CHECK_INT(nl_events_open(NETLINK_ROUTE, groups, 1, &events), 0);
	CHECK(getsockname(nl_fd(events), (struct sockaddr *)&to, &len) == 0);
	to.nl_groups = 0;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	CHECK(sendto(fd, &h, sizeof(h), 0, (struct sockaddr *)&to, len) == sizeof(h));
	CHECK_INT(nl_events_drain(events, relevant_routes, &count), 0);
	CHECK_INT(count, 0);
	close(fd);
	nl_close(events);
	nl_close(nl);
}

TEST_MAIN("nl")
