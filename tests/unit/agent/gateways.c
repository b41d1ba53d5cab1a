/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which range goes through whom: one table of cases, and what holds in all of them. */
#include "agent/gateways.h"

#include <stdlib.h>

#include "agent/wanted.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "tests/test.h"

#define SIDES 2

static struct prefix own[SIDES];
static struct peers *peers[SIDES];
static struct gateways *gateways[SIDES];
static struct gateways_side sides[SIDES];
static struct carried_set sets[SIDES];
static const char *site = "here";
static const char *in_the_way;

static bool blocked(void *owner, const struct prefix *range, char *why, size_t size)
{
	char text[PREFIX_SIZE];

	(void)owner;
	if (!in_the_way || strcmp(prefix_format(range, text), in_the_way) != 0)
		return false;
	snprintf(why, size, "a route of this host");
	return true;
}

static void begin(void)
{
	static const uint8_t key[KEY_LEN] = { 0xff };

	CHECK_INT(prefix_parse("10.9.0.1/24", &own[0]), 0);
	CHECK_INT(prefix_parse("10.8.0.1/24", &own[1]), 0);
	for (size_t i = 0; i < SIDES; i++) {
		peers[i] = peers_new(&(struct peers_self){
			.id = "self", .key = key, .addresses = &own[i], .address_count = 1 });
		gateways[i] = gateways_new();
		sides[i] = (struct gateways_side){ .network = i ? "two" : "one",
						   .joined = 5,
						   .gateways = gateways[i],
						   .peers = peers[i],
						   .addresses = &own[i],
						   .address_count = 1 };
	}
}

static void end(void)
{
	for (size_t i = 0; i < SIDES; i++) {
		peers_free(peers[i]);
		gateways_free(gateways[i]);
		carried_set_done(&sets[i]);
	}
	site = "here";
	in_the_way = NULL;
}

static void member(size_t side, const char *id, uint8_t key)
{
	struct peer_key k = { { key } };
	struct addr a = own[side].addr;
	struct peer body = { .name = (char[]){ "name" },
			     .role = ROLE_NODE,
			     .keys = &k,
			     .key_count = 1,
			     .addresses = &a,
			     .address_count = 1 };

	a.bytes[3] = (uint8_t)(10 + key);
	peers_put(peers[side], id, &body, false);
}

/* `ranges` and `nodes`: separated by spaces; a range may be RANGE=AS. */
static void offer(size_t side, const char *id, const char *where, uint64_t priority,
		  const char *ranges, const char *nodes)
{
	struct gateway_range r[8] = { 0 };
	struct gateway_node n[8] = { 0 };
	struct arena a = { 0 };
	struct gateway g = { .site = where ? arena_strdup(&a, where) : NULL,
			     .priority = priority,
			     .ranges = r,
			     .nodes = n };
	char *save, *copy = arena_strdup(&a, ranges);

	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		char *as = strchr(s, '=');

		if (as) {
			*as = '\0';
			CHECK_INT(prefix_parse(as + 1, &r[g.range_count].as), 0);
		}
		CHECK_INT(prefix_parse(s, &r[g.range_count++].range), 0);
	}
	copy = arena_strdup(&a, nodes);
	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save))
		n[g.node_count++].node = s;
	gateways_put(gateways[side], id, &g);
	arena_done(&a);
}

static void resolve(void)
{
	const struct gateways_host host = { .site = site, .blocked = blocked };

	for (size_t i = 0; i < SIDES; i++)
		carried_set_done(&sets[i]);
	gateways_resolve(&host, sides, SIDES, sets);
}

/* `RANGE STATE NODE; ` of each, networks separated by `| `. */
static const char *text(void)
{
	static const char *const names[] = { "carried", "own-site", "ours",   "nobody",
					     "standby", "conflict", "refused" };
	static char out[4096];
	char range[PREFIX_SIZE];
	size_t at = 0;

	*out = '\0';
	resolve();
	for (size_t i = 0; i < SIDES; i++) {
		if (i)
			at += (size_t)snprintf(out + at, sizeof(out) - at, "|");
		for (size_t k = 0; k < sets[i].count; k++) {
			const struct carried *c = &sets[i].list[k];

			at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s %s%s%s",
					       k ? "; " : "", prefix_format(&c->range, range),
					       names[c->state], c->state == CARRIED ? " " : "",
					       c->state == CARRIED ? c->node : "");
		}
	}
	return out;
}

TEST(a_member_carries_what_its_gateway_offers)
{
	begin();
	CHECK_STR(text(), "|");
	offer(0, "g", "there", 100, "10.42.0.0/16 10.43.0.0/16", "a");
	CHECK_STR(text(), "10.42.0.0/16 nobody; 10.43.0.0/16 nobody|");
	member(0, "a", 1);
	CHECK_STR(text(), "10.42.0.0/16 carried a; 10.43.0.0/16 carried a|");
	peers_del(peers[0], "a");
	CHECK_STR(text(), "10.42.0.0/16 nobody; 10.43.0.0/16 nobody|");
	member(0, "a", 1);
	gateways_del(gateways[0], "g");
	CHECK_STR(text(), "|");
	end();
}

TEST(the_lowest_priority_then_the_lesser_node_carries)
{
	begin();
	member(0, "b", 2);
	member(0, "c", 3);
	offer(0, "g1", "there", 100, "10.42.0.0/16", "c b");
	CHECK_STR(text(), "10.42.0.0/16 carried b|");
	offer(0, "g2", "there", 50, "10.42.0.0/16", "c");
	CHECK_STR(text(), "10.42.0.0/16 carried c|");
	/* The better one is no member: the next one. */
	peers_del(peers[0], "c");
	CHECK_STR(text(), "10.42.0.0/16 carried b|");
	end();
}

TEST(own_site_and_own_ranges_stay_out_of_tunnels)
{
	begin();
	member(0, "a", 1);
	offer(0, "g", "here", 100, "10.42.0.0/16", "a");
	CHECK_STR(text(), "10.42.0.0/16 own-site|");
	offer(0, "g2", "there", 1, "10.42.0.0/16 10.42.7.0/24", "a");
	CHECK_STR(text(), "10.42.0.0/16 own-site; 10.42.7.0/24 conflict|");
	site = NULL;
	CHECK_STR(text(), "10.42.0.0/16 carried a; 10.42.7.0/24 carried a|");
	offer(0, "g3", "there", 200, "10.42.0.0/16", "self a");
	CHECK_STR(text(), "10.42.0.0/16 ours; 10.42.7.0/24 conflict|");
	end();
}

TEST(own_site_holds_in_every_network)
{
	begin();
	member(0, "a", 1);
	member(1, "a", 1);
	offer(0, "g", "here", 100, "10.42.0.0/16", "a");
	offer(1, "g", "there", 100, "10.42.0.0/16", "a");
	CHECK_STR(text(), "10.42.0.0/16 own-site|10.42.0.0/16 conflict");
	end();
}

TEST(the_first_joined_network_wins_then_the_lesser_name)
{
	char why[256];

	begin();
	member(0, "a", 1);
	member(1, "b", 2);
	offer(0, "g", "there", 100, "10.42.0.0/16", "a");
	offer(1, "g", "there", 1, "10.42.0.0/16", "b");
	CHECK_STR(text(), "10.42.0.0/16 carried a|10.42.0.0/16 standby");
	CHECK(carried_explain(&sets[1].list[0], "name", why, sizeof(why)));
	CHECK_STR(why, "10.42.0.0/16 of gateway g (name) is not routed: network one carries it");
	CHECK(!carried_explain(&sets[0].list[0], "name", why, sizeof(why)));
	sides[1].joined = 4;
	CHECK_STR(text(), "10.42.0.0/16 standby|10.42.0.0/16 carried b");
	/* Nobody there carries it: the other one does. */
	peers_del(peers[1], "b");
	CHECK_STR(text(), "10.42.0.0/16 carried a|10.42.0.0/16 nobody");
	member(1, "b", 2);
	sides[1].dropped = true;
	CHECK_STR(text(), "10.42.0.0/16 carried a|10.42.0.0/16 nobody");
	end();
}

TEST(what_is_in_the_way_is_not_overwritten)
{
	char why[256];

	begin();
	member(0, "a", 1);
	offer(0, "g", "there", 100, "10.42.0.0/16 192.168.1.0/24", "a");
	in_the_way = "192.168.1.0/24";
	CHECK_STR(text(), "10.42.0.0/16 carried a; 192.168.1.0/24 conflict|");
	CHECK(carried_explain(&sets[0].list[1], "", why, sizeof(why)));
	CHECK_STR(why, "192.168.1.0/24 of gateway g is not routed: a route of this host");
	end();
}

TEST(some_ranges_are_never_routed)
{
	begin();
	member(0, "a", 1);
	offer(0, "g", "there", 100, "0.0.0.0/0 10.9.0.0/25 10.0.0.0/8 127.0.0.0/8 169.254.0.0/16",
	      "a");
	offer(0, "h", "there", 100, "224.0.0.0/8 10.8.0.0/24 fd00:1::/64 10.7.0.0/24=10.6.0.0/24",
	      "a");
	offer(0, "i", "there", 100, "169.0.0.0/8", "a"); /* with the link's own addresses in it */
	CHECK_STR(
		text(),
		"0.0.0.0/0 refused; 10.0.0.0/8 refused; 10.6.0.0/24 refused; "
		"10.8.0.0/24 refused; 10.9.0.0/25 refused; 127.0.0.0/8 refused; "
		"169.0.0.0/8 refused; 169.254.0.0/16 refused; 224.0.0.0/8 refused; fd00:1::/64 refused|");
	end();
}

TEST(the_longest_range_answers_for_an_address)
{
	struct addr a;

	begin();
	member(0, "a", 1);
	member(0, "b", 2);
	offer(0, "g", "there", 100, "10.42.0.0/16", "a");
	offer(0, "h", "there", 100, "10.42.7.0/24", "b");
	resolve();
	CHECK_INT(addr_parse("10.42.7.9", &a), 0);
	CHECK_STR(carried_find(&sets[0], &a)->node, "b");
	CHECK_INT(addr_parse("10.42.8.9", &a), 0);
	CHECK_STR(carried_find(&sets[0], &a)->node, "a");
	CHECK_INT(addr_parse("10.43.8.9", &a), 0);
	CHECK(!carried_find(&sets[0], &a));
	end();
}

TEST(only_the_peers_concerned_are_touched)
{
	struct carried_set before;
	char a[KEY_BASE64_SIZE], b[KEY_BASE64_SIZE];

	begin();
	member(0, "a", 1);
	member(0, "b", 2);
	member(0, "c", 3);
	base64_encode((uint8_t[KEY_LEN]){ 1 }, KEY_LEN, a);
	base64_encode((uint8_t[KEY_LEN]){ 2 }, KEY_LEN, b);
	offer(0, "g", "there", 100, "10.42.0.0/16", "a");
	offer(0, "h", "there", 100, "10.43.0.0/16", "c");
	resolve();
	before = sets[0];
	sets[0] = (struct carried_set){ 0 };
	peers_touched_clear(peers[0]);
	resolve();
	CHECK(!carried_touch(&before, &sets[0], peers[0]));
	CHECK(!peers_touched_next(peers[0], NULL));
	offer(0, "g", "there", 100, "10.42.0.0/16", "b");
	resolve();
	CHECK(carried_touch(&before, &sets[0], peers[0]));
	CHECK_STR(peers_touched_next(peers[0], NULL), a);
	CHECK_STR(peers_touched_next(peers[0], a), b);
	CHECK(!peers_touched_next(peers[0], b));
	carried_set_done(&before);
	end();
}

TEST(what_we_carry_is_published_with_its_nat_mode)
{
	struct wg_link l = { 0 };
	struct gateway_range r = { 0 };
	struct gateway_node n = { .node = (char[]){ "self" } };
	struct gateway g = {
		.nat = NAT_NONE, .ranges = &r, .range_count = 1, .nodes = &n, .node_count = 1
	};

	begin();
	CHECK_INT(prefix_parse("10.44.0.0/16", &r.range), 0);
	gateways_put(gateways[0], "none", &g);
	offer(0, "g", "here", 100, "10.42.0.0/16 10.1.0.0/24=10.2.0.0/24", "a self");
	offer(0, "h", "here", 100, "10.43.0.0/16", "a");
	/* Nobody may make of this node a way to everywhere. */
	offer(0, "i", "here", 100, "0.0.0.0/0 128.0.0.0/1 ::/0 127.0.0.0/8 169.254.169.254/32",
	      "self");
	gateways_publish(gateways[0], "self", &l);
	wg_link_sort(&l);
	CHECK_INT(l.published_count, 2);
	CHECK_INT(l.published[0].range.addr.bytes[1], 42);
	CHECK(l.published[0].masquerade);
	CHECK_INT(l.published[1].range.addr.bytes[1], 44);
	CHECK(!l.published[1].masquerade);
	wg_link_done(&l);
	end();
}

/* ---- what holds whatever is offered ---- */

static unsigned rnd(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % n;
}

static void any_change(unsigned *s)
{
	static const char *const lists[] = { "10.42.0.0/16", "10.43.0.0/16 10.42.0.0/16",
					     "10.42.7.0/24 10.44.0.0/16", "10.44.0.0/16" };
	static const char *const nodes[] = { "a", "b c", "self", "c d", "a b" };
	static const char *const where[] = { "here", "there", NULL, "there" };
	char id[2] = { (char)('a' + rnd(s, 4)), 0 };
	size_t side = rnd(s, SIDES);

	switch (rnd(s, 5)) {
	case 0:
		peers_del(peers[side], id);
		break;
	case 1:
		gateways_del(gateways[side], id);
		break;
	case 2:
		member(side, id, (uint8_t)(1 + rnd(s, 4)));
		break;
	default:
		offer(side, id, where[rnd(s, 4)], rnd(s, 2), lists[rnd(s, 4)], nodes[rnd(s, 5)]);
	}
}

static struct wanted_network network(size_t i)
{
	static const uint8_t key[KEY_LEN] = { 0xff };

	return (struct wanted_network){ .interface = i ? "wr-two" : "wr-one",
					.private_key = key,
					.addresses = &own[i],
					.address_count = 1,
					.peers = peers[i],
					.gateways = gateways[i],
					.carried = &sets[i] };
}

/* What a partial pass does with the touched keys. */
static void partial(size_t i, struct wg_link *known)
{
	struct wanted_network w = network(i);

	for (const char *t = peers_touched_next(peers[i], NULL); t;
	     t = peers_touched_next(peers[i], t)) {
		struct wg_peer wanted, *was;
		uint8_t key[KEY_LEN];

		CHECK_INT(base64_decode(t, strlen(t), key, KEY_LEN), KEY_LEN);
		was = wg_link_peer(known, key);
		if (was) {
			wg_peer_done(was);
			*was = known->peers[--known->peer_count];
		}
		if (wanted_peer(&w, key, &wanted))
			*wg_link_add_peer(known, key) = wanted;
		wg_link_sort(known);
	}
	peers_touched_clear(peers[i]);
}

static void check_same(const struct wg_link *a, const struct wg_link *b)
{
	CHECK_INT(a->peer_count, b->peer_count);
	for (size_t i = 0; i < a->peer_count; i++) {
		CHECK(memcmp(a->peers[i].key, b->peers[i].key, KEY_LEN) == 0);
		CHECK_INT(a->peers[i].allowed_count, b->peers[i].allowed_count);
		for (size_t k = 0; k < a->peers[i].allowed_count; k++)
			CHECK_INT(prefix_cmp(&a->peers[i].allowed[k], &b->peers[i].allowed[k]), 0);
	}
}

static void check_one_owner(const struct host *h)
{
	for (size_t i = 0; i < h->link_count; i++) {
		const struct wg_link *l = &h->links[i];

		for (size_t a = 0; a < l->peer_count; a++)
			for (size_t b = 0; b < a; b++)
				for (size_t x = 0; x < l->peers[a].allowed_count; x++)
					for (size_t y = 0; y < l->peers[b].allowed_count; y++)
						CHECK(prefix_cmp(&l->peers[a].allowed[x],
								 &l->peers[b].allowed[y]) != 0);
		for (size_t r = 0; r < l->route_count; r++) {
			for (size_t o = 0; o < i; o++)
				for (size_t q = 0; q < h->links[o].route_count; q++)
					CHECK(prefix_cmp(&l->routes[r].prefix,
							 &h->links[o].routes[q].prefix) != 0);
			CHECK_INT(addr_cmp(&l->routes[r].source, &l->addresses[0].addr), 0);
		}
	}
}

TEST(touched_keys_give_what_a_full_pass_gives)
{
	for (unsigned seed = 1; seed <= 200; seed++) {
		struct wg_link known[SIDES] = { 0 };
		unsigned s = seed;

		begin();
		for (int step = 0; step < 60; step++) {
			struct carried_set before[SIDES];
			struct host h = { 0 };

			any_change(&s);
			if (rnd(&s, 3) == 0)
				continue;
			memcpy(before, sets, sizeof(before));
			memset(sets, 0, sizeof(sets));
			resolve();
			for (size_t i = 0; i < SIDES; i++) {
				struct wanted_network w = network(i);

				carried_touch(&before[i], &sets[i], peers[i]);
				carried_set_done(&before[i]);
				partial(i, &known[i]);
				wanted_link(&w, &h);
			}
			wanted_finish(&h, &(struct host){ 0 });
			check_one_owner(&h);
			check_same(&known[0], host_link(&h, "wr-one"));
			check_same(&known[1], host_link(&h, "wr-two"));
			host_done(&h);
		}
		wg_link_done(&known[0]);
		wg_link_done(&known[1]);
		end();
	}
}

TEST_MAIN("gateways")
