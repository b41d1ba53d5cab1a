/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages to and from WireGuard in the kernel, against what a real one was sent and said
 * (recorded/, made by record.sh there).
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/wireguard.h>

#include "agent/wg.h"
#include "lib/buf.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "tests/test.h"
#include "tests/unit/agent/recorded/input.h"

#define FAMILY 33
#define LINES_MAX 64
#define RECORDING_MAX 262144

/* One file: requests and answers in turn. */
struct recording {
	struct {
		bool request;
		uint8_t *bytes; /* aligned, of its exact size */
		size_t len;
	} line[LINES_MAX];
	size_t count;
};

static void recording_read(const char *name, struct recording *ret)
{
	_cleanup_(freep) char *path = xasprintf("tests/unit/agent/recorded/%s.hex", name);
	struct buf text = { 0 };
	char *save = NULL;

	memset(ret, 0, sizeof(*ret));
	if (file_read(path, RECORDING_MAX, &text) < 0)
		test_end(false, "%s cannot be read", path);
	for (char *s = strtok_r(text.data, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		size_t n = (strlen(s) - 2) / 2;
		uint8_t *bytes = xmalloc(n);

		CHECK(ret->count < LINES_MAX && (s[0] == '>' || s[0] == '<') && s[1] == ' ');
		CHECK_INT(hex_decode(s + 2, bytes, n), 0);
		ret->line[ret->count].request = s[0] == '>';
		ret->line[ret->count].bytes = bytes;
		ret->line[ret->count++].len = n;
	}
	CHECK(ret->count >= 2);
	buf_done(&text);
}

static void recording_done(struct recording *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->line[i].bytes);
}

/* The same message, but for what each socket and kernel numbers for itself. */
static bool same_message(const struct nl_msg *m, const uint8_t *bytes, size_t len)
{
	struct nlmsghdr a, b;

	if (nl_msg_len(m) != len)
		return false;
	memcpy(&a, m->bytes, sizeof(a));
	memcpy(&b, bytes, sizeof(b));
	/* lib/nl adds the wish for an acknowledgement when it sends. */
	return a.nlmsg_len == b.nlmsg_len && (a.nlmsg_flags | NLM_F_ACK) == b.nlmsg_flags &&
	       memcmp(m->bytes + sizeof(a), bytes + sizeof(b), len - sizeof(a)) == 0;
}

static int verdict(const uint8_t *bytes, size_t len)
{
	struct nlmsghdr h;
	int error;

	CHECK(len >= sizeof(h) + sizeof(error));
	memcpy(&h, bytes, sizeof(h));
	memcpy(&error, bytes + sizeof(h), sizeof(error));
	CHECK_INT(h.nlmsg_type, NLMSG_ERROR);
	return error;
}

/* Builds a step's messages again; the kernel was sent the same, and said `error` to the last one. */
static void check_step(unsigned n, int error)
{
	struct recorded_step *s = recorded_step(n);
	struct wg_cursor at = { 0 };
	struct recording r;
	struct nl_msg m;
	size_t i = 0;

	CHECK(s);
	recording_read(s->name, &r);
	while (wg_kernel_message(&m, FAMILY, s->link, s->with_device ? &s->device : NULL,
				 s->changes, s->count, &at)) {
		CHECK(!m.failed && nl_msg_len(&m) <= NL_MESSAGE_MAX);
		CHECK(i + 1 < r.count && r.line[i].request && !r.line[i + 1].request);
		CHECK(same_message(&m, r.line[i].bytes, r.line[i].len));
		CHECK_INT(verdict(r.line[i + 1].bytes, r.line[i + 1].len),
			  i + 2 < r.count ? 0 : error);
		i += 2;
	}
	CHECK_INT(i, r.count);
	recording_done(&r);
	free(s);
}

/* Reads a recorded dump as lib/nl would hand it on; returns how many messages there were. */
static size_t read_dump(const char *name, struct wg_link *l)
{
	struct recording r;
	size_t messages = 0;

	memset(l, 0, sizeof(*l));
	recording_read(name, &r);
	for (size_t i = 0; i < r.count; i++) {
		const uint8_t *p = r.line[i].bytes, *end = p + r.line[i].len;

		while (!r.line[i].request && p < end) {
			const struct nlmsghdr *h = (const void *)p;

			CHECK((size_t)(end - p) >= sizeof(*h) && h->nlmsg_len <= (size_t)(end - p));
			if (h->nlmsg_type >= NLMSG_MIN_TYPE) {
				CHECK_INT(wg_kernel_parse(h, l), 0);
				messages++;
			}
			p += NLMSG_ALIGN(h->nlmsg_len);
		}
	}
	recording_done(&r);
	wg_link_sort(l);
	return messages;
}

static void check_allowed(const struct wg_peer *p, const char *want)
{
	struct buf b = { 0 };
	char text[PREFIX_SIZE];

	for (size_t i = 0; i < p->allowed_count; i++)
		buf_printf(&b, "%s%s", i ? " " : "", prefix_format(&p->allowed[i], text));
	CHECK_STR(buf_cstr(&b), want);
	buf_done(&b);
}

TEST(set_is_what_the_kernel_took)
{
	check_step(0, 0);
}

TEST(change_is_what_the_kernel_took)
{
	check_step(1, 0);
}

TEST(fragments_are_what_the_kernel_took)
{
	check_step(2, 0);
}

TEST(refusals_are_read)
{
	check_step(3, -ENODEV);
	check_step(4, -EOPNOTSUPP);
}

TEST(empty_is_what_the_kernel_took)
{
	struct recording r;
	struct nl_msg m;

	recording_read("empty", &r);
	wg_kernel_message_empty(&m, FAMILY, RECORDED_LINK);
	CHECK(same_message(&m, r.line[0].bytes, r.line[0].len));
	CHECK_INT(verdict(r.line[1].bytes, r.line[1].len), 0);
	recording_done(&r);
}

TEST(dump_after_set)
{
	char text[ENDPOINT_SIZE];
	struct wg_link l;

	read_dump("set-dump", &l);
	CHECK_INT(l.private_key[7], 0x40);
	CHECK_INT(l.port, 51830);
	CHECK_INT(l.peer_count, 3);
	CHECK_INT(l.peers[0].key[0], 1);
	CHECK_INT(l.peers[0].keepalive, 20);
	CHECK_STR(endpoint_format(&l.peers[0].endpoint, text), "192.0.2.2:51830");
	check_allowed(&l.peers[0], "10.9.0.2/32 fd00::2/128");
	CHECK_STR(endpoint_format(&l.peers[1].endpoint, text), "[2001:db8::3]:51999");
	check_allowed(&l.peers[1], "10.9.0.3/32 10.42.0.0/16");
	CHECK_INT(l.peers[2].endpoint.addr.family, 0);
	CHECK_INT(l.peers[2].keepalive, 0);
	CHECK_INT(l.peers[2].last_handshake, 0);
	check_allowed(&l.peers[2], "10.9.0.4/32");
	wg_link_done(&l);
}

TEST(dump_after_change)
{
	struct wg_link l;

	read_dump("change-dump", &l);
	CHECK_INT(l.peer_count, 2);
	check_allowed(&l.peers[0], "10.9.0.2/32 10.42.0.0/16");
	check_allowed(&l.peers[1], "10.9.0.3/32");
	wg_link_done(&l);
}

TEST(dump_of_a_peer_in_several_messages)
{
	struct wg_peer *p;
	uint8_t key[KEY_LEN];
	struct wg_link l;

	CHECK(read_dump("fragments-dump", &l) > 2);
	CHECK_INT(l.peer_count, 4);
	recorded_key(5, key);
	p = wg_link_peer(&l, key);
	CHECK(p);
	CHECK_INT(p->allowed_count, RECORDED_MANY);
	for (unsigned i = 0; i < RECORDED_MANY; i++) {
		struct prefix x = recorded_prefix(i);

		CHECK(prefix_cmp(&p->allowed[i], &x) == 0);
	}
	CHECK_INT(p->keepalive, 20);
	recorded_key(6, key);
	CHECK(wg_link_peer(&l, key));
	wg_link_done(&l);
}

/* Whatever is to be sent: no message is too large, what belongs into the first is nowhere else, and
 * together they carry everything in order. */
TEST(messages_carry_everything_once)
{
	enum { PEERS = 300 };
	struct wg_change *changes = xcalloc(PEERS, sizeof(*changes));
	struct prefix *prefixes = xcalloc(2048, sizeof(*prefixes));
	uint8_t(*keys)[KEY_LEN] = xcalloc(PEERS, KEY_LEN);
	struct endpoint e;
	struct wg_link device = { .port = 51830 };

	CHECK_INT(endpoint_parse("[2001:db8::3]:51999", &e), 0);
	for (unsigned i = 0; i < 2048; i++)
		prefixes[i] = recorded_prefix(i);
	for (unsigned i = 0; i < PEERS; i++) {
		memcpy(keys[i], &i, sizeof(i));
		changes[i] = (struct wg_change){
			.key = keys[i],
			.with_keepalive = true,
			.keepalive = (uint16_t)i,
			.endpoint = &e,
			.allowed = prefixes + i,
			.allowed_count = i % 50 == 7 ? 1000 + i : i % 5,
		};
	}
	for (int with_device = 0; with_device < 2; with_device++) {
		struct wg_cursor at = { 0 };
		struct wg_link l = { 0 };
		size_t messages = 0, previous = 0;
		struct nl_msg m;

		while (wg_kernel_message(&m, FAMILY, "wr-a", with_device ? &device : NULL, changes,
					 PEERS, &at)) {
			CHECK(!m.failed && nl_msg_len(&m) <= NL_MESSAGE_MAX);
			CHECK(at.change > previous || at.allowed > 0);
			l.port = 0;
			/* What is sent has the form of what is read. */
			CHECK_INT(wg_kernel_parse((const struct nlmsghdr *)(const void *)m.bytes,
						  &l),
				  0);
			CHECK_INT(l.port, with_device && messages == 0 ? 51830 : 0);
			previous = at.change;
			messages++;
		}
		CHECK(messages > 20);
		CHECK_INT(l.peer_count, PEERS);
		for (unsigned i = 0; i < PEERS; i++) {
			CHECK(memcmp(l.peers[i].key, keys[i], KEY_LEN) == 0);
			CHECK_INT(l.peers[i].keepalive, i);
			CHECK(endpoint_cmp(&l.peers[i].endpoint, &e) == 0);
			CHECK_INT(l.peers[i].allowed_count, changes[i].allowed_count);
			for (size_t n = 0; n < l.peers[i].allowed_count; n++)
				CHECK(prefix_cmp(&l.peers[i].allowed[n], &prefixes[i + n]) == 0);
		}
		wg_link_done(&l);
	}
	free(changes);
	free(prefixes);
	free(keys);
}

TEST(nothing_to_send_is_no_message)
{
	struct wg_cursor at = { 0 };
	struct nl_msg m;

	CHECK(!wg_kernel_message(&m, FAMILY, "wr-a", NULL, NULL, 0, &at));
}

/* A dump of one peer with one prefix, of which one thing is wrong. */
TEST(malformed_messages_are_refused)
{
	static const struct {
		uint16_t family;
		size_t len;
		uint8_t mask;
		size_t key;
		int want;
	} cases[] = {
		{ AF_INET, 4, 24, KEY_LEN, 0 },
		{ AF_INET6, 16, 128, KEY_LEN, 0 },
		{ AF_INET, 4, 33, KEY_LEN, -EBADMSG },
		{ AF_INET, 16, 24, KEY_LEN, -EBADMSG },
		{ AF_INET6, 4, 24, KEY_LEN, -EBADMSG },
		{ AF_INET6, 16, 129, KEY_LEN, -EBADMSG },
		{ AF_UNIX, 4, 24, KEY_LEN, -EBADMSG },
		{ AF_INET, 4, 24, KEY_LEN - 1, -EBADMSG },
		{ AF_INET, 4, 24, KEY_LEN + 1, -EBADMSG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static const uint8_t zeros[64], generic[4];
		struct nlattr *peers, *peer, *list, *one;
		struct wg_link l = { 0 };
		struct nl_msg m;

		nl_msg_begin(&m, FAMILY, 0, generic, sizeof(generic));
		peers = nl_nest_begin(&m, WGDEVICE_A_PEERS);
		peer = nl_nest_begin(&m, 0);
		nl_put(&m, WGPEER_A_PUBLIC_KEY, zeros, cases[i].key);
		list = nl_nest_begin(&m, WGPEER_A_ALLOWEDIPS);
		one = nl_nest_begin(&m, 0);
		nl_put_u16(&m, WGALLOWEDIP_A_FAMILY, cases[i].family);
		nl_put(&m, WGALLOWEDIP_A_IPADDR, zeros, cases[i].len);
		nl_put_u8(&m, WGALLOWEDIP_A_CIDR_MASK, cases[i].mask);
		nl_nest_end(&m, one);
		nl_nest_end(&m, list);
		nl_nest_end(&m, peer);
		nl_nest_end(&m, peers);
		if (wg_kernel_parse((const struct nlmsghdr *)(const void *)m.bytes, &l) !=
		    cases[i].want)
			test_end(false, "case %zu", i);
		wg_link_done(&l);
	}
}

TEST_MAIN("wg-kernel")
