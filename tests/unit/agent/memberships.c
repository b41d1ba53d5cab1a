/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of memberships, from answers and from a/<node>/config. */
#include "agent/memberships.h"

#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/test.h"
#include "tests/unit/agent/folder.h"

static struct state *s;
static const uint8_t key[KEY_LEN] = { 1, 2, 3 };

static void begin(void)
{
	char why[256];

	CHECK_INT(state_open(folder(), NULL, &s, why, sizeof(why)), 0);
}

static struct membership membership(const char *network, const char *name, const char *address)
{
	static struct prefix addresses[8];
	static unsigned n;
	struct prefix *p = &addresses[n++ % 8];

	CHECK_INT(prefix_parse(address, p), 0);
	return (struct membership){ .network = (char *)(uintptr_t)network,
				    .name = (char *)(uintptr_t)name,
				    .addresses = p,
				    .address_count = 1,
				    .mtu = 1420,
				    .keepalive = 20,
				    .port = 51830 };
}

TEST(a_membership_survives_a_restart)
{
	struct memberships m = { 0 }, back = { 0 };
	struct membership what = membership("a-network-of-a-long-name", "n1", "10.77.0.5/24");
	struct network *n;

	begin();
	n = memberships_put(&m, s, &what, key, 100);
	n->port = 51833;
	n->ep_seq = 9;
	memberships_store(s, n);
	CHECK(strlen(n->interface) < INTERFACE_SIZE);
	memberships_load(&back, s);
	CHECK_INT(back.count, 1);
	CHECK_STR(back.list[0]->name, "a-network-of-a-long-name");
	CHECK_STR(back.list[0]->interface, n->interface);
	CHECK_STR(back.list[0]->membership.name, "n1");
	CHECK_INT(back.list[0]->membership.addresses[0].addr.bytes[3], 5);
	CHECK_INT(back.list[0]->port, 51833);
	CHECK_INT(back.list[0]->ep_seq, 9);
	CHECK_INT(back.list[0]->mtu, 1420);
	CHECK(memcmp(back.list[0]->private_key, key, KEY_LEN) == 0);
	CHECK(memcmp(back.list[0]->public_key, n->public_key, KEY_LEN) == 0);
	memberships_del(&back, s, back.list[0]);
	CHECK_INT(back.count, 0);
	memberships_done(&m);
	memberships_done(&back);
	memberships_load(&back, s);
	CHECK_INT(back.count, 0);
	state_close(s);
}

/* The holder that a killed agent had lost it with the start of the next one; an earlier loss is kept. */
TEST(holders_survive_a_restart)
{
	struct memberships m = { 0 }, back = { 0 };
	struct membership a = membership("dc1", "n1", "10.77.0.5/24");
	struct membership b = membership("cloud", "n1", "10.78.0.5/24");
	struct membership c = membership("never", "n1", "10.79.0.5/24");
	int64_t before = clock_wall();
	struct network *n;

	begin();
	n = memberships_put(&m, s, &a, key, 100);
	n->holders = 1;
	memberships_store(s, n);
	n = memberships_put(&m, s, &b, key, 200);
	n->holder_gone = 12345;
	memberships_store(s, n);
	memberships_put(&m, s, &c, key, 300);
	memberships_load(&back, s);
	CHECK_INT(back.count, 3);
	CHECK_INT(back.list[0]->holders, 0);
	CHECK(back.list[0]->holder_awaited && !back.list[1]->holder_awaited);
	CHECK(back.list[0]->holder_gone >= before && back.list[0]->holder_gone <= clock_wall());
	CHECK_INT(back.list[1]->holder_gone, 12345);
	CHECK_INT(back.list[2]->holder_gone, 0);
	memberships_done(&m);
	memberships_done(&back);
	state_close(s);
}

TEST(joining_again_keeps_its_place_and_port)
{
	struct memberships m = { 0 };
	struct membership a = membership("dc1", "n1", "10.77.0.5/24");
	struct membership b = membership("cloud", "n1", "10.78.0.5/24");
	struct network *n;

	begin();
	n = memberships_put(&m, s, &a, key, 100);
	memberships_put(&m, s, &b, key, 200);
	n->port = 51999;
	a.name = (char *)(uintptr_t) "renamed";
	CHECK(memberships_put(&m, s, &a, (uint8_t[KEY_LEN]){ 9 }, 300) == n);
	CHECK_INT(m.count, 2);
	CHECK(m.list[0] == n);
	CHECK_STR(n->membership.name, "renamed");
	CHECK_INT(n->port, 51999);
	CHECK_INT(n->private_key[0], 9);
	CHECK_INT(n->joined, 100);
	memberships_done(&m);
	state_close(s);
}

/* In one second, and after the clock was set back. */
TEST(who_joins_later_is_later)
{
	static const int64_t clock[] = { 100, 100, 7 };
	struct memberships m = { 0 };
	struct membership joined[] = { membership("z", "n1", "10.77.0.5/24"),
				       membership("b", "n1", "10.78.0.5/24"),
				       membership("a", "n1", "10.79.0.5/24") };
	struct network *n[3];

	begin();
	for (int i = 0; i < 3; i++)
		n[i] = memberships_put(&m, s, &joined[i], key, clock[i]);
	CHECK_INT(n[0]->joined, 100);
	CHECK(n[0]->joined < n[1]->joined && n[1]->joined < n[2]->joined);
	memberships_done(&m);
	state_close(s);
}

TEST(config_renames_ends_and_adds_nothing)
{
	struct memberships m = { 0 }, back = { 0 };
	struct membership dc1 = membership("dc1", "n1", "10.77.0.5/24");
	struct membership cloud = membership("cloud", "n1", "10.78.0.5/24");
	struct membership told[2] = { membership("dc1", "n2", "10.77.0.5/24"),
				      membership("unknown", "n1", "10.79.0.5/24") };
	struct ended ended[2] = { { (char[]){ "cloud" }, (char[]){ "removed" } },
				  { (char[]){ "never-had" }, (char[]){ "removed" } } };
	struct node_config c = { .seq = 1, .memberships = told, .membership_count = 2 };

	begin();
	memberships_put(&m, s, &dc1, key, 1);
	memberships_put(&m, s, &cloud, key, 2);
	CHECK(memberships_take(&m, s, &c));
	CHECK_INT(m.count, 2);
	CHECK_STR(memberships_get(&m, "dc1")->membership.name, "n2");
	CHECK(!memberships_get(&m, "dc1")->ended);
	/* What it does not list is not ended by that. */
	CHECK(!memberships_get(&m, "cloud")->ended);
	CHECK(!memberships_take(&m, s, &c));
	c.ended = ended;
	c.ended_count = 2;
	CHECK(memberships_take(&m, s, &c));
	CHECK(memberships_get(&m, "cloud")->ended);
	CHECK(!memberships_get(&m, "dc1")->ended);
	CHECK(!memberships_take(&m, s, &c));
	memberships_load(&back, s);
	CHECK_STR(memberships_get(&back, "dc1")->membership.name, "n2");
	memberships_done(&back);
	memberships_done(&m);
	state_close(s);
}

TEST_MAIN("memberships")
