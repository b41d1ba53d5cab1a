/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Passes over a kernel in memory: what is made, what is left alone, what is tried again. */
#include "agent/apply.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "agent/follow.h"
#include "agent/peers.h"
#include "agent/reach.h"
#include "lib/clock.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "tests/fakes/clock_fake.h"
#include "tests/fakes/kernel_fake.h"
#include "tests/test.h"
#include "tests/unit/agent/broker_memory.h"
#include "tests/unit/agent/folder.h"
#include "tests/unit/agent/member.h"

static struct loop *loop;
static struct state *state;
static struct kernel *kernel;
static struct apply *apply;
static struct memberships memberships;
static struct network *net;
static struct sign_key identity;

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

static void begin(void)
{
	struct prefix address;
	const struct addr own[] = { { .family = AF_INET, .bytes = { 192, 0, 2, 99 } } };
	char why[256];

	CHECK_INT(prefix_parse("10.9.0.1/24", &address), 0);
	loop = loop_new();
	CHECK_INT(state_open(folder(), loop, &state, why, sizeof(why)), 0);
	kernel = kernel_fake_new();
	sign_key_generate(&identity);
	net = member_put_in(&memberships, state, "dc1", &address, 1, 1);
	net->peers = peers_new(&(struct peers_self){ .id = identity.id,
						     .key = net->public_key,
						     .addresses = &address,
						     .address_count = 1 });
	net->reach = reach_new(&(struct reach_config){ .loop = loop,
						       .kernel = kernel,
						       .state = state,
						       .peers = net->peers,
						       .network = net->name,
						       .interface = net->interface,
						       .wanted = on_wanted,
						       .changed = on_reach_changed,
						       .owner = net });
	reach_set_own(net->reach, own, 1, &address, 1);
	apply = apply_new(&(struct apply_config){
		.loop = loop, .kernel = kernel, .state = state, .memberships = &memberships });
}

static void end(void)
{
	apply_free(apply);
	follow_free(net->follow_peers);
	reach_free(net->reach);
	peers_free(net->peers);
	apply_network_done(net);
	memberships_done(&memberships);
	kernel_free(kernel);
	state_close(state);
	sign_key_done(&identity);
	loop_free(loop);
}

static void put(const char *id, uint8_t key, uint8_t host, const char *endpoint)
{
	struct peer_key k = { { key } };
	struct addr a = { .family = AF_INET, .bytes = { 10, 9, 0, host } };
	char text[64] = "", *list[] = { text };
	struct peer body = { .name = (char[]){ "n" },
			     .keys = &k,
			     .key_count = 1,
			     .addresses = &a,
			     .address_count = 1,
			     .endpoints = list,
			     .endpoint_count = endpoint != NULL };

	snprintf(text, sizeof(text), "%s", endpoint ? endpoint : "");
	if (peers_put(net->peers, id, &body, false))
		reach_update(net->reach, peers_get(net->peers, id));
}

static void del(const char *id)
{
	peers_del(net->peers, id);
	reach_forget(net->reach, id);
}

static void turn(unsigned ms)
{
	uint64_t until = clock_mono() + ms * USEC_PER_MSEC;

	do {
		uint64_t now = clock_mono();

		CHECK_INT(loop_turn(loop, now < until ? until - now : 0), 0);
	} while (clock_mono() < until);
}

static struct wg_link *link_now(void)
{
	return host_link(kernel_fake_host(kernel), "wr-dc1");
}

static struct wg_peer *peer_now(uint8_t key)
{
	return wg_link_peer(link_now(), (uint8_t[KEY_LEN]){ key });
}

/* One more full pass finds nothing to do. */
static void check_settled(void)
{
	unsigned long ops = kernel_fake_op_count(kernel);

	apply_full(apply);
	CHECK_INT(kernel_fake_op_count(kernel), ops);
}

TEST(a_full_pass_makes_everything_once)
{
	struct wg_link *l;

	begin();
	put("a", 1, 11, "192.0.2.11:51830");
	put("b", 2, 12, NULL);
	apply_full(apply);
	l = link_now();
	CHECK(l && l->up);
	CHECK_INT(l->mtu, 1420);
	CHECK_INT(l->port, net->port);
	CHECK(net->port >= 51830);
	CHECK_INT(l->address_count, 1);
	CHECK_INT(l->peer_count, 2);
	CHECK_INT(peer_now(1)->keepalive, 20);
	CHECK_INT(peer_now(1)->endpoint.port, 51830);
	CHECK_INT(peer_now(1)->allowed[0].addr.bytes[3], 11);
	CHECK_INT(peer_now(2)->endpoint.addr.family, 0);
	CHECK(*kernel_fake_host(kernel)->nft_hash);
	CHECK(net->up);
	check_settled();
	end();
}

TEST(a_delta_costs_its_own_ops)
{
	unsigned long ops;

	begin();
	for (uint8_t i = 1; i <= 50; i++)
		put((char[]){ 'p', (char)('0' + i / 10), (char)('0' + i % 10), 0 }, i,
		    (uint8_t)(10 + i), NULL);
	apply_full(apply);
	ops = kernel_fake_op_count(kernel);
	put("new", 99, 99, NULL);
	apply_soon(apply);
	turn(1);
	CHECK_INT(kernel_fake_op_count(kernel) - ops, 1);
	CHECK(peer_now(99) != NULL);
	del("p07");
	put("p08", 8, 108, NULL);
	apply_soon(apply);
	turn(1);
	CHECK(!peer_now(7));
	CHECK_INT(peer_now(8)->allowed_count, 1);
	CHECK_INT(peer_now(8)->allowed[0].addr.bytes[3], 108);
	CHECK(kernel_fake_op_count(kernel) - ops <= 4);
	check_settled();
	end();
}

static unsigned rnd(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % n;
}

TEST(any_sequence_of_deltas_gives_what_a_full_pass_gives)
{
	unsigned s = 7;

	begin();
	apply_full(apply);
	for (int step = 0; step < 2000; step++) {
		char id[2] = { (char)('a' + rnd(&s, 8)), 0 };

		if (rnd(&s, 3) == 0)
			del(id);
		else
			put(id, (uint8_t)(1 + rnd(&s, 8)), (uint8_t)(2 + rnd(&s, 8)), NULL);
		if (rnd(&s, 2)) {
			apply_soon(apply);
			turn(0);
		}
		if (step % 20 == 0) {
			apply_soon(apply);
			turn(0);
			check_settled();
		}
	}
	end();
}

TEST(a_failure_is_said_and_tried_again)
{
	begin();
	put("a", 1, 11, NULL);
	kernel_fake_fail(kernel, OP_LINK_ADD, -EPERM, 1);
	apply_full(apply);
	CHECK(!net->up);
	CHECK(*net->problem);
	turn(1200);
	CHECK(net->up);
	CHECK(!*net->problem);
	CHECK(peer_now(1) != NULL);
	kernel_fake_fail(kernel, OP_PEER_PUT, -ENOMEM, 1);
	put("b", 2, 12, NULL);
	apply_soon(apply);
	turn(10);
	CHECK(!peer_now(2));
	CHECK(*net->problem);
	turn(1200);
	CHECK(peer_now(2) != NULL);
	check_settled();
	end();
}

/* The interface of a join that has not been answered yet. */
TEST(an_early_interface_has_no_peer_and_goes)
{
	struct wg_link *l;
	unsigned long ops;

	begin();
	apply_full(apply);
	apply_early(apply, "wr-new", (uint8_t[KEY_LEN]){ 7 }, 51900);
	l = host_link(kernel_fake_host(kernel), "wr-new");
	CHECK(l && l->up && l->port == 51900 && l->private_key[0] == 7);
	CHECK(!l->address_count && !l->peer_count);
	ops = kernel_fake_op_count(kernel);
	apply_full(apply);
	CHECK_INT(kernel_fake_op_count(kernel), ops);
	CHECK_STR(kernel_fake_unasked(kernel), "");
	apply_early_end(apply);
	CHECK_STR(kernel_fake_unasked(kernel), "wr-new");
	turn(10);
	CHECK(!host_link(kernel_fake_host(kernel), "wr-new"));
	/* We are in: it stays. */
	apply_early(apply, net->interface, net->private_key, net->port);
	apply_early_end(apply);
	CHECK(link_now()->up);
	check_settled();
	kernel_fake_ask(kernel, "wr-old");
	apply_full(apply);
	CHECK_STR(kernel_fake_unasked(kernel), "wr-new");
	end();
}

TEST(what_changed_behind_our_back_is_mended)
{
	struct wg_link *l;

	begin();
	put("a", 1, 11, NULL);
	apply_full(apply);
	l = link_now();
	l->up = false;
	l->mtu = 1500;
	wg_peer_done(&l->peers[0]);
	l->peer_count = 0;
	apply_full(apply);
	CHECK(link_now()->up);
	CHECK_INT(link_now()->mtu, 1420);
	CHECK(peer_now(1) != NULL);
	end();
}

TEST(a_taken_port_is_passed_over_and_kept)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(51830) };
	struct memberships back = { 0 };
	uint16_t port;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 && errno != EADDRINUSE)
		SKIP("no UDP socket");
	begin();
	apply_full(apply);
	port = net->port;
	CHECK(port > 51830);
	CHECK_INT(link_now()->port, port);
	close(fd);
	/* The interface has it, so it stays. */
	apply_full(apply);
	CHECK_INT(net->port, port);
	memberships_load(&back, state);
	CHECK_INT(back.list[0]->port, port);
	memberships_done(&back);
	end();
}

TEST(a_port_that_somebody_was_faster_at)
{
	begin();
	kernel_fake_fail(kernel, OP_LINK_DEVICE, -EADDRINUSE, 1);
	apply_full(apply);
	CHECK(!net->up);
	turn(1200);
	CHECK(net->up);
	CHECK(link_now()->port != 0);
	end();
}

/* ---- strangers in the kernel ---- */

static void stranger(uint8_t key, uint8_t host)
{
	struct prefix x = { .addr = { .family = AF_INET, .bytes = { 10, 9, 0, host } }, .len = 32 };

	wg_peer_add_allowed(wg_link_add_peer(link_now(), (uint8_t[KEY_LEN]){ key }), &x);
	host_sort(kernel_fake_host(kernel));
}

static void deliver(void *owner, const char *topic, const void *bytes, size_t len)
{
	struct broker *b = owner;
	struct topic t;

	CHECK_INT(topic_parse(b->mesh, topic, &t), 0);
	CHECK_INT(follow_receive(net->follow_peers, &t, bytes, len), REFUSED_NOT);
}

static void no_change(void *owner, struct follow *f, const struct replica_change *c, size_t count,
		      bool all)
{
	(void)owner;
	(void)f;
	(void)c;
	(void)count;
	(void)all;
}

static void follow_it(struct broker *b)
{
	b->owner = b;
	b->deliver = deliver;
	broker_begin(b, "dc1", JOURNAL_PEERS);
	net->follow_peers = follow_new(&(struct follow_config){ .loop = loop,
								.state = state,
								.mesh = b->mesh,
								.journal = b->journal,
								.identity = &identity,
								.keys = &b->keys,
								.subscribe = broker_subscribe,
								.unsubscribe = broker_unsubscribe,
								.publish = broker_take_ask,
								.changed = no_change,
								.owner = b });
}

#define STALE 95 /* seconds without a beat */

TEST(max_stale_drops_the_peers_of_a_stale_journal)
{
	static struct broker b;

	begin();
	follow_it(&b);
	put("a", 1, 11, NULL);
	turn(1);
	follow_connected(net->follow_peers);
	broker_change(&b, "x", "{\"x\":1}");
	apply_full(apply);
	CHECK(peer_now(1));
	/* Without it: never. */
	clock_fake_step(100 * 24 * 3600);
	turn(1);
	CHECK(follow_stale_since(net->follow_peers) > 0);
	apply_full(apply);
	CHECK(peer_now(1) && !net->dropped);
	broker_change(&b, "x", "{\"x\":2}");
	turn(1);
	CHECK_INT(follow_stale_since(net->follow_peers), 0);
	net->max_stale = 3600;
	clock_fake_step(3600 + STALE - 5);
	turn(1);
	apply_full(apply);
	CHECK(peer_now(1) && !net->dropped);
	clock_fake_step(10);
	turn(1);
	apply_full(apply);
	CHECK(!peer_now(1) && net->dropped);
	/* The network itself stays. */
	CHECK_INT(kernel_fake_host(kernel)->link_count, 1);
	/* The writer is heard again. */
	broker_change(&b, "x", "{\"x\":3}");
	turn(1);
	apply_full(apply);
	CHECK(peer_now(1) && !net->dropped);
	broker_end(&b);
	end();
}

TEST(strangers_stay_until_the_journal_is_caught_up)
{
	static struct broker b;
	struct broker_bytes *m;
	char topic[TOPIC_SIZE];

	begin();
	follow_it(&b);
	put("a", 1, 11, NULL);
	apply_full(apply);
	stranger(5, 15);
	stranger(6, 11);
	apply_full(apply);
	CHECK(peer_now(5) && peer_now(6));
	/* But for what a known peer has. */
	CHECK_INT(peer_now(6)->allowed_count, 0);
	CHECK_INT(peer_now(5)->allowed_count, 1);
	follow_set_minimum(net->follow_peers, writer_position(b.writer), "t", "d");
	broker_change(&b, "x", "{\"x\":1}");
	b.cut = true;
	follow_connected(net->follow_peers);
	b.cut = false;
	for (int i = 0; i < 50 && !follow_is_level(net->follow_peers); i++) {
		topic_format(b.mesh, &b.journal, topic);
		m = map_get(b.retained, topic);
		deliver(&b, topic, m->bytes, m->len);
		turn(20);
	}
	CHECK(follow_is_level(net->follow_peers));
	apply_full(apply);
	CHECK(!peer_now(5) && !peer_now(6) && peer_now(1));
	broker_end(&b);
	end();
}

TEST(an_unknown_interface_stays_a_left_one_goes)
{
	struct network *other;
	struct prefix address;
	struct membership m = { .network = (char[]){ "old" },
				.name = (char[]){ "n1" },
				.addresses = &address,
				.address_count = 1,
				.mtu = 1420,
				.port = 51830 };

	begin();
	CHECK_INT(prefix_parse("10.8.0.1/24", &address), 0);
	host_add_link(kernel_fake_host(kernel), "wr-lost");
	host_add_link(kernel_fake_host(kernel), "wr-old");
	host_sort(kernel_fake_host(kernel));
	apply_full(apply);
	CHECK(host_link(kernel_fake_host(kernel), "wr-lost") != NULL);
	CHECK(host_link(kernel_fake_host(kernel), "wr-old") != NULL);
	other = memberships_put(&memberships, state, &m, (uint8_t[KEY_LEN]){ 2 }, 2);
	apply_forget(apply, other);
	memberships_del(&memberships, state, other);
	apply_full(apply);
	CHECK(host_link(kernel_fake_host(kernel), "wr-lost") != NULL);
	CHECK(!host_link(kernel_fake_host(kernel), "wr-old"));
	end();
}

/* ---- reaching peers ---- */

TEST(a_silent_peer_is_tried_with_its_next_endpoint)
{
	struct endpoint first, second;
	unsigned long retries;

	begin();
	put("a", 1, 11, "192.0.2.11:1");
	put("b", 2, 12, "192.0.2.12:1");
	put("none", 3, 13, NULL);
	apply_full(apply);
	/* One of them answers. */
	peer_now(2)->last_handshake = clock_wall();
	turn(900);
	retries = kernel_fake_retry_count(kernel);
	CHECK(retries >= 1 && retries <= 2);
	CHECK_INT(endpoint_parse("192.0.2.11:1", &first), 0);
	CHECK_INT(endpoint_cmp(&peer_now(1)->endpoint, &first), 0);
	/* It roams: the new address is tried at once. */
	put("a", 1, 11, "192.0.2.111:1");
	turn(50);
	CHECK_INT(kernel_fake_retry_count(kernel), retries + 1);
	CHECK_INT(endpoint_parse("192.0.2.111:1", &second), 0);
	CHECK_INT(endpoint_cmp(&peer_now(1)->endpoint, &second), 0);
	end();
}

TEST(a_learned_endpoint_is_kept_and_survives_a_restart)
{
	struct endpoint learned, announced;
	struct reach *r;

	begin();
	put("a", 1, 11, "192.0.2.11:1");
	apply_full(apply);
	CHECK_INT(endpoint_parse("203.0.113.20:40001", &learned), 0);
	CHECK_INT(endpoint_parse("192.0.2.12:1", &announced), 0);
	peer_now(1)->endpoint = learned;
	peer_now(1)->last_handshake = clock_wall();
	apply_full(apply);
	CHECK_INT(endpoint_cmp(&peer_now(1)->endpoint, &learned), 0);
	/* It announces something else from behind its NAT: the session is where it was heard. */
	put("a", 1, 11, "192.0.2.12:1");
	apply_soon(apply);
	turn(50);
	CHECK_INT(endpoint_cmp(&peer_now(1)->endpoint, &learned), 0);
	CHECK_INT(kernel_fake_retry_count(kernel), 0);
	reach_store(net->reach);
	/* A new process begins where it was heard. */
	r = reach_new(&(struct reach_config){ .loop = loop,
					      .kernel = kernel,
					      .state = state,
					      .peers = net->peers,
					      .network = net->name,
					      .interface = net->interface,
					      .wanted = on_wanted,
					      .changed = on_reach_changed,
					      .owner = net });
	peers_get(net->peers, "a")->made = false;
	reach_update(r, peers_get(net->peers, "a"));
	CHECK_INT(endpoint_cmp(&peers_get(net->peers, "a")->endpoint, &learned), 0);
	reach_free(r);
	end();
}

TEST(a_peer_that_left_its_announced_place_is_followed)
{
	struct endpoint old, new;

	begin();
	put("a", 1, 11, "192.0.2.11:1");
	apply_full(apply);
	CHECK_INT(endpoint_parse("192.0.2.11:1", &old), 0);
	CHECK_INT(endpoint_parse("192.0.2.44:1", &new), 0);
	CHECK_INT(endpoint_cmp(&peer_now(1)->endpoint, &old), 0);
	peer_now(1)->last_handshake = clock_wall();
	put("a", 1, 11, "192.0.2.44:1");
	apply_soon(apply);
	turn(50);
	CHECK_INT(endpoint_cmp(&peer_now(1)->endpoint, &new), 0);
	/* Written, not made anew: the session goes on. */
	CHECK_INT(kernel_fake_retry_count(kernel), 0);
	end();
}

TEST(no_usable_endpoint_names_the_option)
{
	char why[256];

	begin();
	put("a", 1, 11, NULL);
	apply_full(apply);
	CHECK(reach_problem(net->reach, peers_get(net->peers, "a"), 0, why, sizeof(why)));
	CHECK(strstr(why, "no usable endpoint") && strstr(why, "--endpoint"));
	CHECK(!reach_problem(net->reach, peers_get(net->peers, "a"), clock_wall(), why,
			     sizeof(why)));
	end();
}

TEST_MAIN("apply")
