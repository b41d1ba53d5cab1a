/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Peers and what is wanted of the kernel: who owns what, and that touched keys are enough. */
#include "agent/wanted.h"

#include "agent/plan.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "tests/test.h"

static const uint8_t self_key[KEY_LEN] = { 0xff };
static struct prefix self_address;

static struct peers *table(void)
{
	CHECK_INT(prefix_parse("10.9.0.1/24", &self_address), 0);
	return peers_new(&(struct peers_self){
		.id = "self", .key = self_key, .addresses = &self_address, .address_count = 1 });
}

/* A member with key byte `key` and address 10.9.0.`host`. */
static void put(struct peers *p, const char *id, uint8_t key, uint8_t host, bool orphan,
		unsigned role)
{
	struct peer_key k = { { key } };
	struct addr a = { .family = AF_INET, .bytes = { 10, 9, 0, host } };
	struct peer body = { .name = (char[]){ "name" },
			     .role = role,
			     .keys = &k,
			     .key_count = 1,
			     .addresses = &a,
			     .address_count = 1 };

	peers_put(p, id, &body, orphan);
}

static struct wanted_network network(const struct peers *p)
{
	return (struct wanted_network){ .interface = "wr-t",
					.private_key = self_key,
					.port = 1,
					.mtu = 1420,
					.keepalive = 20,
					.addresses = &self_address,
					.address_count = 1,
					.peers = p };
}

/* `key:hosts ` of each peer in order of keys. */
static const char *text_of(const struct wg_link *l)
{
	static char text[8192];
	size_t at = 0;

	text[0] = '\0';
	for (size_t i = 0; i < l->peer_count; i++) {
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%u:", l->peers[i].key[0]);
		for (size_t k = 0; k < l->peers[i].allowed_count; k++) {
			CHECK_INT(l->peers[i].allowed[k].len, 32);
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%u,",
					       l->peers[i].allowed[k].addr.bytes[3]);
		}
		at += (size_t)snprintf(text + at, sizeof(text) - at, " ");
	}
	return text;
}

static void check_link(const struct peers *p, const char *want)
{
	struct wanted_network n = network(p);
	struct host h = { 0 };

	wanted_link(&n, &h);
	host_sort(&h);
	CHECK_STR(text_of(&h.links[0]), want);
	host_done(&h);
}

TEST(addresses_become_allowed_ips)
{
	struct peers *p = table();
	struct wanted_network n = network(p);
	struct host h = { 0 };

	put(p, "b", 2, 12, false, ROLE_NODE);
	put(p, "a", 1, 11, false, ROLE_NODE);
	put(p, "leaf", 3, 13, false, ROLE_LEAF);
	check_link(p, "1:11, 2:12, ");
	wanted_link(&n, &h);
	host_sort(&h);
	CHECK_STR(h.links[0].name, "wr-t");
	CHECK(h.links[0].up);
	CHECK_INT(h.links[0].mtu, 1420);
	CHECK_INT(h.links[0].peers[0].keepalive, 20);
	CHECK_INT(h.links[0].address_count, 1);
	host_done(&h);
	peers_free(p);
}

TEST(the_lesser_id_wins_an_address)
{
	struct peers *p = table();
	char why[128];

	put(p, "b", 2, 11, false, ROLE_NODE);
	check_link(p, "2:11, ");
	CHECK(!peers_conflict(p, peers_get(p, "b"), why, sizeof(why)));
	put(p, "a", 1, 11, false, ROLE_NODE);
	check_link(p, "1:11, 2: ");
	CHECK(peers_conflict(p, peers_get(p, "b"), why, sizeof(why)));
	CHECK_STR(why, "its address 10.9.0.11 is that of name");
	peers_del(p, "a");
	check_link(p, "2:11, ");
	peers_free(p);
}

TEST(the_member_wins_over_the_orphan)
{
	struct peers *p = table();

	put(p, "a", 1, 11, true, ROLE_NODE);
	check_link(p, "1:11, ");
	put(p, "b", 2, 11, false, ROLE_NODE);
	check_link(p, "1: 2:11, ");
	/* It is listed again. */
	put(p, "a", 1, 11, false, ROLE_NODE);
	check_link(p, "1:11, 2: ");
	peers_free(p);
}

TEST(one_key_is_one_peer)
{
	struct peers *p = table();
	char why[128];

	put(p, "b", 1, 12, false, ROLE_NODE);
	put(p, "a", 1, 11, false, ROLE_NODE);
	check_link(p, "1:11, ");
	CHECK(peers_conflict(p, peers_get(p, "b"), why, sizeof(why)));
	CHECK_STR(why, "its WireGuard key is that of name");
	peers_del(p, "a");
	check_link(p, "1:12, ");
	peers_free(p);
}

TEST(nobody_takes_what_is_ours)
{
	struct peers *p = table();

	put(p, "a", 0xff, 11, false, ROLE_NODE);
	put(p, "b", 2, 1, false, ROLE_NODE);
	check_link(p, "2: ");
	put(p, "self", 0xff, 1, false, ROLE_NODE);
	check_link(p, "2: ");
	CHECK(peers_self_entry(p) != NULL);
	CHECK_INT(peers_count(p), 2);
	peers_free(p);
}

TEST(the_higher_seq_of_endpoints_counts)
{
	struct peers *p = table();
	char *first[] = { "192.0.2.1:1" }, *second[] = { "192.0.2.2:1" }, *const * list;
	struct peer_key k = { { 1 } };
	struct addr a = { .family = AF_INET, .bytes = { 10, 9, 0, 11 } };
	struct peer body = { .name = (char[]){ "n" },
			     .keys = &k,
			     .key_count = 1,
			     .addresses = &a,
			     .address_count = 1,
			     .endpoints = first,
			     .endpoint_count = 1,
			     .ep_seq = 3 };
	struct ep ep = { .seq = 3, .endpoints = second, .endpoint_count = 1 };

	CHECK(peers_put(p, "a", &body, false));
	CHECK(!peers_put(p, "a", &body, false));
	CHECK(!peers_put_ep(p, "nobody", &ep));
	CHECK(!peers_put_ep(p, "a", &ep));
	CHECK_INT(peers_endpoints(peers_get(p, "a"), &list), 1);
	CHECK_STR(list[0], "192.0.2.1:1");
	ep.seq = 4;
	CHECK(peers_put_ep(p, "a", &ep));
	CHECK_INT(peers_endpoints(peers_get(p, "a"), &list), 1);
	CHECK_STR(list[0], "192.0.2.2:1");
	CHECK_STR(peers_get(p, "a")->was[0], "192.0.2.1:1");
	/* Played back. */
	ep.seq = 3;
	CHECK(!peers_put_ep(p, "a", &ep));
	/* The coordinator took it into the member. */
	body.endpoints = second;
	body.ep_seq = 4;
	CHECK(!peers_put(p, "a", &body, false));
	peers_free(p);
}

/* ---- strangers ---- */

static void add_actual(struct wg_link *l, uint8_t key, uint8_t host)
{
	struct wg_peer *p = wg_link_add_peer(l, (uint8_t[KEY_LEN]){ key });
	struct prefix x = { .addr = { .family = AF_INET, .bytes = { 10, 9, 0, host } }, .len = 32 };

	wg_peer_add_allowed(p, &x);
}

TEST(strangers_stay_but_take_nothing)
{
	struct peers *p = table();
	struct wanted_network n = network(p);
	struct host h = { 0 }, actual = { 0 };
	struct wg_link *l = host_add_link(&actual, "wr-t");

	put(p, "a", 1, 11, false, ROLE_NODE);
	add_actual(l, 1, 99);
	add_actual(l, 3, 11);
	add_actual(l, 2, 12);
	host_sort(&actual);
	wanted_link(&n, &h);
	host_sort(&h);
	wanted_keep_peers(&h.links[0], &actual.links[0]);
	CHECK_STR(text_of(&h.links[0]), "1:11, 2:12, 3: ");
	host_done(&h);
	h = (struct host){ 0 };
	wanted_keep_link(&h, &actual.links[0]);
	CHECK_STR(text_of(&h.links[0]), "1:99, 2:12, 3:11, ");
	host_done(&h);
	host_done(&actual);
	peers_free(p);
}

TEST(ranges_in_doubt_stay_where_nobody_has_them)
{
	static const char *const ranges[] = { "10.42.0.0/16", "10.43.0.0/16", "10.9.0.99/32" };
	struct peers *p = table();
	struct carried have = { .state = CARRIED, .node = "b" };
	struct carried_set carried = { .list = &have, .count = 1 };
	struct wanted_network n = network(p);
	struct host h = { 0 }, actual = { 0 };
	struct wg_link *l = host_add_link(&actual, "wr-t");
	struct wg_peer *peer = wg_link_add_peer(l, (uint8_t[KEY_LEN]){ 1 });

	CHECK_INT(prefix_parse(ranges[0], &have.range), 0);
	n.carried = &carried;
	put(p, "a", 1, 11, false, ROLE_NODE);
	put(p, "b", 2, 12, false, ROLE_NODE);
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		struct prefix x;

		CHECK_INT(prefix_parse(ranges[i], &x), 0);
		wg_peer_add_allowed(peer, &x);
		wg_link_add_route(l, &x, NULL);
	}
	host_sort(&actual);
	wanted_link(&n, &h);
	host_sort(&h);
	l = &h.links[0];
	CHECK_INT(l->route_count, 1);
	wanted_keep_ranges(&h, l, &actual.links[0]);
	/* The first is another's now, the last is no range but an address. */
	CHECK_INT(l->peers[0].allowed_count, 2);
	CHECK_INT(l->peers[0].allowed[1].addr.bytes[1], 43);
	CHECK_INT(l->peers[1].allowed_count, 2);
	CHECK_INT(l->peers[1].allowed[1].addr.bytes[1], 42);
	CHECK_INT(l->route_count, 3);
	host_done(&h);
	host_done(&actual);
	peers_free(p);
}

/* ---- touched keys are enough ---- */

/* Applies what is wanted of the touched keys to `known`, as a partial pass does. */
static void partial(struct peers *p, struct wg_link *known)
{
	struct wanted_network n = network(p);

	for (const char *text = peers_touched_next(p, NULL); text;
	     text = peers_touched_next(p, text)) {
		struct wg_peer wanted, *was;
		uint8_t key[KEY_LEN];
		bool has;

		CHECK_INT(base64_decode(text, strlen(text), key, KEY_LEN), KEY_LEN);
		has = wanted_peer(&n, key, &wanted);
		was = wg_link_peer(known, key);
		if (was) {
			wg_peer_done(was);
			*was = known->peers[--known->peer_count];
		}
		if (has)
			*wg_link_add_peer(known, key) = wanted;
		wg_link_sort(known);
	}
	peers_touched_clear(p);
}

static unsigned rnd(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % n;
}

TEST(touched_keys_give_what_a_full_pass_gives)
{
	for (unsigned seed = 1; seed <= 300; seed++) {
		struct peers *p = table();
		struct wg_link known = { 0 };
		unsigned s = seed;

		for (int step = 0; step < 60; step++) {
			char id[3] = { (char)('a' + rnd(&s, 6)), 0 };
			char want[8192];
			struct wanted_network n = network(p);
			struct host h = { 0 };

			/* Few keys and addresses: they collide all the time. */
			if (rnd(&s, 4) == 0)
				peers_del(p, id);
			else
				put(p, id, (uint8_t)rnd(&s, 5), (uint8_t)rnd(&s, 5),
				    rnd(&s, 3) == 0, rnd(&s, 5) == 0 ? ROLE_LEAF : ROLE_NODE);
			if (rnd(&s, 2))
				partial(p, &known);
			if (step < 59)
				continue;
			partial(p, &known);
			wanted_link(&n, &h);
			host_sort(&h);
			snprintf(want, sizeof(want), "%s", text_of(&h.links[0]));
			CHECK_STR(text_of(&known), want);
			host_done(&h);
		}
		wg_link_done(&known);
		peers_free(p);
	}
}

/* No prefix has two owners, whatever is claimed. */
TEST(no_two_peers_share_a_prefix)
{
	for (unsigned seed = 1; seed <= 300; seed++) {
		struct peers *p = table();
		struct wanted_network n = network(p);
		struct host h = { 0 };
		bool seen[8] = { false };
		unsigned s = seed;

		for (int step = 0; step < 20; step++)
			put(p, (char[]){ (char)('a' + rnd(&s, 9)), 0 }, (uint8_t)rnd(&s, 6),
			    (uint8_t)rnd(&s, 6), rnd(&s, 2), ROLE_NODE);
		wanted_link(&n, &h);
		host_sort(&h);
		for (size_t i = 0; i < h.links[0].peer_count; i++)
			for (size_t k = 0; k < h.links[0].peers[i].allowed_count; k++) {
				uint8_t host = h.links[0].peers[i].allowed[k].addr.bytes[3];

				CHECK(!seen[host] && host != 1);
				seen[host] = true;
			}
		for (size_t i = 0; i + 1 < h.links[0].peer_count; i++)
			CHECK(memcmp(h.links[0].peers[i].key, h.links[0].peers[i + 1].key,
				     KEY_LEN) != 0);
		host_done(&h);
		peers_free(p);
	}
}

static void add_link(struct host *h, const char *name)
{
	struct wg_link *l = host_add_link(h, name);

	wg_link_add_address(l, &(struct prefix){ .addr = { AF_INET, { 10, 9, 0, 1 } }, .len = 24 });
}

TEST(rules_of_what_goes_stay_until_it_is_gone)
{
	struct host now = { 0 }, h = { 0 }, none = { 0 };

	add_link(&now, "wr-a");
	add_link(&now, "wr-b");
	host_sort(&now);
	add_link(&h, "wr-a");
	wanted_finish(&h, &now);
	CHECK(h.nft_first && strstr(h.nft_first, "iifname \"wr-b\" counter drop"));
	CHECK(!strstr(h.nft, "wr-b"));
	/* As it is there already, with both: nothing is written before wr-b is gone. */
	wanted_finish(&now, &none);
	CHECK_STR(h.nft_first, now.nft);
	CHECK(!now.nft_first);
	host_done(&h);
	add_link(&h, "wr-a");
	add_link(&h, "wr-b");
	wanted_finish(&h, &now);
	CHECK(!h.nft_first);
	/* When all goes the table goes last, as it is. */
	wanted_finish(&none, &now);
	CHECK(!none.nft && !none.nft_first);
	host_done(&now);
	host_done(&h);
}

TEST(forwarding_of_ours_keeps_others_apart)
{
	static const struct {
		unsigned on, ours;
		bool gateway, forwards, isolated;
	} table[] = {
		{ 0, 0, false, false, false },	     { FORWARD_4, 0, false, true, false },
		{ 0, 0, true, true, true },	     { FORWARD_4, FORWARD_4, true, true, true },
		{ FORWARD_4, 0, true, true, false }, { FORWARD_4, FORWARD_4, false, false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct host now = { .forwarding = table[i].on, .forwarding_ours = table[i].ours };
		struct host h = { 0 };
		struct prefix range = { .addr = { AF_INET, { 10, 42 } }, .len = 16 };

		add_link(&h, "wr-a");
		if (table[i].gateway)
			wg_link_add_published(&h.links[0], &range, true);
		wanted_finish(&h, &now);
		CHECK_INT(h.forwards != 0, table[i].forwards);
		CHECK_INT(strstr(h.nft, "nfproto ipv4 counter drop") != NULL, table[i].isolated);
		CHECK(!strstr(h.nft, "nfproto ipv6"));
		host_done(&h);
	}
}

TEST_MAIN("wanted")
