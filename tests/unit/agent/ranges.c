/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ranges of gateways through the passes, over a kernel in memory: any order of changes ends like one full pass. */
#include "agent/ranges.h"

#include <errno.h>

#include "agent/apply.h"
#include "agent/peers.h"
#include "agent/reach.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "tests/fakes/kernel_fake.h"
#include "tests/test.h"
#include "tests/unit/agent/folder.h"
#include "tests/unit/agent/member.h"

#define NETS 2

static struct loop *loop;
static struct state *state;
static struct kernel *kernel;
static struct apply *apply;
static struct memberships memberships;
static struct network *nets[NETS];
static struct sign_key identity;
static const char *site = "here";
static struct brokers *brokers;

static bool on_wanted(void *owner, const uint8_t key[static KEY_LEN], struct wg_peer *ret)
{
	struct wanted_network w;

	apply_wanted(owner, &w);
	return wanted_peer(&w, key, ret);
}

static void on_reach_changed(void *owner)
{
	(void)owner;
	apply_soon(apply);
}

static void on_brokers(void *owner)
{
	(void)owner;
	if (apply)
		apply_full_soon(apply);
}

static void join(size_t i, const char *name, const char *range)
{
	struct prefix address;
	struct network *n;

	CHECK_INT(prefix_parse(range, &address), 0);
	n = nets[i] = member_put_in(&memberships, state, name, &address, 1, (int64_t)i + 1);
	n->peers = peers_new(&(struct peers_self){ .id = identity.id,
						   .key = n->public_key,
						   .addresses = &address,
						   .address_count = 1 });
	n->gateways = gateways_new();
	n->reach = reach_new(&(struct reach_config){ .loop = loop,
						     .kernel = kernel,
						     .state = state,
						     .peers = n->peers,
						     .network = n->name,
						     .interface = n->interface,
						     .wanted = on_wanted,
						     .changed = on_reach_changed,
						     .owner = n });
}

static void begin(void)
{
	char why[256];

	loop = loop_new();
	CHECK_INT(state_open(folder(), loop, &state, why, sizeof(why)), 0);
	kernel = kernel_fake_new();
	sign_key_generate(&identity);
	join(0, "one", "10.9.0.1/24");
	join(1, "two", "10.8.0.1/24");
	brokers = brokers_new(loop, on_brokers, NULL);
	apply = apply_new(&(struct apply_config){ .loop = loop,
						  .brokers = brokers,
						  .kernel = kernel,
						  .state = state,
						  .memberships = &memberships,
						  .site = &site });
	apply_full(apply);
}

static void end(void)
{
	apply_free(TAKE(apply));
	brokers_free(brokers);
	for (size_t i = 0; i < NETS; i++) {
		reach_free(nets[i]->reach);
		peers_free(nets[i]->peers);
		gateways_free(nets[i]->gateways);
		apply_network_done(nets[i]);
	}
	memberships_done(&memberships);
	kernel_free(kernel);
	state_close(state);
	sign_key_done(&identity);
	loop_free(loop);
}

static void turn(void)
{
	apply_soon(apply);
	CHECK_INT(loop_turn(loop, 0), 0);
	CHECK_INT(loop_turn(loop, 0), 0);
}

static void member(size_t net, const char *id, uint8_t key, const char *endpoint)
{
	struct peer_key k = { { key } };
	struct addr a = nets[net]->membership.addresses[0].addr;
	char text[64] = "", *list[] = { text };
	struct peer body = { .name = (char[]){ "n" },
			     .role = ROLE_NODE,
			     .keys = &k,
			     .key_count = 1,
			     .addresses = &a,
			     .address_count = 1,
			     .endpoints = list,
			     .endpoint_count = endpoint != NULL };

	snprintf(text, sizeof(text), "%s", endpoint ? endpoint : "");
	a.bytes[3] = (uint8_t)(10 + key);
	if (peers_put(nets[net]->peers, id, &body, false))
		reach_update(nets[net]->reach, peers_get(nets[net]->peers, id));
}

static void member_gone(size_t net, const char *id)
{
	peers_del(nets[net]->peers, id);
	reach_forget(nets[net]->reach, id);
}

/* `node` NULL: we ourselves. */
static void offer(size_t net, const char *id, const char *where, const char *range,
		  const char *node, unsigned nat)
{
	_cleanup_(freep) char *s = where ? xstrdup(where) : NULL;
	_cleanup_(freep) char *who = xstrdup(node ? node : identity.id);
	struct gateway_range r = { 0 };
	struct gateway_node n = { .node = who };
	struct gateway g = {
		.site = s, .nat = nat, .ranges = &r, .range_count = 1, .nodes = &n, .node_count = 1
	};

	CHECK_INT(prefix_parse(range, &r.range), 0);
	gateways_put(nets[net]->gateways, id, &g);
	nets[net]->gateways_changed = true;
}

static void withdraw(size_t net, const char *id)
{
	gateways_del(nets[net]->gateways, id);
	nets[net]->gateways_changed = true;
}

static struct wg_link *link_now(size_t net)
{
	return host_link(kernel_fake_host(kernel), nets[net]->interface);
}

static bool has_route(size_t net, const char *range)
{
	struct prefix p;

	CHECK_INT(prefix_parse(range, &p), 0);
	for (size_t i = 0; i < link_now(net)->route_count; i++)
		if (prefix_cmp(&link_now(net)->routes[i].prefix, &p) == 0)
			return true;
	return false;
}

static bool has_allowed(size_t net, uint8_t key, const char *range)
{
	const struct wg_peer *w = wg_link_peer(link_now(net), (uint8_t[KEY_LEN]){ key });
	struct prefix p;

	CHECK_INT(prefix_parse(range, &p), 0);
	for (size_t i = 0; w && i < w->allowed_count; i++)
		if (prefix_cmp(&w->allowed[i], &p) == 0)
			return true;
	return false;
}

/* One more full pass finds nothing to do. */
static void check_settled(void)
{
	unsigned long ops = kernel_fake_op_count(kernel);

	apply_full(apply);
	CHECK_INT(kernel_fake_op_count(kernel), ops);
}

TEST(a_gateway_costs_its_peer_and_its_route)
{
	unsigned long ops;

	begin();
	member(0, "a", 1, NULL);
	member(0, "b", 2, NULL);
	turn();
	ops = kernel_fake_op_count(kernel);
	offer(0, "g", "there", "10.42.0.0/16", "a", NAT_MASQUERADE);
	turn();
	/* And with the first one, what goes into the tunnel is masqueraded. */
	CHECK_INT(kernel_fake_op_count(kernel) - ops, 3);
	CHECK(has_route(0, "10.42.0.0/16") && has_allowed(0, 1, "10.42.0.0/16"));
	check_settled();
	ops = kernel_fake_op_count(kernel);
	offer(0, "h", "there", "10.43.0.0/16", "b", NAT_MASQUERADE);
	turn();
	CHECK_INT(kernel_fake_op_count(kernel) - ops, 2);
	ops = kernel_fake_op_count(kernel);
	withdraw(0, "g");
	turn();
	CHECK_INT(kernel_fake_op_count(kernel) - ops, 2);
	CHECK(!has_route(0, "10.42.0.0/16") && !has_allowed(0, 1, "10.42.0.0/16"));
	check_settled();
	end();
}

TEST(what_this_host_has_is_left_alone_and_said)
{
	begin();
	member(0, "a", 1, NULL);
	kernel_fake_set_blocked(kernel, "192.168.1.0/24");
	offer(0, "g", "there", "192.168.1.0/24", "a", NAT_MASQUERADE);
	turn();
	CHECK(!has_route(0, "192.168.1.0/24") && !has_allowed(0, 1, "192.168.1.0/24"));
	CHECK_STR(nets[0]->conflict, "192.168.1.0/24 of gateway g is not routed: this host has the "
				     "route 192.168.1.0/24 on eth0, which is not ours");
	/* The LAN goes. */
	kernel_fake_set_blocked(kernel, NULL);
	apply_full(apply);
	CHECK(has_route(0, "192.168.1.0/24"));
	CHECK_STR(nets[0]->conflict, "");
	end();
}

TEST(a_range_around_a_peers_endpoint_is_not_routed)
{
	struct wg_peer *p;

	begin();
	member(0, "a", 1, NULL);
	turn();
	p = wg_link_peer(link_now(0), (uint8_t[KEY_LEN]){ 1 });
	CHECK_INT(endpoint_parse("203.0.113.9:51830", &p->endpoint), 0);
	p->last_handshake = clock_wall();
	offer(0, "g", "there", "203.0.113.0/24", "a", NAT_MASQUERADE);
	turn();
	CHECK(!has_route(0, "203.0.113.0/24"));
	CHECK(strstr(nets[0]->conflict, "a peer is reached at 203.0.113.9:51830"));
	end();
}

/* Else nobody could tell us that the range has gone. */
TEST(a_range_around_a_broker_is_not_routed)
{
	char *urls[] = { (char[]){ "mqtts://203.0.113.7:8883" },
			 (char[]){ "mqtts://[2001:db8::7]:8883" } };

	begin();
	member(0, "a", 1, NULL);
	offer(0, "g", "there", "203.0.113.0/24", "a", NAT_MASQUERADE);
	turn();
	CHECK(has_route(0, "203.0.113.0/24"));
	brokers_set(brokers, urls, 2);
	turn();
	CHECK(!has_route(0, "203.0.113.0/24") && !has_allowed(0, 1, "203.0.113.0/24"));
	CHECK(strstr(nets[0]->conflict, "the broker is reached at 203.0.113.7:8883"));
	brokers_set(brokers, urls + 1, 1);
	turn();
	CHECK(has_route(0, "203.0.113.0/24"));
	end();
}

TEST(endpoints_inside_a_range_are_not_tried)
{
	const struct addr own[] = { { .family = AF_INET, .bytes = { 192, 0, 2, 99 } } };

	begin();
	for (size_t i = 0; i < NETS; i++)
		reach_set_own(nets[i]->reach, own, 1, nets[i]->membership.addresses, 1);
	member(0, "a", 1, "10.42.1.1:51830");
	turn();
	CHECK_INT(peers_get(nets[0]->peers, "a")->endpoint.port, 51830);
	offer(0, "g", "there", "10.42.0.0/16", "a", NAT_MASQUERADE);
	turn();
	CHECK(has_route(0, "10.42.0.0/16"));
	CHECK_INT(peers_get(nets[0]->peers, "a")->endpoint.port, 0);
	end();
}

static const char *endpoint_of(size_t net, const char *id)
{
	static char text[ENDPOINT_SIZE];
	const struct endpoint *e = &peers_get(nets[net]->peers, id)->endpoint;

	return e->addr.family ? endpoint_format(e, text) : "";
}

/* What only the default route leads to: not from the internet, and from a LAN after all others. */
TEST(private_addresses_are_tried_where_they_can_be)
{
	const struct addr own[] = { { .family = AF_INET, .bytes = { 192, 0, 2, 99 } } };

	begin();
	for (size_t i = 0; i < NETS; i++)
		reach_set_own(nets[i]->reach, own, 1, nets[i]->membership.addresses, 1);
	member(0, "a", 1, "192.168.1.11:51830");
	turn();
	CHECK_STR(endpoint_of(0, "a"), "192.168.1.11:51830");
	kernel_fake_set_way(kernel, WAY_NONE);
	member(0, "b", 2, "192.168.1.12:51830");
	turn();
	CHECK_STR(endpoint_of(0, "b"), "");
	/* A new address of ours: perhaps it is in that LAN. */
	kernel_fake_set_way(kernel, WAY_UNSURE);
	reach_set_own(nets[0]->reach, own, 1, nets[0]->membership.addresses, 1);
	CHECK_STR(endpoint_of(0, "b"), "192.168.1.12:51830");
	kernel_fake_set_way(kernel, WAY_NONE);
	member(0, "c", 3, "203.0.113.7:51830");
	turn();
	CHECK_STR(endpoint_of(0, "c"), "203.0.113.7:51830");
	end();
}

/* What is there goes on; what is new waits, and says why. */
TEST(nothing_is_added_without_rules)
{
	unsigned long ops;

	begin();
	member(0, "a", 1, NULL);
	turn();
	kernel_fake_fail(kernel, OP_NFT, -EINVAL, 2);
	ops = kernel_fake_op_count(kernel);
	member(0, "b", 2, NULL);
	offer(0, "g", "there", "10.42.0.0/16", "a", NAT_MASQUERADE);
	turn();
	CHECK(!nets[0]->up && *nets[0]->problem && !nets[1]->up && apply_problem(apply));
	CHECK_INT(kernel_fake_op_count(kernel), ops);
	apply_full(apply);
	CHECK_INT(kernel_fake_op_count(kernel), ops);
	apply_full(apply);
	CHECK(nets[0]->up && !*nets[0]->problem && !apply_problem(apply));
	CHECK(has_route(0, "10.42.0.0/16") && has_allowed(0, 1, "10.42.0.0/16"));
	check_settled();
	end();
}

TEST(routes_are_read_once_for_all_ranges)
{
	char id[2] = "a", range[] = "10.40.0.0/16";
	unsigned long before;

	begin();
	member(0, "a", 1, NULL);
	for (; *id < 'i'; ++*id, range[4]++)
		offer(0, id, "there", range, "a", NAT_MASQUERADE);
	before = kernel_fake_looked(kernel);
	turn();
	CHECK(has_route(0, "10.40.0.0/16") && has_route(0, "10.47.0.0/16"));
	CHECK_INT(kernel_fake_looked(kernel) - before, 1);
	before = kernel_fake_looked(kernel);
	apply_full(apply);
	CHECK_INT(kernel_fake_looked(kernel) - before, 1);
	end();
}

TEST(a_gateway_forwards_until_it_is_none)
{
	begin();
	offer(0, "g", "here", "10.42.0.0/16", NULL, NAT_MASQUERADE);
	turn();
	CHECK_INT(kernel_fake_host(kernel)->forwarding, FORWARD_4);
	check_settled();
	offer(1, "h", "here", "fd42::/48", NULL, NAT_MASQUERADE);
	turn();
	CHECK_INT(kernel_fake_host(kernel)->forwarding, FORWARD_4 | FORWARD_6);
	withdraw(0, "g");
	turn();
	CHECK_INT(kernel_fake_host(kernel)->forwarding, FORWARD_6);
	offer(0, "g", "here", "10.42.0.0/16", NULL, NAT_MASQUERADE);
	turn();
	CHECK_INT(kernel_fake_host(kernel)->forwarding, FORWARD_4 | FORWARD_6);
	withdraw(0, "g");
	withdraw(1, "h");
	turn();
	CHECK_INT(kernel_fake_host(kernel)->forwarding, 0);
	check_settled();
	/* What was on before us stays on. */
	kernel_fake_host(kernel)->forwarding = FORWARD_4;
	apply_full(apply);
	offer(0, "g", "here", "10.42.0.0/16", NULL, NAT_MASQUERADE);
	turn();
	withdraw(0, "g");
	turn();
	CHECK_INT(kernel_fake_host(kernel)->forwarding, FORWARD_4);
	end();
}

static void note(void *owner, const struct op *op)
{
	struct buf *b = owner;
	char text[OP_TEXT_SIZE];

	op_format(op, text, sizeof(text));
	buf_printf(b, "%.*s ", (int)strcspn(text, " "), text);
}

/* Forwarding never runs without the rules that keep others apart, and others' forwarding is theirs. */
TEST(forwarding_is_on_only_behind_its_rules)
{
	struct buf ops = { 0 };

	begin();
	kernel_fake_watch(kernel, note, &ops);
	offer(0, "g", "here", "10.42.0.0/16", NULL, NAT_MASQUERADE);
	turn();
	CHECK_STR(buf_cstr(&ops), "nft forward-on ");
	buf_clear(&ops);
	withdraw(0, "g");
	turn();
	CHECK_STR(buf_cstr(&ops), "nft forward-off nft-last ");
	buf_clear(&ops);
	/* Somebody else switches it on. */
	kernel_fake_host(kernel)->forwarding = FORWARD_4;
	apply_full(apply);
	CHECK_STR(buf_cstr(&ops), "nft ");
	check_settled();
	buf_done(&ops);
	end();
}

TEST(the_nat_mode_alone_changes_the_rules)
{
	char before[HASH_HEX_SIZE];

	begin();
	offer(0, "g", "here", "10.42.0.0/16", NULL, NAT_MASQUERADE);
	turn();
	memcpy(before, kernel_fake_host(kernel)->nft_hash, sizeof(before));
	offer(0, "g", "here", "10.42.0.0/16", NULL, NAT_NONE);
	turn();
	CHECK(strcmp(kernel_fake_host(kernel)->nft_hash, before) != 0);
	check_settled();
	end();
}

TEST(flows_from_before_a_route_are_forgotten)
{
	unsigned long before;
	uint64_t until;

	begin();
	member(0, "a", 1, NULL);
	turn();
	before = kernel_fake_forgotten(kernel);
	offer(0, "g", "there", "10.42.0.0/16", "a", NAT_MASQUERADE);
	turn();
	until = clock_mono() + 3 * USEC_PER_SEC / 2;
	while (clock_mono() < until && kernel_fake_forgotten(kernel) == before)
		CHECK_INT(loop_turn(loop, 50 * USEC_PER_MSEC), 0);
	CHECK(kernel_fake_forgotten(kernel) > before);
	end();
}

static unsigned rnd(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % n;
}

static void any_change(unsigned *s)
{
	static const char *const ranges[] = { "10.42.0.0/16", "10.43.0.0/16", "10.42.7.0/24",
					      "10.44.0.0/16" };
	static const char *const where[] = { "here", "there", "there", NULL };
	const char *nodes[] = { "a", "b", "c", "d", NULL };
	char id[2] = { (char)('a' + rnd(s, 4)), 0 };
	size_t net = rnd(s, NETS);

	switch (rnd(s, 6)) {
	case 0:
		member_gone(net, id);
		break;
	case 1:
		withdraw(net, id);
		break;
	case 2:
	case 3:
		member(net, id, (uint8_t)(1 + rnd(s, 4)), NULL);
		break;
	default:
		offer(net, id, where[rnd(s, 4)], ranges[rnd(s, 4)], nodes[rnd(s, 5)], rnd(s, 2));
	}
}

TEST(partial_passes_end_like_a_full_one)
{
	unsigned s = 1;

	log_set_level(LOG_ERROR);
	begin();
	for (int step = 0; step < 3000; step++) {
		any_change(&s);
		if (rnd(&s, 2))
			turn();
		if (rnd(&s, 20) == 0) {
			turn();
			check_settled();
		}
	}
	end();
}

TEST_MAIN("ranges")
