/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "tests/fakes/authority_fake.h"
#include "tests/unit/coordinator/sites.h"

static void setup(void)
{
	a = authority_fake();
	CHECK_STR(network_make("office", "10.36.50.0/24"), "");
	CHECK_STR(network_make("lab", "10.36.51.0/24"), "");
}

static const char *add(const char *network, const char *name, const char *addresses)
{
	struct api_name wish = { .name = keep(name), .network = keep(network) };
	char *words = keep(addresses), *save = NULL;

	wish.addresses = arena_array(&kept, 16, sizeof(*wish.addresses));
	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		CHECK_INT(addr_parse(w, &wish.addresses[wish.address_count++]), 0);
	return said(name_add(a, &wish, &why));
}

TEST(added_listed_deleted)
{
	struct api_name *list;
	size_t count;

	setup();
	CHECK_STR(add("office", "orders-db", "10.36.50.9 fd36:50::9"), "");
	CHECK_STR(published("office", "name", "orders-db"),
		  "{\"addresses\":[\"10.36.50.9\",\"fd36:50::9\"]}");
	CHECK_STR(add("office", "orders-db", "10.36.50.10"), "exists");
	CHECK(strstr(why.message, "10.36.50.9"));
	/* Each network has its own. */
	CHECK_STR(add("lab", "orders-db", "10.36.51.9"), "");
	CHECK_INT(name_list(a, &kept, NULL, &list, &count, &why), 0);
	CHECK_INT(count, 2);
	CHECK_INT(name_list(a, &kept, "office", &list, &count, &why), 0);
	CHECK_INT(count, 1);
	CHECK_INT(list[0].address_count, 2);
	CHECK_STR(said(name_delete(a, "office", "orders-db", &why)), "");
	CHECK_INT(ended("office", "name", "orders-db"), WHY_REMOVED);
	CHECK(published("lab", "name", "orders-db"));
	CHECK_STR(said(name_delete(a, "office", "orders-db", &why)), "unknown_name");
	CHECK_STR(add("nowhere", "orders-db", "10.36.50.9"), "unknown_network");
}

TEST(addresses_that_mean_nothing)
{
	static const char *const wrong[] = { "127.0.0.1", "::1",
					     "224.0.0.1", "ff02::1",
					     "0.0.0.0",	  "169.254.1.1",
					     "fe80::1",	  "10.0.0.1 10.0.0.1" };

	setup();
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		CHECK_STR(add("office", "x", wrong[i]), "address");
	CHECK(!published("office", "name", "x"));
}

TEST(none_that_a_node_bears)
{
	struct joiner *n;

	setup();
	n = node_make("office", "db1", NULL, NULL);
	CHECK_STR(add("office", "db1", "10.36.50.9"), "name_taken");
	CHECK(strstr(why.message, n->identity.id));
	CHECK_STR(add("lab", "db1", "10.36.51.9"), "");
	CHECK_STR(said(node_remove(a, n->identity.id, &why)), "");
	CHECK_STR(add("office", "db1", "10.36.50.9"), "");
}

TEST(none_that_an_orphan_bears)
{
	uint64_t released;

	setup();
	CHECK_INT(network_orphan_add(
			  a, "office", "aaaaaaaaaaaaaaaa",
			  "{\"name\":\"db1\",\"role\":\"node\",\"keys\":[\"AAAAAAAAAAAAAAAAA"
			  "AAAAAAAAAAAAAAAAAAAAAAAAAA=\"],\"addresses\":[\"10.36.50.7\"]}"),
		  0);
	CHECK_STR(add("office", "db1", "10.36.50.9"), "name_taken");
	CHECK_INT(network_release(a, "office", &released, &why), 0);
	CHECK_STR(add("office", "db1", "10.36.50.9"), "");
}

TEST(no_node_gets_an_added_one)
{
	struct join_answer *answer;

	setup();
	CHECK_STR(add("office", "db1", "10.36.50.9"), "");
	answer = join(machine_make("db1"), token_make("office", ROLE_NODE, NULL, NULL));
	CHECK_STR(join_code(answer), "joined");
	CHECK_STR(answer->memberships[0].name, "db1-2");
	CHECK_STR(said(node_rename(a, "db1-2", "db1", &why)), "name_taken");
	CHECK_STR(said(name_delete(a, "office", "db1", &why)), "");
	CHECK_STR(said(node_rename(a, "db1-2", "db1", &why)), "");
}

TEST(lost_with_the_network_put_back_after_a_restart)
{
	setup();
	CHECK_STR(add("office", "db1", "10.36.50.9"), "");
	CHECK_INT(publisher_del(a->publisher, "office", JOURNAL_GATEWAYS, "name/db1", WHY_GONE), 0);
	publisher_flush(a->publisher);
	CHECK_INT(member_reconcile(a), 0);
	CHECK(published("office", "name", "db1"));
	CHECK_STR(said(network_delete(a, "office", &why)), "");
	CHECK_STR(network_make("office", "10.36.50.0/24"), "");
	CHECK_STR(add("office", "db1", "10.36.50.10"), "");
}

TEST_MAIN("names")
