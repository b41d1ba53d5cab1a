/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "coordinator/authority.h"
#include "lib/clock.h"
#include "tests/fakes/authority_fake.h"
#include "tests/test.h"

#define ONE "aaaaaaaaaaaaaaaa"
#define TWO "bbbbbbbbbbbbbbbb"

static struct authority *a;
static struct refusal_reason why;
static struct arena kept; /* what lives as long as the test */

static char *keep(const char *s)
{
	return arena_strdup(&kept, s);
}

static void member(const char *network, const char *node, const char *name, uint64_t host)
{
	struct member_row m = { .network = keep(network),
				.node = keep(node),
				.name = keep(name),
				.host = host,
				.token = keep("t") };
	struct node_row n = { .id = m.node };
	struct arena arena = { 0 };

	if (store_node_get(a->store, &arena, node, &n) == -ENOENT)
		CHECK_INT(store_node_put(a->store, &n), 0);
	CHECK_INT(store_member_put(a->store, &m), 0);
	CHECK_INT(member_reconcile(a), 0);
	CHECK(authority_fake_peer(a, network, node));
	arena_done(&arena);
}

static void setup(void)
{
	struct prefix p;
	struct api_network wish = { .name = keep("office"), .ranges = &p, .range_count = 1 };

	a = authority_fake();
	CHECK_INT(prefix_parse("10.36.50.0/24", &p), 0);
	network_defaults(&wish);
	CHECK_INT(network_create(a, &wish, &why), 0);
	wish.name = keep("lab");
	CHECK_INT(prefix_parse("10.36.51.0/24", &p), 0);
	CHECK_INT(network_create(a, &wish, &why), 0);
	member("office", ONE, "db1", 1);
	member("office", TWO, "db2", 2);
	member("lab", ONE, "db1", 1);
}

TEST(by_name_or_id)
{
	struct arena arena = { 0 };
	struct api_node *n;
	size_t count;

	setup();
	CHECK_INT(node_show(a, &arena, "db1", &n, &count, &why), 0);
	CHECK_INT(count, 2);
	CHECK_STR(n[0].id, ONE);
	CHECK_INT(node_show(a, &arena, TWO, &n, &count, &why), 0);
	CHECK_INT(count, 1);
	CHECK_INT(node_show(a, &arena, "db3", &n, &count, &why), -ECANCELED);
	CHECK_INT(why.status, 404);
	member("lab", TWO, "db3", 2);
	member("office", "cccccccccccccccc", "db3", 3);
	CHECK_INT(node_show(a, &arena, "db3", &n, &count, &why), -ECANCELED);
	CHECK_STR(why.code, "ambiguous");
	arena_done(&arena);
}

TEST(rename_in_all_networks_or_nowhere)
{
	setup();
	CHECK_INT(node_rename(a, "db1", "Main DB", &why), 0);
	CHECK(strstr(authority_fake_peer(a, "office", ONE), "\"name\":\"main-db\""));
	CHECK(strstr(authority_fake_peer(a, "lab", ONE), "\"name\":\"main-db\""));
	CHECK(strstr(authority_fake_register(a, "a/" ONE "/config"), "main-db"));
	CHECK_INT(node_rename(a, "main-db", "db2", &why), -ECANCELED);
	CHECK_STR(why.code, "name_taken");
	CHECK(strstr(authority_fake_peer(a, "office", ONE), "main-db"));
	CHECK(strstr(authority_fake_peer(a, "lab", ONE), "main-db"));
}

TEST(remove_ends_all_and_tells_it)
{
	setup();
	CHECK_INT(node_remove(a, "db1", &why), 0);
	CHECK_INT(authority_fake_removed(a, "office", ONE), WHY_REMOVED);
	CHECK_INT(authority_fake_removed(a, "lab", ONE), WHY_REMOVED);
	CHECK(authority_fake_peer(a, "office", TWO));
	CHECK(authority_fake_cleared(a, "a/" ONE "/config"));
	CHECK(authority_fake_cleared(a, "n/office/ep/" ONE));
	CHECK(authority_fake_cleared(a, "u/" ONE "/state"));
	CHECK_INT(node_remove(a, "db1", &why), -ECANCELED);
}

TEST(leave_one_network_keeps_the_other)
{
	static const uint8_t request[HASH_LEN] = { 1 };

	setup();
	CHECK_INT(node_leave(a, ONE, "office", request, &why), 0);
	CHECK_INT(authority_fake_removed(a, "office", ONE), WHY_LEFT);
	CHECK(authority_fake_peer(a, "lab", ONE));
	CHECK(!authority_fake_cleared(a, "u/" ONE "/state"));
	CHECK(strstr(authority_fake_register(a, "a/" ONE "/config"), "\"left\""));
	CHECK_INT(node_leave(a, ONE, "office", request, &why), -ECANCELED);
	CHECK_STR(why.code, "not_a_member");
}

/* Whoever carries the messages kept the request, and sends it again when the node has come back. */
TEST(leave_is_obeyed_once)
{
	static const uint8_t request[HASH_LEN] = { 1 }, another[HASH_LEN] = { 2 };

	setup();
	CHECK_INT(node_leave(a, TWO, "office", request, &why), 0);
	member("office", TWO, "db2", 2);
	CHECK_INT(node_leave(a, TWO, "office", request, &why), -ECANCELED);
	CHECK_STR(why.code, "ended");
	CHECK(authority_fake_peer(a, "office", TWO));
	CHECK_INT(node_leave(a, TWO, "office", another, &why), 0);
	CHECK_INT(authority_fake_removed(a, "office", TWO), WHY_LEFT);
}

TEST(leaves_of_one_node_are_bounded)
{
	uint8_t request[HASH_LEN] = { 0 };

	setup();
	CHECK_INT(store_leave_put(a->store, "n", request, 1), 0);
	request[1] = 1;
	CHECK_INT(store_leave_put(a->store, "other", request, 1), 0);
	request[1] = 0;
	for (int i = 1; i < 100; i++) {
		request[0] = (uint8_t)i;
		CHECK_INT(store_leave_put(a->store, "n", request, i + 1), 0);
		CHECK_INT(store_leave_put(a->store, "n", request, i + 1), -EEXIST);
	}
	request[0] = 50;
	CHECK_INT(store_leave_put(a->store, "n", request, 200), -EEXIST);
	request[0] = 0;
	CHECK_INT(store_leave_put(a->store, "n", request, 201), 0); /* it was forgotten */
	request[1] = 1;
	CHECK_INT(store_leave_put(a->store, "other", request, 201), -EEXIST);
}

TEST(state_takes_only_higher_numbers)
{
	struct node_state s = { .seq = (1 << 20) + 1, .online = true };
	struct arena arena = { 0 };
	struct node_row n;

	setup();
	CHECK_INT(node_seen(a, ONE, &s), 0);
	CHECK_INT(node_seen(a, ONE, &s), -ESTALE);
	s = (struct node_state){ .seq = 1 << 20, .online = false }; /* a late will */
	CHECK_INT(node_seen(a, ONE, &s), -ESTALE);
	CHECK_INT(store_node_get(a->store, &arena, ONE, &n), 0);
	CHECK(n.online);
	CHECK_INT(n.last_seen, fake_now);
	CHECK_INT(node_seen(a, "cccccccccccccccc", &s), -ENOENT);
	arena_done(&arena);
}

TEST(silent_nodes_are_forgotten)
{
	struct node_state s = { .seq = 1, .online = true };
	struct token_row t = { .id = keep("t"), .network = keep("office"), .forget = 120 };

	setup();
	CHECK_INT(store_token_put(a->store, &t), 0);
	CHECK_INT(node_forget(a, 1000), 0); /* nobody is heard: it may be us */
	CHECK_INT(node_seen(a, TWO, &s), 0);
	CHECK_INT(node_forget(a, 60), 0);
	CHECK(authority_fake_peer(a, "office", ONE));
	CHECK_INT(node_forget(a, 59), 0);
	s = (struct node_state){ .seq = 2, .online = false };
	CHECK_INT(node_seen(a, ONE, &s), 0); /* it spoke: its silence begins anew */
	CHECK_INT(node_forget(a, 119), 0);
	CHECK(authority_fake_peer(a, "office", ONE));
	CHECK_INT(node_forget(a, 1), 0);
	CHECK_INT(authority_fake_removed(a, "office", ONE), WHY_SILENT);
	CHECK_INT(authority_fake_removed(a, "lab", ONE), WHY_SILENT);
	CHECK(authority_fake_peer(a, "office", TWO)); /* online */
}

TEST(endpoints_by_higher_seq)
{
	char *endpoint[1] = { keep("203.0.113.9:51830") };
	struct ep ep = { .seq = 5, .endpoints = endpoint, .endpoint_count = 1 };

	setup();
	CHECK_INT(node_endpoints(a, ONE, "office", &ep), 0);
	CHECK(strstr(authority_fake_peer(a, "office", ONE), "203.0.113.9:51830"));
	CHECK(authority_fake_cleared(a, "n/office/ep/" ONE));
	endpoint[0] = keep("203.0.113.10:51830");
	CHECK_INT(node_endpoints(a, ONE, "office", &ep), -ECANCELED);
	CHECK(strstr(authority_fake_peer(a, "office", ONE), "203.0.113.9:51830"));
}

/* They are tried again, so the store's failure must not look like old news. */
TEST(endpoints_when_the_store_fails)
{
	char text[] = "203.0.113.9:51830", *endpoint[1] = { text };
	struct ep ep = { .seq = 5, .endpoints = endpoint, .endpoint_count = 1 };

	setup();
	authority_fake_break(a, -ENOSPC);
	CHECK_INT(node_endpoints(a, ONE, "office", &ep), -EIO);
	authority_fake_break(a, 0);
	CHECK_INT(node_endpoints(a, ONE, "office", &ep), 0);
	CHECK_INT(node_endpoints(a, ONE, "nowhere", &ep), -ECANCELED);
}

TEST(journal_that_is_full_is_no_fault_of_the_disk)
{
	setup();
	authority_fake_break(a, -EFBIG);
	CHECK_INT(node_rename(a, "db1", "x", &why), -ECANCELED);
	CHECK_STR(why.code, "journal_full");
	CHECK_INT(why.status, 507);
	CHECK(!strstr(why.message, "database"));
}

static uint64_t waiting(uint64_t *ret_nodes)
{
	struct arena arena = { 0 };
	struct api_network n = { 0 };

	CHECK_INT(network_show(a, &arena, "office", &n, &why), 0);
	*ret_nodes = n.nodes;
	arena_done(&arena);
	return n.waiting;
}

/* 42 in the network, 41 of them silent: 30 % go, the others wait for a word, however long. */
TEST(too_many_at_once_wait_for_a_release)
{
	struct node_state s = { .seq = 1, .online = true };
	struct token_row t = { .id = keep("t"), .network = keep("office"), .forget = 120 };
	uint64_t nodes, released = 0;
	char id[32], name[32];

	setup();
	CHECK_INT(store_token_put(a->store, &t), 0);
	for (unsigned i = 0; i < 40; i++) {
		snprintf(id, sizeof(id), "node%012u", i);
		snprintf(name, sizeof(name), "n%u", i);
		member("office", id, name, 10 + i);
	}
	CHECK_INT(node_seen(a, TWO, &s), 0);
	CHECK_INT(node_forget(a, 119), 0);
	CHECK_INT(waiting(&nodes), 0);
	CHECK_INT(nodes, 42);
	for (int i = 0; i < 30; i++) {
		CHECK_INT(node_forget(a, 60), 0);
		CHECK_INT(waiting(&nodes), 29);
		CHECK_INT(nodes, 30);
		fake_now += 60;
	}
	CHECK_INT(authority_fake_removed(a, "lab", ONE), WHY_SILENT); /* each network by itself */
	CHECK_INT(network_release(a, "office", &released, &why), 0);
	CHECK_INT(released, 29);
	CHECK_INT(waiting(&nodes), 0);
	CHECK_INT(nodes, 1);
	CHECK_INT(authority_fake_removed(a, "office", id), WHY_SILENT);
	/* One more is not too many. */
	fake_now++;
	member("office", "late", "late", 200);
	CHECK_INT(node_forget(a, 120), 0);
	CHECK_INT(authority_fake_removed(a, "office", "late"), WHY_SILENT);
	CHECK_INT(network_release(a, "office", &released, &why), 0);
	CHECK_INT(released, 0);
}

/* More than fit into one transaction are allowed: they go one hundred after the other. */
TEST(what_is_allowed_goes_the_rest_waits)
{
	struct node_state s = { .seq = 1, .online = true };
	struct token_row t = { .id = keep("t"), .network = keep("office"), .forget = 120 };
	uint64_t nodes;
	char id[32];

	setup();
	CHECK_INT(store_token_put(a->store, &t), 0);
	CHECK_INT(node_seen(a, TWO, &s), 0);
	for (unsigned i = 0; i < 498; i++) {
		struct member_row m = {
			.network = t.network, .node = id, .name = id, .host = 300 + i, .token = t.id
		};

		snprintf(id, sizeof(id), "node%012u", i);
		CHECK_INT(store_node_put(a->store, &(struct node_row){ .id = id }), 0);
		CHECK_INT(store_member_put(a->store, &m), 0);
	}
	CHECK_INT(node_forget(a, 120), 0);
	CHECK_INT(waiting(&nodes), 349);
	CHECK_INT(nodes, 400);
	for (int i = 0; i < 3; i++) {
		fake_now += 60;
		CHECK_INT(node_forget(a, 60), 0);
		CHECK_INT(waiting(&nodes), 349);
		CHECK_INT(nodes, 350);
	}
}

/* They came back, so nothing waits any more, and later ones are counted anew. */
TEST(waiting_ends_when_they_are_heard)
{
	struct node_state s = { .seq = 1, .online = true };
	struct token_row t = { .id = keep("t"), .network = keep("office"), .forget = 120 };
	uint64_t nodes;
	char id[32];

	setup();
	CHECK_INT(store_token_put(a->store, &t), 0);
	for (unsigned i = 0; i < 12; i++) {
		snprintf(id, sizeof(id), "node%012u", i);
		member("office", id, id, 10 + i);
	}
	CHECK_INT(node_seen(a, TWO, &s), 0);
	CHECK_INT(node_forget(a, 120), 0);
	CHECK_INT(waiting(&nodes), 3);
	CHECK_INT(nodes, 4);
	for (unsigned i = 0; i < 12; i++) {
		snprintf(id, sizeof(id), "node%012u", i);
		node_seen(a, id, &s);
	}
	fake_now += 600;
	CHECK_INT(node_forget(a, 60), 0);
	CHECK_INT(waiting(&nodes), 0);
	s = (struct node_state){ .seq = 2 };
	CHECK_INT(node_seen(a, id, &s), 0);
	CHECK_INT(node_forget(a, 120), 0);
	CHECK_INT(authority_fake_removed(a, "office", id), WHY_SILENT);
}

/* Asked at each word of each node. */
TEST(memberships_of_one_node_among_many)
{
	struct arena arena = { 0 };
	struct member_row *rows;
	uint64_t begun, counted;
	size_t count;

	setup();
	CHECK_INT(store_begin(a->store), 0);
	for (uint64_t i = 10; i < 20000; i++) {
		char node[32], name[32], network[] = "office", token[] = "t";
		struct member_row m = {
			.network = network, .node = node, .name = name, .host = i, .token = token
		};

		snprintf(node, sizeof(node), "many%llu", (unsigned long long)i);
		snprintf(name, sizeof(name), "m%llu", (unsigned long long)i);
		CHECK_INT(store_member_put(a->store, &m), 0);
	}
	CHECK_INT(store_commit(a->store), 0);
	begun = clock_mono();
	for (int i = 0; i < 1000; i++)
		CHECK_INT(store_member_list(a->store, &arena, NULL, ONE, &rows, &count), 0);
	CHECK_INT(count, 2);
	CHECK_STR(rows[0].network, "lab");
	CHECK(clock_mono() - begun < USEC_PER_SEC / 2);
	CHECK_INT(store_member_list(a->store, &arena, "lab", ONE, &rows, &count), 0);
	CHECK_INT(count, 1);
	CHECK_INT(store_member_list(a->store, &arena, "office", NULL, &rows, &count), 0);
	CHECK_INT(count, 19992);
	CHECK_INT(store_member_count(a->store, "office", &counted), 0);
	CHECK_INT(counted, 19992);
	CHECK_STR(rows[0].name, "db1");
	CHECK_INT(store_member_list(a->store, &arena, NULL, NULL, &rows, &count), 0);
	CHECK_INT(count, 19993);
	CHECK_STR(rows[0].network, "lab");
	arena_done(&arena);
}

TEST(what_was_not_published_is_at_the_next_start)
{
	setup();
	CHECK_INT(store_member_delete(a->store, "office", TWO), 0);
	CHECK_INT(member_reconcile(a), 0);
	CHECK_INT(authority_fake_removed(a, "office", TWO), WHY_GONE);
	CHECK(authority_fake_peer(a, "office", ONE));
}

TEST_MAIN("nodes")
