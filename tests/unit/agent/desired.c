/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The values of desired and actual state, and the names of interfaces.
 */
#include "agent/desired.h"
#include "agent/interface.h"
#include "lib/mem.h"
#include "tests/test.h"

static struct prefix prefix(const char *s)
{
	struct prefix p;

	if (prefix_parse(s, &p) < 0)
		test_end(false, "bad prefix %s", s);
	return p;
}

static void key(uint8_t ret[KEY_LEN], uint8_t n)
{
	memset(ret, 0, KEY_LEN);
	ret[0] = n;
}

TEST(sort_orders_every_table)
{
	struct prefix a = prefix("10.9.0.2/32"), b = prefix("10.9.0.1/32"), c = prefix("fd00::/64");
	struct host h = { 0 };
	struct wg_link *l;
	struct wg_peer *p;
	uint8_t k[KEY_LEN];

	host_add_link(&h, "wr-b");
	l = host_add_link(&h, "wr-a");
	key(k, 2);
	p = wg_link_add_peer(l, k);
	wg_peer_add_allowed(p, &c);
	wg_peer_add_allowed(p, &a);
	wg_peer_add_allowed(p, &b);
	wg_peer_add_allowed(p, &a);
	key(k, 1);
	wg_link_add_peer(l, k);
	wg_link_add_route(l, &c, NULL);
	wg_link_add_route(l, &a, &a.addr);
	wg_link_add_address(l, &a);
	wg_link_add_address(l, &b);
	host_sort(&h);
	CHECK_STR(h.links[0].name, "wr-a");
	CHECK_STR(h.links[1].name, "wr-b");
	l = &h.links[0];
	CHECK_INT(l->peers[0].key[0], 1);
	CHECK_INT(l->peers[1].key[0], 2);
	CHECK_INT(l->peers[1].allowed_count, 3);
	CHECK(prefix_cmp(&l->peers[1].allowed[0], &b) == 0);
	CHECK(prefix_cmp(&l->peers[1].allowed[1], &a) == 0);
	CHECK(prefix_cmp(&l->peers[1].allowed[2], &c) == 0);
	CHECK(prefix_cmp(&l->addresses[0], &b) == 0);
	CHECK(prefix_cmp(&l->routes[0].prefix, &a) == 0);
	CHECK(addr_cmp(&l->routes[0].source, &a.addr) == 0);
	CHECK_INT(l->routes[1].source.family, 0);
	host_done(&h);
	CHECK_INT(h.link_count, 0);
}

TEST(find_by_key)
{
	struct host h = { 0 };
	struct wg_link *l;
	uint8_t k[KEY_LEN];

	CHECK(!host_link(&h, "wr-a"));
	l = host_add_link(&h, "wr-m");
	for (uint8_t i = 0; i < 50; i++) {
		key(k, (uint8_t)(i * 37 % 50 * 2));
		wg_link_add_peer(l, k);
	}
	host_add_link(&h, "wr-z");
	host_add_link(&h, "wr-a");
	host_sort(&h);
	CHECK(host_link(&h, "wr-m") == &h.links[1]);
	CHECK(!host_link(&h, "wr-b"));
	CHECK(!host_link(&h, "a-name-that-is-much-too-long-for-an-interface"));
	for (uint8_t i = 0; i < 100; i++) {
		key(k, i);
		CHECK(!wg_link_peer(&h.links[1], k) == (i % 2 == 1));
	}
	CHECK(!wg_link_peer(&h.links[0], k));
	host_done(&h);
}

TEST(sort_hashes_the_table)
{
	struct host h = { .nft = xstrdup("abc") };

	host_sort(&h);
	/* FIPS 180-2, appendix B.1 */
	CHECK_STR(h.nft_hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	host_done(&h);
	host_sort(&h);
	CHECK_STR(h.nft_hash, "");
}

TEST(interface_name_fits)
{
	char name[INTERFACE_SIZE], other[INTERFACE_SIZE];

	interface_name("dc1-k3s", name);
	CHECK_STR(name, "wr-dc1-k3s");
	interface_name("twelve-chars", name);
	CHECK_STR(name, "wr-twelve-chars");
	interface_name("thirteen-char", name);
	CHECK_INT(strlen(name), 15);
	CHECK(strncmp(name, "wr-", 3) == 0);
	CHECK(strcmp(name, "wr-thirteen-cha") != 0);
	interface_name("thirteen-chas", other);
	CHECK(strcmp(name, other) != 0);
	interface_name("thirteen-char", other);
	CHECK_STR(other, name);
}

TEST(interface_candidate_leaves_out_what_is_not_the_hosts)
{
	CHECK(interface_candidate("eth0", "", false));
	CHECK(interface_candidate("eth0", "veth", false));
	CHECK(interface_candidate("bond0", "bond", false));
	CHECK(interface_candidate("eth0.7", "vlan", false));
	CHECK(interface_candidate("ppp0", "ppp", true));
	CHECK(interface_candidate("vmbr0", "bridge", true));
	CHECK(!interface_candidate("vmbr1", "bridge", false));
	CHECK(!interface_candidate("docker0", "bridge", false));
	CHECK(!interface_candidate("veth12ab", "veth", false));
	CHECK(!interface_candidate("cali0a1b", "veth", false));
	CHECK(!interface_candidate("cilium_host", "veth", false));
	CHECK(!interface_candidate("flannel.1", "vxlan", false));
	CHECK(!interface_candidate("kube-ipvs0", "dummy", false));
	CHECK(!interface_candidate("tun0", "tun", true));
	CHECK(!interface_candidate("wg0", "wireguard", true));
	CHECK(!interface_candidate("wr-dc1", "", false));
}

TEST_MAIN("desired")
